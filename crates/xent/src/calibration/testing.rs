//! What the tests of this module share: rows from a seed, and ways to shuffle them.

#![allow(clippy::unwrap_used)]

use crate::calibration::rows::{BinaryRows, SortedRows};

/// A generator for tests (Knuth's MMIX constants), its upper bits.
pub(crate) struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() * n as f64) as usize
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// Rows as tests write them: prediction, outcome, weight.
pub(crate) type Row = (f64, bool, f64);

/// Rows of a model that is somewhat sure of itself, with ties if predictions have few digits.
pub(crate) fn rows(seed: u64, n: usize, digits: i32, weight: fn(f64) -> f64) -> Vec<Row> {
    let mut random = Random(seed);
    let unit = 10_f64.powi(digits);
    (0..n)
        .map(|_| {
            let p = (random.next() * unit).round() / unit;
            let truth = 0.2 + 0.5 * p + 0.2 * p * p;
            (p, random.next() < truth, weight(random.next()))
        })
        .collect()
}

/// The rows, sorted; weights are given if one is not 1.
pub(crate) fn sorted(rows: &[Row]) -> SortedRows {
    let p: Vec<f64> = rows.iter().map(|r| r.0).collect();
    let y: Vec<bool> = rows.iter().map(|r| r.1).collect();
    let w: Vec<f64> = rows.iter().map(|r| r.2).collect();
    let weights = w.iter().any(|w| *w != 1.0).then_some(&w[..]);
    let mut state = BinaryRows::default();
    state.add_probabilities(&p, &y, weights).unwrap();
    state.sort().unwrap()
}

/// Rows of whole weights, each repeated as often as its weight says.
pub(crate) fn repeated(rows: &[Row]) -> Vec<Row> {
    rows.iter().flat_map(|r| std::iter::repeat_n((r.0, r.1, 1.0), r.2 as usize)).collect()
}
