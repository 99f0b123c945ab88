//! Newton's method.

use crate::error::Error;
use crate::problem::Problem;
use crate::solve::cholesky::Cholesky;
use crate::solve::descent::{Begin, descend};
use crate::solve::{Limits, Observer, Solution, Solver, refuse_lasso, refuse_squared_error};

/// Newton's method with the whole Hessian and a line search.
///
/// ```text
/// u ← u - step H⁻¹ g,   H = Σ w x x' ⊗ (diag p - p p') / Σ w + diag l2 = L L'
/// ```
///
/// For cross entropy with at most a few thousand parameters: the Hessian takes `n_params²` numbers, a pass for it `n_params²`
/// multiplications a row, and Cholesky's factor `n_params³ / 3`. In return it needs about six iterations whatever the scales and
/// correlations of the features. Features that are combinations of others keep the coefficient they have. Of several classes
/// without a reference, whose scores could all be shifted, it takes steps that sum to 0 over the classes.
///
/// Source: Nocedal and Wright (2006), chapter 3, doi:10.1007/978-0-387-40065-5.
#[derive(Clone, Copy, Debug, Default)]
pub struct Newton;

const NAME: &str = "newton";

impl Solver for Newton {
    fn solve_from(
        &self,
        problem: &Problem<'_>,
        from: Begin<'_>,
        limits: &Limits,
        observer: &mut Observer<'_>,
    ) -> Result<Solution, Error> {
        refuse_lasso(NAME, problem)?;
        refuse_squared_error(NAME, problem)?;
        let n = problem.n_params();
        let direction = |params: &[f64], _: f64, gradient: &[f64]| {
            let mut hessian = vec![0.0; n * n];
            problem.hessian(params, &mut hessian);
            problem.add_gauge(&mut hessian);
            let mut direction = gradient.to_vec();
            Cholesky::new(hessian, n).solve(&mut direction);
            (direction, 1)
        };
        descend(NAME, problem, from, &direction, limits, observer)
    }
}
