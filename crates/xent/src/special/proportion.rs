//! Counts: the exact sign test behind `McNemar`'s, and an interval for a proportion.

use super::beta::BetaPoint;
use super::student::t_critical;
use super::twofold::Twofold;

/// Up to here the ways are counted, none of the products reaching 2^64.
const COUNTED: u64 = 60;

/// Returns the exact two-sided p-value, a probability, of `k` heads in `n` tosses of a fair coin.
///
/// This is `McNemar`'s exact test: of the `n` rows on which exactly one of two models is right, `k`
/// are the first model's.
///
/// ```text
/// p = min(1, 2 P(X <= min(k, n - k))),   X ~ Binomial(n, 1/2)
///   = 2 I_1/2(n - m, m + 1),             m = min(k, n - k)
/// ```
///
/// Domain: `k <= n`, else NaN; `n = 0` gives 1, for no evidence is no difference.
///
/// Accuracy: correctly rounded up to `n = 60`; beyond, relative `1e-13`, tested against exact rationals and 50-digit values for `n` up to
/// `1e9`, which takes a tenth of a millisecond; NaN may result above `1e14`.
///
/// # Example
///
/// ```
/// use xent::special::binomial_two_sided_half;
///
/// // One of five: 2 (1 + 5) / 32.
/// assert_eq!(binomial_two_sided_half(1, 5), 0.375);
/// assert_eq!(binomial_two_sided_half(3, 6), 1.0);
/// assert_eq!(binomial_two_sided_half(0, 0), 1.0);
/// ```
///
/// Source: `McNemar` (1947, doi:10.1007/BF02295996).
pub fn binomial_two_sided_half(k: u64, n: u64) -> f64 {
    if k > n {
        return f64::NAN;
    }
    let smaller = k.min(n - k);
    let larger = n - smaller;
    // At the middle the two tails overlap or meet: 1, and not by rounding.
    if larger - smaller <= 1 {
        return 1.0;
    }
    if n <= COUNTED {
        let mut ways = 1_u64;
        let mut sum = 0_u64;
        for i in 0..=smaller {
            sum += ways;
            ways = ways * (n - i) / (i + 1);
        }
        return libm::scalbn(sum as f64, 1 - n as i32);
    }
    let half = Twofold::from(0.5);
    let point = BetaPoint { a: larger as f64, b: smaller as f64 + 1.0, x: half, y: half };
    (2.0 * point.lower_tail()).min(1.0)
}

/// Returns Wilson's score interval for a proportion, as (lower, upper), each in [0, 1].
///
/// ```text
/// p = successes / n,  z = the normal critical value of the level
/// (p + z²/2n ± z sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n)
/// ```
///
/// Unlike p ± z sqrt(p(1-p)/n) it does not leave [0, 1] and does not shrink to a point when every
/// row or none is a success.
///
/// Domain: `0 <= successes <= n`, both finite and possibly sums of weights; `0 <= level < 1`. No
/// rows, or level 1, give (0, 1); NaN outside.
///
/// Accuracy: relative `1e-14` at both ends, however rare the successes: the smaller root comes from
/// the product of the two and not from a difference. Tested against 50-digit values.
///
/// # Example
///
/// ```
/// use xent::special::wilson_interval;
///
/// let (lower, upper) = wilson_interval(0.0, 10.0, 0.95);
/// assert_eq!(lower, 0.0);
/// let z = 1.959963984540054_f64;
/// assert!((upper - z * z / (10.0 + z * z)).abs() < 1e-15); // 0.2775
/// ```
///
/// Source: Wilson (1927, doi:10.1080/01621459.1927.10502953).
pub fn wilson_interval(successes: f64, n: f64, level: f64) -> (f64, f64) {
    let failures = n - successes;
    let z = t_critical(level, f64::INFINITY);
    if z.is_nan() || !n.is_finite() || successes.is_nan() || successes < 0.0 || failures < 0.0 {
        return (f64::NAN, f64::NAN);
    }
    if n == 0.0 || z == f64::INFINITY {
        return (0.0, 1.0);
    }
    let square = z * z;
    // The larger root of the quadratic, a sum of what is not negative, and the smaller by Vieta.
    let spread = z * libm::sqrt(successes * (failures / n) + 0.25 * square);
    let numerator = successes + 0.5 * square + spread;
    let upper = if failures == 0.0 { 1.0 } else { (numerator / (n + square)).min(1.0) };
    let lower = if successes == 0.0 { 0.0 } else { successes * (successes / n) / numerator };
    (lower, upper)
}

#[cfg(test)]
mod tests {
    use super::super::golden;
    use super::super::testing::assert_relative;
    use super::*;

    /// Relative, against exact rationals; the promise is `1e-13`.
    const BINOMIAL: f64 = 2e-14;
    /// Relative.
    const WILSON: f64 = 1e-14;

    #[test]
    fn binomial_agrees_with_60_digits() {
        for (k, n, expected) in golden::BINOMIAL {
            let what = format!("{k} of {n}");
            assert_relative(binomial_two_sided_half(k, n), expected, BINOMIAL, &what);
            assert_relative(binomial_two_sided_half(n - k, n), expected, BINOMIAL, &what);
        }
    }

    #[test]
    fn binomial_counted_is_correctly_rounded_and_meets_the_fraction() {
        // C(60, 30) 60 is the largest product.
        for n in 1..=COUNTED {
            let mut ways = 1_u128;
            let mut sum = 0_u128;
            for k in 0..n / 2 {
                sum += ways;
                ways = ways * u128::from(n - k) / u128::from(k + 1);
                let counted = binomial_two_sided_half(k, n);
                assert_eq!(counted, (2 * sum) as f64 / (1_u128 << n) as f64, "{k} of {n}");
                let half = Twofold::from(0.5);
                let point = BetaPoint { a: (n - k) as f64, b: k as f64 + 1.0, x: half, y: half };
                let tail = 2.0 * point.lower_tail();
                assert_relative(tail, counted, BINOMIAL, &format!("{k} of {n}"));
            }
        }
    }

    #[test]
    fn binomial_at_the_middle_is_1_and_outside_nan() {
        for n in [0, 1, 2, 7, 1_000_000_000, 1_000_000_001] {
            assert_eq!(binomial_two_sided_half(n / 2, n), 1.0);
        }
        assert!(binomial_two_sided_half(3, 2).is_nan());
    }

    #[test]
    fn wilson_agrees_with_60_digits_at_both_ends() {
        for (successes, n, level, lower, upper, above) in golden::WILSON {
            let what = format!("{successes} of {n}");
            let got = wilson_interval(successes, n, level);
            assert_relative(got.0, lower, WILSON, &what);
            assert_relative(got.1, upper, WILSON, &what);
            assert_relative(wilson_interval(n - successes, n, level).0, above, WILSON, &what);
        }
    }

    #[test]
    fn wilson_at_the_ends_and_outside() {
        assert_eq!(wilson_interval(0.0, 0.0, 0.95), (0.0, 1.0));
        assert_eq!(wilson_interval(3.0, 7.0, 1.0), (0.0, 1.0));
        assert_eq!(wilson_interval(0.0, 7.0, 0.0), (0.0, 0.0));
        assert_eq!(wilson_interval(7.0, 7.0, 0.95).1, 1.0);
        let nan = f64::NAN;
        let infinity = f64::INFINITY;
        let outside = [(-1.0, 3.0, 0.9), (4.0, 3.0, 0.9), (1.0, 3.0, 1.5), (nan, 3.0, 0.9)];
        for (successes, n, level) in outside.into_iter().chain([(1.0, infinity, 0.9)]) {
            assert!(wilson_interval(successes, n, level).0.is_nan(), "{successes} of {n}, {level}");
        }
    }
}
