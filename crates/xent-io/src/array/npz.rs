//! The archive around the arrays of a `.npz` file.

use std::io::Read;

use flate2::Crc;
use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use super::npy::{self, Header};
use super::{Array, ArrayFile, Rows, Store, Table};
use crate::error::{Fault, printable, show};
use crate::guard::damaged;
use crate::input::{Blob, BlobReader};

/// A deflated array in Fortran order is inflated in memory up to this size.
const MAX_FORTRAN: u64 = 128 << 20;

pub(super) fn open(blob: Blob) -> Result<ArrayFile, Fault> {
    let mut archive = ZipArchive::new(blob.reader(0)).map_err(|e| damaged(&e.to_string()))?;
    let mut table = Table::new("array");
    for i in 0..archive.len() {
        let entry = archive.by_index_raw(i).map_err(|e| damaged(&e.to_string()))?;
        let name = entry.name().map_err(|e| damaged(&e.to_string()))?.into_owned();
        let Some(name) = name.strip_suffix(".npy").map(String::from) else { continue };
        let shown = printable(&name);
        if table.columns.iter().any(|c| c.name == name) {
            return Err(damaged(&format!("two arrays are named {}", show(&name))));
        }
        if entry.encrypted() {
            return Err(Fault::new(format!("array {shown} is encrypted")));
        }
        let start = entry.data_start().ok_or_else(|| damaged("an array has no position"))?;
        let len = entry.compressed_size();
        if start.checked_add(len).is_none_or(|end| end > blob.len()) {
            return Err(damaged(&format!("array {shown} reaches beyond the end of the file")));
        }
        let method = entry.compression();
        let crc = entry.crc32();
        drop(entry);
        let array = match method {
            CompressionMethod::Stored => stored(&blob, start, len),
            CompressionMethod::Deflated => deflated(&blob, start, len, crc),
            other => Err(Fault::new(format!("is compressed by {other}"))),
        };
        table.push(name, array)?;
    }
    table.finish(blob.len())
}

fn stored(blob: &Blob, start: u64, len: u64) -> Result<Array, Fault> {
    let head = blob.bytes(start, len.min(12)).map_err(|e| Fault::io("cannot read", &e))?;
    let length = npy::length(&head)? as u64;
    let head = blob.bytes(start, len.min(length)).map_err(|e| Fault::io("cannot read", &e))?;
    let header = npy::parse(&head)?;
    if header.bytes().is_none_or(|bytes| bytes > len - header.start.min(len)) {
        return Err(damaged("it ends too early"));
    }
    let at = start + header.start;
    Ok(Array { header, store: Store::At(blob.clone(), at) })
}

fn deflated(blob: &Blob, start: u64, len: u64, crc: u32) -> Result<Array, Fault> {
    let failed = |e: std::io::Error| Fault::io("cannot inflate", &e);
    let mut reader = inflater(blob, start, len);
    let mut head = Vec::new();
    reader.by_ref().take(12).read_to_end(&mut head).map_err(failed)?;
    let length = npy::length(&head)?;
    let rest = length.saturating_sub(head.len()) as u64;
    reader.take(rest).read_to_end(&mut head).map_err(failed)?;
    let header = npy::parse(&head)?;
    if !header.fortran || header.width.is_none_or(|w| w <= 1) {
        let store = Store::Deflated { blob: blob.clone(), start, len, crc };
        return Ok(Array { header, store });
    }
    if header.bytes().is_none_or(|bytes| bytes > MAX_FORTRAN) {
        return Err(Fault::new("is large, compressed and in Fortran order")
            .hint("save it with np.ascontiguousarray, or without compression"));
    }
    let mut bytes = Vec::new();
    inflater(blob, start, len)
        .take(MAX_FORTRAN + (1 << 20))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let size = bytes.len() as u64;
    stored(&Blob::Memory(bytes.into()), 0, size)
}

fn inflater(blob: &Blob, start: u64, len: u64) -> DeflateDecoder<std::io::Take<BlobReader>> {
    DeflateDecoder::new(blob.reader(start).take(len))
}

/// An array being inflated, with the checksum so far.
pub(super) struct Inflate {
    reader: DeflateDecoder<std::io::Take<BlobReader>>,
    crc: Crc,
    expected: u32,
    left: u64,
}

impl Inflate {
    /// Starts behind the array's header.
    pub fn open(
        blob: &Blob,
        start: u64,
        len: u64,
        crc: u32,
        header: &Header,
    ) -> Result<Rows, Fault> {
        let left = header.bytes().unwrap_or(0);
        let reader = inflater(blob, start, len);
        let mut inflate = Inflate { reader, crc: Crc::new(), expected: crc, left: u64::MAX };
        inflate.read(header.start as usize)?;
        inflate.left = left;
        Ok(Rows::Deflated(Box::new(inflate)))
    }

    /// The next `n` bytes; behind the last ones the checksum is compared.
    pub fn read(&mut self, n: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        self.reader
            .by_ref()
            .take(n as u64)
            .read_to_end(&mut bytes)
            .map_err(|e| damaged(&e.to_string()))?;
        if bytes.len() < n {
            return Err(damaged("an array ends too early"));
        }
        self.crc.update(&bytes);
        self.left = self.left.saturating_sub(n as u64);
        if self.left == 0 && self.crc.sum() != self.expected {
            return Err(damaged("an array's checksum is wrong"));
        }
        Ok(bytes)
    }
}
