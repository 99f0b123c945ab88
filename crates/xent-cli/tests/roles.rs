//! What labels, targets and predictions mean: found as they are meant, or said on the screen, never guessed in silence.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fmt::Write as _;

use arrow_array::types::Float64Type;
use common::tables::{
    batch, bools, f64s, i64s, le_f64, le_i64, lists, npy, npz, parquet, safetensors,
};
use common::{Dir, Ran, number};

/// Rounding of a mean of a few logarithms, relative.
const ULPS_MEAN: f64 = 8.0 * f64::EPSILON;

/// Mean surprisal in bits of true classes with these probabilities.
fn bits(p: &[f64]) -> f64 {
    -p.iter().map(|p| p.log2()).sum::<f64>() / p.len() as f64
}

/// `xent score ARGS` gives `expected` bits.
#[track_caller]
fn gives(dir: &Dir, args: &str, expected: f64) -> serde_json::Value {
    let json = dir.xent(&format!("score --format json {args}")).json();
    let found = number(&json, "models/0/scores/cross_entropy/value");
    assert!((found - expected).abs() <= ULPS_MEAN * expected, "{args}: {found}, not {expected}");
    json
}

#[track_caller]
fn refused(ran: &Ran, error: &str, hint: &str) {
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
    assert_eq!(ran.stderr, format!("error: {error}\nhint: {hint}\n"));
}

const PROBABILITIES: &str = "p_a,p_b,y\n0.75,0.25,a\n0.5,0.5,b\n";

#[test]
fn columns_of_probabilities_are_not_found_as_logits() {
    let dir = Dir::new();
    dir.write("p.csv", PROBABILITIES).write("l.csv", "logit_a,logit_b,y\n2,1,a\n-1,0.5,b\n");
    let hint = "columns named p_… hold probabilities: leave out --input logits; if they hold logits, \
                add --proba 'p_*'";
    for args in ["score p.csv", "compare p.csv l.csv", "compare l.csv p.csv"] {
        let ran = dir.xent(&format!("{args} --input logits"));
        refused(&ran, "p.csv: no prediction columns found", hint);
    }
}

#[test]
fn logits_that_look_like_probabilities_are_told() {
    let dir = Dir::new();
    let mut many = "p,y\n".to_owned();
    for i in 0..30 {
        writeln!(many, "{},{}", f64::from(i) / 30.0, i % 2).unwrap();
    }
    dir.write("p.csv", PROBABILITIES)
        .write("q.csv", PROBABILITIES)
        .write("one.csv", &many)
        .write("few.csv", "p,y\n0.5,1\n0.25,0\n")
        .write("l.csv", "logit_a,logit_b,y\n0.75,0.25,a\n0.5,0.25,b\n");
    let line = |rows: u32| {
        format!(
            "warning: the first {rows} rows look like probabilities (from 0 to 1, sums of 1): if they are, leave out \
             --input logits\n"
        )
    };
    for (args, rows) in [("p.csv --proba p_*", 2), ("one.csv", 30)] {
        let ran = dir.xent(&format!("score {args} --input logits"));
        assert!(ran.stdout.contains(&line(rows)), "{}", ran.stdout);
        let json = dir.xent(&format!("score {args} --input logits --format json")).json();
        assert_eq!(json["models"][0]["looks_like"], "probabilities");
    }
    let compared = "compare p.csv q.csv --proba p_* --input logits";
    let ran = dir.xent(compared);
    for model in ["p", "q"] {
        assert!(ran.stdout.contains(&line(2).replace("the first", &format!("{model}: the first"))));
    }
    let json = dir.xent(&format!("{compared} --format json")).json();
    assert_eq!(json["models"][1]["looks_like"], "probabilities");
    for args in ["p.csv", "few.csv --input logits", "l.csv --input logits"] {
        let json = dir.xent(&format!("score {args} --format json")).json();
        assert!(json["models"][0]["looks_like"].is_null(), "{args}");
    }
}

/// Labels that say exactly which number is the largest look like those of logits, and numbers in [0, 1] are none.
#[test]
fn numbers_from_0_to_1_are_never_called_logits() {
    let dir = Dir::new();
    let lacking = "0.9,0.01,a\n0.02,0.8,b\n".repeat(50);
    let against = "0.99,0.3,a\n0.25,0.99,b\n".repeat(50);
    dir.write("lacking.csv", format!("p_a,p_b,y\n{lacking}"))
        .write("against.csv", format!("p_a,p_b,y\n{against}"));
    let to_do =
        "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given;";
    refused(
        &dir.xent("score lacking.csv"),
        "lacking.csv:2: the probabilities sum to 0.91, not 1",
        &format!("{to_do} is a class column missing?"),
    );
    refused(
        &dir.xent("score against.csv"),
        "against.csv:2: the probabilities sum to 1.29, not 1",
        &format!("{to_do} is each class predicted against the rest?"),
    );
    let ran = dir.xent("score against.csv --sums normalize");
    let line = "note: 100 rows were divided by a sum that is not 1, up to 0.29 away from it\n";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
}

#[test]
fn one_bad_row_among_good_ones_is_no_logit() {
    let dir = Dir::new();
    let good = "0.5,0.5,a\n0.25,0.75,b\n".repeat(10);
    dir.write("p.csv", format!("p_a,p_b,y\n{good}1.0168,0.1,a\n")).write("q.csv", PROBABILITIES);
    let error = "p.csv:22: column p_a is 1.0168, not a probability";
    let hint = "other rows hold probabilities, numbers from 0 to 1: mend this one, or leave it out";
    for args in ["score p.csv", "worst p.csv", "compare p.csv q.csv", "compare q.csv p.csv"] {
        refused(&dir.xent(args), error, hint);
    }
}

/// scikit-learn's `classes_` of booleans are False and True; Parquet's booleans read false and true.
#[test]
fn booleans_in_any_writing() {
    let dir = Dir::new();
    let expected = bits(&[0.8, 0.7]);
    for [no, yes] in [["False", "True"], ["false", "true"], ["FALSE", "TRUE"], ["0", "1"]] {
        for labels in [["True", "False"], ["true", "false"], ["TRUE", "FALSE"], ["1", "0"]] {
            for prefix in ["p_", ""] {
                let [first, second] = labels;
                let header = format!("{prefix}{no},{prefix}{yes},y");
                dir.write("p.csv", format!("{header}\n0.2,0.8,{first}\n0.7,0.3,{second}\n"));
                let json = gives(&dir, "p.csv", expected);
                assert_eq!(json["classes"], serde_json::json!([no, yes]));
            }
            let [first, second] = labels;
            dir.write("one.csv", format!("p_{yes},y\n0.8,{first}\n0.3,{second}\n"));
            let json = gives(&dir, "one.csv", expected);
            assert_eq!(json["classes"], serde_json::json!([no, yes]));
            dir.write("p.csv", format!("p,y\n0.8,{first}\n0.3,{second}\n"));
            gives(&dir, "p.csv", expected);
        }
        let columns = |no: &'static str, yes: &'static str| {
            parquet(&batch(vec![
                f64s(no, [0.2, 0.7]),
                f64s(yes, [0.8, 0.3]),
                bools("y", [true, false]),
            ]))
        };
        let (no, yes) = (format!("p_{no}").leak(), format!("p_{yes}").leak());
        dir.write("p.parquet", columns(no, yes));
        gives(&dir, "p.parquet", expected);
        dir.write("q.csv", format!("{no},{yes},y\n0.2,0.8,1\n0.7,0.3,0\n"));
        let ran = dir.xent("worst p.parquet q.csv --format json");
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert_eq!(dir.xent("compare p.parquet q.csv").code, Some(0));
    }
    // Not where there are other classes.
    dir.write("p.csv", "p_0,p_1,p_2,y\n0.2,0.7,0.1,true\n");
    refused(
        &dir.xent("score p.csv"),
        "p.csv:2: column y is \"true\", which is not a class",
        "classes are named by the prediction columns: the classes are 0, 1, 2",
    );
}

const ANIMALS: &str = "p_dog,p_cat,p_horse\n0.1,0.2,0.7\n0.1,0.7,0.2\n0.3,0.4,0.3\n";

#[test]
fn labels_that_count_the_classes() {
    let dir = Dir::new();
    // dog, cat and horse by the order of --classes, which is not that of the columns.
    let expected = bits(&[0.7, 0.7, 0.3]);
    let labels = npy("<i8", false, "(3,)", &le_i64(&[2, 0, 1]));
    let p = npy("<f8", false, "(3, 3)", &le_f64(&[0.2, 0.1, 0.7, 0.7, 0.1, 0.2, 0.4, 0.3, 0.3]));
    dir.write("a.csv", ANIMALS).write("y.npy", &labels).write("p.npy", &p);
    let rows = ["y", "2", "0", "1"];
    let line = |text, (line, y)| text + line + "," + y + "\n";
    let text = ANIMALS.lines().zip(rows).fold(String::new(), line);
    dir.write("b.csv", &text).write("c.csv", text.replace("p_", ""));
    for args in ["a.csv --labels y.npy", "b.csv", "c.csv", "p.npy --labels y.npy"] {
        let json = gives(&dir, &format!("{args} --classes cat,dog,horse"), expected);
        assert_eq!(json["models"][0]["columns"]["label_values"], "positions");
    }
    let ran = dir.xent("score b.csv --classes cat,dog,horse");
    assert!(ran.stdout.contains("label: y (positions in --classes, from 0)"), "{}", ran.stdout);
    // The other file has names.
    let named =
        text.replace("7,2\n", "7,horse\n").replace("2,0\n", "2,cat\n").replace("3,1\n", "3,dog\n");
    dir.write("d.csv", named);
    for args in
        ["compare b.csv d.csv", "compare d.csv b.csv", "worst b.csv d.csv", "worst d.csv b.csv"]
    {
        let ran = dir.xent(&format!("{args} --classes cat,dog,horse --format json"));
        assert_eq!(ran.code, Some(0), "{args}: {}", ran.stderr);
    }
    let json = gives(&dir, "d.csv --classes cat,dog,horse", expected);
    assert_eq!(json["models"][0]["columns"]["label_values"], "names");
    // One number a row is of the second class.
    dir.write("e.csv", "p,y\n0.8,1\n0.3,0\n");
    gives(&dir, "e.csv --classes no,yes", bits(&[0.8, 0.7]));
    // Classes that are numbers are names.
    dir.write("f.csv", "p_1,p_0,y\n0.2,0.8,0\n");
    gives(&dir, "f.csv --classes 1,0", bits(&[0.8]));
    refused(
        &dir.xent("score b.csv"),
        "b.csv:2: column y is \"2\", which is not a class",
        "if labels count the classes from 0, say their order: --classes dog,cat,horse",
    );
    dir.write("g.csv", text.replace("7,2\n", "7,3\n"));
    refused(
        &dir.xent("score g.csv --classes cat,dog,horse"),
        "g.csv:2: column y is \"3\", which is not a class",
        "labels are positions in --classes, 0 to 2: cat, dog, horse",
    );
    // Decided once: a name among positions is none.
    let long = "0.1,0.2,0.7,2\n".repeat(1200);
    dir.write("h.csv", format!("p_dog,p_cat,p_horse,y\n{long}0.1,0.2,0.7,horse\n"));
    refused(
        &dir.xent("score h.csv --classes cat,dog,horse"),
        "h.csv:1202: column y is \"horse\", which is not a class",
        "labels are positions in --classes, 0 to 2: cat, dog, horse",
    );
}

#[test]
fn targets_in_one_column_of_lists() {
    let dir = Dir::new();
    let p = npy("<f8", false, "(2, 2)", &le_f64(&[0.25, 0.75, 0.5, 0.5]));
    let hot = npy("<i8", false, "(2, 2)", &le_i64(&[1, 0, 0, 1]));
    let soft = npy("<f8", false, "(2, 2)", &le_f64(&[0.5, 0.5, 0.0, 1.0]));
    let first = -0.5 * 0.25_f64.log2() - 0.5 * 0.75_f64.log2();
    let (of_hot, of_soft) = (bits(&[0.25, 0.5]), f64::midpoint(first, 1.0));
    dir.write("a.npz", npz(&[("p", p.clone()), ("t", hot.clone()), ("s", soft.clone())], true))
        .write("p.npy", &p)
        .write("t.npy", &hot)
        .write("s.npy", &soft);
    gives(&dir, "a.npz --proba p --targets t", of_hot);
    gives(&dir, "a.npz --proba p --targets s", of_soft);
    dir.write("b.npz", npz(&[("p", p), ("t", hot)], true));
    let json = gives(&dir, "b.npz --targets t", of_hot);
    assert_eq!(json["models"][0]["columns"]["label"], "t");
    gives(&dir, "p.npy --labels t.npy --targets label", of_hot);
    gives(&dir, "p.npy --labels s.npy --targets label", of_soft);
    let rows = |t: &'static str, values: &[&[f64]]| lists::<Float64Type>(t, values);
    let predictions: [&[f64]; 2] = [&[0.25, 0.75], &[0.5, 0.5]];
    let (ones, shares): ([&[f64]; 2], [&[f64]; 2]) =
        ([&[1.0, 0.0], &[0.0, 1.0]], [&[0.5, 0.5], &[0.0, 1.0]]);
    dir.write(
        "a.parquet",
        parquet(&batch(vec![rows("p", &predictions), rows("t", &ones), rows("s", &shares)])),
    );
    gives(&dir, "a.parquet --proba p --targets t", of_hot);
    gives(&dir, "a.parquet --proba p --targets s", of_soft);
    // Beside columns: in the order of --classes, or else of the columns.
    dir.write("c.csv", "p_b,p_a,t\n0.75,0.25,\"[0.5, 0.5]\"\n0.4,0.6,\"[0, 1]\"\n");
    let second = |p: f64| f64::midpoint(first, -p.log2());
    gives(&dir, "c.csv --targets t", second(0.6));
    gives(&dir, "c.csv --targets t --classes a,b", second(0.4));
    // The same under two models, in other orders, and worst rows and calibrators too.
    dir.write("d.csv", "p_a,p_b,t\n0.25,0.75,\"[0.5, 0.5]\"\n0.6,0.4,\"[0, 1]\"\n");
    let ran = dir.xent("compare c.csv d.csv --targets t --classes a,b --format json");
    let values = [0, 1].map(|m| number(&ran.json(), &format!("models/{m}/scores/mse/value")));
    assert_eq!(values[0], values[1]);
    assert_eq!(dir.xent("worst c.csv d.csv --targets t --classes a,b").code, Some(0));
    let ran = dir.xent("worst c.csv d.csv --targets t");
    assert_eq!(ran.code, Some(2), "the lists are in other orders: {}", ran.stdout);
    dir.write("fit.csv", "p_a,p_b,y\n0.9,0.1,a\n0.2,0.8,a\n0.3,0.7,b\n0.6,0.4,b\n0.8,0.2,a\n");
    dir.xent("calibrate fit.csv -o c.json");
    dir.xent("calibrate --apply c.json d.csv --targets t -o out.csv");
    assert!(
        dir.read("out.csv").starts_with("t_a,t_b,p_a,p_b\n0.5,0.5,"),
        "{}",
        dir.read("out.csv")
    );
    // A row without them.
    dir.write("e.jsonl", "{\"p\":[0.25,0.75],\"t\":[1,0]}\n{\"p\":[0.5,0.5],\"t\":[null,1]}\n");
    gives(&dir, "e.jsonl --proba p --targets t --missing drop", 2.0);
    refused(
        &dir.xent("score e.jsonl --proba p --targets t"),
        "e.jsonl:2: column t is empty",
        "leave such rows out with --missing drop",
    );
    dir.write("f.jsonl", "{\"p\":[0.25,0.75],\"t\":[1,0.5]}\n");
    refused(
        &dir.xent("score f.jsonl --proba p --targets t"),
        "f.jsonl:1: the targets sum to 1.5, not 1",
        "soft targets are probabilities over the classes",
    );
    dir.write("g.csv", "p_a,p_b,t\n0.75,0.25,\"[0, 0, 1]\"\n");
    refused(
        &dir.xent("score g.csv --targets t"),
        "g.csv: column t holds lists of 3 numbers, but there are 2 classes",
        "a list of targets has one number a class; the classes are a, b",
    );
    refused(
        &dir.xent("score p.npy --labels t.npy"),
        "t.npy: column label holds lists of numbers, not labels",
        "a label is one class a row; for one-hot or soft targets add --targets label",
    );
}

#[test]
fn an_array_of_one_number_a_row() {
    let dir = Dir::new();
    let p = npy("<f8", false, "(2,)", &le_f64(&[0.8, 0.3]));
    dir.write("p.npy", &p).write("y.npy", npy("<i8", false, "(2,)", &le_i64(&[1, 0])));
    dir.write("z.npy", npy("<i8", false, "(2,)", &le_i64(&[0, 2])))
        .write("y.csv", "vote\nyes\nno\n");
    gives(&dir, "p.npy --labels y.npy", bits(&[0.8, 0.7]));
    gives(&dir, "p.npy --labels y.csv --positive yes", bits(&[0.8, 0.7]));
    // Its place is no name.
    refused(
        &dir.xent("score p.npy --labels z.npy"),
        "p.npy: column 0 does not say which class it is about",
        "name the positive class with --positive",
    );
}

#[test]
fn predictions_that_are_nearly_found() {
    let dir = Dir::new();
    dir.write("one.csv", "yes,label\n0.8,yes\n0.3,no\n")
        .write("l.csv", "logit_a,logit_b,y\n2,1,a\n")
        .write("g.csv", "logp_a,logp_b,y\n-2,-0.1,a\n");
    let missing = |file: &str| format!("{file}: no prediction columns found");
    refused(
        &dir.xent("score one.csv"),
        &missing("one.csv"),
        "if column yes holds the probability of class yes, add --proba yes",
    );
    gives(&dir, "one.csv --proba yes", bits(&[0.8, 0.7]));
    refused(
        &dir.xent("score l.csv"),
        &missing("l.csv"),
        "columns named logit_… hold logits: add --input logits",
    );
    refused(
        &dir.xent("score g.csv"),
        &missing("g.csv"),
        "columns named logp_… hold log-probabilities: add --input log-probabilities",
    );
}

#[test]
fn arrays_without_labels() {
    let dir = Dir::new();
    let p = npy("<f8", false, "(2, 2)", &le_f64(&[0.5; 4]));
    let w = npy("<f8", false, "(2,)", &le_f64(&[1.0, 2.0]));
    dir.write("p.npz", npz(&[("proba", p.clone())], true))
        .write("w.npz", npz(&[("proba", p), ("w", w)], true))
        .write("p.safetensors", safetensors(&[("x", "F32", &[2, 2], vec![0; 16])]));
    let hint = "no array has one label a row: name the file of the labels with --labels";
    for file in ["p.npz", "p.safetensors"] {
        refused(
            &dir.xent(&format!("score {file}")),
            &format!("{file}: no label column found"),
            hint,
        );
    }
    refused(
        &dir.xent("score w.npz"),
        "w.npz: no label column found",
        "name it with --label, or its file with --labels; the columns are proba, w",
    );
}

#[test]
fn labels_that_pytorch_ignores() {
    let dir = Dir::new();
    dir.write("p.csv", "p_0,p_1,y\n0.5,0.5,0\n0.5,0.5,-100\n");
    refused(
        &dir.xent("score p.csv"),
        "p.csv:3: column y is \"-100\", which is not a class",
        "PyTorch ignores rows of label -100: leave them out of the predictions and of the labels",
    );
}

#[test]
fn part_files_in_directories_below() {
    let dir = Dir::new();
    dir.write("d/day=1/part-0.csv", PROBABILITIES).write("d/day=2/part-0.csv", PROBABILITIES);
    dir.write("e/a/b/p.csv.gz", common::tables::gz(PROBABILITIES)).write("e/a/_x.csv", "");
    refused(
        &dir.xent("score d"),
        "d: holds no table files",
        "files in directories below are found by a pattern: 'd/**/*.csv'",
    );
    gives(&dir, "d/**/*.csv", bits(&[0.75, 0.5]));
    refused(
        &dir.xent("score e"),
        "e: holds no table files",
        "files in directories below are found by a pattern: 'e/**/*.csv.gz'",
    );
    gives(&dir, "e/**/*.csv.gz", bits(&[0.75, 0.5]));
}

#[test]
fn calculators_refuse_what_they_would_not_use() {
    let dir = Dir::new();
    for (args, option, quantity, why) in [
        ("softmax 1 2 --base 10", "--base", "softmax", "no logarithm is taken"),
        ("sigmoid 1 --base 2", "--base", "sigmoid", "no logarithm is taken"),
        ("expectation 80,90 0.5,0.5 --base e", "--base", "expectation", "no logarithm is taken"),
        (
            "content 0.5 --normalize",
            "--normalize",
            "content",
            "there is no distribution to divide by its sum",
        ),
    ] {
        let error = format!("{option} has no meaning for {quantity}: {why}");
        refused(&dir.xent(&format!("info {args}")), &error, "leave it out");
    }
    refused(
        &dir.xent("info mutual-information 0.4,0.1 0.1,0.3"),
        "the probabilities sum to 0.9, not 1",
        "probabilities must sum to 1; --normalize divides them by their sum",
    );
    let value = |args: &str| {
        let json = dir.xent(&format!("info mutual-information {args} --format json")).json();
        number(&json, "results/mutual_information")
    };
    // Counts, probabilities and weights of one distribution.
    let wanted = value("4,1 1,4");
    for args in ["0.4,0.1 0.1,0.4", "0.2,0.05 0.05,0.2 --normalize"] {
        assert!((value(args) - wanted).abs() <= ULPS_MEAN, "{args}");
    }
    dir.write("a.csv", "p_x,y\n0.5,a\n0.25,b\n");
    refused(
        &dir.xent("info entropy --file a.csv p_x"),
        "a.csv: column p_x: the probabilities sum to 0.75, not 1",
        "probabilities must sum to 1; --normalize divides them by their sum",
    );
    let json = dir.xent("info entropy 0.5 0.5 --format json").json();
    assert_eq!(number(&json, "results/entropy"), 1.0, "bits, without --base");
}

/// Integers are positions or names whatever the rows are split into, and whoever scores them.
#[test]
fn positions_do_not_depend_on_batches() {
    let dir = Dir::new();
    let columns = || {
        let p = |shift: usize| (0..50).map(move |i| [0.2, 0.3, 0.5][(i + shift) % 3]);
        vec![
            f64s("p_a", p(0)),
            f64s("p_b", p(1)),
            f64s("p_c", p(2)),
            i64s("y", (0..50).map(|i| i % 3)),
        ]
    };
    dir.write("p.parquet", parquet(&batch(columns())));
    let wanted = dir.xent("score p.parquet --classes c,a,b --format json").stdout;
    assert!(wanted.contains("\"positions\""), "{wanted}");
    for how in ["--threads 1 --batch-rows 1", "--threads 3 --batch-rows 7"] {
        let args = format!("score p.parquet --classes c,a,b --format json {how}");
        assert_eq!(dir.xent(&args).stdout, wanted, "{how}");
    }
}
