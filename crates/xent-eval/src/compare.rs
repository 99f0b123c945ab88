//! Comparing models over the same rows: rows matched by position, by identity, side by side or stacked.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, sync_channel};

use xent::calibration::held::{HeldRows, HeldTable};
use xent::compare::{Comparison, ScoreDifference};
use xent::rows::Rules;
use xent::score::Keep;
use xent_io::Table;

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
                let slice = self
                    .slices
                    .entry(keys[key].clone())
                    .or_insert_with(|| Comparison::new(n, self.n_classes, slim));
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

    let mut state = if stacked || by_id {
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
            by_position(&tables, &scorers, options, &order, &classes, state, observer)?
        };
        state.progress.rows = state.rows;
        state
    };
    matching.matched = state.rows;
    matching.dropped = state.dropped;
    finish(entries, &mut state, classes, matching, options)
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

/// All rows of a table, scored and held.
fn load(
    table: &Table,
    scorer: &Scorer,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Block, Error> {
    let mut all = Block::default();
    let mut progress = Progress { cross_entropy: f64::NAN, ..Progress::default() };
    let scanned = table.scan(
        scorer.requests(),
        &options.scan(options.threads),
        |batch| scorer.block(batch),
        |block, span| -> Result<(), Error> {
            all.append(block);
            progress.rows += span.rows as u64;
            progress.bytes = span.bytes_read;
            go_on(observer.progress(&progress))
        },
    );
    scanned.map_err(|error| explain(error, table, scorer.binding(), &options.rules))?;
    all.numbers = vec![(1..=all.rows as u64).collect()];
    Ok(all)
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

/// Tables in lockstep: row i of each is the same case.
fn by_position(
    tables: &[&Table],
    scorers: &[Scorer],
    options: &Options,
    order: &[usize],
    classes: &[String],
    mut state: State,
    observer: &mut dyn Observer,
) -> Result<State, Error> {
    let threads = (options.threads / tables.len()).max(1);
    std::thread::scope(|scope| {
        let mut streams: Vec<Stream> = Vec::new();
        for (table, scorer) in tables.iter().zip(scorers) {
            // Batches differ in rows between formats: a few wait for the slowest table.
            let (send, receive) = sync_channel::<Result<(Block, u64), Error>>(4);
            scope.spawn(move || {
                let result = table.scan(
                    scorer.requests(),
                    &options.scan(threads),
                    |batch| scorer.block(batch),
                    |block, span| -> Result<(), Stop> {
                        send.send(Ok((block, span.bytes_read))).map_err(|_| Stop::Left)
                    },
                );
                if let Err(Stop::Error(error)) = result {
                    let error = explain(error, table, scorer.binding(), &options.rules);
                    let _ = send.send(Err(error));
                }
            });
            streams.push(Stream { receive, waiting: VecDeque::new(), at: 0, rows: 0, bytes: 0 });
        }
        loop {
            for stream in &mut streams {
                stream.fill()?;
            }
            let n = streams.iter().map(Stream::front).min().unwrap_or_default();
            if n == 0 {
                return check_ends(tables, &mut streams, state);
            }
            let row = streams[0].rows;
            let mut blocks: Vec<Block> = streams.iter_mut().map(|s| s.take(n)).collect();
            for i in 1..blocks.len() {
                let (a, b) = (&blocks[0], &blocks[i]);
                if let Some(r) = (0..n).find(|&r| !same_truth(a, b, r)) {
                    return Err(labels_differ(
                        [tables[0].spec(), tables[i].spec()],
                        &format!("row {}", row + r as u64 + 1),
                        [a.target.describe(r, classes), b.target.describe(r, classes)],
                        "models are compared on the same rows; match rows by a column with --id",
                    ));
                }
                let place = |r: usize| format!("row {}", row + r as u64 + 1);
                check_weights(a, b, [tables[0].spec(), tables[i].spec()], place)?;
                check_slices(a, b, [tables[0].spec(), tables[i].spec()], place)?;
            }
            let bytes = streams.iter().map(|s| s.bytes).sum();
            let mut joined = std::mem::take(&mut blocks[0]);
            for block in &mut blocks[1..] {
                joined.absent = either(joined.absent.take(), block.absent.take());
                joined.scores.append(&mut block.scores);
                joined.predictions.append(&mut block.predictions);
            }
            joined.reorder(order);
            state.update(joined)?;
            state.progress.bytes = bytes;
            go_on(observer.progress(&state.progress))?;
        }
    })
}

/// Why a table's scan stopped early.
enum Stop {
    Error(Error),
    /// The other side has left: there is an error elsewhere.
    Left,
}

impl From<xent_io::Error> for Stop {
    fn from(error: xent_io::Error) -> Self {
        Self::Error(error.into())
    }
}

struct Stream {
    receive: Receiver<Result<(Block, u64), Error>>,
    waiting: VecDeque<Block>,
    /// Rows of the first waiting block that are taken already.
    at: usize,
    rows: u64,
    bytes: u64,
}

impl Stream {
    /// Waits for a block, unless one is here or the table has ended.
    fn fill(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty()
            && let Ok(message) = self.receive.recv()
        {
            let (block, bytes) = message?;
            self.bytes = bytes;
            self.waiting.push_back(block);
        }
        Ok(())
    }

    fn front(&self) -> usize {
        self.waiting.front().map_or(0, |b| b.rows - self.at)
    }

    /// The first `n` rows.
    fn take(&mut self, n: usize) -> Block {
        self.rows += n as u64;
        let Some(block) = self.waiting.front() else { return Block::default() };
        let whole = self.at == 0 && block.rows == n;
        if whole {
            return self.waiting.pop_front().unwrap_or_default();
        }
        let some: Vec<usize> = (self.at..self.at + n).collect();
        let taken = block.take(&some);
        self.at += n;
        if self.at == block.rows {
            self.waiting.pop_front();
            self.at = 0;
        }
        taken
    }
}

/// One table has ended: all must have.
fn check_ends(tables: &[&Table], streams: &mut [Stream], state: State) -> Result<State, Error> {
    let ended = streams.iter().position(|s| s.front() == 0);
    let longer = streams.iter().position(|s| s.front() > 0);
    let (Some(ended), Some(longer)) = (ended, longer) else { return Ok(state) };
    // Counts the rest, so that the message has both lengths.
    let mut counts = [0, 0];
    for (count, i) in counts.iter_mut().zip([ended, longer]) {
        let stream = &mut streams[i];
        while stream.front() > 0 {
            let n = stream.front();
            drop(stream.take(n));
            stream.fill()?;
        }
        *count = stream.rows;
    }
    Err(Error::new(format!(
        "{} has {}, {} has {}",
        tables[ended].spec(),
        rows(counts[0]),
        tables[longer].spec(),
        counts[1]
    ))
    .with_hint("rows are matched by position; match them by a column with --id"))
}

fn rows(n: u64) -> String {
    if n == 1 { "1 row".to_owned() } else { format!("{n} rows") }
}

fn either(a: Option<Vec<bool>>, b: Option<Vec<bool>>) -> Option<Vec<bool>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.iter().zip(b).map(|(&a, b)| a || b).collect()),
        (a, b) => a.or(b),
    }
}

fn same_truth(a: &Block, b: &Block, row: usize) -> bool {
    is_left_out(a, b, row) || a.target.same(row, &b.target, row)
}

fn is_left_out(a: &Block, b: &Block, row: usize) -> bool {
    [a, b].iter().any(|block| block.absent.as_ref().is_some_and(|absent| absent[row]))
}

fn labels_differ(of: [&str; 2], place: &str, labels: [String; 2], hint: &str) -> Error {
    Error::new(format!(
        "the labels differ in {place}: {} in {}, {} in {}",
        xent_io::show(&labels[0]),
        of[0],
        xent_io::show(&labels[1]),
        of[1]
    ))
    .with_hint(hint)
}

fn check_weights(
    a: &Block,
    b: &Block,
    of: [&str; 2],
    place: impl Fn(usize) -> String + Copy,
) -> Result<(), Error> {
    let (Some(x), Some(y)) = (&a.weights, &b.weights) else { return Ok(()) };
    // A row that is left out under one model has no weight there.
    match (0..x.len()).find(|&i| x[i] != y[i] && !is_left_out(a, b, i)) {
        None => Ok(()),
        Some(i) => Err(Error::new(format!(
            "the weights differ in {}: {} in {}, {} in {}",
            place(i),
            x[i],
            of[0],
            y[i],
            of[1]
        ))
        .with_hint("models are compared on the same rows with the same weights")),
    }
}

fn check_slices(
    a: &Block,
    b: &Block,
    of: [&str; 2],
    place: impl Fn(usize) -> String + Copy,
) -> Result<(), Error> {
    let (Some((x, x_keys)), Some((y, y_keys))) = (&a.slices, &b.slices) else { return Ok(()) };
    let key = |of: &[u32], keys: &'_ [Vec<String>], i: usize| keys[of[i] as usize].join(", ");
    match (0..x.len()).find(|&i| x_keys[x[i] as usize] != y_keys[y[i] as usize]) {
        None => Ok(()),
        Some(i) => Err(Error::new(format!(
            "the slices differ in {}: {} in {}, {} in {}",
            place(i),
            xent_io::show(key(x, x_keys, i)),
            of[0],
            xent_io::show(key(y, y_keys, i)),
            of[1]
        ))
        .with_hint("models are compared on the same rows; match rows by a column with --id")),
    }
}

/// Matches held rows by identity, or by position within each model.
fn join(
    entries: &[Entry<'_>],
    mut blocks: Vec<Block>,
    classes: &[String],
    by_id: bool,
    matching: &mut Matching,
) -> Result<Block, Error> {
    let places: Vec<Vec<usize>> = if by_id {
        match_ids(entries, &blocks, matching)?
    } else {
        for (entry, block) in entries.iter().zip(&blocks) {
            if block.rows != blocks[0].rows {
                return Err(Error::new(format!(
                    "model {} has {}, model {} has {}",
                    entries[0].name,
                    rows(blocks[0].rows as u64),
                    entry.name,
                    block.rows
                ))
                .with_hint("rows are matched by position; match them by a column with --id"));
            }
        }
        vec![(0..blocks[0].rows).collect(); blocks.len()]
    };
    for (block, places) in blocks.iter_mut().zip(&places) {
        *block = block.take(places);
    }
    for (i, block) in blocks.iter().enumerate().skip(1) {
        let place = |r: usize| match &block.ids {
            Some(ids) if by_id => format!("the row with id {}", xent_io::show(&ids[r])),
            _ => format!("row {} of each model", r + 1),
        };
        // Models of one file are told apart by their names.
        let of = [&entries[0], &entries[i]];
        let of = if of[0].table.spec() == of[1].table.spec() {
            of.map(|entry| entry.name.as_str())
        } else {
            of.map(|entry| entry.table.spec())
        };
        if let Some(r) = (0..block.rows).find(|&r| !same_truth(&blocks[0], block, r)) {
            let labels = [blocks[0].target.describe(r, classes), block.target.describe(r, classes)];
            let hint = if by_id {
                "models are compared on the same rows with the same labels"
            } else {
                "models are compared on the same rows; match rows by a column with --id"
            };
            return Err(labels_differ(of, &place(r), labels, hint));
        }
        check_weights(&blocks[0], block, of, place)?;
        check_slices(&blocks[0], block, of, place)?;
    }
    let mut blocks = blocks.into_iter();
    let Some(mut joined) = blocks.next() else { return Ok(Block::default()) };
    for mut block in blocks {
        joined.absent = either(joined.absent.take(), block.absent.take());
        joined.scores.append(&mut block.scores);
        joined.predictions.append(&mut block.predictions);
        joined.numbers.append(&mut block.numbers);
    }
    Ok(joined)
}

/// For each model the places of the rows that all models have, in the first model's order.
fn match_ids(
    entries: &[Entry<'_>],
    blocks: &[Block],
    matching: &mut Matching,
) -> Result<Vec<Vec<usize>>, Error> {
    let empty = Vec::new();
    let mut maps: Vec<HashMap<&str, usize>> = Vec::new();
    for (entry, block) in entries.iter().zip(blocks) {
        let ids = block.ids.as_ref().unwrap_or(&empty);
        let mut map: HashMap<&str, usize> = HashMap::with_capacity(ids.len());
        let mut duplicates = 0;
        let mut first: Option<(usize, usize)> = None;
        for (row, id) in ids.iter().enumerate() {
            if id.is_empty() && block.absent.as_ref().is_some_and(|absent| absent[row]) {
                continue; // left out for its missing id
            }
            if let Some(before) = map.insert(id, row) {
                duplicates += 1;
                first.get_or_insert((before, row));
            }
        }
        if let Some((a, b)) = first {
            let more = if duplicates > 1 {
                format!(" ({duplicates} such rows in all)")
            } else {
                String::new()
            };
            let stacked = block.models.is_some();
            let of = if stacked { format!(" of model {}", entry.name) } else { String::new() };
            return Err(Error::new(format!(
                "{}: rows {} and {}{of} have the same id {}{more}",
                entry.table.spec(),
                a + 1,
                b + 1,
                xent_io::show(&ids[a])
            ))
            .with_hint(
                "ids must be unique under each model; models stacked in one file need --model-col",
            ));
        }
        maps.push(map);
    }
    let ids = blocks[0].ids.as_ref().unwrap_or(&empty);
    let mut places: Vec<Vec<usize>> = vec![Vec::new(); blocks.len()];
    for id in ids {
        let found: Option<Vec<usize>> = maps.iter().map(|m| m.get(id.as_str()).copied()).collect();
        if let Some(found) = found {
            for (places, place) in places.iter_mut().zip(found) {
                places.push(place);
            }
        }
    }
    let matched = places[0].len();
    matching.unmatched = blocks.iter().map(|b| (b.rows - matched) as u64).collect();
    if matched == 0 {
        let example = |i: usize| {
            blocks[i]
                .ids
                .as_ref()
                .and_then(|ids| ids.first())
                .map(xent_io::show)
                .unwrap_or_default()
        };
        return Err(Error::new("no id occurs under every model").with_hint(format!(
            "the first id is {} in {} and {} in {}",
            example(0),
            entries[0].table.spec(),
            example(1),
            entries[1].table.spec()
        )));
    }
    Ok(places)
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
    let wanted = Wanted { folds: options.folds, details: false, compared: true };
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
