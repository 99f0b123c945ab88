//! The predictions of some rows under one model, as they are scored.

use std::borrow::Cow;

use xent::calibration::held::HeldRows;
use xent::element::Element;
use xent::rows::{Input, Target};
use xent::view::View;
use xent_io::{Elements, Tensor};

/// The numbers of each row under one model, `(n_samples, n_classes)`, after the rules: divided by their sums, clipped,
/// the second class of a single column filled in. Classes are in the order of the results.
///
/// Columns, and logits that an array file holds, stay where they are if nothing changes them: a row is copied when it is asked for.
/// Rows that are left out ([`crate::Block::absent`]) have numbers that mean nothing.
#[derive(Clone, Debug)]
pub struct Predictions {
    input: Input,
    width: usize,
    numbers: Numbers,
}

#[derive(Clone, Debug)]
enum Numbers {
    Rows(Vec<f64>),
    /// One column a class, as the file's decoder gave them.
    Columns(Vec<xent_io::Numbers>),
    Stored(Tensor),
}

impl Default for Predictions {
    fn default() -> Self {
        Self::of_rows(Input::Probabilities, 0, Vec::new())
    }
}

impl Predictions {
    /// Row-major numbers, `width` a row.
    pub fn of_rows(input: Input, width: usize, values: Vec<f64>) -> Self {
        Self { input, width, numbers: Numbers::Rows(values) }
    }

    /// One column of each class: at least one.
    pub(crate) fn of_columns(input: Input, columns: Vec<xent_io::Numbers>) -> Self {
        Self { input, width: columns.len(), numbers: Numbers::Columns(columns) }
    }

    pub(crate) fn of_logits(tensor: &Tensor) -> Self {
        let numbers = Numbers::Stored(tensor.clone());
        Self { input: Input::Logits, width: tensor.width(), numbers }
    }

    /// What the numbers are: what the file was said to hold, but for logits that were clipped, which are
    /// log-probabilities.
    pub fn input(&self) -> Input {
        self.input
    }

    /// Classes: numbers a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        match &self.numbers {
            Numbers::Rows(values) => values.len() / self.width.max(1),
            Numbers::Columns(columns) => columns.first().map_or(0, |column| column.len()),
            Numbers::Stored(tensor) => tensor.rows(),
        }
    }

    /// Copies one row into `out`, which has [`width`](Self::width) elements.
    ///
    /// # Panics
    ///
    /// If there is no such row, or `out` has another length.
    pub fn row_in(&self, row: usize, out: &mut [f64]) {
        match &self.numbers {
            Numbers::Rows(values) => {
                out.copy_from_slice(&values[row * self.width..(row + 1) * self.width]);
            }
            Numbers::Columns(columns) => {
                out.iter_mut().zip(columns).for_each(|(slot, column)| *slot = column[row]);
            }
            Numbers::Stored(tensor) => tensor.row_in(row, out),
        }
    }

    /// All numbers, row after row; copied unless they lie so.
    pub fn values(&self) -> Cow<'_, [f64]> {
        match &self.numbers {
            Numbers::Rows(values) => Cow::Borrowed(values),
            Numbers::Columns(columns) => {
                let mut values = vec![0.0; self.rows() * self.width];
                for (class, column) in columns.iter().enumerate() {
                    let slots = values[class..].iter_mut().step_by(self.width);
                    slots.zip(&**column).for_each(|(slot, x)| *slot = *x);
                }
                Cow::Owned(values)
            }
            Numbers::Stored(tensor) => {
                let mut values = Vec::new();
                tensor.numbers_in(&mut values);
                Cow::Owned(values)
            }
        }
    }

    /// The rows at `indices`, in that order.
    #[must_use]
    pub fn take(&self, indices: &[usize]) -> Self {
        let mut values = vec![0.0; indices.len() * self.width];
        for (slots, &row) in values.chunks_exact_mut(self.width.max(1)).zip(indices) {
            self.row_in(row, slots);
        }
        Self::of_rows(self.input, self.width, values)
    }

    /// Appends rows of the same model.
    pub fn append(&mut self, other: &Self) {
        if self.rows() == 0 {
            self.clone_from(other);
            return;
        }
        let mut values = match &mut self.numbers {
            Numbers::Rows(values) => std::mem::take(values),
            Numbers::Columns(_) | Numbers::Stored(_) => self.values().into_owned(),
        };
        values.extend_from_slice(&other.values());
        self.numbers = Numbers::Rows(values);
    }

    /// The two classes the other way round.
    #[must_use]
    pub(crate) fn reversed(mut self) -> Self {
        match &mut self.numbers {
            Numbers::Rows(values) => {
                values.as_chunks_mut::<2>().0.iter_mut().for_each(|row| row.swap(0, 1));
            }
            Numbers::Columns(columns) => columns.reverse(),
            Numbers::Stored(_) => {}
        }
        self
    }

    /// Absorbs the rows into their keys.
    pub(crate) fn add_to_keys(&self, held: &HeldRows, keys: &mut [u64]) {
        match &self.numbers {
            Numbers::Rows(values) => {
                if let Ok(view) = View::rows_of(&values[..], self.width) {
                    held.add_to_keys(&view, keys);
                }
            }
            Numbers::Columns(columns) => held.add_to_keys(&slices(columns)[..], keys),
            Numbers::Stored(tensor) => match tensor.elements() {
                Elements::F64(x) => add_to_keys(held, tensor, x, keys),
                Elements::F32(x) => add_to_keys(held, tensor, x, keys),
                Elements::F16(x) => add_to_keys(held, tensor, x, keys),
                Elements::Bf16(x) => add_to_keys(held, tensor, x, keys),
            },
        }
    }

    /// Adds the rows to those held, by keys of their own if there are any.
    pub(crate) fn hold(
        &self,
        held: &mut HeldRows,
        keys: Option<&[u64]>,
        target: Target<'_>,
        weights: Option<&[f64]>,
        label_smoothing: f64,
    ) {
        match &self.numbers {
            Numbers::Rows(values) => {
                if let Ok(view) = View::rows_of(&values[..], self.width) {
                    held.update_keyed(&view, keys, target, weights, label_smoothing);
                }
            }
            Numbers::Columns(columns) => {
                held.update_keyed(&slices(columns)[..], keys, target, weights, label_smoothing);
            }
            Numbers::Stored(tensor) => match tensor.elements() {
                Elements::F64(x) => update(held, tensor, x, keys, target, weights),
                Elements::F32(x) => update(held, tensor, x, keys, target, weights),
                Elements::F16(x) => update(held, tensor, x, keys, target, weights),
                Elements::Bf16(x) => update(held, tensor, x, keys, target, weights),
            },
        }
    }

    /// Memory to be used again.
    pub(crate) fn into_memory(self) -> Option<Vec<f64>> {
        match self.numbers {
            Numbers::Rows(values) => Some(values),
            Numbers::Columns(_) | Numbers::Stored(_) => None,
        }
    }
}

fn slices(columns: &[xent_io::Numbers]) -> Vec<&[f64]> {
    columns.iter().map(|column| &**column).collect()
}

/// Stored rows are plain: one class each, not smoothed.
fn update<T: Element>(
    held: &mut HeldRows,
    tensor: &Tensor,
    elements: &[T],
    keys: Option<&[u64]>,
    target: Target<'_>,
    weights: Option<&[f64]>,
) {
    let strides = (tensor.row_stride(), tensor.column_stride());
    if let Ok(x) = View::strided(elements, tensor.rows(), tensor.width(), strides.0, strides.1) {
        held.update_keyed(&x, keys, target, weights, 0.0);
    }
}

fn add_to_keys<T: Element>(held: &HeldRows, tensor: &Tensor, elements: &[T], keys: &mut [u64]) {
    let strides = (tensor.row_stride(), tensor.column_stride());
    if let Ok(x) = View::strided(elements, tensor.rows(), tensor.width(), strides.0, strides.1) {
        held.add_to_keys(&x, keys);
    }
}

#[cfg(test)]
#[path = "predictions_tests.rs"]
mod tests;
