//! Scores of rows to probabilities, losses, and their derivatives by the scores.

use std::ops::Range;

use super::{Head, Loss, Problem, Target};
use crate::kernel::{self, LANES, Lanes, ZERO};
use crate::tile::Rows;

impl Problem<'_> {
    /// Scores to probabilities, and the losses.
    pub(super) fn link(
        &self,
        rows: Rows<'_>,
        range: &Range<usize>,
        z: &mut [Lanes],
        y: &mut [Lanes],
        loss: &mut [Lanes],
        extra: &mut [Lanes],
    ) {
        let groups = y.len();
        let m = self.outputs;
        loss.fill(ZERO);
        let first_class = usize::from(self.reference);
        if m == 1 || self.head == Head::Sigmoid {
            for k in 0..m {
                self.fill_targets(rows, range, k + first_class, y);
                kernel::sigmoid_link(&mut z[k * groups..][..groups], y, loss);
            }
        } else {
            // Σ y_k z_k first, while the scores are there.
            match self.data.target {
                Target::Classes(classes) => {
                    for i in 0..range.len() {
                        let class = classes[rows.at(range.start + i)] as usize;
                        if class >= first_class {
                            loss[i / LANES][i % LANES] -=
                                z[(class - first_class) * groups + i / LANES][i % LANES];
                        }
                    }
                }
                Target::Distributions(view) => {
                    for i in 0..range.len() {
                        for k in 0..m {
                            let y = view.get(rows.at(range.start + i), k + first_class);
                            loss[i / LANES][i % LANES] -= y * z[k * groups + i / LANES][i % LANES];
                        }
                    }
                }
            }
            let tail = &mut extra[..groups];
            kernel::softmax_link(z, groups, m, self.reference, tail);
            for (loss, tail) in loss.iter_mut().zip(tail) {
                for l in 0..LANES {
                    loss[l] += tail[l];
                }
            }
        }
        if self.loss == Loss::SquaredError {
            loss.fill(ZERO);
            for k in 0..m {
                for i in 0..range.len() {
                    let y = self.data.target.probability(rows.at(range.start + i), k + first_class);
                    let d = z[k * groups + i / LANES][i % LANES] - y;
                    loss[i / LANES][i % LANES] += 0.5 * d * d;
                }
            }
        }
    }

    fn fill_targets(&self, rows: Rows<'_>, range: &Range<usize>, class: usize, y: &mut [Lanes]) {
        y.fill(ZERO);
        let y = &mut y.as_flattened_mut()[..range.len()];
        if let (Rows::All(_), Target::Classes(classes)) = (rows, self.data.target) {
            kernel::indicate(&classes[range.clone()], class as u32, y);
            return;
        }
        for (i, slot) in y.iter_mut().enumerate() {
            *slot = self.data.target.probability(rows.at(range.start + i), class);
        }
    }

    /// Probabilities to the derivatives of the weighted losses by the scores.
    pub(super) fn residuals(
        &self,
        rows: Rows<'_>,
        range: &Range<usize>,
        z: &mut [Lanes],
        y: &[Lanes],
        weight: &[Lanes],
    ) {
        let m = self.outputs;
        let groups = z.len() / m;
        let first_class = usize::from(self.reference);
        if self.loss == Loss::SquaredError {
            let is_sigmoid = m == 1 || self.head == Head::Sigmoid;
            for i in 0..groups * LANES {
                let (g, l, w) = (i / LANES, i % LANES, weight[i / LANES][i % LANES]);
                let row = rows.at(range.start + i.min(range.len() - 1));
                let y = |k| self.data.target.probability(row, k + first_class);
                let mean: f64 = (0..m)
                    .map(|k| z[k * groups + g][l])
                    .enumerate()
                    .map(|(k, p)| p * (p - y(k)))
                    .sum();
                for k in 0..m {
                    let p = z[k * groups + g][l];
                    let slope = if is_sigmoid { (p - y(k)) * (1.0 - p) } else { (p - y(k)) - mean };
                    z[k * groups + g][l] = w * p * slope;
                }
            }
            return;
        }
        match self.data.target {
            // The targets are there already.
            _ if m == 1 => {
                for (z, y) in z.iter_mut().zip(y) {
                    for l in 0..LANES {
                        z[l] -= y[l];
                    }
                }
            }
            Target::Classes(classes) => {
                for i in 0..range.len() {
                    let class = classes[rows.at(range.start + i)] as usize;
                    if class >= first_class {
                        z[(class - first_class) * groups + i / LANES][i % LANES] -= 1.0;
                    }
                }
            }
            Target::Distributions(view) => {
                for i in 0..range.len() {
                    for k in 0..m {
                        z[k * groups + i / LANES][i % LANES] -=
                            view.get(rows.at(range.start + i), k + first_class);
                    }
                }
            }
        }
        if self.data.weights.is_some() || range.len() < groups * LANES {
            for z in z.chunks_exact_mut(groups) {
                for (z, w) in z.iter_mut().zip(weight) {
                    for l in 0..LANES {
                        z[l] *= w[l];
                    }
                }
            }
        }
    }

    /// `v` to the curvature of each row's loss times `v`, at probabilities `p`.
    pub(super) fn curve(&self, p: &[Lanes], v: &mut [Lanes], groups: usize, weight: &[Lanes]) {
        let m = self.outputs;
        let is_sigmoid = m == 1 || self.head == Head::Sigmoid;
        let is_squared = self.loss == Loss::SquaredError;
        for i in 0..groups * LANES {
            let (g, l, w) = (i / LANES, i % LANES, weight[i / LANES][i % LANES]);
            // The derivative of the probabilities by the scores, once for cross entropy, twice for squared error.
            for _ in 0..if is_squared { 2 } else { 1 } {
                let mean: f64 = (0..m).map(|k| p[k * groups + g][l] * v[k * groups + g][l]).sum();
                for k in 0..m {
                    let p = p[k * groups + g][l];
                    let x = &mut v[k * groups + g][l];
                    *x = if is_sigmoid { p * (1.0 - p) * *x } else { p * (*x - mean) };
                }
            }
            (0..m).for_each(|k| v[k * groups + g][l] *= w);
        }
    }

    /// Adds the curvature of each row's loss by its scores.
    pub(super) fn add_curvature(&self, p: &[Lanes], weight: &[Lanes], out: &mut [f64]) {
        let m = self.outputs;
        let groups = weight.len();
        let is_sigmoid = self.head == Head::Sigmoid;
        for a in 0..m {
            for b in 0..m {
                if is_sigmoid && a != b {
                    continue;
                }
                let mut sum = ZERO;
                for g in 0..groups {
                    for l in 0..LANES {
                        let (pa, pb) = (p[a * groups + g][l], p[b * groups + g][l]);
                        let other = if a == b { 1.0 - pb } else { -pb };
                        sum[l] += weight[g][l] * pa * other;
                    }
                }
                out[a * m + b] += kernel::sum(&sum);
            }
        }
    }
}
