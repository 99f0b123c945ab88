//! The regularised incomplete beta function, of which Student's t and the binomial are cases.

use super::gamma::{stirling_error, stirling_root};
use super::twofold::Twofold;

/// Above this, for `a` and `b` both, rounding decides when the continued fraction ends, not its
/// value.
const MAX_PARAMETER: f64 = 1e14;
/// Terms after which the continued fraction is given up.
const MAX_TERMS: u32 = 1 << 24;

/// Returns the regularised incomplete beta function `I_x(a, b)`, a probability: that of a
/// Beta(a, b) variable being at most `x`.
///
/// ```text
/// I_x(a, b) = (1 / B(a, b)) ∫ u^(a-1) (1-u)^(b-1) du,  u from 0 to x
/// ```
///
/// Domain: `a, b > 0` and finite, `0 <= x <= 1`; NaN outside.
///
/// Accuracy: relative `1e-13`, tested against 50-digit values from the centre to `1e-300` for `a`
/// and `b` from 0.5 to `1e9`. With `b` far below 1 and `x` close to 1 the result is a complement
/// and only its absolute error is `1e-15`. It takes microseconds, and the time grows slowly: a
/// tenth of a millisecond for `a` and `b` at `1e9` near the mean. With both above `1e14` the result
/// is NaN.
///
/// # Example
///
/// ```
/// use xent::special::beta_inc;
///
/// assert_eq!(beta_inc(1.0, 1.0, 0.25), 0.25); // uniform
/// // Two of two coins at least: x^2.
/// assert!((beta_inc(2.0, 1.0, 0.3) - 0.09).abs() < 1e-16);
/// ```
///
/// Source: the continued fraction of `DiDonato` and Morris (1992, doi:10.1145/131766.131776), its
/// number of terms found by Lentz's method; the factor before it in Loader's form.
pub fn beta_inc(a: f64, b: f64, x: f64) -> f64 {
    if !(a > 0.0 && b > 0.0 && a.is_finite() && b.is_finite() && (0.0..=1.0).contains(&x)) {
        return f64::NAN;
    }
    if x == 0.0 || x == 1.0 {
        return x;
    }
    if a.min(b) > MAX_PARAMETER {
        return f64::NAN;
    }
    let low = BetaPoint { a, b, x: Twofold::from(x), y: Twofold::sum(1.0, -x) };
    if low.is_below_mean() { low.lower_tail() } else { 1.0 - low.mirrored().lower_tail() }
}

/// A point of a beta distribution, with the complement known as well as the argument itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BetaPoint {
    pub(crate) a: f64,
    pub(crate) b: f64,
    /// The argument.
    pub(crate) x: Twofold,
    /// `1 - x`, accurate also where it is tiny.
    pub(crate) y: Twofold,
}

impl BetaPoint {
    /// The same point seen from the other end: `I_x(a, b) = 1 - I_y(b, a)`.
    pub(crate) fn mirrored(self) -> Self {
        Self { a: self.b, b: self.a, x: self.y, y: self.x }
    }

    /// `(a + b) x - a`, how far the point lies above the mean.
    fn excess(self) -> Twofold {
        Twofold::from(self.b) * self.x - Twofold::from(self.a) * self.y
    }

    /// Whether `x <= a / (a + b)`, where the continued fraction converges fast.
    pub(crate) fn is_below_mean(self) -> bool {
        self.excess().hi <= 0.0
    }

    /// `x^a y^b / B(a, b)`: `x y` times the density.
    ///
    /// ```text
    /// n = a + b,  e = n x - a,  δ = what Stirling's formula leaves out
    /// sqrt(ab / (2π n)) exp(a ln(1 + e/a) + b ln(1 - e/b) + δ(n) - δ(a) - δ(b))
    /// ```
    pub(crate) fn density_factor(self) -> f64 {
        let Self { a, b, x, y } = self;
        let excess = self.excess();
        let total = Twofold::sum(a, b);
        let exponent = Twofold::from(a) * ln_ratio(excess, total, a, x)
            + Twofold::from(b) * ln_ratio(-excess, total, b, y);
        let correction = stirling_error(total.hi) - stirling_error(a) - stirling_error(b);
        stirling_root(a, b) * (exponent + Twofold::from(correction)).exp()
    }

    /// `I_x(a, b)`, for a point not above the mean.
    pub(crate) fn lower_tail(self) -> f64 {
        let tail = self.density_factor() * self.fraction();
        // By rounding only. Not `min`, which would make 1 of NaN.
        if tail > 1.0 { 1.0 } else { tail }
    }

    /// `I_x(a, b)` divided by the density factor, for a point not above the mean.
    ///
    /// ```text
    /// 1 / (β_0 + α_1 / (β_1 + α_2 / (β_2 + ...)))
    /// α_n = (a + n - 1) (a + b + n - 1) n (b - n) x^2 / (a + 2n - 1)^2
    /// β_n = n + n (b - n) x / (a + 2n - 1)
    ///         + (a + n) (a - (a + b) x + 1 + n (1 + y)) / (a + 2n + 1)
    /// ```
    ///
    /// The terms needed are counted from the front, by Lentz's method; the value is then computed
    /// from the back, where each division damps the rounding of the one before it, while the
    /// products from the front gather it over thousands of terms.
    pub(crate) fn fraction(self) -> f64 {
        let Self { a, b, x, y } = self;
        let below = (-self.excess()).value();
        let (x, y) = (x.hi, y.hi);
        let alpha = |n: f64| {
            let step = a + 2.0 * n - 1.0;
            ((a + n - 1.0) / step) * ((a + b + n - 1.0) / step) * (n * (b - n)) * (x * x)
        };
        let beta = |n: f64| {
            let step = a + 2.0 * n;
            // At n = 0 this is 0, also where a = 1 makes it 0 / 0.
            let middle = if n == 0.0 { 0.0 } else { n * (b - n) * x / (step - 1.0) };
            n + middle + (a + n) / (step + 1.0) * (below + 1.0 + n * (1.0 + y))
        };
        let mut numerator = beta(0.0);
        let mut denominator = 0.0;
        let mut terms = 0_u32;
        loop {
            terms += 1;
            if terms > MAX_TERMS {
                return f64::NAN;
            }
            let n = f64::from(terms);
            let (alpha, beta) = (alpha(n), beta(n));
            denominator = 1.0 / (beta + alpha * denominator);
            numerator = beta + alpha / numerator;
            let change = (numerator * denominator - 1.0).abs();
            if change <= f64::EPSILON || change.is_nan() {
                break;
            }
        }
        // A step below an ulp need not be the last one worth taking where each is nearly as large
        // as the one before.
        terms += terms / 2;
        let mut value = beta(f64::from(terms));
        for n in (1..=terms).rev() {
            let n = f64::from(n);
            value = beta(n - 1.0) + alpha(n) / value;
        }
        1.0 / value
    }
}

/// ln(total x / part) = ln(1 + excess / part), however close to 0 or far from it.
fn ln_ratio(excess: Twofold, total: Twofold, part: f64, x: Twofold) -> Twofold {
    let part = Twofold::from(part);
    let relative = excess / part;
    if (-0.5..=1.0).contains(&relative.hi) {
        relative.ln_1p()
    } else {
        // In this order a tiny x does not underflow: total / part is at least 1.
        (total / part * x).ln()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::golden;
    use super::super::testing::assert_relative;
    use super::*;

    /// Relative, against 60 digits; the promise is `1e-13`.
    const BETA: f64 = 2e-14;
    /// Relative, at the largest parameters.
    const LARGEST: f64 = 2e-13;
    /// Between two ways of one value.
    const TWO_WAYS: f64 = 4e-14;

    #[test]
    fn agrees_with_60_digits_from_the_centre_to_the_far_tails() {
        for (a, b, x, expected) in golden::BETA_INC {
            assert_relative(beta_inc(a, b, x), expected, BETA, &format!("I_{x}({a:e}, {b:e})"));
        }
    }

    #[test]
    fn ends_and_what_lies_outside() {
        assert_eq!((beta_inc(2.0, 3.0, 0.0), beta_inc(2.0, 3.0, 1.0)), (0.0, 1.0));
        let outside = [
            (0.0, 1.0, 0.5),
            (1.0, -1.0, 0.5),
            (1.0, 1.0, -0.1),
            (1.0, 1.0, 1.1),
            (f64::NAN, 1.0, 0.5),
            (1.0, f64::INFINITY, 0.5),
            (1.0, 1.0, f64::NAN),
        ];
        for (a, b, x) in outside {
            assert!(beta_inc(a, b, x).is_nan(), "I_{x}({a}, {b})");
        }
    }

    /// With a = 1 the first coefficient of the continued fraction is 0 / 0 unless it is left out.
    #[test]
    fn regression_a_first_parameter_of_1() {
        for b in [0.5_f64, 1.0, 2.0, 1e6] {
            // 1 - (1 - x)^b
            let x = 0.25 / b.max(1.0);
            let expected = -libm::expm1(b * libm::log1p(-x));
            assert_relative(beta_inc(1.0, b, x), expected, BETA, &format!("b = {b}"));
        }
    }

    #[test]
    fn beyond_what_the_fraction_can_do_is_nan() {
        assert!(beta_inc(1e15, 1e15, 0.5).is_nan());
        assert_relative(beta_inc(1e14, 1e14, 0.5), 0.5, LARGEST, "a = b = 1e14");
        assert_eq!(beta_inc(1e300, 1.0, 0.5), 0.0);
    }

    #[test]
    fn tiny_arguments_do_not_underflow_on_the_way() {
        // I_x(1/2, 1/2) = (2 / π) asin(sqrt(x))
        let x = 5e-324;
        let expected = core::f64::consts::FRAC_2_PI * libm::sqrt(x);
        assert_relative(beta_inc(0.5, 0.5, x), expected, BETA, "5e-324");
        assert!(beta_inc(0.1, 0.1, x) > 0.0);
    }

    proptest! {
        #[test]
        fn both_ends_together_are_1(a in 0.5..1e4, b in 0.5..1e4, x in 1_u32..1024) {
            // x and 1 - x both exact.
            let x = f64::from(x) / 1024.0;
            let sum = beta_inc(a, b, x) + beta_inc(b, a, 1.0 - x);
            prop_assert!((sum - 1.0).abs() <= BETA);
        }

        #[test]
        fn one_more_success_takes_one_term_off(
            a in 0.5..200.0_f64,
            b in 0.5..200.0_f64,
            x in 0.01..0.99_f64,
        ) {
            // I_x(a, b) = I_x(a + 1, b) + x^a y^b / (a B(a, b))
            let point = BetaPoint { a, b, x: Twofold::from(x), y: Twofold::sum(1.0, -x) };
            let expected = beta_inc(a + 1.0, b, x) + point.density_factor() / a;
            let got = beta_inc(a, b, x);
            // Below the normal numbers digits are lost with the exponent.
            prop_assert!((got - expected).abs() <= TWO_WAYS * expected.max(f64::MIN_POSITIVE));
        }
    }
}
