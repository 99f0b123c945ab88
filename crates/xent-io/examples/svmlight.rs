//! Reads an svmlight file, says what is in it and times the reading.
//!
//! `cargo run --release -p xent-io --example svmlight -- FILE [THREADS]`

use std::time::Instant;

use xent_io::Error;
use xent_io::svmlight::{Labels, Values, read};

#[expect(clippy::print_stdout, reason = "an example that prints")]
fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let spec = arguments.next().unwrap_or_else(|| "-".into());
    let threads = arguments.next().and_then(|t| t.parse().ok()).unwrap_or(0);
    let start = Instant::now();
    let table = read(&spec, threads)?;
    let seconds = start.elapsed().as_secs_f64();
    let (kind, sum) = match &table.values {
        Values::Ones => ("all 1", table.indices.len() as f64),
        Values::F32(values) => ("f32", values.iter().map(|&x| f64::from(x)).sum()),
        Values::F64(values) => ("f64", values.iter().sum()),
    };
    let labels = match &table.labels {
        Labels::Numbers(_) => "numbers".to_owned(),
        Labels::Text { names, .. } => format!("{} words", names.len()),
    };
    let (rows, stored) = (table.n_rows(), table.indices.len());
    println!("{rows} rows, {} features, {stored} values ({kind}, sum {sum})", table.n_features);
    println!("labels: {labels}, counted from {}", u8::from(!table.is_zero_based));
    println!("{seconds:.3} s");
    Ok(())
}
