//! `--per-row`: every row's losses to a CSV or Parquet file.

use std::path::Path;

use xent_eval::{Binding, Block, Error};
use xent_io::out::{OutColumn, OutKind, RowWriter};

/// Writes rows as they are scored; the file appears when all are written.
pub struct PerRow {
    writer: RowWriter,
    with_model: bool,
    with_id: bool,
    /// The model that a table is of, unless it holds several.
    pub model: String,
}

impl PerRow {
    /// Creates the file, so that a bad path fails before the first row is read.
    pub fn create(path: &Path, with_model: bool, with_id: bool) -> Result<Self, xent_io::Error> {
        let mut columns: Vec<(&str, OutKind)> = Vec::new();
        if with_model {
            columns.push(("model", OutKind::Text));
        }
        columns.push(("row", OutKind::Integer));
        if with_id {
            columns.push(("id", OutKind::Text));
        }
        columns.push(("label", OutKind::Text));
        columns.push(("predicted", OutKind::Text));
        for loss in ["error", "squared_error", "log_loss", "surprisal_bits"] {
            columns.push((loss, OutKind::Number));
        }
        let writer = RowWriter::create(path, &columns)?;
        Ok(Self { writer, with_model, with_id, model: String::new() })
    }

    /// Writes the rows of a block that are not left out.
    pub fn write(&mut self, binding: &Binding, first_row: u64, block: &Block) -> Result<(), Error> {
        let present: Vec<usize> = block.present().unwrap_or_else(|| (0..block.rows).collect());
        let rows: Vec<u64> = present.iter().map(|&i| first_row + i as u64 + 1).collect();
        let labels: Vec<String> =
            present.iter().map(|&i| block.target.describe(i, &binding.classes)).collect();
        let labels: Vec<Option<&str>> = labels.iter().map(|l| Some(l.as_str())).collect();
        let ids: Option<Vec<Option<&str>>> =
            block.ids.as_ref().map(|ids| present.iter().map(|&i| Some(ids[i].as_str())).collect());
        for (m, scores) in block.scores.iter().enumerate() {
            let pick = |x: &[f64]| -> Vec<f64> { present.iter().map(|&i| x[i]).collect() };
            let losses = [&scores.error, &scores.squared_error, &scores.log_loss].map(|x| pick(x));
            let bits: Vec<f64> = losses[2].iter().map(|l| l / std::f64::consts::LN_2).collect();
            let predicted: Vec<Option<&str>> = present
                .iter()
                .map(|&i| Some(binding.classes[scores.predicted[i] as usize].as_str()))
                .collect();
            let model = binding.models[m].name.as_deref().unwrap_or(&self.model);
            let models = vec![Some(model); present.len()];
            let mut columns = Vec::new();
            if self.with_model {
                columns.push(OutColumn::Text(&models));
            }
            columns.push(OutColumn::Integers(&rows));
            if let (true, Some(ids)) = (self.with_id, &ids) {
                columns.push(OutColumn::Text(ids));
            }
            columns.push(OutColumn::Text(&labels));
            columns.push(OutColumn::Text(&predicted));
            columns.extend(losses.iter().map(|x| OutColumn::Numbers(x)));
            columns.push(OutColumn::Numbers(&bits));
            self.writer.write(&columns)?;
        }
        Ok(())
    }

    /// Completes the file.
    pub fn finish(self) -> Result<(), xent_io::Error> {
        self.writer.finish()
    }
}
