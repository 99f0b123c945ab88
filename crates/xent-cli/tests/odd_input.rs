//! Odd but good input, which must work and give the right number.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use arrow_array::types::{Float32Type, Float64Type};
use common::tables::{
    arrow_file, arrow_stream, batch, bools, coded, f32s, f64s, gz, i64s, le_f64, le_i64, lists,
    npy, npz, parquet, texts, voters, zst,
};
use common::{Dir, Ran, number, run_with, words};

/// Rounding of a mean of a few logarithms, relative.
const ULPS_MEAN: f64 = 8.0 * f64::EPSILON;
/// Probabilities stored as 32-bit floats, relative to the loss.
const F32_LOSS: f64 = 1e-6;

/// Three rows whose true classes have 0.7, 0.7 and 0.3.
const VOTERS: &str = "p_a,p_b,p_c,y\n0.1,0.2,0.7,c\n0.1,0.7,0.2,b\n0.3,0.4,0.3,a\n";

/// Mean surprisal in bits of true classes with these probabilities.
fn bits(p: &[f64]) -> f64 {
    -p.iter().map(|p| p.log2()).sum::<f64>() / p.len() as f64
}

fn voters_bits() -> f64 {
    bits(&[0.7, 0.7, 0.3])
}

#[track_caller]
fn check_within(ran: &Ran, expected: f64, relative: f64) {
    let found = number(&ran.json(), "models/0/scores/cross_entropy/value");
    let good = found == expected || (found - expected).abs() <= relative * expected.abs();
    assert!(good, "{found} is not {expected}");
}

/// `xent score` of one file with options gives `expected` bits.
#[track_caller]
fn score(file: &str, bytes: impl AsRef<[u8]>, options: &str, expected: f64) -> serde_json::Value {
    let dir = Dir::new();
    dir.write(file, bytes);
    let mut args = words(&format!("score --format json {options}"));
    args.push(file.to_owned());
    let ran = common::run(&mut dir.command(&args));
    check_within(&ran, expected, ULPS_MEAN);
    ran.json()
}

#[track_caller]
fn csv(text: &str, expected: f64) -> serde_json::Value {
    score("p.csv", text, "", expected)
}

#[test]
fn carriage_returns_before_line_feeds() {
    csv(&VOTERS.replace('\n', "\r\n"), voters_bits());
}

#[test]
fn a_byte_order_mark() {
    csv(&format!("\u{feff}{VOTERS}"), voters_bits());
}

#[test]
fn a_byte_order_mark_before_a_quoted_header() {
    csv(&format!("\u{feff}{}", VOTERS.replace("p_a,", "\"p_a\",")), voters_bits());
}

#[test]
fn no_line_end_at_the_end() {
    csv(VOTERS.trim_end(), voters_bits());
}

#[test]
fn blank_lines() {
    csv(&format!("\n{}\n\n", VOTERS.replace('\n', "\n\n")), voters_bits());
    csv(&VOTERS.replace('\n', "\r\n\r\n"), voters_bits());
}

#[test]
fn a_quoted_header_and_quoted_numbers() {
    let quoted: String = VOTERS
        .lines()
        .map(|l| l.split(',').map(|f| format!("\"{f}\"")).collect::<Vec<_>>().join(",") + "\n")
        .collect();
    csv(&quoted, voters_bits());
}

#[test]
fn classes_with_commas_quotes_and_line_ends() {
    let text = "\"p_cat, white\",\"p_the \"\"dog\"\"\",\"p_two\nlines\",label\n\
        0.5,0.25,0.25,\"cat, white\"\n0.25,0.5,0.25,\"the \"\"dog\"\"\"\n0.25,0.25,0.5,\"two\nlines\"\n";
    let found = csv(text, 1.0);
    assert_eq!(found["classes"], serde_json::json!(["cat, white", "the \"dog\"", "two\nlines"]));
}

#[test]
fn quoted_line_ends_in_a_column_that_is_not_read() {
    let text = "note,p_a,p_b,y\n\"one\n\ntwo, \"\"three\"\"\n\",0.5,0.5,a\n,0.25,0.75,a\n";
    csv(text, bits(&[0.5, 0.25]));
}

#[test]
fn one_row() {
    let found = csv("p_a,p_b,y\n0.25,0.75,a\n", 2.0);
    assert!(found["models"][0]["scores"]["cross_entropy"]["se"].is_null());
}

#[test]
fn one_class() {
    score(
        "p.jsonl",
        "{\"p\":[1.0],\"y\":\"only\"}\n{\"p\":[1.0],\"y\":\"only\"}\n",
        "--classes only",
        0.0,
    );
}

#[test]
fn certain_and_right() {
    let found = csv("p_a,p_b,y\n1,0,a\n0,1,b\n", 0.0);
    assert_eq!(number(&found, "models/0/scores/mse/value"), 0.0);
    assert_eq!(number(&found, "models/0/scores/perplexity/value"), 1.0);
}

#[test]
fn certain_and_wrong() {
    let found = csv("p_a,p_b,y\n1,0,b\n0.5,0.5,b\n", f64::INFINITY);
    assert_eq!(found["infinite"]["rows"], serde_json::json!([1]));
    assert_eq!(number(&found, "models/0/scores/mse/value"), 1.25);
}

#[test]
fn minus_zero_and_exponents() {
    csv("p_a,p_b,y\n-0.0,1,b\n2.5E-1,+7.5e-1,a\n.5,5.e-1,a\n", bits(&[1.0, 0.25, 0.5]));
}

#[test]
fn subnormal_probabilities() {
    let found = csv("p_a,p_b,y\n5e-324,1,a\n1,0,a\n", 1074.0 / 2.0);
    assert_eq!(found["infinite"]["count"], 0);
    // Below the smallest number is 0.
    csv("p_a,p_b,y\n1e-400,1,a\n", f64::INFINITY);
}

#[test]
fn losses_far_below_rounding() {
    // -ln(1 - 2^-53), not 0.
    let loss = 1.1102230246251565e-16 / std::f64::consts::LN_2;
    let found = score("p.csv", "p,y\n1.1102230246251565e-16,0\n", "", loss);
    let nats = number(&found, "models/0/scores/log_loss/value");
    assert!((nats - 1.1102230246251565e-16).abs() <= ULPS_MEAN * nats);
    // ln(1 + exp(-40))
    let found = score(
        "p.csv",
        "logit_a,logit_b,y\n40,0,a\n",
        "--input logits",
        4.248354255291589e-18 / std::f64::consts::LN_2,
    );
    assert_eq!(number(&found, "models/0/scores/log_loss/value"), 4.248354255291589e-18);
}

#[test]
fn zero_weights() {
    let text = "p_a,p_b,y,w\n0.5,0.5,a,2\n0,1,a,0\n0.25,0.75,a,1\n0.9,0.1,b,0\n";
    let found = score("p.csv", text, "--weight w", bits(&[0.5, 0.5, 0.25]));
    assert_eq!(number(&found, "models/0/weight"), 3.0);
    assert_eq!(found["infinite"]["count"], 0, "a row without weight costs nothing");
}

#[test]
fn fractional_weights() {
    let text = "p_a,p_b,y,w\n0.5,0.5,a,0.5\n0.25,0.75,a,1.5\n";
    score("p.csv", text, "--weight w", 0.25 * 1.0 + 0.75 * 2.0);
}

#[test]
fn twenty_thousand_classes() {
    const K: usize = 20_000;
    let names: Vec<String> = (0..K).map(|i| format!("p_class{i}")).collect();
    let row = |hit: usize| {
        let p = |i: usize| {
            if i == hit {
                "0.75"
            } else if i == 0 {
                "0.25"
            } else {
                "0"
            }
        };
        (0..K).map(p).collect::<Vec<_>>().join(",")
    };
    let text = format!("{},y\n{},class7\n{},class0\n", names.join(","), row(7), row(19_999));
    let found = csv(&text, bits(&[0.75, 0.25]));
    assert_eq!(found["classes"].as_array().unwrap().len(), K);
}

#[test]
fn chinese_classes() {
    let text =
        "其他党,共和党,民主党,党派\n0.1,0.2,0.7,民主党\n0.1,0.7,0.2,共和党\n0.3,0.4,0.3,其他党\n";
    let found = csv(text, voters_bits());
    assert_eq!(found["models"][0]["columns"]["label"], "党派");
}

#[test]
fn other_delimiters() {
    for (delimiter, file) in [(";", "p.csv"), ("\t", "p.csv"), ("|", "p.csv"), ("\t", "p.tsv")] {
        score(file, VOTERS.replace(',', delimiter), "", voters_bits());
    }
}

#[test]
fn a_sep_line() {
    csv(&format!("sep=;\n{}", VOTERS.replace(',', ";")), voters_bits());
    csv(&format!("sep=:\r\n{}", VOTERS.replace(',', ":")), voters_bits());
    csv(&format!("\u{feff}sep=,\n{VOTERS}"), voters_bits());
}

#[test]
fn blanks_around_numbers_names_and_labels() {
    csv(
        "p_a , p_b,\tp_c, y\n 0.1, 0.2 ,0.7\t,c\n0.1,0.7,0.2, b\n0.3, 0.4,0.3 ,a \n",
        voters_bits(),
    );
}

#[test]
fn labels_that_are_integers() {
    let numbered = |y: [&str; 3]| {
        let [c, b, a] = y;
        format!("p_0,p_1,p_2,y\n0.1,0.2,0.7,{c}\n0.1,0.7,0.2,{b}\n0.3,0.4,0.3,{a}\n")
    };
    for labels in [["2", "1", "0"], ["2.0", "1.0", "0.0"], ["02", "1", "-0"], ["2e0", "+1", "0."]] {
        csv(&numbered(labels), voters_bits());
    }
}

#[test]
fn columns_named_by_numbers() {
    csv("0,1,2,target\n0.1,0.2,0.7,2\n0.1,0.7,0.2,1\n0.3,0.4,0.3,0\n", voters_bits());
    csv("0.0,1.0,2.0,target\n0.1,0.2,0.7,2\n0.1,0.7,0.2,1\n0.3,0.4,0.3,0\n", voters_bits());
}

#[test]
fn labels_that_are_booleans() {
    let expected = bits(&[0.8, 0.7]);
    csv("p_false,p_true,y\n0.2,0.8,true\n0.7,0.3,false\n", expected);
    csv("p_False,p_True,y\n0.2,0.8,True\n0.7,0.3,False\n", expected);
    let columns =
        vec![f64s("p_false", [0.2, 0.7]), f64s("p_true", [0.8, 0.3]), bools("y", [true, false])];
    score("p.parquet", parquet(&batch(columns)), "", expected);
}

#[test]
fn one_column_for_the_positive_class() {
    let expected = bits(&[0.8, 0.7]);
    csv("p,y\n0.8,1\n0.3,0\n", expected);
    csv("y_proba,y_true\n0.8,1\n0.3,0\n", expected);
    csv("prob,label\n0.8,true\n0.3,false\n", expected);
    csv("p,label\n0.8,True\n0.3,False\n", expected);
    csv("p_yes,vote\n0.8,yes\n0.3,no\n", expected);
    score("p.csv", "p,vote\n0.8,yes\n0.3,no\n", "--positive yes", expected);
    score("p.csv", "p,vote\n0.2,yes\n0.7,no\n", "--positive no", expected);
    score("p.csv", "p,vote\n0.8,yes\n0.3,no\n", "--classes no,yes", expected);
    let found = csv("p,y\n0.8,1\n0.3,1\n", bits(&[0.8, 0.3]));
    assert_eq!(found["classes"], serde_json::json!(["0", "1"]), "one label alone");
}

#[test]
fn one_hot_and_soft_targets() {
    let one_hot = "p_a,p_b,t_a,t_b\n0.25,0.75,1,0\n0.5,0.5,0,1\n";
    score("p.csv", one_hot, "--targets 't_*'", bits(&[0.25, 0.5]));
    let soft = "p_a,p_b,t_a,t_b\n0.25,0.75,0.5,0.5\n0.5,0.5,0,1\n";
    let first = -0.5 * 0.25_f64.log2() - 0.5 * 0.75_f64.log2();
    score("p.csv", soft, "--targets 't_*'", f64::midpoint(first, 1.0));
    let turned = "p_a,p_b,t_b,t_a\n0.25,0.75,0,1\n0.5,0.5,1,0\n";
    score("p.csv", turned, "--targets t_b,t_a", bits(&[0.25, 0.5]));
}

#[test]
fn lists_in_json_lines() {
    let text = "{\"proba\": [0.1, 0.2, 0.7], \"y\": 2, \"extra\": {\"deep\": [1, {}]}}\n\
        {\"y\": 1, \"proba\": [0.1, 7e-1, 0.2]}\n\n{\"proba\":[0.3,0.4,0.3],\"y\":0}";
    score("p.jsonl", text, "", voters_bits());
    score("p.ndjson", text.replace('\n', "\r\n"), "", voters_bits());
    let named = text.replace("\"y\": 2", "\"y\": \"c\"").replace("\"y\": 1", "\"y\": \"b\"");
    let named = named.replace("\"y\":0", "\"y\":\"\\u0061\"");
    score("p.json", named, "--classes a,b,c", voters_bits());
}

#[test]
fn lists_in_csv() {
    let text = "proba,y\n\"[0.1, 0.2, 0.7]\",2\n\"[0.1,0.7,0.2]\",1\n\"[3e-1,0.4,0.3]\",0\n";
    csv(text, voters_bits());
}

#[test]
fn lists_in_parquet() {
    let rows: [&[f64]; 3] = [&[0.1, 0.2, 0.7], &[0.1, 0.7, 0.2], &[0.3, 0.4, 0.3]];
    let table = batch(vec![lists::<Float64Type>("p", &rows), i64s("y", [2, 1, 0])]);
    score("p.parquet", parquet(&table), "", voters_bits());
    score("p.arrow", arrow_file(&table), "", voters_bits());
    let rows: [&[f32]; 2] = [&[0.5, 0.25, 0.25], &[0.125, 0.75, 0.125]];
    let table = batch(vec![lists::<Float32Type>("p", &rows), i64s("y", [1, 0])]);
    score("p.parquet", parquet(&table), "", bits(&[0.25, 0.125]));
}

#[test]
fn columns_of_json_lines_in_any_order_and_absent() {
    let text =
        "{\"p_a\":0.5,\"p_b\":0.5,\"y\":\"a\"}\n{\"y\":\"b\",\"p_b\":0.25,\"p_a\":0.75,\"z\":1}\n";
    score("p.jsonl", text, "", bits(&[0.5, 0.25]));
}

#[test]
fn compressed_text() {
    score("p.csv.gz", gz(VOTERS), "", voters_bits());
    score("p.csv.zst", zst(VOTERS), "", voters_bits());
    // Several members, as bgzip and `cat a.gz b.gz` write.
    let (head, tail) = VOTERS.split_at(30);
    score("p.csv.gz", [gz(head), gz(tail)].concat(), "", voters_bits());
    score("p.csv", gz(VOTERS), "", voters_bits());
    score("p.tsv.gz", gz(VOTERS.replace(',', "\t")), "", voters_bits());
    let lines = "{\"p\":[0.25,0.75],\"y\":0}\n";
    score("p.jsonl.gz", gz(lines), "", 2.0);
}

#[test]
fn part_files() {
    let dir = Dir::new();
    let rows: Vec<&str> = VOTERS.lines().collect();
    for i in 0..3 {
        dir.write(&format!("parts/part-{i}.csv"), format!("{}\n{}\n", rows[0], rows[i + 1]));
    }
    // A part may be empty of rows; other files are none of the table.
    dir.write("parts/part-3.csv", format!("{}\n", rows[0]));
    dir.write("parts/_SUCCESS", "").write("parts/.part.crc", "x").write("parts/notes.txt", "x");
    for spec in ["parts", "parts/", "'parts/part-*.csv'", "'par*/part-[0-9].csv'"] {
        let ran = dir.xent(&format!("score {spec} --format json"));
        check_within(&ran, voters_bits(), ULPS_MEAN);
    }
    assert_eq!(dir.xent("score parts --format json").json()["models"][0]["name"], "parts");
}

#[test]
fn standard_input() {
    let dir = Dir::new();
    for bytes in [VOTERS.as_bytes().to_vec(), gz(VOTERS), zst(VOTERS), parquet(&voters())] {
        let ran = run_with(&mut dir.command(["score", "-", "--format", "json"]), &bytes);
        check_within(&ran, voters_bits(), ULPS_MEAN);
        assert_eq!(ran.json()["models"][0]["name"], "stdin");
    }
    let tsv = VOTERS.replace(',', "\t");
    let args = ["score", "m=-", "--format", "json", "--input-format", "tsv"];
    let ran = run_with(&mut dir.command(args), tsv.as_bytes());
    check_within(&ran, voters_bits(), ULPS_MEAN);
    assert_eq!(ran.json()["models"][0]["name"], "m");
}

#[test]
fn numpy_archives() {
    let p = [0.1, 0.2, 0.7, 0.1, 0.7, 0.2, 0.3, 0.4, 0.3];
    let rows = npy("<f8", false, "(3, 3)", &le_f64(&p));
    let turned: Vec<f64> = (0..9).map(|i| p[i % 3 * 3 + i / 3]).collect();
    let columns = npy("<f8", true, "(3, 3)", &le_f64(&turned));
    let big: Vec<u8> = p.iter().flat_map(|x| x.to_be_bytes()).collect();
    let swapped = npy(">f8", false, "(3, 3)", &big);
    let y = npy("<i8", false, "(3,)", &le_i64(&[2, 1, 0]));
    let bytes = npy("|u1", false, "(3,)", &[2, 1, 0]);
    for deflated in [false, true] {
        for (p, y) in [(&rows, &y), (&columns, &y), (&swapped, &y), (&rows, &bytes)] {
            let file = npz(&[("proba", p.clone()), ("y", y.clone())], deflated);
            score("p.npz", file, "", voters_bits());
        }
    }
    let named =
        npz(&[("proba", rows.clone()), ("y", npy("<U1", false, "(3,)", &wide("cba")))], true);
    score("p.npz", named, "--classes a,b,c", voters_bits());
}

/// Text as NumPy stores it: four bytes a character.
fn wide(text: &str) -> Vec<u8> {
    text.chars().flat_map(|c| (c as u32).to_le_bytes()).collect()
}

#[test]
fn numpy_of_one_positive_column() {
    let p = npy("<f8", false, "(2,)", &le_f64(&[0.8, 0.3]));
    let y = npy("<i8", false, "(2,)", &le_i64(&[1, 0]));
    score("p.npz", npz(&[("p", p), ("y", y)], true), "", bits(&[0.8, 0.7]));
}

#[test]
fn thirty_two_bit_floats() {
    let dir = Dir::new();
    let table = batch(vec![
        f32s("p_a", [0.1, 0.1, 0.3]),
        f32s("p_b", [0.2, 0.7, 0.4]),
        f32s("p_c", [0.7, 0.2, 0.3]),
        texts("y", ["c", "b", "a"]),
    ]);
    dir.write("p.parquet", parquet(&table));
    let ran = dir.xent("score p.parquet --format json");
    check_within(&ran, voters_bits(), F32_LOSS);
    assert!(ran.stderr.is_empty(), "{}", ran.stderr);
}

#[test]
fn dictionaries_in_parquet_and_arrow() {
    let table = batch(vec![
        f64s("p_cat", [0.5, 0.25, 0.75]),
        f64s("p_dog", [0.5, 0.75, 0.25]),
        coded("label", &["cat", "dog", "cat"]),
        coded("note", &["x", "y", "z"]),
    ]);
    let expected = bits(&[0.5, 0.75, 0.75]);
    score("p.parquet", parquet(&table), "", expected);
    score("p.arrow", arrow_file(&table), "", expected);
    score("p.arrows", arrow_stream(&table), "", expected);
}

#[test]
fn arrow_files_and_streams_under_any_name() {
    for file in ["p.arrow", "p.feather", "p.ipc", "p.arrows", "p"] {
        score(file, arrow_file(&voters()), "", voters_bits());
        score(file, arrow_stream(&voters()), "", voters_bits());
    }
    score("p", parquet(&voters()), "", voters_bits());
    score("p", VOTERS, "", voters_bits());
}

#[test]
fn columns_that_are_none_of_the_predictions() {
    let text = "name,age,p_a,p_b,city,y,p\nAnn,3,0.5,0.5,Oslo,a,x\nBob,,0.25,0.75,,b,\n";
    csv(text, bits(&[0.5, 0.75]));
}

#[test]
fn names_with_blanks_and_chinese() {
    let found = score("我的 预测 (1).csv", VOTERS, "", voters_bits());
    assert_eq!(found["models"][0]["name"], "我的 预测 (1)");
    let found = score("a=b.csv", VOTERS, "", voters_bits());
    assert_eq!(found["models"][0]["name"], "a=b", "a file that is really called so");
    score("part[1].csv", VOTERS, "", voters_bits());
}

#[test]
fn a_model_with_a_name() {
    let dir = Dir::new();
    dir.write("p.csv", VOTERS);
    let found = dir.xent("score 'my model=p.csv' 模型=p.csv --format json").json();
    assert_eq!(found["models"][0]["name"], "my model");
    assert_eq!(found["models"][1]["name"], "模型");
}

#[test]
fn other_column_order_under_compare() {
    let dir = Dir::new();
    dir.write("a.csv", VOTERS);
    dir.write("b.csv", "y,p_c,p_a,p_b\nc,0.7,0.1,0.2\nb,0.2,0.1,0.7\na,0.3,0.3,0.4\n");
    let found = dir.xent("compare a.csv b.csv --format json").json();
    for model in [0, 1] {
        let value = number(&found, &format!("models/{model}/scores/cross_entropy/value"));
        assert_eq!(value, number(&found, "models/0/scores/cross_entropy/value"));
    }
    for difference in found["differences"].as_array().unwrap() {
        assert_eq!(difference["value"], 0.0);
    }
}

/// A tie goes to the same class whatever the order of a file's columns.
#[test]
fn ties_under_other_column_orders() {
    let dir = Dir::new();
    dir.write("a.csv", "p_a,p_b,y\n0.5,0.5,a\n0.5,0.5,b\n0.5,0.5,a\n");
    dir.write("b.csv", "p_b,p_a,y\n0.5,0.5,a\n0.5,0.5,b\n0.5,0.5,a\n");
    let found = dir.xent("compare a.csv b.csv --format json").json();
    for model in [0, 1] {
        assert_eq!(number(&found, &format!("models/{model}/scores/error_rate/value")), 1.0 / 3.0);
    }
}

/// The baseline's and the other model's bits of a comparison.
fn compared(dir: &Dir, args: &str) -> [f64; 2] {
    let found = dir.xent(&format!("compare {args} --format json")).json();
    [0, 1].map(|m| number(&found, &format!("models/{m}/scores/cross_entropy/value")))
}

#[test]
fn stacked_models() {
    let dir = Dir::new();
    let text =
        "model,id,p_a,p_b,y\nm,1,0.5,0.5,a\nn,2,0.25,0.75,b\nm,2,0.5,0.5,b\nn,1,0.25,0.75,a\n";
    dir.write("s.csv", text);
    let expected = [1.0, bits(&[0.25, 0.75])];
    assert_eq!(compared(&dir, "s.csv --model-col model --id id"), expected);
    dir.write("s.csv", text.replace("n,2,0.25,0.75,b\n", "") + "n,2,0.25,0.75,b\n");
    assert_eq!(compared(&dir, "s.csv --model-col model"), expected);
    let turned = compared(&dir, "s.csv --model-col model --baseline n");
    assert_eq!(turned, [expected[1], expected[0]]);
}

#[test]
fn models_side_by_side() {
    let dir = Dir::new();
    dir.write("s.csv", "y,m_a,m_b,n_b,n_a\na,0.5,0.5,0.75,0.25\nb,0.5,0.5,0.75,0.25\n");
    let expected = [1.0, bits(&[0.25, 0.75])];
    assert_eq!(compared(&dir, "s.csv --models 'm=m_*,n=n_*'"), expected);
    assert_eq!(compared(&dir, "s.csv --models 'm=m_*' --models 'n=n_*'"), expected);
    let listed = "s.csv --models m=m_a,m_b,n=n_a,n_b --classes a,b";
    assert_eq!(compared(&dir, listed), expected);
}

#[test]
fn ids_in_another_order_and_some_missing() {
    let dir = Dir::new();
    dir.write("a.csv", "id,p_a,p_b,y\nx,0.5,0.5,a\ny,0.25,0.75,b\nz,0.9,0.1,a\n");
    dir.write("b.csv", "id,p_a,p_b,y\nw,0.9,0.1,a\ny,0.5,0.5,b\nx,0.25,0.75,a\n");
    let expected = [bits(&[0.5, 0.75]), bits(&[0.25, 0.5])];
    let close = compared(&dir, "a.csv b.csv --id id").into_iter().zip(expected);
    assert!(close.into_iter().all(|(a, b)| (a - b).abs() <= ULPS_MEAN * b));
    let found = dir.xent("compare a.csv b.csv --id id --format json").json();
    assert_eq!(found["matching"]["matched"], 2);
    assert_eq!(found["matching"]["unmatched"], serde_json::json!([1, 1]));
}

#[test]
fn missing_values_are_dropped_on_request() {
    let text = "p_a,p_b,y\n0.5,0.5,a\nNaN,0.5,a\n0.25,0.75,\n0.25,0.75,a\n,,\n";
    let found = score("p.csv", text, "--missing drop", bits(&[0.5, 0.25]));
    assert_eq!(found["models"][0]["dropped"], 3);
}

/// A row dropped under one model has no weight there; that is no difference of weights.
#[test]
fn dropped_rows_of_one_model_keep_their_weights() {
    let dir = Dir::new();
    dir.write("a.csv", "id,p_a,p_b,y,w\n1,0.5,0.5,a,2\n2,0.5,0.5,b,3\n3,0.5,0.5,b,1\n");
    dir.write("b.csv", "id,p_a,p_b,y,w\n1,0.25,0.75,a,2\n2,,0.5,b,3\n3,0.25,0.75,b,1\n");
    for matched in ["", "--id id"] {
        let args = format!("a.csv b.csv --weight w --missing drop {matched}");
        let second = -(2.0 * 0.25_f64.log2() + 0.75_f64.log2()) / 3.0;
        assert_eq!(compared(&dir, &args), [1.0, second], "{matched}");
    }
}

#[test]
fn sums_that_are_slightly_off() {
    // Rounded to four decimals: scored as they are, and counted.
    let found = csv("p_a,p_b,p_c,y\n0.3333,0.3333,0.3333,a\n", -(0.3333_f64.log2()));
    assert_eq!(found["models"][0]["sums"]["touched"], 1);
    let text = "p_a,p_b,y\n2,6,a\n";
    let ran = Dir::new()
        .write("p.csv", "p_a,p_b,y\n0.1,0.3,a\n")
        .xent("score p.csv --sums normalize --format json");
    check_within(&ran, 2.0, ULPS_MEAN);
    score("p.csv", text.replace("2,6", "0.25,0.5"), "--sums as-is", 2.0);
}

#[test]
fn logits_and_log_probabilities() {
    score("p.csv", "logit_a,logit_b,y\n1000,1000,a\n-1000,-1000,b\n", "--input logits", 1.0);
    score("p.csv", "logit_a,logit_b,y\n0,-inf,a\n5,5,b\n", "--input logits", 0.5);
    score("p.csv", "logit,y\n0,1\n0,0\n", "--input logits", 1.0);
    let ln2 = std::f64::consts::LN_2;
    let text = format!("logp_a,logp_b,y\n-{ln2},-{ln2},a\n0,-inf,a\n");
    score("p.csv", text, "--input log-probabilities", 0.5);
}

#[test]
fn clipping_makes_an_infinite_loss_finite() {
    let found = score("p.csv", "p_a,p_b,y\n1,0,b\n", "--clip 0.25", (1.25_f64 / 0.25).log2());
    assert_eq!(found["models"][0]["clipped"], 1);
}

#[test]
fn a_slice_that_is_missing_is_a_slice() {
    let dir = Dir::new();
    dir.write("p.csv", "p_a,p_b,y,region\n0.5,0.5,a,north\n0.25,0.75,a,\n0.5,0.5,b,西\n");
    let ran = dir.xent("score p.csv --by region");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for name in ["north", "(missing)", "西"] {
        assert!(ran.stdout.contains(name), "{}", ran.stdout);
    }
}

#[cfg(unix)]
#[test]
fn a_named_pipe() {
    let dir = Dir::new();
    let pipe = dir.path().join("pipe.csv");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if !made.is_ok_and(|status| status.success()) {
        return;
    }
    let writer = std::thread::spawn(move || std::fs::write(pipe, VOTERS).unwrap());
    let ran = dir.xent("score pipe.csv --format json");
    writer.join().unwrap();
    check_within(&ran, voters_bits(), ULPS_MEAN);
}
