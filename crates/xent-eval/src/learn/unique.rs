//! Columns from which nothing can be learnt, or nothing that another column does not teach.

use std::collections::{HashMap, HashSet};

use super::cells::Cells;
use super::dataset::Dataset;
use super::feature::{FeatureKind, TermKind};
use super::levels::NAMES;
use super::values::Values;
use crate::error::Error;

/// Constant columns in a message; the hint has all of them.
const NAMED: usize = 12;
/// Rows of a column that are looked at, from all over it, before all of them are.
const GLANCE: usize = 256;
/// Rows of a column in which an identifier is looked for.
const LOOKED_AT: usize = 1 << 16;

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

    /// Says which columns of whole numbers seem to number the rows, or to be their names: a coefficient learns nothing from
    /// them that holds for other rows.
    pub(crate) fn note_identifiers(&mut self) {
        let mut notes = Vec::new();
        for dense in self.dense() {
            let column = &self.features[dense.feature].column;
            if dense.name != *column || self.rows <= NAMES {
                continue;
            }
            let what = if dense.numbers_rows(self.rows) {
                "has as many consecutive whole numbers as there are rows, each once: it seems to number them"
                    .to_owned()
            } else if is_identifier(column) && dense.differs(self.rows) {
                let rows = match self.rows {
                    0..=LOOKED_AT => "every row".to_owned(),
                    _ => format!("each of the first {LOOKED_AT} rows"),
                };
                format!("is a different whole number in {rows}: it seems to name them")
            } else {
                continue;
            };
            notes.push(format!("column {column} {what}; leave it out with --drop '{column}'"));
        }
        self.notes.extend(notes);
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

impl Dense<'_> {
    /// Whether some rows from all over the column are whole numbers that differ.
    fn may_identify(&self, rows: usize) -> bool {
        let n = rows.min(GLANCE);
        let mut seen = HashSet::with_capacity(n);
        !matches!(self.values, Values::Numbers(Cells::U8(_), _) if rows > 256)
            && (0..n).all(|i| {
                let x = self.values.number(i * rows / n, self.col);
                x.fract() == 0.0 && seen.insert(x.to_bits())
            })
    }

    /// Whether each of as many whole numbers in a row as there are rows occurs once.
    fn numbers_rows(&self, rows: usize) -> bool {
        if !self.may_identify(rows) {
            return false;
        }
        let all = || (0..rows).map(|row| self.values.number(row, self.col));
        let (least, greatest) =
            all().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        if greatest - least != (rows - 1) as f64 {
            return false;
        }
        let mut seen = vec![0_u64; rows.div_ceil(64)];
        all().all(|x| {
            let place = (x - least) as usize;
            let (word, bit) = (&mut seen[place / 64], 1 << (place % 64));
            let is_new = x.fract() == 0.0 && *word & bit == 0;
            *word |= bit;
            is_new
        })
    }

    /// Whether all rows, of many the first, are whole numbers that differ.
    fn differs(&self, rows: usize) -> bool {
        let n = rows.min(LOOKED_AT);
        let mut seen = HashSet::with_capacity(n);
        self.may_identify(rows)
            && (0..n).all(|row| {
                let x = self.values.number(row, self.col);
                x.fract() == 0.0 && seen.insert(x.to_bits())
            })
    }
}

/// Whether a column is named as identifiers are: `id`, `user_id`, `user-id`, `userId`, `ID`.
fn is_identifier(name: &str) -> bool {
    let name = name.trim();
    let Some(before) = name.len().checked_sub(2).filter(|&at| name.is_char_boundary(at)) else {
        return false;
    };
    let (before, last) = name.split_at(before);
    let ends_word = before.ends_with(|c: char| !c.is_alphanumeric());
    last.eq_ignore_ascii_case("id") && (before.is_empty() || ends_word)
        || (last == "Id" || last == "ID") && before.ends_with(char::is_lowercase)
}

#[cfg(test)]
mod tests {
    use super::is_identifier;

    #[test]
    fn names_of_identifiers() {
        for name in
            ["id", "ID", "Id", "user_id", "user-id", "user id", "userId", "userID", "用户_id"]
        {
            assert!(is_identifier(name), "{name}");
        }
        for name in ["", "d", "paid", "PAID", "covid", "Madrid", "ids", "idea", "x", "用户", "户d"]
        {
            assert!(!is_identifier(name), "{name}");
        }
    }
}
