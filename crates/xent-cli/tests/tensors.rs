//! Logits as arrays and tensors, scored in place, and labels in a file of their own: one result,
//! whatever the type of file, the order in memory, the alignment, the threads and the batches.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fmt::Write;

use common::tables::{
    Random, batch, f64s, gz, i64s, lists, npy, npz, parquet, safetensors, safetensors_of, texts,
};
use common::{Dir, run_with, words};
use half::{bf16, f16};
use serde_json::Value;

const ROWS: usize = 3_001;
const CLASSES: usize = 7;
const FLOATS: [&str; 4] = ["f64", "f32", "f16", "bf16"];

/// Logits and labels, with some rows of infinite loss, ties, and certain rows.
struct Data {
    logits: Vec<f64>,
    labels: Vec<i64>,
}

/// `x` as a number of the type.
fn rounded(float: &str, x: f64) -> f64 {
    match float {
        "f32" => f64::from(x as f32),
        "f16" => f16::from_f64(x).to_f64(),
        "bf16" => bf16::from_f64(x).to_f64(),
        _ => x,
    }
}

fn bytes_of(float: &str, values: impl Iterator<Item = f64>, big_endian: bool) -> Vec<u8> {
    let element = |x: f64| {
        let mut bytes = match float {
            "f32" => (x as f32).to_le_bytes().to_vec(),
            "f16" => f16::from_f64(x).to_le_bytes().to_vec(),
            "bf16" => bf16::from_f64(x).to_le_bytes().to_vec(),
            _ => x.to_le_bytes().to_vec(),
        };
        if big_endian {
            bytes.reverse();
        }
        bytes
    };
    values.flat_map(element).collect()
}

impl Data {
    fn new(float: &str) -> Data {
        let mut random = Random(3);
        let mut logits = Vec::new();
        let mut labels = Vec::new();
        for row in 0..ROWS {
            let y = random.below(CLASSES);
            for c in 0..CLASSES {
                let x = 6.0 * random.uniform() - 3.0 + if c == y { 2.0 } else { 0.0 };
                logits.push(rounded(float, x));
            }
            let of_row = &mut logits[row * CLASSES..];
            match row % 500 {
                1 => of_row[y] = f64::NEG_INFINITY,
                2 => of_row[y] = f64::INFINITY,
                3 => of_row.fill(1.5),
                4 => of_row[y] = 60.0,
                _ => {}
            }
            labels.push(y as i64);
        }
        Data { logits, labels }
    }

    fn rows(&self) -> impl Iterator<Item = f64> {
        self.logits.iter().copied()
    }

    fn columns(&self) -> impl Iterator<Item = f64> {
        (0..CLASSES * ROWS).map(|i| self.logits[i % ROWS * CLASSES + i / ROWS])
    }

    fn labels(&self) -> Vec<u8> {
        self.labels.iter().flat_map(|y| y.to_le_bytes()).collect()
    }

    fn csv(&self) -> String {
        let mut text = String::from("logit_0");
        (1..CLASSES).for_each(|c| write!(text, ",logit_{c}").unwrap());
        text += ",label\n";
        for (row, y) in self.logits.chunks(CLASSES).zip(&self.labels) {
            row.iter().for_each(|x| write!(text, "{x},").unwrap());
            writeln!(text, "{y}").unwrap();
        }
        text
    }

    fn npy(&self, float: &str, fortran: bool, big_endian: bool) -> Vec<u8> {
        let descr = format!("{}{}", if big_endian { '>' } else { '<' }, float.replace("64", "8"));
        let descr = descr.replace("32", "4").replace("16", "2");
        let shape = format!("({ROWS}, {CLASSES})");
        let data = if fortran {
            bytes_of(float, self.columns(), big_endian)
        } else {
            bytes_of(float, self.rows(), big_endian)
        };
        npy(&descr, fortran, &shape, &data)
    }

    fn labels_npy(&self) -> Vec<u8> {
        npy("<i8", false, &format!("({ROWS},)"), &self.labels())
    }

    /// Tensors, the data `shift` bytes behind a multiple of 8.
    fn safetensors(&self, float: &str, shift: usize) -> Vec<u8> {
        let data = bytes_of(float, self.rows(), false);
        let dtype = float.to_uppercase();
        let bytes = safetensors(&[
            ("logits", &dtype, &[ROWS, CLASSES], data),
            ("labels", "I64", &[ROWS], self.labels()),
        ]);
        let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
        let mut header = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap();
        header.extend(std::iter::repeat_n(' ', shift));
        safetensors_of(&header, &bytes[8 + length..])
    }
}

/// The results without what names files and columns.
fn scores(mut json: Value) -> Value {
    let models = json["models"].as_array_mut().unwrap();
    for model in models {
        for key in ["name", "source", "columns"] {
            model.as_object_mut().unwrap().remove(key);
        }
    }
    json
}

fn score(dir: &Dir, args: &str) -> Value {
    scores(dir.xent(&format!("score --format json {args}")).json())
}

#[test]
fn every_file_of_the_same_numbers_gives_the_same_results() {
    for float in FLOATS {
        let data = Data::new(float);
        let dir = Dir::new();
        dir.write("p.csv", data.csv());
        let text = score(&dir, "p.csv --input logits --top-k 2 --confusion");
        assert_eq!(text["models"][0]["infinite"]["count"], 6, "the data have such rows");
        // In few bits there are more by chance.
        assert!(text["models"][0]["ties"].as_u64() >= Some(6));

        dir.write("labels.npy", data.labels_npy());
        let line = |text: String, y: &i64| text + &y.to_string() + "\n";
        let lines = data.labels.iter().fold(String::new(), line);
        dir.write("labels.csv", format!("y\n{lines}"));
        dir.write("labels.csv.gz", gz(format!("some\n{lines}")));
        let object = |text: String, y: &i64| text + "{\"y\": " + &y.to_string() + "}\n";
        let objects = data.labels.iter().fold(String::new(), object);
        dir.write("labels.jsonl", objects);
        dir.write("labels.parquet", parquet(&batch(vec![i64s("l", data.labels.clone())])));
        for shift in [0, 1, 2, 4] {
            dir.write(&format!("t{shift}.safetensors"), data.safetensors(float, shift));
        }
        let mut runs: Vec<String> =
            [0, 1, 2, 4].iter().map(|s| format!("t{s}.safetensors")).collect();
        if float != "bf16" {
            for (name, fortran, big) in [
                ("c.npy", false, false),
                ("f.npy", true, false),
                ("cb.npy", false, true),
                ("fb.npy", true, true),
            ] {
                dir.write(name, data.npy(float, fortran, big));
                runs.push(format!("{name} --labels labels.npy"));
            }
            for labels in ["labels.csv", "labels.csv.gz", "labels.jsonl", "labels.parquet"] {
                runs.push(format!("c.npy --labels {labels}"));
            }
            for (name, fortran, deflated) in [
                ("c.npz", false, false),
                ("f.npz", true, false),
                ("cz.npz", false, true),
                ("fz.npz", true, true),
            ] {
                let arrays =
                    [("logits", data.npy(float, fortran, false)), ("labels", data.labels_npy())];
                dir.write(name, npz(&arrays, deflated));
                runs.push(name.to_owned());
            }
        }
        let wanted = score(&dir, &format!("{} --input logits --top-k 2 --confusion", runs[0]));
        assert!(wanted == text, "{float}: {wanted:#}\n{text:#}");
        for run in &runs {
            for how in ["--threads 1", "--threads 2 --batch-rows 97", "--threads 3"] {
                let args = format!("{run} --input logits --top-k 2 --confusion {how}");
                assert!(score(&dir, &args) == wanted, "{float}: {args}");
            }
        }
    }
}

/// Numbers that are exact in every type.
fn small() -> (Vec<f64>, Vec<i64>) {
    let logits = vec![0.5, 1.5, -2.0, 4.0, 0.25, 0.0, -1.0, -1.0, 3.0, 0.0, 0.5, 1.0];
    (logits, vec![1, 0, 2, 2])
}

fn tensor_file(float: &str, values: &[f64], labels: &[i64]) -> Vec<u8> {
    let width = values.len() / labels.len();
    safetensors(&[
        (
            "logits",
            &float.to_uppercase(),
            &[labels.len(), width],
            bytes_of(float, values.iter().copied(), false),
        ),
        ("labels", "I64", &[labels.len()], labels.iter().flat_map(|y| y.to_le_bytes()).collect()),
    ])
}

#[test]
fn a_type_of_fewer_bits_changes_nothing_that_it_can_hold() {
    let (logits, labels) = small();
    let dir = Dir::new();
    for float in FLOATS {
        dir.write(&format!("{float}.safetensors"), tensor_file(float, &logits, &labels));
    }
    let wanted = score(&dir, "f64.safetensors --input logits");
    for float in ["f32", "f16", "bf16"] {
        let got = score(&dir, &format!("{float}.safetensors --input logits"));
        assert!(got == wanted, "{float}: {got:#}\n{wanted:#}");
    }
    // All kinds of input are read, not only logits in place.
    let p = [0.5, 0.25, 0.25, 0.125, 0.75, 0.125];
    let dir = Dir::new();
    dir.write("p.csv", "p_0,p_1,p_2,y\n.5,.25,.25,0\n.125,.75,.125,2\n");
    let wanted = score(&dir, "p.csv --clip 0.2");
    for float in FLOATS {
        dir.write("p.safetensors", tensor_file(float, &p, &[0, 2]));
        assert_eq!(score(&dir, "p.safetensors --clip 0.2"), wanted, "{float}");
    }
}

#[test]
fn what_changes_rows_first_is_the_same_as_without_tensors() {
    let data = Data::new("f32");
    let dir = Dir::new();
    dir.write("p.csv", data.csv()).write("t.safetensors", data.safetensors("f32", 0));
    for how in ["--clip 0.01", "--label-smoothing 0.1", "--classes 0,1,2,3,4,5,6"] {
        let text = score(&dir, &format!("p.csv --input logits {how}"));
        let tensor = score(&dir, &format!("t.safetensors --input logits {how}"));
        assert!(text == tensor, "{how}: {text:#}\n{tensor:#}");
    }
}

#[test]
fn missing_logits_are_dropped() {
    let (mut logits, labels) = small();
    logits[4] = f64::NAN;
    let dir = Dir::new();
    dir.write("t.safetensors", tensor_file("f32", &logits, &labels));
    logits.drain(3..6);
    dir.write("rest.safetensors", tensor_file("f32", &logits, &[1, 2, 2]));
    let json = dir.xent("score --format json t.safetensors --input logits --missing drop").json();
    let rest = dir.xent("score --format json rest.safetensors --input logits").json();
    assert_eq!(json["models"][0]["dropped"], 1);
    assert!(json["models"][0]["scores"] == rest["models"][0]["scores"], "{json:#}");
}

#[test]
fn a_file_beside_the_predictions_may_hold_more_than_labels() {
    let n = 20_011;
    let mut random = Random(5);
    let p: Vec<f64> = (0..n).map(|_| random.uniform()).collect();
    let label: Vec<&str> = p.iter().map(|p| if *p > 0.4 { "cat" } else { "dog" }).collect();
    let weight: Vec<i64> = (0..n).map(|_| random.below(4) as i64).collect();
    let region: Vec<&str> = (0..n).map(|_| ["north", "south", "西"][random.below(3)]).collect();
    let id: Vec<String> = (0..n).map(|i| format!("row {}", (i * 7919) % n)).collect();

    let dir = Dir::new();
    let (mut whole, mut left, mut right) = (
        "p_cat,p_dog,y,w,region,id\n".to_owned(),
        "p_cat,p_dog\n".to_owned(),
        "id,y,region,w\n".to_owned(),
    );
    for i in 0..n {
        let (y, w, r, id, q) = (label[i], weight[i], region[i], &id[i], 1.0 - p[i]);
        writeln!(whole, "{},{q},{y},{w},{r},{id}", p[i]).unwrap();
        writeln!(left, "{},{q}", p[i]).unwrap();
        writeln!(right, "{id},{y},{r},{w}").unwrap();
    }
    let both = || vec![f64s("p_cat", p.clone()), f64s("p_dog", p.iter().map(|p| 1.0 - p))];
    dir.write("whole.csv", &whole).write("left.csv", &left).write("right.csv", &right);
    dir.write("left.parquet", parquet(&batch(both())));
    dir.write(
        "right.parquet",
        parquet(&batch(vec![
            texts("region", &region),
            i64s("w", weight.clone()),
            texts("y", &label),
            texts("id", &id),
        ])),
    );
    let half = left.lines().take(10_000).fold(String::new(), |text, line| text + line + "\n");
    let rest = left.lines().skip(10_000).fold(String::new(), |text, line| text + line + "\n");
    dir.write("parts/a.csv", half).write("parts/b.csv", format!("p_cat,p_dog\n{rest}"));

    let how = "--weight w --by region --per-class --per-row";
    let wanted = score(&dir, &format!("whole.csv {how} whole-rows.csv --id id"));
    let rows = dir.read("whole-rows.csv");
    for predictions in ["left.csv", "left.parquet", "parts"] {
        for labels in ["right.csv", "right.parquet"] {
            for more in ["", "--batch-rows 1000", "--threads 1", "--threads 3"] {
                let args = format!("{predictions} --labels {labels} {how} rows.csv --id id {more}");
                assert!(score(&dir, &args) == wanted, "{args}");
                assert!(dir.read("rows.csv") == rows, "{args}");
            }
        }
    }
}

#[test]
fn models_are_compared_on_labels_in_one_file() {
    let (a, b) = (Data::new("f32"), Data::new("f32"));
    let other: Vec<f64> = b.logits.iter().map(|x| x * 0.5).collect();
    let b = Data { logits: other, ..b };
    let dir = Dir::new();
    dir.write("a.npy", a.npy("f32", false, false)).write("b.npy", b.npy("f32", true, false));
    dir.write("y.npy", a.labels_npy());
    dir.write("a.csv", a.csv()).write("b.csv", b.csv());
    let compare = |args: &str| {
        let json = dir.xent(&format!("compare --format json --input logits {args}")).json();
        scores(json)
    };
    let (text, arrays) = (compare("a.csv b.csv"), compare("a.npy b.npy --labels y.npy"));
    assert!(text["models"] == arrays["models"], "{text:#}\n{arrays:#}");
    for threads in 1..4 {
        let again = compare(&format!("a.npy b.npy --labels y.npy --threads {threads}"));
        assert_eq!(again, arrays, "{threads} threads");
    }
}

#[test]
fn soft_targets_may_lie_beside_the_predictions() {
    let dir = Dir::new();
    dir.write("whole.csv", "p_a,p_b,t_a,t_b\n.5,.5,.25,.75\n.75,.25,1,0\n");
    dir.write("p.csv", "p_a,p_b\n.5,.5\n.75,.25\n").write("t.csv", "t_a,t_b\n.25,.75\n1,0\n");
    let wanted = score(&dir, "whole.csv --targets t_*");
    assert_eq!(score(&dir, "p.csv --labels t.csv --targets t_*"), wanted);
}

#[test]
fn pipes_are_read_too() {
    let data = Data::new("f32");
    let dir = Dir::new();
    let (array, tensors) = (data.npy("f32", false, false), data.safetensors("f32", 2));
    dir.write("p.npy", &array).write("y.npy", data.labels_npy());
    let wanted = score(&dir, "p.npy --input logits --labels y.npy");
    let piped = |args: &str, bytes: &[u8]| {
        let args = words(&format!("score --format json --input logits {args}"));
        scores(run_with(&mut dir.command(&args), bytes).json())
    };
    assert_eq!(piped("- --labels y.npy", &array), wanted);
    assert_eq!(piped("- --input-format npy --labels y.npy", &array), wanted);
    assert_eq!(piped("-", &tensors), wanted);
    assert_eq!(piped("p.npy --labels -", &data.labels_npy()), wanted);
}

#[test]
fn names_tell_what_is_what() {
    let (logits, labels) = small();
    let dir = Dir::new();
    dir.write("m.safetensors", tensor_file("f32", &logits, &labels));
    dir.write("no-name", tensor_file("f32", &logits, &labels));
    for file in ["m.safetensors", "no-name"] {
        let ran = dir.xent(&format!("score --input logits {file}"));
        let line = "label: labels     predictions: logits     input: logits";
        assert!(ran.stdout.contains(line), "{}", ran.stdout);
    }
    let data = bytes_of("f64", logits.iter().copied(), false);
    dir.write("p.npy", npy("<f8", false, "(4, 3)", &data)).write("y.csv", "z\n1\n0\n2\n2\n");
    let ran = dir.xent("score --input logits p.npy --labels y.csv");
    let line = "label: z of y.csv     predictions: values     input: logits";
    assert!(ran.stdout.contains(line), "{}{}", ran.stdout, ran.stderr);
    let json = dir.xent("score --input logits p.npy --labels y.csv --format json").json();
    assert_eq!(json["models"][0]["columns"]["label_file"], "y.csv");
    let json = dir.xent("score --input logits m.safetensors --format json").json();
    assert_eq!(json["models"][0]["columns"]["label_file"], Value::Null);
    // The only column of a file is the label, whatever the predictions hold; classes are named.
    let ran = dir.xent("score --input logits p.npy --labels y.csv --classes 2,1,0 --confusion");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn lists_in_parquet_and_tensors_agree() {
    let (logits, labels) = small();
    let rows: Vec<&[f64]> = logits.chunks(3).collect();
    let dir = Dir::new();
    let list = lists::<arrow_array::types::Float64Type>("logits", &rows);
    dir.write("p.parquet", parquet(&batch(vec![list, i64s("labels", labels.clone())])));
    dir.write("t.safetensors", tensor_file("f64", &logits, &labels));
    let (a, b) =
        (score(&dir, "p.parquet --input logits"), score(&dir, "t.safetensors --input logits"));
    assert!(a == b, "{a:#}\n{b:#}");
}
