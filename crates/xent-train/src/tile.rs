//! A few hundred rows of the design in f64, standardised, eight rows side by side: what every pass works on.

use std::ops::Range;

use xent::leveled;
use xent::view::View;

use crate::design::{Block, Design};
use crate::kernel::{LANES, Lanes, ZERO};
use crate::scaling::Scaling;

/// Which rows a pass goes over, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rows<'a> {
    All(usize),
    List(&'a [u32]),
}

impl Rows<'_> {
    pub fn len(&self) -> usize {
        match self {
            Self::All(n) => *n,
            Self::List(list) => list.len(),
        }
    }

    #[inline(always)]
    pub fn at(&self, i: usize) -> usize {
        match self {
            Self::All(_) => i,
            Self::List(list) => list[i] as usize,
        }
    }
}

/// Standardised numbers: dense columns in their order, then ones for the intercept, then, if wanted, a column
/// for each of the other features.
pub(crate) struct Tile {
    pub lanes: Vec<Lanes>,
    pub groups: usize,
}

impl Tile {
    /// Room for `height` rows of `width` columns.
    pub fn new(width: usize, height: usize) -> Self {
        Self { lanes: vec![ZERO; width * height.div_ceil(LANES)], groups: 0 }
    }

    /// Loads the rows of a range. Behind the last there are copies of it up to a whole group.
    pub fn load(
        &mut self,
        design: &Design<'_>,
        scaling: &Scaling,
        rows: Rows<'_>,
        range: &Range<usize>,
        expand: bool,
    ) {
        let groups = range.len().div_ceil(LANES);
        self.groups = groups;
        let mut first = 0;
        let mut feature = 0;
        for block in design.blocks() {
            let width = block.width();
            if block.is_dense() {
                let out = &mut self.lanes[first * groups..(first + width) * groups];
                let center = &scaling.center[feature..feature + width];
                let inverse = &scaling.inverse[feature..feature + width];
                match block {
                    Block::F64(view) => fill(*view, rows, range, center, inverse, out),
                    Block::F32(view) => fill(*view, rows, range, center, inverse, out),
                    Block::U8(view) => fill(*view, rows, range, center, inverse, out),
                    Block::I32(view) => fill(*view, rows, range, center, inverse, out),
                    Block::Category(_) | Block::Sparse(_) => {}
                }
                first += width;
            }
            feature += width;
        }
        self.lanes[first * groups..(first + 1) * groups].fill([1.0; LANES]);
        if expand {
            self.expand(design, scaling, rows, range, first + 1);
        }
    }

    /// The columns of categories and sparse blocks, as if they were dense.
    fn expand(
        &mut self,
        design: &Design<'_>,
        scaling: &Scaling,
        rows: Rows<'_>,
        range: &Range<usize>,
        mut first: usize,
    ) {
        let groups = self.groups;
        let mut feature = 0;
        for block in design.blocks() {
            let width = block.width();
            if !block.is_dense() {
                let out = &mut self.lanes[first * groups..(first + width) * groups];
                out.fill(ZERO);
                let inverse = &scaling.inverse[feature..feature + width];
                for i in 0..groups * LANES {
                    let row = rows.at(range.start + i.min(range.len() - 1));
                    for_each(block, row, |col, x| {
                        out[col * groups + i / LANES][i % LANES] = x * inverse[col];
                    });
                }
                first += width;
            }
            feature += width;
        }
    }
}

/// Calls `f` with the column and the number of what a row has in a category or a sparse block.
#[inline(always)]
pub(crate) fn for_each(block: &Block<'_>, row: usize, mut f: impl FnMut(usize, f64)) {
    match block {
        Block::Category(category) => {
            let column = category.columns[category.codes.get(row)];
            if (column as usize) < category.width {
                f(column as usize, 1.0);
            }
        }
        Block::Sparse(sparse) => {
            for i in sparse.offsets[row]..sparse.offsets[row + 1] {
                f(sparse.indices[i] as usize, sparse.values.get(i));
            }
        }
        _ => {}
    }
}

/// Kinds of numbers of a design.
pub(crate) trait Number: Copy + Default + Send + Sync {
    fn to_f64(self) -> f64;
}
impl Number for f64 {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
}
impl Number for f32 {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}
impl Number for u8 {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}
impl Number for i32 {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

fn fill<T: Number>(
    view: View<'_, T>,
    rows: Rows<'_>,
    range: &Range<usize>,
    center: &[f64],
    inverse: &[f64],
    out: &mut [Lanes],
) {
    let groups = range.len().div_ceil(LANES);
    let (row_stride, col_stride) = view.strides();
    if let Rows::All(_) = rows
        && row_stride == 1
    {
        for (j, out) in out.chunks_exact_mut(groups).enumerate() {
            let column = view.column(j).unwrap_or_default();
            fill_column(&column[range.clone()], center[j], inverse[j], out);
        }
    } else if col_stride == 1 || view.n_cols() == 1 {
        for g in 0..groups {
            let slices: [&[T]; LANES] = std::array::from_fn(|l| {
                let i = (g * LANES + l).min(range.len() - 1);
                view.row(rows.at(range.start + i)).unwrap_or_default()
            });
            fill_group(&slices, center, inverse, groups, g, out);
        }
    } else {
        for (j, out) in out.chunks_exact_mut(groups).enumerate() {
            for (i, slot) in out.as_flattened_mut().iter_mut().enumerate() {
                let row = rows.at(range.start + i.min(range.len() - 1));
                *slot = (view.get(row, j).to_f64() - center[j]) * inverse[j];
            }
        }
    }
}

leveled! {
    fn fill_column[T: Number](column: &[T], center: f64, inverse: f64, out: &mut [Lanes]) => column_body::<FMA>
}
#[inline(always)]
fn column_body<const FMA: bool, T: Number>(
    column: &[T],
    center: f64,
    inverse: f64,
    out: &mut [Lanes],
) {
    let last = column.last().copied().unwrap_or_default();
    let (whole, rest) = column.as_chunks::<LANES>();
    for (x, out) in whole.iter().zip(out.iter_mut()) {
        for l in 0..LANES {
            out[l] = (x[l].to_f64() - center) * inverse;
        }
    }
    if let Some(out) = out.get_mut(whole.len()) {
        for l in 0..LANES {
            out[l] = (rest.get(l).copied().unwrap_or(last).to_f64() - center) * inverse;
        }
    }
}

leveled! {
    fn fill_group[T: Number](rows: &[&[T]; LANES], center: &[f64], inverse: &[f64], groups: usize, g: usize, out: &mut [Lanes]) => group_body::<FMA>
}
#[inline(always)]
fn group_body<const FMA: bool, T: Number>(
    rows: &[&[T]; LANES],
    center: &[f64],
    inverse: &[f64],
    groups: usize,
    g: usize,
    out: &mut [Lanes],
) {
    let n = center.len();
    let rows: [&[T]; LANES] = std::array::from_fn(|l| &rows[l][..n]);
    let mut j = 0;
    // Eight columns of eight rows: read by row, written by column.
    while j + LANES <= n {
        let mut square = [ZERO; LANES];
        for l in 0..LANES {
            let x = &rows[l][j..j + LANES];
            for c in 0..LANES {
                square[c][l] = x[c].to_f64();
            }
        }
        for c in 0..LANES {
            let (center, inverse) = (center[j + c], inverse[j + c]);
            let out = &mut out[(j + c) * groups + g];
            for l in 0..LANES {
                out[l] = (square[c][l] - center) * inverse;
            }
        }
        j += LANES;
    }
    while j < n {
        let out = &mut out[j * groups + g];
        for l in 0..LANES {
            out[l] = (rows[l][j].to_f64() - center[j]) * inverse[j];
        }
        j += 1;
    }
}
