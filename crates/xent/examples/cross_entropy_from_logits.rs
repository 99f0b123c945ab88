//! Trains nothing, but does what every step of training does: loss and gradient from logits.
//!
//! ```text
//! cargo run --release -p xent --example cross_entropy_from_logits
//! ```
#![allow(clippy::print_stdout)]

use xent::cross_entropy::{Gradient, Options, Scale, Target, Wanted, cross_entropy};
use xent::logits::softmax;
use xent::view::{View, ViewMut};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Three rows of logits over four classes, as a network puts them out.
    let logits: [f32; 12] = [2.0, 0.5, -1.0, 0.0, 20.0, 0.0, -5.0, 1.0, 0.1, 0.2, 0.3, 0.4];
    let labels = [0, 0, 3];
    let x = View::rows_of(&logits, 4)?;

    // The gradient of the mean goes into a buffer that is used again at every step.
    let mut losses = [0.0; 3];
    let mut gradient = [0.0_f32; 12];
    let total = cross_entropy(
        x,
        Target::Classes(&labels),
        &Options { top_k: &[1, 2], ..Options::default() },
        Wanted {
            losses: Some(&mut losses),
            gradient: Some(Gradient {
                into: ViewMut::rows_of(&mut gradient, 4)?,
                scale: Scale::All(1.0 / 3.0),
            }),
            ..Wanted::default()
        },
    )?;
    println!("mean log loss   {:.6} nats", total.mean()?);
    println!("top-1 hits      {} of {}", total.top_k_hits[0], total.used);
    println!("losses          {:.3e} {:.3e} {:.3e}", losses[0], losses[1], losses[2]);

    // The second row is all but certain: its loss is tiny, not 0, and its gradient still sums to 0.
    assert!(losses[1] > 0.0);
    for (row, loss) in gradient.chunks(4).zip(losses) {
        let [a, b, c, d] = [row[0], row[1], row[2], row[3]];
        println!("gradient        {a:+.2e} {b:+.2e} {c:+.2e} {d:+.2e}   of a loss of {loss:.2e}");
        assert!(row.iter().sum::<f32>().abs() <= 1e-7);
    }

    // Label smoothing, and rows that do not count, are options; a weight of a class is too.
    let smooth = Options { label_smoothing: 0.1, ignore: Some(3), ..Options::default() };
    let total = cross_entropy(x, Target::Classes(&labels), &smooth, Wanted::default())?;
    println!("smoothed        {:.6} nats, {} row ignored", total.mean()?, total.ignored);

    let mut probabilities = [0.0_f32; 12];
    softmax(x, ViewMut::rows_of(&mut probabilities, 4)?)?;
    println!("softmax         {:.3?}", &probabilities[..4]);
    Ok(())
}
