//! Probabilities for the rows of a table, streamed.

use std::collections::HashMap;

use xent::information::sigmoid;
use xent_io::{Batch, Kind, MISSING, ReadAs, Request, RowError, ScanOptions, Span, Table};
use xent_train::Head;
use xent_train::problem::probabilities;

use super::columns::{FeatureColumn, Reading};
use super::feature::{Feature, FeatureKind, Levels};
use super::model::Model;
use super::piece::Piece;
use crate::block::Missing;
use crate::error::Error;
use crate::roles::{canonical, find_column, list_columns, short};
use crate::score::{Observer, Progress, go_on};

/// What to do about a score that is not finite.
pub(crate) const TOO_LARGE: &str = "look at this row: its columns need the units that training had";

/// What happens to a level, an svmlight index or a class that training did not see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unseen {
    /// It is an error naming the row.
    #[default]
    Error,
    /// It counts as the reference level, and is counted; a class is kept as the label.
    Reference,
}

/// How to predict.
#[derive(Clone, Debug, Default)]
pub struct PredictOptions {
    /// Columns that are kept.
    pub id: Vec<String>,
    /// New levels.
    pub unseen: Unseen,
    /// Whether the sigmoid of each class by itself is wanted too; of models with such a head.
    pub raw: bool,
    /// Rows with a missing value that the model has no term for.
    pub missing: Missing,
    /// Threads; 0 means all. No result depends on it.
    pub threads: usize,
    /// Rows a batch, for tests; no result depends on it.
    pub batch_rows: Option<usize>,
}

/// The predictions for consecutive rows.
#[derive(Clone, Debug, Default)]
pub struct Prediction {
    /// Rows read.
    pub rows: usize,
    /// Columns kept, one text a row, in the order asked for.
    pub ids: Vec<Vec<Option<String>>>,
    /// The class of each row, where the table has it.
    pub labels: Option<Vec<Option<String>>>,
    /// Soft targets, one column a class, where the table has them.
    pub targets: Vec<Vec<f64>>,
    /// One column a class.
    pub proba: Vec<Vec<f64>>,
    /// The sigmoids before they were divided by their sum, one column a class, where they are wanted.
    pub raw: Vec<Vec<f64>>,
    /// Rows with a level that training did not see.
    pub unseen: u64,
    /// Rows whose label is a class that training did not see.
    pub foreign: u64,
    /// Rows left out for a missing value.
    pub dropped: u64,
}

/// A model bound to the columns of a table.
pub struct Predictor<'a> {
    model: &'a Model,
    table: &'a Table,
    options: &'a PredictOptions,
    columns: Vec<FeatureColumn>,
    /// For categories, the code of each level.
    codes: Vec<HashMap<&'a str, u32>>,
    requests: Vec<Request>,
    has_label: bool,
    has_targets: bool,
}

impl<'a> Predictor<'a> {
    /// Finds the model's columns in a table.
    ///
    /// # Errors
    ///
    /// A column is missing, or holds something else than in training.
    pub fn new(
        model: &'a Model,
        table: &'a Table,
        options: &'a PredictOptions,
    ) -> Result<Self, Error> {
        let error = |message: String| Error::new(format!("{}: {message}", table.spec()));
        model.check_raw(options)?;
        if model.is_sparse() {
            return Err(error(
                "is a table, and the model was trained on an svmlight file".to_owned(),
            )
            .with_hint("say --input-format svmlight if it is such a file under another name"));
        }
        let missing: Vec<String> = model
            .features
            .iter()
            .map(|f| &f.column)
            .chain(&model.offsets)
            .filter(|name| table.column(name).is_none())
            .cloned()
            .collect();
        if !missing.is_empty() {
            let what = if missing.len() == 1 { "column" } else { "columns" };
            return Err(error(format!("the model needs {what} {}", short(&missing)))
                .with_hint(list_columns(table)));
        }
        let mut columns = Vec::new();
        let mut codes = Vec::new();
        for feature in &model.features {
            let column = find_column(table, &feature.column)?;
            let kind = table.columns()[column].kind;
            let is_number = matches!(kind, Kind::Number | Kind::Integer);
            let (reading, wanted, fits) = match &feature.kind {
                FeatureKind::Number { .. } => (Reading::Number, "numbers", is_number),
                FeatureKind::Boolean { .. } => (
                    Reading::Boolean,
                    "true and false",
                    kind == Kind::Boolean || is_number || kind == Kind::Text,
                ),
                // Refused above.
                FeatureKind::Sparse { .. } => (Reading::Number, "sparse rows", false),
                FeatureKind::List { width } => (
                    Reading::List(*width),
                    "lists of numbers",
                    matches!(kind, Kind::List { width: Some(w) } if w == *width),
                ),
                FeatureKind::Category(_) => (
                    Reading::Category,
                    "categories",
                    matches!(kind, Kind::Text | Kind::Boolean) || is_number,
                ),
            };
            if !fits {
                let name = &feature.column;
                let is = match kind {
                    Kind::Number | Kind::Integer => "numbers".to_owned(),
                    Kind::Boolean => "true and false".to_owned(),
                    Kind::Text => "text".to_owned(),
                    Kind::List { width: Some(width) } => format!("lists of {width} numbers"),
                    Kind::List { width: None } => "lists".to_owned(),
                    Kind::Unsupported => "something xent does not read".to_owned(),
                };
                let wanted = match &feature.kind {
                    FeatureKind::List { width } => format!("lists of {width} numbers"),
                    _ => wanted.to_owned(),
                };
                return Err(error(format!(
                    "column {name} holds {is}, the model was trained on {wanted}"
                ))
                .with_hint("predict on a table like the one that was trained on"));
            }
            columns.push(FeatureColumn {
                column,
                name: feature.column.clone(),
                reading,
                is_number,
            });
            codes.push(match &feature.kind {
                FeatureKind::Category(levels) => code_of(levels),
                _ => HashMap::new(),
            });
        }
        let mut requests: Vec<Request> = columns.iter().map(FeatureColumn::request).collect();
        for name in &model.offsets {
            requests.push(Request { column: find_column(table, name)?, read_as: ReadAs::Numbers });
        }
        for name in &options.id {
            requests.push(Request { column: find_column(table, name)?, read_as: ReadAs::Text });
        }
        let label = table.column(&model.target).filter(|_| model.target_columns.is_empty());
        requests.extend(label.map(|column| Request { column, read_as: ReadAs::Text }));
        let targets: Option<Vec<usize>> =
            model.target_columns.iter().map(|name| table.column(name)).collect();
        let targets = targets.unwrap_or_default();
        requests.extend(targets.iter().map(|&column| Request { column, read_as: ReadAs::Numbers }));
        Ok(Self {
            model,
            table,
            options,
            columns,
            codes,
            requests,
            has_label: label.is_some(),
            has_targets: !targets.is_empty(),
        })
    }

    /// Whether the table has the class of each row.
    pub fn has_label(&self) -> bool {
        self.has_label
    }

    /// Whether the table has the soft targets.
    pub fn has_targets(&self) -> bool {
        self.has_targets
    }

    /// Predicts all rows, and gives them to `each` in their order.
    ///
    /// # Errors
    ///
    /// The first thing wrong with the table, in row order; whatever `each` refuses.
    pub fn run(
        &self,
        observer: &mut dyn Observer,
        mut each: impl FnMut(Prediction) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let scan = ScanOptions {
            threads: self.options.threads,
            batch_rows: self.options.batch_rows,
            backlog: None,
        };
        let mut rows = 0;
        let told = |prediction: Prediction, span: Span| -> Result<(), Error> {
            rows += span.rows as u64;
            let progress = Progress { rows, bytes: span.bytes_read, cross_entropy: f64::NAN };
            each(prediction)?;
            go_on(observer.progress(&progress))
        };
        self.table.scan(&self.requests, &scan, |batch| self.predict(batch), told)
    }

    fn predict(&self, batch: &Batch) -> Result<Prediction, RowError> {
        let (model, n, m) = (self.model, batch.rows(), self.model.n_outputs());
        // One output after the other; every row's sum runs over the terms in their order.
        let mut scores: Vec<f64> =
            model.centered_intercept.iter().flat_map(|&b| std::iter::repeat_n(b, n)).collect();
        let mut absent = vec![false; n];
        let mut unseen = vec![false; n];
        let mut term = 0;
        for (i, (feature, column)) in model.features.iter().zip(&self.columns).enumerate() {
            let piece = Piece::read(column, batch.column(i))?;
            self.check_missing(feature, &piece, &mut absent)?;
            match (piece, &feature.kind) {
                (Piece::Numbers { values, width }, kind) => {
                    let fill = match kind {
                        FeatureKind::Number { fill } | FeatureKind::Boolean { fill } => *fill,
                        _ => None,
                    };
                    for col in 0..width {
                        let value = |row: usize| {
                            let x = values[row * width + col];
                            if x.is_nan() { fill.unwrap_or(0.0) } else { x }
                        };
                        self.add(term + col, &mut scores, n, value);
                    }
                    term += width;
                    if fill.is_some() {
                        let value = |row: usize| f64::from(u8::from(values[row].is_nan()));
                        self.add(term, &mut scores, n, value);
                        term += 1;
                    }
                }
                (Piece::Texts(coded), FeatureKind::Category(levels)) => {
                    let known = &self.codes[i];
                    let reference = levels.reference_code().unwrap_or(0) as u32;
                    let codes: Vec<Option<u32>> = coded
                        .levels
                        .iter()
                        .map(|level| known.get(level.as_str()).copied())
                        .collect();
                    for (row, &code) in coded.codes.iter().enumerate() {
                        let code = if code == MISSING {
                            levels.missing_code().unwrap_or(reference)
                        } else if let Some(code) = codes[code as usize] {
                            code
                        } else {
                            if self.options.unseen == Unseen::Error && !absent[row] {
                                return Err(unseen_level(
                                    feature,
                                    levels,
                                    &coded.levels[code as usize],
                                    row,
                                ));
                            }
                            unseen[row] = true;
                            reference
                        };
                        if code == reference {
                            continue;
                        }
                        let at = term + (code - u32::from(code > reference)) as usize;
                        for k in 0..m {
                            scores[k * n + row] += model.coef[at * m + k];
                        }
                    }
                    term += feature.terms().len();
                }
                (Piece::Texts(_), _) => term += feature.terms().len(),
            }
        }
        let mut next = self.columns.len();
        self.add_offsets(batch, &mut next, &mut scores, &mut absent)?;
        let keep: Vec<usize> = (0..n).filter(|&row| !absent[row]).collect();
        if let Some(&row) =
            keep.iter().find(|&&row| (0..m).any(|k| !scores[k * n + row].is_finite()))
        {
            let message = "the score overflows: a number is too large for this model".to_owned();
            return Err(RowError { row, column: None, message, hint: Some(TOO_LARGE.to_owned()) });
        }
        let texts = |at: usize| -> Vec<Option<String>> {
            let texts = batch.column(at).text();
            keep.iter().map(|&row| texts.and_then(|t| t.get(row)).map(str::to_owned)).collect()
        };
        let mut ids = Vec::new();
        for _ in &self.options.id {
            ids.push(texts(next));
            next += 1;
        }
        let labels: Option<Vec<Option<String>>> = self.has_label.then(|| {
            let labels = texts(next).into_iter();
            next += 1;
            labels.map(|l| l.map(|l| canonical(&l)).filter(|l| !l.is_empty())).collect()
        });
        let mut foreign = 0;
        for (label, &row) in labels.iter().flatten().zip(&keep) {
            let Some(label) = label.as_deref().filter(|l| !model.has_class(l)) else { continue };
            if self.options.unseen == Unseen::Error {
                let column = &model.target;
                return Err(RowError {
                    row,
                    column: Some(column.clone()),
                    message: format!("column {column} {}", foreign_class(label)),
                    hint: Some(model.foreign_hint()),
                });
            }
            foreign += 1;
        }
        let mut targets = Vec::new();
        if self.has_targets {
            for _ in &model.target_columns {
                let values = batch.column(next).numbers().unwrap_or_default();
                targets.push(keep.iter().map(|&row| values[row]).collect());
                next += 1;
            }
        }
        let k = model.classes.len();
        let mut proba = vec![Vec::with_capacity(keep.len()); k];
        let column = |output: usize| -> Vec<f64> {
            keep.iter().map(|&row| sigmoid(scores[output * n + row])).collect()
        };
        let raw = (0..if self.options.raw { m } else { 0 }).map(column).collect();
        let mut p = vec![0.0; k];
        for &row in &keep {
            let score = |output: usize| scores[output * n + row];
            probabilities(model.head, model.has_reference, m, score, &mut p);
            proba.iter_mut().zip(&p).for_each(|(column, &p)| column.push(p));
        }
        Ok(Prediction {
            rows: n,
            ids,
            labels,
            targets,
            proba,
            raw,
            unseen: keep.iter().filter(|&&row| unseen[row]).count() as u64,
            foreign,
            dropped: (n - keep.len()) as u64,
        })
    }

    /// Adds a term to the scores of all rows.
    fn add(&self, term: usize, scores: &mut [f64], n: usize, value: impl Fn(usize) -> f64) {
        let (model, m) = (self.model, self.model.n_outputs());
        let center = model.center[term];
        for k in 0..m {
            let coef = model.coef[term * m + k];
            if coef == 0.0 {
                continue;
            }
            for (row, score) in scores[k * n..(k + 1) * n].iter_mut().enumerate() {
                *score += coef * (value(row) - center);
            }
        }
    }

    fn check_missing(
        &self,
        feature: &Feature,
        piece: &Piece<'_>,
        absent: &mut [bool],
    ) -> Result<(), RowError> {
        let has_term = match &feature.kind {
            FeatureKind::Number { fill } | FeatureKind::Boolean { fill } => fill.is_some(),
            FeatureKind::List { .. } | FeatureKind::Sparse { .. } => false,
            FeatureKind::Category(levels) => levels.has_missing,
        };
        if has_term {
            return Ok(());
        }
        let mut here = vec![false; absent.len()];
        if piece.mark_missing(&mut here) == 0 {
            return Ok(());
        }
        if self.options.missing == Missing::Error {
            let row = here.iter().position(|&is| is).unwrap_or(0);
            return Err(RowError {
                row,
                column: Some(feature.column.clone()),
                message: format!("column {} is empty, and was never in training", feature.column),
                hint: Some("leave such rows out with --missing drop".to_owned()),
            });
        }
        absent.iter_mut().zip(here).for_each(|(absent, here)| *absent |= here);
        Ok(())
    }

    /// As in training: one column of the second of two classes, or one a class.
    fn add_offsets(
        &self,
        batch: &Batch,
        next: &mut usize,
        scores: &mut [f64],
        absent: &mut [bool],
    ) -> Result<(), RowError> {
        let (model, n) = (self.model, batch.rows());
        let count = model.offsets.len();
        for (i, name) in model.offsets.iter().enumerate() {
            let values = batch.column(*next).numbers().unwrap_or_default();
            *next += 1;
            for (row, &x) in values.iter().enumerate() {
                if x.is_finite() {
                    // The first class of several is the reference of all others, or has an output itself.
                    let first = usize::from(model.has_reference && count > 1);
                    if i < first {
                        (0..model.n_outputs()).for_each(|k| scores[k * n + row] -= x);
                    } else {
                        scores[(i - first) * n + row] += x;
                    }
                } else if x.is_nan() && self.options.missing == Missing::Drop {
                    absent[row] = true;
                } else {
                    return Err(RowError {
                        row,
                        column: Some(name.clone()),
                        message: format!(
                            "column {name} is {}, not a finite number",
                            if x.is_nan() { "empty".to_owned() } else { x.to_string() }
                        ),
                        hint: Some("it is added to the scores".to_owned()),
                    });
                }
            }
        }
        Ok(())
    }
}

/// What is wrong with a label.
pub(crate) fn foreign_class(label: &str) -> String {
    format!("is {}, a class that was not in training", xent_io::show(label))
}

impl Model {
    /// Whether it gives a class of this name a probability.
    pub(crate) fn has_class(&self, name: &str) -> bool {
        self.classes.iter().any(|class| class == name)
    }

    /// What to do about a label that is none of the classes.
    pub(crate) fn foreign_hint(&self) -> String {
        format!(
            "the classes are {}; with --unseen reference such a label is kept, and xent score refuses it",
            short(&self.classes)
        )
    }

    /// Only a head of one sigmoid a class has sigmoids to give.
    pub(crate) fn check_raw(&self, options: &PredictOptions) -> Result<(), Error> {
        if options.raw && (self.head == Head::Softmax || self.has_reference) {
            return Err(Error::new(
                "--raw is for models with a sigmoid for each of several classes",
            )
            .with_hint("this model's probabilities sum to 1 as they are: leave --raw out"));
        }
        Ok(())
    }
}

fn code_of(levels: &Levels) -> HashMap<&str, u32> {
    let own = levels.levels.iter().map(String::as_str).zip(0..);
    let rare = levels.rare_code().unwrap_or_default();
    own.chain(levels.rare.iter().map(|level| (level.as_str(), rare))).collect()
}

fn unseen_level(feature: &Feature, levels: &Levels, level: &str, row: usize) -> RowError {
    RowError {
        row,
        column: Some(feature.column.clone()),
        message: format!(
            "column {} is {}, a level that was not in training",
            feature.column,
            xent_io::show(level)
        ),
        hint: Some(format!(
            "with --unseen reference it counts as {}; the levels are {}",
            levels.reference,
            short(&levels.levels)
        )),
    }
}
