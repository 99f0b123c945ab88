//! From scores (logits) to probabilities, and to their logarithms without passing through them.
//!
//! The logarithm of a rounded probability has lost what a confident model is scored on: at a margin
//! of 40 the probability rounds to 1 and its logarithm to 0, where it is `-4.25e-18`. So the
//! largest score is left out of every sum of exponentials and comes back through ln(1 + sum of the
//! others).

use crate::exact::ExactSum;
use crate::special::Twofold;

/// Returns the probabilities of scores: each in [0, 1], summing to 1 up to rounding.
///
/// ```text
/// p_i = exp(x_i) / Σ exp(x_j)
/// ```
///
/// Domain: any scores. -inf gives 0; a single +inf gives 1 there and 0 elsewhere. Where no value
/// is defined, all are NaN: any score NaN, all -inf, more than one +inf. No scores give none.
///
/// Accuracy: 4 ulp each, from the largest to the smallest, tested against 50-digit values; nothing
/// overflows.
///
/// # Example
///
/// ```
/// use xent::information::softmax;
///
/// assert_eq!(softmax(&[0.0, 0.0]), [0.5, 0.5]);
/// assert_eq!(softmax(&[1000.0, -1000.0]), [1.0, 0.0]);
/// ```
///
/// Source: Bridle (1990, doi:10.1007/978-3-642-76153-9_28).
pub fn softmax(scores: &[f64]) -> Vec<f64> {
    let top = match Top::of(scores) {
        Ok(top) => top,
        Err(edge) => return edge.fill(scores, 0.0, 1.0),
    };
    let mut sum = top.others;
    sum.add(1.0);
    let sum = sum.value();
    scores.iter().map(|&score| exp_difference(score, top.score) / sum).collect()
}

/// Returns the logarithms of the probabilities of scores, in nats: each at most 0.
///
/// ```text
/// ln p_i = (x_i - x_max) - ln(1 + Σ exp(x_j - x_max)),   the sum without x_max
/// ```
///
/// Domain: as [`softmax`], with -inf where that gives 0 for an infinite score and 0 where it gives
/// 1.
///
/// Accuracy: 2 ulp, also where the probability rounds to 1, tested against 50-digit values.
///
/// # Example
///
/// ```
/// use xent::information::log_softmax;
///
/// assert_eq!(log_softmax(&[40.0, 0.0])[0], -4.248354255291589e-18); // not 0
/// assert_eq!(log_softmax(&[40.0, 0.0])[1], -40.0);
/// ```
pub fn log_softmax(scores: &[f64]) -> Vec<f64> {
    let top = match Top::of(scores) {
        Ok(top) => top,
        Err(edge) => return edge.fill(scores, f64::NEG_INFINITY, 0.0),
    };
    let log_sum = libm::log1p(top.others.value());
    scores
        .iter()
        .map(|&score| {
            let difference = Twofold::sum(score, -top.score);
            if difference.hi == f64::NEG_INFINITY {
                return difference.hi;
            }
            difference.hi - (log_sum - difference.lo)
        })
        .collect()
}

/// Returns the logarithm of the sum of exponentials, in nats.
///
/// ```text
/// ln Σ exp(x_j) = x_max + ln(1 + Σ exp(x_j - x_max)),   the second sum without x_max
/// ```
///
/// Domain: any scores; -inf for none, or where all are -inf; +inf where any is; NaN where any is
/// NaN.
///
/// Accuracy: 2 ulp of the larger of the result and the largest score.
///
/// # Example
///
/// ```
/// use xent::information::log_sum_exp;
///
/// assert_eq!(log_sum_exp(&[1000.0, 1000.0]), 1000.0 + std::f64::consts::LN_2);
/// assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
/// ```
pub fn log_sum_exp(scores: &[f64]) -> f64 {
    match Top::of(scores) {
        Ok(top) => top.score + libm::log1p(top.others.value()),
        Err(Edge::Certain | Edge::Infinite) => f64::INFINITY,
        Err(Edge::Nothing) => f64::NEG_INFINITY,
        Err(Edge::Undefined) => f64::NAN,
    }
}

/// Returns the probability of the positive class of a binary score.
///
/// ```text
/// σ(x) = 1 / (1 + exp(-x))
/// ```
///
/// Domain: any `x`; 0 and 1 at the infinities; NaN gives NaN.
///
/// Accuracy: 2 ulp on both sides, tested against 50-digit values.
///
/// # Example
///
/// ```
/// use xent::information::sigmoid;
///
/// assert_eq!(sigmoid(0.0), 0.5);
/// assert!((sigmoid(3_f64.ln()) - 0.75).abs() < 1e-15);
/// assert!(sigmoid(-700.0) > 0.0);
/// ```
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + libm::exp(-x))
    } else {
        let exponential = libm::exp(x);
        exponential / (1.0 + exponential)
    }
}

/// Returns the logarithm of the probability of the positive class of a binary score, in nats.
///
/// ```text
/// ln σ(x) = -ln(1 + exp(-x)) = -softplus(-x)
/// ```
///
/// Domain: any `x`; -inf and 0 at the infinities; NaN gives NaN.
///
/// Accuracy: as [`softplus`].
///
/// # Example
///
/// ```
/// use xent::information::log_sigmoid;
///
/// assert_eq!(log_sigmoid(0.0), -std::f64::consts::LN_2);
/// assert_eq!(log_sigmoid(40.0), -4.248354255291589e-18);
/// assert_eq!(log_sigmoid(-1000.0), -1000.0);
/// ```
pub fn log_sigmoid(x: f64) -> f64 {
    // From 0, not negated: certainty has 0, not -0.
    0.0 - softplus(-x)
}

/// Returns softplus, in nats: the cross entropy of a binary score with the wrong sign.
///
/// ```text
/// softplus(x) = ln(1 + exp(x)) = max(x, 0) + ln(1 + exp(-|x|))
/// ```
///
/// Domain: any `x`; 0 and inf at the infinities; NaN gives NaN.
///
/// Accuracy: 2 ulp, tested against 50-digit values.
///
/// # Example
///
/// ```
/// use xent::information::softplus;
///
/// assert_eq!(softplus(0.0), std::f64::consts::LN_2);
/// assert_eq!(softplus(1000.0), 1000.0);
/// ```
pub fn softplus(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}

/// The largest score, finite, and the exponentials of the others relative to it.
struct Top {
    score: f64,
    others: ExactSum,
}

/// Scores of which no sum of exponentials is taken.
#[derive(Clone, Copy, PartialEq)]
enum Edge {
    /// None, or all -inf.
    Nothing,
    /// One +inf.
    Certain,
    /// Several +inf.
    Infinite,
    /// A NaN.
    Undefined,
}

impl Top {
    fn of(scores: &[f64]) -> Result<Self, Edge> {
        if scores.iter().any(|score| score.is_nan()) {
            return Err(Edge::Undefined);
        }
        let mut top = 0;
        for (i, score) in scores.iter().enumerate() {
            if *score > scores[top] {
                top = i;
            }
        }
        let score = scores.get(top).copied().unwrap_or(f64::NEG_INFINITY);
        if score == f64::NEG_INFINITY {
            return Err(Edge::Nothing);
        }
        if score == f64::INFINITY {
            let count = scores.iter().filter(|&&score| score == f64::INFINITY).count();
            return Err(if count == 1 { Edge::Certain } else { Edge::Infinite });
        }
        let mut others = ExactSum::new();
        for (i, &other) in scores.iter().enumerate() {
            if i != top {
                others.add(exp_difference(other, score));
            }
        }
        Ok(Self { score, others })
    }
}

impl Edge {
    /// What a softmax is at this edge, with the values for a probability of 0 and of 1.
    fn fill(self, scores: &[f64], zero: f64, one: f64) -> Vec<f64> {
        let value = |&score: &f64| match self {
            Self::Certain if score == f64::INFINITY => one,
            Self::Certain => zero,
            Self::Nothing | Self::Infinite | Self::Undefined => f64::NAN,
        };
        scores.iter().map(value).collect()
    }
}

/// exp(score - top), without the rounding of the difference, which the exponential would magnify.
fn exp_difference(score: f64, top: f64) -> f64 {
    let difference = Twofold::sum(score, -top);
    // An infinite difference has no second half.
    if difference.hi == f64::NEG_INFINITY { 0.0 } else { difference.exp() }
}
