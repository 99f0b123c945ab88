//! Directions in which nothing changes.
//!
//! A softmax over all classes does not change if the same number is added to the scores of each. Where nothing is
//! penalised (always at the intercept), the minimum is therefore a line. The point taken on it is the one whose coefficients sum to 0
//! over the classes.

use crate::problem::{Coefficients, Head, Problem};

impl Problem<'_> {
    /// Whether the parameters of a place may be shifted together without any change.
    pub(crate) fn has_gauge(&self, place: usize) -> bool {
        let first = place * self.n_outputs();
        self.is_loose(place) && self.l2(first) == 0.0 && self.l1(first) == 0.0
    }

    /// Whether they may without any change but of the penalty.
    fn is_loose(&self, place: usize) -> bool {
        let m = self.n_outputs();
        m > 1 && !self.has_reference() && self.head() == Head::Softmax && self.is_free(place * m)
    }

    /// Places of the parameters: features and the intercept.
    pub(crate) fn n_places(&self) -> usize {
        self.n_params() / self.n_outputs()
    }

    /// Moves to the point that stands for its line: sums over the classes are 0.
    pub(crate) fn fix_gauge(&self, params: &mut [f64]) {
        self.center(params, |place| self.has_gauge(place));
    }

    /// Moves to where a ridge is least: sums over the classes are 0 wherever they may be. So is then the sum of the gradient.
    pub(crate) fn fix_ridge(&self, params: &mut [f64]) {
        self.center(params, |place| self.is_loose(place));
    }

    fn center(&self, params: &mut [f64], which: impl Fn(usize) -> bool) {
        let m = self.n_outputs();
        for place in 0..self.n_places() {
            if which(place) {
                let own = &mut params[place * m..(place + 1) * m];
                let mean = own.iter().sum::<f64>() / m as f64;
                own.iter_mut().for_each(|u| *u -= mean);
            }
        }
    }

    /// The same of the intercepts on the scale of the data, which the means of the features have a share in.
    pub(crate) fn fix_intercepts(&self, coefficients: &mut Coefficients) {
        if self.has_gauge(self.scaling().n_dense) {
            let intercept = &mut coefficients.intercept;
            let mean = intercept.iter().sum::<f64>() / intercept.len() as f64;
            intercept.iter_mut().for_each(|b| *b -= mean);
        }
    }

    /// Adds curvature to a Hessian, `(n_params, n_params)`, in the directions without any, so that it can be inverted; a step
    /// has no part in them, as the gradient has none.
    pub(crate) fn add_gauge(&self, hessian: &mut [f64]) {
        self.stiffen(hessian, |place| self.has_gauge(place));
    }

    /// The same in the directions in which a ridge alone curves, for gradients that have no part in them either: rounding to f32 would
    /// be larger than the ridge.
    pub(crate) fn add_loose_gauge(&self, hessian: &mut [f64]) {
        self.stiffen(hessian, |place| self.is_loose(place));
    }

    fn stiffen(&self, hessian: &mut [f64], which: impl Fn(usize) -> bool) {
        let (m, n) = (self.n_outputs(), self.n_params());
        for place in 0..self.n_places() {
            if which(place) {
                let own = place * m..(place + 1) * m;
                let scale = own.clone().map(|i| hessian[i * n + i]).sum::<f64>() / (m * m) as f64;
                for i in own.clone() {
                    for j in own.clone() {
                        hessian[i * n + j] += scale;
                    }
                }
            }
        }
    }
}
