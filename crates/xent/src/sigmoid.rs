//! Sigmoid cross entropy: binary, and several labels a row, each true or not by itself.
//!
//! The sigmoid is merged into the loss, as in every library that can be trusted with large logits;
//! what is more here is that a loss of 4e-18 is not 0, that infinite logits have their limits
//! and not NaN, and that targets are looked at before anything is written.
//!
//! Refused: targets outside [0, 1], which torch accepts and gives losses below 0 for.
//!
//! Accuracy is measured against values at 700 digits, `tests/golden/row_losses.json`
//! (`tools/golden.py`). The same bits at every instruction level, for every layout, and for f32, f16
//! and bf16 as for the same numbers in f64.

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::element::Element;
use crate::elementary::{exp, ln_1p};
use crate::lanes::{
    COLUMNS, GROUPS, LANES, Lanes, Plan, Sum, Tally, Tile, ZERO, as_lanes, factors, is_probability,
};
use crate::per_row::{ArgumentError, Gradient, RowSum, Shape, weights};
use crate::simd::leveled;
use crate::view::{View, ViewMut};

mod sealed {
    pub trait Sealed {}
    impl Sealed for bool {}
    impl Sealed for u8 {}
    impl Sealed for u32 {}
    impl Sealed for f64 {}
    impl Sealed for f32 {}
    impl Sealed for half::f16 {}
    impl Sealed for half::bf16 {}
}

/// What a target is given as: `bool`, `u8` or `u32` (0 or 1), or a probability in any [`Element`].
pub trait BinaryTarget: Copy + sealed::Sealed {
    /// The probability that the label is true.
    fn probability(self) -> f64;
}

impl BinaryTarget for bool {
    #[inline(always)]
    fn probability(self) -> f64 {
        f64::from(u8::from(self))
    }
}

macro_rules! targets {
    ($($kind:ty: $value:ident => $probability:expr;)*) => {$(
        impl BinaryTarget for $kind {
            #[inline(always)]
            fn probability(self) -> f64 {
                let $value = self;
                $probability
            }
        }
    )*};
}
targets! {
    u8: x => f64::from(x);
    u32: x => f64::from(x);
    f64: x => x;
    f32: x => f64::from(x);
    half::f16: x => Element::to_f64(x);
    half::bf16: x => Element::to_f64(x);
}

/// What makes elements and rows count more or less.
#[derive(Clone, Copy, Debug, Default)]
pub struct SigmoidOptions<'a> {
    /// A weight for each row, finite and at least 0: it multiplies the row's loss in the sum, and its
    /// gradient. A row of weight 0 is absent.
    pub weights: Option<&'a [f64]>,
    /// A weight for each column, finite and at least 0: it multiplies the part of the loss that the
    /// label's being true has (`pos_weight` in torch), so that rare labels count as much as frequent ones.
    pub positive_weights: Option<&'a [f64]>,
}

/// What is wanted besides the sum.
#[derive(Debug)]
pub struct SigmoidWanted<'a, T> {
    /// The loss of each row, the sum over its labels, without the row's weight.
    pub losses: Option<&'a mut [f64]>,
    /// The loss of each element, without the row's weight.
    pub element_losses: Option<ViewMut<'a, f64>>,
    /// The gradient with respect to the logits, of the row's weight times its loss.
    pub gradient: Option<Gradient<'a, T>>,
}

impl<T> Default for SigmoidWanted<'_, T> {
    /// Nothing but the sum.
    fn default() -> Self {
        Self { losses: None, element_losses: None, gradient: None }
    }
}

/// Returns the cross entropy of binary targets and the sigmoids of logits, in nats, summed exactly,
/// and its gradient.
///
/// ```text
/// L = w⁺ t softplus(-x) + (1 - t) softplus(x),   softplus(x) = ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|)
/// ∂L/∂x = (1 - t) σ(x) - w⁺ t σ(-x)              (σ(x) - t where w⁺ = 1)
/// ```
///
/// `w⁺` the column's positive weight, 1 if there are none. A row's loss is the sum over its columns; the sum is
/// over rows, each times its weight. The mean is per row: divide by the number of columns for the
/// mean of elements.
///
/// Shapes: `logits`, `targets`, `element_losses` and the gradient are `(n_samples, n_labels)` in any
/// layout; one column is binary classification. `losses` and weights `(n_samples)`, positive weights
/// `(n_labels)`.
///
/// Domain: any logits. `0 inf = 0`: for x = +inf the loss is 0 where t = 1, else +inf; for x = -inf
/// likewise; the gradients are their limits, `1 - t` and `-t`. NaN gives NaN, and is counted: [`RowSum::undefined`]
/// are elements here. Rows of weight 0 are absent.
///
/// Accuracy: loss 4 ulp, from 5e-324 to 1e308, never negative; gradient 4 ulp where the target is 0 or 1,
/// else 4 ulp of the larger of its two terms, then rounded to the logits' kind.
///
/// # Errors
///
/// [`ArgumentError`]: a shape, a target outside [0, 1] or NaN, a weight. Nothing is written then.
///
/// # Example
///
/// ```
/// use xent::per_row::{Gradient, Scale};
/// use xent::sigmoid::{SigmoidOptions, SigmoidWanted, sigmoid_cross_entropy};
/// use xent::view::{View, ViewMut};
///
/// let logits = [0.0_f32, 20.0, f32::INFINITY];
/// let targets = [true, true, true];
/// let mut losses = [0.0; 3];
/// let mut slopes = [0.0_f32; 3];
/// let gradient = Gradient { into: ViewMut::rows_of(&mut slopes, 1)?, scale: Scale::All(1.0 / 3.0) };
/// let wanted = SigmoidWanted {
///     losses: Some(&mut losses),
///     gradient: Some(gradient),
///     ..SigmoidWanted::default()
/// };
/// let sum = sigmoid_cross_entropy(
///     View::rows_of(&logits, 1)?,
///     View::rows_of(&targets, 1)?,
///     &SigmoidOptions::default(),
///     wanted,
/// )?;
/// assert_eq!(losses, [std::f64::consts::LN_2, 2.061153620314381e-9, 0.0]);
/// assert_eq!(sum.used, 3);
/// assert_eq!(slopes, [-1.0 / 6.0, -6.870512e-10, 0.0]); // not 0, as p - 1 would be
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: Good (1952, doi:10.1111/j.2517-6161.1952.tb00104.x); the stable form, Mächler (2012,
/// "Accurately computing log(1 - exp(-|a|))").
pub fn sigmoid_cross_entropy<T: Element, Y: BinaryTarget>(
    logits: View<'_, T>,
    targets: View<'_, Y>,
    options: &SigmoidOptions<'_>,
    wanted: SigmoidWanted<'_, T>,
) -> Result<RowSum, ArgumentError> {
    let shape = Shape::of(logits.n_rows(), logits.n_cols())?;
    shape.array("targets", targets.n_rows(), targets.n_cols())?;
    let SigmoidWanted { losses, mut element_losses, mut gradient } = wanted;
    shape.a_row("losses", losses.as_ref().map(|losses| losses.len()))?;
    if let Some(out) = &element_losses {
        shape.array("element_losses", out.n_rows(), out.n_cols())?;
    }
    shape.gradient("gradient", gradient.as_ref())?;
    shape.a_row("weights", options.weights.map(<[f64]>::len))?;
    shape.a_column("positive_weights", options.positive_weights.map(<[f64]>::len))?;
    weights("weights", options.weights)?;
    weights("positive_weights", options.positive_weights)?;
    let plan = Plan::new(shape.rows, shape.cols);
    let (mut x, mut t) = (Tile::new(plan), Tile::new(plan));
    check_targets(targets, plan, &mut t, Y::probability)?;

    let weight = |row: usize| options.weights.map_or(1.0, |weights| weights[row]);
    let mut tally = Tally::new(losses);
    let mut states = [State::START; GROUPS];
    let mut lanes = [ZERO; GROUPS];
    for rows in plan.chunks() {
        let n = rows.len().div_ceil(LANES);
        states.fill(State::START);
        as_lanes(&rows, &mut lanes[..n], weight);
        states.iter_mut().zip(&lanes).for_each(|(s, lanes)| s.weight = *lanes);
        factors(gradient.as_ref(), &rows, &mut lanes[..n]);
        states.iter_mut().zip(&lanes).for_each(|(s, lanes)| s.scale = *lanes);
        for cols in plan.blocks() {
            x.load(logits, &rows, &cols, T::to_f64);
            t.load(targets, &rows, &cols, Y::probability);
            let width = cols.len();
            let positive = options.positive_weights.map_or(&ONES[..width], |w| &w[cols.clone()]);
            let (xs, states) = (x.lanes_mut(&rows, &cols), &mut states[..n]);
            if let Some(Gradient { into, .. }) = &mut gradient {
                losses_and_slopes(xs, t.lanes_mut(&rows, &cols), positive, states);
                t.store(into, &rows, &cols);
            } else {
                losses_only(xs, t.lanes(&rows, &cols), positive, states);
            }
            if let Some(out) = &mut element_losses {
                x.store(out, &rows, &cols);
            }
        }
        lanes.iter_mut().zip(&states).for_each(|(lanes, s)| *lanes = s.values());
        let nans: f64 = states[..n].iter().flat_map(|s| s.nans).sum();
        if nans > 0.0 {
            count_undefined(logits, &rows, weight, &mut tally);
        }
        if let Some(weights) = options.weights {
            tally.add_weighted(&rows, &lanes, &weights[rows.clone()]);
        } else {
            tally.add_plain(&rows, &lanes);
        }
    }
    Ok(tally.sum)
}

/// Writes the sigmoid of each number: the probability of the positive class of a binary score.
///
/// ```text
/// σ(x) = 1 / (1 + e^-x)
/// ```
///
/// Shapes: both `(n_samples, n_labels)`, in any layout.
///
/// Domain: any number; 0 and 1 at the infinities; NaN gives NaN. Accuracy: 2 ulp of f64 on both sides, then
/// rounded to the output's kind.
///
/// # Errors
///
/// [`ArgumentError::Shape`].
///
/// # Example
///
/// ```
/// use xent::sigmoid::sigmoid;
/// use xent::view::{View, ViewMut};
///
/// let x = [0.0_f32, 1000.0, -1000.0];
/// let mut p = [0.0_f32; 3];
/// sigmoid(View::rows_of(&x, 1)?, ViewMut::rows_of(&mut p, 1)?)?;
/// assert_eq!(p, [0.5, 1.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: Cox (1958, doi:10.1111/j.2517-6161.1958.tb00292.x).
pub fn sigmoid<T: Element, P: Element>(
    x: View<'_, T>,
    mut out: ViewMut<'_, P>,
) -> Result<(), ArgumentError> {
    let shape = Shape { rows: x.n_rows(), cols: x.n_cols() };
    shape.array("out", out.n_rows(), out.n_cols())?;
    let plan = Plan::new(shape.rows, shape.cols);
    let mut tile = Tile::new(plan);
    for rows in plan.chunks() {
        for cols in plan.blocks() {
            tile.load(x, &rows, &cols, T::to_f64);
            sigmoid_lanes(tile.lanes_mut(&rows, &cols));
            tile.store(&mut out, &rows, &cols);
        }
    }
    Ok(())
}

/// Positive weights where there are none.
const ONES: [f64; COLUMNS] = [1.0; COLUMNS];

/// Eight rows on their way through the columns.
#[derive(Clone, Copy)]
struct State {
    sum: Sum,
    nans: Lanes,
    weight: Lanes,
    scale: Lanes,
}

impl State {
    const START: Self = Self { sum: Sum::ZERO, nans: ZERO, weight: ZERO, scale: ZERO };

    fn values(&self) -> Lanes {
        std::array::from_fn(|l| self.sum.value(l))
    }
}

/// Looks at every target before any result is computed.
pub(crate) fn check_targets<Y: Copy>(
    targets: View<'_, Y>,
    plan: Plan,
    tile: &mut Tile,
    probability: impl Fn(Y) -> f64 + Copy,
) -> Result<(), ArgumentError> {
    for rows in plan.chunks() {
        let mut odd = false;
        for cols in plan.blocks() {
            tile.load(targets, &rows, &cols, probability);
            odd |= has_odd_target(tile.lanes(&rows, &cols));
        }
        if odd {
            return Err(odd_target(targets, rows, probability));
        }
    }
    Ok(())
}

/// The first target that is no probability, row by row.
#[cold]
fn odd_target<Y: Copy>(
    targets: View<'_, Y>,
    rows: Range<usize>,
    probability: impl Fn(Y) -> f64,
) -> ArgumentError {
    for row in rows {
        for col in 0..targets.n_cols() {
            let value = probability(targets.get(row, col));
            if !(0.0..=1.0).contains(&value) {
                return ArgumentError::NotProbability { what: "targets", row, col, value };
            }
        }
    }
    unreachable!("such a target was seen in these rows")
}

/// Counts the logits that are NaN, in rows that count; notes the first.
#[cold]
fn count_undefined<T: Element>(
    logits: View<'_, T>,
    rows: &Range<usize>,
    weight: impl Fn(usize) -> f64,
    tally: &mut Tally<'_>,
) {
    for row in rows.clone().filter(|&row| weight(row) != 0.0) {
        for col in (0..logits.n_cols()).filter(|&col| logits.get(row, col).to_f64().is_nan()) {
            tally.sum.undefined += 1;
            tally.sum.first_undefined.get_or_insert((row, col));
        }
    }
}

leveled! {
    /// Whether a target is outside [0, 1] or NaN.
    fn has_odd_target(tile: &[Lanes]) -> bool => odd_target_body
}
#[inline(always)]
fn odd_target_body(tile: &[Lanes]) -> bool {
    let mut bad = ZERO;
    for lanes in tile {
        for l in 0..LANES {
            bad[l] += if is_probability(lanes[l]) { 0.0 } else { 1.0 };
        }
    }
    bad.iter().sum::<f64>() > 0.0
}

leveled! {
    /// The sigmoid of each number, in its place.
    fn sigmoid_lanes(tile: &mut [Lanes]) => sigmoid_body
}
#[inline(always)]
fn sigmoid_body(tile: &mut [Lanes]) {
    for lanes in tile {
        for x in lanes {
            *x = both_sides(*x).0;
        }
    }
}

/// σ(x) and σ(-x), each accurate; NaN stays NaN.
#[inline(always)]
pub(crate) fn both_sides(x: f64) -> (f64, f64) {
    let e = exp(-x.abs());
    let total = 1.0 + e;
    let (large, small) = (1.0 / total, e / total);
    if x > 0.0 { (large, small) } else { (small, large) }
}

leveled! {
    /// Writes each element's loss over its logit and adds it to the row's sum.
    fn losses_only(x: &mut [Lanes], t: &[Lanes], positive: &[f64], states: &mut [State]) => losses_body
}
#[inline(always)]
fn losses_body(x: &mut [Lanes], t: &[Lanes], positive: &[f64], states: &mut [State]) {
    let width = positive.len();
    for ((x, t), state) in x.chunks_mut(width).zip(t.chunks(width)).zip(states) {
        let mut s = *state;
        for ((x, t), &positive) in x.iter_mut().zip(t).zip(positive) {
            for l in 0..LANES {
                x[l] = loss(x[l], positive * t[l], 1.0 - t[l]);
                s.sum.add(l, x[l]);
                s.nans[l] += if x[l].is_nan() { 1.0 } else { 0.0 };
            }
        }
        *state = s;
    }
}

leveled! {
    /// The same, and writes the gradient over the targets.
    fn losses_and_slopes(x: &mut [Lanes], t: &mut [Lanes], positive: &[f64], states: &mut [State])
        => slopes_body
}
#[inline(always)]
fn slopes_body(x: &mut [Lanes], t: &mut [Lanes], positive: &[f64], states: &mut [State]) {
    let width = positive.len();
    for ((x, t), state) in x.chunks_mut(width).zip(t.chunks_mut(width)).zip(states) {
        let mut s = *state;
        for ((x, t), &positive) in x.iter_mut().zip(t).zip(positive) {
            for l in 0..LANES {
                let (yes, no) = (positive * t[l], 1.0 - t[l]);
                let (p, q) = both_sides(x[l]);
                let slope = (no * p - yes * q) * (s.weight[l] * s.scale[l]);
                // A row that is absent has no gradient, whatever its logits.
                t[l] = if s.weight[l] == 0.0 { 0.0 } else { slope };
                x[l] = loss(x[l], yes, no);
                s.sum.add(l, x[l]);
                s.nans[l] += if x[l].is_nan() { 1.0 } else { 0.0 };
            }
        }
        *state = s;
    }
}

/// yes softplus(-x) + no softplus(x), 0 inf = 0.
#[inline(always)]
fn loss(x: f64, yes: f64, no: f64) -> f64 {
    let tail = ln_1p(exp(-x.abs()));
    let above = if x > 0.0 { x } else { 0.0 };
    let below = if x < 0.0 { -x } else { 0.0 };
    let when_true = yes * (below + tail);
    let when_false = no * (above + tail);
    let when_true = if yes == 0.0 { 0.0 } else { when_true };
    let when_false = if no == 0.0 { 0.0 } else { when_false };
    if x.is_nan() { x } else { when_true + when_false }
}
