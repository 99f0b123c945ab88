//! The score of one model: mergeable sums over rows, finished into estimates.

use std::collections::BTreeMap;

use crate::checks::{are_finite, count_equal, count_labels};
use crate::exact::{Exact, ExactSum, two_product};
use crate::moments::{Estimate, Moments};
use crate::rows::{Matrix, RowNotes, RowScores, Target};
use crate::tail::Tail;

/// What a [`ScoreState`] keeps beside the three losses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // four independent choices
pub struct Keep {
    /// Class totals, for the baseline and the share of entropy explained.
    pub classes: bool,
    /// The counts of the confusion matrix.
    pub confusion: bool,
    /// The distribution of the losses, for the share of the worst rows.
    pub tail: bool,
    /// Only the means of squared error and log loss, without standard errors, at less cost.
    pub means_only: bool,
}

/// The exact sums over rows from which every score of one model is finished.
///
/// Order-free and mergeable: any split of the rows over states that are merged in any order ends in
/// the same bits.
///
/// # Example
///
/// ```
/// use xent::rows::{Matrix, RowScores, Rules, Target};
/// use xent::score::{Keep, ScoreState};
///
/// let p = [0.1, 0.2, 0.7, /**/ 0.1, 0.7, 0.2, /**/ 0.3, 0.4, 0.3];
/// let target = Target::Classes(&[2, 1, 0]);
/// let mut rows = RowScores::default();
/// rows.score(Matrix::Rows { values: &p, width: 3 }, target, &Rules::default())?;
/// let mut state = ScoreState::new(3, Keep::default());
/// state.update(&rows, target, None);
/// let scores = state.finish(0.95);
/// assert_eq!(format!("{:.3}", scores.cross_entropy().value), "0.922"); // bits
/// assert_eq!(format!("{:.2}", scores.mse.value), "0.34");
/// # Ok::<(), xent::rows::RowProblem>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreState {
    n_classes: usize,
    keep: Keep,
    error: Moments,
    /// Whether every error so far is 0 or 1, so that the error rate is a proportion.
    soft: bool,
    squared_error: Moments,
    /// Finite losses only.
    log_loss: Moments,
    infinite_rows: u64,
    infinite_weight: ExactSum,
    top_k: Vec<Moments>,
    classes: ClassTotals,
    confusion: BTreeMap<(u32, u32), ExactSum>,
    tail: Option<Tail>,
    notes: RowNotes,
}

impl ScoreState {
    /// The state of no rows.
    pub fn new(n_classes: usize, keep: Keep) -> Self {
        Self {
            n_classes,
            keep,
            error: Moments::default(),
            soft: false,
            squared_error: Moments::default(),
            log_loss: Moments::default(),
            infinite_rows: 0,
            infinite_weight: ExactSum::new(),
            top_k: Vec::new(),
            classes: ClassTotals::default(),
            confusion: BTreeMap::new(),
            tail: keep.tail.then(Tail::default),
            notes: RowNotes::default(),
        }
    }

    /// Adds a batch of scored rows.
    ///
    /// `weights` are not negative and finite, one a row; a row of weight 0 is absent.
    pub fn update(&mut self, rows: &RowScores, target: Target<'_>, weights: Option<&[f64]>) {
        if let Some(w) = weights
            && w.contains(&0.0)
        {
            let present: Vec<usize> = (0..w.len()).filter(|&i| w[i] != 0.0).collect();
            let some = Rows::new(target).take(&present);
            let w: Vec<f64> = present.iter().map(|&i| w[i]).collect();
            return self.add(&rows.take(&present), some.target(), Some(&w));
        }
        self.add(rows, target, weights);
    }

    /// [`update`](Self::update) without weights of 0.
    pub(crate) fn add(&mut self, rows: &RowScores, target: Target<'_>, weights: Option<&[f64]>) {
        let hard = matches!(target, Target::Classes(_));
        self.soft |= !hard;
        rows.odd.iter().for_each(|odd| self.notes.add(odd));
        if hard && weights.is_none() {
            self.error.add_indicators(rows.len(), count_equal(&rows.error, 1.0));
        } else {
            self.error.add(&rows.error, weights);
        }
        if self.keep.means_only {
            self.squared_error.add_without_spread(&rows.squared_error, weights);
        } else {
            self.squared_error.add(&rows.squared_error, weights);
        }
        self.top_k.resize(rows.top_k.len(), Moments::default());
        for (moments, errors) in self.top_k.iter_mut().zip(&rows.top_k) {
            moments.add(errors, weights);
        }
        self.add_log_loss(&rows.log_loss, weights);
        if let Some(tail) = &mut self.tail {
            tail.add(&rows.log_loss, weights);
        }
        if self.error.weights().is_fractional() {
            // The rows of finite loss alone might have whole weights.
            self.log_loss.mark_importances();
        }
        if self.keep.classes {
            self.classes.add(self.n_classes, target, weights);
        }
        if self.keep.confusion {
            self.add_confusion(&rows.predicted, target, weights);
        }
    }

    fn add_log_loss(&mut self, losses: &[f64], weights: Option<&[f64]>) {
        let add = if self.keep.means_only { Moments::add_without_spread } else { Moments::add };
        if are_finite(losses) {
            return add(&mut self.log_loss, losses, weights);
        }
        let weight = |i: usize| weights.map_or(1.0, |w| w[i]);
        let mut finite = Vec::with_capacity(losses.len());
        let mut finite_weights = Vec::new();
        for (i, &loss) in losses.iter().enumerate() {
            if loss.is_finite() {
                finite.push(loss);
                finite_weights.push(weight(i));
            } else {
                self.infinite_rows += 1;
                self.infinite_weight.add(weight(i));
            }
        }
        add(&mut self.log_loss, &finite, weights.map(|_| finite_weights.as_slice()));
    }

    fn add_confusion(&mut self, predicted: &[u32], target: Target<'_>, weights: Option<&[f64]>) {
        for (i, &top) in predicted.iter().enumerate() {
            let w = weights.map_or(1.0, |w| w[i]);
            match target {
                Target::Classes(labels) => {
                    self.confusion.entry((labels[i], top)).or_default().add(w);
                }
                Target::Distributions(matrix) => {
                    for c in 0..self.n_classes {
                        let t = matrix.get(i, c);
                        if t != 0.0 {
                            self.confusion.entry((c as u32, top)).or_default().add_product(w, t);
                        }
                    }
                }
            }
        }
    }

    /// Adds the rows of another state over the same classes.
    pub fn merge(&mut self, other: &Self) {
        self.error.merge(&other.error);
        self.soft |= other.soft;
        self.squared_error.merge(&other.squared_error);
        self.log_loss.merge(&other.log_loss);
        self.infinite_rows += other.infinite_rows;
        self.infinite_weight.merge(&other.infinite_weight);
        self.top_k.resize(self.top_k.len().max(other.top_k.len()), Moments::default());
        for (mine, theirs) in self.top_k.iter_mut().zip(&other.top_k) {
            mine.merge(theirs);
        }
        self.classes.merge(&other.classes);
        for (&cell, count) in &other.confusion {
            self.confusion.entry(cell).or_default().merge(count);
        }
        if let (Some(mine), Some(theirs)) = (&mut self.tail, &other.tail) {
            mine.merge(theirs);
        }
        self.notes.merge(&other.notes);
        if self.error.weights().is_fractional() {
            self.mark_importances();
        }
    }

    /// Takes over what is decided for a whole table of which these rows are a part: whether weights
    /// are importances, and whether targets are soft.
    pub fn adopt(&mut self, table: &Self) {
        self.soft |= table.soft;
        if table.error.weights().is_fractional() {
            self.mark_importances();
        }
    }

    fn mark_importances(&mut self) {
        let three = [&mut self.error, &mut self.squared_error, &mut self.log_loss];
        three.into_iter().chain(&mut self.top_k).for_each(Moments::mark_importances);
    }

    /// Whether some target is a distribution and not a class.
    pub fn is_soft(&self) -> bool {
        self.soft
    }

    /// Mean log loss so far, nats, without the other scores.
    pub fn log_loss(&self, level: f64) -> Estimate {
        if self.infinite_rows > 0 {
            Estimate::without_error(f64::INFINITY)
        } else {
            self.log_loss.mean(level)
        }
    }

    /// Rows so far, rows of weight 0 not counted.
    pub fn rows(&self) -> u64 {
        self.error.weights().rows()
    }

    /// The scores so far, with intervals at `level` (0.95 for 95%).
    pub fn finish(&self, level: f64) -> Scores {
        let finite = self.log_loss.mean(level);
        let log_loss = self.log_loss(level);
        let weights = self.error.weights();
        let share = |m: &Moments| if self.soft { m.mean(level) } else { m.proportion(level) };
        Scores {
            rows: self.rows(),
            weight: weights.total(),
            weights_are_importances: weights.is_fractional(),
            effective_rows: if weights.is_fractional() { weights.kish() } else { weights.total() },
            error_rate: share(&self.error),
            mse: self.squared_error.mean(level),
            log_loss,
            top_k_error: self.top_k.iter().map(share).collect(),
            infinite_rows: self.infinite_rows,
            infinite_weight: self.infinite_weight.value(),
            finite_log_loss: finite,
            notes: self.notes,
        }
    }

    /// The scores of the model that knows only the class frequencies of these very rows; needs
    /// [`Keep::classes`].
    ///
    /// Its log loss is the entropy of the labels. Targets are those after `label_smoothing`, which the
    /// rows were scored against; 0 for none.
    pub fn baseline(&self, label_smoothing: f64, level: f64) -> Option<Baseline> {
        self.keep.classes.then(|| self.classes.baseline(self.n_classes, label_smoothing, level))
    }

    /// True class, predicted class and their weight (rows, if there are no weights), where it is not
    /// zero, in class order; needs [`Keep::confusion`].
    pub fn confusion(&self) -> Vec<(u32, u32, f64)> {
        self.confusion.iter().map(|(&(t, p), n)| (t, p, n.value())).collect()
    }

    /// Share of the total log loss in the worst `fraction` of the rows; needs [`Keep::tail`].
    ///
    /// See [`Tail::share`] for its accuracy.
    pub fn worst_share(&self, fraction: f64) -> Option<f64> {
        self.tail.as_ref().map(|tail| tail.share(fraction))
    }
}

/// The scores of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// Rows scored; rows of weight 0 are not counted.
    pub rows: u64,
    /// Sum of the weights; the number of rows if there are none.
    pub weight: f64,
    /// Whether some weight is not a whole number: see [`crate::moments`].
    pub weights_are_importances: bool,
    /// Rows that the uncertainty is worth: the sum of the weights where they count rows, Kish's
    /// `(sum w)^2 / sum w^2` where they are importances.
    pub effective_rows: f64,
    /// Share of rows whose top class is not the true one.
    pub error_rate: Estimate,
    /// Mean of `sum_c (p_c - t_c)^2`, 0 to 2.
    pub mse: Estimate,
    /// Mean of `-sum_c t_c ln p_c`, nats; `inf` if a row has it.
    pub log_loss: Estimate,
    /// Share of rows whose true class is not among the first k, for each k asked for.
    pub top_k_error: Vec<Estimate>,
    /// Rows of infinite loss.
    pub infinite_rows: u64,
    /// Their weight.
    pub infinite_weight: f64,
    /// The mean over the rows of finite loss, nats.
    pub finite_log_loss: Estimate,
    /// Rows out of the ordinary.
    pub notes: RowNotes,
}

impl Scores {
    /// Mean cross entropy in bits: the log loss over ln 2.
    pub fn cross_entropy(&self) -> Estimate {
        self.log_loss.in_bits()
    }

    /// The exponential of the log loss: the number of equally likely classes that would cost as much.
    pub fn perplexity(&self) -> Estimate {
        self.log_loss.exp()
    }

    /// Half the mean squared error, the Brier score scaled to 0 to 1.
    pub fn brier_half(&self) -> Estimate {
        self.mse.scaled(0.5)
    }
}

/// The scores of the model that predicts the class frequencies for every row.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// 1 - the largest frequency.
    pub error_rate: Estimate,
    /// 1 - the sum of the squared frequencies.
    pub mse: Estimate,
    /// Entropy of the frequencies, nats.
    pub log_loss: Estimate,
    /// The frequency of each class.
    pub frequencies: Vec<f64>,
}

impl Baseline {
    /// Entropy of the labels, bits.
    pub fn cross_entropy(&self) -> Estimate {
        self.log_loss.in_bits()
    }

    /// The exponential of the entropy.
    pub fn perplexity(&self) -> Estimate {
        self.log_loss.exp()
    }

    /// Half the mean squared error.
    pub fn brier_half(&self) -> Estimate {
        self.mse.scaled(0.5)
    }
}

/// Weight of each class: counts while they can be, exact sums else.
#[derive(Clone, Debug, Default, PartialEq)]
struct ClassTotals {
    counts: Vec<u64>,
    sums: Vec<ExactSum>,
    /// Weighted sum of `sum_c t_c^2` over the rows of soft targets; of classes it is their weight.
    squares: ExactSum,
    /// Whether targets were soft, and whether weights are importances: no standard errors then.
    soft: bool,
    inexact: bool,
}

impl ClassTotals {
    fn add(&mut self, k: usize, target: Target<'_>, weights: Option<&[f64]>) {
        match (target, weights) {
            (Target::Classes(labels), None) => {
                self.counts.resize(k, 0);
                count_labels(labels, &mut self.counts);
            }
            (Target::Classes(labels), Some(weights)) => {
                self.sums.resize(k, ExactSum::new());
                for (&label, &w) in labels.iter().zip(weights) {
                    self.sums[label as usize].add(w);
                    self.squares.add(w);
                    self.inexact |= w.trunc() != w;
                }
            }
            (Target::Distributions(matrix), weights) => {
                self.soft = true;
                self.sums.resize(k, ExactSum::new());
                for row in 0..matrix.n_samples() {
                    let w = weights.map_or(1.0, |w| w[row]);
                    for (class, sum) in self.sums.iter_mut().enumerate() {
                        let t = matrix.get(row, class);
                        sum.add_product(w, t);
                        let (product, error) = two_product(w, t);
                        self.squares.add_product(product, t);
                        if error.is_finite() {
                            self.squares.add_product(error, t);
                        }
                    }
                }
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.sums.resize(self.sums.len().max(other.sums.len()), ExactSum::new());
        for (mine, theirs) in self.sums.iter_mut().zip(&other.sums) {
            mine.merge(theirs);
        }
        self.inexact |= other.inexact;
        self.soft |= other.soft;
        self.squares.merge(&other.squares);
    }

    fn baseline(&self, k: usize, label_smoothing: f64, level: f64) -> Baseline {
        let total = |c: usize| {
            let mut sum = self.sums.get(c).cloned().unwrap_or_default();
            sum.add(self.counts.get(c).map_or(0.0, |&n| n as f64));
            sum
        };
        let totals: Vec<ExactSum> = (0..k).map(total).collect();
        let mut all = ExactSum::new();
        for sum in &totals {
            all.merge(sum);
        }
        let frequencies: Vec<f64> = match all.to_exact() {
            Ok(all) => totals
                .iter()
                .map(|sum| sum.to_exact().map_or(f64::NAN, |sum| sum.ratio(&all)))
                .collect(),
            Err(_) => vec![f64::NAN; k],
        };
        let mut top = 0;
        for c in 1..k {
            if frequencies[c] > frequencies[top] {
                top = c;
            }
        }
        if self.soft || label_smoothing > 0.0 {
            return self.soft_baseline(frequencies, &totals, &all, label_smoothing);
        }
        // The model's loss on each class, weighted by the class: three means over k rows.
        let squares: f64 = frequencies.iter().map(|f| f * f).collect::<ExactSum>().value();
        let present: Vec<usize> = (0..k).filter(|&c| frequencies[c] > 0.0).collect();
        let weights: Vec<f64> = present.iter().map(|&c| totals[c].value()).collect();
        let mean = |loss: &dyn Fn(usize) -> f64, is_share: bool| {
            let losses: Vec<f64> = present.iter().map(|&c| loss(c)).collect();
            let mut moments = Moments::default();
            moments.add(&losses, Some(&weights));
            let estimate = if is_share { moments.proportion(level) } else { moments.mean(level) };
            if self.inexact { Estimate::without_error(estimate.value) } else { estimate }
        };
        let mut mse = mean(
            &|c| {
                let others = squares - frequencies[c] * frequencies[c];
                (1.0 - frequencies[c]).powi(2) + others.max(0.0)
            },
            false,
        );
        // The losses are rounded, the mean is known exactly.
        let exact = self.variance(&totals, &all, 0.0);
        mse.ci = mse.ci.map(|end| end + (exact - mse.value));
        mse.value = exact;
        Baseline {
            error_rate: mean(&|c| f64::from(u8::from(c != top)), true),
            mse,
            log_loss: mean(&|c| 0.0 - crate::elementary::ln(frequencies[c]), false),
            frequencies,
        }
    }
}

impl ClassTotals {
    /// The mean squared distance of the targets from their mean, summed over classes, rounded once; after smoothing by e.
    ///
    /// ```text
    /// (1 - e)^2 (S W - sum_c T_c^2) / W^2
    /// ```
    ///
    /// S is the weighted sum of squares, T_c that of class c, W that of all: smoothing moves every target by the same, and draws them together.
    fn variance(&self, totals: &[ExactSum], all: &ExactSum, e: f64) -> f64 {
        let mut squares = self.squares.clone();
        squares.add(self.counts.iter().sum::<u64>() as f64);
        let (Ok(squares), Ok(all)) = (squares.to_exact(), all.to_exact()) else { return f64::NAN };
        let mut excess = &squares * &all;
        for total in totals {
            let Ok(total) = total.to_exact() else { return f64::NAN };
            excess = &excess - &(&total * &total);
        }
        let kept = &Exact::integer(1) - &Exact::of(e);
        (&(&kept * &kept) * &excess).ratio(&(&all * &all))
    }

    /// The baseline over distributions: with f their mean, H(f) and mean sum t^2 - sum f^2.
    fn soft_baseline(
        &self,
        frequencies: Vec<f64>,
        totals: &[ExactSum],
        all: &ExactSum,
        e: f64,
    ) -> Baseline {
        let k = frequencies.len() as f64;
        let top = frequencies.iter().copied().fold(0.0, f64::max);
        let smooth: Vec<f64> = frequencies.iter().map(|f| (1.0 - e) * f + e / k).collect();
        let present = smooth.iter().filter(|f| **f > 0.0);
        let entropy: f64 = present.map(|&f| f * (0.0 - crate::elementary::ln(f))).sum();
        Baseline {
            error_rate: Estimate::without_error(1.0 - top),
            mse: Estimate::without_error(self.variance(totals, all, e)),
            log_loss: Estimate::without_error(entropy),
            frequencies: smooth,
        }
    }
}

/// The rows of a target that are left after a selection, owned.
pub struct Rows<'a> {
    target: Target<'a>,
    classes: Vec<u32>,
    distributions: Vec<f64>,
    width: usize,
    taken: bool,
}

impl<'a> Rows<'a> {
    /// All rows of a target.
    pub fn new(target: Target<'a>) -> Self {
        Self { target, classes: Vec::new(), distributions: Vec::new(), width: 0, taken: false }
    }

    /// Only the rows at `indices`.
    #[must_use]
    pub fn take(mut self, indices: &[usize]) -> Self {
        match self.target {
            Target::Classes(labels) => {
                self.classes = indices.iter().map(|&i| labels[i]).collect();
            }
            Target::Distributions(matrix) => {
                self.width = matrix.n_classes();
                self.distributions = indices
                    .iter()
                    .flat_map(|&i| (0..matrix.n_classes()).map(move |c| matrix.get(i, c)))
                    .collect();
            }
        }
        self.taken = true;
        self
    }

    /// The rows, borrowed.
    pub fn target(&self) -> Target<'_> {
        match (self.taken, self.target) {
            (false, target) => target,
            (true, Target::Classes(_)) => Target::Classes(&self.classes),
            (true, Target::Distributions(_)) => Target::Distributions(Matrix::Rows {
                values: &self.distributions,
                width: self.width,
            }),
        }
    }
}

#[cfg(test)]
#[path = "score_tests.rs"]
mod tests;
