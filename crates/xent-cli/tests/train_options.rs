//! Options of `train` and `predict` that would do nothing, and columns and classes that are not what they seem.

#![allow(clippy::unwrap_used, clippy::format_collect, reason = "tests")]

mod common;

use common::{Dir, Ran};

/// Overlapping classes: `x` has an optimum without a penalty.
fn rows(n: usize, row: impl Fn(usize) -> String) -> String {
    (0..n).map(|i| row(i) + "\n").collect()
}

fn overlapping(dir: &Dir) {
    let row = |i: usize| format!("{},{},{}", i * 7 % 10, ["p", "q"][i / 2 % 2], ["a", "b"][i % 2]);
    dir.write("t.csv", format!("x,job,y\n{}", rows(40, row)));
}

fn refused(ran: &Ran, error: &str, hint: &str) {
    assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stderr, format!("error: {error}\nhint: {hint}\n"));
}

/// The screen without the breaks of its lines.
fn screen(ran: &Ran) -> String {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout.replace("\n      ", " ").replace("\n  ", " ")
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    let dir = Dir::new();
    overlapping(&dir);
    let penalty = "add one, as in --l2 0.01, --l1 0.01 or --C 1, or leave the option out";
    let tests = "add --folds 10, or --holdout 0.2";
    let leave = |solver: &str| format!("leave it out, or choose the solver with --solver {solver}");
    for (args, error, hint) in [
        (
            "--penalty-factor x=2",
            "--penalty-factor is about the penalty, and there is none",
            penalty,
        ),
        (
            "--l2 0 --penalty-factor x=2",
            "--penalty-factor is about the penalty, and there is none",
            penalty,
        ),
        ("--no-standardize", "--no-standardize is about the penalty, and there is none", penalty),
        ("--level 0.9", "--level is about testing, and nothing is tested", tests),
        ("--group job", "--group is about testing, and nothing is tested", tests),
        (
            "--learning-rate 0.1",
            "--learning-rate is an option of saga, sgd and gd, and the solver is auto",
            &leave("gd"),
        ),
        (
            "--solver newton --learning-rate 0.1",
            "--learning-rate is an option of saga, sgd and gd, and the solver is newton",
            &leave("gd"),
        ),
        (
            "--solver gd --batch 8",
            "--batch is an option of sgd, and the solver is gd",
            &leave("sgd"),
        ),
        (
            "--C 1 --penalty-factor x=2 --penalty-factor x=3",
            "--penalty-factor says two things of x",
            "keep one of them",
        ),
        (
            "--reference job=p --reference job=q",
            "--reference says two things of job",
            "keep one of them",
        ),
        ("--class-weight a=1,a=2", "--class-weight says two things of a", "keep one of them"),
        (
            "--drop job --min-count 5",
            "t.csv: no feature is a category whose levels could be rare",
            "leave out --min-count, or name such features with --categorical",
        ),
    ] {
        refused(&dir.xent(&format!("train t.csv --target y {args}")), error, hint);
    }
}

#[test]
fn options_that_do_something_are_taken() {
    let dir = Dir::new();
    overlapping(&dir);
    for args in [
        "--C 1 --penalty-factor x=2 --no-standardize --seed 3",
        "--l1 0.01 --penalty-factor x=0",
        "--holdout 0.25 --level 0.9",
        "--l2 0.1 --solver saga --learning-rate 0.01 --tolerance 1e-3",
        "--l2 0.1 --solver sgd --batch 8 --learning-rate 0.01 --tolerance 1e-3 --max-iterations 50",
        "--min-count 5 --missing indicator",
    ] {
        let ran = dir.xent(&format!("train t.csv --target y {args}"));
        assert_eq!(ran.code, Some(0), "{args}: {}", ran.stderr);
    }
}

#[test]
fn a_fit_that_diverges_is_told_to_step_less_and_not_to_go_on() {
    let dir = Dir::new();
    overlapping(&dir);
    let args =
        "train t.csv --target y --solver gd --learning-rate 400 --max-iterations 20 --l2 0.001";
    let text = screen(&dir.xent(args));
    assert!(text.contains("gd diverges: the objective is larger than at the start"), "{text}");
    assert!(!text.contains("--max-iterations") && !text.contains("warning"), "{text}");
    // One that is only slow is told to go on.
    let slow = args.replace("400", "1e-6");
    let text = screen(&dir.xent(&slow));
    assert!(text.contains("allow more with --max-iterations"), "{text}");
}

#[test]
fn a_class_that_training_did_not_see_is_an_error_or_kept_and_counted() {
    let dir = Dir::new();
    overlapping(&dir);
    dir.write("t.svm", "1 1:2 3:1\n0 2:1\n1 1:1 2:3\n0 1:1\n");
    assert_eq!(dir.xent("train t.csv --target y --l2 0.1 -o m.json").code, Some(0));
    assert_eq!(dir.xent("train t.svm --l2 0.1 -o s.json").code, Some(0));
    dir.write("new.csv", "x,job,y\n1,p,a\n2,q,\n3,q,green\n4,p,b\n5,p,red\n");
    dir.write("new.svm", "1 1:1\n7 2:1\n");
    let hint = |classes: &str| {
        format!(
            "the classes are {classes}; with --unseen reference such a label is kept, and xent score refuses it"
        )
    };
    refused(
        &dir.xent("predict m.json new.csv -o p.csv"),
        "new.csv:4: column y is \"green\", a class that was not in training",
        &hint("a, b"),
    );
    refused(
        &dir.xent("predict s.json new.svm -o p.csv"),
        "new.svm:2: the label is \"7\", a class that was not in training",
        &hint("0, 1"),
    );
    assert!(!dir.path().join("p.csv").exists());
    let ran = dir.xent("predict m.json new.csv -o p.csv --unseen reference --batch-rows 2");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let note = "note: 2 rows have a class that training did not see, kept as the label; xent score refuses such rows\n";
    assert_eq!(ran.stderr, note);
    let labels: Vec<String> =
        dir.read("p.csv").lines().map(|l| l.split(',').next().unwrap().to_owned()).collect();
    assert_eq!(labels, ["label", "a", "", "green", "b", "red"]);
    let ran = dir.xent("predict s.json new.svm -o p.csv --unseen reference");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("note: 1 row has a class"), "{}", ran.stderr);
}

#[test]
fn columns_that_number_or_name_the_rows_are_noted() {
    let dir = Dir::new();
    // `x` repeats, `far` does not but has gaps and no such name, `k` counts down.
    let row = |i: usize| {
        let far = i * i * 3 + i;
        format!("{},{far},{},{},{}", i * 7 % 10, 5000 - i, far + 10_000_000_000, ["a", "b"][i % 2])
    };
    dir.write("t.csv", format!("x,far,k,user_id,y\n{}", rows(60, row)));
    let text = screen(&dir.xent("train t.csv --target y --l2 0.1"));
    let numbers = "note: column k has as many consecutive whole numbers as there are rows, each once: it seems to number them; leave it out with --drop 'k'";
    let names = "note: column user_id is a different whole number in every row: it seems to name them; leave it out with --drop 'user_id'";
    assert!(text.contains(numbers) && text.contains(names), "{text}");
    assert_eq!(text.matches("leave it out with").count(), 2, "{text}");
    // Not where they were asked for, are of another role, or are left out.
    for args in ["--features x,k,user_id", "--drop k,user_id", "--id k,user_id"] {
        let text = screen(&dir.xent(&format!("train t.csv --target y --l2 0.1 {args}")));
        assert!(!text.contains("leave it out with"), "{args}: {text}");
    }
}

#[test]
fn rare_levels_share_a_coefficient_and_are_counted() {
    let dir = Dir::new();
    let row = |i: usize| {
        let job = match i {
            0..=2 => "smith",
            3 => "cooper",
            4 | 5 => "",
            _ => ["clerk", "cook"][i / 2 % 2],
        };
        format!("{},{job},{}", i * 7 % 10, ["a", "b"][i % 2])
    };
    dir.write("t.csv", format!("x,job,y\n{}", rows(60, row)));
    let text = screen(
        &dir.xent("train t.csv --target y --l2 0.1 --min-count 4 --missing indicator -o m.json"),
    );
    let counted = "note: job: 2 levels of fewer than 4 rows share one coefficient, (rare): 4 rows (cooper, smith)";
    assert!(text.contains(counted), "{text}");
    assert!(text.contains("job=clerk (4 levels)"), "{text}");
    let shown = dir.xent("show m.json").stdout;
    for term in ["job=cook", "job=(rare)", "job=(missing)"] {
        assert!(shown.contains(term), "{shown}");
    }
    assert!(!shown.contains("smith") && !shown.contains("\njob=clerk"), "{shown}");
    // In prediction a rare level is what it was, and another level is new.
    dir.write("new.csv", "x,job\n1,smith\n1,cooper\n1,clerk\n1,\n");
    assert_eq!(dir.xent("predict m.json new.csv -o p.csv").code, Some(0));
    let lines: Vec<String> = dir.read("p.csv").lines().skip(1).map(str::to_owned).collect();
    assert_eq!(lines[0], lines[1]);
    assert!(lines[0] != lines[2] && lines[2] != lines[3], "{lines:?}");
    dir.write("new.csv", "x,job\n1,miller\n");
    refused(
        &dir.xent("predict m.json new.csv -o p.csv"),
        "new.csv:2: column job is \"miller\", a level that was not in training",
        "with --unseen reference it counts as clerk; the levels are clerk, cook",
    );
    // A reference that is rare is kept as a level of its own.
    let text = screen(&dir.xent(
        "train t.csv --target y --l2 0.1 --min-count 4 --missing indicator --reference job=smith",
    ));
    assert!(text.contains("1 level of fewer than 4 rows") && text.contains("job=smith"), "{text}");
}

#[test]
fn soft_targets_are_kept_and_scored() {
    let dir = Dir::new();
    let rows: String = (0..60)
        .map(|i| {
            format!("{},{},{}\n", i * 7 % 11, f64::from(i % 5) / 4.0, f64::from(4 - i % 5) / 4.0)
        })
        .collect();
    dir.write("t.csv", format!("x,t_a,t_b\n{rows}"));
    assert_eq!(dir.xent("train t.csv --targets t_* --C 1 -o m.json").code, Some(0));
    assert_eq!(dir.xent("predict m.json t.csv -o p.csv").code, Some(0));
    // As it is, named, and under another prefix, where it is only a guess.
    let found = dir.xent("score p.csv --format json");
    assert_eq!(found.code, Some(0));
    assert_eq!(found.stdout, dir.xent("score p.csv --targets t_* --format json").stdout);
    let text = dir.read("p.csv");
    assert!(text.starts_with("t_a,t_b,p_a,p_b\n"), "{text}");
    dir.write("q.csv", text.replace("t_", "share_"));
    refused(
        &dir.xent("score q.csv"),
        "q.csv: no label column found",
        "if the columns share_… are soft targets, say --targets 'share_*'; else name it with --label; the columns are share_a, share_b, p_a, p_b",
    );
    let screen = dir.xent("score p.csv").stdout;
    assert!(screen.contains("targets: t_a, t_b     predictions: p_a, p_b"), "{screen}");
    // Listed, the classes are the same; so they are beside a calibrator and out of folds.
    let listed = dir.xent("train t.csv --targets t_a,t_b --C 1 -o l.json --folds 3 --oof f.csv");
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    assert_eq!(dir.xent("score f.csv").code, Some(0));
    let folds = dir.read("f.csv");
    assert!(folds.starts_with("t_a,t_b,fold,p_a,p_b,base_a,base_b\n"), "{folds}");
    dir.write("h.csv", "label,p_a,p_b\na,0.8,0.2\nb,0.3,0.7\na,0.4,0.6\nb,0.6,0.4\na,0.9,0.1\n");
    assert_eq!(dir.xent("calibrate h.csv -o c.json").code, Some(0));
    assert_eq!(dir.xent("calibrate --apply c.json p.csv -o r.csv").code, Some(0));
    assert_eq!(dir.xent("score r.csv").code, Some(0));
}

#[test]
fn no_feature_is_named_as_the_intercept() {
    let dir = Dir::new();
    dir.write("t.csv", "x,(intercept),y\n1,2,a\n2,1,b\n3,5,a\n2,4,b\n");
    refused(
        &dir.xent("train t.csv --target y --C 1 -o m.json"),
        "t.csv: column (intercept) has the name of the intercept",
        "give it another name, or leave it out with --drop",
    );
    let ran = dir.xent("train t.csv --target y --C 1 --drop (intercept) -o m.json");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn negative_numbers_are_refused_for_what_they_are() {
    let dir = Dir::new();
    overlapping(&dir);
    for option in ["--l2", "--l1", "--C", "--tolerance", "--learning-rate", "--holdout"] {
        let ran = dir.xent(&format!("train t.csv --target y {option} -1"));
        assert_eq!(ran.code, Some(2));
        assert!(ran.stderr.starts_with("error: invalid value '-1' for "), "{}", ran.stderr);
        assert!(ran.stderr.contains("must be "), "{}", ran.stderr);
    }
}
