//! Parquet: row groups are units, only requested columns are read, checksums are checked.
//!
//! The decoder may panic on damaged files (the engine catches that) and trusts declared lengths;
//! [`BlobReader`] refuses reads beyond the file before anything is allocated for them.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::{Cutter, columns_of, sample_of, sample_rows, set_widths};
use crate::column::{Batch, ColumnInfo};
use crate::engine::{Plan, Source, Unit, Units};
use crate::error::Fault;
use crate::guard::{damaged, guarded};
use crate::input::{Blob, BlobReader};
use crate::sample::Sample;

/// An opened Parquet file.
pub(crate) struct ParquetFile {
    blob: Blob,
    metadata: ArrowReaderMetadata,
    columns: Vec<ColumnInfo>,
    rows: u64,
    first: Option<RecordBatch>,
}

impl ParquetFile {
    /// Opens the file and, if `sampled`, reads the first rows.
    pub fn open(blob: Blob, sampled: bool) -> Result<ParquetFile, Fault> {
        if blob.len() == 0 {
            return Err(Fault::new("is empty"));
        }
        guarded(|| {
            let metadata = ArrowReaderMetadata::load(&blob, ArrowReaderOptions::new())
                .map_err(|e| fault(&e))?;
            let mut columns = columns_of(metadata.schema())?;
            let declared = metadata.metadata().file_metadata().num_rows();
            let groups = metadata.metadata().row_groups();
            let counted: Option<i64> =
                groups.iter().try_fold(0i64, |sum, g| sum.checked_add(g.num_rows()));
            if counted != Some(declared) || groups.iter().any(|g| g.num_rows() < 0) {
                return Err(damaged(
                    "its row groups and its footer disagree on the number of rows",
                ));
            }
            let mut first = None;
            // List widths are part of what the columns are, so every file needs its first rows.
            if sampled {
                let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(
                    blob.clone(),
                    metadata.clone(),
                )
                .with_batch_size(sample_rows(columns.len()))
                .build()
                .map_err(|e| fault(&e))?;
                for batch in reader.take(1) {
                    let batch = batch.map_err(|e| super::arrow_fault(&e))?;
                    set_widths(&mut columns, &batch);
                    first = Some(batch);
                }
            }
            Ok(ParquetFile { blob, metadata, columns, rows: declared as u64, first })
        })
    }

    /// The reader's settings for a plan: text that the file stores as a dictionary is kept so.
    fn planned(&self, plan: &Plan) -> Result<ArrowReaderMetadata, ParquetError> {
        let has_dictionary = |column: usize| {
            let leaf = leaf_of(&self.metadata, column);
            let groups = self.metadata.metadata().row_groups();
            leaf.is_some_and(|leaf| {
                groups.iter().all(|g| g.column(leaf).dictionary_page_offset().is_some())
            })
        };
        let mut changed = false;
        let schema = self.metadata.schema();
        let fields: Vec<Arc<Field>> = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(i, field)| {
                let is_text = matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8);
                if is_text && plan.reads_text(i) && has_dictionary(i) {
                    changed = true;
                    let keys = Box::new(DataType::Int32);
                    let data_type = DataType::Dictionary(keys, Box::new(DataType::Utf8));
                    Arc::new(field.as_ref().clone().with_data_type(data_type))
                } else {
                    field.clone()
                }
            })
            .collect();
        if !changed {
            return Ok(self.metadata.clone());
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        let options = ArrowReaderOptions::new().with_schema(schema);
        // Where the hint is not accepted the plain reading is as good.
        ArrowReaderMetadata::try_new(self.metadata.metadata().clone(), options)
            .or_else(|_| Ok(self.metadata.clone()))
    }
}

/// The only leaf of the root column `column`.
fn leaf_of(metadata: &ArrowReaderMetadata, column: usize) -> Option<usize> {
    let schema = metadata.parquet_schema();
    (0..schema.num_columns()).find(|leaf| schema.get_column_root_idx(*leaf) == column)
}

impl Source for ParquetFile {
    fn columns(&self) -> &[ColumnInfo] {
        &self.columns
    }

    fn rows(&self) -> Option<u64> {
        Some(self.rows)
    }

    fn sample(&self) -> Result<Sample, Fault> {
        Ok(match &self.first {
            Some(batch) => guarded(|| Ok(sample_of(batch, &self.columns)))?,
            None => Sample::from_columns(0, Vec::new()),
        })
    }

    fn start(self: Arc<Self>, plan: &Arc<Plan>) -> Result<Box<dyn Units>, Fault> {
        let metadata = guarded(|| self.planned(plan).map_err(|e| fault(&e)))?;
        let needed = plan.needed();
        // A scan of no column still counts rows, by the cheapest column.
        let roots = if needed.is_empty() { vec![0] } else { needed };
        let mask = ProjectionMask::roots(metadata.parquet_schema(), roots);
        Ok(Box::new(ParquetUnits {
            file: self,
            metadata,
            mask,
            plan: plan.clone(),
            group: 0,
            first: 0,
        }))
    }
}

struct ParquetUnits {
    file: Arc<ParquetFile>,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    plan: Arc<Plan>,
    group: usize,
    /// The first row of the group.
    first: u64,
}

impl Units for ParquetUnits {
    fn next(&mut self) -> Result<Option<Box<dyn Unit>>, Fault> {
        let groups = self.metadata.metadata().row_groups();
        if self.group >= groups.len() {
            return Ok(None);
        }
        let group = self.group;
        self.group += 1;
        let first = self.first;
        self.first += u64::try_from(groups[group].num_rows()).unwrap_or(0);
        let total = groups.len() as u64;
        let position =
            (u128::from(self.file.blob.len()) * (group as u128 + 1) / u128::from(total)) as u64;
        Ok(Some(Box::new(ParquetUnit {
            blob: self.file.blob.clone(),
            metadata: self.metadata.clone(),
            mask: self.mask.clone(),
            plan: self.plan.clone(),
            group,
            reader: None,
            cutter: Cutter::default(),
            first,
            position,
        })))
    }
}

struct ParquetUnit {
    blob: Blob,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    plan: Arc<Plan>,
    group: usize,
    /// Opened by the worker, not under the lock.
    reader: Option<ParquetRecordBatchReader>,
    cutter: Cutter,
    first: u64,
    position: u64,
}

impl Unit for ParquetUnit {
    fn fill(&mut self, batch: &mut Batch) -> Result<bool, Fault> {
        loop {
            if !self.cutter.is_empty() {
                return self.cutter.fill(&self.plan, batch);
            }
            if self.reader.is_none() {
                let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
                    self.blob.clone(),
                    self.metadata.clone(),
                );
                let reader = builder
                    .with_row_groups(vec![self.group])
                    .with_projection(self.mask.clone())
                    .with_batch_size(self.plan.batch_rows)
                    .build()
                    .map_err(|e| fault(&e))?;
                self.reader = Some(reader);
            }
            let Some(reader) = &mut self.reader else { return Ok(false) };
            match reader.next() {
                Some(Ok(next)) => self.cutter.push(next),
                Some(Err(e)) => return Err(super::arrow_fault(&e)),
                None => return Ok(false),
            }
        }
    }

    fn first_row(&self) -> Option<u64> {
        Some(self.first)
    }

    fn position(&self) -> u64 {
        self.position
    }
}

fn fault(error: &ParquetError) -> Fault {
    damaged(&error.to_string())
}

impl Length for Blob {
    fn len(&self) -> u64 {
        Blob::len(self)
    }
}

impl ChunkReader for Blob {
    type T = std::io::BufReader<BlobReader>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(std::io::BufReader::new(self.reader(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.bytes(start, length as u64).map_err(ParquetError::from)
    }
}
