//! Calibration errors by name: distances between predictions and frequencies in bins.
//!
//! A calibration error says how far off predictions are, not what that costs; it depends on the bins; and it is
//! smallest for a model that says the base rate to everybody. [`crate::calibration::decomposition`] says what it costs. What is here is
//! what others report.
//!
//! Each works on the rows of one binary question ([`BinaryRows`](crate::calibration::rows::BinaryRows)), which is part of the name: of a class (`ece(class=…)`), of the top label
//! (`ece(top-label)`), or of every class against the rest, put together by [`class_wise`]. Bins and their edges: [`crate::calibration::binned`].

use crate::calibration::CalibrationError;
use crate::calibration::binned::{Bin, Binning, bins};
use crate::calibration::rows::SortedRows;

/// How the differences of the bins are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// `sum_k n_k/n |ȳ_k - p̄_k|`: the expected calibration error (ECE).
    Absolute,
    /// `sqrt(sum_k n_k/n (ȳ_k - p̄_k)^2)`: the root mean square calibration error.
    RootMeanSquare,
    /// `max_k |ȳ_k - p̄_k|`: the maximum calibration error (MCE).
    Maximum,
}

impl Norm {
    /// Differences with their weights, which add up to `total`.
    fn of(self, differences: impl Iterator<Item = (f64, f64)>, total: f64) -> f64 {
        match self {
            Self::Absolute => differences.map(|(w, d)| w * d.abs()).sum::<f64>() / total,
            Self::RootMeanSquare => {
                (differences.map(|(w, d)| w * (d * d)).sum::<f64>() / total).sqrt()
            }
            Self::Maximum => differences.map(|(_, d)| d.abs()).fold(0.0, f64::max),
        }
    }
}

/// The calibration error in bins, plain; 0 to 1.
///
/// ```text
/// ECE = sum_k n_k/n |ȳ_k - p̄_k|        and the others of [`Norm`]
/// ```
///
/// Biased upward: noise in ȳ_k counts as error. Accuracy: 1e-14, tested against `netcal`, `uncertainty-calibration` and
/// exact rationals.
///
/// # Errors
///
/// No bins.
///
/// # Example
///
/// ```
/// use xent::calibration::{binned::Binning, errors::{Norm, binned_error}, rows::BinaryRows};
///
/// let mut rows = BinaryRows::default();
/// rows.add_probabilities(&[0.75, 0.75, 0.75, 0.75], &[true, true, false, false], None)?;
/// let rows = rows.sort()?;
/// assert_eq!(binned_error(&rows, Binning::EqualWidth(15), Norm::Absolute)?, 0.25);
/// # Ok::<(), xent::calibration::CalibrationError>(())
/// ```
///
/// Source: Naeini, Cooper and Hauskrecht (2015), doi:10.1609/aaai.v29i1.9602; Guo, Pleiss, Sun and Weinberger (2017),
/// arXiv:1706.04599.
pub fn binned_error(
    rows: &SortedRows,
    binning: Binning,
    norm: Norm,
) -> Result<f64, CalibrationError> {
    let bins = bins(rows, binning)?;
    Ok(norm.of(bins.iter().map(|bin| (bin.weight(), bin.difference)), rows.weight()))
}

/// The squared calibration error without the bias of the bins' noise; it may come out negative.
///
/// ```text
/// sum_k n_k/n [(ȳ_k - p̄_k)^2 - ȳ_k (1 - ȳ_k)/(n_k - 1)]
/// ```
///
/// A bin of one row says nothing about its error and counts 0; where every bin has one row, so that nothing can be
/// corrected, the result is NaN. With importances, n_k is the number of rows that a bin
/// is worth.
///
/// # Errors
///
/// No bins.
///
/// Source: Kumar, Liang and Ma (2019), arXiv:1909.10155; Bröcker (2012), doi:10.1007/s00382-011-1191-1.
pub fn debiased_square(rows: &SortedRows, binning: Binning) -> Result<f64, CalibrationError> {
    let term = |bin: &Bin| {
        let variance = bin.variance()?;
        Some(bin.weight() * (bin.difference * bin.difference - variance))
    };
    let terms: Vec<f64> = bins(rows, binning)?.iter().filter_map(term).collect();
    if terms.is_empty() {
        return Ok(f64::NAN);
    }
    Ok(terms.iter().sum::<f64>() / rows.weight())
}

/// The debiased root mean square calibration error: the root of [`debiased_square`], 0 if that is negative and NaN if it is.
///
/// # Errors
///
/// No bins.
///
/// Source: Kumar, Liang and Ma (2019), arXiv:1909.10155.
pub fn debiased_error(rows: &SortedRows, binning: Binning) -> Result<f64, CalibrationError> {
    let square = debiased_square(rows, binning)?;
    Ok(if square.is_nan() { square } else { square.max(0.0).sqrt() })
}

/// The calibration error in as many bins of equal mass as keep the frequencies rising.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SweepError {
    /// The error.
    pub value: f64,
    /// The number of bins.
    pub bins: usize,
}

/// Bins that a sweep tries at most.
const SWEEP: usize = 4096;

/// The calibration error with the largest number of bins of equal mass such that this and every smaller number has
/// frequencies that never fall from bin to bin.
///
/// At most one bin for each prediction that occurs, and at most 4,096 unless the frequencies of the predictions themselves never fall.
///
/// Memory: 32 bytes for each prediction that occurs.
///
/// Source: Roelofs, Cain, Shlens and Mozer (2022), arXiv:2012.08668.
pub fn sweep_error(rows: &SortedRows, norm: Norm) -> SweepError {
    /// Sums below each group.
    struct Below {
        middle: f64,
        weight: f64,
        positive: f64,
        prediction: f64,
    }
    let mut below = Vec::new();
    let (mut weight, mut positive, mut prediction) = (0.0, 0.0, 0.0);
    let (mut last, mut rising) = (0.0, true);
    for group in rows.groups() {
        let middle = 2.0 * weight + group.weight();
        below.push(Below { middle, weight, positive, prediction });
        weight += group.weight();
        positive += group.positive;
        prediction += group.weight() * group.prediction.positive;
        rising &= group.frequency() >= last;
        last = group.frequency();
    }
    let groups = below.len();
    let total = weight;
    below.push(Below { middle: f64::INFINITY, weight, positive, prediction });
    let in_bins = |k: usize| {
        let mut list = Vec::with_capacity(k);
        let mut start = 0;
        for bin in 1..=k {
            // As in `binned`: a group's bin is that of its middle.
            let end = start
                + below[start..groups].partition_point(|group| {
                    ((group.middle / (2.0 * total) * k as f64) as usize).min(k - 1) < bin
                });
            if end > start {
                let (a, b) = (&below[start], &below[end]);
                let weight = b.weight - a.weight;
                let rate = (b.positive - a.positive) / weight;
                list.push((weight, rate, (b.prediction - a.prediction) / weight));
            }
            start = end;
        }
        list
    };
    let is_rising = |list: &[(f64, f64, f64)]| list.windows(2).all(|bin| bin[0].1 <= bin[1].1);
    let bins = if rising {
        groups
    } else {
        let most = groups.min(SWEEP);
        (2..=most).find(|&k| !is_rising(&in_bins(k))).map_or(most, |k| k - 1)
    };
    let list = in_bins(bins);
    let differences = list.iter().map(|(weight, rate, said)| (*weight, said - rate));
    SweepError { value: norm.of(differences, total), bins }
}

/// The errors of every class against the rest, put together: their mean, the root of the mean square, or the
/// largest; NaN without classes.
///
/// The class-wise ECE of Kull et al. and the marginal calibration error of Kumar et al. are this, with equal weights for all classes.
///
/// ```
/// use xent::calibration::errors::{Norm, class_wise};
///
/// assert_eq!(class_wise(&[0.25, 0.5, 0.75], Norm::Absolute), 0.5);
/// ```
///
/// Source: Kull et al. (2019), arXiv:1910.12656; Kumar, Liang and Ma (2019), arXiv:1909.10155.
pub fn class_wise(errors: &[f64], norm: Norm) -> f64 {
    if errors.is_empty() {
        return f64::NAN;
    }
    norm.of(errors.iter().map(|&error| (1.0, error)), errors.len() as f64)
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
