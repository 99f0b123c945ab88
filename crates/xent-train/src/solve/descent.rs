//! The loop that Newton's method, its truncated form and reweighted least squares share: a direction from the curvature at
//! hand, and a line search along it.

use std::fmt;

use crate::error::Error;
use crate::problem::Problem;
use crate::solve::gap::Duality;
use crate::solve::line_search::search;
use crate::solve::walk::{Header, Standing, Step, Steps, walk};
use crate::solve::{Limits, Observer, Solution, State, dot, norm};

/// What two evaluations of an objective may differ by, relative, though it is the same.
const ROUNDING: f64 = 1e-14;

/// `H⁻¹ g` at parameters with this objective and gradient, and the passes it took.
pub(crate) type Direction<'a> = dyn Fn(&[f64], f64, &[f64]) -> (Vec<f64>, usize) + 'a;

/// Where a solver begins.
#[derive(Debug)]
pub enum Begin<'a> {
    /// At these parameters.
    Start(Vec<f64>),
    /// At what [`Iteration::state`](crate::solve::Iteration::state) gave out.
    State(&'a State),
}

/// `u ← u - step H⁻¹ g` until the limits say so. The gap is estimated by `½ g' H⁻¹ g`, what the quadratic model promises.
///
/// A state is the parameters alone: all else follows from them.
pub(crate) fn descend(
    method: &'static str,
    problem: &Problem<'_>,
    from: Begin<'_>,
    direction: &Direction<'_>,
    limits: &Limits,
    observer: &mut Observer<'_>,
) -> Result<Solution, Error> {
    let (params, header) = match from {
        Begin::Start(params) => (params, None),
        Begin::State(state) => {
            let params = state.need_vector("params", problem.n_params())?;
            (params, Some(Header::of(method, state)?))
        }
    };
    let mut gradient = vec![0.0; params.len()];
    let objective = problem.gradient(&params, &mut gradient);
    let (ahead, passes) = direction(&params, objective, &gradient);
    let duality = Duality::new(problem);
    let mut steps = Descent { problem, duality, direction, params, objective, gradient, ahead };
    let header = header.unwrap_or(Header::start(method, passes + 1));
    walk(&mut steps, header, problem, limits, observer)
}

struct Descent<'a> {
    problem: &'a Problem<'a>,
    duality: Option<Duality<'a>>,
    direction: &'a Direction<'a>,
    params: Vec<f64>,
    objective: f64,
    gradient: Vec<f64>,
    /// H⁻¹ g here.
    ahead: Vec<f64>,
}

impl fmt::Debug for Descent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Descent").field("objective", &self.objective).finish_non_exhaustive()
    }
}

impl Steps for Descent<'_> {
    fn standing(&self) -> Standing {
        Standing {
            objective: self.objective,
            gradient_norm: norm(&self.gradient),
            estimate: Some(0.5 * dot(&self.gradient, &self.ahead)),
        }
    }

    fn params(&self) -> &[f64] {
        &self.params
    }

    fn bound(&self) -> Option<f64> {
        let duality = self.duality.as_ref()?;
        Some(duality.gap(&self.params, self.objective, &self.gradient))
    }

    fn patience(&self) -> usize {
        5
    }

    fn step(&mut self) -> Result<Step, Error> {
        let slope = dot(&self.gradient, &self.ahead);
        let (found, passes) =
            search(self.problem, &self.params, self.objective, &self.ahead, slope);
        let Some(found) = found.filter(|found| found.params != self.params) else {
            return Ok(Step { has_moved: false, passes });
        };
        // Where steps change the objective by rounding only, they go on as long as the gradient shrinks.
        if (found.objective - self.objective).abs() <= ROUNDING * self.objective.abs()
            && norm(&found.gradient) >= norm(&self.gradient)
        {
            return Ok(Step { has_moved: false, passes });
        }
        self.params = found.params;
        self.objective = found.objective;
        self.gradient = found.gradient;
        let (ahead, more) = (self.direction)(&self.params, self.objective, &self.gradient);
        self.ahead = ahead;
        Ok(Step { has_moved: true, passes: passes + more })
    }

    fn save(&self, _: &mut State) {}
}
