//! The JSON contract, printed.
//!
//! Keys keep the order in which they were inserted, floats print in the shortest form that reads
//! back as the same f64 and always as floats (`1.0`), and the same value gives the same bytes. An
//! array of plain values takes one line, so that a confusion matrix looks like one.
//!
//! JSON has no infinities. They are the strings `"inf"` and `"-inf"`, and NaN, a number that does
//! not exist, is null: see [`number`].

use std::fmt::Write as _;

use serde_json::Value;

use crate::text::is_unsafe;

/// Returns a float as the contract writes it: a number, `"inf"`, `"-inf"`, or null for NaN.
///
/// ```
/// use xent_report::json::number;
///
/// assert_eq!(number(1.0).to_string(), "1.0");
/// assert_eq!(number(f64::NEG_INFINITY), "-inf");
/// assert!(number(f64::NAN).is_null());
/// ```
pub fn number(x: f64) -> Value {
    if x.is_infinite() { Value::from(if x > 0.0 { "inf" } else { "-inf" }) } else { Value::from(x) }
}

/// Returns the value as indented JSON that ends in a line break.
///
/// Characters that could disturb a terminal are written as `\u` escapes, which loses nothing.
///
/// ```
/// use serde_json::json;
///
/// let data = json!({ "schema": "xent.score/1", "ci": [0.5, 1.0] });
/// let text = "{\n  \"schema\": \"xent.score/1\",\n  \"ci\": [0.5, 1.0]\n}\n";
/// assert_eq!(xent_report::render_json(&data), text);
/// ```
pub fn render_json(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value, 0);
    out.push('\n');
    out
}

fn write_value(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Array(items) if items.iter().any(|item| item.is_array() || item.is_object()) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                start_line(out, i, depth + 1);
                write_value(out, item, depth + 1);
            }
            end_lines(out, depth, ']');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_scalar(out, item);
            }
            out.push(']');
        }
        Value::Object(fields) if fields.is_empty() => out.push_str("{}"),
        Value::Object(fields) => {
            out.push('{');
            for (i, (key, item)) in fields.iter().enumerate() {
                start_line(out, i, depth + 1);
                write_scalar(out, &Value::from(key.as_str()));
                out.push_str(": ");
                write_value(out, item, depth + 1);
            }
            end_lines(out, depth, '}');
        }
        scalar => write_scalar(out, scalar),
    }
}

fn start_line(out: &mut String, index: usize, depth: usize) {
    out.push_str(if index > 0 { ",\n" } else { "\n" });
    out.extend(std::iter::repeat_n("  ", depth));
}

fn end_lines(out: &mut String, depth: usize, bracket: char) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
    out.push(bracket);
}

/// Writes what is not a container; only strings can hold unsafe characters.
fn write_scalar(out: &mut String, value: &Value) {
    let text = value.to_string();
    if !text.contains(is_unsafe) {
        out.push_str(&text);
        return;
    }
    for c in text.chars() {
        if is_unsafe(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn nested_values_are_indented_and_plain_arrays_take_one_line() {
        let data = json!({
            "schema": "xent.score/1",
            "rows": 3,
            "classes": ["民主党", "共和党"],
            "models": [{ "name": "a", "ci": [0.1, number(f64::INFINITY)] }],
            "confusion": [[1, 2], [3, 4]],
            "none": [],
            "nothing": {},
            "missing": number(f64::NAN),
        });
        let expected = r#"{
  "schema": "xent.score/1",
  "rows": 3,
  "classes": ["民主党", "共和党"],
  "models": [
    {
      "name": "a",
      "ci": [0.1, "inf"]
    }
  ],
  "confusion": [
    [1, 2],
    [3, 4]
  ],
  "none": [],
  "nothing": {},
  "missing": null
}
"#;
        assert_eq!(render_json(&data), expected);
    }

    #[test]
    fn keys_keep_their_order() {
        assert_eq!(render_json(&json!({ "b": 1, "a": 2 })), "{\n  \"b\": 1,\n  \"a\": 2\n}\n");
    }

    #[test]
    fn floats_print_shortest_and_as_floats() {
        let expected = [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (4.248354255291589e-18, "4.248354255291589e-18"),
        ];
        for (x, text) in expected {
            assert_eq!(render_json(&number(x)), format!("{text}\n"));
        }
    }

    #[test]
    fn unsafe_characters_are_escaped_without_loss() {
        let text = "a\u{1b}\u{9b}\u{202e}\u{7f}\u{e0041}\u{feff}\n";
        let printed = render_json(&json!({ text: text }));
        assert!(printed.contains(r#""a\u001b\u009b\u202e\u007f\udb40\udc41\ufeff\n""#));
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), json!({ text: text }));
    }

    fn values() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        scalar.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec((any::<String>(), inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_read_back(value in values()) {
            let printed = render_json(&value);
            prop_assert!(!printed.replace('\n', "").contains(is_unsafe));
            prop_assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), value);
        }

        #[test]
        fn floats_read_back_to_the_bit_as_floats(x in any::<f64>()) {
            let printed = render_json(&number(x));
            if x.is_finite() {
                prop_assert_eq!(printed.trim().parse::<f64>().unwrap().to_bits(), x.to_bits());
                prop_assert!(printed.contains(['.', 'e']));
            }
        }
    }
}
