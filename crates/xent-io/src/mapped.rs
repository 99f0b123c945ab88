//! Numbers that stay in a file: columns that lie there already, and columns too large for the memory.
//!
//! What is mapped is the file's own memory: the system reads it when it is looked at, and takes it back when it needs
//! room. A [`Spill`] is a temporary file without a name for columns of which a table has too many; it goes when it is
//! dropped, or the process ends.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_buffer::{ArrowNativeType, MutableBuffer, ScalarBuffer, ToByteSlice};
use bytes::Bytes;

use crate::column::TextColumn;
use crate::error::Error;
use crate::input::Blob;
use crate::map::map;

/// Where an array starts in a spill: any type may.
const ALIGNMENT: u64 = 64;

/// The types of numbers that can be mapped: `u8`, `i8`, `u16`, `u32`, `i32`, `u64`, `f32`, `f64`.
pub trait Plain: ArrowNativeType {}

impl Plain for u8 {}
impl Plain for i8 {}
impl Plain for u16 {}
impl Plain for u32 {}
impl Plain for i32 {}
impl Plain for u64 {}
impl Plain for f32 {}
impl Plain for f64 {}

/// Numbers of one type in a file's memory.
#[derive(Debug, Clone)]
pub struct Mapped<T: Plain>(ScalarBuffer<T>);

impl<T: Plain> Mapped<T> {
    /// The `len` bytes at `start` of a file; `None` where they cannot be taken as they lie there.
    fn of_file(blob: &Blob, start: u64, len: u64) -> io::Result<Option<Self>> {
        match blob.mapped(start, len) {
            Err(e) if e.kind() != io::ErrorKind::UnexpectedEof => Ok(None),
            bytes => Ok(Self::new(&bytes?)),
        }
    }

    /// `None` if the bytes do not lie where such numbers may, or are not of this machine's order.
    fn new(bytes: &Bytes) -> Option<Self> {
        let size = size_of::<T>();
        let is_aligned = cfg!(target_endian = "little")
            && (bytes.as_ptr() as usize).is_multiple_of(align_of::<T>());
        let whole = ..bytes.len() / size * size;
        is_aligned.then(|| Self(arrow_buffer::Buffer::from(bytes.slice(whole)).into()))
    }
}

impl<T: Plain> Deref for Mapped<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

/// A matrix of numbers where it lies in its file: the number in row `i` and column `j` is element
/// `i * row_stride + j * column_stride`.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// All of it, in its own type.
    pub numbers: MatrixNumbers,
    /// Rows.
    pub rows: usize,
    /// Numbers in each row.
    pub width: usize,
    /// Elements from one row to the next.
    pub row_stride: usize,
    /// Elements from one column to the next.
    pub column_stride: usize,
}

/// The numbers of a [`Matrix`].
#[derive(Debug, Clone)]
pub enum MatrixNumbers {
    /// Whole numbers from 0 to 255.
    U8(Mapped<u8>),
    /// Whole numbers from -128 to 127.
    I8(Mapped<i8>),
    /// Whole numbers of 32 bits.
    I32(Mapped<i32>),
    /// 32-bit floats.
    F32(Mapped<f32>),
    /// 64-bit floats.
    F64(Mapped<f64>),
}

/// A column of texts where it lies in its file: of each row the place of its text among the distinct ones.
#[derive(Debug, Clone)]
pub struct CodedTexts {
    /// One a row; not looked at: some may be beyond the texts.
    pub codes: MappedCodes,
    /// The distinct texts, some of which may be missing, equal, or of no row.
    pub texts: TextColumn,
}

/// The codes of [`CodedTexts`].
#[derive(Debug, Clone)]
pub enum MappedCodes {
    /// One byte each.
    U8(Mapped<u8>),
    /// Two bytes each.
    U16(Mapped<u16>),
    /// Four bytes each.
    U32(Mapped<u32>),
}

impl MappedCodes {
    /// Codes of so many bytes each, `len` bytes at `start` of a file; `None` where they cannot be taken as they lie there.
    pub(crate) fn map(blob: &Blob, width: usize, start: u64, len: u64) -> io::Result<Option<Self>> {
        Ok(match width {
            1 => Mapped::of_file(blob, start, len)?.map(Self::U8),
            2 => Mapped::of_file(blob, start, len)?.map(Self::U16),
            4 => Mapped::of_file(blob, start, len)?.map(Self::U32),
            _ => None,
        })
    }
}

/// The type of a matrix that can stay in its file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MatrixType {
    U8,
    I8,
    I32,
    F32,
    F64,
}

impl MatrixNumbers {
    /// The `len` bytes at `start` of a file; `None` where they cannot be taken as they lie there.
    pub(crate) fn map(
        blob: &Blob,
        of: MatrixType,
        start: u64,
        len: u64,
    ) -> io::Result<Option<Self>> {
        Ok(match of {
            MatrixType::U8 => Mapped::of_file(blob, start, len)?.map(Self::U8),
            MatrixType::I8 => Mapped::of_file(blob, start, len)?.map(Self::I8),
            MatrixType::I32 => Mapped::of_file(blob, start, len)?.map(Self::I32),
            MatrixType::F32 => Mapped::of_file(blob, start, len)?.map(Self::F32),
            MatrixType::F64 => Mapped::of_file(blob, start, len)?.map(Self::F64),
        })
    }
}

/// A part of a [`Spill`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    at: u64,
    bytes: u64,
}

/// A temporary file for numbers: written at its end, read and mapped anywhere before.
#[derive(Debug)]
pub struct Spill {
    writer: BufWriter<Arc<File>>,
    file: Arc<File>,
    directory: PathBuf,
    end: u64,
}

impl Spill {
    /// Makes the file in `TMPDIR` or, if that is not set, in `/var/tmp` where there is one: unlike `/tmp`, which
    /// is memory on many systems, that is a disk.
    ///
    /// # Errors
    ///
    /// If the directory does not take a file; the text names it.
    pub fn create() -> Result<Self, Error> {
        let disk = PathBuf::from("/var/tmp");
        let directory = if std::env::var_os("TMPDIR").is_none() && cfg!(unix) && disk.is_dir() {
            disk
        } else {
            std::env::temp_dir()
        };
        let file = tempfile::tempfile_in(&directory);
        let file =
            Arc::new(file.map_err(|e| failed(&directory, "cannot write a temporary file", &e))?);
        let writer = BufWriter::with_capacity(1 << 20, file.clone());
        Ok(Self { writer, file, directory, end: 0 })
    }

    /// Starts an array, which the calls of [`Spill::push`] that follow write.
    ///
    /// # Errors
    ///
    /// If the disk is full.
    pub fn begin(&mut self) -> Result<Extent, Error> {
        let gap = self.end.next_multiple_of(ALIGNMENT) - self.end;
        self.write(&[0; ALIGNMENT as usize][..gap as usize])?;
        Ok(Extent { at: self.end, bytes: 0 })
    }

    /// Appends numbers to the array that was begun last.
    ///
    /// # Errors
    ///
    /// If the disk is full.
    pub fn push<T: Plain>(&mut self, extent: &mut Extent, numbers: &[T]) -> Result<(), Error> {
        debug_assert_eq!(
            extent.at + extent.bytes,
            self.end,
            "arrays are written one after the other"
        );
        self.write(numbers.to_byte_slice())?;
        extent.bytes = self.end - extent.at;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.writer.write_all(bytes).map_err(|e| failed(&self.directory, WRITE, &e))?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.writer.flush().map_err(|e| failed(&self.directory, WRITE, &e))
    }

    /// Reads an array.
    ///
    /// # Errors
    ///
    /// If the disk is full, or does not give back what was written.
    pub fn read<T: Plain>(&mut self, extent: Extent) -> Result<Mapped<T>, Error> {
        self.flush()?;
        let blob = Blob::of_file(self.file.clone(), self.end);
        let mut buffer = MutableBuffer::from_len_zeroed(extent.bytes as usize);
        let read = blob.read_exact_at(&mut buffer, extent.at);
        read.map_err(|e| failed(&self.directory, "cannot read a temporary file", &e))?;
        Ok(Mapped(ScalarBuffer::from(arrow_buffer::Buffer::from(buffer))))
    }

    /// Maps an array, which may not be written to any more.
    ///
    /// # Errors
    ///
    /// If the disk is full, or the file system cannot map.
    pub fn map<T: Plain>(&mut self, extent: Extent) -> Result<Mapped<T>, Error> {
        self.flush()?;
        let bytes = map(&self.file, extent.at, extent.bytes)
            .map_err(|e| failed(&self.directory, "cannot map a temporary file", &e))?;
        match Mapped::new(&bytes) {
            Some(mapped) => Ok(mapped),
            // Of a machine that orders bytes otherwise, or an empty array.
            None => self.read(extent),
        }
    }
}

const WRITE: &str = "cannot write a temporary file";

fn failed(directory: &std::path::Path, doing: &str, error: &io::Error) -> Error {
    Error::io(directory, doing, error)
        .with_hint("name a directory on a disk with enough room: TMPDIR=/path xent ...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_come_back_read_and_mapped() {
        let mut spill = Spill::create().unwrap();
        let bytes: Vec<u8> = (0..1000_u32).map(|i| i as u8).collect();
        let numbers: Vec<f64> = (0..100_000).map(|i| f64::from(i) * 0.1).collect();
        let mut first = spill.begin().unwrap();
        spill.push(&mut first, &bytes).unwrap();
        let mut second = spill.begin().unwrap();
        for part in numbers.chunks(777) {
            spill.push(&mut second, part).unwrap();
        }
        let nothing = spill.begin().unwrap();
        assert_eq!(spill.map::<u8>(first).unwrap()[..], bytes);
        assert_eq!(spill.read::<u8>(first).unwrap()[..], bytes);
        let mapped = spill.map::<f64>(second).unwrap();
        assert_eq!(mapped[..], numbers);
        assert_eq!(spill.read::<f64>(second).unwrap()[..], numbers);
        assert!(spill.map::<f64>(nothing).unwrap().is_empty());
        // What is mapped outlives the file's owner, and what is written behind it.
        let mut third = spill.begin().unwrap();
        spill.push(&mut third, &[1_i32, -2]).unwrap();
        assert_eq!(spill.map::<i32>(third).unwrap()[..], [1, -2]);
        drop(spill);
        assert_eq!(mapped[..], numbers);
    }
}
