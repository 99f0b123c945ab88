//! Tables in, results out: what `xent` reads and writes, without knowing any model or loss.
//!
//! [`Table::open`] finds and opens CSV, TSV, JSON Lines, Parquet, Arrow IPC, NumPy and safetensors
//! files, several files as one table, or two tables side by side. [`Table::scan`] streams the requested columns through worker
//! threads in bounded memory and gives the results in row order, so that neither results nor
//! errors depend on the number of threads or on the size of the batches. [`out`] writes files
//! that are complete or not there.
//!
//! [`svmlight`] reads labelled sparse rows, which are no table.
//!
//! What this crate refuses to do: guess. A field is a number, missing, or an error with its
//! file, row, column and value.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod array;
mod arrow;
mod beside;
mod chunk;
mod column;
mod csv;
mod engine;
mod error;
mod find;
mod guard;
mod input;
mod json;
mod list;
mod map;
mod mapped;
mod number;
mod sample;
mod table;
mod tensor;

pub mod out;
pub mod svmlight;

pub use column::{
    Batch, Column, ColumnInfo, Dictionary, Kind, MISSING, Numbers, ReadAs, Request, TextColumn,
};
pub use error::{Error, RowError, io_text, printable, show};
pub use guard::is_decoding;
pub use mapped::{CodedTexts, Extent, Mapped, MappedCodes, Matrix, MatrixNumbers, Plain, Spill};
pub use number::{BLANK, is_blank};
pub use sample::Sample;
pub use table::{Format, OpenOptions, ScanOptions, Span, Table};
pub use tensor::{Elements, Tensor};
