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
//! S(p) - S(x̂). A perfectly calibrated model has a miscalibration of exactly 0, and one of 1e-12 has its digits. Blocks whose
//! miscalibration is a good part of their score are taken as the difference, which is cheaper and as good.
//!
//! Source: Dimitriadis, Gneiting and Jordan (2021), doi:10.1073/pnas.2016191118; for the log score, Bröcker (2009),
//! doi:10.1002/qj.456.

use crate::calibration::CalibrationError;
use crate::calibration::isotonic::Block;
use std::ops::Range;

use crate::calibration::rows::{Prediction, SortedRows, tail};
use crate::divergence::terms::{divergence_term, gap_to_logarithm};
use crate::elementary::{ln, ln_1p};
use crate::exact::{Exact, ExactSum, two_product};
use crate::kernel::positive_loss;
use crate::lanes::two_sum;
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

/// Rows or groups worked on at a time.
const CHUNK: usize = 256;
/// Sums side by side.
const LANES: usize = 8;
/// The part of a block's score that its miscalibration must be to be taken as a difference of scores: 8 bits are lost then.
const DIFFERENCE: f64 = 1.0 / 256.0;

leveled! {
    /// The losses of rows by their keys.
    fn take_losses(keys: &[u64], log_loss: &mut [f64], squared_error: &mut [f64]) => losses_body
}

#[inline(always)]
fn losses_body(keys: &[u64], log_loss: &mut [f64], squared_error: &mut [f64]) {
    for ((&key, log_loss), squared_error) in keys.iter().zip(log_loss).zip(squared_error) {
        let (tail, is_tail) = tail(key);
        let off = if is_tail { 1.0 - tail } else { tail };
        *log_loss = positive_loss(tail, is_tail);
        *squared_error = 2.0 * (off * off);
    }
}

/// The scores of the rows of a block, summed.
#[derive(Clone, Debug, Default)]
struct Scores {
    log_loss: ExactSum,
    squared_error: ExactSum,
}

impl Scores {
    fn of(rows: &SortedRows, range: Range<usize>) -> Self {
        let mut scores = Self::default();
        let (mut log_loss, mut squared_error) = ([0.0; CHUNK], [0.0; CHUNK]);
        let (keys, weights) = rows.keys_and_weights(range);
        for (i, keys) in keys.chunks(CHUNK).enumerate() {
            let n = keys.len();
            take_losses(keys, &mut log_loss[..n], &mut squared_error[..n]);
            for (sum, values) in [
                (&mut scores.log_loss, &log_loss[..n]),
                (&mut scores.squared_error, &squared_error[..n]),
            ] {
                match weights {
                    None => sum.add_slice(values),
                    Some(weights) => sum.add_products(&weights[i * CHUNK..][..n], values),
                }
            }
        }
        scores
    }

    fn merge(&mut self, other: &Self) {
        self.log_loss.merge(&other.log_loss);
        self.squared_error.merge(&other.squared_error);
    }
}

/// Groups of one block beside each other.
struct Misfits {
    len: usize,
    block: Whole,
    /// The predictions, both ways, from 1 on; before them the one before, for the first group itself.
    p: [f64; CHUNK + 1],
    q: [f64; CHUNK + 1],
    /// Weight of the groups, and of the block's rows before each, by outcome.
    weight: [f64; CHUNK],
    negative: [f64; CHUNK],
    positive: [f64; CHUNK],
    log: [f64; CHUNK],
    squared: [f64; CHUNK],
}

/// What all groups of a block share.
#[derive(Clone, Copy)]
struct Whole {
    fit: Prediction,
    inverse_fit: Prediction,
    negative: f64,
    positive: f64,
    inverse_weight: f64,
}

leveled! {
    /// The terms of the miscalibration; whether every group was near the block's value, and the sums
    /// (the log score's only if so).
    fn take_misfits(misfits: &mut Misfits) -> (bool, [f64; 2]) => misfits_body
}

#[inline(always)]
fn misfits_body(m: &mut Misfits) -> (bool, [f64; 2]) {
    let Whole { fit, inverse_fit, .. } = m.block;
    let upper = fit.positive > fit.negative;
    // What is behind the end was there before, or is the initial 1/2: of no consequence.
    let n = m.len.next_multiple_of(LANES);
    let mut near = true;
    for i in 0..n {
        let (p, q) = (m.p[i + 1], m.q[i + 1]);
        let (down, up) = (fit.negative - q, p - fit.positive);
        let off = if upper { down } else { up };
        let (r, s) = (off * inverse_fit.positive, -off * inverse_fit.negative);
        let lag = m.block.lag(m.negative[i], m.positive[i]);
        let before = m.p[i];
        let (down, up) = (m.q[i] - q, p - before);
        let rise = if before > m.q[i] { down } else { up };
        // φ(p) - φ(before) = ln(p (1 - before) / (before (1 - p))).
        let ratio = rise / (before * q);
        near &= (i >= m.len) | ((r.abs() <= 0.5) & (s.abs() <= 0.5) & (ratio <= 1.0));
        let step = ratio - gap_to_logarithm(ratio);
        let divergence = fit.positive * gap_to_logarithm(r) + fit.negative * gap_to_logarithm(s);
        let (log, squared) =
            (m.weight[i] * divergence + lag * step, m.weight[i] * (off * off) + 2.0 * (lag * rise));
        m.log[i] = if i < m.len { log } else { 0.0 };
        m.squared[i] = if i < m.len { 2.0 * squared } else { 0.0 };
    }
    (near, [total(&m.log[..n]), total(&m.squared[..n])])
}

/// Sum of a chunk, in two parts that are rounded into one at the end.
#[inline(always)]
fn total(values: &[f64]) -> f64 {
    let (mut sums, mut errors) = ([0.0; LANES], [0.0; LANES]);
    for part in values.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            let (sum, error) = two_sum(sums[lane], part[lane]);
            sums[lane] = sum;
            errors[lane] += error;
        }
    }
    let (mut sum, mut error) = (0.0, 0.0);
    for lane in 0..LANES {
        let (next, lost) = two_sum(sum, sums[lane]);
        sum = next;
        error += lost + errors[lane];
    }
    sum + error
}

impl Whole {
    fn of(block: &Block) -> Self {
        let fit = block.frequencies();
        let inverse_fit = Prediction { positive: 1.0 / fit.positive, negative: 1.0 / fit.negative };
        let (negative, positive) = (block.negative, block.positive);
        Self { fit, inverse_fit, negative, positive, inverse_weight: 1.0 / block.weight() }
    }

    /// -C behind rows of these weights: at least 0.
    ///
    /// Exact products, so that whole numbers that agree give 0.
    #[inline(always)]
    fn lag(&self, negative: f64, positive: f64) -> f64 {
        let (left, left_error) = two_product(positive, self.negative);
        let (right, right_error) = two_product(negative, self.positive);
        let determinant = (left - right) + (left_error - right_error);
        let determinant = if determinant > 0.0 { determinant } else { 0.0 };
        determinant * self.inverse_weight
    }
}

impl Misfits {
    fn new() -> Box<Self> {
        let half = Prediction { positive: 0.5, negative: 0.5 };
        Box::new(Self {
            len: 0,
            block: Whole {
                fit: half,
                inverse_fit: half,
                negative: 0.0,
                positive: 0.0,
                inverse_weight: 0.0,
            },
            p: [0.5; CHUNK + 1],
            q: [0.5; CHUNK + 1],
            weight: [0.0; CHUNK],
            negative: [0.0; CHUNK],
            positive: [0.0; CHUNK],
            log: [0.0; CHUNK],
            squared: [0.0; CHUNK],
        })
    }

    /// Adds the terms of a block.
    fn add(
        &mut self,
        rows: &SortedRows,
        block: &Block,
        log: &mut ExactSum,
        squared: &mut ExactSum,
    ) {
        self.block = Whole::of(block);
        let mut at = block.rows.start;
        let (mut negative, mut positive) = (0.0, 0.0);
        (self.p[0], self.q[0]) = (block.lowest.positive, block.lowest.negative);
        while at < block.rows.end {
            let p = rows.prediction(at);
            let Some(counts) = rows.next_counts(&mut at) else { break };
            let i = self.len;
            (self.p[i + 1], self.q[i + 1]) = (p.positive, p.negative);
            self.weight[i] = counts.0 + counts.1;
            (self.negative[i], self.positive[i]) = (negative, positive);
            // Sums of whole numbers are exact; others are not used where exactness matters.
            negative += counts.0;
            positive += counts.1;
            self.len += 1;
            if self.len == CHUNK {
                self.flush(log, squared);
                (self.p[0], self.q[0]) = (p.positive, p.negative);
            }
        }
        self.flush(log, squared);
    }

    fn flush(&mut self, log: &mut ExactSum, squared: &mut ExactSum) {
        let (near, sums) = take_misfits(self);
        squared.add(sums[1]);
        if near {
            log.add(sums[0]);
        } else {
            (0..self.len).for_each(|i| log.add(self.any(i)));
        }
        self.len = 0;
    }

    /// The log score's terms of a group that is not near its block's value or its neighbour.
    fn any(&self, i: usize) -> f64 {
        let p = Prediction { positive: self.p[i + 1], negative: self.q[i + 1] };
        let before = Prediction { positive: self.p[i], negative: self.q[i] };
        let lag = self.block.lag(self.negative[i], self.positive[i]);
        let misfit = self.weight[i] * divergence(self.block.fit, p);
        if lag > 0.0 {
            // In two divisions, and by logarithms beyond: odds may leave the range of numbers.
            let ratio = (p.rise_from(before) / before.positive) / p.negative;
            let step = if ratio < 1e300 {
                ln_1p(ratio)
            } else {
                (ln(p.positive) - ln(before.positive)) - ln(p.negative)
            };
            misfit + lag * step
        } else {
            misfit
        }
    }
}

/// The sums over rows behind both decompositions.
#[derive(Default)]
struct Sums {
    scores: Scores,
    log_misfit: ExactSum,
    squared_misfit: ExactSum,
}

fn sums(rows: &SortedRows, blocks: &[Block]) -> Sums {
    let mut sums = Sums::default();
    let mut misfits = Misfits::new();
    for block in blocks {
        let scores = Scores::of(rows, block.rows.clone());
        sums.scores.merge(&scores);
        let fit = block.frequencies();
        let (entropy, spread) = uncertainties(fit);
        let [log, squared] = [(scores.log_loss, entropy), (scores.squared_error, spread)].map(
            |(score, uncertainty)| {
                let score = score.value();
                let difference = score - block.weight() * uncertainty;
                (difference > DIFFERENCE * score).then_some(difference)
            },
        );
        if let (Some(log), Some(squared)) = (log, squared) {
            sums.log_misfit.add(log);
            sums.squared_misfit.add(squared);
        } else {
            misfits.add(rows, block, &mut sums.log_misfit, &mut sums.squared_misfit);
        }
    }
    sums
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

/// Mean log loss and mean squared error of the rows.
pub(crate) fn scores(rows: &SortedRows) -> [f64; 2] {
    let scores = Scores::of(rows, 0..rows.len());
    [scores.log_loss, scores.squared_error].map(|sum| mean(&sum, rows.weight()))
}

/// Entropy of the outcomes, nats, and twice p (1 - p).
pub(crate) fn uncertainties(all: Prediction) -> (f64, f64) {
    let losses = log_losses(all);
    let term = |p: f64, loss: f64| if p > 0.0 { p * loss } else { 0.0 };
    let entropy = term(all.negative, losses[0]) + term(all.positive, losses[1]);
    (entropy, 2.0 * (all.negative * all.positive))
}

/// The frequencies of the outcomes.
pub(crate) fn frequencies(rows: &SortedRows) -> Prediction {
    let weight = rows.weight();
    Prediction { positive: rows.positive() / weight, negative: rows.negative() / weight }
}

/// A sum over the weight, rounded once.
pub(crate) fn mean(sum: &ExactSum, weight: f64) -> f64 {
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
    let score = mean(&sums.scores.log_loss, weight);
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
            score: mean(&sums.scores.squared_error, weight),
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
