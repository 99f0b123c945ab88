//! Logistic regression of a few features without a penalty, by Newton's method on exact sums.

use crate::exact::ExactSum;
use crate::information::{sigmoid, softplus};

/// Steps at most.
const STEPS: usize = 100;
/// A step below this, relative to the parameters, is the last.
const SMALL: f64 = 1e-10;
/// Features beyond this carry no more information than it does.
const MOST: f64 = super::MOST;

/// The coefficients that minimise the log loss of `sigmoid(sum_j coef_j x_j)` for labels 0 and 1.
///
/// Where rows can be separated there is no minimum; the last step is returned, which has a loss near 0.
pub(super) fn fit<const K: usize>(
    features: [Vec<f64>; K],
    labels: &[u32],
    weights: Option<&[f64]>,
) -> [f64; K] {
    let features =
        features.map(|x| x.into_iter().map(|x| x.clamp(-MOST, MOST)).collect::<Vec<_>>());
    let weight = |row: usize| weights.map_or(1.0, |w| w[row]);
    let score = |coef: &[f64; K], row: usize| -> f64 {
        features.iter().zip(coef).map(|(x, c)| c * x[row]).sum()
    };
    let loss = |coef: &[f64; K]| {
        let term = |(row, &label): (usize, &u32)| {
            let z = score(coef, row);
            weight(row) * softplus(if label == 1 { -z } else { z })
        };
        labels.iter().enumerate().map(term).collect::<ExactSum>().value()
    };
    let mut coef = [0.0; K];
    let mut current = loss(&coef);
    for _ in 0..STEPS {
        let mut gradient = [(); K].map(|()| ExactSum::new());
        let mut hessian = [(); K].map(|()| [(); K].map(|()| ExactSum::new()));
        for (row, &label) in labels.iter().enumerate() {
            let z = score(&coef, row);
            let (p, q) = (sigmoid(z), sigmoid(-z));
            let off = if label == 1 { -q } else { p };
            let (w, curve) = (weight(row), weight(row) * (p * q));
            for i in 0..K {
                gradient[i].add(w * off * features[i][row]);
                for j in 0..=i {
                    hessian[i][j].add(curve * features[i][row] * features[j][row]);
                }
            }
        }
        let step =
            solve(hessian.map(|row| row.map(|sum| sum.value())), gradient.map(|g| g.value()));
        // The loss is convex: some part of the step lowers it, or this is the minimum.
        let mut part = 1.0;
        let mut next = coef;
        while part > 1e-6 {
            next = coef;
            next.iter_mut().zip(step).for_each(|(c, s)| *c -= part * s);
            let there = loss(&next);
            // The last steps move the loss by less than it is rounded.
            if there <= current * (1.0 + 4.0 * f64::EPSILON) {
                current = there;
                break;
            }
            part *= 0.5;
        }
        if part <= 1e-6 {
            break;
        }
        let size = coef.iter().fold(1.0_f64, |m, c| m.max(c.abs()));
        coef = next;
        if step.iter().all(|s| s.abs() <= SMALL * size) {
            break;
        }
    }
    coef
}

/// Solves a symmetric positive system of which the lower half is given, by Cholesky; directions without curvature stay put.
fn solve<const K: usize>(mut a: [[f64; K]; K], mut b: [f64; K]) -> [f64; K] {
    let largest = (0..K).map(|i| a[i][i]).fold(0.0, f64::max);
    let mut flat = [false; K];
    for i in 0..K {
        for j in 0..=i {
            let mut sum = a[i][j];
            for k in 0..j {
                sum -= a[i][k] * a[j][k];
            }
            if i == j {
                flat[i] = sum.is_nan() || sum <= 1e-14 * largest;
                a[i][i] = if flat[i] { 0.0 } else { sum.sqrt() };
            } else {
                a[i][j] = if flat[j] { 0.0 } else { sum / a[j][j] };
            }
        }
    }
    for i in 0..K {
        for k in 0..i {
            b[i] -= a[i][k] * b[k];
        }
        b[i] = if flat[i] { 0.0 } else { b[i] / a[i][i] };
    }
    for i in (0..K).rev() {
        for k in i + 1..K {
            b[i] -= a[k][i] * b[k];
        }
        b[i] = if flat[i] { 0.0 } else { b[i] / a[i][i] };
    }
    b
}
