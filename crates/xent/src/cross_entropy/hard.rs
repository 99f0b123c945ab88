//! One class a row, nothing changed: the fast paths. Short rows many at a time, long rows block by
//! block; the number of classes alone decides which.

use std::ops::Range;

use super::{BATCH, Batch, Io, general};
use crate::element::Element;
use crate::elementary;
use crate::exponentials::{
    self, Accumulator, Arithmetic, BLOCK, Reference, add_squares, add_terms, fill_terms,
    loss_beside, term_of,
};
use crate::simd::{self, leveled};
use crate::view::View;

/// Rows of at most this many classes are short.
const SHORT: usize = 32;
/// Numbers of short rows at a time: two buffers of them stay in the first-level cache.
const GROUP: usize = 2048;

/// What is wanted of the rows beside losses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wants {
    pub ranks: bool,
    pub squares: bool,
}

/// Fills the losses (and ranks, squared errors) of a batch and writes the gradients of its rows.
pub(super) fn score<T: Element, A: Arithmetic>(
    io: &mut Io<'_, '_, T>,
    rows: Range<usize>,
    batch: &mut Batch,
    wants: Wants,
    scratch: &mut Scratch<A>,
) {
    let v = io.x().n_cols();
    if v <= SHORT {
        short::<T, A>(io, rows, batch, wants, scratch);
    } else {
        // The reference of a row is found before the row ahead of it is summed, so that nothing waits for it.
        let (end, n) = (rows.end, rows.len());
        let mut ratios = [-1.0; BATCH];
        let mut reference = reference(&io.x(), rows.start, &mut scratch.numbers);
        for (i, row) in rows.enumerate() {
            let this = reference;
            if row + 1 < end {
                reference = self::reference(&io.x(), row + 1, &mut scratch.numbers);
            }
            if !batch.ignored[i] {
                let scale = io.wants_gradient().then_some(batch.scale[i]);
                let next = batch.labels.get(i + 1).map_or(0, |&next| next as usize);
                let y = (batch.labels[i] as usize, next);
                let done = long::<T, A>(io, row, y, &this, wants, scale, scratch, &mut ratios[i]);
                batch.put(i, &done);
            }
        }
        // Many side by side: alone, each would wait for its two divisions.
        take_logarithms(&ratios[..n], &mut batch.loss[..n]);
    }
}

/// Memory of the fast paths: numbers as A, their terms, and the sums of short rows.
pub(crate) struct Scratch<A> {
    numbers: [A; GROUP],
    terms: [A; GROUP],
    sums: Sums,
}

impl<A: Arithmetic> Scratch<A> {
    pub fn new() -> Box<Self> {
        let zeros = [A::default(); GROUP];
        Box::new(Self { numbers: zeros, terms: zeros, sums: Sums::new() })
    }
}

/// What a row comes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub loss: f64,
    pub squared: f64,
    pub rank: u32,
}

impl Batch {
    fn put(&mut self, i: usize, done: &Done) {
        self.loss[i] = done.loss;
        self.squared[i] = done.squared;
        self.rank[i] = done.rank;
    }
}

/// Part of a row as A: itself if it is that, else a copy.
pub(crate) fn block<'s, T: Element, A: Arithmetic>(
    x: &'s View<'_, T>,
    row: usize,
    cols: Range<usize>,
    buffer: &'s mut [A],
) -> &'s [A] {
    let buffer = &mut buffer[..cols.len()];
    match x.row(row) {
        Some(row) => match A::slice(&row[cols.clone()]) {
            Some(numbers) => return numbers,
            None => exponentials::convert(&row[cols], buffer),
        },
        None => {
            for (out, c) in buffer.iter_mut().zip(cols) {
                *out = A::of(x.get(row, c));
            }
        }
    }
    buffer
}

/// Blocks of a row of v numbers.
pub(crate) fn blocks(v: usize) -> impl Iterator<Item = Range<usize>> {
    (0..v).step_by(BLOCK).map(move |start| start..v.min(start + BLOCK))
}

/// The reference of a row: from the maximum of its start, or of the whole row if that is -inf.
fn reference<T: Element, A: Arithmetic>(
    x: &View<'_, T>,
    row: usize,
    buffer: &mut [A],
) -> Reference<A> {
    let v = x.n_cols();
    let mut max = exponentials::head_max(block(x, row, 0..v.min(BLOCK), buffer));
    if max == A::NEGATIVE_INFINITY {
        for cols in blocks(v) {
            let largest = exponentials::largest(block(x, row, cols, buffer));
            max = if largest > max { largest } else { max };
        }
    }
    A::reference(max)
}

/// A row of many classes. The loss is ln(1 + `ratio`) if that is set to a number that is not negative.
#[allow(clippy::too_many_arguments)]
fn long<T: Element, A: Arithmetic>(
    io: &mut Io<'_, '_, T>,
    row: usize,
    (y, next): (usize, usize),
    reference: &Reference<A>,
    wants: Wants,
    scale: Option<f64>,
    Scratch { numbers: buffer, terms, .. }: &mut Scratch<A>,
    ratio: &mut f64,
) -> Done {
    let x = io.x();
    let v = x.n_cols();
    if let Some(slice) = x.row(row) {
        // The start of the next row and its target, before they are asked for.
        for line in 0..4 {
            simd::prefetch(slice, 2 * v + line * 16);
        }
        simd::prefetch(slice, v + next);
    }
    let target = A::of(x.get(row, y));
    let beside = target.to_f64() - reference.shift.to_f64();
    if !(beside.is_finite() && reference.power.is_finite()) {
        return general::odd_row(io, row, y, wants, scale);
    }
    let own = term_of(beside, reference.power);
    let plain = !wants.ranks && !wants.squares;
    let at_once = if plain { sum_at_once(io, row, y, reference) } else { None };
    // Terms go straight to the gradient where that is memory of its own and of this kind.
    let direct = scale.is_some() && io.stores_terms::<A>(row);
    let mut sum = Accumulator::new();
    let mut squares = Accumulator::new();
    let mut ahead = 0;
    for cols in blocks(if at_once.is_some() { 0 } else { v }) {
        // Equal numbers are ahead if they stand before the target.
        let before = y.saturating_sub(cols.start).min(cols.len());
        let in_block = cols.contains(&y).then(|| y - cols.start);
        let mut add = |numbers: &[A], terms: &mut [A]| {
            fill_terms(numbers, terms, reference);
            if let Some(y) = in_block {
                terms[y] = A::default();
            }
            add_terms(&mut sum, terms);
            if wants.squares {
                add_squares(&mut squares, terms);
            }
            if wants.ranks {
                ahead += count_ahead(numbers, target, before);
            }
        };
        if let Io::Apart { x, gradient: Some(gradient) } = io
            && direct
            && let Some(out) =
                gradient.row_mut(row).and_then(|out| A::slice_mut(&mut out[cols.clone()]))
        {
            add(block(x, row, cols, buffer), out);
        } else {
            let n = cols.len();
            add(block(&io.x(), row, cols, buffer), &mut terms[..n]);
        }
    }
    let rest = at_once.unwrap_or_else(|| sum.total::<A>());
    let total = rest + own;
    let factor = scale.map_or(0.0, |scale| scale / total);
    if !A::ordinary(rest, total, v) || !A::is_factor(factor) {
        return general::odd_row(io, row, y, wants, scale);
    }
    if let Some(scale) = scale {
        let own = -scale * (rest / total);
        write_gradient::<T, A>(io, row, y, reference, factor, own, direct, (buffer, terms));
    }
    let squared = if wants.squares {
        let miss = rest / total;
        miss * miss + squares.total::<A>() / total / total
    } else {
        0.0
    };
    // The target may be lost in the sum.
    let mut loss = 0.0;
    if own > 1e-270 {
        *ratio = rest / own;
    } else {
        loss = loss_beside(beside, rest, reference.power);
    }
    Done { loss, squared, rank: ahead }
}

leveled! {
    /// ln(1 + ratio) where that is not negative.
    fn take_logarithms(ratios: &[f64], losses: &mut [f64]) => logarithms_body
}

#[inline(always)]
fn logarithms_body(ratios: &[f64], losses: &mut [f64]) {
    for (loss, &ratio) in losses.iter_mut().zip(ratios) {
        *loss = if ratio >= 0.0 { elementary::ln_1p(ratio) } else { *loss };
    }
}

/// The sum of the terms of a row but the target's, and the terms in the gradient if it is wanted: in one sweep, if all
/// lies side by side and is of the arithmetic's own kind.
fn sum_at_once<T: Element, A: Arithmetic>(
    io: &mut Io<'_, '_, T>,
    row: usize,
    y: usize,
    reference: &Reference<A>,
) -> Option<f64> {
    let Io::Apart { x, gradient } = io else { return None };
    let numbers = A::slice(x.row(row)?)?;
    match gradient {
        None => Some(exponentials::sum_terms(numbers, y, reference)),
        Some(gradient) => {
            let out = A::slice_mut(gradient.row_mut(row)?)?;
            Some(exponentials::fill_and_sum(numbers, out, y, reference))
        }
    }
}

#[allow(clippy::too_many_arguments)]
/// Multiplies the terms that stand in the gradient, or computes them anew.
fn write_gradient<T: Element, A: Arithmetic>(
    io: &mut Io<'_, '_, T>,
    row: usize,
    y: usize,
    reference: &Reference<A>,
    factor: f64,
    own: f64,
    direct: bool,
    (buffer, terms): (&mut [A], &mut [A]),
) {
    let v = io.x().n_cols();
    let factor = A::from_f64(factor);
    if !direct {
        for cols in blocks(v) {
            let x = io.x();
            let numbers = block(&x, row, cols.clone(), buffer);
            fill_terms(numbers, &mut terms[..cols.len()], reference);
            let terms = &mut terms[..cols.len()];
            exponentials::scale(terms, factor);
            io.put(row, cols, terms);
        }
    } else if let Some(mut gradient) = io.gradient()
        && let Some(out) = gradient.row_mut(row).and_then(|out| A::slice_mut(out))
    {
        exponentials::scale(out, factor);
    }
    if let Some(mut gradient) = io.gradient() {
        gradient.set(row, y, T::from_f64(own));
    }
}

impl<T: Element> Io<'_, '_, T> {
    /// Whether a gradient's row can hold terms until they are multiplied: apart from the logits, side by
    /// side, and of the arithmetic's own kind.
    fn stores_terms<A: Arithmetic>(&mut self, row: usize) -> bool {
        match self {
            Self::Apart { gradient: Some(gradient), .. } => {
                gradient.row_mut(row).is_some_and(|row| A::slice_mut(row).is_some())
            }
            _ => false,
        }
    }

    /// Writes part of a row of the gradient.
    pub fn put<A: Arithmetic>(&mut self, row: usize, cols: Range<usize>, values: &[A]) {
        let Some(mut gradient) = self.gradient() else { return };
        if let Some(out) = gradient.row_mut(row) {
            for (out, value) in out[cols].iter_mut().zip(values) {
                *out = value.narrow::<T>();
            }
        } else {
            for (c, value) in cols.zip(values) {
                gradient.set(row, c, value.narrow::<T>());
            }
        }
    }
}

leveled! {
    /// Numbers larger than the target, and equal ones among the first `before`.
    fn count_ahead[A: Arithmetic](x: &[A], target: A, before: usize) -> u32 => count_body::<FMA>
}

#[inline(always)]
fn count_body<const FMA: bool, A: Arithmetic>(x: &[A], target: A, before: usize) -> u32 {
    let larger: u32 = x.iter().map(|&x| u32::from(x > target)).sum();
    let equal: u32 = x[..before].iter().map(|&x| u32::from(x == target)).sum();
    larger + equal
}

/// Rows of few classes: the terms of many rows in one sweep, scaled by the same power for all rows, then a
/// sum a row. Rows out of that range go the way of odd rows.
fn short<T: Element, A: Arithmetic>(
    io: &mut Io<'_, '_, T>,
    rows: Range<usize>,
    batch: &mut Batch,
    wants: Wants,
    Scratch { numbers, terms, sums }: &mut Scratch<A>,
) {
    let v = io.x().n_cols();
    let reference = A::reference(A::default());
    let at = rows.start;
    let step = (GROUP / v).min(BATCH);
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
        fill_terms(flat, terms, &reference);
        take_own(flat, terms, v, labels, sums);
        match v {
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
        let clean = finish::<A>(sums, &mut batch.loss[group..group + n], v);
        if wants.squares {
            for (i, out) in batch.squared[group..group + n].iter_mut().enumerate() {
                let (rest, total) = (sums.rest[i], sums.rest[i] + sums.own[i]);
                let miss = rest / total;
                *out = miss * miss + sums.squares[i] / total / total;
            }
        }
        let wants_gradient = io.wants_gradient();
        if wants_gradient {
            sums.scale_by(&batch.scale[group..group + n]);
        }
        let clean = clean && (!wants_gradient || sums.has_factors::<A>(n));
        if clean {
            if let Io::Apart { gradient: Some(gradient), .. } = io
                && let Some(out) = gradient.rows_mut(at + group, n).and_then(A::slice_mut)
            {
                spread(terms, out, v, labels, sums);
            } else if wants_gradient {
                // The numbers are no longer needed.
                let gradient = &mut numbers[..n * v];
                spread(terms, gradient, v, labels, sums);
                for (i, row) in gradient.chunks_exact(v).enumerate() {
                    io.put(at + group + i, 0..v, row);
                }
            }
            continue;
        }
        let gradient = &mut numbers[..n * v];
        spread(terms, gradient, v, labels, sums);
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
struct Sums {
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
    fn new() -> Self {
        let zeros = [0.0; BATCH];
        Self { own: zeros, rest: zeros, squares: zeros, factor: zeros, share: zeros }
    }

    /// The factors of the gradient, for a scale a row.
    fn scale_by(&mut self, scales: &[f64]) {
        let n = scales.len();
        let sums = (&self.rest[..n], &self.own[..n]);
        scale_rows(sums.0, sums.1, scales, &mut self.factor[..n], &mut self.share[..n]);
    }

    /// Whether the row's terms all lie in the range where nothing was lost.
    fn ordinary<A: Arithmetic>(&self, i: usize, v: usize) -> bool {
        A::ordinary(self.rest[i], self.rest[i] + self.own[i], v)
            && A::ordinary(self.own[i], self.own[i], 1)
    }

    /// Whether all factors of the gradient can be given.
    fn has_factors<A: Arithmetic>(&self, n: usize) -> bool {
        self.factor[..n].iter().fold(true, |clean, &factor| clean & A::is_factor(factor))
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

/// Writes the losses; whether all rows were in the range.
fn finish<A: Arithmetic>(sums: &mut Sums, losses: &mut [f64], v: usize) -> bool {
    let n = losses.len();
    if A::WIDE {
        finish_wide(&sums.rest[..n], &mut sums.own[..n], losses);
    } else {
        finish_narrow(&sums.rest[..n], &mut sums.own[..n], losses);
    }
    all_ordinary::<A>(&sums.rest[..n], &sums.own[..n], v)
}

leveled! {
    /// See [`Sums::scale_by`].
    fn scale_rows(rest: &[f64], own: &[f64], scales: &[f64], factors: &mut [f64], shares: &mut [f64]) => scale_rows_body
}

#[inline(always)]
fn scale_rows_body(
    rest: &[f64],
    own: &[f64],
    scales: &[f64],
    factors: &mut [f64],
    shares: &mut [f64],
) {
    let outputs = factors.iter_mut().zip(shares);
    for (((&rest, &own), &scale), (factor, share)) in rest.iter().zip(own).zip(scales).zip(outputs)
    {
        *factor = scale / (rest + own);
        *share = -*factor * rest;
    }
}

leveled! {
    /// Whether every row is in the range.
    fn all_ordinary[A: Arithmetic](rest: &[f64], own: &[f64], v: usize) -> bool => all_ordinary_body::<FMA>
}

#[inline(always)]
fn all_ordinary_body<const FMA: bool, A: Arithmetic>(rest: &[f64], own: &[f64], v: usize) -> bool {
    let mut clean = true;
    for (&rest, &own) in rest.iter().zip(own) {
        clean &= A::ordinary(rest, rest + own, v) & A::ordinary(own, own, 1);
    }
    clean
}

leveled! {
    /// ln(1 + rest / own) to the last bits of f64; the logits in `own` become terms.
    fn finish_wide(rest: &[f64], own: &mut [f64], losses: &mut [f64]) => wide_body
}

#[inline(always)]
fn wide_body(rest: &[f64], own: &mut [f64], losses: &mut [f64]) {
    let raise = <f64 as Arithmetic>::RAISE;
    for ((loss, &rest), own) in losses.iter_mut().zip(rest).zip(own) {
        // Beyond this the row is odd; NaN is too.
        let x = if own.abs() < 600.0 { *own } else { f64::NAN };
        let inverse = elementary::exp(-x) / raise;
        *own = 1.0 / inverse;
        *loss = elementary::ln_1p(rest * inverse);
    }
}

leveled! {
    /// ln(1 + rest / own) to 33 bits, which is enough beside sums of f32; as above.
    fn finish_narrow(rest: &[f64], own: &mut [f64], losses: &mut [f64]) => narrow_body::<FMA>
}

#[inline(always)]
fn narrow_body<const FMA: bool>(rest: &[f64], own: &mut [f64], losses: &mut [f64]) {
    let raise = <f32 as Arithmetic>::RAISE;
    // Two loops, so that the chains of operations are short: a processor looks only so far ahead.
    for own in &mut *own {
        // It was an f32.
        let x = *own as f32;
        let (m, power) = elementary::exp_rest::<FMA>(x);
        let term = (1.0 + f64::from(m)) * (f64::from(power) * raise);
        // Beyond this the row is odd; NaN is too.
        *own = if x.abs() < 80.0 { term } else { f64::NAN };
    }
    for ((loss, &rest), &own) in losses.iter_mut().zip(rest).zip(&*own) {
        *loss = elementary::ln_ratio(rest, own);
    }
}

/// The gradients of the rows: terms times the row's factor, and the target's own.
fn spread<A: Arithmetic>(terms: &[A], out: &mut [A], v: usize, labels: &[u32], sums: &Sums) {
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
