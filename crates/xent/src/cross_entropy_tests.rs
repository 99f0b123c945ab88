use super::*;

/// A generator that any language can repeat.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn rows<T: Element>(&mut self, n: usize, scale: f64) -> Vec<T> {
        // Roughly normal: a sum of four.
        let x = |r: &mut Self| (0..4).map(|_| r.next() - 0.5).sum::<f64>() * 1.7 * scale;
        (0..n).map(|_| T::from_f64(x(self))).collect()
    }

    fn labels(&mut self, n: usize, v: usize) -> Vec<u32> {
        (0..n).map(|_| (self.next() * v as f64) as u32).collect()
    }
}

/// The loss of a row and its gradient in f64 with compensated sums, another way than the kernels': the platform's
/// functions, a maximum subtracted.
fn reference(x: &[f64], y: usize) -> (f64, Vec<f64>) {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut rest, mut low) = (0.0, 0.0);
    let mut terms = Vec::new();
    for &x in x {
        terms.push(libm::exp(x - max));
    }
    for (c, &e) in terms.iter().enumerate() {
        if c != y {
            let sum: f64 = rest + e;
            low += if rest >= e { (rest - sum) + e } else { (e - sum) + rest };
            rest = sum;
        }
    }
    rest += low;
    let total = rest + terms[y];
    let gradient =
        (0..x.len()).map(|c| if c == y { -rest / total } else { terms[c] / total }).collect();
    let loss =
        if x[y] == max { libm::log1p(rest) } else { libm::log(rest + terms[y]) + (max - x[y]) };
    (loss, gradient)
}

fn ulp32(x: f64) -> f64 {
    let x = x.abs().max(f64::from(f32::MIN_POSITIVE));
    f64::from_bits((x.to_bits() & 0x7ff0_0000_0000_0000) - (23 << 52))
}

struct Outcome {
    losses: Vec<f64>,
    ranks: Vec<u32>,
    gradient: Vec<f64>,
}

fn all<T: Element>(x: View<'_, T>, target: Target<'_, T>, options: &Options<'_>) -> Outcome {
    let (n, v) = (x.n_rows(), x.n_cols());
    let mut losses = vec![0.0; n];
    let mut ranks = vec![0; n];
    let mut gradient = vec![T::default(); n * v];
    let is_classes = matches!(target, Target::Classes(_));
    cross_entropy(
        x,
        target,
        options,
        Wanted {
            losses: Some(&mut losses),
            ranks: is_classes.then_some(&mut ranks[..]),
            gradient: Some(Gradient {
                into: ViewMut::rows_of(&mut gradient, v).unwrap(),
                scale: Scale::All(1.0),
            }),
            log_probabilities: None,
        },
    )
    .unwrap();
    Outcome { losses, ranks, gradient: gradient.iter().map(|g| g.to_f64()).collect() }
}

const WIDTHS: [usize; 15] = [2, 3, 4, 5, 9, 10, 16, 17, 32, 33, 100, 511, 512, 513, 1000];

/// Losses of f32 rows at every width and scale, with large margins, in ulp of f32.
#[test]
fn losses_and_gradients_of_f32_rows() {
    let mut worst = (0.0_f64, 0.0_f64);
    let mut random = Random(1);
    for v in WIDTHS {
        for scale in [0.01, 1.0, 3.0, 10.0, 30.0, 1e4] {
            for margin in [0.0, 5.0, 20.0, 40.0, 80.0, 200.0] {
                let n = if v > 100 { 20 } else { 200 };
                let mut x: Vec<f32> = random.rows(n * v, scale);
                let labels = random.labels(n, v);
                for (row, &y) in x.chunks_mut(v).zip(&labels) {
                    if margin > 0.0 {
                        row[y as usize] =
                            row.iter().copied().fold(f32::MIN, f32::max) + margin as f32;
                    }
                }
                let view = View::rows_of(&x, v).unwrap();
                let got = all(view, Target::Classes(&labels), &Options::default());
                for (r, row) in x.chunks(v).enumerate() {
                    let row: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
                    let y = labels[r] as usize;
                    let (loss, gradient) = reference(&row, y);
                    let error = (got.losses[r] - loss).abs() / ulp32(loss);
                    assert!(error <= 2.5, "{v} {scale} {margin}: {} {loss} {error}", got.losses[r]);
                    worst.0 = worst.0.max(error);
                    let ahead = row
                        .iter()
                        .enumerate()
                        .filter(|&(c, &x)| x > row[y] || x == row[y] && c < y);
                    assert_eq!(got.ranks[r] as usize, ahead.count());
                    for (c, &g) in gradient.iter().enumerate() {
                        let got = got.gradient[r * v + c];
                        let error = (got - g).abs() / ulp32(g);
                        assert!(error <= 4.0, "{v} {scale} {margin} {c}: {got:e} {g:e}");
                        worst.1 = worst.1.max(error);
                    }
                }
            }
        }
    }
    println!("worst: loss {} ulp, gradient {} ulp", worst.0, worst.1);
}

#[test]
fn losses_and_gradients_of_f64_rows() {
    let mut random = Random(2);
    for v in WIDTHS {
        for scale in [0.01, 3.0, 30.0, 1e4, 1e6] {
            for margin in [0.0, 40.0, 300.0, 700.0] {
                let n = if v > 100 { 2 } else { 70 };
                let mut x: Vec<f64> = random.rows(n * v, scale);
                let labels = random.labels(n, v);
                for (row, &y) in x.chunks_mut(v).zip(&labels) {
                    if margin > 0.0 {
                        row[y as usize] = row.iter().copied().fold(f64::MIN, f64::max) + margin;
                    }
                }
                let view = View::rows_of(&x, v).unwrap();
                let got = all(view, Target::Classes(&labels), &Options::default());
                for (r, row) in x.chunks(v).enumerate() {
                    let (loss, gradient) = reference(row, labels[r] as usize);
                    // The reference loses x - max; the golden test has the last digits.
                    let largest = row.iter().fold(1.0_f64, |m, x| m.max(x.abs()));
                    let tolerance = 4e-16 * largest.min(800.0);
                    let error = (got.losses[r] - loss).abs();
                    assert!(
                        error <= tolerance * loss + 1e-323,
                        "{v} {scale} {margin}: {} {loss}",
                        got.losses[r]
                    );
                    for (c, &g) in gradient.iter().enumerate() {
                        let got = got.gradient[r * v + c];
                        let error = (got - g).abs();
                        assert!(
                            error <= 3.0 * tolerance * g.abs() + 1e-300,
                            "{v} {scale} {margin} {c}: {got:e} {g:e}"
                        );
                    }
                }
            }
        }
    }
}

/// A plain second implementation of the general loss, in f64.
fn plain(x: &[f64], t: &[f64], o: &Options<'_>) -> (f64, Vec<f64>) {
    let x: Vec<f64> = x.iter().map(|x| x / o.temperature).collect();
    let v = x.len() as f64;
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let lse = max + libm::log(x.iter().map(|x| libm::exp(x - max)).sum::<f64>());
    let w = |c: usize| o.class_weights.map_or(1.0, |w| w[c]);
    let q: Vec<f64> =
        t.iter().map(|t| (1.0 - o.label_smoothing) * t + o.label_smoothing / v).collect();
    let loss: f64 = (0..x.len()).map(|c| w(c) * q[c] * (lse - x[c])).sum();
    let total: f64 = (0..x.len()).map(|c| w(c) * q[c]).sum();
    let gradient = (0..x.len()).map(|c| {
        let p = libm::exp(x[c] - lse);
        (p * total - w(c) * q[c] + 2.0 * o.z_loss * lse * p) / o.temperature
    });
    (loss + o.z_loss * lse * lse, gradient.collect())
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + b.abs())
}

#[test]
fn every_option_and_every_target() {
    let mut random = Random(3);
    for v in [2, 3, 7, 33, 600] {
        let n = 5;
        let x: Vec<f64> = random.rows(n * v, 3.0);
        let weights: Vec<f64> = (0..v).map(|_| random.next() * 3.0).collect();
        let labels = random.labels(n, v);
        let second = random.labels(n, v);
        let share: Vec<f64> = (0..n).map(|_| random.next()).collect();
        let mut soft: Vec<f64> = (0..n * v).map(|_| random.next()).collect();
        for row in soft.chunks_mut(v) {
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|t| *t /= sum);
        }
        // The same distributions, without some classes, the rest in reverse order.
        let offsets: Vec<usize> = (0..=n).map(|i| i * v).collect();
        let sparse: Vec<u32> = (0..n).flat_map(|_| (0..v as u32).rev()).collect();
        let reversed: Vec<f64> = soft.chunks(v).flat_map(|r| r.iter().rev().copied()).collect();
        let dense = |kind: usize, r: usize| -> Vec<f64> {
            let mut t = vec![0.0; v];
            match kind {
                0 => t[labels[r] as usize] = 1.0,
                1 => {
                    t[labels[r] as usize] += share[r];
                    t[second[r] as usize] += 1.0 - share[r];
                }
                _ => t.copy_from_slice(&soft[r * v..(r + 1) * v]),
            }
            t
        };
        for kind in 0..4 {
            let target = match kind {
                0 => Target::Classes(&labels),
                1 => Target::TwoClasses { first: &labels, second: &second, share: &share },
                2 => Target::Distributions(View::rows_of(&soft, v).unwrap()),
                _ => {
                    Target::Sparse { offsets: &offsets, classes: &sparse, probabilities: &reversed }
                }
            };
            for (label_smoothing, z_loss, temperature, weighted) in [
                (0.0, 0.0, 1.0, false),
                (0.0, 0.0, 1.0, true),
                (0.1, 0.0, 1.0, false),
                (0.0, 1e-2, 1.0, false),
                (0.0, 0.0, 2.5, false),
                (0.2, 1e-3, 0.7, true),
            ] {
                let options = Options {
                    label_smoothing,
                    z_loss,
                    temperature,
                    class_weights: weighted.then_some(&weights[..]),
                    ..Options::default()
                };
                let got = all(View::rows_of(&x, v).unwrap(), target, &options);
                for r in 0..n {
                    let t = dense(kind, r);
                    let (loss, gradient) = plain(&x[r * v..(r + 1) * v], &t, &options);
                    assert!(
                        close(got.losses[r], loss, 1e-13),
                        "{v} {kind}: {} {loss}",
                        got.losses[r]
                    );
                    for (c, g) in gradient.iter().enumerate() {
                        let mine = got.gradient[r * v + c];
                        assert!(close(mine, *g, 1e-13), "{v} {kind} {options:?} {c}: {mine} {g}");
                    }
                }
            }
        }
    }
}

#[test]
fn weights_scales_and_ignored_rows() {
    let mut random = Random(4);
    for v in [3, 40] {
        let n = 7;
        let x: Vec<f32> = random.rows(n * v, 2.0);
        let labels = [0, 2, 9999, 1, 2, 9999, 1];
        let row_weights = [1.0, 0.5, 3.0, 0.0, 2.0, 1.0, 0.25];
        let class_weights: Vec<f64> = (0..v).map(|c| 0.5 + c as f64).collect();
        let scales = [1.0, 2.0, 3.0, 4.0, 0.0, 6.0, -7.0];
        let options = Options {
            row_weights: Some(&row_weights),
            class_weights: Some(&class_weights),
            ignore: Some(9999),
            top_k: &[1, 2],
            ..Options::default()
        };
        let view = View::rows_of(&x, v).unwrap();
        let valid: Vec<u32> = labels.iter().map(|&y| if y == 9999 { 0 } else { y }).collect();
        let bare = all(view, Target::Classes(&valid), &Options::default());
        let mut losses = [0.0; 7];
        let mut logs = [1.0; 7];
        let mut ranks = [0; 7];
        let mut gradient = vec![f32::NAN; n * v];
        let total = cross_entropy(
            view,
            Target::Classes(&labels),
            &options,
            Wanted {
                losses: Some(&mut losses),
                log_probabilities: Some(&mut logs),
                ranks: Some(&mut ranks),
                gradient: Some(Gradient {
                    into: ViewMut::rows_of(&mut gradient, v).unwrap(),
                    scale: Scale::Rows(&scales),
                }),
            },
        )
        .unwrap();
        let (mut sum, mut weight) = (0.0, 0.0);
        for r in 0..n {
            if labels[r] == 9999 {
                assert_eq!((losses[r], logs[r], ranks[r]), (0.0, 0.0, u32::MAX));
                assert!(gradient[r * v..(r + 1) * v].iter().all(|&g| g == 0.0));
                continue;
            }
            let w = class_weights[labels[r] as usize];
            assert_eq!(logs[r], -bare.losses[r]);
            assert_eq!(losses[r], w * bare.losses[r]);
            assert_eq!(ranks[r], bare.ranks[r]);
            sum += row_weights[r] * losses[r];
            weight += row_weights[r] * w;
            for c in 0..v {
                let expected = scales[r] * row_weights[r] * w * bare.gradient[r * v + c];
                let got = f64::from(gradient[r * v + c]);
                assert!((got - expected).abs() <= 3e-7 * expected.abs(), "{got} {expected}");
            }
        }
        // Row 3 has weight 0.
        assert_eq!((total.used, total.absent, total.ignored, total.undefined), (4, 1, 2, 0));
        assert!(close(total.mean().unwrap(), sum / weight, 1e-15));
        let hits = |k| (0..n).filter(|&r| r != 3 && ranks[r] < k).count() as u64;
        assert_eq!(total.top_k_hits, [hits(1), hits(2)]);
    }
}

/// Rows at the limits: what is right, of f32 and f64, of short and long rows.
#[test]
fn rows_at_the_limits() {
    fn check<T: Element>(pad: usize) {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let ln2 = std::f64::consts::LN_2;
        let big = 1e30;
        // Logits, the label, the loss, the gradient.
        let cases: Vec<([f64; 3], u32, f64, [f64; 3])> = vec![
            ([0.0, -inf, 0.0], 0, ln2, [-0.5, 0.0, 0.5]),
            ([-inf, 0.0, 0.0], 0, inf, [-1.0, 0.5, 0.5]),
            ([0.0, -inf, -inf], 0, 0.0, [0.0; 3]),
            ([-inf; 3], 1, nan, [nan; 3]),
            ([0.0, inf, 1.0], 1, 0.0, [0.0; 3]),
            ([0.0, inf, 1.0], 0, inf, [-1.0, 1.0, 0.0]),
            ([inf, inf, 1.0], 0, nan, [nan; 3]),
            ([0.0, nan, 1.0], 0, nan, [nan; 3]),
            ([nan, 0.0, 1.0], 0, nan, [nan; 3]),
            ([-inf, nan, -inf], 0, nan, [nan; 3]),
            ([-inf, inf, nan], 1, nan, [nan; 3]),
            ([1e8, 1e8, -inf], 0, ln2, [-0.5, 0.5, 0.0]),
            ([-1e8, -1e8, -inf], 1, ln2, [0.5, -0.5, 0.0]),
            ([big, -big, -inf], 0, 0.0, [0.0; 3]),
            ([big, -big, -inf], 1, 2.0 * big, [1.0, -1.0, 0.0]),
            ([-big, -big, -inf], 1, ln2, [0.5, -0.5, 0.0]),
            ([0.0, -0.0, -inf], 1, ln2, [0.5, -0.5, 0.0]),
            ([1000.0, -1000.0, -inf], 1, 2000.0, [1.0, -1.0, 0.0]),
            ([0.0, -1000.0, -inf], 0, 0.0, [0.0; 3]),
            ([5e-324, -5e-324, -inf], 0, ln2, [-0.5, 0.5, 0.0]),
        ];
        let v = 3 + pad;
        for (x, y, loss, gradient) in cases {
            let mut row: Vec<T> = x.iter().map(|&x| T::from_f64(x)).collect();
            row.resize(v, T::from_f64(-inf));
            let view = View::rows_of(&row, v).unwrap();
            let got = all(view, Target::Classes(&[y]), &Options::default());
            let same = |a: f64, b: f64| {
                a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 3e-7 * b.abs()
            };
            assert!(same(got.losses[0], loss), "{x:?} {y}: {}", got.losses[0]);
            assert!(!got.losses[0].is_sign_negative() || loss.is_nan(), "{x:?}: -0");
            for (c, &g) in gradient.iter().enumerate() {
                let mine = got.gradient[c];
                assert!(same(mine, g), "{x:?} {y} {c}: {mine} {g}");
            }
            assert!(got.gradient[3..].iter().all(|&g| g == 0.0 || loss.is_nan() && g.is_nan()));
            // The general path agrees, the target given as a distribution.
            let mut t = vec![T::default(); v];
            t[y as usize] = T::from_f64(1.0);
            let target = Target::Distributions(View::rows_of(&t, v).unwrap());
            let general = all(view, target, &Options::default());
            assert!(same(general.losses[0], loss), "{x:?} {y}: {}", general.losses[0]);
            for (c, &g) in gradient.iter().enumerate() {
                assert!(same(general.gradient[c], g), "{x:?} {y} {c}: {}", general.gradient[c]);
            }
            // And over the logits themselves.
            let mut own = row.clone();
            cross_entropy_in_place(
                ViewMut::rows_of(&mut own, v).unwrap(),
                Target::Classes(&[y]),
                &Options::default(),
                Scale::All(1.0),
                Wanted::default(),
            )
            .unwrap();
            for (own, g) in own.iter().zip(&got.gradient) {
                assert!(own.to_f64() == *g || own.to_f64().is_nan() && g.is_nan());
            }
        }
    }
    for pad in [0, 30, 900] {
        check::<f32>(pad);
        check::<f64>(pad);
    }
}

#[test]
fn one_class_costs_nothing() {
    let got = all(
        View::rows_of(&[5.0_f32, -7.0], 1).unwrap(),
        Target::Classes(&[0, 0]),
        &Options::default(),
    );
    assert_eq!((got.losses, got.gradient), (vec![0.0, 0.0], vec![0.0, 0.0]));
}

#[test]
fn smoothing_meets_minus_infinity() {
    let x = [0.0, f64::NEG_INFINITY];
    let view = View::rows_of(&x, 2).unwrap();
    let smooth = Options { label_smoothing: 0.1, ..Options::default() };
    assert_eq!(all(view, Target::Classes(&[0]), &smooth).losses, [f64::INFINITY]);
    let zero = [0.0, 1.0];
    let weights = Options { class_weights: Some(&zero), ..Options::default() };
    // The class of weight 0 has no loss, whatever it would cost.
    let swapped = [f64::NEG_INFINITY, 0.0];
    let view = View::rows_of(&swapped, 2).unwrap();
    let got = all(view, Target::Classes(&[0]), &weights);
    assert_eq!(got.losses, [0.0]);
    assert_eq!(got.gradient, [0.0, 0.0]);
}

/// The same numbers in any layout and kind, with the gradient anywhere: the same bits.
#[test]
fn layouts_and_kinds_do_not_change_bits() {
    fn check<T: Element>(v: usize) {
        let n = 37;
        let mut random = Random(5 + v as u64);
        let x: Vec<T> = random.rows(n * v, 4.0);
        let labels = random.labels(n, v);
        let target = Target::Classes(&labels);
        let expected = all(View::rows_of(&x, v).unwrap(), target, &Options::default());
        let columns: Vec<T> = (0..n * v).map(|i| x[i % n * v + i / n]).collect();
        let got = all(View::columns_of(&columns, n).unwrap(), target, &Options::default());
        assert_eq!((&got.losses, &got.gradient), (&expected.losses, &expected.gradient));
        assert_eq!(got.ranks, expected.ranks);
        let mut gaps = vec![T::from_f64(7.0); n * (2 * v + 3)];
        for i in 0..n * v {
            gaps[i / v * (2 * v + 3) + 2 * (i % v)] = x[i];
        }
        let view = View::strided(&gaps, n, v, 2 * v + 3, 2).unwrap();
        let got = all(view, target, &Options::default());
        assert_eq!((&got.losses, &got.gradient), (&expected.losses, &expected.gradient));
        // In place, row by row, over columns.
        let mut own = columns.clone();
        let mut losses = vec![0.0; n];
        cross_entropy_in_place(
            ViewMut::columns_of(&mut own, n).unwrap(),
            target,
            &Options::default(),
            Scale::All(1.0),
            Wanted { losses: Some(&mut losses), ..Wanted::default() },
        )
        .unwrap();
        assert_eq!(losses, expected.losses);
        for i in 0..n * v {
            assert_eq!(own[i % v * n + i / v].to_f64(), expected.gradient[i], "{v} {i}");
        }
        for r in 0..n {
            let one = all(
                View::rows_of(&x[r * v..(r + 1) * v], v).unwrap(),
                Target::Classes(&labels[r..=r]),
                &Options::default(),
            );
            assert_eq!(one.losses[0], expected.losses[r]);
            assert_eq!(one.gradient, expected.gradient[r * v..(r + 1) * v]);
        }
        if !T::WIDE {
            let single: Vec<f32> = x.iter().map(|x| x.to_f32()).collect();
            let got = all(
                View::rows_of(&single, v).unwrap(),
                Target::Classes(&labels),
                &Options::default(),
            );
            assert_eq!(got.losses, expected.losses);
        }
    }
    for v in [2, 3, 10, 31, 33, 700] {
        check::<f64>(v);
        check::<f32>(v);
        check::<half::f16>(v);
        check::<half::bf16>(v);
    }
}

#[test]
fn totals_say_why_there_is_no_mean() {
    let x = [0.0_f32, 1.0, f32::NAN, 0.0];
    let view = View::rows_of(&x, 2).unwrap();
    let run = |labels: &[u32], options: &Options<'_>| {
        cross_entropy(
            view.rows(0..labels.len()),
            Target::Classes(labels),
            options,
            Wanted::default(),
        )
    };
    let ignore = Options { ignore: Some(7), ..Options::default() };
    assert_eq!(run(&[], &ignore).unwrap().mean(), Err(NoMean::Empty));
    assert_eq!(run(&[7, 7], &ignore).unwrap().mean(), Err(NoMean::AllIgnored(2)));
    assert_eq!(run(&[0, 1], &ignore).unwrap().mean(), Err(NoMean::Undefined { count: 1, row: 1 }));
    let weights = Options { row_weights: Some(&[0.0]), ..Options::default() };
    assert_eq!(run(&[0], &weights).unwrap().mean(), Err(NoMean::ZeroWeight));
    let mut total = run(&[0], &ignore).unwrap();
    total.merge(&run(&[0, 1], &ignore).unwrap(), 1);
    assert_eq!((total.undefined, total.first_undefined), (1, Some(2)));
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let x = [0.0_f32; 6];
    let view = View::rows_of(&x, 3).unwrap();
    let refused = |target: Target<'_, f32>, options: &Options<'_>| {
        let mut losses = [-1.0; 2];
        let wanted = Wanted { losses: Some(&mut losses), ..Wanted::default() };
        let problem = cross_entropy(view, target, options, wanted).unwrap_err();
        assert_eq!(losses, [-1.0; 2]);
        problem.to_string()
    };
    let none = Options::default();
    assert_eq!(
        refused(Target::Classes(&[0, 3]), &none),
        "row 1: label 3 is out of range for 3 classes"
    );
    assert_eq!(
        refused(Target::Classes(&[u32::MAX, 3]), &Options { ignore: Some(3), ..none }),
        "row 0: label 4294967295 is out of range for 3 classes"
    );
    assert_eq!(refused(Target::Classes(&[0]), &none), "labels: 1 given, 2 wanted");
    let soft = [0.5_f32, 0.5, 0.0, 0.5, 0.6, f32::NAN];
    let soft = Target::Distributions(View::rows_of(&soft, 3).unwrap());
    assert_eq!(refused(soft, &none), "row 1, class 2: target NaN is not a probability");
    let soft = [0.5_f32, 0.5, 0.0, 0.5, 0.75, 0.0];
    let soft = Target::Distributions(View::rows_of(&soft, 3).unwrap());
    assert_eq!(refused(soft, &none), "row 1: the targets sum to 1.25, not 1");
    let weights = Options { class_weights: Some(&[1.0, -1.0, 0.0]), ..none };
    assert_eq!(
        refused(Target::Classes(&[0, 0]), &weights),
        "class weight 1 is -1: weights are finite and not negative"
    );
    let smooth = Options { label_smoothing: 1.5, ..none };
    assert_eq!(refused(Target::Classes(&[0, 0]), &smooth), "label smoothing is 1.5, not in [0, 1]");
    let sparse =
        Target::Sparse { offsets: &[0, 2, 1], classes: &[0, 1], probabilities: &[0.5, 0.5] };
    let offsets = "offsets must begin at 0, not fall, and end with the number of classes given";
    assert_eq!(refused(sparse, &none), format!("row 1: {offsets}"));
    // What lies before the first row would be dropped.
    let late = Target::Sparse {
        offsets: &[1, 2, 3],
        classes: &[0, 1, 2],
        probabilities: &[1.0, 1.0, 1.0],
    };
    assert_eq!(refused(late, &none), format!("row 0: {offsets}"));
    let empty = View::strided(&x, 2, 0, 0, 1).unwrap();
    let problem =
        cross_entropy(empty, Target::Classes(&[0, 0]), &none, Wanted::default()).unwrap_err();
    assert_eq!(problem, Problem::NoClasses);
}

/// A row of weight 0 left NaN in the mean and in the gradient, and counted as used and as a hit.
#[test]
fn a_row_of_weight_0_is_absent() {
    fn check<T: Element>(v: usize) {
        let (inf, nan) = (f64::NEG_INFINITY, f64::NAN);
        let rows = [[0.0, 1.0], [nan, 0.0], [0.0, inf], [inf, inf], [3.0, 0.0]];
        let mut x = vec![T::from_f64(inf); rows.len() * v];
        for (row, two) in x.chunks_mut(v).zip(rows) {
            (row[0], row[1]) = (T::from_f64(two[0]), T::from_f64(two[1]));
        }
        let labels = [1, 0, 1, 0, 0];
        let weights = [2.0, 0.0, 0.0, 0.0, 0.0];
        let soft: Vec<T> = labels
            .iter()
            .flat_map(|&y| (0..v).map(move |c| T::from_f64(f64::from(u8::from(c == y as usize)))))
            .collect();
        let soft = Target::Distributions(View::rows_of(&soft, v).unwrap());
        let view = View::rows_of(&x, v).unwrap();
        for (target, top_k) in [(Target::Classes(&labels), &[1][..]), (soft, &[])] {
            let options = Options { row_weights: Some(&weights), top_k, ..Options::default() };
            let mut losses = [0.0; 5];
            let mut gradient = vec![T::from_f64(7.0); x.len()];
            let into = ViewMut::rows_of(&mut gradient, v).unwrap();
            let gradient_wanted = Some(Gradient { into, scale: Scale::All(1.0) });
            let wanted = Wanted {
                losses: Some(&mut losses),
                gradient: gradient_wanted,
                ..Wanted::default()
            };
            let total = cross_entropy(view, target, &options, wanted).unwrap();
            assert_eq!((total.used, total.absent, total.infinite, total.undefined), (1, 4, 0, 0));
            assert!(close(total.mean().unwrap(), 0.313_261_687_518_222_8, 2e-7));
            assert!(total.top_k_hits.iter().all(|&hits| hits == 1));
            // What the rows would cost is still said.
            assert!(losses[1].is_nan() && losses[2] == f64::INFINITY && losses[3].is_nan());
            assert!(gradient[0].to_f64() > 0.5 && gradient[1].to_f64() < -0.5);
            assert!(gradient[v..].iter().all(|g| g.to_f64() == 0.0));
            let rest = Options { row_weights: Some(&weights[1..]), ..Options::default() };
            let Target::Classes(labels) = target else { continue };
            let none = cross_entropy(
                view.rows(1..5),
                Target::Classes(&labels[1..]),
                &rest,
                Wanted::default(),
            );
            let mut none = none.unwrap();
            assert_eq!(none.mean(), Err(NoMean::ZeroWeight));
            none.merge(&total, 4);
            assert_eq!((none.absent, none.mean()), (8, total.mean()));
        }
    }
    for v in [2, 7, 40] {
        check::<f64>(v);
        check::<f32>(v);
        check::<half::bf16>(v);
    }
}

/// Both sums were rounded, and overflowed, before one was divided by the other.
#[test]
fn weights_whose_sum_overflows_have_a_mean() {
    let weights = [1e308; 2];
    let options = Options { row_weights: Some(&weights), ..Options::default() };
    for (x, mean) in
        [([0.0, 0.0, 0.0, 0.0], std::f64::consts::LN_2), ([0.0, 0.0, 1e300, 0.0], 5e299)]
    {
        let view = View::rows_of(&x, 2).unwrap();
        let total =
            cross_entropy(view, Target::Classes(&[0, 1]), &options, Wanted::default()).unwrap();
        let got = total.mean().unwrap();
        assert!((got - mean).abs() <= f64::EPSILON * mean, "{got:e} {mean:e}");
    }
    // Products of weights below every number are weights nevertheless.
    let tiny = [1e-200, 1e-200];
    let options = Options { row_weights: Some(&tiny), class_weights: Some(&tiny), ..options };
    let view = View::rows_of(&[0.0; 4], 2).unwrap();
    let total = cross_entropy(view, Target::Classes(&[0, 1]), &options, Wanted::default()).unwrap();
    let (got, mean) = (total.mean().unwrap(), std::f64::consts::LN_2);
    assert!((got - mean).abs() <= 2.0 * f64::EPSILON * mean, "{got:e}");
}

#[test]
fn a_class_that_occurs_twice_in_sparse_targets_has_both_shares() {
    let x = [0.5, -1.0, 2.0];
    let view = View::rows_of(&x, 3).unwrap();
    let run = |classes: &[u32], probabilities: &[f64]| {
        let target = Target::Sparse { offsets: &[0, classes.len()], classes, probabilities };
        let got = all(view, target, &Options::default());
        (got.losses[0], got.gradient)
    };
    assert_eq!(run(&[2, 0, 2], &[0.25, 0.5, 0.25]), run(&[0, 2], &[0.5, 0.5]));
}

/// Divided first, both logits were +inf, and losses of 1e310 were 0 or NaN.
#[test]
fn temperatures_and_logits_at_the_ends_of_the_numbers() {
    let (inf, tiny) = (f64::INFINITY, f64::from_bits(1));
    let cases: Vec<([f64; 2], f64, f64, [f64; 2])> = vec![
        // Logits, temperature, the loss of class 0, its gradient.
        ([1e300, 2e300], 1e-10, inf, [-1e10, 1e10]),
        ([2e300, 1e300], 1e-10, 0.0, [0.0, 0.0]),
        ([-1e308, 1e308], 1.5, 1e308 / 0.75, [-1.0 / 1.5, 1.0 / 1.5]),
        (
            [-1e308, 1e308],
            1e308,
            2.0 + (-2_f64).exp().ln_1p(),
            [-8.807970779778823e-309, 8.807970779778823e-309],
        ),
        (
            [-f64::MAX, f64::MAX],
            f64::MAX,
            2.0 + (-2_f64).exp().ln_1p(),
            [-4.8995963821452856e-309, 4.8995963821452856e-309],
        ),
        ([0.0, tiny], tiny, 1.0 + (-1_f64).exp().ln_1p(), [-inf, inf]),
        ([1e300, 1e300], tiny, std::f64::consts::LN_2, [-inf, inf]),
        ([0.0, -inf], 0.5, 0.0, [0.0, 0.0]),
        ([0.0, inf], 0.5, inf, [-2.0, 2.0]),
    ];
    for (x, temperature, loss, gradient) in cases {
        let options = Options { temperature, ..Options::default() };
        let view = View::rows_of(&x, 2).unwrap();
        let got = all(view, Target::Classes(&[0]), &options);
        let same = |a: f64, b: f64| a == b || (a - b).abs() <= 1e-8 * b.abs();
        assert!(same(got.losses[0], loss), "{x:?} {temperature:e}: {}", got.losses[0]);
        for c in 0..2 {
            let (mine, g) = (got.gradient[c], gradient[c]);
            assert!(same(mine, g), "{x:?} {temperature:e} {c}: {mine:e} {g:e}");
        }
        let total = cross_entropy(view, Target::Classes(&[0]), &options, Wanted::default());
        let total = total.unwrap();
        assert_eq!((total.infinite, total.undefined), (u64::from(loss == inf), 0));
    }
}

/// Where all logits are far below 0, terms beside the largest were flushed to 0 before they were probabilities.
#[test]
fn rows_far_below_0_have_all_their_gradients() {
    for v in [3, 4, 7, 20, 40] {
        let mut x = vec![-79.5_f32; v];
        (x[0], x[v - 1]) = (-79.0, -115.0);
        let labels = [0];
        let got = all(View::rows_of(&x, v).unwrap(), Target::Classes(&labels), &Options::default());
        let row: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        let (_, gradient) = reference(&row, 0);
        for (c, (got, g)) in got.gradient.iter().zip(gradient).enumerate() {
            assert!((got - g).abs() <= 4.0 * ulp32(g), "{v} {c}: {got:e} {g:e}");
        }
    }
}

/// Weights of 100,000 classes were added up one after another: the gradient was off by hundreds of ulp.
#[test]
fn smoothed_targets_of_many_classes_lose_nothing_to_their_number() {
    let v = 100_000;
    let x: Vec<f64> = (0..v).map(|c| f64::from(c % 7) - 3.0).collect();
    let view = View::rows_of(&x, v as usize).unwrap();
    // 0.9 and 0.1 are no f64, so that every addition would round.
    let options = Options { label_smoothing: 0.1, ..Options::default() };
    let got = all(view, Target::Classes(&[5]), &options);
    let terms: Vec<f64> = x.iter().map(|&x| libm::exp(x)).collect();
    let total = terms.iter().copied().collect::<ExactSum>().value();
    let uniform = 0.1 / f64::from(v);
    for c in [0, 1, 6, 77_777] {
        let (p, q) = (terms[c] / total, uniform);
        let (got, unit) = (got.gradient[c], f64::EPSILON * (p + q));
        assert!((got - (p - q)).abs() <= 4.0 * unit, "{c}: {got:e} {:e}", p - q);
    }
}

/// The same targets in any order, and as a distribution: the same loss and gradient.
#[test]
fn sparse_targets_in_any_order() {
    let v = 1300;
    let mut random = Random(9);
    let x: Vec<f64> = random.rows(v, 3.0);
    let view = View::rows_of(&x, v).unwrap();
    let classes = [1299, 511, 512, 0, 700, 511];
    let probabilities = [0.25, 0.125, 0.25, 0.125, 0.125, 0.125];
    let mut soft = vec![0.0; v];
    for (&c, p) in classes.iter().zip(probabilities) {
        soft[c as usize] += p;
    }
    let mut sorted: Vec<(u32, f64)> = classes.iter().copied().zip(probabilities).collect();
    sorted.sort_by_key(|&(c, _)| c);
    let (ascending, in_order): (Vec<u32>, Vec<f64>) = sorted.into_iter().unzip();
    let run = |target: Target<'_, f64>, label_smoothing: f64| {
        let got = all(view, target, &Options { label_smoothing, ..Options::default() });
        (got.losses[0], got.gradient)
    };
    let offsets = &[0, 6];
    let dense = Target::Distributions(View::rows_of(&soft, v).unwrap());
    let any_order = Target::Sparse { offsets, classes: &classes, probabilities: &probabilities };
    let in_order = Target::Sparse { offsets, classes: &ascending, probabilities: &in_order };
    assert!(run(any_order, 0.0) == run(dense, 0.0));
    assert!(run(in_order, 0.0) == run(dense, 0.0));
    assert!(run(in_order, 0.2) == run(any_order, 0.2));
}
