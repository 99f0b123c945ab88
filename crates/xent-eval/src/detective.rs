//! Mistakes that are made often and repaired easily: whether one of them explains why a table cannot be scored, or why its
//! score is worse than that of the class frequencies.
//!
//! What is found is told, with the loss that it would give, and never applied. When it speaks is decided in
//! [`xent::calibration::repair`].

use xent::calibration::held::HeldTable;
use xent::calibration::repair::{Mistake, Repair, find};
use xent::information::softmax;
use xent::rows::{Input, Rules, SUM_ERROR};
use xent::score::{Baseline, Scores};
use xent_io::Table;

use crate::classes::Classes;
use crate::error::Error;
use crate::roles::{Binding, ModelColumns, PredictionColumns, TargetColumns, canonical};
use crate::score::ModelScore;

/// The error of a scan, with a hint that names the repair and its loss where the first rows of the table show one.
pub(crate) fn explain(error: Error, table: &Table, binding: &Binding, rules: &Rules) -> Error {
    let text = error.to_string();
    let about = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let is_label = about(&["which is not a class"]);
    let is_number = about(&["not a probability", "the probabilities sum to"]);
    if !is_label && (!is_number || rules.input != Input::Probabilities) {
        return error;
    }
    let hint = binding.models.iter().enumerate().find_map(|(model, _)| {
        let sample = Sample::read(table, binding, model, rules.input)?;
        let found = find(&sample.values, sample.width, &sample.labels, None).ok()?;
        let wanted = |mistake: &Mistake| match mistake {
            Mistake::LabelsOff { .. } => is_label && sample.counts_classes,
            Mistake::Percent
            | Mistake::LogProbabilities { .. }
            | Mistake::NegativeLogProbabilities { .. }
            | Mistake::Logits => is_number,
            _ => false,
        };
        let repair = found.into_iter().find(|repair| wanted(&repair.mistake))?;
        Some(hint(&repair, sample.labels.len(), sample.width))
    });
    // Beside good rows the numbers of this one are no logits and no percentages, but wrong.
    let is_stray = is_number
        && text.contains("not a probability")
        && error.hint().is_some_and(|hint| hint.starts_with("for scores before a softmax"))
        && binding.models.iter().all(|model| {
            Numbers::read(table, model).is_some_and(|numbers| {
                let good = numbers.rows.iter().filter(|row| is_distribution(row)).count();
                2 * good > numbers.rows.len()
            })
        });
    match hint {
        Some(hint) => error.with_hint(hint),
        None if is_stray => error.with_hint(
            "other rows hold probabilities, numbers from 0 to 1: mend this one, or leave it out",
        ),
        None => error,
    }
}

/// Rows of one number that must all be from 0 to 1 before they look like probabilities: few logits may be so by chance.
const FEW: usize = 30;

/// The number of first rows of a model, if they are declared as logits and all look like probabilities.
pub(crate) fn probable_logits(
    table: &Table,
    binding: &Binding,
    model: usize,
    input: Input,
) -> Option<usize> {
    if input != Input::Logits {
        return None;
    }
    let numbers = Numbers::read(table, &binding.models[model])?;
    let known: Vec<&Vec<f64>> =
        numbers.rows.iter().filter(|row| !row.iter().any(|x| x.is_nan())).collect();
    let least = if numbers.width == 1 { FEW } else { 1 };
    (known.len() >= least && known.iter().all(|row| is_distribution(row))).then_some(known.len())
}

/// Whether numbers are from 0 to 1 and, if they are several, sum to 1 as rounded probabilities do.
fn is_distribution(row: &[f64]) -> bool {
    row.iter().all(|p| (0.0..=1.0).contains(p))
        && (row.len() == 1 || (row.iter().sum::<f64>() - 1.0).abs() <= SUM_ERROR)
}

/// The first rows of a model's predictions, as they are.
struct Numbers {
    rows: Vec<Vec<f64>>,
    width: usize,
}

impl Numbers {
    /// `None` if the columns do not hold numbers.
    fn read(table: &Table, model: &ModelColumns) -> Option<Self> {
        let sample = table.sample();
        let to_own = &model.to_own;
        let (rows, width) = match &model.columns {
            PredictionColumns::PerClass(columns) => {
                let numbers: Option<Vec<Vec<f64>>> =
                    columns.iter().map(|&c| sample.numbers(c)).collect();
                let numbers = numbers?;
                let row = |r: usize| numbers.iter().map(|column| column[r]).collect();
                ((0..sample.rows()).map(row).collect(), columns.len())
            }
            PredictionColumns::List(column) => {
                let (width, values) = sample.lists(*column)?;
                if width != to_own.len() {
                    return None;
                }
                let row = |row: &[f64]| to_own.iter().map(|&own| row[own as usize]).collect();
                (values.chunks(width).map(row).collect(), width)
            }
            PredictionColumns::Positive(column) => {
                (sample.numbers(*column)?.into_iter().map(|p| vec![p]).collect(), 1)
            }
        };
        Some(Self { rows, width })
    }
}

/// Numbers of predictions that are looked at; of more, a score is not explained.
const NUMBERS: usize = 1 << 23;

/// The repairs that would explain why a model scores worse than the class frequencies, the best first; mostly none.
pub(crate) fn repairs(table: &HeldTable, scores: &Scores, baseline: &Baseline) -> Vec<Repair> {
    let is_worse = scores.log_loss.value > baseline.log_loss.value;
    let k = table.n_classes();
    let cells: usize = (0..table.len()).map(|i| table.outcomes(i).count()).sum();
    if !is_worse || k < 2 || cells.saturating_mul(k) > NUMBERS {
        return Vec::new();
    }
    let mut p = vec![0.0; k];
    let (mut values, mut labels, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..table.len() {
        table.probabilities_in(i, &mut p);
        for (class, weight) in table.outcomes(i) {
            values.extend_from_slice(&p);
            labels.push(i64::from(class));
            weights.push(weight);
        }
    }
    find(&values, k, &labels, Some(&weights)).unwrap_or_default()
}

impl ModelScore {
    /// The repairs that would explain why the model scores worse than the class frequencies, the best first; mostly
    /// none. Nothing is repaired. Found on the rows that [`parts`](Self::parts) are of.
    pub fn repairs(&self) -> Vec<&Repair> {
        let fits = |repair: &&Repair| match repair.mistake {
            Mistake::LabelsOff { .. } => counts(&self.classes),
            _ => true,
        };
        self.parts.iter().flat_map(|parts| parts.repairs.iter().filter(fits)).collect()
    }
}

/// Whether the classes are consecutive whole numbers in their order, so that labels can be off by one.
pub(crate) fn counts(classes: &[String]) -> bool {
    let number = |name: &String| name.parse::<i64>().ok();
    classes
        .first()
        .and_then(number)
        .is_some_and(|first| (first..).zip(classes).all(|(n, class)| number(class) == Some(n)))
}

/// What to try.
fn hint(repair: &Repair, rows: usize, width: usize) -> String {
    let rows = match rows {
        1 => "the first row".to_owned(),
        n if n < 1000 => format!("the first {n} rows"),
        n => format!("the first {},{:03} rows", n / 1000, n % 1000),
    };
    let bits = repair.after / std::f64::consts::LN_2;
    let zeros = if repair.has_zeros { ", with 0 taken as 2^-53" } else { "" };
    let loss = format!("the cross entropy of {rows} is {bits:.3} bits{zeros}");
    match &repair.mistake {
        Mistake::Percent => {
            format!("these look like percentages: divide them by 100; read so, {loss}")
        }
        Mistake::LogProbabilities { base: 2.0 } => format!(
            "these look like logarithms to base 2: multiply them by ln 2 for --input log-probabilities; read so, {loss}"
        ),
        Mistake::LogProbabilities { base: 10.0 } => format!(
            "these look like logarithms to base 10: multiply them by ln 10 for --input log-probabilities; read so, {loss}"
        ),
        Mistake::LogProbabilities { .. } => format!(
            "these look like logarithms of probabilities: with --input log-probabilities {loss}"
        ),
        Mistake::NegativeLogProbabilities { base } => {
            let factor = match *base {
                2.0 => "multiply them by -ln 2",
                10.0 => "multiply them by -ln 10",
                _ => "change their sign",
            };
            let to_base = match *base {
                2.0 => " to base 2",
                10.0 => " to base 10",
                _ => "",
            };
            format!(
                "these look like negative logarithms of probabilities{to_base}: {factor} for --input log-probabilities; read so, {loss}"
            )
        }
        Mistake::LabelsOff { by } => format!(
            "the labels look off by one: with {} {loss}",
            if *by < 0 { "1 taken from each," } else { "1 added to each," }
        ),
        _ => {
            let map = if width == 1 { "sigmoid" } else { "softmax" };
            format!("these look like logits, scores before a {map}: with --input logits {loss}")
        }
    }
}

/// The first rows of a table, as they are.
struct Sample {
    /// Row after row: probabilities where the input is declared as another kind.
    values: Vec<f64>,
    width: usize,
    labels: Vec<i64>,
    /// Whether the classes are consecutive whole numbers in their order.
    counts_classes: bool,
}

impl Sample {
    /// The rows without missing values; `None` if targets are soft or the columns do not hold numbers.
    fn read(table: &Table, binding: &Binding, model: usize, input: Input) -> Option<Self> {
        let TargetColumns::Label(label) = binding.target else { return None };
        let to_own = &binding.models[model].to_own;
        let Numbers { rows, width } = Numbers::read(table, &binding.models[model])?;
        let number = |name: &str| name.parse::<i64>().ok();
        let first = number(&binding.classes[0]);
        let counts_classes = counts(&binding.classes);
        let classes = Classes::new(&binding.classes, binding.positions.as_deref());
        let class = |text: &str| -> Option<i64> {
            if let Some(class) = classes.find(text) {
                return Some(i64::from(class));
            }
            let first = first.filter(|_| counts_classes)?;
            number(&canonical(text))?.checked_sub(first)
        };
        let is_reversed = width == 1 && to_own.first() == Some(&1);
        let (mut values, mut labels) = (Vec::new(), Vec::new());
        for (row, text) in rows.into_iter().zip(table.sample().text(label)) {
            let Some(class) = text.as_deref().and_then(class) else { continue };
            if row.iter().any(|x| x.is_nan()) {
                continue;
            }
            values.extend(match input {
                Input::Probabilities => row,
                Input::LogProbabilities => row.iter().map(|x| x.exp()).collect(),
                Input::Logits if width == 1 => vec![xent::information::sigmoid(row[0])],
                Input::Logits => softmax(&row),
            });
            labels.push(if is_reversed { 1 - class } else { class });
        }
        Some(Self { values, width, labels, counts_classes: counts_classes && !is_reversed })
    }
}
