use super::{Norm, binned_error, class_wise, debiased_error, debiased_square, sweep_error};
use crate::calibration::binned::Binning;
use crate::calibration::rows::BinaryRows;
use crate::calibration::testing::{Random, Row, repeated, rows, sorted};

#[test]
fn by_hand() {
    let mut state = BinaryRows::default();
    let p = [0.125, 0.375, 0.625, 0.875, 0.875];
    state.add_probabilities(&p, &[false, true, false, true, true], None).unwrap();
    let data = state.sort().unwrap();
    // Halves: p̄ 0.25 against 0.5, p̄ 2.375/3 against 2/3.
    let two = Binning::EqualWidth(2);
    let (a, b) = (0.25, 2.375 / 3.0 - 2.0 / 3.0);
    let near = |x: f64, y: f64| assert!((x - y).abs() < 1e-15, "{x} {y}");
    near(binned_error(&data, two, Norm::Absolute).unwrap(), 0.4 * a + 0.6 * b);
    near(binned_error(&data, two, Norm::Maximum).unwrap(), a);
    let square = 0.4 * a * a + 0.6 * b * b;
    near(binned_error(&data, two, Norm::RootMeanSquare).unwrap(), square.sqrt());
    let bias = 0.4 * 0.25 / 1.0 + 0.6 * (2.0 / 9.0) / 2.0;
    near(debiased_square(&data, two).unwrap(), square - bias);
    assert_eq!(debiased_error(&data, two).unwrap(), 0.0);
    assert_eq!(class_wise(&[0.25, 0.75], Norm::Maximum), 0.75);
    assert!(class_wise(&[], Norm::Absolute).is_nan());
}

#[test]
fn whole_weights_are_repeated_rows_and_order_is_nothing() {
    let data = rows(8, 500, 2, |u| (u * 3.0).floor());
    let (weighted, plain) = (sorted(&data), sorted(&repeated(&data)));
    for binning in [Binning::EqualWidth(15), Binning::EqualMass(15), Binning::Distinct] {
        for norm in [Norm::Absolute, Norm::RootMeanSquare, Norm::Maximum] {
            let error = |rows| binned_error(rows, binning, norm).unwrap();
            assert_eq!(error(&weighted), error(&plain));
            assert_eq!(sweep_error(&weighted, norm), sweep_error(&plain, norm));
        }
        assert_eq!(debiased_square(&weighted, binning), debiased_square(&plain, binning));
    }
    let mut shuffled = data;
    Random(2).shuffle(&mut shuffled);
    assert_eq!(
        sweep_error(&sorted(&shuffled), Norm::Absolute),
        sweep_error(&weighted, Norm::Absolute)
    );
}

#[test]
fn sweep_stops_before_the_first_fall() {
    for seed in 0..20 {
        let data = sorted(&rows(seed, 300, 17, |_| 1.0));
        let found = sweep_error(&data, Norm::Absolute);
        let rates = |k| -> Vec<f64> {
            let bins = crate::calibration::binned::bins(&data, Binning::EqualMass(k)).unwrap();
            bins.iter().map(super::Bin::frequency).collect()
        };
        let rising = |k| rates(k).windows(2).all(|r| r[0] <= r[1]);
        assert!((1..=found.bins).all(rising) && !rising(found.bins + 1), "{seed}");
        let same = binned_error(&data, Binning::EqualMass(found.bins), Norm::Absolute).unwrap();
        assert!((found.value - same).abs() < 1e-13);
    }
}

#[test]
fn separated_rows_sweep_to_one_bin_each() {
    let data: Vec<Row> = (0..20_000).map(|i| (f64::from(i) / 20_000.0, i >= 9_000, 1.0)).collect();
    let found = sweep_error(&sorted(&data), Norm::Absolute);
    assert_eq!(found.bins, 20_000);
    let expected: f64 =
        data.iter().map(|r| (r.0 - f64::from(u8::from(r.1))).abs()).sum::<f64>() / 20_000.0;
    assert!((found.value - expected).abs() < 1e-10);
}

#[test]
fn bins_of_one_row_cannot_be_corrected() {
    let data = sorted(&[(0.3, true, 1.0)]);
    let ten = Binning::EqualWidth(10);
    assert!((binned_error(&data, ten, Norm::Absolute).unwrap() - 0.7).abs() < 1e-15);
    assert!(debiased_square(&data, ten).unwrap().is_nan());
    assert!(debiased_error(&data, ten).unwrap().is_nan());
}
