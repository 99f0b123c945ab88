//! One class's share of a divergence, without branches and never negative.

use std::f64::consts::{E, LN_2};

use crate::elementary::{ln, ln_1p};
use crate::exact::two_product;

/// Chebyshev fit of (ln((1+s)/(1-s)) - 2s) / s^3 in s^2 over |s| <= 1/3, 4e-17; mpmath's `chebyfit` at 60 digits.
const GAP: [f64; 11] = [
    0.6666666666666666,
    0.39999999999999525,
    0.28571428571600116,
    0.22222222198234912,
    0.1818181989808015,
    0.15384543960621982,
    0.13335178724135435,
    0.11734277812139943,
    0.10845188531046257,
    0.07492098408923532,
    0.1563066391975785,
];
/// Chebyshev fit of (e^w - 1 - w) / w^2 over |w| <= 2, relative 4e-17; mpmath's `chebyfit` at 60 digits.
const BEND: [f64; 18] = [
    0.5,
    0.16666666666666666,
    0.04166666666666663,
    0.008333333333333331,
    0.0013888888888891197,
    0.00019841269841270936,
    2.4801587300995483e-05,
    2.7557319223705004e-06,
    2.755731930001314e-07,
    2.505210842152821e-08,
    2.087675150417348e-09,
    1.6059041233681633e-10,
    1.147097775321909e-11,
    7.647273957195198e-13,
    4.7737580214960735e-14,
    2.8087409252747675e-15,
    1.6376126325516946e-16,
    8.580357849794261e-18,
];
/// Chebyshev fit of ((1+t) ln(1+t) + (1-t) ln(1-t)) / 2 t^2 in t^2 <= 1/2, relative 1e-17; mpmath's `chebyfit` at 60
/// digits.
const SPLIT: [f64; 19] = [
    0.5,
    0.0833333333333305,
    0.03333333333401069,
    0.01785714279303719,
    0.011111114306825529,
    0.007575660715206182,
    0.005496448431122044,
    0.004139429352388536,
    0.003544718349966668,
    0.0005432794684641754,
    0.014050590781718032,
    -0.049636881094568534,
    0.17111915639951517,
    -0.42176215264266054,
    0.7879639710826964,
    -1.0585526647892924,
    0.9809491525326255,
    -0.5600856357488826,
    0.15278755816200285,
];
/// Chebyshev fit of ((w/2) tanh(w/2) - ln cosh(w/2)) / w^2 in w^2 <= 4, relative 7e-17; mpmath's `chebyfit` at 60 digits.
const SWAY: [f64; 16] = [
    0.125,
    -0.015624999999999637,
    0.0017361111111033813,
    -0.00018446180549014946,
    1.9221229867062875e-05,
    -1.983552083623784e-06,
    2.0358425024540962e-07,
    -2.0824126909236806e-08,
    2.124168379474945e-09,
    -2.156197315323603e-10,
    2.1550931497977185e-11,
    -2.057015928547755e-12,
    1.760475532277768e-13,
    -1.2190313092339503e-14,
    5.824656341397694e-16,
    -1.392120338190899e-17,
];
/// Where [`BEND`] and [`SWAY`] end.
const NEAR: f64 = 2.0;

/// A polynomial, its even and its odd part apart: two chains instead of one.
#[inline(always)]
fn polynomial<const N: usize>(coefficients: &[f64; N], x: f64) -> f64 {
    let square = x * x;
    let (mut even, mut odd) = (0.0, 0.0);
    for i in (0..N).rev() {
        if i % 2 == 0 {
            even = even * square + coefficients[i];
        } else {
            odd = odd * square + coefficients[i];
        }
    }
    even + x * odd
}

/// One term of a divergence, `p ln(p / q) + q - p`, never negative; `difference` is `q - p`, which
/// the caller may know better than it can be computed from the two.
///
/// The form `p (r - ln(1 + r))` holds for q from p/2 to 2p. Outside, r has lost what it needs: for
/// `q < 1e-16 p` it is -1, and the term would be infinite.
#[inline(always)]
pub(crate) fn divergence_term(p: f64, q: f64, difference: f64) -> f64 {
    let relative = difference / p;
    let near = p * gap_to_logarithm(relative);
    let far = p * log_ratio(p, q) + difference;
    let is_near = (-0.5..=1.0).contains(&relative);
    let term = if is_near { near } else { far };
    let term = if q == 0.0 { f64::INFINITY } else { term };
    if p == 0.0 { q } else { term }
}

/// `r - ln(1 + r)` for `-1/2 <= r <= 1`: never negative, and accurate to a few ulp however small
/// `r`.
///
/// ```text
/// s = r / (2 + r),   ln(1 + r) = 2 atanh(s) = 2s + 2s³/3 + 2s⁵/5 + ...,   r - 2s = r s
/// ```
#[inline(always)]
pub(crate) fn gap_to_logarithm(r: f64) -> f64 {
    let s = r / (2.0 + r);
    let square = s * s;
    s * (r - square * polynomial(&GAP, square))
}

/// ln(p / q) for positive numbers, whose ratio may leave the range of numbers.
#[inline(always)]
fn log_ratio(p: f64, q: f64) -> f64 {
    /// 2^-600.
    const DOWN: f64 = f64::from_bits((1023 - 600) << 52);
    /// 2^1000.
    const LARGE: f64 = f64::from_bits((1023 + 1000) << 52);
    let ratio = p / q;
    let (large, small) = (ratio > LARGE, ratio < 1.0 / LARGE);
    let p = if large { p * DOWN } else { p };
    let q = if small { q * DOWN } else { q };
    let back = if large { 600.0 * LN_2 } else { 0.0 };
    let back = if small { -600.0 * LN_2 } else { back };
    ln(p / q) + back
}

/// One term of a Jensen-Shannon divergence, `(p ln(p / m) + q ln(q / m)) / 2` with `m = (p + q) / 2`,
/// never negative, and the same bits with p and q exchanged.
///
/// ```text
/// m ((1 + t) ln(1 + t) + (1 - t) ln(1 - t)) / 2,   t = (q - p) / (q + p)
/// ```
///
/// The series holds for t² <= 1/2, which is for q from p/6 to 6p.
#[inline(always)]
pub(crate) fn middle_term(p: f64, q: f64) -> f64 {
    let total = p + q;
    let t = (q - p) / total;
    let square = t * t;
    let near = 0.5 * total * (square * polynomial(&SPLIT, square));
    let term = if square <= 0.5 { near } else { far_middle_term(p, q) };
    if total == 0.0 { 0.0 } else { term }
}

/// The same where the two are far apart, so that the logarithms do not cancel.
#[inline(always)]
fn far_middle_term(p: f64, q: f64) -> f64 {
    let total = p + q;
    let side = |p: f64| {
        let share = p / total;
        // A share that underflows counts nothing, but its logarithm must be a number.
        let share = if share < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { share };
        p * ln(2.0 * share)
    };
    0.5 * (side(p) + side(q))
}

/// The slope of half of `q ln(q / m)`, `m = (p + q) / 2`, in q: `ln(q / m) / 2`; at p = q = 0 the
/// limit from q > 0.
#[inline(always)]
pub(crate) fn half_log_of_share(p: f64, q: f64) -> f64 {
    let total = p + q;
    let relative = (q - p) / total;
    let near = ln_1p(relative);
    let far = ln(2.0 * (q / total));
    let slope = if relative < -0.5 { far } else { near };
    0.5 * if total == 0.0 { LN_2 } else { slope }
}

/// The slope of `p ln(p / q) + q - p` in p: `ln(p / q)`, accurate where the two are nearly equal too; where q is 0
/// the limit from p > 0.
#[inline(always)]
pub(crate) fn log_of_ratio(p: f64, q: f64) -> f64 {
    let relative = (p - q) / q;
    let near = ln_1p(relative);
    let far = if p == 0.0 { f64::NEG_INFINITY } else { log_ratio(p, q) };
    let is_near = (-0.5..=1.0).contains(&relative);
    let slope = if is_near { near } else { far };
    if q == 0.0 { f64::INFINITY } else { slope }
}

/// The slope of `-p ln p`: `-(ln p + 1)`, accurate where that crosses 0, at 1/e; infinite at 0.
///
/// ```text
/// -(ln p + 1) = -ln(e p) = -ln(1 + r),   r = (e p - 1)
/// ```
#[inline(always)]
pub(crate) fn entropy_slope(p: f64) -> f64 {
    /// What e is more than its nearest f64.
    const E_LOW: f64 = 1.4456468917292502e-16;
    let (product, error) = two_product(p, E);
    let r = (product - 1.0) + (error + p * E_LOW);
    let slope = if r < -0.75 { ln(p) + 1.0 } else { ln_1p(r) };
    0.0 - slope
}

/// Two probabilities of one class and what tells them apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    /// p, in the caller's unit.
    pub p: f64,
    /// q.
    pub q: f64,
    /// ln(q / p).
    pub log_ratio: f64,
    /// q - p, accurate where the two are nearly equal; exchanged, its negative to the last bit.
    pub gap: f64,
    /// The term of a Jensen-Shannon divergence, as [`middle_term`].
    pub middle: f64,
    /// p ln(p / q) + q - p, never negative, where neither is 0.
    pub divergence: f64,
}

impl Pair {
    /// From both probabilities and w = ln(q / p), each accurate.
    ///
    /// ```text
    /// q - p = p (e^w - 1),   p ln(p / q) + q - p = p (e^w - 1 - w)
    /// (p ln(p / m) + q ln(q / m)) / 2 = m ((w/2) tanh(w/2) - ln cosh(w/2))
    /// ```
    ///
    /// taken from the series for |w| <= 2 and from p and q elsewhere, where nothing cancels.
    #[inline(always)]
    pub fn new(p: f64, q: f64, w: f64) -> Self {
        let u = w.abs();
        let rise = u + u * u * polynomial(&BEND, u);
        let near_gap = if w > 0.0 { p * rise } else { -(q * rise) };
        let near = p * (w * w * polynomial(&BEND, w));
        let far = q - p * (1.0 + w);
        let is_near = u <= NEAR;
        let square = w * w;
        let near_middle = 0.5 * (p + q) * (square * polynomial(&SWAY, square));
        let far_middle = far_middle_term(p, q);
        let middle = if is_near { near_middle } else { far_middle };
        Self {
            p,
            q,
            log_ratio: w,
            gap: if is_near { near_gap } else { q - p },
            middle: if p + q == 0.0 { 0.0 } else { middle },
            divergence: if is_near { near } else { far },
        }
    }
}
