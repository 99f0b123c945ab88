//! Columns that are trained where they lie in an Arrow file give the model that the same columns give when they are read.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder, StringDictionaryBuilder};
use arrow_array::types::{Int8Type, UInt32Type};
use arrow_array::{
    ArrayRef, Float32Array, Float64Array, Int8Array, Int32Array, RecordBatch, UInt8Array,
};
use arrow_ipc::writer::FileWriter;
use common::tables::{Random, parquet, texts};
use common::{Dir, Ran};
use serde_json::Value;

const N: usize = 6000;

/// A column of every kind that can stay in its file, and one that cannot: `short`, of which a number is missing if `gap`.
fn table(gap: bool) -> RecordBatch {
    let mut random = Random(11);
    let mut draw = || (0..N).map(|_| random.uniform()).collect::<Vec<f64>>();
    let (a, b, c, d, e, noise) = (draw(), draw(), draw(), draw(), draw(), draw());
    let whole = |x: &[f64], to: f64, less: f64| -> Vec<i32> {
        x.iter().map(|x| (x * to - less) as i32).collect()
    };
    let (bytes, signed, ints) =
        (whole(&c, 200.0, 0.0), whole(&d, 200.0, 100.0), whole(&e, 1e6, 3e5));
    let level = |x: f64| {
        ["mid", "low ", "low", "rare", "high"]
            [if x > 0.999 { 3 } else { (x * 3.0) as usize + usize::from(x > 0.5) }]
    };
    let mut few = StringDictionaryBuilder::<Int8Type>::new();
    let mut many = StringDictionaryBuilder::<UInt32Type>::new();
    // Texts that no row has, and an order that is not that of the levels.
    few.append("zzz").unwrap();
    let mut lists = FixedSizeListBuilder::new(Float32Builder::new(), 2);
    let mut labels = Vec::new();
    for i in 0..N {
        few.append_value(level(a[i]));
        many.append_value(format!("town {}", (e[i] * 300.0) as usize));
        lists.values().append_slice(&[noise[i] as f32, (b[i] * b[i]) as f32]);
        lists.append(true);
        let score =
            2.0 * a[i] + b[i] * 1.5 - f64::from(bytes[i]) / 150.0 + f64::from(signed[i]) / 80.0;
        labels.push(["no", "maybe", "yes"][((score + 3.0 * noise[i]) as i32).clamp(0, 2) as usize]);
    }
    // All but the first two, which only made a dictionary.
    let few = few.finish().slice(1, N);
    let short: Float64Array =
        a.iter().enumerate().map(|(i, x)| (!(gap && i == 77)).then_some(x * 0.1)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("f64", Arc::new(Float64Array::from(b))),
        ("f32", Arc::new(a.iter().map(|&x| x as f32).collect::<Float32Array>())),
        ("u8", Arc::new(bytes.iter().map(|&x| x as u8).collect::<UInt8Array>())),
        ("i8", Arc::new(signed.iter().map(|&x| x as i8).collect::<Int8Array>())),
        ("i32", Arc::new(Int32Array::from(ints))),
        ("few", Arc::new(few)),
        ("many", Arc::new(many.finish())),
        ("list", Arc::new(lists.finish())),
        ("short", Arc::new(short)),
        texts("y", labels),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// An Arrow file of record batches of so many rows.
fn arrow(batch: &RecordBatch, rows: usize) -> Vec<u8> {
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    for from in (0..batch.num_rows()).step_by(rows) {
        writer.write(&batch.slice(from, rows.min(batch.num_rows() - from))).unwrap();
    }
    writer.into_inner().unwrap()
}

fn model(dir: &Dir, file: &str, args: &str) -> (Ran, Value) {
    let ran = dir.xent(&format!("train {file} --target y {args} -o m.json --format json"));
    assert_eq!(ran.code, Some(0), "{file} {args}: {}", ran.stderr);
    let mut model: Value = serde_json::from_str(&dir.read("m.json")).unwrap();
    let map = model.as_object_mut().unwrap();
    map.remove("checksum");
    map["training"].as_object_mut().unwrap().remove("source");
    (ran, model)
}

#[test]
fn the_same_model_wherever_the_columns_lie() {
    let dir = Dir::new();
    let batch = table(false);
    dir.write("one.arrow", arrow(&batch, N)).write("many.arrow", arrow(&batch, 777));
    dir.write("t.parquet", parquet(&batch));
    for args in [
        "--C 1",
        "--C 1 --min-count 10 --reference few=mid --folds 3 --threads 2",
        "--l1 0.001 --drop many,list",
        "--C 1 --out-of-core --features f64,few,short",
        "--C 1 --categorical u8 --drop many --head sigmoid",
    ] {
        let (expected, model_read) = model(&dir, "many.arrow", args);
        for file in ["one.arrow", "t.parquet"] {
            let (ran, model) = model(&dir, file, args);
            assert_eq!(model, model_read, "{file} {args}");
            let report = |ran: &Ran| ran.stdout.replace(file, "F").replace("many.arrow", "F");
            assert_eq!(report(&ran), report(&expected), "{file} {args}");
        }
    }
}

#[test]
fn nothing_stays_where_it_is_if_rows_are_left_out() {
    let dir = Dir::new();
    let batch = table(true);
    dir.write("one.arrow", arrow(&batch, N)).write("many.arrow", arrow(&batch, 777));
    for args in ["--C 1 --missing drop", "--C 1 --missing indicator", "--C 1 --drop short"] {
        assert_eq!(model(&dir, "one.arrow", args).1, model(&dir, "many.arrow", args).1, "{args}");
    }
    let ran = dir.xent("train one.arrow --target y --C 1");
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("values are missing, of 6000 rows in columns: short 1"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_checkpoint_is_of_the_numbers_and_not_of_where_they_lie() {
    let dir = Dir::new();
    let batch = table(false);
    dir.write("one.arrow", arrow(&batch, N)).write("many.arrow", arrow(&batch, 777));
    let args = "--target y --C 1 --drop many --solver lbfgs";
    let ran = dir.xent(&format!("train one.arrow {args} --max-iterations 4 --checkpoint c.json"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let resumed = dir.xent(&format!("train many.arrow {args} --resume c.json -o r.json"));
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    let whole = dir.xent(&format!("train many.arrow {args} -o w.json"));
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    assert_eq!(dir.read("r.json"), dir.read("w.json"));
}

#[test]
fn codes_without_a_text_are_damage() {
    let dir = Dir::new();
    let batch = table(false);
    let mut bytes = arrow(&batch, N);
    // The codes of `few`, one byte a row, are the only run of bytes from 1 to 5 of this length.
    let at = bytes.windows(N).position(|w| w.iter().all(|b| (1..=5).contains(b))).unwrap();
    bytes[at + 100] = 100;
    dir.write("t.arrow", bytes);
    let ran = dir.xent("train t.arrow --target y --C 1");
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
    assert!(ran.stderr.contains("damaged"), "{}", ran.stderr);
}
