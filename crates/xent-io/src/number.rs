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

/// The number at the start of `text` and its length, as [`parse`] would read it; nothing at what is not a finite number.
///
/// `is_long` says whether the number before was too long for the short way, which then is not tried: it would cost a fifth
/// of the time.
#[inline]
pub(crate) fn start(text: &[u8], is_long: &mut bool) -> Option<(f64, usize)> {
    if !*is_long && let Some(found) = plain(text) {
        return Some(found);
    }
    let (x, len) = fast_float2::parse_partial::<f64, _>(text).ok()?;
    *is_long = len > LONG;
    x.is_finite().then_some((x, len))
}

/// Bytes of a number of 15 digits with a sign and a point.
const LONG: usize = 17;

/// The same for a decimal of at most 15 digits without an exponent that has eight bytes behind it, which is what
/// most are: the digits and the power of ten are exact, so one division rounds correctly (Clinger 1990,
/// doi:10.1145/93542.93557). Half the time of the general way.
#[inline]
fn plain(text: &[u8]) -> Option<(f64, usize)> {
    const POWERS: [f64; 16] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    const TENS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    let is_negative = *text.first()? == b'-';
    let mut at = usize::from(is_negative);
    let (mut mantissa, count) = digits(text, at)?;
    at += count;
    let mut places = 0;
    if *text.get(at)? == b'.' {
        at += 1;
        loop {
            let (some, count) = digits(text, at)?;
            // Of too many digits nothing is used.
            mantissa = mantissa.wrapping_mul(TENS[count]).wrapping_add(some);
            (at, places) = (at + count, places + count);
            if count < 8 || places > 8 {
                break;
            }
        }
    }
    let known = count + places;
    let next = *text.get(at)?;
    let goes_on = next.is_ascii_digit() || matches!(next, b'.' | b'e' | b'E');
    if known == 0 || known > 15 || goes_on {
        return None;
    }
    let x = mantissa as f64 / POWERS[places];
    // No branch: signs are hard to foresee.
    Some((f64::from_bits(x.to_bits() | u64::from(is_negative) << 63), at))
}

/// The digits from a place on, at most eight: the number they write, and how many; nothing near the end of the text.
#[inline]
fn digits(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let eight = u64::from_le_bytes(*text.get(at..)?.first_chunk()?);
    // The high bit of each byte that is no digit; bytes behind the first such do not matter.
    let others = (eight.wrapping_add(0x4646_4646_4646_4646)
        | eight.wrapping_sub(0x3030_3030_3030_3030))
        & 0x8080_8080_8080_8080;
    let count = others.trailing_zeros() as usize / 8;
    // Zeros before the digits, then pairs, fours and eights of them.
    let x = (eight & 0x0f0f_0f0f_0f0f_0f0f).unbounded_shl(64 - 8 * count as u32);
    let x = (x.wrapping_mul(10 * (1 << 8) + 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let x = (x.wrapping_mul(100 * (1 << 16) + 1) >> 16) & 0x0000_ffff_0000_ffff;
    Some((x.wrapping_mul(10_000 * (1 << 32) + 1) >> 32, count))
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn short_numbers_are_read_as_by_the_library(
            whole in "-?[0-9]{0,9}",
            rest in "(\\.[0-9]{0,17})?",
            end in "(e-?[0-9]{1,2}|[,;\t\n x.-])",
            slack in "[0-9, \n]{0,12}",
        ) {
            let text = format!("{whole}{rest}{end}{slack}");
            let library = fast_float2::parse_partial::<f64, _>(text.as_bytes()).ok();
            let library = library.filter(|(x, _)| x.is_finite());
            let bits = |found: Option<(f64, usize)>| found.map(|(x, len)| (x.to_bits(), len));
            for mut is_long in [false, true] {
                let found = start(text.as_bytes(), &mut is_long);
                prop_assert_eq!(bits(found), bits(library), "{}", text);
                if let Some((_, len)) = found {
                    prop_assert_eq!(is_long, len > LONG);
                }
            }
            if let Some(found) = plain(text.as_bytes()) {
                prop_assert_eq!(bits(Some(found)), bits(library), "{}", text);
                let (x, len) = found;
                prop_assert_eq!(text[..len].parse::<f64>().map(f64::to_bits), Ok(x.to_bits()));
            }
        }

        #[test]
        fn six_digits_take_the_short_way(x in -1e6..1e6_f64, places in 0..9_usize) {
            let text = format!("{x:.places$},0000000");
            let (read, len) = plain(text.as_bytes()).unwrap();
            prop_assert_eq!(read.to_bits(), text[..len].parse::<f64>().unwrap().to_bits());
            prop_assert_eq!(text.as_bytes()[len], b',');
        }
    }

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
