//! Columns of a second table beside the first one's: labels that lie in a file of their own.
//!
//! The second table's columns that are asked for are read first and held, four bytes a row for text
//! that repeats. The first table streams, and each of its batches gets the rows that belong to it.
//! That needs a batch's place in the table, which files that declare their rows know, and text does
//! not: text is then decoded by one thread, which counts.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray};

use crate::column::{Batch, Column, Request, TextColumn};
use crate::error::{Error, RowError};
use crate::table::{ScanOptions, Table};

/// Texts that are given as a dictionary: more would be dear to look through with every batch.
const FEW: usize = 1024;

/// The columns of the second table that a scan asks for.
#[derive(Debug)]
pub(crate) struct Held {
    /// The table as messages name it.
    pub name: String,
    pub rows: u64,
    columns: Vec<HeldColumn>,
    /// Where each column stands among all that are asked for, ascending.
    places: Vec<usize>,
    /// Their names, to tell whose fault an error is.
    names: Vec<String>,
}

#[derive(Debug)]
enum HeldColumn {
    Numbers(Vec<f64>),
    Text(HeldText),
    Rows { width: usize, values: Vec<f64> },
}

#[derive(Debug, Default)]
struct HeldText {
    codes: Vec<u32>,
    texts: Vec<Option<String>>,
    places: HashMap<Option<String>, u32>,
    dictionary: Option<ArrayRef>,
}

impl HeldText {
    fn append(&mut self, text: &TextColumn) {
        let mut last: Option<(Option<&str>, u32)> = None;
        for value in text.iter() {
            let code = match last {
                Some((same, code)) if same == value => code,
                _ => self.code(value),
            };
            last = Some((value, code));
            self.codes.push(code);
        }
    }

    fn code(&mut self, value: Option<&str>) -> u32 {
        let value = value.map(str::to_owned);
        if let Some(&code) = self.places.get(&value) {
            return code;
        }
        let code = self.texts.len() as u32;
        self.texts.push(value.clone());
        self.places.insert(value, code);
        code
    }

    /// Nothing more comes.
    fn finish(&mut self) {
        self.places = HashMap::new();
        if self.texts.len() <= FEW && self.texts.iter().all(Option::is_some) {
            self.dictionary = Some(Arc::new(StringArray::from_iter(&self.texts)));
        }
    }

    fn slice(&self, first: usize, rows: usize) -> TextColumn {
        let codes = &self.codes[first..first + rows];
        match &self.dictionary {
            Some(values) => TextColumn::from_dictionary(codes.to_vec(), values.clone()),
            None => codes.iter().map(|&c| self.texts[c as usize].as_deref()).collect(),
        }
    }
}

impl Held {
    /// Reads the columns of `requests` of `table`, which stand at `places` among all columns asked
    /// for and are named `names` there.
    pub fn load(
        table: &Table,
        requests: &[Request],
        places: Vec<usize>,
        names: Vec<String>,
        options: &ScanOptions,
    ) -> Result<Held, Error> {
        let mut held =
            Held { name: table.spec().to_owned(), rows: 0, columns: Vec::new(), places, names };
        table.scan(
            requests,
            options,
            |batch| Ok(batch.columns().to_vec()),
            |columns, span| {
                held.rows += span.rows as u64;
                held.append(columns);
                Ok::<(), Error>(())
            },
        )?;
        if held.columns.is_empty() {
            // No rows: the columns must be there all the same.
            held.append(requests.iter().map(|r| Column::empty(r.read_as)).collect());
        }
        for column in &mut held.columns {
            if let HeldColumn::Text(text) = column {
                text.finish();
            }
        }
        Ok(held)
    }

    fn append(&mut self, columns: Vec<Column>) {
        if self.columns.is_empty() {
            self.columns = columns
                .iter()
                .map(|column| match column {
                    Column::Numbers(_) => HeldColumn::Numbers(Vec::new()),
                    Column::Text(_) => HeldColumn::Text(HeldText::default()),
                    Column::Rows { width, .. } => {
                        HeldColumn::Rows { width: *width, values: Vec::new() }
                    }
                    Column::Tensor(t) => HeldColumn::Rows { width: t.width(), values: Vec::new() },
                })
                .collect();
        }
        for (mine, column) in self.columns.iter_mut().zip(columns) {
            match (mine, column) {
                (HeldColumn::Numbers(mine), Column::Numbers(x)) => mine.extend_from_slice(&x),
                (HeldColumn::Text(mine), Column::Text(text)) => mine.append(&text),
                (HeldColumn::Rows { values, .. }, Column::Rows { values: x, .. }) => {
                    values.extend_from_slice(&x);
                }
                (HeldColumn::Rows { values, .. }, Column::Tensor(tensor)) => {
                    let mut numbers = Vec::new();
                    tensor.numbers_in(&mut numbers);
                    values.append(&mut numbers);
                }
                _ => unreachable!("a column is read in one way"),
            }
        }
    }

    /// How many of `rows` rows from `first` there are.
    pub fn have(&self, first: u64, rows: usize) -> usize {
        self.rows.saturating_sub(first).min(rows as u64) as usize
    }

    /// Puts the columns into a batch of the first table, whose rows start at `first`.
    pub fn join(&self, first: u64, batch: &mut Batch) {
        let (first, rows) = (first as usize, batch.rows);
        for (&place, column) in self.places.iter().zip(&self.columns) {
            let part = match column {
                HeldColumn::Numbers(x) => Column::Numbers(x[first..first + rows].to_vec().into()),
                HeldColumn::Text(text) => Column::Text(text.slice(first, rows)),
                HeldColumn::Rows { width, values } => Column::Rows {
                    width: *width,
                    values: values[first * width..(first + rows) * width].to_vec().into(),
                },
            };
            batch.columns.insert(place, part);
        }
    }

    /// Takes them out again, so that the decoder finds its own.
    pub fn part(&self, batch: &mut Batch) {
        for &place in self.places.iter().rev() {
            batch.columns.remove(place);
        }
    }

    /// The error of a row that was refused for a column of this table.
    pub fn blamed(&self, first: u64, error: &RowError) -> Option<Error> {
        let name = error.column.as_ref().filter(|name| self.names.contains(name))?;
        let located = Error::new(&self.name, &error.message)
            .with_row(first + error.row as u64 + 1)
            .with_column(name);
        Some(match &error.hint {
            Some(hint) => located.with_hint(hint),
            None => located,
        })
    }

    /// The error where the first table goes on and this one has ended.
    pub fn ended(&self, other: &str) -> Error {
        differ(&self.name, self.rows, other, "more")
    }
}

/// The error of two tables that stand side by side and differ in length.
pub(crate) fn differ(name: &str, rows: u64, other: &str, others: impl std::fmt::Display) -> Error {
    let s = if rows == 1 { "" } else { "s" };
    let other = crate::error::printable(other);
    Error::new(name, format!("has {rows} row{s}, {other} has {others}"))
        .with_hint("both files must hold the same rows in the same order")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_whether_few_or_many() {
        for n in [3, FEW, FEW + 1] {
            let texts: Vec<String> = (0..5 * n).map(|i| format!("t{}", i * 7 % n)).collect();
            let mut held = HeldText::default();
            for part in texts.chunks(100) {
                held.append(&part.iter().map(|t| Some(t.as_str())).collect());
            }
            held.finish();
            assert_eq!(held.dictionary.is_some(), n <= FEW);
            let slice = held.slice(n - 2, 10.min(n));
            for (i, text) in slice.iter().enumerate() {
                assert_eq!(text, Some(texts[n - 2 + i].as_str()));
            }
        }
        let mut held = HeldText::default();
        held.append(&[Some("a"), None, None, Some("")].into_iter().collect());
        held.finish();
        let back = held.slice(0, 4);
        assert_eq!(back.iter().collect::<Vec<_>>(), [Some("a"), None, None, Some("")]);
    }
}
