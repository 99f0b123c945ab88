//! What the tests of `special` and `information` share, and the files of `tests/golden`.
//!
//! Those files are made by `tools/golden.py`, written apart from this crate and from the tables in
//! `golden.rs`: two sources that agree.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use serde_json::Value;

/// Asserts that `got` is within `bound` of `expected`, relative to it, or equal.
#[track_caller]
pub(crate) fn assert_relative(got: f64, expected: f64, bound: f64, what: &str) {
    let error = (got - expected).abs();
    assert!(
        got == expected || error <= bound * expected.abs(),
        "{what}: {got:e} is not {expected:e} (relative error {:.2e}, bound {bound:.0e})",
        error / expected.abs()
    );
}

/// A file of `tests/golden`.
pub(crate) fn golden_file(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A number of such a file: decimal, hexadecimal (`-0x1.8p-3`), or "inf".
pub(crate) fn number(value: &Value) -> f64 {
    let Some(text) = value.as_str() else { return value.as_f64().unwrap() };
    let (sign, text) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    if text == "inf" {
        return sign * f64::INFINITY;
    }
    let (mantissa, exponent) = text.strip_prefix("0x").unwrap().split_once('p').unwrap();
    let (whole, fraction) = mantissa.split_once('.').unwrap();
    let digits = u64::from_str_radix(&format!("{whole}{fraction}"), 16).unwrap();
    let exponent = exponent.parse::<i32>().unwrap() - 4 * fraction.len() as i32;
    sign * libm::scalbn(digits as f64, exponent)
}

/// All numbers of a list.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

mod golden_files {
    use super::super::{
        beta_inc, binomial_two_sided_half, ln_gamma, normal_cdf, normal_quantile, t_quantile,
        t_two_sided_p,
    };
    use super::{assert_relative, golden_file, numbers};

    /// Relative, of every function in the file.
    const SPECIAL: f64 = 1e-14;
    /// Cases at least to be found in the file.
    const CASES: usize = 1_300;

    type Function = fn(&[f64]) -> f64;

    #[test]
    fn every_value_of_the_file_is_met() {
        let functions: [(&str, Function); 7] = [
            ("student_t_p", |x| t_two_sided_p(x[0], x[1])),
            ("student_t_quantile", |x| t_quantile(x[0], x[1])),
            ("binomial_p", |x| binomial_two_sided_half(x[0] as u64, x[1] as u64)),
            ("normal_cdf", |x| normal_cdf(x[0])),
            ("normal_quantile", |x| normal_quantile(x[0])),
            ("ln_gamma", |x| ln_gamma(x[0])),
            ("incomplete_beta", |x| beta_inc(x[0], x[1], x[2])),
        ];
        let file = golden_file("special.json");
        let mut cases = 0;
        for (name, function) in functions {
            for case in file[name].as_array().unwrap() {
                let case = numbers(case);
                let (expected, arguments) = case.split_last().unwrap();
                let got = function(arguments);
                cases += 1;
                if expected.is_subnormal() {
                    // No digits to compare: a few of the smallest steps.
                    assert!((got - expected).abs() <= 1e-4 * f64::MIN_POSITIVE, "{name}: {case:?}");
                } else {
                    assert_relative(got, *expected, SPECIAL, &format!("{name}({arguments:?})"));
                }
            }
        }
        assert!(cases >= CASES, "only {cases} cases");
    }
}
