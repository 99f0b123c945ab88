//! Two or more models on the same rows: which is better, by how much, and whether it could be luck.

use crate::exact::ExactSum;
use crate::moments::{Difference, Estimate, PairMoments};
use crate::rows::{RowScores, Target};
use crate::score::{Keep, Rows, ScoreState, Scores};
use crate::special;

/// A score by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Score {
    /// Share of rows whose top class is not the true one.
    ErrorRate,
    /// Squared error summed over the classes, 0 to 2.
    Mse,
    /// Half of it, 0 to 1.
    BrierHalf,
    /// Mean cross entropy, bits.
    CrossEntropy,
    /// Mean cross entropy, nats.
    LogLoss,
    /// Exponential of the log loss.
    Perplexity,
    /// Share of rows whose true class is not among the first k.
    TopK(u32),
}

impl Score {
    /// Its key in the JSON contract: `error_rate`, `mse`, ..., `top_3_error`.
    pub fn key(self) -> String {
        match self {
            Self::ErrorRate => "error_rate".into(),
            Self::Mse => "mse".into(),
            Self::BrierHalf => "brier_half".into(),
            Self::CrossEntropy => "cross_entropy".into(),
            Self::LogLoss => "log_loss".into(),
            Self::Perplexity => "perplexity".into(),
            Self::TopK(k) => format!("top_{k}_error"),
        }
    }
}

/// The test behind a p-value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// Paired t-test on the per-row losses.
    PairedT,
    /// Exact sign test, where all rows differ by the same amount.
    SignExact,
    /// Exact McNemar test: the rows on which only one of the two is right, against a fair coin.
    McNemarExact,
    /// None: a difference of infinite losses, or too few rows.
    None,
}

impl Test {
    /// Its name in the JSON contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::PairedT => "paired t",
            Self::SignExact => "exact sign",
            Self::McNemarExact => "exact McNemar",
            Self::None => "none",
        }
    }
}

/// The exact sums of two or more models over the same rows.
///
/// The first model is the baseline that the others are compared with. Mergeable and order-free.
///
/// # Example
///
/// ```
/// use xent::compare::{Comparison, Score};
/// use xent::rows::{Matrix, RowScores, Rules, Target};
/// use xent::score::Keep;
///
/// let model1 = [0.3, 0.3, 0.4, /**/ 0.3, 0.4, 0.3, /**/ 0.1, 0.2, 0.7];
/// let model2 = [0.1, 0.2, 0.7, /**/ 0.1, 0.7, 0.2, /**/ 0.3, 0.4, 0.3];
/// let target = Target::Classes(&[2, 1, 0]);
/// let mut rows = [RowScores::default(), RowScores::default()];
/// for (rows, values) in rows.iter_mut().zip([&model1, &model2]) {
///     rows.score(Matrix::Rows { values, width: 3 }, target, &Rules::default())?;
/// }
/// let mut comparison = Comparison::new(2, 3, Keep::default());
/// comparison.update(&rows.each_ref(), target, None);
/// let differences = comparison.finish(&[], 0.95);
/// let bits = differences.iter().find(|d| d.score == Score::CrossEntropy).unwrap();
/// assert_eq!(format!("{:.3}", bits.estimate.value), "-1.067");
/// # Ok::<(), xent::rows::RowProblem>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    models: Vec<ScoreState>,
    pairs: Vec<Pair>,
}

/// The sums of one model and the baseline.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pair {
    error: PairMoments,
    squared_error: PairMoments,
    /// Rows on which both losses are finite.
    log_loss: PairMoments,
    top_k: Vec<PairMoments>,
    /// Where only one of the two is wrong: at the top class, then for each of `top_k`.
    discordant: Vec<Discordant>,
    /// Rows on which only the model, only the baseline, both have infinite loss.
    infinite: [u64; 3],
    soft: bool,
}

/// Weight of the rows on which only one of the two is wrong.
#[derive(Clone, Debug, Default, PartialEq)]
struct Discordant {
    model: ExactSum,
    baseline: ExactSum,
}

impl Discordant {
    fn add(&mut self, model: &[f64], baseline: &[f64], weights: Option<&[f64]>) {
        for (i, (&a, &b)) in model.iter().zip(baseline).enumerate() {
            let w = weights.map_or(1.0, |w| w[i]);
            if a > b {
                self.model.add(w);
            } else if b > a {
                self.baseline.add(w);
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.model.merge(&other.model);
        self.baseline.merge(&other.baseline);
    }

    /// The exact McNemar test of zero-one errors, which must be counts.
    fn p(&self) -> f64 {
        let (b, c) = (self.model.value(), self.baseline.value());
        special::binomial_two_sided_half(b.min(c) as u64, (b + c) as u64)
    }
}

/// One score of one model against the baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreDifference {
    /// The model, counted from 0; the baseline is model 0.
    pub model: usize,
    /// The score.
    pub score: Score,
    /// Model minus baseline: negative where the model is better.
    pub estimate: Estimate,
    /// Two-sided p-value; NaN if there is no test.
    pub p: f64,
    /// The same after Holm's adjustment over the models.
    pub p_adjusted: f64,
    /// The test.
    pub test: Test,
    /// Skewness of the per-row differences; NaN without spread.
    pub skewness: f64,
    /// Where infinite losses make the difference infinite or undefined: the difference over the rows
    /// on which both are finite.
    pub finite: Option<Difference>,
}

impl ScoreDifference {
    /// Whether a difference is shown at the level (0.95): its adjusted p is below 0.05.
    pub fn is_shown(&self, level: f64) -> bool {
        self.p_adjusted <= 1.0 - level
    }
}

impl Comparison {
    /// A comparison of `n_models` models without rows.
    pub fn new(n_models: usize, n_classes: usize, keep: Keep) -> Self {
        Self {
            models: vec![ScoreState::new(n_classes, keep); n_models],
            pairs: vec![Pair::default(); n_models.saturating_sub(1)],
        }
    }

    /// Adds a batch: the same rows under each model.
    ///
    /// # Panics
    ///
    /// If there is not one [`RowScores`] a model, or they differ in length.
    pub fn update(&mut self, rows: &[&RowScores], target: Target<'_>, weights: Option<&[f64]>) {
        assert_eq!(rows.len(), self.models.len(), "one batch of rows a model");
        assert!(rows.iter().all(|r| r.len() == rows[0].len()), "models differ in rows");
        if let Some(w) = weights
            && w.contains(&0.0)
        {
            let present: Vec<usize> = (0..w.len()).filter(|&i| w[i] != 0.0).collect();
            let some = Rows::new(target).take(&present);
            let w: Vec<f64> = present.iter().map(|&i| w[i]).collect();
            let taken: Vec<RowScores> = rows.iter().map(|r| r.take(&present)).collect();
            return self.add(&taken.iter().collect::<Vec<_>>(), some.target(), Some(&w));
        }
        self.add(rows, target, weights);
    }

    fn add(&mut self, rows: &[&RowScores], target: Target<'_>, weights: Option<&[f64]>) {
        for (model, rows) in self.models.iter_mut().zip(rows) {
            model.add(rows, target, weights);
        }
        let soft = !matches!(target, Target::Classes(_));
        for (pair, model) in self.pairs.iter_mut().zip(&rows[1..]) {
            pair.soft |= soft;
            pair.add(model, rows[0], weights);
        }
    }

    /// Adds the rows of another comparison of the same models.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.models.iter_mut().zip(&other.models) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.pairs.iter_mut().zip(&other.pairs) {
            mine.merge(theirs);
        }
    }

    /// Takes over what is decided for a whole table of which these rows are a part.
    pub fn adopt(&mut self, table: &Self) {
        for (mine, theirs) in self.models.iter_mut().zip(&table.models) {
            mine.adopt(theirs);
        }
        for (mine, theirs) in self.pairs.iter_mut().zip(&table.pairs) {
            mine.soft |= theirs.soft;
            if theirs.error.weights().is_fractional() {
                mine.mark_importances();
            }
        }
    }

    /// The state of each model.
    pub fn models(&self) -> &[ScoreState] {
        &self.models
    }

    /// The differences of every model from the baseline, score by score in the order of [`Score`];
    /// `top_k` are the k of the rules.
    pub fn finish(&self, top_k: &[u32], level: f64) -> Vec<ScoreDifference> {
        let mut all: Vec<Vec<ScoreDifference>> = Vec::new();
        for (i, pair) in self.pairs.iter().enumerate() {
            let scores = [self.models[i + 1].finish(level), self.models[0].finish(level)];
            all.push(pair.finish(i + 1, &scores, top_k, level));
        }
        // Holm over the models, each score by itself.
        let n_scores = all.first().map_or(0, Vec::len);
        for s in 0..n_scores {
            let p: Vec<f64> = all.iter().map(|differences| differences[s].p).collect();
            for (differences, adjusted) in all.iter_mut().zip(special::holm(&p)) {
                differences[s].p_adjusted = adjusted;
            }
        }
        all.concat()
    }
}

impl Pair {
    fn add(&mut self, model: &RowScores, baseline: &RowScores, weights: Option<&[f64]>) {
        self.error.add(&model.error, &baseline.error, weights);
        self.squared_error.add(&model.squared_error, &baseline.squared_error, weights);
        self.top_k.resize(model.top_k.len(), PairMoments::default());
        for (i, moments) in self.top_k.iter_mut().enumerate() {
            moments.add(&model.top_k[i], &baseline.top_k[i], weights);
        }
        self.discordant.resize(1 + model.top_k.len(), Discordant::default());
        let errors = std::iter::once((&model.error, &baseline.error));
        let errors = errors.chain(model.top_k.iter().zip(&baseline.top_k));
        for (discordant, (a, b)) in self.discordant.iter_mut().zip(errors) {
            discordant.add(a, b, weights);
        }
        if self.error.weights().is_fractional() {
            self.mark_importances();
        }
        let (a, b) = (&model.log_loss, &baseline.log_loss);
        if a.iter().chain(b).all(|x| x.is_finite()) {
            return self.log_loss.add(a, b, weights);
        }
        let mut finite: (Vec<f64>, Vec<f64>, Vec<f64>) = Default::default();
        for i in 0..a.len() {
            match (a[i].is_finite(), b[i].is_finite()) {
                (true, true) => {
                    finite.0.push(a[i]);
                    finite.1.push(b[i]);
                    finite.2.push(weights.map_or(1.0, |w| w[i]));
                }
                (false, true) => self.infinite[0] += 1,
                (true, false) => self.infinite[1] += 1,
                (false, false) => self.infinite[2] += 1,
            }
        }
        self.log_loss.add(&finite.0, &finite.1, weights.map(|_| finite.2.as_slice()));
    }

    fn merge(&mut self, other: &Self) {
        self.error.merge(&other.error);
        self.squared_error.merge(&other.squared_error);
        self.log_loss.merge(&other.log_loss);
        self.top_k.resize(self.top_k.len().max(other.top_k.len()), PairMoments::default());
        for (mine, theirs) in self.top_k.iter_mut().zip(&other.top_k) {
            mine.merge(theirs);
        }
        let n = self.discordant.len().max(other.discordant.len());
        self.discordant.resize(n, Discordant::default());
        for (mine, theirs) in self.discordant.iter_mut().zip(&other.discordant) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.infinite.iter_mut().zip(other.infinite) {
            *mine += theirs;
        }
        self.soft |= other.soft;
        if self.error.weights().is_fractional() {
            self.mark_importances();
        }
    }

    fn mark_importances(&mut self) {
        let three = [&mut self.error, &mut self.squared_error, &mut self.log_loss];
        three.into_iter().chain(&mut self.top_k).for_each(PairMoments::mark_importances);
    }

    fn finish(
        &self,
        model: usize,
        scores: &[Scores; 2],
        top_k: &[u32],
        level: f64,
    ) -> Vec<ScoreDifference> {
        let plain = |score: Score, d: Difference, test: Test| {
            let test = match (d.p.is_nan(), d.has_spread || d.estimate.value == 0.0) {
                (true, _) => Test::None,
                (false, false) => Test::SignExact,
                (false, true) => test,
            };
            ScoreDifference {
                model,
                score,
                estimate: d.estimate,
                p: d.p,
                p_adjusted: d.p,
                test,
                skewness: d.skewness,
                finite: None,
            }
        };
        let zero_one = |score: Score, moments: &PairMoments, discordant: Option<&Discordant>| {
            let mut result = plain(score, moments.difference(level), Test::PairedT);
            if let Some(discordant) = discordant
                && !self.soft
                && !moments.weights().is_fractional()
            {
                result.p = discordant.p();
                result.p_adjusted = result.p;
                result.test = Test::McNemarExact;
            }
            result
        };
        let error = zero_one(Score::ErrorRate, &self.error, self.discordant.first());
        let mse = plain(Score::Mse, self.squared_error.difference(level), Test::PairedT);
        let mut brier = mse.clone();
        brier.score = Score::BrierHalf;
        brier.estimate = brier.estimate.scaled(0.5);
        let log_loss = self.finish_log_loss(&plain, level);
        let mut bits = log_loss.clone();
        bits.score = Score::CrossEntropy;
        bits.estimate = bits.estimate.in_bits();
        if let Some(finite) = &mut bits.finite {
            finite.estimate = finite.estimate.in_bits();
        }
        let perplexity = self.finish_perplexity(&log_loss, scores, level);
        let mut all = vec![error, mse, brier, bits, log_loss, perplexity];
        for (i, (moments, &k)) in self.top_k.iter().zip(top_k).enumerate() {
            all.push(zero_one(Score::TopK(k), moments, self.discordant.get(i + 1)));
        }
        all
    }

    fn finish_log_loss(
        &self,
        plain: &dyn Fn(Score, Difference, Test) -> ScoreDifference,
        level: f64,
    ) -> ScoreDifference {
        let finite = self.log_loss.difference(level);
        let mut result = plain(Score::LogLoss, finite, Test::PairedT);
        let value = match self.infinite {
            [0, 0, 0] => return result,
            [_, 0, 0] => f64::INFINITY,
            [0, _, 0] => f64::NEG_INFINITY,
            // Infinity minus infinity has no value.
            _ => f64::NAN,
        };
        result.estimate = Estimate::without_error(value);
        (result.p, result.p_adjusted, result.test) = (f64::NAN, f64::NAN, Test::None);
        result.finite = Some(finite);
        result
    }

    /// The difference of the exponentials by the delta method; its p is that of the log loss, since
    /// the two are zero together.
    fn finish_perplexity(
        &self,
        log_loss: &ScoreDifference,
        scores: &[Scores; 2],
        level: f64,
    ) -> ScoreDifference {
        let mut result = log_loss.clone();
        result.score = Score::Perplexity;
        result.finite = None;
        let [a, b] = scores.each_ref().map(|s| s.perplexity().value);
        result.estimate = if log_loss.finite.is_some() {
            // An infinite perplexity is one of an infinite loss.
            Estimate::without_error(log_loss.estimate.value)
        } else if !(a - b).is_finite() {
            // The exponential of a large loss: there is a log loss to compare, but no perplexity.
            (result.p, result.p_adjusted, result.test) = (f64::NAN, f64::NAN, Test::None);
            Estimate::without_error(a - b)
        } else {
            let spread = self.log_loss.contrast(a, b, level).estimate;
            let df = self.log_loss.weights().effective() - 1.0;
            Estimate::student(a - b, spread.se, df, level)
        };
        result
    }
}

/// Whether the paired t-test on `n` rows may be trusted with differences of this skewness: Cochran's
/// rule, `n > 25 skewness^2` (Sampling Techniques, 1977, 2.15), and at least 30 rows.
pub fn is_normal_enough(n: f64, skewness: f64) -> bool {
    n >= 30.0 && (skewness.is_nan() || n > 25.0 * skewness * skewness)
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
