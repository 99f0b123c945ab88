//! Symmetric positive definite systems.

use crate::solve::dot;

/// The factor L of A = L Lᵀ, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Cholesky {
    n: usize,
    l: Vec<f64>,
    /// The least share of a diagonal entry that was left of it as a pivot; not finite if `a` was not.
    pub least: f64,
}

impl Cholesky {
    /// Factorises `a`, `(n, n)`, of which the lower triangle is read. Where a pivot is lost in rounding (parameters that
    /// do not move anything by themselves), the parameter is left where it is.
    pub fn new(mut a: Vec<f64>, n: usize) -> Self {
        let mut least = 1.0;
        for i in 0..n {
            let scale = a[i * n + i];
            for j in 0..=i {
                let (upper, lower) = a.split_at_mut(i * n);
                let row_j = if j < i { &upper[j * n..j * n + j] } else { &lower[..0] };
                if j < i {
                    let pivot = upper[j * n + j];
                    let x = lower[j] - dot(row_j, &lower[..j]);
                    lower[j] = if pivot > 0.0 { x / pivot } else { 0.0 };
                } else {
                    let x = lower[i] - dot(&lower[..i], &lower[..i]);
                    // Of nothing nothing can be lost.
                    let share = if scale == 0.0 { 1.0 } else { x / scale };
                    if share.is_nan() || share < least {
                        least = share;
                    }
                    lower[i] = if x > 1e-12 * scale.abs() { x.sqrt() } else { 0.0 };
                }
            }
        }
        Self { n, l: a, least }
    }

    /// x to A⁻¹ x.
    pub fn solve(&self, x: &mut [f64]) {
        let n = self.n;
        for i in 0..n {
            let row = &self.l[i * n..=i * n + i];
            let value = x[i] - dot(&row[..i], &x[..i]);
            x[i] = if row[i] > 0.0 { value / row[i] } else { 0.0 };
        }
        for i in (0..n).rev() {
            let row = &self.l[i * n..=i * n + i];
            x[i] = if row[i] > 0.0 { x[i] / row[i] } else { 0.0 };
            let value = x[i];
            for (x, l) in x[..i].iter_mut().zip(row) {
                *x -= value * l;
            }
        }
    }
}
