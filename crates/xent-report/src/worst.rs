//! The report of `xent worst`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use xent_eval::{Contrast, Floor, ModelWorst, Options, Part, Prediction, Worst, WorstRow};

use crate::common::{
    SHOWN, exact_cell, first_line, head_json, notes, second_line, short, slice_json, value_cell,
};
use crate::json::number;
use crate::number::{count, counted, percent, total};
use crate::text::{display_width, escape_terminal};
use crate::{Block, Cell, Header, Report, Table, Tone};

/// A model is sure of its top class from this probability on.
const SURE: f64 = 0.9;
/// Columns of the screen that a table of rows may take.
const SCREEN: usize = 118;
/// The space between columns.
const GAP: usize = 3;
/// Rows and columns named in a sentence.
const NAMED: usize = 5;

/// What a person reads about the worst rows of one or two models, and the contract `xent.worst/1`.
///
/// `all` keeps every row and column of long and wide tables, for output that is read by programs.
///
/// # Panics
///
/// If there is no model.
pub fn worst_report(worst: &Worst, options: &Options, all: bool) -> Report {
    let scores: Vec<_> = worst.models.iter().map(|m| m.score.clone()).collect();
    let mut report = Report::new(data(worst, options));
    report.push(Block::Heading(first_line(&scores[0])));
    report.push(Block::Text(second_line(&scores, options)));
    // Of two models the rows on which they differ are of interest; programs get all lists.
    let mut hidden: BTreeSet<usize> = BTreeSet::new();
    let lists_each = all || worst.contrasts.is_empty();
    for model in worst.models.iter().filter(|_| lists_each) {
        hidden.extend(rows_of_model(worst, model, all, &mut report));
    }
    for contrast in &worst.contrasts {
        hidden.extend(rows_of_contrast(worst, contrast, all, &mut report));
    }
    for model in &worst.models {
        report.push(Block::Table(parts(worst, model, options, all)));
        if !model.floors.is_empty() {
            report.push(Block::Table(floors(worst, model)));
        }
    }
    for model in &worst.models {
        if let Some(text) = label_errors(worst, model).filter(|_| lists_each) {
            report.push(Block::Verdict(text));
        }
    }
    let infinite = scores.iter().any(|m| m.scores.infinite_rows > 0);
    notes(&scores, options).into_iter().for_each(|block| report.push(block));
    if infinite {
        report.push(Block::Note("shares are of the loss of the rows of finite loss".to_owned()));
    }
    if !hidden.is_empty() {
        report.push(Block::Note(format!(
            "{} not shown ({}); --format csv or json has all",
            counted(hidden.len() as u64, "column", "columns"),
            named(hidden.iter().map(|&i| short(&worst.columns[i])))
        )));
    }
    if !worst.left_out.is_empty() {
        report.push(Block::Note(format!(
            "columns of lists and objects are not shown: {}",
            named(worst.left_out.iter().map(|name| short(name)))
        )));
    }
    if !lists_each {
        report.push(Block::Hint(
            "name one file, or the columns of one model with --proba, for the worst rows of that model"
                .to_owned(),
        ));
    }
    if infinite && worst.models.iter().all(|m| m.floors.is_empty()) {
        report.push(Block::Hint(
            "--floors shows the loss with a floor on the probabilities".to_owned(),
        ));
    }
    report
}

/// `a, b, c, …`
fn named(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = if names.len() > NAMED { ", …" } else { "" };
    format!("{}{more}", names.take(NAMED).collect::<Vec<_>>().join(", "))
}

/// `model: what` where there are several.
fn of(worst: &Worst, model: &ModelWorst, what: &str) -> String {
    if worst.models.len() > 1 { format!("{}: {what}", model.score.name) } else { what.to_owned() }
}

/// A table that is still to get the other columns of its rows.
struct Listing<'a> {
    rows: &'a [WorstRow],
    headers: Vec<Header>,
    cells: Vec<Vec<Cell>>,
}

impl<'a> Listing<'a> {
    /// Row number, id and label of every row.
    fn new(rows: &'a [WorstRow], label: &str) -> Self {
        let with_id = rows.iter().any(|row| row.id.is_some());
        let mut headers = vec![Header::right("row")];
        if with_id {
            headers.push(Header::left("id"));
        }
        headers.push(Header::left(label));
        let cells = rows.iter().map(|row| {
            let mut cells = vec![Cell::number(row.row.to_string(), row.row as f64)];
            if with_id {
                cells.push(Cell::text(row.id.clone().unwrap_or_default()));
            }
            cells.push(Cell::text(&row.label));
            cells
        });
        Self { rows, cells: cells.collect(), headers }
    }

    fn column(&mut self, header: Header, cell: impl Fn(&WorstRow) -> Cell) {
        self.headers.push(header);
        for (cells, row) in self.cells.iter_mut().zip(self.rows) {
            cells.push(cell(row));
        }
    }

    /// The rows with those of their other columns that fit; the others are returned.
    fn push(
        mut self,
        title: String,
        worst: &Worst,
        all: bool,
        report: &mut Report,
    ) -> BTreeSet<usize> {
        let width = |header: &str, cells: &mut dyn Iterator<Item = &str>| {
            let widest = cells.map(|text| display_width(&escape_terminal(text))).max();
            display_width(&escape_terminal(header)).max(widest.unwrap_or(0)) + GAP
        };
        let mut used: usize = self
            .headers
            .iter()
            .enumerate()
            .map(|(i, h)| width(&h.text, &mut self.cells.iter().map(|c| c[i].text.as_str())))
            .sum();
        let mut hidden = BTreeSet::new();
        for (i, name) in worst.columns.iter().enumerate() {
            let text = |row: &WorstRow| row.columns[i].clone();
            let is_number =
                self.rows.iter().all(|r| text(r).is_none_or(|t| t.parse::<f64>().is_ok()));
            let header = |name: &str| {
                if is_number { Header::right(name) } else { Header::left(name) }
            };
            if all {
                self.column(header(name), |row| Cell::text(text(row).unwrap_or_default()));
                continue;
            }
            let shown = |row: &WorstRow| text(row).map_or_else(|| "-".to_owned(), |t| short(&t));
            let texts: Vec<String> = self.rows.iter().map(shown).collect();
            let wide = width(&short(name), &mut texts.iter().map(String::as_str));
            if used + wide > SCREEN {
                hidden.insert(i);
                continue;
            }
            used += wide;
            self.column(header(&short(name)), |row| Cell::text(shown(row)));
        }
        let mut table = Table::new(self.headers).with_title(title);
        self.cells.into_iter().for_each(|cells| table.push(cells));
        report.push(Block::Table(table));
        hidden
    }
}

fn bits_cell(x: f64, all: bool) -> Cell {
    if all { exact_cell(x) } else { value_cell(x, 2) }
}

fn probability_cell(p: f64, all: bool) -> Cell {
    if all { exact_cell(p) } else { value_cell(p, 3) }
}

fn rows_of_model(
    worst: &Worst,
    model: &ModelWorst,
    all: bool,
    report: &mut Report,
) -> BTreeSet<usize> {
    let at = worst.models.iter().position(|m| m.score.name == model.score.name).unwrap_or(0);
    let n = model.rows.len();
    if n == 0 {
        report.push(Block::Text(of(worst, model, "every row costs 0 bits: there is no worst row")));
        return BTreeSet::new();
    }
    let title = match n {
        1 => "the worst row, by surprisal in bits".to_owned(),
        n => format!("the {} worst rows, by surprisal in bits", count(n as u64)),
    };
    let says = |row: &WorstRow| row.models[at].clone();
    let mut listing = Listing::new(&model.rows, "label");
    listing.column(Header::right("bits"), |row| bits_cell(says(row).bits(), all));
    if model.rows.iter().any(|row| says(row).label_probability.is_some()) {
        listing.column(Header::right("p of label"), |row| {
            says(row).label_probability.map_or_else(Cell::missing, |p| probability_cell(p, all))
        });
    }
    listing.column(Header::left("model says"), |row| class_cell(model, &says(row)));
    listing.column(Header::right("p"), |row| probability_cell(says(row).probability, all));
    listing.push(of(worst, model, &title), worst, all, report)
}

fn class_cell(model: &ModelWorst, says: &Prediction) -> Cell {
    Cell::text(&model.score.classes[says.predicted as usize])
}

fn rows_of_contrast(
    worst: &Worst,
    contrast: &Contrast,
    all: bool,
    report: &mut Report,
) -> BTreeSet<usize> {
    let name = |model: usize| short(&worst.models[model].score.name);
    let (a, b) = (contrast.worse, contrast.better);
    if contrast.rows.is_empty() {
        report.push(Block::Text(format!("{} loses to {} on no row", name(a), name(b))));
        return BTreeSet::new();
    }
    let mut listing = Listing::new(&contrast.rows, "label");
    listing.column(Header::right("bits lost"), |row| {
        bits_cell(row.models[a].bits() - row.models[b].bits(), all)
    });
    for model in [a, b] {
        listing.column(Header::right(format!("bits, {}", name(model))), |row| {
            bits_cell(row.models[model].bits(), all)
        });
    }
    for model in [a, b] {
        let says = move |row: &WorstRow| row.models[model].clone();
        listing.column(Header::left(format!("{} says", name(model))), |row| {
            class_cell(&worst.models[model], &says(row))
        });
        listing.column(Header::right("p"), |row| probability_cell(says(row).probability, all));
    }
    let title = format!("where {} loses most against {}", name(a), name(b));
    listing.push(title, worst, all, report)
}

/// The loss by share of the rows, true class and slice.
fn parts(worst: &Worst, model: &ModelWorst, options: &Options, all: bool) -> Table {
    let scores = &model.score.scores;
    let weighted = model.score.shape.weight.is_some();
    let mut headers = vec![
        Header::left(""),
        Header::right(if weighted { "weight" } else { "rows" }),
        Header::right("share of rows"),
        Header::right("share of loss"),
        Header::right("cross entropy, bits"),
    ];
    if scores.infinite_rows > 0 {
        headers.push(Header::right("infinite rows"));
    }
    let mut table = Table::new(headers).with_title(of(worst, model, "where the loss lives"));
    let share = |x: f64| {
        if x.is_nan() {
            Cell::missing()
        } else if all {
            exact_cell(x)
        } else {
            Cell::number(percent(x, 1), x)
        }
    };
    let bits = |x: f64| if all { exact_cell(x) } else { value_cell(x, 3) };
    let weight = |w: f64| Cell::number(total(w, 3), w);
    let infinite = |n: u64| Cell::number(count(n), n as f64);
    table.push([
        Cell::text("all rows"),
        weight(scores.weight),
        share(1.0),
        share(if scores.finite_log_loss.value > 0.0 { 1.0 } else { f64::NAN }),
        bits(scores.cross_entropy().value),
        infinite(scores.infinite_rows),
    ]);
    for &(rows, loss) in &model.shares {
        let name = format!("worst {} of rows", percent(rows, 0));
        table.push([Cell::text(name), Cell::empty(), share(rows), share(loss)]);
    }
    let mut group = |title: String, parts: &[Part]| {
        if parts.is_empty() {
            return;
        }
        table.push_group(title);
        for part in parts.iter().take(if all { usize::MAX } else { SHOWN }) {
            table.push([
                Cell::text(part.key.join(", ")),
                weight(part.scores.weight),
                share(part.share_of_rows),
                share(part.share_of_loss),
                bits(part.scores.cross_entropy().value),
                infinite(part.scores.infinite_rows),
            ]);
        }
        if !all && parts.len() > SHOWN {
            let more = counted((parts.len() - SHOWN) as u64, "other", "others");
            table.push([Cell::text(format!("and {more}: see --format csv or json"))]);
        }
    };
    group("by true class".to_owned(), &model.classes);
    group(format!("by {}", options.roles.by.join(", ")), &model.slices);
    if scores.infinite_rows == 0 {
        for row in &mut table.rows {
            if let crate::Row::Cells(cells) = row {
                cells.truncate(5);
            }
        }
    }
    table
}

fn floors(worst: &Worst, model: &ModelWorst) -> Table {
    let title = of(worst, model, "with a floor on the probabilities, as --clip does it");
    let headers = [
        Header::left("floor"),
        Header::right("cross entropy, bits"),
        Header::right("log loss, nats"),
        Header::right("rows touched"),
        Header::right("of these the label's own"),
        Header::left(""),
    ];
    let mut table = Table::new(headers).with_title(title);
    let soft = model.classes.is_empty();
    for floor in &model.floors {
        let name = floor.floor.map_or_else(
            || "none".to_owned(),
            |e| if e < 1e-3 { format!("{e:e}") } else { e.to_string() },
        );
        let rows = |n: u64| Cell::number(count(n), n as f64);
        table.push([
            Cell::text(name),
            value_cell(bits(floor), 4),
            value_cell(floor.log_loss, 4),
            rows(floor.rows),
            if soft { Cell::missing() } else { rows(floor.label_rows) },
            if floor.is_best { Cell::text("best").with_tone(Tone::Better) } else { Cell::empty() },
        ]);
    }
    table
}

fn bits(floor: &Floor) -> f64 {
    floor.log_loss / std::f64::consts::LN_2
}

/// Rows whose label the model contradicts surely.
fn label_errors(worst: &Worst, model: &ModelWorst) -> Option<String> {
    let at = worst.models.iter().position(|m| m.score.name == model.score.name)?;
    let says = |row: &WorstRow| model.score.classes[row.models[at].predicted as usize].clone();
    let sure: Vec<&WorstRow> = model
        .rows
        .iter()
        .filter(|row| {
            let p = &row.models[at];
            p.label_probability.is_some() && p.probability >= SURE && says(row) != row.label
        })
        .collect();
    let first = sure.first()?;
    let others = match &sure[1..] {
        [] => String::new(),
        [one] => format!("; row {} too", one.row),
        several => format!("; rows {} too", named(several.iter().map(|row| row.row.to_string()))),
    };
    let text = format!(
        "likely label errors: in row {} the label says {}, the model {} with {}{others}",
        first.row,
        short(&first.label),
        short(&says(first)),
        percent(first.models[at].probability, 1),
    );
    Some(of(worst, model, &text))
}

fn data(worst: &Worst, options: &Options) -> Value {
    let scores: Vec<_> = worst.models.iter().map(|m| m.score.clone()).collect();
    let mut map = head_json("xent.worst/1", &scores, options);
    if let Some(models) = map.get_mut("models").and_then(Value::as_array_mut) {
        for (at, (value, model)) in models.iter_mut().zip(&worst.models).enumerate() {
            if let Some(value) = value.as_object_mut() {
                value.insert("worst".to_owned(), model_json(worst, model, at, options));
            }
        }
    }
    let contrasts = worst.contrasts.iter().map(|contrast| {
        let name = |model: usize| worst.models[model].score.name.clone();
        let rows = contrast.rows.iter().map(|row| {
            let mut map = row_json(row);
            let lost = row.models[contrast.worse].bits() - row.models[contrast.better].bits();
            map.insert("bits_lost".to_owned(), number(lost));
            let says = row.models.iter().enumerate().map(|(at, says)| {
                let mut map = Map::new();
                map.insert("name".to_owned(), name(at).into());
                says_json(&worst.models[at], says, &mut map);
                Value::Object(map)
            });
            map.insert("models".to_owned(), says.collect());
            map.insert("columns".to_owned(), columns_json(worst, row));
            Value::Object(map)
        });
        json!({
            "worse": name(contrast.worse),
            "better": name(contrast.better),
            "rows": rows.collect::<Vec<_>>(),
        })
    });
    map.insert("contrasts".to_owned(), contrasts.collect());
    map.insert("left_out".to_owned(), worst.left_out.clone().into());
    Value::Object(map)
}

fn model_json(worst: &Worst, model: &ModelWorst, at: usize, options: &Options) -> Value {
    let rows = model.rows.iter().map(|row| {
        let mut map = row_json(row);
        says_json(model, &row.models[at], &mut map);
        map.insert("columns".to_owned(), columns_json(worst, row));
        Value::Object(map)
    });
    let part = |key: Value, name: &str, part: &Part| {
        let mut map = Map::new();
        map.insert(name.to_owned(), key);
        map.insert("rows".to_owned(), part.scores.rows.into());
        map.insert("weight".to_owned(), number(part.scores.weight));
        map.insert("share_of_rows".to_owned(), number(part.share_of_rows));
        map.insert("share_of_loss".to_owned(), number(part.share_of_loss));
        map.insert("cross_entropy".to_owned(), number(part.scores.cross_entropy().value));
        map.insert("infinite".to_owned(), json!({ "count": part.scores.infinite_rows }));
        Value::Object(map)
    };
    let shares = model.shares.iter().map(|&(r, l)| json!({ "rows": r, "loss": number(l) }));
    let classes = model.classes.iter().map(|p| part(p.key[0].clone().into(), "class", p));
    let slices =
        model.slices.iter().map(|p| part(slice_json(&options.roles.by, &p.key), "slice", p));
    let floors = model.floors.iter().map(|floor| {
        json!({
            "floor": floor.floor,
            "cross_entropy": number(bits(floor)),
            "log_loss": number(floor.log_loss),
            "rows": floor.rows,
            "label_rows": if model.classes.is_empty() { Value::Null } else { floor.label_rows.into() },
            "best": floor.is_best,
        })
    });
    json!({
        "rows": rows.collect::<Vec<_>>(),
        "shares": shares.collect::<Vec<_>>(),
        "classes": classes.collect::<Vec<_>>(),
        "slices": slices.collect::<Vec<_>>(),
        "floors": floors.collect::<Vec<_>>(),
    })
}

fn row_json(row: &WorstRow) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("row".to_owned(), row.row.into());
    map.insert("id".to_owned(), row.id.clone().into());
    map.insert("label".to_owned(), row.label.clone().into());
    map
}

fn says_json(model: &ModelWorst, says: &Prediction, map: &mut Map<String, Value>) {
    map.insert("bits".to_owned(), number(says.bits()));
    let label = says.label_probability.map_or(Value::Null, number);
    map.insert("label_probability".to_owned(), label);
    let class = model.score.classes[says.predicted as usize].clone();
    map.insert("predicted".to_owned(), class.into());
    map.insert("probability".to_owned(), number(says.probability));
}

fn columns_json(worst: &Worst, row: &WorstRow) -> Value {
    let pair = |(name, value): (&String, &Option<String>)| (name.clone(), value.clone().into());
    Value::Object(worst.columns.iter().zip(&row.columns).map(pair).collect())
}
