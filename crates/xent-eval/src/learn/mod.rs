//! Training and prediction on tables: what `xent train`, `xent predict` and `xent show` do, as a library.

mod cells;
mod checkpoint;
mod coded;
mod columns;
mod dataset;
mod feature;
mod fitter;
mod in_place;
mod levels;
mod lot;
mod model;
mod optimum;
mod options;
mod part;
mod piece;
mod predict;
mod reader;
mod sparse;
mod split;
mod train;
mod unique;
mod values;

pub use checkpoint::{CHECKPOINT_SCHEMA, Checkpoint};
pub use columns::FeatureRoles;
pub use dataset::{Dataset, MissingValues, ReadOptions};
pub use feature::{
    Feature, FeatureKind, INTERCEPT, Levels, MISSING_LEVEL, RARE_LEVEL, Term, TermKind,
};
pub use model::{MODEL_SCHEMA, Model, Training, head_name};
pub(crate) use model::{checksum, number};
pub use options::{ClassWeights, TrainOptions, loss_name};
pub use predict::{PredictOptions, Prediction, Predictor, Unseen};
pub use split::{Assignment, Split};
pub use train::{OutOfFold, Phase, Steps, Tested, Trained, entropy, stop_name, train};
