//! Conditions that turn a result into exit code 1.

use xent::score::Scores;
use xent_eval::{ModelScore, Options};

use crate::Failure;

/// A condition on a model's score, such as `cross_entropy > 1.2`.
pub struct Condition {
    text: String,
    score: String,
    above: bool,
    or_equal: bool,
    bound: f64,
}

const SCORES: [&str; 6] =
    ["error_rate", "mse", "brier_half", "cross_entropy", "log_loss", "perplexity"];

impl Condition {
    /// Reads `SCORE OP NUMBER`, OP one of `>`, `>=`, `<`, `<=`.
    pub fn parse(text: &str, options: &Options) -> Result<Self, Failure> {
        let bad = |what: &str| {
            Failure::usage(format!("the condition {text:?} {what}")).with_hint(
                "write a score, a comparison and a number, as in --fail-if 'cross_entropy > 1.2'",
            )
        };
        let at = text.find(['<', '>']).ok_or_else(|| bad("has no < or >"))?;
        let (score, rest) = text.split_at(at);
        let above = rest.starts_with('>');
        let rest = &rest[1..];
        let or_equal = rest.starts_with('=');
        let number = rest.trim_start_matches('=').trim();
        let bound: f64 = number.parse().map_err(|_| bad("does not end in a number"))?;
        if bound.is_nan() {
            return Err(bad("does not end in a number"));
        }
        let score = score.trim().to_owned();
        let top_k = options.rules.top_k.iter().any(|k| score == format!("top_{k}_error"));
        if !SCORES.contains(&score.as_str()) && !top_k {
            return Err(Failure::usage(format!(
                "there is no score {score:?} in the condition {text:?}"
            ))
            .with_hint(format!(
                "the scores are {} and, with --top-k, top_K_error",
                SCORES.join(", ")
            )));
        }
        Ok(Self { text: text.to_owned(), score, above, or_equal, bound })
    }

    fn value(&self, scores: &Scores, options: &Options) -> f64 {
        match self.score.as_str() {
            "error_rate" => scores.error_rate.value,
            "mse" => scores.mse.value,
            "brier_half" => scores.brier_half().value,
            "cross_entropy" => scores.cross_entropy().value,
            "log_loss" => scores.log_loss.value,
            "perplexity" => scores.perplexity().value,
            other => options
                .rules
                .top_k
                .iter()
                .position(|k| other == format!("top_{k}_error"))
                .and_then(|i| scores.top_k_error.get(i))
                .map_or(f64::NAN, |e| e.value),
        }
    }

    /// What to say of a model for which the condition holds.
    pub fn holds(&self, model: &ModelScore, options: &Options) -> Option<String> {
        let value = self.value(&model.scores, options);
        let holds = match (self.above, self.or_equal) {
            (true, false) => value > self.bound,
            (true, true) => value >= self.bound,
            (false, false) => value < self.bound,
            (false, true) => value <= self.bound,
        };
        holds.then(|| {
            format!("failed: {} of {} is {value:.6}: {}", self.score, model.name, self.text)
        })
    }
}
