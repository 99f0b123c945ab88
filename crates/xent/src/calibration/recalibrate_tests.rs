use super::{
    Calibrator, Fit, Method, Predictions, cross_fitted, decompose, fit, log_odds,
    log_probabilities, mean_loss,
};
use crate::calibration::testing::Random;
use crate::view::View;

const ALL: [Method; 5] =
    [Method::Temperature, Method::Vector, Method::Platt, Method::Beta, Method::Isotonic];

/// Logits whose truth has another temperature and offsets.
fn table(seed: u64, n: usize, k: usize, truth: f64) -> (Vec<f64>, Vec<u32>) {
    let mut random = Random(seed);
    let (mut x, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let row: Vec<f64> = (0..k).map(|_| (random.next() + random.next() - 1.0) * 6.0).collect();
        let e: Vec<f64> =
            row.iter().enumerate().map(|(c, x)| (truth * x + 0.3 * c as f64).exp()).collect();
        let mut u = random.next() * e.iter().sum::<f64>();
        let mut label = 0;
        while label + 1 < k && u >= e[label] {
            u -= e[label];
            label += 1;
        }
        x.extend(row);
        labels.push(label as u32);
    }
    (x, labels)
}

fn binary(seed: u64, n: usize) -> (Vec<f64>, Vec<u32>) {
    let (x, labels) = table(seed, n, 2, 0.4);
    (x.chunks(2).map(|x| x[1] - x[0]).collect(), labels)
}

#[test]
fn no_fit_raises_the_loss_of_its_rows() {
    for seed in 0..12 {
        let (x, labels) = binary(seed, [3, 10, 200][seed as usize % 3]);
        let weights: Vec<f64> = (0..x.len()).map(|i| f64::from((i % 4) as u8)).collect();
        for method in ALL {
            for weights in [None, Some(&weights[..])] {
                let odds = Predictions::<f64>::LogOdds(&x);
                let found = fit(method, odds, &labels, weights).unwrap();
                assert!(found.after <= found.before, "{method:?} {found:?}");
                let again = mean_loss(&found.calibrator, odds, &labels, weights).unwrap();
                assert_eq!(again, found.after);
            }
        }
        let (x, labels) = table(seed, 100, 4, [0.3, 1.0, 2.5][seed as usize % 3]);
        for method in [Method::Temperature, Method::Vector, Method::Isotonic] {
            let logits = Predictions::Logits(View::rows_of(&x, 4).unwrap());
            let found = fit(method, logits, &labels, None).unwrap();
            assert!(found.after <= found.before, "{method:?} {found:?}");
        }
    }
}

#[test]
fn calibrated_rows_are_left_alone() {
    // Frequencies are exactly what was said.
    let x: Vec<f64> = [0.0, 0.0, 3.0_f64.ln(), 3.0_f64.ln(), 3.0_f64.ln(), 3.0_f64.ln()].to_vec();
    let labels = [0, 1, 1, 1, 1, 0];
    for method in ALL {
        let found = fit(method, Predictions::<f64>::LogOdds(&x), &labels, None).unwrap();
        assert!(found.before - found.after <= 2e-16, "{method:?} {found:?}");
    }
}

/// The derivative of the loss by each parameter, by central differences, is 0.
fn is_stationary(
    found: &Fit,
    predictions: Predictions<'_, f64>,
    labels: &[u32],
    changed: impl Fn(usize, f64) -> Option<Calibrator>,
) {
    let step = 1e-4;
    for parameter in 0.. {
        let Some(up) = changed(parameter, step) else { break };
        let down = changed(parameter, -step).unwrap();
        let [up, down] = [up, down].map(|c| mean_loss(&c, predictions, labels, None).unwrap());
        let slope = (up - down) / (2.0 * step);
        assert!(slope.abs() < 2e-7, "{found:?}: {slope:e} at {parameter}");
        assert!(up >= found.after && down >= found.after);
    }
}

#[test]
fn fits_are_stationary_points() {
    let (x, labels) = table(3, 2000, 3, 0.5);
    let logits = Predictions::Logits(View::rows_of(&x, 3).unwrap());
    let found = fit(Method::Temperature, logits, &labels, None).unwrap();
    let Calibrator::Temperature { temperature: t } = found.calibrator else { panic!() };
    is_stationary(&found, logits, &labels, |i, d| {
        (i == 0).then_some(Calibrator::Temperature { temperature: t + d })
    });
    let found = fit(Method::Vector, logits, &labels, None).unwrap();
    let Calibrator::Vector { scale, bias } = found.calibrator.clone() else { panic!() };
    assert!(scale.iter().all(|a| (a - 0.5).abs() < 0.1), "{scale:?}");
    is_stationary(&found, logits, &labels, |i, d| {
        let (mut scale, mut bias) = (scale.clone(), bias.clone());
        if i < 3 {
            scale[i] += d;
        } else {
            *bias.get_mut(i - 3)? += d;
        }
        Some(Calibrator::Vector { scale, bias })
    });
    let (x, labels) = binary(4, 2000);
    let odds = Predictions::LogOdds(&x);
    let found = fit(Method::Platt, odds, &labels, None).unwrap();
    let Calibrator::Platt { slope, intercept } = found.calibrator else { panic!() };
    is_stationary(&found, odds, &labels, |i, d| match i {
        0 => Some(Calibrator::Platt { slope: slope + d, intercept }),
        1 => Some(Calibrator::Platt { slope, intercept: intercept + d }),
        _ => None,
    });
    let found = fit(Method::Beta, odds, &labels, None).unwrap();
    let Calibrator::Beta { a, b, c } = found.calibrator else { panic!() };
    is_stationary(&found, odds, &labels, |i, d| match i {
        0 => Some(Calibrator::Beta { a: a + d, b, c }),
        1 => Some(Calibrator::Beta { a, b: b + d, c }),
        2 => Some(Calibrator::Beta { a, b, c: c + d }),
        _ => None,
    });
}

#[test]
fn f32_and_any_layout_find_the_same_temperature() {
    for k in [2, 5, 16, 33] {
        let (x, labels) = table(7, 500, k, 0.6);
        let narrow: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        let exact: Vec<f64> = narrow.iter().map(|&x| f64::from(x)).collect();
        let mut columns = vec![0.0_f32; narrow.len()];
        for row in 0..500 {
            for c in 0..k {
                columns[c * 500 + row] = narrow[row * k + c];
            }
        }
        let of = |found: Fit| match found.calibrator {
            Calibrator::Temperature { temperature } => temperature,
            other => panic!("{other:?}"),
        };
        let wide = Predictions::Logits(View::rows_of(&exact, k).unwrap());
        let wide = of(fit(Method::Temperature, wide, &labels, None).unwrap());
        let rows = Predictions::Logits(View::rows_of(&narrow, k).unwrap());
        let rows = of(fit(Method::Temperature, rows, &labels, None).unwrap());
        let columns = Predictions::Logits(View::columns_of(&columns, 500).unwrap());
        let columns = of(fit(Method::Temperature, columns, &labels, None).unwrap());
        assert_eq!(rows, columns);
        assert!((rows / wide - 1.0).abs() < 1e-7, "{k}: {rows} {wide}");
        // The order of rows is nothing.
        let mut order: Vec<usize> = (0..500).collect();
        Random(1).shuffle(&mut order);
        let x: Vec<f64> = order.iter().flat_map(|&i| exact[i * k..(i + 1) * k].to_vec()).collect();
        let shuffled: Vec<u32> = order.iter().map(|&i| labels[i]).collect();
        let again = Predictions::Logits(View::rows_of(&x, k).unwrap());
        assert_eq!(of(fit(Method::Temperature, again, &shuffled, None).unwrap()), wide);
    }
}

#[test]
fn whole_weights_are_repeated_rows() {
    let (x, labels) = binary(5, 200);
    let weights: Vec<f64> = (0..200).map(|i| f64::from((i % 3) as u8)).collect();
    let rows: Vec<usize> =
        (0..200).flat_map(|i| std::iter::repeat_n(i, weights[i] as usize)).collect();
    let repeated: Vec<f64> = rows.iter().map(|&i| x[i]).collect();
    let their_labels: Vec<u32> = rows.iter().map(|&i| labels[i]).collect();
    for method in ALL {
        let a = fit(method, Predictions::<f64>::LogOdds(&x), &labels, Some(&weights)).unwrap();
        let b = fit(method, Predictions::<f64>::LogOdds(&repeated), &their_labels, None).unwrap();
        assert!((a.after - b.after).abs() <= 1e-14, "{method:?}");
    }
}

#[test]
fn odd_rows_do_not_break_a_fit() {
    // Zero and one, right and wrong; separable; all of one class.
    let p = [0.0, 1.0, 0.0, 1.0, 0.5, 0.25];
    let x = log_odds(&p).unwrap();
    assert!(x.iter().all(|x| x.is_finite()));
    let infinite: Vec<f64> = p.iter().map(|p: &f64| (p / (1.0 - p)).ln()).collect();
    for labels in [[0, 1, 1, 0, 1, 0], [0, 1, 0, 1, 1, 0], [1; 6], [0; 6]] {
        for method in ALL {
            for x in [&x, &infinite] {
                let found = fit(method, Predictions::<f64>::LogOdds(x), &labels, None).unwrap();
                assert!(found.after <= found.before && found.after >= 0.0, "{method:?} {found:?}");
                let p = found.calibrator.apply(Predictions::<f64>::LogOdds(x)).unwrap();
                assert!(p.iter().all(|p| (0.0..=1.0).contains(p)), "{method:?} {p:?}");
            }
        }
    }
    // A hopeless model: the temperature goes to its bound and no further.
    let x = [1.0, -1.0, 1.0, -1.0];
    let found = fit(Method::Temperature, Predictions::<f64>::LogOdds(&x), &[0, 1, 0, 1], None);
    assert!((found.unwrap().after - std::f64::consts::LN_2).abs() < 1e-5);
    let x = log_probabilities(&[0.0, 1.0, 0.5, 0.5, 0.2, 0.8], 2).unwrap();
    let view = Predictions::Logits(View::rows_of(&x, 2).unwrap());
    for method in ALL {
        let found = fit(method, view, &[0, 0, 1], None).unwrap();
        assert!(found.after.is_finite() && found.after <= found.before);
    }
    // -inf that never happens.
    let x = [f64::NEG_INFINITY, 1.0, 0.0, f64::NEG_INFINITY, 0.0, 2.0, 0.0, -1.0, 1.0];
    let view = Predictions::Logits(View::rows_of(&x, 3).unwrap());
    for method in [Method::Temperature, Method::Vector, Method::Isotonic] {
        let found = fit(method, view, &[1, 2, 0], None).unwrap();
        assert!(found.after <= found.before, "{method:?}");
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let x = [0.5, 1.0];
    let odds = Predictions::<f64>::LogOdds(&x);
    assert!(fit(Method::Platt, odds, &[0], None).is_err());
    assert!(fit(Method::Platt, odds, &[0, 2], None).is_err());
    assert!(fit(Method::Platt, odds, &[0, 1], Some(&[0.0, 0.0])).is_err());
    assert!(fit(Method::Platt, Predictions::<f64>::LogOdds(&[f64::NAN]), &[0], None).is_err());
    let x = [0.0, 1.0, 2.0];
    let three = Predictions::Logits(View::rows_of(&x, 3).unwrap());
    let error = fit(Method::Beta, three, &[0], None).unwrap_err();
    assert_eq!(error.to_string(), "number of classes is 3, not 2, as this method needs");
    let two = Calibrator::Platt { slope: 1.0, intercept: 0.0 };
    assert!(two.apply(three).is_err());
    assert!(log_odds(&[1.5]).is_err());
    assert!(log_probabilities(&[f64::NAN], 1).is_err());
    let x = [f64::NAN, 1.0];
    let bad = Predictions::Logits(View::rows_of(&x, 2).unwrap());
    assert!(fit(Method::Temperature, bad, &[0], None).is_err());
    assert!(cross_fitted(Method::Platt, odds, &[0, 1], None, 1).is_err());
}

#[test]
fn applied_probabilities_sum_to_one_and_cost_what_was_said() {
    let (x, labels) = table(8, 300, 4, 0.5);
    let logits = Predictions::Logits(View::rows_of(&x, 4).unwrap());
    for method in [Method::Temperature, Method::Vector, Method::Isotonic] {
        let found = fit(method, logits, &labels, None).unwrap();
        let p = found.calibrator.apply(logits).unwrap();
        assert!(p.chunks(4).all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-14));
        let loss: f64 =
            p.chunks(4).zip(&labels).map(|(row, &y)| -row[y as usize].ln()).sum::<f64>() / 300.0;
        assert!((loss - found.after).abs() < 1e-13, "{method:?}");
    }
}

#[test]
fn cross_fitting_costs_a_little() {
    let (x, labels) = table(9, 600, 3, 0.5);
    let logits = Predictions::Logits(View::rows_of(&x, 3).unwrap());
    for method in [Method::Temperature, Method::Vector, Method::Isotonic] {
        let found = fit(method, logits, &labels, None).unwrap();
        let p = cross_fitted(method, logits, &labels, None, 5).unwrap();
        let loss: f64 =
            p.chunks(3).zip(&labels).map(|(row, &y)| -row[y as usize].ln()).sum::<f64>() / 600.0;
        assert!(loss > found.after && loss < found.before, "{method:?} {loss} {found:?}");
    }
}

#[test]
fn three_parts_of_many_classes() {
    for (seed, truth) in [(1, 0.5), (2, 1.0), (3, 0.0)] {
        let (x, labels) = table(seed, 500, 4, truth);
        let parts = decompose(View::rows_of(&x, 4).unwrap(), &labels, None).unwrap();
        assert!(parts.miscalibration >= 0.0 && parts.discrimination >= 0.0, "{parts:?}");
        let sum = parts.uncertainty - parts.discrimination + parts.miscalibration;
        assert!((sum - parts.score).abs() < 1e-15);
        if truth == 0.0 {
            assert!(parts.discrimination < 0.03, "{parts:?}");
        }
    }
}

/// The mean loss at a temperature, by the textbook's formula.
fn plain_loss(x: &[f64], k: usize, labels: &[u32], temperature: f64) -> f64 {
    let loss = |(row, &label): (&[f64], &u32)| {
        let z: Vec<f64> = row.iter().map(|x| x / temperature).collect();
        crate::information::log_sum_exp(&z) - z[label as usize]
    };
    x.chunks(k).zip(labels).map(loss).sum::<f64>() / labels.len() as f64
}

#[test]
fn no_temperature_near_or_far_is_better() {
    let mut random = Random(99);
    for seed in 0..60 {
        let k = 2 + seed as usize % 5;
        let (mut x, labels) = table(seed, 5 + 7 * (seed as usize % 9), k, 0.7);
        // From logits that say nothing to such as are far too sure, some rows much more than others.
        let size = 10_f64.powf(random.next() * 6.0 - 3.0);
        let wild = seed % 3 == 0;
        for row in x.chunks_mut(k) {
            let factor = if wild { size * 10_f64.powf(random.next() * 3.0) } else { size };
            row.iter_mut().for_each(|x| *x *= factor);
        }
        let logits = Predictions::Logits(View::rows_of(&x, k).unwrap());
        let found = fit(Method::Temperature, logits, &labels, None).unwrap();
        let least = |t: f64| found.after <= plain_loss(&x, k, &labels, t) * (1.0 + 1e-12) + 1e-15;
        let t = match found.calibrator {
            Calibrator::Temperature { temperature } => temperature,
            _ => 1.0,
        };
        for step in -40..=40 {
            let factor = 10_f64.powf(f64::from(step) / 8.0);
            let other = (t * factor).clamp(1.0 / 1_048_576.0, 1_048_576.0);
            assert!(least(other), "seed {seed}: {found:?}, {other} is better");
        }
        for near in [0.999, 0.9999, 1.0001, 1.001] {
            assert!(least((t * near).min(1_048_576.0)), "seed {seed}: {found:?}, {near}");
        }
    }
}

/// What was said to be impossible happens: the best temperature is the largest that is looked at.
#[test]
fn a_minimum_beyond_the_bounds_ends_at_the_bound() {
    let x = [0.0, -36.7, 0.0, 0.0, 0.0, 0.0, 0.75_f64.ln(), 0.25_f64.ln()];
    let logits = Predictions::Logits(View::rows_of(&x, 2).unwrap());
    let found = fit(Method::Temperature, logits, &[1, 0, 1, 0], None).unwrap();
    let Calibrator::Temperature { temperature } = found.calibrator else { panic!("{found:?}") };
    assert!(temperature > 1_000_000.0, "{temperature}");
}

/// Relative, of losses from f32 logits.
const LOSS_F32: f64 = 2e-7;

#[test]
fn losses_at_a_temperature_keep_their_digits() {
    let loss = |x: &[f64], k: usize, labels: &[u32], temperature: f64| {
        let view = Predictions::Logits(View::rows_of(x, k).unwrap());
        mean_loss(&Calibrator::Temperature { temperature }, view, labels, None).unwrap()
    };
    // ln(1 + e^-40), 50 digits.
    let small = loss(&[80.0, 0.0], 2, &[0], 2.0);
    assert!((small / 4.248354255291589e-18 - 1.0).abs() < 4.0 * f64::EPSILON, "{small:e}");
    // Classes that share the largest logit.
    assert!((loss(&[3.0, 3.0, 3.0], 3, &[1], 2.0) / 3.0_f64.ln() - 1.0).abs() < 1e-15);
    for (k, seed) in [(2, 1), (3, 2), (33, 3), (64, 4), (700, 5)] {
        let (x, labels) = table(seed, 40, k, 0.3);
        for temperature in [0.1, 0.7, 3.0, 1000.0] {
            let (got, expected) =
                (loss(&x, k, &labels, temperature), plain_loss(&x, k, &labels, temperature));
            assert!((got / expected - 1.0).abs() < 1e-13, "{k} {temperature}: {got} {expected}");
            // The same numbers in f32, in rows and in columns.
            let narrow: Vec<f32> = x.iter().map(|&x| x as f32).collect();
            let wide: Vec<f64> = narrow.iter().map(|&x| f64::from(x)).collect();
            let columns: Vec<f32> =
                (0..k).flat_map(|c| narrow.iter().skip(c).step_by(k).copied()).collect();
            let n = labels.len();
            let calibrator = Calibrator::Temperature { temperature };
            let of =
                |view| mean_loss(&calibrator, Predictions::Logits(view), &labels, None).unwrap();
            let rows = of(View::rows_of(&narrow, k).unwrap());
            assert_eq!(rows, of(View::strided(&columns, n, k, 1, n).unwrap()));
            let expected = loss(&wide, k, &labels, temperature);
            let near = (rows / expected - 1.0).abs() < LOSS_F32;
            assert!(near, "{k} {temperature}: {rows} {expected}");
        }
    }
}

/// Copies of a row are in its fold: weights are repeated rows, and the order of rows is nothing.
#[test]
fn copies_stay_in_one_fold() {
    let (x, labels) = table(9, 200, 2, 0.5);
    let weights: Vec<f64> = (0..200).map(|i| f64::from(i % 4)).collect();
    let (mut copies, mut classes, mut from) = (Vec::new(), Vec::new(), Vec::new());
    for i in (0..200).rev() {
        for _ in 0..weights[i] as usize {
            copies.extend_from_slice(&x[2 * i..2 * i + 2]);
            classes.push(labels[i]);
            from.push(i);
        }
    }
    let weighted = Predictions::Logits(View::rows_of(&x, 2).unwrap());
    let plain = Predictions::Logits(View::rows_of(&copies, 2).unwrap());
    for method in [Method::Temperature, Method::Platt, Method::Isotonic] {
        let p = cross_fitted(method, weighted, &labels, Some(&weights), 5).unwrap();
        let q = cross_fitted(method, plain, &classes, None, 5).unwrap();
        for (row, &i) in q.chunks(2).zip(&from) {
            let of = &p[2 * i..2 * i + 2];
            assert!((row[0] - of[0]).abs() < 1e-9, "{method:?} {row:?} {of:?}");
        }
    }
}
