//! Columns from which nothing can be learnt, or nothing that another column does not teach.

use std::collections::HashMap;

use super::dataset::Dataset;
use super::feature::{FeatureKind, TermKind};
use super::values::Values;
use crate::error::Error;

/// Constant columns in a message; the hint has all of them.
const NAMED: usize = 12;

impl Dataset {
    /// Finds the columns whose numbers do not differ. A column by itself is an error, as nothing can be learnt from it;
    /// of a matrix, of which no column can be left out, it keeps a coefficient of 0, and a note says so.
    pub(crate) fn find_constants(&mut self) -> Result<(), Error> {
        let mut constants = Vec::new();
        let (mut by_themselves, mut columns) = (Vec::new(), Vec::new());
        let mut of_matrix = vec![0_usize; self.features.len()];
        for (place, dense) in self.dense().enumerate() {
            let Dense { name, feature, values, col } = dense;
            let first = values.number(0, col);
            let mut weighted = (0..self.rows).filter(|&row| self.weight(row) > 0.0);
            if !weighted.all(|row| values.number(row, col) == first) {
                continue;
            }
            constants.push(place);
            if matches!(self.features[feature].kind, FeatureKind::List { .. }) {
                of_matrix[feature] += 1;
            } else {
                by_themselves.push(format!("{name} is {first}"));
                columns.push(self.features[feature].column.clone());
            }
        }
        for (feature, n) in self.features.iter().zip(of_matrix) {
            let FeatureKind::List { width } = feature.kind else { continue };
            let column = &feature.column;
            if n == width {
                by_themselves.push(format!("{column} is the same list"));
                columns.push(column.clone());
            } else if n > 0 {
                let (are, their) = if n == 1 {
                    ("is", "its coefficient is")
                } else {
                    ("are", "their coefficients are")
                };
                self.notes.push(format!(
                    "{column}: {n} of {width} numbers {are} the same in every row: {their} 0"
                ));
            }
        }
        self.constants = constants;
        if by_themselves.is_empty() {
            return Ok(());
        }
        let more = if by_themselves.len() > NAMED { ", …" } else { "" };
        by_themselves.truncate(NAMED);
        columns.dedup();
        let message = format!(
            "{}: nothing can be learnt from a column that is the same in every row: {}{more}",
            self.source,
            by_themselves.join(", ")
        );
        let hint = match &columns[..] {
            [one] => format!("leave it out: --drop '{one}'"),
            all => format!("leave them out: --drop '{}'", all.join(",")),
        };
        Err(Error::new(message).with_hint(hint))
    }

    /// The columns of numbers.
    fn dense(&self) -> impl Iterator<Item = Dense<'_>> {
        let names = self.features.iter().enumerate().flat_map(|(feature, f)| {
            let terms = f.terms().into_iter().filter(|t| t.kind == TermKind::Number);
            terms.map(move |t| (feature, t.name))
        });
        let columns = self.values.iter().filter(|v| matches!(v, Values::Numbers(..)));
        let columns = columns.flat_map(|v| (0..v.width()).map(move |col| (v, col)));
        names.zip(columns).map(|((feature, name), (values, col))| Dense {
            name,
            feature,
            values,
            col,
        })
    }

    /// The first two columns of numbers that are the same in every row, though they are not constant.
    pub(crate) fn duplicates(&self) -> Option<(String, String)> {
        let mut seen: HashMap<u64, Vec<Dense<'_>>> = HashMap::new();
        for (place, dense) in self.dense().enumerate() {
            if self.constants.binary_search(&place).is_ok() {
                continue;
            }
            let same = seen.entry(dense.values.hash(dense.col, self.rows)).or_default();
            let equal = |other: &&Dense<'_>| {
                (0..self.rows).all(|row| {
                    dense.values.number(row, dense.col) == other.values.number(row, other.col)
                })
            };
            if let Some(first) = same.iter().find(equal) {
                return Some((first.name.clone(), dense.name));
            }
            same.push(dense);
        }
        None
    }
}

/// A column of numbers.
struct Dense<'a> {
    /// That of its coefficient.
    name: String,
    feature: usize,
    values: &'a Values,
    col: usize,
}
