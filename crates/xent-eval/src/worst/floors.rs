//! The loss of a model whose probabilities had a floor.

use std::borrow::Cow;

use xent::rows::{Matrix, RowScores, Rules, Sums};
use xent::score::{Keep, ScoreState, Scores};

use crate::block::OwnedTarget;
use crate::predictions::Predictions;

/// Floors that are tried if none are named.
pub const FLOORS: [f64; 7] = [1e-15, 1e-12, 1e-9, 1e-6, 1e-4, 1e-3, 1e-2];

/// The mean loss under one floor.
///
/// ```text
/// q_c = max(p_c, e) / sum_c max(p_c, e)        in rows with some p_c < e; other rows are scored as they are
/// ```
///
/// This is what `--clip e` scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Floor {
    /// The floor e; `None` for none.
    pub floor: Option<f64>,
    /// Mean log loss, nats.
    pub log_loss: f64,
    /// Rows with a probability below the floor.
    pub rows: u64,
    /// Rows whose true class is given a probability below the floor; none are counted where targets are soft.
    pub label_rows: u64,
    /// Whether no floor and none of the others has a lower loss; of equal losses the first is best.
    pub is_best: bool,
}

/// Sums under each floor.
pub(super) struct FloorState {
    floors: Vec<One>,
}

struct One {
    floor: f64,
    loss: ScoreState,
    rows: u64,
    label_rows: u64,
}

impl FloorState {
    pub fn new(floors: &[f64], n_classes: usize) -> Self {
        let keep = Keep { means_only: true, ..Keep::default() };
        let one = |&floor: &f64| One {
            floor,
            loss: ScoreState::new(n_classes, keep),
            rows: 0,
            label_rows: 0,
        };
        Self { floors: floors.iter().map(one).collect() }
    }

    /// Adds rows that are scored already: those that a floor touches are scored anew.
    pub fn update(
        &mut self,
        scores: &RowScores,
        predictions: &Predictions,
        target: &OwnedTarget,
        weights: Option<&[f64]>,
        rules: &Rules,
    ) {
        if self.floors.is_empty() || scores.is_empty() {
            return;
        }
        let k = predictions.width();
        let mut row = vec![0.0; k];
        let (mut least, mut of_label) = (Vec::new(), Vec::new());
        for i in 0..predictions.rows() {
            predictions.row_in(i, &mut row);
            let row = super::rows::probabilities(predictions.input(), &row);
            least.push(row.iter().fold(f64::INFINITY, |least, &p| least.min(p)));
            of_label.push(match target {
                OwnedTarget::Classes(labels) => row[labels[i] as usize],
                OwnedTarget::Distributions { .. } => f64::INFINITY,
            });
        }
        let counts = |i: usize| weights.is_none_or(|w| w[i] > 0.0);
        for one in &mut self.floors {
            let touched: Vec<usize> =
                (0..least.len()).filter(|&i| least[i] < one.floor && counts(i)).collect();
            one.rows += touched.len() as u64;
            one.label_rows += touched.iter().filter(|&&i| of_label[i] < one.floor).count() as u64;
            let mut with = Cow::Borrowed(scores);
            if !touched.is_empty() {
                let floored = RowScores::default();
                let floored = score(floored, one.floor, &touched, predictions, target, rules);
                let with = with.to_mut();
                for (&i, &loss) in touched.iter().zip(&floored.log_loss) {
                    with.log_loss[i] = loss;
                }
            }
            one.loss.update(&with, target.target(), weights);
        }
    }

    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.floors.iter_mut().zip(&other.floors) {
            mine.loss.merge(&theirs.loss);
            mine.rows += theirs.rows;
            mine.label_rows += theirs.label_rows;
        }
    }

    pub fn finish(&self, scores: &Scores, level: f64) -> Vec<Floor> {
        if self.floors.is_empty() {
            return Vec::new();
        }
        let none = Floor {
            floor: None,
            log_loss: scores.log_loss.value,
            rows: 0,
            label_rows: scores.infinite_rows,
            is_best: false,
        };
        let of = |one: &One| Floor {
            floor: Some(one.floor),
            log_loss: one.loss.log_loss(level).value,
            rows: one.rows,
            label_rows: one.label_rows,
            is_best: false,
        };
        let mut all: Vec<Floor> = std::iter::once(Floor { label_rows: 0, ..none })
            .chain(self.floors.iter().map(of))
            .collect();
        let mut best = 0;
        for (i, floor) in all.iter().enumerate() {
            if floor.log_loss < all[best].log_loss {
                best = i;
            }
        }
        all[best].is_best = all[best].log_loss.is_finite();
        all
    }
}

/// The rows at `indices` with probabilities raised to a floor.
fn score(
    mut rows: RowScores,
    floor: f64,
    indices: &[usize],
    predictions: &Predictions,
    target: &OwnedTarget,
    rules: &Rules,
) -> RowScores {
    let taken = predictions.take(indices);
    // Sums are as they were scored: checked, or divided already.
    let rules = Rules {
        input: predictions.input(),
        sums: Sums::AsIs,
        clip: floor,
        label_smoothing: rules.label_smoothing,
        top_k: Vec::new(),
    };
    let matrix = Matrix::Rows { values: &taken.values(), width: taken.width() };
    // These rows have been scored without an error.
    let scored = rows.score(matrix, target.take(indices).target(), &rules);
    debug_assert!(scored.is_ok(), "{scored:?}");
    rows
}
