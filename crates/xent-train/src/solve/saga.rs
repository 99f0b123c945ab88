//! SAGA: stochastic steps whose noise dies out.

use crate::error::Error;
use crate::problem::Problem;
use crate::solve::epochs::{Sweep, run};
use crate::solve::prox::soft;
use crate::solve::random::SplitMix64;
use crate::solve::rate::{check_rate, row_smoothness};
use crate::solve::rows::{Reader, link};
use crate::solve::walk::Header;
use crate::solve::{Begin, Limits, Observer, Solution, Solver, State, refuse_squared_error};

/// SAGA; an iteration is an epoch of n steps, each of one row drawn at random.
///
/// ```text
/// u ← soft(u - rate [ω_i (r_i - r_i before) x_i + average + l2 u], rate l1),   r_i = p_i - y_i,  ω_i = n w_i / Σ w
/// average = 1/n Σ ω_i r_i x_i  over the latest residuals of all rows
/// ```
///
/// Converges linearly, with a ridge, a lasso or both, where the condition of the problem (the largest row's curvature over the least
/// of the whole) is not much above n. Right for many rows and few demands. It keeps a residual for each row and
/// output, and works on one thread. Of sparse rows only what they hold is touched: the steps that a parameter has missed are made good, in
/// closed form, when it is met again.
///
/// Without a rate, 1 / (3 L), L the largest curvature of a row. Source: Defazio, Bach and Lacoste-Julien (2014), arXiv:1407.0202. Rows are
/// drawn with replacement by SplitMix64 of the seed and the epoch.
#[derive(Clone, Debug, Default)]
pub struct Saga {
    /// The learning rate.
    pub rate: Option<f64>,
    /// Of the rows drawn.
    pub seed: u64,
}

const NAME: &str = "saga";

impl Solver for Saga {
    fn solve_from(
        &self,
        problem: &Problem<'_>,
        from: Begin<'_>,
        limits: &Limits,
        observer: &mut Observer<'_>,
    ) -> Result<Solution, Error> {
        refuse_squared_error(NAME, problem)?;
        let (header, mut table, params, curvature) = match from {
            Begin::Start(start) => {
                check_rate(self.rate)?;
                let rate = self.rate.unwrap_or_else(|| 1.0 / (3.0 * row_smoothness(problem)));
                let (table, average) = residuals(problem, &start);
                let table = Table::new(problem, self.seed, rate, table, average);
                (Header::start(NAME, 3), table, start, 0.0)
            }
            Begin::State(state) => {
                let header = Header::of(NAME, state)?;
                let n = problem.n_params();
                let rows = problem.n_rows() * problem.n_outputs();
                let residuals = state.need_vector("residuals", rows)?;
                let average = state.need_vector("average", n)?;
                let params = state.need_vector("params", n)?;
                let rate = state.need("rate")?;
                let table = Table::new(problem, self.seed, rate, residuals, average);
                (header, table, params, state.need("curvature")?)
            }
        };
        run(header, problem, &mut table, params, curvature, limits, observer)
    }
}

/// The residuals of all rows at the start, and their average gradient.
fn residuals(problem: &Problem<'_>, params: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (n, m) = (problem.n_rows(), problem.n_outputs());
    let mut table = vec![0.0; n * m];
    let mut average = vec![0.0; params.len()];
    let mut reader = Reader::new(problem);
    for (i, residual) in table.chunks_exact_mut(m).enumerate() {
        reader.load(i);
        reader.scores(params, residual);
        link(problem, residual);
        residual.iter_mut().enumerate().for_each(|(k, r)| *r -= reader.target(k));
        let part = reader.weight() / problem.total_weight();
        let dense = reader.dense.iter().enumerate().map(|(place, &x)| (place, x));
        let others = reader.others.iter().map(|&(place, x)| (place as usize, x));
        for (place, x) in dense.chain(others) {
            for k in 0..m {
                average[place * m + k] += part * x * residual[k];
            }
        }
    }
    (table, average)
}

struct Table {
    seed: u64,
    rate: f64,
    /// `(n_samples, n_outputs)`.
    residuals: Vec<f64>,
    average: Vec<f64>,
    /// Of each parameter: what a step leaves of it, 1 - rate l2; and rate l1.
    decay: Vec<f64>,
    threshold: Vec<f64>,
}

impl Table {
    fn new(
        problem: &Problem<'_>,
        seed: u64,
        rate: f64,
        residuals: Vec<f64>,
        average: Vec<f64>,
    ) -> Self {
        let n = problem.n_params();
        let decay = (0..n).map(|i| 1.0 - rate * problem.l2(i)).collect();
        let threshold = (0..n).map(|i| rate * problem.l1(i)).collect();
        Self { seed, rate, residuals, average, decay, threshold }
    }
}

impl Sweep for Table {
    fn sweep(&mut self, problem: &Problem<'_>, params: &mut [f64], epoch: usize) {
        let (n, m) = (problem.n_rows(), problem.n_outputs());
        let mut random = SplitMix64::of_epoch(self.seed, epoch);
        let mut reader = Reader::new(problem);
        let n_dense = reader.dense.len() * m;
        // Steps that each place behind the dense ones has seen.
        let mut seen = vec![0_usize; problem.n_places()];
        let (mut fresh, mut delta) = (vec![0.0; m], vec![0.0; m]);
        let has_lasso = problem.has_l1();
        let rate = self.rate;
        for step in 0..n {
            let i = random.below(n);
            reader.load(i);
            for &(place, _) in &reader.others {
                let place = place as usize;
                self.catch_up(params, place, m, step - seen[place]);
                seen[place] = step + 1;
            }
            reader.scores(params, &mut fresh);
            link(problem, &mut fresh);
            let importance = reader.weight() * n as f64 / problem.total_weight();
            let old = &mut self.residuals[i * m..(i + 1) * m];
            for k in 0..m {
                let residual = fresh[k] - reader.target(k);
                delta[k] = importance * (residual - old[k]);
                old[k] = residual;
            }
            let share = 1.0 / n as f64;
            let dense = reader.dense.iter().enumerate().map(|(place, &x)| (place, x));
            if m == 1 && !has_lasso {
                let delta = delta[0];
                let (average, decay) = (&mut self.average[..n_dense], &self.decay[..n_dense]);
                let all = params[..n_dense].iter_mut().zip(average).zip(decay).zip(&reader.dense);
                for (((u, average), decay), x) in all {
                    let dx = delta * x;
                    *u = decay * *u - rate * (dx + *average);
                    *average += share * dx;
                }
            } else {
                dense.for_each(|(place, x)| self.move_place(params, place, x, &delta, share));
            }
            for &(place, x) in &reader.others {
                self.move_place(params, place as usize, x, &delta, share);
            }
        }
        for place in reader.dense.len()..problem.n_places() {
            self.catch_up(params, place, m, n - seen[place]);
        }
    }

    fn save(&self, state: &mut State) {
        state.put("rate", self.rate);
        state.put_vector("residuals", &self.residuals);
        state.put_vector("average", &self.average);
    }
}

impl Table {
    #[inline(always)]
    fn move_place(&mut self, params: &mut [f64], place: usize, x: f64, delta: &[f64], share: f64) {
        let m = delta.len();
        for (k, delta) in delta.iter().enumerate() {
            let i = place * m + k;
            let dx = delta * x;
            let next = self.decay[i] * params[i] - self.rate * (dx + self.average[i]);
            params[i] = soft(next, self.threshold[i]);
            self.average[i] += share * dx;
        }
    }

    /// The steps that a place has missed, during which its average was the same.
    #[inline(always)]
    fn catch_up(&self, params: &mut [f64], place: usize, m: usize, steps: usize) {
        if steps > 0 {
            for i in place * m..(place + 1) * m {
                let push = self.rate * self.average[i];
                params[i] = repeated(params[i], self.decay[i], push, self.threshold[i], steps);
            }
        }
    }
}

/// `u ← soft(decay u - push, threshold)`, so many times.
///
/// One step is a non-decreasing function of u, so u moves one way only and passes 0 at most once. On either side of 0 the step is
/// `decay u - c`, whose repetition has a closed form; the last step on a side is found by bisection.
fn repeated(mut u: f64, decay: f64, push: f64, threshold: f64, mut steps: usize) -> f64 {
    while steps > 0 {
        // The side it is on, or goes to.
        let side = if u != 0.0 {
            u.signum()
        } else if push.abs() > threshold {
            -push.signum()
        } else {
            return 0.0;
        };
        let c = side * push + threshold;
        let after = |steps: usize| many(side * u, decay, c, steps);
        if after(steps) > 0.0 {
            return side * after(steps);
        }
        // The last step that ends on this side, then one more.
        let (mut good, mut bad) = (0, steps);
        while bad - good > 1 {
            let middle = good + (bad - good) / 2;
            if after(middle) > 0.0 { good = middle } else { bad = middle }
        }
        u = soft(decay * side * after(good) - push, threshold);
        steps -= good + 1;
    }
    u
}

/// `u ← decay u - c`, so many times: `decay^s u - c (1 + decay + ... + decay^(s-1))`.
fn many(u: f64, decay: f64, c: f64, steps: usize) -> f64 {
    if decay == 1.0 {
        return u - c * steps as f64;
    }
    let (mut power, mut base, mut left) = (1.0, decay, steps);
    while left > 0 {
        if left & 1 == 1 {
            power *= base;
        }
        base *= base;
        left >>= 1;
    }
    power * u - c * ((1.0 - power) / (1.0 - decay))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_steps_are_made_good() {
        const ABSOLUTE: f64 = 1e-12;
        for u in [-2.0, -0.3, 0.0, 0.01, 1.5] {
            for decay in [1.0, 0.999, 0.9] {
                for push in [-0.2, -0.01, 0.0, 0.003, 0.1] {
                    for threshold in [0.0, 0.004, 0.05] {
                        for steps in [1, 2, 17, 300] {
                            let step = |u: f64| soft(decay * u - push, threshold);
                            let expected = (0..steps).fold(u, |u, _| step(u));
                            let found = repeated(u, decay, push, threshold, steps);
                            assert!(
                                (found - expected).abs() <= ABSOLUTE * (1.0 + expected.abs()),
                                "{u} {decay} {push} {threshold} {steps}: {found} {expected}"
                            );
                        }
                    }
                }
            }
        }
    }
}
