//! A trained model, and its file.
//!
//! The file is JSON under the contract `xent.model/1`, made to be read by people too. Numbers are written in the
//! shortest form that reads back as the same f64, so a model predicts the same bits after a trip through its
//! file. The last field is the CRC-32 of all others in their order, written without blanks: it shows a file that was cut or
//! edited, whatever its layout; it is no signature.

use serde_json::{Value, json};
use xent_train::Head;

use super::feature::{Feature, FeatureKind, Levels, Term};
use crate::error::Error;

/// The contract of model files.
pub const MODEL_SCHEMA: &str = "xent.model/1";

/// A linear classifier over the columns of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The column of the classes, or the pattern of soft targets.
    pub target: String,
    /// Columns of soft targets, one a class; none if the target is a class.
    pub target_columns: Vec<String>,
    /// The classes in their order.
    pub classes: Vec<String>,
    /// What turns scores into probabilities.
    pub head: Head,
    /// Whether the first class is the reference, whose scores are 0.
    pub has_reference: bool,
    /// The columns that are read.
    pub features: Vec<Feature>,
    /// `coef[term * n_outputs + output]`, on the scale of the data.
    pub coef: Vec<f64>,
    /// One an output, on the scale of the data.
    pub intercept: Vec<f64>,
    /// The scores where every feature is at its center; predictions start from here.
    pub centered_intercept: Vec<f64>,
    /// The mean of each term in training; 0 for levels.
    pub center: Vec<f64>,
    /// The standard deviation of each term in training; 1 for levels.
    pub scale: Vec<f64>,
    /// Columns that are added to the scores: one a class, or of two classes one for the second.
    pub offsets: Vec<String>,
    /// How it was trained.
    pub training: Training,
}

/// How a model was trained.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Training {
    /// The table.
    pub source: String,
    /// Rows trained on.
    pub rows: u64,
    /// Rows left out for missing values.
    pub dropped: u64,
    /// The sum of their weights.
    pub weight: f64,
    /// The weight column.
    pub weight_column: Option<String>,
    /// `cross-entropy` or `mse`.
    pub loss: String,
    /// Ridge.
    pub l2: f64,
    /// Lasso.
    pub l1: f64,
    /// Whether coefficients were penalised per standard deviation.
    pub standardized: bool,
    /// Whether there is an intercept.
    pub has_intercept: bool,
    /// Mean loss and penalty, nats a row.
    pub objective: f64,
    /// Mean cross entropy, nats a row.
    pub log_loss: f64,
    /// Σ w ln p of what happened, nats.
    pub log_likelihood: f64,
    /// The cross entropy of the class frequencies: the entropy of the labels, nats.
    pub base_log_loss: f64,
    /// The solver.
    pub solver: String,
    /// Why that one.
    pub reason: String,
    /// Steps.
    pub iterations: u64,
    /// What the objective is thought to be above its minimum, relative to it: that by which the solver stopped.
    pub gap: f64,
    /// What it is at most, proven by duality; `None` where there is no proof.
    pub gap_bound: Option<f64>,
    /// Norm of the gradient at the end.
    pub gradient_norm: f64,
    /// What stopped it: `tolerance`, `precision`, `iterations` or `interrupted`.
    pub stop: String,
}

impl Training {
    /// The share of the base rate's loss that is explained; NaN where that loss is 0, as all rows are of one class.
    pub fn explained(&self) -> f64 {
        if self.base_log_loss > 0.0 { 1.0 - self.log_loss / self.base_log_loss } else { f64::NAN }
    }
}

impl Model {
    /// Scores a row.
    pub fn n_outputs(&self) -> usize {
        self.intercept.len()
    }

    /// The columns of coefficients.
    pub fn terms(&self) -> Vec<Term> {
        self.features.iter().flat_map(Feature::terms).collect()
    }

    /// The class of each output: all, or all but the reference.
    pub fn outputs(&self) -> &[String] {
        &self.classes[usize::from(self.has_reference)..]
    }

    /// The class whose scores are 0.
    pub fn reference_class(&self) -> Option<&str> {
        self.has_reference.then(|| self.classes[0].as_str())
    }

    /// The model as the value of its file, checksum and all.
    pub fn to_json(&self) -> Value {
        let terms = self.terms();
        let m = self.n_outputs();
        let features: Vec<Value> = self.features.iter().map(feature_json).collect();
        let coefficients: Vec<Value> = terms
            .iter()
            .enumerate()
            .map(|(j, term)| {
                json!({
                    "feature": term.name,
                    "center": self.center[j],
                    "scale": self.scale[j],
                    "estimates": self.coef[j * m..(j + 1) * m],
                })
            })
            .collect();
        let t = &self.training;
        let mut value = json!({
            "schema": MODEL_SCHEMA,
            "xent": env!("CARGO_PKG_VERSION"),
            "target": self.target,
            "target_columns": self.target_columns,
            "classes": self.classes,
            "head": head_name(self.head),
            "outputs": self.outputs(),
            "reference_class": self.reference_class(),
            "features": features,
            "offsets": self.offsets,
            "intercept": self.intercept,
            "centered_intercept": self.centered_intercept,
            "coefficients": coefficients,
            "training": {
                "source": t.source,
                "rows": t.rows,
                "dropped": t.dropped,
                "weight": t.weight,
                "weight_column": t.weight_column,
                "loss": t.loss,
                "l2": t.l2,
                "l1": t.l1,
                "standardized": t.standardized,
                "intercept": t.has_intercept,
                "objective": number(t.objective),
                "log_loss": number(t.log_loss),
                "log_likelihood": number(t.log_likelihood),
                "base_log_loss": number(t.base_log_loss),
                "solver": t.solver,
                "reason": t.reason,
                "iterations": t.iterations,
                "gap": number(t.gap),
                "gap_bound": t.gap_bound,
                "gradient_norm": number(t.gradient_norm),
                "stop": t.stop,
            },
        });
        let sum = checksum(&value);
        if let Some(map) = value.as_object_mut() {
            map.insert("checksum".to_owned(), Value::from(sum));
        }
        value
    }

    /// Reads the text of a model file, called `name` in errors.
    ///
    /// # Errors
    ///
    /// The text is no model, is cut, was edited, or is of a later version; its parts do not fit each other.
    pub fn from_text(name: &str, text: &[u8]) -> Result<Self, Error> {
        let error =
            |message: &str, hint: &str| Error::new(format!("{name}: {message}")).with_hint(hint);
        let again = "write it again with xent train";
        let mut value: Value = serde_json::from_slice(text).map_err(|e| {
            if e.is_eof() {
                error("the model file ends too early", again)
            } else {
                error(
                    &format!(
                        "is no model file: not valid JSON in line {}, column {}",
                        e.line(),
                        e.column()
                    ),
                    "xent train -o model.json writes one",
                )
            }
        })?;
        let schema = value.get("schema").and_then(Value::as_str).unwrap_or_default().to_owned();
        if schema != MODEL_SCHEMA {
            return Err(match schema.strip_prefix("xent.model/") {
                Some(version) => error(
                    &format!("is a model of version {version}; this xent reads version 1"),
                    "use the xent that wrote it, or a later one",
                ),
                None => error("is no model file", "xent train -o model.json writes one"),
            });
        }
        let said = value.as_object_mut().and_then(|map| map.shift_remove("checksum"));
        if said.as_ref().and_then(Value::as_str) != Some(&checksum(&value)) {
            return Err(error(
                "the model file was changed after it was written: its checksum does not fit",
                again,
            ));
        }
        Reading { name }.model(&value)
    }
}

/// `crc32:` and eight digits over the value without blanks.
pub(crate) fn checksum(value: &Value) -> String {
    format!("crc32:{:08x}", crc32fast::hash(value.to_string().as_bytes()))
}

/// JSON has no infinities: they are strings, and NaN is null.
pub(crate) fn number(x: f64) -> Value {
    if x.is_infinite() { Value::from(if x > 0.0 { "inf" } else { "-inf" }) } else { Value::from(x) }
}

/// As it is said on the command line and in model files.
pub fn head_name(head: Head) -> &'static str {
    match head {
        Head::Softmax => "softmax",
        Head::Sigmoid => "sigmoid",
    }
}

fn feature_json(feature: &Feature) -> Value {
    let column = &feature.column;
    match &feature.kind {
        FeatureKind::Number { fill } => {
            json!({ "column": column, "kind": "number", "missing": fill })
        }
        FeatureKind::Boolean { fill } => {
            json!({ "column": column, "kind": "boolean", "missing": fill })
        }
        FeatureKind::List { width } => json!({ "column": column, "kind": "list", "width": width }),
        FeatureKind::Sparse { indices } => {
            json!({ "column": column, "kind": "sparse", "indices": indices })
        }
        FeatureKind::Category(levels) => json!({
            "column": column,
            "kind": "category",
            "numeric": levels.is_number,
            "reference": levels.reference,
            "levels": levels.levels,
            "rare": levels.rare,
            "missing": levels.has_missing,
        }),
    }
}

/// Takes a file's value apart.
struct Reading<'a> {
    name: &'a str,
}

impl Reading<'_> {
    fn wrong(&self, what: &str) -> Error {
        Error::new(format!("{}: the model file does not hold together: {what}", self.name))
            .with_hint("write it again with xent train")
    }

    fn text(&self, value: &Value, key: &str) -> Result<String, Error> {
        let text = value.get(key).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| self.wrong(key))
    }

    fn texts(&self, value: &Value, key: &str) -> Result<Vec<String>, Error> {
        let list = value.get(key).and_then(Value::as_array).ok_or_else(|| self.wrong(key))?;
        let text = |v: &Value| v.as_str().map(str::to_owned).ok_or_else(|| self.wrong(key));
        list.iter().map(text).collect()
    }

    fn number(&self, value: &Value, key: &str) -> Result<f64, Error> {
        match value.get(key) {
            Some(Value::String(s)) if s == "inf" => Ok(f64::INFINITY),
            Some(Value::String(s)) if s == "-inf" => Ok(f64::NEG_INFINITY),
            Some(Value::Null) => Ok(f64::NAN),
            Some(v) => v.as_f64().ok_or_else(|| self.wrong(key)),
            None => Err(self.wrong(key)),
        }
    }

    fn numbers(&self, value: &Value, key: &str, len: usize) -> Result<Vec<f64>, Error> {
        let list = value.get(key).and_then(Value::as_array).ok_or_else(|| self.wrong(key))?;
        let numbers: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
        match numbers {
            Some(numbers) if numbers.len() == len => Ok(numbers),
            _ => Err(self.wrong(&format!("{key} has not {len} numbers"))),
        }
    }

    fn count(&self, value: &Value, key: &str) -> Result<u64, Error> {
        value.get(key).and_then(Value::as_u64).ok_or_else(|| self.wrong(key))
    }

    fn flag(&self, value: &Value, key: &str) -> Result<bool, Error> {
        value.get(key).and_then(Value::as_bool).ok_or_else(|| self.wrong(key))
    }

    fn model(&self, value: &Value) -> Result<Model, Error> {
        let classes = self.texts(value, "classes")?;
        let outputs = self.texts(value, "outputs")?;
        let has_reference = match value.get("reference_class") {
            Some(Value::Null) => false,
            Some(Value::String(class)) if Some(class) == classes.first() => true,
            _ => return Err(self.wrong("reference_class")),
        };
        if classes.len() < 2 || outputs != classes[usize::from(has_reference)..] {
            return Err(self.wrong("classes and outputs"));
        }
        let head = match self.text(value, "head")?.as_str() {
            "softmax" => Head::Softmax,
            "sigmoid" => Head::Sigmoid,
            _ => return Err(self.wrong("head")),
        };
        let features = value.get("features").and_then(Value::as_array);
        let features = features.ok_or_else(|| self.wrong("features"))?;
        let features = features.iter().map(|f| self.feature(f)).collect::<Result<Vec<_>, _>>()?;
        let terms: Vec<Term> = features.iter().flat_map(Feature::terms).collect();
        let m = outputs.len();
        let list = value.get("coefficients").and_then(Value::as_array);
        let list = list.ok_or_else(|| self.wrong("coefficients"))?;
        if list.len() != terms.len() {
            return Err(self.wrong(&format!(
                "{} coefficients for {} terms",
                list.len(),
                terms.len()
            )));
        }
        let (mut coef, mut center, mut scale) = (Vec::new(), Vec::new(), Vec::new());
        for (item, term) in list.iter().zip(&terms) {
            if self.text(item, "feature")? != term.name {
                return Err(self.wrong(&format!("no coefficients for {}", term.name)));
            }
            coef.extend(self.numbers(item, "estimates", m)?);
            center.push(self.number(item, "center")?);
            scale.push(self.number(item, "scale")?);
        }
        let t = value.get("training").ok_or_else(|| self.wrong("training"))?;
        let offsets = self.texts(value, "offsets")?;
        if ![0, usize::from(classes.len() == 2), classes.len()].contains(&offsets.len()) {
            return Err(self.wrong("offsets"));
        }
        Ok(Model {
            target: self.text(value, "target")?,
            target_columns: self.texts(value, "target_columns")?,
            classes,
            head,
            has_reference,
            features,
            coef,
            intercept: self.numbers(value, "intercept", m)?,
            centered_intercept: self.numbers(value, "centered_intercept", m)?,
            center,
            scale,
            offsets,
            training: Training {
                source: self.text(t, "source")?,
                rows: self.count(t, "rows")?,
                dropped: self.count(t, "dropped")?,
                weight: self.number(t, "weight")?,
                weight_column: t.get("weight_column").and_then(Value::as_str).map(str::to_owned),
                loss: self.text(t, "loss")?,
                l2: self.number(t, "l2")?,
                l1: self.number(t, "l1")?,
                standardized: self.flag(t, "standardized")?,
                has_intercept: self.flag(t, "intercept")?,
                objective: self.number(t, "objective")?,
                log_loss: self.number(t, "log_loss")?,
                log_likelihood: self.number(t, "log_likelihood")?,
                base_log_loss: self.number(t, "base_log_loss")?,
                solver: self.text(t, "solver")?,
                reason: self.text(t, "reason")?,
                iterations: self.count(t, "iterations")?,
                gap: self.number(t, "gap")?,
                gap_bound: t.get("gap_bound").and_then(Value::as_f64),
                gradient_norm: self.number(t, "gradient_norm")?,
                stop: self.text(t, "stop")?,
            },
        })
    }

    fn indices(&self, value: &Value) -> Result<Vec<u32>, Error> {
        let list = value.get("indices").and_then(Value::as_array);
        let index = |v: &Value| v.as_u64().and_then(|i| u32::try_from(i).ok());
        let indices: Option<Vec<u32>> = list.and_then(|list| list.iter().map(index).collect());
        let is_ascending = |indices: &Vec<u32>| indices.windows(2).all(|pair| pair[0] < pair[1]);
        indices.filter(is_ascending).ok_or_else(|| self.wrong("indices"))
    }

    fn feature(&self, value: &Value) -> Result<Feature, Error> {
        let fill = || match value.get("missing") {
            Some(Value::Null) => Ok(None),
            Some(v) => v.as_f64().map(Some).ok_or_else(|| self.wrong("missing")),
            None => Err(self.wrong("missing")),
        };
        let kind = match self.text(value, "kind")?.as_str() {
            "number" => FeatureKind::Number { fill: fill()? },
            "boolean" => FeatureKind::Boolean { fill: fill()? },
            "sparse" => FeatureKind::Sparse { indices: self.indices(value)? },
            "list" => FeatureKind::List { width: self.count(value, "width")? as usize },
            "category" => {
                let levels = Levels {
                    is_number: self.flag(value, "numeric")?,
                    levels: self.texts(value, "levels")?,
                    reference: self.text(value, "reference")?,
                    rare: self.texts(value, "rare")?,
                    has_missing: self.flag(value, "missing")?,
                };
                if levels.reference_code().is_none() {
                    return Err(self.wrong("reference"));
                }
                FeatureKind::Category(levels)
            }
            _ => return Err(self.wrong("kind")),
        };
        Ok(Feature { column: self.text(value, "column")?, kind })
    }
}
