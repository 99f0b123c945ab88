//! The worst rows, found in the workers and kept in the order of the table.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

use xent::information::log_sum_exp;
use xent::rows::Input;
use xent_io::{Batch, Column, Format, Kind, ReadAs, Request, Table};

use super::Contrast;
use super::pair::Checks;
use crate::block::{Block, OwnedTarget, Scorer};
use crate::roles::{Binding, PredictionColumns, TargetColumns};

/// One of the worst rows.
#[derive(Clone, Debug, PartialEq)]
pub struct WorstRow {
    /// Its number in the table, from 1.
    pub row: u64,
    /// Its identity, where a column is named for it.
    pub id: Option<String>,
    /// Its true class, or its target distribution in words.
    pub label: String,
    /// What each model says.
    pub models: Vec<Prediction>,
    /// The other columns as text; `None` is missing.
    pub columns: Vec<Option<String>>,
}

/// What a model says about a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Cross entropy of the row, nats.
    pub log_loss: f64,
    /// The top class, the first one if several share the highest prediction.
    pub predicted: u32,
    /// Its probability.
    pub probability: f64,
    /// The probability of the true class; `None` where targets are soft.
    pub label_probability: Option<f64>,
}

impl Prediction {
    /// Cross entropy of the row in bits.
    pub fn bits(&self) -> f64 {
        self.log_loss / std::f64::consts::LN_2
    }
}

/// The probabilities of a row of predictions.
pub(crate) fn probabilities(input: Input, row: &[f64]) -> Cow<'_, [f64]> {
    match input {
        Input::Probabilities => Cow::Borrowed(row),
        Input::LogProbabilities => row.iter().map(|x| x.exp()).collect(),
        Input::Logits => {
            let all = log_sum_exp(row);
            // A logit of +inf is certain.
            let one = |&x: &f64| if x == all { 1.0 } else { (x - all).exp() };
            row.iter().map(one).collect()
        }
    }
}

/// The columns that are shown beside what a row is scored by.
pub(super) struct OtherColumns {
    /// Column of the table and place in the batch.
    places: Vec<(usize, usize)>,
    left_out: Vec<usize>,
}

impl OtherColumns {
    /// Finds them and asks for them, behind what the scorer asks for.
    pub fn find(
        table: &Table,
        scorer: &Scorer,
        checks: &Checks,
        requests: &mut Vec<Request>,
    ) -> Self {
        let used = used(scorer.binding());
        let (mut places, mut left_out) = (Vec::new(), Vec::new());
        for (column, info) in table.columns().iter().enumerate() {
            if used.contains(&column) || checks.is_theirs(column) {
                continue;
            }
            let format = match table.beside().filter(|_| table.is_beside(column)) {
                Some(other) => other.format(),
                None => table.format(),
            };
            let is_text = matches!(format, Format::Csv | Format::Tsv);
            let read_as = match info.kind {
                _ if is_text => ReadAs::Text,
                Kind::List { .. } | Kind::Unsupported => {
                    left_out.push(column);
                    continue;
                }
                // Numbers are written out only where they are shown.
                Kind::Number if format != Format::JsonLines => ReadAs::Numbers,
                _ => ReadAs::Text,
            };
            places.push((column, requests.len()));
            requests.push(Request { column, read_as });
        }
        Self { places, left_out }
    }

    /// The names of the columns, and of those that are left out.
    pub fn names(&self, table: &Table) -> (Vec<String>, Vec<String>) {
        let name = |column: usize| table.columns()[column].name.clone();
        let places = self.places.iter().map(|&(column, _)| name(column)).collect();
        (places, self.left_out.iter().map(|&column| name(column)).collect())
    }

    fn of_row(&self, batch: &Batch, row: usize) -> Vec<Option<String>> {
        let value = |&(_, place): &(usize, usize)| match batch.column(place) {
            Column::Text(text) => text.get(row).map(str::to_owned),
            Column::Numbers(x) if !x[row].is_nan() => {
                let text = format!("{:?}", x[row]);
                Some(text.strip_suffix(".0").map(str::to_owned).unwrap_or(text))
            }
            _ => None,
        };
        self.places.iter().map(value).collect()
    }
}

/// The columns that a row is scored by.
fn used(binding: &Binding) -> Vec<usize> {
    let mut used: Vec<usize> = [binding.weight, binding.id].into_iter().flatten().collect();
    for model in &binding.models {
        match &model.columns {
            PredictionColumns::PerClass(columns) => used.extend(columns),
            PredictionColumns::List(column) | PredictionColumns::Positive(column) => {
                used.push(*column);
            }
        }
    }
    match &binding.target {
        TargetColumns::Label(column) | TargetColumns::List { column, .. } => used.push(*column),
        TargetColumns::PerClass(columns) => used.extend(columns),
        TargetColumns::Absent => {}
    }
    used
}

/// What is ranked: the loss under a model, or the loss under one over that under another.
#[derive(Clone, Copy)]
enum By {
    Model(usize),
    Excess { worse: usize, better: usize },
}

/// Candidates of a batch, for each list: rank and row; row numbers count from 0 in the batch.
pub(super) type Found = Vec<Vec<(f64, WorstRow)>>;

/// The lists of worst rows.
///
/// A list that is full tells the workers its last rank: they leave out what would not get in. Batches are added in the order of
/// the table, so a later row of the same rank never gets in either, and when they see the rank does not matter.
pub(super) struct Lists {
    n: usize,
    by: Vec<By>,
    /// The bits of the last rank of each full list, which order as the ranks do; 0 before that.
    last: Vec<AtomicU64>,
}

impl Lists {
    pub fn new(n_models: usize, n: usize) -> Self {
        let mut by: Vec<By> = (0..n_models).map(By::Model).collect();
        if n_models == 2 {
            by.push(By::Excess { worse: 0, better: 1 });
            by.push(By::Excess { worse: 1, better: 0 });
        }
        let last = by.iter().map(|_| AtomicU64::new(0)).collect();
        Self { n, by, last }
    }

    /// Lists without rows.
    pub fn empty(&self) -> Found {
        vec![Vec::new(); self.by.len()]
    }

    /// The rows of a batch that may be among the worst.
    pub fn candidates(
        &self,
        batch: &Batch,
        block: &Block,
        classes: &[String],
        others: &OtherColumns,
    ) -> Found {
        let counts = |i: usize| {
            block.absent.as_ref().is_none_or(|a| !a[i])
                && block.weights.as_ref().is_none_or(|w| w[i] > 0.0)
        };
        let loss = |m: usize, i: usize| block.scores[m].log_loss[i];
        let list = |(by, last): (&By, &AtomicU64)| {
            let last = f64::from_bits(last.load(Ordering::Relaxed));
            let rank = |i: usize| match *by {
                By::Model(m) => loss(m, i),
                // Infinite under both: no difference to rank.
                By::Excess { worse, better } => loss(worse, i) - loss(better, i),
            };
            let mut found: Vec<(f64, usize)> = (0..block.rows)
                .map(|i| (rank(i), i))
                // A loss of 0 is not among the worst, nor is a row that is no worse than under the other.
                .filter(|&(rank, i)| rank > last && counts(i))
                .collect();
            found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            found.truncate(self.n);
            let row = |(rank, i)| (rank, row(batch, block, i, classes, others));
            found.into_iter().map(row).collect()
        };
        self.by.iter().zip(&self.last).map(list).collect()
    }

    /// Adds the candidates of the next batch, whose rows start at `first_row`.
    pub fn add(&self, kept: &mut Found, found: Found, first_row: u64) {
        for ((kept, found), last) in kept.iter_mut().zip(found).zip(&self.last) {
            if found.is_empty() {
                continue;
            }
            kept.extend(found.into_iter().map(|(rank, mut row)| {
                row.row += first_row + 1;
                (rank, row)
            }));
            kept.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.row.cmp(&b.1.row)));
            kept.truncate(self.n);
            if let Some((rank, _)) = kept.last().filter(|_| kept.len() == self.n) {
                last.store(rank.to_bits(), Ordering::Relaxed);
            }
        }
    }

    /// The lists of the models, and the contrasts.
    pub fn finish(&self, kept: Found) -> (Vec<Vec<WorstRow>>, Vec<Contrast>) {
        let (mut models, mut contrasts) = (Vec::new(), Vec::new());
        for (by, list) in self.by.iter().zip(kept) {
            let rows = list.into_iter().map(|(_, row)| row).collect();
            match *by {
                By::Model(_) => models.push(rows),
                By::Excess { worse, better } => contrasts.push(Contrast { worse, better, rows }),
            }
        }
        (models, contrasts)
    }
}

/// Row `i` of a batch in words.
fn row(
    batch: &Batch,
    block: &Block,
    i: usize,
    classes: &[String],
    others: &OtherColumns,
) -> WorstRow {
    let models = block.scores.iter().zip(&block.predictions).map(|(scores, predictions)| {
        let mut row = vec![0.0; predictions.width()];
        predictions.row_in(i, &mut row);
        let p = probabilities(predictions.input(), &row);
        let predicted = scores.predicted[i];
        let label = match &block.target {
            OwnedTarget::Classes(labels) => Some(p[labels[i] as usize]),
            OwnedTarget::Distributions { .. } => None,
        };
        Prediction {
            log_loss: scores.log_loss[i],
            predicted,
            probability: p[predicted as usize],
            label_probability: label,
        }
    });
    WorstRow {
        row: i as u64,
        id: block.ids.as_ref().map(|ids| ids[i].clone()),
        label: block.target.describe(i, classes),
        models: models.collect(),
        columns: others.of_row(batch, i),
    }
}
