//! What another tool would say, beside the scores.

use serde_json::{Value, json};
use xent_eval::{ModelScore, Peer, PeerScore};

use crate::common::value_cell;
use crate::json::number;
use crate::tidy::push_peer;
use crate::{Block, Cell, Header, Report, Table};

/// Adds a table of the numbers of `peer` for each model, or for programs lines to the table of the scores, and `models[].as` to the data.
pub fn add_peer(
    report: &mut Report,
    peer: Peer,
    models: &[ModelScore],
    scores: &[Vec<PeerScore>],
    all: bool,
) {
    for (model, scores) in models.iter().zip(scores) {
        if all {
            push_peer(report, peer.name(), model, scores);
            continue;
        }
        let of = if models.len() > 1 { format!("{}: ", model.name) } else { String::new() };
        let headers = [
            Header::left("function"),
            Header::right("it says"),
            Header::left("xent's score"),
            Header::right("xent says"),
            Header::left("why"),
        ];
        let title = format!("{of}what {} says of these rows", peer.name());
        let mut table = Table::new(headers).with_title(title);
        let cell = |x: f64| value_cell(x, 4);
        for score in scores {
            table.push([
                Cell::text(score.function),
                cell(score.value),
                Cell::text(score.score.map_or("-", score_title)),
                cell(score.ours),
                Cell::text(&score.reason),
            ]);
        }
        report.push(Block::Table(table));
        for note in notes(peer, model) {
            report.push(Block::Note(format!("{of}{note}")));
        }
    }
    let Some(data) = report.data.get_mut("models").and_then(Value::as_array_mut) else { return };
    for (value, scores) in data.iter_mut().zip(scores) {
        let scores = scores.iter().map(|score| {
            json!({
                "function": score.function,
                "value": number(score.value),
                "score": score.score,
                "ours": number(score.ours),
                "reason": score.reason,
            })
        });
        value["as"] = json!({ "tool": peer.name(), "scores": scores.collect::<Vec<_>>() });
    }
}

/// The name of a score in tables.
fn score_title(key: &'static str) -> &'static str {
    match key {
        "log_loss" => "log loss, nats",
        "mse" => "mean squared error",
        "error_rate" => "error rate",
        "entropy_explained" => "entropy explained",
        other => other,
    }
}

/// What the tool would not be able to do, or would do without a word.
fn notes(peer: Peer, model: &ModelScore) -> Vec<String> {
    let mut notes = Vec::new();
    if peer == Peer::Sklearn {
        let numbers: Option<Vec<f64>> = model.classes.iter().map(|c| c.parse().ok()).collect();
        let is_sorted = match numbers {
            Some(numbers) => numbers.is_sorted(),
            None => model.classes.is_sorted(),
        };
        if !is_sorted {
            notes.push(
                "scikit-learn takes the columns for those of the sorted labels: put them into that order, or its numbers are \
                 of other classes"
                    .to_owned(),
            );
        }
        if model.baseline.frequencies.contains(&0.0) {
            notes.push(
                "scikit-learn needs labels=[...] where a class has no row, and refuses otherwise"
                    .to_owned(),
            );
        }
    }
    if peer == Peer::Torchmetrics {
        notes.push("torchmetrics has no log loss and no Brier score".to_owned());
    }
    notes
}
