//! Training and prediction on tables: what `xent train`, `xent predict` and `xent show` do, as a library.

mod cells;
mod columns;
mod dataset;
mod feature;
mod model;
mod part;
mod piece;
mod predict;
mod split;
mod train;

pub use cells::Cells;
pub use columns::FeatureRoles;
pub use dataset::{Dataset, MissingValues, ReadOptions};
pub use feature::{Feature, FeatureKind, Levels, MISSING_LEVEL, RARE_LEVEL, Term};
pub use model::{MODEL_SCHEMA, Model, Training, head_name};
pub(crate) use model::{checksum, number};
pub use predict::{PredictOptions, Prediction, Predictor, Unseen};
pub use split::{Assignment, Split};
pub use train::{
    ClassWeights, OutOfFold, Phase, Steps, Tested, TrainOptions, Trained, entropy, loss_name,
    stop_name, train,
};
