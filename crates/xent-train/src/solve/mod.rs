//! Solvers: ways to the minimum of a [`Problem`], all with one report of how near they came.

pub(crate) mod auto;
mod cd;
pub(crate) mod cholesky;
mod descent;
mod epochs;
pub(crate) mod gap;
mod gauge;
mod gd;
mod irls;
mod lbfgs;
mod line_search;
mod newton;
mod newton_cg;
mod pairs;
mod prox;
mod qr;
mod random;
pub(crate) mod rank;
pub(crate) mod rate;
mod rows;
mod saga;
mod sgd;
mod state;
#[cfg(test)]
mod tests;
mod walk;

use std::fmt;
use std::time::Instant;

use crate::error::Error;
use crate::problem::{Loss, Problem, Target};
use walk::{Header, Steps};

pub use cd::Cd;
pub use descent::Begin;
pub use gd::Gd;
pub use irls::Irls;
pub use lbfgs::Lbfgs;
pub use newton::Newton;
pub use newton_cg::NewtonCg;
pub use rate::Schedule;
pub use saga::Saga;
pub use sgd::Sgd;
pub use state::State;

/// Why a solver stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The gap is within the tolerance.
    Tolerance,
    /// The objective does not fall any more in f64.
    Precision,
    /// The iterations given were used up.
    Iterations,
    /// The observer asked for it.
    Asked,
}

/// A step of a solver, as an observer sees it.
#[derive(Clone, Copy)]
pub struct Iteration<'a> {
    /// From 0, which is the start.
    pub number: usize,
    /// Nats a row, with the penalty.
    pub objective: f64,
    /// Euclidean norm of the gradient in the solver's coordinates; with a lasso, of the subgradient that is nearest to 0.
    pub gradient_norm: f64,
    /// What the objective is above its minimum, relative to it, if that is known.
    pub gap: Option<f64>,
    /// Whether the gap is a proven bound rather than an estimate.
    pub is_bound: bool,
    /// Where it is.
    pub params: &'a [f64],
    /// Seconds since the start, or since it was resumed.
    pub seconds: f64,
    header: Header,
    steps: &'a dyn Steps,
    problem: &'a Problem<'a>,
}

impl fmt::Debug for Iteration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iteration")
            .field("number", &self.number)
            .field("objective", &self.objective)
            .field("gradient_norm", &self.gradient_norm)
            .field("gap", &self.gap)
            .finish_non_exhaustive()
    }
}

impl Iteration<'_> {
    /// Share of the rows, by weight, whose top class is not theirs.
    ///
    /// ```text
    /// Σ w_i (1 - y_i[top_i]) / Σ w_i,  top_i = argmax_k p_ik, the first of equals
    /// ```
    ///
    /// `y` is 1 for a row's class, or its target distribution. Takes a pass over the rows.
    pub fn error_rate(&self) -> f64 {
        let data = self.problem.data();
        let mut wrong = xent::exact::ExactSum::new();
        self.problem.predict(self.params, |row, p| {
            let top = (1..p.len()).fold(0, |top, k| if p[k] > p[top] { k } else { top });
            let right = match data.target {
                Target::Classes(classes) => f64::from(u8::from(classes[row] as usize == top)),
                Target::Distributions(view) => view.get(row, top),
            };
            wrong.add(data.weights.map_or(1.0, |w| w[row]) * (1.0 - right));
        });
        wrong.value() / self.problem.total_weight()
    }

    /// Mean cross entropy in nats, by weight, whatever is minimised. Takes a pass over the rows.
    pub fn log_loss(&self) -> f64 {
        self.problem.log_loss(self.params)
    }

    /// Shows the row and its probabilities, for each row. Takes a pass over the rows.
    pub fn predict(&self, each: impl FnMut(usize, &[f64])) {
        self.problem.predict(self.params, each);
    }

    /// All that is needed to go on from here, for [`Begin::State`].
    pub fn state(&self) -> State {
        self.header.state(self.steps)
    }
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// On.
    Continue,
    /// Stop here; what there is so far is the result.
    Stop,
}

/// Watches the iterations.
pub type Observer<'a> = dyn FnMut(&Iteration<'_>) -> Flow + 'a;

/// Where a solver ended.
#[derive(Clone, Debug)]
pub struct Solution {
    /// The parameters.
    pub params: Vec<f64>,
    /// Nats a row, with the penalty.
    pub objective: f64,
    /// Euclidean norm of the gradient in the solver's coordinates; with a lasso, of the subgradient that is nearest to 0.
    pub gradient_norm: f64,
    /// What the objective is above its minimum, relative to it; infinite if it is not known.
    pub gap: f64,
    /// Whether the gap is a proven bound, by duality, rather than an estimate from the curvature.
    pub is_bound: bool,
    /// Steps taken.
    pub iterations: usize,
    /// Passes over all rows.
    pub passes: usize,
    /// Why it ended there.
    pub stop: Stop,
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The relative gap to reach.
    pub tolerance: f64,
    /// Steps at most.
    pub max_iterations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tolerance: 1e-12, max_iterations: 10_000 }
    }
}

/// A way to the minimum.
pub trait Solver {
    /// Goes to the minimum, as near as the limits ask. From a state, which is shown to the observer first, the result has the same
    /// bits as if it had never stopped.
    ///
    /// # Errors
    ///
    /// The objective is not finite, or the solver cannot do the problem (a lasso, a squared error); [`Error::State`] if the state is of
    /// another solver or problem.
    fn solve_from(
        &self,
        problem: &Problem<'_>,
        from: Begin<'_>,
        limits: &Limits,
        observer: &mut Observer<'_>,
    ) -> Result<Solution, Error>;
}

/// Refuses a lasso, whose kinks a method cannot pass.
pub(crate) fn refuse_lasso(method: &'static str, problem: &Problem<'_>) -> Result<(), Error> {
    if problem.has_l1() {
        let hint = "cd, saga, gd and sgd can";
        return Err(Error::Unsupported { method, what: "a lasso", hint });
    }
    Ok(())
}

/// Refuses squared error after a sigmoid or softmax, which is not convex.
pub(crate) fn refuse_squared_error(
    method: &'static str,
    problem: &Problem<'_>,
) -> Result<(), Error> {
    if problem.loss() == Loss::SquaredError {
        let hint = "gd, sgd, lbfgs and newton-cg can";
        return Err(Error::Unsupported { method, what: "squared error", hint });
    }
    Ok(())
}

/// A bound of what the objective is above its minimum, relative to the minimum, which is at least `objective - gap`; infinite
/// where that leaves nothing.
pub(crate) fn relative_gap(gap: f64, objective: f64) -> f64 {
    if gap <= 0.0 {
        0.0
    } else if gap < objective {
        gap / (objective - gap)
    } else {
        f64::INFINITY
    }
}

pub(crate) fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

pub(crate) use crate::kernel::dot;

pub(crate) struct Clock(Instant);

impl Clock {
    pub fn start() -> Self {
        Self(Instant::now())
    }
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}
