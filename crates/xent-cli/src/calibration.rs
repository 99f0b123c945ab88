//! `xent calibration` and `xent calibrate`.

use std::path::{Path, PathBuf};

use clap::{Arg, Args, ValueEnum};
use xent::calibration::recalibrate::Method;
use xent_eval::{
    Applied, Applier, ApplyOptions, CalibrationOptions, Calibrator, Lines, Options, TARGET_PREFIX,
    calibrate, calibration,
};
use xent_io::out::{AtomicFile, OutColumn, OutKind, RowWriter};
use xent_report::plot::{Diagram, render_svg};
use xent_report::{
    apply_report, calibrate_report, calibration_report, reliability_diagram, render_json,
};

use crate::args::{ColorArg, FormatArg, OutputArgs, RowArgs};
use crate::evaluate::{input_files, is_for_programs, open, options};
use crate::predict::{LABEL, check_names};
use crate::progress::Watch;
use crate::train_args::TrainFormatArg;
use crate::{Failure, Outcome, output};

/// Bins at most.
const BINS: u64 = 100_000;
/// Resamples at most.
const RESAMPLES: u64 = 1_000_000;

#[derive(Args)]
#[command(mut_args(hide_what_is_refused))]
#[command(after_help = "\
Examples:
  xent calibration forest.csv
  xent calibration forest.csv --class democrat --plot reliability.svg
  xent calibration forest.csv logistic.csv --strategy isotonic --format json")]
pub struct CalibrationArgs {
    /// Prediction files, as for xent score; name=path names the model
    #[arg(required = true, value_name = "PREDICTIONS")]
    pub predictions: Vec<String>,

    /// Models side by side in one file, as in 'm1=p1_*,m2=p2_*'
    #[arg(long, value_name = "NAME=GLOB,…", conflicts_with = "proba", help_heading = "Columns")]
    pub models: Vec<String>,

    /// Measure this class against the rest [default: the second of two classes, the top label of more]
    #[arg(long, value_name = "NAME", help_heading = "Calibration")]
    pub class: Option<String>,

    /// Bins of the table and of the calibration errors
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=BINS), help_heading = "Calibration")]
    pub bins: u64,

    /// The lines of the table: bins of equal mass or of equal width, or the blocks of the isotonic fit
    #[arg(long, value_enum, default_value_t = StrategyArg::EqualMass, help_heading = "Calibration")]
    pub strategy: StrategyArg,

    /// Resamples of the test and of the band; 0 for none [default: 999, fewer of more than 10,000 rows, at
    /// least 99]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=RESAMPLES as i64), help_heading = "Calibration")]
    pub resamples: Option<u32>,

    /// The seed of the resamples
    #[arg(long, value_name = "S", default_value_t = 1, help_heading = "Calibration")]
    pub seed: u64,

    /// Draw the reliability diagram into an SVG file
    #[arg(long, value_name = "FILE.svg", help_heading = "Output")]
    pub plot: Option<PathBuf>,

    #[command(flatten)]
    pub rows: RowArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Args)]
#[command(mut_args(hide_what_is_refused))]
#[command(after_help = "\
Examples:
  xent calibrate valid.csv --method temperature --folds 10 -o calibrator.json
  xent calibrate --apply calibrator.json test.csv --id id -o calibrated.csv
  xent compare test.csv calibrated.csv")]
pub struct CalibrateArgs {
    /// A prediction file, as for xent score
    #[arg(value_name = "PREDICTIONS")]
    pub predictions: String,

    /// Apply this calibrator, instead of fitting one
    #[arg(long, value_name = "CALIBRATOR", conflicts_with_all = ["method", "folds"])]
    pub apply: Option<PathBuf>,

    /// What to fit: temperature and vector scaling and isotonic regression for any number of classes, Platt
    /// scaling and beta calibration for two
    #[arg(long, value_enum, default_value_t = MethodArg::Temperature)]
    pub method: MethodArg,

    /// Also fit to all but one of K parts of the rows, each in turn, and say what that wins on the part left out
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub folds: Option<u32>,

    /// Write the calibrator, a JSON file; with --apply the recalibrated predictions: .csv, .tsv, .jsonl or
    /// .parquet
    #[arg(short, long, value_name = "OUT", help_heading = "Output")]
    pub output: Option<PathBuf>,

    /// Form of the results
    #[arg(long, value_enum, default_value_t = TrainFormatArg::Table, help_heading = "Output")]
    pub format: TrainFormatArg,

    /// Colour on the terminal; NO_COLOR and CLICOLOR_FORCE are honoured too
    #[arg(long, value_enum, default_value_t = ColorArg::Auto, help_heading = "Output")]
    pub color: ColorArg,

    /// No progress on the terminal
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,

    #[command(flatten)]
    pub rows: RowArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StrategyArg {
    EqualMass,
    EqualWidth,
    Isotonic,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MethodArg {
    Temperature,
    Vector,
    Platt,
    Beta,
    Isotonic,
}

/// Options of rows that have no meaning here are not in the help.
fn hide_what_is_refused(arg: Arg) -> Arg {
    let is_refused = ["by", "top_k", "label_smoothing"].contains(&arg.get_id().as_str());
    if is_refused { arg.hide(true) } else { arg }
}

/// The options of rows; those that change what happened, or that only scores have, are refused.
fn row_options(args: &RowArgs, models: &[String]) -> Result<Options, Failure> {
    let refused = |option: &str, why: &str, hint: &str| {
        Err(Failure::usage(format!("{option} has no meaning for calibration: {why}"))
            .with_hint(hint.to_owned()))
    };
    if args.label_smoothing.is_some() {
        return refused("--label-smoothing", "it changes what happened", "leave it out");
    }
    if !args.top_k.is_empty() {
        return refused("--top-k", "there is only the top label", "xent score has it");
    }
    if !args.by.is_empty() {
        return refused("--by", "one set of rows at a time", "make a file of each slice");
    }
    options(args, models)
}

/// Runs `xent calibration`.
pub fn run_calibration(args: &CalibrationArgs) -> Result<Outcome, Failure> {
    let mut options = row_options(&args.rows, &args.models)?;
    let measure = CalibrationOptions {
        class: args.class.clone(),
        bins: args.bins as usize,
        lines: match args.strategy {
            StrategyArg::EqualMass => Lines::EqualMass,
            StrategyArg::EqualWidth => Lines::EqualWidth,
            StrategyArg::Isotonic => Lines::Isotonic,
        },
        resamples: args.resamples,
        seed: args.seed,
    };
    if let Some(path) = &args.plot {
        if path.extension().is_none_or(|e| !e.eq_ignore_ascii_case("svg")) {
            return Err(Failure::usage(format!("--plot {}: xent draws SVG", path.display()))
                .with_hint("end the name in .svg"));
        }
        if args.predictions.len() > 1 || args.models.len() > 1 {
            return Err(Failure::usage("--plot draws one model, and several are named")
                .with_hint("name one, and call again for the next"));
        }
    }
    let sources = open(&args.predictions, &args.rows, &mut options)?;
    let outputs = [args.output.output.as_deref(), args.plot.as_deref()];
    output::check_paths(input_files(&sources), &outputs)?;
    let mut sink = output::Sink::create(&args.output)?;
    let plot = args.plot.as_deref().map(AtomicFile::create).transpose()?;
    let mut models = Vec::new();
    for source in &sources {
        let mut watch = Watch::new(&source.name, &[&source.table], args.output.quiet);
        let result = calibration(source, &options, &measure, &mut watch);
        watch.finish();
        models.extend(result?);
    }
    let all = is_for_programs(args.output.form());
    let report = calibration_report(&models, &options, &measure, all);
    if let (Some(mut file), [model]) = (plot, &models[..]) {
        file.put(render_svg(&reliability_diagram(model, &options)).as_bytes())?;
        sink.write(&report)?;
        file.commit()?;
    } else {
        sink.write(&report)?;
    }
    sink.finish(&report)?;
    let is_seen = args.output.output.as_deref().is_none_or(|path| path == Path::new("-"));
    if args.output.form() == FormatArg::Table && is_seen {
        for model in &models {
            // What it shows stands above it already.
            let description = String::new();
            let diagram = Diagram { description, ..reliability_diagram(model, &options) };
            output::draw(&diagram, args.output.color)?;
        }
    }
    Ok(Outcome::Done)
}

/// Runs `xent calibrate`.
pub fn run_calibrate(args: &CalibrateArgs) -> Result<Outcome, Failure> {
    let mut options = row_options(&args.rows, &[])?;
    if args.apply.is_some() {
        return run_apply(args, &mut options);
    }
    let method = match args.method {
        MethodArg::Temperature => Method::Temperature,
        MethodArg::Vector => Method::Vector,
        MethodArg::Platt => Method::Platt,
        MethodArg::Beta => Method::Beta,
        MethodArg::Isotonic => Method::Isotonic,
    };
    let sources = open(std::slice::from_ref(&args.predictions), &args.rows, &mut options)?;
    output::check_paths(input_files(&sources), &[args.output.as_deref()])?;
    let mut file = args.output.as_deref().map(AtomicFile::create).transpose()?;
    let source = &sources[0];
    let mut watch = Watch::new(&source.name, &[&source.table], args.quiet);
    let result = calibrate(source, &options, method, args.folds, &mut watch);
    watch.finish();
    let found = result?;
    if let Some(file) = &mut file {
        file.put(render_json(&found.calibrator.to_json()).as_bytes())?;
    }
    if let Some(file) = file {
        file.commit()?;
    }
    let written = args.output.as_ref().map(|path| path.display().to_string());
    let report = calibrate_report(&found, &options, written.as_deref());
    output::print(&report, args.format.format(), args.color)?;
    Ok(Outcome::Done)
}

fn run_apply(args: &CalibrateArgs, options: &mut Options) -> Result<Outcome, Failure> {
    let (Some(path), Some(out)) = (&args.apply, &args.output) else {
        return Err(Failure::usage("--apply needs a file for the recalibrated predictions")
            .with_hint("name it with -o, as in -o calibrated.csv"));
    };
    let text = std::fs::read(path).map_err(|e| xent_io::Error::io(path, "cannot read", &e))?;
    let calibrator = Calibrator::from_text(&path.display().to_string(), &text)?;
    let sources = open(std::slice::from_ref(&args.predictions), &args.rows, options)?;
    output::check_paths(input_files(&sources).chain([path.as_path()]), &[Some(out)])?;
    let table = &sources[0].table;
    let apply = ApplyOptions {
        roles: options.roles.clone(),
        rules: options.rules.clone(),
        missing: options.missing,
        level: options.level,
        threads: options.threads,
        batch_rows: options.batch_rows,
    };
    let applier = Applier::new(&calibrator, table, &apply)?;
    let names = columns(&calibrator, &applier, options);
    check_names(&names.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>())?;
    let kinds: Vec<(&str, OutKind)> = names.iter().map(|(n, kind)| (n.as_str(), *kind)).collect();
    let mut writer = RowWriter::create(out, &kinds)?;
    let mut watch = Watch::new(table.name(), &[table], args.quiet);
    let result = applier.run(&mut watch, |applied| {
        let texts = texts(&applied, &calibrator.classes);
        let texts = texts.iter().map(|texts| OutColumn::Text(texts));
        let numbers = applied.targets.iter().chain(&applied.weights).chain(&applied.proba);
        let columns: Vec<OutColumn<'_>> =
            texts.chain(numbers.map(|numbers| OutColumn::Numbers(numbers))).collect();
        Ok(writer.write(&columns)?)
    });
    watch.finish();
    let summary = result?;
    if summary.rows == 0 {
        return Err(Failure::usage(format!("{}: there are no rows", args.predictions))
            .with_hint("a header alone is not enough"));
    }
    writer.finish()?;
    let written = out.display().to_string();
    let report = apply_report(&calibrator, &summary, &args.predictions, &written, options.level);
    output::print(&report, args.format.format(), args.color)?;
    Ok(Outcome::Done)
}

/// The columns of the recalibrated predictions: identity, label or targets, weight, a probability a class.
fn columns(
    calibrator: &Calibrator,
    applier: &Applier<'_>,
    options: &Options,
) -> Vec<(String, OutKind)> {
    let text = |name: &String| (name.clone(), OutKind::Text);
    let number = |name: String| (name, OutKind::Number);
    let mut names: Vec<(String, OutKind)> = options.roles.id.iter().map(text).collect();
    if applier.has_label() {
        names.push((LABEL.to_owned(), OutKind::Text));
    }
    let per_class = |prefix| calibrator.classes.iter().map(move |c| number(format!("{prefix}{c}")));
    if applier.has_targets() {
        names.extend(per_class(TARGET_PREFIX));
    }
    names.extend(options.roles.weight.iter().cloned().map(number));
    names.extend(per_class("p_"));
    names
}

fn texts<'a>(applied: &'a Applied, classes: &'a [String]) -> Vec<Vec<Option<&'a str>>> {
    let ids = applied.ids.iter().map(|ids| ids.iter().map(|id| Some(id.as_str())).collect());
    let labels = applied
        .labels
        .iter()
        .map(|labels| labels.iter().map(|&l| Some(classes[l as usize].as_str())).collect());
    ids.chain(labels).collect()
}
