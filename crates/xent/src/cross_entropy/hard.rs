//! One class a row, nothing changed: the fast paths. Short rows many at a time, long rows block by
//! block; the number of classes alone decides which.

use std::ops::Range;

use super::short::{Sums, short};
use super::{BATCH, Batch, Io, general};
use crate::element::Element;
use crate::elementary;
use crate::exponentials::{
    self, Accumulator, Arithmetic, BLOCK, Reference, add_squares, add_terms, fill_and_sum,
    fill_terms, loss_beside, scale_body, sum_but, sum_terms, term_near, term_of, unit,
};
use crate::simd::{self, leveled};
use crate::view::View;

/// Rows of at most this many classes are short.
const SHORT: usize = 32;
/// Numbers of short rows at a time: two buffers of them stay in the first-level cache.
pub(super) const GROUP: usize = 2048;

/// Whether the squares of terms have all their bits, of such as come to `rest` and with the target's to `total`.
pub(super) fn squares_fit(rest: f64, total: f64) -> bool {
    rest >= 1e-130 && total < 1e150
}

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
        return;
    }
    let n = rows.len();
    let mut ratios = [-1.0; BATCH];
    let ratios = &mut ratios[..n];
    let tried = !wants.ranks
        && !wants.squares
        && at_once::<T, A>(io, rows.clone(), batch, ratios).is_some();
    for (i, row) in rows.enumerate() {
        if !(batch.ignored[i] || ratios[i] >= 0.0) {
            let scale = io.wants_gradient().then_some(batch.scale[i]);
            let y = batch.labels[i] as usize;
            let done = long::<T, A>(io, row, y, tried, wants, scale, scratch, &mut ratios[i]);
            batch.put(i, &done);
        }
    }
    // Many side by side: alone, each would wait for its two divisions.
    take_logarithms(ratios, &mut batch.loss[..n]);
}

/// The ratios of the ordinary ones of rows that lie side by side and are of the arithmetic's own kind, and their gradients; nothing
/// where they do not.
fn at_once<T: Element, A: Arithmetic>(
    io: &mut Io<'_, '_, T>,
    rows: Range<usize>,
    batch: &Batch,
    ratios: &mut [f64],
) -> Option<()> {
    let Io::Apart { x, gradient } = io else { return None };
    let (n, v) = (rows.len(), x.n_cols());
    let numbers = x.rows(rows.clone()).as_rows().and_then(A::slice)?;
    let (labels, ignored, scales) = (&batch.labels[..n], &batch.ignored[..n], &batch.scale[..n]);
    if let Some(gradient) = gradient {
        let out = gradient.rows_mut(rows.start, n).and_then(A::slice_mut)?;
        scale_rows(numbers, v, labels, ignored, scales, out, ratios);
    } else {
        sum_rows(numbers, v, labels, ignored, ratios);
    }
    Some(())
}

leveled! {
    /// What is beside the targets of rows, as multiples of them; nothing is written for rows that are ignored or not ordinary.
    fn sum_rows[A: Arithmetic](
        x: &[A],
        v: usize,
        labels: &[u32],
        ignored: &[bool],
        ratios: &mut [f64],
    ) => sum_rows_body::<FMA>
}

#[inline(always)]
fn sum_rows_body<const FMA: bool, A: Arithmetic>(
    x: &[A],
    v: usize,
    labels: &[u32],
    ignored: &[bool],
    ratios: &mut [f64],
) {
    let zeros = [0.0; BATCH];
    let (mut rests, mut besides, mut powers) = (zeros, zeros, zeros);
    let mut wild = false;
    for i in 0..ratios.len().min(BATCH) {
        if ignored[i] {
            continue;
        }
        let row = &x[i * v..];
        let y = ask_target(row, v, labels, i);
        let reference = A::reference(row[y]);
        // Where one row is beyond the limits of its scale, as where classes are masked, others will be.
        wild |= reference.shift != A::default();
        if wild && is_beyond(row, v, y) {
            continue;
        }
        // No closure: it would be compiled for the lowest level.
        let tame = if wild {
            None
        } else {
            sum_but::<FMA, false, false, A>(row, v, &mut [], y, &reference)
        };
        wild |= tame.is_none();
        rests[i] = tame.unwrap_or_else(|| sum_terms(row, v, y, &reference));
        (besides[i], powers[i]) = (row[y].to_f64() - reference.shift.to_f64(), reference.power);
    }
    let n = ratios.len().min(BATCH);
    for i in 0..n {
        let own = term_near(besides[i], powers[i]);
        let fine = A::ordinary(rests[i], rests[i] + own, v) & (own > 0.0);
        ratios[i] = if fine { rests[i] / own } else { ratios[i] };
    }
}

leveled! {
    /// The same, with the gradients of those rows.
    fn scale_rows[A: Arithmetic](
        x: &[A],
        v: usize,
        labels: &[u32],
        ignored: &[bool],
        scales: &[f64],
        gradient: &mut [A],
        ratios: &mut [f64],
    ) => scale_rows_body::<FMA>
}

#[inline(always)]
fn scale_rows_body<const FMA: bool, A: Arithmetic>(
    x: &[A],
    v: usize,
    labels: &[u32],
    ignored: &[bool],
    scales: &[f64],
    gradient: &mut [A],
    ratios: &mut [f64],
) {
    let mut wild = false;
    for (i, out) in gradient.chunks_exact_mut(v).enumerate() {
        if ignored[i] {
            continue;
        }
        let row = &x[i * v..];
        let y = ask_target(row, v, labels, i);
        let reference = A::reference(row[y]);
        let beside = row[y].to_f64() - reference.shift.to_f64();
        let own = term_near(beside, reference.power);
        wild |= reference.shift != A::default();
        if wild && is_beyond(row, v, y) {
            continue;
        }
        let tame =
            if wild { None } else { sum_but::<FMA, false, true, A>(row, v, out, y, &reference) };
        wild |= tame.is_none();
        let rest = tame.unwrap_or_else(|| fill_and_sum(row, v, out, y, &reference));
        let total = rest + own;
        let factor = scales[i] / total;
        if A::ordinary(rest, total, v) & A::is_factor(factor) & (own > 0.0) {
            scale_body::<FMA, A>(out, A::from_f64(factor));
            out[y] = A::from_f64(-scales[i] * (rest / total));
            ratios[i] = rest / own;
        }
    }
}

/// Whether the row is surely not ordinary at the scale of its target.
#[inline(always)]
fn is_beyond<A: Arithmetic>(row: &[A], v: usize, y: usize) -> bool {
    exponentials::head_max(&row[..v]).to_f64() - row[y].to_f64() > A::REACH
}

/// The target of a row, and a wish for that of the next.
#[inline(always)]
fn ask_target<A>(row: &[A], v: usize, labels: &[u32], i: usize) -> usize {
    if let Some(&next) = labels.get(i + 1) {
        simd::prefetch(row, v + next as usize);
    }
    labels[i] as usize
}

/// Memory of the fast paths: numbers as A, their terms, and the sums of short rows.
pub(crate) struct Scratch<A> {
    pub(super) numbers: [A; GROUP],
    pub(super) terms: [A; GROUP],
    pub(super) sums: Sums,
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
    pub(super) fn put(&mut self, i: usize, done: &Done) {
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
///
/// The target's logit sets the scale, unless that was tried, as in [`sum_rows`]; where that is too far from the others, the
/// start of the row.
#[allow(clippy::too_many_arguments)]
fn long<T: Element, A: Arithmetic>(
    io: &mut Io<'_, '_, T>,
    row: usize,
    y: usize,
    tried: bool,
    wants: Wants,
    scale: Option<f64>,
    scratch: &mut Scratch<A>,
    ratio: &mut f64,
) -> Done {
    let from_target = A::reference(A::of(io.x().get(row, y)));
    if !tried && let Some(done) = by_blocks(io, row, y, &from_target, wants, scale, scratch, ratio)
    {
        return done;
    }
    let from_start = reference(&io.x(), row, &mut scratch.numbers);
    by_blocks(io, row, y, &from_start, wants, scale, scratch, ratio)
        .unwrap_or_else(|| general::odd_row(io, row, y, wants, scale))
}

/// A row block by block; nothing if it is not ordinary at this scale.
#[allow(clippy::too_many_arguments)]
fn by_blocks<T: Element, A: Arithmetic>(
    io: &mut Io<'_, '_, T>,
    row: usize,
    y: usize,
    reference: &Reference<A>,
    wants: Wants,
    scale: Option<f64>,
    Scratch { numbers: buffer, terms, .. }: &mut Scratch<A>,
    ratio: &mut f64,
) -> Option<Done> {
    let x = io.x();
    let v = x.n_cols();
    let target = A::of(x.get(row, y));
    let beside = target.to_f64() - reference.shift.to_f64();
    if !(beside.is_finite() && reference.power.is_finite()) {
        return None;
    }
    let own = term_of(beside, reference.power);
    // Terms go straight to the gradient where that is memory of its own and of this kind.
    let direct = scale.is_some() && io.stores_terms::<A>(row);
    let mut sum = Accumulator::new();
    let mut squares = Accumulator::new();
    let mut ahead = 0;
    // The target's unit is added last, as by `sum_but`.
    let mut last = [A::default(); 64];
    for cols in blocks(v) {
        // Equal numbers are ahead if they stand before the target.
        let before = y.saturating_sub(cols.start).min(cols.len());
        let in_block = cols.contains(&y).then(|| y - cols.start);
        let mut add = |numbers: &[A], terms: &mut [A]| {
            fill_terms(numbers, terms, reference);
            if let Some(y) = in_block {
                terms[y] = A::default();
                let at = y / unit::<A>() * unit::<A>();
                let end = terms.len().min(at + unit::<A>());
                last[..end - at].copy_from_slice(&terms[at..end]);
                add_terms(&mut sum, &terms[..at]);
                add_terms(&mut sum, &terms[end..]);
            } else {
                add_terms(&mut sum, terms);
            }
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
    add_terms(&mut sum, &last[..unit::<A>()]);
    let rest = sum.total::<A>();
    let total = rest + own;
    let factor = scale.map_or(0.0, |scale| scale / total);
    if !A::ordinary(rest, total, v) || !A::is_factor(factor) {
        return None;
    }
    if wants.squares && !squares_fit(rest, total) {
        return None;
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
    // The target may be lost in the sum, and the ratio above every number.
    let mut loss = 0.0;
    if own > 1e-270 && rest < 1e300 * own {
        *ratio = rest / own;
    } else {
        loss = loss_beside(beside, rest, reference.power);
    }
    Some(Done { loss, squared, rank: ahead })
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
    pub(super) fn count_ahead[A: Arithmetic](x: &[A], target: A, before: usize) -> u32 => count_body::<FMA>
}

#[inline(always)]
fn count_body<const FMA: bool, A: Arithmetic>(x: &[A], target: A, before: usize) -> u32 {
    let larger: u32 = x.iter().map(|&x| u32::from(x > target)).sum();
    let equal: u32 = x[..before].iter().map(|&x| u32::from(x == target)).sum();
    larger + equal
}
