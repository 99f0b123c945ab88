//! What the reports of `score` and `compare` share: the first lines, the score rows, the notes.

use serde_json::{Map, Value, json};
use xent::compare::Score;
use xent::moments::Estimate;
use xent::rows::{Input, SUM_NOTE, Sums};
use xent::score::{Baseline, Scores};
use xent_eval::{ModelScore, Options};

use crate::json::number;
use crate::number::{counted, decimals_for, fixed, percent, significant};
use crate::text::{escape_terminal, truncate_middle};
use crate::{Block, Cell};

/// The name of the model that knows only the class frequencies, in tables.
pub(crate) const BASE_RATE: &str = "base rate";
/// A difference or standard error below this part of the losses is rounding and says nothing about
/// digits.
pub(crate) const ROUNDING: f64 = 1e-12;
/// Classes named in the first line.
const CLASSES_NAMED: usize = 8;
/// Columns of a name in the first two lines.
const NAME: usize = 40;
/// Rows of a long table shown to a person; CSV and JSON have all.
pub const SHOWN: usize = 40;

/// A score as a row of a table.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    pub score: Score,
    /// Place of a top-k error among the top-k errors; 0 for the others.
    place: usize,
}

impl Line {
    pub(crate) fn title(&self) -> String {
        match self.score {
            Score::ErrorRate => "error rate".to_owned(),
            Score::Mse => "mean squared error".to_owned(),
            Score::BrierHalf => "half the squared error".to_owned(),
            Score::CrossEntropy => "cross entropy, bits".to_owned(),
            Score::LogLoss => "log loss, nats".to_owned(),
            Score::Perplexity => "perplexity".to_owned(),
            Score::TopK(k) => format!("top-{k} error"),
        }
    }

    /// This score of a model.
    pub(crate) fn of(&self, scores: &Scores) -> Estimate {
        match self.score {
            Score::ErrorRate => scores.error_rate,
            Score::Mse => scores.mse,
            Score::BrierHalf => scores.brier_half(),
            Score::CrossEntropy => scores.cross_entropy(),
            Score::LogLoss => scores.log_loss,
            Score::Perplexity => scores.perplexity(),
            Score::TopK(_) => {
                let errors = scores.top_k_error.get(self.place).copied();
                errors.unwrap_or(Estimate::without_error(f64::NAN))
            }
        }
    }

    /// This score of the class frequencies; there is none for top-k errors.
    pub(crate) fn base(&self, baseline: &Baseline) -> Option<Estimate> {
        match self.score {
            Score::ErrorRate => Some(baseline.error_rate),
            Score::Mse => Some(baseline.mse),
            Score::BrierHalf => Some(baseline.brier_half()),
            Score::CrossEntropy => Some(baseline.cross_entropy()),
            Score::LogLoss => Some(baseline.log_loss),
            Score::Perplexity => Some(baseline.perplexity()),
            Score::TopK(_) => None,
        }
    }
}

/// The score rows, in the order people read them.
pub(crate) fn lines(top_k: &[u32]) -> Vec<Line> {
    let always =
        [Score::ErrorRate, Score::Mse, Score::CrossEntropy, Score::LogLoss, Score::Perplexity];
    let line = |score, place| Line { score, place };
    let top_k = top_k.iter().enumerate().map(|(place, &k)| line(Score::TopK(k), place));
    always.into_iter().map(|score| line(score, 0)).chain(top_k).collect()
}

/// The same for programs, with half the squared error.
pub(crate) fn every_line(top_k: &[u32]) -> Vec<Line> {
    let mut lines = lines(top_k);
    lines.insert(2, Line { score: Score::BrierHalf, place: 0 });
    lines
}

/// `95%`
pub(crate) fn level(options: &Options) -> String {
    level_name(options.level)
}

/// `95%`
pub(crate) fn level_name(level: f64) -> String {
    let level = fixed(level * 100.0, 6);
    format!("{}%", level.trim_end_matches('0').trim_end_matches('.'))
}

/// Whether a p-value speaks against chance at a confidence level: at most 1 - level, which may be a rounding below it.
pub(crate) fn is_unlikely(p: f64, level: f64) -> bool {
    p <= 1.0 - level + 1e-12
}

/// Decimals that make sense for all the models' estimates of one score.
pub(crate) fn decimals<'a>(estimates: impl IntoIterator<Item = &'a Estimate>) -> usize {
    let is_real = |e: &&Estimate| e.se.is_finite() && e.se > ROUNDING * e.value.abs();
    let errors = estimates.into_iter().filter(is_real).map(|e| e.se);
    errors.map(decimals_for).min().unwrap_or(3).max(3)
}

pub(crate) fn value_cell(x: f64, decimals: usize) -> Cell {
    if x.is_nan() {
        Cell::missing()
    } else if x != 0.0 && x.abs() < 0.5 * 10_f64.powi(-(decimals as i32)) {
        // A tiny loss must not look like none.
        Cell::number(significant(x, 3), x)
    } else {
        Cell::number(fixed(x, decimals), x)
    }
}

/// A number for programs, all its digits.
pub(crate) fn exact_cell(x: f64) -> Cell {
    if x.is_nan() { Cell::missing() } else { Cell::number(x.to_string(), x) }
}

/// A standard error; one that is only rounding is 0.
pub(crate) fn error_cell(e: &Estimate, decimals: usize) -> Cell {
    if e.se > 0.0 && e.se <= ROUNDING * e.value.abs() {
        return Cell::number(fixed(0.0, decimals), e.se);
    }
    value_cell(e.se, decimals)
}

/// The share of the labels' entropy that a model explains, `1 - CE / H`.
pub(crate) fn explained(model: &ModelScore) -> f64 {
    if model.baseline.log_loss.value == 0.0 {
        return f64::NAN; // one class only: there is nothing to explain
    }
    1.0 - model.scores.log_loss.value / model.baseline.log_loss.value
}

pub(crate) fn explained_cell(model: &ModelScore) -> Cell {
    let share = explained(model);
    if share.is_finite() {
        Cell::number(percent(share, 1), share)
    } else if share == f64::NEG_INFINITY {
        Cell::number("-inf", share)
    } else {
        Cell::missing()
    }
}

/// `944 rows, 3 classes: democrat, independent, republican`
pub(crate) fn first_line(model: &ModelScore) -> String {
    let k = model.classes.len();
    let named: Vec<String> = model.classes.iter().take(CLASSES_NAMED).map(|c| short(c)).collect();
    let more = if k > CLASSES_NAMED { ", …" } else { "" };
    format!(
        "{}, {}: {}{more}",
        counted(model.scores.rows, "row", "rows"),
        counted(k as u64, "class", "classes"),
        named.join(", ")
    )
}

/// `label: party   predictions: p_* ...   input: probabilities   weights: ...`
pub(crate) fn second_line(models: &[ModelScore], options: &Options) -> String {
    let model = &models[0];
    let shape = &model.shape;
    let predictions = if models.iter().all(|m| m.shape.predictions == shape.predictions) {
        short_each(&shape.predictions)
    } else {
        let each =
            |m: &ModelScore| format!("{} ({})", short_each(&m.shape.predictions), short(&m.name));
        models.iter().map(each).collect::<Vec<_>>().join(", ")
    };
    let file = shape.label_file.as_ref().map(|file| format!(" of {}", short(file)));
    let positions = if shape.label_positions { " (positions in --classes, from 0)" } else { "" };
    let truth = if shape.has_targets { "targets" } else { "label" };
    let mut parts = vec![
        format!("{truth}: {}{}{positions}", short_each(&shape.label), file.unwrap_or_default()),
        format!("predictions: {predictions}"),
        format!("input: {}", options.rules.input.name()),
    ];
    if let Some(weight) = &shape.weight {
        let kind = if model.scores.weights_are_importances { "importances" } else { "counts" };
        parts.push(format!("weights: {} ({kind})", short(weight)));
    }
    if options.rules.clip > 0.0 {
        parts.push(format!("clip: {}", options.rules.clip));
    }
    if options.rules.label_smoothing > 0.0 {
        parts.push(format!("label smoothing: {}", options.rules.label_smoothing));
    }
    match options.rules.sums {
        Sums::Strict => {}
        Sums::Normalize => parts.push("sums: normalize".to_owned()),
        Sums::AsIs => parts.push("sums: as-is".to_owned()),
    }
    parts.join("     ")
}

/// A name cut to [`NAME`] columns, safe to print.
pub(crate) fn short(name: &str) -> String {
    truncate_middle(&escape_terminal(name), NAME).into_owned()
}

/// The names of a list such as `a, b` or `a … z`, each cut.
fn short_each(names: &str) -> String {
    let range = |part: &str| part.split(" … ").map(short).collect::<Vec<_>>().join(" … ");
    names.split(", ").map(range).collect::<Vec<_>>().join(", ")
}

/// What a reader must know about the rows: nothing was done silently.
pub(crate) fn notes(models: &[ModelScore], options: &Options) -> Vec<Block> {
    let mut blocks = Vec::new();
    let several = models.len() > 1;
    for model in models {
        let of = if several { format!("{}: ", model.name) } else { String::new() };
        let notes = &model.scores.notes;
        infinite_note(model, &of, &mut blocks);
        if let Some(rows) = model.shape.probable_logits {
            blocks.push(Block::Warning(format!(
                "{of}the first {} look like probabilities (from 0 to 1, sums of 1): if they are, leave out --input logits",
                counted(rows as u64, "row", "rows")
            )));
        }
        if notes.ties > 0 {
            blocks.push(Block::Note(format!(
                "{of}in {} several classes share the highest prediction; the first in column order counts",
                counted(notes.ties, "row", "rows")
            )));
        }
        if notes.rounded_sums > 0 && options.rules.input != Input::Logits {
            let rows = counted(notes.rounded_sums, "row sums", "rows sum");
            let worst = significant(notes.worst_sum, 2);
            blocks.push(Block::Note(match options.rules.sums {
                Sums::Normalize => format!(
                    "{of}{} divided by a sum that is not 1, up to {worst} away from it",
                    counted(notes.rounded_sums, "row was", "rows were")
                ),
                _ => format!(
                    "{of}{rows} to 1 only within {worst} (more than {SUM_NOTE:e}): scored as given"
                ),
            }));
        }
        if options.rules.clip > 0.0 {
            blocks.push(Block::Note(format!(
                "{of}in {} a probability below {} was raised to it",
                counted(notes.clipped, "row", "rows"),
                options.rules.clip
            )));
        }
    }
    let dropped: Vec<&ModelScore> = models.iter().filter(|m| m.dropped > 0).collect();
    if let Some(model) = dropped.first() {
        let same =
            dropped.len() == models.len() && dropped.iter().all(|m| m.dropped == model.dropped);
        if same {
            blocks.push(Block::Note(format!(
                "{} with missing values left out",
                counted(model.dropped, "row", "rows")
            )));
        } else {
            for model in dropped {
                blocks.push(Block::Note(format!(
                    "{}: {} with missing values left out",
                    model.name,
                    counted(model.dropped, "row", "rows")
                )));
            }
        }
    }
    if models.iter().any(|m| m.scores.weights_are_importances) {
        blocks.push(Block::Note(format!(
            "the weights are not all whole numbers: they are importances, worth {} equally weighted rows",
            fixed(models[0].scores.effective_rows, 1)
        )));
    }
    blocks
}

fn infinite_note(model: &ModelScore, of: &str, blocks: &mut Vec<Block>) {
    let count = model.scores.infinite_rows;
    if count == 0 {
        return;
    }
    let listed: Vec<String> = model.infinite_rows.iter().take(10).map(u64::to_string).collect();
    let more = if count > listed.len() as u64 { ", …" } else { "" };
    let finite = &model.scores.finite_log_loss.in_bits();
    let rest = if finite.value.is_nan() {
        String::new()
    } else {
        format!(
            "; the other {} average {} bits",
            counted(model.scores.rows - count, "row", "rows"),
            fixed(finite.value, decimals([finite]))
        )
    };
    let word = if count == 1 { "row" } else { "rows" };
    blocks.push(Block::Warning(format!(
        "{of}{} of {} give probability 0 to what happened and cost infinitely many bits ({word} {}{more}){rest}",
        crate::number::count(count),
        counted(model.scores.rows, "row", "rows"),
        listed.join(", ")
    )));
}

pub(crate) fn estimate_json(e: &Estimate) -> Value {
    let ci = if e.ci[0].is_nan() && e.ci[1].is_nan() {
        Value::Null
    } else {
        json!([number(e.ci[0]), number(e.ci[1])])
    };
    json!({ "value": number(e.value), "se": number(e.se), "ci": ci })
}

pub(crate) fn scores_json(scores: &Scores, top_k: &[u32]) -> Value {
    let mut map = Map::new();
    let mut put = |key: &str, e: &Estimate| drop(map.insert(key.to_owned(), estimate_json(e)));
    put("error_rate", &scores.error_rate);
    put("mse", &scores.mse);
    put("brier_half", &scores.brier_half());
    put("cross_entropy", &scores.cross_entropy());
    put("log_loss", &scores.log_loss);
    put("perplexity", &scores.perplexity());
    for (e, k) in scores.top_k_error.iter().zip(top_k) {
        put(&format!("top_{k}_error"), e);
    }
    Value::Object(map)
}

pub(crate) fn baseline_json(model: &ModelScore) -> Value {
    let baseline = &model.baseline;
    let frequencies: Map<String, Value> = model
        .classes
        .iter()
        .zip(&baseline.frequencies)
        .map(|(class, &f)| (class.clone(), number(f)))
        .collect();
    json!({
        "frequencies": frequencies,
        "scores": {
            "error_rate": estimate_json(&baseline.error_rate),
            "mse": estimate_json(&baseline.mse),
            "brier_half": estimate_json(&baseline.brier_half()),
            "cross_entropy": estimate_json(&baseline.cross_entropy()),
            "log_loss": estimate_json(&baseline.log_loss),
            "perplexity": estimate_json(&baseline.perplexity()),
        },
    })
}

pub(crate) fn infinite_json(model: &ModelScore) -> Value {
    let finite = model.scores.finite_log_loss;
    json!({
        "count": model.scores.infinite_rows,
        "rows": model.infinite_rows,
        "finite": {
            "cross_entropy": estimate_json(&finite.in_bits()),
            "log_loss": estimate_json(&finite),
        },
    })
}

/// One model of the JSON contract.
pub(crate) fn model_json(model: &ModelScore, options: &Options) -> Value {
    let top_k = &options.rules.top_k;
    let notes = &model.scores.notes;
    let mut value = json!({
        "name": model.name,
        "source": model.source,
        "rows": model.scores.rows,
        "weight": number(model.scores.weight),
        "columns": {
            "label": model.shape.label,
            "label_file": model.shape.label_file,
            "label_values": if model.shape.label_positions { "positions" } else { "names" },
            "predictions": model.shape.predictions,
            "prediction_list": model.shape.prediction_columns,
            "weight": model.shape.weight,
        },
        "scores": scores_json(&model.scores, top_k),
        "entropy_explained": number(explained(model)),
        "worst_share": { "rows": xent_eval::WORST, "loss": number(model.worst_share) },
        "infinite": infinite_json(model),
        "ties": notes.ties,
        "sums": { "policy": sums_name(options.rules.sums), "touched": notes.rounded_sums, "worst": number(notes.worst_sum) },
        "clipped": notes.clipped,
        "dropped": model.dropped,
        "looks_like": model.shape.probable_logits.map(|_| Input::Probabilities.name()),
        "baseline": baseline_json(model),
    });
    if let Some(map) = value.as_object_mut() {
        crate::parts::insert_json(model, map);
        if options.confusion {
            let name = |c: u32| model.classes[c as usize].clone();
            let cells: Vec<Value> = model
                .confusion
                .iter()
                .map(|&(t, p, w)| {
                    json!({ "true": name(t), "predicted": name(p), "weight": number(w) })
                })
                .collect();
            map.insert("confusion".to_owned(), Value::Array(cells));
        }
        if options.per_class {
            let classes: Vec<Value> = model
                .per_class
                .iter()
                .map(|(class, scores)| {
                    json!({
                        "class": model.classes[*class as usize],
                        "rows": scores.rows,
                        "weight": number(scores.weight),
                        "scores": scores_json(scores, top_k),
                    })
                })
                .collect();
            map.insert("per_class".to_owned(), Value::Array(classes));
        }
        if !model.shape.by.is_empty() && !model.slices.is_empty() {
            let slices: Vec<Value> = model
                .slices
                .iter()
                .map(|(key, scores)| {
                    json!({
                        "slice": slice_json(&model.shape.by, key),
                        "rows": scores.rows,
                        "weight": number(scores.weight),
                        "scores": scores_json(scores, top_k),
                        "infinite": { "count": scores.infinite_rows },
                    })
                })
                .collect();
            map.insert("slices".to_owned(), Value::Array(slices));
        }
    }
    value
}

pub(crate) fn slice_json(by: &[String], key: &[String]) -> Value {
    let map: Map<String, Value> =
        by.iter().zip(key).map(|(b, k)| (b.clone(), Value::String(k.clone()))).collect();
    Value::Object(map)
}

fn sums_name(sums: Sums) -> &'static str {
    match sums {
        Sums::Strict => "strict",
        Sums::Normalize => "normalize",
        Sums::AsIs => "as-is",
    }
}

/// The parts of the contract that describe all models together.
pub(crate) fn head_json(
    schema: &str,
    models: &[ModelScore],
    options: &Options,
) -> Map<String, Value> {
    let mut map = Map::new();
    let first = &models[0];
    let same = models.iter().all(|m| m.scores.rows == first.scores.rows);
    map.insert("schema".into(), schema.into());
    map.insert("xent".into(), env!("CARGO_PKG_VERSION").into());
    map.insert("rows".into(), if same { first.scores.rows.into() } else { Value::Null });
    map.insert("classes".into(), first.classes.clone().into());
    map.insert("input".into(), options.rules.input.name().into());
    map.insert("level".into(), number(options.level));
    let values: Vec<Value> = models.iter().map(|m| model_json(m, options)).collect();
    map.insert("models".into(), Value::Array(values));
    map.insert("baseline".into(), baseline_json(first));
    let count: u64 = models.iter().map(|m| m.scores.infinite_rows).sum();
    let mut rows: Vec<u64> = models.iter().flat_map(|m| m.infinite_rows.clone()).collect();
    rows.sort_unstable();
    rows.dedup();
    rows.truncate(xent_eval::INFINITE_LISTED);
    map.insert("infinite".into(), json!({ "count": count, "rows": rows }));
    map
}
