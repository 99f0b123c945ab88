//! Tables that hold the same rows in the same order, read in step, in memory that hardly grows with them.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::mpsc::{Receiver, sync_channel};

use xent_io::Table;

use super::State;
use super::same::join;
use crate::block::{Block, Scorer};
use crate::detective::explain;
use crate::error::Error;
use crate::score::{Observer, Options, go_on};

/// Tables in lockstep: row i of each is the same case. With `ids`, only if it has the same identity in all of them.
pub(super) fn by_position(
    tables: &[&Table],
    scorers: &[Scorer],
    options: &Options,
    order: &[usize],
    mut ids: Option<&mut Identities>,
    mut state: State,
    observer: &mut dyn Observer,
) -> Result<State, Error> {
    let classes = &scorers[0].binding().classes;
    let threads = (options.threads / tables.len()).max(1);
    std::thread::scope(|scope| {
        let mut streams: Vec<Stream> = Vec::new();
        for (table, scorer) in tables.iter().zip(scorers) {
            // Batches differ in rows between formats: a few wait for the slowest table.
            let (send, receive) = sync_channel::<Result<(Block, u64), Error>>(4);
            scope.spawn(move || {
                let result = table.scan(
                    scorer.requests(),
                    &options.scan(threads),
                    |batch| scorer.block(batch),
                    |block, span| -> Result<(), Stop> {
                        send.send(Ok((block, span.bytes_read))).map_err(|_| Stop::Left)
                    },
                );
                if let Err(Stop::Error(error)) = result {
                    let error = explain(error, table, scorer.binding(), &options.rules);
                    let _ = send.send(Err(error));
                }
            });
            streams.push(Stream { receive, waiting: VecDeque::new(), at: 0, rows: 0, bytes: 0 });
        }
        loop {
            for stream in &mut streams {
                stream.fill()?;
            }
            let n = streams.iter().map(Stream::front).min().unwrap_or_default();
            if n == 0 {
                return check_ends(tables, &mut streams, state);
            }
            let row = streams[0].rows;
            let blocks: Vec<Block> = streams.iter_mut().map(|s| s.take(n)).collect();
            if let Some(ids) = &mut ids {
                ids.add(&blocks)?;
            }
            let mut joined = join(
                blocks,
                classes,
                |i| [tables[0].spec(), tables[i].spec()],
                |_, r| format!("row {}", row + r as u64 + 1),
                "models are compared on the same rows; match rows by a column with --id",
            )?;
            joined.reorder(order);
            state.update(joined)?;
            state.progress.bytes = streams.iter().map(|s| s.bytes).sum();
            go_on(observer.progress(&state.progress))?;
        }
    })
}

/// The identities of rows that come in the same order in every table.
///
/// Eight bytes a row are held, to see that none occurs twice.
#[derive(Default)]
pub(super) struct Identities {
    hashes: Vec<u64>,
}

impl Identities {
    /// Refuses blocks whose rows are not the same, one by one.
    fn add(&mut self, blocks: &[Block]) -> Result<(), Error> {
        let ids = blocks[0].ids.as_deref().unwrap_or_default();
        let are_same = blocks.iter().all(|block| block.ids.as_deref() == Some(ids));
        if !are_same || ids.iter().any(String::is_empty) {
            return Err(Error::new("the ids do not come in the same order"));
        }
        self.hashes.extend(ids.iter().map(|id| {
            let mut hasher = DefaultHasher::new();
            id.hash(&mut hasher);
            hasher.finish()
        }));
        Ok(())
    }

    /// Whether each occurred once: certain if so.
    pub fn are_unique(mut self) -> bool {
        self.hashes.sort_unstable();
        self.hashes.windows(2).all(|pair| pair[0] != pair[1])
    }
}

/// Why a table's scan stopped early.
enum Stop {
    Error(Error),
    /// The other side has left: there is an error elsewhere.
    Left,
}

impl From<xent_io::Error> for Stop {
    fn from(error: xent_io::Error) -> Self {
        Self::Error(error.into())
    }
}

struct Stream {
    receive: Receiver<Result<(Block, u64), Error>>,
    waiting: VecDeque<Block>,
    /// Rows of the first waiting block that are taken already.
    at: usize,
    rows: u64,
    bytes: u64,
}

impl Stream {
    /// Waits for a block, unless one is here or the table has ended.
    fn fill(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty()
            && let Ok(message) = self.receive.recv()
        {
            let (block, bytes) = message?;
            self.bytes = bytes;
            self.waiting.push_back(block);
        }
        Ok(())
    }

    fn front(&self) -> usize {
        self.waiting.front().map_or(0, |b| b.rows - self.at)
    }

    /// The first `n` rows.
    fn take(&mut self, n: usize) -> Block {
        self.rows += n as u64;
        let Some(block) = self.waiting.front() else { return Block::default() };
        let whole = self.at == 0 && block.rows == n;
        if whole {
            return self.waiting.pop_front().unwrap_or_default();
        }
        let some: Vec<usize> = (self.at..self.at + n).collect();
        let taken = block.take(&some);
        self.at += n;
        if self.at == block.rows {
            self.waiting.pop_front();
            self.at = 0;
        }
        taken
    }
}

/// One table has ended: all must have.
fn check_ends(tables: &[&Table], streams: &mut [Stream], state: State) -> Result<State, Error> {
    let ended = streams.iter().position(|s| s.front() == 0);
    let longer = streams.iter().position(|s| s.front() > 0);
    let (Some(ended), Some(longer)) = (ended, longer) else { return Ok(state) };
    // Counts the rest, so that the message has both lengths.
    let mut counts = [0, 0];
    for (count, i) in counts.iter_mut().zip([ended, longer]) {
        let stream = &mut streams[i];
        while stream.front() > 0 {
            let n = stream.front();
            drop(stream.take(n));
            stream.fill()?;
        }
        *count = stream.rows;
    }
    Err(Error::new(format!(
        "{} has {}, {} has {}",
        tables[ended].spec(),
        rows(counts[0]),
        tables[longer].spec(),
        counts[1]
    ))
    .with_hint("rows are matched by position; match them by a column with --id"))
}

pub(super) fn rows(n: u64) -> String {
    if n == 1 { "1 row".to_owned() } else { format!("{n} rows") }
}
