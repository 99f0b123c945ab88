//! Cross entropy from logits: losses, their exact sum, and gradients, in one sweep over the rows.
//!
//! ```text
//! p = softmax(x),   loss = -sum_c t_c ln p_c,   d loss / d x_c = p_c - t_c
//! ```
//!
//! for a row of logits x and a target distribution t; for a class y, t is 1 there and the loss is
//! `ln(sum_c e^x_c) - x_y`. That difference is never taken: the target's own term is left out of the sum and
//! the loss is `ln_1p(rest / e^x_y)`, so a loss of 2e-9 (logits 20 and 0) is right to the last digits where
//! the usual form gives 0. For the same reason the target's gradient is minus the sum of the others,
//! not p - 1.
//!
//! A row's arithmetic depends on that row only, so losses and gradients have the same bits in any
//! batch, on any number of threads and at every instruction level. Sums over rows are exact.

use std::ops::Range;

use thiserror::Error;

use crate::checks::{are_finite, largest_label};
use crate::element::Element;
use crate::exact::ExactSum;
use crate::simd;
use crate::view::{View, ViewMut};

#[cfg(feature = "parallel")]
pub use parallel::cross_entropy_parallel;

mod few;
pub(crate) mod general;
pub(crate) mod hard;
#[cfg(feature = "parallel")]
mod parallel;
pub(crate) mod scores;
mod short;
mod temperature;

/// What was true of each row.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a, T> {
    /// Index of the true class.
    Classes(&'a [u32]),
    /// Two classes, the first with probability `share`, the second with the rest (mixed examples).
    TwoClasses {
        /// The first class of each row.
        first: &'a [u32],
        /// The second class of each row; it may be the first.
        second: &'a [u32],
        /// Probability of the first class, in [0, 1].
        share: &'a [f64],
    },
    /// A distribution over all classes.
    Distributions(View<'a, T>),
    /// A distribution over a few classes: row i has `classes[offsets[i]..offsets[i + 1]]` with the
    /// probabilities at the same places; those of a class that occurs several times are added.
    Sparse {
        /// Where each row begins, from 0 on, and the end of the last: one more than there are rows.
        offsets: &'a [usize],
        /// Classes, row after row.
        classes: &'a [u32],
        /// Their probabilities.
        probabilities: &'a [f64],
    },
}

/// How rows are weighed and targets changed. The default changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Weight of each class: the loss becomes `-sum_c w_c t_c ln p_c` and the row counts
    /// `sum_c w_c t_c` in the mean (targets before smoothing), as in PyTorch for class targets.
    pub class_weights: Option<&'a [f64]>,
    /// Weight of each row. A row of weight 0 is absent: its loss is given, but neither that nor its gradient counts,
    /// be they infinite or NaN, nor its rank.
    pub row_weights: Option<&'a [f64]>,
    /// Rows with this label are left out and counted; it may be outside the classes.
    pub ignore: Option<u32>,
    /// Targets become `(1 - e) t + e / n_classes`.
    pub label_smoothing: f64,
    /// Adds `z ln(sum_c e^x_c)^2` to each row's loss, which keeps logits from drifting.
    pub z_loss: f64,
    /// Logits are divided by this first.
    pub temperature: f64,
    /// The `k` of each top-k hit count wanted.
    pub top_k: &'a [u32],
}

impl Options<'_> {
    /// Whether rows have other factors of the gradient than they are given.
    fn change_scales(&self) -> bool {
        self.class_weights.is_some() || self.row_weights.is_some() || self.ignore.is_some()
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            class_weights: None,
            row_weights: None,
            ignore: None,
            label_smoothing: 0.0,
            z_loss: 0.0,
            temperature: 1.0,
            top_k: &[],
        }
    }
}

/// What is asked for beside the sum: each a buffer of the caller's.
#[derive(Debug)]
pub struct Wanted<'a, T> {
    /// Loss of each row, with class weights and z-loss, without the row's weight; 0 if ignored.
    pub losses: Option<&'a mut [f64]>,
    /// `ln p_y` of each row, for [`Target::Classes`]; 0 if ignored.
    pub log_probabilities: Option<&'a mut [f64]>,
    /// Number of classes ahead of the true one, for [`Target::Classes`]: larger logits, and equal ones that
    /// stand before it. 0 is a hit; `u32::MAX` if ignored or undefined.
    pub ranks: Option<&'a mut [u32]>,
    /// `scale * weight * d loss / d x`; 0 for rows that are ignored or absent, NaN for undefined ones.
    pub gradient: Option<Gradient<'a, T>>,
}

impl<T> Default for Wanted<'_, T> {
    fn default() -> Self {
        Self { losses: None, log_probabilities: None, ranks: None, gradient: None }
    }
}

/// Where the gradient goes and what it is multiplied by.
#[derive(Debug)]
pub struct Gradient<'a, T> {
    /// An array of the logits' shape, of any layout.
    pub into: ViewMut<'a, T>,
    /// The factor, such as one over the total weight for the gradient of the mean.
    pub scale: Scale<'a>,
}

/// A factor for all rows, or one a row.
#[derive(Clone, Copy, Debug)]
pub enum Scale<'a> {
    /// For all rows.
    All(f64),
    /// One a row: the gradient that arrives from above.
    Rows(&'a [f64]),
}

/// The sum over rows, mergeable with those of other rows.
#[derive(Clone, Debug, Default)]
pub struct Total {
    /// Sum of row weight times loss, exact.
    pub loss: ExactSum,
    /// Sum of the weights.
    pub weight: ExactSum,
    /// Rows that count.
    pub used: u64,
    /// Rows of weight 0, which are absent: nothing of theirs counts.
    pub absent: u64,
    /// Rows with the ignored label.
    pub ignored: u64,
    /// Rows that count whose loss is infinite: the true class has a logit of -inf, or another one of +inf, or
    /// the loss is larger than any number.
    pub infinite: u64,
    /// Rows that count and have no softmax: NaN, all -inf, or more than one +inf.
    pub undefined: u64,
    /// The first of those, counted from the first row of this call.
    pub first_undefined: Option<usize>,
    /// For each `k` of [`Options::top_k`]: rows whose true class is among the k largest logits.
    pub top_k_hits: Vec<u64>,
}

/// Why there is no mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoMean {
    /// There are no rows.
    #[error("there are no rows")]
    Empty,
    /// All rows have the ignored label.
    #[error("all {0} rows have the ignored label")]
    AllIgnored(u64),
    /// All weights are 0.
    #[error("all weights are 0")]
    ZeroWeight,
    /// Some rows have no softmax.
    #[error(
        "{count} rows have no softmax (NaN, all -inf, or several +inf); the first is row {row}"
    )]
    Undefined {
        /// How many.
        count: u64,
        /// The first.
        row: usize,
    },
}

impl Total {
    /// Adds the total of the rows that follow, `rows` having been in this one before.
    pub fn merge(&mut self, other: &Self, rows: usize) {
        self.loss.merge(&other.loss);
        self.weight.merge(&other.weight);
        self.used += other.used;
        self.absent += other.absent;
        self.ignored += other.ignored;
        self.infinite += other.infinite;
        self.undefined += other.undefined;
        self.first_undefined = self.first_undefined.or(other.first_undefined.map(|r| r + rows));
        self.top_k_hits.resize(self.top_k_hits.len().max(other.top_k_hits.len()), 0);
        for (mine, theirs) in self.top_k_hits.iter_mut().zip(&other.top_k_hits) {
            *mine += theirs;
        }
    }

    /// The weighted mean loss, nats: one exact sum over another, rounded once.
    ///
    /// # Errors
    /// There is nothing to average, or a row is undefined.
    pub fn mean(&self) -> Result<f64, NoMean> {
        if self.used == 0 {
            return Err(match (self.absent, self.ignored) {
                (0, 0) => NoMean::Empty,
                (0, ignored) => NoMean::AllIgnored(ignored),
                _ => NoMean::ZeroWeight,
            });
        }
        if let Some(row) = self.first_undefined {
            return Err(NoMean::Undefined { count: self.undefined, row });
        }
        self.loss.over(&self.weight).ok_or(NoMean::ZeroWeight)
    }
}

/// Why nothing was computed; no buffer has been written to.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Problem {
    /// Something has another shape than the logits.
    #[error("{what}: {given} given, {wanted} wanted")]
    Shape {
        /// What.
        what: &'static str,
        /// Its length.
        given: usize,
        /// The length that fits.
        wanted: usize,
    },
    /// Rows without classes.
    #[error("rows of no classes have no softmax")]
    NoClasses,
    /// A label that is no class.
    #[error("row {row}: label {label} is out of range for {n_classes} classes")]
    Label {
        /// The row.
        row: usize,
        /// Its label.
        label: u32,
        /// Number of classes.
        n_classes: usize,
    },
    /// A target that is no probability.
    #[error("row {row}, class {class}: target {value} is not a probability")]
    Target {
        /// The row.
        row: usize,
        /// The class.
        class: usize,
        /// What is given.
        value: f64,
    },
    /// A target distribution whose sum is more than 0.01 away from 1.
    #[error("row {row}: the targets sum to {sum}, not 1")]
    TargetSum {
        /// The row.
        row: usize,
        /// What they sum to.
        sum: f64,
    },
    /// A weight that is negative, infinite or NaN.
    #[error("{what} {index} is {value}: weights are finite and not negative")]
    Weight {
        /// "class weight" or "row weight".
        what: &'static str,
        /// Which.
        index: usize,
        /// What is given.
        value: f64,
    },
    /// An option outside its range.
    #[error("{name} is {value}, not {range}")]
    Option {
        /// Its name.
        name: &'static str,
        /// What is given.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
    /// Offsets of sparse targets that do not describe rows.
    #[error(
        "row {row}: offsets must begin at 0, not fall, and end with the number of classes given"
    )]
    Offsets {
        /// The row.
        row: usize,
    },
    /// Ranks, log-probabilities, top-k hits and ignored labels need one class a row.
    #[error("{what} need one true class a row")]
    NeedsClasses {
        /// What was asked for.
        what: &'static str,
    },
}

/// The logits, and the gradient if it is wanted.
pub(crate) enum Io<'a, 'g, T> {
    Apart { x: View<'a, T>, gradient: Option<ViewMut<'g, T>> },
    InPlace(ViewMut<'g, T>),
}

impl<T: Element> Io<'_, '_, T> {
    pub fn x(&self) -> View<'_, T> {
        match self {
            Self::Apart { x, .. } => *x,
            Self::InPlace(x) => x.as_view(),
        }
    }

    fn gradient(&mut self) -> Option<ViewMut<'_, T>> {
        match self {
            Self::Apart { gradient, .. } => gradient.as_mut().map(ViewMut::reborrow),
            Self::InPlace(x) => Some(x.reborrow()),
        }
    }

    fn wants_gradient(&self) -> bool {
        matches!(self, Self::Apart { gradient: Some(_), .. } | Self::InPlace(_))
    }

    /// The same value in the whole of a gradient's row.
    pub fn fill_row(&mut self, row: usize, value: T) {
        if let Some(mut gradient) = self.gradient() {
            if let Some(row) = gradient.row_mut(row) {
                row.fill(value);
            } else {
                for c in 0..gradient.n_cols() {
                    gradient.set(row, c, value);
                }
            }
        }
    }
}

/// Rows between two additions to the exact sums.
const BATCH: usize = 256;

/// Cross entropy of rows of logits against targets, and what else is [`Wanted`].
///
/// `x` is `n_samples x n_classes`, of f64, f32, f16 or bf16, in any layout. The kinds below f64 are taken at
/// their exact values and worked on in f32; options other than weights and `ignore`, and targets
/// other than classes, are worked on in f64. Nothing of the size of `x` is allocated.
///
/// Accuracy: the loss of a finite row is within 2.5 ulp of f32 from f32 (down to 2^-126), within 4
/// ulp of f64 from f64, and never negative. Infinite logits have their limits: the loss is infinite where the target
/// has -inf, 0 where it alone has +inf. Rows without a softmax are counted in
/// [`Total::undefined`] and their losses are NaN.
///
/// # Errors
/// A shape, label, target, weight or option that cannot be; found before any work is done.
///
/// # Example
/// ```
/// use xent::cross_entropy::{Gradient, Options, Scale, Target, Wanted, cross_entropy};
/// use xent::view::{View, ViewMut};
///
/// let logits = [20.0_f32, 0.0, /**/ 1.0, 2.0];
/// let x = View::rows_of(&logits, 2)?;
/// let target = Target::Classes(&[0, 0]);
/// let mut losses = [0.0; 2];
/// let mut gradient = [0.0_f32; 4];
/// let total = cross_entropy(
///     x,
///     target,
///     &Options::default(),
///     Wanted {
///         losses: Some(&mut losses),
///         gradient: Some(Gradient { into: ViewMut::rows_of(&mut gradient, 2)?, scale: Scale::All(0.5) }),
///         ..Wanted::default()
///     },
/// )?;
/// assert!((losses[0] / 2.0611536203143807e-9 - 1.0).abs() < 1e-6);
/// assert!((losses[1] - 1.3132616875182228).abs() < 1e-6);
/// assert!((gradient[3] - 0.5 * 0.7310586).abs() < 1e-6);
/// assert_eq!(total.mean()?, (losses[0] + losses[1]) / 2.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Sources: Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and softmax
/// functions", IMA J. Numer. Anal. 41 (2021); Szegedy et al., "Rethinking the Inception
/// architecture" (2016), for label smoothing; de Brébisson and Vincent, "The Z-loss" (2016).
pub fn cross_entropy<T: Element>(
    x: View<'_, T>,
    target: Target<'_, T>,
    options: &Options<'_>,
    wanted: Wanted<'_, T>,
) -> Result<Total, Problem> {
    let Wanted { losses, log_probabilities, ranks, gradient } = wanted;
    let (into, scale) = gradient.map_or((None, Scale::All(1.0)), |g| (Some(g.into), g.scale));
    if let Some(into) = &into {
        check_shape("gradient rows", into.n_rows(), x.n_rows())?;
        check_shape("gradient columns", into.n_cols(), x.n_cols())?;
    }
    let io = Io::Apart { x, gradient: into };
    run(io, target, options, Outputs { losses, log_probabilities, ranks, scale })
}

/// [`cross_entropy`] with the gradient written over the logits.
///
/// `wanted.gradient` is not looked at; the factor is `scale`. The bits are those of the gradient
/// written elsewhere.
///
/// # Errors
/// As [`cross_entropy`]; the logits are then untouched.
pub fn cross_entropy_in_place<T: Element>(
    x: ViewMut<'_, T>,
    target: Target<'_, T>,
    options: &Options<'_>,
    scale: Scale<'_>,
    wanted: Wanted<'_, T>,
) -> Result<Total, Problem> {
    let Wanted { losses, log_probabilities, ranks, .. } = wanted;
    run(Io::InPlace(x), target, options, Outputs { losses, log_probabilities, ranks, scale })
}

struct Outputs<'a> {
    losses: Option<&'a mut [f64]>,
    log_probabilities: Option<&'a mut [f64]>,
    ranks: Option<&'a mut [u32]>,
    scale: Scale<'a>,
}

fn run<T: Element>(
    io: Io<'_, '_, T>,
    target: Target<'_, T>,
    options: &Options<'_>,
    outputs: Outputs<'_>,
) -> Result<Total, Problem> {
    check(io.x().n_rows(), io.x().n_cols(), &target, options, &outputs)?;
    Ok(run_checked(io, target, options, outputs))
}

fn run_checked<T: Element>(
    mut io: Io<'_, '_, T>,
    target: Target<'_, T>,
    options: &Options<'_>,
    mut outputs: Outputs<'_>,
) -> Total {
    let (n, v) = (io.x().n_rows(), io.x().n_cols());
    let mut total = Total { top_k_hits: vec![0; options.top_k.len()], ..Total::default() };
    let plain = matches!(target, Target::Classes(_))
        && options.label_smoothing == 0.0
        && options.z_loss == 0.0
        && options.temperature == 1.0;
    let wants_gradient = io.wants_gradient();
    let wants_ranks = outputs.ranks.is_some() || !options.top_k.is_empty();
    let mut batch = Batch::new();
    let is_few = plain && !T::WIDE && few::are_few(v);
    let mut few = is_few.then(few::Scratch::new);
    let mut narrow = (plain && !T::WIDE && !is_few).then(hard::Scratch::<f32>::new);
    let mut wide = (plain && T::WIDE).then(hard::Scratch::<f64>::new);
    let mut general = (!plain).then(general::Scratch::new);
    for start in (0..n).step_by(BATCH) {
        let rows = start..n.min(start + BATCH);
        let scale = wants_gradient.then_some(&outputs.scale);
        batch.fill(rows.clone(), &target, options, scale);
        if plain {
            if let Some(weights) = options.class_weights {
                for i in 0..rows.len() {
                    batch.class_weight[i] = weights[batch.labels[i] as usize];
                    batch.scale[i] *= batch.class_weight[i];
                }
            }
            let wants = hard::Wants { ranks: wants_ranks, squares: false };
            if let Some(scratch) = &mut few {
                batch.finite = few::score(&mut io, rows.clone(), &mut batch, wants, scratch);
            }
            if let Some(scratch) = &mut narrow {
                hard::score(&mut io, rows.clone(), &mut batch, wants, scratch);
            }
            if let Some(scratch) = &mut wide {
                hard::score(&mut io, rows.clone(), &mut batch, wants, scratch);
            }
            if let Some(out) = &mut outputs.log_probabilities {
                for (i, row) in rows.clone().enumerate() {
                    out[row] = if batch.ignored[i] { 0.0 } else { 0.0 - batch.loss[i] };
                }
            }
            if options.class_weights.is_some() {
                batch.finite = false;
                for i in 0..rows.len() {
                    // 0 times infinity: a class of weight 0 has no loss.
                    let (weight, loss) = (batch.class_weight[i], batch.loss[i]);
                    let absent = weight == 0.0 && !loss.is_nan();
                    batch.loss[i] = if absent { 0.0 } else { weight * loss };
                }
            }
        } else if let Some(scratch) = &mut general {
            for (i, row) in rows.clone().enumerate() {
                if batch.ignored[i] {
                    if let Some(out) = &mut outputs.log_probabilities {
                        out[row] = 0.0;
                    }
                    continue;
                }
                let label = batch.labels[i];
                let aim = general::aim(&target, row, label, options, v);
                let done = general::score(&mut io, row, &aim, options, batch.scale[i], scratch);
                batch.loss[i] = done.loss;
                batch.class_weight[i] = aim.weight;
                if let Some(out) = &mut outputs.log_probabilities {
                    out[row] = done.log_probability;
                }
                if wants_ranks {
                    batch.rank[i] = done.rank;
                }
            }
        }
        let weighted = options.row_weights.is_some() || options.class_weights.is_some();
        if weighted || options.ignore.is_some() || matches!(outputs.scale, Scale::Rows(_)) {
            for i in 0..rows.len() {
                if batch.ignored[i] {
                    io.fill_row(start + i, T::default());
                    batch.loss[i] = 0.0;
                    batch.rank[i] = u32::MAX;
                } else if batch.is_absent(i) || (batch.scale[i] == 0.0 && !batch.loss[i].is_nan()) {
                    io.fill_row(start + i, T::default());
                }
            }
        }
        if let Some(out) = &mut outputs.losses {
            out[rows.clone()].copy_from_slice(&batch.loss[..rows.len()]);
        }
        if let Some(out) = &mut outputs.ranks {
            out[rows.clone()].copy_from_slice(&batch.rank[..rows.len()]);
        }
        total.add(&batch, rows.len(), start, weighted, options);
    }
    total
}

/// What is known of the rows between two additions to the sums.
struct Batch {
    labels: [u32; BATCH],
    ignored: [bool; BATCH],
    row_weight: [f64; BATCH],
    class_weight: [f64; BATCH],
    /// Factor of the gradient.
    scale: [f64; BATCH],
    loss: [f64; BATCH],
    /// Squared error of the softmax, where it is asked for.
    squared: [f64; BATCH],
    rank: [u32; BATCH],
    /// Whether all losses are known to be finite.
    finite: bool,
}

impl Batch {
    fn new() -> Box<Self> {
        Box::new(Self {
            labels: [0; BATCH],
            ignored: [false; BATCH],
            row_weight: [1.0; BATCH],
            class_weight: [1.0; BATCH],
            scale: [0.0; BATCH],
            loss: [0.0; BATCH],
            squared: [0.0; BATCH],
            rank: [0; BATCH],
            finite: false,
        })
    }

    /// Whether a row has the weight 0.
    fn is_absent(&self, i: usize) -> bool {
        self.row_weight[i] == 0.0 && !self.ignored[i]
    }

    /// What is known of some rows; the factors of the gradient only if it is wanted.
    fn fill<T>(
        &mut self,
        rows: Range<usize>,
        target: &Target<'_, T>,
        options: &Options<'_>,
        scale: Option<&Scale<'_>>,
    ) {
        let n = rows.len();
        match scale {
            Some(Scale::All(scale)) if rows.start == 0 || options.change_scales() => {
                self.scale.fill(*scale);
            }
            Some(Scale::Rows(scales)) => self.scale[..n].copy_from_slice(&scales[rows.clone()]),
            _ => {}
        }
        if let Some(weights) = options.row_weights {
            self.row_weight[..n].copy_from_slice(&weights[rows.clone()]);
            for (scale, weight) in self.scale[..n].iter_mut().zip(&weights[rows.clone()]) {
                *scale *= weight;
            }
        }
        if let Target::Classes(labels) = target {
            let labels = &labels[rows];
            simd::prefetch_lines(labels, n, n);
            self.labels[..n].copy_from_slice(labels);
            if let Some(ignore) = options.ignore {
                for i in 0..n {
                    self.ignored[i] = self.labels[i] == ignore;
                    if self.ignored[i] {
                        self.labels[i] = 0;
                        self.scale[i] = 0.0;
                    }
                }
            }
        }
    }
}

impl Total {
    fn add(
        &mut self,
        batch: &Batch,
        n: usize,
        start: usize,
        weighted: bool,
        options: &Options<'_>,
    ) {
        let losses = &batch.loss[..n];
        let ignored = match options.ignore {
            Some(_) => batch.ignored[..n].iter().filter(|&&i| i).count(),
            None => 0,
        };
        let absent = match options.row_weights {
            Some(_) => (0..n).filter(|&i| batch.is_absent(i)).count(),
            None => 0,
        };
        self.ignored += ignored as u64;
        self.absent += absent as u64;
        self.used += (n - ignored - absent) as u64;
        if !batch.finite && !are_finite(losses) {
            for i in (0..n).filter(|&i| !losses[i].is_finite() && !batch.is_absent(i)) {
                if losses[i].is_nan() {
                    self.undefined += 1;
                    self.first_undefined = self.first_undefined.or(Some(start + i));
                } else {
                    self.infinite += 1;
                }
            }
        }
        if weighted {
            for i in (0..n).filter(|&i| !batch.ignored[i] && !batch.is_absent(i)) {
                let weight = batch.row_weight[i];
                self.loss.add_product(weight, losses[i]);
                self.weight.add_product(weight, batch.class_weight[i]);
            }
        } else {
            // An ignored row has a loss of 0.
            self.loss.add_slice(losses);
            self.weight.add((n - ignored) as f64);
        }
        for (hits, &k) in self.top_k_hits.iter_mut().zip(options.top_k) {
            let hit = |&i: &usize| batch.rank[i] < k && (absent == 0 || !batch.is_absent(i));
            *hits += (0..n).filter(hit).count() as u64;
        }
    }
}

pub(crate) fn check_shape(what: &'static str, given: usize, wanted: usize) -> Result<(), Problem> {
    if given == wanted { Ok(()) } else { Err(Problem::Shape { what, given, wanted }) }
}

pub(crate) fn check_labels(labels: &[u32], v: usize, ignore: Option<u32>) -> Result<(), Problem> {
    if labels.is_empty() || (largest_label(labels) as usize) < v {
        return Ok(());
    }
    let wrong = |label: u32| label as usize >= v && ignore != Some(label);
    labels
        .iter()
        .position(|&label| wrong(label))
        .map_or(Ok(()), |row| Err(Problem::Label { row, label: labels[row], n_classes: v }))
}

pub(crate) fn check_weights(what: &'static str, weights: &[f64]) -> Result<(), Problem> {
    let wrong = |w: f64| !(0.0..f64::INFINITY).contains(&w);
    weights
        .iter()
        .position(|&w| wrong(w))
        .map_or(Ok(()), |index| Err(Problem::Weight { what, index, value: weights[index] }))
}

fn check<T: Element>(
    n: usize,
    v: usize,
    target: &Target<'_, T>,
    options: &Options<'_>,
    outputs: &Outputs<'_>,
) -> Result<(), Problem> {
    if n > 0 && v == 0 {
        return Err(Problem::NoClasses);
    }
    for (name, value, ok, range) in [
        (
            "label smoothing",
            options.label_smoothing,
            (0.0..=1.0).contains(&options.label_smoothing),
            "in [0, 1]",
        ),
        (
            "z-loss",
            options.z_loss,
            (0.0..f64::INFINITY).contains(&options.z_loss),
            "finite and at least 0",
        ),
        (
            "temperature",
            options.temperature,
            options.temperature > 0.0 && options.temperature < f64::INFINITY,
            "finite and above 0",
        ),
    ] {
        if !ok {
            return Err(Problem::Option { name, value, range });
        }
    }
    if let Some(weights) = options.class_weights {
        check_shape("class weights", weights.len(), v)?;
        check_weights("class weight", weights)?;
    }
    if let Some(weights) = options.row_weights {
        check_shape("row weights", weights.len(), n)?;
        check_weights("row weight", weights)?;
    }
    if let Scale::Rows(scales) = outputs.scale {
        check_shape("gradient scales", scales.len(), n)?;
    }
    for (what, given) in [
        ("losses", outputs.losses.as_ref().map(|o| o.len())),
        ("log-probabilities", outputs.log_probabilities.as_ref().map(|o| o.len())),
        ("ranks", outputs.ranks.as_ref().map(|o| o.len())),
    ] {
        check_shape(what, given.unwrap_or(n), n)?;
    }
    if !matches!(target, Target::Classes(_)) {
        for (what, asked) in [
            ("log-probabilities", outputs.log_probabilities.is_some()),
            ("ranks", outputs.ranks.is_some()),
            ("top-k hits", !options.top_k.is_empty()),
            ("ignored labels", options.ignore.is_some()),
        ] {
            if asked {
                return Err(Problem::NeedsClasses { what });
            }
        }
    }
    match *target {
        Target::Classes(labels) => {
            check_shape("labels", labels.len(), n)?;
            check_labels(labels, v, options.ignore)
        }
        Target::TwoClasses { first, second, share } => {
            for (what, given) in [
                ("first labels", first.len()),
                ("second labels", second.len()),
                ("shares", share.len()),
            ] {
                check_shape(what, given, n)?;
            }
            check_labels(first, v, None)?;
            check_labels(second, v, None)?;
            share.iter().position(|s| !(0.0..=1.0).contains(s)).map_or(Ok(()), |row| {
                Err(Problem::Target { row, class: first[row] as usize, value: share[row] })
            })
        }
        Target::Distributions(t) => {
            check_shape("target rows", t.n_rows(), n)?;
            check_shape("target columns", t.n_cols(), v)?;
            for row in 0..n {
                check_distribution(row, (0..v).map(|c| (c, t.get(row, c).to_f64())))?;
            }
            Ok(())
        }
        Target::Sparse { offsets, classes, probabilities } => {
            check_shape("offsets", offsets.len(), n + 1)?;
            check_shape("target probabilities", probabilities.len(), classes.len())?;
            if offsets[0] != 0 || (n == 0 && !classes.is_empty()) {
                return Err(Problem::Offsets { row: 0 });
            }
            for row in 0..n {
                let (from, to) = (offsets[row], offsets[row + 1]);
                if from > to || to > classes.len() || (row + 1 == n && to != classes.len()) {
                    return Err(Problem::Offsets { row });
                }
                for &label in &classes[from..to] {
                    if label as usize >= v {
                        return Err(Problem::Label { row, label, n_classes: v });
                    }
                }
                let pairs = classes[from..to].iter().zip(&probabilities[from..to]);
                check_distribution(row, pairs.map(|(&c, &p)| (c as usize, p)))?;
            }
            Ok(())
        }
    }
}

fn check_distribution(
    row: usize,
    pairs: impl Iterator<Item = (usize, f64)>,
) -> Result<(), Problem> {
    let mut sum = 0.0;
    for (class, value) in pairs {
        if !(0.0..=1.0).contains(&value) {
            return Err(Problem::Target { row, class, value });
        }
        sum += value;
    }
    if crate::rows::is_far(sum, crate::rows::SUM_ERROR) {
        return Err(Problem::TargetSum { row, sum });
    }
    Ok(())
}

#[cfg(test)]
#[path = "cross_entropy_tests.rs"]
mod tests;
