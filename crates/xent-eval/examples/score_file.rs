//! Scores a prediction file of any format, with slices and the rows of infinite loss.
//!
//!     cargo run -p xent-eval --example score_file -- examples/party/forest.csv fold
#![allow(clippy::print_stdout)]

use xent_eval::{Error, Options, Roles, Source, score};

fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let path = args.first().map_or("examples/party/forest.csv", String::as_str);
    let by: Vec<String> = args.iter().skip(1).cloned().collect();
    let options = Options { roles: Roles { by, ..Roles::default() }, ..Options::default() };
    let source = Source::open(path, &xent_io::OpenOptions::default())?;
    for model in score(&source, &options, &mut ())? {
        let bits = model.scores.cross_entropy();
        println!("{}: {:.3} bits, {} rows", model.name, bits.value, model.scores.rows);
        println!("class frequencies: {:.3} bits", model.baseline.cross_entropy().value);
        println!("infinite losses in rows {:?}", model.infinite_rows);
        for (key, scores) in &model.slices {
            println!("  {}: {:.3} bits", key.join(", "), scores.cross_entropy().value);
        }
    }
    Ok(())
}
