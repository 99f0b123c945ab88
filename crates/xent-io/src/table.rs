//! A table: one or more opened inputs with the same columns, and scans over its rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::beside::{self, Held};
use crate::column::{Batch, ColumnInfo, Kind, ReadAs, Request};
use crate::engine::{self, Files, Part, Plan, Source, Units};
use crate::error::{Error, RowError, printable};
use crate::find::{self, Found};
use crate::mapped::{CodedTexts, Matrix};
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
    /// Named tensors in one file.
    Safetensors,
    /// Labelled sparse rows (svmlight, libsvm). Not a table: [`crate::svmlight::read`] reads them.
    Svmlight,
}

impl Format {
    /// The format that the end of a file's name tells, compression or not; also of a pattern for names.
    pub fn of_name(name: &str) -> Option<Format> {
        find::format_by_name(Path::new(name))
    }

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
            Format::Safetensors => "safetensors",
            Format::Svmlight => "svmlight",
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
    parts: Vec<Part>,
    first: Arc<dyn Source>,
    /// Its own columns, then those of the table beside it.
    columns: Vec<ColumnInfo>,
    /// The number of its own columns.
    own: usize,
    beside: Option<Box<Table>>,
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
            parts: vec![Part { name: file, bytes_before: 0, rows_before: Some(0) }],
            columns: source.columns().to_vec(),
            own: source.columns().len(),
            beside: None,
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
            same_columns(&table.columns, part.columns(), &part_name, &table.parts[0].name)?;
            let rows_before = table.rows;
            table.parts.push(Part { name: part_name, bytes_before: bytes, rows_before });
            table.rows = table.rows.zip(part.rows()).and_then(|(a, b)| a.checked_add(b));
            bytes += byte_len(path);
        }
        table.bytes = Some(bytes);
        table.paths = paths;
        Ok(table)
    }

    /// Puts the columns of another table behind this one's under `names`: row i there belongs to
    /// row i here. They are held in memory while this table is scanned.
    ///
    /// # Errors
    ///
    /// If two columns have the same name, if both tables declare their rows and differ, or if there
    /// is a table beside this one already.
    pub fn put_beside(&mut self, other: Table, names: Vec<String>) -> Result<(), Error> {
        if self.beside.is_some() {
            return Err(Error::new(&other.spec, "stands beside a table that has one already"));
        }
        for name in &names {
            if self.column(name).is_some() {
                let message =
                    format!("column {} is also in {}", printable(name), printable(&self.spec));
                return Err(Error::new(&other.spec, message)
                    .with_column(name)
                    .with_hint("rename it in one of the files"));
            }
        }
        if let (Some(mine), Some(theirs)) = (self.rows, other.rows)
            && mine != theirs
        {
            return Err(beside::differ(&other.spec, theirs, &self.spec, mine));
        }
        let kinds = other.columns.iter().map(|c| c.kind);
        self.columns
            .extend(names.into_iter().zip(kinds).map(|(name, kind)| ColumnInfo { name, kind }));
        let (mine, theirs) = (std::mem::take(&mut self.sample), other.sample.clone());
        self.sample = Sample::beside(mine, theirs, self.own);
        self.beside = Some(Box::new(other));
        Ok(())
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

    /// The table whose columns stand beside this one's.
    pub fn beside(&self) -> Option<&Table> {
        self.beside.as_deref()
    }

    /// The columns.
    pub fn columns(&self) -> &[ColumnInfo] {
        &self.columns
    }

    /// The index of the column named `name`.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// Why a column is [`Kind::Unsupported`], where the file knows more than that.
    pub fn refusal(&self, column: usize) -> Option<&str> {
        match &self.beside {
            Some(other) if column >= self.own => other.refusal(column - self.own),
            _ if self.columns[column].kind == Kind::Unsupported => self.first.refusal(column),
            _ => None,
        }
    }

    /// Whether a column is one of the table beside this one.
    pub fn is_beside(&self, column: usize) -> bool {
        column >= self.own
    }

    /// The first rows.
    pub fn sample(&self) -> &Sample {
        &self.sample
    }

    /// The number of rows, where the files declare it (Parquet, NumPy, safetensors).
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

    /// The numbers of a column where they lie in the file, mapped: of a table of one file that holds 8-bit or 32-bit
    /// whole numbers or 32-bit or 64-bit floats as this machine does, none of them missing: a NumPy or safetensors file,
    /// or an Arrow file of one record batch that is not compressed. `None` where they must be read with
    /// [`Table::scan`]. They are not looked at: some may be NaN.
    ///
    /// # Errors
    ///
    /// If the file has become shorter.
    pub fn matrix(&self, column: usize) -> Result<Option<Matrix>, Error> {
        if self.parts.len() != 1 || column >= self.own {
            return Ok(None);
        }
        self.first.matrix(column).map_err(|fault| fault.at(&self.parts[0].name, 0, 0))
    }

    /// The texts of a column as codes where they lie in the file, mapped: of a table of one file, an Arrow file of one record
    /// batch that is not compressed, a dictionary column without missing values. `None` where they must be read with [`Table::scan`].
    ///
    /// # Errors
    ///
    /// If the file has become shorter, or the dictionary is damaged.
    pub fn coded_texts(&self, column: usize) -> Result<Option<CodedTexts>, Error> {
        if self.parts.len() != 1 || column >= self.own {
            return Ok(None);
        }
        self.first.coded_texts(column).map_err(|fault| fault.at(&self.parts[0].name, 0, 0))
    }

    /// An error about this table at the row `row`, 0-based over all files.
    ///
    /// `span` is any span that contains the row or precedes it in the same file.
    pub fn error_at(&self, span: &Span, row: u64, message: impl Into<String>) -> Error {
        let part = self.parts.get(span.file);
        let name = part.map_or(self.name.as_str(), |part| &part.name);
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
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, Into::into),
            n => n.min(256),
        };
        let mut plan = self.plan(requests, options)?;
        let mut alone = false;
        if let Some(other) = &self.beside {
            plan.beside = Some(self.hold(other, requests, options)?);
            // Who does not know where a unit starts counts.
            alone = self.rows.is_none();
        }
        let plan = Arc::new(plan);
        let mut files = Parts { table: self, plan: plan.clone() };
        let rows = engine::scan(
            &mut files,
            &self.parts,
            &plan,
            if alone { 1 } else { threads },
            options.backlog.unwrap_or(4).max(1),
            map,
            each,
        )?;
        match &plan.beside {
            Some(held) if held.rows > rows => {
                Err(beside::differ(&held.name, held.rows, &self.spec, rows).into())
            }
            _ => Ok(()),
        }
    }

    /// The requested columns of the table beside this one.
    fn hold(
        &self,
        other: &Table,
        requests: &[Request],
        options: &ScanOptions,
    ) -> Result<Held, Error> {
        let (mut theirs, mut places, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for (place, request) in requests.iter().enumerate() {
            if request.column >= self.own {
                theirs.push(Request { column: request.column - self.own, ..*request });
                places.push(place);
                names.push(self.columns[request.column].name.clone());
            }
        }
        Held::load(other, &theirs, places, names, options)
    }

    fn plan(&self, requests: &[Request], options: &ScanOptions) -> Result<Plan, Error> {
        let (mut own, mut names, mut widths) = (Vec::new(), Vec::new(), Vec::new());
        let mut numbers = 0usize;
        for request in requests {
            let of = match &self.beside {
                Some(other) if request.column >= self.own => &other.spec,
                _ => &self.parts[0].name,
            };
            let refused = |message: String| Err(Error::new(of, message));
            let Some(info) = self.columns.get(request.column) else {
                return refused(format!("there is no column {}", request.column + 1));
            };
            let wanted = match (info.kind, request.read_as) {
                (Kind::Unsupported, _) if self.refusal(request.column).is_some() => {
                    return refused(self.refusal(request.column).unwrap_or_default().to_owned())
                        .map_err(|e| e.with_column(&info.name));
                }
                // In text, the scan says what is there and in which line.
                (Kind::Unsupported, _) if self.format == Format::JsonLines => None,
                (Kind::Unsupported, _) => Some(("a type that xent does not read", "")),
                (Kind::List { .. }, ReadAs::Numbers) => Some(("a list", ", not a number")),
                (Kind::List { .. }, ReadAs::Text) if !self.is_text_format() => {
                    Some(("a list", ", not text"))
                }
                (Kind::Number | Kind::Integer | Kind::Boolean, ReadAs::List | ReadAs::Tensor) => {
                    Some(("a number", ", not a list of numbers"))
                }
                (Kind::Text, ReadAs::List | ReadAs::Tensor) => {
                    Some(("text", ", not a list of numbers"))
                }
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
            if request.column >= self.own {
                continue;
            }
            own.push(*request);
            numbers = numbers.saturating_add(match request.read_as {
                ReadAs::Numbers => 1,
                ReadAs::List | ReadAs::Tensor => width.unwrap_or(1),
                ReadAs::Text => 0,
            });
            names.push(info.name.clone());
            widths.push(width);
        }
        let rows = (BATCH_BYTES / 8 / numbers.max(1)).clamp(1, MAX_BATCH_ROWS);
        let batch_rows = options.batch_rows.unwrap_or(rows).max(1);
        Ok(Plan { requests: own, names, widths, batch_rows, beside: None })
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
        let Part { name, .. } = self.table.parts.get(index)?;
        let source = if index == 0 {
            self.table.first.clone()
        } else {
            let path = &self.table.paths[index];
            match find::open_file(path, Some(self.table.format), false) {
                Ok((source, _)) => source,
                Err(error) => return Some(Err(error)),
            }
        };
        let changed = same_columns(
            &self.table.columns[..self.table.own],
            source.columns(),
            name,
            &self.table.parts[0].name,
        );
        if let Err(error) = changed {
            return Some(Err(error));
        }
        Some(source.start(&self.plan).map_err(|fault| fault.at(name, 0, 0)))
    }
}
