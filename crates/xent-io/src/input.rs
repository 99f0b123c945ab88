//! Bytes in: files, pipes and memory, compressed or not; text streams and random access.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::chunk::{Chunker, Counting};
use crate::error::Fault;
use crate::map::map;
use crate::table::Format;

/// Bytes of a pipe that a format with random access may keep in memory: 1 GiB.
const MAX_MEMORY: u64 = 1 << 30;
/// Bytes looked at to tell what a file is.
pub(crate) const PEEK: usize = 4096;

/// How a text is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// What the first bytes of a file say.
pub(crate) fn compression_of(head: &[u8]) -> Result<Compression, Fault> {
    let refused = |name: &str, tool: &str| {
        Err(Fault::new(format!("is compressed with {name}, which xent does not read"))
            .hint(format!("decompress it first: {tool}")))
    };
    match head {
        [0x1f, 0x8b, ..] => Ok(Compression::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Compression::Zstd),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => refused("bzip2", "bunzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => refused("xz", "unxz"),
        _ => Ok(Compression::None),
    }
}

/// The binary format that the first bytes belong to, if any.
pub(crate) fn magic(head: &[u8]) -> Option<Format> {
    match head {
        [b'P', b'A', b'R', b'1', ..] => Some(Format::Parquet),
        [b'A', b'R', b'R', b'O', b'W', b'1', ..] | [0xff, 0xff, 0xff, 0xff, ..] => {
            Some(Format::ArrowIpc)
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some(Format::Npy),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Some(Format::Npz),
        // The length of a JSON object, at most 100 MB. No text has four zeros.
        [_, _, _, 0..=5, 0, 0, 0, 0, b'{', ..] => Some(Format::Safetensors),
        _ => None,
    }
}

/// The fault of a second pass over a pipe.
pub(crate) fn read_twice() -> Fault {
    Fault::new("can be read only once, and was read").hint("save it to a file first")
}

/// Reads up to `n` bytes.
pub(crate) fn peek(reader: &mut impl Read, n: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.take(n as u64).read_to_end(&mut head)?;
    Ok(head)
}

type Reader = Box<dyn Read + Send>;

/// A text file that can be opened again, or a pipe that can be read once.
pub(crate) struct TextInput {
    path: Option<PathBuf>,
    compression: Compression,
    stream: Mutex<Option<Reader>>,
}

impl TextInput {
    pub fn file(path: PathBuf, compression: Compression) -> TextInput {
        TextInput { path: Some(path), compression, stream: Mutex::new(None) }
    }

    pub fn stream(reader: Reader, compression: Compression) -> TextInput {
        TextInput { path: None, compression, stream: Mutex::new(Some(reader)) }
    }

    /// Whether the input can be read only once.
    pub fn is_stream(&self) -> bool {
        self.path.is_none()
    }

    /// The text from its start.
    pub fn open(&self, quotes: bool) -> Result<Chunker, Fault> {
        let inner: Reader = match &self.path {
            Some(path) => Box::new(File::open(path).map_err(|e| Fault::io("cannot open", &e))?),
            None => {
                let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
                stream.take().ok_or_else(read_twice)?
            }
        };
        let count = Arc::new(AtomicU64::new(0));
        let counting = Counting { inner, count: count.clone() };
        Ok(Chunker::new(decompressed(counting, self.compression)?, count, quotes))
    }
}

/// The reader's text behind its compression.
pub(crate) fn decompressed(
    reader: impl Read + Send + 'static,
    compression: Compression,
) -> Result<Reader, Fault> {
    Ok(match compression {
        Compression::None => Box::new(reader),
        Compression::Gzip => {
            let buffered = io::BufReader::with_capacity(1 << 16, reader);
            Box::new(flate2::bufread::MultiGzDecoder::new(buffered))
        }
        Compression::Zstd => {
            Box::new(zstd::Decoder::new(reader).map_err(|e| Fault::io("cannot decompress", &e))?)
        }
    })
}

/// Bytes at any position: of a file, or in memory.
#[derive(Debug, Clone)]
pub(crate) enum Blob {
    File { file: Arc<File>, len: u64, spare: Spare },
    Memory(Bytes),
}

/// Buffers of bytes that were read and are no longer needed: clearing new ones takes a good part of the time of reading them.
type Spare = Arc<Mutex<Vec<Vec<u8>>>>;

/// Buffers kept at most.
const MOST_SPARE: usize = 16;
/// Bytes of a buffer that is kept, at most.
const LARGEST_SPARE: usize = 4 << 20;

/// Bytes that were read. Their memory is used again when the last view of them is dropped.
#[derive(Debug)]
struct BytesRead {
    /// As long as it has ever been.
    buffer: Vec<u8>,
    len: usize,
    spare: Spare,
}

impl AsRef<[u8]> for BytesRead {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for BytesRead {
    fn drop(&mut self) {
        if self.buffer.capacity() <= LARGEST_SPARE
            && let Ok(mut spare) = self.spare.lock()
            && spare.len() < MOST_SPARE
        {
            spare.push(std::mem::take(&mut self.buffer));
        }
    }
}

impl Blob {
    pub fn open(path: &Path) -> io::Result<Blob> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Blob::of_file(Arc::new(file), len))
    }

    /// The first `len` bytes of a file.
    pub fn of_file(file: Arc<File>, len: u64) -> Blob {
        Blob::File { file, len, spare: Spare::default() }
    }

    /// Reads a pipe to its end, up to 1 GiB.
    pub fn read(reader: impl Read) -> Result<Blob, Fault> {
        let mut bytes = Vec::new();
        reader
            .take(MAX_MEMORY + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| Fault::io("cannot read", &e))?;
        if bytes.len() as u64 > MAX_MEMORY {
            return Err(Fault::new("has more than 1 GiB, too much for a pipe in this format")
                .hint("save it to a file first, or pipe CSV or JSON Lines"));
        }
        Ok(Blob::Memory(bytes.into()))
    }

    pub fn len(&self) -> u64 {
        match self {
            Blob::File { len, .. } => *len,
            Blob::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// Fills `buf` with the bytes at `offset`.
    pub fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Blob::File { file, .. } => pread(file, buf, offset),
            Blob::Memory(bytes) => {
                let range = usize::try_from(offset)
                    .ok()
                    .and_then(|start| bytes.get(start..start.checked_add(buf.len())?));
                let range = range.ok_or(io::ErrorKind::UnexpectedEof)?;
                buf.copy_from_slice(range);
                Ok(())
            }
        }
    }

    /// `len` bytes at `offset`; an error, without allocating, if the file is too short.
    pub fn bytes(&self, offset: u64, len: u64) -> io::Result<Bytes> {
        let end = offset.checked_add(len).ok_or(io::ErrorKind::UnexpectedEof)?;
        if end > self.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match self {
            Blob::Memory(bytes) => Ok(bytes.slice(offset as usize..end as usize)),
            Blob::File { file, spare, .. } => {
                let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
                let used = spare.lock().ok().and_then(|mut spare| spare.pop());
                let mut buffer = used.unwrap_or_default();
                buffer.resize(buffer.len().max(len), 0);
                pread(file, &mut buffer[..len], offset)?;
                Ok(Bytes::from_owner(BytesRead { buffer, len, spare: spare.clone() }))
            }
        }
    }

    /// `len` bytes at `offset` without a copy; an error also if the file system cannot map.
    pub fn mapped(&self, offset: u64, len: u64) -> io::Result<Bytes> {
        match self {
            Blob::Memory(_) => self.bytes(offset, len),
            Blob::File { file, .. } => map(file, offset, len),
        }
    }

    /// A reader of the bytes from `offset` to the end.
    pub fn reader(&self, offset: u64) -> BlobReader {
        BlobReader { blob: self.clone(), at: offset }
    }

    /// The first bytes, at most `n`.
    pub fn head(&self, n: usize) -> io::Result<Bytes> {
        self.bytes(0, self.len().min(n as u64))
    }
}

#[cfg(unix)]
fn pread(file: &File, buf: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buf, offset)
}

#[cfg(windows)]
fn pread(file: &File, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buf, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                buf = &mut buf[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}

/// A sequential reader of a [`Blob`]; readers do not disturb each other.
#[derive(Debug)]
pub(crate) struct BlobReader {
    blob: Blob,
    at: u64,
}

impl Read for BlobReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.blob.len().saturating_sub(self.at);
        let n = (buf.len() as u64).min(left) as usize;
        self.blob.read_exact_at(&mut buf[..n], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl io::Seek for BlobReader {
    fn seek(&mut self, pos: io::SeekFrom) -> io::Result<u64> {
        let (base, delta) = match pos {
            io::SeekFrom::Start(at) => (at, 0),
            io::SeekFrom::End(delta) => (self.blob.len(), delta),
            io::SeekFrom::Current(delta) => (self.at, delta),
        };
        self.at = base.checked_add_signed(delta).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// A reader that gives `head` again before the rest.
pub(crate) fn rejoined(head: Vec<u8>, rest: Reader) -> Reader {
    Box::new(Cursor::new(head).chain(rest))
}
