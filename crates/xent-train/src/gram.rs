//! Weighted sums of products of features in f32: the Hessian of a sample, which stands for another and need not be exact.
//!
//! Of each pair of outputs there is a curvature q a row, and wanted is Σ q x xᵀ. Both ways there are products of matrices
//! of f32 ([`xent::gemm`]), which take a fraction of the time of sums in f64 and have the same bits everywhere.

use std::ops::{Range, RangeTo};

use xent::gemm::{Start, Workspace, product};
use xent::leveled;
use xent::view::{View, ViewMut};

use crate::kernel::LANES;
use crate::tile::Tile;

/// Pairs of outputs from which on the products of two features are written down once for all pairs.
const MANY: usize = 6;
/// Features of a block of the lower triangle.
const BLOCK: usize = 48;
/// Products of features that are written down at once, for the second-level cache.
const PRODUCTS: usize = 1 << 17;

/// Sums over the rows of a part.
pub(crate) struct Gram {
    width: usize,
    pairs: usize,
    /// Of each pair of outputs a square whose lower triangle counts, or, of many pairs, the triangle row by row.
    sums: Vec<f32>,
    x: Vec<f32>,
    right: Vec<f32>,
    left: Vec<f32>,
    workspace: Workspace,
}

impl Gram {
    /// Of so many features, the intercept being one, and pairs of outputs.
    pub fn new(width: usize, pairs: usize) -> Self {
        let each = if pairs < MANY { width * width } else { width * (width + 1) / 2 };
        Self {
            width,
            pairs,
            sums: vec![0.0; pairs * each],
            x: Vec::new(),
            right: Vec::new(),
            left: Vec::new(),
            workspace: Workspace::new(),
        }
    }

    /// Takes in rows as they lie, to be standardised; the last feature is the intercept.
    pub fn load_rows(&mut self, rows: &[f64], center: &[f64], inverse: &[f64]) {
        let n = rows.len() / center.len();
        self.x.resize(n * self.width, 1.0);
        narrow(rows, center, inverse, &mut self.x);
    }

    /// Takes in so many rows of a tile.
    pub fn load_tile(&mut self, tile: &Tile, n: usize) {
        self.x.resize(n * self.width, 1.0);
        for (i, x) in self.x.chunks_exact_mut(self.width).enumerate() {
            let lanes = &tile.lanes[i / LANES * tile.stride..];
            for (x, lanes) in x.iter_mut().zip(lanes) {
                *x = lanes[i % LANES] as f32;
            }
        }
    }

    /// Adds the rows taken in with their curvatures `q[row * pairs + pair]`.
    pub fn add(&mut self, q: &[f32]) {
        let (width, pairs) = (self.width, self.pairs);
        let Self { sums, x, right, left, workspace, .. } = self;
        if pairs >= MANY {
            let triangle = width * (width + 1) / 2;
            let height = (PRODUCTS / triangle).clamp(LANES, 256);
            for (x, q) in x.chunks(height * width).zip(q.chunks(height * pairs)) {
                right.resize(x.len() / width * triangle, 0.0);
                multiply(x, width, right);
                add_product(q, pairs, 0..pairs, right, triangle, ..triangle, sums, workspace);
            }
            return;
        }
        for (pair, sums) in sums.chunks_exact_mut(width * width).enumerate() {
            left.clear();
            for (x, q) in x.chunks_exact(width).zip(q.chunks_exact(pairs)) {
                left.extend(x.iter().map(|x| q[pair] * x));
            }
            for from in (0..width).step_by(BLOCK) {
                let to = (from + BLOCK).min(width);
                add_product(left, width, from..to, x, width, ..to, sums, workspace);
            }
        }
    }

    /// Adds to `out[pair * triangle + i (i + 1) / 2 + j]`, j <= i, and goes back to 0.
    pub fn take(&mut self, out: &mut [f64]) {
        let width = self.width;
        if self.pairs >= MANY {
            out.iter_mut().zip(&self.sums).for_each(|(out, &sum)| *out += f64::from(sum));
        } else {
            let triangle = width * (width + 1) / 2;
            let squares = self.sums.chunks_exact(width * width);
            for (out, square) in out.chunks_exact_mut(triangle).zip(squares) {
                for (i, row) in square.chunks_exact(width).enumerate() {
                    let out = &mut out[i * (i + 1) / 2..];
                    out.iter_mut().zip(&row[..=i]).for_each(|(out, &sum)| *out += f64::from(sum));
                }
            }
        }
        self.sums.fill(0.0);
    }
}

/// Adds the product of some columns of a matrix, transposed, with the first of another to the rows of those numbers.
#[allow(clippy::too_many_arguments)]
fn add_product(
    left: &[f32],
    left_width: usize,
    columns: Range<usize>,
    right: &[f32],
    width: usize,
    first: RangeTo<usize>,
    sums: &mut [f32],
    workspace: &mut Workspace,
) {
    let (left, right) = (View::rows_of(left, left_width), View::rows_of(right, width));
    if let (Ok(left), Ok(right), Ok(sums)) = (left, right, ViewMut::rows_of(sums, width)) {
        let left = left.cols(columns.clone()).transposed();
        let sums = sums.rows(columns).cols(0..first.end);
        product(left, right.cols(0..first.end), sums, Start::Present, workspace);
    }
}

leveled! {
    /// (x - center) / scale in f32, and a place for the intercept left alone behind each row.
    fn narrow(rows: &[f64], center: &[f64], inverse: &[f64], out: &mut [f32]) => narrow_body
}
#[inline(always)]
fn narrow_body(rows: &[f64], center: &[f64], inverse: &[f64], out: &mut [f32]) {
    let n = center.len();
    for (x, out) in rows.chunks_exact(n).zip(out.chunks_exact_mut(n + 1)) {
        for (((out, x), center), inverse) in out.iter_mut().zip(x).zip(center).zip(inverse) {
            *out = ((x - center) * inverse) as f32;
        }
    }
}

leveled! {
    /// Of each row the products of two of its numbers, the second not behind the first.
    fn multiply(x: &[f32], width: usize, out: &mut [f32]) => multiply_body
}
#[inline(always)]
fn multiply_body(x: &[f32], width: usize, out: &mut [f32]) {
    let triangle = width * (width + 1) / 2;
    for (x, mut out) in x.chunks_exact(width).zip(out.chunks_exact_mut(triangle)) {
        for i in 0..width {
            let (row, rest) = out.split_at_mut(i + 1);
            row.iter_mut().zip(x).for_each(|(out, y)| *out = x[i] * y);
            out = rest;
        }
    }
}
