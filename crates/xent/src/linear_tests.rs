use super::*;
use crate::exact::ExactSum;

/// A loss from its logits, in units of 2^-24 of itself.
const ULPS_LOSS: f64 = 5.0;
/// A gradient for a logit, likewise.
const ULPS_TERM: f64 = 8.0;
const UNIT: f64 = 1.0 / 16_777_216.0;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    fn numbers(&mut self, n: usize, size: f32) -> Vec<f32> {
        (0..n).map(|_| ((self.next() & 0xffff) as f32 / 32768.0 - 1.0) * size).collect()
    }
}

/// A layer with its memory.
struct Case {
    n: usize,
    v: usize,
    d: usize,
    x: Vec<f32>,
    w: Vec<f32>,
    b: Option<Vec<f32>>,
    labels: Vec<u32>,
}

impl Case {
    fn random(random: &mut Random, (n, v, d): (usize, usize, usize), size: f32) -> Self {
        let x = random.numbers(n * d, 1.0);
        let w = random.numbers(v * d, size);
        let b = (random.below(2) == 0).then(|| random.numbers(v, size));
        let labels = (0..n).map(|_| random.below(v) as u32).collect();
        Self { n, v, d, x, w, b, labels }
    }

    fn layer(&self) -> Linear<'_> {
        Linear {
            x: View::strided(&self.x, self.n, self.d, self.d, 1).unwrap(),
            weight: View::strided(&self.w, self.v, self.d, self.d, 1).unwrap(),
            bias: self.b.as_deref(),
        }
    }

    /// The definition of the logits' bits.
    fn logits(&self, row: usize) -> Vec<f64> {
        let chain = |c: usize| {
            let bias = self.b.as_ref().map_or(0.0, |b| b[c]);
            (0..self.d)
                .fold(bias, |sum, k| self.x[row * self.d + k].mul_add(self.w[c * self.d + k], sum))
        };
        (0..self.v).map(|c| f64::from(chain(c))).collect()
    }

    fn run(&self, options: &Options<'_>, scale: Scale<'_>) -> Outcome {
        let mut out = Outcome::new(self);
        let wanted = Wanted {
            losses: Some(&mut out.losses),
            x: Some(ViewMut::strided(&mut out.dx, self.n, self.d, self.d, 1).unwrap()),
            weight: Some(WeightGradient {
                weight: ViewMut::strided(&mut out.dw, self.v, self.d, self.d, 1).unwrap(),
                bias: Some(&mut out.db),
                add: false,
            }),
        };
        let mut workspace = Workspace::new();
        out.total = linear_cross_entropy(
            &self.layer(),
            &self.labels,
            options,
            scale,
            wanted,
            &mut workspace,
        )
        .unwrap();
        out
    }
}

struct Outcome {
    losses: Vec<f64>,
    dx: Vec<f32>,
    dw: Vec<f32>,
    db: Vec<f64>,
    total: Total,
}

impl Outcome {
    fn new(case: &Case) -> Self {
        Self {
            losses: vec![-7.0; case.n],
            dx: vec![-7.0; case.n * case.d],
            dw: vec![-7.0; case.v * case.d],
            db: vec![-7.0; case.v],
            total: Total::default(),
        }
    }

    fn assert_same(&self, other: &Self, what: &str) {
        let bits32 = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let bits64 = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits64(&self.losses), bits64(&other.losses), "losses, {what}");
        assert_eq!(bits32(&self.dx), bits32(&other.dx), "dx, {what}");
        assert_eq!(bits32(&self.dw), bits32(&other.dw), "dw, {what}");
        assert_eq!(bits64(&self.db), bits64(&other.db), "db, {what}");
        let sums = [self, other].map(|o| o.total.loss.value().to_bits());
        assert_eq!(sums[0], sums[1], "sum, {what}");
    }
}

/// Loss and gradient of one row of logits in f64, nothing cancelling.
fn row_of(logits: &[f64], y: usize) -> (f64, Vec<f64>) {
    let others = |f: &dyn Fn(f64) -> f64| {
        logits.iter().enumerate().filter(|&(c, _)| c != y).map(|(_, &z)| f(z)).sum::<f64>()
    };
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = logits.iter().map(|z| (z - max).exp()).sum();
    let ratio = others(&|z| (z - logits[y]).exp());
    let loss = if ratio < 1e300 { ratio.ln_1p() } else { total.ln() + max - logits[y] };
    let mut gradient: Vec<f64> = logits.iter().map(|z| (z - max).exp() / total).collect();
    gradient[y] = -others(&|z| (z - max).exp()) / total;
    (loss, gradient)
}

/// Every output against the definition in f64.
fn check(case: &Case, options: &Options<'_>, scale: Scale<'_>) -> Outcome {
    let out = case.run(options, scale);
    let (n, v, d) = (case.n, case.v, case.d);
    let mut dw = vec![(0.0, 0.0); v * d];
    let mut db = vec![(0.0, 0.0); v];
    let (mut sum, mut weights) = (ExactSum::default(), ExactSum::default());
    let context = format!("{n} x {d} x {v}");
    for i in 0..n {
        if options.ignore == Some(case.labels[i]) {
            assert_eq!(out.losses[i], 0.0);
            assert!(out.dx[i * d..(i + 1) * d].iter().all(|&g| g == 0.0));
            continue;
        }
        let weight = options.row_weights.map_or(1.0, |w| w[i]);
        let scale = weight
            * match scale {
                Scale::All(scale) => scale,
                Scale::Rows(scales) => scales[i],
            };
        let (loss, g) = row_of(&case.logits(i), case.labels[i] as usize);
        let distance = (out.losses[i] - loss).abs();
        assert!(distance <= ULPS_LOSS * UNIT * loss, "{context}, {i}: {} {loss}", out.losses[i]);
        sum.add_product(weight, out.losses[i]);
        weights.add(weight);
        for k in 0..d {
            let parts = (0..v).map(|c| scale * g[c] * f64::from(case.w[c * d + k]));
            let (dx, size) = parts.fold((0.0, 0.0), |(s, t), part| (s + part, t + part.abs()));
            let bound = (v as f64 + ULPS_TERM) * UNIT * size + 1e-44;
            let mine = f64::from(out.dx[i * d + k]);
            assert!((mine - dx).abs() <= bound, "{context}, dx {i} {k}: {mine:e} {dx:e}");
            for c in 0..v {
                let part = scale * g[c] * f64::from(case.x[i * d + k]);
                dw[c * d + k].0 += part;
                dw[c * d + k].1 += part.abs();
            }
        }
        for c in 0..v {
            db[c].0 += scale * g[c];
            db[c].1 += (scale * g[c]).abs();
        }
    }
    for (j, (expected, size)) in dw.into_iter().enumerate() {
        let bound = (n as f64 + ULPS_TERM) * UNIT * size + 1e-44;
        let mine = f64::from(out.dw[j]);
        assert!((mine - expected).abs() <= bound, "{context}, dw {j}: {mine:e} {expected:e}");
    }
    for (c, (expected, size)) in db.into_iter().enumerate() {
        let bound = ULPS_TERM * UNIT * size + 1e-44;
        assert!(
            (out.db[c] - expected).abs() <= bound,
            "{context}, db {c}: {} {expected}",
            out.db[c]
        );
    }
    assert_eq!(out.total.loss.value().to_bits(), sum.value().to_bits());
    assert_eq!(out.total.weight.value(), weights.value());
    out
}

#[test]
fn against_the_definition() {
    let mut random = Random(1);
    let shapes = [
        (1, 1, 1),
        (1, 2, 1),
        (7, 3, 5),
        (13, TILE - 1, 3),
        (9, TILE, 4),
        (5, TILE + 1, 40),
        (130, 1000, 17),
        (40, 2 * TILE + 64, 2),
    ];
    for shape in shapes {
        for size in [0.1, 3.0, 30.0] {
            let case = Case::random(&mut random, shape, size);
            check(&case, &Options::default(), Scale::All(1.0));
        }
    }
}

#[test]
fn weights_scales_and_ignored_rows() {
    let mut random = Random(2);
    for ignore in [3, 9999] {
        let mut case = Case::random(&mut random, (60, 500, 6), 2.0);
        for i in [0, 17, 18, 59] {
            case.labels[i] = ignore;
        }
        let weights: Vec<f64> = (0..60).map(|i| f64::from(i % 4) * 0.7).collect();
        let scales: Vec<f64> = (0..60).map(|i| 1.5 - 0.1 * f64::from(i)).collect();
        let options =
            Options { row_weights: Some(&weights), ignore: Some(ignore), ..Options::default() };
        let out = check(&case, &options, Scale::Rows(&scales));
        let Total { used, absent, ignored, undefined, .. } = out.total;
        assert_eq!((used + absent + ignored, undefined), (60, 0));
        assert!(absent >= 13 && ignored >= 4);
    }
}

/// NaN in the inputs of a row that does not count made all of the weights' gradient NaN.
#[test]
fn rows_that_do_not_count_leave_nothing_whatever_their_inputs() {
    let mut random = Random(12);
    let (n, v, d) = (40, 450, 3);
    let mut case = Case::random(&mut random, (n, v, d), 2.0);
    let mut weights: Vec<f64> = (0..n).map(|i| 0.5 + f64::from(i as u32)).collect();
    for i in (0..n).step_by(9) {
        weights[i] = 0.0;
    }
    case.labels[20] = 9999;
    let options = Options { row_weights: Some(&weights), ignore: Some(9999), ..Options::default() };
    let counts = |i: usize| weights[i] > 0.0 && i != 20;
    for i in (0..n).filter(|&i| !counts(i)) {
        case.x[i * d..(i + 1) * d].fill(0.0);
    }
    let expected = case.run(&options, Scale::All(1.0));
    for (k, odd) in [f32::NAN, f32::INFINITY, f32::MAX].into_iter().enumerate() {
        for i in (0..n).filter(|&i| !counts(i)) {
            case.x[i * d + k] = odd;
        }
        for scratch in [0, options.scratch] {
            let out = case.run(&Options { scratch, ..options }, Scale::All(1.0));
            let Total { used, absent, ignored, infinite, undefined, .. } = out.total;
            assert_eq!((used, absent, ignored, infinite, undefined), (34, 5, 1, 0, 0));
            assert_eq!((&out.dx, &out.dw, &out.db), (&expected.dx, &expected.dw, &expected.db));
            assert_eq!(out.total.mean(), expected.total.mean());
        }
    }
    let none = vec![0.0; n];
    let options = Options { row_weights: Some(&none), ignore: None, ..options };
    case.labels[20] = 0;
    let out = case.run(&options, Scale::All(1.0));
    assert_eq!(out.total.mean(), Err(crate::per_row::NoMean::ZeroWeight));
    assert!(out.dw.iter().all(|&g| g == 0.0) && out.dx.iter().all(|&g| g == 0.0));
}

/// The scale of terms is set by the first tile; logits that grow from tile to tile change it.
#[test]
fn logits_that_grow_along_the_row() {
    for (step, sign) in [(0.01, 1.0), (0.3, 1.0), (0.3, -1.0), (3.0, 1.0), (3.0, -1.0)] {
        let v = 3 * TILE + 5;
        let case = Case {
            n: 6,
            v,
            d: 2,
            x: [1.0, 0.25].repeat(6),
            w: (0..v).flat_map(|c| [sign * step * c as f32, 0.5]).collect(),
            b: None,
            labels: vec![0, 5, TILE as u32, 2 * TILE as u32 + 1, v as u32 - 2, v as u32 - 1],
        };
        check(&case, &Options::default(), Scale::All(1.0));
    }
}

/// Beyond 262,144 terms are relative to a maximum, which may change kind on the way.
#[test]
fn enormous_logits() {
    let v = 2 * TILE;
    let mut random = Random(3);
    for starts in [[-4e5, 3.0], [3.0, 5e5], [5e5, 3.0], [-1e6, -3e5], [3e5, 3e5], [4e5, 3e6]] {
        let b = (0..v).map(|c| starts[c / TILE] + random.below(7) as f32).collect();
        let labels = (0..8).map(|_| random.below(v) as u32).collect();
        let case = Case { n: 8, v, d: 1, x: vec![0.0; 8], w: vec![1.0; v], b: Some(b), labels };
        check(&case, &Options::default(), Scale::All(1.0));
    }
}

/// The usual form gives 0 for these.
#[test]
fn small_losses_and_their_gradients() {
    for margin in [5.0_f32, 17.0, 20.0, 50.0, 80.0, 86.0] {
        for v in [2, 400, 1000] {
            let mut w = vec![0.0; v];
            w[v / 2] = margin;
            let labels = vec![(v / 2) as u32];
            let case = Case { n: 1, v, d: 1, x: vec![1.0], w, b: None, labels };
            let out = case.run(&Options::default(), Scale::All(1.0));
            let rest = (v - 1) as f64 * (-f64::from(margin)).exp();
            let near = |mine: f64, expected: f64, ulps: f64| {
                let distance = (mine - expected).abs();
                assert!(
                    distance <= ulps * UNIT * expected.abs(),
                    "margin {margin}, {v} classes: {mine:e} for {expected:e}"
                );
            };
            near(out.losses[0], rest.ln_1p(), ULPS_LOSS);
            let missed = rest / (1.0 + rest);
            near(f64::from(out.dx[0]), -f64::from(margin) * missed, ULPS_TERM);
            near(f64::from(out.dw[v / 2]), -missed, ULPS_TERM);
            near(f64::from(out.dw[0]), missed / (v - 1) as f64, ULPS_TERM);
            near(out.db[0], missed / (v - 1) as f64, ULPS_TERM);
        }
    }
    // Down to where f32 ends, and beyond.
    let case = Case {
        n: 3,
        v: 2,
        d: 1,
        x: vec![100.0, 200.0, 1000.0],
        w: vec![1.0, 0.0],
        b: None,
        labels: vec![0; 3],
    };
    let out = case.run(&Options::default(), Scale::All(1e30));
    assert!((out.losses[0] / (-100_f64).exp() - 1.0).abs() < ULPS_LOSS * UNIT);
    assert!((out.losses[1] / (-200_f64).exp() - 1.0).abs() < ULPS_LOSS * UNIT);
    assert!((f64::from(out.dx[0]) / (-1e30 * (-100_f64).exp()) + 0.0 - 1.0).abs() < 1e-6);
    assert_eq!(out.losses[2], 0.0);
    assert_eq!(out.dx[2], 0.0);
}

/// Scratch, parts of the rows, parts of the classes and layouts: none of them is in the bits.
#[test]
fn bits_depend_on_the_numbers_only() {
    let mut random = Random(4);
    let (n, v, d) = (500, 1100, 23);
    let mut case = Case::random(&mut random, (n, v, d), 3.0);
    case.b = Some(random.numbers(v, 100.0));
    for i in (0..n).step_by(11) {
        case.labels[i] = 4242;
    }
    let options = Options { ignore: Some(4242), ..Options::default() };
    let scale = Scale::All(0.125);
    let whole = case.run(&options, scale);
    assert_eq!(kept_rows(options.scratch, n, v, d), Some(500));
    let kept = [
        (0, None),
        (1 << 19, None),
        (1 << 20, Some(72)),
        (2 << 20, Some(168)),
        (4 << 20, Some(252)),
    ];
    for (scratch, kept) in kept {
        assert_eq!(kept_rows(scratch, n, v, d), kept, "{scratch}");
        let out = case.run(&Options { scratch, ..options }, scale);
        out.assert_same(&whole, &format!("scratch {scratch}"));
    }
    // Rows in parts, then classes in parts, every array the other way round.
    let turned = |x: &[f32], rows: usize| {
        let cols = x.len() / rows;
        (0..x.len()).map(|at| x[at % rows * cols + at / rows]).collect::<Vec<_>>()
    };
    let (x, w) = (turned(&case.x, n), turned(&case.w, v));
    let layer = Linear {
        x: View::columns_of(&x, n).unwrap(),
        weight: View::columns_of(&w, v).unwrap(),
        bias: case.b.as_deref(),
    };
    let mut out = Outcome::new(&case);
    let (mut dx, mut dw) = (out.dx.clone(), out.dw.clone());
    let mut workspace = Workspace::new();
    let mut rows = Rows::default();
    for part in [0..1, 1..130, 130..131, 131..500] {
        let layer = Linear { x: layer.x.rows(part.clone()), ..layer };
        let into = ViewMut::columns_of(&mut dx, n).unwrap().rows(part.clone());
        let outputs = (Some(&mut out.losses[part.clone()]), Some(into));
        let labels = &case.labels[part.clone()];
        let (total, softmax) =
            first_sweep(&layer, labels, &options, scale, outputs, &mut workspace).unwrap();
        out.total.merge(&total, part.start);
        rows.append(softmax);
    }
    assert_eq!((rows.len(), rows.is_empty()), (n, false));
    for classes in [0..3, 3..700, 700..1100] {
        let into = ViewMut::columns_of(&mut dw, v).unwrap().rows(classes.clone());
        let bias = Some(&mut out.db[classes.clone()]);
        let gradient = WeightGradient { weight: into, bias, add: false };
        second_sweep(&layer, &rows, classes, gradient, 0, &mut workspace).unwrap();
    }
    let back = |x: &[f32], rows: usize| turned(x, x.len() / rows);
    (out.dx, out.dw) = (back(&dx, n), back(&dw, v));
    out.assert_same(&whole, "parts");
    assert_eq!(out.total.ignored, whole.total.ignored);
}

/// Rows in two calls, the second adding to the gradients of the first.
#[test]
fn gradients_are_added_up_across_calls() {
    let mut random = Random(5);
    let (n, v, d) = (300, 450, 9);
    let case = Case::random(&mut random, (n, v, d), 2.0);
    let whole = case.run(&Options::default(), Scale::All(1.0));
    for scratch in [0, 8 << 20] {
        let mut out = Outcome::new(&case);
        let options = Options { scratch, ..Options::default() };
        for (part, add) in [(0..111, false), (111..111, true), (111..300, true)] {
            let layer = Linear { x: case.layer().x.rows(part.clone()), ..case.layer() };
            let wanted = Wanted {
                losses: Some(&mut out.losses[part.clone()]),
                x: Some(ViewMut::rows_of(&mut out.dx[part.start * d..part.end * d], d).unwrap()),
                weight: Some(WeightGradient {
                    weight: ViewMut::rows_of(&mut out.dw, d).unwrap(),
                    bias: Some(&mut out.db),
                    add,
                }),
            };
            let labels = &case.labels[part.clone()];
            let mut workspace = Workspace::new();
            let total = linear_cross_entropy(
                &layer,
                labels,
                &options,
                Scale::All(1.0),
                wanted,
                &mut workspace,
            );
            out.total.merge(&total.unwrap(), part.start);
        }
        out.assert_same(&whole, "two calls");
    }
}

#[test]
fn no_rows_have_no_gradient() {
    for scratch in [0, 8 << 20] {
        let case = Case::random(&mut Random(6), (0, 5, 3), 1.0);
        let out = case.run(&Options { scratch, ..Options::default() }, Scale::All(1.0));
        assert_eq!(out.dw, [0.0; 15]);
        assert_eq!(out.db, [0.0; 5]);
        assert_eq!(out.total.used, 0);
    }
}

#[test]
fn classes_ruled_out_and_undefined_rows() {
    let v = TILE + 3;
    for scratch in [0, 8 << 20] {
        let mut b = vec![f32::NEG_INFINITY; v];
        (b[1], b[TILE]) = (0.5, -0.5);
        let case = Case {
            n: 3,
            v,
            d: 1,
            x: vec![0.0; 3],
            w: vec![1.0; v],
            b: Some(b),
            labels: vec![1, TILE as u32, 0],
        };
        let options = Options { scratch, ..Options::default() };
        let out = case.run(&options, Scale::All(1.0));
        let p = 1.0 / (1.0 + (-1_f64).exp());
        assert!((out.losses[0] + p.ln()).abs() < 1e-7);
        assert!((out.losses[1] + (1.0 - p).ln()).abs() < 1e-7);
        assert_eq!(out.losses[2], f64::INFINITY);
        assert_eq!((out.total.infinite, out.total.undefined), (1, 0));
        // Gradients of the row of infinite loss are finite: p - 1 at a p of 0.
        assert_eq!(out.db[0], -1.0);
        assert_eq!(out.db[2], 0.0);
        assert!((out.db[1] - (3.0 * p - 1.0)).abs() < 1e-6);

        // All but the target: the loss is 0. All: there is no softmax.
        let mut b = vec![f32::NEG_INFINITY; v];
        b[7] = 3.0;
        let case = Case { b: Some(b), labels: vec![7; 3], ..case };
        let out = case.run(&options, Scale::All(1.0));
        assert_eq!(out.losses, [0.0; 3]);
        assert!(out.db.iter().all(|&g| g == 0.0) && out.dx.iter().all(|&g| g == 0.0));
        let case = Case { b: Some(vec![f32::NEG_INFINITY; v]), ..case };
        assert_eq!(case.run(&options, Scale::All(1.0)).total.undefined, 3);

        // A row that is not a number spoils itself and the weights, not its neighbours.
        for bad in [f32::NAN, f32::INFINITY] {
            let x = vec![0.5, bad, 0.5];
            let case = Case { x, b: None, labels: vec![2; 3], w: vec![1.0; v], ..case };
            let out = case.run(&options, Scale::All(1.0));
            assert!(out.losses[1].is_nan() && out.dx[1].is_nan() && out.dw[5].is_nan());
            assert!(
                (out.losses[0] - (v as f64).ln()).abs() < 1e-6 && out.losses[0] == out.losses[2]
            );
            assert!(out.dx[0].is_finite() && out.dx[2].is_finite());
            assert_eq!((out.total.undefined, out.total.first_undefined), (1, Some(1)));
            assert!(out.total.mean().is_err());
        }
    }
}

#[test]
fn problems_are_found_before_anything_is_written() {
    let case = Case::random(&mut Random(7), (4, 3, 2), 1.0);
    let layer = case.layer();
    let attempt = |layer: &Linear<'_>, labels: &[u32], options: &Options<'_>, sizes: [usize; 5]| {
        let [losses, dx, dw, db, d] = sizes;
        let mut losses = vec![-7.0; losses];
        let (mut dx, mut dw, mut db) = (vec![-7.0; dx * d], vec![-7.0; dw * d], vec![-7.0; db]);
        let wanted = Wanted {
            losses: Some(&mut losses),
            x: Some(ViewMut::rows_of(&mut dx, d).unwrap()),
            weight: Some(WeightGradient {
                weight: ViewMut::rows_of(&mut dw, d).unwrap(),
                bias: Some(&mut db),
                add: false,
            }),
        };
        let mut workspace = Workspace::new();
        let scale = Scale::All(1.0);
        let problem = linear_cross_entropy(layer, labels, options, scale, wanted, &mut workspace);
        let problem = problem.unwrap_err();
        assert!(losses.iter().chain(&db).all(|&x| x == -7.0));
        assert!(dx.iter().chain(&dw).all(|&x| x == -7.0));
        problem
    };
    let right = [4, 4, 3, 3, 2];
    for scratch in [0, 8 << 20] {
        let plain = Options { scratch, ..Options::default() };
        let problem = attempt(&layer, &[0, 1, 3, 2], &plain, right);
        assert_eq!(problem.to_string(), "row 2: label 3 is out of range for 3 classes");
        let ignore = Options { ignore: Some(3), ..plain };
        let problem = attempt(&layer, &[0, 1, 3, 7], &ignore, right);
        assert_eq!(problem, Problem::Label { row: 3, label: 7, n_classes: 3 });
        let weights = [1.0, f64::NAN, 1.0, 1.0];
        let weighted = Options { row_weights: Some(&weights), ..plain };
        assert!(matches!(
            attempt(&layer, &[0; 4], &weighted, right),
            Problem::Weight { index: 1, .. }
        ));
        for (at, wrong) in [(0, 5), (1, 3), (2, 4), (3, 2), (4, 3)] {
            let mut sizes = right;
            sizes[at] = wrong;
            assert!(
                matches!(attempt(&layer, &[0; 4], &plain, sizes), Problem::Shape { .. }),
                "{at}"
            );
        }
        assert!(matches!(attempt(&layer, &[0; 3], &plain, right), Problem::Shape { .. }));
        let short = Linear { bias: Some(&[0.0; 2]), ..layer };
        assert!(matches!(attempt(&short, &[0; 4], &plain, right), Problem::Shape { .. }));
        let other = Linear { weight: layer.weight.cols(0..1), ..layer };
        assert!(matches!(attempt(&other, &[0; 4], &plain, right), Problem::Shape { .. }));
        let none = Linear { weight: layer.weight.rows(0..0), bias: None, ..layer };
        assert_eq!(attempt(&none, &[0; 4], &plain, [4, 4, 0, 0, 2]), Problem::NoClasses);
    }
}

/// Without the caller's arrays, with what the second sweep must know of each row; and memory is
/// reused.
#[test]
fn memory_stays_within_the_scratch() {
    const MIB: usize = 1 << 20;
    let mut random = Random(8);
    let shapes = [
        (2000, 3000, 16, 3 * MIB),
        (2000, 3000, 16, 8 * MIB),
        (150, 900, 700, 3 * MIB),
        (500, 4500, 1024, 3 * MIB),
        (1100, 4000, 64, 5 * MIB),
        (600, 500, 1500, 8 * MIB),
        (3, 3000, 9, 3 * MIB),
    ];
    let mut reused = Workspace::new();
    for (n, v, d, scratch) in shapes {
        let case = Case::random(&mut random, (n, v, d), 1.0);
        let options = Options { scratch, ..Options::default() };
        let run = |workspace: &mut Workspace| {
            let (mut dx, mut dw) = (vec![0.0; n * d], vec![0.0; v * d]);
            let wanted = Wanted {
                losses: None,
                x: Some(ViewMut::rows_of(&mut dx, d).unwrap()),
                weight: Some(WeightGradient {
                    weight: ViewMut::rows_of(&mut dw, d).unwrap(),
                    bias: None,
                    add: false,
                }),
            };
            let (layer, scale) = (case.layer(), Scale::All(1.0));
            linear_cross_entropy(&layer, &case.labels, &options, scale, wanted, workspace).unwrap();
            let rows = if kept_rows(scratch, n, v, d).is_some() { 0 } else { n };
            let used = workspace.bytes() + rows * size_of::<Softmax>();
            assert!(used <= scratch, "{n} x {d} x {v}: {used} bytes of {scratch}");
            workspace.bytes()
        };
        let bytes = run(&mut Workspace::new());
        assert!(bytes > 0);
        run(&mut reused);
    }
}
