//! What a cheap repair would win, in one line.

use serde_json::{Map, Value, json};
use xent::calibration::repair::{Mistake, Repair};
use xent_eval::ModelScore;

use crate::common::short;
use crate::json::number;
use crate::number::{counted, fixed};
use crate::{Block, Report};

/// Classes named in the line.
const NAMED: usize = 4;

/// Adds a line for each model that the best repair would explain, and `models[].repairs` to the data.
pub(crate) fn push(report: &mut Report, models: &[ModelScore]) {
    for model in models {
        let of = if models.len() > 1 { format!("{}: ", model.name) } else { String::new() };
        if let Some(text) = model.repairs().first().and_then(|repair| sentence(model, repair)) {
            report.push(Block::Warning(of + &text));
        }
    }
    let Some(data) = report.data.get_mut("models").and_then(Value::as_array_mut) else { return };
    for (value, model) in data.iter_mut().zip(models) {
        let repairs = model.repairs();
        value["repairs"] = repairs.into_iter().map(|repair| repair_json(model, repair)).collect();
    }
}

/// Classes that are predicted by the column of another, and that class.
fn moved<'a>(model: &'a ModelScore, columns: &'a [usize]) -> Vec<(&'a String, &'a String)> {
    let pairs = columns.iter().enumerate().filter(|&(class, &column)| class != column);
    pairs.map(|(class, &column)| (&model.classes[class], &model.classes[column])).collect()
}

fn sentence(model: &ModelScore, repair: &Repair) -> Option<String> {
    let what = match &repair.mistake {
        Mistake::Permuted { columns } => match &moved(model, columns)[..] {
            [(a, b), _] => {
                format!("the predictions of {} and {} look swapped; if so,", short(a), short(b))
            }
            several => {
                let each = several.iter().take(NAMED);
                let each: Vec<String> =
                    each.map(|(a, b)| format!("{} in that of {}", short(a), short(b))).collect();
                let more = if several.len() > NAMED { ", …" } else { "" };
                format!(
                    "each class looks to be in the column of another ({}{more}); if so,",
                    each.join(", ")
                )
            }
        },
        Mistake::LabelsOff { by } => format!(
            "the labels look off by one; with 1 {} each,",
            if *by < 0 { "taken from" } else { "added to" }
        ),
        _ => return None,
    };
    let rows = match &model.parts {
        Some(parts) if parts.is_sample => {
            format!(" (on a sample of {})", counted(parts.rows, "row", "rows"))
        }
        _ => String::new(),
    };
    // What stays infinite is compared as it is judged: both with the same least probability.
    let (before, zeros) = match repair.before {
        Some(before) if repair.has_zeros => (bits(before), ", where 0 is taken as 2^-53"),
        _ => (model.scores.cross_entropy().value, ""),
    };
    Some(format!(
        "{what} the cross entropy is {} bits and not {}{rows}{zeros}",
        fixed(bits(repair.after), 3),
        fixed(before, 3)
    ))
}

fn bits(nats: f64) -> f64 {
    nats / std::f64::consts::LN_2
}

fn repair_json(model: &ModelScore, repair: &Repair) -> Value {
    let mut map = Map::new();
    match &repair.mistake {
        Mistake::Permuted { columns } => {
            map.insert("mistake".to_owned(), "permuted".into());
            let moved = moved(model, columns).into_iter();
            let columns = moved.map(|(a, b)| (a.clone(), Value::from(b.clone())));
            map.insert("columns".to_owned(), Value::Object(columns.collect()));
        }
        Mistake::LabelsOff { by } => {
            map.insert("mistake".to_owned(), "labels_off".into());
            map.insert("by".to_owned(), (*by).into());
        }
        _ => {}
    }
    map.insert("cross_entropy".to_owned(), number(bits(repair.after)));
    map.insert("log_loss".to_owned(), number(repair.after));
    map.insert("has_zeros".to_owned(), repair.has_zeros.into());
    let parts = model.parts.as_ref();
    map.insert("rows".to_owned(), parts.map(|parts| parts.rows).into());
    map.insert("sample".to_owned(), json!(parts.is_some_and(|parts| parts.is_sample)));
    Value::Object(map)
}
