//! Files out: complete or not there.
//!
//! [`AtomicFile`] writes beside the target and renames at the end, so that a failure, a full
//! disk or a kill leaves the old file as it was. [`RowWriter`] writes tables through it.

mod atomic;
mod rows;

pub use atomic::AtomicFile;
pub use rows::{OutColumn, OutKind, RowWriter};
