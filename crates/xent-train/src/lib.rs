//! Linear classifiers fitted by cross entropy or squared error.
//!
//! A [`Design`] holds the features where they lie, a [`Problem`] is the objective over it, a solver ([`solve`]) finds its
//! minimum and says how near it is, and the result is a [`Coefficients`] table on the scale of the data.
//!
//! ```text
//! objective = Σ w_i loss(y_i, z_i) / Σ w_i  +  l2/2 Σ coef²  +  l1 Σ |coef|        nats
//! z_i = intercept + coef' x_i + offset_i
//! ```
//!
//! Sums over rows are taken over fixed parts of the rows in a fixed order, so results have the same bits for any
//! number of threads.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod design;
mod error;
pub mod fit;
mod gram;
mod kernel;
mod narrow;
mod parts;
pub mod problem;
mod rowwise;
mod scaling;
pub mod solve;
mod sparse;
#[cfg(test)]
mod tests;
mod tile;
mod vector;

pub use design::{Block, Category, Codes, Design, Sparse, SparseValues};
pub use error::{Error, Place};
pub use fit::{Fitted, Method, Trainer};
pub use problem::{Coefficients, Data, Head, Loss, Penalty, Problem, Target};
pub use scaling::Scaling;
pub use solve::rank::Collinear;
