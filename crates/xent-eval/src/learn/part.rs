//! A batch of a table to train on: read, checked, rows with missing values marked, all in a worker.

use xent_io::{Batch, Column, MISSING, ReadAs, RowError, Table};

use super::cells::Growing;
use super::coded::Coded;
use super::columns::{Columns, TargetColumn};
use super::dataset::MissingValues;
use super::piece::Piece;
use crate::roles::canonical;

/// Soft targets may be this far from a sum of 1.
const SUM_TOLERANCE: f64 = 1e-6;

/// What a worker makes of a batch.
pub(crate) struct Part {
    /// Rows read.
    pub rows: usize,
    /// Rows that are not left out.
    pub kept: usize,
    pub features: Vec<Kept>,
    /// Missing values by column, in the order of [`Columns::names`].
    pub missing: Vec<u64>,
    pub classes: Coded,
    /// Row-major.
    pub soft: Vec<f64>,
    pub weights: Vec<f64>,
    pub offsets: Vec<Vec<f64>>,
    pub ids: Vec<Vec<String>>,
    pub group: Coded,
    pub time: Vec<f64>,
    pub time_text: Vec<String>,
}

/// A feature's rows.
pub(crate) enum Kept {
    /// Row-major, so many a row, with the rows in which the number is missing, where 0 stands.
    Numbers(Growing, usize, Vec<u32>),
    Texts(Coded),
}

impl Columns {
    /// Names of everything that may have missing values: the features, the target, weight, offsets, group and time.
    pub fn names(&self, table: &Table) -> Vec<String> {
        let name = |c: usize| table.columns()[c].name.clone();
        let mut names: Vec<String> = self.features.iter().map(|f| f.name.clone()).collect();
        match &self.target {
            TargetColumn::Class { column, .. } => names.push(name(*column)),
            TargetColumn::PerClass(columns) => names.extend(columns.iter().map(|(c, _)| name(*c))),
        }
        names.extend(self.weight.map(name));
        names.extend(self.offsets.iter().map(|(c, _)| name(*c)));
        names.extend(self.ids.iter().map(|c| name(*c)));
        names.extend(self.group.map(name));
        names.extend(self.time.map(|(c, _)| name(c)));
        names
    }

    /// Reads a batch.
    pub fn part(
        &self,
        batch: &Batch,
        names: &[String],
        policy: MissingValues,
    ) -> Result<Part, RowError> {
        let rows = batch.rows();
        let mut absent = vec![false; rows];
        let mut missing = vec![0; names.len()];
        let mut pieces = Vec::with_capacity(self.features.len());
        let mut spare = Vec::new();
        for (i, feature) in self.features.iter().enumerate() {
            let piece = Piece::read(feature, batch.column(i))?;
            let is_list = matches!(&piece, Piece::Numbers { width, .. } if *width != 1);
            // With indicators a feature may be missing.
            let marks = if policy == MissingValues::Indicator && !is_list {
                spare.clear();
                spare.resize(rows, false);
                &mut spare
            } else {
                &mut absent
            };
            missing[i] = piece.mark_missing(marks);
            pieces.push(piece);
        }
        let mut rest = Rest { batch, names, next: pieces.len(), absent, missing };
        let mut classes = Coded::default();
        let mut soft: Vec<&[f64]> = Vec::new();
        match &self.target {
            TargetColumn::Class { may_be_fraction, .. } => {
                classes = rest.classes(*may_be_fraction)?;
            }
            TargetColumn::PerClass(columns) => {
                for _ in columns {
                    soft.push(rest.numbers(Domain::Probability)?);
                }
                check_sums(&soft, &rest.absent)?;
            }
        }
        let weights = match self.weight {
            Some(_) => Some(rest.numbers(Domain::Weight)?),
            None => None,
        };
        let mut offsets = Vec::new();
        for _ in &self.offsets {
            offsets.push(rest.numbers(Domain::Number)?);
        }
        let mut ids = Vec::new();
        for _ in &self.ids {
            ids.push(rest.texts(false));
        }
        let group = match self.group {
            Some(_) => rest.coded(),
            None => Coded::default(),
        };
        let (mut time, mut time_text): (&[f64], _) = (&[], Vec::new());
        match self.time {
            Some((_, ReadAs::Numbers)) => time = rest.numbers(Domain::Number)?,
            Some(_) => time_text = rest.texts(true),
            None => {}
        }
        let Rest { absent, missing, .. } = rest;
        let keep: Option<Vec<usize>> = (policy != MissingValues::Error && absent.contains(&true))
            .then(|| (0..rows).filter(|&i| !absent[i]).collect());
        let keep = keep.as_deref();
        let features = pieces.into_iter().map(|piece| kept(piece, keep)).collect();
        let soft_rows: Vec<f64> = (0..if soft.is_empty() { 0 } else { rows })
            .flat_map(|row| soft.iter().map(move |column| column[row]))
            .collect();
        let numbers =
            |values: &[f64]| if values.is_empty() { Vec::new() } else { pick(values, 1, keep) };
        let texts = |texts: Vec<String>| match keep {
            Some(keep) if !texts.is_empty() => keep.iter().map(|&i| texts[i].clone()).collect(),
            _ => texts,
        };
        Ok(Part {
            rows,
            kept: keep.map_or(rows, <[usize]>::len),
            features,
            missing,
            classes: classes.take(keep),
            soft: if soft.is_empty() { Vec::new() } else { pick(&soft_rows, soft.len(), keep) },
            weights: weights.map_or_else(Vec::new, numbers),
            offsets: offsets.into_iter().map(numbers).collect(),
            ids: ids.into_iter().map(texts).collect(),
            group: group.take(keep),
            time: numbers(time),
            time_text: texts(time_text),
        })
    }
}

/// The rows of a feature that are kept.
fn kept(piece: Piece<'_>, keep: Option<&[usize]>) -> Kept {
    match piece {
        Piece::Texts(coded) => Kept::Texts(coded.take(keep)),
        Piece::Numbers { values, width } => {
            let mut values = match keep {
                Some(_) => pick(&values, width, keep).into(),
                None => values,
            };
            let mut missing = Vec::new();
            if values.iter().any(|x| x.is_nan()) {
                for (i, x) in values.to_mut().iter_mut().enumerate() {
                    if x.is_nan() {
                        *x = 0.0;
                        missing.push(i as u32);
                    }
                }
            }
            Kept::Numbers(Growing::of(&values), width, missing)
        }
    }
}

fn pick<T: Copy>(values: &[T], width: usize, keep: Option<&[usize]>) -> Vec<T> {
    match keep {
        None => values.to_vec(),
        Some(keep) => {
            keep.iter().flat_map(|&i| values[i * width..(i + 1) * width].iter().copied()).collect()
        }
    }
}

/// What a number may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Domain {
    Number,
    Weight,
    Probability,
}

/// The columns behind the features, one after the other.
struct Rest<'a> {
    batch: &'a Batch,
    names: &'a [String],
    next: usize,
    absent: Vec<bool>,
    missing: Vec<u64>,
}

impl<'a> Rest<'a> {
    fn next(&mut self) -> (usize, &'a Column) {
        let at = self.next;
        self.next += 1;
        (at, self.batch.column(at))
    }

    fn numbers(&mut self, domain: Domain) -> Result<&'a [f64], RowError> {
        let (at, column) = self.next();
        let values = column.numbers().unwrap_or_default();
        let (what, hint) = match domain {
            Domain::Number => ("a finite number", "leave such rows out of the file"),
            Domain::Weight => ("a weight", "a weight is a finite number that is not negative"),
            Domain::Probability => ("a probability", "soft targets are probabilities, one a class"),
        };
        for (row, &x) in values.iter().enumerate() {
            let is_good = match domain {
                Domain::Number => x.is_finite(),
                Domain::Weight => x >= 0.0 && x.is_finite(),
                Domain::Probability => (0.0..=1.0).contains(&x),
            };
            if x.is_nan() {
                self.absent[row] = true;
                self.missing[at] += 1;
            } else if !is_good {
                let name = &self.names[at];
                return Err(RowError {
                    row,
                    column: Some(name.clone()),
                    message: format!("column {name} is {x}, not {what}"),
                    hint: Some(hint.to_owned()),
                });
            }
        }
        Ok(values)
    }

    fn classes(&mut self, may_be_fraction: bool) -> Result<Coded, RowError> {
        let (at, column) = self.next();
        let Some(texts) = column.text() else { return Ok(Coded::default()) };
        if may_be_fraction {
            for (row, text) in texts.iter().enumerate() {
                let Some(text) = text else { continue };
                if text.trim().parse::<f64>().is_ok_and(|x| !x.is_nan() && x.fract() != 0.0) {
                    let name = &self.names[at];
                    return Err(RowError {
                        row,
                        column: Some(name.clone()),
                        message: format!("column {name} is {}, not a class", xent_io::show(text)),
                        hint: Some("classes are texts, whole numbers, or true and false; columns of probabilities are named with --targets".to_owned()),
                    });
                }
            }
        }
        let coded = Coded::of(texts, canonical);
        self.count(at, &coded);
        Ok(coded)
    }

    fn coded(&mut self) -> Coded {
        let (at, column) = self.next();
        let Some(texts) = column.text() else { return Coded::default() };
        let coded = Coded::of(texts, canonical);
        self.count(at, &coded);
        coded
    }

    fn count(&mut self, at: usize, coded: &Coded) {
        for (row, &code) in coded.codes.iter().enumerate() {
            if code == MISSING {
                self.absent[row] = true;
                self.missing[at] += 1;
            }
        }
    }

    fn texts(&mut self, is_needed: bool) -> Vec<String> {
        let (at, column) = self.next();
        let Some(texts) = column.text() else { return Vec::new() };
        let mut all = Vec::with_capacity(texts.len());
        for (row, text) in texts.iter().enumerate() {
            if text.is_none() && is_needed {
                self.absent[row] = true;
                self.missing[at] += 1;
            }
            all.push(text.unwrap_or_default().to_owned());
        }
        all
    }
}

fn check_sums(soft: &[&[f64]], absent: &[bool]) -> Result<(), RowError> {
    for (row, absent) in absent.iter().enumerate() {
        let sum: f64 = soft.iter().map(|column| column[row]).sum();
        if !absent && (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(RowError {
                row,
                column: None,
                message: format!("the targets sum to {sum}, not 1"),
                hint: Some("soft targets are probabilities, one a class".to_owned()),
            });
        }
    }
    Ok(())
}
