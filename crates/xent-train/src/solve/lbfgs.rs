//! L-BFGS, started from the inverse of a cheap Hessian.

use std::collections::VecDeque;

use crate::error::Error;
use crate::problem::Problem;
use crate::solve::auto::ROUGH;
use crate::solve::{Clock, Flow, Iteration, Limits, Observer, Solution, Solver, Stop, dot, norm};

/// L-BFGS (Liu and Nocedal 1989).
#[derive(Clone, Debug)]
pub struct Lbfgs {
    /// Pairs of steps and changes of the gradient that are remembered.
    pub memory: usize,
}

impl Default for Lbfgs {
    fn default() -> Self {
        Self { memory: 10 }
    }
}

/// An approximate inverse of the Hessian.
pub(crate) type Preconditioner<'a> = dyn Fn(&mut [f64]) + 'a;

impl Solver for Lbfgs {
    fn solve(
        &self,
        problem: &Problem<'_>,
        start: Vec<f64>,
        limits: &Limits,
        observer: &mut Observer<'_>,
    ) -> Result<Solution, Error> {
        let mut diagonal = vec![0.0; problem.n_params()];
        problem.hessian_diagonal(&start, &mut diagonal);
        diagonal.iter_mut().for_each(|d| *d = if *d > 1e-12 { 1.0 / *d } else { 1.0 });
        let precondition = |x: &mut [f64]| x.iter_mut().zip(&diagonal).for_each(|(x, d)| *x *= d);
        self.run(problem, start, limits, ROUGH, &precondition, observer)
    }
}

impl Lbfgs {
    pub(crate) fn run(
        &self,
        problem: &Problem<'_>,
        mut params: Vec<f64>,
        limits: &Limits,
        margin: f64,
        precondition: &Preconditioner<'_>,
        observer: &mut Observer<'_>,
    ) -> Result<Solution, Error> {
        let clock = Clock::start();
        let n = params.len();
        let mut gradient = vec![0.0; n];
        let mut objective = problem.gradient(&params, &mut gradient);
        let mut passes = 1;
        let mut pairs: VecDeque<(Vec<f64>, Vec<f64>, f64)> = VecDeque::new();
        let mut iterations = 0;
        loop {
            if !objective.is_finite() {
                return Err(Error::Numerical(format!("the objective is {objective}")));
            }
            // H⁻¹ g by the two loops.
            let mut direction = gradient.clone();
            let mut alphas = Vec::with_capacity(pairs.len());
            for (s, y, rho) in pairs.iter().rev() {
                let alpha = rho * dot(s, &direction);
                direction.iter_mut().zip(y).for_each(|(d, y)| *d -= alpha * y);
                alphas.push(alpha);
            }
            precondition(&mut direction);
            for ((s, y, rho), alpha) in pairs.iter().zip(alphas.iter().rev()) {
                let beta = rho * dot(y, &direction);
                direction.iter_mut().zip(s).for_each(|(d, s)| *d += (alpha - beta) * s);
            }
            let slope = dot(&gradient, &direction);
            let gap = margin * slope / objective.abs().max(f64::MIN_POSITIVE);
            let gradient_norm = norm(&gradient);
            let seen = Iteration {
                number: iterations,
                objective,
                gradient_norm,
                gap: Some(gap),
                params: &params,
                seconds: clock.seconds(),
            };
            let flow = observer(&seen);
            let done = |stop, params, passes| Solution {
                params,
                objective,
                gradient_norm,
                gap,
                iterations,
                passes,
                stop,
            };
            if gap <= limits.tolerance || gradient_norm == 0.0 {
                return Ok(done(Stop::Tolerance, params, passes));
            }
            if flow == Flow::Stop {
                return Ok(done(Stop::Asked, params, passes));
            }
            if iterations >= limits.max_iterations {
                return Ok(done(Stop::Iterations, params, passes));
            }
            let mut step = 1.0;
            let mut next_gradient = vec![0.0; n];
            let mut accepted = None;
            for _ in 0..30 {
                let next: Vec<f64> =
                    params.iter().zip(&direction).map(|(u, d)| u - step * d).collect();
                let value = problem.gradient(&next, &mut next_gradient);
                passes += 1;
                let new_slope = dot(&next_gradient, &direction);
                // Near the minimum differences of the objective are rounding; slopes still tell.
                let falls = value <= objective - 1e-4 * step * slope
                    || (value - objective).abs() <= 1e-13 * objective.abs()
                        && new_slope >= -0.9 * slope
                        && new_slope <= slope;
                if value.is_finite() && falls {
                    accepted = Some((next, value));
                    break;
                }
                // The minimum of the parabola through what is known.
                let rise = value - objective + step * slope;
                let shrunk = if rise.is_finite() && rise > 0.0 {
                    0.5 * slope * step * step / rise
                } else {
                    0.0
                };
                step = shrunk.clamp(0.1 * step, 0.5 * step);
            }
            let Some((next, value)) = accepted else {
                return Ok(done(Stop::Precision, params, passes));
            };
            let s: Vec<f64> = next.iter().zip(&params).map(|(a, b)| a - b).collect();
            let y: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
            let sy = dot(&s, &y);
            if sy > 1e-16 * norm(&s) * norm(&y) {
                if pairs.len() == self.memory {
                    pairs.pop_front();
                }
                pairs.push_back((s, y, 1.0 / sy));
            }
            params = next;
            gradient = next_gradient;
            objective = value;
            iterations += 1;
        }
    }
}
