//! Features that stay in their file: numbers of a kind that the design matrix takes, and texts that the file has as codes.

use std::collections::HashMap;

use xent_io::{Matrix, Table};

use super::cells::Cells;
use super::coded::Texts;
use super::columns::{FeatureColumn, Reading};
use super::piece::spell;
use super::values::{OwnedCodes, Shape};
use crate::error::Error;

/// A feature where it lies, nothing of it missing.
pub(crate) enum InPlace {
    Numbers(Cells, Shape),
    /// The file's codes, its texts with their counts as they are spelt, and which of these each code is.
    Texts(OwnedCodes, Texts, Vec<u32>),
}

impl InPlace {
    /// The feature, if it can stay where it is.
    pub fn of(table: &Table, feature: &FeatureColumn) -> Result<Option<Self>, Error> {
        match feature.reading {
            Reading::Number | Reading::List(_) => Self::numbers(table, feature.column),
            Reading::Category if !feature.is_number => Self::texts(table, feature.column),
            Reading::Category | Reading::Boolean => Ok(None),
        }
    }

    fn numbers(table: &Table, column: usize) -> Result<Option<Self>, Error> {
        let Some(matrix) = table.matrix(column)? else { return Ok(None) };
        let Matrix { width, row_stride, column_stride, .. } = matrix;
        let shape = Shape { width, row_stride, column_stride };
        let cells = Cells::of_matrix(matrix);
        Ok(cells.is_finite().then_some(Self::Numbers(cells, shape)))
    }

    fn texts(table: &Table, column: usize) -> Result<Option<Self>, Error> {
        let Some(coded) = table.coded_texts(column)? else { return Ok(None) };
        let codes = OwnedCodes::from(coded.codes);
        let mut rows = vec![0_u64; coded.texts.len()];
        let all = codes.codes();
        for row in 0..all.len() {
            match rows.get_mut(all.get(row)) {
                Some(n) => *n += 1,
                // Reading says what is wrong.
                None => return Ok(None),
            }
        }
        let (mut levels, mut counts): (Vec<String>, Vec<u64>) = (Vec::new(), Vec::new());
        let mut places: HashMap<String, u32> = HashMap::new();
        let mut to_text = Vec::with_capacity(rows.len());
        for (text, n) in coded.texts.iter().zip(rows) {
            let text = spell(text.unwrap_or_default(), false);
            if text.is_empty() && n > 0 {
                // Missing.
                return Ok(None);
            }
            let place = *places.entry(text).or_insert_with_key(|text| {
                levels.push(text.clone());
                counts.push(0);
                levels.len() as u32 - 1
            });
            counts[place as usize] += n;
            to_text.push(place);
        }
        Ok(Some(Self::Texts(codes, Texts::counted(levels, counts), to_text)))
    }
}
