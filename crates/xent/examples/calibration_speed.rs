//! How long CORP takes over ten million binary rows in memory, one thread.
//!
//!     cargo run --release -p xent --example calibration_speed [ROWS]
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use xent::calibration::{decomposition, rows::BinaryRows};

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
        let added = start.elapsed();
        let rows = rows.sort()?;
        let sorted = start.elapsed();
        let blocks = rows.isotonic();
        let fitted = start.elapsed();
        let parts = decomposition::corp_of_blocks(&rows, &blocks);
        let all = start.elapsed();
        println!(
            "{n} rows: keys {:.0} ms, sort {:.0} ms, isotonic fit {:.0} ms ({} blocks), parts {:.0} ms: {:.0} ms",
            added.as_secs_f64() * 1e3,
            (sorted - added).as_secs_f64() * 1e3,
            (fitted - sorted).as_secs_f64() * 1e3,
            blocks.len(),
            (all - fitted).as_secs_f64() * 1e3,
            all.as_secs_f64() * 1e3,
        );
        println!("  miscalibration {:.9} nats", parts.log.miscalibration);
    }
    Ok(())
}
