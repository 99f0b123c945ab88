//! One dataset fitted with one set of options, to all rows or to some.

use xent::exact::ExactSum;
use xent::view::View;
use xent_train::solve::{Flow, Iteration, State};
use xent_train::{
    Coefficients, Data, Design, Error as TrainError, Fitted, Penalty, Problem, Trainer,
};

use super::dataset::{Dataset, Targets};
use super::feature::{Term, TermKind};
use super::model::{Model, Training};
use super::options::{ClassWeights, TrainOptions, loss_name};
use super::split::Assignment;
use super::train::{OutOfFold, Tested, entropy, score, stop_name};
use crate::error::Error;
use crate::roles::short;

/// The sum of weights, correctly rounded.
fn total(weights: &[f64]) -> f64 {
    weights.iter().copied().collect::<ExactSum>().value()
}

pub(super) struct Fitter<'a> {
    pub(super) data: &'a Dataset,
    pub(super) options: &'a TrainOptions,
    design: Design<'a>,
    pub(super) terms: Vec<Term>,
    factors: Vec<f64>,
    offsets: Vec<f64>,
    outputs: usize,
}

impl<'a> Fitter<'a> {
    pub(super) fn new(data: &'a Dataset, options: &'a TrainOptions) -> Result<Self, Error> {
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
                .with_hint(format!("the classes are {}", short(&data.classes))));
        }
        if options.raw_coordinates && options.standardize && options.is_penalised() {
            return Err(Error::new(
                "--raw-coordinates and a penalty per standard deviation do not go together",
            )
            .with_hint("add --no-standardize: coefficients are then penalised as they are"));
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
    pub(super) fn offset_rows(
        &self,
        outputs: usize,
        has_reference: bool,
    ) -> Result<Vec<f64>, Error> {
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
            if let Some((name, class, _)) =
                data.offsets.iter().find(|(_, class, _)| !data.classes.contains(class))
                && given > 1
            {
                return Err(Error::new(format!(
                    "{}: the offset column {name} is of class {class}, and there is no such class",
                    data.source
                ))
                .with_hint(format!(
                    "what * stands for in a pattern such as --offset 'o_*' is the class; the classes are {}",
                    short(&data.classes)
                )));
            }
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

    pub(super) fn problem<'p>(
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

    pub(super) fn inputs<'p>(&'p self, weights: Option<&'p [f64]>) -> Result<Data<'p>, Error> {
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

    pub(super) fn penalty_for(&self, weights: Option<&[f64]>) -> Penalty {
        let options = self.options;
        let total = || match weights {
            Some(weights) => total(weights),
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
    pub(super) fn weights(&self, is_in: impl Fn(usize) -> bool) -> Option<Vec<f64>> {
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
                let sum = total(&totals);
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

    /// The weights of the model's fit: all rows, or those that are not held out.
    pub(super) fn model_weights(&self, holdout: Option<&Assignment>) -> Option<Vec<f64>> {
        self.weights(|row| holdout.is_none_or(|split| split.trains(row, 1)))
    }

    pub(super) fn class_totals(&self, weights: Option<&[f64]>) -> Vec<f64> {
        let data = self.data;
        if let (Targets::Classes(classes), None) = (&data.targets, weights) {
            let mut totals = vec![0.0; data.classes.len()];
            classes.iter().for_each(|&class| totals[class as usize] += 1.0);
            return totals;
        }
        let mut totals = vec![ExactSum::new(); data.classes.len()];
        for row in 0..data.rows {
            let w = weights.map_or(1.0, |w| w[row]);
            match &data.targets {
                Targets::Classes(classes) => totals[classes[row] as usize].add(w),
                Targets::Soft(_) => {
                    for (k, total) in totals.iter_mut().enumerate() {
                        total.add(w * data.wanted(row, k));
                    }
                }
            }
        }
        totals.iter().map(ExactSum::value).collect()
    }

    /// Adds the rows of a part that have a level no row has that is trained on, by column.
    pub(super) fn count_unseen(&self, split: &Assignment, part: u32, unseen: &mut [u64]) {
        let data = self.data;
        for ((_, levels, codes), unseen) in data.categories().zip(unseen) {
            let mut is_seen = vec![false; levels.n_codes()];
            for row in (0..data.rows).filter(|&row| split.trains(row, part)) {
                is_seen[codes.get(row)] |= data.weight(row) > 0.0;
            }
            let tested = (0..data.rows).filter(|&row| split.part[row] == part);
            *unseen += tested.filter(|&row| !is_seen[codes.get(row)]).count() as u64;
        }
    }

    pub(super) fn fit(
        &self,
        weights: Option<&[f64]>,
        resume: Option<&State>,
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
            proves_gap: true,
            ..Trainer::default()
        };
        let fitted = match resume {
            Some(state) => trainer.resume(&data, state, observer),
            None => trainer.fit(&data, observer),
        }
        .map_err(|e| self.explain(e))?;
        let numbers = fitted.coefficients.coef.iter().chain(&fitted.coefficients.intercept);
        if numbers.copied().all(f64::is_finite) {
            return Ok(fitted);
        }
        Err(Error::new(format!("{}: a coefficient overflows", self.data.source))
            .with_hint("a column's numbers are too small or too large: change its unit"))
    }

    pub(super) fn penalty(&self, fitted: &Fitted, weights: Option<&[f64]>) -> Result<f64, Error> {
        let problem = self.problem(&fitted.scaling, weights)?;
        Ok(problem.penalty(&problem.params(&fitted.coefficients)))
    }

    /// Predicts the rows of a part, and scores them.
    pub(super) fn test(
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
        let sum = total(&totals);
        let problem = self.problem(&fitted.scaling, None)?.over(rows);
        problem.predict(&problem.params(&fitted.coefficients), |row, p| {
            all.rows.push(row);
            all.fold.push(number);
            all.proba.extend_from_slice(p);
            all.base.extend(totals.iter().map(|total| total / sum));
        });
        score(self.data, all, Some(number), self.options.level)
    }

    pub(super) fn model(&self, fitted: &Fitted, rows: u64, totals: &[f64]) -> Result<Model, Error> {
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
                weight: total(totals),
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
                gap_bound: fitted.gap_bound,
                gradient_norm: solution.gradient_norm,
                stop: stop_name(solution.stop).to_owned(),
            },
        })
    }

    pub(super) fn offset_names(&self) -> Vec<String> {
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
    pub(super) fn explain(&self, error: TrainError) -> Error {
        let name =
            |feature: usize| self.terms.get(feature).map_or_else(String::new, |t| t.name.clone());
        let (message, hint) = match &error {
            TrainError::Constant { feature, value } => (
                format!("column {} is {value} in every row that is trained on", name(*feature)),
                "leave it out of the file, or use a penalty such as --C 1".to_owned(),
            ),
            TrainError::Range { feature, least, greatest } => (
                format!(
                    "column {} goes from {least:e} to {greatest:e}, too far to be standardised",
                    name(*feature)
                ),
                "change its unit, or leave it out with --drop".to_owned(),
            ),
            TrainError::Far { feature, mean, spread } => (
                format!(
                    "column {} is {mean:.6e} on average, with a standard deviation of only {spread:.1e}: digits would be lost",
                    name(*feature)
                ),
                "sparse numbers are not centred: subtract one near the mean from the column"
                    .to_owned(),
            ),
            TrainError::Numerical(_) if self.options.learning_rate.is_some() => {
                (error.to_string(), "use a smaller --learning-rate".to_owned())
            }
            TrainError::State(what) => (
                format!("the checkpoint does not fit: {what}"),
                "train anew, without --resume".to_owned(),
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
