//! The arithmetic of a pass over rows as they lie in an array of f64, eight features side by side.
//!
//! ```text
//! z = intercept + (coef / scale)ᵀ (x - center),    gradient = Σ (x - center) residual / scale
//! ```
//!
//! Nothing is copied, scaled or exchanged, so a pass over a table larger than the cache takes little more than reading it. Only
//! designs whose dense features are one such array are done so ([`Flat::of`]); all others go through a [`Tile`](crate::tile::Tile).
//!
//! A row is read in vectors of eight features. If their number is no multiple of eight the last vector is the last
//! eight features, of which those that were in the vector before have coefficients of 0, and gradients that nobody looks at.

use xent::leveled;
use xent::simd::{Level, prefetch_second};

use crate::design::{Block, Design};
use crate::kernel::{LANES, Lanes, ZERO, sum};
use crate::scaling::Scaling;
#[cfg(target_arch = "x86_64")]
use crate::vector::{Avx2, Avx512};
use crate::vector::{Plain, Vector};

/// Rows of numbers, one after another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flat<'a> {
    pub rows: &'a [f64],
    pub width: usize,
    /// The first of its features.
    pub feature: usize,
}

impl<'a> Flat<'a> {
    /// The dense features of a design, if they are one array of at least eight columns.
    pub fn of(design: &Design<'a>) -> Option<Self> {
        let mut feature = 0;
        let mut found = None;
        for block in design.blocks() {
            if block.is_dense() {
                let Block::F64(view) = block else { return None };
                if found.is_some() || view.n_cols() < LANES {
                    return None;
                }
                found = Some(Self { rows: view.as_rows()?, width: view.n_cols(), feature });
            }
            feature += block.width();
        }
        found
    }

    /// Rows that are read together: they stay in the first-level cache from the first product to the second.
    pub fn height(&self) -> usize {
        (2_400 / self.width / LANES * LANES).clamp(LANES, 128)
    }
}

/// Numbers of the features of a row in vectors.
fn vectors(numbers: &[f64]) -> Vec<Lanes> {
    let (whole, rest) = numbers.as_chunks::<LANES>();
    let mut vectors = whole.to_vec();
    if !rest.is_empty() {
        let mut last = ZERO;
        last[LANES - rest.len()..].copy_from_slice(rest);
        vectors.push(last);
    }
    vectors
}

/// The inverse of [`vectors`].
fn numbers(vectors: impl Iterator<Item = Lanes>, width: usize, mut each: impl FnMut(usize, f64)) {
    for (v, vector) in vectors.enumerate() {
        let first = (v * LANES).min(width - LANES);
        for l in v * LANES - first..LANES {
            each(first + l, vector[l]);
        }
    }
}

/// The center of each feature; of the last vector whole.
fn centers(flat: &Flat<'_>, scaling: &Scaling) -> Vec<Lanes> {
    let center = &scaling.center[flat.feature..flat.feature + flat.width];
    let mut vectors = vectors(center);
    if let (Some(last), Some(tail)) = (vectors.last_mut(), center.last_chunk()) {
        *last = *tail;
    }
    vectors
}

/// Parameters of the dense features and the intercept as the forward product wants them.
pub(crate) struct Coefs {
    outputs: usize,
    center: Vec<Lanes>,
    /// Divided by the scale: `coef[vector * outputs + k]`.
    coef: Vec<Lanes>,
    intercept: Vec<f64>,
}

impl Coefs {
    /// Of `params[j * outputs + k]`.
    pub fn new(flat: &Flat<'_>, scaling: &Scaling, params: &[f64], outputs: usize) -> Self {
        let (width, inverse) = (flat.width, &scaling.inverse[flat.feature..]);
        let center = centers(flat, scaling);
        let mut coef = vec![ZERO; center.len() * outputs];
        for k in 0..outputs {
            let scaled = (0..width).map(|j| params[j * outputs + k] * inverse[j]);
            let scaled = vectors(&scaled.collect::<Vec<f64>>());
            for (coef, vector) in coef[k..].iter_mut().step_by(outputs).zip(scaled) {
                *coef = vector;
            }
        }
        let intercept = params[width * outputs..(width + 1) * outputs].to_vec();
        Self { outputs, center, coef, intercept }
    }
}

/// Sums over rows for the gradient, of a part.
pub(crate) struct Sums {
    outputs: usize,
    center: Vec<Lanes>,
    /// `features[vector * outputs + k]`.
    features: Vec<Lanes>,
    intercept: Vec<f64>,
}

impl Sums {
    pub fn new(flat: &Flat<'_>, scaling: &Scaling, outputs: usize) -> Self {
        let center = centers(flat, scaling);
        let features = vec![ZERO; center.len() * outputs];
        Self { outputs, center, features, intercept: vec![0.0; outputs] }
    }

    /// To `sums[j * outputs + k]`, in the coordinates of the scaling, and back to 0.
    pub fn take(&mut self, flat: &Flat<'_>, scaling: &Scaling, sums: &mut [f64]) {
        let (m, width) = (self.outputs, flat.width);
        let inverse = &scaling.inverse[flat.feature..];
        for k in 0..m {
            let features = self.features[k..].iter().step_by(m).copied();
            numbers(features, width, |j, x| sums[j * m + k] = x * inverse[j]);
        }
        sums[width * m..(width + 1) * m].copy_from_slice(&self.intercept);
        self.features.fill(ZERO);
        self.intercept.fill(0.0);
    }
}

/// The last eight numbers of a row.
#[inline(always)]
fn tail(row: &[f64]) -> &Lanes {
    row.last_chunk().unwrap_or(&ZERO)
}

leveled! {
    /// z += the scores of the rows; behind the last there are copies of it up to a whole group.
    pub(crate) fn forward_at(at: Level; rows: &[f64], width: usize, coefs: &Coefs, z: &mut [Lanes]) => {
        avx512: forward_body::<Avx512>, avx2: forward_body::<Avx2>, baseline: forward_body::<Plain>,
    }
}
#[inline(always)]
fn forward_body<V: Vector>(rows: &[f64], width: usize, coefs: &Coefs, z: &mut [Lanes]) {
    let m = coefs.outputs;
    let mut k = 0;
    while k < m {
        match m - k {
            1 => forward_outputs::<V, 1>(rows, width, coefs, k, z),
            2 => forward_outputs::<V, 2>(rows, width, coefs, k, z),
            3 => forward_outputs::<V, 3>(rows, width, coefs, k, z),
            4 => forward_outputs::<V, 4>(rows, width, coefs, k, z),
            _ => forward_outputs::<V, 5>(rows, width, coefs, k, z),
        }
        k += (m - k).min(5);
    }
}

#[inline(always)]
fn forward_outputs<V: Vector, const K: usize>(
    rows: &[f64],
    width: usize,
    coefs: &Coefs,
    k: usize,
    z: &mut [Lanes],
) {
    /// Rows at a time, so that there are chains enough.
    const R: usize = 4;
    let m = coefs.outputs;
    let groups = z.len() / m;
    let whole = width / LANES;
    let last = rows.len() / width - 1;
    // So that memory never waits: half of the chunk after this one is asked for now, half during the second product.
    let ahead = rows.len();
    for g in 0..groups {
        let mut sums = [[ZERO; LANES]; K];
        for first in [0, R] {
            let rows: [&[f64]; R] = std::array::from_fn(|r| {
                &rows[(g * LANES + first + r).min(last) * width..][..width]
            });
            let vectors: [&[Lanes]; R] = std::array::from_fn(|r| &rows[r].as_chunks().0[..whole]);
            let mut acc = [[V::splat(0.0); R]; K];
            let coefs = coefs.center.iter().zip(coefs.coef.chunks_exact(m));
            for (v, (center, coef)) in coefs.clone().take(whole).enumerate() {
                let x = std::array::from_fn(|r| &vectors[r][v]);
                forward_step::<V, K, R>(&mut acc, x, center, &coef[k..k + K], ahead);
            }
            if width > whole * LANES {
                for (center, coef) in coefs.skip(whole) {
                    let x = std::array::from_fn(|r| tail(rows[r]));
                    forward_step::<V, K, R>(&mut acc, x, center, &coef[k..k + K], ahead);
                }
            }
            for i in 0..K {
                for r in 0..R {
                    acc[i][r].store(&mut sums[i][first + r]);
                }
            }
        }
        for i in 0..K {
            let (sums, z) = (V::sums(&sums[i]), &mut z[(k + i) * groups + g]);
            for l in 0..LANES {
                z[l] += coefs.intercept[k + i] + sums[l];
            }
        }
    }
}

#[inline(always)]
fn forward_step<V: Vector, const K: usize, const R: usize>(
    acc: &mut [[V; R]; K],
    x: [&Lanes; R],
    center: &Lanes,
    coef: &[Lanes],
    ahead: usize,
) {
    let center = V::load(center);
    let mut off = [center; R];
    for r in 0..R {
        if r < R / 2 {
            prefetch_second(x[r], ahead);
        }
        off[r] = V::load(x[r]).minus(center);
    }
    for i in 0..K {
        let coef = V::load(&coef[i]);
        for r in 0..R {
            acc[i][r] = acc[i][r].fma(coef, off[r]);
        }
    }
}

/// See [`forward_at`].
pub(crate) fn forward(rows: &[f64], width: usize, coefs: &Coefs, z: &mut [Lanes]) {
    forward_at(Level::Avx512, rows, width, coefs, z);
}

leveled! {
    /// sums += Σ (x - center) residual over the rows; residuals behind the last row are 0. Also the moments of rows without
    /// weights, with the bits that [`Moments::add`] gives.
    pub(crate) fn backward_at(at: Level; rows: &[f64], width: usize, residuals: &[Lanes], sums: &mut Sums, moments: Option<&mut Moments>) => {
        avx512: backward_body::<Avx512>, avx2: backward_body::<Avx2>, baseline: backward_body::<Plain>,
    }
}
#[inline(always)]
fn backward_body<V: Vector>(
    rows: &[f64],
    width: usize,
    residuals: &[Lanes],
    sums: &mut Sums,
    mut moments: Option<&mut Moments>,
) {
    let m = sums.outputs;
    let groups = residuals.len() / m;
    for (intercept, residuals) in sums.intercept.iter_mut().zip(residuals.chunks_exact(groups)) {
        let mut acc = ZERO;
        for r in residuals {
            for l in 0..LANES {
                acc[l] += r[l];
            }
        }
        *intercept += sum(&acc);
    }
    let mut k = 0;
    while k < m {
        // Once is enough.
        let own = moments.take();
        match m - k {
            1 => backward_features::<V, 1>(rows, width, residuals, k, sums, own),
            2 => backward_features::<V, 2>(rows, width, residuals, k, sums, own),
            3 => backward_features::<V, 3>(rows, width, residuals, k, sums, own),
            4 => backward_features::<V, 4>(rows, width, residuals, k, sums, own),
            _ => backward_features::<V, 5>(rows, width, residuals, k, sums, own),
        }
        k += (m - k).min(5);
    }
}

/// As many vectors at once as there are registers for: fewer would wait for themselves.
#[inline(always)]
fn backward_features<V: Vector, const K: usize>(
    rows: &[f64],
    width: usize,
    residuals: &[Lanes],
    k: usize,
    sums: &mut Sums,
    moments: Option<&mut Moments>,
) {
    let mut none = Moments { center: Vec::new(), means: Vec::new(), squares: Vec::new() };
    match moments {
        Some(own) => backward_blocks::<V, K, true>(rows, width, residuals, k, sums, own),
        None => backward_blocks::<V, K, false>(rows, width, residuals, k, sums, &mut none),
    }
}

#[inline(always)]
fn backward_blocks<V: Vector, const K: usize, const MOMENTS: bool>(
    rows: &[f64],
    width: usize,
    residuals: &[Lanes],
    k: usize,
    sums: &mut Sums,
    own: &mut Moments,
) {
    let (n, whole) = (sums.center.len(), width / LANES);
    let mut v = 0;
    while K == 1 && !MOMENTS && v + 8 <= whole {
        backward_block::<V, 8, 0, K, MOMENTS>(rows, width, residuals, k, v, sums, own);
        v += 8;
    }
    while (K <= 2 || !MOMENTS) && v + 4 <= whole {
        backward_block::<V, 4, 0, K, MOMENTS>(rows, width, residuals, k, v, sums, own);
        v += 4;
    }
    if (K <= 2 || !MOMENTS) && v + 4 == n {
        backward_block::<V, 4, 1, K, MOMENTS>(rows, width, residuals, k, v, sums, own);
        return;
    }
    while v + 2 <= whole {
        backward_block::<V, 2, 0, K, MOMENTS>(rows, width, residuals, k, v, sums, own);
        v += 2;
    }
    match (n - v, n - whole) {
        (2, _) => backward_block::<V, 2, 1, K, MOMENTS>(rows, width, residuals, k, v, sums, own),
        (1, 1) => backward_block::<V, 1, 1, K, MOMENTS>(rows, width, residuals, k, v, sums, own),
        (1, _) => backward_block::<V, 1, 0, K, MOMENTS>(rows, width, residuals, k, v, sums, own),
        _ => {}
    }
}

/// J vectors at once, of which the last T are the tail of a row.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn backward_block<
    V: Vector,
    const J: usize,
    const T: usize,
    const K: usize,
    const MOMENTS: bool,
>(
    rows: &[f64],
    width: usize,
    residuals: &[Lanes],
    k: usize,
    v: usize,
    sums: &mut Sums,
    moments: &mut Moments,
) {
    let m = sums.outputs;
    let n = residuals.len() / m * LANES;
    let residuals: [&[f64]; K] =
        std::array::from_fn(|i| &residuals.as_flattened()[(k + i) * n..][..n]);
    let from: [usize; J] = std::array::from_fn(|a| ((v + a) * LANES).min(width - LANES));
    let (zero, one) = (V::splat(0.0), V::splat(1.0));
    let mut center = [zero; J];
    for a in 0..J {
        center[a] = V::load(&sums.center[v + a]);
    }
    let mut acc = [[zero; K]; J];
    let (mut means, mut squares) = ([zero; J], [zero; J]);
    for (i, row) in rows.chunks_exact(width).enumerate() {
        let vectors = if T == 0 { row[from[0]..][..J * LANES].as_chunks().0 } else { &[] };
        let mut r = [zero; K];
        for b in 0..K {
            r[b] = V::splat(residuals[b][i]);
        }
        for a in 0..J {
            let x =
                if T == 0 { &vectors[a] } else { row[from[a]..].first_chunk().unwrap_or(&ZERO) };
            if i & 2 != 0 {
                prefetch_second(x, rows.len());
            }
            let off = V::load(x).minus(center[a]);
            for b in 0..K {
                acc[a][b] = acc[a][b].fma(r[b], off);
            }
            if MOMENTS {
                means[a] = means[a].fma(one, off);
                squares[a] = squares[a].fma(off, off);
            }
        }
    }
    for a in 0..J {
        for b in 0..K {
            let out = &mut sums.features[(v + a) * m + k + b];
            V::load(out).fma(one, acc[a][b]).store(out);
        }
        if MOMENTS {
            let (mean, square) = (&mut moments.means[v + a], &mut moments.squares[v + a]);
            V::load(mean).fma(one, means[a]).store(mean);
            V::load(square).fma(one, squares[a]).store(square);
        }
    }
}

/// See [`backward_at`].
pub(crate) fn backward(
    rows: &[f64],
    width: usize,
    residuals: &[Lanes],
    sums: &mut Sums,
    moments: Option<&mut Moments>,
) {
    backward_at(Level::Avx512, rows, width, residuals, sums, moments);
}

/// Σ w (x - center) and Σ w (x - center)² of each feature, of a part.
pub(crate) struct Moments {
    center: Vec<Lanes>,
    means: Vec<Lanes>,
    squares: Vec<Lanes>,
}

impl Moments {
    pub fn new(flat: &Flat<'_>, scaling: &Scaling) -> Self {
        let center = centers(flat, scaling);
        let zeros = vec![ZERO; center.len()];
        Self { center, means: zeros.clone(), squares: zeros }
    }

    /// Adds rows with their weights.
    pub fn add(&mut self, rows: &[f64], width: usize, weights: Option<&[f64]>) {
        add_moments(Level::Avx512, rows, width, weights, self);
    }

    /// Of each feature, and back to 0.
    pub fn take(&mut self, means: &mut [f64], squares: &mut [f64]) {
        let width = means.len();
        numbers(self.means.iter().copied(), width, |j, x| means[j] = x);
        numbers(self.squares.iter().copied(), width, |j, x| squares[j] = x);
        self.means.fill(ZERO);
        self.squares.fill(ZERO);
    }
}

leveled! {
    fn add_moments(at: Level; rows: &[f64], width: usize, weights: Option<&[f64]>, moments: &mut Moments) => {
        avx512: moments_body::<Avx512>, avx2: moments_body::<Avx2>, baseline: moments_body::<Plain>,
    }
}
#[inline(always)]
fn moments_body<V: Vector>(
    rows: &[f64],
    width: usize,
    weights: Option<&[f64]>,
    moments: &mut Moments,
) {
    match weights {
        None => moments_features::<V, false>(rows, width, &[], moments),
        Some(weights) => moments_features::<V, true>(rows, width, weights, moments),
    }
}

#[inline(always)]
fn moments_features<V: Vector, const WEIGHTED: bool>(
    rows: &[f64],
    width: usize,
    weights: &[f64],
    moments: &mut Moments,
) {
    let n = moments.center.len();
    let mut v = 0;
    while v + 4 <= n {
        moments_block::<V, 4, WEIGHTED>(rows, width, weights, v, moments);
        v += 4;
    }
    while v < n {
        moments_block::<V, 1, WEIGHTED>(rows, width, weights, v, moments);
        v += 1;
    }
}

#[inline(always)]
fn moments_block<V: Vector, const J: usize, const WEIGHTED: bool>(
    rows: &[f64],
    width: usize,
    weights: &[f64],
    v: usize,
    moments: &mut Moments,
) {
    let from: [usize; J] = std::array::from_fn(|a| ((v + a) * LANES).min(width - LANES));
    let (zero, one) = (V::splat(0.0), V::splat(1.0));
    let (mut center, mut means, mut squares) = ([zero; J], [zero; J], [zero; J]);
    for a in 0..J {
        center[a] = V::load(&moments.center[v + a]);
    }
    for (i, row) in rows.chunks_exact(width).enumerate() {
        let w = if WEIGHTED { V::splat(weights[i]) } else { one };
        for a in 0..J {
            let x = row[from[a]..].first_chunk().unwrap_or(&ZERO);
            prefetch_second(x, rows.len());
            let off = V::load(x).minus(center[a]);
            let weighted = if WEIGHTED { zero.fma(w, off) } else { off };
            means[a] = means[a].fma(one, weighted);
            squares[a] = squares[a].fma(weighted, off);
        }
    }
    for a in 0..J {
        for (part, sums) in
            [(means[a], &mut moments.means[v + a]), (squares[a], &mut moments.squares[v + a])]
        {
            V::load(sums).fma(one, part).store(sums);
        }
    }
}
