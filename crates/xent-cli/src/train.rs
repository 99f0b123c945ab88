//! `xent train`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use xent_eval::learn::{
    ClassWeights, Dataset, FeatureRoles, MissingValues, Phase, ReadOptions, Split, TrainOptions,
    Trained, train,
};
use xent_io::out::{AtomicFile, OutColumn, OutKind, RowWriter};
use xent_report::plot::render_svg;
use xent_report::{Course, TrainContext, curves, render_json, train_report};
use xent_train::solve::{Flow, Iteration, Limits};
use xent_train::{Head, Loss, Method};

use crate::predict::{LABEL, check_names, open_table};
use crate::progress::{Steps, Watch};
use crate::train_args::{HeadArg, LossArg, MissingPolicyArg, SolverArg, TrainArgs, TrainFormatArg};
use crate::{Failure, Outcome, interrupt, output};

/// The relative gap that is reached unless another is asked for.
const TOLERANCE: f64 = 1e-12;
/// The same for small data, where it costs next to nothing: coefficients are as exact as the root of the gap.
const TOLERANCE_SMALL: f64 = 1e-22;
/// Rows times coefficients of small data.
const SMALL: usize = 1_000_000;

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
    let named: Option<Vec<(String, f64)>> = text.split(',').map(one).collect();
    named.map(ClassWeights::Named).ok_or_else(|| {
        Failure::usage(format!("--class-weight {text:?} is not a list of CLASS=WEIGHT"))
            .with_hint("write --class-weight balanced, or --class-weight 'cat=1,dog=2.5'")
    })
}

fn train_options(args: &TrainArgs, loss: LossArg) -> Result<TrainOptions, Failure> {
    let split = match (args.holdout, args.folds) {
        (Some(share), _) => Some(Split::Holdout(share)),
        (None, Some(folds)) => Some(Split::Folds(folds as usize)),
        (None, None) => None,
    };
    let mut needs = None;
    if split.is_none() {
        for (option, is_given) in [
            ("--oof", args.oof.is_some()),
            ("--group", args.group.is_some()),
            ("--time", args.time.is_some()),
        ] {
            if is_given {
                needs = Some(option);
            }
        }
    }
    if let Some(option) = needs {
        return Err(Failure::usage(format!("{option} is about testing, and nothing is tested"))
            .with_hint("add --folds 10, or --holdout 0.2"));
    }
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
        batch_size: args.batch,
        raw_coordinates: args.raw_coordinates,
        limits: Limits {
            tolerance: args.tolerance.unwrap_or(TOLERANCE),
            max_iterations: args.max_iterations,
        },
        threads: args
            .threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        start: args.start,
        split,
        seed: args.seed,
        level: args.level,
    })
}

/// Every iteration of the model's fit.
struct History {
    file: AtomicFile,
    with_loss: bool,
}

impl History {
    fn create(path: &Path, with_loss: bool) -> Result<Self, Failure> {
        let mut file = AtomicFile::create(path)?;
        let first = if with_loss { "loss," } else { "" };
        file.put(
            format!("{first}iteration,objective_nats,objective_bits,cross_entropy_bits,error_rate,gradient_norm,gap,seconds\n")
                .as_bytes(),
        )?;
        Ok(Self { file, with_loss })
    }

    fn add(&mut self, loss: &str, step: &Iteration<'_>) -> std::io::Result<()> {
        if self.with_loss {
            write!(self.file, "{loss},")?;
        }
        let gap = step.gap.map(|gap| format!("{gap:?}")).unwrap_or_default();
        writeln!(
            self.file,
            "{},{:?},{:?},{:?},{:?},{:?},{gap},{:.6}",
            step.number,
            step.objective,
            step.objective / std::f64::consts::LN_2,
            step.log_loss() / std::f64::consts::LN_2,
            step.error_rate(),
            step.gradient_norm,
            step.seconds
        )
    }
}

/// Runs `xent train`.
pub fn run(args: &TrainArgs) -> Result<Outcome, Failure> {
    let losses = &args.loss;
    if losses.len() > 2 || losses.len() == 2 && losses[0] == losses[1] {
        return Err(Failure::usage("--loss names a loss twice")
            .with_hint("write --loss cross-entropy,mse to compare the two"));
    }
    if losses.len() == 2 && (args.oof.is_some() || args.output.is_some()) {
        return Err(Failure::usage("two losses give two models, and one file is named")
            .with_hint("name one --loss to write a model or predictions"));
    }
    let options =
        losses.iter().map(|&loss| train_options(args, loss)).collect::<Result<Vec<_>, _>>()?;
    let table = open_table(&args.data, args.input_format)?;
    let outputs = [
        args.output.as_deref(),
        args.oof.as_deref(),
        args.history.as_deref(),
        args.plot.as_deref(),
    ];
    output::check_paths(table.files().iter().map(PathBuf::as_path), &outputs)?;
    // Made before the first row is read, so that a bad path fails at once.
    let model_file = args.output.as_deref().map(AtomicFile::create).transpose()?;
    let mut history =
        args.history.as_deref().map(|p| History::create(p, losses.len() > 1)).transpose()?;
    let plot_file = args.plot.as_deref().map(AtomicFile::create).transpose()?;
    let is_drawn = losses.len() > 1 || plot_file.is_some();
    if let Some(path) = &args.oof {
        drop(RowWriter::create(path, &[])?);
    }
    let mut watch = Watch::new(table.name(), &[&table], args.quiet);
    let data = Dataset::read(&table, &read_options(args), &mut watch);
    watch.finish();
    let data = data?;
    let is_small =
        !matches!(args.solver, SolverArg::Gd | SolverArg::Sgd | SolverArg::Saga | SolverArg::Cd)
            && args.l1.is_none()
            && data.rows * data.terms().len() * data.classes.len() <= SMALL;
    let mut options = options;
    if args.tolerance.is_none() && is_small {
        options.iter_mut().for_each(|o| o.limits.tolerance = TOLERANCE_SMALL);
    }
    let mut trained = Vec::new();
    let mut courses = Vec::new();
    for options in &options {
        let mut steps = Steps::new(args.quiet, options.limits.tolerance);
        let mut written = Ok(());
        let loss = xent_eval::learn::loss_name(options.loss);
        let mut course = Course::new(loss, &data);
        let result = train(&data, options, &mut |phase, step| {
            if let (Some(history), Phase::Model) = (&mut history, phase)
                && let Err(error) = history.add(loss, step)
            {
                written = Err(error);
                return Flow::Stop;
            }
            if is_drawn && phase == Phase::Model {
                course.add(drawn(&course, step), step.gradient_norm);
            }
            steps.show(phase, step);
            if interrupt::is_asked() { Flow::Stop } else { Flow::Continue }
        });
        steps.finish();
        if let (Err(error), Some(path)) = (written, &args.history) {
            return Err(xent_io::Error::io(path, "cannot write", &error).into());
        }
        trained.push(result?);
        courses.push(course);
    }
    let outputs = Outputs { model: model_file, history, plot: plot_file };
    finish(args, &data, &trained, &options[0], outputs, if is_drawn { &courses } else { &[] })
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
        level: args.level,
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
    for (i, trained) in trained.iter().enumerate() {
        if i > 0 && args.format == TrainFormatArg::Table {
            output::put_text("\n")?;
        }
        output::print(&train_report(trained, data, &context), args.format.format(), args.color)?;
    }
    if let Some(chart) = chart.filter(|_| args.format == TrainFormatArg::Table) {
        output::draw(&chart, args.color)?;
    }
    if trained.iter().any(|t| t.was_interrupted) {
        let what = match &context.output {
            Some(path) => format!("stopped; {path} is the model so far"),
            None => "stopped before the optimum".to_owned(),
        };
        output::say(&what);
        return Err(Failure::Interrupted);
    }
    Ok(Outcome::Done)
}

/// Ids, label or targets, fold and probabilities of the tested rows, and the class frequencies of what their models were
/// trained on, so that the two can be compared.
fn write_out_of_fold(path: &Path, data: &Dataset, trained: &Trained) -> Result<(), Failure> {
    let tested = &trained.out_of_fold;
    let k = data.classes.len();
    let mut names: Vec<(String, OutKind)> =
        data.ids().iter().map(|(name, _)| (name.clone(), OutKind::Text)).collect();
    if data.target_columns.is_empty() {
        names.push((LABEL.to_owned(), OutKind::Text));
    }
    names.extend(data.target_columns.iter().map(|name| (name.clone(), OutKind::Number)));
    names.push(("fold".to_owned(), OutKind::Integer));
    for prefix in ["p_", "base_"] {
        names
            .extend(data.classes.iter().map(|class| (format!("{prefix}{class}"), OutKind::Number)));
    }
    check_names(&names.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>())?;
    let columns: Vec<(&str, OutKind)> = names.iter().map(|(n, kind)| (n.as_str(), *kind)).collect();
    let mut writer = RowWriter::create(path, &columns)?;
    // In batches, so that what is being written stays small.
    for from in (0..tested.rows.len()).step_by(8192) {
        let to = (from + 8192).min(tested.rows.len());
        let rows = &tested.rows[from..to];
        let texts: Vec<Vec<Option<&str>>> = data
            .ids()
            .iter()
            .map(|(_, ids)| rows.iter().map(|&row| Some(ids[row].as_str())).collect())
            .collect();
        let labels: Vec<Option<&str>> = rows.iter().map(|&row| data.label(row)).collect();
        let soft: Vec<Vec<f64>> = (0..data.target_columns.len())
            .map(|class| rows.iter().map(|&row| data.wanted(row, class)).collect())
            .collect();
        let of = |values: &[f64], class: usize| -> Vec<f64> {
            (from..to).map(|i| values[i * k + class]).collect()
        };
        let both = [&tested.proba, &tested.base];
        let proba: Vec<Vec<f64>> =
            both.iter().flat_map(|values| (0..k).map(|class| of(values, class))).collect();
        let mut columns: Vec<OutColumn<'_>> = texts.iter().map(|t| OutColumn::Text(t)).collect();
        if data.target_columns.is_empty() {
            columns.push(OutColumn::Text(&labels));
        }
        columns.extend(soft.iter().map(|x| OutColumn::Numbers(x)));
        columns.push(OutColumn::Integers(&tested.fold[from..to]));
        columns.extend(proba.iter().map(|x| OutColumn::Numbers(x)));
        writer.write(&columns)?;
    }
    Ok(writer.finish()?)
}
