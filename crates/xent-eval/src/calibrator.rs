//! A fitted calibrator, and its file.
//!
//! The file is JSON under the contract `xent.calibrator/1`, made to be read by people too. As in the file of a model, numbers are
//! written in the shortest form that reads back as the same f64, and the last field is the CRC-32 of all others in their order,
//! written without blanks: it shows a file that was cut or edited; it is no signature.

use serde_json::{Value, json};
use xent::calibration::recalibrate::{self as map, IsotonicMap, Method};
use xent::calibration::rows::Prediction;
use xent::rows::Input;

use crate::error::Error;
use crate::learn::{checksum, number};

/// The contract of calibrator files.
pub const CALIBRATOR_SCHEMA: &str = "xent.calibrator/1";
/// What to do about a file that is not what was written.
const AGAIN: &str = "write it again with xent calibrate";
const WRITES: &str = "xent calibrate FILE -o calibrator.json writes one";

/// A map from predictions over named classes to better ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibrator {
    /// How it was fitted.
    pub method: Method,
    /// The classes, in the order of the parameters.
    pub classes: Vec<String>,
    /// What the numbers were that it was fitted on.
    pub input: Input,
    /// The parameters; [`map::Calibrator::Identity`] if the method could win nothing.
    pub map: map::Calibrator,
    /// What it was fitted on.
    pub fitted: Fitted,
}

/// How a calibrator was fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The table.
    pub source: String,
    /// Rows.
    pub rows: u64,
    /// The sum of their weights.
    pub weight: f64,
    /// Mean log loss of the predictions, nats.
    pub before: f64,
    /// Mean log loss of the same rows after the map, nats; never above `before`.
    pub after: f64,
}

/// As it is said on the command line and in calibrator files.
pub fn method_name(method: Method) -> &'static str {
    match method {
        Method::Temperature => "temperature",
        Method::Vector => "vector",
        Method::Platt => "platt",
        Method::Beta => "beta",
        Method::Isotonic => "isotonic",
    }
}

const METHODS: [Method; 5] =
    [Method::Temperature, Method::Vector, Method::Platt, Method::Beta, Method::Isotonic];
const INPUTS: [Input; 3] = [Input::Probabilities, Input::LogProbabilities, Input::Logits];

impl Calibrator {
    /// The calibrator as the value of its file, checksum and all.
    pub fn to_json(&self) -> Value {
        let f = &self.fitted;
        let mut value = json!({
            "schema": CALIBRATOR_SCHEMA,
            "xent": env!("CARGO_PKG_VERSION"),
            "method": method_name(self.method),
            "classes": self.classes,
            "input": self.input.name(),
            "parameters": self.parameters(),
            "fitted": {
                "source": f.source,
                "rows": f.rows,
                "weight": f.weight,
                "log_loss_before": number(f.before),
                "log_loss_after": number(f.after),
            },
        });
        let sum = checksum(&value);
        if let Some(map) = value.as_object_mut() {
            map.insert("checksum".to_owned(), Value::from(sum));
        }
        value
    }

    /// The parameters by their names; empty if predictions stay as they are.
    pub fn parameters(&self) -> Value {
        let pairs = |list: &[Prediction]| -> Value {
            list.iter().map(|p| json!([p.negative, p.positive])).collect()
        };
        match &self.map {
            map::Calibrator::Temperature { temperature } => json!({ "temperature": temperature }),
            map::Calibrator::Vector { scale, bias } => json!({ "scale": scale, "bias": bias }),
            map::Calibrator::Platt { slope, intercept } => {
                json!({ "slope": slope, "intercept": intercept })
            }
            map::Calibrator::Beta { a, b, c } => json!({ "a": a, "b": b, "c": c }),
            map::Calibrator::Isotonic { maps } => {
                // One map is about the second of two classes.
                let first = usize::from(maps.len() == 1);
                let of = |(class, map): (&String, &IsotonicMap)| {
                    json!({
                        "class": class,
                        "said": pairs(&map.thresholds),
                        "is": pairs(&map.values),
                    })
                };
                json!({ "maps": self.classes[first..].iter().zip(maps).map(of).collect::<Vec<_>>() })
            }
            _ => json!({}),
        }
    }

    /// Reads the text of a calibrator file, called `name` in errors.
    ///
    /// # Errors
    ///
    /// The text is no calibrator, is cut, was edited, or is of a later version; its parts do not fit each other.
    pub fn from_text(name: &str, text: &[u8]) -> Result<Self, Error> {
        let error =
            |message: &str, hint: &str| Error::new(format!("{name}: {message}")).with_hint(hint);
        let mut value: Value = serde_json::from_slice(text).map_err(|e| {
            if e.is_eof() {
                return error("the calibrator file ends too early", AGAIN);
            }
            let (line, column) = (e.line(), e.column());
            let what =
                format!("is no calibrator file: not valid JSON in line {line}, column {column}");
            error(&what, WRITES)
        })?;
        let schema = value.get("schema").and_then(Value::as_str).unwrap_or_default().to_owned();
        if schema != CALIBRATOR_SCHEMA {
            return Err(match schema.strip_prefix("xent.calibrator/") {
                Some(version) => error(
                    &format!("is a calibrator of version {version}; this xent reads version 1"),
                    "use the xent that wrote it, or a later one",
                ),
                None if schema.starts_with("xent.model/") => error(
                    "is a model, not a calibrator",
                    "xent predict applies models, xent calibrate --apply calibrators",
                ),
                None => error("is no calibrator file", WRITES),
            });
        }
        let said = value.as_object_mut().and_then(|map| map.shift_remove("checksum"));
        if said.as_ref().and_then(Value::as_str) != Some(&checksum(&value)) {
            return Err(error(
                "the calibrator file was changed after it was written: its checksum does not fit",
                AGAIN,
            ));
        }
        read(&value).map_err(|what| {
            error(&format!("the calibrator file does not hold together: {what}"), AGAIN)
        })
    }
}

/// A field, or the name of what is wrong.
type Read<T> = Result<T, &'static str>;

fn read(value: &Value) -> Read<Calibrator> {
    let text = |key: &'static str| value.get(key).and_then(Value::as_str).ok_or(key);
    let method = text("method")?;
    let method = METHODS.into_iter().find(|m| method_name(*m) == method).ok_or("method")?;
    let input = text("input")?;
    let input = INPUTS.into_iter().find(|i| i.name() == input).ok_or("input")?;
    let classes = value.get("classes").and_then(Value::as_array).ok_or("classes")?;
    let classes: Option<Vec<String>> =
        classes.iter().map(|class| class.as_str().map(str::to_owned)).collect();
    let classes = classes.filter(|classes| classes.len() >= 2).ok_or("classes")?;
    let map = value.get("parameters").ok_or("parameters")?;
    let map = parameters(method, map, &classes)?;
    let fitted = value.get("fitted").ok_or("fitted")?;
    let loss = |key: &'static str| match fitted.get(key) {
        Some(Value::String(s)) if s == "inf" => Ok(f64::INFINITY),
        Some(value) => value.as_f64().ok_or(key),
        None => Err(key),
    };
    let fitted = Fitted {
        source: fitted.get("source").and_then(Value::as_str).ok_or("source")?.to_owned(),
        rows: fitted.get("rows").and_then(Value::as_u64).ok_or("rows")?,
        weight: loss("weight")?,
        before: loss("log_loss_before")?,
        after: loss("log_loss_after")?,
    };
    Ok(Calibrator { method, classes, input, map, fitted })
}

fn parameters(method: Method, value: &Value, classes: &[String]) -> Read<map::Calibrator> {
    let k = classes.len();
    if value.as_object().is_some_and(serde_json::Map::is_empty) {
        return Ok(map::Calibrator::Identity);
    }
    let of = |key: &'static str| value.get(key).and_then(Value::as_f64).ok_or(key);
    let list = |key: &'static str| {
        let numbers = value.get(key).and_then(Value::as_array).ok_or(key)?;
        let numbers: Option<Vec<f64>> = numbers.iter().map(Value::as_f64).collect();
        numbers.filter(|numbers| numbers.len() == k).ok_or(key)
    };
    if k > 2 && matches!(method, Method::Platt | Method::Beta) {
        return Err("classes");
    }
    Ok(match method {
        Method::Temperature => {
            let temperature = Some(of("temperature")?).filter(|t| *t > 0.0);
            map::Calibrator::Temperature { temperature: temperature.ok_or("temperature")? }
        }
        Method::Vector => map::Calibrator::Vector { scale: list("scale")?, bias: list("bias")? },
        Method::Platt => {
            map::Calibrator::Platt { slope: of("slope")?, intercept: of("intercept")? }
        }
        Method::Beta => map::Calibrator::Beta { a: of("a")?, b: of("b")?, c: of("c")? },
        Method::Isotonic => {
            let maps = value.get("maps").and_then(Value::as_array).ok_or("maps")?;
            let named = if k == 2 { &classes[1..] } else { classes };
            if maps.len() != named.len() {
                return Err("maps");
            }
            let maps = maps.iter().zip(named).map(|(value, class)| isotonic(value, class));
            map::Calibrator::Isotonic { maps: maps.collect::<Read<_>>()? }
        }
    })
}

fn isotonic(value: &Value, class: &str) -> Read<IsotonicMap> {
    if value.get("class").and_then(Value::as_str) != Some(class) {
        return Err("class");
    }
    let pairs = |key: &'static str| {
        let list = value.get(key).and_then(Value::as_array).ok_or(key)?;
        let pair = |pair: &Value| {
            let [negative, positive] = pair.as_array()?.as_slice() else { return None };
            let (negative, positive) = (negative.as_f64()?, positive.as_f64()?);
            let is_share = |p: f64| (0.0..=1.0).contains(&p);
            (is_share(negative) && is_share(positive)).then_some(Prediction { positive, negative })
        };
        let list: Option<Vec<Prediction>> = list.iter().map(pair).collect();
        // They rise, or the odds at least do not fall.
        let rises = |list: &Vec<Prediction>| {
            list.windows(2)
                .all(|w| w[0].positive <= w[1].positive && w[0].negative >= w[1].negative)
        };
        list.filter(|list| !list.is_empty() && rises(list)).ok_or(key)
    };
    let (thresholds, values) = (pairs("said")?, pairs("is")?);
    if thresholds.len() == values.len() {
        Ok(IsotonicMap { thresholds, values })
    } else {
        Err("maps")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn calibrators() -> Vec<Calibrator> {
        let p = |negative, positive| Prediction { positive, negative };
        let maps = vec![IsotonicMap {
            thresholds: vec![p(0.9, 0.1), p(1e-20, 1.0)],
            values: vec![p(0.75, 0.25), p(1.0 / 3.0, 2.0 / 3.0)],
        }];
        [
            (Method::Temperature, map::Calibrator::Temperature { temperature: 1.0 / 3.0 }),
            (
                Method::Vector,
                map::Calibrator::Vector { scale: vec![0.1, 2.0], bias: vec![-1e-300, 0.0] },
            ),
            (Method::Platt, map::Calibrator::Platt { slope: 0.5, intercept: 0.25 }),
            (Method::Beta, map::Calibrator::Beta { a: 1.0, b: 2.0, c: -0.5 }),
            (Method::Isotonic, map::Calibrator::Isotonic { maps }),
            (Method::Isotonic, map::Calibrator::Identity),
        ]
        .into_iter()
        .map(|(method, map)| Calibrator {
            method,
            classes: vec!["no".to_owned(), "yes".to_owned()],
            input: Input::Logits,
            map,
            fitted: Fitted {
                source: "valid.csv".to_owned(),
                rows: 3,
                weight: 2.5,
                before: f64::INFINITY,
                after: 0.1,
            },
        })
        .collect()
    }

    #[test]
    fn a_trip_through_the_file_changes_no_bit() {
        for calibrator in calibrators() {
            let text = serde_json::to_string_pretty(&calibrator.to_json()).unwrap();
            assert_eq!(Calibrator::from_text("c.json", text.as_bytes()).unwrap(), calibrator);
        }
    }

    #[test]
    fn every_cut_and_every_changed_digit_is_found() {
        for calibrator in calibrators() {
            let text = calibrator.to_json().to_string();
            for end in 0..text.len() {
                assert!(Calibrator::from_text("c.json", &text.as_bytes()[..end]).is_err(), "{end}");
            }
            for (i, _) in text.match_indices(|c: char| c.is_ascii_digit()) {
                let mut bytes = text.clone().into_bytes();
                bytes[i] = if bytes[i] == b'9' { b'8' } else { bytes[i] + 1 };
                assert!(Calibrator::from_text("c.json", &bytes).is_err(), "{i}");
            }
        }
    }
}
