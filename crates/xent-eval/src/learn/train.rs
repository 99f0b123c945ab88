//! A model fitted to a dataset, and tested on rows that it has not seen.

use xent::rows::{Matrix, RowScores, Rules, Target as ScoredTarget};
use xent::score::{Baseline, Keep, ScoreState, Scores};
use xent_train::solve::{Flow, Iteration, Stop};

use super::dataset::{Dataset, Targets};
use super::fitter::Fitter;
use super::model::Model;
use super::options::TrainOptions;
use super::reader::counted;
use super::split::Split;
use crate::error::Error;

/// What a fit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The model itself.
    Model,
    /// Testing part so many of so many, from 1.
    Fold(usize, usize),
}

/// Scores of rows that were not trained on.
#[derive(Clone, Debug)]
pub struct Tested {
    /// The scores.
    pub scores: Scores,
    /// The base rate of the same rows.
    pub baseline: Baseline,
}

/// Predictions for rows by models that have not seen them.
#[derive(Clone, Debug, Default)]
pub struct OutOfFold {
    /// Rows of the dataset, ascending.
    pub rows: Vec<usize>,
    /// The part in which each was tested, from 1.
    pub fold: Vec<u64>,
    /// `(rows, classes)`.
    pub proba: Vec<f64>,
    /// The class frequencies of the rows that the fold's model was trained on, `(rows, classes)`.
    pub base: Vec<f64>,
}

/// A trained model with all that is told about it.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The model.
    pub model: Model,
    /// Weighted rows of each class among the rows trained on.
    pub class_weights: Vec<f64>,
    /// What the penalty adds to the objective, nats a row.
    pub penalty: f64,
    /// Scores of each part that was tested.
    pub folds: Vec<Tested>,
    /// Scores of all tested rows together.
    pub tested: Option<Tested>,
    /// The predictions for them.
    pub out_of_fold: OutOfFold,
    /// Whether the classes are separable and there is no penalty, so that there is no optimum.
    pub is_separable: bool,
    /// Coefficients that grow without bound for want of a penalty, though the classes are not all told apart; a note says so.
    pub unbounded: Vec<String>,
    /// Terms without a penalty that are combinations of others, to rounding or nearly; notes say so.
    pub collinear: Vec<String>,
    /// Whether steps were so long that the objective is larger than at the start; a note says so.
    pub diverges: bool,
    /// Whether the user asked to stop before the end.
    pub was_interrupted: bool,
    /// What there is to know, in sentences.
    pub notes: Vec<String>,
}

/// Watches the steps of all fits.
pub type Steps<'a> = dyn FnMut(Phase, &Iteration<'_>) -> Flow + 'a;

/// Fits a model, and tests it as the options say.
///
/// # Errors
///
/// Parameters that do not fit the data, classes without rows, no unique optimum, numbers that overflow.
pub fn train(
    data: &Dataset,
    options: &TrainOptions,
    steps: &mut Steps<'_>,
) -> Result<Trained, Error> {
    let fitter = Fitter::new(data, options)?;
    let mut notes = data.notes.clone();
    fitter.check_unique(&mut notes)?;
    let split = options.split.map(|split| data.split(split, options.seed)).transpose()?;
    let holdout = split.as_ref().filter(|_| matches!(options.split, Some(Split::Holdout(_))));
    let weights = fitter.model_weights(holdout);
    fitter.check_classes(weights.as_deref(), "the rows trained on")?;
    let rows =
        (0..data.rows).filter(|&row| holdout.is_none_or(|split| split.trains(row, 1))).count();
    let mut first = None;
    let fitted = fitter.fit(weights.as_deref(), options.resume.as_ref(), &mut |step| {
        first.get_or_insert(step.objective);
        steps(Phase::Model, step)
    })?;
    let diverges =
        options.method.is_for_watching() && first.is_some_and(|first| fitted.objective > first);
    if diverges {
        notes.push(format!(
            "{} diverges: the objective is larger than at the start; use a smaller --learning-rate",
            fitted.method.name()
        ));
    }
    fitter.note_constants(&fitted, &mut notes);
    let collinear = fitter.note_collinear(&fitted, &mut notes);
    let separation = fitter.separation(&fitted, weights.as_deref(), &mut notes)?;
    let totals = fitter.class_totals(weights.as_deref());
    let mut was_interrupted = fitted.solution.stop == Stop::Asked;
    let model = fitter.model(&fitted, rows as u64, &totals)?;
    let mut folds = Vec::new();
    let mut out_of_fold = OutOfFold::default();
    let mut unseen = vec![0; data.categories().count()];
    if let Some(split) = split.as_ref().filter(|_| !was_interrupted) {
        let mut tests = Vec::new();
        for (i, &part) in split.tested.iter().enumerate() {
            let of_fold = match holdout {
                Some(_) => None,
                None => {
                    let weights = fitter.weights(|row| split.trains(row, part));
                    fitter.check_classes(
                        weights.as_deref(),
                        &format!("what fold {} is trained on", i + 1),
                    )?;
                    let phase = Phase::Fold(i + 1, split.tested.len());
                    Some(
                        fitter
                            .fit(weights.as_deref(), None, &mut |step| steps(phase, step))
                            .map_err(|e| {
                                Error::new(format!("fold {}: {e}", i + 1))
                                    .with_hint(e.hint().unwrap_or("use fewer folds"))
                            })?,
                    )
                }
            };
            let fold = of_fold.as_ref().unwrap_or(&fitted);
            if fold.solution.stop == Stop::Asked {
                was_interrupted = true;
                break;
            }
            fitter.count_unseen(split, part, &mut unseen);
            tests.push(fitter.test(fold, split, part, i as u64 + 1, &mut out_of_fold)?);
        }
        if !was_interrupted {
            folds = tests;
            if data.group.is_some() {
                notes.push(
                    "rows of one group may be alike: standard errors and intervals take rows as independent, and are too small then"
                        .to_owned(),
                );
            }
            for ((column, ..), n) in data.categories().zip(unseen).filter(|(_, n)| *n > 0) {
                let rows = counted(n, "tested row has", "tested rows have");
                notes.push(format!(
                    "{column}: {rows} a level that was not in training: it counts as the reference level"
                ));
            }
        }
    }
    let tested =
        (!folds.is_empty()).then(|| score(data, &out_of_fold, None, options.level)).transpose()?;
    if was_interrupted {
        out_of_fold = OutOfFold::default();
    } else {
        sort_rows(&mut out_of_fold, data.classes.len());
    }
    Ok(Trained {
        penalty: fitter.penalty(&fitted, weights.as_deref())?,
        class_weights: totals,
        model,
        folds,
        tested,
        out_of_fold,
        is_separable: separation.is_complete,
        unbounded: separation.unbounded,
        collinear,
        diverges,
        was_interrupted,
        notes,
    })
}

/// Scores the tested rows, all or those of one fold.
pub(crate) fn score(
    data: &Dataset,
    tested: &OutOfFold,
    fold: Option<u64>,
    level: f64,
) -> Result<Tested, Error> {
    let k = data.classes.len();
    let keep = Keep { classes: true, confusion: false, tail: false, means_only: false };
    let mut state = ScoreState::new(k, keep);
    let (mut rows, mut proba) = (Vec::new(), Vec::new());
    for (i, &row) in tested.rows.iter().enumerate() {
        if fold.is_none_or(|fold| tested.fold[i] == fold) {
            rows.push(row);
            proba.extend_from_slice(&tested.proba[i * k..(i + 1) * k]);
        }
    }
    let weights: Option<Vec<f64>> =
        data.weights.as_ref().map(|w| rows.iter().map(|&row| w[row]).collect());
    let (classes, soft): (Vec<u32>, Vec<f64>) = match &data.targets {
        Targets::Classes(classes) => (rows.iter().map(|&row| classes[row]).collect(), Vec::new()),
        Targets::Soft(values) => (
            Vec::new(),
            rows.iter().flat_map(|&row| &values[row * k..(row + 1) * k]).copied().collect(),
        ),
    };
    let target = match &data.targets {
        Targets::Classes(_) => ScoredTarget::Classes(&classes),
        Targets::Soft(_) => ScoredTarget::Distributions(Matrix::Rows { values: &soft, width: k }),
    };
    let mut scores = RowScores::default();
    scores.score(Matrix::Rows { values: &proba, width: k }, target, &Rules::default()).map_err(
        |_| Error::new(format!("{}: the predictions are no probabilities", data.source)),
    )?;
    state.update(&scores, target, weights.as_deref());
    let baseline = state.baseline(0.0, level);
    let baseline =
        baseline.ok_or_else(|| Error::new(format!("{}: no rows to test", data.source)))?;
    Ok(Tested { scores: state.finish(level), baseline })
}

fn sort_rows(tested: &mut OutOfFold, k: usize) {
    let mut order: Vec<usize> = (0..tested.rows.len()).collect();
    order.sort_by_key(|&i| tested.rows[i]);
    *tested = OutOfFold {
        rows: order.iter().map(|&i| tested.rows[i]).collect(),
        fold: order.iter().map(|&i| tested.fold[i]).collect(),
        proba: order.iter().flat_map(|&i| &tested.proba[i * k..(i + 1) * k]).copied().collect(),
        base: order.iter().flat_map(|&i| &tested.base[i * k..(i + 1) * k]).copied().collect(),
    };
}

/// The entropy of class frequencies in nats.
pub fn entropy(totals: &[f64]) -> f64 {
    let sum: f64 = totals.iter().sum();
    totals.iter().filter(|t| **t > 0.0).map(|t| -(t / sum) * xent::elementary::ln(t / sum)).sum()
}

/// As it stands in results.
pub fn stop_name(stop: Stop) -> &'static str {
    match stop {
        Stop::Tolerance => "tolerance",
        Stop::Precision => "precision",
        Stop::Iterations => "iterations",
        Stop::Asked => "interrupted",
    }
}
