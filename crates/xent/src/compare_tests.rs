use super::*;
use crate::rows::{Matrix, Rules};

fn rows(p: &[f64], labels: &[u32]) -> RowScores {
    let mut rows = RowScores::default();
    rows.score(Matrix::Positive(p), Target::Classes(labels), &Rules::default()).unwrap();
    rows
}

fn compare(a: &[f64], b: &[f64], labels: &[u32]) -> Vec<ScoreDifference> {
    let mut comparison = Comparison::new(2, 2, Keep::default());
    comparison.update(&[&rows(a, labels), &rows(b, labels)], Target::Classes(labels), None);
    comparison.finish(&[], 0.95)
}

fn find(differences: &[ScoreDifference], score: Score) -> &ScoreDifference {
    differences.iter().find(|d| d.score == score).unwrap()
}

#[test]
fn exact_mcnemar() {
    // Only the model is wrong on 1 row, only the baseline on 6: p = 2 (1 + 7) / 128.
    let labels = [1; 9];
    let baseline = [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.1];
    let model = [0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.1, 0.9, 0.1];
    let differences = compare(&baseline, &model, &labels);
    let error = find(&differences, Score::ErrorRate);
    assert_eq!(error.test, Test::McNemarExact);
    assert!((error.p - 0.125).abs() < 1e-15);
    assert_eq!(error.estimate.value, -5.0 / 9.0);
}

#[test]
fn a_model_against_itself_is_exactly_equal() {
    let p = [0.1, 0.7, 0.30000000000000004, 0.999];
    for d in compare(&p, &p, &[0, 1, 1, 0]) {
        assert_eq!((d.estimate.value, d.estimate.se, d.p), (0.0, 0.0, 1.0), "{d:?}");
        assert!(!d.is_shown(0.95));
    }
}

#[test]
fn infinite_losses_make_no_false_verdict() {
    let labels = [1, 1, 0, 0];
    let finite = [0.6, 0.7, 0.4, 0.3];
    let infinite = [0.0, 0.8, 0.3, 0.2];
    let d = compare(&finite, &infinite, &labels);
    let bits = find(&d, Score::CrossEntropy);
    assert_eq!(bits.estimate.value, f64::INFINITY);
    assert!(bits.p.is_nan());
    assert_eq!(bits.test, Test::None);
    assert!(bits.finite.unwrap().estimate.value < 0.0);
    let d = compare(&infinite, &finite, &labels);
    assert_eq!(find(&d, Score::LogLoss).estimate.value, f64::NEG_INFINITY);
    let d = compare(&infinite, &infinite, &labels);
    assert!(find(&d, Score::LogLoss).estimate.value.is_nan());
    assert_eq!(find(&d, Score::Mse).estimate.value, 0.0);
}

#[test]
fn holm_over_models_but_not_over_scores() {
    let labels: Vec<u32> = (0..40).map(|i| i % 2).collect();
    let model = |bias: f64| -> Vec<f64> {
        (0..40)
            .map(|i| (0.3 + bias + 0.4 * f64::from(i % 2) + 0.001 * f64::from(i % 7)).min(1.0))
            .collect()
    };
    let all: Vec<RowScores> = [0.0, 0.05, 0.02].iter().map(|&b| rows(&model(b), &labels)).collect();
    let mut comparison = Comparison::new(3, 2, Keep::default());
    comparison.update(&all.iter().collect::<Vec<_>>(), Target::Classes(&labels), None);
    let d = comparison.finish(&[], 0.95);
    let p: Vec<(f64, f64)> =
        d.iter().filter(|d| d.score == Score::LogLoss).map(|d| (d.p, d.p_adjusted)).collect();
    assert_eq!(p.len(), 2);
    let smaller = p[0].0.min(p[1].0);
    let adjusted = p.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
    assert_eq!(adjusted, (2.0 * smaller).min(1.0));
}

#[test]
fn skewed_differences_and_few_rows_are_not_normal_enough() {
    assert!(!is_normal_enough(29.0, 0.0));
    assert!(is_normal_enough(30.0, 1.0));
    assert!(!is_normal_enough(30.0, 2.0));
}
