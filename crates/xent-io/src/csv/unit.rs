//! Decoding a chunk of CSV: the hot loop.

use std::sync::Arc;

use super::fields::{Broken, Field, Splitter, skip_blank_lines};
use super::{broken_fault, nul, too_long};
use crate::chunk::{Chunk, count_lines};
use crate::column::{Batch, Column, ReadAs};
use crate::engine::{Plan, Unit};
use crate::error::{Fault, printable};
use crate::number;

/// A requested column, and which requests it serves.
#[derive(Debug)]
struct Want {
    column: usize,
    requests: Vec<usize>,
    /// Read as numbers, for one request: the fast path.
    only_numbers: bool,
}

/// How to read the records of a file for a scan.
#[derive(Debug)]
pub(crate) struct CsvPlan {
    pub plan: Arc<Plan>,
    delimiter: u8,
    fields: usize,
    wants: Vec<Want>,
}

impl CsvPlan {
    pub fn new(plan: Arc<Plan>, delimiter: u8, fields: usize) -> CsvPlan {
        let wants = plan
            .needed()
            .into_iter()
            .map(|column| {
                let requests: Vec<usize> = (0..plan.requests.len())
                    .filter(|i| plan.requests[*i].column == column)
                    .collect();
                let only_numbers =
                    requests.len() == 1 && plan.requests[requests[0]].read_as == ReadAs::Numbers;
                Want { column, requests, only_numbers }
            })
            .collect();
        CsvPlan { plan, delimiter, fields, wants }
    }
}

/// A chunk being decoded.
pub(crate) struct CsvUnit {
    plan: Arc<CsvPlan>,
    chunk: Chunk,
    splitter: Splitter,
    at: usize,
    /// Where the batch last filled starts.
    batch_start: usize,
    nul: usize,
    fault: Option<Fault>,
}

impl CsvUnit {
    pub fn new(plan: Arc<CsvPlan>, chunk: Chunk) -> CsvUnit {
        let splitter = Splitter::new(plan.delimiter, &chunk.data);
        let nul = memchr::memchr(0, &chunk.data).unwrap_or(usize::MAX);
        let at = chunk.start;
        CsvUnit { plan, chunk, splitter, at, batch_start: at, nul, fault: None }
    }

    /// Reads the record at `start` into `columns`; where the next one starts.
    #[inline]
    fn record(
        &self,
        start: usize,
        columns: &mut [Column],
        is_long: &mut bool,
    ) -> Result<usize, Fault> {
        let data = &self.chunk.data[..];
        let delimiter = self.plan.delimiter;
        let mut at = start;
        let mut column = 0;
        let mut last = false;
        for want in &self.plan.wants {
            while column < want.column {
                if last {
                    return Err(self.refuse(start, None));
                }
                let field = self.splitter.field(data, at).map_err(|b| self.broken(b))?;
                (at, last) = (field.next, field.last);
                column += 1;
            }
            if last {
                return Err(self.refuse(start, None));
            }
            column += 1;
            if want.only_numbers
                && let Column::Numbers(numbers) = &mut columns[want.requests[0]]
                && let Some((x, len)) = number::start(&data[at..], is_long)
            {
                let end = at + len;
                let byte = data[end];
                if byte == delimiter {
                    numbers.owned().push(x);
                    at = end + 1;
                    continue;
                }
                let returns = usize::from(byte == b'\r');
                if data.get(end + returns) == Some(&b'\n') {
                    numbers.owned().push(x);
                    (at, last) = (end + returns + 1, true);
                    continue;
                }
            }
            let field = self.splitter.field(data, at).map_err(|b| self.broken(b))?;
            (at, last) = (field.next, field.last);
            for &request in &want.requests {
                self.read(&field, request, &mut columns[request])
                    .map_err(|fault| self.refuse(start, Some(fault)))?;
            }
        }
        while !last {
            let field = self.splitter.field(data, at).map_err(|b| self.broken(b))?;
            (at, last) = (field.next, field.last);
            column += 1;
        }
        if column != self.plan.fields || at > self.nul {
            return Err(self.refuse(start, None));
        }
        Ok(at)
    }

    /// Reads one field for one request.
    fn read(&self, field: &Field, request: usize, column: &mut Column) -> Result<(), Fault> {
        let name = &self.plan.plan.names[request];
        let content = field.content(&self.chunk.data);
        match column {
            Column::Numbers(numbers) => {
                let x = number::parse(&content).map_err(|e| {
                    let fault = Fault::new(format!("column {} {}", printable(name), e.message));
                    Fault { hint: e.hint, ..fault.column(name) }
                })?;
                numbers.owned().push(x);
            }
            Column::Tensor(_) => unreachable!("text is read into rows"),
            Column::Text(texts) => {
                if content.is_empty() {
                    texts.push(None);
                    return Ok(());
                }
                let text = std::str::from_utf8(&content).map_err(|e| {
                    Fault::new(format!(
                        "column {} is not UTF-8 text (byte 0x{:02X} at character {})",
                        printable(name),
                        content[e.valid_up_to()],
                        String::from_utf8_lossy(&content[..e.valid_up_to()]).chars().count() + 1
                    ))
                    .column(name)
                    .hint("save the file as UTF-8")
                })?;
                texts.push(Some(text));
            }
            Column::Rows { width, values } => {
                let want = self.plan.plan.widths[request];
                crate::list::parse_row(&content, name, want, width, values.owned())?;
            }
        }
        Ok(())
    }

    fn line(&self, at: usize) -> u64 {
        count_lines(&self.chunk.data[..at.min(self.chunk.data.len())])
    }

    fn broken(&self, broken: Broken) -> Fault {
        if self.chunk.too_long && matches!(broken, Broken::OpenQuote(_)) {
            let Broken::OpenQuote(at) = broken else { return too_long() };
            return too_long().line(self.line(at)).here();
        }
        broken_fault(broken, &|at| self.line(at)).here()
    }

    /// The fault of the record at `start`: of its structure if that is wrong, else `fault`.
    #[cold]
    fn refuse(&self, start: usize, fault: Option<Fault>) -> Fault {
        let line = self.line(start);
        let (end, fields) = match self.splitter.record_end(&self.chunk.data, start) {
            Ok(end) => end,
            Err(broken) => return self.broken(broken),
        };
        if self.nul < end {
            return nul().line(self.line(self.nul)).here();
        }
        let expected = self.plan.fields;
        if fields != expected {
            let s = if fields == 1 { "" } else { "s" };
            let fault =
                Fault::new(format!("{fields} field{s}, expected {expected} as in the header"));
            let hint = if fields > expected {
                "quote fields that contain the delimiter"
            } else {
                "every line needs a field for every column, be it empty"
            };
            return fault.line(line).here().hint(hint);
        }
        fault.unwrap_or_else(|| Fault::new("cannot be read")).line(line).here()
    }
}

impl Unit for CsvUnit {
    fn fill(&mut self, batch: &mut Batch) -> Result<bool, Fault> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        for column in &mut batch.columns {
            column.clear();
        }
        batch.rows = 0;
        let end = self.chunk.data.len();
        self.batch_start = self.at;
        let mut is_long = false;
        while batch.rows < self.plan.plan.batch_rows {
            self.at = skip_blank_lines(&self.chunk.data, self.at);
            if self.at >= end {
                break;
            }
            let record = self.record(self.at, &mut batch.columns, &mut is_long);
            // The last record of an over-long chunk is cut.
            let record = match record {
                Ok(next) if next >= end && self.chunk.too_long => {
                    Err(too_long().line(self.line(self.at)).here())
                }
                other => other,
            };
            match record {
                Ok(next) => {
                    self.at = next;
                    batch.rows += 1;
                }
                Err(fault) if batch.rows == 0 => return Err(fault),
                Err(fault) => {
                    self.fault = Some(fault);
                    batch.drop_unfinished();
                    break;
                }
            }
        }
        Ok(batch.rows > 0)
    }

    fn line_of(&self, row: usize) -> Option<u64> {
        let data = &self.chunk.data[..];
        let mut at = skip_blank_lines(data, self.batch_start);
        for _ in 0..row {
            let (next, _) = self.splitter.record_end(data, at).ok()?;
            at = skip_blank_lines(data, next);
        }
        Some(self.line(at))
    }

    fn lines(&self) -> u64 {
        count_lines(&self.chunk.data)
    }

    fn position(&self) -> u64 {
        self.chunk.position
    }
}
