//! What L-BFGS remembers, in compact form, so that a direction takes two passes over what is remembered instead of two for
//! each pair, and passes can be divided among threads.
//!
//! With steps `S = (s_1 ... s_k)`, changes of the gradient `Y`, `Z = H₀ Y`, the upper triangle R of S'Y and its diagonal D,
//!
//! ```text
//! H g = H₀ g + S R⁻ᵀ ((D + Y'Z) u - Z'g) - Z u,  u = R⁻¹ S'g
//! ```
//!
//! Byrd, Nocedal and Schnabel (1994), "Representations of quasi-Newton matrices and their use in limited memory methods",
//! doi:10.1007/BF01582063, theorem 2.2. The products of S, Y and Z are kept and grow by a column each step. All sums over
//! parameters are taken in fixed chunks, merged in order: the same bits for any number of threads.

use std::collections::VecDeque;

use xent::leveled;

use crate::error::Error;
use crate::parts::each_part;
use crate::solve::{State, dot};

/// Parameters that are gone over together: within the first-level cache.
const CHUNK: usize = 2_048;
/// Products from which on threads save more than they cost.
const MUCH: usize = 1_000_000;

/// Steps and what came of them.
#[derive(Debug)]
pub(crate) struct Pairs {
    most: usize,
    threads: usize,
    /// s, and z = H₀ y.
    all: VecDeque<[Vec<f64>; 2]>,
    /// s_i'y_j at `[i][j]`, i <= j.
    sy: Vec<Vec<f64>>,
    /// y_i'z_j at `[i][j]`.
    yz: Vec<Vec<f64>>,
}

impl Pairs {
    /// So many at most.
    pub fn new(most: usize, threads: usize) -> Self {
        Self { most, threads, all: VecDeque::new(), sy: Vec::new(), yz: Vec::new() }
    }

    /// Those of a state, of vectors of `n` numbers.
    pub fn of(state: &State, n: usize, most: usize, threads: usize) -> Result<Self, Error> {
        let mut own = Self::new(most, threads);
        let k = state.need("pairs")? as usize;
        if k == 0 {
            return Ok(own);
        }
        for i in 0..k {
            let vector = |name| state.need_vector(&format!("{name}{i}"), n);
            own.all.push_back([vector("s")?, vector("z")?]);
        }
        let square = |name| {
            let numbers = state.need_vector(name, k * k)?;
            Ok(numbers.chunks_exact(k).map(<[f64]>::to_vec).collect())
        };
        (own.sy, own.yz) = (square("sy")?, square("yz")?);
        Ok(own)
    }

    /// All that [`Pairs::of`] needs.
    pub fn save(&self, state: &mut State) {
        state.put("pairs", self.all.len() as f64);
        if self.all.is_empty() {
            return;
        }
        for (i, [s, z]) in self.all.iter().enumerate() {
            state.put_vector(format!("s{i}"), s);
            state.put_vector(format!("z{i}"), z);
        }
        state.put_vector("sy", &self.sy.concat());
        state.put_vector("yz", &self.yz.concat());
    }

    /// H g, from `ahead` = H₀ g.
    pub fn apply(&self, gradient: &[f64], ahead: &[f64]) -> Vec<f64> {
        let products = self.products(&[gradient]);
        self.combined(&products, 1, 0, ahead)
    }

    /// Learns of a step `s` and the change of the gradient `y`, with `z` = H₀ y, and gives H g from `ahead` = H₀ g. The
    /// oldest pair is forgotten if there are too many.
    pub fn learn(
        &mut self,
        (s, y, z): (Vec<f64>, &[f64], Vec<f64>),
        gradient: &[f64],
        ahead: &[f64],
    ) -> Vec<f64> {
        if self.all.len() == self.most {
            self.all.pop_front();
            for square in [&mut self.sy, &mut self.yz] {
                square.remove(0);
                square.iter_mut().for_each(|row| {
                    row.remove(0);
                });
            }
        }
        self.all.push_back([s, z]);
        let k = self.all.len();
        let products = self.products(&[y, gradient]);
        for square in [&mut self.sy, &mut self.yz] {
            square.iter_mut().for_each(|row| row.push(0.0));
            square.push(vec![0.0; k]);
        }
        for (i, own) in products.chunks_exact(4).enumerate() {
            self.sy[i][k - 1] = own[0];
            self.yz[i][k - 1] = own[2];
            self.yz[k - 1][i] = own[2];
        }
        self.combined(&products, 2, 1, ahead)
    }

    fn threads(&self, vectors: usize, n: usize) -> usize {
        if vectors * n < MUCH { 1 } else { self.threads }
    }

    /// Of each pair the products of s and then of z with each of the others.
    fn products(&self, others: &[&[f64]]) -> Vec<f64> {
        let n = others[0].len();
        let len = self.all.len() * 2 * others.len();
        let run = |i: usize, (): &mut ()| {
            let range = i * CHUNK..((i + 1) * CHUNK).min(n);
            let mut own = Vec::with_capacity(len);
            for vector in self.all.iter().flatten() {
                let vector = &vector[range.clone()];
                own.extend(others.iter().map(|other| dot(vector, &other[range.clone()])));
            }
            own
        };
        let mut sums = vec![0.0; len];
        each_part(
            n.div_ceil(CHUNK),
            self.threads(len, n),
            || (),
            run,
            |own| {
                sums.iter_mut().zip(own).for_each(|(sum, x)| *sum += x);
            },
        );
        sums
    }

    /// H g, from the products of the pairs with `others` vectors of which g is one.
    fn combined(&self, products: &[f64], others: usize, at: usize, ahead: &[f64]) -> Vec<f64> {
        let k = self.all.len();
        let with = |i: usize, which: usize| products[(2 * i + which) * others + at];
        let (sy, yz) = (&self.sy, &self.yz);
        let mut u = vec![0.0; k];
        for i in (0..k).rev() {
            let later: f64 = (i + 1..k).map(|j| sy[i][j] * u[j]).sum();
            u[i] = (with(i, 0) - later) / sy[i][i];
        }
        let mut w = vec![0.0; k];
        for i in 0..k {
            let own = sy[i][i] * u[i] + dot(&yz[i], &u) - with(i, 1);
            let before: f64 = (0..i).map(|j| sy[j][i] * w[j]).sum();
            w[i] = (own - before) / sy[i][i];
        }
        let n = ahead.len();
        let run = |i: usize, (): &mut ()| {
            let range = i * CHUNK..((i + 1) * CHUNK).min(n);
            let mut own = ahead[range.clone()].to_vec();
            for (([s, z], w), u) in self.all.iter().zip(&w).zip(&u) {
                add(&mut own, &s[range.clone()], *w, &z[range.clone()], *u);
            }
            own
        };
        let mut direction = Vec::with_capacity(n);
        let threads = self.threads(2 * k, n);
        each_part(n.div_ceil(CHUNK), threads, || (), run, |own| direction.extend(own));
        direction
    }
}

leveled! {
    /// x + w s - u z.
    fn add(x: &mut [f64], s: &[f64], w: f64, z: &[f64], u: f64) => add_body
}

#[inline(always)]
fn add_body(x: &mut [f64], s: &[f64], w: f64, z: &[f64], u: f64) {
    for ((x, s), z) in x.iter_mut().zip(s).zip(z) {
        *x += w * s - u * z;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solve::random::SplitMix64;

    /// The two loops of Nocedal (1980), doi:10.1090/S0025-5718-1980-0572855-7.
    fn two_loops(pairs: &[(Vec<f64>, Vec<f64>)], inverse: &[f64], g: &[f64]) -> Vec<f64> {
        let mut q = g.to_vec();
        let mut alphas = Vec::new();
        for (s, y) in pairs.iter().rev() {
            let alpha = dot(s, &q) / dot(s, y);
            q.iter_mut().zip(y).for_each(|(q, y)| *q -= alpha * y);
            alphas.push(alpha);
        }
        q.iter_mut().zip(inverse).for_each(|(q, d)| *q *= d);
        for ((s, y), alpha) in pairs.iter().zip(alphas.iter().rev()) {
            let beta = dot(y, &q) / dot(s, y);
            q.iter_mut().zip(s).for_each(|(q, s)| *q += (alpha - beta) * s);
        }
        q
    }

    #[test]
    fn the_compact_form_is_that_of_the_two_loops_whatever_the_threads_and_after_a_state() {
        let mut random = SplitMix64::of_epoch(3, 0);
        for (n, most) in [(7, 3), (5_000, 4), (70_000, 20)] {
            let mut vector = |least: f64| -> Vec<f64> {
                (0..n).map(|_| least + random.below(1 << 30) as f64 / f64::from(1 << 30)).collect()
            };
            let (inverse, curvature) = (vector(0.1), vector(0.5));
            let mut all: Vec<Pairs> = [1, 2, 5].map(|threads| Pairs::new(most, threads)).into();
            let mut kept: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
            for _ in 0..most + 2 {
                let (s, g) = (vector(-0.5), vector(-0.5));
                let y: Vec<f64> = s.iter().zip(&curvature).map(|(s, h)| s * h).collect();
                let by = |x: &[f64]| -> Vec<f64> {
                    x.iter().zip(&inverse).map(|(x, d)| x * d).collect()
                };
                kept.push((s.clone(), y.clone()));
                if kept.len() > most {
                    kept.remove(0);
                }
                let expected = two_loops(&kept, &inverse, &g);
                let size = dot(&expected, &expected).sqrt();
                let given: Vec<Vec<f64>> = all
                    .iter_mut()
                    .map(|pairs| pairs.learn((s.clone(), &y, by(&y)), &g, &by(&g)))
                    .collect();
                for (x, expected) in given[0].iter().zip(&expected) {
                    assert!((x - expected).abs() <= 1e-13 * size, "{x} {expected}");
                }
                assert!(given.iter().all(|other| *other == given[0]));
                let mut state = State::default();
                all[1].save(&mut state);
                let again = Pairs::of(&state, n, most, 3).unwrap();
                assert_eq!(again.apply(&g, &by(&g)), given[0]);
            }
        }
    }
}
