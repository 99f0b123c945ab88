//! From data to a fitted model: the parameters, checked, and the result with its certificate.

use crate::design::{Block, Design};
use crate::error::Error;
use crate::problem::{
    Coefficients, Data, Head, Loss, Penalty, Problem, Target, check, probabilities,
};
use crate::scaling::Scaling;
use crate::solve::auto::Ahead;
use crate::solve::gap::Duality;
use crate::solve::rank::{Collinear, can_reweight, collinear};
use crate::solve::rate::check_rate;
use crate::solve::{
    Begin, Cd, Flow, Gd, Irls, Iteration, Lbfgs, Limits, Newton, NewtonCg, Saga, Schedule, Sgd,
    Solution, Solver, State, Stop, auto, relative_gap,
};
use crate::tile::for_each;

/// Where the proof of a gap takes little: its passes go row by row, and take as long as ten of the solver's.
const CHEAP_NUMBERS: usize = 1_000_000;
const MANY_ITERATIONS: usize = 30;

/// Ways to the minimum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// Chosen by the shape of the data; the result says which and why.
    #[default]
    Auto,
    /// Gradient descent ([`Gd`]).
    Gd,
    /// Stochastic gradient descent ([`Sgd`]).
    Sgd,
    /// L-BFGS ([`Lbfgs`]).
    Lbfgs,
    /// Newton's method ([`Newton`]).
    Newton,
    /// Truncated Newton ([`NewtonCg`]).
    NewtonCg,
    /// Iteratively reweighted least squares ([`Irls`]).
    Irls,
    /// SAGA ([`Saga`]).
    Saga,
    /// Coordinate descent ([`Cd`]).
    Cd,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Auto,
        Self::Gd,
        Self::Sgd,
        Self::Lbfgs,
        Self::Newton,
        Self::NewtonCg,
        Self::Irls,
        Self::Saga,
        Self::Cd,
    ];

    /// As it is written on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Gd => "gd",
            Self::Sgd => "sgd",
            Self::Lbfgs => "lbfgs",
            Self::Newton => "newton",
            Self::NewtonCg => "newton-cg",
            Self::Irls => "irls",
            Self::Saga => "saga",
            Self::Cd => "cd",
        }
    }

    /// The method of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// Whether it is there to be watched: its steps are taken from any start, over any data, and its result is what they
    /// led to, untouched.
    pub fn is_for_watching(self) -> bool {
        matches!(self, Self::Gd | Self::Sgd)
    }
}

/// How to fit. The defaults are an unpenalised softmax regression with an intercept, by cross entropy, to a relative gap of 1e-12;
/// penalties are per standard deviation. [`Trainer::fit`] checks all of it before it looks at a row.
///
/// ```
/// use xent::view::View;
/// use xent_train::{Block, Data, Design, Target, Trainer, fit::unobserved};
///
/// // Of four rows without the mark one is of class 1, of four with it three are.
/// let mark = [0_u8, 0, 0, 0, 1, 1, 1, 1];
/// let classes = [0, 0, 0, 1, 0, 1, 1, 1];
/// let design = Design::new(vec![Block::U8(View::rows_of(&mark, 1)?)])?;
/// let target = Target::Classes(&classes);
/// let data = Data { design: &design, target, n_classes: 2, weights: None, offsets: None };
///
/// let mut trainer = Trainer::default();
/// let fitted = trainer.fit(&data, unobserved)?;
/// let proba = fitted.predict_proba(&design)?; // row by row, a number for each class
/// // The gap is 1e-12 unless `limits` say otherwise; coefficients are as near as its root.
/// assert!((proba[1] - 0.25).abs() < 1e-5 && (proba[15] - 0.75).abs() < 1e-5);
/// let log_odds = fitted.scores(&design)?;
/// assert!((log_odds[7] - 3.0_f64.ln()).abs() < 1e-5);
/// assert!((fitted.coefficients.coef[0] - 9.0_f64.ln()).abs() < 1e-5);
/// println!("{}: gap {:.0e}", fitted.method.name(), fitted.solution.gap);
///
/// trainer.penalty.l2 = -1.0;
/// assert!(trainer.fit(&data, unobserved).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// Whether solvers work on the features as they are rather than standardised: a step of gradient descent is then
    /// `coef -= learning_rate * gradient`. Minima are the same, ways there are not.
    pub raw_coordinates: bool,
    /// Of [`Gd`], [`Sgd`] and [`Saga`]; by the curvature of the problem if there is none.
    pub learning_rate: Option<f64>,
    /// How the learning rate of [`Sgd`] goes on.
    pub schedule: Schedule,
    /// Rows of a batch of [`Sgd`].
    pub batch_size: usize,
    /// Of what [`Sgd`] and [`Saga`] draw.
    pub seed: u64,
    /// Whether [`Method::Auto`], which stops by an estimate, spends passes at the end on a bound of the gap that is proven,
    /// where there is one and they take little: at most a million numbers (rows times parameters), or 30 iterations and
    /// more before. The other methods stop by it anyway.
    pub proves_gap: bool,
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
            raw_coordinates: false,
            learning_rate: None,
            schedule: Sgd::default().schedule,
            batch_size: Sgd::default().batch_size,
            seed: 0,
            proves_gap: false,
        }
    }
}

/// A fitted model, and how it was found.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// Coefficients on the scale of the data.
    pub coefficients: Coefficients,
    /// Means and standard deviations of the features, and which are constant: their coefficients are 0.
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
    /// What the objective is above its minimum at most, relative to it, proven by duality; `None` where that takes passes
    /// that were not asked for, where it is as large as the objective, or where there is no such proof: for squared error, and if a feature is free of any penalty.
    pub gap_bound: Option<f64>,
    /// Features without a penalty that are combinations of others, to rounding (their coefficients are one of many optima)
    /// or nearly (only [`Irls`] does not lose what sets them apart: of the others no gap is known). Looked for with up to 500 features.
    pub collinear: Vec<Collinear>,
}

impl Fitted {
    /// The scores of rows, `(n_samples, n_outputs)`, row-major; of features like those it was fitted to, without offsets.
    ///
    /// ```text
    /// z_k = b_k + Σ_j coef_jk (x_j - center_j),  b_k = intercept_k + Σ_j coef_jk center_j
    /// ```
    ///
    /// # Errors
    ///
    /// The design has other features.
    pub fn scores(&self, design: &Design<'_>) -> Result<Vec<f64>, Error> {
        let Coefficients { coef, intercept, n_outputs: m, .. } = &self.coefficients;
        let center = &self.scaling.center;
        if design.n_features() != center.len() {
            let (given, expected) = (design.n_features(), center.len());
            return Err(Error::Length { what: "features", given, expected });
        }
        let mut start = intercept.clone();
        for (coef, center) in coef.chunks_exact(*m).zip(center) {
            start.iter_mut().zip(coef).for_each(|(b, coef)| *b += coef * center);
        }
        let mut scores = start.repeat(design.n_rows());
        for (row, z) in scores.chunks_exact_mut(*m).enumerate() {
            let mut first = 0;
            let mut add = |feature: usize, x: f64| {
                let coef = &coef[feature * m..(feature + 1) * m];
                z.iter_mut().zip(coef).for_each(|(z, coef)| *z += coef * (x - center[feature]));
            };
            for block in design.blocks() {
                if block.is_dense() {
                    (0..block.width()).for_each(|col| add(first + col, block.number(row, col)));
                } else {
                    // Centers are 0 there.
                    for_each(block, row, |col, x| add(first + col, x));
                }
                first += block.width();
            }
        }
        Ok(scores)
    }

    /// The probabilities of the classes, `(n_samples, n_classes)`, row-major; of features like those it was fitted to,
    /// without offsets.
    ///
    /// The softmax of the scores, with 0 for the reference class if there is one; of sigmoids each by itself, divided by
    /// their sum.
    ///
    /// # Errors
    ///
    /// The design has other features.
    pub fn predict_proba(&self, design: &Design<'_>) -> Result<Vec<f64>, Error> {
        let Coefficients { n_outputs: m, has_reference, head, .. } = self.coefficients;
        let scores = self.scores(design)?;
        let k = m + usize::from(has_reference);
        let mut proba = vec![0.0; design.n_rows() * k];
        for (z, p) in scores.chunks_exact(m).zip(proba.chunks_exact_mut(k)) {
            probabilities(head, has_reference, m, |output| z[output], p);
        }
        Ok(proba)
    }
}

impl Trainer {
    /// Fits, and shows each iteration to `observer`.
    ///
    /// # Errors
    ///
    /// A parameter out of its domain, as [`Trainer::check`] says. Anything about the data that [`Problem::new`] or [`Scaling::measure`] refuses; only one class, unless gradient
    /// descent is to go on from a given start; without a penalty a constant sparse feature beside an intercept; a solver
    /// that cannot do it or cannot go on.
    pub fn fit(
        &self,
        data: &Data<'_>,
        observer: impl FnMut(&Iteration<'_>) -> Flow,
    ) -> Result<Fitted, Error> {
        self.run(data, None, observer)
    }

    /// Goes on from what [`Iteration::state`] gave out, over the same data with the same parameters, and ends with the same bits as
    /// if it had never stopped. The start is not looked at.
    ///
    /// # Errors
    ///
    /// Those of [`Trainer::fit`], and [`Error::State`] if it is a state of another method or another problem.
    pub fn resume(
        &self,
        data: &Data<'_>,
        state: &State,
        observer: impl FnMut(&Iteration<'_>) -> Flow,
    ) -> Result<Fitted, Error> {
        self.run(data, Some(state), observer)
    }

    /// Checks the parameters, but for what depends on the data: the numbers of class weights, factors and coefficients of the start.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] for the first that is out of its domain.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |name, value: f64, domain| {
            Err(Error::Parameter { name, value: value.to_string(), domain })
        };
        let is_cost = |x: f64| x >= 0.0 && x.is_finite();
        let Penalty { l2, l1, ref factors, .. } = self.penalty;
        let costs = [("l2", l2), ("l1", l1)];
        let each = costs
            .into_iter()
            .chain(factors.iter().map(|&factor| ("penalty factor", factor)))
            .chain(self.class_weights.iter().map(|&weight| ("class weight", weight)));
        for (name, value) in each {
            if !is_cost(value) {
                return refuse(name, value, "finite and not negative");
            }
        }
        let Limits { tolerance, .. } = self.limits;
        if tolerance.is_nan() || tolerance < 0.0 {
            return refuse("tolerance", tolerance, "not negative");
        }
        if self.batch_size == 0 {
            return refuse("batch_size", 0.0, "at least 1");
        }
        if let Some(start) = &self.start
            && let Some(&x) = start.coef.iter().chain(&start.intercept).find(|x| !x.is_finite())
        {
            return refuse("start", x, "finite");
        }
        check_rate(self.learning_rate)
    }

    /// A start has a coefficient for each feature and output.
    fn check_start(&self, problem: &Problem<'_>) -> Result<(), Error> {
        let Some(start) = &self.start else { return Ok(()) };
        let m = problem.n_outputs();
        let features = problem.data().design.n_features();
        for (what, given, expected) in [
            ("outputs of the start", start.n_outputs, m),
            ("coefficients of the start", start.coef.len(), features * m),
            ("intercepts of the start", start.intercept.len(), m),
        ] {
            if given != expected {
                return Err(Error::Length { what, given, expected });
            }
        }
        Ok(())
    }

    fn run(
        &self,
        data: &Data<'_>,
        state: Option<&State>,
        mut observer: impl FnMut(&Iteration<'_>) -> Flow,
    ) -> Result<Fitted, Error> {
        self.check()?;
        let weights = self.weights(data)?;
        let data = Data { weights: weights.as_deref().or(data.weights), ..*data };
        let (design, weights) = (data.design, data.weights);
        let (free, threads) = (self.has_intercept, self.threads);
        let mut total = None;
        let looks_ahead = self.method == Method::Auto && state.is_none();
        // The pass over all rows that measures dense features is the first of the solver too, where it starts from a sample.
        // Sparse columns are measured before, by themselves.
        let is_sparse = design.blocks().iter().any(|block| matches!(block, Block::Sparse(_)));
        let before = (is_sparse || !looks_ahead)
            .then(|| Scaling::measure(design, weights, free, threads))
            .transpose()?;
        let sketch = before.clone().unwrap_or_else(|| Scaling::sketch(design, free));
        if self.start.is_some() {
            self.check_start(&self.problem(data, &mut total, &sketch)?)?;
        }
        let ahead = if looks_ahead {
            let problem = self.problem(data, &mut total, &sketch).ok();
            problem.and_then(|problem| Ahead::of(&problem, self.start.as_ref()))
        } else {
            None
        };
        let draft = Scaling::draft(design);
        let (mut measured, first) = match (before, &ahead) {
            (Some(measured), _) => (measured, None),
            (None, Some(ahead)) => {
                let mut first = ahead.first(&self.problem(data, &mut total, &draft)?);
                let moments = std::mem::take(&mut first.moments);
                (draft.clone().finish(design, weights, free, threads, moments)?, Some(first))
            }
            (None, None) => (Scaling::measure(design, weights, free, threads)?, None),
        };
        let is_watched = self.method.is_for_watching() && (self.start.is_some() || state.is_some());
        if !is_watched {
            self.refuse_hopeless(&data, &mut measured)?;
        }
        let raw = self.raw_coordinates.then(|| Scaling::identity(data.design));
        if raw.is_some() && self.penalty.standardized && self.is_penalised() {
            return Err(Error::Parameter {
                name: "raw_coordinates",
                value: "true".to_owned(),
                domain: "used with a penalty that is not per standard deviation",
            });
        }
        let scaling = raw.as_ref().unwrap_or(&measured);
        let problem = self.problem(data, &mut total, scaling)?;
        let collinear = if is_watched { Vec::new() } else { collinear(&problem) };
        let is_near = collinear.iter().any(|it| !it.is_exact());
        let (method, mut reason) = match self.method {
            Method::Auto if problem.has_l1() => (Method::Cd, "there is a lasso".to_owned()),
            Method::Auto if is_near && can_reweight(&problem) => {
                (Method::Irls, "features are nearly collinear".to_owned())
            }
            method => (method, "it was asked for".to_owned()),
        };
        let mut start = self.start.clone();
        let (mut own, mut sample) = (None, None);
        match (ahead.filter(|_| method == Method::Auto), &first) {
            (Some(ahead), Some(first)) => {
                (own, sample) = ahead.state(&problem, first, &draft).unzip();
            }
            (Some(ahead), None) => (start, sample) = (Some(ahead.coefficients), Some(ahead.sample)),
            (None, _) => {}
        }
        let from = match (state.or(own.as_ref()), &start) {
            (Some(state), _) => Begin::State(state),
            (None, Some(start)) => Begin::Start(problem.params(start)),
            (None, None) => Begin::Start(vec![0.0; problem.n_params()]),
        };
        let (limits, observer) = (&self.limits, &mut observer);
        let mut solution = if let Some(solver) = self.solver(method) {
            solver.solve_from(&problem, from, limits, observer)?
        } else {
            let (solution, why) = auto::solve(&problem, from, sample, limits, observer)?;
            reason = why;
            solution
        };
        if is_near && method != Method::Irls && !solution.is_bound {
            solution.gap = f64::INFINITY;
            if solution.stop == Stop::Tolerance {
                solution.stop = Stop::Precision;
            }
        }
        let mut gap_bound = solution.is_bound.then_some(solution.gap);
        let is_cheap = problem.n_rows() * problem.n_params() <= CHEAP_NUMBERS
            || solution.iterations >= MANY_ITERATIONS;
        if self.proves_gap
            && is_cheap
            && gap_bound.is_none()
            && let Some(duality) = Duality::new(&problem)
        {
            let mut gradient = vec![0.0; problem.n_params()];
            problem.gradient(&solution.params, &mut gradient);
            let gap = duality.gap(&solution.params, solution.objective, &gradient);
            gap_bound = Some(relative_gap(gap, solution.objective)).filter(|gap| gap.is_finite());
            solution.passes += 2;
        }
        let is_free = !method.is_for_watching();
        if is_free {
            problem.fix_gauge(&mut solution.params);
        }
        let mut coefficients = problem.coefficients(&solution.params);
        if is_free {
            problem.fix_intercepts(&mut coefficients);
        }
        // Of a softmax by cross entropy the loss is what is left of the objective.
        let log_loss = if problem.is_log_loss() {
            solution.objective - problem.penalty(&solution.params)
        } else {
            problem.log_loss(&solution.params)
        };
        Ok(Fitted {
            coefficients,
            objective: solution.objective,
            log_loss,
            log_likelihood: -log_loss * problem.total_weight(),
            method: if method == Method::Auto { Method::Lbfgs } else { method },
            reason,
            solution,
            gap_bound,
            collinear,
            scaling: measured,
        })
    }

    /// Of data whose weights sum up to `total`, if they are checked already.
    fn problem<'a>(
        &self,
        data: Data<'a>,
        total: &mut Option<f64>,
        scaling: &'a Scaling,
    ) -> Result<Problem<'a>, Error> {
        let (head, loss, penalty) = (self.head, self.loss, &self.penalty);
        let total = match *total {
            Some(total) => total,
            None => *total.insert(check(&data)?),
        };
        let problem = Problem::of(data, total, scaling, head, loss, penalty, self.has_intercept)?;
        Ok(problem.with_threads(self.threads))
    }

    fn is_penalised(&self) -> bool {
        self.penalty.l1 > 0.0 || self.penalty.l2 > 0.0
    }

    /// Refuses data that no minimum can be found for. A constant number beside an intercept could be exchanged for it:
    /// it is centred at its value, so that it is 0 in every row and its coefficient stays 0.
    fn refuse_hopeless(&self, data: &Data<'_>, scaling: &mut Scaling) -> Result<(), Error> {
        let row = data.weights.map_or(Some(0), |w| w.iter().position(|w| *w > 0.0)).unwrap_or(0);
        for (feature, value) in scaling.constants.clone() {
            if !self.has_intercept || value == 0.0 {
                continue;
            }
            match number(data.design, row, feature) {
                Some(value) => scaling.center[feature] = value,
                None if self.is_penalised() => {}
                None => return Err(Error::Constant { feature, value }),
            }
        }
        if let Target::Classes(classes) = data.target
            && let Some(&class) = classes.first()
            && classes.iter().all(|&c| c == class)
        {
            return Err(Error::OneClass { class: class as usize });
        }
        Ok(())
    }

    /// The solver of a method; none if it is chosen by the shape of the data.
    fn solver(&self, method: Method) -> Option<Box<dyn Solver>> {
        let (rate, seed) = (self.learning_rate, self.seed);
        Some(match method {
            Method::Auto => return None,
            Method::Lbfgs => Box::new(Lbfgs::default()),
            Method::Gd => Box::new(Gd { rate }),
            Method::Sgd => {
                let (batch_size, schedule) = (self.batch_size, self.schedule);
                Box::new(Sgd { batch_size, rate, schedule, seed })
            }
            Method::Newton => Box::new(Newton),
            Method::NewtonCg => Box::new(NewtonCg::default()),
            Method::Irls => Box::new(Irls),
            Method::Saga => Box::new(Saga { rate, seed }),
            Method::Cd => Box::new(Cd::default()),
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

/// The number of a dense feature in a row; none if it is of another block.
fn number(design: &Design<'_>, row: usize, feature: usize) -> Option<f64> {
    let mut first = 0;
    for block in design.blocks() {
        if feature < first + block.width() {
            return block.is_dense().then(|| block.number(row, feature - first));
        }
        first += block.width();
    }
    None
}

/// Tells an observer nothing and goes on.
pub fn unobserved(_: &Iteration<'_>) -> Flow {
    Flow::Continue
}
