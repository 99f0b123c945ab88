#![allow(clippy::unwrap_used)]

use half::{bf16, f16};
use proptest::prelude::*;

use super::*;
use crate::lanes::testing::{cycled, layouts, ulps, whole};
use crate::per_row::{NoMean, Scale};
use crate::special::testing::{golden_file, numbers};

/// Of the loss, against 700 digits.
const ULPS_LOSS: f64 = 2.0;
/// Of the gradient, in ulp of the larger of its two terms.
const ULPS_SLOPE: f64 = 2.0;
/// Of the sigmoid.
const ULPS_SIGMOID: f64 = 2.0;

fn rows<T: Copy>(x: &[T], cols: usize) -> View<'_, T> {
    View::rows_of(x, cols).unwrap()
}

/// Losses and gradient of one column.
fn run<Y: BinaryTarget>(x: &[f64], t: &[Y]) -> (Vec<f64>, Vec<f64>, RowSum) {
    let (mut losses, mut slopes) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    let gradient = Some(whole(&mut slopes, 1));
    let wanted = SigmoidWanted { losses: Some(&mut losses), gradient, ..Default::default() };
    let options = SigmoidOptions::default();
    let sum = sigmoid_cross_entropy(rows(x, 1), rows(t, 1), &options, wanted).unwrap();
    (losses, slopes, sum)
}

#[test]
fn golden_values() {
    let golden = golden_file("row_losses.json");
    let points: Vec<Vec<f64>> = golden["sigmoid"].as_array().unwrap().iter().map(numbers).collect();
    assert!(points.len() > 150);
    let x: Vec<f64> = points.iter().map(|p| p[0]).collect();
    let t: Vec<f64> = points.iter().map(|p| p[1]).collect();
    let (losses, slopes, sum) = run(&x, &t);
    assert_eq!(sum.undefined, 0);
    for (i, point) in points.iter().enumerate() {
        let [x, t, loss, slope, ..] = point[..] else { panic!("{point:?}") };
        let (got, at) = (losses[i], format!("x {x:e}, t {t:e}"));
        assert!(ulps(got, loss, loss) <= ULPS_LOSS, "{at}: {got:e} is not {loss:e}");
        let (p, q) = both_sides(x);
        let unit = slope.abs().max((1.0 - t) * p).max(t * q);
        let got = slopes[i];
        assert!(ulps(got, slope, unit) <= ULPS_SLOPE, "{at}: slope {got:e} is not {slope:e}");
        if t == 0.0 {
            assert!(ulps(p, slope, slope) <= ULPS_SIGMOID, "{at}: {p:e} is not {slope:e}");
        }
    }
}

#[test]
fn infinite_logits_have_their_limits() {
    let inf = f64::INFINITY;
    let x = [inf, inf, inf, -inf, -inf, -inf];
    let (losses, slopes, sum) = run(&x, &[1.0, 0.0, 0.25, 0.0, 1.0, 0.25]);
    assert_eq!(losses, [0.0, inf, inf, 0.0, inf, inf]);
    assert_eq!(slopes, [0.0, 1.0, 0.75, 0.0, -1.0, -0.25]);
    assert_eq!((sum.loss.value(), sum.undefined, sum.first_undefined), (inf, 0, None));
    // As for 1000 and -1000.
    let (losses, slopes, _) = run(&[1000.0, 1000.0, -1000.0, -1000.0], &[1_u8, 0, 0, 1]);
    assert_eq!(losses, [0.0, 1000.0, 0.0, 1000.0]);
    assert_eq!(slopes, [0.0, 1.0, 0.0, -1.0]);
    // No sign on a loss of 0.
    assert!(losses.iter().all(|loss| loss.is_sign_positive()));
}

#[test]
fn nan_is_counted_and_named() {
    let nan = f64::NAN;
    let x = [0.0, 1.0, /**/ 2.0, nan, /**/ nan, nan];
    let mut losses = [0.0; 3];
    let mut elements = [0.0; 6];
    let wanted = SigmoidWanted {
        losses: Some(&mut losses),
        element_losses: Some(ViewMut::rows_of(&mut elements, 2).unwrap()),
        ..Default::default()
    };
    let options = SigmoidOptions::default();
    let t = rows(&[true; 6], 2);
    let sum = sigmoid_cross_entropy(rows(&x, 2), t, &options, wanted).unwrap();
    assert_eq!((sum.undefined, sum.first_undefined, sum.used), (3, Some((1, 1)), 3));
    assert!(sum.loss.value().is_nan() && sum.mean() == Err(NoMean::Undefined { count: 3, row: 1 }));
    assert!(losses[0] == elements[0] + elements[1] && losses[1].is_nan() && losses[2].is_nan());
    // Rows of weight 0 are absent, gradient and all.
    let mut slopes = [9.0; 6];
    let gradient = Some(whole(&mut slopes, 2));
    let options = SigmoidOptions { weights: Some(&[2.0, 0.0, 0.0]), ..options };
    let wanted = SigmoidWanted { gradient, ..Default::default() };
    let sum = sigmoid_cross_entropy(rows(&x, 2), t, &options, wanted).unwrap();
    assert_eq!((sum.undefined, sum.first_undefined, sum.used, sum.absent), (0, None, 1, 2));
    assert_eq!(sum.mean(), Ok(losses[0]));
    assert_eq!(slopes[2..], [0.0; 4]);
    // An infinite loss of weight 0 too; and nothing is left to take a mean of.
    let options = SigmoidOptions { weights: Some(&[0.0]), ..options };
    let wanted = SigmoidWanted::default();
    let (x, t) = ([f64::INFINITY], [false]);
    let sum = sigmoid_cross_entropy(rows(&x, 1), rows(&t, 1), &options, wanted).unwrap();
    assert_eq!((sum.loss.value(), sum.absent, sum.mean()), (0.0, 1, Err(NoMean::ZeroWeight)));
}

#[test]
fn weights_of_rows_and_columns() {
    let x = [0.5, -1.0, /**/ 2.0, 0.0];
    let t = [1.0, 0.25, /**/ 0.0, 1.0];
    let (plain, plain_slopes, _) = run(&x, &t);
    let (when_true, slope_when_true, _) = run(&x, &[true; 4]);
    let options =
        SigmoidOptions { weights: Some(&[3.0, 0.5]), positive_weights: Some(&[4.0, 1.0]) };
    let (mut elements, mut slopes) = ([0.0; 4], [0.0; 4]);
    let out = ViewMut::rows_of(&mut slopes, 2).unwrap();
    let wanted = SigmoidWanted {
        losses: None,
        element_losses: Some(ViewMut::rows_of(&mut elements, 2).unwrap()),
        gradient: Some(Gradient { into: out, scale: Scale::Rows(&[1.0, 8.0]) }),
    };
    let sum = sigmoid_cross_entropy(rows(&x, 2), rows(&t, 2), &options, wanted).unwrap();
    assert_eq!(elements, [4.0 * when_true[0], plain[1], plain[2], plain[3]]);
    let mut expected =
        [4.0 * slope_when_true[0], plain_slopes[1], plain_slopes[2], plain_slopes[3]];
    expected[..2].iter_mut().for_each(|slope| *slope *= 3.0);
    expected[2..].iter_mut().for_each(|slope| *slope *= 4.0);
    assert_eq!(slopes, expected);
    let weighted = 3.0 * (elements[0] + elements[1]) + 0.5 * (elements[2] + elements[3]);
    assert!((sum.loss.value() - weighted).abs() < 1e-15);
    assert_eq!(sum.weight.value(), 3.5);
    // A column whose true labels count nothing: 0 inf = 0.
    let options = SigmoidOptions { positive_weights: Some(&[0.0]), ..Default::default() };
    let (x, t) = ([f64::NEG_INFINITY], [true]);
    let wanted = SigmoidWanted::default();
    let sum = sigmoid_cross_entropy(rows(&x, 1), rows(&t, 1), &options, wanted).unwrap();
    assert_eq!(sum.loss.value(), 0.0);
}

#[test]
fn arguments_are_checked_before_anything_is_written() {
    let x = [0.0; 6];
    let mut losses = [7.0; 3];
    let mut slopes = [7.0; 6];
    let mut fails = |t: &[f64], options: &SigmoidOptions<'_>| {
        let gradient = Some(whole(&mut slopes, 2));
        let wanted = SigmoidWanted { losses: Some(&mut losses), gradient, ..Default::default() };
        let error = sigmoid_cross_entropy(rows(&x, 2), rows(t, 2), options, wanted).unwrap_err();
        assert!(losses == [7.0; 3] && slopes == [7.0; 6]);
        error.to_string()
    };
    let options = SigmoidOptions::default();
    assert_eq!(
        fails(&[0.0, 1.0, 0.5, 0.0, 1.0 + 1e-15, f64::NAN], &options),
        "targets: row 2, column 0 is 1.000000000000001, not a number from 0 to 1"
    );
    assert_eq!(
        fails(&[0.0, 1.0, 0.5, f64::NAN, -1.0, 0.0], &options),
        "targets: row 1, column 1 is NaN, not a number from 0 to 1"
    );
    assert_eq!(fails(&[0.0; 4], &options), "targets: 2 x 2 numbers, not 3 x 2");
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        let options = SigmoidOptions { weights: Some(&[1.0, 1.0, bad]), ..options };
        assert!(fails(&[0.0; 6], &options).starts_with("weights: number 2 is "));
        let options = SigmoidOptions { positive_weights: Some(&[bad, 1.0]), ..options };
        assert!(fails(&[0.0; 6], &options).contains("number"));
    }
    let short = SigmoidOptions { weights: Some(&[1.0; 2]), ..options };
    assert_eq!(fails(&[0.0; 6], &short), "weights: 2 numbers, not 3");
    let wanted = SigmoidWanted::default();
    let error = sigmoid_cross_entropy(rows(&x, 1), rows(&[2_u8; 6], 1), &options, wanted);
    let (what, row, col, value) = ("targets", 0, 0, 2.0);
    assert_eq!(error, Err(ArgumentError::NotProbability { what, row, col, value }));
    let empty: View<'_, f64> = View::strided(&[], 3, 0, 0, 1).unwrap();
    let error = sigmoid_cross_entropy(empty, empty, &options, SigmoidWanted::default());
    assert_eq!(error, Err(ArgumentError::NoClasses { rows: 3 }));
    let none: View<'_, f64> = rows(&[], 1);
    let sum = sigmoid_cross_entropy(none, none, &options, SigmoidWanted::default()).unwrap();
    assert_eq!((sum.used, sum.loss.value(), sum.mean()), (0, 0.0, Err(NoMean::Empty)));
}

/// Every layout, width and number of rows: the bits of a row are those of the row alone.
#[test]
fn a_row_does_not_depend_on_its_neighbours_or_the_layout() {
    for (n, v) in [(1, 1), (7, 3), (9, 1), (300, 2), (20, 100), (3, 700)] {
        let x: Vec<f64> = cycled(n * v, &[0.0, -3.5, 20.0, 800.0, -0.001, f64::INFINITY, 7.0]);
        let t: Vec<f64> = cycled(n * v, &[0.0, 1.0, 0.25, 1.0, 0.5]);
        let mut alone = Vec::new();
        for row in 0..n {
            let mut loss = [0.0];
            let mut slopes = vec![0.0; v];
            let gradient = Some(whole(&mut slopes, v));
            let wanted = SigmoidWanted { losses: Some(&mut loss), gradient, ..Default::default() };
            let (x, t) = (rows(&x, v).rows(row..row + 1), rows(&t, v).rows(row..row + 1));
            sigmoid_cross_entropy(x, t, &SigmoidOptions::default(), wanted).unwrap();
            alone.push((loss[0], slopes));
        }
        layouts(&x, &t, n, v, |x, t, out| {
            let mut losses = vec![0.0; n];
            let gradient = Some(Gradient { into: out.reborrow(), scale: Scale::All(1.0) });
            let wanted =
                SigmoidWanted { losses: Some(&mut losses), gradient, ..Default::default() };
            sigmoid_cross_entropy(x, t, &SigmoidOptions::default(), wanted).unwrap();
            for (row, (loss, slopes)) in alone.iter().enumerate() {
                assert_eq!(losses[row].to_bits(), loss.to_bits());
                for (col, slope) in slopes.iter().enumerate() {
                    assert_eq!(out.as_view().get(row, col).to_bits(), slope.to_bits());
                }
            }
        });
    }
}

#[test]
fn narrow_numbers_are_worked_on_in_f64() {
    fn check<T: Element>() {
        let x: Vec<T> = (-200..200).map(|i| T::from_f64(f64::from(i) * 0.173)).collect();
        let t: Vec<bool> = (0..400).map(|i| i % 3 == 0).collect();
        let wide: Vec<f64> = x.iter().map(|x| x.to_f64()).collect();
        let (losses, slopes, _) = run(&wide, &t);
        let (mut mine, mut my_slopes) = (vec![0.0; 400], vec![T::default(); 400]);
        let gradient = Some(whole(&mut my_slopes, 1));
        let wanted = SigmoidWanted { losses: Some(&mut mine), gradient, ..Default::default() };
        let options = SigmoidOptions::default();
        sigmoid_cross_entropy(rows(&x, 1), rows(&t, 1), &options, wanted).unwrap();
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

#[test]
fn sums_merge_with_their_places() {
    let x = [0.0, f64::NAN, 1.0, f64::NAN];
    let t = [true; 4];
    let options = SigmoidOptions::default();
    let part = |range: Range<usize>| {
        let (x, t) = (rows(&x, 1).rows(range.clone()), rows(&t, 1).rows(range));
        sigmoid_cross_entropy(x, t, &options, SigmoidWanted::default()).unwrap()
    };
    let mut merged = part(2..4);
    assert_eq!(merged.first_undefined, Some((1, 0)));
    let mut first = part(0..2);
    first.merge(&merged, 2);
    assert_eq!(first, part(0..4));
    merged = part(0..1);
    merged.merge(&part(2..4), 2);
    assert_eq!(merged.first_undefined, Some((3, 0)));
}

proptest! {
    /// Never negative, and both targets together cost what the two sides cost.
    #[test]
    fn never_negative(x in -800.0..800.0_f64, t in 0.0..=1.0_f64) {
        let (losses, slopes, _) = run(&[x, x, -x], &[t, 1.0, 1.0]);
        prop_assert!(losses.iter().all(|&loss| loss >= 0.0));
        let mixed = t * losses[1] + (1.0 - t) * losses[2];
        prop_assert!((losses[0] - mixed).abs() <= 4.0 * f64::EPSILON * mixed);
        // The two sides sum to 1.
        prop_assert!((slopes[1] + slopes[2] + 1.0).abs() <= f64::EPSILON);
    }

    /// The slope is that of the loss: differences of fourth order.
    #[test]
    fn the_gradient_is_the_slope(x in -20.0..20.0_f64, t in 0.0..=1.0_f64) {
        let h = 1e-3;
        let x = [x, x - 2.0 * h, x - h, x + h, x + 2.0 * h];
        let (l, slopes, _) = run(&x, &[t; 5]);
        let slope = (l[1] - 8.0 * l[2] + 8.0 * l[3] - l[4]) / (12.0 * h);
        prop_assert!((slopes[0] - slope).abs() < 1e-10);
    }
}
