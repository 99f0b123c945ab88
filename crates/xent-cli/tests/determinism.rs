//! One result, whatever the threads, batches, instructions, order of rows, files and formats.
//!
//! The JSON of `xent score` and `xent compare` over weights, slices, a confusion matrix, classes,
//! top-k errors and some rows of infinite loss is compared byte for byte.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fmt::Write;

use common::tables::{
    Random, arrow_file, arrow_stream, batch, f64s, gz, i64s, parquet, texts, zst,
};
use common::{Dir, run, words};

/// Enough for several batches and chunks.
const ROWS: usize = 20_011;
const CLASSES: [&str; 4] = ["cat", "dog", "狗", "horse, white"];

#[derive(Clone)]
struct Row {
    id: usize,
    p: [[f64; 4]; 2],
    label: usize,
    weight: i64,
    region: &'static str,
}

/// Two models of unlike quality; some true classes get a probability of exactly 0.
fn rows() -> Vec<Row> {
    let mut random = Random(11);
    let mut rows = Vec::new();
    for id in 0..ROWS {
        let label = random.below(4);
        let p = [1.0, 2.5].map(|skill| {
            // Multiples of 2^-20 sum to 1 exactly, in every order and format.
            let mut p = [0.0; 4];
            let mut left = 1 << 20;
            for (c, p) in p.iter_mut().enumerate().take(3) {
                let share = random.uniform() * if c == label { skill } else { 1.0 } / 2.5;
                let part = (f64::from(left) * share.min(1.0)) as i32;
                *p = f64::from(part) / f64::from(1 << 20);
                left -= part;
            }
            p[3] = f64::from(left) / f64::from(1 << 20);
            if random.below(1000) == 0 {
                p = [0.0; 4];
                p[(label + 1) % 4] = 1.0;
            }
            p
        });
        let region = ["north", "south", "西"][random.below(3)];
        rows.push(Row { id, p, label, weight: random.below(4) as i64, region });
    }
    rows
}

fn csv(rows: &[Row], model: usize) -> String {
    let mut text = "id,p_cat,p_dog,p_狗,\"p_horse, white\",label,w,region\n".to_owned();
    for row in rows {
        let [a, b, c, d] = row.p[model];
        let Row { id, label, weight, region, .. } = row;
        let label = CLASSES[*label];
        writeln!(text, "{id},{a},{b},{c},{d},\"{label}\",{weight},{region}").unwrap();
    }
    text
}

fn json_lines(rows: &[Row], model: usize) -> String {
    let mut text = String::new();
    for row in rows {
        let [a, b, c, d] = row.p[model];
        let Row { id, label, weight, region, .. } = row;
        let line = serde_json::json!({
            "id": id, "p_cat": a, "p_dog": b, "p_狗": c, "p_horse, white": d,
            "label": CLASSES[*label], "w": weight, "region": region,
        });
        writeln!(text, "{line}").unwrap();
    }
    text
}

fn columns(rows: &[Row], model: usize) -> arrow_array::RecordBatch {
    let p = |c: usize| rows.iter().map(move |r| r.p[model][c]);
    batch(vec![
        i64s("id", rows.iter().map(|r| r.id as i64)),
        f64s("p_cat", p(0)),
        f64s("p_dog", p(1)),
        f64s("p_狗", p(2)),
        f64s("p_horse, white", p(3)),
        texts("label", rows.iter().map(|r| CLASSES[r.label])),
        i64s("w", rows.iter().map(|r| r.weight)),
        texts("region", rows.iter().map(|r| r.region)),
    ])
}

const OPTIONS: &str = "--weight w --by region --top-k 1,2,3 --folds 3 --format json";
const SCORE: &str = "--confusion --per-class --decomposition";

/// The JSON of a run.
fn json(dir: &Dir, args: &str, simd: Option<&str>) -> String {
    let mut command = dir.command(words(args));
    if let Some(simd) = simd {
        command.env("XENT_SIMD", simd);
    }
    let ran = run(&mut command);
    assert_eq!(ran.code, Some(0), "{args}: {}", ran.stderr);
    ran.stdout
}

/// Without what names files and rows.
fn without_references(json: &str) -> String {
    let mut value: serde_json::Value = serde_json::from_str(json).unwrap();
    fn clean(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(map) => {
                map.shift_remove("source");
                if let Some(infinite) = map.get_mut("infinite").and_then(|i| i.as_object_mut()) {
                    infinite.shift_remove("rows");
                }
                map.values_mut().for_each(clean);
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(clean),
            _ => {}
        }
    }
    clean(&mut value);
    serde_json::to_string_pretty(&value).unwrap()
}

/// Runs `score` and `compare` over the files of two models.
fn both(dir: &Dir, a: &str, b: &str, extra: &str, simd: Option<&str>) -> [String; 2] {
    let files = format!("a={a} b={b}");
    [
        json(dir, &format!("score {files} {SCORE} {OPTIONS} {extra}"), simd),
        json(dir, &format!("compare {files} {OPTIONS} {extra}"), simd),
    ]
}

fn csv_dir(rows: &[Row]) -> Dir {
    let dir = Dir::new();
    dir.write("a.csv", csv(rows, 0)).write("b.csv", csv(rows, 1));
    dir
}

#[test]
fn the_rows_have_what_is_claimed() {
    let rows = rows();
    let dir = csv_dir(&rows);
    let [score, compare] = both(&dir, "a.csv", "b.csv", "", None);
    let score: serde_json::Value = serde_json::from_str(&score).unwrap();
    assert!(score["models"][0]["infinite"]["count"].as_u64().unwrap() > 2);
    let compare: serde_json::Value = serde_json::from_str(&compare).unwrap();
    assert_eq!(compare["matching"]["matched"], ROWS);
    for list in ["slices", "per_class", "confusion"] {
        let text = score.to_string();
        assert!(text.contains(list), "{list}");
    }
}

#[test]
fn threads_and_batches() {
    let dir = csv_dir(&rows());
    let expected = both(&dir, "a.csv", "b.csv", "", None);
    for threads in [1, 2, 3, 8] {
        for batch_rows in [1, 7, 8192] {
            let extra = format!("--threads {threads} --batch-rows {batch_rows}");
            assert_eq!(both(&dir, "a.csv", "b.csv", &extra, None), expected, "{extra}");
        }
    }
}

#[test]
fn instruction_sets() {
    let dir = csv_dir(&rows());
    let expected = both(&dir, "a.csv", "b.csv", "", None);
    for simd in ["baseline", "avx2"] {
        assert_eq!(both(&dir, "a.csv", "b.csv", "", Some(simd)), expected, "{simd}");
    }
}

#[test]
fn shuffled_rows() {
    let mut rows = rows();
    let dir = csv_dir(&rows);
    let expected = both(&dir, "a.csv", "b.csv", "", None).map(|j| without_references(&j));
    for seed in 0..3 {
        Random(seed).shuffle(&mut rows);
        let dir = csv_dir(&rows);
        let found =
            both(&dir, "a.csv", "b.csv", "--threads 3", None).map(|j| without_references(&j));
        assert_eq!(found, expected, "{seed}");
    }
}

#[test]
fn part_files() {
    let rows = rows();
    let dir = csv_dir(&rows);
    let expected = both(&dir, "a.csv", "b.csv", "", None).map(|j| without_references(&j));
    let mut random = Random(5);
    for cuts in [1, 3, 17] {
        let dir = Dir::new();
        for model in [0, 1] {
            let mut ends: Vec<usize> = (0..cuts).map(|_| random.below(ROWS)).collect();
            ends.push(ROWS);
            ends.sort_unstable();
            let mut start = 0;
            for (i, end) in ends.into_iter().enumerate() {
                let name = format!("{}/part-{i:03}.csv", ["a", "b"][model]);
                dir.write(&name, csv(&rows[start..end], model));
                start = end;
            }
        }
        let found = both(&dir, "a", "b/part-*.csv", "", None);
        assert_eq!(found.map(|j| without_references(&j)), expected, "{cuts}");
    }
}

#[test]
fn formats() {
    let rows = rows();
    let dir = csv_dir(&rows);
    let expected = both(&dir, "a.csv", "b.csv", "", None).map(|j| without_references(&j));
    for model in [0, 1] {
        let name = ["a", "b"][model];
        let text = csv(&rows, model);
        let columns = columns(&rows, model);
        dir.write(&format!("{name}.csv.gz"), gz(&text));
        dir.write(&format!("{name}.csv.zst"), zst(&text));
        dir.write(&format!("{name}.jsonl"), json_lines(&rows, model));
        dir.write(&format!("{name}.parquet"), parquet(&columns));
        dir.write(&format!("{name}.arrow"), arrow_file(&columns));
        dir.write(&format!("{name}.arrows"), arrow_stream(&columns));
    }
    for extension in ["csv.gz", "csv.zst", "jsonl", "parquet", "arrow", "arrows"] {
        let found =
            both(&dir, &format!("a.{extension}"), &format!("b.{extension}"), "--threads 2", None);
        assert_eq!(found.map(|j| without_references(&j)), expected, "{extension}");
    }
    // And one of each.
    let found = both(&dir, "a.parquet", "b.jsonl", "--batch-rows 7", None);
    assert_eq!(found.map(|j| without_references(&j)), expected);
}

/// Rows matched by identity give what rows in one order give.
#[test]
fn matched_by_id() {
    let mut rows = rows();
    let dir = csv_dir(&rows);
    let clean = |json: String| {
        let mut value: serde_json::Value =
            serde_json::from_str(&without_references(&json)).unwrap();
        value.as_object_mut().unwrap().shift_remove("matching");
        value
    };
    let args = format!("compare a=a.csv b=b.csv {OPTIONS}");
    let expected = clean(json(&dir, &args, None));
    assert_eq!(clean(json(&dir, &format!("{args} --id id"), None)), expected, "in one order");
    Random(9).shuffle(&mut rows);
    dir.write("b.csv", csv(&rows, 1));
    assert_eq!(clean(json(&dir, &format!("{args} --id id"), None)), expected);
}

/// `compare(A, B)` is the negative of `compare(B, A)`, bit for bit.
#[test]
fn turned_around() {
    let dir = csv_dir(&rows());
    let of = |files: &str| -> serde_json::Value {
        serde_json::from_str(&json(&dir, &format!("compare {files} {OPTIONS}"), None)).unwrap()
    };
    let [ab, ba] = ["a=a.csv b=b.csv", "b=b.csv a=a.csv"].map(of);
    let list = |json: &serde_json::Value| json["differences"].as_array().unwrap().clone();
    for (x, y) in list(&ab).iter().zip(&list(&ba)) {
        if let (Some(x), Some(y)) = (x["value"].as_f64(), y["value"].as_f64()) {
            assert_eq!(x, -y);
        }
        assert_eq!(x["se"], y["se"]);
        assert_eq!(x["p"], y["p"]);
    }
}

/// How many slices each thread saw is no reason to refuse or not to.
#[test]
fn the_limit_of_slices() {
    let slices = |n: usize| -> String {
        (0..n).fold("id,p_a,p_b,y\n".to_owned(), |text, i| text + &format!("{i},.5,.5,a\n"))
    };
    let dir = Dir::new();
    dir.write("p.csv", slices(20_001));
    let said: Vec<_> = [1, 2, 8]
        .map(|n| dir.xent(&format!("score p.csv --by id --threads {n}")))
        .map(|ran| (ran.code, ran.stderr))
        .into();
    assert_eq!(said[0].0, Some(2), "{}", said[0].1);
    assert!(said.iter().all(|s| *s == said[0]), "{said:?}");
}

/// The first bad row is reported, whoever finds another one first.
#[test]
fn the_first_error() {
    let good = "0.5,0.5,a\n".repeat(9000);
    let text = format!("p_a,p_b,y\n{good}0.5,0.6,a\n{good}x,0.5,a\n{good}2,0,a\n");
    let dir = Dir::new();
    dir.write("p.csv", text);
    for threads in [1, 2, 3, 8] {
        for batch_rows in [1, 7, 8192] {
            let args = format!("score p.csv --threads {threads} --batch-rows {batch_rows}");
            let ran = dir.xent(&args);
            assert_eq!(ran.code, Some(2));
            assert!(ran.stderr.starts_with("error: p.csv:9002: "), "{args}: {}", ran.stderr);
        }
    }
}
