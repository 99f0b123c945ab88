//! The model over a working set, from the columns themselves.

use super::Model;
use crate::problem::Problem;
use crate::solve::dot;
use crate::solve::rows::{Reader, is_sigmoid, link};

/// Coordinates are numbers of the working set.
///
/// ```text
/// H (v - u) = Σ_i π_i x_i (diag p_i - p_i p_i') V_i + l2 (v - u),   V = X (v - u)
/// ```
pub(super) struct Columns {
    m: usize,
    is_sigmoid: bool,
    /// Of each coordinate: its column and its output.
    places: Vec<(usize, usize)>,
    features: Vec<Column>,
    /// Of each row and output: π p, of sigmoids π p (1 - p).
    weights: Vec<f64>,
    /// p; empty for sigmoids.
    p: Vec<f64>,
    /// V, and Σ_k p_k V_k of each row.
    moved: Vec<f64>,
    means: Vec<f64>,
    gradient: Vec<f64>,
    l2: Vec<f64>,
    /// v - u.
    way: Vec<f64>,
    curvatures: Vec<f64>,
}

enum Column {
    Dense(Vec<f64>),
    Sparse(Vec<(u32, f64)>),
}

impl Column {
    #[inline(always)]
    fn for_each(&self, mut f: impl FnMut(usize, f64)) {
        match self {
            Self::Dense(x) => x.iter().enumerate().for_each(|(i, &x)| f(i, x)),
            Self::Sparse(x) => x.iter().for_each(|&(i, x)| f(i as usize, x)),
        }
    }
}

impl Columns {
    /// The columns of the parameters in the working set, ascending, at `params` with this gradient.
    pub fn new(problem: &Problem<'_>, params: &[f64], gradient: &[f64], set: &[usize]) -> Self {
        let (n, m) = (problem.n_rows(), problem.n_outputs());
        let mut reader = Reader::new(problem);
        let n_dense = reader.dense.len();
        let mut index = vec![usize::MAX; problem.n_places()];
        let mut columns = Vec::new();
        let mut places = Vec::with_capacity(set.len());
        for &i in set {
            let place = i / m;
            if index[place] == usize::MAX {
                index[place] = columns.len();
                columns.push(if place < n_dense {
                    Column::Dense(Vec::with_capacity(n))
                } else {
                    Column::Sparse(Vec::new())
                });
            }
            places.push((index[place], i % m));
        }
        let is_sigmoid = is_sigmoid(problem);
        let mut weights = Vec::with_capacity(n * m);
        let mut p = Vec::with_capacity(if is_sigmoid { 0 } else { n * m });
        let mut z = vec![0.0; m];
        for i in 0..n {
            reader.load(i);
            reader.scores(params, &mut z);
            let part = reader.weight() / problem.total_weight();
            if is_sigmoid {
                let sigmoid = xent::information::sigmoid;
                weights.extend(z.iter().map(|&z| part * sigmoid(z) * sigmoid(-z)));
            } else {
                link(problem, &mut z);
                weights.extend(z.iter().map(|p| part * p));
                p.extend_from_slice(&z);
            }
            for (place, &x) in reader.dense.iter().enumerate() {
                if let Some(Column::Dense(column)) = columns.get_mut(index[place]) {
                    column.push(x);
                }
            }
            for &(place, x) in &reader.others {
                if let Some(Column::Sparse(column)) = columns.get_mut(index[place as usize]) {
                    column.push((i as u32, x));
                }
            }
        }
        let mut model = Self {
            m,
            is_sigmoid,
            places,
            features: columns,
            weights,
            p,
            moved: vec![0.0; n * m],
            means: vec![0.0; n],
            gradient: set.iter().map(|&i| gradient[i]).collect(),
            l2: set.iter().map(|&i| problem.l2(i)).collect(),
            way: vec![0.0; set.len()],
            curvatures: Vec::new(),
        };
        model.curvatures = (0..set.len()).map(|c| model.own_curvature(c)).collect();
        model
    }

    fn own_curvature(&self, coordinate: usize) -> f64 {
        let (column, k) = self.places[coordinate];
        let mut sum = 0.0;
        self.features[column].for_each(|i, x| {
            let left = if self.is_sigmoid { 1.0 } else { 1.0 - self.p[i * self.m + k] };
            sum += self.weights[i * self.m + k] * left * x * x;
        });
        sum + self.l2[coordinate]
    }

    /// Row `coordinate` of the Hessian, without the ridge, times what has moved the scores by `moved`.
    fn product(&self, coordinate: usize, moved: &[f64], means: &[f64]) -> f64 {
        let (column, k) = self.places[coordinate];
        let m = self.m;
        let mut sum = 0.0;
        if self.is_sigmoid {
            self.features[column]
                .for_each(|i, x| sum += self.weights[i * m + k] * x * moved[i * m + k]);
        } else {
            self.features[column].for_each(|i, x| {
                sum += self.weights[i * m + k] * x * (moved[i * m + k] - means[i]);
            });
        }
        sum
    }

    /// Adds a coordinate's share in the scores.
    fn move_scores(&self, coordinate: usize, by: f64, moved: &mut [f64], means: &mut [f64]) {
        let (column, k) = self.places[coordinate];
        let m = self.m;
        self.features[column].for_each(|i, x| {
            let change = by * x;
            moved[i * m + k] += change;
            if !self.is_sigmoid {
                means[i] += self.p[i * m + k] * change;
            }
        });
    }
}

impl Model for Columns {
    fn curvature(&self, coordinate: usize) -> f64 {
        self.curvatures[coordinate]
    }

    fn slope(&self, coordinate: usize) -> f64 {
        self.gradient[coordinate]
            + self.l2[coordinate] * self.way[coordinate]
            + self.product(coordinate, &self.moved, &self.means)
    }

    fn shift(&mut self, coordinate: usize, by: f64) {
        self.way[coordinate] += by;
        let (mut moved, mut means) =
            (std::mem::take(&mut self.moved), std::mem::take(&mut self.means));
        self.move_scores(coordinate, by, &mut moved, &mut means);
        (self.moved, self.means) = (moved, means);
    }

    /// By conjugate gradients, scaled by the diagonal.
    fn solve(&self, coordinates: &[usize], x: &mut [f64]) {
        const RELATIVE: f64 = 1e-10;
        let scale: Vec<f64> = coordinates.iter().map(|&c| 1.0 / self.curvatures[c]).collect();
        let scaled = |r: &[f64]| r.iter().zip(&scale).map(|(r, s)| r * s).collect::<Vec<f64>>();
        let mut residual = x.to_vec();
        x.fill(0.0);
        let mut ahead = scaled(&residual);
        let mut square = dot(&residual, &ahead);
        let enough = RELATIVE * RELATIVE * square;
        let (mut moved, mut means) = (vec![0.0; self.moved.len()], vec![0.0; self.means.len()]);
        for _ in 0..2 * coordinates.len() + 10 {
            if square <= enough || square == 0.0 {
                break;
            }
            moved.fill(0.0);
            means.fill(0.0);
            for (&c, &a) in coordinates.iter().zip(&ahead) {
                self.move_scores(c, a, &mut moved, &mut means);
            }
            let product: Vec<f64> = coordinates
                .iter()
                .zip(&ahead)
                .map(|(&c, a)| self.product(c, &moved, &means) + self.l2[c] * a)
                .collect();
            let curvature = dot(&ahead, &product);
            if curvature.is_nan() || curvature <= 0.0 {
                break;
            }
            let step = square / curvature;
            x.iter_mut().zip(&ahead).for_each(|(x, a)| *x += step * a);
            residual.iter_mut().zip(&product).for_each(|(r, p)| *r -= step * p);
            let next = scaled(&residual);
            let new_square = dot(&residual, &next);
            let beta = new_square / square;
            ahead.iter_mut().zip(&next).for_each(|(a, n)| *a = n + beta * *a);
            square = new_square;
        }
    }
}
