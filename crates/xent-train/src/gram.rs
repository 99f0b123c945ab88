//! Weighted sums of products of features in f32: the Hessian of a sample, which stands for another and need not be exact.
//!
//! Of each pair of outputs there is a curvature q a row, and wanted is Σ q x xᵀ. Both ways there are products of matrices
//! of f32 ([`xent::gemm`]), which take a fraction of the time of sums in f64 and have the same bits everywhere.

use std::ops::{Range, RangeTo};

use xent::gemm::{Start, Workspace, product};
use xent::leveled;
use xent::view::{View, ViewMut};

use crate::kernel::LANES;
use crate::narrow::from_tile;
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

    /// Adds so many rows of a tile with their curvatures.
    pub fn add_tile(&mut self, tile: &Tile, n: usize, q: &[f32]) {
        let mut x = std::mem::take(&mut self.x);
        x.resize(n * self.width, 0.0);
        from_tile(tile, self.width, self.width, &mut x);
        self.add(&x, self.width, q);
        self.x = x;
    }

    /// Adds rows so far apart with their curvatures `q[row * pairs + pair]`.
    pub fn add(&mut self, x: &[f32], stride: usize, q: &[f32]) {
        let (width, pairs) = (self.width, self.pairs);
        let Self { sums, right, left, workspace, .. } = self;
        if pairs >= MANY {
            let triangle = width * (width + 1) / 2;
            let height = (PRODUCTS / triangle).clamp(LANES, 256);
            for (x, q) in x.chunks(height * stride).zip(q.chunks(height * pairs)) {
                right.resize(x.len() / stride * triangle, 0.0);
                multiply(x, stride, width, right);
                add_product(
                    q,
                    pairs,
                    0..pairs,
                    right,
                    triangle,
                    ..triangle,
                    (sums, triangle),
                    workspace,
                );
            }
            return;
        }
        for (pair, sums) in sums.chunks_exact_mut(width * width).enumerate() {
            left.clear();
            for (x, q) in x.chunks_exact(stride).zip(q.chunks_exact(pairs)) {
                left.extend(x.iter().map(|x| q[pair] * x));
            }
            for from in (0..width).step_by(BLOCK) {
                let to = (from + BLOCK).min(width);
                add_product(left, stride, from..to, x, stride, ..to, (sums, width), workspace);
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
    right_width: usize,
    first: RangeTo<usize>,
    (sums, width): (&mut [f32], usize),
    workspace: &mut Workspace,
) {
    let (left, right) = (View::rows_of(left, left_width), View::rows_of(right, right_width));
    if let (Ok(left), Ok(right), Ok(sums)) = (left, right, ViewMut::rows_of(sums, width)) {
        let left = left.cols(columns.clone()).transposed();
        let sums = sums.rows(columns).cols(0..first.end);
        product(left, right.cols(0..first.end), sums, Start::Present, workspace);
    }
}

leveled! {
    /// Of each row the products of two of its numbers, the second not behind the first.
    fn multiply(x: &[f32], stride: usize, width: usize, out: &mut [f32]) => multiply_body
}
#[inline(always)]
fn multiply_body(x: &[f32], stride: usize, width: usize, out: &mut [f32]) {
    let triangle = width * (width + 1) / 2;
    for (x, mut out) in x.chunks_exact(stride).zip(out.chunks_exact_mut(triangle)) {
        for i in 0..width {
            let (row, rest) = out.split_at_mut(i + 1);
            row.iter_mut().zip(x).for_each(|(out, y)| *out = x[i] * y);
            out = rest;
        }
    }
}
