//! Vector scaling: softmax(a x + b) of least cross entropy, by L-BFGS.
//!
//! The loss is convex in (a, b). A constant added to b changes nothing, and gradients have no part along it, so b keeps
//! its mean of 0. Source of the recursion: Nocedal and Wright, Numerical Optimization (2006), algorithm 7.4.

use crate::element::Element;
use crate::elementary::{exp, ln};
use crate::exact::ExactSum;
use crate::simd::leveled;
use crate::view::View;

/// Pairs of steps and gradient differences that are kept.
const MEMORY: usize = 12;
/// Steps at most.
const STEPS: usize = 500;
/// A gradient of the mean loss whose entries are all below this ends the search.
const SMALL: f64 = 1e-9;
/// Rows between two additions to the sums.
const BATCH: usize = 64;
/// The smallest logit, so that -inf times a factor stays a number.
pub(super) const LEAST: f64 = -1e4;

/// Scale and bias.
pub(super) fn fit<T: Element>(
    x: View<'_, T>,
    labels: &[u32],
    weights: Option<&[f64]>,
) -> (Vec<f64>, Vec<f64>) {
    let k = x.n_cols();
    let objective = Objective { x, labels, weights, total: total(labels, weights) };
    let mut point = [vec![1.0; k], vec![0.0; k]].concat();
    let (mut loss, mut gradient) = objective.at(&point);
    let mut steps: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
    for _ in 0..STEPS {
        if gradient.iter().all(|g| g.abs() <= SMALL) {
            break;
        }
        let mut direction = gradient.clone();
        let mut shares = Vec::new();
        for (s, y, inverse) in steps.iter().rev() {
            let share = inverse * dot(s, &direction);
            add(&mut direction, -share, y);
            shares.push(share);
        }
        // The first step has the length of the gradient's largest entry at most 1.
        let largest = gradient.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
        let scale = steps
            .last()
            .map_or(1.0 / largest.max(1.0), |(_, y, inverse)| 1.0 / (inverse * dot(y, y)));
        direction.iter_mut().for_each(|d| *d *= scale);
        for ((s, y, inverse), share) in steps.iter().zip(shares.into_iter().rev()) {
            let other = inverse * dot(y, &direction);
            add(&mut direction, share - other, s);
        }
        let slope = -dot(&gradient, &direction);
        if slope.is_nan() || slope >= 0.0 {
            break;
        }
        let mut part = 1.0;
        let found = loop {
            let mut next = point.clone();
            add(&mut next, -part, &direction);
            let (there, slopes) = objective.at(&next);
            if there <= loss + 1e-4 * part * slope {
                break Some((next, there, slopes));
            }
            part *= 0.5;
            if part < 1e-10 {
                break None;
            }
        };
        let Some((next, there, slopes)) = found else { break };
        let step: Vec<f64> = next.iter().zip(&point).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = slopes.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curve = dot(&step, &change);
        if curve > 0.0 {
            steps.push((step, change, 1.0 / curve));
            if steps.len() > MEMORY {
                steps.remove(0);
            }
        }
        (point, loss, gradient) = (next, there, slopes);
    }
    let bias = point.split_off(k);
    (point, bias)
}

fn total(labels: &[u32], weights: Option<&[f64]>) -> f64 {
    weights.map_or(labels.len() as f64, |w| w.iter().copied().collect::<ExactSum>().value())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// a += factor b
fn add(a: &mut [f64], factor: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += factor * b);
}

struct Objective<'a, T> {
    x: View<'a, T>,
    labels: &'a [u32],
    weights: Option<&'a [f64]>,
    total: f64,
}

impl<T: Element> Objective<'_, T> {
    /// The mean loss and its gradient by scale and bias.
    fn at(&self, point: &[f64]) -> (f64, Vec<f64>) {
        let k = self.x.n_cols();
        let (scale, bias) = point.split_at(k);
        let mut loss = ExactSum::new();
        let mut slopes = vec![ExactSum::new(); 2 * k];
        let (mut logits, mut z) = (vec![0.0; k], vec![0.0; k]);
        // One column of a batch after another, so that sums are added side by side.
        let mut tile = vec![0.0; 2 * k * BATCH];
        let mut filled = 0;
        for (row, &label) in self.labels.iter().enumerate() {
            let w = self.weights.map_or(1.0, |w| w[row]);
            let own = self.x.get(row, label as usize).to_f64();
            if w > 0.0 && own > f64::NEG_INFINITY {
                for (c, logit) in logits.iter_mut().enumerate() {
                    *logit = self.x.get(row, c).to_f64().max(LEAST);
                }
                let (max, sum) = softmax(&logits, scale, bias, &mut z);
                let target = label as usize;
                let at_target = scale[target] * logits[target] + bias[target];
                loss.add(w * (ln(sum) + (max - at_target)));
                for c in 0..k {
                    let off = w * (z[c] / sum - f64::from(u8::from(c == target)));
                    tile[c * BATCH + filled] = off * logits[c];
                    tile[(k + c) * BATCH + filled] = off;
                }
                filled += 1;
            }
            if filled == BATCH || row + 1 == self.labels.len() {
                for (sum, column) in slopes.iter_mut().zip(tile.chunks(BATCH)) {
                    sum.add_slice(&column[..filled]);
                }
                filled = 0;
            }
        }
        let gradient = slopes.iter().map(|sum| sum.value() / self.total).collect();
        (loss.value() / self.total, gradient)
    }
}

leveled! {
    /// e^(a x + b - max) of each class into z; the maximum and the sum.
    fn softmax(x: &[f64], scale: &[f64], bias: &[f64], z: &mut [f64]) -> (f64, f64) => softmax_body
}

#[inline(always)]
fn softmax_body(x: &[f64], scale: &[f64], bias: &[f64], z: &mut [f64]) -> (f64, f64) {
    const LANES: usize = 8;
    let mut max = f64::NEG_INFINITY;
    for (((z, x), a), b) in z.iter_mut().zip(x).zip(scale).zip(bias) {
        *z = a * x + b;
        max = if *z > max { *z } else { max };
    }
    for z in z.iter_mut() {
        *z = exp(*z - max);
    }
    let (blocks, rest) = z.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for block in blocks {
        for lane in 0..LANES {
            sums[lane] += block[lane];
        }
    }
    (max, sums.iter().chain(rest).sum())
}
