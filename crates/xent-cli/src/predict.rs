//! `xent predict` and `xent show`.

use std::path::{Path, PathBuf};

use xent_eval::Missing;
use xent_eval::learn::{Model, PredictOptions, Prediction, Predictor, Unseen};
use xent_io::Table;
use xent_io::out::{OutColumn, OutKind, RowWriter};
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
    let table = open_table(&args.data, args.input_format)?;
    let inputs = table.files().iter().map(PathBuf::as_path).chain([args.model.as_path()]);
    output::check_paths(inputs, &[Some(&args.output)])?;
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
        threads: args.threads.unwrap_or(0),
        batch_rows: args.batch_rows,
    };
    let predictor = Predictor::new(&model, &table, &options)?;
    let mut names: Vec<(String, OutKind)> =
        args.id.iter().map(|name| (name.clone(), OutKind::Text)).collect();
    if predictor.has_label() {
        names.push((LABEL.to_owned(), OutKind::Text));
    }
    if predictor.has_targets() {
        names.extend(model.target_columns.iter().map(|name| (name.clone(), OutKind::Number)));
    }
    names.extend(model.classes.iter().map(|class| (format!("p_{class}"), OutKind::Number)));
    check_names(&names.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>())?;
    let columns: Vec<(&str, OutKind)> = names.iter().map(|(n, kind)| (n.as_str(), *kind)).collect();
    let mut writer = RowWriter::create(&args.output, &columns)?;
    let mut watch = Watch::new(table.name(), &[&table], args.quiet);
    let (mut rows, mut unseen, mut dropped) = (0, 0, 0);
    let result = predictor.run(&mut watch, |prediction| {
        rows += prediction.rows as u64;
        unseen += prediction.unseen;
        dropped += prediction.dropped;
        Ok(writer.write(&out_columns(&texts(&prediction), &prediction))?)
    });
    watch.finish();
    result?;
    if rows == 0 {
        return Err(Failure::usage(format!("{}: there are no rows", args.data))
            .with_hint("a header alone is not enough"));
    }
    writer.finish()?;
    if unseen > 0 {
        let rows = counted(unseen, "row has", "rows have");
        output::say(&format!(
            "note: {rows} a level that training did not see; it counts as the reference level"
        ));
    }
    if dropped > 0 {
        output::say(&format!(
            "note: {} with missing values left out",
            counted(dropped, "row", "rows")
        ));
    }
    Ok(Outcome::Done)
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
    let numbers = prediction.targets.iter().chain(&prediction.proba);
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
