//! The parts of the scores: uncertainty, discrimination, miscalibration, as tables and in the JSON contracts.

use serde_json::{Map, Value, json};
use xent::calibration::decomposition::{Decomposition, Decompositions};
use xent_eval::{BINS, BinnedDecompositions, Details, ModelParts, ModelScore};

use crate::common::{decimals, value_cell};
use crate::json::number;
use crate::number::{counted, fixed};
use crate::{Block, Cell, Header, Report, Table};

/// The row of the largest probability, beside the classes.
const TOP_LABEL: &str = "(top label)";
/// The names of the parts, in the order of the sum.
const PARTS: [&str; 3] = ["uncertainty", "discrimination", "miscalibration"];

fn cells(parts: &Decomposition, decimals: usize) -> [Cell; 3] {
    [parts.uncertainty, parts.discrimination, parts.miscalibration].map(|x| value_cell(x, decimals))
}

/// The parts of every model's cross entropy and squared error; nothing if there are none.
pub(crate) fn push_parts(models: &[ModelScore], report: &mut Report) {
    if models.iter().all(|m| m.parts.is_none()) {
        return;
    }
    let folds = models.iter().find_map(|m| shown_folds(m.parts.as_ref()?));
    let title = "score = uncertainty - discrimination + miscalibration, in-sample";
    let several = models.len() > 1;
    let mut headers = vec![Header::left("")];
    if several {
        headers.push(Header::left(""));
    }
    headers.extend(PARTS.map(Header::right));
    let mut table = Table::new(headers).with_title(title);
    type Pick = fn(&ModelParts) -> (Decomposition, Option<Decomposition>);
    let scores: [(&str, Pick); 2] = [
        ("cross entropy, bits", |p| (p.cross_entropy, p.cross_fitted.map(|c| c.cross_entropy))),
        ("mean squared error", |p| (p.mse, p.cross_fitted.and_then(|c| c.mse))),
    ];
    for (score, pick) in scores {
        let estimate = |m: &ModelScore| {
            if score.starts_with('c') { m.scores.cross_entropy() } else { m.scores.mse }
        };
        let estimates: Vec<_> = models.iter().map(estimate).collect();
        let places = decimals(&estimates);
        let mut title = Cell::text(score);
        let mut again = Vec::new();
        for model in models {
            let Some(parts) = &model.parts else { continue };
            let (in_sample, cross_fitted) = pick(parts);
            let mut row = vec![std::mem::take(&mut title)];
            if several {
                row.push(Cell::text(&model.name));
            }
            row.extend(cells(&in_sample, places));
            table.push(row);
            again.extend(cross_fitted.filter(|_| folds.is_some()).map(|parts| (model, parts)));
        }
        let mut title = Cell::text("  cross-fitted");
        for (model, parts) in again {
            let mut row = vec![std::mem::take(&mut title)];
            if several {
                row.push(Cell::text(&model.name));
            }
            row.extend(cells(&parts, places));
            table.push(row);
        }
    }
    report.push(Block::Table(table));
    if let Some(folds) = folds {
        report.push(Block::Note(format!(
            "cross-fitted: each row is recalibrated by a fit of the rows of other folds, {folds} in all; such parts may be negative"
        )));
    }
    for model in models {
        if let Some(parts) = model.parts.as_ref().filter(|parts| parts.is_sample) {
            let of = if several { format!("{}: ", model.name) } else { String::new() };
            report.push(Block::Note(format!(
                "{of}the parts are from a sample of {} of {}; score and uncertainty are of all",
                crate::number::count(parts.rows),
                counted(model.scores.rows, "row", "rows")
            )));
        }
    }
}

/// Folds that were asked for: then the squared error has such parts too.
fn shown_folds(parts: &ModelParts) -> Option<u32> {
    parts.cross_fitted.and_then(|c| c.mse.map(|_| c.folds))
}

/// For programs: the cells of a score's parts, empty where there are none.
pub(crate) fn tidy_cells(model: &ModelScore, score: xent::compare::Score) -> [Cell; 3] {
    use xent::compare::Score;
    let parts = model.parts.as_ref().and_then(|parts| match score {
        Score::CrossEntropy => Some(parts.cross_entropy),
        Score::Mse => Some(parts.mse),
        _ => None,
    });
    parts.map_or_else(
        || [(); 3].map(|()| Cell::missing()),
        |p| [p.uncertainty, p.discrimination, p.miscalibration].map(crate::common::exact_cell),
    )
}

/// Their headers.
pub(crate) const TIDY: [&str; 3] = PARTS;

/// Why one of two models is ahead, in one or two lines; `None` if a score is infinite or the models lose the same.
pub(crate) fn why(models: &[ModelScore]) -> Option<Vec<String>> {
    let [a, b] = models else { return None };
    let bits = |m: &ModelScore| m.scores.cross_entropy().value;
    let (ahead, behind) = if bits(a) < bits(b) { (a, b) } else { (b, a) };
    let (x, y) = (ahead.parts.as_ref()?, behind.parts.as_ref()?);
    let gap = bits(behind) - bits(ahead);
    let information = x.cross_entropy.discrimination - y.cross_entropy.discrimination;
    let calibration = y.cross_entropy.miscalibration - x.cross_entropy.miscalibration;
    let places = decimals(&[ahead.scores.cross_entropy(), behind.scores.cross_entropy()]);
    // What is shown as 0 is no part of the story.
    let least = 0.5 * 10_f64.powi(-(places as i32));
    if gap.is_nan() || gap < least || !calibration.is_finite() {
        return None;
    }
    let show = |x: f64| fixed(x.abs(), places);
    let (ahead_name, behind_name) = (&ahead.name, &behind.name);
    let mut text = if calibration <= -least {
        format!(
            "{ahead_name} knows {} bits more than {behind_name} and loses {} of them by worse calibration",
            show(information),
            show(calibration)
        )
    } else if information <= -least {
        format!(
            "{ahead_name} is better calibrated by {} bits, and knows {} bits less than {behind_name}",
            show(calibration),
            show(information)
        )
    } else {
        format!(
            "of the {} bits, {} are calibration and {} information",
            show(gap),
            show(calibration),
            show(information)
        )
    };
    if let (Some(x), Some(y)) = (&x.cross_fitted, &y.cross_fitted) {
        let left = y.cross_entropy.recalibrated() - x.cross_entropy.recalibrated();
        let after = format!("after recalibrating each model (cross-fitted, {} folds)", x.folds);
        let then = if left > -least {
            format!("{after} the gap would be {} bits", show(left.max(0.0)))
        } else {
            format!("{after} {behind_name} would be ahead by {} bits", show(left))
        };
        return Some(vec![text, then]);
    }
    text.push_str(" (in-sample; the rows are too few to check it by folds)");
    Some(vec![text])
}

fn parts_json(parts: &Decomposition) -> Map<String, Value> {
    let values = [parts.uncertainty, parts.discrimination, parts.miscalibration];
    PARTS.iter().zip(values).map(|(&name, x)| (name.to_owned(), number(x))).collect()
}

/// The keys of one model.
pub(crate) fn insert_json(model: &ModelScore, map: &mut Map<String, Value>) {
    let Some(parts) = &model.parts else {
        map.insert("decomposition".to_owned(), Value::Null);
        map.insert("decomposition_mse".to_owned(), Value::Null);
        return;
    };
    let pairs = [
        ("decomposition", &parts.cross_entropy, parts.recalibration),
        ("decomposition_mse", &parts.mse, parts.recalibration_mse),
    ];
    for (key, of, method) in pairs {
        let mut value = parts_json(of);
        value.insert("method".to_owned(), method.name().into());
        value.insert("fit".to_owned(), "in-sample".into());
        value.insert("rows".to_owned(), parts.rows.into());
        value.insert("sample".to_owned(), parts.is_sample.into());
        map.insert(key.to_owned(), Value::Object(value));
    }
    let cross_fitted = parts.cross_fitted.as_ref().map(|c| {
        json!({
            "folds": c.folds,
            "decomposition": parts_json(&c.cross_entropy),
            "decomposition_mse": c.mse.as_ref().map(parts_json),
        })
    });
    map.insert("cross_fitted".to_owned(), cross_fitted.unwrap_or_default());
    if let Some(details) = &parts.details {
        map.insert("decomposition_details".to_owned(), details_json(model, details));
    }
}

/// The gap of each model to the first, and its parts, in bits.
pub(crate) fn gaps_json(models: &[ModelScore]) -> Value {
    let Some((first, others)) = models.split_first() else { return Value::Null };
    let gap = |model: &ModelScore| -> Option<Value> {
        let (a, b) = (first.parts.as_ref()?, model.parts.as_ref()?);
        let (x, y) = (&a.cross_entropy, &b.cross_entropy);
        let recalibrated = a.cross_fitted.as_ref().zip(b.cross_fitted.as_ref());
        let left = recalibrated
            .map(|(x, y)| number(y.cross_entropy.recalibrated() - x.cross_entropy.recalibrated()));
        Some(json!({
            "model": model.name,
            "baseline": first.name,
            "cross_entropy": number(y.score - x.score),
            "calibration": number(y.miscalibration - x.miscalibration),
            "information": number(x.discrimination - y.discrimination),
            "recalibrated": left,
        }))
    };
    others.iter().map(|model| gap(model).unwrap_or_default()).collect()
}

fn both_json(parts: &Decompositions) -> Value {
    json!({ "decomposition": parts_json(&parts.log.in_bits()), "decomposition_mse": parts_json(&parts.squared) })
}

fn details_json(model: &ModelScore, details: &Details) -> Value {
    let named = |rows: Vec<Value>| -> Value {
        let names = binned_classes(model, rows.len());
        names
            .iter()
            .zip(rows)
            .map(|(name, row)| ((*name).clone(), row))
            .collect::<Map<_, _>>()
            .into()
    };
    let bits = |nats: f64| number(nats / std::f64::consts::LN_2);
    let binned = details.binned.iter().map(|b| {
        let errors = |errors: [f64; 3], scale: f64| -> Value {
            if details.has_errors {
                errors.map(|e| number(e / scale)).to_vec().into()
            } else {
                Value::Null
            }
        };
        json!({
            "decomposition": parts_json(&b.log.parts.in_bits()),
            "se": errors(b.log.errors, std::f64::consts::LN_2),
            "within_bins": bits(b.log.within_bins),
            "decomposition_mse": parts_json(&b.squared.parts),
            "se_mse": errors(b.squared.errors, 1.0),
            "within_bins_mse": number(b.squared.within_bins),
            "corrected_mse": details.has_errors.then(|| parts_json(&b.squared_corrected.parts)),
            "se_corrected_mse": errors(b.squared_corrected.errors, 1.0),
        })
    });
    json!({
        "one_vs_rest": named(details.one_vs_rest.iter().map(both_json).collect()),
        "top_label": both_json(&details.top_label),
        "top_class_bins": details.grouped.as_ref().map(|g| {
            let mut value = both_json(&g.parts);
            value["within_groups"] = bits(g.within_groups[0]);
            value["within_groups_mse"] = number(g.within_groups[1]);
            value["groups"] = g.groups.into();
            value["bins"] = BINS.into();
            value
        }),
        "bins": BINS,
        "binned": named(binned.collect()),
    })
}

/// The classes that binned forms are of: all, or the second of two.
fn binned_classes(model: &ModelScore, n: usize) -> &[String] {
    &model.classes[model.classes.len() - n..]
}

/// The tables of `--decomposition`.
pub(crate) fn push_details(model: &ModelScore, of: &dyn Fn(&str) -> String, report: &mut Report) {
    let Some(details) = model.parts.as_ref().and_then(|parts| parts.details.as_ref()) else {
        return;
    };
    let places = [decimals([&model.scores.cross_entropy()]), decimals([&model.scores.mse])];
    let headers = |first: &str, more: &[&str]| {
        let texts = [first, "score"].map(Header::left);
        texts
            .into_iter()
            .chain(PARTS.iter().chain(more).copied().map(Header::right))
            .collect::<Vec<_>>()
    };
    let rows = |name: &str, parts: &Decompositions, more: [Option<f64>; 2]| {
        let log = (name, "bits", parts.log.in_bits(), places[0], more[0]);
        let squared = ("", "squared error", parts.squared, places[1], more[1]);
        [log, squared].map(|(name, score, parts, places, more)| {
            let texts = [Cell::text(name), Cell::text(score)];
            let numbers = cells(&parts, places).into_iter();
            texts
                .into_iter()
                .chain(numbers)
                .chain(more.map(|x| value_cell(x, places)))
                .collect::<Vec<_>>()
        })
    };
    let title = of("one class against the rest, by isotonic regression (CORP), in-sample");
    let mut table = Table::new(headers("class", &[])).with_title(title);
    let top = std::iter::once((TOP_LABEL, &details.top_label));
    let classes = model.classes.iter().map(String::as_str).zip(&details.one_vs_rest);
    for (name, parts) in classes.chain(top) {
        rows(name, parts, [None; 2]).into_iter().for_each(|row| table.push(row));
    }
    report.push(Block::Table(table));
    if let Some(grouped) = &details.grouped {
        let title = of(&format!("by top class and {BINS} bins of its probability (Bröcker)"));
        let mut table = Table::new(headers("", &["within groups"])).with_title(title);
        let [log, squared] = grouped.within_groups;
        let within = [Some(log / std::f64::consts::LN_2), Some(squared)];
        let name = counted(grouped.groups as u64, "group", "groups");
        rows(&name, &grouped.parts, within).into_iter().for_each(|row| table.push(row));
        report.push(Block::Table(table));
    }
    binned(model, details, of, report);
}

fn binned(model: &ModelScore, details: &Details, of: &dyn Fn(&str) -> String, report: &mut Report) {
    let title = of(&format!("in {BINS} bins of equal width, ± standard error"));
    let headers = ["uncertainty", "discrimination", "miscalibration", "within bins"];
    let headers = [Header::left("class"), Header::left("score")]
        .into_iter()
        .chain(headers.map(Header::right));
    let mut table = Table::new(headers).with_title(title);
    let places = decimals([&model.scores.mse]);
    for (class, b) in binned_classes(model, details.binned.len()).iter().zip(&details.binned) {
        let BinnedDecompositions { log, squared, squared_corrected } = b;
        let bits = std::f64::consts::LN_2;
        let mut rows = vec![
            ("bits", log.parts.in_bits(), log.errors.map(|e| e / bits), log.within_bins / bits),
            ("squared error", squared.parts, squared.errors, squared.within_bins),
        ];
        if details.has_errors {
            let c = squared_corrected;
            rows.push(("  bias-corrected", c.parts, c.errors, c.within_bins));
        }
        for (i, (score, parts, errors, within)) in rows.into_iter().enumerate() {
            let name = if i == 0 { Cell::text(class) } else { Cell::empty() };
            let mut row = vec![name, Cell::text(score)];
            let values = [parts.uncertainty, parts.discrimination, parts.miscalibration];
            row.extend(values.into_iter().zip(errors).map(|(x, e)| {
                let text = fixed(x, places);
                if details.has_errors && e.is_finite() {
                    Cell::number(format!("{text} ± {}", fixed(e, places)), x)
                } else {
                    value_cell(x, places)
                }
            }));
            row.push(value_cell(within, places));
            table.push(row);
        }
    }
    report.push(Block::Table(table));
    if !details.has_errors {
        report.push(Block::Note(of(
            "bias correction and standard errors in bins need one class a row and weights that count rows",
        )));
    }
}
