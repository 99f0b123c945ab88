//! Cheap repairs: what is wrong with predictions that are worse than knowing nothing.
//!
//! A model whose columns are in another order, whose probabilities are percents, logits or of the other class, or whose labels count from 1,
//! scores worse than the class frequencies and would score well. [`find`] tries each of these mistakes on some rows (a
//! sample will do), and tells those that would cut the loss drastically. It repairs nothing.
//!
//! ```text
//! drastic: loss as given > H, loss repaired < H, and the difference > H / 10        H: entropy of the labels
//! ```
//!
//! or, where the numbers as given are no probabilities at all, loss repaired < 0.9 H. Losses are means with probabilities below 2^-53 taken as
//! 2^-53, so that a single exception hides nothing.

use crate::calibration::CalibrationError;
use crate::calibration::check_length;
use crate::elementary::{exp, ln};
use crate::exact::ExactSum;
use crate::information::{log_sum_exp, sigmoid};

/// A mistake that would explain the loss.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Mistake {
    /// Columns belong to other classes: class c is predicted by column `columns[c]`.
    Permuted {
        /// The column of each class.
        columns: Vec<usize>,
    },
    /// One column of two classes holds the probability of the other class.
    OtherClass,
    /// Percents, not fractions.
    Percent,
    /// Logarithms of probabilities, to this base.
    LogProbabilities {
        /// e, 2 or 10.
        base: f64,
    },
    /// Scores before a softmax, or before a sigmoid where there is one column.
    Logits,
    /// Labels count from another number: the class is the label plus this.
    LabelsOff {
        /// -1 where labels count from 1.
        by: i64,
    },
}

/// A repair that would cut the loss drastically.
#[derive(Clone, Debug, PartialEq)]
pub struct Repair {
    /// What would be repaired.
    pub mistake: Mistake,
    /// Mean loss of the rows as given, nats; none if they are no probabilities or labels are no classes.
    pub before: Option<f64>,
    /// Mean loss after the repair, nats.
    pub after: f64,
}

/// More classes than this are not tried in other orders: the assignment takes the cube of their number.
const CLASSES: usize = 512;
/// -ln of the smallest probability that is told from 0.
const MOST: f64 = 36.7368005696771;
/// How far a row may sum from 1 to count as probabilities.
const FAR: f64 = 0.01;

/// The repairs that would cut the loss of some rows drastically, the best first; mostly none.
///
/// Shapes: `values` are rows of `width` numbers, or one number a row, of the second of two classes (`width` 1); `labels` are class
/// numbers, possibly off.
///
/// Time: n k for each mistake, k^3 for the order of k columns (an assignment problem on the mean of -ln p by label and column).
///
/// # Errors
///
/// Lists of different lengths, or no rows.
///
/// # Example
///
/// ```
/// use xent::calibration::repair::{Mistake, find};
///
/// let dog_and_cat = [0.9, 0.1, /**/ 0.2, 0.8, /**/ 0.95, 0.05, /**/ 0.1, 0.9];
/// let found = find(&dog_and_cat, 2, &[1, 0, 1, 0])?;
/// assert_eq!(found[0].mistake, Mistake::Permuted { columns: vec![1, 0] });
/// assert!(found[0].after < 0.15);
/// # Ok::<(), xent::calibration::CalibrationError>(())
/// ```
///
/// Source: the assignment by shortest augmenting paths, Jonker and Volgenant (1987), doi:10.1007/BF02278710.
pub fn find(values: &[f64], width: usize, labels: &[i64]) -> Result<Vec<Repair>, CalibrationError> {
    if labels.is_empty() || width == 0 {
        return Err(CalibrationError::Empty);
    }
    check_length("values", values.len(), labels.len() * width)?;
    let k = width.max(2);
    let given = Table { values: widened(values, width), k };
    let before = given.is_probabilities().then(|| given.loss(labels)).flatten();
    let mut found = Vec::new();
    let mut offer = |mistake: Mistake, table: &Table, labels: &[i64]| {
        let Some(after) = table.is_probabilities().then(|| table.loss(labels)).flatten() else {
            return;
        };
        let entropy = entropy(labels, k);
        let is_drastic = match before {
            Some(before) => before > entropy && after < entropy && before - after > 0.1 * entropy,
            None => after < 0.9 * entropy,
        };
        if is_drastic {
            found.push(Repair { mistake, before, after });
        }
    };
    if given.is_probabilities() {
        for by in [-1, 1] {
            let moved: Vec<i64> = labels.iter().map(|label| label + by).collect();
            offer(Mistake::LabelsOff { by }, &given, &moved);
        }
        if before.is_some() && k <= CLASSES {
            let columns = given.best_columns(labels);
            if columns.iter().enumerate().any(|(class, &column)| class != column) {
                let table = given.with_columns(&columns);
                let mistake =
                    if width == 1 { Mistake::OtherClass } else { Mistake::Permuted { columns } };
                offer(mistake, &table, labels);
            }
        }
    } else if values.iter().all(|x| x.is_finite() || *x == f64::NEG_INFINITY) {
        let each = |f: &dyn Fn(f64) -> f64| Table {
            values: widened(&values.iter().map(|&x| f(x)).collect::<Vec<_>>(), width),
            k,
        };
        let percents = values.iter().all(|x| (0.0..=100.0).contains(x));
        if percents {
            offer(Mistake::Percent, &each(&|x| x / 100.0), labels);
        }
        if values.iter().all(|x| *x <= 0.0) {
            for base in [std::f64::consts::E, 2.0, 10.0] {
                let power = if base == std::f64::consts::E { 1.0 } else { ln(base) };
                offer(Mistake::LogProbabilities { base }, &each(&|x| exp(x * power)), labels);
            }
        }
        let logits = if width == 1 {
            each(&sigmoid)
        } else {
            let softmax = |row: &[f64]| {
                let all = log_sum_exp(row);
                row.iter().map(move |x| exp(x - all)).collect::<Vec<_>>()
            };
            Table { values: values.chunks(width).flat_map(softmax).collect(), k }
        };
        offer(Mistake::Logits, &logits, labels);
    }
    found.sort_by(|a, b| a.after.total_cmp(&b.after));
    Ok(found)
}

/// Rows of all classes: one number a row is that of the second.
fn widened(values: &[f64], width: usize) -> Vec<f64> {
    if width == 1 { values.iter().flat_map(|&p| [1.0 - p, p]).collect() } else { values.to_vec() }
}

/// Entropy of the labels, nats.
fn entropy(labels: &[i64], k: usize) -> f64 {
    let mut counts = vec![0_u64; k];
    for &label in labels {
        if let Some(count) = usize::try_from(label).ok().and_then(|label| counts.get_mut(label)) {
            *count += 1;
        }
    }
    let n = labels.len() as f64;
    let share = |count: &u64| *count as f64 / n;
    counts.iter().filter(|c| **c > 0).map(share).map(|f| f * (0.0 - ln(f))).sum()
}

/// Rows of numbers, one a class.
struct Table {
    values: Vec<f64>,
    k: usize,
}

impl Table {
    /// Whether all numbers are in [0, 1] and all rows sum to about 1.
    fn is_probabilities(&self) -> bool {
        self.values.chunks(self.k).all(|row| {
            row.iter().all(|p| (0.0..=1.0).contains(p))
                && (row.iter().sum::<f64>() - 1.0).abs() <= FAR
        })
    }

    /// Mean loss, if every label is a class.
    fn loss(&self, labels: &[i64]) -> Option<f64> {
        let mut sum = ExactSum::new();
        for (row, &label) in self.values.chunks(self.k).zip(labels) {
            sum.add(cost(*row.get(usize::try_from(label).ok()?)?));
        }
        Some(sum.value() / labels.len() as f64)
    }

    fn with_columns(&self, columns: &[usize]) -> Self {
        let pick = |row: &[f64]| columns.iter().map(|&c| row[c]).collect::<Vec<_>>();
        Self { values: self.values.chunks(self.k).flat_map(pick).collect(), k: self.k }
    }

    /// The column for each class that makes the loss least.
    fn best_columns(&self, labels: &[i64]) -> Vec<usize> {
        let k = self.k;
        let mut costs = vec![0.0; k * k];
        for (row, &label) in self.values.chunks(k).zip(labels) {
            let costs = &mut costs[label as usize * k..][..k];
            costs.iter_mut().zip(row).for_each(|(sum, &p)| *sum += cost(p));
        }
        assignment(&costs, k)
    }
}

/// -ln p, at most [`MOST`].
fn cost(p: f64) -> f64 {
    (0.0 - ln(p)).min(MOST)
}

/// The column of each row, all different, such that the sum of costs is least; k x k costs, row after row.
///
/// Row by row along the shortest augmenting path, with prices that keep every reduced cost at least 0. Of equal paths the first column
/// is taken, so classes without rows keep what is left in order.
pub fn assignment(costs: &[f64], k: usize) -> Vec<usize> {
    // Column 0 stands for "none"; rows and columns count from 1.
    let (mut row_price, mut column_price) = (vec![0.0; k + 1], vec![0.0; k + 1]);
    let mut row_of = vec![0; k + 1];
    for row in 1..=k {
        row_of[0] = row;
        let mut column = 0;
        let mut least = vec![f64::INFINITY; k + 1];
        let mut from = vec![0; k + 1];
        let mut done = vec![false; k + 1];
        while row_of[column] != 0 {
            done[column] = true;
            let current = row_of[column];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for c in 1..=k {
                if done[c] {
                    continue;
                }
                let reduced =
                    costs[(current - 1) * k + c - 1] - row_price[current] - column_price[c];
                if reduced < least[c] {
                    (least[c], from[c]) = (reduced, column);
                }
                if least[c] < step {
                    (step, next) = (least[c], c);
                }
            }
            for c in 0..=k {
                if done[c] {
                    row_price[row_of[c]] += step;
                    column_price[c] -= step;
                } else {
                    least[c] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            let before = from[column];
            row_of[column] = row_of[before];
            column = before;
        }
    }
    let mut column_of = vec![0; k];
    for column in 1..=k {
        column_of[row_of[column] - 1] = column - 1;
    }
    column_of
}

#[cfg(test)]
#[path = "repair_tests.rs"]
mod tests;
