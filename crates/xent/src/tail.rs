//! Where the loss lives: the share of the total that the worst rows carry.

/// Lowest exponent with bins of its own: losses below 2^-40 share the first bin.
const LOW: u64 = 1023 - 40;
/// Highest: losses of 2^31 and above share the last bin.
const HIGH: u64 = 1023 + 31;
/// Bins an octave, as a power of two.
const FINE: u64 = 6;
const BINS: usize = ((HIGH - LOW) << FINE) as usize + 1;
/// Losses are counted in units of 2^-52, weights in units of 2^-40.
const LOSS_UNIT: f64 = 4_503_599_627_370_496.0;
const WEIGHT_UNIT: f64 = 1_099_511_627_776.0;

/// A histogram of losses, 64 bins an octave, with weight and loss of each bin.
///
/// Mergeable and order-free: weights and losses are integers here, each row rounded by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    bins: Vec<Bin>,
    infinite: i128,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bin {
    weight: i128,
    loss: i128,
}

impl Default for Tail {
    fn default() -> Self {
        Self { bins: vec![Bin::default(); BINS], infinite: 0 }
    }
}

impl Tail {
    /// Adds the losses of some rows.
    pub fn add(&mut self, losses: &[f64], weights: Option<&[f64]>) {
        const ONE: i128 = WEIGHT_UNIT as i128;
        for (i, &loss) in losses.iter().enumerate() {
            let weight = weights.map_or(ONE, |w| (w[i] * WEIGHT_UNIT) as i128);
            if loss.is_finite() {
                let place = (loss.to_bits() >> (52 - FINE)).saturating_sub(LOW << FINE) as usize;
                let bin = &mut self.bins[place.min(BINS - 1)];
                if weights.is_none() && loss < 2048.0 {
                    // Cannot overflow: below 2^63 a row, a loss of probabilities is at most 745.
                    bin.weight += ONE;
                    bin.loss += i128::from((loss * LOSS_UNIT) as i64);
                    continue;
                }
                bin.weight = bin.weight.saturating_add(weight);
                // The cheap conversion has room for every loss of probabilities (at most 745).
                let loss = if loss < 2048.0 {
                    i128::from((loss * LOSS_UNIT) as i64)
                } else {
                    (loss * LOSS_UNIT) as i128
                };
                let product = if weight == ONE { loss } else { loss.saturating_mul(weight) / ONE };
                bin.loss = bin.loss.saturating_add(product);
            } else {
                self.infinite = self.infinite.saturating_add(weight);
            }
        }
    }

    /// Adds the rows of another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.bins.iter_mut().zip(&other.bins) {
            mine.weight = mine.weight.saturating_add(theirs.weight);
            mine.loss = mine.loss.saturating_add(theirs.loss);
        }
        self.infinite = self.infinite.saturating_add(other.infinite);
    }

    /// Share of the total loss in the worst `fraction` of the weight; 1 if there are infinite
    /// losses, NaN if there is no loss at all.
    ///
    /// Exact but for the bin that the boundary cuts, which gives its mean loss for the part that is
    /// inside: an error of at most 1.6% of that part, in practice far less.
    pub fn share(&self, fraction: f64) -> f64 {
        if self.infinite > 0 {
            return 1.0;
        }
        let total: i128 = self.bins.iter().map(|b| b.loss).sum();
        let weight: i128 = self.bins.iter().map(|b| b.weight).sum();
        if total <= 0 {
            return f64::NAN;
        }
        let mut wanted = weight as f64 * fraction;
        let mut share = 0.0;
        for bin in self.bins.iter().rev().filter(|b| b.weight > 0) {
            let taken = (wanted / bin.weight as f64).clamp(0.0, 1.0);
            share += bin.loss as f64 * taken;
            wanted -= bin.weight as f64;
            if wanted <= 0.0 {
                break;
            }
        }
        share / total as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_in_a_hundred_carries_half() {
        let mut tail = Tail::default();
        tail.add(&[1.0; 99], None);
        tail.add(&[99.0], None);
        assert_eq!(tail.share(0.01), 0.5);
        assert_eq!(tail.share(1.0), 1.0);
        let mut infinite = tail.clone();
        infinite.add(&[f64::INFINITY], None);
        assert_eq!(infinite.share(0.01), 1.0);
        assert!(Tail::default().share(0.01).is_nan());
    }

    #[test]
    fn agrees_with_sorting_within_the_bin() {
        /// A quarter of the bin's width: the part outside the boundary's bin is exact.
        const BIN: f64 = 0.004;
        let losses: Vec<f64> =
            (1..20_000).map(|i| -(f64::from(i) * 0.618_033_988_7 % 1.0).ln()).collect();
        let mut tail = Tail::default();
        tail.add(&losses, None);
        let mut sorted = losses.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        for fraction in [0.001, 0.01, 0.1, 0.5] {
            let n = (losses.len() as f64 * fraction).round() as usize;
            let exact = sorted[..n].iter().sum::<f64>() / losses.iter().sum::<f64>();
            assert!((tail.share(fraction) - exact).abs() < BIN * exact, "{fraction}");
        }
    }
}
