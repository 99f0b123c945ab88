//! One line of JSON into the requested columns, without building values that nobody asked for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::twice;
use crate::column::{Column, ReadAs};
use crate::engine::Plan;
use crate::error::{Fault, printable, show};
use crate::list::check_width;
use crate::number::{self, BLANK};

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, Visitor};

/// The lines of a chunk that are not blank.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    at: usize,
}

impl Lines {
    pub fn new(start: usize) -> Lines {
        Lines { at: start }
    }

    /// The next line with its end, and where it starts.
    pub fn next<'a>(&mut self, data: &'a [u8]) -> Option<(usize, &'a [u8])> {
        while self.at < data.len() {
            let start = self.at;
            let end = memchr::memchr(b'\n', &data[start..]).map_or(data.len(), |i| start + i + 1);
            self.at = end;
            let line = &data[start..end];
            if line.iter().any(|b| !b.is_ascii_whitespace()) {
                return Some((start, line));
            }
        }
        None
    }

    pub fn is_at_end(&self, data: &[u8]) -> bool {
        self.at >= data.len()
    }
}

/// The table's keys and their columns.
#[derive(Debug)]
pub(super) struct Keys {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Keys {
    pub fn new<'a>(names: impl Iterator<Item = &'a str>) -> Keys {
        let names: Vec<String> = names.map(String::from).collect();
        let places = names.iter().cloned().enumerate().map(|(i, name)| (name, i)).collect();
        Keys { names, places }
    }

    /// The column of `key`, which is probably `guess`.
    fn find(&self, key: &str, guess: usize) -> Option<usize> {
        if self.names.get(guess).is_some_and(|name| name == key) {
            return Some(guess);
        }
        self.places.get(key).copied()
    }
}

/// Reads lines into columns.
pub(super) struct RowReader {
    keys: Arc<Keys>,
    plan: Arc<Plan>,
    /// For each column of the table, the requests it serves.
    wanted: Vec<Vec<usize>>,
    /// For each column of the table, the last row that had it, to find repeated keys.
    seen: Vec<u64>,
    row: u64,
    fault: Option<Fault>,
}

impl RowReader {
    pub fn new(keys: Arc<Keys>, plan: Arc<Plan>) -> RowReader {
        let mut wanted = vec![Vec::new(); keys.names.len()];
        for (i, request) in plan.requests.iter().enumerate() {
            wanted[request.column].push(i);
        }
        let seen = vec![0; keys.names.len()];
        RowReader { keys, plan, wanted, seen, row: 0, fault: None }
    }

    pub fn batch_rows(&self) -> usize {
        self.plan.batch_rows
    }

    /// Appends the object on `line` to the columns.
    pub fn read(&mut self, line: &[u8], columns: &mut [Column]) -> Result<(), Fault> {
        self.row += 1;
        let mut deserializer = Deserializer::from_slice(line);
        let result = deserializer
            .deserialize_map(RowVisitor { reader: self, columns })
            .and_then(|()| deserializer.end());
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if let Err(e) = result {
            let starts = line.iter().find(|b| !b.is_ascii_whitespace());
            return Err(if starts == Some(&b'{') { invalid(&e, line) } else { no_object(line) });
        }
        for (i, request) in self.plan.requests.iter().enumerate() {
            if self.seen[request.column] != self.row {
                self.push("null", i, &mut columns[i])?;
            }
        }
        Ok(())
    }

    /// Appends the value `raw` to the column of request `i`.
    fn push(&self, raw: &str, i: usize, column: &mut Column) -> Result<(), Fault> {
        let name = self.plan.names[i].as_str();
        let raw = raw.trim();
        let refused = |wanted: &str| {
            let shown = show(raw);
            let what = match raw.as_bytes().first() {
                Some(b'{') => "a nested object".to_string(),
                Some(b'[') => "a list".to_string(),
                Some(b'"') => shown,
                _ => shown.trim_matches('"').to_string(),
            };
            let message = format!("column {} is {what}, not {wanted}", printable(name));
            Err(Fault::new(message).column(name))
        };
        match column {
            Column::Numbers(numbers) => match raw.as_bytes().first() {
                Some(b'{' | b'[') => return refused("a number"),
                _ => numbers.owned().push(number_of(raw, name)?),
            },
            Column::Tensor(_) => unreachable!("text is read into rows"),
            Column::Text(texts) => match raw.as_bytes().first() {
                Some(b'{' | b'[') => return refused("text"),
                _ => texts.push(text_of(raw).as_deref()),
            },
            Column::Rows { width, values } => {
                let want = self.plan.widths[i];
                *width = want.unwrap_or(0);
                let values = values.owned();
                match raw.as_bytes().first() {
                    Some(b'n') => values.resize(values.len() + *width, BLANK),
                    Some(b'[') => {
                        let items: Vec<&RawValue> = serde_json::from_str(raw)
                            .map_err(|e| Fault::new(format!("is not valid JSON: {e}")))?;
                        check_width(items.len(), name, want)?;
                        for item in items {
                            match item.get().as_bytes().first() {
                                Some(b'{' | b'[') => return refused("a list of numbers"),
                                _ => values.push(number_of(item.get(), name)?),
                            }
                        }
                    }
                    _ => return refused("a list of numbers"),
                }
            }
        }
        let is_list = matches!(self.plan.requests[i].read_as, ReadAs::List | ReadAs::Tensor);
        debug_assert!(!is_list || column.lists().is_some());
        Ok(())
    }
}

/// A JSON scalar as a number.
fn number_of(raw: &str, name: &str) -> Result<f64, Fault> {
    let parse = |text: &str| {
        number::parse(text.as_bytes()).map_err(|e| {
            let fault = Fault::new(format!("column {} {}", printable(name), e.message));
            Fault { hint: e.hint, ..fault.column(name) }
        })
    };
    match raw.as_bytes().first() {
        Some(b'n') => Ok(BLANK),
        Some(b't') => Ok(1.0),
        Some(b'f') => Ok(0.0),
        Some(b'"') => parse(&unquoted(raw)),
        _ => parse(raw),
    }
}

/// A JSON scalar as text; `None` is missing.
fn text_of(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first() {
        Some(b'n') | None => None,
        Some(b'"') => Some(unquoted(raw)).filter(|text| !text.is_empty()),
        Some(b't' | b'f') => Some(Cow::Borrowed(raw)),
        _ if raw.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) => {
            let x = number::parse(raw.as_bytes()).ok();
            Some(x.map_or(Cow::Borrowed(raw), |x| Cow::Owned(number::text_of(x))))
        }
        _ => Some(Cow::Borrowed(raw)),
    }
}

/// The content of a JSON string.
fn unquoted(raw: &str) -> Cow<'_, str> {
    let inner = raw.strip_prefix('"').and_then(|r| r.strip_suffix('"')).unwrap_or(raw);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    // The whole line was parsed before, so this is a valid string.
    serde_json::from_str::<String>(raw).map_or(Cow::Borrowed(inner), Cow::Owned)
}

struct RowVisitor<'a> {
    reader: &'a mut RowReader,
    columns: &'a mut [Column],
}

impl<'de> Visitor<'de> for RowVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let keys = self.reader.keys.clone();
        let mut guess = 0;
        while let Some(place) = map.next_key_seed(KeySeed { keys: &keys, guess })? {
            let Some(column) = place else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            guess = column + 1;
            if std::mem::replace(&mut self.reader.seen[column], self.reader.row) == self.reader.row
            {
                self.reader.fault = Some(twice(&keys.names[column]));
                return Err(serde::de::Error::custom(""));
            }
            if self.reader.wanted[column].is_empty() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let raw = map.next_value::<&RawValue>()?;
            for &request in &self.reader.wanted[column] {
                let pushed = self.reader.push(raw.get(), request, &mut self.columns[request]);
                if let Err(fault) = pushed {
                    self.reader.fault = Some(fault);
                    return Err(serde::de::Error::custom(""));
                }
            }
        }
        Ok(())
    }
}

/// Finds a key's column without allocating.
struct KeySeed<'a> {
    keys: &'a Keys,
    guess: usize,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.keys.find(key, self.guess))
    }
}

/// The fault of a line that is JSON but no object.
pub(super) fn no_object(line: &[u8]) -> Fault {
    let start = line.iter().find(|b| !b.is_ascii_whitespace());
    match start {
        Some(b'[') => Fault::new("is a JSON array; xent reads JSON Lines, one object a line")
            .hint("convert it: jq -c '.[]' old.json > new.jsonl"),
        _ => Fault::new(format!("is {}, not a JSON object", show(line.trim_ascii())))
            .hint("each line must hold one object such as {\"label\": \"cat\", \"p\": 0.5}"),
    }
}

/// The fault of a line that is not JSON.
pub(super) fn invalid(error: &serde_json::Error, line: &[u8]) -> Fault {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or("");
    let fault = Fault::new(format!("is not valid JSON at character {}: {what}", error.column()));
    let rest = line.get(error.column().saturating_sub(1)..).unwrap_or_default();
    let near_special = [&b"NaN"[..], b"Infinity", b"nfinity", b"aN", b"nan", b"inf"]
        .iter()
        .any(|word| rest.starts_with(word));
    if error.is_eof() {
        fault.hint("each line must hold one whole object: jq -c . old.json > new.jsonl")
    } else if std::str::from_utf8(line).is_err() {
        fault.hint("save the file as UTF-8")
    } else if near_special {
        fault.hint("JSON has no NaN or Infinity: write null, or \"inf\" in quotes")
    } else {
        fault
    }
}
