//! One row after another, for solvers that look at rows by themselves.

use crate::design::Block;
use crate::problem::{Head, Problem, Target};
use crate::tile::{Number, for_each};

/// A row in the coordinates of the solvers, `x` of `z = u' x`.
///
/// Dense features and the intercept's 1 lie in `dense`, at the places of their parameters; what a row has in categories
/// and sparse blocks is a list of places and numbers.
pub(crate) struct Reader<'a> {
    problem: &'a Problem<'a>,
    /// Row of the design.
    row: usize,
    pub dense: Vec<f64>,
    pub others: Vec<(u32, f64)>,
}

impl<'a> Reader<'a> {
    pub fn new(problem: &'a Problem<'a>) -> Self {
        let width = problem.scaling().n_dense + 1;
        let mut dense = vec![0.0; width];
        dense[width - 1] = f64::from(u8::from(problem.has_intercept()));
        Self { problem, row: 0, dense, others: Vec::new() }
    }

    /// Reads the row at a place among the rows of the objective.
    pub fn load(&mut self, i: usize) {
        let row = self.problem.row_at(i);
        self.row = row;
        self.others.clear();
        let scaling = self.problem.scaling();
        let (mut feature, mut first) = (0, 0);
        for block in self.problem.data().design.blocks() {
            let width = block.width();
            let inverse = &scaling.inverse[feature..feature + width];
            if block.is_dense() {
                let center = &scaling.center[feature..feature + width];
                let out = &mut self.dense[first..first + width];
                match block {
                    Block::F64(view) => fill(view.row(row), block, row, center, inverse, out),
                    Block::F32(view) => fill(view.row(row), block, row, center, inverse, out),
                    Block::U8(view) => fill(view.row(row), block, row, center, inverse, out),
                    Block::I8(view) => fill(view.row(row), block, row, center, inverse, out),
                    Block::I32(view) => fill(view.row(row), block, row, center, inverse, out),
                    Block::Category(_) | Block::Sparse(_) => {}
                }
                first += width;
            } else if width > 0 {
                let place = scaling.order[feature];
                let others = &mut self.others;
                for_each(block, row, |col, x| {
                    others.push(((place + col) as u32, x * inverse[col]));
                });
            }
            feature += width;
        }
    }

    /// The row's scores, with its offsets.
    pub fn scores(&self, params: &[f64], z: &mut [f64]) {
        match &self.problem.data().offsets {
            Some(offsets) => (0..z.len()).for_each(|k| z[k] = offsets.get(self.row, k)),
            None => z.fill(0.0),
        }
        self.add_scores(params, z);
    }

    /// Adds `u' x`.
    pub fn add_scores(&self, params: &[f64], z: &mut [f64]) {
        let m = z.len();
        if m == 1 {
            z[0] += crate::solve::dot(&self.dense, &params[..self.dense.len()]);
        } else {
            for (x, u) in self.dense.iter().zip(params.chunks_exact(m)) {
                for k in 0..m {
                    z[k] += x * u[k];
                }
            }
        }
        for &(place, x) in &self.others {
            for k in 0..m {
                z[k] += x * params[place as usize * m + k];
            }
        }
    }

    /// The row's weight.
    pub fn weight(&self) -> f64 {
        self.problem.data().weights.map_or(1.0, |w| w[self.row])
    }

    /// The offset of an output.
    pub fn offset(&self, output: usize) -> f64 {
        self.problem.data().offsets.as_ref().map_or(0.0, |offsets| offsets.get(self.row, output))
    }

    /// What the probability of an output should be.
    pub fn target(&self, output: usize) -> f64 {
        let class = output + usize::from(self.problem.has_reference());
        match self.problem.data().target {
            Target::Classes(classes) => f64::from(u8::from(classes[self.row] as usize == class)),
            Target::Distributions(view) => view.get(self.row, class),
        }
    }

    /// Σ x².
    pub fn square(&self) -> f64 {
        let others: f64 = self.others.iter().map(|(_, x)| x * x).sum();
        crate::solve::dot(&self.dense, &self.dense) + others
    }
}

/// Whether each output is a sigmoid by itself.
pub(crate) fn is_sigmoid(problem: &Problem<'_>) -> bool {
    problem.n_outputs() == 1 || problem.head() == Head::Sigmoid
}

/// Scores to the probabilities of the outputs.
pub(crate) fn link(problem: &Problem<'_>, z: &mut [f64]) {
    if is_sigmoid(problem) {
        z.iter_mut().for_each(|z| *z = xent::information::sigmoid(*z));
        return;
    }
    let least = if problem.has_reference() { 0.0 } else { f64::NEG_INFINITY };
    let max = z.iter().copied().fold(least, f64::max);
    let mut sum = if problem.has_reference() { xent::elementary::exp(-max) } else { 0.0 };
    for z in &mut *z {
        *z = xent::elementary::exp(*z - max);
        sum += *z;
    }
    z.iter_mut().for_each(|z| *z /= sum);
}

fn fill<T: Number>(
    numbers: Option<&[T]>,
    block: &Block<'_>,
    row: usize,
    center: &[f64],
    inverse: &[f64],
    out: &mut [f64],
) {
    if let Some(numbers) = numbers {
        for (((out, x), center), inverse) in out.iter_mut().zip(numbers).zip(center).zip(inverse) {
            *out = (x.to_f64() - center) * inverse;
        }
    } else {
        for (j, out) in out.iter_mut().enumerate() {
            *out = (block.number(row, j) - center[j]) * inverse[j];
        }
    }
}
