//! Where the bits are lost: calibration, and the parts of a score.
//!
//! ```text
//! score = uncertainty - discrimination + miscalibration
//! ```
//!
//! For the log score: the entropy of the labels, the information that the prediction carries about
//! the label, and the divergence of what was said from what happened.
//!
//! What lives here, each in its module: the rows of a binary task, sorted ([`rows`]); isotonic regression
//! ([`isotonic`]); the parts of a score without bins and in bins ([`decomposition`], [`binned`], [`multiclass`]); calibration errors
//! by name ([`errors`], [`smooth`]); the rows of any task held in bounded memory ([`held`]) and the parts of their
//! scores ([`parts`]), as `xent score` shows them; reliability table, consistency bands and tests ([`reliability`]); recalibration ([`recalibrate`]);
//! and what a cheap repair of the predictions would win ([`repair`]).
//!
//! # One state
//!
//! Everything about a binary task stands on [`rows::BinaryRows`], the multiset of (prediction,
//! outcome, weight), eight bytes a row without weights. It is filled in any order, merged, and sorted once; what is computed
//! from the sorted rows is the same to the last bit whatever the order of the rows, the batches or the
//! threads. One class against the rest and the top label of many classes are binary tasks too
//! ([`rows::BinaryRows::add_class`], [`rows::BinaryRows::add_top_label`]).
//!
//! What this module refuses: to bin where no bins are asked for, and to correct a prediction.

use thiserror::Error;

pub mod binned;
pub mod decomposition;
pub mod errors;
pub mod held;
pub mod isotonic;
pub mod multiclass;
pub mod parts;
mod random;
pub mod recalibrate;
pub mod reliability;
pub mod repair;
pub mod rows;
pub mod smooth;
mod sort;

/// Why rows cannot be used. Nothing has been added.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// Below 0, above 1 or NaN.
    #[error(
        "row {row}: prediction {value} is not a probability; log-odds have a function of their own"
    )]
    NotProbability {
        /// The row.
        row: usize,
        /// The number.
        value: f64,
    },
    /// NaN, or an infinity where none can be.
    #[error("row {row}: {value} is not a number that can be ordered")]
    NotNumber {
        /// The row.
        row: usize,
        /// The number.
        value: f64,
    },
    /// Negative, infinite or NaN.
    #[error("row {row}: weight {value} is not a finite number of at least 0")]
    NotWeight {
        /// The row.
        row: usize,
        /// The number.
        value: f64,
    },
    /// A label that is no class.
    #[error("row {row}: label {label} is out of range for {n_classes} classes")]
    Label {
        /// The row.
        row: usize,
        /// Its label.
        label: u32,
        /// Number of classes.
        n_classes: usize,
    },
    /// Lists that belong together have different lengths.
    #[error("{what}: {given} given, {wanted} wanted")]
    Length {
        /// Which.
        what: &'static str,
        /// Its length.
        given: usize,
        /// The length that fits.
        wanted: usize,
    },
    /// There is no row of positive weight.
    #[error("there are no rows of positive weight")]
    Empty,
    /// An option outside its range.
    #[error("{name} is {value}, not {range}")]
    Option {
        /// Its name.
        name: &'static str,
        /// What is given.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
}

/// Checks that a list has the length of the others.
fn check_length(what: &'static str, given: usize, wanted: usize) -> Result<(), CalibrationError> {
    if given == wanted { Ok(()) } else { Err(CalibrationError::Length { what, given, wanted }) }
}

/// Checks weights: finite and not negative.
fn check_weights(weights: Option<&[f64]>, rows: usize) -> Result<(), CalibrationError> {
    let Some(weights) = weights else { return Ok(()) };
    check_length("weights", weights.len(), rows)?;
    match weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        Some(row) => Err(CalibrationError::NotWeight { row, value: weights[row] }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod testing;
