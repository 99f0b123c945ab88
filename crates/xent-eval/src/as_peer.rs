//! What other tools would print for the same rows, and why it differs.
//!
//! Each of them takes the numbers as they are, so the rules must not change them. Rows are added in their order; sums are exact.
//!
//! | tool | what is reproduced | where |
//! |---|---|---|
//! | scikit-learn 1.9 | `log_loss`, `brier_score_loss`, `accuracy_score`, `d2_log_loss_score` | `sklearn/metrics/_classification.py` |
//! | yardstick 1.4 | `mn_log_loss`, `brier_class`, `accuracy` | `R/prob-mn_log_loss.R`, `R/prob-brier_class.R` |
//! | torchmetrics 1.9 | `accuracy`, `multiclass_accuracy`, `calibration_error` | `torchmetrics/functional/classification/` |
//!
//! scikit-learn and torchmetrics have been run on the same files (`tools/golden_as.py`); yardstick, which is R, has been read.

use std::collections::BTreeMap;

use xent::exact::ExactSum;

use crate::block::{Block, OwnedTarget};
use crate::error::Error;
use crate::score::ModelScore;
use crate::worst::probabilities;

/// A tool whose numbers are reproduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// scikit-learn, in Python.
    Sklearn,
    /// yardstick, in R.
    Yardstick,
    /// torchmetrics, in Python.
    Torchmetrics,
}

impl Peer {
    /// The tool and the version that is reproduced.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sklearn => "scikit-learn 1.9",
            Self::Yardstick => "yardstick 1.4",
            Self::Torchmetrics => "torchmetrics 1.9",
        }
    }
}

/// A number of another tool.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerScore {
    /// The function that gives it.
    pub function: &'static str,
    /// What it gives.
    pub value: f64,
    /// The key of the score that xent gives for it.
    pub score: Option<&'static str>,
    /// xent's score.
    pub ours: f64,
    /// Why the two differ, or that they do not.
    pub reason: String,
}

/// The numpy and R epsilon of f64, at which scikit-learn and yardstick clip probabilities.
const EPSILON: f64 = f64::EPSILON;
/// The exponential of a weight would overflow: weights are taken relative to the multiple of this below them.
const OCTAVE: f64 = 256.0;
/// Bins of torchmetrics' calibration error.
const BINS: usize = 15;

/// What the tool adds up for one model.
#[derive(Clone, Debug)]
pub struct PeerState {
    peer: Peer,
    n_classes: usize,
    /// Sums of weights and of weighted clipped losses.
    weight: ExactSum,
    clipped_loss: ExactSum,
    clipped_rows: u64,
    /// Sums of exp(weight), plain and times the squared error, of weights in each [`OCTAVE`], relative to its lower end.
    softened: BTreeMap<i64, [ExactSum; 2]>,
    /// Of each class: rows that are, that are predicted, that are both.
    classes: Vec<[u64; 3]>,
    bins: Vec<Bin>,
}

#[derive(Clone, Debug, Default)]
struct Bin {
    rows: u64,
    hits: u64,
    confidence: ExactSum,
}

impl PeerState {
    /// The state of no rows.
    pub fn new(peer: Peer, n_classes: usize) -> Self {
        Self {
            peer,
            n_classes,
            weight: ExactSum::new(),
            clipped_loss: ExactSum::new(),
            clipped_rows: 0,
            softened: BTreeMap::new(),
            classes: vec![[0; 3]; n_classes],
            // What is exactly 1 has a bin of its own.
            bins: vec![Bin::default(); BINS + 1],
        }
    }

    /// Adds the rows of a block under model `model`.
    ///
    /// # Errors
    ///
    /// Soft targets, which none of the tools takes.
    pub fn update(&mut self, block: &Block, model: usize) -> Result<(), Error> {
        let OwnedTarget::Classes(labels) = &block.target else {
            return Err(Error::new(format!(
                "{} takes one class a row, and a target is a distribution",
                self.peer.name()
            ))
            .with_hint("score soft targets without --as"));
        };
        let (scores, predictions) = (&block.scores[model], &block.predictions[model]);
        let (least, most) = (-(-EPSILON).ln_1p(), -EPSILON.ln());
        let mut row = vec![0.0; predictions.width()];
        for i in 0..block.rows {
            if block.absent.as_ref().is_some_and(|a| a[i]) {
                continue;
            }
            let w = block.weights.as_ref().map_or(1.0, |w| w[i]);
            let loss = scores.log_loss[i];
            self.weight.add(w);
            self.clipped_loss.add_product(w, loss.clamp(least, most));
            self.clipped_rows += u64::from(loss > most && w > 0.0);
            let octave = (w / OCTAVE).floor();
            let softened = (w - octave * OCTAVE).exp();
            let sums = self.softened.entry(octave as i64).or_default();
            sums[0].add(softened);
            sums[1].add_product(softened, scores.squared_error[i]);
            let (label, top) = (labels[i] as usize, scores.predicted[i] as usize);
            self.classes[label][0] += 1;
            self.classes[top][1] += 1;
            self.classes[top][2] += u64::from(label == top);
            if self.peer != Peer::Torchmetrics {
                continue;
            }
            predictions.row_in(i, &mut row);
            let p = probabilities(predictions.input(), &row);
            // Of several classes the confidence becomes a float32, and the edges with it; of two it stays what it is.
            let (confidence, hit, at) = if self.n_classes == 2 {
                let at = (1..=BINS).take_while(|&i| edge(i) <= p[1]).count();
                (p[1], label == 1, at)
            } else {
                let single = p[top] as f32;
                let at = (1..=BINS).take_while(|&i| edge_single(i) <= single).count();
                (f64::from(single), label == top, at)
            };
            let bin = &mut self.bins[at];
            bin.rows += 1;
            bin.hits += u64::from(hit);
            bin.confidence.add(confidence);
        }
        Ok(())
    }

    /// The tool's numbers beside those of xent.
    pub fn finish(&self, model: &ModelScore) -> Vec<PeerScore> {
        match self.peer {
            Peer::Sklearn => self.sklearn(model),
            Peer::Yardstick => self.yardstick(model),
            Peer::Torchmetrics => self.torchmetrics(model),
        }
    }

    fn sklearn(&self, model: &ModelScore) -> Vec<PeerScore> {
        let (scores, base) = (&model.scores, &model.baseline);
        let log_loss = self.log_loss();
        let halved = self.n_classes == 2;
        // With one class there is no entropy to explain.
        let explained = |loss: f64| 1.0 - loss / base.log_loss.value;
        let mut why = self.clipping();
        if scores.notes.rounded_sums > 0 {
            why.push_str("; warns that rows do not sum to 1, and scores them as they are");
        }
        vec![
            PeerScore {
                function: "log_loss",
                value: log_loss,
                score: Some("log_loss"),
                ours: scores.log_loss.value,
                reason: why,
            },
            PeerScore {
                function: "brier_score_loss",
                value: if halved { scores.brier_half().value } else { scores.mse.value },
                score: Some("mse"),
                ours: scores.mse.value,
                reason: if halved {
                    "halves the sum over the classes where there are two".to_owned()
                } else {
                    "the same: the sum over the classes, 0 to 2".to_owned()
                },
            },
            PeerScore {
                function: "accuracy_score",
                value: 1.0 - scores.error_rate.value,
                score: Some("error_rate"),
                ours: scores.error_rate.value,
                reason: "1 - error rate, of the top class".to_owned(),
            },
            PeerScore {
                function: "d2_log_loss_score",
                value: explained(log_loss),
                score: Some("entropy_explained"),
                ours: explained(scores.log_loss.value),
                reason: self.clipping(),
            },
        ]
    }

    fn yardstick(&self, model: &ModelScore) -> Vec<PeerScore> {
        let scores = &model.scores;
        let weighted = model.shape.weight.is_some();
        vec![
            PeerScore {
                function: "mn_log_loss",
                value: self.log_loss(),
                score: Some("log_loss"),
                ours: scores.log_loss.value,
                reason: self.clipping(),
            },
            PeerScore {
                function: "brier_class",
                value: if weighted { self.softened_brier() } else { scores.brier_half().value },
                score: Some("mse"),
                ours: scores.mse.value,
                reason: if weighted {
                    "halves the sum over the classes, and takes exp(weight) for the weight"
                } else {
                    "halves the sum over the classes"
                }
                .to_owned(),
            },
            PeerScore {
                function: "accuracy",
                value: 1.0 - scores.error_rate.value,
                score: Some("error_rate"),
                ours: scores.error_rate.value,
                reason: "1 - error rate, of the top class".to_owned(),
            },
        ]
    }

    fn torchmetrics(&self, model: &ModelScore) -> Vec<PeerScore> {
        let scores = &model.scores;
        let rows: u64 = self.classes.iter().map(|c| c[0]).sum();
        let hits: u64 = self.classes.iter().map(|c| c[2]).sum();
        let every = if model.shape.weight.is_some() { "; knows no weights" } else { "" };
        let binary = self.n_classes == 2;
        let mut all = vec![PeerScore {
            function: if binary { "binary_accuracy" } else { "accuracy(task=\"multiclass\")" },
            value: hits as f64 / rows as f64,
            score: Some("error_rate"),
            ours: scores.error_rate.value,
            reason: format!("1 - error rate, of the top class{every}"),
        }];
        if !binary {
            // A class that neither occurs nor is predicted is left out; one that is only predicted counts as 0.
            let seen: Vec<&[u64; 3]> = self.classes.iter().filter(|c| c[0] + c[1] > 0).collect();
            let recall = |c: &&[u64; 3]| if c[0] == 0 { 0.0 } else { c[2] as f64 / c[0] as f64 };
            all.push(PeerScore {
                function: "multiclass_accuracy",
                value: seen.iter().map(recall).sum::<f64>() / seen.len() as f64,
                score: Some("error_rate"),
                ours: scores.error_rate.value,
                reason: format!("the mean over the classes of the share found{every}"),
            });
        }
        let mut error = 0.0;
        for bin in self.bins.iter().filter(|bin| bin.rows > 0) {
            let n = bin.rows as f64;
            let gap = bin.hits as f64 / n - bin.confidence.value() / n;
            error += gap.abs() * n / rows as f64;
        }
        let of = if binary {
            format!("of class {}", model.classes[1])
        } else {
            "of the top class".to_owned()
        };
        all.push(PeerScore {
            function: "calibration_error",
            value: error,
            score: None,
            ours: f64::NAN,
            reason: format!("{BINS} bins of equal width {of}, 1.0 in a bin of its own{every}"),
        });
        all
    }

    /// Mean loss, nats, of probabilities clipped at both ends.
    fn log_loss(&self) -> f64 {
        self.clipped_loss.value() / self.weight.value()
    }

    /// Half the mean squared error, each row weighted by exp(weight).
    fn softened_brier(&self) -> f64 {
        let highest = self.softened.keys().last().copied().unwrap_or_default();
        let (mut weight, mut squares) = (0.0, 0.0);
        for (octave, sums) in &self.softened {
            let scale = ((octave - highest) as f64 * OCTAVE).exp();
            weight += scale * sums[0].value();
            squares += scale * sums[1].value();
        }
        squares / weight / 2.0
    }

    fn clipping(&self) -> String {
        match self.clipped_rows {
            0 => "the same".to_owned(),
            1 => "clips probabilities at 2.2e-16: 1 row".to_owned(),
            n => format!("clips probabilities at 2.2e-16: {n} rows"),
        }
    }
}

/// The lower edge of bin `i`, which is in it, as `torch.linspace(0, 1, 16)` computes it: the upper half from 1 down,
/// with a fused multiply-add.
fn edge(i: usize) -> f64 {
    let step = 1.0 / BINS as f64;
    if i <= BINS / 2 { step * i as f64 } else { step.mul_add(-((BINS - i) as f64), 1.0) }
}

/// The same in single precision.
fn edge_single(i: usize) -> f32 {
    let step = 1.0 / BINS as f32;
    if i <= BINS / 2 { step * i as f32 } else { step.mul_add(-((BINS - i) as f32), 1.0) }
}
