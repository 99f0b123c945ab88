//! How long CORP takes over ten million binary rows, and temperature scaling over 100,000 x 1,000 logits; in memory, one thread.
//!
//!     cargo run --release -p xent --example calibration_speed [ROWS]
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use xent::calibration::recalibrate::{Method, Predictions, fit};
use xent::calibration::{decomposition, rows::BinaryRows};
use xent::view::View;

fn main() -> Result<(), Box<dyn Error>> {
    let n: usize = std::env::args().nth(1).map_or(Ok(10_000_000), |n| n.parse())?;
    let mut state = 42_u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let p: Vec<f64> = (0..n).map(|_| next()).collect();
    let y: Vec<bool> = p.iter().map(|p| next() < p * p).collect();

    for _ in 0..5 {
        let start = Instant::now();
        let mut rows = BinaryRows::default();
        rows.add_probabilities(&p, &y, None)?;
        let added = start.elapsed().as_secs_f64() * 1e3;
        let rows = rows.sort()?;
        let sorted = start.elapsed().as_secs_f64() * 1e3;
        let blocks = rows.isotonic();
        let fitted = start.elapsed().as_secs_f64() * 1e3;
        let parts = decomposition::corp_of_blocks(&rows, &blocks);
        let all = start.elapsed().as_secs_f64() * 1e3;
        println!(
            "{n} rows: keys {:.0} ms, sort {:.0} ms, isotonic fit {:.0} ms ({} blocks), parts {:.0} ms: {:.0} ms",
            added,
            sorted - added,
            fitted - sorted,
            blocks.len(),
            all - fitted,
            all,
        );
        println!("  miscalibration {:.9} nats", parts.log.miscalibration);
    }

    let (rows, classes) = (n / 100, 1_000);
    let x: Vec<f32> = (0..rows * classes).map(|_| ((next() - 0.5) * 20.0) as f32).collect();
    let labels: Vec<u32> = x
        .chunks(classes)
        .map(|row| {
            // Gumbel noise: a label with probabilities softmax(x / 2).
            let noisy = |x: &f32| f64::from(*x) / 2.0 - (-next().max(1e-300).ln()).ln();
            let noisy: Vec<f64> = row.iter().map(noisy).collect();
            (0..classes).max_by(|&a, &b| noisy[a].total_cmp(&noisy[b])).unwrap_or(0) as u32
        })
        .collect();
    for _ in 0..3 {
        let start = Instant::now();
        let logits = Predictions::Logits(View::rows_of(&x, classes)?);
        let found = fit(Method::Temperature, logits, &labels, None)?;
        let took = start.elapsed().as_secs_f64();
        println!("{rows} x {classes} logits: {:.0} ms, {found:?}", took * 1e3);
    }
    Ok(())
}
