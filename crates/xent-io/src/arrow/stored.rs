//! Record batches that are stored as they are, not compressed: some of their rows are read by themselves, and columns of
//! numbers can stay where they lie.
//!
//! A file may be one record batch. Its description says where the buffers of each column are; [`Stored::read`] reads
//! those parts of them that hold the rows and columns asked for, puts them behind each other, and changes the
//! description accordingly, so that Arrow's decoder sees a small record batch, which it checks as any other. Nothing
//! is taken from mapped memory but the numbers of [`Stored::place`]. What does not fit these rules is left to the reading of whole
//! record batches, which says what is wrong with it.

use std::ops::Range;

use arrow_buffer::{Buffer, MutableBuffer};
use arrow_ipc::{Block, MessageHeader, RecordBatch, root_as_message};
use arrow_schema::{DataType, Schema};

use crate::error::Fault;
use crate::guard::damaged;
use crate::input::Blob;

/// The most bytes of a message's description, and of the rows read at a time.
const MAX_DESCRIPTION: u64 = 64 << 20;
const MAX_READ: u64 = 1 << 30;
/// Rows are read in pieces of about so many bytes, of all columns together, and so many rows.
const PIECE_BYTES: u64 = 16 << 20;
const PIECE_ROWS: Range<u64> = 1 << 12..1 << 17;
/// Bytes of a description before the message itself.
const PREFIX: usize = 8;
/// Buffers start at multiples of this.
const ALIGNMENT: u64 = 64;
/// Bytes of a node (length, nulls) and of a buffer (offset, length) in a description.
const PAIR: usize = 16;

/// A record batch as it lies in its file.
pub(super) struct Stored {
    blob: Blob,
    /// The message, without what stands before it.
    description: Vec<u8>,
    /// In the description: the number of rows, the nodes and the buffers.
    length_at: usize,
    nodes_at: usize,
    buffers_at: usize,
    /// Rows, and nulls of each node.
    nulls: Vec<u64>,
    /// Where the buffers are in the file.
    buffers: Vec<Range<u64>>,
    body: u64,
    pub rows: u64,
    columns: Vec<Column>,
}

/// A column of the schema: its first node, its first buffer, and what lies there.
struct Column {
    node: usize,
    buffer: usize,
    layout: Layout,
}

#[derive(Clone, Copy)]
enum Layout {
    /// No buffers.
    Nothing,
    /// Validity, then values of so many bits.
    Fixed(u64),
    /// Validity, then offsets of so many bytes, then text.
    Text(u64),
    /// Validity; then, of the items, validity and so many values of so many bits a row.
    Lists(u64, u64),
    /// Read as a whole only.
    Other,
}

fn layout_of(data_type: &DataType) -> Layout {
    use DataType as D;
    let bits = |data_type: &DataType| data_type.primitive_width().map(|bytes| 8 * bytes as u64);
    match data_type {
        D::Null => Layout::Nothing,
        D::Boolean => Layout::Fixed(1),
        D::Utf8 => Layout::Text(4),
        D::LargeUtf8 => Layout::Text(8),
        D::Dictionary(keys, _) => bits(keys).map_or(Layout::Other, Layout::Fixed),
        D::FixedSizeList(item, n) => match (bits(item.data_type()), u64::try_from(*n)) {
            (Some(bits), Ok(n)) => Layout::Lists(n, bits),
            _ => Layout::Other,
        },
        other => bits(other).map_or(Layout::Other, Layout::Fixed),
    }
}

/// Nodes and buffers of a column; of views, whose buffers the description counts, `views` gives the next count.
fn extent(data_type: &DataType, views: &mut impl Iterator<Item = i64>) -> Option<(usize, usize)> {
    use DataType as D;
    Some(match data_type {
        D::Null => (1, 0),
        D::Utf8 | D::LargeUtf8 | D::Binary | D::LargeBinary => (1, 3),
        D::Utf8View | D::BinaryView => (1, 2 + usize::try_from(views.next()?).ok()?),
        D::List(item) | D::LargeList(item) | D::Map(item, _) => {
            let (nodes, buffers) = extent(item.data_type(), views)?;
            (1 + nodes, 2 + buffers)
        }
        D::FixedSizeList(item, _) => {
            let (nodes, buffers) = extent(item.data_type(), views)?;
            (1 + nodes, 1 + buffers)
        }
        D::Struct(fields) => {
            let mut all = (1, 1);
            for field in fields {
                let (nodes, buffers) = extent(field.data_type(), views)?;
                all = (all.0 + nodes, all.1 + buffers);
            }
            all
        }
        D::Union(..) | D::RunEndEncoded(..) | D::ListView(_) | D::LargeListView(_) => return None,
        _ => (1, 2),
    })
}

impl Stored {
    /// The record batch of a block; `None` if it is compressed or in any way unusual.
    pub fn open(blob: &Blob, block: &Block, schema: &Schema) -> Option<Stored> {
        let offset = u64::try_from(block.offset()).ok()?;
        let description = u64::try_from(block.metaDataLength()).ok()?;
        let body = offset.checked_add(description)?;
        let end = body.checked_add(u64::try_from(block.bodyLength()).ok()?)?;
        if description > MAX_DESCRIPTION || end > blob.len() {
            return None;
        }
        let bytes = blob.bytes(offset, description).ok()?;
        if bytes.get(..4)? != [0xff; 4] {
            return None;
        }
        let description = bytes.get(PREFIX..)?.to_vec();
        let message = root_as_message(&description).ok()?;
        if message.header_type() != MessageHeader::RecordBatch {
            return None;
        }
        let batch = message.header_as_record_batch()?;
        if batch.compression().is_some() {
            return None;
        }
        let at = |part: &[u8]| part.as_ptr() as usize - description.as_ptr() as usize;
        let rows = u64::try_from(batch.length()).ok()?;
        let field = batch._tab.vtable().get(RecordBatch::VT_LENGTH);
        let length_at = batch._tab.loc() + usize::from(field);
        let (nodes, buffers) = (batch.nodes()?, batch.buffers()?);
        let (nodes_at, buffers_at) = (at(nodes.bytes()), at(buffers.bytes()));
        let nulls = nodes.iter().map(|node| u64::try_from(node.null_count()).ok());
        let nulls = nulls.collect::<Option<Vec<u64>>>()?;
        let mut places = Vec::with_capacity(buffers.len());
        for buffer in buffers {
            let start = body.checked_add(u64::try_from(buffer.offset()).ok()?)?;
            let stop = start.checked_add(u64::try_from(buffer.length()).ok()?)?;
            if stop > end {
                return None;
            }
            places.push(start..stop);
        }
        let mut views = batch.variadicBufferCounts().into_iter().flatten();
        let (mut node, mut buffer) = (0, 0);
        let mut columns = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            columns.push(Column { node, buffer, layout: layout_of(field.data_type()) });
            let (more_nodes, more_buffers) = extent(field.data_type(), &mut views)?;
            node += more_nodes;
            buffer += more_buffers;
        }
        let fits = node == nulls.len() && buffer == places.len() && (rows == 0 || field != 0);
        // The lengths of the items of lists follow from those of the lists.
        let lengths = columns.iter().all(|c| nodes.get(c.node).length() == batch.length());
        if !fits || !lengths {
            return None;
        }
        let blob = blob.clone();
        Some(Stored {
            nulls,
            buffers: places,
            rows,
            columns,
            body,
            blob,
            length_at,
            nodes_at,
            buffers_at,
            description,
        })
    }

    /// Whether rows of these columns can be read by themselves.
    pub fn can_read(&self, needed: &[usize]) -> bool {
        needed.iter().all(|&c| {
            self.columns.get(c).is_some_and(|column| !matches!(column.layout, Layout::Other))
        })
    }

    /// Rows that are read at a time.
    pub fn step(&self) -> u64 {
        let bytes: u64 = self.buffers.iter().map(|b| b.end - b.start).sum();
        let rows = PIECE_BYTES / (bytes / self.rows.max(1)).max(1);
        rows.clamp(PIECE_ROWS.start, PIECE_ROWS.end) / 64 * 64
    }

    /// Where in the file a row is, roughly.
    pub fn position(&self, row: u64) -> u64 {
        let len = self.buffers.iter().map(|b| b.end).max().unwrap_or(self.body) - self.body;
        self.body + (u128::from(len) * u128::from(row) / u128::from(self.rows.max(1))) as u64
    }

    /// The numbers of a column, or the codes of a dictionary, in the file: where, and how many bytes; of lists, their width.
    /// `None` if some are missing, or if they are not one behind the other.
    pub fn place(&self, column: usize) -> Option<(u64, u64, Option<u64>)> {
        let Column { node, buffer, layout } = *self.columns.get(column)?;
        let (buffer, nodes, width, bits) = match layout {
            Layout::Fixed(bits) => (buffer + 1, 1, None, bits),
            Layout::Lists(width, bits) => (buffer + 2, 2, Some(width), bits),
            _ => return None,
        };
        if self.nulls.get(node..node + nodes)?.iter().any(|&n| n > 0) || bits % 8 != 0 {
            return None;
        }
        let len = self.rows.checked_mul(width.unwrap_or(1))?.checked_mul(bits / 8)?;
        let place = self.buffers.get(buffer)?;
        (len <= place.end - place.start).then_some((place.start, len, width))
    }

    /// A block and its bytes that hold the rows of a range, which starts at a multiple of 64, in the needed columns; other
    /// columns are empty.
    pub fn read(&self, needed: &[usize], rows: &Range<u64>) -> Result<(Block, Buffer), Fault> {
        let mut cut = Cut { stored: self, parts: Vec::new(), len: 0, nodes: Vec::new() };
        for &column in needed {
            let Some(&Column { node, buffer, layout }) = self.columns.get(column) else {
                return Err(damaged("a column is missing"));
            };
            match layout {
                Layout::Nothing => {
                    cut.nodes.push((node, rows.end - rows.start, rows.end - rows.start));
                }
                Layout::Fixed(bits) => cut.values(node, buffer, bits, rows)?,
                Layout::Text(width) => cut.texts(node, buffer, width, rows)?,
                Layout::Lists(n, bits) => {
                    cut.validity(node, buffer, rows)?;
                    let end =
                        rows.end.checked_mul(n).ok_or_else(|| damaged("its lists are too long"))?;
                    cut.values(node + 1, buffer + 1, bits, &(rows.start * n..end))?;
                }
                Layout::Other => return Err(damaged("a column cannot be cut")),
            }
        }
        cut.finish(rows)
    }
}

/// Parts of buffers that are put behind each other.
struct Cut<'a> {
    stored: &'a Stored,
    /// The buffer, where its part begins in the new body, and what it is.
    parts: Vec<(usize, u64, Bytes)>,
    len: u64,
    /// The node, its rows and its nulls.
    nodes: Vec<(usize, u64, u64)>,
}

enum Bytes {
    InFile { at: u64, len: u64 },
    Held(Vec<u8>),
}

impl Bytes {
    fn len(&self) -> u64 {
        match self {
            Bytes::InFile { len, .. } => *len,
            Bytes::Held(bytes) => bytes.len() as u64,
        }
    }
}

impl Cut<'_> {
    fn push(&mut self, buffer: usize, bytes: Bytes) -> Result<(), Fault> {
        let at = self.len;
        self.len = (at + bytes.len()).next_multiple_of(ALIGNMENT);
        if bytes.len() > MAX_READ || self.len > MAX_READ {
            return Err(damaged("a few of its rows take more than 1 GiB"));
        }
        self.parts.push((buffer, at, bytes));
        Ok(())
    }

    /// A part of a buffer in the file.
    fn part(&self, buffer: usize, bytes: Range<u64>) -> Result<Bytes, Fault> {
        let whole = &self.stored.buffers[buffer];
        if bytes.start > bytes.end || bytes.end > whole.end - whole.start {
            return Err(damaged("a buffer is too short"));
        }
        Ok(Bytes::InFile { at: whole.start + bytes.start, len: bytes.end - bytes.start })
    }

    fn read(&self, bytes: &Bytes) -> Result<Vec<u8>, Fault> {
        Ok(match bytes {
            Bytes::InFile { at, len } => {
                if *len > MAX_READ {
                    return Err(damaged("a few of its rows take more than 1 GiB"));
                }
                let bytes = self.stored.blob.bytes(*at, *len);
                bytes.map_err(|e| Fault::io("cannot read", &e))?.to_vec()
            }
            Bytes::Held(bytes) => bytes.clone(),
        })
    }

    fn validity(&mut self, node: usize, buffer: usize, rows: &Range<u64>) -> Result<(), Fault> {
        let n = rows.end - rows.start;
        let mut nulls = 0;
        if self.stored.nulls[node] > 0 {
            let bits = self.part(buffer, rows.start / 8..rows.end.div_ceil(8))?;
            let bits = self.read(&bits)?;
            nulls = (0..n).filter(|i| bits[(i / 8) as usize] >> (i % 8) & 1 == 0).count() as u64;
            if nulls > 0 {
                self.push(buffer, Bytes::Held(bits))?;
            }
        }
        self.nodes.push((node, n, nulls));
        Ok(())
    }

    fn values(
        &mut self,
        node: usize,
        buffer: usize,
        bits: u64,
        rows: &Range<u64>,
    ) -> Result<(), Fault> {
        self.validity(node, buffer, rows)?;
        let end = rows.end.checked_mul(bits).ok_or_else(|| damaged("a column is too long"))?;
        let part = self.part(buffer + 1, rows.start * bits / 8..end.div_ceil(8))?;
        self.push(buffer + 1, part)
    }

    fn texts(
        &mut self,
        node: usize,
        buffer: usize,
        width: u64,
        rows: &Range<u64>,
    ) -> Result<(), Fault> {
        self.validity(node, buffer, rows)?;
        let part = self.part(buffer + 1, rows.start * width..(rows.end + 1) * width)?;
        let mut offsets = self.read(&part)?;
        let width = width as usize;
        let get =
            |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |all, &byte| all << 8 | u64::from(byte));
        let (first, last) = (get(&offsets[..width]), get(&offsets[offsets.len() - width..]));
        // Those before or behind what was read are damage that the decoder finds.
        for offset in offsets.chunks_exact_mut(width) {
            let moved = get(offset).wrapping_sub(first);
            offset.copy_from_slice(&moved.to_le_bytes()[..width]);
        }
        self.push(buffer + 1, Bytes::Held(offsets))?;
        let part = self.part(buffer + 2, first..last)?;
        self.push(buffer + 2, part)
    }

    /// The description with the parts in the places of the buffers, and the parts behind it.
    fn finish(self, rows: &Range<u64>) -> Result<(Block, Buffer), Fault> {
        let stored = self.stored;
        let mut description = stored.description.clone();
        let mut put = |at: usize, numbers: &[u64]| {
            for (place, x) in description[at..].chunks_exact_mut(8).zip(numbers) {
                place.copy_from_slice(&x.to_le_bytes());
            }
        };
        put(stored.length_at, &[rows.end - rows.start]);
        for buffer in 0..stored.buffers.len() {
            put(stored.buffers_at + buffer * PAIR, &[0, 0]);
        }
        for (buffer, at, bytes) in &self.parts {
            put(stored.buffers_at + buffer * PAIR, &[*at, bytes.len()]);
        }
        for (node, n, nulls) in &self.nodes {
            put(stored.nodes_at + node * PAIR, &[*n, *nulls]);
        }
        let start = (PREFIX + description.len()).next_multiple_of(ALIGNMENT as usize);
        let mut all = MutableBuffer::from_len_zeroed(start + self.len as usize);
        all[..4].copy_from_slice(&[0xff; 4]);
        all[PREFIX..PREFIX + description.len()].copy_from_slice(&description);
        for (_, at, bytes) in &self.parts {
            let place = &mut all[start + *at as usize..][..bytes.len() as usize];
            match bytes {
                Bytes::InFile { at, .. } => {
                    let read = stored.blob.read_exact_at(place, *at);
                    read.map_err(|e| Fault::io("cannot read", &e))?;
                }
                Bytes::Held(bytes) => place.copy_from_slice(bytes),
            }
        }
        Ok((Block::new(0, start as i32, self.len as i64), all.into()))
    }
}

#[cfg(test)]
#[path = "stored_tests.rs"]
mod tests;
