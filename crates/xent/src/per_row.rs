//! What the functions over rows share: the gradient's buffer and scale, the exact sum of the rows'
//! losses, and the errors of their arguments.
//!
//! Functions over rows ([`sigmoid`](crate::sigmoid), [`divergence`](crate::divergence),
//! [`squared_error`](crate::squared_error)) take arrays of any layout and write one loss a row and a
//! gradient of the array's shape to memory of the caller. Eight rows go side by side, each through
//! its classes in order, so the result of a row depends on that row only. They start no threads: cut the
//! arrays with [`View::rows`](crate::view::View::rows) and
//! [`ViewMut::split_at_row`](crate::view::ViewMut::split_at_row), and [`merge`](RowSum::merge) the sums; the bits are the same.

use thiserror::Error;

pub use crate::cross_entropy::{Gradient, NoMean, Scale};
use crate::exact::ExactSum;

/// What is wanted besides the sum.
#[derive(Debug)]
pub struct Wanted<'a, T> {
    /// The loss of each row.
    pub losses: Option<&'a mut [f64]>,
    /// The gradient.
    pub gradient: Option<Gradient<'a, T>>,
}

impl<T> Default for Wanted<'_, T> {
    /// Nothing but the sum.
    fn default() -> Self {
        Self { losses: None, gradient: None }
    }
}

/// What is wanted of two arrays besides the sum.
#[derive(Debug)]
pub struct WantedOfPair<'a, P, Q> {
    /// The value of each row.
    pub losses: Option<&'a mut [f64]>,
    /// The gradient with respect to the first array.
    pub gradient_p: Option<Gradient<'a, P>>,
    /// The gradient with respect to the second array.
    pub gradient_q: Option<Gradient<'a, Q>>,
}

impl<P, Q> Default for WantedOfPair<'_, P, Q> {
    /// Nothing but the sum.
    fn default() -> Self {
        Self { losses: None, gradient_p: None, gradient_q: None }
    }
}

/// The exact sum of the rows' losses, and how many there were; mergeable with those of other rows.
///
/// Rows without a defined loss are NaN in the sum too, never left out in silence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowSum {
    /// Sum of weight times loss, exact.
    pub loss: ExactSum,
    /// Sum of the weights; the number of rows where there are none.
    pub weight: ExactSum,
    /// Rows that count.
    pub used: u64,
    /// Rows of weight 0, which are absent: neither their loss nor their gradient counts, be it
    /// infinite or NaN.
    pub absent: u64,
    /// Rows that count whose loss is infinite.
    pub infinite: u64,
    /// How many losses are NaN: elements for the sigmoid, rows for the others.
    pub undefined: u64,
    /// Row and column of the first number that makes a loss NaN.
    pub first_undefined: Option<(usize, usize)>,
}

impl RowSum {
    /// The mean loss of a row, weighted, nats: one exact sum over another, rounded once.
    ///
    /// # Errors
    ///
    /// There is nothing to average, or a loss is undefined.
    pub fn mean(&self) -> Result<f64, NoMean> {
        if let Some((row, _)) = self.first_undefined {
            return Err(NoMean::Undefined { count: self.undefined, row });
        }
        if self.used == 0 {
            return Err(if self.absent > 0 { NoMean::ZeroWeight } else { NoMean::Empty });
        }
        self.loss.over(&self.weight).ok_or(NoMean::ZeroWeight)
    }

    /// Adds the sum of the rows that follow, `rows` having been in this one before.
    pub fn merge(&mut self, other: &Self, rows: usize) {
        self.loss.merge(&other.loss);
        self.weight.merge(&other.weight);
        self.used += other.used;
        self.absent += other.absent;
        self.infinite += other.infinite;
        self.undefined += other.undefined;
        let theirs = other.first_undefined.map(|(row, col)| (row + rows, col));
        self.first_undefined = self.first_undefined.or(theirs);
    }
}

/// Why arguments cannot be used. Nothing has been written.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ArgumentError {
    /// An array does not have the shape of the others.
    #[error("{what}: {rows} x {cols} numbers, not {expected_rows} x {expected_cols}")]
    Shape {
        /// Which argument.
        what: &'static str,
        /// Its rows.
        rows: usize,
        /// Its columns.
        cols: usize,
        /// Rows of the first argument.
        expected_rows: usize,
        /// Columns of the first argument.
        expected_cols: usize,
    },
    /// A list does not have one number for each row or column.
    #[error("{what}: {given} numbers, not {expected}")]
    Length {
        /// Which argument.
        what: &'static str,
        /// Its length.
        given: usize,
        /// What it should be.
        expected: usize,
    },
    /// There are rows, but no classes.
    #[error("{rows} rows without classes")]
    NoClasses {
        /// Number of rows.
        rows: usize,
    },
    /// Not in [0, 1], or NaN.
    #[error("{what}: row {row}, column {col} is {value}, not a number from 0 to 1")]
    NotProbability {
        /// Which argument.
        what: &'static str,
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        col: usize,
        /// What is there.
        value: f64,
    },
    /// A row of probabilities that do not sum to 1.
    #[error("{what}: row {row} sums to {sum}, not 1")]
    NotOne {
        /// Which argument.
        what: &'static str,
        /// The row, from 0.
        row: usize,
        /// Its sum.
        sum: f64,
    },
    /// A class that no column belongs to.
    #[error("row {row}: label {label} is out of range for {n_classes} classes")]
    Label {
        /// The row, from 0.
        row: usize,
        /// The label.
        label: u32,
        /// Number of classes.
        n_classes: usize,
    },
    /// A weight that is negative, infinite or NaN.
    #[error("{what}: number {index} is {value}, not a finite number of at least 0")]
    NotWeight {
        /// Which argument.
        what: &'static str,
        /// Its row or column, from 0.
        index: usize,
        /// What is there.
        value: f64,
    },
}

/// What a row of a gradient is multiplied by.
pub(crate) fn scale_at(scale: &Scale<'_>, row: usize) -> f64 {
    match scale {
        Scale::All(scale) => *scale,
        Scale::Rows(scales) => scales[row],
    }
}

/// The shape all arguments must have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub rows: usize,
    pub cols: usize,
}

impl Shape {
    /// Of the first argument; rows must have columns.
    pub fn of(rows: usize, cols: usize) -> Result<Self, ArgumentError> {
        if rows > 0 && cols == 0 {
            return Err(ArgumentError::NoClasses { rows });
        }
        Ok(Self { rows, cols })
    }

    pub fn array(self, what: &'static str, rows: usize, cols: usize) -> Result<(), ArgumentError> {
        if (rows, cols) == (self.rows, self.cols) {
            return Ok(());
        }
        let (expected_rows, expected_cols) = (self.rows, self.cols);
        Err(ArgumentError::Shape { what, rows, cols, expected_rows, expected_cols })
    }

    pub fn a_row(self, what: &'static str, given: Option<usize>) -> Result<(), ArgumentError> {
        length(what, given, self.rows)
    }

    pub fn a_column(self, what: &'static str, given: Option<usize>) -> Result<(), ArgumentError> {
        length(what, given, self.cols)
    }

    pub fn gradient<T: Copy>(
        self,
        what: &'static str,
        gradient: Option<&Gradient<'_, T>>,
    ) -> Result<(), ArgumentError> {
        let Some(gradient) = gradient else { return Ok(()) };
        self.array(what, gradient.into.n_rows(), gradient.into.n_cols())?;
        match gradient.scale {
            Scale::All(_) => Ok(()),
            Scale::Rows(scales) => self.a_row("scale", Some(scales.len())),
        }
    }

    pub fn wanted<T: Copy>(self, wanted: &Wanted<'_, T>) -> Result<(), ArgumentError> {
        self.a_row("losses", wanted.losses.as_ref().map(|losses| losses.len()))?;
        self.gradient("gradient", wanted.gradient.as_ref())
    }
}

fn length(what: &'static str, given: Option<usize>, expected: usize) -> Result<(), ArgumentError> {
    match given {
        Some(given) if given != expected => Err(ArgumentError::Length { what, given, expected }),
        _ => Ok(()),
    }
}

/// Weights are finite and at least 0.
pub(crate) fn weights(what: &'static str, weights: Option<&[f64]>) -> Result<(), ArgumentError> {
    let weights = weights.unwrap_or_default();
    match weights.iter().position(|weight| !(*weight >= 0.0 && weight.is_finite())) {
        Some(index) => Err(ArgumentError::NotWeight { what, index, value: weights[index] }),
        None => Ok(()),
    }
}
