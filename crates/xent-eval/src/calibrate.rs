//! Calibrators fitted to prediction tables and applied to others.
//!
//! A fit holds the predictions in memory, 8 bytes a class and row. What it wins is said of its own rows, where it never
//! loses, and on request of rows that it has not seen: every row recalibrated by a fit to the other folds. Rows of equal predictions are
//! in one fold, by their place in an order of the predictions: no copy of a row is in the fit that predicts it, a whole weight is as good as
//! repeated rows, and no order of rows changes a bit.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use xent::calibration::CalibrationError;
use xent::calibration::recalibrate::{
    self as map, Method, Predictions as Numbers, cross_fitted, log_probabilities,
};
use xent::elementary::ln;
use xent::moments::{Difference, Estimate, Moments, PairMoments};
use xent::rows::{Input, Rules};
use xent::view::View;
use xent_io::{Batch, RowError, ScanOptions, Span, Table};

use crate::block::{Block, Missing, OwnedTarget, Scorer};
use crate::calibration::{hard_labels, present};
use crate::calibrator::{Calibrator, Fitted, method_name};
use crate::error::Error;
use crate::predictions::Predictions;
use crate::roles::{Binding, PredictionColumns, Roles, TargetColumns};
use crate::score::{ModelScore, Observer, Options, Progress, go_on, score};
use crate::source::Source;

/// The logarithm of 2^-53: what a probability of 0 is taken as.
const LEAST: f64 = -36.7368005696771;

/// A fit, and what it wins.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// The scores of the predictions as they are, and how the columns were read.
    pub score: ModelScore,
    /// The calibrator.
    pub calibrator: Calibrator,
    /// What it wins on rows that it has not seen, if that was asked for.
    pub cross_fitted: Option<CrossFittedGain>,
    /// Rows with a probability of 0, which the fit took as 2^-53.
    pub zeros: u64,
}

/// What recalibration wins on rows that the fit has not seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossFittedGain {
    /// Folds.
    pub folds: u32,
    /// What it wins.
    pub won: Won,
}

/// Mean log losses before and after recalibration of the same rows, nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Won {
    /// Before.
    pub before: Estimate,
    /// After.
    pub after: Estimate,
    /// Before minus after, paired: positive where recalibration helps. Infinite where only `before` is.
    pub gain: Difference,
}

/// Sums over rows before and after.
#[derive(Default)]
struct Paired {
    before: Moments,
    after: Moments,
    both: PairMoments,
    /// Rows with an infinite loss: before, after.
    infinite: [u64; 2],
}

impl Paired {
    fn add(&mut self, before: &[f64], after: &[f64], weights: Option<&[f64]>) {
        let is_there = |row: usize| weights.is_none_or(|w| w[row] > 0.0);
        let infinite = |losses: &[f64]| {
            losses.iter().enumerate().filter(|(row, x)| x.is_infinite() && is_there(*row)).count()
        };
        let infinite = [infinite(before), infinite(after)];
        // What has no weight may be infinite all the same.
        let finite = |losses: &[f64]| -> Vec<f64> {
            losses.iter().map(|x| if x.is_finite() { *x } else { 0.0 }).collect()
        };
        let (before, after) = (finite(before), finite(after));
        if infinite[0] == 0 {
            self.before.add(&before, weights);
        }
        if infinite[1] == 0 {
            self.after.add(&after, weights);
        }
        if infinite == [0, 0] {
            self.both.add(&before, &after, weights);
        }
        for (all, here) in self.infinite.iter_mut().zip(infinite) {
            *all += here as u64;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.before.merge(&other.before);
        self.after.merge(&other.after);
        self.both.merge(&other.both);
        for (all, more) in self.infinite.iter_mut().zip(other.infinite) {
            *all += more;
        }
    }

    fn finish(&self, level: f64) -> Won {
        let gain = match self.infinite {
            [0, 0] => self.both.difference(level),
            [before, after] => {
                let value = match (before > 0, after > 0) {
                    (true, false) => f64::INFINITY,
                    (false, true) => f64::NEG_INFINITY,
                    _ => f64::NAN,
                };
                let estimate = Estimate::without_error(value);
                Difference { estimate, p: f64::NAN, has_spread: true, skewness: f64::NAN }
            }
        };
        let mean = |moments: &Moments, infinite: u64| {
            if infinite > 0 { Estimate::without_error(f64::INFINITY) } else { moments.mean(level) }
        };
        let [before, after] = self.infinite;
        Won { before: mean(&self.before, before), after: mean(&self.after, after), gain }
    }
}

/// Fits a calibrator to the predictions of a table; with `folds` says what the method wins on rows that it has not seen.
///
/// The fit minimises the mean log loss ([`map::fit`]). A probability of 0 is taken as 2^-53, and counted.
///
/// # Errors
///
/// The first thing wrong with the table, in row order, with its place; soft targets; a method for two classes with
/// more; more folds than rows.
///
/// # Example
///
/// ```
/// use xent::calibration::recalibrate::Method;
/// use xent_eval::{Options, Source, calibrate};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("rain.csv");
/// # std::fs::write(&path, "p_rain,y\n0.9,rain\n0.9,rain\n0.9,rain\n0.9,dry\n")?;
/// let source = Source::open(path.to_str().unwrap(), &Default::default())?;
/// let found = calibrate(&source, &Options::default(), Method::Temperature, None, &mut ())?;
/// let fitted = &found.calibrator.fitted;
/// // What is said 9 to 1 happens 3 to 1: now that is said, and costs H(1/4).
/// assert!((fitted.after - 0.5623351446188083).abs() < 1e-12);
/// assert!(fitted.before > fitted.after);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn calibrate(
    source: &Source,
    options: &Options,
    method: Method,
    folds: Option<u32>,
    observer: &mut dyn Observer,
) -> Result<Calibration, Error> {
    let spec = source.table.spec();
    let mut held = Held { observer, source: spec, block: Block::default() };
    let mut scores = score(source, options, &mut held)?;
    let block = held.block;
    let (Some(score), Some(predictions)) = (scores.pop(), block.predictions.first()) else {
        return Err(Error::new(format!("{spec}: there are no predictions")));
    };
    let k = score.classes.len();
    if k > 2 && matches!(method, Method::Platt | Method::Beta) {
        return Err(Error::new(format!(
            "{spec}: there are {k} classes, and --method {} is for two",
            method_name(method)
        ))
        .with_hint("temperature, vector and isotonic are for any number of classes"));
    }
    let labels = hard_labels(&block, spec)?;
    let weights = block.weights.as_deref();
    let (numbers, zeros) = logits(predictions, weights);
    let error = |e: CalibrationError| Error::new(format!("{spec}: {e}"));
    let odd = |e: String| Error::new(format!("{spec}: {e}"));
    let fit = map::fit(method, Numbers::Logits(view(&numbers, k).map_err(odd)?), labels, weights);
    let fit = fit.map_err(error)?;
    let before = score.scores.log_loss.value;
    // The fit takes 0 as 2^-53; what wins on that alone, and not on the score, wins nothing.
    let is_identity = fit.calibrator == map::Calibrator::Identity || fit.after >= before;
    let calibrator = Calibrator {
        method,
        classes: score.classes.clone(),
        input: predictions.input(),
        map: if is_identity { map::Calibrator::Identity } else { fit.calibrator },
        fitted: Fitted {
            source: spec.to_owned(),
            rows: score.scores.rows,
            weight: score.scores.weight,
            before,
            // Of probabilities that do not quite sum to 1 the fit sees the quotients.
            after: if is_identity { before } else { fit.after },
        },
    };
    let folded = folds.map(|folds| {
        let n = labels.len();
        if folds as usize > n {
            return Err(Error::new(format!("{spec}: --folds {folds} of {n} rows"))
                .with_hint("a fold needs a row: use fewer folds"));
        }
        let order = by_contents(&numbers, k, labels, weights);
        let take = |values: &[f64]| -> Vec<f64> { order.iter().map(|&i| values[i]).collect() };
        let labels: Vec<u32> = order.iter().map(|&i| labels[i]).collect();
        let weights = weights.map(take);
        let rows = order.iter().flat_map(|&i| &numbers[i * k..(i + 1) * k]);
        let numbers: Vec<f64> = rows.copied().collect();
        let numbers = Numbers::Logits(view(&numbers, k).map_err(odd)?);
        let found = cross_fitted(method, numbers, &labels, weights.as_deref(), folds);
        let found = found.map_err(|e| match e {
            CalibrationError::Empty => Error::new(format!(
                "{spec}: --folds {folds} leaves nothing to fit to: one fold holds all rows of positive weight"
            ))
            .with_hint("rows of equal predictions are kept together: --folds needs several different predictions"),
            e => error(e),
        })?;
        let after: Vec<f64> = found
            .chunks_exact(k)
            .zip(&labels)
            .map(|(row, &label)| 0.0 - ln(row[label as usize]))
            .collect();
        let before = take(&block.scores[0].log_loss);
        let mut paired = Paired::default();
        paired.add(&before, &after, weights.as_deref());
        Ok(CrossFittedGain { folds, won: paired.finish(options.level) })
    });
    let cross_fitted = folded.transpose()?;
    Ok(Calibration { score, calibrator, cross_fitted, zeros })
}

fn view(values: &[f64], k: usize) -> Result<View<'_, f64>, String> {
    View::rows_of(values, k).map_err(|e| e.to_string())
}

/// Logits, or logarithms of probabilities; and the rows in which a probability of 0 was taken as 2^-53.
fn logits(predictions: &Predictions, weights: Option<&[f64]>) -> (Vec<f64>, u64) {
    let mut values = predictions.values().into_owned();
    let k = predictions.width().max(1);
    let is_zero = |x: &f64| match predictions.input() {
        Input::Probabilities => *x == 0.0,
        Input::LogProbabilities => *x < LEAST,
        Input::Logits => false,
    };
    let rows = values.chunks_exact(k).enumerate();
    let present = |row: usize| weights.is_none_or(|w| w[row] > 0.0);
    let zeros = rows.filter(|(row, x)| present(*row) && x.iter().any(is_zero)).count() as u64;
    match predictions.input() {
        // Checked when they were scored.
        Input::Probabilities => values = log_probabilities(&values, k).unwrap_or(values),
        Input::LogProbabilities => values.iter_mut().for_each(|x| *x = x.max(LEAST)),
        Input::Logits => {}
    }
    (values, zeros)
}

/// The rows in an order that does not depend on theirs.
fn by_contents(numbers: &[f64], k: usize, labels: &[u32], weights: Option<&[f64]>) -> Vec<usize> {
    let row = |i: usize| &numbers[i * k..(i + 1) * k];
    let weight = |i: usize| weights.map_or(1.0, |w| w[i]);
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|&a, &b| {
        let pairs = row(a).iter().zip(row(b));
        let first = pairs.map(|(x, y)| x.total_cmp(y)).find(|o| *o != Ordering::Equal);
        first
            .unwrap_or(Ordering::Equal)
            .then_with(|| labels[a].cmp(&labels[b]))
            .then_with(|| weight(a).total_cmp(&weight(b)))
    });
    order
}

/// Holds the rows of a scan.
struct Held<'a> {
    observer: &'a mut dyn Observer,
    source: &'a str,
    block: Block,
}

impl Observer for Held<'_> {
    fn progress(&mut self, progress: &Progress) -> ControlFlow<()> {
        self.observer.progress(progress)
    }

    fn wants_rows(&self) -> bool {
        true
    }

    fn rows(&mut self, _: &Binding, _: u64, block: &Block) -> Result<(), Error> {
        let block = present(block);
        hard_labels(&block, self.source)?;
        self.block.append(block.into_owned());
        Ok(())
    }
}

/// How a calibrator is applied.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// What the columns are; a label need not be there.
    pub roles: Roles,
    /// How rows are read.
    pub rules: Rules,
    /// Rows with missing values.
    pub missing: Missing,
    /// Level of the interval of what is won.
    pub level: f64,
    /// Threads; no result depends on them.
    pub threads: usize,
    /// Rows a batch, for tests; no result depends on it.
    pub batch_rows: Option<usize>,
}

/// Recalibrated predictions of consecutive rows.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// The identity of each row, if its column is named.
    pub ids: Option<Vec<String>>,
    /// The true class of each row, if the table has it.
    pub labels: Option<Vec<u32>>,
    /// Soft targets, one column a class, if the table has them.
    pub targets: Vec<Vec<f64>>,
    /// The weights, if their column is named.
    pub weights: Option<Vec<f64>>,
    /// One column a class.
    pub proba: Vec<Vec<f64>>,
}

/// A calibrator bound to the columns of a table.
pub struct Applier<'a> {
    calibrator: &'a Calibrator,
    table: &'a Table,
    options: &'a ApplyOptions,
    scorer: Scorer,
}

impl<'a> Applier<'a> {
    /// Finds the predictions of the calibrator's classes in a table, by their names.
    ///
    /// # Errors
    ///
    /// There are no predictions, or not of the same classes; or logits, and a calibrator of probabilities that is no
    /// function of their softmax.
    pub fn new(
        calibrator: &'a Calibrator,
        table: &'a Table,
        options: &'a ApplyOptions,
    ) -> Result<Self, Error> {
        let mut binding = options.roles.bind_unlabelled(table)?;
        if let ([model], [negative, positive]) = (&binding.models[..], &mut binding.classes[..])
            && matches!(model.columns, PredictionColumns::Positive(_))
            && binding.target == TargetColumns::Absent
            && let [first, second] = &calibrator.classes[..]
        {
            // Without labels nothing but the calibrator names the other class.
            if positive == second {
                negative.clone_from(first);
            } else if positive == first {
                negative.clone_from(second);
            }
        }
        let is_logits = |input: Input| input == Input::Logits;
        if matches!(calibrator.map, map::Calibrator::Vector { .. })
            && is_logits(calibrator.input) != is_logits(options.rules.input)
        {
            return Err(Error::new(format!(
                "{}: the calibrator was fitted to {}, and these are {}",
                table.spec(),
                calibrator.input.name(),
                options.rules.input.name()
            ))
            .with_hint(
                "vector scaling needs what it was fitted to: say --input, or fit another method",
            ));
        }
        let (rules, missing) = (&options.rules, options.missing);
        let scorer = Scorer::new(table, binding, &calibrator.classes, rules, missing)?;
        Ok(Self { calibrator, table, options, scorer: scorer.with_predictions() })
    }

    /// Whether the table has the class of each row.
    pub fn has_label(&self) -> bool {
        matches!(self.scorer.binding().target, TargetColumns::Label(_))
    }

    /// Whether the table has soft targets.
    pub fn has_targets(&self) -> bool {
        matches!(
            self.scorer.binding().target,
            TargetColumns::PerClass(_) | TargetColumns::List { .. }
        )
    }

    /// Recalibrates all rows, and gives them to `each` in their order.
    ///
    /// # Errors
    ///
    /// The first thing wrong with the table, in row order; whatever `each` refuses.
    pub fn run(
        &self,
        observer: &mut dyn Observer,
        mut each: impl FnMut(Applied) -> Result<(), Error>,
    ) -> Result<ApplySummary, Error> {
        let scan = ScanOptions {
            threads: self.options.threads,
            batch_rows: self.options.batch_rows,
            backlog: None,
        };
        let mut paired = Paired::default();
        let mut summary = ApplySummary::default();
        let mut progress = Progress::default();
        let map = |batch: &Batch| self.batch(batch);
        self.table.scan(self.scorer.requests(), &scan, map, |done: Done, span: Span| {
            progress.rows += span.rows as u64;
            progress.bytes = span.bytes_read;
            progress.cross_entropy = f64::NAN;
            go_on(observer.progress(&progress))?;
            summary.rows += done.applied.proba.first().map_or(0, Vec::len) as u64;
            summary.dropped += done.dropped;
            summary.zeros += done.zeros;
            paired.merge(&done.paired);
            each(done.applied)
        })?;
        if self.has_label() && summary.rows > 0 {
            summary.won = Some(paired.finish(self.options.level));
        }
        Ok(summary)
    }

    fn batch(&self, batch: &Batch) -> Result<Done, RowError> {
        let block = self.scorer.block(batch)?;
        let all = block.rows;
        let block = present(&block);
        let k = self.calibrator.classes.len();
        let mut done = Done { dropped: (all - block.rows) as u64, ..Done::default() };
        let Some(predictions) = block.predictions.first() else { return Ok(done) };
        let weights = block.weights.as_deref();
        let as_they_are = self.calibrator.map == map::Calibrator::Identity
            && predictions.input() == Input::Probabilities;
        let values = if as_they_are {
            predictions.values().into_owned()
        } else {
            let (numbers, zeros) = logits(predictions, None);
            done.zeros = zeros;
            let fault = |message: String| RowError { row: 0, column: None, message, hint: None };
            let numbers = Numbers::Logits(view(&numbers, k).map_err(fault)?);
            self.calibrator.map.apply(numbers).map_err(|e| fault(e.to_string()))?
        };
        let applied = &mut done.applied;
        applied.proba =
            (0..k).map(|c| values.iter().skip(c).step_by(k).copied().collect()).collect();
        applied.ids.clone_from(&block.ids);
        applied.weights.clone_from(&block.weights);
        let is_soft = matches!(
            self.scorer.binding().target,
            TargetColumns::PerClass(_) | TargetColumns::List { .. }
        );
        match &block.target {
            OwnedTarget::Classes(labels) if is_soft => {
                let is =
                    |c: usize| labels.iter().map(move |&l| f64::from(u8::from(l as usize == c)));
                applied.targets = (0..k).map(|c| is(c).collect()).collect();
            }
            OwnedTarget::Distributions { values, width } => {
                let column = |c: usize| values.iter().skip(c).step_by(*width).copied().collect();
                applied.targets = (0..*width).map(column).collect();
            }
            OwnedTarget::Classes(labels) if self.has_label() => {
                let loss =
                    |(row, &label): (usize, &u32)| 0.0 - ln(values[row * k + label as usize]);
                let after: Vec<f64> = labels.iter().enumerate().map(loss).collect();
                done.paired.add(&block.scores[0].log_loss, &after, weights);
                applied.labels = Some(labels.clone());
            }
            OwnedTarget::Classes(_) => {}
        }
        Ok(done)
    }
}

/// What a worker passes on about a batch.
#[derive(Default)]
struct Done {
    applied: Applied,
    paired: Paired,
    dropped: u64,
    zeros: u64,
}

/// What became of a table.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApplySummary {
    /// Rows written.
    pub rows: u64,
    /// Rows left out for missing values.
    pub dropped: u64,
    /// Rows with a probability of 0, which was taken as 2^-53.
    pub zeros: u64,
    /// What recalibration won, where the table says what was true.
    pub won: Option<Won>,
}
