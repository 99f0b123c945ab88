//! What was held, in order: how often each class happened under each prediction.

use crate::elementary::{exp, ln};
use crate::rows::Input;

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
    pub(super) width: usize,
    pub(super) input: Input,
    pub(super) values: Vec<f64>,
    /// Of logits, the logarithm of the sum of the exponentials of each prediction.
    pub(super) normalizers: Vec<f64>,
    pub(super) starts: Vec<usize>,
    pub(super) cells: Vec<Cell>,
    pub(super) rows: u64,
    pub(super) is_sample: bool,
}

impl HeldTable {
    /// Number of different predictions; of different predictions and keys, where rows had [keys](super::HeldRows::update_keyed).
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

    /// The probability of a class under a prediction.
    #[inline]
    pub fn probability(&self, i: usize, class: u32) -> f64 {
        let x = self.prediction(i)[class as usize];
        match self.input {
            Input::Probabilities => x,
            Input::LogProbabilities => exp(x),
            Input::Logits if self.normalizers[i] == f64::INFINITY => {
                f64::from(u8::from(x == f64::INFINITY))
            }
            Input::Logits => exp(x - self.normalizers[i]).min(1.0),
        }
    }

    /// -ln p of a class under a prediction.
    pub(crate) fn surprisal(&self, i: usize, class: u32) -> f64 {
        let x = self.prediction(i)[class as usize];
        match self.input {
            Input::Probabilities => 0.0 - ln(x),
            Input::LogProbabilities => 0.0 - x,
            Input::Logits if x == f64::INFINITY => 0.0,
            Input::Logits => (self.normalizers[i] - x).max(0.0),
        }
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
