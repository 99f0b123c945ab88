//! Axes: from data to a span, from the span to ticks, from numbers to places between 0 and 1.
//!
//! A tick is a decimal, an integer times a power of ten, and its number is that decimal correctly
//! rounded: labels are exact, and no tick is off by an accumulated step.

use xent::elementary::{exp, ln};

use super::Scale;
use crate::number::count;

/// The narrowest span, relative to the numbers: below it labels would need more than ten digits.
const NARROWEST: f64 = 1e-9;
/// Room around the data, of its span.
const ROOM: f64 = 0.04;
/// Plain labels end here, on both sides; beyond, they are powers of ten.
const PLAIN: (i32, i32) = (-5, 6);
/// Decades between the ticks of a long logarithmic axis.
const DECADES: [i32; 8] = [1, 2, 5, 10, 20, 50, 100, 200];

impl Scale {
    /// Says whether a number has a place on such an axis.
    pub(super) fn has(self, x: f64) -> bool {
        x.is_finite() && (self == Scale::Linear || x > 0.0)
    }
}

/// A scale with its ends, `low < high`, both of which have a place on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
}

/// A place on an axis, and what is written there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// The number.
    pub value: f64,
    /// Its place, from 0 to 1.
    pub at: f64,
    pub label: String,
}

impl Axis {
    /// The axis from `low` to `high`; `None` if that is no span.
    pub fn new(low: f64, high: f64) -> Option<Axis> {
        let is_span = low.is_finite() && high.is_finite() && high > low;
        let wide = is_span && high / 2.0 - low / 2.0 >= NARROWEST * low.abs().max(high.abs());
        wide.then_some(Axis { scale: Scale::Linear, low, high })
    }

    /// The axis for `data`, of which only what has a place counts.
    ///
    /// `room`: leave some at both ends, but do not cross zero for it.
    pub fn for_data(scale: Scale, data: impl Iterator<Item = f64>, room: bool) -> Axis {
        let mut ends: Option<(f64, f64)> = None;
        for x in data.filter(|&x| scale.has(x)) {
            let (low, high) = ends.unwrap_or((x, x));
            ends = Some((low.min(x), high.max(x)));
        }
        match scale {
            Scale::Linear => linear(ends, room),
            Scale::Log => logarithmic(ends, room),
        }
    }

    /// Where a number stands, from 0 to 1; `None` if it is off the axis.
    pub fn at(&self, x: f64) -> Option<f64> {
        if !(self.low..=self.high).contains(&x) {
            return None;
        }
        let (x, low, high) = match self.scale {
            Scale::Linear => (x, self.low, self.high),
            Scale::Log => (ln(x), ln(self.low), ln(self.high)),
        };
        let span = high - low;
        let at = if span.is_finite() {
            (x - low) / span
        } else {
            (x / 2.0 - low / 2.0) / (span_half(low, high))
        };
        Some(at.clamp(0.0, 1.0))
    }

    /// Where the nearest number on the axis stands; `None` for NaN.
    pub fn nearest(&self, x: f64) -> Option<f64> {
        if x.is_nan() { None } else { self.at(x.clamp(self.low, self.high)) }
    }

    /// How much of a stretch of numbers is on the axis, from 0 to 1.
    pub fn share_of(&self, from: f64, to: f64) -> f64 {
        let width = to / 2.0 - from / 2.0;
        let on = to.min(self.high) / 2.0 - from.max(self.low) / 2.0;
        if width > 0.0 { (on / width).clamp(0.0, 1.0) } else { 1.0 }
    }

    /// At most `most` ticks, ascending.
    pub fn ticks(&self, most: usize) -> Vec<Tick> {
        let decimals = match self.scale {
            Scale::Linear => steps(self.low, self.high, most),
            Scale::Log => {
                let decades = decades(self.low, self.high, most);
                let even =
                    if decades.len() < 3 { steps(self.low, self.high, most) } else { Vec::new() };
                if even.len() > decades.len() { even } else { decades }
            }
        };
        let mut ticks: Vec<Tick> = Vec::with_capacity(decimals.len());
        let labels = labels(&decimals);
        for (decimal, label) in decimals.iter().zip(labels) {
            let value = decimal.value();
            let ascends = ticks.last().is_none_or(|last| last.value < value);
            if ascends && let Some(at) = self.at(value) {
                ticks.push(Tick { value, at, label });
            }
        }
        ticks
    }

    /// The most ticks, of at most `most`, for which `fits` agrees.
    pub fn ticks_that(&self, most: usize, fits: impl Fn(&[Tick]) -> bool) -> Vec<Tick> {
        let choices = (1..=most).rev().map(|n| self.ticks(n));
        choices.into_iter().find(|ticks| fits(ticks)).unwrap_or_default()
    }
}

fn span_half(low: f64, high: f64) -> f64 {
    high / 2.0 - low / 2.0
}

fn linear(ends: Option<(f64, f64)>, room: bool) -> Axis {
    let (low, high) = ends.unwrap_or((0.0, 1.0));
    let size = low.abs().max(high.abs());
    let least = if size == 0.0 { 1.0 } else { size * NARROWEST };
    let (mut from, mut to) = (low, high);
    if low == high {
        let pad = if size == 0.0 { 1.0 } else { (size / 10.0).max(f64::from_bits(8)) };
        (from, to) = (low - pad, high + pad);
    } else if span_half(low, high) < least {
        (from, to) = (low - least, high + least);
    } else if room {
        let pad = high * ROOM - low * ROOM;
        (from, to) = (low - pad, high + pad);
        if low >= 0.0 {
            from = from.max(0.0);
        }
        if high <= 0.0 {
            to = to.min(0.0);
        }
    }
    Axis { scale: Scale::Linear, low: from.max(-f64::MAX), high: to.min(f64::MAX) }
}

fn logarithmic(ends: Option<(f64, f64)>, room: bool) -> Axis {
    let (low, high) = ends.unwrap_or((0.1, 1.0));
    let factor = if high / low < 1.0 + NARROWEST {
        1.1
    } else if room {
        exp(ROOM * (ln(high) - ln(low)))
    } else {
        1.0
    };
    let low = (low / factor).max(f64::from_bits(1));
    let high = (high * factor).min(f64::MAX);
    // The smallest numbers of all are too coarse for a factor.
    let high = if high > low { high } else { low * 8.0 };
    Axis { scale: Scale::Log, low, high }
}

/// `mantissa` times ten to the power of `exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decimal {
    mantissa: i64,
    exponent: i32,
}

impl Decimal {
    /// The nearest f64; infinite if there is none.
    fn value(self) -> f64 {
        power(self.mantissa, self.exponent)
    }

    /// The exponent of its first digit, if that is not zero.
    fn magnitude(self) -> Option<i32> {
        self.mantissa.unsigned_abs().checked_ilog10().map(|digits| digits as i32 + self.exponent)
    }
}

/// `m` times ten to the power of `k`, correctly rounded.
fn power(m: i64, k: i32) -> f64 {
    format!("{m}e{k}").parse().unwrap_or(f64::NAN)
}

/// The decimal exponent of a positive number, exactly: a logarithm is off by one beside powers of ten.
fn magnitude(x: f64) -> i32 {
    let text = format!("{x:e}");
    text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0)
}

/// The multiples of the smallest step 1, 2 or 5 times a power of ten of which at most `most` are
/// between `low` and `high`.
fn steps(low: f64, high: f64, most: usize) -> Vec<Decimal> {
    if most == 0 {
        return Vec::new();
    }
    // A step this small has more than `most` multiples in any span, up to a hundred of them.
    let start = magnitude(span_half(low, high)) - 2;
    for exponent in start.max(-323)..=308 {
        for step in [1, 2, 5] {
            let size = power(step, exponent);
            let (first, last) = ((low / size).ceil(), (high / size).floor());
            if last - first < most as f64 {
                // Labels of ten digits, times at most 100: far from the end of i64.
                return (first as i64..=last as i64)
                    .map(|i| Decimal { mantissa: i * step, exponent })
                    .filter(|decimal| (low..=high).contains(&decimal.value()))
                    .collect();
            }
        }
    }
    Vec::new()
}

/// Ticks of a logarithmic axis: 1, 2, 5 of each decade, or the decades, or every so many of them.
fn decades(low: f64, high: f64, most: usize) -> Vec<Decimal> {
    let range = magnitude(low)..=magnitude(high);
    let inside = |decimal: &Decimal| (low..=high).contains(&decimal.value());
    let fine =
        range.clone().flat_map(|exponent| [1, 2, 5].map(|mantissa| Decimal { mantissa, exponent }));
    let fine: Vec<Decimal> = fine.filter(inside).take(most + 1).collect();
    if fine.len() <= most {
        return fine;
    }
    for every in DECADES {
        let ticks = range.clone().filter(|exponent| exponent % every == 0);
        let ticks = ticks.map(|exponent| Decimal { mantissa: 1, exponent });
        let ticks: Vec<Decimal> = ticks.filter(inside).collect();
        if ticks.len() <= most {
            return ticks;
        }
    }
    Vec::new()
}

/// The labels of one axis, all plain or all as powers of ten, with the same decimals.
fn labels(ticks: &[Decimal]) -> Vec<String> {
    let plain = |magnitude: i32| (PLAIN.0..PLAIN.1).contains(&magnitude);
    let is_plain = ticks
        .iter()
        .all(|tick| (-10..PLAIN.1).contains(&tick.exponent) && tick.magnitude().is_none_or(plain));
    // Ticks of a decade differ in exponent: each has its own decimals.
    ticks.iter().map(|&tick| if is_plain { plain_label(tick) } else { power_label(tick) }).collect()
}

fn plain_label(tick: Decimal) -> String {
    let sign = if tick.mantissa < 0 { "-" } else { "" };
    let digits = tick.mantissa.unsigned_abs();
    let Ok(decimals) = u32::try_from(-tick.exponent) else {
        return format!("{sign}{}", count(digits * 10_u64.pow(tick.exponent.unsigned_abs())));
    };
    let unit = 10_u64.pow(decimals);
    let whole = count(digits / unit);
    if decimals == 0 {
        return format!("{sign}{whole}");
    }
    format!("{sign}{whole}.{:0width$}", digits % unit, width = decimals as usize)
}

fn power_label(tick: Decimal) -> String {
    let Some(magnitude) = tick.magnitude() else { return "0".to_owned() };
    let sign = if tick.mantissa < 0 { "-" } else { "" };
    let digits = tick.mantissa.unsigned_abs().to_string();
    let digits = digits.trim_end_matches('0');
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}e{magnitude}")
}
