//! A fit that was stopped on its way, and its file.
//!
//! The file is JSON under the contract `xent.checkpoint/1`: the settings of the fit, a checksum of its data, and the solver's
//! state, whose numbers read back to the bit. A fit that goes on from it, over the same data with the same settings, ends
//! with the same bits as one that was never stopped. Of the settings the limits (tolerance, iterations), the threads and what
//! only tests or writes may be others.

use serde_json::{Map, Value, json};
use xent_train::solve::State;

use super::dataset::{Dataset, Targets};
use super::fitter::Fitter;
use super::model::{checksum, head_name};
use super::options::{ClassWeights, TrainOptions, loss_name};
use super::split::Split;
use super::values::{RowLevels, SparseNumbers, Values};
use crate::error::Error;

/// The contract of checkpoints.
pub const CHECKPOINT_SCHEMA: &str = "xent.checkpoint/1";

/// Numbers that are hashed at a time.
const CHUNK: usize = 4096;

/// What a fit needs to go on where it was stopped.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// What the fit depends on, by name, in the words of the command line.
    settings: Map<String, Value>,
    /// The solver's own.
    pub state: State,
}

impl Checkpoint {
    /// That of a fit which has not begun.
    ///
    /// # Errors
    ///
    /// Those of [`train`](super::train) that need no fit.
    pub fn begin(data: &Dataset, options: &TrainOptions) -> Result<Self, Error> {
        let split = options.split.filter(|split| matches!(split, Split::Holdout(_)));
        let holdout = split.map(|split| data.split(split, options.seed)).transpose()?;
        let weights = Fitter::new(data, options)?.model_weights(holdout.as_ref());
        let names: Vec<String> = data.terms().into_iter().map(|t| t.name).collect();
        let class_weight = match &options.class_weights {
            ClassWeights::None => Value::Null,
            ClassWeights::Balanced => Value::from("balanced"),
            ClassWeights::Named(named) => object(named),
        };
        let settings = json!({
            "rows": data.rows,
            "classes": data.classes,
            "features": crc(|hash| names.iter().for_each(|name| {
                hash.update(name.as_bytes());
                hash.update(&[0]);
            })),
            "data": crc(|hash| add_data(hash, data, weights.as_deref())),
            "head": head_name(options.head),
            "loss": loss_name(options.loss),
            "l2": options.l2,
            "l1": options.l1,
            "C": options.c,
            "penalty-factor": object(&options.factors),
            "class-weight": class_weight,
            "standardize": options.standardize,
            "intercept": options.has_intercept,
            "solver": options.method.name(),
            "learning-rate": options.learning_rate,
            "batch": options.batch_size,
            "raw-coordinates": options.raw_coordinates,
            "start": options.start.map(|(w, b)| json!([w, b])),
            "seed": options.seed,
        });
        let Value::Object(settings) = settings else { unreachable!("it is written as one") };
        Ok(Self { settings, state: State::default() })
    }

    /// The checkpoint as the value of its file, checksum and all.
    pub fn to_json(&self) -> Value {
        let State { method, iteration, vectors, numbers } = &self.state;
        let mut value = json!({
            "schema": CHECKPOINT_SCHEMA,
            "xent": env!("CARGO_PKG_VERSION"),
            "settings": self.settings,
            "method": method,
            "iteration": iteration,
            "numbers": object(numbers),
            "vectors": object(vectors),
        });
        let sum = checksum(&value);
        if let Some(map) = value.as_object_mut() {
            map.insert("checksum".to_owned(), Value::from(sum));
        }
        value
    }

    /// Reads the text of a file, called `name` in errors, which must be of the fit that `self` begins.
    ///
    /// # Errors
    ///
    /// The text is no checkpoint, is cut, was edited, is of another version, other data or other settings.
    pub fn resume(&self, name: &str, text: &[u8]) -> Result<State, Error> {
        let error =
            |message: String, hint: &str| Error::new(format!("{name}: {message}")).with_hint(hint);
        let other = |what: &str| error(what.to_owned(), "xent train --checkpoint writes one");
        let mut value: Value = serde_json::from_slice(text).map_err(|e| {
            other(if e.is_eof() {
                "the checkpoint ends too early"
            } else {
                "is no checkpoint: not valid JSON"
            })
        })?;
        let schema = value.get("schema").and_then(Value::as_str).unwrap_or_default();
        if schema != CHECKPOINT_SCHEMA {
            return Err(match schema.strip_prefix("xent.checkpoint/") {
                Some(version) => error(
                    format!("is a checkpoint of version {version}; this xent reads version 1"),
                    "use the xent that wrote it, or train anew",
                ),
                None => other("is no checkpoint"),
            });
        }
        let said = value.as_object_mut().and_then(|map| map.shift_remove("checksum"));
        if said.as_ref().and_then(Value::as_str) != Some(&checksum(&value)) {
            let what = "the checkpoint was changed after it was written: its checksum does not fit";
            return Err(error(what.to_owned(), "train anew"));
        }
        let empty = Map::new();
        let settings = value.get("settings").and_then(Value::as_object).unwrap_or(&empty);
        for (key, mine) in &self.settings {
            let theirs = settings.get(key).unwrap_or(&Value::Null);
            if mine != theirs {
                let what = match key.as_str() {
                    "data" => "other numbers, labels or weights".to_owned(),
                    "features" => "other columns".to_owned(),
                    _ => format!("{key} was {}, and is {}", plain(theirs), plain(mine)),
                };
                return Err(error(
                    format!("the checkpoint is of another fit: {what}"),
                    "resume with the data and the options that it was made with, or train anew",
                ));
            }
        }
        state(&value)
            .ok_or_else(|| error("the checkpoint does not hold together".to_owned(), "train anew"))
    }
}

/// Pairs as a JSON object.
fn object<V: Clone + Into<Value>>(pairs: &[(String, V)]) -> Value {
    pairs.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect()
}

fn state(value: &Value) -> Option<State> {
    let number = |(name, x): (&String, &Value)| Some((name.clone(), x.as_f64()?));
    let vector = |(name, list): (&String, &Value)| {
        let numbers: Option<Vec<f64>> = list.as_array()?.iter().map(Value::as_f64).collect();
        Some((name.clone(), numbers?))
    };
    Some(State {
        method: value.get("method")?.as_str()?.to_owned(),
        iteration: usize::try_from(value.get("iteration")?.as_u64()?).ok()?,
        vectors: value.get("vectors")?.as_object()?.iter().map(vector).collect::<Option<_>>()?,
        numbers: value.get("numbers")?.as_object()?.iter().map(number).collect::<Option<_>>()?,
    })
}

/// A setting in a message.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "on".to_owned(),
        Value::Bool(false) => "off".to_owned(),
        other => other.to_string(),
    }
}

fn crc(add: impl FnOnce(&mut crc32fast::Hasher)) -> String {
    let mut hash = crc32fast::Hasher::new();
    add(&mut hash);
    format!("crc32:{:08x}", hash.finalize())
}

/// Numbers as the bytes of 64-bit floats.
fn add_numbers(hash: &mut crc32fast::Hasher, numbers: impl Iterator<Item = f64>) {
    let mut bytes = Vec::with_capacity(8 * CHUNK);
    for x in numbers {
        bytes.extend_from_slice(&x.to_le_bytes());
        if bytes.len() == 8 * CHUNK {
            hash.update(&bytes);
            bytes.clear();
        }
    }
    hash.update(&bytes);
}

fn add_codes(hash: &mut crc32fast::Hasher, codes: &[u32]) {
    add_numbers(hash, codes.iter().map(|&code| f64::from(code)));
}

fn add_data(hash: &mut crc32fast::Hasher, data: &Dataset, weights: Option<&[f64]>) {
    for values in &data.values {
        match values {
            Values::Numbers(cells, _) => add_numbers(hash, cells.iter()),
            Values::Codes { .. } => {
                let levels = values.levels();
                let levels = levels.iter().flat_map(RowLevels::iter);
                add_numbers(hash, levels.map(|level| level as f64));
            }
            Values::Sparse { offsets, indices, values, .. } => {
                add_numbers(hash, offsets.iter().map(|&offset| offset as f64));
                add_codes(hash, indices);
                match values {
                    SparseNumbers::Ones => {}
                    SparseNumbers::F32(x) => add_numbers(hash, x.iter().map(|&x| x.into())),
                    SparseNumbers::F64(x) => add_numbers(hash, x.iter().copied()),
                }
            }
        }
    }
    match &data.targets {
        Targets::Classes(classes) => add_codes(hash, classes),
        Targets::Soft(x) => add_numbers(hash, x.iter().copied()),
    }
    for x in data.offsets.iter().map(|(.., x)| x) {
        add_numbers(hash, x.iter().copied());
    }
    let weights = weights.or(data.weights.as_deref());
    add_numbers(hash, weights.unwrap_or_default().iter().copied());
}
