//! `train` and `predict` on sparse rows, on arrays where they lie, and on more rows than memory holds.

#![allow(clippy::unwrap_used, clippy::format_collect, reason = "tests")]

mod common;

use common::tables::{Random, gz, le_f64, npy, npz, safetensors};
use common::{Dir, Ran};

fn ok(ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

const ROWS: usize = 400;

/// Rows of 9 features, two thirds of them 0: whole halves, so that every format holds them exactly.
fn matrix() -> (Vec<f64>, Vec<i64>) {
    let mut random = Random(5);
    let mut labels = Vec::new();
    let mut x = Vec::new();
    for _ in 0..ROWS {
        let row: Vec<f64> = (0..9)
            .map(|_| if random.below(3) == 0 { 1.0 + random.below(5) as f64 * 0.5 } else { 0.0 })
            .collect();
        let score = row[0] + row[1] - row[2] + 3.0 * (random.uniform() - 0.5);
        labels.push(if score > 1.0 { 2 } else { i64::from(score > 0.0) });
        x.extend(row);
    }
    (x, labels)
}

/// The same as an svmlight file whose features are numbered 1, 3, 5, ...
fn svmlight() -> String {
    let (x, labels) = matrix();
    let row = |(row, label): (&[f64], &i64)| {
        let pairs = row.iter().enumerate().filter(|(_, x)| **x != 0.0);
        let pairs: String = pairs.map(|(j, x)| format!(" {}:{x}", 2 * j + 1)).collect();
        format!("{label}{pairs}\n")
    };
    x.chunks(9).zip(&labels).map(row).collect()
}

fn csv() -> String {
    let (x, labels) = matrix();
    let names: String = (0..9).map(|j| format!("c{j},")).collect();
    let row = |(row, label): (&[f64], &i64)| {
        row.iter().map(|x| format!("{x},")).collect::<String>() + &format!("{label}\n")
    };
    format!("{names}y\n") + &x.chunks(9).zip(&labels).map(row).collect::<String>()
}

fn close(a: f64, b: f64, bound: f64) -> bool {
    (a - b).abs() <= bound * b.abs()
}

/// The optimum of sparse rows is that of the same rows as a table.
#[test]
fn sparse_rows_have_the_optimum_of_the_table() {
    let dir = Dir::new();
    dir.write("t.csv", csv()).write("t.svm", svmlight()).write("t.svm.gz", gz(svmlight()));
    dir.write("same.txt", svmlight());
    for options in ["--l2 0.01", "", "--l1 0.01 --solver cd", "--head sigmoid --l2 0.01"] {
        let options = format!("{options} --tolerance 1e-20 --format json");
        let table = dir.xent(&format!("train t.csv --target y {options}")).json();
        let sparse = dir.xent(&format!("train t.svm {options}")).json();
        for key in ["rows", "classes", "reference_class", "l2"] {
            assert_eq!(table[key], sparse[key], "{key}");
        }
        for key in ["objective", "log_loss", "log_likelihood"] {
            let (a, b) = (sparse[key].as_f64().unwrap(), table[key].as_f64().unwrap());
            assert!(close(a, b, 1e-12), "{options} {key}: {a} {b}");
        }
        let coefficients = |json: &serde_json::Value, i: usize| {
            let item = &json["coefficients"][i];
            (item["feature"].as_str().unwrap().to_owned(), item["estimate"].as_f64().unwrap())
        };
        for i in 0..table["coefficients"].as_array().unwrap().len() {
            let ((name, a), (column, b)) = (coefficients(&sparse, i), coefficients(&table, i));
            assert!((a - b).abs() <= 1e-7 * (1.0 + b.abs()), "{options} {name}: {a} {b}");
            if i % 10 > 0 {
                assert_eq!(name, format!("{}", 2 * (i % 10 - 1) + 1));
                assert_eq!(column, format!("c{}", i % 10 - 1));
            }
        }
        assert_eq!(sparse["features"], serde_json::json!(["index"]));
        for same in ["t.svm.gz", "same.txt --input-format svmlight", "t.svm --threads 3"] {
            let json = dir.xent(&format!("train {same} {options}")).json();
            assert_eq!(json["coefficients"], sparse["coefficients"], "{same}");
        }
    }
}

#[test]
fn predictions_of_sparse_rows_are_those_of_the_fit() {
    let dir = Dir::new();
    dir.write("t.svm", svmlight());
    let trained = dir.xent("train t.svm --C 1 -o m.json --format json").json();
    for out in ["p.csv", "p.parquet"] {
        ok(&dir.xent(&format!("predict m.json t.svm -o {out}")));
        let scored = dir.xent(&format!("score {out} --format json")).json();
        let log_loss = common::number(&scored, "models/0/scores/log_loss/value");
        assert!(close(log_loss, trained["log_loss"].as_f64().unwrap(), 1e-12), "{log_loss}");
    }
    let shown = dir.xent("show m.json --format csv").stdout;
    assert!(shown.contains(",17,"), "{shown}");
    // Index 4 was not there in training; without it the row is the same.
    dir.write("new.svm", "1 1:2 4:1 5:1\n1 1:2 5:1\n");
    let ran = dir.xent("predict m.json new.svm -o q.csv --unseen reference");
    ok(&ran);
    assert_eq!(
        ran.stderr,
        "note: 1 row has an index that training did not see; it counts for nothing\n"
    );
    let text = dir.read("q.csv");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[1], lines[2]);
}

#[test]
fn sparse_rows_can_be_tested_too() {
    let dir = Dir::new();
    let with_queries: String = svmlight()
        .lines()
        .enumerate()
        .map(|(i, line)| {
            let (label, pairs) = line.split_once(' ').unwrap_or((line, ""));
            format!("{label} qid:{} {pairs}\n", i / 4)
        })
        .collect();
    dir.write("t.svm", with_queries);
    let ran = dir.xent("train t.svm --C 1 --folds 4 --group qid --oof o.csv");
    ok(&ran);
    let text = dir.read("o.csv");
    let folds: Vec<&str> = text.lines().skip(1).map(|l| l.split(',').nth(1).unwrap()).collect();
    assert_eq!(folds.len(), ROWS);
    assert!(folds.chunks(4).all(|query| query.iter().all(|fold| *fold == query[0])));
    assert!(ran.stdout.contains("features: 9 indices, from 1 to 17"), "{}", ran.stdout);
}

/// Wherever a matrix of one type and order lies, the model is the same to the bit; in another, sums over its rows may
/// be rounded otherwise.
#[test]
fn arrays_are_trained_wherever_they_lie() {
    let dir = Dir::new();
    let (x, labels) = matrix();
    let shape = format!("({ROWS}, 9)");
    let by_column: Vec<f64> =
        (0..9).flat_map(|j| (0..ROWS).map(move |i| (i, j))).map(|(i, j)| x[i * 9 + j]).collect();
    let f32s = |x: &[f64]| x.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect::<Vec<u8>>();
    let whole = |x: &[f64]| x.iter().map(|&x| (2.0 * x) as u8).collect::<Vec<u8>>();
    let big: Vec<u8> = x.iter().flat_map(|x| x.to_be_bytes()).collect();
    let rows = npy("<f8", false, &shape, &le_f64(&x));
    dir.write("y.npy", npy("<i8", false, &format!("({ROWS},)"), &common::tables::le_i64(&labels)));
    let text: String = labels.iter().map(|y| format!("{y}\n")).collect();
    dir.write("y.csv", format!("label\n{text}"));
    dir.write("rows.npy", &rows);
    dir.write("turned.npy", npy("<f8", true, &shape, &le_f64(&by_column)));
    dir.write("f32.npy", npy("<f4", false, &shape, &f32s(&x)));
    dir.write("f32turned.npy", npy("<f4", true, &shape, &f32s(&by_column)));
    dir.write("big.npy", npy(">f8", false, &shape, &big));
    let model = |args: &str| {
        ok(&dir.xent(&format!("train {args} --C 1 --folds 3 --oof o.csv -o m.json")));
        let mut json: serde_json::Value = serde_json::from_str(&dir.read("m.json")).unwrap();
        // What names the file, and the checksum of that.
        let map = json.as_object_mut().unwrap();
        map.remove("checksum");
        map["training"].as_object_mut().unwrap().remove("source");
        (json.to_string(), dir.read("o.csv"))
    };
    let objective = |model: &(String, String)| {
        let json: serde_json::Value = serde_json::from_str(&model.0).unwrap();
        common::number(&json, "training/objective")
    };
    let first = model("rows.npy --labels y.npy");
    let same = |one: &str, others: &[&str]| {
        let one = model(one);
        assert!(close(objective(&one), objective(&first), 1e-14));
        others.iter().for_each(|args| assert!(model(args) == one, "{args}"));
    };
    same(
        "rows.npy --labels y.csv --threads 3 --batch-rows 7",
        &["rows.npy --labels y.npy --out-of-core"],
    );
    // What is read rather than mapped is held in the narrowest type.
    same(
        "f32.npy --labels y.npy",
        &[
            "f32.npy --labels y.csv --threads 3 --batch-rows 7",
            "big.npy --labels y.npy",
            "big.npy --labels y.csv --out-of-core --batch-rows 11",
        ],
    );
    same("turned.npy --labels y.npy", &["turned.npy --labels y.csv --out-of-core --threads 1"]);
    same("f32turned.npy --labels y.npy", &["f32turned.npy --labels y.csv --threads 3"]);
    // Whole numbers, an archive, a file of tensors: the features have their name.
    dir.write("u8.npy", npy("|u1", false, &shape, &whole(&x)));
    dir.write("u8turned.npy", npy("|u1", true, &shape, &whole(&by_column)));
    let (rows_of, columns_of) =
        (model("u8.npy --labels y.npy"), model("u8turned.npy --labels y.npy"));
    assert!(close(objective(&rows_of), objective(&columns_of), 1e-14));
    assert!(close(objective(&rows_of), objective(&first), 1e-12), "the unit does not matter");
    let y = npy(
        "<i4",
        false,
        &format!("({ROWS},)"),
        &labels.iter().flat_map(|&y| (y as i32).to_le_bytes()).collect::<Vec<u8>>(),
    );
    for deflated in [false, true] {
        dir.write(
            &format!("{deflated}.npz"),
            npz(&[("x", rows.clone()), ("y", y.clone())], deflated),
        );
    }
    dir.write("t.safetensors", safetensors(&[("x", "F64", &[ROWS, 9], le_f64(&x))]));
    for args in ["true.npz --target y", "false.npz --target y", "t.safetensors --labels y.npy"] {
        let named = model(args);
        assert!(close(objective(&named), objective(&first), 1e-14), "{args}");
        assert!(named.0.contains("\"column\":\"x\""), "{args}");
    }
}

/// A matrix with a missing number is read as any table is.
#[test]
fn missing_numbers_in_arrays_are_missing() {
    let dir = Dir::new();
    let (mut x, labels) = matrix();
    x[9 * 7 + 2] = f64::NAN;
    dir.write("x.npy", npy("<f8", false, &format!("({ROWS}, 9)"), &le_f64(&x)));
    dir.write("y.npy", npy("<i8", false, &format!("({ROWS},)"), &common::tables::le_i64(&labels)));
    let ran = dir.xent("train x.npy --labels y.npy --C 1");
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("values are missing, of 400 rows in columns: values 1"),
        "{}",
        ran.stderr
    );
    let json = dir.xent("train x.npy --labels y.npy --C 1 --missing drop --format json").json();
    assert_eq!((&json["rows"], &json["dropped"]), (&399.into(), &1.into()));
    x[9 * 7 + 2] = f64::INFINITY;
    dir.write("x.npy", npy("<f8", false, &format!("({ROWS}, 9)"), &le_f64(&x)));
    let ran = dir.xent("train x.npy --labels y.npy --C 1");
    assert!(
        ran.stderr.contains("x.npy: row 8: column values[2] is inf, not a finite number"),
        "{}",
        ran.stderr
    );
    // A label that is missing leaves out its row of the matrix, too.
    let (x, _) = matrix();
    dir.write("x.npy", npy("<f8", false, &format!("({ROWS}, 9)"), &le_f64(&x)));
    let text: String = labels
        .iter()
        .enumerate()
        .map(|(i, y)| if i == 3 { "\"\"\n".to_owned() } else { format!("{y}\n") })
        .collect();
    dir.write("y.csv", format!("label\n{text}"));
    let json = dir.xent("train x.npy --labels y.csv --C 1 --missing drop --format json").json();
    assert_eq!((&json["rows"], &json["dropped"]), (&399.into(), &1.into()));
}

/// Columns of a matrix cannot be dropped one by one, so constant ones keep a coefficient of 0.
#[test]
fn constant_columns_of_a_matrix_are_said() {
    let dir = Dir::new();
    let (mut x, labels) = matrix();
    for row in x.chunks_mut(9) {
        (row[3], row[8]) = (0.0, 2.5);
    }
    dir.write("x.npy", npy("<f8", false, &format!("({ROWS}, 9)"), &le_f64(&x)));
    dir.write("y.npy", npy("<i8", false, &format!("({ROWS},)"), &common::tables::le_i64(&labels)));
    for options in ["--C 1", "", "--l1 0.01", "--solver newton"] {
        let ran = dir.xent(&format!("train x.npy --labels y.npy {options} -o m.json"));
        ok(&ran);
        let note =
            "note: values: 2 of 9 numbers are the same in every row: their coefficients are 0";
        assert!(ran.stdout.contains(note), "{}", ran.stdout);
        let json = dir.xent("show m.json --format json").json();
        for item in json["coefficients"].as_array().unwrap() {
            let is_constant =
                ["values[3]", "values[8]"].contains(&item["feature"].as_str().unwrap());
            assert!(!is_constant || item["estimate"] == 0.0, "{options}: {item}");
        }
    }
}

/// Every kind of column, missing values, weights, offsets, folds: the same bits out of core.
#[test]
fn out_of_core_is_the_same_to_the_bit() {
    let dir = Dir::new();
    let mut random = Random(7);
    let mut text = "id,small,large,real,flag,job,w,o,y,t_a,t_b\n".to_owned();
    for i in 0..3000 {
        let real = if i % 50 == 7 { String::new() } else { (random.uniform() * 3.0).to_string() };
        // Whole numbers at first, then not.
        let large =
            if i < 2000 { (random.below(90_000) as f64) / 1.0 } else { random.uniform() * 9e4 };
        let job = ["clerk", "cook", "", "smith"][random.below(4)];
        let t = random.below(5) as f64 / 4.0;
        text += &format!(
            "{i},{},{large},{real},{},{job},{},{},{},{},{t}\n",
            random.below(200),
            random.below(2) == 0,
            1 + i % 3,
            random.uniform(),
            ["no", "yes"][usize::from(random.uniform() + large / 9e4 > 1.0)],
            1.0 - t,
        );
    }
    dir.write("t.csv", text);
    let hard = "--target y --drop t_a,t_b --offset o --weight w --missing indicator --l2 0.01 --folds 3 --oof o.csv --id id";
    let soft = "--targets t_* --drop y,id --missing drop --l2 0.01 --holdout 0.3 --oof o.csv";
    for options in [hard, soft] {
        let model = |more: &str| {
            ok(&dir.xent(&format!("train t.csv {options} -o m.json {more}")));
            [dir.read("m.json"), dir.read("o.csv")]
        };
        let first = model("");
        for more in ["", "--threads 1 --batch-rows 100", "--threads 5 --batch-rows 1001"] {
            assert!(model(&format!("--out-of-core {more}")) == first, "{more}");
        }
    }
}

/// Out of core the memory of the process stays small, whatever the rows: 96 MB of numbers under a limit of 80 MB.
#[cfg(target_os = "linux")]
#[test]
fn out_of_core_fits_into_little_memory() {
    let dir = Dir::new();
    let (n, width) = (500_000, 24);
    let mut random = Random(3);
    // Not as this machine orders bytes, so that the numbers cannot stay where they are.
    let mut bytes = Vec::with_capacity(8 * n * width);
    let mut labels = Vec::with_capacity(n);
    for _ in 0..n {
        let first = random.uniform();
        bytes.extend(first.to_be_bytes());
        (1..width).for_each(|_| bytes.extend(random.uniform().to_be_bytes()));
        labels.push(u8::from(first + random.uniform() > 1.0));
    }
    dir.write("x.npy", npy(">f8", false, &format!("({n}, {width})"), &bytes));
    dir.write("y.npy", npy("|u1", false, &format!("({n},)"), &labels));
    drop(bytes);
    let train = |more: &str| {
        // Private memory that can be written, in KiB; files that are mapped do not count.
        let script = format!(
            "ulimit -d 80000; exec {} train x.npy --labels y.npy --C 1 --threads 2 -o m.json {more}",
            env!("CARGO_BIN_EXE_xent")
        );
        common::run(std::process::Command::new("sh").args(["-c", &script]).current_dir(dir.path()))
    };
    ok(&train("--out-of-core"));
    assert_ne!(train("").code, Some(0), "the limit is one");
}

/// A disk that fills while rows are put aside, or results are written.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_wherever_it_fills() {
    let dir = Dir::new();
    dir.write("t.csv", csv());
    // A limit on the size of files, in blocks of 512 bytes; the signal is ignored, so that writing fails.
    let train = |blocks: usize, options: &str| {
        let script = format!(
            "trap '' XFSZ; ulimit -f {blocks}; exec {} train t.csv --target y --C 1 {options}",
            env!("CARGO_BIN_EXE_xent")
        );
        common::run(std::process::Command::new("sh").args(["-c", &script]).current_dir(dir.path()))
    };
    let before = dir.listing();
    for (options, what) in [
        ("-o m.json", "m.json: cannot write"),
        ("--folds 3 --oof o.csv", "o.csv: cannot write"),
        ("--solver gd --max-iterations 90 --history h.csv", "h.csv: cannot write"),
        ("--plot c.svg", "c.svg: cannot write"),
        ("--checkpoint c.json", "c.json: cannot write"),
        ("--out-of-core", "cannot write a temporary file"),
    ] {
        let ran = train(2, options);
        assert_eq!(ran.code, Some(2), "{options}: {}", ran.stderr);
        assert!(ran.stderr.contains(what), "{options}: {}", ran.stderr);
        assert!(ran.stderr.contains("hint: "), "{options}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{options}: {}", ran.stdout);
        assert_eq!(dir.listing(), before, "{options}");
        let full = options.split(' ').next_back().unwrap();
        if full.contains('.') && full != "c.svg" && full != "h.csv" && full != "o.csv" {
            let ran = dir.xent(&format!(
                "train t.csv --target y --C 1 {}",
                options.replace(full, "/dev/full")
            ));
            assert_eq!(ran.code, Some(2), "{options}");
            assert!(
                ran.stderr.contains("/dev/full: cannot write: no space left on the device"),
                "{}",
                ran.stderr
            );
        }
    }
}

#[test]
fn a_place_for_temporary_files_that_is_none_is_named() {
    let dir = Dir::new();
    dir.write("t.csv", csv());
    let args = common::words("train t.csv --target y --C 1 --out-of-core");
    let ran = common::run(dir.command(args).env("TMPDIR", "/nowhere/at/all"));
    assert_eq!(ran.code, Some(2));
    let said = "error: /nowhere/at/all: cannot write a temporary file: no such file\nhint: name a directory on a disk with enough room: TMPDIR=/path xent ...\n";
    assert_eq!(ran.stderr, said);
}

/// One sigmoid a class: normalised for scoring, and raw.
#[test]
fn sigmoids_come_normalised_and_raw() {
    let dir = Dir::new();
    dir.write("t.csv", csv()).write("t.svm", svmlight());
    for (data, target) in [("t.csv", "--target y"), ("t.svm", "")] {
        ok(&dir.xent(&format!("train {data} {target} --head sigmoid --C 1 -o m.json")));
        ok(&dir.xent(&format!("predict m.json {data} -o p.csv --raw")));
        let text = dir.read("p.csv");
        assert!(text.starts_with("label,p_0,p_1,p_2,raw_0,raw_1,raw_2\n"), "{text}");
        let mut sums = [0.0; 3];
        for line in text.lines().skip(1) {
            let x: Vec<f64> = line.split(',').skip(1).map(|x| x.parse().unwrap()).collect();
            let sum: f64 = x[3..].iter().sum();
            (0..3).for_each(|k| assert!(close(x[k] * sum, x[3 + k], 1e-12), "{line}"));
            (0..3).for_each(|k| sums[k] += x[3 + k]);
        }
        // Each sigmoid by itself is a logistic regression: on average it is the frequency of its class.
        let (_, labels) = matrix();
        for (k, sum) in sums.iter().enumerate() {
            let count = labels.iter().filter(|label| **label == k as i64).count();
            assert!(close(*sum, count as f64, 1e-8), "{sum} {count}");
        }
        ok(&dir.xent("score p.csv"));
        ok(&dir.xent(&format!("train {data} {target} --C 1 -o m.json")));
        let ran = dir.xent(&format!("predict m.json {data} -o q.csv --raw"));
        assert_eq!(ran.code, Some(2));
        assert!(
            ran.stderr.starts_with("error: --raw is for models with a sigmoid for each"),
            "{}",
            ran.stderr
        );
        assert!(!dir.path().join("q.csv").exists());
    }
}

/// Sparse rows in a mapped file are the same rows.
#[test]
fn sparse_rows_out_of_core_give_the_same_model() {
    let dir = Dir::new();
    let mut random = Random(5);
    // Ones only, 32-bit numbers, 64-bit numbers from a row on; labels that are words; queries.
    for (kind, is_word) in [("ones", true), ("f32", false), ("f64", false)] {
        let mut text = String::new();
        for i in 0..20_000 {
            let y = usize::from(random.uniform() + f64::from(u8::from(i % 3 == 0)) > 0.8);
            let label = if is_word { ["no", "yes"][y] } else { ["-1", "+1"][y] };
            text += &format!("{label} qid:{}", i / 7);
            let mut index = 3 - i % 3;
            for _ in 0..4 {
                let value = match kind {
                    "ones" => "1".to_owned(),
                    "f64" if i > 19_000 => (random.uniform() / 3.0).to_string(),
                    _ => format!("{}.25", random.below(9)),
                };
                text += &format!(" {index}:{value}");
                index += 7 + random.below(40);
            }
            text += "\n";
        }
        dir.write("t.svm", text);
        for args in ["--C 1", "--C 1 --folds 3 --group qid --threads 2", "--l1 0.001"] {
            let model = |more: &str| {
                ok(&dir.xent(&format!("train t.svm {args} {more} -o m.json")));
                dir.read("m.json")
            };
            assert!(model("") == model("--out-of-core"), "{kind} {args}");
        }
    }
    let ran = dir.xent("train t.svm --C 1 --out-of-core --checkpoint c.json --max-iterations 2");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ok(&dir.xent("train t.svm --C 1 --resume c.json -o m.json"));
}
