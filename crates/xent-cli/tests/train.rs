//! `train`, `predict` and `show` against other programs, and against each other.

#![allow(clippy::unwrap_used, clippy::format_collect, reason = "tests")]

mod common;

use common::tables::Random;
use common::{Dir, root, run, xent};
use serde_json::Value;

/// statsmodels 0.15.0, `MNLogit` by Newton's method to a gradient below 4e-12, on the seven levels of `PID`: constant,
/// logpopul, selfLR, age, educ, income of each level against the first.
const MNLOGIT: [[f64; 6]; 6] = [
    [
        -0.3734016773584857,
        -0.011535974566688716,
        0.2977143515893805,
        -0.02494499544199852,
        0.08249144213934362,
        0.005196553172511097,
    ],
    [
        -2.250913176838134,
        -0.08875065303049168,
        0.3916686417323791,
        -0.02289783709298935,
        0.1810427575133378,
        0.04787397608754049,
    ],
    [
        -3.6655835302145388,
        -0.10596669898687452,
        0.5734505077646275,
        -0.014851206884623097,
        -0.007152419042284642,
        0.057575159541368374,
    ],
    [
        -7.613843090444815,
        -0.09155670169266646,
        1.2787717866111994,
        -0.008681345030114314,
        0.1998279553199786,
        0.08449837525052158,
    ],
    [
        -7.060478246498898,
        -0.09328460395733394,
        1.3469616457075992,
        -0.017904068947059204,
        0.216938849880448,
        0.08095841215599181,
    ],
    [
        -12.105750900463386,
        -0.1408806924015015,
        2.0700801350414917,
        -0.009432648701394725,
        0.32192570241595203,
        0.1088940832864796,
    ],
];
/// Its log-likelihood; its documentation prints -1461.9227.
const LOG_LIKELIHOOD: f64 = -1461.922747248146;
/// Relative.
const COEFFICIENTS: f64 = 1e-8;

fn in_root(args: &str) -> common::Ran {
    run(xent(common::words(args)).current_dir(root()))
}

fn close(a: f64, b: f64, bound: f64) -> bool {
    (a - b).abs() <= bound * b.abs()
}

#[test]
fn party_identification_is_that_of_statsmodels() {
    let args = "train examples/party/voters.csv --target PID --features logpopul,selfLR,age,educ,income --format json";
    for threads in [1, 2, 5] {
        let json = in_root(&format!("{args} --threads {threads}")).json();
        assert_eq!(json["schema"], "xent.train/1");
        assert_eq!(json["rows"], 944);
        assert_eq!(json["reference_class"], "0");
        let log_likelihood = json["log_likelihood"].as_f64().unwrap();
        assert!(close(log_likelihood, LOG_LIKELIHOOD, 1e-12), "{log_likelihood}");
        let bits = json["cross_entropy"].as_f64().unwrap();
        assert!(close(bits, -LOG_LIKELIHOOD / 944.0 / std::f64::consts::LN_2, 1e-12));
        let list = json["coefficients"].as_array().unwrap();
        assert_eq!(list.len(), 36);
        for (item, expected) in list.iter().zip(MNLOGIT.iter().flatten()) {
            let estimate = item["estimate"].as_f64().unwrap();
            assert!(close(estimate, *expected, COEFFICIENTS), "{item} is not {expected}");
        }
    }
}

/// 600 rows: numbers of every kind, a category with rare and missing levels, three classes.
fn rows(n: usize) -> String {
    let mut random = Random(7);
    let mut text = "id,a,b,c,flag,job,w,y\n".to_owned();
    for i in 0..n {
        let (a, b) = (random.uniform() * 3.0, random.uniform() - 0.5);
        let c = (random.uniform() * 40.0) as i64;
        let flag = random.uniform() < 0.4;
        let job = ["clerk", "cook", "smith", "", "miller"][(random.uniform() * 4.99) as usize];
        let job = if i % 150 == 3 { "astronaut" } else { job };
        let score =
            a + 4.0 * b + 0.05 * c as f64 + f64::from(u8::from(flag)) + 2.0 * random.uniform();
        let y = if score < 2.5 {
            "low"
        } else if score < 4.0 {
            "middle"
        } else {
            "top"
        };
        let b = if i % 50 == 7 { String::new() } else { b.to_string() };
        text += &format!("{i},{a},{b},{c},{flag},{job},{},{y}\n", 1 + i % 3);
    }
    text
}

const COLUMNS: &str =
    "--target y --drop id --missing indicator --min-count 20 --weight w --l2 0.01";

#[test]
fn predictions_are_those_of_the_fit() {
    let dir = Dir::new();
    dir.write("t.csv", rows(600));
    let trained = dir.xent(&format!("train t.csv {COLUMNS} -o m.json --format json")).json();
    for out in ["p.csv", "p.jsonl", "p.parquet", "p.tsv"] {
        let ran = dir.xent(&format!("predict m.json t.csv -o {out} --id id,w"));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        let scored = dir.xent(&format!("score {out} --weight w --format json")).json();
        assert_eq!(scored["models"][0]["columns"]["label"], "label");
        let log_loss = scored["models"][0]["scores"]["log_loss"]["value"].as_f64().unwrap();
        assert!(close(log_loss, trained["log_loss"].as_f64().unwrap(), 1e-13), "{log_loss}");
    }
    // With an intercept and no penalty on it, the mean prediction is the frequency of the class.
    let scored = dir.xent("score p.csv --weight w --format json").json();
    let frequencies = &scored["baseline"]["frequencies"];
    for (k, class) in ["low", "middle", "top"].into_iter().enumerate() {
        let (mut sum, mut total) = (0.0, 0.0);
        for line in dir.read("p.csv").lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let w: f64 = fields[1].parse().unwrap();
            sum += w * fields[3 + k].parse::<f64>().unwrap();
            total += w;
        }
        assert!(close(sum / total, frequencies[class].as_f64().unwrap(), 1e-9), "{class}");
    }
}

#[test]
fn neither_threads_nor_batches_change_a_bit() {
    let dir = Dir::new();
    dir.write("t.csv", rows(3000));
    let model = |options: &str| {
        let ran =
            dir.xent(&format!("train t.csv {COLUMNS} --folds 3 --oof o.csv -o m.json {options}"));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let ran = dir.xent(&format!("predict m.json t.csv -o p.csv {options}"));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        [dir.read("m.json"), dir.read("o.csv"), dir.read("p.csv")]
    };
    let first = model("--threads 1");
    for options in ["--threads 2", "--threads 7 --batch-rows 13", "--threads 1 --batch-rows 1"] {
        assert_eq!(model(options), first, "{options}");
    }
}

#[test]
fn what_was_done_with_columns_is_said() {
    let dir = Dir::new();
    dir.write("t.csv", rows(600));
    let ran = dir.xent(&format!("train t.csv {COLUMNS} -o m.json"));
    for part in [
        "600 rows, 3 classes: low ",
        "job: 1 level of fewer than 20 rows share one coefficient, (rare): 4 rows (astronaut)",
        "reference levels, whose coefficient is 0: job=clerk (6 levels)",
        "penalty: ridge 0.01",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let shown = dir.xent("show m.json --format csv").stdout;
    for term in ["job=smith", "job=(rare)", "job=(missing)", "b (missing)", "flag", "(intercept)"] {
        assert!(shown.contains(&format!(",{term},")), "{term}: {shown}");
    }
    assert!(!shown.contains("job=clerk"), "the reference has no coefficient");
    let ran = dir.xent("train t.csv --target y --drop id --missing drop --C 1");
    assert!(ran.stdout.contains("rows with missing values left out"), "{}", ran.stdout);
}

#[test]
fn unseen_levels_count_as_the_reference_where_that_is_asked() {
    let dir = Dir::new();
    dir.write("t.csv", rows(600));
    assert_eq!(dir.xent(&format!("train t.csv {COLUMNS} -o m.json")).code, Some(0));
    dir.write(
        "new.csv",
        "a,b,c,flag,job\n1,0,3,true,clerk\n1,0,3,true,pilot\n1,0,3,true,astronaut\n",
    );
    let ran = dir.xent("predict m.json new.csv -o p.csv --unseen reference");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let said =
        "note: 1 row has a level that training did not see; it counts as the reference level\n";
    assert_eq!(ran.stderr, said);
    let text = dir.read("p.csv");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "p_low,p_middle,p_top");
    assert_eq!(lines[1], lines[2]);
    assert_ne!(lines[1], lines[3], "a rare level has a coefficient");
}

/// The penalised optimum does not depend on how columns are scaled.
#[test]
fn units_do_not_matter() {
    let dir = Dir::new();
    let (mut plain, mut scaled) = ("x,z,y\n".to_owned(), "x,z,y\n".to_owned());
    let mut random = Random(3);
    for _ in 0..300 {
        let (x, z) = (random.uniform(), random.uniform());
        let y = u8::from(x + z + random.uniform() > 1.5);
        plain += &format!("{x},{z},{y}\n");
        scaled += &format!("{},{},{y}\n", x * 1e9 + 4e9, z * 1e-7);
    }
    dir.write("plain.csv", plain).write("scaled.csv", scaled);
    let objective = |file: &str| -> f64 {
        let json = dir.xent(&format!("train {file} --target y --C 1 --format json")).json();
        json["objective"].as_f64().unwrap()
    };
    let (a, b) = (objective("plain.csv"), objective("scaled.csv"));
    assert!(close(a, b, 1e-12), "{a} {b}");
}

#[test]
fn a_numeric_category_is_one_coefficient_a_level() {
    let dir = Dir::new();
    let rows: String =
        (0..200).map(|i| format!("{}.0,{}\n", i % 4, u8::from(i * 7 % 11 < 3 + i % 4))).collect();
    dir.write("t.csv", format!("g,y\n{rows}"));
    let json =
        dir.xent("train t.csv --target y --categorical g --reference g=2 --format json").json();
    let terms: Vec<&str> = json["coefficients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["feature"].as_str().unwrap())
        .collect();
    assert_eq!(terms, ["(intercept)", "g=0", "g=1", "g=3"]);
    // A saturated model predicts the frequency of each level: the log odds are the intercept of the reference.
    let share = |g: i64| {
        let of: Vec<i64> =
            (0..200).filter(|i| i % 4 == g).map(|i| i64::from(i * 7 % 11 < 3 + i % 4)).collect();
        of.iter().sum::<i64>() as f64 / of.len() as f64
    };
    let odds = |p: f64| (p / (1.0 - p)).ln();
    let estimate = |i: usize| json["coefficients"][i]["estimate"].as_f64().unwrap();
    assert!(close(estimate(0), odds(share(2)), 1e-9));
    assert!(close(estimate(1), odds(share(0)) - odds(share(2)), 1e-9));
}

#[test]
fn groups_stay_together_and_time_goes_forward() {
    let dir = Dir::new();
    let mut random = Random(11);
    let rows: String = (0..400)
        .map(|i| {
            format!(
                "{},g{},{},{}\n",
                random.uniform(),
                i % 13,
                i / 3,
                u8::from(random.uniform() < 0.5)
            )
        })
        .collect();
    dir.write("t.csv", format!("x,g,when,y\n{rows}"));
    let folds = |column: &str| -> Vec<(String, u32)> {
        let args = format!(
            "train t.csv --target y --features x --folds 4 --{column} {} --id g,when --oof o.csv",
            if column == "group" { "g" } else { "when" }
        );
        let ran = dir.xent(&args);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let text = dir.read("o.csv");
        let fields =
            text.lines().skip(1).map(|l| l.split(',').map(str::to_owned).collect::<Vec<_>>());
        let at = usize::from(column == "time");
        fields.map(|f| (f[at].clone(), f[3].parse().unwrap())).collect()
    };
    let by_group = folds("group");
    assert_eq!(by_group.len(), 400);
    let mut fold_of = std::collections::HashMap::new();
    for (group, fold) in &by_group {
        assert_eq!(fold_of.entry(group.clone()).or_insert(*fold), fold, "{group}");
    }
    let by_time = folds("time");
    assert!(by_time.len() < 400, "the earliest rows are trained on only");
    let ends = |fold: u32| {
        let of: Vec<i64> =
            by_time.iter().filter(|(_, f)| *f == fold).map(|(t, _)| t.parse().unwrap()).collect();
        (*of.iter().min().unwrap(), *of.iter().max().unwrap())
    };
    for fold in 1..4 {
        assert!(
            ends(fold).1 < ends(fold + 1).0,
            "times are not divided, and folds follow each other"
        );
    }
}

#[test]
fn soft_targets_and_offsets_come_through() {
    let dir = Dir::new();
    let mut random = Random(5);
    let mut text = "x,o,t_a,t_b\n".to_owned();
    for _ in 0..200 {
        let p = (random.uniform() * 8.0).round() / 8.0;
        text += &format!("{},{},{},{p}\n", random.uniform() + p, random.uniform(), 1.0 - p);
    }
    dir.write("t.csv", text);
    let json = dir.xent("train t.csv --targets t_* --offset o -o m.json --format json").json();
    assert_eq!(json["classes"], serde_json::json!(["a", "b"]));
    assert!(json["features"] == serde_json::json!(["x"]), "{json}");
    assert_eq!(dir.xent("predict m.json t.csv -o p.csv").code, Some(0));
    let scored = dir.xent("score p.csv --targets t_* --format json").json();
    let log_loss = scored["models"][0]["scores"]["log_loss"]["value"].as_f64().unwrap();
    assert!(close(log_loss, json["log_loss"].as_f64().unwrap(), 1e-12), "{log_loss}");
}

#[test]
fn a_model_file_comes_back_to_the_bit_in_any_layout() {
    let dir = Dir::new();
    dir.write("t.csv", rows(300));
    assert_eq!(dir.xent(&format!("train t.csv {COLUMNS} -o m.json")).code, Some(0));
    assert_eq!(dir.xent("predict m.json t.csv -o p.csv").code, Some(0));
    let first = dir.read("p.csv");
    let value: Value = serde_json::from_str(&dir.read("m.json")).unwrap();
    dir.write("m.json", value.to_string());
    assert_eq!(dir.xent("predict m.json t.csv -o p.csv").code, Some(0));
    assert_eq!(dir.read("p.csv"), first);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let dir = Dir::new();
    dir.write("t.csv", rows(100));
    let ran = dir.xent(&format!("train t.csv {COLUMNS} -o /dev/full"));
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.starts_with("error: /dev/full: cannot write: no space left on the device"),
        "{}",
        ran.stderr
    );
    assert!(ran.stdout.is_empty());
}
