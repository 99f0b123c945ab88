#![allow(clippy::unwrap_used)]

use half::{bf16, f16};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::information;
use crate::lanes::testing::{cycled, layouts, ulps, whole};
use crate::per_row::Scale;
use crate::sigmoid::{SigmoidOptions, SigmoidWanted, sigmoid_cross_entropy};
use crate::special::testing::{golden_file, number, numbers};
use crate::view::ViewMut;

/// Of the loss, against 700 digits.
const ULPS_LOSS: f64 = 8.0;
/// Of the gradient, in ulp of the sum of its terms' magnitudes.
const ULPS_SLOPE: f64 = 8.0;

fn rows<T: Copy>(x: &[T], cols: usize) -> View<'_, T> {
    View::rows_of(x, cols).unwrap()
}

fn run<T: Element>(x: View<'_, T>, t: ClassTarget<'_, T>) -> (Vec<f64>, Vec<T>, RowSum) {
    let (mut losses, mut slopes) =
        (vec![0.0; x.n_rows()], vec![T::default(); x.n_rows() * x.n_cols()]);
    let gradient = Some(whole(&mut slopes, x.n_cols()));
    let wanted = Wanted { losses: Some(&mut losses), gradient };
    let sum = softmax_squared_error(x, t, wanted).unwrap();
    (losses, slopes, sum)
}

/// The size of the loss, where each difference is as large as the terms that it is taken of, and of the terms
/// of each component of the gradient.
fn units(x: &[f64], target: ClassTarget<'_, f64>, squared: f64) -> (f64, Vec<f64>) {
    let p = information::softmax(x);
    let top = (0..p.len()).fold(0, |top, i| if p[i] > p[top] { i } else { top });
    let complement: f64 = (0..p.len()).filter(|&i| i != top).map(|i| p[i]).sum();
    let size = |i: usize| match target {
        ClassTarget::Classes(labels) if labels[0] as usize != i => p[i],
        ClassTarget::Classes(_) if i == top => complement,
        ClassTarget::Classes(_) => 1.0,
        ClassTarget::Soft(t) if i == top => (1.0 - t.get(0, i)).max(complement),
        ClassTarget::Soft(t) => p[i].max(t.get(0, i)),
    };
    let others: f64 = (0..p.len()).filter(|&i| i != top).map(|i| p[i] * size(i)).sum();
    let slope = |i: usize| {
        let own = if i == top { complement * size(i) } else { size(i) + p[top] * size(top) };
        2.0 * p[i] * (own + others)
    };
    let sizes: f64 = (0..p.len()).map(|i| size(i) * size(i)).sum();
    let loss = match target {
        ClassTarget::Classes(_) => squared,
        ClassTarget::Soft(_) => squared.max((squared * sizes).sqrt()),
    };
    (loss, (0..p.len()).map(slope).collect())
}

#[test]
fn golden_values_of_the_softmax() {
    let golden = golden_file("row_losses.json");
    let cases = golden["softmax"].as_array().unwrap();
    assert!(cases.len() >= 20);
    for case in cases {
        let (name, x, slope) = (&case["name"], numbers(&case["x"]), numbers(&case["slope"]));
        let v = x.len();
        let squared = number(&case["squared"]);
        let soft = if case["t"].is_array() { numbers(&case["t"]) } else { Vec::new() };
        let label = [case["t"].as_u64().unwrap_or(0) as u32];
        let target = if soft.is_empty() {
            ClassTarget::Classes(&label)
        } else {
            ClassTarget::Soft(rows(&soft, v))
        };
        let (losses, slopes, _) = run(rows(&x, v), target);
        let (unit, units) = units(&x, target, squared);
        let got = losses[0];
        assert!(ulps(got, squared, unit) <= ULPS_LOSS, "{name}: {got:e} is not {squared:e}");
        for ((got, slope), unit) in slopes.iter().zip(&slope).zip(units) {
            let unit = unit.max(slope.abs());
            assert!(ulps(*got, *slope, unit) <= ULPS_SLOPE, "{name}: {got:e} is not {slope:e}");
        }
    }
}

#[test]
fn golden_values_of_the_sigmoid() {
    let golden = golden_file("row_losses.json");
    let points: Vec<Vec<f64>> = golden["sigmoid"].as_array().unwrap().iter().map(numbers).collect();
    for point in points {
        let [x, t, _, _, squared, slope] = point[..] else { panic!("{point:?}") };
        let (mut loss, mut got) = ([0.0], [0.0]);
        let gradient = Some(whole(&mut got, 1));
        let wanted = Wanted { losses: Some(&mut loss), gradient };
        sigmoid_squared_error(rows(&[x], 1), rows(&[t], 1), wanted).unwrap();
        let (p, q) = both_sides(x);
        let terms = ((1.0 - t) * p).max(t * q);
        let unit = squared.max(squared.sqrt() * terms);
        assert!(ulps(loss[0], squared, unit) <= ULPS_LOSS, "{x:e} {t:e}: {loss:?} {squared:e}");
        let unit = slope.abs().max(2.0 * terms * (p * q));
        assert!(ulps(got[0], slope, unit) <= ULPS_SLOPE, "{x:e} {t:e}: {got:?} {slope:e}");
    }
}

#[test]
fn special_logits() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let x = [
        inf, 0.0, /**/ -inf, 3.0, /**/ -inf, -inf, /**/ inf, inf, /**/ 0.0,
        nan, /**/ 0.0, 0.0,
    ];
    let (losses, slopes, sum) = run(rows(&x, 2), ClassTarget::Classes(&[1, 1, 0, 0, 0, 0]));
    assert_eq!(losses[..2], [2.0, 0.0]);
    assert!(losses[2..5].iter().all(|loss| loss.is_nan()));
    assert_eq!(losses[5], 0.5);
    assert_eq!(slopes[..4], [0.0; 4]);
    assert!(slopes[4..10].iter().all(|slope| slope.is_nan()));
    assert_eq!(slopes[10..], [-0.5, 0.5]);
    assert_eq!((sum.undefined, sum.first_undefined), (3, Some((2, 0))));
    assert_eq!(
        run(rows(&x, 2).rows(3..5), ClassTarget::Classes(&[0, 0])).2.first_undefined,
        Some((0, 1))
    );
    assert_eq!(
        run(rows(&x, 2).rows(4..5), ClassTarget::Classes(&[0])).2.first_undefined,
        Some((0, 1))
    );
    // One class is certain.
    let (losses, slopes, _) = run(rows(&[5.0], 1), ClassTarget::Classes(&[0]));
    assert_eq!((losses[0], slopes[0]), (0.0, 0.0));
    let (mut losses, mut slopes) = ([0.0; 3], [0.0; 3]);
    let gradient = Some(whole(&mut slopes, 1));
    let wanted = Wanted { losses: Some(&mut losses), gradient };
    let sum =
        sigmoid_squared_error(rows(&[inf, -inf, nan], 1), rows(&[false; 3], 1), wanted).unwrap();
    assert!(losses[..2] == [1.0, 0.0] && losses[2].is_nan());
    assert!(slopes[..2] == [0.0, 0.0] && slopes[2].is_nan());
    assert_eq!((sum.undefined, sum.first_undefined), (1, Some((2, 0))));
}

#[test]
fn arguments_are_checked_before_anything_is_written() {
    let x = [0.0; 6];
    let mut slopes = [7.0; 6];
    let mut fails = |t: ClassTarget<'_, f64>| {
        let gradient = Some(whole(&mut slopes, 3));
        let wanted = Wanted { gradient, ..Default::default() };
        let error = softmax_squared_error(rows(&x, 3), t, wanted).unwrap_err();
        assert!(slopes == [7.0; 6]);
        error.to_string()
    };
    assert_eq!(
        fails(ClassTarget::Classes(&[2, 3])),
        "row 1: label 3 is out of range for 3 classes"
    );
    assert_eq!(fails(ClassTarget::Classes(&[2])), "labels: 1 numbers, not 2");
    assert_eq!(
        fails(ClassTarget::Soft(rows(&[0.0, 0.5, 0.5, 1.0, 1.5, 0.0], 3))),
        "targets: row 1, column 1 is 1.5, not a number from 0 to 1"
    );
    let wanted = Wanted::default();
    let error = sigmoid_squared_error(rows(&x, 3), rows(&[f64::NAN; 6], 3), wanted).unwrap_err();
    assert_eq!(error.to_string(), "targets: row 0, column 0 is NaN, not a number from 0 to 1");
    let mut short = [0.0; 3];
    let gradient = Some(whole(&mut short, 3));
    let wanted = Wanted { gradient, ..Default::default() };
    let error = softmax_squared_error(rows(&x, 3), ClassTarget::Classes(&[0, 0]), wanted);
    assert_eq!(error.unwrap_err().to_string(), "gradient: 1 x 3 numbers, not 2 x 3");
}

#[test]
fn a_row_does_not_depend_on_its_neighbours_or_the_layout() {
    for (n, v) in [(1, 1), (7, 3), (300, 2), (20, 100), (3, 700)] {
        let x = cycled(n * v, &[0.0, -3.5, 20.0, 80.0, -0.001, f64::NEG_INFINITY, 7.0, 7.0]);
        let t = cycled(n * v, &[0.0, 1.0, 0.25, 1.0, 0.5]);
        let labels: Vec<u32> = (0..n as u32).map(|row| (row * 7) % v as u32).collect();
        for soft in [false, true] {
            let alone: Vec<_> = (0..n)
                .map(|row| {
                    let t = rows(&t, v).rows(row..row + 1);
                    let hard = ClassTarget::Classes(&labels[row..=row]);
                    let t = if soft { ClassTarget::Soft(t) } else { hard };
                    run(rows(&x, v).rows(row..row + 1), t)
                })
                .collect();
            layouts(&x, &t, n, v, |x, t, out| {
                let mut losses = vec![0.0; n];
                let gradient = Some(Gradient { into: out.reborrow(), scale: Scale::All(1.0) });
                let wanted = Wanted { losses: Some(&mut losses), gradient };
                let hard = ClassTarget::Classes(&labels);
                let t = if soft { ClassTarget::Soft(t) } else { hard };
                softmax_squared_error(x, t, wanted).unwrap();
                for (row, (loss, slopes, _)) in alone.iter().enumerate() {
                    assert_eq!(losses[row].to_bits(), loss[0].to_bits());
                    for (col, slope) in slopes.iter().enumerate() {
                        assert_eq!(out.as_view().get(row, col).to_bits(), slope.to_bits());
                    }
                }
            });
        }
    }
}

#[test]
fn narrow_numbers_are_worked_on_in_f64() {
    fn check<T: Element>() {
        let x: Vec<T> = (-200..200).map(|i| T::from_f64(f64::from(i * i % 71) * 0.173)).collect();
        let wide: Vec<f64> = x.iter().map(|x| x.to_f64()).collect();
        let labels: Vec<u32> = (0..100).map(|i| i % 4).collect();
        let (losses, slopes, _) = run(rows(&wide, 4), ClassTarget::Classes(&labels));
        let (mine, my_slopes, _) = run(rows(&x, 4), ClassTarget::Classes(&labels));
        assert_eq!(mine, losses);
        for (mine, slope) in my_slopes.iter().zip(slopes) {
            assert!(*mine == T::from_f64(slope));
        }
    }
    check::<f64>();
    check::<f32>();
    check::<f16>();
    check::<bf16>();
}

/// What one neuron with input 1 and target 0 puts out before and after 300 epochs at rate 0.15.
fn trained(mut w: f64, mut b: f64, cross_entropy: bool) -> (f64, f64) {
    let output = |w: f64, b: f64| {
        let mut p = [0.0];
        crate::sigmoid::sigmoid(rows(&[w + b], 1), ViewMut::rows_of(&mut p, 1).unwrap()).unwrap();
        p[0]
    };
    let before = output(w, b);
    for _ in 0..300 {
        let (x, target) = ([w + b], [false]);
        let mut slope = [0.0];
        let out = ViewMut::rows_of(&mut slope, 1).unwrap();
        if cross_entropy {
            let gradient = Some(Gradient { into: out, scale: Scale::All(1.0) });
            let wanted = SigmoidWanted { gradient, ..Default::default() };
            let options = SigmoidOptions::default();
            sigmoid_cross_entropy(rows(&x, 1), rows(&target, 1), &options, wanted).unwrap();
        } else {
            let gradient = Some(Gradient { into: out, scale: Scale::All(0.5) });
            let wanted = Wanted { gradient, ..Default::default() };
            sigmoid_squared_error(rows(&x, 1), rows(&target, 1), wanted).unwrap();
        }
        // The input is 1: the slope by the weight is that by the bias.
        w -= 0.15 * slope[0];
        b -= 0.15 * slope[0];
    }
    (before, output(w, b))
}

fn to_hundredths((a, b): (f64, f64)) -> (f64, f64) {
    ((a * 100.0).round() / 100.0, (b * 100.0).round() / 100.0)
}

/// Nielsen (2015, Neural Networks and Deep Learning, chapter 3): the worse the start, the slower the
/// start, with squared error; not with cross entropy.
#[test]
fn squared_error_stalls_where_cross_entropy_does_not() {
    assert_eq!(to_hundredths(trained(0.6, 0.9, false)), (0.82, 0.09));
    assert_eq!(to_hundredths(trained(2.0, 2.0, false)), (0.98, 0.20));
    let (_, good) = trained(0.6, 0.9, true);
    let (_, bad) = trained(2.0, 2.0, true);
    assert!(good < 0.02 && bad < 0.02, "{good} {bad}");
    assert!(bad < 1.2 * good, "a bad start costs nothing with cross entropy: {good} {bad}");
}

/// The slope of the squared error is p (1 - p) times that of cross entropy, times 2.
#[test]
fn the_slope_is_that_of_cross_entropy_times_that_of_the_sigmoid() {
    for x in [-30.0, -4.0, -0.3, 0.0, 0.3, 4.0, 30.0] {
        let (mut squared, mut cross) = ([0.0], [0.0]);
        let out = ViewMut::rows_of(&mut squared, 1).unwrap();
        let wanted = Wanted {
            gradient: Some(Gradient { into: out, scale: Scale::All(0.5) }),
            ..Default::default()
        };
        sigmoid_squared_error(rows(&[x], 1), rows(&[true], 1), wanted).unwrap();
        let gradient = Some(whole(&mut cross, 1));
        let wanted = SigmoidWanted { gradient, ..Default::default() };
        let options = SigmoidOptions::default();
        sigmoid_cross_entropy(rows(&[x], 1), rows(&[true], 1), &options, wanted).unwrap();
        let (p, q) = both_sides(x);
        assert_eq!(squared[0], cross[0] * (p * q));
    }
}

fn logits(v: usize) -> impl Strategy<Value = Vec<f64>> {
    proptest::collection::vec(-30.0..30.0_f64, v)
}

proptest! {
    #[test]
    fn from_0_to_2(x in logits(5), label in 0..5_u32) {
        let (losses, slopes, _) = run(rows(&x, 5), ClassTarget::Classes(&[label]));
        prop_assert!(losses[0] >= 0.0 && losses[0] <= 2.0 + 1e-15);
        // A softmax does not change with a common offset.
        prop_assert!(slopes.iter().sum::<f64>().abs() < 1e-15);
        prop_assert!(slopes[label as usize] <= 0.0);
    }

    #[test]
    fn the_gradient_is_the_slope(x in logits(3), t in proptest::collection::vec(0.0..=1.0_f64, 3), i in 0..3_usize) {
        let h = 1e-3;
        let at = |d: f64| {
            let mut x = x.clone();
            x[i] += d;
            run(rows(&x, 3), ClassTarget::Soft(rows(&t, 3))).0[0]
        };
        let slope = (at(-2.0 * h) - 8.0 * at(-h) + 8.0 * at(h) - at(2.0 * h)) / (12.0 * h);
        let slopes = run(rows(&x, 3), ClassTarget::Soft(rows(&t, 3))).1;
        prop_assert!((slopes[i] - slope).abs() < 1e-10);
    }
}

/// So that the golden file's key is not left unread by a mistake in its name.
#[test]
fn the_golden_file_has_classes_and_soft_targets() {
    let golden = golden_file("row_losses.json");
    let cases = golden["softmax"].as_array().unwrap();
    assert!(cases.iter().any(|case| case["t"].is_array()));
    assert!(cases.iter().any(|case| matches!(case["t"], Value::Number(_))));
}
