//! Cheap repairs: what is wrong with predictions that are worse than knowing nothing.
//!
//! A model whose columns are in another order, whose probabilities are percents, logits or of the other class, or whose labels count from 1,
//! scores worse than the class frequencies and would score well. [`find`] tries each of these mistakes on some rows (a
//! sample will do), and tells those that would cut the loss drastically. It repairs nothing.
//!
//! # When it speaks
//!
//! A useless model must not be repaired by chance. With H the entropy of the labels, n rows, m repairs that are tried
//! at once (k! orders of k columns) and s the standard deviation of the repaired losses, a repair is told if
//!
//! ```text
//! before > H        before - after > H / 10        n (H - after) > ln m + 7 + 3 s sqrt(n)
//! ```
//!
//! Predictions that say nothing about the labels have after >= H but for chance, and the last line leaves no room for it: the
//! logarithm is what the best of m chances gains, 7 = ln 1000 stands for how rare mistakes are, the last term for the luck of the rows.
//!
//! Where the numbers as given are no probabilities in more than half of the rows, there is no loss before: logits need
//! after < 0.9 H and the last line, and so does one column of percents. Several columns that become probabilities summing to 1 in every row (percents, logarithms) are told in any
//! case. Numbers that are all in [0, 1] are never told to be logits: a column is missing, or each class is predicted against
//! the rest.
//!
//! Losses are means with probabilities below 2^-53 taken as 2^-53, so that a single exception hides nothing. Many exceptions (hard
//! predictions of 0 and 1, say) must hide nothing either: the same is asked of the predictions mixed with equal ones,
//! (1 - a) p + a/k for a of 1/100, 1/10 and 1/2, which say as little about the labels as p does, with ln 4 for the tries.

use crate::calibration::CalibrationError;
use crate::calibration::check_length;
use crate::elementary::{exp, ln};
use crate::exact::ExactSum;
use crate::information::{log_sum_exp, sigmoid};
use crate::special::ln_gamma;

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
    /// Negative logarithms of probabilities, -log p, to this base.
    NegativeLogProbabilities {
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
    /// Whether something of probability below 2^-53 still happens, so that the true loss is larger than `after` and may be
    /// infinite.
    pub has_zeros: bool,
}

/// More classes than this are not tried in other orders: the assignment takes the cube of their number, and an exact sum for
/// every pair of them.
const CLASSES: usize = 200;
/// -ln of the smallest probability that is told from 0.
const MOST: f64 = 36.7368005696771;
/// How far a row may sum from 1 to count as probabilities.
const FAR: f64 = 0.01;
/// -ln of how often such mistakes are made.
const RARE: f64 = 7.0;
/// Shares of equal predictions that predictions are mixed with.
const MIXED: [f64; 3] = [0.01, 0.1, 0.5];
/// Standard errors that are left to luck.
const LUCK: f64 = 3.0;

/// The repairs that would cut the loss of some rows drastically, the best first; mostly none.
///
/// Shapes: `values` are rows of `width` numbers, or one number a row, of the second of two classes (`width` 1); `labels` are class
/// numbers, possibly off. `weights`, one a row, are not negative: whole ones count rows, of others n is Kish's `(sum w)^2 / sum w^2`.
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
/// let ten_of_each = [10.0; 4];
/// let found = find(&dog_and_cat, 2, &[1, 0, 1, 0], Some(&ten_of_each))?;
/// assert_eq!(found[0].mistake, Mistake::Permuted { columns: vec![1, 0] });
/// assert!(found[0].after < 0.15);
/// // Four rows alone could be luck.
/// assert_eq!(find(&dog_and_cat, 2, &[1, 0, 1, 0], None)?, []);
/// # Ok::<(), xent::calibration::CalibrationError>(())
/// ```
///
/// Source: the assignment by shortest augmenting paths, Jonker and Volgenant (1987), doi:10.1007/BF02278710.
pub fn find(
    values: &[f64],
    width: usize,
    labels: &[i64],
    weights: Option<&[f64]>,
) -> Result<Vec<Repair>, CalibrationError> {
    if labels.is_empty() || width == 0 {
        return Err(CalibrationError::Empty);
    }
    check_length("values", values.len(), labels.len() * width)?;
    let ones = vec![1.0; if weights.is_some() { 0 } else { labels.len() }];
    let weights = weights.unwrap_or(&ones);
    check_length("weights", weights.len(), labels.len())?;
    let k = width.max(2);
    let given = Table { values: widened(values, width), k, weights };
    let strange = given.values.chunks(k).filter(|row| !is_probabilities(row)).count();
    let before = if strange == 0 { given.loss(labels) } else { None };
    let mut found: Vec<Repair> = Vec::new();
    let given_labels = labels;
    if strange == 0 {
        let offer = |mistake: Mistake, table: &Table, labels: &[i64], ln_tries: f64| {
            let after = table.loss(labels)?;
            let entropy = table.entropy(labels);
            let is_told = |before: Option<Losses>, after: Losses, ln_tries: f64| {
                let is_drastic = match before {
                    Some(before) => {
                        before.mean > entropy && before.mean - after.mean > 0.1 * entropy
                    }
                    None => after.mean < 0.9 * entropy,
                };
                is_drastic && table.is_no_luck(&after, entropy, ln_tries)
            };
            let ln_all = ln_tries + ln(1.0 + MIXED.len() as f64);
            let is_told_mixed = |part: f64| {
                let before = before.and_then(|_| given.mixed_loss(part, given_labels));
                table.mixed_loss(part, labels).is_some_and(|after| is_told(before, after, ln_all))
            };
            let is_told = is_told(before, after, ln_tries) || MIXED.into_iter().any(is_told_mixed);
            is_told.then(|| Repair {
                mistake,
                before: before.map(|before| before.mean),
                after: after.mean,
                has_zeros: table.has_zeros(labels),
            })
        };
        for by in [-1, 1] {
            let moved: Vec<i64> = labels.iter().map(|label| label + by).collect();
            found.extend(offer(Mistake::LabelsOff { by }, &given, &moved, std::f64::consts::LN_2));
        }
        if before.is_some() && k <= CLASSES {
            let columns = given.best_columns(labels);
            if columns.iter().enumerate().any(|(class, &column)| class != column) {
                let table = given.with_columns(&columns);
                let mistake =
                    if width == 1 { Mistake::OtherClass } else { Mistake::Permuted { columns } };
                found.extend(offer(mistake, &table, labels, ln_gamma(k as f64 + 1.0)));
            }
        }
    } else if 2 * strange > labels.len() && values.iter().all(|x| !x.is_nan()) {
        let each = |f: &dyn Fn(f64) -> f64| Table {
            values: widened(&values.iter().map(|&x| f(x)).collect::<Vec<_>>(), width),
            k,
            weights,
        };
        let offer = |mistake: Mistake, table: &Table, is_plain: bool| {
            let after = table.is_probabilities().then(|| table.loss(labels)).flatten()?;
            let entropy = table.entropy(labels);
            let is_better = after.mean < 0.9 * entropy
                && table.is_no_luck(&after, entropy, std::f64::consts::LN_2);
            let has_zeros = table.has_zeros(labels);
            let repair = Repair { mistake, before: None, after: after.mean, has_zeros };
            (is_plain || is_better).then_some(repair)
        };
        if values.iter().all(|x| (0.0..=100.0).contains(x)) {
            found.extend(offer(Mistake::Percent, &each(&|x| x / 100.0), width > 1));
        }
        let (are_logs, are_negative) =
            (values.iter().all(|x| *x <= 0.0), values.iter().all(|x| *x >= 0.0));
        for base in [std::f64::consts::E, 2.0, 10.0] {
            let power = if base == std::f64::consts::E { 1.0 } else { ln(base) };
            if are_logs {
                let table = each(&|x| exp(x * power));
                found.extend(offer(Mistake::LogProbabilities { base }, &table, width > 1));
            } else if are_negative {
                let table = each(&|x| exp(-x * power));
                let mistake = Mistake::NegativeLogProbabilities { base };
                // One row of counts, or the same one again, may sum to 1 so by chance.
                let differ = values.chunks(width).any(|row| row != &values[..width]);
                found.extend(offer(mistake, &table, width > 1 && differ));
            }
        }
        if values.contains(&f64::INFINITY) {
            found.sort_by(|a, b| a.after.total_cmp(&b.after));
            return Ok(found);
        }
        // Sums of 1 leave no doubt; a softmax makes them of anything.
        if width == 1 {
            found.extend(offer(Mistake::Logits, &each(&sigmoid), false));
        } else if found.is_empty() && !values.iter().all(|x| (0.0..=1.0).contains(x)) {
            let softmax = |row: &[f64]| {
                let all = log_sum_exp(row);
                row.iter().map(move |x| exp(x - all)).collect::<Vec<_>>()
            };
            let values = values.chunks(width).flat_map(softmax).collect();
            found.extend(offer(Mistake::Logits, &Table { values, k, weights }, false));
        }
    }
    found.sort_by(|a, b| a.after.total_cmp(&b.after));
    Ok(found)
}

/// Rows of all classes: one number a row is that of the second.
fn widened(values: &[f64], width: usize) -> Vec<f64> {
    if width == 1 { values.iter().flat_map(|&p| [1.0 - p, p]).collect() } else { values.to_vec() }
}

/// Whether all numbers are in [0, 1] and sum to about 1.
fn is_probabilities(row: &[f64]) -> bool {
    row.iter().all(|p| (0.0..=1.0).contains(p)) && (row.iter().sum::<f64>() - 1.0).abs() <= FAR
}

/// Rows of numbers, one a class.
struct Table<'a> {
    values: Vec<f64>,
    k: usize,
    weights: &'a [f64],
}

/// Mean and standard deviation of the losses.
#[derive(Clone, Copy)]
struct Losses {
    mean: f64,
    deviation: f64,
}

impl Table<'_> {
    fn is_probabilities(&self) -> bool {
        self.values.chunks(self.k).all(is_probabilities)
    }

    /// The losses, if every label is a class.
    fn loss(&self, labels: &[i64]) -> Option<Losses> {
        self.mixed_loss(0.0, labels)
    }

    /// Whether a probability below 2^-53 is that of what happened.
    fn has_zeros(&self, labels: &[i64]) -> bool {
        let rows = self.values.chunks(self.k).zip(labels).zip(self.weights);
        let mut of_label = rows.filter(|(_, w)| **w > 0.0).filter_map(|((row, &label), _)| {
            usize::try_from(label).ok().and_then(|label| row.get(label))
        });
        of_label.any(|p| 0.0 - ln(*p) > MOST)
    }

    /// The losses of the predictions with a part of them equal for all classes.
    fn mixed_loss(&self, part: f64, labels: &[i64]) -> Option<Losses> {
        let equal = part / self.k as f64;
        let (mut sum, mut squares) = (ExactSum::new(), ExactSum::new());
        for ((row, &label), &w) in self.values.chunks(self.k).zip(labels).zip(self.weights) {
            let p = *row.get(usize::try_from(label).ok()?)?;
            let loss = cost(if part > 0.0 { (1.0 - part) * p + equal } else { p });
            sum.add_product(w, loss);
            squares.add_product(w, loss * loss);
        }
        let weight = self.weight();
        let mean = sum.value() / weight;
        let deviation = (squares.value() / weight - mean * mean).max(0.0).sqrt();
        Some(Losses { mean, deviation })
    }

    fn weight(&self) -> f64 {
        let mut sum = ExactSum::new();
        self.weights.iter().for_each(|&w| sum.add(w));
        sum.value()
    }

    /// The rows that the weights are worth.
    fn rows(&self) -> f64 {
        let weight = self.weight();
        if self.weights.iter().all(|w| w.trunc() == *w) {
            return weight;
        }
        let mut squares = ExactSum::new();
        self.weights.iter().for_each(|&w| squares.add_product(w, w));
        weight * weight / squares.value()
    }

    /// Whether a loss is further below the entropy than the best of some tries gets by chance.
    fn is_no_luck(&self, after: &Losses, entropy: f64, ln_tries: f64) -> bool {
        let n = self.rows();
        n * (entropy - after.mean) > ln_tries + RARE + LUCK * after.deviation * n.sqrt()
    }

    /// Entropy of the labels, nats.
    fn entropy(&self, labels: &[i64]) -> f64 {
        let mut totals = vec![ExactSum::new(); self.k];
        for (&label, &w) in labels.iter().zip(self.weights) {
            let total = usize::try_from(label).ok().and_then(|label| totals.get_mut(label));
            if let Some(total) = total {
                total.add(w);
            }
        }
        let weight = self.weight();
        let shares = totals.iter().map(|total| total.value() / weight);
        shares.filter(|share| *share > 0.0).map(|f| f * (0.0 - ln(f))).sum()
    }

    fn with_columns(&self, columns: &[usize]) -> Self {
        let pick = |row: &[f64]| columns.iter().map(|&c| row[c]).collect::<Vec<_>>();
        let values = self.values.chunks(self.k).flat_map(pick).collect();
        Self { values, k: self.k, weights: self.weights }
    }

    /// The column for each class that makes the loss least.
    fn best_columns(&self, labels: &[i64]) -> Vec<usize> {
        let k = self.k;
        // Exact: the order of the rows must not choose among columns that are as good.
        let mut costs = vec![ExactSum::new(); k * k];
        for ((row, &label), &w) in self.values.chunks(k).zip(labels).zip(self.weights) {
            let costs = &mut costs[label as usize * k..][..k];
            costs.iter_mut().zip(row).for_each(|(sum, &p)| sum.add_product(w, cost(p)));
        }
        let costs: Vec<f64> = costs.iter().map(ExactSum::value).collect();
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
