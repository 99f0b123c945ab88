use super::{Decomposition, Decompositions, corp, cross_fitted};
use crate::calibration::rows::{BinaryRows, Prediction};
use crate::calibration::testing::{Random, Row, repeated, rows, sorted};
use crate::rows::{Matrix, RowScores, Rules, Target};
use crate::score::{Keep, ScoreState};

/// Parts against the score, in ulp of the largest of the four.
const ULPS_SUM: f64 = 4.0;

fn check_sum(parts: Decomposition, what: &str) {
    let Decomposition { score, uncertainty, discrimination, miscalibration } = parts;
    assert!(
        uncertainty >= 0.0 && discrimination >= 0.0 && miscalibration >= 0.0,
        "{what}: {parts:?}"
    );
    if score == f64::INFINITY {
        assert_eq!(miscalibration, f64::INFINITY, "{what}");
        assert!(uncertainty.is_finite() && discrimination.is_finite(), "{what}");
        return;
    }
    let largest = score.max(uncertainty).max(discrimination).max(miscalibration);
    let ulp = largest.next_up() - largest;
    let error = (uncertainty - discrimination + miscalibration - score).abs() / ulp;
    assert!(error <= ULPS_SUM, "{what}: {parts:?} is off by {error} ulp");
}

fn both(parts: Decompositions) -> [Decomposition; 2] {
    [parts.log, parts.squared]
}

#[test]
fn two_of_each_at_one_half() {
    for y in [[false, false, true, true], [true, false, true, false], [true, true, false, false]] {
        let mut state = BinaryRows::default();
        state.add_probabilities(&[0.5; 4], &y, None).unwrap();
        for parts in both(corp(&state.sort().unwrap())) {
            assert_eq!((parts.discrimination, parts.miscalibration), (0.0, 0.0));
            assert_eq!(parts.score, parts.uncertainty);
        }
    }
}

#[test]
fn near_one_stays_finite() {
    let mut state = BinaryRows::default();
    state.add_probabilities(&[0.2, 1.0 - 1.1e-16, 1.0], &[false, false, true], None).unwrap();
    let parts = corp(&state.sort().unwrap());
    check_sum(parts.log, "log");
    check_sum(parts.squared, "squared");
    // -ln 0.8 - ln 1.1102230246251565e-16, over 3; both zeros come before the one.
    let expected = (0.2231435513142097 + 36.736800569677104) / 3.0;
    assert!((parts.log.score - expected).abs() < 1e-15);
    assert!((parts.log.miscalibration - expected).abs() < 4e-15);
    assert!((parts.log.discrimination - parts.log.uncertainty).abs() < 1e-15);
}

#[test]
fn infinite_scores() {
    for (p, y) in [([0.0, 0.3, 1.0], [true, false, true]), ([0.5, 0.0, 1.0], [true, true, false])] {
        let mut state = BinaryRows::default();
        state.add_probabilities(&p, &y, None).unwrap();
        let parts = corp(&state.sort().unwrap());
        assert_eq!(parts.log.score, f64::INFINITY);
        check_sum(parts.log, "log");
        check_sum(parts.squared, "squared");
    }
}

#[test]
fn parts_add_up_and_scores_have_the_bits_of_scoring() {
    for seed in 0..200 {
        let n = [1, 2, 3, 10, 100, 2000][seed as usize % 6];
        let mut data = rows(seed, n, [1, 2, 17][seed as usize % 3], |_| 1.0);
        if seed % 5 == 0 {
            // Into the corners, where digits are scarce.
            data.iter_mut().for_each(|r| r.0 = r.0.powi(30));
        }
        if seed % 7 == 0 {
            data.iter_mut().for_each(|r| r.0 = 1.0 - r.0.powi(8));
        }
        let parts = corp(&sorted(&data));
        check_sum(parts.log, &format!("log {seed}"));
        check_sum(parts.squared, &format!("squared {seed}"));

        let p: Vec<f64> = data.iter().map(|r| r.0).collect();
        let y: Vec<u32> = data.iter().map(|r| u32::from(r.1)).collect();
        let mut scores = RowScores::default();
        scores.score(Matrix::Positive(&p), Target::Classes(&y), &Rules::default()).unwrap();
        let mut state = ScoreState::new(2, Keep::default());
        state.update(&scores, Target::Classes(&y), None);
        let expected = state.finish(0.95);
        assert_eq!(parts.log.score, expected.log_loss.value, "{seed}");
        let error = (parts.squared.score - expected.mse.value).abs();
        assert!(error <= 2.0 * f64::EPSILON * expected.mse.value, "{seed}");
    }
}

#[test]
fn weights_count_rows_and_any_order_will_do() {
    let whole: fn(f64) -> f64 = |u| (u * 4.0).floor();
    for seed in 0..20 {
        let data = rows(seed, 200, 2, whole);
        assert_eq!(corp(&sorted(&data)), corp(&sorted(&repeated(&data))), "{seed}");
        let mut data = rows(seed, 200, 2, |u| u + 0.01);
        let expected = (corp(&sorted(&data)), cross_fitted(&sorted(&data), 5).unwrap());
        check_sum(expected.0.log, "weighted");
        Random(seed).shuffle(&mut data);
        assert_eq!((corp(&sorted(&data)), cross_fitted(&sorted(&data), 5).unwrap()), expected);
        // The scale of weights means nothing; powers of two not even in the last bit.
        let halved: Vec<Row> = data.iter().map(|r| (r.0, r.1, r.2 * 0.125)).collect();
        assert_eq!(corp(&sorted(&halved)), expected.0);
    }
}

#[test]
fn exchanging_the_outcomes_changes_nothing() {
    for seed in 0..20 {
        let data = rows(seed, 300, 3, |_| 1.0);
        let mirrored: Vec<Row> = data.iter().map(|r| (1.0 - r.0, !r.1, 1.0)).collect();
        let (a, b) = (corp(&sorted(&data)), corp(&sorted(&mirrored)));
        for (a, b) in both(a).into_iter().zip(both(b)) {
            for (a, b) in
                [(a.miscalibration, b.miscalibration), (a.discrimination, b.discrimination)]
            {
                assert!((a - b).abs() <= 1e-13 * a.max(1e-3), "{seed}: {a} {b}");
            }
        }
    }
}

#[test]
fn small_miscalibration_keeps_its_digits() {
    // One block each at 1/4 and 3/4, said a little differently: KL of nearly equal distributions.
    let off = 2.0_f64.powi(-30);
    let p: Vec<f64> = [[0.25 + off; 4], [0.75 + off; 4]].concat();
    let y = [true, false, false, false, true, true, false, true];
    let mut state = BinaryRows::default();
    state.add_probabilities(&p, &y, None).unwrap();
    let parts = corp(&state.sort().unwrap());
    // KL is d^2 / (2 p (1 - p)) to first order; the next orders cancel between 1/4 and 3/4 but for the fourth.
    let expected = off * off / (2.0 * 0.1875);
    assert!((parts.log.miscalibration / expected - 1.0).abs() < 1e-9, "{parts:?}");
    assert_eq!(parts.squared.miscalibration, 2.0 * off * off);
}

#[test]
fn logits_beyond_the_range_of_probabilities() {
    let mut state = BinaryRows::default();
    let x = [-800.0, -50.0, -1.0, 40.0, 60.0, 900.0];
    let y = [false, true, false, false, true, true];
    state.add_log_odds(&x, &y, None).unwrap();
    let parts = corp(&state.sort().unwrap()).log;
    check_sum(parts, "logits");
    // Losses: 50 and 40 where wrong, ln(1 + e^-1) at -1, the rest nothing that shows.
    let expected = (50.0 + 0.31326168751822286 + 40.0) / 6.0;
    assert!((parts.score / expected - 1.0).abs() < 1e-15, "{}", parts.score);
}

#[test]
fn cross_fitting_pays_for_its_freedom() {
    // Predictions that are the truth: in-sample something is found, honestly nothing.
    let mut random = Random(5);
    let data: Vec<Row> = (0..4000)
        .map(|_| {
            let p = random.next();
            (p, random.next() < p, 1.0)
        })
        .collect();
    let data = sorted(&data);
    let (fitted, honest) = (corp(&data).log, cross_fitted(&data, 10).unwrap().log);
    assert!(fitted.miscalibration > 0.001 && honest.miscalibration < 0.0, "{fitted:?} {honest:?}");
    assert!(honest.discrimination < fitted.discrimination);
    assert!(honest.miscalibration > -0.02);
    assert!(cross_fitted(&data, 1).is_err());
    assert!(cross_fitted(&data, 4001).is_err());
}

#[test]
fn cross_fitting_is_finite_where_isotonic_ends_are_not() {
    let data: Vec<Row> =
        (0..100).map(|i| (f64::from(i) / 100.0, i == 3 || i > 50 && i != 97, 1.0)).collect();
    let parts = cross_fitted(&sorted(&data), 5).unwrap();
    assert!(parts.log.miscalibration.is_finite() && parts.log.discrimination.is_finite());
}

#[test]
fn folds_are_of_even_size() {
    let mut counts = [0; 10];
    (0..100_000).for_each(|row| counts[super::fold_of(row, 10) as usize] += 1);
    assert!(counts.iter().all(|n| (9_700..10_300).contains(n)), "{counts:?}");
}

#[test]
fn divergence_of_complements() {
    let a = Prediction { positive: 0.3, negative: 0.7 };
    assert_eq!(super::divergence(a, a), 0.0);
    let b = Prediction { positive: 1.0, negative: 0.0 };
    assert_eq!(super::divergence(b, b), 0.0);
    assert_eq!(super::divergence(a, b), f64::INFINITY);
    assert_eq!(super::divergence(b, a), 1.2039728043259361);
}
