//! Losses of rows: sigmoid cross entropy, divergences of probabilities and of logits, squared error.

use half::{bf16, f16};
use xent::divergence::{
    cross_entropy_from_logits, cross_entropy_rows, entropy_from_logits, entropy_rows,
    js_from_logits, js_rows, kl_from_logits, kl_rows,
};
use xent::element::Element;
use xent::per_row::{ArgumentError, Gradient, RowSum, Scale, Wanted, WantedOfPair};
use xent::sigmoid::{SigmoidOptions, SigmoidWanted, sigmoid, sigmoid_cross_entropy};
use xent::squared_error::{ClassTarget, sigmoid_squared_error, softmax_squared_error};
use xent::view::{ShapeError, View, ViewMut};

use crate::hash::Hash;
use crate::input::Random;

/// Rows, and numbers a row: tiles of several groups of rows, of one, and a part of a row.
const SHAPES: [(usize, usize); 5] = [(301, 1), (201, 3), (77, 40), (30, 256), (9, 600)];

type Done = Result<(), Box<dyn std::error::Error>>;

fn sound(result: Done) {
    assert!(result.is_ok(), "{result:?}");
}

/// Numbers of all sizes, infinities and NaN.
fn odd<T: Element>(random: &mut Random, n: usize) -> Vec<T> {
    let number = |random: &mut Random| match random.below(50) {
        0 => f64::NEG_INFINITY,
        1 if random.below(10) == 0 => f64::INFINITY,
        2 if random.below(20) == 0 => f64::NAN,
        3 => 0.0,
        k => random.bell() * [1e-9, 1.0, 10.0, 60.0, 1000.0][k % 5],
    };
    (0..n).map(|_| T::from_f64(number(random))).collect()
}

/// The same, every other row moved by very little.
fn moved<T: Element>(random: &mut Random, x: &[T], cols: usize) -> Vec<T> {
    let mut y = odd::<T>(random, x.len());
    for (x, y) in x.chunks(2 * cols).zip(y.chunks_mut(2 * cols)) {
        for (x, y) in x.iter().zip(y).take(cols) {
            *y = T::from_f64(x.to_f64() * (1.0 + 1e-9 * random.bell()));
        }
    }
    y
}

fn into<T: Element>(out: &mut [T], cols: usize) -> Result<Option<Gradient<'_, T>>, ShapeError> {
    Ok(Some(Gradient { into: ViewMut::rows_of(out, cols)?, scale: Scale::All(0.3) }))
}

fn put<T: Element>(hash: &mut Hash, sum: &RowSum, losses: &[f64], gradients: &[&[T]]) {
    hash.all(&[sum.loss.value(), sum.weight.value()]);
    hash.debug(&(sum.used, sum.absent, sum.infinite, sum.undefined, sum.first_undefined));
    hash.all(losses);
    gradients.iter().for_each(|x| x.iter().for_each(|x| hash.f64(x.to_f64())));
}

pub fn divergences(hash: &mut Hash) {
    sound(divergences_of::<f64>(hash));
    sound(divergences_of::<f32>(hash));
    sound(divergences_of::<f16>(hash));
    sound(divergences_of::<bf16>(hash));
}

fn divergences_of<T: Element>(hash: &mut Hash) -> Done {
    type OfPair<T> =
        fn(View<'_, T>, View<'_, T>, WantedOfPair<'_, T, T>) -> Result<RowSum, ArgumentError>;
    let mut random = Random::new(60);
    for (n, v) in SHAPES {
        let a = odd::<T>(&mut random, n * v);
        let b = moved(&mut random, &a, v);
        let (x, y) = (View::rows_of(&a, v)?, View::rows_of(&b, v)?);
        let mut losses = vec![0.0; n];
        let (mut da, mut db) = (vec![T::default(); n * v], vec![T::default(); n * v]);
        for f in [cross_entropy_from_logits as OfPair<T>, kl_from_logits, js_from_logits] {
            let (gradient_p, gradient_q) = (into(&mut da, v)?, into(&mut db, v)?);
            let sum = f(x, y, WantedOfPair { losses: Some(&mut losses), gradient_p, gradient_q })?;
            put(hash, &sum, &losses, &[&da, &db]);
        }
        let gradient = into(&mut da, v)?;
        let sum = entropy_from_logits(x, Wanted { losses: Some(&mut losses), gradient })?;
        put(hash, &sum, &losses, &[&da]);
    }
    Ok(())
}

pub fn divergences_of_probabilities(hash: &mut Hash) {
    sound(probabilities(hash));
}

fn probabilities(hash: &mut Hash) -> Done {
    let mut random = Random::new(61);
    for (n, v) in SHAPES {
        let (p, q) = (random.rows(n, v), random.rows(n, v));
        let (x, y) = (View::rows_of(&p, v)?, View::rows_of(&q, v)?);
        let mut losses = vec![0.0; n];
        let (mut dp, mut dq) = (vec![0.0; n * v], vec![0.0; n * v]);
        for f in [cross_entropy_rows, kl_rows, js_rows] {
            let (gradient_p, gradient_q) = (into(&mut dp, v)?, into(&mut dq, v)?);
            let sum = f(x, y, WantedOfPair { losses: Some(&mut losses), gradient_p, gradient_q })?;
            put(hash, &sum, &losses, &[&dp, &dq]);
        }
        let gradient = into(&mut dp, v)?;
        let sum = entropy_rows(x, Wanted { losses: Some(&mut losses), gradient })?;
        put(hash, &sum, &losses, &[&dp]);
    }
    Ok(())
}

pub fn sigmoids(hash: &mut Hash) {
    sound(sigmoids_of::<f64>(hash));
    sound(sigmoids_of::<f32>(hash));
    sound(sigmoids_of::<f16>(hash));
    sound(sigmoids_of::<bf16>(hash));
}

fn sigmoids_of<T: Element>(hash: &mut Hash) -> Done {
    let mut random = Random::new(62);
    for (n, v) in SHAPES {
        let x = odd::<T>(&mut random, n * v);
        let x = View::rows_of(&x, v)?;
        let soft: Vec<f64> = (0..n * v).map(|_| random.uniform()).collect();
        let hard: Vec<bool> = soft.iter().map(|t| *t < 0.3).collect();
        let (soft, hard) = (View::rows_of(&soft, v)?, View::rows_of(&hard, v)?);
        let weights: Vec<f64> = (0..n).map(|_| random.uniform()).collect();
        let positive: Vec<f64> = (0..v).map(|_| 3.0 * random.uniform()).collect();
        let options = SigmoidOptions { weights: Some(&weights), positive_weights: Some(&positive) };
        let mut losses = vec![0.0; n];
        let mut elements = vec![0.0; n * v];
        let mut slopes = vec![T::default(); n * v];
        let wanted = SigmoidWanted {
            losses: Some(&mut losses),
            element_losses: Some(ViewMut::rows_of(&mut elements, v)?),
            gradient: into(&mut slopes, v)?,
        };
        let sum = sigmoid_cross_entropy(x, soft, &options, wanted)?;
        put(hash, &sum, &losses, &[&slopes]);
        hash.all(&elements);
        let options = SigmoidOptions::default();
        let wanted = SigmoidWanted { losses: Some(&mut losses), ..SigmoidWanted::default() };
        let sum = sigmoid_cross_entropy(x, hard, &options, wanted)?;
        put::<T>(hash, &sum, &losses, &[]);
        let gradient = into(&mut slopes, v)?;
        let sum = sigmoid_squared_error(x, hard, Wanted { losses: Some(&mut losses), gradient })?;
        put(hash, &sum, &losses, &[&slopes]);
        sigmoid(x, ViewMut::rows_of(&mut elements, v)?)?;
        hash.all(&elements);
    }
    Ok(())
}

pub fn squared_errors(hash: &mut Hash) {
    sound(squared_errors_of::<f64>(hash));
    sound(squared_errors_of::<f32>(hash));
}

fn squared_errors_of<T: Element>(hash: &mut Hash) -> Done {
    let mut random = Random::new(63);
    for (n, v) in SHAPES {
        let x = odd::<T>(&mut random, n * v);
        let soft: Vec<T> = random.rows(n, v).into_iter().map(T::from_f64).collect();
        let labels = random.labels(n, v);
        let x = View::rows_of(&x, v)?;
        let targets = [ClassTarget::Classes(&labels), ClassTarget::Soft(View::rows_of(&soft, v)?)];
        for target in targets {
            let mut losses = vec![0.0; n];
            let mut slopes = vec![T::default(); n * v];
            let gradient = into(&mut slopes, v)?;
            let wanted = Wanted { losses: Some(&mut losses), gradient };
            put(hash, &softmax_squared_error(x, target, wanted)?, &losses, &[&slopes]);
        }
    }
    Ok(())
}
