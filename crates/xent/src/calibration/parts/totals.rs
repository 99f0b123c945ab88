//! Losses of the rows held, prediction by prediction, for the error of a sample; what a fit shows by chance.

use super::families::Problem;
use super::{Parts, Recalibration};
use crate::calibration::CalibrationError;
use crate::calibration::decomposition::log_losses;
use crate::calibration::held::HeldTable;
use crate::calibration::recalibrate::IsotonicMap;
use crate::calibration::rows::Prediction;
use crate::rows::Input;

impl HeldTable {
    /// The weight of the rows of each prediction.
    pub fn weights(&self) -> Vec<f64> {
        (0..self.len()).map(|i| self.outcomes(i).map(|(_, w)| w).sum()).collect()
    }

    /// The log loss (nats) of each prediction, summed over the weight of its rows.
    pub fn log_loss_totals(&self) -> Vec<f64> {
        (0..self.len())
            .map(|i| self.outcomes(i).map(|(class, w)| w * self.surprisal(i, class)).sum())
            .collect()
    }

    /// The same with the predictions recalibrated as for [`decompose`](Self::decompose); isotonic fits are drawn towards 1/2 by
    /// half a row ([`IsotonicMap`]), so that no row costs infinity. `None` if there is nothing to fit.
    pub fn recalibrated_totals(&self) -> Option<Vec<f64>> {
        match self.n_classes() {
            0 | 1 => None,
            2 => {
                let map = IsotonicMap::fit(&self.class_against_rest(1)?);
                let total = |i: usize| {
                    let losses = log_losses(map.apply(self.pair(i)));
                    self.outcomes(i).map(|(class, w)| w * losses[class as usize]).sum()
                };
                Some((0..self.len()).map(total).collect())
            }
            _ => {
                let problem = Problem::new(self);
                Some(problem.totals(&problem.fit()))
            }
        }
    }

    /// The squared error less that of the recalibrated prediction, of each prediction, summed over the weight of its rows: what recalibration
    /// wins, of which the mean is the miscalibration. Recalibrated as for [`decompose`](Self::decompose), but isotonic fits are drawn towards 1/2
    /// by half a row ([`IsotonicMap`]). Zeros if there is nothing to fit.
    pub fn squared_error_won_totals(&self) -> Vec<f64> {
        let k = self.n_classes();
        let mut totals = vec![0.0; self.len()];
        // Of two classes the errors are equal.
        let (classes, errors) = if k == 2 { (1..2, 2.0) } else { (0..k as u32, 1.0) };
        for class in classes {
            let Some(rows) = self.class_against_rest(class) else { continue };
            let map = IsotonicMap::fit(&rows);
            for (i, total) in totals.iter_mut().enumerate() {
                let p = self.probability(i, class);
                let r = if k == 2 {
                    map.apply(self.pair(i)).positive
                } else {
                    map.apply(Prediction::from_probability(p)).positive
                };
                for (c, weight) in self.outcomes(i) {
                    let y = f64::from(u8::from(c == class));
                    // (p - y)² - (r - y)², without cancellation.
                    *total += weight * errors * (p - r) * (p + r - 2.0 * y);
                }
            }
        }
        totals
    }

    /// About how much miscalibration the fits of these parts show of predictions that have none, because they fit the noise of the rows held:
    /// of the log loss, nats, and of the squared error.
    ///
    /// ```text
    /// isotonic fits:    (S(r of the other half) - S(r)) / 2
    /// scaling, log loss: d / 2n
    /// ```
    ///
    /// S(r) is the mean loss of the rows recalibrated by the fit to themselves, S(r of the other half) that of each row by a fit to that half of the
    /// rows which it is not in: what a fit wins by chance on its own rows it loses about again on others. n are the [units](Self::units) and d the free numbers of the family, 2k - 1 of
    /// vector scaling and k + 1 of a temperature and a prior, whose class frequencies are fitted too.
    ///
    /// Source: Wilks (1938), doi:10.1214/aoms/1177732360, for d / 2n; Efron (1986), doi:10.1080/01621459.1986.10478291, for the optimism of a fit.
    ///
    /// # Errors
    ///
    /// As [`cross_fitted`](Self::cross_fitted).
    pub fn by_chance(&self, parts: &Parts) -> Result<[f64; 2], CalibrationError> {
        self.check_folds(2)?;
        let others = self.isotonic_losses_of_all(2);
        let wilks = |free: usize| free as f64 / (2.0 * self.units() as f64);
        let log = match parts.log {
            Recalibration::Isotonic => 0.5 * (others[0] - parts.parts.log.recalibrated()),
            Recalibration::VectorScaling => wilks(2 * self.n_classes() - 1),
            _ => wilks(self.n_classes() + 1),
        };
        let squared = 0.5 * (others[1] - parts.parts.squared.recalibrated());
        Ok([log.max(0.0), squared.max(0.0)])
    }

    /// The prediction of the second of two classes.
    fn pair(&self, i: usize) -> Prediction {
        let row = self.prediction(i);
        if self.input() == Input::Probabilities {
            return Prediction::from_pair(row[0], row[1]);
        }
        let odds = row[1] - row[0];
        // Two classes of probability 0 say nothing of either.
        Prediction::from_log_odds(if odds.is_nan() { 0.0 } else { odds })
    }

    /// The standard error that sampling gives the mean of losses by prediction, as a part of the rows is held:
    ///
    /// ```text
    /// se² = (1 - share) sum_i (t_i - w_i t/w)² / w²
    /// ```
    ///
    /// `t_i` is the loss and `w_i` the weight of prediction i, t and w their sums, `share` the part of the rows that is held. Predictions are
    /// held or not with all their rows. NaN if a loss is infinite.
    ///
    /// Source: Cochran (1977), *Sampling Techniques*, 9A.
    ///
    /// # Panics
    ///
    /// If there is not one total for each prediction.
    pub fn sampling_error(&self, totals: &[f64], share: f64) -> f64 {
        assert_eq!(totals.len(), self.len(), "a total for each prediction");
        let weights = self.weights();
        let (sum, weight) = (totals.iter().sum::<f64>(), weights.iter().sum::<f64>());
        let mean = sum / weight;
        let squares: f64 = totals.iter().zip(weights).map(|(t, w)| (t - w * mean).powi(2)).sum();
        ((1.0 - share) * squares).sqrt() / weight
    }
}
