//! The report of `xent score`.

use serde_json::Value;
use xent::moments::Estimate;
use xent::score::{Baseline, Scores};
use xent_eval::{ModelScore, Options};

use crate::common::{
    BASE_RATE, SHOWN, decimals, error_cell, explained_cell, first_line, head_json, level, lines,
    notes, second_line, value_cell,
};
use crate::number::{counted, interval, percent, total};
use crate::parts::{push_details, push_parts};
use crate::tidy::score_table;
use crate::{Block, Cell, Header, Report, Table};

/// Classes of a confusion matrix shown as a square; more are listed by their largest cells.
const SQUARE: usize = 20;

/// Fewer rows have no worst 1%.
const WORST_ROWS: u64 = 100;
/// Fewer rows get a warning about their intervals.
const FEW: f64 = 30.0;

/// What a person reads about the scores of one or more models, and the contract `xent.score/1`.
///
/// `all` is for output that is read by programs: every number is on a line of its own, in one table.
///
/// # Panics
///
/// If there is no model.
pub fn score_report(models: &[ModelScore], options: &Options, all: bool) -> Report {
    let mut report = Report::new(Value::Object(head_json("xent.score/1", models, options)));
    if all {
        crate::repairs::push(&mut report, models);
        report.blocks = vec![Block::Table(score_table(models, options))];
        return report;
    }
    let same_shape = models.iter().all(|m| {
        m.classes == models[0].classes
            && m.shape == models[0].shape
            && m.scores.rows == models[0].scores.rows
    });
    if same_shape {
        report.push(Block::Heading(first_line(&models[0])));
        report.push(Block::Text(second_line(models, options)));
    } else {
        for model in models {
            report.push(Block::Heading(format!("{}: {}", model.name, first_line(model))));
            report.push(Block::Text(second_line(std::slice::from_ref(model), options)));
        }
    }
    report.push(Block::Table(match models {
        [one] => single(one, options),
        several => side_by_side(several, options),
    }));
    push_parts(models, &mut report);
    for model in models.iter().filter(|m| m.scores.rows > 1 && m.scores.effective_rows < FEW) {
        let of = if models.len() > 1 { format!("{}: ", model.name) } else { String::new() };
        report.push(Block::Warning(format!(
            "{of}{} are few: standard errors and intervals are rough",
            counted(model.scores.rows, "row", "rows")
        )));
    }
    for block in notes(models, options) {
        report.push(block);
    }
    crate::repairs::push(&mut report, models);
    for model in models {
        let of = |what: &str| {
            if models.len() > 1 { format!("{}: {what}", model.name) } else { what.to_owned() }
        };
        push_details(model, &of, &mut report);
        if options.confusion {
            confusion(model, &of, &mut report);
        }
        if options.per_class {
            per_class(model, &of, &mut report);
        }
        if !model.shape.by.is_empty() {
            slices(model, &of, &mut report);
        }
    }
    report
}

/// One model: value, standard error, interval, base rate.
fn single(model: &ModelScore, options: &Options) -> Table {
    let mut table = Table::new([
        Header::left(""),
        Header::right(&model.name),
        Header::right("std error"),
        Header::right(format!("{} interval", level(options))),
        Header::right(BASE_RATE),
    ]);
    for line in lines(&options.rules.top_k) {
        let e = line.of(&model.scores);
        let d = decimals([&e]);
        let base = line.base(&model.baseline);
        table.push([
            Cell::text(line.title()),
            value_cell(e.value, d),
            error_cell(&e, d),
            interval_cell(&e, d),
            base.map_or_else(Cell::empty, |b| value_cell(b.value, d)),
        ]);
    }
    table.push([
        Cell::text("entropy explained"),
        explained_cell(model),
        Cell::empty(),
        Cell::empty(),
        Cell::number("0.0%", 0.0),
    ]);
    if model.scores.rows >= WORST_ROWS {
        table.push([
            Cell::text("loss in worst 1% of rows"),
            share_cell(model.worst_share),
            Cell::empty(),
            Cell::empty(),
            Cell::empty(),
        ]);
    }
    table
}

fn interval_cell(e: &Estimate, decimals: usize) -> Cell {
    if e.ci[0].is_nan() {
        Cell::missing()
    } else {
        Cell::text(interval(e.ci[0], e.ci[1], decimals))
    }
}

fn share_cell(share: f64) -> Cell {
    if share.is_nan() { Cell::missing() } else { Cell::number(percent(share, 1), share) }
}

/// Several models: a column each, and the base rates.
fn side_by_side(models: &[ModelScore], options: &Options) -> Table {
    let one_base = models.iter().all(|m| is_same(&m.baseline, &models[0].baseline));
    let mut headers = vec![Header::left("")];
    for model in models {
        headers.push(Header::right(&model.name));
        headers.push(Header::right("std error"));
    }
    if one_base {
        headers.push(Header::right(BASE_RATE));
    } else {
        headers.extend(models.iter().map(|m| Header::right(format!("{BASE_RATE}, {}", m.name))));
    }
    let mut table = Table::new(headers);
    let bases = if one_base { &models[..1] } else { models };
    for line in lines(&options.rules.top_k) {
        let estimates: Vec<Estimate> = models.iter().map(|m| line.of(&m.scores)).collect();
        let d = decimals(&estimates);
        let mut cells = vec![Cell::text(line.title())];
        for e in &estimates {
            cells.push(value_cell(e.value, d));
            cells.push(error_cell(e, d));
        }
        cells.extend(
            bases.iter().map(|m| {
                line.base(&m.baseline).map_or_else(Cell::empty, |b| value_cell(b.value, d))
            }),
        );
        table.push(cells);
    }
    let mut row = vec![Cell::text("entropy explained")];
    row.extend(models.iter().flat_map(|m| [explained_cell(m), Cell::empty()]));
    row.extend(bases.iter().map(|_| Cell::number("0.0%", 0.0)));
    table.push(row);
    if models.iter().all(|m| m.scores.rows >= WORST_ROWS) {
        let mut row = vec![Cell::text("loss in worst 1% of rows")];
        row.extend(models.iter().flat_map(|m| [share_cell(m.worst_share), Cell::empty()]));
        row.extend(bases.iter().map(|_| Cell::empty()));
        table.push(row);
    }
    table
}

/// Whether two base rates are of the same classes at the same frequencies; of importances their errors are NaN, which equal nothing.
fn is_same(a: &Baseline, b: &Baseline) -> bool {
    let values = |b: &Baseline| [b.error_rate.value, b.mse.value, b.log_loss.value];
    a.frequencies == b.frequencies && values(a) == values(b)
}

fn weight_cell(weight: f64) -> Cell {
    Cell::number(total(weight, 3), weight)
}

fn confusion(model: &ModelScore, of: &dyn Fn(&str) -> String, report: &mut Report) {
    let k = model.classes.len();
    if k <= SQUARE {
        let mut headers = vec![Header::left("true / predicted")];
        headers.extend(model.classes.iter().map(Header::right));
        let mut table = Table::new(headers).with_title(of("confusion matrix"));
        for (t, class) in model.classes.iter().enumerate() {
            let mut cells = vec![Cell::text(class)];
            for p in 0..k {
                let cell = model.confusion.iter().find(|c| c.0 as usize == t && c.1 as usize == p);
                cells.push(weight_cell(cell.map_or(0.0, |c| c.2)));
            }
            table.push(cells);
        }
        report.push(Block::Table(table));
        return;
    }
    let mut cells = model.confusion.clone();
    cells.retain(|c| c.0 != c.1);
    cells.sort_by(|a, b| b.2.total_cmp(&a.2).then_with(|| (a.0, a.1).cmp(&(b.0, b.1))));
    let n = cells.len();
    let mut table =
        Table::new([Header::left("true"), Header::left("predicted"), Header::right("rows")])
            .with_title(of("confusions, most frequent first"));
    for (t, p, w) in cells.into_iter().take(SHOWN) {
        let name = |c: u32| Cell::text(&model.classes[c as usize]);
        table.push([name(t), name(p), weight_cell(w)]);
    }
    report.push(Block::Table(table));
    shorten(n, report);
}

fn shorten(n: usize, report: &mut Report) {
    if n > SHOWN {
        report.push(Block::Note(format!(
            "{} more not shown; --format csv or json has all",
            counted((n - SHOWN) as u64, "row", "rows")
        )));
    }
}

fn group_table(title: String, keys: &[String], weighted: bool) -> Table {
    let mut headers: Vec<Header> = keys.iter().map(Header::left).collect();
    let rows = if weighted { "weight" } else { "rows" };
    headers.extend(
        [rows, "error rate", "mean squared error", "cross entropy, bits", "std error"]
            .map(Header::right),
    );
    Table::new(headers).with_title(title)
}

fn group_cells(scores: &Scores) -> [Cell; 5] {
    let bits = scores.cross_entropy();
    let d = |e: &Estimate| decimals([e]);
    [
        weight_cell(scores.weight),
        value_cell(scores.error_rate.value, d(&scores.error_rate)),
        value_cell(scores.mse.value, d(&scores.mse)),
        value_cell(bits.value, d(&bits)),
        error_cell(&bits, d(&bits)),
    ]
}

fn per_class(model: &ModelScore, of: &dyn Fn(&str) -> String, report: &mut Report) {
    if model.per_class.is_empty() {
        report.push(Block::Note(of("soft targets are of several classes: no rows by true class")));
        return;
    }
    let title = of("by true class");
    let mut table = group_table(title, &["class".to_owned()], model.shape.weight.is_some());
    for (class, scores) in model.per_class.iter().take(SHOWN) {
        let cells = std::iter::once(Cell::text(&model.classes[*class as usize]));
        table.push(cells.chain(group_cells(scores)).collect::<Vec<_>>());
    }
    report.push(Block::Table(table));
    shorten(model.per_class.len(), report);
}

fn slices(model: &ModelScore, of: &dyn Fn(&str) -> String, report: &mut Report) {
    let mut table = group_table(
        of("slices, highest cross entropy first"),
        &model.shape.by,
        model.shape.weight.is_some(),
    );
    for (key, scores) in model.slices.iter().take(SHOWN) {
        let cells = key.iter().map(Cell::text);
        table.push(cells.chain(group_cells(scores)).collect::<Vec<_>>());
    }
    report.push(Block::Table(table));
    shorten(model.slices.len(), report);
}
