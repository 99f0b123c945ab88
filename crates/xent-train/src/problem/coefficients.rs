//! Predictions, and coefficients on the scale of the data.

use super::pass::Dense;
use super::{Head, Problem};
use crate::kernel::{LANES, ZERO};
use crate::scaling::height;
use crate::tile::Tile;

impl Problem<'_> {
    /// Probabilities of all classes for rows of the design, `(n_samples, n_classes)`, row by row.
    pub fn predict(&self, params: &[f64], mut row: impl FnMut(usize, &[f64])) {
        let rows = self.row_list();
        let width = self.scaling.n_dense + 1;
        let height = height(width);
        let mut tile = Tile::new(width, height);
        let m = self.outputs;
        let k = self.data.n_classes;
        let mut z = vec![ZERO; m * height / LANES];
        let mut p = vec![0.0; k];
        let at = self.weighing(params, None, None);
        let n = rows.len();
        for start in (0..n).step_by(height) {
            let range = start..(start + height).min(n);
            tile.load(self.data.design, self.scaling, rows, &range, false);
            let groups = tile.groups;
            let z = &mut z[..m * groups];
            self.scores(Dense::Tile(&tile), rows, &range, &at, self.data.offsets.as_ref(), z);
            for i in 0..range.len() {
                let score = |k: usize| z[k * groups + i / LANES][i % LANES];
                probabilities(self.head, self.reference, m, score, &mut p);
                row(rows.at(start + i), &p);
            }
        }
    }

    /// Parameters to coefficients on the scale of the data.
    pub fn coefficients(&self, params: &[f64]) -> Coefficients {
        let m = self.outputs;
        let n = self.data.design.n_features();
        let mut coef = vec![0.0; n * m];
        let at = self.scaling.n_dense * m;
        let mut intercept = params[at..at + m].to_vec();
        for j in 0..n {
            for k in 0..m {
                let w = params[self.scaling.order[j] * m + k] * self.scaling.inverse[j];
                coef[j * m + k] = w;
                intercept[k] -= w * self.scaling.center[j];
            }
        }
        Coefficients {
            coef,
            intercept,
            n_outputs: m,
            has_reference: self.reference,
            head: self.head,
        }
    }

    /// Coefficients on the scale of the data to parameters.
    pub fn params(&self, coefficients: &Coefficients) -> Vec<f64> {
        let m = self.outputs;
        let mut params = vec![0.0; self.n_params()];
        let at = self.scaling.n_dense * m;
        params[at..at + m].copy_from_slice(&coefficients.intercept);
        for j in 0..self.data.design.n_features() {
            for k in 0..m {
                let w = coefficients.coef[j * m + k];
                params[self.scaling.order[j] * m + k] = w * self.scaling.scale[j];
                params[at + k] += w * self.scaling.center[j];
            }
        }
        params
    }
}

/// Scores of a row to probabilities of all classes.
///
/// The softmax, with a score of 0 for the first class if it is the reference; of sigmoids each by itself, divided by
/// their sum.
pub fn probabilities(
    head: Head,
    has_reference: bool,
    n_outputs: usize,
    score: impl Fn(usize) -> f64,
    p: &mut [f64],
) {
    let first = usize::from(has_reference);
    if head == Head::Sigmoid && !has_reference {
        for k in 0..n_outputs {
            p[k] = xent::information::sigmoid(score(k));
        }
        let sum: f64 = p.iter().sum();
        if sum > 0.0 {
            p.iter_mut().for_each(|p| *p /= sum);
        }
        return;
    }
    if has_reference {
        p[0] = 0.0;
    }
    for k in 0..n_outputs {
        p[k + first] = score(k);
    }
    let max = p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    p.iter_mut().for_each(|x| *x = xent::elementary::exp(*x - max));
    let sum: f64 = p.iter().sum();
    p.iter_mut().for_each(|x| *x /= sum);
}

/// A fitted linear model's numbers, on the scale of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficients {
    /// `coef[feature * n_outputs + output]`.
    pub coef: Vec<f64>,
    /// One for each output.
    pub intercept: Vec<f64>,
    /// Scores a row: one for each class, or one fewer.
    pub n_outputs: usize,
    /// Whether the first class is the reference: output `k` is class `k + 1`.
    pub has_reference: bool,
    /// What turns scores into probabilities.
    pub head: Head,
}
