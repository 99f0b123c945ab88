//! How far above its minimum the objective is at most: a bound by duality, which holds wherever the solver stands.
//!
//! With `π_i = w_i / Σ w`, outputs `q_i` of each row that are probabilities, and
//! `v_j(q) = Σ_i π_i x_ij (q_i - y_i)`, the Fenchel dual of the objective is
//!
//! ```text
//! D(q) = Σ_i π_i [ H(q_i) + (q_i - y_i)' offset_i ]  -  Σ_j max(|v_j(q)| - l1_j, 0)² / (2 l2_j)
//! ```
//!
//! for every `q` with `v(q) = 0` at the unpenalised intercept and `|v_j(q)| <= l1_j` where `l2_j = 0`; H is the entropy of
//! the row's distribution, of sigmoids the sum of their entropies. Each such `q` gives `objective - D(q) >= objective -
//! minimum >= 0`.
//!
//! The predictions p that the solver has made need not be such a `q`, so three steps make them one, all within the simplex:
//!
//! 1. *Classes without any row.* Of a softmax their share of each row goes to the most frequent class, and so does their `v`.
//! 2. *Intercept.* With `d = Σ π (p - y)`, the gradient there, `q = (1 - t) p + t r` with one distribution
//!    `r = ȳ - (1 - t) d / t` for all rows, and the least t at which r is not negative, `t = max d_k / (ȳ_k + d_k)` over `d_k > 0`.
//!    Then `Σ π (q - y) = 0`. As `v` is linear, `v_j(q) = (1 - t) v_j(p) + t (r x̄_j - Σ π x_j y)`: no pass is needed for it.
//! 3. *Lasso.* `q' = s q + (1 - s) y` with the greatest `s <= 1` for which `s |v_j(q)| <= l1_j` wherever `l2_j = 0`.
//!
//! Both t and 1 - s vanish with the gradient. Where the bound is above the objective, the objective itself is one, as no loss is
//! negative. The bound needs a pass for the entropies. There is none for squared error, and none if a
//! feature is free of any penalty: then v must be 0 there too, and the objective may have no minimum at all.
//!
//! Sources: Koh, Kim and Boyd (2007), "An interior-point method for large-scale l1-regularized logistic regression",
//! JMLR 8, for the scaling in step 3 with one output (there the intercept is made optimal first); Boyd and Vandenberghe
//! (2004), section 5.5.1, for stopping by it.

use std::cell::OnceCell;

use crate::problem::{Loss, Problem};
use crate::solve::rows::{Reader, is_sigmoid, link};

/// What rounding may have taken from the difference of the two objectives, relative to the objective and the mean of the largest
/// score of each row, of which the losses are differences. Sums over rows are compensated, so it does not grow with the rows.
const ROUNDING: f64 = 4.0 * f64::EPSILON;

/// Bounds the gap of one problem anywhere.
pub(crate) struct Duality<'a> {
    problem: &'a Problem<'a>,
    moments: OnceCell<Moments>,
}

/// Means over the rows, weighted.
struct Moments {
    /// Of each place.
    x: Vec<f64>,
    /// Of each parameter: x times target.
    xy: Vec<f64>,
}

/// Adds without losing the low digits (Neumaier 1974, doi:10.1002/zamm.19740540106).
#[derive(Default)]
struct Sum(f64, f64);

impl Sum {
    fn add(&mut self, x: f64) {
        let sum = self.0 + x;
        self.1 += if self.0.abs() >= x.abs() { (self.0 - sum) + x } else { (x - sum) + self.0 };
        self.0 = sum;
    }

    fn value(&self) -> f64 {
        self.0 + self.1
    }
}

impl<'a> Duality<'a> {
    /// Nothing if the problem has no such bound.
    pub fn new(problem: &'a Problem<'a>) -> Option<Self> {
        let at = problem.scaling().n_dense * problem.n_outputs();
        let intercept = at..at + problem.n_outputs();
        let is_penalised = |i: usize| problem.l1(i) > 0.0 || problem.l2(i) > 0.0;
        let all = (0..problem.n_params()).all(|i| intercept.contains(&i) || is_penalised(i));
        // With a reference class of several the rows' outputs would be no distributions.
        let is_whole = is_sigmoid(problem) || !problem.has_reference();
        let is_bounded = problem.loss() == Loss::CrossEntropy && all && is_whole;
        is_bounded.then(|| Self { problem, moments: OnceCell::new() })
    }

    /// The bound, in nats a row, at `params` with the objective (all penalties in it) and the gradient (without the lasso) there.
    pub fn gap(&self, params: &[f64], objective: f64, gradient: &[f64]) -> f64 {
        let problem = self.problem;
        let m = problem.n_outputs();
        let at = problem.scaling().n_dense * m;
        let (absent, heir) = self.absent();
        let mut gradient = gradient.to_vec();
        for place in 0..problem.n_places() {
            for &k in &absent {
                let share = gradient[place * m + k] - problem.l2(place * m) * params[place * m + k];
                gradient[place * m + heir] += share;
                gradient[place * m + k] -= share;
            }
        }
        let (t, r) = if problem.has_intercept() {
            self.mix(&gradient[at..at + m])
        } else {
            (vec![0.0; m], vec![0.0; m])
        };
        let is_mixed = t.iter().any(|&t| t > 0.0);
        let v: Vec<f64> = (0..params.len())
            .map(|i| {
                if (at..at + m).contains(&i) {
                    return 0.0;
                }
                let v = gradient[i] - problem.l2(i) * params[i];
                if !is_mixed {
                    return v;
                }
                let (k, moments) = (i % m, self.moments());
                (1.0 - t[k]) * v + t[k] * (r[k] * moments.x[i / m] - moments.xy[i])
            })
            .collect();
        let mut s: f64 = 1.0;
        for (i, v) in v.iter().enumerate() {
            if problem.l2(i) == 0.0 && v.abs() > problem.l1(i) {
                s = s.min(problem.l1(i) / v.abs());
            }
        }
        let penalty: f64 = v
            .iter()
            .enumerate()
            .filter(|(i, _)| problem.l2(*i) > 0.0)
            .map(|(i, v)| (s * v.abs() - problem.l1(i)).max(0.0).powi(2) / (2.0 * problem.l2(i)))
            .sum();
        let (mut sum, mut scores) = (Sum::default(), Sum::default());
        let mut reader = Reader::new(problem);
        let mut q = vec![0.0; m];
        let is_sigmoid = is_sigmoid(problem);
        for i in 0..problem.n_rows() {
            reader.load(i);
            let weight = reader.weight();
            if weight == 0.0 {
                continue;
            }
            reader.scores(params, &mut q);
            scores.add(weight * q.iter().fold(0.0, |most: f64, z| most.max(z.abs())));
            // Of a sigmoid near 1 what is left to 1 has digits that the difference has not.
            let left: Vec<f64> = if is_sigmoid {
                q.iter().map(|z| xent::information::sigmoid(-z)).collect()
            } else {
                Vec::new()
            };
            link(problem, &mut q);
            for &k in &absent {
                q[heir] += std::mem::take(&mut q[k]);
            }
            let mut row = 0.0;
            for k in 0..m {
                let y = reader.target(k);
                let mixed = (1.0 - t[k]) * q[k] + t[k] * r[k];
                let own = s * mixed + (1.0 - s) * y;
                row += minus_x_ln_x(own) + (own - y) * reader.offset(k);
                if is_sigmoid {
                    let mixed = (1.0 - t[k]) * left[k] + t[k] * (1.0 - r[k]);
                    row += minus_x_ln_x(s * mixed + (1.0 - s) * (1.0 - y));
                }
            }
            sum.add(weight * row);
        }
        let dual = sum.value() / problem.total_weight() - penalty;
        let size = scores.value() / problem.total_weight() + self.summands(params);
        let gap = objective - dual + ROUNDING * (objective + size);
        // Of numbers that overflow there is no difference.
        if gap.is_nan() { objective } else { gap.clamp(0.0, objective.max(0.0)) }
    }

    /// What the scores may be sums of, although they are small: sparse features are not centred.
    fn summands(&self, params: &[f64]) -> f64 {
        let (problem, n_dense) = (self.problem, self.problem.scaling().n_dense);
        let m = problem.n_outputs();
        if problem.n_places() == n_dense + 1 {
            return 0.0;
        }
        let x = &self.moments().x;
        let of = |k: usize| (n_dense + 1..x.len()).map(move |j| (x[j] * params[j * m + k]).abs());
        (0..m).map(|k| of(k).sum::<f64>()).fold(0.0, f64::max)
    }

    /// Classes of a softmax that no row has, and the most frequent one.
    fn absent(&self) -> (Vec<usize>, usize) {
        let m = self.problem.n_outputs();
        if is_sigmoid(self.problem) || !self.problem.has_intercept() {
            return (Vec::new(), 0);
        }
        let at = self.problem.scaling().n_dense * m;
        let y = &self.moments().xy[at..at + m];
        let most = (1..m).fold(0, |most, k| if y[k] > y[most] { k } else { most });
        ((0..m).filter(|&k| y[k] == 0.0).collect(), most)
    }

    /// For each output how much of the constant distribution is mixed in, and its probability there.
    fn mix(&self, d: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let m = d.len();
        if d.iter().all(|&d| d == 0.0) {
            return (vec![0.0; m], vec![0.0; m]);
        }
        let at = self.problem.scaling().n_dense * m;
        let y = &self.moments().xy[at..at + m];
        let up = |k: usize| if d[k] > 0.0 { d[k] / (y[k] + d[k]) } else { 0.0 };
        let down = |k: usize| if d[k] < 0.0 { -d[k] / (1.0 - y[k] - d[k]) } else { 0.0 };
        let t: Vec<f64> = if is_sigmoid(self.problem) {
            (0..m).map(|k| up(k).max(down(k)).min(1.0)).collect()
        } else {
            vec![(0..m).map(up).fold(0.0, f64::max).min(1.0); m]
        };
        let part = |k: usize| {
            if t[k] == 0.0 { y[k] } else { (y[k] - (1.0 - t[k]) * d[k] / t[k]).clamp(0.0, 1.0) }
        };
        let r = (0..m).map(part).collect();
        (t, r)
    }

    fn moments(&self) -> &Moments {
        self.moments.get_or_init(|| {
            let problem = self.problem;
            let m = problem.n_outputs();
            let mut moments =
                Moments { x: vec![0.0; problem.n_places()], xy: vec![0.0; problem.n_params()] };
            let mut reader = Reader::new(problem);
            for i in 0..problem.n_rows() {
                reader.load(i);
                let part = reader.weight() / problem.total_weight();
                let y: Vec<f64> = (0..m).map(|k| part * reader.target(k)).collect();
                let dense = reader.dense.iter().enumerate().map(|(place, &x)| (place, x));
                let others = reader.others.iter().map(|&(place, x)| (place as usize, x));
                for (place, x) in dense.chain(others) {
                    moments.x[place] += part * x;
                    for (sum, y) in moments.xy[place * m..(place + 1) * m].iter_mut().zip(&y) {
                        *sum += x * y;
                    }
                }
            }
            moments
        })
    }
}

fn minus_x_ln_x(x: f64) -> f64 {
    if x > 0.0 { -x * xent::elementary::ln(x) } else { 0.0 }
}
