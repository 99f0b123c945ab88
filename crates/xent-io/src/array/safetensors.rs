//! Named tensors in one file: the length of a JSON header, the header, and the elements.
//!
//! The header is read here and not by the `safetensors` crate, which refuses a whole file for one
//! tensor of a type it does not know, and says less about what is wrong. The rules are the same,
//! those of the format: tensors lie one behind the other, without gaps or overlaps, to the end of
//! the file; no name occurs twice.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::npy::{Element, Header};
use super::{Array, ArrayFile, Store, Table};
use crate::error::{Fault, show};
use crate::input::Blob;

/// The most bytes of a header, those of the format.
const MAX_HEADER: u64 = 100_000_000;
/// The key of what is no tensor.
const METADATA: &str = "__metadata__";

/// What the header says about a tensor.
#[derive(serde::Deserialize)]
struct Info {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

pub(super) fn open(blob: Blob) -> Result<ArrayFile, Fault> {
    let io = |e: std::io::Error| Fault::io("cannot read", &e);
    let head = blob.bytes(0, blob.len().min(8)).map_err(io)?;
    let Some(length) = head.first_chunk::<8>() else {
        return Err(broken("its header is cut"));
    };
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER {
        return Err(broken(&format!("its header would have {length} bytes, more than 100 MB")));
    }
    let start = 8 + length;
    if start > blob.len() {
        let missing = start - blob.len();
        return Err(broken(&format!("its header ends {missing} bytes behind the end of the file")));
    }
    let header = blob.bytes(8, length).map_err(io)?;
    let tensors = parse(&header)?;
    check_places(&tensors, blob.len() - start)?;
    let mut table = Table::new("tensor");
    for (name, info) in tensors {
        let header = header_of(&name, &info, start)?;
        let array =
            header.map(|header| Array { store: Store::At(blob.clone(), header.start), header });
        table.push(name, array)?;
    }
    table.finish(blob.len())
}

/// The tensors of a header, in its order.
fn parse(header: &[u8]) -> Result<Vec<(String, Info)>, Fault> {
    if header.first() != Some(&b'{') {
        return Err(broken("its header is no JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(header);
    let entries = (&mut json).deserialize_map(Entries).and_then(|e| json.end().map(|()| e));
    let entries = entries.map_err(|_| broken("its header is no valid JSON object"))?;
    let mut names = std::collections::HashSet::new();
    let mut tensors = Vec::with_capacity(entries.len());
    for (name, value) in &entries {
        if !names.insert(name.as_str()) {
            return Err(broken(&format!("two tensors are named {}", show(name))));
        }
        if name == METADATA {
            continue;
        }
        let info: Info = serde_json::from_str(value.get()).map_err(|_| {
            broken(&format!("tensor {} has no valid dtype, shape and data_offsets", show(name)))
        })?;
        tensors.push((name.clone(), info));
    }
    Ok(tensors)
}

/// The fault of a file that breaks the rules of the format.
fn broken(detail: &str) -> Fault {
    Fault::new(format!("this file is damaged: {detail}")).hint("write or fetch the file again")
}

/// The entries of an object in their order, repeated keys included.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

/// Tensors fill the file without gaps and overlaps.
fn check_places(tensors: &[(String, Info)], bytes: u64) -> Result<(), Fault> {
    let mut places: Vec<(u64, u64, &str)> = Vec::with_capacity(tensors.len());
    for (name, info) in tensors {
        let [start, end] = info.data_offsets;
        if start > end {
            return Err(broken(&format!("tensor {} ends before it starts", show(name))));
        }
        if end > bytes {
            let more = end - bytes;
            return Err(broken(&format!(
                "tensor {} ends {more} bytes behind the end of the file",
                show(name)
            )));
        }
        places.push((start, end, name));
    }
    places.sort_unstable();
    let (mut at, mut before) = (0, "");
    for (start, end, name) in places {
        if start < at {
            return Err(broken(&format!("tensors {} and {} overlap", show(before), show(name))));
        }
        if start > at {
            return Err(broken(&format!(
                "{} bytes before tensor {} belong to none",
                start - at,
                show(name)
            )));
        }
        (at, before) = (end, name);
    }
    if at < bytes {
        return Err(broken(&format!("its last {} bytes belong to no tensor", bytes - at)));
    }
    Ok(())
}

/// The header of one tensor; the inner error is that of a tensor which cannot be a column.
fn header_of(name: &str, info: &Info, data: u64) -> Result<Result<Header, Fault>, Fault> {
    let element = match info.dtype.as_str() {
        "F64" => Element::Float(8),
        "F32" => Element::Float(4),
        "F16" => Element::Float(2),
        "BF16" => Element::Brain,
        "I64" => Element::Signed(8),
        "I32" => Element::Signed(4),
        "I16" => Element::Signed(2),
        "I8" => Element::Signed(1),
        "U64" => Element::Unsigned(8),
        "U32" => Element::Unsigned(4),
        "U16" => Element::Unsigned(2),
        "U8" => Element::Unsigned(1),
        "BOOL" => Element::Boolean,
        other => return Ok(Err(Fault::new(format!("has elements of type {}", show(other))))),
    };
    let size = element.size() as u64;
    let [start, end] = info.data_offsets;
    let needed = info.shape.iter().try_fold(size, |n, &d| n.checked_mul(d));
    // A dimension of 0 makes any product 0.
    let needed = if info.shape.contains(&0) { Some(0) } else { needed };
    if needed != Some(end - start) {
        let needed = needed.map_or("too many".to_owned(), |n| n.to_string());
        return Err(broken(&format!(
            "tensor {} has {} bytes, its shape and type need {needed}",
            show(name),
            end - start
        )));
    }
    let (rows, width) = match info.shape[..] {
        [rows] => (rows, None),
        [rows, width] => (rows, usize::try_from(width).ok().or(Some(usize::MAX))),
        _ => {
            let n = info.shape.len();
            let why = format!("has {n} dimensions; xent reads arrays of one or two");
            return Ok(Err(Fault::new(why)));
        }
    };
    if width.is_some_and(|w| w.checked_mul(element.size()).is_none_or(|b| b > 1 << 30)) {
        return Ok(Err(Fault::new("has rows of more than 1 GiB")));
    }
    Ok(Ok(Header { element, big_endian: false, fortran: false, rows, width, start: data + start }))
}
