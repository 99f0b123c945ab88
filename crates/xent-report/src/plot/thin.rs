//! Fewer points that draw the same line.

/// Stretches of a long series.
const STRETCHES: usize = 500;
/// Points drawn of a series: four of each stretch.
pub(super) const MOST_POINTS: usize = 4 * STRETCHES;

/// A point whose coordinates are from 0 to 1.
pub(super) type Place = (f64, f64);

/// Splits a series at its gaps and thins it to [`MOST_POINTS`] points: of each stretch of a longer series the
/// first, the lowest, the highest and the last stay.
///
/// Stretches are equal parts of the x axis where x never decreases, otherwise equal numbers of points.
pub(super) fn runs(places: &[Option<Place>]) -> Vec<Vec<Place>> {
    let mut runs = Runs::default();
    let mut gaps = 0;
    if places.iter().flatten().count() <= MOST_POINTS {
        for (i, place) in places.iter().enumerate() {
            match *place {
                Some(place) => runs.push(Point { i, place, gaps }),
                None => gaps += 1,
            }
        }
        return runs.runs;
    }
    let ascends = places.iter().flatten().is_sorted_by(|a, b| a.0 <= b.0);
    let mut stretch: Option<Stretch> = None;
    for (i, place) in places.iter().enumerate() {
        let &Some(place) = place else {
            gaps += 1;
            continue;
        };
        let share = if ascends { place.0 } else { i as f64 / places.len() as f64 };
        let number = ((share * STRETCHES as f64) as usize).min(STRETCHES - 1);
        let point = Point { i, place, gaps };
        match &mut stretch {
            Some(stretch) if stretch.number == number => stretch.add(point),
            _ => {
                if let Some(stretch) = stretch.take() {
                    stretch.end(&mut runs);
                }
                stretch = Some(Stretch { number, kept: [point; 4] });
            }
        }
    }
    if let Some(stretch) = stretch {
        stretch.end(&mut runs);
    }
    runs.runs
}

/// Thins a band to one entry a stretch of the x axis, the widest that holds all of them, and splits it at
/// its gaps. Entries are `(x, lower, upper)`.
pub(super) fn band(places: &[Option<[f64; 3]>]) -> Vec<Vec<[f64; 3]>> {
    let thin = places.iter().flatten().count() > MOST_POINTS;
    let mut runs: Vec<Vec<[f64; 3]>> = Vec::new();
    let mut joined = false;
    for place in places {
        let &Some([x, low, high]) = place else {
            joined = false;
            continue;
        };
        let stretch = |x: f64| ((x * MOST_POINTS as f64) as usize).min(MOST_POINTS - 1);
        match runs.last_mut() {
            Some(run) => match run.last_mut() {
                // A gap narrower than a stretch cannot be seen.
                Some(last) if thin && stretch(last[0]) == stretch(x) => {
                    *last = [last[0], last[1].min(low), last[2].max(high)];
                }
                _ if joined => run.push([x, low, high]),
                _ => runs.push(vec![[x, low, high]]),
            },
            None => runs.push(vec![[x, low, high]]),
        }
        joined = true;
    }
    runs
}

#[derive(Clone, Copy)]
struct Point {
    i: usize,
    place: Place,
    /// Gaps before it.
    gaps: usize,
}

/// A part of a long series: its first, lowest, highest and last point.
struct Stretch {
    number: usize,
    kept: [Point; 4],
}

impl Stretch {
    fn add(&mut self, point: Point) {
        let [_, lowest, highest, last] = &mut self.kept;
        if point.place.1 < lowest.place.1 {
            *lowest = point;
        }
        if point.place.1 > highest.place.1 {
            *highest = point;
        }
        *last = point;
    }

    fn end(mut self, runs: &mut Runs) {
        self.kept.sort_by_key(|point| point.i);
        for point in self.kept {
            runs.push(point);
        }
    }
}

#[derive(Default)]
struct Runs {
    runs: Vec<Vec<Place>>,
    last: Option<Point>,
}

impl Runs {
    /// Adds a point, unless it was the last one added.
    fn push(&mut self, point: Point) {
        match (self.runs.last_mut(), self.last) {
            (_, Some(last)) if last.i == point.i => return,
            (Some(run), Some(last)) if last.gaps == point.gaps => run.push(point.place),
            _ => self.runs.push(vec![point.place]),
        }
        self.last = Some(point);
    }
}
