//! The parts of the scores, through the command.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fmt::Write;

use common::{Dir, lines, number, root, run, words, xent};
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

/// More predictions than are held: a model that is an increasing function of another knows the same, to the last digit.
#[test]
fn samples_of_two_models_are_of_the_same_rows() {
    let n = 300_000_u32;
    let mut texts = ["p,label\n".to_owned(), "p,label\n".to_owned()];
    for i in 0..n {
        let u = (f64::from(i) * 0.618_033_988_749_895).fract();
        let v = (f64::from(i) * 0.754_877_666_246_693).fract();
        let x = 6.0 * u - 3.0;
        let p = |factor: f64| 1.0 / (1.0 + (-factor * x).exp());
        let y = u8::from(v < p(1.0));
        for (text, factor) in texts.iter_mut().zip([1.0, 1.02]) {
            writeln!(text, "{},{y}", p(factor)).unwrap();
        }
    }
    let dir = Dir::new();
    dir.write("a.csv", &texts[0]);
    dir.write("b.csv", &texts[1]);
    let json = run(&mut dir.command(words("compare a.csv b.csv --format json"))).json();
    for i in [0, 1] {
        parts(&json, i, "decomposition", "cross_entropy");
        assert_eq!(json["models"][i]["decomposition"]["sample"], true);
        let mse = format!("/models/{i}/decomposition_mse");
        assert!(part(&json, &format!("{mse}/sample_se")) > 0.0);
        assert!(part(&json, &format!("{mse}/by_chance")) > 0.0);
        let se = part(&json, &format!("/models/{i}/decomposition/sample_se"));
        assert!(se > 1e-5 && se < 1e-3, "{se}");
    }
    let rows = |i: usize| part(&json, &format!("/models/{i}/decomposition/rows"));
    assert_eq!(rows(0), rows(1));
    let gap = |name: &str| part(&json, &format!("/gaps/0/{name}"));
    assert!(gap("information").abs() < 1e-12, "{}", gap("information"));
    assert!((gap("calibration") - gap("cross_entropy")).abs() < 1e-12);
    assert!(gap("cross_entropy") > 1e-6);
    assert!(gap("sample_se") < 1e-12);
    let screen = run(&mut dir.command(words("compare a.csv b.csv"))).stdout;
    assert!(!screen.contains("less than"), "{screen}");
    assert!(screen.contains("xent calibration holds all rows"), "{screen}");
}

fn three_models(dir: &Dir) {
    let labels: Vec<u32> = (0..200).map(|i| u32::from(i * 7 % 10 < i / 20)).collect();
    let of = |p: &dyn Fn(usize) -> f64| {
        let p: Vec<String> = (0..200).map(|i| p(i).to_string()).collect();
        binary(&p.iter().map(String::as_str).collect::<Vec<_>>(), &labels)
    };
    dir.write("good.csv", of(&|i| 0.05 + 0.0045 * i as f64));
    dir.write("flat.csv", of(&|_| 0.5));
    let last = labels.iter().rposition(|y| *y == 1).unwrap();
    dir.write("zero.csv", of(&|i| if i == last { 0.0 } else { 0.05 + 0.0045 * i as f64 }));
}

#[test]
fn three_models_and_infinite_ones_are_explained() {
    let dir = Dir::new();
    three_models(&dir);
    let screen = run(&mut dir.command(words("compare good.csv flat.csv zero.csv"))).stdout;
    // A terminal's lines are broken, so words are looked for.
    let text = screen.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("good knows"), "{screen}");
    assert!(text.contains("zero loses infinitely many bits by miscalibration"), "{screen}");
    assert_eq!(text.matches("recalibrated (cross-fitted, 10 folds)").count(), 2, "{screen}");
    // What the reference loses stands once, and the best of the others is named.
    let screen = run(&mut dir.command(words("compare zero.csv flat.csv good.csv"))).stdout;
    assert_eq!(screen.matches("zero loses infinitely many bits").count(), 1, "{screen}");
    let verdict = screen.lines().find(|line| line.contains("lowest cross entropy")).unwrap();
    assert!(verdict.starts_with("good has the lowest cross entropy, "), "{verdict}");
    let end = "(flat 1.000), not tested without --baseline good; probability 0 was given to what happened by zero in 1 row";
    assert!(verdict.ends_with(end), "{verdict}");
    let json =
        run(&mut dir.command(words("compare zero.csv flat.csv good.csv --format json"))).json();
    assert_eq!(json["verdict"]["better"], Value::Null, "no test has been made");
    assert_eq!(json["verdict"]["text"], verdict);
}

#[test]
fn all_parts_are_in_the_csv() {
    let dir = Dir::new();
    three_models(&dir);
    let args = "score good.csv --decomposition --folds 5";
    let json = run(&mut dir.command(words(&format!("{args} --format json")))).json();
    let csv = lines(&run(&mut dir.command(words(&format!("{args} --format csv")))).stdout);
    let field = |form: &str, class: &str, score: &str, column: &str| -> f64 {
        let line = csv.iter().find(|l| {
            l["table"] == "decomposition"
                && [&l["form"], &l["class"], &l["score"]] == [form, class, score]
        });
        let line = line.unwrap_or_else(|| panic!("no {form} {class} {score} in {csv:?}"));
        line[column].parse().unwrap()
    };
    let details = &json["models"][0]["decomposition_details"];
    for (form, class, path) in [
        ("one-vs-rest", "1", "/one_vs_rest/1/"),
        ("top label", "", "/top_label/"),
        ("top class bins", "", "/top_class_bins/"),
        ("binned", "1", "/binned/1/"),
    ] {
        for (score, key) in [("cross_entropy", "decomposition"), ("mse", "decomposition_mse")] {
            let wanted = part(details, &format!("{path}{key}/miscalibration"));
            let name = format!("{score}.miscalibration");
            assert_eq!(field(form, class, &name, "value"), wanted, "{form} {score}");
        }
    }
    let wanted = part(details, "/binned/1/se/2");
    assert_eq!(field("binned", "1", "cross_entropy.miscalibration", "se"), wanted);
    let wanted = part(&json, "/models/0/cross_fitted/decomposition/discrimination");
    let found = field("cross-fitted, 5 folds", "", "cross_entropy.discrimination", "value");
    assert_eq!(found, wanted);

    let args = "compare good.csv flat.csv";
    let json = run(&mut dir.command(words(&format!("{args} --format json")))).json();
    let csv = lines(&run(&mut dir.command(words(&format!("{args} --format csv")))).stdout);
    for name in ["cross_entropy", "calibration", "information", "recalibrated"] {
        let line = csv.iter().find(|l| l["table"] == "gap" && l["score"] == name).unwrap();
        assert_eq!((&line["model"][..], &line["baseline"][..]), ("flat", "good"));
        let found = line["value"].parse::<f64>().unwrap();
        assert_eq!(found, part(&json, &format!("/gaps/0/{name}")), "{name}");
    }
}

#[test]
fn zeros_under_a_scaling_are_said() {
    let mut text = "a,b,c,label\n".to_owned();
    for i in 0..400 {
        let (p, label) =
            if i == 3 { ("0,0.5,0.5", "a") } else { ("0.5,0.3,0.2", ["a", "b", "a", "c"][i % 4]) };
        writeln!(text, "{p},{label}").unwrap();
    }
    let dir = Dir::new();
    dir.write("p.csv", &text);
    let screen = run(&mut dir.command(words("score p.csv"))).stdout;
    assert!(screen.contains("zeros: discrimination is at least so much"), "{screen}");
}
