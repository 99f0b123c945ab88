//! Learning rates: bounds of the curvature that none of the rows' losses exceeds.

use crate::error::Error;
use crate::problem::{Data, Head, Loss, Penalty, Problem, Target};
use crate::solve::norm;
use crate::solve::rows::{Reader, is_sigmoid};

/// How the learning rate goes on from `rate`, over the epochs e = 0, 1, ...
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// Always the same.
    Constant,
    /// `rate / (1 + decay e)` (Robbins and Monro 1951, doi:10.1214/aoms/1177729586).
    Inverse {
        /// How fast it falls.
        decay: f64,
    },
    /// `rate / sqrt(1 + decay e)`.
    InverseRoot {
        /// How fast it falls.
        decay: f64,
    },
    /// `rate factor^e`.
    Exponential {
        /// What is left after an epoch.
        factor: f64,
    },
}

impl Schedule {
    /// The rate of an epoch.
    pub fn rate(self, rate: f64, epoch: usize) -> f64 {
        let epoch = epoch as f64;
        match self {
            Self::Constant => rate,
            Self::Inverse { decay } => rate / (1.0 + decay * epoch),
            Self::InverseRoot { decay } => rate / (1.0 + decay * epoch).sqrt(),
            Self::Exponential { factor } => {
                rate * xent::elementary::exp(epoch * xent::elementary::ln(factor))
            }
        }
    }

    pub(crate) fn check(self) -> Result<(), Error> {
        let (name, value, domain) = match self {
            Self::Constant => return Ok(()),
            Self::Inverse { decay } | Self::InverseRoot { decay } => {
                ("decay", decay, "finite and not negative")
            }
            Self::Exponential { factor } => ("factor", factor, "above 0 and at most 1"),
        };
        let is_right = match self {
            Self::Exponential { .. } => value > 0.0 && value <= 1.0,
            _ => value >= 0.0 && value.is_finite(),
        };
        if is_right {
            return Ok(());
        }
        Err(Error::Parameter { name, value: value.to_string(), domain })
    }
}

/// Checks a rate that was given.
pub(crate) fn check_rate(rate: Option<f64>) -> Result<(), Error> {
    match rate {
        Some(rate) if !(rate > 0.0 && rate.is_finite()) => Err(Error::Parameter {
            name: "learning rate",
            value: rate.to_string(),
            domain: "positive and finite",
        }),
        _ => Ok(()),
    }
}

/// The greatest second derivative of a row's loss by its scores, in any direction.
///
/// Cross entropy: p (1 - p) <= 1/4 of a sigmoid, 1/2 of a softmax (Böhning 1992, doi:10.1007/BF00048682). Half squared error:
/// of a sigmoid p² (1 - p) (2 - 3p) and its mirror image, at most 0.0771. Of a softmax with Jacobian J: |J|² <= 1/4
/// from the Gauss-Newton part, and at most √2 · √8 / (6 √3) < 0.385 from the rest, a residual of length at most √2 times the third central
/// moment of a variable of range at most √2.
pub(crate) fn curvature(problem: &Problem<'_>) -> f64 {
    match (problem.loss(), is_sigmoid(problem)) {
        (Loss::CrossEntropy, true) => 0.25,
        (Loss::CrossEntropy, false) => 0.5,
        (Loss::SquaredError, true) => 0.0771,
        (Loss::SquaredError, false) => 0.635,
    }
}

/// The greatest ridge of a parameter.
pub(crate) fn most_ridge(problem: &Problem<'_>) -> f64 {
    (0..problem.n_params()).map(|i| problem.l2(i)).fold(0.0, f64::max)
}

/// A bound L of the curvature of the objective, in any direction at any point.
///
/// ```text
/// L = c λ + max l2,   λ the greatest eigenvalue of Σ w x x' / Σ w
/// ```
///
/// λ comes from power iterations that end once it grows by less than 1% in five of them, and is taken 10% larger. They find
/// it from below; gradient descent with rate 1/L falls in any case where the true bound is below 2 L. Also the passes.
pub(crate) fn smoothness(problem: &Problem<'_>) -> Result<(f64, usize), Error> {
    // At 0 the Hessian of a sigmoid is a quarter of the matrix.
    let n = problem.n_rows();
    let whole = problem.data().design.n_rows();
    let classes = vec![0; whole];
    let weights: Option<Vec<f64>> = (n < whole).then(|| {
        let mut weights = vec![0.0; whole];
        for i in 0..n {
            let row = problem.row_at(i);
            weights[row] += problem.data().weights.map_or(1.0, |w| w[row]);
        }
        weights
    });
    let data = Data {
        target: Target::Classes(&classes),
        n_classes: 2,
        offsets: None,
        weights: weights.as_deref().or(problem.data().weights),
        ..*problem.data()
    };
    let penalty = Penalty::default();
    let gram = Problem::new(
        data,
        problem.scaling(),
        Head::Sigmoid,
        Loss::CrossEntropy,
        &penalty,
        problem.has_intercept(),
    )?
    .with_threads(problem.threads());
    let n = gram.n_params();
    let zero = vec![0.0; n];
    let mut v: Vec<f64> =
        (0..n).map(|i| if gram.is_free(i) { 1.0 + (i % 7) as f64 / 8.0 } else { 0.0 }).collect();
    let mut out = vec![0.0; n];
    let (mut before, mut passes) = (0.0, 0);
    loop {
        let length = norm(&v);
        if length == 0.0 {
            return Ok((most_ridge(problem).max(f64::MIN_POSITIVE), passes));
        }
        v.iter_mut().for_each(|v| *v /= length);
        gram.hessian_product(&zero, &v, &mut out);
        passes += 1;
        let value = 4.0 * norm(&out);
        if passes % 5 == 0 {
            if value <= 1.01 * before || passes >= 50 {
                let bound = curvature(problem) * 1.1 * value + most_ridge(problem);
                return Ok((bound, passes));
            }
            before = value;
        }
        std::mem::swap(&mut v, &mut out);
        (0..n).filter(|&i| !gram.is_free(i)).for_each(|i| v[i] = 0.0);
    }
}

/// The greatest curvature of a single row's loss, with the weight it has among all, and the ridge.
pub(crate) fn row_smoothness(problem: &Problem<'_>) -> f64 {
    let mut reader = Reader::new(problem);
    let mean = problem.total_weight() / problem.n_rows() as f64;
    let mut most: f64 = 0.0;
    for i in 0..problem.n_rows() {
        reader.load(i);
        most = most.max(reader.weight() / mean * reader.square());
    }
    curvature(problem) * most + most_ridge(problem)
}
