//! L-BFGS, started from the inverse of a cheap Hessian.

use std::fmt;

use crate::error::Error;
use crate::problem::Problem;
use crate::solve::auto::ROUGH;
use crate::solve::gap::Duality;
use crate::solve::line_search::{Found, search};
use crate::solve::pairs::Pairs;
use crate::solve::walk::{Header, Standing, Step, Steps, walk};
use crate::solve::{Begin, Limits, Observer, Solution, Solver, State, dot, norm, refuse_lasso};

/// L-BFGS (Liu and Nocedal 1989, doi:10.1007/BF01589116).
#[derive(Clone, Debug)]
pub struct Lbfgs {
    /// Pairs of steps and changes of the gradient that are remembered.
    pub memory: usize,
    /// Whether the gap is to be proven by duality where it can be, which takes a pass when the estimate is within the
    /// tolerance. The estimate alone, from the curvature remembered, may be hundreds of times too low where features
    /// are nearly collinear.
    pub certifies: bool,
    /// What the estimate is multiplied by before it counts.
    pub(crate) margin: f64,
}

impl Default for Lbfgs {
    fn default() -> Self {
        Self { memory: 10, certifies: true, margin: ROUGH }
    }
}

/// An approximate inverse of the Hessian.
pub(crate) type Preconditioner<'a> = dyn Fn(&mut [f64]) + 'a;

const NAME: &str = "lbfgs";

impl Solver for Lbfgs {
    fn solve_from(
        &self,
        problem: &Problem<'_>,
        from: Begin<'_>,
        limits: &Limits,
        observer: &mut Observer<'_>,
    ) -> Result<Solution, Error> {
        let diagonal = match &from {
            Begin::Start(start) => {
                let mut diagonal = vec![0.0; problem.n_params()];
                problem.hessian_diagonal(start, &mut diagonal);
                diagonal.iter_mut().for_each(|d| *d = if *d > 1e-12 { 1.0 / *d } else { 1.0 });
                diagonal
            }
            Begin::State(state) => state.need_vector("diagonal", problem.n_params())?,
        };
        let precondition = |x: &mut [f64]| x.iter_mut().zip(&diagonal).for_each(|(x, d)| *x *= d);
        let kept = Kept { vector: ("diagonal", &diagonal), numbers: &[] };
        match from {
            Begin::Start(start) => {
                let header = Header::start(NAME, 0);
                self.run_keeping(header, problem, start, limits, &precondition, kept, observer)
            }
            Begin::State(state) => {
                self.run_on(NAME, problem, state, limits, &precondition, kept, observer)
            }
        }
    }
}

/// What a state holds besides that of L-BFGS, for making the preconditioner again.
#[derive(Clone, Copy)]
pub(crate) struct Kept<'a> {
    pub vector: (&'static str, &'a [f64]),
    pub numbers: &'a [(&'static str, f64)],
}

impl Lbfgs {
    /// From a start, without states that could be gone on from.
    pub(crate) fn run(
        &self,
        problem: &Problem<'_>,
        params: Vec<f64>,
        limits: &Limits,
        precondition: &Preconditioner<'_>,
        observer: &mut Observer<'_>,
    ) -> Result<Solution, Error> {
        let kept = Kept { vector: ("diagonal", &[]), numbers: &[] };
        let header = Header::start(NAME, 0);
        self.run_keeping(header, problem, params, limits, precondition, kept, observer)
    }

    /// From a start, in the name of a method and with its counts so far, and with what its states hold besides.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn run_keeping(
        &self,
        mut header: Header,
        problem: &Problem<'_>,
        params: Vec<f64>,
        limits: &Limits,
        precondition: &Preconditioner<'_>,
        kept: Kept<'_>,
        observer: &mut Observer<'_>,
    ) -> Result<Solution, Error> {
        refuse_lasso(header.method, problem)?;
        header.passes += 1;
        let mut gradient = vec![0.0; params.len()];
        let objective = problem.gradient(&params, &mut gradient);
        let standing = (params, gradient, objective);
        let pairs = Pairs::new(self.memory, problem.threads());
        let mut steps = self.under(problem, precondition, kept, standing, pairs);
        walk(&mut steps, header, problem, limits, observer)
    }

    /// From a state of the same method.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn run_on(
        &self,
        method: &'static str,
        problem: &Problem<'_>,
        state: &State,
        limits: &Limits,
        precondition: &Preconditioner<'_>,
        kept: Kept<'_>,
        observer: &mut Observer<'_>,
    ) -> Result<Solution, Error> {
        let header = Header::of(method, state)?;
        let n = problem.n_params();
        let pairs = Pairs::of(state, n, self.memory, problem.threads())?;
        let params = state.need_vector("params", n)?;
        let gradient = state.need_vector("gradient", n)?;
        let objective = state.need("objective")?;
        let standing = (params, gradient, objective);
        let mut steps = self.under(problem, precondition, kept, standing, pairs);
        walk(&mut steps, header, problem, limits, observer)
    }

    /// On the way from parameters, with the gradient and the objective there, and with what was learnt before.
    fn under<'a>(
        &self,
        problem: &'a Problem<'a>,
        precondition: &'a Preconditioner<'a>,
        kept: Kept<'a>,
        (params, gradient, objective): (Vec<f64>, Vec<f64>, f64),
        pairs: Pairs,
    ) -> Under<'a> {
        let mut ahead = gradient.clone();
        precondition(&mut ahead);
        let direction = pairs.apply(&gradient, &ahead);
        Under {
            problem,
            duality: self.certifies.then(|| Duality::new(problem)).flatten(),
            precondition,
            kept,
            margin: self.margin,
            params,
            gradient,
            objective,
            pairs,
            ahead,
            direction,
        }
    }
}

struct Under<'a> {
    problem: &'a Problem<'a>,
    duality: Option<Duality<'a>>,
    precondition: &'a Preconditioner<'a>,
    kept: Kept<'a>,
    margin: f64,
    params: Vec<f64>,
    gradient: Vec<f64>,
    objective: f64,
    pairs: Pairs,
    /// The preconditioner times the gradient.
    ahead: Vec<f64>,
    /// H⁻¹ g.
    direction: Vec<f64>,
}

impl fmt::Debug for Under<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lbfgs").field("objective", &self.objective).finish_non_exhaustive()
    }
}

impl Steps for Under<'_> {
    fn standing(&self) -> Standing {
        Standing {
            objective: self.objective,
            gradient_norm: norm(&self.gradient),
            // Twice what the model promises, as it is not exact, or more.
            estimate: Some(self.margin * dot(&self.gradient, &self.direction)),
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
        100
    }

    fn step(&mut self) -> Result<Step, Error> {
        let slope = dot(&self.gradient, &self.direction);
        let (found, passes) =
            search(self.problem, &self.params, self.objective, &self.direction, slope);
        let Some(found) = found else {
            return Ok(Step { has_moved: false, passes });
        };
        let Found { params, gradient, objective } = found;
        let mut ahead = gradient.clone();
        (self.precondition)(&mut ahead);
        let s = since(std::mem::take(&mut self.params), &params);
        let y = since(std::mem::take(&mut self.gradient), &gradient);
        let z = since(std::mem::take(&mut self.ahead), &ahead);
        self.direction = if dot(&s, &y) > 1e-16 * norm(&s) * norm(&y) {
            self.pairs.learn((s, &y, z), &gradient, &ahead)
        } else {
            self.pairs.apply(&gradient, &ahead)
        };
        (self.params, self.gradient, self.ahead) = (params, gradient, ahead);
        self.objective = objective;
        Ok(Step { has_moved: true, passes })
    }

    fn save(&self, state: &mut State) {
        state.put_vector(self.kept.vector.0, self.kept.vector.1);
        for (name, number) in self.kept.numbers {
            state.put(*name, *number);
        }
        state.put("objective", self.objective);
        state.put_vector("gradient", &self.gradient);
        self.pairs.save(state);
    }
}

/// What has changed.
fn since(mut before: Vec<f64>, now: &[f64]) -> Vec<f64> {
    before.iter_mut().zip(now).for_each(|(before, now)| *before = now - *before);
    before
}
