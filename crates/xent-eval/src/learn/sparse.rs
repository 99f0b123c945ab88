//! svmlight files: sparse rows with a label, to train on and to predict.
//!
//! Features are known by the numbers that the file gives them. Training keeps those that occur; an index that no
//! row had has no coefficient, and in prediction it is what a new level is for a category.

use std::collections::HashMap;

use xent::information::sigmoid;
use xent_io::svmlight::{self, Labels, SparseRows, SparseTable};
use xent_io::{MISSING, RowError};
use xent_train::problem::probabilities;

use super::coded::{Coded, Texts};
use super::dataset::{Dataset, MissingValues, ReadOptions, Targets};
use super::feature::{Feature, FeatureKind};
use super::lot::Lot;
use super::model::Model;
use super::predict::{PredictOptions, Prediction, TOO_LARGE, Unseen, foreign_class};
use super::reader::class_order;
use super::values::{SparseNumbers, Values};
use crate::error::Error;
use crate::roles::canonical;

/// The name of the target.
const LABEL: &str = "label";
/// The name of all features together, and of the queries.
const INDEX: &str = "index";
const QUERY: &str = "qid";

impl Dataset {
    /// Reads an svmlight file, or several: labels are the classes, features go by their indices.
    ///
    /// # Errors
    ///
    /// The first line that is not svmlight, a label that is no class, an option that names columns.
    pub fn read_svmlight(spec: &str, options: &ReadOptions) -> Result<Self, Error> {
        let error = |message: String| Error::new(format!("{spec}: {message}"));
        refuse_columns(options).map_err(|option| {
            error(format!("{option} is about columns, and an svmlight file has none"))
                .with_hint("its label is the target, and its features are numbered; --group qid keeps queries together")
        })?;
        let Rows { offsets, indices, values, features, labels, queries } =
            Rows::read(spec, options)?;
        let mut texts = Texts::default();
        texts.append(
            classes(&labels).map_err(|(row, label)| {
                error(format!("row {}: the label is {label}, not a class", row + 1))
                    .with_hint("classes are whole numbers or words")
            })?,
            None,
        )?;
        let (order, classes) = class_order(&texts, options)
            .map_err(|(what, hint)| error(format!("the label {what}")).with_hint(hint))?;
        let codes = texts.codes.finish(None, |code| order[code as usize])?;
        let group = match (&options.roles.group, &queries) {
            (Some(_), None) => {
                return Err(error("its rows have no qid".to_owned())
                    .with_hint("a row with a query is: label qid:7 index:value ..."));
            }
            (Some(_), Some(queries)) => Some(ranks(queries)),
            (None, _) => None,
        };
        if features.is_empty() {
            return Err(error("no row has a feature".to_owned())
                .with_hint("a row is: label index:value index:value ..."));
        }
        let width = features.len();
        Ok(Self {
            source: spec.to_owned(),
            rows: offsets.len() - 1,
            dropped: 0,
            classes,
            target_name: LABEL.to_owned(),
            target_columns: Vec::new(),
            weight_name: None,
            features: vec![Feature {
                column: INDEX.to_owned(),
                kind: FeatureKind::Sparse { indices: features },
            }],
            notes: Vec::new(),
            values: vec![Values::Sparse { offsets, indices, values, width }],
            targets: Targets::Classes(codes),
            weights: None,
            offsets: Vec::new(),
            ids: Vec::new(),
            group,
            time: None,
            constants: Vec::new(),
        })
    }
}

/// The rows of a file, in memory or mapped.
struct Rows {
    offsets: Vec<usize>,
    /// Places in `features`.
    indices: Lot<u32>,
    values: SparseNumbers,
    /// The indices that occur, as the file has them.
    features: Vec<u32>,
    labels: Labels,
    queries: Option<Vec<u64>>,
}

impl Rows {
    fn read(spec: &str, options: &ReadOptions) -> Result<Self, Error> {
        if options.out_of_core {
            let table = svmlight::read_mapped(spec, options.threads)?;
            return Ok(Self {
                offsets: table.offsets,
                indices: Lot::Mapped(table.indices),
                values: table.values.into(),
                features: table.features,
                labels: table.labels,
                queries: table.queries,
            });
        }
        let mut table = svmlight::read(spec, options.threads)?;
        let features = compact(&mut table);
        Ok(Self {
            offsets: table.offsets,
            indices: table.indices.into(),
            values: table.values.into(),
            features,
            labels: table.labels,
            queries: table.queries,
        })
    }
}

/// The first option that is about columns.
fn refuse_columns(options: &ReadOptions) -> Result<(), &'static str> {
    let roles = &options.roles;
    let given = [
        ("--target", roles.target.as_deref().is_some_and(|target| target != LABEL)),
        ("--targets", roles.targets.is_some()),
        ("--features", roles.features.is_some()),
        ("--drop", roles.drop.is_some()),
        ("--categorical", roles.categorical.is_some()),
        ("--reference", !options.references.is_empty()),
        ("--min-count", options.min_count > 1),
        ("--missing", options.missing != MissingValues::Error),
        ("--weight", roles.weight.is_some()),
        ("--offset", roles.offset.is_some()),
        ("--id", !roles.id.is_empty()),
        ("--group", roles.group.as_deref().is_some_and(|group| group != QUERY)),
        ("--time", roles.time.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(option),
        None => Ok(()),
    }
}

/// The labels as classes; the first row whose label is none, and the label.
fn classes(labels: &Labels) -> Result<Coded, (usize, f64)> {
    let texts = match labels {
        Labels::Text { names, codes } => {
            let spell = |&code: &u32| Some(names[code as usize].as_str());
            return Ok(Coded::of(&codes.iter().map(spell).collect(), canonical));
        }
        Labels::Numbers(numbers) => numbers,
    };
    if let Some(row) = texts.iter().position(|x| x.fract() != 0.0) {
        return Err((row, texts[row]));
    }
    let mut coded = Coded::default();
    let mut known: HashMap<u64, u32> = HashMap::new();
    // -0 is 0.
    let numbers = texts.iter().map(|x| x + 0.0);
    let codes = numbers.map(|x| {
        *known.entry(x.to_bits()).or_insert_with(|| coded.code(&canonical(&x.to_string())))
    });
    coded.codes = codes.collect();
    Ok(coded)
}

/// Numbers the features that occur from 0, and returns the file's numbers of them.
fn compact(table: &mut SparseTable) -> Vec<u32> {
    let mut places = vec![MISSING; table.n_features];
    for &index in &table.indices {
        places[index as usize] = 0;
    }
    let first = u32::from(!table.is_zero_based);
    let mut indices = Vec::new();
    for (place, index) in places.iter_mut().zip(first..) {
        if *place == 0 {
            *place = indices.len() as u32;
            indices.push(index);
        }
    }
    for index in &mut table.indices {
        *index = places[*index as usize];
    }
    indices
}

/// Numbers from 0 in the order of the queries.
fn ranks(queries: &[u64]) -> Vec<u32> {
    let mut all = queries.to_vec();
    all.sort_unstable();
    all.dedup();
    queries.iter().map(|q| all.partition_point(|other| other < q) as u32).collect()
}

impl Model {
    /// Whether it reads svmlight files, and no tables.
    pub fn is_sparse(&self) -> bool {
        matches!(&self.features[..], [Feature { kind: FeatureKind::Sparse { .. }, .. }])
    }

    /// Predicts the rows of svmlight files, and gives them to `each` in their order.
    ///
    /// # Errors
    ///
    /// The model is of a table; the first line that is not svmlight; an index that training did not see, unless that is
    /// to count for nothing; whatever `each` refuses.
    pub fn predict_svmlight(
        &self,
        spec: &str,
        options: &PredictOptions,
        each: impl FnMut(Prediction) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let error = |message: String| Error::new(format!("{spec}: {message}"));
        let [Feature { kind: FeatureKind::Sparse { indices }, .. }] = &self.features[..] else {
            return Err(error(
                "is an svmlight file, and the model was trained on a table".to_owned(),
            )
            .with_hint("predict on a table like the one that was trained on"));
        };
        if !options.id.is_empty() {
            return Err(error("--id is about columns, and an svmlight file has none".to_owned())
                .with_hint("the label of each row is kept"));
        }
        self.check_raw(options)?;
        let map = |rows: &SparseRows<'_>| self.predict_rows(indices, rows, options);
        svmlight::scan(spec, options.threads, map, each)
    }

    /// The predictions for some rows.
    fn predict_rows(
        &self,
        indices: &[u32],
        rows: &SparseRows<'_>,
        options: &PredictOptions,
    ) -> Result<Prediction, RowError> {
        let (k, m, n) = (self.classes.len(), self.n_outputs(), rows.n_rows());
        let mut z = vec![0.0; m];
        let mut p = vec![0.0; k];
        let mut out = Prediction {
            rows: n,
            proba: vec![Vec::with_capacity(n); k],
            raw: vec![Vec::with_capacity(n); if options.raw { m } else { 0 }],
            ..Prediction::default()
        };
        let mut labels = Vec::with_capacity(n);
        for row in 0..n {
            let error = |message: String, hint: String| RowError {
                row,
                column: None,
                message,
                hint: Some(hint),
            };
            z.copy_from_slice(&self.centered_intercept);
            let mut is_unseen = false;
            for (index, value) in rows.row(row) {
                if let Some(at) = place(indices, index) {
                    let coef = &self.coef[at * m..(at + 1) * m];
                    z.iter_mut().zip(coef).for_each(|(z, coef)| *z += coef * value);
                } else if options.unseen == Unseen::Error {
                    let (first, last) = (indices[0], indices[indices.len() - 1]);
                    return Err(error(
                        format!("index {index} was not in training"),
                        format!(
                            "with --unseen reference such an index counts for nothing; training saw {} indices from {first} to {last}",
                            indices.len()
                        ),
                    ));
                } else {
                    is_unseen = true;
                }
            }
            if !z.iter().all(|z| z.is_finite()) {
                let what = "the score overflows: a number is too large for this model";
                return Err(error(what.to_owned(), TOO_LARGE.to_owned()));
            }
            out.unseen += u64::from(is_unseen);
            probabilities(self.head, self.has_reference, m, |output| z[output], &mut p);
            out.proba.iter_mut().zip(&p).for_each(|(column, &p)| column.push(p));
            out.raw.iter_mut().zip(&z).for_each(|(column, &z)| column.push(sigmoid(z)));
            let label = label(&rows.label(row));
            if !self.has_class(&label) {
                if options.unseen == Unseen::Error {
                    let what = format!("the label {}", foreign_class(&label));
                    return Err(error(what, self.foreign_hint()));
                }
                out.foreign += 1;
            }
            labels.push(Some(label));
        }
        out.labels = Some(labels);
        Ok(out)
    }
}

/// Where an index stands among those of the model, most often without gaps.
fn place(indices: &[u32], index: u32) -> Option<usize> {
    let guess = index.wrapping_sub(indices[0]) as usize;
    if indices.get(guess) == Some(&index) {
        return Some(guess);
    }
    indices.binary_search(&index).ok()
}

/// The class that a label names.
fn label(written: &str) -> String {
    match written.parse::<f64>() {
        Ok(x) => format!("{}", x + 0.0),
        Err(_) => canonical(written),
    }
}
