//! Recalibration: maps from predictions to better ones, fitted on rows with outcomes.

mod isotonic_map;

pub use isotonic_map::IsotonicMap;
