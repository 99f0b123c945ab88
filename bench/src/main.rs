//! xent's side of the benchmarks: `xent-bench in-memory data.npy labels.npy` for scoring, `xent-bench
//! kernels` for the kernels (see [`kernels`]), `xent-bench training` for training (see [`training`]), `xent-bench
//! calibration` for calibration (see [`calibration`]).
//!
//! `in-memory` reads a C-ordered f64 array of probabilities and a u32, i64 or u8 array of labels, and prints a
//! JSON line for each case with the seconds of every repetition. The array is what NumPy holds and
//! scikit-learn gets: `(n, k)` row-major, or `(n,)` for the positive class of a binary task.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod calibration;
mod kernels;
mod npy;
mod process;
mod training;

use std::hint::black_box;
use std::time::Instant;

use serde_json::{Value, json};
use xent::rows::{Matrix, RowScores, Rules, Target};
use xent::score::{Keep, ScoreState};

/// Rows at a time: small enough that the losses of a block stay in the second-level cache.
const BLOCK: usize = 4096;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().skip(1).map(String::as_str).collect::<Vec<_>>()[..] {
        ["in-memory", data, labels, ref rest @ ..] => in_memory(data, labels, rest),
        ["kernels"] => kernels::serve(),
        ["calibration"] => calibration::serve(),
        ["training"] => training::serve(),
        ["training", folder, ref options @ ..] => {
            if let Err(said) = training::run(folder, options, |line| println!("{line}")) {
                eprintln!("error: {said}");
                std::process::exit(2);
            }
        }
        _ => {
            eprintln!("usage: xent-bench in-memory data.npy labels.npy [repetitions]");
            eprintln!("       xent-bench kernels");
            eprintln!("       xent-bench calibration");
            eprintln!(
                "       xent-bench training [folder] [--tolerance 1e-6] [--threads 1] [--repeat 1]"
            );
            std::process::exit(2);
        }
    }
}

/// Version and instruction level.
fn hello() -> Value {
    let simd = format!("{:?}", xent::simd::level()).to_lowercase();
    json!({ "version": env!("CARGO_PKG_VERSION"), "simd": simd })
}

/// Scores the same rows in several ways.
fn in_memory(data: &str, labels: &str, rest: &[&str]) {
    let repetitions = rest.first().and_then(|r| r.parse().ok()).unwrap_or(15);
    let (values, shape) = npy::numbers::<f64>(data);
    let labels = npy::labels(labels);
    let width = shape.get(1).copied().unwrap_or(1);
    assert_eq!(values.len(), labels.len() * width, "labels and data differ in rows");
    for (case, means_only, threads) in [
        ("three means, 1 thread", true, 1),
        ("three means, 2 threads", true, 2),
        ("with standard errors, 1 thread", false, 1),
        ("with standard errors, 2 threads", false, 2),
    ] {
        let keep = Keep { means_only, ..Keep::default() };
        let mut result = 0.0;
        let seconds: Vec<f64> = (0..repetitions)
            .map(|_| {
                let start = Instant::now();
                result = black_box(score(&values, width, &labels, threads, keep));
                start.elapsed().as_secs_f64()
            })
            .collect();
        let line = serde_json::json!({
            "case": case, "threads": threads, "seconds": seconds, "log_loss": result,
            "rows": labels.len(), "width": width, "simd": format!("{:?}", xent::simd::level()),
        });
        println!("{line}");
    }
    let seconds: Vec<f64> = (0..repetitions)
        .map(|_| {
            let start = Instant::now();
            black_box(read_all(&values, &labels));
            start.elapsed().as_secs_f64()
        })
        .collect();
    println!(
        "{}",
        serde_json::json!({ "case": "reads every number, 1 thread", "threads": 1, "seconds": seconds })
    );
}

/// Error rate, squared error and log loss from exact sums, fully validated.
fn score(values: &[f64], width: usize, labels: &[u32], threads: usize, keep: Keep) -> f64 {
    let part = labels.len().div_ceil(threads).next_multiple_of(BLOCK);
    let states: Vec<ScoreState> = std::thread::scope(|scope| {
        let workers: Vec<_> = labels
            .chunks(part)
            .zip(values.chunks(part * width))
            .map(|(labels, values)| scope.spawn(move || score_part(values, width, labels, keep)))
            .collect();
        workers.into_iter().map(|w| w.join().expect("a worker panicked")).collect()
    });
    let mut all = ScoreState::new(width.max(2), keep);
    for state in &states {
        all.merge(state);
    }
    all.finish(0.95).log_loss.value
}

fn score_part(values: &[f64], width: usize, labels: &[u32], keep: Keep) -> ScoreState {
    let mut rows = RowScores::default();
    let rules = Rules::default();
    let mut state = ScoreState::new(width.max(2), keep);
    for (labels, values) in labels.chunks(BLOCK).zip(values.chunks(BLOCK * width)) {
        let matrix =
            if width == 1 { Matrix::Positive(values) } else { Matrix::Rows { values, width } };
        let target = Target::Classes(labels);
        rows.score(matrix, target, &rules).expect("the benchmark's data are valid");
        state.update(&rows, target, None);
    }
    state
}

/// The limit: every byte read once.
fn read_all(values: &[f64], labels: &[u32]) -> f64 {
    let mut lanes = [0.0; 32];
    let (blocks, rest) = values.as_chunks::<32>();
    for block in blocks {
        for l in 0..32 {
            lanes[l] += block[l];
        }
    }
    let labels: u64 = labels.iter().map(|&l| u64::from(l)).sum();
    lanes.iter().chain(rest).sum::<f64>() + labels as f64
}
