//! Losses of the rows held, prediction by prediction, for the error of a sample.

use super::families::Problem;
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
                    let row = self.prediction(i);
                    let p = if self.input() == Input::Probabilities {
                        Prediction::from_pair(row[0], row[1])
                    } else {
                        let odds = row[1] - row[0];
                        // Two classes of probability 0 say nothing of either.
                        Prediction::from_log_odds(if odds.is_nan() { 0.0 } else { odds })
                    };
                    let losses = log_losses(map.apply(p));
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
