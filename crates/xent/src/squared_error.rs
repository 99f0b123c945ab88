//! Squared error after softmax or sigmoid, with its gradient with respect to the logits.
//!
//! Its gradient is the probabilities' own difference times the slope of the activation, which is
//! nearly 0 where a model is confident, rightly or wrongly: for one sigmoid it is `2 p (1 - p)` times
//! the gradient of cross entropy. This is why a model that starts out confidently wrong learns nothing
//! for hundreds of steps; the tests reproduce the classic example. To show that, and to use it, both
//! `p` and `1 - p` must be right when they are tiny.
//!
//! The loss is `Σ (p - t)^2`, without the half that some textbooks put before it. The half of a loss is exactly `0.5`
//! times it, and [`Scale::All(0.5)`](crate::per_row::Scale::All) makes the gradient that of the half.
//!
//! Accuracy is measured against values at 700 digits, `tests/golden/row_losses.json`
//! (`tools/golden.py`). The same bits at every instruction level, for every layout, and for f32, f16
//! and bf16 as for the same numbers in f64.

#[cfg(test)]
mod tests;

use crate::element::Element;
use crate::lanes::{
    GROUPS, LANES, Lanes, Logits, Plan, Softmax, Sum, Tally, Tile, UNSCALE, ZERO, exp_scaled,
    factors, shifted,
};
use crate::per_row::{ArgumentError, Gradient, RowSum, Shape, Wanted};
use crate::sigmoid::{BinaryTarget, both_sides, check_targets};
use crate::simd::leveled;
use crate::view::View;

/// What was true of each row.
#[derive(Clone, Copy, Debug)]
pub enum ClassTarget<'a, T> {
    /// Index of the true class, a row each.
    Classes(&'a [u32]),
    /// A number in [0, 1] for each class, usually a distribution (soft labels); no sum is asked for.
    Soft(View<'a, T>),
}

/// Returns the squared error of the softmax of rows of logits, from 0 to 2 for a class or a
/// distribution, summed exactly, and its gradient.
///
/// ```text
/// L = Σ d_i²,   d_i = p_i - t_i,   p = softmax(x),   ∂L/∂x_i = 2 p_i (d_i - Σ p_j d_j)
/// ```
///
/// Shapes: `logits`, soft targets and the gradient are `(n_samples, n_classes)`, labels and `losses`
/// `(n_samples)`.
///
/// The difference of the most probable class is taken from the sum of the others, and so is its part of the
/// gradient: right when p is nearly 1, where `p - 1` is 0. -inf logits are a
/// probability of 0; a single +inf is 1 there and 0 elsewhere. A NaN, a row that is all -inf, or several
/// +inf have no softmax: NaN, counted.
///
/// Accuracy: for a class, loss 8 ulp (the square doubles the error of the difference) and gradient 8 ulp of the
/// magnitudes of its terms, `2 p_i (|d_i| + Σ p_j |d_j|)`, which do not cancel where a model is sure; for soft targets the same
/// in ulp of the larger of `p_i` and `t_i`, or of their complements, in place of their difference.
///
/// # Errors
///
/// [`ArgumentError`]: a shape, a label out of range, a target outside [0, 1] or NaN. Nothing is written
/// then.
///
/// # Example
///
/// ```
/// use xent::per_row::{Gradient, Scale, Wanted};
/// use xent::squared_error::{ClassTarget, softmax_squared_error};
/// use xent::view::{View, ViewMut};
///
/// // Confident, and right in one row, wrong in the other: the gradient is nearly 0 in both.
/// let logits = [40.0, 0.0, /**/ 40.0, 0.0];
/// let mut slopes = [0.0; 4];
/// let gradient = Some(Gradient { into: ViewMut::rows_of(&mut slopes, 2)?, scale: Scale::All(1.0) });
/// let sum = softmax_squared_error(
///     View::rows_of(&logits, 2)?,
///     ClassTarget::Classes(&[0, 1]),
///     Wanted { gradient, ..Wanted::default() },
/// )?;
/// assert_eq!(sum.loss.value(), 2.0);
/// assert!((slopes[1] / (4.0 * (-80.0_f64).exp()) - 1.0).abs() < 1e-14);
/// assert!((slopes[3] / (-4.0 * (-40.0_f64).exp()) - 1.0).abs() < 1e-14);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: Brier (1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2); its gradient after a
/// softmax, Bridle (1990, "Training stochastic model recognition algorithms").
pub fn softmax_squared_error<T: Element>(
    logits: View<'_, T>,
    targets: ClassTarget<'_, T>,
    wanted: Wanted<'_, T>,
) -> Result<RowSum, ArgumentError> {
    let shape = Shape::of(logits.n_rows(), logits.n_cols())?;
    shape.wanted(&wanted)?;
    let plan = Plan::new(shape.rows, shape.cols);
    let mut t = Tile::new(plan);
    match targets {
        ClassTarget::Classes(labels) => {
            shape.a_row("labels", Some(labels.len()))?;
            let n_classes = shape.cols;
            if let Some(row) = labels.iter().position(|&label| label as usize >= n_classes) {
                return Err(ArgumentError::Label { row, label: labels[row], n_classes });
            }
        }
        ClassTarget::Soft(view) => {
            shape.array("targets", view.n_rows(), view.n_cols())?;
            check_targets(view, plan, &mut t, T::to_f64)?;
        }
    }
    let Wanted { losses, mut gradient } = wanted;
    let mut logits = Logits::new(logits, plan);
    let mut tally = Tally::new(losses);
    let mut states = [State::START; GROUPS];
    let mut lanes = [ZERO; GROUPS];
    for rows in plan.chunks() {
        logits.open(&rows);
        let n = rows.len().div_ceil(LANES);
        let states = &mut states[..n];
        states.fill(State::START);
        factors(gradient.as_ref(), &rows, &mut lanes[..n]);
        for cols in plan.blocks() {
            logits.load(&rows, &cols);
            match targets {
                ClassTarget::Classes(labels) => t.load_classes(labels, &rows, &cols),
                ClassTarget::Soft(view) => _ = t.load(view, &rows, &cols, T::to_f64),
            }
            let (x, t) = (logits.tile.lanes(&rows, &cols), t.lanes(&rows, &cols));
            add_squares(x, t, cols.start, &logits.softmax[..n], states);
        }
        for ((s, factor), softmax) in states.iter_mut().zip(&lanes).zip(&logits.softmax) {
            s.close(softmax, factor);
        }
        lanes.iter_mut().zip(&*states).for_each(|(lanes, s)| *lanes = s.value);
        tally.add(&rows, &lanes, |row| logits.fault(row));
        let Some(Gradient { into, .. }) = &mut gradient else { continue };
        for cols in plan.blocks() {
            logits.load(&rows, &cols);
            match targets {
                ClassTarget::Classes(labels) => t.load_classes(labels, &rows, &cols),
                ClassTarget::Soft(view) => _ = t.load(view, &rows, &cols, T::to_f64),
            }
            let t = t.lanes(&rows, &cols);
            let x = logits.tile.lanes_mut(&rows, &cols);
            write_slopes(x, t, cols.start, &logits.softmax[..n], states);
            logits.tile.store(into, &rows, &cols);
        }
    }
    Ok(tally.sum)
}

/// Returns the squared error of the sigmoids of logits, from 0 to 1 a column, summed exactly, and its
/// gradient.
///
/// ```text
/// L = Σ (p - t)²,   p = σ(x),   ∂L/∂x = 2 (p - t) p (1 - p)
/// ```
///
/// Shapes: `logits`, `targets` and the gradient are `(n_samples, n_labels)`, `losses` `(n_samples)`. A
/// row's loss is the sum over its columns.
///
/// `p - t` is `(1 - t) σ(x) - t σ(-x)` and `p (1 - p)` is `σ(x) σ(-x)`: nothing cancels when p is nearly
/// 0 or 1. Infinite logits have their limits, the gradient 0. NaN gives NaN, and its row is counted.
///
/// Accuracy: where the target is 0 or 1 loss and gradient 8 ulp; else `p - t` 4 ulp of the larger of its
/// two terms.
///
/// # Errors
///
/// [`ArgumentError`]: a shape, a target outside [0, 1] or NaN. Nothing is written then.
///
/// # Example
///
/// ```
/// use xent::per_row::{Gradient, Scale, Wanted};
/// use xent::squared_error::sigmoid_squared_error;
/// use xent::view::{View, ViewMut};
///
/// // Half the squared error: half of the loss, and half of the gradient.
/// let mut slopes = [0.0; 1];
/// let out = ViewMut::rows_of(&mut slopes, 1)?;
/// let wanted = Wanted { gradient: Some(Gradient { into: out, scale: Scale::All(0.5) }), ..Wanted::default() };
/// let sum = sigmoid_squared_error(View::rows_of(&[0.0], 1)?, View::rows_of(&[false], 1)?, wanted)?;
/// assert_eq!(0.5 * sum.loss.value(), 0.125);
/// assert_eq!(slopes, [0.125]); // (p - t) p (1 - p)
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: Rumelhart, Hinton and Williams (1986, doi:10.1038/323533a0).
pub fn sigmoid_squared_error<T: Element, Y: BinaryTarget>(
    logits: View<'_, T>,
    targets: View<'_, Y>,
    wanted: Wanted<'_, T>,
) -> Result<RowSum, ArgumentError> {
    let shape = Shape::of(logits.n_rows(), logits.n_cols())?;
    shape.array("targets", targets.n_rows(), targets.n_cols())?;
    shape.wanted(&wanted)?;
    let plan = Plan::new(shape.rows, shape.cols);
    let (mut x, mut t) = (Tile::new(plan), Tile::new(plan));
    check_targets(targets, plan, &mut t, Y::probability)?;
    let Wanted { losses, mut gradient } = wanted;
    let mut tally = Tally::new(losses);
    let mut sums = [Sum::ZERO; GROUPS];
    let mut scales = [ZERO; GROUPS];
    let mut values = [ZERO; GROUPS];
    for rows in plan.chunks() {
        let n = rows.len().div_ceil(LANES);
        sums.fill(Sum::ZERO);
        factors(gradient.as_ref(), &rows, &mut scales[..n]);
        for cols in plan.blocks() {
            x.load(logits, &rows, &cols, T::to_f64);
            t.load(targets, &rows, &cols, Y::probability);
            let t = t.lanes(&rows, &cols);
            let xs = x.lanes_mut(&rows, &cols);
            sigmoid_squares(xs, t, cols.len(), &scales[..n], &mut sums[..n]);
            if let Some(Gradient { into, .. }) = &mut gradient {
                x.store(into, &rows, &cols);
            }
        }
        for (values, sum) in values.iter_mut().zip(&sums) {
            *values = std::array::from_fn(|l| sum.value(l));
        }
        tally.add(&rows, &values, |row| {
            (0..shape.cols).find(|&col| logits.get(row, col).to_f64().is_nan())
        });
    }
    Ok(tally.sum)
}

/// Eight rows on their way through the classes.
#[derive(Clone, Copy)]
struct State {
    squares: Sum,
    /// Σ p_j d_j without the most probable class.
    others: Sum,
    /// The most probable class's difference.
    top: Lanes,
    value: Lanes,
    /// Σ p_j d_j of the others, and of all.
    means: [Lanes; 2],
    factor: Lanes,
}

impl State {
    const START: Self = Self {
        squares: Sum::ZERO,
        others: Sum::ZERO,
        top: ZERO,
        value: ZERO,
        means: [ZERO; 2],
        factor: ZERO,
    };

    fn close(&mut self, softmax: &Softmax, factor: &Lanes) {
        for l in 0..LANES {
            let others = self.others.value(l);
            let top = 1.0 / softmax.total[l];
            self.means[0][l] = others;
            self.means[1][l] = others + top * self.top[l];
            self.value[l] = self.squares.value(l);
            self.factor[l] = 2.0 * factor[l];
            if softmax.is_undefined(l) {
                (self.value[l], self.factor[l]) = (f64::NAN, f64::NAN);
            }
        }
    }
}

/// One class: whether it is the most probable one, p, and p - t.
#[inline(always)]
fn difference(x: f64, t: f64, column: f64, softmax: &Softmax, l: usize) -> (bool, f64, f64) {
    let (d, lost) = shifted(x, softmax.max[l]);
    let p = exp_scaled(d, lost) / softmax.total[l] * UNSCALE;
    let is_top = softmax.top[l] == column;
    // 1 - p of the most probable class is the sum of the others.
    let complement = softmax.others[l] / softmax.total[l];
    (is_top, p, if is_top { (1.0 - t) - complement } else { p - t })
}

leveled! {
    /// Adds the squared differences.
    fn add_squares(
        x: &[Lanes],
        t: &[Lanes],
        first: usize,
        softmax: &[Softmax],
        states: &mut [State],
    ) => squares_body
}
#[inline(always)]
fn squares_body(x: &[Lanes], t: &[Lanes], first: usize, softmax: &[Softmax], states: &mut [State]) {
    let width = x.len() / states.len();
    let tiles = x.chunks(width).zip(t.chunks(width));
    for (((x, t), softmax), state) in tiles.zip(softmax).zip(states) {
        let mut s = *state;
        for (i, (x, t)) in x.iter().zip(t).enumerate() {
            let column = (first + i) as f64;
            for l in 0..LANES {
                let (is_top, p, d) = difference(x[l], t[l], column, softmax, l);
                s.squares.add(l, d * d);
                s.others.add(l, if is_top { 0.0 } else { p * d });
                s.top[l] = if is_top { d } else { s.top[l] };
            }
        }
        *state = s;
    }
}

leveled! {
    /// Writes the gradient over the logits.
    fn write_slopes(
        x: &mut [Lanes],
        t: &[Lanes],
        first: usize,
        softmax: &[Softmax],
        states: &mut [State],
    ) => slopes_body
}
#[inline(always)]
fn slopes_body(
    x: &mut [Lanes],
    t: &[Lanes],
    first: usize,
    softmax: &[Softmax],
    states: &mut [State],
) {
    let width = x.len() / states.len();
    let tiles = x.chunks_mut(width).zip(t.chunks(width));
    for (((x, t), softmax), s) in tiles.zip(softmax).zip(states) {
        for (i, (x, t)) in x.iter_mut().zip(t).enumerate() {
            let column = (first + i) as f64;
            for l in 0..LANES {
                let (is_top, p, d) = difference(x[l], t[l], column, softmax, l);
                // d - p d - others = (1 - p) d - others.
                let complement = softmax.others[l] / softmax.total[l];
                let top = d * complement - s.means[0][l];
                let slope = p * if is_top { top } else { d - s.means[1][l] };
                x[l] = slope * s.factor[l] + 0.0;
            }
        }
    }
}

leveled! {
    /// Adds the squared differences and writes the gradient over the logits.
    fn sigmoid_squares(
        x: &mut [Lanes],
        t: &[Lanes],
        width: usize,
        scales: &[Lanes],
        sums: &mut [Sum],
    ) => sigmoid_squares_body
}
#[inline(always)]
fn sigmoid_squares_body(
    x: &mut [Lanes],
    t: &[Lanes],
    width: usize,
    scales: &[Lanes],
    sums: &mut [Sum],
) {
    let tiles = x.chunks_mut(width).zip(t.chunks(width));
    for (((x, t), scale), state) in tiles.zip(scales).zip(sums) {
        let mut sum = *state;
        for (x, t) in x.iter_mut().zip(t) {
            for l in 0..LANES {
                let (p, q) = both_sides(x[l]);
                let d = (1.0 - t[l]) * p - t[l] * q;
                sum.add(l, d * d);
                x[l] = 2.0 * (d * (p * q)) * scale[l] + 0.0;
            }
        }
        *state = sum;
    }
}
