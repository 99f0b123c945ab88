//! The parts of both scores of a model over any number of classes, from the rows held.
//!
//! ```text
//! score = uncertainty - discrimination + miscalibration
//! miscalibration = S(p) - S(r),   discrimination = S(π) - S(r),   uncertainty = S(π)
//! ```
//!
//! π is the class frequencies and r the predictions recalibrated:
//!
//! - two classes, both scores: by isotonic regression ([`crate::calibration::decomposition`], CORP);
//! - more classes, squared error: by isotonic regression of each class against the rest. The parts of the classes add up, as the
//!   squared errors do;
//! - more classes, log score: the member of least loss of a family that holds the predictions themselves and π, so that no part is
//!   negative. With at least 50 rows for each of its 2 numbers a class, and at most 16 classes, that is vector scaling, else a family of
//!   two numbers, a temperature and a power of the class frequencies:
//!
//! ```text
//! r = softmax(a_c ln p_c + b_c)      vector scaling
//! r = softmax(a ln p_c + b ln π_c)   temperature and prior, a >= 0
//! ```
//!
//! What a family cannot repair counts as missing discrimination: miscalibration is that part of the loss which *this* repair wins.
//! Fits take ln p from -36.7 (53 ln 2) up, so that a probability of 0 is a number; the score itself stays infinite.
//!
//! Sources: Dimitriadis, Gneiting and Jordan (2021), doi:10.1073/pnas.2016191118; Bröcker (2009), doi:10.1002/qj.456; the variational
//! form for many classes, Berta, Holzmüller, Jordan and Bach (2025), arXiv:2501.19195.

mod families;
mod totals;

use std::f64::consts::LN_2;

use crate::calibration::decomposition::{Decomposition, Decompositions, corp, log_losses, mean};
use crate::calibration::held::HeldTable;
use crate::calibration::recalibrate::IsotonicMap;
use crate::calibration::rows::{BinaryRows, SortedRows};
use crate::calibration::{CalibrationError, parts::families::Problem};
use crate::elementary::ln;
use crate::exact::ExactSum;
use crate::rows::Input;

/// How predictions were recalibrated to find the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recalibration {
    /// Isotonic regression: CORP.
    Isotonic,
    /// Isotonic regression of each class against the rest.
    OneVsRest,
    /// A factor and an offset of ln p for each class.
    VectorScaling,
    /// A temperature, and a power of the class frequencies.
    TemperatureAndPrior,
}

impl Recalibration {
    /// Its name in the JSON contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::Isotonic => "corp",
            Self::OneVsRest => "corp one-vs-rest",
            Self::VectorScaling => "vector scaling",
            Self::TemperatureAndPrior => "temperature and prior",
        }
    }
}

/// The parts of both scores, and how they were found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parts {
    /// Of the mean log loss in nats, and of the mean squared error summed over classes.
    pub parts: Decompositions,
    /// For the log loss.
    pub log: Recalibration,
    /// For the squared error.
    pub squared: Recalibration,
}

impl Decomposition {
    /// The parts of a score and an uncertainty that are known better than those of the rows held: of all rows, where these are
    /// a sample, and with the bits that are printed, where they are not.
    ///
    /// ```text
    /// d = (score - uncertainty) - (miscalibration - discrimination)
    /// ```
    ///
    /// is added to miscalibration if positive, else taken from the other side, to discrimination, so that no part
    /// becomes negative. An infinite score has an infinite miscalibration and keeps the others.
    ///
    /// Accuracy: `uncertainty - discrimination + miscalibration`, computed in f64 in this order, is within 4 ulp of the score, for parts that are
    /// not negative. For that a part moves by at most a few ulp of the uncertainty.
    #[must_use]
    pub fn settled(self, score: f64, uncertainty: f64) -> Self {
        let (mut d, mut m) = (self.discrimination, self.miscalibration);
        if score == f64::INFINITY {
            return Self { score, uncertainty, discrimination: d, miscalibration: score };
        }
        let gap = if m.is_finite() {
            (score - uncertainty) - (m - d)
        } else {
            // A loss that is finite where its probability is not a number above 0.
            m = 0.0;
            (score - uncertainty) + d
        };
        // Rounding must not make a part of 0 something.
        if gap.abs() > 8.0 * f64::EPSILON * score.max(uncertainty).max(d).max(m) {
            m += gap.max(0.0);
            d += (-gap).max(0.0);
        }
        if d >= 0.0 && m >= 0.0 && (uncertainty - d + m - score).abs() > 2.0 * ulp(score) {
            // The rest has to be between 0 and the score; it is a multiple of the ulp of d.
            if uncertainty - d > score {
                d = d.max(uncertainty - score);
                while uncertainty - d > score {
                    d = d.next_up();
                }
            }
            if d > uncertainty {
                d = uncertainty;
            }
            m = score - (uncertainty - d);
        }
        Self { score, uncertainty, discrimination: d, miscalibration: m }
    }
}

fn ulp(x: f64) -> f64 {
    x.abs().next_up() - x.abs()
}

impl HeldTable {
    /// The parts of the log loss (nats) and of the squared error, on these very rows: what the fits take of the noise makes
    /// discrimination and miscalibration too large.
    ///
    /// Accuracy: isotonic parts as [`corp`]; those of a family to 1e-12 of a nat from its minimum. Tested against 50-digit
    /// arithmetic and `SciPy`'s minimum of the same loss.
    ///
    /// # Example
    ///
    /// ```
    /// use xent::calibration::held::HeldRows;
    /// use xent::rows::{Input, Target};
    /// use xent::view::View;
    ///
    /// // Two 0s and two 1s, all forecast 0.5: nothing known, nothing wrong.
    /// let mut held = HeldRows::new(2, Input::Probabilities);
    /// held.update(&View::rows_of(&[0.5; 8], 2)?, Target::Classes(&[0, 1, 1, 0]), None, 0.0);
    /// let log = held.finish().unwrap().decompose().parts.log.in_bits();
    /// assert_eq!((log.uncertainty, log.discrimination, log.miscalibration), (1.0, 0.0, 0.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decompose(&self) -> Parts {
        let weights: Vec<f64> = self.all_cells().iter().map(|cell| cell.weight).collect();
        match self.n_classes() {
            0 | 1 => Parts {
                parts: Decompositions { log: ZERO, squared: ZERO },
                log: Recalibration::Isotonic,
                squared: Recalibration::Isotonic,
            },
            2 => {
                let parts = self.against_rest(1, &weights).map(|rows| corp(&rows));
                Parts {
                    parts: parts.unwrap_or(Decompositions { log: ZERO, squared: ZERO }),
                    log: Recalibration::Isotonic,
                    squared: Recalibration::Isotonic,
                }
            }
            k => {
                let classes = (0..k as u32).filter_map(|class| self.against_rest(class, &weights));
                let squared = classes.fold(ZERO, |sum, rows| sum.plus(&corp(&rows).squared));
                let problem = Problem::new(self);
                let recalibrated = problem.fit().loss;
                let (score, uncertainty) = (self.log_loss(), self.entropy());
                // What a fit wins below its accuracy is nothing.
                let wins = |over: f64| over - recalibrated > ACCURACY;
                let best = match (wins(score), wins(uncertainty)) {
                    (true, true) => recalibrated.max(0.0),
                    _ => score.min(uncertainty),
                };
                let log = Decomposition {
                    score,
                    uncertainty,
                    discrimination: uncertainty - best,
                    miscalibration: score - best,
                };
                Parts {
                    parts: Decompositions { log, squared: squared.halved() },
                    log: problem.recalibration(),
                    squared: Recalibration::OneVsRest,
                }
            }
        }
    }

    /// The parts with each row recalibrated by a fit of the rows of other folds: honest, and negative where recalibration loses.
    ///
    /// Rows are dealt into `folds` by their rank in the table, so that no order of the rows shows. Isotonic fits are
    /// drawn towards 1/2 by half a row ([`IsotonicMap`]), so that no row costs infinity.
    ///
    /// # Errors
    ///
    /// `folds` is below 2, or there are fewer rows than folds.
    pub fn cross_fitted(&self, folds: u32) -> Result<Parts, CalibrationError> {
        self.check_folds(folds)?;
        let in_sample = self.decompose();
        let log = self.cross_fitted_log_loss(folds)?;
        let squared = self.isotonic_losses_of_all(folds)[1];
        let honest = |parts: Decomposition, recalibrated: f64| Decomposition {
            discrimination: parts.uncertainty - recalibrated,
            miscalibration: parts.score - recalibrated,
            ..parts
        };
        let Decompositions { log: log_parts, squared: squared_parts } = in_sample.parts;
        let parts =
            Decompositions { log: honest(log_parts, log), squared: honest(squared_parts, squared) };
        Ok(Parts { parts, ..in_sample })
    }

    /// The mean log loss (nats) with each row recalibrated by a fit of the rows of other folds.
    ///
    /// # Errors
    ///
    /// As [`cross_fitted`](Self::cross_fitted).
    pub fn cross_fitted_log_loss(&self, folds: u32) -> Result<f64, CalibrationError> {
        self.check_folds(folds)?;
        Ok(match self.n_classes() {
            0 | 1 => 0.0,
            2 => self.isotonic_losses(1, folds)[0],
            _ => Problem::new(self).cross_fitted(folds),
        })
    }

    fn check_folds(&self, folds: u32) -> Result<(), CalibrationError> {
        if folds < 2 || u64::from(folds) > self.units() {
            let range = "a number of at least 2 and at most the number of rows";
            return Err(CalibrationError::Option { name: "folds", value: f64::from(folds), range });
        }
        Ok(())
    }

    /// The mean losses with each row recalibrated by the isotonic fits of other folds: of two classes both, of more the squared error.
    fn isotonic_losses_of_all(&self, folds: u32) -> [f64; 2] {
        match self.n_classes() as u32 {
            0 | 1 => [0.0; 2],
            2 => self.isotonic_losses(1, folds),
            k => {
                let squared = (0..k).map(|class| 0.5 * self.isotonic_losses(class, folds)[1]).sum();
                [f64::NAN, squared]
            }
        }
    }

    /// The mean log loss and squared error of one class against the rest, each row by the isotonic fit of other folds.
    fn isotonic_losses(&self, class: u32, folds: u32) -> [f64; 2] {
        let mut sums = [ExactSum::new(), ExactSum::new()];
        let all: Vec<f64> = self.all_cells().iter().map(|cell| cell.weight).collect();
        let dealt = |fold: u32| self.dealt(u64::from(fold), u64::from(folds));
        if folds == 2 {
            // The other fold is all the others.
            let halves = [0, 1].map(|half| self.against_rest(class, &dealt(half)));
            if let [Some(a), Some(b)] = &halves {
                add_isotonic_losses(&mut sums, a, b);
                add_isotonic_losses(&mut sums, b, a);
            }
        } else {
            for inside in (0..folds).map(dealt) {
                let outside: Vec<f64> =
                    all.iter().zip(&inside).map(|(all, part)| all - part).collect();
                let held_out = self.against_rest(class, &inside);
                if let (Some(a), Some(b)) = (held_out, self.against_rest(class, &outside)) {
                    add_isotonic_losses(&mut sums, &a, &b);
                }
            }
        }
        let weight = all.into_iter().collect::<ExactSum>().value();
        sums.map(|sum| mean(&sum, weight))
    }

    /// One class against the rest, with these weights of the cells; `None` if they are all 0.
    pub fn class_against_rest(&self, class: u32) -> Option<SortedRows> {
        let weights: Vec<f64> = self.all_cells().iter().map(|cell| cell.weight).collect();
        self.against_rest(class, &weights)
    }

    fn against_rest(&self, class: u32, weights: &[f64]) -> Option<SortedRows> {
        let room = weights.len();
        let (mut positive, mut negative) = (Vec::with_capacity(room), Vec::with_capacity(room));
        let (mut outcomes, mut parts) = (Vec::with_capacity(room), Vec::with_capacity(room));
        let mut at = 0;
        let is_pair = self.n_classes() == 2;
        let is_odds = is_pair && self.input() != Input::Probabilities;
        for i in 0..self.len() {
            let (mut own, mut others) = (0.0, 0.0);
            for cell in self.cells(i) {
                let slot = if cell.class == class { &mut own } else { &mut others };
                *slot += weights[at];
                at += 1;
            }
            let row = self.prediction(i);
            let (p, q) = if is_odds {
                let odds = row[class as usize] - row[1 - class as usize];
                // Two classes of probability 0 say nothing of either.
                (if odds.is_nan() { 0.0 } else { odds }, 0.0)
            } else if is_pair {
                (row[class as usize], row[1 - class as usize])
            } else {
                (self.probability(i, class), 0.0)
            };
            for (weight, outcome) in [(others, false), (own, true)] {
                if weight > 0.0 {
                    positive.push(p);
                    negative.push(q);
                    outcomes.push(outcome);
                    parts.push(weight);
                }
            }
        }
        let weights = parts.iter().any(|w| *w != 1.0).then_some(&parts[..]);
        let mut rows = BinaryRows::default();
        let added = if is_odds {
            rows.add_log_odds(&positive, &outcomes, weights)
        } else if is_pair {
            rows.add_pairs(&negative, &positive, &outcomes, weights)
        } else {
            rows.add_probabilities(&positive, &outcomes, weights)
        };
        added.ok().and_then(|()| rows.sort().ok())
    }

    /// The probabilities of a prediction.
    pub fn probabilities_in(&self, i: usize, out: &mut [f64]) {
        for (class, p) in (0..).zip(out) {
            *p = self.probability(i, class);
        }
    }

    /// The mean log loss of the rows held, nats.
    pub fn log_loss(&self) -> f64 {
        let (mut losses, mut weights) = (Vec::new(), Vec::new());
        for i in 0..self.len() {
            for (class, w) in self.outcomes(i) {
                losses.push(self.surprisal(i, class));
                weights.push(w);
            }
        }
        let (mut sum, mut weight) = (ExactSum::new(), ExactSum::new());
        sum.add_products(&weights, &losses);
        weight.add_slice(&weights);
        mean(&sum, weight.value())
    }

    /// The entropy of the classes among the rows held, nats.
    fn entropy(&self) -> f64 {
        let counts = self.class_weights();
        let total = counts.iter().copied().collect::<ExactSum>().value();
        let term = |w: &f64| if *w > 0.0 { w / total * (0.0 - ln(w / total)) } else { 0.0 };
        counts.iter().map(term).collect::<ExactSum>().value()
    }

    /// The weight of each class.
    pub(crate) fn class_weights(&self) -> Vec<f64> {
        if self.has_whole_weights() {
            let mut counts = vec![0_u64; self.n_classes()];
            self.all_cells().iter().for_each(|cell| counts[cell.class as usize] += cell.units);
            return counts.into_iter().map(|count| count as f64).collect();
        }
        let mut counts = vec![ExactSum::new(); self.n_classes()];
        self.all_cells().iter().for_each(|cell| counts[cell.class as usize].add(cell.weight));
        counts.iter().map(ExactSum::value).collect()
    }
}

const ZERO: Decomposition =
    Decomposition { score: 0.0, uncertainty: 0.0, discrimination: 0.0, miscalibration: 0.0 };

impl Decomposition {
    fn plus(self, other: &Self) -> Self {
        Self {
            score: self.score + other.score,
            uncertainty: self.uncertainty + other.uncertainty,
            discrimination: self.discrimination + other.discrimination,
            miscalibration: self.miscalibration + other.miscalibration,
        }
    }

    /// Each class against the rest counts every squared error twice.
    fn halved(self) -> Self {
        Self {
            score: 0.5 * self.score,
            uncertainty: 0.5 * self.uncertainty,
            discrimination: 0.5 * self.discrimination,
            miscalibration: 0.5 * self.miscalibration,
        }
    }
}

/// How near a fit comes to the least loss, nats.
const ACCURACY: f64 = 1e-13;

/// The smallest ln p that a fit takes: a probability of 0 counts as 2^-53.
const LEAST: f64 = -53.0 * LN_2;

/// Adds log loss and squared error of rows by the isotonic fit to others.
fn add_isotonic_losses(sums: &mut [ExactSum; 2], rows: &SortedRows, others: &SortedRows) {
    let map = IsotonicMap::fit(others);
    for group in rows.groups() {
        let p = map.apply(group.prediction);
        let losses = log_losses(p);
        for (weight, loss, off) in
            [(group.negative, losses[0], p.positive), (group.positive, losses[1], p.negative)]
        {
            sums[0].add_product(weight, loss);
            sums[1].add_product(weight, 2.0 * (off * off));
        }
    }
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
