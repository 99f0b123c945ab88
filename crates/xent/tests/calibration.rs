//! Calibration against tests/golden/calibration.json (50 digits) and calibration_peers.json (published packages).

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use xent::calibration::binned::{self, BinnedDecomposition, Binning};
use xent::calibration::decomposition::{Decomposition, corp};
use xent::calibration::errors::{
    Norm, binned_error, class_wise, debiased_error, debiased_square, sweep_error,
};
use xent::calibration::isotonic::isotonic_regression;
use xent::calibration::recalibrate::{Calibrator, Fit, Method, Predictions, fit, log_odds};
use xent::calibration::rows::{BinaryRows, SortedRows};
use xent::calibration::smooth::smooth_error;
use xent::rows::Matrix;
use xent::view::View;

/// Of the largest part, against 50 digits.
const GOLDEN: f64 = 2e-15;
/// Relative, of a part that is small beside the others.
const SMALL_PART: f64 = 4e-13;
/// Against packages that compute in f64.
const PEERS: f64 = 1e-9;

fn file(name: &str) -> Value {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A number, decimal or hexadecimal.
fn number(value: &Value) -> f64 {
    let Some(text) = value.as_str() else { return value.as_f64().unwrap() };
    let (sign, text) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    if text == "inf" {
        return sign * f64::INFINITY;
    }
    let (mantissa, exponent) = text.strip_prefix("0x").unwrap().split_once('p').unwrap();
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = u64::from_str_radix(&format!("{whole}{fraction}"), 16).unwrap();
    let exponent = exponent.parse::<i32>().unwrap() - 4 * fraction.len() as i32;
    sign * libm::scalbn(digits as f64, exponent)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn labels(value: &Value) -> Vec<u32> {
    numbers(value).into_iter().map(|y| y as u32).collect()
}

fn rows_of(case: &Value) -> SortedRows {
    let y: Vec<bool> = labels(&case["y"]).iter().map(|y| *y == 1).collect();
    let mut rows = BinaryRows::default();
    rows.add_probabilities(&numbers(&case["p"]), &y, Some(&numbers(&case["w"]))).unwrap();
    rows.sort().unwrap()
}

#[track_caller]
fn near(got: f64, expected: f64, bound: f64, what: &str) {
    let same = got == expected || (got - expected).abs() <= bound;
    assert!(same, "{what}: {got:e}, not {expected:e}: {:e}", got - expected);
}

/// The parts in the order of the files.
fn parts(found: Decomposition) -> [f64; 4] {
    [found.score, found.uncertainty, found.discrimination, found.miscalibration]
}

#[test]
fn corp_at_fifty_digits() {
    let golden = file("calibration.json");
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() >= 11);
    for (number_of, case) in cases.iter().enumerate() {
        let found = corp(&rows_of(case));
        for (name, found) in [("log", found.log), ("squared", found.squared)] {
            let expected = numbers(&case["corp"][name]);
            let finite = expected.iter().copied().filter(|x| x.is_finite());
            let largest = finite.fold(0.0, f64::max);
            for (part, (got, expected)) in parts(found).into_iter().zip(expected).enumerate() {
                let what = format!("case {number_of} {name} {part}");
                near(got, expected, GOLDEN * largest, &what);
                // Miscalibration is no difference: it has digits of its own.
                if part == 3 && expected.is_finite() {
                    near(got, expected, SMALL_PART * expected, &what);
                }
            }
        }
    }
}

#[test]
fn bins_at_fifty_digits() {
    let golden = file("calibration.json");
    let k = golden["bins"].as_u64().unwrap() as usize;
    let mut seen = 0;
    for case in golden["cases"].as_array().unwrap() {
        let Some(expected) = case.get("binned") else { continue };
        seen += 1;
        let found = binned::decompose(&rows_of(case), Binning::EqualWidth(k)).unwrap();
        for (name, found) in
            [("log", found.log), ("squared", found.squared), ("corrected", found.squared_corrected)]
        {
            let BinnedDecomposition { parts, within_bins, errors } = found;
            if parts.score == f64::INFINITY {
                // The file has what is missing within bins; here it is miscalibration.
                assert_eq!((parts.miscalibration, within_bins), (f64::INFINITY, 0.0));
                continue;
            }
            let numbers_of = numbers(&expected[name]);
            let got = [parts.uncertainty, parts.discrimination, parts.miscalibration, within_bins];
            for (got, expected) in got.into_iter().zip(numbers_of) {
                // The file's corrected parts leave the score to the plain ones.
                near(got, expected, 4e-15, name);
            }
            for (got, expected) in
                errors.into_iter().zip(numbers(&expected[format!("errors_{name}")]))
            {
                near(got, expected, 1e-12 * expected, &format!("{name} errors"));
            }
        }
    }
    assert!(seen >= 4);
}

#[test]
fn errors_at_fifty_digits() {
    let golden = file("calibration.json");
    for case in golden["cases"].as_array().unwrap() {
        let Some(expected) = case.get("errors") else { continue };
        let rows = rows_of(case);
        let (wide, mass) = (Binning::EqualWidth(15), Binning::EqualMass(15));
        let of = |name: &str| number(&expected[name]);
        let error = |binning, norm| binned_error(&rows, binning, norm).unwrap();
        near(error(wide, Norm::Absolute), of("ece"), 1e-15, "ece");
        near(error(wide, Norm::RootMeanSquare), of("rms"), 1e-15, "rms");
        near(error(wide, Norm::Maximum), of("mce"), 1e-15, "mce");
        near(error(mass, Norm::Absolute), of("ece_mass"), 1e-15, "ece_mass");
        near(debiased_square(&rows, wide).unwrap(), of("debiased"), 1e-15, "debiased");
        near(debiased_square(&rows, mass).unwrap(), of("debiased_mass"), 1e-15, "debiased_mass");
        let sweep = sweep_error(&rows, Norm::Absolute);
        near(sweep.value, number(&expected["sweep"][0]), 1e-14, "sweep");
        assert_eq!(sweep.bins as u64, expected["sweep"][1].as_u64().unwrap());
    }
}

fn parameters(found: &Fit) -> Vec<f64> {
    let mut list = match found.calibrator {
        Calibrator::Temperature { temperature } => vec![temperature],
        Calibrator::Platt { slope, intercept } => vec![slope, intercept],
        Calibrator::Beta { a, b, c } => vec![a, b, c],
        ref other => panic!("{other:?}"),
    };
    list.push(found.after);
    list
}

#[test]
fn fits_at_fifty_digits() {
    for case in file("calibration.json")["fits"].as_array().unwrap() {
        let (x, y, w) = (numbers(&case["x"]), labels(&case["y"]), numbers(&case["w"]));
        let pairs: Vec<f64> = x.iter().flat_map(|x| [0.0, *x]).collect();
        let logits = Predictions::Logits(View::rows_of(&pairs, 2).unwrap());
        for (name, method, predictions) in [
            ("platt", Method::Platt, Predictions::LogOdds(&x)),
            ("temperature", Method::Temperature, Predictions::LogOdds(&x)),
            ("temperature", Method::Temperature, logits),
            ("platt", Method::Platt, logits),
        ] {
            let found = fit(method, predictions, &y, Some(&w)).unwrap();
            for (got, expected) in parameters(&found).into_iter().zip(numbers(&case[name])) {
                near(got, expected, 1e-9 * expected.abs(), name);
            }
            let expected = *numbers(&case[name]).last().unwrap();
            near(found.after, expected, 1e-15, name);
        }
    }
}

#[test]
fn published_packages_agree() {
    let peers = file("calibration_peers.json");
    let mut compared = 0;
    for case in peers["binary"].as_array().unwrap() {
        let rows = rows_of(case);
        let (p, y, w) = (numbers(&case["p"]), labels(&case["y"]), numbers(&case["w"]));
        let found = corp(&rows);
        let half = parts(found.squared).map(|x| x / 2.0);
        let mut pairs: Vec<(String, f64, f64)> = Vec::new();
        let mut compare = |name: &str, got: Vec<f64>| {
            if let Some(expected) = case.get(name) {
                let expected =
                    if expected.is_array() { numbers(expected) } else { vec![number(expected)] };
                assert!(expected.len() <= got.len());
                let both = got.into_iter().zip(expected);
                pairs.extend(both.map(|(got, expected)| (name.to_owned(), got, expected)));
            }
        };
        compare("squared", half.to_vec());
        compare("log", parts(found.log).to_vec());
        let outcomes: Vec<f64> = y.iter().map(|y| f64::from(*y)).collect();
        compare("isotonic", isotonic_regression(&p, &outcomes, Some(&w)).unwrap());
        let smooth = smooth_error(&rows);
        compare("smooth", vec![smooth.value, smooth.bandwidth]);
        let bins = binned::decompose(&rows, Binning::EqualWidth(7)).unwrap();
        for (name, found) in [("brier", bins.squared), ("brier_corrected", bins.squared_corrected)]
        {
            let parts = found.parts;
            let all = [parts.uncertainty, parts.discrimination, parts.miscalibration];
            compare(name, all.into_iter().chain(found.errors).map(|x| x / 2.0).collect());
        }
        let (wide, mass) = (Binning::EqualWidth(15), Binning::EqualMass(15));
        let error = |binning, norm| vec![binned_error(&rows, binning, norm).unwrap()];
        compare("ece", error(wide, Norm::Absolute));
        compare("ece_mass", error(mass, Norm::Absolute));
        compare("rms", error(mass, Norm::RootMeanSquare));
        compare("debiased", vec![debiased_error(&rows, mass).unwrap()]);
        compared += pairs.len();
        for (name, got, expected) in pairs {
            near(got, expected, PEERS, &name);
        }
        for (name, method) in [("platt", Method::Platt), ("beta", Method::Beta)] {
            let Some(expected) = case.get(name) else { continue };
            let x = log_odds(&p).unwrap();
            let found = fit(method, Predictions::<f64>::LogOdds(&x), &y, Some(&w)).unwrap();
            let expected = numbers(expected);
            if name == "beta" && (expected[0] < 0.0 || expected[1] < 0.0) {
                // The peer's minimum is outside the family, which does not let the map fall.
                assert!(found.after > expected[3]);
                continue;
            }
            check_minimum(&found, &expected, name);
        }
    }
    for case in peers["classes"].as_array().unwrap() {
        let k = case["k"].as_u64().unwrap() as usize;
        let (x, p, y) = (numbers(&case["x"]), numbers(&case["p"]), labels(&case["y"]));
        let logits = Predictions::Logits(View::rows_of(&x, k).unwrap());
        let found = fit(Method::Temperature, logits, &y, None).unwrap();
        check_minimum(&found, &numbers(&case["temperature"]), "temperature");

        let matrix = Matrix::Rows { values: &p, width: k };
        let mass = Binning::EqualMass(10);
        let mut top = BinaryRows::default();
        top.add_top_label(matrix, &y, None).unwrap();
        let top = binned_error(&top.sort().unwrap(), mass, Norm::Absolute).unwrap();
        near(top, number(&case["top_label"]), PEERS, "top label");
        let class = |class: usize| {
            let mut rows = BinaryRows::default();
            rows.add_class(matrix, &y, class as u32, None).unwrap();
            rows.sort().unwrap()
        };
        let plain: Vec<f64> =
            (0..k).map(|c| binned_error(&class(c), mass, Norm::Absolute).unwrap()).collect();
        let debiased: Vec<f64> = (0..k).map(|c| debiased_error(&class(c), mass).unwrap()).collect();
        near(class_wise(&plain, Norm::Absolute), number(&case["class_wise"]), PEERS, "class-wise");
        let got = class_wise(&debiased, Norm::RootMeanSquare);
        near(got, number(&case["class_wise_debiased"]), PEERS, "class-wise, debiased");
        compared += 3;
    }
    assert!(compared > 1800, "{compared}");
}

/// The peer's minimum is no lower, and ours is where it is.
fn check_minimum(found: &Fit, expected: &[f64], what: &str) {
    let (loss, point) = expected.split_last().unwrap();
    assert!(found.after <= loss + 1e-14, "{what}: {} {loss}", found.after);
    near(found.after, *loss, 1e-9, what);
    for (got, expected) in parameters(found).into_iter().zip(point) {
        // SciPy's own distance from the minimum.
        near(got, *expected, 1e-5 * expected.abs().max(1.0), what);
    }
}

/// Parameters that an optimizer found which stops early.
const ROUGH: f64 = 5e-4;

#[test]
fn netcal_agrees() {
    let peer = file("calibration_netcal.json");
    let of = |key: &str| number(&peer[key]);
    let sorted = |p: &[f64], y: &[u32]| {
        let mut rows = BinaryRows::default();
        let y: Vec<bool> = y.iter().map(|y| *y == 1).collect();
        rows.add_probabilities(p, &y, None).unwrap();
        rows.sort().unwrap()
    };
    let wide = Binning::EqualWidth(10);
    let (p, y) = (numbers(&peer["p"]), labels(&peer["y"]));
    let rows = sorted(&p, &y);
    near(binned_error(&rows, wide, Norm::Absolute).unwrap(), of("ece"), 1e-14, "ece");
    near(binned_error(&rows, wide, Norm::Maximum).unwrap(), of("mce"), 1e-14, "mce");
    let table = binned::bins(&rows, wide).unwrap();
    let gaps: f64 = table.iter().map(|bin| bin.difference.abs()).sum();
    near(gaps / table.len() as f64, of("ace"), 1e-14, "ace: the mean without weights");

    let (values, y4) = (numbers(&peer["P"]), labels(&peer["labels"]));
    let matrix = Matrix::Rows { values: &values, width: 4 };
    let mut top = BinaryRows::default();
    top.add_top_label(matrix, &y4, None).unwrap();
    let top = top.sort().unwrap();
    near(binned_error(&top, wide, Norm::Absolute).unwrap(), of("top_ece"), 1e-14, "top ece");
    near(binned_error(&top, wide, Norm::Maximum).unwrap(), of("top_mce"), 1e-14, "top mce");
    let of_class = |class: u32| {
        let mut rows = BinaryRows::default();
        rows.add_class(matrix, &y4, class, None).unwrap();
        binned_error(&rows.sort().unwrap(), wide, Norm::Absolute).unwrap()
    };
    let errors: Vec<f64> = (0..4).map(of_class).collect();
    near(class_wise(&errors, Norm::Absolute), of("class_wise"), 1e-14, "class-wise");

    // On the edges netcal is another: three of its edges are one ulp above i/10.
    let edges = &peer["edges"];
    let (on, on_y) = (numbers(&edges["p"]), labels(&edges["y"]));
    let ece = |p: &[f64]| binned_error(&sorted(p, &on_y), wide, Norm::Absolute).unwrap();
    near(ece(&on), 0.34, 1e-14, "edges");
    near(ece(&numbers(&edges["nudged"])), number(&edges["ece"]), 1e-14, "edges, nudged");

    let logs: Vec<f64> = values.iter().map(|p| p.ln()).collect();
    let logits = Predictions::Logits(View::rows_of(&logs, 4).unwrap());
    let x = log_odds(&p).unwrap();
    let odds: Predictions<'_, f64> = Predictions::LogOdds(&x);
    let found = [
        ("temperature", fit(Method::Temperature, logits, &y4, None)),
        ("platt", fit(Method::Platt, odds, &y, None)),
        ("beta", fit(Method::Beta, odds, &y, None)),
    ];
    for (name, found) in found {
        for (got, expected) in parameters(&found.unwrap()).into_iter().zip(numbers(&peer[name])) {
            near(got, expected, ROUGH, name);
        }
    }
}
