//! What all solvers must do: reach the same minimum, say how near they are, go on from where they stopped.

use xent::view::View;

use crate::fit::{Method, unobserved};
use crate::solve::{Begin, Flow, Gd, Limits, Schedule, Solver, State, Stop};
use crate::tests::numbers;
use crate::{
    Block, Category, Codes, Coefficients, Data, Design, Error, Fitted, Head, Loss, Penalty,
    Problem, Scaling, Sparse, SparseValues, Target, Trainer,
};

/// A small table: dense, categorical and sparse columns, and classes that they tell something of.
struct Table {
    n: usize,
    x: Vec<f64>,
    codes: Vec<u8>,
    offsets: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<f64>,
    noise: Vec<f64>,
}

impl Table {
    fn new(n: usize) -> Self {
        Self {
            n,
            x: numbers(n * 3, 11)
                .iter()
                .enumerate()
                .map(|(i, x)| x * 3_f64.powi(i as i32 % 3) + 2.0)
                .collect(),
            codes: numbers(n, 12).iter().map(|x| (x * 2.0 + 2.0) as u8).collect(),
            offsets: (0..=n).map(|i| i * 2).collect(),
            indices: (0..n).flat_map(|i| [(i % 3) as u32, 3 + (i * i % 2) as u32]).collect(),
            values: numbers(2 * n, 13),
            noise: numbers(n, 14),
        }
    }

    fn design(&self) -> Design<'_> {
        Design::new(vec![
            Block::F64(View::rows_of(&self.x, 3).unwrap()),
            Block::Category(Category::with_reference(Codes::U8(&self.codes), 4, Some(0))),
            Block::Sparse(Sparse {
                offsets: &self.offsets,
                indices: &self.indices,
                values: SparseValues::F64(&self.values),
                width: 5,
            }),
        ])
        .unwrap()
    }

    fn labels(&self, n_classes: usize) -> Vec<u32> {
        let label = |i: usize| {
            let score = self.x[3 * i] + 0.3 * self.x[3 * i + 1] + 2.0 * self.noise[i];
            ((score.abs() * 1.7) as usize % n_classes) as u32
        };
        (0..self.n).map(label).collect()
    }
}

fn data<'a>(design: &'a Design<'a>, labels: &'a [u32], n_classes: usize) -> Data<'a> {
    Data { design, target: Target::Classes(labels), n_classes, weights: None, offsets: None }
}

fn trainer(method: Method, l2: f64, l1: f64) -> Trainer {
    let penalty = Penalty { l2, l1, standardized: true, ..Penalty::default() };
    Trainer { penalty, method, ..Trainer::default() }
}

const SMOOTH: [Method; 7] = [
    Method::Gd,
    Method::Lbfgs,
    Method::Newton,
    Method::NewtonCg,
    Method::Irls,
    Method::Saga,
    Method::Cd,
];
const LASSO: [Method; 3] = [Method::Gd, Method::Saga, Method::Cd];

/// Far below what coefficients are compared at: a gap of g leaves errors of about its square root.
fn to_the_end(mut trainer: Trainer) -> Trainer {
    trainer.limits = Limits { tolerance: 1e-20, max_iterations: 4_000 };
    trainer
}

/// The largest difference of two coefficients. Intercepts of a softmax over all classes count from their mean.
fn farthest(a: &Coefficients, b: &Coefficients) -> f64 {
    let all = |c: &Coefficients| {
        let is_free = c.n_outputs > 1 && !c.has_reference && c.head == Head::Softmax;
        let mean = c.intercept.iter().sum::<f64>() / c.n_outputs as f64;
        let intercepts = c.intercept.iter().map(|b| if is_free { b - mean } else { *b });
        c.coef.iter().copied().chain(intercepts).collect::<Vec<_>>()
    };
    all(a).iter().zip(all(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// The largest subgradient at a fit, in the coordinates of the solvers.
fn kkt(trainer: &Trainer, data: &Data<'_>, fitted: &Fitted) -> f64 {
    let scaling = Scaling::measure(data.design, data.weights, true, 1).unwrap();
    let problem =
        Problem::new(*data, &scaling, trainer.head, trainer.loss, &trainer.penalty, true).unwrap();
    let params = &fitted.solution.params;
    let mut gradient = vec![0.0; params.len()];
    problem.gradient(params, &mut gradient);
    let slopes = super::prox::subgradient(&problem, params, &gradient);
    slopes.iter().fold(0.0, |most, g| most.max(g.abs()))
}

#[test]
fn solvers_agree() {
    const COEFFICIENTS: f64 = 1e-8;
    const KKT: f64 = 1e-9;
    const OBJECTIVE: f64 = 1e-14;
    let table = Table::new(160);
    let design = table.design();
    for n_classes in [2, 3, 4] {
        let labels = table.labels(n_classes);
        let data = data(&design, &labels, n_classes);
        for head in [Head::Softmax, Head::Sigmoid] {
            for (l2, l1, methods) in
                [(0.05, 0.0, &SMOOTH[..]), (0.0, 0.02, &LASSO), (0.02, 0.01, &LASSO)]
            {
                let fit = |method| {
                    let trainer = to_the_end(Trainer { head, ..trainer(method, l2, l1) });
                    let fitted = trainer.fit(&data, unobserved).unwrap();
                    let kkt = kkt(&trainer, &data, &fitted);
                    assert!(kkt <= KKT, "{method:?} {n_classes} {head:?} {l2} {l1}: {kkt:e}");
                    fitted
                };
                let first = fit(Method::Cd);
                for &method in methods {
                    let own = fit(method);
                    assert!((own.objective - first.objective).abs() <= OBJECTIVE);
                    // Of an even number of classes a lasso alone has many minima: any median of the coefficients of a
                    // feature may be 0.
                    if l2 == 0.0 && n_classes == 4 && head == Head::Softmax {
                        continue;
                    }
                    let far = farthest(&first.coefficients, &own.coefficients);
                    assert!(
                        far <= COEFFICIENTS,
                        "{method:?} {n_classes} {head:?} {l2} {l1}: {far:e}"
                    );
                    let zeros = |f: &Fitted| {
                        f.coefficients.coef.iter().map(|&x| x == 0.0).collect::<Vec<_>>()
                    };
                    assert_eq!(zeros(&first), zeros(&own), "{method:?}");
                }
                assert_eq!(l1 > 0.0, first.coefficients.coef.contains(&0.0));
            }
        }
    }
}

#[test]
fn unpenalised_minima_agree() {
    const COEFFICIENTS: f64 = 1e-8;
    let table = Table::new(400);
    let design = table.design();
    for n_classes in [2, 3] {
        let labels = table.labels(n_classes);
        let data = data(&design, &labels, n_classes);
        let fit = |method| to_the_end(trainer(method, 0.0, 0.0)).fit(&data, unobserved).unwrap();
        let first = fit(Method::Newton);
        for method in [Method::Irls, Method::NewtonCg, Method::Lbfgs, Method::Cd] {
            let far = farthest(&first.coefficients, &fit(method).coefficients);
            assert!(far <= COEFFICIENTS, "{method:?} {n_classes}: {far:e}");
        }
    }
}

/// Working sets and copied columns lead where the whole Hessian leads.
#[test]
fn many_parameters_and_few_have_the_same_minimum() {
    const OBJECTIVE: f64 = 1e-13;
    let (n, width) = (120, 700);
    let x = numbers(n * width, 21);
    let design = Design::new(vec![Block::F64(View::rows_of(&x, width).unwrap())]).unwrap();
    for n_classes in [2, 3] {
        let labels: Vec<u32> =
            (0..n).map(|i| ((x[i * width].abs() * 5.0) as u32) % n_classes as u32).collect();
        let data = data(&design, &labels, n_classes);
        for (l2, l1) in [(0.0, 0.05), (0.05, 0.03)] {
            let many = trainer(Method::Cd, l2, l1).fit(&data, unobserved).unwrap();
            assert!(
                many.solution.is_bound && many.solution.gap <= 1e-12,
                "{:?}",
                many.solution.gap
            );
            // The features it kept, by themselves.
            let m = many.coefficients.n_outputs;
            let kept: Vec<usize> = (0..width)
                .filter(|j| many.coefficients.coef[j * m..(j + 1) * m].iter().any(|&x| x != 0.0))
                .collect();
            assert!(!kept.is_empty() && kept.len() < 200, "{}", kept.len());
            let some: Vec<f64> = (0..n)
                .flat_map(|i| kept.iter().map(move |j| i * width + j))
                .map(|i| x[i])
                .collect();
            let design =
                Design::new(vec![Block::F64(View::rows_of(&some, kept.len()).unwrap())]).unwrap();
            let few = trainer(Method::Cd, l2, l1)
                .fit(&Data { design: &design, ..data }, unobserved)
                .unwrap();
            assert!((few.objective - many.objective).abs() <= OBJECTIVE * few.objective);
        }
    }
}

#[test]
fn bounds_are_above_the_gap_everywhere() {
    let table = Table::new(90);
    let design = table.design();
    for n_classes in [2, 4] {
        let labels = table.labels(n_classes);
        let shifts: Vec<f64> = numbers(90 * 4, 31);
        for head in [Head::Softmax, Head::Sigmoid] {
            for (l2, l1) in [(0.1, 0.0), (0.0, 0.03), (0.03, 0.02)] {
                let outputs = if n_classes == 2 { 1 } else { n_classes };
                let offsets = View::rows_of(&shifts[..90 * outputs], outputs).unwrap();
                let data = Data { offsets: Some(offsets), ..data(&design, &labels, n_classes) };
                let trainer = Trainer { head, ..trainer(Method::Cd, l2, l1) };
                let best = trainer.fit(&data, unobserved).unwrap().objective;
                let scaling = Scaling::measure(&design, None, true, 1).unwrap();
                let problem =
                    Problem::new(data, &scaling, head, Loss::CrossEntropy, &trainer.penalty, true)
                        .unwrap();
                let duality = super::gap::Duality::new(&problem).unwrap();
                for seed in 0..20 {
                    let scale = 10_f64.powi(-(seed as i32 % 5));
                    let params: Vec<f64> =
                        numbers(problem.n_params(), seed).iter().map(|x| x * scale).collect();
                    let mut gradient = vec![0.0; params.len()];
                    let objective =
                        problem.gradient(&params, &mut gradient) + problem.lasso(&params);
                    let bound = duality.gap(&params, objective, &gradient);
                    let gap = objective - best;
                    assert!(bound >= gap - 1e-12, "{head:?} {l2} {l1}: {bound} {gap}");
                    assert!(bound <= objective, "{bound} {objective}");
                }
            }
        }
    }
}

#[test]
fn bounds_close_with_the_gap() {
    let table = Table::new(160);
    let design = table.design();
    let labels = table.labels(3);
    let data = data(&design, &labels, 3);
    for (method, l2, l1) in [
        (Method::Gd, 0.05, 0.0),
        (Method::Newton, 0.05, 0.0),
        (Method::Saga, 0.05, 0.0),
        (Method::Cd, 0.0, 0.02),
        (Method::Cd, 0.01, 0.01),
    ] {
        let fitted = trainer(method, l2, l1).fit(&data, unobserved).unwrap();
        let solution = &fitted.solution;
        assert_eq!(solution.stop, Stop::Tolerance, "{method:?} {}", solution.gap);
        assert!(solution.is_bound && solution.gap <= 1e-12);
    }
}

/// The intercept of a class without rows has no minimum, but its infimum is bounded as well.
#[test]
fn bounds_close_without_any_row_of_a_class() {
    let table = Table::new(160);
    let design = table.design();
    let labels = table.labels(3);
    for head in [Head::Softmax, Head::Sigmoid] {
        for (method, l2, l1) in
            [(Method::Newton, 0.05, 0.0), (Method::Lbfgs, 0.05, 0.0), (Method::Cd, 0.01, 0.02)]
        {
            let trainer = Trainer { head, ..trainer(method, l2, l1) };
            let fitted = trainer.fit(&data(&design, &labels, 4), unobserved).unwrap();
            let solution = &fitted.solution;
            assert!(solution.is_bound && solution.gap <= 1e-10, "{method:?} {head:?} {solution:?}");
            let fewer = trainer.fit(&data(&design, &labels, 3), unobserved).unwrap();
            assert!(fitted.objective >= fewer.objective * (1.0 - 1e-12));
            assert!(fitted.objective <= fewer.objective * (1.0 + 1e-9));
        }
    }
}

#[test]
fn order_of_features_does_not_matter() {
    const COEFFICIENTS: f64 = 1e-8;
    let n = 90;
    let x = numbers(n * 4, 41);
    let order = [2, 0, 3, 1];
    let moved: Vec<f64> = (0..n).flat_map(|i| order.map(|j| x[i * 4 + j])).collect();
    let labels: Vec<u32> = (0..n).map(|i| (x[4 * i].abs() * 3.0) as u32).collect();
    for (method, l2, l1) in cases() {
        let fit = |x: &[f64]| {
            let design = Design::new(vec![Block::F64(View::rows_of(x, 4).unwrap())]).unwrap();
            to_the_end(trainer(method, l2, l1)).fit(&data(&design, &labels, 3), unobserved).unwrap()
        };
        let (a, b) = (fit(&x).coefficients, fit(&moved).coefficients);
        let m = a.n_outputs;
        for (to, from) in order.into_iter().enumerate() {
            for k in 0..m {
                let far = (b.coef[to * m + k] - a.coef[from * m + k]).abs();
                assert!(far <= COEFFICIENTS, "{method:?} {far:e}");
            }
        }
    }
}

/// Each convex method with a ridge, a lasso or both.
fn cases() -> Vec<(Method, f64, f64)> {
    let ridge = SMOOTH.map(|method| (method, 0.05, 0.0));
    let lasso = LASSO.map(|method| (method, 0.01, 0.02));
    ridge.into_iter().chain(lasso).collect()
}

#[test]
fn names_of_classes_do_not_matter() {
    const COEFFICIENTS: f64 = 1e-8;
    let table = Table::new(120);
    let design = table.design();
    let labels = table.labels(3);
    let names = [1, 2, 0];
    let renamed: Vec<u32> = labels.iter().map(|&c| names[c as usize]).collect();
    for (method, l2, l1) in cases() {
        let fit = |labels: &[u32]| {
            to_the_end(trainer(method, l2, l1)).fit(&data(&design, labels, 3), unobserved).unwrap()
        };
        let (a, b) = (fit(&labels).coefficients, fit(&renamed).coefficients);
        for j in 0..design.n_features() {
            for (k, name) in names.into_iter().enumerate() {
                let far = (b.coef[j * 3 + name as usize] - a.coef[j * 3 + k]).abs();
                assert!(far <= COEFFICIENTS, "{method:?} {far:e}");
            }
        }
    }
}

#[test]
fn whole_weights_are_repeated_rows() {
    const COEFFICIENTS: f64 = 1e-8;
    let n = 60;
    let x = numbers(n * 3, 51);
    let labels: Vec<u32> = (0..n).map(|i| (x[3 * i].abs() * 3.0) as u32).collect();
    let weights: Vec<f64> = (0..n).map(|i| f64::from((i % 4) as u32)).collect();
    let repeated: Vec<usize> = (0..n).flat_map(|i| std::iter::repeat_n(i, i % 4)).collect();
    let many: Vec<f64> = repeated.iter().flat_map(|&i| x[3 * i..3 * i + 3].to_vec()).collect();
    let many_labels: Vec<u32> = repeated.iter().map(|&i| labels[i]).collect();
    let design = Design::new(vec![Block::F64(View::rows_of(&x, 3).unwrap())]).unwrap();
    let many = Design::new(vec![Block::F64(View::rows_of(&many, 3).unwrap())]).unwrap();
    for (method, l2, l1) in cases() {
        let trainer = to_the_end(trainer(method, l2, l1));
        let weighted = Data { weights: Some(&weights), ..data(&design, &labels, 3) };
        let a = trainer.fit(&weighted, unobserved).unwrap();
        let b = trainer.fit(&data(&many, &many_labels, 3), unobserved).unwrap();
        let far = farthest(&a.coefficients, &b.coefficients);
        assert!(far <= COEFFICIENTS, "{method:?} {far:e}");
    }
}

/// Few steps of every method, over enough rows for threads to be used.
#[test]
fn threads_do_not_matter_to_any_solver() {
    let n = 6000;
    let x = numbers(n * 8, 61);
    let labels: Vec<u32> = (0..n).map(|i| (x[8 * i].abs() * 3.0) as u32).collect();
    let design = Design::new(vec![Block::F64(View::rows_of(&x, 8).unwrap())]).unwrap();
    for method in Method::ALL {
        let l1 = if method == Method::Cd { 0.01 } else { 0.0 };
        let fit = |threads| {
            let limits = Limits { max_iterations: 3, ..Limits::default() };
            let trainer =
                Trainer { threads, limits, batch_size: 2000, ..trainer(method, 0.01, l1) };
            trainer.fit(&data(&design, &labels, 3), unobserved).unwrap()
        };
        let (one, three) = (fit(1), fit(3));
        assert_eq!(one.solution.params, three.solution.params, "{method:?}");
        assert_eq!(one.solution.gap, three.solution.gap, "{method:?}");
    }
}

#[test]
fn resumed_runs_end_with_the_same_bits() {
    let table = Table::new(90);
    let design = table.design();
    let labels = table.labels(3);
    let data = data(&design, &labels, 3);
    let lasso =
        [Method::Gd, Method::Sgd, Method::Saga, Method::Cd].map(|method| (method, 0.0, 0.01));
    let ridge = Method::ALL.map(|method| (method, 0.01, 0.0));
    for (method, l2, l1) in ridge.into_iter().chain(lasso) {
        let limits = Limits { tolerance: 1e-12, max_iterations: 30 };
        let trainer = Trainer { limits, ..trainer(method, l2, l1) };
        let mut states: Vec<State> = Vec::new();
        let whole = trainer
            .fit(&data, |iteration| {
                states.push(iteration.state());
                Flow::Continue
            })
            .unwrap();
        assert!(states.len() > 1, "{method:?}");
        for (k, state) in states.iter().enumerate() {
            let stopped = trainer
                .fit(&data, |i| if i.number == k { Flow::Stop } else { Flow::Continue })
                .unwrap();
            assert_eq!(stopped.solution.iterations, k);
            assert!(state.numbers.iter().all(|(_, x)| x.is_finite()), "{state:?}");
            let resumed = trainer.resume(&data, state, unobserved).unwrap();
            let (a, b) = (&whole.solution, &resumed.solution);
            assert_eq!(a.params, b.params, "{method:?} from {k}");
            assert_eq!(
                (a.objective, a.gap, a.stop),
                (b.objective, b.gap, b.stop),
                "{method:?} {k}"
            );
            assert_eq!((a.iterations, a.passes), (b.iterations, b.passes), "{method:?} {k}");
            assert_eq!(whole.coefficients, resumed.coefficients);
        }
    }
}

#[test]
fn states_that_do_not_fit_are_refused() {
    let table = Table::new(90);
    let design = table.design();
    let labels = table.labels(2);
    let data = data(&design, &labels, 2);
    for method in Method::ALL {
        let trainer = trainer(method, 0.01, 0.0);
        let mut state = State::default();
        let stop = |i: &super::Iteration<'_>| {
            state = i.state();
            if i.number == 1 { Flow::Stop } else { Flow::Continue }
        };
        trainer.fit(&data, stop).unwrap();
        let refused = |state: &State| {
            let error = trainer.resume(&data, state, unobserved).unwrap_err();
            assert!(matches!(error, Error::State(_)), "{error:?}");
            error.to_string()
        };
        let mut other = state.clone();
        other.method = "simplex".to_owned();
        assert!(refused(&other).contains("a state of simplex"));
        let mut short = state.clone();
        short.vectors[0].1.pop();
        assert!(refused(&short).contains("vector params has 11 numbers, 12 finite ones"));
        let mut bad = state.clone();
        bad.vectors[0].1[3] = f64::NAN;
        refused(&bad);
        let mut less = state.clone();
        less.numbers.clear();
        assert!(refused(&less).contains("number passes is missing"));
        // Nor may a number that no run writes end it otherwise than with an error or a result.
        for i in 0..state.numbers.len() {
            let mut wrong = state.clone();
            wrong.numbers[i].1 = -1.0;
            let _ = trainer.resume(&data, &wrong, unobserved);
        }
    }
}

/// One input of 1, target 0: the neuron of Nielsen, Neural Networks and Deep Learning, chapter 3. Expected numbers from a plain
/// loop in double precision and, to 50 digits, in mpmath.
#[test]
fn slow_start_of_squared_error() {
    let x = [1.0];
    let design = Design::new(vec![Block::F64(View::rows_of(&x, 1).unwrap())]).unwrap();
    let cases = [
        // w, b, loss, outputs after 0, 50, 100, 150 and 300 steps, steps to below 0.5, 0.1
        (
            0.6,
            0.9,
            Loss::SquaredError,
            [0.8175744762, 0.387010, 0.210996, 0.152740, 0.0939556949],
            [36, 273],
        ),
        (
            0.6,
            0.9,
            Loss::CrossEntropy,
            [0.8175744762, 0.079215, 0.037126, 0.024065, 0.0116382090],
            [8, 41],
        ),
        (
            2.0,
            2.0,
            Loss::SquaredError,
            [0.9820137900, 0.975933, 0.964131, 0.933417, 0.2028484243],
            [232, 469],
        ),
        (
            2.0,
            2.0,
            Loss::CrossEntropy,
            [0.9820137900, 0.098504, 0.041072, 0.025685, 0.0120087415],
            [17, 50],
        ),
    ];
    let digits = [5e-11, 5e-7, 5e-7, 5e-7, 5e-11];
    for (w, b, loss, outputs, reached) in cases {
        let start = Coefficients {
            coef: vec![w],
            intercept: vec![b],
            n_outputs: 1,
            has_reference: true,
            head: Head::Sigmoid,
        };
        let trainer = Trainer {
            head: Head::Sigmoid,
            loss,
            method: Method::Gd,
            learning_rate: Some(0.15),
            raw_coordinates: true,
            start: Some(start),
            limits: Limits { max_iterations: 500, ..Limits::default() },
            ..Trainer::default()
        };
        let mut ways = Vec::new();
        let mut slopes = Vec::new();
        trainer
            .fit(&data(&design, &[0], 2), |iteration| {
                ways.push(iteration.params.to_vec());
                slopes.push(iteration.gradient_norm);
                assert_eq!(
                    iteration.error_rate(),
                    f64::from(u8::from(iteration.params.iter().sum::<f64>() > 0.0))
                );
                Flow::Continue
            })
            .unwrap();
        let a: Vec<f64> = ways.iter().map(|u| xent::information::sigmoid(u[0] + u[1])).collect();
        for ((step, expected), digits) in
            [0, 50, 100, 150, 300].into_iter().zip(outputs).zip(digits)
        {
            assert!((a[step] - expected).abs() <= digits, "{w} {loss:?} {step}: {}", a[step]);
        }
        for (step, level) in reached.into_iter().zip([0.5, 0.1]) {
            assert!(a[step - 1] >= level && a[step] < level, "{w} {loss:?} {step}");
        }
        // Both coordinates have the same slope, that of the score.
        let slope = slopes[0] / 2_f64.sqrt();
        let expected = match (loss, w == 2.0) {
            (Loss::SquaredError, false) => 0.1219383324,
            (Loss::SquaredError, true) => 0.0173450211,
            _ => outputs[0],
        };
        assert!((slope - expected).abs() < 5e-11, "{slope} {expected}");
        // The step itself: w -= rate * gradient, bit by bit.
        let scaling = Scaling::identity(&design);
        let data = data(&design, &[0], 2);
        let problem =
            Problem::new(data, &scaling, Head::Sigmoid, loss, &Penalty::default(), true).unwrap();
        let mut u = vec![w, b];
        let mut gradient = vec![0.0; 2];
        for way in &ways {
            assert_eq!(*way, u);
            problem.gradient(&u, &mut gradient);
            u.iter_mut().zip(&gradient).for_each(|(u, g)| *u -= 0.15 * g);
        }
    }
}

/// What no minimum can be found for is still fit to be watched, from a given start.
#[test]
fn gradient_descent_goes_on_from_any_start() {
    let x = [3.0, 1.0, 3.0, 2.0];
    let design = Design::new(vec![Block::F64(View::rows_of(&x, 2).unwrap())]).unwrap();
    let start = Coefficients {
        coef: vec![0.5, -0.5],
        intercept: vec![0.1],
        n_outputs: 1,
        has_reference: true,
        head: Head::Softmax,
    };
    for method in Method::ALL {
        let limits = Limits { max_iterations: 5, ..Limits::default() };
        let mut trainer = Trainer { method, limits, ..Trainer::default() };
        let error = trainer.fit(&data(&design, &[1, 1], 2), unobserved).unwrap_err();
        assert_eq!(error, Error::OneClass { class: 1 });
        trainer.start = Some(start.clone());
        let fitted = trainer.fit(&data(&design, &[1, 1], 2), unobserved);
        if method.is_for_watching() {
            let fitted = fitted.unwrap();
            assert_eq!(fitted.solution.stop, Stop::Iterations);
            assert!(fitted.objective < 0.3, "{}", fitted.objective);
        } else {
            assert_eq!(fitted.unwrap_err(), error);
        }
    }
}

#[test]
fn gradient_descent_estimates_its_gap() {
    let table = Table::new(400);
    let design = table.design();
    let labels = table.labels(2);
    let data = data(&design, &labels, 2);
    let best = trainer(Method::Newton, 0.0, 0.0).fit(&data, unobserved).unwrap().objective;
    let limits = Limits { tolerance: 1e-7, max_iterations: 20_000 };
    let fitted =
        Trainer { limits, ..trainer(Method::Gd, 0.0, 0.0) }.fit(&data, unobserved).unwrap();
    let gap = (fitted.objective - best) / best;
    assert_eq!(fitted.solution.stop, Stop::Tolerance);
    assert!(!fitted.solution.is_bound);
    assert!(gap > 0.3e-7 && gap < 3e-7, "{gap:e}");
}

/// A batch of all rows is gradient descent.
#[test]
fn stochastic_descent_in_one_batch_is_gradient_descent() {
    const ABSOLUTE: f64 = 1e-13;
    let table = Table::new(100);
    let design = table.design();
    let labels = table.labels(3);
    let data = data(&design, &labels, 3);
    let limits = Limits { max_iterations: 20, ..Limits::default() };
    let one = Trainer { limits, learning_rate: Some(0.1), ..trainer(Method::Gd, 0.01, 0.01) };
    let other = Trainer {
        method: Method::Sgd,
        batch_size: 1000,
        schedule: Schedule::Constant,
        ..one.clone()
    };
    let (a, b) = (one.fit(&data, unobserved).unwrap(), other.fit(&data, unobserved).unwrap());
    assert!(farthest(&a.coefficients, &b.coefficients) < ABSOLUTE);
}

#[test]
fn stochastic_descent_comes_near() {
    let table = Table::new(400);
    let design = table.design();
    let labels = table.labels(3);
    let weights: Vec<f64> = numbers(400, 71).iter().map(|x| x + 1.2).collect();
    let data = Data { weights: Some(&weights), ..data(&design, &labels, 3) };
    let best = trainer(Method::Newton, 0.01, 0.0).fit(&data, unobserved).unwrap().objective;
    let limits = Limits { max_iterations: 300, ..Limits::default() };
    let sgd = Trainer { limits, batch_size: 10, ..trainer(Method::Sgd, 0.01, 0.0) };
    let fitted = sgd.fit(&data, unobserved).unwrap();
    assert!(fitted.solution.is_bound && fitted.solution.gap < 0.02, "{}", fitted.solution.gap);
    assert!((fitted.objective - best) / best < 1e-3, "{} {best}", fitted.objective);
    let other = Trainer { seed: 1, ..sgd }.fit(&data, unobserved).unwrap();
    assert_ne!(fitted.coefficients, other.coefficients);
}

#[test]
fn rates_follow_their_schedules() {
    let schedules = [
        (Schedule::Constant, [2.0, 2.0]),
        (Schedule::Inverse { decay: 0.5 }, [2.0, 0.8]),
        (Schedule::InverseRoot { decay: 1.0 }, [2.0, 1.0]),
        (Schedule::Exponential { factor: 0.5 }, [2.0, 0.25]),
    ];
    for (schedule, expected) in schedules {
        let rates = [0, 3].map(|epoch| schedule.rate(2.0, epoch));
        assert!(
            (rates[0] - expected[0]).abs() < 1e-15 && (rates[1] - expected[1]).abs() < 1e-15,
            "{schedule:?} {rates:?}"
        );
    }
}

#[test]
fn what_a_method_cannot_do_it_says() {
    let table = Table::new(50);
    let design = table.design();
    let labels = table.labels(2);
    let data = data(&design, &labels, 2);
    for method in [Method::Lbfgs, Method::Newton, Method::NewtonCg, Method::Irls] {
        let error = trainer(method, 0.0, 0.1).fit(&data, unobserved).unwrap_err();
        let expected = format!("{} cannot do a lasso: cd, saga, gd and sgd can", method.name());
        assert_eq!(error.to_string(), expected);
    }
    for method in [Method::Newton, Method::Irls, Method::Saga, Method::Cd] {
        let trainer = Trainer { loss: Loss::SquaredError, ..trainer(method, 0.1, 0.0) };
        let error = trainer.fit(&data, unobserved).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{} cannot do squared error: gd, sgd, lbfgs and newton-cg can", method.name())
        );
    }
    let wrong = [
        Trainer { learning_rate: Some(0.0), ..trainer(Method::Gd, 0.0, 0.0) },
        Trainer { learning_rate: Some(f64::NAN), ..trainer(Method::Saga, 0.0, 0.0) },
        Trainer { batch_size: 0, ..trainer(Method::Sgd, 0.0, 0.0) },
        Trainer { schedule: Schedule::Inverse { decay: -1.0 }, ..trainer(Method::Sgd, 0.0, 0.0) },
        Trainer { raw_coordinates: true, ..trainer(Method::Gd, 0.1, 0.0) },
        // What a method does not use is checked as well.
        Trainer { learning_rate: Some(-1.0), ..Trainer::default() },
        Trainer { batch_size: 0, ..Trainer::default() },
        Trainer { class_weights: vec![1.0, -1.0], ..Trainer::default() },
        Trainer {
            limits: Limits { tolerance: f64::NAN, max_iterations: 10 },
            ..Trainer::default()
        },
        trainer(Method::Auto, f64::INFINITY, 0.0),
    ];
    for trainer in wrong {
        let error = trainer.fit(&data, unobserved).unwrap_err();
        assert!(matches!(error, Error::Parameter { .. }), "{error}");
    }
    let fitted = trainer(Method::Auto, 0.1, 0.0).fit(&data, unobserved).unwrap();
    let mut start = fitted.coefficients;
    start.coef.pop();
    for method in Method::ALL {
        let trainer = Trainer { start: Some(start.clone()), ..trainer(method, 0.1, 0.0) };
        let error = trainer.fit(&data, unobserved).unwrap_err();
        assert!(matches!(error, Error::Length { .. }), "{error}");
    }
    let wild = Trainer { learning_rate: Some(1e300), ..trainer(Method::Gd, 0.1, 0.0) };
    let error = wild.fit(&data, unobserved).unwrap_err();
    assert!(matches!(error, Error::Numerical(_)), "{error}");
}

/// The raw features lead to the same minimum as the standardised ones.
#[test]
fn coordinates_do_not_move_the_minimum() {
    const COEFFICIENTS: f64 = 1e-8;
    let table = Table::new(120);
    let design = table.design();
    let labels = table.labels(3);
    let data = data(&design, &labels, 3);
    // Gradient descent gets there too, but slowly: its way is what the coordinates change most.
    for (method, l2, l1) in cases().into_iter().filter(|(method, ..)| *method != Method::Gd) {
        let mut trainer = to_the_end(trainer(method, l2, l1));
        trainer.penalty.standardized = false;
        let a = trainer.fit(&data, unobserved).unwrap();
        trainer.raw_coordinates = true;
        let b = trainer.fit(&data, unobserved).unwrap();
        let far = farthest(&a.coefficients, &b.coefficients);
        assert!(far <= COEFFICIENTS, "{method:?} {far:e}");
    }
}

/// Collinear columns: the same predictions, and no coefficient runs away.
#[test]
fn redundant_columns_do_no_harm() {
    const OBJECTIVE: f64 = 1e-12;
    let n = 80;
    let x = numbers(n * 2, 81);
    let twice: Vec<f64> =
        (0..n).flat_map(|i| [x[2 * i], x[2 * i + 1], x[2 * i] + x[2 * i + 1]]).collect();
    let labels: Vec<u32> = (0..n).map(|i| (numbers(n, 82)[i] + x[2 * i] > 0.0).into()).collect();
    let fit = |x: &[f64], width, method| {
        let design = Design::new(vec![Block::F64(View::rows_of(x, width).unwrap())]).unwrap();
        trainer(method, 0.0, 0.0).fit(&data(&design, &labels, 2), unobserved).unwrap()
    };
    let expected = fit(&x, 2, Method::Newton).objective;
    for method in [Method::Newton, Method::Irls, Method::NewtonCg, Method::Lbfgs, Method::Cd] {
        let fitted = fit(&twice, 3, method);
        assert!(
            (fitted.objective - expected).abs() <= OBJECTIVE,
            "{method:?} {}",
            fitted.objective - expected
        );
        assert!(fitted.coefficients.coef.iter().all(|x| x.abs() < 50.0), "{method:?}");
    }
}

#[test]
fn states_are_plain_and_named() {
    let table = Table::new(40);
    let design = table.design();
    let labels = table.labels(2);
    let scaling = Scaling::measure(&design, None, true, 1).unwrap();
    let data = data(&design, &labels, 2);
    let problem =
        Problem::new(data, &scaling, Head::Softmax, Loss::CrossEntropy, &Penalty::default(), true)
            .unwrap();
    let gd = Gd { rate: Some(0.1) };
    let limits = Limits { tolerance: 0.0, max_iterations: 2 };
    let mut last = State::default();
    let start = vec![0.0; problem.n_params()];
    let solution = gd
        .solve_from(&problem, Begin::Start(start), &limits, &mut |i| {
            last = i.state();
            Flow::Continue
        })
        .unwrap();
    assert_eq!((&last.method[..], last.iteration), ("gd", 2));
    assert_eq!(last.vector("params"), Some(&solution.params[..]));
    assert_eq!(last.number("rate"), Some(0.1));
    assert_eq!(last.number("passes"), Some(3.0));
    assert_eq!(last.vector("memory"), None);
    let more = Limits { max_iterations: 3, ..limits };
    let resumed =
        gd.solve_from(&problem, Begin::State(&last), &more, &mut |i| unobserved(i)).unwrap();
    assert_eq!(resumed.iterations, 3);
}

/// A feature that is the same in every row that counts has a coefficient of 0, and moves no other.
#[test]
fn constant_features_have_no_part_in_it() {
    let table = Table::new(300);
    let design = table.design();
    let labels = table.labels(3);
    // The last row does not count, so that it may differ.
    let mut weights = vec![1.0; 300];
    weights[299] = 0.0;
    let mut constant = vec![7.25; 300];
    constant[299] = -1.0;
    let zeros = vec![0_u8; 300];
    let mut blocks = vec![Block::F64(View::rows_of(&constant, 1).unwrap())];
    blocks.extend(design.blocks().iter().cloned());
    blocks.push(Block::U8(View::rows_of(&zeros, 1).unwrap()));
    let wide = Design::new(blocks).unwrap();
    let free = [Method::Auto, Method::Lbfgs, Method::Newton, Method::NewtonCg, Method::Irls];
    let free = free.into_iter().map(|method| (method, 0.0, 0.0));
    for (method, l2, l1) in cases().into_iter().chain(free) {
        let trainer = trainer(method, l2, l1);
        let fit = |design: &Design<'_>| {
            let data = Data { weights: Some(&weights), ..data(design, &labels, 3) };
            trainer.fit(&data, unobserved).unwrap()
        };
        let (narrow, wide) = (fit(&design), fit(&wide));
        let m = wide.coefficients.n_outputs;
        assert!(wide.scaling.constants.iter().map(|c| c.0).eq([0, wide.scaling.center.len() - 1]));
        let (first, rest) = wide.coefficients.coef.split_at(m);
        let (others, last) = rest.split_at(rest.len() - m);
        assert!(first.iter().chain(last).all(|&coef| coef == 0.0), "{method:?}");
        let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-5 * (1.0 + b.abs());
        assert!(others.iter().zip(&narrow.coefficients.coef).all(close), "{method:?}");
        let objectives = (wide.objective - narrow.objective).abs() / narrow.objective;
        assert!(objectives < 1e-9, "{method:?} {objectives}");
    }
}

/// Predictions from the coefficients are those of the objective.
#[test]
fn fitted_models_predict_what_they_were_fitted_to() {
    let table = Table::new(150);
    let design = table.design();
    for (k, head, l2) in [
        (2_usize, Head::Softmax, 0.0),
        (3, Head::Softmax, 0.0),
        (3, Head::Softmax, 0.1),
        (3, Head::Sigmoid, 0.1),
    ] {
        let labels = table.labels(k);
        let data = data(&design, &labels, k);
        let trainer = Trainer { head, ..trainer(Method::Lbfgs, l2, 0.0) };
        let fitted = trainer.fit(&data, unobserved).unwrap();
        let proba = fitted.predict_proba(&design).unwrap();
        assert_eq!(fitted.scores(&design).unwrap().len(), 150 * fitted.coefficients.n_outputs);
        let problem =
            Problem::new(data, &fitted.scaling, head, trainer.loss, &trainer.penalty, true)
                .unwrap();
        problem.predict(&problem.params(&fitted.coefficients), |row, p| {
            let own = &proba[row * k..][..k];
            let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * b;
            assert!(own.iter().zip(p).all(close), "{own:?} {p:?}");
        });
        let narrow = Design::new(design.blocks()[..1].to_vec()).unwrap();
        assert!(matches!(fitted.scores(&narrow), Err(Error::Length { .. })));
    }
}
