//! svmlight (libsvm) files: labelled sparse rows, read whole into compressed rows (CSR), in memory or in a mapped file.
//!
//! ```text
//! label [qid:n] index:value index:value ... [# comment]
//! ```
//!
//! Such a file holds features to train on, not predictions, so it is no [`crate::Table`]: [`read`] is its
//! own door, or [`scan`] where the rows need not be held. What is not written is 0. Indices ascend within a line; the first feature is 1, or 0 if any
//! line says 0. A label is a number or a word. Blank lines and comments are skipped. Files may be
//! compressed with gzip or zstd, and several files (a pattern, a directory) are one after the other.
//!
//! Threads parse chunks of 1 MiB of whole lines, in any order; the parts are put together in the order
//! of the file, and of several errors the one in the earliest line is reported. Neither depends on the
//! threads.
//!
//! Refused, with the line: several labels a row, indices that descend or repeat, values that are not
//! finite, and anything that is no `index:value`.
//!
//! The format: T. Joachims, `SVM-light` (<https://www.cs.cornell.edu/people/tj/svm_light/>), and C.-C. Chang
//! and C.-J. Lin, `LIBSVM: A library for support vector machines`, 2011, doi:10.1145/1961189.1961199.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::chunk::{Chunk, Chunker};
use crate::error::{Error, Fault, show};
use crate::find;
use crate::input::TextInput;
use crate::table::Format;

mod part;
mod scan;
mod spilled;
#[cfg(test)]
mod tests;

use part::Part;

pub use scan::{SparseRows, scan};
pub use spilled::{MappedTable, MappedValues, read_mapped};

/// Labelled sparse rows.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseTable {
    /// Where each row starts in `indices`, and the end: `n_rows + 1` numbers, the first is 0.
    pub offsets: Vec<usize>,
    /// The features of each row, 0-based, ascending within a row.
    pub indices: Vec<u32>,
    /// Their values; finite.
    pub values: Values,
    /// One more than the largest index: the columns that the rows need.
    pub n_features: usize,
    /// A label a row.
    pub labels: Labels,
    /// The `qid` of each row, if the rows have one.
    pub queries: Option<Vec<u64>>,
    /// Whether the file counts features from 0: an index 0 occurs. Otherwise feature 0 is the file's index 1.
    ///
    /// A file says nothing about features that it never names: of files that belong together, compare this.
    pub is_zero_based: bool,
}

/// Values of sparse rows, one an index.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Each is 1.
    Ones,
    /// Each is exactly a 32-bit number.
    F32(Vec<f32>),
    /// Correctly rounded.
    F64(Vec<f64>),
}

/// Labels of rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Labels {
    /// Every label is a number; finite.
    Numbers(Vec<f64>),
    /// Some label is a word.
    Text {
        /// The different labels as they are written, in the order of their first rows.
        names: Vec<String>,
        /// Index in `names` of each row's label.
        codes: Vec<u32>,
    },
}

impl SparseTable {
    /// Rows.
    pub fn n_rows(&self) -> usize {
        self.offsets.len() - 1
    }
}

/// Reads the rows of a path, of `-` for standard input, of a pattern or a directory of files.
///
/// The files are read as svmlight whatever their names are. `threads` parse, 0 means all cores; the result and
/// the error do not depend on it. The rows are held in memory: 4 bytes an index, and 0, 4 or 8 a value.
///
/// # Errors
///
/// If nothing is found or readable, if there is no row, or at the first line that is not svmlight.
///
/// ```
/// use xent_io::svmlight::{Labels, Values, read};
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("train.svm");
/// std::fs::write(&path, "+1 1:0.5 3:1\n-1 2:2  # a comment\n")?;
/// let table = read(path.to_str().unwrap(), 0).unwrap();
/// assert_eq!(table.offsets, [0, 2, 3]);
/// assert_eq!(table.indices, [0, 2, 1]);
/// assert_eq!(table.values, Values::F32(vec![0.5, 1.0, 2.0]));
/// assert_eq!(table.labels, Labels::Numbers(vec![1.0, -1.0]));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn read(spec: &str, threads: usize) -> Result<SparseTable, Error> {
    let files = find::text_inputs(spec, Format::Svmlight)?;
    let parts = parse_all(&files, threads, &Ok)?;
    check(&files, &parts)?;
    join(&files, parts)
}

/// The parts of all files in their order, each as `keep` leaves it.
fn parse_all(
    files: &[(String, TextInput)],
    threads: usize,
    keep: &(dyn Fn(Part) -> Result<Part, Error> + Sync),
) -> Result<Vec<Part>, Error> {
    let threads = n_threads(threads);
    let queue = Mutex::new(Queue { files, file: 0, chunker: None, taken: 0 });
    let parts = Mutex::new(Ok(Vec::new()));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| work(&queue, keep, &parts, &stop));
        }
        work(&queue, keep, &parts, &stop);
    });
    let mut parts = parts.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    parts.sort_unstable_by_key(|(number, _)| *number);
    Ok(parts.into_iter().map(|(_, part)| part).collect())
}

/// All cores for 0.
fn n_threads(threads: usize) -> usize {
    match threads {
        0 => std::thread::available_parallelism().map_or(1, Into::into),
        n => n.min(256),
    }
}

/// The chunks of all files, taken in order.
struct Queue<'a> {
    files: &'a [(String, TextInput)],
    file: usize,
    chunker: Option<Chunker>,
    taken: usize,
}

impl Queue<'_> {
    /// The next chunk.
    fn next(&mut self) -> Option<Task> {
        while let Some((_, input)) = self.files.get(self.file) {
            let is_first = self.chunker.is_none();
            let chunker = match &mut self.chunker {
                Some(chunker) => Ok(chunker),
                None => input.open(false).map(|chunker| self.chunker.insert(chunker)),
            };
            let chunk = match chunker.and_then(Chunker::next) {
                Ok(Some(chunk)) => Ok(chunk),
                Ok(None) => {
                    (self.file, self.chunker) = (self.file + 1, None);
                    continue;
                }
                Err(fault) => Err(fault),
            };
            let number = self.taken;
            self.taken += 1;
            return Some(Task { file: self.file, number, is_first, chunk });
        }
        None
    }
}

/// A chunk, where it belongs, and whether its file starts with it.
struct Task {
    file: usize,
    number: usize,
    is_first: bool,
    chunk: Result<Chunk, Fault>,
}

impl Task {
    /// Its rows, or its fault.
    fn parse(&self) -> Part {
        match &self.chunk {
            Ok(chunk) => part::parse(self.file, chunk, self.is_first),
            Err(fault) => Part { file: self.file, fault: Some(fault.clone()), ..Part::default() },
        }
    }
}

/// Parses chunks until there are none, or one is faulty: every chunk before that was taken, so its fault
/// or an earlier one is the first.
fn work(
    queue: &Mutex<Queue<'_>>,
    keep: &(dyn Fn(Part) -> Result<Part, Error> + Sync),
    parts: &Mutex<Result<Vec<(usize, Part)>, Error>>,
    stop: &AtomicBool,
) {
    loop {
        let task = {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let Some(task) = queue.next() else { return };
            if task.chunk.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            task
        };
        let part = task.parse();
        if part.fault.is_some() {
            stop.store(true, Ordering::Relaxed);
        }
        let part = keep(part);
        let mut parts = parts.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut *parts, part) {
            (Ok(parts), Ok(part)) => parts.push((task.number, part)),
            (Ok(_), Err(error)) => {
                stop.store(true, Ordering::Relaxed);
                *parts = Err(error);
            }
            (Err(_), _) => {}
        }
    }
}

/// Finds the first fault, and rows with and without a query.
fn check(files: &[(String, TextInput)], parts: &[Part]) -> Result<(), Error> {
    let has_queries = parts.iter().any(|part| !part.queries.is_empty());
    let (mut file, mut rows, mut lines) = (0, 0, 0);
    for part in parts {
        if part.file != file {
            (file, rows, lines) = (part.file, 0, 0);
        }
        if let Some(fault) = &part.fault {
            return Err(fault.clone().at(&files[file].0, rows, lines));
        }
        if let Some((row, line)) = part.without_query.filter(|_| has_queries) {
            return Err(no_query(row, line).at(&files[file].0, rows, lines));
        }
        rows += part.ends.len() as u64;
        lines += part.lines;
    }
    if parts.iter().all(|part| part.ends.is_empty()) {
        return Err(no_rows(files));
    }
    Ok(())
}

fn no_query(row: u64, line: u64) -> Fault {
    let fault = Fault { row: Some(row), ..Fault::new("this row has no qid, others have") };
    fault.line(line).hint("give every row a qid, or none")
}

fn no_rows(files: &[(String, TextInput)]) -> Error {
    let name = files.first().map_or("", |(name, _)| name);
    Error::new(name, "has no rows").with_hint("a row is: label index:value index:value ...")
}

/// Puts the parts together.
fn join(files: &[(String, TextInput)], parts: Vec<Part>) -> Result<SparseTable, Error> {
    let Heads { offsets, labels, queries, base } = heads(files, &parts)?;
    let n_values = offsets.last().copied().unwrap_or(0);
    let last = parts.iter().filter_map(|part| part.largest).max();
    let mut values = match kind_of(&parts) {
        ValueKind::Ones => Values::Ones,
        ValueKind::F32 => Values::F32(Vec::with_capacity(n_values)),
        ValueKind::F64 => Values::F64(Vec::with_capacity(n_values)),
    };
    let mut indices: Vec<u32> = Vec::with_capacity(n_values);
    // Each part is dropped once it is copied.
    for part in parts {
        indices.extend(part.indices.iter().map(|index| index - base));
        let ones = if part.is_ones { part.indices.len() } else { 0 };
        match &mut values {
            Values::Ones => {}
            Values::F32(all) => {
                all.extend(part.values.iter().map(|&value| value as f32));
                all.extend(std::iter::repeat_n(1.0, ones));
            }
            Values::F64(all) => {
                all.extend_from_slice(&part.values);
                all.extend(std::iter::repeat_n(1.0, ones));
            }
        }
    }
    Ok(SparseTable {
        offsets,
        indices,
        values,
        n_features: last.map_or(0, |last| last as usize + 1 - base as usize),
        labels,
        queries,
        is_zero_based: base == 0,
    })
}

/// What a table holds a row, and the first index.
struct Heads {
    offsets: Vec<usize>,
    labels: Labels,
    queries: Option<Vec<u64>>,
    base: u32,
}

/// How values are held.
#[derive(Clone, Copy)]
enum ValueKind {
    Ones,
    F32,
    F64,
}

fn kind_of(parts: &[Part]) -> ValueKind {
    if parts.iter().all(|part| part.is_ones) {
        ValueKind::Ones
    } else if parts.iter().all(|part| part.is_f32) {
        ValueKind::F32
    } else {
        ValueKind::F64
    }
}

/// Puts together all but the features.
fn heads(files: &[(String, TextInput)], parts: &[Part]) -> Result<Heads, Error> {
    let n_rows: usize = parts.iter().map(|part| part.ends.len()).sum();
    let base = u32::from(!parts.iter().any(|part| part.has_zero));
    let mut offsets = Vec::with_capacity(n_rows + 1);
    offsets.push(0);
    let mut queries = Vec::new();
    let mut dictionary = Dictionary::default();
    let mut codes: Vec<u32> = Vec::with_capacity(n_rows);
    let mut before = 0;
    for part in parts {
        offsets.extend(part.ends.iter().map(|end| before + end));
        before += part.n_values;
        queries.extend_from_slice(&part.queries);
        let mut renumbered = Vec::with_capacity(part.labels.names.len());
        for name in &part.labels.names {
            let code = dictionary.code(name);
            renumbered.push(code.ok_or_else(|| {
                Error::new(&files[part.file].0, "has more than 4,294,967,295 different labels")
            })?);
        }
        codes.extend(part.codes.iter().map(|&code| renumbered[code as usize]));
    }
    let labels = labels(dictionary.names, codes);
    Ok(Heads { offsets, labels, queries: (!queries.is_empty()).then_some(queries), base })
}

fn labels(names: Vec<Vec<u8>>, codes: Vec<u32>) -> Labels {
    let numbers: Option<Vec<f64>> =
        names.iter().map(|name| fast_float2::parse::<f64, _>(name).ok()).collect();
    match numbers {
        Some(numbers) => {
            Labels::Numbers(codes.into_iter().map(|code| numbers[code as usize]).collect())
        }
        None => {
            // They were found to be UTF-8 when they were parsed.
            let names = names.iter().map(|name| String::from_utf8_lossy(name).into_owned());
            Labels::Text { names: names.collect(), codes }
        }
    }
}

/// Different labels, numbered in the order in which they come.
#[derive(Debug, Default)]
struct Dictionary {
    names: Vec<Vec<u8>>,
    codes: HashMap<Vec<u8>, u32>,
    last: u32,
}

impl Dictionary {
    /// The number of a label; `None` if there are too many.
    fn code(&mut self, name: &[u8]) -> Option<u32> {
        // Labels come in stretches.
        if self.names.get(self.last as usize).is_some_and(|last| last == name) {
            return Some(self.last);
        }
        self.last = if let Some(&code) = self.codes.get(name) {
            code
        } else {
            let code = u32::try_from(self.names.len()).ok()?;
            self.names.push(name.to_vec());
            self.codes.insert(name.to_vec(), code);
            code
        };
        Some(self.last)
    }

    fn has(&self, name: &[u8]) -> bool {
        self.codes.contains_key(name)
    }
}

/// The fault of a label that no row may have.
fn label_fault(label: &[u8]) -> Option<Fault> {
    if label.contains(&b':') {
        return Some(
            Fault::new(format!("the line starts with {}, not with a label", show(label)))
                .hint("write the label first: label index:value index:value ..."),
        );
    }
    if label.contains(&b',') {
        return Some(
            Fault::new(format!("label {} names several classes", show(label)))
                .hint("a row has one label; write decimals with a point"),
        );
    }
    if fast_float2::parse::<f64, _>(label).is_ok_and(|x| !x.is_finite()) {
        return Some(
            Fault::new(format!("label {} is not finite", show(label)))
                .hint("leave out the rows without a label"),
        );
    }
    std::str::from_utf8(label).is_err().then(|| {
        Fault::new(format!("label {} is not UTF-8 text", show(label)))
            .hint("save the file as UTF-8")
    })
}
