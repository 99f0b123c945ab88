//! The parts of the scores, through the command.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fmt::Write;

use common::{Dir, number, root, run, words, xent};
use serde_json::Value;

/// Parts add up within so many ulp of the score.
const ULPS_SUM: f64 = 4.0;

fn score(text: &str, options: &str) -> Value {
    let dir = Dir::new();
    dir.write("p.csv", text);
    let args = words(&format!("score p.csv --format json {options}"));
    run(&mut dir.command(&args)).json()
}

fn binary(p: &[&str], labels: &[u32]) -> String {
    let mut text = "p,label\n".to_owned();
    for (p, y) in p.iter().zip(labels) {
        writeln!(text, "{p},{y}").unwrap();
    }
    text
}

/// A number, or an infinity as the contracts write it.
fn part(json: &Value, path: &str) -> f64 {
    let value = json.pointer(path).unwrap_or_else(|| panic!("no {path}"));
    value.as_f64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

/// The parts of model `i` under a key: none negative, adding up to the score.
#[track_caller]
fn parts(json: &Value, i: usize, key: &str, score: &str) -> [f64; 3] {
    let [u, d, m] = ["uncertainty", "discrimination", "miscalibration"]
        .map(|name| part(json, &format!("/models/{i}/{key}/{name}")));
    let score = part(json, &format!("/models/{i}/scores/{score}/value"));
    assert!(u >= 0.0 && d >= 0.0 && m >= 0.0, "{u} {d} {m}");
    if score.is_finite() {
        let ulp = score.next_up() - score;
        assert!((u - d + m - score).abs() <= ULPS_SUM * ulp, "{u} - {d} + {m} is not {score}");
    } else {
        assert!(u.is_finite() && d.is_finite() && m == f64::INFINITY);
    }
    [u, d, m]
}

#[test]
fn equal_forecasts_of_two_and_two_have_no_parts_in_any_order() {
    for labels in [[0, 0, 1, 1], [1, 1, 0, 0], [0, 1, 0, 1], [1, 0, 0, 1]] {
        let json = score(&binary(&["0.5"; 4], &labels), "");
        assert_eq!(parts(&json, 0, "decomposition", "cross_entropy"), [1.0, 0.0, 0.0]);
        assert_eq!(parts(&json, 0, "decomposition_mse", "mse"), [0.5, 0.0, 0.0]);
        assert_eq!(json["models"][0]["decomposition"]["method"], "corp");
    }
}

#[test]
fn forecasts_next_to_1_are_finite() {
    let json = score(&binary(&["0.2", "0.99999999999999989", "1.0"], &[0, 0, 1]), "");
    let [u, d, m] = parts(&json, 0, "decomposition", "cross_entropy");
    assert!(u.is_finite() && d.is_finite() && m.is_finite());
    parts(&json, 0, "decomposition_mse", "mse");
}

#[test]
fn an_infinite_score_has_an_infinite_miscalibration_only() {
    for text in [
        binary(&["0", "0.4", "0.6", "0.3"], &[1, 0, 1, 0]),
        "p_a,p_b,p_c,y\n0,0.5,0.5,a\n0.2,0.5,0.3,b\n0.1,0.1,0.8,c\n".to_owned(),
    ] {
        let json = score(&text, "");
        let [_, _, m] = parts(&json, 0, "decomposition", "cross_entropy");
        assert_eq!(m, f64::INFINITY);
        parts(&json, 0, "decomposition_mse", "mse");
    }
}

/// Distributions over the classes as targets: the uncertainty is the entropy of their mean.
#[test]
fn soft_targets_have_parts() {
    let text =
        "p_a,p_b,t_a,t_b\n0.3,0.7,0.5,0.5\n0.8,0.2,1,0\n0.5,0.5,0.25,0.75\n0.9,0.1,0.75,0.25\n";
    let json = score(text, "--proba p_* --targets t_*");
    let [u, ..] = parts(&json, 0, "decomposition", "cross_entropy");
    let p = 2.5_f64 / 4.0;
    assert!((u + p * p.log2() + (1.0 - p) * (1.0 - p).log2()).abs() < 1e-15);
    parts(&json, 0, "decomposition_mse", "mse");
    let json = score(&binary(&["0.2", "0.7", "0.4"], &[0, 1, 1]), "--label-smoothing 0.1");
    parts(&json, 0, "decomposition", "cross_entropy");
    parts(&json, 0, "decomposition_mse", "mse");
}

#[test]
fn whole_weights_are_repeated_rows() {
    let weighted = "p,w,label\n0.2,2,0\n0.2,1,1\n0.7,3,1\n0.4,0,0\n0.9,1,0\n";
    let repeated = "p,label\n0.2,0\n0.2,0\n0.2,1\n0.7,1\n0.7,1\n0.7,1\n0.9,0\n";
    let a = score(weighted, "--weight w --folds 2");
    let b = score(repeated, "--folds 2");
    for key in ["decomposition", "decomposition_mse"] {
        for name in ["uncertainty", "discrimination", "miscalibration"] {
            assert_eq!(a["models"][0][key][name], b["models"][0][key][name], "{key} {name}");
        }
    }
    assert_eq!(a["models"][0]["cross_fitted"], b["models"][0]["cross_fitted"]);
}

/// The real examples, and that the gap is its two parts.
#[test]
fn a_comparison_says_why() {
    let files = ["logistic", "forest"].map(|m| format!("examples/party/{m}.csv"));
    let json = run(xent(words(&format!("compare {} {} --format json", files[0], files[1])))
        .current_dir(root()))
    .json();
    for i in [0, 1] {
        parts(&json, i, "decomposition", "cross_entropy");
        parts(&json, i, "decomposition_mse", "mse");
        assert_eq!(number(&json, &format!("models/{i}/cross_fitted/folds")), 10.0);
    }
    let gap = |name: &str| number(&json, &format!("gaps/0/{name}"));
    // The model's minus the baseline's; information that it has more is a negative part.
    assert!((gap("cross_entropy") - (gap("calibration") + gap("information"))).abs() < 1e-14);
    let cross_fitted = |i: usize| {
        let part =
            |name: &str| number(&json, &format!("models/{i}/cross_fitted/decomposition/{name}"));
        part("uncertainty") - part("discrimination")
    };
    assert!((gap("recalibrated") - (cross_fitted(1) - cross_fitted(0))).abs() < 1e-14);
    let screen =
        run(xent(words(&format!("compare {} {}", files[0], files[1]))).current_dir(root()));
    assert!(screen.stdout.contains("cross-fitted, 10 folds"), "{}", screen.stdout);
}

#[test]
fn folds_need_rows_and_are_an_option_of_two() {
    let dir = Dir::new();
    dir.write("p.csv", binary(&["0.2", "0.7", "0.4"], &[0, 1, 1]));
    let ran = run(&mut dir.command(words("score p.csv --folds 4")));
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("fewer rows (3) than folds (4)"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint:"), "{}", ran.stderr);
    assert_eq!(run(&mut dir.command(words("score p.csv --folds 1"))).code, Some(2));
    // Three rows: nothing is checked by folds unless asked.
    dir.write("q.csv", binary(&["0.3", "0.6", "0.6"], &[0, 1, 1]));
    let json = run(&mut dir.command(words("compare p.csv q.csv --format json"))).json();
    assert!(json["models"][0]["cross_fitted"].is_null());
}

#[test]
fn other_forms_on_request() {
    let file = "examples/party/forest.csv --decomposition --format json";
    let json = run(xent(words(&format!("score {file}"))).current_dir(root())).json();
    let details = &json["models"][0]["decomposition_details"];
    // One class against the rest: half of the parts of the classes are those of the squared error.
    let total: f64 = ["democrat", "independent", "republican"]
        .iter()
        .map(|class| {
            part(details, &format!("/one_vs_rest/{class}/decomposition_mse/miscalibration"))
        })
        .sum();
    let whole = part(&json, "/models/0/decomposition_mse/miscalibration");
    assert!((total / 2.0 - whole).abs() < 1e-14);
    assert!(part(details, "/top_label/decomposition/uncertainty") > 0.0);
    assert!(part(details, "/top_class_bins/decomposition/discrimination") > 0.0);
    let plain = part(details, "/binned/democrat/decomposition_mse/miscalibration");
    let corrected = part(details, "/binned/democrat/corrected_mse/miscalibration");
    assert!(corrected < plain);
    assert_eq!(details["binned"]["democrat"]["se_corrected_mse"].as_array().unwrap().len(), 3);
}
