//! The product of two f32 matrices, with the same bits on every machine.
//!
//! ```text
//! c[i][j] = fma(a[i][k-1], b[k-1][j], ... fma(a[i][1], b[1][j], fma(a[i][0], b[0][j], s)))
//! s = 0, or the present c[i][j] to add to it
//! ```
//!
//! Every element of the result is one chain of fused multiply-adds over ascending `k`, never split
//! and never reordered. So its bits depend on its row of `a`, its column of `b` and where it began,
//! and on nothing else: not on the tile, the blocks, the instruction level, or which rows and
//! columns are computed in one call. A caller may split the rows or the columns among threads, and
//! a product over `k` in two halves, the second adding to the first, is the whole product.
//!
//! The chain costs no speed: a tile of the result is held in registers (12 x 32 with AVX-512),
//! which makes enough independent chains to fill the units. `a` and `b` are copied into slivers as
//! wide as the tile, zeros at the edge, in blocks that fit the caches; between blocks of `k` the
//! chain rests in `c`. After a change to the size of a tile, look at the loop (`cargo rustc
//! --release -p xent -- --emit asm`, no `rsp` in it) and at the time: a tile of 14 x 32 has no room
//! in the registers.
//!
//! Without fused multiply-add in the hardware, it is made from f64 operations, bit for bit, about
//! 80 times slower.

use std::ops::Range;

use crate::simd::{Level, WIDE, WidePlain, WideVector, leveled, prefetch};
#[cfg(target_arch = "x86_64")]
use crate::simd::{WideAvx2, WideAvx512};
use crate::view::{View, ViewMut};

/// Depth of a block: a sliver of `a` this deep stays in the first-level cache.
const DEPTH: usize = 384;
/// Columns of a block of `b`: with `DEPTH`, in the second-level cache.
const COLUMNS: usize = 256;
/// Elements of `a` copied at once, for the third-level cache.
const LEFT: usize = 1 << 20;
/// Depth copied at once at most, so that enough rows fit into `LEFT`.
pub(crate) const DEEP: usize = 4 * DEPTH;

/// Where the chains of a product begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At zero: what the result held is overwritten.
    Zero,
    /// At what the result holds: the product is added to it.
    Present,
}

/// Memory for the copies that a product works on, at most about 5 MiB. Reused, it is allocated
/// once.
#[derive(Debug, Default)]
pub struct Workspace {
    left: Memory,
    right: Memory,
}

impl Workspace {
    /// An empty workspace; the first product allocates.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        self.left_bytes() + 4 * self.right.0.capacity()
    }

    /// Bytes it holds for left factors.
    pub(crate) fn left_bytes(&self) -> usize {
        4 * self.left.0.capacity()
    }
}

/// `a * b` into `c`, or added to `c`: one chain of fused multiply-adds an element.
///
/// ```text
/// c[i][j] = fma(a[i][k-1], b[k-1][j], ... fma(a[i][0], b[0][j], s)),  s = 0 or the present c[i][j]
/// ```
///
/// Shapes: `a` `(m, k)`, `b` `(k, n)`, `c` `(m, n)`, any strides. Domain: all f32, infinities and
/// NaN as IEEE 754 has them; the sign and payload of a NaN are unspecified. Accuracy: one rounding
/// a step, so `|error| <= k u (|a| |b|)[i][j]` with u = 2^-24, to first order. The bits are tested
/// against the plain loop.
///
/// # Panics
/// The shapes do not fit one another.
///
/// ```
/// use xent::gemm::{Start, Workspace, product};
/// use xent::view::{View, ViewMut};
/// let a = [1.0, 2.0, 3.0, 4.0];
/// let a = View::rows_of(&a, 2)?;
/// let mut c = [0.0; 4];
/// product(a, a.transposed(), ViewMut::rows_of(&mut c, 2)?, Start::Zero, &mut Workspace::new());
/// assert_eq!(c, [5.0, 11.0, 11.0, 25.0]);
/// # Ok::<(), xent::view::ShapeError>(())
/// ```
pub fn product(
    a: View<'_, f32>,
    b: View<'_, f32>,
    c: ViewMut<'_, f32>,
    start: Start,
    workspace: &mut Workspace,
) {
    product_at(Level::Avx512, a, b, c, start, workspace);
}

/// As [`product`], with instructions of at most this level.
fn product_at(
    at: Level,
    a: View<'_, f32>,
    b: View<'_, f32>,
    c: ViewMut<'_, f32>,
    start: Start,
    workspace: &mut Workspace,
) {
    // Tiles are written along rows of the result: turn it if its columns are the contiguous ones.
    let (row_stride, col_stride) = c.strides();
    if row_stride == 1 && col_stride != 1 {
        let (a, b) = (Side::View(b.transposed()), Side::View(a.transposed()));
        side_product(at, a, b, c.transposed(), start, workspace);
    } else {
        side_product(at, Side::View(a), Side::View(b), c, start, workspace);
    }
}

/// As [`product`], factors copied before or not; the result is written fast if its rows are
/// contiguous.
pub(crate) fn side_product(
    at: Level,
    a: Side<'_>,
    b: Side<'_>,
    mut c: ViewMut<'_, f32>,
    start: Start,
    workspace: &mut Workspace,
) {
    let ((m, k), (n, k_of_b)) = (a.shape(), b.transposed_shape());
    assert!(
        k == k_of_b && m == c.n_rows() && n == c.n_cols(),
        "a product of {m} x {k} by {k_of_b} x {n} into {} x {}",
        c.n_rows(),
        c.n_cols()
    );
    if k == 0 && start == Start::Zero {
        for i in 0..m {
            for j in 0..n {
                c.set(i, j, 0.0);
            }
        }
    }
    if m > 0 && n > 0 && k > 0 {
        blocks(at, a, b, c, start, workspace);
    }
}

/// A factor of a product.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side<'a> {
    View(View<'a, f32>),
    Packed(&'a Packed),
}

impl Side<'_> {
    fn shape(&self) -> (usize, usize) {
        match self {
            Self::View(view) => (view.n_rows(), view.n_cols()),
            Self::Packed(packed) => (packed.lines, packed.depth),
        }
    }

    fn transposed_shape(&self) -> (usize, usize) {
        match self {
            Self::View(view) => (view.n_cols(), view.n_rows()),
            Self::Packed(packed) => (packed.lines, packed.depth),
        }
    }
}

/// A whole factor copied once for many products: rows of a left one or columns of a right one.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    memory: Memory,
    lines: usize,
    depth: usize,
    /// Lines of a sliver.
    width: usize,
}

impl Packed {
    /// Takes a left factor in.
    pub(crate) fn left(&mut self, at: Level, a: View<'_, f32>) {
        (self.lines, self.depth) = (a.n_rows(), a.n_cols());
        pack_left(at, a, self);
    }

    /// Takes a right factor in.
    pub(crate) fn right(&mut self, at: Level, b: View<'_, f32>) {
        (self.lines, self.depth) = (b.n_cols(), b.n_rows());
        pack_right(at, b, self);
    }
}

leveled! {
    fn pack_left(at: Level; a: View<'_, f32>, packed: &mut Packed) => {
        avx512: pack_left_body::<12>,
        avx2: pack_left_body::<6>,
        baseline: pack_left_body::<4>,
    }
}

leveled! {
    fn pack_right(at: Level; b: View<'_, f32>, packed: &mut Packed) => {
        avx512: pack_right_body::<32>,
        avx2: pack_right_body::<16>,
        baseline: pack_right_body::<16>,
    }
}

leveled! {
    /// The blocks of a product, none of its sides zero.
    fn blocks(at: Level; a: Side<'_>, b: Side<'_>, c: ViewMut<'_, f32>, start: Start, workspace: &mut Workspace) => {
        avx512: blocks_body::<WideAvx512, 12, 32, 2>,
        avx2: blocks_body::<WideAvx2, 6, 16, 1>,
        baseline: blocks_body::<WidePlain, 4, 16, 1>,
    }
}

#[inline(always)]
fn pack_left_body<const MR: usize>(a: View<'_, f32>, packed: &mut Packed) {
    packed.width = MR;
    let tall = a.n_rows().next_multiple_of(MR);
    let memory = packed.memory.take(tall * a.n_cols());
    for depth in steps(a.n_cols(), DEPTH) {
        pack::<MR>(a.cols(depth.clone()), &mut memory[tall * depth.start..tall * depth.end]);
    }
}

#[inline(always)]
fn pack_right_body<const NR: usize>(b: View<'_, f32>, packed: &mut Packed) {
    packed.width = NR;
    let k = b.n_rows();
    let memory = packed.memory.take(b.n_cols().next_multiple_of(NR) * k);
    for j in steps(b.n_cols(), COLUMNS) {
        let wide = j.len().next_multiple_of(NR);
        for depth in steps(k, DEPTH) {
            let start = j.start * k + wide * depth.start;
            let out = &mut memory[start..start + wide * depth.len()];
            pack::<NR>(b.rows(depth).cols(j.clone()).transposed(), out);
        }
    }
}

#[inline(always)]
fn blocks_body<V: WideVector, const MR: usize, const NR: usize, const NV: usize>(
    a: Side<'_>,
    b: Side<'_>,
    mut c: ViewMut<'_, f32>,
    start: Start,
    workspace: &mut Workspace,
) {
    let ((m, k), n) = (a.shape(), c.n_cols());
    let deepest = if matches!(a, Side::View(_)) { DEEP } else { k };
    for deep in steps(k, deepest) {
        // Even parts rather than full ones and a rest.
        let parts = match a {
            Side::View(_) => m.div_ceil((LEFT / deep.len()).next_multiple_of(MR)),
            Side::Packed(_) => 1,
        };
        for i in steps(m, m.div_ceil(parts).next_multiple_of(MR)) {
            let tall = i.len().next_multiple_of(MR);
            let copy = match a {
                Side::View(_) => workspace.left.take(tall * deep.len()),
                Side::Packed(_) => &mut [],
            };
            for (number, j) in steps(n, COLUMNS).enumerate() {
                let wide = j.len().next_multiple_of(NR);
                for depth in steps(deep.len(), DEPTH) {
                    let slab = tall * depth.start..tall * depth.end;
                    let first = deep.start + depth.start == 0 && start == Start::Zero;
                    let depth = deep.start + depth.start..deep.start + depth.end;
                    let left = match a {
                        Side::View(a) => {
                            if number == 0 {
                                let part = a.cols(depth.clone()).rows(i.clone());
                                pack::<MR>(part, &mut copy[slab.clone()]);
                            }
                            &copy[slab]
                        }
                        Side::Packed(a) => &a.slivers(MR)[slab],
                    };
                    let right = match b {
                        Side::View(b) => {
                            let out = workspace.right.take(wide * depth.len());
                            let part = b.rows(depth.clone()).cols(j.clone());
                            pack::<NR>(part.transposed(), out);
                            &*out
                        }
                        Side::Packed(b) => {
                            let start = j.start * k + wide * depth.start;
                            &b.slivers(NR)[start..start + wide * depth.len()]
                        }
                    };
                    let mut c = c.reborrow().rows(i.clone()).cols(j.clone());
                    block_product::<V, MR, NR, NV>(left, right, depth.len(), &mut c, first);
                }
            }
        }
    }
}

impl Packed {
    /// Bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        4 * self.memory.0.capacity()
    }

    fn slivers(&self, width: usize) -> &[f32] {
        assert_eq!(self.width, width, "packed for the other side, or another level");
        self.memory.get(self.lines.next_multiple_of(width) * self.depth)
    }
}

/// `0..end` in ranges of `step`, the last one shorter.
pub(crate) fn steps(end: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
    (0..end).step_by(step).map(move |start| start..end.min(start + step))
}

/// Numbers from the start of a cache line on.
#[derive(Debug, Default)]
struct Memory(Vec<f32>);

impl Memory {
    const LINE: usize = 16;

    fn start(&self) -> usize {
        self.0.as_ptr().align_offset(64).min(Self::LINE)
    }

    /// The first `len` numbers, whatever they are.
    fn take(&mut self, len: usize) -> &mut [f32] {
        if self.0.len() < len + Self::LINE {
            self.0 = Vec::new();
            self.0.resize(len + Self::LINE, 0.0);
        }
        let start = self.start();
        &mut self.0[start..start + len]
    }

    /// The first `len` numbers of those taken before.
    fn get(&self, len: usize) -> &[f32] {
        let start = self.start();
        &self.0[start..start + len]
    }
}

/// Copies a matrix into slivers of `R` rows: `out[s][k][r]` is the element of row `s R + r` and
/// column `k`, zero below the last row.
#[inline(always)]
fn pack<const R: usize>(matrix: View<'_, f32>, out: &mut [f32]) {
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
                for r in 0..R {
                    let line = &from[r * row_stride + l * LINE..][..LINE];
                    for k in 0..LINE {
                        out[k][r] = line[k];
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

/// The tiles of one block: `left` and `right` are packed, `depth` deep.
#[inline(always)]
fn block_product<V: WideVector, const MR: usize, const NR: usize, const NV: usize>(
    left: &[f32],
    right: &[f32],
    depth: usize,
    c: &mut ViewMut<'_, f32>,
    first: bool,
) {
    let (rows, columns, (row_stride, col_stride)) = (c.n_rows(), c.n_cols(), c.strides());
    let c = c.memory();
    for (i, left) in steps(rows, MR).zip(left.chunks_exact(depth * MR)) {
        for (j, right) in steps(columns, NR).zip(right.chunks_exact(depth * NR)) {
            let c = &mut c[i.start * row_stride + j.start * col_stride..];
            if i.len() == MR && j.len() == NR && col_stride == 1 {
                if j.end < columns {
                    for i in 0..MR {
                        prefetch(c, i * row_stride + NR);
                        prefetch(c, i * row_stride + NR + 16);
                    }
                }
                tile::<V, MR, NR, NV>(left, right, c, row_stride, first);
                continue;
            }
            let mut edge = [[0.0_f32; NR]; MR];
            for (r, line) in edge[..i.len()].iter_mut().enumerate() {
                for (s, number) in line[..j.len()].iter_mut().enumerate() {
                    *number = c[r * row_stride + s * col_stride];
                }
            }
            tile::<V, MR, NR, NV>(left, right, edge.as_flattened_mut(), NR, first);
            for (r, line) in edge[..i.len()].iter().enumerate() {
                for (s, &number) in line[..j.len()].iter().enumerate() {
                    c[r * row_stride + s * col_stride] = number;
                }
            }
        }
    }
}

/// One tile of the result through one block of depth: `MR` rows of `NR` numbers, `NV` vectors,
/// `stride` apart.
#[inline(always)]
fn tile<V: WideVector, const MR: usize, const NR: usize, const NV: usize>(
    left: &[f32],
    right: &[f32],
    c: &mut [f32],
    stride: usize,
    first: bool,
) {
    const { assert!(NR == NV * WIDE) };
    let mut held = [[V::splat(0.0); NV]; MR];
    if !first {
        for i in 0..MR {
            let line = c[i * stride..][..NR].as_chunks().0;
            for j in 0..NV {
                held[i][j] = V::load(&line[j]);
            }
        }
    }
    for (a, b) in left.as_chunks::<MR>().0.iter().zip(right.as_chunks::<NR>().0) {
        let line = b.as_chunks().0;
        let mut b = [V::splat(0.0); NV];
        for j in 0..NV {
            b[j] = V::load(&line[j]);
        }
        for i in 0..MR {
            let a = V::splat(a[i]);
            for j in 0..NV {
                held[i][j] = held[i][j].fma(a, b[j]);
            }
        }
    }
    for i in 0..MR {
        let line = c[i * stride..][..NR].as_chunks_mut().0;
        for j in 0..NV {
            line[j] = held[i][j].store();
        }
    }
}

#[cfg(test)]
#[path = "gemm_tests.rs"]
mod tests;
