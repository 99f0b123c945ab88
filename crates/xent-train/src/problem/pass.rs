//! A pass over the rows: scores, losses and what is summed of them.

use std::ops::Range;

use xent::view::View;

use super::Problem;
use super::hessian::{add_rough, traces};
use crate::design::Block;
use crate::gram::Gram;
use crate::kernel::{self, LANES, Lanes, ZERO};
use crate::narrow::{self, Narrow};
use crate::parts::{each_part, n_parts, part};
use crate::rowwise::{self, Coefs, Flat, Moments, Sums};
use crate::scaling::{add_moments, height};
use crate::sparse;
use crate::tile::{Rows, Tile, for_each};

/// What a pass over the rows is for.
#[derive(Clone, Copy)]
pub(super) enum Want<'a> {
    Value,
    Gradient,
    /// The gradient; then of the dense features, less their centers, the sums and the sums of squares.
    Measured,
    /// The Hessian times a vector (of squared error: the Gauss-Newton part).
    Product(&'a [f64]),
    Hessian,
    /// The same in f32, of dense features only.
    Rough,
    /// Its two factors, as if it were a product.
    Kronecker,
    /// The same, that of the features in f32 and from rows of a mean weight of 1.
    RoughKronecker,
    /// The diagonal of the Hessian; then, if there is room for it, of each parameter the entry with its output's intercept.
    Diagonal,
}

struct Workspace {
    tile: Tile,
    /// Of the part so far.
    sums: Option<Sums>,
    z: Vec<Lanes>,
    y: Vec<Lanes>,
    loss: Vec<Lanes>,
    extra: Vec<Lanes>,
    weighted: Vec<Lanes>,
    weight: Vec<Lanes>,
    moments: Option<Moments>,
    gram: Option<Gram>,
    curvature: Vec<f32>,
    /// Sums of a chunk.
    narrow: Vec<f32>,
}

/// A part's sums.
struct Partial {
    sums: Vec<f64>,
    loss: (f64, f64),
}

/// Parameters as the rows of a pass want them.
pub(super) struct Weighing<'p> {
    params: &'p [f64],
    /// Of rows that are taken as they lie.
    dense: Option<Coefs>,
    /// Of rows that are held in f32.
    narrow: Option<Vec<f32>>,
    /// Of categories and sparse features, divided by their scales.
    others: Vec<f64>,
}

/// The dense numbers of the rows of a chunk.
#[derive(Clone, Copy)]
pub(super) enum Dense<'t> {
    /// As they lie.
    Rows(&'t [f64], usize),
    /// In f32, with their distance.
    Narrow(&'t [f32], usize),
    Tile(&'t Tile),
}

impl Problem<'_> {
    /// The dense features, if their rows can be taken as they lie.
    fn flat(&self) -> Option<Flat<'_>> {
        if self.rows.is_some() { None } else { Flat::of(self.data.design) }
    }

    pub(super) fn weighing<'p>(
        &self,
        params: &'p [f64],
        flat: Option<&Flat<'_>>,
        held: Option<&Narrow>,
    ) -> Weighing<'p> {
        let m = self.outputs;
        let dense = flat.map(|flat| Coefs::new(flat, self.scaling, params, m));
        let narrow = held.map(|held| held.coefs(params, m, self.scaling.n_dense + 1));
        let mut others = params[(self.scaling.n_dense + 1) * m..].to_vec();
        self.unscale_others(&mut others);
        Weighing { params, dense, narrow, others }
    }

    /// Divides numbers of categories and sparse features, one for each output, by their scales.
    fn unscale_others(&self, numbers: &mut [f64]) {
        let m = self.outputs;
        let (mut feature, mut left) = (0, numbers);
        for block in self.data.design.blocks() {
            if !block.is_dense() {
                // Their places follow one another.
                let (own, rest) = left.split_at_mut(block.width() * m);
                let inverse = &self.scaling.inverse[feature..feature + block.width()];
                if m == 1 {
                    own.iter_mut().zip(inverse).for_each(|(x, inverse)| *x *= inverse);
                } else {
                    for (own, inverse) in own.chunks_exact_mut(m).zip(inverse) {
                        own.iter_mut().for_each(|x| *x *= inverse);
                    }
                }
                left = rest;
            }
            feature += block.width();
        }
    }

    fn is_expanded(&self, want: Want<'_>) -> bool {
        matches!(want, Want::Hessian) && !self.data.design.is_dense()
    }

    /// Mean loss, and what the sums in `out` are to be divided by.
    pub(super) fn pass(&self, params: &[f64], want: Want<'_>, out: &mut [f64]) -> (f64, f64) {
        let rows = self.row_list();
        let n = rows.len();
        let expand = self.is_expanded(want);
        let width = if expand { self.scaling.len() } else { self.scaling.n_dense + 1 };
        let is_product =
            matches!(want, Want::Value | Want::Gradient | Want::Measured | Want::Product(_));
        let is_rough = matches!(want, Want::Rough | Want::RoughKronecker);
        let is_measured = matches!(want, Want::Measured);
        let flat = self.flat().filter(|_| is_product);
        let is_near = is_rough || matches!(want, Want::Value | Want::Gradient);
        let held = self.held.as_ref().filter(|_| is_near);
        let is_sparse = self.scaling.n_dense == 0 && !expand;
        let height = match (&flat, held) {
            (Some(flat), _) => flat.height(),
            (_, Some(held)) if !is_rough => held.height(),
            _ if is_sparse => sparse::HEIGHT,
            _ => height(width),
        };
        let at = self.weighing(params, flat.as_ref(), held);
        let ahead = match want {
            Want::Product(vector) => Some(self.weighing(vector, flat.as_ref(), None)),
            _ => None,
        };
        // Fixed parts of the rows, whatever the threads.
        // Moments have the bits of those that `Scaling::measure` takes.
        let len = out.len();
        let chunks = n.div_ceil(height);
        let n_parts = n_parts(chunks, if is_measured { 2 * self.scaling.n_dense } else { len });
        let run = |i: usize, ws: &mut Workspace| {
            let mut partial = Partial { sums: vec![0.0; len], loss: (0.0, 0.0) };
            for chunk in part(i, n_parts, chunks) {
                let chunk = chunk * height..((chunk + 1) * height).min(n);
                let dense = (flat.as_ref(), held);
                self.chunk(rows, chunk, dense, &at, ahead.as_ref(), want, ws, &mut partial);
            }
            if let (Some(flat), Some(sums), true) = (&flat, &mut ws.sums, is_product && len > 0) {
                sums.take(flat, self.scaling, &mut partial.sums);
            }
            if let (Some(moments), Some(flat)) = (&mut ws.moments, &flat) {
                let sums = &mut partial.sums[self.n_params()..];
                let (means, squares) = sums.split_at_mut(flat.width);
                moments.take(means, squares);
            }
            if let Some(gram) = &mut ws.gram {
                gram.take(&mut partial.sums);
            }
            partial
        };
        let workspace = || Workspace {
            // Rows that are taken as they lie need no room.
            tile: Tile::new(width, if flat.is_some() || held.is_some() { 0 } else { height }),
            sums: flat.as_ref().map(|flat| Sums::new(flat, self.scaling, self.outputs)),
            z: vec![ZERO; self.outputs * height / LANES],
            y: vec![ZERO; height / LANES],
            loss: vec![ZERO; height / LANES],
            extra: vec![ZERO; self.outputs * height / LANES],
            weighted: Vec::new(),
            weight: vec![ZERO; height / LANES],
            moments: is_measured
                .then_some(flat.as_ref())
                .flatten()
                .map(|flat| Moments::new(flat, self.scaling)),
            gram: match want {
                Want::Rough => Some(Gram::new(width, self.pairs())),
                Want::RoughKronecker => Some(Gram::new(width, 1)),
                _ => None,
            },
            curvature: Vec::new(),
            narrow: vec![0.0; held.map_or(0, |held| held.stride * self.outputs)],
        };
        // A thread costs more than a little work.
        let work = n as f64 * (self.scaling.n_dense + 20) as f64 * self.outputs as f64;
        let threads = if work < 2e5 { 1 } else { self.threads };
        let mut loss = (0.0, 0.0);
        out.fill(0.0);
        each_part(n_parts, threads, workspace, run, |partial: Partial| {
            loss = add(loss, partial.loss.0);
            loss.1 += partial.loss.1;
            for (sum, x) in out.iter_mut().zip(&partial.sums) {
                *sum += x;
            }
        });
        let first = (self.scaling.n_dense + 1) * self.outputs;
        match want {
            Want::Gradient | Want::Measured | Want::Product(_) => {
                self.unscale_others(&mut out[first..]);
            }
            Want::Diagonal => {
                let (diagonal, beside) = out.split_at_mut(self.n_params());
                self.unscale_others(&mut diagonal[first..]);
                self.unscale_others(&mut diagonal[first..]);
                if !beside.is_empty() {
                    self.unscale_others(&mut beside[first..]);
                }
            }
            Want::Value | Want::Hessian | Want::Rough => {}
            Want::Kronecker | Want::RoughKronecker => {}
        }
        ((loss.0 + loss.1) / self.total_weight, self.total_weight)
    }

    /// Adds the rows of a chunk.
    #[allow(clippy::too_many_arguments)]
    fn chunk(
        &self,
        rows: Rows<'_>,
        range: Range<usize>,
        (flat, held): (Option<&Flat<'_>>, Option<&Narrow>),
        at: &Weighing<'_>,
        ahead: Option<&Weighing<'_>>,
        want: Want<'_>,
        ws: &mut Workspace,
        partial: &mut Partial,
    ) {
        let expand = self.is_expanded(want);
        let m = self.outputs;
        let n_dense = self.scaling.n_dense + 1;
        let own = &mut ws.tile;
        let groups = range.len().div_ceil(LANES);
        let dense = if let Some(flat) = flat {
            Dense::Rows(&flat.rows[range.start * flat.width..range.end * flat.width], flat.width)
        } else if let Some(held) = held {
            Dense::Narrow(held.rows(range.clone()), held.stride)
        } else {
            own.load(self.data.design, self.scaling, rows, &range, expand);
            Dense::Tile(own)
        };
        let z = &mut ws.z[..m * groups];
        self.scores(dense, rows, &range, at, self.data.offsets.as_ref(), z);
        // Probabilities into z, losses into loss.
        let loss = &mut ws.loss[..groups];
        self.link(rows, &range, z, &mut ws.y[..groups], loss, &mut ws.extra);
        let weight = &mut ws.weight[..groups];
        let len = range.len();
        match self.data.weights {
            None => weight.as_flattened_mut()[..len].fill(1.0),
            Some(weights) => {
                for (i, slot) in weight.as_flattened_mut()[..len].iter_mut().enumerate() {
                    *slot = weights[rows.at(range.start + i)];
                }
            }
        }
        weight.as_flattened_mut()[len..].fill(0.0);
        let weight = &*weight;
        partial.loss = add(partial.loss, kernel::weighted_sum(weight, loss));
        match (want, dense) {
            (Want::Value, _) => {}
            (Want::Gradient | Want::Measured, _) => {
                self.residuals(rows, &range, z, &ws.y[..groups], weight);
                let (sums, moments) = partial.sums.split_at_mut(self.n_params());
                let mut own = ws.moments.as_mut();
                if let (Dense::Rows(rows, width), Some(moments), Some(weights)) =
                    (dense, &mut own, self.data.weights)
                {
                    moments.add(rows, width, Some(&weights[range.clone()]));
                    own = None;
                }
                let into = (ws.sums.as_mut(), own, &mut ws.narrow[..]);
                self.add_products(dense, rows, &range, z, into, sums);
                let (means, squares) = moments.split_at_mut(moments.len() / 2);
                match dense {
                    Dense::Tile(tile) => {
                        add_moments(&tile.lanes, tile.stride, weight, means, squares);
                    }
                    Dense::Rows(..) | Dense::Narrow(..) => {}
                }
            }
            (Want::Product(_), _) => {
                let extra = &mut ws.extra[..m * groups];
                if let Some(ahead) = ahead {
                    self.scores(dense, rows, &range, ahead, None, extra);
                }
                self.curve(z, extra, groups, weight);
                let into = (ws.sums.as_mut(), None, &mut ws.narrow[..]);
                self.add_products(dense, rows, &range, extra, into, &mut partial.sums);
            }
            (Want::Hessian, Dense::Tile(tile)) => {
                let (extra, weighted) = (&mut ws.extra, &mut ws.weighted);
                self.add_hessian(tile, z, extra, weighted, weight, &mut partial.sums);
            }
            (Want::Rough, _) => {
                self.curvatures(z, weight, len, &mut ws.curvature);
                add_rough(dense, len, &ws.curvature, ws.gram.as_mut());
            }
            (Want::RoughKronecker, _) => {
                let all = &mut ws.extra[..groups];
                traces(z, weight, all);
                let scale = self.n_rows() as f64 / self.total_weight;
                let all = &all.as_flattened()[..len];
                ws.curvature.clear();
                ws.curvature.extend(all.iter().map(|q| (scale * q) as f32));
                add_rough(dense, len, &ws.curvature, ws.gram.as_mut());
                let outputs = n_dense * (n_dense + 1) / 2;
                self.add_curvature(z, weight, &mut partial.sums[outputs..]);
            }
            (Want::Kronecker, Dense::Tile(tile)) => {
                let (gram, outputs) = partial.sums.split_at_mut(n_dense * (n_dense + 1) / 2);
                let weighted = &mut ws.weighted;
                let curvature = &mut ws.extra[..groups];
                traces(z, weight, curvature);
                kernel::add_gram(&tile.lanes, tile.stride, n_dense, curvature, weighted, gram);
                self.add_curvature(z, weight, outputs);
            }
            (Want::Diagonal, Dense::Tile(tile)) => {
                for z in z.chunks_exact_mut(groups) {
                    for (z, w) in z.iter_mut().zip(weight) {
                        for l in 0..LANES {
                            z[l] = w[l] * z[l] * (1.0 - z[l]);
                        }
                    }
                }
                let squares = &mut ws.weighted;
                squares.clear();
                squares.extend(tile.lanes.iter().map(|x| x.map(|x| x * x)));
                let (diagonal, beside) = partial.sums.split_at_mut(self.n_params());
                kernel::backward(squares, tile.stride, z, m, &mut diagonal[..n_dense * m]);
                if !beside.is_empty() {
                    let beside = &mut beside[..n_dense * m];
                    kernel::backward(&tile.lanes, tile.stride, z, m, beside);
                }
                self.add_curvature_of_others(rows, &range, z.as_flattened(), diagonal, beside);
            }
            (_, Dense::Rows(..) | Dense::Narrow(..)) => {
                unreachable!("only products take rows as they lie")
            }
        }
    }

    /// Adds the rows times their residuals; of categories and sparse features not divided by the scales.
    fn add_products(
        &self,
        dense: Dense<'_>,
        rows: Rows<'_>,
        range: &Range<usize>,
        residuals: &[Lanes],
        (own, moments, narrow): (Option<&mut Sums>, Option<&mut Moments>, &mut [f32]),
        sums: &mut [f64],
    ) {
        let m = self.outputs;
        let n_dense = self.scaling.n_dense + 1;
        match (dense, own) {
            (Dense::Rows(rows, width), Some(own)) => {
                rowwise::backward(rows, width, residuals, own, moments);
            }
            (Dense::Tile(tile), _) => {
                let sums = &mut sums[..n_dense * m];
                kernel::backward(&tile.lanes, tile.stride, residuals, m, sums);
            }
            (Dense::Narrow(rows, stride), _) => {
                narrow::backward(rows, stride, residuals, narrow);
                for (k, own) in narrow.chunks_exact(stride).enumerate() {
                    let sums = sums[k..].iter_mut().step_by(m).take(n_dense);
                    sums.zip(own).for_each(|(sum, &x)| *sum += f64::from(x));
                }
            }
            (Dense::Rows(..), None) => {}
        }
        let stride = residuals.len() / m * LANES;
        let residuals = residuals.as_flattened();
        self.each_block(|block, place| match block {
            Block::Sparse(sparse) if m == 1 => {
                let rows = range.clone().map(|i| rows.at(i));
                sparse::backward(sparse, rows, residuals, &mut sums[place..]);
            }
            _ => {
                for i in 0..range.len() {
                    for_each(block, rows.at(range.start + i), |col, x| {
                        let sums = &mut sums[(place + col) * m..(place + col + 1) * m];
                        for (k, sum) in sums.iter_mut().enumerate() {
                            *sum += residuals[k * stride + i] * x;
                        }
                    });
                }
            }
        });
    }

    /// Adds curvature x² of categories and sparse features, and curvature x unless `beside` is empty; not divided by the scales.
    fn add_curvature_of_others(
        &self,
        rows: Rows<'_>,
        range: &Range<usize>,
        curvature: &[f64],
        diagonal: &mut [f64],
        beside: &mut [f64],
    ) {
        let m = self.outputs;
        let stride = curvature.len() / m;
        self.each_block(|block, place| match block {
            Block::Sparse(sparse) if m == 1 && !beside.is_empty() => {
                let rows = range.clone().map(|i| rows.at(i));
                let (diagonal, beside) = (&mut diagonal[place..], &mut beside[place..]);
                sparse::curvature(sparse, rows, curvature, diagonal, beside);
            }
            _ => {
                for i in 0..range.len() {
                    for_each(block, rows.at(range.start + i), |col, x| {
                        for k in 0..m {
                            let (at, product) =
                                ((place + col) * m + k, curvature[k * stride + i] * x);
                            diagonal[at] += product * x;
                            if !beside.is_empty() {
                                beside[at] += product;
                            }
                        }
                    });
                }
            }
        });
    }

    /// Calls `f` with each category and sparse block, and its parameter place.
    #[inline(always)]
    fn each_block(&self, mut f: impl FnMut(&Block<'_>, usize)) {
        let mut feature = 0;
        for block in self.data.design.blocks() {
            if !block.is_dense() && block.width() > 0 {
                f(block, self.scaling.order[feature]);
            }
            feature += block.width();
        }
    }

    /// Scores of the rows of a chunk into `z`.
    pub(super) fn scores(
        &self,
        dense: Dense<'_>,
        rows: Rows<'_>,
        range: &Range<usize>,
        at: &Weighing<'_>,
        offsets: Option<&View<'_, f64>>,
        z: &mut [Lanes],
    ) {
        let m = self.outputs;
        let groups = z.len() / m;
        z.fill(ZERO);
        if let Some(offsets) = offsets {
            for i in 0..range.len() {
                for k in 0..m {
                    let offset = offsets.get(rows.at(range.start + i), k);
                    z[k * groups + i / LANES][i % LANES] = offset;
                }
            }
        }
        let first = self.scaling.n_dense + 1;
        match (dense, &at.dense) {
            (Dense::Rows(rows, width), Some(coefs)) => rowwise::forward(rows, width, coefs, z),
            (Dense::Tile(tile), _) => {
                kernel::forward(&tile.lanes, tile.stride, &at.params[..first * m], m, z);
            }
            (Dense::Narrow(rows, stride), _) => {
                if let Some(coefs) = &at.narrow {
                    narrow::forward(rows, stride, coefs, z);
                }
            }
            (Dense::Rows(..), None) => {}
        }
        let stride = groups * LANES;
        let z = z.as_flattened_mut();
        self.each_block(|block, place| {
            let coef = &at.others[(place - first) * m..];
            match block {
                Block::Sparse(sparse) if m == 1 => {
                    let rows = range.clone().map(|i| rows.at(i));
                    sparse::forward(sparse, rows, coef, &mut z[..range.len()]);
                }
                _ => {
                    for i in 0..range.len() {
                        for_each(block, rows.at(range.start + i), |col, x| {
                            for (k, coef) in coef[col * m..(col + 1) * m].iter().enumerate() {
                                z[k * stride + i] += coef * x;
                            }
                        });
                    }
                }
            }
        });
    }
}

/// Adds to a sum in two parts. Knuth (1969).
#[inline(always)]
fn add((high, low): (f64, f64), x: f64) -> (f64, f64) {
    let sum = high + x;
    let part = sum - high;
    (sum, low + ((high - (sum - part)) + (x - part)))
}
