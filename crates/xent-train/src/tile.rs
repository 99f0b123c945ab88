//! A few hundred rows of the design in f64, standardised, eight rows side by side: what every pass works on.

use std::ops::Range;

use xent::leveled;
use xent::simd::prefetch_second;
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
///
/// `lanes[g * stride + j]` is column `j` of the rows `8 g ..`.
#[derive(Debug)]
pub(crate) struct Tile {
    pub lanes: Vec<Lanes>,
    pub groups: usize,
    pub stride: usize,
    scratch: Vec<f64>,
}

impl Tile {
    /// Room for `height` rows of `width` columns.
    pub fn new(width: usize, height: usize) -> Self {
        // An odd distance, so that the groups do not fall into the same lines of the cache.
        let stride = width | 1;
        Self {
            lanes: vec![ZERO; stride * height.div_ceil(LANES)],
            groups: 0,
            stride,
            scratch: Vec::new(),
        }
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
                let out = &mut self.lanes[first..];
                let (stride, scratch) = (self.stride, &mut self.scratch);
                let center = &scaling.center[feature..feature + width];
                let inverse = &scaling.inverse[feature..feature + width];
                match block {
                    Block::F64(view) => {
                        fill(*view, rows, range, center, inverse, stride, scratch, out);
                    }
                    Block::F32(view) => {
                        fill(*view, rows, range, center, inverse, stride, scratch, out);
                    }
                    Block::U8(view) => {
                        fill(*view, rows, range, center, inverse, stride, scratch, out);
                    }
                    Block::I8(view) => {
                        fill(*view, rows, range, center, inverse, stride, scratch, out);
                    }
                    Block::I32(view) => {
                        fill(*view, rows, range, center, inverse, stride, scratch, out);
                    }
                    Block::Category(_) | Block::Sparse(_) => {}
                }
                first += width;
            }
            feature += width;
        }
        for g in 0..groups {
            self.lanes[g * self.stride + first] = [1.0; LANES];
        }
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
                let stride = self.stride;
                let out = &mut self.lanes[first..];
                for g in 0..groups {
                    out[g * stride..][..width].fill(ZERO);
                }
                let inverse = &scaling.inverse[feature..feature + width];
                for i in 0..groups * LANES {
                    let row = rows.at(range.start + i.min(range.len() - 1));
                    for_each(block, row, |col, x| {
                        out[i / LANES * stride + col][i % LANES] = x * inverse[col];
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
impl Number for i8 {
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

#[allow(clippy::too_many_arguments)]
fn fill<T: Number>(
    view: View<'_, T>,
    rows: Rows<'_>,
    range: &Range<usize>,
    center: &[f64],
    inverse: &[f64],
    stride: usize,
    scratch: &mut Vec<f64>,
    out: &mut [Lanes],
) {
    let groups = range.len().div_ceil(LANES);
    let (row_stride, col_stride) = view.strides();
    if let Rows::All(_) = rows
        && row_stride == 1
    {
        for j in 0..view.n_cols() {
            let column = view.column(j).unwrap_or_default();
            fill_column(&column[range.clone()], center[j], inverse[j], stride, &mut out[j..]);
        }
    } else if col_stride == 1 || view.n_cols() == 1 {
        let n = view.n_cols();
        // Eight rows at a time as one long row: short rows have more ends than middles. All of the tile is read before any of
        // it is exchanged: memory is fast only where nothing comes between two reads.
        let (center, inverse) = (center.repeat(LANES), inverse.repeat(LANES));
        scratch.resize(groups * LANES * n, 0.0);
        let flat = view.as_rows().filter(|_| matches!(rows, Rows::All(_)));
        for (g, scratch) in scratch.chunks_exact_mut(LANES * n).enumerate() {
            let first = range.start + g * LANES;
            if let Some(flat) = flat.filter(|_| first + LANES <= range.end) {
                let x = &flat[first * n..(first + LANES) * n];
                standardize(x, &center, &inverse, scratch);
            } else {
                for (l, scratch) in scratch.chunks_exact_mut(n).enumerate() {
                    let row = rows.at((first + l).min(range.end - 1));
                    standardize(view.row(row).unwrap_or_default(), &center, &inverse, scratch);
                }
            }
        }
        for (scratch, out) in scratch.chunks_exact(LANES * n).zip(out.chunks_mut(stride)) {
            exchange(scratch, &mut out[..n]);
        }
    } else {
        for i in 0..groups * LANES {
            let row = rows.at(range.start + i.min(range.len() - 1));
            for j in 0..view.n_cols() {
                let x = (view.get(row, j).to_f64() - center[j]) * inverse[j];
                out[i / LANES * stride + j][i % LANES] = x;
            }
        }
    }
}

leveled! {
    fn fill_column[T: Number](column: &[T], center: f64, inverse: f64, stride: usize, out: &mut [Lanes]) => column_body::<FMA>
}
#[inline(always)]
fn column_body<const FMA: bool, T: Number>(
    column: &[T],
    center: f64,
    inverse: f64,
    stride: usize,
    out: &mut [Lanes],
) {
    let last = column.last().copied().unwrap_or_default();
    let (whole, rest) = column.as_chunks::<LANES>();
    for (i, (x, out)) in whole.iter().zip(out.chunks_mut(stride)).enumerate() {
        // The rows that come next: so short a stretch of so many columns no hardware foresees.
        prefetch_second(column, column.len() + i * LANES);
        for l in 0..LANES {
            out[0][l] = (x[l].to_f64() - center) * inverse;
        }
    }
    if !rest.is_empty() {
        let out = &mut out[whole.len() * stride];
        for l in 0..LANES {
            out[l] = (rest.get(l).copied().unwrap_or(last).to_f64() - center) * inverse;
        }
    }
}

leveled! {
    fn standardize[T: Number](x: &[T], center: &[f64], inverse: &[f64], out: &mut [f64]) => standardize_body::<FMA>
}
#[inline(always)]
fn standardize_body<const FMA: bool, T: Number>(
    x: &[T],
    center: &[f64],
    inverse: &[f64],
    out: &mut [f64],
) {
    for (((out, x), center), inverse) in out.iter_mut().zip(x).zip(center).zip(inverse) {
        *out = (x.to_f64() - center) * inverse;
    }
}

/// Eight rows, one after another, to lanes.
///
/// Not compiled for a higher level: there the compiler makes gathers and scatters of it, which take several times as long.
#[inline(never)]
fn exchange(rows: &[f64], out: &mut [Lanes]) {
    let n = out.len();
    let (a, rows) = rows.split_at(n);
    let (b, rows) = rows.split_at(n);
    let (c, rows) = rows.split_at(n);
    let (d, rows) = rows.split_at(n);
    let (e, rows) = rows.split_at(n);
    let (f, rows) = rows.split_at(n);
    let (g, h) = rows.split_at(n);
    let h = &h[..n];
    for (j, out) in out.iter_mut().enumerate() {
        *out = [a[j], b[j], c[j], d[j], e[j], f[j], g[j], h[j]];
    }
}
