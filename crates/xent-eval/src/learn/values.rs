//! A feature's values as the design matrix takes them.

use std::hash::{DefaultHasher, Hasher};

use xent::view::View;
use xent_io::MappedCodes;
use xent_io::svmlight::{self, MappedValues};
use xent_train::{Block, Category, Codes, Sparse, SparseValues};

use super::cells::Cells;
use super::lot::Lot;

/// A feature's values, or a part of them.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    Numbers(Cells, Shape),
    Codes {
        codes: OwnedCodes,
        /// The level of each code, where the codes are those of a file.
        to_level: Option<Vec<u32>>,
        n_levels: usize,
        reference: Option<usize>,
    },
    /// Row `i` holds what is at `offsets[i]..offsets[i + 1]`.
    Sparse {
        offsets: Vec<usize>,
        indices: Lot<u32>,
        values: SparseNumbers,
        width: usize,
    },
}

/// The numbers of sparse rows.
#[derive(Clone, Debug)]
pub(crate) enum SparseNumbers {
    /// Each is 1.
    Ones,
    F32(Lot<f32>),
    F64(Lot<f64>),
}

impl From<svmlight::Values> for SparseNumbers {
    fn from(values: svmlight::Values) -> Self {
        match values {
            svmlight::Values::Ones => Self::Ones,
            svmlight::Values::F32(x) => Self::F32(x.into()),
            svmlight::Values::F64(x) => Self::F64(x.into()),
        }
    }
}

impl From<MappedValues> for SparseNumbers {
    fn from(values: MappedValues) -> Self {
        match values {
            MappedValues::Ones => Self::Ones,
            MappedValues::F32(x) => Self::F32(Lot::Mapped(x)),
            MappedValues::F64(x) => Self::F64(Lot::Mapped(x)),
        }
    }
}

/// Where the numbers of a row are: that of column `j` at `row * row_stride + j * column_stride`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub width: usize,
    pub row_stride: usize,
    pub column_stride: usize,
}

impl Shape {
    /// One row behind the other.
    pub fn rows_of(width: usize) -> Self {
        Self { width, row_stride: width, column_stride: 1 }
    }
}

/// The level of each row of a category.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowLevels<'a> {
    codes: Codes<'a>,
    to_level: Option<&'a [u32]>,
}

impl RowLevels<'_> {
    /// That of a row.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn get(&self, row: usize) -> usize {
        let code = self.codes.get(row);
        self.to_level.map_or(code, |to_level| to_level[code] as usize)
    }

    /// Those of all rows.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        (0..self.codes.len()).map(|row| self.get(row))
    }
}

/// Codes as narrow as the number of levels allows, or as the file has them.
#[derive(Clone, Debug)]
pub(crate) enum OwnedCodes {
    U8(Lot<u8>),
    U16(Lot<u16>),
    U32(Lot<u32>),
}

impl From<MappedCodes> for OwnedCodes {
    fn from(codes: MappedCodes) -> Self {
        match codes {
            MappedCodes::U8(codes) => Self::U8(Lot::Mapped(codes)),
            MappedCodes::U16(codes) => Self::U16(Lot::Mapped(codes)),
            MappedCodes::U32(codes) => Self::U32(Lot::Mapped(codes)),
        }
    }
}

impl OwnedCodes {
    pub fn codes(&self) -> Codes<'_> {
        match self {
            Self::U8(codes) => Codes::U8(codes),
            Self::U16(codes) => Codes::U16(codes),
            Self::U32(codes) => Codes::U32(codes),
        }
    }
}

impl Values {
    pub fn block(&self, rows: usize) -> Option<Block<'_>> {
        fn view<'a, T: Copy>(x: &'a [T], rows: usize, shape: &Shape) -> Option<View<'a, T>> {
            View::strided(x, rows, shape.width, shape.row_stride, shape.column_stride).ok()
        }
        Some(match self {
            Self::Numbers(Cells::U8(x), shape) => Block::U8(view(x, rows, shape)?),
            Self::Numbers(Cells::I8(x), shape) => Block::I8(view(x, rows, shape)?),
            Self::Numbers(Cells::I32(x), shape) => Block::I32(view(x, rows, shape)?),
            Self::Numbers(Cells::F32(x), shape) => Block::F32(view(x, rows, shape)?),
            Self::Numbers(Cells::F64(x), shape) => Block::F64(view(x, rows, shape)?),
            Self::Codes { codes, to_level, n_levels, reference } => {
                let mut category = Category::with_reference(codes.codes(), *n_levels, *reference);
                if let Some(to_level) = to_level {
                    let columns = to_level.iter().map(|&level| category.columns[level as usize]);
                    category.columns = columns.collect();
                }
                Block::Category(category)
            }
            Self::Sparse { offsets, indices, values, width } => Block::Sparse(Sparse {
                offsets,
                indices,
                values: match values {
                    SparseNumbers::Ones => SparseValues::Ones,
                    SparseNumbers::F32(x) => SparseValues::F32(x),
                    SparseNumbers::F64(x) => SparseValues::F64(x),
                },
                width: *width,
            }),
        })
    }

    /// Of each row a number for each column; of sparse rows none.
    pub fn width(&self) -> usize {
        match self {
            Self::Numbers(_, shape) => shape.width,
            Self::Codes { .. } => 1,
            Self::Sparse { .. } => 0,
        }
    }

    /// The number, or the code.
    pub fn number(&self, row: usize, col: usize) -> f64 {
        match self {
            Self::Numbers(cells, shape) => {
                cells.get(row * shape.row_stride + col * shape.column_stride)
            }
            Self::Codes { .. } => self.levels().map_or(0.0, |levels| levels.get(row) as f64),
            Self::Sparse { .. } => 0.0,
        }
    }

    /// The level of each row, of a category.
    pub fn levels(&self) -> Option<RowLevels<'_>> {
        match self {
            Self::Codes { codes, to_level, .. } => {
                Some(RowLevels { codes: codes.codes(), to_level: to_level.as_deref() })
            }
            _ => None,
        }
    }

    /// The same for equal columns; of a few rows, as most columns differ soon.
    pub fn hash(&self, col: usize, rows: usize) -> u64 {
        let mut hasher = DefaultHasher::new();
        for i in 0..rows.min(256) {
            hasher.write_u64(self.number(i * rows / rows.min(256), col).to_bits());
        }
        hasher.finish()
    }
}
