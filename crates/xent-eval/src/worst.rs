//! The worst rows of a table, and where its loss lives.
//!
//! One scan in bounded memory: the sums of [`score`](crate::score()), the `n` worst rows with all their columns, and the
//! loss under floors on the probabilities. Rows of one loss stand in the order of the table, so which rows are
//! listed does not depend on threads or batches.

mod floors;
mod pair;
mod rows;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use xent::score::Scores;
use xent_io::ScanOptions;

use crate::block::Scorer;
use crate::detective;
use crate::error::Error;
use crate::score::{
    INFINITE_LISTED, ModelScore, ModelState, Observer, Options, Progress, SLICES, Shape,
    check_rows, finish, go_on, too_many_slices, update,
};
use crate::source::Source;

pub use floors::{FLOORS, Floor};
pub use rows::{Prediction, WorstRow};

use floors::FloorState;
pub(crate) use rows::probabilities;

use rows::{Lists, OtherColumns};

/// The shares of the rows whose part of the loss is told.
pub const SHARES: [f64; 3] = [0.01, 0.05, 0.1];

/// What [`worst`] is to find.
#[derive(Clone, Debug, Default)]
pub struct WorstOptions {
    /// How tables are scored.
    pub score: Options,
    /// Rows listed of each model.
    pub n: usize,
    /// Floors on the probabilities, each above 0 and below 0.5.
    pub floors: Vec<f64>,
}

/// The worst rows of one or two models.
#[derive(Clone, Debug)]
pub struct Worst {
    /// Each model, in the order of the files.
    pub models: Vec<ModelWorst>,
    /// Of two models: where the first loses most against the second, and the second against the first.
    pub contrasts: Vec<Contrast>,
    /// The names of [`WorstRow::columns`].
    pub columns: Vec<String>,
    /// Columns that cannot be shown as text: lists, and what xent does not read.
    pub left_out: Vec<String>,
}

/// Where one model loses.
#[derive(Clone, Debug)]
pub struct ModelWorst {
    /// All its scores, those of each true class and slice among them.
    pub score: ModelScore,
    /// The rows of the highest loss, the highest first.
    pub rows: Vec<WorstRow>,
    /// The share of the loss in the worst rows, for each of [`SHARES`] that makes at least one row; none where rows cost
    /// infinity, which are all of the loss.
    pub shares: Vec<(f64, f64)>,
    /// The rows of each true class, the largest part of the loss first; none where targets are soft.
    pub classes: Vec<Part>,
    /// The rows of each slice, the largest part of the loss first.
    pub slices: Vec<Part>,
    /// The mean loss under each floor, no floor first; empty if none is asked for.
    pub floors: Vec<Floor>,
}

/// Some of the rows, and their part of the loss.
#[derive(Clone, Debug)]
pub struct Part {
    /// The true class, or the values of the slice columns.
    pub key: Vec<String>,
    /// Their scores.
    pub scores: Scores,
    /// Their share of the weight.
    pub share_of_rows: f64,
    /// Their share of the loss, rows of infinite loss left out; NaN if there is no loss.
    pub share_of_loss: f64,
}

/// The rows on which one model loses most against another.
#[derive(Clone, Debug)]
pub struct Contrast {
    /// The model that loses, an index into [`Worst::models`].
    pub worse: usize,
    /// The other.
    pub better: usize,
    /// Rows with a higher loss under the first, the largest difference first.
    pub rows: Vec<WorstRow>,
}

/// What a worker adds up.
struct State {
    models: Vec<ModelState>,
    floors: Vec<FloorState>,
}

/// Finds the worst rows of one table, or of two tables that hold the same rows in the same order.
///
/// Of two tables the second one's predictions, label and id are held in memory. The one model of a second table, or
/// the second of two models side by side ([`crate::Roles::models`]), is also contrasted with the first.
///
/// # Errors
///
/// The first thing wrong with a table; rows whose labels or ids differ; more than two tables, or two that hold several
/// models.
///
/// # Example
///
/// ```
/// use xent_eval::{Source, WorstOptions, worst};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("model1.csv");
/// # std::fs::write(&path, "other,republican,democrat,party\n0.3,0.3,0.4,democrat\n0.3,0.4,0.3,republican\n0.1,0.2,0.7,other\n")?;
/// let source = Source::open(path.to_str().unwrap(), &Default::default())?;
/// let options = WorstOptions { n: 1, ..WorstOptions::default() };
/// let found = worst(vec![source], &options, &mut ())?;
/// let row = &found.models[0].rows[0];
/// assert_eq!((row.row, row.label.as_str()), (3, "other"));
/// assert_eq!(row.models[0].label_probability, Some(0.1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn worst(
    sources: Vec<Source>,
    options: &WorstOptions,
    observer: &mut dyn Observer,
) -> Result<Worst, Error> {
    let score = Options { per_class: true, ..options.score.clone() };
    let (source, binding, checks) = pair::join(sources, &score.roles)?;
    let table = &source.table;
    let names: Vec<String> = binding.models.iter().filter_map(|m| m.name.clone()).collect();
    let classes = binding.classes.clone();
    let scorer =
        Scorer::new(table, binding, &classes, &score.rules, score.missing)?.with_predictions();
    let n_models = scorer.binding().models.len();
    let mut requests = scorer.requests().to_vec();
    let others = OtherColumns::find(table, &scorer, &checks, &mut requests);
    let checks = checks.request(table, &mut requests);
    let lists = Lists::new(n_models, options.n);
    let keep = score.keep();
    let new_state = || State {
        models: (0..n_models).map(|_| ModelState::new(classes.len(), keep, &score.rules)).collect(),
        floors: (0..n_models).map(|_| FloorState::new(&options.floors, classes.len())).collect(),
    };
    let pool: Mutex<Vec<State>> = Mutex::new(Vec::new());
    let too_many = AtomicBool::new(false);
    let map = |batch: &xent_io::Batch| {
        let block = scorer.block(batch)?;
        checks.check(batch, &block, &classes)?;
        let found = lists.candidates(batch, &block, &classes, &others);
        let taken = pool.lock().ok().and_then(|mut pool| pool.pop());
        let mut state = taken.unwrap_or_else(new_state);
        let (told, rest) = update(&mut state.models, block, &score, false);
        for (floors, (scores, predictions)) in
            state.floors.iter_mut().zip(rest.scores.iter().zip(&rest.predictions))
        {
            floors.update(scores, predictions, &rest.target, rest.weights.as_deref(), &score.rules);
        }
        scorer.recycle(rest);
        if state.models.iter().any(|s| s.slices.len() > SLICES) {
            too_many.store(true, Ordering::Relaxed);
        }
        if let Ok(mut pool) = pool.lock() {
            pool.push(state);
        }
        Ok((told, found))
    };
    let mut kept = lists.empty();
    let mut progress = Progress::default();
    let (mut loss, mut finite, mut dropped) = (0.0, 0_u64, 0);
    let mut infinite: Vec<Vec<u64>> = vec![Vec::new(); n_models];
    let each = |(told, found): (crate::score::Told, rows::Found), span: xent_io::Span| {
        if too_many.load(Ordering::Relaxed) {
            return Err(too_many_slices(table));
        }
        for (list, rows) in infinite.iter_mut().zip(&told.infinite) {
            let room = INFINITE_LISTED - list.len();
            list.extend(rows.iter().take(room).map(|&r| span.first_row + r as u64 + 1));
        }
        lists.add(&mut kept, found, span.first_row);
        loss += told.loss;
        finite += told.finite as u64;
        dropped += told.dropped;
        progress.rows += span.rows as u64;
        progress.bytes = span.bytes_read;
        progress.cross_entropy = loss / finite as f64 / std::f64::consts::LN_2;
        go_on(observer.progress(&progress))
    };
    let scan = ScanOptions { backlog: Some(16), ..score.scan(score.threads) };
    table
        .scan(&requests, &scan, map, each)
        .map_err(|error| detective::explain(error, table, scorer.binding(), &score.rules))?;

    let mut state = new_state();
    for worker in pool.into_inner().unwrap_or_default() {
        for (mine, theirs) in state.models.iter_mut().zip(worker.models) {
            mine.merge(theirs);
        }
        for (mine, theirs) in state.floors.iter_mut().zip(&worker.floors) {
            mine.merge(theirs);
        }
    }
    if state.models.iter().any(|s| s.slices.len() > SLICES) {
        return Err(too_many_slices(table));
    }
    let (mut listed, contrasts) = lists.finish(kept);
    let mut models = Vec::new();
    for (i, (mut model, floors)) in state.models.into_iter().zip(state.floors).enumerate() {
        let parts = model.slices.values_mut().chain(model.per_class.values_mut());
        parts.for_each(|part| part.adopt(&model.total));
        if model.total.is_soft() {
            model.per_class.clear();
        }
        check_rows(table, &model.total, dropped)?;
        let Some(baseline) = model.total.baseline(score.rules.label_smoothing, score.level) else {
            continue;
        };
        let shares = SHARES.map(|f| (f, model.total.worst_share(f).unwrap_or(f64::NAN)));
        let finished = ModelScore {
            name: names.get(i).cloned().unwrap_or_else(|| source.name.clone()),
            source: checks.spec(i, table),
            shape: checks.shape(Shape::new(table, scorer.binding(), i, score.rules.input)),
            infinite_rows: std::mem::take(&mut infinite[i]),
            dropped,
            ..finish(model, baseline, &classes, &score)?
        };
        let n = finished.scores.effective_rows;
        let is_finite = finished.scores.infinite_rows == 0;
        models.push(ModelWorst {
            rows: std::mem::take(&mut listed[i]),
            shares: shares.into_iter().filter(|(f, _)| f * n >= 1.0 && is_finite).collect(),
            classes: parts_of(
                &finished.scores,
                finished.per_class.iter().map(|(c, s)| (vec![classes[*c as usize].clone()], s)),
            ),
            slices: parts_of(
                &finished.scores,
                finished.slices.iter().map(|(key, s)| (key.clone(), s)),
            ),
            floors: floors.finish(&finished.scores, score.level),
            score: finished,
        });
    }
    let (columns, left_out) = others.names(table);
    Ok(Worst { models, contrasts, columns, left_out })
}

/// Parts with their shares, the largest part of the loss first.
fn parts_of<'a>(
    total: &Scores,
    parts: impl Iterator<Item = (Vec<String>, &'a Scores)>,
) -> Vec<Part> {
    // A mean that does not exist stands for no rows.
    let loss = |s: &Scores| {
        let weight = s.weight - s.infinite_weight;
        if weight > 0.0 { s.finite_log_loss.value * weight } else { 0.0 }
    };
    let all = loss(total);
    let mut parts: Vec<Part> = parts
        .map(|(key, scores)| Part {
            key,
            share_of_rows: scores.weight / total.weight,
            share_of_loss: if all > 0.0 { loss(scores) / all } else { f64::NAN },
            scores: scores.clone(),
        })
        .collect();
    parts.sort_by(|a, b| {
        let infinite = b.scores.infinite_rows.cmp(&a.scores.infinite_rows);
        infinite
            .then_with(|| b.share_of_loss.total_cmp(&a.share_of_loss))
            .then_with(|| a.key.cmp(&b.key))
    });
    parts
}

#[cfg(test)]
#[path = "worst/tests.rs"]
mod tests;
