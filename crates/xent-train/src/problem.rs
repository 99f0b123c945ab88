//! The objective: a loss over the rows of a design, and a penalty.

mod check;
mod coefficients;
mod hessian;
mod link;
mod pass;
mod unbounded;

use xent::exact::ExactSum;
use xent::view::View;

use crate::design::Design;
use crate::error::Error;
use crate::kernel::{self, LANES, ZERO};
use crate::narrow::Narrow;
use crate::scaling::Scaling;
use crate::tile::Rows;
pub(crate) use check::check;
pub use coefficients::{Coefficients, probabilities};
use pass::Want;

/// What turns scores into probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Probabilities that sum to 1.
    Softmax,
    /// A sigmoid for each class by itself; of two classes, one for the second.
    Sigmoid,
}

/// What is minimised, a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// -Σ y_k ln p_k in nats; of sigmoids the sum of their binary cross entropies.
    CrossEntropy,
    /// Half the squared error, ½ Σ (p_k - y_k)² over the outputs: its gradient at one sigmoid is p (1 - p) times
    /// that of cross entropy.
    SquaredError,
}

/// What each row should be.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A class a row, from 0.
    Classes(&'a [u32]),
    /// A probability for each class, `(n_samples, n_classes)`, that sum to 1.
    Distributions(View<'a, f64>),
}

impl Target<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Distributions(view) => view.n_rows(),
        }
    }

    #[inline(always)]
    fn probability(&self, row: usize, class: usize) -> f64 {
        match self {
            // Not a branch, which could not be foretold.
            Self::Classes(classes) => [0.0, 1.0][usize::from(classes[row] as usize == class)],
            Self::Distributions(view) => view.get(row, class),
        }
    }
}

/// What is fitted to.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// Features.
    pub design: &'a Design<'a>,
    /// Targets.
    pub target: Target<'a>,
    /// Classes, whether they occur or not.
    pub n_classes: usize,
    /// A weight a row, finite and not negative.
    pub weights: Option<&'a [f64]>,
    /// Added to the scores, `(n_samples, n_outputs)`.
    pub offsets: Option<View<'a, f64>>,
}

/// What the size of the coefficients costs: `l2/2 Σ f coef² + l1 Σ f |coef|`, intercepts free.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Penalty {
    /// Ridge.
    pub l2: f64,
    /// Lasso.
    pub l1: f64,
    /// A factor f for each feature; 1 if empty.
    pub factors: Vec<f64>,
    /// Whether coefficients are penalised per standard deviation of their feature rather than per unit.
    pub standardized: bool,
}

/// The objective over some rows, in the coordinates of a [`Scaling`].
///
/// Parameters are `params[j * n_outputs + k]`: of every parameter place `j` (dense features, intercept, other features) one
/// for each output `k`.
#[derive(Debug)]
pub struct Problem<'a> {
    data: Data<'a>,
    scaling: &'a Scaling,
    head: Head,
    loss: Loss,
    outputs: usize,
    reference: bool,
    has_intercept: bool,
    /// Of each parameter place.
    l2: Vec<f64>,
    l1: Vec<f64>,
    rows: Option<Vec<u32>>,
    /// Of a sample that is gone over many times: its dense numbers, near enough for what it is for.
    held: Option<Narrow>,
    total_weight: f64,
    threads: usize,
}

/// What a pass finds before the features are measured: at a point the mean loss and the sums of its gradient, in the coordinates of
/// [`Scaling::draft`], and what [`Scaling::finish`] makes the scaling of.
#[derive(Debug)]
pub(crate) struct First {
    loss: f64,
    sums: Vec<f64>,
    pub moments: (Vec<f64>, Vec<f64>),
}

impl<'a> Problem<'a> {
    /// The objective over all rows.
    ///
    /// Cross entropy after a softmax has an output for each class if there is a ridge penalty or a lasso, else one
    /// fewer: the first class is the reference, its scores are 0. Two classes have one output.
    ///
    /// # Errors
    ///
    /// Lengths differ, a label is no class, a weight is none, all weights are 0, a parameter is out of its domain.
    pub fn new(
        data: Data<'a>,
        scaling: &'a Scaling,
        head: Head,
        loss: Loss,
        penalty: &Penalty,
        has_intercept: bool,
    ) -> Result<Self, Error> {
        let total_weight = check(&data)?;
        Self::of(data, total_weight, scaling, head, loss, penalty, has_intercept)
    }

    /// The same of data that were checked, with the sum of the weights.
    pub(crate) fn of(
        data: Data<'a>,
        total_weight: f64,
        scaling: &'a Scaling,
        head: Head,
        loss: Loss,
        penalty: &Penalty,
        has_intercept: bool,
    ) -> Result<Self, Error> {
        let is_penalised = penalty.l2 > 0.0 || penalty.l1 > 0.0;
        let k = data.n_classes;
        let reference =
            k == 2 || head == Head::Softmax && loss == Loss::CrossEntropy && !is_penalised;
        let outputs = if reference { k - 1 } else { k };
        if let Some(offsets) = &data.offsets
            && offsets.n_cols() != outputs
        {
            return Err(Error::Length {
                what: "columns of offsets",
                given: offsets.n_cols(),
                expected: outputs,
            });
        }
        let n = data.design.n_features();
        if !(penalty.factors.is_empty() || penalty.factors.len() == n) {
            let given = penalty.factors.len();
            return Err(Error::Length { what: "penalty factors", given, expected: n });
        }
        let (mut l2, mut l1) = (vec![0.0; scaling.len()], vec![0.0; scaling.len()]);
        for j in 0..n {
            let factor = penalty.factors.get(j).copied().unwrap_or(1.0);
            for (name, value) in
                [("l2", penalty.l2), ("l1", penalty.l1), ("penalty factor", factor)]
            {
                if !(value >= 0.0 && value.is_finite()) {
                    let value = value.to_string();
                    let domain = "finite and not negative";
                    return Err(Error::Parameter { name, value, domain });
                }
            }
            let inverse = if penalty.standardized { 1.0 } else { scaling.inverse[j] };
            l2[scaling.order[j]] = penalty.l2 * factor * inverse * inverse;
            l1[scaling.order[j]] = penalty.l1 * factor * inverse;
        }
        Ok(Self {
            data,
            scaling,
            head,
            loss,
            outputs,
            reference,
            has_intercept,
            l2,
            l1,
            rows: None,
            held: None,
            total_weight,
            threads: 1,
        })
    }

    /// With so many threads; results do not depend on it.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// The same objective over some of the rows, numbered from 0.
    #[must_use]
    pub fn over(&self, rows: Vec<u32>) -> Problem<'a> {
        let total_weight = match self.data.weights {
            Some(weights) => {
                rows.iter().map(|&row| weights[row as usize]).collect::<ExactSum>().value()
            }
            None => rows.len() as f64,
        };
        Problem {
            l2: self.l2.clone(),
            l1: self.l1.clone(),
            rows: Some(rows),
            held: None,
            total_weight,
            ..*self
        }
    }

    /// The same objective over a sample of the rows, whose numbers are held in f32 if they need little memory; as they were
    /// taken down by a sketch of the scaling.
    pub(crate) fn sampled(&self, rows: Vec<u32>, sketch: &Scaling) -> Problem<'a> {
        let design = self.data.design;
        let mut held = Narrow::gather(design, sketch, Rows::List(&rows), self.threads);
        if let Some(held) = held.as_mut().filter(|_| !std::ptr::eq(sketch, self.scaling)) {
            held.rebase(sketch, self.scaling);
        }
        Problem { held, ..self.over(rows) }
    }

    /// Every so many-th row of a sample.
    pub(crate) fn thinned(&self, step: usize) -> Problem<'a> {
        let rows = self.rows.iter().flatten().step_by(step).copied().collect();
        let held = self.held.as_ref().map(|held| held.thinned(step));
        Problem { held, ..self.over(rows) }
    }

    /// The sample in the coordinates of another problem over the same data.
    pub(crate) fn rebased(mut self, problem: &Problem<'a>) -> Problem<'a> {
        let mut held = self.held.take();
        if let Some(held) = &mut held {
            held.rebase(self.scaling, problem.scaling);
        }
        Problem { held, ..problem.over(self.rows.unwrap_or_default()) }
    }

    /// Number of parameters.
    pub fn n_params(&self) -> usize {
        self.scaling.len() * self.outputs
    }

    /// Scores a row: one for each class, or one fewer.
    pub fn n_outputs(&self) -> usize {
        self.outputs
    }

    /// Whether the first class is the reference, whose scores are 0.
    pub fn has_reference(&self) -> bool {
        self.reference
    }

    /// What is fitted to.
    pub fn data(&self) -> &Data<'a> {
        &self.data
    }

    /// The coordinates.
    pub fn scaling(&self) -> &'a Scaling {
        self.scaling
    }

    /// What is minimised.
    pub fn loss(&self) -> Loss {
        self.loss
    }

    /// What turns scores into probabilities.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Ridge of a parameter.
    pub fn l2(&self, param: usize) -> f64 {
        self.l2[param / self.outputs]
    }

    /// Lasso of a parameter.
    pub fn l1(&self, param: usize) -> f64 {
        self.l1[param / self.outputs]
    }

    /// Whether there is a lasso.
    pub fn has_l1(&self) -> bool {
        self.l1.iter().any(|&l1| l1 > 0.0)
    }

    /// Whether a parameter may move; the intercept's may not if there is none.
    pub fn is_free(&self, param: usize) -> bool {
        self.has_intercept || param / self.outputs != self.scaling.n_dense
    }

    /// Rows of the objective.
    pub fn n_rows(&self) -> usize {
        self.row_list().len()
    }

    /// Whether these are some of the rows.
    pub(crate) fn is_sample(&self) -> bool {
        self.rows.is_some()
    }

    /// Whether there is an intercept.
    pub fn has_intercept(&self) -> bool {
        self.has_intercept
    }

    /// Threads of its passes.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The row of the design that stands at a place among the rows of the objective.
    pub(crate) fn row_at(&self, i: usize) -> usize {
        self.row_list().at(i)
    }

    fn row_list(&self) -> Rows<'_> {
        match &self.rows {
            Some(rows) => Rows::List(rows),
            None => Rows::All(self.data.design.n_rows()),
        }
    }

    /// Mean loss and ridge penalty, in nats a row; the lasso is not in it.
    pub fn value(&self, params: &[f64]) -> f64 {
        let (loss, _) = self.pass(params, Want::Value, &mut []);
        loss + self.ridge(params)
    }

    /// Mean cross entropy of the predicted distributions, in nats, weighted; infinite where what happened had
    /// probability 0.
    pub fn log_loss(&self, params: &[f64]) -> f64 {
        let mut sum = ExactSum::new();
        let data = &self.data;
        self.predict(params, |row, p| {
            let loss: f64 = match data.target {
                Target::Classes(classes) => -p[classes[row] as usize].ln(),
                Target::Distributions(view) => (0..data.n_classes)
                    .map(|k| view.get(row, k))
                    .zip(p)
                    .map(|(y, p)| if y == 0.0 { 0.0 } else { -y * p.ln() })
                    .sum(),
            };
            let w = data.weights.map_or(1.0, |w| w[row]);
            if w != 0.0 {
                sum.add(w * loss);
            }
        });
        sum.value() / self.total_weight
    }

    /// Sum of the weights of the rows.
    pub fn total_weight(&self) -> f64 {
        self.total_weight
    }

    /// The same, and its gradient.
    pub fn gradient(&self, params: &[f64], gradient: &mut [f64]) -> f64 {
        let (loss, _) = self.pass(params, Want::Gradient, gradient);
        self.finish_gradient(params, gradient);
        loss + self.ridge(params)
    }

    /// The mean of sums, and the slope of the ridge.
    fn finish_gradient(&self, params: &[f64], gradient: &mut [f64]) {
        let (m, total) = (self.outputs, self.total_weight);
        if m == 1 {
            let places = gradient.iter_mut().zip(params).zip(&self.l2);
            places.for_each(|((g, u), l2)| *g = *g / total + l2 * u);
        } else {
            let places = gradient.chunks_exact_mut(m).zip(params.chunks_exact(m));
            for ((gradient, params), l2) in places.zip(&self.l2) {
                let each = gradient.iter_mut().zip(params);
                each.for_each(|(g, u)| *g = *g / total + l2 * u);
            }
        }
        if !self.has_intercept {
            gradient[self.scaling.n_dense * m..][..m].fill(0.0);
        }
    }

    /// The pass that measures the features too.
    pub(crate) fn first(&self, params: &[f64]) -> First {
        let n_dense = self.scaling.n_dense;
        let mut sums = vec![0.0; params.len() + 2 * n_dense];
        let (loss, _) = self.pass(params, Want::Measured, &mut sums);
        let squares = sums.split_off(params.len() + n_dense);
        let means = sums.split_off(params.len());
        First { loss, sums, moments: (means, squares) }
    }

    /// What [`Problem::gradient`] gives, from what a pass found in other coordinates, those of `draft`.
    pub(crate) fn gradient_from(
        &self,
        first: &First,
        draft: &Scaling,
        params: &[f64],
    ) -> (f64, Vec<f64>) {
        let m = self.outputs;
        let mut gradient = first.sums.clone();
        let at = self.scaling.n_dense * m;
        for (j, &place) in self.scaling.order.iter().enumerate() {
            let moved = draft.center[j] - self.scaling.center[j];
            for k in 0..m {
                let sum = first.sums[place * m + k] + moved * first.sums[at + k];
                gradient[place * m + k] = sum * self.scaling.inverse[j];
            }
        }
        self.finish_gradient(params, &mut gradient);
        (first.loss + self.ridge(params), gradient)
    }

    /// The Hessian at `params` times a vector. Of squared error: the part without second derivatives of the outputs.
    pub fn hessian_product(&self, params: &[f64], vector: &[f64], out: &mut [f64]) {
        let (_, total) = self.pass(params, Want::Product(vector), out);
        for (i, (h, &v)) in out.iter_mut().zip(vector).enumerate() {
            *h = if self.is_free(i) { *h / total + self.l2(i) * v } else { v };
        }
    }

    /// The Hessian, `(n_params, n_params)`; cross entropy only.
    pub fn hessian(&self, params: &[f64], out: &mut [f64]) {
        self.hessian_of(Want::Hessian, self.total_weight, params, out);
    }

    /// The Hessian from sums in f32, of dense features; a relative error of some millionths.
    pub(crate) fn rough_hessian(&self, params: &[f64], out: &mut [f64]) {
        self.hessian_of(Want::Rough, self.n_rows() as f64, params, out);
    }

    fn hessian_of(&self, want: Want<'_>, total: f64, params: &[f64], out: &mut [f64]) {
        let (m, width) = (self.outputs, self.scaling.len());
        let triangle = width * (width + 1) / 2;
        let mut sums = vec![0.0; m * (m + 1) / 2 * triangle];
        self.pass(params, want, &mut sums);
        let n = self.n_params();
        for a in 0..m {
            for b in 0..=a {
                let sums = &sums[(a * (a + 1) / 2 + b) * triangle..][..triangle];
                for i in 0..width {
                    for j in 0..=i {
                        let x = sums[i * (i + 1) / 2 + j] / total;
                        out[(i * m + a) * n + j * m + b] = x;
                        out[(j * m + b) * n + i * m + a] = x;
                        if a != b {
                            out[(i * m + b) * n + j * m + a] = x;
                            out[(j * m + a) * n + i * m + b] = x;
                        }
                    }
                }
            }
        }
        for i in 0..n {
            out[i * n + i] += self.l2(i);
            if !self.is_free(i) {
                (0..n).for_each(|j| (out[i * n + j], out[j * n + i]) = (0.0, 0.0));
                out[i * n + i] = 1.0;
            }
        }
    }

    /// The Hessian taken for a Kronecker product: mean t x xᵀ of the dense features and the intercept, t the trace of a
    /// row's curvature, and the mean curvature of the outputs, `(n_outputs, n_outputs)`, of trace 1; without penalty.
    pub(crate) fn kronecker(&self, params: &[f64]) -> (Vec<f64>, Vec<f64>) {
        self.kronecker_of(Want::Kronecker, self.total_weight, params)
    }

    /// The same from sums in f32; of the features with a relative error of some millionths.
    pub(crate) fn rough_kronecker(&self, params: &[f64]) -> (Vec<f64>, Vec<f64>) {
        self.kronecker_of(Want::RoughKronecker, self.n_rows() as f64, params)
    }

    fn kronecker_of(&self, want: Want<'_>, total: f64, params: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (m, width) = (self.outputs, self.scaling.n_dense + 1);
        let triangle = width * (width + 1) / 2;
        let mut sums = vec![0.0; triangle + m * m];
        self.pass(params, want, &mut sums);
        let mut features = vec![0.0; width * width];
        for i in 0..width {
            for j in 0..=i {
                let x = sums[i * (i + 1) / 2 + j] / total;
                features[i * width + j] = x;
                features[j * width + i] = x;
            }
        }
        // The trace is in the features already.
        let outputs = &sums[triangle..];
        let trace: f64 = (0..m).map(|k| outputs[k * m + k]).sum();
        let least = f64::MIN_POSITIVE;
        (features, outputs.iter().map(|x| x / trace.max(least)).collect())
    }

    /// The diagonal of the Hessian; cross entropy only.
    pub fn hessian_diagonal(&self, params: &[f64], out: &mut [f64]) {
        let (_, total) = self.pass(params, Want::Diagonal, out);
        for (i, h) in out.iter_mut().enumerate() {
            *h = if self.is_free(i) { *h / total + self.l2(i) } else { 1.0 };
        }
    }

    /// The diagonal of the Hessian, and of each parameter the entry with the intercept of its output; cross entropy only.
    pub(crate) fn hessian_arrow(&self, params: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut diagonal = vec![0.0; 2 * self.n_params()];
        let (_, total) = self.pass(params, Want::Diagonal, &mut diagonal);
        let mut beside = diagonal.split_off(self.n_params());
        for (i, (h, b)) in diagonal.iter_mut().zip(&mut beside).enumerate() {
            (*h, *b) =
                if self.is_free(i) { (*h / total + self.l2(i), *b / total) } else { (1.0, 0.0) };
        }
        (diagonal, beside)
    }

    /// The lasso, in nats a row.
    pub fn lasso(&self, params: &[f64]) -> f64 {
        params.iter().enumerate().map(|(i, u)| self.l1(i) * u.abs()).sum()
    }

    /// Ridge and lasso, in nats a row.
    pub fn penalty(&self, params: &[f64]) -> f64 {
        self.ridge(params) + self.lasso(params)
    }

    /// Whether the mean loss is the log loss of the predicted distribution.
    pub fn is_log_loss(&self) -> bool {
        self.loss == Loss::CrossEntropy && (self.head == Head::Softmax || self.outputs == 1)
    }

    fn ridge(&self, params: &[f64]) -> f64 {
        let m = self.outputs;
        // Sums side by side: one would wait for itself.
        let mut sums = ZERO;
        let rest = if m == 1 {
            let (wholes, rest) = params.as_chunks::<LANES>();
            for (params, l2) in wholes.iter().zip(self.l2.as_chunks::<LANES>().0) {
                for l in 0..LANES {
                    sums[l] += 0.5 * l2[l] * params[l] * params[l];
                }
            }
            rest
        } else {
            params
        };
        let first = (params.len() - rest.len()) / m;
        for (j, params) in rest.chunks_exact(m).enumerate() {
            let l2 = self.l2[first + j];
            params.iter().for_each(|u| sums[j % LANES] += 0.5 * l2 * u * u);
        }
        kernel::sum(&sums)
    }
}
