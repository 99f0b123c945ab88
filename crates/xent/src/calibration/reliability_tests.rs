use super::{
    Resampling, binomial_quantile, consistency_band, curve_at, miscalibration_test, spiegelhalter,
    table, test_and_band,
};
use crate::calibration::binned::Binning;
use crate::calibration::rows::Prediction;
use crate::calibration::testing::{Random, Row, repeated, rows, sorted};

const FEW: Resampling = Resampling { resamples: 99, seed: 7 };

/// Rows whose outcomes have the probabilities said.
fn calibrated(seed: u64, n: usize) -> Vec<Row> {
    let mut random = Random(seed);
    (0..n)
        .map(|_| {
            let p = (random.next() * 40.0).floor() / 40.0;
            (p, random.next() < p, 1.0)
        })
        .collect()
}

#[test]
fn p_values_of_calibrated_models_are_uniform() {
    let mut small = [0; 3];
    for seed in 0..200 {
        let data = sorted(&calibrated(seed * 3 + 1, 150));
        let found = miscalibration_test(&data, FEW).unwrap();
        small[0] += u32::from(found.p_value[0] <= 0.1);
        small[1] += u32::from(found.p_value[1] <= 0.1);
        small[2] += u32::from(spiegelhalter(&data)[1] <= 0.1);
    }
    // 20 expected, standard deviation 4.2.
    assert!(small.iter().all(|n| (6..=36).contains(n)), "{small:?}");
}

#[test]
fn miscalibrated_models_are_found() {
    let data = sorted(&rows(1, 1000, 2, |_| 1.0));
    let found = miscalibration_test(&data, FEW).unwrap();
    assert_eq!(found.p_value, [0.01, 0.01]);
    assert!(found.by_chance[0] > 0.0 && found.by_chance[0] < found.parts.log.miscalibration);
    assert!(miscalibration_test(&data, Resampling { resamples: 0, seed: 1 }).is_err());
    let certain = sorted(&[(0.0, true, 1.0), (1.0, true, 1.0)]);
    let found = miscalibration_test(&certain, FEW).unwrap();
    assert_eq!(found.parts.log.miscalibration, f64::INFINITY);
    assert_eq!(found.p_value[0], 0.01);
    assert!(spiegelhalter(&certain)[0].is_nan());
}

#[test]
fn the_seed_decides_and_order_does_not() {
    let mut data = rows(2, 300, 2, |u| u + 0.5);
    let (band, test) = (
        consistency_band(&sorted(&data), 0.9, FEW).unwrap(),
        miscalibration_test(&sorted(&data), FEW).unwrap(),
    );
    Random(3).shuffle(&mut data);
    assert_eq!(consistency_band(&sorted(&data), 0.9, FEW).unwrap(), band);
    assert_eq!(miscalibration_test(&sorted(&data), FEW).unwrap(), test);
    let other = Resampling { seed: 8, ..FEW };
    assert_ne!(consistency_band(&sorted(&data), 0.9, other).unwrap(), band);
}

#[test]
fn band_holds_the_curves_of_calibrated_models() {
    let (mut inside, mut all) = (0, 0);
    for seed in 0..20 {
        let data = sorted(&calibrated(seed * 5 + 2, 400));
        let blocks = data.isotonic();
        for point in consistency_band(&data, 0.9, FEW).unwrap() {
            let [low, high] = point.band;
            assert!(low <= high);
            let curve = curve_at(&blocks, Prediction::from_probability(point.prediction));
            inside += usize::from((low..=high).contains(&curve));
            all += 1;
        }
    }
    let share = f64::from(inside as u32) / f64::from(all as u32);
    assert!((0.8..=0.99).contains(&share), "{share}");
    assert!(consistency_band(&sorted(&calibrated(1, 10)), 1.0, FEW).is_err());
}

#[test]
fn table_of_bins() {
    let data = sorted(&calibrated(4, 500));
    let lines = table(&data, Binning::EqualMass(5), 0.95).unwrap();
    for line in &lines {
        let [low, high] = line.interval;
        assert!(low < line.bin.frequency() && line.bin.frequency() < high);
    }
    assert_eq!(lines.len(), 5);
    assert!(table(&data, Binning::EqualMass(5), 0.0).is_err());
}

#[test]
fn spiegelhalter_by_hand() {
    // (0.75)(0.5) - (0.25)(0.5)... of 1/4: y - p is 3/4, -1/4, -1/4; variance 3 * 1/4 * 3/16.
    let data = sorted(&[(0.25, true, 1.0), (0.25, false, 1.0), (0.25, false, 1.0)]);
    let [z, p] = spiegelhalter(&data);
    assert!((z - 0.125 / (9.0_f64 / 64.0).sqrt()).abs() < 1e-15);
    // 2 Φ(-1/3) by mpmath.
    assert!((p - 0.738882680363527).abs() < 1e-14, "{p}");
}

/// Weights that count rows are so many draws: test and band have the bits of repeated rows, also where the rows of a
/// prediction are drawn together.
#[test]
fn whole_weights_are_repeated_rows() {
    for most in [4.0, 400.0] {
        let mut random = Random(6);
        let data: Vec<Row> = rows(5, 150, 2, |u| u)
            .into_iter()
            .map(|(p, y, _)| (if most > 4.0 { (p * 3.0).round() / 3.0 } else { p }, y, 1.0))
            .map(|(p, y, _)| (p, y, (random.next() * most).floor()))
            .collect();
        let (weighted, plain) = (sorted(&data), sorted(&repeated(&data)));
        assert!(most < 5.0 || weighted.groups().any(|group| group.weight() > 4096.0));
        let found = test_and_band(&weighted, 0.9, FEW).unwrap();
        let expected = test_and_band(&plain, 0.9, FEW).unwrap();
        assert_eq!(found.0.by_chance, expected.0.by_chance);
        assert_eq!(found.0.p_value, expected.0.p_value);
        assert_eq!(found.1, expected.1);
    }
}

/// The quantile of a binomial distribution, by its sum.
#[test]
fn outcomes_drawn_together_are_binomial() {
    let (n, p) = (30_u64, 0.2_f64);
    let mut random = Random(9);
    for _ in 0..200 {
        let u = random.next();
        let (mut term, mut below) = (0.8_f64.powi(30), 0.0);
        let mut k = 0;
        loop {
            below += term;
            if 1.0 - below <= u {
                break;
            }
            term *= (n - k) as f64 / (k + 1) as f64 * p / (1.0 - p);
            k += 1;
        }
        assert_eq!(binomial_quantile(n, p, u), k, "{u}");
    }
    assert_eq!(binomial_quantile(5000, 0.0, 0.3), 0);
}
