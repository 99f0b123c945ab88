//! The objective: a loss over the rows of a design, and a penalty.

use std::ops::Range;

use xent::view::View;

use crate::design::Design;
use crate::error::Error;
use crate::kernel::{self, LANES, Lanes, ZERO};
use crate::parts::each_part;
use crate::scaling::{Scaling, height};
use crate::tile::{Rows, Tile, for_each};

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
            Self::Classes(classes) => f64::from(u8::from(classes[row] as usize == class)),
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
    /// Of a sample that is gone over many times: its tiles, loaded once.
    tiles: Option<Vec<Tile>>,
    total_weight: f64,
    threads: usize,
}

/// What a pass over the rows is for.
#[derive(Clone, Copy)]
enum Want<'a> {
    Value,
    Gradient,
    /// The Hessian times a vector (of squared error: the Gauss-Newton part).
    Product(&'a [f64]),
    Hessian,
    /// Its two factors, as if it were a product.
    Kronecker,
    /// The diagonal of the Hessian.
    Diagonal,
}

struct Workspace {
    tile: Tile,
    z: Vec<Lanes>,
    y: Vec<Lanes>,
    loss: Vec<Lanes>,
    extra: Vec<Lanes>,
    weighted: Vec<Lanes>,
    weight: Vec<Lanes>,
}

/// A part's sums.
struct Partial {
    sums: Vec<f64>,
    loss: (f64, f64),
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
            tiles: None,
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
        let weight = |row: &u32| self.data.weights.map_or(1.0, |w| w[*row as usize]);
        let total_weight = rows.iter().map(weight).sum();
        Problem {
            l2: self.l2.clone(),
            l1: self.l1.clone(),
            rows: Some(rows),
            tiles: None,
            total_weight,
            ..*self
        }
    }

    /// Keeps the standardised numbers, if they need at most 48 MiB: rows from all over a large array are slow to get.
    pub(crate) fn held(mut self) -> Self {
        let width = self.scaling.n_dense + 1;
        let (n, height) = (self.row_list().len(), height(width));
        if n * width * size_of::<f64>() <= 48 << 20 {
            let (design, rows) = (self.data.design, self.row_list());
            let load = |start: usize| {
                let range = start..(start + height).min(n);
                let mut tile = Tile::new(width, range.len());
                tile.load(design, self.scaling, rows, &range, false);
                tile
            };
            self.tiles = Some((0..n).step_by(height).map(load).collect());
        }
        self
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
        let mut sum = xent::exact::ExactSum::new();
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
        let (loss, total) = self.pass(params, Want::Gradient, gradient);
        for (i, (g, &u)) in gradient.iter_mut().zip(params).enumerate() {
            *g = if self.is_free(i) { *g / total + self.l2(i) * u } else { 0.0 };
        }
        loss + self.ridge(params)
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
        let (m, width) = (self.outputs, self.scaling.len());
        let triangle = width * (width + 1) / 2;
        let mut sums = vec![0.0; m * (m + 1) / 2 * triangle];
        let (_, total) = self.pass(params, Want::Hessian, &mut sums);
        let n = self.n_params();
        for a in 0..m {
            for b in 0..=a {
                let sums = &sums[(a * (a + 1) / 2 + b) * triangle..][..triangle];
                for i in 0..width {
                    for j in 0..=i {
                        let x = sums[i * (i + 1) / 2 + j] / total;
                        for (i, j) in [(i * m + a, j * m + b), (i * m + b, j * m + a)] {
                            out[i * n + j] = x;
                            out[j * n + i] = x;
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
        let (m, width) = (self.outputs, self.scaling.n_dense + 1);
        let triangle = width * (width + 1) / 2;
        let mut sums = vec![0.0; triangle + m * m];
        let (_, total) = self.pass(params, Want::Kronecker, &mut sums);
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
        params.iter().enumerate().map(|(i, u)| 0.5 * self.l2(i) * u * u).sum()
    }

    fn is_expanded(&self, want: Want<'_>) -> bool {
        matches!(want, Want::Hessian) && !self.data.design.is_dense()
    }

    /// Mean loss, and what the sums in `out` are to be divided by.
    fn pass(&self, params: &[f64], want: Want<'_>, out: &mut [f64]) -> (f64, f64) {
        let rows = self.row_list();
        let n = rows.len();
        let expand = self.is_expanded(want);
        let width = if expand { self.scaling.len() } else { self.scaling.n_dense + 1 };
        let height = height(width);
        // Fixed parts of the rows, whatever the threads.
        let most = if out.len() > 32_768 { 4 } else { 16 };
        let chunks = n.div_ceil(height);
        let n_parts = most.min(chunks).max(1);
        let part = |i: usize| {
            let from = i * chunks / n_parts * height;
            from..((i + 1) * chunks / n_parts * height).min(n)
        };
        let len = out.len();
        let run = |i: usize, ws: &mut Workspace| {
            let mut partial = Partial { sums: vec![0.0; len], loss: (0.0, 0.0) };
            let range = part(i);
            let mut start = range.start;
            while start < range.end {
                let end = (start + height).min(range.end);
                self.chunk(rows, start..end, params, want, ws, &mut partial);
                start = end;
            }
            partial
        };
        let workspace = || Workspace {
            tile: Tile::new(width, height),
            z: vec![ZERO; self.outputs * height / LANES],
            y: vec![ZERO; height / LANES],
            loss: vec![ZERO; height / LANES],
            extra: vec![ZERO; self.outputs * height / LANES],
            weighted: Vec::new(),
            weight: vec![ZERO; height / LANES],
        };
        // A thread costs more than a little work.
        let work = n as f64 * (self.scaling.n_dense + 20) as f64 * self.outputs as f64;
        let threads = if work < 2e5 { 1 } else { self.threads };
        let mut loss = (0.0, 0.0);
        out.fill(0.0);
        each_part(n_parts, threads, workspace, run, |partial: Partial| {
            loss = add(loss, partial.loss.0);
            loss.1 += partial.loss.1;
            for (sum, x) in out.iter_mut().zip(&partial.sums) {
                *sum += x;
            }
        });
        ((loss.0 + loss.1) / self.total_weight, self.total_weight)
    }

    /// Adds the rows of a chunk.
    fn chunk(
        &self,
        rows: Rows<'_>,
        range: Range<usize>,
        params: &[f64],
        want: Want<'_>,
        ws: &mut Workspace,
        partial: &mut Partial,
    ) {
        let expand = self.is_expanded(want);
        let m = self.outputs;
        let n_dense = self.scaling.n_dense + 1;
        let own = &mut ws.tile;
        let tile = match &self.tiles {
            Some(tiles) if !expand => &tiles[range.start / height(n_dense)],
            _ => {
                own.load(self.data.design, self.scaling, rows, &range, expand);
                &*own
            }
        };
        let groups = tile.groups;
        let z = &mut ws.z[..m * groups];
        self.scores(tile, rows, &range, params, self.data.offsets.as_ref(), z);
        // Probabilities into z, losses into loss.
        let loss = &mut ws.loss[..groups];
        self.link(rows, &range, z, &mut ws.y[..groups], loss, &mut ws.extra);
        let weight = &mut ws.weight[..groups];
        let len = range.len();
        match self.data.weights {
            None => weight.as_flattened_mut()[..len].fill(1.0),
            Some(weights) => {
                for (i, slot) in weight.as_flattened_mut()[..len].iter_mut().enumerate() {
                    *slot = weights[rows.at(range.start + i)];
                }
            }
        }
        weight.as_flattened_mut()[len..].fill(0.0);
        let weight = &*weight;
        partial.loss = add(partial.loss, kernel::weighted_sum(weight, loss));
        match want {
            Want::Value => return,
            Want::Gradient => self.residuals(rows, &range, z, &ws.y[..groups], weight),
            Want::Product(vector) => {
                let extra = &mut ws.extra[..m * groups];
                self.scores(tile, rows, &range, vector, None, extra);
                self.curve(z, extra, groups, weight);
                z.copy_from_slice(extra);
            }
            Want::Hessian => {
                let (extra, weighted) = (&mut ws.extra, &mut ws.weighted);
                self.add_hessian(tile, z, extra, weighted, weight, &mut partial.sums);
                return;
            }
            Want::Kronecker => {
                let (gram, outputs) = partial.sums.split_at_mut(n_dense * (n_dense + 1) / 2);
                let weighted = &mut ws.weighted;
                // Each row counts by how much it curves: the trace of its outputs' curvature.
                let curvature = &mut ws.extra[..groups];
                curvature.fill(ZERO);
                for z in z.chunks_exact(groups) {
                    for (q, z) in curvature.iter_mut().zip(z) {
                        for l in 0..LANES {
                            q[l] += z[l] * (1.0 - z[l]);
                        }
                    }
                }
                for (q, w) in curvature.iter_mut().zip(weight) {
                    for l in 0..LANES {
                        q[l] *= w[l];
                    }
                }
                kernel::add_gram(&tile.lanes, tile.stride, n_dense, curvature, weighted, gram);
                self.add_curvature(z, weight, outputs);
                return;
            }
            Want::Diagonal => {
                for z in z.chunks_exact_mut(groups) {
                    for (z, w) in z.iter_mut().zip(weight) {
                        for l in 0..LANES {
                            z[l] = w[l] * z[l] * (1.0 - z[l]);
                        }
                    }
                }
                let squares = &mut ws.weighted;
                squares.clear();
                squares.extend(tile.lanes.iter().map(|x| x.map(|x| x * x)));
                let sums = &mut partial.sums[..n_dense * m];
                kernel::backward(squares, tile.stride, z, m, sums);
            }
        }
        let is_square = matches!(want, Want::Diagonal);
        if !is_square {
            let sums = &mut partial.sums[..n_dense * m];
            kernel::backward(&tile.lanes, tile.stride, z, m, sums);
        }
        self.each_other(rows, &range, |i, place, x| {
            let x = if is_square { x * x } else { x };
            for k in 0..m {
                partial.sums[place * m + k] += z[k * groups + i / LANES][i % LANES] * x;
            }
        });
    }

    /// Calls `f` with the row of the chunk, the parameter place and the scaled number of categories and sparse blocks.
    #[inline(always)]
    fn each_other(
        &self,
        rows: Rows<'_>,
        range: &Range<usize>,
        mut f: impl FnMut(usize, usize, f64),
    ) {
        let mut feature = 0;
        for block in self.data.design.blocks() {
            let width = block.width();
            if !block.is_dense() && width > 0 {
                let inverse = &self.scaling.inverse[feature..feature + width];
                let first = self.scaling.order[feature];
                for i in 0..range.len() {
                    for_each(block, rows.at(range.start + i), |col, x| {
                        f(i, first + col, x * inverse[col]);
                    });
                }
            }
            feature += width;
        }
    }

    /// Scores of the rows of a chunk into `z`.
    fn scores(
        &self,
        tile: &Tile,
        rows: Rows<'_>,
        range: &Range<usize>,
        params: &[f64],
        offsets: Option<&View<'_, f64>>,
        z: &mut [Lanes],
    ) {
        let (m, groups) = (self.outputs, tile.groups);
        z.fill(ZERO);
        if let Some(offsets) = offsets {
            for i in 0..range.len() {
                for k in 0..m {
                    let offset = offsets.get(rows.at(range.start + i), k);
                    z[k * groups + i / LANES][i % LANES] = offset;
                }
            }
        }
        let n_dense = self.scaling.n_dense + 1;
        kernel::forward(&tile.lanes, tile.stride, &params[..n_dense * m], m, z);
        self.each_other(rows, range, |i, place, x| {
            for k in 0..m {
                z[k * groups + i / LANES][i % LANES] += params[place * m + k] * x;
            }
        });
    }

    /// Scores to probabilities, and the losses.
    fn link(
        &self,
        rows: Rows<'_>,
        range: &Range<usize>,
        z: &mut [Lanes],
        y: &mut [Lanes],
        loss: &mut [Lanes],
        extra: &mut [Lanes],
    ) {
        let groups = y.len();
        let m = self.outputs;
        loss.fill(ZERO);
        let first_class = usize::from(self.reference);
        if m == 1 || self.head == Head::Sigmoid {
            for k in 0..m {
                self.fill_targets(rows, range, k + first_class, y);
                kernel::sigmoid_link(&mut z[k * groups..][..groups], y, loss);
            }
        } else {
            // Σ y_k z_k first, while the scores are there.
            match self.data.target {
                Target::Classes(classes) => {
                    for i in 0..range.len() {
                        let class = classes[rows.at(range.start + i)] as usize;
                        if class >= first_class {
                            loss[i / LANES][i % LANES] -=
                                z[(class - first_class) * groups + i / LANES][i % LANES];
                        }
                    }
                }
                Target::Distributions(view) => {
                    for i in 0..range.len() {
                        for k in 0..m {
                            let y = view.get(rows.at(range.start + i), k + first_class);
                            loss[i / LANES][i % LANES] -= y * z[k * groups + i / LANES][i % LANES];
                        }
                    }
                }
            }
            let tail = &mut extra[..groups];
            kernel::softmax_link(z, groups, m, self.reference, tail);
            for (loss, tail) in loss.iter_mut().zip(tail) {
                for l in 0..LANES {
                    loss[l] += tail[l];
                }
            }
        }
        if self.loss == Loss::SquaredError {
            loss.fill(ZERO);
            for k in 0..m {
                for i in 0..range.len() {
                    let y = self.data.target.probability(rows.at(range.start + i), k + first_class);
                    let d = z[k * groups + i / LANES][i % LANES] - y;
                    loss[i / LANES][i % LANES] += 0.5 * d * d;
                }
            }
        }
    }

    fn fill_targets(&self, rows: Rows<'_>, range: &Range<usize>, class: usize, y: &mut [Lanes]) {
        y.fill(ZERO);
        let y = &mut y.as_flattened_mut()[..range.len()];
        if let (Rows::All(_), Target::Classes(classes)) = (rows, self.data.target) {
            for (slot, &c) in y.iter_mut().zip(&classes[range.clone()]) {
                *slot = f64::from(u8::from(c as usize == class));
            }
            return;
        }
        for (i, slot) in y.iter_mut().enumerate() {
            *slot = self.data.target.probability(rows.at(range.start + i), class);
        }
    }

    /// Probabilities to the derivatives of the weighted losses by the scores.
    fn residuals(
        &self,
        rows: Rows<'_>,
        range: &Range<usize>,
        z: &mut [Lanes],
        y: &[Lanes],
        weight: &[Lanes],
    ) {
        let m = self.outputs;
        let groups = z.len() / m;
        let first_class = usize::from(self.reference);
        if self.loss == Loss::SquaredError {
            let is_sigmoid = m == 1 || self.head == Head::Sigmoid;
            for i in 0..groups * LANES {
                let (g, l, w) = (i / LANES, i % LANES, weight[i / LANES][i % LANES]);
                let row = rows.at(range.start + i.min(range.len() - 1));
                let y = |k| self.data.target.probability(row, k + first_class);
                let mean: f64 = (0..m)
                    .map(|k| z[k * groups + g][l])
                    .enumerate()
                    .map(|(k, p)| p * (p - y(k)))
                    .sum();
                for k in 0..m {
                    let p = z[k * groups + g][l];
                    let slope = if is_sigmoid { (p - y(k)) * (1.0 - p) } else { (p - y(k)) - mean };
                    z[k * groups + g][l] = w * p * slope;
                }
            }
            return;
        }
        match self.data.target {
            // The targets are there already.
            _ if m == 1 => {
                for (z, y) in z.iter_mut().zip(y) {
                    for l in 0..LANES {
                        z[l] -= y[l];
                    }
                }
            }
            Target::Classes(classes) => {
                for i in 0..range.len() {
                    let class = classes[rows.at(range.start + i)] as usize;
                    if class >= first_class {
                        z[(class - first_class) * groups + i / LANES][i % LANES] -= 1.0;
                    }
                }
            }
            Target::Distributions(view) => {
                for i in 0..range.len() {
                    for k in 0..m {
                        z[k * groups + i / LANES][i % LANES] -=
                            view.get(rows.at(range.start + i), k + first_class);
                    }
                }
            }
        }
        if self.data.weights.is_some() || range.len() < groups * LANES {
            for z in z.chunks_exact_mut(groups) {
                for (z, w) in z.iter_mut().zip(weight) {
                    for l in 0..LANES {
                        z[l] *= w[l];
                    }
                }
            }
        }
    }

    /// `v` to the curvature of each row's loss times `v`, at probabilities `p`.
    fn curve(&self, p: &[Lanes], v: &mut [Lanes], groups: usize, weight: &[Lanes]) {
        let m = self.outputs;
        let is_sigmoid = m == 1 || self.head == Head::Sigmoid;
        let is_squared = self.loss == Loss::SquaredError;
        for i in 0..groups * LANES {
            let (g, l, w) = (i / LANES, i % LANES, weight[i / LANES][i % LANES]);
            // The derivative of the probabilities by the scores, once for cross entropy, twice for squared error.
            for _ in 0..if is_squared { 2 } else { 1 } {
                let mean: f64 = (0..m).map(|k| p[k * groups + g][l] * v[k * groups + g][l]).sum();
                for k in 0..m {
                    let p = p[k * groups + g][l];
                    let x = &mut v[k * groups + g][l];
                    *x = if is_sigmoid { p * (1.0 - p) * *x } else { p * (*x - mean) };
                }
            }
            (0..m).for_each(|k| v[k * groups + g][l] *= w);
        }
    }

    /// Adds the curvature of each row's loss by its scores.
    fn add_curvature(&self, p: &[Lanes], weight: &[Lanes], out: &mut [f64]) {
        let m = self.outputs;
        let groups = weight.len();
        let is_sigmoid = self.head == Head::Sigmoid;
        for a in 0..m {
            for b in 0..m {
                if is_sigmoid && a != b {
                    continue;
                }
                let mut sum = ZERO;
                for g in 0..groups {
                    for l in 0..LANES {
                        let (pa, pb) = (p[a * groups + g][l], p[b * groups + g][l]);
                        let other = if a == b { 1.0 - pb } else { -pb };
                        sum[l] += weight[g][l] * pa * other;
                    }
                }
                out[a * m + b] += kernel::sum(&sum);
            }
        }
    }

    /// Adds the Hessian of a chunk: for each pair of outputs b <= a the lower triangle of the features.
    fn add_hessian(
        &self,
        tile: &Tile,
        p: &[Lanes],
        extra: &mut [Lanes],
        weighted: &mut Vec<Lanes>,
        weight: &[Lanes],
        sums: &mut [f64],
    ) {
        let (m, groups) = (self.outputs, tile.groups);
        let width = self.scaling.len();
        let triangle = width * (width + 1) / 2;
        let is_sigmoid = m == 1 || self.head == Head::Sigmoid;
        let q = &mut extra[..groups];
        for a in 0..m {
            for b in 0..=a {
                if is_sigmoid && a != b {
                    continue;
                }
                for (g, q) in q.iter_mut().enumerate() {
                    let (pa, pb) = (&p[a * groups + g], &p[b * groups + g]);
                    for l in 0..LANES {
                        let other = if a == b { pb[l] - 1.0 } else { pb[l] };
                        q[l] = -weight[g][l] * pa[l] * other;
                    }
                }
                let pair = a * (a + 1) / 2 + b;
                let sums = &mut sums[pair * triangle..][..triangle];
                kernel::add_gram(&tile.lanes, tile.stride, width, q, weighted, sums);
            }
        }
    }

    /// Probabilities of all classes for rows of the design, `(n_samples, n_classes)`, row by row.
    pub fn predict(&self, params: &[f64], mut row: impl FnMut(usize, &[f64])) {
        let rows = self.row_list();
        let width = self.scaling.n_dense + 1;
        let height = height(width);
        let mut tile = Tile::new(width, height);
        let m = self.outputs;
        let k = self.data.n_classes;
        let mut z = vec![ZERO; m * height / LANES];
        let mut p = vec![0.0; k];
        let n = rows.len();
        for start in (0..n).step_by(height) {
            let range = start..(start + height).min(n);
            tile.load(self.data.design, self.scaling, rows, &range, false);
            let groups = tile.groups;
            let z = &mut z[..m * groups];
            self.scores(&tile, rows, &range, params, self.data.offsets.as_ref(), z);
            for i in 0..range.len() {
                let score = |k: usize| z[k * groups + i / LANES][i % LANES];
                probabilities(self.head, self.reference, m, score, &mut p);
                row(rows.at(start + i), &p);
            }
        }
    }

    /// Parameters to coefficients on the scale of the data.
    pub fn coefficients(&self, params: &[f64]) -> Coefficients {
        let m = self.outputs;
        let n = self.data.design.n_features();
        let mut coef = vec![0.0; n * m];
        let at = self.scaling.n_dense * m;
        let mut intercept = params[at..at + m].to_vec();
        for j in 0..n {
            for k in 0..m {
                let w = params[self.scaling.order[j] * m + k] * self.scaling.inverse[j];
                coef[j * m + k] = w;
                intercept[k] -= w * self.scaling.center[j];
            }
        }
        Coefficients {
            coef,
            intercept,
            n_outputs: m,
            has_reference: self.reference,
            head: self.head,
        }
    }

    /// Coefficients on the scale of the data to parameters.
    pub fn params(&self, coefficients: &Coefficients) -> Vec<f64> {
        let m = self.outputs;
        let mut params = vec![0.0; self.n_params()];
        let at = self.scaling.n_dense * m;
        params[at..at + m].copy_from_slice(&coefficients.intercept);
        for j in 0..self.data.design.n_features() {
            for k in 0..m {
                let w = coefficients.coef[j * m + k];
                params[self.scaling.order[j] * m + k] = w * self.scaling.scale[j];
                params[at + k] += w * self.scaling.center[j];
            }
        }
        params
    }
}

/// Scores of a row to probabilities of all classes.
///
/// The softmax, with a score of 0 for the first class if it is the reference; of sigmoids each by itself, divided by
/// their sum.
pub fn probabilities(
    head: Head,
    has_reference: bool,
    n_outputs: usize,
    score: impl Fn(usize) -> f64,
    p: &mut [f64],
) {
    let first = usize::from(has_reference);
    if head == Head::Sigmoid && !has_reference {
        for k in 0..n_outputs {
            p[k] = xent::information::sigmoid(score(k));
        }
        let sum: f64 = p.iter().sum();
        if sum > 0.0 {
            p.iter_mut().for_each(|p| *p /= sum);
        }
        return;
    }
    if has_reference {
        p[0] = 0.0;
    }
    for k in 0..n_outputs {
        p[k + first] = score(k);
    }
    let max = p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    p.iter_mut().for_each(|x| *x = xent::elementary::exp(*x - max));
    let sum: f64 = p.iter().sum();
    p.iter_mut().for_each(|x| *x /= sum);
}

/// A fitted linear model's numbers, on the scale of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficients {
    /// `coef[feature * n_outputs + output]`.
    pub coef: Vec<f64>,
    /// One for each output.
    pub intercept: Vec<f64>,
    /// Scores a row: one for each class, or one fewer.
    pub n_outputs: usize,
    /// Whether the first class is the reference: output `k` is class `k + 1`.
    pub has_reference: bool,
    /// What turns scores into probabilities.
    pub head: Head,
}

/// Adds to a sum in two parts. Knuth (1969).
#[inline(always)]
fn add((high, low): (f64, f64), x: f64) -> (f64, f64) {
    let sum = high + x;
    let part = sum - high;
    (sum, low + ((high - (sum - part)) + (x - part)))
}

/// Checks targets, weights and offsets; the sum of the weights.
fn check(data: &Data<'_>) -> Result<f64, Error> {
    let n = data.design.n_rows();
    let length = |what, given| Error::Length { what, given, expected: n };
    if data.target.len() != n {
        return Err(length("targets", data.target.len()));
    }
    if data.n_classes < 2 {
        let value = data.n_classes.to_string();
        return Err(Error::Parameter { name: "n_classes", value, domain: "at least 2" });
    }
    match data.target {
        Target::Classes(classes) => {
            if let Some(row) = classes.iter().position(|&c| c as usize >= data.n_classes) {
                let what = format!("label {} is none of {} classes", classes[row], data.n_classes);
                return Err(Error::Row { row, what });
            }
        }
        Target::Distributions(view) => {
            if view.n_cols() != data.n_classes {
                let given = view.n_cols();
                let expected = data.n_classes;
                return Err(Error::Length { what: "classes of the targets", given, expected });
            }
            for row in 0..n {
                let p = |class| view.get(row, class);
                let sum: f64 = (0..data.n_classes).map(p).sum();
                if !(0..data.n_classes).all(|class| (0.0..=1.0).contains(&p(class)))
                    || (sum - 1.0).abs() > 1e-6
                {
                    let what =
                        format!("targets are not probabilities that sum to 1 (their sum is {sum})");
                    return Err(Error::Row { row, what });
                }
            }
        }
    }
    if let Some(offsets) = &data.offsets {
        if offsets.n_rows() != n {
            return Err(length("offsets", offsets.n_rows()));
        }
        for row in 0..n {
            if let Some(k) = (0..offsets.n_cols()).find(|&k| !offsets.get(row, k).is_finite()) {
                let what = format!("offset {} is not finite", offsets.get(row, k));
                return Err(Error::Row { row, what });
            }
        }
    }
    let Some(weights) = data.weights else {
        return if n == 0 { Err(length("rows", 0)) } else { Ok(n as f64) };
    };
    if weights.len() != n {
        return Err(length("weights", weights.len()));
    }
    if let Some(row) = weights.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
        let what = format!("weight {} is negative or not finite", weights[row]);
        return Err(Error::Row { row, what });
    }
    let total: f64 = weights.iter().sum();
    if total > 0.0 && total.is_finite() {
        Ok(total)
    } else {
        let value = total.to_string();
        Err(Error::Parameter { name: "sum of the weights", value, domain: "positive and finite" })
    }
}
