//! The model with its Hessian formed.

use super::Model;
use crate::problem::Problem;
use crate::solve::cholesky::Cholesky;

/// Coordinates are parameters.
pub(super) struct Gram {
    n: usize,
    hessian: Vec<f64>,
    slopes: Vec<f64>,
}

impl Gram {
    pub fn new(problem: &Problem<'_>, params: &[f64], gradient: &[f64]) -> Self {
        let n = params.len();
        let mut hessian = vec![0.0; n * n];
        problem.hessian(params, &mut hessian);
        problem.add_gauge(&mut hessian);
        Self { n, hessian, slopes: gradient.to_vec() }
    }
}

impl Model for Gram {
    fn curvature(&self, coordinate: usize) -> f64 {
        self.hessian[coordinate * self.n + coordinate]
    }

    fn slope(&self, coordinate: usize) -> f64 {
        self.slopes[coordinate]
    }

    fn shift(&mut self, coordinate: usize, by: f64) {
        let row = &self.hessian[coordinate * self.n..][..self.n];
        self.slopes.iter_mut().zip(row).for_each(|(s, h)| *s += by * h);
    }

    fn solve(&self, coordinates: &[usize], x: &mut [f64]) {
        let own: Vec<f64> = coordinates
            .iter()
            .flat_map(|&i| coordinates.iter().map(move |&j| self.hessian[i * self.n + j]))
            .collect();
        Cholesky::new(own, coordinates.len()).solve(x);
    }
}
