//! Whether an unpenalised fit has an optimum at all: directions in which the loss falls for ever.

use super::{Data, Head, Penalty, Problem, Target};
use crate::solve::{cholesky::Cholesky, norm};

/// A solver that has come near the infimum of such a problem gives something less than this probability.
const CERTAIN: f64 = 1e-4;
/// Curvature, relative to the greatest, of directions that count as flat, and how often the others are damped.
const FLAT: f64 = 1e-9;
const DAMPED: usize = 6;
/// What a direction moves the scores by, in nats, at the least; and what it may move one the wrong way, relative to the most.
const MOVED: f64 = 5.0;
const WRONG: f64 = 1e-6;
/// The most that a score's distance is known to be: probabilities end there.
const FAR: f64 = 700.0;
/// A feature takes part in a direction from such a share of its greatest part; the first that gives one counts.
const SHARES: [f64; 3] = [0.1, 0.01, 1e-4];
/// Multiplications for a Hessian, about, and parameters for its factor, above which nothing is looked for.
const EXPENSIVE: f64 = 2e10;
const MANY: usize = 2000;

impl Problem<'_> {
    /// Features whose coefficients grow without bound: at `params`, near the infimum of an unpenalised cross entropy, there is
    /// a direction of which they are part and in which no row's class loses and some gain.
    ///
    /// ```text
    /// d' (x_i ⊗ (e_y - e_k)) >= 0 for every row i and class k,  > 0 for some
    /// ```
    ///
    /// The classes are then separated, completely or quasi-completely, and there is no optimum (Albert and Anderson 1984,
    /// doi:10.1093/biomet/71.1.1). A direction is looked for where the objective is flat: `params` less what the Hessian
    /// holds, `d = ((H + eps I)^-1 eps)^6 params`. Then the inequalities are tried on every row, to a millionth of the
    /// largest, so none is named that is not there; one may be missed if the solver stopped early. Takes a pass and, if it
    /// finds a row that is all but certain, a Hessian and up to three passes. Sigmoids, one a class, are looked at each by itself. Empty with
    /// a penalty, soft targets, offsets, more than 2,000 parameters, or where the Hessian would take more than some seconds.
    pub fn unbounded(&self, params: &[f64]) -> Vec<usize> {
        let (n, data) = (self.n_params(), self.data());
        let Target::Classes(classes) = data.target else { return Vec::new() };
        let is_penalised = (0..n).any(|i| self.l2(i) > 0.0 || self.l1(i) > 0.0);
        if self.head == Head::Sigmoid && self.outputs > 1 && !is_penalised {
            return self.unbounded_of_sigmoids(params, classes);
        }
        let work = self.n_rows() as f64 * (n as f64).powi(2);
        if !self.is_log_loss()
            || is_penalised
            || data.offsets.is_some()
            || n > MANY
            || work > EXPENSIVE
        {
            return Vec::new();
        }
        let counts = |row: usize| data.weights.is_none_or(|w| w[row] > 0.0);
        let (mut least, mut is_told) = (1.0_f64, true);
        self.predict(params, |row, p| {
            let own = classes[row] as usize;
            if counts(row) {
                for k in (0..p.len()).filter(|&k| k != own) {
                    least = least.min(p[k]);
                    is_told &= p[k] < p[own];
                }
            }
        });
        if least > CERTAIN {
            return Vec::new();
        }
        // Where every row's class is told, all of the parameters are such a direction.
        let direction = if is_told { params.to_vec() } else { self.flat_part(params) };
        let m = self.n_outputs();
        let part = |place: usize| {
            direction[place * m..(place + 1) * m].iter().fold(0.0_f64, |a, d| a.max(d.abs()))
        };
        let order = &self.scaling().order;
        let most = order.iter().fold(0.0_f64, |most, &place| most.max(part(place)));
        // Coefficients that do not matter in the limit are flat, too: without those that are small it is often such a
        // direction all the same.
        for share in SHARES {
            let named: Vec<usize> =
                (0..order.len()).filter(|&j| part(order[j]) > share * most).collect();
            let mut of_named = direction.clone();
            for j in (0..order.len()).filter(|j| named.binary_search(j).is_err()) {
                of_named[order[j] * m..(order[j] + 1) * m].fill(0.0);
            }
            if self.is_recession(&of_named, classes) {
                return named;
            }
        }
        Vec::new()
    }

    /// The same of every class against the others.
    fn unbounded_of_sigmoids(&self, params: &[f64], classes: &[u32]) -> Vec<usize> {
        let m = self.outputs;
        let mut all = Vec::new();
        for k in (0..m).filter(|_| self.data.offsets.is_none()) {
            let own: Vec<u32> = classes.iter().map(|&c| u32::from(c as usize == k)).collect();
            let data = Data { target: Target::Classes(&own), n_classes: 2, ..self.data };
            let (loss, penalty) = (self.loss, Penalty::default());
            let problem =
                Problem::new(data, self.scaling, Head::Softmax, loss, &penalty, self.has_intercept);
            // A class that all rows are of has no direction but the intercept.
            let Ok(problem) = problem.map(|problem| problem.with_threads(self.threads)) else {
                continue;
            };
            let params: Vec<f64> = params.iter().skip(k).step_by(m).copied().collect();
            all.extend(problem.unbounded(&params));
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether no row's class loses in a direction, to rounding, and some gain.
    fn is_recession(&self, direction: &[f64], classes: &[u32]) -> bool {
        let weights = self.data().weights;
        let (mut worst, mut best) = (0.0_f64, 0.0_f64);
        self.predict(direction, |row, p| {
            let own = classes[row] as usize;
            if weights.is_none_or(|w| w[row] > 0.0) {
                for k in (0..p.len()).filter(|&k| k != own) {
                    let margin = (p[own].ln() - p[k].ln()).clamp(-FAR, FAR);
                    worst = worst.min(margin);
                    best = best.max(margin);
                }
            }
        });
        best >= MOVED && worst >= -WRONG * best
    }

    /// What is left of `params` without what curves the objective.
    fn flat_part(&self, params: &[f64]) -> Vec<f64> {
        let n = self.n_params();
        let mut hessian = vec![0.0; n * n];
        self.hessian(params, &mut hessian);
        // A parameter that may not move is 0 there, and has a curvature of 1 in name only.
        let curvature = (0..n).filter(|&i| self.is_free(i)).map(|i| hessian[i * n + i]);
        let flat = FLAT * curvature.fold(0.0, f64::max);
        for i in 0..n {
            hessian[i * n + i] += flat;
        }
        let factor = Cholesky::new(hessian, n);
        let mut direction = params.to_vec();
        for _ in 0..DAMPED {
            factor.solve(&mut direction);
            direction.iter_mut().for_each(|d| *d *= flat);
        }
        // Nothing but rounding.
        if norm(&direction) <= f64::EPSILON * norm(params) {
            direction.fill(0.0);
        }
        direction
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xent::view::View;

    use crate::fit::unobserved;
    use crate::{Block, Data, Design, Head, Loss, Penalty, Problem, Target, Trainer};

    /// The features that an unpenalised fit to columns finds unbounded, at a tolerance.
    fn unbounded(
        columns: &[Vec<f64>],
        classes: &[u32],
        weights: Option<&[f64]>,
        tolerance: f64,
    ) -> Vec<usize> {
        let blocks = columns.iter().map(|x| Block::F64(View::rows_of(x, 1).unwrap()));
        let design = Design::new(blocks.collect()).unwrap();
        let n_classes = classes.iter().max().map_or(0, |&c| c as usize + 1);
        let target = Target::Classes(classes);
        let data = Data { design: &design, target, n_classes, weights, offsets: None };
        let mut trainer = Trainer::default();
        trainer.limits.tolerance = tolerance;
        let fitted = trainer.fit(&data, unobserved).unwrap();
        let (loss, penalty) = (Loss::CrossEntropy, Penalty::default());
        let problem =
            Problem::new(data, &fitted.scaling, Head::Softmax, loss, &penalty, true).unwrap();
        problem.unbounded(&problem.params(&fitted.coefficients))
    }

    /// Whether a half-line tells two classes apart, but for ties at its end: for one column that is all there is.
    fn is_separated(x: &[f64], classes: &[u32]) -> bool {
        let of =
            |class: u32| x.iter().zip(classes).filter(move |(_, c)| **c == class).map(|(x, _)| *x);
        let (least, greatest) =
            (|c| of(c).fold(f64::INFINITY, f64::min), |c| of(c).fold(f64::NEG_INFINITY, f64::max));
        greatest(0) <= least(1) || greatest(1) <= least(0)
    }

    /// The textbook table: `x` up to 3 is of one class, from 3 on of the other.
    const X: [f64; 8] = [1.0, 2.0, 3.0, 3.0, 3.0, 4.0, 5.0, 6.0];
    const Y: [u32; 8] = [0, 0, 0, 1, 0, 1, 1, 1];

    #[test]
    fn the_textbook_table_is_quasi_separated() {
        let other = vec![2.0, 1.0, 1.0, 2.0, 3.0, 3.5, 1.0, 2.0];
        for tolerance in [1e-12, 1e-22] {
            assert_eq!(unbounded(&[X.to_vec()], &Y, None, tolerance), [0]);
            // Another column does not change that, and is not named.
            assert_eq!(unbounded(&[other.clone(), X.to_vec()], &Y, None, tolerance), [1]);
        }
        // One row beyond the tie on the wrong side, and there is an optimum, unless it has no weight.
        let (mut x, mut y) = (X.to_vec(), Y.to_vec());
        x.push(3.5);
        y.push(0);
        assert!(unbounded(&[x.clone()], &y, None, 1e-22).is_empty());
        let weights = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0];
        assert_eq!(unbounded(&[x], &y, Some(&weights), 1e-22), [0]);
    }

    #[test]
    fn a_class_of_several_may_be_told_apart_by_itself() {
        // Class 2 has all rows with a flag and no other; 0 and 1 overlap.
        let n = 60_usize;
        let flag: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i % 3 == 2))).collect();
        let x: Vec<f64> = (0..n).map(|i| (i * 7 % 11) as f64).collect();
        let y: Vec<u32> =
            (0..n).map(|i| if i % 3 == 2 { 2 } else { u32::from(i * 5 % 7 > 3) }).collect();
        assert_eq!(unbounded(&[x, flag], &y, None, 1e-12), [1]);
    }

    #[test]
    fn sigmoids_are_looked_at_one_by_one() {
        // Class 0 is told from the others by x, which overlap; z tells nothing.
        let n = 60_usize;
        let y: Vec<u32> =
            (0..n).map(|i| if i % 3 == 0 { 0 } else { 1 + u32::from(i * 5 % 7 > 3) }).collect();
        let x: Vec<f64> = (0..n)
            .map(|i| if y[i] == 0 { 10.0 } else { 0.0 } + (i * 7 % 11) as f64 / 3.0)
            .collect();
        let z: Vec<f64> = (0..n).map(|i| (i * 3 % 13) as f64).collect();
        for (columns, expected) in [(vec![&z, &x], vec![1]), (vec![&z], vec![])] {
            let blocks = columns.iter().map(|x| Block::F64(View::rows_of(x, 1).unwrap()));
            let design = Design::new(blocks.collect()).unwrap();
            let target = Target::Classes(&y);
            let data = Data { design: &design, target, n_classes: 3, weights: None, offsets: None };
            let trainer = Trainer { head: Head::Sigmoid, ..Trainer::default() };
            let fitted = trainer.fit(&data, unobserved).unwrap();
            let (loss, penalty) = (Loss::CrossEntropy, Penalty::default());
            let scaling = &fitted.scaling;
            let problem = Problem::new(data, scaling, Head::Sigmoid, loss, &penalty, true).unwrap();
            assert_eq!(problem.unbounded(&problem.params(&fitted.coefficients)), expected);
        }
    }

    #[test]
    fn far_apart_is_not_separated() {
        // Classes that overlap in one row of a thousand, by little, and badly scaled.
        let n = 1000_usize;
        let mut x: Vec<f64> = (0..n).map(|i| 1e6 + i as f64 * 1e-3).collect();
        let y: Vec<u32> = (0..n).map(|i| u32::from(i >= n / 2)).collect();
        x[n / 2 - 1] += 2e-3;
        assert!(unbounded(&[x], &y, None, 1e-22).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn as_the_order_of_one_column_says(
            x in prop::collection::vec((0..12_i32, 0..2_u32), 4..30),
            shift in -1e3..1e3_f64,
            scale in prop_oneof![Just(1e-3), Just(1.0), Just(1e4)],
        ) {
            let y: Vec<u32> = x.iter().map(|(_, y)| *y).collect();
            let x: Vec<f64> = x.iter().map(|(x, _)| shift + scale * f64::from(*x)).collect();
            prop_assume!(y.contains(&0) && y.contains(&1));
            prop_assume!(x.iter().any(|a| *a != x[0]));
            let separated = is_separated(&x, &y);
            let found = unbounded(&[x], &y, None, 1e-22);
            prop_assert_eq!(!found.is_empty(), separated);
        }
    }
}
