//! The same rows with their features in a temporary file, for files larger than memory.

use std::sync::{Mutex, PoisonError};

use super::{Heads, Labels, ValueKind, check, heads, kind_of, parse_all};
use crate::error::Error;
use crate::find;
use crate::mapped::{Extent, Mapped, Spill};
use crate::table::Format;

/// Labelled sparse rows whose features lie in a temporary file, which goes with them.
#[derive(Debug, Clone)]
pub struct MappedTable {
    /// Where each row starts in `indices`, and the end: `n_rows + 1` numbers, the first is 0.
    pub offsets: Vec<usize>,
    /// The features of each row as places in `features`, ascending within a row.
    pub indices: Mapped<u32>,
    /// Their values; finite.
    pub values: MappedValues,
    /// The indices that occur, as the file has them, ascending.
    pub features: Vec<u32>,
    /// A label a row.
    pub labels: Labels,
    /// The `qid` of each row, if the rows have one.
    pub queries: Option<Vec<u64>>,
}

/// Values of sparse rows, one an index.
#[derive(Debug, Clone)]
pub enum MappedValues {
    /// Each is 1.
    Ones,
    /// Each is exactly a 32-bit number.
    F32(Mapped<f32>),
    /// Correctly rounded.
    F64(Mapped<f64>),
}

/// Where the features of a part are in the spill; the values as 64-bit or, if all are, as 32-bit numbers.
#[derive(Clone, Copy)]
struct Place {
    indices: Extent,
    values: Option<Extent>,
}

struct Spilled {
    spill: Spill,
    /// Which indices occur, a bit each.
    seen: Vec<u64>,
    places: Vec<Place>,
}

/// Reads the rows of a path as [`super::read`] does, and puts their features into a temporary file: where [`Spill::create`]
/// makes it, of up to twice their size. What stays in memory is what a row has once: its offset, its label, its query.
///
/// # Errors
///
/// Those of [`super::read`], and a full disk.
pub fn read_mapped(spec: &str, threads: usize) -> Result<MappedTable, Error> {
    let files = find::text_inputs(spec, Format::Svmlight)?;
    let spilled =
        Mutex::new(Spilled { spill: Spill::create()?, seen: Vec::new(), places: Vec::new() });
    let mut parts = parse_all(&files, threads, &|mut part| {
        let mut spilled = spilled.lock().unwrap_or_else(PoisonError::into_inner);
        let Spilled { spill, seen, places } = &mut *spilled;
        let mut indices = spill.begin()?;
        spill.push(&mut indices, &part.indices)?;
        let mut values = None;
        if !part.is_ones {
            let mut extent = spill.begin()?;
            if part.is_f32 {
                let narrow: Vec<f32> = part.values.iter().map(|&x| x as f32).collect();
                spill.push(&mut extent, &narrow)?;
            } else {
                spill.push(&mut extent, &part.values)?;
            }
            values = Some(extent);
        }
        for &index in &part.indices {
            let word = index as usize / 64;
            if word >= seen.len() {
                seen.resize(word + 1, 0);
            }
            seen[word] |= 1 << (index % 64);
        }
        part.place = places.len();
        places.push(Place { indices, values });
        (part.indices, part.values) = (Vec::new(), Vec::new());
        Ok(part)
    })?;
    check(&files, &parts)?;
    let Heads { offsets, labels, queries, .. } = heads(&files, &parts)?;
    let Spilled { mut spill, seen, places } =
        spilled.into_inner().unwrap_or_else(PoisonError::into_inner);
    // What a row has once stands in the heads now.
    for part in &mut parts {
        (part.ends, part.codes, part.queries) = (Vec::new(), Vec::new(), Vec::new());
    }
    let all = (0..seen.len() as u64 * 64).map(|index| index as u32);
    let features: Vec<u32> =
        all.filter(|&index| seen[index as usize / 64] >> (index % 64) & 1 == 1).collect();
    let mut to_place = vec![0; features.last().map_or(0, |&last| last as usize + 1)];
    for (place, &index) in (0..).zip(&features) {
        to_place[index as usize] = place;
    }
    let mut whole = spill.begin()?;
    for part in &parts {
        let indices = spill.read::<u32>(places[part.place].indices)?;
        let renumbered: Vec<u32> = indices.iter().map(|&i| to_place[i as usize]).collect();
        spill.push(&mut whole, &renumbered)?;
    }
    let indices = spill.map(whole)?;
    let kind = kind_of(&parts);
    let mut whole = spill.begin()?;
    for part in &parts {
        let wide = |x: &f32| f64::from(*x);
        match (kind, places[part.place].values) {
            (ValueKind::Ones, _) => {}
            (ValueKind::F32, None) => spill.push(&mut whole, &vec![1.0_f32; part.n_values])?,
            (ValueKind::F64, None) => spill.push(&mut whole, &vec![1.0_f64; part.n_values])?,
            (ValueKind::F32, Some(extent)) => {
                let values = spill.read::<f32>(extent)?;
                spill.push(&mut whole, &values)?;
            }
            (ValueKind::F64, Some(extent)) if part.is_f32 => {
                let values: Vec<f64> = spill.read::<f32>(extent)?.iter().map(wide).collect();
                spill.push(&mut whole, &values)?;
            }
            (ValueKind::F64, Some(extent)) => {
                let values = spill.read::<f64>(extent)?;
                spill.push(&mut whole, &values)?;
            }
        }
    }
    let values = match kind {
        ValueKind::Ones => MappedValues::Ones,
        ValueKind::F32 => MappedValues::F32(spill.map(whole)?),
        ValueKind::F64 => MappedValues::F64(spill.map(whole)?),
    };
    Ok(MappedTable { offsets, indices, values, features, labels, queries })
}
