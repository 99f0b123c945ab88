//! Symmetric positive definite systems.

use std::ops::Range;

use xent::leveled;
use xent::simd::Level;

use crate::kernel::{LANES, Lanes, ZERO, sum};
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

impl Cholesky {
    /// X to A⁻¹ X, `x[i * columns + k]`: the factor is read twice for sixteen columns together.
    pub fn solve_columns(&self, x: &mut [f64], columns: usize) {
        for first in (0..columns).step_by(2 * LANES) {
            let end = (first + 2 * LANES).min(columns);
            if end - first > LANES {
                self.solve_some::<2>(x, columns, first..end);
            } else {
                self.solve_some::<1>(x, columns, first..end);
            }
        }
    }

    fn solve_some<const P: usize>(&self, x: &mut [f64], columns: usize, some: Range<usize>) {
        let mut own = vec![[ZERO; P]; self.n];
        for (own, x) in own.iter_mut().zip(x.chunks_exact(columns)) {
            own.as_flattened_mut()[..some.len()].copy_from_slice(&x[some.clone()]);
        }
        if P == 1 {
            solve_one(&self.l, self.n, own.as_flattened_mut());
        } else {
            solve_two(&self.l, self.n, own.as_flattened_mut());
        }
        for (own, x) in own.iter().zip(x.chunks_exact_mut(columns)) {
            x[some.clone()].copy_from_slice(&own.as_flattened()[..some.len()]);
        }
    }
}

leveled! {
    /// See [`panels_body`].
    fn solve_one_at(at: Level; l: &[f64], n: usize, x: &mut [Lanes]) => {
        avx512: panels_body::<Avx512, 1>, avx2: panels_body::<Avx2, 1>, baseline: panels_body::<Plain, 1>,
    }
}
leveled! {
    /// See [`panels_body`].
    fn solve_two_at(at: Level; l: &[f64], n: usize, x: &mut [Lanes]) => {
        avx512: panels_body::<Avx512, 2>, avx2: panels_body::<Avx2, 2>, baseline: panels_body::<Plain, 2>,
    }
}

fn solve_one(l: &[f64], n: usize, x: &mut [Lanes]) {
    solve_one_at(Level::Avx512, l, n, x);
}

fn solve_two(l: &[f64], n: usize, x: &mut [Lanes]) {
    solve_two_at(Level::Avx512, l, n, x);
}

/// Forward and back, with P vectors of a row of X, of as many columns of it.
#[inline(always)]
fn panels_body<V: Vector, const P: usize>(l: &[f64], n: usize, x: &mut [Lanes]) {
    let (x, _) = x.as_chunks_mut::<P>();
    let whole = n / ROWS * ROWS;
    for first in (0..whole).step_by(ROWS) {
        forward::<V, P, ROWS>(l, n, x, first);
    }
    (whole..n).for_each(|i| forward::<V, P, 1>(l, n, x, i));
    (whole..n).rev().for_each(|i| back::<V, P, 1>(l, n, x, i));
    for first in (0..whole).step_by(ROWS).rev() {
        back::<V, P, ROWS>(l, n, x, first);
    }
}

/// One divided by a pivot; 0 for one that was lost.
#[inline(always)]
fn inverse(pivot: f64) -> f64 {
    if pivot > 0.0 { 1.0 / pivot } else { 0.0 }
}

/// R rows of L⁻¹ X.
#[inline(always)]
fn forward<V: Vector, const P: usize, const R: usize>(
    l: &[f64],
    n: usize,
    x: &mut [[Lanes; P]],
    first: usize,
) {
    let rows: [&[f64]; R] = std::array::from_fn(|r| &l[(first + r) * n..][..=first + r]);
    let mut acc = [[V::splat(0.0); P]; R];
    for r in 0..R {
        for p in 0..P {
            acc[r][p] = V::load(&x[first + r][p]);
        }
    }
    let ahead: [&[f64]; R] = std::array::from_fn(|r| &rows[r][..first]);
    for (j, x) in x[..first].iter().enumerate() {
        for p in 0..P {
            let x = V::load(&x[p]);
            for r in 0..R {
                acc[r][p] = acc[r][p].fma(V::splat(-ahead[r][j]), x);
            }
        }
    }
    for r in 0..R {
        let scale = V::splat(inverse(rows[r][first + r]));
        for p in 0..P {
            let value = V::splat(0.0).fma(scale, acc[r][p]);
            value.store(&mut x[first + r][p]);
            for later in r + 1..R {
                let factor = V::splat(-rows[later][first + r]);
                acc[later][p] = acc[later][p].fma(factor, value);
            }
        }
    }
}

/// R rows of L⁻ᵀ X, from the last on.
#[inline(always)]
fn back<V: Vector, const P: usize, const R: usize>(
    l: &[f64],
    n: usize,
    x: &mut [[Lanes; P]],
    first: usize,
) {
    let rows: [&[f64]; R] = std::array::from_fn(|r| &l[(first + r) * n..][..=first + r]);
    let mut own = [[V::splat(0.0); P]; R];
    for r in (0..R).rev() {
        let scale = V::splat(inverse(rows[r][first + r]));
        for p in 0..P {
            let mut value = V::load(&x[first + r][p]);
            for later in r + 1..R {
                value = value.fma(V::splat(-rows[later][first + r]), own[later][p]);
            }
            own[r][p] = V::splat(0.0).fma(scale, value);
            own[r][p].store(&mut x[first + r][p]);
        }
    }
    let ahead: [&[f64]; R] = std::array::from_fn(|r| &rows[r][..first]);
    for (j, x) in x[..first].iter_mut().enumerate() {
        for p in 0..P {
            let mut value = V::load(&x[p]);
            for r in 0..R {
                value = value.fma(V::splat(-ahead[r][j]), own[r][p]);
            }
            value.store(&mut x[p]);
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
    fn columns_solved_together_are_those_solved_alone() {
        for n in [1, 3, 4, 21, 64] {
            let l = |i: usize, j: usize| match i.cmp(&j) {
                std::cmp::Ordering::Less => 0.0,
                std::cmp::Ordering::Equal => [64.0, 128.0][i % 2],
                std::cmp::Ordering::Greater => entry(i, j),
            };
            let product = |i: usize, j: usize| (0..n).map(|k| l(i, k) * l(j, k)).sum::<f64>();
            let a: Vec<f64> = (0..n * n).map(|at| product(at / n, at % n)).collect();
            let cholesky = Cholesky::new(a.clone(), n);
            for columns in [1, 7, 8, 9, 16, 35] {
                // Whole numbers, so that all steps are exact.
                let x = |i: usize, k: usize| entry(i + k, 3);
                let sum = |i: usize, k: usize| (0..n).map(|j| a[i * n + j] * x(j, k)).sum::<f64>();
                let mut solved: Vec<f64> =
                    (0..n * columns).map(|at| sum(at / columns, at % columns)).collect();
                cholesky.solve_columns(&mut solved, columns);
                for (at, solved) in solved.into_iter().enumerate() {
                    assert_eq!(solved, x(at / columns, at % columns), "{n} {columns} {at}");
                }
            }
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
