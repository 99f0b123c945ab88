//! `xent train`.

use std::path::PathBuf;

use xent_eval::learn::{
    Checkpoint, ClassWeights, Dataset, FeatureRoles, MissingValues, Phase, ReadOptions, Split,
    TrainOptions, Trained, train,
};
use xent_eval::{Source, put_beside};
use xent_io::Table;
use xent_io::out::{AtomicFile, RowWriter};
use xent_report::plot::render_svg;
use xent_report::{Course, TrainContext, curves, losses_json, render_json, train_report};
use xent_train::solve::{Flow, Iteration, Limits};
use xent_train::{Head, Loss, Method};

use crate::predict::{is_svmlight, open_table};
use crate::progress::{Steps, Watch};
use crate::train_args::{HeadArg, LossArg, MissingPolicyArg, SolverArg, TrainArgs, TrainFormatArg};
use crate::train_check::{check, refuse_twice};
use crate::train_files::{History, Saver, write_out_of_fold};
use crate::{Failure, Outcome, interrupt, output};

/// The relative gap that is reached unless another is asked for.
const TOLERANCE: f64 = 1e-12;
/// The same for small data, where it costs next to nothing: coefficients are as exact as the root of the gap.
const TOLERANCE_SMALL: f64 = 1e-22;
/// Rows times coefficients of small data.
const SMALL: usize = 1_000_000;
/// The level of intervals unless another is asked for.
const LEVEL: f64 = 0.95;
/// Rows in a batch of sgd.
const BATCH: usize = 32;

/// Whether gradient descent is to be watched from a given start, over any data.
fn is_for_watching(args: &TrainArgs) -> bool {
    matches!(args.solver, SolverArg::Gd | SolverArg::Sgd) && args.start.is_some()
}

fn read_options(args: &TrainArgs) -> ReadOptions {
    ReadOptions {
        roles: FeatureRoles {
            target: args.target.clone(),
            targets: args.targets.clone(),
            features: args.features.clone(),
            drop: args.drop.clone(),
            categorical: args.categorical.clone(),
            weight: args.weight.clone(),
            offset: args.offset.clone(),
            id: args.id.clone(),
            group: args.group.clone(),
            time: args.time.clone(),
        },
        missing: match args.missing {
            MissingPolicyArg::Error => MissingValues::Error,
            MissingPolicyArg::Drop => MissingValues::Drop,
            MissingPolicyArg::Indicator => MissingValues::Indicator,
        },
        references: args.reference.clone(),
        classes: args.classes.clone(),
        is_for_watching: is_for_watching(args),
        min_count: args.min_count,
        out_of_core: args.out_of_core,
        threads: args.threads.unwrap_or(0),
        batch_rows: args.batch_rows,
    }
}

fn class_weights(text: Option<&str>) -> Result<ClassWeights, Failure> {
    let Some(text) = text else { return Ok(ClassWeights::None) };
    if text == "balanced" {
        return Ok(ClassWeights::Balanced);
    }
    let one = |part: &str| {
        let (class, weight) = part.rsplit_once('=')?;
        let weight: f64 = weight.trim().parse().ok()?;
        (weight >= 0.0 && weight.is_finite()).then(|| (class.trim().to_owned(), weight))
    };
    let is_negative = |part: &str| {
        let weight =
            part.rsplit_once('=').and_then(|(_, weight)| weight.trim().parse::<f64>().ok());
        weight.is_some_and(|weight| weight < 0.0)
    };
    if text.split(',').any(is_negative) {
        return Err(Failure::usage(format!(
            "--class-weight {text:?}: a weight must not be negative"
        ))
        .with_hint("a class of weight 2 counts as if each of its rows were there twice"));
    }
    let named: Option<Vec<(String, f64)>> = text.split(',').map(one).collect();
    let named = named.ok_or_else(|| {
        Failure::usage(format!("--class-weight {text:?} is not a list of CLASS=WEIGHT"))
            .with_hint("write --class-weight balanced, or --class-weight 'cat=1,dog=2.5'")
    })?;
    refuse_twice("--class-weight", &named)?;
    Ok(ClassWeights::Named(named))
}

fn train_options(args: &TrainArgs, loss: LossArg) -> Result<TrainOptions, Failure> {
    let split = match (args.holdout, args.folds) {
        (Some(share), _) => Some(Split::Holdout(share)),
        (None, Some(folds)) => Some(Split::Folds(folds as usize)),
        (None, None) => None,
    };
    Ok(TrainOptions {
        head: match args.head {
            HeadArg::Softmax => Head::Softmax,
            HeadArg::Sigmoid => Head::Sigmoid,
        },
        loss: match loss {
            LossArg::CrossEntropy => Loss::CrossEntropy,
            LossArg::Mse => Loss::SquaredError,
        },
        l2: args.l2.unwrap_or(0.0),
        l1: args.l1.unwrap_or(0.0),
        c: args.c,
        factors: args.penalty_factor.clone(),
        standardize: !args.no_standardize,
        has_intercept: !args.no_intercept,
        class_weights: class_weights(args.class_weight.as_deref())?,
        method: match args.solver {
            SolverArg::Auto => Method::Auto,
            SolverArg::Gd => Method::Gd,
            SolverArg::Sgd => Method::Sgd,
            SolverArg::Lbfgs => Method::Lbfgs,
            SolverArg::Newton => Method::Newton,
            SolverArg::NewtonCg => Method::NewtonCg,
            SolverArg::Irls => Method::Irls,
            SolverArg::Saga => Method::Saga,
            SolverArg::Cd => Method::Cd,
        },
        learning_rate: args.learning_rate,
        batch_size: args.batch.unwrap_or(BATCH),
        raw_coordinates: args.raw_coordinates,
        limits: Limits {
            tolerance: args.tolerance.unwrap_or(TOLERANCE),
            max_iterations: args.max_iterations,
        },
        threads: args
            .threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        resume: None,
        start: args.start,
        split,
        seed: args.seed,
        level: args.level.unwrap_or(LEVEL),
    })
}

/// What is trained on.
enum Input {
    Table(Box<Table>),
    Svmlight(String),
}

impl Input {
    /// Opens it, and the labels beside it; and the column of these, if the file has only one.
    fn open(args: &TrainArgs) -> Result<(Self, Option<String>), Failure> {
        if is_svmlight(&args.data, args.input_format) {
            return match args.labels {
                Some(_) => Err(Failure::usage("an svmlight file has its labels in it")
                    .with_hint("leave out --labels")),
                None => Ok((Self::Svmlight(args.data.clone()), None)),
            };
        }
        let table = open_table(&args.data, args.input_format)?;
        let Some(labels) = &args.labels else { return Ok((Self::Table(Box::new(table)), None)) };
        let mut sources = [Source { name: table.name().to_owned(), table }];
        let only = put_beside(&mut sources, labels, false)?;
        let [Source { table, .. }] = sources;
        Ok((Self::Table(Box::new(table)), only))
    }

    fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Table(table) => [Some(&**table), table.beside()]
                .into_iter()
                .flatten()
                .flat_map(|table| table.files().to_vec())
                .collect(),
            Self::Svmlight(spec) => vec![PathBuf::from(spec)],
        }
    }

    fn read(&self, args: &TrainArgs, target: Option<String>) -> Result<Dataset, Failure> {
        let mut options = read_options(args);
        let roles = &mut options.roles;
        if roles.target.is_none() && roles.targets.is_none() {
            roles.target = target;
        }
        Ok(match self {
            Self::Table(table) => {
                let mut watch = Watch::new(table.name(), &[table], args.quiet);
                let data = Dataset::read(table, &options, &mut watch);
                watch.finish();
                data?
            }
            Self::Svmlight(spec) => Dataset::read_svmlight(spec, &options)?,
        })
    }
}

/// Runs `xent train`.
pub fn run(args: &TrainArgs) -> Result<Outcome, Failure> {
    check(args)?;
    let losses = &args.loss;
    let mut options =
        losses.iter().map(|&loss| train_options(args, loss)).collect::<Result<Vec<_>, _>>()?;
    let (input, target) = Input::open(args)?;
    let outputs = [
        args.output.as_deref(),
        args.oof.as_deref(),
        args.history.as_deref(),
        args.plot.as_deref(),
        args.checkpoint.as_deref(),
    ];
    output::check_paths(input.files().iter().map(PathBuf::as_path), &outputs)?;
    // Made before the first row is read, so that a bad path fails at once.
    let model_file = args.output.as_deref().map(AtomicFile::create).transpose()?;
    let mut history =
        args.history.as_deref().map(|p| History::create(p, losses.len() > 1)).transpose()?;
    let plot_file = args.plot.as_deref().map(AtomicFile::create).transpose()?;
    let is_drawn = losses.len() > 1 || plot_file.is_some();
    for path in [&args.checkpoint, &args.oof].into_iter().flatten() {
        drop(AtomicFile::create(path)?);
    }
    if let Some(path) = &args.oof {
        drop(RowWriter::create(path, &[])?);
    }
    let state = args
        .resume
        .as_deref()
        .map(|path| std::fs::read(path).map_err(|e| xent_io::Error::io(path, "cannot read", &e)));
    let state = state.transpose()?;
    let data = input.read(args, target)?;
    let is_small =
        !matches!(args.solver, SolverArg::Gd | SolverArg::Sgd | SolverArg::Saga | SolverArg::Cd)
            && args.l1.is_none()
            && data.rows * data.terms().len() * data.classes.len() <= SMALL;
    if args.tolerance.is_none() && is_small {
        options.iter_mut().for_each(|o| o.limits.tolerance = TOLERANCE_SMALL);
    }
    let mut saver = None;
    if args.checkpoint.is_some() || args.resume.is_some() {
        let begin = Checkpoint::begin(&data, &options[0])?;
        if let (Some(text), Some(path)) = (state, &args.resume) {
            options[0].resume = Some(begin.resume(&path.display().to_string(), &text)?);
        }
        saver = args.checkpoint.as_deref().map(|path| Saver::new(path, begin));
    }
    let mut trained = Vec::new();
    let mut courses = Vec::new();
    for options in &options {
        let mut steps = Steps::new(args.quiet, options.limits.tolerance);
        let mut written = Ok(());
        let loss = xent_eval::learn::loss_name(options.loss);
        let mut course = Course::new(loss, &data);
        let result = train(&data, options, &mut |phase, step| {
            if phase == Phase::Model {
                written = write_step(loss, step, history.as_mut(), saver.as_mut());
                if written.is_err() {
                    return Flow::Stop;
                }
                if is_drawn {
                    course.add(drawn(&course, step), step.gradient_norm);
                }
            }
            steps.show(phase, step);
            if interrupt::is_asked() { Flow::Stop } else { Flow::Continue }
        });
        steps.finish();
        written?;
        trained.push(result?);
        courses.push(course);
    }
    if let Some(saver) = &mut saver {
        saver.write()?;
    }
    let outputs = Outputs { model: model_file, history, plot: plot_file };
    finish(args, &data, &trained, &options[0], outputs, if is_drawn { &courses } else { &[] })
}

fn write_step(
    loss: &str,
    step: &Iteration<'_>,
    history: Option<&mut History>,
    saver: Option<&mut Saver>,
) -> Result<(), Failure> {
    if let Some(history) = history {
        let added = history.add(loss, step);
        added.map_err(|e| xent_io::Error::io(history.file.path(), "cannot write", &e))?;
    }
    saver.map_or(Ok(()), |saver| saver.step(step))
}

/// What is drawn of a step.
fn drawn(course: &Course, step: &Iteration<'_>) -> f64 {
    let mut value = f64::NAN;
    if course.is_neuron() {
        step.predict(|_, p| value = p[1]);
    } else {
        value = step.log_loss() / std::f64::consts::LN_2;
    }
    value
}

/// Files that are written.
struct Outputs {
    model: Option<AtomicFile>,
    history: Option<History>,
    plot: Option<AtomicFile>,
}

fn finish(
    args: &TrainArgs,
    data: &Dataset,
    trained: &[Trained],
    options: &TrainOptions,
    outputs: Outputs,
    courses: &[Course],
) -> Result<Outcome, Failure> {
    let context = TrainContext {
        tolerance: options.limits.tolerance,
        // What is watched for some steps need not arrive.
        expected: if is_for_watching(args) {
            None
        } else {
            Some(args.tolerance.unwrap_or(TOLERANCE))
        },
        level: options.level,
        split: options.split.map(|split| {
            let how = match (&args.group, &args.time) {
                (Some(group), _) => format!(" by {group}"),
                (_, Some(time)) => format!(" in order of {time}"),
                _ => String::new(),
            };
            match split {
                Split::Holdout(share) => format!("{}% held out{how}", 100.0 * share),
                Split::Folds(folds) => format!("{folds} folds{how}"),
            }
        }),
        output: args.output.as_ref().map(|path| path.display().to_string()),
    };
    if let Some(path) = args.oof.as_deref().filter(|_| !trained[0].was_interrupted) {
        write_out_of_fold(path, data, &trained[0])?;
    }
    if let Some(history) = outputs.history {
        history.file.commit()?;
    }
    if let Some(mut file) = outputs.model {
        file.put(render_json(&trained[0].model.to_json()).as_bytes())?;
        file.commit()?;
    }
    let chart = (!courses.is_empty()).then(|| curves(courses, data));
    if let (Some(mut file), Some(chart)) = (outputs.plot, &chart) {
        file.put(render_svg(chart).as_bytes())?;
        file.commit()?;
    }
    let mut reports: Vec<_> = trained.iter().map(|t| train_report(t, data, &context)).collect();
    if reports.len() > 1 && args.format == TrainFormatArg::Json {
        output::put_text(&render_json(&losses_json(reports.into_iter().map(|r| r.data))))?;
        reports = Vec::new();
    }
    for (i, report) in reports.iter().enumerate() {
        if i > 0 {
            output::put_text("\n")?;
        }
        output::print(report, args.format.format(), args.color)?;
    }
    if let Some(chart) = chart.filter(|_| args.format == TrainFormatArg::Table) {
        output::draw(&chart, args.color)?;
    }
    if trained.iter().any(|t| t.was_interrupted) {
        let is_model = trained.iter().any(|t| t.model.training.stop == "interrupted");
        let mut what = match &context.output {
            Some(path) if is_model => format!("stopped; {path} is the model so far"),
            Some(path) => format!("stopped in the test; {path} is the whole model"),
            None => "stopped before the end".to_owned(),
        };
        if let Some(path) = args.checkpoint.as_ref().filter(|_| is_model) {
            what += &format!("; --resume {} goes on from here", path.display());
        }
        output::say(&what);
        return Err(Failure::Interrupted);
    }
    Ok(Outcome::Done)
}
