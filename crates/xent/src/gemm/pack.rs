//! Copies of factors: slivers as wide as a tile, from the start of a cache line on.

use super::steps;
use crate::simd::wide::WideVector;
use crate::view::View;

/// Numbers from the start of a cache line on.
#[derive(Debug, Default)]
pub(super) struct Memory(Vec<f32>);

impl Memory {
    const LINE: usize = 16;

    fn start(&self) -> usize {
        self.0.as_ptr().align_offset(64).min(Self::LINE)
    }

    /// Bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        4 * self.0.capacity()
    }

    /// The first `len` numbers, whatever they are.
    pub(super) fn take(&mut self, len: usize) -> &mut [f32] {
        if self.0.len() < len + Self::LINE {
            self.0 = Vec::new();
            self.0.resize(len + Self::LINE, 0.0);
        }
        let start = self.start();
        &mut self.0[start..start + len]
    }

    /// The first `len` numbers of those taken before.
    pub(super) fn get(&self, len: usize) -> &[f32] {
        let start = self.start();
        &self.0[start..start + len]
    }
}

/// Copies a matrix into slivers of `R` rows: `out[s][k][r]` is the element of row `s R + r` and
/// column `k`, zero below the last row.
#[inline(always)]
pub(super) fn pack<V: WideVector, const R: usize>(matrix: View<'_, f32>, out: &mut [f32]) {
    /// Columns read from a row at a time: a cache line.
    const LINE: usize = 16;
    /// Slivers written at a time.
    const GROUP: usize = 8;
    let (rows, columns) = (matrix.n_rows(), matrix.n_cols());
    let (row_stride, column_stride) = matrix.strides();
    let sliver = columns * R;
    if row_stride == 1 {
        // Some slivers side by side: a column's numbers, that may be alone in their page, are read
        // at once.
        for (rows, out) in steps(rows, GROUP * R).zip(out.chunks_mut(GROUP * sliver)) {
            for k in 0..columns {
                let from = &matrix.memory()[rows.start + k * column_stride..][..rows.len()];
                let (whole, rest) = from.as_chunks::<R>();
                let mut at = k * R;
                for from in whole {
                    out[at..at + R].copy_from_slice(from);
                    at += sliver;
                }
                if !rest.is_empty() {
                    out[at..at + rest.len()].copy_from_slice(rest);
                    out[at + rest.len()..at + R].fill(0.0);
                }
            }
        }
        return;
    }
    for (rows, out) in steps(rows, R).zip(out.chunks_exact_mut(sliver)) {
        let out = out.as_chunks_mut::<R>().0;
        let from = &matrix.memory()[rows.start * row_stride..];
        if column_stride == 1 && rows.len() == R {
            let (lines, rest) = out.as_chunks_mut::<LINE>();
            let whole = lines.len() * LINE;
            for (l, out) in lines.iter_mut().enumerate() {
                for r in (0..R).step_by(LINE) {
                    let some = r..R.min(r + LINE);
                    let mut square = [V::splat(0.0); LINE];
                    for (s, r) in some.clone().enumerate() {
                        let line = from[r * row_stride + l * LINE..].first_chunk();
                        square[s] = V::load(line.expect("a row has all its columns"));
                    }
                    for (out, column) in out.iter_mut().zip(V::transposed(square)) {
                        let mut numbers = [0.0; LINE];
                        column.store(&mut numbers);
                        out[some.clone()].copy_from_slice(&numbers[..some.len()]);
                    }
                }
            }
            for r in 0..R {
                for (k, out) in rest.iter_mut().enumerate() {
                    out[r] = from[r * row_stride + whole + k];
                }
            }
        } else {
            for (k, out) in out.iter_mut().enumerate() {
                for r in 0..R {
                    out[r] =
                        if r < rows.len() { from[r * row_stride + k * column_stride] } else { 0.0 };
                }
            }
        }
    }
}
