//! Exact sums, moments and the logarithm against `math.fsum`, rational and 50-digit arithmetic:
//! `tests/golden/sums.json` (tools/fsum.py) and `tests/golden/ln.json` (tools/golden.py).
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use xent::cross_entropy::{Gradient, Options, Scale, Target, Wanted, cross_entropy};
use xent::element::Element;
use xent::elementary::{exp, ln, ln_1p};
use xent::exact::ExactSum;
use xent::moments::Moments;
use xent::view::{View, ViewMut};

/// Distance to the correctly rounded logarithm.
const ULPS_LN: u64 = 1;
/// A standard error is the root of a correctly rounded variance over a rounded count.
const ULPS_SE: u64 = 2;

fn golden(name: &str) -> Value {
    let path = format!("{}/../../tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A hexadecimal float as Python writes it: `-0x1.8p+1`, `0x0.0p+0`, `inf`, `nan`.
fn hex(text: &str) -> f64 {
    match text {
        "inf" => return f64::INFINITY,
        "-inf" => return f64::NEG_INFINITY,
        "nan" => return f64::NAN,
        _ => {}
    }
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
    let (mantissa, exponent) = text.strip_prefix("0x").unwrap().split_once('p').unwrap();
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = u64::from_str_radix(&format!("{whole}{fraction}"), 16).unwrap();
    let exponent = exponent.parse::<i32>().unwrap() - 4 * fraction.len() as i32;
    // In two steps: the power alone may underflow.
    let half = exponent / 2;
    let x = digits as f64 * 2_f64.powi(half) * 2_f64.powi(exponent - half);
    if negative { -x } else { x }
}

fn list(case: &Value, key: &str) -> Vec<f64> {
    let values: Vec<f64> =
        case[key].as_array().unwrap().iter().map(|x| hex(x.as_str().unwrap())).collect();
    match case.get("repeat").and_then(Value::as_u64) {
        Some(n) if values.len() == 1 => vec![values[0]; n as usize],
        _ => values,
    }
}

fn ulps(a: f64, b: f64) -> u64 {
    if a == b { 0 } else { a.to_bits().abs_diff(b.to_bits()) }
}

#[test]
fn sums_are_those_of_fsum() {
    let golden = golden("sums.json");
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() >= 200);
    for case in cases {
        let name = &case["name"];
        let x = list(case, "x");
        let expect = |key: &str, got: f64| {
            if let Some(expected) = case[key].as_str().map(hex) {
                assert_eq!(
                    (got + 0.0).to_bits(),
                    (expected + 0.0).to_bits(),
                    "{name} {key}: {got:e} {expected:e}"
                );
            }
        };
        let mut sum = ExactSum::new();
        sum.add_slice(&x);
        expect("sum", sum.value());
        let mut squares = ExactSum::new();
        squares.add_products(&x, &x);
        expect("sum_of_squares", squares.value());
        let mut products = ExactSum::new();
        let reversed: Vec<f64> = x.iter().rev().copied().collect();
        products.add_products(&x, &reversed);
        expect("sum_of_products", products.value());
        if case["w"].is_array() {
            weighted(case, &x, &list(case, "w"), &expect);
        }
        let mut moments = Moments::default();
        moments.add(&x, None);
        let mean = moments.mean(0.95);
        expect("mean", mean.value + 0.0);
        if let Some(variance) = case["variance"].as_str().map(hex)
            && (1e-290..1e290).contains(&variance)
        {
            let se = (variance / x.len() as f64).sqrt();
            assert!(ulps(mean.se, se) <= ULPS_SE, "{name} se: {:e} {se:e}", mean.se);
        }
    }
}

/// Rows of weight 0 are absent; whole weights count rows, so only others have the golden's error.
fn weighted(case: &Value, x: &[f64], w: &[f64], expect: &dyn Fn(&str, f64)) {
    let mut sum = ExactSum::new();
    sum.add_products(w, x);
    expect("weighted_sum", sum.value());
    let (x, w): (Vec<f64>, Vec<f64>) = x.iter().zip(w).filter(|(_, w)| **w > 0.0).unzip();
    let mut moments = Moments::default();
    moments.add(&x, Some(&w));
    let mean = moments.mean(0.95);
    expect("weighted_mean", mean.value + 0.0);
    let is_whole = w.iter().all(|w| w.trunc() == *w);
    let small = |x: &f64| (1e-100..1e100).contains(&x.abs()) || *x == 0.0;
    if let Some(se) = case["weighted_se"].as_str().map(hex)
        && !is_whole
        && x.iter().chain(&w).all(small)
    {
        assert!(
            (mean.se - se).abs() <= 1e-15 * se,
            "{} weighted se {:e} {se:e}",
            case["name"],
            mean.se
        );
    }
}

#[test]
fn logarithm_at_fifty_digits() {
    let golden = golden("ln.json");
    let points = golden["points"].as_array().unwrap();
    assert!(points.len() >= 2000);
    let mut worst = 0;
    for point in points {
        let [x, expected] = [0, 1].map(|i| hex(point[i].as_str().unwrap()));
        if x < 2.0 {
            let distance = ulps(ln(x), expected);
            worst = worst.max(distance);
            assert!(distance <= ULPS_LN, "ln({x:e}) is {:e}, not {expected:e}", ln(x));
        }
    }
    println!("worst distance: {worst} ulp");
}

#[test]
fn exponential_and_ln_1p_at_fifty_digits() {
    let golden = golden("elementary.json");
    for name in ["exp", "ln_1p"] {
        let f = |x| if name == "exp" { exp(x) } else { ln_1p(x) };
        let points = golden[name].as_array().unwrap();
        assert!(points.len() >= 1600);
        let mut inexact = 0;
        for point in points {
            let [x, expected] = [0, 1].map(|i| hex(point[i].as_str().unwrap()));
            let distance = ulps(f(x), expected);
            inexact += u32::from(distance > 0);
            assert!(distance <= 1, "{name}({x:e}) is {:e}, not {expected:e}", f(x));
        }
        // At most 1 ulp from the true value, so the nearest f64 most of the time.
        assert!(
            f64::from(inexact) < 0.25 * points.len() as f64,
            "{name}: {inexact} not the nearest"
        );
    }
}

/// The logits of `logit_row` in tools/golden.py.
fn logit_row(row: &Value) -> (Vec<f64>, u32, f64) {
    let [scale, offset, margin, loss] = [2, 3, 4, 6].map(|i| hex(row[i].as_str().unwrap()));
    let single = row[5] == "f32";
    let round = |x: f64| if single { f64::from(x as f32) } else { x };
    let mut state = row[0].as_u64().unwrap();
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let v = row[1].as_u64().unwrap() as usize;
    let mut x: Vec<f64> = (0..v).map(|_| round((next() - 0.5) * scale + offset)).collect();
    let label = (next() * v as f64) as usize;
    x[label] = round(x[label] + margin);
    (x, label as u32, loss)
}

#[test]
fn cross_entropy_from_logits_at_fifty_digits() {
    let golden = golden("logits.json");
    let rows = golden["rows"].as_array().unwrap();
    assert!(rows.len() >= 700);
    let mut worst = [0.0_f64; 2];
    for row in rows {
        let (x, label, expected) = logit_row(row);
        let mut loss = [0.0];
        let options = Options::default();
        if row[5] == "f32" {
            let x: Vec<f32> = x.iter().map(|&x| x as f32).collect();
            let view = View::rows_of(&x, x.len()).unwrap();
            let wanted = Wanted { losses: Some(&mut loss), ..Wanted::default() };
            cross_entropy(view, Target::Classes(&[label]), &options, wanted).unwrap();
            // An ulp of f32, of its smallest normal number below that.
            let size = expected.max(f64::from(f32::MIN_POSITIVE));
            let ulp = f64::from_bits((size.to_bits() & 0x7ff0_0000_0000_0000) - (23 << 52));
            let error = (loss[0] - expected).abs() / ulp;
            assert!(error <= 2.5, "{row}: {:e} {error}", loss[0]);
            worst[0] = worst[0].max(error);
        } else {
            let view = View::rows_of(&x, x.len()).unwrap();
            let wanted = Wanted { losses: Some(&mut loss), ..Wanted::default() };
            cross_entropy(view, Target::Classes(&[label]), &options, wanted).unwrap();
            let error = ulps(loss[0], expected);
            assert!(error <= 4, "{row}: {:e} {error}", loss[0]);
            worst[1] = worst[1].max(error as f64);
        }
    }
    println!("worst: {} ulp of f32, {} ulp of f64", worst[0], worst[1]);
}

/// The target's own gradient was right to the last digits and the others' lost theirs from margins of 690 on; a temperature
/// was applied before the difference from the maximum, which rounded.
#[test]
fn gradients_and_losses_of_sure_and_of_tempered_rows_are_those_of_mpmath() {
    fn run<T: Element>(case: &Value) -> (f64, Vec<f64>) {
        let x: Vec<T> = case[0]
            .as_array()
            .unwrap()
            .iter()
            .map(|x| T::from_f64(hex(x.as_str().unwrap())))
            .collect();
        let label = [case[1].as_u64().unwrap() as u32];
        let view = View::rows_of(&x, x.len()).unwrap();
        let (mut loss, mut gradient) = ([0.0], vec![T::default(); x.len()]);
        let options = Options { temperature: hex(case[3].as_str().unwrap()), ..Options::default() };
        let into = ViewMut::rows_of(&mut gradient, x.len()).unwrap();
        let scale = Scale::All(hex(case[2].as_str().unwrap()));
        let wanted = Wanted {
            losses: Some(&mut loss),
            gradient: Some(Gradient { into, scale }),
            ..Wanted::default()
        };
        cross_entropy(view, Target::Classes(&label), &options, wanted).unwrap();
        (loss[0], gradient.iter().map(|g| g.to_f64()).collect())
    }
    let golden = golden("logits.json");
    let cases = golden["slopes"].as_array().unwrap();
    assert!(cases.len() >= 300);
    let mut worst = [[0.0_f64; 2]; 2];
    for case in cases {
        let is_wide = case[4] == "f64";
        let (loss, gradient) = if is_wide { run::<f64>(case) } else { run::<f32>(case) };
        // In ulp of the kind, of its smallest normal number below that.
        let distance = |got: f64, expected: f64| {
            if got == expected {
                0.0
            } else if is_wide {
                let size = expected.abs().max(f64::MIN_POSITIVE);
                let ulp = f64::from_bits(size.to_bits() & 0x7ff0_0000_0000_0000) * f64::EPSILON;
                (got - expected).abs() / ulp
            } else {
                let size = expected.abs().max(f64::from(f32::MIN_POSITIVE));
                let ulp = f64::from_bits((size.to_bits() & 0x7ff0_0000_0000_0000) - (23 << 52));
                (got - expected).abs() / ulp
            }
        };
        let worst = &mut worst[usize::from(hex(case[3].as_str().unwrap()) != 1.0)];
        let error = distance(loss, hex(case[5].as_str().unwrap()));
        assert!(error <= 4.0, "{case}: {loss:e}, {error} ulp");
        worst[0] = worst[0].max(error);
        let expected = case[6].as_array().unwrap().iter().map(|x| hex(x.as_str().unwrap()));
        for (c, (got, expected)) in gradient.iter().zip(expected).enumerate() {
            let error = distance(*got, expected);
            assert!(error <= 4.0, "{case}, {c}: {got:e} for {expected:e}, {error} ulp");
            worst[1] = worst[1].max(error);
        }
    }
    println!("worst loss and gradient: {:?}, with a temperature {:?}", worst[0], worst[1]);
}
