//! The dense numbers of a sample in f32, standardised: a sample only says where to begin and what stands for the Hessian, so
//! speed is worth more than digits.
//!
//! Rows lie one after another, each with a one behind it for the intercept and zeros up to a whole number of vectors.

use xent::leveled;
use xent::simd::wide::{Wide, WideVector};
#[cfg(target_arch = "x86_64")]
use xent::simd::wide::{WideAvx2, WideAvx512};
use xent::simd::{Level, prefetch_second};

use crate::design::Design;
use crate::kernel::{LANES, Lanes};
use crate::parts::each_stretch;
use crate::rowwise::Flat;
use crate::scaling::{Scaling, height};
use crate::tile::{Rows, Tile};

/// Numbers of a vector.
const WIDE: usize = size_of::<Wide>() / size_of::<f32>();
/// Numbers of a cache line.
const LINE: usize = 64 / size_of::<f64>();
/// Rows of a sample that memory is asked for ahead.
const AHEAD: usize = 6;
/// Numbers that a thread takes at a time, about.
const SOME: usize = 1 << 16;
/// A sample that needs more memory is not held.
const MOST_BYTES: usize = 48 << 20;

/// Rows of numbers in f32.
#[derive(Debug)]
pub(crate) struct Narrow {
    numbers: Vec<f32>,
    /// From one row to the next.
    pub stride: usize,
}

impl Narrow {
    /// Some rows of the dense features of a design; none if it has none, or if they would take too much memory.
    pub fn gather(
        design: &Design<'_>,
        scaling: &Scaling,
        rows: Rows<'_>,
        threads: usize,
    ) -> Option<Self> {
        let width = scaling.n_dense + 1;
        let stride = width.next_multiple_of(WIDE);
        let n = rows.len();
        if scaling.n_dense == 0 || n * stride * size_of::<f32>() > MOST_BYTES {
            return None;
        }
        let mut numbers = vec![0.0; n * stride];
        let height = height(width);
        let flat = Flat::of(design);
        let fill = |first: usize, out: &mut [f32]| {
            let mut tile = Tile::new(width, if flat.is_some() { 0 } else { height });
            for (i, out) in out.chunks_mut(height * stride).enumerate() {
                let first = first + i * height;
                if let Some(flat) = &flat {
                    let features = flat.feature..flat.feature + flat.width;
                    let center = &scaling.center[features.clone()];
                    let inverse = &scaling.inverse[features];
                    for (i, out) in out.chunks_exact_mut(stride).enumerate() {
                        let row = |i: usize| &flat.rows[rows.at(i) * flat.width..][..flat.width];
                        // The rows of a sample lie far apart: no processor foresees where.
                        let later = row((first + i + AHEAD).min(n - 1));
                        later.chunks(LINE).for_each(|line| prefetch_second(line, 0));
                        narrow(row(first + i), center, inverse, out);
                        out[flat.width] = 1.0;
                    }
                } else {
                    let range = first..first + out.len() / stride;
                    tile.load(design, scaling, rows, &range, false);
                    from_tile(&tile, width, stride, out);
                }
            }
        };
        let each = SOME.div_ceil(height * stride) * height;
        each_stretch(&mut numbers, each * stride, threads, |i, out| fill(i * each, out));
        Some(Self { numbers, stride })
    }

    /// Every so many-th row.
    pub fn thinned(&self, step: usize) -> Self {
        let rows = self.numbers.chunks_exact(self.stride).step_by(step);
        let mut numbers = Vec::with_capacity(rows.len() * self.stride);
        rows.for_each(|row| numbers.extend_from_slice(row));
        Self { numbers, stride: self.stride }
    }

    /// To the coordinates of another scaling.
    pub fn rebase(&mut self, from: &Scaling, to: &Scaling) {
        let mut factor = vec![0.0; self.stride];
        let mut shift = vec![0.0; self.stride];
        for (j, &place) in to.order.iter().enumerate().filter(|(_, place)| **place < to.n_dense) {
            factor[place] = (from.scale[j] * to.inverse[j]) as f32;
            shift[place] = ((from.center[j] - to.center[j]) * to.inverse[j]) as f32;
        }
        factor[to.n_dense] = 1.0;
        move_rows(&mut self.numbers, &factor, &shift);
    }

    /// The numbers of a range of rows.
    pub fn rows(&self, range: std::ops::Range<usize>) -> &[f32] {
        &self.numbers[range.start * self.stride..range.end * self.stride]
    }

    /// Rows that stay in the first-level cache from the first product to the second.
    pub fn height(&self) -> usize {
        (8_192 / self.stride / LANES * LANES).clamp(LANES, 256)
    }

    /// Parameters `params[j * outputs + k]` as [`forward`] wants them.
    pub fn coefs(&self, params: &[f64], outputs: usize, width: usize) -> Vec<f32> {
        let mut coefs = vec![0.0; outputs * self.stride];
        for (k, coefs) in coefs.chunks_exact_mut(self.stride).enumerate() {
            for (coef, u) in coefs.iter_mut().zip(params[k..].iter().step_by(outputs)).take(width) {
                *coef = *u as f32;
            }
        }
        coefs
    }
}

/// The rows of a tile, one after another.
pub(crate) fn from_tile(tile: &Tile, width: usize, stride: usize, out: &mut [f32]) {
    for (i, out) in out.chunks_exact_mut(stride).enumerate() {
        let lanes = &tile.lanes[i / LANES * tile.stride..][..width];
        for (x, lanes) in out.iter_mut().zip(lanes) {
            *x = lanes[i % LANES] as f32;
        }
    }
}

leveled! {
    /// (x - center) / scale in f32.
    fn narrow(row: &[f64], center: &[f64], inverse: &[f64], out: &mut [f32]) => narrow_body
}
#[inline(always)]
fn narrow_body(row: &[f64], center: &[f64], inverse: &[f64], out: &mut [f32]) {
    for (((out, x), center), inverse) in out.iter_mut().zip(row).zip(center).zip(inverse) {
        *out = ((x - center) * inverse) as f32;
    }
}

leveled! {
    fn move_rows(rows: &mut [f32], factor: &[f32], shift: &[f32]) => move_body
}
#[inline(always)]
fn move_body(rows: &mut [f32], factor: &[f32], shift: &[f32]) {
    for row in rows.chunks_exact_mut(factor.len()) {
        for ((x, factor), shift) in row.iter_mut().zip(factor).zip(shift) {
            *x = x.mul_add(*factor, *shift);
        }
    }
}

leveled! {
    /// z += the scores of the rows.
    pub(crate) fn forward_at(at: Level; rows: &[f32], stride: usize, coefs: &[f32], z: &mut [Lanes]) => {
        avx512: forward_body::<WideAvx512>, avx2: forward_body::<WideAvx2>, baseline: forward_body::<Wide>,
    }
}
#[inline(always)]
fn forward_body<V: WideVector>(rows: &[f32], stride: usize, coefs: &[f32], z: &mut [Lanes]) {
    /// Rows at a time, so that there are chains enough.
    const R: usize = 4;
    let groups = z.len() / (coefs.len() / stride);
    let last = rows.len() / stride - 1;
    for first in (0..=last).step_by(R) {
        let rows: [&[Wide]; R] =
            std::array::from_fn(|r| rows[(first + r).min(last) * stride..][..stride].as_chunks().0);
        for (coef, z) in coefs.chunks_exact(stride).zip(z.chunks_exact_mut(groups)) {
            let mut acc = [V::splat(0.0); R];
            for (v, coef) in coef.as_chunks().0.iter().enumerate() {
                let coef = V::load(coef);
                for r in 0..R {
                    acc[r] = acc[r].fma(V::load(&rows[r][v]), coef);
                }
            }
            for r in 0..R.min(last + 1 - first) {
                let mut row = [0.0; WIDE];
                acc[r].store(&mut row);
                z[(first + r) / LANES][(first + r) % LANES] += f64::from(sum(&row));
            }
        }
    }
}

/// See [`forward_at`].
pub(crate) fn forward(rows: &[f32], stride: usize, coefs: &[f32], z: &mut [Lanes]) {
    forward_at(Level::Avx512, rows, stride, coefs, z);
}

/// The sum of sixteen numbers, always in the same order.
#[inline(always)]
fn sum(a: &Wide) -> f32 {
    let a: [f32; 8] = std::array::from_fn(|l| a[l] + a[l + 8]);
    let a: [f32; 4] = std::array::from_fn(|l| a[l] + a[l + 4]);
    (a[0] + a[2]) + (a[1] + a[3])
}

leveled! {
    /// `sums[k * stride + j]` = Σ residual x over the rows.
    pub(crate) fn backward(rows: &[f32], stride: usize, residuals: &[Lanes], sums: &mut [f32]) => backward_body
}
#[inline(always)]
fn backward_body(rows: &[f32], stride: usize, residuals: &[Lanes], sums: &mut [f32]) {
    /// Rows at a time, so that sums are read and written less.
    const R: usize = 4;
    let groups = residuals.len() / (sums.len() / stride);
    sums.fill(0.0);
    let whole = rows.chunks_exact(R * stride);
    let (rest, first) = (whole.remainder(), rows.len() / (R * stride) * R);
    for (i, rows) in whole.enumerate() {
        let (a, rows) = rows.split_at(stride);
        let (b, rows) = rows.split_at(stride);
        let (c, d) = rows.split_at(stride);
        let d = &d[..stride];
        for (sums, r) in sums.chunks_exact_mut(stride).zip(residuals.chunks_exact(groups)) {
            let r = &r.as_flattened()[i * R..][..R];
            let r: [f32; R] = std::array::from_fn(|i| r[i] as f32);
            for (j, sum) in sums.iter_mut().enumerate() {
                let x = b[j].mul_add(r[1], a[j].mul_add(r[0], *sum));
                *sum = d[j].mul_add(r[3], c[j].mul_add(r[2], x));
            }
        }
    }
    for (i, row) in rest.chunks_exact(stride).enumerate() {
        for (sums, r) in sums.chunks_exact_mut(stride).zip(residuals.chunks_exact(groups)) {
            let r = r.as_flattened()[first + i] as f32;
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum = x.mul_add(r, *sum));
        }
    }
}
