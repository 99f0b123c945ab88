//! Arrow IPC: files (Feather version 2) and streams.
//!
//! In a file, each record batch is a unit, read at its position by a worker; of one that is not compressed and has many rows,
//! some rows at a time are a unit. A stream is decoded in order. Lengths that the file declares are compared with the file, or with a limit, before
//! anything is allocated for them; decompressed lengths have the same limit.

use std::collections::VecDeque;
use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_buffer::Buffer;
use arrow_ipc::reader::{FileDecoder, StreamDecoder, read_footer_length};
use arrow_ipc::{Block, Message, root_as_footer, root_as_message};
use arrow_schema::{DataType, SchemaRef};

use super::stored::Stored;
use super::{Cutter, arrow_fault, columns_of, sample_of, sample_rows, set_widths, values};
use crate::column::{Batch, ColumnInfo};
use crate::engine::{Plan, Source, Unit, Units};
use crate::error::Fault;
use crate::guard::{damaged, guarded};
use crate::input::Blob;
use crate::mapped::{CodedTexts, MappedCodes, Matrix, MatrixNumbers, MatrixType};
use crate::sample::Sample;

/// The most bytes of one message, as stored and decompressed: 1 GiB.
const MAX_MESSAGE: u64 = 1 << 30;
/// The most bytes of a message's description.
const MAX_METADATA: u64 = 64 << 20;
const MAGIC: &[u8] = b"ARROW1";
const CONTINUATION: [u8; 4] = [0xff; 4];

/// An opened Arrow IPC file or stream in a file.
pub(crate) struct IpcFile {
    blob: Blob,
    schema: SchemaRef,
    columns: Vec<ColumnInfo>,
    layout: Layout,
    first: Mutex<Option<RecordBatch>>,
    only: OnceLock<Option<Stored>>,
}

enum Layout {
    File { version: arrow_ipc::MetadataVersion, blocks: Arc<Vec<Block>>, dictionaries: Vec<Block> },
    Stream,
}

impl IpcFile {
    /// Opens the file and, if `sampled`, reads the first rows.
    pub fn open(blob: Blob, sampled: bool) -> Result<IpcFile, Fault> {
        if blob.len() == 0 {
            return Err(Fault::new("is empty"));
        }
        guarded(|| {
            let head = blob.head(MAGIC.len()).map_err(|e| Fault::io("cannot read", &e))?;
            let mut file = if &head[..] == MAGIC { open_file(blob)? } else { open_stream(blob)? };
            if sampled {
                let all: Vec<usize> = (0..file.columns.len()).collect();
                let first = file.first_batch(&all)?;
                if let Some(batch) = &first {
                    set_widths(&mut file.columns, batch);
                }
                file.first = Mutex::new(first);
            }
            Ok(file)
        })
    }

    /// The first rows, of the columns `needed`.
    fn first_batch(&self, needed: &[usize]) -> Result<Option<RecordBatch>, Fault> {
        let rows = sample_rows(self.columns.len());
        match &self.layout {
            Layout::File { blocks, .. } => {
                let decoder = self.decoder(needed)?;
                for block in blocks.iter() {
                    if let Some(stored) = self.stored(block, needed) {
                        if stored.rows == 0 {
                            continue;
                        }
                        let rows = 0..stored.rows.min(rows as u64);
                        let (block, bytes) = stored.read(needed, &rows)?;
                        let batch = decoder.read_record_batch(&block, &bytes);
                        return batch.map_err(|e| arrow_fault(&e));
                    }
                    if let Some(batch) = read_block(&self.blob, &decoder, block)?
                        && batch.num_rows() > 0
                    {
                        return Ok(Some(batch.slice(0, batch.num_rows().min(rows))));
                    }
                }
            }
            Layout::Stream => {
                let mut stream = Messages::new(Box::new(self.blob.reader(0)));
                while let Some(batch) = stream.next()? {
                    if batch.num_rows() > 0 {
                        return Ok(Some(batch.slice(0, batch.num_rows().min(rows))));
                    }
                }
            }
        }
        Ok(None)
    }

    /// A record batch of whose needed columns some rows can be read by themselves.
    fn stored(&self, block: &Block, needed: &[usize]) -> Option<Stored> {
        Stored::open(&self.blob, block, &self.schema).filter(|stored| stored.can_read(needed))
    }

    /// The only record batch of a file, if it is not compressed.
    pub(super) fn only(&self) -> Option<&Stored> {
        let open = || match &self.layout {
            Layout::File { blocks, .. } if blocks.len() == 1 => {
                Stored::open(&self.blob, &blocks[0], &self.schema)
            }
            _ => None,
        };
        self.only.get_or_init(open).as_ref().filter(|stored| stored.rows > 0)
    }

    /// A decoder of the columns `needed`, with the file's dictionaries.
    pub(super) fn decoder(&self, needed: &[usize]) -> Result<FileDecoder, Fault> {
        let Layout::File { version, dictionaries, .. } = &self.layout else {
            return Err(damaged("this is no file"));
        };
        let mut decoder = FileDecoder::new(self.schema.clone(), *version);
        for block in dictionaries {
            let buffer = block_bytes(&self.blob, block)?;
            decoder.read_dictionary(block, &buffer).map_err(|e| arrow_fault(&e))?;
        }
        Ok(decoder.with_projection(needed.to_vec()))
    }
}

fn open_file(blob: Blob) -> Result<IpcFile, Fault> {
    let io = |e: std::io::Error| Fault::io("cannot read", &e);
    let len = blob.len();
    let mut tail = [0; 10];
    let tail_at = len.checked_sub(10).ok_or_else(|| damaged("it is too short"))?;
    blob.read_exact_at(&mut tail, tail_at).map_err(io)?;
    let footer_len = read_footer_length(tail).map_err(|e| arrow_fault(&e))? as u64;
    let footer_at = tail_at
        .checked_sub(footer_len)
        .filter(|_| footer_len <= MAX_METADATA)
        .ok_or_else(|| damaged("its footer is longer than the file"))?;
    let footer = blob.bytes(footer_at, footer_len).map_err(io)?;
    let footer = root_as_footer(&footer).map_err(|e| damaged(&e.to_string()))?;
    let schema = footer.schema().ok_or_else(|| damaged("it has no schema"))?;
    if !schema.endianness().equals_to_target_endianness() {
        return Err(other_byte_order());
    }
    let schema =
        Arc::new(arrow_ipc::convert::try_fb_to_schema(schema).map_err(|e| arrow_fault(&e))?);
    let blocks: Vec<Block> =
        footer.recordBatches().map(|b| b.iter().copied().collect()).unwrap_or_default();
    let dictionaries: Vec<Block> =
        footer.dictionaries().map(|b| b.iter().copied().collect()).unwrap_or_default();
    let columns = columns_of(&schema)?;
    let layout = Layout::File { version: footer.version(), blocks: Arc::new(blocks), dictionaries };
    let (first, only) = (Mutex::new(None), OnceLock::new());
    Ok(IpcFile { blob, schema, columns, layout, first, only })
}

fn open_stream(blob: Blob) -> Result<IpcFile, Fault> {
    let mut stream = Messages::new(Box::new(blob.reader(0)));
    let schema = stream.schema()?;
    let columns = columns_of(&schema)?;
    let (first, only) = (Mutex::new(None), OnceLock::new());
    Ok(IpcFile { blob, schema, columns, layout: Layout::Stream, first, only })
}

/// The bytes of a block, if they are inside the file and not too many.
fn block_bytes(blob: &Blob, block: &Block) -> Result<Buffer, Fault> {
    let offset = u64::try_from(block.offset()).ok();
    let metadata = u64::try_from(block.metaDataLength()).ok();
    let body = u64::try_from(block.bodyLength()).ok();
    let (Some(offset), Some(metadata), Some(body)) = (offset, metadata, body) else {
        return Err(damaged("a block has a negative length"));
    };
    if body > MAX_MESSAGE || metadata > MAX_METADATA {
        return Err(too_large());
    }
    let bytes = blob
        .bytes(offset, metadata + body)
        .map_err(|_| damaged("a block reaches beyond the end of the file"))?;
    let head = bytes.get(..4).ok_or_else(|| damaged("a block is too short"))?;
    let start = if head == CONTINUATION { 8 } else { 4 };
    let description = bytes
        .get(start..metadata as usize)
        .ok_or_else(|| damaged("a block's description is too short"))?;
    check_message(description, bytes.get(metadata as usize..).unwrap_or_default())?;
    Ok(Buffer::from(bytes))
}

fn other_byte_order() -> Fault {
    Fault::new("was written with the other byte order")
        .hint("write it again on this kind of machine")
}

fn too_large() -> Fault {
    Fault::new("has a record batch of more than 1 GiB")
        .hint("write smaller record batches, for example with max_chunksize=65536 in pyarrow")
}

/// Refuses a message whose buffers would decompress to more than the limit.
fn check_message(description: &[u8], body: &[u8]) -> Result<(), Fault> {
    let message = root_as_message(description).map_err(|e| damaged(&e.to_string()))?;
    let batch = match message.header_type() {
        arrow_ipc::MessageHeader::RecordBatch => message.header_as_record_batch(),
        arrow_ipc::MessageHeader::DictionaryBatch => {
            message.header_as_dictionary_batch().and_then(|d| d.data())
        }
        _ => None,
    };
    let Some(batch) = batch else { return Ok(()) };
    if batch.compression().is_none() {
        return Ok(());
    }
    let mut total = 0u64;
    for buffer in batch.buffers().into_iter().flatten() {
        if buffer.length() < 8 {
            continue;
        }
        let start = usize::try_from(buffer.offset()).unwrap_or(usize::MAX);
        let prefix = start.checked_add(8).and_then(|end| body.get(start..end));
        let Some(Ok(prefix)) = prefix.map(<[u8; 8]>::try_from) else {
            return Err(damaged("a buffer reaches beyond its block"));
        };
        total = total.saturating_add(u64::try_from(i64::from_le_bytes(prefix)).unwrap_or(0));
    }
    if total > MAX_MESSAGE { Err(too_large()) } else { Ok(()) }
}

fn read_block(
    blob: &Blob,
    decoder: &FileDecoder,
    block: &Block,
) -> Result<Option<RecordBatch>, Fault> {
    let buffer = block_bytes(blob, block)?;
    decoder.read_record_batch(block, &buffer).map_err(|e| arrow_fault(&e))
}

/// The messages of a stream, decoded in order.
struct Messages {
    reader: Box<dyn Read + Send>,
    decoder: StreamDecoder,
    ready: VecDeque<RecordBatch>,
    position: u64,
    done: bool,
}

impl Messages {
    fn new(reader: Box<dyn Read + Send>) -> Messages {
        let (decoder, ready) = (StreamDecoder::new(), VecDeque::new());
        Messages { reader, decoder, ready, position: 0, done: false }
    }

    /// The schema, which must come first.
    fn schema(&mut self) -> Result<SchemaRef, Fault> {
        let none = || damaged("it does not start with a schema");
        let [_, description, _] = self.message()?.ok_or_else(none)?;
        let message = root_as_message(&description).map_err(|e| damaged(&e.to_string()))?;
        let schema = message.header_as_schema().ok_or_else(none)?;
        if !schema.endianness().equals_to_target_endianness() {
            return Err(other_byte_order());
        }
        let schema = arrow_ipc::convert::try_fb_to_schema(schema).map_err(|e| arrow_fault(&e))?;
        Ok(Arc::new(schema))
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, Fault> {
        while self.ready.is_empty() && !self.done {
            match self.message()? {
                Some(parts) => parts.into_iter().try_for_each(|part| self.decode(part))?,
                None => {
                    self.done = true;
                    // The decoder finishes a message without a body only when more comes.
                    self.decode(vec![0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])?;
                }
            }
        }
        Ok(self.ready.pop_front())
    }

    fn decode(&mut self, bytes: Vec<u8>) -> Result<(), Fault> {
        let mut buffer = Buffer::from_vec(bytes);
        while !buffer.is_empty() {
            let batch = self.decoder.decode(&mut buffer).map_err(|e| arrow_fault(&e))?;
            self.ready.extend(batch);
        }
        Ok(())
    }

    /// Prefix, description and body of the next message, checked; `None` at the end.
    fn message(&mut self) -> Result<Option<[Vec<u8>; 3]>, Fault> {
        let cut = || damaged("the stream ends inside a message");
        let mut prefix = self.read(4)?;
        if prefix.is_empty() {
            return Ok(None);
        }
        if prefix == CONTINUATION {
            prefix.extend_from_slice(&self.read(4)?);
        }
        let size: [u8; 4] =
            prefix.last_chunk::<4>().copied().filter(|_| prefix.len() % 4 == 0).ok_or_else(cut)?;
        let size = u64::from(u32::from_le_bytes(size));
        if size == 0 {
            return Ok(None);
        }
        if size > MAX_METADATA {
            return Err(damaged("a message's description is too long"));
        }
        let description = self.read(size)?;
        if description.len() as u64 != size {
            return Err(cut());
        }
        let message = root_as_message(&description).map_err(|e| damaged(&e.to_string()))?;
        let length = body_length(&message)?;
        let body = self.read(length)?;
        if body.len() as u64 != length {
            return Err(cut());
        }
        check_message(&description, &body)?;
        Ok(Some([prefix, description, body]))
    }

    /// Up to `len` bytes; memory grows with what is read.
    fn read(&mut self, len: u64) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        self.reader
            .by_ref()
            .take(len)
            .read_to_end(&mut bytes)
            .map_err(|e| Fault::io("cannot read", &e))?;
        self.position += bytes.len() as u64;
        Ok(bytes)
    }
}

fn body_length(message: &Message<'_>) -> Result<u64, Fault> {
    match u64::try_from(message.bodyLength()) {
        Ok(length) if length <= MAX_MESSAGE => Ok(length),
        Ok(_) => Err(too_large()),
        Err(_) => Err(damaged("a message has a negative length")),
    }
}

impl Source for IpcFile {
    fn columns(&self) -> &[ColumnInfo] {
        &self.columns
    }

    fn rows(&self) -> Option<u64> {
        None
    }

    fn sample(&self) -> Result<Sample, Fault> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(match first {
            Some(batch) => guarded(|| Ok(sample_of(&batch, &self.columns)))?,
            None => Sample::default(),
        })
    }

    fn matrix(&self, column: usize) -> Result<Option<Matrix>, Fault> {
        let Some(stored) = self.only() else { return Ok(None) };
        let item = match self.schema.field(column).data_type() {
            DataType::FixedSizeList(item, _) => item.data_type(),
            other => other,
        };
        let of = match item {
            DataType::UInt8 => MatrixType::U8,
            DataType::Int8 => MatrixType::I8,
            DataType::Int32 => MatrixType::I32,
            DataType::Float32 => MatrixType::F32,
            DataType::Float64 => MatrixType::F64,
            _ => return Ok(None),
        };
        let Some((start, len, width)) = stored.place(column) else { return Ok(None) };
        let (rows, width) = (stored.rows as usize, width.unwrap_or(1) as usize);
        let numbers = MatrixNumbers::map(&self.blob, of, start, len)
            .map_err(|e| Fault::io("cannot read", &e))?;
        let (row_stride, column_stride) = (width, 1);
        Ok(numbers.map(|numbers| Matrix { numbers, rows, width, row_stride, column_stride }))
    }

    fn coded_texts(&self, column: usize) -> Result<Option<CodedTexts>, Fault> {
        let Some(stored) = self.only() else { return Ok(None) };
        let DataType::Dictionary(keys, texts) = self.schema.field(column).data_type() else {
            return Ok(None);
        };
        let is_text = matches!(**texts, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let Some((start, len, None)) = stored.place(column).filter(|_| is_text) else {
            return Ok(None);
        };
        let width = keys.primitive_width().unwrap_or(0);
        let codes = MappedCodes::map(&self.blob, width, start, len)
            .map_err(|e| Fault::io("cannot read", &e))?;
        let Some(codes) = codes else { return Ok(None) };
        let texts = guarded(|| {
            let (block, bytes) = stored.read(&[column], &(0..1))?;
            let batch = self.decoder(&[column])?.read_record_batch(&block, &bytes);
            let batch = batch.map_err(|e| arrow_fault(&e))?;
            let batch = batch.ok_or_else(|| damaged("a record batch is missing"))?;
            let dictionary = batch.column(0).as_any_dictionary();
            values::text(dictionary.values(), "").map_err(|(_, fault)| fault)
        })?;
        Ok(Some(CodedTexts { codes, texts }))
    }

    fn start(self: Arc<Self>, plan: &Arc<Plan>) -> Result<Box<dyn Units>, Fault> {
        guarded(|| {
            let needed = plan.needed();
            let plan = plan.clone();
            Ok(match &self.layout {
                Layout::File { blocks, .. } => {
                    let decoder = Arc::new(self.decoder(&needed)?);
                    let blocks = blocks.clone();
                    let (file, next, open) = (self.clone(), 0, None);
                    Box::new(FileUnits {
                        file,
                        decoder,
                        blocks,
                        needed: needed.into(),
                        plan,
                        next,
                        open,
                    }) as Box<dyn Units>
                }
                Layout::Stream => {
                    let messages = Messages::new(Box::new(self.blob.reader(0)));
                    Box::new(StreamUnits { messages, needed, plan })
                }
            })
        })
    }
}

struct FileUnits {
    file: Arc<IpcFile>,
    decoder: Arc<FileDecoder>,
    blocks: Arc<Vec<Block>>,
    needed: Arc<[usize]>,
    plan: Arc<Plan>,
    next: usize,
    /// A record batch that is read in pieces, and the first row of the next.
    open: Option<(Arc<Stored>, u64)>,
}

/// What a worker reads.
enum Piece {
    Whole(Blob, Block),
    Rows(Arc<Stored>, Arc<[usize]>, Range<u64>),
}

impl FileUnits {
    fn unit(&self, piece: Piece, position: u64) -> Box<dyn Unit> {
        let piece = Some((piece, self.decoder.clone()));
        Box::new(IpcUnit { piece, cutter: Cutter::default(), plan: self.plan.clone(), position })
    }
}

impl Units for FileUnits {
    fn next(&mut self) -> Result<Option<Box<dyn Unit>>, Fault> {
        loop {
            if let Some((stored, first)) = self.open.take()
                && first < stored.rows
            {
                let end = stored.rows.min(first + stored.step());
                let position = stored.position(end);
                self.open = Some((stored.clone(), end));
                let piece = Piece::Rows(stored, self.needed.clone(), first..end);
                return Ok(Some(self.unit(piece, position)));
            }
            let Some(block) = self.blocks.get(self.next).copied() else { return Ok(None) };
            self.next += 1;
            match self.file.stored(&block, &self.needed) {
                Some(stored) => self.open = Some((Arc::new(stored), 0)),
                None => {
                    let position = u64::try_from(block.offset()).unwrap_or(0);
                    let piece = Piece::Whole(self.file.blob.clone(), block);
                    return Ok(Some(self.unit(piece, position)));
                }
            }
        }
    }
}

struct StreamUnits {
    messages: Messages,
    needed: Vec<usize>,
    plan: Arc<Plan>,
}

impl Units for StreamUnits {
    fn next(&mut self) -> Result<Option<Box<dyn Unit>>, Fault> {
        let Some(batch) = self.messages.next()? else { return Ok(None) };
        let mut cutter = Cutter::default();
        cutter.push(batch.project(&self.needed).map_err(|e| arrow_fault(&e))?);
        let position = self.messages.position;
        Ok(Some(Box::new(IpcUnit { piece: None, cutter, plan: self.plan.clone(), position })))
    }
}

struct IpcUnit {
    /// What is still to be read, by the worker.
    piece: Option<(Piece, Arc<FileDecoder>)>,
    cutter: Cutter,
    plan: Arc<Plan>,
    position: u64,
}

impl Unit for IpcUnit {
    fn fill(&mut self, batch: &mut Batch) -> Result<bool, Fault> {
        if let Some((piece, decoder)) = self.piece.take() {
            let batch = match piece {
                Piece::Whole(blob, block) => read_block(&blob, &decoder, &block)?,
                Piece::Rows(stored, needed, rows) => {
                    let (block, bytes) = stored.read(&needed, &rows)?;
                    decoder.read_record_batch(&block, &bytes).map_err(|e| arrow_fault(&e))?
                }
            };
            batch.into_iter().for_each(|batch| self.cutter.push(batch));
        }
        self.cutter.fill(&self.plan, batch)
    }

    fn position(&self) -> u64 {
        self.position
    }
}
