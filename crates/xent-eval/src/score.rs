//! Scoring one table: every model in it, in parallel, in memory that does not grow with the rows.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use xent::calibration::held::HeldRows;
use xent::rows::{Input, RowScores, Rules, Target};
use xent::score::{Baseline, Keep, ScoreState, Scores};
use xent_io::{ScanOptions, Span, Table};

use crate::block::{Block, Missing, OwnedTarget, Scorer};
use crate::detective;
use crate::error::Error;
use crate::parts::{self, ModelParts, Wanted};
use crate::roles::{Binding, Roles};
use crate::source::Source;

/// Infinite rows listed at most; all are counted.
pub const INFINITE_LISTED: usize = 100;
/// Slices kept at most.
pub const SLICES: usize = 20_000;
/// The share of rows whose part of the loss is reported.
pub const WORST: f64 = 0.01;

/// How tables are scored.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the columns are.
    pub roles: Roles,
    /// How rows are scored; `rules.input` is that of the roles.
    pub rules: Rules,
    /// Rows with missing values.
    pub missing: Missing,
    /// Level of the intervals, 0.95 for 95%.
    pub level: f64,
    /// Keep the confusion matrix.
    pub confusion: bool,
    /// Keep the scores of each true class.
    pub per_class: bool,
    /// Parts of the scores by recalibrations of so many folds too.
    pub folds: Option<u32>,
    /// Other decompositions of the scores too.
    pub decomposition: bool,
    /// Threads.
    pub threads: usize,
    /// Rows a batch, for tests; no result depends on it.
    pub batch_rows: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            roles: Roles::default(),
            rules: Rules::default(),
            missing: Missing::Error,
            level: 0.95,
            confusion: false,
            per_class: false,
            folds: None,
            decomposition: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            batch_rows: None,
        }
    }
}

impl Options {
    pub(crate) fn scan(&self, threads: usize) -> ScanOptions {
        ScanOptions { threads: threads.max(1), batch_rows: self.batch_rows, backlog: None }
    }

    pub(crate) fn keep(&self) -> Keep {
        Keep { classes: true, confusion: self.confusion, tail: true, means_only: false }
    }
}

/// How far a scan is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Rows so far.
    pub rows: u64,
    /// Bytes read so far.
    pub bytes: u64,
    /// Mean cross entropy of the rows so far, bits; infinite losses left out.
    pub cross_entropy: f64,
}

/// What is told while scanning: progress, and the scored rows in order.
pub trait Observer {
    /// Called after every batch; a break stops the scan with [`Error::is_stopped`].
    fn progress(&mut self, progress: &Progress) -> ControlFlow<()>;

    /// Whether [`rows`](Self::rows) is wanted.
    fn wants_rows(&self) -> bool {
        false
    }

    /// The rows of a batch, in row order.
    ///
    /// # Errors
    ///
    /// Whatever stops the scan.
    fn rows(&mut self, binding: &Binding, first_row: u64, block: &Block) -> Result<(), Error> {
        let _ = (binding, first_row, block);
        Ok(())
    }
}

/// Observes nothing.
impl Observer for () {
    fn progress(&mut self, _: &Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// The scores of one model, with all that was asked for.
#[derive(Clone, Debug)]
pub struct ModelScore {
    /// The model's name.
    pub name: String,
    /// The table as the user named it.
    pub source: String,
    /// The classes.
    pub classes: Vec<String>,
    /// How the columns were read.
    pub shape: Shape,
    /// The scores.
    pub scores: Scores,
    /// The model that knows only the class frequencies.
    pub baseline: Baseline,
    /// The parts of cross entropy and squared error; `None` only if not even one prediction
    /// can be held, for its many classes.
    pub parts: Option<ModelParts>,
    /// Share of the loss in the worst 1% of the rows.
    pub worst_share: f64,
    /// Data rows of infinite loss, counted from 1, at most the first hundred.
    pub infinite_rows: Vec<u64>,
    /// Rows left out for missing values.
    pub dropped: u64,
    /// True class, predicted class, weight.
    pub confusion: Vec<(u32, u32, f64)>,
    /// Scores of each true class that has rows.
    pub per_class: Vec<(u32, Scores)>,
    /// Scores of each slice, worst cross entropy first.
    pub slices: Vec<(Vec<String>, Scores)>,
}

/// What the columns of a table turned out to be, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The label column, or the target columns.
    pub label: String,
    /// The file of the label, if it is not that of the predictions.
    pub label_file: Option<String>,
    /// Whether labels are positions in the list of classes, and not names.
    pub label_positions: bool,
    /// Whether what is true is given as targets, a number a class.
    pub has_targets: bool,
    /// The prediction columns, in words.
    pub predictions: String,
    /// The prediction columns, each by its name.
    pub prediction_columns: Vec<String>,
    /// The number of first rows that are declared as logits and all look like probabilities: numbers from 0 to 1 that sum
    /// to 1. `None` if they are not declared so, or do not look so.
    pub probable_logits: Option<usize>,
    /// The weight column.
    pub weight: Option<String>,
    /// The slice columns.
    pub by: Vec<String>,
}

impl Shape {
    /// Describes model `model` of a binding.
    pub fn new(table: &Table, binding: &Binding, model: usize, input: Input) -> Self {
        use crate::roles::{PredictionColumns, TargetColumns};
        let name = |c: &usize| table.columns()[*c].name.clone();
        let names = |columns: &[usize]| match columns {
            [] => String::new(),
            [one] => name(one),
            [first, .., last] if columns.len() > 6 => format!("{} … {}", name(first), name(last)),
            _ => columns.iter().map(name).collect::<Vec<_>>().join(", "),
        };
        let (label, first) = match &binding.target {
            TargetColumns::Label(c) => (name(c), Some(c)),
            TargetColumns::PerClass(columns) => (names(columns), columns.first()),
            TargetColumns::List { column, .. } => (name(column), Some(column)),
            TargetColumns::Absent => (String::new(), None),
        };
        let is_beside = first.is_some_and(|c| table.is_beside(*c));
        let file = table.beside().filter(|_| is_beside).map(|other| other.spec().to_owned());
        let predictions = match &binding.models[model].columns {
            PredictionColumns::PerClass(columns) => &columns[..],
            PredictionColumns::List(c) | PredictionColumns::Positive(c) => std::slice::from_ref(c),
        };
        Self {
            label,
            label_file: file,
            label_positions: binding.positions.is_some(),
            has_targets: matches!(
                binding.target,
                TargetColumns::PerClass(_) | TargetColumns::List { .. }
            ),
            probable_logits: detective::probable_logits(table, binding, model, input),
            predictions: names(predictions),
            prediction_columns: predictions.iter().map(name).collect(),
            weight: binding.weight.as_ref().map(name),
            by: binding.by.iter().map(name).collect(),
        }
    }
}

/// The mergeable state of one model.
pub(crate) struct ModelState {
    pub(crate) total: ScoreState,
    pub(crate) held: HeldRows,
    pub(crate) slices: HashMap<Vec<String>, ScoreState>,
    pub(crate) per_class: HashMap<u32, ScoreState>,
}

impl ModelState {
    pub(crate) fn new(n_classes: usize, keep: Keep, rules: &Rules) -> Self {
        Self {
            total: ScoreState::new(n_classes, keep),
            held: HeldRows::new(n_classes, scored_input(rules)),
            slices: HashMap::new(),
            per_class: HashMap::new(),
        }
    }

    /// With so many rows to come, if that is known.
    fn expecting(mut self, rows: Option<u64>) -> Self {
        self.held = self.held.expecting(rows.unwrap_or(0));
        self
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.total.merge(&other.total);
        self.held.merge(other.held);
        for (key, state) in other.slices {
            match self.slices.get_mut(&key) {
                Some(mine) => mine.merge(&state),
                None => drop(self.slices.insert(key, state)),
            }
        }
        for (class, state) in other.per_class {
            match self.per_class.get_mut(&class) {
                Some(mine) => mine.merge(&state),
                None => drop(self.per_class.insert(class, state)),
            }
        }
    }
}

/// What a worker passes on about a batch.
pub(crate) struct Told {
    pub(crate) infinite: Vec<Vec<usize>>,
    pub(crate) loss: f64,
    pub(crate) finite: usize,
    pub(crate) dropped: u64,
    block: Option<Block>,
}

/// Scores every model of a table.
///
/// # Errors
///
/// The first thing wrong with the table, in row order, with its place.
///
/// # Example
///
/// ```
/// use xent_eval::{Options, Source, score};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("model2.csv");
/// # std::fs::write(&path, "other,republican,democrat,party\n0.1,0.2,0.7,democrat\n0.1,0.7,0.2,republican\n0.3,0.4,0.3,other\n")?;
/// let source = Source::open(path.to_str().unwrap(), &Default::default())?;
/// let model = &score(&source, &Options::default(), &mut ())?[0];
/// assert_eq!(format!("{:.3}", model.scores.cross_entropy().value), "0.922"); // bits
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn score(
    source: &Source,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Vec<ModelScore>, Error> {
    let table = &source.table;
    let binding = options.roles.bind(table)?;
    let classes = binding.classes.clone();
    let scorer =
        Scorer::new(table, binding, &classes, &options.rules, options.missing)?.with_predictions();
    let n_models = scorer.binding().models.len();
    let keep = options.keep();
    // As many rows as are declared come only if none is left out.
    let expected = table.row_hint().filter(|_| options.missing == Missing::Error);
    let new_states = || {
        (0..n_models)
            .map(|_| ModelState::new(classes.len(), keep, &options.rules).expecting(expected))
            .collect::<Vec<_>>()
    };
    // One set of states a worker: their merge has the same bits whatever each of them saw.
    let pool: Mutex<Vec<Vec<ModelState>>> = Mutex::new(Vec::new());
    let too_many = AtomicBool::new(false);
    let wants_rows = observer.wants_rows();
    let map = |batch: &xent_io::Batch| {
        let block = scorer.block(batch)?;
        let taken = pool.lock().ok().and_then(|mut pool| pool.pop());
        let mut states = taken.unwrap_or_else(new_states);
        let (told, rest) = update(&mut states, block, options, wants_rows);
        scorer.recycle(rest);
        if states.iter().any(|s| s.slices.len() > SLICES) {
            too_many.store(true, Ordering::Relaxed);
        }
        if let Ok(mut pool) = pool.lock() {
            pool.push(states);
        }
        Ok(told)
    };
    let mut progress = Progress::default();
    let (mut loss, mut finite, mut dropped) = (0.0, 0_u64, 0);
    let mut infinite: Vec<Vec<u64>> = vec![Vec::new(); n_models];
    let each = |told: Told, span: Span| -> Result<(), Error> {
        if too_many.load(Ordering::Relaxed) {
            return Err(too_many_slices(table));
        }
        for (list, rows) in infinite.iter_mut().zip(&told.infinite) {
            let room = INFINITE_LISTED - list.len();
            list.extend(rows.iter().take(room).map(|&r| span.first_row + r as u64 + 1));
        }
        loss += told.loss;
        finite += told.finite as u64;
        dropped += told.dropped;
        progress.rows += span.rows as u64;
        progress.bytes = span.bytes_read;
        progress.cross_entropy = loss / finite as f64 / std::f64::consts::LN_2;
        go_on(observer.progress(&progress))?;
        if let Some(block) = &told.block {
            observer.rows(scorer.binding(), span.first_row, block)?;
        }
        Ok(())
    };
    // What is told of a batch is small, unless the rows themselves are wanted.
    let backlog = Some(if wants_rows { 16 } else { 1024 });
    let scan = ScanOptions { backlog, ..options.scan(options.threads) };
    table
        .scan(scorer.requests(), &scan, map, each)
        .map_err(|error| detective::explain(error, table, scorer.binding(), &options.rules))?;

    let mut states = new_states();
    for worker in pool.into_inner().unwrap_or_default() {
        for (mine, theirs) in states.iter_mut().zip(worker) {
            mine.merge(theirs);
        }
    }
    // Of all workers together: how many each of them saw depends on the threads.
    if states.iter().any(|s| s.slices.len() > SLICES) {
        return Err(too_many_slices(table));
    }
    let mut models = Vec::new();
    for (i, (mut state, infinite)) in states.into_iter().zip(infinite).enumerate() {
        let parts = state.slices.values_mut().chain(state.per_class.values_mut());
        parts.for_each(|part| part.adopt(&state.total));
        if state.total.is_soft() {
            state.per_class.clear();
        }
        check_rows(table, &state.total, dropped)?;
        let bound = &scorer.binding().models[i];
        // The totals of the classes are always kept.
        let Some(baseline) = state.total.baseline(options.rules.label_smoothing, options.level)
        else {
            continue;
        };
        models.push(ModelScore {
            name: bound.name.clone().unwrap_or_else(|| source.name.clone()),
            source: table.spec().to_owned(),
            shape: Shape::new(table, scorer.binding(), i, options.rules.input),
            infinite_rows: infinite,
            dropped,
            ..finish(state, baseline, &classes, options)?
        });
    }
    Ok(models)
}

pub(crate) fn too_many_slices(table: &Table) -> Error {
    Error::new(format!("{}: more than {SLICES} slices", table.spec()))
        .with_hint("slice by columns with few distinct values")
}

/// No rows, or no weight, is an error and not a score.
pub(crate) fn check_rows(table: &Table, state: &ScoreState, dropped: u64) -> Result<(), Error> {
    if state.rows() > 0 {
        return Ok(());
    }
    let weightless = "every row has weight 0 or is left out";
    Err(if dropped > 0 {
        Error::new(format!("{}: {weightless}", table.spec()))
            .with_hint(format!("{dropped} rows have missing values"))
    } else if table.row_hint() == Some(0) || table.sample().rows() == 0 {
        Error::new(format!("{}: there are no rows", table.spec()))
            .with_hint("a header alone is not enough")
    } else {
        Error::new(format!("{}: all weights are 0", table.spec()))
            .with_hint("at least one row needs a positive weight")
    })
}

pub(crate) fn finish(
    state: ModelState,
    baseline: Baseline,
    classes: &[String],
    options: &Options,
) -> Result<ModelScore, Error> {
    let (total, level) = (&state.total, options.level);
    let scores = total.finish(level);
    let (details, threads) = (options.decomposition, options.threads);
    let wanted = Wanted { folds: options.folds, details, compared: false, threads };
    let table = state.held.finish();
    let finish = |table| parts::finish(table, &scores, &baseline, wanted, None);
    let parts = table.as_ref().map(finish).transpose()?;
    let mut slices: Vec<(Vec<String>, Scores)> =
        state.slices.iter().map(|(key, s)| (key.clone(), s.finish(level))).collect();
    slices.retain(|(_, s)| s.rows > 0);
    slices.sort_by(|a, b| {
        b.1.log_loss.value.total_cmp(&a.1.log_loss.value).then_with(|| a.0.cmp(&b.0))
    });
    let mut per_class: Vec<(u32, Scores)> =
        state.per_class.iter().map(|(&class, s)| (class, s.finish(level))).collect();
    per_class.retain(|(_, s)| s.rows > 0);
    per_class.sort_by_key(|(class, _)| *class);
    Ok(ModelScore {
        name: String::new(),
        source: String::new(),
        classes: classes.to_vec(),
        shape: Shape {
            label: String::new(),
            label_file: None,
            label_positions: false,
            has_targets: false,
            probable_logits: None,
            predictions: String::new(),
            prediction_columns: Vec::new(),
            weight: None,
            by: Vec::new(),
        },
        scores,
        baseline,
        parts,
        worst_share: total.worst_share(WORST).unwrap_or(f64::NAN),
        infinite_rows: Vec::new(),
        dropped: 0,
        confusion: total.confusion(),
        per_class,
        slices,
    })
}

/// Adds a block to the states of a worker.
pub(crate) fn update(
    states: &mut [ModelState],
    mut block: Block,
    options: &Options,
    wants_rows: bool,
) -> (Told, Block) {
    let rows = block.rows;
    let present = block.present();
    let full = present.as_ref().map(|_| block.clone()).filter(|_| wants_rows);
    if let Some(present) = &present {
        block = block.take(present);
    }
    let place = |i: usize| present.as_ref().map_or(i, |p| p[i]);
    let mut told = Told {
        infinite: Vec::new(),
        loss: 0.0,
        finite: 0,
        dropped: (rows - block.rows) as u64,
        block: None,
    };
    let weights = block.weights.as_deref();
    let weightless = |i: usize| weights.is_some_and(|w| w[i] == 0.0);
    for (m, (state, scores)) in states.iter_mut().zip(&block.scores).enumerate() {
        state.total.update(scores, block.target.target(), weights);
        if let Some(predictions) = block.predictions.get(m) {
            let smoothing = options.rules.label_smoothing;
            predictions.hold(&mut state.held, None, block.target.target(), weights, smoothing);
        }
        let mut infinite = Vec::new();
        let sum = quick_sum(&scores.log_loss);
        if sum.is_finite() {
            if m == 0 {
                told.loss += sum;
                told.finite += scores.len();
            }
        } else {
            for (i, &loss) in scores.log_loss.iter().enumerate() {
                if loss.is_infinite() && !weightless(i) {
                    infinite.push(place(i));
                } else if m == 0 && loss.is_finite() {
                    told.loss += loss;
                    told.finite += 1;
                }
            }
        }
        told.infinite.push(infinite);
        let slim = Keep::default();
        let n_classes = block.target.width();
        if let Some((of, keys)) = &block.slices {
            for (key, indices) in groups(of, keys.len()).into_iter().enumerate() {
                let slices = &mut state.slices;
                let state = match slices.get_mut(&keys[key]) {
                    Some(state) => state,
                    None => slices
                        .entry(keys[key].clone())
                        .or_insert_with(|| ScoreState::new(n_classes, slim)),
                };
                update_some(state, scores, &block.target, weights, &indices);
            }
        }
        if options.per_class
            && let OwnedTarget::Classes(labels) = &block.target
        {
            let top = labels.iter().max().map_or(0, |&c| c as usize + 1);
            for (class, indices) in groups(labels, top).into_iter().enumerate() {
                if indices.is_empty() {
                    continue;
                }
                let state = state
                    .per_class
                    .entry(class as u32)
                    .or_insert_with(|| ScoreState::new(n_classes, slim));
                update_some(state, scores, &block.target, weights, &indices);
            }
        }
    }
    if wants_rows {
        told.block = Some(full.unwrap_or(block));
        return (told, Block::default());
    }
    (told, block)
}

/// A sum to be shown while the rest comes: eight at a time, so that no addition waits for the one before.
fn quick_sum(values: &[f64]) -> f64 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += x);
    }
    sums.iter().chain(rest).sum()
}

/// What predictions are once they are scored.
pub(crate) fn scored_input(rules: &Rules) -> Input {
    match rules.input {
        Input::Logits if rules.clip > 0.0 => Input::LogProbabilities,
        input => input,
    }
}

pub(crate) fn go_on(flow: ControlFlow<()>) -> Result<(), Error> {
    if flow.is_break() { Err(Error::stopped()) } else { Ok(()) }
}

pub(crate) fn groups(of: &[u32], n: usize) -> Vec<Vec<usize>> {
    let mut groups = vec![Vec::new(); n];
    for (i, &group) in of.iter().enumerate() {
        groups[group as usize].push(i);
    }
    groups
}

fn update_some(
    state: &mut ScoreState,
    scores: &RowScores,
    target: &OwnedTarget,
    weights: Option<&[f64]>,
    indices: &[usize],
) {
    let taken = target.take(indices);
    let weights: Option<Vec<f64>> = weights.map(|w| indices.iter().map(|&i| w[i]).collect());
    let target: Target<'_> = taken.target();
    state.update(&scores.take(indices), target, weights.as_deref());
}
