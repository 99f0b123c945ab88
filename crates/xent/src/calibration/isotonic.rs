//! Isotonic regression: the rising step function nearest to the outcomes.
//!
//! # Design
//!
//! Pool adjacent violators over rows that are pooled by prediction *first*: two rows of one
//! prediction are one point, whatever their order. (Where ties are not pooled, the fit of `0.5, 0.5` with outcomes 0 and 1 depends
//! on which row comes first.) Means of blocks are compared as exact products of their sums, never as rounded quotients, so equal
//! means are found equal.
//!
//! For a binary outcome the fit is the same for every proper score (Brümmer and Du Preez, 2013, arXiv:1304.2331), so the score
//! need not be named.
//!
//! Blocks are few: means that are different fractions with denominators of n rows together are at most of order n^(2/3).

use std::cmp::Ordering;
use std::ops::Range;

use crate::calibration::rows::{Prediction, SortedRows};
use crate::calibration::{CalibrationError, check_length, check_weights};
use crate::exact::{ExactSum, two_product};

/// A step of the fit: neighbouring predictions with one frequency.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Its smallest prediction.
    pub lowest: Prediction,
    /// Its largest prediction.
    pub highest: Prediction,
    /// Weight of its rows with the negative outcome.
    pub negative: f64,
    /// Weight of its rows with the positive outcome.
    pub positive: f64,
    /// Its rows, in the order of [`SortedRows::iter`].
    pub rows: Range<usize>,
}

impl Block {
    /// Weight of its rows.
    pub fn weight(&self) -> f64 {
        self.negative + self.positive
    }

    /// Share of the positive outcome: the value of the fit.
    pub fn frequency(&self) -> f64 {
        self.positive / self.weight()
    }

    /// Both shares, each the rounded quotient of its own sum.
    pub fn frequencies(&self) -> Prediction {
        let weight = self.weight();
        Prediction { positive: self.positive / weight, negative: self.negative / weight }
    }
}

/// Whether a / b >= c / d for numbers that are not negative, exactly.
#[inline(always)]
fn is_at_least(a: f64, b: f64, c: f64, d: f64) -> bool {
    let (left, right) = (a * d, c * b);
    // Rounding keeps the order; only equal products can hide a difference.
    if left == right { two_product(a, d).1 >= two_product(c, b).1 } else { left > right }
}

impl SortedRows {
    /// The blocks of the isotonic regression of the outcome on the prediction, in rising order.
    ///
    /// ```text
    /// minimise  sum_i w_i (y_i - f(p_i))^2   over all f that never fall
    /// ```
    ///
    /// Neighbouring blocks have different frequencies, and they rise. Time O(n) after the sort, memory O(n^(2/3)) for rows that
    /// count. Accuracy: the partition is exact for whole weights with sums below 2^53; frequencies are correctly
    /// rounded.
    ///
    /// # Example
    ///
    /// ```
    /// use xent::calibration::rows::BinaryRows;
    ///
    /// let mut rows = BinaryRows::default();
    /// rows.add_probabilities(&[0.1, 0.3, 0.3, 0.8], &[false, true, false, true], None)?;
    /// let fit: Vec<f64> = rows.sort()?.isotonic().iter().map(|b| b.frequency()).collect();
    /// assert_eq!(fit, [0.0, 0.5, 1.0]);
    /// # Ok::<(), xent::calibration::CalibrationError>(())
    /// ```
    ///
    /// Source: Ayer, Brunk, Ewing, Reid and Silverman (1955), doi:10.1214/aoms/1177728423.
    pub fn isotonic(&self) -> Vec<Block> {
        struct Step {
            negative: f64,
            positive: f64,
            end: usize,
        }
        let mut steps: Vec<Step> = Vec::new();
        let mut at = 0;
        let mut next = self.next_counts(&mut at);
        while let Some((negative, positive)) = next {
            let mut step = Step { negative, positive, end: at };
            // What can only be pooled, at once: 1 after 1, and 0 after anything.
            loop {
                next = self.next_counts(&mut at);
                match next {
                    Some((n, p)) if p == 0.0 || (n == 0.0 && step.negative == 0.0) => {
                        step = Step {
                            negative: step.negative + n,
                            positive: step.positive + p,
                            end: at,
                        };
                    }
                    _ => break,
                }
            }
            while let Some(last) = steps.last() {
                if !is_at_least(last.positive, last.negative, step.positive, step.negative) {
                    break;
                }
                step.negative += last.negative;
                step.positive += last.positive;
                steps.pop();
            }
            steps.push(step);
        }
        let mut start = 0;
        let mut blocks: Vec<Block> = steps
            .into_iter()
            .map(|step| {
                let rows = start..step.end;
                start = step.end;
                Block {
                    lowest: self.prediction(rows.start),
                    highest: self.prediction(rows.end - 1),
                    negative: step.negative,
                    positive: step.positive,
                    rows,
                }
            })
            .collect();
        if self.is_fractional() {
            // The sums of sums are rounded; those of the rows are not, until the end.
            for block in &mut blocks {
                (block.negative, block.positive) = self.sums(block.rows.clone());
            }
        }
        blocks
    }
}

/// Weighted isotonic regression of any numbers: the fitted value of each row.
///
/// ```text
/// minimise  sum_i w_i (y_i - f(x_i))^2   over all f that never fall
/// ```
///
/// Rows of equal x are pooled before the fit. x may be infinite, y is finite; rows of weight 0 get the
/// value of the nearest block below them (above, if there is none).
///
/// Accuracy: sums over equal x are exact, rounded once, so the order of rows does not matter; where a block is made of several x, the
/// sum of those is rounded at each step.
///
/// # Errors
///
/// NaN, an infinite y, a weight that is none, lists of different lengths, or no rows.
///
/// # Example
///
/// ```
/// use xent::calibration::isotonic::isotonic_regression;
///
/// let fit = isotonic_regression(&[1.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 4.0], None)?;
/// assert_eq!(fit, [1.0, 2.5, 2.5, 4.0]);
/// # Ok::<(), xent::calibration::CalibrationError>(())
/// ```
pub fn isotonic_regression(
    x: &[f64],
    y: &[f64],
    weights: Option<&[f64]>,
) -> Result<Vec<f64>, CalibrationError> {
    check_length("y", y.len(), x.len())?;
    check_weights(weights, x.len())?;
    if let Some(row) = x.iter().position(|x| x.is_nan()) {
        return Err(CalibrationError::NotNumber { row, value: x[row] });
    }
    if let Some(row) = y.iter().position(|y| !y.is_finite()) {
        return Err(CalibrationError::NotNumber { row, value: y[row] });
    }
    let weight = |row: usize| weights.map_or(1.0, |w| w[row]);
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&a, &b| x[a].partial_cmp(&x[b]).unwrap_or(Ordering::Equal));

    struct Step {
        sum: f64,
        weight: f64,
        end: usize,
    }
    let mut steps: Vec<Step> = Vec::new();
    let mut start = 0;
    for group in order.chunk_by(|&a, &b| x[a] == x[b]) {
        start += group.len();
        let (mut sum, mut mass) = (ExactSum::new(), ExactSum::new());
        for &row in group {
            sum.add_product(weight(row), y[row]);
            mass.add(weight(row));
        }
        let mut step = Step { sum: sum.value(), weight: mass.value(), end: start };
        if step.weight == 0.0 {
            if let Some(last) = steps.last_mut() {
                last.end = start;
            }
            continue;
        }
        while let Some(last) = steps.last() {
            // As [`is_at_least`], of sums of either sign.
            let (left, right) = (last.sum * step.weight, step.sum * last.weight);
            let is_tie = left == right
                && two_product(last.sum, step.weight).1 >= two_product(step.sum, last.weight).1;
            if left < right || (left == right && !is_tie) {
                break;
            }
            step.sum += last.sum;
            step.weight += last.weight;
            steps.pop();
        }
        steps.push(step);
    }
    if steps.is_empty() {
        return Err(CalibrationError::Empty);
    }
    let mut fitted = vec![0.0; x.len()];
    let mut start = 0;
    for step in steps {
        for &row in &order[start..step.end] {
            fitted[row] = step.sum / step.weight;
        }
        start = step.end;
    }
    Ok(fitted)
}

#[cfg(test)]
#[path = "isotonic_tests.rs"]
mod tests;
