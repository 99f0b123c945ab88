//! The rows of one model held in bounded memory: all of them while their predictions are few, else a sample of the predictions.
//!
//! # Design
//!
//! What the parts of a score need is how often each class happened under each prediction. So the state is a table: prediction, class,
//! weight. Equal predictions are one entry, and the weights of an entry are added exactly; no order of rows shows.
//!
//! When there are more than [`MOST_ENTRIES`] entries, or their predictions have more than [`MOST_NUMBERS`] numbers, the state keeps
//! the predictions whose hash is below 2^(64 - j), for the smallest j that fits. That too depends on the rows only, not on
//! their order, batches, threads or files: a prediction is in the sample with all its rows or not at all. Once j has grown, a row costs
//! its hash.
//!
//! Advice: whatever enters the hash must depend on nothing but the numbers of the prediction. The class must not: a prediction kept only with
//! the rows of one class would look wrong.

use std::cmp::Ordering;

use crate::calibration::random::mix;
use crate::element::Element;
use crate::exact::ExactSum;
use crate::rows::{Input, Target};
use crate::view::View;

/// Pairs of prediction and class held at most.
pub const MOST_ENTRIES: usize = 1 << 18;
/// Numbers of predictions held at most.
pub const MOST_NUMBERS: usize = 1 << 22;
/// Logits of a row that are hashed at most, evenly spread: logits of many classes are hardly ever equal in these and
/// different in others. All probabilities are, among which zeros are common.
const LOGITS_HASHED: usize = 16;
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
    most: (usize, usize),
    /// Kept are hashes whose first so many bits are 0.
    level: u32,
    predictions: Vec<Known>,
    /// Row-major, a row each prediction.
    values: Vec<f64>,
    entries: Vec<Entry>,
    by_prediction: Places,
    by_entry: Places,
}

/// A prediction.
#[derive(Clone, Copy, Debug)]
struct Known {
    hash: u64,
    rows: u64,
}

/// Rows of one prediction and class.
#[derive(Clone, Debug)]
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
        Self::with_most(n_classes, input, MOST_ENTRIES, MOST_NUMBERS)
    }

    /// With limits of one's own.
    pub(crate) fn with_most(
        n_classes: usize,
        input: Input,
        entries: usize,
        numbers: usize,
    ) -> Self {
        Self {
            width: n_classes,
            input,
            most: (entries, (numbers / n_classes.max(1)).max(1)),
            level: 0,
            predictions: Vec::new(),
            values: Vec::new(),
            entries: Vec::new(),
            by_prediction: Places::default(),
            by_entry: Places::default(),
        }
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
        let k = self.width;
        let mut row = vec![0.0; k];
        let (first, step) = match self.input {
            Input::Logits if k > LOGITS_HASHED => (k % LOGITS_HASHED / 2, k / LOGITS_HASHED),
            _ => (0, 1),
        };
        for r in 0..predictions.n_rows() {
            let w = weights.map_or(1.0, |w| w[r]);
            if w == 0.0 {
                continue;
            }
            let mut hash = 0;
            let mut c = first;
            while c < k {
                hash = absorb(hash, number(predictions.get(r, c)));
                c += step;
            }
            let hash = mix(hash);
            if !self.is_kept(hash) {
                continue;
            }
            for (c, slot) in row.iter_mut().enumerate() {
                *slot = number(predictions.get(r, c));
            }
            match target {
                Target::Classes(labels) if label_smoothing == 0.0 => {
                    let at = self.entry(hash, &row, labels[r]);
                    self.entries[at].add(1, w);
                    self.count(at, 1);
                }
                _ => {
                    let mut is_counted = false;
                    for c in 0..k {
                        let t = match target {
                            Target::Classes(labels) => f64::from(u8::from(labels[r] as usize == c)),
                            Target::Distributions(matrix) => matrix.get(r, c),
                        };
                        let t = (1.0 - label_smoothing) * t + label_smoothing / k as f64;
                        if t > 0.0 {
                            let at = self.entry(hash, &row, c as u32);
                            self.entries[at].add(1, w * t);
                            self.count(at, u64::from(!is_counted));
                            is_counted = true;
                        }
                    }
                }
            }
            self.fit();
        }
    }

    /// Adds the rows of another state.
    pub fn merge(&mut self, other: Self) {
        if self.entries.is_empty() && self.level <= other.level {
            *self = other;
            return;
        }
        if other.level > self.level {
            self.level = other.level;
            self.drop_hidden();
        }
        let mut counted = vec![false; other.predictions.len()];
        for entry in &other.entries {
            let from = entry.prediction as usize;
            let known = other.predictions[from];
            if !self.is_kept(known.hash) {
                continue;
            }
            let row = &other.values[from * self.width..(from + 1) * self.width];
            let at = self.entry(known.hash, row, entry.class);
            let mine = &mut self.entries[at];
            mine.rows += entry.rows;
            mine.count += entry.count;
            if let Some(rest) = &entry.rest {
                mine.rest.get_or_insert_default().merge(rest);
            }
            if !std::mem::replace(&mut counted[from], true) {
                self.count(at, known.rows);
            }
        }
        // An entry at a time could drop a prediction of which half has come.
        self.fit();
    }

    /// The rows in an order of their own; `None` if there are none.
    pub fn finish(mut self) -> Option<HeldTable> {
        if self.entries.is_empty() {
            return None;
        }
        let k = self.width;
        let row = |i: u32| &self.values[i as usize * k..(i as usize + 1) * k];
        // By hash: an order that says nothing about the numbers, so that every part of it is a sample.
        let mut order: Vec<(u64, u32)> = self.predictions.iter().map(|p| p.hash).zip(0..).collect();
        order.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| row(a.1).partial_cmp(row(b.1)).unwrap_or(Ordering::Equal))
        });
        let mut values = Vec::with_capacity(self.values.len());
        let mut places = vec![0_u32; order.len()];
        for (place, &(_, i)) in (0..).zip(&order) {
            places[i as usize] = place;
            values.extend_from_slice(row(i));
        }
        let mut starts = vec![0_usize; order.len() + 1];
        for entry in &self.entries {
            starts[places[entry.prediction as usize] as usize + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut cells = vec![Cell::default(); self.entries.len()];
        for entry in self.entries.drain(..) {
            let slot = &mut next[places[entry.prediction as usize] as usize];
            cells[*slot] = entry.cell();
            *slot += 1;
        }
        for range in starts.windows(2).filter(|range| range[1] - range[0] > 1) {
            cells[range[0]..range[1]].sort_unstable_by_key(|cell| cell.class);
        }
        Some(HeldTable {
            width: k,
            input: self.input,
            values,
            starts,
            cells,
            rows: self.predictions.iter().map(|p| p.rows).sum(),
            is_sample: self.level > 0,
        })
    }

    #[inline(always)]
    fn is_kept(&self, hash: u64) -> bool {
        hash.leading_zeros() >= self.level
    }

    fn count(&mut self, entry: usize, rows: u64) {
        self.predictions[self.entries[entry].prediction as usize].rows += rows;
    }

    /// The place of an entry, which is made if there is none.
    fn entry(&mut self, hash: u64, row: &[f64], class: u32) -> usize {
        let k = self.width;
        let is_row = |values: &[f64], i: u32| {
            let mine = &values[i as usize * k..(i as usize + 1) * k];
            mine.iter().zip(row).all(|(a, b)| a.to_bits() == b.to_bits())
        };
        let own = hash_of_entry(hash, class);
        let found = self.by_entry.find(own, |i| {
            let entry = &self.entries[i as usize];
            entry.class == class && is_row(&self.values, entry.prediction)
        });
        if let Some(at) = found {
            return at as usize;
        }
        let known = self.by_prediction.find(hash, |i| is_row(&self.values, i));
        let prediction = known.unwrap_or_else(|| {
            let i = self.predictions.len() as u32;
            self.predictions.push(Known { hash, rows: 0 });
            self.values.extend_from_slice(row);
            self.by_prediction.insert(hash, i, |i| self.predictions[i as usize].hash);
            i
        });
        let at = self.entries.len();
        self.entries.push(Entry { prediction, class, rows: 0, count: 0, rest: None });
        let (entries, predictions) = (&self.entries, &self.predictions);
        self.by_entry.insert(own, at as u32, |i| entries[i as usize].hash(predictions));
        at
    }

    /// Drops predictions until the rest is within the limits.
    fn fit(&mut self) {
        while self.level < u64::BITS
            && (self.entries.len() > self.most.0 || self.predictions.len() > self.most.1)
        {
            self.level += 1;
            self.drop_hidden();
        }
    }

    /// Drops the predictions that the level hides.
    fn drop_hidden(&mut self) {
        let k = self.width;
        let mut places = vec![u32::MAX; self.predictions.len()];
        let mut kept = 0;
        for (i, place) in places.iter_mut().enumerate() {
            if self.is_kept(self.predictions[i].hash) {
                *place = kept as u32;
                self.predictions[kept] = self.predictions[i];
                self.values.copy_within(i * k..(i + 1) * k, kept * k);
                kept += 1;
            }
        }
        self.predictions.truncate(kept);
        self.values.truncate(kept * k);
        self.entries.retain_mut(|entry| {
            entry.prediction = places[entry.prediction as usize];
            entry.prediction != u32::MAX
        });
        self.by_prediction = Places::of(self.predictions.iter().map(|p| p.hash));
        let predictions = &self.predictions;
        self.by_entry = Places::of(self.entries.iter().map(|entry| entry.hash(predictions)));
    }
}

/// A number of a prediction; adding 0 turns -0 into 0.
#[inline(always)]
fn number<T: Element>(x: T) -> f64 {
    x.to_f64() + 0.0
}

#[inline(always)]
fn absorb(hash: u64, x: f64) -> u64 {
    let h = (hash ^ x.to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    h ^ (h >> 32)
}

#[inline(always)]
fn hash_of_entry(hash: u64, class: u32) -> u64 {
    // Odd, so that classes differ in the low bits, which choose the place.
    hash.wrapping_add(u64::from(class).wrapping_mul(0xd6e8_feb8_6659_fd93))
}

impl Entry {
    #[inline(always)]
    fn add(&mut self, rows: u64, weight: f64) {
        self.rows += rows;
        if weight.trunc() == weight && weight < LARGE {
            self.count += weight as u64;
        } else {
            self.rest.get_or_insert_default().add(weight);
        }
    }

    fn hash(&self, predictions: &[Known]) -> u64 {
        hash_of_entry(predictions[self.prediction as usize].hash, self.class)
    }

    fn cell(self) -> Cell {
        let Some(mut rest) = self.rest else {
            return Cell { class: self.class, weight: self.count as f64, units: self.count };
        };
        rest.add(self.count as f64);
        Cell { class: self.class, weight: rest.value(), units: self.rows }
    }
}

/// Places by hash: open addressing, at most half full.
#[derive(Clone, Debug, Default)]
struct Places {
    /// The upper half of a slot is a part of the hash, the lower half a place from 1; 0 is empty.
    slots: Vec<u64>,
    len: usize,
}

impl Places {
    fn of(hashes: impl ExactSizeIterator<Item = u64>) -> Self {
        let mut slots = vec![0; (2 * hashes.len()).next_power_of_two().max(64)];
        let len = hashes.len();
        for (hash, place) in hashes.zip(0..) {
            put(&mut slots, hash, place);
        }
        Self { slots, len }
    }

    #[inline(always)]
    fn find(&self, hash: u64, is_same: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            let place = slot as u32 - 1;
            if slot & TAG == tag(hash) && is_same(place) {
                return Some(place);
            }
            at = (at + 1) & mask;
        }
    }

    fn insert(&mut self, hash: u64, place: u32, hash_of: impl Fn(u32) -> u64) {
        if 2 * (self.len + 1) > self.slots.len() {
            let mut slots = vec![0; (4 * self.len).next_power_of_two().max(64)];
            for &slot in self.slots.iter().filter(|slot| **slot != 0) {
                let place = slot as u32 - 1;
                put(&mut slots, hash_of(place), place);
            }
            self.slots = slots;
        }
        put(&mut self.slots, hash, place);
        self.len += 1;
    }
}

/// The part of a slot that is a part of the hash.
const TAG: u64 = 0xffff_ffff_0000_0000;

/// The middle of a hash: its first bits are 0 in a sample, its last ones choose the place.
#[inline(always)]
fn tag(hash: u64) -> u64 {
    (hash << 16) & TAG
}

fn put(slots: &mut [u64], hash: u64, place: u32) {
    let mask = slots.len() - 1;
    let mut at = hash as usize & mask;
    while slots[at] != 0 {
        at = (at + 1) & mask;
    }
    slots[at] = tag(hash) | u64::from(place + 1);
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
    /// Number of different predictions.
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
