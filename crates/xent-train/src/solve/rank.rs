//! Features that are combinations of others, to rounding or nearly.
//!
//! Without a penalty the coefficients of the first have no values of their own, and those of the others hang on digits that a
//! Hessian, which has the squares of the features, has lost: what solvers that factorise it think of the gap is no estimate.

use crate::problem::{Loss, Problem};
use crate::solve::qr::{LEAST, Triangle};
use crate::solve::rows::Reader;

/// A share whose square is at the end of what sums of squares still hold.
const NEAR: f64 = 1e-5;
/// A ridge above which no curvature is lost.
const STRONG: f64 = 1e-12;
/// Features, the intercept among them, above which nothing is looked for; rows of a sample for each, and at the least.
const MANY: usize = 500;
const ROWS_EACH: usize = 2;
const FEW_ROWS: usize = 1024;
/// Multiplications for a triangular factor that take some seconds.
const EXPENSIVE: f64 = 2e9;

/// A feature that is a combination of those before it and the intercept, or all but one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Collinear {
    /// The feature.
    pub feature: usize,
    /// Of its length, over the rows with a weight, the share that is no combination of the others.
    pub share: f64,
}

impl Collinear {
    /// Whether it is a combination of the others to rounding.
    pub fn is_exact(&self) -> bool {
        self.share <= LEAST
    }
}

/// The features without a penalty that are combinations of others, nearly or to rounding.
///
/// R of the rows' features, each in its coordinates and by the root of its weight, says it. As combinations in all rows are
/// combinations in some, a sample is tried first. Empty for squared error, with more than 500 features, or where the factor of all rows would
/// take more than some seconds.
pub(crate) fn collinear(problem: &Problem<'_>) -> Vec<Collinear> {
    let (n, width, m) = (problem.n_rows(), problem.n_places(), problem.n_outputs());
    let is_weak = |place: usize| problem.l2(place * m) < STRONG && problem.l1(place * m) == 0.0;
    let order = &problem.scaling().order;
    if problem.loss() != Loss::CrossEntropy
        || width > MANY
        || !order.iter().any(|&place| is_weak(place))
    {
        return Vec::new();
    }
    let some = (ROWS_EACH * width).max(FEW_ROWS);
    if n > 2 * some {
        let rows = (0..some).map(|i| problem.row_at(i * n / some) as u32);
        let is_near = |share: &f64| *share <= NEAR;
        if !shares(&problem.over(rows.collect())).iter().any(is_near)
            || n as f64 * (width as f64).powi(2) > EXPENSIVE
        {
            return Vec::new();
        }
    }
    let shares = shares(problem);
    let each = order.iter().enumerate().filter(|&(_, &place)| is_weak(place));
    let each = each.map(|(feature, &place)| Collinear { feature, share: shares[place] });
    each.filter(|it| it.share <= NEAR).collect()
}

/// Whether reweighted least squares, which never forms the Hessian, takes no more than some seconds a step.
pub(crate) fn can_reweight(problem: &Problem<'_>) -> bool {
    let (n, p, m) = (problem.n_rows() as f64, problem.n_params() as f64, problem.n_outputs());
    n * (m + 1) as f64 * p * p <= EXPENSIVE
}

/// Of the length of the features at each place the share that is no combination of those before it.
fn shares(problem: &Problem<'_>) -> Vec<f64> {
    let mut triangle = Triangle::new(problem.n_places());
    let mut reader = Reader::new(problem);
    let mut row = vec![0.0; problem.n_places()];
    for i in 0..problem.n_rows() {
        reader.load(i);
        let root = (reader.weight() / problem.total_weight()).sqrt();
        if root == 0.0 {
            continue;
        }
        row.fill(0.0);
        row.iter_mut().zip(&reader.dense).for_each(|(to, x)| *to = root * x);
        for &(place, x) in &reader.others {
            row[place as usize] += root * x;
        }
        triangle.add(&row);
    }
    triangle.finish();
    triangle.shares().to_vec()
}

#[cfg(test)]
mod tests {
    use xent::view::View;

    use crate::fit::unobserved;
    use crate::{Block, Data, Design, Error, Fitted, Method, Target, Trainer};

    const ROWS: usize = 400;

    /// Numbers that look random, around 0.
    fn noise(seed: u32) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24) - 0.5
        };
        (0..ROWS).map(|_| next() + next() + next()).collect()
    }

    fn fit(columns: &[Vec<f64>], classes: &[u32], trainer: &Trainer) -> Result<Fitted, Error> {
        let blocks = columns.iter().map(|x| Block::F64(View::rows_of(x, 1).unwrap()));
        let design = Design::new(blocks.collect())?;
        let target = Target::Classes(classes);
        let n_classes = classes.iter().max().map_or(0, |&c| c as usize + 1);
        let data = Data { design: &design, target, n_classes, weights: None, offsets: None };
        trainer.fit(&data, unobserved)
    }

    /// `x`, `z`, noise of which the class depends too, and classes.
    fn table(n_classes: u32) -> (Vec<f64>, Vec<f64>, Vec<f64>, Vec<u32>) {
        let (x, z, e, chance) = (noise(1), noise(2), noise(3), noise(4));
        let class = |i: usize| {
            let score = x[i] + 2.0 * e[i] + chance[i];
            (0..n_classes - 1).map(|k| u32::from(score > f64::from(k) * 0.7)).sum()
        };
        let classes = (0..ROWS).map(class).collect();
        (x, z, e, classes)
    }

    #[test]
    fn a_nearly_collinear_column_is_fitted_to_its_optimum() {
        // x + z + d e spans with x and z what e does: the optimum is the same.
        const RELATIVE: f64 = 1e-7;
        for n_classes in [2, 3] {
            let (x, z, e, classes) = table(n_classes);
            for d in [1e-6, 1e-7, 1e-8] {
                let sum: Vec<f64> = (0..ROWS).map(|i| x[i] + z[i] + d * e[i]).collect();
                let rest: Vec<f64> = (0..ROWS).map(|i| (sum[i] - x[i] - z[i]) / d).collect();
                let auto = Trainer::default();
                let plain = fit(&[x.clone(), z.clone(), rest], &classes, &auto).unwrap();
                assert!(plain.collinear.is_empty());
                let columns = [x.clone(), z.clone(), sum];
                let near = fit(&columns, &classes, &auto).unwrap();
                let off = near.objective / plain.objective - 1.0;
                assert!(off.abs() < RELATIVE, "{n_classes} classes, {d:e}: {off:e}");
                assert_eq!(near.method, Method::Irls);
                assert_eq!(near.collinear.len(), 1);
                assert!(near.collinear[0].feature == 2 && !near.collinear[0].is_exact());
                // What factorises the Hessian does not claim to have arrived.
                let newton = Trainer { method: Method::Newton, ..Trainer::default() };
                assert!(fit(&columns, &classes, &newton).unwrap().solution.gap.is_infinite());
            }
        }
    }

    #[test]
    fn a_combination_of_columns_is_found_to_rounding() {
        let (x, z, _, classes) = table(2);
        let sum: Vec<f64> = (0..ROWS).map(|i| 1e5 + 3.0 * x[i] - z[i]).collect();
        let columns = [x, z, sum];
        let fitted = fit(&columns, &classes, &Trainer::default()).unwrap();
        assert_eq!(fitted.collinear.iter().map(|c| c.feature).collect::<Vec<_>>(), [2]);
        assert!(fitted.collinear[0].is_exact(), "{:?}", fitted.collinear);
        assert!(fitted.solution.gap < 1e-12);
        // A ridge makes the optimum unique.
        let mut ridge = Trainer::default();
        ridge.penalty.l2 = 1e-3;
        assert!(fit(&columns, &classes, &ridge).unwrap().collinear.is_empty());
    }
}
