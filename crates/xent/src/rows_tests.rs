use super::*;
use proptest::prelude::*;

fn score(matrix: Matrix<'_>, labels: &[u32], rules: &Rules) -> Result<RowScores, RowProblem> {
    let mut rows = RowScores::default();
    rows.score(matrix, Target::Classes(labels), rules).map(|()| rows)
}

fn by_rows(values: &[f64], width: usize) -> Matrix<'_> {
    Matrix::Rows { values, width }
}

/// The lecture's per-row figures, bits, at its own precision.
#[test]
fn lecture_rows() {
    let model1 = [0.3, 0.3, 0.4, 0.3, 0.4, 0.3, 0.1, 0.2, 0.7];
    let model2 = [0.1, 0.2, 0.7, 0.1, 0.7, 0.2, 0.3, 0.4, 0.3];
    let labels = [2, 1, 0];
    let bits = |rows: &RowScores| -> Vec<String> {
        rows.log_loss.iter().map(|l| format!("{:.3}", l / std::f64::consts::LN_2)).collect()
    };
    let squares = |rows: &RowScores| -> Vec<String> {
        rows.squared_error.iter().map(|s| format!("{s:.2}")).collect()
    };
    let rows = score(by_rows(&model1, 3), &labels, &Rules::default()).unwrap();
    assert_eq!(bits(&rows), ["1.322", "1.322", "3.322"]);
    assert_eq!(squares(&rows), ["0.54", "0.54", "1.34"]);
    assert_eq!(rows.error, [0.0, 0.0, 1.0]);
    let rows = score(by_rows(&model2, 3), &labels, &Rules::default()).unwrap();
    assert_eq!(bits(&rows), ["0.515", "0.515", "1.737"]);
    assert_eq!(squares(&rows), ["0.14", "0.14", "0.74"]);
    assert_eq!(rows.error, [0.0, 0.0, 1.0]);
}

#[test]
fn a_margin_of_forty_is_not_zero() {
    let rules = Rules { input: Input::Logits, ..Rules::default() };
    let rows = score(by_rows(&[40.0, 0.0], 2), &[0], &rules).unwrap();
    assert_eq!(rows.log_loss, [4.248354255291589e-18]);
    let rows = score(Matrix::Positive(&[40.0]), &[1], &rules).unwrap();
    assert_eq!(rows.log_loss, [4.248354255291589e-18]);
    let rows = score(by_rows(&[1e8, 1e8], 2), &[0], &rules).unwrap();
    assert_eq!(rows.log_loss, [std::f64::consts::LN_2]);
    assert_eq!(rows.odd, [Odd { row: 0, what: Oddity::Tied }]);
}

#[test]
fn logits_of_every_layout_and_kind_have_the_same_bits() {
    let rules = Rules { input: Input::Logits, top_k: vec![1, 2], ..Rules::default() };
    for k in [2, 3, 40, 700] {
        let n = 70;
        let x: Vec<f32> = (0..n * k).map(|i| ((i * 7919 + k) % 613) as f32 / 31.0 - 9.0).collect();
        let labels: Vec<u32> = (0..n).map(|r| (r * 31 % k) as u32).collect();
        let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        let expected = score(by_rows(&wide, k), &labels, &rules).unwrap();
        let columns: Vec<Vec<f64>> =
            (0..k).map(|c| (0..n).map(|r| wide[r * k + c]).collect()).collect();
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        assert_eq!(score(Matrix::Columns(&columns), &labels, &rules).unwrap(), expected);
        let mut rows = RowScores::default();
        rows.score_logits(View::rows_of(&x, k).unwrap(), &labels, &rules).unwrap();
        assert_eq!(rows, expected);
        let by_columns: Vec<f32> = (0..n * k).map(|i| x[i % n * k + i / n]).collect();
        rows.score_logits(View::columns_of(&by_columns, n).unwrap(), &labels, &rules).unwrap();
        assert_eq!(rows, expected);
        // And through the general path, with the targets as distributions.
        let mut targets = vec![0.0; n * k];
        for (r, &y) in labels.iter().enumerate() {
            targets[r * k + y as usize] = 1.0;
        }
        let mut general = RowScores::default();
        let target = Target::Distributions(by_rows(&targets, k));
        general.score(by_rows(&wide, k), target, &rules).unwrap();
        assert_eq!(general.error, expected.error);
        assert_eq!(general.predicted, expected.predicted);
        assert_eq!(general.top_k, expected.top_k);
        for r in 0..n {
            let near = |a: f64, b: f64| (a - b).abs() <= 2e-14 * b.abs();
            assert!(near(general.log_loss[r], expected.log_loss[r]));
            assert!(near(general.squared_error[r], expected.squared_error[r]));
        }
    }
}

#[test]
fn logits_at_infinity() {
    let rules = Rules { input: Input::Logits, ..Rules::default() };
    let inf = f64::INFINITY;
    let rows = score(by_rows(&[inf, 0.0], 2), &[0], &rules).unwrap();
    assert_eq!((rows.log_loss[0], rows.squared_error[0]), (0.0, 0.0));
    let rows = score(by_rows(&[inf, 0.0, -inf], 3), &[1], &rules).unwrap();
    assert_eq!((rows.log_loss[0], rows.squared_error[0]), (inf, 2.0));
    let rows = score(by_rows(&[0.0, -inf], 2), &[1], &rules).unwrap();
    assert_eq!(rows.log_loss[0], inf);
    let problem = score(by_rows(&[-inf, -inf], 2), &[1], &rules).unwrap_err().problem;
    assert_eq!(problem, Problem::NoSoftmax { value: -inf, count: 2 });
    assert!(score(by_rows(&[inf, inf], 2), &[1], &rules).is_err());
    assert!(score(by_rows(&[0.0, f64::NAN], 2), &[1], &rules).is_err());
    let rows = score(Matrix::Positive(&[-inf, inf, 1000.0]), &[0, 0, 0], &rules).unwrap();
    assert_eq!(rows.log_loss, [0.0, inf, 1000.0]);
}

#[test]
fn probabilities_of_zero_and_one() {
    let rows = score(by_rows(&[0.0, 1.0, 1.0, 0.0], 2), &[1, 1], &Rules::default()).unwrap();
    assert_eq!(rows.log_loss, [0.0, f64::INFINITY]);
    assert_eq!(rows.log_loss[0].to_bits(), 0);
    assert_eq!(rows.squared_error, [0.0, 2.0]);
    let tiny = score(Matrix::Positive(&[1e-20, 1e-300, 1.0, 0.0]), &[0; 4], &Rules::default());
    assert_eq!(tiny.unwrap().log_loss, [1e-20, 1e-300, f64::INFINITY, 0.0]);
}

#[test]
fn bad_rows_are_named() {
    let rules = Rules::default();
    let bad = score(by_rows(&[0.5, 0.5, 1.2, -0.2], 2), &[0, 0], &rules).unwrap_err();
    assert_eq!(bad.row, 1);
    assert_eq!(bad.problem, Problem::NotProbability { class: 0, value: 1.2 });
    let bad = score(by_rows(&[0.5, 0.48, 0.5, 0.5], 2), &[0, 0], &rules).unwrap_err();
    assert!(matches!(bad.problem, Problem::Sum { .. }));
    let bad = score(by_rows(&[0.5, f64::NAN], 2), &[0], &rules).unwrap_err();
    assert_eq!(bad.problem, Problem::Missing { class: 1 });
    let bad = score(by_rows(&[0.5, 0.5], 2), &[2], &rules).unwrap_err();
    assert_eq!(bad.problem, Problem::Label { label: 2, n_classes: 2 });
    let rounded = score(by_rows(&[0.333, 0.333, 0.333], 3), &[2], &rules).unwrap();
    assert_eq!(rounded.odd.len(), 2);
    let as_is = Rules { sums: Sums::AsIs, ..Rules::default() };
    assert_eq!(score(by_rows(&[0.2, 0.2], 2), &[1], &as_is).unwrap().log_loss, [-0.2_f64.ln()]);
    let normalize = Rules { sums: Sums::Normalize, ..Rules::default() };
    let rows = score(by_rows(&[0.2, 0.2], 2), &[1], &normalize).unwrap();
    assert!((rows.log_loss[0] - std::f64::consts::LN_2).abs() < 2e-16);
}

#[test]
fn clipping_is_asked_for_and_counted() {
    let rules = Rules { clip: 0.01, ..Rules::default() };
    let rows = score(by_rows(&[1.0, 0.0, 0.6, 0.4], 2), &[1, 1], &rules).unwrap();
    assert_eq!(rows.odd, [Odd { row: 0, what: Oddity::Clipped }]);
    assert!((rows.log_loss[0] - -(0.01_f64 / 1.01).ln()).abs() < 1e-15);
    assert_eq!(rows.log_loss[1], -ln(0.4));
}

#[test]
fn soft_targets_and_label_smoothing() {
    let p = [0.2, 0.7, 0.1];
    let t = [0.1, 0.8, 0.1];
    let mut rows = RowScores::default();
    let rules = Rules { top_k: vec![2], ..Rules::default() };
    rows.score(by_rows(&p, 3), Target::Distributions(by_rows(&t, 3)), &rules).unwrap();
    let expected = -(0.1 * 0.2_f64.ln() + 0.8 * 0.7_f64.ln() + 0.1 * 0.1_f64.ln());
    assert!((rows.log_loss[0] - expected).abs() < 1e-15);
    assert!((rows.error[0] - 0.2).abs() < 1e-15);
    assert!((rows.top_k[0][0] - 0.1).abs() < 1e-15);
    // A zero target beside a zero probability costs nothing.
    rows.score(
        by_rows(&[1.0, 0.0], 2),
        Target::Distributions(by_rows(&[1.0, 0.0], 2)),
        &Rules::default(),
    )
    .unwrap();
    assert_eq!(rows.log_loss, [0.0]);
    let rules = Rules { label_smoothing: 0.1, ..Rules::default() };
    let smooth = score(by_rows(&[0.25, 0.75], 2), &[1], &rules).unwrap();
    let expected = -(0.95 * 0.75_f64.ln() + 0.05 * 0.25_f64.ln());
    assert!((smooth.log_loss[0] - expected).abs() < 1e-15);
    assert_eq!(smooth.error, [0.0]);
}

fn distribution(k: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(
        prop_oneof![0.0..1.0_f64, Just(0.0), (0.0..40.0_f64).prop_map(|x| (-x).exp())],
        k,
    )
    .prop_filter("not all zero", |v| v.iter().sum::<f64>() > 1e-3)
    .prop_map(|v| {
        let sum: f64 = v.iter().sum();
        v.into_iter().map(|x| (x / sum).min(1.0)).collect()
    })
}

proptest! {
    /// Columns, rows and the general path are one definition: the same bits.
    #[test]
    fn layouts_agree_in_bits(
        (k, rows, labels) in (prop_oneof![1usize..7, 30usize..45], 1usize..30).prop_flat_map(|(k, n)| (
            Just(k), prop::collection::vec(distribution(k), n), prop::collection::vec(0..k as u32, n)))
    ) {
        let rules = Rules { top_k: vec![1, 2], ..Rules::default() };
        let flat: Vec<f64> = rows.concat();
        let columns: Vec<Vec<f64>> = (0..k).map(|c| rows.iter().map(|r| r[c]).collect()).collect();
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let mut a = score(by_rows(&flat, k), &labels, &rules).unwrap();
        let b = score(Matrix::Columns(&columns), &labels, &rules).unwrap();
        prop_assert_eq!(&a, &b);
        prop_assert_eq!(&a.top_k[0], &a.error);
        let mut general = RowScores::default();
        general.resize(labels.len(), 2);
        general.score_general(by_rows(&flat, k), Target::Classes(&labels), &rules).unwrap();
        let by_row = |o: &Odd| o.row;
        a.odd.sort_by_key(by_row);
        general.odd.sort_by_key(by_row);
        prop_assert_eq!(&a, &general);
    }

    #[test]
    fn batches_do_not_matter(n in 1usize..40, cut in 0usize..40, seed in 0u64..1000) {
        let p: Vec<f64> = (0..n).map(|i| ((i as u64 * 7919 + seed) % 1000) as f64 / 1000.0).collect();
        let labels: Vec<u32> = (0..n).map(|i| (i % 2) as u32).collect();
        let cut = cut.min(n);
        let whole = score(Matrix::Positive(&p), &labels, &Rules::default()).unwrap();
        let mut parts = score(Matrix::Positive(&p[..cut]), &labels[..cut], &Rules::default()).unwrap();
        parts.append(&score(Matrix::Positive(&p[cut..]), &labels[cut..], &Rules::default()).unwrap());
        prop_assert_eq!(whole, parts);
    }
}
