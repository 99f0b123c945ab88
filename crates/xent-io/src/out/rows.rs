//! Tables out: named columns to CSV, JSON Lines or Parquet, batch by batch.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::AtomicFile;
use crate::error::Error;

/// What an output column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutKind {
    /// Unsigned integers.
    Integer,
    /// Numbers.
    Number,
    /// Text.
    Text,
}

/// The values of an output column in a batch; all columns of a batch have the same length.
#[derive(Debug, Clone, Copy)]
pub enum OutColumn<'a> {
    /// Unsigned integers.
    Integers(&'a [u64]),
    /// Numbers. NaN is written as an empty field in CSV, as null in JSON, as NaN in Parquet; infinity as `inf`.
    Numbers(&'a [f64]),
    /// Text; `None` is missing: an empty field in CSV, null in JSON and Parquet.
    Text(&'a [Option<&'a str>]),
}

impl OutColumn<'_> {
    fn len(&self) -> usize {
        match self {
            OutColumn::Integers(v) => v.len(),
            OutColumn::Numbers(v) => v.len(),
            OutColumn::Text(v) => v.len(),
        }
    }

    fn kind(&self) -> OutKind {
        match self {
            OutColumn::Integers(_) => OutKind::Integer,
            OutColumn::Numbers(_) => OutKind::Number,
            OutColumn::Text(_) => OutKind::Text,
        }
    }
}

/// Writes a table to a CSV, TSV, JSON Lines or Parquet file that appears only when it is finished.
pub struct RowWriter {
    kinds: Vec<OutKind>,
    sink: Sink,
}

impl std::fmt::Debug for RowWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowWriter").field("kinds", &self.kinds).finish_non_exhaustive()
    }
}

enum Sink {
    Text { file: AtomicFile, delimiter: u8, line: Vec<u8> },
    Json { file: AtomicFile, keys: Vec<Vec<u8>>, line: Vec<u8> },
    Parquet { writer: Box<ArrowWriter<AtomicFile>>, schema: Arc<Schema>, path: String },
}

impl RowWriter {
    /// Starts the table `path`; the extension says the format: `.csv`, `.tsv`, `.jsonl` or `.parquet`.
    ///
    /// # Errors
    ///
    /// If the extension is another, or the file cannot be written.
    pub fn create(path: &Path, columns: &[(&str, OutKind)]) -> Result<RowWriter, Error> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let delimiter = match extension.as_str() {
            "csv" => Some(b','),
            "tsv" => Some(b'\t'),
            "parquet" | "pq" | "jsonl" | "ndjson" => None,
            _ => {
                return Err(Error::new(path.display().to_string(), "no format by this name")
                    .with_hint("end the name in .csv, .tsv, .jsonl or .parquet"));
            }
        };
        let mut file = AtomicFile::create(path)?;
        let kinds = columns.iter().map(|(_, kind)| *kind).collect();
        if let Some(delimiter) = delimiter {
            let mut line = Vec::new();
            for (i, (name, _)) in columns.iter().enumerate() {
                if i > 0 {
                    line.push(delimiter);
                }
                push_text(&mut line, name, delimiter);
            }
            line.push(b'\n');
            file.put(&line)?;
            return Ok(RowWriter { kinds, sink: Sink::Text { file, delimiter, line } });
        }
        if matches!(extension.as_str(), "jsonl" | "ndjson") {
            let key = |(i, (name, _)): (usize, &(&str, OutKind))| {
                let name = serde_json::Value::from(*name);
                format!("{}{name}:", if i == 0 { '{' } else { ',' }).into_bytes()
            };
            let keys = columns.iter().enumerate().map(key).collect();
            return Ok(RowWriter { kinds, sink: Sink::Json { file, keys, line: Vec::new() } });
        }
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, kind)| match kind {
                OutKind::Integer => Field::new(*name, DataType::UInt64, false),
                OutKind::Number => Field::new(*name, DataType::Float64, false),
                OutKind::Text => Field::new(*name, DataType::Utf8, true),
            })
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            // Whole row groups wait in memory.
            .set_max_row_group_row_count(Some(128 * 1024))
            .build();
        let path = path.display().to_string();
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))
            .map_err(|e| parquet_error(&path, e))?;
        Ok(RowWriter { kinds, sink: Sink::Parquet { writer: Box::new(writer), schema, path } })
    }

    /// Appends rows.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    ///
    /// # Panics
    ///
    /// If the columns differ in number or kind from those given to [`RowWriter::create`], or in
    /// length from each other.
    pub fn write(&mut self, columns: &[OutColumn<'_>]) -> Result<(), Error> {
        let kinds: Vec<OutKind> = columns.iter().map(OutColumn::kind).collect();
        assert_eq!(kinds, self.kinds, "columns must be those that the writer was created with");
        let rows = columns.first().map_or(0, OutColumn::len);
        assert!(columns.iter().all(|c| c.len() == rows), "columns must have the same length");
        match &mut self.sink {
            Sink::Text { file, delimiter, line } => {
                for row in 0..rows {
                    line.clear();
                    for (i, column) in columns.iter().enumerate() {
                        if i > 0 {
                            line.push(*delimiter);
                        }
                        push_value(line, column, row, *delimiter);
                    }
                    line.push(b'\n');
                    file.put(line)?;
                }
                Ok(())
            }
            Sink::Json { file, keys, line } => {
                for row in 0..rows {
                    line.clear();
                    for (key, column) in keys.iter().zip(columns) {
                        line.extend_from_slice(key);
                        push_json(line, column, row);
                    }
                    line.extend_from_slice(b"}\n");
                    file.put(line)?;
                }
                Ok(())
            }
            Sink::Parquet { writer, schema, path } => {
                let arrays = columns.iter().map(array_of).collect();
                let batch = RecordBatch::try_new(schema.clone(), arrays)
                    .map_err(|e| Error::new(path.clone(), format!("cannot write: {e}")))?;
                writer.write(&batch).map_err(|e| parquet_error(path, e))
            }
        }
    }

    /// Completes the file and makes it appear under its name.
    ///
    /// # Errors
    ///
    /// If the file cannot be written; then nothing appears.
    pub fn finish(self) -> Result<(), Error> {
        match self.sink {
            Sink::Text { file, .. } | Sink::Json { file, .. } => file.commit(),
            Sink::Parquet { writer, path, .. } => {
                writer.into_inner().map_err(|e| parquet_error(&path, e))?.commit()
            }
        }
    }
}

fn array_of(column: &OutColumn<'_>) -> ArrayRef {
    match column {
        OutColumn::Integers(v) => Arc::new(UInt64Array::from(v.to_vec())),
        OutColumn::Numbers(v) => Arc::new(Float64Array::from(v.to_vec())),
        OutColumn::Text(v) => Arc::new(StringArray::from(v.to_vec())),
    }
}

fn parquet_error(path: &str, error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(io) => Error::io_named(path, "cannot write", &io),
            Err(other) => Error::new(path, format!("cannot write: {other}")),
        },
        other => Error::new(path, format!("cannot write: {other}")),
    }
}

fn push_value(line: &mut Vec<u8>, column: &OutColumn<'_>, row: usize, delimiter: u8) {
    // Writing to a vector cannot fail.
    match column {
        OutColumn::Integers(v) => drop(write!(line, "{}", v[row])),
        OutColumn::Numbers(v) => push_number(line, v[row]),
        OutColumn::Text(v) => push_text(line, v[row].unwrap_or(""), delimiter),
    }
}

/// JSON has no infinities: they are strings.
fn push_json(line: &mut Vec<u8>, column: &OutColumn<'_>, row: usize) {
    match column {
        OutColumn::Numbers(v) if v[row].is_nan() => line.extend_from_slice(b"null"),
        OutColumn::Numbers(v) if v[row].is_infinite() => drop(write!(line, "\"{}\"", v[row])),
        OutColumn::Text(v) => drop(write!(line, "{}", serde_json::Value::from(v[row]))),
        _ => push_value(line, column, row, b','),
    }
}

/// The shortest form that reads back as the same number.
fn push_number(line: &mut Vec<u8>, x: f64) {
    if x.is_nan() {
        return;
    }
    let start = line.len();
    drop(write!(line, "{x:?}"));
    if line[start..].ends_with(b".0") {
        line.truncate(line.len() - 2);
    }
}

fn push_text(line: &mut Vec<u8>, text: &str, delimiter: u8) {
    let special = |b: u8| b == delimiter || matches!(b, b'"' | b'\n' | b'\r');
    if text.bytes().any(special) {
        line.push(b'"');
        line.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        line.push(b'"');
    } else {
        line.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_hold_what_json_cannot() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.jsonl");
        let columns =
            [("id", OutKind::Integer), ("p \"x\"", OutKind::Number), ("y", OutKind::Text)];
        let mut writer = RowWriter::create(&path, &columns).unwrap();
        writer
            .write(&[
                OutColumn::Integers(&[1, 2, 3]),
                OutColumn::Numbers(&[0.1, f64::NAN, f64::NEG_INFINITY]),
                OutColumn::Text(&[Some("a\n"), None, Some("b")]),
            ])
            .unwrap();
        writer.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = [
            r#"{"id":1,"p \"x\"":0.1,"y":"a\n"}"#,
            r#"{"id":2,"p \"x\"":null,"y":null}"#,
            r#"{"id":3,"p \"x\"":"-inf","y":"b"}"#,
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    }
}
