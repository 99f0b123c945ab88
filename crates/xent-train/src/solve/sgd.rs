//! Stochastic gradient descent.

use crate::error::Error;
use crate::problem::Problem;
use crate::solve::epochs::{Sweep, run};
use crate::solve::prox::soft;
use crate::solve::random::SplitMix64;
use crate::solve::rate::{Schedule, check_rate, row_smoothness, smoothness};
use crate::solve::walk::Header;
use crate::solve::{Begin, Limits, Observer, Solution, Solver, State};

/// Stochastic gradient descent over mini-batches; an iteration is an epoch.
///
/// ```text
/// u ← soft(u - rate_e g, rate_e l1),   g = n/b Σ_{i in batch} w_i ∇loss_i / Σ w + l2 u
/// ```
///
/// Each epoch shuffles the rows (SplitMix64 of the seed and the epoch, Fisher and Yates) and takes them in batches; steps are in the
/// coordinates of the problem. Results have the same bits for any number of threads. Like gradient descent it works from any start, for
/// cross entropy and squared error. It comes near a minimum soon and goes on slowly: with a constant rate it stays away from it by
/// about rate times the variance of the gradients.
///
/// Without a rate, 1 / (2 L_b) with the smoothness that a batch of b rows is expected to have, from L of all rows and the
/// largest L_i of one: `L_b = n (b-1) / (b (n-1)) L + (n-b) / (b (n-1)) max L_i` (Gower et al. 2019, "SGD: general analysis and
/// improved rates", ICML, proposition 3.8). Source: Robbins and Monro (1951), doi:10.1214/aoms/1177729586.
#[derive(Clone, Debug)]
pub struct Sgd {
    /// Rows of a batch.
    pub batch_size: usize,
    /// The learning rate of the first epoch.
    pub rate: Option<f64>,
    /// How it goes on.
    pub schedule: Schedule,
    /// Of the order of the rows.
    pub seed: u64,
}

impl Default for Sgd {
    fn default() -> Self {
        Self { batch_size: 32, rate: None, schedule: Schedule::Inverse { decay: 0.1 }, seed: 0 }
    }
}

const NAME: &str = "sgd";

struct Batches<'s> {
    settings: &'s Sgd,
    rate: f64,
}

impl Sgd {
    fn check(&self) -> Result<(), Error> {
        check_rate(self.rate)?;
        self.schedule.check()?;
        if self.batch_size == 0 {
            let (name, value) = ("batch size", "0".to_owned());
            return Err(Error::Parameter { name, value, domain: "at least 1" });
        }
        Ok(())
    }

    /// The rate if none is given, and the passes it takes.
    fn own_rate(&self, problem: &Problem<'_>) -> Result<(f64, usize), Error> {
        let (whole, passes) = smoothness(problem)?;
        let n = problem.n_rows() as f64;
        let b = (self.batch_size as f64).min(n);
        if b >= n {
            return Ok((1.0 / whole, passes));
        }
        let row = row_smoothness(problem);
        let expected = n * (b - 1.0) / (b * (n - 1.0)) * whole + (n - b) / (b * (n - 1.0)) * row;
        Ok((0.5 / expected, passes + 1))
    }
}

impl Solver for Sgd {
    fn solve_from(
        &self,
        problem: &Problem<'_>,
        from: Begin<'_>,
        limits: &Limits,
        observer: &mut Observer<'_>,
    ) -> Result<Solution, Error> {
        self.check()?;
        let (header, params, rate, curvature) = match from {
            Begin::Start(start) => {
                let (rate, passes) = match self.rate {
                    Some(rate) => (rate, 0),
                    None => self.own_rate(problem)?,
                };
                (Header::start(NAME, passes + 1), start, rate, 0.0)
            }
            Begin::State(state) => {
                let header = Header::of(NAME, state)?;
                let params = state.need_vector("params", problem.n_params())?;
                (header, params, state.need("rate")?, state.need("curvature")?)
            }
        };
        let mut batches = Batches { settings: self, rate };
        run(header, problem, &mut batches, params, curvature, limits, observer)
    }
}

impl Sweep for Batches<'_> {
    fn sweep(&mut self, problem: &Problem<'_>, params: &mut [f64], epoch: usize) {
        let n = problem.n_rows();
        let mut rows: Vec<u32> = (0..n).map(|i| problem.row_at(i) as u32).collect();
        SplitMix64::of_epoch(self.settings.seed, epoch).shuffle(&mut rows);
        let rate = self.settings.schedule.rate(self.rate, epoch);
        let mut gradient = vec![0.0; params.len()];
        for batch in rows.chunks(self.settings.batch_size) {
            let some = problem.over(batch.to_vec());
            // Batches of rows without weight have no loss, but the ridge goes on.
            let share =
                some.total_weight() / problem.total_weight() * n as f64 / batch.len() as f64;
            if share > 0.0 {
                some.gradient(params, &mut gradient);
            }
            for (i, (u, g)) in params.iter_mut().zip(&gradient).enumerate() {
                let ridge = problem.l2(i) * *u;
                let slope = if share == 1.0 {
                    *g
                } else if share > 0.0 {
                    share * (g - ridge) + ridge
                } else {
                    ridge
                };
                *u = soft(*u - rate * slope, rate * problem.l1(i));
            }
        }
    }

    fn save(&self, state: &mut State) {
        state.put("rate", self.rate);
    }
}
