//! `xent worst`: the worst rows, and where the loss lives.

use xent_eval::{FLOORS, WorstOptions, worst};
use xent_report::worst_report;

use crate::args::WorstArgs;
use crate::evaluate::{check_top_k, input_files, is_for_programs, open, options};
use crate::progress::Watch;
use crate::{Failure, Outcome, output};

/// Runs `xent worst`.
pub fn run(args: &WorstArgs) -> Result<Outcome, Failure> {
    let mut score = options(&args.rows, &args.models)?;
    let mut floors = args.floors.clone().unwrap_or_default();
    if args.floors.is_some() && floors.is_empty() {
        floors = FLOORS.to_vec();
    }
    floors.sort_by(f64::total_cmp);
    floors.dedup();
    if !floors.is_empty() && args.rows.clip.is_some() {
        return Err(Failure::usage("--clip is a floor, and --floors compares with no floor")
            .with_hint("leave one of them out"));
    }
    if args.rows.labels.is_some() && args.predictions.len() > 1 {
        return Err(Failure::usage("--labels goes with one file of predictions")
            .with_hint("put the labels into both files"));
    }
    let sources = open(&args.predictions, &args.rows, &mut score)?;
    output::check_paths(input_files(&sources), &[args.output.output.as_deref()])?;
    let mut sink = output::Sink::create(&args.output)?;
    let tables: Vec<&xent_io::Table> = sources.iter().map(|s| &s.table).collect();
    let mut watch = Watch::new("worst rows", &tables, args.output.quiet);
    let wanted = WorstOptions { score, n: args.n, floors };
    let result = worst(sources, &wanted, &mut watch);
    watch.finish();
    let found = result?;
    let scores: Vec<_> = found.models.iter().map(|m| m.score.clone()).collect();
    check_top_k(&scores, &wanted.score)?;
    let report = worst_report(&found, &wanted.score, is_for_programs(args.output.form()));
    sink.write(&report)?;
    sink.finish(&report)?;
    Ok(Outcome::Done)
}
