//! What Parquet and Arrow IPC share: Arrow arrays into the columns of a batch.

pub(crate) mod ipc;
pub(crate) mod parquet;
mod stored;
mod values;

use std::collections::VecDeque;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Schema};

use crate::column::{Batch, Column, ColumnInfo, Kind, ReadAs};
use crate::engine::Plan;
use crate::error::Fault;
use crate::guard::damaged;
use crate::sample::{Cells, SAMPLE_ROWS, Sample};

/// Values, roughly, in the sample of a typed format.
const SAMPLE_VALUES: usize = 1 << 17;

/// A fault at a row of an array.
type AtRow = (usize, Fault);

/// The names and kinds of a schema's columns.
pub(crate) fn columns_of(schema: &Schema) -> Result<Vec<ColumnInfo>, Fault> {
    let mut names = std::collections::HashMap::new();
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (i, field) in schema.fields().iter().enumerate() {
        let name = if field.name().is_empty() {
            format!("column {}", i + 1)
        } else {
            field.name().clone()
        };
        if let Some(first) = names.insert(name.clone(), i) {
            return Err(Fault::new(format!(
                "columns {} and {} are both named {}",
                first + 1,
                i + 1,
                crate::error::show(&name)
            ))
            .column(&name)
            .hint("give every column its own name"));
        }
        columns.push(ColumnInfo { name, kind: kind_of(field.data_type()) });
    }
    Ok(columns)
}

/// What a column of this Arrow type holds.
fn kind_of(data_type: &DataType) -> Kind {
    use DataType as D;
    match data_type {
        D::Float16 | D::Float32 | D::Float64 | D::Null => Kind::Number,
        D::Decimal32(..) | D::Decimal64(..) | D::Decimal128(..) | D::Decimal256(..) => Kind::Number,
        D::Boolean => Kind::Boolean,
        t if t.is_integer() => Kind::Integer,
        D::Utf8 | D::LargeUtf8 | D::Utf8View => Kind::Text,
        t if t.is_temporal() => Kind::Text,
        D::Dictionary(_, values) => kind_of(values),
        D::List(field) | D::LargeList(field) if is_number(field.data_type()) => {
            Kind::List { width: None }
        }
        D::FixedSizeList(field, n) if is_number(field.data_type()) => {
            Kind::List { width: usize::try_from(*n).ok() }
        }
        _ => Kind::Unsupported,
    }
}

fn is_number(data_type: &DataType) -> bool {
    matches!(kind_of(data_type), Kind::Number | Kind::Integer)
}

/// Rows in the first batches that make the sample of `columns` columns.
pub(crate) fn sample_rows(columns: usize) -> usize {
    (SAMPLE_VALUES / columns.max(1)).clamp(1, SAMPLE_ROWS)
}

/// The sample from a first batch of all columns.
pub(crate) fn sample_of(batch: &RecordBatch, columns: &[ColumnInfo]) -> Sample {
    let cells = batch.columns().iter().zip(columns).map(|(array, info)| cells_of(array, info));
    Sample::from_columns(batch.num_rows(), cells.collect())
}

fn cells_of(array: &ArrayRef, info: &ColumnInfo) -> Cells {
    let converted = match info.kind {
        Kind::Number => values::numbers(array, &info.name).map(|n| Cells::Numbers(n.to_vec())),
        Kind::Text | Kind::Integer | Kind::Boolean => values::text(array, &info.name)
            .map(|t| Cells::Text(t.iter().map(|t| t.map(String::from)).collect())),
        Kind::List { width } => {
            let width = width.or_else(|| values::first_width(array));
            values::lists(array, &info.name, width)
                .map(|(width, values)| Cells::Lists { width, values: values.to_vec() })
        }
        Kind::Unsupported => Ok(Cells::Unreadable),
    };
    converted.unwrap_or(Cells::Unreadable)
}

/// Sets the widths of list columns from a first batch.
pub(crate) fn set_widths(columns: &mut [ColumnInfo], batch: &RecordBatch) {
    for (info, array) in columns.iter_mut().zip(batch.columns()) {
        if info.kind == (Kind::List { width: None }) {
            info.kind = Kind::List { width: values::first_width(array) };
        }
    }
}

/// Record batches cut to the batches of a scan, converted as the plan asks.
///
/// The record batches hold the needed columns only, in ascending order of the file's columns.
#[derive(Default)]
pub(crate) struct Cutter {
    waiting: VecDeque<RecordBatch>,
    fault: Option<Fault>,
}

impl Cutter {
    pub fn push(&mut self, batch: RecordBatch) {
        if batch.num_rows() > 0 {
            self.waiting.push_back(batch);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.fault.is_none()
    }

    /// Fills `batch` from what was pushed; `false` if there is nothing.
    pub fn fill(&mut self, plan: &Plan, batch: &mut Batch) -> Result<bool, Fault> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let Some(front) = self.waiting.front_mut() else { return Ok(false) };
        let mut rows = front.num_rows().min(plan.batch_rows);
        let part = front.slice(0, rows);
        if rows < front.num_rows() {
            *front = front.slice(rows, front.num_rows() - rows);
        } else {
            self.waiting.pop_front();
        }
        loop {
            match convert(&part.slice(0, rows), plan) {
                Ok(columns) => {
                    batch.rows = rows;
                    batch.columns = columns;
                    return Ok(true);
                }
                Err((0, fault)) => {
                    self.waiting.clear();
                    return Err(fault.here());
                }
                // The rows before the fault come first.
                Err((row, fault)) => {
                    self.waiting.clear();
                    self.fault = Some(fault.here());
                    rows = row;
                }
            }
        }
    }
}

/// All requested columns of a record batch, or the first fault in row order.
fn convert(batch: &RecordBatch, plan: &Plan) -> Result<Vec<Column>, AtRow> {
    let needed = plan.needed();
    let mut columns = Vec::with_capacity(plan.requests.len());
    let mut first: Option<AtRow> = None;
    for (i, request) in plan.requests.iter().enumerate() {
        let place = needed.binary_search(&request.column).unwrap_or(usize::MAX);
        let Some(array) = batch.columns().get(place) else {
            return Err((0, damaged("a column is missing")));
        };
        let name = &plan.names[i];
        let column = match request.read_as {
            ReadAs::Numbers => values::numbers(array, name).map(Column::Numbers),
            ReadAs::Text => values::text(array, name).map(Column::Text),
            ReadAs::List | ReadAs::Tensor => values::lists(array, name, plan.widths[i])
                .map(|(width, values)| Column::Rows { width, values }),
        };
        match column {
            Ok(column) => columns.push(column),
            Err((row, fault)) => {
                if first.as_ref().is_none_or(|(r, _)| row < *r) {
                    first = Some((row, fault));
                }
            }
        }
    }
    first.map_or(Ok(columns), Err)
}

/// The fault of a decoder's error.
pub(crate) fn arrow_fault(error: &ArrowError) -> Fault {
    match error {
        ArrowError::IoError(_, e) => Fault::io("cannot read", e),
        other => damaged(&other.to_string()),
    }
}
