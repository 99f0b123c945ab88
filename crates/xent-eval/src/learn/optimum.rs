//! Whether there is an optimum, whether it is the only one, and what the user must know about that.

use xent_train::{Collinear, Fitted, Head};

use super::dataset::Targets;
use super::feature::TermKind;
use super::fitter::Fitter;
use crate::error::Error;
use crate::roles::short;

/// A mean loss in nats below which all rows may be told apart.
const SEPARATED: f64 = 0.1;

/// What an unpenalised fit has instead of an optimum.
#[derive(Debug, Default)]
pub(super) struct Separation {
    /// Whether the scores tell every row's class.
    pub is_complete: bool,
    /// Terms whose coefficients grow without bound though some rows stay uncertain.
    pub unbounded: Vec<String>,
}

impl<'a> Fitter<'a> {
    /// Finds out whether there is an optimum, and says what has none.
    pub(super) fn separation(
        &self,
        fitted: &Fitted,
        weights: Option<&[f64]>,
        notes: &mut Vec<String>,
    ) -> Result<Separation, Error> {
        if self.is_separable(fitted, weights)? {
            return Ok(Separation { is_complete: true, unbounded: Vec::new() });
        }
        let noted = self.note_levels(weights, notes);
        let options = self.options;
        if options.is_penalised() || options.is_for_watching() {
            return Ok(Separation::default());
        }
        let problem = self.problem(&fitted.scaling, weights)?.with_threads(options.threads);
        let unbounded = problem.unbounded(&problem.params(&fitted.coefficients));
        let columns: Vec<&str> = self
            .data
            .features
            .iter()
            .flat_map(|f| std::iter::repeat_n(f.column.as_str(), f.terms().len()))
            .collect();
        let name = |&i: &usize| self.terms[i].name.clone();
        // Of those with a note of their own nothing more is said.
        let others = unbounded.iter().filter(|&&i| !noted.contains(&columns[i]));
        let others: Vec<String> = others.map(name).collect();
        if let Some(first) = others.first() {
            let (coefficients, them) = match others.len() {
                1 => (format!("the coefficient of {first} grows"), "it tells"),
                n => (
                    format!("the coefficients of {n} columns grow ({})", short(&others)),
                    "they tell",
                ),
            };
            notes.push(format!(
                "without a penalty {coefficients} without bound: {them} some rows' classes for certain, and no row speaks against it (quasi-complete separation); use --l2 or --C"
            ));
        }
        Ok(Separation { is_complete: false, unbounded: unbounded.iter().map(name).collect() })
    }

    /// Says which columns are combinations of others where no penalty chooses among the optima; their names.
    pub(super) fn note_collinear(&self, fitted: &Fitted, notes: &mut Vec<String>) -> Vec<String> {
        let name = |feature: usize| self.terms[feature].name.clone();
        let (exact, near): (Vec<&Collinear>, Vec<&Collinear>) =
            fitted.collinear.iter().partition(|it| it.is_exact());
        let exact: Vec<String> = exact.iter().map(|it| name(it.feature)).collect();
        if let Some(last) = exact.last() {
            let are = match exact.len() {
                1 => format!("column {last} is a combination"),
                _ => format!("columns {} are combinations", short(&exact)),
            };
            notes.push(format!(
                "{are} of others in every row: without a penalty the coefficients are one of many optima; leave out such columns, or use a penalty such as --C 1"
            ));
        }
        for it in &near {
            notes.push(format!(
                "column {} is nearly a combination of others (all but {:.0e} of it): its coefficient hangs on the last digits of the data; leave it out, or use a penalty such as --C 1",
                name(it.feature),
                it.share
            ));
        }
        fitted.collinear.iter().map(|it| name(it.feature)).collect()
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
    fn is_separable(&self, fitted: &Fitted, weights: Option<&[f64]>) -> Result<bool, Error> {
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

    /// Says which levels lack a class: without a penalty their coefficients have no optimum. The columns of these.
    fn note_levels(&self, weights: Option<&[f64]>, notes: &mut Vec<String>) -> Vec<&'a str> {
        let (data, k) = (self.data, self.data.classes.len());
        let mut columns = Vec::new();
        let Targets::Classes(classes) = &data.targets else { return columns };
        if self.options.is_penalised() || self.options.is_for_watching() {
            return columns;
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
            columns.push(column);
        }
        columns
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
}
