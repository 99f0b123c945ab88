//! Rows of few classes, one class a row: many rows at a time, all scaled by the same power of two.
//!
//! f32 rows of at most 32 classes are in `few`. f64 rows of two to four classes are worked on as columns, which the compiler
//! makes of them, where there are registers enough; others number by number, and summed where they lie: the same operations, so
//! the same bits. Rows whose terms leave the range of the scale go the way of odd rows.

use std::ops::Range as Rows;

use super::hard::{GROUP, Scratch, Wants, count_ahead, squares_fit};
use super::{BATCH, Batch, Io, general};
use crate::element::Element;
use crate::elementary;
use crate::exponentials::{self, Arithmetic, Reference, fill_terms};
use crate::simd::{self, Level, leveled};
use crate::view::View;

/// Rows of few classes: the terms of many rows in one sweep, scaled by the same power for all rows, then a
/// sum a row. Rows out of that range go the way of odd rows.
pub(super) fn short<T: Element, A: Arithmetic>(
    io: &mut Io<'_, '_, T>,
    rows: Rows<usize>,
    batch: &mut Batch,
    wants: Wants,
    Scratch { numbers, terms, sums }: &mut Scratch<A>,
) {
    let v = io.x().n_cols();
    let reference = A::reference(A::default());
    let at = rows.start;
    let step = (GROUP / v).min(BATCH);
    // Sixteen registers do not hold the columns and the constants: there it would be slower, with the same bits.
    let columns = matches!(v, 2..=4) && simd::level() == Level::Avx512;
    for group in (0..rows.len()).step_by(step) {
        let n = (rows.len() - group).min(step);
        let x = io.x();
        let dense = x.rows(at + group..at + group + n).as_rows().and_then(A::slice);
        let flat = match dense {
            Some(flat) => flat,
            None => {
                gather(&x, at + group, n, numbers);
                &numbers[..n * v]
            }
        };
        let labels = &batch.labels[group..group + n];
        let terms = &mut terms[..n * v];
        let wants_gradient = io.wants_gradient();
        if columns {
            let keep = wants_gradient || wants.squares;
            let (rest, own) = (&mut sums.rest[..n], &mut sums.own[..n]);
            sum_few(flat, v, labels, &reference, keep.then_some(&mut *terms), rest, own);
        } else {
            fill_terms(flat, terms, &reference);
            take_own(flat, terms, v, labels, sums);
        }
        match v {
            _ if columns => {}
            // Not compiled for higher levels, where rows of such lengths become gathers, which are slower.
            5 => add_some::<A, 5>(terms, &mut sums.rest[..n]),
            6 => add_some::<A, 6>(terms, &mut sums.rest[..n]),
            7 => add_some::<A, 7>(terms, &mut sums.rest[..n]),
            8 => add_some::<A, 8>(terms, &mut sums.rest[..n]),
            9 => add_some::<A, 9>(terms, &mut sums.rest[..n]),
            10 => add_some::<A, 10>(terms, &mut sums.rest[..n]),
            _ => add_rows(terms, v, &mut sums.rest[..n]),
        }
        if wants.squares {
            add_any(terms, v, &mut sums.squares[..n], |x| x * x);
        }
        if wants.ranks {
            for (i, &label) in labels.iter().enumerate() {
                let row = &flat[i * v..(i + 1) * v];
                let y = label as usize;
                batch.rank[group + i] = count_ahead(row, row[y], y);
            }
        }
        let (mut clean, low) = finish::<A>(sums, &mut batch.loss[group..group + n], v);
        if low && wants_gradient {
            mark_lost(flat, v, &reference, &sums.rest[..n], &mut sums.own[..n]);
        }
        if wants.squares {
            for (i, out) in batch.squared[group..group + n].iter_mut().enumerate() {
                let (rest, total) = (sums.rest[i], sums.rest[i] + sums.own[i]);
                let miss = rest / total;
                *out = miss * miss + sums.squares[i] / total / total;
                if !squares_fit(rest, total) {
                    sums.own[i] = f64::NAN;
                    clean = false;
                }
            }
        }
        let scales = &batch.scale[group..group + n];
        let clean = (!wants_gradient || sums.scale_by::<A>(scales)) && clean;
        if clean {
            if let Io::Apart { gradient: Some(gradient), .. } = io
                && let Some(out) = gradient.rows_mut(at + group, n).and_then(A::slice_mut)
            {
                spread(terms, out, v, columns, labels, sums);
            } else if wants_gradient {
                // The numbers are no longer needed.
                let gradient = &mut numbers[..n * v];
                spread(terms, gradient, v, columns, labels, sums);
                for (i, row) in gradient.chunks_exact(v).enumerate() {
                    io.put(at + group + i, 0..v, row);
                }
            }
            continue;
        }
        let gradient = &mut numbers[..n * v];
        spread(terms, gradient, v, columns, labels, sums);
        for (i, row) in gradient.chunks_exact(v).enumerate() {
            let j = group + i;
            if sums.ordinary::<A>(i, v) && (!wants_gradient || A::is_factor(sums.factor[i])) {
                if wants_gradient {
                    io.put(at + j, 0..v, row);
                }
            } else if !batch.ignored[j] {
                let scale = wants_gradient.then_some(batch.scale[j]);
                let done = general::odd_row(io, at + j, batch.labels[j] as usize, wants, scale);
                batch.put(j, &done);
            }
        }
    }
}

/// What a group of short rows comes to, all scaled by the same power of two.
pub(super) struct Sums {
    /// The term of the target.
    own: [f64; BATCH],
    /// The sum of the others.
    rest: [f64; BATCH],
    /// The sum of the squares of the others.
    squares: [f64; BATCH],
    /// Factor of the terms in the gradient.
    factor: [f64; BATCH],
    /// The gradient of the target.
    share: [f64; BATCH],
}

impl Sums {
    pub(super) fn new() -> Self {
        let zeros = [0.0; BATCH];
        Self { own: zeros, rest: zeros, squares: zeros, factor: zeros, share: zeros }
    }

    /// The factors of the gradient, for a scale a row; whether all can be given.
    fn scale_by<A: Arithmetic>(&mut self, scales: &[f64]) -> bool {
        let n = scales.len();
        let sums = (&self.rest[..n], &self.own[..n]);
        scale_rows::<A>(sums.0, sums.1, scales, &mut self.factor[..n], &mut self.share[..n])
    }

    /// Whether the row's terms all lie in the range where nothing was lost.
    fn ordinary<A: Arithmetic>(&self, i: usize, v: usize) -> bool {
        A::ordinary(self.rest[i], self.rest[i] + self.own[i], v)
            && A::ordinary(self.own[i], self.own[i], 1)
    }
}

/// Copies rows that are not side by side, or not of this kind.
fn gather<T: Element, A: Arithmetic>(x: &View<'_, T>, at: usize, n: usize, out: &mut [A]) {
    let v = x.n_cols();
    if let Some(numbers) = x.rows(at..at + n).as_rows() {
        exponentials::convert(numbers, &mut out[..n * v]);
        return;
    }
    for c in 0..v {
        if let Some(column) = x.column(c) {
            for (i, &x) in column[at..at + n].iter().enumerate() {
                out[i * v + c] = A::of(x);
            }
        } else {
            for i in 0..n {
                out[i * v + c] = A::of(x.get(at + i, c));
            }
        }
    }
}

/// Takes the terms of the targets out of the rows, and notes their logits.
fn take_own<A: Arithmetic>(x: &[A], terms: &mut [A], v: usize, labels: &[u32], sums: &mut Sums) {
    let x = &x[..terms.len()];
    let mut start = 0;
    for (&label, own) in labels.iter().zip(&mut sums.own) {
        let at = start + label as usize;
        *own = x[at].to_f64();
        terms[at] = A::default();
        start += v;
    }
}

leveled! {
    /// The terms of rows of two to four classes, the target's as 0, if they are to be kept; the sum of each row, and its
    /// target's logit.
    fn sum_few[A: Arithmetic](
        x: &[A],
        v: usize,
        labels: &[u32],
        reference: &Reference<A>,
        terms: Option<&mut [A]>,
        rest: &mut [f64],
        own: &mut [f64],
    ) => sum_few_body::<FMA>
}

#[inline(always)]
fn sum_few_body<const FMA: bool, A: Arithmetic>(
    x: &[A],
    v: usize,
    labels: &[u32],
    reference: &Reference<A>,
    terms: Option<&mut [A]>,
    rest: &mut [f64],
    own: &mut [f64],
) {
    match (v, terms) {
        (2, None) => few::<FMA, false, A, 2>(x, labels, reference, &mut [], rest, own),
        (3, None) => few::<FMA, false, A, 3>(x, labels, reference, &mut [], rest, own),
        (_, None) => few::<FMA, false, A, 4>(x, labels, reference, &mut [], rest, own),
        (2, Some(terms)) => few::<FMA, true, A, 2>(x, labels, reference, terms, rest, own),
        (3, Some(terms)) => few::<FMA, true, A, 3>(x, labels, reference, terms, rest, own),
        (_, Some(terms)) => few::<FMA, true, A, 4>(x, labels, reference, terms, rest, own),
    }
}

/// One loop over rows, which the compiler turns into columns: the row's even places and its odd ones are summed in f64, as
/// by [`add_some`].
#[inline(always)]
fn few<const FMA: bool, const KEEP: bool, A: Arithmetic, const V: usize>(
    x: &[A],
    labels: &[u32],
    reference: &Reference<A>,
    terms: &mut [A],
    rest: &mut [f64],
    own: &mut [f64],
) {
    let n = labels.len();
    let (rows, rest, own) = (&x.as_chunks::<V>().0[..n], &mut rest[..n], &mut own[..n]);
    let terms = &mut terms.as_chunks_mut::<V>().0[..if KEEP { n } else { 0 }];
    for i in 0..n {
        let (row, label) = (rows[i], labels[i]);
        let mut target = row[0];
        let mut others = row;
        for c in 0..V {
            let hit = label == c as u32;
            target = if hit { row[c] } else { target };
            let term = A::term::<FMA, false>(row[c], reference);
            others[c] = if hit { A::default() } else { term };
        }
        let mut sums = [others[0].to_f64(), others[1].to_f64()];
        for c in 2..V {
            sums[c % 2] += others[c].to_f64();
        }
        rest[i] = sums[0] + sums[1];
        own[i] = target.to_f64();
        if KEEP {
            terms[i] = others;
        }
    }
}

leveled! {
    /// Sums the rows.
    fn add_rows[A: Arithmetic](terms: &[A], v: usize, out: &mut [f64]) => add_rows_body::<FMA>
}

#[inline(always)]
fn add_rows_body<const FMA: bool, A: Arithmetic>(terms: &[A], v: usize, out: &mut [f64]) {
    match v {
        2 => add_some::<A, 2>(terms, out),
        3 => add_some::<A, 3>(terms, out),
        4 => add_some::<A, 4>(terms, out),
        _ => add_any(terms, v, out, |x| x),
    }
}

/// A row's even places, and its odd ones, in f64.
#[inline(always)]
fn add_some<A: Arithmetic, const V: usize>(terms: &[A], out: &mut [f64]) {
    for (row, out) in terms.as_chunks::<V>().0.iter().zip(out) {
        let mut sums = [0.0; 2];
        for (c, &x) in row.iter().enumerate() {
            sums[c % 2] += x.to_f64();
        }
        *out = sums[0] + sums[1];
    }
}

#[inline(always)]
fn add_any<A: Arithmetic>(terms: &[A], v: usize, out: &mut [f64], of: impl Fn(f64) -> f64) {
    for (row, out) in terms.chunks_exact(v).zip(out) {
        let mut sums = [0.0; 8];
        let (eights, rest) = row.as_chunks::<8>();
        for eight in eights {
            for l in 0..8 {
                sums[l] += of(eight[l].to_f64());
            }
        }
        for (sum, &x) in sums.iter_mut().zip(rest) {
            *sum += of(x.to_f64());
        }
        let [a, b, c, d, e, f, g, h] = sums;
        *out = ((a + e) + (b + f)) + ((c + g) + (d + h));
    }
}

leveled! {
    /// Takes rows for odd whose terms come to less than 1 and of which one is 0 for want of range: it may be a probability
    /// that a gradient can hold.
    fn mark_lost[A: Arithmetic](
        x: &[A],
        v: usize,
        reference: &Reference<A>,
        rest: &[f64],
        own: &mut [f64],
    ) => mark_body::<FMA>
}

#[inline(always)]
fn mark_body<const FMA: bool, A: Arithmetic>(
    x: &[A],
    v: usize,
    reference: &Reference<A>,
    rest: &[f64],
    own: &mut [f64],
) {
    let lowest = reference.lowest();
    let is_lost = |x: A| (x < lowest) & (x > A::NEGATIVE_INFINITY);
    for ((row, rest), own) in x.chunks_exact(v).zip(rest).zip(own) {
        if rest + *own < 1.0 && row.iter().fold(false, |lost, &x| lost | is_lost(x)) {
            *own = f64::NAN;
        }
    }
}

/// Writes the losses; whether all rows were in the range, and whether the terms of a row may come to less than 1.
fn finish<A: Arithmetic>(sums: &mut Sums, losses: &mut [f64], v: usize) -> (bool, bool) {
    let n = losses.len();
    let (rest, own) = (&sums.rest[..n], &mut sums.own[..n]);
    let range = finish_wide(rest, own, losses);
    let [rest, own, total] = [range.least_rest, range.least_own, range.most].map(f64_of_bits);
    (A::ordinary(rest, total, v) && A::ordinary(own, own, 1), own < 1.0 || own.is_nan())
}

/// The extremes of some rows, as bits: of numbers that are not negative these have the order of the numbers, with
/// NaN at an end.
struct Range {
    least_rest: i64,
    least_own: i64,
    most: i64,
}

impl Range {
    #[inline(always)]
    fn new() -> Self {
        Self { least_rest: i64::MAX, least_own: i64::MAX, most: i64::MIN }
    }

    #[inline(always)]
    fn see(&mut self, rest: f64, own: f64) {
        let bits = |x: f64| x.to_bits() as i64;
        self.least_rest = self.least_rest.min(bits(rest));
        self.least_own = self.least_own.min(bits(own));
        self.most = self.most.max(bits(rest + own));
    }
}

fn f64_of_bits(bits: i64) -> f64 {
    f64::from_bits(bits as u64)
}

leveled! {
    /// See [`Sums::scale_by`].
    fn scale_rows[A: Arithmetic](
        rest: &[f64],
        own: &[f64],
        scales: &[f64],
        factors: &mut [f64],
        shares: &mut [f64],
    ) -> bool => scale_rows_body::<FMA>
}

#[inline(always)]
fn scale_rows_body<const FMA: bool, A: Arithmetic>(
    rest: &[f64],
    own: &[f64],
    scales: &[f64],
    factors: &mut [f64],
    shares: &mut [f64],
) -> bool {
    let mut clean = true;
    let outputs = factors.iter_mut().zip(shares);
    for (((&rest, &own), &scale), (factor, share)) in rest.iter().zip(own).zip(scales).zip(outputs)
    {
        *factor = scale / (rest + own);
        *share = -*factor * rest;
        clean &= A::is_factor(*factor);
    }
    clean
}

leveled! {
    /// ln(1 + rest / own) to the last bits of f64; the logits in `own` become terms.
    fn finish_wide(rest: &[f64], own: &mut [f64], losses: &mut [f64]) -> Range => wide_body
}

#[inline(always)]
fn wide_body(rest: &[f64], own: &mut [f64], losses: &mut [f64]) -> Range {
    let raise = <f64 as Arithmetic>::RAISE;
    let mut range = Range::new();
    for ((loss, &rest), own) in losses.iter_mut().zip(rest).zip(own) {
        // Beyond this the row is odd; NaN is too.
        let x = if own.abs() < 600.0 { *own } else { f64::NAN };
        let inverse = elementary::exp(-x) / raise;
        let ratio = rest * inverse;
        // So is a ratio above every number, whose logarithm is not.
        *own = if ratio < f64::INFINITY { 1.0 / inverse } else { f64::NAN };
        *loss = elementary::ln_1p(ratio);
        range.see(rest, *own);
    }
    range
}

/// The gradients of the rows: terms times the row's factor, and the target's own.
fn spread<A: Arithmetic>(
    terms: &[A],
    out: &mut [A],
    v: usize,
    columns: bool,
    labels: &[u32],
    sums: &Sums,
) {
    if columns {
        return spread_columns(terms, out, v, labels, sums);
    }
    match v {
        // As in `short`: no gathers.
        5 => spread_some::<A, 5>(terms, out, sums),
        6 => spread_some::<A, 6>(terms, out, sums),
        7 => spread_some::<A, 7>(terms, out, sums),
        8 => spread_some::<A, 8>(terms, out, sums),
        9 => spread_some::<A, 9>(terms, out, sums),
        10 => spread_some::<A, 10>(terms, out, sums),
        _ => spread_rows(terms, out, v, sums),
    }
    let mut start = 0;
    for (&label, &share) in labels.iter().zip(&sums.share) {
        out[start + label as usize] = A::from_f64(share);
        start += v;
    }
}

leveled! {
    /// The same for rows of two to four classes, as columns.
    fn spread_columns[A: Arithmetic](terms: &[A], out: &mut [A], v: usize, labels: &[u32], sums: &Sums)
        => spread_columns_body::<FMA>
}

#[inline(always)]
fn spread_columns_body<const FMA: bool, A: Arithmetic>(
    terms: &[A],
    out: &mut [A],
    v: usize,
    labels: &[u32],
    sums: &Sums,
) {
    match v {
        2 => spread_few::<A, 2>(terms, out, labels, sums),
        3 => spread_few::<A, 3>(terms, out, labels, sums),
        _ => spread_few::<A, 4>(terms, out, labels, sums),
    }
}

leveled! {
    /// The terms times the row's factor.
    fn spread_rows[A: Arithmetic](terms: &[A], out: &mut [A], v: usize, sums: &Sums) => spread_body::<FMA>
}

#[inline(always)]
fn spread_body<const FMA: bool, A: Arithmetic>(terms: &[A], out: &mut [A], v: usize, sums: &Sums) {
    match v {
        2 => spread_some::<A, 2>(terms, out, sums),
        3 => spread_some::<A, 3>(terms, out, sums),
        4 => spread_some::<A, 4>(terms, out, sums),
        _ => {
            let rows = terms.chunks_exact(v).zip(out.chunks_exact_mut(v));
            for ((row, out), &factor) in rows.zip(&sums.factor) {
                let factor = A::from_f64(factor);
                for (out, &x) in out.iter_mut().zip(row) {
                    *out = x.times(factor);
                }
            }
        }
    }
}

#[inline(always)]
fn spread_some<A: Arithmetic, const V: usize>(terms: &[A], out: &mut [A], sums: &Sums) {
    let rows = terms.as_chunks::<V>().0.iter().zip(out.as_chunks_mut::<V>().0);
    for ((row, out), &factor) in rows.zip(&sums.factor) {
        let factor = A::from_f64(factor);
        for (out, &x) in out.iter_mut().zip(row) {
            *out = x.times(factor);
        }
    }
}

#[inline(always)]
fn spread_few<A: Arithmetic, const V: usize>(
    terms: &[A],
    out: &mut [A],
    labels: &[u32],
    sums: &Sums,
) {
    let n = labels.len();
    let (terms, out) = (&terms.as_chunks::<V>().0[..n], &mut out.as_chunks_mut::<V>().0[..n]);
    let (factors, shares) = (&sums.factor[..n], &sums.share[..n]);
    for i in 0..n {
        let (factor, share) = (A::from_f64(factors[i]), A::from_f64(shares[i]));
        let mut row = terms[i];
        for (c, x) in row.iter_mut().enumerate() {
            *x = if labels[i] == c as u32 { share } else { x.times(factor) };
        }
        out[i] = row;
    }
}

#[cfg(test)]
#[path = "short_tests.rs"]
mod tests;
