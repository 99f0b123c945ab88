//! `xent worst`: the screen, the files it reads and writes, and what it refuses.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fmt::Write as _;

use common::tables::{Random, arrow_file, batch, f64s, gz, i64s, parquet, texts};
use common::{Dir, number, root, run, words, xent};
use serde_json::Value;

/// A model that is sure and wrong in two rows.
const MISLABELLED: &str = "\
case,p_cat,p_dog,label,photo
a,0.9,0.1,cat,tabby.png
b,0.05,0.95,cat,\"spots, big.png\"
c,0.2,0.8,dog,
d,0.99,0.01,dog,sofa.png
";

#[test]
fn the_screen_names_the_rows_and_their_columns() {
    let dir = Dir::new();
    dir.write("pets.csv", MISLABELLED);
    let ran = dir.xent("worst pets.csv -n 3 --id case");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        ran.stdout,
        "\
4 rows, 2 classes: cat, dog
label: label     predictions: p_cat, p_dog     input: probabilities

the 3 worst rows, by surprisal in bits
row   id   label   bits   p of label   model says       p   photo
  4   d    dog     6.64        0.010   cat          0.990   sofa.png
  2   b    cat     4.32        0.050   dog          0.950   spots, big.png
  3   c    dog     0.32        0.800   dog          0.800   -

where the loss lives
           rows   share of rows   share of loss   cross entropy, bits
all rows      4          100.0%          100.0%                 2.860
by true class
dog           2           50.0%           60.9%                 3.483
cat           2           50.0%           39.1%                 2.237

likely label errors: in row 4 the label says dog, the model cat with 99.0%; row 2 too
"
    );
}

#[test]
fn programs_get_every_column_and_digit() {
    let dir = Dir::new();
    dir.write("pets.csv", MISLABELLED);
    let csv = dir.xent("worst pets.csv -n 2 --format csv").stdout;
    let table: Vec<&str> = csv.lines().take(3).collect();
    assert_eq!(
        table,
        [
            "row,label,bits,p of label,model says,p,case,photo",
            "4,dog,6.643856189774725,0.01,cat,0.99,d,sofa.png",
            "2,cat,4.321928094887363,0.05,dog,0.95,b,\"spots, big.png\"",
        ]
    );
    let json = dir.xent("worst pets.csv -n 3 --id case --floors=0.1 --format json").json();
    assert_eq!(json["schema"], "xent.worst/1");
    let worst = &json["models"][0]["worst"];
    let row = &worst["rows"][2];
    assert_eq!(row["columns"], serde_json::json!({ "photo": null }));
    assert_eq!((&row["row"], &row["id"], &row["label"]), (&3.into(), &"c".into(), &"dog".into()));
    assert_eq!((row["predicted"].as_str(), number(row, "probability")), (Some("dog"), 0.8));
    // (-log2 0.9 - log2(0.1 / 1.05) - log2 0.8 - log2(0.1 / 1.09)) / 4
    let floor = &worst["floors"][1];
    /// A mean of four logarithms and its division by ln 2.
    const BOUND: f64 = 4.0 * f64::EPSILON;
    assert!((number(floor, "cross_entropy") - 1.828_126_210_250_184).abs() < BOUND);
    assert_eq!((&floor["rows"], &floor["label_rows"]), (&2.into(), &2.into()));
    assert_eq!((&floor["floor"], &floor["best"]), (&0.1.into(), &true.into()));
    assert_eq!(worst["floors"][0]["floor"], Value::Null);
    let markdown = dir.xent("worst pets.csv -n 1 --format md").stdout;
    assert!(markdown.contains("| 4 | dog | 6.64 | 0.010 | cat | 0.990 |"), "{markdown}");
    dir.xent("worst pets.csv -n 3 --format csv -o out.csv");
    assert!(dir.read("out.csv").starts_with("row,label,bits"));
}

#[test]
fn a_wide_table_is_cut_and_says_so() {
    let dir = Dir::new();
    let names: Vec<String> = (0..40).map(|i| format!("feature{i}")).collect();
    let values = vec!["12.5"; 40];
    let text = format!(
        "p_a,p_b,label,{}\n0.25,0.75,a,{}\n0.5,0.5,b,{}\n",
        names.join(","),
        values.join(","),
        "x".repeat(300) + &",1".repeat(39)
    );
    dir.write("wide.csv", text);
    let screen = dir.xent("worst wide.csv").stdout;
    let widest = screen.lines().map(unicode_width::UnicodeWidthStr::width).max();
    assert!(widest <= Some(120), "{screen}");
    let note = "note: 38 columns not shown (feature2, feature3, feature4, feature5, feature6, …); \
                --format csv or json has all";
    assert!(screen.contains(note), "{screen}");
    let json = dir.xent("worst wide.csv --format json").json();
    let columns = json["models"][0]["worst"]["rows"][1]["columns"].as_object().unwrap();
    assert_eq!((columns.len(), columns["feature0"].as_str().unwrap().len()), (40, 300));
}

/// Rows of eighths, so that losses repeat, and some that cost infinity.
fn rows(n: usize) -> Vec<([f64; 2], &'static str, i64, &'static str)> {
    let mut random = Random(5);
    let mut rows = Vec::new();
    for _ in 0..n {
        let p = random.below(33) as f64 / 32.0;
        let label = ["no", "yes"][random.below(2)];
        let region = ["north", "south", "西"][random.below(3)];
        rows.push(([1.0 - p, p], label, random.below(3) as i64, region));
    }
    rows
}

#[test]
fn one_answer_whatever_threads_batches_and_formats() {
    let dir = Dir::new();
    let rows = rows(20_011);
    let mut csv = "p_no,p_yes,label,w,region,n\n".to_owned();
    for (i, ([no, yes], label, w, region)) in rows.iter().enumerate() {
        writeln!(csv, "{no},{yes},{label},{w},{region},{i}").unwrap();
    }
    let table = batch(vec![
        f64s("p_no", rows.iter().map(|r| r.0[0])),
        f64s("p_yes", rows.iter().map(|r| r.0[1])),
        texts("label", rows.iter().map(|r| r.1)),
        i64s("w", rows.iter().map(|r| r.2)),
        texts("region", rows.iter().map(|r| r.3)),
        i64s("n", 0..rows.len() as i64),
    ]);
    dir.write("p.csv", &csv).write("p.csv.gz", gz(csv.as_bytes()));
    dir.write("p.tsv", csv.replace(',', "\t")).write("p.arrow", arrow_file(&table));
    dir.write("p.parquet", parquet(&table));
    let json = |args: &str| {
        let ran = dir.xent(&format!("worst {args} -n 37 --floors --weight w --by region"));
        assert_eq!(ran.code, Some(0), "{args}: {}", ran.stderr);
        ran.stdout
    };
    for format in ["json", "csv", "md", "table"] {
        let expected = json(&format!("p=p.csv --threads 1 --format {format}"));
        for file in ["p.csv", "p.csv.gz", "p.tsv", "p.arrow", "p.parquet"] {
            let found = json(&format!("p={file} --format {format} --threads 3"));
            let found = found.replace(&format!("\"{file}\""), "\"p.csv\"");
            assert_eq!(found, expected, "{file} {format}");
        }
    }
    let expected = json("p.csv --threads 1 --format json");
    for (threads, batch) in [(2, 1000), (3, 17), (8, 8192)] {
        let args = format!("p.csv --format json --threads {threads} --batch-rows {batch}");
        assert_eq!(json(&args), expected, "{args}");
    }
    let piped = dir.command(words("worst p=- -n 37 --floors --weight w --by region --format json"));
    let mut piped = piped;
    let piped = common::run_with(&mut piped, csv.as_bytes());
    assert_eq!(piped.stdout.replace("\"-\"", "\"p.csv\""), expected);
}

#[test]
fn two_files_show_where_one_loses_against_the_other() {
    let ran = run(xent(words("worst logistic.csv forest.csv -n 1 --id id"))
        .current_dir(root().join("examples/party")));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let row = "167   167   democrat        4.51             6.34           1.83   republican      0.910   republican    0.507";
    assert!(ran.stdout.contains("where logistic loses most against forest\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains(row), "{}", ran.stdout);
    assert!(ran.stdout.contains("where forest loses most against logistic\n"));
    assert!(ran.stdout.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= 120));
}

#[test]
fn what_cannot_be_done_is_refused_in_one_line() {
    let dir = Dir::new();
    dir.write("a.csv", "id,p_x,p_y,label\n1,0.5,0.5,x\n2,0.5,0.5,y\n");
    dir.write("b.csv", "id,p_x,p_y,label\n1,0.5,0.5,x\n3,0.5,0.5,y\n");
    dir.write("c.csv", "p_x,p_z,label\n0.5,0.5,x\n0.5,0.5,z\n");
    dir.write("d.csv", "id,p_x,p_y,label\n1,0.5,0.5,x\n");
    let cases = [
        ("a.csv -n 0", "-n <N>", "must be from 1 to 100000"),
        ("a.csv --floors=0", "--floors", "must be above 0 and below 0.5"),
        ("a.csv --floors --clip 1e-6", "--clip is a floor", "leave one of them out"),
        ("a.csv b.csv c.csv", "those of one file, or of two", "name one or two files"),
        (
            "a.csv b.csv --id id",
            "column id of b.csv is \"3\", in the first file it is \"2\"",
            "both files must hold the same rows in the same order",
        ),
        ("a.csv c.csv", "c.csv: the classes differ", "both models need the same classes"),
        ("a.csv d.csv", "d.csv: has 1 row, a.csv has more", "the same rows in the same order"),
        ("a.csv a.csv", "two models are named", "give them names"),
        ("a.csv b.csv --labels c.csv", "--labels goes with one file", "into both files"),
        ("missing.csv", "missing.csv: no such file", "look at the path"),
    ];
    for (args, message, hint) in cases {
        let before = dir.listing();
        let ran = dir.xent(&format!("worst {args} -o out.json --format json"));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args}");
        assert!(ran.stderr.contains(message), "{args}: {}", ran.stderr);
        assert!(ran.stderr.contains(hint), "{args}: {}", ran.stderr);
        assert_eq!(dir.listing(), before, "{args}");
    }
}

/// Sums are exact, and the rows listed are the same but for their numbers where no two losses are equal.
#[test]
fn no_order_of_rows_changes_a_bit() {
    let dir = Dir::new();
    let mut random = Random(8);
    let mut lines: Vec<String> = (0..3000)
        .map(|i| {
            let p = random.uniform();
            let label = ["no", "yes"][random.below(2)];
            format!("{i},{},{p},{label},{}", 1.0 - p, ["north", "south"][random.below(2)])
        })
        .collect();
    let mut seen: Option<Value> = None;
    for _ in 0..3 {
        dir.write("p.csv", format!("case,p_no,p_yes,label,region\n{}\n", lines.join("\n")));
        let mut json = dir.xent("worst p.csv --id case --by region --floors --format json").json();
        let worst = json.pointer_mut("/models/0/worst").unwrap();
        for row in worst["rows"].as_array_mut().unwrap() {
            row.as_object_mut().unwrap().shift_remove("row");
        }
        assert_eq!(worst["rows"].as_array().unwrap().len(), 20);
        assert_eq!(*seen.get_or_insert_with(|| json.clone()), json);
        for i in (1..lines.len()).rev() {
            lines.swap(i, random.below(i + 1));
        }
    }
}
