//! The report of `xent compare`.

use serde_json::{Map, Value, json};
use xent::compare::{Score, ScoreDifference, Test, is_normal_enough};
use xent::moments::Estimate;
use xent_eval::{ModelComparison, ModelScore, Options};

use crate::common::{
    BASE_RATE, ROUNDING, SHOWN, decimals, estimate_json, explained_cell, first_line, head_json,
    level, lines, notes, second_line, slice_json, value_cell,
};
use crate::json::number;
use crate::number::{counted, decimals_for, fixed, interval, p_phrase, p_value, signed};
use crate::parts::{gaps_json, push_parts, why};
use crate::tidy::compare_table;
use crate::{Block, Cell, Header, Report, Table, Tone};

/// Which model is better, as far as can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The better model; `None` where luck cannot be ruled out.
    pub better: Option<String>,
    /// One sentence.
    pub text: String,
}

/// `z_0.975 + z_0.8`: a difference of so many standard errors is seen four times in five.
const SEEN: f64 = 2.801_585_218_113_042;

/// What a person reads about a comparison, and the contract `xent.compare/1`.
///
/// `all` is for output that is read by programs: every number is on a line of its own, in one table.
///
/// # Panics
///
/// If there is no model.
pub fn compare_report(comparison: &ModelComparison, options: &Options, all: bool) -> Report {
    let models = &comparison.models;
    let verdict = verdict(comparison, options);
    let mut data = head_json("xent.compare/1", models, options);
    extend_json(&mut data, comparison, &verdict);
    let mut report = Report::new(Value::Object(data));
    if all {
        report.push(Block::Table(compare_table(comparison, options)));
        return report;
    }
    report.push(Block::Heading(first_line(&models[0])));
    report.push(Block::Text(second_line(models, options)));
    if let Some(text) = matching_text(comparison) {
        report.push(Block::Text(text));
    }
    if models.len() == 2 {
        report.push(Block::Table(pair_table(comparison, options)));
    } else {
        report.push(Block::Table(models_table(models, options)));
        report.push(Block::Table(differences_table(comparison, options)));
    }
    report.push(Block::Verdict(verdict.text));
    push_parts(models, &mut report);
    report.blocks.extend(why(models).into_iter().map(Block::Text));
    for block in cautions(comparison) {
        report.push(block);
    }
    for block in notes(models, options) {
        report.push(block);
    }
    if !comparison.slices.is_empty() {
        slices(comparison, options, &mut report);
    }
    report
}

fn matching_text(comparison: &ModelComparison) -> Option<String> {
    let matching = &comparison.matching;
    let id = matching.id.as_ref()?;
    let mut text = format!("{} matched by {id}", counted(matching.matched, "row", "rows"));
    for (model, &n) in comparison.models.iter().zip(&matching.unmatched) {
        if n > 0 {
            text.push_str(&format!(
                ", {} of {} without a match",
                crate::number::count(n),
                model.name
            ));
        }
    }
    text.push_str(", no duplicate ids");
    Some(text)
}

fn find(differences: &[ScoreDifference], model: usize, score: Score) -> Option<&ScoreDifference> {
    differences.iter().find(|d| d.model == model && d.score == score)
}

/// Decimals for a difference: two digits of its standard error, three where there is none or only
/// rounding.
fn difference_decimals(e: &Estimate) -> usize {
    if e.se.is_finite() && e.se > ROUNDING * e.value.abs().max(0.1) {
        decimals_for(e.se).max(3)
    } else {
        3
    }
}

/// A signed difference and what to add and take away for its interval, with `~` where none is shown
/// at the level; green better, red worse.
fn difference_cell(d: &ScoreDifference, options: &Options) -> Cell {
    let e = &d.estimate;
    if e.value.is_nan() {
        return Cell::missing();
    }
    let shown = d.is_shown(options.level);
    let places = difference_decimals(e);
    let mut text = signed(e.value, places);
    if e.se.is_finite() {
        text.push_str(&format!(" ± {}", fixed(f64::midpoint(e.ci[1], -e.ci[0]), places)));
    }
    text.push_str(if shown || d.p.is_nan() { "   " } else { "  ~" });
    let cell = Cell::number(text.trim_end(), e.value);
    match (shown || e.value.is_infinite(), e.value < 0.0) {
        (true, true) => cell.with_tone(Tone::Better),
        (true, false) => cell.with_tone(Tone::Worse),
        _ => cell,
    }
}

fn p_cell(p: f64) -> Cell {
    if p.is_nan() { Cell::missing() } else { Cell::number(p_value(p), p) }
}

/// Two models: both, the difference, its interval and p, and the base rate.
fn pair_table(comparison: &ModelComparison, options: &Options) -> Table {
    let [a, b] = [&comparison.models[0], &comparison.models[1]];
    let mut table = Table::new([
        Header::left(""),
        Header::right(&a.name),
        Header::right(&b.name),
        Header::right(format!("{} vs {} ± {}", b.name, a.name, level(options))),
        Header::right("p"),
        Header::right(BASE_RATE),
    ]);
    for line in lines(&options.rules.top_k) {
        let (x, y) = (line.of(&a.scores), line.of(&b.scores));
        let d = decimals([&x, &y]);
        let base = line.base(&a.baseline);
        let difference = find(&comparison.differences, 1, line.score);
        table.push([
            Cell::text(line.title()),
            value_cell(x.value, d),
            value_cell(y.value, d),
            difference.map_or_else(Cell::missing, |d| difference_cell(d, options)),
            difference.map_or_else(Cell::missing, |d| p_cell(d.p)),
            base.map_or_else(Cell::empty, |b| value_cell(b.value, d)),
        ]);
    }
    table.push([
        Cell::text("entropy explained"),
        explained_cell(a),
        explained_cell(b),
        Cell::empty(),
        Cell::empty(),
        Cell::number("0.0%", 0.0),
    ]);
    table
}

/// More than two models: their scores.
fn models_table(models: &[ModelScore], options: &Options) -> Table {
    let mut headers = vec![Header::left("")];
    headers.extend(models.iter().map(|m| Header::right(&m.name)));
    headers.push(Header::right(BASE_RATE));
    let mut table = Table::new(headers);
    for line in lines(&options.rules.top_k) {
        let estimates: Vec<Estimate> = models.iter().map(|m| line.of(&m.scores)).collect();
        let d = decimals(&estimates);
        let mut cells = vec![Cell::text(line.title())];
        cells.extend(estimates.iter().map(|e| value_cell(e.value, d)));
        let base = line.base(&models[0].baseline);
        cells.push(base.map_or_else(Cell::empty, |b| value_cell(b.value, d)));
        table.push(cells);
    }
    let mut cells = vec![Cell::text("entropy explained")];
    cells.extend(models.iter().map(explained_cell));
    cells.push(Cell::number("0.0%", 0.0));
    table.push(cells);
    table
}

/// More than two models: the differences of each from the first.
fn differences_table(comparison: &ModelComparison, options: &Options) -> Table {
    let first = &comparison.models[0].name;
    let mut table = Table::new([
        Header::left(""),
        Header::left("score"),
        Header::right(format!("vs {first} ± {}", level(options))),
        Header::right("p"),
        Header::right("adjusted p"),
    ])
    .with_title(format!(
        "differences from {first}, p adjusted for several models by Holm's method"
    ));
    for (m, model) in comparison.models.iter().enumerate().skip(1) {
        for (n, line) in lines(&options.rules.top_k).iter().enumerate() {
            let score = line.score;
            let Some(d) = find(&comparison.differences, m, score) else { continue };
            let name = if n == 0 { Cell::text(&model.name) } else { Cell::empty() };
            table.push([
                name,
                Cell::text(line.title()),
                difference_cell(d, options),
                p_cell(d.p),
                p_cell(d.p_adjusted),
            ]);
        }
    }
    table
}

/// Which model is better by cross entropy, in one sentence.
pub fn verdict(comparison: &ModelComparison, options: &Options) -> Verdict {
    let models = &comparison.models;
    let infinite: Vec<&ModelScore> = models.iter().filter(|m| m.scores.infinite_rows > 0).collect();
    if infinite.is_empty() {
        return finite_verdict(comparison, options);
    }
    let lost: Vec<String> = infinite
        .iter()
        .map(|m| format!("{} in {}", m.name, counted(m.scores.infinite_rows, "row", "rows")))
        .collect();
    let lost = format!("probability 0 was given to what happened by {}", lost.join(", "));
    let finite: Vec<&ModelScore> = models.iter().filter(|m| m.scores.infinite_rows == 0).collect();
    match finite[..] {
        // The only model of finite cross entropy is better than the others, whatever the p-values.
        [one] => Verdict {
            better: Some(one.name.clone()),
            text: format!("{} is better: {lost}{}", one.name, on_other_rows(comparison, options)),
        },
        // The others are compared with the baseline if that is finite.
        [first, _, ..] if first.name == models[0].name => {
            let rest = finite_verdict(comparison, options);
            Verdict { better: rest.better, text: format!("{}; {lost}", rest.text) }
        }
        [first, ref others @ ..] => {
            Verdict { better: None, text: best_of_rest(&lost, first, others) }
        }
        [] => {
            Verdict { better: None, text: format!("{lost}{}", on_other_rows(comparison, options)) }
        }
    }
}

/// The models that are left where the one that they were to be compared with is out: no test has compared them with each other.
fn best_of_rest(lost: &str, first: &ModelScore, others: &[&ModelScore]) -> String {
    let bits = |m: &ModelScore| m.scores.cross_entropy();
    // The first of equals.
    let best = others.iter().fold(
        first,
        |best, m| {
            if bits(m).value < bits(best).value { m } else { best }
        },
    );
    let all = std::iter::once(first).chain(others.iter().copied());
    let places = decimals(all.clone().map(bits).collect::<Vec<_>>().iter());
    let show = |m: &ModelScore| fixed(bits(m).value, places);
    let rest = all.filter(|m| m.name != best.name).map(|m| format!("{} {}", m.name, show(m)));
    format!(
        "{} has the lowest cross entropy, {} bits ({}), not tested without --baseline {}; {lost}",
        best.name,
        show(best),
        rest.collect::<Vec<_>>().join(", "),
        best.name
    )
}

/// Rows, with their weights where these count rows.
fn rows_text(model: &ModelScore) -> String {
    let scores = &model.scores;
    if scores.weights_are_importances || scores.weight == scores.rows as f64 {
        counted(scores.rows, "row", "rows")
    } else {
        format!("{} weighted rows", crate::number::total(scores.weight, 0))
    }
}

/// The verdict over the models whose cross entropy is finite, the baseline among them.
fn finite_verdict(comparison: &ModelComparison, options: &Options) -> Verdict {
    let models = &comparison.models;
    let first = &models[0];
    let loss = |m: usize| models[m].scores.log_loss.value;
    // The lowest cross entropy of the others, the first of equals.
    let others = (1..models.len()).filter(|&m| loss(m).is_finite());
    let Some(other) = others.min_by(|&a, &b| loss(a).total_cmp(&loss(b))) else {
        return Verdict { better: None, text: "there is nothing to compare".to_owned() };
    };
    let Some(d) = find(&comparison.differences, other, Score::CrossEntropy) else {
        return Verdict { better: None, text: "there is nothing to compare".to_owned() };
    };
    let e = &d.estimate;
    // Equal losses may still differ by rounding.
    let rounding = ROUNDING * loss(0).abs();
    if e.value.abs() <= rounding && (e.se.is_nan() || e.se <= rounding) {
        let text = if models.len() == 2 {
            format!("{} and {} lose the same bits on every row", first.name, models[other].name)
        } else {
            format!("no model is ahead of {}", first.name)
        };
        return Verdict { better: None, text };
    }
    let (ahead, behind) = if e.value < 0.0 { (other, 0) } else { (0, other) };
    let (ahead, behind) = (&models[ahead].name, &models[behind].name);
    let rows = rows_text(first);
    let places = difference_decimals(e);
    let gap = fixed(e.value.abs(), places);
    if e.se.is_nan() {
        let text = format!("{ahead} is ahead by {gap} bits on one row, which shows nothing");
        return Verdict { better: None, text };
    }
    let shown = d.is_shown(options.level);
    let better = shown.then(|| ahead.clone());
    let p = p_phrase(d.p_adjusted);
    let text = if d.test == Test::SignExact {
        format!("{ahead} is ahead of {behind} by the same {gap} bits on every row ({p}, {rows})")
    } else if shown {
        let (low, high) = if e.value < 0.0 { (-e.ci[1], -e.ci[0]) } else { (e.ci[0], e.ci[1]) };
        format!(
            "{ahead} is better than {behind} by {gap} bits per row ({} interval {}, {p}, {rows})",
            level(options),
            interval(low, high, places)
        )
    } else {
        let seen = SEEN * e.se;
        let seen = if first.scores.effective_rows >= 30.0 {
            let seen = fixed(seen, decimals_for(seen).max(2));
            format!("; a gap of {seen} bits would usually have been seen")
        } else {
            String::new()
        };
        format!(
            "{ahead} is ahead by {gap} bits per row, but {rows} cannot rule out luck ({p}){seen}"
        )
    };
    Verdict { better, text }
}

/// Two models, one of them infinite: who is ahead on the rows that both can be scored on.
fn on_other_rows(comparison: &ModelComparison, options: &Options) -> String {
    let models = &comparison.models;
    let finite = find(&comparison.differences, 1, Score::CrossEntropy).and_then(|d| d.finite);
    let Some(f) = finite.filter(|f| models.len() == 2 && f.estimate.value.is_finite()) else {
        return String::new();
    };
    if f.estimate.value == 0.0 {
        return "; on the other rows they are equal".to_owned();
    }
    let ahead = if f.estimate.value < 0.0 { &models[1].name } else { &models[0].name };
    let luck = match f.p {
        p if p.is_nan() => String::new(),
        p if p <= 1.0 - options.level => format!(" ({})", p_phrase(p)),
        p => format!(" ({}, which could be luck)", p_phrase(p)),
    };
    format!(
        "; on the other rows {ahead} is ahead by {} bits per row{luck}",
        fixed(f.estimate.value.abs(), difference_decimals(&f.estimate))
    )
}

/// Where the p-values cannot be taken at their word.
fn cautions(comparison: &ModelComparison) -> Vec<Block> {
    let mut blocks = Vec::new();
    let models = &comparison.models;
    let n = models[0].scores.effective_rows;
    if n < 30.0 {
        blocks.push(Block::Warning(format!(
            "{} for a t-test: intervals and p-values are rough",
            counted(models[0].scores.effective_rows as u64, "row is little", "rows are few")
        )));
    } else {
        for (m, model) in models.iter().enumerate().skip(1) {
            let Some(d) = find(&comparison.differences, m, Score::LogLoss) else { continue };
            if !is_normal_enough(n, d.skewness) {
                let needed = 25.0 * d.skewness * d.skewness;
                blocks.push(Block::Warning(format!(
                    "a few rows make most of the difference between {} and {} (skewness {}): its interval and p are rough below {} rows",
                    model.name,
                    models[0].name,
                    fixed(d.skewness, 1),
                    crate::number::count(needed.ceil() as u64)
                )));
            }
        }
    }
    let unmatched: u64 = comparison.matching.unmatched.iter().sum();
    if unmatched > 0 {
        blocks.push(Block::Warning(format!(
            "{} without a match left out: the scores are of the matched rows only",
            counted(unmatched, "row", "rows")
        )));
    }
    blocks
}

fn slices(comparison: &ModelComparison, options: &Options, report: &mut Report) {
    let models = &comparison.models;
    let first = &models[0].name;
    let mut headers: Vec<Header> = models[0].shape.by.iter().map(Header::left).collect();
    headers.push(Header::right("rows"));
    headers.extend(models.iter().map(|m| Header::right(&m.name)));
    for model in &models[1..] {
        headers.push(Header::right(format!("{} vs {first}", model.name)));
        headers.push(Header::right("adjusted p"));
    }
    let mut table = Table::new(headers).with_title(format!(
        "cross entropy in bits by slice, worst against {first} first, p adjusted over the slices by Holm's method"
    ));
    let n = comparison.slices.len();
    for slice in comparison.slices.iter().take(SHOWN) {
        let mut cells: Vec<Cell> = slice.key.iter().map(Cell::text).collect();
        cells.push(Cell::number(crate::number::count(slice.rows), slice.rows as f64));
        let differences: Vec<&ScoreDifference> = (1..models.len())
            .filter_map(|m| find(&slice.differences, m, Score::CrossEntropy))
            .collect();
        let places = decimals(differences.iter().map(|d| &d.estimate));
        for nats in &slice.log_loss {
            cells.push(value_cell(nats / std::f64::consts::LN_2, places));
        }
        for d in differences {
            cells.push(difference_cell(d, options));
            cells.push(p_cell(d.p_adjusted));
        }
        table.push(cells);
    }
    report.push(Block::Table(table));
    if n > SHOWN {
        report.push(Block::Note(format!(
            "{} more not shown; --format csv or json has all",
            counted((n - SHOWN) as u64, "slice", "slices")
        )));
    }
}

fn difference_json(d: &ScoreDifference, models: &[ModelScore]) -> Value {
    let mut map = Map::new();
    map.insert("model".into(), models[d.model].name.clone().into());
    map.insert("baseline".into(), models[0].name.clone().into());
    map.insert("score".into(), d.score.key().into());
    if let Value::Object(estimate) = estimate_json(&d.estimate) {
        map.extend(estimate);
    }
    map.insert("p".into(), number(d.p));
    map.insert("p_adjusted".into(), number(d.p_adjusted));
    let test = if d.test == Test::None { Value::Null } else { d.test.name().into() };
    map.insert("test".into(), test);
    if let Some(finite) = &d.finite {
        let mut rest = estimate_json(&finite.estimate);
        if let Some(rest) = rest.as_object_mut() {
            rest.insert("p".into(), number(finite.p));
        }
        map.insert("finite".into(), rest);
    }
    Value::Object(map)
}

fn extend_json(data: &mut Map<String, Value>, comparison: &ModelComparison, verdict: &Verdict) {
    let models = &comparison.models;
    let differences = |all: &[ScoreDifference]| -> Value {
        all.iter().map(|d| difference_json(d, models)).collect()
    };
    data.insert("reference".into(), models[0].name.clone().into());
    data.insert("differences".into(), differences(&comparison.differences));
    let matching = &comparison.matching;
    data.insert(
        "matching".into(),
        json!({
            "by": matching.id.as_deref().unwrap_or("position"),
            "matched": matching.matched,
            "unmatched": matching.unmatched,
            "duplicates": 0,
            "dropped": matching.dropped,
        }),
    );
    if !models[0].shape.by.is_empty() {
        let slices: Vec<Value> = comparison
            .slices
            .iter()
            .map(|slice| {
                let bits: Vec<Value> = slice
                    .log_loss
                    .iter()
                    .map(|nats| number(nats / std::f64::consts::LN_2))
                    .collect();
                let mut differences = differences(&slice.differences);
                for (d, &p_bh) in differences.as_array_mut().into_iter().flatten().zip(&slice.p_bh)
                {
                    d["p_bh"] = number(p_bh);
                }
                json!({
                    "slice": slice_json(&models[0].shape.by, &slice.key),
                    "rows": slice.rows,
                    "cross_entropy": bits,
                    "differences": differences,
                })
            })
            .collect();
        data.insert("slices".into(), Value::Array(slices));
    }
    data.insert("gaps".into(), gaps_json(models));
    data.insert("verdict".into(), json!({ "better": verdict.better, "text": verdict.text }));
}
