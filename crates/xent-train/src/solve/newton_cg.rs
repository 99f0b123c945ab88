//! Truncated Newton.

use crate::error::Error;
use crate::problem::Problem;
use crate::solve::descent::{Begin, descend};
use crate::solve::{Limits, Observer, Solution, Solver, dot, refuse_lasso};

/// Truncated Newton: directions from conjugate gradients over Hessian-vector products, a line search along them.
///
/// ```text
/// H d = g,  until |H d - g| <= η |g|,  η = min(1/4, sqrt(|g|² / objective)),  |r|² = r' D⁻¹ r,  D the diagonal of H
/// ```
///
/// For many parameters, dense or sparse, where the Hessian is too large to be held: it takes a few vectors only. Each product is a pass
/// over the rows. As the demand grows with the nearness of the minimum, convergence is faster than linear. Of squared
/// error the Gauss-Newton part of the Hessian is taken, which never curves downwards.
///
/// Source: Dembo, Eisenstat and Steihaug (1982), doi:10.1137/0719025; Nocedal and Wright (2006), algorithm 7.1.
#[derive(Clone, Debug)]
pub struct NewtonCg {
    /// Products a direction may take at most.
    pub max_products: usize,
}

impl Default for NewtonCg {
    fn default() -> Self {
        Self { max_products: 500 }
    }
}

const NAME: &str = "newton-cg";

impl NewtonCg {
    fn direction(
        &self,
        problem: &Problem<'_>,
        params: &[f64],
        objective: f64,
        gradient: &[f64],
    ) -> (Vec<f64>, usize) {
        let n = params.len();
        let mut inverse = vec![0.0; n];
        problem.hessian_diagonal(params, &mut inverse);
        let most = inverse.iter().copied().fold(0.0, f64::max);
        inverse.iter_mut().for_each(|d| *d = if *d > 1e-14 * most { 1.0 / *d } else { 0.0 });
        let scaled = |r: &[f64]| r.iter().zip(&inverse).map(|(r, d)| r * d).collect::<Vec<f64>>();
        let mut direction = vec![0.0; n];
        let mut residual = gradient.to_vec();
        let mut ahead = scaled(&residual);
        let mut square = dot(&residual, &ahead);
        let near = square / objective.abs().max(f64::MIN_POSITIVE);
        let demand = near.sqrt().min(0.25);
        let enough = demand * demand * square;
        let mut product = vec![0.0; n];
        let mut passes = 1;
        while square > enough && square > 0.0 && passes <= self.max_products {
            problem.hessian_product(params, &ahead, &mut product);
            passes += 1;
            let curvature = dot(&ahead, &product);
            if curvature.is_nan() || curvature <= 1e-15 * most * dot(&ahead, &ahead) {
                break;
            }
            let step = square / curvature;
            direction.iter_mut().zip(&ahead).for_each(|(d, a)| *d += step * a);
            residual.iter_mut().zip(&product).for_each(|(r, p)| *r -= step * p);
            let next = scaled(&residual);
            let new_square = dot(&residual, &next);
            let beta = new_square / square;
            ahead.iter_mut().zip(&next).for_each(|(a, n)| *a = n + beta * *a);
            square = new_square;
        }
        if direction.iter().all(|&d| d == 0.0) {
            direction = scaled(gradient);
        }
        (direction, passes)
    }
}

impl Solver for NewtonCg {
    fn solve_from(
        &self,
        problem: &Problem<'_>,
        from: Begin<'_>,
        limits: &Limits,
        observer: &mut Observer<'_>,
    ) -> Result<Solution, Error> {
        refuse_lasso(NAME, problem)?;
        let direction = |params: &[f64], objective: f64, gradient: &[f64]| {
            self.direction(problem, params, objective, gradient)
        };
        descend(NAME, problem, from, &direction, limits, observer)
    }
}
