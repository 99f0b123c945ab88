//! Where the loss lives: the share of the total that the worst rows carry.

use crate::exact::ExactSum;
use crate::simd::leveled;

/// Lowest exponent with bins of its own: losses below 2^-40 share the first bin.
const LOW: u64 = 1023 - 40;
/// Highest: losses of 2^31 and above share the last bin.
const HIGH: u64 = 1023 + 31;
/// Bins an octave, as a power of two.
const FINE: u64 = 6;
const BINS: usize = ((HIGH - LOW) << FINE) as usize + 1;
/// Losses are counted in units of 2^-52 where rows have no weights.
const LOSS_UNIT: f64 = 4_503_599_627_370_496.0;
/// Losses below this, among them all finite ones of probabilities (at most 745), have less than 2^63 units.
const ORDINARY: f64 = 2048.0;
/// Losses that are put into bins together.
const BLOCK: usize = 64;

/// A histogram of losses, 64 bins an octave, with weight and loss of each bin.
///
/// Mergeable and order-free: sums of integers, or exact sums where rows have weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    bins: Vec<Bin>,
    /// Weight and loss of each bin, once there are weights.
    weighted: Vec<[ExactSum; 2]>,
    infinite: ExactSum,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bin {
    rows: u64,
    loss: i128,
}

impl Default for Tail {
    fn default() -> Self {
        Self { bins: vec![Bin::default(); BINS], weighted: Vec::new(), infinite: ExactSum::new() }
    }
}

#[inline(always)]
fn place(loss: f64) -> usize {
    let place = (loss.to_bits() >> (52 - FINE)).saturating_sub(LOW << FINE) as usize;
    place.min(BINS - 1)
}

leveled! {
    /// Bin and units of each loss; whether all are below [`ORDINARY`], as losses of probabilities are: else nothing is told.
    fn find_bins(losses: &[f64], places: &mut [u32; BLOCK], units: &mut [i64; BLOCK]) -> bool
        => find_bins_body
}

#[inline(always)]
fn find_bins_body(losses: &[f64], places: &mut [u32; BLOCK], units: &mut [i64; BLOCK]) -> bool {
    let mut is_ordinary = true;
    for ((&loss, slot), units) in losses.iter().zip(places).zip(units) {
        is_ordinary &= loss < ORDINARY;
        *slot = place(loss) as u32;
        *units = (loss * LOSS_UNIT) as i64;
    }
    is_ordinary
}

impl Tail {
    /// Adds the losses of some rows.
    pub fn add(&mut self, losses: &[f64], weights: Option<&[f64]>) {
        let Some(weights) = weights else {
            let (mut places, mut units) = ([0; BLOCK], [0; BLOCK]);
            for losses in losses.chunks(BLOCK) {
                if !find_bins(losses, &mut places, &mut units) {
                    losses.iter().for_each(|loss| self.add_one(*loss));
                    continue;
                }
                for (&place, &units) in places.iter().zip(&units).take(losses.len()) {
                    let bin = &mut self.bins[place as usize];
                    bin.rows += 1;
                    // 2^64 rows of 2^63 units do not overflow, and larger losses have bins of their own.
                    bin.loss = bin.loss.wrapping_add(i128::from(units));
                }
            }
            return;
        };
        self.weighted.resize_with(BINS, Default::default);
        for (&loss, &w) in losses.iter().zip(weights) {
            if loss.is_finite() {
                let [weight, sum] = &mut self.weighted[place(loss)];
                weight.add(w);
                sum.add_product(w, loss);
            } else {
                self.infinite.add(w);
            }
        }
    }

    /// Adds a loss that may be infinite or large.
    fn add_one(&mut self, loss: f64) {
        if !loss.is_finite() {
            return self.infinite.add(1.0);
        }
        let bin = &mut self.bins[place(loss)];
        bin.rows += 1;
        bin.loss = bin.loss.saturating_add((loss * LOSS_UNIT) as i128);
    }

    /// Adds the rows of another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.bins.iter_mut().zip(&other.bins) {
            mine.rows += theirs.rows;
            mine.loss = mine.loss.saturating_add(theirs.loss);
        }
        self.weighted.resize_with(self.weighted.len().max(other.weighted.len()), Default::default);
        for (mine, theirs) in self.weighted.iter_mut().zip(&other.weighted) {
            mine[0].merge(&theirs[0]);
            mine[1].merge(&theirs[1]);
        }
        self.infinite.merge(&other.infinite);
    }

    /// Share of the total loss in the worst `fraction` of the weight; 1 if there are infinite
    /// losses, NaN if there is no loss at all.
    ///
    /// Exact but for the bin that the boundary cuts, which gives its mean loss for the part that is
    /// inside: an error of at most 1.6% of that part, in practice far less.
    pub fn share(&self, fraction: f64) -> f64 {
        if !self.infinite.is_zero() {
            return 1.0;
        }
        let bins: Vec<[f64; 2]> = (0..BINS)
            .map(|i| {
                let bin = &self.bins[i];
                let [w, l] =
                    self.weighted.get(i).map_or([0.0; 2], |b| [b[0].value(), b[1].value()]);
                [bin.rows as f64 + w, bin.loss as f64 / LOSS_UNIT + l]
            })
            .collect();
        let [weight, total] = bins.iter().fold([0.0, 0.0], |s, b| [s[0] + b[0], s[1] + b[1]]);
        if total <= 0.0 {
            return f64::NAN;
        }
        let mut wanted = weight * fraction;
        let mut share = 0.0;
        for [weight, loss] in bins.into_iter().rev().filter(|b| b[0] > 0.0) {
            share += loss * (wanted / weight).clamp(0.0, 1.0);
            wanted -= weight;
            if wanted <= 0.0 {
                break;
            }
        }
        share / total
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
