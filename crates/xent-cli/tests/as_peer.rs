//! `xent score --as`: the numbers that scikit-learn, yardstick and torchmetrics give for the same files.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Dir, number, root};
use serde_json::Value;

/// tests/golden/as_peer.json, by tools/golden_as.py.
fn golden() -> Value {
    let text = std::fs::read_to_string(root().join("tests/golden/as_peer.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Sums in double precision; torchmetrics computes in single precision.
const DOUBLE: f64 = 1e-12;
const SINGLE: f64 = 2e-7;

#[test]
fn every_number_is_the_tools() {
    let dir = Dir::new();
    let mut compared = 0;
    for case in golden().as_array().unwrap() {
        dir.write("p.csv", case["csv"].as_str().unwrap());
        let weight = if case["weighted"] == true { "--weight w" } else { "" };
        for tool in ["sklearn", "yardstick", "torchmetrics"] {
            let expected = case[tool].as_object().unwrap();
            let json = dir.xent(&format!("score p.csv --as {tool} {weight} --format json")).json();
            let found = json.pointer("/models/0/as/scores").unwrap().as_array().unwrap();
            for (function, value) in expected {
                let score = found.iter().find(|s| s["function"] == function.as_str());
                let score = score.unwrap_or_else(|| panic!("{tool} {function}"));
                let (found, value) = (number(score, "value"), value.as_f64().unwrap());
                let bound = if tool == "torchmetrics" { SINGLE } else { DOUBLE };
                assert!(
                    (found - value).abs() <= bound * value.abs().max(1.0),
                    "{} {tool} {function}: {found} and not {value}",
                    case["name"]
                );
                compared += 1;
            }
            let extra: Vec<_> = found
                .iter()
                .filter(|s| !expected.contains_key(s["function"].as_str().unwrap()))
                .collect();
            // scikit-learn refuses a class without rows there.
            assert!(extra.iter().all(|s| s["function"] == "d2_log_loss_score"), "{extra:?}");
        }
    }
    assert!(compared > 60, "{compared}");
}

#[test]
fn the_screen_says_why() {
    let dir = Dir::new();
    dir.write("zero.csv", "label,p_cat,p_dog\ncat,0.7,0.3\ndog,0,1\ncat,0,1\ncat,0.6,0.4\n");
    let screen = dir.xent("score zero.csv --as sklearn").stdout;
    let table = "\
what scikit-learn 1.9 says of these rows
function             it says   xent's score         xent says   why
log_loss              9.2278   log loss, nats             inf   clips probabilities at 2.2e-16: 1 row
brier_score_loss      0.3125   mean squared error      0.6250   halves the sum over the classes where there are two
accuracy_score        0.7500   error rate              0.2500   1 - error rate, of the top class
d2_log_loss_score   -15.4098   entropy explained         -inf   clips probabilities at 2.2e-16: 1 row
";
    assert!(screen.contains(table), "{screen}");
    dir.write("order.csv", "label,p_dog,p_cat\ncat,0.3,0.7\ndog,0.8,0.2\n");
    let screen = dir.xent("score order.csv --as sklearn").stdout;
    assert!(screen.contains("note: scikit-learn takes the columns for those of the sorted labels"));
}

#[test]
fn the_numbers_are_taken_as_they_are() {
    let dir = Dir::new();
    dir.write("p.csv", "label,p_cat,p_dog\ncat,0.7,0.3\n");
    for option in ["--clip 1e-6", "--sums normalize", "--label-smoothing 0.1"] {
        let ran = dir.xent(&format!("score p.csv --as yardstick {option}"));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
        assert!(
            ran.stderr.starts_with("error: --as reads the numbers as they are"),
            "{}",
            ran.stderr
        );
    }
    dir.write("soft.csv", "t_cat,t_dog,p_cat,p_dog\n0.5,0.5,0.7,0.3\n");
    let ran = dir.xent("score soft.csv --targets t_* --as torchmetrics");
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("takes one class a row"), "{}", ran.stderr);
    let ran = dir.xent("score p.csv --as caret");
    assert!(ran.stderr.contains("hint: the choices are sklearn, yardstick, torchmetrics"));
}
