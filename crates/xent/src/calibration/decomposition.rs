//! The parts of a score of binary predictions: uncertainty, discrimination, miscalibration.
//!
//! ```text
//! score = uncertainty - discrimination + miscalibration
//! S(p)  = S(ȳ) - [S(ȳ) - S(x̂)] + [S(p) - S(x̂)]
//! ```
//!
//! ȳ is the frequency of the positive outcome, x̂ the prediction recalibrated. In-sample ([`corp`]) x̂ is the isotonic regression of
//! the outcomes on the predictions: no bins, no choices. It fits its own noise, so both miscalibration and
//! discrimination come out too large, of order n^(-2/3); [`cross_fitted`] recalibrates each row by the others, which is honest and may give
//! a negative part.
//!
//! # Never negative
//!
//! No part is a difference of two scores. With c_i = w_i (x̂ - ȳ_i) in a block and C_j its sums from the left, which are never
//! above 0 in an isotonic fit, and φ the derivative of the score's entropy (the log-odds for the log score, 2 p for the squared error),
//!
//! ```text
//! n * miscalibration = sum_i w_i D(x̂ || p_i) + sum_j (-C_j) (φ(p_{j+1}) - φ(p_j))
//! n * discrimination = sum_blocks W_b D(x̂_b || ȳ)
//! ```
//!
//! where every term is at least 0 and computed so. The first line is the summation by parts of
//! S(p) - S(x̂). A perfectly calibrated model has a miscalibration of exactly 0, and one of 1e-12 has its digits.
//!
//! Source: Dimitriadis, Gneiting and Jordan (2021), doi:10.1073/pnas.2016191118; for the log score, Bröcker (2009),
//! doi:10.1002/qj.456.

use crate::calibration::CalibrationError;
use crate::calibration::isotonic::Block;
use crate::calibration::rows::{Prediction, SortedRows};
use crate::divergence::terms::divergence_term;
use crate::elementary::{ln, ln_1p};
use crate::exact::{Exact, ExactSum, two_product};
use crate::kernel::positive_loss;
use crate::simd::leveled;

/// A score and its parts, in the score's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decomposition {
    /// The mean score, `uncertainty - discrimination + miscalibration` but for rounding.
    pub score: f64,
    /// Score of the model that knows only the class frequencies.
    pub uncertainty: f64,
    /// What the predictions know about the outcomes.
    pub discrimination: f64,
    /// What recalibration would win; infinite if the score is.
    pub miscalibration: f64,
}

impl Decomposition {
    /// The score after recalibration, `uncertainty - discrimination`.
    pub fn recalibrated(&self) -> f64 {
        self.uncertainty - self.discrimination
    }

    /// Nats to bits.
    #[must_use]
    pub fn in_bits(&self) -> Self {
        let bits = |x: f64| x / std::f64::consts::LN_2;
        Self {
            score: bits(self.score),
            uncertainty: bits(self.uncertainty),
            discrimination: bits(self.discrimination),
            miscalibration: bits(self.miscalibration),
        }
    }
}

/// The parts of both scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decompositions {
    /// Of the mean log loss, nats.
    pub log: Decomposition,
    /// Of the mean squared error, summed over both classes: 0 to 2, as `mse` everywhere. Half of it is the Brier score of
    /// the positive outcome.
    pub squared: Decomposition,
}

/// Groups worked on at a time.
const CHUNK: usize = 256;

/// Groups of equal predictions beside each other, and what is computed of them.
struct Chunk {
    len: usize,
    /// The prediction, the one before it in the block (itself, for the first), and the block's value.
    p: [Prediction; CHUNK],
    rise: [f64; CHUNK],
    before: [f64; CHUNK],
    fit: [Prediction; CHUNK],
    negative: [f64; CHUNK],
    positive: [f64; CHUNK],
    /// -C before this group: 0 for the first of a block.
    lag: [f64; CHUNK],
    log_loss: [[f64; CHUNK]; 2],
    squared_error: [[f64; CHUNK]; 2],
    log_misfit: [f64; CHUNK],
    squared_misfit: [f64; CHUNK],
}

leveled! {
    fn compute(chunk: &mut Chunk) => compute_body
}

/// `D(a || b)` of two binary distributions, nats.
#[inline(always)]
pub(crate) fn divergence(a: Prediction, b: Prediction) -> f64 {
    // The difference is taken where the numbers are small and have their digits.
    let upper = a.positive > a.negative;
    let difference = if upper { a.negative - b.negative } else { b.positive - a.positive };
    divergence_term(a.positive, b.positive, difference)
        + divergence_term(a.negative, b.negative, -difference)
}

/// Losses of a prediction if the outcome is negative, and if it is positive, with the bits that
/// [`crate::rows::RowScores`] gives.
#[inline(always)]
pub(crate) fn log_losses(p: Prediction) -> [f64; 2] {
    let upper = p.positive > p.negative;
    let tail = if upper { p.negative } else { p.positive };
    let (rare, common) = (positive_loss(tail, true), positive_loss(tail, false));
    if upper { [rare, common] } else { [common, rare] }
}

#[inline(always)]
fn compute_body(chunk: &mut Chunk) {
    for i in 0..CHUNK {
        let (p, fit) = (chunk.p[i], chunk.fit[i]);
        let (negative, positive) = (chunk.negative[i], chunk.positive[i]);
        let losses = log_losses(p);
        // An outcome that did not happen costs nothing, however improbable.
        chunk.log_loss[0][i] = if negative > 0.0 { losses[0] } else { 0.0 };
        chunk.log_loss[1][i] = if positive > 0.0 { losses[1] } else { 0.0 };
        chunk.squared_error[0][i] = 2.0 * (p.positive * p.positive);
        chunk.squared_error[1][i] = 2.0 * (p.negative * p.negative);
        let weight = negative + positive;
        let upper = fit.positive > fit.negative;
        let off = if upper { fit.negative - p.negative } else { p.positive - fit.positive };
        let (lag, rise) = (chunk.lag[i], chunk.rise[i]);
        // φ(p) - φ(before) = ln(p (1 - before) / (before (1 - p))).
        let step = ln_1p((rise / chunk.before[i]) / p.negative);
        let step = if lag > 0.0 { step } else { 0.0 };
        chunk.log_misfit[i] = weight * divergence(fit, p) + lag * step;
        chunk.squared_misfit[i] = 2.0 * (weight * (off * off) + 2.0 * (lag * rise));
    }
}

impl Chunk {
    fn new() -> Box<Self> {
        let half = Prediction { positive: 0.5, negative: 0.5 };
        Box::new(Self {
            len: 0,
            p: [half; CHUNK],
            rise: [0.0; CHUNK],
            before: [1.0; CHUNK],
            fit: [half; CHUNK],
            negative: [0.0; CHUNK],
            positive: [0.0; CHUNK],
            lag: [0.0; CHUNK],
            log_loss: [[0.0; CHUNK]; 2],
            squared_error: [[0.0; CHUNK]; 2],
            log_misfit: [0.0; CHUNK],
            squared_misfit: [0.0; CHUNK],
        })
    }
}

/// The sums over rows behind both decompositions.
#[derive(Default)]
struct Sums {
    log_loss: ExactSum,
    squared_error: ExactSum,
    log_misfit: ExactSum,
    squared_misfit: ExactSum,
}

impl Sums {
    fn add(&mut self, chunk: &mut Chunk) {
        compute(chunk);
        let n = std::mem::take(&mut chunk.len);
        for i in 0..n {
            if chunk.log_misfit[i] == f64::INFINITY && chunk.lag[i] > 0.0 {
                // A ratio of odds beyond the range of numbers; if it is that of 0 or 1, infinite here too.
                let (p, before) = (chunk.p[i], chunk.before[i]);
                let step = (ln(p.positive) - ln(before)) + (0.0 - ln(p.negative));
                let weight = chunk.negative[i] + chunk.positive[i];
                chunk.log_misfit[i] = weight * divergence(chunk.fit[i], p) + chunk.lag[i] * step;
            }
        }
        for (outcome, weights) in [&chunk.negative, &chunk.positive].into_iter().enumerate() {
            self.log_loss.add_products(&weights[..n], &chunk.log_loss[outcome][..n]);
            self.squared_error.add_products(&weights[..n], &chunk.squared_error[outcome][..n]);
        }
        self.log_misfit.add_slice(&chunk.log_misfit[..n]);
        self.squared_misfit.add_slice(&chunk.squared_misfit[..n]);
    }
}

/// a d - b c, at least 0: exact products, so that whole numbers that agree give 0.
#[inline(always)]
fn determinant(a: f64, d: f64, b: f64, c: f64) -> f64 {
    let (left, left_error) = two_product(a, d);
    let (right, right_error) = two_product(b, c);
    let difference = (left - right) + (left_error - right_error);
    if difference > 0.0 { difference } else { 0.0 }
}

fn sums(rows: &SortedRows, blocks: &[Block]) -> Sums {
    let mut sums = Sums::default();
    let mut chunk = Chunk::new();
    let mut at = 0;
    for block in blocks {
        let fit = block.frequencies();
        let weight = block.weight();
        let (mut negative, mut positive) = (0.0, 0.0);
        let mut before = block.lowest;
        while at < block.rows.end {
            let Some(group) = rows.next_group(&mut at) else { break };
            let i = chunk.len;
            chunk.p[i] = group.prediction;
            chunk.rise[i] = group.prediction.rise_from(before);
            chunk.before[i] = before.positive;
            chunk.fit[i] = fit;
            chunk.negative[i] = group.negative;
            chunk.positive[i] = group.positive;
            chunk.lag[i] = determinant(positive, block.negative, negative, block.positive) / weight;
            // Sums of whole numbers are exact; others are not used where exactness matters.
            negative += group.negative;
            positive += group.positive;
            before = group.prediction;
            chunk.len += 1;
            if chunk.len == CHUNK {
                sums.add(&mut chunk);
            }
        }
    }
    sums.add(&mut chunk);
    sums
}

/// Entropy of the outcomes, nats, and twice p (1 - p).
fn uncertainties(all: Prediction) -> (f64, f64) {
    let losses = log_losses(all);
    let term = |p: f64, loss: f64| if p > 0.0 { p * loss } else { 0.0 };
    let entropy = term(all.negative, losses[0]) + term(all.positive, losses[1]);
    (entropy, 2.0 * (all.negative * all.positive))
}

/// The frequencies of the outcomes.
fn frequencies(rows: &SortedRows) -> Prediction {
    let weight = rows.weight();
    Prediction { positive: rows.positive() / weight, negative: rows.negative() / weight }
}

/// A sum over the weight, rounded once.
fn mean(sum: &ExactSum, weight: f64) -> f64 {
    sum.to_exact().map_or_else(|special| special, |sum| sum.ratio(&Exact::of(weight)))
}

/// The CORP decomposition of log loss and squared error: isotonic regression in place of bins.
///
/// ```text
/// S(p) = S(ȳ) - [S(ȳ) - S(x̂)] + [S(p) - S(x̂)]
/// ```
///
/// x̂ is fitted on these very rows, so miscalibration and discrimination are both too large by what the fit takes of the noise;
/// see [`cross_fitted`].
///
/// Domain: any rows. If a row's loss is infinite, score and miscalibration are, and the other parts are
/// finite; a squared error is always finite.
///
/// Accuracy: no part is negative; the parts add up to the score within 4 ulp of the largest of the four. The score has the bits of
/// [`crate::score`] over the same probabilities. Tested against 50-digit arithmetic, the Python package `model-diagnostics`, and
/// properties.
///
/// # Example
///
/// Two 0s and two 1s, all forecast 0.5: nothing known, nothing wrong.
///
/// ```
/// use xent::calibration::{decomposition::corp, rows::BinaryRows};
///
/// let mut rows = BinaryRows::default();
/// rows.add_probabilities(&[0.5; 4], &[false, true, true, false], None)?;
/// let parts = corp(&rows.sort()?).log.in_bits();
/// assert_eq!((parts.score, parts.uncertainty), (1.0, 1.0));
/// assert_eq!((parts.discrimination, parts.miscalibration), (0.0, 0.0));
/// # Ok::<(), xent::calibration::CalibrationError>(())
/// ```
///
/// Source: Dimitriadis, Gneiting and Jordan (2021), doi:10.1073/pnas.2016191118.
pub fn corp(rows: &SortedRows) -> Decompositions {
    corp_of_blocks(rows, &rows.isotonic())
}

/// As [`corp`], for rows whose isotonic fit is at hand.
pub fn corp_of_blocks(rows: &SortedRows, blocks: &[Block]) -> Decompositions {
    let weight = rows.weight();
    let all = frequencies(rows);
    let sums = sums(rows, blocks);
    let (mut log, mut squared) = (ExactSum::new(), ExactSum::new());
    for block in blocks {
        let fit = block.frequencies();
        let off = fit.rise_from(all);
        log.add(block.weight() * divergence(fit, all));
        squared.add(block.weight() * (2.0 * (off * off)));
    }
    let (entropy, spread) = uncertainties(all);
    let score = mean(&sums.log_loss, weight);
    // The divergence of an infinite score may be 0 times infinity on the way.
    let misfit =
        if score == f64::INFINITY { f64::INFINITY } else { mean(&sums.log_misfit, weight) };
    Decompositions {
        log: Decomposition {
            score,
            uncertainty: entropy,
            discrimination: mean(&log, weight),
            miscalibration: misfit,
        },
        squared: Decomposition {
            score: mean(&sums.squared_error, weight),
            uncertainty: spread,
            discrimination: mean(&squared, weight),
            miscalibration: mean(&sums.squared_misfit, weight),
        },
    }
}

/// The decompositions with each row recalibrated by an isotonic fit of other rows.
///
/// Rows are dealt into `folds` parts; the rows of a part get the value of the fit on all other parts, between
/// blocks interpolated and drawn a little towards 1/2 ([`crate::calibration::recalibrate::IsotonicMap`]), so that no row costs
/// infinity. Then
///
/// ```text
/// miscalibration = S(p) - S(x̂),   discrimination = S(ȳ) - S(x̂)
/// ```
///
/// are honest estimates, and may be negative: a well calibrated model loses by being refitted, and that loss is
/// shown.
///
/// The fold of a row is a hash (`SplitMix64`) of its place among the sorted rows, so that neither the order in which the
/// rows came nor their batches change a bit.
///
/// # Errors
/// `folds` is below 2, or there are fewer rows than folds.
///
/// # Example
///
/// ```
/// use xent::calibration::{decomposition::cross_fitted, rows::BinaryRows};
///
/// let p: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
/// let y: Vec<bool> = (0..1000).map(|i| i % 3 == 0 || i % 10 < i / 100).collect();
/// let mut rows = BinaryRows::default();
/// rows.add_probabilities(&p, &y, None)?;
/// let parts = cross_fitted(&rows.sort()?, 10)?.log;
/// assert!(parts.miscalibration > 0.0 && parts.discrimination > 0.0);
/// # Ok::<(), xent::calibration::CalibrationError>(())
/// ```
pub fn cross_fitted(rows: &SortedRows, folds: u32) -> Result<Decompositions, CalibrationError> {
    let most = rows.len().min(u32::MAX as usize) as u32;
    if folds < 2 || folds > most {
        let range = "a number of at least 2 and at most the number of rows";
        return Err(CalibrationError::Option { name: "folds", value: f64::from(folds), range });
    }
    let (mut log, mut squared) = (ExactSum::new(), ExactSum::new());
    for fold in 0..folds {
        let [held_out, others] = rows.split(|i| fold_of(i as u64, folds) == fold);
        let Some(held_out) = held_out else { continue };
        let others = others.ok_or(CalibrationError::Empty)?;
        let map = super::recalibrate::IsotonicMap::fit(&others);
        for group in held_out.groups() {
            let p = map.apply(group.prediction);
            let losses = log_losses(p);
            for (weight, loss, off) in
                [(group.negative, losses[0], p.positive), (group.positive, losses[1], p.negative)]
            {
                log.add_product(weight, loss);
                squared.add_product(weight, 2.0 * (off * off));
            }
        }
    }
    let in_sample = corp(rows);
    let weight = rows.weight();
    let honest = |parts: Decomposition, recalibrated: f64| Decomposition {
        discrimination: parts.uncertainty - recalibrated,
        miscalibration: parts.score - recalibrated,
        ..parts
    };
    Ok(Decompositions {
        log: honest(in_sample.log, mean(&log, weight)),
        squared: honest(in_sample.squared, mean(&squared, weight)),
    })
}

/// The fold of a row, by the finaliser of `SplitMix64` (Steele, Lea and Flood, 2014, doi:10.1145/2660193.2660195).
pub fn fold_of(row: u64, folds: u32) -> u32 {
    let hash = super::random::mix(row);
    ((u128::from(hash) * u128::from(folds)) >> 64) as u32
}

#[cfg(test)]
#[path = "decomposition_tests.rs"]
mod tests;
