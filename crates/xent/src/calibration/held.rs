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
//! Rows are written down one after another and put in order when half as many again have come as may be held: sorted by hash, equal
//! ones made one. Few predictions that repeat are found in a small cache before they are written.
//!
//! Advice: whatever enters the hash must depend on nothing but the numbers of the prediction. The class must not: a prediction kept only with
//! the rows of one class would look wrong.

use std::cmp::Ordering;

use crate::calibration::random::mix;
use crate::calibration::sort::sort_keys;
use crate::element::Element;
use crate::exact::ExactSum;
use crate::rows::{Input, Target};
use crate::simd::leveled;
use crate::view::View;

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
/// Slots of the cache, two for each place.
const RECENT: usize = 1 << 16;
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
/// held.update(View::rows_of(&p, 2)?, Target::Classes(&[0, 1, 0]), None, 0.0);
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
    /// Entries from 1 by the last bits of their hash, the middle of it in the upper half; 0 for none.
    recent: Vec<u64>,
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
            recent: Vec::new(),
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
    pub fn update<T: Element>(
        &mut self,
        predictions: View<'_, T>,
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
    pub fn update_keyed<T: Element>(
        &mut self,
        predictions: View<'_, T>,
        keys: Option<&[u64]>,
        target: Target<'_>,
        weights: Option<&[f64]>,
        label_smoothing: f64,
    ) {
        let k = self.width;
        self.rows += predictions.n_rows() as u64;
        self.recent.resize(RECENT, 0);
        let mut row = vec![0.0; k];
        let (first, step) = self.hashed_columns();
        let mut hashes = [0; HASHED];
        for start in (0..predictions.n_rows()).step_by(HASHED) {
            // Many rows at a time: the chains of operations of their hashes do not depend on one another.
            let rows = start..predictions.n_rows().min(start + HASHED);
            let hashes = &mut hashes[..rows.len()];
            match keys {
                Some(keys) => hashes.copy_from_slice(&keys[rows.clone()]),
                None => hash_rows::<T>(hashes, predictions.rows(rows.clone()), first, step),
            }
            // Of a large table hardly a row is kept.
            if !hashes.iter().any(|hash| self.is_kept(*hash)) {
                continue;
            }
            for (r, &hash) in rows.zip(&*hashes) {
                if !self.is_kept(hash) {
                    continue;
                }
                let w = weights.map_or(1.0, |w| w[r]);
                if w == 0.0 {
                    continue;
                }
                for (c, slot) in row.iter_mut().enumerate() {
                    *slot = number(predictions.get(r, c));
                }
                match target {
                    Target::Classes(labels) if label_smoothing == 0.0 => {
                        let class = labels[r];
                        let own = hash.wrapping_add(u64::from(class).wrapping_mul(CLASS));
                        let slot = (own as usize % RECENT) & !1;
                        let tag = (own << 12) & TAG;
                        let known =
                            [self.recent[slot], self.recent[slot + 1]].into_iter().find(|x| {
                                *x != 0
                                    && x & TAG == tag
                                    && self.is_entry(*x as u32, hash, &row, class)
                            });
                        if let Some(known) = known {
                            let entry = &mut self.entries[known as u32 as usize - 1];
                            entry.add(w);
                            self.predictions[entry.prediction as usize].rows += 1;
                            continue;
                        }
                        let prediction = self.write(hash, &row);
                        self.entries.push(Entry::new(prediction, class, w));
                        let free = slot + usize::from(self.recent[slot] != 0);
                        self.recent[free] = tag | self.entries.len() as u64;
                    }
                    _ => {
                        let prediction = self.write(hash, &row);
                        for c in 0..k {
                            let t = match target {
                                Target::Classes(labels) => {
                                    f64::from(u8::from(labels[r] as usize == c))
                                }
                                Target::Distributions(matrix) => matrix.get(r, c),
                            };
                            let t = (1.0 - label_smoothing) * t + label_smoothing / k as f64;
                            if t > 0.0 {
                                self.entries.push(Entry::new(prediction, c as u32, w * t));
                            }
                        }
                    }
                }
                if self.is_full() {
                    self.put_in_order();
                }
            }
        }
    }

    /// Absorbs a hash of each row's prediction into its key, which starts at 0.
    ///
    /// # Panics
    ///
    /// If keys are fewer than the predictions.
    pub fn add_to_keys<T: Element>(&self, predictions: View<'_, T>, keys: &mut [u64]) {
        let (first, step) = self.hashed_columns();
        let mut hashes = [0; HASHED];
        for (chunk, keys) in keys[..predictions.n_rows()].chunks_mut(HASHED).enumerate() {
            let rows = predictions.rows(chunk * HASHED..chunk * HASHED + keys.len());
            hash_rows::<T>(&mut hashes[..keys.len()], rows, first, step);
            keys.iter_mut().zip(&hashes).for_each(|(key, hash)| *key = mix(*key ^ hash));
        }
    }

    /// Whether there have been more rows than can be held.
    pub fn is_sample(&self) -> bool {
        self.level > 0
    }

    /// Drops what not every state would keep: states of several models over rows of the same keys then hold the same rows.
    pub fn align(states: &mut [Self]) {
        states.iter_mut().for_each(Self::put_in_order);
        let level = states.iter().map(|state| state.level).max().unwrap_or(0);
        for state in states.iter_mut().filter(|state| state.level < level) {
            state.level = level;
            state.put_in_order();
        }
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
        self.level = self.level.max(other.level);
        self.rows += other.rows;
        self.is_large |= other.is_large;
        if self.entries.is_empty() {
            let (rows, is_large, level) = (self.rows, self.is_large, self.level);
            *self = Self { rows, is_large, level, ..other };
            return;
        }
        let before = self.predictions.len() as u32;
        self.predictions.extend_from_slice(&other.predictions);
        self.values.extend_from_slice(&other.values);
        self.entries.extend(
            other.entries.into_iter().map(|e| Entry { prediction: before + e.prediction, ..e }),
        );
        if self.is_full() {
            self.put_in_order();
        }
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
        Some(HeldTable {
            width: self.width,
            input: self.input,
            values: self.values,
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

    /// Whether an entry, counted from 1, is of a prediction and class.
    fn is_entry(&self, entry: u32, hash: u64, row: &[f64], class: u32) -> bool {
        let entry = &self.entries[entry as usize - 1];
        entry.class == class
            && self.predictions[entry.prediction as usize].hash == hash
            && self.row(entry.prediction) == row
    }

    /// Writes down a prediction with a row of it.
    fn write(&mut self, hash: u64, row: &[f64]) -> u32 {
        self.predictions.push(Known { hash, rows: 1 });
        self.values.extend_from_slice(row);
        self.predictions.len() as u32 - 1
    }

    /// Whether so many entries and predictions may be held.
    fn fits(&self, entries: usize, predictions: usize) -> bool {
        let is_large = self.level > 0 || self.is_large || self.rows > MANY_ROWS;
        let most = if is_large { self.most.sample } else { self.most.entries };
        entries <= most && predictions * self.width <= self.most.numbers
    }

    /// Whether half as much again has been written down as may be held.
    fn is_full(&self) -> bool {
        !self.fits(self.entries.len() * 2 / 3, self.predictions.len() * 2 / 3)
    }

    /// Sorts predictions by hash and their entries by class, makes equal ones one, and drops what is too much.
    fn put_in_order(&mut self) {
        let k = self.width;
        let order = self.order();
        // Equal predictions stand side by side.
        let mut places = vec![u32::MAX; self.predictions.len()];
        let mut predictions: Vec<Known> = Vec::with_capacity(order.len());
        let mut values: Vec<f64> = Vec::with_capacity(order.len() * k);
        for i in order {
            let known = self.predictions[i as usize];
            if !self.is_kept(known.hash) {
                break;
            }
            let is_last = predictions.last().is_some_and(|last| last.hash == known.hash)
                && values[values.len() - k..] == *self.row(i);
            if let Some(last) = predictions.last_mut().filter(|_| is_last) {
                last.rows += known.rows;
            } else {
                predictions.push(known);
                values.extend_from_slice(self.row(i));
            }
            places[i as usize] = predictions.len() as u32 - 1;
        }
        let mut starts = vec![0_usize; predictions.len() + 1];
        for entry in &mut self.entries {
            entry.prediction = places[entry.prediction as usize];
            if entry.prediction != u32::MAX {
                starts[entry.prediction as usize + 1] += 1;
            }
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut sorted = vec![Entry::default(); starts[predictions.len()]];
        for entry in self.entries.drain(..).filter(|entry| entry.prediction != u32::MAX) {
            let slot = &mut next[entry.prediction as usize];
            sorted[*slot] = entry;
            *slot += 1;
        }
        for range in starts.windows(2).filter(|range| range[1] - range[0] > 1) {
            sorted[range[0]..range[1]].sort_unstable_by_key(|entry| entry.class);
        }
        sorted.dedup_by(|entry, into| {
            let is_same = entry.prediction == into.prediction && entry.class == into.class;
            if is_same {
                into.merge(entry);
            }
            is_same
        });
        (self.predictions, self.values, self.entries) = (predictions, values, sorted);
        while self.level < u64::BITS && !self.fits(self.entries.len(), self.predictions.len()) {
            self.level += 1;
            // By hash: those that are kept come first.
            let kept = self.predictions.partition_point(|p| self.is_kept(p.hash));
            self.entries.truncate(self.entries.partition_point(|e| (e.prediction as usize) < kept));
            self.predictions.truncate(kept);
            self.values.truncate(kept * k);
        }
        self.recent.fill(0);
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
            let is_first = |i: &u32| hash(i) == hash(&run[0]) && self.row(*i) == self.row(run[0]);
            // Mostly one prediction, many times.
            if !run.iter().skip(1).all(is_first) {
                run.sort_unstable_by(|a, b| {
                    let numbers = || self.row(*a).partial_cmp(self.row(*b));
                    hash(a).cmp(&hash(b)).then_with(|| numbers().unwrap_or(Ordering::Equal))
                });
            }
        }
        order
    }
}

/// The upper half of a slot.
const TAG: u64 = 0xffff_ffff_0000_0000;
/// The step of the hash from class to class: odd, so that classes have places of their own.
const CLASS: u64 = 0xd6e8_feb8_6659_fd93;

/// A number of a prediction; adding 0 turns -0 into 0.
#[inline(always)]
fn number<T: Element>(x: T) -> f64 {
    x.to_f64() + 0.0
}

leveled! {
    /// A hash of each row: of column `first` and every `step`th after it.
    fn hash_rows[T: Element](hashes: &mut [u64], rows: View<'_, T>, first: usize, step: usize)
        => hash_rows_body::<FMA>
}

#[inline(always)]
fn hash_rows_body<const FMA: bool, T: Element>(
    hashes: &mut [u64],
    rows: View<'_, T>,
    first: usize,
    step: usize,
) {
    hashes.fill(0);
    for c in (first..rows.n_cols()).step_by(step) {
        if let Some(dense) = rows.as_rows() {
            let column = dense[c..].iter().step_by(rows.n_cols());
            hashes.iter_mut().zip(column).for_each(|(hash, x)| *hash = absorb(*hash, number(*x)));
        } else {
            for (r, hash) in hashes.iter_mut().enumerate() {
                *hash = absorb(*hash, number(rows.get(r, c)));
            }
        }
    }
    hashes.iter_mut().for_each(|hash| *hash = mix(*hash));
}

#[inline(always)]
fn absorb(hash: u64, x: f64) -> u64 {
    let h = (hash ^ x.to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    h ^ (h >> 32)
}

impl Entry {
    fn new(prediction: u32, class: u32, weight: f64) -> Self {
        let mut entry = Self { prediction, class, ..Self::default() };
        entry.add(weight);
        entry
    }

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

    fn merge(&mut self, other: &Self) {
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

/// Rows of one prediction and class.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cell {
    pub class: u32,
    pub weight: f64,
    /// The number of rows that it is dealt into folds as: its weight where that counts rows.
    pub units: u64,
}

/// How often each class happened under each prediction. There is at least one row.
///
/// The order is that of a hash of the predictions: the same whatever the order of the rows was.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldTable {
    width: usize,
    input: Input,
    values: Vec<f64>,
    starts: Vec<usize>,
    cells: Vec<Cell>,
    rows: u64,
    is_sample: bool,
}

impl HeldTable {
    /// Number of different predictions; of different predictions and keys, where rows had [keys](HeldRows::update_keyed).
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Never: there is at least one row.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Number of rows held.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether there were more rows than could be held: these are all rows of a random part of the predictions.
    pub fn is_sample(&self) -> bool {
        self.is_sample
    }

    /// Classes.
    pub fn n_classes(&self) -> usize {
        self.width
    }

    /// What the numbers of a prediction are.
    pub fn input(&self) -> Input {
        self.input
    }

    /// The numbers of a prediction.
    pub fn prediction(&self, i: usize) -> &[f64] {
        &self.values[i * self.width..(i + 1) * self.width]
    }

    /// The classes that happened under a prediction, in order, with their weights.
    pub fn outcomes(&self, i: usize) -> impl Iterator<Item = (u32, f64)> + '_ {
        self.cells(i).iter().map(|cell| (cell.class, cell.weight))
    }

    pub(crate) fn cells(&self, i: usize) -> &[Cell] {
        &self.cells[self.starts[i]..self.starts[i + 1]]
    }

    /// Whether the weight of every entry is a whole number: rows are counted.
    pub fn has_whole_weights(&self) -> bool {
        self.cells.iter().all(|cell| cell.weight == cell.units as f64)
    }

    pub(crate) fn all_cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The weight of each cell's rows in a fold.
    ///
    /// Rows are dealt one after another in the order of the table, so that each prediction and class is in every fold as
    /// often as it can be. Rows whose weight counts rows are so many rows.
    pub(crate) fn dealt(&self, fold: u64, folds: u64) -> Vec<f64> {
        let mut rank = 0_u64;
        let mut inside = |cell: &Cell| {
            // Ranks of this fold below a rank.
            let below = |rank: u64| rank / folds + u64::from(rank % folds > fold);
            let units = below(rank + cell.units) - below(rank);
            rank += cell.units;
            let (some, all) = (units as f64, cell.units as f64);
            // Counts stay whole.
            if cell.weight == all { some } else { cell.weight * (some / all) }
        };
        self.cells.iter().map(&mut inside).collect()
    }

    /// Rows that are dealt into folds: rows whose weight counts rows are so many.
    pub fn units(&self) -> u64 {
        self.cells.iter().map(|cell| cell.units).sum()
    }
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
