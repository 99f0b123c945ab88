//! The parts of a model's scores: uncertainty, discrimination and miscalibration.

use xent::calibration::binned::{Binning, decompose as in_bins};
use xent::calibration::decomposition::{Decomposition, Decompositions, corp};
use xent::calibration::held::{HeldRows, HeldTable};
use xent::calibration::multiclass::{Grouped, Grouping, decompose as in_groups};
use xent::calibration::parts::{Parts, Recalibration};
use xent::calibration::repair::Repair;
use xent::calibration::rows::BinaryRows;
use xent::rows::Matrix;
use xent::score::{Baseline, Scores};

use crate::error::Error;

pub use xent::calibration::binned::BinnedDecompositions;

/// Folds that `compare` recalibrates with where none are asked for.
pub const FOLDS: u32 = 10;
/// Rows that this needs: ten a fold.
pub const FOLDS_ROWS: u64 = 100;
/// Bins of the binned forms, and bins of each top class.
pub const BINS: usize = 10;
/// Numbers that the grouped form takes at most: it needs every row with its own prediction.
const GROUPED_NUMBERS: usize = 1 << 25;

/// The parts of a model's scores.
#[derive(Clone, Debug)]
pub struct ModelParts {
    /// Rows that the parts were found from.
    pub rows: u64,
    /// Whether those are a sample: the rows of a part of the predictions, chosen by a hash of their numbers.
    pub is_sample: bool,
    /// Of the cross entropy, bits; in-sample.
    pub cross_entropy: Decomposition,
    /// How predictions were recalibrated for them.
    pub recalibration: Recalibration,
    /// Of the mean squared error, summed over classes; in-sample.
    pub mse: Decomposition,
    /// How predictions were recalibrated for them.
    pub recalibration_mse: Recalibration,
    /// With each row recalibrated by the rows of other folds.
    pub cross_fitted: Option<CrossFitted>,
    /// Other decompositions of the same rows, where asked for.
    pub details: Option<Details>,
    /// Mistakes that would explain why the score is worse than that of the class frequencies; see
    /// [`ModelScore::repairs`](crate::ModelScore::repairs).
    pub(crate) repairs: Vec<Repair>,
}

/// Parts by recalibrations that have not seen the row: honest, and perhaps negative.
#[derive(Clone, Copy, Debug)]
pub struct CrossFitted {
    /// Folds.
    pub folds: u32,
    /// Of the cross entropy, bits.
    pub cross_entropy: Decomposition,
    /// Of the mean squared error, where asked for.
    pub mse: Option<Decomposition>,
}

/// Decompositions on request, of the rows held. Log loss is in nats here.
#[derive(Clone, Debug)]
pub struct Details {
    /// CORP of each class against the rest; `None` for a class that is all or none of the rows' weight.
    pub one_vs_rest: Vec<Decompositions>,
    /// CORP of the top label: its probability, and whether it is the true class.
    pub top_label: Decompositions,
    /// Bröcker's form by top class and bins of its probability; `None` if the rows have too many numbers.
    pub grouped: Option<Grouped>,
    /// Forms in bins of equal width: of the second of two classes, or of each class against the rest.
    pub binned: Vec<BinnedDecompositions>,
    /// Whether weights count rows, as corrections and standard errors in bins need.
    pub has_errors: bool,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    pub folds: Option<u32>,
    pub details: bool,
    /// Cross-fitted without being asked, if there are rows enough.
    pub compared: bool,
}

/// The parts of the rows held, settled on the scores of all rows.
pub(crate) fn finish(
    held: HeldRows,
    scores: &Scores,
    baseline: &Baseline,
    wanted: Wanted,
) -> Result<Option<ModelParts>, Error> {
    let Some(table) = held.finish() else { return Ok(None) };
    let settle = |parts: &Parts| {
        let bits = parts.parts.log.in_bits();
        let (score, uncertainty) = (scores.cross_entropy().value, baseline.cross_entropy().value);
        (
            bits.settled(score, uncertainty),
            parts.parts.squared.settled(scores.mse.value, baseline.mse.value),
        )
    };
    let parts = table.decompose();
    let (cross_entropy, mse) = settle(&parts);
    let by_default = (wanted.compared && table.units() >= FOLDS_ROWS).then_some(FOLDS);
    let cross_fitted = match wanted.folds {
        Some(folds) => {
            let parts = table.cross_fitted(folds).map_err(|_| {
                let rows = table.units();
                Error::new(format!("there are fewer rows ({rows}) than folds ({folds})"))
                    .with_hint("--folds needs at least a row a fold")
            })?;
            let (cross_entropy, mse) = settle(&parts);
            Some(CrossFitted { folds, cross_entropy, mse: Some(mse) })
        }
        None => by_default.and_then(|folds| {
            let recalibrated = table.cross_fitted_log_loss(folds).ok()?;
            let log = parts.parts.log;
            let honest = Decomposition {
                discrimination: log.uncertainty - recalibrated,
                miscalibration: log.score - recalibrated,
                ..log
            };
            let honest = Parts { parts: Decompositions { log: honest, ..parts.parts }, ..parts };
            Some(CrossFitted { folds, cross_entropy: settle(&honest).0, mse: None })
        }),
    };
    let has_errors = !scores.weights_are_importances && table.has_whole_weights();
    Ok(Some(ModelParts {
        rows: table.rows(),
        is_sample: table.is_sample(),
        cross_entropy,
        recalibration: parts.log,
        mse,
        recalibration_mse: parts.squared,
        cross_fitted,
        details: wanted.details.then(|| details(&table, has_errors)).flatten(),
        repairs: crate::detective::repairs(&table, scores, baseline),
    }))
}

fn details(table: &HeldTable, has_errors: bool) -> Option<Details> {
    let k = table.n_classes();
    let classes: Vec<_> =
        (0..k as u32).map(|class| table.class_against_rest(class)).collect::<Option<_>>()?;
    let binned = if k == 2 { &classes[1..] } else { &classes[..] };
    let binned = binned.iter().map(|rows| in_bins(rows, Binning::EqualWidth(BINS)).ok());
    Some(Details {
        one_vs_rest: classes.iter().map(corp).collect(),
        top_label: top_label(table)?,
        grouped: grouped(table),
        binned: binned.collect::<Option<_>>()?,
        has_errors,
    })
}

/// Each prediction once with its top class, the outcomes pooled.
fn top_label(table: &HeldTable) -> Option<Decompositions> {
    let mut p = vec![0.0; table.n_classes()];
    let (mut tops, mut outcomes, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..table.len() {
        table.probabilities_in(i, &mut p);
        let top = (1..p.len()).fold(0, |top, c| if p[c] > p[top] { c } else { top });
        for (class, weight) in table.outcomes(i) {
            tops.push(p[top]);
            outcomes.push(class as usize == top);
            weights.push(weight);
        }
    }
    let mut rows = BinaryRows::default();
    rows.add_probabilities(&tops, &outcomes, Some(&weights)).ok()?;
    Some(corp(&rows.sort().ok()?))
}

fn grouped(table: &HeldTable) -> Option<Grouped> {
    let k = table.n_classes();
    let cells: usize = (0..table.len()).map(|i| table.outcomes(i).count()).sum();
    if k < 2 || cells.saturating_mul(k) > GROUPED_NUMBERS {
        return None;
    }
    let mut p = vec![0.0; k];
    let (mut values, mut labels, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..table.len() {
        table.probabilities_in(i, &mut p);
        for (class, weight) in table.outcomes(i) {
            values.extend_from_slice(&p);
            labels.push(class);
            weights.push(weight);
        }
    }
    let matrix = Matrix::Rows { values: &values, width: k };
    let mut found = in_groups(matrix, &labels, Some(&weights), Grouping::TopClass(BINS)).ok()?;
    // Equal rows came as one.
    found.rows_per_group = table.rows() as f64 / found.groups as f64;
    Some(found)
}
