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
//! chain rests in `c`. With few rows `b` is read as fast as memory gives it: what comes next is asked
//! for ahead, and where rows of `b` are contiguous there is no copy. After a change to `chains` or the size of a tile, look at the loop
//! (`cargo rustc --release -p xent -- --emit asm`, no `rsp` in it) and at the time.
//!
//! Without fused multiply-add in the hardware, it is made from f64 operations, bit for bit, about
//! 80 times slower.

use std::ops::Range;

use crate::simd::wide::{Wide, WideVector};
#[cfg(target_arch = "x86_64")]
use crate::simd::wide::{WideAvx2, WideAvx512};
use crate::simd::{Level, leveled, prefetch, prefetch_second};
use crate::view::{View, ViewMut};

mod pack;

use pack::{Memory, pack};

/// Depth of a block: a sliver of `a` this deep stays in the first-level cache.
const DEPTH: usize = 384;
/// Columns of a block of `b`: with `DEPTH`, in the second-level cache.
const COLUMNS: usize = 256;
/// With at most this many rows, a block of `b` serves for so few tiles that what it is copied from
/// must be in the cache before: blocks are narrow, and the next is asked for while one is worked on.
const FEW: usize = 96;
/// Columns of such a narrow block.
const NARROW: usize = 64;
/// Steps of depth for which memory is asked for at a time.
const CHUNK: usize = 16;
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
        self.left_bytes() + self.right.bytes()
    }

    /// Bytes it holds for left factors.
    pub(crate) fn left_bytes(&self) -> usize {
        self.left.bytes()
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
        avx512: pack_left_body::<WideAvx512, 12>,
        avx2: pack_left_body::<WideAvx2, 6>,
        baseline: pack_left_body::<Wide, 4>,
    }
}

leveled! {
    fn pack_right(at: Level; b: View<'_, f32>, packed: &mut Packed) => {
        avx512: pack_right_body::<WideAvx512, 32>,
        avx2: pack_right_body::<WideAvx2, 16>,
        baseline: pack_right_body::<Wide, 16>,
    }
}

leveled! {
    /// The blocks of a product, none of its sides zero.
    fn blocks(at: Level; a: Side<'_>, b: Side<'_>, c: ViewMut<'_, f32>, start: Start, workspace: &mut Workspace) => {
        avx512: blocks_body::<WideAvx512, 12, 32, 2>,
        avx2: blocks_body::<WideAvx2, 6, 16, 1>,
        baseline: blocks_body::<Wide, 4, 16, 1>,
    }
}

#[inline(always)]
fn pack_left_body<V: WideVector, const MR: usize>(a: View<'_, f32>, packed: &mut Packed) {
    packed.width = MR;
    let tall = a.n_rows().next_multiple_of(MR);
    let memory = packed.memory.take(tall * a.n_cols());
    for depth in steps(a.n_cols(), DEPTH) {
        pack::<V, MR>(a.cols(depth.clone()), &mut memory[tall * depth.start..tall * depth.end]);
    }
}

#[inline(always)]
fn pack_right_body<V: WideVector, const NR: usize>(b: View<'_, f32>, packed: &mut Packed) {
    packed.width = NR;
    let k = b.n_rows();
    let memory = packed.memory.take(b.n_cols().next_multiple_of(NR) * k);
    for j in steps(b.n_cols(), columns::<NR>(k)) {
        let wide = j.len().next_multiple_of(NR);
        for depth in steps(k, DEPTH) {
            let start = j.start * k + wide * depth.start;
            let out = &mut memory[start..start + wide * depth.len()];
            pack::<V, NR>(b.rows(depth).cols(j.clone()).transposed(), out);
        }
    }
}

/// Columns of a block of a right factor: more where it is not as deep as it might be.
#[inline(always)]
fn columns<const NR: usize>(depth: usize) -> usize {
    COLUMNS * DEPTH / depth.clamp(1, DEPTH) / NR * NR
}

/// In tiles of `MR` rows of `NR` numbers, `NV` vectors.
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
    let columns = match b {
        Side::View(_) if m <= FEW => NARROW,
        _ => columns::<NR>(k),
    };
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
            for (number, j) in steps(n, columns).enumerate() {
                let wide = j.len().next_multiple_of(NR);
                for depth in steps(deep.len(), DEPTH) {
                    let slab = tall * depth.start..tall * depth.end;
                    let first = deep.start + depth.start == 0 && start == Start::Zero;
                    let depth = deep.start + depth.start..deep.start + depth.end;
                    let left = match a {
                        Side::View(a) => {
                            if number == 0 {
                                let part = a.cols(depth.clone()).rows(i.clone());
                                pack::<V, MR>(part, &mut copy[slab.clone()]);
                            }
                            &copy[slab]
                        }
                        Side::Packed(a) => &a.slivers(MR)[slab],
                    };
                    let ahead = match b {
                        Side::View(b) if m <= FEW && depth.end < deep.end => {
                            let next = depth.end..deep.end.min(depth.end + DEPTH);
                            Some(b.rows(next).cols(j.clone()))
                        }
                        Side::View(b) if m <= FEW && j.end < n => {
                            let next = deep.start..deep.end.min(deep.start + DEPTH);
                            Some(b.rows(next).cols(j.end..n.min(j.end + columns)))
                        }
                        _ => None,
                    };
                    let ahead = ahead.and_then(Ahead::of);
                    let right = match b {
                        // Not worth a copy.
                        Side::View(b)
                            if m <= FEW
                                && b.strides().1 == 1
                                && b.strides().0 >= NR
                                && j.len() % NR == 0 =>
                        {
                            let part = b.rows(depth.clone()).cols(j.clone());
                            Right { memory: part.memory(), line: b.strides().0, sliver: NR }
                        }
                        Side::View(b) => {
                            let out = workspace.right.take(wide * depth.len());
                            let part = b.rows(depth.clone()).cols(j.clone());
                            pack::<V, NR>(part.transposed(), out);
                            Right { memory: out, line: NR, sliver: NR * depth.len() }
                        }
                        Side::Packed(b) => {
                            let start = j.start * k + wide * depth.start;
                            let memory = &b.slivers(NR)[start..start + wide * depth.len()];
                            Right { memory, line: NR, sliver: NR * depth.len() }
                        }
                    };
                    let mut c = c.reborrow().rows(i.clone()).cols(j.clone());
                    block_product::<V, MR, NR, NV>(left, right, depth.len(), &mut c, first, ahead);
                }
            }
        }
    }
}

impl Packed {
    /// Bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.memory.bytes()
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

/// A block of a right factor: copied, or where it is read in place.
#[derive(Clone, Copy)]
struct Right<'a> {
    memory: &'a [f32],
    /// Distance of lines, each of a step of depth.
    line: usize,
    /// Distance of slivers.
    sliver: usize,
}

/// What is read next: a block of a right factor, as lines of memory to ask for.
#[derive(Clone, Copy)]
struct Ahead<'a> {
    memory: &'a [f32],
    /// Distances of lines: within a chunk of depth, from chunk to chunk, from tile to tile.
    steps: [usize; 3],
    /// Tiles that it takes to ask for all.
    tiles: usize,
}

impl<'a> Ahead<'a> {
    fn of(b: View<'a, f32>) -> Option<Self> {
        let steps = match b.strides() {
            (1, column) => [column, CHUNK, CHUNK * column],
            (row, 1) => [row, CHUNK * row, CHUNK],
            _ => return None,
        };
        Some(Self { memory: b.memory(), steps, tiles: b.n_cols().div_ceil(CHUNK) })
    }

    #[inline(always)]
    fn prefetch(&self, tile: usize, chunk: usize) {
        let start = chunk * self.steps[1] + tile * self.steps[2];
        for line in 0..CHUNK {
            prefetch_second(self.memory, start + line * self.steps[0]);
        }
    }
}

/// The tiles of one block, `depth` deep; `left` is packed.
#[inline(always)]
fn block_product<V: WideVector, const MR: usize, const NR: usize, const NV: usize>(
    left: &[f32],
    right: Right<'_>,
    depth: usize,
    c: &mut ViewMut<'_, f32>,
    first: bool,
    ahead: Option<Ahead<'_>>,
) {
    let (rows, columns, (row_stride, col_stride)) = (c.n_rows(), c.n_cols(), c.strides());
    let c = c.memory();
    let mut number = 0;
    for (i, left) in steps(rows, MR).zip(left.chunks_exact(depth * MR)) {
        for (sliver, j) in steps(columns, NR).enumerate() {
            let right = Right { memory: &right.memory[sliver * right.sliver..], ..right };
            let ahead = ahead.filter(|ahead| number < ahead.tiles).map(|ahead| (ahead, number));
            let height = i.len().next_multiple_of(3).min(MR);
            if i.len() == height && j.len() == NR && col_stride == 1 {
                let next =
                    if j.end < columns { i.start * row_stride + j.end } else { i.end * row_stride };
                for i in 0..MR {
                    for line in (0..NR).step_by(16) {
                        prefetch(c, next + i * row_stride + line);
                    }
                }
                let c = &mut c[i.start * row_stride + j.start..];
                tile::<V, MR, NR, NV>(left, right, height, c, row_stride, first, ahead);
            } else {
                let c = &mut c[i.start * row_stride + j.start * col_stride..];
                let mut edge = [[0.0_f32; NR]; MR];
                for (r, line) in edge[..i.len()].iter_mut().enumerate() {
                    for (s, number) in line[..j.len()].iter_mut().enumerate() {
                        *number = c[r * row_stride + s * col_stride];
                    }
                }
                let whole = edge.as_flattened_mut();
                tile::<V, MR, NR, NV>(left, right, height, whole, NR, first, ahead);
                for (r, line) in edge[..i.len()].iter().enumerate() {
                    for (s, &number) in line[..j.len()].iter().enumerate() {
                        c[r * row_stride + s * col_stride] = number;
                    }
                }
            }
            number += 1;
        }
    }
}

/// One tile of the result through one block of depth: `height` rows of `NR` numbers, `stride` apart. In the last tile
/// those are fewer than all.
#[inline(always)]
fn tile<V: WideVector, const MR: usize, const NR: usize, const NV: usize>(
    left: &[f32],
    right: Right<'_>,
    height: usize,
    c: &mut [f32],
    stride: usize,
    first: bool,
    ahead: Option<(Ahead<'_>, usize)>,
) {
    match height {
        3 if MR > 3 => tile_of::<V, MR, 3, NR, NV>(left, right, c, stride, first, ahead),
        6 if MR > 6 => tile_of::<V, MR, 6, NR, NV>(left, right, c, stride, first, ahead),
        9 if MR > 9 => tile_of::<V, MR, 9, NR, NV>(left, right, c, stride, first, ahead),
        _ => tile_of::<V, MR, MR, NR, NV>(left, right, c, stride, first, ahead),
    }
}

/// A tile of the first `R` rows of a sliver of `MR`.
#[inline(always)]
fn tile_of<V: WideVector, const MR: usize, const R: usize, const NR: usize, const NV: usize>(
    left: &[f32],
    right: Right<'_>,
    c: &mut [f32],
    stride: usize,
    first: bool,
    ahead: Option<(Ahead<'_>, usize)>,
) {
    const { assert!(NR == NV * size_of::<Wide>() / size_of::<f32>()) };
    let mut sums = [[V::splat(0.0); NV]; R];
    if !first {
        for i in 0..R {
            let row = c[i * stride..][..NR].as_chunks().0;
            for j in 0..NV {
                sums[i][j] = V::load(&row[j]);
            }
        }
    }
    chains::<V, MR, R, NV>(left.as_chunks().0, right, &mut sums, ahead);
    for i in 0..R {
        let row = c[i * stride..][..NR].as_chunks_mut().0;
        for j in 0..NV {
            sums[i][j].store(&mut row[j]);
        }
    }
}

/// The chains of one tile; the copy is what lets the compiler hold them in registers. Memory is asked for ahead.
#[inline(always)]
fn chains<V: WideVector, const MR: usize, const R: usize, const NV: usize>(
    left: &[[f32; MR]],
    right: Right<'_>,
    sums: &mut [[V; NV]; R],
    ahead: Option<(Ahead<'_>, usize)>,
) {
    let mut held = *sums;
    let mut lines = right.memory.chunks(right.line);
    for (chunk, left) in left.chunks(CHUNK).enumerate() {
        if let Some((ahead, tile)) = &ahead {
            ahead.prefetch(*tile, chunk);
        }
        for (a, b) in left.iter().zip(&mut lines) {
            let b: &[Wide] = b[..NV * 16].as_chunks().0;
            let mut line = [V::splat(0.0); NV];
            for j in 0..NV {
                line[j] = V::load(&b[j]);
            }
            for i in 0..R {
                let number = V::splat(a[i]);
                for j in 0..NV {
                    held[i][j] = held[i][j].fma(number, line[j]);
                }
            }
        }
    }
    *sums = held;
}

#[cfg(test)]
#[path = "gemm_tests.rs"]
mod tests;
