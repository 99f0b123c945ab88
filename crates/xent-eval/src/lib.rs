//! Prediction tables scored and compared: what `xent score` and `xent compare` do, as a library.
//!
//! [`Roles`] says, or finds out, which columns are predictions, label, weight, slices and identity;
//! [`score`] gives every score of the models of one table, [`compare`] the paired differences of
//! models in several tables, side by side, or stacked. Both stream in parallel in bounded memory
//! (rows matched by identity are held, unless they come in the same order), and no bit of a result depends on threads or batches.

mod as_peer;
mod block;
mod calibrate;
mod calibration;
mod calibrator;
mod classes;
mod compare;
mod detective;
mod error;
pub mod learn;
mod logits;
mod parts;
mod predictions;
mod roles;
mod score;
mod source;
mod worst;

pub use as_peer::{Peer, PeerScore, PeerState};
pub use block::{Block, Missing, OwnedTarget, Scorer};
pub use calibrate::{
    Applied, Applier, ApplyOptions, ApplySummary, Calibration, CrossFittedGain, Won, calibrate,
};
pub use calibration::{
    BinnedErrors, CalibrationOptions, ClassCalibration, Errors, Lines, ModelCalibration, Question,
    calibration,
};
pub use calibrator::{CALIBRATOR_SCHEMA, Calibrator, Fitted, method_name};
pub use compare::{Matching, ModelComparison, SliceComparison, compare};
pub use error::Error;
pub use parts::{BINS, BinnedDecompositions, CrossFitted, Details, FOLDS, FOLDS_ROWS, ModelParts};
pub use predictions::Predictions;
pub use roles::{
    Binding, LABEL_NAMES, ModelColumns, PredictionColumns, Roles, TARGET_PREFIX, TargetColumns,
};
pub use score::{
    INFINITE_LISTED, ModelScore, Observer, Options, Progress, SLICES, Shape, WORST, score,
};
pub use source::{Source, put_beside};
pub use worst::{
    Contrast, FLOORS, Floor, ModelWorst, Part, Prediction, SHARES, Worst, WorstOptions, WorstRow,
    worst,
};
