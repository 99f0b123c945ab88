//! The two families of recalibrations of many classes, and Newton's method on their log loss.
//!
//! The loss of softmax(θ · f(x)) is convex in θ, and is
//!
//! ```text
//! sum_i W_i ln sum_c exp(θ · f_c(x_i)) - θ · T,     T = sum_i sum_c w_ic f_c(x_i)
//! ```
//!
//! with w_ic the weight of class c under prediction i: the second term is linear, summed once. Predictions lie eight side by side. A
//! part of them comes first where there are many: the minimum of a part is a step or two from that of all.

use super::{LEAST, Recalibration};
use crate::calibration::held::HeldTable;
use crate::elementary::{exp, ln};
use crate::information::log_sum_exp;
use crate::rows::Input;
use crate::simd::leveled;

const LANES: usize = 8;
type Lane = [f64; LANES];

/// Classes that vector scaling is used for at most: its Hessian has 4 k^2 entries.
const VECTOR_CLASSES: usize = 16;
/// Rows for each number of a fit.
const ROWS_A_NUMBER: u64 = 50;
/// What is left to win by the fit, nats a row, at which it ends.
const LEFT: f64 = 1e-13;
/// Steps at most.
const STEPS: usize = 50;
/// Eights of predictions from which on the first of them are fitted first, and how many these are.
const MANY: usize = 1 << 12;
const FIRST: usize = 1 << 10;

enum Family {
    /// Factors, then offsets.
    Vector,
    /// The logarithms of the class frequencies.
    Prior(Vec<f64>),
}

/// A fit: its numbers, and the mean loss there, nats.
pub(super) struct Fitted {
    point: Vec<f64>,
    pub loss: f64,
}

/// The rows of a table as a fit needs them.
pub(super) struct Problem<'a> {
    table: &'a HeldTable,
    k: usize,
    is_vector: bool,
    /// ln p, eight predictions side by side, class after class.
    x: Vec<Lane>,
}

/// Weights of rows: of each prediction, and what is linear in the fit's numbers.
struct Rows {
    weights: Vec<Lane>,
    /// Sum of w x, then of w, class by class.
    linear: Vec<f64>,
    total: f64,
}

impl<'a> Problem<'a> {
    pub fn new(table: &'a HeldTable) -> Self {
        let k = table.n_classes();
        let is_vector =
            k <= VECTOR_CLASSES && table.rows() >= ROWS_A_NUMBER.saturating_mul(2 * k as u64);
        let n = table.len();
        let mut x = vec![[0.0; LANES]; n.div_ceil(LANES) * k];
        for (chunk, lanes) in x.chunks_exact_mut(k).enumerate() {
            for lane in 0..LANES.min(n - chunk * LANES) {
                let row = table.prediction(chunk * LANES + lane);
                lanes.iter_mut().zip(row).for_each(|(x, &number)| x[lane] = number);
            }
            if table.input() == Input::Probabilities {
                logarithms(lanes);
            }
            normalised(lanes);
        }
        Self { table, k, is_vector, x }
    }

    pub fn recalibration(&self) -> Recalibration {
        if self.is_vector {
            Recalibration::VectorScaling
        } else {
            Recalibration::TemperatureAndPrior
        }
    }

    /// The member of least loss on all rows.
    pub fn fit(&self) -> Fitted {
        let weights: Vec<f64> = self.table.all_cells().iter().map(|cell| cell.weight).collect();
        self.fit_to(&weights)
    }

    fn fit_to(&self, weights: &[f64]) -> Fitted {
        let rows = self.rows(weights, self.table.len());
        let family = self.family(&rows);
        let mut point = self.identity();
        if self.x.len() / self.k >= MANY {
            // The table is in no order: its first predictions are a sample.
            let part = self.rows(weights, FIRST * LANES);
            point = self.minimise(&family, &part, point).point;
        }
        let fitted = self.minimise(&family, &rows, point);
        self.rising(fitted, &family, &rows)
    }

    /// A temperature below 0 would turn every prediction round: the class frequencies are then the best.
    fn rising(&self, fitted: Fitted, family: &Family, rows: &Rows) -> Fitted {
        if self.is_vector || fitted.point[0] >= 0.0 {
            return fitted;
        }
        let point = vec![0.0, 1.0];
        let loss = self.pass(family, rows, &point).loss / rows.total;
        Fitted { point, loss }
    }

    /// The loss of each prediction under a fit to all rows, summed over the weight of its rows.
    pub fn totals(&self, fitted: &Fitted) -> Vec<f64> {
        let k = self.k;
        let all: Vec<f64> = self.table.all_cells().iter().map(|cell| cell.weight).collect();
        let family = self.family(&self.rows(&all, self.table.len()));
        let point = &fitted.point;
        let mut z = vec![0.0; k];
        let total = |i: usize| {
            for (c, z) in z.iter_mut().enumerate() {
                let x = self.x[i / LANES * k + c][i % LANES];
                *z = match &family {
                    Family::Vector => point[c] * x + point[k + c],
                    Family::Prior(logs) => point[0] * x + point[1] * logs[c],
                };
            }
            let all = log_sum_exp(&z);
            self.table.outcomes(i).map(|(class, w)| w * (all - z[class as usize])).sum()
        };
        (0..self.table.len()).map(total).collect()
    }

    /// The mean loss of each row under the fit of the other folds.
    pub fn cross_fitted(&self, folds: u32) -> f64 {
        let all: Vec<f64> = self.table.all_cells().iter().map(|cell| cell.weight).collect();
        let start = self.fit().point;
        let (mut loss, mut total) = (0.0, 0.0);
        for fold in 0..folds {
            let inside = self.table.dealt(u64::from(fold), u64::from(folds));
            let outside: Vec<f64> = all.iter().zip(&inside).map(|(all, part)| all - part).collect();
            let others = self.rows(&outside, self.table.len());
            let held_out = self.rows(&inside, self.table.len());
            if others.total == 0.0 || held_out.total == 0.0 {
                continue;
            }
            let family = self.family(&others);
            let fitted = self.minimise(&family, &others, start.clone());
            let fitted = self.rising(fitted, &family, &others);
            loss += self.pass(&family, &held_out, &fitted.point).loss;
            total += held_out.total;
        }
        loss / total
    }

    fn identity(&self) -> Vec<f64> {
        if self.is_vector {
            [vec![1.0; self.k], vec![0.0; self.k]].concat()
        } else {
            vec![1.0, 0.0]
        }
    }

    /// The family, which may know the class frequencies of the rows it is fitted to.
    fn family(&self, rows: &Rows) -> Family {
        if self.is_vector {
            return Family::Vector;
        }
        let counts = &rows.linear[self.k..];
        Family::Prior(counts.iter().map(|w| ln(w / rows.total).max(LEAST)).collect())
    }

    /// The first `n` predictions with these weights of the cells.
    fn rows(&self, weights: &[f64], n: usize) -> Rows {
        let k = self.k;
        let mut rows = Rows {
            weights: vec![[0.0; LANES]; n.div_ceil(LANES)],
            linear: vec![0.0; 2 * k],
            total: 0.0,
        };
        let mut at = 0;
        for i in 0..n {
            let (chunk, lane) = (i / LANES, i % LANES);
            for cell in self.table.cells(i) {
                let (w, class) = (weights[at], cell.class as usize);
                at += 1;
                rows.weights[chunk][lane] += w;
                rows.linear[class] += w * self.x[chunk * k + class][lane];
                rows.linear[k + class] += w;
                rows.total += w;
            }
        }
        rows
    }

    fn minimise(&self, family: &Family, rows: &Rows, start: Vec<f64>) -> Fitted {
        let mut point = start;
        let mut here = self.pass(family, rows, &point);
        for _ in 0..STEPS {
            let direction = here.newton();
            let decrement: f64 = here.gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
            if decrement.is_nan() || decrement <= 2.0 * LEFT * rows.total {
                break;
            }
            let mut part = 1.0;
            let found = loop {
                let next: Vec<f64> =
                    point.iter().zip(&direction).map(|(x, d)| x - part * d).collect();
                let there = self.pass(family, rows, &next);
                if there.loss <= here.loss - 1e-4 * part * decrement {
                    break Some((next, there));
                }
                part *= 0.5;
                if part < 1e-6 {
                    break None;
                }
            };
            let Some((next, there)) = found else { break };
            (point, here) = (next, there);
        }
        Fitted { point, loss: here.loss / rows.total }
    }

    /// Loss, gradient and Hessian, summed over the rows.
    fn pass(&self, family: &Family, rows: &Rows, point: &[f64]) -> Pass {
        let (k, n) = (self.k, point.len());
        let x = &self.x[..rows.weights.len() * k];
        let mut z = vec![[0.0; LANES]; k];
        let (sums, linear) = match family {
            Family::Vector => {
                let mut sums = vec![[0.0; LANES]; 1 + n + 2 * k * (k + 1)];
                vector_pass(x, &rows.weights, point, &mut z, &mut sums);
                (sums, rows.linear.clone())
            }
            Family::Prior(logs) => {
                let mut sums = vec![[0.0; LANES]; 6];
                prior_pass(x, &rows.weights, point, logs, &mut z, &mut sums);
                let (of_x, counts) = rows.linear.split_at(k);
                let prior = counts.iter().zip(logs).map(|(w, log)| w * log).sum();
                (sums, vec![of_x.iter().sum(), prior])
            }
        };
        let sums: Vec<f64> = sums.iter().map(|lanes| lanes.iter().sum()).collect();
        let at_truth: f64 = point.iter().zip(&linear).map(|(a, b)| a * b).sum();
        let gradient = sums[1..=n].iter().zip(&linear).map(|(a, b)| a - b).collect();
        let mut hessian = vec![0.0; n * n];
        let mut set = |i: usize, j: usize, value: f64| {
            hessian[i * n + j] = value;
            hessian[j * n + i] = value;
        };
        match family {
            Family::Vector => {
                let mut quads = sums[1 + n..].as_chunks::<4>().0.iter();
                for c in 0..k {
                    for d in 0..=c {
                        let Some(&[plain, by_c, by_d, by_both]) = quads.next() else { break };
                        set(c, d, by_both);
                        set(k + c, d, by_d);
                        set(c, k + d, by_c);
                        set(k + c, k + d, plain);
                    }
                }
            }
            Family::Prior(_) => {
                set(0, 0, sums[3]);
                set(1, 0, sums[4]);
                set(1, 1, sums[5]);
            }
        }
        Pass { loss: sums[0] - at_truth, gradient, hessian }
    }
}

struct Pass {
    loss: f64,
    gradient: Vec<f64>,
    hessian: Vec<f64>,
}

impl Pass {
    /// H^-1 g, by Cholesky's factors. Where the loss is flat, as along equal offsets, a little is added to the diagonal.
    fn newton(&self) -> Vec<f64> {
        let n = self.gradient.len();
        let largest = (0..n).map(|i| self.hessian[i * n + i]).fold(f64::MIN_POSITIVE, f64::max);
        let mut ridge = 1e-10 * largest;
        loop {
            if let Some(direction) = self.solve(ridge) {
                return direction;
            }
            ridge *= 100.0;
        }
    }

    fn solve(&self, ridge: f64) -> Option<Vec<f64>> {
        let n = self.gradient.len();
        let mut factor = self.hessian.clone();
        for j in 0..n {
            for i in j..n {
                let inner: f64 = (0..j).map(|l| factor[i * n + l] * factor[j * n + l]).sum();
                let entry = self.hessian[i * n + j] - inner;
                if i == j {
                    let pivot = entry + ridge;
                    if pivot <= 0.5 * ridge {
                        return None;
                    }
                    factor[i * n + i] = pivot.sqrt();
                } else {
                    factor[i * n + j] = entry / factor[j * n + j];
                }
            }
        }
        let mut x = self.gradient.clone();
        for i in 0..n {
            let inner: f64 = (0..i).map(|l| factor[i * n + l] * x[l]).sum();
            x[i] = (x[i] - inner) / factor[i * n + i];
        }
        for i in (0..n).rev() {
            let inner: f64 = (i + 1..n).map(|l| factor[l * n + i] * x[l]).sum();
            x[i] = (x[i] - inner) / factor[i * n + i];
        }
        Some(x)
    }
}

leveled! {
    fn logarithms(x: &mut [Lane]) => logarithms_body
}

#[inline(always)]
fn logarithms_body(x: &mut [Lane]) {
    for lanes in x {
        for x in lanes {
            *x = ln(*x);
        }
    }
}

leveled! {
    /// ln p from unnormalised logarithms, none below the least.
    fn normalised(x: &mut [Lane]) => normalised_body
}

#[inline(always)]
fn normalised_body(x: &mut [Lane]) {
    let mut max = [f64::MIN; LANES];
    for lanes in x.iter() {
        for lane in 0..LANES {
            max[lane] = if lanes[lane] > max[lane] { lanes[lane] } else { max[lane] };
        }
    }
    let mut total = [0.0; LANES];
    for lanes in x.iter_mut() {
        for lane in 0..LANES {
            // The one logit that is infinite, if there is one, has all of the probability.
            let same = lanes[lane] == max[lane];
            lanes[lane] = if same { 0.0 } else { lanes[lane] - max[lane] };
            total[lane] += exp(lanes[lane]);
        }
    }
    for lanes in x.iter_mut() {
        for lane in 0..LANES {
            let log = lanes[lane] - ln(total[lane]);
            lanes[lane] = if log > LEAST { log } else { LEAST };
        }
    }
}

/// e^(z - max) over its sum into z; the weighted log-sum-exp is added.
#[inline(always)]
fn softmax(z: &mut [Lane], max: &Lane, w: &Lane, loss: &mut Lane) {
    let mut total = [0.0; LANES];
    for z in z.iter_mut() {
        for lane in 0..LANES {
            z[lane] = exp(z[lane] - max[lane]);
            total[lane] += z[lane];
        }
    }
    let mut inverse = [0.0; LANES];
    for lane in 0..LANES {
        loss[lane] += w[lane] * (max[lane] + ln(total[lane]));
        inverse[lane] = 1.0 / total[lane];
    }
    for z in z.iter_mut() {
        for lane in 0..LANES {
            z[lane] *= inverse[lane];
        }
    }
}

leveled! {
    /// Sums of vector scaling: loss; w p x and w p of each class; for each two classes h, h x_c, h x_d, h x_c x_d, with
    /// h = w p_c ([c = d] - p_d).
    fn vector_pass(x: &[Lane], w: &[Lane], point: &[f64], z: &mut [Lane], sums: &mut [Lane])
        => vector_body
}

#[inline(always)]
fn vector_body(x: &[Lane], w: &[Lane], point: &[f64], z: &mut [Lane], sums: &mut [Lane]) {
    let k = z.len();
    let (scale, bias) = point.split_at(k);
    for (x, w) in x.chunks_exact(k).zip(w) {
        let mut max = [f64::MIN; LANES];
        for c in 0..k {
            for lane in 0..LANES {
                let here = scale[c] * x[c][lane] + bias[c];
                z[c][lane] = here;
                max[lane] = if here > max[lane] { here } else { max[lane] };
            }
        }
        softmax(z, &max, w, &mut sums[0]);
        for c in 0..k {
            for lane in 0..LANES {
                let share = w[lane] * z[c][lane];
                sums[1 + c][lane] += share * x[c][lane];
                sums[1 + k + c][lane] += share;
            }
        }
        let mut at = 1 + 2 * k;
        for c in 0..k {
            for d in 0..=c {
                let own = if c == d { 1.0 } else { 0.0 };
                let quad = &mut sums[at..at + 4];
                for lane in 0..LANES {
                    let h = w[lane] * z[c][lane] * (own - z[d][lane]);
                    quad[0][lane] += h;
                    quad[1][lane] += h * x[c][lane];
                    quad[2][lane] += h * x[d][lane];
                    quad[3][lane] += h * x[c][lane] * x[d][lane];
                }
                at += 4;
            }
        }
    }
}

leveled! {
    /// Sums of temperature and prior: loss, weighted means of x and of the logarithms under softmax, and their variances and covariance.
    fn prior_pass(x: &[Lane], w: &[Lane], point: &[f64], logs: &[f64], z: &mut [Lane], sums: &mut [Lane])
        => prior_body
}

#[inline(always)]
fn prior_body(
    x: &[Lane],
    w: &[Lane],
    point: &[f64],
    logs: &[f64],
    z: &mut [Lane],
    sums: &mut [Lane],
) {
    let k = z.len();
    let (scale, power) = (point[0], point[1]);
    for (x, w) in x.chunks_exact(k).zip(w) {
        let mut max = [f64::MIN; LANES];
        for c in 0..k {
            let offset = power * logs[c];
            for lane in 0..LANES {
                let here = scale * x[c][lane] + offset;
                z[c][lane] = here;
                max[lane] = if here > max[lane] { here } else { max[lane] };
            }
        }
        softmax(z, &max, w, &mut sums[0]);
        let (mut of_x, mut of_logs) = ([0.0; LANES], [0.0; LANES]);
        for c in 0..k {
            for lane in 0..LANES {
                of_x[lane] += z[c][lane] * x[c][lane];
                of_logs[lane] += z[c][lane] * logs[c];
            }
        }
        let mut squares = [[0.0; LANES]; 3];
        for c in 0..k {
            for lane in 0..LANES {
                let (a, b) = (x[c][lane] - of_x[lane], logs[c] - of_logs[lane]);
                squares[0][lane] += z[c][lane] * a * a;
                squares[1][lane] += z[c][lane] * a * b;
                squares[2][lane] += z[c][lane] * b * b;
            }
        }
        for lane in 0..LANES {
            sums[1][lane] += w[lane] * of_x[lane];
            sums[2][lane] += w[lane] * of_logs[lane];
            for (i, squares) in squares.iter().enumerate() {
                sums[3 + i][lane] += w[lane] * squares[lane];
            }
        }
    }
}
