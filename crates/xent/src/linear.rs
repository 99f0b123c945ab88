//! Cross entropy of a linear layer's output, without the array of logits.
//!
//! ```text
//! z = x w' + b,   p = softmax(z),   loss_i = -ln p_iy
//! g_ic = s_i (p_ic - [c = y]),   dx = g w,   dw = g' x,   db_c = sum_i g_ic
//! ```
//!
//! for `n_samples` rows of `n_features` inputs x, `n_classes` rows of weights w, a class y a row,
//! and a factor s. With 128,000 classes the logits of 4,096 rows are 2 GiB and the gradient as much
//! again; here a tile of them is made, used and forgotten.
//!
//! A first sweep goes over tiles of classes: logits, the row's sum of exponentials, and at once
//! `dx`, as a sum of w_c e^(z_c) that is divided at the end. The gradient of the weights
//! needs p, so it waits for the end of the sweep. If the logits of enough rows fit into the
//! scratch memory they are kept until then, which makes three products of n x d x v in all; else a
//! second sweep makes them anew, the fourth. Both ways have the same bits.
//!
//! Logits are chains of fused multiply-adds ([`crate::gemm`]) that begin with the bias. Terms are
//! e^z scaled by a power of two, with nothing subtracted from z, and the target's own term is not
//! in the sum: small losses and their gradients are right to the last digits, as in
//! [`crate::cross_entropy`]. Every number is a function of its row, or for `dw` and `db` a chain
//! over rows in their order: bits do not depend on the scratch, on tiles, on instruction levels, or
//! on how a caller divides rows ([`first_sweep`]) and classes ([`second_sweep`]) among threads.

use std::ops::Range;

use crate::cross_entropy::{Problem, Scale, Total, check_labels, check_shape, check_weights};
use crate::gemm::{self, Packed, Side, Start, product, side_product, steps};
use crate::simd::Level;
use crate::view::{View, ViewMut};

mod memory;
mod tile;

pub use memory::Workspace;

use memory::{Needs, SECOND_ROWS, dense, first_rows, kept_rows, room, second_classes};
use tile::{Softmax, TILE, finish_gradient, gradient_tile, scale_rows, sum_tile};

/// The linear layer and its inputs.
#[derive(Clone, Copy, Debug)]
pub struct Linear<'a> {
    /// Inputs, `n_samples x n_features`.
    pub x: View<'a, f32>,
    /// Weights, `n_classes x n_features`; of weights stored the other way round, the transposed
    /// view.
    pub weight: View<'a, f32>,
    /// One number a class, added to its logits.
    pub bias: Option<&'a [f32]>,
}

impl Linear<'_> {
    fn n_samples(&self) -> usize {
        self.x.n_rows()
    }

    fn n_classes(&self) -> usize {
        self.weight.n_rows()
    }

    fn check(&self) -> Result<(), Problem> {
        check_shape("features of the weights", self.weight.n_cols(), self.x.n_cols())?;
        if let Some(bias) = self.bias {
            check_shape("biases", bias.len(), self.n_classes())?;
        }
        if self.n_classes() == 0 && self.n_samples() > 0 {
            return Err(Problem::NoClasses);
        }
        Ok(())
    }
}

/// How rows are weighed, and how much memory may be used.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Weight of each row. A row of weight 0 is absent: its loss is given, but neither that nor its gradients count,
    /// be they infinite or NaN.
    pub row_weights: Option<&'a [f64]>,
    /// Rows with this label are left out and counted; it may be outside the classes.
    pub ignore: Option<u32>,
    /// Memory in bytes to stay within, 8 MiB by default: speed depends on it, results do not. If the
    /// gradient of the weights is wanted, three products are made where the logits of 36 rows fit, or
    /// of all, else four. That takes about half a MiB and `150 n_classes` bytes, and is best from
    /// `230 n_classes` on. Below about 3 MiB, or with more than 4,096 features, somewhat more may be
    /// used.
    pub scratch: usize,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { row_weights: None, ignore: None, scratch: 8 << 20 }
    }
}

/// What is asked for beside the sum: each a buffer of the caller's.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    /// Loss of each row, without the row's weight; 0 if ignored.
    pub losses: Option<&'a mut [f64]>,
    /// Gradient for the inputs, `n_samples x n_features`; overwritten. 0 for rows that are ignored or absent,
    /// NaN for undefined ones.
    pub x: Option<ViewMut<'a, f32>>,
    /// Gradient for the weights and the bias.
    pub weight: Option<WeightGradient<'a>>,
}

/// Where the gradients of a layer go.
#[derive(Debug)]
pub struct WeightGradient<'a> {
    /// For the weights, `n_classes x n_features`, of any layout.
    pub weight: ViewMut<'a, f32>,
    /// For the bias, sums in f64.
    pub bias: Option<&'a mut [f64]>,
    /// Whether the gradients are added to what is there. Rows in two calls, the second adding, give
    /// the bits of all rows in one call.
    pub add: bool,
}

impl WeightGradient<'_> {
    fn check(&self, n_classes: usize, n_features: usize) -> Result<(), Problem> {
        check_shape("rows of the weights' gradient", self.weight.n_rows(), n_classes)?;
        check_shape("columns of the weights' gradient", self.weight.n_cols(), n_features)?;
        if let Some(bias) = &self.bias {
            check_shape("biases' gradient", bias.len(), n_classes)?;
        }
        Ok(())
    }
}

/// The softmax of rows as the second sweep needs it: 80 bytes a row, not the probabilities.
#[derive(Clone, Debug, Default)]
pub struct Rows(Vec<Softmax>);

impl Rows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts the rows that follow behind these.
    pub fn append(&mut self, mut following: Self) {
        self.0.append(&mut following.0);
    }
}

/// Cross entropy of `x weight' + bias` against classes, and the gradients that are [`Wanted`],
/// without the logits.
///
/// ```text
/// loss_i = ln(sum_c e^z_ic) - z_iy,  z = x weight' + bias;  total = sum_i weight_i loss_i, exact
/// ```
///
/// Gradients are those of the sum, times `scale`. Accuracy: logits have f32's rounding of a chain of
/// `n_features`. From them, the loss is within 5 x 2^-24 of itself, however small, and each term of
/// the gradients within 8 x 2^-24; sums of the gradients are f32 chains, of the bias f64. Tested
/// against f64. A row with a logit of NaN or +inf is undefined, counted, and makes the gradient of
/// the weights NaN; a logit of -inf (by the bias) is a class that is ruled out. Rows that are ignored, or absent,
/// leave nothing in a gradient, whatever their inputs.
///
/// # Errors
/// A shape, label or weight that cannot be; found before any work is done.
///
/// # Example
/// ```
/// use xent::cross_entropy::Scale;
/// use xent::linear::{Linear, Options, Wanted, Workspace, linear_cross_entropy};
/// use xent::view::{View, ViewMut};
///
/// // Two rows of two features, three classes: logits (20, 0, 0) and (0, 10, 0).
/// let x = [2.0, 0.0, /**/ 0.0, 1.0];
/// let w = [10.0, 0.0, /**/ 0.0, 10.0, /**/ 0.0, 0.0];
/// let layer = Linear { x: View::rows_of(&x, 2)?, weight: View::rows_of(&w, 2)?, bias: None };
/// let (mut losses, mut dx) = ([0.0; 2], [0.0; 4]);
/// let wanted = Wanted {
///     losses: Some(&mut losses),
///     x: Some(ViewMut::rows_of(&mut dx, 2)?),
///     ..Wanted::default()
/// };
/// let options = Options::default();
/// let scale = Scale::All(1.0);
/// let total = linear_cross_entropy(&layer, &[0, 1], &options, scale, wanted, &mut Workspace::new())?;
/// // ln(1 + 2 e^-20)
/// assert!((losses[0] / 4.1223072363804075e-9 - 1.0).abs() < 3e-7);
/// // -10 (1 - p) = -10 (2 e^-20) / (1 + 2 e^-20)
/// assert!((dx[0] / -4.122307227883633e-8 - 1.0).abs() < 1e-6);
/// assert_eq!(total.mean()?, (losses[0] + losses[1]) / 2.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Sources: Wijmans et al., "Cut Your Losses in Large-Vocabulary Language Models" (2024), and Hsu
/// et al., "Liger Kernel" (2024), for losses without logits; Milakov and Gimelshein, "Online
/// normalizer calculation for softmax" (2018), and Dao et al., "FlashAttention" (2022), for sums
/// scaled later.
pub fn linear_cross_entropy(
    layer: &Linear<'_>,
    labels: &[u32],
    options: &Options<'_>,
    scale: Scale<'_>,
    wanted: Wanted<'_>,
    workspace: &mut Workspace,
) -> Result<Total, Problem> {
    let Wanted { losses, x, weight } = wanted;
    let (n, v, d) = (layer.n_samples(), layer.n_classes(), layer.x.n_cols());
    let Some(mut gradient) = weight else {
        let (total, _) = first_sweep(layer, labels, options, scale, (losses, x), workspace)?;
        return Ok(total);
    };
    gradient.check(v, d)?;
    let Some(height) = kept_rows(options.scratch, n, v, d) else {
        let outputs = (losses, x);
        let (total, rows) = first_sweep(layer, labels, options, scale, outputs, workspace)?;
        second_sweep(layer, &rows, 0..v, gradient, options.scratch, workspace)?;
        return Ok(total);
    };
    let mut sweep = Sweep::new(layer, labels, options, scale, (losses, x))?;
    gradient.clear(n);
    let mut softmax = Vec::with_capacity(height);
    let tall = height.next_multiple_of(12);
    let needs = Needs {
        packed: tall * d,
        inputs: height * d.next_multiple_of(32),
        tile: height * TILE,
        kept: height * v,
        left: tall * TILE,
    };
    workspace.make_room(&needs, options.scratch);
    let mut kept = std::mem::take(&mut workspace.kept);
    room(&mut kept, height * v);
    for rows in steps(n, height) {
        softmax.clear();
        sweep.rows(rows.clone(), Some(&mut kept), &mut softmax, workspace);
        let x = layer.x.rows(rows.clone());
        let mut without = without_left_out(x, &softmax);
        let without = without.as_mut().map(|x| dense(x, rows.len(), d, d));
        let x = without.as_ref().map_or(x, ViewMut::as_view);
        workspace.inputs.right(Level::Avx512, x);
        for cols in steps(v, TILE) {
            let Workspace { tile, inputs, product, .. } = workspace;
            let tile = room(tile, rows.len() * TILE);
            for (row, logits) in tile.chunks_exact_mut(TILE).zip(kept.chunks_exact(v)) {
                row[..cols.len()].copy_from_slice(&logits[cols.clone()]);
            }
            let block = Block { x, packed: Some(inputs), softmax: &softmax, stride: TILE, base: 0 };
            gradient.add_block(&block, tile, cols, rows.start == 0, product);
        }
    }
    workspace.kept = kept;
    Ok(sweep.total)
}

/// Losses and the inputs' gradient of a linear layer, and what the second sweep needs: by itself for callers that divide rows
/// among threads.
///
/// ```text
/// loss_i = ln(sum_c e^z_ic) - z_iy,   dX_i = scale_i sum_c (softmax_c(z_i) - [c = y]) w_c,   z = x weight' + bias
/// ```
///
/// Shapes: as in `layer`, a label a row; `outputs` are the losses, `n_samples`, and the inputs' gradient, `n_samples x
/// n_features`, each if wanted. Units: nats. Domain and accuracy: those of [`linear_cross_entropy`], whose bits these are: a
/// part of the rows has those that it has among all. [`Rows::append`] and [`Total::merge`] put parts together.
///
/// Source: Wijmans et al., "Cut Your Losses in Large-Vocabulary Language Models" (2024).
///
/// # Errors
/// As [`linear_cross_entropy`].
pub fn first_sweep(
    layer: &Linear<'_>,
    labels: &[u32],
    options: &Options<'_>,
    scale: Scale<'_>,
    outputs: (Option<&mut [f64]>, Option<ViewMut<'_, f32>>),
    workspace: &mut Workspace,
) -> Result<(Total, Rows), Problem> {
    let mut sweep = Sweep::new(layer, labels, options, scale, outputs)?;
    let n = layer.n_samples();
    let mut softmax = Vec::with_capacity(n);
    let (d, scratch) = (layer.x.n_cols(), options.scratch.saturating_sub(n * size_of::<Softmax>()));
    let height = first_rows(scratch, d);
    let tall = height.min(n).next_multiple_of(12);
    let tile = tall * TILE;
    let needs = Needs { packed: tall * d, tile, left: tile, ..Needs::default() };
    workspace.make_room(&needs, scratch);
    for rows in steps(n, height) {
        sweep.rows(rows, None, &mut softmax, workspace);
    }
    Ok((sweep.total, Rows(softmax)))
}

/// The gradients of the weights and biases of some classes, of rows that the first sweep has seen: by itself for callers that
/// divide classes among threads.
///
/// ```text
/// dW_c = sum_i scale_i (softmax_c(z_i) - [c = y_i]) x_i,   db_c = sum_i scale_i (softmax_c(z_i) - [c = y_i])
/// ```
///
/// Shapes: `gradient` has `classes.len() x n_features` weights and as many biases as classes. `scratch` is that of
/// [`Options`]. Domain and accuracy: those of [`linear_cross_entropy`], whose bits these are, however classes are divided.
///
/// Source: as [`first_sweep`].
///
/// # Errors
/// A shape that cannot be.
pub fn second_sweep(
    layer: &Linear<'_>,
    rows: &Rows,
    classes: Range<usize>,
    mut gradient: WeightGradient<'_>,
    scratch: usize,
    workspace: &mut Workspace,
) -> Result<(), Problem> {
    layer.check()?;
    let (n, d) = (layer.n_samples(), layer.x.n_cols());
    check_shape("rows of the first sweep", rows.len(), n)?;
    check_shape("classes", classes.end.max(layer.n_classes()), layer.n_classes())?;
    gradient.check(classes.len(), d)?;
    gradient.clear(n);
    let weight = layer.weight.rows(classes.clone());
    let bias = layer.bias.map(|bias| &bias[classes.clone()]);
    let scratch = scratch.saturating_sub(n * size_of::<Softmax>());
    let width = second_classes(scratch, d);
    let (tall, wide) = (SECOND_ROWS.min(n), width.min(classes.len()).next_multiple_of(32));
    let needs = Needs {
        packed: wide * d,
        tile: tall * wide,
        left: tall.next_multiple_of(12) * d.min(gemm::DEEP).max(wide),
        ..Needs::default()
    };
    workspace.make_room(&needs, scratch);
    for cols in steps(classes.len(), width) {
        workspace.packed.right(Level::Avx512, weight.rows(cols.clone()).transposed());
        for rows_here in steps(n, SECOND_ROWS) {
            let Workspace { tile, packed, product, .. } = workspace;
            let tile = room(tile, rows_here.len() * width);
            let softmax = &rows.0[rows_here.clone()];
            let x = layer.x.rows(rows_here.clone());
            let mut without = without_left_out(x, softmax);
            let without = without.as_mut().map(|x| dense(x, rows_here.len(), d, d));
            let x = without.as_ref().map_or(x, ViewMut::as_view);
            let start = begin(tile, width, bias.map(|bias| &bias[cols.clone()]));
            let logits = dense(tile, rows_here.len(), cols.len(), width);
            let (left, right) = (Side::View(x), Side::Packed(packed));
            side_product(Level::Avx512, left, right, logits, start, product);
            let block = Block { x, packed: None, softmax, stride: width, base: classes.start };
            gradient.add_block(&block, tile, cols.clone(), rows_here.start == 0, product);
        }
    }
    Ok(())
}

/// Puts the biases where the chains of logits begin.
fn begin(logits: &mut [f32], stride: usize, bias: Option<&[f32]>) -> Start {
    let Some(bias) = bias else { return Start::Zero };
    for row in logits.chunks_mut(stride) {
        row[..bias.len()].copy_from_slice(bias);
    }
    Start::Present
}

/// A copy of inputs with zeros in the rows that leave no gradient, where those hold infinities or NaN: 0 times these
/// would not be 0.
fn without_left_out(x: View<'_, f32>, softmax: &[Softmax]) -> Option<Vec<f32>> {
    let d = x.n_cols();
    let left_out = |i: usize| softmax[i].leaves_nothing();
    let is_odd = |i: usize| left_out(i) && (0..d).any(|j| !x.get(i, j).is_finite());
    (0..x.n_rows()).any(is_odd).then(|| {
        let number = |i: usize, j: usize| if left_out(i) { 0.0 } else { x.get(i, j) };
        (0..x.n_rows() * d).map(|at| number(at / d, at % d)).collect()
    })
}

/// The first sweep over some rows.
struct Sweep<'a> {
    layer: &'a Linear<'a>,
    labels: &'a [u32],
    options: &'a Options<'a>,
    scale: Scale<'a>,
    losses: Option<&'a mut [f64]>,
    dx: Option<ViewMut<'a, f32>>,
    total: Total,
}

impl<'a> Sweep<'a> {
    fn new(
        layer: &'a Linear<'a>,
        labels: &'a [u32],
        options: &'a Options<'a>,
        scale: Scale<'a>,
        (losses, dx): (Option<&'a mut [f64]>, Option<ViewMut<'a, f32>>),
    ) -> Result<Self, Problem> {
        layer.check()?;
        let n = layer.n_samples();
        check_shape("labels", labels.len(), n)?;
        if let Some(losses) = &losses {
            check_shape("losses", losses.len(), n)?;
        }
        if let Some(dx) = &dx {
            check_shape("rows of the inputs' gradient", dx.n_rows(), n)?;
            check_shape("columns of the inputs' gradient", dx.n_cols(), layer.x.n_cols())?;
        }
        if let Scale::Rows(scales) = scale {
            check_shape("scales", scales.len(), n)?;
        }
        if let Some(weights) = options.row_weights {
            check_shape("row weights", weights.len(), n)?;
            check_weights("row weight", weights)?;
        }
        check_labels(labels, layer.n_classes(), options.ignore)?;
        Ok(Self { layer, labels, options, scale, losses, dx, total: Total::default() })
    }

    /// Losses, inputs' gradients and sums of rows; their softmax is put behind `all`. Logits go to
    /// `kept`, or are forgotten.
    fn rows(
        &mut self,
        rows: Range<usize>,
        mut kept: Option<&mut [f32]>,
        all: &mut Vec<Softmax>,
        workspace: &mut Workspace,
    ) {
        let (layer, n, v) = (self.layer, rows.len(), self.layer.n_classes());
        let Workspace { product: memory, packed, tile, .. } = workspace;
        packed.left(Level::Avx512, layer.x.rows(rows.clone()));
        let tile = room(tile, n * TILE);
        let before = all.len();
        all.extend(self.labels[rows.clone()].iter().map(|&label| {
            if self.options.ignore == Some(label) {
                Softmax::ignored()
            } else {
                Softmax::new(label)
            }
        }));
        let softmax = &mut all[before..];
        for cols in steps(v, TILE) {
            let bias = layer.bias.map(|bias| &bias[cols.clone()]);
            let weight = layer.weight.rows(cols.clone());
            let (logits, stride) = match &mut kept {
                Some(kept) => (&mut kept[cols.start..(n - 1) * v + cols.end], v),
                None => (&mut *tile, TILE),
            };
            let start = begin(logits, stride, bias);
            let into = dense(logits, n, cols.len(), stride);
            let (a, b) = (Side::Packed(packed), Side::View(weight.transposed()));
            side_product(Level::Avx512, a, b, into, start, memory);
            if let Some(kept) = &kept {
                for (row, logits) in tile.chunks_exact_mut(TILE).zip(kept.chunks_exact(v)) {
                    row[..cols.len()].copy_from_slice(&logits[cols.clone()]);
                }
            }
            let rescaled = sum_tile(tile, cols.clone(), softmax);
            if let Some(dx) = &mut self.dx {
                let mut dx = dx.reborrow().rows(rows.clone());
                if rescaled {
                    scale_rows(&mut dx, softmax);
                }
                let terms = dense(tile, n, cols.len(), TILE);
                let start = if cols.start == 0 { Start::Zero } else { Start::Present };
                product(terms.as_view(), weight, dx, start, memory);
            }
        }
        for (row, softmax) in rows.clone().zip(&mut *softmax) {
            let weight = self.options.row_weights.map_or(1.0, |weights| weights[row]);
            let scale = match self.scale {
                Scale::All(scale) => scale,
                Scale::Rows(scales) => scales[row],
            };
            let ignored = softmax.leaves_nothing();
            let loss = softmax.finish(scale * weight);
            if weight == 0.0 {
                softmax.leave_out();
            }
            if let Some(losses) = &mut self.losses {
                losses[row] = loss;
            }
            self.count(row, loss, weight, ignored);
        }
        if let Some(dx) = &mut self.dx {
            finish_gradient(dx.reborrow().rows(rows), layer.weight, softmax);
        }
    }

    fn count(&mut self, row: usize, loss: f64, weight: f64, ignored: bool) {
        let total = &mut self.total;
        if ignored {
            total.ignored += 1;
            return;
        }
        if weight == 0.0 {
            total.absent += 1;
            return;
        }
        total.used += 1;
        if loss.is_nan() {
            total.undefined += 1;
            total.first_undefined = total.first_undefined.or(Some(row));
        } else if loss == f64::INFINITY {
            total.infinite += 1;
        }
        total.loss.add_product(weight, loss);
        total.weight.add(weight);
    }
}

/// What a tile of logits meets in the weights' gradient.
struct Block<'a> {
    /// Inputs of the tile's rows.
    x: View<'a, f32>,
    /// The same, copied as a right factor.
    packed: Option<&'a Packed>,
    softmax: &'a [Softmax],
    /// Distance of the tile's rows.
    stride: usize,
    /// Class of the first row of the gradient.
    base: usize,
}

impl WeightGradient<'_> {
    /// Adds what a tile of logits of the rows `cols` of the gradient comes to.
    fn add_block(
        &mut self,
        block: &Block<'_>,
        tile: &mut [f32],
        cols: Range<usize>,
        first: bool,
        memory: &mut gemm::Workspace,
    ) {
        let &Block { x, packed, softmax, stride, base } = block;
        let bias = self.bias.as_mut().map_or(&mut [][..], |bias| &mut bias[cols.clone()]);
        gradient_tile(tile, stride, base + cols.start..base + cols.end, softmax, bias);
        let g = dense(tile, x.n_rows(), cols.len(), stride);
        let g = g.as_view().transposed();
        let into = self.weight.reborrow().rows(cols);
        let start = if first && !self.add { Start::Zero } else { Start::Present };
        match packed {
            Some(x) if into.strides().1 == 1 => {
                side_product(Level::Avx512, Side::View(g), Side::Packed(x), into, start, memory);
            }
            _ => product(g, x, into, start, memory),
        }
    }

    /// Zeros where sums begin there; the weights' products begin at zero by themselves, if there
    /// are any.
    fn clear(&mut self, n: usize) {
        if self.add {
            return;
        }
        if let Some(bias) = &mut self.bias {
            bias.fill(0.0);
        }
        if n == 0 {
            for i in 0..self.weight.n_rows() {
                for j in 0..self.weight.n_cols() {
                    self.weight.set(i, j, 0.0);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "linear_tests.rs"]
mod tests;
