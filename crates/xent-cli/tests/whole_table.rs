//! Regressions: what is decided for a whole table must hold for every part of it, whatever the order.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fmt::Write;

use common::{Dir, number};
use serde_json::Value;

/// Losses that differ from row to row.
fn p(i: usize) -> f64 {
    0.3 + 0.6 * ((i * 37 % 101) as f64 / 101.0)
}

fn slice<'a>(json: &'a Value, key: &str) -> &'a Value {
    let slices = json["models"][0]["slices"].as_array().unwrap();
    slices.iter().find(|s| s["slice"]["g"] == key).unwrap()
}

/// A slice whose own weights are whole had its rows counted 200 times over.
#[test]
fn one_fractional_weight_makes_importances_of_all_slices() {
    let dir = Dir::new();
    let (mut weighted, mut plain) = ("p_1,y,w,g\n".to_owned(), "p_1,y,g\n".to_owned());
    for i in 0..50 {
        let (w, g) = if i % 2 == 0 { ("200", "even") } else { ("100.5", "odd") };
        writeln!(weighted, "{},{},{w},{g}", p(i), u8::from(i % 3 == 0)).unwrap();
        writeln!(plain, "{},{},{g}", p(i), u8::from(i % 3 == 0)).unwrap();
    }
    dir.write("w.csv", weighted).write("p.csv", plain);
    let w = dir.xent("score w.csv --weight w --by g --format json").json();
    let p = dir.xent("score p.csv --by g --format json").json();
    for key in ["even", "odd"] {
        let se = |json| number(slice(json, key), "scores/log_loss/se");
        assert!((se(&w) / se(&p) - 1.0).abs() < 1e-12, "{key}: {} {}", se(&w), se(&p));
    }
}

/// The rows of finite loss were counts where only the infinite row had a fractional weight.
#[test]
fn the_finite_rest_has_the_weights_of_the_table() {
    let dir = Dir::new();
    let mut text = "p_1,y,w\n0,1,0.5\n".to_owned();
    let mut plain = "p_1,y\n".to_owned();
    for i in 0..40 {
        writeln!(text, "{},1,300", p(i)).unwrap();
        writeln!(plain, "{},1", p(i)).unwrap();
    }
    dir.write("w.csv", text).write("p.csv", plain);
    let w = dir.xent("score w.csv --weight w --format json").json();
    let p = dir.xent("score p.csv --format json").json();
    let rest = number(&w["models"][0], "infinite/finite/log_loss/se");
    let whole = number(&p["models"][0], "scores/log_loss/se");
    assert!((rest / whole - 1.0).abs() < 1e-12, "{rest} {whole}");
}

/// The base rate of soft targets was that of hard ones, and smoothing was left out of it.
#[test]
fn the_base_rate_is_the_constant_model_on_the_same_targets() {
    let dir = Dir::new();
    let (f, rows) = (0.45, [(0.6, 0.4), (0.3, 0.7)]);
    let mut text = "p_a,p_b,t_a,t_b\n".to_owned();
    for (a, b) in rows {
        writeln!(text, "{f},{},{a},{b}", 1.0 - f).unwrap();
    }
    dir.write("soft.csv", text);
    dir.write("hard.csv", "p_a,p_b,y\n0.75,0.25,a\n0.75,0.25,a\n0.75,0.25,a\n0.75,0.25,b\n");
    // 0.7 = 0.75 * 0.8 + 0.1: the frequencies after smoothing.
    dir.write("smooth.csv", "p_a,p_b,y\n0.7,0.3,a\n0.7,0.3,a\n0.7,0.3,a\n0.7,0.3,b\n");
    for args in [
        "score soft.csv --targets 't_*'",
        "score hard.csv",
        "score smooth.csv --label-smoothing 0.2",
    ] {
        let json = dir.xent(&format!("{args} --format json")).json();
        for score in ["log_loss", "mse", "error_rate"] {
            let at = format!("scores/{score}/value");
            let (model, base) = (number(&json["models"][0], &at), number(&json["baseline"], &at));
            // The model that predicts the mean target everywhere is the base rate.
            assert!((model - base).abs() < 1e-15, "{args} {score}: {model} {base}");
        }
    }
}

/// `--classes` renamed columns that carry the same names in another order.
#[test]
fn classes_are_bound_by_name_not_by_the_order_they_are_said_in() {
    let dir = Dir::new();
    dir.write("p.csv", "p_cat,p_dog,y\n0.9,0.1,cat\n0.2,0.8,dog\n");
    let said = dir.xent("score p.csv --classes dog,cat --format json").json();
    let plain = dir.xent("score p.csv --format json").json();
    assert_eq!(said["models"][0]["scores"], plain["models"][0]["scores"]);
    assert_eq!(number(&said["models"][0], "scores/error_rate/value"), 0.0);
    let other = dir.xent("score p.csv --classes Katze,Hund --format json");
    assert_eq!(other.code, Some(2), "labels are cat and dog: {}", other.stdout);
}

/// A file whose first rows are one-hot and whose last are soft had classes, or had none.
#[test]
fn soft_targets_are_soft_in_every_order() {
    let dir = Dir::new();
    let mut rows: Vec<String> = (0..3000)
        .map(|i| {
            let t = if i % 2 == 0 { "1,0" } else { "0,1" };
            format!("{},{},{t},{}\n", p(i), 1.0 - p(i), i % 3)
        })
        .collect();
    rows.extend((0..10).map(|i| format!("{},{},0.5,0.5,1\n", p(i), 1.0 - p(i))));
    let header = "p_a,p_b,t_a,t_b,g\n";
    dir.write("m.csv", format!("{header}{}", rows.concat()));
    rows.reverse();
    dir.write("r/m.csv", format!("{header}{}", rows.concat()));
    let of = |path: &str, batch: usize| {
        let args = format!(
            "score {path} --targets 't_*' --per-class --by g --batch-rows {batch} --format json"
        );
        dir.xent(&args).stdout.replace("r/m.csv", "m.csv")
    };
    let whole = of("m.csv", 8192);
    for (path, batch) in [("m.csv", 7), ("r/m.csv", 8192), ("r/m.csv", 1)] {
        assert_eq!(of(path, batch), whole, "{path} {batch}");
    }
}

/// p = 0.5 was the one class in two columns and the other in one column.
#[test]
fn a_tie_goes_to_the_same_class_in_one_column_as_in_two() {
    let dir = Dir::new();
    dir.write("two.csv", "p_yes,p_no,y\n0.5,0.5,yes\n0.5,0.5,no\n0.5,0.5,no\n0.9,0.1,yes\n");
    dir.write("one.csv", "p_yes,y\n0.5,yes\n0.5,no\n0.5,no\n0.9,yes\n");
    for order in ["two.csv one.csv", "one.csv two.csv"] {
        let json = dir.xent(&format!("compare {order} --top-k 1 --format json")).json();
        let error = |m: usize, at: &str| number(&json["models"][m], &format!("scores/{at}/value"));
        assert_eq!(error(0, "error_rate"), error(1, "error_rate"), "{order}");
        assert_eq!(error(0, "top_1_error"), error(0, "error_rate"), "{order}");
        assert_eq!(error(1, "top_1_error"), error(1, "error_rate"), "{order}");
    }
}

/// Ten thousand rows in two lines of the file were "2 rows" to the verdict and the warnings.
#[test]
fn weights_that_count_rows_count_in_words_too() {
    let dir = Dir::new();
    dir.write("a.csv", "p_1,y,n\n0.7,1,6000\n0.4,0,4000\n");
    dir.write("b.csv", "p_1,y,n\n0.6,1,6000\n0.6,0,4000\n");
    let text = dir.xent("compare a.csv b.csv --weight n").stdout;
    assert!(!text.contains("few"), "{text}");
    assert!(text.contains("10,000 weighted rows"), "{text}");
}

/// The top-1 error is the error rate, and has one p-value.
#[test]
fn one_quantity_has_one_p_value() {
    let dir = Dir::new();
    let (mut a, mut b) = ("p_1,y\n".to_owned(), "p_1,y\n".to_owned());
    for i in 0..200 {
        writeln!(a, "{},{}", p(i), i % 2).unwrap();
        writeln!(b, "{},{}", p(i + 7), i % 2).unwrap();
    }
    dir.write("a.csv", a).write("b.csv", b);
    let json = dir.xent("compare a.csv b.csv --top-k 1 --format json").json();
    let find = |score: &str| {
        let all = json["differences"].as_array().unwrap();
        all.iter().find(|d| d["score"] == score).unwrap().clone()
    };
    let (error, top) = (find("error_rate"), find("top_1_error"));
    assert_eq!((&error["p"], &error["test"]), (&top["p"], &top["test"]));
    assert_eq!(error["test"], "exact McNemar");
}

/// Notes of rows that were left out, unmatched or of weight 0 were counted.
#[test]
fn notes_are_about_the_rows_that_are_scored() {
    let dir = Dir::new();
    dir.write("w.csv", "p_a,p_b,y,w\n0.5,0.5,a,0\n0.333,0.666,b,0\n0.9,0.1,a,1\n0.2,0.8,b,1\n");
    let json = dir.xent("score w.csv --weight w --format json").json();
    assert_eq!(json["models"][0]["ties"], 0);
    assert_eq!(json["models"][0]["sums"]["touched"], 0);
    let stacked = "m,p_a,p_b,y\nx,0.5,0.5,a\ny,0.9,0.1,a\nx,0.5,0.5,b\ny,0.2,0.8,b\n";
    dir.write("s.csv", stacked);
    let json = dir.xent("compare s.csv --model-col m --format json").json();
    assert_eq!(json["models"][0]["ties"], 2);
    assert_eq!(json["models"][1]["ties"], 0);
}

/// Infinite rows were numbered in the order of the match, not of the file.
#[test]
fn infinite_rows_are_rows_of_the_file() {
    let dir = Dir::new();
    dir.write("a.csv", "id,p_1,y\n1,0.5,1\n2,0.5,0\n3,0,1\n");
    dir.write("b.csv", "id,p_1,y\n3,0.5,1\n1,0.5,1\n2,1,0\n");
    for baseline in ["a", "b"] {
        let args = format!("compare a.csv b.csv --id id --baseline {baseline} --format json");
        let json = dir.xent(&args).json();
        for model in json["models"].as_array().unwrap() {
            assert_eq!(model["infinite"]["rows"], serde_json::json!([3]), "{baseline}: {model}");
        }
    }
}

/// The slices of the second file were never looked at.
#[test]
fn slices_must_agree() {
    let dir = Dir::new();
    dir.write("a.csv", "p_1,y,g\n0.5,1,x\n0.6,0,y\n");
    dir.write("b.csv", "p_1,y,g\n0.5,1,x\n0.6,0,x\n");
    dir.write("c.csv", "p_1,y\n0.5,1\n0.6,0\n");
    let ran = dir.xent("compare a.csv b.csv --by g");
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("the slices differ in row 2: \"y\" in a.csv, \"x\" in b.csv"));
    assert_eq!(dir.xent("compare a.csv c.csv --by g").code, Some(0));
}

/// Tiny weights were no weight at all, and huge ones had no tail.
#[test]
fn the_worst_rows_do_not_depend_on_the_scale_of_weights() {
    let dir = Dir::new();
    for (name, w) in [("one", 1.0), ("tiny", 1.5e-13), ("huge", 1e14)] {
        let mut text = "p_1,y,w\n".to_owned();
        for i in 0..400 {
            writeln!(text, "{},{},{}", p(i), i % 2, w * (1 + i % 3) as f64).unwrap();
        }
        dir.write(&format!("{name}.csv"), text);
    }
    let share = |name: &str| {
        let json = dir.xent(&format!("score {name}.csv --weight w --format json")).json();
        number(&json["models"][0], "worst_share/loss")
    };
    for name in ["tiny", "huge"] {
        assert!((share(name) / share("one") - 1.0).abs() < 1e-9, "{name} {}", share(name));
    }
}

/// Equal losses that differ in their last bits were "ahead by 0.0000000000".
#[test]
fn rounding_is_no_difference() {
    let dir = Dir::new();
    let (mut two, mut one) = ("p_0,p_1,y\n".to_owned(), "p_1,y\n".to_owned());
    for i in 0..100 {
        writeln!(two, "{},{},{}", 1.0 - p(i), p(i), i % 2).unwrap();
        writeln!(one, "{},{}", p(i), i % 2).unwrap();
    }
    dir.write("two.csv", two).write("one.csv", one);
    let text = dir.xent("compare two.csv one.csv").stdout;
    assert!(text.contains("lose the same bits on every row"), "{text}");
    assert!(!text.contains("0.0000000"), "{text}");
}
