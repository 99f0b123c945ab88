//! A table held for training: features in their narrowest kinds, classes, weights.

use xent::view::View;
use xent_train::{Design, Target};

use super::columns::FeatureRoles;
use super::feature::{Feature, FeatureKind, Levels, Term};
use super::lot::Lot;
use super::values::{RowLevels, Values};
use crate::error::Error;

/// What happens to missing values in the rows that are trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingValues {
    /// They are an error, with their counts by column.
    #[default]
    Error,
    /// Their rows are left out, and counted.
    Drop,
    /// A number is replaced by the column's mean, and a column of zeros and ones says where; a text is a level of its
    /// own. Targets and weights must be there.
    Indicator,
}

/// How a table is read for training.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Which column is what.
    pub roles: FeatureRoles,
    /// Missing values.
    pub missing: MissingValues,
    /// Reference levels, by column; the first level in order otherwise.
    pub references: Vec<(String, String)>,
    /// All classes in their order, also such that no row has; those of the rows, sorted, if empty.
    pub classes: Vec<String>,
    /// Whether steps from a given start are to be watched, which can be done over any data: one row, a column that is
    /// the same in every row, classes without rows.
    pub is_for_watching: bool,
    /// Levels of fewer rows share one coefficient.
    pub min_count: u64,
    /// Whether what grows with the rows is held in a temporary file rather than in memory.
    pub out_of_core: bool,
    /// Threads that decode; 0 means all.
    pub threads: usize,
    /// Rows a batch, for tests; no result depends on it.
    pub batch_rows: Option<usize>,
}

/// What each row should be.
#[derive(Clone, Debug)]
pub(crate) enum Targets {
    Classes(Lot<u32>),
    /// Row-major.
    Soft(Lot<f64>),
}

/// A table held in memory for training.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The table as the user named it.
    pub source: String,
    /// Rows to train on.
    pub rows: usize,
    /// Rows left out for missing values.
    pub dropped: u64,
    /// The classes in their order.
    pub classes: Vec<String>,
    /// The target as messages name it.
    pub target_name: String,
    /// Columns of soft targets, in the order of the classes; none if targets are classes.
    pub target_columns: Vec<String>,
    /// The weight column.
    pub weight_name: Option<String>,
    /// The features of the model.
    pub features: Vec<Feature>,
    /// What was done with the columns, in sentences.
    pub notes: Vec<String>,
    /// In the order of the design's blocks.
    pub(crate) values: Vec<Values>,
    pub(crate) targets: Targets,
    pub(crate) weights: Option<Lot<f64>>,
    /// Columns of offsets: name, class, numbers.
    pub(crate) offsets: Vec<(String, String, Lot<f64>)>,
    pub(crate) ids: Vec<(String, Vec<String>)>,
    pub(crate) group: Option<Vec<u32>>,
    /// Ranks; equal times share one.
    pub(crate) time: Option<Vec<u32>>,
    /// Places of columns of numbers that are the same in every row, among those of numbers.
    pub(crate) constants: Vec<usize>,
}

impl Dataset {
    /// The columns of coefficients, in order.
    pub fn terms(&self) -> Vec<Term> {
        self.features.iter().flat_map(Feature::terms).collect()
    }

    /// The categories: column, levels and the level of each row.
    pub(crate) fn categories(&self) -> impl Iterator<Item = (&str, &Levels, RowLevels<'_>)> {
        let features = self.features.iter().filter_map(|f| match &f.kind {
            FeatureKind::Category(levels) => Some((f.column.as_str(), levels)),
            _ => None,
        });
        let codes = self.values.iter().filter_map(Values::levels);
        features.zip(codes).map(|((column, levels), codes)| (column, levels, codes))
    }

    /// The design matrix over the columns where they lie.
    ///
    /// # Errors
    ///
    /// None for what was read; the design is checked all the same.
    pub fn design(&self) -> Result<Design<'_>, Error> {
        let blocks = self.values.iter().map(|values| values.block(self.rows));
        let blocks = blocks.collect::<Option<Vec<_>>>();
        let design = blocks.map(Design::new).transpose().ok().flatten();
        design.ok_or_else(|| Error::new(format!("{}: columns differ in length", self.source)))
    }

    /// What is fitted to.
    pub(crate) fn target(&self) -> Result<Target<'_>, Error> {
        Ok(match &self.targets {
            Targets::Classes(classes) => Target::Classes(classes),
            Targets::Soft(values) => {
                let view = View::rows_of(values, self.classes.len());
                Target::Distributions(view.map_err(|e| Error::new(e.to_string()))?)
            }
        })
    }

    /// The probability that row `row` should give class `class`.
    pub fn wanted(&self, row: usize, class: usize) -> f64 {
        match &self.targets {
            Targets::Classes(classes) => f64::from(u8::from(classes[row] as usize == class)),
            Targets::Soft(values) => values[row * self.classes.len() + class],
        }
    }

    /// The class of a row; `None` if targets are soft.
    pub fn label(&self, row: usize) -> Option<&str> {
        match &self.targets {
            Targets::Classes(classes) => Some(&self.classes[classes[row] as usize]),
            Targets::Soft(_) => None,
        }
    }

    /// The columns that identify rows, by name.
    pub fn ids(&self) -> &[(String, Vec<String>)] {
        &self.ids
    }

    /// The weight of a row.
    pub(crate) fn weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights[row])
    }

    /// Rows of each class, weighted; of soft targets the sums of their probabilities.
    pub fn class_weights(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.classes.len()];
        for row in 0..self.rows {
            match &self.targets {
                Targets::Classes(classes) => sums[classes[row] as usize] += self.weight(row),
                Targets::Soft(_) => {
                    for (class, sum) in sums.iter_mut().enumerate() {
                        *sum += self.weight(row) * self.wanted(row, class);
                    }
                }
            }
        }
        sums
    }
}
