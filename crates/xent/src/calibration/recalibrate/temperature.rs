//! The temperature of least cross entropy, by few passes over the logits.
//!
//! ```text
//! L(b) = sum w [ln sum_c e^(b x_c) - b x_y]      b = 1/T; convex
//! L'   = sum w [k1 - x_y],   and its derivatives  sum w k2,   sum w k3,   sum w k4
//! ```
//!
//! with k1, k2, ... the cumulants of x under softmax(b x): mean, variance and so on. One pass over the logits gives all of them, from
//! the sums of d^k e^(b d) with d = x - max. The zero of L' is taken from its Taylor series to the third order, whose error is of the
//! order of the step's fourth power; a sample of the rows finds a start that is about a percent off, so one pass over all rows is
//! mostly enough. L' rises, so its zero is bracketed, and a step that leaves the bracket is halved instead.

use crate::calibration::random::mix;
use crate::element::Element;
use crate::elementary::{WHOLE32, exp, exp_parts, ln_1p};
use crate::exact::ExactSum;
use crate::simd::{self, leveled};
use crate::view::View;

/// Bounds of 1/T.
const RANGE: [f64; 2] = [1.0 / 1_048_576.0, 1_048_576.0];
/// Passes at most.
const PASSES: usize = 60;
/// What the error of the last step may be, relative: of f64, and of f32, whose sums have no more digits.
const SMALL: f64 = 1e-11;
const SMALL_F32: f64 = 5e-8;
/// The same where the result is a start only.
const ROUGH: f64 = 1e-3;
/// Numbers from which on a part of the rows finds the start.
const MANY: usize = 1 << 20;
/// One row of so many is in that part.
const PART: u64 = 16;
/// Rows between two additions to the sums.
const BATCH: usize = 512;
/// Sums of a row: of d^k e^(b d) for k from 0 to 4.
const POWERS: usize = 5;
/// Numbers side by side, and how many of them a lane of f32 adds up before it is emptied.
const LANES: usize = 16;
const CHAIN: usize = 4;
/// Numbers of f64 side by side.
const LANES_F64: usize = 8;
/// Numbers ahead that memory is asked for.
const AHEAD: usize = 512;

/// The inverse of the temperature.
pub(super) fn fit<T: Element>(x: View<'_, T>, labels: &[u32], weights: Option<&[f64]>) -> f64 {
    let rows = Rows { x, labels, weights };
    let n = labels.len();
    let mut start = 1.0;
    if n * x.n_cols() > MANY {
        // Chosen by what is in a row, not by its place: in any order the same rows. One number is enough for a start.
        let is_in = |&row: &usize| {
            let own = x.get(row, labels[row] as usize).to_f64().to_bits();
            mix(mix(own) ^ u64::from(labels[row])).is_multiple_of(PART)
        };
        let part: Vec<usize> = (0..n).filter(is_in).collect();
        start = newton(|b| rows.derivatives(part.iter().copied(), b), start, ROUGH);
    }
    let small = if T::WIDE { SMALL } else { SMALL_F32 };
    newton(|b| rows.derivatives(0..n, b), start, small)
}

/// The zero of a rising function, from its value and three derivatives at a point.
fn newton(at: impl Fn(f64) -> [f64; 4], start: f64, small: f64) -> f64 {
    let [mut low, mut high] = RANGE;
    let mut b = start;
    for _ in 0..PASSES {
        let derivatives = at(b);
        let [slope, curve, ..] = derivatives;
        if slope == 0.0 {
            return b;
        }
        if slope > 0.0 {
            high = b;
        } else {
            low = b;
        }
        let (step, error) = series_zero(derivatives);
        // Far from the zero the series means nothing, and may have a zero of its own elsewhere.
        let plain = -slope / curve;
        let is_near = step.abs() <= b / 4.0 && (step - plain).abs() <= plain.abs() / 2.0;
        let newton = b + if is_near { step } else { plain };
        let is_inside = newton > low && newton < high;
        // Out of the bracket, or no curvature: the middle, by ratio.
        let next = if is_inside { newton } else { (low * high).sqrt().clamp(b / 16.0, b * 16.0) };
        let moved = (next - b).abs();
        b = next;
        if moved <= 4.0 * f64::EPSILON * b || (is_near && is_inside && error <= small * b) {
            break;
        }
    }
    b
}

/// The zero of `g + h s + t s^2/2 + f s^3/6` nearest to 0, and about how far it is from the zero of the function whose value and
/// derivatives these are.
fn series_zero([g, h, t, f]: [f64; 4]) -> (f64, f64) {
    let zero = |f: f64| {
        let mut s = -g / h;
        for _ in 0..6 {
            let value = g + s * (h + s * (t / 2.0 + s * f / 6.0));
            s -= value / (h + s * (t + s * f / 2.0));
        }
        s
    };
    let (third, second) = (zero(f), zero(0.0));
    // Each order changes the step by less than the one before, in about the same ratio: the larger of the two that are
    // seen, and four times that for what is not seen.
    let change = (third - second).abs();
    let ratio = (change / third.abs()).max((t / h * third).abs());
    (third, if third.is_finite() { 4.0 * change * ratio } else { f64::INFINITY })
}

struct Rows<'a, T> {
    x: View<'a, T>,
    labels: &'a [u32],
    weights: Option<&'a [f64]>,
}

impl<T: Element> Rows<'_, T> {
    /// L' and its three derivatives at b, over the rows whose loss is finite.
    fn derivatives(&self, rows: impl Iterator<Item = usize>, b: f64) -> [f64; 4] {
        let Self { x, labels, weights } = *self;
        let mut sums = [(); 4].map(|()| ExactSum::new());
        let mut batch = [[0.0; BATCH]; 4];
        let mut filled = 0;
        let mut room = Room::default();
        for row in rows {
            let own = x.get(row, labels[row] as usize).to_f64();
            let w = weights.map_or(1.0, |w| w[row]);
            let Moments { max, sums: [s0, powers @ ..] } = match room.numbers(x, row) {
                Numbers::F32(x) => moments_f32(x, b as f32),
                Numbers::F64(x) => moments_f64(x, b),
            };
            // Rows without a finite loss have it at every temperature.
            if w > 0.0 && own > f64::NEG_INFINITY && max < f64::INFINITY {
                let [m1, m2, m3, m4] = powers.map(|sum| sum / s0);
                let square = m1 * m1;
                batch[0][filled] = w * (m1 - (own - max));
                batch[1][filled] = w * (m2 - square);
                batch[2][filled] = w * (m3 - 3.0 * m2 * m1 + 2.0 * square * m1);
                let even = 12.0 * m2 * square - 6.0 * square * square;
                batch[3][filled] = w * (m4 - 4.0 * m3 * m1 - 3.0 * m2 * m2 + even);
                filled += 1;
            }
            if filled == BATCH {
                sums.iter_mut().zip(&batch).for_each(|(sum, batch)| sum.add_slice(batch));
                filled = 0;
            }
        }
        sums.iter_mut().zip(&batch).for_each(|(sum, batch)| sum.add_slice(&batch[..filled]));
        sums.map(|sum| sum.value())
    }
}

/// The sum of the log losses of `softmax(x / temperature)`, with weights; `None` if a row has a number that the plain formula does
/// not hold for (NaN, an infinity above all others).
///
/// ```text
/// loss = (max - x_y) b + ln_1p(sum of e^((x_c - max) b) over all classes but the top one)
/// ```
///
/// A small loss keeps its digits, of f64 or, for f32 logits, of f32.
pub(super) fn losses<T: Element>(
    x: View<'_, T>,
    labels: &[u32],
    weights: Option<&[f64]>,
    temperature: f64,
) -> Option<ExactSum> {
    let b = 1.0 / temperature;
    let mut sum = ExactSum::new();
    let mut batch = [0.0; BATCH];
    let mut filled = 0;
    let mut room = Room::default();
    for (row, &label) in labels.iter().enumerate() {
        let w = weights.map_or(1.0, |w| w[row]);
        let Beside { max, rest } = match room.numbers(x, row) {
            Numbers::F32(x) => beside_f32(x, b as f32),
            Numbers::F64(x) => beside_f64(x, b),
        };
        let own = x.get(row, label as usize).to_f64();
        let loss = (max - own) * b + ln_1p(rest);
        if loss.is_nan() {
            return None;
        }
        if w > 0.0 {
            batch[filled] = loss;
            if w != 1.0 {
                sum.add_product(w, loss);
                batch[filled] = 0.0;
            }
            filled += 1;
        }
        if filled == BATCH {
            sum.add_slice(&batch);
            filled = 0;
        }
    }
    sum.add_slice(&batch[..filled]);
    Some(sum)
}

/// A row's numbers one after another, in the arithmetic of their kind.
enum Numbers<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
}

/// Room for a row that does not lie so.
#[derive(Default)]
struct Room {
    narrow: Vec<f32>,
    wide: Vec<f64>,
}

impl Room {
    fn numbers<'a, T: Element>(&'a mut self, x: View<'a, T>, row: usize) -> Numbers<'a> {
        let (slice, columns) = (x.row(row), 0..x.n_cols());
        if T::WIDE {
            return Numbers::F64(slice.and_then(T::as_f64).unwrap_or_else(|| {
                self.wide.clear();
                self.wide.extend(columns.map(|c| x.get(row, c).to_f64()));
                &self.wide
            }));
        }
        Numbers::F32(slice.and_then(T::as_f32).unwrap_or_else(|| {
            self.narrow.clear();
            self.narrow.extend(columns.map(|c| x.get(row, c).to_f32()));
            &self.narrow
        }))
    }
}

/// What is added up over a row, by units of numbers side by side.
trait Lanes<T, const UNIT: usize> {
    fn add(&mut self, unit: &[T; UNIT], max: T);
}

/// Adds a row, what is left of its units filled up with `nothing`, minus infinity; returns its largest number. NaN is passed over.
#[inline(always)]
fn add_row<T: PartialOrd + Copy, const UNIT: usize>(
    x: &[T],
    nothing: T,
    lanes: &mut impl Lanes<T, UNIT>,
) -> T {
    let (units, rest) = x.as_chunks::<UNIT>();
    let mut maxima = [nothing; UNIT];
    for unit in units {
        for (max, &x) in maxima.iter_mut().zip(unit) {
            *max = if x > *max { x } else { *max };
        }
    }
    let larger = |max: T, &x: &T| if x > max { x } else { max };
    let max = maxima.iter().chain(rest).fold(nothing, larger);
    for unit in units {
        for at in (0..UNIT).step_by(16) {
            simd::prefetch(unit, AHEAD + at);
        }
        lanes.add(unit, max);
    }
    if !rest.is_empty() {
        let mut padded = [nothing; UNIT];
        padded[..rest.len()].copy_from_slice(rest);
        lanes.add(&padded, max);
    }
    max
}

/// The largest number of a row, and what the others come to beside it.
struct Beside {
    max: f64,
    rest: f64,
}

leveled! {
    fn beside_f32(x: &[f32], b: f32) -> Beside => beside_f32_body::<FMA>
}
leveled! {
    fn beside_f64(x: &[f64], b: f64) -> Beside => beside_f64_body
}

#[inline(always)]
fn beside_f32_body<const FMA: bool>(x: &[f32], b: f32) -> Beside {
    let mut lanes = BesideF32::<FMA> { b, sums: [0.0; LANES], ties: [0.0; LANES] };
    let max = add_row(x, f32::NEG_INFINITY, &mut lanes);
    let ties: f32 = lanes.ties.iter().sum();
    Beside { max: f64::from(max), rest: lanes.sums.iter().sum::<f64>() + f64::from(ties - 1.0) }
}

#[inline(always)]
fn beside_f64_body(x: &[f64], b: f64) -> Beside {
    let mut lanes = BesideF64 { b, sums: [0.0; LANES_F64], ties: [0.0; LANES_F64] };
    let max = add_row(x, f64::NEG_INFINITY, &mut lanes);
    let ties: f64 = lanes.ties.iter().sum();
    Beside { max, rest: lanes.sums.iter().sum::<f64>() + (ties - 1.0) }
}

/// The terms below the maximum, and how many numbers are the maximum.
struct BesideF32<const FMA: bool> {
    b: f32,
    sums: [f64; LANES],
    ties: [f32; LANES],
}

impl<const FMA: bool> Lanes<f32, { LANES * CHAIN }> for BesideF32<FMA> {
    #[inline(always)]
    fn add(&mut self, unit: &[f32; LANES * CHAIN], max: f32) {
        let mut terms = [0.0_f32; LANES * CHAIN];
        let mut tied = [0.0_f32; LANES * CHAIN];
        for ((term, tied), &x) in terms.iter_mut().zip(&mut tied).zip(unit) {
            let z = (x - max) * self.b;
            // NaN passes.
            let z = if z < -87.0 { -87.0 } else { z };
            let (p, power) = exp_parts::<FMA>(z, WHOLE32 + 127.0);
            *term = if x == max { 0.0 } else { p * f32::from_bits(power << 23) };
            *tied = if x == max { 1.0 } else { 0.0 };
        }
        for block in tied.as_chunks::<LANES>().0 {
            self.ties.iter_mut().zip(block).for_each(|(sum, tied)| *sum += tied);
        }
        empty_into(&terms, &mut self.sums);
    }
}

struct BesideF64 {
    b: f64,
    sums: [f64; LANES_F64],
    ties: [f64; LANES_F64],
}

impl Lanes<f64, LANES_F64> for BesideF64 {
    #[inline(always)]
    fn add(&mut self, unit: &[f64; LANES_F64], max: f64) {
        for ((sum, ties), &x) in self.sums.iter_mut().zip(&mut self.ties).zip(unit) {
            let term = exp((x - max) * self.b);
            *sum += if x == max { 0.0 } else { term };
            *ties += if x == max { 1.0 } else { 0.0 };
        }
    }
}

/// Adds the terms of a unit up in f32, and the few sums to those in f64.
#[inline(always)]
fn empty_into(terms: &[f32; LANES * CHAIN], wide: &mut [f64; LANES]) {
    let mut sums = [0.0_f32; LANES];
    for block in terms.as_chunks::<LANES>().0 {
        sums.iter_mut().zip(block).for_each(|(sum, term)| *sum += term);
    }
    wide.iter_mut().zip(&sums).for_each(|(wide, sum)| *wide += f64::from(*sum));
}

/// The largest number of a row, and the sums of d^k e^(b d) for k from 0 to 4.
struct Moments {
    max: f64,
    sums: [f64; POWERS],
}

leveled! {
    fn moments_f32(x: &[f32], b: f32) -> Moments => moments_f32_body::<FMA>
}
leveled! {
    fn moments_f64(x: &[f64], b: f64) -> Moments => moments_f64_body
}

/// What is further below the largest counts as this far, where no b that is looked at leaves a term; -inf would make 0 times
/// infinity, and beyond 4e9 the fourth power is infinite in f32.
const FLOOR: f32 = -1e9;

#[inline(always)]
fn moments_f32_body<const FMA: bool>(x: &[f32], b: f32) -> Moments {
    let mut lanes = MomentsF32::<FMA> { b, sums: [[0.0; LANES]; POWERS] };
    let max = add_row(x, f32::NEG_INFINITY, &mut lanes);
    Moments { max: f64::from(max), sums: lanes.sums.map(|lanes| lanes.iter().sum()) }
}

#[inline(always)]
fn moments_f64_body(x: &[f64], b: f64) -> Moments {
    let mut lanes = MomentsF64 { b, sums: [[0.0; LANES_F64]; POWERS] };
    let max = add_row(x, f64::NEG_INFINITY, &mut lanes);
    Moments { max, sums: lanes.sums.map(|lanes| lanes.iter().sum()) }
}

struct MomentsF32<const FMA: bool> {
    b: f32,
    sums: [[f64; LANES]; POWERS],
}

impl<const FMA: bool> Lanes<f32, { LANES * CHAIN }> for MomentsF32<FMA> {
    /// Every loop is over numbers side by side, one step of the formula at a time.
    #[inline(always)]
    fn add(&mut self, unit: &[f32; LANES * CHAIN], max: f32) {
        let mut d = [0.0_f32; LANES * CHAIN];
        let mut terms = [0.0_f32; LANES * CHAIN];
        for ((d, term), &x) in d.iter_mut().zip(&mut terms).zip(unit) {
            let below = x - max;
            let below = if below > FLOOR { below } else { FLOOR };
            let z = below * self.b;
            // Below the least normal number is nothing.
            let (p, power) = exp_parts::<FMA>(if z < -87.0 { -87.0 } else { z }, WHOLE32 + 127.0);
            *d = below;
            let e = p * f32::from_bits(power << 23);
            *term = if z < -87.0 { 0.0 } else { e };
        }
        for (k, sums) in self.sums.iter_mut().enumerate() {
            if k > 0 {
                terms.iter_mut().zip(&d).for_each(|(term, d)| *term *= d);
            }
            empty_into(&terms, sums);
        }
    }
}

struct MomentsF64 {
    b: f64,
    sums: [[f64; LANES_F64]; POWERS],
}

impl Lanes<f64, LANES_F64> for MomentsF64 {
    #[inline(always)]
    fn add(&mut self, unit: &[f64; LANES_F64], max: f64) {
        let mut d = [0.0; LANES_F64];
        let mut terms = [0.0; LANES_F64];
        for ((d, term), &x) in d.iter_mut().zip(&mut terms).zip(unit) {
            let below = x - max;
            *d = if below > f64::from(FLOOR) { below } else { f64::from(FLOOR) };
            *term = exp(*d * self.b);
        }
        for (k, sums) in self.sums.iter_mut().enumerate() {
            if k > 0 {
                terms.iter_mut().zip(&d).for_each(|(term, d)| *term *= d);
            }
            sums.iter_mut().zip(&terms).for_each(|(sum, term)| *sum += term);
        }
    }
}
