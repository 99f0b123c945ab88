//! Two-dimensional arrays over borrowed memory: `n_samples` rows of `n_classes` numbers.

use thiserror::Error;

/// Why memory is not an array of the shape asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ShapeError {
    /// The last element lies behind the end of the memory.
    #[error(
        "{rows} x {cols} numbers with strides {row_stride} and {col_stride} need {needed} numbers of memory, not {given}"
    )]
    TooShort {
        /// Rows.
        rows: usize,
        /// Numbers a row.
        cols: usize,
        /// Distance of rows.
        row_stride: usize,
        /// Distance of columns.
        col_stride: usize,
        /// What they need; `usize::MAX` if it cannot be counted.
        needed: usize,
        /// What there is.
        given: usize,
    },
    /// Elements share memory, and would be written twice.
    #[error("{rows} x {cols} numbers with strides {row_stride} and {col_stride} overlap")]
    Overlap {
        /// Rows.
        rows: usize,
        /// Numbers a row.
        cols: usize,
        /// Distance of rows.
        row_stride: usize,
        /// Distance of columns.
        col_stride: usize,
    },
    /// The memory is not a whole number of rows or columns.
    #[error("{given} numbers are not a whole number of {what} of {each}")]
    Ragged {
        /// What there is.
        given: usize,
        /// Rows or columns.
        what: &'static str,
        /// Length of one.
        each: usize,
    },
}

/// Where element (i, j) lies: at `i row_stride + j col_stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl Layout {
    fn checked(self, given: usize) -> Result<Self, ShapeError> {
        let Self { rows, cols, row_stride, col_stride } = self;
        if rows == 0 || cols == 0 {
            return Ok(self);
        }
        let last = (rows - 1)
            .checked_mul(row_stride)
            .and_then(|a| (cols - 1).checked_mul(col_stride).and_then(|b| a.checked_add(b)));
        let needed = last.and_then(|last| last.checked_add(1)).unwrap_or(usize::MAX);
        if needed > given {
            return Err(ShapeError::TooShort { rows, cols, row_stride, col_stride, needed, given });
        }
        Ok(self)
    }

    fn transposed(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }

    /// Rows after each other, or columns after each other, with or without gaps.
    fn without_overlap(self) -> Result<Self, ShapeError> {
        let Self { rows, cols, row_stride, col_stride } = self;
        if rows == 0 || cols == 0 {
            return Ok(self);
        }
        let by_rows = (cols <= 1 || col_stride >= 1)
            && (rows <= 1 || row_stride > (cols - 1).saturating_mul(col_stride));
        let by_cols = (rows <= 1 || row_stride >= 1)
            && (cols <= 1 || col_stride > (rows - 1).saturating_mul(row_stride));
        if by_rows || by_cols {
            Ok(self)
        } else {
            Err(ShapeError::Overlap { rows, cols, row_stride, col_stride })
        }
    }
}

fn whole(given: usize, each: usize, what: &'static str) -> Result<usize, ShapeError> {
    if each == 0 && given == 0 {
        Ok(0)
    } else if each == 0 || !given.is_multiple_of(each) {
        Err(ShapeError::Ragged { given, what, each })
    } else {
        Ok(given / each)
    }
}

/// A read-only array.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T> {
    data: &'a [T],
    layout: Layout,
}

impl<'a, T: Copy> View<'a, T> {
    /// Rows of `cols` numbers one after another (C order).
    ///
    /// # Errors
    /// The memory is not a whole number of rows.
    pub fn rows_of(data: &'a [T], cols: usize) -> Result<Self, ShapeError> {
        let rows = whole(data.len(), cols, "rows")?;
        Self::strided(data, rows, cols, cols, 1)
    }

    /// Columns of `rows` numbers one after another (Fortran order).
    ///
    /// # Errors
    /// The memory is not a whole number of columns.
    pub fn columns_of(data: &'a [T], rows: usize) -> Result<Self, ShapeError> {
        let cols = whole(data.len(), rows, "columns")?;
        Self::strided(data, rows, cols, 1, rows)
    }

    /// Element (i, j) at `i row_stride + j col_stride`; strides count numbers, not bytes, and may be 0.
    ///
    /// # Errors
    /// An element would lie behind the end of the memory.
    pub fn strided(
        data: &'a [T],
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Result<Self, ShapeError> {
        let layout = Layout { rows, cols, row_stride, col_stride }.checked(data.len())?;
        Ok(Self { data, layout })
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.layout.rows
    }

    /// Numbers a row.
    pub fn n_cols(&self) -> usize {
        self.layout.cols
    }

    /// Distance of rows and of columns.
    pub fn strides(&self) -> (usize, usize) {
        (self.layout.row_stride, self.layout.col_stride)
    }

    /// One number.
    ///
    /// # Panics
    /// Outside the array.
    #[inline(always)]
    pub fn get(&self, row: usize, col: usize) -> T {
        assert!(row < self.layout.rows && col < self.layout.cols, "({row}, {col}) is outside");
        self.data[row * self.layout.row_stride + col * self.layout.col_stride]
    }

    /// The rows of a range, as an array.
    ///
    /// # Panics
    /// Outside the array.
    #[must_use]
    pub fn rows(&self, range: std::ops::Range<usize>) -> Self {
        let layout = Layout { rows: range.len(), ..self.layout };
        assert!(range.end <= self.layout.rows, "rows {range:?} of {}", self.layout.rows);
        let empty = range.is_empty() || self.layout.cols == 0;
        let data = if empty { &[] } else { &self.data[range.start * layout.row_stride..] };
        Self { data, layout }
    }

    /// The columns of a range, as an array.
    ///
    /// # Panics
    /// Outside the array.
    #[must_use]
    pub fn cols(&self, range: std::ops::Range<usize>) -> Self {
        self.transposed().rows(range).transposed()
    }

    /// Rows as columns and columns as rows; no number moves.
    #[must_use]
    pub fn transposed(&self) -> Self {
        Self { data: self.data, layout: self.layout.transposed() }
    }

    /// The memory from element (0, 0) on.
    #[inline(always)]
    pub(crate) fn memory(&self) -> &'a [T] {
        self.data
    }

    /// A row as a slice, if its numbers lie side by side.
    ///
    /// # Panics
    /// Outside the array.
    #[inline(always)]
    pub fn row(&self, row: usize) -> Option<&'a [T]> {
        let Layout { rows, cols, row_stride, col_stride } = self.layout;
        assert!(row < rows, "row {row} of {rows}");
        if cols == 0 {
            return Some(&[]);
        }
        let start = row * row_stride;
        (col_stride == 1 || cols == 1).then(|| &self.data[start..start + cols])
    }

    /// All numbers as one slice, if the rows lie side by side without gaps.
    pub fn as_rows(&self) -> Option<&'a [T]> {
        let Layout { rows, cols, row_stride, col_stride } = self.layout;
        let dense = (col_stride == 1 || cols <= 1) && (row_stride == cols || rows <= 1);
        dense.then(|| &self.data[..rows * cols])
    }

    /// A column as a slice, if its numbers lie side by side.
    ///
    /// # Panics
    /// Outside the array.
    pub fn column(&self, col: usize) -> Option<&'a [T]> {
        self.transposed().row(col)
    }
}

/// An array to write to, in which no two elements share memory.
#[derive(Debug)]
pub struct ViewMut<'a, T> {
    data: &'a mut [T],
    layout: Layout,
}

impl<'a, T: Copy> ViewMut<'a, T> {
    /// Rows of `cols` numbers one after another (C order).
    ///
    /// # Errors
    /// The memory is not a whole number of rows.
    pub fn rows_of(data: &'a mut [T], cols: usize) -> Result<Self, ShapeError> {
        let rows = whole(data.len(), cols, "rows")?;
        Self::strided(data, rows, cols, cols, 1)
    }

    /// Columns of `rows` numbers one after another (Fortran order).
    ///
    /// # Errors
    /// The memory is not a whole number of columns.
    pub fn columns_of(data: &'a mut [T], rows: usize) -> Result<Self, ShapeError> {
        let cols = whole(data.len(), rows, "columns")?;
        Self::strided(data, rows, cols, 1, rows)
    }

    /// Element (i, j) at `i row_stride + j col_stride`; strides count numbers, not bytes.
    ///
    /// # Errors
    /// An element would lie behind the end of the memory, or two would share it.
    pub fn strided(
        data: &'a mut [T],
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Result<Self, ShapeError> {
        let layout = Layout { rows, cols, row_stride, col_stride };
        let layout = layout.checked(data.len())?.without_overlap()?;
        Ok(Self { data, layout })
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.layout.rows
    }

    /// Numbers a row.
    pub fn n_cols(&self) -> usize {
        self.layout.cols
    }

    /// Distance of rows and of columns.
    pub fn strides(&self) -> (usize, usize) {
        (self.layout.row_stride, self.layout.col_stride)
    }

    /// The rows of a range, as an array.
    ///
    /// # Panics
    /// Outside the array.
    #[must_use]
    pub fn rows(self, range: std::ops::Range<usize>) -> Self {
        let layout = Layout { rows: range.len(), ..self.layout };
        assert!(range.end <= self.layout.rows, "rows {range:?} of {}", self.layout.rows);
        let empty = range.is_empty() || self.layout.cols == 0;
        let data = if empty { &mut [] } else { &mut self.data[range.start * layout.row_stride..] };
        Self { data, layout }
    }

    /// The columns of a range, as an array.
    ///
    /// # Panics
    /// Outside the array.
    #[must_use]
    pub fn cols(self, range: std::ops::Range<usize>) -> Self {
        self.transposed().rows(range).transposed()
    }

    /// Rows as columns and columns as rows; no number moves.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self { data: self.data, layout: self.layout.transposed() }
    }

    /// The memory from element (0, 0) on.
    #[inline(always)]
    pub(crate) fn memory(&mut self) -> &mut [T] {
        self.data
    }

    /// The same array to read.
    pub fn as_view(&self) -> View<'_, T> {
        View { data: self.data, layout: self.layout }
    }

    /// The same array, borrowed anew.
    pub fn reborrow(&mut self) -> ViewMut<'_, T> {
        ViewMut { data: self.data, layout: self.layout }
    }

    /// A row as a slice, if its numbers lie side by side.
    ///
    /// # Panics
    /// Outside the array.
    #[inline(always)]
    pub fn row_mut(&mut self, row: usize) -> Option<&mut [T]> {
        let Layout { rows, cols, row_stride, col_stride } = self.layout;
        assert!(row < rows, "row {row} of {rows}");
        if cols == 0 {
            return Some(&mut []);
        }
        let start = row * row_stride;
        (col_stride == 1 || cols == 1).then(|| &mut self.data[start..start + cols])
    }

    /// Rows as one slice, if they lie side by side without gaps.
    ///
    /// # Panics
    /// Outside the array.
    pub fn rows_mut(&mut self, first: usize, n: usize) -> Option<&mut [T]> {
        let Layout { rows, cols, row_stride, col_stride } = self.layout;
        assert!(first + n <= rows, "{n} rows from {first} on, of {rows}");
        let dense = (col_stride == 1 || cols <= 1) && row_stride == cols;
        if dense { Some(&mut self.data[first * cols..(first + n) * cols]) } else { None }
    }

    /// Sets one number.
    ///
    /// # Panics
    /// Outside the array.
    #[inline(always)]
    pub fn set(&mut self, row: usize, col: usize, value: T) {
        assert!(row < self.layout.rows && col < self.layout.cols, "({row}, {col}) is outside");
        self.data[row * self.layout.row_stride + col * self.layout.col_stride] = value;
    }

    /// Cuts the array into the rows before `row` and the rest, for threads.
    ///
    /// # Errors
    /// The array itself, if the rows are not one after another (columns are).
    pub fn split_at_row(self, row: usize) -> Result<(Self, Self), Self> {
        let Layout { rows, cols, row_stride, .. } = self.layout;
        let first = Layout { rows: row.min(rows), ..self.layout };
        let second = Layout { rows: rows - first.rows, ..self.layout };
        let cut = if second.rows == 0 || cols == 0 { self.data.len() } else { row * row_stride };
        if first.checked(cut).is_err() {
            return Err(self);
        }
        let (a, b) = self.data.split_at_mut(cut);
        Ok((Self { data: a, layout: first }, Self { data: b, layout: second }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_checked() {
        let data = [0.0_f32; 12];
        assert_eq!(View::rows_of(&data, 4).unwrap().n_rows(), 3);
        assert_eq!(View::columns_of(&data, 4).unwrap().n_cols(), 3);
        assert!(View::rows_of(&data, 5).is_err());
        assert!(View::rows_of(&data, 0).is_err());
        assert!(View::strided(&data, 3, 4, 5, 1).is_err());
        assert!(View::strided(&data, usize::MAX, 4, 5, 1).is_err());
        assert!(View::strided(&data, 5, 3, 0, 1).is_ok());
        let mut data = data;
        assert!(ViewMut::strided(&mut data, 5, 3, 0, 1).is_err());
        assert!(ViewMut::strided(&mut data, 3, 3, 2, 1).is_err());
        assert!(ViewMut::strided(&mut data, 3, 4, 1, 3).is_ok());
        assert!(ViewMut::strided(&mut data, 2, 3, 6, 2).is_ok());
        assert!(ViewMut::strided(&mut data, 0, 3, 0, 0).is_ok());
        assert!(ViewMut::strided(&mut data, 3, 0, 0, 0).is_ok());
    }

    #[test]
    fn rows_and_columns_are_found() {
        let data: Vec<f32> = (0..12_u8).map(f32::from).collect();
        let by_rows = View::rows_of(&data, 4).unwrap();
        assert_eq!(by_rows.row(1).unwrap(), [4.0, 5.0, 6.0, 7.0]);
        assert!(by_rows.column(1).is_none());
        assert_eq!(by_rows.rows(1..3).get(1, 2), 10.0);
        assert_eq!(by_rows.as_rows().unwrap(), data);
        let by_columns = View::columns_of(&data, 4).unwrap();
        assert_eq!(by_columns.column(1).unwrap(), [4.0, 5.0, 6.0, 7.0]);
        assert_eq!(by_columns.get(1, 2), 9.0);
        assert!(by_columns.as_rows().is_none());
        assert_eq!(by_columns.rows(2..4).get(0, 0), 2.0);
    }

    /// A part of an array borrows the memory behind it too.
    #[test]
    fn nothing_is_read_outside_a_part() {
        let mut data: Vec<f32> = (0..12_u8).map(f32::from).collect();
        let panics = |f: &mut dyn FnMut()| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err()
        };
        let view = View::rows_of(&data, 4).unwrap();
        assert!(panics(&mut || _ = view.rows(0..2).row(2)));
        assert!(panics(&mut || _ = view.rows(0..2).get(2, 0)));
        assert!(panics(&mut || _ = view.transposed().cols(0..2).column(2)));
        // Rows of nothing are there, wherever they would begin.
        let empty = View::strided(&data, 3, 0, 40, 1).unwrap();
        assert_eq!(empty.row(2), Some(&[][..]));
        let mut part = ViewMut::rows_of(&mut data, 4).unwrap().rows(0..2);
        assert!(panics(&mut || _ = part.row_mut(2)));
        assert!(panics(&mut || _ = part.rows_mut(1, 2)));
        assert_eq!(part.rows_mut(1, 1).unwrap()[0], 4.0);
    }

    #[test]
    fn parts_and_transposes_are_the_same_numbers() {
        let mut data: Vec<f32> = (0..12_u8).map(f32::from).collect();
        let by_rows = View::rows_of(&data, 4).unwrap();
        assert_eq!(by_rows.transposed().get(3, 2), 11.0);
        assert_eq!(by_rows.cols(1..3).rows(1..3).get(1, 1), 10.0);
        assert_eq!(by_rows.cols(4..4).n_cols(), 0);
        let view = ViewMut::rows_of(&mut data, 4).unwrap();
        let mut part = view.cols(1..3).rows(1..3).transposed();
        assert_eq!((part.n_rows(), part.n_cols(), part.strides()), (2, 2, (1, 4)));
        part.set(1, 0, -6.0);
        part.set(0, 1, -9.0);
        assert_eq!((data[6], data[9]), (-6.0, -9.0));
    }

    #[test]
    fn writing_is_split_by_rows_only() {
        let mut data = [0.0_f32; 12];
        let view = ViewMut::rows_of(&mut data, 4).unwrap();
        let (mut a, mut b) = view.split_at_row(1).unwrap();
        assert_eq!((a.n_rows(), b.n_rows()), (1, 2));
        a.set(0, 3, 1.0);
        b.set(1, 0, 2.0);
        assert_eq!((data[3], data[8]), (1.0, 2.0));
        assert!(ViewMut::columns_of(&mut data, 4).unwrap().split_at_row(1).is_err());
        let (a, b) = ViewMut::rows_of(&mut data, 4).unwrap().split_at_row(3).unwrap();
        assert_eq!((a.n_rows(), b.n_rows()), (3, 0));
    }
}
