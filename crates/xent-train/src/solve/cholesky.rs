//! Symmetric positive definite systems.

use xent::leveled;
use xent::simd::Level;

use crate::kernel::{LANES, ZERO, sum};
use crate::solve::dot;
#[cfg(target_arch = "x86_64")]
use crate::vector::{Avx2, Avx512};
use crate::vector::{Plain, Vector};

/// Rows that are factorised side by side: chains enough, and each row before is read once for all of them.
const ROWS: usize = 4;

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
        for first in (0..n).step_by(ROWS) {
            let end = (first + ROWS).min(n);
            let (above, block) = a.split_at_mut(first * n);
            let is_whole = end - first == ROWS;
            if is_whole {
                // What is left of these rows' columns before the first of them, of all at once.
                for j in 0..first {
                    let (row, pivot) = (&above[j * n..j * n + j], above[j * n + j]);
                    let products = dots(row, std::array::from_fn(|r| &block[r * n..r * n + j]));
                    for (r, product) in products.into_iter().enumerate() {
                        let x = block[r * n + j] - product;
                        block[r * n + j] = if pivot > 0.0 { x / pivot } else { 0.0 };
                    }
                }
            }
            for i in first..end {
                let (upper, lower) = a.split_at_mut(i * n);
                let scale = lower[i];
                for j in if is_whole { first } else { 0 }..i {
                    let (row, pivot) = (&upper[j * n..j * n + j], upper[j * n + j]);
                    let x = lower[j] - dot(row, &lower[..j]);
                    lower[j] = if pivot > 0.0 { x / pivot } else { 0.0 };
                }
                let x = scale - dot(&lower[..i], &lower[..i]);
                // Of nothing nothing can be lost.
                let share = if scale == 0.0 { 1.0 } else { x / scale };
                if share.is_nan() || share < least {
                    least = share;
                }
                lower[i] = if x > 1e-12 * scale.abs() { x.sqrt() } else { 0.0 };
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

leveled! {
    /// Of a row and each of the others Σ a b, always in the same order.
    fn dots_at(at: Level; row: &[f64], others: [&[f64]; ROWS]) -> [f64; ROWS] => {
        avx512: dots_body::<Avx512>, avx2: dots_body::<Avx2>, baseline: dots_body::<Plain>,
    }
}
#[inline(always)]
fn dots_body<V: Vector>(row: &[f64], others: [&[f64]; ROWS]) -> [f64; ROWS] {
    let (vectors, rest) = row.as_chunks::<LANES>();
    let others = others.map(|other| other[..row.len()].as_chunks::<LANES>());
    let mut acc = [V::splat(0.0); ROWS];
    for (v, x) in vectors.iter().enumerate() {
        let x = V::load(x);
        for r in 0..ROWS {
            acc[r] = acc[r].fma(x, V::load(&others[r].0[v]));
        }
    }
    let mut sums = [0.0; ROWS];
    for r in 0..ROWS {
        let mut lanes = ZERO;
        acc[r].store(&mut lanes);
        sums[r] = sum(&lanes);
        for (x, y) in rest.iter().zip(others[r].1) {
            sums[r] = x.mul_add(*y, sums[r]);
        }
    }
    sums
}

/// See [`dots_at`].
fn dots(row: &[f64], others: [&[f64]; ROWS]) -> [f64; ROWS] {
    dots_at(Level::Avx512, row, others)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries whose products and sums are exact in f64.
    fn entry(i: usize, j: usize) -> f64 {
        ((i * 7 + j * 13) % 11) as f64 - 5.0
    }

    #[test]
    fn small_factors_are_found_again_whatever_the_rows_left_over() {
        for n in 1..=30 {
            // L with a diagonal of powers of two, so that all of L Lᵀ and its factors are exact.
            let l = |i: usize, j: usize| match i.cmp(&j) {
                std::cmp::Ordering::Less => 0.0,
                std::cmp::Ordering::Equal => [64.0, 128.0][i % 2],
                std::cmp::Ordering::Greater => entry(i, j),
            };
            let product = |i: usize, j: usize| (0..n).map(|k| l(i, k) * l(j, k)).sum::<f64>();
            let a: Vec<f64> = (0..n * n).map(|at| product(at / n, at % n)).collect();
            let cholesky = Cholesky::new(a.clone(), n);
            for i in 0..n {
                for j in 0..=i {
                    assert_eq!(cholesky.l[i * n + j], l(i, j), "{n}: {i}, {j}");
                }
            }
            let x: Vec<f64> = (0..n).map(|i| entry(i, 3)).collect();
            let mut solved: Vec<f64> =
                (0..n).map(|i| (0..n).map(|j| a[i * n + j] * x[j]).sum()).collect();
            cholesky.solve(&mut solved);
            assert_eq!(solved, x);
        }
    }

    #[test]
    fn a_combination_of_others_stays_where_it_is() {
        // The sixth of eight is the sum of the first two.
        let rows: Vec<Vec<f64>> = (0..20)
            .map(|row| {
                let mut x: Vec<f64> = (0..8).map(|j| entry(row * 3 + j, j * j)).collect();
                x[5] = x[0] + x[1];
                x
            })
            .collect();
        let gram = |i: usize, j: usize| rows.iter().map(|x| x[i] * x[j]).sum::<f64>();
        let cholesky = Cholesky::new((0..64).map(|at| gram(at / 8, at % 8)).collect(), 8);
        assert!(cholesky.least < 1e-12);
        let mut x = vec![1.0; 8];
        cholesky.solve(&mut x);
        assert_eq!(x[5], 0.0);
        assert!(x.iter().all(|x| x.is_finite()));
    }
}
