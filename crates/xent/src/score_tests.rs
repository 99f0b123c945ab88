use super::*;
use crate::rows::Rules;
use proptest::prelude::*;

const LN_2: f64 = std::f64::consts::LN_2;
const ALL: Keep = Keep { classes: true, confusion: true, tail: true, means_only: false };

fn state(p: &[f64], k: usize, labels: &[u32], weights: Option<&[f64]>) -> ScoreState {
    let mut rows = RowScores::default();
    let target = Target::Classes(labels);
    let rules = Rules { top_k: vec![2], ..Rules::default() };
    rows.score(Matrix::Rows { values: p, width: k }, target, &rules).unwrap();
    let mut state = ScoreState::new(k, ALL);
    state.update(&rows, target, weights);
    state
}

/// The lecture's two models, at the lecture's precision.
#[test]
fn lecture_models() {
    let model1 = [0.3, 0.3, 0.4, 0.3, 0.4, 0.3, 0.1, 0.2, 0.7];
    let model2 = [0.1, 0.2, 0.7, 0.1, 0.7, 0.2, 0.3, 0.4, 0.3];
    for (p, mse, bits) in [(model1, "0.807", "1.989"), (model2, "0.340", "0.922")] {
        let scores = state(&p, 3, &[2, 1, 0], None).finish(0.95);
        assert_eq!(scores.error_rate.value, 1.0 / 3.0);
        assert_eq!(format!("{:.3}", scores.mse.value), mse);
        assert_eq!(format!("{:.3}", scores.cross_entropy().value), bits);
    }
}

/// The lecture's binary tables: the truth is given 0.6 and 0.6, or 0.8 and 0.8.
#[test]
fn lecture_binary() {
    for (p, bits) in [(0.6, "0.736966"), (0.8, "0.321928")] {
        let scores = state(&[1.0 - p, p, p, 1.0 - p], 2, &[1, 0], None).finish(0.95);
        assert_eq!(format!("{:.6}", scores.cross_entropy().value), bits);
    }
}

#[test]
fn lecture_animals() {
    let scores = state(&[0.2, 0.7, 0.1], 3, &[1], None).finish(0.95);
    assert_eq!(format!("{:.3}", scores.cross_entropy().value), "0.515");
    assert!(scores.log_loss.se.is_nan());
}

#[test]
fn the_baseline_knows_the_frequencies() {
    let p = [0.5, 0.5].repeat(4);
    let baseline = state(&p, 2, &[0, 0, 0, 1], None).baseline(0.0, 0.95).unwrap();
    assert_eq!(baseline.frequencies, [0.75, 0.25]);
    assert_eq!(baseline.error_rate.value, 0.25);
    assert_eq!(baseline.mse.value, 0.375);
    assert!((baseline.cross_entropy().value - 0.811_278_124_459_132_9).abs() < 1e-15);
    // It is the model that says so on every row.
    let same = state(&[0.75, 0.25].repeat(4), 2, &[0, 0, 0, 1], None).finish(0.95);
    assert_eq!(baseline.log_loss, same.log_loss);
    assert_eq!(baseline.mse, same.mse);
    assert_eq!(baseline.error_rate, same.error_rate);
}

/// From sums of rounded losses it was 0.6487999999999999.
#[test]
fn the_squared_error_of_the_base_rate_is_rounded_once() {
    let labels: Vec<u32> = [13, 22, 15].iter().zip(0..).flat_map(|(&n, c)| vec![c; n]).collect();
    let p = [0.25, 0.25, 0.5].repeat(50);
    let baseline = state(&p, 3, &labels, None).baseline(0.0, 0.95).unwrap();
    assert_eq!(baseline.mse.value, 0.6488);
    let twice = [2.0; 50];
    let weighted = state(&p, 3, &labels, Some(&twice)).baseline(0.0, 0.95).unwrap();
    assert_eq!(weighted.mse.value, 0.6488);
    assert!(baseline.mse.ci[0] < 0.6488 && 0.6488 < baseline.mse.ci[1]);
}

#[test]
fn infinite_rows_are_counted_and_the_rest_averaged() {
    let p = [1.0, 0.0, 0.5, 0.5, 0.5, 0.5];
    let scores = state(&p, 2, &[1, 0, 1], None).finish(0.95);
    assert_eq!(scores.log_loss.value, f64::INFINITY);
    assert!(scores.log_loss.se.is_nan());
    assert_eq!(scores.infinite_rows, 1);
    assert_eq!(scores.finite_log_loss.value, LN_2);
    assert_eq!(scores.perplexity().value, f64::INFINITY);
    assert!(scores.mse.value.is_finite());
}

#[test]
fn means_only_are_the_same_means() {
    let p = [0.1, 0.9, 0.4, 0.6, 0.8, 0.2];
    let target = Target::Classes(&[1, 0, 0]);
    let mut rows = RowScores::default();
    rows.score(Matrix::Rows { values: &p, width: 2 }, target, &Rules::default()).unwrap();
    let mut means = ScoreState::new(2, Keep { means_only: true, ..Keep::default() });
    means.update(&rows, target, None);
    let (means, all) = (means.finish(0.95), state(&p, 2, &[1, 0, 0], None).finish(0.95));
    assert_eq!(means.log_loss.value.to_bits(), all.log_loss.value.to_bits());
    assert_eq!(means.mse.value.to_bits(), all.mse.value.to_bits());
    assert_eq!(means.error_rate, all.error_rate);
    assert!(means.log_loss.se.is_nan() && means.mse.ci[0].is_nan());
}

#[test]
fn a_row_of_weight_zero_is_absent() {
    let p = [1.0, 0.0, 0.5, 0.5, 0.9, 0.1];
    let with = state(&p, 2, &[1, 0, 0], Some(&[0.0, 2.0, 1.0])).finish(0.95);
    assert_eq!((with.rows, with.weight, with.infinite_rows), (2, 3.0, 0));
    let without = state(&[0.5, 0.5, 0.5, 0.5, 0.9, 0.1], 2, &[0, 0, 0], None).finish(0.95);
    assert_eq!(with.log_loss, without.log_loss);
    assert_eq!(with.error_rate, without.error_rate);
}

#[test]
fn confusion_counts_truth_by_prediction() {
    let p = [0.9, 0.1, 0.4, 0.6, 0.2, 0.8];
    let state = state(&p, 2, &[0, 0, 1], None);
    assert_eq!(state.confusion(), [(0, 0, 1.0), (0, 1, 1.0), (1, 1, 1.0)]);
}

proptest! {
    /// Any split, any order of merging: the same state, hence the same bits.
    #[test]
    fn states_merge_in_any_order(
        rows in prop::collection::vec((0.0..=1.0_f64, 0u32..2, 0.0..3.0_f64), 1..40),
        cut in 0usize..40, weighted: bool,
    ) {
        let p: Vec<f64> = rows.iter().flat_map(|r| [1.0 - r.0, r.0]).collect();
        let labels: Vec<u32> = rows.iter().map(|r| r.1).collect();
        let w: Vec<f64> = rows.iter().map(|r| r.2).collect();
        let w = weighted.then_some(w.as_slice());
        let cut = cut.min(rows.len());
        let whole = state(&p, 2, &labels, w);
        let head = state(&p[..2 * cut], 2, &labels[..cut], w.map(|w| &w[..cut]));
        let mut merged = state(&p[2 * cut..], 2, &labels[cut..], w.map(|w| &w[cut..]));
        merged.merge(&head);
        prop_assert_eq!(format!("{:?}", whole.finish(0.95)), format!("{:?}", merged.finish(0.95)));
        prop_assert_eq!(
            format!("{:?}", whole.baseline(0.0, 0.95)), format!("{:?}", merged.baseline(0.0, 0.95)));
        prop_assert_eq!(whole.confusion(), merged.confusion());
        prop_assert_eq!(
            whole.worst_share(0.01).map(f64::to_bits), merged.worst_share(0.01).map(f64::to_bits));
    }

    #[test]
    fn integer_weights_are_repeated_rows(
        rows in prop::collection::vec((0.01..=0.99_f64, 0u32..2, 1u32..4), 1..20)
    ) {
        let p: Vec<f64> = rows.iter().flat_map(|r| [1.0 - r.0, r.0]).collect();
        let labels: Vec<u32> = rows.iter().map(|r| r.1).collect();
        let w: Vec<f64> = rows.iter().map(|r| f64::from(r.2)).collect();
        let times = |i: usize| rows[i].2 as usize;
        let p2: Vec<f64> =
            (0..rows.len()).flat_map(|i| p[2 * i..2 * i + 2].repeat(times(i))).collect();
        let labels2: Vec<u32> =
            (0..rows.len()).flat_map(|i| vec![labels[i]; times(i)]).collect();
        let a = state(&p, 2, &labels, Some(&w));
        let b = state(&p2, 2, &labels2, None);
        let (x, y) = (a.finish(0.95), b.finish(0.95));
        prop_assert_eq!(format!("{:?}", x.log_loss), format!("{:?}", y.log_loss));
        prop_assert_eq!(format!("{:?}", x.mse), format!("{:?}", y.mse));
        prop_assert_eq!(format!("{:?}", x.error_rate), format!("{:?}", y.error_rate));
        prop_assert_eq!(format!("{:?}", a.baseline(0.0, 0.95)), format!("{:?}", b.baseline(0.0, 0.95)));
    }

    /// Against the quotient of two integers, which division rounds once.
    #[test]
    fn base_rate_mse_of_eighths(
        rows in prop::collection::vec((0u32..3, 1u64..200), 1..40), soft: bool, smooth: bool,
    ) {
        // Weights in eighths. Soft targets: half of the class, a quarter of each other one.
        let share = |class: u32, c: u32| match (soft, class == c) {
            (false, same) => 4 * u64::from(same),
            (true, true) => 2,
            (true, false) => 1,
        };
        let weights: Vec<f64> = rows.iter().map(|r| r.1 as f64 / 8.0).collect();
        let labels: Vec<u32> = rows.iter().map(|r| r.0).collect();
        let shares: Vec<f64> =
            labels.iter().flat_map(|&l| (0..3).map(move |c| share(l, c) as f64 / 4.0)).collect();
        let matrix = Matrix::Rows { values: &shares, width: 3 };
        let target = if soft { Target::Distributions(matrix) } else { Target::Classes(&labels) };
        let mut scores = RowScores::default();
        let p = [0.25, 0.25, 0.5].repeat(rows.len());
        scores.score(Matrix::Rows { values: &p, width: 3 }, target, &Rules::default()).unwrap();
        let mut state = ScoreState::new(3, ALL);
        state.update(&scores, target, Some(&weights));
        let all = rows.iter().map(|r| r.1).sum::<u64>() * 4;
        let totals: Vec<u64> =
            (0..3).map(|c| rows.iter().map(|r| r.1 * share(r.0, c)).sum()).collect();
        let squares: u64 =
            rows.iter().flat_map(|r| (0..3).map(move |c| r.1 * share(r.0, c).pow(2))).sum();
        // Smoothing by 1/2 leaves a quarter.
        let e = if smooth { 0.5 } else { 0.0 };
        // Both in units of 1/1024: an eighth of a row and a quarter of a class, squared.
        let weight = rows.iter().map(|r| r.1).sum::<u64>();
        let over = squares * weight - totals.iter().map(|t| t * t).sum::<u64>();
        let exact = over as f64 / (all * all) as f64 * (1.0 - e) * (1.0 - e);
        prop_assert_eq!(state.baseline(e, 0.95).unwrap().mse.value, exact);
    }
}
