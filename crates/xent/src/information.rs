//! Information theory on finite distributions: content, entropy, cross entropy, divergences.
//!
//! What lives here: the quantities themselves in nats, [`Base`] to turn them into bits,
//! [`Distribution`], which they take, and the functions that turn scores into probabilities
//! ([`softmax`], [`sigmoid`] and their logarithms).
//!
//! # Why this design
//!
//! *Checked once, trusted after.* A [`Distribution`] cannot be built invalid, so that the functions
//! taking one have no errors of their own but a length that does not match. Numbers that do not sum
//! to 1 are refused, never divided by their sum unasked: [`Distribution::normalized`] asks.
//!
//! *Divergences cannot be negative.* The Kullback-Leibler divergence is summed as
//!
//! ```text
//! Σ p (r - ln(1 + r)),  r = (q - p) / p,       and q where p = 0
//!   = Σ p ln(p / q) + Σ (q - p)
//! ```
//!
//! of which no term is negative, and every term is 0 where p = q; the textbook's sum is a small
//! difference of large terms, wrong in all digits and often negative for nearly equal
//! distributions. The two differ by Σ(q - p), which is 0 up to rounding where both distributions
//! sum to 1 up to rounding. For distributions written with six digits it may be `2e-6`, by as much
//! the identity H(p, q) = H(p) + D(p || q) is then off, and of the two forms only this one is still
//! a divergence: zero exactly when p = q (Csiszár 1991, doi:10.1214/aos/1176348385, for measures of
//! any total). Where the identity must hold to the last digits, normalise both first.
//!
//! *One base at a time.* Everything is in nats. A number of nats is turned into bits by
//! [`Base::from_nats`]; since ln 8 is itself rounded, a sum of its parts need not come back as
//! exactly 3. Where it matters to see the round number, [`content_to_base`], [`entropy_to_base`]
//! and [`cross_entropy_to_base`] take the logarithm of each term in the base asked for, so that a
//! fair coin has exactly 1 bit and 8 equal chances exactly 3.
//!
//! Sums are exact and rounded once ([`ExactSum`]), so no result depends on the order of the
//! outcomes. Logarithms are those of the `libm` crate and of
//! [`elementary`](crate::elementary): the same bits on every platform. One term of a divergence is defined
//! once, for these functions and for those over rows ([`divergence`](crate::divergence)).
//!
//! What this module refuses: densities (differential entropy can be negative and depends on the
//! unit of the axis), and estimating an entropy from a sample with a correction for its bias.

mod activation;
mod base;
mod distribution;
mod error;
#[cfg(test)]
mod golden;
mod mutual;
#[cfg(test)]
mod tests;

use crate::divergence::{divergence_term, middle_term};
use crate::exact::ExactSum;

pub use activation::{log_sigmoid, log_softmax, log_sum_exp, sigmoid, softmax, softplus};
pub use base::Base;
pub use distribution::Distribution;
pub use error::InformationError;
pub use mutual::mutual_information;

/// Returns the information content of an event, in nats: how surprising it is.
///
/// ```text
/// I(p) = -ln p
/// ```
///
/// Domain: `0 <= p <= 1`; an impossible event (`p = 0`) has infinite content, a certain one 0; NaN
/// outside.
///
/// Accuracy: 1 ulp.
///
/// # Example
///
/// ```
/// use xent::information::content;
///
/// assert_eq!(content(1.0), 0.0); // what was certain tells nothing
/// assert_eq!(content(0.5), std::f64::consts::LN_2); // one bit
/// assert_eq!(content(0.0), f64::INFINITY);
/// ```
///
/// Source: Shannon (1948, doi:10.1002/j.1538-7305.1948.tb01338.x).
pub fn content(p: f64) -> f64 {
    content_to_base(p, Base::E)
}

/// Returns the information content of an event in bits, nats or bans.
///
/// ```text
/// I(p) = -log_base p
/// ```
///
/// Domain and accuracy: as [`content`]; exact for powers of two in base 2.
///
/// # Example
///
/// ```
/// use xent::information::{Base, content_to_base};
///
/// assert_eq!(content_to_base(0.125, Base::Two), 3.0); // three tosses of a coin
/// ```
pub fn content_to_base(p: f64, base: Base) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    // From 0, not negated: a certain event has 0, not -0.
    0.0 - base.log(p)
}

/// Returns the entropy of a distribution, in nats: the mean content of what will happen.
///
/// ```text
/// H(p) = -Σ p_i ln p_i,   0 ln 0 = 0
/// ```
///
/// From 0, where one outcome is certain, to ln k, where all k are equally likely.
///
/// Accuracy: 2 ulp; the sum is exact. Tested against 50-digit values.
///
/// # Example
///
/// ```
/// use xent::information::{Distribution, entropy};
///
/// let coin = Distribution::new(&[0.5, 0.5])?;
/// assert_eq!(entropy(&coin), std::f64::consts::LN_2);
/// let certain = Distribution::new(&[0.0, 1.0])?;
/// assert_eq!(entropy(&certain), 0.0);
/// # Ok::<(), xent::information::InformationError>(())
/// ```
///
/// Source: Shannon (1948, doi:10.1002/j.1538-7305.1948.tb01338.x).
pub fn entropy(p: &Distribution) -> f64 {
    entropy_to_base(p, Base::E)
}

/// Returns the entropy of a distribution in bits, nats or bans.
///
/// ```text
/// H(p) = -Σ p_i log_base p_i
/// ```
///
/// Accuracy: 2 ulp; exact in base 2 where every probability is a power of two.
///
/// # Example
///
/// ```
/// use xent::information::{Base, Distribution, entropy_to_base};
///
/// let die = Distribution::uniform(8)?;
/// assert_eq!(entropy_to_base(&die, Base::Two), 3.0);
/// # Ok::<(), xent::information::InformationError>(())
/// ```
pub fn entropy_to_base(p: &Distribution, base: Base) -> f64 {
    let mut sum = ExactSum::new();
    for &p in p.probabilities() {
        if p > 0.0 {
            sum.add_product(p, content_to_base(p, base));
        }
    }
    sum.value()
}

/// Returns the cross entropy of `q` under `p`, in nats: the mean content of what happens by `p`
/// for one who believes `q`.
///
/// ```text
/// H(p, q) = -Σ p_i ln q_i,   0 ln 0 = 0
/// ```
///
/// Infinite where `q` excludes an outcome that `p` allows; never below the entropy of `p`, but for
/// the rounding of the two.
///
/// Accuracy: 2 ulp. Tested against 50-digit values.
///
/// # Errors
///
/// [`InformationError::LengthMismatch`] where the two have different numbers of outcomes.
///
/// # Example
///
/// ```
/// use xent::information::{Base, Distribution, cross_entropy};
///
/// // A dog was shown (0, 1, 0), and the model said cat 0.2, dog 0.7, horse 0.1.
/// let truth = Distribution::new(&[0.0, 1.0, 0.0])?;
/// let model = Distribution::new(&[0.2, 0.7, 0.1])?;
/// let bits = Base::Two.from_nats(cross_entropy(&truth, &model)?);
/// assert_eq!((bits * 1e3).round(), 515.0); // 0.515
/// # Ok::<(), xent::information::InformationError>(())
/// ```
///
/// Source: Kerridge (1961, "Inaccuracy and inference"); Shannon (1948).
pub fn cross_entropy(p: &Distribution, q: &Distribution) -> Result<f64, InformationError> {
    cross_entropy_to_base(p, q, Base::E)
}

/// Returns the cross entropy of `q` under `p` in bits, nats or bans.
///
/// ```text
/// H(p, q) = -Σ p_i log_base q_i
/// ```
///
/// Accuracy: 2 ulp; exact in base 2 where every `q` is a power of two, but for one rounding.
///
/// # Errors
///
/// [`InformationError::LengthMismatch`] where the two have different numbers of outcomes.
///
/// # Example
///
/// ```
/// use xent::information::{Base, Distribution, cross_entropy_to_base};
///
/// let p = Distribution::new(&[0.75, 0.25])?;
/// let q = Distribution::new(&[0.5, 0.5])?;
/// assert_eq!(cross_entropy_to_base(&p, &q, Base::Two)?, 1.0); // one bit whatever happens
/// # Ok::<(), xent::information::InformationError>(())
/// ```
pub fn cross_entropy_to_base(
    p: &Distribution,
    q: &Distribution,
    base: Base,
) -> Result<f64, InformationError> {
    let mut sum = ExactSum::new();
    for (p, q) in pairs(p, q)? {
        if p > 0.0 {
            sum.add_product(p, content_to_base(q, base));
        }
    }
    Ok(sum.value())
}

/// Returns the Kullback-Leibler divergence of `q` from `p`, in nats: what believing `q` costs
/// beyond what `p` costs itself.
///
/// ```text
/// D(p || q) = Σ p_i ln(p_i / q_i) = H(p, q) - H(p)
///           = Σ p_i (r_i - ln(1 + r_i)),  r_i = (q_i - p_i) / p_i,   and q_i where p_i = 0
/// ```
///
/// Not symmetric. Infinite where `q` excludes an outcome that `p` allows.
///
/// Accuracy: never negative; exactly 0 for equal distributions; relative error below `1e-15` even
/// where `p` and `q` agree in all but the last digits, tested against 50-digit values. The second
/// form is the one summed; the [module](self) says by how much the two differ where the
/// distributions do not sum to 1 exactly.
///
/// # Errors
///
/// [`InformationError::LengthMismatch`] where the two have different numbers of outcomes.
///
/// # Example
///
/// ```
/// use xent::information::{Base, Distribution, kl_divergence};
///
/// let p = Distribution::new(&[0.75, 0.25])?;
/// let q = Distribution::new(&[0.5, 0.5])?;
/// let there = Base::Two.from_nats(kl_divergence(&p, &q)?);
/// let back = Base::Two.from_nats(kl_divergence(&q, &p)?);
/// assert!((there - 0.1887).abs() < 1e-4); // 0.75 log2 1.5 + 0.25 log2 0.5
/// assert!((back - 0.2075).abs() < 1e-4);
/// assert_eq!(kl_divergence(&p, &p)?, 0.0);
/// # Ok::<(), xent::information::InformationError>(())
/// ```
///
/// Source: Kullback and Leibler (1951, doi:10.1214/aoms/1177729694).
pub fn kl_divergence(p: &Distribution, q: &Distribution) -> Result<f64, InformationError> {
    let mut sum = ExactSum::new();
    for (p, q) in pairs(p, q)? {
        sum.add(divergence_term(p, q, q - p));
    }
    Ok(sum.value())
}

/// Returns the Jensen-Shannon divergence of two distributions, in nats.
///
/// ```text
/// JS(p, q) = D(p || m) / 2 + D(q || m) / 2,   m = (p + q) / 2
/// ```
///
/// From 0, for equal distributions, to ln 2, for two with no outcome in common; always finite.
///
/// Accuracy: relative `1e-15` as [`kl_divergence`]; the same bits with the two exchanged; what
/// rounding (or totals off by up to `1e-6`) would carry above ln 2 is ln 2.
///
/// # Errors
///
/// [`InformationError::LengthMismatch`] where the two have different numbers of outcomes.
///
/// # Example
///
/// ```
/// use xent::information::{Distribution, js_divergence};
///
/// let heads = Distribution::new(&[1.0, 0.0])?;
/// let tails = Distribution::new(&[0.0, 1.0])?;
/// assert_eq!(js_divergence(&heads, &tails)?, std::f64::consts::LN_2); // one bit tells them apart
/// assert_eq!(js_divergence(&heads, &heads)?, 0.0);
/// # Ok::<(), xent::information::InformationError>(())
/// ```
///
/// Source: Lin (1991, doi:10.1109/18.61115).
pub fn js_divergence(p: &Distribution, q: &Distribution) -> Result<f64, InformationError> {
    let mut sum = ExactSum::new();
    for (p, q) in pairs(p, q)? {
        sum.add(middle_term(p, q));
    }
    Ok(sum.value().min(core::f64::consts::LN_2))
}

/// Returns the Jensen-Shannon distance of two distributions, in the square root of nats.
///
/// ```text
/// sqrt(JS(p, q))
/// ```
///
/// It is a metric: zero only for equal distributions, symmetric, and obeying the triangle
/// inequality. From 0 to sqrt(ln 2) = 0.8326. For the distance in base 2, take the root after
/// changing the base.
///
/// Accuracy: relative `1e-15`.
///
/// # Errors
///
/// [`InformationError::LengthMismatch`] where the two have different numbers of outcomes.
///
/// # Example
///
/// ```
/// use xent::information::{Distribution, js_distance};
///
/// let heads = Distribution::new(&[1.0, 0.0])?;
/// let tails = Distribution::new(&[0.0, 1.0])?;
/// assert_eq!(js_distance(&heads, &tails)?, std::f64::consts::LN_2.sqrt());
/// # Ok::<(), xent::information::InformationError>(())
/// ```
///
/// Source: Endres and Schindelin (2003, doi:10.1109/TIT.2003.813506).
pub fn js_distance(p: &Distribution, q: &Distribution) -> Result<f64, InformationError> {
    Ok(libm::sqrt(js_divergence(p, q)?))
}

/// Returns the expectation of values under a distribution, in the unit of the values.
///
/// ```text
/// E = Σ p_i x_i
/// ```
///
/// A value of probability 0 does not count, be it infinite or NaN.
///
/// Accuracy: correctly rounded.
///
/// # Errors
///
/// [`InformationError::LengthMismatch`] where there are not as many values as probabilities.
///
/// # Example
///
/// ```
/// use xent::information::{Distribution, expectation};
///
/// let half_each = Distribution::new(&[0.5, 0.5])?;
/// assert_eq!(expectation(&[80.0, 90.0], &half_each)?, 85.0);
/// # Ok::<(), xent::information::InformationError>(())
/// ```
pub fn expectation(values: &[f64], probabilities: &Distribution) -> Result<f64, InformationError> {
    if values.len() != probabilities.len() {
        let (expected, found) = (probabilities.len(), values.len());
        return Err(InformationError::LengthMismatch { expected, found });
    }
    let mut sum = ExactSum::new();
    for (&value, &p) in values.iter().zip(probabilities.probabilities()) {
        if p > 0.0 {
            sum.add_product(p, value);
        }
    }
    Ok(sum.value())
}

/// The outcomes of two distributions side by side.
fn pairs<'a>(
    p: &'a Distribution,
    q: &'a Distribution,
) -> Result<impl Iterator<Item = (f64, f64)> + 'a, InformationError> {
    if p.len() != q.len() {
        return Err(InformationError::LengthMismatch { expected: p.len(), found: q.len() });
    }
    Ok(p.probabilities().iter().copied().zip(q.probabilities().iter().copied()))
}
