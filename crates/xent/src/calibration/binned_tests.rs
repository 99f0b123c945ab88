use super::{Binning, bins, decompose, equal_width};
use crate::calibration::rows::BinaryRows;
use crate::calibration::testing::{repeated, rows, sorted};

#[test]
fn every_row_is_in_one_bin() {
    for k in [1, 2, 3, 7, 10, 15, 100] {
        for i in 0..=k {
            let edge = i as f64 / k as f64;
            assert_eq!(equal_width(edge, k), i.min(k - 1), "{i}/{k}");
            if i > 0 {
                assert_eq!(equal_width(edge.next_down(), k), i - 1, "below {i}/{k}");
            }
        }
    }
    let data = sorted(&rows(1, 1000, 3, |u| u + 0.5));
    for binning in [Binning::EqualWidth(15), Binning::EqualMass(15), Binning::Distinct] {
        let bins = bins(&data, binning).unwrap();
        let weight: f64 = bins.iter().map(super::Bin::weight).sum();
        assert!((weight - data.weight()).abs() < 1e-9);
        assert!(bins.windows(2).all(|b| b[0].index < b[1].index));
        assert!(bins.iter().all(|b| (b.lower..=b.upper).contains(&b.prediction)));
    }
    assert!(bins(&data, Binning::EqualWidth(0)).is_err());
}

#[test]
fn equal_mass_is_equal_without_ties_and_whole_with_them() {
    let p: Vec<f64> = (0..100).map(|i| f64::from(i) / 100.0).collect();
    let mut state = BinaryRows::default();
    state.add_probabilities(&p, &[true; 100], None).unwrap();
    let tens = bins(&state.sort().unwrap(), Binning::EqualMass(10)).unwrap();
    assert_eq!(tens.len(), 10);
    assert!(tens.iter().all(|bin| bin.weight() == 10.0));

    let mut state = BinaryRows::default();
    state.add_probabilities(&[0.1, 0.5, 0.5, 0.5, 0.9], &[true; 5], None).unwrap();
    let held = bins(&state.sort().unwrap(), Binning::EqualMass(5)).unwrap();
    let held: Vec<_> = held.iter().map(|bin| (bin.index, bin.weight())).collect();
    assert_eq!(held, [(0, 1.0), (2, 3.0), (4, 1.0)]);
}

#[test]
fn distinct_bins_leave_nothing_within() {
    for seed in 0..20 {
        let data = sorted(&rows(seed, 400, 1, |_| 1.0));
        let parts = decompose(&data, Binning::Distinct).unwrap();
        assert_eq!((parts.log.within_bins, parts.squared.within_bins), (0.0, 0.0), "{seed}");
        let finer = crate::calibration::decomposition::corp(&data);
        // An isotonic fit is coarser: it finds no more of either.
        assert!(parts.log.parts.miscalibration >= finer.log.miscalibration - 1e-15);
        assert!(parts.log.parts.discrimination >= finer.log.discrimination - 1e-15);
    }
}

#[test]
fn whole_weights_are_repeated_rows() {
    let data = rows(4, 300, 2, |u| (u * 4.0).floor());
    for binning in [Binning::EqualWidth(10), Binning::EqualMass(8)] {
        let a = decompose(&sorted(&data), binning).unwrap();
        let b = decompose(&sorted(&repeated(&data)), binning).unwrap();
        assert_eq!(a.squared.parts, b.squared.parts);
        assert_eq!(a.squared_corrected.parts, b.squared_corrected.parts);
        assert_eq!(a.log.parts, b.log.parts);
        for (a, b) in a.log.errors.into_iter().zip(b.log.errors) {
            assert!((a - b).abs() <= 1e-12 * a);
        }
    }
}

/// The spread over samples is what the standard errors say.
#[test]
fn standard_errors_are_those_of_resampling() {
    let samples: Vec<_> = (0..400)
        .map(|seed| {
            decompose(&sorted(&rows(seed * 7 + 1, 500, 17, |_| 1.0)), Binning::EqualWidth(10))
        })
        .map(Result::unwrap)
        .collect();
    let n = samples.len() as f64;
    type Pick = fn(&super::BinnedDecompositions) -> super::BinnedDecomposition;
    let picks: [Pick; 3] = [|b| b.log, |b| b.squared, |b| b.squared_corrected];
    for pick in picks {
        for part in 0..3 {
            let value = |b: &super::BinnedDecompositions| {
                let parts = pick(b).parts;
                [parts.uncertainty, parts.discrimination, parts.miscalibration][part]
            };
            let mean = samples.iter().map(value).sum::<f64>() / n;
            let spread =
                (samples.iter().map(|b| (value(b) - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
            let said = samples.iter().map(|b| pick(b).errors[part]).sum::<f64>() / n;
            // 400 samples know their spread to 4%; the delta method is itself approximate.
            assert!((said / spread - 1.0).abs() < 0.25, "{part}: {said} {spread}");
        }
    }
}

#[test]
fn correction_takes_out_the_bias() {
    // Calibrated by construction: corrected miscalibration averages far nearer 0 than the plain one.
    let (mut plain, mut corrected) = (0.0, 0.0);
    let mut random = crate::calibration::testing::Random(3);
    for _ in 0..200 {
        let data: Vec<_> = (0..200)
            .map(|_| {
                let p = (random.next() * 10.0).floor() / 20.0 + 0.025;
                (p, random.next() < p, 1.0)
            })
            .collect();
        // Uncertainty is well below its bound, which would hold the correction back.
        let parts = decompose(&sorted(&data), Binning::EqualWidth(20)).unwrap();
        plain += parts.squared.parts.miscalibration / 200.0;
        corrected += parts.squared_corrected.parts.miscalibration / 200.0;
        assert!(parts.squared_corrected.parts.uncertainty <= 0.5);
    }
    assert!(corrected < 0.5 * plain, "{plain} {corrected}");
}

#[test]
fn infinite_scores() {
    let mut state = BinaryRows::default();
    state.add_probabilities(&[0.0, 0.05, 0.9], &[true, false, true], None).unwrap();
    let parts = decompose(&state.sort().unwrap(), Binning::EqualWidth(10)).unwrap().log;
    assert_eq!(parts.parts.miscalibration, f64::INFINITY);
    assert_eq!(parts.within_bins, 0.0);
    assert!(parts.parts.discrimination.is_finite() && parts.parts.uncertainty.is_finite());
}

/// Means of 1 - p keep their digits where the mean of p is rounded to 1: a finite score has finite parts.
#[test]
fn a_mean_that_rounds_to_one_is_not_certain() {
    let mut state = BinaryRows::default();
    state
        .add_probabilities(&[0.2, 1.0 - f64::EPSILON / 2.0, 1.0], &[false, false, true], None)
        .unwrap();
    let parts = decompose(&state.sort().unwrap(), Binning::EqualWidth(10)).unwrap().log;
    // By hand: bins of 1/3 and 2/3 of the rows; 1 - p is 0.8, and 2^-54 on average of 2^-53 and 0.
    let ln2 = std::f64::consts::LN_2;
    let expected = (-(0.8_f64.ln()) + 2.0 * (-ln2 - 0.5 * (-54.0 * ln2))) / 3.0;
    assert!((parts.parts.miscalibration - expected).abs() < 1e-12, "{parts:?} {expected}");
    assert!(parts.errors.iter().all(|e| e.is_finite()), "{parts:?}");
}
