//! The lasso's share in steps and gradients.

use crate::problem::Problem;

/// The proximal operator of `threshold |x|`: towards 0 by the threshold, and no farther.
#[inline(always)]
pub(crate) fn soft(x: f64, threshold: f64) -> f64 {
    if x > threshold {
        x - threshold
    } else if x < -threshold {
        x + threshold
    } else {
        0.0
    }
}

/// The gradient, where there is a lasso the subgradient nearest to 0: all of it is 0 at the minimum, and only there.
///
/// ```text
/// g + l1 sign(u)  where u != 0,   sign(g) max(|g| - l1, 0)  where u = 0
/// ```
pub(crate) fn subgradient(problem: &Problem<'_>, params: &[f64], gradient: &[f64]) -> Vec<f64> {
    let one = |(i, (&u, &g)): (usize, (&f64, &f64))| {
        let l1 = problem.l1(i);
        if u == 0.0 { soft(g, l1) } else { g + l1.copysign(u) }
    };
    params.iter().zip(gradient).enumerate().map(one).collect()
}
