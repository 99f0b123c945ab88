//! Cross entropy and what stands behind it: how good a probabilistic classifier is, which of two
//! is better, and whether that could be luck.
//!
//! Every number this library reports is the `finish` of a mergeable, exact sum over rows
//! ([`exact`]): it has the same bits whatever the batch size, the number of threads or the order of
//! the rows. Inside everything is in nats and f64; bits appear at the edge.
#![warn(missing_docs)]

pub mod calibration;
mod checks;
pub mod compare;
pub mod cross_entropy;
pub mod divergence;
pub mod element;
pub mod elementary;
pub mod exact;
mod exponentials;
pub mod gemm;
pub mod information;
mod kernel;
mod lanes;
pub mod linear;
pub mod log_loss;
pub mod logits;
pub mod moments;
pub mod per_row;
pub mod rows;
pub mod score;
pub mod sigmoid;
pub mod simd;
pub mod special;
pub mod squared_error;
pub mod tail;
pub mod view;
