//! Solvers: ways to the minimum of a [`Problem`], all with one report of how near they came.

pub(crate) mod auto;
mod cholesky;
mod lbfgs;

use std::time::Instant;

use crate::error::Error;
use crate::problem::Problem;

pub use lbfgs::Lbfgs;

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
#[derive(Clone, Copy, Debug)]
pub struct Iteration<'a> {
    /// From 0, which is the start.
    pub number: usize,
    /// Nats a row, with the penalty.
    pub objective: f64,
    /// Euclidean norm of the gradient in the solver's coordinates.
    pub gradient_norm: f64,
    /// What the objective is thought to be above its minimum, relative to it, if that is known.
    pub gap: Option<f64>,
    /// Where it is.
    pub params: &'a [f64],
    /// Seconds since the start.
    pub seconds: f64,
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
    /// Euclidean norm of the gradient in the solver's coordinates.
    pub gradient_norm: f64,
    /// Estimate, from the curvature, of what the objective is above its minimum, relative to it.
    pub gap: f64,
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
    /// Goes from `start` to the minimum, as near as the limits ask.
    ///
    /// # Errors
    ///
    /// The objective is not finite, or the solver cannot do the problem (a lasso, a squared error).
    fn solve(
        &self,
        problem: &Problem<'_>,
        start: Vec<f64>,
        limits: &Limits,
        observer: &mut Observer<'_>,
    ) -> Result<Solution, Error>;
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
