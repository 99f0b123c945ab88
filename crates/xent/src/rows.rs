//! Per-row losses: predictions and targets in, one loss of each kind a row out.
//!
//! This is the only place where predictions are looked at. Everything else (moments, slices,
//! comparisons) works on the per-row losses in [`RowScores`], so that there is one definition of
//! each. The common case, probabilities and one class a row, runs eight rows at a time
//! (module `kernel`); everything that changes a row first (clipping, normalising, smoothing) or
//! comes as logits goes through the general path here, one row at a time.

use std::collections::HashMap;

use thiserror::Error;

use crate::checks::largest_label;
use crate::cross_entropy::scores;
use crate::element::Element;
use crate::elementary::ln;
use crate::kernel;
use crate::view::View;

mod predictions;

pub use predictions::predictions_in;

/// Predictions of `n_classes` numbers a row: a checked shape over borrowed memory.
#[derive(Clone, Copy, Debug)]
pub enum Matrix<'a> {
    /// One slice a class (Arrow's layout), all of one length.
    Columns(&'a [&'a [f64]]),
    /// Row-major, `values.len() / width` rows (NumPy's layout).
    Rows {
        /// The numbers, row after row.
        values: &'a [f64],
        /// Numbers a row.
        width: usize,
    },
    /// The probability of the second of two classes; the first has the rest.
    ///
    /// The loss of the first class is then `-ln_1p(-p)`, right down to p = 1e-300, where
    /// `-ln(1 - p)` would be 0.
    Positive(&'a [f64]),
}

impl Matrix<'_> {
    /// Number of rows.
    pub fn n_samples(&self) -> usize {
        match self {
            Self::Columns(columns) => columns.first().map_or(0, |c| c.len()),
            Self::Rows { values, width } => values.len() / (*width).max(1),
            Self::Positive(p) => p.len(),
        }
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        match self {
            Self::Columns(columns) => columns.len(),
            Self::Rows { width, .. } => *width,
            Self::Positive(_) => 2,
        }
    }

    /// Copies one row into `out`, which has [`n_classes`](Self::n_classes) elements.
    fn row_in(&self, row: usize, out: &mut [f64]) {
        match self {
            Self::Columns(columns) => {
                for (slot, column) in out.iter_mut().zip(*columns) {
                    *slot = column[row];
                }
            }
            Self::Rows { values, width } => {
                out.copy_from_slice(&values[row * width..(row + 1) * width]);
            }
            Self::Positive(p) => out.copy_from_slice(&[1.0 - p[row], p[row]]),
        }
    }

    /// One number.
    pub fn get(&self, row: usize, class: usize) -> f64 {
        match self {
            Self::Columns(columns) => columns[class][row],
            Self::Rows { values, width } => values[row * width + class],
            Self::Positive(p) if class == 1 => p[row],
            Self::Positive(p) => 1.0 - p[row],
        }
    }
}

/// What was true.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// Index of the true class, a row each.
    Classes(&'a [u32]),
    /// A distribution over the classes, a row each (soft labels).
    Distributions(Matrix<'a>),
}

impl Target<'_> {
    fn n_samples(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Distributions(matrix) => matrix.n_samples(),
        }
    }
}

/// What the predicted numbers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// Probabilities, in [0, 1].
    #[default]
    Probabilities,
    /// Natural logarithms of probabilities, at most 0.
    LogProbabilities,
    /// Scores before a softmax; for [`Matrix::Positive`], before a sigmoid.
    Logits,
}

impl Input {
    /// The name people use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probabilities => "probabilities",
            Self::LogProbabilities => "log-probabilities",
            Self::Logits => "logits",
        }
    }
}

/// What happens to a row whose probabilities do not sum to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sums {
    /// More than [`SUM_ERROR`] away is an error; more than [`SUM_NOTE`] away is counted.
    #[default]
    Strict,
    /// Every row is divided by its sum; rows that were more than [`SUM_NOTE`] away are counted.
    Normalize,
    /// Scored as given, whatever the sum; rows more than [`SUM_NOTE`] away are counted.
    AsIs,
}

/// A row sum further than this from 1 is an error under [`Sums::Strict`].
pub const SUM_ERROR: f64 = 0.01;
/// A row sum further than this from 1 is counted: files rounded to a few decimals.
pub const SUM_NOTE: f64 = 1e-6;

/// Whether a sum is further from 1 than `distance`, which is meant in decimals: 0.33 + 0.33 + 0.33 is
/// 0.01 away, although the sum of those f64 is a little more.
#[inline(always)]
pub(crate) fn is_far(sum: f64, distance: f64) -> bool {
    (sum - 1.0).abs() > distance + SUM_DECIMALS
}

/// See [`is_far`].
pub(crate) const SUM_DECIMALS: f64 = 1e-12;

/// How rows are scored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// What the predicted numbers are.
    pub input: Input,
    /// What happens to rows that do not sum to 1.
    pub sums: Sums,
    /// Probabilities below this are raised to it and the row is divided by its new sum; 0 for none.
    pub clip: f64,
    /// Targets become `(1 - e) t + e / n_classes`; 0 for none.
    pub label_smoothing: f64,
    /// The `k` of each top-k error wanted.
    pub top_k: Vec<u32>,
}

impl Rules {
    /// Whether rows are scored as their numbers stand: neither divided by their sums nor clipped.
    pub fn are_numbers_kept(&self) -> bool {
        self.clip == 0.0 && (self.sums != Sums::Normalize || self.input == Input::Logits)
    }
}

/// Why a row cannot be scored.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Problem {
    /// A prediction is missing or NaN.
    #[error("is missing (NaN)")]
    Missing {
        /// The class.
        class: usize,
    },
    /// Outside [0, 1].
    #[error("is {value}, not a probability")]
    NotProbability {
        /// The class.
        class: usize,
        /// Its number.
        value: f64,
    },
    /// Above 0, or not a number a logarithm can be.
    #[error("is {value}, not the logarithm of a probability")]
    NotLogProbability {
        /// The class.
        class: usize,
        /// Its number.
        value: f64,
    },
    /// The row does not sum to 1.
    #[error("the probabilities sum to {sum}, not 1")]
    Sum {
        /// What they sum to.
        sum: f64,
    },
    /// Logits without a softmax: all -inf, or more than one +inf.
    #[error("the logits have no softmax: {count} of them are {value}")]
    NoSoftmax {
        /// The infinity.
        value: f64,
        /// How often.
        count: usize,
    },
    /// A target outside [0, 1].
    #[error("target is {value}, not a probability")]
    TargetNotProbability {
        /// The class.
        class: usize,
        /// Its number.
        value: f64,
    },
    /// A soft target that does not sum to 1.
    #[error("the targets sum to {sum}, not 1")]
    TargetSum {
        /// What they sum to.
        sum: f64,
    },
    /// A class index that no prediction belongs to.
    #[error("label {label} is out of range for {n_classes} classes")]
    Label {
        /// The index.
        label: u32,
        /// Number of classes.
        n_classes: usize,
    },
    /// Targets and predictions differ in shape.
    #[error("targets and predictions differ in shape")]
    Shape,
}

impl Problem {
    /// The class whose number is at fault, if one is.
    pub fn class(&self) -> Option<usize> {
        match self {
            Self::Missing { class }
            | Self::NotProbability { class, .. }
            | Self::NotLogProbability { class, .. } => Some(*class),
            _ => None,
        }
    }

    /// The class whose target is at fault, if one is.
    pub fn target_class(&self) -> Option<usize> {
        match self {
            Self::TargetNotProbability { class, .. } => Some(*class),
            _ => None,
        }
    }

    /// What to try.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "leave such rows out with --missing drop",
            Self::NotProbability { value, .. } if *value > 1.0 && *value < 1.0001 => {
                "just above 1, perhaps the rounding of 32-bit numbers: use --sums normalize"
            }
            Self::NotProbability { value, .. } if *value > 1.0 && *value <= 100.0 => {
                "for scores before a softmax use --input logits; percentages must be divided by 100"
            }
            Self::NotProbability { .. } => {
                "for scores before a softmax use --input logits, for logarithms --input log-probabilities"
            }
            Self::NotLogProbability { .. } => {
                "for scores before a softmax use --input logits, for probabilities --input probabilities"
            }
            Self::Sum { sum } if *sum > 1.0 => {
                "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given; is each class predicted against the rest?"
            }
            Self::Sum { .. } => {
                "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given; is a class column missing?"
            }
            Self::NoSoftmax { .. } => "at least one logit must be finite, or exactly one +inf",
            Self::TargetNotProbability { .. } | Self::TargetSum { .. } => {
                "soft targets are probabilities over the classes"
            }
            Self::Label { .. } => "labels count classes from 0",
            Self::Shape => "there must be one target a row, over the same classes",
        }
    }
}

/// A [`Problem`] and the row it was found in.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("row {row}: {problem}")]
pub struct RowProblem {
    /// The row, from 0.
    pub row: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// How many rows were touched or are out of the ordinary.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowNotes {
    /// Rows in which several classes share the highest prediction; the first of them counts.
    pub ties: u64,
    /// Rows whose sum is more than [`SUM_NOTE`] from 1.
    pub rounded_sums: u64,
    /// The largest distance of a row sum from 1.
    pub worst_sum: f64,
    /// Rows in which a probability was raised to the clip.
    pub clipped: u64,
}

impl RowNotes {
    /// Adds the counts of other rows.
    pub fn merge(&mut self, other: &Self) {
        self.ties += other.ties;
        self.rounded_sums += other.rounded_sums;
        self.worst_sum = self.worst_sum.max(other.worst_sum);
        self.clipped += other.clipped;
    }

    /// Counts one thing out of the ordinary.
    pub(crate) fn add(&mut self, odd: &Odd) {
        match odd.what {
            Oddity::Tied => self.ties += 1,
            Oddity::Clipped => self.clipped += 1,
            Oddity::Sum(distance) => {
                self.rounded_sums += 1;
                self.worst_sum = self.worst_sum.max(distance);
            }
        }
    }
}

/// Something out of the ordinary in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Odd {
    /// The row in its batch.
    pub row: usize,
    /// What it is.
    pub what: Oddity,
}

/// What is out of the ordinary in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Oddity {
    /// Several classes share the highest prediction; the first of them counts.
    Tied,
    /// The row's sum is this far from 1, more than [`SUM_NOTE`].
    Sum(f64),
    /// A probability was raised to the clip.
    Clipped,
}

/// The losses of a batch of rows, a vector each, in row order.
///
/// # Example
///
/// ```
/// use xent::rows::{Matrix, RowScores, Rules, Target};
///
/// let probabilities = [0.3, 0.3, 0.4, /**/ 0.1, 0.2, 0.7];
/// let mut rows = RowScores::default();
/// rows.score(
///     Matrix::Rows { values: &probabilities, width: 3 },
///     Target::Classes(&[2, 0]),
///     &Rules::default(),
/// )?;
/// assert_eq!(rows.error, [0.0, 1.0]);
/// assert_eq!(rows.log_loss, [-0.4_f64.ln(), -0.1_f64.ln()]);
/// assert!((rows.squared_error[0] - 0.54).abs() < 1e-15);
/// # Ok::<(), xent::rows::RowProblem>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowScores {
    /// Cross entropy of the target and the prediction, nats: `-sum_c t_c ln p_c`; may be `inf`.
    pub log_loss: Vec<f64>,
    /// `sum_c (p_c - t_c)^2`, from 0 to 2.
    pub squared_error: Vec<f64>,
    /// 0 where the top class is the true one, else 1; `1 - t_top` for soft targets.
    pub error: Vec<f64>,
    /// The top class, the first one if several share the highest prediction.
    pub predicted: Vec<u32>,
    /// For each `k` of [`Rules::top_k`]: 0 where the true class is among the first k, else 1.
    pub top_k: Vec<Vec<f64>>,
    /// What is out of the ordinary, usually nothing.
    pub odd: Vec<Odd>,
}

impl RowScores {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.log_loss.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.log_loss.is_empty()
    }

    /// Scores a batch, replacing what was here and reusing its memory.
    ///
    /// # Errors
    ///
    /// The first row that cannot be scored under the rules, and why. What is here is then
    /// unspecified.
    pub fn score(
        &mut self,
        matrix: Matrix<'_>,
        target: Target<'_>,
        rules: &Rules,
    ) -> Result<(), RowProblem> {
        let (n, k) = (matrix.n_samples(), matrix.n_classes());
        if target.n_samples() != n {
            return Err(RowProblem { row: n.min(target.n_samples()), problem: Problem::Shape });
        }
        if let Target::Classes(labels) = target {
            check_labels(labels, k)?;
        }
        self.resize(n, rules.top_k.len());
        let unchanged = rules.clip == 0.0 && rules.label_smoothing == 0.0;
        let probabilities =
            rules.input == Input::Probabilities && rules.sums != Sums::Normalize && unchanged;
        match (target, matrix) {
            (Target::Classes(labels), _) if probabilities => {
                kernel::score(self, matrix, labels, rules)
            }
            (Target::Classes(labels), Matrix::Rows { values, width })
                if rules.input == Input::Logits && unchanged && k > 0 =>
            {
                let x = View::rows_of(values, width)
                    .map_err(|_| RowProblem { row: n, problem: Problem::Shape })?;
                scores::score(self, 0, x, labels, &rules.top_k)
            }
            (Target::Classes(labels), Matrix::Columns(columns))
                if rules.input == Input::Logits && unchanged && k > 0 =>
            {
                self.score_logit_columns(columns, labels, &rules.top_k)
            }
            _ => self.score_general(matrix, target, rules),
        }
    }

    /// Scores logits of any kind and layout where they lie, against one class a row: nothing of their size
    /// is copied. The same numbers give the same bits as through [`score`](Self::score).
    ///
    /// Of `rules` only `top_k` is looked at; rows are to be neither clipped nor smoothed.
    ///
    /// # Errors
    ///
    /// The first row that cannot be scored, and why. What is here is then unspecified.
    ///
    /// ```
    /// use xent::rows::{RowScores, Rules};
    /// use xent::view::View;
    ///
    /// let logits = [0.5_f32, 2.5, -1.0, /**/ 1.0, 1.0, 0.0];
    /// let mut rows = RowScores::default();
    /// rows.score_logits(View::rows_of(&logits, 3)?, &[1, 2], &Rules::default())?;
    /// assert_eq!(rows.error, [0.0, 1.0]);
    /// assert!((rows.log_loss[0] - 0.1531782071).abs() < 1e-9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn score_logits<T: Element>(
        &mut self,
        x: View<'_, T>,
        labels: &[u32],
        rules: &Rules,
    ) -> Result<(), RowProblem> {
        let n = x.n_rows();
        if labels.len() != n {
            return Err(RowProblem { row: n.min(labels.len()), problem: Problem::Shape });
        }
        check_labels(labels, x.n_cols())?;
        self.resize(n, rules.top_k.len());
        scores::score(self, 0, x, labels, &rules.top_k)
    }

    /// Logits by column, made rows a few at a time.
    fn score_logit_columns(
        &mut self,
        columns: &[&[f64]],
        labels: &[u32],
        top_k: &[u32],
    ) -> Result<(), RowProblem> {
        let width = columns.len();
        let height = (8192 / width).clamp(1, 512);
        let mut tile = vec![0.0; height * width];
        for (i, labels) in labels.chunks(height).enumerate() {
            let at = i * height;
            let tile = &mut tile[..labels.len() * width];
            for (c, column) in columns.iter().enumerate() {
                for (r, &x) in column[at..at + labels.len()].iter().enumerate() {
                    tile[r * width + c] = x;
                }
            }
            let x = View::rows_of(&*tile, width)
                .map_err(|_| RowProblem { row: at, problem: Problem::Shape })?;
            scores::score(self, at, x, labels, top_k)?;
        }
        Ok(())
    }

    pub(crate) fn resize(&mut self, n: usize, top_k: usize) {
        self.log_loss.resize(n, 0.0);
        self.squared_error.resize(n, 0.0);
        self.error.resize(n, 0.0);
        self.predicted.resize(n, 0);
        self.top_k.resize(top_k, Vec::new());
        for errors in &mut self.top_k {
            errors.resize(n, 0.0);
        }
        self.odd.clear();
    }

    /// Notes a row sum that is not 1.
    pub(crate) fn note_sum(&mut self, row: usize, sum: f64) {
        if is_far(sum, SUM_NOTE) {
            self.odd.push(Odd { row, what: Oddity::Sum((sum - 1.0).abs()) });
        }
    }

    /// The rows at `indices`, in that order.
    #[must_use]
    pub fn take(&self, indices: &[usize]) -> Self {
        let pick = |values: &Vec<f64>| indices.iter().map(|&i| values[i]).collect();
        let mut odd = Vec::new();
        if !self.odd.is_empty() {
            let mut places: HashMap<usize, usize> = HashMap::with_capacity(indices.len());
            places.extend(indices.iter().enumerate().map(|(place, &row)| (row, place)));
            odd.extend(
                self.odd
                    .iter()
                    .filter_map(|o| places.get(&o.row).map(|&row| Odd { row, what: o.what })),
            );
        }
        Self {
            log_loss: pick(&self.log_loss),
            squared_error: pick(&self.squared_error),
            error: pick(&self.error),
            predicted: indices.iter().map(|&i| self.predicted[i]).collect(),
            top_k: self.top_k.iter().map(pick).collect(),
            odd,
        }
    }

    /// Appends the rows of another batch.
    pub fn append(&mut self, other: &Self) {
        let before = self.len();
        self.odd.extend(other.odd.iter().map(|o| Odd { row: before + o.row, what: o.what }));
        self.log_loss.extend_from_slice(&other.log_loss);
        self.squared_error.extend_from_slice(&other.squared_error);
        self.error.extend_from_slice(&other.error);
        self.predicted.extend_from_slice(&other.predicted);
        self.top_k.resize(other.top_k.len(), Vec::new());
        for (mine, theirs) in self.top_k.iter_mut().zip(&other.top_k) {
            mine.extend_from_slice(theirs);
        }
    }

    fn score_general(
        &mut self,
        matrix: Matrix<'_>,
        target: Target<'_>,
        rules: &Rules,
    ) -> Result<(), RowProblem> {
        let k = matrix.n_classes();
        let mut row = General::new(k);
        for r in 0..matrix.n_samples() {
            let at = |problem| RowProblem { row: r, problem };
            row.predict(&matrix, r, rules, self).map_err(at)?;
            row.aim(&target, r, rules).map_err(at)?;
            let mut loss = 0.0;
            let mut squares = [0.0; 8];
            for c in 0..k {
                if row.target[c] != 0.0 {
                    loss += row.target[c] * row.surprisal[c];
                }
                // From logits 1 - p comes from the others, right when p is nearly 1; from probabilities
                // it is the plain difference, as in the kernel, so that every path has the same bits.
                let difference = if row.target[c] == 1.0 && rules.input != Input::Probabilities {
                    row.complement(c)
                } else {
                    row.probability[c] - row.target[c]
                };
                squares[kernel::chain(c, k)] += difference * difference;
            }
            let squared = kernel::add_eight(squares);
            let mut top = 0;
            let mut ties = 0;
            for c in 1..k {
                if row.order[c] > row.order[top] {
                    (top, ties) = (c, 0);
                } else if row.order[c] == row.order[top] {
                    ties += 1;
                }
            }
            if ties > 0 {
                self.odd.push(Odd { row: r, what: Oddity::Tied });
            }
            // -0.0 would print as a negative loss.
            self.log_loss[r] = loss + 0.0;
            self.squared_error[r] = squared;
            self.predicted[r] = top as u32;
            self.error[r] = row.missed(1, top, &target, r);
            for (errors, &wanted) in self.top_k.iter_mut().zip(&rules.top_k) {
                errors[r] = row.missed(wanted as usize, top, &target, r);
            }
        }
        Ok(())
    }
}

/// Every label is a class.
pub(crate) fn check_labels(labels: &[u32], k: usize) -> Result<(), RowProblem> {
    if largest_label(labels) as usize >= k
        && let Some(row) = labels.iter().position(|&label| label as usize >= k)
    {
        let problem = Problem::Label { label: labels[row], n_classes: k };
        return Err(RowProblem { row, problem });
    }
    Ok(())
}

/// One row on its way through the general path.
struct General {
    /// The numbers as given: their order is the order of the classes.
    order: Vec<f64>,
    probability: Vec<f64>,
    /// -ln p, from the fused forms where the input allows.
    surprisal: Vec<f64>,
    target: Vec<f64>,
    ranked: Vec<usize>,
}

impl General {
    fn new(k: usize) -> Self {
        let zeros = || vec![0.0; k];
        Self {
            order: zeros(),
            probability: zeros(),
            surprisal: zeros(),
            target: zeros(),
            ranked: Vec::new(),
        }
    }

    /// 1 - p of a class, from the others, so that it is right when p is nearly 1.
    fn complement(&self, class: usize) -> f64 {
        let others = self.probability.iter().enumerate().filter(|(c, _)| *c != class);
        if self.probability[class] > 0.5 && self.probability.len() > 1 {
            // Rows that do not sum to 1 are scored as given: only exact sums may be completed.
            let rest: f64 = others.map(|(_, p)| p).sum();
            let direct = 1.0 - self.probability[class];
            if (rest - direct).abs() <= f64::EPSILON { rest } else { direct }
        } else {
            1.0 - self.probability[class]
        }
    }

    fn predict(
        &mut self,
        matrix: &Matrix<'_>,
        r: usize,
        rules: &Rules,
        scores: &mut RowScores,
    ) -> Result<(), Problem> {
        if let Matrix::Positive(p) = matrix {
            self.predict_positive(p[r], rules.input)?;
        } else {
            matrix.row_in(r, &mut self.order);
            if let Some(class) = self.order.iter().position(|x| x.is_nan()) {
                return Err(Problem::Missing { class });
            }
            match rules.input {
                Input::Probabilities => {
                    for (class, &value) in self.order.iter().enumerate() {
                        // Rows that are divided by their sum may hold any scores.
                        let is_score = rules.sums == Sums::Normalize && value.is_finite();
                        if value < 0.0 || (value > 1.0 && !is_score) {
                            return Err(Problem::NotProbability { class, value });
                        }
                        self.probability[class] = value;
                        self.surprisal[class] = -ln(value);
                    }
                }
                Input::LogProbabilities => {
                    for (class, &value) in self.order.iter().enumerate() {
                        if value > 0.0 {
                            return Err(Problem::NotLogProbability { class, value });
                        }
                        self.probability[class] = libm::exp(value);
                        self.surprisal[class] = -value;
                    }
                }
                Input::Logits => self.softmax()?,
            }
        }
        if rules.input != Input::Logits && !matches!(matrix, Matrix::Positive(_)) {
            let sum: f64 = self.probability.iter().sum();
            scores.note_sum(r, sum);
            match rules.sums {
                Sums::Strict if is_far(sum, SUM_ERROR) => return Err(Problem::Sum { sum }),
                Sums::Normalize => {
                    if sum == 0.0 {
                        return Err(Problem::Sum { sum });
                    }
                    if (sum - 1.0).abs() > f64::EPSILON {
                        self.divide(sum);
                    }
                }
                _ => {}
            }
        }
        if rules.clip > 0.0 && self.probability.iter().any(|&p| p < rules.clip) {
            scores.odd.push(Odd { row: r, what: Oddity::Clipped });
            for (p, s) in self.probability.iter_mut().zip(&mut self.surprisal) {
                if *p < rules.clip {
                    *p = rules.clip;
                    *s = -ln(*p);
                }
            }
            self.divide(self.probability.iter().sum());
        }
        Ok(())
    }

    fn divide(&mut self, sum: f64) {
        let shift = libm::log(sum);
        for (p, s) in self.probability.iter_mut().zip(&mut self.surprisal) {
            *p /= sum;
            // No larger than the rounding of the two terms below 0.
            *s = (*s + shift).max(0.0);
        }
    }

    fn predict_positive(&mut self, x: f64, input: Input) -> Result<(), Problem> {
        if x.is_nan() {
            return Err(Problem::Missing { class: 1 });
        }
        let (p0, p1, s0, s1) = match input {
            Input::Probabilities if (0.0..=1.0).contains(&x) => {
                (1.0 - x, x, -kernel::ln_complement(x), -ln(x))
            }
            Input::Probabilities => return Err(Problem::NotProbability { class: 1, value: x }),
            Input::LogProbabilities if x <= 0.0 => {
                let p = libm::exp(x);
                let q = -libm::expm1(x);
                // ln(1 - e^x), by whichever of the two forms does not cancel.
                let s0 = if x > -std::f64::consts::LN_2 { -libm::log(q) } else { -libm::log1p(-p) };
                (q, p, s0, -x)
            }
            Input::LogProbabilities => {
                return Err(Problem::NotLogProbability { class: 1, value: x });
            }
            Input::Logits => {
                let tail = libm::log1p(libm::exp(-x.abs()));
                let (s0, s1) = if x > 0.0 { (x + tail, tail) } else { (tail, tail - x) };
                (libm::exp(-s0), libm::exp(-s1), s0, s1)
            }
        };
        self.probability.copy_from_slice(&[p0, p1]);
        self.surprisal.copy_from_slice(&[s0 + 0.0, s1 + 0.0]);
        match input {
            Input::Logits => self.order.copy_from_slice(&[0.0, x]),
            _ => self.order.copy_from_slice(&[p0, p1]),
        }
        Ok(())
    }

    /// Softmax and its surprisals, the largest logit left out of the sum.
    fn softmax(&mut self) -> Result<(), Problem> {
        let mut top = 0;
        for c in 1..self.order.len() {
            if self.order[c] > self.order[top] {
                top = c;
            }
        }
        let max = self.order[top];
        if max.is_infinite() {
            let count = self.order.iter().filter(|&&x| x == max).count();
            if max < 0.0 || count > 1 {
                return Err(Problem::NoSoftmax { value: max, count });
            }
            self.probability.fill(0.0);
            self.surprisal.fill(f64::INFINITY);
            self.probability[top] = 1.0;
            self.surprisal[top] = 0.0;
            return Ok(());
        }
        let mut others = 0.0;
        for c in 0..self.order.len() {
            let e = if c == top { 1.0 } else { libm::exp(self.order[c] - max) };
            if c != top {
                others += e;
            }
            self.probability[c] = e;
        }
        let tail = libm::log1p(others);
        let total = 1.0 + others;
        for c in 0..self.order.len() {
            self.probability[c] /= total;
            self.surprisal[c] = if c == top { tail } else { (max - self.order[c]) + tail };
        }
        Ok(())
    }

    fn aim(&mut self, target: &Target<'_>, r: usize, rules: &Rules) -> Result<(), Problem> {
        match target {
            Target::Classes(labels) => {
                self.target.fill(0.0);
                self.target[labels[r] as usize] = 1.0;
            }
            Target::Distributions(matrix) => {
                if matrix.n_classes() != self.target.len() {
                    return Err(Problem::Shape);
                }
                matrix.row_in(r, &mut self.target);
                for (class, &value) in self.target.iter().enumerate() {
                    if !(0.0..=1.0).contains(&value) {
                        return Err(Problem::TargetNotProbability { class, value });
                    }
                }
                let sum: f64 = self.target.iter().sum();
                if is_far(sum, SUM_ERROR) {
                    return Err(Problem::TargetSum { sum });
                }
            }
        }
        if rules.label_smoothing > 0.0 {
            let e = rules.label_smoothing;
            let share = e / self.target.len() as f64;
            for t in &mut self.target {
                *t = (1.0 - e) * *t + share;
            }
        }
        Ok(())
    }

    /// The target's share outside the first `k` classes; labels are not smoothed here.
    fn missed(&mut self, k: usize, top: usize, target: &Target<'_>, r: usize) -> f64 {
        match target {
            Target::Classes(labels) => {
                let y = labels[r] as usize;
                let order = &self.order;
                let ahead = order.iter().filter(|&&x| x > order[y]).count()
                    + order[..y].iter().filter(|&&x| x == order[y]).count();
                f64::from(u8::from(ahead >= k))
            }
            Target::Distributions(matrix) => {
                let mut outside = 0.0;
                self.ranked.clear();
                if k == 1 {
                    self.ranked.push(top);
                } else {
                    self.ranked.extend(0..self.order.len());
                    self.ranked.sort_by(|&a, &b| self.order[b].total_cmp(&self.order[a]));
                    self.ranked.truncate(k);
                }
                for c in 0..self.order.len() {
                    if !self.ranked.contains(&c) {
                        outside += matrix.get(r, c);
                    }
                }
                outside
            }
        }
    }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
