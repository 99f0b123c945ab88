//! Student's t distribution and the normal distribution, its limit.

use core::f64::consts::{PI, SQRT_2};
use std::cell::Cell;

use super::beta::BetaPoint;
use super::gamma::ln_beta;
use super::twofold::Twofold;

/// Above this many degrees of freedom Student's t is the normal distribution: the two differ by
/// `t^4 / (4 df)`, below `1e-14` wherever the tail is a positive f64.
const NORMAL_DF: f64 = 1e20;
/// Above this `df / t²` is below `1e-260` for every df in use, and near underflow.
const HUGE_T: f64 = 1e140;
/// Below this t² is near underflow, and T spread evenly.
const TINY_T: f64 = 1e-140;
/// 1 / sqrt(2).
const INV_SQRT_2: Twofold =
    Twofold { hi: core::f64::consts::FRAC_1_SQRT_2, lo: -4.833_646_656_726_457e-17 };

/// Returns the two-sided p-value of a t statistic, a probability.
///
/// ```text
/// P(|T| >= |t|) = I_x(df / 2, 1 / 2),   x = df / (df + t²)
/// ```
///
/// Domain: `df > 0`, infinity included (the normal distribution); any `t`. An infinite `t` gives 0,
/// NaN gives NaN, `df <= 0` gives NaN.
///
/// Accuracy: relative `1e-13` to the end of the range of f64, tested against 50-digit values for
/// `df` from 0.5 to `1e12` and p down to `1e-300`.
///
/// # Example
///
/// ```
/// use xent::special::t_two_sided_p;
///
/// // With one degree of freedom, 1 is the upper quartile: half of the values lie outside.
/// assert!((t_two_sided_p(1.0, 1.0) - 0.5).abs() < 1e-15);
/// assert_eq!(t_two_sided_p(0.0, 7.0), 1.0);
/// assert_eq!(t_two_sided_p(f64::INFINITY, 7.0), 0.0);
/// ```
///
/// Source: Student (1908, doi:10.1093/biomet/6.1.1).
pub fn t_two_sided_p(t: f64, df: f64) -> f64 {
    if t.is_nan() || df.is_nan() || df <= 0.0 {
        return f64::NAN;
    }
    let t = t.abs();
    if t == 0.0 {
        return 1.0;
    }
    if t == f64::INFINITY {
        return 0.0;
    }
    Student { df }.outside(t).probability
}

/// Returns the quantile of Student's t distribution: the `t` with `P(T <= t) = p`.
///
/// The critical value of a two-sided test at the 5% level is `t_quantile(0.975, df)`; from the
/// level itself, [`t_critical`] does not round `1 - level` twice.
///
/// Domain: `0 <= p <= 1`, `df > 0`, infinity included; `p` = 0 and 1 give -inf and inf; NaN
/// outside.
///
/// Accuracy: relative `1e-12`, tested against 50-digit values; where `df` is below 1, divided by
/// `df`, as the tail is then that flat.
///
/// # Example
///
/// ```
/// use xent::special::t_quantile;
///
/// assert!((t_quantile(0.75, 1.0) - 1.0).abs() < 1e-14); // the upper quartile of Cauchy's
/// assert!((t_quantile(0.975, f64::INFINITY) - 1.959964).abs() < 1e-6);
/// ```
pub fn t_quantile(p: f64, df: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) || df.is_nan() || df <= 0.0 {
        return f64::NAN;
    }
    let (p_before, df_before, quantile) = LATEST.get();
    if p == p_before && df == df_before {
        return quantile;
    }
    let distance = Student { df };
    let quantile = if p < 0.5 {
        // `1 - 2p` may round; it is used only above 1/2, where it has all its digits.
        -distance.solve(2.0 * p, 1.0 - 2.0 * p)
    } else {
        distance.solve(2.0 * (1.0 - p), 2.0 * p - 1.0)
    };
    LATEST.set((p, df, quantile));
    quantile
}

thread_local! {
    /// The latest probability, degrees of freedom and quantile: all intervals of some rows ask for the same.
    static LATEST: Cell<(f64, f64, f64)> = const { Cell::new((f64::NAN, f64::NAN, f64::NAN)) };
}

/// Returns the two-sided critical value of Student's t for a confidence level: the `t` with
/// `P(|T| <= t) = level`.
///
/// An interval at level 0.95 is the estimate ± `t_critical(0.95, df)` standard errors. With `df`
/// infinite it is the normal distribution's.
///
/// Domain: `0 <= level <= 1`, giving 0 to infinity; `df > 0`; NaN outside.
///
/// Accuracy: as [`t_quantile`].
///
/// # Example
///
/// ```
/// use xent::special::t_critical;
///
/// assert!((t_critical(0.5, 1.0) - 1.0).abs() < 1e-14);
/// assert!((t_critical(0.95, 2.0) - 4.302653).abs() < 1e-6); // the first table of any textbook
/// ```
pub fn t_critical(level: f64, df: f64) -> f64 {
    if !(0.0..=1.0).contains(&level) || df.is_nan() || df <= 0.0 {
        return f64::NAN;
    }
    Student { df }.solve(1.0 - level, level)
}

/// Returns the probability that a standard normal variable is at most `x`.
///
/// ```text
/// Φ(x) = erfc(-x / sqrt(2)) / 2
/// ```
///
/// Domain: any `x`; NaN gives NaN.
///
/// Accuracy: relative `1e-15` in the left tail too, where the rounding of `x / sqrt(2)` alone
/// would cost `1e-13`; tested against 50-digit values.
///
/// # Example
///
/// ```
/// assert_eq!(xent::special::normal_cdf(0.0), 0.5);
/// ```
pub fn normal_cdf(x: f64) -> f64 {
    if x < 0.0 {
        return 0.5 * erfc_of_root_half(-x);
    }
    0.5 * libm::erfc(-x / SQRT_2)
}

/// Returns the quantile of the standard normal distribution: the `x` with `Φ(x) = p`.
///
/// Domain: `0 <= p <= 1`, giving -inf to inf; NaN outside.
///
/// Accuracy: relative `1e-14`, tested against 50-digit values down to `p = 1e-300`.
///
/// # Example
///
/// ```
/// use xent::special::normal_quantile;
///
/// assert_eq!(normal_quantile(0.5), 0.0);
/// assert!((normal_quantile(0.975) - 1.959963984540054).abs() < 1e-14);
/// ```
pub fn normal_quantile(p: f64) -> f64 {
    t_quantile(p, f64::INFINITY)
}

/// Student's t distribution, folded at 0.
#[derive(Clone, Copy, Debug)]
struct Student {
    df: f64,
}

/// A probability and how it moves: the derivative of its logarithm by the logarithm of `t`.
#[derive(Clone, Copy, Debug)]
struct Folded {
    probability: f64,
    log_slope: f64,
}

impl Student {
    /// The beta point of a `t`: `x = df / (df + t²)` and `y = t² / (df + t²)`.
    fn point(self, t: f64) -> BetaPoint {
        let square = Twofold::product(t, t);
        let total = square + Twofold::from(self.df);
        BetaPoint { a: 0.5 * self.df, b: 0.5, x: Twofold::from(self.df) / total, y: square / total }
    }

    /// `t` times the density of |T|, for a `t` that is not huge.
    fn t_times_density(self, t: f64) -> f64 {
        if self.df >= NORMAL_DF {
            // t² / 2 is kept whole: its rounding would be magnified by the exponential.
            let half = Twofold::product(t, t) * Twofold::from(-0.5);
            t * libm::sqrt(2.0 / PI) * half.exp()
        } else if t < TINY_T {
            2.0 * t / libm::sqrt(self.df) * libm::exp(-ln_beta(0.5 * self.df, 0.5))
        } else {
            2.0 * self.point(t).density_factor()
        }
    }

    /// P(|T| >= t), for a positive finite `t`.
    fn outside(self, t: f64) -> Folded {
        let probability = if self.df >= NORMAL_DF {
            erfc_of_root_half(t)
        } else if t > HUGE_T {
            // Only the first term of the series is left: x^a / (a B(a, 1/2)), with ln x for x.
            let a = 0.5 * self.df;
            let ln_x = Twofold::from(self.df).ln() - Twofold::from(t).ln() * Twofold::from(2.0);
            let exponent = Twofold::from(a) * ln_x - Twofold::from(ln_beta(a, 0.5));
            return Folded { probability: exponent.exp() / a, log_slope: -self.df };
        } else if t < TINY_T {
            1.0
        } else {
            let point = self.point(t);
            if point.is_below_mean() {
                point.lower_tail()
            } else {
                1.0 - point.mirrored().lower_tail()
            }
        };
        Folded { probability, log_slope: -self.t_times_density(t) / probability }
    }

    /// P(|T| <= t), for a positive finite `t`.
    fn inside(self, t: f64) -> Folded {
        let probability = if self.df >= NORMAL_DF {
            libm::erf(t / SQRT_2)
        } else if t > HUGE_T {
            1.0 - self.outside(t).probability
        } else if t < TINY_T {
            self.t_times_density(t)
        } else {
            let point = self.point(t).mirrored();
            if point.is_below_mean() {
                point.lower_tail()
            } else {
                1.0 - point.mirrored().lower_tail()
            }
        };
        let slope = if t > HUGE_T { 0.0 } else { self.t_times_density(t) };
        Folded { probability, log_slope: slope / probability }
    }

    /// The `t >= 0` outside of which lies the probability `outside`, inside of which `inside`; the
    /// smaller of the two decides, for it has the more digits.
    ///
    /// Newton's method for the logarithm of the probability in `s = ln t`, where both tails are
    /// nearly straight lines, kept inside a bracket that each step tightens.
    fn solve(self, outside: f64, inside: f64) -> f64 {
        /// Newton's steps and halvings together; about eight are used.
        const MAX_STEPS: u32 = 200;

        if inside == 0.0 {
            return 0.0;
        }
        if outside == 0.0 {
            return f64::INFINITY;
        }
        let falling = outside < inside;
        let target = libm::log(if falling { outside } else { inside });
        let (mut low, mut high) = (libm::log(f64::MIN_POSITIVE), libm::log(f64::MAX));
        // Where the normal tail is, roughly; for few degrees of freedom, further out.
        let mut s = if falling { 0.5 * libm::log(-2.0 * target) } else { target };
        for _ in 0..MAX_STEPS {
            let t = libm::exp(s);
            let here = if falling { self.outside(t) } else { self.inside(t) };
            let error = libm::log(here.probability) - target;
            // The probability outside falls with t, the one inside rises.
            if (error > 0.0) == falling {
                low = s;
            } else {
                high = s;
            }
            let step = error / here.log_slope;
            if step.abs() <= 1e-9 {
                // Quadratic from here: this step is the last that changes a digit.
                return t * libm::exp(-step);
            }
            let newton = s - step;
            s = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
            if high - low <= f64::EPSILON * high.abs() {
                break;
            }
        }
        // The answer lies beyond the range of f64 (df far below 1), or is at the end of it.
        if high >= libm::log(f64::MAX) { f64::INFINITY } else { libm::exp(s) }
    }
}

/// erfc(x / sqrt(2)) for `x >= 0`: the probability of a standard normal variable outside ± x.
///
/// The argument is divided in twice the precision, and what one f64 leaves of it is added by
/// the derivative.
fn erfc_of_root_half(x: f64) -> f64 {
    if x == f64::INFINITY {
        return 0.0;
    }
    let argument = Twofold::from(x) * INV_SQRT_2;
    let head = libm::erfc(argument.hi);
    let derivative = -2.0 / libm::sqrt(PI) * libm::exp(-argument.hi * argument.hi);
    head + derivative * argument.lo
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::golden;
    use super::super::testing::assert_relative;
    use super::*;

    /// Relative, against 60 digits; the promise is `1e-13`.
    const P_VALUE: f64 = 2e-14;
    /// Relative, against 60 digits; the promise is `1e-12`.
    const QUANTILE: f64 = 1e-13;
    /// Relative, against 60 digits.
    const NORMAL: f64 = 1e-15;
    /// Relative, against 60 digits.
    const NORMAL_QUANTILE: f64 = 1e-14;
    /// Relative error of p there and back: that of t, as often as the tail is steep.
    const ROUND_TRIP: f64 = 1e-12;

    #[test]
    fn p_values_agree_with_60_digits_into_the_far_tail() {
        for (t, df, expected) in golden::T_TWO_SIDED {
            let what = format!("p of t = {t:e} with df = {df:e}");
            assert_relative(t_two_sided_p(t, df), expected, P_VALUE, &what);
            assert_relative(t_two_sided_p(-t, df), expected, P_VALUE, &what);
        }
    }

    #[test]
    fn p_values_at_the_ends_and_outside() {
        for df in [0.1, 1.0, 2.0, 943.0, 1e12, 1e25, f64::INFINITY] {
            assert_eq!(t_two_sided_p(0.0, df), 1.0);
            assert_eq!(t_two_sided_p(f64::NEG_INFINITY, df), 0.0);
            assert!(t_two_sided_p(f64::NAN, df).is_nan());
            assert_eq!(t_two_sided_p(1e-200, df), 1.0);
        }
        assert_eq!(t_two_sided_p(1e300, 5.0), 0.0);
        for df in [0.0, -1.0, f64::NAN] {
            assert!(t_two_sided_p(1.0, df).is_nan() && t_two_sided_p(f64::INFINITY, df).is_nan());
            assert!(t_quantile(0.3, df).is_nan() && t_critical(0.3, df).is_nan());
        }
    }

    #[test]
    fn two_degrees_of_freedom_have_a_closed_form() {
        // P(|T| >= t) = 1 - t / sqrt(2 + t²)
        for t in [0.01, 0.5, 1.0, 2.0, 6.0] {
            let expected = 1.0 - t / libm::sqrt(2.0 + t * t);
            assert_relative(t_two_sided_p(t, 2.0), expected, P_VALUE, &format!("t = {t}"));
        }
    }

    #[test]
    fn the_normal_limit_is_met_without_a_step() {
        for t in [0.3, 1.0, 2.5, 12.0, 37.0] {
            let below = t_two_sided_p(t, NORMAL_DF * 0.999);
            assert_relative(t_two_sided_p(t, f64::INFINITY), below, P_VALUE, &format!("t = {t}"));
        }
    }

    #[test]
    fn a_huge_t_continues_the_tail_without_a_step() {
        for df in [0.5, 1.0, 2.0] {
            // The tail is a power there: p(2t) = p(t) / 2^df.
            let before = t_two_sided_p(HUGE_T, df);
            let after = t_two_sided_p(2.0 * HUGE_T, df);
            assert_relative(after, before / libm::exp2(df), P_VALUE, &format!("df = {df}"));
        }
    }

    #[test]
    fn quantiles_agree_with_60_digits() {
        for (p, df, expected) in golden::T_QUANTILE {
            let what = format!("t_quantile({p:e}, {df:e})");
            assert_relative(t_quantile(p, df), expected, QUANTILE, &what);
        }
    }

    #[test]
    fn quantiles_at_the_ends_and_outside() {
        for df in [0.1, 1.0, 30.0, f64::INFINITY] {
            assert_eq!(t_quantile(0.5, df), 0.0);
            assert_eq!(t_quantile(0.0, df), f64::NEG_INFINITY);
            assert_eq!(t_quantile(1.0, df), f64::INFINITY);
            assert_eq!((t_critical(0.0, df), t_critical(1.0, df)), (0.0, f64::INFINITY));
            for p in [-0.1, 1.1, f64::NAN] {
                assert!(t_quantile(p, df).is_nan() && t_critical(p, df).is_nan());
            }
        }
        // Beyond the largest f64: Cauchy's tail with a tenth of a degree of freedom.
        assert_eq!(t_quantile(1e-300, 0.1), f64::NEG_INFINITY);
    }

    #[test]
    fn critical_values_are_the_textbooks() {
        // Source: Student's table as printed in textbooks, two-sided 95%.
        for (df, expected) in [(1.0, 12.706), (5.0, 2.571), (30.0, 2.042), (120.0, 1.980)] {
            assert_eq!((t_critical(0.95, df) * 1e3).round() / 1e3, expected);
        }
    }

    #[test]
    fn the_normal_distribution_agrees_with_60_digits() {
        for (x, expected) in golden::NORMAL_CDF {
            assert_relative(normal_cdf(x), expected, NORMAL, &format!("Φ({x})"));
        }
        for (p, expected) in golden::NORMAL_QUANTILE {
            assert_relative(normal_quantile(p), expected, NORMAL_QUANTILE, &format!("p = {p:e}"));
        }
        assert_eq!((normal_cdf(f64::NEG_INFINITY), normal_cdf(f64::INFINITY)), (0.0, 1.0));
        assert!(normal_cdf(f64::NAN).is_nan());
    }

    proptest! {
        #[test]
        fn a_quantile_has_its_probability(
            log_p in -690.0..-0.7_f64,
            log_df in -0.6..30.0_f64,
        ) {
            let (p, df) = (libm::exp(log_p), libm::exp(log_df));
            let t = t_quantile(p, df);
            prop_assume!(t.is_finite());
            let back = 0.5 * t_two_sided_p(t, df);
            prop_assert!((back - p).abs() <= ROUND_TRIP * p, "{back:e} is not {p:e}, df {df}");
        }

        #[test]
        fn a_larger_t_has_a_smaller_p(t in 0.001..30.0, factor in 1.001..2.0, log_df in 0.0..27.0) {
            let df = libm::exp(log_df);
            prop_assert!(t_two_sided_p(t * factor, df) < t_two_sided_p(t, df));
        }
    }
}
