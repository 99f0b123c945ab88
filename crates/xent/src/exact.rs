//! Exact sums: the correctly rounded sum of any f64 values, in any order.
//!
//! A mean that is reported to a person, compared between machines or merged from shards must not
//! depend on the order in which rows came. [`ExactSum`] keeps the *exact* sum of the values it was
//! given, so that addition is associative and commutative again: batches, threads, files and
//! machines may be merged in any order and [`ExactSum::value`] has the same bits.
//!
//! # Design
//!
//! The sum is an integer in six *digits* of 51 bits at fixed places, 2^-20, 2^-71, ... 2^-275,
//! each digit an `i128` that cannot overflow before 2^74 additions. A value is split into its
//! digits with the magic-number trick (`x * 2^20 + 1.5 * 2^52` leaves the nearest integer in the
//! low bits), which needs only IEEE additions and multiplications by powers of two: the same bits
//! on every machine, and as many values at a time as its vectors hold. The digits hold every
//! value with |x| < 2^31 whose lowest bit is at least 2^-275: any loss between 2^-223 and 2^31,
//! and the square of any loss between 2^-85 and 2^15. Whatever lies outside goes to a map from
//! exponent to an integer, slower and just as exact.
//!
//! Products are added exactly too, as the rounded product and its error, which is what makes the
//! variance of a million nearly equal losses come out right without a second pass.
//!
//! Advice for whoever changes a digit's place: `LIMIT`, the floors and `PART` follow from it, and
//! the tests compare against rational arithmetic at every magnitude.

use std::collections::BTreeMap;

use num_bigint::{BigInt, BigUint, Sign};

use crate::simd::{self, leveled};

/// Number of digits in the window.
const DIGITS: usize = 6;
/// Exponent of the unit of each digit: the digit `d` counts multiples of `2^-PLACE[d]`.
const PLACE: [i32; DIGITS] = [20, 71, 122, 173, 224, 275];
/// `2^PLACE[d]`.
const SCALE: [f64; DIGITS] = [pow2(20), pow2(71), pow2(122), pow2(173), pow2(224), pow2(275)];
/// `2^-PLACE[d]`.
const UNIT: [f64; DIGITS] = [pow2(-20), pow2(-71), pow2(-122), pow2(-173), pow2(-224), pow2(-275)];
/// 1.5 * 2^52: adding it rounds to an integer and leaves that integer in the low mantissa bits.
const MAGIC: f64 = 6_755_399_441_055_744.0;
const MAGIC_BITS: i64 = MAGIC.to_bits() as i64;
/// Values at or above this go to the map.
const LIMIT: f64 = pow2(31);
/// A nonzero value below this may have bits under the lowest digit: it goes to the map.
const FLOOR_SUM: f64 = pow2(-223);
/// A product of at least this fits four digits with its error.
const FLOOR_PRODUCT_FOUR: f64 = pow2(-68);
/// A single value of at least this fits four digits.
const FLOOR_FOUR: f64 = pow2(-121);
/// A single value of at least this fits two digits.
const FLOOR_TWO: f64 = pow2(-19);
/// A product of at least this fits six digits with its error.
const FLOOR_PRODUCT: f64 = pow2(-170);
/// Factors whose product and error are both far from under- and overflow.
const FACTOR: std::ops::Range<f64> = pow2(-400)..pow2(400);
/// Values looked at together to choose the digits they need; a power of two no larger than 2^12, so
/// that the sum of a digit over them fits 64 bits.
const PART: usize = 512;
/// Values added side by side.
const LANES: usize = 16;

/// 2^e for a normal exponent, in constants.
const fn pow2(e: i32) -> f64 {
    f64::from_bits(((1023 + e) as u64) << 52)
}

/// The exact sum of f64 values and of products of two f64 values.
///
/// Order-free and mergeable: every order of [`add`](Self::add) and [`merge`](Self::merge) gives
/// an equal state.
///
/// # Domain
///
/// Any f64. Infinities and NaN are counted apart: one kind of infinity makes the sum that
/// infinity, both kinds or any NaN make it NaN. The sum of no values is `0.0`, never `-0.0`.
///
/// # Accuracy
///
/// [`value`](Self::value) is correctly rounded (to nearest, ties to even) at every magnitude,
/// tested against `math.fsum` and rational arithmetic.
///
/// # Example
///
/// ```
/// use xent::exact::ExactSum;
///
/// let mut sum = ExactSum::new();
/// for x in [1e100, 1.0, -1e100, 4.248354255291589e-18] {
///     sum.add(x);
/// }
/// assert_eq!(sum.value(), 1.0);
/// sum.add(-1.0);
/// assert_eq!(sum.value(), 4.248354255291589e-18);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ExactSum {
    digits: [i128; DIGITS],
    rest: Option<Box<Rest>>,
}

/// What the digits cannot hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rest {
    /// Exponent of the lowest bit to the sum of the integers at that place.
    parts: BTreeMap<i32, i128>,
    positive_infinities: u64,
    negative_infinities: u64,
    nans: u64,
}

/// `x` as `mantissa * 2^exponent`; `x` is finite.
fn decompose(x: f64) -> (i64, i32) {
    let bits = x.to_bits();
    let biased = ((bits >> 52) & 0x7ff) as i32;
    let fraction = (bits & ((1 << 52) - 1)) as i64;
    let (mantissa, exponent) =
        if biased == 0 { (fraction, -1074) } else { (fraction | (1 << 52), biased - 1075) };
    (if x.is_sign_negative() { -mantissa } else { mantissa }, exponent)
}

/// The rounded product and its error: `a * b = p + e` exactly, unless the error underflows.
///
/// Dekker's splitting, without a fused multiply-add, so that machines without one give the same
/// bits at the same cost. Needs |a|, |b| < 2^500.
#[inline(always)]
pub(crate) fn two_product(a: f64, b: f64) -> (f64, f64) {
    const SPLITTER: f64 = 134_217_729.0; // 2^27 + 1
    let p = a * b;
    let (ta, tb) = (a * SPLITTER, b * SPLITTER);
    let (a1, b1) = (ta - (ta - a), tb - (tb - b));
    let (a2, b2) = (a - a1, b - b1);
    (p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2)
}

/// Bits of the smallest nonzero and of the largest magnitude; a NaN is larger than every number.
#[inline(always)]
fn range(values: &[f64]) -> (u64, u64) {
    let (mut low, mut high) = (u64::MAX, 0);
    for x in values {
        let bits = x.to_bits() & (u64::MAX >> 1);
        // Zero wraps around to the largest: it has no lowest bit.
        low = low.min(bits.wrapping_sub(1));
        high = high.max(bits);
    }
    (low.saturating_add(1), high)
}

/// Adds the first two digits of at most `PART` values to the lanes' sums of digits, if all have a magnitude
/// from 2^-17 to 2^15, as losses of ordinary size have; else returns false.
///
/// A running sum that starts at 1.5 * 2^52 units of the first digit rounds each value to whole units; what that leaves of the
/// values is added up apart, exactly: multiples of 2^-49 units, and a lane has at most 32 of them, of half a unit
/// each. Half of the operations are fused, as a vector unit has as many multipliers as adders; all are exact, so
/// the bits are the same without.
#[inline(always)]
fn add_two_digits<const FMA: bool>(
    groups: &[[f64; LANES]],
    digits: &mut [[i64; LANES]; 2],
) -> bool {
    const LOW: u64 = pow2(-17).to_bits();
    let mut whole = [MAGIC; LANES];
    let mut parts = [0.0; LANES];
    let mut outside = [0_u64; LANES];
    for group in groups {
        for l in 0..LANES {
            let x = group[l];
            // 32 binades; what is smaller, zero too, wraps around.
            outside[l] |= x.to_bits().wrapping_sub(LOW);
            let units = |c: f64| if FMA { x.mul_add(SCALE[0], c) } else { x * SCALE[0] + c };
            let sum = units(whole[l]);
            parts[l] += units(whole[l] - sum);
            whole[l] = sum;
        }
    }
    if outside.into_iter().fold(0, |all, lane| all | lane) << 1 >> 58 != 0 {
        return false;
    }
    let digit = |t: f64| (t.to_bits() as i64).wrapping_sub(MAGIC_BITS);
    let [first, second] = digits;
    for l in 0..LANES {
        let carry = parts[l] + MAGIC;
        let part = (parts[l] - (carry - MAGIC)) * (SCALE[1] * UNIT[0]) + MAGIC;
        first[l] = first[l].wrapping_add(digit(whole[l]).wrapping_add(digit(carry)));
        second[l] = second[l].wrapping_add(digit(part));
    }
    true
}

/// Body of [`ExactSum::add_slice`], compiled once per instruction level.
#[inline(always)]
pub(crate) fn add_slice_body<const FMA: bool>(sum: &mut ExactSum, values: &[f64]) {
    // The sum of a digit over so many parts fits 64 bits.
    const RUN: usize = PART << 6;
    let (groups, rest) = values.as_chunks::<LANES>();
    for run in groups.chunks(RUN / LANES) {
        let mut digits = [[0; LANES]; 2];
        for part in run.chunks(PART / LANES) {
            if !add_two_digits::<FMA>(part, &mut digits) {
                add_part(sum, part.as_flattened());
            }
        }
        for (digit, lanes) in sum.digits.iter_mut().zip(digits) {
            *digit += i128::from(lanes.into_iter().fold(0, i64::wrapping_add));
        }
    }
    if rest.len() < LANES / 2 {
        rest.iter().for_each(|&x| sum.add(x));
    } else {
        add_part(sum, rest);
    }
}

leveled! {
    /// Adds at most `PART` values of any size.
    fn add_part(sum: &mut ExactSum, values: &[f64]) => add_part_body
}

#[inline(always)]
fn add_part_body(sum: &mut ExactSum, values: &[f64]) {
    let (low, high) = range(values);
    if high >= LIMIT.to_bits() || low < FLOOR_SUM.to_bits() {
        values.iter().for_each(|&x| sum.add(x));
        return;
    }
    // The fewer digits a part needs, the cheaper it is.
    if low >= FLOOR_TWO.to_bits() {
        sum.add_digits::<0, 2>(values);
    } else if low >= FLOOR_FOUR.to_bits() {
        sum.add_digits::<0, 4>(values);
    } else {
        sum.add_digits::<0, 6>(values);
    }
}

/// Body of [`ExactSum::add_products`], compiled once per instruction level.
#[inline(always)]
pub(crate) fn add_products_body<const FMA: bool>(sum: &mut ExactSum, a: &[f64], b: &[f64]) {
    if a.len() < LANES {
        return a.iter().zip(b).for_each(|(&x, &y)| sum.add_product(x, y));
    }
    let mut products = [0.0; PART];
    let mut errors = [0.0; PART];
    for (a, b) in a.chunks(PART).zip(b.chunks(PART)) {
        let n = a.len();
        let (p, e) = (&mut products[..n], &mut errors[..n]);
        let mut underflow = 0_u64;
        for i in 0..n {
            // The error is exact either way: the same bits at every level.
            (p[i], e[i]) = if FMA {
                let product = a[i] * b[i];
                (product, a[i].mul_add(b[i], -product))
            } else {
                two_product(a[i], b[i])
            };
            // A zero factor is exact; a product that underflowed to zero is not.
            underflow |= u64::from((p[i] == 0.0) & (a[i] != 0.0) & (b[i] != 0.0));
        }
        let (low, high) = range(p);
        // The splitting of a factor must not overflow.
        let factors = if FMA { 0 } else { range(a).1.max(range(b).1) };
        if underflow != 0
            || high >= LIMIT.to_bits()
            || factors >= FACTOR.end.to_bits()
            || low < FLOOR_PRODUCT.to_bits()
        {
            a.iter().zip(b.iter()).for_each(|(&x, &y)| sum.add_product(x, y));
        } else if low >= FLOOR_TWO.to_bits() {
            // The errors are below half an ulp of a value below 2^31: they have no digit 0.
            sum.add_digits::<0, 2>(p);
            sum.add_digits::<1, 4>(e);
        } else if low >= FLOOR_PRODUCT_FOUR.to_bits() {
            sum.add_digits::<0, 4>(p);
            sum.add_digits::<1, 4>(e);
        } else {
            sum.add_digits::<0, 6>(p);
            sum.add_digits::<1, 6>(e);
        }
    }
}

/// Splits the remainder `r` at digit `D`: returns the digit's integer and what is left.
#[inline(always)]
fn split<const D: usize>(r: f64) -> (i64, f64) {
    let t = r * SCALE[D] + MAGIC;
    let digit = (t.to_bits() as i64).wrapping_sub(MAGIC_BITS);
    (digit, r - (t - MAGIC) * UNIT[D])
}

impl ExactSum {
    /// The sum of no values.
    pub const fn new() -> Self {
        Self { digits: [0; DIGITS], rest: None }
    }

    /// The sum of one value.
    pub fn of(x: f64) -> Self {
        let mut sum = Self::new();
        sum.add(x);
        sum
    }

    /// Adds one value.
    #[inline]
    pub fn add(&mut self, x: f64) {
        let magnitude = x.abs();
        if magnitude < LIMIT && (magnitude >= FLOOR_SUM || magnitude == 0.0) {
            self.add_in_window(x);
        } else {
            self.add_rest(x);
        }
    }

    #[inline]
    fn add_in_window(&mut self, x: f64) {
        let (d0, r) = split::<0>(x);
        let (d1, r) = split::<1>(r);
        let (d2, r) = split::<2>(r);
        let (d3, r) = split::<3>(r);
        self.digits[0] += i128::from(d0);
        self.digits[1] += i128::from(d1);
        self.digits[2] += i128::from(d2);
        self.digits[3] += i128::from(d3);
        if r != 0.0 {
            let (d4, r) = split::<4>(r);
            let (d5, _) = split::<5>(r);
            self.digits[4] += i128::from(d4);
            self.digits[5] += i128::from(d5);
        }
    }

    #[cold]
    fn add_rest(&mut self, x: f64) {
        let rest = self.rest.get_or_insert_default();
        if x.is_finite() {
            let (mantissa, exponent) = decompose(x);
            rest.put(i128::from(mantissa), exponent);
        } else if x.is_nan() {
            rest.nans += 1;
        } else if x > 0.0 {
            rest.positive_infinities += 1;
        } else {
            rest.negative_infinities += 1;
        }
        self.tidy();
    }

    /// Drops an empty map, so that equal sums are equal states.
    fn tidy(&mut self) {
        if self.rest.as_deref().is_some_and(|rest| *rest == Rest::default()) {
            self.rest = None;
        }
    }

    /// Adds the product `a * b`, exactly: not rounded before it is added.
    #[inline]
    pub fn add_product(&mut self, a: f64, b: f64) {
        if FACTOR.contains(&a.abs()) && FACTOR.contains(&b.abs()) {
            let (p, e) = two_product(a, b);
            self.add(p);
            self.add(e);
        } else if (a != 0.0 && b != 0.0) || !a.is_finite() || !b.is_finite() {
            self.add_product_rest(a, b);
        }
    }

    #[cold]
    fn add_product_rest(&mut self, a: f64, b: f64) {
        if a.is_finite() && b.is_finite() {
            let ((ma, ea), (mb, eb)) = (decompose(a), decompose(b));
            let product = i128::from(ma) * i128::from(mb);
            // In two parts of 53 bits, so that an i128 holds 2^74 of each.
            let upper = product >> 53;
            let rest = self.rest.get_or_insert_default();
            rest.put(upper, ea + eb + 53);
            rest.put(product - (upper << 53), ea + eb);
            self.tidy();
        } else {
            // An infinity times zero is NaN, as in IEEE arithmetic.
            self.add_rest(a * b);
        }
    }

    /// Adds every value of a slice.
    pub fn add_slice(&mut self, values: &[f64]) {
        simd::add_slice(self, values);
    }

    /// Adds the sum of the products `a[i] * b[i]`, exactly.
    ///
    /// # Panics
    ///
    /// If the slices differ in length.
    pub fn add_products(&mut self, a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len(), "slices of products differ in length");
        simd::add_products(self, a, b);
    }

    /// Adds the digits `FROM..TO` of some values, which they fit.
    ///
    /// One loop without branches: at most [`PART`] digits below 2^51 are below 2^60 together.
    #[inline(always)]
    fn add_digits<const FROM: usize, const TO: usize>(&mut self, values: &[f64]) {
        let mut sums = [0_i64; DIGITS];
        for &x in values {
            let mut rest = x;
            for d in FROM..TO {
                let t = rest * SCALE[d] + MAGIC;
                sums[d] = sums[d].wrapping_add((t.to_bits() as i64).wrapping_sub(MAGIC_BITS));
                rest -= (t - MAGIC) * UNIT[d];
            }
        }
        for (digit, sum) in self.digits.iter_mut().zip(sums) {
            *digit += i128::from(sum);
        }
    }

    /// Adds another sum to this one.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.digits.iter_mut().zip(other.digits) {
            *mine += theirs;
        }
        if let Some(theirs) = &other.rest {
            let rest = self.rest.get_or_insert_default();
            for (&exponent, &part) in &theirs.parts {
                rest.put(part, exponent);
            }
            rest.positive_infinities += theirs.positive_infinities;
            rest.negative_infinities += theirs.negative_infinities;
            rest.nans += theirs.nans;
            self.tidy();
        }
    }

    /// The sum, correctly rounded to f64.
    pub fn value(&self) -> f64 {
        self.to_exact().map_or_else(|special| special, |exact| exact.to_f64())
    }

    /// The digits as they are written if each is at most half a unit of the one before.
    fn carried(&self) -> [i128; DIGITS] {
        let mut digits = self.digits;
        for d in (1..DIGITS).rev() {
            let carry = (digits[d] + (1 << 50)) >> 51;
            digits[d] -= carry << 51;
            digits[d - 1] += carry;
        }
        digits
    }

    /// How many of the values were +inf.
    pub(crate) fn positive_infinities(&self) -> u64 {
        self.rest.as_ref().map_or(0, |rest| rest.positive_infinities)
    }

    /// Whether the exact sum is zero.
    pub fn is_zero(&self) -> bool {
        self.value() == 0.0
    }

    /// This sum over a sum of finite values, rounded once; the infinity or NaN that it is, if it is one. None
    /// if the divisor is exactly 0.
    pub(crate) fn over(&self, divisor: &Self) -> Option<f64> {
        match (self.to_exact(), divisor.to_exact()) {
            (_, Ok(divisor)) if divisor.is_zero() => None,
            (Ok(sum), Ok(divisor)) => Some(sum.ratio(&divisor)),
            _ => Some(self.value()),
        }
    }

    /// The exact sum as an integer times a power of two, or the infinity or NaN that it is.
    pub(crate) fn to_exact(&self) -> Result<Exact, f64> {
        let mut exact = Exact::default();
        for (digit, place) in self.digits.iter().zip(PLACE) {
            exact += Exact::new(BigInt::from(*digit), -place);
        }
        if let Some(rest) = &self.rest {
            match (rest.nans, rest.positive_infinities, rest.negative_infinities) {
                (0, 0, 0) => {}
                (0, _, 0) => return Err(f64::INFINITY),
                (0, 0, _) => return Err(f64::NEG_INFINITY),
                _ => return Err(f64::NAN),
            }
            for (&exponent, &part) in &rest.parts {
                exact += Exact::new(BigInt::from(part), exponent);
            }
        }
        Ok(exact)
    }
}

impl PartialEq for ExactSum {
    fn eq(&self, other: &Self) -> bool {
        self.carried() == other.carried() && self.rest == other.rest
    }
}

impl Eq for ExactSum {}

impl Rest {
    fn put(&mut self, part: i128, exponent: i32) {
        if part == 0 {
            return;
        }
        let slot = self.parts.entry(exponent).or_insert(0);
        if let Some(sum) = slot.checked_add(part) {
            *slot = sum;
            if sum == 0 {
                self.parts.remove(&exponent);
            }
        } else {
            // Never in practice (2^74 additions): move the upper half of what is there up.
            let upper = *slot >> 64;
            *slot -= upper << 64;
            self.put(upper, exponent + 64);
            self.put(part, exponent);
        }
    }
}

impl Extend<f64> for ExactSum {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        // Many at a time take a fraction of the time of one by one.
        let mut some = [0.0; 256];
        let mut n = 0;
        for x in values {
            some[n] = x;
            n += 1;
            if n == some.len() {
                self.add_slice(&some);
                n = 0;
            }
        }
        self.add_slice(&some[..n]);
    }
}

impl FromIterator<f64> for ExactSum {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut sum = Self::new();
        sum.extend(values);
        sum
    }
}

/// A dyadic rational: `numerator * 2^exponent`, exact.
///
/// Sums are finished in this arithmetic, so that a variance from sums of squares loses nothing to
/// cancellation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exact {
    numerator: BigInt,
    exponent: i32,
}

impl Exact {
    pub(crate) fn new(numerator: BigInt, exponent: i32) -> Self {
        Self { numerator, exponent }
    }

    pub(crate) fn integer(n: u64) -> Self {
        Self::new(BigInt::from(n), 0)
    }

    pub(crate) fn of(x: f64) -> Self {
        let (mantissa, exponent) = decompose(x);
        Self::new(BigInt::from(mantissa), exponent)
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.numerator.sign() == Sign::NoSign
    }

    /// Correctly rounded.
    pub(crate) fn to_f64(&self) -> f64 {
        Self::round(&self.numerator, self.exponent, false)
    }

    /// The quotient, correctly rounded; NaN if the divisor is zero.
    pub(crate) fn ratio(&self, divisor: &Self) -> f64 {
        if divisor.is_zero() {
            return f64::NAN;
        }
        if self.is_zero() {
            return 0.0;
        }
        // Scale so that the integer quotient has at least 64 bits; what is left is sticky.
        let (n, d) = (self.numerator.magnitude(), divisor.numerator.magnitude());
        let shift = (66 + d.bits() as i64 - n.bits() as i64).max(0) as u64;
        let scaled: BigUint = n << shift;
        let quotient = &scaled / d;
        let sticky = &quotient * d != scaled;
        let negative = self.numerator.sign() != divisor.numerator.sign();
        let sign = if negative { Sign::Minus } else { Sign::Plus };
        let exponent = self.exponent - divisor.exponent - shift as i32;
        Self::round(&BigInt::from_biguint(sign, quotient), exponent, sticky)
    }

    /// The nearest f64 to `numerator * 2^exponent`, where `sticky` says that the true value lies
    /// a little further from zero than that.
    fn round(numerator: &BigInt, exponent: i32, sticky: bool) -> f64 {
        let magnitude = numerator.magnitude();
        let bits = magnitude.bits() as i32;
        if bits == 0 {
            return 0.0;
        }
        // Places of the leading bit and of the last bit that the result can hold.
        let top = exponent + bits - 1;
        let last = (top - 52).max(-1074);
        let drop = last - exponent;
        let (mut mantissa, round, sticky) = if drop <= 0 {
            // Fits: at most 53 bits, shifted left into place.
            let m = first_u64(&(magnitude << (-drop) as u32));
            (m, false, sticky)
        } else {
            let kept = first_u64(&(magnitude >> drop as u32));
            let half = magnitude.bit(drop as u64 - 1);
            let below = magnitude.trailing_zeros().is_some_and(|z| z < drop as u64 - 1);
            (kept, half, sticky || below)
        };
        if round && (sticky || mantissa & 1 == 1) {
            mantissa += 1;
        }
        // mantissa <= 2^53: exact as f64, and scaling by 2^last is exact or overflows to infinity.
        let value = scale(mantissa as f64, last);
        if numerator.sign() == Sign::Minus { -value } else { value }
    }
}

/// `x * 2^e` where the result is representable or overflows.
fn scale(x: f64, e: i32) -> f64 {
    if e > 971 {
        return f64::INFINITY;
    }
    // Two steps: 2^e alone may be subnormal or out of range while the product is not.
    if e < -1000 { x * pow2(-1000) * pow2_any(e + 1000) } else { x * pow2(e.min(1023)) }
}

fn pow2_any(e: i32) -> f64 {
    if e >= -1022 { pow2(e) } else { f64::from_bits(1 << (e + 1074)) }
}

fn first_u64(x: &BigUint) -> u64 {
    x.iter_u64_digits().next().unwrap_or(0)
}

impl std::ops::AddAssign for Exact {
    fn add_assign(&mut self, other: Self) {
        if other.is_zero() {
            return;
        }
        if self.is_zero() {
            *self = other;
            return;
        }
        let low = self.exponent.min(other.exponent);
        let mine = std::mem::take(&mut self.numerator) << (self.exponent - low) as u32;
        self.numerator = mine + (other.numerator << (other.exponent - low) as u32);
        self.exponent = low;
    }
}

impl std::ops::Mul for &Exact {
    type Output = Exact;
    fn mul(self, other: &Exact) -> Exact {
        Exact::new(&self.numerator * &other.numerator, self.exponent + other.exponent)
    }
}

impl std::ops::Sub for &Exact {
    type Output = Exact;
    fn sub(self, other: &Exact) -> Exact {
        let mut result = self.clone();
        result += Exact::new(-&other.numerator, other.exponent);
        result
    }
}

#[cfg(test)]
#[path = "exact_tests.rs"]
mod tests;
