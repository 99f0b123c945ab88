//! Isotonic regression as a map that can be applied to new predictions.

use crate::calibration::rows::{Prediction, SortedRows};

/// A rising map of probabilities: constant on the blocks of an isotonic fit, linear between them.
///
/// ```text
/// value of a block = (n x̂ + 1/2) / (n + 1)      n: rows that the fit is worth, x̂: the block's frequency
/// ```
///
/// The end blocks of an isotonic fit are mostly 0 and 1, which would cost infinity at the first exception among new rows; half a
/// row of each outcome, added to the whole fit, keeps every value off 0 and 1, the order of the blocks, and all else within
/// 1/(2n).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IsotonicMap {
    /// Predictions at the ends of the blocks, rising (twice the same for a block of one prediction).
    pub thresholds: Vec<Prediction>,
    /// Value at each threshold, never falling.
    pub values: Vec<Prediction>,
}

impl IsotonicMap {
    /// The map of some rows' isotonic regression.
    pub fn fit(rows: &SortedRows) -> Self {
        let n = rows.effective_rows();
        let mut map = Self::default();
        for block in rows.isotonic() {
            let fit = block.frequencies();
            let toward = |x: f64| (n * x + 0.5) / (n + 1.0);
            let value =
                Prediction { positive: toward(fit.positive), negative: toward(fit.negative) };
            map.thresholds.extend([block.lowest, block.highest]);
            map.values.extend([value, value]);
        }
        map
    }

    /// The recalibrated prediction.
    pub fn apply(&self, p: Prediction) -> Prediction {
        let after = self.thresholds.partition_point(|t| p.rise_from(*t) > 0.0);
        let Some(right) = self.values.get(after) else {
            return self.values.last().copied().unwrap_or(p);
        };
        if after == 0 {
            return *right;
        }
        let (low, high, left) =
            (self.thresholds[after - 1], self.thresholds[after], self.values[after - 1]);
        if left == *right {
            return left;
        }
        let part = (p.rise_from(low) / high.rise_from(low)).clamp(0.0, 1.0);
        let between = |a: f64, b: f64| a + part * (b - a);
        Prediction {
            positive: between(left.positive, right.positive),
            negative: between(left.negative, right.negative),
        }
    }
}
