//! What went wrong, and where: one error type for everything this crate reads and writes.
//!
//! Workers only know offsets inside the piece they decode, so they report a [`Fault`]; the
//! scanning thread, which sees the pieces in order, turns it into an [`Error`] with the absolute
//! row and line. Values and names come from untrusted files: they are escaped by [`show`] before
//! they enter a message.

use std::fmt;
use std::path::Path;

/// What went wrong in which file, row, line and column, with a hint what to try.
///
/// `Display` gives one line without `error:` in front, for example
/// `preds.csv:17: column p_cat is 1.2, not a probability`; for formats without lines
/// `preds.parquet: row 16: ...`. The hint is separate.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    file: String,
    row: Option<u64>,
    line: Option<u64>,
    column: Option<String>,
    message: String,
    hint: Option<String>,
    io: Option<std::io::ErrorKind>,
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.file))?;
        match (self.line, self.row) {
            (Some(line), _) => write!(f, ":{line}: {}", self.message),
            (None, Some(row)) => write!(f, ": row {row}: {}", self.message),
            (None, None) => write!(f, ": {}", self.message),
        }
    }
}

impl Error {
    /// An error about the whole of `file`, without a position yet.
    pub fn new(file: impl Into<String>, message: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            file: file.into(),
            row: None,
            line: None,
            column: None,
            message: message.into(),
            hint: None,
            io: None,
        }))
    }

    /// An operating system's error about `path`, with `doing` as in `cannot read`.
    pub fn io(path: &Path, doing: &str, error: &std::io::Error) -> Error {
        Error::io_named(&path.display().to_string(), doing, error)
    }

    pub(crate) fn io_named(file: &str, doing: &str, error: &std::io::Error) -> Error {
        let mut e = Error::new(file, format!("{doing}: {}", io_text(error)));
        e.0.io = Some(error.kind());
        e
    }

    /// The same error at the data row `row`, 1-based.
    #[must_use]
    pub fn with_row(mut self, row: u64) -> Error {
        self.0.row = Some(row);
        self
    }

    /// The same error at the physical line `line`, 1-based.
    #[must_use]
    pub fn with_line(mut self, line: u64) -> Error {
        self.0.line = Some(line);
        self
    }

    /// The same error about the column `column`.
    #[must_use]
    pub fn with_column(mut self, column: impl Into<String>) -> Error {
        self.0.column = Some(column.into());
        self
    }

    /// The same error with a hint what to try.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// The file (or `stdin`) as messages name it.
    pub fn file(&self) -> &str {
        &self.0.file
    }

    /// The data row in that file, 1-based, where the error belongs to a row.
    pub fn row(&self) -> Option<u64> {
        self.0.row
    }

    /// The physical line in that file, 1-based, where the format has lines.
    pub fn line(&self) -> Option<u64> {
        self.0.line
    }

    /// The column's name, where the error belongs to one column.
    pub fn column(&self) -> Option<&str> {
        self.0.column.as_deref()
    }

    /// The message without its position.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to try, without `hint:` in front.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The operating system's kind of error, where there was one.
    pub fn io_kind(&self) -> Option<std::io::ErrorKind> {
        self.0.io
    }
}

/// What a `map` function says about a row that it refuses; [`crate::Table::scan`] adds the file,
/// row and line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The row in the batch, 0-based.
    pub row: usize,
    /// The column's name, if one column is to blame.
    pub column: Option<String>,
    /// What is wrong, complete with the column's name and value, lower case, no full stop.
    pub message: String,
    /// What to try.
    pub hint: Option<String>,
}

/// An error inside one unit of work, located by what the worker knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fault {
    /// Rows between the rows already delivered from this unit and the faulty row; `None` when
    /// the fault belongs to no row.
    pub row: Option<u64>,
    /// Line inside the unit, 0-based.
    pub line: Option<u64>,
    pub column: Option<String>,
    pub message: String,
    pub hint: Option<String>,
    pub io: Option<std::io::ErrorKind>,
}

impl Fault {
    pub fn new(message: impl Into<String>) -> Fault {
        Fault { message: message.into(), ..Fault::default() }
    }

    pub fn io(doing: &str, error: &std::io::Error) -> Fault {
        Fault { io: Some(error.kind()), ..Fault::new(format!("{doing}: {}", io_text(error))) }
    }

    /// The fault belongs to the row that follows the delivered ones.
    pub fn here(mut self) -> Fault {
        self.row = Some(0);
        self
    }

    pub fn line(mut self, line: u64) -> Fault {
        self.line = Some(line);
        self
    }

    pub fn column(mut self, name: &str) -> Fault {
        self.column = Some(name.to_string());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }

    /// The error, given the rows and lines of the same file before the unit's undelivered rows.
    pub fn at(self, file: &str, rows_before: u64, lines_before: u64) -> Error {
        Error(Box::new(Inner {
            file: file.to_string(),
            row: self.row.map(|r| rows_before + r + 1),
            line: self.line.map(|l| lines_before + l + 1),
            column: self.column,
            message: self.message,
            hint: self.hint,
            io: self.io,
        }))
    }
}

/// What the operating system said, in lower case and without its code.
pub fn io_text(error: &std::io::Error) -> String {
    use std::io::ErrorKind as K;
    match error.kind() {
        K::NotFound => "no such file".into(),
        K::PermissionDenied => "permission denied".into(),
        K::IsADirectory => "is a directory".into(),
        K::StorageFull => "no space left on the device".into(),
        K::FileTooLarge => "the file would be larger than the limit for files".into(),
        K::UnexpectedEof => "it ends too early".into(),
        _ => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            let mut chars = text.chars();
            chars.next().map_or_else(String::new, |c| c.to_lowercase().chain(chars).collect())
        }
    }
}

/// The longest value shown in a message, in characters.
const SHOWN: usize = 60;

/// A value from a file, quoted, without control or direction characters, cut to 60 characters.
pub fn show(value: impl AsRef<[u8]>) -> String {
    let bytes = value.as_ref();
    let cut = &bytes[..bytes.len().min(4 * SHOWN)];
    let text = String::from_utf8_lossy(cut);
    let mut out = String::from("\"");
    for (i, c) in text.chars().enumerate() {
        if i == SHOWN {
            break;
        }
        push_printable(&mut out, c);
    }
    if text.chars().count() > SHOWN || cut.len() < bytes.len() {
        out.push_str("...");
    }
    out.push('"');
    out
}

/// A name from a file, without control or direction characters, cut to 60 characters.
pub fn printable(name: &str) -> String {
    let mut out = String::with_capacity(name.len().min(512));
    for (i, c) in name.chars().enumerate() {
        if i == 8 * SHOWN {
            out.push_str("...");
            break;
        }
        push_printable(&mut out, c);
    }
    out
}

fn push_printable(out: &mut String, c: char) {
    let direction = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
    if c.is_control() || direction {
        out.extend(c.escape_default());
    } else {
        out.push(c);
    }
}
