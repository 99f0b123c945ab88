//! A model fitted to a dataset, and tested on rows that it has not seen.

use xent::rows::{Matrix, RowScores, Rules, Target as ScoredTarget};
use xent::score::{Baseline, Keep, ScoreState, Scores};
use xent::view::View;
use xent_train::solve::{Flow, Iteration, Limits, Stop};
use xent_train::{
    Coefficients, Data, Design, Error as TrainError, Fitted, Head, Loss, Method, Penalty, Problem,
    Trainer,
};

use super::dataset::{Dataset, Targets};
use super::feature::{Term, TermKind};
use super::model::{Model, Training};
use super::split::{Assignment, Split};
use crate::error::Error;

/// What the weights of a class's rows are multiplied by.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ClassWeights {
    /// Nothing.
    #[default]
    None,
    /// What makes every class as heavy as the others: rows / (classes * rows of the class).
    Balanced,
    /// These, by class; 1 for the others.
    Named(Vec<(String, f64)>),
}

/// How to fit.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// What turns scores into probabilities.
    pub head: Head,
    /// What is minimised.
    pub loss: Loss,
    /// Ridge.
    pub l2: f64,
    /// Lasso.
    pub l1: f64,
    /// scikit-learn's parameter, instead of a ridge: l2 = 1 / (C Σ w).
    pub c: Option<f64>,
    /// Factors of the penalty, by column.
    pub factors: Vec<(String, f64)>,
    /// Whether coefficients are penalised per standard deviation.
    pub standardize: bool,
    /// Whether there is an intercept.
    pub has_intercept: bool,
    /// Weights of the classes.
    pub class_weights: ClassWeights,
    /// The solver.
    pub method: Method,
    /// Step of the solvers that have one; by the curvature of the problem if there is none.
    pub learning_rate: Option<f64>,
    /// Rows of a batch of stochastic gradient descent.
    pub batch_size: usize,
    /// Whether gradient descent steps on the columns as they are.
    pub raw_coordinates: bool,
    /// When it stops.
    pub limits: Limits,
    /// Threads; no result depends on it.
    pub threads: usize,
    /// Where every fit starts, on the scale of the data: intercept and coefficients are these numbers.
    pub start: Option<(f64, f64)>,
    /// How rows are divided for testing.
    pub split: Option<Split>,
    /// The seed of the division, and of what solvers draw.
    pub seed: u64,
    /// Level of the intervals of test scores.
    pub level: f64,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            head: Head::Softmax,
            loss: Loss::CrossEntropy,
            l2: 0.0,
            l1: 0.0,
            c: None,
            factors: Vec::new(),
            standardize: true,
            has_intercept: true,
            class_weights: ClassWeights::None,
            method: Method::Auto,
            learning_rate: None,
            batch_size: 32,
            raw_coordinates: false,
            limits: Limits::default(),
            threads: 1,
            start: None,
            split: None,
            seed: 0,
            level: 0.95,
        }
    }
}

impl TrainOptions {
    /// Whether steps from a given start are watched: they can be taken over any data, and need not lead to a minimum.
    pub fn is_for_watching(&self) -> bool {
        self.method.is_for_watching() && self.start.is_some()
    }
}

/// As it is said on the command line and in model files.
pub fn loss_name(loss: Loss) -> &'static str {
    match loss {
        Loss::CrossEntropy => "cross-entropy",
        Loss::SquaredError => "mse",
    }
}

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
    /// Whether the user asked to stop before the end.
    pub was_interrupted: bool,
    /// What there is to know, in sentences.
    pub notes: Vec<String>,
}

/// Watches the steps of all fits.
pub type Steps<'a> = dyn FnMut(Phase, &Iteration<'_>) -> Flow + 'a;

struct Fitter<'a> {
    data: &'a Dataset,
    options: &'a TrainOptions,
    design: Design<'a>,
    terms: Vec<Term>,
    factors: Vec<f64>,
    offsets: Vec<f64>,
    outputs: usize,
}

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
    let holdout = match options.split {
        Some(Split::Holdout(_)) => split.as_ref(),
        _ => None,
    };
    let weights = fitter.weights(|row| holdout.is_none_or(|split| split.trains(row, 1)));
    fitter.check_classes(weights.as_deref(), "the rows trained on")?;
    let rows =
        (0..data.rows).filter(|&row| holdout.is_none_or(|split| split.trains(row, 1))).count();
    let fitted = fitter.fit(weights.as_deref(), &mut |step| steps(Phase::Model, step))?;
    let totals = fitter.class_totals(weights.as_deref());
    let mut was_interrupted = fitted.solution.stop == Stop::Asked;
    let model = fitter.model(&fitted, rows as u64, &totals)?;
    let mut folds = Vec::new();
    let mut out_of_fold = OutOfFold::default();
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
                    Some(fitter.fit(weights.as_deref(), &mut |step| steps(phase, step)).map_err(
                        |e| {
                            Error::new(format!("fold {}: {e}", i + 1))
                                .with_hint(e.hint().unwrap_or("use fewer folds"))
                        },
                    )?)
                }
            };
            let fold = of_fold.as_ref().unwrap_or(&fitted);
            if fold.solution.stop == Stop::Asked {
                was_interrupted = true;
                break;
            }
            tests.push(fitter.test(fold, split, part, i as u64 + 1, &mut out_of_fold)?);
        }
        if !was_interrupted {
            folds = tests;
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
        was_interrupted,
        notes,
    })
}

/// Scores the tested rows, all or those of one fold.
fn score(
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

impl<'a> Fitter<'a> {
    fn new(data: &'a Dataset, options: &'a TrainOptions) -> Result<Self, Error> {
        let error = |message: String| Error::new(format!("{}: {message}", data.source));
        let design = data.design()?;
        let mut factors = Vec::new();
        for (column, _) in &options.factors {
            if !data.features.iter().any(|f| f.column == *column) {
                return Err(error(format!("column {column} is no feature"))
                    .with_hint("--penalty-factor names columns that are among the features"));
            }
        }
        if !options.factors.is_empty() {
            for feature in &data.features {
                let said = options.factors.iter().rev().find(|(c, _)| *c == feature.column);
                factors
                    .resize(factors.len() + feature.terms().len(), said.map_or(1.0, |(_, f)| *f));
            }
        }
        if let ClassWeights::Named(named) = &options.class_weights
            && let Some((class, _)) = named.iter().find(|(class, _)| !data.classes.contains(class))
        {
            return Err(error(format!("there is no class {class}"))
                .with_hint(format!("the classes are {}", crate::roles::short(&data.classes))));
        }
        let mut fitter = Self {
            data,
            options,
            design,
            terms: data.terms(),
            factors,
            offsets: Vec::new(),
            outputs: 0,
        };
        let scaling = xent_train::Scaling::identity(&fitter.design);
        let problem = fitter.problem(&scaling, None)?;
        let (outputs, has_reference) = (problem.n_outputs(), problem.has_reference());
        fitter.outputs = outputs;
        fitter.offsets = fitter.offset_rows(outputs, has_reference)?;
        Ok(fitter)
    }

    /// Offsets of each output, row-major.
    fn offset_rows(&self, outputs: usize, has_reference: bool) -> Result<Vec<f64>, Error> {
        let data = self.data;
        let k = data.classes.len();
        let given = data.offsets.len();
        if given == 0 {
            return Ok(Vec::new());
        }
        if given == 1 && k == 2 {
            return Ok(data.offsets[0].2.to_vec());
        }
        let mut columns = Vec::new();
        for class in &data.classes {
            columns.extend(data.offsets.iter().find(|(_, c, _)| c == class).map(|(.., x)| x));
        }
        if columns.len() != k || given != k {
            let is = if given == 1 { "column is" } else { "columns are" };
            return Err(Error::new(format!("{}: {given} {is} named as offsets, but there are {k} classes", data.source))
                .with_hint("--offset names a column for each class, as in --offset 'o_*' with o_CLASS; of two classes one column will do"));
        }
        let first = usize::from(has_reference);
        let row = |i: usize| {
            let columns = &columns;
            let base = if has_reference { columns[0][i] } else { 0.0 };
            (0..outputs).map(move |o| columns[o + first][i] - base)
        };
        Ok((0..data.rows).flat_map(row).collect())
    }

    fn problem<'p>(
        &'p self,
        scaling: &'p xent_train::Scaling,
        weights: Option<&'p [f64]>,
    ) -> Result<Problem<'p>, Error> {
        let data = self.inputs(weights)?;
        let options = self.options;
        Problem::new(
            data,
            scaling,
            options.head,
            options.loss,
            &self.penalty_for(weights),
            options.has_intercept,
        )
        .map_err(|e| self.explain(e))
    }

    fn inputs<'p>(&'p self, weights: Option<&'p [f64]>) -> Result<Data<'p>, Error> {
        let offsets = if self.offsets.is_empty() {
            None
        } else {
            Some(
                View::rows_of(&self.offsets, self.outputs)
                    .map_err(|e| Error::new(e.to_string()))?,
            )
        };
        Ok(Data {
            design: &self.design,
            target: self.data.target()?,
            n_classes: self.data.classes.len(),
            weights: weights.or(self.data.weights.as_deref()),
            offsets,
        })
    }

    fn penalty_for(&self, weights: Option<&[f64]>) -> Penalty {
        let options = self.options;
        let total = || match weights {
            Some(weights) => weights.iter().sum(),
            None => self.data.rows as f64,
        };
        Penalty {
            l2: options.c.map_or(options.l2, |c| 1.0 / (c * total())),
            l1: options.l1,
            factors: self.factors.clone(),
            standardized: options.standardize,
        }
    }

    /// The weights of a fit to some of the rows: those of the rows, times those of their classes; `None` if all are 1.
    fn weights(&self, is_in: impl Fn(usize) -> bool) -> Option<Vec<f64>> {
        let data = self.data;
        let all = (0..data.rows).all(&is_in);
        if all && data.weights.is_none() && self.options.class_weights == ClassWeights::None {
            return None;
        }
        let mut weights: Vec<f64> =
            (0..data.rows).map(|row| if is_in(row) { data.weight(row) } else { 0.0 }).collect();
        let by_class: Vec<f64> = match &self.options.class_weights {
            ClassWeights::None => return Some(weights),
            ClassWeights::Balanced => {
                let totals = self.class_totals(Some(&weights));
                let sum: f64 = totals.iter().sum();
                totals
                    .iter()
                    .map(|t| if *t > 0.0 { sum / (totals.len() as f64 * t) } else { 0.0 })
                    .collect()
            }
            ClassWeights::Named(named) => {
                let of = |class: &String| {
                    named.iter().rev().find(|(c, _)| c == class).map_or(1.0, |(_, w)| *w)
                };
                data.classes.iter().map(of).collect()
            }
        };
        for (row, weight) in weights.iter_mut().enumerate() {
            *weight *= match &data.targets {
                Targets::Classes(classes) => by_class[classes[row] as usize],
                Targets::Soft(_) => {
                    by_class.iter().enumerate().map(|(k, w)| w * data.wanted(row, k)).sum()
                }
            };
        }
        Some(weights)
    }

    fn class_totals(&self, weights: Option<&[f64]>) -> Vec<f64> {
        let data = self.data;
        let mut totals = vec![0.0; data.classes.len()];
        for row in 0..data.rows {
            let w = weights.map_or(1.0, |w| w[row]);
            match &data.targets {
                Targets::Classes(classes) => totals[classes[row] as usize] += w,
                Targets::Soft(_) => {
                    for (k, total) in totals.iter_mut().enumerate() {
                        *total += w * data.wanted(row, k);
                    }
                }
            }
        }
        totals
    }

    /// Every class must occur: the intercept of one that does not would go to minus infinity.
    fn check_classes(&self, weights: Option<&[f64]>, what: &str) -> Result<(), Error> {
        if self.options.is_for_watching() {
            return Ok(());
        }
        let totals = self.class_totals(weights);
        match totals.iter().position(|t| *t <= 0.0) {
            None => Ok(()),
            Some(class) => {
                let name = &self.data.classes[class];
                Err(Error::new(format!("{}: class {name} has no row in {what}", self.data.source))
                    .with_hint("divide the rows otherwise, or leave out the rows of this class"))
            }
        }
    }

    /// Without a penalty coefficients must be determined by the data.
    fn check_unique(&self, notes: &mut Vec<String>) -> Result<(), Error> {
        let options = self.options;
        if options.is_for_watching() {
            return Ok(());
        }
        let has_ridge = options.c.is_some() || options.l2 > 0.0;
        let is_penalised = has_ridge || options.l1 > 0.0;
        let source = &self.data.source;
        let (n, rows) = (self.terms.len(), self.data.rows);
        if n + usize::from(options.has_intercept) > rows {
            if !is_penalised {
                return Err(Error::new(format!("{source}: {n} coefficients a class from {rows} rows: without a penalty no optimum is unique"))
                    .with_hint("use a penalty, as in --l2 0.01 or --C 1, or fewer features"));
            }
            notes.push(format!("there are more coefficients ({n} a class) than rows ({rows}): only the penalty makes the optimum unique"));
        }
        if let Some((a, b)) = self.data.duplicates() {
            if !is_penalised {
                return Err(Error::new(format!("{source}: columns {a} and {b} are the same in every row: without a penalty no optimum is unique"))
                    .with_hint(format!("leave one out, as in --drop {b}, or use a penalty such as --C 1")));
            }
            notes.push(format!("columns {a} and {b} are the same in every row"));
        }
        Ok(())
    }

    fn fit(
        &self,
        weights: Option<&[f64]>,
        observer: &mut dyn FnMut(&Iteration<'_>) -> Flow,
    ) -> Result<Fitted, Error> {
        let options = self.options;
        let data = self.inputs(weights)?;
        let m = self.outputs;
        let start = options.start.map(|(coef, intercept)| Coefficients {
            coef: vec![coef; self.terms.len() * m],
            intercept: vec![intercept; m],
            n_outputs: m,
            has_reference: self.data.classes.len() != m,
            head: options.head,
        });
        let trainer = Trainer {
            head: options.head,
            loss: options.loss,
            penalty: self.penalty_for(weights),
            has_intercept: options.has_intercept,
            method: options.method,
            limits: options.limits,
            learning_rate: options.learning_rate,
            batch_size: options.batch_size,
            raw_coordinates: options.raw_coordinates,
            seed: options.seed,
            threads: options.threads,
            start,
            ..Trainer::default()
        };
        let fitted = trainer.fit(&data, observer).map_err(|e| self.explain(e))?;
        let numbers = fitted.coefficients.coef.iter().chain(&fitted.coefficients.intercept);
        if numbers.copied().all(f64::is_finite) {
            return Ok(fitted);
        }
        Err(Error::new(format!("{}: a coefficient overflows", self.data.source))
            .with_hint("a column's numbers are too small or too large: change its unit"))
    }

    fn penalty(&self, fitted: &Fitted, weights: Option<&[f64]>) -> Result<f64, Error> {
        let problem = self.problem(&fitted.scaling, weights)?;
        Ok(problem.penalty(&problem.params(&fitted.coefficients)))
    }

    /// Predicts the rows of a part, and scores them.
    fn test(
        &self,
        fitted: &Fitted,
        split: &Assignment,
        part: u32,
        number: u64,
        all: &mut OutOfFold,
    ) -> Result<Tested, Error> {
        let rows: Vec<u32> = (0..self.data.rows)
            .filter(|&row| split.part[row] == part)
            .map(|row| row as u32)
            .collect();
        let trained: Vec<f64> = (0..self.data.rows)
            .map(|row| if split.trains(row, part) { self.data.weight(row) } else { 0.0 })
            .collect();
        let totals = self.class_totals(Some(&trained));
        let sum: f64 = totals.iter().sum();
        let problem = self.problem(&fitted.scaling, None)?.over(rows);
        problem.predict(&problem.params(&fitted.coefficients), |row, p| {
            all.rows.push(row);
            all.fold.push(number);
            all.proba.extend_from_slice(p);
            all.base.extend(totals.iter().map(|total| total / sum));
        });
        score(self.data, all, Some(number), self.options.level)
    }

    fn model(&self, fitted: &Fitted, rows: u64, totals: &[f64]) -> Result<Model, Error> {
        let (data, options) = (self.data, self.options);
        let coefficients = &fitted.coefficients;
        let m = coefficients.n_outputs;
        // Parameters are those of the dense features, then the intercept of the standardised features.
        let at = self.terms.iter().filter(|t| t.kind == TermKind::Number).count() * m;
        // The ridge of --C depends on the sum of the weights only.
        let penalty = self.penalty_for(Some(totals));
        let solution = &fitted.solution;
        let params = self.problem(&fitted.scaling, None)?.params(coefficients);
        Ok(Model {
            target: data.target_name.clone(),
            target_columns: data.target_columns.clone(),
            classes: data.classes.clone(),
            head: options.head,
            has_reference: coefficients.has_reference,
            features: data.features.clone(),
            coef: coefficients.coef.clone(),
            intercept: coefficients.intercept.clone(),
            centered_intercept: params[at..at + m].to_vec(),
            center: fitted.scaling.center.clone(),
            scale: fitted.scaling.scale.clone(),
            offsets: self.offset_names(),
            training: Training {
                source: data.source.clone(),
                rows,
                dropped: data.dropped,
                weight: totals.iter().sum(),
                weight_column: data.weight_name.clone(),
                loss: loss_name(options.loss).to_owned(),
                l2: penalty.l2,
                l1: penalty.l1,
                standardized: options.standardize,
                has_intercept: options.has_intercept,
                objective: fitted.objective,
                log_loss: fitted.log_loss,
                log_likelihood: fitted.log_likelihood,
                base_log_loss: entropy(totals),
                solver: fitted.method.name().to_owned(),
                reason: fitted.reason.clone(),
                iterations: solution.iterations as u64,
                gap: solution.gap,
                gradient_norm: solution.gradient_norm,
                stop: stop_name(solution.stop).to_owned(),
            },
        })
    }

    fn offset_names(&self) -> Vec<String> {
        let offsets = &self.data.offsets;
        if offsets.len() == 1 {
            return vec![offsets[0].0.clone()];
        }
        let of = |class: &String| {
            offsets.iter().find(|(_, c, _)| c == class).map(|(name, ..)| name.clone())
        };
        self.data.classes.iter().filter_map(of).collect()
    }

    /// An error of the fit, with the names of columns and classes.
    fn explain(&self, error: TrainError) -> Error {
        let name =
            |feature: usize| self.terms.get(feature).map_or_else(String::new, |t| t.name.clone());
        let (message, hint) = match &error {
            TrainError::Constant { feature, value } => (
                format!("column {} is {value} in every row that is trained on", name(*feature)),
                "leave it out with --drop".to_owned(),
            ),
            TrainError::Range { feature, least, greatest } => (
                format!(
                    "column {} goes from {least} to {greatest}, too far to be standardised",
                    name(*feature)
                ),
                "change its unit, or leave it out with --drop".to_owned(),
            ),
            TrainError::NotFinite { place, value } => (
                format!("column {} is {value} in row {}", name(place.feature), place.row + 1),
                "leave such rows out".to_owned(),
            ),
            TrainError::OneClass { class } => (
                format!(
                    "all rows are of class {}: there is nothing to tell apart",
                    self.data.classes[*class]
                ),
                "a classifier needs at least two classes".to_owned(),
            ),
            TrainError::Numerical(_) => {
                (error.to_string(), "use a penalty such as --C 1, or another --solver".to_owned())
            }
            _ => (error.to_string(), "see xent train --help".to_owned()),
        };
        Error::new(format!("{}: {message}", self.data.source)).with_hint(hint)
    }
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
