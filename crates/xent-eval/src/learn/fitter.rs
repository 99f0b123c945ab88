//! One dataset fitted with one set of options, to all rows or to some.

use xent::view::View;
use xent_train::solve::{Flow, Iteration, State};
use xent_train::{
    Coefficients, Data, Design, Error as TrainError, Fitted, Head, Penalty, Problem, Trainer,
};

use super::dataset::{Dataset, Targets};
use super::feature::{Term, TermKind};
use super::model::{Model, Training};
use super::options::{ClassWeights, TrainOptions, loss_name};
use super::split::Assignment;
use super::train::{OutOfFold, Tested, entropy, score, stop_name};
use crate::error::Error;
use crate::roles::short;

/// A mean loss in nats below which all rows may be told apart.
const SEPARATED: f64 = 0.1;

pub(super) struct Fitter<'a> {
    pub(super) data: &'a Dataset,
    options: &'a TrainOptions,
    design: Design<'a>,
    terms: Vec<Term>,
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

    /// The weights of the model's fit: all rows, or those that are not held out.
    pub(super) fn model_weights(&self, holdout: Option<&Assignment>) -> Option<Vec<f64>> {
        self.weights(|row| holdout.is_none_or(|split| split.trains(row, 1)))
    }

    /// Says which columns are constant among the rows trained on, if they are not in the whole table.
    pub(super) fn note_constants(&self, fitted: &Fitted, notes: &mut Vec<String>) {
        if self.options.is_for_watching() {
            return;
        }
        let numbers: Vec<usize> =
            (0..self.terms.len()).filter(|&i| self.terms[i].kind == TermKind::Number).collect();
        let known: Vec<usize> = self.data.constants.iter().map(|&place| numbers[place]).collect();
        let here = fitted.scaling.constants.iter().filter(|(i, _)| !known.contains(i));
        let names: Vec<String> = here.map(|(i, _)| self.terms[*i].name.clone()).collect();
        match &names[..] {
            [] => {}
            [one] => notes.push(format!(
                "column {one} is the same in every row that is trained on: its coefficient is 0"
            )),
            _ => notes.push(format!(
                "columns {} are the same in every row that is trained on: their coefficients are 0",
                short(&names)
            )),
        }
    }

    /// Whether there is no optimum: without a penalty scores that tell every row's class can grow for ever.
    ///
    /// That they do tell it is proof: all of them times c > 1 is better.
    pub(super) fn is_separable(
        &self,
        fitted: &Fitted,
        weights: Option<&[f64]>,
    ) -> Result<bool, Error> {
        let (options, data) = (self.options, self.data);
        let is_one_distribution = options.head == Head::Softmax || data.classes.len() == 2;
        let Targets::Classes(classes) = &data.targets else { return Ok(false) };
        if options.is_penalised()
            || options.is_for_watching()
            || !is_one_distribution
            || !data.offsets.is_empty()
            || fitted.log_loss > SEPARATED
        {
            return Ok(false);
        }
        let problem = self.problem(&fitted.scaling, weights)?;
        let mut is_told = true;
        problem.predict(&problem.params(&fitted.coefficients), |row, p| {
            let own = classes[row] as usize;
            let counts = weights.map_or(data.weight(row), |w| w[row]) > 0.0;
            is_told &= !counts || (0..p.len()).all(|k| k == own || p[k] < p[own]);
        });
        Ok(is_told)
    }

    pub(super) fn class_totals(&self, weights: Option<&[f64]>) -> Vec<f64> {
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
    pub(super) fn check_classes(&self, weights: Option<&[f64]>, what: &str) -> Result<(), Error> {
        if self.options.is_for_watching() {
            return Ok(());
        }
        let totals = self.class_totals(weights);
        match totals.iter().position(|t| *t <= 0.0) {
            None => Ok(()),
            Some(class) => {
                let name = &self.data.classes[class];
                if (0..self.data.rows).all(|row| self.data.wanted(row, class) == 0.0)
                    || self.weights_of(class) > 0.0
                {
                    return Err(Error::new(format!(
                        "{}: class {name} has no row in {what}",
                        self.data.source
                    ))
                    .with_hint("divide the rows otherwise, or leave out the rows of this class"));
                }
                Err(Error::new(format!(
                    "{}: every row of class {name} has a weight of 0",
                    self.data.source
                ))
                .with_hint("give it a weight above 0, or leave out the rows of this class"))
            }
        }
    }

    /// The weight of all rows of a class, held out or not.
    fn weights_of(&self, class: usize) -> f64 {
        self.class_totals(self.weights(|_| true).as_deref())[class]
    }

    /// Says which levels lack a class: without a penalty their coefficients have no optimum.
    pub(super) fn note_levels(&self, weights: Option<&[f64]>, notes: &mut Vec<String>) {
        let (data, k) = (self.data, self.data.classes.len());
        let Targets::Classes(classes) = &data.targets else { return };
        if self.options.is_penalised() || self.options.is_for_watching() {
            return;
        }
        for (column, levels, codes) in data.categories() {
            let mut rows = vec![0.0; levels.n_codes() * k];
            for row in 0..data.rows {
                rows[codes.get(row) * k + classes[row] as usize] +=
                    weights.map_or(data.weight(row), |w| w[row]);
            }
            let lacks = |rows: &[f64]| rows.contains(&0.0) && rows.iter().any(|w| *w > 0.0);
            let lacking: Vec<usize> =
                (0..levels.n_codes()).filter(|&l| lacks(&rows[l * k..(l + 1) * k])).collect();
            let names: Vec<String> = lacking.iter().map(|&l| levels.name(l).to_owned()).collect();
            let Some(first) = names.first() else { continue };
            let mut note = if names.len() == 1 {
                format!(
                    "{column}: level {first} has no row of some class: without a penalty its coefficient"
                )
            } else {
                let (n, names) = (names.len(), short(&names));
                format!(
                    "{column}: {n} levels have no row of some class ({names}): without a penalty their coefficients"
                )
            };
            note += if levels.reference_code().is_some_and(|code| lacking.contains(&code)) {
                ", and as the reference is one, the intercept, grow without bound; use --l2 or --C, or another --reference"
            } else if names.len() == 1 {
                " grows without bound; use --l2 or --C"
            } else {
                " grow without bound; use --l2 or --C"
            };
            notes.push(note);
        }
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

    /// Without a penalty coefficients must be determined by the data.
    pub(super) fn check_unique(&self, notes: &mut Vec<String>) -> Result<(), Error> {
        let options = self.options;
        if options.is_for_watching() {
            return Ok(());
        }
        let is_penalised = options.is_penalised();
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
                    "column {} goes from {least} to {greatest}, too far to be standardised",
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
