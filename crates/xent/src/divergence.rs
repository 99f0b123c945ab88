//! Entropy, cross entropy and divergences of rows, of probabilities or of logits, with gradients.
//!
//! [`information`](crate::information) holds the same quantities for one distribution, computed with
//! exact sums; here they are for arrays of rows `(n_samples, n_classes)` in any layout, at the speed of
//! vector instructions.
//!
//! # Why this design
//!
//! *Divergences cannot be negative.* A class's term is `p ln(p / q) + q - p`, of which none is
//! negative and which is 0 where p = q; the terms are summed in two f64, so nothing is lost to the
//! number of classes. Where both rows sum to 1, this is `Σ p ln(p / q)`. Where rows of probabilities do not, exactly
//! this is computed: `Σ p ln(p / q) + Σ q - Σ p`, the divergence of measures of any total
//! (Csiszár 1991, doi:10.1214/aos/1176348385), and the gradients are the gradients of this.
//!
//! *Gradients in probabilities are partial derivatives*, each class's number changed alone; for rows that stay
//! distributions take the mean over the classes off. At the edge they are the limit from inside, infinite where the slope
//! of the logarithm is; times a scale of 0 they are 0.
//!
//! *From logits nothing goes through a rounded probability.* With `d_j = x_j - max` (in two parts) and
//! `S = Σ e^{d_j}` without the maximum, `-ln p_j = ln(1 + S) - d_j` is right however near to 1 or to 0
//! the probability is. The logarithm of a ratio is the difference of the shifted logits less
//! `ln(1 + S_q) - ln(1 + S_p)`; what that difference is off by is found from `Σ (q - p)`, which should be 0,
//! and taken away. So rows that agree in all but their last bits have a divergence with all its
//! digits, where `Σ p (ln p - ln q)` has none.
//!
//! *Refused, not repaired.* Probabilities outside [0, 1], NaN, or a row sum more than
//! [`SUM_ERROR`] from 1 are errors before anything is written.
//!
//! # Special logits
//!
//! -inf is a probability of 0 and contributes 0. A single +inf is the limit: 1 there, 0 elsewhere. A
//! NaN, a row that is all -inf, or several +inf have no softmax: the row's value and gradient are NaN,
//! and [`RowSum`] counts it and names the first.
//!
//! A logit that is farther below the largest of its row than the largest number counts as -inf. Of logits more than 1e288
//! below, a KL divergence may be given as infinite.
//!
//! # Accuracy
//!
//! Each function says how far it may be from the values at 700 digits in `tests/golden/row_losses.json`
//! (`tools/golden.py`), which reach from 1e-300 to 1e3. The same bits at every instruction level,
//! for every layout, and for f32, f16 and bf16 as for the same numbers in f64.

mod kernel;
pub(crate) mod terms;
#[cfg(test)]
mod tests;

use std::f64::consts::LN_2;
use std::ops::Range;

use crate::element::Element;
use crate::elementary::ln;
use crate::lanes::{GROUPS, LANES, Lanes, Logits, Plan, Sum, Tally, Tile, ZERO, factors};
use crate::per_row::{ArgumentError, Gradient, RowSum, Shape, Wanted, WantedOfPair};
use crate::rows::{SUM_ERROR, is_far};
use crate::view::View;
use kernel::{PairState, Softmaxes, Tiles, TilesMut};
pub(crate) use terms::{divergence_term, middle_term};

/// Returns the entropy of rows of probabilities, in nats, summed exactly, and its gradient.
///
/// ```text
/// H(p) = -Σ p_i ln p_i,   0 ln 0 = 0,   ∂H/∂p_i = -(ln p_i + 1)
/// ```
///
/// Shapes: `p` and the gradient are `(n_samples, n_classes)`, `losses` `(n_samples)`.
///
/// From 0 to ln n_classes; what rounding, or a row that does not sum to 1, would carry above is
/// ln n_classes. The gradient is +inf where p = 0. Accuracy: 2 ulp; gradient 4 ulp each.
///
/// # Errors
///
/// [`ArgumentError`]: a shape, a number outside [0, 1] or NaN, a row that does not sum to 1. Nothing is
/// written then.
///
/// # Example
///
/// ```
/// use xent::divergence::entropy_rows;
/// use xent::per_row::{Gradient, Scale, Wanted};
/// use xent::view::{View, ViewMut};
///
/// let p = [0.5, 0.5, /**/ 1.0, 0.0];
/// let (mut entropies, mut slopes) = ([0.0; 2], [0.0; 4]);
/// let gradient = Some(Gradient { into: ViewMut::rows_of(&mut slopes, 2)?, scale: Scale::All(1.0) });
/// let wanted = Wanted { losses: Some(&mut entropies), gradient };
/// let sum = entropy_rows(View::rows_of(&p, 2)?, wanted)?;
/// assert_eq!(entropies, [std::f64::consts::LN_2, 0.0]);
/// assert_eq!(slopes[2..], [-1.0, f64::INFINITY]);
/// assert_eq!(sum.mean()?, std::f64::consts::LN_2 / 2.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: Shannon (1948, doi:10.1002/j.1538-7305.1948.tb01338.x).
pub fn entropy_rows<P: Element>(
    p: View<'_, P>,
    wanted: Wanted<'_, P>,
) -> Result<RowSum, ArgumentError> {
    let shape = Shape::of(p.n_rows(), p.n_cols())?;
    shape.wanted(&wanted)?;
    let Wanted { losses, mut gradient } = wanted;
    let plan = Plan::new(shape.rows, shape.cols);
    let mut tile = Tile::new(plan);
    check_probabilities("p", p, plan, &mut tile)?;
    let highest = ln(shape.cols as f64);
    let mut tally = Tally::new(losses);
    let mut sums = vec![Sum::ZERO; plan.groups()];
    let mut scales = vec![ZERO; plan.groups()];
    for rows in plan.chunks() {
        let sums = started(&mut sums, &rows);
        factors(gradient.as_ref(), &rows, &mut scales);
        for cols in plan.blocks() {
            tile.load(p, &rows, &cols, P::to_f64);
            kernel::add_entropies(tile.lanes(&rows, &cols), cols.len(), sums);
            if let Some(Gradient { into, .. }) = &mut gradient {
                kernel::entropy_row_slopes(tile.lanes_mut(&rows, &cols), cols.len(), &scales);
                tile.store(into, &rows, &cols);
            }
        }
        tally_sums(&mut tally, &rows, sums, |x| x.min(highest));
    }
    Ok(tally.sum)
}

/// Returns the cross entropy of rows `q` under rows `p`, in nats, summed exactly, and both gradients.
///
/// ```text
/// H(p, q) = -Σ p_i ln q_i,   0 ln 0 = 0,   ∂H/∂p_i = -ln q_i,   ∂H/∂q_i = -p_i / q_i
/// ```
///
/// Shapes: `p`, `q` and the gradients are `(n_samples, n_classes)`, `losses` `(n_samples)`.
///
/// At least 0; infinite where q = 0 < p, and the gradient in q is -inf there; that in p is +inf where q = 0, whatever p.
/// Accuracy: 2 ulp; gradients 4 ulp each.
///
/// # Errors
///
/// As [`entropy_rows`].
///
/// # Example
///
/// ```
/// use xent::divergence::cross_entropy_rows;
/// use xent::per_row::{Gradient, Scale, WantedOfPair};
/// use xent::view::{View, ViewMut};
///
/// let (p, q) = ([0.75, 0.25], [0.5, 0.5]);
/// let mut slope = [0.0; 2];
/// let gradient_q = Some(Gradient { into: ViewMut::rows_of(&mut slope, 2)?, scale: Scale::All(1.0) });
/// let (p, q) = (View::rows_of(&p, 2)?, View::rows_of(&q, 2)?);
/// let sum = cross_entropy_rows(p, q, WantedOfPair { gradient_q, ..WantedOfPair::default() })?;
/// assert_eq!(sum.mean()?, std::f64::consts::LN_2);
/// assert_eq!(slope, [-1.5, -0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: Kerridge (1961, "Inaccuracy and inference"); Shannon (1948).
pub fn cross_entropy_rows<P: Element, Q: Element>(
    p: View<'_, P>,
    q: View<'_, Q>,
    wanted: WantedOfPair<'_, P, Q>,
) -> Result<RowSum, ArgumentError> {
    let steps = RowSteps {
        add: kernel::cross_terms,
        slopes_p: kernel::cross_slopes_p,
        slopes_q: kernel::cross_slopes_q,
    };
    pair_rows(p, q, wanted, &steps, |x| x)
}

/// Returns the Kullback-Leibler divergence of rows `q` from rows `p`, in nats, summed exactly, and both
/// gradients.
///
/// ```text
/// D(p || q) = Σ (p_i ln(p_i / q_i) + q_i - p_i),   ∂D/∂p_i = ln(p_i / q_i),   ∂D/∂q_i = (q_i - p_i) / q_i
/// ```
///
/// Shapes: `p`, `q` and the gradients are `(n_samples, n_classes)`, `losses` `(n_samples)`.
///
/// Where both rows sum to 1 this is `Σ p_i ln(p_i / q_i)`; where not, it is more by `Σ q - Σ p`, and still
/// a divergence: no term is negative, and it is 0 exactly where the rows are equal. A class with p = 0 has the term
/// q and the slope 1 in q. Infinite where q = 0 < p, and the gradient in q is -inf there; that in p is +inf where q = 0,
/// whatever p, and -inf where p = 0 < q. Accuracy: 4 ulp, also where p and q agree in all but the last digits;
/// gradients 4 ulp each.
///
/// # Errors
///
/// As [`entropy_rows`].
///
/// # Example
///
/// ```
/// use xent::divergence::kl_rows;
/// use xent::per_row::WantedOfPair;
/// use xent::view::View;
///
/// let (p, q) = ([0.75, 0.25], [0.5, 0.5]);
/// let (p, q) = (View::rows_of(&p, 2)?, View::rows_of(&q, 2)?);
/// let there = kl_rows(p, q, WantedOfPair::default())?.loss.value();
/// assert!((there - 0.130812).abs() < 1e-6); // 0.1887 bits
/// assert_eq!(kl_rows(p, p, WantedOfPair::default())?.loss.value(), 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: Kullback and Leibler (1951, doi:10.1214/aoms/1177729694).
pub fn kl_rows<P: Element, Q: Element>(
    p: View<'_, P>,
    q: View<'_, Q>,
    wanted: WantedOfPair<'_, P, Q>,
) -> Result<RowSum, ArgumentError> {
    let steps = RowSteps {
        add: kernel::kl_terms,
        slopes_p: kernel::kl_slopes_p,
        slopes_q: kernel::kl_slopes_q,
    };
    pair_rows(p, q, wanted, &steps, |x| x)
}

/// Returns the Jensen-Shannon divergence of rows `p` and `q`, in nats, summed exactly, and both
/// gradients.
///
/// ```text
/// JS(p, q) = D(p || m) / 2 + D(q || m) / 2,   m = (p + q) / 2
/// ∂JS/∂p_i = ln(p_i / m_i) / 2,   ∂JS/∂q_i = ln(q_i / m_i) / 2
/// ```
///
/// Shapes: `p`, `q` and the gradients are `(n_samples, n_classes)`, `losses` `(n_samples)`.
///
/// From 0 to ln 2, always finite, the same bits with the two exchanged; what rounding, or rows that do
/// not sum to 1, would carry above ln 2 is ln 2. The gradient in q is -inf where q = 0 < p, and ln 2 / 2 where both are
/// 0; that in p likewise. Accuracy: 4 ulp; gradients 4 ulp each.
///
/// # Errors
///
/// As [`entropy_rows`].
///
/// # Example
///
/// ```
/// use xent::divergence::js_rows;
/// use xent::per_row::WantedOfPair;
/// use xent::view::View;
///
/// let (heads, tails) = ([1.0, 0.0], [0.0, 1.0]);
/// let (heads, tails) = (View::rows_of(&heads, 2)?, View::rows_of(&tails, 2)?);
/// let sum = js_rows(heads, tails, WantedOfPair::default())?;
/// assert_eq!(sum.mean()?, std::f64::consts::LN_2); // one bit tells them apart
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: Lin (1991, doi:10.1109/18.61115).
pub fn js_rows<P: Element, Q: Element>(
    p: View<'_, P>,
    q: View<'_, Q>,
    wanted: WantedOfPair<'_, P, Q>,
) -> Result<RowSum, ArgumentError> {
    let steps = RowSteps {
        add: kernel::js_terms,
        slopes_p: kernel::js_slopes_p,
        slopes_q: kernel::js_slopes_q,
    };
    pair_rows(p, q, wanted, &steps, |x| x.min(LN_2))
}

/// Returns the entropy of the softmax of rows of logits, in nats, summed exactly, and its gradient.
///
/// ```text
/// H = ln(1 + S) - Σ p_j d_j,   ∂H/∂x_j = -p_j (ln p_j + H) = -p_j (d_j - Σ p_k d_k)
/// d_j = x_j - max,  S = Σ e^{d_j}, the first maximum left out
/// ```
///
/// Shapes: `logits` and the gradient are `(n_samples, n_classes)`, `losses` `(n_samples)`.
///
/// From 0 to ln n_classes. Accuracy: 4 ulp, down to the smallest numbers; each component of the gradient
/// 4 ulp of `p_j (|ln p_j| + H)`. Special logits: see the [module](self).
///
/// # Errors
///
/// [`ArgumentError`]: a shape. Nothing is written then.
///
/// # Example
///
/// ```
/// use xent::divergence::entropy_from_logits;
/// use xent::per_row::Wanted;
/// use xent::view::View;
///
/// let x = [0.0_f32, 0.0, /**/ 800.0, 100.0];
/// let mut losses = [0.0; 2];
/// let wanted = Wanted { losses: Some(&mut losses), ..Wanted::default() };
/// entropy_from_logits(View::rows_of(&x, 2)?, wanted)?;
/// assert_eq!(losses[0], std::f64::consts::LN_2);
/// assert!(losses[1] > 0.0 && losses[1] < 1e-300); // 701 e^-700
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: Shannon (1948, doi:10.1002/j.1538-7305.1948.tb01338.x).
pub fn entropy_from_logits<T: Element>(
    logits: View<'_, T>,
    wanted: Wanted<'_, T>,
) -> Result<RowSum, ArgumentError> {
    let shape = Shape::of(logits.n_rows(), logits.n_cols())?;
    shape.wanted(&wanted)?;
    let plan = Plan::new(shape.rows, shape.cols);
    let Wanted { losses, mut gradient } = wanted;
    let mut logits = Logits::new(logits, plan);
    let highest = ln(shape.cols as f64);
    let mut tally = Tally::new(losses);
    let mut values = vec![ZERO; plan.groups()];
    let mut scales = vec![ZERO; plan.groups()];
    for rows in plan.chunks() {
        logits.open(&rows);
        let n = rows.len().div_ceil(LANES);
        factors(gradient.as_ref(), &rows, &mut scales[..n]);
        for ((value, scale), s) in values.iter_mut().zip(&mut scales).zip(&logits.softmax[..n]) {
            for l in 0..LANES {
                value[l] = (s.tail[l] + s.spread[l]).min(highest);
                if s.is_undefined(l) {
                    (value[l], scale[l]) = (f64::NAN, f64::NAN);
                }
            }
        }
        tally.add(&rows, &values, |row| logits.fault(row));
        let Some(Gradient { into, .. }) = &mut gradient else { continue };
        for cols in plan.blocks() {
            logits.load(&rows, &cols);
            let tile = logits.tile.lanes_mut(&rows, &cols);
            kernel::entropy_slopes(tile, cols.len(), &logits.softmax[..n], &scales[..n]);
            logits.tile.store(into, &rows, &cols);
        }
    }
    Ok(tally.sum)
}

/// Returns the cross entropy of the softmax `q` of one array of logits under the softmax `p` of
/// another, in nats, summed exactly, and both gradients.
///
/// ```text
/// H(p, q) = -Σ p_j ln q_j,   p = softmax(a), q = softmax(b)
/// ∂H/∂b_j = q_j - p_j,   ∂H/∂a_j = -p_j (ln q_j + H(p, q))
/// ```
///
/// Shapes: `a`, `b` and the gradients are `(n_samples, n_classes)`, `losses` `(n_samples)`.
///
/// What a student `b` pays for a teacher `a`; the gradient in `b` is accurate where the two nearly
/// agree. At least 0; infinite where `b` is -inf
/// and `a` is not, and the gradient with respect to `a` is NaN in such rows, because it has no
/// limit. Accuracy: 4 ulp; gradients 8 ulp of `p_j (|ln(p_j / q_j)| + Σ |p - q|)`
/// and of `p_j (|ln q_j| + H)`.
///
/// # Errors
///
/// As [`entropy_from_logits`].
///
/// # Example
///
/// ```
/// use xent::divergence::cross_entropy_from_logits;
/// use xent::per_row::{Gradient, Scale, WantedOfPair};
/// use xent::view::{View, ViewMut};
///
/// let (teacher, student) = ([2.0, f64::NEG_INFINITY], [40.0, 0.0]);
/// let mut slope = [0.0; 2];
/// let gradient_q = Some(Gradient { into: ViewMut::rows_of(&mut slope, 2)?, scale: Scale::All(1.0) });
/// let (a, b) = (View::rows_of(&teacher, 2)?, View::rows_of(&student, 2)?);
/// let sum = cross_entropy_from_logits(a, b, WantedOfPair { gradient_q, ..Default::default() })?;
/// assert_eq!(sum.loss.value(), 4.248354255291589e-18); // not 0
/// assert_eq!(slope, [-4.248354255291589e-18, 4.248354255291589e-18]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: Hinton, Vinyals and Dean (2015, arXiv:1503.02531).
pub fn cross_entropy_from_logits<A: Element, B: Element>(
    a: View<'_, A>,
    b: View<'_, B>,
    wanted: WantedOfPair<'_, A, B>,
) -> Result<RowSum, ArgumentError> {
    let steps = PairSteps {
        drift: wanted.gradient_q.is_some(),
        add: kernel::add_cross,
        close: kernel::close_cross,
        slopes: kernel::cross_pair_slopes,
    };
    pair_from_logits(a, b, wanted, &steps)
}

/// Returns the Kullback-Leibler divergence of the softmax `q` of one array of logits from the softmax `p`
/// of another, in nats, summed exactly, and both gradients.
///
/// ```text
/// D(p || q) = Σ p_j ln(p_j / q_j) = Σ p_j (e^w - 1 - w),  w = ln(q_j / p_j),   p = softmax(a), q = softmax(b)
/// ∂D/∂b_j = q_j - p_j,   ∂D/∂a_j = p_j (ln(p_j / q_j) - D)
/// ```
///
/// Shapes: `a`, `b` and the gradients are `(n_samples, n_classes)`, `losses` `(n_samples)`.
///
/// At least 0, and 0 for equal rows; infinite where `b` is -inf and `a` is not, and the gradient with
/// respect to `a` is NaN in such rows. Accuracy: 4 ulp, also where the rows are nearly equal (a
/// divergence of 1e-24 has all its digits); gradients 8 ulp of
/// `p_j (|ln(p_j / q_j)| + Σ |p - q|)` and of that plus `p_j D`.
///
/// # Errors
///
/// As [`entropy_from_logits`].
///
/// # Example
///
/// ```
/// use xent::divergence::kl_from_logits;
/// use xent::per_row::WantedOfPair;
/// use xent::view::View;
///
/// let (a, b) = ([0.0, 1e-12], [0.0, 0.0]);
/// let (a, b) = (View::rows_of(&a, 2)?, View::rows_of(&b, 2)?);
/// let sum = kl_from_logits(a, b, WantedOfPair::default())?.loss.value();
/// assert!((sum / 1.25e-25 - 1.0).abs() < 1e-11); // 1e-24 / 8
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: Kullback and Leibler (1951, doi:10.1214/aoms/1177729694).
pub fn kl_from_logits<A: Element, B: Element>(
    a: View<'_, A>,
    b: View<'_, B>,
    wanted: WantedOfPair<'_, A, B>,
) -> Result<RowSum, ArgumentError> {
    let steps = PairSteps {
        drift: true,
        add: kernel::add_kl,
        close: kernel::close_kl,
        slopes: kernel::kl_pair_slopes,
    };
    pair_from_logits(a, b, wanted, &steps)
}

/// Returns the Jensen-Shannon divergence of the softmaxes of two arrays of logits, in nats, summed
/// exactly, and both gradients.
///
/// ```text
/// JS = D(p || m) / 2 + D(q || m) / 2,   m = (p + q) / 2,   p = softmax(a), q = softmax(b)
/// ∂JS/∂a_j = p_j (ln(p_j / m_j) - D(p || m)) / 2,   ∂JS/∂b_j = q_j (ln(q_j / m_j) - D(q || m)) / 2
/// ```
///
/// Shapes: `a`, `b` and the gradients are `(n_samples, n_classes)`, `losses` `(n_samples)`.
///
/// From 0, for equal rows, to ln 2; always finite; the same bits with the two exchanged. Accuracy: 4 ulp;
/// gradients 8 ulp of `p_j (|ln(p_j / m_j)| + Σ |p - q|)`, and the same in q.
///
/// # Errors
///
/// As [`entropy_from_logits`].
///
/// # Example
///
/// ```
/// use xent::divergence::js_from_logits;
/// use xent::per_row::WantedOfPair;
/// use xent::view::View;
///
/// let (heads, tails) = ([f64::INFINITY, 0.0], [0.0, 2000.0]);
/// let (heads, tails) = (View::rows_of(&heads, 2)?, View::rows_of(&tails, 2)?);
/// let sum = js_from_logits(heads, tails, WantedOfPair::default())?;
/// assert_eq!(sum.mean()?, std::f64::consts::LN_2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: Lin (1991, doi:10.1109/18.61115).
pub fn js_from_logits<A: Element, B: Element>(
    a: View<'_, A>,
    b: View<'_, B>,
    wanted: WantedOfPair<'_, A, B>,
) -> Result<RowSum, ArgumentError> {
    let steps = PairSteps {
        drift: true,
        add: kernel::add_js,
        close: kernel::close_js,
        slopes: kernel::js_pair_slopes,
    };
    pair_from_logits(a, b, wanted, &steps)
}

/// The sums of some rows, all 0.
fn started<'a>(sums: &'a mut [Sum], rows: &Range<usize>) -> &'a mut [Sum] {
    let sums = &mut sums[..rows.len().div_ceil(LANES)];
    sums.fill(Sum::ZERO);
    sums
}

fn tally_sums(
    tally: &mut Tally<'_>,
    rows: &Range<usize>,
    sums: &[Sum],
    value: impl Fn(f64) -> f64,
) {
    let mut values = [ZERO; GROUPS];
    for (values, sum) in values.iter_mut().zip(sums) {
        *values = std::array::from_fn(|l| value(sum.value(l)));
    }
    tally.add(rows, &values, |_| None);
}

/// Looks at every number before any result is computed.
fn check_probabilities<T: Element>(
    what: &'static str,
    view: View<'_, T>,
    plan: Plan,
    tile: &mut Tile,
) -> Result<(), ArgumentError> {
    let mut sums = vec![ZERO; plan.groups()];
    for rows in plan.chunks() {
        sums.fill(ZERO);
        let mut odd = false;
        for cols in plan.blocks() {
            tile.load(view, &rows, &cols, T::to_f64);
            odd |= kernel::add_probabilities(tile.lanes(&rows, &cols), cols.len(), &mut sums);
        }
        let sums = &sums.as_flattened()[..rows.len()];
        if odd || sums.iter().any(|&sum| is_far(sum, SUM_ERROR)) {
            return Err(fault(what, view, &rows, sums));
        }
    }
    Ok(())
}

/// The first thing wrong, row by row.
#[cold]
fn fault<T: Element>(
    what: &'static str,
    view: View<'_, T>,
    rows: &Range<usize>,
    sums: &[f64],
) -> ArgumentError {
    for (row, &sum) in rows.clone().zip(sums) {
        for col in 0..view.n_cols() {
            let value = view.get(row, col).to_f64();
            if !(0.0..=1.0).contains(&value) {
                return ArgumentError::NotProbability { what, row, col, value };
            }
        }
        if is_far(sum, SUM_ERROR) {
            return ArgumentError::NotOne { what, row, sum };
        }
    }
    unreachable!("a fault was seen in these rows")
}

/// What one quantity of two rows of probabilities does.
struct RowSteps {
    add: fn(&[Lanes], &[Lanes], usize, &mut [Sum]),
    slopes_p: fn(&mut [Lanes], &[Lanes], usize, &[Lanes]),
    slopes_q: fn(&[Lanes], &mut [Lanes], usize, &[Lanes]),
}

fn pair_rows<P: Element, Q: Element>(
    p: View<'_, P>,
    q: View<'_, Q>,
    wanted: WantedOfPair<'_, P, Q>,
    steps: &RowSteps,
    value: impl Fn(f64) -> f64,
) -> Result<RowSum, ArgumentError> {
    let shape = Shape::of(p.n_rows(), p.n_cols())?;
    shape.array("q", q.n_rows(), q.n_cols())?;
    let WantedOfPair { losses, mut gradient_p, mut gradient_q } = wanted;
    shape.a_row("losses", losses.as_ref().map(|losses| losses.len()))?;
    shape.gradient("gradient_p", gradient_p.as_ref())?;
    shape.gradient("gradient_q", gradient_q.as_ref())?;
    let plan = Plan::new(shape.rows, shape.cols);
    let (mut p_tile, mut q_tile) = (Tile::new(plan), Tile::new(plan));
    check_probabilities("p", p, plan, &mut p_tile)?;
    check_probabilities("q", q, plan, &mut q_tile)?;
    let mut tally = Tally::new(losses);
    let mut sums = vec![Sum::ZERO; plan.groups()];
    let mut scales = [vec![ZERO; plan.groups()], vec![ZERO; plan.groups()]];
    for rows in plan.chunks() {
        let sums = started(&mut sums, &rows);
        factors(gradient_p.as_ref(), &rows, &mut scales[0]);
        factors(gradient_q.as_ref(), &rows, &mut scales[1]);
        for cols in plan.blocks() {
            p_tile.load(p, &rows, &cols, P::to_f64);
            q_tile.load(q, &rows, &cols, Q::to_f64);
            let width = cols.len();
            (steps.add)(p_tile.lanes(&rows, &cols), q_tile.lanes(&rows, &cols), width, sums);
            if let Some(Gradient { into, .. }) = &mut gradient_p {
                let q_lanes = q_tile.lanes(&rows, &cols);
                (steps.slopes_p)(p_tile.lanes_mut(&rows, &cols), q_lanes, width, &scales[0]);
                p_tile.store(into, &rows, &cols);
            }
            if let Some(Gradient { into, .. }) = &mut gradient_q {
                // Overwritten, if the other gradient is wanted too.
                p_tile.load(p, &rows, &cols, P::to_f64);
                let p_lanes = p_tile.lanes(&rows, &cols);
                (steps.slopes_q)(p_lanes, q_tile.lanes_mut(&rows, &cols), width, &scales[1]);
                q_tile.store(into, &rows, &cols);
            }
        }
        tally_sums(&mut tally, &rows, sums, &value);
    }
    Ok(tally.sum)
}

/// What one quantity of two rows of logits does.
struct PairSteps {
    /// Whether the ratios must be right to the last bit.
    drift: bool,
    add: fn(Tiles<'_>, usize, Softmaxes<'_>, &mut [PairState]),
    close: fn(Softmaxes<'_>, &mut [PairState]),
    slopes: fn(TilesMut<'_>, usize, Softmaxes<'_>, &[PairState]),
}

fn pair_from_logits<A: Element, B: Element>(
    a: View<'_, A>,
    b: View<'_, B>,
    wanted: WantedOfPair<'_, A, B>,
    steps: &PairSteps,
) -> Result<RowSum, ArgumentError> {
    let shape = Shape::of(a.n_rows(), a.n_cols())?;
    shape.array("b", b.n_rows(), b.n_cols())?;
    let WantedOfPair { losses, mut gradient_p, mut gradient_q } = wanted;
    shape.a_row("losses", losses.as_ref().map(|losses| losses.len()))?;
    shape.gradient("gradient_p", gradient_p.as_ref())?;
    shape.gradient("gradient_q", gradient_q.as_ref())?;
    let plan = Plan::new(shape.rows, shape.cols);
    let (mut a, mut b) = (Logits::new(a, plan), Logits::new(b, plan));
    let mut tally = Tally::new(losses);
    let mut states = vec![PairState::START; plan.groups()];
    let mut lanes = vec![ZERO; plan.groups()];
    for rows in plan.chunks() {
        a.open(&rows);
        b.open(&rows);
        let n = rows.len().div_ceil(LANES);
        let states = &mut states[..n];
        let lanes = &mut lanes[..n];
        factors(gradient_p.as_ref(), &rows, lanes);
        states.iter_mut().zip(&*lanes).for_each(|(s, lanes)| s.factors[0] = *lanes);
        factors(gradient_q.as_ref(), &rows, lanes);
        states.iter_mut().zip(&*lanes).for_each(|(s, lanes)| s.factors[1] = *lanes);
        kernel::open_pairs((&a.softmax[..n], &b.softmax[..n]), states);
        if steps.drift {
            for cols in plan.blocks() {
                a.load(&rows, &cols);
                b.load(&rows, &cols);
                let tiles = (a.tile.lanes(&rows, &cols), b.tile.lanes(&rows, &cols));
                kernel::add_drift(tiles, cols.len(), (&a.softmax, &b.softmax), states);
            }
            kernel::close_drift(states);
        }
        for cols in plan.blocks() {
            a.load(&rows, &cols);
            b.load(&rows, &cols);
            let tiles = (a.tile.lanes(&rows, &cols), b.tile.lanes(&rows, &cols));
            (steps.add)(tiles, cols.len(), (&a.softmax, &b.softmax), states);
        }
        (steps.close)((&a.softmax, &b.softmax), states);
        lanes.iter_mut().zip(&*states).for_each(|(lanes, s)| *lanes = s.value);
        tally.add(&rows, lanes, |row| a.fault(row).or_else(|| b.fault(row)));
        if gradient_p.is_none() && gradient_q.is_none() {
            continue;
        }
        for cols in plan.blocks() {
            a.load(&rows, &cols);
            b.load(&rows, &cols);
            let tiles = (a.tile.lanes_mut(&rows, &cols), b.tile.lanes_mut(&rows, &cols));
            (steps.slopes)(tiles, cols.len(), (&a.softmax, &b.softmax), states);
            if let Some(Gradient { into, .. }) = &mut gradient_p {
                a.tile.store(into, &rows, &cols);
            }
            if let Some(Gradient { into, .. }) = &mut gradient_q {
                b.tile.store(into, &rows, &cols);
            }
        }
    }
    Ok(tally.sum)
}
