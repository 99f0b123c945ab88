//! Samples: their numbers in f32, and starts from them.

use xent::simd::Level;
use xent::view::View;

use super::numbers;
use crate::fit::{Trainer, unobserved};
use crate::narrow::{backward, forward_at};
use crate::solve::{Flow, Limits};
use crate::{
    Block, Category, Codes, Data, Design, Head, Loss, Method, Penalty, Problem, Scaling, Target,
};

/// Rounding of a mean of numbers in f32, relative to the largest.
const SINGLE: f64 = 1e-5;

fn is_near(near: &[f64], exact: &[f64]) {
    let largest = exact.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    for (a, b) in near.iter().zip(exact) {
        assert!((a - b).abs() <= SINGLE * largest, "{a} {b} {largest}");
    }
}

#[test]
fn samples_in_f32_are_near() {
    for (n, width, k) in [(70, 8, 2), (1_001, 31, 2), (300, 17, 3), (513, 20, 4), (90, 40, 10)] {
        let x: Vec<f64> = numbers(n * width, 1).iter().map(|x| 3.0 * x + 20.0).collect();
        let rows = Block::F64(View::rows_of(&x, width).unwrap());
        let columns: Vec<f64> =
            (0..width).flat_map(|j| x[j..].iter().step_by(width).copied()).collect();
        let columns = Block::F64(View::columns_of(&columns, n).unwrap());
        let labels: Vec<u32> = (0..n as u32).map(|i| (i * i / 3) % k).collect();
        let weights: Vec<f64> = numbers(n, 6).iter().map(|x| x + 1.5).collect();
        for block in [rows, columns] {
            let design = Design::new(vec![block]).unwrap();
            for (head, weights) in
                [(Head::Softmax, None), (Head::Softmax, Some(&weights[..])), (Head::Sigmoid, None)]
            {
                let target = Target::Classes(&labels);
                let design = &design;
                let data = Data { design, target, n_classes: k as usize, weights, offsets: None };
                let scaling = Scaling::measure(design, weights, true, 1).unwrap();
                let penalty = Penalty { l2: 0.1, ..Penalty::default() };
                let problem =
                    Problem::new(data, &scaling, head, Loss::CrossEntropy, &penalty, true).unwrap();
                let some: Vec<u32> = (0..n as u32).step_by(2).collect();
                let sketch = Scaling::sketch(design, true);
                let sample = problem.sampled(some.clone(), &sketch).with_threads(3);
                for (sample, rows) in [
                    (sample.thinned(3), some.iter().step_by(3).copied().collect()),
                    (sample, some.clone()),
                ] {
                    let exact = problem.over(rows);
                    let p = problem.n_params();
                    let at = numbers(p, 8);
                    let (mut near, mut gradient) = (vec![0.0; p], vec![0.0; p]);
                    let value = sample.gradient(&at, &mut near);
                    let right = exact.gradient(&at, &mut gradient);
                    assert!((value - right).abs() <= SINGLE * right);
                    is_near(&near, &gradient);
                    let (mut near, mut hessian) = (vec![0.0; p * p], vec![0.0; p * p]);
                    sample.rough_hessian(&at, &mut near);
                    exact.hessian(&at, &mut hessian);
                    is_near(&near, &hessian);
                    // As if it were too large to be held.
                    exact.rough_hessian(&at, &mut near);
                    is_near(&near, &hessian);
                    let (features, outputs) = exact.kronecker(&at);
                    for rough in [sample.rough_kronecker(&at), exact.rough_kronecker(&at)] {
                        is_near(&rough.0, &features);
                        is_near(&rough.1, &outputs);
                    }
                }
            }
        }
    }
}

#[test]
fn samples_have_the_same_bits_at_every_level() {
    for (n, stride, outputs) in [(1, 16, 1), (13, 32, 2), (24, 80, 11)] {
        let single = |n, seed| numbers(n, seed).iter().map(|x| *x as f32).collect::<Vec<f32>>();
        let (rows, coefs) = (single(n * stride, 1), single(stride * outputs, 2));
        let groups = n.div_ceil(8);
        let run = |level: Level| {
            let mut z = vec![[0.5; 8]; groups * outputs];
            forward_at(level, &rows, stride, &coefs, &mut z);
            z
        };
        let best = run(Level::Avx512);
        assert_eq!(run(Level::Avx2), best);
        assert_eq!(run(Level::Baseline), best);
        let mut sums = vec![0.0; stride * outputs];
        backward(&rows, stride, &best, &mut sums);
        for k in 0..outputs {
            for j in 0..stride {
                let z = best[k * groups..][..groups].as_flattened();
                let exact: f64 = (0..n).map(|i| f64::from(rows[i * stride + j]) * z[i]).sum();
                assert!((f64::from(sums[k * stride + j]) - exact).abs() < 1e-4);
            }
        }
    }
}

/// Whatever the design, the weights, the penalty: the minimum of all rows, the scaling that is measured without a sample, the same bits for
/// any number of threads and from every state on.
#[test]
fn starts_from_samples_lead_to_the_minimum_of_all_rows() {
    let n = 9_000;
    let width = 9;
    // The last column is constant, at a number whose mean is another by rounding.
    let x: Vec<f64> = numbers(n * width, 1)
        .iter()
        .enumerate()
        .map(|(i, x)| if i % 9 == 8 { 0.1 } else { x * 10_f64.powi(i as i32 % 9) + 3.0 })
        .collect();
    let bytes: Vec<u8> = (0..2 * n).map(|i| (i * i % 251) as u8).collect();
    let codes: Vec<u8> = (0..n).map(|i| (i % 7 % 4) as u8).collect();
    let category = Category::with_reference(Codes::U8(&codes), 4, Some(3));
    let rows = || Block::F64(View::rows_of(&x, width).unwrap());
    let bytes = || Block::U8(View::columns_of(&bytes, n).unwrap());
    let weights: Vec<f64> = numbers(n, 6)
        .iter()
        .enumerate()
        .map(|(i, x)| if i % 5 == 0 { 0.0 } else { x + 1.5 })
        .collect();
    let offsets = numbers(n * 3, 7);
    let offsets = View::rows_of(&offsets, 3).unwrap();
    let noise = numbers(n, 3);
    for (blocks, k, weights, offsets, penalty, has_intercept) in [
        (vec![rows()], 2, None, None, (0.0, true), true),
        (vec![rows()], 2, Some(&weights[..]), None, (1e-3, false), false),
        (vec![rows(), bytes()], 3, None, Some(offsets), (1e-2, true), true),
        (
            vec![bytes(), Block::Category(category), rows()],
            3,
            Some(&weights),
            None,
            (1e-2, true),
            true,
        ),
    ] {
        let design = &Design::new(blocks).unwrap();
        let labels: Vec<u32> =
            (0..n).map(|i| u32::from(x[i * width] + noise[i] > 3.0) + i as u32 % (k - 1)).collect();
        let target = Target::Classes(&labels);
        let data = Data { design, target, n_classes: k as usize, weights, offsets };
        let penalty = Penalty { l2: penalty.0, standardized: penalty.1, ..Penalty::default() };
        let limits = Limits { tolerance: 1e-13, ..Limits::default() };
        let trainer = Trainer { penalty, has_intercept, limits, ..Trainer::default() };
        let mut states = Vec::new();
        let found = trainer
            .fit(&data, |seen| {
                states.push(seen.state());
                Flow::Continue
            })
            .unwrap();
        assert!(found.reason.contains("of 4096 of"), "{}", found.reason);
        let newton = Trainer { method: Method::Newton, ..trainer.clone() };
        let newton = newton.fit(&data, unobserved).unwrap();
        let (a, b) = (&found, &newton);
        assert!(
            (a.objective - b.objective).abs() <= 1e-12 * b.objective,
            "{} {} {:?} {:?}",
            a.objective,
            b.objective,
            a.solution.stop,
            b.solution.stop
        );
        if has_intercept && k == 2 {
            assert_eq!(found.coefficients.coef[8], 0.0);
        }
        let mut measured = Scaling::measure(design, weights, has_intercept, 2).unwrap();
        // Beside an intercept a constant is centred at its value.
        for &(feature, value) in measured.constants.iter().filter(|_| has_intercept) {
            measured.center[feature] = value;
        }
        assert_eq!(found.scaling.center, measured.center);
        assert_eq!(found.scaling.scale, measured.scale);
        let threaded = Trainer { threads: 3, ..trainer.clone() }.fit(&data, unobserved).unwrap();
        assert_eq!(threaded.coefficients, found.coefficients);
        assert_eq!(threaded.objective, found.objective);
        for state in &states {
            let resumed = trainer.resume(&data, state, unobserved).unwrap();
            assert_eq!(resumed.coefficients, found.coefficients);
            assert_eq!(resumed.solution.passes, found.solution.passes);
        }
    }
}

/// With too many parameters for a whole Hessian; of columns that differ by a millionth sums in f32 know only one.
#[test]
fn products_of_features_and_outputs_lead_to_the_minimum_collinear_or_not() {
    let (n, width, k) = (500, 140, 10);
    for twin in [None, Some(1e-6), Some(0.0)] {
        let mut x = numbers(n * width, 1);
        let noise = numbers(n, 2);
        for (row, noise) in x.chunks_exact_mut(width).zip(&noise) {
            if let Some(twin) = twin {
                row[1] = row[0] + twin * noise;
            }
        }
        let design = &Design::new(vec![Block::F64(View::rows_of(&x, width).unwrap())]).unwrap();
        let labels: Vec<u32> = (0..n).map(|i| ((x[i * width] + 1.0) * 5.0) as u32).collect();
        let target = Target::Classes(&labels);
        let data = Data { design, target, n_classes: k, weights: None, offsets: None };
        let penalty = Penalty { l2: 1e-3, standardized: true, ..Penalty::default() };
        let limits = Limits { tolerance: 1e-12, ..Limits::default() };
        let trainer = Trainer { penalty, limits, ..Trainer::default() };
        let found = trainer.fit(&data, unobserved).unwrap();
        assert!(found.reason.contains("product"), "{}", found.reason);
        let other = Trainer { method: Method::NewtonCg, ..trainer };
        let other = other.fit(&data, unobserved).unwrap();
        let (a, b) = (found.objective, other.objective);
        assert!((a - b).abs() <= 1e-11 * b, "{a} {b} {:?}", found.solution.stop);
    }
}
