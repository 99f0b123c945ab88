#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;

use proptest::prelude::*;
use xent::calibration::recalibrate::Method;
use xent::elementary::{exp, ln};
use xent::rows::{Input, Rules};

use super::{CalibrationOptions, Lines, ModelCalibration, calibration, pairs};
use crate::{Options, Predictions, Roles, Source, calibrate};

/// Rows of a file: probabilities of three classes, label, weight.
type Row = ([f64; 3], usize, u32);

const CLASSES: [&str; 3] = ["a", "b", "c"];

fn file(rows: &[Row], form: impl Fn(f64) -> f64) -> String {
    let mut text = "p_a,p_b,p_c,y,w\n".to_owned();
    for (p, label, weight) in rows {
        let [a, b, c] = p.map(&form);
        writeln!(text, "{a:?},{b:?},{c:?},{},{weight}", CLASSES[*label]).unwrap();
    }
    text
}

fn options(input: Input, weight: bool, batch_rows: Option<usize>, threads: usize) -> Options {
    let roles = Roles {
        input,
        proba: Some("p_*".to_owned()),
        weight: weight.then(|| "w".to_owned()),
        ..Roles::default()
    };
    let rules = Rules { input, ..Rules::default() };
    Options { roles, rules, threads, batch_rows, ..Options::default() }
}

fn measure(lines: Lines) -> CalibrationOptions {
    CalibrationOptions { lines, bins: 4, resamples: Some(19), ..CalibrationOptions::default() }
}

fn source(dir: &tempfile::TempDir, text: &str) -> Source {
    let path = dir.path().join("rows.csv");
    std::fs::write(&path, text).unwrap();
    Source::open(path.to_str().unwrap(), &xent_io::OpenOptions::default()).unwrap()
}

fn measured(text: &str, options: &Options, lines: Lines) -> ModelCalibration {
    let dir = tempfile::tempdir().unwrap();
    let source = source(&dir, text);
    calibration(&source, options, &measure(lines), &mut ()).unwrap().remove(0)
}

/// All that is measured, to the bit.
fn bits(found: &ModelCalibration) -> String {
    let ModelCalibration { table, curve, band, histogram, parts, test, errors, classes, .. } =
        found;
    format!(
        "{table:?} {curve:?} {band:?} {histogram:?} {parts:?} {test:?} {errors:?} {classes:?} {:?} {:?} {:?} {:?}",
        found.spiegelhalter, found.smooth, found.top_label, found.frequency
    )
}

/// Sixteenths, so that many predictions are equal and sums are exact.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0_u8..=16, 0_u8..=16, 0_usize..3, 1_u32..4).prop_map(|(a, b, label, weight)| {
        let (a, b) = (f64::from(a) / 16.0, f64::from(b) / 16.0);
        let b = b * (1.0 - a);
        ([a, b, 1.0 - a - b], label, weight)
    });
    prop::collection::vec(row, 1..40)
}

proptest! {
    // Each writes and reads files.
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_order_batch_or_thread_shows(data in rows(), seed in any::<u64>(), batch in 1_usize..9) {
        let mut other = data.clone();
        // A shuffle by a hash of the place.
        let place = |i: usize| (i as u64 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        let mut order: Vec<usize> = (0..data.len()).collect();
        order.sort_by_key(|&i| place(i));
        order.iter().enumerate().for_each(|(to, &from)| other[to] = data[from]);
        for lines in [Lines::EqualMass, Lines::EqualWidth, Lines::Isotonic] {
            let one = measured(&file(&data, |p| p), &options(Input::Probabilities, true, None, 1), lines);
            let many = measured(
                &file(&other, |p| p), &options(Input::Probabilities, true, Some(batch), 2), lines);
            prop_assert_eq!(bits(&one), bits(&many));
        }
    }

    #[test]
    fn whole_weights_are_repeated_rows(data in rows()) {
        let repeated: Vec<Row> = data.iter().flat_map(|row| vec![*row; row.2 as usize]).collect();
        for lines in [Lines::EqualMass, Lines::EqualWidth, Lines::Isotonic] {
            let weighted = measured(&file(&data, |p| p), &options(Input::Probabilities, true, None, 1), lines);
            let one = measured(&file(&repeated, |p| p), &options(Input::Probabilities, false, None, 1), lines);
            // As text, which tells every number from every other: what there is not is NaN, unequal to itself.
            prop_assert_eq!(format!("{:?}", weighted.errors), format!("{:?}", one.errors));
            prop_assert_eq!(format!("{:?}", weighted.classes), format!("{:?}", one.classes));
            prop_assert_eq!(format!("{:?}", weighted.table), format!("{:?}", one.table));
            prop_assert_eq!(weighted.parts, one.parts);
            prop_assert_eq!(weighted.spiegelhalter.map(f64::to_bits), one.spiegelhalter.map(f64::to_bits));
        }
    }

    #[test]
    fn every_row_is_in_one_line(data in rows()) {
        let total: f64 = data.iter().map(|row| f64::from(row.2)).sum();
        for lines in [Lines::EqualMass, Lines::EqualWidth, Lines::Isotonic] {
            let found = measured(&file(&data, |p| p), &options(Input::Probabilities, true, None, 1), lines);
            prop_assert_eq!(found.table.iter().map(|line| line.bin.weight()).sum::<f64>(), total);
            prop_assert_eq!(found.histogram.iter().map(super::Bin::weight).sum::<f64>(), total);
        }
    }

    #[test]
    fn forms_of_input_agree(data in rows()) {
        // The rounding of a logarithm moves a prediction by an ulp: from a bin's edge that is to the next bin,
        // so only what has no bins is compared.
        let data: Vec<Row> = data.into_iter().filter(|row| row.0.iter().all(|p| *p > 0.0)).collect();
        prop_assume!(!data.is_empty());
        let found = |input, form: fn(f64) -> f64| {
            measured(&file(&data, form), &options(input, true, None, 1), Lines::EqualMass)
        };
        let said = found(Input::Probabilities, |p| p);
        for (input, form) in [
            (Input::LogProbabilities, ln as fn(f64) -> f64),
            (Input::Logits, |p| ln(p) + 3.0),
        ] {
            let other = found(input, form);
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-12 || a == b;
            prop_assert!(near(said.parts.log.score, other.parts.log.score));
            prop_assert!(near(said.frequency, other.frequency));
            prop_assert!(near(said.prediction, other.prediction));
            for (a, b) in said.classes.iter().zip(&other.classes) {
                prop_assert!(near(a.prediction, b.prediction));
                prop_assert!(near(a.frequency, b.frequency));
            }
        }
    }

    #[test]
    fn fits_never_raise_the_loss_and_no_order_shows(data in rows(), rotate in 0_usize..40) {
        let dir = tempfile::tempdir().unwrap();
        let mut other = data.clone();
        other.rotate_left(rotate % data.len());
        let options = options(Input::Probabilities, true, None, 1);
        for method in [Method::Temperature, Method::Vector, Method::Isotonic] {
            let folds = (data.len() > 12).then_some(3);
            let fit = |rows: &[Row]| {
                calibrate(&source(&dir, &file(rows, |p| p)), &options, method, folds, &mut ())
            };
            let (one, two) = (fit(&data), fit(&other));
            // A fold may hold all rows, if they are few.
            let (Ok(one), Ok(two)) = (&one, &two) else {
                prop_assert!(one.is_err() && two.is_err());
                continue;
            };
            prop_assert!(one.calibrator.fitted.after <= one.calibrator.fitted.before);
            prop_assert_eq!(&one.calibrator.map, &two.calibrator.map);
            prop_assert_eq!(format!("{:?}", one.cross_fitted), format!("{:?}", two.cross_fitted));
        }
    }
}

/// The complement of the largest probability is the sum of the others, with its own digits.
#[test]
fn near_certainty_keeps_its_digits() {
    let rows = |input, values: &[f64]| {
        let mut out = vec![<[Vec<f64>; 2]>::default(); 4];
        let tops = pairs(&Predictions::of_rows(input, 3, values.to_vec()), &mut out);
        (tops, out)
    };
    for (input, values) in [
        (Input::Logits, [0.0, 50.0, -2.0]),
        (Input::LogProbabilities, [-50.0, -exp(-50.0) - exp(-52.0), -52.0]),
    ] {
        let (tops, out) = rows(input, &values);
        assert_eq!(tops, [1]);
        let others = exp(-50.0) + exp(-52.0);
        for question in [1, 3] {
            let [negative, positive] = &out[question];
            assert_eq!(positive, &[1.0]);
            assert!((negative[0] / others - 1.0).abs() < 1e-15, "{negative:?}");
        }
        assert!((out[0][1][0] / exp(-50.0) - 1.0).abs() < 1e-15);
    }
    // Ties go to the first.
    assert_eq!(rows(Input::Probabilities, &[0.25, 0.375, 0.375]).0, [1]);
}
