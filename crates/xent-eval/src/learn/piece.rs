//! One feature column of a batch, checked: the same for training and for prediction.

use std::borrow::Cow;

use xent_io::{Column, RowError};

use super::coded::Coded;
use super::columns::{FeatureColumn, Reading};
use crate::roles::canonical;

/// The values of a feature column in a batch.
pub(crate) enum Piece<'a> {
    /// Row-major; NaN is missing.
    Numbers { values: Cow<'a, [f64]>, width: usize },
    /// Codes into the batch's own levels.
    Texts(Coded),
}

impl<'a> Piece<'a> {
    /// Reads a column; an infinite number is an error of its row.
    pub fn read(feature: &FeatureColumn, column: &'a Column) -> Result<Self, RowError> {
        let piece = match (feature.reading, column) {
            (Reading::Boolean, Column::Text(texts)) => {
                let values: Result<Vec<f64>, RowError> = texts
                    .iter()
                    .enumerate()
                    .map(|(row, text)| boolean(text, row, &feature.name))
                    .collect();
                Self::Numbers { values: values?.into(), width: 1 }
            }
            (Reading::Category, Column::Text(texts)) => {
                let is_number = feature.is_number;
                Self::Texts(Coded::of(texts, |text| spell(text, is_number)))
            }
            (_, Column::Numbers(numbers)) => {
                Self::Numbers { values: Cow::Borrowed(numbers), width: 1 }
            }
            (_, Column::Rows { width, values }) => {
                Self::Numbers { values: Cow::Borrowed(values), width: *width }
            }
            (_, Column::Tensor(tensor)) => {
                let mut values = Vec::new();
                tensor.numbers_in(&mut values);
                Self::Numbers { values: values.into(), width: tensor.width() }
            }
            (_, Column::Text(_)) => Self::Texts(Coded::default()),
        };
        if let Self::Numbers { values, width } = &piece
            && let Some(at) = values.iter().position(|x| x.is_infinite())
        {
            let name = if *width > 1 {
                format!("{}[{}]", feature.name, at % width)
            } else {
                feature.name.clone()
            };
            return Err(RowError {
                row: at / width,
                message: format!("column {name} is {}, not a finite number", values[at]),
                column: Some(name),
                hint: Some(
                    "leave such rows out of the file, or leave a missing value empty".to_owned(),
                ),
            });
        }
        Ok(piece)
    }

    /// Marks the rows in which something is missing, and counts them.
    pub fn mark_missing(&self, absent: &mut [bool]) -> u64 {
        let mut count = 0;
        match self {
            Self::Numbers { values, width } => {
                if !values.iter().any(|x| x.is_nan()) {
                    return 0;
                }
                for (row, values) in values.chunks_exact((*width).max(1)).enumerate() {
                    if values.iter().any(|x| x.is_nan()) {
                        absent[row] = true;
                        count += 1;
                    }
                }
            }
            Self::Texts(coded) => {
                for (row, &code) in coded.codes.iter().enumerate() {
                    if code == xent_io::MISSING {
                        absent[row] = true;
                        count += 1;
                    }
                }
            }
        }
        count
    }
}

/// A level in the spelling by which it is known.
pub(crate) fn spell(text: &str, is_number: bool) -> String {
    if is_number { canonical(text) } else { text.trim().to_owned() }
}

fn boolean(text: Option<&str>, row: usize, name: &str) -> Result<f64, RowError> {
    let text = text.unwrap_or_default().trim();
    match text {
        "" => Ok(f64::NAN),
        _ if text.eq_ignore_ascii_case("true") => Ok(1.0),
        _ if text.eq_ignore_ascii_case("false") => Ok(0.0),
        // NumPy and Arrow booleans may come as numbers.
        "1" => Ok(1.0),
        "0" => Ok(0.0),
        _ => Err(RowError {
            row,
            column: Some(name.to_owned()),
            message: format!("column {name} is {}, neither true nor false", xent_io::show(text)),
            hint: Some(format!("if it is a category, say --categorical {name}")),
        }),
    }
}
