//! From logits: cross entropy and its gradient, softmax, scores of rows. Products of matrices.

use half::{bf16, f16};
use xent::cross_entropy::{
    Gradient, Options, Problem, Scale, Target, Total, Wanted, cross_entropy, cross_entropy_in_place,
};
use xent::element::Element;
use xent::gemm::{Start, Workspace, product};
use xent::linear::{self, Linear, WeightGradient, linear_cross_entropy};
use xent::logits::{
    LogSumExp, log_softmax, log_softmax_in_place, log_sum_exp, log_sum_exp_parts, softmax,
    softmax_in_place,
};
use xent::rows::{RowScores, Rules};
use xent::view::{ShapeError, View, ViewMut};

use crate::hash::Hash;
use crate::input::Random;

/// Numbers of classes: the small ones that have their own code, the rest of a block, more than one block.
const CLASSES: [usize; 8] = [1, 2, 3, 10, 37, 64, 1000, 3001];

/// Logits in rows and the labels they are scored by.
struct Logits<T> {
    classes: usize,
    values: Vec<T>,
    labels: Vec<u32>,
}

impl<T: Element> Logits<T> {
    /// Rows whose spread is at random, from nearly equal logits to certainty.
    fn new(random: &mut Random, classes: usize) -> Self {
        let rows = 20 + 400 / classes;
        let mut values = Vec::new();
        for _ in 0..rows {
            let spread = random.spread(-4, 6).abs();
            let shift = random.bell() * 100.0;
            values.extend((0..classes).map(|_| T::from_f64(random.bell() * spread + shift)));
        }
        Self { classes, values, labels: random.labels(rows, classes) }
    }

    fn rows(&self) -> usize {
        self.labels.len()
    }

    fn view(&self) -> Result<View<'_, T>, ShapeError> {
        View::rows_of(&self.values, self.classes)
    }

    fn columns(&self) -> Vec<T> {
        let column = |c| self.values.iter().skip(c).step_by(self.classes);
        (0..self.classes).flat_map(column).copied().collect()
    }

    fn target(&self) -> Target<'_, T> {
        Target::Classes(&self.labels)
    }
}

/// Computes all there is and hashes it.
fn put<T: Element>(
    hash: &mut Hash,
    x: View<'_, T>,
    target: Target<'_, T>,
    options: &Options<'_>,
) -> Result<(), Problem> {
    let (rows, classes) = (x.n_rows(), x.n_cols());
    let mut losses = vec![0.0; rows];
    let mut gradient = vec![T::default(); rows * classes];
    let into = ViewMut::strided(&mut gradient, rows, classes, classes, 1);
    let into = into.ok().map(|into| Gradient { into, scale: Scale::All(1.0 / rows as f64) });
    let mut wanted = Wanted { losses: Some(&mut losses), gradient: into, ..Wanted::default() };
    let (mut log_probabilities, mut ranks) = (vec![0.0; rows], vec![0; rows]);
    if matches!(target, Target::Classes(_)) {
        wanted.log_probabilities = Some(&mut log_probabilities);
        wanted.ranks = Some(&mut ranks);
    }
    let total = cross_entropy(x, target, options, wanted)?;
    hash.all(&losses);
    hash.all(&log_probabilities);
    hash.debug(&ranks);
    put_all(hash, &gradient);
    put_total(hash, &total);
    // Without a gradient it may go another way.
    let wanted = Wanted { losses: Some(&mut losses), ..Wanted::default() };
    put_total(hash, &cross_entropy(x, target, options, wanted)?);
    hash.all(&losses);
    Ok(())
}

fn put_all<T: Element>(hash: &mut Hash, values: &[T]) {
    values.iter().for_each(|x| hash.f64(x.to_f64()));
}

fn put_total(hash: &mut Hash, total: &Total) {
    hash.all(&[total.loss.value(), total.weight.value()]);
    hash.debug(&(total.used, total.absent, total.ignored, total.infinite, total.undefined));
    hash.debug(&(total.first_undefined, &total.top_k_hits));
}

fn kind<T: Element>(hash: &mut Hash) -> Result<(), Box<dyn std::error::Error>> {
    let mut random = Random::new(40);
    let options = Options { top_k: &[1, 5], ..Options::default() };
    for classes in CLASSES {
        let logits = Logits::<T>::new(&mut random, classes);
        put(hash, logits.view()?, logits.target(), &options)?;
        let columns = logits.columns();
        put(hash, View::columns_of(&columns, logits.rows())?, logits.target(), &options)?;
        let mut values = logits.values.clone();
        let into = ViewMut::rows_of(&mut values, classes)?;
        let scales: Vec<f64> = (0..logits.rows()).map(|_| random.bell()).collect();
        let scale = Scale::Rows(&scales);
        put_total(
            hash,
            &cross_entropy_in_place(into, logits.target(), &options, scale, Wanted::default())?,
        );
        put_all(hash, &values);
    }
    Ok(())
}

pub fn softmaxes(hash: &mut Hash) {
    sound(all_softmaxes::<f64>(hash));
    sound(all_softmaxes::<f32>(hash));
    sound(all_softmaxes::<f16>(hash));
    sound(all_softmaxes::<bf16>(hash));
}

fn all_softmaxes<T: Element>(hash: &mut Hash) -> Result<(), Box<dyn std::error::Error>> {
    let mut random = Random::new(44);
    for classes in CLASSES {
        let logits = Logits::<T>::new(&mut random, classes);
        let (x, rows) = (logits.view()?, logits.rows());
        let mut parts = vec![LogSumExp::EMPTY; rows];
        log_sum_exp_parts(x, &mut parts)?;
        hash.debug(&parts);
        let mut all = LogSumExp::EMPTY;
        parts.iter().for_each(|one| all.merge(one));
        hash.debug(&all);
        let mut sums = vec![0.0; rows];
        log_sum_exp(x, &mut sums)?;
        hash.all(&sums);
        let columns = logits.columns();
        let x_columns = View::columns_of(&columns, rows)?;
        let mut out = vec![T::default(); rows * classes];
        softmax(x_columns, ViewMut::rows_of(&mut out, classes)?)?;
        put_all(hash, &out);
        log_softmax(x_columns, ViewMut::rows_of(&mut out, classes)?)?;
        put_all(hash, &out);
        out.copy_from_slice(&logits.values);
        hash.debug(&softmax_in_place(ViewMut::rows_of(&mut out, classes)?));
        put_all(hash, &out);
        out.copy_from_slice(&logits.values);
        hash.debug(&log_softmax_in_place(ViewMut::rows_of(&mut out, classes)?));
        put_all(hash, &out);
    }
    Ok(())
}

pub fn scores(hash: &mut Hash) {
    sound(all_scores::<f64>(hash));
    sound(all_scores::<f32>(hash));
    sound(all_scores::<f16>(hash));
    sound(all_scores::<bf16>(hash));
}

fn all_scores<T: Element>(hash: &mut Hash) -> Result<(), Box<dyn std::error::Error>> {
    let mut random = Random::new(45);
    let rules = Rules { top_k: vec![2, 5], ..Rules::default() };
    for classes in CLASSES {
        let logits = Logits::<T>::new(&mut random, classes);
        let columns = logits.columns();
        for x in [logits.view()?, View::columns_of(&columns, logits.rows())?] {
            let mut rows = RowScores::default();
            rows.score_logits(x, &logits.labels, &rules)?;
            hash.debug(&rows);
        }
    }
    Ok(())
}

pub fn products(hash: &mut Hash) {
    sound(all_products(hash));
}

fn all_products(hash: &mut Hash) -> Result<(), Box<dyn std::error::Error>> {
    let mut random = Random::new(46);
    let mut workspace = Workspace::new();
    // Within a tile and beyond it, within a block of depth and beyond it.
    for (m, k, n) in [(1, 1, 1), (5, 7, 3), (13, 40, 37), (29, 500, 70)] {
        let mut numbers = |n| -> Vec<f32> { (0..n).map(|_| random.bell() as f32).collect() };
        let (a, b, mut c) = (numbers(m * k), numbers(k * n), numbers(m * n));
        for start in [Start::Zero, Start::Present] {
            let (rows, columns) = (View::rows_of(&a, k)?, View::columns_of(&b, k)?);
            product(rows, columns, ViewMut::rows_of(&mut c, n)?, start, &mut workspace);
            put_all(hash, &c);
            let (columns, rows) = (View::columns_of(&a, m)?, View::rows_of(&b, n)?);
            product(columns, rows, ViewMut::columns_of(&mut c, m)?, start, &mut workspace);
            put_all(hash, &c);
        }
    }
    Ok(())
}

pub fn layers(hash: &mut Hash) {
    sound(all_layers(hash));
}

fn all_layers(hash: &mut Hash) -> Result<(), Box<dyn std::error::Error>> {
    let mut random = Random::new(47);
    let mut workspace = linear::Workspace::new();
    // Logits kept, and made anew; less than a tile of classes, and more.
    for (n, d, v, scratch) in [(5, 3, 7, 8 << 20), (30, 17, 500, 0)] {
        let mut numbers = |n| -> Vec<f32> { (0..n).map(|_| random.bell() as f32).collect() };
        let (x, w, b) = (numbers(n * d), numbers(v * d), numbers(v));
        let labels = random.labels(n, v);
        let layer =
            Linear { x: View::rows_of(&x, d)?, weight: View::rows_of(&w, d)?, bias: Some(&b) };
        let (mut losses, mut dx) = (vec![0.0; n], vec![0.0; n * d]);
        let (mut dw, mut db) = (vec![0.0; v * d], vec![0.0; v]);
        let wanted = linear::Wanted {
            losses: Some(&mut losses),
            x: Some(ViewMut::rows_of(&mut dx, d)?),
            weight: Some(WeightGradient {
                weight: ViewMut::rows_of(&mut dw, d)?,
                bias: Some(&mut db),
                add: false,
            }),
        };
        let options = linear::Options { scratch, ..linear::Options::default() };
        let scale = Scale::All(0.125);
        let total = linear_cross_entropy(&layer, &labels, &options, scale, wanted, &mut workspace)?;
        hash.f64(total.loss.value());
        hash.all(&losses);
        hash.all(&db);
        put_all(hash, &dx);
        put_all(hash, &dw);
    }
    Ok(())
}

/// The inputs are right: an error is a bug.
fn sound(result: Result<(), Box<dyn std::error::Error>>) {
    assert!(result.is_ok(), "{result:?}");
}

pub fn double(hash: &mut Hash) {
    sound(kind::<f64>(hash));
}

pub fn single(hash: &mut Hash) {
    sound(kind::<f32>(hash));
}

pub fn half(hash: &mut Hash) {
    sound(kind::<f16>(hash));
}

pub fn brain(hash: &mut Hash) {
    sound(kind::<bf16>(hash));
}

pub fn options(hash: &mut Hash) {
    sound(all_options::<f32>(hash).and_then(|()| all_options::<f64>(hash)));
}

fn all_options<T: Element>(hash: &mut Hash) -> Result<(), Box<dyn std::error::Error>> {
    let mut random = Random::new(41);
    for classes in [2, 3, 10, 300] {
        let logits = Logits::<T>::new(&mut random, classes);
        let class_weights: Vec<f64> = (0..classes).map(|_| random.uniform()).collect();
        let row_weights: Vec<f64> = (0..logits.rows()).map(|_| random.below(3) as f64).collect();
        let plain = Options::default();
        for options in [
            Options { class_weights: Some(&class_weights), ..plain },
            Options { row_weights: Some(&row_weights), ..plain },
            Options { ignore: Some(1), ..plain },
            Options { label_smoothing: 0.1, ..plain },
            Options { z_loss: 1e-4, ..plain },
            Options { temperature: 1.7, ..plain },
            Options {
                class_weights: Some(&class_weights),
                row_weights: Some(&row_weights),
                label_smoothing: 0.2,
                z_loss: 1e-3,
                temperature: 0.6,
                ..plain
            },
        ] {
            put(hash, logits.view()?, logits.target(), &options)?;
        }
    }
    Ok(())
}

pub fn targets(hash: &mut Hash) {
    sound(all_targets::<f32>(hash).and_then(|()| all_targets::<f64>(hash)));
}

fn all_targets<T: Element>(hash: &mut Hash) -> Result<(), Box<dyn std::error::Error>> {
    let mut random = Random::new(42);
    for classes in [2, 3, 10, 300] {
        let logits = Logits::<T>::new(&mut random, classes);
        let rows = logits.rows();
        let soft: Vec<T> = random.rows(rows, classes).iter().map(|&p| T::from_f64(p)).collect();
        let second = random.labels(rows, classes);
        let share: Vec<f64> = (0..rows).map(|_| random.uniform()).collect();
        let few: Vec<f64> = (0..rows).flat_map(|_| random.distribution(2)).collect();
        let two: Vec<u32> = second.iter().flat_map(|&c| [c, (c + 1) % classes as u32]).collect();
        let offsets: Vec<usize> = (0..=rows).map(|row| 2 * row).collect();
        for target in [
            Target::Distributions(View::rows_of(&soft, classes)?),
            Target::TwoClasses { first: &logits.labels, second: &second, share: &share },
            Target::Sparse { offsets: &offsets, classes: &two, probabilities: &few },
        ] {
            put(hash, logits.view()?, target, &Options::default())?;
            let options = Options { label_smoothing: 0.1, z_loss: 1e-4, ..Options::default() };
            put(hash, logits.view()?, target, &options)?;
        }
    }
    Ok(())
}

pub fn edges(hash: &mut Hash) {
    sound(all_edges::<f32>(hash).and_then(|()| all_edges::<f64>(hash)));
}

/// Rows with infinities, NaN, zeros, subnormal numbers and ties.
fn all_edges<T: Element>(hash: &mut Hash) -> Result<(), Box<dyn std::error::Error>> {
    let odd = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.0, -0.0, 1e-40, 88.0, -104.0, 1e30];
    let mut random = Random::new(43);
    for classes in [2, 3, 10, 37, 1000] {
        let mut logits = Logits::<T>::new(&mut random, classes);
        for value in &mut logits.values {
            if random.below(2 * classes) < 3 {
                *value = T::from_f64(odd[random.below(odd.len())]);
            }
        }
        put(hash, logits.view()?, logits.target(), &Options::default())?;
        let options = Options { label_smoothing: 0.1, ..Options::default() };
        put(hash, logits.view()?, logits.target(), &options)?;
    }
    Ok(())
}
