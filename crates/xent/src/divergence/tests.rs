#![allow(clippy::unwrap_used)]

use half::{bf16, f16};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::information::{self, Distribution};
use crate::lanes::testing::{cycled, layouts, ulps, whole};
use crate::per_row::{NoMean, Scale};
use crate::special::testing::{golden_file, number, numbers};

/// Of entropies and cross entropies of probabilities, against 700 digits.
const ULPS_ENTROPY: f64 = 2.0;
/// Of the other values.
const ULPS_VALUE: f64 = 4.0;
/// Of gradients with respect to probabilities, each component.
const ULPS_SLOPE: f64 = 4.0;
/// Of gradients with respect to logits, in ulp of their terms' magnitudes.
const ULPS_LOGITS: f64 = 8.0;

fn rows<T: Copy>(x: &[T], cols: usize) -> View<'_, T> {
    View::rows_of(x, cols).unwrap()
}

/// Of two arrays, of probabilities or of logits.
type OfPair<A, B> =
    fn(View<'_, A>, View<'_, B>, WantedOfPair<'_, A, B>) -> Result<RowSum, ArgumentError>;

/// Values of rows of probabilities, and slopes in the second.
fn of_rows(f: OfPair<f64, f64>, p: &[f64], q: &[f64], v: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut losses, mut slopes) = (vec![0.0; p.len() / v], vec![0.0; q.len()]);
    let gradient_q = Some(whole(&mut slopes, v));
    let wanted = WantedOfPair { losses: Some(&mut losses), gradient_q, gradient_p: None };
    f(rows(p, v), rows(q, v), wanted).unwrap();
    (losses, slopes)
}

/// Slopes in the first, alone; they are the same beside those in the second, which do not change either.
fn slopes_of_first(f: OfPair<f64, f64>, p: &[f64], q: &[f64], v: usize, scale: f64) -> Vec<f64> {
    let [mut alone, mut first, mut second, mut other] = [(); 4].map(|()| vec![7.0; p.len()]);
    fn into(out: &mut [f64], v: usize, scale: f64) -> Gradient<'_, f64> {
        Gradient { scale: Scale::All(scale), ..whole(out, v) }
    }
    let gradient_p = Some(into(&mut alone, v, scale));
    f(rows(p, v), rows(q, v), WantedOfPair { gradient_p, ..WantedOfPair::default() }).unwrap();
    let gradient_q = Some(into(&mut other, v, scale));
    f(rows(p, v), rows(q, v), WantedOfPair { gradient_q, ..WantedOfPair::default() }).unwrap();
    let gradient_p = Some(into(&mut first, v, scale));
    let gradient_q = Some(into(&mut second, v, scale));
    f(rows(p, v), rows(q, v), WantedOfPair { gradient_p, gradient_q, losses: None }).unwrap();
    assert_eq!((&first, &second), (&alone, &other));
    alone
}

/// Values of the entropy of rows of probabilities, and slopes.
fn entropies_of_rows(p: &[f64], v: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut losses, mut slopes) = (vec![0.0; p.len() / v], vec![0.0; p.len()]);
    let wanted = Wanted { losses: Some(&mut losses), gradient: Some(whole(&mut slopes, v)) };
    entropy_rows(rows(p, v), wanted).unwrap();
    (losses, slopes)
}

/// Values, both slopes, and the sum of rows of logits.
fn of_logits(
    f: OfPair<f64, f64>,
    a: &[f64],
    b: &[f64],
    v: usize,
) -> (Vec<f64>, Vec<f64>, Vec<f64>, RowSum) {
    let mut losses = vec![0.0; a.len() / v];
    let (mut da, mut db) = (vec![0.0; a.len()], vec![0.0; a.len()]);
    let wanted = WantedOfPair {
        losses: Some(&mut losses),
        gradient_p: Some(whole(&mut da, v)),
        gradient_q: Some(whole(&mut db, v)),
    };
    let sum = f(rows(a, v), rows(b, v), wanted).unwrap();
    (losses, da, db, sum)
}

/// Value and slopes of the entropy of rows of logits.
fn entropies(x: &[f64], v: usize) -> (Vec<f64>, Vec<f64>, RowSum) {
    let (mut losses, mut slopes) = (vec![0.0; x.len() / v], vec![0.0; x.len()]);
    let gradient = Some(whole(&mut slopes, v));
    let wanted = Wanted { losses: Some(&mut losses), gradient };
    let sum = entropy_from_logits(rows(x, v), wanted).unwrap();
    (losses, slopes, sum)
}

#[track_caller]
fn near(what: &str, got: f64, expected: f64, unit: f64, bound: f64) {
    let distance = ulps(got, expected, unit);
    assert!(distance <= bound, "{what}: {got:e} is not {expected:e} ({distance} ulp)");
}

#[test]
fn golden_values_of_probabilities() {
    let golden = golden_file("row_losses.json");
    let cases = golden["rows"].as_array().unwrap();
    assert!(cases.len() >= 15);
    for case in cases {
        let (p, q) = (numbers(&case["p"]), numbers(&case["q"]));
        let v = p.len();
        let what = |kind: &str| format!("{kind} of {}", case["name"]);
        let (entropy, slopes) = entropies_of_rows(&p, v);
        let expected = number(&case["entropy"][0]).min(ln(v as f64));
        near(&what("entropy"), entropy[0], expected, expected, ULPS_ENTROPY);
        for (got, expected) in slopes.iter().zip(numbers(&case["entropy"][1])) {
            near(&what("slope of entropy"), *got, expected, expected, ULPS_SLOPE);
        }
        for (kind, f, bound) in [
            ("cross", cross_entropy_rows as OfPair<f64, f64>, ULPS_ENTROPY),
            ("kl", kl_rows, ULPS_VALUE),
            ("js", js_rows, ULPS_VALUE),
        ] {
            let (losses, slopes) = of_rows(f, &p, &q, v);
            let expected = number(&case[kind][0]);
            near(&what(kind), losses[0], expected, expected, bound);
            for (got, expected) in slopes.iter().zip(numbers(&case[kind][1])) {
                near(&what(kind), *got, expected, expected, ULPS_SLOPE);
            }
            let slopes = slopes_of_first(f, &p, &q, v, 1.0);
            for (got, expected) in slopes.iter().zip(numbers(&case[kind][2])) {
                near(&what(&format!("slope in p of {kind}")), *got, expected, expected, ULPS_SLOPE);
            }
        }
    }
}

/// The size of the terms whose difference a component of a gradient is.
fn units(kind: &str, a: &[f64], b: &[f64], value: f64) -> [Vec<f64>; 2] {
    let [p, q] = [a, b].map(information::softmax);
    let [lp, lq] = [a, b].map(information::log_softmax);
    let v = a.len();
    let apart: f64 = p.iter().zip(&q).map(|(p, q)| (p - q).abs()).sum();
    let first = (0..v).map(|i| match kind {
        "entropy" => p[i] * (lp[i].abs() + value),
        "cross" => p[i] * (lq[i].abs() + value),
        "kl" => p[i] * ((lp[i] - lq[i]).abs() + apart + value),
        _ => p[i] * (((p[i] + q[i]) / (2.0 * p[i])).ln().abs() + apart),
    });
    let second = (0..v).map(|i| match kind {
        "js" => q[i] * (((p[i] + q[i]) / (2.0 * q[i])).ln().abs() + apart),
        _ => (p[i] * ((lp[i] - lq[i]).abs() + apart)).min(p[i] + q[i]),
    });
    [first.collect(), second.collect()]
}

#[test]
fn golden_values_of_logits() {
    let golden = golden_file("row_losses.json");
    let cases = golden["logits"].as_array().unwrap();
    assert!(cases.len() >= 30);
    for case in cases {
        let (a, b) = (numbers(&case["a"]), numbers(&case["b"]));
        let v = a.len();
        let check = |kind: &str, value: f64, slopes: [&[f64]; 2]| {
            let what = format!("{kind} of {}", case["name"]);
            let expected = number(&case[kind][0]);
            near(&what, value, expected, expected, ULPS_VALUE);
            let units = units(kind, &a, &b, value);
            for (i, (slopes, units)) in slopes.iter().zip(units).enumerate() {
                if slopes.is_empty() {
                    continue;
                }
                for ((got, unit), expected) in
                    slopes.iter().zip(units).zip(numbers(&case[kind][i + 1]))
                {
                    if i == 0 && value == f64::INFINITY {
                        assert!(got.is_nan(), "{what}: there is no gradient, not {got:e}");
                        continue;
                    }
                    let unit = expected.abs().max(if unit.is_nan() { 0.0 } else { unit });
                    near(&what, *got, expected, unit, ULPS_LOGITS);
                }
            }
        };
        let (losses, slopes, _) = entropies(&a, v);
        let entropy_case = |value: f64, slopes: &[f64]| check("entropy", value, [slopes, &[]]);
        entropy_case(losses[0], &slopes);
        for (kind, f) in [
            ("cross", cross_entropy_from_logits as OfPair<f64, f64>),
            ("kl", kl_from_logits),
            ("js", js_from_logits),
        ] {
            let (losses, da, db, sum) = of_logits(f, &a, &b, v);
            check(kind, losses[0], [&da, &db]);
            assert_eq!(sum.undefined, 0);
        }
    }
}

#[test]
fn rows_without_a_softmax_are_counted_and_named() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let bad = [[-inf, -inf, -inf], [inf, 0.0, inf], [0.0, nan, nan], [inf, nan, 0.0]];
    let columns = [0, 2, 1, 1];
    let good = [0.5, -1.0, 2.0];
    for (bad, column) in bad.iter().zip(columns) {
        let (losses, slopes, sum) = entropies(&[good, *bad, good].concat(), 3);
        assert!(losses[1].is_nan() && losses[0] == losses[2] && losses[0] > 0.0);
        assert!(slopes[3..6].iter().all(|slope| slope.is_nan()));
        assert!(slopes[..3] == slopes[6..] && slopes[0] != 0.0);
        assert_eq!((sum.undefined, sum.first_undefined), (1, Some((1, column))));
        assert!(sum.loss.value().is_nan());
        for f in [cross_entropy_from_logits as OfPair<f64, f64>, kl_from_logits, js_from_logits] {
            for (a, b) in [(bad, &good), (&good, bad), (bad, bad)] {
                let (losses, da, db, sum) =
                    of_logits(f, &[good, *a].concat(), &[*b, good].concat(), 3);
                let undefined = [b, a].map(|row| row.iter().any(|x| !x.is_finite()));
                assert_eq!([losses[0].is_nan(), losses[1].is_nan()], undefined);
                assert_eq!([da[0].is_nan(), da[3].is_nan()], undefined);
                assert_eq!([db[2].is_nan(), db[5].is_nan()], undefined);
                let row = usize::from(!undefined[0]);
                assert_eq!(sum.first_undefined, Some((row, column)));
            }
        }
    }
}

#[test]
fn zeros_and_edges_of_probabilities() {
    let inf = f64::INFINITY;
    let (p, q) = ([0.5, 0.5, 0.0], [0.5, 0.0, 0.5]);
    assert_eq!(of_rows(cross_entropy_rows, &p, &q, 3), (vec![inf], vec![-1.0, -inf, 0.0]));
    assert_eq!(of_rows(kl_rows, &p, &q, 3), (vec![inf], vec![0.0, -inf, 1.0]));
    let (losses, slopes) = of_rows(js_rows, &p, &q, 3);
    assert_eq!(losses, [0.5 * LN_2]);
    assert_eq!(slopes, [0.0, -inf, 0.5 * LN_2]);
    // -0 is 0.
    assert_eq!(of_rows(kl_rows, &[1.0, -0.0], &[1.0, -0.0], 2).0, [0.0]);
    // No sign on 0.
    for f in [cross_entropy_rows as OfPair<f64, f64>, kl_rows, js_rows] {
        assert!(of_rows(f, &[1.0, 0.0], &[1.0, 0.0], 2).0[0].is_sign_positive());
    }
    let (losses, slopes) = entropies_of_rows(&[1.0, 0.0], 2);
    assert_eq!(losses[0].to_bits(), 0.0_f64.to_bits());
    assert_eq!(slopes, [-1.0, inf]);
    // The bounds hold for rows that do not sum to 1 too.
    assert_eq!(entropies_of_rows(&[0.995], 1).0, [0.0]);
    // Slopes in p are limits from inside.
    let (p, q) = ([0.5, 0.5, 0.0, 0.0], [0.5, 0.0, 0.5, 0.0]);
    let slopes = |f, scale| slopes_of_first(f, &p, &q, 4, scale);
    assert_eq!(slopes(cross_entropy_rows, 1.0), [LN_2, inf, LN_2, inf]);
    assert_eq!(slopes(kl_rows, 1.0), [0.0, inf, -inf, inf]);
    assert_eq!(slopes(js_rows, 1.0), [0.0, 0.5 * LN_2, -inf, 0.5 * LN_2]);
    // 0 times infinity.
    for f in [cross_entropy_rows as OfPair<f64, f64>, kl_rows, js_rows] {
        assert_eq!(slopes(f, 0.0), [0.0; 4]);
    }
    let (p, q) = ([1.0, 0.0, 0.01, 0.0], [0.0, 1.0, 0.0, 0.01]);
    assert_eq!(of_rows(js_rows, &p, &q, 4).0, [LN_2]);
    // What is computed where the rows do not sum to 1.
    let (losses, slopes) = of_rows(kl_rows, &[0.5, 0.495], &[0.5, 0.5], 2);
    let expected = 0.495 * (0.495 / 0.5_f64).ln() + (1.0 - 0.995);
    assert!((losses[0] - expected).abs() < 1e-16);
    assert!((slopes[1] - 0.01).abs() < 1e-16);
}

#[test]
fn probabilities_are_checked_before_anything_is_written() {
    let good = [0.5, 0.5, /**/ 0.25, 0.75];
    let mut losses = [7.0; 2];
    let mut slopes = [7.0; 4];
    let mut fails = |p: &[f64], q: &[f64]| {
        let gradient = Some(whole(&mut slopes, 2));
        let mut first = [7.0; 4];
        let gradient_p = Some(whole(&mut first, 2));
        let wanted = WantedOfPair { losses: Some(&mut losses), gradient_p, gradient_q: gradient };
        let error = kl_rows(rows(p, 2), rows(q, 2), wanted).unwrap_err();
        assert!(losses == [7.0; 2] && slopes == [7.0; 4] && first == [7.0; 4]);
        let alone = entropy_rows(rows(p, 2), Wanted::default());
        assert!(alone.is_ok() == (p == good) || p.len() != 4);
        error.to_string()
    };
    let nan = f64::NAN;
    assert_eq!(
        fails(&[0.5, 0.5, 1.5, -0.5], &good),
        "p: row 1, column 0 is 1.5, not a number from 0 to 1"
    );
    assert_eq!(
        fails(&good, &[0.5, 0.5, 0.5, nan]),
        "q: row 1, column 1 is NaN, not a number from 0 to 1"
    );
    assert_eq!(fails(&good, &[0.5, 0.25, nan, nan]), "q: row 0 sums to 0.75, not 1");
    assert_eq!(fails(&good, &[0.5, 0.5]), "q: 1 x 2 numbers, not 2 x 2");
    // 0.01 is near enough, as everywhere.
    assert!(entropy_rows(rows(&[0.33, 0.33, 0.33], 3), Wanted::default()).is_ok());
    assert!(entropy_rows(rows(&[0.33, 0.33, 0.329], 3), Wanted::default()).is_err());
    let empty: View<'_, f32> = View::strided(&[], 3, 0, 0, 1).unwrap();
    assert_eq!(entropy_rows(empty, Wanted::default()), Err(ArgumentError::NoClasses { rows: 3 }));
    let wanted = Wanted::default();
    assert_eq!(entropy_from_logits(empty, wanted), Err(ArgumentError::NoClasses { rows: 3 }));
    let sum = entropy_rows(rows::<f32>(&[], 3), Wanted::default()).unwrap();
    assert_eq!((sum.used, sum.mean()), (0, Err(NoMean::Empty)));
    let mut short = [0.0];
    let wanted = Wanted { losses: Some(&mut short), gradient: None };
    let error = entropy_rows(rows(&good, 2), wanted).unwrap_err();
    assert_eq!(error.to_string(), "losses: 1 numbers, not 2");
    let gradient_p = Some(whole(&mut short, 1));
    let wanted = WantedOfPair { gradient_p, ..WantedOfPair::default() };
    let error = js_rows(rows(&good, 2), rows(&good, 2), wanted).unwrap_err();
    assert_eq!(error.to_string(), "gradient_p: 1 x 1 numbers, not 2 x 2");
}

/// Of logits far apart the distance was cut at 1e300.
#[test]
fn distances_at_the_end_of_the_numbers() {
    let inf = f64::INFINITY;
    let cross = |a: &[f64], b: &[f64]| of_logits(cross_entropy_from_logits, a, b, 2).0[0];
    let kl = |a: &[f64], b: &[f64]| of_logits(kl_from_logits, a, b, 2).0[0];
    let (up, down) = ([1e308, -1e308], [-1e308, 1e308]);
    assert_eq!((cross(&up, &down), kl(&up, &down)), (inf, inf));
    assert_eq!((cross(&up, &up), kl(&up, &up)), (0.0, 0.0));
    assert_eq!(of_logits(js_from_logits, &up, &down, 2).0, [LN_2]);
    assert_eq!(cross(&[1.0, -inf], &[-1e305, 0.0]), 1e305);
    assert_eq!(cross(&[0.0, 0.0], &[-1.5e308, 0.0]), 7.5e307);
    // What has no probability does not count, be it out of range or not.
    assert_eq!(cross(&[-1e4, 0.0], &[-1e308, 1e308]), 0.0);
    assert_eq!(cross(&[-1e4, 0.0], &[-inf, 0.0]), inf);
    assert_eq!(kl(&[1.0, -inf], &[-1e280, 0.0]), 1e280);
}

#[test]
fn a_row_does_not_depend_on_its_neighbours_or_the_layout() {
    for (n, v) in [(1, 1), (7, 3), (300, 2), (20, 100), (3, 700)] {
        let a = cycled(n * v, &[0.0, -3.5, 20.0, 80.0, -0.001, f64::NEG_INFINITY, 7.0, 7.0]);
        let b = cycled(n * v, &[4.0, -3.5, f64::NAN, 80.0, 0.5, 7.0, 3.0]);
        for f in [cross_entropy_from_logits as OfPair<f64, f64>, kl_from_logits, js_from_logits] {
            let alone: Vec<_> = (0..n)
                .map(|row| {
                    let range = row * v..(row + 1) * v;
                    of_logits(f, &a[range.clone()], &b[range], v)
                })
                .collect();
            for first in [true, false] {
                layouts(&a, &b, n, v, |a, b, out| {
                    let mut losses = vec![0.0; n];
                    let gradient = Some(Gradient { into: out.reborrow(), scale: Scale::All(1.0) });
                    let (gradient_p, gradient_q) =
                        if first { (gradient, None) } else { (None, gradient) };
                    let wanted = WantedOfPair { losses: Some(&mut losses), gradient_p, gradient_q };
                    f(a, b, wanted).unwrap();
                    for (row, (loss, da, db, _)) in alone.iter().enumerate() {
                        let same =
                            |x: f64, y: f64| x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan();
                        assert!(same(losses[row], loss[0]));
                        for (col, slope) in (if first { da } else { db }).iter().enumerate() {
                            let got = out.as_view().get(row, col);
                            // The cross entropy takes no pains for its first gradient where the second is not
                            // wanted, and needs none.
                            assert!(same(got, *slope), "{row} {col}: {got:e} {slope:e}");
                        }
                    }
                });
            }
        }
    }
}

#[test]
fn narrow_numbers_are_worked_on_in_f64() {
    fn check<T: Element>() {
        let a: Vec<T> = (0..400).map(|i| T::from_f64(f64::from(i * i % 71) * 0.173)).collect();
        let b: Vec<T> = (0..400).map(|i| T::from_f64(f64::from(i * i % 67) * 0.211)).collect();
        let [wide_a, wide_b]: [Vec<f64>; 2] =
            [&a, &b].map(|x| x.iter().map(|x| x.to_f64()).collect());
        let (losses, da, db, _) = of_logits(js_from_logits, &wide_a, &wide_b, 4);
        let mut mine = vec![0.0; 100];
        let (mut my_da, mut my_db) = (vec![T::default(); 400], vec![0.0_f32; 400]);
        let b: Vec<f32> = b.iter().map(|x| x.to_f32()).collect();
        let wanted = WantedOfPair {
            losses: Some(&mut mine),
            gradient_p: Some(whole(&mut my_da, 4)),
            gradient_q: Some(whole(&mut my_db, 4)),
        };
        js_from_logits(rows(&a, 4), rows(&b, 4), wanted).unwrap();
        if !T::WIDE {
            assert_eq!(mine, losses);
            assert!(my_da.iter().zip(da).all(|(mine, slope)| *mine == T::from_f64(slope)));
            assert!(my_db.iter().zip(db).all(|(mine, slope)| *mine == slope as f32));
        }
    }
    check::<f32>();
    check::<f16>();
    check::<bf16>();
}

/// The functions on one distribution say the same.
#[test]
fn the_calculators_agree() {
    let (p, q) = ([0.1, 0.2, 0.7], [0.3, 0.3, 0.4]);
    let [dp, dq] = [p, q].map(|p| Distribution::new(&p).unwrap());
    let close = |a: f64, b: f64| assert!(ulps(a, b, b) <= ULPS_VALUE, "{a} {b}");
    close(of_rows(kl_rows, &p, &q, 3).0[0], information::kl_divergence(&dp, &dq).unwrap());
    close(of_rows(js_rows, &p, &q, 3).0[0], information::js_divergence(&dp, &dq).unwrap());
    let cross = of_rows(cross_entropy_rows, &p, &q, 3).0[0];
    close(cross, information::cross_entropy(&dp, &dq).unwrap());
    close(entropies_of_rows(&p, 3).0[0], information::entropy(&dp));
}

/// Nothing is lost to the number of classes.
#[test]
fn a_hundred_thousand_classes() {
    let v = 100_000;
    let even = vec![0.0; v];
    assert_eq!(entropies(&even, v).0[0], ln(v as f64));
    // Half of them twice as likely as the others.
    let uneven: Vec<f64> = (0..v).map(|i| if i % 2 == 0 { LN_2 } else { 0.0 }).collect();
    let half = 1e5 / 2.0;
    let total: f64 = 3.0 * half;
    let entropy = total.ln() - 2.0 / 3.0 * LN_2;
    near("entropy", entropies(&uneven, v).0[0], entropy, entropy, 4.0);
    // The mean of ln(p/q), which is ln(3/4) for one half and ln(3/2) for the other.
    let kl = 0.5 * 0.125_f64.ln_1p();
    near("kl", of_logits(kl_from_logits, &even, &uneven, v).0[0], kl, kl, 8.0);
}

fn logits(v: usize, spread: f64) -> impl Strategy<Value = Vec<f64>> {
    let special = prop_oneof![
        20 => -spread..spread,
        1 => Just(f64::NEG_INFINITY),
        1 => Just(0.0),
    ];
    proptest::collection::vec(special, v)
        .prop_filter("a softmax", |x| x.iter().any(|x| x.is_finite()))
}

fn distribution(v: usize) -> impl Strategy<Value = Vec<f64>> {
    let weight = prop_oneof![3 => 0.0..1.0_f64, 1 => Just(0.0), 1 => 0.0..1e-12_f64];
    proptest::collection::vec(weight, v).prop_filter_map("a sum", |x| {
        let sum: f64 = x.iter().sum();
        (sum > 1e-3).then(|| x.iter().map(|x| x / sum).collect())
    })
}

/// Distributions over three classes away from the edge, and from ln 3.
fn inside() -> impl Strategy<Value = Vec<f64>> {
    (0.1..0.4_f64, 0.1..0.15_f64).prop_map(|(a, b)| vec![a, b, 1.0 - a - b])
}

/// The derivative at 0, to some `h⁴`.
fn slope(f: impl Fn(f64) -> f64) -> f64 {
    let h = 1e-3;
    (f(-2.0 * h) - 8.0 * f(-h) + 8.0 * f(h) - f(2.0 * h)) / (12.0 * h)
}

/// One number of a row moved.
fn moved(x: &[f64], i: usize, by: f64) -> Vec<f64> {
    let mut x = x.to_vec();
    x[i] += by;
    x
}

proptest! {
    #[test]
    fn divergences_of_probabilities(p in distribution(6), q in distribution(6)) {
        let kl = of_rows(kl_rows, &p, &q, 6).0[0];
        prop_assert!(kl >= 0.0);
        prop_assert!((kl == 0.0) == (p == q));
        let js = of_rows(js_rows, &p, &q, 6).0[0];
        prop_assert!((0.0..=LN_2).contains(&js));
        prop_assert_eq!(js.to_bits(), of_rows(js_rows, &q, &p, 6).0[0].to_bits());
        prop_assert_eq!(of_rows(kl_rows, &p, &p, 6).0[0], 0.0);
        let cross = of_rows(cross_entropy_rows, &p, &q, 6).0[0];
        let entropy = entropies_of_rows(&p, 6).0;
        prop_assert!((0.0..=ln(6.0)).contains(&entropy[0]) && cross >= 0.0);
        // Rows sum to 1 within rounding only, and by as much the identity is off.
        prop_assert!(cross == kl || (cross - entropy[0] - kl).abs() <= 1e-14 * cross + 1e-15);
    }

    #[test]
    fn divergences_of_logits(a in logits(5, 40.0), b in logits(5, 40.0), c in -1e3..1e3_f64) {
        let (kl, da, db, _) = of_logits(kl_from_logits, &a, &b, 5);
        prop_assert!(kl[0] >= 0.0);
        prop_assert_eq!(of_logits(kl_from_logits, &a, &a, 5).0[0], 0.0);
        let (js, ja, jb, _) = of_logits(js_from_logits, &a, &b, 5);
        prop_assert!((0.0..=LN_2).contains(&js[0]));
        let (swapped, ka, kb, _) = of_logits(js_from_logits, &b, &a, 5);
        prop_assert_eq!((js[0].to_bits(), &ja, &jb), (swapped[0].to_bits(), &kb, &ka));
        let (entropy, de, _) = entropies(&a, 5);
        prop_assert!((0.0..=ln(5.0)).contains(&entropy[0]));
        // A softmax does not change with a common offset: gradients sum to 0.
        for slopes in [&db, &ja, &jb, &de] {
            prop_assert!(slopes.iter().sum::<f64>().abs() < 1e-13, "{slopes:?}");
        }
        prop_assert!(kl[0] == f64::INFINITY || da.iter().sum::<f64>().abs() < 1e-13);
        // An offset that rounds the logits changes little.
        let moved: Vec<f64> = b.iter().map(|x| x + c).collect();
        let again = of_logits(kl_from_logits, &a, &moved, 5).0[0];
        prop_assert!(again == kl[0] || (again - kl[0]).abs() < 1e-11);
    }

    /// Nearly equal rows: a divergence is half the variance of the differences.
    #[test]
    fn nearly_equal_rows(a in proptest::collection::vec(-3.0..3.0_f64, 4), by in -40..-20_i32, raw in proptest::collection::vec(-8..=8_i32, 4)) {
        let step = 2_f64.powi(by);
        let b: Vec<f64> = a.iter().zip(&raw).map(|(a, r)| a + step * f64::from(*r)).collect();
        let p = information::softmax(&a);
        // From the first difference (exact, each of these), as a shift of the whole row is no change.
        let d: Vec<f64> = a.iter().zip(&b).map(|(x, y)| (y - x) - (b[0] - a[0])).collect();
        let mean: f64 = p.iter().zip(&d).map(|(p, d)| p * d).sum();
        let variance: f64 = p.iter().zip(&d).map(|(p, d)| p * (d - mean) * (d - mean)).sum();
        let kl = of_logits(kl_from_logits, &a, &b, 4).0[0];
        let js = of_logits(js_from_logits, &a, &b, 4).0[0];
        let bound = 20.0 * step + 1e-13;
        prop_assert!((kl - variance / 2.0).abs() <= bound * variance, "{kl:e} {variance:e}");
        prop_assert!((js - variance / 8.0).abs() <= bound * variance, "{js:e} {variance:e}");
    }

    #[test]
    fn gradients_in_probabilities_are_slopes(p in inside(), q in inside(), i in 0..3_usize) {
        // Of one number alone: the row stays near enough to a sum of 1.
        for f in [cross_entropy_rows as OfPair<f64, f64>, kl_rows, js_rows] {
            let by_p = slope(|d| of_rows(f, &moved(&p, i, d), &q, 3).0[0]);
            let by_q = slope(|d| of_rows(f, &p, &moved(&q, i, d), 3).0[0]);
            let (dp, dq) = (slopes_of_first(f, &p, &q, 3, 1.0), of_rows(f, &p, &q, 3).1);
            prop_assert!((dp[i] - by_p).abs() < 1e-6, "{dp:?} {by_p}");
            prop_assert!((dq[i] - by_q).abs() < 1e-6, "{dq:?} {by_q}");
        }
        let by_p = slope(|d| entropies_of_rows(&moved(&p, i, d), 3).0[0]);
        prop_assert!((entropies_of_rows(&p, 3).1[i] - by_p).abs() < 1e-6);
    }

    #[test]
    fn gradients_are_slopes(a in proptest::collection::vec(-6.0..6.0_f64, 3), b in proptest::collection::vec(-6.0..6.0_f64, 3), i in 0..3_usize) {
        for f in [cross_entropy_from_logits as OfPair<f64, f64>, kl_from_logits, js_from_logits] {
            let (_, da, db, _) = of_logits(f, &a, &b, 3);
            let by_a = slope(|d| of_logits(f, &moved(&a, i, d), &b, 3).0[0]);
            let by_b = slope(|d| of_logits(f, &a, &moved(&b, i, d), 3).0[0]);
            prop_assert!((da[i] - by_a).abs() < 1e-9 && (db[i] - by_b).abs() < 1e-9);
        }
        let by_a = slope(|d| entropies(&moved(&a, i, d), 3).0[0]);
        prop_assert!((entropies(&a, 3).1[i] - by_a).abs() < 1e-9);
    }
}

/// So that no key of the golden file is left unread by a mistake in its name.
#[test]
fn the_golden_file_has_what_is_read() {
    let golden = golden_file("row_losses.json");
    for case in golden["logits"].as_array().unwrap() {
        for kind in ["entropy", "cross", "kl", "js"] {
            assert!(matches!(&case[kind], Value::Array(list) if list.len() >= 2));
        }
    }
}
