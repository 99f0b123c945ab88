//! Comparing models over the same rows: rows matched by position, by identity, side by side or stacked.

mod in_step;
mod matched;
mod same;

use std::collections::HashMap;

use xent::calibration::held::{HeldRows, HeldTable};
use xent::compare::{Comparison, ScoreDifference};
use xent::rows::Rules;
use xent::score::Keep;
use xent_io::Table;

use in_step::{Identities, by_position};
use matched::{join, load};

use crate::block::{Block, Scorer};
use crate::detective::explain;
use crate::error::Error;
use crate::parts::{self, Compared, Wanted};
use crate::roles::Binding;
use crate::score::{
    INFINITE_LISTED, ModelScore, Observer, Options, Progress, SLICES, Shape, WORST, check_rows,
    go_on, groups, scored_input,
};
use crate::source::{Source, same_name};

/// How the rows of the models were matched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    /// The identity column; `None` if by position.
    pub id: Option<String>,
    /// Rows under every model.
    pub matched: u64,
    /// Rows of each model that some other model does not have.
    pub unmatched: Vec<u64>,
    /// Rows left out for a missing value under some model.
    pub dropped: u64,
}

/// Two or more models over the same rows.
#[derive(Clone, Debug)]
pub struct ModelComparison {
    /// The models' scores on the matched rows, the baseline first.
    pub models: Vec<ModelScore>,
    /// Differences from the baseline.
    pub differences: Vec<ScoreDifference>,
    /// How rows were matched.
    pub matching: Matching,
    /// Differences in each slice.
    pub slices: Vec<SliceComparison>,
}

/// The comparison in one slice.
#[derive(Clone, Debug)]
pub struct SliceComparison {
    /// The values of the slice columns.
    pub key: Vec<String>,
    /// Rows.
    pub rows: u64,
    /// Log loss of each model, nats, the baseline first.
    pub log_loss: Vec<f64>,
    /// Differences from the baseline; the adjusted p is Holm's over all slices (and models).
    pub differences: Vec<ScoreDifference>,
    /// For each difference its p adjusted by Benjamini and Hochberg's method: among the slices below
    /// 0.05, one in twenty is expected to be luck.
    pub p_bh: Vec<f64>,
}

/// The mergeable state of a comparison.
struct State {
    total: Comparison,
    /// The rows of each model by the hash of its own predictions; none once one of them is a sample.
    held: Vec<HeldRows>,
    /// By one hash of all models' predictions: samples of the same rows.
    joint: Vec<HeldRows>,
    label_smoothing: f64,
    slices: HashMap<Vec<String>, Comparison>,
    infinite: Vec<Vec<u64>>,
    rows: u64,
    dropped: u64,
    n_classes: usize,
    progress: Progress,
    loss: f64,
}

impl State {
    fn new(n_models: usize, n_classes: usize, keep: Keep, rules: &Rules) -> Self {
        let held = HeldRows::new(n_classes, scored_input(rules));
        Self {
            total: Comparison::new(n_models, n_classes, keep),
            held: vec![held.clone(); n_models],
            joint: vec![held; n_models],
            label_smoothing: rules.label_smoothing,
            slices: HashMap::new(),
            infinite: vec![Vec::new(); n_models],
            rows: 0,
            dropped: 0,
            n_classes,
            progress: Progress::default(),
            loss: 0.0,
        }
    }

    /// The rows held of each model: all, or the same sample of all models.
    fn take_tables(&mut self) -> Vec<Option<HeldTable>> {
        let finish = |states: Vec<HeldRows>| -> Vec<_> {
            states.into_iter().map(HeldRows::finish).collect()
        };
        let mut joint = std::mem::take(&mut self.joint);
        let own = finish(std::mem::take(&mut self.held));
        if !own.is_empty() && own.iter().flatten().all(|table| !table.is_sample()) {
            return own;
        }
        HeldRows::align(&mut joint);
        finish(joint)
    }

    /// Adds rows that are the same under every model: one block with one score a model.
    fn update(&mut self, block: Block) -> Result<(), Error> {
        let rows = block.rows as u64;
        let present = block.present();
        let mut block = match &present {
            Some(present) => block.take(present),
            None => block,
        };
        let slices = block.slices.take();
        let predictions = std::mem::take(&mut block.predictions);
        self.dropped += rows - block.rows as u64;
        let place = |i: usize| present.as_ref().map_or(i, |p| p[i]) as u64;
        let weights = block.weights.as_deref();
        for (m, (list, scores)) in self.infinite.iter_mut().zip(&block.scores).enumerate() {
            let numbers = block.numbers.get(m);
            if list.len() < INFINITE_LISTED {
                let found =
                    scores.log_loss.iter().enumerate().filter(|(i, loss)| {
                        loss.is_infinite() && weights.is_none_or(|w| w[*i] > 0.0)
                    });
                let number = |i: usize| numbers.map_or_else(|| self.rows + place(i) + 1, |n| n[i]);
                list.extend(found.map(|(i, _)| number(i)));
                list.truncate(INFINITE_LISTED);
            }
        }
        let target = block.target.target();
        let scores: Vec<_> = block.scores.iter().collect();
        self.total.update(&scores, target, weights);
        for (held, predictions) in self.held.iter_mut().zip(&predictions) {
            predictions.hold(held, None, target, weights, self.label_smoothing);
        }
        if self.held.iter().any(HeldRows::is_sample) {
            self.held.clear();
        }
        let mut keys = vec![0; block.rows];
        for (held, predictions) in self.joint.iter().zip(&predictions) {
            predictions.add_to_keys(held, &mut keys);
        }
        for (held, predictions) in self.joint.iter_mut().zip(&predictions) {
            predictions.hold(held, Some(&keys), target, weights, self.label_smoothing);
        }
        if let Some((of, keys)) = &slices {
            for (key, indices) in groups(of, keys.len()).into_iter().enumerate() {
                if indices.is_empty() {
                    continue;
                }
                let some = block.take(&indices);
                let n = self.total.models().len();
                let slim = Keep::default();
                let new = || Comparison::new(n, self.n_classes, slim);
                let slice = match self.slices.get_mut(&keys[key]) {
                    Some(slice) => slice,
                    None => self.slices.entry(keys[key].clone()).or_insert_with(new),
                };
                let scores: Vec<_> = some.scores.iter().collect();
                slice.update(&scores, some.target.target(), some.weights.as_deref());
            }
            if self.slices.len() > SLICES {
                return Err(Error::new(format!("more than {SLICES} slices"))
                    .with_hint("slice by columns with few distinct values"));
            }
        }
        self.rows += rows;
        if let Some(first) = block.scores.first() {
            self.loss += first.log_loss.iter().filter(|x| x.is_finite()).sum::<f64>();
        }
        self.progress.rows = self.rows;
        self.progress.cross_entropy = self.loss / self.rows as f64 / std::f64::consts::LN_2;
        Ok(())
    }
}

/// A model on its way into a comparison.
struct Entry<'a> {
    name: String,
    table: &'a Table,
    shape: Shape,
}

/// Compares the models of one or more tables; `baseline` names the one the others are compared with,
/// else it is the first.
///
/// Several tables hold one model each, matched by [`crate::Roles::id`] or by position; one table
/// holds several models side by side ([`crate::Roles::models`]) or stacked
/// ([`crate::Roles::model_col`]).
///
/// # Errors
///
/// The first thing wrong with a table; rows that do not match; labels that differ.
pub fn compare(
    sources: &[Source],
    options: &Options,
    baseline: Option<&str>,
    observer: &mut dyn Observer,
) -> Result<ModelComparison, Error> {
    let tables: Vec<&Table> = sources.iter().map(|s| &s.table).collect();
    let Some(first) = tables.first() else { return Err(Error::new("there is no table")) };
    let mut bindings: Vec<Binding> = Vec::new();
    for (i, table) in tables.iter().enumerate() {
        let mut roles = options.roles.clone();
        if i > 0 {
            // The slices are those of the first table; where others have the columns, they must agree.
            roles.by.retain(|by| table.column(by).is_some());
            if roles.by.len() < options.roles.by.len() {
                roles.by.clear();
            }
        }
        bindings.push(roles.bind(table)?);
    }
    let classes = bindings[0].classes.clone();
    let scorers: Vec<Scorer> = tables
        .iter()
        .zip(bindings)
        .map(|(t, b)| {
            let scorer = Scorer::new(t, b, &classes, &options.rules, options.missing)?;
            Ok(scorer.with_predictions())
        })
        .collect::<Result<_, Error>>()?;
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for (source, scorer) in sources.iter().zip(&scorers) {
        let table = &source.table;
        for (i, model) in scorer.binding().models.iter().enumerate() {
            entries.push(Entry {
                name: model.name.clone().unwrap_or_else(|| source.name.clone()),
                table,
                shape: Shape::new(table, scorer.binding(), i, options.rules.input),
            });
        }
    }
    let stacked = options.roles.model_col.is_some();
    let by_id = options.roles.id.is_some();
    let by_id = by_id && (stacked || tables.len() > 1);
    let id = options.roles.id.clone().filter(|_| by_id);
    let mut matching = Matching { id, ..Matching::default() };

    let in_step = if by_id && !stacked {
        same_order(&tables, &scorers, &entries, options, baseline, &classes, observer)?
    } else {
        None
    };
    let mut state = if let Some((order, state)) = in_step {
        reorder(&mut entries, &order);
        matching.unmatched = vec![0; entries.len()];
        state
    } else if stacked || by_id {
        // Rows that are not in one order under all models are held and matched.
        let mut parts: Vec<(Entry<'_>, Block)> = Vec::new();
        for (i, (table, scorer)) in tables.iter().zip(&scorers).enumerate() {
            let block = load(table, scorer, options, observer)?;
            if let Some(models) = &block.models {
                let mut names: Vec<&String> = Vec::new();
                let mut of = Vec::with_capacity(models.len());
                let mut places: HashMap<&String, u32> = HashMap::new();
                for name in models {
                    of.push(*places.entry(name).or_insert_with(|| {
                        names.push(name);
                        names.len() as u32 - 1
                    }));
                }
                if names.len() > 1000 {
                    return Err(Error::new(format!("{}: more than 1000 models", table.spec()))
                        .with_hint("--model-col names the column that holds the model's name"));
                }
                for (name, indices) in names.iter().zip(groups(&of, names.len())) {
                    let shape = Shape::new(table, scorer.binding(), 0, options.rules.input);
                    let entry = Entry { name: (*name).clone(), table, shape };
                    parts.push((entry, block.take(&indices)));
                }
            } else {
                let entry =
                    Entry { name: entries[i].name.clone(), table, shape: entries[i].shape.clone() };
                parts.push((entry, block));
            }
        }
        let (held, blocks): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        entries = held;
        let order = order_of(&entries, baseline)?;
        let mut blocks: Vec<Option<Block>> = blocks.into_iter().map(Some).collect();
        let blocks: Vec<Block> = order.iter().filter_map(|&i| blocks[i].take()).collect();
        reorder(&mut entries, &order);
        let mut state = State::new(entries.len(), classes.len(), options.keep(), &options.rules);
        let joined = join(&entries, blocks, &classes, by_id, &mut matching)?;
        state.update(joined)?;
        state
    } else {
        let order = order_of(&entries, baseline)?;
        reorder(&mut entries, &order);
        let state = State::new(entries.len(), classes.len(), options.keep(), &options.rules);
        let mut state = if tables.len() == 1 {
            side_by_side(first, &scorers[0], options, &order, state, observer)?
        } else {
            by_position(&tables, &scorers, options, &order, None, state, observer)?
        };
        state.progress.rows = state.rows;
        state
    };
    matching.matched = state.rows;
    matching.dropped = state.dropped;
    finish(entries, &mut state, classes, matching, options)
}

/// The comparison of tables whose rows have the same identities in the same order, as they mostly have: nothing is held then.
/// `None` if they have not, or if there is anything else that keeps them from being compared so.
#[allow(clippy::type_complexity, reason = "the order and the state, if there are any")]
fn same_order(
    tables: &[&Table],
    scorers: &[Scorer],
    entries: &[Entry<'_>],
    options: &Options,
    baseline: Option<&str>,
    classes: &[String],
    observer: &mut dyn Observer,
) -> Result<Option<(Vec<usize>, State)>, Error> {
    // A pipe cannot be read again.
    if tables.iter().any(|table| table.byte_len().is_none()) {
        return Ok(None);
    }
    let order = order_of(entries, baseline)?;
    let state = State::new(entries.len(), classes.len(), options.keep(), &options.rules);
    let mut ids = Identities::default();
    let read = by_position(tables, scorers, options, &order, Some(&mut ids), state, observer);
    match read {
        Err(error) if error.is_stopped() => Err(error),
        Ok(mut state) if ids.are_unique() => {
            state.progress.rows = state.rows;
            Ok(Some((order, state)))
        }
        // Who matches the rows says what is wrong with them.
        _ => Ok(None),
    }
}

/// The order of the models with the baseline first.
fn order_of(entries: &[Entry<'_>], baseline: Option<&str>) -> Result<Vec<usize>, Error> {
    if entries.len() < 2 {
        return Err(Error::new("there is only one model to compare").with_hint(
            "name two files, or several models in one file with --models or --model-col",
        ));
    }
    for (i, entry) in entries.iter().enumerate() {
        if let Some(other) = entries[..i].iter().find(|e| e.name == entry.name) {
            return Err(same_name(&entry.name, other.table.spec(), entry.table.spec()));
        }
    }
    let first = match baseline {
        None => 0,
        Some(name) => entries.iter().position(|e| e.name == name).ok_or_else(|| {
            let names: Vec<String> = entries.iter().map(|e| e.name.clone()).collect();
            Error::new(format!("there is no model {name}"))
                .with_hint(format!("the models are {}", crate::roles::short(&names)))
        })?,
    };
    Ok(std::iter::once(first).chain((0..entries.len()).filter(|&i| i != first)).collect())
}

fn reorder(entries: &mut Vec<Entry<'_>>, order: &[usize]) {
    let mut slots: Vec<Option<Entry<'_>>> = entries.drain(..).map(Some).collect();
    entries.extend(order.iter().filter_map(|&i| slots[i].take()));
}

fn side_by_side(
    table: &Table,
    scorer: &Scorer,
    options: &Options,
    order: &[usize],
    mut state: State,
    observer: &mut dyn Observer,
) -> Result<State, Error> {
    let scanned = table.scan(
        scorer.requests(),
        &options.scan(options.threads),
        |batch| scorer.block(batch),
        |mut block, span| -> Result<(), Error> {
            block.reorder(order);
            state.update(block)?;
            state.progress.bytes = span.bytes_read;
            go_on(observer.progress(&state.progress))
        },
    );
    scanned.map_err(|error| explain(error, table, scorer.binding(), &options.rules))?;
    Ok(state)
}

fn finish(
    entries: Vec<Entry<'_>>,
    state: &mut State,
    classes: Vec<String>,
    matching: Matching,
    options: &Options,
) -> Result<ModelComparison, Error> {
    let (level, top_k) = (options.level, &options.rules.top_k);
    let mut models = Vec::new();
    let threads = options.threads;
    let wanted = Wanted { folds: options.folds, details: false, compared: true, threads };
    let tables = state.take_tables();
    let log_losses: Vec<f64> =
        state.total.models().iter().map(|model| model.log_loss(level).value).collect();
    let compared = Compared::new(&tables, &log_losses);
    for (i, (entry, table)) in entries.into_iter().zip(&tables).enumerate() {
        let model = &state.total.models()[i];
        check_rows(entry.table, model, state.dropped)?;
        let Some(baseline) = model.baseline(options.rules.label_smoothing, level) else { continue };
        let scores = model.finish(level);
        let finish = |table| parts::finish(table, &scores, &baseline, wanted, compared.as_ref());
        models.push(ModelScore {
            parts: table.as_ref().map(finish).transpose()?,
            name: entry.name,
            source: entry.table.spec().to_owned(),
            classes: classes.clone(),
            shape: entry.shape,
            scores,
            baseline,
            worst_share: model.worst_share(WORST).unwrap_or(f64::NAN),
            infinite_rows: state.infinite[i].clone(),
            dropped: state.dropped,
            confusion: model.confusion(),
            per_class: Vec::new(),
            slices: Vec::new(),
        });
    }
    let differences = state.total.finish(top_k, level);
    let slices = finish_slices(state, top_k, level);
    Ok(ModelComparison { models, differences, matching, slices })
}

/// The slices, the largest loss against the baseline first, p adjusted over all of them.
fn finish_slices(state: &mut State, top_k: &[u32], level: f64) -> Vec<SliceComparison> {
    state.slices.values_mut().for_each(|slice| slice.adopt(&state.total));
    let mut slices: Vec<SliceComparison> = state
        .slices
        .iter()
        .filter(|(_, slice)| slice.models()[0].rows() > 0)
        .map(|(key, slice)| {
            let differences = slice.finish(top_k, level);
            SliceComparison {
                key: key.clone(),
                rows: slice.models()[0].rows(),
                log_loss: slice.models().iter().map(|m| m.log_loss(level).value).collect(),
                p_bh: differences.iter().map(|d| d.p).collect(),
                differences,
            }
        })
        .collect();
    let worst = |slice: &SliceComparison| {
        let bits = slice.differences.iter().filter(|d| d.score == xent::compare::Score::LogLoss);
        bits.map(|d| d.estimate.value).fold(f64::NEG_INFINITY, f64::max)
    };
    slices.sort_by(|a, b| worst(b).total_cmp(&worst(a)).then_with(|| a.key.cmp(&b.key)));
    let n = slices.first().map_or(0, |s| s.differences.len());
    let n_models = state.total.models().len().saturating_sub(1).max(1);
    // Each score by itself, over every slice and model.
    let n_scores = n / n_models;
    for score in 0..n_scores {
        let which = |m: usize| m * n_scores + score;
        let p: Vec<f64> = slices
            .iter()
            .flat_map(|s| (0..n_models).map(move |m| s.differences[which(m)].p))
            .collect();
        let (holm, bh) = (xent::special::holm(&p), xent::special::benjamini_hochberg(&p));
        for (i, slice) in slices.iter_mut().enumerate() {
            for m in 0..n_models {
                slice.differences[which(m)].p_adjusted = holm[i * n_models + m];
                slice.p_bh[which(m)] = bh[i * n_models + m];
            }
        }
    }
    slices
}
