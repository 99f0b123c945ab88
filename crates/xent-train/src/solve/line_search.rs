//! How far to go along a direction in which a smooth objective falls.

use crate::problem::Problem;
use crate::solve::dot;

/// A point farther down.
pub(crate) struct Found {
    pub params: Vec<f64>,
    pub objective: f64,
    pub gradient: Vec<f64>,
}

/// Goes from `params` against `direction`, where the objective falls by `slope`: the whole step first, then shorter ones by the
/// parabola through what is known, until it has fallen by a share of what the slope promised (Armijo 1966,
/// doi:10.2140/pjm.1966.16.1). Nothing if there is no such point in f64. Also the passes it took.
pub(crate) fn search(
    problem: &Problem<'_>,
    params: &[f64],
    objective: f64,
    direction: &[f64],
    slope: f64,
) -> (Option<Found>, usize) {
    let mut step = 1.0;
    let mut gradient = vec![0.0; params.len()];
    for passes in 1..=30 {
        let next: Vec<f64> = params.iter().zip(direction).map(|(u, d)| u - step * d).collect();
        let value = problem.gradient(&next, &mut gradient);
        let new_slope = dot(&gradient, direction);
        // Near the minimum differences of the objective are rounding; slopes still tell.
        let falls = value <= objective - 1e-4 * step * slope
            || (value - objective).abs() <= 1e-13 * objective.abs()
                && new_slope >= -0.9 * slope
                && new_slope <= slope;
        if value.is_finite() && falls {
            return (Some(Found { params: next, objective: value, gradient }), passes);
        }
        // The minimum of the parabola through what is known.
        let rise = value - objective + step * slope;
        let shrunk =
            if rise.is_finite() && rise > 0.0 { 0.5 * slope * step * step / rise } else { 0.0 };
        step = shrunk.clamp(0.1 * step, 0.5 * step);
    }
    (None, 30)
}
