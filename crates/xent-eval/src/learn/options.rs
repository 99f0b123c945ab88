//! How to fit.

use xent_train::solve::{Limits, State};
use xent_train::{Head, Loss, Method};

use super::split::Split;

/// What the weights of a class's rows are multiplied by.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ClassWeights {
    /// Nothing.
    #[default]
    None,
    /// What makes every class as heavy as the others: rows / (classes * rows of the class).
    Balanced,
    /// These, by class; 1 for the others.
    Named(Vec<(String, f64)>),
}

/// How to fit.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// What turns scores into probabilities.
    pub head: Head,
    /// What is minimised.
    pub loss: Loss,
    /// Ridge.
    pub l2: f64,
    /// Lasso.
    pub l1: f64,
    /// scikit-learn's parameter, instead of a ridge: l2 = 1 / (C Σ w).
    pub c: Option<f64>,
    /// Factors of the penalty, by column.
    pub factors: Vec<(String, f64)>,
    /// Whether coefficients are penalised per standard deviation.
    pub standardize: bool,
    /// Whether there is an intercept.
    pub has_intercept: bool,
    /// Weights of the classes.
    pub class_weights: ClassWeights,
    /// The solver.
    pub method: Method,
    /// Step of the solvers that have one; by the curvature of the problem if there is none.
    pub learning_rate: Option<f64>,
    /// Rows of a batch of stochastic gradient descent.
    pub batch_size: usize,
    /// Whether gradient descent steps on the columns as they are.
    pub raw_coordinates: bool,
    /// When it stops.
    pub limits: Limits,
    /// Threads; no result depends on it.
    pub threads: usize,
    /// Where the model's fit goes on, instead of at a start.
    pub resume: Option<State>,
    /// Where every fit starts, on the scale of the data: intercept and coefficients are these numbers.
    pub start: Option<(f64, f64)>,
    /// How rows are divided for testing.
    pub split: Option<Split>,
    /// The seed of the division, and of what solvers draw.
    pub seed: u64,
    /// Level of the intervals of test scores.
    pub level: f64,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            head: Head::Softmax,
            loss: Loss::CrossEntropy,
            l2: 0.0,
            l1: 0.0,
            c: None,
            factors: Vec::new(),
            standardize: true,
            has_intercept: true,
            class_weights: ClassWeights::None,
            method: Method::Auto,
            learning_rate: None,
            batch_size: 32,
            raw_coordinates: false,
            limits: Limits::default(),
            threads: 1,
            resume: None,
            start: None,
            split: None,
            seed: 0,
            level: 0.95,
        }
    }
}

impl TrainOptions {
    /// Whether steps from a given start are watched: they can be taken over any data, and need not lead to a minimum.
    pub fn is_for_watching(&self) -> bool {
        self.method.is_for_watching() && self.start.is_some()
    }

    /// Whether coefficients cost anything.
    pub fn is_penalised(&self) -> bool {
        self.c.is_some() || self.l2 > 0.0 || self.l1 > 0.0
    }
}

/// As it is said on the command line and in model files.
pub fn loss_name(loss: Loss) -> &'static str {
    match loss {
        Loss::CrossEntropy => "cross-entropy",
        Loss::SquaredError => "mse",
    }
}
