//! Numbers in text: what counts as one, what counts as missing, and what is refused.
//!
//! A blank (an empty field, a JSON or Arrow null) and a written-out NaN are both missing, but
//! they are told apart by their bits so that a caller can say which it met.

use crate::error::show;

/// A missing value: the NaN with the bits `0x7ff8_0000_0000_0b1a`.
///
/// Any arithmetic treats it as NaN; [`is_blank`] tells it from a NaN that was written down.
pub const BLANK: f64 = f64::from_bits(0x7ff8_0000_0000_0b1a);

/// Whether `x` is [`BLANK`], by its bits.
pub fn is_blank(x: f64) -> bool {
    x.to_bits() == BLANK.to_bits()
}

/// Why a text is no number: the end of the sentence `column p is "50%", ...`, and a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotNumber {
    pub message: String,
    pub hint: Option<String>,
}

/// The number that `text` writes, correctly rounded.
///
/// Spaces and tabs around it are ignored; nothing is left: [`BLANK`]. `nan`, `na`, `n/a`, `null`
/// and `none` in any case are NaN; `inf` and `infinity` in any case, with or without a sign, are
/// infinite. Everything else that is not a decimal number is refused, and so is a number
/// beyond the largest f64.
pub(crate) fn parse(text: &[u8]) -> Result<f64, NotNumber> {
    let text = trim(text);
    if text.is_empty() {
        return Ok(BLANK);
    }
    match fast_float2::parse::<f64, _>(text) {
        Ok(x) if x.is_finite() => Ok(x),
        Ok(x) if x.is_nan() => Ok(f64::NAN),
        Ok(x) if !text.iter().any(u8::is_ascii_digit) => Ok(x),
        Ok(_) => Err(NotNumber {
            message: format!("is {}, too large for a 64-bit number", show(text)),
            hint: Some("write inf if infinity is meant".into()),
        }),
        Err(_) if is_missing_word(text) => Ok(f64::NAN),
        Err(_) => {
            Err(NotNumber { message: format!("is {}, not a number", show(text)), hint: hint(text) })
        }
    }
}

/// Whether `text` is a written-out missing value such as `NA`.
pub(crate) fn is_missing_word(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 5] = [b"na", b"n/a", b"null", b"none", b"nan"];
    WORDS.iter().any(|w| text.eq_ignore_ascii_case(w))
}

/// `text` without spaces and tabs at both ends.
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// What a person may have meant by `text`.
fn hint(text: &[u8]) -> Option<String> {
    let digits = text.iter().any(u8::is_ascii_digit);
    if !digits {
        return Some("leave a missing value empty, or write NaN".into());
    }
    let lower = text.to_ascii_lowercase();
    let hint = if text.ends_with(b"%") {
        "divide percentages by 100"
    } else if text.contains(&b',') && !text.contains(&b'.') {
        "write decimals with a point, 0.5 and not 0,5"
    } else if text.contains(&b',') || text.contains(&b'_') || text.contains(&b'\'') {
        "write numbers without separators between the thousands"
    } else if lower.starts_with(b"0x") || lower.starts_with(b"-0x") {
        "write numbers in decimal, not in hexadecimal"
    } else if text.contains(&b'/') {
        "write fractions as decimals"
    } else if text.contains(&b'$') {
        "write numbers without a currency"
    } else if lower.ends_with(b"e") || lower.ends_with(b"e-") || lower.ends_with(b"e+") {
        "the exponent is cut off"
    } else if text.starts_with(b"[") {
        "this is a list; lists of numbers are read as one column of lists"
    } else if text.iter().any(|b| *b == b' ' || *b == b'\t') {
        "one field holds one number"
    } else {
        return None;
    };
    Some(hint.into())
}

/// `x` as text: an integer without a point, anything else in the shortest form that reads back.
pub(crate) fn text_of(x: f64) -> String {
    if x.trunc() == x && x.abs() < 9_007_199_254_740_992.0 {
        // -0 is the label 0.
        format!("{}", x as i64)
    } else {
        format!("{x:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly() {
        for (text, want) in [
            ("0.1", 0.1),
            (" 0.5\t", 0.5),
            ("+3", 3.0),
            ("-0", -0.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e-400", 0.0),
            ("5e-324", 5e-324),
            ("1.7976931348623157e308", f64::MAX),
            ("9007199254740993", 9007199254740992.0),
            ("-inf", f64::NEG_INFINITY),
            ("Infinity", f64::INFINITY),
            ("+INF", f64::INFINITY),
        ] {
            let got = parse(text.as_bytes()).unwrap();
            assert_eq!(got.to_bits(), want.to_bits(), "{text}");
        }
    }

    #[test]
    fn missing_is_blank_or_nan() {
        assert!(is_blank(parse(b"").unwrap()));
        assert!(is_blank(parse(b"  \t").unwrap()));
        for text in ["nan", "NaN", "NAN", "-nan", "NA", "N/A", "null", "None"] {
            let got = parse(text.as_bytes()).unwrap();
            assert!(got.is_nan() && !is_blank(got), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused_with_a_hint() {
        for (text, part, hinted) in [
            ("50%", "\"50%\", not a number", Some("percentages")),
            ("1,5", "not a number", Some("point")),
            ("0x1", "not a number", Some("hexadecimal")),
            (".", "not a number", Some("missing")),
            ("0.1e", "not a number", Some("exponent")),
            ("1e999", "too large", Some("inf")),
            ("-1e999", "too large", Some("inf")),
            ("cat", "\"cat\", not a number", Some("missing")),
            ("1 2", "not a number", Some("one number")),
            ("1_000", "not a number", Some("separators")),
            ("1\u{1b}[31m", "not a number", None),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.message.contains(part), "{text}: {}", error.message);
            assert!(!error.message.contains('\u{1b}'));
            match hinted {
                Some(h) => assert!(error.hint.unwrap().contains(h), "{text}"),
                None => assert_eq!(error.hint, None, "{text}"),
            }
        }
    }

    #[test]
    fn labels_print_as_people_write_them() {
        assert_eq!(text_of(3.0), "3");
        assert_eq!(text_of(-2.0), "-2");
        assert_eq!(text_of(-0.0), "0");
        assert_eq!(text_of(0.1), "0.1");
        assert_eq!(text_of(1e300), "1e300");
    }
}
