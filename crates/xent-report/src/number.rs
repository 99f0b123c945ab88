//! Numbers as text for people: digits, signs, separators.
//!
//! The rules are the same everywhere: the decimal point is a point, minus is the ASCII `-` so that
//! a number can be copied into a program, nothing prints as a negative zero, infinities are `inf`
//! and `-inf`, a missing number (NaN) is `-`. Rounding is to nearest on the exact value of the
//! f64. Nothing here is meant to be read back: files get full precision.

/// What stands for a number that does not exist.
pub const MISSING: &str = "-";

/// From this magnitude on, fixed decimals give way to scientific notation: an f64 has no more
/// digits.
const LARGE: f64 = 1e15;

/// The smallest p-value printed as a number.
const SMALLEST_P: f64 = 1e-300;

/// The fewest and the most decimals that [`decimals_for`] chooses.
const DECIMALS: (usize, usize) = (3, 10);

/// The usual levels: a p-value is never rounded onto one of them.
const LEVELS: [f64; 2] = [0.05, 0.01];

/// Returns `x` with a fixed number of decimals; from 10^15 on in scientific notation.
///
/// ```
/// use xent_report::number::fixed;
///
/// assert_eq!(fixed(1.0 / 3.0, 3), "0.333");
/// assert_eq!(fixed(-0.0001, 3), "0.000");
/// assert_eq!(fixed(f64::INFINITY, 3), "inf");
/// assert_eq!(fixed(f64::NAN, 3), "-");
/// ```
pub fn fixed(x: f64, decimals: usize) -> String {
    if let Some(text) = not_finite(x) {
        return text;
    }
    if x.abs() >= LARGE {
        return scientific(x, decimals + 1);
    }
    let text = format!("{x:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if is_zero(digits) => digits.to_owned(),
        _ => text,
    }
}

/// Returns a difference with its sign: [`fixed`] with `+` before what is greater than zero.
///
/// What rounds to zero has no sign.
///
/// ```
/// use xent_report::number::signed;
///
/// assert_eq!(signed(0.3381, 3), "+0.338");
/// assert_eq!(signed(-1.067, 3), "-1.067");
/// assert_eq!(signed(-0.0001, 3), "0.000");
/// ```
pub fn signed(x: f64, decimals: usize) -> String {
    let text = fixed(x, decimals);
    if x > 0.0 && !is_zero(&text) { format!("+{text}") } else { text }
}

/// Returns `x` with a number of significant digits, in scientific notation below 10^-4 and from
/// 10^15 on.
///
/// ```
/// use xent_report::number::significant;
///
/// assert_eq!(significant(0.012345, 3), "0.0123");
/// assert_eq!(significant(4.248354255291589e-18, 3), "4.25e-18");
/// assert_eq!(significant(25165.0, 3), "25165");
/// ```
pub fn significant(x: f64, digits: usize) -> String {
    if let Some(text) = not_finite(x) {
        return text;
    }
    let digits = digits.max(1);
    let exponent = rounded_exponent(x, digits);
    if x != 0.0 && exponent < -4 || x.abs() >= LARGE {
        return scientific(x, digits);
    }
    let decimals = (digits as i32 - 1 - exponent).max(0);
    fixed(x, decimals as usize)
}

/// Returns how many decimals show two significant digits of a standard error: 3 to 10.
///
/// A standard error of zero, or none, gives 3.
///
/// ```
/// use xent_report::number::decimals_for;
///
/// assert_eq!(decimals_for(0.31), 3);
/// assert_eq!(decimals_for(0.00098), 5);
/// assert_eq!(decimals_for(f64::NAN), 3);
/// ```
pub fn decimals_for(se: f64) -> usize {
    let (fewest, most) = DECIMALS;
    if !se.is_finite() || se == 0.0 {
        return fewest;
    }
    let decimals = 1 - rounded_exponent(se, 2);
    usize::try_from(decimals).unwrap_or(0).clamp(fewest, most)
}

/// Returns a value with its standard error, both with the decimals of [`decimals_for`].
///
/// ```
/// use xent_report::number::with_error;
///
/// assert_eq!(with_error(0.9218342, 0.00098), "0.92183 ± 0.00098");
/// assert_eq!(with_error(0.5, f64::NAN), "0.500");
/// ```
pub fn with_error(x: f64, se: f64) -> String {
    let decimals = decimals_for(se);
    if se.is_nan() || x.is_nan() {
        return fixed(x, decimals);
    }
    format!("{} ± {}", fixed(x, decimals), fixed(se, decimals))
}

/// Returns an interval in brackets, `-` if neither end exists.
///
/// ```
/// use xent_report::number::interval;
///
/// assert_eq!(interval(-0.5, 1.25, 3), "[-0.500, 1.250]");
/// ```
pub fn interval(low: f64, high: f64, decimals: usize) -> String {
    if low.is_nan() && high.is_nan() {
        return MISSING.to_owned();
    }
    format!("[{}, {}]", fixed(low, decimals), fixed(high, decimals))
}

/// Returns a p-value for a table: three decimals, two significant digits below 0.01, one below
/// 10^-4, and `<1e-300` at the end.
///
/// A p-value that would round onto 0.05 or 0.01 gets more decimals, so that nobody has to ask on
/// which side it was.
///
/// ```
/// use xent_report::number::p_value;
///
/// assert_eq!(p_value(0.0341), "0.034");
/// assert_eq!(p_value(0.04996), "0.04996");
/// assert_eq!(p_value(7.2e-11), "7e-11");
/// assert_eq!(p_value(0.0), "<1e-300");
/// ```
pub fn p_value(p: f64) -> String {
    if let Some(text) = not_finite(p) {
        return text;
    }
    if p < SMALLEST_P {
        return format!("<{SMALLEST_P:e}");
    }
    if p < 0.0001 {
        return scientific(p, 1);
    }
    let decimals = (if p < 0.001 { 5 } else { 4 }) - usize::from(p >= 0.01);
    for level in LEVELS {
        if p != level && fixed(p, decimals) == fixed(level, decimals) {
            let apart = (decimals..=8).find(|&n| fixed(p, n) != fixed(level, n));
            return fixed(p, apart.unwrap_or(decimals));
        }
    }
    fixed(p, decimals)
}

/// Returns a p-value for a sentence: [`p_value`] with its `p`.
///
/// ```
/// use xent_report::number::p_phrase;
///
/// assert_eq!(p_phrase(0.0341), "p = 0.034");
/// assert_eq!(p_phrase(0.0), "p < 1e-300");
/// ```
pub fn p_phrase(p: f64) -> String {
    let text = p_value(p);
    match text.strip_prefix('<') {
        Some(bound) => format!("p < {bound}"),
        None => format!("p = {text}"),
    }
}

/// Returns a count with a comma between thousands.
///
/// ```
/// use xent_report::number::count;
///
/// assert_eq!(count(25165), "25,165");
/// ```
pub fn count(n: u64) -> String {
    with_thousands(&n.to_string())
}

/// Returns a count and its noun, in the plural unless the count is one.
///
/// ```
/// use xent_report::number::counted;
///
/// assert_eq!(counted(1, "row", "rows"), "1 row");
/// assert_eq!(counted(25165, "row", "rows"), "25,165 rows");
/// ```
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// Returns a sum, such as of weights, with a comma between thousands, and with decimals only if
/// it is not a whole number.
///
/// ```
/// use xent_report::number::total;
///
/// assert_eq!(total(25165.0, 3), "25,165");
/// assert_eq!(total(25165.5, 3), "25,165.500");
/// ```
pub fn total(x: f64, decimals: usize) -> String {
    if !x.is_finite() || x.abs() >= LARGE {
        return fixed(x, decimals);
    }
    let decimals = if x == x.trunc() { 0 } else { decimals };
    with_thousands(&fixed(x, decimals))
}

/// Returns a fraction as a percentage.
///
/// ```
/// use xent_report::number::percent;
///
/// assert_eq!(percent(0.1234, 1), "12.3%");
/// ```
pub fn percent(fraction: f64, decimals: usize) -> String {
    if fraction.is_nan() {
        return MISSING.to_owned();
    }
    format!("{}%", fixed(fraction * 100.0, decimals))
}

/// Returns the text of a number that is not finite.
fn not_finite(x: f64) -> Option<String> {
    if x.is_nan() {
        Some(MISSING.to_owned())
    } else if x.is_infinite() {
        Some(if x > 0.0 { "inf" } else { "-inf" }.to_owned())
    } else {
        None
    }
}

/// Returns a finite number in scientific notation.
fn scientific(x: f64, digits: usize) -> String {
    format!("{x:.*e}", digits.saturating_sub(1))
}

/// Returns the decimal exponent of a finite number after rounding to `digits`: 0.0998 to two
/// digits is 1.0e-1, so -1. The exponent comes from the formatter, because a logarithm is off by
/// one beside powers of ten.
fn rounded_exponent(x: f64, digits: usize) -> i32 {
    let text = scientific(x, digits);
    text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0)
}

/// Says whether a printed number shows nothing but zeros.
fn is_zero(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b == b'0' || b == b'.')
}

/// Puts commas into the whole part of a printed number.
fn with_thousands(text: &str) -> String {
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, digits) = whole.split_at(usize::from(whole.starts_with('-')));
    let mut out = String::with_capacity(text.len() + digits.len() / 3);
    out.push_str(sign);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fixed_rounds_the_exact_value_and_never_shows_a_negative_zero() {
        // 0.0005 is above the tie as an f64 and 0.0625 is on it (to even).
        assert_eq!(fixed(0.0005, 3), "0.001");
        assert_eq!(fixed(0.0625, 3), "0.062");
        for x in [0.0, -0.0, 1e-300, -1e-300, -0.0004999] {
            assert_eq!(fixed(x, 3), "0.000");
        }
        assert_eq!(fixed(-0.4, 0), "0");
        assert_eq!(fixed(1.98922, 3), "1.989");
        assert_eq!(fixed(-2.5e20, 3), "-2.500e20");
        assert_eq!(fixed(f64::NEG_INFINITY, 3), "-inf");
    }

    #[test]
    fn signed_marks_what_is_greater_than_zero() {
        assert_eq!(signed(f64::INFINITY, 3), "+inf");
        assert_eq!(signed(f64::NEG_INFINITY, 3), "-inf");
        assert_eq!(signed(f64::NAN, 3), "-");
        assert_eq!(signed(0.0004, 3), "0.000");
        assert_eq!(signed(0.0, 0), "0");
    }

    #[test]
    fn significant_counts_digits_after_rounding() {
        assert_eq!(significant(0.0, 3), "0.00");
        assert_eq!(significant(0.9996, 3), "1.00");
        assert_eq!(significant(9.995, 2), "10");
        assert_eq!(significant(-0.000123456, 2), "-0.00012");
        assert_eq!(significant(0.0000123456, 2), "1.2e-5");
        assert_eq!(significant(1e22, 2), "1.0e22");
        assert_eq!(significant(2.0, 0), "2");
    }

    #[test]
    fn decimals_follow_two_digits_of_the_standard_error() {
        assert_eq!(decimals_for(0.0098), 4);
        assert_eq!(decimals_for(0.00998), 3);
        assert_eq!(decimals_for(12.0), 3);
        assert_eq!(decimals_for(1e-9), 10);
        assert_eq!(decimals_for(1e-40), 10);
        assert_eq!(decimals_for(0.0), 3);
        assert_eq!(decimals_for(f64::INFINITY), 3);
        assert_eq!(with_error(f64::INFINITY, f64::NAN), "inf");
        assert_eq!(with_error(f64::NAN, 0.1), "-");
    }

    #[test]
    fn p_values_keep_their_side_of_a_level() {
        let expected = [
            (1.0, "1.000"),
            (0.5, "0.500"),
            (0.05, "0.050"),
            (0.0501, "0.0501"),
            (0.0496, "0.0496"),
            (0.01, "0.010"),
            (0.0099, "0.0099"),
            (0.00999, "0.00999"),
            (0.0012, "0.0012"),
            (0.00012, "0.00012"),
            (0.00009, "9e-5"),
            (1e-300, "1e-300"),
            (1e-301, "<1e-300"),
            (f64::NAN, "-"),
        ];
        for (p, text) in expected {
            assert_eq!(p_value(p), text);
        }
    }

    #[test]
    fn counts_totals_and_percentages() {
        let expected = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (n, text) in expected {
            assert_eq!(count(n), text);
        }
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(total(-1234.25, 1), "-1,234.2");
        assert_eq!(total(f64::INFINITY, 1), "inf");
        assert_eq!(percent(1.0, 0), "100%");
        assert_eq!(percent(f64::NAN, 0), "-");
        assert_eq!(interval(f64::NAN, f64::NAN, 3), "-");
        assert_eq!(interval(f64::NEG_INFINITY, 0.5, 1), "[-inf, 0.5]");
    }

    proptest! {
        #[test]
        fn every_f64_has_a_text(x in any::<f64>(), digits in 0_usize..20) {
            for text in [
                fixed(x, digits), signed(x, digits), significant(x, digits), p_value(x),
                total(x, digits), percent(x, digits), with_error(x, x), interval(x, x, digits),
            ] {
                prop_assert!(!text.is_empty() && text.len() < 80, "{text}");
                prop_assert!(!text.starts_with("-0.0") || !is_zero(&text[1..]), "{text}");
            }
        }

        #[test]
        fn p_values_are_near_and_on_the_right_side(p in 1e-290_f64..1.0) {
            let read: f64 = p_value(p).parse().unwrap();
            prop_assert!((read - p).abs() <= 0.51 * p, "{read} for {p}");
            for level in LEVELS {
                prop_assert!((p < level) == (read < level) || (p - level).abs() < 1e-7);
            }
        }

        #[test]
        fn counts_read_back(n in any::<u64>()) {
            prop_assert_eq!(count(n).replace(',', "").parse::<u64>().unwrap(), n);
        }
    }
}
