//! The smooth calibration error: residuals smoothed by a Gaussian kernel, the bandwidth chosen by the error itself.
//!
//! ```text
//! smECE_σ = ∫ |r_σ(t)| dt / ∫ f_σ(t) dt     r_σ: sum over rows of w (p - y) K_σ(t, p),   f_σ: of w K_σ(t, p)
//! smECE   = smECE_σ at the σ where smECE_σ = σ
//! ```
//!
//! with a Gaussian kernel reflected at 0 and 1. It has no bins, moves continuously with the predictions, and is a consistent
//! measure of the distance to the nearest calibrated predictor.
//!
//! # Discretisation
//!
//! As in the authors' package `relplot` 1.0.3, so that the numbers can be compared: residuals are shared between the two nearest points
//! of a grid of about 10/σ and at least 1,001 points, smoothed there, and integrated over at least 200 points; σ is found by ten halvings,
//! to 1/1024, and is not sought below 0.001. The kernel is cut at half the unit interval, which matters for σ above 0.1 only.
//!
//! Source: Błasiok and Nakkiran (2024), arXiv:2309.12236.

use crate::calibration::rows::SortedRows;
use crate::elementary::exp;

/// The smooth calibration error and its bandwidth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SmoothError {
    /// The error, 0 to 1.
    pub value: f64,
    /// The bandwidth that it chose.
    pub bandwidth: f64,
}

/// Points that the integral is taken over, at least.
const MESH: usize = 200;
/// Bandwidths below this are not looked at.
const SMALLEST: f64 = 0.001;
/// Halvings of the interval of bandwidths.
const HALVINGS: usize = 10;
/// Bandwidths beyond which the kernel is nothing in f64: e^(-9^2/2) is 2.6e-18.
const REACH: f64 = 9.0;

/// The smooth calibration error with the bandwidth that it chooses.
///
/// Time: one pass over the rows for each of 12 bandwidths, at most 10/σ points each. Accuracy: 1e-9 against `relplot` 1.0.3.
///
/// # Example
///
/// ```
/// use xent::calibration::{rows::BinaryRows, smooth::smooth_error};
///
/// let p: Vec<f64> = (0..400).map(|i| f64::from(i % 20) / 20.0 + 0.025).collect();
/// let y: Vec<bool> = (0..400).map(|i| i / 20 <= i % 20).collect();
/// let mut rows = BinaryRows::default();
/// rows.add_probabilities(&p, &y, None)?;
/// let error = smooth_error(&rows.sort()?);
/// assert!((error.value - 0.022).abs() < 0.005, "{error:?}");
/// # Ok::<(), xent::calibration::CalibrationError>(())
/// ```
pub fn smooth_error(rows: &SortedRows) -> SmoothError {
    let is_below = |sigma: f64| sigma < SMALLEST || sigma < smooth_error_at(rows, sigma);
    let (mut start, mut end) = (1.0, 0.0);
    if !is_below(start) {
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(start, end);
            if is_below(middle) {
                end = middle;
            } else {
                start = middle;
            }
        }
    }
    SmoothError { value: smooth_error_at(rows, start), bandwidth: start }
}

/// The smooth calibration error at a bandwidth, which is above 0.
pub fn smooth_error_at(rows: &SortedRows, bandwidth: f64) -> f64 {
    let points = ((20.0 / bandwidth).round() as usize).max(2000) / 2 + 1;
    let cells = (points - 1) as f64;
    let (mut residuals, mut density) = (vec![0.0; points], vec![0.0; points]);
    for group in rows.groups() {
        let p = group.prediction;
        let residual = group.negative * p.positive - group.positive * p.negative;
        let place = p.positive * cells;
        let left = (place as usize).min(points - 2);
        let part = place - left as f64;
        residuals[left] += (1.0 - part) * residual;
        residuals[left + 1] += part * residual;
        density[left] += (1.0 - part) * group.weight();
        density[left + 1] += part * group.weight();
    }
    let kernel = Kernel::new(points, bandwidth);
    let (residuals, density) = (kernel.smooth(&residuals), kernel.smooth(&density));
    // As `relplot` keeps its density off 0: 1e-4 a point, in rows.
    let least = 1e-4 * rows.weight() / rows.effective_rows();
    let scale = (2.0 * std::f64::consts::PI).sqrt() * bandwidth;
    let mesh = ((10.0 / bandwidth).round() as usize).max(MESH);
    let (mut error, mut mass) = (0.0, 0.0);
    for i in 0..mesh {
        let place = i as f64 / (mesh - 1) as f64 * cells;
        let left = (place as usize).min(points - 2);
        let part = place - left as f64;
        let at = |values: &[f64]| values[left] * (1.0 - part) + values[left + 1] * part;
        error += at(&residuals).abs();
        mass += at(&density) + least * scale;
    }
    error / mass
}

/// The kernel's values at the distances of grid points, from `first` on.
struct Kernel {
    values: Vec<f64>,
    first: isize,
}

impl Kernel {
    fn new(points: usize, bandwidth: f64) -> Self {
        let cells = (points - 1) as f64;
        // Of an even number of points none is the middle: the kernel stands half a cell aside.
        let (least, shift) = if points % 2 == 1 {
            (-(points as isize - 1) / 2, 0.0)
        } else {
            (1 - points as isize / 2, 0.5)
        };
        let reach = (REACH * bandwidth * cells).ceil() as isize + 1;
        let first = least.max(-reach);
        let last = (least + points as isize - 1).min(reach);
        let values = (first..=last)
            .map(|offset| {
                let z = (offset as f64 - shift) / cells / bandwidth;
                exp(-0.5 * (z * z))
            })
            .collect();
        Self { values, first }
    }

    /// Values on the grid, smoothed, with the grid reflected at both ends.
    fn smooth(&self, values: &[f64]) -> Vec<f64> {
        let n = values.len() as isize;
        let reach = (-self.first).max(self.first + self.values.len() as isize - 1);
        let mirrored = |i: isize| {
            let i = i.abs();
            values[if i >= n { 2 * (n - 1) - i } else { i } as usize]
        };
        let padded: Vec<f64> = (-reach..n + reach).map(mirrored).collect();
        (0..n)
            .map(|i| {
                let start = (i + self.first + reach) as usize;
                let beside = &padded[start..start + self.values.len()];
                beside.iter().zip(&self.values).map(|(x, k)| x * k).sum()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{smooth_error, smooth_error_at};
    use crate::calibration::testing::{repeated, rows, sorted};

    #[test]
    fn bandwidth_is_where_error_and_bandwidth_meet() {
        for seed in 0..5 {
            let data = sorted(&rows(seed, 500, 17, |_| 1.0));
            let found = smooth_error(&data);
            assert!((found.value - found.bandwidth).abs() < 3.0 / 1024.0, "{found:?}");
            assert_eq!(found.value, smooth_error_at(&data, found.bandwidth));
        }
    }

    #[test]
    fn constant_prediction_is_off_by_its_difference() {
        let mut data = rows(1, 1000, 17, |_| 1.0);
        data.iter_mut().for_each(|r| r.0 = 0.5);
        let data = sorted(&data);
        let off = (0.5 - data.positive() / data.weight()).abs();
        // But for what is added to the density.
        assert!((smooth_error(&data).value - off).abs() < 1e-6 * off);
    }

    #[test]
    fn whole_weights_are_repeated_rows() {
        let data = rows(6, 200, 2, |u| (u * 3.0).floor());
        assert_eq!(smooth_error(&sorted(&data)), smooth_error(&sorted(&repeated(&data))));
    }
}
