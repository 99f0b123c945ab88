#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::calibration::held::HeldRows;
use crate::calibration::recalibrate::{Method, Predictions, fit, log_probabilities};
use crate::information::log_sum_exp;
use crate::rows::Target;
use crate::view::View;

/// Parts add up within so many ulp of the score.
const ULPS_SUM: f64 = 4.0;

fn table(input: Input, k: usize, p: &[f64], labels: &[u32]) -> HeldTable {
    let mut held = HeldRows::new(k, input);
    held.update(&View::rows_of(p, k).unwrap(), Target::Classes(labels), None, 0.0);
    held.finish().unwrap()
}

fn binary(p: &[f64], labels: &[u32]) -> HeldTable {
    let pairs: Vec<f64> = p.iter().flat_map(|p| [1.0 - p, *p]).collect();
    table(Input::Probabilities, 2, &pairs, labels)
}

/// Three classes, calibrated badly: log-probabilities of a tempered and shifted softmax, and labels drawn from the softmax.
fn drawn(n: usize, k: usize, seed: u64) -> (Vec<f64>, Vec<u32>) {
    let mut random = crate::calibration::random::SplitMix64::new(seed);
    let (mut p, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let z: Vec<f64> = (0..k).map(|_| 4.0 * random.uniform() - 2.0).collect();
        let truth: Vec<f64> = z.iter().map(|z| z.exp()).collect();
        let mut left = random.uniform() * truth.iter().sum::<f64>();
        let label = truth.iter().position(|t| {
            left -= t;
            left < 0.0
        });
        labels.push(label.unwrap_or(k - 1) as u32);
        let said: Vec<f64> =
            z.iter().enumerate().map(|(c, z)| (1.7 * z + 0.3 * c as f64).exp()).collect();
        let total: f64 = said.iter().sum();
        p.extend(said.iter().map(|s| s / total));
    }
    (p, labels)
}

fn check(parts: Decomposition) {
    let Decomposition { score, uncertainty, discrimination, miscalibration } = parts;
    assert!(uncertainty >= 0.0 && discrimination >= 0.0 && miscalibration >= 0.0, "{parts:?}");
    if score == f64::INFINITY {
        assert!(miscalibration == f64::INFINITY && discrimination.is_finite(), "{parts:?}");
    } else {
        let sum = uncertainty - discrimination + miscalibration;
        assert!((sum - score).abs() <= ULPS_SUM * ulp(score), "{parts:?}: {sum}");
    }
}

#[test]
fn equal_forecasts_have_no_parts_in_any_order() {
    for labels in [[0, 0, 1, 1], [1, 0, 1, 0], [1, 1, 0, 0]] {
        let parts = binary(&[0.5; 4], &labels).decompose().parts;
        for parts in [parts.log.in_bits(), parts.squared] {
            assert_eq!((parts.discrimination, parts.miscalibration), (0.0, 0.0));
            assert_eq!(parts.settled(parts.score, parts.uncertainty), parts);
        }
    }
}

#[test]
fn forecasts_an_ulp_from_1_are_finite() {
    let parts = binary(&[0.2, 1.0 - 1.1e-16, 1.0], &[0, 0, 1]).decompose().parts;
    let log = parts.log.settled(parts.log.score, parts.log.uncertainty);
    check(log);
    // (-ln 0.8 + 53 ln 2) / 3, the middle forecast being 1 - 2^-53.
    let wanted = (-(0.8_f64.ln()) + 53.0 * LN_2) / 3.0;
    assert!((log.score - wanted).abs() < 1e-14);
}

#[test]
fn a_miss_of_a_certain_forecast_is_infinite_miscalibration() {
    let parts = binary(&[0.0, 0.4, 0.6, 0.3], &[1, 0, 1, 0]).decompose().parts;
    check(parts.log.settled(f64::INFINITY, parts.log.uncertainty));
    let p = [0.0, 0.5, 0.5, /**/ 0.2, 0.5, 0.3, /**/ 0.1, 0.1, 0.8];
    let parts = table(Input::Probabilities, 3, &p, &[0, 1, 2]).decompose().parts;
    assert_eq!(parts.log.score, f64::INFINITY);
    check(parts.log.settled(f64::INFINITY, parts.log.uncertainty));
    check(parts.squared.settled(parts.squared.score, parts.squared.uncertainty));
}

/// The loss that Newton's method finds is that of L-BFGS in another module, and below every member nearby.
#[test]
fn vector_scaling_is_the_minimum() {
    for (n, k) in [(600, 3), (40_000, 3), (3000, 7)] {
        let (p, labels) = drawn(n, k, 7 + n as u64);
        let held = table(Input::Probabilities, k, &p, &labels);
        let parts = held.decompose();
        assert_eq!(parts.log, Recalibration::VectorScaling);
        let log = parts.parts.log;
        let x = log_probabilities(&p, k).unwrap();
        let other =
            fit(Method::Vector, Predictions::Logits(View::rows_of(&x, k).unwrap()), &labels, None);
        let wanted = other.unwrap();
        assert!((log.score - wanted.before).abs() < 1e-13, "{n} {k}");
        assert!((log.recalibrated() - wanted.after).abs() < 1e-10, "{n} {k}");
        // It was drawn so: most of the miscalibration is repaired.
        assert!(log.miscalibration > 0.05, "{log:?}");
        let honest = held.cross_fitted(5).unwrap().parts.log;
        assert!(honest.recalibrated() > log.recalibrated(), "{n} {k}");
        assert!((honest.recalibrated() - log.recalibrated()) < 10.0 * k as f64 / n as f64);
    }
}

/// Few rows: the family of two numbers, at its minimum by golden section over a grid of the other number.
#[test]
fn temperature_and_prior_is_the_minimum() {
    let (p, labels) = drawn(60, 4, 3);
    let held = table(Input::Probabilities, 4, &p, &labels);
    let parts = held.decompose();
    assert_eq!(parts.log, Recalibration::TemperatureAndPrior);
    let counts = held.class_weights();
    let loss = |a: f64, b: f64| {
        let rows = p.chunks_exact(4).zip(&labels).map(|(p, &y)| {
            let z: Vec<f64> =
                p.iter().zip(&counts).map(|(p, n)| a * p.ln() + b * (n / 60.0).ln()).collect();
            log_sum_exp(&z) - z[y as usize]
        });
        rows.sum::<f64>() / 60.0
    };
    let (mut a, mut b, mut step) = (1.0, 0.0, 0.5);
    while step > 1e-7 {
        let around = [(0.0, 0.0), (step, 0.0), (-step, 0.0), (0.0, step), (0.0, -step)];
        let best = around.into_iter().map(|(x, y)| (a + x, b + y));
        let best = best.min_by(|s, t| loss(s.0, s.1).total_cmp(&loss(t.0, t.1))).unwrap();
        if best == (a, b) {
            step *= 0.5;
        }
        (a, b) = best;
    }
    assert!((parts.parts.log.recalibrated() - loss(a, b)).abs() < 1e-10);
}

/// Predictions that point the wrong way are not turned round: they know nothing.
#[test]
fn a_temperature_is_not_negative() {
    let p = [0.1, 0.2, 0.7, /**/ 0.7, 0.1, 0.2, /**/ 0.2, 0.7, 0.1];
    let held = table(Input::Probabilities, 3, &p, &[0, 1, 2]);
    let log = held.decompose().parts.log;
    assert_eq!(log.discrimination, 0.0);
    assert!((log.uncertainty - 3.0_f64.ln()).abs() <= ulp(1.0));
    assert!((log.miscalibration - (-(0.1_f64.ln()) - 3.0_f64.ln())).abs() < 1e-15);
}

/// The kind of input does not matter: the same predictions have the same parts.
#[test]
fn probabilities_and_logits_agree() {
    for k in [2, 3] {
        let (p, labels) = drawn(2000, k, 11);
        let logs: Vec<f64> = p.iter().map(|p| p.ln()).collect();
        let logits: Vec<f64> = logs
            .chunks_exact(k)
            .enumerate()
            .flat_map(|(i, x)| x.iter().map(move |x| x + i as f64))
            .collect();
        let wanted = table(Input::Probabilities, k, &p, &labels).decompose().parts;
        for (input, x) in [(Input::LogProbabilities, &logs), (Input::Logits, &logits)] {
            let held = table(input, k, x, &labels);
            let parts = held.decompose().parts;
            for (parts, wanted) in [(parts.log, wanted.log), (parts.squared, wanted.squared)] {
                let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
                assert!(near(parts.miscalibration, wanted.miscalibration), "{k} {input:?}");
                assert!(near(parts.discrimination, wanted.discrimination), "{k} {input:?}");
            }
            let folds = held.cross_fitted(4).unwrap().parts;
            assert!(folds.log.recalibrated().is_finite());
            assert!(folds.squared.miscalibration > 0.0);
        }
    }
}

#[test]
fn folds_need_rows() {
    let held = binary(&[0.2, 0.7, 0.9], &[0, 1, 1]);
    assert!(held.cross_fitted(3).is_ok());
    assert!(held.cross_fitted(4).is_err());
    assert!(held.cross_fitted(1).is_err());
}

fn few_rows(k: usize) -> impl Strategy<Value = Vec<(Vec<f64>, u32)>> {
    let number = prop_oneof![Just(0.0), Just(1.0), 0.0..1.0, Just(1e-17), Just(1e-300)];
    let row = prop::collection::vec(number, k).prop_filter_map("a sum", |mut p: Vec<f64>| {
        let total: f64 = p.iter().sum();
        p.iter_mut().for_each(|x| *x /= total);
        (total > 0.0).then_some(p)
    });
    prop::collection::vec((row, 0..k as u32), 1..40)
}

proptest! {
    #[test]
    fn no_part_is_negative_and_all_add_up(rows in (1_usize..5).prop_flat_map(few_rows)) {
        let k = rows[0].0.len();
        let p: Vec<f64> = rows.iter().flat_map(|row| row.0.clone()).collect();
        let labels: Vec<u32> = rows.iter().map(|row| row.1).collect();
        let parts = table(Input::Probabilities, k, &p, &labels).decompose().parts;
        for parts in [parts.log, parts.log.in_bits(), parts.squared] {
            check(parts.settled(parts.score, parts.uncertainty));
        }
    }

    /// Whatever the sample says, the parts settled on the full score add up and are not negative.
    #[test]
    fn settled_parts_add_up(
        d in 0.0..2.0, m in 0.0..3.0,
        uncertainty in 0.0..2.0,
        score in prop_oneof![0.0..4.0, 0.0..1e-12, Just(0.0), Just(1e-300)],
    ) {
        let held = Decomposition { score: uncertainty - d + m, uncertainty, discrimination: d, miscalibration: m };
        check(held.settled(score, uncertainty));
    }
}

/// Losses by prediction add up to the parts; the error is that of the mean of distinct rows.
#[test]
fn totals_are_the_losses_and_have_the_error_of_a_sample() {
    // Interleaved labels: isotonic regression pools rows.
    let n = 2000;
    for k in [2_usize, 3] {
        let p: Vec<f64> = (0..n)
            .flat_map(|i| {
                let p = 0.05 + 0.8 * (i as f64 * 0.618_034).fract();
                if k == 2 { vec![1.0 - p, p] } else { vec![0.75 * (1.0 - p), 0.25 * (1.0 - p), p] }
            })
            .collect();
        let labels: Vec<u32> = (0..n).map(|i| ((i * i + i / 3) % k) as u32).collect();
        let mut held = HeldRows::new(k, Input::Probabilities);
        held.update(&View::rows_of(&p, k).unwrap(), Target::Classes(&labels), None, 0.0);
        let table = held.finish().unwrap();
        let parts = table.decompose().parts.log;
        let recalibrated = table.recalibrated_totals().unwrap();
        let mean = |totals: &[f64]| totals.iter().sum::<f64>() / n as f64;
        assert!((mean(&table.log_loss_totals()) - parts.score).abs() < 1e-12);
        // An isotonic fit drawn towards 1/2 by half a row loses a little more.
        let near = if k == 2 { 1e-3 } else { 1e-10 };
        assert!((mean(&recalibrated) - parts.recalibrated()).abs() < near, "{k} classes");
        let average = mean(&recalibrated);
        let variance = recalibrated.iter().map(|x| (x - average).powi(2)).sum::<f64>() / n as f64;
        let error = table.sampling_error(&recalibrated, 0.25);
        assert!((error / (0.75 * variance / n as f64).sqrt() - 1.0).abs() < 1e-9);
    }
}

/// `n` rows of `k` classes, calibrated: the labels are drawn from what is said.
fn calibrated(n: usize, k: usize, seed: u64) -> (Vec<f64>, Vec<u32>) {
    let mut random = crate::calibration::random::SplitMix64::new(seed);
    let (mut p, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let z: Vec<f64> = (0..k).map(|_| (3.0 * random.uniform() - 1.5).exp()).collect();
        let total: f64 = z.iter().sum();
        let mut left = random.uniform() * total;
        let label = z.iter().position(|z| {
            left -= z;
            left < 0.0
        });
        labels.push(label.unwrap_or(k - 1) as u32);
        p.extend(z.iter().map(|z| z / total));
    }
    (p, labels)
}

/// A calibrated model shows as much miscalibration as it is said to show by chance, and one that is not calibrated is not said
/// to show much more. Within 40% for one table; the mean of 40 tables within 25%.
#[test]
fn what_fits_show_by_chance() {
    for k in [2, 3, 5] {
        let n = 4000;
        let (p, labels) = calibrated(n, k, 7);
        let table = table(Input::Probabilities, k, &p, &labels);
        let parts = table.decompose();
        let [log, squared] = table.by_chance(&parts).unwrap();
        let found = parts.parts.squared.miscalibration;
        assert!((0.6..1.4).contains(&(squared / found)), "{k}: {squared} for {found}");
        if k == 2 {
            let found = parts.parts.log.miscalibration;
            assert!((0.6..1.4).contains(&(log / found)), "{log} for {found}");
        }
    }
    let mean = |k: usize, rows: usize| -> [f64; 2] {
        let mut sums = [0.0; 2];
        for seed in 0..40 {
            let (p, labels) = calibrated(rows, k, seed);
            let table = table(Input::Probabilities, k, &p, &labels);
            let parts = table.decompose();
            sums[0] += table.by_chance(&parts).unwrap()[0];
            sums[1] += parts.parts.log.miscalibration;
        }
        sums
    };
    for (k, rows) in [(3, 1000), (3, 150)] {
        let [said, found] = mean(k, rows);
        assert!((0.75..1.25).contains(&(said / found)), "{k}: {said} for {found}");
    }
    let (p, labels) = drawn(4000, 3, 7);
    let table = table(Input::Probabilities, 3, &p, &labels);
    let parts = table.decompose();
    let [_, squared] = table.by_chance(&parts).unwrap();
    assert!(squared < 0.3 * parts.parts.squared.miscalibration, "{squared}");
}

/// What recalibration wins of the squared error, row by row, is in all the miscalibration, but for half a row in each step of the fits.
#[test]
fn totals_of_squared_error_are_the_miscalibration() {
    for k in [2, 3] {
        let (p, labels) = drawn(4000, k, 3);
        let table = table(Input::Probabilities, k, &p, &labels);
        let totals = table.squared_error_won_totals();
        assert_eq!(totals.len(), table.len());
        let won = totals.iter().sum::<f64>() / 4000.0;
        let wanted = table.decompose().parts.squared.miscalibration;
        assert!((won - wanted).abs() < 0.02 * wanted, "{k}: {won} for {wanted}");
    }
}
