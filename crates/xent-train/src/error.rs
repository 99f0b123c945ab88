//! What can be wrong with data or parameters.

use thiserror::Error;

/// A cell of the design matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Row, from 0.
    pub row: usize,
    /// Column of the design matrix, from 0.
    pub feature: usize,
}

/// Why nothing was fitted or predicted. Rows and features count from 0.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum Error {
    /// Blocks of a design differ in rows.
    #[error("block {block} has {rows} rows, the first has {expected}")]
    Rows {
        /// The block.
        block: usize,
        /// Its rows.
        rows: usize,
        /// Rows of the first block.
        expected: usize,
    },
    /// A code without a level, or a level without a column.
    #[error("block {block}: level {level} of {levels} levels does not exist")]
    Level {
        /// The block.
        block: usize,
        /// The row, if it is a code.
        row: Option<usize>,
        /// The level.
        level: usize,
        /// How many there are.
        levels: usize,
    },
    /// Sparse rows are not as they should be.
    #[error(
        "block {block}: sparse rows need ascending columns within the block's width, and offsets from 0 to their number"
    )]
    Sparse {
        /// The block.
        block: usize,
        /// The row, if it is one.
        row: Option<usize>,
    },
    /// A number that is NaN or infinite.
    #[error("row {}, feature {}: {value} is not a finite number", place.row, place.feature)]
    NotFinite {
        /// Where.
        place: Place,
        /// What.
        value: f64,
    },
    /// A column whose numbers do not differ.
    #[error("feature {feature} is {value} in every row")]
    Constant {
        /// The column.
        feature: usize,
        /// Its number.
        value: f64,
    },
    /// A column whose spread overflows or is lost.
    #[error("feature {feature} goes from {least} to {greatest}, too far to be standardised")]
    Range {
        /// The column.
        feature: usize,
        /// Least number.
        least: f64,
        /// Greatest number.
        greatest: f64,
    },
    /// A sparse column that is far from 0: it is not centred, and digits would be lost.
    #[error(
        "feature {feature} is {mean} on average, with a standard deviation of only {spread}: sparse features are not centred, and at this distance from 0 digits are lost"
    )]
    Far {
        /// The column.
        feature: usize,
        /// Its weighted mean.
        mean: f64,
        /// Its weighted standard deviation.
        spread: f64,
    },
    /// Targets, weights, offsets or a start do not fit the design, or each other.
    #[error("{what}: {given}, must be {expected}")]
    Length {
        /// Which.
        what: &'static str,
        /// How many there are.
        given: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A label that is no class, a weight that is none, and the like.
    #[error("row {row}: {what}")]
    Row {
        /// The row.
        row: usize,
        /// What is wrong there.
        what: String,
    },
    /// Only one class occurs.
    #[error("all rows are of class {class}: there is nothing to tell apart")]
    OneClass {
        /// The class.
        class: usize,
    },
    /// A parameter out of its domain.
    #[error("{name} is {value}, must be {domain}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What was given.
        value: String,
        /// What may be given.
        domain: &'static str,
    },
    /// A method that cannot do what is asked for.
    #[error("{method} cannot do {what}: {hint}")]
    Unsupported {
        /// The method.
        method: &'static str,
        /// What it cannot do.
        what: &'static str,
        /// What can.
        hint: &'static str,
    },
    /// A state that cannot be gone on from.
    #[error("the saved state does not fit: {0}")]
    State(String),
    /// The objective is not finite, or does not fall.
    #[error("{0}")]
    Numerical(String),
}
