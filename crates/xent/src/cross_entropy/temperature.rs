//! Logits divided by a temperature: the difference from the row's maximum first, in two parts, then the division.
//!
//! ```text
//! (x - max) / T = q + low
//! ```
//!
//! x / T rounded before the difference would be off by half an ulp of itself, which at 420 is a hundred ulp of a
//! small loss.

use crate::elementary::power_of_two;
use crate::exact::two_product;
use crate::exponentials::{Arithmetic, Reference, parted, times_power};
use crate::lanes::two_sum;
use crate::simd::leveled;

/// Below this q the low part is nothing beside it, and e^q is 0.
const FAR: f64 = -1000.0;

/// What the logits of a row are subtracted from and divided by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Temperature {
    /// t of T = 2^k t, in [1/2, 1): products with it leave no range.
    t: f64,
    /// Powers of two that come to 2^-k: what makes numbers smaller is applied before the difference, which so has room,
    /// and what makes them larger after it, in two steps.
    before: f64,
    after: [f64; 2],
    /// The maximum times `before`.
    max: f64,
}

impl Temperature {
    pub fn new(temperature: f64, max: f64) -> Self {
        let (m, e) = parted(temperature);
        let k = e + 1.0;
        let before = times_power(1.0, (0.0 - k).min(0.0));
        let up = (0.0 - k).max(0.0);
        let half = (up * 0.5).floor();
        let after = [half, up - half].map(power_of_two);
        Self { t: 0.5 * m, before, after, max: max * before }
    }

    /// (x - max) / T, and what that lost; for -inf, and where it is out of range, -inf.
    #[inline(always)]
    pub fn beside(&self, x: f64) -> (f64, f64) {
        let (d, lost) = two_sum(x * self.before, -self.max);
        let [d, lost] = [d, lost].map(|x| x * self.after[0] * self.after[1]);
        let q = d / self.t;
        let (product, error) = two_product(q, self.t);
        let low = (((d - product) - error) + lost) / self.t;
        (q, if q > FAR { low } else { 0.0 })
    }
}

leveled! {
    /// The terms of numbers that a temperature divides; `reference` is that of 0.
    pub(super) fn fill_tempered[A: Arithmetic](
        x: &[A],
        terms: &mut [A],
        temperature: &Temperature,
        reference: &Reference<A>,
    ) => tempered_body::<FMA>
}

#[inline(always)]
fn tempered_body<const FMA: bool, A: Arithmetic>(
    x: &[A],
    terms: &mut [A],
    temperature: &Temperature,
    reference: &Reference<A>,
) {
    for (term, &x) in terms.iter_mut().zip(x) {
        let (q, low) = temperature.beside(x.to_f64());
        let high = A::term::<FMA, false>(A::from_f64(q), reference);
        *term = high.plus(high.times(A::from_f64(low)));
    }
}
