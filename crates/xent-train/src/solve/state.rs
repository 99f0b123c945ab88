//! What a solver needs to go on where it stopped.

use crate::error::Error;

/// A solver's whole state after an iteration: plain numbers, all of them finite, to be written to a file and read back.
///
/// A run that is resumed from it ([`Begin::State`](super::Begin::State)) over the same data with the same settings ends with the same bits as
/// one that was never interrupted. The names of vectors and numbers are the solver's own; `params` is always there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Name of the method.
    pub method: String,
    /// Iterations done.
    pub iteration: usize,
    /// Vectors by name.
    pub vectors: Vec<(String, Vec<f64>)>,
    /// Numbers by name.
    pub numbers: Vec<(String, f64)>,
}

impl State {
    /// The vector of a name, if there is one.
    pub fn vector(&self, name: &str) -> Option<&[f64]> {
        self.vectors.iter().find(|(n, _)| n == name).map(|(_, vector)| &vector[..])
    }

    /// The number of a name, if there is one.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.numbers.iter().find(|(n, _)| n == name).map(|(_, number)| *number)
    }

    pub(crate) fn put_vector(&mut self, name: impl Into<String>, vector: &[f64]) {
        self.vectors.push((name.into(), vector.to_vec()));
    }

    pub(crate) fn put(&mut self, name: impl Into<String>, number: f64) {
        self.numbers.push((name.into(), number));
    }

    /// A vector that must be there, with so many finite numbers.
    pub(crate) fn need_vector(&self, name: &str, len: usize) -> Result<Vec<f64>, Error> {
        match self.vector(name) {
            Some(vector) if vector.len() == len && vector.iter().all(|x| x.is_finite()) => {
                Ok(vector.to_vec())
            }
            Some(vector) => Err(Error::State(format!(
                "vector {name} has {} numbers, {len} finite ones are needed",
                vector.len()
            ))),
            None => Err(Error::State(format!("vector {name} is missing"))),
        }
    }

    /// A number that must be there.
    pub(crate) fn need(&self, name: &str) -> Result<f64, Error> {
        match self.number(name) {
            Some(number) if number.is_finite() => Ok(number),
            Some(number) => Err(Error::State(format!("number {name} is {number}"))),
            None => Err(Error::State(format!("number {name} is missing"))),
        }
    }

    /// Checks that it is a state of a method.
    pub(crate) fn check(&self, method: &str) -> Result<(), Error> {
        if self.method == method {
            Ok(())
        } else {
            let own = &self.method;
            Err(Error::State(format!("it is a state of {own}, which {method} cannot go on from")))
        }
    }
}
