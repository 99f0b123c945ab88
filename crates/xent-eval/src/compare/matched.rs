//! Rows that are held to be matched: by identity, or models stacked in one table.

use std::collections::HashMap;

use xent_io::Table;

use super::in_step::rows;
use super::{Entry, Matching, same};
use crate::block::{Block, Scorer};
use crate::detective::explain;
use crate::error::Error;
use crate::score::{Observer, Options, Progress, go_on};

/// All rows of a table, scored and held.
pub(super) fn load(
    table: &Table,
    scorer: &Scorer,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Block, Error> {
    let mut all = Block::default();
    let mut progress = Progress { cross_entropy: f64::NAN, ..Progress::default() };
    let scanned = table.scan(
        scorer.requests(),
        &options.scan(options.threads),
        |batch| scorer.block(batch),
        |block, span| -> Result<(), Error> {
            all.append(block);
            progress.rows += span.rows as u64;
            progress.bytes = span.bytes_read;
            go_on(observer.progress(&progress))
        },
    );
    scanned.map_err(|error| explain(error, table, scorer.binding(), &options.rules))?;
    all.numbers = vec![(1..=all.rows as u64).collect()];
    Ok(all)
}

/// Matches held rows by identity, or by position within each model.
pub(super) fn join(
    entries: &[Entry<'_>],
    mut blocks: Vec<Block>,
    classes: &[String],
    by_id: bool,
    matching: &mut Matching,
) -> Result<Block, Error> {
    let places: Vec<Vec<usize>> = if by_id {
        match_ids(entries, &blocks, matching)?
    } else {
        for (entry, block) in entries.iter().zip(&blocks) {
            if block.rows != blocks[0].rows {
                return Err(Error::new(format!(
                    "model {} has {}, model {} has {}",
                    entries[0].name,
                    rows(blocks[0].rows as u64),
                    entry.name,
                    block.rows
                ))
                .with_hint("rows are matched by position; match them by a column with --id"));
            }
        }
        vec![(0..blocks[0].rows).collect(); blocks.len()]
    };
    for (block, places) in blocks.iter_mut().zip(&places) {
        *block = block.take(places);
    }
    // Models of one file are told apart by their names.
    let of = |i: usize| {
        let of = [&entries[0], &entries[i]];
        if of[0].table.spec() == of[1].table.spec() {
            of.map(|entry| entry.name.as_str())
        } else {
            of.map(|entry| entry.table.spec())
        }
    };
    let place = |block: &Block, r: usize| match &block.ids {
        Some(ids) if by_id => format!("the row with id {}", xent_io::show(&ids[r])),
        _ => format!("row {} of each model", r + 1),
    };
    let hint = if by_id {
        "models are compared on the same rows with the same labels"
    } else {
        "models are compared on the same rows; match rows by a column with --id"
    };
    same::join(blocks, classes, of, place, hint)
}

/// For each model the places of the rows that all models have, in the first model's order.
fn match_ids(
    entries: &[Entry<'_>],
    blocks: &[Block],
    matching: &mut Matching,
) -> Result<Vec<Vec<usize>>, Error> {
    let empty = Vec::new();
    let mut maps: Vec<HashMap<&str, usize>> = Vec::new();
    for (entry, block) in entries.iter().zip(blocks) {
        let ids = block.ids.as_ref().unwrap_or(&empty);
        let mut map: HashMap<&str, usize> = HashMap::with_capacity(ids.len());
        let mut duplicates = 0;
        let mut first: Option<(usize, usize)> = None;
        for (row, id) in ids.iter().enumerate() {
            if id.is_empty() && block.absent.as_ref().is_some_and(|absent| absent[row]) {
                continue; // left out for its missing id
            }
            if let Some(before) = map.insert(id, row) {
                duplicates += 1;
                first.get_or_insert((before, row));
            }
        }
        if let Some((a, b)) = first {
            let more = if duplicates > 1 {
                format!(" ({duplicates} such rows in all)")
            } else {
                String::new()
            };
            let stacked = block.models.is_some();
            let of = if stacked { format!(" of model {}", entry.name) } else { String::new() };
            return Err(Error::new(format!(
                "{}: rows {} and {}{of} have the same id {}{more}",
                entry.table.spec(),
                a + 1,
                b + 1,
                xent_io::show(&ids[a])
            ))
            .with_hint(
                "ids must be unique under each model; models stacked in one file need --model-col",
            ));
        }
        maps.push(map);
    }
    let ids = blocks[0].ids.as_ref().unwrap_or(&empty);
    let mut places: Vec<Vec<usize>> = vec![Vec::new(); blocks.len()];
    for id in ids {
        let found: Option<Vec<usize>> = maps.iter().map(|m| m.get(id.as_str()).copied()).collect();
        if let Some(found) = found {
            for (places, place) in places.iter_mut().zip(found) {
                places.push(place);
            }
        }
    }
    let matched = places[0].len();
    matching.unmatched = blocks.iter().map(|b| (b.rows - matched) as u64).collect();
    if matched == 0 {
        let example = |i: usize| {
            blocks[i]
                .ids
                .as_ref()
                .and_then(|ids| ids.first())
                .map(xent_io::show)
                .unwrap_or_default()
        };
        return Err(Error::new("no id occurs under every model").with_hint(format!(
            "the first id is {} in {} and {} in {}",
            example(0),
            entries[0].table.spec(),
            example(1),
            entries[1].table.spec()
        )));
    }
    Ok(places)
}
