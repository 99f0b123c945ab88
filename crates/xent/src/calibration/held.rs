//! The rows of one model held in bounded memory: all of them while their predictions are few, else a sample of the predictions.
//!
//! # Design
//!
//! What the parts of a score need is how often each class happened under each prediction. So the state is a table: prediction, class,
//! weight. Equal predictions are one entry, and the weights of an entry are added exactly; no order of rows shows.
//!
//! When there are more than [`MOST_ENTRIES`] entries, or their predictions have more than [`MOST_NUMBERS`] numbers, the state keeps
//! the predictions whose hash is below 2^(64 - j), for the smallest j that leaves at most [`SAMPLE_ENTRIES`] entries and
//! [`MOST_NUMBERS`] numbers. That too depends on the rows only, not on their order, batches, threads or files: a prediction is in the
//! sample with all its rows or not at all. Once j has grown, a row costs its hash.
//!
//! Entries are found by a hash table, so that the limits are kept after each row; they are put in order at the end.
//!
//! Advice: whatever enters the hash must depend on nothing but the numbers of the prediction. The class must not: a prediction kept only with
//! the rows of one class would look wrong.

mod places;
mod source;
mod table;

use std::cmp::Ordering;

use places::Places;
use table::Cell;

use crate::calibration::random::mix;
use crate::calibration::sort::sort_keys;
use crate::exact::ExactSum;
use crate::information::log_sum_exp;
use crate::rows::{Input, Target};
use crate::simd::leveled;

pub use source::PredictionRows;
pub use table::HeldTable;

/// Pairs of prediction and class held at most.
pub const MOST_ENTRIES: usize = 1 << 18;
/// Pairs held at most once they are a sample: more would tell little more.
pub const SAMPLE_ENTRIES: usize = 1 << 16;
/// Rows of a table from which on a sample is taken as soon as there are more pairs than that: sorting more of them would take
/// longer than all the rest.
pub const MANY_ROWS: u64 = 1 << 19;
/// Numbers of predictions held at most.
pub const MOST_NUMBERS: usize = 1 << 22;
/// Logits of a row that are hashed at most, evenly spread: logits of many classes are hardly ever equal in these and
/// different in others. All probabilities are, among which zeros are common.
const LOGITS_HASHED: usize = 16;
/// Rows that are hashed together.
const HASHED: usize = 64;
/// Rows from the one whose place is asked for to the one that needs it.
const AHEAD: usize = 8;
/// Whole weights from here on are added as other weights are, so that no count overflows.
const LARGE: f64 = 4_294_967_296.0;

/// How the rows of a model are distributed over predictions and classes: mergeable, order-free, of bounded memory.
///
/// # Example
///
/// ```
/// use xent::calibration::held::HeldRows;
/// use xent::rows::{Input, Target};
/// use xent::view::View;
///
/// let p = [0.5, 0.5, /**/ 0.25, 0.75, /**/ 0.5, 0.5];
/// let mut held = HeldRows::new(2, Input::Probabilities);
/// held.update(&View::rows_of(&p, 2)?, Target::Classes(&[0, 1, 0]), None, 0.0);
/// let table = held.finish().unwrap();
/// assert_eq!((table.len(), table.rows(), table.is_sample()), (2, 3, false));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeldRows {
    width: usize,
    input: Input,
    most: Most,
    /// Rows seen.
    rows: u64,
    /// Whether there will be more than [`MANY_ROWS`].
    is_large: bool,
    /// Kept are hashes whose first so many bits are 0.
    level: u32,
    predictions: Vec<Known>,
    /// Row-major, a row each prediction.
    values: Vec<f64>,
    entries: Vec<Entry>,
    places: Places,
}

/// What is held at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub entries: usize,
    pub sample: usize,
    pub numbers: usize,
}

/// A prediction.
#[derive(Clone, Copy, Debug)]
struct Known {
    hash: u64,
    rows: u64,
}

/// Rows of one prediction and class.
#[derive(Clone, Debug, Default)]
struct Entry {
    prediction: u32,
    class: u32,
    rows: u64,
    /// Sum of the weights that are whole numbers.
    count: u64,
    /// Sum of the others.
    rest: Option<Box<ExactSum>>,
}

impl HeldRows {
    /// The state of no rows: predictions over `n_classes`, given as `input`.
    pub fn new(n_classes: usize, input: Input) -> Self {
        let most = Most { entries: MOST_ENTRIES, sample: SAMPLE_ENTRIES, numbers: MOST_NUMBERS };
        Self::with_most(n_classes, input, most)
    }

    /// With limits of one's own.
    pub(crate) fn with_most(n_classes: usize, input: Input, most: Most) -> Self {
        Self {
            width: n_classes,
            input,
            most,
            rows: 0,
            is_large: false,
            level: 0,
            predictions: Vec::new(),
            values: Vec::new(),
            entries: Vec::new(),
            places: Places::default(),
        }
    }

    /// Says how many rows there will be, if it is known: no result depends on it, but large tables take less time.
    #[must_use]
    pub fn expecting(mut self, rows: u64) -> Self {
        self.is_large = rows > MANY_ROWS;
        self
    }

    /// Adds rows: predictions `(n_samples, n_classes)` as they were scored, with their targets, smoothed by
    /// `label_smoothing`. Distributions and weights are those of rows that have been scored: nothing is checked here.
    ///
    /// # Panics
    ///
    /// If targets or weights are fewer than the predictions.
    pub fn update<P: PredictionRows + ?Sized>(
        &mut self,
        predictions: &P,
        target: Target<'_>,
        weights: Option<&[f64]>,
        label_smoothing: f64,
    ) {
        self.update_keyed(predictions, None, target, weights, label_smoothing);
    }

    /// Adds rows that are kept or not by keys of their own in the place of the hashes of their predictions: states of several models
    /// that are given the same keys hold the same rows, if they are [`align`](Self::align)ed at the end.
    ///
    /// # Panics
    ///
    /// If keys, targets or weights are fewer than the predictions.
    pub fn update_keyed<P: PredictionRows + ?Sized>(
        &mut self,
        predictions: &P,
        keys: Option<&[u64]>,
        target: Target<'_>,
        weights: Option<&[f64]>,
        label_smoothing: f64,
    ) {
        let n = predictions.n_rows();
        self.rows += n as u64;
        self.thin_out();
        // Of a large table hardly a row is kept, and its place is in no cache: it is asked for some rows ahead.
        let kept = self.kept(predictions, keys, weights);
        let mut row = vec![0.0; self.width];
        for (i, &(r, hash)) in kept.iter().enumerate() {
            if let Some(&(_, next)) = kept.get(i + AHEAD) {
                self.places.prefetch(next);
            }
            if !self.is_kept(hash) {
                continue;
            }
            predictions.row_in(r, &mut row);
            let weight = weights.map_or(1.0, |w| w[r]);
            match target {
                Target::Classes(labels) if label_smoothing == 0.0 => {
                    self.add(hash, &row, labels[r], weight);
                }
                _ => self.add_soft(hash, &row, (target, r), weight, label_smoothing),
            }
            self.thin_out();
        }
    }

    /// The rows that are kept as far as is known now, with their hashes or keys.
    fn kept<P: PredictionRows + ?Sized>(
        &self,
        predictions: &P,
        keys: Option<&[u64]>,
        weights: Option<&[f64]>,
    ) -> Vec<(usize, u64)> {
        let n = predictions.n_rows();
        let (first, step) = self.hashed_columns();
        let mut kept = Vec::new();
        let mut hashes = [0; HASHED];
        for start in (0..n).step_by(HASHED) {
            // Many rows at a time: the chains of operations of their hashes do not depend on one another.
            let rows = start..n.min(start + HASHED);
            let hashes = &mut hashes[..rows.len()];
            match keys {
                Some(keys) => hashes.copy_from_slice(&keys[rows.clone()]),
                None => predictions.hash_in(rows.clone(), first, step, hashes),
            }
            if !self.is_kept(smallest(hashes)) {
                continue;
            }
            for (r, &hash) in rows.zip(&*hashes) {
                if self.is_kept(hash) && weights.is_none_or(|w| w[r] != 0.0) {
                    kept.push((r, hash));
                }
            }
        }
        kept
    }

    /// Absorbs a hash of each row's prediction into its key, which starts at 0.
    ///
    /// # Panics
    ///
    /// If keys are fewer than the predictions.
    pub fn add_to_keys<P: PredictionRows + ?Sized>(&self, predictions: &P, keys: &mut [u64]) {
        let (first, step) = self.hashed_columns();
        let mut hashes = [0; HASHED];
        for (chunk, keys) in keys[..predictions.n_rows()].chunks_mut(HASHED).enumerate() {
            let hashes = &mut hashes[..keys.len()];
            let start = chunk * HASHED;
            predictions.hash_in(start..start + keys.len(), first, step, hashes);
            keys.iter_mut().zip(&*hashes).for_each(|(key, hash)| *key = mix(*key ^ hash));
        }
    }

    /// Whether there have been more rows than can be held.
    pub fn is_sample(&self) -> bool {
        self.level > 0
    }

    /// Drops what not every state would keep: states of several models over rows of the same keys then hold the same rows.
    pub fn align(states: &mut [Self]) {
        let level = states.iter().map(|state| state.level).max().unwrap_or(0);
        states.iter_mut().for_each(|state| state.raise_to(level));
    }

    /// The columns that are hashed: the first, and every so manyth after it.
    fn hashed_columns(&self) -> (usize, usize) {
        match self.input {
            Input::Logits if self.width > LOGITS_HASHED => {
                (self.width % LOGITS_HASHED / 2, self.width / LOGITS_HASHED)
            }
            _ => (0, 1),
        }
    }

    /// Adds the rows of another state.
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.is_large |= other.is_large;
        if self.entries.is_empty() {
            let (rows, is_large, level) = (self.rows, self.is_large, self.level);
            *self = Self { rows, is_large, ..other };
            self.raise_to(level);
            return self.thin_out();
        }
        self.raise_to(other.level);
        self.thin_out();
        let mut rows: Vec<u64> = other.predictions.iter().map(|known| known.rows).collect();
        for entry in &other.entries {
            let hash = other.predictions[entry.prediction as usize].hash;
            if self.is_kept(hash) {
                let place = self.locate(hash, other.row(entry.prediction), entry.class);
                let own = &mut self.entries[place];
                own.absorb(entry);
                // Once for all entries of the prediction.
                self.predictions[own.prediction as usize].rows +=
                    std::mem::take(&mut rows[entry.prediction as usize]);
            }
        }
        self.thin_out();
    }

    /// The rows in an order of their own; `None` if there are none.
    pub fn finish(mut self) -> Option<HeldTable> {
        self.put_in_order();
        if self.entries.is_empty() {
            return None;
        }
        let mut starts = vec![0; self.predictions.len() + 1];
        for (i, entry) in self.entries.iter().enumerate() {
            starts[entry.prediction as usize + 1] = i + 1;
        }
        let normalizers = match self.input {
            Input::Logits => self.values.chunks_exact(self.width).map(log_sum_exp).collect(),
            Input::Probabilities | Input::LogProbabilities => Vec::new(),
        };
        Some(HeldTable {
            width: self.width,
            input: self.input,
            values: self.values,
            normalizers,
            starts,
            cells: self.entries.into_iter().map(Entry::cell).collect(),
            rows: self.predictions.iter().map(|p| p.rows).sum(),
            is_sample: self.level > 0,
        })
    }

    #[inline(always)]
    fn is_kept(&self, hash: u64) -> bool {
        hash.leading_zeros() >= self.level
    }

    fn row(&self, prediction: u32) -> &[f64] {
        &self.values[prediction as usize * self.width..][..self.width]
    }

    /// Adds a row of a class.
    #[inline(always)]
    fn add(&mut self, hash: u64, row: &[f64], class: u32, weight: f64) {
        let place = self.locate(hash, row, class);
        let entry = &mut self.entries[place];
        entry.add(weight);
        self.predictions[entry.prediction as usize].rows += 1;
    }

    /// Adds a row whose target may be spread over the classes: row `r` of the target.
    fn add_soft(
        &mut self,
        hash: u64,
        row: &[f64],
        (target, r): (Target<'_>, usize),
        weight: f64,
        label_smoothing: f64,
    ) {
        let mut rows = 1;
        for c in 0..self.width {
            let t = match target {
                Target::Classes(labels) => f64::from(u8::from(labels[r] as usize == c)),
                Target::Distributions(matrix) => matrix.get(r, c),
            };
            let t = (1.0 - label_smoothing) * t + label_smoothing / self.width as f64;
            if t > 0.0 {
                let place = self.locate(hash, row, c as u32);
                let entry = &mut self.entries[place];
                entry.add(weight * t);
                self.predictions[entry.prediction as usize].rows += std::mem::take(&mut rows);
            }
        }
    }

    /// The index of the entry of a prediction and class, which is a new one if there was none.
    #[inline(always)]
    fn locate(&mut self, hash: u64, row: &[f64], class: u32) -> usize {
        if !self.places.has_room() {
            self.find_places();
        }
        let found = self.places.find((hash, class), |i| {
            let entry = &self.entries[i];
            entry.class == class && self.is_prediction(entry.prediction, hash, row)
        });
        found.unwrap_or_else(|slot| {
            let is_one = |i: usize| self.is_prediction(self.entries[i].prediction, hash, row);
            let prediction = match self.places.find_any(hash, self.width, is_one) {
                Some(known) => self.entries[known].prediction,
                None => {
                    self.predictions.push(Known { hash, rows: 0 });
                    self.values.extend_from_slice(row);
                    self.predictions.len() as u32 - 1
                }
            };
            self.entries.push(Entry { prediction, class, ..Entry::default() });
            self.places.fill(slot, hash, self.entries.len() - 1);
            self.entries.len() - 1
        })
    }

    fn find_places(&mut self) {
        let hash = |entry: &Entry| (self.predictions[entry.prediction as usize].hash, entry.class);
        self.places.rebuild(self.entries.iter().map(hash));
    }

    #[inline(always)]
    fn is_prediction(&self, prediction: u32, hash: u64, row: &[f64]) -> bool {
        self.predictions[prediction as usize].hash == hash && self.row(prediction) == row
    }

    /// Whether no more is held than may be.
    #[inline(always)]
    fn fits(&self) -> bool {
        let is_large = self.level > 0 || self.is_large || self.rows > MANY_ROWS;
        let most = if is_large { self.most.sample } else { self.most.entries };
        self.entries.len() <= most && self.values.len() <= self.most.numbers
    }

    /// Drops predictions until all fit.
    #[inline(always)]
    fn thin_out(&mut self) {
        while !self.fits() && self.level < u64::BITS {
            self.raise_to(self.level + 1);
        }
    }

    /// Drops what a level at least this high does not keep.
    fn raise_to(&mut self, level: u32) {
        if level <= self.level {
            return;
        }
        self.level = level;
        let mut places = vec![u32::MAX; self.predictions.len()];
        let mut kept = 0;
        for (i, place) in places.iter_mut().enumerate() {
            if self.is_kept(self.predictions[i].hash) {
                *place = kept as u32;
                self.predictions[kept] = self.predictions[i];
                let row = i * self.width;
                self.values.copy_within(row..row + self.width, kept * self.width);
                kept += 1;
            }
        }
        self.predictions.truncate(kept);
        self.values.truncate(kept * self.width);
        self.entries.retain_mut(|entry| {
            entry.prediction = places[entry.prediction as usize];
            entry.prediction != u32::MAX
        });
        self.find_places();
    }

    /// Sorts predictions by hash, then by their numbers, and their entries by class.
    fn put_in_order(&mut self) {
        let order = self.order();
        let mut places = vec![0; order.len()];
        let mut predictions = Vec::with_capacity(order.len());
        let mut values = Vec::with_capacity(self.values.len());
        for (place, &i) in order.iter().enumerate() {
            places[i as usize] = place as u32;
            predictions.push(self.predictions[i as usize]);
            values.extend_from_slice(self.row(i));
        }
        (self.predictions, self.values) = (predictions, values);
        for entry in &mut self.entries {
            entry.prediction = places[entry.prediction as usize];
        }
        self.entries.sort_unstable_by_key(|entry| (entry.prediction, entry.class));
    }

    /// The predictions in order of their hash, then of their numbers.
    fn order(&self) -> Vec<u32> {
        let n = self.predictions.len();
        // The last bits of the hash make room for the place.
        let bits = n.next_power_of_two().trailing_zeros();
        let mask = (1_u64 << bits) - 1;
        let mut keys: Vec<u64> =
            self.predictions.iter().zip(0..).map(|(p, i)| (p.hash & !mask) | i).collect();
        sort_keys(&mut keys);
        let mut order: Vec<u32> = keys.iter().map(|key| (key & mask) as u32).collect();
        let hash = |i: &u32| self.predictions[*i as usize].hash;
        for run in order.chunk_by_mut(|a, b| hash(a) & !mask == hash(b) & !mask) {
            run.sort_unstable_by(|a, b| {
                let numbers = || self.row(*a).partial_cmp(self.row(*b));
                hash(a).cmp(&hash(b)).then_with(|| numbers().unwrap_or(Ordering::Equal))
            });
        }
        order
    }
}

leveled! {
    fn smallest(hashes: &[u64]) -> u64 => smallest_body
}

#[inline(always)]
fn smallest_body(hashes: &[u64]) -> u64 {
    hashes.iter().fold(u64::MAX, |smallest, hash| smallest.min(*hash))
}

impl Entry {
    /// Adds a row.
    #[inline(always)]
    fn add(&mut self, weight: f64) {
        self.rows += 1;
        if weight.trunc() == weight && weight < LARGE {
            self.count += weight as u64;
        } else {
            self.rest.get_or_insert_default().add(weight);
        }
    }

    fn absorb(&mut self, other: &Self) {
        self.rows += other.rows;
        self.count += other.count;
        if let Some(rest) = &other.rest {
            self.rest.get_or_insert_default().merge(rest);
        }
    }

    fn cell(self) -> Cell {
        let Some(mut rest) = self.rest else {
            return Cell { class: self.class, weight: self.count as f64, units: self.count };
        };
        rest.add(self.count as f64);
        Cell { class: self.class, weight: rest.value(), units: self.rows }
    }
}

#[cfg(test)]
mod tests;
