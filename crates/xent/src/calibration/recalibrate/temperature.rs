//! The temperature of least cross entropy, by Newton's method over fused passes.
//!
//! ```text
//! L(b) = sum w [ln sum_c e^(b x_c) - b x_y]      b = 1/T; convex
//! L'   = sum w [mean - x_y],   L'' = sum w variance      of x under softmax(b x)
//! ```
//!
//! One pass over the logits gives both derivatives: with d = x - max, the sums of e^(b d), d e^(b d) and d^2 e^(b d). The zero of the rising L' is
//! bracketed, so a step that leaves the bracket is halved instead.

use crate::calibration::random::mix;
use crate::element::Element;
use crate::elementary::{WHOLE32, exp, exp_parts};
use crate::exact::ExactSum;
use crate::simd::leveled;
use crate::view::View;

/// Bounds of 1/T.
const RANGE: [f64; 2] = [1.0 / 1_048_576.0, 1_048_576.0];
/// Passes at most.
const PASSES: usize = 60;
/// After a relative step below this the error is about its square: f64, and f32, whose sums have no more digits.
const SMALL: f64 = 1e-5;
const SMALL_F32: f64 = 1e-4;
/// The same where the result is a start only.
const ROUGH: f64 = 1e-2;
/// Numbers from which on a part of the rows finds the start.
const MANY: usize = 1 << 20;
/// One row of so many is in that part.
const PART: u64 = 16;
/// Rows between two additions to the sums.
const BATCH: usize = 512;
/// Numbers side by side, and how many of them a lane of f32 adds up before it is emptied.
const LANES: usize = 16;
const CHAIN: usize = 4;

/// The inverse of the temperature.
pub(super) fn fit<T: Element>(x: View<'_, T>, labels: &[u32], weights: Option<&[f64]>) -> f64 {
    let rows = Rows { x, labels, weights };
    let n = labels.len();
    let mut start = 1.0;
    if n * x.n_cols() > MANY {
        // Chosen by what is in a row, not by its place: in any order the same rows.
        let is_in = |&row: &usize| {
            let [first, last] = [0, x.n_cols() - 1].map(|c| x.get(row, c).to_f64().to_bits());
            mix(mix(first) ^ last).is_multiple_of(PART)
        };
        let part: Vec<usize> = (0..n).filter(is_in).collect();
        start = newton(|b| rows.derivatives(part.iter().copied(), b), start, ROUGH);
    }
    let small = if T::WIDE { SMALL } else { SMALL_F32 };
    newton(|b| rows.derivatives(0..n, b), start, small)
}

/// The zero of a rising function, from its value and slope.
fn newton(at: impl Fn(f64) -> [f64; 2], start: f64, small: f64) -> f64 {
    let [mut low, mut high] = RANGE;
    let mut b = start;
    for _ in 0..PASSES {
        let [slope, curve] = at(b);
        if slope == 0.0 {
            return b;
        }
        if slope > 0.0 {
            high = b;
        } else {
            low = b;
        }
        let newton = b - slope / curve;
        let next = if newton > low && newton < high {
            newton
        } else {
            // Out of the bracket, or no curvature: the middle, by ratio.
            (low * high).sqrt().clamp(b / 16.0, b * 16.0)
        };
        let step = (next - b).abs();
        b = next;
        if step <= small * b {
            break;
        }
    }
    b
}

struct Rows<'a, T> {
    x: View<'a, T>,
    labels: &'a [u32],
    weights: Option<&'a [f64]>,
}

impl<T: Element> Rows<'_, T> {
    /// L' and L'' at b, over the rows whose loss is finite.
    fn derivatives(&self, rows: impl Iterator<Item = usize>, b: f64) -> [f64; 2] {
        let Self { x, labels, weights } = *self;
        let k = x.n_cols();
        let mut sums = [ExactSum::new(), ExactSum::new()];
        let mut batch = [[0.0; BATCH]; 2];
        let mut filled = 0;
        let (mut narrow, mut wide) = (Vec::new(), Vec::new());
        for row in rows {
            let own = x.get(row, labels[row] as usize).to_f64();
            let w = weights.map_or(1.0, |w| w[row]);
            let Moments { max, sums: [s0, s1, s2] } = if T::WIDE {
                if let Some(slice) = x.row(row).and_then(T::as_f64) {
                    moments_f64(slice, b)
                } else {
                    wide.clear();
                    wide.extend((0..k).map(|c| x.get(row, c).to_f64()));
                    moments_f64(&wide, b)
                }
            } else if let Some(slice) = x.row(row).and_then(T::as_f32) {
                moments_f32(slice, b as f32)
            } else {
                narrow.clear();
                narrow.extend((0..k).map(|c| x.get(row, c).to_f32()));
                moments_f32(&narrow, b as f32)
            };
            // Rows without a finite loss have it at every temperature.
            if w > 0.0 && own > f64::NEG_INFINITY && max < f64::INFINITY {
                let mean = s1 / s0;
                batch[0][filled] = w * (mean - (own - max));
                batch[1][filled] = w * (s2 / s0 - mean * mean);
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

/// The largest number of a row, and the sums of d^k e^(b d) for k of 0, 1, 2.
struct Moments {
    max: f64,
    sums: [f64; 3],
}

leveled! {
    fn moments_f32(x: &[f32], b: f32) -> Moments => moments_f32_body::<FMA>
}
leveled! {
    fn moments_f64(x: &[f64], b: f64) -> Moments => moments_f64_body
}

/// -inf would make 0 times infinity. Numbers so far below are as improbable; only where b is below 1e-4 would it show.
const FLOOR: f32 = -1e6;

#[inline(always)]
fn moments_f32_body<const FMA: bool>(x: &[f32], b: f32) -> Moments {
    let mut maxima = [f32::NEG_INFINITY; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks {
        for lane in 0..LANES {
            maxima[lane] = if block[lane] > maxima[lane] { block[lane] } else { maxima[lane] };
        }
    }
    let max = maxima.iter().chain(rest).fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m });
    let mut wide = [[0.0_f64; LANES]; 3];
    let mut padded = [f32::NEG_INFINITY; LANES];
    padded[..rest.len()].copy_from_slice(rest);
    let tail = [padded];
    let parts = blocks.chunks(CHAIN).chain(std::iter::once(&tail[..usize::from(!rest.is_empty())]));
    for part in parts {
        let mut sums = [[0.0_f32; LANES]; 3];
        for block in part {
            for lane in 0..LANES {
                let d = block[lane] - max;
                let d = if d > FLOOR { d } else { FLOOR };
                let z = d * b;
                // As small as a normal number can be: nothing beside the largest term, which is 1.
                let z = if z > -87.0 { z } else { -87.0 };
                let (p, power) = exp_parts::<FMA>(z, WHOLE32 + 127.0);
                let e = p * f32::from_bits(power << 23);
                sums[0][lane] += e;
                sums[1][lane] += e * d;
                sums[2][lane] += (e * d) * d;
            }
        }
        for (wide, sums) in wide.iter_mut().zip(sums) {
            for lane in 0..LANES {
                wide[lane] += f64::from(sums[lane]);
            }
        }
    }
    Moments { max: f64::from(max), sums: wide.map(|lanes| lanes.iter().sum()) }
}

#[inline(always)]
fn moments_f64_body(x: &[f64], b: f64) -> Moments {
    const LANES: usize = 8;
    let (blocks, rest) = x.as_chunks::<LANES>();
    let mut maxima = [f64::NEG_INFINITY; LANES];
    for block in blocks {
        for lane in 0..LANES {
            maxima[lane] = if block[lane] > maxima[lane] { block[lane] } else { maxima[lane] };
        }
    }
    let max = maxima.iter().chain(rest).fold(f64::NEG_INFINITY, |m, &x| if x > m { x } else { m });
    let mut padded = [f64::NEG_INFINITY; LANES];
    padded[..rest.len()].copy_from_slice(rest);
    let tail = [padded];
    let mut sums = [[0.0; LANES]; 3];
    for block in blocks.iter().chain(&tail[..usize::from(!rest.is_empty())]) {
        for lane in 0..LANES {
            let d = block[lane] - max;
            let d = if d > f64::from(FLOOR) { d } else { f64::from(FLOOR) };
            let e = exp(d * b);
            sums[0][lane] += e;
            sums[1][lane] += e * d;
            sums[2][lane] += (e * d) * d;
        }
    }
    Moments { max, sums: sums.map(|lanes| lanes.iter().sum()) }
}
