//! The slow start of squared error on a badly initialised neuron, through the command.
//!
//! The figures are those of Nielsen, Neural Networks and Deep Learning, chapter 3, computed once more in NumPy.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Dir, root, run, words, xent};

const NEURON: &str = "train examples/slow-start/neuron.csv --target y --classes 0,1 --loss cross-entropy,mse --solver gd --raw-coordinates --learning-rate 0.15 --max-iterations 300";

/// Start, output there, outputs after 300 steps by either loss, first steps below 0.5, gradients at the start.
type Case = (&'static str, f64, [f64; 2], [usize; 2], [f64; 2]);
const CASES: [Case; 2] = [
    (
        "0.6,0.9",
        0.817_574_476_2,
        [0.011_638_209_0, 0.093_955_694_9],
        [8, 36],
        [0.817_574_476_2, 0.121_938_332_4],
    ),
    (
        "2,2",
        0.982_013_790_0,
        [0.012_008_741_5, 0.202_848_424_3],
        [17, 232],
        [0.982_013_790_0, 0.017_345_021_1],
    ),
];

#[test]
fn squared_error_starts_slowly_on_a_saturated_neuron() {
    let dir = Dir::new();
    for (start, first, last, below, gradients) in CASES {
        let (history, plot) = (dir.path().join("h.csv"), dir.path().join("c.svg"));
        let mut args = words(&format!("{NEURON} --start {start}"));
        for (option, path) in [("--history", &history), ("--plot", &plot)] {
            args.extend([option.to_owned(), path.to_str().unwrap().to_owned()]);
        }
        let ran = run(xent(args).current_dir(root()));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        let text = std::fs::read_to_string(&history).unwrap();
        for (k, loss) in ["cross-entropy", "mse"].into_iter().enumerate() {
            let rows: Vec<Vec<f64>> = text
                .lines()
                .filter_map(|line| line.strip_prefix(&format!("{loss},")))
                .map(|line| line.split(',').map(|x| x.parse().unwrap_or(f64::NAN)).collect())
                .collect();
            assert_eq!(rows.len(), 301);
            // The class is 0: cross entropy is -log2(1 - output).
            let output = |row: &Vec<f64>| 1.0 - (-row[3]).exp2();
            assert!((output(&rows[0]) - first).abs() < 1e-10);
            assert!((output(&rows[300]) - last[k]).abs() < 1e-10, "{start} {loss}");
            assert_eq!(rows.iter().position(|row| output(row) < 0.5), Some(below[k]));
            // Of the weight and of the intercept, which are equal.
            assert!((rows[0][5] / 2f64.sqrt() - gradients[k]).abs() < 1e-10);
            // The error rate goes from 1 to 0 where the output crosses one half.
            assert!(rows.iter().enumerate().all(|(i, row)| (row[4] > 0.5) == (i < below[k])));
        }
        let svg = std::fs::read_to_string(&plot).unwrap();
        let finding = format!(
            "the probability goes from {first:.4} to {:.4} in 300 steps by cross-entropy and to {:.4} in 300 steps by mse",
            last[0], last[1]
        );
        assert!(svg.contains(&finding), "{svg}");
        // The terminal wraps the sentence.
        let screen = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(screen.contains(&finding), "{screen}");
        assert!(screen.contains(&format!("p(1 - p) at p = {first:.4}")), "{screen}");
    }
}

#[test]
fn every_screen_of_the_example_is_true() {
    std::env::set_current_dir(root()).unwrap();
    trycmd::TestCases::new()
        .register_bin("xent", std::path::Path::new(env!("CARGO_BIN_EXE_xent")))
        .case("examples/slow-start/README.md");
}

#[test]
fn only_what_is_watched_may_be_hopeless() {
    let dir = Dir::new();
    dir.write("one.csv", "x,y\n1.0,0\n");
    dir.write("two.csv", "x,y\n1.0,a\n2.0,b\n4.0,a\n0.5,b\n");
    let start = "--solver gd --start 2,2 --max-iterations 5";
    for (args, error) in [
        ("one.csv --target y --classes 0,1", "the same in every row"),
        ("one.csv --target y --classes 0,1 --solver gd", "the same in every row"),
        (&format!("one.csv --target y {start}"), "--classes 0,1"),
        ("two.csv --target y --classes a,b,c --l2 1", "class c has no row"),
        ("two.csv --target y --classes b,c", "has the class a, which is not among those named"),
        ("two.csv --target y --classes a,,b", "without a name"),
        ("two.csv --target y --classes a,b,a", "is said to have the class a twice"),
    ] {
        let ran = dir.xent(&format!("train {args}"));
        assert_eq!(ran.code, Some(2), "{args}");
        assert!(ran.stderr.contains(error), "{args}: {}", ran.stderr);
    }
    // The order is that of the option, and decides which class is the reference.
    let json = dir.xent("train two.csv --target y --classes b,a --l2 1 --format json").json();
    assert_eq!(json["classes"], serde_json::json!(["b", "a"]));
    assert_eq!(json["reference_class"], "b");
    let json =
        dir.xent(&format!("train one.csv --target y --classes 0,1 {start} --format json")).json();
    assert_eq!(
        (&json["base_cross_entropy"], &json["entropy_explained"]),
        (&0.0.into(), &serde_json::Value::Null)
    );
    // One loss, rows of both classes, a picture; and nothing where the fit fails.
    let ran = dir.xent("train two.csv --target y --l2 1 --plot one.svg");
    assert!(ran.stdout.contains("cross entropy goes from 1.0000 bits to "), "{}", ran.stdout);
    assert!(dir.read("one.svg").contains("cross entropy, bits"));
    assert_eq!(dir.xent("train one.csv --target y --plot none.svg").code, Some(2));
    assert!(!dir.path().join("none.svg").exists());
}
