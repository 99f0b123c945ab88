//! The parts of the scores: uncertainty, discrimination, miscalibration, as tables and in the JSON contracts.

use serde_json::{Map, Value, json};
use xent::calibration::decomposition::{Decomposition, Decompositions};
use xent_eval::{BINS, BinnedDecompositions, Details, ModelParts, ModelScore};

use crate::common::{decimals, value_cell};
use crate::json::number;
use crate::number::{counted, decimals_for, fixed, significant};
use crate::{Block, Cell, Header, Report, Table};

/// The row of the largest probability, beside the classes.
const TOP_LABEL: &str = "(top label)";
/// What the parts are.
const SUM: &str = "score = uncertainty - discrimination + miscalibration, in-sample";
/// A number of a sample is told of if it is so many of its standard errors from 0.
const SHOWN_ERRORS: f64 = 2.0;
/// The names of the parts, in the order of the sum.
pub(crate) const PARTS: [&str; 3] = ["uncertainty", "discrimination", "miscalibration"];

fn cells(parts: &Decomposition, decimals: usize) -> [Cell; 3] {
    [parts.uncertainty, parts.discrimination, parts.miscalibration].map(|x| value_cell(x, decimals))
}

/// The parts of every model's cross entropy and squared error; nothing if there are none.
pub(crate) fn push_parts(models: &[ModelScore], report: &mut Report) {
    if models.iter().all(|m| m.parts.is_none()) {
        return;
    }
    let folds = models.iter().find_map(|m| shown_folds(m.parts.as_ref()?));
    let several = models.len() > 1;
    let mut headers = vec![Header::left("")];
    if several {
        headers.push(Header::left(""));
    }
    headers.extend(PARTS.map(Header::right));
    let mut table = Table::new(headers).with_title(SUM);
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
        let mut places = decimals(&estimates);
        // No more digits than the sample gives.
        let errors = models.iter().filter_map(|m| {
            let parts = m.parts.as_ref()?;
            Some(if score.starts_with('c') { parts.se } else { parts.se_mse })
        });
        let error = errors.filter(|se| *se > 0.0).fold(f64::NAN, f64::min);
        if error > 0.0 {
            places = places.min(decimals_for(error));
        }
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
    notes(models, report);
}

/// What the parts are from, where that is not all rows as they are.
fn notes(models: &[ModelScore], report: &mut Report) {
    // Models that are compared have samples of the same rows.
    let mut told: Vec<u64> = Vec::new();
    for model in models {
        let Some(parts) = &model.parts else { continue };
        let alike = models.iter().filter_map(|m| m.parts.as_ref()).filter(|p| p.rows == parts.rows);
        let count = alike.clone().count();
        let of = |count: usize| {
            if models.len() > count { format!("{}: ", model.name) } else { String::new() }
        };
        if parts.is_sample && !(count == models.len() && told.contains(&parts.rows)) {
            told.push(parts.rows);
            let all = count == models.len();
            let largest = |of: &dyn Fn(&ModelParts) -> f64| {
                if all { alike.clone().map(of).fold(0.0, f64::max) } else { of(parts) }
            };
            let about = both(largest(&|p| p.se), largest(&|p| p.se_mse), |se| {
                format!("±{}", fixed(se, decimals_for(se)))
            });
            let about = about.map(|about| format!(", to about {about}")).unwrap_or_default();
            let exact =
                if model.classes.len() == 2 { "; xent calibration holds all rows" } else { "" };
            let of = of(if all { count } else { 1 });
            report.push(Block::Note(format!(
                "{of}the parts are from a sample of {} of {}{about}{exact}",
                crate::number::count(parts.rows),
                counted(model.scores.rows, "row", "rows"),
            )));
            let chance = |i: usize| largest(&|p| p.by_chance.map_or(0.0, |by| by[i]));
            if let Some(chance) = both(chance(0), chance(1), |x| significant(x, 2)) {
                report.push(Block::Note(format!(
                    "{of}fitted to so few rows, a model without miscalibration shows about {chance} of it"
                )));
            }
        }
        if parts.has_zeros {
            report.push(Block::Note(format!(
                "{}zeros: discrimination is at least so much; see xent worst --floors",
                of(1)
            )));
        }
    }
}

/// `x bits and y of squared error`, of what is more than 0.
fn both(bits: f64, squared: f64, show: impl Fn(f64) -> String) -> Option<String> {
    match (bits > 0.0, squared > 0.0) {
        (true, true) => Some(format!("{} bits and {} of squared error", show(bits), show(squared))),
        (true, false) => Some(format!("{} bits", show(bits))),
        (false, true) => Some(format!("{} of squared error", show(squared))),
        (false, false) => None,
    }
}

/// Folds that were asked for: then the squared error has such parts too.
fn shown_folds(parts: &ModelParts) -> Option<u32> {
    parts.cross_fitted.and_then(|c| c.mse.map(|_| c.folds))
}

/// Why models are ahead of the first or behind it, in one or two lines for each; nothing
/// of models that lose the same.
pub(crate) fn why(models: &[ModelScore]) -> Vec<String> {
    let Some((first, others)) = models.split_first() else { return Vec::new() };
    let lines = others.iter().filter_map(|other| why_of_two(first, other, others.len() > 1));
    // What is said of the first model is the same beside every other one.
    let mut told = Vec::new();
    for line in lines.flatten() {
        if !told.contains(&line) {
            told.push(line);
        }
    }
    told
}

fn why_of_two(a: &ModelScore, b: &ModelScore, several: bool) -> Option<Vec<String>> {
    let bits = |m: &ModelScore| m.scores.cross_entropy().value;
    let (ahead, behind) = if bits(a) < bits(b) { (a, b) } else { (b, a) };
    let (x, y) = (ahead.parts.as_ref()?, behind.parts.as_ref()?);
    let gap = bits(behind) - bits(ahead);
    let information = x.cross_entropy.discrimination - y.cross_entropy.discrimination;
    let calibration = y.cross_entropy.miscalibration - x.cross_entropy.miscalibration;
    // Both have the error of the one that is not the first.
    let error = [x.gap_se, y.gap_se].into_iter().fold(0.0, f64::max);
    let places = decimals(&[ahead.scores.cross_entropy(), behind.scores.cross_entropy()]);
    let (ahead_name, behind_name) = (&ahead.name, &behind.name);
    let places = if error > 0.0 { places.min(decimals_for(error)) } else { places };
    // What is shown as 0, or may be luck of the sample, is no part of the story.
    let least = 0.5 * 10_f64.powi(-(places as i32));
    let is_shown = |x: f64| x.abs() >= least.max(SHOWN_ERRORS * error);
    let show = |x: f64| fixed(x.abs(), places);
    let of =
        if several { format!("{ahead_name} is ahead of {behind_name}: ") } else { String::new() };
    let text = if gap.is_nan() || gap.is_infinite() || !calibration.is_finite() {
        let infinite = if bits(ahead).is_infinite() {
            format!("{ahead_name} and {behind_name} lose")
        } else {
            format!("{behind_name} loses")
        };
        format!(
            "{infinite} infinitely many bits by miscalibration: what happened had probability 0"
        )
    } else if gap < least {
        return None;
    } else if error > 0.0 && !(is_shown(information) && is_shown(calibration)) {
        let gap = format!("{ahead_name} is ahead of {behind_name} by {} bits: ", show(gap));
        match (is_shown(information), is_shown(calibration)) {
            (false, true) => format!(
                "{gap}calibration {} ± {}; no difference in information is shown by the sample",
                show(calibration),
                show(error)
            ),
            (true, false) => format!(
                "{gap}information {} ± {}; no difference in calibration is shown by the sample",
                show(information),
                show(error)
            ),
            _ => format!("{gap}no difference in calibration or information is shown by the sample"),
        }
    } else if calibration <= -least {
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
            "{of}of the {} bits, {} are calibration and {} information",
            show(gap),
            show(calibration),
            show(information)
        )
    };
    let (Some(x), Some(y)) = (&x.cross_fitted, &y.cross_fitted) else {
        return Some(vec![format!(
            "{text} (in-sample; the rows are too few to check it by folds)"
        )]);
    };
    let left = y.cross_entropy.recalibrated() - x.cross_entropy.recalibrated();
    let after = if several { "recalibrated" } else { "after recalibrating each model" };
    let after = format!("{after} (cross-fitted, {} folds)", x.folds);
    let then = if error > 0.0 && !is_shown(left) {
        format!("{after} the sample shows no gap")
    } else if gap.is_finite() && left > -least {
        format!("{after} the gap would be {} bits", show(left.max(0.0)))
    } else {
        let ahead_then = if left > 0.0 { ahead_name } else { behind_name };
        format!("{after} {ahead_then} would be ahead by {} bits", show(left))
    };
    Some(vec![text, then])
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
        ("decomposition", &parts.cross_entropy, parts.recalibration, parts.se),
        ("decomposition_mse", &parts.mse, parts.recalibration_mse, parts.se_mse),
    ];
    for (i, (key, of, method, se)) in pairs.into_iter().enumerate() {
        let mut value = parts_json(of);
        value.insert("method".to_owned(), method.name().into());
        value.insert("fit".to_owned(), "in-sample".into());
        value.insert("rows".to_owned(), parts.rows.into());
        value.insert("sample".to_owned(), parts.is_sample.into());
        let se = if parts.is_sample { number(se) } else { Value::Null };
        value.insert("sample_se".to_owned(), se);
        let by_chance = parts.by_chance.map(|by_chance| number(by_chance[i]));
        value.insert("by_chance".to_owned(), by_chance.unwrap_or_default());
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

/// The gap of a model to the first: cross entropy, calibration, information, what is left after recalibration, and the standard
/// error of the two parts by sampling; bits. NaN for what there is not.
pub(crate) fn gap(first: &ModelScore, model: &ModelScore) -> Option<[f64; 5]> {
    let (a, b) = (first.parts.as_ref()?, model.parts.as_ref()?);
    let (x, y) = (&a.cross_entropy, &b.cross_entropy);
    let left = a.cross_fitted.as_ref().zip(b.cross_fitted.as_ref());
    let left = left.map(|(x, y)| y.cross_entropy.recalibrated() - x.cross_entropy.recalibrated());
    let (calibration, information) =
        (y.miscalibration - x.miscalibration, x.discrimination - y.discrimination);
    let se = if b.is_sample { b.gap_se } else { f64::NAN };
    Some([y.score - x.score, calibration, information, left.unwrap_or(f64::NAN), se])
}

/// The names of these numbers.
pub(crate) const GAP: [&str; 5] =
    ["cross_entropy", "calibration", "information", "recalibrated", "sample_se"];

/// The gap of each model to the first, and its parts, in bits.
pub(crate) fn gaps_json(models: &[ModelScore]) -> Value {
    let Some((first, others)) = models.split_first() else { return Value::Null };
    let json = |model: &ModelScore| -> Option<Value> {
        let numbers = gap(first, model)?;
        let mut map = Map::new();
        map.insert("model".to_owned(), model.name.clone().into());
        map.insert("baseline".to_owned(), first.name.clone().into());
        for (name, x) in GAP.iter().zip(numbers) {
            // What was not asked for is nothing; a gap of two infinities is not a number.
            let is_absent = x.is_nan() && matches!(*name, "recalibrated" | "sample_se");
            map.insert((*name).to_owned(), if is_absent { Value::Null } else { number(x) });
        }
        Some(map.into())
    };
    others.iter().map(|model| json(model).unwrap_or_default()).collect()
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
pub(crate) fn binned_classes(model: &ModelScore, n: usize) -> &[String] {
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
