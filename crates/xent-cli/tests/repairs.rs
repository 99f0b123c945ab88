//! `xent score` says when a cheap repair would explain a bad score, and is silent otherwise.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fmt::Write as _;

use common::tables::Random;
use common::{Dir, number, root, run, words, xent};
use serde_json::Value;

/// The forest's predictions of 944 voters under another header, and `label` made of each party.
fn forest(header: &str, label: impl Fn(&str) -> String) -> String {
    let text = std::fs::read_to_string(root().join("examples/party/forest.csv")).unwrap();
    let mut out = format!("{header}\n");
    for line in text.lines().skip(1) {
        let f: Vec<&str> = line.split(',').collect();
        writeln!(out, "{},{},{},{},{}", f[0], label(f[1]), f[3], f[4], f[5]).unwrap();
    }
    out
}

fn repairs(json: &Value) -> &Vec<Value> {
    json["models"][0]["repairs"].as_array().unwrap()
}

/// The cross entropy of the forest.
const BITS: f64 = 1.174_361_725_567_729_4;
/// A mean of 944 losses in another order of additions.
const BOUND: f64 = 1e-14;

#[test]
fn columns_in_another_order() {
    let dir = Dir::new();
    // Two of them swapped.
    let swapped = "id,party,p_republican,p_independent,p_democrat";
    let swapped = forest(swapped, str::to_owned);
    dir.write("p.csv", &swapped);
    let ran = dir.xent("score p.csv");
    let line = "warning: the predictions of republican and democrat look swapped; if so, the cross entropy is 1.174 bits \
                and not 2.665\n";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    let json = dir.xent("score p.csv --format json").json();
    let repair = &repairs(&json)[0];
    assert_eq!(repair["mistake"], "permuted");
    assert_eq!(
        repair["columns"],
        serde_json::json!({ "republican": "democrat", "democrat": "republican" })
    );
    assert!((number(repair, "cross_entropy") - BITS).abs() < BOUND, "{repair}");
    assert_eq!((&repair["rows"], &repair["sample"]), (&944.into(), &false.into()));
    // All three moved round.
    let round = forest("id,party,p_republican,p_democrat,p_independent", str::to_owned);
    dir.write("p.csv", round);
    let ran = dir.xent("score p.csv");
    let line = "warning: each class looks to be in the column of another (republican in that of independent, democrat in that of \
                republican, independent in that of democrat); if so, the cross entropy is 1.174 bits and not 2.";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    // No order of rows, and no number of threads or rows in a batch, changes a bit.
    dir.write("p.csv", &swapped);
    let expected = dir.xent("score m=p.csv --format json --threads 1").stdout;
    let mut lines: Vec<&str> = swapped.lines().collect();
    let mut random = Random(3);
    for i in (2..lines.len()).rev() {
        lines.swap(i, 1 + random.below(i));
    }
    dir.write("p.csv", lines.join("\n"));
    for args in
        ["--threads 1", "--threads 2 --batch-rows 7", "--threads 3 --batch-rows 1", "--threads 8"]
    {
        assert_eq!(
            dir.xent(&format!("score m=p.csv --format json {args}")).stdout,
            expected,
            "{args}"
        );
    }
}

#[test]
fn the_other_class_and_labels_off_by_one() {
    let dir = Dir::new();
    let mut random = Random(4);
    let (mut other, mut off) = ("p,y\n".to_owned(), "p_0,p_1,p_2,y\n".to_owned());
    for _ in 0..200 {
        let p = random.uniform();
        let y = u8::from(random.uniform() < p);
        writeln!(other, "{},{y}", 1.0 - p).unwrap();
        // The class that is said is the label less 1.
        let said = random.below(2);
        let mut row = [0.1; 3];
        row[said] = 0.8;
        writeln!(off, "{},{},{},{}", row[0], row[1], row[2], said + 1).unwrap();
    }
    dir.write("other.csv", other).write("off.csv", off);
    let ran = dir.xent("score other.csv");
    assert!(
        ran.stdout.contains("warning: the predictions of 0 and 1 look swapped; if so, the"),
        "{}",
        ran.stdout
    );
    let ran = dir.xent("score off.csv");
    let line = "warning: the labels look off by one; with 1 taken from each, the cross entropy is \
                0.322 bits and not 3.322\n";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    let json = dir.xent("score off.csv --format json").json();
    assert_eq!(
        (&repairs(&json)[0]["mistake"], &repairs(&json)[0]["by"]),
        (&"labels_off".into(), &(-1).into())
    );
    // Classes with names cannot be off by one: the columns are in another order then.
    let named = dir
        .read("off.csv")
        .replace("p_0,p_1,p_2", "p_a,p_b,p_c")
        .replace(",1\n", ",b\n")
        .replace(",2\n", ",c\n");
    dir.write("named.csv", named);
    let json = dir.xent("score named.csv --format json").json();
    assert!(repairs(&json).iter().all(|repair| repair["mistake"] == "permuted"), "{json}");
    assert_eq!(repairs(&json).len(), 1);
}

/// Every file of the repository, and predictions that know nothing: no line.
#[test]
fn nothing_is_said_without_reason() {
    let files = [
        "lecture/model1.csv",
        "lecture/model2.csv",
        "lecture/animals.csv",
        "lecture/binary1.csv",
        "lecture/binary2.csv",
        "party/forest.csv",
        "party/logistic.csv",
        "input/zero.csv",
        "input/rounded.csv",
    ];
    for file in files {
        let ran = run(xent(words(&format!("score {file} --format json")))
            .current_dir(root().join("examples")));
        if ran.code == Some(0) {
            let json = ran.json();
            assert_eq!(repairs(&json).len(), 0, "{file}");
        }
    }
    let dir = Dir::new();
    let mut random = Random(9);
    for n in [1, 2, 3, 5, 10, 30, 300, 3000] {
        // Unsure, sure, and constant; with labels that have nothing to do with it.
        for kind in 0..3 {
            let mut text = "p_a,p_b,p_c,label\n".to_owned();
            for _ in 0..n {
                let [a, b] = match kind {
                    0 => [0.25 + random.uniform() / 4.0, 0.25],
                    1 => [[0.98, 0.01], [0.01, 0.98], [0.01, 0.01]][random.below(3)],
                    _ => [0.7, 0.2],
                };
                let label = ["a", "b", "c", "c"][random.below(4)];
                writeln!(text, "{a},{b},{},{label}", 1.0 - a - b).unwrap();
            }
            dir.write("p.csv", text);
            let json = dir.xent("score p.csv --format json").json();
            assert_eq!(repairs(&json).len(), 0, "{n} {kind}");
        }
    }
}
