//! `xent predict` and `xent show`.

use std::path::{Path, PathBuf};

use xent_eval::learn::{Model, PredictOptions, Prediction, Predictor, Unseen};
use xent_eval::{Missing, TARGET_PREFIX};
use xent_io::out::{OutColumn, OutKind, RowWriter};
use xent_io::{Format, Table};
use xent_report::model_report;
use xent_report::number::counted;

use crate::args::{MissingArg, PredictArgs, ShowArgs};
use crate::evaluate::open_options;
use crate::progress::Watch;
use crate::train_args::UnseenArg;
use crate::{Failure, Outcome, output};

/// The column of the classes in predictions: the name by which `xent score` knows it.
pub const LABEL: &str = "label";

/// Reads a model file.
pub fn read_model(path: &Path) -> Result<Model, Failure> {
    let text = std::fs::read(path).map_err(|e| xent_io::Error::io(path, "cannot read", &e))?;
    Ok(Model::from_text(&path.display().to_string(), &text)?)
}

/// Opens a table to train or to predict on.
pub fn open_table(
    spec: &str,
    format: Option<crate::args::FileFormatArg>,
) -> Result<Table, Failure> {
    if spec.is_empty() {
        return Err(Failure::usage("the name of a file is empty")
            .with_hint("write a path, or - for standard input"));
    }
    Ok(Table::open(spec, &open_options(format))?)
}

/// Whether a file holds sparse rows rather than a table, as the user or its name says.
pub fn is_svmlight(spec: &str, format: Option<crate::args::FileFormatArg>) -> bool {
    match open_options(format).format {
        Some(format) => format == Format::Svmlight,
        None => Format::of_name(spec) == Some(Format::Svmlight),
    }
}

/// Two columns of one name could not be told apart.
pub fn check_names(names: &[String]) -> Result<(), Failure> {
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            return Err(Failure::usage(format!("two columns of the output would be named {name}"))
                .with_hint("rename the column in the table"));
        }
    }
    Ok(())
}

/// Runs `xent predict`.
pub fn run_predict(args: &PredictArgs) -> Result<Outcome, Failure> {
    let model = read_model(&args.model)?;
    let options = PredictOptions {
        id: args.id.clone(),
        unseen: match args.unseen {
            UnseenArg::Error => Unseen::Error,
            UnseenArg::Reference => Unseen::Reference,
        },
        missing: match args.missing {
            MissingArg::Error => Missing::Error,
            MissingArg::Drop => Missing::Drop,
        },
        raw: args.raw,
        threads: args.threads.unwrap_or(0),
        batch_rows: args.batch_rows,
    };
    if is_svmlight(&args.data, args.input_format) {
        let inputs = [Path::new(&args.data), &args.model];
        output::check_paths(inputs.into_iter(), &[Some(&args.output)])?;
        let mut out = Predictions::create(args, &model, true, false)?;
        model.predict_svmlight(&args.data, &options, |prediction| out.write(&prediction))?;
        return out.finish("index");
    }
    let table = open_table(&args.data, args.input_format)?;
    let inputs = table.files().iter().map(PathBuf::as_path).chain([args.model.as_path()]);
    output::check_paths(inputs, &[Some(&args.output)])?;
    let predictor = Predictor::new(&model, &table, &options)?;
    let (has_label, has_targets) = (predictor.has_label(), predictor.has_targets());
    let mut out = Predictions::create(args, &model, has_label, has_targets)?;
    let mut watch = Watch::new(table.name(), &[&table], args.quiet);
    let result = predictor.run(&mut watch, |prediction| out.write(&prediction));
    watch.finish();
    result?;
    out.finish("level")
}

/// The file of predictions, and what is counted on the way.
struct Predictions<'a> {
    data: &'a str,
    writer: RowWriter,
    rows: u64,
    unseen: u64,
    foreign: u64,
    dropped: u64,
}

impl<'a> Predictions<'a> {
    fn create(
        args: &'a PredictArgs,
        model: &Model,
        has_label: bool,
        has_targets: bool,
    ) -> Result<Self, Failure> {
        let mut names: Vec<(String, OutKind)> =
            args.id.iter().map(|name| (name.clone(), OutKind::Text)).collect();
        if has_label {
            names.push((LABEL.to_owned(), OutKind::Text));
        }
        let mut prefixes = Vec::new();
        if has_targets {
            prefixes.push(TARGET_PREFIX);
        }
        prefixes.push("p_");
        if args.raw {
            prefixes.push("raw_");
        }
        for prefix in prefixes {
            let name = |class: &String| (format!("{prefix}{class}"), OutKind::Number);
            names.extend(model.classes.iter().map(name));
        }
        check_names(&names.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>())?;
        let columns: Vec<(&str, OutKind)> =
            names.iter().map(|(n, kind)| (n.as_str(), *kind)).collect();
        let writer = RowWriter::create(&args.output, &columns)?;
        Ok(Self { data: &args.data, writer, rows: 0, unseen: 0, foreign: 0, dropped: 0 })
    }

    fn write(&mut self, prediction: &Prediction) -> Result<(), xent_eval::Error> {
        self.rows += prediction.rows as u64;
        self.unseen += prediction.unseen;
        self.foreign += prediction.foreign;
        self.dropped += prediction.dropped;
        Ok(self.writer.write(&out_columns(&texts(prediction), prediction))?)
    }

    fn finish(self, unseen: &str) -> Result<Outcome, Failure> {
        if self.rows == 0 {
            return Err(Failure::usage(format!("{}: there are no rows", self.data))
                .with_hint("a header alone is not enough"));
        }
        self.writer.finish()?;
        if self.unseen > 0 {
            let rows = counted(self.unseen, "row has", "rows have");
            let counts = match unseen {
                "index" => "an index that training did not see; it counts for nothing",
                _ => "a level that training did not see; it counts as the reference level",
            };
            output::say(&format!("note: {rows} {counts}"));
        }
        if self.foreign > 0 {
            let rows = counted(self.foreign, "row has", "rows have");
            output::say(&format!(
                "note: {rows} a class that training did not see, kept as the label; xent score refuses such rows"
            ));
        }
        if self.dropped > 0 {
            output::say(&format!(
                "note: {} with missing values left out",
                counted(self.dropped, "row", "rows")
            ));
        }
        Ok(Outcome::Done)
    }
}

fn texts(prediction: &Prediction) -> Vec<Vec<Option<&str>>> {
    prediction
        .ids
        .iter()
        .chain(&prediction.labels)
        .map(|texts| texts.iter().map(Option::as_deref).collect())
        .collect()
}

fn out_columns<'a>(
    texts: &'a [Vec<Option<&'a str>>],
    prediction: &'a Prediction,
) -> Vec<OutColumn<'a>> {
    let texts = texts.iter().map(|texts| OutColumn::Text(texts));
    let numbers = prediction.targets.iter().chain(&prediction.proba).chain(&prediction.raw);
    texts.chain(numbers.map(|numbers| OutColumn::Numbers(numbers))).collect()
}

/// Runs `xent show`.
pub fn run_show(args: &ShowArgs) -> Result<Outcome, Failure> {
    let model = read_model(&args.model)?;
    output::check_paths([args.model.as_path()].into_iter(), &[args.output.output.as_deref()])?;
    let mut sink = output::Sink::create(&args.output)?;
    let report = model_report(&model);
    sink.write(&report)?;
    sink.finish(&report)?;
    Ok(Outcome::Done)
}
