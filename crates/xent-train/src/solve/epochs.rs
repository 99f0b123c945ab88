//! The loop of the methods that go by epochs: a sweep over the rows in random order, then a look at the objective.

use std::fmt;

use crate::error::Error;
use crate::problem::Problem;
use crate::solve::gap::Duality;
use crate::solve::prox::subgradient;
use crate::solve::walk::{Header, Standing, Step, Steps, walk};
use crate::solve::{Limits, Observer, Solution, State, dot, norm};

/// What happens in an epoch.
pub(crate) trait Sweep {
    /// Moves `params` in an epoch, from 0, that takes one pass over the rows.
    fn sweep(&mut self, problem: &Problem<'_>, params: &mut [f64], epoch: usize);

    fn save(&self, state: &mut State);
}

/// Epochs until the limits say so.
///
/// The gap is estimated by `|g|² / (2 λ)` with the curvature λ along the last epoch's way s, `λ = s' (g - g before) / s's`.
pub(crate) fn run(
    header: Header,
    problem: &Problem<'_>,
    sweep: &mut dyn Sweep,
    params: Vec<f64>,
    curvature: f64,
    limits: &Limits,
    observer: &mut Observer<'_>,
) -> Result<Solution, Error> {
    let mut gradient = vec![0.0; params.len()];
    let objective = problem.gradient(&params, &mut gradient) + problem.lasso(&params);
    let duality = Duality::new(problem);
    let epoch = header.iteration;
    let mut epochs =
        Epochs { problem, duality, sweep, epoch, params, gradient, objective, curvature };
    walk(&mut epochs, header, problem, limits, observer)
}

struct Epochs<'a> {
    problem: &'a Problem<'a>,
    duality: Option<Duality<'a>>,
    sweep: &'a mut dyn Sweep,
    epoch: usize,
    params: Vec<f64>,
    gradient: Vec<f64>,
    objective: f64,
    /// Along the last epoch; 0 if it is not known.
    curvature: f64,
}

impl fmt::Debug for Epochs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epochs").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Epochs<'_> {
    fn subgradient(&self) -> Vec<f64> {
        subgradient(self.problem, &self.params, &self.gradient)
    }
}

impl Steps for Epochs<'_> {
    fn standing(&self) -> Standing {
        let gradient_norm = norm(&self.subgradient());
        let estimate = if gradient_norm == 0.0 {
            0.0
        } else if self.curvature > 0.0 {
            0.5 * gradient_norm * gradient_norm / self.curvature
        } else {
            f64::INFINITY
        };
        Standing { objective: self.objective, gradient_norm, estimate: Some(estimate) }
    }

    fn params(&self) -> &[f64] {
        &self.params
    }

    fn bound(&self) -> Option<f64> {
        let duality = self.duality.as_ref()?;
        Some(duality.gap(&self.params, self.objective, &self.gradient))
    }

    fn step(&mut self) -> Result<Step, Error> {
        let (before, slopes) = (self.params.clone(), self.subgradient());
        self.sweep.sweep(self.problem, &mut self.params, self.epoch);
        self.epoch += 1;
        let problem = self.problem;
        self.objective =
            problem.gradient(&self.params, &mut self.gradient) + problem.lasso(&self.params);
        let way: Vec<f64> = self.params.iter().zip(&before).map(|(a, b)| a - b).collect();
        let bend: Vec<f64> = self.subgradient().iter().zip(&slopes).map(|(a, b)| a - b).collect();
        let square = dot(&way, &way);
        let curvature = if square > 0.0 { dot(&way, &bend) / square } else { 0.0 };
        self.curvature = if curvature.is_finite() { curvature.max(0.0) } else { 0.0 };
        Ok(Step { has_moved: true, passes: 2 })
    }

    fn save(&self, state: &mut State) {
        state.put("curvature", self.curvature);
        self.sweep.save(state);
    }
}
