//! Results as CSV: one table that any reader takes for one, with every number of the JSON contract.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write;

use common::tables::Random;
use common::{Dir, lines};
use serde_json::Value;

/// Two models over the same 300 rows with classes, slices named as columns of the results are, and a row of infinite loss.
fn dir() -> Dir {
    let dir = Dir::new();
    for (name, blur) in [("a", 0.1), ("b", 0.4)] {
        let mut random = Random(11);
        let mut text = "score,model,p_x,p_y,p_z,label\n".to_owned();
        for i in 0..300 {
            let label = random.below(3);
            let mut p = [0.0; 3];
            p.iter_mut().for_each(|p| *p = 0.1 + random.uniform());
            p[label] += 0.4;
            let sum: f64 = p.iter().sum();
            let mut p = p.map(|p| (1.0 - blur) * p / sum + blur / 3.0);
            if i == 7 && name == "a" {
                p = [0.0; 3];
                p[(label + 1) % 3] = 1.0;
            }
            let (slice, half) = (["s, 1", "t", "u\"v"][i % 3], i % 2);
            let slice = slice.replace('"', "\"\"");
            let label = ["x", "y", "z"][label];
            writeln!(text, "\"{slice}\",{half},{},{},{},{label}", p[0], p[1], p[2]).unwrap();
        }
        dir.write(&format!("{name}.csv"), text);
    }
    dir
}

type Line = BTreeMap<String, String>;

/// The one line of which these columns are so; columns not named are not looked at.
#[track_caller]
fn find<'a>(lines: &'a [Line], wanted: &[(&str, &str)]) -> &'a Line {
    let found: Vec<&Line> =
        lines.iter().filter(|line| wanted.iter().all(|(k, v)| line[*k] == *v)).collect();
    assert_eq!(found.len(), 1, "{wanted:?}");
    found[0]
}

/// A cell is the number of the contract, all its digits.
#[track_caller]
fn same(cell: &str, json: &Value) {
    match json {
        Value::Null => assert_eq!(cell, ""),
        Value::String(text) => assert_eq!(cell, text),
        number => assert_eq!(cell.parse::<f64>().ok(), number.as_f64(), "{cell}"),
    }
}

#[track_caller]
fn same_estimate(line: &Line, json: &Value) {
    for (column, pointer) in
        [("value", "/value"), ("se", "/se"), ("ci_low", "/ci/0"), ("ci_high", "/ci/1")]
    {
        same(&line[column], json.pointer(pointer).unwrap_or(&Value::Null));
    }
}

/// Scores of these rows, infinite ones too, stand in the lines as in the contract.
#[track_caller]
fn same_scores(lines: &[Line], at: &[(&str, &str)], of: &Value) {
    for (score, estimate) in of["scores"].as_object().unwrap() {
        let line = find(lines, &[at, &[("score", score), ("form", "")]].concat());
        same_estimate(line, estimate);
        for column in ["rows", "weight"] {
            if let Some(number) = of.get(column) {
                same(&line[column], number);
            }
        }
    }
    if let Some(infinite) = of.get("infinite") {
        let line = find(lines, &[at, &[("score", "infinite_rows")]].concat());
        same(&line["value"], &infinite["count"]);
    }
}

#[test]
fn scores_are_one_table_with_every_number() {
    let dir = dir();
    let args = "score a.csv b.csv --by score,model --confusion --per-class --top-k 2 --format";
    let text = dir.xent(&format!("{args} csv")).stdout;
    let json = dir.xent(&format!("{args} json")).json();
    assert!(!text.contains("\n\n"), "readers skip empty lines");
    let header = "table,model,form,class,predicted,by_score,by_model,score,value,se,ci_low,ci_high,rows,weight";
    assert_eq!(text.lines().next(), Some(header));
    let lines = lines(&text);
    let mut count = 0;
    for model in json["models"].as_array().unwrap() {
        let name = model["name"].as_str().unwrap();
        let at = |table| [("table", table), ("model", name)];
        same_scores(&lines, &at("model"), model);
        same_scores(&lines, &at("base_rate"), &model["baseline"]);
        for (score, pointer) in
            [("entropy_explained", "/entropy_explained"), ("worst_share", "/worst_share/loss")]
        {
            let line = find(&lines, &[&at("model")[..], &[("score", score)]].concat());
            same(&line["value"], model.pointer(pointer).unwrap());
        }
        for (key, score) in [("decomposition", "cross_entropy"), ("decomposition_mse", "mse")] {
            for part in ["uncertainty", "discrimination", "miscalibration"] {
                let name = format!("{score}.{part}");
                let of = [("score", name.as_str()), ("form", "in-sample")];
                let line = find(&lines, &[&at("decomposition")[..], &of].concat());
                same(&line["value"], &model[key][part]);
            }
        }
        for cell in model["confusion"].as_array().unwrap() {
            let of = ["true", "predicted"].map(|key| cell[key].as_str().unwrap());
            let of = [("class", of[0]), ("predicted", of[1]), ("score", "weight")];
            let line = find(&lines, &[&at("confusion")[..], &of].concat());
            same(&line["value"], &cell["weight"]);
            count += 1;
        }
        for class in model["per_class"].as_array().unwrap() {
            let of = [("class", class["class"].as_str().unwrap())];
            same_scores(&lines, &[&at("class")[..], &of].concat(), class);
        }
        for slice in model["slices"].as_array().unwrap() {
            let of = ["score", "model"].map(|by| slice["slice"][by].as_str().unwrap());
            let of = [("by_score", of[0]), ("by_model", of[1])];
            same_scores(&lines, &[&at("slice")[..], &of].concat(), slice);
        }
    }
    assert!(count > 12, "{count} cells of two confusion matrices");
    assert_eq!(lines.iter().filter(|l| l["table"] == "confusion").count(), count);
    // An infinite mean leaves that of the other rows.
    let finite = &json["models"][0]["infinite"]["finite"];
    assert_eq!(json["models"][0]["infinite"]["count"], 1);
    for score in ["cross_entropy", "log_loss"] {
        let at = [("table", "model"), ("model", "a"), ("score", score), ("form", "finite rows")];
        let line = find(&lines, &at);
        assert_eq!((&line["rows"][..], &line["weight"][..]), ("299", "299"));
        same_estimate(line, &finite[score]);
    }
}

#[test]
fn comparisons_are_one_table_with_every_number() {
    let dir = dir();
    let args = "compare b.csv a.csv c=b.csv --by score --format";
    let text = dir.xent(&format!("{args} csv")).stdout;
    let json = dir.xent(&format!("{args} json")).json();
    assert!(!text.contains("\n\n"), "readers skip empty lines");
    let header = "table,model,form,class,predicted,by_score,score,value,se,ci_low,ci_high,rows,weight,baseline,test,p,p_adjusted,p_bh";
    assert_eq!(text.lines().next(), Some(header));
    let lines = lines(&text);
    let same_differences = |differences: &Value, at: &[(&str, &str)]| {
        for d in differences.as_array().unwrap() {
            let text = |key: &str| d[key].as_str().unwrap();
            let of = [("model", text("model")), ("score", text("score")), ("form", "")];
            let line = find(&lines, &[at, &of].concat());
            same_estimate(line, d);
            assert_eq!(line["baseline"], "b");
            same(&line["test"], &d["test"]);
            for p in ["p", "p_adjusted", "p_bh"] {
                same(&line[p], d.get(p).unwrap_or(&Value::Null));
            }
            if let Some(finite) = d.get("finite") {
                let of = [of[0], of[1], ("form", "finite rows")];
                let line = find(&lines, &[at, &of].concat());
                same_estimate(line, finite);
                same(&line["p"], &finite["p"]);
            }
        }
    };
    for model in json["models"].as_array().unwrap() {
        let at = [("table", "model"), ("model", model["name"].as_str().unwrap())];
        same_scores(&lines, &at, model);
    }
    same_differences(&json["differences"], &[("table", "difference")]);
    let has_rest = |d: &&Value| d.get("finite").is_some_and(|finite| finite["p"].is_number());
    assert!(json["differences"].as_array().unwrap().iter().filter(has_rest).count() > 0);
    for slice in json["slices"].as_array().unwrap() {
        let key = ("by_score", slice["slice"]["score"].as_str().unwrap());
        same_differences(&slice["differences"], &[("table", "slice_difference"), key]);
        for (model, bits) in ["b", "a", "c"].iter().zip(slice["cross_entropy"].as_array().unwrap())
        {
            let of = [("table", "slice"), key, ("model", *model), ("score", "cross_entropy")];
            let line = find(&lines, &of);
            same(&line["value"], bits);
            same(&line["rows"], &slice["rows"]);
        }
    }
}

#[test]
fn other_tools_numbers_stand_beside_the_scores() {
    let dir = dir();
    let args = "score b.csv --as sklearn --format";
    let json = dir.xent(&format!("{args} json")).json();
    let lines = lines(&dir.xent(&format!("{args} csv")).stdout);
    let scores = json["models"][0]["as"]["scores"].as_array().unwrap();
    assert!(scores.len() > 2);
    for score in scores {
        let of = [("table", "peer"), ("form", json["models"][0]["as"]["tool"].as_str().unwrap())];
        let name = [("score", score["function"].as_str().unwrap())];
        same(&find(&lines, &[&of[..], &name].concat())["value"], &score["value"]);
    }
}

/// The file's name says what is written, where nothing else does.
#[test]
fn the_ending_of_the_output_is_its_format() {
    let dir = dir();
    for (name, format) in [
        ("r.json", "json"),
        ("r.JSON", "json"),
        ("r.csv", "csv"),
        ("r.md", "md"),
        ("r.txt", "table"),
        ("r", "table"),
    ] {
        let wanted = dir.xent(&format!("compare a.csv b.csv --format {format}")).stdout;
        assert_eq!(dir.xent(&format!("compare a.csv b.csv -o {name}")).code, Some(0));
        assert_eq!(dir.read(name), wanted, "{name}");
    }
    let wanted = dir.xent("score a.csv --format md").stdout;
    assert_eq!(dir.xent("score a.csv --format md -o s.json").code, Some(0));
    assert_eq!(dir.read("s.json"), wanted, "what is said counts");
    let ran = dir.xent("score a.csv -o s.parquet");
    assert_eq!(ran.code, Some(2));
    assert_eq!(
        ran.stderr,
        "error: s.parquet: results are not written as .parquet\n\
         hint: name the file .json, .csv, .md or .txt, or say what to write with --format\n"
    );
    assert!(!dir.path().join("s.parquet").exists());
}
