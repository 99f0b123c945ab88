//! The parts of a model's scores: uncertainty, discrimination and miscalibration.

use xent::calibration::binned::{Binning, decompose as in_bins};
use xent::calibration::decomposition::{Decomposition, Decompositions, corp};
use xent::calibration::held::HeldTable;
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
    /// The standard error that sampling gives discrimination and miscalibration of the cross entropy, bits; 0 if these are all rows, NaN if the
    /// cross entropy is infinite.
    pub se: f64,
    /// The same of the mean squared error.
    pub se_mse: f64,
    /// About how much miscalibration the fits show of predictions that have none, where these are a sample: of the cross entropy in bits, and of the
    /// mean squared error.
    pub by_chance: Option<[f64; 2]>,
    /// The same as `se` of the difference of discriminations from the first model compared.
    pub gap_se: f64,
    /// Whether some row's true class has probability 0 and the recalibration takes that for 2^-53: discrimination is at least as shown.
    pub has_zeros: bool,
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
    /// Threads: two are used if there are so many.
    pub threads: usize,
}

/// What samples of the same rows share.
pub(crate) struct Compared {
    /// Log loss of all rows less that of the sample, nats, of the first model of finite loss. All models are corrected by it, so that
    /// recalibrated losses differ as they do in the sample.
    excess: f64,
    /// That model's losses in the sample.
    losses: Option<Vec<f64>>,
    /// The recalibrated losses of the first model.
    recalibrated: Option<Vec<f64>>,
}

impl Compared {
    /// Of models with the log losses of all their rows, nats; `None` unless they are samples.
    pub(crate) fn new(tables: &[Option<HeldTable>], log_losses: &[f64]) -> Option<Self> {
        let first = tables.first()?.as_ref().filter(|table| table.is_sample())?;
        let excess = |(table, all): (&Option<HeldTable>, &f64)| {
            let excess = all - table.as_ref()?.log_loss();
            excess.is_finite().then(|| (excess, table.as_ref().map(HeldTable::log_loss_totals)))
        };
        let (excess, losses) =
            tables.iter().zip(log_losses).find_map(excess).unwrap_or((f64::NAN, None));
        Some(Self { excess, losses, recalibrated: first.recalibrated_totals() })
    }
}

/// The parts of all rows from those of a sample: what the sample says is the loss of the recalibrated predictions.
fn of_all(
    sample: Decomposition,
    score: f64,
    uncertainty: f64,
    excess: f64,
    honest: bool,
) -> Decomposition {
    let excess = [excess, score - sample.score, uncertainty - sample.uncertainty];
    let excess = excess.into_iter().find(|x| x.is_finite()).unwrap_or(0.0);
    let mut recalibrated = sample.uncertainty - sample.discrimination + excess;
    if !honest {
        recalibrated = recalibrated.min(score).min(uncertainty).max(0.0);
    }
    let (discrimination, miscalibration) = (uncertainty - recalibrated, score - recalibrated);
    Decomposition { score, uncertainty, discrimination, miscalibration }.settled(score, uncertainty)
}

/// The parts of the rows held, settled on the scores of all rows.
pub(crate) fn finish(
    table: &HeldTable,
    scores: &Scores,
    baseline: &Baseline,
    wanted: Wanted,
    compared: Option<&Compared>,
) -> Result<ModelParts, Error> {
    let excess = compared.map_or(f64::NAN, |c| c.excess / std::f64::consts::LN_2);
    let settle = |parts: &Parts, honest: bool| {
        let (bits, squared) = (parts.parts.log.in_bits(), parts.parts.squared);
        let (score, uncertainty) = (scores.cross_entropy().value, baseline.cross_entropy().value);
        let (mse, base_mse) = (scores.mse.value, baseline.mse.value);
        if table.is_sample() {
            (
                of_all(bits, score, uncertainty, excess, honest),
                of_all(squared, mse, base_mse, f64::NAN, honest),
            )
        } else {
            (bits.settled(score, uncertainty), squared.settled(mse, base_mse))
        }
    };
    let decompose = || {
        let parts = table.decompose();
        let by_chance = table.is_sample().then(|| table.by_chance(&parts).ok()).flatten();
        (parts, by_chance.map(|[log, squared]| [log / std::f64::consts::LN_2, squared]))
    };
    let beside = || {
        let errors = sampling_errors(table, scores.rows, compared);
        let share = table.rows() as f64 / scores.rows as f64;
        let won = || table.sampling_error(&table.squared_error_won_totals(), share);
        let se_mse = if table.is_sample() { won() } else { 0.0 };
        (errors, se_mse, crate::detective::repairs(table, scores, baseline))
    };
    let ((parts, by_chance), ((se, gap_se), se_mse, repairs)) =
        both(wanted.threads, decompose, beside);
    let (cross_entropy, mse) = settle(&parts, false);
    let is_scaling = !matches!(parts.log, Recalibration::Isotonic | Recalibration::OneVsRest);
    let by_default = (wanted.compared && table.units() >= FOLDS_ROWS).then_some(FOLDS);
    let cross_fitted = match wanted.folds {
        Some(folds) => {
            let parts = table.cross_fitted(folds).map_err(|_| {
                let rows = table.units();
                Error::new(format!("there are fewer rows ({rows}) than folds ({folds})"))
                    .with_hint("--folds needs at least a row a fold")
            })?;
            let (cross_entropy, mse) = settle(&parts, true);
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
            Some(CrossFitted { folds, cross_entropy: settle(&honest, true).0, mse: None })
        }),
    };
    let has_errors = !scores.weights_are_importances && table.has_whole_weights();
    Ok(ModelParts {
        rows: table.rows(),
        is_sample: table.is_sample(),
        se,
        gap_se,
        se_mse,
        by_chance,
        has_zeros: is_scaling && scores.infinite_rows > 0,
        cross_entropy,
        recalibration: parts.log,
        mse,
        recalibration_mse: parts.squared,
        cross_fitted,
        details: wanted.details.then(|| details(table, has_errors)).flatten(),
        repairs,
    })
}

/// Both results, found at the same time if there are threads for it.
fn both<A, B: Send>(
    threads: usize,
    one: impl FnOnce() -> A,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    if threads < 2 {
        return (one(), other());
    }
    std::thread::scope(|scope| {
        let other = scope.spawn(other);
        let one = one();
        (one, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Of the parts, and of the difference from the recalibrated losses of another model; bits.
fn sampling_errors(table: &HeldTable, rows: u64, compared: Option<&Compared>) -> (f64, f64) {
    if !table.is_sample() {
        return (0.0, 0.0);
    }
    let Some(recalibrated) = table.recalibrated_totals() else { return (0.0, 0.0) };
    let share = table.rows() as f64 / rows as f64;
    let error = |of: &Vec<f64>| {
        if of.len() != table.len() {
            return f64::NAN;
        }
        let less: Vec<f64> = of.iter().zip(&recalibrated).map(|(a, b)| a - b).collect();
        table.sampling_error(&less, share) / std::f64::consts::LN_2
    };
    let own = compared.is_none().then(|| table.log_loss_totals());
    let losses = own.as_ref().or_else(|| compared?.losses.as_ref());
    let reference = compared.and_then(|c| c.recalibrated.as_ref());
    (losses.map_or(f64::NAN, error), reference.map_or(f64::NAN, error))
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
