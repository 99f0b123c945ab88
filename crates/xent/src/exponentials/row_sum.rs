//! The sum of the terms of a long row but its target's, at the speed of the exponentials.

use super::{Accumulator, Arithmetic, Reference, terms_body, unit};
use crate::simd::{self, leveled};

/// Bytes ahead that memory is asked for: the hardware stops at every page. With terms that are kept less is better.
const AHEAD: [usize; 2] = [8192, 2048];

leveled! {
    /// [`sum_but`] of the first `v` numbers, within the limits of the scale.
    pub(crate) fn sum_terms[A: Arithmetic](x: &[A], v: usize, but: usize, reference: &Reference<A>) -> f64 => sum_terms_body::<FMA>
}

#[inline(always)]
fn sum_terms_body<const FMA: bool, A: Arithmetic>(
    x: &[A],
    v: usize,
    but: usize,
    reference: &Reference<A>,
) -> f64 {
    sum_but::<FMA, true, false, A>(x, v, &mut [], but, reference).unwrap_or(f64::NAN)
}

leveled! {
    /// The same, with the terms in `out`, which is as long, that one as 0.
    pub(crate) fn fill_and_sum[A: Arithmetic](x: &[A], v: usize, out: &mut [A], but: usize, reference: &Reference<A>) -> f64
        => fill_and_sum_body::<FMA>
}

#[inline(always)]
fn fill_and_sum_body<const FMA: bool, A: Arithmetic>(
    x: &[A],
    v: usize,
    out: &mut [A],
    but: usize,
    reference: &Reference<A>,
) -> f64 {
    sum_but::<FMA, true, true, A>(x, v, out, but, reference).unwrap_or(f64::NAN)
}

/// The sum of the terms of a row but that at `but`, and with `KEEP` the terms in `out`, that one as 0.
///
/// The row is the first `v` numbers of `x`: what is behind it may be read, and counts nothing. The unit of `but` comes last, whole
/// or not, so that all others are one loop of the same length for rows of the same length. Without `CLAMP` it is faster, with
/// the same bits, and nothing where a number is beyond the limits of the scale.
#[inline(always)]
pub(crate) fn sum_but<const FMA: bool, const CLAMP: bool, const KEEP: bool, A: Arithmetic>(
    x: &[A],
    v: usize,
    out: &mut [A],
    but: usize,
    reference: &Reference<A>,
) -> Option<f64> {
    let n = const { unit::<A>() };
    let (special, whole) = (but / n, v / n);
    let mut sums = Sums { high: Accumulator::new(), seen: [A::Seen::default(); 16] };
    for i in 0..whole - usize::from(special < whole) {
        let at = (i + usize::from(i >= special)) * n;
        let out = if KEEP { &mut out[at..at + n] } else { &mut [] };
        sums.add::<FMA, CLAMP, KEEP, false>(&x[at..at + n], out, (n, n), reference);
    }
    if special < whole && whole * n < v {
        sums.add_odd::<FMA, CLAMP, KEEP>(x, out, (whole * n, v), v, reference);
    }
    let end = v.min((special + 1) * n);
    sums.add_odd::<FMA, CLAMP, KEEP>(x, out, (special * n, end), but, reference);
    if CLAMP || !FMA || A::are_exponents(&sums.seen) {
        Some(total_apart::<A>(&sums.high.clone()))
    } else {
        None
    }
}

/// A sum, and the exponents of its terms.
struct Sums<A: Arithmetic> {
    high: Accumulator,
    seen: [A::Seen; 16],
}

impl<A: Arithmetic> Sums<A> {
    /// Adds the terms of a unit, a lane at a time; if it is `ODD`, 0 for that at `but` and those from `end` on.
    #[inline(always)]
    fn add<const FMA: bool, const CLAMP: bool, const KEEP: bool, const ODD: bool>(
        &mut self,
        x: &[A],
        out: &mut [A],
        (but, end): (usize, usize),
        reference: &Reference<A>,
    ) {
        let n = const { unit::<A>() };
        simd::prefetch_lines(x, AHEAD[usize::from(KEEP)] / size_of::<A>(), n);
        let x = &x[..n];
        let out = &mut out[..if KEEP { n } else { 0 }];
        let (but, end) = (but as u32, end as u32);
        if !FMA {
            // So much work in a term that it is done a term at a time, with a look at the limits.
            let mut terms = [A::default(); 64];
            terms_body::<FMA, A>(x, &mut terms[..n], reference);
            for (l, term) in (0_u32..).zip(&mut terms[..n]) {
                let none = ODD && ((l == but) | (l >= end));
                *term = if none { A::default() } else { *term };
            }
            self.high.add_unit::<A, false>(terms[..n].chunks_exact(A::LANES));
            if KEEP {
                out.copy_from_slice(&terms[..n]);
            }
            return;
        }
        let mut lanes = [A::default(); 16];
        for l in 0..A::LANES {
            let (mut lane, mut all) = (A::default(), self.seen[l]);
            // Not stepped by lanes: this way the compiler sees that there are four.
            for link in 0..A::CHAIN {
                let at = link * A::LANES + l;
                let (mut term, mut bits) = if !CLAMP {
                    A::term_seen::<FMA>(x[at], reference)
                } else if reference.shift == A::default() {
                    (A::term::<FMA, false>(x[at], reference), A::Seen::default())
                } else {
                    (A::term::<FMA, true>(x[at], reference), A::Seen::default())
                };
                if ODD {
                    let none = (at as u32 == but) | (at as u32 >= end);
                    term = if none { A::default() } else { term };
                    bits = if none { A::Seen::default() } else { bits };
                }
                lane = lane.plus(term);
                all = all | bits;
                if KEEP {
                    out[at] = term;
                }
            }
            (lanes[l], self.seen[l]) = (lane, all);
        }
        self.high.add_lanes::<A>(&lanes);
    }

    /// Adds the terms of the unit in `from..to`, that at `but` as 0.
    #[inline(always)]
    fn add_odd<const FMA: bool, const CLAMP: bool, const KEEP: bool>(
        &mut self,
        x: &[A],
        out: &mut [A],
        (from, to): (usize, usize),
        but: usize,
        reference: &Reference<A>,
    ) {
        let n = const { unit::<A>() };
        let mut copy = [A::default(); 64];
        let numbers = if let Some(numbers) = x.get(from..from + n) {
            numbers
        } else {
            copy[..to - from].copy_from_slice(&x[from..to]);
            &copy[..n]
        };
        let places = (but - from, to - from);
        if !KEEP || to - from == n {
            let out = if KEEP { &mut out[from..to] } else { &mut [] };
            self.add::<FMA, CLAMP, KEEP, true>(numbers, out, places, reference);
        } else {
            let mut terms = [A::default(); 64];
            self.add::<FMA, CLAMP, KEEP, true>(numbers, &mut terms[..n], places, reference);
            for (out, term) in out[from..to].iter_mut().zip(terms) {
                *out = term;
            }
        }
    }
}

/// The sum, out of sight of the loops before: its tree would have the compiler take their lanes apart.
#[inline(never)]
fn total_apart<A: Arithmetic>(sum: &Accumulator) -> f64 {
    sum.total::<A>()
}
