//! `xent score` and `xent compare`.

use std::path::{Path, PathBuf};

use xent::rows::{Input, Rules, Sums};
use xent_eval::{Missing, ModelScore, Options, Peer, Roles, Source, compare, put_beside, score};
use xent_io::{Format, OpenOptions};
use xent_report::{add_peer, compare_report, score_report};

use crate::args::{
    CompareArgs, FileFormatArg, FormatArg, InputArg, MissingArg, PeerArg, RowArgs, ScoreArgs,
    SumsArg,
};
use crate::fail_if::Condition;
use crate::per_row::PerRow;
use crate::progress::{Peers, Watch};
use crate::{Failure, Outcome, output};

/// What the arguments say about columns and rows.
pub fn options(args: &RowArgs, models: &[String]) -> Result<Options, Failure> {
    let input = match args.input {
        InputArg::Probabilities => Input::Probabilities,
        InputArg::LogProbabilities => Input::LogProbabilities,
        InputArg::Logits => Input::Logits,
    };
    let mut top_k = args.top_k.clone();
    top_k.sort_unstable();
    top_k.dedup();
    if args.sums == SumsArg::Normalize && input == Input::Logits {
        return Err(Failure::usage("--sums normalize has no meaning for logits")
            .with_hint("a softmax sums to 1 by itself"));
    }
    let defaults = Options::default();
    Ok(Options {
        roles: Roles {
            label: args.label.clone(),
            targets: args.targets.clone(),
            proba: args.proba.clone(),
            positive: args.positive.clone(),
            classes: args.classes.clone(),
            weight: args.weight.clone(),
            by: args.by.clone(),
            id: args.id.clone(),
            models: parse_models(models)?,
            model_col: None,
            input,
        },
        rules: Rules {
            input,
            sums: match args.sums {
                SumsArg::Strict => Sums::Strict,
                SumsArg::Normalize => Sums::Normalize,
                SumsArg::AsIs => Sums::AsIs,
            },
            clip: args.clip.unwrap_or(0.0),
            label_smoothing: args.label_smoothing.unwrap_or(0.0),
            top_k,
        },
        missing: match args.missing {
            MissingArg::Error => Missing::Error,
            MissingArg::Drop => Missing::Drop,
        },
        level: args.level,
        threads: args.threads.unwrap_or(defaults.threads),
        batch_rows: args.batch_rows,
        ..defaults
    })
}

/// `m1=p1_*,m2=p2_*`, where a list of columns may itself have commas: `m1=a,b,m2=c,d`.
fn parse_models(specs: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let mut models: Vec<(String, String)> = Vec::new();
    for part in specs.iter().flat_map(|s| s.split(',')).map(str::trim).filter(|p| !p.is_empty()) {
        if let Some((name, _)) = part.split_once('=')
            && models.iter().any(|(n, _)| n == name)
        {
            return Err(Failure::usage(format!("--models names two models {name}"))
                .with_hint("give every model its own name"));
        }
        match (part.split_once('='), models.last_mut()) {
            (Some((name, glob)), _) if !name.is_empty() && !glob.is_empty() => {
                models.push((name.to_owned(), glob.to_owned()));
            }
            (None, Some((_, globs))) => {
                globs.push(',');
                globs.push_str(part);
            }
            _ => {
                return Err(Failure::usage(format!("--models {part:?} is not name=columns"))
                    .with_hint("write --models 'm1=p1_*,m2=p2_*'"));
            }
        }
    }
    Ok(models)
}

/// How to open a file whose format is said, or is not.
pub fn open_options(format: Option<FileFormatArg>) -> OpenOptions {
    let format = format.map(|format| match format {
        FileFormatArg::Csv => Format::Csv,
        FileFormatArg::Tsv => Format::Tsv,
        FileFormatArg::Jsonl => Format::JsonLines,
        FileFormatArg::Parquet => Format::Parquet,
        FileFormatArg::Arrow => Format::ArrowIpc,
        FileFormatArg::Npy => Format::Npy,
        FileFormatArg::Npz => Format::Npz,
        FileFormatArg::Safetensors => Format::Safetensors,
        FileFormatArg::Svmlight => Format::Svmlight,
    });
    OpenOptions { format }
}

/// Opens the predictions, and the labels beside them.
pub fn open(
    specs: &[String],
    args: &RowArgs,
    options: &mut Options,
) -> Result<Vec<Source>, Failure> {
    let mut sources = Source::open_all(specs, &open_options(args.input_format))?;
    if let Some(labels) = &args.labels {
        let only = put_beside(&mut sources, labels, options.roles.targets.is_some())?;
        let roles = &mut options.roles;
        if roles.label.is_none() && roles.targets.is_none() {
            roles.label = only;
        }
    }
    Ok(sources)
}

/// No top-k error asks for more classes than there are.
pub fn check_top_k(models: &[ModelScore], options: &Options) -> Result<(), Failure> {
    for model in models {
        let k = model.classes.len();
        if let Some(&too_many) = options.rules.top_k.iter().find(|&&t| t as usize > k) {
            return Err(Failure::usage(format!(
                "--top-k {too_many} of {}, which has {k} classes",
                model.source
            ))
            .with_hint(format!("the largest is --top-k {k}")));
        }
    }
    Ok(())
}

/// Every file that is read.
pub fn input_files(sources: &[Source]) -> impl Iterator<Item = &Path> {
    let tables = sources.iter().flat_map(|s| [Some(&s.table), s.table.beside()]);
    tables.flatten().flat_map(xent_io::Table::files).map(PathBuf::as_path)
}

/// Results are read by programs in full, by people in part.
pub fn is_for_programs(format: FormatArg) -> bool {
    matches!(format, FormatArg::Csv | FormatArg::Json)
}

/// Runs `xent score`.
pub fn run_score(args: &ScoreArgs) -> Result<Outcome, Failure> {
    let mut options = options(&args.rows, &args.models)?;
    options.confusion = args.confusion;
    options.per_class = args.per_class;
    options.decomposition = args.decomposition;
    options.folds = args.folds;
    let conditions: Vec<Condition> =
        args.fail_if.iter().map(|c| Condition::parse(c, &options)).collect::<Result<_, _>>()?;
    let sources = open(&args.predictions, &args.rows, &mut options)?;
    let outputs = [args.output.output.as_deref(), args.per_row.as_deref()];
    output::check_paths(input_files(&sources), &outputs)?;
    let mut sink = output::Sink::create(&args.output)?;
    let several = sources.len() > 1 || !options.roles.models.is_empty();
    let mut per_row = match &args.per_row {
        Some(path) => Some(PerRow::create(path, several, options.roles.id.is_some())?),
        None => None,
    };
    let mut models: Vec<ModelScore> = Vec::new();
    let peer = peer(args)?;
    let mut peers = Vec::new();
    for source in &sources {
        let mut watch = Watch::new(&source.name, &[&source.table], args.output.quiet);
        if let Some(mut rows) = per_row.take() {
            rows.model.clone_from(&source.name);
            watch.per_row = Some(rows);
        }
        watch.peers = peer.map(Peers::new);
        let result = score(source, &options, &mut watch);
        watch.finish();
        per_row = watch.per_row.take();
        let scored = result?;
        peers.extend(watch.peers.iter().flat_map(|peers| peers.finish(&scored)));
        models.extend(scored);
    }
    check_top_k(&models, &options)?;
    let all = is_for_programs(args.output.form());
    let mut report = score_report(&models, &options, all);
    if let Some(peer) = peer {
        add_peer(&mut report, peer, &models, &peers, all);
    }
    sink.write(&report)?;
    if let Some(rows) = per_row {
        rows.finish()?;
    }
    sink.finish(&report)?;
    Ok(outcome(&conditions, &models, &options))
}

/// The tool of `--as`, which takes the numbers as they are.
fn peer(args: &ScoreArgs) -> Result<Option<Peer>, Failure> {
    let rows = &args.rows;
    let changed = [
        (rows.clip.is_some(), "--clip"),
        (rows.sums == SumsArg::Normalize, "--sums normalize"),
        (rows.label_smoothing.is_some(), "--label-smoothing"),
    ];
    let changed = changed.into_iter().find_map(|(is_there, option)| is_there.then_some(option));
    if let (Some(option), Some(_)) = (changed, args.like) {
        return Err(Failure::usage(format!(
            "--as reads the numbers as they are, {option} changes them"
        ))
        .with_hint("leave one of them out"));
    }
    Ok(args.like.map(|peer| match peer {
        PeerArg::Sklearn => Peer::Sklearn,
        PeerArg::Yardstick => Peer::Yardstick,
        PeerArg::Torchmetrics => Peer::Torchmetrics,
    }))
}

fn outcome(conditions: &[Condition], models: &[ModelScore], options: &Options) -> Outcome {
    let mut outcome = Outcome::Done;
    for condition in conditions {
        for message in models.iter().filter_map(|m| condition.holds(m, options)) {
            output::say(&message);
            outcome = Outcome::No;
        }
    }
    outcome
}

/// Runs `xent compare`.
pub fn run_compare(args: &CompareArgs) -> Result<Outcome, Failure> {
    let mut options = options(&args.rows, &args.models)?;
    options.roles.model_col.clone_from(&args.model_col);
    options.folds = args.folds;
    let worse = args.fail_if.iter().any(|c| c.trim() == "worse");
    let conditions: Vec<Condition> = args
        .fail_if
        .iter()
        .filter(|c| c.trim() != "worse")
        .map(|c| Condition::parse(c, &options))
        .collect::<Result<_, _>>()?;
    let sources = open(&args.predictions, &args.rows, &mut options)?;
    output::check_paths(input_files(&sources), &[args.output.output.as_deref()])?;
    let mut sink = output::Sink::create(&args.output)?;
    let tables: Vec<&xent_io::Table> = sources.iter().map(|s| &s.table).collect();
    let mut watch = Watch::new("comparing", &tables, args.output.quiet);
    let result = compare(&sources, &options, args.baseline.as_deref(), &mut watch);
    watch.finish();
    let comparison = result?;
    check_top_k(&comparison.models, &options)?;
    let report = compare_report(&comparison, &options, is_for_programs(args.output.form()));
    sink.write(&report)?;
    sink.finish(&report)?;
    let mut outcome = outcome(&conditions, &comparison.models, &options);
    if worse {
        let worse = comparison.differences.iter().filter(|d| {
            d.score == xent::compare::Score::CrossEntropy
                && d.estimate.value > 0.0
                && (d.is_shown(options.level) || d.estimate.value.is_infinite())
        });
        for d in worse {
            let name = &comparison.models[d.model].name;
            output::say(&format!("failed: {name} is worse than {}", comparison.models[0].name));
            outcome = Outcome::No;
        }
    }
    Ok(outcome)
}
