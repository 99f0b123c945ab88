//! Arrays from and to `.npy` files, version 1 or 2, in C order.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};

/// Bytes decoded at a time, so that no array is in memory twice.
const PART: usize = 1 << 20;

/// A number of an array.
pub trait Number: Sized {
    /// How NumPy names it.
    const NAME: &'static str;
    /// Numbers from little-endian bytes, added to `out`.
    fn decode(bytes: &[u8], out: &mut Vec<Self>);
}

impl Number for f32 {
    const NAME: &'static str = "<f4";
    fn decode(bytes: &[u8], out: &mut Vec<Self>) {
        out.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)));
    }
}

impl Number for f64 {
    const NAME: &'static str = "<f8";
    fn decode(bytes: &[u8], out: &mut Vec<Self>) {
        out.extend(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)));
    }
}

impl Number for i64 {
    const NAME: &'static str = "<i8";
    fn decode(bytes: &[u8], out: &mut Vec<Self>) {
        out.extend(bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)));
    }
}

impl Number for i32 {
    const NAME: &'static str = "<i4";
    fn decode(bytes: &[u8], out: &mut Vec<Self>) {
        out.extend(bytes.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)));
    }
}

impl Number for u32 {
    const NAME: &'static str = "<u4";
    fn decode(bytes: &[u8], out: &mut Vec<Self>) {
        out.extend(bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)));
    }
}

impl Number for u8 {
    const NAME: &'static str = "|u1";
    fn decode(bytes: &[u8], out: &mut Vec<Self>) {
        out.extend(bytes);
    }
}

/// An opened file: its header's text, its shape, and the reader at the first number.
struct Opened {
    header: String,
    shape: Vec<usize>,
    body: BufReader<File>,
}

fn open(path: &str) -> Opened {
    let failed = |e: std::io::Error| -> ! { panic!("{path}: {e}") };
    let mut body = BufReader::with_capacity(PART, File::open(path).unwrap_or_else(|e| failed(e)));
    let mut take = |n: usize| {
        let mut bytes = vec![0; n];
        body.read_exact(&mut bytes).unwrap_or_else(|e| failed(e));
        bytes
    };
    let length = if take(8)[6] == 1 {
        usize::from(u16::from_le_bytes(take(2).try_into().expect("two bytes")))
    } else {
        u32::from_le_bytes(take(4).try_into().expect("four bytes")) as usize
    };
    let header = String::from_utf8_lossy(&take(length)).into_owned();
    assert!(header.contains("'fortran_order': False"), "{path} must be in C order");
    let shape = header.split("'shape': (").nth(1).and_then(|s| s.split(')').next()).unwrap_or("");
    let shape = shape.split(',').filter_map(|s| s.trim().parse().ok()).collect();
    Opened { header, shape, body }
}

/// What kind of numbers a file holds, as NumPy names it.
pub fn kind(path: &str) -> String {
    let header = open(path).header;
    header.split("'descr': '").nth(1).and_then(|s| s.split('\'').next()).unwrap_or("").to_owned()
}

/// The numbers of a file and their shape.
pub fn numbers<T: Number>(path: &str) -> (Vec<T>, Vec<usize>) {
    let Opened { header, shape, mut body } = open(path);
    assert!(header.contains(T::NAME), "{path} must hold {}", T::NAME);
    let length = shape.iter().product();
    let mut out = Vec::with_capacity(length);
    let mut part = vec![0; PART];
    while out.len() < length {
        let bytes = ((length - out.len()) * size_of::<T>()).min(PART);
        body.read_exact(&mut part[..bytes]).unwrap_or_else(|e| panic!("{path}: {e}"));
        T::decode(&part[..bytes], &mut out);
    }
    (out, shape)
}

/// Class numbers of a file of u8, u32 or i64.
pub fn labels(path: &str) -> Vec<u32> {
    match kind(path).as_str() {
        "<i8" => numbers::<i64>(path).0.iter().map(|&y| y as u32).collect(),
        "|u1" => numbers::<u8>(path).0.iter().map(|&y| u32::from(y)).collect(),
        _ => numbers::<u32>(path).0,
    }
}

/// Numbers of a file of i32, none negative: indices as SciPy keeps them.
pub fn places(path: &str) -> Vec<u32> {
    numbers::<i32>(path).0.iter().map(|&i| i as u32).collect()
}

/// Writes numbers as rows of so many.
pub fn write(path: &str, numbers: &[f64], width: usize) -> std::io::Result<()> {
    let rows = numbers.len() / width;
    let header =
        format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
    // Magic, version and length take ten bytes; the numbers start at a multiple of 64, after a newline.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&(length as u16).to_le_bytes())?;
    writeln!(out, "{header:<width$}", width = length - 1)?;
    for x in numbers {
        out.write_all(&x.to_le_bytes())?;
    }
    out.flush()
}
