//! Every figure of the lecture, at the lecture's own precision, through the command.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{number, root, run, words, xent};
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

/// `xent` in the repository's root.
fn here(args: &str) -> common::Ran {
    run(xent(words(args)).current_dir(root()))
}

fn json(args: &str) -> Value {
    here(&format!("{args} --format json")).json()
}

fn table(args: &str) -> String {
    let ran = here(args);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout
}

/// Compares at the lecture's number of decimals.
#[track_caller]
fn figure(value: f64, lecture: &str) {
    let decimals = lecture.split_once('.').map_or(0, |(_, d)| d.len());
    assert_eq!(format!("{value:.decimals$}"), lecture);
}

/// A score of model `i`.
fn score(json: &Value, i: usize, name: &str) -> f64 {
    number(json, &format!("models/{i}/scores/{name}/value"))
}

/// The cells of the row of a table that starts with `name`.
fn cells(table: &str, name: &str) -> Vec<String> {
    let row =
        table.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("{name}: {table}"));
    row[name.len()..].split_whitespace().map(str::to_owned).collect()
}

const ENGLISH: [&str; 2] = ["examples/lecture/model1.csv", "examples/lecture/model2.csv"];
const CHINESE: [&str; 2] = ["examples/lecture/模型1.csv", "examples/lecture/模型2.csv"];

#[test]
fn both_models_make_one_error_in_three() {
    for [a, b] in [ENGLISH, CHINESE] {
        let found = json(&format!("compare {a} {b}"));
        assert_eq!(score(&found, 0, "error_rate"), 1.0 / 3.0);
        assert_eq!(score(&found, 1, "error_rate"), 1.0 / 3.0);
        assert_eq!(number(&found, "rows"), 3.0);
    }
}

#[test]
fn mean_squared_errors() {
    for [a, b] in [ENGLISH, CHINESE] {
        let found = json(&format!("compare {a} {b}"));
        figure(score(&found, 0, "mse"), "0.807");
        figure(score(&found, 1, "mse"), "0.34");
        assert_eq!(score(&found, 0, "brier_half"), score(&found, 0, "mse") / 2.0);
    }
}

#[test]
fn mean_cross_entropies() {
    for [a, b] in [ENGLISH, CHINESE] {
        let found = json(&format!("compare {a} {b}"));
        figure(score(&found, 0, "cross_entropy"), "1.989");
        figure(score(&found, 1, "cross_entropy"), "0.922");
        // The same in nats, and as the number of equally likely classes.
        let nats = score(&found, 0, "log_loss") / std::f64::consts::LN_2;
        figure(nats, "1.989");
        figure(score(&found, 0, "perplexity").log2(), "1.989");
    }
}

#[test]
fn losses_of_each_sample() {
    let expected = [
        (["0.54", "0.54", "1.34"], ["1.322", "1.322", "3.322"], [0.0, 0.0, 1.0]),
        (["0.14", "0.14", "0.74"], ["0.515", "0.515", "1.737"], [0.0, 0.0, 1.0]),
    ];
    let dir = common::Dir::new();
    for files in [ENGLISH, CHINESE] {
        for (file, (squared, bits, errors)) in files.iter().zip(&expected) {
            let out = dir.path().join("rows.csv");
            let args = ["score", file, "--per-row", out.to_str().unwrap()];
            assert_eq!(run(xent(args).current_dir(root())).code, Some(0));
            let rows = dir.read("rows.csv");
            let mut lines = rows.lines();
            let header: Vec<&str> = lines.next().unwrap().split(',').collect();
            let place = |name: &str| header.iter().position(|h| *h == name).unwrap();
            let mut n = 0;
            for (i, line) in lines.enumerate() {
                let row: Vec<&str> = line.split(',').collect();
                let value = |name: &str| row[place(name)].parse::<f64>().unwrap();
                figure(value("squared_error"), squared[i]);
                figure(value("surprisal_bits"), bits[i]);
                figure(value("log_loss") / std::f64::consts::LN_2, bits[i]);
                assert_eq!(value("error"), errors[i]);
                n += 1;
            }
            assert_eq!(n, 3);
        }
    }
}

#[test]
fn two_classes() {
    let found = json("compare examples/lecture/binary1.csv examples/lecture/binary2.csv");
    figure(score(&found, 0, "cross_entropy"), "0.736966");
    figure(score(&found, 1, "cross_entropy"), "0.321928");
}

#[test]
fn cat_dog_horse() {
    let found = json("score examples/lecture/animals.csv");
    figure(score(&found, 0, "cross_entropy"), "0.515");
    assert_eq!(found.pointer("/models/0/scores/cross_entropy/se"), Some(&Value::Null));
}

#[test]
fn the_printed_table_has_the_same_figures() {
    for ([a, b], names) in [(ENGLISH, ["model1", "model2"]), (CHINESE, ["模型1", "模型2"])] {
        let text = table(&format!("compare {a} {b}"));
        for name in names {
            assert!(text.contains(name), "{text}");
        }
        assert_eq!(cells(&text, "error rate")[..2], ["0.333", "0.333"]);
        assert_eq!(cells(&text, "mean squared error")[..2], ["0.807", "0.340"]);
        assert_eq!(cells(&text, "cross entropy, bits")[..2], ["1.989", "0.922"]);
    }
    let text = table("score examples/lecture/animals.csv");
    assert_eq!(cells(&text, "cross entropy, bits")[0], "0.515");
    let text = table("score examples/lecture/binary1.csv");
    assert_eq!(cells(&text, "cross entropy, bits")[0], "0.737");
}

#[test]
fn classes_are_named_in_the_first_line() {
    let english = table(&format!("score {}", ENGLISH[0]));
    assert!(english.starts_with("3 rows, 3 classes: other, republican, democrat\n"), "{english}");
    let chinese = table(&format!("score {}", CHINESE[0]));
    assert!(chinese.starts_with("3 rows, 3 classes: 其他党, 共和党, 民主党\n"), "{chinese}");
    assert!(chinese.contains("label: 党派"), "{chinese}");
}

#[test]
fn chinese_and_english_json_have_the_same_numbers() {
    let translate = |mut text: String| {
        for (chinese, english) in [
            ("模型", "model"),
            ("其他党", "other"),
            ("共和党", "republican"),
            ("民主党", "democrat"),
            ("党派", "party"),
        ] {
            text = text.replace(chinese, english);
        }
        text
    };
    let of = |[a, b]: [&str; 2]| {
        let ran = here(&format!("compare {a} {b} --format json"));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout
    };
    assert_eq!(translate(of(CHINESE)), of(ENGLISH));
}

/// Numbers under a right-aligned header end in one column of the terminal, in which a Chinese
/// character is two columns wide.
#[test]
fn columns_line_up_by_display_width() {
    let text = table(&format!("score {} --confusion --per-class", CHINESE[0]));
    let lines: Vec<&str> = text.lines().collect();
    let after = |start: &str| lines.iter().position(|l| l.starts_with(start)).unwrap();

    // The confusion matrix: every line is as wide as the header.
    let top = after("true / predicted");
    for line in &lines[top..=top + 3] {
        assert_eq!(line.width(), lines[top].width(), "{text}");
    }
    assert!(lines[top].contains("其他党") && lines[top + 1].starts_with("其他党"), "{text}");

    // By class: the second column ends where its header ends.
    let top = after("class ");
    let end = |line: &str, word: &str| {
        let at = line.find(word).unwrap() + word.len();
        line[..at].width()
    };
    let header = end(lines[top], "rows");
    for (line, class) in lines[top + 1..].iter().zip(["其他党", "共和党", "民主党"]) {
        assert!(line.starts_with(class), "{text}");
        let rest = &line[class.len()..];
        assert_eq!(class.width() + end(rest, "1"), header, "{text}");
        assert_eq!(line.width(), lines[top].width(), "{text}");
    }

    // Names of models in a header.
    let text = table(&format!("compare {} {}", CHINESE[0], CHINESE[1]));
    let lines: Vec<&str> = text.lines().collect();
    let header = lines.iter().find(|l| l.trim_start().starts_with("模型1")).unwrap();
    let row = lines.iter().find(|l| l.starts_with("error rate")).unwrap();
    assert_eq!(end(header, "模型1"), end(row, "0.333"), "{text}");
}

/// One answer of `xent info` by its name in JSON.
fn info(args: &str, name: &str) -> f64 {
    number(&json(&format!("info {args}")), &format!("results/{name}"))
}

#[test]
fn information_content() {
    let found = json("info content 1");
    let results = found["results"].as_object().unwrap();
    let values: Vec<f64> = results.values().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!(values, [0.0], "a certain event tells nothing");
    assert!(values[0].is_sign_positive());
    let text = table("info content 1");
    assert!(text.contains(" 0.000000") && !text.contains("-0.0"), "{text}");
    assert!(table("info content 0.5").contains(" 1.000000"));
}

#[test]
fn entropy() {
    figure(info("entropy 0.9 0.1", "entropy"), "0.469");
    figure(info("entropy 0.9,0.1", "entropy"), "0.469");
    assert_eq!(info("entropy 0.5 0.5", "entropy"), 1.0);
    assert_eq!(info("entropy 1 0", "entropy"), 0.0);
    assert!(table("info entropy 0.9 0.1").contains("0.468996"));
}

#[test]
fn kl_divergence_both_ways() {
    let args = "kl 0.75,0.25 0.5,0.5";
    figure(info(args, "kl_pq"), "0.1887");
    figure(info(args, "kl_qp"), "0.2075");
    // KL = CE - H
    let difference = info(args, "cross_entropy") - info(args, "entropy");
    figure(difference, "0.1887");
    let text = table(&format!("info {args}"));
    assert!(text.contains("0.188722") && text.contains("0.207519"), "{text}");
    assert_eq!(info("kl 0.5,0.5 0.5,0.5", "kl_pq"), 0.0);
}

#[test]
fn expectation() {
    assert_eq!(info("expectation 80,90 0.5,0.5", "expectation"), 85.0);
    assert!(table("info expectation 80,90 0.5,0.5").contains("85.000000"));
}

#[test]
fn cross_entropy_by_calculator() {
    figure(info("cross-entropy 0,1,0 0.2,0.7,0.1", "cross_entropy"), "0.515");
}
