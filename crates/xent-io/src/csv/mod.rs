//! CSV and TSV: a parallel reader after RFC 4180, strict where leniency would change numbers.
//!
//! The file is cut into chunks at record ends (see [`crate::chunk`]); workers split the records
//! and parse only the requested fields, numbers straight from the bytes. Every record must
//! have as many fields as the header. Blank lines are skipped. Limits: a record of 32 MiB,
//! 250,000 columns.

mod fields;
mod header;
mod unit;

use std::sync::{Arc, Mutex, PoisonError};

use fields::{Broken, Splitter, skip_blank_lines};
pub(crate) use header::{empty, nul, skip_mark, too_long};
use unit::{CsvPlan, CsvUnit};

use crate::chunk::{Chunk, Chunker};
use crate::column::{Batch, ColumnInfo, ReadAs, Request};
use crate::engine::{Plan, Source, Unit, Units};
use crate::error::Fault;
use crate::input::TextInput;
use crate::sample::{Sample, TextCells};

/// The most columns in a CSV file.
pub(crate) const MAX_COLUMNS: usize = 250_000;

/// An opened CSV file or stream.
pub(crate) struct Csv {
    input: TextInput,
    header: header::Header,
    columns: Vec<ColumnInfo>,
    sample: Mutex<Option<Sample>>,
    /// The chunks of an input that can be read only once.
    stream: Mutex<Option<(Chunk, Chunker)>>,
}

impl Csv {
    /// Opens `input`; `delimiter` is the one its name promises, which `detect` may override by
    /// the header. Reads the first rows if `sampled`.
    pub fn open(
        input: TextInput,
        delimiter: u8,
        detect: bool,
        sampled: bool,
    ) -> Result<Csv, Fault> {
        let mut chunker = input.open(true)?;
        let mut first = chunker.next()?.ok_or_else(empty)?;
        let header = header::read(&first, delimiter, detect)?;
        // A long first record may not be in the header's chunk.
        while sampled
            && only_blank(&first.data[header.data_start..])
            && chunker.extend(&mut first)?
        {}
        let mut columns: Vec<ColumnInfo> = Vec::new();
        let mut sample = None;
        let cells = if sampled {
            read_sample(&first, &header)?
        } else {
            TextCells::new(header.names.len())
        };
        for (i, name) in header.names.iter().enumerate() {
            columns.push(ColumnInfo { name: name.clone(), kind: cells.kind(i) });
        }
        if sampled {
            sample = Some(Sample::from_text(cells));
        }
        let stream = input.is_stream().then_some((first, chunker));
        let (sample, stream) = (Mutex::new(sample), Mutex::new(stream));
        Ok(Csv { input, header, columns, sample, stream })
    }
}

fn only_blank(data: &[u8]) -> bool {
    data.iter().all(|b| matches!(b, b'\r' | b'\n'))
}

/// The first rows as text, up to the sample's limits or the first faulty row; a fault in the
/// very first row is returned.
fn read_sample(first: &Chunk, header: &header::Header) -> Result<TextCells, Fault> {
    let data = &first.data[..];
    let splitter = Splitter { delimiter: header.delimiter, has_quotes: true, has_returns: true };
    let mut cells = TextCells::new(header.names.len());
    let mut at = skip_blank_lines(data, header.data_start);
    while at < data.len() && !cells.is_full() {
        match splitter.record_end(data, at) {
            Ok((_, fields)) if fields == header.names.len() => {}
            // The scan reports what is wrong here, with its line.
            _ => break,
        }
        while let Ok(field) = splitter.field(data, at) {
            let content = field.content(data);
            cells.push((!content.is_empty()).then(|| String::from_utf8_lossy(&content)).as_deref());
            at = field.next;
            if field.last {
                break;
            }
        }
        at = skip_blank_lines(data, at);
    }
    if cells.rows() == 0 && at < data.len() {
        return first_fault(first, header);
    }
    Ok(cells)
}

/// What is wrong with the first record.
fn first_fault(first: &Chunk, header: &header::Header) -> Result<TextCells, Fault> {
    let plan = Plan {
        requests: vec![Request { column: 0, read_as: ReadAs::Text }],
        names: vec![header.names[0].clone()],
        widths: vec![None],
        batch_rows: 1,
        beside: None,
    };
    let plan = Arc::new(CsvPlan::new(Arc::new(plan), header.delimiter, header.names.len()));
    let mut batch = Batch { rows: 0, columns: plan.plan.empty_columns() };
    let chunk = Chunker::copy_of(first, header.data_start);
    CsvUnit::new(plan, chunk).fill(&mut batch)?;
    Ok(TextCells::new(header.names.len()))
}

impl Source for Csv {
    fn columns(&self) -> &[ColumnInfo] {
        &self.columns
    }

    fn rows(&self) -> Option<u64> {
        None
    }

    fn sample(&self) -> Result<Sample, Fault> {
        let mut sample = self.sample.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(sample.take().unwrap_or_default())
    }

    fn dialect(&self) -> Option<String> {
        self.header.dialect.clone()
    }

    fn start(self: Arc<Self>, plan: &Arc<Plan>) -> Result<Box<dyn Units>, Fault> {
        let plan = CsvPlan::new(plan.clone(), self.header.delimiter, self.header.names.len());
        let (first, chunker) = if self.input.is_stream() {
            let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
            stream.take().ok_or_else(crate::input::read_twice)?
        } else {
            let mut chunker = self.input.open(true)?;
            let first = chunker.next()?.ok_or_else(empty)?;
            (first, chunker)
        };
        // The file may have changed since it was opened.
        if header::read(&first, self.header.delimiter, false)?.names != self.header.names {
            return Err(Fault::new("was changed while it was read"));
        }
        let mut first = first;
        first.start = self.header.data_start.min(first.data.len());
        Ok(Box::new(CsvUnits { plan: Arc::new(plan), first: Some(first), chunker }))
    }
}

struct CsvUnits {
    plan: Arc<CsvPlan>,
    first: Option<Chunk>,
    chunker: Chunker,
}

impl Units for CsvUnits {
    fn next(&mut self) -> Result<Option<Box<dyn Unit>>, Fault> {
        let chunk = match self.first.take() {
            Some(chunk) => Some(chunk),
            None => self.chunker.next()?,
        };
        Ok(chunk.map(|chunk| Box::new(CsvUnit::new(self.plan.clone(), chunk)) as Box<dyn Unit>))
    }
}

/// The fault of a broken rule; `line` gives the line of a position.
pub(crate) fn broken_fault(broken: Broken, line: &impl Fn(usize) -> u64) -> Fault {
    match broken {
        Broken::StrayQuote(at) => Fault::new("a quote stands inside a field that is not quoted")
            .line(line(at))
            .hint("put the whole field in quotes and write each quote in it twice"),
        Broken::AfterQuote(at) => Fault::new("text follows a closing quote")
            .line(line(at))
            .hint("write quotes inside a quoted field twice, and no space around the quotes"),
        Broken::OpenQuote(at) => Fault::new("a quote opens here and is never closed")
            .line(line(at))
            .hint("write quotes inside a quoted field twice"),
        Broken::LoneReturn(at) => Fault::new("a carriage return stands alone")
            .line(line(at))
            .hint("end lines with a line feed: tr '\\r' '\\n' < old.csv > new.csv"),
    }
}
