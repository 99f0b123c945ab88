//! Predictions however they lie, and a hash of each row.

use std::ops::Range;

use crate::calibration::random::mix;
use crate::element::Element;
use crate::simd::leveled;
use crate::view::View;

/// Predictions `(n_samples, n_classes)` however they lie: a matrix of any layout and type ([`View`]), or a slice of each class.
pub trait PredictionRows {
    /// Number of rows.
    fn n_rows(&self) -> usize;

    /// Copies a row, with 0 for -0.
    fn row_in(&self, row: usize, out: &mut [f64]);

    /// Writes the hash of each of `rows`: of column `first` and every `step`th after it.
    fn hash_in(&self, rows: Range<usize>, first: usize, step: usize, hashes: &mut [u64]);
}

impl<T: Element> PredictionRows for View<'_, T> {
    fn n_rows(&self) -> usize {
        View::n_rows(self)
    }

    fn row_in(&self, row: usize, out: &mut [f64]) {
        out.iter_mut().enumerate().for_each(|(c, slot)| *slot = number(self.get(row, c)));
    }

    fn hash_in(&self, rows: Range<usize>, first: usize, step: usize, hashes: &mut [u64]) {
        hash_rows::<T>(hashes, self.rows(rows), first, step);
    }
}

/// A slice of each class.
impl PredictionRows for [&[f64]] {
    fn n_rows(&self) -> usize {
        self.first().map_or(0, |column| column.len())
    }

    fn row_in(&self, row: usize, out: &mut [f64]) {
        out.iter_mut().zip(self).for_each(|(slot, column)| *slot = number(column[row]));
    }

    fn hash_in(&self, rows: Range<usize>, first: usize, step: usize, hashes: &mut [u64]) {
        hash_columns(hashes, self, rows.start, first, step);
    }
}

/// A number of a prediction; adding 0 turns -0 into 0.
#[inline(always)]
fn number<T: Element>(x: T) -> f64 {
    x.to_f64() + 0.0
}

leveled! {
    fn hash_rows[T: Element](hashes: &mut [u64], rows: View<'_, T>, first: usize, step: usize)
        => hash_rows_body::<FMA>
}

#[inline(always)]
fn hash_rows_body<const FMA: bool, T: Element>(
    hashes: &mut [u64],
    rows: View<'_, T>,
    first: usize,
    step: usize,
) {
    hashes.fill(0);
    for c in (first..rows.n_cols()).step_by(step) {
        if let Some(dense) = rows.as_rows() {
            let column = dense[c..].iter().step_by(rows.n_cols());
            hashes.iter_mut().zip(column).for_each(|(hash, x)| *hash = absorb(*hash, number(*x)));
        } else {
            for (r, hash) in hashes.iter_mut().enumerate() {
                *hash = absorb(*hash, number(rows.get(r, c)));
            }
        }
    }
    hashes.iter_mut().for_each(|hash| *hash = mix(*hash));
}

leveled! {
    /// Of the rows from `start` on.
    fn hash_columns(hashes: &mut [u64], columns: &[&[f64]], start: usize, first: usize, step: usize)
        => hash_columns_body
}

#[inline(always)]
fn hash_columns_body(
    hashes: &mut [u64],
    columns: &[&[f64]],
    start: usize,
    first: usize,
    step: usize,
) {
    hashes.fill(0);
    for column in columns[first..].iter().step_by(step) {
        let column = &column[start..start + hashes.len()];
        hashes.iter_mut().zip(column).for_each(|(hash, x)| *hash = absorb(*hash, number(*x)));
    }
    hashes.iter_mut().for_each(|hash| *hash = mix(*hash));
}

#[inline(always)]
fn absorb(hash: u64, x: f64) -> u64 {
    let h = (hash ^ x.to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    h ^ (h >> 32)
}
