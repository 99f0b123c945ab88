//! The report of `xent calibrate`: what a calibrator wins.

use serde_json::{Value, json};
use xent::calibration::recalibrate::Calibrator as Map;
use xent::moments::Difference;
use xent_eval::{ApplySummary, Calibration, Calibrator, Options, Won, method_name};

use crate::common::{
    decimals, error_cell, estimate_json, first_line, is_unlikely, notes, second_line, value_cell,
};
use crate::json::number;
use crate::number::{counted, fixed, p_phrase, signed, significant, total};
use crate::{Block, Cell, Header, Report, Table};

/// The highest temperature that a fit tries, and the inverse of the lowest.
const HIGHEST: f64 = 1_048_576.0;

/// What a person reads about a fit, and the contract `xent.calibrate/1`; `written` is the calibrator's file.
pub fn calibrate_report(found: &Calibration, options: &Options, written: Option<&str>) -> Report {
    let fitted = &found.calibrator.fitted;
    let bits = |x: f64| x / std::f64::consts::LN_2;
    let mut report = Report::new(json!({
        "schema": "xent.calibrate/1",
        "xent": env!("CARGO_PKG_VERSION"),
        "source": fitted.source,
        "rows": fitted.rows,
        "weight": number(fitted.weight),
        "classes": found.calibrator.classes,
        "input": options.rules.input.name(),
        "method": method_name(found.calibrator.method),
        "is_identity": found.calibrator.map == Map::Identity,
        "parameters": found.calibrator.parameters(),
        "cross_entropy": {
            "before": number(bits(fitted.before)),
            "after": number(bits(fitted.after)),
            "gain": number(bits(fitted.before - fitted.after)),
        },
        "cross_fitted": found.cross_fitted.map(|cross| {
            let mut value = won_json(&cross.won);
            value["folds"] = cross.folds.into();
            value
        }),
        "zeros": found.zeros,
        "written": written,
    }));
    let scores = std::slice::from_ref(&found.score);
    report.push(Block::Heading(first_line(&found.score)));
    report.push(Block::Text(second_line(scores, options)));
    let mut table = gains(method_name(found.calibrator.method));
    let (before, after) = (bits(fitted.before), bits(fitted.after));
    let e = found.cross_fitted.map_or(found.score.scores.cross_entropy(), |c| c.won.gain.estimate);
    let d = decimals([&e]).max(4);
    table.push([
        Cell::text("the rows it was fitted to"),
        value_cell(before, d),
        value_cell(after, d),
        Cell::number(signed(before - after, d), before - after),
        Cell::empty(),
    ]);
    if let Some(cross) = &found.cross_fitted {
        let name = format!("rows it has not seen, {} folds", cross.folds);
        table.push(won_cells(&name, &cross.won, d));
    }
    report.push(Block::Table(table));
    report.push(Block::Text(parameters(&found.calibrator)));
    if found.calibrator.map != Map::Identity {
        zeros(found.zeros, &mut report);
    }
    for note in notes(scores, options) {
        report.push(note);
    }
    let verdict = match &found.cross_fitted {
        _ if found.calibrator.map == Map::Identity && fitted.before == 0.0 => {
            "nothing to win: every row has probability 1 of what happened".to_owned()
        }
        _ if found.calibrator.map == Map::Identity => {
            "no gain: the predictions are best left as they are".to_owned()
        }
        Some(cross) => judged(&cross.won.gain, options.level, "on rows it has not seen"),
        None if before.is_infinite() => {
            "infinitely many bits a row are won on the rows of the fit: no probability is 0 any more".to_owned()
        }
        None => format!(
            "{} bits a row are won on the rows of the fit; --folds 10 says how many on others",
            size_of(before - after)
        ),
    };
    report.push(Block::Verdict(verdict));
    if let Some(path) = written {
        report.push(Block::Text(format!("{path} is the calibrator")));
    }
    report
}

/// What a person reads about a calibrator applied to a table, and the contract `xent.apply/1`; `level` is what a gain is judged at.
pub fn apply_report(
    calibrator: &Calibrator,
    summary: &ApplySummary,
    source: &str,
    written: &str,
    level: f64,
) -> Report {
    let mut report = Report::new(json!({
        "schema": "xent.apply/1",
        "xent": env!("CARGO_PKG_VERSION"),
        "source": source,
        "rows": summary.rows,
        "method": method_name(calibrator.method),
        "fitted": calibrator.fitted.source,
        "gain": summary.won.as_ref().map(won_json),
        "zeros": summary.zeros,
        "dropped": summary.dropped,
        "written": written,
    }));
    if let Some(won) = &summary.won {
        let d = decimals([&won.gain.estimate.in_bits()]).max(4);
        let mut table = gains(method_name(calibrator.method));
        table.push(won_cells(&counted(summary.rows, "row", "rows"), won, d));
        report.push(Block::Table(table));
    }
    zeros(summary.zeros, &mut report);
    if summary.dropped > 0 {
        let rows = counted(summary.dropped, "row", "rows");
        report.push(Block::Note(format!("{rows} with missing values left out")));
    }
    report.push(Block::Verdict(match &summary.won {
        Some(won) => judged(
            &won.gain,
            level,
            &format!("by a calibrator fitted to {}", calibrator.fitted.source),
        ),
        None => format!(
            "{} recalibrated; there is no label to say what that wins",
            counted(summary.rows, "row", "rows")
        ),
    }));
    report.push(Block::Text(format!("{written} holds the recalibrated predictions")));
    report
}

fn gains(method: &str) -> Table {
    Table::new([
        Header::left("cross entropy, bits"),
        Header::right("before"),
        Header::right(format!("after {method}")),
        Header::right("gain"),
        Header::right("std error"),
    ])
}

fn won_cells(name: &str, won: &Won, d: usize) -> [Cell; 5] {
    let (before, after) = (won.before.in_bits(), won.after.in_bits());
    let gain = won.gain.estimate.in_bits();
    let value = if gain.value.is_nan() {
        Cell::missing()
    } else {
        Cell::number(signed(gain.value, d), gain.value)
    };
    [
        Cell::text(name),
        value_cell(before.value, d),
        value_cell(after.value, d),
        value,
        error_cell(&gain, d),
    ]
}

fn won_json(won: &Won) -> Value {
    json!({
        "before": estimate_json(&won.before.in_bits()),
        "after": estimate_json(&won.after.in_bits()),
        "gain": estimate_json(&won.gain.estimate.in_bits()),
        "p_value": number(won.gain.p),
    })
}

/// What a paired gain says.
fn judged(gain: &Difference, level: f64, whom: &str) -> String {
    let bits = gain.estimate.in_bits().value;
    if bits == f64::INFINITY {
        return format!("infinitely many bits a row are won {whom}: no probability is 0 any more");
    }
    if bits.is_nan() {
        return format!("nothing can be said of the gain {whom}: losses are infinite");
    }
    if bits == f64::NEG_INFINITY {
        return format!("infinitely many bits a row are lost {whom}");
    }
    let size = size_of(bits.abs());
    let what = if bits >= 0.0 { "won" } else { "lost" };
    if is_unlikely(gain.p, level) {
        format!("{size} bits a row are {what} {whom} ({})", p_phrase(gain.p))
    } else if gain.p.is_nan() {
        format!("{size} bits a row are {what} {whom}; one row says nothing about luck")
    } else {
        format!("{size} bits a row are {what} {whom}, which could be luck ({})", p_phrase(gain.p))
    }
}

/// Four decimals, as in the tables, but for what would look like nothing.
fn size_of(bits: f64) -> String {
    if bits != 0.0 && bits < 0.00005 { significant(bits, 2) } else { fixed(bits, 4) }
}

fn zeros(rows: u64, report: &mut Report) {
    if rows > 0 {
        let what = counted(rows, "row has a probability", "rows have a probability");
        report.push(Block::Note(format!(
            "{what} of 0: the calibrator takes it as 2^-53, about 1e-16"
        )));
    }
}

/// The parameters in a sentence.
fn parameters(calibrator: &Calibrator) -> String {
    // The same decimals for all, that they can be compared.
    let n = |x: f64| if x.abs() < 1000.0 { fixed(x, 4) } else { total(x.round(), 0) };
    let classes = &calibrator.classes;
    match &calibrator.map {
        Map::Temperature { temperature } => {
            let what = if *temperature >= HIGHEST * (1.0 - 1e-6) {
                "the highest that is tried: on these rows equal probabilities would be best"
            } else if *temperature <= (1.0 + 1e-6) / HIGHEST {
                "the lowest that is tried: on these rows the surer the better"
            } else if *temperature > 1.0 {
                "the model is more sure of itself than it is right"
            } else {
                "the model is less sure of itself than it is right"
            };
            let shown =
                if *temperature < 0.01 { significant(*temperature, 2) } else { n(*temperature) };
            format!("temperature {shown}: {what}")
        }
        Map::Vector { scale, bias } => {
            let of = |(class, (a, b)): (&String, (&f64, &f64))| {
                format!(
                    "{}: {} x {} {}",
                    crate::common::short(class),
                    n(*a),
                    if *b < 0.0 { "-" } else { "+" },
                    n(b.abs())
                )
            };
            let some = classes.iter().zip(scale.iter().zip(bias)).take(5).map(of);
            let more = if classes.len() > 5 { "; …" } else { "" };
            format!("softmax of {}{more}", some.collect::<Vec<_>>().join("; "))
        }
        Map::Platt { slope, intercept } => {
            format!(
                "log-odds of {}: slope {}, intercept {}",
                crate::common::short(&classes[1]),
                n(*slope),
                n(*intercept)
            )
        }
        Map::Beta { a, b, c } => format!("beta: a {}, b {}, c {}", n(*a), n(*b), n(*c)),
        Map::Isotonic { maps } => {
            let steps: usize = maps.iter().map(|m| m.thresholds.len() / 2).sum();
            let of = if maps.len() > 1 {
                format!("{} maps, divided by their sum", maps.len())
            } else {
                "a rising map".to_owned()
            };
            format!("{of}, {} in all", counted(steps as u64, "level", "levels"))
        }
        _ => "the identity".to_owned(),
    }
}
