//! What both renderers draw: a chart with its data in places from 0 to 1 on each axis.

use super::axis::Axis;
use super::thin::{Place, band, runs};
use super::{Curves, Diagram, Histogram, Joined, Scale};

/// Columns into which a histogram is sorted for SVG.
pub(super) const COLUMNS: usize = 200;

/// A chart that can be turned into a [`Figure`].
pub trait Draw {
    /// What there is to draw.
    #[doc(hidden)]
    fn figure(&self) -> Figure<'_>;
}

/// One chart, ready to be scaled to a canvas.
#[derive(Debug)]
pub struct Figure<'a> {
    pub(super) title: &'a str,
    pub(super) description: &'a str,
    pub(super) x: (Axis, &'a str),
    pub(super) y: (Axis, &'a str),
    /// Both axes have the same length; the legend stands below.
    pub(super) is_square: bool,
    /// `(x, lower, upper)`.
    pub(super) band: Vec<Vec<[f64; 3]>>,
    pub(super) band_name: &'a str,
    /// The name of the diagonal; not drawn if empty.
    pub(super) diagonal: &'a str,
    pub(super) lines: Vec<Line<'a>>,
    pub(super) histogram: Option<&'a Histogram>,
    pub(super) notes: &'a [String],
}

/// One series.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub name: &'a str,
    /// Which colour, dash and marker it has.
    pub slot: usize,
    pub runs: Vec<Vec<Place>>,
    pub drawn: Drawn,
    pub joined: Joined,
}

/// What is drawn of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drawn {
    /// A line with some markers.
    Marked,
    /// A line.
    Plain,
    /// Markers.
    Loose,
}

impl Line<'_> {
    /// The corners of a run as it is drawn.
    pub fn corners(&self, run: &[Place]) -> Vec<Place> {
        match self.joined {
            Joined::Line => run.to_vec(),
            Joined::Steps => {
                let mut corners = Vec::with_capacity(2 * run.len());
                for &(x, y) in run {
                    if let Some(&(_, before)) = corners.last() {
                        corners.push((x, before));
                    }
                    corners.push((x, y));
                }
                corners
            }
        }
    }

    /// The points to mark, if any: all of a few, otherwise `many` of them, where other series have theirs
    /// elsewhere, and points that stand alone.
    pub fn marked(&self, many: usize, of_lines: usize) -> Vec<Place> {
        let total: usize = self.runs.iter().map(Vec::len).sum();
        if self.drawn == Drawn::Plain {
            return Vec::new();
        }
        if self.drawn == Drawn::Loose || total <= 2 * many {
            return self.runs.iter().flatten().copied().collect();
        }
        let shift = (self.slot as f64 + 0.5) / of_lines.max(1) as f64;
        let mut wanted = (0..many).map(|i| (i as f64 + shift) / many as f64).peekable();
        let (mut marked, mut alone) = (Vec::new(), 0);
        let first = self.runs[0][0].0;
        let last = self.runs.last().and_then(|run| run.last()).map_or(first, |place| place.0);
        for run in &self.runs {
            for &(x, y) in run {
                let is_alone = run.len() == 1 && alone < 2 * many;
                alone += usize::from(is_alone);
                let share = (x - first) / (last - first);
                let mut is_wanted = false;
                while wanted.next_if(|&wanted| share >= wanted).is_some() {
                    is_wanted = true;
                }
                if is_wanted || is_alone {
                    marked.push((x, y));
                }
            }
        }
        marked
    }
}

impl Draw for Curves {
    fn figure(&self) -> Figure<'_> {
        let drawn = || {
            let points = self.series.iter().flat_map(|series| &series.points);
            points.filter(|&&(x, y)| self.x_scale.has(x) && self.y_scale.has(y))
        };
        let x = Axis::for_data(self.x_scale, drawn().map(|point| point.0), false);
        let y = Axis::for_data(self.y_scale, drawn().map(|point| point.1), true);
        let lines = self.series.iter().enumerate().map(|(slot, series)| Line {
            name: &series.name,
            slot,
            runs: places(&series.points, &x, &y),
            drawn: Drawn::Marked,
            joined: Joined::Line,
        });
        Figure {
            title: &self.title,
            description: &self.description,
            lines: lines.collect(),
            x: (x, &self.x_label),
            y: (y, &self.y_label),
            is_square: false,
            band: Vec::new(),
            band_name: "",
            diagonal: "",
            histogram: None,
            notes: &self.notes,
        }
    }
}

impl Draw for Diagram {
    fn figure(&self) -> Figure<'_> {
        let (low, high) = self.range;
        let axis = Axis::new(low, high);
        let axis =
            axis.unwrap_or_else(|| Axis::for_data(Scale::Linear, [0.0, 1.0].into_iter(), false));
        let line = |slot, joined, drawn| {
            let series = if drawn == Drawn::Loose { &self.points } else { &self.curve };
            let runs = places(&series.points, &axis, &axis);
            Line { name: &series.name, slot, runs, drawn, joined }
        };
        let mut lines = Vec::new();
        if !self.curve.points.is_empty() {
            lines.push(line(0, self.joined, Drawn::Plain));
        }
        if !self.points.points.is_empty() {
            lines.push(line(1, Joined::Line, Drawn::Loose));
        }
        let edges: Vec<Option<[f64; 3]>> = self
            .band
            .points
            .iter()
            .map(|&(x, low, high)| Some([axis.at(x)?, axis.nearest(low)?, axis.nearest(high)?]))
            .collect();
        Figure {
            title: &self.title,
            description: &self.description,
            lines,
            x: (axis, &self.x_label),
            y: (axis, &self.y_label),
            is_square: true,
            band: band(&edges),
            band_name: &self.band.name,
            diagonal: &self.diagonal,
            histogram: (!self.histogram.bins.is_empty()).then_some(&self.histogram),
            notes: &self.notes,
        }
    }
}

/// The drawable points, thinned.
fn places(points: &[(f64, f64)], x: &Axis, y: &Axis) -> Vec<Vec<Place>> {
    let places: Vec<Option<Place>> =
        points.iter().map(|&(a, b)| Some((x.at(a)?, y.at(b)?))).collect();
    runs(&places)
}

impl Histogram {
    /// Heights of `n` equal columns over an axis, the highest 1: each bin gives its count to the columns
    /// that it covers, in proportion. Bins with ends or counts that are no numbers are left out.
    pub(super) fn columns(&self, axis: &Axis, n: usize) -> Vec<f64> {
        let mut columns = vec![0.0; n];
        for &(from, to, count) in &self.bins {
            let is_bin = from.is_finite() && to.is_finite() && count.is_finite() && count > 0.0;
            let (from, to) = (from.min(to), from.max(to));
            let (Some(a), Some(b)) = (axis.nearest(from), axis.nearest(to)) else { continue };
            let is_off = a == b && axis.at(from).is_none() && axis.at(to).is_none();
            if !is_bin || is_off {
                continue;
            }
            let count = count * axis.share_of(from, to);
            let (a, b) = (a * n as f64, b * n as f64);
            let first = (a as usize).min(n - 1);
            let last = (b.ceil() as usize).clamp(first + 1, n);
            for (i, column) in columns.iter_mut().enumerate().take(last).skip(first) {
                let covered = (b.min(i as f64 + 1.0) - a.max(i as f64)).max(0.0);
                *column += if last == first + 1 { count } else { count * (covered / (b - a)) };
            }
        }
        let highest = columns.iter().copied().fold(0.0, f64::max);
        if highest > 0.0 {
            for column in &mut columns {
                *column = if highest.is_finite() {
                    *column / highest
                } else {
                    f64::from(u8::from(*column > 0.0))
                };
            }
        }
        columns
    }
}
