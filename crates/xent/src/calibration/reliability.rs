//! Reliability: the table behind the diagram, consistency bands, and tests of calibration.
//!
//! The curve is the isotonic fit ([`SortedRows::isotonic`]), or bins ([`crate::calibration::binned::bins`]). It never lies on the
//! diagonal, even for a calibrated model; the band says how far off it would be by chance alone: outcomes are drawn anew with the
//! probabilities said, and the curve fitted again, many times.
//!
//! Random numbers are `SplitMix64`'s (Steele, Lea and Flood, 2014, doi:10.1145/2660193.2660195), resample i with the seed `mix(seed + i)`, one number a row in the order of
//! [`SortedRows::iter`]: the same seed gives the same bits, whatever the order in which rows came. A row whose weight counts rows is so
//! many draws, with the same bits as if it were repeated; a row whose weight is an importance is one. More than 4,096 rows of one prediction
//! take one number, of which the binomial distribution has that quantile.
//!
//! Source: Dimitriadis, Gneiting and Jordan (2021), doi:10.1073/pnas.2016191118; Bröcker and Smith (2007), doi:10.1175/WAF993.1.

use crate::calibration::CalibrationError;
use crate::calibration::binned::{Bin, Binning, bins};
use crate::calibration::decomposition::{Decompositions, corp, corp_of_blocks};
use crate::calibration::isotonic::Block;
use crate::calibration::random::{SplitMix64, mix};
use crate::calibration::rows::{Prediction, SortedRows};
use crate::exact::ExactSum;
use crate::special::{beta_inc, normal_cdf, wilson_interval};

/// A line of a reliability table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Its rows.
    pub bin: Bin,
    /// Wilson's interval of the frequency.
    pub interval: [f64; 2],
}

/// The reliability table in bins: mean prediction, frequency, and the interval of the frequency at a confidence level.
///
/// # Errors
///
/// No bins, or a level outside (0, 1).
///
/// # Example
///
/// ```
/// use xent::calibration::{binned::Binning, reliability::table, rows::BinaryRows};
///
/// let mut rows = BinaryRows::default();
/// rows.add_probabilities(&[0.25, 0.25, 0.75, 0.75], &[false, true, true, true], None)?;
/// let lines = table(&rows.sort()?, Binning::EqualWidth(2), 0.95)?;
/// assert_eq!(lines[0].bin.frequency(), 0.5);
/// assert!(lines[1].interval[0] < 1.0 && lines[1].interval[1] == 1.0);
/// # Ok::<(), xent::calibration::CalibrationError>(())
/// ```
pub fn table(
    rows: &SortedRows,
    binning: Binning,
    level: f64,
) -> Result<Vec<Line>, CalibrationError> {
    check_level(level)?;
    let line = |bin: Bin| {
        let n = bin.effective;
        let (low, high) = wilson_interval(bin.frequency() * n, n, level);
        Line { bin, interval: [low, high] }
    };
    Ok(bins(rows, binning)?.into_iter().map(line).collect())
}

fn check_level(level: f64) -> Result<(), CalibrationError> {
    if level > 0.0 && level < 1.0 {
        Ok(())
    } else {
        Err(CalibrationError::Option { name: "level", value: level, range: "between 0 and 1" })
    }
}

/// Resamples to be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampling {
    /// How many; the smallest p-value is one over one more.
    pub resamples: u32,
    /// The seed.
    pub seed: u64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { resamples: 999, seed: 1 }
    }
}

impl Resampling {
    /// Each resample: the rows with outcomes drawn with the probabilities said.
    fn draw(self, rows: &SortedRows) -> impl Iterator<Item = SortedRows> + '_ {
        (0..self.resamples).map(move |i| {
            let mut random = SplitMix64::new(mix(self.seed.wrapping_add(u64::from(i))));
            rows.resample(|p, n| {
                // A tail of 1e-20 is not a number below 1 away from it.
                let is_rare = p.positive <= p.negative;
                let rare = if is_rare { p.positive } else { p.negative };
                let drawn = if n > MANY {
                    binomial_quantile(n, rare, random.uniform())
                } else {
                    (0..n).map(|_| u64::from(random.uniform() < rare)).sum()
                };
                if is_rare { drawn } else { n - drawn }
            })
        })
    }

    fn check(self) -> Result<(), CalibrationError> {
        if self.resamples > 0 {
            return Ok(());
        }
        Err(CalibrationError::Option { name: "resamples", value: 0.0, range: "at least 1" })
    }
}

/// Rows of one prediction beyond which their outcomes are drawn together.
const MANY: u64 = 4096;

/// The least k with P(X > k) <= u, of n draws of probability p.
fn binomial_quantile(n: u64, p: f64, u: f64) -> u64 {
    let above = |k: u64| if k >= n { 0.0 } else { beta_inc((k + 1) as f64, (n - k) as f64, p) };
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low + (high - low) / 2;
        if above(middle) <= u {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// Where the curve of a calibrated model would lie, at a prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BandPoint {
    /// The prediction.
    pub prediction: f64,
    /// Lower and upper end.
    pub band: [f64; 2],
}

/// The consistency band of the isotonic curve, pointwise, at the ends of the blocks of the fit and at hundredths between.
///
/// At each point: the quantiles (1 - level)/2 and (1 + level)/2 of the curves of the resamples, by the inverse of their
/// distribution function. The band is about calibration, not about the curve: a curve outside shows miscalibration there.
///
/// Time: a sorted pass over the rows a resample. Memory: 8 bytes a row, and a number a point and resample.
///
/// # Errors
///
/// A level outside (0, 1), or no resamples.
pub fn consistency_band(
    rows: &SortedRows,
    level: f64,
    resampling: Resampling,
) -> Result<Vec<BandPoint>, CalibrationError> {
    check_level(level)?;
    resampling.check()?;
    let mut band = Band::new(rows);
    resampling.draw(rows).for_each(|resample| band.add(&resample.isotonic()));
    Ok(band.finish(level))
}

/// The curves of resamples at the points of a band.
struct Band {
    points: Vec<Prediction>,
    values: Vec<Vec<f64>>,
}

impl Band {
    /// Between the least and the largest prediction.
    fn new(rows: &SortedRows) -> Self {
        let (least, most) = (rows.prediction(0), rows.prediction(rows.len() - 1));
        let mut points: Vec<Prediction> =
            rows.isotonic().iter().flat_map(|block| [block.lowest, block.highest]).collect();
        points.extend((0..=100).map(|i| Prediction::from_probability(f64::from(i) / 100.0)));
        points.retain(|p| p.rise_from(least) >= 0.0 && most.rise_from(*p) >= 0.0);
        points.sort_by(|a, b| a.rise_from(*b).total_cmp(&0.0));
        points.dedup();
        Self { values: vec![Vec::new(); points.len()], points }
    }

    fn add(&mut self, blocks: &[Block]) {
        for (value, point) in self.values.iter_mut().zip(&self.points) {
            value.push(curve_at(blocks, *point));
        }
    }

    fn finish(self, level: f64) -> Vec<BandPoint> {
        let quantile = |sorted: &[f64], part: f64| {
            let at = (part * sorted.len() as f64).ceil() as usize;
            sorted[at.clamp(1, sorted.len()) - 1]
        };
        let band = |(mut values, point): (Vec<f64>, Prediction)| {
            values.sort_by(f64::total_cmp);
            let tail = (1.0 - level) / 2.0;
            BandPoint {
                prediction: point.positive,
                band: [quantile(&values, tail), quantile(&values, 1.0 - tail)],
            }
        };
        self.values.into_iter().zip(self.points).map(band).collect()
    }
}

/// The isotonic curve at a prediction: a block's frequency, or between two blocks on the line that joins them.
pub fn curve_at(blocks: &[Block], p: Prediction) -> f64 {
    let after = blocks.partition_point(|block| p.rise_from(block.highest) > 0.0);
    let Some(block) = blocks.get(after) else {
        return blocks.last().map_or(f64::NAN, Block::frequency);
    };
    if after == 0 || p.rise_from(block.lowest) >= 0.0 {
        return block.frequency();
    }
    let before = &blocks[after - 1];
    let part = p.rise_from(before.highest) / block.lowest.rise_from(before.highest);
    before.frequency() + part * (block.frequency() - before.frequency())
}

/// A test of calibration by resampling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MiscalibrationTest {
    /// The parts of the scores of the rows themselves.
    pub parts: Decompositions,
    /// Mean miscalibration of a calibrated model with these predictions: what CORP overstates by. Log score in nats, then squared
    /// error.
    pub by_chance: [f64; 2],
    /// p-value: how often a calibrated model has as large a miscalibration, of log score and squared error.
    pub p_value: [f64; 2],
}

/// Tests whether the predictions are calibrated: could a miscalibration as large as this be chance?
///
/// ```text
/// p = (1 + #{resamples whose miscalibration is at least that of the rows}) / (resamples + 1)
/// ```
///
/// An infinite miscalibration of the log score has the smallest p-value, since no resample can have one. Weights that
/// count rows are so many draws; of importances each row is one draw, and keeps its weight.
///
/// # Errors
///
/// No resamples.
pub fn miscalibration_test(
    rows: &SortedRows,
    resampling: Resampling,
) -> Result<MiscalibrationTest, CalibrationError> {
    resampling.check()?;
    let mut count = Count::new(rows);
    resampling.draw(rows).for_each(|resample| count.add(&resample, &resample.isotonic()));
    Ok(count.finish(resampling))
}

/// [`miscalibration_test`] and [`consistency_band`] from the same resamples, in the time of one of them.
///
/// # Errors
///
/// A level outside (0, 1), or no resamples.
pub fn test_and_band(
    rows: &SortedRows,
    level: f64,
    resampling: Resampling,
) -> Result<(MiscalibrationTest, Vec<BandPoint>), CalibrationError> {
    check_level(level)?;
    resampling.check()?;
    let (mut count, mut band) = (Count::new(rows), Band::new(rows));
    for resample in resampling.draw(rows) {
        let blocks = resample.isotonic();
        count.add(&resample, &blocks);
        band.add(&blocks);
    }
    Ok((count.finish(resampling), band.finish(level)))
}

/// How many resamples have as large a miscalibration.
struct Count {
    parts: Decompositions,
    sums: [ExactSum; 2],
    as_large: [u32; 2],
}

impl Count {
    fn new(rows: &SortedRows) -> Self {
        let sums = [ExactSum::new(), ExactSum::new()];
        Self { parts: corp(rows), sums, as_large: [0; 2] }
    }

    fn add(&mut self, resample: &SortedRows, blocks: &[Block]) {
        let drawn = corp_of_blocks(resample, blocks);
        let own = [self.parts.log.miscalibration, self.parts.squared.miscalibration];
        let drawn = [drawn.log.miscalibration, drawn.squared.miscalibration];
        for i in 0..2 {
            self.sums[i].add(drawn[i]);
            self.as_large[i] += u32::from(drawn[i] >= own[i]);
        }
    }

    fn finish(self, resampling: Resampling) -> MiscalibrationTest {
        let n = f64::from(resampling.resamples);
        MiscalibrationTest {
            parts: self.parts,
            by_chance: self.sums.map(|sum| sum.value() / n),
            p_value: self.as_large.map(|count| (1.0 + f64::from(count)) / (n + 1.0)),
        }
    }
}

/// Spiegelhalter's test of calibration: z and its two-sided p-value.
///
/// ```text
/// z = sum w (y - p)(1 - 2p) / sqrt(sum w^2 (1 - 2p)^2 p (1 - p))        w^2: w for weights that count rows
/// ```
///
/// Whether the mean squared error is what calibrated predictions would have; blind to errors that leave it. Without resampling, at once. NaN if every
/// prediction is 0, 1/2 or 1.
///
/// Source: Spiegelhalter (1986), doi:10.1002/sim.4780050506.
pub fn spiegelhalter(rows: &SortedRows) -> [f64; 2] {
    let (mut sum, mut variance) = (ExactSum::new(), ExactSum::new());
    for group in rows.groups() {
        let Prediction { positive: p, negative: q } = group.prediction;
        let lean = q - p;
        sum.add_product(group.positive, q * lean);
        sum.add_product(-group.negative, p * lean);
        let w = if rows.is_fractional() { group.squares } else { group.weight() };
        variance.add_product(w, lean * lean * (p * q));
    }
    let variance = variance.value();
    if variance == 0.0 {
        return [f64::NAN; 2];
    }
    let z = sum.value() / variance.sqrt();
    [z, 2.0 * normal_cdf(-z.abs())]
}

#[cfg(test)]
#[path = "reliability_tests.rs"]
mod tests;
