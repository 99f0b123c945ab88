//! Means with standard errors, from exact sums: of one loss, and of the difference of two.
//!
//! A [`Moments`] holds the exact sums of the weights, of the values and of their squares; a
//! [`PairMoments`] those of two paired losses and of their product. Both are finished in rational
//! arithmetic, so a variance does not cancel and equal losses have a standard error of exactly 0.
//!
//! # Weights
//!
//! Whole-number weights count rows: a weight of 3 is the row three times over, and every number
//! here is what the repeated rows give. As soon as one weight is not whole, weights are taken as
//! importances, whose scale means nothing: the mean is the weighted mean, and its standard error is
//!
//! ```text
//! se^2 = n / (n - 1) * sum (w_i (x_i - mean))^2 / (sum w_i)^2        n = rows of positive weight
//! ```
//!
//! (the linearisation of a ratio; Cochran, Sampling Techniques, 1977, 6.4), which for equal weights is
//! the ordinary `s / sqrt(n)`. A row of weight 0 is absent.

use crate::exact::{Exact, ExactSum, two_product};
use crate::special;

/// A number with its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Its standard error; NaN if there is none (one row, an infinite loss).
    pub se: f64,
    /// Its confidence interval; NaN if there is none.
    pub ci: [f64; 2],
}

impl Estimate {
    /// A number without a standard error.
    pub fn without_error(value: f64) -> Self {
        Self { value, se: f64::NAN, ci: [f64::NAN; 2] }
    }

    /// `value +- t se` with Student's t at `df` degrees of freedom.
    pub(crate) fn student(value: f64, se: f64, df: f64, level: f64) -> Self {
        if se.is_nan() || value.is_nan() || df <= 0.0 {
            return Self::without_error(value);
        }
        let reach = special::t_quantile(f64::midpoint(1.0, level), df) * se;
        // With no spread at all there is no reach, whatever the quantile.
        let reach = if se == 0.0 { 0.0 } else { reach };
        Self { value, se, ci: [value - reach, value + reach] }
    }

    /// The estimate in another unit: every part times `factor`, which is positive.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        Self { value: self.value * factor, se: self.se * factor, ci: self.ci.map(|x| x * factor) }
    }

    /// Nats to bits.
    #[must_use]
    pub fn in_bits(&self) -> Self {
        let bits = |x: f64| x / std::f64::consts::LN_2;
        Self { value: bits(self.value), se: bits(self.se), ci: self.ci.map(bits) }
    }

    /// The exponential of a mean, its standard error by the delta method, its interval by the
    /// exponentials of the interval's ends.
    #[must_use]
    pub fn exp(&self) -> Self {
        let value = libm::exp(self.value);
        Self { value, se: value * self.se, ci: self.ci.map(libm::exp) }
    }
}

/// The sums of weights that all moments need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    /// Rows of positive weight.
    rows: u64,
    /// Whether weights were given, and whether one of them is not a whole number.
    given: bool,
    fractional: bool,
    sum: ExactSum,
    squares: ExactSum,
}

impl Weights {
    /// Rows of positive weight.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether a weight is not a whole number, so that weights are importances and not counts.
    pub fn is_fractional(&self) -> bool {
        self.fractional
    }

    /// Sum of the weights; the number of rows if there are none.
    pub fn total(&self) -> f64 {
        if self.given { self.sum.value() } else { self.rows as f64 }
    }

    /// The number of rows that the uncertainty is about: repeated rows counted, importances not.
    pub fn effective(&self) -> f64 {
        if self.fractional { self.rows as f64 } else { self.total() }
    }

    /// Kish's effective number of rows, `(sum w)^2 / sum w^2`.
    pub fn kish(&self) -> f64 {
        if !self.given {
            return self.rows as f64;
        }
        match (self.sum.to_exact(), self.squares.to_exact()) {
            (Ok(sum), Ok(squares)) => (&sum * &sum).ratio(&squares),
            _ => f64::NAN,
        }
    }

    fn exact(&self) -> Option<Exact> {
        if self.given { self.sum.to_exact().ok() } else { Some(Exact::integer(self.rows)) }
    }

    /// Takes the weights as importances, because some weight of the table is not whole, here or not.
    fn mark_importances(&mut self) {
        self.fractional = true;
    }

    fn add(&mut self, n: usize, weights: Option<&[f64]>) {
        self.rows += n as u64;
        if let Some(weights) = weights {
            self.given = true;
            self.fractional |= weights.iter().any(|w| w.trunc() != *w);
            self.sum.add_slice(weights);
            self.squares.add_products(weights, weights);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.given |= other.given;
        self.fractional |= other.fractional;
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
    }

    /// The variance of a weighted mean from the exact sums of a spread, see [`spread`].
    fn se(&self, spread: &Spread) -> f64 {
        let n = if self.fractional {
            Exact::integer(self.rows)
        } else {
            match self.exact() {
                Some(n) => n,
                None => return f64::NAN,
            }
        };
        let Some(w) = self.exact() else { return f64::NAN };
        let rest = &n - &Exact::integer(1);
        if self.effective() <= 1.0 {
            return f64::NAN;
        }
        // Whole weights: (W S2 - S1^2) / (W^2 (W - 1)).
        // Importances: n / (n - 1) * (W^2 Suu - 2 W S1 Suw + S1^2 Sww) / W^4.
        let ww = &w * &w;
        if self.fractional {
            let Ok(squares) = self.squares.to_exact() else { return f64::NAN };
            let mut q = &ww * &spread.uu;
            let cross = &(&w * &spread.first) * &spread.uw;
            q = &q - &(&cross * &Exact::integer(2));
            q += &(&spread.first * &spread.first) * &squares;
            (&q * &n).ratio(&(&(&ww * &ww) * &rest)).sqrt()
        } else {
            let s = &(&w * &spread.second) - &(&spread.first * &spread.first);
            s.ratio(&(&ww * &rest)).sqrt()
        }
    }
}

/// Exact sums of some x: `sum w x`, `sum w x^2`, and with u = w x: `sum u^2`, `sum u w`.
struct Spread {
    first: Exact,
    second: Exact,
    uu: Exact,
    uw: Exact,
}

/// Exact sums of one loss over rows: its mean and the mean's standard error.
///
/// Finite values only: whoever adds rows keeps infinite losses apart.
///
/// # Accuracy
///
/// The mean is the correctly rounded quotient of the exact sums; the standard error is the square
/// root of a correctly rounded variance.
///
/// # Example
///
/// ```
/// use xent::moments::Moments;
///
/// let mut moments = Moments::default();
/// moments.add(&[1.0, 2.0, 3.0, 4.0], None);
/// let mean = moments.mean(0.95);
/// assert_eq!(mean.value, 2.5);
/// assert!((mean.se - 0.6454972243679028).abs() < 1e-15); // sqrt(5/3) / 2
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    weights: Weights,
    sum: ExactSum,
    squares: ExactSum,
    uu: ExactSum,
    uw: ExactSum,
    /// Whether some values came without their squares.
    without_spread: bool,
}

impl Moments {
    /// Adds values, with positive weights if they have any.
    pub fn add(&mut self, values: &[f64], weights: Option<&[f64]>) {
        self.weights.add(values.len(), weights);
        match weights {
            None => {
                self.sum.add_slice(values);
                self.squares.add_products(values, values);
            }
            Some(weights) => {
                let weighted = weigh(values, weights);
                self.sum.add_products(weights, values);
                add_all(&mut self.squares, &weighted, &[values]);
                add_all(&mut self.uu, &weighted, &weighted);
                add_all(&mut self.uw, &weighted, &[weights]);
            }
        }
    }

    /// Adds values for their mean only, at half the cost; the mean then has no standard error.
    pub fn add_without_spread(&mut self, values: &[f64], weights: Option<&[f64]>) {
        self.weights.add(values.len(), weights);
        self.without_spread = true;
        match weights {
            None => self.sum.add_slice(values),
            Some(weights) => self.sum.add_products(weights, values),
        }
    }

    /// Adds values that are all 0 or 1: how many there are and how many of them are 1.
    pub fn add_indicators(&mut self, n: usize, ones: u64) {
        self.weights.add(n, None);
        self.sum.add(ones as f64);
        self.squares.add(ones as f64);
    }

    /// Adds the rows of another sum.
    pub fn merge(&mut self, other: &Self) {
        self.weights.merge(&other.weights);
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
        self.uu.merge(&other.uu);
        self.uw.merge(&other.uw);
        self.without_spread |= other.without_spread;
    }

    /// The weights that were added.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Takes the weights as importances although those added here are whole: whether weights count
    /// rows is a matter of the whole table, also for a part of its rows.
    pub fn mark_importances(&mut self) {
        self.weights.mark_importances();
    }

    /// The sum of weight times value, correctly rounded.
    pub fn sum(&self) -> f64 {
        self.sum.value()
    }

    /// The mean, its standard error, and its interval by Student's t; NaN without rows.
    pub fn mean(&self, level: f64) -> Estimate {
        let (value, se) = self.value_and_se();
        Estimate::student(value, se, self.weights.effective() - 1.0, level)
    }

    /// The mean of zeros and ones; its interval is Wilson's (1927), which stays within [0, 1] and
    /// does not vanish when no error was seen.
    pub fn proportion(&self, level: f64) -> Estimate {
        let (value, se) = self.value_and_se();
        let n = if self.weights.fractional { self.weights.kish() } else { self.weights.total() };
        if n.is_nan() || n <= 0.0 {
            return Estimate::without_error(value);
        }
        let (low, high) = special::wilson_interval(value * n, n, level);
        Estimate { value, se, ci: [low, high] }
    }

    fn value_and_se(&self) -> (f64, f64) {
        let (Some(w), Ok(first)) = (self.weights.exact(), self.sum.to_exact()) else {
            return (f64::NAN, f64::NAN);
        };
        let value = first.ratio(&w);
        if self.without_spread {
            return (value, f64::NAN);
        }
        let (Ok(second), Ok(uu), Ok(uw)) =
            (self.squares.to_exact(), self.uu.to_exact(), self.uw.to_exact())
        else {
            return (value, f64::NAN);
        };
        (value, self.weights.se(&Spread { first, second, uu, uw }))
    }
}

/// The products of values and weights and their rounding errors: together exactly weight times value.
fn weigh(values: &[f64], weights: &[f64]) -> [Vec<f64>; 2] {
    let (products, errors) = values.iter().zip(weights).map(|(&x, &w)| two_product(x, w)).unzip();
    [products, errors]
}

/// Adds `(sum of a's parts) * (sum of b's parts)`, row by row.
fn add_all<A: AsRef<[f64]>, B: AsRef<[f64]>>(sum: &mut ExactSum, a: &[A], b: &[B]) {
    for a in a {
        for b in b {
            sum.add_products(a.as_ref(), b.as_ref());
        }
    }
}

/// A standard error, or a difference, below this part of the losses is that of rounding.
const NO_SPREAD: f64 = 1e-12;

/// Exact sums of two losses over the same rows: the difference of their means, paired.
///
/// # Accuracy
///
/// As [`Moments`]; the variance of the difference comes from exact sums of squares and products,
/// so a pair of equal models has a difference and a standard error of exactly 0, and exchanging the
/// two only changes the sign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairMoments {
    weights: Weights,
    a: Half,
    b: Half,
    ab: ExactSum,
    u_ab: ExactSum,
    /// Sum of w d^3, d = fl(a - b): only for the caution about skewed differences.
    cubes: ExactSum,
}

/// The sums of one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Half {
    sum: ExactSum,
    squares: ExactSum,
    uu: ExactSum,
    uw: ExactSum,
}

impl Half {
    fn merge(&mut self, other: &Self) {
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
        self.uu.merge(&other.uu);
        self.uw.merge(&other.uw);
    }
}

impl PairMoments {
    /// Adds the losses of both models on the same rows; finite ones only.
    pub fn add(&mut self, a: &[f64], b: &[f64], weights: Option<&[f64]>) {
        self.weights.add(a.len(), weights);
        let ones;
        let w = if let Some(w) = weights {
            let (wa, wb) = (weigh(a, w), weigh(b, w));
            for (half, x, weighted) in [(&mut self.a, a, &wa), (&mut self.b, b, &wb)] {
                half.sum.add_products(w, x);
                add_all(&mut half.squares, weighted, &[x]);
                add_all(&mut half.uu, weighted, weighted);
                add_all(&mut half.uw, weighted, &[w]);
            }
            add_all(&mut self.ab, &wa, &[b]);
            add_all(&mut self.u_ab, &wa, &wb);
            w
        } else {
            for (half, x) in [(&mut self.a, a), (&mut self.b, b)] {
                half.sum.add_slice(x);
                half.squares.add_products(x, x);
            }
            self.ab.add_products(a, b);
            ones = vec![1.0; a.len()];
            &ones
        };
        let cubes: Vec<f64> = a
            .iter()
            .zip(b)
            .zip(w)
            .map(|((&a, &b), &w)| {
                let d = a - b;
                w * (d * d * d)
            })
            .collect();
        self.cubes.add_slice(&cubes);
    }

    /// Adds the rows of another sum.
    pub fn merge(&mut self, other: &Self) {
        self.weights.merge(&other.weights);
        self.a.merge(&other.a);
        self.b.merge(&other.b);
        self.ab.merge(&other.ab);
        self.u_ab.merge(&other.u_ab);
        self.cubes.merge(&other.cubes);
    }

    /// The weights that were added.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// As [`Moments::mark_importances`].
    pub fn mark_importances(&mut self) {
        self.weights.mark_importances();
    }

    /// The two means.
    pub fn means(&self) -> Option<[f64; 2]> {
        let w = self.weights.exact()?;
        Some([self.a.sum.to_exact().ok()?.ratio(&w), self.b.sum.to_exact().ok()?.ratio(&w)])
    }

    /// Mean of `a - b` with its paired standard error, and the two-sided p-value of the paired
    /// t-test that it is zero.
    ///
    /// ```text
    /// t = d / se(d),   n - 1 degrees of freedom
    /// ```
    ///
    /// One row has no p (NaN). Where every row differs by the same amount, up to rounding, there is no
    /// spread to judge by, and p is that of the exact sign test, `2^(1 - n)`; 1 if the difference
    /// is 0.
    pub fn difference(&self, level: f64) -> Difference {
        self.contrast(1.0, 1.0, level)
    }

    /// As [`difference`](Self::difference) for the mean of `ca a - cb b`.
    pub fn contrast(&self, ca: f64, cb: f64, level: f64) -> Difference {
        let none = Difference {
            estimate: Estimate::without_error(f64::NAN),
            p: f64::NAN,
            has_spread: false,
            skewness: f64::NAN,
        };
        let Some(w) = self.weights.exact() else { return none };
        let Some(spread) = self.spread(ca, cb) else { return none };
        let value = spread.first.ratio(&w);
        let se = self.weights.se(&spread);
        let df = self.weights.effective() - 1.0;
        // Against the losses as well: equal losses that differ by rounding are equal.
        let size = self.means().map_or(0.0, |[a, b]| (ca * a).abs().max((cb * b).abs()));
        let has_spread = se > NO_SPREAD * value.abs().max(size);
        let p = if se.is_nan() {
            f64::NAN
        } else if !has_spread && value.abs() <= NO_SPREAD * size {
            1.0
        } else if !has_spread {
            special::binomial_two_sided_half(0, self.weights.effective() as u64)
        } else {
            special::t_two_sided_p(value / se, df)
        };
        let estimate = Estimate::student(value, se, df, level);
        Difference { estimate, p, has_spread, skewness: self.skewness() }
    }

    /// The exact sums of `ca a - cb b`.
    fn spread(&self, ca: f64, cb: f64) -> Option<Spread> {
        let (ca, cb) = (Exact::of(ca), Exact::of(cb));
        let linear = |a: &ExactSum, b: &ExactSum| -> Option<Exact> {
            Some(&(&ca * &a.to_exact().ok()?) - &(&cb * &b.to_exact().ok()?))
        };
        let square = |aa: &ExactSum, ab: &ExactSum, bb: &ExactSum| -> Option<Exact> {
            let mut sum = &(&ca * &ca) * &aa.to_exact().ok()?;
            sum += &(&cb * &cb) * &bb.to_exact().ok()?;
            let cross = &(&ca * &cb) * &ab.to_exact().ok()?;
            Some(&sum - &(&cross * &Exact::integer(2)))
        };
        Some(Spread {
            first: linear(&self.a.sum, &self.b.sum)?,
            second: square(&self.a.squares, &self.ab, &self.b.squares)?,
            uu: square(&self.a.uu, &self.u_ab, &self.b.uu)?,
            uw: linear(&self.a.uw, &self.b.uw)?,
        })
    }

    /// Sample skewness of the differences, `m3 / m2^1.5`; NaN without spread.
    fn skewness(&self) -> f64 {
        let (Some(spread), total) = (self.spread(1.0, 1.0), self.weights.total()) else {
            return f64::NAN;
        };
        let mean = spread.first.to_f64() / total;
        let square = spread.second.to_f64() / total;
        let m2 = square - mean * mean;
        let m3 = self.cubes.value() / total - 3.0 * mean * square + 2.0 * mean * mean * mean;
        if m2 > 1e-12 * square { m3 / (m2 * m2.sqrt()) } else { f64::NAN }
    }
}

/// A difference of two means over the same rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The difference, its paired standard error and interval.
    pub estimate: Estimate,
    /// Two-sided p-value that it is zero.
    pub p: f64,
    /// Whether the rows differ by different amounts, beyond rounding.
    pub has_spread: bool,
    /// Skewness of the per-row differences.
    pub skewness: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The mean and standard error agree with the textbook formulas in f64 within this.
    const RELATIVE: f64 = 1e-11;

    fn textbook(values: &[f64]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let s2 = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, (s2 / n).sqrt())
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= RELATIVE * a.abs().max(b.abs())
    }

    proptest! {
        #[test]
        fn moments_match_the_textbook(values in prop::collection::vec(0.0..20.0_f64, 2..60)) {
            let mut moments = Moments::default();
            moments.add(&values, None);
            let estimate = moments.mean(0.95);
            let (mean, se) = textbook(&values);
            prop_assert!(close(estimate.value, mean));
            prop_assert!(close(estimate.se, se) || se < 1e-7);
        }

        #[test]
        fn integer_weights_are_repeated_rows(
            rows in prop::collection::vec((0.0..20.0_f64, 0.0..20.0_f64, 1u32..5), 1..30)
        ) {
            let a: Vec<f64> = rows.iter().map(|r| r.0).collect();
            let b: Vec<f64> = rows.iter().map(|r| r.1).collect();
            let w: Vec<f64> = rows.iter().map(|r| f64::from(r.2)).collect();
            let repeat = |x: &[f64]| -> Vec<f64> {
                x.iter().zip(&rows).flat_map(|(x, r)| vec![*x; r.2 as usize]).collect()
            };
            let (mut weighted, mut repeated) = (Moments::default(), Moments::default());
            weighted.add(&a, Some(&w));
            repeated.add(&repeat(&a), None);
            let bits = |e: Estimate| [e.value, e.se, e.ci[0], e.ci[1]].map(f64::to_bits);
            prop_assert_eq!(bits(weighted.mean(0.95)), bits(repeated.mean(0.95)));
            let (mut weighted, mut repeated) = (PairMoments::default(), PairMoments::default());
            weighted.add(&a, &b, Some(&w));
            repeated.add(&repeat(&a), &repeat(&b), None);
            let (x, y) = (weighted.difference(0.95), repeated.difference(0.95));
            prop_assert_eq!(bits(x.estimate), bits(y.estimate));
            prop_assert_eq!(x.p.to_bits(), y.p.to_bits());
        }

        #[test]
        fn equal_fractional_weights_change_nothing_but_rounding(
            values in prop::collection::vec(0.0..20.0_f64, 2..40)
        ) {
            let (mut plain, mut weighted) = (Moments::default(), Moments::default());
            plain.add(&values, None);
            weighted.add(&values, Some(&vec![0.3; values.len()]));
            let (x, y) = (plain.mean(0.95), weighted.mean(0.95));
            prop_assert!(close(x.value, y.value));
            prop_assert!(close(x.se, y.se) || x.se < 1e-7);
        }

        #[test]
        fn pairs_match_the_differences_and_are_antisymmetric(
            rows in prop::collection::vec((0.0..20.0_f64, 0.0..20.0_f64), 2..40)
        ) {
            let a: Vec<f64> = rows.iter().map(|r| r.0).collect();
            let b: Vec<f64> = rows.iter().map(|r| r.1).collect();
            let d: Vec<f64> = rows.iter().map(|r| r.0 - r.1).collect();
            let (mut ab, mut ba, mut aa) =
                (PairMoments::default(), PairMoments::default(), PairMoments::default());
            ab.add(&a, &b, None);
            ba.add(&b, &a, None);
            aa.add(&a, &a, None);
            let (x, y, z) = (ab.difference(0.95), ba.difference(0.95), aa.difference(0.95));
            let (mean, se) = textbook(&d);
            prop_assert!((x.estimate.value - mean).abs() < 1e-12);
            prop_assert!(close(x.estimate.se, se) || se < 1e-7);
            prop_assert_eq!(x.estimate.value, -y.estimate.value);
            prop_assert_eq!(x.estimate.se, y.estimate.se);
            prop_assert_eq!(x.p, y.p);
            prop_assert_eq!(z.estimate, Estimate { value: 0.0, se: 0.0, ci: [0.0; 2] });
            prop_assert_eq!(z.p, 1.0);
        }
    }

    #[test]
    fn equal_losses_have_no_spread_at_all() {
        let mut moments = Moments::default();
        moments.add(&vec![0.1; 1_000_003], None);
        assert_eq!(moments.mean(0.95), Estimate { value: 0.1, se: 0.0, ci: [0.1; 2] });
    }

    #[test]
    fn one_row_has_a_value_and_no_error() {
        let mut moments = Moments::default();
        moments.add(&[0.5], None);
        let mean = moments.mean(0.95);
        assert_eq!(mean.value, 0.5);
        assert!(mean.se.is_nan() && mean.ci[0].is_nan());
        assert!(Moments::default().mean(0.95).value.is_nan());
    }
}
