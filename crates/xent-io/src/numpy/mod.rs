//! NumPy: one array (`.npy`) or a zip archive of arrays (`.npz`).
//!
//! A one-dimensional array is a column of numbers or text, a two-dimensional one a column of
//! lists. In a `.npy` file the column is named `0` or `values`; in a `.npz` file each array has
//! its name. Arrays are read at their position, except deflated ones, which are inflated in
//! order. Nothing is ever unpickled.

mod header;
mod npz;

use std::sync::Arc;

use half::f16;
use header::{Element, Header};

use crate::column::{Batch, Column, ColumnInfo, Kind};
use crate::engine::{Plan, Source, Unit, Units};
use crate::error::{Fault, printable};
use crate::guard::{damaged, guarded};
use crate::input::Blob;
use crate::number::{is_missing_word, text_of};
use crate::sample::{Cells, Sample};

/// Bytes of a unit, unless one row has more.
const UNIT_BYTES: usize = 1 << 20;

/// An array of the file and where its elements are.
#[derive(Debug, Clone)]
struct Array {
    header: Header,
    store: Store,
}

#[derive(Debug, Clone)]
enum Store {
    /// At this position of the file.
    At(Blob, u64),
    /// Deflated: the compressed bytes at this position, and their number.
    Deflated { blob: Blob, start: u64, len: u64, crc: u32 },
    /// Not readable as a column, with the reason.
    Refused(String),
}

/// An opened NumPy file.
pub(crate) struct Numpy {
    arrays: Arc<Vec<Array>>,
    columns: Vec<ColumnInfo>,
    rows: u64,
    bytes: u64,
}

impl Numpy {
    /// Opens a `.npy` file.
    pub fn open_npy(blob: Blob) -> Result<Numpy, Fault> {
        if blob.len() == 0 {
            return Err(Fault::new("is empty"));
        }
        let header = read_header(&blob, 0)?;
        let bytes = blob.len();
        let (stored, needed) = (bytes.saturating_sub(header.start), header.bytes().unwrap_or(0));
        if stored < needed {
            return Err(damaged(&format!("it ends {} bytes too early", needed - stored)));
        }
        let name = if header.width.is_some() { "values" } else { "0" };
        let columns = vec![ColumnInfo { name: name.into(), kind: kind_of(&header) }];
        let rows = header.rows;
        let start = header.start;
        let arrays = Arc::new(vec![Array { header, store: Store::At(blob, start) }]);
        Ok(Numpy { arrays, columns, rows, bytes })
    }

    /// Opens a `.npz` file.
    pub fn open_npz(blob: Blob) -> Result<Numpy, Fault> {
        if blob.len() == 0 {
            return Err(Fault::new("is empty"));
        }
        guarded(|| npz::open(blob))
    }
}

/// The header of the array that starts at `at`.
fn read_header(blob: &Blob, at: u64) -> Result<Header, Fault> {
    let io = |e: std::io::Error| Fault::io("cannot read", &e);
    let rest = blob.len().saturating_sub(at);
    let head = blob.bytes(at, rest.min(12)).map_err(io)?;
    let length = header::length(&head)? as u64;
    header::parse(&blob.bytes(at, rest.min(length)).map_err(io)?)
}

fn kind_of(header: &Header) -> Kind {
    match (header.width, header.element) {
        (width @ Some(_), _) => Kind::List { width },
        (_, Element::Float(_)) => Kind::Number,
        (_, Element::Signed(_) | Element::Unsigned(_)) => Kind::Integer,
        (_, Element::Boolean) => Kind::Boolean,
        (_, Element::Unicode(_) | Element::Ascii(_)) => Kind::Text,
    }
}

impl Source for Numpy {
    fn columns(&self) -> &[ColumnInfo] {
        &self.columns
    }

    fn rows(&self) -> Option<u64> {
        Some(self.rows)
    }

    fn sample(&self) -> Result<Sample, Fault> {
        let values: usize = self.arrays.iter().map(|a| a.header.width.unwrap_or(1)).sum();
        let rows =
            crate::arrow::sample_rows(values).min(usize::try_from(self.rows).unwrap_or(usize::MAX));
        let mut cells = Vec::new();
        for (array, info) in self.arrays.iter().zip(&self.columns) {
            cells.push(sample_cells(array, info, rows).unwrap_or(Cells::Unreadable));
        }
        Ok(Sample::from_columns(rows, cells))
    }

    fn start(self: Arc<Self>, plan: &Arc<Plan>) -> Result<Box<dyn Units>, Fault> {
        let mut readers = Vec::new();
        let mut row_bytes = 0;
        for column in plan.needed() {
            let array = &self.arrays[column];
            row_bytes += array.header.row_bytes();
            readers.push((column, Rows::new(array)?));
        }
        let rows = (UNIT_BYTES / row_bytes.max(1)).max(1) as u64;
        Ok(Box::new(NumpyUnits { file: self, plan: plan.clone(), readers, rows, next: 0 }))
    }
}

fn sample_cells(array: &Array, info: &ColumnInfo, rows: usize) -> Result<Cells, Fault> {
    let bytes = Rows::new(array)?.read(&array.header, 0, rows)?.load(&array.header)?;
    let cut = |(_, fault): (usize, Fault)| fault;
    Ok(match info.kind {
        Kind::List { width: Some(width) } => {
            Cells::Lists { width, values: numbers(&array.header, &bytes, &info.name).map_err(cut)? }
        }
        Kind::Number => Cells::Numbers(numbers(&array.header, &bytes, &info.name).map_err(cut)?),
        _ => Cells::Text(texts(&array.header, &bytes, &info.name).map_err(cut)?),
    })
}

/// The rows of one array, read in order.
enum Rows {
    At(Blob, u64),
    Deflated(Box<npz::Inflate>),
}

/// Some rows of one array.
enum Piece {
    /// To be read by the worker: the blob, the position of the array, first row, rows.
    At(Blob, u64, u64, usize),
    Bytes(Vec<u8>),
}

impl Rows {
    fn new(array: &Array) -> Result<Rows, Fault> {
        match &array.store {
            Store::At(blob, start) => Ok(Rows::At(blob.clone(), *start)),
            Store::Deflated { blob, start, len, crc } => {
                npz::Inflate::open(blob, *start, *len, *crc, &array.header)
            }
            Store::Refused(why) => Err(Fault::new(why.clone())),
        }
    }

    fn read(&mut self, header: &Header, first: u64, rows: usize) -> Result<Piece, Fault> {
        match self {
            Rows::At(blob, start) => Ok(Piece::At(blob.clone(), *start, first, rows)),
            Rows::Deflated(inflate) => {
                let bytes = inflate.read(rows * header.row_bytes())?;
                Ok(Piece::Bytes(bytes))
            }
        }
    }
}

impl Piece {
    /// The elements, row-major.
    fn load(&self, header: &Header) -> Result<Vec<u8>, Fault> {
        let io = |e: std::io::Error| Fault::io("cannot read", &e);
        let (blob, start, first, rows) = match self {
            Piece::Bytes(bytes) => return Ok(bytes.clone()),
            Piece::At(blob, start, first, rows) => (blob, *start, *first, *rows),
        };
        let mut bytes = vec![0; rows * header.row_bytes()];
        let width = header.width.unwrap_or(1);
        if !header.fortran || width <= 1 {
            let at = start + first * header.row_bytes() as u64;
            blob.read_exact_at(&mut bytes, at).map_err(io)?;
            return Ok(bytes);
        }
        // Column by column in the file.
        let size = header.element.size();
        let mut column = vec![0; rows * size];
        for j in 0..width {
            let at = start + (j as u64 * header.rows + first) * size as u64;
            blob.read_exact_at(&mut column, at).map_err(io)?;
            for (row, element) in column.chunks_exact(size).enumerate() {
                let to = (row * width + j) * size;
                bytes[to..to + size].copy_from_slice(element);
            }
        }
        Ok(bytes)
    }
}

struct NumpyUnits {
    file: Arc<Numpy>,
    plan: Arc<Plan>,
    /// Column index and reader of each needed array.
    readers: Vec<(usize, Rows)>,
    rows: u64,
    next: u64,
}

impl Units for NumpyUnits {
    fn next(&mut self) -> Result<Option<Box<dyn Unit>>, Fault> {
        let first = self.next;
        let rows = self.rows.min(self.file.rows - first) as usize;
        if rows == 0 {
            return Ok(None);
        }
        self.next += rows as u64;
        let mut pieces = Vec::new();
        for (column, reader) in &mut self.readers {
            let header = &self.file.arrays[*column].header;
            pieces.push((*column, reader.read(header, first, rows)?));
        }
        let position =
            u128::from(self.file.bytes) * u128::from(self.next) / u128::from(self.file.rows);
        Ok(Some(Box::new(NumpyUnit {
            file: self.file.clone(),
            plan: self.plan.clone(),
            pieces,
            loaded: Vec::new(),
            rows,
            at: 0,
            position: position as u64,
            fault: None,
        })))
    }
}

struct NumpyUnit {
    file: Arc<Numpy>,
    plan: Arc<Plan>,
    pieces: Vec<(usize, Piece)>,
    /// Column index and bytes of each piece.
    loaded: Vec<(usize, Vec<u8>)>,
    rows: usize,
    at: usize,
    position: u64,
    fault: Option<Fault>,
}

impl NumpyUnit {
    /// The columns of `rows` rows from `self.at`, or the first fault in row order.
    fn columns(&self, rows: usize) -> Result<Vec<Column>, (usize, Fault)> {
        let mut columns = Vec::new();
        let mut first: Option<(usize, Fault)> = None;
        for (i, request) in self.plan.requests.iter().enumerate() {
            let header = &self.file.arrays[request.column].header;
            let empty: &[u8] = &[];
            let bytes = self.loaded.iter().find(|(c, _)| *c == request.column);
            let bytes = bytes.map_or(empty, |(_, bytes)| bytes);
            let size = header.row_bytes();
            let bytes = &bytes[self.at * size..(self.at + rows) * size];
            let name = &self.plan.names[i];
            let width = header.width.unwrap_or(1).max(1);
            let column = match Column::empty(request.read_as) {
                Column::Numbers(_) if header.element.is_text() => {
                    parsed(header, bytes, name).map(|n| Column::Numbers(n.into()))
                }
                Column::Numbers(_) => {
                    numbers(header, bytes, name).map(|n| Column::Numbers(n.into()))
                }
                Column::Text(_) => texts(header, bytes, name)
                    .map(|t| Column::Text(t.iter().map(Option::as_deref).collect())),
                Column::Rows { .. } => numbers(header, bytes, name)
                    .map(|n| Column::Rows { width: header.width.unwrap_or(1), values: n.into() }),
            };
            match column {
                Ok(column) => columns.push(column),
                Err((element, fault)) => {
                    let row = element / width;
                    if first.as_ref().is_none_or(|(r, _)| row < *r) {
                        first = Some((row, fault));
                    }
                }
            }
        }
        first.map_or(Ok(columns), Err)
    }
}

impl Unit for NumpyUnit {
    fn fill(&mut self, batch: &mut Batch) -> Result<bool, Fault> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        for (column, piece) in self.pieces.drain(..) {
            let header = &self.file.arrays[column].header;
            let bytes = match piece {
                Piece::Bytes(bytes) => bytes,
                at @ Piece::At(..) => at.load(header)?,
            };
            self.loaded.push((column, bytes));
        }
        let mut rows = self.plan.batch_rows.min(self.rows - self.at);
        while rows > 0 {
            match self.columns(rows) {
                Ok(columns) => {
                    batch.rows = rows;
                    batch.columns = columns;
                    self.at += rows;
                    return Ok(true);
                }
                Err((0, fault)) => return Err(fault.here()),
                Err((row, fault)) => {
                    self.fault = Some(fault.here());
                    rows = row;
                }
            }
        }
        Ok(false)
    }

    fn position(&self) -> u64 {
        self.position
    }
}

type AtElement = (usize, Fault);

/// Calls `f` with the elements of `N` bytes, in little-endian order.
fn elements<const N: usize, T>(
    bytes: &[u8],
    big_endian: bool,
    f: impl Fn([u8; N]) -> T,
) -> impl Iterator<Item = T> {
    bytes.as_chunks::<N>().0.iter().map(move |element| {
        let mut element = *element;
        if big_endian {
            element.reverse();
        }
        f(element)
    })
}

/// 64-bit integers as they are; everything else fits f64.
fn integers(header: &Header, bytes: &[u8]) -> Option<Vec<i128>> {
    let big = header.big_endian;
    Some(match header.element {
        Element::Signed(1) => elements(bytes, big, |b| i8::from_le_bytes(b).into()).collect(),
        Element::Signed(2) => elements(bytes, big, |b| i16::from_le_bytes(b).into()).collect(),
        Element::Signed(4) => elements(bytes, big, |b| i32::from_le_bytes(b).into()).collect(),
        Element::Signed(_) => elements(bytes, big, |b| i64::from_le_bytes(b).into()).collect(),
        Element::Unsigned(1) => elements(bytes, big, |b| u8::from_le_bytes(b).into()).collect(),
        Element::Unsigned(2) => elements(bytes, big, |b| u16::from_le_bytes(b).into()).collect(),
        Element::Unsigned(4) => elements(bytes, big, |b| u32::from_le_bytes(b).into()).collect(),
        Element::Unsigned(_) => elements(bytes, big, |b| u64::from_le_bytes(b).into()).collect(),
        _ => return None,
    })
}

fn numbers(header: &Header, bytes: &[u8], name: &str) -> Result<Vec<f64>, AtElement> {
    let big = header.big_endian;
    Ok(match header.element {
        Element::Float(8) => elements(bytes, big, f64::from_le_bytes).collect(),
        Element::Float(4) => elements(bytes, big, |b| f32::from_le_bytes(b).into()).collect(),
        Element::Float(_) => elements(bytes, big, |b| f16::from_le_bytes(b).into()).collect(),
        Element::Boolean => bytes.iter().map(|b| f64::from(u8::from(*b != 0))).collect(),
        Element::Signed(_) | Element::Unsigned(_) => {
            let mut values = Vec::new();
            for (i, x) in integers(header, bytes).unwrap_or_default().into_iter().enumerate() {
                if (x as f64) as i128 != x {
                    let fault = Fault::new(format!(
                        "column {} is {x}, an integer that a 64-bit number cannot hold exactly",
                        printable(name)
                    ));
                    return Err((i, fault.column(name).hint("integers up to 2^53 are exact")));
                }
                values.push(x as f64);
            }
            values
        }
        Element::Unicode(_) | Element::Ascii(_) => {
            return Err((0, Fault::new(format!("column {} is text", printable(name)))));
        }
    })
}

fn parsed(header: &Header, bytes: &[u8], name: &str) -> Result<Vec<f64>, AtElement> {
    let mut values = Vec::new();
    for (i, text) in texts(header, bytes, name)?.iter().enumerate() {
        let text = text.as_deref().unwrap_or("");
        values.push(crate::number::parse(text.as_bytes()).map_err(|e| {
            let fault = Fault::new(format!("column {} {}", printable(name), e.message));
            (i, Fault { hint: e.hint, ..fault.column(name) })
        })?);
    }
    Ok(values)
}

fn texts(header: &Header, bytes: &[u8], name: &str) -> Result<Vec<Option<String>>, AtElement> {
    let size = header.element.size();
    let bad = |i| {
        let fault = Fault::new(format!("column {} is no valid text", printable(name)));
        (i, fault.column(name))
    };
    let some = |text: String| (!text.is_empty()).then_some(text);
    if let Some(integers) = integers(header, bytes) {
        return Ok(integers.iter().map(|x| Some(x.to_string())).collect());
    }
    match header.element {
        Element::Boolean => {
            Ok(bytes.iter().map(|b| Some(if *b == 0 { "false" } else { "true" }.into())).collect())
        }
        Element::Unicode(0) | Element::Ascii(0) => Ok(Vec::new()),
        Element::Unicode(_) => {
            let text = |(i, element): (usize, &[u8])| {
                let codes = elements(element, header.big_endian, u32::from_le_bytes);
                let chars: Option<String> =
                    codes.map(|c| char::from_u32(c).ok_or(())).collect::<Result<_, _>>().ok();
                chars.map(|t| some(t.trim_end_matches('\0').to_string())).ok_or_else(|| bad(i))
            };
            bytes.chunks_exact(size).enumerate().map(text).collect()
        }
        Element::Ascii(_) => {
            let text = |(i, element): (usize, &[u8])| {
                let text = std::str::from_utf8(element).map_err(|_| bad(i))?;
                Ok(some(text.trim_end_matches('\0').to_string()))
            };
            bytes.chunks_exact(size).enumerate().map(text).collect()
        }
        Element::Float(n) => {
            let values = numbers(header, bytes, name)?;
            let text = |x: f64| {
                if n == 8 || x.trunc() == x { text_of(x) } else { format!("{:?}", x as f32) }
            };
            let texts = values.into_iter().map(|x| (!x.is_nan()).then(|| text(x)));
            Ok(texts.map(|t| t.filter(|t| !is_missing_word(t.as_bytes()))).collect())
        }
        Element::Signed(_) | Element::Unsigned(_) => Ok(Vec::new()),
    }
}
