//! One loop for all solvers: what is shown, when it stops, what is said at the end.

use std::fmt::Debug;

use crate::error::Error;
use crate::problem::Problem;
use crate::solve::{Clock, Flow, Iteration, Limits, Observer, Solution, State, Stop, relative_gap};

/// What the objective may rise by, relative, without a word: stochastic steps and rounding do that.
const RISEN: f64 = 1e-6;

/// Where a solver stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// With all penalties.
    pub objective: f64,
    pub gradient_norm: f64,
    /// What the objective is thought to be above its minimum, in nats a row; infinite if there is no telling yet,
    /// `None` if only a bound can tell.
    pub estimate: Option<f64>,
}

/// What an iteration did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Whether the parameters moved.
    pub has_moved: bool,
    /// Passes over all rows it took.
    pub passes: usize,
}

/// A solver under way.
pub(crate) trait Steps: Debug {
    fn standing(&self) -> Standing;

    fn params(&self) -> &[f64];

    /// A proven bound of what the objective is above its minimum, in nats a row; takes a pass.
    fn bound(&self) -> Option<f64> {
        None
    }

    /// Iterations without a better bound, although the estimate is within the tolerance, after which only rounding can
    /// be in the way.
    fn patience(&self) -> usize {
        usize::MAX
    }

    fn step(&mut self) -> Result<Step, Error>;

    fn save(&self, state: &mut State);
}

/// The names and counts that a state begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub method: &'static str,
    pub iteration: usize,
    pub passes: usize,
    /// The best bound so far that was above the tolerance, relative, and how long none was better.
    best: f64,
    waited: usize,
    /// The least objective so far.
    least: f64,
}

impl Header {
    pub fn start(method: &'static str, passes: usize) -> Self {
        Self::after(method, 0, passes)
    }

    /// After so many iterations and passes in the name of the method.
    pub fn after(method: &'static str, iteration: usize, passes: usize) -> Self {
        Self { method, iteration, passes, best: f64::INFINITY, waited: 0, least: f64::INFINITY }
    }

    pub fn of(method: &'static str, state: &State) -> Result<Self, Error> {
        state.check(method)?;
        let mut header = Self::after(method, state.iteration, state.need("passes")? as usize);
        if let Some(best) = state.number("best_bound") {
            (header.best, header.waited) = (best, state.need("waited")? as usize);
        }
        header.least = state.number("least").unwrap_or(f64::INFINITY);
        Ok(header)
    }

    pub fn state(&self, steps: &dyn Steps) -> State {
        let method = self.method.to_owned();
        let mut state = State { method, iteration: self.iteration, ..State::default() };
        state.put("passes", self.passes as f64);
        if self.best.is_finite() {
            state.put("best_bound", self.best);
            state.put("waited", self.waited as f64);
        }
        if self.least.is_finite() {
            state.put("least", self.least);
        }
        state.put_vector("params", steps.params());
        steps.save(&mut state);
        state
    }
}

/// Steps until the limits say so.
///
/// The gap that counts is the bound where there is one. As it takes a pass, it is computed where the estimate is
/// within the tolerance, and at the end.
pub(crate) fn walk(
    steps: &mut dyn Steps,
    mut header: Header,
    problem: &Problem<'_>,
    limits: &Limits,
    observer: &mut Observer<'_>,
) -> Result<Solution, Error> {
    let clock = Clock::start();
    let mut has_moved = true;
    loop {
        let Standing { objective, gradient_norm, estimate } = steps.standing();
        if !objective.is_finite() {
            return Err(Error::Numerical(format!(
                "the objective is {objective} after {} iterations; a smaller learning rate or another start may help",
                header.iteration
            )));
        }
        let relative = |gap: f64| relative_gap(gap, objective);
        header.least = header.least.min(objective);
        // The minimum is not above the least objective seen: one that rises has that gap, whatever the curvature says.
        let risen =
            if objective > (1.0 + RISEN) * header.least { objective - header.least } else { 0.0 };
        let estimate = estimate.map(|gap| relative(gap.max(risen)));
        let is_last = !has_moved || header.iteration >= limits.max_iterations;
        let is_near = estimate.is_none_or(|gap| gap <= limits.tolerance);
        let mut bound = None;
        if is_near || is_last {
            bound = steps.bound().map(relative).filter(|bound| bound.is_finite());
        }
        let gap = bound.or(estimate);
        let flow = {
            let steps: &dyn Steps = steps;
            observer(&Iteration {
                number: header.iteration,
                objective,
                gradient_norm,
                gap: gap.filter(|gap| gap.is_finite()),
                is_bound: bound.is_some(),
                params: steps.params(),
                seconds: clock.seconds(),
                header,
                steps,
                problem,
            })
        };
        // A run that is resumed from here computes the bound again, and comes to what follows.
        if let Some(bound) = bound
            && is_near
            && bound > limits.tolerance
        {
            header.waited += 1;
            if bound < 0.9 * header.best {
                (header.best, header.waited) = (bound, 0);
            }
        }
        header.passes += usize::from(bound.is_some());
        let stop = if gap.is_some_and(|gap| gap <= limits.tolerance) {
            Some(Stop::Tolerance)
        } else if flow == Flow::Stop {
            Some(Stop::Asked)
        } else if !has_moved
            || gradient_norm == 0.0 && bound.is_none()
            || header.waited >= steps.patience()
        {
            Some(Stop::Precision)
        } else if header.iteration >= limits.max_iterations {
            Some(Stop::Iterations)
        } else {
            None
        };
        if let Some(stop) = stop {
            if bound.is_none() {
                bound = steps.bound().map(relative).filter(|bound| bound.is_finite());
                header.passes += usize::from(bound.is_some());
            }
            return Ok(Solution {
                params: steps.params().to_vec(),
                objective,
                gradient_norm,
                gap: bound.or(estimate).unwrap_or(f64::INFINITY),
                is_bound: bound.is_some(),
                iterations: header.iteration,
                passes: header.passes,
                stop,
            });
        }
        let step = steps.step()?;
        header.passes += step.passes;
        has_moved = step.has_moved;
        header.iteration += usize::from(has_moved);
    }
}
