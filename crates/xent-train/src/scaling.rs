//! Means and standard deviations of the features: the coordinates that solvers work in.
//!
//! Solvers see `u = coef * scale` over `(x - center) / scale`, so that no column is large or far away. What is
//! penalised is declared apart, so the problem solved does not depend on these coordinates.

use crate::design::{Block, Design, Sparse};
use crate::error::{Error, Place};
use crate::kernel::{LANES, sum};
use crate::parts::{each_part, n_parts, part};
use crate::rowwise::{Flat, Moments};
use crate::tile::{Rows, Tile};

/// Mean squares below this have lost digits to underflow.
const LEAST: f64 = 1e-280;
/// How many standard deviations a sparse feature's mean may be from 0: what is sparse is not centred, so that each score loses
/// as many digits as this has, and the condition of the Hessian is its square.
const FAR: f64 = 1e6;

/// What standardises each feature, and its place among the parameters.
#[derive(Clone, Debug)]
pub struct Scaling {
    /// Subtracted from each feature: its weighted mean; 0 for categories and sparse features.
    pub center: Vec<f64>,
    /// Divides each feature: its weighted standard deviation, without Bessel's correction; 1 for categories and for
    /// features that are constant.
    pub scale: Vec<f64>,
    /// 1 / scale.
    pub(crate) inverse: Vec<f64>,
    /// Where each feature stands among the parameters: dense ones first, then the intercept, then the others.
    pub(crate) order: Vec<usize>,
    /// Dense features, which is where the intercept stands.
    pub(crate) n_dense: usize,
    /// Features with the same number in every row, with that number.
    pub constants: Vec<(usize, f64)>,
}

impl Scaling {
    /// Measures the features, weighted, and checks that all numbers are finite.
    ///
    /// ```text
    /// center = Σ w x / Σ w,  scale² = Σ w (x - center)² / Σ w
    /// ```
    ///
    /// Without an intercept nothing is subtracted, as it could not be made up for. The bits do not depend on `threads`.
    ///
    /// # Errors
    ///
    /// A number is not finite, or a column's spread overflows.
    pub fn measure(
        design: &Design<'_>,
        weights: Option<&[f64]>,
        has_intercept: bool,
        threads: usize,
    ) -> Result<Self, Error> {
        let draft = Self::draft(design);
        if design.n_rows() == 0 {
            return Ok(draft);
        }
        let moments = draft.moments(design, weights, threads);
        draft.finish(design, weights, has_intercept, threads, moments)
    }

    /// Centers from which moments are taken: the means of a few rows, so that squares do not cancel; scales of 1.
    pub(crate) fn draft(design: &Design<'_>) -> Self {
        let mut draft = Self::identity(design);
        each_few(design, |feature, few| {
            let n = few.len() as f64;
            draft.center[feature] = few.iter().map(|x| x / n).sum();
        });
        draft
    }

    /// Coordinates for the rows of a sample, when little is known: means and spreads of a few rows. What does not differ there is
    /// centred at its value, so that a constant stays 0. Without an intercept nothing is subtracted.
    pub(crate) fn sketch(design: &Design<'_>, has_intercept: bool) -> Self {
        let mut sketch = Self::identity(design);
        each_few(design, |feature, few| {
            let (mean, spread) = spread(few.iter().map(|&x| (1.0, x)));
            if has_intercept {
                sketch.center[feature] = mean;
            }
            if spread > 0.0 && spread.is_finite() && (1.0 / spread).is_finite() {
                sketch.scale[feature] = spread;
                sketch.inverse[feature] = 1.0 / spread;
            }
        });
        sketch
    }

    /// The scaling, from a draft and the sums of `w (x - center)` and `w (x - center)²` of each dense feature.
    pub(crate) fn finish(
        self,
        design: &Design<'_>,
        weights: Option<&[f64]>,
        has_intercept: bool,
        threads: usize,
        (mut means, mut squares): (Vec<f64>, Vec<f64>),
    ) -> Result<Self, Error> {
        let mut scaling = self;
        let n = design.n_rows();
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
        let total: f64 = weights.map_or(n as f64, |weights| weights.iter().sum());
        means.iter_mut().chain(&mut squares).for_each(|x| *x /= total);
        let mut first = 0;
        for block in design.blocks() {
            let width = block.width();
            for col in 0..width {
                let feature = first + col;
                let at = scaling.order[feature];
                match block {
                    Block::Category(_) => {}
                    Block::Sparse(_) => {}
                    _ => {
                        let (mean, square) = (means[at], squares[at]);
                        if !square.is_finite() || !mean.is_finite() {
                            return Err(odd_column(block, feature, col, n));
                        }
                        let variance = square - mean * mean;
                        let (center, spread) = if square > LEAST && variance > 1e-6 * square {
                            (scaling.center[feature] + mean, variance.sqrt())
                        } else {
                            // Few digits are left, or none: again, from a number of the column and in units of its range.
                            let numbers = (0..n).filter(|&row| weight(row) > 0.0);
                            spread(numbers.map(|row| (weight(row), block.number(row, col))))
                        };
                        if spread == 0.0 {
                            scaling.constants.push((feature, center));
                            scaling.center[feature] = 0.0;
                        } else if (1.0 / spread).is_finite() {
                            scaling.scale[feature] = spread;
                            scaling.center[feature] = if has_intercept { center } else { 0.0 };
                        } else {
                            return Err(odd_column(block, feature, col, n));
                        }
                    }
                }
            }
            if let Block::Sparse(sparse) = block {
                let rows = (0..n).filter(|&row| weight(row) > 0.0).count();
                let columns = Column::of(sparse, weights, rows, total, threads);
                for (col, column) in columns.iter().enumerate() {
                    let (feature, mean) = (first + col, column.mean);
                    let scale = column.variance.sqrt();
                    let (least, greatest) = (column.least, column.greatest);
                    if least >= greatest {
                        scaling.constants.push((feature, least));
                    } else if !scale.is_finite() || !(1.0 / scale).is_finite() {
                        return Err(Error::Range { feature, least, greatest });
                    } else if mean.abs() > FAR * scale {
                        return Err(Error::Far { feature, mean, spread: scale });
                    } else {
                        scaling.scale[feature] = scale;
                    }
                }
            }
            first += width;
        }
        for (inverse, scale) in scaling.inverse.iter_mut().zip(&scaling.scale) {
            *inverse = 1.0 / scale;
        }
        Ok(scaling)
    }

    /// No centring and no scaling.
    pub fn identity(design: &Design<'_>) -> Self {
        let n = design.n_features();
        let n_dense: usize =
            design.blocks().iter().filter(|block| block.is_dense()).map(Block::width).sum();
        let (mut dense, mut other) = (0, n_dense + 1);
        let mut order = Vec::with_capacity(n);
        for block in design.blocks() {
            let next = if block.is_dense() { &mut dense } else { &mut other };
            order.extend(*next..*next + block.width());
            *next += block.width();
        }
        Self {
            center: vec![0.0; n],
            scale: vec![1.0; n],
            inverse: vec![1.0; n],
            order,
            n_dense,
            constants: Vec::new(),
        }
    }

    /// Sums of the differences of the dense features from `self.center`, and of their squares.
    fn moments(
        &self,
        design: &Design<'_>,
        weights: Option<&[f64]>,
        threads: usize,
    ) -> (Vec<f64>, Vec<f64>) {
        let width = self.n_dense + 1;
        let height = height(width);
        let (mut means, mut squares) = (vec![0.0; width], vec![0.0; width]);
        if self.n_dense == 0 {
            return (means, squares);
        }
        let n = design.n_rows();
        let flat = Flat::of(design);
        let height = flat.as_ref().map_or(height, Flat::height);
        let chunks = n.div_ceil(height);
        let n_parts = n_parts(chunks, 2 * self.n_dense);
        let workspace = || (Tile::new(width, height), vec![[0.0; LANES]; height / LANES]);
        let run = |i: usize, (tile, w): &mut (Tile, Vec<[f64; LANES]>)| {
            if let Some(flat) = &flat {
                let mut moments = Moments::new(flat, self);
                for chunk in part(i, n_parts, chunks) {
                    let range = chunk * height..((chunk + 1) * height).min(n);
                    let weights = weights.map(|weights| &weights[range.clone()]);
                    let rows = &flat.rows[range.start * flat.width..range.end * flat.width];
                    moments.add(rows, flat.width, weights);
                }
                let (mut means, mut squares) = (vec![0.0; flat.width], vec![0.0; flat.width]);
                moments.take(&mut means, &mut squares);
                return (means, squares);
            }
            let (mut means, mut squares) = (vec![0.0; width], vec![0.0; width]);
            for chunk in part(i, n_parts, chunks) {
                let range = chunk * height..((chunk + 1) * height).min(n);
                tile.load(design, self, Rows::All(n), &range, false);
                for (i, slot) in w.as_flattened_mut().iter_mut().enumerate() {
                    let row = range.start + i;
                    *slot = if row < n { weights.map_or(1.0, |weights| weights[row]) } else { 0.0 };
                }
                let w = &w[..tile.groups];
                add_moments(&tile.lanes, tile.stride, w, &mut means, &mut squares);
            }
            (means, squares)
        };
        let threads = if n * width < 200_000 { 1 } else { threads };
        each_part(n_parts, threads, workspace, run, |(some, some_squares)| {
            means.iter_mut().zip(&some).for_each(|(sum, x)| *sum += x);
            squares.iter_mut().zip(&some_squares).for_each(|(sum, x)| *sum += x);
        });
        (means, squares)
    }

    /// Parameters of one output: features and intercept.
    pub(crate) fn len(&self) -> usize {
        self.order.len() + 1
    }
}

/// Shows the numbers of each dense feature in a few rows from all over.
fn each_few(design: &Design<'_>, mut f: impl FnMut(usize, &[f64])) {
    let n = design.n_rows();
    let some = 64.min(n);
    let mut first = 0;
    for block in design.blocks() {
        let width = if block.is_dense() { block.width() } else { 0 };
        let mut few = vec![0.0; some * width];
        // Row by row, which is how most lie in memory.
        for i in 0..some {
            (0..width).for_each(|col| few[col * some + i] = block.number(i * n / some, col));
        }
        for (col, few) in few.chunks(some.max(1)).enumerate() {
            f(first + col, few);
        }
        first += block.width();
    }
}

/// Mean and standard deviation of a column's weighted numbers, in two passes and without squares that underflow; a standard
/// deviation of 0 only if all numbers are the same, with that number.
fn spread(numbers: impl Iterator<Item = (f64, f64)> + Clone) -> (f64, f64) {
    let Some((_, here)) = numbers.clone().next() else { return (0.0, 0.0) };
    let range = numbers.clone().fold(0.0, |most: f64, (_, x)| most.max((x - here).abs()));
    if range == 0.0 {
        return (here, 0.0);
    }
    let (total, sum) = numbers
        .clone()
        .fold((0.0, 0.0), |(total, sum), (w, x)| (total + w, sum + w * ((x - here) / range)));
    let mean = sum / total;
    let squares = numbers.map(|(w, x)| w * ((x - here) / range - mean).powi(2)).sum::<f64>();
    (here + range * mean, range * (squares / total).sqrt())
}

/// What there is to know of a sparse column, whose numbers are 0 in the rows that do not name it.
#[derive(Clone, Copy)]
struct Column {
    mean: f64,
    variance: f64,
    least: f64,
    greatest: f64,
}

/// Sums over the rows of some weight that name a column.
#[derive(Clone, Copy, Default)]
struct Sums {
    sum: f64,
    /// A little more for each row, so that it is 0 only without any.
    squares: f64,
}

/// The same about the mean.
#[derive(Clone, Copy)]
struct Central {
    rows: usize,
    weight: f64,
    squares: f64,
    least: f64,
    greatest: f64,
}

impl Column {
    /// Of all columns, in one pass, or in two where squares cancel or overflow. `n` rows have a weight, `total` together.
    fn of(
        sparse: &Sparse<'_>,
        weights: Option<&[f64]>,
        n: usize,
        total: f64,
        threads: usize,
    ) -> Vec<Self> {
        let add = |all: &mut Sums, _: usize, w: f64, x: f64| {
            all.sum += w * x;
            all.squares += w * x * x + f64::MIN_POSITIVE;
        };
        let merge = |all: &mut Sums, some: &Sums| {
            all.sum += some.sum;
            all.squares += some.squares;
        };
        let sums = sweep(sparse, weights, threads, Sums::default(), add, merge);
        let of = |sums: &Sums| {
            let (mean, square) = (sums.sum / total, sums.squares / total);
            let variance = square - mean * mean;
            let has_digits = square > LEAST && variance > 1e-3 * square && square.is_finite();
            // Numbers that differ, or none.
            let (least, greatest) = (-square, square);
            (sums.squares == 0.0 || has_digits).then_some(Self { mean, variance, least, greatest })
        };
        sums.iter()
            .map(of)
            .collect::<Option<Vec<Self>>>()
            .unwrap_or_else(|| Self::about(&sums, sparse, weights, n, total, threads))
    }

    /// From sums that give the means.
    fn about(
        sums: &[Sums],
        sparse: &Sparse<'_>,
        weights: Option<&[f64]>,
        n: usize,
        total: f64,
        threads: usize,
    ) -> Vec<Self> {
        let none = Central {
            rows: 0,
            weight: 0.0,
            squares: 0.0,
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
        };
        let add = |all: &mut Central, column: usize, w: f64, x: f64| {
            let off = x - sums[column].sum / total;
            all.rows += 1;
            all.weight += w;
            all.squares += w * off * off;
            all.least = all.least.min(x);
            all.greatest = all.greatest.max(x);
        };
        let merge = |all: &mut Central, some: &Central| {
            all.rows += some.rows;
            all.weight += some.weight;
            all.squares += some.squares;
            all.least = all.least.min(some.least);
            all.greatest = all.greatest.max(some.greatest);
        };
        let central = sweep(sparse, weights, threads, none, add, merge);
        let of = |(sums, central): (&Sums, Central)| {
            let mean = sums.sum / total;
            let Central { rows, weight, mut squares, mut least, mut greatest } = central;
            if rows < n {
                squares += (total - weight).max(0.0) * mean * mean;
                (least, greatest) = (least.min(0.0), greatest.max(0.0));
            }
            Self { mean, variance: squares / total, least, greatest }
        };
        sums.iter().zip(central).map(of).collect()
    }
}

/// What `add` makes of the numbers of rows of some weight, column by column and merged part by part of the rows: the parts do
/// not depend on the threads.
fn sweep<T: Copy + Send + Sync>(
    sparse: &Sparse<'_>,
    weights: Option<&[f64]>,
    threads: usize,
    none: T,
    add: impl Fn(&mut T, usize, f64, f64) + Sync,
    merge: impl Fn(&mut T, &T) + Sync,
) -> Vec<T> {
    let n = sparse.offsets.len() - 1;
    let n_parts = (sparse.indices.len() / 500_000).clamp(1, 6);
    let run = |i: usize, (): &mut ()| {
        let mut columns = vec![none; sparse.width];
        for row in part(i, n_parts, n) {
            let w = weights.map_or(1.0, |weights| weights[row]);
            if w > 0.0 {
                for i in sparse.offsets[row]..sparse.offsets[row + 1] {
                    let column = sparse.indices[i] as usize;
                    add(&mut columns[column], column, w, sparse.values.get(i));
                }
            }
        }
        columns
    };
    let mut all = vec![none; sparse.width];
    each_part(
        n_parts,
        threads,
        || (),
        run,
        |part| {
            all.iter_mut().zip(&part).for_each(|(all, some)| merge(all, some));
        },
    );
    all
}

xent::leveled! {
    /// Σ w x and Σ w x² of the columns of a tile.
    pub(crate) fn add_moments(tile: &[[f64; LANES]], stride: usize, w: &[[f64; LANES]], means: &mut [f64], squares: &mut [f64]) => moments_body
}
#[inline(always)]
fn moments_body(
    tile: &[[f64; LANES]],
    stride: usize,
    w: &[[f64; LANES]],
    means: &mut [f64],
    squares: &mut [f64],
) {
    for (j, (mean, square)) in means.iter_mut().zip(squares).enumerate() {
        let (mut a, mut b) = ([0.0; LANES], [0.0; LANES]);
        for (x, w) in tile.chunks(stride).zip(w) {
            for l in 0..LANES {
                let wx = w[l] * x[j][l];
                a[l] += wx;
                b[l] = wx.mul_add(x[j][l], b[l]);
            }
        }
        *mean += sum(&a);
        *square += sum(&b);
    }
}

/// Rows of a tile of so many columns: within the second-level cache.
pub(crate) fn height(width: usize) -> usize {
    (80_000 / width.max(1) / (4 * LANES) * (4 * LANES)).clamp(64, 256)
}

#[cold]
fn odd_column(block: &Block<'_>, feature: usize, col: usize, n: usize) -> Error {
    let (mut least, mut greatest) = (f64::INFINITY, f64::NEG_INFINITY);
    for row in 0..n {
        let value = block.number(row, col);
        if !value.is_finite() {
            return Error::NotFinite { place: Place { row, feature }, value };
        }
        least = least.min(value);
        greatest = greatest.max(value);
    }
    Error::Range { feature, least, greatest }
}
