//! xent's side of the in-memory scoring benchmark: `xent-bench in-memory data.npy labels.npy`.
//!
//! Reads a C-ordered f64 array of probabilities and a u32, i64 or u8 array of labels, and prints a
//! JSON line for each case with the seconds of every repetition. The array is what NumPy holds and
//! scikit-learn gets: `(n, k)` row-major, or `(n,)` for the positive class of a binary task.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::hint::black_box;
use std::time::Instant;

use xent::rows::{Matrix, RowScores, Rules, Target};
use xent::score::{Keep, ScoreState};

/// Rows at a time: small enough that the losses of a block stay in the second-level cache.
const BLOCK: usize = 4096;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let ["in-memory", data, labels, rest @ ..] =
        &args.iter().skip(1).map(String::as_str).collect::<Vec<_>>()[..]
    else {
        eprintln!("usage: xent-bench in-memory data.npy labels.npy [repetitions]");
        std::process::exit(2);
    };
    let repetitions = rest.first().and_then(|r| r.parse().ok()).unwrap_or(15);
    let (values, shape) = read_f64(data);
    let labels = read_labels(labels);
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

/// Header and body of a version 1 or 2 .npy file, C order.
fn read_npy(path: &str) -> (String, Vec<u8>) {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let (length, start) = match bytes[6] {
        1 => (usize::from(u16::from_le_bytes([bytes[8], bytes[9]])), 10),
        _ => (u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize, 12),
    };
    let header = String::from_utf8_lossy(&bytes[start..start + length]).into_owned();
    assert!(header.contains("'fortran_order': False"), "{path} must be in C order");
    (header, bytes[start + length..].to_vec())
}

fn read_f64(path: &str) -> (Vec<f64>, Vec<usize>) {
    let (header, body) = read_npy(path);
    assert!(header.contains("<f8"), "{path} must be f64");
    let shape = header.split("'shape': (").nth(1).and_then(|s| s.split(')').next()).unwrap_or("");
    let shape = shape.split(',').filter_map(|s| s.trim().parse().ok()).collect();
    let (chunks, _) = body.as_chunks::<8>();
    (chunks.iter().map(|b| f64::from_le_bytes(*b)).collect(), shape)
}

fn read_labels(path: &str) -> Vec<u32> {
    let (header, body) = read_npy(path);
    if header.contains("<i8") {
        body.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b) as u32).collect()
    } else if header.contains("u1") {
        body.iter().map(|&b| u32::from(b)).collect()
    } else {
        body.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect()
    }
}
