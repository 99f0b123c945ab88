//! Recalibration: maps from predictions to better ones, fitted on rows with outcomes.
//!
//! ```text
//! temperature   softmax(x / T)                             one number; the order of the classes stays
//! vector        softmax(a x + b), a and b a number each class
//! Platt         sigmoid(a x + b)                           x: log-odds of the positive class
//! beta          sigmoid(a ln p - b ln(1 - p) + c)          a, b >= 0; a = b is Platt's
//! isotonic      a rising map of p, of each class against the rest if there are many
//! ```
//!
//! Each fit minimises the mean log loss of its rows, and never raises it: what does not win on its own rows is
//! replaced by the identity. That is no promise about other rows; [`cross_fitted`] gives each row the prediction of a fit that has not
//! seen it.
//!
//! Predictions come as logits (or log-probabilities), or as log-odds of a binary outcome. Probabilities go through
//! [`log_probabilities`] or [`log_odds`], where one of 0 is taken as 2^-53, as far as a number below 1 can be from 1: else a single exception
//! would cost infinity under every temperature. Fits of log-odds take them in -36.8 to 36.8 for the same reason.
//!
//! A calibrator is plain numbers; writing it down is the caller's. Weights are importances or counts, the fit is the same. Sums
//! over rows are exact, so the order of rows changes no bit of temperature, Platt, beta and isotonic fits.

mod isotonic_map;
mod logistic;
mod temperature;
mod vector;

pub use isotonic_map::IsotonicMap;

use std::cmp::Ordering;

use crate::calibration::decomposition::{Decomposition, fold_of, log_losses};
use crate::calibration::rows::{BinaryRows, Prediction};
use crate::calibration::{CalibrationError, check_length, check_weights};
use crate::cross_entropy::{self, Options, Target, cross_entropy};
use crate::element::Element;
use crate::elementary::ln;
use crate::exact::{Exact, ExactSum};
use crate::information::{log_sum_exp, sigmoid, softplus};
use crate::view::View;

/// The largest log-odds that a fit takes: 53 ln 2.
const MOST: f64 = 36.7368005696771;

/// A way to recalibrate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One temperature for all logits. Guo, Pleiss, Sun and Weinberger (2017), arXiv:1706.04599.
    Temperature,
    /// A factor and an offset for each class; for log-odds the same as Platt's. Guo et al. (2017).
    Vector,
    /// A factor and an offset of the log-odds; two classes. Platt (1999), without his changed targets.
    Platt,
    /// Beta calibration; two classes. Kull, Silva Filho and Flach (2017), doi:10.1214/17-EJS1338SI.
    Beta,
    /// Isotonic regression. Zadrozny and Elkan (2002), doi:10.1145/775047.775151.
    Isotonic,
}

/// Predictions to be recalibrated.
#[derive(Clone, Copy, Debug)]
pub enum Predictions<'a, T> {
    /// Log-odds of the second of two classes.
    LogOdds(&'a [f64]),
    /// Logits or log-probabilities, `n_samples x n_classes`.
    Logits(View<'a, T>),
}

impl<T: Element> Predictions<'_, T> {
    fn n_samples(&self) -> usize {
        match self {
            Self::LogOdds(x) => x.len(),
            Self::Logits(x) => x.n_rows(),
        }
    }

    fn n_classes(&self) -> usize {
        match self {
            Self::LogOdds(_) => 2,
            Self::Logits(x) => x.n_cols(),
        }
    }

    /// Log-odds of two classes.
    fn log_odds(&self) -> Result<Vec<f64>, CalibrationError> {
        match self {
            Self::LogOdds(x) => Ok(x.to_vec()),
            Self::Logits(x) if x.n_cols() == 2 => Ok((0..x.n_rows())
                .map(|row| x.get(row, 1).to_f64() - x.get(row, 0).to_f64())
                .collect()),
            Self::Logits(x) => Err(CalibrationError::Option {
                name: "number of classes",
                value: x.n_cols() as f64,
                range: "2, as this method needs",
            }),
        }
    }
}

/// What a fit found: parameters as plain numbers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Calibrator {
    /// Predictions stay as they are.
    Identity,
    /// `softmax(x / temperature)`.
    Temperature {
        /// Above 1 for a model that is too sure of itself.
        temperature: f64,
    },
    /// `softmax(scale x + bias)`.
    Vector {
        /// A factor a class.
        scale: Vec<f64>,
        /// An offset a class.
        bias: Vec<f64>,
    },
    /// `sigmoid(slope x + intercept)`.
    Platt {
        /// Factor of the log-odds.
        slope: f64,
        /// Their offset.
        intercept: f64,
    },
    /// `sigmoid(a ln p - b ln(1 - p) + c)`.
    Beta {
        /// Of ln p; at least 0.
        a: f64,
        /// Of -ln(1 - p); at least 0.
        b: f64,
        /// The offset.
        c: f64,
    },
    /// A map of the positive class of two, or of each of more, whose results are divided by their sum.
    Isotonic {
        /// One map, or one a class.
        maps: Vec<IsotonicMap>,
    },
}

/// A calibrator and what it wins on the rows it was fitted on.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The map.
    pub calibrator: Calibrator,
    /// Mean log loss before, nats.
    pub before: f64,
    /// Mean log loss after, nats; never above `before`.
    pub after: f64,
}

/// Log-odds of probabilities of the positive outcome; 0 is taken as 2^-53, 1 as 1 - 2^-53.
///
/// # Errors
/// A number outside [0, 1].
pub fn log_odds(p: &[f64]) -> Result<Vec<f64>, CalibrationError> {
    check_probabilities(p, 1)?;
    Ok(p.iter().map(|&p| Prediction::from_probability(p).log_odds().clamp(-MOST, MOST)).collect())
}

/// Logarithms of probabilities, with 0 taken as 2^-53.
///
/// # Errors
/// A number outside [0, 1].
pub fn log_probabilities(p: &[f64], n_classes: usize) -> Result<Vec<f64>, CalibrationError> {
    check_probabilities(p, n_classes)?;
    Ok(p.iter().map(|&p| if p == 0.0 { -MOST } else { ln(p) }).collect())
}

fn check_probabilities(p: &[f64], n_classes: usize) -> Result<(), CalibrationError> {
    match p.iter().position(|p| !(0.0..=1.0).contains(p)) {
        Some(i) => Err(CalibrationError::NotProbability { row: i / n_classes.max(1), value: p[i] }),
        None => Ok(()),
    }
}

/// Fits a calibrator to rows with labels: the one of least mean log loss on them.
///
/// Shapes: predictions of n rows, n labels (0 or 1 for log-odds), n weights if any.
///
/// Accuracy: temperature to 1e-7 relative from f32, 1e-10 from f64; Platt and beta to 1e-9; against `SciPy`'s minimum of the same loss. A
/// vector fit stops at a gradient below 1e-9 or after 500 steps. Temperatures from 2^-20 to 2^20 are looked at.
///
/// # Errors
///
/// A label or weight that is none, NaN or no softmax in a row, lists of different lengths, no rows, or a method for two
/// classes with more.
///
/// # Example
///
/// ```
/// use xent::calibration::recalibrate::{Calibrator, Method, Predictions, fit};
/// use xent::view::View;
///
/// // Sure of itself by e^4 to 1, and right three times of four: e^1.0986 = 3 to 1 is what it should say.
/// let x = [4.0_f64, 0.0, 4.0, 0.0, 4.0, 0.0, 4.0, 0.0];
/// let found = fit(Method::Temperature, Predictions::Logits(View::rows_of(&x, 2)?), &[0, 0, 0, 1], None)?;
/// let Calibrator::Temperature { temperature } = found.calibrator else { panic!() };
/// assert!((temperature - 4.0 / 3.0_f64.ln()).abs() < 1e-9);
/// assert!(found.after < found.before);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fit<T: Element>(
    method: Method,
    predictions: Predictions<'_, T>,
    labels: &[u32],
    weights: Option<&[f64]>,
) -> Result<Fit, CalibrationError> {
    check(predictions, labels, weights)?;
    let before = mean_loss(&Calibrator::Identity, predictions, labels, weights)?;
    let calibrator = match (method, predictions) {
        (Method::Temperature, Predictions::Logits(x)) => {
            Calibrator::Temperature { temperature: 1.0 / temperature::fit(x, labels, weights) }
        }
        (Method::Temperature, Predictions::LogOdds(x)) => {
            let inverse = logistic::fit([x.to_vec()], labels, weights)[0];
            Calibrator::Temperature { temperature: 1.0 / inverse.max(1.0 / 1_048_576.0) }
        }
        (Method::Vector, Predictions::Logits(x)) => {
            let (scale, bias) = vector::fit(x, labels, weights);
            Calibrator::Vector { scale, bias }
        }
        (Method::Platt, _) | (Method::Vector, Predictions::LogOdds(_)) => {
            let x = predictions.log_odds()?;
            let ones = vec![1.0; x.len()];
            let [slope, intercept] = logistic::fit([x, ones], labels, weights);
            Calibrator::Platt { slope, intercept }
        }
        (Method::Beta, _) => beta(&predictions.log_odds()?, labels, weights),
        (Method::Isotonic, _) => isotonic(predictions, labels, weights)?,
    };
    let after = mean_loss(&calibrator, predictions, labels, weights)?;
    Ok(if after < before {
        Fit { calibrator, before, after }
    } else {
        Fit { calibrator: Calibrator::Identity, before, after: before }
    })
}

/// Checks what every fit needs.
fn check<T: Element>(
    predictions: Predictions<'_, T>,
    labels: &[u32],
    weights: Option<&[f64]>,
) -> Result<(), CalibrationError> {
    let (n, n_classes) = (predictions.n_samples(), predictions.n_classes());
    check_length("labels", labels.len(), n)?;
    check_weights(weights, n)?;
    if let Some(row) = labels.iter().position(|&label| label as usize >= n_classes) {
        return Err(CalibrationError::Label { row, label: labels[row], n_classes });
    }
    if !weights.map_or(n > 0, |w| w.iter().any(|w| *w > 0.0)) {
        return Err(CalibrationError::Empty);
    }
    if let Predictions::LogOdds(x) = predictions
        && let Some(row) = x.iter().position(|x| x.is_nan())
    {
        return Err(CalibrationError::NotNumber { row, value: x[row] });
    }
    Ok(())
}

/// The beta fit: all three numbers, or what is left on the bounds if that is not allowed.
fn beta(x: &[f64], labels: &[u32], weights: Option<&[f64]>) -> Calibrator {
    let x = x.iter().map(|x| x.clamp(-MOST, MOST));
    let (p, q): (Vec<f64>, Vec<f64>) = x.map(|x| (0.0 - softplus(-x), softplus(x))).unzip();
    let ones = vec![1.0; p.len()];
    let [a, b, c] = logistic::fit([p.clone(), q.clone(), ones.clone()], labels, weights);
    if a >= 0.0 && b >= 0.0 {
        return Calibrator::Beta { a, b, c };
    }
    let loss = |[a, b, c]: [f64; 3]| {
        let terms = p.iter().zip(&q).zip(labels).enumerate().map(|(row, ((p, q), label))| {
            let z = a * p + b * q + c;
            weights.map_or(1.0, |w| w[row]) * softplus(if *label == 1 { -z } else { z })
        });
        terms.collect::<ExactSum>().value()
    };
    let [a, with_a] = logistic::fit([p.clone(), ones.clone()], labels, weights);
    let [b, with_b] = logistic::fit([q.clone(), ones.clone()], labels, weights);
    let [alone] = logistic::fit([ones], labels, weights);
    let candidates = [[a, 0.0, with_a], [0.0, b, with_b], [0.0, 0.0, alone]];
    let allowed = candidates.into_iter().filter(|[a, b, _]| *a >= 0.0 && *b >= 0.0);
    let best = allowed.min_by(|x, y| loss(*x).total_cmp(&loss(*y)));
    let [a, b, c] = best.unwrap_or([0.0, 0.0, alone]);
    Calibrator::Beta { a, b, c }
}

fn isotonic<T: Element>(
    predictions: Predictions<'_, T>,
    labels: &[u32],
    weights: Option<&[f64]>,
) -> Result<Calibrator, CalibrationError> {
    let of_class = |class: u32, x: &[f64]| {
        let outcomes: Vec<bool> = labels.iter().map(|&label| label == class).collect();
        let mut rows = BinaryRows::default();
        rows.add_log_odds(x, &outcomes, weights)?;
        Ok(IsotonicMap::fit(&rows.sort()?))
    };
    let maps = match predictions {
        Predictions::Logits(x) if x.n_cols() > 2 => {
            let odds = class_log_odds(x);
            odds.iter().enumerate().map(|(class, x)| of_class(class as u32, x)).collect()
        }
        _ => of_class(1, &predictions.log_odds()?).map(|map| vec![map]),
    };
    Ok(Calibrator::Isotonic { maps: maps? })
}

/// Log-odds of each class against the rest, class by class.
fn class_log_odds<T: Element>(x: View<'_, T>) -> Vec<Vec<f64>> {
    let mut columns = vec![Vec::with_capacity(x.n_rows()); x.n_cols()];
    for row in 0..x.n_rows() {
        let logits: Vec<f64> = (0..x.n_cols()).map(|c| x.get(row, c).to_f64()).collect();
        for (class, column) in columns.iter_mut().enumerate() {
            let mut others = logits.clone();
            others.remove(class);
            column.push(logits[class] - log_sum_exp(&others));
        }
    }
    columns
}

impl Calibrator {
    /// Recalibrated probabilities: of the positive class for log-odds (n numbers), of every class for logits
    /// (`n_samples x n_classes`, row after row).
    ///
    /// # Errors
    ///
    /// NaN, or a calibrator fitted to another number of classes.
    pub fn apply<T: Element>(
        &self,
        predictions: Predictions<'_, T>,
    ) -> Result<Vec<f64>, CalibrationError> {
        self.check_classes(predictions.n_classes())?;
        match predictions {
            Predictions::LogOdds(x) => Ok(x.iter().map(|&x| self.binary(x).positive).collect()),
            Predictions::Logits(x) => {
                let mut out = Vec::with_capacity(x.n_rows() * x.n_cols());
                for row in 0..x.n_rows() {
                    let logits: Vec<f64> =
                        (0..x.n_cols()).map(|c| x.get(row, c).to_f64()).collect();
                    let logs = self.log_probabilities(&logits);
                    if let Some(value) = logs.iter().find(|x| x.is_nan()) {
                        return Err(CalibrationError::NotNumber { row, value: *value });
                    }
                    out.extend(logs.into_iter().map(crate::elementary::exp));
                }
                Ok(out)
            }
        }
    }

    fn check_classes(&self, n: usize) -> Result<(), CalibrationError> {
        let wanted = match self {
            Self::Identity | Self::Temperature { .. } => n,
            Self::Vector { scale, .. } => scale.len(),
            Self::Isotonic { maps } if maps.len() > 1 => maps.len(),
            Self::Platt { .. } | Self::Beta { .. } | Self::Isotonic { .. } => 2,
        };
        check_length("classes", n, wanted)
    }

    /// The log-odds of a positive class after recalibration, or both probabilities where those are what is known.
    fn binary(&self, x: f64) -> Prediction {
        let z = match self {
            Self::Temperature { temperature } => x / temperature,
            Self::Platt { slope, intercept } => slope * x.clamp(-MOST, MOST) + intercept,
            Self::Beta { a, b, c } => {
                let x = x.clamp(-MOST, MOST);
                b * softplus(x) - a * softplus(-x) + c
            }
            Self::Isotonic { maps } => return maps[0].apply(Prediction::from_log_odds(x)),
            Self::Vector { scale, bias } => scale[1] * x + (bias[1] - bias[0]),
            Self::Identity => x,
        };
        Prediction { positive: sigmoid(z), negative: sigmoid(-z) }
    }

    /// Log-probabilities of a row of logits after recalibration.
    fn log_probabilities(&self, logits: &[f64]) -> Vec<f64> {
        let mut z: Vec<f64> = match self {
            Self::Identity => logits.to_vec(),
            Self::Temperature { temperature } => logits.iter().map(|x| x / temperature).collect(),
            Self::Vector { scale, bias } => {
                {
                    // As the fit takes them: -inf times a factor is no number.
                    let z = |(x, (a, b)): (&f64, (&f64, &f64))| a * x.max(vector::LEAST) + b;
                    logits.iter().zip(scale.iter().zip(bias)).map(z).collect()
                }
            }
            Self::Isotonic { maps } if maps.len() > 1 => {
                let map = |(class, map): (usize, &IsotonicMap)| {
                    let mut others = logits.to_vec();
                    let x = others.remove(class) - log_sum_exp(&others);
                    ln(map.apply(Prediction::from_log_odds(x)).positive)
                };
                maps.iter().enumerate().map(map).collect()
            }
            _ => {
                let p = self.binary(logits[1] - logits[0]);
                vec![ln(p.negative), ln(p.positive)]
            }
        };
        let all = log_sum_exp(&z);
        z.iter_mut().for_each(|z| *z -= all);
        z
    }
}

/// The mean log loss of rows after a calibrator, nats.
///
/// # Errors
///
/// As [`fit`].
pub fn mean_loss<T: Element>(
    calibrator: &Calibrator,
    predictions: Predictions<'_, T>,
    labels: &[u32],
    weights: Option<&[f64]>,
) -> Result<f64, CalibrationError> {
    check(predictions, labels, weights)?;
    calibrator.check_classes(predictions.n_classes())?;
    let mut sum = ExactSum::new();
    match (calibrator, predictions) {
        (Calibrator::Identity | Calibrator::Temperature { .. }, Predictions::Logits(x)) => {
            let temperature = match calibrator {
                Calibrator::Temperature { temperature } => *temperature,
                _ => 1.0,
            };
            let plain = (temperature != 1.0)
                .then(|| temperature::losses(x, labels, weights, temperature))
                .flatten();
            if let Some(total) = plain {
                sum = total;
            } else {
                let options = Options { temperature, row_weights: weights, ..Options::default() };
                let wanted = cross_entropy::Wanted::default();
                let total = cross_entropy(x, Target::Classes(labels), &options, wanted);
                let total = total.map_err(|_| CalibrationError::Empty)?;
                if let Some(row) = total.first_undefined {
                    return Err(CalibrationError::NotNumber { row, value: f64::NAN });
                }
                sum = total.loss;
            }
        }
        (_, Predictions::Logits(x)) => {
            for (row, &label) in labels.iter().enumerate() {
                let w = weights.map_or(1.0, |w| w[row]);
                let logits: Vec<f64> = (0..x.n_cols()).map(|c| x.get(row, c).to_f64()).collect();
                let loss = 0.0 - calibrator.log_probabilities(&logits)[label as usize];
                if w > 0.0 {
                    sum.add_product(w, loss.max(0.0));
                }
            }
        }
        (_, Predictions::LogOdds(x)) => {
            for (row, &label) in labels.iter().enumerate() {
                let w = weights.map_or(1.0, |w| w[row]);
                let loss = match calibrator {
                    Calibrator::Identity => softplus(if label == 1 { -x[row] } else { x[row] }),
                    _ => log_losses(calibrator.binary(x[row]))[label as usize],
                };
                if w > 0.0 {
                    sum.add_product(w, loss);
                }
            }
        }
    }
    let weight = weights.map_or_else(
        || ExactSum::of(labels.len() as f64),
        |weights| weights.iter().copied().collect(),
    );
    Ok(match (sum.to_exact(), weight.to_exact()) {
        (Ok(sum), Ok(weight)) => sum.ratio(&weight),
        (Err(special), _) => special,
        (_, Err(special)) => Exact::integer(0).ratio(&Exact::of(special)),
    })
}

/// Probabilities of every row, each recalibrated by a fit on the rows of the other folds; shaped as [`Calibrator::apply`] gives
/// them.
///
/// Rows of equal predictions are in one fold, [`fold_of`] the place of their prediction among those that have weight, in order of
/// their numbers: no row is predicted by a fit to its own copies, a row of weight 3 is as good as three rows, and folds do not
/// depend on the order of rows. What is averaged over these rows is what the method wins on rows it has not
/// seen.
///
/// # Errors
///
/// As [`fit`]; or fewer than 2 folds; or a fold that holds all rows of positive weight.
pub fn cross_fitted<T: Element>(
    method: Method,
    predictions: Predictions<'_, T>,
    labels: &[u32],
    weights: Option<&[f64]>,
    folds: u32,
) -> Result<Vec<f64>, CalibrationError> {
    check(predictions, labels, weights)?;
    if folds < 2 {
        let range = "at least 2";
        return Err(CalibrationError::Option { name: "folds", value: f64::from(folds), range });
    }
    let (n, k) = (predictions.n_samples(), predictions.n_classes());
    let fold_of_row = dealt(predictions, weights, folds);
    let width = if let Predictions::LogOdds(_) = predictions { 1 } else { k };
    let mut out = vec![f64::NAN; n * width];
    for fold in 0..folds {
        let (held_out, others): (Vec<usize>, Vec<usize>) =
            (0..n).partition(|&row| fold_of_row[row] == fold);
        if held_out.is_empty() {
            continue;
        }
        let take = |rows: &[usize]| -> Vec<T> {
            match predictions {
                Predictions::LogOdds(_) => Vec::new(),
                Predictions::Logits(x) => {
                    rows.iter().flat_map(|&row| (0..k).map(move |c| x.get(row, c))).collect()
                }
            }
        };
        let odds = |rows: &[usize]| -> Vec<f64> {
            match predictions {
                Predictions::LogOdds(x) => rows.iter().map(|&row| x[row]).collect(),
                Predictions::Logits(_) => Vec::new(),
            }
        };
        let (logits, x) = (take(&others), odds(&others));
        let labels_of: Vec<u32> = others.iter().map(|&row| labels[row]).collect();
        let weights_of: Option<Vec<f64>> =
            weights.map(|w| others.iter().map(|&row| w[row]).collect());
        let fitted =
            fit(method, part(predictions, &logits, &x)?, &labels_of, weights_of.as_deref())?;
        let (logits, x) = (take(&held_out), odds(&held_out));
        let found = fitted.calibrator.apply(part(predictions, &logits, &x)?)?;
        for (&row, found) in held_out.iter().zip(found.chunks(width)) {
            out[row * width..(row + 1) * width].copy_from_slice(found);
        }
    }
    Ok(out)
}

/// The fold of every row.
fn dealt<T: Element>(
    predictions: Predictions<'_, T>,
    weights: Option<&[f64]>,
    folds: u32,
) -> Vec<u32> {
    let compare = |a: usize, b: usize| match predictions {
        Predictions::LogOdds(x) => x[a].total_cmp(&x[b]),
        Predictions::Logits(x) => {
            let pairs = (0..x.n_cols()).map(|c| (x.get(a, c).to_f64(), x.get(b, c).to_f64()));
            let mut orders = pairs.map(|(a, b)| a.total_cmp(&b));
            orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        }
    };
    let has_weight = |row: usize| weights.is_none_or(|w| w[row] > 0.0);
    let mut order: Vec<usize> = (0..predictions.n_samples()).collect();
    order.sort_by(|&a, &b| compare(a, b));
    let mut folds_of = vec![0; order.len()];
    let mut place = 0;
    for same in order.chunk_by(|&a, &b| compare(a, b).is_eq()) {
        same.iter().for_each(|&row| folds_of[row] = fold_of(place, folds));
        place += u64::from(same.iter().any(|&row| has_weight(row)));
    }
    folds_of
}

/// Rows taken from predictions, as predictions of the same kind.
fn part<'a, T: Element>(
    like: Predictions<'_, T>,
    logits: &'a [T],
    odds: &'a [f64],
) -> Result<Predictions<'a, T>, CalibrationError> {
    match like {
        Predictions::LogOdds(_) => Ok(Predictions::LogOdds(odds)),
        Predictions::Logits(x) => View::rows_of(logits, x.n_cols())
            .map(Predictions::Logits)
            .map_err(|_| CalibrationError::Empty),
    }
}

/// The parts of the mean log loss of many classes by recalibration: three parts that add up for any predictions, without
/// groups.
///
/// ```text
/// miscalibration = S(p) - S(r),   discrimination = S(π) - S(r),   uncertainty = S(π) = H(π)
/// ```
///
/// r is the best of the predictions themselves, their vector recalibration ([`Method::Vector`]) and the class frequencies π, on these rows. The family
/// holds the other two, so no part is negative; what it cannot repair counts as missing discrimination. In-sample, with 2 numbers a class.
///
/// # Errors
///
/// As [`fit`].
///
/// Source: the variational form of Bröcker's decomposition, as in Berta, Holzmüller, Jordan and Bach (2025), arXiv:2501.19195.
pub fn decompose<T: Element>(
    logits: View<'_, T>,
    labels: &[u32],
    weights: Option<&[f64]>,
) -> Result<Decomposition, CalibrationError> {
    let fitted = fit(Method::Vector, Predictions::Logits(logits), labels, weights)?;
    let mut counts = vec![ExactSum::new(); logits.n_cols()];
    for (row, &label) in labels.iter().enumerate() {
        counts[label as usize].add(weights.map_or(1.0, |w| w[row]));
    }
    let counts: Vec<f64> = counts.iter().map(ExactSum::value).collect();
    let total = counts.iter().copied().collect::<ExactSum>().value();
    let term = |count: &f64| if *count > 0.0 { count / total * -ln(count / total) } else { 0.0 };
    let uncertainty = counts.iter().map(term).collect::<ExactSum>().value();
    let recalibrated = fitted.after.min(uncertainty);
    Ok(Decomposition {
        score: fitted.before,
        uncertainty,
        discrimination: uncertainty - recalibrated,
        miscalibration: fitted.before - recalibrated,
    })
}

#[cfg(test)]
#[path = "recalibrate_tests.rs"]
mod tests;
