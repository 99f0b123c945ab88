//! Exponential and logarithm, several lanes at a time and with the same bits everywhere.
//!
//! Everything is IEEE additions, multiplications and divisions in a fixed order, without branches, so
//! that a loop over lanes becomes vector instructions at every level and gives the same bits. The f32
//! exponential also takes fused multiply-adds; where the machine has none they are made from f64.

/// ln 2, its first 41 bits: times an exponent of at most 11 bits it is exact.
const LN2_HI: f64 = f64::from_bits(0x3fe6_2e42_fefa_3000); // 0x1.62e42fefa3000p-1
/// ln 2 - `LN2_HI`.
const LN2_LO: f64 = f64::from_bits(0x3d53_de6a_f278_ece6); // 0x1.3de6af278ece6p-42
/// ln 2, its first 21 bits: times any whole number below 2^32 it is exact.
pub(crate) const LN2_HEAD: f64 = f64::from_bits(0x3fe6_2e42_0000_0000);
/// ln 2 - `LN2_HEAD`.
pub(crate) const LN2_TAIL: f64 = f64::from_bits(0x3e9f_df47_3de6_af28);
/// sqrt(1/2): mantissas are taken from here to its double.
const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
/// Chebyshev fit of ((ln((1+s)/(1-s)) - 2s) / s^3) in s^2 over |s| <= 0.1718, relative to the
/// logarithm below 0.05 ulp; made by mpmath's `chebyfit` at 40 digits, degree 6.
const Q: [f64; 7] = [
    0.666666666666667,
    0.3999999999989827,
    0.28571428626533335,
    0.22222211043822485,
    0.1818289574680159,
    0.15331501721203059,
    0.14619164777231927,
];
/// Chebyshev fit of (e^r - 1 - r) / r^2 over |r| <= 0.357, 0.002 ulp of e^r; mpmath's `chebyfit` at 60 digits.
const E: [f64; 11] = [
    0.5,
    0.1666666666666667,
    0.04166666666666667,
    0.00833333333332422,
    0.0013888888888882382,
    0.00019841269881310777,
    2.4801587330182392e-05,
    2.7557247412720577e-06,
    2.7557267939221374e-07,
    2.510844347632036e-08,
    2.0916990996535857e-09,
];
/// The same for f32, 0.08 ulp of e^r.
const E32: [f32; 5] = [0.5, 0.16666566, 0.04166654, 0.008364993, 0.0013928451];
/// ln 2 as the nearest f32, and what is left of it.
const LN2_F32: [f32; 2] = [f32::from_bits(0x3f31_7218), f32::from_bits(0xb102_e308)];
/// 1.5 * 2^52: added to a number below 2^51 it leaves the nearest whole number in the low bits.
pub(crate) const WHOLE: f64 = 6_755_399_441_055_744.0;
/// 1.5 * 2^23, the same for f32.
pub(crate) const WHOLE32: f32 = 12_582_912.0;

/// Whether every machine of the target that is compiled for has a fused multiply-add.
#[doc(hidden)]
pub const NATIVE_FMA: bool =
    cfg!(any(target_feature = "fma", target_arch = "aarch64", target_arch = "arm64ec"));

/// a b + c, rounded once; an instruction if `FMA`, else made from f64, with the same bits.
#[inline(always)]
pub(crate) fn fma32<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA {
        a.mul_add(b, c)
    } else {
        // The product is exact in f64. The sum is rounded to odd: the last bit says that there was
        // more, so that the second rounding, to f32, errs no further than one rounding would.
        let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
        let sum = product + c;
        let c_part = sum - product;
        let error = (product - (sum - c_part)) + (c - c_part);
        let bits = sum.to_bits();
        let outward = (error > 0.0) == (sum > 0.0);
        let odd = if bits & 1 == 1 {
            bits
        } else if outward {
            bits.wrapping_add(1)
        } else {
            bits.wrapping_sub(1)
        };
        let inexact = (error < 0.0) | (error > 0.0);
        f64::from_bits(if inexact { odd } else { bits }) as f32
    }
}

/// e^x = 2^n p: p, and n in the low bits of `WHOLE32 + n - zero`.
///
/// x is reduced by whole multiples of ln 2 exactly, so nothing is lost by not taking the maximum
/// of a row from x first: this is what makes small losses right. For |x| below 2^19.
#[inline(always)]
pub(crate) fn exp_parts<const FMA: bool>(x: f32, whole: f32) -> (f32, u32) {
    let t = fma32::<FMA>(x, std::f32::consts::LOG2_E, whole);
    let (r, q) = exp_series::<FMA>(x, t - whole);
    (fma32::<FMA>(q, r, 1.0), t.to_bits())
}

/// e^x = 2^n (1 + r + s): n as a number, r, and s of at most 0.066; 1 + r + s within a relative 0.25 * 2^-24. For |x| below 2^18.
#[inline(always)]
pub(crate) fn exp_apart<const FMA: bool>(x: f32) -> (f32, f32, f32) {
    let n = fma32::<FMA>(x, std::f32::consts::LOG2_E, WHOLE32) - WHOLE32;
    let head = fma32::<FMA>(-n, LN2_F32[0], x);
    let r = fma32::<FMA>(-n, LN2_F32[1], head);
    let lost = fma32::<FMA>(-n, LN2_F32[1], head - r);
    let q = fma32::<FMA>(E32[4], r, E32[3]);
    let q = fma32::<FMA>(q, r, E32[2]);
    let q = fma32::<FMA>(q, r, E32[1]);
    let q = fma32::<FMA>(q, r, E32[0]);
    (n, r, fma32::<FMA>(r * r, q, lost))
}

/// r = x - n ln 2, and q of e^r = 1 + r q.
#[inline(always)]
fn exp_series<const FMA: bool>(x: f32, n: f32) -> (f32, f32) {
    let r = fma32::<FMA>(-n, LN2_F32[0], x);
    let r = fma32::<FMA>(-n, LN2_F32[1], r);
    let q = fma32::<FMA>(E32[4], r, E32[3]);
    let q = fma32::<FMA>(q, r, E32[2]);
    let q = fma32::<FMA>(q, r, E32[1]);
    let q = fma32::<FMA>(q, r, E32[0]);
    (r, fma32::<FMA>(q, r, 1.0))
}

/// e^(x + lost) times the power of two that `whole` says, as in [`exp_parts`]; `lost` is a rounding error of x.
///
/// Within a relative 1.6 * 2^-24: r has one rounding, and e^r - 1 = r + r^2 q one more.
#[inline(always)]
pub(crate) fn exp_of_two<const FMA: bool>(x: f32, lost: f32, whole: f32) -> f32 {
    let t = fma32::<FMA>(x, std::f32::consts::LOG2_E, whole);
    let n = t - whole;
    let r = fma32::<FMA>(-n, LN2_F32[0], x) + fma32::<FMA>(-n, LN2_F32[1], lost);
    let q = fma32::<FMA>(E32[4], r, E32[3]);
    let q = fma32::<FMA>(q, r, E32[2]);
    let q = fma32::<FMA>(q, r, E32[1]);
    let q = fma32::<FMA>(q, r, E32[0]);
    (1.0 + fma32::<FMA>(r * r, q, r)) * f32::from_bits(t.to_bits() << 23)
}

/// e^x in f32.
///
/// Domain: everything; NaN stays NaN, subnormal results are rounded once more. Accuracy: 1.01 ulp
/// over all normal results, tested exhaustively. The same bits on every machine.
///
/// ```
/// assert_eq!(xent::elementary::exp_f32(0.0), 1.0);
/// assert_eq!(xent::elementary::exp_f32(-200.0), 0.0);
/// assert_eq!(xent::elementary::exp_f32(f32::INFINITY), f32::INFINITY);
/// ```
#[inline(always)]
pub fn exp_f32(x: f32) -> f32 {
    exp_f32_body::<NATIVE_FMA>(x)
}

#[inline(always)]
pub(crate) fn exp_f32_body<const FMA: bool>(x: f32) -> f32 {
    let low = if -106.0 > x { -106.0 } else { x };
    let y = if 90.0 < low { 90.0 } else { low };
    let (p, t) = exp_parts::<FMA>(y, WHOLE32);
    // n is from -153 to 130: two factors, each a power of two.
    let n = (t as i32).wrapping_sub(WHOLE32.to_bits() as i32);
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) as u32) << 23);
    p * power(half) * power(n.wrapping_sub(half))
}

/// e^x = 2^n (1 + m): m, and n as a number. For |x| below 2^18 nothing is lost, as in [`exp_parts`].
#[inline(always)]
pub(crate) fn exp_parts64(x: f64) -> (f64, f64) {
    let n = (x * std::f64::consts::LOG2_E + WHOLE) - WHOLE;
    (exp_rest64(x, n), n)
}

/// m of e^x = 2^n (1 + m) for an n near x / ln 2.
#[inline(always)]
pub(crate) fn exp_rest64(x: f64, n: f64) -> f64 {
    let head = x - n * LN2_HEAD;
    let tail = n * LN2_TAIL;
    let r = head - tail;
    let lost = (head - r) - tail;
    let z = r * r;
    let z2 = z * z;
    let low = (E[0] + r * E[1]) + z * (E[2] + r * E[3]);
    let middle = (E[4] + r * E[5]) + z * (E[6] + r * E[7]);
    let high = (E[8] + r * E[9]) + z * E[10];
    let q = low + z2 * (middle + z2 * high);
    r + (z * q + lost)
}

/// 2^n for a whole n from -1022 to 1023.
#[inline(always)]
pub(crate) fn power_of_two(n: f64) -> f64 {
    let low = (n + (WHOLE + 1023.0)).to_bits();
    f64::from_bits(low << 52)
}

/// e^x.
///
/// ```text
/// x = n ln 2 + r,  |r| <= ln 2 / 2,  e^x = 2^n (1 + (r + r^2 q(r)))
/// ```
///
/// Domain: everything; NaN stays NaN, subnormal results are rounded once more. Accuracy: 1 ulp for
/// normal results, tested against 50 digits. The same bits on every machine.
///
/// ```
/// assert_eq!(xent::elementary::exp(0.0), 1.0);
/// assert_eq!(xent::elementary::exp(f64::NEG_INFINITY), 0.0);
/// assert_eq!(xent::elementary::exp(1.0), std::f64::consts::E);
/// ```
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    let low = if -750.0 > x { -750.0 } else { x };
    let y = if 710.0 < low { 710.0 } else { low };
    let (m, n) = exp_parts64(y);
    // n is from -1082 to 1025: two factors, each a power of two.
    let half = ((n * 0.5) + WHOLE) - WHOLE;
    (1.0 + m) * power_of_two(half) * power_of_two(n - half)
}

/// The natural logarithm of a probability, for the lanes of the kernels.
///
/// ```text
/// x = 2^k m,  m in [sqrt(1/2), sqrt(2)),  f = m - 1,  s = f / (2 + f)
/// ln x = k ln 2 + f - (f^2/2 - s (f^2/2 + s^2 Q(s^2)))
/// ```
///
/// Domain: positive finite, subnormals included; zero gives -inf; anything else is unspecified.
/// Accuracy: below 1 ulp, tested against 50 digits. Plain IEEE operations: the same bits at every
/// instruction level.
///
/// ```
/// assert_eq!(xent::elementary::ln(1.0), 0.0);
/// assert_eq!(xent::elementary::ln(0.0), f64::NEG_INFINITY);
/// assert_eq!(xent::elementary::ln(2.0), std::f64::consts::LN_2);
/// ```
#[inline(always)]
pub fn ln(x: f64) -> f64 {
    const TWO54: f64 = 18_014_398_509_481_984.0;
    let tiny = x < f64::MIN_POSITIVE;
    let result = ln_sum(if tiny { x * TWO54 } else { x }, 0.0, if tiny { 54.0 } else { 0.0 });
    if x == 0.0 { f64::NEG_INFINITY } else { result }
}

/// -[`ln`] of a positive normal number, the same bits with fewer operations.
#[inline(always)]
pub(crate) fn surprisal(x: f64) -> f64 {
    surprisal_of(&reduce(x))
}

#[inline(always)]
fn surprisal_of(&Reduced { k, f, s }: &Reduced) -> f64 {
    let (half, tail) = series(f, s);
    ((half - (tail + k * LN2_LO)) - f) - k * LN2_HI
}

/// Numbers whose logarithms are taken together.
pub(crate) const TOGETHER: usize = 64;

/// [`surprisal`] of each number.
///
/// All divisions come first: what waits for one then does not stand in the way of the next.
#[inline(always)]
pub(crate) fn surprisals(numbers: &[f64; TOGETHER], results: &mut [f64; TOGETHER]) {
    let [mut ks, mut fs, mut ss] = [[0.0; TOGETHER]; 3];
    for i in 0..TOGETHER {
        Reduced { k: ks[i], f: fs[i], s: ss[i] } = reduce(numbers[i]);
    }
    for i in 0..TOGETHER {
        results[i] = surprisal_of(&Reduced { k: ks[i], f: fs[i], s: ss[i] });
    }
}

/// ln(x (1 + c)) - less ln 2 for a normal x and a c of at most an ulp or so.
#[inline(always)]
fn ln_sum(x: f64, c: f64, less: f64) -> f64 {
    let Reduced { k, f, s } = reduce(x);
    let (half, tail) = series(f, s);
    let k = k - less;
    let tail = tail + (k * LN2_LO + c);
    k * LN2_HI - ((half - tail) - f)
}

/// x = 2^k (1 + f), s = f / (2 + f).
struct Reduced {
    k: f64,
    f: f64,
    s: f64,
}

#[inline(always)]
fn reduce(x: f64) -> Reduced {
    const MAGIC: u64 = 0x4330_0000_0000_0000; // 2^52: or-ing an integer in gives 2^52 + integer
    // The exponent counted from sqrt(1/2), kept positive by a bias of 1023 + 1.
    let shifted = x.to_bits().wrapping_sub(SQRT_HALF).wrapping_add(1024 << 52);
    let k = f64::from_bits((shifted >> 52) | MAGIC) - (4_503_599_627_370_496.0 + 1024.0);
    let m = f64::from_bits((shifted & 0x000f_ffff_ffff_ffff).wrapping_add(SQRT_HALF));
    let f = m - 1.0;
    Reduced { k, f, s: f / (2.0 + f) }
}

/// ln(1 + f) = f - (half - tail): both.
#[inline(always)]
fn series(f: f64, s: f64) -> (f64, f64) {
    let z = s * s;
    let z2 = z * z;
    let even = Q[0] + z2 * (Q[2] + z2 * (Q[4] + z2 * Q[6]));
    let odd = Q[1] + z2 * (Q[3] + z2 * Q[5]);
    let half = 0.5 * f * f;
    (half, s * (half + z * (even + z * odd)))
}

/// ln(1 + x), right for the smallest x too.
///
/// ```text
/// s = 1 + x rounded, e = 1 + x - s exactly:  ln(1 + x) = ln s + e / s
/// ```
///
/// Domain: x > -1, infinity included; -1 gives -inf; anything else is NaN or unspecified. Accuracy:
/// 1 ulp, tested against 50 digits. The same bits on every machine.
///
/// ```
/// assert_eq!(xent::elementary::ln_1p(1e-300), 1e-300);
/// assert_eq!(xent::elementary::ln_1p(1.0), std::f64::consts::LN_2);
/// ```
#[inline(always)]
pub fn ln_1p(x: f64) -> f64 {
    let s = 1.0 + x;
    let x_part = s - 1.0;
    let error = (1.0 - (s - x_part)) + (x - x_part);
    let result = ln_sum(s, error / s, 0.0);
    let open = if x == f64::INFINITY { x } else { result };
    let closed = if s == 0.0 { f64::NEG_INFINITY } else { open };
    // Below this 1 + x is 1 and the logarithm is x to the last bit; -0 stays -0.
    if x.abs() < 1e-17 || x.is_nan() { x } else { closed }
}

#[cfg(test)]
mod tests {
    use super::{exp, exp_f32, exp_f32_body, fma32, ln, surprisal};
    use crate::simd::leveled;

    /// Distance to the platform's logarithm, itself below 0.52 ulp on glibc, in ulp.
    const ULPS_LN: f64 = 1.5;

    #[test]
    fn near_the_platform_logarithm_everywhere() {
        let mut x = 5e-324_f64;
        let mut worst = 0.0_f64;
        let mut state = 1_u64;
        while x < 2.0 {
            let expected = x.ln();
            let ulp = (expected.abs().to_bits() + 1).wrapping_sub(expected.abs().to_bits()) as f64
                * (f64::from_bits(expected.abs().to_bits() + 1) - expected.abs());
            worst = worst.max((ln(x) - expected).abs() / ulp);
            if x.is_normal() {
                assert_eq!(surprisal(x).to_bits(), (0.0 - ln(x)).to_bits(), "{x:e}");
            }
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            x *= 1.0 + f64::from((state >> 40) as u32) / f64::from(1_u32 << 24) * 0.01;
            x = x.max(f64::from_bits(x.to_bits() + 1));
        }
        assert!(worst <= ULPS_LN, "{worst} ulp");
    }

    #[test]
    fn small_arguments_and_one() {
        assert_eq!(ln(1.0).to_bits(), 0.0_f64.to_bits());
        assert_eq!(surprisal(1.0).to_bits(), 0.0_f64.to_bits());
        assert_eq!(ln(0.0), f64::NEG_INFINITY);
        assert_eq!(-ln(5e-324), 744.44007192138126);
        assert_eq!(ln(1.0 - f64::EPSILON / 2.0), -1.1102230246251565e-16);
        assert_eq!(-ln(0.7) / std::f64::consts::LN_2, 0.5145731728297583);
    }

    /// Every f32 whose exponential is normal: 2.2 billion of them, some seconds.
    #[test]
    fn exponential_of_every_f32() {
        let last = [88.722_83_f32, 87.336_54].map(f32::to_bits);
        let worst = std::thread::scope(|scope| {
            let halves = [(0, last[0]), (1 << 31, last[1])];
            let workers = halves.map(|(sign, last)| scope.spawn(move || worst_exp_f32(sign, last)));
            workers.map(|w| w.join().unwrap())
        });
        assert!(worst.iter().all(|&w| w <= 1.02), "{worst:?} ulp");
        let edges = [(-87.5, 9.983e-39), (-103.2, 1.4e-45), (-104.0, 0.0), (88.73, f32::INFINITY)];
        for (x, expected) in edges {
            let y = exp_f32(x);
            assert!(y == expected || (y - expected).abs() <= 0.001 * expected, "{x}: {y}");
        }
        assert!(exp_f32(f32::NAN).is_nan());
    }

    leveled! {
        /// The largest distance in ulp over bits from 0 to `last`, with a sign.
        fn worst_exp_f32(sign: u32, last: u32) -> f64 => worst_body::<FMA>
    }

    #[inline(always)]
    fn worst_body<const FMA: bool>(sign: u32, last: u32) -> f64 {
        let mut worst = [0.0_f64; 16];
        for start in (0..=last).step_by(16) {
            for (bits, worst) in (start..start + 16).zip(&mut worst) {
                let x = f32::from_bits(bits.min(last) | sign);
                let exact = exp(f64::from(x));
                // An ulp of the f32 binade that the exact value is in.
                let ulp = f64::from_bits((exact.to_bits() & 0x7ff0_0000_0000_0000) - (23 << 52));
                let distance = (f64::from(exp_f32_body::<FMA>(x)) - exact).abs() / ulp;
                *worst = if distance > *worst { distance } else { *worst };
            }
        }
        worst.into_iter().fold(0.0, f64::max)
    }

    #[test]
    fn a_fused_multiply_add_without_the_instruction_is_the_same() {
        let mut state = 7_u64;
        let mut random = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state >> 32
        };
        for i in 0..2_000_000 {
            let [a, mut b, mut c] = [0; 3].map(|_| f32::from_bits(random() as u32));
            if i % 2 == 0 {
                // Near cancellation, and near ties.
                let near =
                    |x: f32, by: u64| f32::from_bits(x.to_bits().wrapping_add(by as u32 % 5));
                b = 1.0 + f32::from_bits((random() as u32 & 0x1f) << 14);
                c = near(-a * b, random());
            }
            let [mine, theirs] = [fma32::<false>(a, b, c), a.mul_add(b, c)];
            assert!(
                mine.to_bits() == theirs.to_bits() || mine.is_nan() && theirs.is_nan(),
                "{a:e} {b:e} {c:e}: {mine:e} {theirs:e}"
            );
        }
    }
}
