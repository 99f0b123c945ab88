//! Bins of predictions, and the parts of a score in bins, with bias correction and standard errors.
//!
//! [`crate::calibration::decomposition`] needs no bins and is the one to show. What is here is for comparison with others, and for
//! standard errors, which the isotonic fit does not have.
//!
//! # Edges
//!
//! Every row is in exactly one bin. Equal width: bin i of k holds `i/k <= p < (i+1)/k`, the edges being the f64 nearest to i/k; the last
//! bin holds 1 too. Equal mass: a group of equal predictions goes as a whole to bin `floor(k m)`, where m is the share of the weight
//! below it plus half its own; so ties never depend on the order of rows, and bins may be uneven or missing where
//! ties are heavy. Only bins that hold rows are listed.

use crate::calibration::CalibrationError;
use crate::calibration::decomposition::{
    Decomposition, divergence, frequencies, mean, scores, uncertainties,
};
use crate::calibration::rows::{Group, Prediction, SortedRows};
use crate::elementary::ln;
use crate::exact::ExactSum;

/// How predictions are put into bins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binning {
    /// So many intervals of equal length.
    EqualWidth(usize),
    /// So many bins of as nearly equal weight as ties allow.
    EqualMass(usize),
    /// One bin for each prediction that occurs.
    Distinct,
}

/// The rows of a bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Its number, of those that the binning has.
    pub index: usize,
    /// Lower edge; for bins of equal mass the smallest prediction in it.
    pub lower: f64,
    /// Upper edge; for bins of equal mass the largest prediction in it.
    pub upper: f64,
    /// Weight of its rows with the negative outcome.
    pub negative: f64,
    /// Weight of its rows with the positive outcome.
    pub positive: f64,
    /// Number of rows that its weight is worth ([`SortedRows::effective`]).
    pub effective: f64,
    /// Weighted mean of the predictions.
    pub prediction: f64,
    /// Weighted mean of what the predictions leave to the other outcome: 1 - prediction with its own digits, positive where
    /// the mean is rounded to 1.
    pub complement: f64,
    /// Mean prediction minus frequency, from one exact sum.
    pub difference: f64,
}

impl Bin {
    /// Weight of its rows.
    pub fn weight(&self) -> f64 {
        self.negative + self.positive
    }

    /// Share of the positive outcome.
    pub fn frequency(&self) -> f64 {
        self.positive / self.weight()
    }

    /// Both shares.
    fn frequencies(&self) -> Prediction {
        let weight = self.weight();
        Prediction { positive: self.positive / weight, negative: self.negative / weight }
    }

    /// Both means.
    fn said(&self) -> Prediction {
        Prediction { positive: self.prediction, negative: self.complement }
    }

    /// The unbiased estimate of its frequency's variance, ȳ (1 - ȳ) / (n - 1), if it has more than one row.
    pub(crate) fn variance(&self) -> Option<f64> {
        let y = self.frequencies();
        (self.effective > 1.0).then(|| y.positive * y.negative / (self.effective - 1.0))
    }
}

/// What adds up to a bin.
#[derive(Default)]
struct Filling {
    index: usize,
    lower: f64,
    upper: f64,
    negative: ExactSum,
    positive: ExactSum,
    squares: ExactSum,
    prediction: ExactSum,
    complement: ExactSum,
}

impl Filling {
    fn add(&mut self, group: &Group) {
        self.negative.add(group.negative);
        self.positive.add(group.positive);
        self.squares.add(group.squares);
        self.prediction.add_product(group.weight(), group.prediction.positive);
        self.complement.add_product(group.weight(), group.prediction.negative);
    }

    fn bin(&self, rows: &SortedRows) -> Bin {
        let (negative, positive) = (self.negative.value(), self.positive.value());
        let weight = negative + positive;
        let mut difference = self.prediction.clone();
        difference.add(-positive);
        Bin {
            index: self.index,
            lower: self.lower,
            upper: self.upper,
            negative,
            positive,
            effective: rows.effective(weight, self.squares.value()),
            prediction: mean(&self.prediction, weight),
            complement: mean(&self.complement, weight),
            difference: mean(&difference, weight),
        }
    }
}

/// The bin of equal width that holds a probability.
#[inline]
fn equal_width(p: f64, bins: usize) -> usize {
    let edge = |i: usize| i as f64 / bins as f64;
    let mut i = ((p * bins as f64) as usize).min(bins - 1);
    // The product may be rounded over an edge.
    if p < edge(i) {
        i -= 1;
    } else if i + 1 < bins && p >= edge(i + 1) {
        i += 1;
    }
    i
}

/// The rows of a binary task in bins that hold any, in rising order.
///
/// # Errors
///
/// No bins.
///
/// # Example
///
/// ```
/// use xent::calibration::{binned::{Binning, bins}, rows::BinaryRows};
///
/// let mut rows = BinaryRows::default();
/// rows.add_probabilities(&[0.0, 0.29, 0.3, 1.0], &[false, true, false, true], None)?;
/// let table = bins(&rows.sort()?, Binning::EqualWidth(10))?;
/// let held: Vec<_> = table.iter().map(|bin| (bin.index, bin.weight())).collect();
/// assert_eq!(held, [(0, 1.0), (2, 1.0), (3, 1.0), (9, 1.0)]);
/// # Ok::<(), xent::calibration::CalibrationError>(())
/// ```
pub fn bins(rows: &SortedRows, binning: Binning) -> Result<Vec<Bin>, CalibrationError> {
    if let Binning::EqualWidth(0) | Binning::EqualMass(0) = binning {
        let range = "a number of at least 1";
        return Err(CalibrationError::Option { name: "bins", value: 0.0, range });
    }
    let mut bins: Vec<Bin> = Vec::new();
    let mut filling: Option<Filling> = None;
    let mut below = 0.0;
    let total = rows.weight();
    for (number, group) in rows.groups().enumerate() {
        let p = group.prediction.positive;
        let index = match binning {
            Binning::EqualWidth(k) => equal_width(p, k),
            Binning::EqualMass(k) => {
                let middle = (2.0 * below + group.weight()) / (2.0 * total);
                ((middle * k as f64) as usize).min(k - 1)
            }
            Binning::Distinct => number,
        };
        below += group.weight();
        if let Some(old) = filling.take_if(|filling| filling.index != index) {
            bins.push(old.bin(rows));
        }
        let current = filling.get_or_insert_with(|| {
            let (lower, upper) = match binning {
                Binning::EqualWidth(k) => (index as f64 / k as f64, (index + 1) as f64 / k as f64),
                _ => (p, p),
            };
            Filling { index, lower, upper, ..Filling::default() }
        });
        current.upper = current.upper.max(p);
        current.add(&group);
    }
    bins.extend(filling.map(|filling| filling.bin(rows)));
    Ok(bins)
}

/// A score's parts in bins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinnedDecomposition {
    /// The parts; with bins they do not quite add up to the score.
    pub parts: Decomposition,
    /// What is missing: `score = uncertainty - discrimination + miscalibration + within_bins`. It is 0 for bins of one prediction, and for an infinite score.
    pub within_bins: f64,
    /// Standard errors of uncertainty, discrimination and miscalibration; NaN with fewer than two rows.
    pub errors: [f64; 3],
}

/// The parts in bins, of both scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinnedDecompositions {
    /// Of the mean log loss, nats.
    pub log: BinnedDecomposition,
    /// Of the mean squared error, summed over both classes (0 to 2).
    pub squared: BinnedDecomposition,
    /// The same without the bias of bins of few rows (Ferro and Fricker).
    pub squared_corrected: BinnedDecomposition,
}

/// The parts of log loss and squared error with the predictions of a bin taken as their mean.
///
/// ```text
/// miscalibration (reliability)  = sum_k n_k/n D(ȳ_k || p̄_k)        D: KL divergence, or 2 (ȳ - p̄)^2
/// discrimination (resolution)   = sum_k n_k/n D(ȳ_k || ȳ)
/// uncertainty                   = H(ȳ), or 2 ȳ (1 - ȳ)
/// within_bins                   = score - (uncertainty - discrimination + miscalibration)
/// ```
///
/// Bias correction of the squared error, halves of the numbers here, with s = sum_k n_k/n ȳ_k (1 - ȳ_k)/(n_k - 1) and t = ȳ (1 - ȳ)/(n - 1):
///
/// ```text
/// miscalibration - a s,   discrimination - a s + a t,   uncertainty + a t
/// ```
///
/// where a is 1, or as much less as keeps every part in its range. A bin of one row is left uncorrected. Standard errors by the delta
/// method on the sums of rows, predictions and outcomes in each bin, which are random; their covariance is the centred sum of products, and a is
/// taken as 1.
///
/// Weights: counts, or importances with n_k Kish's effective number of rows. An infinite score has an infinite
/// miscalibration, and nothing within bins.
///
/// Accuracy: 1e-12 relative of the largest part, tested against 50-digit arithmetic.
///
/// # Errors
///
/// No bins.
///
/// Source: Murphy (1973); Ferro and Fricker (2012), doi:10.1002/qj.1924; Siegert (2014), doi:10.1002/qj.2228; the term within bins:
/// Stephenson, Coelho and Jolliffe (2008), doi:10.1175/2007WAF2006116.1.
pub fn decompose(
    rows: &SortedRows,
    binning: Binning,
) -> Result<BinnedDecompositions, CalibrationError> {
    let bins = bins(rows, binning)?;
    let weight = rows.weight();
    let all = frequencies(rows);
    let [log_score, squared_score] = scores(rows);
    let (mut log, mut squared) = ([0; 2].map(|_| ExactSum::new()), [0; 2].map(|_| ExactSum::new()));
    let mut bias = ExactSum::new();
    for bin in &bins {
        let (w, y) = (bin.weight(), bin.frequencies());
        let p = bin.said();
        log[0].add(w * divergence(y, all));
        log[1].add(w * divergence(y, p));
        let off = y.rise_from(all);
        squared[0].add(w * (off * off));
        squared[1].add(w * (bin.difference * bin.difference));
        bias.add(w * bin.variance().unwrap_or(0.0));
    }
    let of = |sum: &ExactSum| mean(sum, weight);
    let errors = Influence { bins: &bins, all, weight, rows }.errors();

    let (entropy, spread) = uncertainties(all);
    let score = log_score;
    let infinite = score == f64::INFINITY;
    let parts = Decomposition {
        score,
        uncertainty: entropy,
        discrimination: of(&log[0]),
        miscalibration: if infinite { f64::INFINITY } else { of(&log[1]) },
    };
    let log = BinnedDecomposition { parts, within_bins: within(parts), errors: errors[0] };

    let (resolution, reliability, uncertainty) = (of(&squared[0]), of(&squared[1]), spread / 2.0);
    let parts = Decomposition {
        score: squared_score,
        uncertainty: spread,
        discrimination: 2.0 * resolution,
        miscalibration: 2.0 * reliability,
    };
    let twice = |errors: [f64; 3]| errors.map(|e| 2.0 * e);
    let squared =
        BinnedDecomposition { parts, within_bins: within(parts), errors: twice(errors[1]) };

    let n = rows.effective_rows();
    let s = of(&bias);
    let t = if n > 1.0 { all.positive * all.negative / (n - 1.0) } else { 0.0 };
    let a = truncation(reliability, resolution, uncertainty, s, t);
    let parts = Decomposition {
        uncertainty: 2.0 * (uncertainty + a * t),
        discrimination: 2.0 * (resolution - a * (s - t)).max(0.0),
        miscalibration: 2.0 * (reliability - a * s).max(0.0),
        ..parts
    };
    let squared_corrected =
        BinnedDecomposition { parts, within_bins: squared.within_bins, errors: twice(errors[2]) };
    Ok(BinnedDecompositions { log, squared, squared_corrected })
}

/// The part of the correction that leaves all parts in their ranges: reliability and resolution at least 0, resolution at most 1,
/// uncertainty at most 1/4.
fn truncation(reliability: f64, resolution: f64, uncertainty: f64, s: f64, t: f64) -> f64 {
    let mut a = 1.0_f64;
    if s > 0.0 {
        a = a.min(reliability / s);
    }
    if s > t {
        a = a.min(resolution / (s - t));
    } else if s < t {
        a = a.min((1.0 - resolution) / (t - s));
    }
    if t > 0.0 {
        a = a.min((0.25 - uncertainty).max(0.0) / t);
    }
    a
}

/// What the parts leave of the score; 0 where that is rounding.
pub(crate) fn within(parts: Decomposition) -> f64 {
    let Decomposition { score, uncertainty, discrimination, miscalibration } = parts;
    if score == f64::INFINITY {
        return 0.0;
    }
    let rest = score - (uncertainty - discrimination + miscalibration);
    let largest = score.max(uncertainty).max(discrimination).max(miscalibration);
    if rest.abs() <= 8.0 * f64::EPSILON * largest { 0.0 } else { rest }
}

/// The derivatives of the parts by each row's weight.
struct Influence<'a> {
    bins: &'a [Bin],
    all: Prediction,
    weight: f64,
    rows: &'a SortedRows,
}

impl Influence<'_> {
    /// Standard errors of [uncertainty, discrimination, miscalibration], for log score, squared error and corrected squared error
    /// (both halves).
    fn errors(&self) -> [[f64; 3]; 3] {
        if self.rows.effective_rows() <= 1.0 {
            return [[f64::NAN; 3]; 3];
        }
        let (mut first, mut second) = ([[0.0; 3]; 3], [[0.0; 3]; 3]);
        let mut bin = 0;
        // Values are centred twice: around those of the first row, then around their mean.
        let mut origin: Option<[[f64; 3]; 3]> = None;
        let mut squares = 0.0;
        let mut crossed = [[0.0; 3]; 3];
        for (p, outcome, w) in self.rows.iter() {
            while bin + 1 < self.bins.len() && p.positive >= self.bins[bin + 1].lower {
                bin += 1;
            }
            let value = self.of_row(&self.bins[bin], p, outcome);
            let origin = *origin.get_or_insert(value);
            let u = if self.rows.is_fractional() { w * w } else { w };
            squares += u;
            for i in 0..9 {
                let (i, j) = (i / 3, i % 3);
                let x = value[i][j] - origin[i][j];
                first[i][j] += w * x;
                crossed[i][j] += u * x;
                second[i][j] += u * (x * x);
            }
        }
        let mut errors = [[0.0; 3]; 3];
        for i in 0..9 {
            let (i, j) = (i / 3, i % 3);
            let mean = first[i][j] / self.weight;
            let spread = second[i][j] - 2.0 * mean * crossed[i][j] + mean * mean * squares;
            errors[i][j] = spread.max(0.0).sqrt() / self.weight;
        }
        errors
    }

    /// The derivatives for a row, but for constants, times the total weight.
    fn of_row(&self, bin: &Bin, row: Prediction, outcome: bool) -> [[f64; 3]; 3] {
        let all = self.all;
        let y = f64::from(u8::from(outcome));
        let (rate, own, said, p) =
            (bin.frequencies(), bin.frequency(), bin.prediction, row.positive);
        let pick = |p: Prediction| if outcome { p.positive } else { p.negative };
        let said_both = bin.said();
        let surprise = -ln(pick(all));
        // d/dp̄ of ȳ ln(ȳ/p̄) + (1 - ȳ) ln((1 - ȳ)/(1 - p̄)) enters through the row's share in p̄.
        let slope = rate.negative / said_both.negative - rate.positive / said_both.positive;
        let log = [
            surprise,
            surprise + ln(pick(rate)),
            ln(pick(rate) / pick(said_both)) + row.rise_from(said_both) * slope,
        ];
        let off = own - said;
        let reliability = -off * off + 2.0 * off * (y - p);
        let resolution = -own * own + 2.0 * own * y - 2.0 * all.positive * y;
        let uncertainty = (1.0 - 2.0 * all.positive) * y;
        // The corrections: by A and B, and by Y.
        let (a, n) = (bin.effective, self.rows.effective_rows());
        let s = if a > 1.0 {
            let (part, rest) =
                (rate.positive / (a - 1.0), rate.negative * (2.0 * a - 1.0) / (a - 1.0));
            part - part * rest + (1.0 - 2.0 * own) / (a - 1.0) * y
        } else {
            0.0
        };
        let t = (1.0 - 2.0 * all.positive) / (n - 1.0) * y;
        [
            log,
            [uncertainty, resolution, reliability],
            [uncertainty + t, resolution - s + t, reliability - s],
        ]
    }
}

#[cfg(test)]
#[path = "binned_tests.rs"]
mod tests;
