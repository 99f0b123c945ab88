//! What is right at the limits: each function that takes such a row gives the limit, says that there is none, or refuses.

#![allow(clippy::unwrap_used)]

use std::f64::consts::LN_2;

use half::{bf16, f16};
use xent::cross_entropy::{Gradient, NoMean, Options, Scale, Target, Total, Wanted, cross_entropy};
use xent::divergence::{entropy_from_logits, entropy_rows, kl_from_logits};
use xent::element::Element;
use xent::log_loss::log_loss;
use xent::logits::{LogSumExp, Undefined, log_softmax, log_sum_exp, log_sum_exp_parts, softmax};
use xent::per_row::{Wanted as WantedOfRows, WantedOfPair};
use xent::rows::{Matrix, Problem, RowScores, Rules, Target as ScoreTarget};
use xent::sigmoid::{SigmoidOptions, SigmoidWanted, sigmoid_cross_entropy};
use xent::squared_error::{ClassTarget, softmax_squared_error};
use xent::view::{View, ViewMut};

const INF: f64 = f64::INFINITY;

/// What cross entropy gives, all of it.
struct Found {
    total: Total,
    losses: Vec<f64>,
    ranks: Vec<u32>,
    gradient: Vec<f64>,
}

fn score<T: Element>(x: &[f64], v: usize, labels: &[u32], options: &Options<'_>) -> Found {
    let x: Vec<T> = x.iter().map(|&x| T::from_f64(x)).collect();
    let (mut losses, mut ranks) = (vec![0.0; labels.len()], vec![0; labels.len()]);
    let mut gradient = vec![T::default(); x.len()];
    let into = ViewMut::rows_of(&mut gradient, v).unwrap();
    let wanted = Wanted {
        losses: Some(&mut losses),
        ranks: Some(&mut ranks),
        gradient: Some(Gradient { into, scale: Scale::All(1.0) }),
        log_probabilities: None,
    };
    let view = View::rows_of(&x, v).unwrap();
    let total = cross_entropy(view, Target::Classes(labels), options, wanted).unwrap();
    // The losses alone take another way.
    let alone = cross_entropy(view, Target::Classes(labels), options, Wanted::default()).unwrap();
    assert_eq!(alone.first_undefined, total.first_undefined);
    assert_eq!((alone.undefined, alone.infinite), (total.undefined, total.infinite));
    let gradient = gradient.iter().map(|g| g.to_f64()).collect();
    Found { total, losses, ranks, gradient }
}

/// Three rows of which the middle one has no softmax: every function says so, and of no other row.
fn middle_is_undefined<T: Element>(odd: &[f64], what: &str) {
    let v = odd.len();
    let fine: Vec<f64> = (0..v).map(|c| (c % 5) as f64 - 2.0).collect();
    let x = [&fine[..], odd, &fine].concat();
    let label = (v / 2) as u32;
    let smooth = Options { label_smoothing: 0.1, ..Options::default() };
    for options in [Options { top_k: &[1, u32::MAX], ..Options::default() }, smooth] {
        let found = score::<T>(&x, v, &[label; 3], &options);
        assert!(found.losses[1].is_nan() && found.losses[0] == found.losses[2], "{what}");
        assert!(found.losses[0].is_finite(), "{what}");
        assert!(found.gradient[v..2 * v].iter().all(|g| g.is_nan()), "{what}");
        assert_eq!(found.gradient[..v], found.gradient[2 * v..], "{what}");
        assert_eq!((found.ranks[1], found.ranks[0]), (u32::MAX, found.ranks[2]), "{what}");
        assert_eq!((found.total.undefined, found.total.first_undefined), (1, Some(1)), "{what}");
        assert_eq!(found.total.mean(), Err(NoMean::Undefined { count: 1, row: 1 }), "{what}");
        if let [first, all] = found.total.top_k_hits[..] {
            assert!(first < 3 && all == 2, "{what}");
        }
    }
    let x: Vec<T> = x.iter().map(|&x| T::from_f64(x)).collect();
    let view = View::rows_of(&x, v).unwrap();
    let mut out = vec![T::default(); x.len()];
    for f in [softmax::<T>, log_softmax::<T>] {
        let undefined = f(view, ViewMut::rows_of(&mut out, v).unwrap()).unwrap();
        assert_eq!(undefined, Undefined { count: 1, first: Some(1) }, "{what}");
        let nans: Vec<bool> = out.iter().map(|p| p.to_f64().is_nan()).collect();
        assert!((0..3 * v).all(|i| nans[i] == (i / v == 1)), "{what}");
    }
    let mut lse = [0.0; 3];
    log_sum_exp(view, &mut lse).unwrap();
    // The sum of no terms is 0.
    let empty = odd.iter().all(|&x| x == -INF);
    assert!(if empty { lse[1] == -INF } else { lse[1].is_nan() }, "{what}");
    assert!(lse[0].is_finite() && lse[0] == lse[2], "{what}");
    let sums = [
        entropy_from_logits(view, WantedOfRows::default()).unwrap(),
        kl_from_logits(view, view, WantedOfPair::default()).unwrap(),
        softmax_squared_error(view, ClassTarget::Classes(&[label; 3]), WantedOfRows::default())
            .unwrap(),
    ];
    for sum in sums {
        assert_eq!(sum.undefined, 1, "{what}");
        assert_eq!(sum.first_undefined.map(|(row, _)| row), Some(1), "{what}");
    }
}

/// The order of the operands decides whether a maximum by vector instructions sees a NaN.
#[test]
fn a_nan_is_seen_wherever_it_stands() {
    for v in (1..=40).chain([63, 64, 65, 130, 511, 512, 513, 600]) {
        for at in (0..v).filter(|at| v <= 40 || at % 31 == 0 || at + 3 > v) {
            let mut row: Vec<f64> = (0..v).map(|c| (c % 3) as f64).collect();
            row[at] = if at % 2 == 0 { f64::NAN } else { -f64::NAN };
            let what = format!("NaN at {at} of {v}");
            middle_is_undefined::<f32>(&row, &what);
            middle_is_undefined::<f64>(&row, &what);
            if v <= 40 {
                middle_is_undefined::<f16>(&row, &what);
                middle_is_undefined::<bf16>(&row, &what);
                // Beside infinities too.
                row.iter_mut().for_each(|x| *x = if x.is_nan() { *x } else { -INF });
                middle_is_undefined::<f32>(&row, &what);
                row[(at + 1) % v] = if v > 1 { INF } else { f64::NAN };
                middle_is_undefined::<f32>(&row, &what);
                middle_is_undefined::<f64>(&row, &what);
            }
        }
    }
}

#[test]
fn a_row_of_minus_infinity_alone_or_of_two_infinities_has_no_softmax() {
    for v in [1, 2, 3, 4, 5, 16, 17, 32, 33, 64, 600] {
        let mut row = vec![-INF; v];
        middle_is_undefined::<f32>(&row, "all -inf");
        middle_is_undefined::<f64>(&row, "all -inf");
        middle_is_undefined::<bf16>(&row, "all -inf");
        if v > 1 {
            (row[0], row[v - 1]) = (INF, INF);
            middle_is_undefined::<f32>(&row, "two +inf");
            middle_is_undefined::<f64>(&row, "two +inf");
            middle_is_undefined::<bf16>(&row, "two +inf");
        }
    }
}

/// A single class has all probability, be its logit what it may, if it is one.
#[test]
fn one_class_is_certain() {
    for x in [0.0, -1e30, 1e30, INF, 5e-324] {
        let found = score::<f64>(&[x], 1, &[0], &Options::default());
        assert_eq!((&found.losses[..], &found.gradient[..]), (&[0.0][..], &[0.0][..]));
        let pulled = Options { z_loss: 0.5, ..Options::default() };
        let found = score::<f64>(&[x], 1, &[0], &pulled);
        assert_eq!((&found.losses[..], &found.gradient[..]), (&[0.5 * x * x][..], &[x][..]));
        let found = score::<f32>(&[x], 1, &[0], &Options::default());
        assert_eq!((&found.losses[..], &found.gradient[..]), (&[0.0][..], &[0.0][..]));
    }
}

#[test]
fn a_common_offset_changes_nothing() {
    for offset in [1e8, -1e8, 1e30, -1e30] {
        for v in [2, 3, 8, 33, 600] {
            let x = vec![offset; v];
            let ln_v = (v as f64).ln();
            let found = score::<f32>(&x, v, &[1], &Options::default());
            assert!((found.losses[0] - ln_v).abs() <= 2e-7 * ln_v, "{offset} {v}");
            let found = score::<f64>(&x, v, &[1], &Options::default());
            assert!((found.losses[0] - ln_v).abs() <= 5e-16 * ln_v, "{offset} {v}");
            let view = View::rows_of(&x, v).unwrap();
            let mut parts = [LogSumExp::EMPTY];
            log_sum_exp_parts(view, &mut parts).unwrap();
            // Ties at the maximum are counted.
            assert_eq!(parts[0], LogSumExp { max: offset, rest: v as f64 - 1.0 });
            let entropy = entropy_from_logits(view, WantedOfRows::default()).unwrap();
            assert!((entropy.loss.value() - ln_v).abs() <= 5e-16 * ln_v, "{offset} {v}");
        }
    }
}

/// A sum in f32 stops growing at 2^24 terms.
#[test]
fn more_classes_than_f32_can_count() {
    fn check<T: Element>() {
        let v = (1 << 25) + 3;
        let one = [T::from_f64(0.5)];
        // One number, read over and over.
        let view = View::strided(&one, 1, v, 0, 0).unwrap();
        let last = [v as u32 - 1];
        let (mut loss, mut rank) = ([0.0], [0]);
        let wanted =
            Wanted { losses: Some(&mut loss), ranks: Some(&mut rank), ..Wanted::default() };
        cross_entropy(view, Target::Classes(&last), &Options::default(), wanted).unwrap();
        let ln_v = (v as f64).ln();
        assert!((loss[0] - ln_v).abs() <= 1e-7 * ln_v, "{} {ln_v}", loss[0]);
        assert_eq!(rank, [v as u32 - 1]);
        let mut parts = [LogSumExp::EMPTY];
        log_sum_exp_parts(view, &mut parts).unwrap();
        let others = v as f64 - 1.0;
        assert_eq!(parts[0].max, 0.5);
        assert!((parts[0].rest - others).abs() <= 1e-7 * others, "{}", parts[0].rest);
    }
    check::<f32>();
    check::<bf16>();
}

/// The ignored label may be a class: its rows are left out and counted all the same.
#[test]
fn an_ignored_label_that_is_a_class() {
    let x = [1.0, 2.0, 3.0, 0.5, 0.0, -1.0, f64::NAN, 0.0, 0.0];
    let labels = [0, 2, 1];
    let options = Options { ignore: Some(1), top_k: &[3], ..Options::default() };
    let found = score::<f64>(&x, 3, &labels, &options);
    let Total { used, ignored, undefined, .. } = found.total;
    assert_eq!((used, ignored, undefined), (2, 1, 0));
    assert_eq!((found.losses[2], found.ranks[2]), (0.0, u32::MAX));
    assert_eq!(found.gradient[6..], [0.0; 3]);
    assert_eq!(found.total.top_k_hits, [2]);
    assert_eq!(found.total.mean().unwrap(), f64::midpoint(found.losses[0], found.losses[1]));
    for n in [0, 3] {
        let found = score::<f64>(&x[..3 * n], 3, &labels.map(|_| 1)[..n], &options);
        assert_eq!((found.total.loss.value(), found.total.weight.value()), (0.0, 0.0));
        let none = if n == 0 { NoMean::Empty } else { NoMean::AllIgnored(3) };
        assert_eq!(found.total.mean(), Err(none));
    }
}

/// No probability is flushed to 0, and -0 is 0.
#[test]
fn the_smallest_probabilities() {
    let p = [1.0, 5e-324, 1.0, 0.0, 1.0, -0.0];
    let rows = Matrix::Rows { values: &p, width: 2 };
    let columns = [[1.0, 1.0, 1.0], [5e-324, 0.0, -0.0]];
    let columns = [&columns[0][..], &columns[1][..]];
    for matrix in [rows, Matrix::Columns(&columns), Matrix::Positive(columns[1])] {
        let mut scores = RowScores::default();
        scores.score(matrix, ScoreTarget::Classes(&[1; 3]), &Rules::default()).unwrap();
        assert_eq!(scores.log_loss, [744.440_071_921_381_2, INF, INF]);
        let found = log_loss(matrix, &[1; 3]).unwrap();
        assert_eq!((found.infinite, found.sum.value()), (2, INF));
        scores.score(matrix, ScoreTarget::Classes(&[0; 3]), &Rules::default()).unwrap();
        assert!(scores.log_loss.iter().all(|loss| *loss >= 0.0 && *loss <= 5e-324));
    }
    let sum = entropy_rows(View::rows_of(&p, 2).unwrap(), WantedOfRows::default()).unwrap();
    assert_eq!(sum.loss.value(), 744.0 * 5e-324);
}

/// Also by the smallest step: a loss would be below 0.
#[test]
fn a_probability_above_1_is_refused_with_its_place() {
    let above = 1.0 + f64::EPSILON;
    let p = [0.5, 0.5, above, 0.0];
    let columns = [&[0.5, above][..], &[0.5, 0.0]];
    let problem = Problem::NotProbability { class: 0, value: above };
    for matrix in [Matrix::Rows { values: &p, width: 2 }, Matrix::Columns(&columns)] {
        let error = log_loss(matrix, &[0, 0]).unwrap_err();
        assert_eq!((error.row, &error.problem), (1, &problem));
        assert!(problem.hint().contains("rounding of 32-bit numbers"));
    }
    let error = log_loss(Matrix::Positive(columns[0]), &[0, 0]).unwrap_err();
    assert_eq!(error.problem, Problem::NotProbability { class: 1, value: above });
    let error = entropy_rows(View::rows_of(&p, 2).unwrap(), WantedOfRows::default()).unwrap_err();
    assert!(error.to_string().starts_with("p: row 1, column 0 is 1.000"));
}

/// A weight of what is true multiplies its part of the loss only.
#[test]
fn positive_weights_at_large_and_infinite_logits() {
    let weights = [3.0];
    let options = SigmoidOptions { positive_weights: Some(&weights), ..Default::default() };
    for (x, t, loss, slope) in [
        (1000.0, 1.0, 0.0, 0.0),
        (1000.0, 0.0, 1000.0, 1.0),
        (-1000.0, 1.0, 3000.0, -3.0),
        (-1000.0, 0.0, 0.0, 0.0),
        (-1000.0, 0.25, 750.0, -0.75),
        (INF, 1.0, 0.0, 0.0),
        (INF, 0.0, INF, 1.0),
        (-INF, 1.0, INF, -3.0),
        (-INF, 0.0, 0.0, 0.0),
        (INF, 0.25, INF, 0.75),
        (0.0, 1.0, 3.0 * LN_2, -1.5),
    ] {
        let (mut losses, mut slopes) = ([9.0], [9.0]);
        let into = ViewMut::rows_of(&mut slopes, 1).unwrap();
        let wanted = SigmoidWanted {
            losses: Some(&mut losses),
            gradient: Some(Gradient { into, scale: Scale::All(1.0) }),
            ..Default::default()
        };
        let (x, t) = ([x], [t]);
        let (x, t) = (View::rows_of(&x, 1).unwrap(), View::rows_of(&t, 1).unwrap());
        let sum = sigmoid_cross_entropy(x, t, &options, wanted).unwrap();
        assert_eq!((losses, slopes), ([loss], [slope]), "{x:?} {t:?}");
        assert_eq!((sum.undefined, sum.infinite), (0, u64::from(loss == INF)));
    }
}

/// The ratio of two exponentials may be above every number where its logarithm is not: such losses were infinite.
#[test]
fn a_finite_row_has_a_finite_loss() {
    for v in [2, 3, 4, 5, 10, 17, 32, 33, 64, 65, 100, 600, 1500] {
        for (target, top, others) in [
            (-300.0, 450.0, 0.0),
            (-300.0, 450.0, -300.0),
            (-590.0, 620.0, 0.0),
            (-599.0, 111.0, -599.0),
            (-100.0, 610.0, 500.0),
            (100_122.0, 101_052.0, 100_500.0),
            (-1e5, -99_000.0, -99_500.0),
            (0.0, 3e38, 1.0),
        ] {
            let mut x = vec![others; v];
            (x[v - 2], x[v - 1]) = (top, target);
            let y = v as u32 - 1;
            let expected = top - target;
            let near = |loss: f64| (loss - expected).abs() <= 2.0 * f64::EPSILON * expected;
            let found = score::<f64>(&x, v, &[y], &Options::default());
            assert!(near(found.losses[0]), "{v} {target} {top}: {:e}", found.losses[0]);
            assert_eq!((found.total.infinite, found.gradient[v - 1]), (0, -1.0));
            let found = score::<f32>(&x, v, &[y], &Options::default());
            let expected = f64::from(top as f32) - f64::from(target as f32);
            let error = (found.losses[0] - expected).abs();
            assert!(error <= 1e-7 * expected, "{v} {target} {top}: {:e}", found.losses[0]);
            let mut scores = RowScores::default();
            let view = View::rows_of(&x, v).unwrap();
            scores.score_logits(view, &[y], &Rules::default()).unwrap();
            assert!(near(scores.log_loss[0]), "{v} {target} {top}: {:e}", scores.log_loss[0]);
            assert!((scores.squared_error[0] - 2.0).abs() <= 4.0 * f64::EPSILON);
        }
    }
}

/// Squares of terms left the range of numbers where all logits were above 310 or below -400: the squared error was infinite, or
/// short of what the other classes have; where a target was 340 above all others too.
#[test]
fn the_squared_error_of_logits_does_not_depend_on_their_offset() {
    for v in [2, 3, 4, 5, 10, 32, 33, 64, 100, 600] {
        for offset in [0.0, 300.0, 320.0, 450.0, 590.0, 700.0, -350.0, -420.0, -590.0, -650.0] {
            for spread in [1.0, 40.0, 330.0, 700.0] {
                let n = 8;
                let part = |i: usize| (i * 7919 % 1009) as f64 / 1009.0 - 0.5;
                let x: Vec<f64> = (0..n * v).map(|i| offset + spread * part(i)).collect();
                let labels: Vec<u32> = (0..n).map(|i| (i * 5 % v) as u32).collect();
                let view = View::rows_of(&x, v).unwrap();
                let mut scores = RowScores::default();
                scores.score_logits(view, &labels, &Rules::default()).unwrap();
                let mut expected = vec![0.0; n];
                let wanted = WantedOfRows { losses: Some(&mut expected), gradient: None };
                let target = ClassTarget::Classes(&labels);
                softmax_squared_error(view, target, wanted).unwrap();
                for (got, expected) in scores.squared_error.iter().zip(&expected) {
                    let error = (got - expected).abs();
                    assert!(
                        error <= 32.0 * f64::EPSILON * expected,
                        "{v} {offset} {spread}: {got:e} {expected:e}"
                    );
                }
            }
        }
    }
}
