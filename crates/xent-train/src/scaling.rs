//! Means and standard deviations of the features: the coordinates that solvers work in.
//!
//! Solvers see `u = coef * scale` over `(x - center) / scale`, so that no column is large or far away. What is
//! penalised is declared apart, so the problem solved does not depend on these coordinates.

use crate::design::{Block, Design, Sparse};
use crate::error::{Error, Place};
use crate::kernel::{LANES, sum};
use crate::parts::each_part;
use crate::rowwise::{Flat, Moments};
use crate::tile::{Rows, Tile};

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
        let mut scaling = Self::identity(design);
        scaling.inverse.fill(1.0);
        let n = design.n_rows();
        if n == 0 {
            return Ok(scaling);
        }
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
        let total: f64 = weights.map_or(n as f64, |weights| weights.iter().sum());
        // Differences are taken from the mean of a few rows, so that squares do not cancel.
        let some = 64.min(n);
        let mut first = 0;
        for block in design.blocks() {
            if block.is_dense() {
                for col in 0..block.width() {
                    let few = (0..some).map(|i| block.number(i * n / some, col));
                    scaling.center[first + col] = few.map(|x| x / some as f64).sum();
                }
            }
            first += block.width();
        }
        let (means, squares) = scaling.moments(design, weights, total, threads);
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
                        let shift = scaling.center[feature];
                        let here = block.number(0, col);
                        let spread = variance.sqrt();
                        let is_constant = spread == 0.0
                            || spread.is_nan()
                            || spread <= 1e-13 * here.abs().max((shift + mean).abs())
                                && (0..n).all(|row| {
                                    weight(row) == 0.0 || block.number(row, col) == here
                                });
                        if is_constant {
                            scaling.constants.push((feature, here));
                            scaling.center[feature] = 0.0;
                        } else {
                            scaling.scale[feature] = spread;
                            scaling.center[feature] =
                                if has_intercept { shift + mean } else { 0.0 };
                        }
                    }
                }
            }
            if let Block::Sparse(sparse) = block {
                let (sums, squares) = sparse_moments(sparse, weights, threads);
                for col in 0..width {
                    let mean = sums[col] / total;
                    let variance = squares[col] / total - mean * mean;
                    let feature = first + col;
                    if !variance.is_finite() {
                        return Err(Error::Range { feature, least: 0.0, greatest: f64::INFINITY });
                    }
                    if variance > 1e-14 * mean * mean {
                        scaling.scale[feature] = variance.sqrt();
                    } else {
                        scaling.constants.push((feature, mean));
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

    /// Means and mean squares of the dense features from `self.center`.
    fn moments(
        &self,
        design: &Design<'_>,
        weights: Option<&[f64]>,
        total: f64,
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
        let n_parts = chunks.clamp(1, 16);
        let workspace = || (Tile::new(width, height), vec![[0.0; LANES]; height / LANES]);
        let run = |i: usize, (tile, w): &mut (Tile, Vec<[f64; LANES]>)| {
            if let Some(flat) = &flat {
                let mut moments = Moments::new(flat, self);
                for chunk in i * chunks / n_parts..(i + 1) * chunks / n_parts {
                    let range = chunk * height..((chunk + 1) * height).min(n);
                    let weights = weights.map(|weights| &weights[range.clone()]);
                    let rows = &flat.rows[range.start * flat.width..range.end * flat.width];
                    moments.add(rows, flat.width, weights);
                }
                return moments.finish(flat.width);
            }
            let (mut means, mut squares) = (vec![0.0; width], vec![0.0; width]);
            for chunk in i * chunks / n_parts..(i + 1) * chunks / n_parts {
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
        means.iter_mut().for_each(|x| *x /= total);
        squares.iter_mut().for_each(|x| *x /= total);
        (means, squares)
    }

    /// Parameters of one output: features and intercept.
    pub(crate) fn len(&self) -> usize {
        self.order.len() + 1
    }
}

/// Σ w x and Σ w x² of the columns of sparse rows.
fn sparse_moments(
    sparse: &Sparse<'_>,
    weights: Option<&[f64]>,
    threads: usize,
) -> (Vec<f64>, Vec<f64>) {
    let n = sparse.offsets.len() - 1;
    let n_parts = (sparse.indices.len() / 500_000).clamp(1, 4);
    let zeros = || vec![(0.0, 0.0); sparse.width];
    let run = |part: usize, (): &mut ()| {
        let mut moments = zeros();
        for row in part * n / n_parts..(part + 1) * n / n_parts {
            let w = weights.map_or(1.0, |weights| weights[row]);
            for i in sparse.offsets[row]..sparse.offsets[row + 1] {
                let (x, sums) = (sparse.values.get(i), &mut moments[sparse.indices[i] as usize]);
                *sums = (sums.0 + w * x, sums.1 + w * x * x);
            }
        }
        moments
    };
    let mut all = zeros();
    each_part(
        n_parts,
        threads,
        || (),
        run,
        |some| {
            for (sums, some) in all.iter_mut().zip(some) {
                *sums = (sums.0 + some.0, sums.1 + some.1);
            }
        },
    );
    all.into_iter().unzip()
}

xent::leveled! {
    fn add_moments(tile: &[[f64; LANES]], stride: usize, w: &[[f64; LANES]], means: &mut [f64], squares: &mut [f64]) => moments_body
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
