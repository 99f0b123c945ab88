//! The engine of a scan: units of work decoded by threads, results delivered in row order.
//!
//! A file is a sequence of *units* (a chunk of CSV, a Parquet row group, a range of rows).
//! Workers take units in order under a lock, register a small channel for each, decode batches
//! and send the results. The calling thread drains the channels in the order of the units, so
//! results and errors come in row order whatever the threads do. Memory is bounded because
//! both the queue of channels and each channel are; no deadlock is possible because the unit
//! that is drained was always taken before any unit whose worker may be waiting.
//!
//! Advice for whoever changes this: rows before a faulty row must still reach `each` before the
//! fault, so decoders cut the batch at the faulty row and report the fault at the next call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::beside::Held;
use crate::column::{Batch, ColumnInfo, ReadAs, Request};
use crate::error::{Error, Fault, RowError};
use crate::guard::guarded;
use crate::mapped::{CodedTexts, Matrix};
use crate::sample::Sample;
use crate::table::Span;

/// What a scan asks of every file.
#[derive(Debug)]
pub(crate) struct Plan {
    pub requests: Vec<Request>,
    /// The requested columns' names, for messages.
    pub names: Vec<String>,
    /// The width that each requested list column must have.
    pub widths: Vec<Option<usize>>,
    pub batch_rows: usize,
    /// Columns of another table, to be put into each batch.
    pub beside: Option<Held>,
}

/// A file of a table.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Its name for messages.
    pub name: String,
    /// Bytes of all files before it.
    pub bytes_before: u64,
    /// Rows of all files before it, if they declare them.
    pub rows_before: Option<u64>,
}

impl Plan {
    pub fn empty_columns(&self) -> Vec<crate::column::Column> {
        self.requests.iter().map(|r| crate::column::Column::empty(r.read_as)).collect()
    }

    /// The file's column indices that are needed, ascending, without repeats.
    pub fn needed(&self) -> Vec<usize> {
        let mut needed: Vec<usize> = self.requests.iter().map(|r| r.column).collect();
        needed.sort_unstable();
        needed.dedup();
        needed
    }

    pub fn reads_text(&self, column: usize) -> bool {
        self.requests.iter().any(|r| r.column == column && r.read_as == ReadAs::Text)
    }
}

/// An opened file of some format.
pub(crate) trait Source: Send + Sync {
    fn columns(&self) -> &[ColumnInfo];

    /// The number of rows, if the file declares it.
    fn rows(&self) -> Option<u64>;

    /// The first rows.
    fn sample(&self) -> Result<Sample, Fault>;

    /// Why a column is [`crate::Kind::Unsupported`], where the file knows more than that.
    fn refusal(&self, _column: usize) -> Option<&str> {
        None
    }

    /// The numbers of a column where they lie in the file, if they can stay there.
    fn matrix(&self, _column: usize) -> Result<Option<Matrix>, Fault> {
        Ok(None)
    }

    /// The codes of a column of texts where they lie in the file, if they can stay there.
    fn coded_texts(&self, _column: usize) -> Result<Option<CodedTexts>, Fault> {
        Ok(None)
    }

    /// What a person may want to know about how the file is read.
    fn dialect(&self) -> Option<String> {
        None
    }

    /// Starts one pass over the file.
    fn start(self: Arc<Self>, plan: &Arc<Plan>) -> Result<Box<dyn Units>, Fault>;
}

/// One pass over a file, unit by unit.
pub(crate) trait Units: Send {
    fn next(&mut self) -> Result<Option<Box<dyn Unit>>, Fault>;
}

/// A piece of a file, decoded by one worker.
pub(crate) trait Unit: Send {
    /// Replaces `batch` by the next rows, at least one; `false` at the end.
    fn fill(&mut self, batch: &mut Batch) -> Result<bool, Fault>;

    /// The line of row `row` of the batch last filled, 0-based in the unit.
    fn line_of(&self, _row: usize) -> Option<u64> {
        None
    }

    /// Lines in the whole unit.
    fn lines(&self) -> u64 {
        0
    }

    /// The unit's first row in its file, 0-based; known wherever [`Source::rows`] is.
    fn first_row(&self) -> Option<u64> {
        None
    }

    /// Bytes of the file up to the unit's end.
    fn position(&self) -> u64 {
        0
    }
}

/// The files of a table, opened one after the other.
pub(crate) trait Files: Send {
    /// Starts file `index`; `None` after the last.
    fn start(&mut self, index: usize) -> Option<Result<Box<dyn Units>, Error>>;
}

enum Message<T> {
    Rows { value: T, rows: usize },
    Fault(Fault),
    Error(Error),
    End { lines: u64 },
    Panic(Box<dyn std::any::Any + Send>),
}

struct Handle<T> {
    file: usize,
    position: u64,
    results: Receiver<Message<T>>,
}

struct Producer<'a, T> {
    files: &'a mut dyn Files,
    index: usize,
    current: Option<Box<dyn Units>>,
    /// Dropped when there is nothing more, which ends the caller's loop.
    queue: Option<SyncSender<Handle<T>>>,
    done: bool,
}

/// A unit, or the message that ends the scan.
type Next<T> = Result<Box<dyn Unit>, Message<T>>;

impl<T> Producer<'_, T> {
    /// The next unit of any file, with the file's index.
    fn next(&mut self) -> Option<(usize, Next<T>)> {
        while !self.done {
            if let Some(units) = &mut self.current {
                match guarded(|| units.next()) {
                    Ok(Some(unit)) => return Some((self.index, Ok(unit))),
                    Ok(None) => {
                        self.current = None;
                        self.index += 1;
                    }
                    Err(fault) => {
                        self.done = true;
                        return Some((self.index, Err(Message::Fault(fault))));
                    }
                }
            } else {
                match self.files.start(self.index) {
                    None => self.done = true,
                    Some(Ok(units)) => self.current = Some(units),
                    Some(Err(error)) => {
                        self.done = true;
                        return Some((self.index, Err(Message::Error(error))));
                    }
                }
            }
        }
        None
    }
}

/// Takes units until there are none or the scan is over.
fn work<T, M>(
    producer: &Mutex<Producer<'_, T>>,
    stop: &AtomicBool,
    parts: &[Part],
    plan: &Plan,
    backlog: usize,
    map: &M,
) where
    M: Fn(&Batch) -> Result<T, RowError>,
{
    let mut batch = Batch { rows: 0, columns: plan.empty_columns() };
    // Right for a thread that is alone, and used only there.
    let mut rows_so_far = 0;
    loop {
        let (sender, receiver) = sync_channel(backlog);
        let (part, unit) = {
            let mut producer = producer.lock().unwrap_or_else(PoisonError::into_inner);
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let Some((file, unit)) = producer.next() else {
                producer.queue = None;
                return;
            };
            let position = unit.as_ref().map_or(0, |u| u.position());
            let handle = Handle { file, position, results: receiver };
            let Some(Ok(())) = producer.queue.as_ref().map(|queue| queue.send(handle)) else {
                return;
            };
            (&parts[file], unit)
        };
        let message = match unit {
            Ok(unit) => {
                let known = part.rows_before.zip(unit.first_row()).map(|(a, b)| a + b);
                let mut place = Place { row: known.unwrap_or(rows_so_far), file: &part.name };
                let run = || {
                    let message = run_unit(unit, &mut batch, &mut place, plan, map, &sender);
                    rows_so_far = place.row;
                    message
                };
                match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
                    Ok(Some(message)) => message,
                    Ok(None) => return,
                    Err(payload) => Message::Panic(payload),
                }
            }
            Err(message) => message,
        };
        let over = !matches!(message, Message::End { .. });
        if over {
            stop.store(true, Ordering::Relaxed);
        }
        if sender.send(message).is_err() || over {
            return;
        }
    }
}

/// Where a worker is.
struct Place<'a> {
    /// The next row of the table.
    row: u64,
    file: &'a str,
}

/// Decodes one unit; the message that ends it, or `None` when nobody listens any more.
fn run_unit<T, M>(
    mut unit: Box<dyn Unit>,
    batch: &mut Batch,
    place: &mut Place<'_>,
    plan: &Plan,
    map: &M,
    sender: &SyncSender<Message<T>>,
) -> Option<Message<T>>
where
    M: Fn(&Batch) -> Result<T, RowError>,
{
    if batch.columns.len() != plan.requests.len() {
        batch.columns = plan.empty_columns();
    }
    loop {
        // A fault in a later unit must not stop this one; the caller's end shows in `send`.
        match guarded(|| unit.fill(batch)) {
            Ok(true) => {
                let (first, decoded) = (place.row, batch.rows);
                if let Some(held) = &plan.beside {
                    batch.truncate(held.have(first, decoded));
                    if batch.rows == 0 {
                        return Some(Message::Error(held.ended(place.file)));
                    }
                    held.join(first, batch);
                }
                let result = map(batch);
                if let Some(held) = &plan.beside {
                    held.part(batch);
                }
                place.row += batch.rows as u64;
                match result {
                    Ok(value) => {
                        if sender.send(Message::Rows { value, rows: batch.rows }).is_err() {
                            return None;
                        }
                    }
                    Err(error) => {
                        let blamed = plan.beside.as_ref().and_then(|h| h.blamed(first, &error));
                        return Some(match blamed {
                            Some(error) => Message::Error(error),
                            None => Message::Fault(Fault {
                                row: Some(error.row as u64),
                                line: unit.line_of(error.row),
                                column: error.column,
                                message: error.message,
                                hint: error.hint,
                                io: None,
                            }),
                        });
                    }
                }
                if let Some(held) = &plan.beside
                    && batch.rows < decoded
                {
                    return Some(Message::Error(held.ended(place.file)));
                }
            }
            Ok(false) => {
                batch.trim();
                return Some(Message::End { lines: unit.lines() });
            }
            Err(fault) => {
                // A panic may have left the batch half filled.
                batch.columns = plan.empty_columns();
                return Some(Message::Fault(fault));
            }
        }
    }
}

/// Scans all files; see [`crate::Table::scan`].
///
/// Returns the number of rows.
pub(crate) fn scan<T, E, M, F>(
    files: &mut dyn Files,
    parts: &[Part],
    plan: &Plan,
    threads: usize,
    backlog: usize,
    map: M,
    mut each: F,
) -> Result<u64, E>
where
    T: Send,
    E: From<Error>,
    M: Fn(&Batch) -> Result<T, RowError> + Sync,
    F: FnMut(T, Span) -> Result<(), E>,
{
    let (queue, handles) = sync_channel(2 * threads);
    let producer =
        Mutex::new(Producer { files, index: 0, current: None, queue: Some(queue), done: false });
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&producer, &stop, parts, plan, backlog, &map));
        }
        let result = deliver(&handles, parts, &mut each);
        stop.store(true, Ordering::Relaxed);
        drop(handles);
        result
    })
}

/// Drains the units in order until the last or an error.
fn deliver<T, E: From<Error>>(
    handles: &Receiver<Handle<T>>,
    parts: &[Part],
    each: &mut impl FnMut(T, Span) -> Result<(), E>,
) -> Result<u64, E> {
    let (mut first_row, mut file, mut first_row_in_file, mut lines) = (0, 0, 0, 0);
    while let Ok(handle) = handles.recv() {
        if handle.file != file {
            (file, first_row_in_file, lines) = (handle.file, 0, 0);
        }
        let Part { name, bytes_before, .. } = &parts[file];
        loop {
            match handle.results.recv() {
                Ok(Message::Rows { value, rows }) => {
                    let bytes_read = bytes_before + handle.position;
                    each(value, Span { first_row, rows, file, first_row_in_file, bytes_read })?;
                    first_row += rows as u64;
                    first_row_in_file += rows as u64;
                }
                Ok(Message::End { lines: in_unit }) => {
                    lines += in_unit;
                    break;
                }
                Ok(Message::Fault(fault)) => {
                    return Err(fault.at(name, first_row_in_file, lines).into());
                }
                Ok(Message::Error(error)) => return Err(error.into()),
                Ok(Message::Panic(payload)) => std::panic::resume_unwind(payload),
                Err(_) => return Err(Error::new(name, "reading stopped unexpectedly").into()),
            }
        }
    }
    Ok(first_row)
}
