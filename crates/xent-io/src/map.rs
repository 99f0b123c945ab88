//! Parts of files mapped into memory: the only `unsafe` of this crate.
//!
//! A mapping saves the copy that reading makes, which for large matrices is a good part of the
//! time. Its price is what happens when somebody else changes the file meanwhile:
//!
//! - *overwritten*: the numbers read may be old, new, or (under the pen of a slow writer) a mixture;
//! - *truncated*: touching what is gone ends the process, on Unix with the signal `SIGBUS`. The
//!   file's length is looked at again just before each mapping, so that only a file that shrinks
//!   in the moment between is met so; any other is the ordinary error that it ends too early.
//!
//! Files whose tensors are not read in place are not mapped, and a pipe never is.

use std::fs::File;
use std::io;

use bytes::Bytes;
use memmap2::MmapOptions;

/// Maps `len` bytes at `offset`; an error if the file is too short, or the file system cannot map.
#[allow(unsafe_code)]
pub(crate) fn map(file: &File, offset: u64, len: u64) -> io::Result<Bytes> {
    let end = offset.checked_add(len).ok_or(io::ErrorKind::UnexpectedEof)?;
    if end > file.metadata()?.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if len == 0 {
        return Ok(Bytes::new());
    }
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut options = MmapOptions::new();
    options.offset(offset).len(len);
    // SAFETY: the mapping is private and read-only, lies inside the file (looked at above), and
    // lives as long as the `Bytes` that owns it. Nobody in this process writes to it. That no other
    // process does cannot be had from the operating system; so the bytes are only ever read as
    // plain numbers, for which every pattern of bits is a value, and nothing that decides about
    // memory (a length, an index, a text) is taken from them.
    let map = unsafe { options.map(file) }?;
    Ok(Bytes::from_owner(map))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn parts_at_any_offset_are_mapped() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
        file.write_all(&bytes).unwrap();
        for (offset, len) in [(0, 40_000), (4096, 4096), (4097, 3), (39_999, 1), (7, 0)] {
            let part = map(&file, offset, len).unwrap();
            assert_eq!(part[..], bytes[offset as usize..(offset + len) as usize]);
        }
    }

    #[test]
    fn what_is_not_in_the_file_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[0; 100]).unwrap();
        for (offset, len) in [(0, 101), (100, 1), (u64::MAX, 1), (1, u64::MAX)] {
            let error = map(&file, offset, len).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{offset} {len}");
        }
        file.set_len(50).unwrap();
        assert_eq!(map(&file, 0, 100).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
