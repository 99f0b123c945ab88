//! `xent calibration` and `xent calibrate` as they are run.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fmt::Write;

use common::{Dir, number, root, run, words};
use serde_json::Value;

/// Two numbers that went through a file or another formula.
const NEAR: f64 = 1e-12;

/// The rows of examples/party/forest.csv that are (not) in the first five folds.
fn party(is_first: bool) -> String {
    let text = std::fs::read_to_string(root().join("examples/party/forest.csv")).unwrap();
    let mut lines = text.lines();
    let header = lines.next().unwrap();
    let fold = header.split(',').position(|name| name == "fold").unwrap();
    let of = |line: &str| line.split(',').nth(fold).unwrap().parse::<u32>().unwrap();
    let least = text.lines().skip(1).map(of).min().unwrap();
    let rows = lines.filter(|line| (of(line) < least + 5) == is_first);
    std::iter::once(header).chain(rows).collect::<Vec<_>>().join("\n") + "\n"
}

fn near(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= NEAR * a.abs().max(1.0)
}

#[test]
fn a_calibrator_of_five_folds_helps_on_the_other_five() {
    let dir = Dir::new();
    dir.write("valid.csv", party(true)).write("test.csv", party(false));
    for method in ["temperature", "vector", "isotonic"] {
        let fit = dir.xent(&format!(
            "calibrate valid.csv --method {method} --folds 5 -o c.json --format json"
        ));
        let fit = fit.json();
        let (before, after) =
            (number(&fit, "cross_entropy/before"), number(&fit, "cross_entropy/after"));
        assert!(after < before, "{method}: {before} {after}");
        let honest = number(&fit, "cross_fitted/after/value");
        assert!(honest >= after, "{method}: in-sample {after}, cross-fitted {honest}");
        let scored = dir.xent("score valid.csv --format json").json();
        assert!(near(before, number(&scored, "models/0/scores/cross_entropy/value")));

        let applied =
            dir.xent("calibrate --apply c.json test.csv --id id -o out.csv --format json");
        let applied = applied.json();
        // What the command says it won is what scoring both files says.
        let compared = dir.xent("compare test.csv out.csv --id id --label party --format json");
        assert_ne!(compared.code, Some(0), "out.csv names the label otherwise: label");
        let scores = |file: &str| {
            number(
                &dir.xent(&format!("score {file} --format json")).json(),
                "models/0/scores/cross_entropy/value",
            )
        };
        let (test, out) = (scores("test.csv"), scores("out.csv"));
        assert!(near(number(&applied, "gain/before/value"), test));
        assert!(near(number(&applied, "gain/after/value"), out));
        assert!(near(number(&applied, "gain/gain/value"), test - out));
        if method != "isotonic" {
            assert!(out < test, "{method}: {test} {out}");
        }
    }
}

#[test]
fn every_format_out_is_the_same_and_scored_the_same() {
    let dir = Dir::new();
    dir.write("p.csv", party(true));
    dir.xent("calibrate p.csv --method vector -o c.json");
    let mut scores = Vec::new();
    for name in ["out.csv", "out.tsv", "out.jsonl", "out.parquet"] {
        let ran = dir.xent(&format!("calibrate --apply c.json p.csv --id id -o {name}"));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let json = dir.xent(&format!("score {name} --id id --format json")).json();
        scores.push(number(&json, "models/0/scores/log_loss/value"));
    }
    assert!(scores.windows(2).all(|pair| pair[0] == pair[1]), "{scores:?}");
}

/// A table of three classes: what is said, what happens, a weight.
fn table(n: u32, form: impl Fn(f64) -> f64) -> String {
    let mut text = "id,p_a,p_b,p_c,y,w\n".to_owned();
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / f64::from(1 << 24)
    };
    for id in 0..n {
        let (a, b) = (0.05 + next(), 0.05 + next());
        let c = 0.05 + next();
        let sum = a + b + c;
        let u = next();
        let label = if u < 0.5 * a / sum {
            "a"
        } else if u < 0.8 {
            "b"
        } else {
            "c"
        };
        let [a, b, c] = [a / sum, b / sum, c / sum].map(&form);
        writeln!(text, "{id},{a:?},{b:?},{c:?},{label},{}", 1 + id % 3).unwrap();
    }
    text
}

#[test]
fn no_thread_batch_or_row_order_changes_a_bit() {
    let dir = Dir::new();
    let text = table(400, |p| p);
    let (header, rows) = text.split_once('\n').unwrap();
    let mut rows: Vec<&str> = rows.lines().collect();
    rows.sort_unstable_by_key(|line| line.bytes().rev().collect::<Vec<_>>());
    dir.write("p.csv", &text).write("q.csv", format!("{header}\n{}\n", rows.join("\n")));
    for command in [
        "calibration p.csv --weight w --format json",
        "calibration p.csv --class b --strategy isotonic --resamples 49 --format csv",
        "calibrate p.csv --weight w --method vector --folds 4 --format json",
        "calibrate p.csv --method isotonic --folds 4 --format json",
    ] {
        let one = dir.xent(&format!("{command} --threads 1"));
        assert_eq!(one.code, Some(0), "{}", one.stderr);
        let many = dir.xent(&format!("{command} --threads 3 --batch-rows 7"));
        assert_eq!(one.stdout, many.stdout, "{command}");
        let other = dir.xent(&command.replace("p.csv", "p=q.csv"));
        let same = other.stdout.replace("q.csv", "p.csv");
        assert_eq!(one.stdout, same, "{command}");
    }
    dir.xent("calibrate p.csv --method isotonic -o c.json");
    dir.xent("calibrate --apply c.json p.csv --id id --threads 1 -o one.csv");
    dir.xent("calibrate --apply c.json p.csv --id id --threads 3 --batch-rows 7 -o many.csv");
    assert_eq!(dir.read("one.csv"), dir.read("many.csv"));
}

#[test]
fn classes_are_bound_by_name() {
    let dir = Dir::new();
    let text = table(60, |p| p);
    // The columns the other way round.
    let reversed: Vec<String> = text
        .lines()
        .map(|line| {
            let f: Vec<&str> = line.split(',').collect();
            [f[0], f[3], f[2], f[1], f[4], f[5]].join(",")
        })
        .collect();
    dir.write("p.csv", &text).write("r.csv", reversed.join("\n") + "\n");
    dir.xent("calibrate p.csv --method vector -o c.json");
    dir.xent("calibrate --apply c.json p.csv --id id -o p_out.csv");
    dir.xent("calibrate --apply c.json r.csv --id id -o r_out.csv");
    assert_eq!(dir.read("p_out.csv"), dir.read("r_out.csv"));
    assert!(dir.read("p_out.csv").starts_with("id,label,p_a,p_b,p_c\n0,"));
}

#[test]
fn probabilities_logarithms_and_logits_give_the_same_calibrator() {
    let dir = Dir::new();
    dir.write("p.csv", table(200, |p| p))
        .write("l.csv", table(200, f64::ln))
        .write("z.csv", table(200, |p| p.ln() + 2.0));
    let temperature = |args: &str| {
        let json = dir.xent(&format!("calibrate {args} --format json")).json();
        number(&json, "parameters/temperature")
    };
    let t = temperature("p.csv");
    for other in ["l.csv --input log-probabilities", "z.csv --input logits"]
        .map(|kind| kind.to_owned() + " --proba p_*")
    {
        assert!((temperature(&other) / t - 1.0).abs() < 1e-9, "{other}");
    }
}

#[test]
fn weights_soft_targets_and_no_label_are_kept_as_they_are() {
    let dir = Dir::new();
    dir.write("p.csv", table(30, |p| p))
        .write("soft.csv", "p_a,p_b,t_a,t_b\n0.5,0.5,0.25,0.75\n0.125,0.875,1,0\n");
    dir.write("bare.csv", "name,p_yes\nx,0.25\ny,0.75\n");
    dir.write("fit.csv", "p_yes,y\n0.9,yes\n0.9,no\n0.2,no\n0.2,yes\n0.1,no\n0.1,no\n");
    dir.write("two.csv", "p_a,p_b,y\n0.9,0.1,a\n0.2,0.8,a\n0.3,0.7,b\n0.6,0.4,b\n0.8,0.2,a\n");
    dir.xent("calibrate p.csv -o c.json");
    dir.xent("calibrate --apply c.json p.csv --weight w -o w.csv");
    assert!(dir.read("w.csv").starts_with("label,w,p_a,p_b,p_c\n"));
    dir.xent("calibrate two.csv -o two.json");
    let ran = dir.xent("calibrate --apply two.json soft.csv --targets 't_*' -o s.csv");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let text = dir.read("s.csv");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0] == "t_a,t_b,p_a,p_b" && lines[1].starts_with("0.25,0.75,0.5,0.5"), "{text}");
    dir.xent("calibrate fit.csv --method platt -o platt.json");
    let ran = dir.xent("calibrate --apply platt.json bare.csv --id name -o b.csv");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(dir.read("b.csv").starts_with("name,p_no,p_yes\nx,"), "{}", dir.read("b.csv"));
    assert!(ran.stdout.contains("there is no label"), "{}", ran.stdout);
}

#[test]
fn an_infinite_loss_is_said_and_repaired() {
    let dir = Dir::new();
    dir.write("p.csv", "p_yes,y\n0,yes\n0.5,no\n0.5,yes\n0.25,no\n");
    let measured = dir.xent("calibration p.csv --format json").json();
    assert_eq!(measured.pointer("/models/0/decomposition/miscalibration").unwrap(), "inf");
    assert!(number(&measured, "models/0/decomposition/discrimination").is_finite());
    assert_eq!(
        number(&measured, "models/0/miscalibration_test/cross_entropy/p_value"),
        1.0 / 1000.0
    );
    let fit = dir.xent("calibrate p.csv -o c.json");
    assert_eq!(fit.code, Some(0), "{}", fit.stderr);
    assert!(fit.stdout.contains("1 row has a probability of 0"), "{}", fit.stdout);
    let applied = dir.xent("calibrate --apply c.json p.csv -o out.csv");
    assert!(applied.stdout.contains("infinitely many bits a row are won"), "{}", applied.stdout);
    assert!(dir.read("c.json").contains("\"log_loss_before\": \"inf\""));
}

#[test]
fn what_is_perfect_stays_as_it_is() {
    let dir = Dir::new();
    dir.write("p.csv", "p_a,p_b,y\n0.5,0.5,a\n0.5,0.5,b\n0.5,0.5,b\n0.5,0.5,a\n");
    let json = dir.xent("calibration p.csv --format json").json();
    for part in ["miscalibration", "discrimination"] {
        assert_eq!(number(&json, &format!("models/0/decomposition/{part}")), 0.0);
    }
    let fit = dir.xent("calibrate p.csv -o c.json --format json").json();
    assert_eq!(fit["is_identity"], Value::Bool(true));
    assert_eq!(number(&fit, "cross_entropy/gain"), 0.0);
    dir.xent("calibrate --apply c.json p.csv -o out.csv");
    assert!(dir.read("out.csv").ends_with("a,0.5,0.5\n"));
}

#[test]
fn the_picture_is_written_whole() {
    let dir = Dir::new();
    dir.write("p.csv", table(100, |p| p));
    let ran = dir.xent("calibration p.csv --plot chart.svg");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let svg = dir.read("chart.svg");
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"), "{svg}");
    assert!(svg.contains("reliability of p: the top label"));
    assert!(ran.stdout.contains("isotonic fit") && ran.stdout.contains("calibration errors"));
    // In a file the numbers stand without the picture.
    let ran = dir.xent("calibration p.csv -o report.txt");
    assert!(ran.stdout.is_empty() && !dir.read("report.txt").contains("isotonic fit"));
    let longest = dir.read("report.txt").lines().map(str::len).max();
    assert!(longest <= Some(120), "{longest:?}");
}

/// What a verdict says: with few resamples nothing, at another level another thing; nothing to win is no temperature.
#[test]
fn verdicts() {
    let dir = Dir::new();
    dir.write("perf.csv", "p_b,y\n1,b\n0,a\n1,b\n0,a\n");
    dir.write("three.csv", "p_b,y\n0.9,a\n0.2,b\n0.7,a\n");
    let shown = |args: &str| run(&mut dir.command(words(args))).stdout;
    for method in ["temperature", "platt", "beta", "isotonic"] {
        let text = shown(&format!("calibrate perf.csv --method {method}"));
        assert!(text.contains("nothing to win") && text.contains("the identity"), "{text}");
    }
    let text = shown("calibrate three.csv");
    assert!(text.contains("temperature 1,048,576: the highest that is tried"), "{text}");
    let text = shown("calibration three.csv --resamples 5");
    assert!(text.contains("too few resamples to tell"), "{text}");
    assert!(text.contains("in-sample") && text.contains("no bin has two rows"), "{text}");
    let text = shown("calibration three.csv --resamples 5 --level 0.8");
    assert!(text.contains("b is not calibrated (p = 0.167"), "{text}");
    let csv = shown("calibration three.csv --format csv");
    for quantity in [",curve,", ",band,", ",cross_entropy.by_chance,", ",mse.by_chance,"] {
        assert!(csv.contains(quantity), "{quantity}: {csv}");
    }
    assert!(!shown("calibration --help").contains("--top-k"));
}
