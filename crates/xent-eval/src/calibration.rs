//! How well calibrated the models of a table are: reliability, tests, calibration errors by name.
//!
//! Every quantity is about a question with two answers: does the class happen ([`Question::Class`]), or does the class of the
//! largest probability happen ([`Question::TopLabel`])? The rows of each question are kept as eight bytes each
//! ([`xent::calibration::rows`]), so memory is 8 (n_classes + 1) bytes a row, 16 with weights, and no order of rows,
//! threads or batches changes a bit of a result.

use std::borrow::Cow;
use std::ops::ControlFlow;

use xent::calibration::CalibrationError;
use xent::calibration::binned::{Bin, Binning, bins};
use xent::calibration::decomposition::{Decompositions, corp};
use xent::calibration::errors::{
    Norm, SweepError, binned_error, class_wise, debiased_error, sweep_error,
};
use xent::calibration::isotonic::Block as Step;
use xent::calibration::reliability::{
    BandPoint, Line, MiscalibrationTest, Resampling, spiegelhalter, table, test_and_band,
};
use xent::calibration::rows::{BinaryRows, SortedRows};
use xent::calibration::smooth::{SmoothError, smooth_error};
use xent::elementary::exp;
use xent::rows::Input;
use xent::special::wilson_interval;

use crate::block::{Block, OwnedTarget};
use crate::error::Error;
use crate::predictions::Predictions;
use crate::roles::{Binding, canonical, short};
use crate::score::{ModelScore, Observer, Options, Progress, score};
use crate::source::Source;

/// Resamples where nothing is said, and the fewest that rows without number get.
const RESAMPLES: [f64; 2] = [999.0, 99.0];
/// Rows drawn in all resamples together, about.
const DRAWN: f64 = 1e7;
/// Bins of the histogram.
const HISTOGRAM: usize = 40;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// This class against the rest.
    Class(u32),
    /// Whether the class of the largest probability (the first of equal ones) is the true one.
    TopLabel,
}

/// The lines of a reliability table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lines {
    /// Bins of as nearly equal weight as ties allow.
    #[default]
    EqualMass,
    /// Bins of equal width.
    EqualWidth,
    /// The blocks of the isotonic fit.
    Isotonic,
}

/// How calibration is measured.
#[derive(Clone, Debug)]
pub struct CalibrationOptions {
    /// The class; by default the positive one of two, and the top label of more.
    pub class: Option<String>,
    /// Bins of the table and of the errors.
    pub bins: usize,
    /// The table's lines.
    pub lines: Lines,
    /// Resamples of the test and of the band; `None`: 999, and fewer from 10,000 rows on, down to 99.
    pub resamples: Option<u32>,
    /// Their seed.
    pub seed: u64,
}

impl Default for CalibrationOptions {
    fn default() -> Self {
        Self { class: None, bins: 10, lines: Lines::default(), resamples: None, seed: 1 }
    }
}

/// Calibration errors in one kind of bins, all 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinnedErrors {
    /// `sum_k n_k/n |ȳ_k - p̄_k|`.
    pub ece: f64,
    /// The root of `sum_k n_k/n (ȳ_k - p̄_k)^2`.
    pub rms: f64,
    /// The same without the bias of the bins' noise; NaN where no bin has two rows.
    pub rms_debiased: f64,
    /// `max_k |ȳ_k - p̄_k|`.
    pub maximum: f64,
}

impl BinnedErrors {
    fn of(rows: &SortedRows, binning: Binning) -> Result<Self, CalibrationError> {
        Ok(Self {
            ece: binned_error(rows, binning, Norm::Absolute)?,
            rms: binned_error(rows, binning, Norm::RootMeanSquare)?,
            rms_debiased: debiased_error(rows, binning)?,
            maximum: binned_error(rows, binning, Norm::Maximum)?,
        })
    }
}

/// The calibration errors of a question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Errors {
    /// In bins of equal width.
    pub width: BinnedErrors,
    /// In bins of equal mass.
    pub mass: BinnedErrors,
    /// The expected calibration error in as many bins of equal mass as keep the frequencies rising.
    pub sweep: SweepError,
}

impl Errors {
    fn of(rows: &SortedRows, bins: usize) -> Result<Self, CalibrationError> {
        Ok(Self {
            width: BinnedErrors::of(rows, Binning::EqualWidth(bins))?,
            mass: BinnedErrors::of(rows, Binning::EqualMass(bins))?,
            sweep: sweep_error(rows, Norm::Absolute),
        })
    }
}

/// One class against the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassCalibration {
    /// The class.
    pub class: u32,
    /// How often it happens.
    pub frequency: f64,
    /// Its mean probability.
    pub prediction: f64,
    /// Its errors.
    pub errors: Errors,
}

/// The calibration of one model.
#[derive(Clone, Debug)]
pub struct ModelCalibration {
    /// Its scores, and how the columns were read.
    pub score: ModelScore,
    /// What table, curve, parts, tests and `errors` are about.
    pub question: Question,
    /// How often it happens.
    pub frequency: f64,
    /// Its mean probability.
    pub prediction: f64,
    /// The reliability table.
    pub table: Vec<Line>,
    /// The isotonic fit: the curve.
    pub curve: Vec<Step>,
    /// Where the curve of a calibrated model would lie; empty without resamples.
    pub band: Vec<BandPoint>,
    /// How often each probability is said, in bins of equal width up to [`Self::reach`].
    pub histogram: Vec<Bin>,
    /// The parts of the scores of the question, nats.
    pub parts: Decompositions,
    /// The test by resampling, if there are resamples.
    pub test: Option<MiscalibrationTest>,
    /// The resamples.
    pub resampling: Resampling,
    /// Spiegelhalter's z and its p-value; NaN where every prediction is 0, 1/2 or 1.
    pub spiegelhalter: [f64; 2],
    /// The question's errors.
    pub errors: Errors,
    /// The question's smooth error.
    pub smooth: SmoothError,
    /// Errors of the top label.
    pub top_label: Errors,
    /// Errors of every class.
    pub classes: Vec<ClassCalibration>,
}

impl ModelCalibration {
    /// `ece(class=NAME)` without its first word: `class=NAME`, or `top-label`.
    pub fn question_name(&self) -> String {
        match self.question {
            Question::TopLabel => "top-label".to_owned(),
            Question::Class(class) => format!("class={}", self.score.classes[class as usize]),
        }
    }

    /// The mean over the classes of an error.
    pub fn class_wise(&self, of: impl Fn(&Errors) -> f64) -> f64 {
        let errors: Vec<f64> = self.classes.iter().map(|class| of(&class.errors)).collect();
        class_wise(&errors, Norm::Absolute)
    }

    /// What the axes of a diagram span: 1, or less where nothing as large as a half is said or happens.
    pub fn reach(&self) -> f64 {
        let said = self.curve.iter().map(|step| step.highest.positive.max(step.frequency()));
        let largest = said.chain(self.table.iter().map(|line| line.bin.frequency()));
        let largest = largest.fold(0.0, f64::max);
        if largest <= 0.5 { (largest * 20.0).ceil().max(1.0) / 20.0 } else { 1.0 }
    }
}

/// Measures the calibration of every model of a table.
///
/// # Errors
///
/// The first thing wrong with the table, in row order, with its place; soft targets; a class that is none.
///
/// # Example
///
/// ```
/// use xent_eval::{CalibrationOptions, Options, Source, calibration};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("rain.csv");
/// # std::fs::write(&path, "p_rain,y\n0.75,rain\n0.75,rain\n0.75,dry\n0.75,dry\n")?;
/// let source = Source::open(path.to_str().unwrap(), &Default::default())?;
/// let found = calibration(&source, &Options::default(), &CalibrationOptions::default(), &mut ())?;
/// assert_eq!(found[0].question_name(), "class=rain");
/// assert_eq!(found[0].errors.width.ece, 0.25);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn calibration(
    source: &Source,
    options: &Options,
    measure: &CalibrationOptions,
    observer: &mut dyn Observer,
) -> Result<Vec<ModelCalibration>, Error> {
    let mut collect = Collect {
        observer,
        source: source.table.spec(),
        questions: Vec::new(),
        pairs: Vec::new(),
        outcomes: Vec::new(),
    };
    let scores = score(source, options, &mut collect)?;
    let questions = collect.questions;
    let mut found = Vec::new();
    for (score, rows) in scores.into_iter().zip(questions) {
        let question = question(&score, measure.class.as_deref())?;
        let measured = measured(score, rows, question, options.level, measure);
        found.push(measured.map_err(|e| Error::new(format!("{}: {e}", source.table.spec())))?);
    }
    Ok(found)
}

/// The question that is asked of a model.
fn question(score: &ModelScore, class: Option<&str>) -> Result<Question, Error> {
    let classes = &score.classes;
    match class {
        Some(name) => {
            let place = classes.iter().position(|c| c == name || *c == canonical(name));
            let place = place.ok_or_else(|| {
                Error::new(format!("{}: there is no class {name}", score.source))
                    .with_hint(format!("the classes are {}", short(classes)))
            })?;
            Ok(Question::Class(place as u32))
        }
        None if classes.len() == 2 => Ok(Question::Class(1)),
        None => Ok(Question::TopLabel),
    }
}

fn measured(
    score: ModelScore,
    questions: Vec<BinaryRows>,
    question: Question,
    level: f64,
    measure: &CalibrationOptions,
) -> Result<ModelCalibration, CalibrationError> {
    let k = score.classes.len();
    let asked = match question {
        Question::Class(class) => class as usize,
        Question::TopLabel => k,
    };
    let (mut classes, mut top, mut own) = (Vec::new(), None, None);
    for (i, rows) in questions.into_iter().enumerate() {
        // One after another, so that no more than one sorted copy is held beside the question's own.
        let rows = rows.sort()?;
        let errors = Errors::of(&rows, measure.bins)?;
        if i < k {
            let (frequency, prediction) = means(&rows)?;
            classes.push(ClassCalibration { class: i as u32, frequency, prediction, errors });
        } else {
            top = Some(errors);
        }
        if i == asked {
            own = Some((rows, errors));
        }
    }
    let ((rows, errors), top_label) = own.zip(top).ok_or(CalibrationError::Empty)?;
    let n = if rows.is_fractional() { rows.len() as f64 } else { rows.weight() };
    let resamples =
        measure.resamples.unwrap_or_else(|| (DRAWN / n).clamp(RESAMPLES[1], RESAMPLES[0]) as u32);
    let resampling = Resampling { resamples, seed: measure.seed };
    let (test, band) = if resamples == 0 {
        (None, Vec::new())
    } else {
        let (test, band) = test_and_band(&rows, level, resampling)?;
        (Some(test), band)
    };
    let curve = rows.isotonic();
    let table = match measure.lines {
        Lines::EqualMass => table(&rows, Binning::EqualMass(measure.bins), level)?,
        Lines::EqualWidth => table(&rows, Binning::EqualWidth(measure.bins), level)?,
        Lines::Isotonic => blocks(&rows, &curve, level),
    };
    let (frequency, prediction) = means(&rows)?;
    let mut found = ModelCalibration {
        score,
        question,
        frequency,
        prediction,
        table,
        curve,
        band,
        histogram: Vec::new(),
        parts: test.map_or_else(|| corp(&rows), |test| test.parts),
        test,
        resampling,
        spiegelhalter: spiegelhalter(&rows),
        errors,
        smooth: smooth_error(&rows),
        top_label,
        classes,
    };
    let width = (HISTOGRAM as f64 / found.reach()).round() as usize;
    found.histogram = bins(&rows, Binning::EqualWidth(width))?;
    Ok(found)
}

/// Frequency and mean prediction.
fn means(rows: &SortedRows) -> Result<(f64, f64), CalibrationError> {
    let all = bins(rows, Binning::EqualMass(1))?;
    Ok(all.first().map_or((f64::NAN, f64::NAN), |bin| (bin.frequency(), bin.prediction)))
}

/// The blocks of the isotonic fit as lines of a table.
fn blocks(rows: &SortedRows, steps: &[Step], level: f64) -> Vec<Line> {
    let mut groups = rows.groups();
    let mut line = |(index, step): (usize, &Step)| {
        let (mut said, mut unsaid, mut squares, mut left) = (0.0, 0.0, 0.0, step.rows.len());
        while left > 0
            && let Some(group) = groups.next()
        {
            said += group.weight() * group.prediction.positive;
            unsaid += group.weight() * group.prediction.negative;
            squares += group.squares;
            left -= group.rows;
        }
        let weight = step.weight();
        let bin = Bin {
            index,
            lower: step.lowest.positive,
            upper: step.highest.positive,
            negative: step.negative,
            positive: step.positive,
            effective: rows.effective(step.weight(), squares),
            prediction: said / weight,
            complement: unsaid / weight,
            difference: said / weight - step.frequency(),
        };
        let (low, high) = wilson_interval(bin.frequency() * bin.effective, bin.effective, level);
        Line { bin, interval: [low, high] }
    };
    steps.iter().enumerate().map(&mut line).collect()
}

/// Takes the rows of a scan apart into those of each model's questions.
struct Collect<'a> {
    observer: &'a mut dyn Observer,
    source: &'a str,
    /// Of each model: every class, then the top label.
    questions: Vec<Vec<BinaryRows>>,
    /// Of each question the probabilities of both answers, in a batch.
    pairs: Vec<[Vec<f64>; 2]>,
    outcomes: Vec<bool>,
}

impl Observer for Collect<'_> {
    fn progress(&mut self, progress: &Progress) -> ControlFlow<()> {
        self.observer.progress(progress)
    }

    fn wants_rows(&self) -> bool {
        true
    }

    fn rows(&mut self, _: &Binding, _: u64, block: &Block) -> Result<(), Error> {
        let block = present(block);
        let labels = hard_labels(&block, self.source)?;
        let error = |e: CalibrationError| Error::new(format!("{}: {e}", self.source));
        let weights = block.weights.as_deref();
        self.questions.resize_with(block.predictions.len(), Vec::new);
        for (predictions, questions) in block.predictions.iter().zip(&mut self.questions) {
            let k = predictions.width();
            questions.resize_with(k + 1, BinaryRows::default);
            self.pairs.resize_with(k + 1, Default::default);
            self.pairs.iter_mut().flatten().for_each(Vec::clear);
            let tops = pairs(predictions, &mut self.pairs);
            for (i, (rows, [negative, positive])) in
                questions.iter_mut().zip(&self.pairs).enumerate()
            {
                self.outcomes.clear();
                self.outcomes.extend(
                    labels
                        .iter()
                        .zip(&tops)
                        .map(|(&label, &top)| label == if i < k { i as u32 } else { top }),
                );
                rows.add_pairs(negative, positive, &self.outcomes, weights).map_err(error)?;
            }
        }
        Ok(())
    }
}

/// The rows that are not left out.
pub(crate) fn present(block: &Block) -> Cow<'_, Block> {
    match block.present() {
        Some(rows) => Cow::Owned(block.take(&rows)),
        None => Cow::Borrowed(block),
    }
}

/// The true classes; targets that are shared among classes have none.
pub(crate) fn hard_labels<'a>(block: &'a Block, source: &str) -> Result<&'a [u32], Error> {
    match &block.target {
        OwnedTarget::Classes(labels) => Ok(labels),
        OwnedTarget::Distributions { .. } => Err(Error::new(format!(
            "{source}: the targets are soft, and calibration is about what happened"
        ))
        .with_hint("name a column with one class a row: --label COL")),
    }
}

/// The probabilities of both answers to each class's question, and to that of the top label; the top labels.
///
/// Of the largest probability the complement is the sum of the others, so that it keeps its digits near 1.
fn pairs(predictions: &Predictions, out: &mut [[Vec<f64>; 2]]) -> Vec<u32> {
    let k = predictions.width();
    let mut row = vec![0.0; k];
    let mut tops = Vec::with_capacity(predictions.rows());
    for i in 0..predictions.rows() {
        predictions.row_in(i, &mut row);
        let top = (1..k).fold(0, |top, c| if row[c] > row[top] { c } else { top });
        let (max, input) = (row[top], predictions.input());
        for x in &mut row {
            *x = match input {
                Input::Probabilities => *x,
                Input::LogProbabilities => exp(*x).min(1.0),
                Input::Logits if *x == max => 1.0,
                Input::Logits => exp(*x - max),
            };
        }
        let others: f64 = (0..k).filter(|c| *c != top).map(|c| row[c]).sum();
        let scale = if input == Input::Logits { row[top] + others } else { 1.0 };
        let mut push = |question: usize, negative: f64, positive: f64| {
            out[question][0].push(negative);
            out[question][1].push(positive);
        };
        for (c, x) in row.iter().enumerate() {
            let p = x / scale;
            // Of two classes both are said, and so is a sum of others but for what was rounded.
            let is_top = c == top && (k == 2 || input != Input::Probabilities);
            let negative = if is_top { (others / scale).min(1.0) } else { 1.0 - p };
            push(c, negative, p);
            if c == top {
                push(k, negative, p);
            }
        }
        tops.push(top as u32);
    }
    tops
}

#[cfg(test)]
#[path = "calibration_tests.rs"]
mod tests;
