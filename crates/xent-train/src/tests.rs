//! The objective against its own differences and a plain sum over rows.

use xent::view::View;

use crate::solve::{Begin, Flow, Lbfgs, Limits, Solver};
use crate::{
    Block, Category, Codes, Data, Design, Error, Head, Loss, Method, Penalty, Problem, Scaling,
    Sparse, SparseValues, Target, Trainer,
};

/// Numbers between -1 and 1, always the same.
pub(crate) fn numbers(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// Calls `f` with designs of every kind of block and with several classes.
fn each_problem(mut f: impl FnMut(&Problem<'_>)) {
    let n = 83;
    let x = numbers(n * 3, 1);
    let column: Vec<f32> = numbers(n, 2).iter().map(|x| (x * 100.0 + 1000.0) as f32).collect();
    let bytes: Vec<u8> = numbers(n, 3).iter().map(|x| (x * 3.0 + 5.0) as u8).collect();
    let codes: Vec<u8> = numbers(n, 4).iter().map(|x| (x * 2.0 + 2.0) as u8).collect();
    let offsets: Vec<usize> = (0..=n).map(|i| i * 2).collect();
    let indices: Vec<u32> = (0..n).flat_map(|i| [(i % 3) as u32, 3 + (i % 2) as u32]).collect();
    let values = numbers(2 * n, 5);
    let design = Design::new(vec![
        Block::F64(View::rows_of(&x, 3).unwrap()),
        Block::Category(Category::with_reference(Codes::U8(&codes), 4, Some(0))),
        Block::F32(View::rows_of(&column, 1).unwrap()),
        Block::Sparse(Sparse {
            offsets: &offsets,
            indices: &indices,
            values: SparseValues::F64(&values),
            width: 5,
        }),
        Block::U8(View::rows_of(&bytes, 1).unwrap()),
    ])
    .unwrap();
    let weights: Vec<f64> = numbers(n, 6).iter().map(|x| x + 1.5).collect();
    for k in [2_u32, 3, 7] {
        let labels: Vec<u32> = (0..n as u32).map(|i| (i * i / 3) % k).collect();
        let soft: Vec<f64> = (0..n * k as usize)
            .map(|i| if i % k as usize == 1 { 0.5 } else { 0.5 / f64::from(k - 1) })
            .collect();
        let soft = View::rows_of(&soft, k as usize).unwrap();
        let scaling = Scaling::measure(&design, Some(&weights), true, 1).unwrap();
        for (target, weights) in
            [(Target::Classes(&labels), Some(&weights[..])), (Target::Distributions(soft), None)]
        {
            let data =
                Data { design: &design, target, n_classes: k as usize, weights, offsets: None };
            for head in [Head::Softmax, Head::Sigmoid] {
                for loss in [Loss::CrossEntropy, Loss::SquaredError] {
                    for l2 in [0.0, 0.3] {
                        let penalty = Penalty { l2, ..Penalty::default() };
                        f(&Problem::new(data, &scaling, head, loss, &penalty, true).unwrap());
                    }
                }
            }
        }
    }
}

#[test]
fn gradients_and_curvatures_are_slopes() {
    const SLOPE: f64 = 1e-8;
    each_problem(|problem| {
        let n = problem.n_params();
        let at = numbers(n, 8);
        let mut gradient = vec![0.0; n];
        let value = problem.gradient(&at, &mut gradient);
        assert!((value - problem.value(&at)).abs() < 1e-14);
        let moved = |i: usize, by: f64| {
            let mut at = at.clone();
            at[i] += by;
            at
        };
        let h = 1e-3;
        for i in 0..n {
            let slope = |f: &dyn Fn(f64) -> f64| {
                (f(-2.0 * h) - 8.0 * f(-h) + 8.0 * f(h) - f(2.0 * h)) / (12.0 * h)
            };
            let expected = slope(&|d| problem.value(&moved(i, d)));
            assert!((gradient[i] - expected).abs() < SLOPE, "{i} {} {expected}", gradient[i]);
        }
        if problem.loss() == Loss::SquaredError {
            return;
        }
        let mut hessian = vec![0.0; n * n];
        problem.hessian(&at, &mut hessian);
        let v = numbers(n, 9);
        let mut product = vec![0.0; n];
        problem.hessian_product(&at, &v, &mut product);
        let mut diagonal = vec![0.0; n];
        problem.hessian_diagonal(&at, &mut diagonal);
        let (same, beside) = problem.hessian_arrow(&at);
        assert_eq!(same, diagonal);
        let (m, intercept) = (problem.n_outputs(), problem.scaling().n_dense * problem.n_outputs());
        for i in 0..n {
            assert!((hessian[i * n + intercept + i % m] - beside[i]).abs() < 1e-13);
            let row: f64 = hessian[i * n..(i + 1) * n].iter().zip(&v).map(|(h, v)| h * v).sum();
            assert!((row - product[i]).abs() < 1e-13);
            assert!((hessian[i * n + i] - diagonal[i]).abs() < 1e-13);
            let slope = |by: f64| {
                let mut gradient = vec![0.0; n];
                problem.gradient(&moved(i, by), &mut gradient);
                gradient
            };
            let (a, b, c, d) = (slope(-2.0 * h), slope(-h), slope(h), slope(2.0 * h));
            for j in 0..n {
                let expected = (a[j] - 8.0 * b[j] + 8.0 * c[j] - d[j]) / (12.0 * h);
                assert!((hessian[i * n + j] - expected).abs() < SLOPE);
            }
        }
    });
}

mod samples;

#[test]
fn threads_do_not_matter() {
    let n = 20_000;
    let x = numbers(n * 20, 1);
    let design = Design::new(vec![Block::F64(View::rows_of(&x, 20).unwrap())]).unwrap();
    let labels: Vec<u32> = (0..n as u32).map(|i| (i * i / 3) % 3).collect();
    let target = Target::Classes(&labels);
    let data = Data { design: &design, target, n_classes: 3, weights: None, offsets: None };
    let scaling = Scaling::measure(&design, None, true, 1).unwrap();
    let penalty = Penalty { l2: 1e-3, ..Penalty::default() };
    let all: Vec<_> = [1, 2, 3, 8]
        .map(|threads| {
            let problem =
                Problem::new(data, &scaling, Head::Softmax, Loss::CrossEntropy, &penalty, true);
            let problem = problem.unwrap().with_threads(threads);
            let mut gradient = vec![0.0; problem.n_params()];
            let value = problem.gradient(&numbers(63, 3), &mut gradient);
            (value, gradient)
        })
        .into_iter()
        .collect();
    assert!(all.iter().all(|x| *x == all[0]));
}

#[test]
fn at_the_minimum_the_mean_prediction_is_the_frequency() {
    each_problem(|problem| {
        if problem.loss() == Loss::SquaredError || problem.head() == Head::Sigmoid {
            return;
        }
        let start = vec![0.0; problem.n_params()];
        let solution = Lbfgs::default()
            .solve_from(problem, Begin::Start(start), &Limits::default(), &mut |_| Flow::Continue)
            .unwrap();
        assert!(solution.gap <= 1e-12, "{solution:?}");
        let data = problem.data();
        let (mut predicted, mut wanted) = (vec![0.0; data.n_classes], vec![0.0; data.n_classes]);
        problem.predict(&solution.params, |row, p| {
            let w = data.weights.map_or(1.0, |w| w[row]);
            for k in 0..data.n_classes {
                predicted[k] += w * p[k];
                wanted[k] += w * match data.target {
                    Target::Classes(c) => f64::from(u8::from(c[row] as usize == k)),
                    Target::Distributions(view) => view.get(row, k),
                };
            }
        });
        for (p, w) in predicted.iter().zip(&wanted) {
            assert!((p - w).abs() < 1e-4, "{predicted:?} {wanted:?}");
        }
    });
}

#[test]
fn coefficients_come_back() {
    each_problem(|problem| {
        let params = numbers(problem.n_params(), 4);
        let back = problem.params(&problem.coefficients(&params));
        for (a, b) in params.iter().zip(&back) {
            assert!((a - b).abs() < 1e-12);
        }
    });
}

/// Dense features in one array of rows and column by column, with a sparse block beside them: two ways through a pass.
#[test]
fn rows_as_they_lie_and_columns_are_one_problem() {
    const ROUNDING: f64 = 1e-14;
    for (n, width) in [(5, 8), (301, 9), (1_000, 30), (67, 41)] {
        let x: Vec<f64> = numbers(n * width, 1).iter().map(|x| 3.0 * x + 20.0).collect();
        let columns: Vec<Vec<f64>> =
            (0..width).map(|j| (0..n).map(|i| x[i * width + j]).collect()).collect();
        let offsets: Vec<usize> = (0..=n).map(|i| i * 2).collect();
        let indices: Vec<u32> = (0..n).flat_map(|i| [(i % 3) as u32, 3 + (i % 2) as u32]).collect();
        let (values, ones) = (numbers(2 * n, 5), numbers(2 * n, 5));
        let single: Vec<f32> = ones.iter().map(|x| *x as f32).collect();
        for values in [SparseValues::F64(&values), SparseValues::F32(&single), SparseValues::Ones] {
            let sparse = Sparse { offsets: &offsets, indices: &indices, values, width: 5 };
            let rows = Design::new(vec![
                Block::Sparse(sparse),
                Block::F64(View::rows_of(&x, width).unwrap()),
            ]);
            let columns = columns.iter().map(|x| Block::F64(View::rows_of(x, 1).unwrap()));
            let columns = Design::new([Block::Sparse(sparse)].into_iter().chain(columns).collect());
            let weights: Vec<f64> = numbers(n, 6).iter().map(|x| x + 1.5).collect();
            for (k, weights) in [(2, None), (2, Some(&weights[..])), (4, None), (7, Some(&weights))]
            {
                let labels: Vec<u32> = (0..n as u32).map(|i| (i * i / 3) % k).collect();
                let run = |design: &Design<'_>| {
                    let target = Target::Classes(&labels);
                    let data =
                        Data { design, target, n_classes: k as usize, weights, offsets: None };
                    let scaling = Scaling::measure(design, weights, true, 1).unwrap();
                    let penalty = Penalty { l2: 0.1, ..Penalty::default() };
                    let (head, loss) = (Head::Softmax, Loss::CrossEntropy);
                    let problem = Problem::new(data, &scaling, head, loss, &penalty, true).unwrap();
                    let p = problem.n_params();
                    let (at, v) = (numbers(p, 8), numbers(p, 9));
                    let (mut gradient, mut product) = (vec![0.0; p], vec![0.0; p]);
                    let value = problem.gradient(&at, &mut gradient);
                    problem.hessian_product(&at, &v, &mut product);
                    assert!((problem.value(&at) - value).abs() <= 2.0 * f64::EPSILON * value);
                    [gradient, product, vec![value], scaling.center, scaling.scale]
                };
                let all = run(rows.as_ref().unwrap());
                for (a, b) in
                    all.iter().flatten().zip(run(columns.as_ref().unwrap()).iter().flatten())
                {
                    assert!((a - b).abs() <= ROUNDING * (1.0 + a.abs()), "{n} {width} {a} {b}");
                }
            }
        }
    }
}

#[test]
fn rows_as_they_lie_have_the_same_bits_at_every_level() {
    use crate::rowwise::{Coefs, Flat, Moments, Sums, backward_at, forward_at};
    use xent::simd::Level;
    for (n, width, outputs) in [(1, 8, 1), (13, 9, 1), (16, 70, 2), (23, 31, 3), (9, 47, 11)] {
        let x = numbers(n * width, 1);
        let design = Design::new(vec![Block::F64(View::rows_of(&x, width).unwrap())]).unwrap();
        let flat = Flat::of(&design).unwrap();
        let mut scaling = Scaling::identity(&design);
        scaling.center.copy_from_slice(&numbers(width, 2));
        scaling.inverse.copy_from_slice(&numbers(width, 3));
        let params = numbers((width + 1) * outputs, 4);
        let groups = n.div_ceil(8);
        let mut residuals = numbers(groups * 8 * outputs, 5).as_chunks::<8>().0.to_vec();
        for k in 0..outputs {
            residuals.as_flattened_mut()[k * groups * 8..][n..groups * 8].fill(0.0);
        }
        let run = |level: Level| {
            let mut z = vec![[0.5; 8]; groups * outputs];
            let coefs = Coefs::new(&flat, &scaling, &params, outputs);
            forward_at(level, &x, width, &coefs, &mut z);
            let mut sums = Sums::new(&flat, &scaling, outputs);
            backward_at(level, &x, width, &residuals, &mut sums, None);
            let mut gradient = vec![0.0; params.len()];
            sums.take(&flat, &scaling, &mut gradient);
            // The moments, if they are wanted too, come with the gradient.
            let (mut moments, mut alone) =
                (Moments::new(&flat, &scaling), Moments::new(&flat, &scaling));
            backward_at(level, &x, width, &residuals, &mut sums, Some(&mut moments));
            let mut again = vec![0.0; params.len()];
            sums.take(&flat, &scaling, &mut again);
            assert_eq!(again, gradient);
            alone.add(&x, width, None);
            let [taken, expected] = [&mut moments, &mut alone].map(|moments| {
                let (mut means, mut squares) = (vec![0.0; width], vec![0.0; width]);
                moments.take(&mut means, &mut squares);
                (means, squares)
            });
            assert_eq!(taken, expected);
            (z, gradient, taken)
        };
        let best = run(Level::Avx512);
        assert_eq!(run(Level::Avx2), best);
        assert_eq!(run(Level::Baseline), best);
        // And they are the products.
        let at = |i: usize, j: usize| {
            if j == width {
                1.0
            } else {
                (x[i * width + j] - scaling.center[j]) * scaling.inverse[j]
            }
        };
        for (k, i) in (0..outputs).flat_map(|k| (0..n).map(move |i| (k, i))) {
            let expected: f64 = (0..=width).map(|j| at(i, j) * params[j * outputs + k]).sum();
            let found = best.0.as_flattened()[k * groups * 8 + i] - 0.5;
            assert!((found - expected).abs() < 1e-13);
        }
        for (place, found) in best.1.iter().enumerate() {
            let (j, k) = (place / outputs, place % outputs);
            let residual = |i: usize| residuals.as_flattened()[k * groups * 8 + i];
            let expected: f64 = (0..n).map(|i| at(i, j) * residual(i)).sum();
            assert!((found - expected).abs() < 1e-13);
        }
    }
}

#[test]
fn every_instruction_level_gives_the_same_bits() {
    use crate::kernel::{LANES, backward_at, forward_at};
    use xent::simd::Level;
    let lanes = |n: usize, seed: u64| -> Vec<[f64; LANES]> {
        numbers(n * LANES, seed).as_chunks::<LANES>().0.to_vec()
    };
    for (groups, width, outputs) in [(1, 1, 1), (9, 13, 1), (7, 9, 2), (11, 6, 3), (5, 17, 11)] {
        let stride = width + 2;
        let tile = lanes(groups * stride, 1);
        let coef = numbers(width * outputs, 2);
        let run = |level: Level| {
            let mut z = lanes(groups * outputs, 3);
            forward_at(level, &tile, stride, &coef, outputs, &mut z);
            let mut gradient = numbers(width * outputs, 4);
            backward_at(level, &tile, stride, &z, outputs, &mut gradient);
            (z, gradient)
        };
        let best = run(Level::Avx512);
        assert_eq!(run(Level::Avx2), best);
        assert_eq!(run(Level::Baseline), best);
        // And they are the products.
        let mut z = lanes(groups * outputs, 3);
        for (i, x) in z.as_flattened_mut().iter_mut().enumerate() {
            let (k, g, l) = (i / LANES / groups, i / LANES % groups, i % LANES);
            *x += (0..width).map(|j| tile[g * stride + j][l] * coef[j * outputs + k]).sum::<f64>();
        }
        for (a, b) in z.as_flattened().iter().zip(best.0.as_flattened()) {
            assert!((a - b).abs() < 1e-13);
        }
        for (i, sum) in best.1.iter().enumerate() {
            let (j, k) = (i / outputs, i % outputs);
            let products = (0..groups * LANES).map(|r| {
                tile[r / LANES * stride + j][r % LANES] * z[k * groups + r / LANES][r % LANES]
            });
            let expected = numbers(width * outputs, 4)[i] + products.sum::<f64>();
            assert!((sum - expected).abs() < 1e-12);
        }
    }
}

/// Numbers from 0 to 1, and classes that go with them.
fn noise(n: usize) -> (Vec<f64>, Vec<u32>) {
    let mut state = 7_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..n).map(|_| (next(), next())).map(|(x, u)| (x, u32::from(u < x))).unzip()
}

/// Coefficient and intercept of one column, and the objective.
fn fit_column(block: Block<'_>, classes: &[u32]) -> Result<(f64, f64, f64), Error> {
    let design = Design::new(vec![block]).unwrap();
    let data = Data {
        design: &design,
        target: Target::Classes(classes),
        n_classes: 2,
        weights: None,
        offsets: None,
    };
    let penalty = Penalty { l2: 0.01, standardized: true, ..Penalty::default() };
    let limits = Limits { tolerance: 1e-20, ..Limits::default() };
    let trainer = Trainer { penalty, limits, ..Trainer::default() };
    let fitted = trainer.fit(&data, |_| Flow::Continue)?;
    let c = &fitted.coefficients;
    Ok((c.coef[0], c.intercept[0], fitted.objective))
}

#[test]
fn a_sparse_column_far_from_0_is_the_dense_one() {
    let (x, classes) = noise(400);
    let offsets: Vec<usize> = (0..=x.len()).collect();
    let indices = vec![0; x.len()];
    let (coef, _, objective) =
        fit_column(Block::F64(View::rows_of(&x, 1).unwrap()), &classes).unwrap();
    let fit = |far: f64| {
        let moved: Vec<f64> = x.iter().map(|x| x + far).collect();
        let values = SparseValues::F64(&moved);
        let sparse = Sparse { offsets: &offsets, indices: &indices, values, width: 1 };
        fit_column(Block::Sparse(sparse), &classes)
    };
    for far in [0.0, 10.0, 1e3, 1e5] {
        let (its, _, its_objective) = fit(far).unwrap();
        assert!((its / coef - 1.0).abs() < 1e-9 * (1.0 + far), "{far}: {its} {coef}");
        let off = its_objective / objective - 1.0;
        assert!(off.abs() < 1e-15 * (10.0 + far), "{far}: {off}");
    }
    for far in [1e7, 1e9] {
        let error = fit(far).unwrap_err();
        assert!(matches!(error, Error::Far { feature: 0, .. }), "{error}");
    }
}

#[test]
fn no_unit_is_too_small_for_a_column() {
    let (x, classes) = noise(400);
    let (coef, _, objective) =
        fit_column(Block::F64(View::rows_of(&x, 1).unwrap()), &classes).unwrap();
    for unit in [1e-100, 1e-165, 1e-200, 1e-290, 1e100] {
        let small: Vec<f64> = x.iter().map(|x| x * unit).collect();
        let block = Block::F64(View::rows_of(&small, 1).unwrap());
        let (its, _, its_objective) = fit_column(block, &classes).unwrap();
        assert!((its * unit / coef - 1.0).abs() < 1e-9, "{unit:e}: {its} {coef}");
        assert!((its_objective / objective - 1.0).abs() < 1e-13, "{unit:e}");
    }
    for unit in [1e-320, 1e200] {
        let small: Vec<f64> = x.iter().map(|x| x * unit).collect();
        let block = Block::F64(View::rows_of(&small, 1).unwrap());
        let error = fit_column(block, &classes).unwrap_err();
        assert!(matches!(error, Error::Range { feature: 0, .. }), "{unit:e}: {error}");
    }
}

#[test]
fn a_run_that_diverges_has_no_small_gap() {
    let (x, classes) = noise(60);
    let design = Design::new(vec![Block::F64(View::rows_of(&x, 1).unwrap())]).unwrap();
    let data = Data {
        design: &design,
        target: Target::Classes(&classes),
        n_classes: 2,
        weights: None,
        offsets: None,
    };
    for rate in [100.0, 1e10, 1e100] {
        let trainer = Trainer {
            method: Method::Gd,
            learning_rate: Some(rate),
            penalty: Penalty { l2: 0.1, standardized: true, ..Penalty::default() },
            limits: Limits { max_iterations: 25, ..Limits::default() },
            ..Trainer::default()
        };
        match trainer.fit(&data, |_| Flow::Continue) {
            Ok(fitted) => {
                assert!(fitted.objective > 1.0);
                assert!(fitted.solution.gap > 0.5, "{rate:e}: {}", fitted.solution.gap);
                assert!(fitted.gap_bound.is_none_or(|gap| gap > 0.5 && gap.is_finite()));
            }
            Err(error) => assert!(error.to_string().contains("smaller learning rate"), "{error}"),
        }
    }
}

#[test]
fn gaps_are_relative_to_the_least_that_the_minimum_may_be() {
    use crate::solve::relative_gap;
    assert_eq!(relative_gap(0.0, 0.0), 0.0);
    assert_eq!(relative_gap(1.0, 5.0), 0.25);
    assert_eq!(relative_gap(5.0, 5.0), f64::INFINITY);
    assert_eq!(relative_gap(1.0, f64::MIN_POSITIVE), f64::INFINITY);
}
