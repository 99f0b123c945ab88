//! Softmax, log-softmax and the logarithm of the sum of exponentials, of rows of logits.
//!
//! ```text
//! lse(x) = ln(sum_c e^x_c),   softmax(x)_c = e^(x_c - lse),   log_softmax(x)_c = x_c - lse
//! ```
//!
//! Rows may have any length and layout; f64 is worked on in f64, the smaller kinds in f32, in which all
//! their values are exact. Large common offsets cost no accuracy, and a log-probability near 0 is right
//! to its last digits, because the largest term is left out of the sum. The same bits on every machine.
//!
//! A row without a softmax (a NaN, all -inf, several +inf) gives NaN and is counted. One +inf is the
//! limit: probability 1 there.
//!
//! Source: Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and softmax functions",
//! IMA J. Numer. Anal. 41 (2021).

use crate::cross_entropy::Io;
use crate::cross_entropy::general::{NoSoftmax, Softmax};
use crate::cross_entropy::hard::{block, blocks};
use crate::element::Element;
use crate::elementary::{exp, ln_1p};
use crate::exponentials::{Arithmetic, BLOCK};
use crate::lanes::shifted;
use crate::view::{View, ViewMut};

/// The logarithm of a sum of exponentials as a maximum and what is beside it: mergeable, and more
/// accurate than its value.
///
/// # Example
/// ```
/// use xent::logits::{LogSumExp, log_sum_exp_parts};
/// use xent::view::View;
///
/// let mut parts = [LogSumExp::EMPTY; 2];
/// let x = [40.0, 0.0, 39.0, 1.0];
/// log_sum_exp_parts(View::rows_of(&x, 2)?, &mut parts)?;
/// assert!((parts[0].rest / 4.248354255291589e-18 - 1.0).abs() < 1e-15);
/// let [mut all, second] = parts;
/// all.merge(&second);
/// assert!((all.value() - 40.31326168751822).abs() < 1e-14);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSumExp {
    /// The largest number; NaN if the row has no softmax.
    pub max: f64,
    /// `sum e^(x - max)` over the numbers but one that is the largest; ties count 1 each.
    pub rest: f64,
}

impl LogSumExp {
    /// Of no numbers: ln 0.
    pub const EMPTY: Self = Self { max: f64::NEG_INFINITY, rest: 0.0 };

    /// `max + ln(1 + rest)`.
    pub fn value(&self) -> f64 {
        self.max + ln_1p(self.rest)
    }

    /// Adds the terms of other numbers.
    ///
    /// Accuracy: `rest` within 4 ulp more than the parts are off by.
    pub fn merge(&mut self, other: &Self) {
        if self.max.is_nan() || other.max.is_nan() {
            self.max = f64::NAN;
            return;
        }
        let (high, low) = if self.max >= other.max { (*self, *other) } else { (*other, *self) };
        *self = if low.max == f64::NEG_INFINITY {
            high
        } else if high.max == f64::INFINITY {
            // A second +inf leaves no limit.
            let max = if low.max == f64::INFINITY { f64::NAN } else { high.max };
            Self { max, rest: high.rest }
        } else {
            // In two parts: what rounding the difference loses at 700 is a hundred ulp of its exponential.
            let (d, lost) = shifted(low.max, high.max);
            let factor = exp(d);
            let factor = factor + factor * lost;
            Self { max: high.max, rest: high.rest + (factor + factor * low.rest) }
        };
    }
}

/// Rows that have no softmax.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undefined {
    /// How many.
    pub count: u64,
    /// The first.
    pub first: Option<usize>,
}

impl Undefined {
    fn add(&mut self, row: usize) {
        self.count += 1;
        self.first = self.first.or(Some(row));
    }
}

/// An output of another shape than the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("output of {given:?} rows and columns for logits of {wanted:?}")]
pub struct OutputShape {
    /// Rows and columns of the output.
    pub given: (usize, usize),
    /// Rows and columns of the logits.
    pub wanted: (usize, usize),
}

/// Writes the log-sum-exp of each row in its two parts, nats.
///
/// ```text
/// max = max_c x_c,   rest = sum_c e^(x_c - max) - 1,   lse = max + ln(1 + rest)
/// ```
///
/// Shapes: `x` is `(n_samples, n_classes)` in any layout, `out` `(n_samples)`.
///
/// Accuracy: `max` is exact and `rest` within 2.5 ulp of f32, or 4 ulp of f64 for f64 logits, however small: nothing is
/// subtracted from a sum. A row of no numbers or of -inf
/// alone gives [`LogSumExp::EMPTY`]; NaN or several +inf give a `max` of NaN.
///
/// # Errors
/// `out` has not one place a row; nothing is written.
///
/// Source: Blanchard, Higham and Higham (2021, doi:10.1093/imanum/draa038).
pub fn log_sum_exp_parts<T: Element>(
    x: View<'_, T>,
    out: &mut [LogSumExp],
) -> Result<(), OutputShape> {
    shape((out.len(), x.n_cols()), (x.n_rows(), x.n_cols()))?;
    let mut scratch = Scratch::new();
    for (row, out) in out.iter_mut().enumerate() {
        *out = match scratch.softmax(&x, row) {
            Some(Any::Wide(s)) => LogSumExp { max: s.max, rest: s.ratio },
            Some(Any::Narrow(s)) => LogSumExp { max: s.max, rest: s.ratio },
            None if (0..x.n_cols()).all(|c| x.get(row, c).to_f64() == f64::NEG_INFINITY) => {
                LogSumExp::EMPTY
            }
            None => LogSumExp { max: f64::NAN, rest: 0.0 },
        };
    }
    Ok(())
}

/// Writes the log-sum-exp of each row, nats.
///
/// ```text
/// lse = ln(sum_c e^x_c) = max + ln(1 + rest)
/// ```
///
/// Shapes: `x` is `(n_samples, n_classes)` in any layout, `out` `(n_samples)`.
///
/// -inf for a row of -inf; NaN for NaN or several +inf. Accuracy: 2 ulp of f64, or 2.5 ulp of f32 for the smaller kinds, of the
/// larger of |max| and ln(1 + rest); where these nearly cancel, as for logarithms of probabilities,
/// [the parts](log_sum_exp_parts) have all digits.
///
/// # Errors
/// `out` has not one place a row; nothing is written.
///
/// ```
/// use xent::{logits::log_sum_exp, view::View};
///
/// let mut lse = [0.0; 2];
/// log_sum_exp(View::rows_of(&[1e8, 1e8, 0.0, 0.0], 2)?, &mut lse)?;
/// assert_eq!(lse, [1e8 + std::f64::consts::LN_2, std::f64::consts::LN_2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn log_sum_exp<T: Element>(x: View<'_, T>, out: &mut [f64]) -> Result<(), OutputShape> {
    shape((out.len(), x.n_cols()), (x.n_rows(), x.n_cols()))?;
    let mut parts = [LogSumExp::EMPTY; 64];
    for (i, out) in out.chunks_mut(64).enumerate() {
        let rows = i * 64..i * 64 + out.len();
        log_sum_exp_parts(x.rows(rows), &mut parts[..out.len()])?;
        for (out, parts) in out.iter_mut().zip(&parts) {
            *out = parts.value();
        }
    }
    Ok(())
}

/// Writes the softmax of each row into an array of the same shape, and returns which rows have none.
///
/// ```text
/// p_c = e^x_c / sum_j e^x_j
/// ```
///
/// Shapes: `x` and `out` are `(n_samples, n_classes)`, each in any layout.
///
/// Accuracy: 4 ulp of the kind of `out`, subnormals included. Rows without a softmax are NaN.
///
/// # Errors
/// `out` has another shape; nothing is written.
///
/// ```
/// use xent::{logits::softmax, view::{View, ViewMut}};
///
/// let mut p = [0.0; 2];
/// softmax(View::rows_of(&[0.0, f64::NEG_INFINITY], 2)?, ViewMut::rows_of(&mut p, 2)?)?;
/// assert_eq!(p, [1.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn softmax<T: Element>(x: View<'_, T>, out: ViewMut<'_, T>) -> Result<Undefined, OutputShape> {
    shape((out.n_rows(), out.n_cols()), (x.n_rows(), x.n_cols()))?;
    Ok(activate(Io::Apart { x, gradient: Some(out) }, false))
}

/// Softmax of each row in its own place: [`softmax`] without a second array.
pub fn softmax_in_place<T: Element>(x: ViewMut<'_, T>) -> Undefined {
    activate(Io::InPlace(x), false)
}

/// Writes the logarithm of the softmax of each row into an array of the same shape, nats, and returns which rows have none.
///
/// ```text
/// ln p_c = x_c - ln(sum_j e^x_j)
/// ```
///
/// Shapes: `x` and `out` are `(n_samples, n_classes)`, each in any layout.
///
/// Accuracy: 4 ulp of the kind of `out`, also where a log-probability is nearly 0. Rows without a softmax are NaN.
///
/// # Errors
/// `out` has another shape; nothing is written.
///
/// ```
/// use xent::{logits::log_softmax, view::{View, ViewMut}};
///
/// let mut log_p = [0.0_f64; 2];
/// log_softmax(View::rows_of(&[40.0, 0.0], 2)?, ViewMut::rows_of(&mut log_p, 2)?)?;
/// assert!((log_p[0] / -4.248354255291589e-18 - 1.0).abs() < 1e-15);
/// assert_eq!(log_p[1], -40.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn log_softmax<T: Element>(
    x: View<'_, T>,
    out: ViewMut<'_, T>,
) -> Result<Undefined, OutputShape> {
    shape((out.n_rows(), out.n_cols()), (x.n_rows(), x.n_cols()))?;
    Ok(activate(Io::Apart { x, gradient: Some(out) }, true))
}

/// Log-softmax of each row in its own place: [`log_softmax`] without a second array.
pub fn log_softmax_in_place<T: Element>(x: ViewMut<'_, T>) -> Undefined {
    activate(Io::InPlace(x), true)
}

fn shape(given: (usize, usize), wanted: (usize, usize)) -> Result<(), OutputShape> {
    if given == wanted { Ok(()) } else { Err(OutputShape { given, wanted }) }
}

/// Buffers of both kinds of arithmetic.
struct Scratch {
    wide: ([f64; BLOCK], [f64; BLOCK]),
    narrow: ([f32; BLOCK], [f32; BLOCK]),
}

enum Any {
    Wide(Softmax<f64>),
    Narrow(Softmax<f32>),
}

impl Scratch {
    fn new() -> Box<Self> {
        Box::new(Self { wide: ([0.0; BLOCK], [0.0; BLOCK]), narrow: ([0.0; BLOCK], [0.0; BLOCK]) })
    }

    /// In the element's own arithmetic, or in f64 where f32 loses the small terms.
    fn softmax<T: Element>(&mut self, x: &View<'_, T>, row: usize) -> Option<Any> {
        if !T::WIDE {
            let (numbers, terms) = &mut self.narrow;
            match Softmax::of(x, row, 1.0, numbers, terms) {
                Ok(softmax) => return Some(Any::Narrow(softmax)),
                Err(NoSoftmax::Undefined) => return None,
                Err(NoSoftmax::Faint) => {}
            }
        }
        let (numbers, terms) = &mut self.wide;
        Softmax::of(x, row, 1.0, numbers, terms).ok().map(Any::Wide)
    }
}

fn activate<T: Element>(mut io: Io<'_, '_, T>, logarithm: bool) -> Undefined {
    let mut undefined = Undefined::default();
    let mut scratch = Scratch::new();
    for row in 0..io.x().n_rows() {
        match scratch.softmax(&io.x(), row) {
            None => {
                undefined.add(row);
                io.fill_row(row, T::from_f64(f64::NAN));
            }
            Some(any) if logarithm => {
                let (max, top, log_rest) = match any {
                    Any::Wide(s) => (s.max, s.top, s.log_rest),
                    Any::Narrow(s) => (s.max, s.top, s.log_rest),
                };
                log_row(&mut io, row, max, log_rest, &mut scratch.wide);
                io.put::<f64>(row, top..top + 1, &[0.0 - log_rest]);
            }
            Some(Any::Wide(s)) => row_of(&mut io, row, &s, &mut scratch.wide),
            Some(Any::Narrow(s)) => row_of(&mut io, row, &s, &mut scratch.narrow),
        }
    }
    undefined
}

fn row_of<T: Element, A: Arithmetic>(
    io: &mut Io<'_, '_, T>,
    row: usize,
    softmax: &Softmax<A>,
    (numbers, terms): &mut ([A; BLOCK], [A; BLOCK]),
) {
    for cols in blocks(io.x().n_cols()) {
        let n = cols.len();
        softmax.probabilities(
            cols.start,
            block(&io.x(), row, cols.clone(), numbers),
            &mut terms[..n],
        );
        io.put(row, cols, &terms[..n]);
    }
}

fn log_row<T: Element>(
    io: &mut Io<'_, '_, T>,
    row: usize,
    max: f64,
    log_rest: f64,
    (numbers, terms): &mut ([f64; BLOCK], [f64; BLOCK]),
) {
    for cols in blocks(io.x().n_cols()) {
        let n = cols.len();
        let x = io.x();
        for (out, &x) in terms.iter_mut().zip(block(&x, row, cols.clone(), numbers)) {
            *out = (x - max) - log_rest;
        }
        io.put(row, cols, &terms[..n]);
    }
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;

    fn rows<T: Element>(x: &[f64], v: usize) -> (Vec<f64>, Vec<f64>, Undefined) {
        let x: Vec<T> = x.iter().map(|&x| T::from_f64(x)).collect();
        let view = View::rows_of(&x, v).unwrap();
        let mut p = vec![T::default(); x.len()];
        let undefined = softmax(view, ViewMut::rows_of(&mut p, v).unwrap()).unwrap();
        let mut log_p = vec![T::default(); x.len()];
        log_softmax(view, ViewMut::rows_of(&mut log_p, v).unwrap()).unwrap();
        // In place, and over columns, the bits are the same.
        let mut again = x.clone();
        softmax_in_place(ViewMut::rows_of(&mut again, v).unwrap());
        let bits = |x: &[T]| x.iter().map(|x| x.to_f64().to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&again), bits(&p));
        again.copy_from_slice(&x);
        log_softmax_in_place(ViewMut::rows_of(&mut again, v).unwrap());
        assert_eq!(bits(&again), bits(&log_p));
        let n = x.len() / v;
        let columns: Vec<T> = (0..x.len()).map(|i| x[i % n * v + i / n]).collect();
        let mut out = vec![T::default(); x.len()];
        let view = View::columns_of(&columns, n).unwrap();
        softmax(view, ViewMut::columns_of(&mut out, n).unwrap()).unwrap();
        let out: Vec<T> = (0..x.len()).map(|i| out[i % v * n + i / v]).collect();
        assert_eq!(bits(&out), bits(&p));
        let wide = |x: &[T]| x.iter().map(|x| x.to_f64()).collect::<Vec<_>>();
        (wide(&p), wide(&log_p), undefined)
    }

    #[test]
    fn probabilities_of_every_kind() {
        let x = [0.0, 1.0, -2.0, 30.0, 20.0, 20.5];
        let expected: Vec<f64> = x
            .chunks(3)
            .flat_map(|row| {
                let total: f64 = row.iter().map(|&x| libm::exp(x)).sum();
                row.iter().map(move |&x| libm::exp(x) / total)
            })
            .collect();
        let check = |(p, log_p, undefined): (Vec<f64>, Vec<f64>, Undefined), tolerance: f64| {
            assert_eq!(undefined, Undefined::default());
            for ((p, log_p), e) in p.iter().zip(&log_p).zip(&expected) {
                assert!((p - e).abs() <= tolerance * e, "{p} {e}");
                assert!((log_p - libm::log(*e)).abs() <= tolerance * libm::log(*e).abs() + 1e-15);
            }
        };
        check(rows::<f64>(&x, 3), 1e-15);
        check(rows::<f32>(&x, 3), 4e-7);
        check(rows::<f16>(&x, 3), 1e-3);
        check(rows::<bf16>(&x, 3), 8e-3);
    }

    #[test]
    fn rows_at_the_limits() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let x = [1.0, inf, 2.0, -inf, -inf, -inf, inf, 0.0, inf, 0.0, nan, 0.0, 1e30, -1e30, 0.0];
        let (p, log_p, undefined) = rows::<f32>(&x, 3);
        assert_eq!(undefined, Undefined { count: 3, first: Some(1) });
        assert_eq!(p[..3], [0.0, 1.0, 0.0]);
        assert_eq!(log_p[..3], [-inf, 0.0, -inf]);
        assert!(p[3..12].iter().chain(&log_p[3..12]).all(|x| x.is_nan()));
        assert_eq!(p[12..], [1.0, 0.0, 0.0]);
        assert_eq!(log_p[12], 0.0);
        let mut parts = [LogSumExp::EMPTY; 5];
        log_sum_exp_parts(View::rows_of(&x, 3).unwrap(), &mut parts).unwrap();
        assert_eq!(parts[0].max, inf);
        assert_eq!(parts[1], LogSumExp::EMPTY);
        assert!(parts[2].max.is_nan() && parts[3].max.is_nan());
        assert_eq!(parts[4], LogSumExp { max: 1e30, rest: 0.0 });
    }

    #[test]
    fn one_class_and_small_probabilities() {
        let (p, log_p, _) = rows::<f32>(&[7.0, -3.0], 1);
        assert_eq!((p, log_p), (vec![1.0, 1.0], vec![0.0, 0.0]));
        // 2^-140 or so is a subnormal f32.
        let (p, log_p, _) = rows::<f32>(&[0.0, -97.0], 2);
        assert!((p[1] - libm::exp(-97.0)).abs() <= 1.5e-45, "{}", p[1]);
        assert!((log_p[0] + libm::exp(-97.0)).abs() <= 1.5e-45);
        assert_eq!(log_p[1], -97.0);
    }

    #[test]
    fn parts_merge_in_any_order() {
        let x: Vec<f64> = (0..1000).map(|i| f64::from(i * 7919 % 613) / 10.0).collect();
        let whole = |x: &[f64]| {
            let mut parts = [LogSumExp::EMPTY];
            log_sum_exp_parts(View::rows_of(x, x.len()).unwrap(), &mut parts).unwrap();
            parts[0]
        };
        let expected = whole(&x);
        let mut merged = LogSumExp::EMPTY;
        for part in x.chunks(77) {
            merged.merge(&whole(part));
        }
        assert_eq!(merged.max, expected.max);
        assert!((merged.rest - expected.rest).abs() <= 1e-14 * expected.rest);
        // e^(-690.7 - 0.1) 1.3, whose exponent has no f64.
        let mut far = LogSumExp { max: -690.7, rest: 0.3 };
        far.merge(&LogSumExp { max: 0.1, rest: 0.0 });
        let expected = 1.268_572_386_003_730_1e-300;
        assert!((far.rest - expected).abs() <= 4.0 * f64::EPSILON * expected, "{:e}", far.rest);
        for (low, high) in [(-1e308, 1e308), (f64::MIN, f64::MAX), (-800.0, 0.0)] {
            let mut far = LogSumExp { max: low, rest: 2.0 };
            far.merge(&LogSumExp { max: high, rest: 0.5 });
            assert_eq!(far, LogSumExp { max: high, rest: 0.5 });
        }
        let mut two = whole(&[f64::INFINITY, 0.0]);
        two.merge(&LogSumExp::EMPTY);
        assert_eq!(two.max, f64::INFINITY);
        two.merge(&two.clone());
        assert!(two.max.is_nan());
    }
}
