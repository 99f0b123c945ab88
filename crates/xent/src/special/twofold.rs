//! Unevaluated sums of two `f64`: about 106 bits, 31 decimal digits.
//!
//! The exponent of a probability far in a tail is a difference of numbers that may be `1e12` times
//! as large as itself, and an error of `1e-13` there is an error of `1e-13` in the probability. Two
//! `f64` for each number in that one place keep the whole of it out of the result; everything that
//! is a product of well-behaved factors stays plain `f64`.
//!
//! The arithmetic is that of Dekker (1971, doi:10.1007/BF01397083) with fused multiply-add. Only
//! what `special` needs is here, and nothing is checked: a caller keeps every intermediate value
//! finite and above `1e-290`, below which the second half underflows and 16 digits remain.

use core::ops::{Add, Div, Mul, Neg, Sub};

/// A number held as `hi + lo`, with `lo` at most half a unit in the last place of `hi`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Twofold {
    pub(crate) hi: f64,
    pub(crate) lo: f64,
}

/// ln 2 to 107 bits.
const LN_2: Twofold = Twofold { hi: core::f64::consts::LN_2, lo: 2.319_046_813_846_299_6e-17 };

impl Twofold {
    pub(crate) const ONE: Self = Self { hi: 1.0, lo: 0.0 };

    /// `a + b` exactly, whichever is larger.
    pub(crate) fn sum(a: f64, b: f64) -> Self {
        let hi = a + b;
        let b_part = hi - a;
        let lo = (a - (hi - b_part)) + (b - b_part);
        Self { hi, lo }
    }

    /// `a + b` exactly, for `|a| >= |b|` or `a = 0`.
    fn quick_sum(a: f64, b: f64) -> Self {
        let hi = a + b;
        Self { hi, lo: b - (hi - a) }
    }

    /// `a · b` exactly.
    pub(crate) fn product(a: f64, b: f64) -> Self {
        let hi = a * b;
        Self { hi, lo: a.mul_add(b, -hi) }
    }

    /// The nearest `f64`.
    pub(crate) fn value(self) -> f64 {
        self.hi + self.lo
    }

    /// ln(self), for a positive number.
    pub(crate) fn ln(self) -> Self {
        let (mantissa, mut exponent) = libm::frexp(self.hi);
        if mantissa < core::f64::consts::FRAC_1_SQRT_2 {
            exponent -= 1;
        }
        // Scaled in two steps, for 2^-exponent alone may overflow.
        let half = exponent / 2;
        let scale = |v: f64| libm::scalbn(libm::scalbn(v, -half), half - exponent);
        let reduced = Self { hi: scale(self.hi), lo: scale(self.lo) };
        LN_2 * Self::from(f64::from(exponent)) + (reduced - Self::ONE).ln_1p()
    }

    /// ln(1 + self), for `-1/2 <= self <= 1`: `2 atanh(s)`, `s = u / (2 + u)`, by its series.
    pub(crate) fn ln_1p(self) -> Self {
        let s = self / (Self::from(2.0) + self);
        let square = s * s;
        let mut power = s + s;
        let mut sum = power;
        // At -1/2, where |s| = 1/3, 33 terms are needed.
        for k in 1..40 {
            power = power * square;
            sum = sum + power / Self::from(f64::from(2 * k + 1));
            if power.hi.abs() <= sum.hi.abs() * 1e-33 {
                break;
            }
        }
        sum
    }

    /// e^self, within 1 ulp.
    pub(crate) fn exp(self) -> f64 {
        let head = libm::exp(self.hi);
        // Not `head * (1 + lo)`, which would round twice. An infinite head has no tail.
        if head.is_finite() { head + head * self.lo } else { head }
    }
}

impl From<f64> for Twofold {
    fn from(value: f64) -> Self {
        Self { hi: value, lo: 0.0 }
    }
}

impl Neg for Twofold {
    type Output = Self;
    fn neg(self) -> Self {
        Self { hi: -self.hi, lo: -self.lo }
    }
}

impl Add for Twofold {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let high = Self::sum(self.hi, other.hi);
        let low = Self::sum(self.lo, other.lo);
        let first = Self::quick_sum(high.hi, high.lo + low.hi);
        Self::quick_sum(first.hi, first.lo + low.lo)
    }
}

impl Sub for Twofold {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Twofold {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let high = Self::product(self.hi, other.hi);
        let low = self.hi.mul_add(other.lo, self.lo * other.hi);
        Self::quick_sum(high.hi, high.lo + low)
    }
}

impl Div for Twofold {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let first = self.hi / other.hi;
        let rest = self - other * Self::from(first);
        let second = rest.hi / other.hi;
        let rest = rest - other * Self::from(second);
        let third = rest.hi / other.hi;
        Self::quick_sum(first, second) + Self::from(third)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative, of a twofold result.
    const TWOFOLD: f64 = 2e-31;

    fn assert_twofold(got: Twofold, hi: f64, lo: f64) {
        let difference = (got - Twofold { hi, lo }).value();
        assert!(difference.abs() <= TWOFOLD * hi.abs(), "{got:?} is not {hi:e} + {lo:e}");
    }

    #[test]
    fn logarithms_have_31_digits() {
        // Source: mpmath at 50 digits, split as hi = float(v), lo = float(v - hi).
        assert_twofold(Twofold::from(3.0).ln(), 1.0986122886681098, -9.07129723500153e-17);
        assert_twofold(Twofold::from(1e-300).ln(), -690.7755278982137, -2.3670096176709832e-14);
        assert_twofold(Twofold::from(1e-10).ln_1p(), 9.999999999500001e-11, -3.389513322121794e-27);
        assert_twofold(Twofold::from(-0.5).ln_1p(), -LN_2.hi, -LN_2.lo);
    }

    #[test]
    fn a_quotient_times_its_divisor_comes_back() {
        let third = Twofold::ONE / Twofold::from(3.0);
        assert_twofold(third * Twofold::from(3.0), 1.0, 0.0);
        assert_eq!(Twofold::product(0.1, 0.1) - Twofold::product(0.1, 0.1), Twofold::from(0.0));
    }
}
