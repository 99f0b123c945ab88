//! The head of a CSV file: byte-order mark, `sep=` line, delimiter, names, first checks.

use std::collections::HashMap;

use super::fields::{Broken, Splitter, skip_blank_lines};
use super::{MAX_COLUMNS, broken_fault};
use crate::chunk::{Chunk, MAX_RECORD, count_lines};
use crate::error::{Fault, show};
use crate::number;

/// What the head of a file says.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub delimiter: u8,
    pub names: Vec<String>,
    /// Where the first record behind the header starts.
    pub data_start: usize,
    /// The delimiter is not the one that the file's name promises.
    pub dialect: Option<String>,
}

/// Reads the head of a file's first chunk. `expected` is the delimiter by the file's name, fixed
/// for .tsv (`detect` is false).
pub(crate) fn read(chunk: &Chunk, expected: u8, detect: bool) -> Result<Header, Fault> {
    let data = &chunk.data[..];
    let mut at = skip_mark(data)?;
    let mut delimiter = None;
    if let Some((separator, next)) = separator_line(&data[at..]) {
        delimiter = Some(separator);
        at += next;
    }
    at = skip_blank_lines(data, at);
    if at >= data.len() {
        return Err(empty());
    }
    let separated = delimiter.is_some();
    let delimiter =
        delimiter.unwrap_or_else(|| if detect { detect_delimiter(&data[at..]) } else { expected });
    let (names, data_start) = names(chunk, delimiter, at)?;
    check_names(&names, count_lines(&data[..at]))?;
    let dialect = (delimiter != expected).then(|| {
        let name = match delimiter {
            b';' => "semicolons".into(),
            b'\t' => "tabs".into(),
            b'|' => "bars".into(),
            b',' => "commas".into(),
            other => show([other]),
        };
        let how = if separated { ", as its sep= line says" } else { "" };
        format!("separated by {name}{how}")
    });
    let names = names
        .into_iter()
        .enumerate()
        .map(|(i, name)| if name.is_empty() { format!("column {}", i + 1) } else { name })
        .collect();
    Ok(Header { delimiter, names, data_start, dialect })
}

/// The fault of a file without content.
pub(crate) fn empty() -> Fault {
    Fault::new("is empty").hint("the first line must name the columns")
}

/// Behind a byte-order mark of UTF-8; other marks are refused.
pub(crate) fn skip_mark(data: &[u8]) -> Result<usize, Fault> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    if data.starts_with(b"\xff\xfe") || data.starts_with(b"\xfe\xff") {
        return Err(Fault::new("is UTF-16 text").hint("save it as UTF-8"));
    }
    if !data.starts_with(MARK) {
        return Ok(0);
    }
    if data[MARK.len()..].starts_with(MARK) {
        return Err(Fault::new("starts with two byte-order marks")
            .line(0)
            .hint("save it as UTF-8 once, without a byte-order mark"));
    }
    Ok(MARK.len())
}

/// Excel's first line `sep=;`: the delimiter, and where the next line starts.
fn separator_line(data: &[u8]) -> Option<(u8, usize)> {
    let (head, rest) = (data.get(..5)?, data.get(5..)?);
    let delimiter = head[4];
    let is_one = head[..4].eq_ignore_ascii_case(b"sep=")
        && delimiter.is_ascii()
        && !delimiter.is_ascii_alphanumeric()
        && !matches!(delimiter, b'\r' | b'\n' | b'"' | b'.' | b'+' | b'-' | 0);
    match rest {
        [b'\n', ..] if is_one => Some((delimiter, 6)),
        [b'\r', b'\n', ..] if is_one => Some((delimiter, 7)),
        _ => None,
    }
}

/// The delimiter of the header line: a comma if there is one outside of quotes, else the most
/// frequent of semicolon, tab and bar, else a comma.
fn detect_delimiter(data: &[u8]) -> u8 {
    let mut counts = [0usize; 4];
    const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];
    let mut quoted = false;
    for &byte in data {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            _ if !quoted => {
                if let Some(i) = CANDIDATES.iter().position(|c| *c == byte) {
                    counts[i] += 1;
                }
            }
            _ => {}
        }
    }
    if counts[0] > 0 {
        return b',';
    }
    let mut best = 0;
    for i in 1..CANDIDATES.len() {
        if counts[i] > counts[best] {
            best = i;
        }
    }
    CANDIDATES[best]
}

fn names(chunk: &Chunk, delimiter: u8, start: usize) -> Result<(Vec<String>, usize), Fault> {
    let data = &chunk.data[..];
    let line = |at: usize| count_lines(&data[..at]);
    let splitter = Splitter { delimiter, has_quotes: true, has_returns: true };
    let mut names = Vec::new();
    let mut at = start;
    loop {
        let field = splitter.field(data, at).map_err(|broken| match broken {
            Broken::OpenQuote(_) if chunk.too_long => too_long().line(line(start)),
            broken => broken_fault(broken, &line),
        })?;
        let content = field.content(data);
        if let Some(i) = memchr::memchr(0, &content) {
            return Err(nul().line(line(at + i)));
        }
        let name = std::str::from_utf8(&content).map_err(|e| {
            let byte = content[e.valid_up_to()];
            Fault::new(format!(
                "the name of column {} is not UTF-8 text (byte 0x{byte:02X})",
                names.len() + 1
            ))
            .line(line(at))
            .hint("save the file as UTF-8")
        })?;
        let name = if field.quoted { name } else { name.trim_matches([' ', '\t']) };
        names.push(name.to_string());
        if names.len() > MAX_COLUMNS {
            return Err(Fault::new(format!("has more than {MAX_COLUMNS} columns"))
                .line(line(start))
                .hint("store wide rows as lists, in Parquet or NumPy files"));
        }
        at = field.next;
        if field.last {
            break;
        }
    }
    if chunk.too_long && at >= data.len() {
        return Err(too_long().line(line(start)));
    }
    Ok((names, at))
}

/// The fault of a record longer than the limit.
pub(crate) fn too_long() -> Fault {
    Fault::new(format!("a record is longer than {} MiB", MAX_RECORD >> 20))
        .hint("look for a quote that is never closed, or a line without an end")
}

/// The fault of a NUL byte.
pub(crate) fn nul() -> Fault {
    Fault::new("has a NUL byte").hint("this may be no text file, or be UTF-16 text")
}

fn check_names(names: &[String], line: u64) -> Result<(), Fault> {
    if looks_like_data(names) {
        return Err(Fault::new(format!(
            "no header: the first line holds only numbers, {} first",
            show(&names[0])
        ))
        .line(line)
        .hint("add a first line that names the columns"));
    }
    let mut seen: HashMap<&str, usize> = HashMap::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        if name.is_empty() {
            continue;
        }
        if let Some(first) = seen.insert(name, i) {
            return Err(Fault::new(format!(
                "columns {} and {} are both named {}",
                first + 1,
                i + 1,
                show(name)
            ))
            .line(line)
            .column(name)
            .hint("give every column its own name"));
        }
    }
    Ok(())
}

/// Whether a first line is data: only numbers. Ascending integers from 0 or 1, as pandas writes
/// for unnamed columns, are names.
fn looks_like_data(names: &[String]) -> bool {
    let counts_up = |from: usize| {
        names.len() > 1
            && names.iter().enumerate().all(|(i, name)| name.parse::<usize>() == Ok(i + from))
    };
    let is_number = |name: &String| {
        !name.is_empty()
            && name.bytes().any(|b| b.is_ascii_digit())
            && number::parse(name.as_bytes()).is_ok()
    };
    names.iter().all(is_number) && !counts_up(0) && !counts_up(1)
}
