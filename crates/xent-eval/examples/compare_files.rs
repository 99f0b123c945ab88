//! Compares prediction files over the same rows.
//!
//!     cargo run -p xent-eval --example compare_files -- examples/party/logistic.csv examples/party/forest.csv
#![allow(clippy::print_stdout)]

use xent::compare::Score;
use xent_eval::{Error, Options, Source, compare};

fn main() -> Result<(), Error> {
    let mut paths: Vec<String> = std::env::args().skip(1).collect();
    if paths.is_empty() {
        paths = ["logistic", "forest"].map(|m| format!("examples/party/{m}.csv")).to_vec();
    }
    let sources = Source::open_all(&paths, &xent_io::OpenOptions::default())?;
    let comparison = compare(&sources, &Options::default(), None, &mut ())?;
    for d in comparison.differences.iter().filter(|d| d.score == Score::CrossEntropy) {
        println!(
            "{} against {}: {:+.4} bits a row, p = {:.3}",
            comparison.models[d.model].name, comparison.models[0].name, d.estimate.value, d.p
        );
    }
    Ok(())
}
