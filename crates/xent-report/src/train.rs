//! The reports of `xent train` and `xent show`.

use serde_json::{Value, json};
use xent::compare::Score;
use xent::moments::Estimate;
use xent_eval::learn::{
    Dataset, Feature, FeatureKind, INTERCEPT, Model, TermKind, Tested, Trained, head_name,
};

use crate::common::{
    BASE_RATE, Line, decimals, error_cell, estimate_json, level_name, lines, short, value_cell,
};
use crate::json::number;
use crate::number::{counted, fixed, interval, percent, significant, total};
use crate::{Block, Cell, Header, Report, Table};

/// Classes with their rows, and features, in the first lines.
const NAMED: usize = 8;
/// Decimals of a loss of the rows trained on.
const DECIMALS: usize = 4;

/// How `xent train` was told to test and stop.
#[derive(Clone, Debug)]
pub struct TrainContext {
    /// The relative gap asked for.
    pub tolerance: f64,
    /// The gap above which the user must be told, if there is one.
    pub expected: Option<f64>,
    /// Level of the intervals.
    pub level: f64,
    /// The share held out, or the number of folds, in words.
    pub split: Option<String>,
    /// The file of the model.
    pub output: Option<String>,
}

/// Returns the report of `xent train`, under the contract `xent.train/1`.
pub fn train_report(trained: &Trained, data: &Dataset, context: &TrainContext) -> Report {
    let model = &trained.model;
    let mut report = Report::new(train_json(trained, context));
    report.push(Block::Text(first_line(trained)));
    report.push(Block::Text(second_line(model, data)));
    report.push(Block::Table(losses(trained)));
    if let Some(tested) = &trained.tested {
        report.push(Block::Table(tests(trained, tested, context)));
    }
    report.push(Block::Text(solver_line(trained, context)));
    if let Some(output) = &context.output {
        report.push(Block::Text(format!("model written to {output}")));
    }
    if trained.was_interrupted {
        report.push(Block::Warning(
            if model.training.stop == "interrupted" {
                "interrupted: this is the model so far, not the optimum"
            } else {
                "interrupted: the model is whole, but it was not tested"
            }
            .to_owned(),
        ));
    } else if trained.is_separable {
        report.push(Block::Warning(
            "the classes are separable: without a penalty there is no optimum, coefficients grow without bound; use --l2 or --C"
                .to_owned(),
        ));
    } else if let Some(expected) = context.expected
        && !trained.diverges
        && model.training.stop != "tolerance"
        && (model.training.gap > expected || model.training.gap.is_nan())
    {
        let why = match model.training.stop.as_str() {
            "precision" => "the objective does not fall any further in 64-bit numbers",
            _ => "the iterations were used up; allow more with --max-iterations",
        };
        report.push(Block::Warning(format!(
            "the tolerance of {} was not reached: {why}",
            significant(expected, 1)
        )));
    }
    if model.training.dropped > 0 {
        let dropped = counted(model.training.dropped, "row", "rows");
        report.push(Block::Note(format!("{dropped} with missing values left out")));
    }
    for note in references(model).into_iter().chain(trained.notes.iter().cloned()) {
        report.push(Block::Note(note));
    }
    report
}

/// `944 rows, 3 classes: democrat 380, independent 239, republican 325`
fn first_line(trained: &Trained) -> String {
    let model = &trained.model;
    let k = model.classes.len();
    let class = |(name, &rows): (&String, &f64)| format!("{} {}", short(name), total(rows, 3));
    let named: Vec<String> =
        model.classes.iter().zip(&trained.class_weights).take(NAMED).map(class).collect();
    let more = if k > NAMED { ", …" } else { "" };
    format!(
        "{}, {}: {}{more}",
        counted(model.training.rows, "row", "rows"),
        counted(k as u64, "class", "classes"),
        named.join(", ")
    )
}

/// `target: party     features: age, educ, income     penalty: none`
fn second_line(model: &Model, data: &Dataset) -> String {
    let name = |f: &Feature| match &f.kind {
        FeatureKind::Sparse { indices } => {
            let (first, last) = (indices[0], indices[indices.len() - 1]);
            format!("{}, from {first} to {last}", counted(indices.len() as u64, "index", "indices"))
        }
        _ => short(&f.column),
    };
    let names: Vec<String> = data.features.iter().take(NAMED).map(name).collect();
    let more = if data.features.len() > NAMED {
        format!(" and {} more", data.features.len() - NAMED)
    } else {
        String::new()
    };
    let t = &model.training;
    let penalty = match (t.l2 > 0.0, t.l1 > 0.0) {
        (false, false) => "none".to_owned(),
        (true, false) => format!("ridge {}", significant(t.l2, 4)),
        (false, true) => format!("lasso {}", significant(t.l1, 4)),
        (true, true) => format!("ridge {}, lasso {}", significant(t.l2, 4), significant(t.l1, 4)),
    };
    let mut parts = vec![
        format!("target: {}", short(&model.target)),
        format!("features: {}{more}", names.join(", ")),
        format!("penalty: {penalty}"),
    ];
    if t.loss != "cross-entropy" {
        parts.push(format!("loss: {}", t.loss));
    }
    if head_name(model.head) != "softmax" {
        parts.push(format!("head: {}", head_name(model.head)));
    }
    if let Some(weight) = &t.weight_column {
        parts.push(format!("weights: {}", short(weight)));
    }
    parts.join("     ")
}

fn bits(nats: f64) -> f64 {
    nats / std::f64::consts::LN_2
}

/// The losses of the rows trained on.
fn losses(trained: &Trained) -> Table {
    let t = &trained.model.training;
    let mut table =
        Table::new([Header::left(""), Header::right("model"), Header::right(BASE_RATE)]);
    let mut row = |name: &str, model: f64, base: f64, decimals: usize| {
        table.push([Cell::text(name), value_cell(model, decimals), value_cell(base, decimals)]);
    };
    row("cross entropy, bits", bits(t.log_loss), bits(t.base_log_loss), DECIMALS);
    row("log loss, nats", t.log_loss, t.base_log_loss, DECIMALS);
    row("log-likelihood", t.log_likelihood, -t.base_log_loss * t.weight, DECIMALS);
    row("perplexity", t.log_loss.exp(), t.base_log_loss.exp(), DECIMALS);
    let share = t.explained();
    table.push([
        Cell::text("entropy explained"),
        explained_cell(share),
        Cell::number(percent(0.0, 1), 0.0),
    ]);
    if trained.penalty > 0.0 {
        table.push([Cell::text("penalty, nats"), value_cell(trained.penalty, DECIMALS)]);
    }
    if trained.penalty > 0.0
        || t.loss != "cross-entropy"
        || trained.model.n_outputs() > 1 && head_name(trained.model.head) == "sigmoid"
    {
        table.push([Cell::text("objective, nats"), value_cell(t.objective, DECIMALS)]);
    }
    table
}

/// The scores of rows that were not trained on.
fn tests(trained: &Trained, tested: &Tested, context: &TrainContext) -> Table {
    let level = level_name(context.level);
    let split = context.split.as_deref().unwrap_or("held out");
    let rows = counted(tested.scores.rows, "row", "rows");
    let mut table = Table::new([
        Header::left(""),
        Header::right("model"),
        Header::right("std error"),
        Header::right(format!("{level} interval")),
        Header::right(BASE_RATE),
    ])
    .with_title(format!("on {rows} that it has not seen ({split})"));
    let wanted = |line: &Line| !matches!(line.score, Score::Perplexity);
    for line in lines(&[]).into_iter().filter(wanted) {
        let e = line.of(&tested.scores);
        let base = line.base(&tested.baseline);
        let d = decimals([&e]);
        table.push([
            Cell::text(line.title()),
            value_cell(e.value, d),
            error_cell(&e, d),
            Cell::text(if e.ci[0].is_nan() {
                "-".to_owned()
            } else {
                interval(e.ci[0], e.ci[1], d)
            }),
            base.map_or_else(Cell::empty, |b| value_cell(b.value, d)),
        ]);
    }
    let share = explained(tested);
    table.push([
        Cell::text("entropy explained"),
        explained_cell(share),
        Cell::empty(),
        Cell::empty(),
        Cell::number(percent(0.0, 1), 0.0),
    ]);
    if trained.folds.len() > 1 {
        table.push_group("cross entropy of each fold, bits");
        for (i, fold) in trained.folds.iter().enumerate() {
            let (e, base) = (fold.scores.cross_entropy(), fold.baseline.cross_entropy());
            let d = decimals([&e]);
            table.push([
                Cell::text(format!("fold {}, {}", i + 1, counted(fold.scores.rows, "row", "rows"))),
                value_cell(e.value, d),
                error_cell(&e, d),
                Cell::empty(),
                value_cell(base.value, d),
            ]);
        }
    }
    table
}

/// Of a model that is far worse than the base rate the share has no meaning but that.
fn explained_cell(share: f64) -> Cell {
    if share.is_nan() {
        Cell::text("-")
    } else if share < -10.0 {
        Cell::number("< -1000%", share)
    } else {
        Cell::number(percent(share, 1), share)
    }
}

fn explained(tested: &Tested) -> f64 {
    1.0 - tested.scores.log_loss.value / tested.baseline.log_loss.value
}

/// `lbfgs (why): 12 iterations, relative gap at most 3.0e-13 (proven), stopped by the tolerance of 1e-12`
fn solver_line(trained: &Trained, context: &TrainContext) -> String {
    let t = &trained.model.training;
    let why = if t.reason.is_empty() { String::new() } else { format!(" ({})", t.reason) };
    let stop = match t.stop.as_str() {
        "tolerance" => format!("stopped by the tolerance of {}", significant(context.tolerance, 1)),
        "precision" => "stopped where 64-bit numbers end".to_owned(),
        "iterations" => "stopped by the limit of iterations".to_owned(),
        _ => "interrupted".to_owned(),
    };
    format!(
        "solver: {}{why}: {}, {}{stop}",
        t.solver,
        counted(t.iterations, "iteration", "iterations"),
        if trained.is_separable {
            String::new()
        } else {
            format!("relative gap {}, ", gap_in_words(&trained.model, context.tolerance))
        }
    )
}

/// How near the optimum is, and whether that is proven or estimated.
fn gap_in_words(model: &Model, tolerance: f64) -> String {
    let t = &model.training;
    let shown = |gap: f64| significant(gap.max(0.0), 2);
    match t.gap_bound {
        Some(bound) if bound <= tolerance.max(t.gap) => {
            format!("at most {} (proven)", shown(bound))
        }
        Some(bound) => {
            format!("about {} (estimated; proven: at most {})", shown(t.gap), shown(bound))
        }
        None if t.gap.is_finite() => format!("about {} (estimated)", shown(t.gap)),
        None => "unknown".to_owned(),
    }
}

/// The reference of each category, which has no coefficient of its own.
fn references(model: &Model) -> Vec<String> {
    let each: Vec<String> = model
        .features
        .iter()
        .filter_map(|f| match &f.kind {
            FeatureKind::Category(levels) => Some(format!(
                "{}={} ({})",
                short(&f.column),
                short(&levels.reference),
                counted(levels.n_codes() as u64, "level", "levels")
            )),
            _ => None,
        })
        .collect();
    if each.is_empty() {
        return Vec::new();
    }
    vec![format!("reference levels, whose coefficient is 0: {}", each.join(", "))]
}

fn coefficients_json(model: &Model) -> Vec<Value> {
    let m = model.n_outputs();
    let terms = model.terms();
    let mut list = Vec::new();
    for (k, class) in model.outputs().iter().enumerate() {
        list.push(
            json!({ "class": class, "feature": INTERCEPT, "estimate": number(model.intercept[k]) }),
        );
        for (j, term) in terms.iter().enumerate() {
            list.push(json!({
                "class": class,
                "feature": term.name,
                "estimate": number(model.coef[j * m + k]),
                "per_standard_deviation": number(model.coef[j * m + k] * model.scale[j]),
            }));
        }
    }
    list
}

fn scores_json(tested: &Tested) -> Value {
    let one = |e: &Estimate| estimate_json(e);
    let s = &tested.scores;
    json!({
        "rows": s.rows,
        "error_rate": one(&s.error_rate),
        "mse": one(&s.mse),
        "cross_entropy": one(&s.cross_entropy()),
        "log_loss": one(&s.log_loss),
        "base_cross_entropy": number(tested.baseline.cross_entropy().value),
        "entropy_explained": number(explained(tested)),
    })
}

fn summary_json(model: &Model, schema: &str) -> Value {
    let t = &model.training;
    json!({
        "schema": schema,
        "xent": env!("CARGO_PKG_VERSION"),
        "source": t.source,
        "target": model.target,
        "rows": t.rows,
        "dropped": t.dropped,
        "weight": number(t.weight),
        "classes": model.classes,
        "reference_class": model.reference_class(),
        "features": model.features.iter().map(|f| f.column.as_str()).collect::<Vec<_>>(),
        "head": head_name(model.head),
        "loss": t.loss,
        "l2": number(t.l2),
        "l1": number(t.l1),
        "standardized": t.standardized,
        "objective": number(t.objective),
        "cross_entropy": number(bits(t.log_loss)),
        "log_loss": number(t.log_loss),
        "log_likelihood": number(t.log_likelihood),
        "base_cross_entropy": number(bits(t.base_log_loss)),
        "entropy_explained": number(t.explained()),
        "solver": t.solver,
        "reason": t.reason,
        "iterations": t.iterations,
        "gap": number(t.gap),
        "gap_bound": t.gap_bound.map(number),
        "gradient_norm": number(t.gradient_norm),
        "stop": t.stop,
        "coefficients": coefficients_json(model),
    })
}

fn train_json(trained: &Trained, context: &TrainContext) -> Value {
    let mut value = summary_json(&trained.model, "xent.train/1");
    if let Some(map) = value.as_object_mut() {
        map.insert("penalty".to_owned(), number(trained.penalty));
        map.insert("tolerance".to_owned(), number(context.tolerance));
        map.insert("level".to_owned(), number(context.level));
        map.insert("separable".to_owned(), trained.is_separable.into());
        for (field, names) in [("unbounded", &trained.unbounded), ("collinear", &trained.collinear)]
        {
            let names: Value = names.iter().map(String::as_str).collect();
            map.insert(field.to_owned(), names);
        }
        map.insert("tested".to_owned(), trained.tested.as_ref().map_or(Value::Null, scores_json));
        map.insert("folds".to_owned(), trained.folds.iter().map(scores_json).collect());
        map.insert("notes".to_owned(), trained.notes.iter().map(String::as_str).collect());
    }
    value
}

/// Returns the results of two losses as one document, under the contract `xent.train.losses/1`.
pub fn losses_json(fits: impl IntoIterator<Item = Value>) -> Value {
    json!({
        "schema": "xent.train.losses/1",
        "xent": env!("CARGO_PKG_VERSION"),
        "fits": fits.into_iter().collect::<Vec<_>>(),
    })
}

/// Returns the report of `xent show`: every coefficient, per unit of its column and per standard deviation.
pub fn model_report(model: &Model) -> Report {
    let mut report = Report::new(summary_json(model, "xent.show/1"));
    let t = &model.training;
    report.push(Block::Text(format!(
        "{} trained on {} of {}: {} bits, base rate {} bits",
        if model.classes.len() == 2 { "logistic regression" } else { "softmax regression" },
        counted(t.rows, "row", "rows"),
        short(&t.source),
        fixed(bits(t.log_loss), DECIMALS),
        fixed(bits(t.base_log_loss), DECIMALS)
    )));
    let mut table = Table::new([
        Header::left("feature"),
        Header::right("coefficient"),
        Header::right("per std deviation"),
        Header::right("mean"),
        Header::right("std deviation"),
    ]);
    let m = model.n_outputs();
    let terms = model.terms();
    let cell = |x: f64| Cell::number(significant(x, 6), x);
    for (k, class) in model.outputs().iter().enumerate() {
        table.push_group(match model.reference_class() {
            Some(reference) => format!("{class} against {reference}"),
            None => class.clone(),
        });
        table.push([Cell::text(INTERCEPT), cell(model.intercept[k])]);
        for (j, term) in terms.iter().enumerate() {
            let coef = model.coef[j * m + k];
            let mut cells = vec![Cell::text(term.name.clone()), cell(coef)];
            let (per_deviation, scale) = (cell(coef * model.scale[j]), cell(model.scale[j]));
            match term.kind {
                TermKind::Number => {
                    cells.extend([per_deviation, cell(model.center[j]), scale]);
                }
                TermKind::Sparse => cells.extend([per_deviation, Cell::empty(), scale]),
                TermKind::Level => {}
            }
            table.push(cells);
        }
    }
    report.push(Block::Table(table));
    for note in references(model) {
        report.push(Block::Note(note));
    }
    report
}
