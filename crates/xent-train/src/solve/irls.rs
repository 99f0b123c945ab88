//! Iteratively reweighted least squares.

use crate::error::Error;
use crate::problem::Problem;
use crate::solve::descent::{Begin, descend};
use crate::solve::qr::Triangle;
use crate::solve::rows::{Reader, is_sigmoid, link};
use crate::solve::{Limits, Observer, Solution, Solver, refuse_lasso, refuse_squared_error};

/// Iteratively reweighted least squares, by orthogonal factors of the weighted design.
///
/// ```text
/// A = [ sqrt(w_i / Σ w) B_i ⊗ x_i' ; sqrt(l2) ] = Q R,   A'A = H = R'R,   u ← u - step R⁻¹ R'⁻¹ g
/// B_i = sqrt(p (1 - p)) of a sigmoid;   rows sqrt(p_k) (e_k - p)' over all classes k of a softmax
/// ```
///
/// In exact arithmetic these are the steps of [`Newton`](super::Newton): Fisher scoring and Newton's method are the same for these
/// heads. What differs is how they are solved. R comes from Householder reflections of the rows, a block of them after another,
/// and H is never formed, so digits are lost in proportion to the condition of the features, not to its square. It is right for small
/// problems with nearly collinear features and no penalty, and takes two to four times Newton's work, on one thread.
///
/// Sources: Green (1984), doi:10.1111/j.2517-6161.1984.tb01288.x; semi-normal equations: Björck (1987),
/// doi:10.1016/0024-3795(87)90101-7.
#[derive(Clone, Copy, Debug, Default)]
pub struct Irls;

const NAME: &str = "irls";

/// R of the weighted design at `params`.
fn factor(problem: &Problem<'_>, params: &[f64]) -> Triangle {
    let (n, m) = (problem.n_params(), problem.n_outputs());
    let mut triangle = Triangle::new(n);
    let mut reader = Reader::new(problem);
    let mut p = vec![0.0; m];
    let mut row = vec![0.0; n];
    let mut put = |reader: &Reader<'_>, scale: f64, part: &dyn Fn(usize) -> f64| {
        row.fill(0.0);
        let dense = reader.dense.iter().enumerate().map(|(place, &x)| (place, x));
        let others = reader.others.iter().map(|&(place, x)| (place as usize, x));
        for (place, x) in dense.chain(others) {
            for k in 0..m {
                row[place * m + k] = scale * part(k) * x;
            }
        }
        triangle.add(&row);
    };
    for i in 0..problem.n_rows() {
        reader.load(i);
        let weight = (reader.weight() / problem.total_weight()).sqrt();
        if weight == 0.0 {
            continue;
        }
        reader.scores(params, &mut p);
        if is_sigmoid(problem) {
            for k in 0..m {
                let (up, down) =
                    (xent::information::sigmoid(p[k]), xent::information::sigmoid(-p[k]));
                let part = |other: usize| f64::from(u8::from(other == k));
                put(&reader, weight * (up * down).sqrt(), &part);
            }
            continue;
        }
        link(problem, &mut p);
        if problem.has_reference() {
            let rest = (1.0 - p.iter().sum::<f64>()).max(0.0);
            put(&reader, weight * rest.sqrt(), &|k| -p[k]);
        }
        for class in 0..m {
            let part = |k: usize| f64::from(u8::from(k == class)) - p[k];
            put(&reader, weight * p[class].sqrt(), &part);
        }
    }
    let mut row = vec![0.0; n];
    for i in 0..n {
        let diagonal = if problem.is_free(i) { problem.l2(i).sqrt() } else { 1.0 };
        if diagonal > 0.0 {
            row.fill(0.0);
            row[i] = diagonal;
            triangle.add(&row);
        }
    }
    // Steps sum to 0 over the classes where they could all be shifted.
    for place in (0..problem.n_places()).filter(|&place| problem.has_gauge(place)) {
        row.fill(0.0);
        row[place * m..(place + 1) * m].fill(1.0 / m as f64);
        triangle.add(&row);
    }
    triangle.finish();
    triangle
}

impl Solver for Irls {
    fn solve_from(
        &self,
        problem: &Problem<'_>,
        from: Begin<'_>,
        limits: &Limits,
        observer: &mut Observer<'_>,
    ) -> Result<Solution, Error> {
        refuse_lasso(NAME, problem)?;
        refuse_squared_error(NAME, problem)?;
        let direction = |params: &[f64], _: f64, gradient: &[f64]| {
            let mut direction = gradient.to_vec();
            factor(problem, params).solve(&mut direction);
            (direction, 1)
        };
        descend(NAME, problem, from, &direction, limits, observer)
    }
}
