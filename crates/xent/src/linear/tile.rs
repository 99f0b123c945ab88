//! Tiles of logits: terms, sums and gradients.

use std::ops::Range;

use crate::elementary::{self, fma32};
use crate::exponentials::{
    Accumulator, Arithmetic, Reference, largest_body, loss_beside, ratio_beside, times_power,
};
use crate::simd::leveled;
use crate::view::{View, ViewMut};

/// Classes of a tile of the first sweep. Sums are taken tile by tile from class 0 on: another size
/// gives other last bits.
pub(super) const TILE: usize = 384;
/// Terms may grow to 2^72 before the scale is changed: 2^32 at first, and this.
const GROWTH: f64 = 40.0;

/// A row's softmax: while tiles pass, the sum so far; then what its gradient is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Softmax {
    reference: Reference<f32>,
    /// A number above this needs another reference.
    limit: f32,
    /// Factor from the reference before this tile to the present one.
    rescale: f32,
    label: u32,
    /// Leaves nothing in a gradient: ignored, or of weight 0.
    left_out: bool,
    /// The logit of the label.
    target: f32,
    /// Sum of the other terms.
    rest: f64,
    /// The gradient for a logit is its term times these two, each a normal f32.
    factors: [f32; 2],
    /// The gradient for the label's logit.
    share: f32,
}

impl Softmax {
    pub(super) fn new(label: u32) -> Self {
        Self {
            reference: f32::reference(0.0),
            limit: f32::NEG_INFINITY,
            rescale: 1.0,
            label,
            left_out: false,
            target: f32::NAN,
            rest: 0.0,
            factors: [0.0; 2],
            share: 0.0,
        }
    }

    pub(super) fn ignored() -> Self {
        Self { left_out: true, ..Self::new(0) }
    }

    pub(super) fn leaves_nothing(&self) -> bool {
        self.left_out
    }

    /// Its row counts for nothing, whatever its loss.
    pub(super) fn leave_out(&mut self) {
        self.left_out = true;
    }

    /// Takes the largest number of a tile as the reference; what was summed is scaled to it.
    fn refer_to(&mut self, max: f32) {
        let (before, after) = (self.reference, f32::reference(max));
        if self.limit > f32::NEG_INFINITY {
            let shifted = f64::from(before.shift) - f64::from(after.shift);
            // A power of two, but for logits above 262,144.
            let factor = times_power(elementary::exp(shifted), before.power - after.power);
            self.rescale = factor as f32;
            self.rest *= factor;
        }
        self.reference = after;
        let room = after.power + f32::RAISE.log2() + GROWTH;
        self.limit = (f64::from(after.shift) + room * std::f64::consts::LN_2) as f32;
    }

    /// The loss, once all tiles have passed; `scale` is the factor of the gradient.
    pub(super) fn finish(&mut self, scale: f64) -> f64 {
        if self.left_out {
            return 0.0;
        }
        let target = f64::from(self.target);
        let unruly = self.rest.is_nan() || target.is_nan() || target == f64::INFINITY;
        if unruly || (self.rest == 0.0 && target == f64::NEG_INFINITY) {
            self.factors = [f32::NAN; 2];
            self.share = f32::NAN;
            return f64::NAN;
        }
        if self.rest == 0.0 {
            return 0.0;
        }
        let (beside, power) = (target - f64::from(self.reference.shift), self.reference.power);
        let ratio = ratio_beside(beside, self.rest, power);
        // 1 - p of the target.
        let missed = if ratio < 1e300 { ratio / (1.0 + ratio) } else { 1.0 };
        self.share = (0.0 - scale * missed) as f32;
        self.factors = factors(scale * (missed / self.rest));
        loss_beside(beside, self.rest, power)
    }
}

/// Two f32 whose product is the factor, where neither it nor its product with a term is out of
/// range.
fn factors(factor: f64) -> [f32; 2] {
    if f32::is_factor(factor) {
        [factor as f32, 1.0]
    } else if factor.abs() < 1.0 {
        [times_power(factor, 100.0) as f32, times_power(1.0, -100.0) as f32]
    } else {
        [times_power(factor, -60.0) as f32, times_power(1.0, 60.0) as f32]
    }
}

leveled! {
    /// Turns a tile of logits of these classes into terms, without those of the labels, and adds
    /// them to the sums. Whether a row has another reference than before.
    pub(super) fn sum_tile(tile: &mut [f32], classes: Range<usize>, rows: &mut [Softmax]) -> bool => sum_body::<FMA>
}

#[inline(always)]
fn sum_body<const FMA: bool>(
    tile: &mut [f32],
    classes: Range<usize>,
    rows: &mut [Softmax],
) -> bool {
    let (n, whole) = (classes.len(), classes.len().next_multiple_of(f32::LANES * f32::CHAIN));
    let mut rescaled = false;
    for (row, softmax) in tile.chunks_exact_mut(TILE).zip(rows) {
        if softmax.left_out {
            row.fill(0.0);
            continue;
        }
        let logits = &mut row[..n];
        let label = softmax.label as usize;
        if classes.contains(&label) {
            let logit = &mut logits[label - classes.start];
            softmax.target = *logit;
            *logit = f32::NEG_INFINITY;
        }
        let max = largest_body::<FMA, f32>(logits);
        softmax.rescale = 1.0;
        if max == f32::INFINITY {
            softmax.rest = f64::NAN;
        } else if max > softmax.limit {
            softmax.refer_to(max);
            rescaled = true;
        }
        terms_in_place::<FMA>(logits, &softmax.reference);
        row[n..whole].fill(0.0);
        let mut sum = Accumulator::new();
        sum.add::<f32, false>(&row[..whole]);
        softmax.rest += sum.total::<f32>();
    }
    rescaled
}

#[inline(always)]
fn terms_in_place<const FMA: bool>(row: &mut [f32], reference: &Reference<f32>) {
    if reference.shift == 0.0 {
        for x in row {
            *x = f32::term::<FMA, false>(*x, reference);
        }
    } else {
        for x in row {
            *x = f32::term::<FMA, true>(*x, reference);
        }
    }
}

leveled! {
    /// Turns a tile of logits of these classes, its rows `stride` apart, into gradients, and adds
    /// those to the biases' if there are any.
    pub(super) fn gradient_tile(
        tile: &mut [f32],
        stride: usize,
        classes: Range<usize>,
        rows: &[Softmax],
        bias: &mut [f64],
    ) => gradient_body::<FMA>
}

#[inline(always)]
fn gradient_body<const FMA: bool>(
    tile: &mut [f32],
    stride: usize,
    classes: Range<usize>,
    rows: &[Softmax],
    bias: &mut [f64],
) {
    for (row, softmax) in tile.chunks_mut(stride).zip(rows) {
        let row = &mut row[..classes.len()];
        if softmax.left_out {
            row.fill(0.0);
            continue;
        }
        terms_in_place::<FMA>(row, &softmax.reference);
        let [first, second] = softmax.factors;
        for x in row.iter_mut() {
            *x = (*x * first) * second;
        }
        let label = softmax.label as usize;
        if classes.contains(&label) {
            row[label - classes.start] = softmax.share;
        }
        for (sum, &g) in bias.iter_mut().zip(&*row) {
            *sum += f64::from(g);
        }
    }
}

/// Scales what the rows' gradients have so far to their references.
pub(super) fn scale_rows(gradient: &mut ViewMut<'_, f32>, rows: &[Softmax]) {
    let (cols, (row_stride, col_stride)) = (gradient.n_cols(), gradient.strides());
    let memory = gradient.memory();
    for (i, softmax) in rows.iter().enumerate().filter(|(_, softmax)| softmax.rescale != 1.0) {
        for j in 0..cols {
            memory[i * row_stride + j * col_stride] *= softmax.rescale;
        }
    }
}

leveled! {
    /// The inputs' gradients from sums of weights times terms: scaled, and the label's weights
    /// added.
    pub(super) fn finish_gradient(gradient: ViewMut<'_, f32>, weight: View<'_, f32>, rows: &[Softmax]) => finish_body::<FMA>
}

#[inline(always)]
fn finish_body<const FMA: bool>(
    mut gradient: ViewMut<'_, f32>,
    weight: View<'_, f32>,
    rows: &[Softmax],
) {
    let (cols, (row_stride, col_stride)) = (gradient.n_cols(), gradient.strides());
    for (i, softmax) in rows.iter().enumerate() {
        let [first, second] = softmax.factors;
        let finished = |sum: f32, weight: f32| {
            let others = (sum * first) * second;
            let whole = fma32::<FMA>(softmax.share, weight, others);
            if softmax.left_out { 0.0 } else { whole }
        };
        let label = softmax.label as usize;
        if let (Some(out), Some(weight)) = (gradient.row_mut(i), weight.row(label)) {
            for (out, &weight) in out.iter_mut().zip(weight) {
                *out = finished(*out, weight);
            }
            continue;
        }
        let memory = gradient.memory();
        for j in 0..cols {
            let out = &mut memory[i * row_stride + j * col_stride];
            *out = finished(*out, weight.get(label, j));
        }
    }
}
