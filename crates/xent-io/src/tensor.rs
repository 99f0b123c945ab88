//! Rows of a matrix in the file's own type and order, where possible in the file's own memory.
//!
//! A [`Tensor`] is what a matrix of numbers is before anything is converted: elements of one type
//! and two strides. Nothing here knows a file: [`crate::Column::Tensor`] shares memory that is
//! mapped, or was read, and gives it back when the last batch that looks at it is gone.

use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer};
use bytes::Bytes;
use half::slice::HalfBitsSliceExt;
use half::{bf16, f16};

/// Some rows of a matrix, `(rows, width)`, as the file stores them.
///
/// The number in row `i` and column `j` is element `i * row_stride + j * column_stride` of
/// [`Tensor::elements`]. One of the strides is 1: the first in Fortran order, else the second.
#[derive(Debug, Clone)]
pub struct Tensor {
    store: Store,
    rows: usize,
    width: usize,
    row_stride: usize,
    column_stride: usize,
}

#[derive(Debug, Clone)]
enum Store {
    F64(ScalarBuffer<f64>),
    F32(ScalarBuffer<f32>),
    F16(ScalarBuffer<f16>),
    /// Arrow has no type for it: its bits.
    Bf16(ScalarBuffer<u16>),
}

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Float {
    F64,
    F32,
    F16,
    Bf16,
}

impl Float {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Float::F64 => 8,
            Float::F32 => 4,
            Float::F16 | Float::Bf16 => 2,
        }
    }
}

/// The elements of a [`Tensor`], from its first row's on.
///
/// Between and behind those of the tensor's rows there may be elements of other rows.
#[derive(Debug, Clone, Copy)]
pub enum Elements<'a> {
    /// 64 bits.
    F64(&'a [f64]),
    /// 32 bits.
    F32(&'a [f32]),
    /// IEEE 754 half precision, 16 bits.
    F16(&'a [f16]),
    /// The upper half of a 32-bit number, 16 bits.
    Bf16(&'a [bf16]),
}

impl Elements<'_> {
    fn get(&self, i: usize) -> f64 {
        match self {
            Elements::F64(x) => x[i],
            Elements::F32(x) => x[i].into(),
            Elements::F16(x) => x[i].into(),
            Elements::Bf16(x) => x[i].into(),
        }
    }
}

impl Tensor {
    /// The tensor of little-endian elements in `bytes`, which start with its first row's.
    ///
    /// Shared if the bytes lie on an address that is a multiple of the element's size; else the rows
    /// are copied, row-major. `bytes` must reach at least to the last element.
    pub(crate) fn new(
        bytes: Bytes,
        float: Float,
        rows: usize,
        width: usize,
        row_stride: usize,
        column_stride: usize,
    ) -> Tensor {
        let size = float.size();
        let is_aligned =
            cfg!(target_endian = "little") && (bytes.as_ptr() as usize).is_multiple_of(size);
        if is_aligned {
            // A buffer must hold whole elements.
            let whole = bytes.len() / size * size;
            let store = Store::of(float, bytes.slice(..whole).into());
            return Tensor { store, rows, width, row_stride, column_stride };
        }
        let row = |i: usize| (0..width).map(move |j| i * row_stride + j * column_stride);
        let at = (0..rows).flat_map(row);
        let store = match float {
            Float::F64 => Store::F64(copy(&bytes, at, f64::from_le_bytes)),
            Float::F32 => Store::F32(copy(&bytes, at, f32::from_le_bytes)),
            Float::F16 => Store::F16(copy(&bytes, at, f16::from_le_bytes)),
            Float::Bf16 => Store::Bf16(copy(&bytes, at, u16::from_le_bytes)),
        };
        Tensor { store, rows, width, row_stride: width, column_stride: 1 }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers in each row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Elements from one row to the next.
    pub fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// Elements from one column to the next.
    pub fn column_stride(&self) -> usize {
        self.column_stride
    }

    /// The elements, in their own type.
    pub fn elements(&self) -> Elements<'_> {
        match &self.store {
            Store::F64(x) => Elements::F64(x),
            Store::F32(x) => Elements::F32(x),
            Store::F16(x) => Elements::F16(x),
            Store::Bf16(x) => Elements::Bf16(x.reinterpret_cast()),
        }
    }

    /// Replaces `out` by the numbers of all rows, shape `(rows, width)`, row-major, every one exact.
    pub fn numbers_in(&self, out: &mut Vec<f64>) {
        out.clear();
        let elements = self.elements();
        for row in 0..self.rows {
            let start = row * self.row_stride;
            out.extend((0..self.width).map(|j| elements.get(start + j * self.column_stride)));
        }
    }

    /// Copies one row into `out`, which has [`width`](Self::width) elements, every number exact.
    pub fn row_in(&self, row: usize, out: &mut [f64]) {
        let (elements, start) = (self.elements(), row * self.row_stride);
        for (j, slot) in out.iter_mut().enumerate() {
            *slot = elements.get(start + j * self.column_stride);
        }
    }

    /// The rows `first` to `first + rows`, sharing the memory.
    pub(crate) fn slice(&self, first: usize, rows: usize) -> Tensor {
        let start = first * self.row_stride;
        let store = match &self.store {
            Store::F64(x) => Store::F64(rest(x, start)),
            Store::F32(x) => Store::F32(rest(x, start)),
            Store::F16(x) => Store::F16(rest(x, start)),
            Store::Bf16(x) => Store::Bf16(rest(x, start)),
        };
        Tensor { store, rows, ..*self }
    }
}

impl Store {
    fn of(float: Float, buffer: Buffer) -> Store {
        match float {
            Float::F64 => Store::F64(buffer.into()),
            Float::F32 => Store::F32(buffer.into()),
            Float::F16 => Store::F16(buffer.into()),
            Float::Bf16 => Store::Bf16(buffer.into()),
        }
    }
}

/// What follows element `start`; nothing if there is none.
fn rest<T: ArrowNativeType>(buffer: &ScalarBuffer<T>, start: usize) -> ScalarBuffer<T> {
    let start = start.min(buffer.len());
    buffer.slice(start, buffer.len() - start)
}

/// The elements at these places of unaligned bytes.
fn copy<const N: usize, T: ArrowNativeType>(
    bytes: &[u8],
    at: impl Iterator<Item = usize>,
    value: impl Fn([u8; N]) -> T,
) -> ScalarBuffer<T> {
    let elements = bytes.as_chunks::<N>().0;
    at.map(|i| value(elements[i])).collect::<Vec<T>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2 rows of 3 in both orders, at every alignment.
    #[test]
    fn both_orders_and_any_alignment_give_the_same_numbers() {
        let wanted = [0.5, -1.0, 2.0, 4.0, f64::INFINITY, -0.25];
        let by_column: Vec<f64> = [0, 3, 1, 4, 2, 5].iter().map(|&i: &usize| wanted[i]).collect();
        for (values, row_stride, column_stride) in [(wanted.to_vec(), 3, 1), (by_column, 1, 2)] {
            for float in [Float::F64, Float::F32, Float::F16, Float::Bf16] {
                let bytes: Vec<u8> = values
                    .iter()
                    .flat_map(|&x| match float {
                        Float::F64 => x.to_le_bytes().to_vec(),
                        Float::F32 => (x as f32).to_le_bytes().to_vec(),
                        Float::F16 => f16::from_f64(x).to_le_bytes().to_vec(),
                        Float::Bf16 => bf16::from_f64(x).to_le_bytes().to_vec(),
                    })
                    .collect();
                for shift in 0..9 {
                    let mut moved = vec![0xff; shift];
                    moved.extend_from_slice(&bytes);
                    let bytes = Bytes::from(moved).slice(shift..);
                    let tensor = Tensor::new(bytes, float, 2, 3, row_stride, column_stride);
                    let mut numbers = vec![9.0];
                    tensor.numbers_in(&mut numbers);
                    assert_eq!(numbers, wanted, "{float:?} {shift}");
                    let mut row = [9.0; 3];
                    tensor.row_in(1, &mut row);
                    assert_eq!(row, wanted[3..], "{float:?} {shift}");
                    tensor.slice(1, 1).numbers_in(&mut numbers);
                    assert_eq!(numbers, wanted[3..], "{float:?} {shift}");
                    assert_eq!(tensor.slice(2, 0).rows(), 0);
                }
            }
        }
    }

    #[test]
    fn aligned_bytes_are_shared() {
        let bytes = Bytes::from_owner(ScalarBuffer::from(vec![1.0_f64, 2.0]).into_inner());
        let address = bytes.as_ptr();
        let tensor = Tensor::new(bytes, Float::F64, 2, 1, 1, 1);
        let second = tensor.slice(1, 1);
        let Elements::F64(elements) = second.elements() else { panic!("not f64") };
        assert_eq!(elements, [2.0]);
        assert_eq!(elements.as_ptr().cast::<u8>(), address.wrapping_add(8));
    }
}
