//! Fits that are stopped on their way: checkpoints, Ctrl-C, and what is said where there is no optimum.

#![allow(clippy::unwrap_used, clippy::format_collect, reason = "tests")]

mod common;

use common::Dir;
use common::tables::Random;

fn rows(n: usize) -> String {
    let mut random = Random(7);
    let mut text = "a,b,c,w,y\n".to_owned();
    for i in 0..n {
        let (a, b) = (random.uniform() * 3.0, random.uniform() - 0.5);
        let c = random.below(40);
        let score = a + 4.0 * b + 0.05 * c as f64 + 2.0 * random.uniform();
        let y = if score < 2.5 { "low" } else { ["middle", "top"][usize::from(score > 4.0)] };
        text += &format!("{a},{b},{c},{},{y}\n", 1 + i % 3);
    }
    text
}

/// Stopped after some steps and resumed: the model file has the same bytes as of a fit that never stopped.
#[test]
fn a_resumed_fit_ends_with_the_same_bytes() {
    let dir = Dir::new();
    dir.write("t.csv", rows(600));
    for (options, all) in [
        ("--l2 0.001", 40),
        ("", 40),
        ("--solver lbfgs --l2 0.001 --weight w", 40),
        ("--solver newton --l2 0.001 --holdout 0.2", 20),
        ("--solver newton-cg --C 1", 20),
        ("--solver irls --l2 0.001", 20),
        ("--solver cd --l1 0.01", 20),
        ("--solver saga --l1 0.001 --l2 0.01 --seed 3", 12),
        ("--solver gd --C 1", 60),
        ("--solver sgd --C 1 --batch 16", 12),
        ("--loss mse", 40),
    ] {
        let fit = |more: &str| {
            let ran = dir.xent(&format!("train t.csv --target y --drop w {options} {more}"));
            assert_eq!(ran.code, Some(0), "{options} {more}: {}", ran.stderr);
        };
        fit(&format!("--max-iterations {all} -o whole.json"));
        let whole = dir.read("whole.json");
        for stopped in [0, 1, 3, all - 1] {
            fit(&format!("--max-iterations {stopped} --checkpoint c.json -o part.json"));
            fit(&format!("--max-iterations {all} --resume c.json -o resumed.json --threads 3"));
            assert!(dir.read("resumed.json") == whole, "{options} stopped after {stopped}");
        }
        // In several hops over one file; the last state is that of the end.
        fit("--max-iterations 1 --checkpoint c.json");
        for until in [2, 4, 7] {
            fit(&format!("--max-iterations {until} --resume c.json --checkpoint c.json"));
        }
        fit(&format!("--max-iterations {all} --resume c.json --checkpoint c.json -o hops.json"));
        assert!(dir.read("hops.json") == whole, "{options}");
        fit(&format!("--max-iterations {all} --resume c.json -o again.json"));
        assert!(dir.read("again.json") == whole, "{options}");
    }
}

/// A real signal in the middle of a slow fit.
#[cfg(unix)]
#[test]
fn an_interrupt_writes_the_model_so_far() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};
    let dir = Dir::new();
    dir.write("t.csv", rows(600));
    let args = "train t.csv --target y --drop w --solver gd --learning-rate 1e-9 --max-iterations 1000000000 --tolerance 0 -o m.json";
    let child = dir
        .command(common::words(&format!("{args} --checkpoint c.json --history h.csv")))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first checkpoint is written when the fit begins.
    let start = Instant::now();
    while !dir.path().join("c.json").exists() {
        assert!(start.elapsed() < Duration::from_mins(2), "no checkpoint");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(50));
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let ran = child.wait_with_output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap());
    assert_eq!(ran.status.code(), Some(130), "{stderr}");
    assert!(
        stdout.contains("warning: interrupted: this is the model so far, not the optimum"),
        "{stdout}"
    );
    assert!(stdout.contains("relative gap "), "{stdout}");
    assert_eq!(
        stderr,
        "stopping; again to leave at once\nstopped; m.json is the model so far; --resume c.json goes on from here\n"
    );
    let json: serde_json::Value = serde_json::from_str(&dir.read("m.json")).unwrap();
    let training = &json["training"];
    assert_eq!(training["stop"], "interrupted");
    let (done, all) = (training["iterations"].as_u64().unwrap(), dir.read("h.csv").lines().count());
    // A header, and the start.
    assert_eq!(done as usize + 2, all);
    assert_eq!(dir.xent("predict m.json t.csv -o p.csv").code, Some(0));
    // What was not done is done from the checkpoint, as if nothing had been.
    let (until, again) = (done + 20, dir.path().join("h.csv"));
    std::fs::remove_file(again).unwrap();
    let args = args.replace("1000000000", &until.to_string());
    assert_eq!(dir.xent(&format!("{args} --resume c.json")).code, Some(0));
    let resumed = dir.read("m.json");
    if until < 20_000 {
        assert_eq!(dir.xent(&args).code, Some(0));
        assert!(dir.read("m.json") == resumed);
    }
}

#[test]
fn a_gap_is_proven_or_estimated_and_says_which() {
    let dir = Dir::new();
    dir.write("t.csv", rows(300));
    let train = "train t.csv --target y --drop w";
    for (options, is_proven) in
        [("--C 1", true), ("--l1 0.01", true), ("", false), ("--loss mse", false)]
    {
        let ran = dir.xent(&format!("{train} {options} -o m.json"));
        let word = if is_proven { "(proven)" } else { "(estimated)" };
        let screen = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        let either = screen.contains(word) || is_proven && screen.contains("; proven: at most ");
        assert!(either, "{options}: {screen}");
        let json = dir.xent("show m.json --format json").json();
        assert!(json["gap"].as_f64().unwrap() < 1e-6, "{options}");
        match json["gap_bound"].as_f64() {
            Some(bound) => assert!(is_proven && bound < 1e-6, "{options}: {bound}"),
            None => assert!(!is_proven, "{options}"),
        }
    }
}

#[test]
fn separable_classes_are_said() {
    let dir = Dir::new();
    let table = |low: i64| -> String {
        let row = |i: i64| format!("{i},{},{}\n", i * i % 7, if i < low { "a" } else { "b" });
        (0..40).map(row).collect()
    };
    dir.write("t.csv", format!("x,z,y\n{}", table(13)));
    let note = "warning: the classes are separable: without a penalty there is no optimum, coefficients grow without bound; use --l2 or --C";
    for options in ["", "--solver newton", "--solver lbfgs", "--head sigmoid", "--folds 2"] {
        let ran = dir.xent(&format!("train t.csv --target y {options}"));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let screen = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(screen.contains(note), "{options}: {screen}");
        assert!(!screen.contains("relative gap") && !screen.contains("not reached"), "{screen}");
    }
    for options in ["--C 1", "--l1 0.01", "--loss mse --solver gd --start 0,0 --max-iterations 9"] {
        let ran = dir.xent(&format!("train t.csv --target y {options}"));
        assert!(!ran.stdout.contains("separable"), "{options}: {}", ran.stdout);
    }
    // One row on the wrong side.
    dir.write("t.csv", format!("x,z,y\n{}-1,5,b\n", table(13)));
    let ran = dir.xent("train t.csv --target y");
    assert!(!ran.stdout.contains("separable"), "{}", ran.stdout);
}

#[test]
fn two_losses_are_one_document() {
    let dir = Dir::new();
    dir.write("t.csv", rows(300));
    let train = "train t.csv --target y --drop w --solver gd --max-iterations 50 --format json";
    let json = dir.xent(&format!("{train} --loss cross-entropy,mse")).json();
    assert_eq!(json["schema"], "xent.train.losses/1");
    let fits = json["fits"].as_array().unwrap();
    for (fit, loss) in fits.iter().zip(["cross-entropy", "mse"]) {
        assert_eq!(*fit, dir.xent(&format!("{train} --loss {loss}")).json());
        assert_eq!((&fit["schema"], &fit["loss"]), (&"xent.train/1".into(), &loss.into()));
    }
    assert_eq!(fits.len(), 2);
}

/// The error names every constant column in a form that can be given back.
#[test]
fn constant_columns_are_listed_ready_to_be_dropped() {
    let dir = Dir::new();
    let names: Vec<String> = (0..30).map(|j| format!("p{j}")).collect();
    let row = |i: usize| -> String {
        (0..30).map(|j| format!("{},", if j % 3 == 0 { j } else { (i * (j + 1)) % 31 })).collect()
    };
    let text: String = (0..90).map(|i| format!("{}{}\n", row(i), i * i % 3)).collect();
    dir.write("t.csv", format!("{},y\n{text}", names.join(",")));
    let ran = dir.xent("train t.csv --target y --C 1");
    assert_eq!(ran.code, Some(2));
    let hint = ran.stderr.lines().nth(1).unwrap();
    let list = hint.strip_prefix("hint: leave them out: --drop '").unwrap().trim_end_matches('\'');
    assert_eq!(list.split(',').count(), 10, "{hint}");
    let ran = dir.xent(&format!("train t.csv --target y --C 1 --drop {list}"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}
