//! Special functions and the small tests built on them: the p-values and intervals that stand
//! beside a score.
//!
//! What lives here: the gamma and beta functions, Student's t and the normal distribution, the
//! exact binomial (`McNemar`) test, Wilson's interval, and the adjustments for many comparisons.
//!
//! Every tail has *relative* accuracy: a p-value of `1e-300` has as many right digits as one of
//! 0.3, and a million degrees of freedom cost none. Two decisions give that. The complement of an
//! argument is never formed by subtraction where it matters (a `1 - x` that is off by half an ulp
//! is off by a factor of `e^-5` when raised to the power `1e17`), so the beta function inside takes
//! `x` and `1 - x` as a pair; and the exponent of a tail is computed in twice the precision (see
//! `twofold`). Logarithms and exponentials are those of the `libm` crate, so that results have the
//! same bits on every platform.
//!
//! Outside its domain a function returns NaN, as the functions of `f64` do; nothing here panics.
//!
//! What this module refuses: distributions that no number xent reports needs.
//!
//! Advice for whoever changes `beta.rs`: Student's t, its quantiles and the binomial test all stand
//! on its continued fraction. The golden values in each file reach from the centre to `1e-300` and
//! from half a degree of freedom to `1e12`; run them all.

mod adjust;
mod beta;
mod gamma;
#[cfg(test)]
mod golden;
mod proportion;
mod student;
mod twofold;

pub use adjust::{benjamini_hochberg, holm};
pub use beta::beta_inc;
pub use gamma::{ln_beta, ln_gamma};
pub use proportion::{binomial_two_sided_half, wilson_interval};
pub use student::{normal_cdf, normal_quantile, t_critical, t_quantile, t_two_sided_p};

pub(crate) use twofold::Twofold;

#[cfg(test)]
pub(crate) mod testing;
