//! From data to a fitted model: the parameters, checked, and the result with its certificate.

use crate::error::Error;
use crate::problem::{Coefficients, Data, Head, Loss, Penalty, Problem, Target};
use crate::scaling::Scaling;
use crate::solve::{Flow, Iteration, Lbfgs, Limits, Solution, Solver, Stop, auto};

/// Ways to the minimum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Chosen by the shape of the data; the result says which and why.
    #[default]
    Auto,
    /// L-BFGS.
    Lbfgs,
}

impl Method {
    /// As it is written on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Lbfgs => "lbfgs",
        }
    }
}

/// How to fit. The defaults are an unpenalised softmax regression with an intercept, by cross entropy, to a relative gap of 1e-12.
#[derive(Clone, Debug)]
pub struct Trainer {
    /// What turns scores into probabilities.
    pub head: Head,
    /// What is minimised.
    pub loss: Loss,
    /// What coefficients cost.
    pub penalty: Penalty,
    /// Whether there is an intercept.
    pub has_intercept: bool,
    /// Multiplies the weights of the rows of each class; none if empty.
    pub class_weights: Vec<f64>,
    /// How.
    pub method: Method,
    /// When to stop.
    pub limits: Limits,
    /// Threads; results do not depend on it.
    pub threads: usize,
    /// Where to start, on the scale of the data; at zero if there is none.
    pub start: Option<Coefficients>,
}

impl Default for Trainer {
    fn default() -> Self {
        Self {
            head: Head::Softmax,
            loss: Loss::CrossEntropy,
            penalty: Penalty { standardized: true, ..Penalty::default() },
            has_intercept: true,
            class_weights: Vec::new(),
            method: Method::Auto,
            limits: Limits::default(),
            threads: 1,
            start: None,
        }
    }
}

/// A fitted model, and how it was found.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// Coefficients on the scale of the data.
    pub coefficients: Coefficients,
    /// Means and standard deviations of the features.
    pub scaling: Scaling,
    /// Mean loss and penalty, in nats a row.
    pub objective: f64,
    /// Mean cross entropy of the rows it was fitted to, in nats, weighted.
    pub log_loss: f64,
    /// Σ w ln p of what happened, in nats.
    pub log_likelihood: f64,
    /// The method used.
    pub method: Method,
    /// Why that one.
    pub reason: String,
    /// Where and why it stopped.
    pub solution: Solution,
}

impl Trainer {
    /// Fits, and shows each iteration to `observer`.
    ///
    /// # Errors
    ///
    /// Anything about the data that [`Problem::new`] or [`Scaling::measure`] refuses, a constant feature, only one
    /// class, or a solver that cannot go on.
    pub fn fit(
        &self,
        data: &Data<'_>,
        mut observer: impl FnMut(&Iteration<'_>) -> Flow,
    ) -> Result<Fitted, Error> {
        let weights = self.weights(data)?;
        let data = Data { weights: weights.as_deref().or(data.weights), ..*data };
        let scaling = Scaling::measure(data.design, data.weights, self.has_intercept)?;
        let problem =
            Problem::new(data, &scaling, self.head, self.loss, &self.penalty, self.has_intercept)?
                .with_threads(self.threads);
        if let Some(&(feature, value)) = scaling.constants.first() {
            return Err(Error::Constant { feature, value });
        }
        if let Target::Classes(classes) = data.target
            && let Some(&class) = classes.first()
            && classes.iter().all(|&c| c == class)
        {
            return Err(Error::OneClass { class: class as usize });
        }
        let start = match &self.start {
            Some(start) => problem.params(start),
            None => vec![0.0; problem.n_params()],
        };
        let (solution, reason) = match self.method {
            Method::Auto => auto::solve(&problem, start, &self.limits, &mut observer)?,
            Method::Lbfgs => {
                let solver = Lbfgs::default();
                (solver.solve(&problem, start, &self.limits, &mut observer)?, "asked for".into())
            }
        };
        // Of a softmax by cross entropy the loss is what is left of the objective.
        let log_loss = if problem.is_log_loss() {
            solution.objective - problem.penalty(&solution.params)
        } else {
            problem.log_loss(&solution.params)
        };
        Ok(Fitted {
            coefficients: problem.coefficients(&solution.params),
            objective: solution.objective,
            log_loss,
            log_likelihood: -log_loss * problem.total_weight(),
            method: Method::Lbfgs,
            reason,
            solution,
            scaling,
        })
    }

    /// The weights of the rows times those of their classes.
    fn weights(&self, data: &Data<'_>) -> Result<Option<Vec<f64>>, Error> {
        if self.class_weights.is_empty() {
            return Ok(None);
        }
        if self.class_weights.len() != data.n_classes {
            let given = self.class_weights.len();
            return Err(Error::Length { what: "class weights", given, expected: data.n_classes });
        }
        let n = data.design.n_rows();
        let own = |row: usize| match data.target {
            Target::Classes(classes) => {
                classes.get(row).and_then(|&c| self.class_weights.get(c as usize)).copied()
            }
            Target::Distributions(view) => {
                Some((0..data.n_classes).map(|k| view.get(row, k) * self.class_weights[k]).sum())
            }
        };
        let weights = data.weights;
        let row = |row| own(row).unwrap_or(1.0) * weights.map_or(1.0, |w| w[row]);
        Ok(Some((0..n).map(row).collect()))
    }
}

/// Tells an observer nothing and goes on.
pub fn unobserved(_: &Iteration<'_>) -> Flow {
    Flow::Continue
}

/// Whether a fit ended because it was told to or ran out of iterations.
pub fn is_unfinished(stop: Stop) -> bool {
    matches!(stop, Stop::Iterations | Stop::Asked)
}
