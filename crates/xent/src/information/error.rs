//! What can be wrong with numbers that should be probabilities.

use thiserror::Error;

/// Why numbers are not a distribution or a table, with their position and value.
///
/// Positions in the fields count from 0, in the text from 1. [`hint`](Self::hint) says what to try.
///
/// ```
/// use xent::information::Distribution;
///
/// let error = Distribution::new(&[0.5, 0.4]).unwrap_err();
/// assert_eq!(error.to_string(), "the probabilities sum to 0.9, not 1");
/// assert!(error.hint().contains("normalized"));
/// ```
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum InformationError {
    /// There is no number at all.
    #[error("there are no probabilities")]
    Empty,
    /// A number is below 0, above 1 or NaN.
    #[error("probability {} is {value}, not between 0 and 1", .index + 1)]
    NotAProbability {
        /// Its position, from 0.
        index: usize,
        /// The number.
        value: f64,
    },
    /// The numbers do not sum to 1 within `1e-6`.
    #[error("the probabilities sum to {sum}, not 1")]
    SumNotOne {
        /// Their correctly rounded sum.
        sum: f64,
    },
    /// A weight is negative, infinite or NaN.
    #[error("weight {} is {value}, not a finite number of at least 0", .index + 1)]
    NotAWeight {
        /// Its position, from 0.
        index: usize,
        /// The number.
        value: f64,
    },
    /// Every weight, count or entry is 0.
    #[error("all are 0, so there is nothing to divide by")]
    AllZero,
    /// The total is above the largest f64.
    #[error("the total is larger than a 64-bit float can hold")]
    TotalOverflow,
    /// Two things that belong together have different lengths.
    #[error("{found} against {expected} outcomes")]
    LengthMismatch {
        /// The length of the first.
        expected: usize,
        /// The length of the other.
        found: usize,
    },
    /// A row of a joint table is longer or shorter than the first.
    #[error("row {} has {found} entries, the first row {expected}", .row + 1)]
    RaggedTable {
        /// The row, from 0.
        row: usize,
        /// The length of the first row.
        expected: usize,
        /// The length of this one.
        found: usize,
    },
    /// An entry of a joint table is negative, infinite or NaN.
    #[error(
        "row {}, column {} is {value}, not a finite number of at least 0", .row + 1, .column + 1
    )]
    NotAnEntry {
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
        /// The number.
        value: f64,
    },
}

impl InformationError {
    /// What to try, as a sentence fragment without a full stop.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "give at least one outcome",
            Self::NotAProbability { .. } => {
                "scores and logits become probabilities by softmax or sigmoid, percentages by \
                 dividing by 100"
            }
            Self::SumNotOne { .. } => {
                "a distribution lists every outcome; weights or counts are divided by their sum \
                 only when asked (Distribution::normalized)"
            }
            Self::NotAWeight { .. } | Self::NotAnEntry { .. } => {
                "counts, weights and probabilities are 0 or more"
            }
            Self::AllZero => "at least one must be above 0",
            Self::TotalOverflow => "divide them all by the largest first",
            Self::LengthMismatch { .. } => {
                "both must list the same outcomes in the same order, with 0 for what cannot happen"
            }
            Self::RaggedTable { .. } => "every row must have an entry for every column",
        }
    }
}
