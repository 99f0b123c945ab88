//! The design matrix: features where they lie, never copied and never blown up.
//!
//! A design is a list of blocks side by side. Numbers stay in their kind and layout (a column of a table, the
//! rows of an array), categories stay codes, sparse rows stay sparse. Every pass over the rows converts a
//! few hundred of them at a time into standardised f64 within the processor's cache.

use std::ops::Range;

use xent::view::View;

use crate::error::{Error, Place};

/// Columns of the design matrix that lie together.
#[derive(Clone, Debug)]
pub enum Block<'a> {
    /// Numbers, `(n_samples, width)`.
    F64(View<'a, f64>),
    /// Numbers, `(n_samples, width)`.
    F32(View<'a, f32>),
    /// Whole numbers, `(n_samples, width)`; also booleans as 0 and 1.
    U8(View<'a, u8>),
    /// Whole numbers, `(n_samples, width)`.
    I8(View<'a, i8>),
    /// Whole numbers, `(n_samples, width)`.
    I32(View<'a, i32>),
    /// A category a row.
    Category(Category<'a>),
    /// Sparse rows.
    Sparse(Sparse<'a>),
}

/// Category codes, one byte, two or four each.
#[derive(Clone, Copy, Debug)]
pub enum Codes<'a> {
    /// At most 256 levels.
    U8(&'a [u8]),
    /// At most 65,536 levels.
    U16(&'a [u16]),
    /// Any number of levels.
    U32(&'a [u32]),
}

impl Codes<'_> {
    /// Rows.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(codes) => codes.len(),
            Self::U16(codes) => codes.len(),
            Self::U32(codes) => codes.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The code of a row.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn get(&self, row: usize) -> usize {
        match self {
            Self::U8(codes) => codes[row] as usize,
            Self::U16(codes) => codes[row] as usize,
            Self::U32(codes) => codes[row] as usize,
        }
    }
}

/// A category a row, which stands for a column of zeros and ones a level without any such column being made.
#[derive(Clone, Debug)]
pub struct Category<'a> {
    /// The level of each row.
    pub codes: Codes<'a>,
    /// The column of each level within the block; [`Category::NONE`] for the reference level, which has no
    /// coefficient. Several levels may share a column.
    pub columns: Vec<u32>,
    /// Columns of the block.
    pub width: usize,
}

impl<'a> Category<'a> {
    /// Stands for no column.
    pub const NONE: u32 = u32::MAX;

    /// Every level but the reference has a column of its own, in order.
    pub fn with_reference(codes: Codes<'a>, n_levels: usize, reference: Option<usize>) -> Self {
        let mut width = 0;
        let columns = (0..n_levels).map(|level| {
            if Some(level) == reference {
                Self::NONE
            } else {
                width += 1;
                width - 1
            }
        });
        let columns = columns.collect();
        Self { codes, columns, width: width as usize }
    }
}

/// Sparse rows: row `i` holds `values[offsets[i]..offsets[i + 1]]` in the columns `indices[..]` of the same range (CSR).
#[derive(Clone, Copy, Debug)]
pub struct Sparse<'a> {
    /// Where each row starts, and the end; `n_samples + 1`.
    pub offsets: &'a [usize],
    /// Columns, ascending within a row.
    pub indices: &'a [u32],
    /// Their numbers; `None` if all are 1.
    pub values: SparseValues<'a>,
    /// Columns of the block.
    pub width: usize,
}

/// Numbers of sparse rows.
#[derive(Clone, Copy, Debug)]
pub enum SparseValues<'a> {
    /// Each is 1.
    Ones,
    /// Any.
    F32(&'a [f32]),
    /// Any.
    F64(&'a [f64]),
}

impl SparseValues<'_> {
    #[inline(always)]
    pub(crate) fn get(&self, i: usize) -> f64 {
        match self {
            Self::Ones => 1.0,
            Self::F32(values) => f64::from(values[i]),
            Self::F64(values) => values[i],
        }
    }
}

impl Block<'_> {
    /// Columns of the block.
    pub fn width(&self) -> usize {
        match self {
            Self::F64(view) => view.n_cols(),
            Self::F32(view) => view.n_cols(),
            Self::U8(view) => view.n_cols(),
            Self::I8(view) => view.n_cols(),
            Self::I32(view) => view.n_cols(),
            Self::Category(category) => category.width,
            Self::Sparse(sparse) => sparse.width,
        }
    }

    /// Rows of the block.
    pub fn n_rows(&self) -> usize {
        match self {
            Self::F64(view) => view.n_rows(),
            Self::F32(view) => view.n_rows(),
            Self::U8(view) => view.n_rows(),
            Self::I8(view) => view.n_rows(),
            Self::I32(view) => view.n_rows(),
            Self::Category(category) => category.codes.len(),
            Self::Sparse(sparse) => sparse.offsets.len().saturating_sub(1),
        }
    }

    /// Whether the block is numbers, one for each row and column.
    pub fn is_dense(&self) -> bool {
        !matches!(self, Self::Category(_) | Self::Sparse(_))
    }

    /// The number in a row and column of a dense block; whether a row has a category's column.
    ///
    /// # Panics
    ///
    /// If there is no such row or column, or the block is sparse.
    pub(crate) fn number(&self, row: usize, col: usize) -> f64 {
        match self {
            Self::F64(view) => view.get(row, col),
            Self::F32(view) => f64::from(view.get(row, col)),
            Self::U8(view) => f64::from(view.get(row, col)),
            Self::I8(view) => f64::from(view.get(row, col)),
            Self::I32(view) => f64::from(view.get(row, col)),
            Self::Category(category) => {
                let column = category.columns[category.codes.get(row)];
                f64::from(u8::from(column as usize == col))
            }
            Self::Sparse(_) => unreachable!("sparse rows are read by row"),
        }
    }
}

/// A checked design matrix, `(n_samples, n_features)`.
#[derive(Clone, Debug)]
pub struct Design<'a> {
    n_rows: usize,
    n_features: usize,
    blocks: Vec<Block<'a>>,
}

impl<'a> Design<'a> {
    /// Blocks side by side, whose codes and indices are checked here; numbers are checked by the first pass over them.
    ///
    /// # Errors
    ///
    /// If blocks differ in rows, a code has no level, or sparse rows are malformed.
    pub fn new(blocks: Vec<Block<'a>>) -> Result<Self, Error> {
        let n_rows = blocks.first().map_or(0, Block::n_rows);
        let mut n_features = 0;
        for (number, block) in blocks.iter().enumerate() {
            if block.n_rows() != n_rows {
                return Err(Error::Rows { block: number, rows: block.n_rows(), expected: n_rows });
            }
            check_block(number, block, n_features)?;
            n_features += block.width();
        }
        Ok(Self { n_rows, n_features, blocks })
    }

    /// Rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Columns, without the intercept.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// The blocks, in the order of their columns.
    pub fn blocks(&self) -> &[Block<'a>] {
        &self.blocks
    }

    /// Whether all blocks are dense numbers.
    pub fn is_dense(&self) -> bool {
        self.blocks.iter().all(Block::is_dense)
    }
}

fn is_finite(values: &SparseValues<'_>, range: Range<usize>) -> bool {
    match values {
        SparseValues::Ones => true,
        SparseValues::F32(values) => values[range].iter().fold(true, |all, x| all & x.is_finite()),
        SparseValues::F64(values) => values[range].iter().fold(true, |all, x| all & x.is_finite()),
    }
}

fn check_block(number: usize, block: &Block<'_>, first: usize) -> Result<(), Error> {
    match block {
        Block::Category(category) => {
            let levels = category.columns.len();
            if let Some(level) = category
                .columns
                .iter()
                .position(|&c| c != Category::NONE && c as usize >= category.width)
            {
                return Err(Error::Level { block: number, row: None, level, levels });
            }
            for row in 0..category.codes.len() {
                let level = category.codes.get(row);
                if level >= levels {
                    return Err(Error::Level { block: number, row: Some(row), level, levels });
                }
            }
            Ok(())
        }
        Block::Sparse(sparse) => {
            let n_values = match sparse.values {
                SparseValues::Ones => sparse.indices.len(),
                SparseValues::F32(values) => values.len(),
                SparseValues::F64(values) => values.len(),
            };
            let whole = sparse.offsets.first() == Some(&0)
                && sparse.offsets.last() == Some(&sparse.indices.len())
                && n_values == sparse.indices.len()
                && sparse.offsets.is_sorted();
            if !whole {
                return Err(Error::Sparse { block: number, row: None });
            }
            for (row, ends) in sparse.offsets.windows(2).enumerate() {
                let indices = &sparse.indices[ends[0]..ends[1]];
                let ascending =
                    indices.windows(2).fold(true, |all, pair| all & (pair[0] < pair[1]));
                if !ascending || indices.last().is_some_and(|&c| c as usize >= sparse.width) {
                    return Err(Error::Sparse { block: number, row: Some(row) });
                }
                if is_finite(&sparse.values, ends[0]..ends[1]) {
                    continue;
                }
                for (i, &col) in (ends[0]..ends[1]).zip(indices) {
                    let value = sparse.values.get(i);
                    if !value.is_finite() {
                        let place = Place { row, feature: first + col as usize };
                        return Err(Error::NotFinite { place, value });
                    }
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
