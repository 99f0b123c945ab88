//! Sums of exponentials of a row, in f32 or f64: what softmax and cross entropy are made of.
//!
//! e^x is taken as 2^n p with x = n ln 2 + r reduced exactly, and scaled by a power of two near the
//! target's term or the row's maximum. No maximum is subtracted, so no rounding of x - max enters, and any one term (the
//! target's) can be left out of the sum: both are what makes small losses right.

use std::ops::BitOr;

use crate::element::Element;
use crate::elementary::{self, LN2_HEAD, LN2_TAIL, WHOLE32, exp_parts, exp_parts64};
use crate::simd::leveled;

mod row_sum;

pub(crate) use row_sum::{fill_and_sum, sum_but, sum_terms};

/// Numbers worked on at a time: input and terms stay in the first-level cache.
pub(crate) const BLOCK: usize = 512;
/// Numbers at the start of a row whose maximum sets the scale.
const HEAD: usize = 64;
/// Beyond this magnitude the largest number is subtracted, which is exact for all that count: the
/// multiples of ln 2 would no longer be.
const LARGE: f64 = 262_144.0;

/// The power of two that a row's terms are scaled by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference<A> {
    /// Subtracted from every number: 0, or the maximum of a row of large numbers.
    pub shift: A,
    /// Added to x log2 e: leaves n + bias - `power` in the low bits.
    whole: A,
    /// Below this (after the shift) the scale is exactly 0.
    floor: A,
    /// Here and above the scale is infinite.
    ceiling: A,
    /// Terms are 2^-power e^(x - shift).
    pub power: f64,
}

impl<A: Arithmetic> Reference<A> {
    /// Terms of lower numbers are 0, or nearly.
    pub fn lowest(&self) -> A {
        A::from_f64(self.floor.to_f64() + 1.0)
    }
}

/// f32 or f64, with its lanes.
pub(crate) trait Arithmetic: Element + PartialOrd {
    /// Lanes of a sum.
    const LANES: usize;
    /// Terms that a lane adds up before it is emptied into f64 or a compensated sum.
    const CHAIN: usize;
    const NEGATIVE_INFINITY: Self;
    /// The maximum is scaled to about this, 2^32 or 2^64: room above for larger numbers and for their sum,
    /// and below for every probability that the kind has.
    const RAISE: f64;
    /// A number this far above the one that sets the scale leaves the range.
    const REACH: f64;

    fn of<T: Element>(x: T) -> Self;
    /// The numbers themselves, if they are of this kind.
    fn slice<T: Element>(slice: &[T]) -> Option<&[Self]>;
    fn slice_mut<T: Element>(slice: &mut [T]) -> Option<&mut [Self]>;
    fn narrow<T: Element>(self) -> T;
    /// The scale for rows of about this maximum; a larger row loses nothing while its sum is below 2^120 or 2^1000.
    fn reference(max: Self) -> Reference<Self>;
    /// 2^-power e^(x - shift); 0 far below the reference, infinite far above, NaN for NaN.
    fn term<const FMA: bool, const SHIFT: bool>(x: Self, reference: &Reference<Self>) -> Self;
    /// Bits that exponents have had.
    type Seen: Copy + Default + BitOr<Output = Self::Seen>;
    /// The same without a shift for terms that are normal, 0 or infinite, without a look at the limits, and the exponent.
    fn term_seen<const FMA: bool>(x: Self, reference: &Reference<Self>) -> (Self, Self::Seen);
    /// Whether all exponents seen are those of terms.
    fn are_exponents(seen: &[Self::Seen]) -> bool;
    /// Whether a sum of v terms and a total that holds it lie where no bits are lost: the sum far above what is
    /// flushed to zero, the total and its inverse far from the ends of the range.
    fn ordinary(sum: f64, total: f64, v: usize) -> bool;
    /// Whether a factor of a gradient can be given in this kind without loss.
    fn is_factor(factor: f64) -> bool;
    fn times(self, other: Self) -> Self;
    fn plus(self, other: Self) -> Self;
}

impl Arithmetic for f32 {
    const LANES: usize = 16;
    const CHAIN: usize = 4;
    const NEGATIVE_INFINITY: Self = f32::NEG_INFINITY;
    const RAISE: f64 = 4_294_967_296.0;
    // (120 - 32 + 1/2) ln 2, and more.
    const REACH: f64 = 61.5;

    #[inline(always)]
    fn of<T: Element>(x: T) -> Self {
        x.to_f32()
    }
    #[inline(always)]
    fn slice<T: Element>(slice: &[T]) -> Option<&[Self]> {
        T::as_f32(slice)
    }
    #[inline(always)]
    fn slice_mut<T: Element>(slice: &mut [T]) -> Option<&mut [Self]> {
        T::as_f32_mut(slice)
    }
    #[inline(always)]
    fn narrow<T: Element>(self) -> T {
        T::from_f32(self)
    }

    #[inline(always)]
    fn reference(max: Self) -> Reference<Self> {
        let large = f64::from(max).abs() > LARGE;
        let shift = if large { max } else { 0.0 };
        let n = if large { 0.0 } else { (max * std::f32::consts::LOG2_E + WHOLE32) - WHOLE32 };
        let power = n - 32.0;
        let ln2 = std::f64::consts::LN_2;
        Reference {
            shift,
            whole: WHOLE32 + 127.0 - power,
            floor: (f64::from(power - 127.0) * ln2) as f32,
            ceiling: (f64::from(power + 128.0) * ln2) as f32,
            power: f64::from(power),
        }
    }

    #[inline(always)]
    fn term<const FMA: bool, const SHIFT: bool>(x: Self, reference: &Reference<Self>) -> Self {
        let x = if SHIFT { x - reference.shift } else { x };
        // NaN passes both.
        let x = if reference.floor > x { reference.floor } else { x };
        let x = if reference.ceiling < x { reference.ceiling } else { x };
        let (p, t) = exp_parts::<FMA>(x, reference.whole);
        p * f32::from_bits(t << 23)
    }
    type Seen = u32;
    #[inline(always)]
    fn term_seen<const FMA: bool>(x: Self, reference: &Reference<Self>) -> (Self, u32) {
        let (p, t) = exp_parts::<FMA>(x, reference.whole);
        (p * f32::from_bits(t << 23), t ^ WHOLE32.to_bits())
    }
    #[inline(always)]
    fn are_exponents(seen: &[u32]) -> bool {
        seen.iter().fold(0, |all, bits| all | bits) < 1 << 8
    }
    #[inline(always)]
    fn ordinary(sum: f64, total: f64, v: usize) -> bool {
        // 2^-98 a term, each flushed by less than 2^-126; 2^120.
        (sum >= 3.155443620884047e-30 * v as f64) & (total < 1.329227995784916e36)
    }
    #[inline(always)]
    fn is_factor(factor: f64) -> bool {
        let size = factor.abs();
        (size == 0.0) | ((size >= f64::from(f32::MIN_POSITIVE)) & (size < 1e37))
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self * other
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

impl Arithmetic for f64 {
    const LANES: usize = 8;
    const CHAIN: usize = 4;
    const NEGATIVE_INFINITY: Self = f64::NEG_INFINITY;
    const RAISE: f64 = 18_446_744_073_709_551_616.0;
    // (1000 - 64 + 1/2) ln 2, and more.
    const REACH: f64 = 649.5;

    #[inline(always)]
    fn of<T: Element>(x: T) -> Self {
        x.to_f64()
    }
    #[inline(always)]
    fn slice<T: Element>(slice: &[T]) -> Option<&[Self]> {
        T::as_f64(slice)
    }
    #[inline(always)]
    fn slice_mut<T: Element>(slice: &mut [T]) -> Option<&mut [Self]> {
        T::as_f64_mut(slice)
    }
    #[inline(always)]
    fn narrow<T: Element>(self) -> T {
        T::from_f64(self)
    }

    #[inline(always)]
    fn reference(max: Self) -> Reference<Self> {
        let large = max.abs() > LARGE;
        let shift = if large { max } else { 0.0 };
        let whole = elementary::WHOLE;
        let n = if large { 0.0 } else { (max * std::f64::consts::LOG2_E + whole) - whole };
        let power = n - 64.0;
        let ln2 = std::f64::consts::LN_2;
        Reference {
            shift,
            whole: elementary::WHOLE + 1023.0 - power,
            floor: (power - 1023.0) * ln2,
            ceiling: (power + 1024.0) * ln2,
            power,
        }
    }

    #[inline(always)]
    fn term<const FMA: bool, const SHIFT: bool>(x: Self, reference: &Reference<Self>) -> Self {
        let x = if SHIFT { x - reference.shift } else { x };
        let x = if reference.floor > x { reference.floor } else { x };
        let x = if reference.ceiling < x { reference.ceiling } else { x };
        let t = x * std::f64::consts::LOG2_E + reference.whole;
        let m = elementary::exp_rest64(x, t - reference.whole);
        (1.0 + m) * f64::from_bits(t.to_bits() << 52)
    }
    type Seen = u64;
    #[inline(always)]
    fn term_seen<const FMA: bool>(x: Self, reference: &Reference<Self>) -> (Self, u64) {
        let t = x * std::f64::consts::LOG2_E + reference.whole;
        let m = elementary::exp_rest64(x, t - reference.whole);
        let bits = t.to_bits();
        ((1.0 + m) * f64::from_bits(bits << 52), bits ^ elementary::WHOLE.to_bits())
    }
    #[inline(always)]
    fn are_exponents(seen: &[u64]) -> bool {
        seen.iter().fold(0, |all, bits| all | bits) < 1 << 11
    }
    #[inline(always)]
    fn ordinary(sum: f64, total: f64, _v: usize) -> bool {
        // 2^-900 and 2^1000.
        (sum >= 1.1830521861667747e-271) & (total < 1.0715086071862673e301)
    }
    #[inline(always)]
    fn is_factor(factor: f64) -> bool {
        let size = factor.abs();
        (size == 0.0) | (f64::MIN_POSITIVE..f64::INFINITY).contains(&size)
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self * other
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

/// The largest number of the start of a row; NaN is passed over.
pub(crate) fn head_max<A: Arithmetic>(x: &[A]) -> A {
    largest(&x[..x.len().min(HEAD)])
}

leveled! {
    /// The largest number; NaN is passed over.
    pub(crate) fn largest[A: Arithmetic](x: &[A]) -> A => largest_body::<FMA>
}

#[inline(always)]
pub(crate) fn largest_body<const FMA: bool, A: Arithmetic>(x: &[A]) -> A {
    let mut lanes = [A::NEGATIVE_INFINITY; 16];
    let (groups, rest) = x.as_chunks::<16>();
    for group in groups {
        for (lane, &x) in lanes.iter_mut().zip(group) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    let mut n = 16;
    while n > 1 {
        n /= 2;
        for l in 0..n {
            lanes[l] = if lanes[l + n] > lanes[l] { lanes[l + n] } else { lanes[l] };
        }
    }
    let mut max = lanes[0];
    for &x in rest {
        max = if x > max { x } else { max };
    }
    max
}

leveled! {
    /// The terms of at most [`BLOCK`] numbers, in `terms`, which is as long.
    pub(crate) fn fill_terms[A: Arithmetic](x: &[A], terms: &mut [A], reference: &Reference<A>) => terms_body::<FMA>
}

#[inline(always)]
fn terms_body<const FMA: bool, A: Arithmetic>(x: &[A], terms: &mut [A], reference: &Reference<A>) {
    if reference.shift == A::default() {
        for (term, &x) in terms.iter_mut().zip(x) {
            *term = A::term::<FMA, false>(x, reference);
        }
    } else {
        for (term, &x) in terms.iter_mut().zip(x) {
            *term = A::term::<FMA, true>(x, reference);
        }
    }
}

/// Numbers that are added up together: a chain in every lane.
pub(crate) const fn unit<A: Arithmetic>() -> usize {
    A::LANES * A::CHAIN
}

leveled! {
    /// See [`Accumulator::add`].
    pub(crate) fn add_terms[A: Arithmetic](sum: &mut Accumulator, terms: &[A]) => add_terms_body::<FMA>
}

#[inline(always)]
fn add_terms_body<const FMA: bool, A: Arithmetic>(sum: &mut Accumulator, terms: &[A]) {
    sum.add::<A, false>(terms);
}

leveled! {
    /// See [`Accumulator::add`], of the squares of the terms.
    pub(crate) fn add_squares[A: Arithmetic](sum: &mut Accumulator, terms: &[A]) => add_squares_body::<FMA>
}

#[inline(always)]
fn add_squares_body<const FMA: bool, A: Arithmetic>(sum: &mut Accumulator, terms: &[A]) {
    sum.add::<A, true>(terms);
}

leveled! {
    /// Multiplies by a factor.
    pub(crate) fn scale[A: Arithmetic](x: &mut [A], factor: A) => scale_body::<FMA>
}

#[inline(always)]
pub(crate) fn scale_body<const FMA: bool, A: Arithmetic>(x: &mut [A], factor: A) {
    for x in x {
        *x = x.times(factor);
    }
}

leveled! {
    /// The same numbers as A.
    pub(crate) fn convert[T: Element, A: Arithmetic](x: &[T], out: &mut [A]) => convert_body::<FMA>
}

#[inline(always)]
fn convert_body<const FMA: bool, T: Element, A: Arithmetic>(x: &[T], out: &mut [A]) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out = A::of(x);
    }
}

/// A sum of non-negative terms: lanes of short chains, compensated across blocks.
#[derive(Clone, Copy)]
pub(crate) struct Accumulator {
    high: [f64; 16],
    low: [f64; 16],
}

impl Accumulator {
    #[inline(always)]
    pub fn new() -> Self {
        Self { high: [0.0; 16], low: [0.0; 16] }
    }

    /// Adds terms, as if there were zeros behind them up to a whole number of chains.
    #[inline(always)]
    pub fn add<A: Arithmetic, const SQUARES: bool>(&mut self, terms: &[A]) {
        let units = terms.chunks_exact(A::LANES * A::CHAIN);
        let rest = units.remainder();
        for unit in units {
            self.add_unit::<A, SQUARES>(unit.chunks_exact(A::LANES));
        }
        if !rest.is_empty() {
            let mut last = [A::default(); 64];
            last[..rest.len()].copy_from_slice(rest);
            self.add_unit::<A, SQUARES>(last[..A::LANES * A::CHAIN].chunks_exact(A::LANES));
        }
    }

    /// Adds a chain a lane, of at most [`Arithmetic::CHAIN`] terms.
    #[inline(always)]
    fn add_unit<'a, A: Arithmetic, const SQUARES: bool>(
        &mut self,
        groups: impl Iterator<Item = &'a [A]>,
    ) {
        let mut lanes = [A::default(); 16];
        for group in groups {
            for (lane, &term) in lanes[..A::LANES].iter_mut().zip(group) {
                let term = if SQUARES { term.times(term) } else { term };
                *lane = lane.plus(term);
            }
        }
        self.add_lanes(&lanes);
    }

    /// Adds a number a lane.
    #[inline(always)]
    fn add_lanes<A: Arithmetic>(&mut self, lanes: &[A; 16]) {
        for l in 0..A::LANES {
            let x = lanes[l].to_f64();
            if A::WIDE {
                // Terms are not negative, but which is larger is not known: six operations.
                let sum = self.high[l] + x;
                let part = sum - self.high[l];
                self.low[l] += (self.high[l] - (sum - part)) + (x - part);
                self.high[l] = sum;
            } else {
                self.high[l] += x;
            }
        }
    }

    /// The sum; infinite or NaN if a term was or the terms were too large.
    #[inline(always)]
    pub fn total<A: Arithmetic>(&self) -> f64 {
        let mut high = self.high;
        let mut low = self.low;
        let mut n = A::LANES;
        if !A::WIDE {
            // Sums of f32 need no more than f64.
            while n > 1 {
                n /= 2;
                for l in 0..n {
                    high[l] += high[l + n];
                }
            }
            return high[0];
        }
        while n > 1 {
            n /= 2;
            for l in 0..n {
                let (a, b) = (high[l], high[l + n]);
                let sum = a + b;
                let part = sum - a;
                let error = (a - (sum - part)) + (b - part);
                low[l] = (low[l] + low[l + n]) + if error.is_nan() { 0.0 } else { error };
                high[l] = sum;
            }
        }
        if low[0].is_finite() { high[0] + low[0] } else { high[0] }
    }
}

/// 2^-power e^x for a power of an x that is near.
#[inline(always)]
pub(crate) fn term_near(x: f64, power: f64) -> f64 {
    let (m, n) = exp_parts64(x);
    (1.0 + m) * elementary::power_of_two(n - power)
}

/// 2^-power e^x; 0 or infinite where that is out of range.
pub(crate) fn term_of(x: f64, power: f64) -> f64 {
    let distance = x - power * std::f64::consts::LN_2;
    if distance < -2000.0 {
        return 0.0;
    }
    if distance > 2000.0 {
        return f64::INFINITY;
    }
    let (m, n) = exp_parts64(x);
    let k = n - power;
    if k > 1000.0 {
        times_power((1.0 + m) * 2.0, 1000.0) * elementary::power_of_two((k - 1001.0).min(1000.0))
    } else {
        times_power(1.0 + m, k)
    }
}

/// rest / e^x where `rest` is scaled by 2^-power: what is beside a term, as a multiple of it.
pub(crate) fn ratio_beside(x: f64, rest: f64, power: f64) -> f64 {
    let distance = x - power * std::f64::consts::LN_2;
    if rest == 0.0 || distance > 2000.0 {
        return 0.0;
    }
    if distance < -2000.0 {
        return f64::INFINITY;
    }
    let (m, n) = exp_parts64(x);
    let ratio = rest / (1.0 + m);
    let k = power - n;
    if k > 1000.0 {
        times_power(ratio, 1000.0) * elementary::power_of_two((k - 1000.0).min(1000.0))
    } else {
        times_power(ratio, k)
    }
}

/// ln(1 + rest / e^x) where `rest` is scaled by 2^-power: the loss of a target with logit x (after the
/// shift) beside other terms of that sum. Relative accuracy that of `rest`.
pub(crate) fn loss_beside(x: f64, rest: f64, power: f64) -> f64 {
    let ratio = ratio_beside(x, rest, power);
    if ratio < 1e300 {
        elementary::ln_1p(ratio)
    } else {
        // The target is lost in the sum. Of large logits the power and x are nearly equal: their difference comes first.
        (power * LN2_HEAD - x) + (elementary::ln(rest) + power * LN2_TAIL)
    }
}

/// m and e of x = 2^e m with 1 <= |m| < 2; (x, 0) for 0 and what is not finite.
pub(crate) fn parted(x: f64) -> (f64, f64) {
    const TWO54: f64 = 18_014_398_509_481_984.0;
    if x == 0.0 || !x.is_finite() {
        return (x, 0.0);
    }
    let tiny = x.abs() < f64::MIN_POSITIVE;
    let bits = (if tiny { x * TWO54 } else { x }).to_bits();
    let e = ((bits >> 52) & 0x7ff) as f64 - if tiny { 1077.0 } else { 1023.0 };
    (f64::from_bits((bits & !(0x7ff << 52)) | (1023 << 52)), e)
}

/// A number as 2^e m, so that products of many need no range between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parted {
    m: f64,
    e: f64,
}

impl Parted {
    pub fn of(x: f64) -> Self {
        let (m, e) = parted(x);
        Self { m, e }
    }

    pub fn times(self, other: Self) -> Self {
        let (m, e) = parted(self.m * other.m);
        Self { m, e: e + self.e + other.e }
    }

    pub fn over(self, other: Self) -> Self {
        let (m, e) = parted(self.m / other.m);
        Self { m, e: e + self.e - other.e }
    }

    /// The number times 2^k.
    pub fn raised(self, k: f64) -> Self {
        Self { e: self.e + k, ..self }
    }

    pub fn value(self) -> f64 {
        times_power(self.m, self.e)
    }

    /// The number times 2^-power e^x, for an x that the power is above.
    pub fn times_term(self, x: f64, power: f64) -> f64 {
        if x - power * std::f64::consts::LN_2 < -3000.0 {
            return 0.0;
        }
        let (m, n) = exp_parts64(x);
        times_power(self.m * (1.0 + m), self.e + (n - power))
    }
}

/// x 2^k for k up to 1000; rounded twice at most if the result is subnormal.
pub(crate) fn times_power(x: f64, k: f64) -> f64 {
    if k.abs() <= 1000.0 {
        return x * elementary::power_of_two(k);
    }
    let (mut x, mut k) = (x, k);
    for _ in 0..4 {
        let step = k.clamp(-1000.0, 1000.0);
        x *= elementary::power_of_two(step);
        k -= step;
    }
    x
}
