//! Calibration of what cannot be calibrated, and calibrator files that are none.

use super::common::Dir;
use super::{Case, case};

const TWO: &str = "p_a,p_b,y\n0.9,0.1,a\n0.2,0.8,a\n0.3,0.7,b\n0.6,0.4,b\n";
const THREE: &str = "p_a,p_b,p_c,y\n0.5,0.25,0.25,a\n0.25,0.5,0.25,b\n0.5,0.25,0.25,c\n";
const AGAIN: &str = "write it again with xent calibrate";
const WRITES: &str = "xent calibrate FILE -o calibrator.json writes one";

fn measure(name: &str, rows: &str, args: &str, error: &str, hint: &str) -> Case {
    case(name, format!("calibration p.csv {args}"), error, hint).file("p.csv", rows)
}

fn fit(name: &str, rows: &str, args: &str, error: &str, hint: &str) -> Case {
    case(name, format!("calibrate p.csv {args}"), error, hint).file("p.csv", rows)
}

/// Fits `c.json` to two classes, and does something to its text.
fn with_calibrator(dir: &Dir, change: fn(String) -> String) {
    dir.write("two.csv", TWO);
    let ran = dir.xent("calibrate two.csv --method vector -o c.json");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let text = change(dir.read("c.json"));
    dir.write("c.json", text);
}

fn file(name: &str, setup: fn(&Dir), error: &str, hint: &str) -> Case {
    case(name, "calibrate --apply c.json two.csv", error, hint).setup(setup).output("rows.csv")
}

fn apply(name: &str, rows: &str, args: &str, error: &str, hint: &str) -> Case {
    case(name, format!("calibrate --apply c.json p.csv {args}"), error, hint)
        .file("p.csv", rows)
        .setup(|dir| with_calibrator(dir, |text| text))
        .output("rows.csv")
}

pub fn cases() -> Vec<Case> {
    let soft = "name a column with one class a row: --label COL";
    let soft_rows = "p_a,p_b,t_a,t_b\n0.5,0.5,0.25,0.75\n";
    vec![
        measure(
            "a class that is none",
            THREE,
            "--class d",
            "p.csv: there is no class d",
            "the classes are a, b, c",
        ),
        measure(
            "no bins",
            TWO,
            "--bins 0",
            "invalid value '0' for '--bins <K>': 0 is not in 1..=100000",
            "see xent calibration --help",
        ),
        measure(
            "a chart of another kind",
            TWO,
            "--plot chart.png",
            "--plot chart.png: xent draws SVG",
            "end the name in .svg",
        ),
        measure(
            "one chart of two models",
            TWO,
            "q.csv --plot chart.svg",
            "--plot draws one model, and several are named",
            "name one, and call again for the next",
        ),
        measure(
            "smoothed labels",
            TWO,
            "--label-smoothing 0.1",
            "--label-smoothing has no meaning for calibration: it changes what happened",
            "leave it out",
        ),
        measure(
            "top k",
            TWO,
            "--top-k 2",
            "--top-k has no meaning for calibration: there is only the top label",
            "xent score has it",
        ),
        measure(
            "slices",
            TWO,
            "--by y",
            "--by has no meaning for calibration: one set of rows at a time",
            "make a file of each slice",
        ),
        measure(
            "soft targets measured",
            soft_rows,
            "--targets 't_*'",
            "p.csv: the targets are soft, and calibration is about what happened",
            soft,
        ),
        measure(
            "not a probability",
            "p_a,p_b,y\n0.9,0.1,a\n1.5,-0.5,a\n",
            "",
            "p.csv:3: column p_a is 1.5, not a probability",
            "for scores before a softmax use --input logits; percentages must be divided by 100",
        ),
        fit(
            "soft targets fitted",
            soft_rows,
            "--targets 't_*'",
            "p.csv: the targets are soft, and calibration is about what happened",
            soft,
        ),
        fit(
            "Platt scaling of three classes",
            THREE,
            "--method platt",
            "p.csv: there are 3 classes, and --method platt is for two",
            "temperature, vector and isotonic are for any number of classes",
        ),
        fit(
            "beta calibration of three classes",
            THREE,
            "--method beta",
            "p.csv: there are 3 classes, and --method beta is for two",
            "temperature, vector and isotonic are for any number of classes",
        ),
        fit(
            "more folds than rows",
            THREE,
            "--folds 4",
            "p.csv: --folds 4 of 3 rows",
            "a fold needs a row: use fewer folds",
        ),
        fit(
            "a header alone is fitted",
            "p_a,p_b,y\n",
            "",
            "p.csv: there are no rows",
            "a header alone is not enough",
        ),
        case(
            "an application without a file to write",
            "calibrate --apply c.json two.csv",
            "rows.json: no format by this name",
            "end the name in .csv, .tsv, .jsonl or .parquet",
        )
        .setup(|dir| with_calibrator(dir, |text| text))
        .output("rows.json"),
        file(
            "a calibrator that is cut",
            |dir| with_calibrator(dir, |text| text[..text.len() / 2].to_owned()),
            "c.json: the calibrator file ends too early",
            AGAIN,
        ),
        file(
            "a calibrator that was edited",
            |dir| with_calibrator(dir, |text| text.replacen("\"a\"", "\"c\"", 1)),
            "c.json: the calibrator file was changed after it was written: its checksum does not fit",
            AGAIN,
        ),
        file(
            "a calibrator of another version",
            |dir| {
                with_calibrator(dir, |text| text.replace("xent.calibrator/1", "xent.calibrator/2"));
            },
            "c.json: is a calibrator of version 2; this xent reads version 1",
            "use the xent that wrote it, or a later one",
        ),
        file(
            "predictions for a calibrator",
            |dir| with_calibrator(dir, |_| TWO.to_owned()),
            "c.json: is no calibrator file: not valid JSON in line 1, column 1",
            WRITES,
        ),
        file(
            "other JSON for a calibrator",
            |dir| with_calibrator(dir, |_| "{\"schema\": \"xent.score/1\"}".to_owned()),
            "c.json: is no calibrator file",
            WRITES,
        ),
        file(
            "a model for a calibrator",
            |dir| with_calibrator(dir, |_| "{\"schema\": \"xent.model/1\"}".to_owned()),
            "c.json: is a model, not a calibrator",
            "xent predict applies models, xent calibrate --apply calibrators",
        ),
        file(
            "a calibrator that is not there",
            |dir| {
                dir.write("two.csv", TWO);
            },
            "c.json: cannot read: no such file",
            "look at the path and at what it names",
        ),
        apply(
            "classes of another calibrator",
            "p_a,p_c,y\n0.5,0.5,a\n",
            "",
            "p.csv: there is no class b",
            "all models need the same classes, in any order: a, b",
        ),
        apply(
            "a class more than the calibrator has",
            THREE,
            "",
            "p.csv: class c is not a class of the others",
            "all models need the same classes, in any order: a, b",
        ),
        apply(
            "logits for a vector calibrator of probabilities",
            TWO,
            "--input logits --proba p_*",
            "p.csv: the calibrator was fitted to probabilities, and these are logits",
            "vector scaling needs what it was fitted to: say --input, or fit another method",
        ),
        apply(
            "a header alone is recalibrated",
            "p_a,p_b,y\n",
            "",
            "p.csv: there are no rows",
            "a header alone is not enough",
        ),
        apply(
            "a row that is no prediction",
            "p_a,p_b,y\n0.5,0.5,a\n0.5,0.75,b\n",
            "",
            "p.csv:3: …",
            "…",
        ),
    ]
}
