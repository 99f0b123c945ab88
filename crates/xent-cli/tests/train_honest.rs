//! What `train` and `predict` say where numbers overflow, a fit diverges or a level is not what it seems.

#![allow(clippy::unwrap_used, clippy::format_collect, reason = "tests")]

mod common;

use common::Dir;

const ROWS: &str = "x,y\n1,a\n2,b\n3,a\n4,b\n5,a\n6,b\n7,b\n8,b\n";

#[test]
fn scores_that_overflow_are_an_error() {
    let dir = Dir::new();
    dir.write("t.csv", ROWS).write("far.csv", "x\n1\n1.7e308\n");
    dir.write("t.svm", "1 1:1\n0 1:2\n1 1:3\n0 1:4 2:1\n1 2:3\n0 2:1\n");
    dir.write("far.svm", "1 1:1.7e308 2:-1.7e308\n");
    for (train, predict) in [
        ("train t.csv --target y --l2 1e-4 -o m.json", "predict m.json far.csv -o p.csv"),
        ("train t.svm --l2 1e-4 -o m.json", "predict m.json far.svm -o p.csv"),
    ] {
        assert_eq!(dir.xent(train).code, Some(0));
        // Coefficients are below 1: of a larger one the product overflows.
        let text = dir.read("m.json");
        assert!(text.contains("coef"));
        let ran = dir.xent(predict);
        if ran.code == Some(0) {
            assert!(!dir.read("p.csv").contains("NaN") && !dir.read("p.csv").contains(",,"));
        } else {
            assert_eq!(ran.code, Some(2), "{}", ran.stderr);
            assert!(
                ran.stderr.contains("row") && ran.stderr.contains("overflows"),
                "{}",
                ran.stderr
            );
        }
    }
}

#[test]
fn descent_that_diverges_says_so() {
    let dir = Dir::new();
    dir.write("t.csv", ROWS);
    let args =
        "train t.csv --target y --solver gd --learning-rate 200 --max-iterations 20 --l2 0.001";
    let ran = dir.xent(args);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stdout.contains("gd diverges") && ran.stdout.contains("--learning-rate"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("gap about 0.0"), "{}", ran.stdout);
}

#[test]
fn levels_without_a_class_and_unseen_ones_are_named() {
    let dir = Dir::new();
    let mut rows: String =
        (0..40).map(|i| format!("{},{}\n", ["p", "q"][i % 2], ["a", "b"][i / 2 % 2])).collect();
    rows += "lone,a\n";
    dir.write("t.csv", format!("job,y\n{rows}"));
    let ran = dir.xent("train t.csv --target y --folds 2");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let screen = ran.stdout;
    for text in ["level lone has no row of some class", "job: 1 tested row has a level"] {
        assert!(screen.replace("\n  ", " ").contains(text), "{screen}");
    }
    let held = dir.xent("train t.csv --target y --l2 0.1 --holdout 0.25").stdout;
    assert!(held.contains("parameters and 31 rows"), "{held}");
}

#[test]
fn times_are_numbers_or_dates_in_order() {
    let dir = Dir::new();
    let rows = |day: fn(usize) -> String| -> String {
        let row = |i| format!("{},{},{}\n", i * 7 % 10, day(i), ["a", "b"][i % 2]);
        format!("x,day,y\n{}", (0..20).map(row).collect::<String>())
    };
    dir.write("iso.csv", rows(|i| format!("2026-11-{:02}", i + 1)));
    dir.write("text.csv", rows(|i| format!("{:02}/11/2026", i + 1)));
    let args = "--target y --time day --folds 3 --l2 1";
    assert_eq!(dir.xent(&format!("train iso.csv {args}")).code, Some(0));
    let ran = dir.xent(&format!("train text.csv {args}"));
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("01/11/2026") && ran.stderr.contains("2026-11-22"),
        "{}",
        ran.stderr
    );
}

#[test]
fn sparse_columns_far_from_0_are_refused_with_a_hint() {
    let dir = Dir::new();
    let rows: String =
        (0..40).map(|i| format!("{} 1:{}\n", i / 3 % 2, 1e9 + f64::from(i % 7))).collect();
    dir.write("t.svm", rows);
    let ran = dir.xent("train t.svm --l2 0.1");
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("column 1 is 1.0") && ran.stderr.contains("subtract"),
        "{}",
        ran.stderr
    );
}

#[test]
fn coefficients_without_bound_are_named_though_some_rows_tie() {
    let dir = Dir::new();
    // The textbook table: up to 3 one class, from 3 on the other.
    let note = "without a penalty the coefficient of x grows without bound: it tells some rows' classes for certain, and no row speaks against it (quasi-complete separation); use --l2 or --C";
    dir.write("ties.csv", "x,z,y\n1,4,a\n2,1,a\n3,1,a\n3,2,b\n3,3,a\n4,4,b\n5,1,b\n6,3,b\n");
    dir.write("over.csv", "x,z,y\n1,4,a\n2,1,a\n3,1,a\n3,2,b\n3,3,a\n4,4,b\n5,1,b\n6,3,b\n4,2,a\n");
    for solver in ["auto", "newton", "lbfgs", "irls", "newton-cg"] {
        let ran = dir.xent(&format!("train ties.csv --target y --solver {solver}"));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let screen = ran.stdout.replace("\n      ", " ").replace("\n  ", " ");
        assert!(screen.contains(note), "{solver}: {screen}");
        let json = dir.xent(&format!("train ties.csv --target y --solver {solver} --format json"));
        let json = json.json();
        assert_eq!((&json["separable"], &json["unbounded"]), (&false.into(), &["x"][..].into()));
    }
    // What has an optimum has none of this, with a penalty or by its rows.
    for args in ["ties.csv --target y --C 1", "over.csv --target y"] {
        let json = dir.xent(&format!("train {args} --format json")).json();
        assert_eq!(json["unbounded"], serde_json::json!([]), "{args}");
    }
    // A flag whose rows are all of one class, beside a level that is noted already.
    let rows: String = (0..60)
        .map(|i| {
            let (flag, job) = (i % 10 == 3, if i % 12 == 5 { "solo" } else { ["p", "q"][i % 2] });
            let y = if flag || job == "solo" { "a" } else { ["a", "b"][i / 2 % 2] };
            format!("{},{flag},{job},{y}\n", i * 7 % 11)
        })
        .collect();
    dir.write("flag.csv", format!("x,flag,job,y\n{rows}"));
    let json = dir.xent("train flag.csv --target y --format json").json();
    assert_eq!(json["unbounded"], serde_json::json!(["flag", "job=solo"]));
    let notes = json["notes"].to_string();
    assert!(notes.contains("the coefficient of flag grows without bound"), "{notes}");
    assert!(notes.contains("level solo has no row of some class"), "{notes}");
}

#[test]
fn columns_that_are_combinations_of_others_are_named() {
    let dir = Dir::new();
    let rows: String = (0..90)
        .map(|i| {
            let (a, b, x) = (i % 3 == 0, i % 3 == 1, i * 7 % 11);
            let y = ["p", "q"][usize::from((i * 5 % 13 + x) % 4 > 1)];
            format!("{},{},{},{x},{y}\n", u8::from(a), u8::from(b), u8::from(!a && !b))
        })
        .collect();
    dir.write("t.csv", format!("a,b,c,x,y\n{rows}"));
    let json = dir.xent("train t.csv --target y --format json").json();
    assert_eq!(json["collinear"], serde_json::json!(["c"]));
    let note = "column c is a combination of others in every row: without a penalty the coefficients are one of many optima; leave out such columns, or use a penalty such as --C 1";
    assert_eq!(json["notes"], serde_json::json!([note]));
    for args in ["--C 1", "--drop a"] {
        let json = dir.xent(&format!("train t.csv --target y {args} --format json")).json();
        let none = serde_json::json!([]);
        assert_eq!((&json["collinear"], &json["notes"]), (&none, &none), "{args}");
    }
}

#[test]
fn what_a_nearly_collinear_column_adds_is_not_lost() {
    // z = x + 1e-7 e, and the class depends on e: e by itself spans the same.
    let dir = Dir::new();
    let e = |i: i32| f64::from(i * 13 % 29) - 14.0;
    let x = |i: i32| f64::from(i * 7 % 31) - 15.0;
    let class =
        |i: i32| ["p", "q"][usize::from(e(i) + x(i) / 4.0 + f64::from(i * 5 % 17 - 8) > 0.0)];
    let row = |z: &dyn Fn(i32) -> f64| -> String {
        let rows: String =
            (0..200).map(|i| format!("{:?},{:?},{}\n", x(i), z(i), class(i))).collect();
        format!("x,z,y\n{rows}")
    };
    dir.write("near.csv", row(&|i| x(i) + 1e-7 * e(i))).write("plain.csv", row(&e));
    let plain = dir.xent("train plain.csv --target y --format json").json();
    let near = dir.xent("train near.csv --target y --format json").json();
    let objective = |json: &serde_json::Value| json["objective"].as_f64().unwrap();
    assert!((objective(&near) / objective(&plain) - 1.0).abs() < 1e-6, "{near}");
    assert_eq!((&near["solver"], &near["collinear"]), (&"irls".into(), &["z"][..].into()));
    assert!(near["notes"][0].as_str().unwrap().starts_with("column z is nearly a combination"));
    // Where that is lost, nothing is claimed.
    let json = dir.xent("train near.csv --target y --solver newton --format json").json();
    assert_eq!((&json["gap"], &json["stop"]), (&"inf".into(), &"precision".into()));
    // A run that goes on from a checkpoint chooses the same solver.
    let whole = dir.xent("train near.csv --target y -o whole.json");
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    let part = dir.xent("train near.csv --target y --max-iterations 3 --checkpoint c.json");
    assert_eq!(part.code, Some(0), "{}", part.stderr);
    let rest = dir.xent("train near.csv --target y --resume c.json -o rest.json");
    assert_eq!(rest.code, Some(0), "{}", rest.stderr);
    assert_eq!(dir.read("whole.json"), dir.read("rest.json"));
}

#[test]
fn filled_values_are_counted() {
    let dir = Dir::new();
    dir.write("t.csv", "x,c,y\n1,u,a\n,v,b\n3,,a\n,u,b\n5,v,b\n2,u,a\n4,v,a\n6,u,b\n");
    let ran = dir.xent("train t.csv --target y --missing indicator --C 1");
    let note =
        "note: missing values: x 2, c 1; each such column has an indicator or a level (missing)";
    assert!(ran.stdout.contains(note), "{}", ran.stdout);
}

#[test]
fn sums_of_weights_are_exact() {
    // A tenth has no exact 64-bit form: a running sum of many is off.
    let dir = Dir::new();
    let rows: String =
        (0..5000).map(|i| format!("{},0.1,{}\n", i * 7 % 11, i * 5 % 13 % 2)).collect();
    dir.write("t.csv", format!("x,w,y\n{rows}"));
    let with = dir.xent("train t.csv --target y --weight w --format json").json();
    let without = dir.xent("train t.csv --target y --drop w --format json").json();
    assert_eq!(with["weight"], 500.0);
    let number = |json: &serde_json::Value, name: &str| json[name].as_f64().unwrap();
    let near = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-15;
    assert!(near(number(&with, "objective"), number(&without, "objective")), "{with}");
    assert!(near(10.0 * number(&with, "log_likelihood"), number(&without, "log_likelihood")));
}

#[cfg(unix)]
#[test]
fn a_limit_for_files_is_an_error_and_leaves_nothing() {
    let dir = Dir::new();
    let rows: String =
        (0..4000).map(|i| format!("{},level {},{}\n", i * 7 % 11, i / 2, i % 2)).collect();
    dir.write("t.csv", format!("x,c,y\n{rows}"));
    let before = dir.listing();
    let xent = env!("CARGO_BIN_EXE_xent");
    let line = format!("ulimit -f 8; exec {xent} train t.csv --target y --C 1 -o m.json");
    let ran =
        common::run(std::process::Command::new("sh").args(["-c", &line]).current_dir(dir.path()));
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("error: m.json: cannot write: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("\nhint: raise the limit"), "{}", ran.stderr);
    assert_eq!(dir.listing(), before);
}

#[test]
fn a_solver_at_the_end_of_its_digits_stops() {
    let dir = Dir::new();
    let rows: String = (0..150)
        .map(|i| format!("{},{},{}\n", i * 7 % 11, f64::from(i * 5 % 17) * 1e3, i * 3 % 13 % 3))
        .collect();
    dir.write("t.csv", format!("x,z,y\n{rows}"));
    for solver in ["newton", "newton-cg", "irls"] {
        let json =
            dir.xent(&format!("train t.csv --target y --C 1 --solver {solver} --format json"));
        let json = json.json();
        assert!(json["iterations"].as_u64().unwrap() < 100, "{json}");
    }
}
