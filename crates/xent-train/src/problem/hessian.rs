//! What a chunk of rows adds to the Hessian.

use super::pass::Dense;
use super::{Head, Problem};
use crate::gram::Gram;
use crate::kernel::{self, LANES, Lanes, ZERO};
use crate::tile::Tile;

impl Problem<'_> {
    /// Pairs of outputs b <= a.
    pub(super) fn pairs(&self) -> usize {
        self.outputs * (self.outputs + 1) / 2
    }

    /// Of each row and each pair of outputs the curvature, with a mean weight of 1.
    pub(super) fn curvatures(&self, p: &[Lanes], weight: &[Lanes], n: usize, out: &mut Vec<f32>) {
        let (m, groups) = (self.outputs, weight.len());
        let is_sigmoid = self.head == Head::Sigmoid;
        let scale = self.n_rows() as f64 / self.total_weight;
        out.clear();
        for i in 0..n {
            let (g, l) = (i / LANES, i % LANES);
            let weight = scale * weight[g][l];
            for a in 0..m {
                let pa = p[a * groups + g][l];
                let before = p[..a * groups].chunks_exact(groups);
                out.extend(
                    before.map(|p| if is_sigmoid { 0.0 } else { (-weight * pa * p[g][l]) as f32 }),
                );
                out.push((weight * pa * (1.0 - pa)) as f32);
            }
        }
    }

    /// Adds the Hessian of a chunk: for each pair of outputs b <= a the lower triangle of the features.
    pub(super) fn add_hessian(
        &self,
        tile: &Tile,
        p: &[Lanes],
        extra: &mut [Lanes],
        weighted: &mut Vec<Lanes>,
        weight: &[Lanes],
        sums: &mut [f64],
    ) {
        let (m, groups) = (self.outputs, tile.groups);
        let width = self.scaling.len();
        let triangle = width * (width + 1) / 2;
        let is_sigmoid = m == 1 || self.head == Head::Sigmoid;
        let q = &mut extra[..groups];
        for a in 0..m {
            for b in 0..=a {
                if is_sigmoid && a != b {
                    continue;
                }
                for (g, q) in q.iter_mut().enumerate() {
                    let (pa, pb) = (&p[a * groups + g], &p[b * groups + g]);
                    for l in 0..LANES {
                        let other = if a == b { pb[l] - 1.0 } else { pb[l] };
                        q[l] = -weight[g][l] * pa[l] * other;
                    }
                }
                let pair = a * (a + 1) / 2 + b;
                let sums = &mut sums[pair * triangle..][..triangle];
                kernel::add_gram(&tile.lanes, tile.stride, width, q, weighted, sums);
            }
        }
    }
}

/// Adds a chunk of so many rows to a Hessian in f32.
pub(super) fn add_rough(dense: Dense<'_>, len: usize, curvature: &[f32], gram: Option<&mut Gram>) {
    match (dense, gram) {
        (Dense::Narrow(rows, stride), Some(gram)) => gram.add(rows, stride, curvature),
        (Dense::Tile(tile), Some(gram)) => gram.add_tile(tile, len, curvature),
        _ => {}
    }
}

/// How much each row curves: the trace of its outputs' curvature at probabilities `p`, times its weight.
pub(super) fn traces(p: &[Lanes], weight: &[Lanes], out: &mut [Lanes]) {
    out.fill(ZERO);
    for p in p.chunks_exact(out.len()) {
        for (q, p) in out.iter_mut().zip(p) {
            for l in 0..LANES {
                q[l] += p[l] * (1.0 - p[l]);
            }
        }
    }
    for (q, w) in out.iter_mut().zip(weight) {
        for l in 0..LANES {
            q[l] *= w[l];
        }
    }
}
