//! Bröcker's decomposition of a score of many classes, by groups of rows.
//!
//! ```text
//! score = uncertainty - discrimination + miscalibration
//! ```
//!
//! with the frequencies of the classes *given the prediction*. Predictions that occur once have no frequencies, so
//! rows have to be grouped:
//!
//! - by identical predictions: exact, and honest if every prediction is made many times (a table, a tree, a
//!   coarse model). If nearly every row has a prediction of its own, each is "explained" by its own label: discrimination takes all of the
//!   uncertainty, which says nothing. [`Grouped::rows_per_group`] shows it.
//! - by the top class and bins of its probability: few groups, whose rows have different predictions. Miscalibration is then that of the
//!   group's mean prediction, and what the spread within groups costs or wins is kept apart.
//! - by any grouping of the caller's.
//!
//! [`crate::calibration::decomposition`] over one class against the rest, and over the top label, needs no groups.
//!.
//!
//! Source: Bröcker (2009), doi:10.1002/qj.456; within groups: Stephenson, Coelho and Jolliffe (2008), doi:10.1175/2007WAF2006116.1.

use std::cmp::Ordering;

use crate::calibration::binned::within;
use crate::calibration::decomposition::{Decomposition, Decompositions, mean};
use crate::calibration::rows::top;
use crate::calibration::{CalibrationError, check_length, check_weights};
use crate::divergence::terms::divergence_term;
use crate::elementary::ln;
use crate::exact::ExactSum;
use crate::rows::Matrix;

/// Which rows are taken together.
#[derive(Clone, Copy, Debug)]
pub enum Grouping<'a> {
    /// Rows of identical predictions.
    Identical,
    /// Rows of the same top class (the first of equal ones) and the same of so many bins of its probability, of equal width
    /// from 1/k to 1 for k classes, closed below, the last closed above too.
    TopClass(usize),
    /// Rows of the same number.
    Given(&'a [u32]),
}

/// The decompositions by groups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grouped {
    /// The parts of the mean log loss in nats and of the mean squared error, summed over classes.
    pub parts: Decompositions,
    /// `score - (uncertainty - discrimination + miscalibration)` for both: 0 for identical predictions that sum to 1.
    pub within_groups: [f64; 2],
    /// Number of groups.
    pub groups: usize,
    /// Rows of positive weight per group.
    pub rows_per_group: f64,
}

/// The decomposition of log loss and squared error of many classes by groups of rows.
///
/// ```text
/// miscalibration = sum_g n_g/n D(π_g || p̄_g)      π_g: frequencies of the classes in a group, p̄_g: mean prediction
/// discrimination = sum_g n_g/n D(π_g || π)        π: frequencies in all rows
/// uncertainty    = H(π), or 1 - sum_c π_c^2
/// D(a || b)      = sum_c a_c ln(a_c/b_c), or sum_c (a_c - b_c)^2
/// ```
///
/// Shapes: `n_samples x n_classes` probabilities, one label a row, weights if any. [`Matrix::Positive`] is two classes.
///
/// No part is negative; an infinite score has an infinite miscalibration and nothing within groups. Every sum is exact and rounded once, so the order of
/// rows changes no bit. Memory: 8 bytes a row.
///
/// # Errors
///
/// A probability outside [0, 1], a label or weight that is none, lists of different lengths, no rows.
///
/// # Example
///
/// ```
/// use xent::calibration::multiclass::{Grouping, decompose};
/// use xent::rows::Matrix;
///
/// // A model of two predictions, each right in its frequencies.
/// let p = [0.5, 0.5, 0.0, /**/ 0.5, 0.5, 0.0, /**/ 0.0, 0.0, 1.0, /**/ 0.0, 0.0, 1.0];
/// let found = decompose(Matrix::Rows { values: &p, width: 3 }, &[0, 1, 2, 2], None, Grouping::Identical)?;
/// let log = found.parts.log.in_bits();
/// assert_eq!((log.uncertainty, log.discrimination, log.miscalibration), (1.5, 1.0, 0.0));
/// # Ok::<(), xent::calibration::CalibrationError>(())
/// ```
pub fn decompose(
    probabilities: Matrix<'_>,
    labels: &[u32],
    weights: Option<&[f64]>,
    grouping: Grouping<'_>,
) -> Result<Grouped, CalibrationError> {
    let (n, k) = (probabilities.n_samples(), probabilities.n_classes());
    check_length("labels", labels.len(), n)?;
    check_weights(weights, n)?;
    for (row, &label) in labels.iter().enumerate() {
        if label as usize >= k {
            return Err(CalibrationError::Label { row, label, n_classes: k });
        }
        if let Some(value) =
            (0..k).map(|c| probabilities.get(row, c)).find(|p| !(0.0..=1.0).contains(p))
        {
            return Err(CalibrationError::NotProbability { row, value });
        }
    }
    let weight = |row: usize| weights.map_or(1.0, |w| w[row]);
    let mut order: Vec<usize> = (0..n).filter(|&row| weight(row) > 0.0).collect();
    if order.is_empty() {
        return Err(CalibrationError::Empty);
    }
    let by_vector = |&a: &usize, &b: &usize| {
        let of = |row| (0..k).map(move |c| probabilities.get(row, c));
        of(a).partial_cmp(of(b)).unwrap_or(Ordering::Equal)
    };
    let mut numbers = Vec::new();
    match grouping {
        Grouping::Identical => order.sort_unstable_by(by_vector),
        Grouping::TopClass(bins) => {
            if bins == 0 {
                let range = "a number of at least 1";
                return Err(CalibrationError::Option { name: "bins", value: 0.0, range });
            }
            let low = 1.0 / k as f64;
            numbers.extend((0..n).map(|row| {
                let (class, p) = top(probabilities, row);
                let part = ((p - low) / (1.0 - low) * bins as f64).max(0.0) as usize;
                (class * bins + part.min(bins - 1)) as u64
            }));
        }
        Grouping::Given(given) => {
            check_length("groups", given.len(), n)?;
            numbers.extend(given.iter().map(|&g| u64::from(g)));
        }
    }
    if !numbers.is_empty() {
        order.sort_unstable_by_key(|&row| numbers[row]);
    }
    let is_same = |a: &usize, b: &usize| match grouping {
        Grouping::Identical => by_vector(a, b) == Ordering::Equal,
        _ => numbers[*a] == numbers[*b],
    };

    let exact = || vec![ExactSum::new(); k];
    let mut all = exact();
    for &row in &order {
        all[labels[row] as usize].add(weight(row));
    }
    let total = all.iter().map(ExactSum::value).collect::<ExactSum>().value();
    let overall: Vec<f64> = all.iter().map(|sum| mean(sum, total)).collect();
    let mut sums = [(); 2].map(|()| [(); 3].map(|()| ExactSum::new()));
    let mut groups = 0;
    for group in order.chunk_by(is_same) {
        groups += 1;
        let (mut outcomes, mut predictions) = (exact(), exact());
        for &row in group {
            let (w, label) = (weight(row), labels[row] as usize);
            outcomes[label].add(w);
            let mut squared = ExactSum::new();
            for (class, sum) in predictions.iter_mut().enumerate() {
                let p = probabilities.get(row, class);
                sum.add_product(w, p);
                let off = p - f64::from(u8::from(class == label));
                squared.add(off * off);
            }
            let p = probabilities.get(row, label);
            sums[0][0].add_product(w, 0.0 - ln(p));
            sums[1][0].add_product(w, squared.value());
        }
        let mass = outcomes.iter().map(ExactSum::value).collect::<ExactSum>().value();
        for class in 0..k {
            let (y, p) = (mean(&outcomes[class], mass), mean(&predictions[class], mass));
            for (part, other) in [(1, overall[class]), (2, p)] {
                sums[0][part].add(mass * divergence_term(y, other, other - y));
                sums[1][part].add(mass * (y - other).powi(2));
            }
        }
    }
    let entropy: ExactSum =
        overall.iter().filter(|f| **f > 0.0).map(|&f| f * (0.0 - ln(f))).collect();
    let spread: ExactSum = overall.iter().map(|f| f * (1.0 - f)).collect();
    let parts = |sums: &[ExactSum; 3], uncertainty: f64| {
        let [score, discrimination, miscalibration] = sums.each_ref().map(|sum| mean(sum, total));
        let infinite = score == f64::INFINITY;
        let miscalibration = if infinite { score } else { miscalibration };
        Decomposition { score, uncertainty, discrimination, miscalibration }
    };
    let log = parts(&sums[0], entropy.value());
    let squared = parts(&sums[1], spread.value());
    Ok(Grouped {
        parts: Decompositions { log, squared },
        within_groups: [within(log), within(squared)],
        groups,
        rows_per_group: order.len() as f64 / f64::from(groups as u32),
    })
}

#[cfg(test)]
#[path = "multiclass_tests.rs"]
mod tests;
