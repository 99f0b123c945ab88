//! A table: one or more opened inputs with the same columns, and scans over its rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::column::{Batch, ColumnInfo, Kind, ReadAs, Request};
use crate::engine::{self, Files, Plan, Source, Units};
use crate::error::{Error, RowError, printable};
use crate::find::{self, Found};
use crate::sample::Sample;

/// The most rows in a batch, unless the caller says otherwise.
const MAX_BATCH_ROWS: usize = 8192;
/// Bytes of numbers in a batch.
const BATCH_BYTES: usize = 4 << 20;

/// How to open a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The format, instead of the one that the name or the first bytes tell.
    pub format: Option<Format>,
}

/// A file format. Text formats may be compressed with gzip or zstd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Comma-separated values; other delimiters are found by the header.
    Csv,
    /// Tab-separated values.
    Tsv,
    /// One JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow IPC, file (Feather version 2) or stream.
    ArrowIpc,
    /// One NumPy array.
    Npy,
    /// A zip archive of NumPy arrays.
    Npz,
}

impl Format {
    /// The format's name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Format::Csv => "CSV",
            Format::Tsv => "TSV",
            Format::JsonLines => "JSON Lines",
            Format::Parquet => "Parquet",
            Format::ArrowIpc => "Arrow IPC",
            Format::Npy => "NumPy .npy",
            Format::Npz => "NumPy .npz",
        }
    }
}

/// How to scan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// Threads that decode; 0 means all cores. Results do not depend on it.
    pub threads: usize,
    /// Rows in a batch; by default at most 8192 and about 4 MiB of numbers. Results must not
    /// depend on it.
    pub batch_rows: Option<usize>,
    /// Results of one unit (a Parquet row group, a megabyte of text) that may wait for the caller;
    /// by default 4. Where results are small, more lets threads work on several large units at once.
    pub backlog: Option<usize>,
}

/// Where a batch lies in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first row, 0-based, over all files.
    pub first_row: u64,
    /// The number of rows.
    pub rows: usize,
    /// Index in [`Table::files`]; 0 for standard input.
    pub file: usize,
    /// The first row in that file, 0-based.
    pub first_row_in_file: u64,
    /// Bytes of all files read so far, of [`Table::byte_len`].
    pub bytes_read: u64,
}

/// An opened table.
///
/// ```no_run
/// use xent_io::{OpenOptions, ReadAs, Request, ScanOptions, Table};
///
/// let table = Table::open("preds.csv", &OpenOptions::default())?;
/// let requests = [Request { column: 0, read_as: ReadAs::Numbers }];
/// let mut sum = 0.0;
/// table.scan(
///     &requests,
///     &ScanOptions::default(),
///     |batch| Ok(batch.column(0).numbers().unwrap().iter().sum::<f64>()),
///     |part, _| {
///         sum += part;
///         Ok::<(), xent_io::Error>(())
///     },
/// )?;
/// # Ok::<(), xent_io::Error>(())
/// ```
pub struct Table {
    spec: String,
    name: String,
    format: Format,
    paths: Vec<PathBuf>,
    /// Names for messages, and bytes of all files before.
    names: Vec<(String, u64)>,
    first: Arc<dyn Source>,
    columns: Vec<ColumnInfo>,
    sample: Sample,
    rows: Option<u64>,
    bytes: Option<u64>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("spec", &self.spec)
            .field("format", &self.format)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

impl Table {
    /// Opens what `spec` names: a path, `-` for standard input, a glob pattern, or a directory
    /// of part files, which are read in the order of their names.
    ///
    /// # Errors
    ///
    /// If nothing is found or readable, if the format cannot be told, if a header is wrong, or if
    /// part files differ in format or column names.
    pub fn open(spec: &str, options: &OpenOptions) -> Result<Table, Error> {
        match find::find(spec)? {
            Found::Stdin => {
                let reader = Box::new(std::io::stdin());
                let (source, format) = find::open_stream("stdin", reader, options.format)?;
                Table::of_source(spec, "stdin", format, source, None)
            }
            Found::Stream(path) => {
                let name = path.display().to_string();
                let file =
                    std::fs::File::open(&path).map_err(|e| Error::io(&path, "cannot open", &e))?;
                let format = options.format.or_else(|| find::format_by_name(&path));
                let (source, format) = find::open_stream(&name, Box::new(file), format)?;
                let mut table =
                    Table::of_source(spec, &find::stem(&path), format, source, Some(name))?;
                table.paths = vec![path];
                Ok(table)
            }
            Found::Files { name, paths } => Table::of_files(spec, name, paths, options),
        }
    }

    fn of_source(
        spec: &str,
        name: &str,
        format: Format,
        source: Arc<dyn Source>,
        file: Option<String>,
    ) -> Result<Table, Error> {
        let file = file.unwrap_or_else(|| name.to_string());
        let sample = source.sample().map_err(|fault| fault.at(&file, 0, 0))?;
        Ok(Table {
            spec: spec.to_string(),
            name: name.to_string(),
            format,
            paths: Vec::new(),
            names: vec![(file, 0)],
            columns: source.columns().to_vec(),
            rows: source.rows(),
            first: source,
            sample,
            bytes: None,
        })
    }

    fn of_files(
        spec: &str,
        name: String,
        paths: Vec<PathBuf>,
        options: &OpenOptions,
    ) -> Result<Table, Error> {
        let (source, format) = find::open_file(&paths[0], options.format, true)?;
        let first_name = paths[0].display().to_string();
        let mut table = Table::of_source(spec, &name, format, source, Some(first_name))?;
        let mut bytes = byte_len(&paths[0]);
        for path in &paths[1..] {
            let (part, part_format) = find::open_file(path, options.format, false)?;
            let part_name = path.display().to_string();
            if part_format != format {
                return Err(Error::new(
                    part_name,
                    format!("is {}, the first part is {}", part_format.name(), format.name()),
                )
                .with_hint("all parts of a table must have the same format"));
            }
            same_columns(&table.columns, part.columns(), &part_name, &table.names[0].0)?;
            table.rows = table.rows.zip(part.rows()).and_then(|(a, b)| a.checked_add(b));
            table.names.push((part_name, bytes));
            bytes += byte_len(path);
        }
        table.bytes = Some(bytes);
        table.paths = paths;
        Ok(table)
    }

    /// The table's short name: the file's stem without `.csv.gz` and such, the directory's name,
    /// or `stdin`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the user wrote.
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// The format of all its files.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The files, in the order they are read; none for standard input.
    pub fn files(&self) -> &[PathBuf] {
        &self.paths
    }

    /// The columns.
    pub fn columns(&self) -> &[ColumnInfo] {
        &self.columns
    }

    /// The index of the column named `name`.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// The first rows.
    pub fn sample(&self) -> &Sample {
        &self.sample
    }

    /// The number of rows, where the files declare it (Parquet, NumPy).
    pub fn row_hint(&self) -> Option<u64> {
        self.rows
    }

    /// The size of all files in bytes; `None` for a pipe.
    pub fn byte_len(&self) -> Option<u64> {
        self.bytes
    }

    /// What is unusual in how the table is read, such as `separated by semicolons`.
    pub fn dialect(&self) -> Option<String> {
        self.first.dialect()
    }

    /// An error about this table at the row `row`, 0-based over all files.
    ///
    /// `span` is any span that contains the row or precedes it in the same file.
    pub fn error_at(&self, span: &Span, row: u64, message: impl Into<String>) -> Error {
        let name = self.names.get(span.file).map_or(self.name.as_str(), |(name, _)| name);
        let in_file = row - span.first_row + span.first_row_in_file;
        Error::new(name, message).with_row(in_file + 1)
    }

    /// Reads the requested columns of all rows: `map` sees each batch in one of the worker
    /// threads, `each` gets the results on the calling thread, strictly in row order.
    ///
    /// The results and the error do not depend on the threads: of several errors the first in
    /// row order is returned, after `each` got all results before it. A pipe can be scanned once.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or decoded, if `map` refuses a row, or if `each` fails.
    pub fn scan<T, E>(
        &self,
        requests: &[Request],
        options: &ScanOptions,
        map: impl Fn(&Batch) -> Result<T, RowError> + Sync,
        each: impl FnMut(T, Span) -> Result<(), E>,
    ) -> Result<(), E>
    where
        T: Send,
        E: From<Error>,
    {
        let plan = Arc::new(self.plan(requests, options)?);
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, Into::into),
            n => n.min(256),
        };
        let mut files = Parts { table: self, plan: plan.clone() };
        engine::scan(
            &mut files,
            &self.names,
            &plan,
            threads,
            options.backlog.unwrap_or(4).max(1),
            map,
            each,
        )
    }

    fn plan(&self, requests: &[Request], options: &ScanOptions) -> Result<Plan, Error> {
        let (mut names, mut widths) = (Vec::new(), Vec::new());
        let mut numbers = 0usize;
        for request in requests {
            let refused = |message: String| Err(Error::new(&self.names[0].0, message));
            let Some(info) = self.columns.get(request.column) else {
                return refused(format!("there is no column {}", request.column + 1));
            };
            let wanted = match (info.kind, request.read_as) {
                // In text, the scan says what is there and in which line.
                (Kind::Unsupported, _) if self.format == Format::JsonLines => None,
                (Kind::Unsupported, _) => Some(("a type that xent does not read", "")),
                (Kind::List { .. }, ReadAs::Numbers) => Some(("a list", ", not a number")),
                (Kind::List { .. }, ReadAs::Text) if !self.is_text_format() => {
                    Some(("a list", ", not text"))
                }
                (Kind::Number | Kind::Integer | Kind::Boolean, ReadAs::List) => {
                    Some(("a number", ", not a list of numbers"))
                }
                (Kind::Text, ReadAs::List) => Some(("text", ", not a list of numbers")),
                _ => None,
            };
            if let Some((is, wanted)) = wanted {
                let name = printable(&info.name);
                return refused(format!("column {name} is {is}{wanted}"))
                    .map_err(|e| e.with_column(&info.name));
            }
            let width = match info.kind {
                Kind::List { width } => width,
                _ => None,
            };
            numbers = numbers.saturating_add(match request.read_as {
                ReadAs::Numbers => 1,
                ReadAs::List => width.unwrap_or(1),
                ReadAs::Text => 0,
            });
            names.push(info.name.clone());
            widths.push(width);
        }
        let rows = (BATCH_BYTES / 8 / numbers.max(1)).clamp(1, MAX_BATCH_ROWS);
        let batch_rows = options.batch_rows.unwrap_or(rows).max(1);
        Ok(Plan { requests: requests.to_vec(), names, widths, batch_rows })
    }

    fn is_text_format(&self) -> bool {
        matches!(self.format, Format::Csv | Format::Tsv)
    }
}

fn byte_len(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |m| m.len())
}

fn same_columns(
    first: &[ColumnInfo],
    part: &[ColumnInfo],
    part_name: &str,
    first_name: &str,
) -> Result<(), Error> {
    let refused = |message: String| {
        Err(Error::new(part_name, message)
            .with_hint("all parts of a table must have the same columns in the same order"))
    };
    let first_name = printable(first_name);
    for (i, (a, b)) in first.iter().zip(part).enumerate() {
        if a.name != b.name {
            return refused(format!(
                "column {} is {}, in {first_name} it is {}",
                i + 1,
                printable(&b.name),
                printable(&a.name)
            ));
        }
    }
    if first.len() != part.len() {
        return refused(format!("has {} columns, {first_name} has {}", part.len(), first.len()));
    }
    Ok(())
}

/// The files of a table, opened one after the other.
struct Parts<'a> {
    table: &'a Table,
    plan: Arc<Plan>,
}

impl Files for Parts<'_> {
    fn start(&mut self, index: usize) -> Option<Result<Box<dyn Units>, Error>> {
        let (name, _) = self.table.names.get(index)?;
        let source = if index == 0 {
            self.table.first.clone()
        } else {
            let path = &self.table.paths[index];
            match find::open_file(path, Some(self.table.format), false) {
                Ok((source, _)) => source,
                Err(error) => return Some(Err(error)),
            }
        };
        let changed =
            same_columns(&self.table.columns, source.columns(), name, &self.table.names[0].0);
        if let Err(error) = changed {
            return Some(Err(error));
        }
        Some(source.start(&self.plan).map_err(|fault| fault.at(name, 0, 0)))
    }
}
