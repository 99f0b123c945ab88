//! Rows of two to 32 classes, in f32: columns of many rows, and no exponential or division in f64.
//!
//! ```text
//! d_c = x_c - x_y,   rest = sum_{c != y} e^d_c,   loss = ln(1 + rest)
//! ```
//!
//! Up to four classes the differences are taken, in two parts. Above that, terms are e^x_c times a power of two near e^-x_y, and
//! their sum is multiplied by what that power leaves of e^-x_y. Sums are kept in two parts too, what is rounded and what that
//! lost, so only the terms are rounded to f32. Rows whose numbers leave the range go the way of odd rows.

use std::ops::Range;

use super::hard::{Wants, count_ahead};
use super::{BATCH, Batch, Io, general};
use crate::element::Element;
use crate::elementary::{self, WHOLE32, fma32};
use crate::exponentials::{self, Arithmetic};
use crate::simd::{self, leveled};
use crate::view::View;

/// Rows of at most this many classes are few.
const FEW: usize = 32;
/// Rows of at most this many classes have a loop for their number, and differences from the target.
const FEWEST: usize = 4;
/// Rows are computed in whole groups of this many; what is behind the last row is computed for nothing.
const LANES: usize = 16;
/// Numbers of rows at a time, at most.
const GROUP: usize = 2048;
/// Memory of a column: at whole kilobytes from each other they would be in each other's way.
const COLUMN: usize = BATCH + LANES;
/// Numbers ahead that memory is asked for.
const AHEAD: usize = 8192;
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
    /// Rows that do not lie side by side, or are not f32; then gradients that do not go straight to where they belong.
    rows: [f32; GROUP],
    columns: Columns,
}

/// A number a row each.
struct Columns {
    /// The logit of the target.
    target: [f32; BATCH],
    /// The logits, up to four classes those of the others in their order; then their terms, that of the target being 0.
    terms: [[f32; COLUMN]; FEW + 1],
    /// Above four classes: the target's e^-x_y = 2^n (1 + head + tail) and the terms' power of two, as [`elementary::exp_parts`]
    /// takes it, with the limits that it sets.
    own: Own,
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

struct Own {
    head: [f32; BATCH],
    tail: [f32; BATCH],
    power: [f32; BATCH],
    floor: [f32; BATCH],
    base: [f32; BATCH],
}

impl Scratch {
    // It is 56 KiB, and short-lived on the stack.
    #[allow(clippy::large_stack_arrays)]
    pub fn new() -> Box<Self> {
        let zeros = [0.0; BATCH];
        let columns = Columns {
            target: zeros,
            terms: [[0.0; COLUMN]; FEW + 1],
            own: Own { head: zeros, tail: zeros, power: zeros, floor: zeros, base: zeros },
            sum: zeros,
            low: zeros,
            whole: [0; BATCH],
            log: zeros,
            tail: zeros,
            factor: zeros,
            share: zeros,
        };
        Box::new(Self { rows: [0.0; GROUP], columns })
    }
}

/// Fills the losses (and ranks) of a batch and writes the gradients of its rows; whether all losses are known to be finite.
pub(super) fn score<T: Element>(
    io: &mut Io<'_, '_, T>,
    rows: Range<usize>,
    batch: &mut Batch,
    wants: Wants,
    scratch: &mut Scratch,
) -> bool {
    let mut clean = true;
    // They and their columns stay in the first-level cache.
    let step = match io.x().n_cols() {
        ..=FEWEST => BATCH,
        5..=16 => 128,
        _ => 64,
    };
    for start in rows.clone().step_by(step) {
        let group = start..rows.end.min(start + step);
        clean &= score_group(io, group, start - rows.start, batch, wants, scratch);
    }
    clean
}

/// The same for some rows, which stand at `first` in the batch.
fn score_group<T: Element>(
    io: &mut Io<'_, '_, T>,
    rows: Range<usize>,
    first: usize,
    batch: &mut Batch,
    wants: Wants,
    Scratch { rows: buffer, columns }: &mut Scratch,
) -> bool {
    let (at, n, v) = (rows.start, rows.len(), io.x().n_cols());
    let wants_gradient = io.wants_gradient();
    let (x, mut direct) = match io {
        Io::Apart { x, gradient: None } => (*x, None),
        Io::Apart { x, gradient: Some(gradient) } => {
            (*x, gradient.rows_mut(at, n).and_then(f32::slice_mut))
        }
        Io::InPlace(x) => (x.as_view(), None),
    };
    let flat = match x.rows(rows).as_rows().and_then(f32::slice) {
        Some(flat) => flat,
        None => {
            gather(&x, at, n, buffer);
            &buffer[..n * v]
        }
    };
    let here = first..first + n;
    // As many as there are lanes behind the last row.
    let labels = &batch.labels[first..];
    let (losses, scales) = (&mut batch.loss[here.clone()], &batch.scale[here]);
    let scales = wants_gradient.then_some(scales);
    let clean = sum_up(columns, flat, v, labels, losses, scales, direct.as_deref_mut());
    if wants.ranks {
        for (i, (row, &label)) in flat.chunks_exact(v).zip(labels).enumerate() {
            let y = label as usize;
            batch.rank[first + i] = count_ahead(row, row[y], y);
        }
    }
    let is_direct = direct.is_some();
    if wants_gradient {
        // Numbers that stood in the buffer are no longer needed.
        spread(columns, v, labels, direct.unwrap_or(&mut buffer[..n * v]));
    }
    if clean && (is_direct || !wants_gradient) {
        return true;
    }
    for i in 0..n {
        let factor = f64::from(columns.factor[i]);
        let j = first + i;
        if is_ordinary(columns.sum[i]) && (!wants_gradient || f32::is_factor(factor)) {
            if wants_gradient && !is_direct {
                io.put(at + i, 0..v, &buffer[i * v..(i + 1) * v]);
            }
        } else if !batch.ignored[j] {
            let scale = wants_gradient.then_some(batch.scale[j]);
            let done = general::odd_row(io, at + i, batch.labels[j] as usize, wants, scale);
            batch.put(j, &done);
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
    /// The losses of rows as they lie, and what their gradients are made of if there are scales for them; whether all rows are
    /// ordinary.
    fn sum_up(
        s: &mut Columns,
        x: &[f32],
        v: usize,
        labels: &[u32],
        losses: &mut [f64],
        scales: Option<&[f64]>,
        gradient: Option<&mut [f32]>,
    ) -> bool => sum_body::<FMA>
}

/// In several loops, so that the chains of operations are short: a processor looks only so far ahead.
#[inline(always)]
fn sum_body<const FMA: bool>(
    s: &mut Columns,
    x: &[f32],
    v: usize,
    labels: &[u32],
    losses: &mut [f64],
    scales: Option<&[f64]>,
    gradient: Option<&mut [f32]>,
) -> bool {
    let n = losses.len();
    // Memory for rows and gradients to come, a part at a time: only so much can be on its way, and into the second-level cache,
    // whose fills keep no load waiting. From memory ten classes take 5.3 ns a row so, and 7.1 asked for into the first.
    let part = x.len() / 4;
    let gradient = gradient.map_or(&[][..], |gradient| &*gradient);
    let ask = |i: usize| {
        for line in (i * part..(i + 1) * part).step_by(LANES) {
            simd::prefetch_second(x, AHEAD + line);
            if !gradient.is_empty() {
                simd::prefetch_second(gradient, AHEAD + line);
            }
        }
    };
    ask(0);
    let whole = n.next_multiple_of(LANES).min(BATCH);
    if v > FEWEST {
        simd::to_columns(x, v, &mut s.terms[1..]);
        ask(1);
        add_terms::<FMA>(s, v, labels, whole);
    } else {
        match v {
            2 => deal::<2>(s, x.as_chunks().0, labels),
            3 => deal::<3>(s, x.as_chunks().0, labels),
            _ => deal::<4>(s, x.as_chunks().0, labels),
        }
        for terms in &mut s.terms[..v - 1] {
            for (x, &target) in terms[..whole].iter_mut().zip(&s.target) {
                *x = term::<FMA>(*x, target);
            }
        }
        ask(1);
        match v {
            2 => add::<2>(s, whole),
            3 => add::<3>(s, whole),
            _ => add::<4>(s, whole),
        }
    }
    ask(2);
    take_logarithms::<FMA>(s, whole);
    ask(3);
    let clean = s.sum[..n].iter().fold(true, |all, &sum| all & is_ordinary(sum));
    finish(s, losses);
    match scales {
        Some(scales) => clean & take_factors::<FMA>(s, v, scales, whole),
        None => clean,
    }
}

/// Sums of terms above four classes, relative to the target's.
///
/// ```text
/// e^-x_y = 2^n (1 + h + t),   term_c = 2^(24 + n) e^x_c,   rest = (1 + h + t) sum_{c != y} term_c
/// ```
#[inline(always)]
fn add_terms<const FMA: bool>(s: &mut Columns, v: usize, labels: &[u32], whole: usize) {
    let whole = whole.min(BATCH);
    find(s, v, labels, whole);
    let own = &mut s.own;
    for i in 0..whole {
        let (target, most) = (s.target[i], s.low[i]);
        let (n, head, tail) = elementary::exp_apart::<FMA>(-target);
        // Where the power of two is 0, and the last at which the sum is in range.
        let floor = (-151.0 - n) * std::f32::consts::LN_2;
        let ceiling = (98.0 - n) * std::f32::consts::LN_2;
        let is_fine = (target.abs() < FAR) & (most < ceiling);
        let power = WHOLE32 + (127.0 + 24.0) + n;
        own.head[i] = if is_fine { head } else { f32::NAN };
        own.tail[i] = tail;
        own.power[i] = power;
        own.floor[i] = floor;
        // More than the sum will be: additions to it then lose what a subtraction finds.
        let most = if floor > most { floor } else { most };
        let most = fma32::<FMA>(most, std::f32::consts::LOG2_E, power).to_bits() << 23;
        own.base[i] = f32::from_bits(most.wrapping_add(5 << 23));
    }
    for at in (0..whole).step_by(LANES) {
        let lanes = |from: &[f32]| *from[at..].first_chunk::<LANES>().unwrap_or(&[0.0; LANES]);
        let (floor, power, base) = (lanes(&own.floor), lanes(&own.power), lanes(&own.base));
        let (mut sum, mut low) = (base, [0.0; LANES]);
        for column in &mut s.terms[..v - 1] {
            let mut terms = lanes(column);
            for l in 0..LANES {
                let x = if floor[l] > terms[l] { floor[l] } else { terms[l] };
                let (p, power) = elementary::exp_parts::<FMA>(x, power[l]);
                terms[l] = p * f32::from_bits(power << 23);
                add_to(&mut sum[l], &mut low[l], terms[l]);
            }
            column[at..at + LANES].copy_from_slice(&terms);
        }
        s.sum[at..at + LANES].copy_from_slice(&sum);
        s.low[at..at + LANES].copy_from_slice(&low);
    }
    for i in 0..whole {
        let (sum, head, tail) = (s.sum[i] - own.base[i], own.head[i], own.tail[i]);
        let high = fma32::<FMA>(sum, head, sum);
        let more = fma32::<FMA>(sum, tail, fma32::<FMA>(sum, head, sum - high));
        let low = more + fma32::<FMA>(s.low[i], head + tail, s.low[i]);
        s.sum[i] = high + low;
        s.low[i] = low - (s.sum[i] - high);
    }
}

/// Adds a term to a sum that is larger, and what that loses to `low`.
#[inline(always)]
fn add_to(sum: &mut f32, low: &mut f32, term: f32) {
    let next = *sum + term;
    *low += term - (next - *sum);
    *sum = next;
}

/// The targets, the others with the last one in the target's place, and the largest of these in `low`.
///
/// The logits stand a column behind: written where it was read, a choice would become a masked store, which is slow.
#[inline(always)]
fn find(s: &mut Columns, v: usize, labels: &[u32], whole: usize) {
    for at in (0..whole.min(BATCH)).step_by(LANES) {
        let labels = *labels[at..].first_chunk().unwrap_or(&[0; LANES]);
        let last = *s.terms[v][at..].first_chunk().unwrap_or(&[0.0; LANES]);
        let (mut target, mut most) = (last, [f32::NEG_INFINITY; LANES]);
        for c in 0..v - 1 {
            let mut x = *s.terms[c + 1][at..].first_chunk().unwrap_or(&[0.0; LANES]);
            for l in 0..LANES {
                let hit = labels[l] == c as u32;
                target[l] = if hit { x[l] } else { target[l] };
                x[l] = if hit { last[l] } else { x[l] };
                most[l] = if x[l] > most[l] { x[l] } else { most[l] };
            }
            s.terms[c][at..at + LANES].copy_from_slice(&x);
        }
        s.target[at..at + LANES].copy_from_slice(&target);
        s.low[at..at + LANES].copy_from_slice(&most);
    }
}

/// Rows to columns: the target, and the others in their order.
#[inline(always)]
fn deal<const V: usize>(s: &mut Columns, rows: &[[f32; V]], labels: &[u32]) {
    let n = rows.len().min(BATCH);
    let labels = &labels[..n];
    for i in 0..n {
        let (row, label) = (rows[i], labels[i]);
        let mut target = row[0];
        for c in 1..V {
            target = if label == c as u32 { row[c] } else { target };
        }
        s.target[i] = if target.abs() < FAR { target } else { f32::NAN };
        for j in 0..V - 1 {
            s.terms[j][i] = if label <= j as u32 { row[j + 1] } else { row[j] };
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
        let (mut sum, mut low) = (s.terms[0][i], 0.0);
        for j in 1..V - 1 {
            let term = s.terms[j][i];
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

/// What the gradients are made of for a scale a row; whether all can be given.
///
/// ```text
/// factor = scale / (1 + rest),   share = -scale rest / (1 + rest)
/// ```
///
/// In two parts too: a division in f64, and conversions, would take as long as an exponential.
#[inline(always)]
fn take_factors<const FMA: bool>(s: &mut Columns, v: usize, scales: &[f64], whole: usize) -> bool {
    let (n, whole) = (scales.len(), whole.min(BATCH));
    if scales.iter().fold(true, |same, scale| same & (scale.to_bits() == scales[0].to_bits())) {
        let (high, low) = in_two_parts(scales[0]);
        s.factor[..whole].fill(high);
        s.share[..whole].fill(low);
    } else {
        for i in 0..n {
            (s.factor[i], s.share[i]) = in_two_parts(scales[i]);
        }
    }
    for i in 0..whole {
        let (scale, less) = (s.factor[i], s.share[i]);
        let (sum, low) = (s.sum[i], s.low[i]);
        let total = RAISE + sum;
        let part = total - sum;
        let lost = ((sum - (total - part)) + (RAISE - part)) + low;
        let inverse = 1.0 / total;
        let factor = scale * inverse;
        let rest = fma32::<FMA>(-factor, total, scale) + fma32::<FMA>(-factor, lost, less);
        let more = rest * inverse;
        s.share[i] = -fma32::<FMA>(factor, sum, fma32::<FMA>(more, sum, factor * low));
        // NaN where bits were lost.
        let size = factor.abs();
        let is_fine = (scale == 0.0) | (f32::MIN_POSITIVE..1e37).contains(&size);
        s.factor[i] = if is_fine { factor } else { f32::NAN };
        s.low[i] = more;
    }
    if v <= FEWEST {
        for i in 0..whole {
            s.factor[i] += s.low[i];
        }
    } else {
        for i in 0..whole {
            let (factor, more) = (s.factor[i], s.low[i]);
            let (head, tail) = (s.own.head[i], s.own.tail[i]);
            let rest = fma32::<FMA>(factor, tail, fma32::<FMA>(more, head, more));
            s.factor[i] = factor + fma32::<FMA>(factor, head, rest);
        }
    }
    s.factor[..n].iter().fold(true, |all, factor| all & !factor.is_nan())
}

/// A scale as what is rounded and what that lost; NaN where that is nothing of it.
#[inline(always)]
fn in_two_parts(scale: f64) -> (f32, f32) {
    let high = scale as f32;
    let low = (scale - f64::from(high)) as f32;
    (if (high == 0.0) & (scale != 0.0) { f32::NAN } else { high }, low)
}

impl Columns {
    #[inline(always)]
    fn loss(&self, i: usize) -> f64 {
        f64::from(self.whole[i]) * std::f64::consts::LN_2
            + (f64::from(self.log[i]) + f64::from(self.tail[i]))
    }
}

leveled! {
    /// The gradients of the rows: terms times the row's factor, and the target's own.
    fn spread(s: &mut Columns, v: usize, labels: &[u32], out: &mut [f32]) => spread_body::<FMA>
}

#[inline(always)]
fn spread_body<const FMA: bool>(s: &mut Columns, v: usize, labels: &[u32], out: &mut [f32]) {
    let n = out.len() / v;
    match v {
        2 => spread_fewest::<2>(s, labels, out),
        3 => spread_fewest::<3>(s, labels, out),
        4 => spread_fewest::<4>(s, labels, out),
        _ => {
            put_back(s, v, labels, n);
            simd::to_rows(&s.terms[..v], v, out);
        }
    }
}

/// Gradients as columns, the last one's where it belongs: see [`find`].
#[inline(always)]
fn put_back(s: &mut Columns, v: usize, labels: &[u32], n: usize) {
    for at in (0..n.min(BATCH)).step_by(LANES) {
        let lanes = |from: &[f32]| *from[at..].first_chunk().unwrap_or(&[0.0; LANES]);
        let labels = *labels[at..].first_chunk().unwrap_or(&[0; LANES]);
        let (factor, share) = (lanes(&s.factor), lanes(&s.share));
        let mut last = share;
        for (c, column) in s.terms[..v - 1].iter_mut().enumerate() {
            let mut x = lanes(column);
            for l in 0..LANES {
                let (other, hit) = (x[l] * factor[l], labels[l] == c as u32);
                last[l] = if hit { other } else { last[l] };
                x[l] = if hit { share[l] } else { other };
            }
            column[at..at + LANES].copy_from_slice(&x);
        }
        s.terms[v - 1][at..at + LANES].copy_from_slice(&last);
    }
}

#[inline(always)]
fn spread_fewest<const V: usize>(s: &Columns, labels: &[u32], out: &mut [f32]) {
    let out = out.as_chunks_mut::<V>().0;
    let n = out.len().min(BATCH);
    let labels = &labels[..n];
    for i in 0..n {
        let label = labels[i];
        let mut row = [0.0; V];
        let mut before = s.share[i];
        for c in 0..V {
            // The others behind the target stand one place earlier.
            let other = if c < V - 1 { s.terms[c][i] * s.factor[i] } else { before };
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

#[cfg(test)]
#[path = "few_tests.rs"]
mod tests;
