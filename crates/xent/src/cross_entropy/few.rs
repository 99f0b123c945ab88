//! Rows of two to four classes, in f32: columns of many rows, and no exponential for the target.
//!
//! ```text
//! d_c = x_c - x_y,   rest = sum_{c != y} e^d_c,   loss = ln(1 + rest)
//! ```
//!
//! Differences and the sum are kept in two parts, what is rounded and what that lost, so only the terms are rounded to f32: three
//! exponentials and a division less than dividing by the target's own term, as rows of more classes do, and sixteen rows at a time
//! instead of eight. Rows whose numbers leave the range go the way of odd rows.

use std::ops::Range;

use super::hard::{Wants, count_ahead};
use super::{BATCH, Batch, Io, general};
use crate::element::Element;
use crate::elementary::{self, WHOLE32, fma32};
use crate::exponentials::{self, Arithmetic};
use crate::simd::{self, leveled};
use crate::view::View;

/// Rows of at most this many classes are few.
const FEW: usize = 4;
/// Rows are computed in whole groups of this many; what is behind the last row is computed for nothing.
const LANES: usize = 16;
/// Terms are 2^24 e^d: from e^-84 to e^71 they and their sum have all their bits.
const RAISE: f32 = 16_777_216.0;
const RAISE_BITS: u32 = 24 << 23;
/// Of a smaller d the raised term is taken for 0: -151 ln 2.
const FLOOR: f32 = -104.665_22;
/// Rows with a larger d are odd: 103 ln 2.
const CEILING: f32 = 71.393_16;
/// Targets beyond this are odd: the bounds of d would not be what they say.
const FAR: f32 = 65_536.0;
/// Sums in range: from 2^-96, where what is flushed to 0 does not count, to 2^126.
const LEAST: u32 = (127 - 96) << 23;
const MOST: u32 = (127 + 126) << 23;
/// 2^24 sqrt(1/2): sums with the target are taken from here to its double.
const SPLIT: u32 = 0x3f35_04f3 + RAISE_BITS;
const ONE: u32 = 127 << 23;
/// Minimax fit of (ln(1+f) - f + f^2/2) / f^3 from sqrt(1/2) to sqrt(2), relative to the logarithm within 2^-27.
const L: [f32; 8] = [
    0.333_334_03,
    -0.250_010_9,
    0.199_982_48,
    -0.166_135_48,
    0.142_378_58,
    -0.132_706_64,
    0.126_332_6,
    -0.072_583_05,
];

/// Whether rows of v classes are scored here.
pub(super) fn are_few(v: usize) -> bool {
    matches!(v, 2..=FEW)
}

/// Memory of the way.
pub(super) struct Scratch {
    /// Rows that do not lie side by side, or are not f32.
    numbers: [f32; FEW * BATCH],
    /// Gradients that do not go straight to where they belong.
    gradient: [f32; FEW * BATCH],
    columns: Columns,
}

/// A number a row each.
struct Columns {
    /// The logit of the target.
    target: [f32; BATCH],
    /// The logits of the others in their order, then their terms.
    others: [[f32; BATCH]; FEW - 1],
    /// The sum of the terms, and what it lost.
    sum: [f32; BATCH],
    low: [f32; BATCH],
    /// ln(1 + rest) = whole ln 2 + log + tail.
    whole: [i32; BATCH],
    log: [f32; BATCH],
    tail: [f32; BATCH],
    /// What terms are multiplied by in the gradient.
    factor: [f32; BATCH],
    /// The gradient of the target.
    share: [f32; BATCH],
}

impl Scratch {
    pub fn new() -> Box<Self> {
        let zeros = [0.0; BATCH];
        let columns = Columns {
            target: zeros,
            others: [zeros; FEW - 1],
            sum: zeros,
            low: zeros,
            whole: [0; BATCH],
            log: zeros,
            tail: zeros,
            factor: zeros,
            share: zeros,
        };
        let numbers = [0.0; FEW * BATCH];
        Box::new(Self { numbers, gradient: numbers, columns })
    }
}

/// Fills the losses (and ranks) of a batch and writes the gradients of its rows; whether all losses are known to be finite.
pub(super) fn score<T: Element>(
    io: &mut Io<'_, '_, T>,
    rows: Range<usize>,
    batch: &mut Batch,
    wants: Wants,
    Scratch { numbers, gradient: buffer, columns }: &mut Scratch,
) -> bool {
    let (at, n, v) = (rows.start, rows.len(), io.x().n_cols());
    let wants_gradient = io.wants_gradient();
    let (x, direct) = match io {
        Io::Apart { x, gradient: None } => (*x, None),
        Io::Apart { x, gradient: Some(gradient) } => {
            (*x, gradient.rows_mut(at, n).and_then(f32::slice_mut))
        }
        Io::InPlace(x) => (x.as_view(), None),
    };
    let flat = match x.rows(rows).as_rows().and_then(f32::slice) {
        Some(flat) => flat,
        None => {
            gather(&x, at, n, numbers);
            &numbers[..n * v]
        }
    };
    let is_direct = direct.is_some();
    let gradient = match direct {
        Some(out) => out,
        None if wants_gradient => &mut buffer[..n * v],
        None => &mut [],
    };
    let labels = &batch.labels[..n];
    let (losses, scales) = (&mut batch.loss[..n], &batch.scale[..n]);
    let clean = sweep(columns, flat, v, labels, losses, scales, gradient);
    if wants.ranks {
        for (i, (row, &label)) in flat.chunks_exact(v).zip(labels).enumerate() {
            let y = label as usize;
            batch.rank[i] = count_ahead(row, row[y], y);
        }
    }
    if clean && (is_direct || !wants_gradient) {
        return true;
    }
    for i in 0..n {
        let factor = f64::from(columns.factor[i]);
        if is_ordinary(columns.sum[i]) && (!wants_gradient || f32::is_factor(factor)) {
            if wants_gradient && !is_direct {
                io.put(at + i, 0..v, &buffer[i * v..(i + 1) * v]);
            }
        } else if !batch.ignored[i] {
            let scale = wants_gradient.then_some(batch.scale[i]);
            let done = general::odd_row(io, at + i, batch.labels[i] as usize, wants, scale);
            batch.put(i, &done);
        }
    }
    clean
}

/// Whether a sum is where nothing was lost; NaN is not.
#[inline(always)]
fn is_ordinary(sum: f32) -> bool {
    sum.to_bits().wrapping_sub(LEAST) < MOST - LEAST
}

leveled! {
    /// The losses of rows as they lie, and their gradients if there is room for them; whether all rows are ordinary.
    fn sweep(
        s: &mut Columns,
        x: &[f32],
        v: usize,
        labels: &[u32],
        losses: &mut [f64],
        scales: &[f64],
        gradient: &mut [f32],
    ) -> bool => sweep_body::<FMA>
}

#[inline(always)]
fn sweep_body<const FMA: bool>(
    s: &mut Columns,
    x: &[f32],
    v: usize,
    labels: &[u32],
    losses: &mut [f64],
    scales: &[f64],
    gradient: &mut [f32],
) -> bool {
    match v {
        2 => sweep_some::<FMA, 2>(s, x, labels, losses, scales, gradient),
        3 => sweep_some::<FMA, 3>(s, x, labels, losses, scales, gradient),
        _ => sweep_some::<FMA, 4>(s, x, labels, losses, scales, gradient),
    }
}

/// In several loops, so that the chains of operations are short: a processor looks only so far ahead.
#[inline(always)]
fn sweep_some<const FMA: bool, const V: usize>(
    s: &mut Columns,
    x: &[f32],
    labels: &[u32],
    losses: &mut [f64],
    scales: &[f64],
    gradient: &mut [f32],
) -> bool {
    let n = labels.len();
    // Memory for the next rows and for the gradient of these, a part at a time: only so much can be on its way.
    let part = x.len() / 4;
    let ask = |i: usize, gradient: &[f32]| {
        simd::prefetch_lines(x, x.len() + i * part, part);
        if !gradient.is_empty() {
            simd::prefetch_lines(gradient, i * part, part);
        }
    };
    ask(0, gradient);
    deal::<V>(s, &x.as_chunks::<V>().0[..n], labels);
    let whole = n.next_multiple_of(LANES).min(BATCH);
    for others in &mut s.others[..V - 1] {
        for (other, &target) in others[..whole].iter_mut().zip(&s.target) {
            *other = term::<FMA>(*other, target);
        }
    }
    ask(1, gradient);
    add::<V>(s, whole);
    ask(2, gradient);
    take_logarithms::<FMA>(s, whole);
    ask(3, gradient);
    let clean = s.sum[..n].iter().fold(true, |all, &sum| all & is_ordinary(sum));
    if gradient.is_empty() {
        finish(s, losses);
        return clean;
    }
    let all_factors = finish_and_scale(s, losses, scales);
    spread::<V>(s, labels, gradient);
    clean & all_factors
}

/// Rows to columns: the target, and the others in their order.
#[inline(always)]
fn deal<const V: usize>(s: &mut Columns, rows: &[[f32; V]], labels: &[u32]) {
    let n = labels.len();
    let rows = &rows[..n];
    for i in 0..n.min(BATCH) {
        let (row, label) = (rows[i], labels[i]);
        let mut target = row[0];
        for c in 1..V {
            target = if label == c as u32 { row[c] } else { target };
        }
        s.target[i] = if target.abs() < FAR { target } else { f32::NAN };
        for j in 0..V - 1 {
            s.others[j][i] = if label <= j as u32 { row[j + 1] } else { row[j] };
        }
    }
}

/// 2^24 e^(x - target), within a relative 1.6 * 2^-24: the difference in two parts.
#[inline(always)]
fn term<const FMA: bool>(x: f32, target: f32) -> f32 {
    // For -inf: a difference of which the second part is a small number. NaN passes all.
    let x = if -2.0 * FAR > x { -2.0 * FAR } else { x };
    let d = x - target;
    let part = d - x;
    let lost = (x - (d - part)) - (target + part);
    let d = if FLOOR > d { FLOOR } else { d };
    // Not the ceiling itself: what a larger difference lost can be as large as the target.
    let d = if d > CEILING { f32::NAN } else { d };
    elementary::exp_of_two::<FMA>(d, lost, WHOLE32 + (127.0 + 24.0))
}

/// Sums of terms, and what they lost.
#[inline(always)]
fn add<const V: usize>(s: &mut Columns, n: usize) {
    for i in 0..n.min(BATCH) {
        let (mut sum, mut low) = (s.others[0][i], 0.0);
        for j in 1..V - 1 {
            let term = s.others[j][i];
            let next = sum + term;
            let part = next - sum;
            low += (sum - (next - part)) + (term - part);
            sum = next;
        }
        (s.sum[i], s.low[i]) = (sum, low);
    }
}

/// The logarithms of 1 + rest, within a relative 0.6 * 2^-24.
///
/// ```text
/// 2^k near 1 + rest,  f = (1 + rest) / 2^k - 1 in two parts:  k ln 2 + f - f^2 / 2 + f^3 L(f)
/// ```
#[inline(always)]
fn take_logarithms<const FMA: bool>(s: &mut Columns, n: usize) {
    for i in 0..n.min(BATCH) {
        let (sum, low) = (s.sum[i], s.low[i]);
        let shifted = (RAISE + sum).to_bits().wrapping_sub(SPLIT);
        let whole = shifted & 0xff80_0000;
        let power = f32::from_bits(ONE.wrapping_sub(whole));
        let scale = f32::from_bits((ONE - RAISE_BITS).wrapping_sub(whole));
        let (rest, less) = (sum * scale, power - 1.0);
        let f = rest + less;
        // Where this is not exact the first is the smaller of the two.
        let lost = (rest - (f - less)) + low * scale;
        let z = f * f;
        let a = fma32::<FMA>(fma32::<FMA>(L[3], f, L[2]), z, fma32::<FMA>(L[1], f, L[0]));
        let b = fma32::<FMA>(fma32::<FMA>(L[7], f, L[6]), z, fma32::<FMA>(L[5], f, L[4]));
        let h = fma32::<FMA>(fma32::<FMA>(b, z * z, a), f, -0.5);
        s.whole[i] = (shifted >> 23) as i32;
        s.log[i] = f;
        s.tail[i] = fma32::<FMA>(h, z, fma32::<FMA>(-lost, f, lost));
    }
}

/// The losses, from their parts.
#[inline(always)]
fn finish(s: &Columns, losses: &mut [f64]) {
    for i in 0..losses.len().min(BATCH) {
        losses[i] = s.loss(i);
    }
}

/// The same, and the factors of the gradient for a scale a row; whether all can be given. The divisions take no time beside.
#[inline(always)]
fn finish_and_scale(s: &mut Columns, losses: &mut [f64], scales: &[f64]) -> bool {
    let n = losses.len().min(BATCH);
    let scales = &scales[..n];
    let mut clean = true;
    for i in 0..n {
        losses[i] = s.loss(i);
        let rest = f64::from(s.sum[i]) + f64::from(s.low[i]);
        let factor = scales[i] / (f64::from(RAISE) + rest);
        clean &= f32::is_factor(factor);
        s.factor[i] = factor as f32;
        s.share[i] = (-factor * rest) as f32;
    }
    clean
}

impl Columns {
    #[inline(always)]
    fn loss(&self, i: usize) -> f64 {
        f64::from(self.whole[i]) * std::f64::consts::LN_2
            + (f64::from(self.log[i]) + f64::from(self.tail[i]))
    }
}

/// The gradients of the rows: terms times the row's factor, and the target's own.
#[inline(always)]
fn spread<const V: usize>(s: &Columns, labels: &[u32], out: &mut [f32]) {
    let n = labels.len().min(BATCH);
    let out = &mut out.as_chunks_mut::<V>().0[..n];
    for i in 0..n {
        let label = labels[i];
        let mut row = [0.0; V];
        let mut before = s.share[i];
        for c in 0..V {
            // The others behind the target stand one place earlier.
            let other = if c < V - 1 { s.others[c][i] * s.factor[i] } else { before };
            row[c] = if label > c as u32 { other } else { before };
            row[c] = if label == c as u32 { s.share[i] } else { row[c] };
            before = other;
        }
        out[i] = row;
    }
}

/// Copies rows that are not side by side, or not of this kind.
fn gather<T: Element>(x: &View<'_, T>, at: usize, n: usize, out: &mut [f32]) {
    let v = x.n_cols();
    if let Some(numbers) = x.rows(at..at + n).as_rows() {
        exponentials::convert(numbers, &mut out[..n * v]);
        return;
    }
    for (i, row) in out.chunks_exact_mut(v).take(n).enumerate() {
        for (c, out) in row.iter_mut().enumerate() {
            *out = x.get(at + i, c).to_f32();
        }
    }
}
