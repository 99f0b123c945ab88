//! The rows of a binary task as a mergeable state, and sorted by prediction.
//!
//! # Design
//!
//! A row is one 64-bit key: the side of the prediction (below or above 1/2), the probability of the less
//! likely outcome, and the outcome in the last bit. Keys order as predictions do, so a sort of integers
//! sorts the rows; equal rows are equal keys, so the order in which they came is gone. The less likely
//! outcome's probability is kept, not the prediction: 1 - 1e-20 is not a 64-bit number, 1e-20 is, and a logit
//! of 46 keeps its loss.
//!
//! # Weights
//!
//! Whole weights count rows; as soon as one is not whole they are importances (see [`crate::moments`]).
//! Sums over equal predictions are sums of whole numbers, or exact sums rounded once, so no order shows.

use crate::calibration::sort::sort_keys;
use crate::calibration::{CalibrationError, check_length, check_weights};
use crate::elementary::exp;
use crate::exact::ExactSum;
use crate::rows::Matrix;

/// A prediction of a binary outcome: the probabilities of both, each with its own digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Probability of the positive outcome.
    pub positive: f64,
    /// Probability of the negative outcome.
    pub negative: f64,
}

impl Prediction {
    /// From the probability of the positive outcome, in [0, 1].
    #[inline(always)]
    pub fn from_probability(p: f64) -> Self {
        Self { positive: p, negative: 1.0 - p }
    }

    /// From the log-odds of the positive outcome: the sigmoid, and that of the opposite.
    ///
    /// ```
    /// use xent::calibration::rows::Prediction;
    ///
    /// let sure = Prediction::from_log_odds(40.0);
    /// assert_eq!(sure.positive, 1.0);
    /// assert!((sure.negative / 4.248354255291589e-18 - 1.0).abs() < 1e-15);
    /// ```
    #[inline(always)]
    pub fn from_log_odds(x: f64) -> Self {
        let e = exp(-x.abs());
        let (small, large) = (e / (1.0 + e), 1.0 / (1.0 + e));
        if x > 0.0 {
            Self { positive: large, negative: small }
        } else {
            Self { positive: small, negative: large }
        }
    }

    /// From the probabilities of the negative and of the positive class; the smaller is believed, the
    /// other is its complement.
    #[inline(always)]
    pub fn from_pair(negative: f64, positive: f64) -> Self {
        if positive <= negative {
            Self::from_probability(positive)
        } else {
            Self { positive: 1.0 - negative, negative }
        }
    }

    /// Whether both are probabilities; false for NaN.
    #[inline(always)]
    fn is_valid(self) -> bool {
        (self.positive >= 0.0) & (self.positive <= 1.0) & (self.negative >= 0.0)
    }

    /// How much more probable the positive outcome is than in `before`, without cancellation near 1.
    #[inline(always)]
    pub(crate) fn rise_from(self, before: Self) -> f64 {
        if before.positive > before.negative {
            before.negative - self.negative
        } else {
            self.positive - before.positive
        }
    }

    /// The natural logarithm of the odds; infinite at 0 and 1.
    pub fn log_odds(self) -> f64 {
        libm::log(self.positive / self.negative)
    }
}

/// The bits of 1/2, the largest probability of a less likely outcome.
const HALF: u64 = 0.5_f64.to_bits();
/// The side of predictions above 1/2.
const UPPER: u64 = 1 << 63;

/// The key of a row.
#[inline(always)]
fn key(p: Prediction, outcome: bool) -> u64 {
    let upper = p.positive > p.negative;
    let tail = if upper { p.negative } else { p.positive };
    // Adding 0 turns -0 into 0.
    let bits = (tail + 0.0).to_bits();
    let place = if upper { UPPER | (HALF.wrapping_sub(bits) << 1) } else { bits << 1 };
    place | u64::from(outcome)
}

/// The probability of a key's less likely outcome, and whether it is the one that happened.
#[inline(always)]
pub(crate) fn tail(key: u64) -> (f64, bool) {
    let place = (key & !UPPER) >> 1;
    let upper = key >= UPPER;
    let bits = if upper { HALF - place } else { place };
    (f64::from_bits(bits), upper != (key & 1 == 1))
}

/// The prediction of a key.
#[inline(always)]
pub(crate) fn prediction(key: u64) -> Prediction {
    let place = (key & !UPPER) >> 1;
    if key & UPPER == 0 {
        let tail = f64::from_bits(place);
        Prediction { positive: tail, negative: 1.0 - tail }
    } else {
        let tail = f64::from_bits(HALF - place);
        Prediction { positive: 1.0 - tail, negative: tail }
    }
}

/// The rows of a binary task: the state behind everything about calibration.
///
/// Memory: 8 bytes a row, 16 with weights; sorting takes as much again. Order-free and mergeable: after
/// [`sort`](Self::sort), every order of `add_*` and [`merge`](Self::merge) gives the same rows.
///
/// # Example
///
/// ```
/// use xent::calibration::rows::BinaryRows;
///
/// let mut rows = BinaryRows::default();
/// rows.add_probabilities(&[0.7, 0.2], &[true, false], None)?;
/// let mut others = BinaryRows::default();
/// others.add_probabilities(&[0.2], &[true], Some(&[2.0]))?;
/// rows.merge(others);
/// let groups: Vec<_> = rows.sort()?.groups().map(|g| (g.prediction.positive, g.negative, g.positive)).collect();
/// assert_eq!(groups, [(0.2, 1.0, 2.0), (0.7, 0.0, 1.0)]);
/// # Ok::<(), xent::calibration::CalibrationError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct BinaryRows {
    keys: Vec<u64>,
    /// One a row, or none at all.
    weights: Vec<f64>,
    fractional: bool,
}

impl BinaryRows {
    /// Number of rows of positive weight.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Adds rows by the probability of the positive outcome.
    ///
    /// # Errors
    /// A number outside [0, 1], a weight that is none, or lists of different lengths.
    pub fn add_probabilities(
        &mut self,
        p: &[f64],
        outcomes: &[bool],
        weights: Option<&[f64]>,
    ) -> Result<(), CalibrationError> {
        check_length("outcomes", outcomes.len(), p.len())?;
        self.add(p.len(), weights, |row| {
            (Prediction::from_probability(p[row]), outcomes[row], p[row])
        })
    }

    /// Adds rows by the log-odds of the positive outcome (a logit, or the difference of two).
    ///
    /// # Errors
    /// NaN, a weight that is none, or lists of different lengths.
    pub fn add_log_odds(
        &mut self,
        x: &[f64],
        outcomes: &[bool],
        weights: Option<&[f64]>,
    ) -> Result<(), CalibrationError> {
        check_length("outcomes", outcomes.len(), x.len())?;
        if let Some(row) = x.iter().position(|x| x.is_nan()) {
            return Err(CalibrationError::NotNumber { row, value: x[row] });
        }
        self.add(x.len(), weights, |row| (Prediction::from_log_odds(x[row]), outcomes[row], x[row]))
    }

    /// Adds rows by the probabilities of both outcomes, of which the smaller is believed.
    ///
    /// # Errors
    /// A number outside [0, 1], a weight that is none, or lists of different lengths.
    pub fn add_pairs(
        &mut self,
        negative: &[f64],
        positive: &[f64],
        outcomes: &[bool],
        weights: Option<&[f64]>,
    ) -> Result<(), CalibrationError> {
        check_length("negative", negative.len(), positive.len())?;
        check_length("outcomes", outcomes.len(), positive.len())?;
        self.add(positive.len(), weights, |row| {
            let (q, p) = (negative[row], positive[row]);
            // The number that is not believed has to be a probability all the same.
            let bad = [q, p].into_iter().find(|x| !(0.0..=1.0).contains(x));
            let pair = Prediction::from_pair(q, p);
            bad.map_or((pair, outcomes[row], p), |x| {
                (Prediction { positive: x, negative: f64::NAN }, outcomes[row], x)
            })
        })
    }

    /// Adds one class against the rest: its probability, and whether it is the row's label.
    ///
    /// # Errors
    /// A probability outside [0, 1], a label or weight that is none, or lists of different lengths.
    ///
    /// # Panics
    /// If `class` is not a column.
    pub fn add_class(
        &mut self,
        probabilities: Matrix<'_>,
        labels: &[u32],
        class: u32,
        weights: Option<&[f64]>,
    ) -> Result<(), CalibrationError> {
        check_matrix(probabilities, labels)?;
        self.add(labels.len(), weights, |row| {
            let p = probabilities.get(row, class as usize);
            (Prediction::from_probability(p), labels[row] == class, p)
        })
    }

    /// Adds the top label: the largest probability of a row (the first of equal ones), and whether that class
    /// is the row's label.
    ///
    /// # Errors
    /// A probability outside [0, 1], a label or weight that is none, or lists of different lengths.
    pub fn add_top_label(
        &mut self,
        probabilities: Matrix<'_>,
        labels: &[u32],
        weights: Option<&[f64]>,
    ) -> Result<(), CalibrationError> {
        check_matrix(probabilities, labels)?;
        self.add(labels.len(), weights, |row| {
            let (class, p) = top(probabilities, row);
            (Prediction::from_probability(p), labels[row] as usize == class, p)
        })
    }

    /// Adds rows that a function gives: prediction, outcome, and the number to name if it is none.
    fn add(
        &mut self,
        n: usize,
        weights: Option<&[f64]>,
        row: impl Fn(usize) -> (Prediction, bool, f64),
    ) -> Result<(), CalibrationError> {
        check_weights(weights, n)?;
        let before = self.keys.len();
        let mut valid = true;
        self.keys.extend((0..n).map(|i| {
            let (prediction, outcome, _) = row(i);
            valid &= prediction.is_valid();
            key(prediction, outcome)
        }));
        if !valid {
            self.keys.truncate(before);
            let bad = (0..n).map(|i| (i, row(i))).find(|(_, (p, _, _))| !p.is_valid());
            let (row, value) = bad.map_or((0, f64::NAN), |(i, (_, _, value))| (i, value));
            return Err(CalibrationError::NotProbability { row, value });
        }
        match weights {
            // The list of weights begins when one is given.
            None if self.weights.is_empty() => {}
            None => self.weights.resize(self.keys.len(), 1.0),
            Some(weights) => {
                self.weights.resize(before, 1.0);
                self.weights.extend_from_slice(weights);
                self.fractional |= weights.iter().any(|w| w.trunc() != *w);
                if weights.contains(&0.0) {
                    self.drop_absent(before);
                }
            }
        }
        Ok(())
    }

    /// Takes out the rows of weight 0 from `start` on.
    fn drop_absent(&mut self, start: usize) {
        let mut to = start;
        for from in start..self.keys.len() {
            if self.weights[from] > 0.0 {
                self.keys[to] = self.keys[from];
                self.weights[to] = self.weights[from];
                to += 1;
            }
        }
        self.keys.truncate(to);
        self.weights.truncate(to);
    }

    /// Adds the rows of another state.
    pub fn merge(&mut self, other: Self) {
        if self.weights.is_empty() != other.weights.is_empty() {
            // One of them counts rows: its weights are 1.
            self.weights.resize(self.keys.len(), 1.0);
        }
        let (before, weighted) =
            (self.keys.len(), !self.weights.is_empty() || !other.weights.is_empty());
        if before == 0 {
            self.keys = other.keys;
        } else {
            self.keys.extend_from_slice(&other.keys);
        }
        if weighted {
            self.weights.extend_from_slice(&other.weights);
            self.weights.resize(self.keys.len(), 1.0);
        }
        self.fractional |= other.fractional;
    }

    /// The rows in order of prediction, then outcome, then weight.
    ///
    /// # Errors
    /// There are no rows.
    pub fn sort(self) -> Result<SortedRows, CalibrationError> {
        if self.keys.is_empty() {
            return Err(CalibrationError::Empty);
        }
        let Self { mut keys, mut weights, fractional } = self;
        if weights.is_empty() {
            sort_keys(&mut keys);
        } else {
            // Positive numbers order as their bits do.
            let mut pairs: Vec<(u64, u64)> =
                keys.iter().zip(&weights).map(|(&key, w)| (key, w.to_bits())).collect();
            pairs.sort_unstable();
            for (i, (key, weight)) in pairs.into_iter().enumerate() {
                keys[i] = key;
                weights[i] = f64::from_bits(weight);
            }
        }
        let mut rows =
            SortedRows { keys, weights, fractional, positive: 0.0, negative: 0.0, squares: 0.0 };
        rows.total();
        Ok(rows)
    }
}

fn check_matrix(matrix: Matrix<'_>, labels: &[u32]) -> Result<(), CalibrationError> {
    check_length("labels", labels.len(), matrix.n_samples())?;
    let n_classes = matrix.n_classes();
    match labels.iter().position(|&label| label as usize >= n_classes) {
        Some(row) => Err(CalibrationError::Label { row, label: labels[row], n_classes }),
        None => Ok(()),
    }
}

/// The first class of largest probability, and that probability; NaN if there is one.
pub(crate) fn top(matrix: Matrix<'_>, row: usize) -> (usize, f64) {
    let (mut class, mut p) = (0, matrix.get(row, 0));
    for c in 1..matrix.n_classes() {
        let x = matrix.get(row, c);
        if x > p || x.is_nan() {
            (class, p) = (c, x);
        }
    }
    (class, p)
}

/// Rows of one prediction, pooled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// Their prediction.
    pub prediction: Prediction,
    /// Weight of the rows with the negative outcome.
    pub negative: f64,
    /// Weight of the rows with the positive outcome.
    pub positive: f64,
    /// Number of rows, whatever their weights.
    pub rows: usize,
    /// Sum of the squared weights.
    pub squares: f64,
}

impl Group {
    /// Weight of all its rows.
    pub fn weight(&self) -> f64 {
        self.negative + self.positive
    }

    /// Share of the positive outcome.
    pub fn frequency(&self) -> f64 {
        self.positive / self.weight()
    }
}

/// The rows of a binary task in order of their prediction. There is at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct SortedRows {
    keys: Vec<u64>,
    weights: Vec<f64>,
    fractional: bool,
    positive: f64,
    negative: f64,
    squares: f64,
}

impl SortedRows {
    /// Number of rows of positive weight.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Never: rows are sorted only if there are any.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Sum of the weights.
    pub fn weight(&self) -> f64 {
        self.positive + self.negative
    }

    /// Weight of the rows with the positive outcome.
    pub fn positive(&self) -> f64 {
        self.positive
    }

    /// Weight of the rows with the negative outcome.
    pub fn negative(&self) -> f64 {
        self.negative
    }

    /// Whether a weight is not a whole number, so that weights are importances and not counts.
    pub fn is_fractional(&self) -> bool {
        self.fractional
    }

    /// The number of rows that some weight is worth: the weight itself where weights count rows, Kish's
    /// `(sum w)^2 / sum w^2` where they are importances.
    pub fn effective(&self, weight: f64, squares: f64) -> f64 {
        if self.fractional { weight * weight / squares } else { weight }
    }

    /// The number of rows that all of them are worth.
    pub fn effective_rows(&self) -> f64 {
        self.effective(self.weight(), self.squares)
    }

    /// The rows pooled by prediction, in rising order.
    pub fn groups(&self) -> impl Iterator<Item = Group> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || self.next_group(&mut at))
    }

    /// The rows one by one, in order: prediction, outcome, weight.
    pub fn iter(&self) -> impl Iterator<Item = (Prediction, bool, f64)> + '_ {
        (0..self.keys.len()).map(|i| {
            let key = self.keys[i];
            (prediction(key), key & 1 == 1, self.weights.get(i).copied().unwrap_or(1.0))
        })
    }

    /// The group that begins at a row; `at` moves behind it.
    #[inline(always)]
    pub(crate) fn next_group(&self, at: &mut usize) -> Option<Group> {
        let start = *at;
        let (negative, positive) = self.next_counts(at)?;
        let squares =
            if self.weights.is_empty() { negative + positive } else { self.squares(start, *at) };
        let prediction = self.prediction(start);
        Some(Group { prediction, negative, positive, rows: *at - start, squares })
    }

    /// Weights of the negative and positive outcomes of the group that begins at a row; `at` moves behind
    /// it.
    #[inline(always)]
    pub(crate) fn next_counts(&self, at: &mut usize) -> Option<(f64, f64)> {
        let start = *at;
        let first = *self.keys.get(start)?;
        let last = first | 1;
        // Most groups are one row.
        let next = self.keys.get(start + 1).copied().unwrap_or(u64::MAX);
        if next > last && self.weights.is_empty() {
            *at = start + 1;
            let positive = (first & 1) as f64;
            return Some((1.0 - positive, positive));
        }
        let length =
            |from: usize, to: u64| self.keys[from..].iter().take_while(|key| **key <= to).count();
        let middle = start + length(start, last - 1);
        let end = middle + length(middle, last);
        *at = end;
        Some((self.sum(start, middle), self.sum(middle, end)))
    }

    /// The keys of some rows, and their weights if there are any.
    pub(crate) fn keys_and_weights(
        &self,
        rows: std::ops::Range<usize>,
    ) -> (&[u64], Option<&[f64]>) {
        let weights = (!self.weights.is_empty()).then(|| &self.weights[rows.clone()]);
        (&self.keys[rows], weights)
    }

    /// The prediction of a row.
    #[inline(always)]
    pub(crate) fn prediction(&self, row: usize) -> Prediction {
        prediction(self.keys[row])
    }

    /// The same rows with other outcomes: a resample. `positives` draws how many of some rows of one prediction are positive.
    ///
    /// Whole weights are so many rows; a row whose weight is an importance is one, in the order of [`iter`](Self::iter).
    pub(crate) fn resample(&self, mut positives: impl FnMut(Prediction, u64) -> u64) -> Self {
        if self.fractional {
            return self
                .with_outcomes(self.keys.iter().map(|&key| positives(prediction(key), 1) > 0));
        }
        let (mut keys, mut weights) = (Vec::with_capacity(self.keys.len()), Vec::new());
        let (mut at, mut start) = (0, 0);
        while let Some((negative, positive)) = self.next_counts(&mut at) {
            let key = self.keys[start] & !1;
            let n = (negative + positive) as u64;
            let ones = positives(prediction(key), n);
            if self.weights.is_empty() {
                keys.extend((0..n).map(|i| key | u64::from(i >= n - ones)));
            } else {
                for (key, count) in [(key, n - ones), (key | 1, ones)] {
                    if count > 0 {
                        keys.push(key);
                        weights.push(count as f64);
                    }
                }
            }
            start = at;
        }
        let mut rows = Self { keys, weights, ..*self };
        rows.total();
        rows
    }

    /// The same rows with other outcomes, in the order of [`iter`](Self::iter).
    fn with_outcomes(&self, outcomes: impl Iterator<Item = bool>) -> Self {
        let mut keys: Vec<u64> =
            self.keys.iter().zip(outcomes).map(|(key, y)| (key & !1) | u64::from(y)).collect();
        let mut weights = self.weights.clone();
        // Within a prediction the outcomes are to be in order.
        let mut start = 0;
        while start < keys.len() {
            let place = keys[start] >> 1;
            let length = keys[start..].iter().take_while(|key| **key >> 1 == place).count();
            let end = start + length;
            if length > 1 {
                let mut pairs: Vec<(u64, u64)> =
                    (start..end).map(|i| (keys[i], weights[i].to_bits())).collect();
                pairs.sort_unstable();
                for (i, (key, weight)) in pairs.into_iter().enumerate() {
                    keys[start + i] = key;
                    weights[start + i] = f64::from_bits(weight);
                }
            }
            start = end;
        }
        let mut rows = Self { keys, weights, ..*self };
        rows.total();
        rows
    }

    /// The rows that are in some part, and the others, by their place in the order.
    pub(crate) fn split(&self, is_in: impl Fn(usize) -> bool) -> [Option<Self>; 2] {
        [true, false].map(|wanted| {
            let mut part = Self { keys: Vec::new(), weights: Vec::new(), ..*self };
            for (i, &key) in self.keys.iter().enumerate() {
                if is_in(i) == wanted {
                    part.keys.push(key);
                    part.weights.extend(self.weights.get(i));
                }
            }
            part.total();
            (!part.keys.is_empty()).then_some(part)
        })
    }

    /// Sums the weights by outcome.
    fn total(&mut self) {
        let n = self.keys.len();
        if self.weights.is_empty() {
            let ones: u64 = self.keys.iter().map(|key| key & 1).sum();
            self.positive = ones as f64;
            self.negative = (n as u64 - ones) as f64;
            self.squares = n as f64;
        } else {
            let of = |outcome| {
                let pairs = self.keys.iter().zip(&self.weights);
                pairs.filter(|(key, _)| *key & 1 == outcome).map(|(_, w)| *w).collect::<ExactSum>()
            };
            self.positive = of(1).value();
            self.negative = of(0).value();
            self.squares = self.squares(0, n);
        }
    }

    /// The weight of the rows from `start` to `end`.
    #[inline(always)]
    fn sum(&self, start: usize, end: usize) -> f64 {
        if self.weights.is_empty() {
            (end - start) as f64
        } else if end - start < 2 {
            self.weights[start..end].first().copied().unwrap_or(0.0)
        } else {
            exact(&self.weights[start..end])
        }
    }

    fn squares(&self, start: usize, end: usize) -> f64 {
        let weights = &self.weights[start..end];
        if let [w] = weights {
            return w * w;
        }
        let mut sum = ExactSum::new();
        sum.add_products(weights, weights);
        sum.value()
    }

    /// Weights of the negative and of the positive outcomes among some rows, correctly rounded.
    pub(crate) fn sums(&self, rows: std::ops::Range<usize>) -> (f64, f64) {
        let positive: ExactSum =
            rows.clone().filter(|&i| self.keys[i] & 1 == 1).map(|i| self.weights[i]).collect();
        let negative: ExactSum =
            rows.filter(|&i| self.keys[i] & 1 == 0).map(|i| self.weights[i]).collect();
        (negative.value(), positive.value())
    }
}

#[cold]
fn exact(weights: &[f64]) -> f64 {
    let mut sum = ExactSum::new();
    sum.add_slice(weights);
    sum.value()
}
