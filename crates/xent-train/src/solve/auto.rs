//! The default: few passes over the rows.
//!
//! A sample of the rows is solved first, in the cache; its minimum is where the full problem starts, and a Hessian of a
//! sample stands for that of all rows as the start of L-BFGS. What is minimised is always the full problem, to the
//! tolerance asked for: the sample only decides how many passes it takes.

use std::ops::Range;

use crate::error::Error;
use crate::kernel::dot;
use crate::problem::{Coefficients, First, Loss, Problem};
use crate::scaling::Scaling;
use crate::solve::cholesky::Cholesky;
use crate::solve::descent::Begin;
use crate::solve::lbfgs::Kept;
use crate::solve::walk::Header;
use crate::solve::{Clock, Flow, Iteration, Lbfgs, Limits, Observer, Solution, State, Stop};

const NAME: &str = "auto";
/// Parameters up to which the Hessian is factorised whole.
const WHOLE: usize = 1_200;
/// What must be left of each diagonal entry of a Hessian in f32 as a pivot.
const COLLINEAR: f64 = 1e-4;
/// Columns up to which a matrix of features by features is factorised.
const WIDE: usize = 4_000;

/// Where the Hessian is rough, the gap is taken for so much more than it says: on data with rare features the truth was up
/// to 8 times the estimate.
pub(crate) const ROUGH: f64 = 16.0;

/// An approximate inverse of the Hessian.
pub(crate) enum Inverse {
    /// Of all parameters.
    Whole(Cholesky),
    /// Of features (dense and intercept) and of outputs: the Hessian is taken for the Kronecker product of both; other
    /// features by themselves.
    Product { features: Cholesky, n_dense: usize, outputs: Vec<f64>, others: Vec<f64> },
    /// Each parameter by itself.
    Diagonal(Vec<f64>),
    /// Each parameter by itself, over features less their means: sparse features are not centred, so all of them move with the
    /// intercept. `means[j]` of each parameter, weighted by curvature; the intercepts stand at `intercept`.
    Centered { means: Vec<f64>, inverse: Vec<f64>, intercept: Range<usize> },
}

impl Inverse {
    /// x to H⁻¹ x.
    pub fn apply(&self, x: &mut [f64]) {
        match self {
            Self::Whole(cholesky) => cholesky.solve(x),
            Self::Diagonal(inverse) => x.iter_mut().zip(inverse).for_each(|(x, d)| *x *= d),
            Self::Centered { means, inverse, intercept } => {
                // T⁻¹ D⁻¹ T⁻ᵀ, where T u has the intercept b + means' u.
                let m = intercept.len();
                if m == 1 {
                    let ahead = x[intercept.start];
                    let each = x.iter_mut().zip(means).zip(inverse);
                    each.for_each(|((x, mean), inverse)| *x = (*x - mean * ahead) * inverse);
                    x[intercept.start] -= dot(means, x);
                    return;
                }
                let ahead = x[intercept.clone()].to_vec();
                for (x, means) in x.chunks_exact_mut(m).zip(means.chunks_exact(m)) {
                    for k in 0..m {
                        x[k] -= means[k] * ahead[k];
                    }
                }
                x.iter_mut().zip(inverse).for_each(|(x, d)| *x *= d);
                let mut moved = vec![0.0; m];
                for (x, means) in x.chunks_exact(m).zip(means.chunks_exact(m)) {
                    for k in 0..m {
                        moved[k] += means[k] * x[k];
                    }
                }
                x[intercept.clone()].iter_mut().zip(&moved).for_each(|(x, by)| *x -= by);
            }
            Self::Product { features, n_dense, outputs, others } => {
                let m = (outputs.len() as f64).sqrt() as usize;
                let mut old = vec![0.0; m];
                let (dense, rest) = x.split_at_mut(n_dense * m);
                for row in dense.chunks_exact_mut(m) {
                    old.copy_from_slice(row);
                    row.fill(0.0);
                    // The matrix is symmetric.
                    for (old, outputs) in old.iter().zip(outputs.chunks_exact(m)) {
                        row.iter_mut().zip(outputs).for_each(|(x, o)| *x += old * o);
                    }
                }
                features.solve_columns(dense, m);
                rest.iter_mut().zip(others).for_each(|(x, d)| *x *= d);
            }
        }
    }
}

/// The diagonal of the Hessian over centred features.
///
/// ```text
/// means_j = h_jb / h_bb,  D_j = h_jj - h_jb² / h_bb
/// ```
fn centered(problem: &Problem<'_>, params: &[f64]) -> Inverse {
    let (mut diagonal, mut means) = problem.hessian_arrow(params);
    let m = problem.n_outputs();
    let at = problem.scaling().n_dense * m;
    let intercept = at..at + m;
    let own = diagonal[intercept.clone()].to_vec();
    for (i, (h, mean)) in diagonal.iter_mut().zip(&mut means).enumerate() {
        let own = own[i % m];
        let beside = std::mem::take(mean);
        if own > 0.0 && !intercept.contains(&i) {
            *mean = beside / own;
            *h = (*h - beside * *mean).max(0.0);
        }
    }
    Inverse::Centered { means, inverse: inverted(&diagonal), intercept }
}

/// Rows of a sample: one from each stretch of equal length, by a hash of its number, so that neither sorted nor periodic
/// data fool it.
fn spread_rows(n: usize, size: usize) -> Vec<u32> {
    let mut from = 0;
    let row = |i: usize| {
        let to = (i + 1) * n / size;
        // SplitMix64 (Steele, Lea and Flood 2014).
        let mut z = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let share = u128::from(z ^ (z >> 31)) * (to - from) as u128;
        let row = from + (share >> 64) as usize;
        from = to;
        row as u32
    };
    (0..size).map(row).collect()
}

/// The Hessian as a product, at `params`, over the rows of `problem`: from sums in f32, as it is rough anyway, unless features
/// are so nearly collinear that rounding would count.
fn product(problem: &Problem<'_>, params: &[f64]) -> Inverse {
    let (inverse, least) = product_of(problem, problem.rough_kronecker(params), params);
    if least > COLLINEAR {
        return inverse;
    }
    product_of(problem, problem.kronecker(params), params).0
}

/// Also the least pivot of the features, as a share of its diagonal entry.
fn product_of(
    problem: &Problem<'_>,
    (mut features, outputs): (Vec<f64>, Vec<f64>),
    params: &[f64],
) -> (Inverse, f64) {
    let m = problem.n_outputs();
    let n_dense = problem.scaling().n_dense + 1;
    // The penalty is not a product; its share is that of the mean curvature of the outputs.
    let mean = (0..m).map(|k| outputs[k * m + k]).sum::<f64>() / m as f64;
    for j in 0..n_dense {
        features[j * n_dense + j] += problem.l2(j * m) / mean.max(1e-12);
        if !problem.is_free(j * m) {
            (0..n_dense).for_each(|i| {
                features[j * n_dense + i] = 0.0;
                features[i * n_dense + j] = 0.0;
            });
            features[j * n_dense + j] = 1.0;
        }
    }
    let mut others = Vec::new();
    if problem.n_params() > n_dense * m {
        others.resize(problem.n_params(), 0.0);
        problem.hessian_diagonal(params, &mut others);
        others.drain(..n_dense * m);
    }
    let features = Cholesky::new(features, n_dense);
    let least = features.least;
    let (outputs, others) = (inverse(outputs, m), inverted(&others));
    (Inverse::Product { features, n_dense, outputs, others }, least)
}

/// Of each number the inverse; of none more than of a millionth of a millionth of the largest.
fn inverted(diagonal: &[f64]) -> Vec<f64> {
    let largest = diagonal.iter().copied().fold(0.0, f64::max);
    let least = (largest * 1e-12).max(f64::MIN_POSITIVE);
    diagonal.iter().map(|d| 1.0 / d.max(least)).collect()
}

/// The inverse of a small symmetric matrix, in the directions in which it is not 0.
fn inverse(mut a: Vec<f64>, m: usize) -> Vec<f64> {
    let largest = (0..m).map(|k| a[k * m + k]).fold(0.0, f64::max);
    // Outputs that all grow alike change nothing: a little of that keeps the matrix definite.
    for x in &mut a {
        *x += largest / m as f64;
    }
    for k in 0..m {
        a[k * m + k] += largest * 1e-6;
    }
    let cholesky = Cholesky::new(a, m);
    let mut out = vec![0.0; m * m];
    for (k, row) in out.chunks_exact_mut(m).enumerate() {
        row[k] = 1.0;
        cholesky.solve(row);
    }
    out
}

/// The whole Hessian; of a sample, which is not exact anyway, from sums in f32, unless features are so nearly collinear that
/// its rounding would count.
fn whole(problem: &Problem<'_>, params: &[f64]) -> Inverse {
    let n = problem.n_params();
    let mut hessian = vec![0.0; n * n];
    if problem.is_sample() && problem.data().design.is_dense() {
        problem.rough_hessian(params, &mut hessian);
        problem.add_loose_gauge(&mut hessian);
        let cholesky = Cholesky::new(hessian, n);
        if cholesky.least > COLLINEAR {
            return Inverse::Whole(cholesky);
        }
        hessian = vec![0.0; n * n];
    }
    problem.hessian(params, &mut hessian);
    Inverse::Whole(Cholesky::new(hessian, n))
}

/// What stands for the Hessian.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    Product,
    Centered,
}

fn kind(problem: &Problem<'_>) -> Kind {
    let n_dense = problem.scaling().n_dense + 1;
    if problem.n_params() <= WHOLE {
        Kind::Whole
    } else if n_dense > 1 && n_dense <= WIDE {
        Kind::Product
    } else {
        Kind::Centered
    }
}

fn inverse_of(kind: Kind, problem: &Problem<'_>, params: &[f64]) -> Inverse {
    match kind {
        Kind::Whole => whole(problem, params),
        Kind::Product => product(problem, params),
        Kind::Centered => centered(problem, params),
    }
}

/// Rows of a sample; none if all rows are no more than a few samples, or if what stands for the Hessian is taken from all rows.
fn sample_size(problem: &Problem<'_>) -> Option<usize> {
    let is_smooth = problem.loss() != Loss::SquaredError && !problem.has_l1();
    if !is_smooth || kind(problem) == Kind::Product {
        return None;
    }
    // Enough that the sample's Hessian is within some percent of that of all.
    let n = problem.n_rows();
    let size = (44 * problem.scaling().len()).max(n / 16).max(4_096);
    (n >= 2 * size).then_some(size)
}

/// The minimum of a sample: where to begin with all rows.
#[derive(Debug)]
pub(crate) struct Ahead<'a> {
    pub coefficients: Coefficients,
    pub sample: Problem<'a>,
}

impl<'a> Ahead<'a> {
    /// Of a problem in coordinates that need not be more than a sketch; none if there is no sample or no minimum to be found.
    pub fn of(problem: &Problem<'a>, start: Option<&Coefficients>) -> Option<Self> {
        let (n, p, size) = (problem.n_rows(), problem.n_params(), sample_size(problem)?);
        let part = problem.sampled(spread_rows(n, size), problem.scaling());
        if part.total_weight() == 0.0 {
            return None;
        }
        let mut start = start.map_or_else(|| vec![0.0; p], |start| problem.params(start));
        problem.fix_ridge(&mut start);
        // Nearer than a share of what the sample's minimum is off by chance is of no use: p / 2 rows, in nats.
        let tolerance = (0.05 * p as f64 / size as f64).min(1e-3);
        let rough = Limits { tolerance, max_iterations: 50 };
        // Steps within the sample are cheap, so its own first Hessian may be rougher.
        let few = part.thinned(4);
        let kind = kind(problem);
        let is_dense = problem.data().design.is_dense();
        let first = if kind == Kind::Whole && problem.n_outputs() > 1 && is_dense {
            product(&few, &start)
        } else {
            inverse_of(kind, &few, &start)
        };
        let lbfgs = Lbfgs { certifies: false, margin: 1.0, ..Lbfgs::default() };
        let mut silent = |_: &Iteration<'_>| Flow::Continue;
        let warm = lbfgs.run(&part, start, &rough, &|x| first.apply(x), &mut silent).ok()?;
        let coefficients = problem.coefficients(&warm.params);
        Some(Self { coefficients, sample: part })
    }

    /// The pass over all rows there, by a problem in the coordinates of [`Scaling::draft`](crate::Scaling::draft).
    pub fn first(&self, draft: &Problem<'_>) -> First {
        draft.first(&draft.params(&self.coefficients))
    }

    /// What a run is in its iteration 0 after that pass, and the sample; none if there is no number to go on with.
    pub fn state(
        self,
        problem: &Problem<'_>,
        first: &First,
        draft: &Scaling,
    ) -> Option<(State, Problem<'a>)> {
        let params = problem.params(&self.coefficients);
        let (objective, gradient) = problem.gradient_from(first, draft, &params);
        if !objective.is_finite() || gradient.iter().any(|g| !g.is_finite()) {
            return None;
        }
        let mut state = State { method: NAME.to_owned(), ..State::default() };
        for (name, number) in [("passes", 1.0), ("begin", 0.0), ("pairs", 0.0)] {
            state.put(name, number);
        }
        state.put("objective", objective);
        state.put_vector("anchor", &params);
        state.put_vector("params", &params);
        state.put_vector("gradient", &gradient);
        Some((state, self.sample))
    }
}

/// Solves a smooth problem in few passes, from a start or from a state, with the sample if it is there already.
pub(crate) fn solve(
    problem: &Problem<'_>,
    from: Begin<'_>,
    sample: Option<Problem<'_>>,
    limits: &Limits,
    observer: &mut Observer<'_>,
) -> Result<(Solution, String), Error> {
    let n = problem.n_rows();
    let p = problem.n_params();
    if problem.loss() == Loss::SquaredError {
        let of = |_: &Problem<'_>, _: &[f64]| Inverse::Diagonal(vec![1.0; p]);
        let solution = refreshed(problem, problem, from, limits, &of, &|_| usize::MAX, observer)?;
        return Ok((solution, "squared error is not convex: no Hessian to start from".into()));
    }
    // Rows that are held out weigh nothing.
    let trained = problem.data().weights.map_or(n, |w| w.iter().filter(|w| **w > 0.0).count());
    let kind = kind(problem);
    let name = match kind {
        Kind::Whole => "Hessian",
        Kind::Product => "Hessian as a product of features and outputs",
        Kind::Centered => "diagonal of the Hessian",
    };
    let of = |problem: &Problem<'_>, params: &[f64]| inverse_of(kind, problem, params);
    let Some(size) = sample_size(problem) else {
        let reason = format!("L-BFGS from the {name}, {p} parameters and {trained} rows");
        let next = |begin| next_refresh(problem, problem, begin);
        let solution = refreshed(problem, problem, from, limits, &of, &next, observer)?;
        return Ok((solution, reason));
    };
    let part = match sample {
        Some(sample) => sample.rebased(problem),
        None => {
            let sketch = Scaling::sketch(problem.data().design, problem.has_intercept());
            problem.sampled(spread_rows(n, size), &sketch)
        }
    };
    let reason = format!("L-BFGS from the {name} of {size} of {trained} rows, {p} parameters");
    let next = |begin| next_refresh(problem, &part, begin);
    let solution = refreshed(problem, &part, from, limits, &of, &next, observer)?;
    Ok((solution, reason))
}

/// L-BFGS, with the Hessian taken anew where it has become another. States hold where it was taken, and in which iteration.
fn refreshed(
    problem: &Problem<'_>,
    hessian_of: &Problem<'_>,
    from: Begin<'_>,
    limits: &Limits,
    of: &dyn Fn(&Problem<'_>, &[f64]) -> Inverse,
    next: &dyn Fn(usize) -> usize,
    observer: &mut Observer<'_>,
) -> Result<Solution, Error> {
    let clock = Clock::start();
    let (mut begin, mut passes) = (0, 0);
    let (mut at, mut resumed) = match from {
        Begin::Start(start) => (start, None),
        Begin::State(state) => {
            Header::of(NAME, state)?;
            begin = state.need("begin")? as usize;
            (state.need_vector("anchor", problem.n_params())?, Some(state))
        }
    };
    let mut is_first = true;
    loop {
        let inverse = of(hessian_of, &at);
        let margin = if matches!(inverse, Inverse::Whole(_)) { 1.0 } else { ROUGH };
        let most = limits.max_iterations.min(next(begin));
        let some = Limits { max_iterations: most, ..*limits };
        let mut asked = false;
        let mut watch = |seen: &Iteration<'_>| {
            if seen.number == begin && !is_first {
                return Flow::Continue;
            }
            let flow = observer(&Iteration { seconds: clock.seconds(), ..*seen });
            asked |= flow == Flow::Stop;
            flow
        };
        let solver = Lbfgs { memory: 20, certifies: false, margin };
        let numbers = [("begin", begin as f64)];
        let kept = Kept { vector: ("anchor", &at), numbers: &numbers };
        let apply = |x: &mut [f64]| inverse.apply(x);
        let solution = if let Some(state) = resumed.take() {
            solver.run_on(NAME, problem, state, &some, &apply, kept, &mut watch)?
        } else {
            let header = Header::after(NAME, begin, passes);
            let start = at.clone();
            solver.run_keeping(header, problem, start, &some, &apply, kept, &mut watch)?
        };
        passes = solution.passes;
        let moved = solution.iterations > begin;
        begin = solution.iterations;
        // A step that was refused may be the Hessian's fault, once.
        let goes_on = match solution.stop {
            Stop::Iterations => begin < limits.max_iterations,
            Stop::Precision => moved,
            Stop::Tolerance | Stop::Asked => false,
        };
        if !goes_on || asked {
            return Ok(solution);
        }
        at = solution.params;
        is_first = false;
    }
}

/// The iteration in which to take the Hessian anew, if it was taken in iteration `begin`.
fn next_refresh(problem: &Problem<'_>, hessian_of: &Problem<'_>, begin: usize) -> usize {
    let (m, width) = (problem.n_outputs() as f64, problem.scaling().len() as f64);
    let p = problem.n_params() as f64;
    match kind(problem) {
        // After so many steps a new one costs no more than they did.
        Kind::Whole => {
            let pass = 2.0 * problem.n_rows() as f64 * width * m + 1.0;
            let rows = hessian_of.n_rows() as f64;
            let hessian = rows * m * (m + 1.0) / 4.0 * width * width + p * p * p / 6.0;
            begin + ((2.0 * hessian / pass) as usize).clamp(4, 60)
        }
        // It is rough anyway; what was learnt from the steps is worth more.
        Kind::Product => usize::MAX,
        // Cheap; the curvature may have fallen tenfold since the start. Later what was learnt is worth more.
        Kind::Centered => 2 * begin + 12,
    }
}
