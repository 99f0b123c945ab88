//! Gradient descent, to be watched.

use std::fmt;

use crate::error::Error;
use crate::problem::Problem;
use crate::solve::gap::Duality;
use crate::solve::prox::{soft, subgradient};
use crate::solve::rate::{check_rate, smoothness};
use crate::solve::walk::{Header, Standing, Step, Steps, walk};
use crate::solve::{Begin, Limits, Observer, Solution, Solver, State, norm};

/// Gradient descent with a fixed learning rate, nothing added to it.
///
/// ```text
/// u ← u - rate g          with a lasso:  u ← soft(u - rate g, rate l1)
/// ```
///
/// Steps are taken in the coordinates of the problem: over raw features ([`Scaling::identity`](crate::Scaling::identity)) they are those of the
/// textbook. It works from any start, for cross entropy and squared error, also where there is no minimum. It is there to show
/// how losses differ; to find a minimum it is the slowest way.
///
/// The gap is estimated from the rate at which the gradient shrinks, which tells the curvature λ of the slowest direction, once
/// all others have died out: `|g|² / (2 λ)`, `λ = (1 - |g| / |g before|) / rate`. While the gradient grows, as it does on a
/// plateau, the gap is unknown. The lasso's proximal step: Combettes and Wajs (2005), doi:10.1137/050626090.
#[derive(Clone, Debug, Default)]
pub struct Gd {
    /// The learning rate; if there is none, 1 / L, where L is a bound of the curvature.
    pub rate: Option<f64>,
}

const NAME: &str = "gd";

impl Solver for Gd {
    fn solve_from(
        &self,
        problem: &Problem<'_>,
        from: Begin<'_>,
        limits: &Limits,
        observer: &mut Observer<'_>,
    ) -> Result<Solution, Error> {
        let (mut steps, header) = match from {
            Begin::Start(start) => {
                check_rate(self.rate)?;
                let (rate, passes) = match self.rate {
                    Some(rate) => (rate, 0),
                    None => smoothness(problem).map(|(bound, passes)| (1.0 / bound, passes))?,
                };
                (Under::new(problem, start, rate, None), Header::start(NAME, passes + 1))
            }
            Begin::State(state) => {
                let header = Header::of(NAME, state)?;
                let params = state.need_vector("params", problem.n_params())?;
                let before = state.number("length_before");
                (Under::new(problem, params, state.need("rate")?, before), header)
            }
        };
        walk(&mut steps, header, problem, limits, observer)
    }
}

struct Under<'a> {
    problem: &'a Problem<'a>,
    duality: Option<Duality<'a>>,
    rate: f64,
    params: Vec<f64>,
    gradient: Vec<f64>,
    objective: f64,
    /// Of the step from here, divided by the rate: without a lasso that of the gradient.
    length: f64,
    before: Option<f64>,
}

impl fmt::Debug for Under<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gd").field("objective", &self.objective).finish_non_exhaustive()
    }
}

impl<'a> Under<'a> {
    fn new(problem: &'a Problem<'a>, params: Vec<f64>, rate: f64, before: Option<f64>) -> Self {
        let gradient = vec![0.0; params.len()];
        let duality = Duality::new(problem);
        let (objective, length) = (0.0, 0.0);
        let mut under =
            Self { problem, duality, rate, params, gradient, objective, length, before };
        under.look();
        under
    }

    fn look(&mut self) {
        let problem = self.problem;
        self.objective =
            problem.gradient(&self.params, &mut self.gradient) + problem.lasso(&self.params);
        self.length = if problem.has_l1() {
            let step: Vec<f64> =
                self.params.iter().zip(self.next()).map(|(u, next)| u - next).collect();
            norm(&step) / self.rate
        } else {
            norm(&self.gradient)
        };
    }

    fn next(&self) -> Vec<f64> {
        let one = |(i, (&u, &g)): (usize, (&f64, &f64))| {
            let l1 = self.problem.l1(i);
            let next = u - self.rate * g;
            if l1 == 0.0 { next } else { soft(next, self.rate * l1) }
        };
        self.params.iter().zip(&self.gradient).enumerate().map(one).collect()
    }
}

impl Steps for Under<'_> {
    fn standing(&self) -> Standing {
        let curvature = self.before.map_or(0.0, |before| (1.0 - self.length / before) / self.rate);
        let estimate = if self.length == 0.0 {
            0.0
        } else if curvature > 0.0 {
            0.5 * self.length * self.length / curvature
        } else {
            f64::INFINITY
        };
        let gradient_norm = if self.problem.has_l1() {
            norm(&subgradient(self.problem, &self.params, &self.gradient))
        } else {
            self.length
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
        let next = self.next();
        if next == self.params {
            return Ok(Step { has_moved: false, passes: 0 });
        }
        self.params = next;
        self.before = Some(self.length);
        self.look();
        Ok(Step { has_moved: true, passes: 1 })
    }

    fn save(&self, state: &mut State) {
        state.put("rate", self.rate);
        if let Some(before) = self.before {
            state.put("length_before", before);
        }
    }
}
