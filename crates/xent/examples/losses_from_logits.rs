//! Losses from logits with their gradients: binary labels, distillation, and why squared error stalls.
//!
//!     cargo run -p xent --example losses_from_logits
#![allow(clippy::print_stdout)]

use std::error::Error;

use xent::divergence::{entropy_from_logits, js_from_logits, kl_from_logits};
use xent::per_row::{Gradient, Scale, Wanted, WantedOfPair};
use xent::sigmoid::{SigmoidOptions, SigmoidWanted, sigmoid_cross_entropy};
use xent::squared_error::sigmoid_squared_error;
use xent::view::{View, ViewMut};

fn main() -> Result<(), Box<dyn Error>> {
    // Two articles, three labels each; the third label is rare, so it counts ten times.
    let logits = [2.0_f32, -1.0, -4.0, /**/ 0.5, 30.0, 1.0];
    let labels = [true, false, true, /**/ false, true, false];
    let mut slopes = [0.0_f32; 6];
    let out = ViewMut::rows_of(&mut slopes, 3)?;
    let sum = sigmoid_cross_entropy(
        View::rows_of(&logits, 3)?,
        View::rows_of(&labels, 3)?,
        &SigmoidOptions { positive_weights: Some(&[1.0, 1.0, 10.0]), ..SigmoidOptions::default() },
        SigmoidWanted {
            gradient: Some(Gradient { into: out, scale: Scale::All(0.5) }),
            ..SigmoidWanted::default()
        },
    )?;
    println!("multilabel: {:.4} nats an article", sum.mean()?);
    println!("its gradient: {slopes:?}");

    // A student that nearly agrees with its teacher.
    let teacher = [3.0, 1.0, -2.0];
    let student = [3.0, 1.0 + 1e-9, -2.0];
    let mut slopes = [0.0; 3];
    let (a, b) = (View::rows_of(&teacher, 3)?, View::rows_of(&student, 3)?);
    let gradient_q =
        Some(Gradient { into: ViewMut::rows_of(&mut slopes, 3)?, scale: Scale::All(1.0) });
    let kl = kl_from_logits(a, b, WantedOfPair { gradient_q, ..WantedOfPair::default() })?;
    let js = js_from_logits(a, b, WantedOfPair::default())?;
    let entropy = entropy_from_logits(a, Wanted::default())?;
    println!("teacher's entropy: {:.6} nats", entropy.loss.value());
    println!("KL {:e}, JS {:e}: a quarter of it", kl.loss.value(), js.loss.value());
    println!("the student's gradient: {slopes:?}");

    // One neuron that is 98% sure of the wrong answer: how far 300 steps take it.
    for name in ["squared error", "cross entropy"] {
        let (mut x, mut slope) = ([4.0_f64], [0.0]);
        for _ in 0..300 {
            let out = ViewMut::rows_of(&mut slope, 1)?;
            let (logits, target) = (View::rows_of(&x, 1)?, View::rows_of(&[false], 1)?);
            if name == "squared error" {
                let gradient = Some(Gradient { into: out, scale: Scale::All(0.5) });
                sigmoid_squared_error(logits, target, Wanted { gradient, ..Wanted::default() })?;
            } else {
                let wanted = SigmoidWanted {
                    gradient: Some(Gradient { into: out, scale: Scale::All(1.0) }),
                    ..SigmoidWanted::default()
                };
                sigmoid_cross_entropy(logits, target, &SigmoidOptions::default(), wanted)?;
            }
            // A weight and a bias, both with the input 1, each at rate 0.15.
            x[0] -= 0.3 * slope[0];
        }
        println!("{name}: from 0.98 to {:.3}", 1.0 / (1.0 + (-x[0]).exp()));
    }
    Ok(())
}
