//! The arithmetic of a pass over sparse rows with one output: what training on words and categories spends its time in.
//!
//! Coefficients are divided by the scale before, and gradients after, so that a number of a row costs one access to one
//! array.

use xent::simd::prefetch_second;

use crate::design::{Sparse, SparseValues};
use crate::tile::Number;

/// Rows that are read together.
pub(crate) const HEIGHT: usize = 64;
/// Numbers that memory is asked for ahead: about as many as are read together.
const AHEAD: usize = 4_096;

/// The number of a column that holds ones only; takes no memory.
#[derive(Clone, Copy, Default)]
struct One;

impl Number for One {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        1.0
    }
}

/// z += coef' x of each row, over the rows that `rows` numbers.
pub(crate) fn forward(
    sparse: &Sparse<'_>,
    rows: impl Iterator<Item = usize>,
    coef: &[f64],
    z: &mut [f64],
) {
    match sparse.values {
        SparseValues::Ones => add_scores(sparse, &vec![One; sparse.indices.len()], rows, coef, z),
        SparseValues::F32(values) => add_scores(sparse, values, rows, coef, z),
        SparseValues::F64(values) => add_scores(sparse, values, rows, coef, z),
    }
}

fn add_scores<T: Number>(
    sparse: &Sparse<'_>,
    values: &[T],
    rows: impl Iterator<Item = usize>,
    coef: &[f64],
    z: &mut [f64],
) {
    /// Sums side by side: one would wait for itself.
    const CHAINS: usize = 4;
    for (row, z) in rows.zip(z) {
        let range = sparse.offsets[row]..sparse.offsets[row + 1];
        let (columns, rest) = sparse.indices[range.clone()].as_chunks::<CHAINS>();
        let (values, rest_values) = values[range].as_chunks::<CHAINS>();
        let mut sums = [0.0; CHAINS];
        for (columns, values) in columns.iter().zip(values) {
            prefetch_second(columns, AHEAD);
            prefetch_second(values, AHEAD);
            for c in 0..CHAINS {
                sums[c] += values[c].to_f64() * coef[columns[c] as usize];
            }
        }
        for (sum, (column, value)) in sums.iter_mut().zip(rest.iter().zip(rest_values)) {
            *sum += value.to_f64() * coef[*column as usize];
        }
        *z += (sums[0] + sums[1]) + (sums[2] + sums[3]);
    }
}

/// sums += residual x of each row, over the rows that `rows` numbers.
pub(crate) fn backward(
    sparse: &Sparse<'_>,
    rows: impl Iterator<Item = usize>,
    residuals: &[f64],
    sums: &mut [f64],
) {
    match sparse.values {
        SparseValues::Ones => {
            add_products(sparse, &vec![One; sparse.indices.len()], rows, residuals, sums);
        }
        SparseValues::F32(values) => add_products(sparse, values, rows, residuals, sums),
        SparseValues::F64(values) => add_products(sparse, values, rows, residuals, sums),
    }
}

/// diagonal += curvature x² and beside += curvature x of each row, over the rows that `rows` numbers.
pub(crate) fn curvature(
    sparse: &Sparse<'_>,
    rows: impl Iterator<Item = usize>,
    curvature: &[f64],
    diagonal: &mut [f64],
    beside: &mut [f64],
) {
    for (row, curvature) in rows.zip(curvature) {
        for i in sparse.offsets[row]..sparse.offsets[row + 1] {
            let (column, x) = (sparse.indices[i] as usize, sparse.values.get(i));
            let product = curvature * x;
            diagonal[column] += product * x;
            beside[column] += product;
        }
    }
}

fn add_products<T: Number>(
    sparse: &Sparse<'_>,
    values: &[T],
    rows: impl Iterator<Item = usize>,
    residuals: &[f64],
    sums: &mut [f64],
) {
    for (row, residual) in rows.zip(residuals) {
        let range = sparse.offsets[row]..sparse.offsets[row + 1];
        for (column, value) in sparse.indices[range.clone()].iter().zip(&values[range]) {
            sums[*column as usize] += residual * value.to_f64();
        }
    }
}
