//! JSON Lines: one object a line, read in parallel like CSV.
//!
//! The columns are the keys of the first rows in order of appearance. A missing key and `null`
//! are blank. Only requested values are kept. A key that stands twice in an object is an error,
//! because readers disagree on which of its values counts.

mod row;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use row::{Keys, Lines};
use serde_json::{Map, Value};

use crate::chunk::{Chunk, Chunker, count_lines};
use crate::column::{Batch, ColumnInfo, Kind};
use crate::csv::{empty, nul, skip_mark, too_long};
use crate::engine::{Plan, Source, Unit, Units};
use crate::error::{Fault, show};
use crate::input::TextInput;
use crate::number;
use crate::sample::{Cells, SAMPLE_ROWS, Sample, kind_of};

/// Bytes of text that the sample is read from.
const SAMPLE_BYTES: usize = 1 << 20;
/// The most columns.
const MAX_COLUMNS: usize = 250_000;

/// An opened JSON Lines file or stream.
pub(crate) struct Json {
    input: TextInput,
    columns: Vec<ColumnInfo>,
    keys: Arc<Keys>,
    sample: Mutex<Option<Sample>>,
    start: usize,
    stream: Mutex<Option<(Chunk, Chunker)>>,
}

impl Json {
    /// Opens `input` and reads its first rows.
    pub fn open(input: TextInput, sampled: bool) -> Result<Json, Fault> {
        let mut chunker = input.open(false)?;
        let first = chunker.next()?.ok_or_else(empty)?;
        let start = skip_mark(&first.data)?;
        let rows = first_rows(&first, start)?;
        if rows.is_empty() {
            return Err(empty());
        }
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut names = Vec::new();
        for row in &rows {
            for key in row.keys() {
                if !places.contains_key(key) {
                    places.insert(key.clone(), names.len());
                    names.push(key.clone());
                }
            }
            if names.len() > MAX_COLUMNS {
                return Err(Fault::new(format!("has more than {MAX_COLUMNS} columns")));
            }
        }
        let mut columns = Vec::new();
        let mut cells = Vec::new();
        let by_column = transposed(rows, &places);
        let rows = by_column.first().map_or(0, Vec::len);
        for (name, values) in names.into_iter().zip(&by_column) {
            let kind = kind_of_values(values);
            if sampled {
                cells.push(cells_of(values, kind));
            }
            columns.push(ColumnInfo { name, kind });
        }
        let sample = Mutex::new(sampled.then(|| Sample::from_columns(rows, cells)));
        let keys = Arc::new(Keys::new(columns.iter().map(|c| c.name.as_str())));
        let stream = Mutex::new(input.is_stream().then_some((first, chunker)));
        Ok(Json { input, columns, keys, sample, start, stream })
    }
}

/// The first rows; a fault only if it is in the first one.
fn first_rows(first: &Chunk, start: usize) -> Result<Vec<Map<String, Value>>, Fault> {
    let data =
        &first.data[..first.data.len().min(start + SAMPLE_BYTES.max(first_line(first, start)))];
    let mut rows = Vec::new();
    let mut lines = Lines::new(start);
    while let Some((at, line)) = lines.next(data) {
        // The last line may be cut by the sample's limit.
        if rows.len() == SAMPLE_ROWS || (!line.ends_with(b"\n") && !rows.is_empty()) {
            break;
        }
        match serde_json::from_slice::<Value>(line) {
            Ok(Value::Object(row)) => rows.push(row),
            _ if !rows.is_empty() => break,
            other => {
                let number = count_lines(&data[..at]);
                if first.too_long {
                    return Err(too_long().line(number));
                }
                if let Some(i) = memchr::memchr(0, line) {
                    return Err(nul().line(number + count_lines(&line[..i])));
                }
                return Err(match other {
                    Ok(_) => row::no_object(line),
                    Err(e) => row::invalid(&e, line),
                }
                .line(number));
            }
        }
    }
    Ok(rows)
}

/// Bytes up to the end of the first line that is not blank.
fn first_line(chunk: &Chunk, start: usize) -> usize {
    Lines::new(start).next(&chunk.data).map_or(0, |(at, line)| at + line.len() - start)
}

/// The values by column; `None` where a row lacks the key.
fn transposed(
    rows: Vec<Map<String, Value>>,
    places: &HashMap<String, usize>,
) -> Vec<Vec<Option<Value>>> {
    // Wide and sparse rows must not multiply: the sample ends where there are too many cells.
    let keep = (1 << 20) / places.len().max(1);
    let rows: Vec<_> = rows.into_iter().take(keep.max(1)).collect();
    let mut columns: Vec<Vec<Option<Value>>> = vec![Vec::new(); places.len()];
    for column in &mut columns {
        column.resize(rows.len(), None);
    }
    for (i, row) in rows.into_iter().enumerate() {
        for (key, value) in row {
            columns[places[&key]][i] = Some(value).filter(|v| !v.is_null());
        }
    }
    columns
}

fn kind_of_values(values: &[Option<Value>]) -> Kind {
    let mut kind = None;
    for value in values.iter().flatten() {
        let next = match value {
            Value::Number(n) if n.is_f64() => Kind::Number,
            Value::Number(_) => Kind::Integer,
            Value::Bool(_) => Kind::Boolean,
            Value::String(s) if is_special(s) => Kind::Number,
            Value::String(_) => Kind::Text,
            Value::Array(items) => {
                let all = items.iter().all(|i| i.is_number() || i.is_null() || i.is_string());
                let kind = Kind::List { width: Some(items.len()) };
                if all { kind } else { Kind::Unsupported }
            }
            Value::Object(_) | Value::Null => Kind::Unsupported,
        };
        kind = Some(match (kind, next) {
            (None, next) => next,
            (Some(Kind::Number | Kind::Integer), Kind::Number)
            | (Some(Kind::Number), Kind::Integer) => Kind::Number,
            // The scan compares each list's width with the first.
            (Some(first @ Kind::List { .. }), Kind::List { .. }) => first,
            (Some(a), b) if a == b => a,
            (Some(Kind::Unsupported | Kind::List { .. }), _)
            | (_, Kind::Unsupported | Kind::List { .. }) => Kind::Unsupported,
            _ => Kind::Text,
        });
    }
    // A column of nothing but such words is text.
    let words = values.iter().flatten().all(Value::is_string);
    match kind {
        Some(Kind::Number) if words => kind_of(values.iter().flatten().filter_map(Value::as_str)),
        Some(kind) => kind,
        None => Kind::Number,
    }
}

/// A number that JSON can only write as a string.
fn is_special(text: &str) -> bool {
    number::parse(text.as_bytes()).is_ok_and(|x| !x.is_finite() && !number::is_blank(x))
}

fn cells_of(values: &[Option<Value>], kind: Kind) -> Cells {
    match kind {
        Kind::List { width: Some(width) } => {
            let mut numbers = Vec::new();
            for value in values {
                match value {
                    Some(Value::Array(items)) if items.len() == width => {
                        for item in items {
                            let text = text_of(item).unwrap_or_default();
                            match number::parse(text.as_bytes()) {
                                Ok(x) => numbers.push(x),
                                Err(_) => return Cells::Unreadable,
                            }
                        }
                    }
                    None => numbers.resize(numbers.len() + width, number::BLANK),
                    Some(_) => return Cells::Unreadable,
                }
            }
            Cells::Lists { width, values: numbers }
        }
        Kind::List { width: None } | Kind::Unsupported => Cells::Unreadable,
        _ => Cells::Text(values.iter().map(|v| v.as_ref().and_then(text_of)).collect()),
    }
}

/// A scalar as text; `None` is missing.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()).filter(|s| !s.is_empty()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Number(n) if n.is_f64() => n.as_f64().map(number::text_of),
        Value::Number(n) => Some(n.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Source for Json {
    fn columns(&self) -> &[ColumnInfo] {
        &self.columns
    }

    fn rows(&self) -> Option<u64> {
        None
    }

    fn sample(&self) -> Result<Sample, Fault> {
        let mut sample = self.sample.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(sample.take().unwrap_or_default())
    }

    fn start(self: Arc<Self>, plan: &Arc<Plan>) -> Result<Box<dyn Units>, Fault> {
        let (mut first, chunker) = if self.input.is_stream() {
            let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
            stream.take().ok_or_else(crate::input::read_twice)?
        } else {
            let mut chunker = self.input.open(false)?;
            let first = chunker.next()?.ok_or_else(empty)?;
            (first, chunker)
        };
        first.start = self.start.min(first.data.len());
        let (keys, plan) = (self.keys.clone(), plan.clone());
        Ok(Box::new(JsonUnits { keys, plan, first: Some(first), chunker }))
    }
}

struct JsonUnits {
    keys: Arc<Keys>,
    plan: Arc<Plan>,
    first: Option<Chunk>,
    chunker: Chunker,
}

impl Units for JsonUnits {
    fn next(&mut self) -> Result<Option<Box<dyn Unit>>, Fault> {
        let chunk = match self.first.take() {
            Some(chunk) => Some(chunk),
            None => self.chunker.next()?,
        };
        let Some(chunk) = chunk else { return Ok(None) };
        let reader = row::RowReader::new(self.keys.clone(), self.plan.clone());
        let lines = Lines::new(chunk.start);
        Ok(Some(Box::new(JsonUnit { reader, chunk, lines, batch_start: lines, fault: None })))
    }
}

struct JsonUnit {
    reader: row::RowReader,
    chunk: Chunk,
    lines: Lines,
    batch_start: Lines,
    fault: Option<Fault>,
}

impl Unit for JsonUnit {
    fn fill(&mut self, batch: &mut Batch) -> Result<bool, Fault> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        for column in &mut batch.columns {
            column.clear();
        }
        batch.rows = 0;
        self.batch_start = self.lines;
        let data = &self.chunk.data[..];
        while batch.rows < self.reader.batch_rows() {
            let Some((at, line)) = self.lines.next(data) else { break };
            let cut = self.chunk.too_long && self.lines.is_at_end(data);
            let result =
                if cut { Err(too_long()) } else { self.reader.read(line, &mut batch.columns) };
            match result {
                Ok(()) => batch.rows += 1,
                Err(fault) => {
                    let fault = match memchr::memchr(0, line) {
                        Some(_) if !cut => nul(),
                        _ => fault,
                    };
                    let fault = fault.line(count_lines(&data[..at])).here();
                    if batch.rows == 0 {
                        return Err(fault);
                    }
                    self.fault = Some(fault);
                    batch.drop_unfinished();
                    break;
                }
            }
        }
        Ok(batch.rows > 0)
    }

    fn line_of(&self, row: usize) -> Option<u64> {
        let mut lines = self.batch_start;
        let mut place = None;
        for _ in 0..=row {
            place = lines.next(&self.chunk.data);
        }
        place.map(|(at, _)| count_lines(&self.chunk.data[..at]))
    }

    fn lines(&self) -> u64 {
        count_lines(&self.chunk.data)
    }

    fn position(&self) -> u64 {
        self.chunk.position
    }
}

/// The fault of a key that stands twice.
fn twice(key: &str) -> Fault {
    Fault::new(format!("key {} stands twice in one object", show(key)))
        .column(key)
        .hint("write every key once")
}
