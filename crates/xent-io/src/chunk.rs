//! Text cut into chunks at record ends, for CSV and JSON Lines.
//!
//! Cutting is the only part of reading text that must be sequential, so it does as little as
//! possible: without quotes it is one backward search for a newline. With quotes, a newline
//! ends a record where the number of quotes before it is even, which is right for RFC 4180 because
//! an escaped quote is two quotes. A stray quote makes the cut wrong, but never changes what is
//! reported: the records before it are in place, and the stray quote itself is the error.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::error::Fault;

/// Bytes in an ordinary chunk.
const CHUNK: usize = 1 << 20;
/// The longest record, and so the longest chunk: 32 MiB.
pub(crate) const MAX_RECORD: usize = 32 << 20;
/// Bytes in all chunks being decoded; one chunk is always allowed.
const IN_FLIGHT: usize = 32 << 20;

/// Buffers in use and to be used again.
#[derive(Debug, Default)]
struct Pool {
    state: Mutex<PoolState>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct PoolState {
    free: Vec<Vec<u8>>,
    in_flight: usize,
}

/// Whole records, ending in a newline.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub data: Vec<u8>,
    /// Where the records start: behind the header in a file's first chunk.
    pub start: usize,
    /// The last record is longer than [`MAX_RECORD`] and is cut.
    pub too_long: bool,
    /// Bytes of the file read so far.
    pub position: u64,
    counted: usize,
    pool: Arc<Pool>,
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if self.data.capacity() <= 2 * CHUNK {
            let mut state = self.pool.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.free.push(std::mem::take(&mut self.data));
        }
        self.pool.release(self.counted);
    }
}

impl Pool {
    fn release(&self, bytes: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.in_flight -= bytes;
        drop(state);
        self.released.notify_all();
    }
}

/// Cuts a stream of text into [`Chunk`]s.
pub(crate) struct Chunker {
    reader: Box<dyn Read + Send>,
    /// Bytes of the file that the reader has consumed.
    position: Arc<std::sync::atomic::AtomicU64>,
    quotes: bool,
    rest: Vec<u8>,
    done: bool,
    pool: Arc<Pool>,
}

impl Chunker {
    /// `quotes`: newlines between quotes belong to the record.
    pub fn new(
        reader: Box<dyn Read + Send>,
        position: Arc<std::sync::atomic::AtomicU64>,
        quotes: bool,
    ) -> Chunker {
        Chunker { reader, position, quotes, rest: Vec::new(), done: false, pool: Arc::default() }
    }

    /// The next chunk of about 1 MiB, or of one record if that is longer.
    pub fn next(&mut self) -> Result<Option<Chunk>, Fault> {
        if self.done {
            return Ok(None);
        }
        let mut data = self.buffer();
        data.append(&mut self.rest);
        let mut too_long = false;
        loop {
            let want = if data.len() < CHUNK { CHUNK - data.len() } else { data.len() };
            let want = want.min(MAX_RECORD + 1 - data.len());
            data.reserve_exact(want);
            let read = self
                .reader
                .by_ref()
                .take(want as u64)
                .read_to_end(&mut data)
                .map_err(|e| Fault::io("cannot read", &e))?;
            if read < want {
                self.done = true;
                if data.is_empty() {
                    return Ok(None);
                }
                if data.last() != Some(&b'\n') {
                    data.push(b'\n');
                }
                break;
            }
            if let Some(end) = self.last_record_end(&data) {
                self.rest.extend_from_slice(&data[end..]);
                data.truncate(end);
                break;
            }
            if data.len() > MAX_RECORD {
                self.done = true;
                too_long = true;
                data.push(b'\n');
                break;
            }
        }
        let position = self.position.load(std::sync::atomic::Ordering::Relaxed);
        let counted = data.len();
        self.acquire(counted);
        Ok(Some(Chunk { data, start: 0, too_long, position, counted, pool: self.pool.clone() }))
    }

    /// Appends the next chunk to `chunk`; whether there was one.
    pub fn extend(&mut self, chunk: &mut Chunk) -> Result<bool, Fault> {
        // Not in flight while the next one is acquired, else that could wait for it for ever.
        self.pool.release(std::mem::take(&mut chunk.counted));
        let Some(mut next) = self.next()? else { return Ok(false) };
        chunk.data.extend_from_slice(&next.data);
        chunk.counted = std::mem::take(&mut next.counted);
        (chunk.too_long, chunk.position) = (next.too_long, next.position);
        Ok(true)
    }

    /// A copy of a chunk, to be read from `start`.
    pub fn copy_of(chunk: &Chunk, start: usize) -> Chunk {
        Chunk {
            data: chunk.data.clone(),
            start,
            too_long: chunk.too_long,
            position: chunk.position,
            counted: 0,
            pool: Arc::default(),
        }
    }

    fn buffer(&self) -> Vec<u8> {
        let mut state = self.pool.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = state.free.pop().unwrap_or_default();
        drop(state);
        buffer.clear();
        buffer
    }

    /// Waits until `bytes` more may be in flight. The chunks in flight were all taken before
    /// this one, so their workers get on without it.
    fn acquire(&self, bytes: usize) {
        let mut state = self.pool.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.in_flight > 0 && state.in_flight + bytes > IN_FLIGHT {
            state = self.pool.released.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.in_flight += bytes;
    }

    /// The position behind the last newline that ends a record.
    fn last_record_end(&self, data: &[u8]) -> Option<usize> {
        if !self.quotes {
            return memchr::memrchr(b'\n', data).map(|i| i + 1);
        }
        let mut open = memchr::memchr_iter(b'"', data).count() % 2 == 1;
        let mut end = data.len();
        loop {
            let quote = memchr::memrchr(b'"', &data[..end]);
            let start = quote.map_or(0, |q| q + 1);
            if !open && let Some(newline) = memchr::memrchr(b'\n', &data[start..end]) {
                return Some(start + newline + 1);
            }
            end = quote?;
            open = !open;
        }
    }
}

/// Newlines in `data`.
pub(crate) fn count_lines(data: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', data).count() as u64
}

/// A reader that counts the bytes it gives.
pub(crate) struct Counting<R> {
    pub inner: R,
    pub count: Arc<std::sync::atomic::AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.count.fetch_add(n as u64, std::sync::atomic::Ordering::Relaxed);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunker(text: &[u8], quotes: bool) -> Chunker {
        Chunker::new(Box::new(std::io::Cursor::new(text.to_vec())), Arc::default(), quotes)
    }

    #[test]
    fn chunks_end_at_records() {
        let mut text = Vec::new();
        for i in 0..200_000 {
            text.extend_from_slice(format!("{i},\"a\nb\"\"\n\"\n").as_bytes());
        }
        let mut chunker = chunker(&text, true);
        let mut all = Vec::new();
        let mut chunks = 0;
        while let Some(chunk) = chunker.next().unwrap() {
            assert!(chunk.data.ends_with(b"\"\"\n\"\n"));
            all.extend_from_slice(&chunk.data);
            chunks += 1;
        }
        assert_eq!(all, text);
        assert!(chunks > 2);
    }

    #[test]
    fn a_record_without_end_is_cut_at_the_limit() {
        let reader = std::io::repeat(b'x');
        let mut chunker = Chunker::new(Box::new(reader), Arc::default(), true);
        let chunk = chunker.next().unwrap().unwrap();
        assert!(chunk.too_long && chunk.data.len() == MAX_RECORD + 2);
        assert!(chunker.next().unwrap().is_none());
    }
}
