//! The rows of svmlight files in passing, a chunk at a time, for what does not need them all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::part::Part;
use super::{Queue, Task, no_query, no_rows};
use crate::chunk::Chunk;
use crate::error::{Error, Fault, RowError};
use crate::find;
use crate::table::Format;

/// Chunks that a thread has in a round, so that one that is done early finds another.
const ROUND: usize = 4;

/// Consecutive rows of a file.
#[derive(Debug)]
pub struct SparseRows<'a> {
    part: &'a Part,
}

impl SparseRows<'_> {
    /// How many; at least one.
    pub fn n_rows(&self) -> usize {
        self.part.ends.len()
    }

    /// The features of a row as the file numbers them, ascending, each with its value.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (u32, f64)> + '_ {
        let Part { ends, indices, values, .. } = self.part;
        let places = row.checked_sub(1).map_or(0, |before| ends[before])..ends[row];
        places.map(|i| (indices[i], values.get(i).copied().unwrap_or(1.0)))
    }

    /// The label of a row as it is written.
    pub fn label(&self, row: usize) -> std::borrow::Cow<'_, str> {
        // It was found to be UTF-8 when it was parsed.
        String::from_utf8_lossy(&self.part.labels.names[self.part.codes[row] as usize])
    }
}

/// Reads the rows that [`super::read`] reads and holds none of them: `map` is called by all threads, `each` with its results in the order of the rows.
///
/// Memory is that of a few chunks of 1 MiB a thread. Neither the results nor the errors depend on the threads.
///
/// # Errors
///
/// Those of [`super::read`], the first in row order; what `map` refuses, with the file and line; whatever `each` says.
///
/// ```
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("rows.svm");
/// std::fs::write(&path, "1 1:0.5 3:1\n-1 2:2\n")?;
/// let mut sums = Vec::new();
/// xent_io::svmlight::scan::<_, xent_io::Error>(
///     path.to_str().unwrap(),
///     0,
///     |rows| Ok((0..rows.n_rows()).map(|i| rows.row(i).map(|(_, x)| x).sum::<f64>()).collect()),
///     |more: Vec<f64>| {
///         sums.extend(more);
///         Ok(())
///     },
/// )
/// .unwrap();
/// assert_eq!(sums, [1.5, 2.0]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn scan<T: Send, E: From<Error>>(
    spec: &str,
    threads: usize,
    map: impl Fn(&SparseRows<'_>) -> Result<T, RowError> + Sync,
    mut each: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let files = find::text_inputs(spec, Format::Svmlight)?;
    let threads = super::n_threads(threads);
    let mut queue = Queue { files: &files, file: 0, chunker: None, taken: 0 };
    let mut order = Order::default();
    loop {
        let tasks: Vec<Task> = (0..threads * ROUND).map_while(|_| queue.next()).collect();
        if tasks.is_empty() {
            break;
        }
        for Done { part, value } in round(tasks, threads, &map) {
            let fault = order.take(&part);
            let fault = fault.map_err(|(file, fault)| fault.at(&files[file].0, 0, 0));
            if let Some(value) = value {
                each(value)?;
            }
            fault?;
            if let Some(fault) = part.fault {
                return Err(fault.at(&files[part.file].0, order.rows, order.lines).into());
            }
            order.rows += part.ends.len() as u64;
            order.lines += part.lines;
        }
    }
    if order.any { Ok(()) } else { Err(no_rows(&files).into()) }
}

/// A chunk that was parsed, and what `map` made of its rows before the first fault.
struct Done<T> {
    part: Part,
    value: Option<T>,
}

/// Parses some chunks with some threads.
fn round<T: Send>(
    tasks: Vec<Task>,
    threads: usize,
    map: &(impl Fn(&SparseRows<'_>) -> Result<T, RowError> + Sync),
) -> Vec<Done<T>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let work = || {
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let done = parse(task, map);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((task.number, done));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(tasks.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, done)| done).collect()
}

fn parse<T>(task: &Task, map: &impl Fn(&SparseRows<'_>) -> Result<T, RowError>) -> Done<T> {
    let mut part = task.parse();
    let mut value = None;
    if let Ok(chunk) = &task.chunk
        && !part.ends.is_empty()
    {
        match map(&SparseRows { part: &part }) {
            Ok(made) => value = Some(made),
            Err(RowError { row, message, hint, .. }) => {
                let (row, line) = (Some(row as u64), line_of(chunk, row));
                part.fault = Some(Fault { row, line, hint, ..Fault::new(message) });
            }
        }
    }
    Done { part, value }
}

/// The line of a row in a chunk: some have none.
fn line_of(chunk: &Chunk, row: usize) -> Option<u64> {
    let has_row = |line: &[u8]| {
        line.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r')).is_some_and(|b| *b != b'#')
    };
    let lines = chunk.data.split(|byte| *byte == b'\n').zip(0..);
    lines.filter(|(line, _)| has_row(line)).nth(row).map(|(_, line)| line)
}

/// Rows and lines of the file before the chunk, and who has a query.
#[derive(Default)]
struct Order {
    file: usize,
    rows: u64,
    lines: u64,
    any: bool,
    has_queries: bool,
    without_query: Option<(usize, u64, u64)>,
}

impl Order {
    /// Goes on to a chunk; the fault that lies in it together with those before.
    fn take(&mut self, part: &Part) -> Result<(), (usize, Fault)> {
        if part.file != self.file {
            (self.file, self.rows, self.lines) = (part.file, 0, 0);
        }
        self.any |= !part.ends.is_empty();
        self.has_queries |= !part.queries.is_empty();
        if let (None, Some((row, line))) = (self.without_query, part.without_query) {
            self.without_query = Some((part.file, self.rows + row, self.lines + line));
        }
        match self.without_query.filter(|_| self.has_queries) {
            Some((file, row, line)) => Err((file, no_query(row, line))),
            None => Ok(()),
        }
    }
}
