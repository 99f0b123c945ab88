//! The arithmetic of a pass over a tile: eight rows side by side, one fused multiply-add after another.
//!
//! Arrays are vectors of [`Lanes`]: `tile[g * stride + j]` is feature `j` of rows `8 g ..`, `z[k * groups + g]` output `k`.
//! A row's outputs depend on the row only; a gradient's on the rows of the tile in their order.

use xent::elementary::{exp, ln_1p};
use xent::leveled;
use xent::simd::Level;

#[cfg(target_arch = "x86_64")]
use crate::vector::{Avx2, Avx512};
use crate::vector::{Plain, Vector};

/// Rows side by side.
pub(crate) const LANES: usize = 8;
/// A number for each of eight rows.
pub(crate) type Lanes = [f64; LANES];
pub(crate) const ZERO: Lanes = [0.0; LANES];

/// The sum of eight lanes, always in the same order.
#[inline(always)]
pub(crate) fn sum(a: &Lanes) -> f64 {
    let half: [f64; 4] = std::array::from_fn(|l| a[l] + a[l + 4]);
    (half[0] + half[2]) + (half[1] + half[3])
}

leveled! {
    /// z += coefᵀ tile, over as many features as there are coefficients: `coef[j * outputs + k]`.
    pub(crate) fn forward_at(at: Level; tile: &[Lanes], stride: usize, coef: &[f64], outputs: usize, z: &mut [Lanes]) => {
        avx512: forward_body::<Avx512>, avx2: forward_body::<Avx2>, baseline: forward_body::<Plain>,
    }
}
#[inline(always)]
fn forward_body<V: Vector>(
    tile: &[Lanes],
    stride: usize,
    coef: &[f64],
    outputs: usize,
    z: &mut [Lanes],
) {
    let groups = z.len() / outputs;
    let mut k = 0;
    while k < outputs {
        match outputs - k {
            1 => forward_groups::<V, 1, 8>(tile, stride, groups, coef, outputs, k, z),
            2 => forward_groups::<V, 2, 4>(tile, stride, groups, coef, outputs, k, z),
            3 => forward_groups::<V, 3, 4>(tile, stride, groups, coef, outputs, k, z),
            4 => forward_groups::<V, 4, 4>(tile, stride, groups, coef, outputs, k, z),
            _ => forward_groups::<V, 5, 4>(tile, stride, groups, coef, outputs, k, z),
        }
        k += (outputs - k).min(5);
    }
}

#[inline(always)]
fn forward_groups<V: Vector, const K: usize, const G: usize>(
    tile: &[Lanes],
    stride: usize,
    groups: usize,
    coef: &[f64],
    outputs: usize,
    k: usize,
    z: &mut [Lanes],
) {
    let mut g = 0;
    while g + G <= groups {
        forward_block::<V, K, G>(tile, stride, groups, coef, outputs, k, g, z);
        g += G;
    }
    while g < groups {
        forward_block::<V, K, 1>(tile, stride, groups, coef, outputs, k, g, z);
        g += 1;
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn forward_block<V: Vector, const K: usize, const G: usize>(
    tile: &[Lanes],
    stride: usize,
    groups: usize,
    coef: &[f64],
    outputs: usize,
    k: usize,
    g: usize,
    z: &mut [Lanes],
) {
    let width = coef.len() / outputs;
    let mut acc = [[V::splat(0.0); G]; K];
    for i in 0..K {
        for h in 0..G {
            acc[i][h] = V::load(&z[(k + i) * groups + g + h]);
        }
    }
    let rows: [&[Lanes]; G] = std::array::from_fn(|h| &tile[(g + h) * stride..][..width]);
    for (j, coef) in coef.chunks_exact(outputs).enumerate() {
        let coef = &coef[k..k + K];
        let mut x = [V::splat(0.0); G];
        for h in 0..G {
            x[h] = V::load(&rows[h][j]);
        }
        for i in 0..K {
            let coef = V::splat(coef[i]);
            for h in 0..G {
                acc[i][h] = acc[i][h].fma(coef, x[h]);
            }
        }
    }
    for i in 0..K {
        for h in 0..G {
            acc[i][h].store(&mut z[(k + i) * groups + g + h]);
        }
    }
}

/// See [`forward_at`].
pub(crate) fn forward(
    tile: &[Lanes],
    stride: usize,
    coef: &[f64],
    outputs: usize,
    z: &mut [Lanes],
) {
    forward_at(Level::Avx512, tile, stride, coef, outputs, z);
}

leveled! {
    /// gradient += tile residualsᵀ, over as many features as there are in it: `gradient[j * outputs + k]`.
    pub(crate) fn backward_at(at: Level; tile: &[Lanes], stride: usize, residuals: &[Lanes], outputs: usize, gradient: &mut [f64]) => {
        avx512: backward_body::<Avx512>, avx2: backward_body::<Avx2>, baseline: backward_body::<Plain>,
    }
}
#[inline(always)]
fn backward_body<V: Vector>(
    tile: &[Lanes],
    stride: usize,
    residuals: &[Lanes],
    outputs: usize,
    gradient: &mut [f64],
) {
    let mut k = 0;
    while k < outputs {
        match outputs - k {
            1 => backward_features::<V, 8, 1>(tile, stride, residuals, outputs, k, gradient),
            2 => backward_features::<V, 4, 2>(tile, stride, residuals, outputs, k, gradient),
            3 => backward_features::<V, 4, 3>(tile, stride, residuals, outputs, k, gradient),
            4 => backward_features::<V, 4, 4>(tile, stride, residuals, outputs, k, gradient),
            _ => backward_features::<V, 4, 5>(tile, stride, residuals, outputs, k, gradient),
        }
        k += (outputs - k).min(5);
    }
}

#[inline(always)]
fn backward_features<V: Vector, const J: usize, const K: usize>(
    tile: &[Lanes],
    stride: usize,
    residuals: &[Lanes],
    outputs: usize,
    k: usize,
    gradient: &mut [f64],
) {
    let width = gradient.len() / outputs;
    let mut j = 0;
    while j + J <= width {
        backward_block::<V, J, K>(tile, stride, residuals, outputs, k, j, gradient);
        j += J;
    }
    while j < width {
        backward_block::<V, 1, K>(tile, stride, residuals, outputs, k, j, gradient);
        j += 1;
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn backward_block<V: Vector, const J: usize, const K: usize>(
    tile: &[Lanes],
    stride: usize,
    residuals: &[Lanes],
    outputs: usize,
    k: usize,
    j: usize,
    gradient: &mut [f64],
) {
    let mut acc = [[V::splat(0.0); K]; J];
    // All outputs of the array are as long, whichever of them are meant here.
    let groups = residuals.len() / outputs;
    let residuals: [&[Lanes]; K] =
        std::array::from_fn(|i| &residuals[(k + i) * groups..][..groups]);
    for (g, tile) in tile.chunks(stride).take(groups).enumerate() {
        let tile = &tile[j..j + J];
        let mut r = [V::splat(0.0); K];
        for b in 0..K {
            r[b] = V::load(&residuals[b][g]);
        }
        for a in 0..J {
            let x = V::load(&tile[a]);
            for b in 0..K {
                acc[a][b] = acc[a][b].fma(r[b], x);
            }
        }
    }
    for a in 0..J {
        for b in 0..K {
            let mut lanes = ZERO;
            acc[a][b].store(&mut lanes);
            gradient[(j + a) * outputs + k + b] += sum(&lanes);
        }
    }
}

/// See [`backward_at`].
pub(crate) fn backward(
    tile: &[Lanes],
    stride: usize,
    residuals: &[Lanes],
    outputs: usize,
    gradient: &mut [f64],
) {
    backward_at(Level::Avx512, tile, stride, residuals, outputs, gradient);
}

leveled! {
    /// Of one output: cross entropy (into `loss`), probability (into `z`), for targets in [0, 1].
    ///
    /// ```text
    /// t = e^{-|z|},  p = (1 or t) / (1 + t),  loss = max(z, 0) + ln(1 + t) - y z
    /// ```
    pub(crate) fn sigmoid_link(z: &mut [Lanes], y: &[Lanes], loss: &mut [Lanes]) => sigmoid_body
}
#[inline(always)]
fn sigmoid_body(z: &mut [Lanes], y: &[Lanes], loss: &mut [Lanes]) {
    for ((z, y), loss) in z.iter_mut().zip(y).zip(loss) {
        for l in 0..LANES {
            let x = z[l];
            let t = exp(-x.abs());
            let up = if x > 0.0 { 1.0 } else { t };
            z[l] = up / (1.0 + t);
            loss[l] += (if x > 0.0 { x } else { 0.0 }) + ln_1p(t) - y[l] * x;
        }
    }
}

leveled! {
    /// The softmax of `outputs` logits, and of one more that is 0 if `reference`: probabilities into `z`, and
    /// the logarithm of the sum of exponentials into `tail`.
    pub(crate) fn softmax_link(z: &mut [Lanes], groups: usize, outputs: usize, reference: bool, tail: &mut [Lanes]) => softmax_body
}
#[inline(always)]
fn softmax_body(
    z: &mut [Lanes],
    groups: usize,
    outputs: usize,
    reference: bool,
    tail: &mut [Lanes],
) {
    for g in 0..groups {
        let mut max = if reference { ZERO } else { z[g] };
        for k in 0..outputs {
            let x = &z[k * groups + g];
            for l in 0..LANES {
                max[l] = if x[l] > max[l] { x[l] } else { max[l] };
            }
        }
        let mut total = ZERO;
        if reference {
            for l in 0..LANES {
                total[l] = exp(-max[l]);
            }
        }
        for k in 0..outputs {
            let x = &mut z[k * groups + g];
            for l in 0..LANES {
                x[l] = exp(x[l] - max[l]);
                total[l] += x[l];
            }
        }
        for l in 0..LANES {
            // The sum is at least 1: the largest term is.
            tail[g][l] = max[l] + ln_1p(total[l] - 1.0);
            total[l] = 1.0 / total[l];
        }
        for k in 0..outputs {
            let x = &mut z[k * groups + g];
            for l in 0..LANES {
                x[l] *= total[l];
            }
        }
    }
}

/// Adds Σ q x_i x_j over the rows for each pair of features j <= i to `sums[i (i + 1) / 2 + j]`; a few more
/// pairs may be computed and dropped. `weighted` is as large as the tile.
pub(crate) fn add_gram(
    tile: &[Lanes],
    stride: usize,
    width: usize,
    q: &[Lanes],
    weighted: &mut Vec<Lanes>,
    sums: &mut [f64],
) {
    const BLOCK: usize = 4;
    let groups = q.len();
    // Feature after feature, as residuals stand.
    weighted.clear();
    weighted.resize(width.next_multiple_of(BLOCK) * groups, ZERO);
    weigh(tile, stride, width, q, weighted);
    let mut rows = vec![0.0; width * BLOCK];
    for i in (0..width).step_by(BLOCK) {
        let last = (i + BLOCK).min(width);
        let rows = &mut rows[..last * BLOCK];
        rows.fill(0.0);
        backward(tile, stride, &weighted[i * groups..(i + BLOCK) * groups], BLOCK, rows);
        for a in i..last {
            let out = &mut sums[a * (a + 1) / 2..][..=a];
            for (out, row) in out.iter_mut().zip(rows.chunks_exact(BLOCK)) {
                *out += row[a - i];
            }
        }
    }
}

leveled! {
    fn weigh(tile: &[Lanes], stride: usize, width: usize, q: &[Lanes], out: &mut [Lanes]) => weigh_body
}
#[inline(always)]
fn weigh_body(tile: &[Lanes], stride: usize, width: usize, q: &[Lanes], out: &mut [Lanes]) {
    let groups = q.len();
    for (g, tile) in tile.chunks(stride).take(groups).enumerate() {
        for (j, x) in tile[..width].iter().enumerate() {
            let out = &mut out[j * groups + g];
            for l in 0..LANES {
                out[l] = q[g][l] * x[l];
            }
        }
    }
}

leveled! {
    /// Σ a b, always in the same order.
    pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 => dot_body
}
#[inline(always)]
pub(crate) fn dot_body(a: &[f64], b: &[f64]) -> f64 {
    const CHAINS: usize = 4;
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let mut acc = [ZERO; CHAINS];
    let (wide, rest) = a.as_chunks::<{ CHAINS * LANES }>();
    let (wide_b, rest_b) = b.as_chunks::<{ CHAINS * LANES }>();
    for (a, b) in wide.iter().zip(wide_b) {
        for c in 0..CHAINS {
            for l in 0..LANES {
                acc[c][l] = a[c * LANES + l].mul_add(b[c * LANES + l], acc[c][l]);
            }
        }
    }
    let mut last = ZERO;
    for (a, b) in rest.chunks(LANES).zip(rest_b.chunks(LANES)) {
        for (l, (a, b)) in a.iter().zip(b).enumerate() {
            last[l] = a.mul_add(*b, last[l]);
        }
    }
    ((sum(&acc[0]) + sum(&acc[1])) + (sum(&acc[2]) + sum(&acc[3]))) + sum(&last)
}

leveled! {
    /// Σ w x; a weight of 0 leaves x out, whatever it is.
    pub(crate) fn weighted_sum(w: &[Lanes], x: &[Lanes]) -> f64 => weighted_sum_body
}
#[inline(always)]
fn weighted_sum_body(w: &[Lanes], x: &[Lanes]) -> f64 {
    let mut acc = ZERO;
    for (w, x) in w.iter().zip(x) {
        for l in 0..LANES {
            acc[l] += if w[l] == 0.0 { 0.0 } else { w[l] * x[l] };
        }
    }
    sum(&acc)
}

leveled! {
    /// 1 where a row has the class, else 0.
    pub(crate) fn indicate(classes: &[u32], class: u32, y: &mut [f64]) => indicate_body
}
#[inline(always)]
fn indicate_body(classes: &[u32], class: u32, y: &mut [f64]) {
    for (y, c) in y.iter_mut().zip(classes) {
        // Not a branch, which could not be foretold.
        *y = f64::from(i32::from(*c == class));
    }
}
