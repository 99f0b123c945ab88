//! Compares two models on the same rows in memory: paired differences with p-values.
//!
//!     cargo run -p xent --example compare_in_memory
#![allow(clippy::print_stdout)]

use xent::compare::Comparison;
use xent::rows::{Matrix, RowProblem, RowScores, Rules, Target};
use xent::score::Keep;

fn main() -> Result<(), RowProblem> {
    let labels: Vec<u32> = (0..400).map(|i| u32::from(i % 5 < 2)).collect();
    let target = Target::Classes(&labels);
    // Probabilities of class 1: one model knows the frequency, the other sees a little more.
    let frequency = vec![0.4; labels.len()];
    let better: Vec<f64> = (0..400)
        .map(|i| 0.4 + if i % 5 < 2 { 0.1 } else { -0.05 } + f64::from(i % 7) * 0.01)
        .collect();
    let mut rows = [RowScores::default(), RowScores::default()];
    for (rows, p) in rows.iter_mut().zip([&frequency, &better]) {
        rows.score(Matrix::Positive(p), target, &Rules::default())?;
    }
    let mut comparison = Comparison::new(2, 2, Keep::default());
    comparison.update(&rows.each_ref(), target, None);
    for d in comparison.finish(&[], 0.95) {
        println!(
            "{:14} {:+.4} [{:+.4}, {:+.4}]  p = {:.2e}  {}",
            d.score.key(),
            d.estimate.value,
            d.estimate.ci[0],
            d.estimate.ci[1],
            d.p,
            d.test.name()
        );
    }
    Ok(())
}
