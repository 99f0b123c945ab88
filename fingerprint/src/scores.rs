//! Losses of rows, scores and comparisons.

use xent::compare::Comparison;
use xent::elementary;
use xent::log_loss::log_loss;
use xent::rows::{Input, Matrix, RowScores, Rules, Sums, Target};
use xent::score::{Keep, ScoreState};

use crate::hash::Hash;
use crate::input::Random;

/// Not a multiple of any number of lanes.
const ROWS: usize = 203;
const CLASSES: [usize; 5] = [2, 3, 10, 37, 300];

/// Predictions in rows and the labels to score them by.
struct Batch {
    width: usize,
    values: Vec<f64>,
    labels: Vec<u32>,
}

impl Batch {
    fn new(seed: u64, width: usize) -> Self {
        let mut random = Random::new(seed);
        Self { width, values: random.rows(ROWS, width), labels: random.labels(ROWS, width) }
    }

    fn with_values(self, change: impl FnMut(&f64) -> f64) -> Self {
        Self { values: self.values.iter().map(change).collect(), ..self }
    }

    fn matrix(&self) -> Matrix<'_> {
        Matrix::Rows { values: &self.values, width: self.width }
    }

    fn target(&self) -> Target<'_> {
        Target::Classes(&self.labels)
    }

    fn columns(&self) -> Vec<Vec<f64>> {
        (0..self.width)
            .map(|c| self.values.iter().skip(c).step_by(self.width).copied().collect())
            .collect()
    }
}

fn rules() -> Rules {
    Rules { top_k: vec![2, 5], ..Rules::default() }
}

fn score(matrix: Matrix<'_>, target: Target<'_>, rules: &Rules) -> RowScores {
    let mut rows = RowScores::default();
    let result = rows.score(matrix, target, rules);
    assert_eq!(result, Ok(()));
    rows
}

fn put(hash: &mut Hash, rows: &RowScores) {
    hash.all(&rows.log_loss);
    hash.all(&rows.squared_error);
    hash.all(&rows.error);
    rows.top_k.iter().for_each(|errors| hash.all(errors));
    hash.debug(&rows.predicted);
    hash.debug(&rows.odd);
}

pub fn row_major(hash: &mut Hash) {
    for width in CLASSES {
        let batch = Batch::new(20, width);
        put(hash, &score(batch.matrix(), batch.target(), &rules()));
    }
}

pub fn log_losses(hash: &mut Hash) {
    for width in CLASSES {
        let batch = Batch::new(21, width);
        let loss = log_loss(batch.matrix(), &batch.labels);
        assert!(loss.is_ok(), "{loss:?}");
        hash.debug(&loss);
    }
}

pub fn columns(hash: &mut Hash) {
    for width in CLASSES {
        let batch = Batch::new(20, width);
        let columns = batch.columns();
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        put(hash, &score(Matrix::Columns(&columns), batch.target(), &rules()));
    }
}

pub fn binary(hash: &mut Hash) {
    let batch = Batch::new(21, 2);
    let mut positive = batch.columns().swap_remove(1);
    positive[..3].copy_from_slice(&[1e-300, 0.0, 1.0]);
    put(hash, &score(Matrix::Positive(&positive), batch.target(), &rules()));
    positive.iter_mut().for_each(|p| *p = *p * 40.0 - 20.0);
    let rules = Rules { input: Input::Logits, ..rules() };
    put(hash, &score(Matrix::Positive(&positive), batch.target(), &rules));
}

pub fn logits(hash: &mut Hash) {
    let rules = Rules { input: Input::Logits, ..rules() };
    for (&width, scale) in CLASSES.iter().zip([1.0, 30.0, 5.0, 200.0, 10.0]) {
        let mut random = Random::new(22);
        let batch = Batch::new(23, width).with_values(|_| random.bell() * scale);
        put(hash, &score(batch.matrix(), batch.target(), &rules));
    }
}

pub fn log_probabilities(hash: &mut Hash) {
    let rules = Rules { input: Input::LogProbabilities, ..rules() };
    for width in CLASSES {
        let batch = Batch::new(24, width).with_values(|&p| elementary::ln(p));
        put(hash, &score(batch.matrix(), batch.target(), &rules));
    }
}

fn rule(hash: &mut Hash, width: usize, rules: &Rules) {
    let batch = Batch::new(25, width).with_values(|&p| f64::from((p * 1e5) as u32) / 1e5);
    put(hash, &score(batch.matrix(), batch.target(), rules));
}

pub fn adjusted(hash: &mut Hash) {
    for width in CLASSES {
        rule(hash, width, &Rules { clip: 1e-4, ..rules() });
        rule(hash, width, &Rules { sums: Sums::Normalize, ..rules() });
        rule(hash, width, &Rules { label_smoothing: 0.1, ..rules() });
    }
}

pub fn soft(hash: &mut Hash) {
    for width in CLASSES {
        let (batch, truth) = (Batch::new(26, width), Batch::new(27, width));
        put(hash, &score(batch.matrix(), Target::Distributions(truth.matrix()), &rules()));
    }
}

const KEEP: Keep = Keep { classes: true, confusion: true, tail: true, means_only: false };

pub fn finished(hash: &mut Hash) {
    let mut random = Random::new(28);
    let counts: Vec<f64> = (0..ROWS).map(|_| random.below(4) as f64).collect();
    let importances: Vec<f64> = (0..ROWS).map(|_| random.uniform()).collect();
    for weights in [None, Some(&counts[..]), Some(&importances[..])] {
        let batch = Batch::new(29, 10);
        let rows = score(batch.matrix(), batch.target(), &rules());
        let mut state = ScoreState::new(10, KEEP);
        state.update(&rows, batch.target(), weights);
        let mut both = state.clone();
        both.merge(&state);
        for state in [state, both] {
            hash.debug(&state.finish(0.95));
            hash.debug(&state.baseline(0.0, 0.95));
            hash.debug(&state.confusion());
            hash.debug(&state.worst_share(0.01));
        }
    }
}

pub fn compared(hash: &mut Hash) {
    let batches = [30, 31, 32].map(|seed| Batch::new(seed, 4));
    let target = batches[0].target();
    let rows = batches.each_ref().map(|batch| score(batch.matrix(), target, &rules()));
    let mut comparison = Comparison::new(3, 4, KEEP);
    comparison.update(&rows.each_ref(), target, None);
    hash.debug(&comparison.finish(&[2, 5], 0.95));
}
