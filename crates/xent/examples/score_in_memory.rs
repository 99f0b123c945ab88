//! Scores probabilities in memory: the lecture's second model.
//!
//!     cargo run -p xent --example score_in_memory
#![allow(clippy::print_stdout)]

use xent::rows::{Matrix, RowProblem, RowScores, Rules, Target};
use xent::score::{Keep, ScoreState};

fn main() -> Result<(), RowProblem> {
    // Three voters by three classes, row-major as NumPy holds it: other, republican, democrat.
    let probabilities = [0.1, 0.2, 0.7, /**/ 0.1, 0.7, 0.2, /**/ 0.3, 0.4, 0.3];
    let target = Target::Classes(&[2, 1, 0]);

    let mut rows = RowScores::default();
    rows.score(Matrix::Rows { values: &probabilities, width: 3 }, target, &Rules::default())?;
    println!("surprisal of each row, nats: {:?}", rows.log_loss);

    // States of any batches of rows, on any threads, merge to the same bits.
    let mut state = ScoreState::new(3, Keep { classes: true, ..Keep::default() });
    state.update(&rows, target, None);
    let scores = state.finish(0.95);
    println!("error rate           {:.3}", scores.error_rate.value);
    println!("mean squared error   {:.3}", scores.mse.value);
    let bits = scores.cross_entropy();
    println!("cross entropy, bits  {:.3} +- {:.3}", bits.value, bits.se);
    if let Some(baseline) = state.baseline(0.0, 0.95) {
        println!("class frequencies    {:.3} bits", baseline.cross_entropy().value);
    }
    Ok(())
}
