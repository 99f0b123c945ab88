//! Files of arrays: NumPy's, one (`.npy`) or a zip archive (`.npz`), and safetensors.
//!
//! A one-dimensional array is a column of numbers or text, a two-dimensional one a column of
//! lists. In a `.npy` file the column is named `0` or `values`; elsewhere each array has its name.
//! Arrays are read at their position, except deflated ones, which are inflated in order. A matrix
//! of little-endian floats that is asked for as a tensor is not read but mapped: in C order the
//! rows of a unit, in Fortran order the whole array. Nothing is ever unpickled.

mod npy;
mod npz;
mod safetensors;
mod values;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use npy::{Element, Header};
use values::{numbers, parsed, texts};

use crate::column::{Batch, Column, ColumnInfo, Kind, ReadAs};
use crate::engine::{Plan, Source, Unit, Units};
use crate::error::{Fault, printable};
use crate::guard::{damaged, guarded};
use crate::input::Blob;
use crate::mapped::{Matrix, MatrixNumbers, MatrixType};
use crate::sample::{Cells, Sample};
use crate::tensor::{Float, Tensor};

/// Bytes of a unit, unless one row has more.
const UNIT_BYTES: usize = 1 << 20;
/// Bytes of each column in a unit of a mapped array in Fortran order, at least: a page.
const COLUMN_RUN: usize = 4096;

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
pub(crate) struct ArrayFile {
    arrays: Arc<Vec<Array>>,
    columns: Vec<ColumnInfo>,
    rows: u64,
    bytes: u64,
}

impl ArrayFile {
    /// Opens a `.npy` file.
    pub fn open_npy(blob: Blob) -> Result<ArrayFile, Fault> {
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
        Ok(ArrayFile { arrays, columns, rows, bytes })
    }

    /// Opens a `.npz` file.
    pub fn open_npz(blob: Blob) -> Result<ArrayFile, Fault> {
        if blob.len() == 0 {
            return Err(Fault::new("is empty"));
        }
        guarded(|| npz::open(blob))
    }

    /// Opens a `.safetensors` file.
    pub fn open_safetensors(blob: Blob) -> Result<ArrayFile, Fault> {
        if blob.len() == 0 {
            return Err(Fault::new("is empty"));
        }
        safetensors::open(blob)
    }
}

/// The arrays of a table, all with the same number of rows.
struct Table {
    /// What the file calls an array.
    called: &'static str,
    arrays: Vec<Array>,
    columns: Vec<ColumnInfo>,
    /// The array that sets the number of rows.
    first: Option<(String, u64)>,
}

impl Table {
    fn new(called: &'static str) -> Table {
        Table { called, arrays: Vec::new(), columns: Vec::new(), first: None }
    }

    /// Adds an array, or a column that cannot be read, with the reason.
    fn push(&mut self, name: String, array: Result<Array, Fault>) -> Result<(), Fault> {
        let (called, shown) = (self.called, printable(&name));
        let array = match array {
            Ok(array) => array,
            Err(fault) => {
                let why = format!("{called} {shown} {}", fault.message);
                self.columns.push(ColumnInfo { name, kind: Kind::Unsupported });
                self.arrays.push(Array { header: nothing(), store: Store::Refused(why) });
                return Ok(());
            }
        };
        let rows = array.header.rows;
        let (first_name, first_rows) = self.first.get_or_insert((name.clone(), rows));
        if *first_rows != rows {
            return Err(Fault::new(format!(
                "{called} {shown} has {rows} rows, {called} {} has {first_rows}",
                printable(first_name)
            ))
            .column(&name)
            .hint(format!("all {called}s of a table need the same first dimension")));
        }
        self.columns.push(ColumnInfo { name, kind: kind_of(&array.header) });
        self.arrays.push(array);
        Ok(())
    }

    /// The opened file; at least one array must be readable.
    fn finish(self, bytes: u64) -> Result<ArrayFile, Fault> {
        let Some((_, rows)) = self.first else {
            let why = self.arrays.iter().find_map(|array| match &array.store {
                Store::Refused(why) => Some(why.clone()),
                _ => None,
            });
            return Err(Fault::new(why.unwrap_or_else(|| format!("holds no {}s", self.called))));
        };
        Ok(ArrayFile { arrays: Arc::new(self.arrays), columns: self.columns, rows, bytes })
    }
}

/// The header of an array that is not read.
fn nothing() -> Header {
    let element = Element::Float(8);
    Header { element, big_endian: false, fortran: false, rows: 0, width: None, start: 0 }
}

/// The header of the array that starts at `at`.
fn read_header(blob: &Blob, at: u64) -> Result<Header, Fault> {
    let io = |e: io::Error| unreadable(&e);
    let rest = blob.len().saturating_sub(at);
    let head = blob.bytes(at, rest.min(12)).map_err(io)?;
    let length = npy::length(&head)? as u64;
    npy::parse(&blob.bytes(at, rest.min(length)).map_err(io)?)
}

fn kind_of(header: &Header) -> Kind {
    match (header.width, header.element) {
        (width @ Some(_), _) => Kind::List { width },
        (_, Element::Float(_) | Element::Brain) => Kind::Number,
        (_, Element::Signed(_) | Element::Unsigned(_)) => Kind::Integer,
        (_, Element::Boolean) => Kind::Boolean,
        (_, Element::Unicode(_) | Element::Ascii(_)) => Kind::Text,
    }
}

impl Source for ArrayFile {
    fn columns(&self) -> &[ColumnInfo] {
        &self.columns
    }

    fn rows(&self) -> Option<u64> {
        Some(self.rows)
    }

    fn refusal(&self, column: usize) -> Option<&str> {
        match &self.arrays[column].store {
            Store::Refused(why) => Some(why),
            _ => None,
        }
    }

    fn matrix(&self, column: usize) -> Result<Option<Matrix>, Fault> {
        let Array { header, store } = &self.arrays[column];
        let of = match header.element {
            Element::Unsigned(1) => MatrixType::U8,
            Element::Signed(1) => MatrixType::I8,
            Element::Signed(4) => MatrixType::I32,
            Element::Float(4) => MatrixType::F32,
            Element::Float(8) => MatrixType::F64,
            _ => return Ok(None),
        };
        let (Store::At(blob, start), false, Some(bytes)) =
            (store, header.big_endian, header.bytes())
        else {
            return Ok(None);
        };
        let numbers = MatrixNumbers::map(blob, of, *start, bytes).map_err(|e| unreadable(&e))?;
        let (rows, width) = (header.rows as usize, header.width.unwrap_or(1));
        let (row_stride, column_stride) = if header.fortran { (1, rows) } else { (width, 1) };
        Ok(numbers.map(|numbers| Matrix { numbers, rows, width, row_stride, column_stride }))
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
        let mut readers: Vec<(usize, Way)> = Vec::new();
        let mut row_bytes = 0;
        let mut run = 1;
        for request in &plan.requests {
            let array = &self.arrays[request.column];
            let in_place =
                if request.read_as == ReadAs::Tensor { InPlace::open(array)? } else { None };
            let is_in_place = in_place.is_some();
            if readers.iter().any(|(c, way)| *c == request.column && way.is(is_in_place)) {
                continue;
            }
            row_bytes += array.header.row_bytes();
            readers.push(match in_place {
                Some(place) => {
                    if matches!(place.bytes, Place::Whole(_)) {
                        run = run.max(COLUMN_RUN / place.float.size());
                    }
                    (request.column, Way::InPlace(place))
                }
                None => (request.column, Way::Read(Rows::new(array)?)),
            });
        }
        let rows = (UNIT_BYTES / row_bytes.max(1)).max(run) as u64;
        Ok(Box::new(ArraysUnits { file: self, plan: plan.clone(), readers, rows, next: 0 }))
    }
}

/// A matrix of floats that lies in the file as it lies in memory.
struct InPlace {
    float: Float,
    width: usize,
    bytes: Place,
}

enum Place {
    /// Row after row from this position of the file: each unit maps its rows.
    Window(Blob, u64),
    /// Column after column: the whole array, mapped.
    Whole(Bytes),
}

impl InPlace {
    /// `None` if the array must be converted or inflated, or the file system cannot map it.
    fn open(array: &Array) -> Result<Option<InPlace>, Fault> {
        let header = &array.header;
        let (Some(float), Some(width @ 1..), false, Store::At(blob, start)) =
            (float_of(header), header.width, header.big_endian, &array.store)
        else {
            return Ok(None);
        };
        let bytes = if header.fortran && width > 1 {
            match blob.mapped(*start, header.bytes().unwrap_or(u64::MAX)) {
                Ok(bytes) => Place::Whole(bytes),
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(unreadable(&e)),
                Err(_) => return Ok(None),
            }
        } else {
            Place::Window(blob.clone(), *start)
        };
        Ok(Some(InPlace { float, width, bytes }))
    }

    /// Some rows, to be mapped by the worker.
    fn piece(&self, header: &Header, first: u64, rows: usize) -> InPlace {
        let bytes = match &self.bytes {
            Place::Window(blob, start) => {
                Place::Window(blob.clone(), start + first * header.row_bytes() as u64)
            }
            Place::Whole(bytes) => {
                Place::Whole(bytes.slice(bytes.len().min(first as usize * self.float.size())..))
            }
        };
        debug_assert!(first + rows as u64 <= header.rows);
        InPlace { bytes, ..*self }
    }

    /// The tensor of `rows` rows from here.
    fn load(&self, header: &Header, rows: usize) -> Result<Tensor, Fault> {
        let (float, width) = (self.float, self.width);
        match &self.bytes {
            Place::Window(blob, start) => {
                let len = (rows * header.row_bytes()) as u64;
                let bytes = match blob.mapped(*start, len) {
                    Err(e) if e.kind() != io::ErrorKind::UnexpectedEof => blob.bytes(*start, len),
                    bytes => bytes,
                };
                let bytes = bytes.map_err(|e| unreadable(&e))?;
                Ok(Tensor::new(bytes, float, rows, width, width, 1))
            }
            Place::Whole(bytes) => {
                let stride = header.rows as usize;
                Ok(Tensor::new(bytes.clone(), float, rows, width, 1, stride))
            }
        }
    }
}

/// The type of floats that a tensor may hold.
fn float_of(header: &Header) -> Option<Float> {
    Some(match header.element {
        Element::Float(8) => Float::F64,
        Element::Float(4) => Float::F32,
        Element::Float(_) => Float::F16,
        Element::Brain => Float::Bf16,
        _ => return None,
    })
}

/// Rows that could not be taken as they are, in the same type: a result must not depend on how an
/// array is stored.
fn copied(header: &Header, bytes: &[u8], rows: usize) -> Option<Tensor> {
    let (float, width) = (float_of(header)?, header.width?);
    let mut bytes = bytes.to_vec();
    if header.big_endian {
        bytes.chunks_exact_mut(float.size()).for_each(<[u8]>::reverse);
    }
    Some(Tensor::new(bytes.into(), float, rows, width, width, 1))
}

fn unreadable(error: &io::Error) -> Fault {
    Fault::io("cannot read", error)
}

fn sample_cells(array: &Array, info: &ColumnInfo, rows: usize) -> Result<Cells, Fault> {
    let piece = Rows::new(array)?.read(&array.header, 0, rows)?;
    let Loaded::Bytes(bytes) = piece.load(&array.header, rows)? else {
        return Ok(Cells::Unreadable);
    };
    let cut = |(_, fault): (usize, Fault)| fault;
    Ok(match info.kind {
        Kind::List { width: Some(width) } => {
            Cells::Lists { width, values: numbers(&array.header, &bytes, &info.name).map_err(cut)? }
        }
        Kind::Number => Cells::Numbers(numbers(&array.header, &bytes, &info.name).map_err(cut)?),
        _ => Cells::Text(texts(&array.header, &bytes, &info.name).map_err(cut)?),
    })
}

/// How an array is read.
enum Way {
    Read(Rows),
    InPlace(InPlace),
}

impl Way {
    fn is(&self, in_place: bool) -> bool {
        matches!(self, Way::InPlace(_)) == in_place
    }
}

/// The rows of one array, read in order.
enum Rows {
    At(Blob, u64),
    Deflated(Box<npz::Inflate>),
}

/// Some rows of one array.
enum Piece {
    /// To be read by the worker: the blob, the position of the array, the first row.
    At(Blob, u64, u64),
    Bytes(Vec<u8>),
    InPlace(InPlace),
}

/// The elements of a [`Piece`].
enum Loaded {
    /// Row-major.
    Bytes(Vec<u8>),
    Tensor(Tensor),
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
            Rows::At(blob, start) => Ok(Piece::At(blob.clone(), *start, first)),
            Rows::Deflated(inflate) => {
                let bytes = inflate.read(rows * header.row_bytes())?;
                Ok(Piece::Bytes(bytes))
            }
        }
    }
}

impl Piece {
    fn load(self, header: &Header, rows: usize) -> Result<Loaded, Fault> {
        match self {
            Piece::Bytes(bytes) => Ok(Loaded::Bytes(bytes)),
            Piece::InPlace(place) => place.load(header, rows).map(Loaded::Tensor),
            Piece::At(blob, start, first) => {
                let bytes = row_major(&blob, start, header, first, rows);
                bytes.map(Loaded::Bytes).map_err(|e| unreadable(&e))
            }
        }
    }
}

/// Some rows of the array at `start`, row-major.
fn row_major(
    blob: &Blob,
    start: u64,
    header: &Header,
    first: u64,
    rows: usize,
) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; rows * header.row_bytes()];
    let width = header.width.unwrap_or(1);
    if !header.fortran || width <= 1 {
        blob.read_exact_at(&mut bytes, start + first * header.row_bytes() as u64)?;
        return Ok(bytes);
    }
    // Column by column in the file.
    let size = header.element.size();
    let mut column = vec![0; rows * size];
    for j in 0..width {
        let at = start + (j as u64 * header.rows + first) * size as u64;
        blob.read_exact_at(&mut column, at)?;
        for (row, element) in column.chunks_exact(size).enumerate() {
            let to = (row * width + j) * size;
            bytes[to..to + size].copy_from_slice(element);
        }
    }
    Ok(bytes)
}

struct ArraysUnits {
    file: Arc<ArrayFile>,
    plan: Arc<Plan>,
    /// Column index and reader of each needed array.
    readers: Vec<(usize, Way)>,
    rows: u64,
    next: u64,
}

impl Units for ArraysUnits {
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
            let piece = match reader {
                Way::Read(reader) => reader.read(header, first, rows)?,
                Way::InPlace(place) => Piece::InPlace(place.piece(header, first, rows)),
            };
            pieces.push((*column, piece));
        }
        let position =
            u128::from(self.file.bytes) * u128::from(self.next) / u128::from(self.file.rows);
        Ok(Some(Box::new(ArraysUnit {
            file: self.file.clone(),
            plan: self.plan.clone(),
            pieces,
            loaded: Vec::new(),
            first,
            rows,
            at: 0,
            position: position as u64,
            fault: None,
        })))
    }
}

struct ArraysUnit {
    file: Arc<ArrayFile>,
    plan: Arc<Plan>,
    pieces: Vec<(usize, Piece)>,
    /// Column index and elements of each piece.
    loaded: Vec<(usize, Loaded)>,
    first: u64,
    rows: usize,
    at: usize,
    position: u64,
    fault: Option<Fault>,
}

impl ArraysUnit {
    /// The columns of `rows` rows from `self.at`, or the first fault in row order.
    fn columns(&self, rows: usize) -> Result<Vec<Column>, (usize, Fault)> {
        let mut columns = Vec::new();
        let mut first: Option<(usize, Fault)> = None;
        for (i, request) in self.plan.requests.iter().enumerate() {
            let header = &self.file.arrays[request.column].header;
            let of_column = |wanted: fn(&Loaded) -> bool| {
                let mut loaded = self.loaded.iter();
                loaded.find(|(c, l)| *c == request.column && wanted(l)).map(|(_, l)| l)
            };
            if request.read_as == ReadAs::Tensor
                && let Some(Loaded::Tensor(tensor)) = of_column(|l| matches!(l, Loaded::Tensor(_)))
            {
                columns.push(Column::Tensor(tensor.slice(self.at, rows)));
                continue;
            }
            let bytes: &[u8] = match of_column(|l| matches!(l, Loaded::Bytes(_))) {
                Some(Loaded::Bytes(bytes)) => bytes,
                _ => &[],
            };
            let size = header.row_bytes();
            let bytes = &bytes[self.at * size..(self.at + rows) * size];
            let name = &self.plan.names[i];
            if request.read_as == ReadAs::Tensor
                && let Some(tensor) = copied(header, bytes, rows)
            {
                columns.push(Column::Tensor(tensor));
                continue;
            }
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
                Column::Rows { .. } | Column::Tensor(_) => numbers(header, bytes, name)
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

impl Unit for ArraysUnit {
    fn fill(&mut self, batch: &mut Batch) -> Result<bool, Fault> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        for (column, piece) in self.pieces.drain(..) {
            let header = &self.file.arrays[column].header;
            self.loaded.push((column, piece.load(header, self.rows)?));
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

    fn first_row(&self) -> Option<u64> {
        Some(self.first)
    }
}
