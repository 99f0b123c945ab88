//! Every format gives the same table, in all ways of cutting the work.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Float64Builder, ListBuilder};
use arrow_array::types::{Int8Type, Int32Type};
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float16Array,
    Float32Array, Float64Array, Int64Array, LargeStringArray, RecordBatch, StringArray,
    StringViewArray, StructArray, UInt8Array,
};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use common::{all_as, error_of, open, requests, rows_every_way, rows_of, write};
use half::f16;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use xent_io::{Column, Error, Kind, ReadAs, Request, ScanOptions, is_blank};

fn parquet(path: &Path, batches: &[RecordBatch], group: usize, compression: Compression) {
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(group))
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batches[0].schema(), Some(properties)).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.close().unwrap();
}

fn ipc_file(path: &Path, batches: &[RecordBatch], compression: Option<CompressionType>) {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let file = File::create(path).unwrap();
    let mut writer = FileWriter::try_new_with_options(file, &batches[0].schema(), options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
}

fn ipc_stream(path: &Path, batches: &[RecordBatch]) {
    let file = File::create(path).unwrap();
    let mut writer = StreamWriter::try_new(file, &batches[0].schema()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
}

fn lists(rows: &[Option<Vec<Option<f64>>>]) -> ArrayRef {
    let mut builder = ListBuilder::new(Float64Builder::new());
    for row in rows {
        builder.append_option(row.clone());
    }
    Arc::new(builder.finish())
}

/// A table of all kinds of columns; `from` numbers the rows.
fn batch(from: usize, rows: usize) -> RecordBatch {
    let range = from..from + rows;
    let x = |i: usize| (i as f64 / 7.0).sin();
    let label = |i: usize| ["cat", "dog", "\u{e9}t\u{e9}"][i % 3];
    let some = |i: usize| !i.is_multiple_of(11);
    let mut fixed = FixedSizeListBuilder::new(Float64Builder::new(), 2);
    for i in range.clone() {
        fixed.values().append_value(x(i));
        fixed.values().append_value(1.0 - x(i));
        fixed.append(some(i));
    }
    let texts: Vec<Option<&str>> = range.clone().map(|i| some(i).then(|| label(i))).collect();
    let arrays: Vec<(&str, ArrayRef)> = vec![
        ("f64", Arc::new(range.clone().map(x).map(Some).collect::<Float64Array>())),
        ("f64n", Arc::new(range.clone().map(|i| some(i).then(|| x(i))).collect::<Float64Array>())),
        ("f32", Arc::new(range.clone().map(|i| Some(x(i) as f32)).collect::<Float32Array>())),
        (
            "f16",
            Arc::new(range.clone().map(|i| Some(f16::from_f64(x(i)))).collect::<Float16Array>()),
        ),
        (
            "i64",
            Arc::new(
                range.clone().map(|i| some(i).then_some(i as i64 - 5)).collect::<Int64Array>(),
            ),
        ),
        ("u8", Arc::new(range.clone().map(|i| Some(i as u8)).collect::<UInt8Array>())),
        (
            "bool",
            Arc::new(
                range
                    .clone()
                    .map(|i| some(i).then_some(i.is_multiple_of(2)))
                    .collect::<BooleanArray>(),
            ),
        ),
        ("utf8", Arc::new(StringArray::from(texts.clone()))),
        ("large", Arc::new(LargeStringArray::from(texts.clone()))),
        ("view", Arc::new(StringViewArray::from(texts.clone()))),
        ("dict", Arc::new(texts.iter().copied().collect::<DictionaryArray<Int32Type>>())),
        ("date", Arc::new(range.clone().map(|i| Some(i as i32)).collect::<Date32Array>())),
        (
            "list",
            lists(
                &range
                    .clone()
                    .map(|i| {
                        some(i).then(|| vec![Some(x(i)), some(i + 1).then_some(0.5), Some(2.0)])
                    })
                    .collect::<Vec<_>>(),
            ),
        ),
        ("fixed", Arc::new(fixed.finish())),
    ];
    RecordBatch::try_from_iter(arrays).unwrap()
}

#[test]
fn arrow_formats_agree_with_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let all = batch(1, 21_001);
    let batches = [all.slice(0, 1000), all.slice(1000, 1), all.slice(1001, 20_000)];
    parquet(&path("a.parquet"), &batches, 4096, Compression::SNAPPY);
    parquet(&path("b.parquet"), &batches, 1 << 20, Compression::UNCOMPRESSED);
    ipc_file(&path("a.arrow"), &batches, None);
    ipc_file(&path("b.feather"), &batches, Some(CompressionType::ZSTD));
    ipc_file(&path("c.arrow"), &batches, Some(CompressionType::LZ4_FRAME));
    ipc_stream(&path("d.arrows"), &batches);
    let mut first = None;
    for name in ["a.parquet", "b.parquet", "a.arrow", "b.feather", "c.arrow", "d.arrows"] {
        let table = open(path(name).to_str().unwrap()).unwrap();
        let kinds: Vec<Kind> = table.columns().iter().map(|c| c.kind).collect();
        assert_eq!(
            kinds[..8],
            [
                Kind::Number,
                Kind::Number,
                Kind::Number,
                Kind::Number,
                Kind::Integer,
                Kind::Integer,
                Kind::Boolean,
                Kind::Text
            ]
        );
        assert_eq!(kinds[12..], [Kind::List { width: Some(3) }, Kind::List { width: Some(2) }]);
        let mut requests = requests(&table);
        // And integers, booleans and floats the other way.
        requests.extend([4, 5, 6].map(|column| Request { column, read_as: ReadAs::Numbers }));
        requests.extend([0, 2, 3].map(|column| Request { column, read_as: ReadAs::Text }));
        let (rows, error) = rows_every_way(&table, &requests);
        assert_eq!((rows.len(), error), (21_001, None), "{name}");
        assert!(*first.get_or_insert(rows.clone()) == rows, "{name}");
        if name.ends_with("parquet") {
            assert_eq!(table.row_hint(), Some(21_001));
        }
        assert_eq!(
            table.sample().text(7)[..2],
            [Some("dog".to_string()), Some("\u{e9}t\u{e9}".to_string())]
        );
        assert_eq!(table.sample().lists(12).unwrap().0, 3);
    }
    let rows = first.unwrap();
    // Row 11: the nulls.
    let blank = format!("{:016x}", xent_io::BLANK.to_bits());
    assert_eq!(rows[10][1], blank);
    assert_eq!(rows[10][4], "<missing>");
    assert_eq!(rows[10][12], format!("{blank} {blank} {blank}"));
    assert_eq!(rows[9][12].split(' ').nth(1), Some(blank.as_str()));
    assert_eq!(rows[0][11], "'1970-01-02'");
    assert_eq!(rows[0][4], "'-4'");
    assert_eq!(rows[0][6], "'false'");
}

#[test]
fn parquet_dictionaries_come_through_as_codes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    parquet(&path, &[batch(1, 5000)], 2000, Compression::UNCOMPRESSED);
    let table = open(path.to_str().unwrap()).unwrap();
    for name in ["utf8", "dict"] {
        let requests = [Request { column: table.column(name).unwrap(), read_as: ReadAs::Text }];
        let scan = ScanOptions { threads: 2, batch_rows: Some(100), backlog: None };
        let mut rows = 0;
        table
            .scan(
                &requests,
                &scan,
                |batch| {
                    let text = batch.column(0).text().unwrap();
                    let dictionary = text.dictionary().expect("a dictionary");
                    for (i, &code) in dictionary.codes.iter().enumerate() {
                        let value = (code != xent_io::MISSING).then(|| dictionary.value(code));
                        assert_eq!(value, text.get(i));
                    }
                    assert!(dictionary.len() <= 3 && dictionary.codes.len() == batch.rows());
                    Ok(batch.rows())
                },
                |n, _| {
                    rows += n;
                    Ok::<(), Error>(())
                },
            )
            .unwrap();
        assert_eq!(rows, 5000);
    }
}

#[test]
fn f64_without_nulls_is_not_copied() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.arrow");
    ipc_file(&path, &[batch(1, 8192)], None);
    let table = open(path.to_str().unwrap()).unwrap();
    let requests = [Request { column: 0, read_as: ReadAs::Numbers }];
    let map = |batch: &xent_io::Batch| {
        assert!(matches!(batch.column(0), Column::Numbers(_)));
        Ok(batch.column(0).numbers().unwrap().as_ptr() as usize)
    };
    let mut places = Vec::new();
    let options = ScanOptions { threads: 1, batch_rows: Some(4096), backlog: None };
    table
        .scan(&requests, &options, map, |place, _| {
            places.push(place);
            Ok::<(), Error>(())
        })
        .unwrap();
    assert_eq!(places[1] - places[0], 4096 * 8);
}

#[test]
fn typed_columns_that_do_not_fit_are_refused_at_their_row() {
    let dir = tempfile::tempdir().unwrap();
    let big: ArrayRef = Arc::new(Int64Array::from_iter_values(
        (0..3000).map(|i| if i < 2500 { i } else { (1 << 53) + 1 }),
    ));
    let ragged = lists(
        &(0..3000)
            .map(|i| Some(vec![Some(1.0); if i == 2000 { 2 } else { 3 }]))
            .collect::<Vec<_>>(),
    );
    let text: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..3000).map(|i| if i == 1999 { "x".into() } else { format!("0.{i}") }),
    ));
    let nested: ArrayRef = Arc::new(StructArray::from(vec![(
        Arc::new(arrow_schema::Field::new("a", arrow_schema::DataType::Int64, false)),
        big.clone(),
    )]));
    let decimal: ArrayRef = Arc::new(
        Decimal128Array::from_iter_values((0..3000).map(|i| i * 10 + 1))
            .with_precision_and_scale(20, 1)
            .unwrap(),
    );
    let bytes = |i: usize| Some(["a", "b"][i % 2]);
    let dict: ArrayRef = Arc::new((0..3000).map(bytes).collect::<DictionaryArray<Int8Type>>());
    let batch = RecordBatch::try_from_iter([
        ("big", big),
        ("ragged", ragged),
        ("text", text),
        ("nested", nested),
        ("decimal", decimal),
        ("dict", dict),
    ])
    .unwrap();
    let path = dir.path().join("a.parquet");
    parquet(&path, std::slice::from_ref(&batch), 700, Compression::SNAPPY);
    let arrow = dir.path().join("a.arrow");
    ipc_file(&arrow, &[batch], None);
    for path in [path, arrow] {
        let spec = path.to_str().unwrap();
        let table = open(spec).unwrap();
        let fails = |column: usize, read_as, rows: usize, message: &str| {
            let (got, error) = rows_every_way(&table, &[Request { column, read_as }]);
            assert_eq!(got.len(), rows);
            let error = error.unwrap();
            assert!(error.contains(message), "{error}");
        };
        fails(0, ReadAs::Numbers, 2500, "row 2501: column big is 9007199254740993, an integer");
        fails(1, ReadAs::List, 2000, "row 2001: column ragged has 2 numbers, the first row has 3");
        fails(2, ReadAs::Numbers, 1999, "row 2000: column text is \"x\", not a number");
        fails(3, ReadAs::Numbers, 0, "column nested is a type that xent does not read");
        fails(1, ReadAs::Numbers, 0, "column ragged is a list, not a number");
        fails(0, ReadAs::List, 0, "column big is a number, not a list");
        fails(9, ReadAs::Text, 0, "there is no column 10");
        let (rows, error) =
            rows_every_way(&table, &[Request { column: 4, read_as: ReadAs::Numbers }]);
        assert_eq!((rows.len(), error), (3000, None));
        assert_eq!(rows[3][0], format!("{:016x}", 3.1f64.to_bits()));
        assert_eq!(table.columns()[3].kind, Kind::Unsupported);
        // The first error over all columns is the one reported.
        let all = [0, 1, 2].map(|column| Request {
            column,
            read_as: if column == 1 { ReadAs::List } else { ReadAs::Numbers },
        });
        let (rows, error) = rows_every_way(&table, &all);
        assert_eq!(rows.len(), 1999);
        assert!(error.unwrap().contains("row 2000: column text"));
    }
}

#[test]
fn json_lines_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for i in 0..30_000 {
        text += &match i % 5 {
            0 => format!(
                "{{\"x\": {i}, \"y\": {}, \"l\": \"a\\u00e9\\n{i}\", \"p\": [0.1, {}]}}\n",
                f64::from(i) / 3.0,
                f64::from(i) / 7.0
            ),
            1 => format!("  {{\"p\": [1, null], \"x\": {i}, \"b\": true}}\r\n"),
            2 => format!(
                "{{\"x\": {i}, \"y\": null, \"l\": null, \"p\": null, \"new{i}\": {{\"a\": [{{}}]}}}}\n"
            ),
            3 => format!("\n{{\"x\": {i}, \"y\": \"inf\", \"l\": \"\"}}\n"),
            _ => format!("{{\"x\": {i}, \"y\": 1e-400, \"l\": \"NA\", \"b\": false}}\n"),
        };
    }
    let spec = write(dir.path(), "t.jsonl", &text);
    let table = open(&spec).unwrap();
    let columns: Vec<(&str, Kind)> =
        table.columns()[..5].iter().map(|c| (c.name.as_str(), c.kind)).collect();
    let list = Kind::List { width: Some(2) };
    assert_eq!(
        columns,
        [
            ("x", Kind::Integer),
            ("y", Kind::Number),
            ("l", Kind::Text),
            ("p", list),
            ("b", Kind::Boolean)
        ]
    );
    let request = |column, read_as| Request { column, read_as };
    let requests = [
        request(0, ReadAs::Numbers),
        request(1, ReadAs::Numbers),
        request(2, ReadAs::Text),
        request(3, ReadAs::List),
        request(4, ReadAs::Text),
    ];
    let (rows, error) = rows_every_way(&table, &requests);
    assert_eq!((rows.len(), error), (30_000, None));
    let bits = |x: f64| format!("{:016x}", x.to_bits());
    let blank = bits(xent_io::BLANK);
    assert_eq!(
        rows[15],
        [
            bits(15.0),
            bits(5.0),
            "'a\u{e9}\n15'".into(),
            format!("{} {}", bits(0.1), bits(15.0 / 7.0)),
            "<missing>".into()
        ]
    );
    assert_eq!(
        rows[16],
        [
            bits(16.0),
            blank.clone(),
            "<missing>".into(),
            format!("{} {blank}", bits(1.0)),
            "'true'".into()
        ]
    );
    assert_eq!(rows[18][1], bits(f64::INFINITY));
    assert_eq!(rows[19][2], "'NA'");
    assert_eq!(common::refuse(&table, 20_003.0, 2, None).line(), Some(24_005));
    assert!(table.sample().numbers(0).unwrap().len() == table.sample().rows());
}

#[test]
fn json_errors_name_the_line() {
    let dir = tempfile::tempdir().unwrap();
    for (text, message, hint) in [
        ("{\"a\": 1}\n{\"a\": x}\n", ":2: is not valid JSON at character 7: expected value", ""),
        ("{\"a\": 1}\n{\"a\": NaN}\n", ":2: is not valid JSON at character 7", "null"),
        ("{\"a\": 1}\n\n{\"a\": 1, \"a\": 2}\n", ":3: key \"a\" stands twice", "once"),
        ("{\"a\": 1}\n{\"a\": {\"b\": 1}}\n", ":2: column a is a nested object, not a number", ""),
        ("{\"a\": 1}\n{\"a\": \"50%\"}\n", ":2: column a is \"50%\", not a number", "100"),
        ("{\"a\": 1}\n{\"a\": 1e999}\n", ":2: column a is \"1e999\", too large", "inf"),
        (
            "{\"a\": [1, 2]}\n{\"a\": [1]}\n",
            ":2: column a has 1 number, the first row has 2",
            "same length",
        ),
        ("[{\"a\": 1}]\n", ":1: is a JSON array", "jq -c '.[]'"),
        ("{\n  \"a\": 1\n}\n", ":1: is not valid JSON at character", "jq -c ."),
        ("{\"a\": 1}\n[1]\n", ":2: is a JSON array", "jq"),
        ("{\"a\": 1}\n1\n", ":2: is \"1\", not a JSON object", "each line"),
        ("{\"a\": 1}\n{\"a\": \"\u{0}\"}\n", ":2: has a NUL byte", ""),
        ("", ": is empty", ""),
        ("\n \n", ": is empty", ""),
    ] {
        let spec = write(dir.path(), "t.jsonl", text);
        let read_as = if text.contains("[1, 2]") { None } else { Some(ReadAs::Numbers) };
        let (error, found) = error_of(&spec, read_as);
        assert!(error.starts_with(&format!("{spec}{message}")), "{text}: {error}");
        assert!(found.contains(hint), "{text}: {found}");
    }
    let spec = write(dir.path(), "t.jsonl", b"{\"a\": \"x\"}\n{\"a\": \"caf\xe9\"}\n");
    let (error, hint) = error_of(&spec, None);
    assert!(error.contains(":2: is not valid JSON") && hint.contains("UTF-8"), "{error} {hint}");
}

fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let dict = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(dict.len() as u16).to_le_bytes());
    bytes.extend_from_slice(dict.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

#[test]
fn numpy_arrays_of_every_type_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let v = [0.5f64, -2.0, 3.0];
    macro_rules! bytes {
        ($t:ty, $to:ident) => {
            v.iter().flat_map(|x| (*x as $t).$to()).collect::<Vec<u8>>()
        };
    }
    let f16s: Vec<u8> = v.iter().flat_map(|x| f16::from_f64(*x).to_be_bytes()).collect();
    for (descr, data, whole) in [
        ("<f8", bytes!(f64, to_le_bytes), false),
        (">f8", bytes!(f64, to_be_bytes), false),
        ("<f4", bytes!(f32, to_le_bytes), false),
        (">f2", f16s, false),
        ("|i1", bytes!(i8, to_le_bytes), true),
        (">i2", bytes!(i16, to_be_bytes), true),
        ("<i4", bytes!(i32, to_le_bytes), true),
        (">i8", bytes!(i64, to_be_bytes), true),
    ] {
        let spec = write(dir.path(), "a.npy", npy(descr, false, "(3,)", &data));
        let table = open(&spec).unwrap();
        assert_eq!((table.columns()[0].name.as_str(), table.row_hint()), ("0", Some(3)));
        let (rows, error) = rows_every_way(&table, &all_as(&table, ReadAs::Numbers));
        let want = if whole { [0.0, -2.0, 3.0] } else { v };
        let want: Vec<Vec<String>> =
            want.iter().map(|x| vec![format!("{:016x}", x.to_bits())]).collect();
        assert_eq!((rows, error), (want, None), "{descr}");
        let (rows, _) = rows_every_way(&table, &all_as(&table, ReadAs::Text));
        assert_eq!(rows[1][0], "'-2'");
    }
    let text: Vec<u8> = "ab\u{e9}x\0\0".chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
    let table = open(&write(dir.path(), "a.npy", npy("<U3", false, "(2,)", &text))).unwrap();
    assert_eq!(rows_every_way(&table, &requests(&table)).0, [["'ab\u{e9}'"], ["'x'"]]);
    let table = open(&write(dir.path(), "a.npy", npy("|b1", false, "(2,)", &[1, 0]))).unwrap();
    assert_eq!(rows_every_way(&table, &requests(&table)).0, [["'true'"], ["'false'"]]);
    let (error, _) = error_of(
        &write(dir.path(), "a.npy", npy("<i8", false, "(1,)", &i64::MAX.to_le_bytes())),
        Some(ReadAs::Numbers),
    );
    assert!(error.contains("row 1: column 0 is 9223372036854775807"), "{error}");
}

#[test]
fn numpy_orders_and_archives_agree() {
    let dir = tempfile::tempdir().unwrap();
    let (n, k) = (50_000usize, 3usize);
    let x = |i: usize, j: usize| ((i * k + j) as f64).sqrt();
    let c: Vec<u8> = (0..n).flat_map(|i| (0..k).flat_map(move |j| x(i, j).to_le_bytes())).collect();
    let f: Vec<u8> = (0..k).flat_map(|j| (0..n).flat_map(move |i| x(i, j).to_le_bytes())).collect();
    let labels: Vec<u8> = (0..n).flat_map(|i| ((i % 3) as i32).to_le_bytes()).collect();
    let shape = format!("({n}, {k})");
    let c = npy("<f8", false, &shape, &c);
    let f = npy("<f8", true, &shape, &f);
    let labels = npy("<i4", false, &format!("({n},)"), &labels);
    let zipped = |proba: &[u8], method| {
        use std::io::Write as _;
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        for (name, bytes) in [
            ("y.npy", &labels[..]),
            ("proba.npy", proba),
            ("object.npy", &npy("|O", false, "(3,)", b"")),
        ] {
            zip.start_file(name, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    let mut first = None;
    let mut check = |spec: &str, column: &str| {
        let table = open(spec).unwrap();
        let column = table.column(column).unwrap();
        assert_eq!(
            (table.columns()[column].kind, table.row_hint()),
            (Kind::List { width: Some(3) }, Some(n as u64))
        );
        let (rows, error) = rows_every_way(&table, &[Request { column, read_as: ReadAs::List }]);
        assert_eq!((rows.len(), error), (n, None));
        assert!(*first.get_or_insert(rows.clone()) == rows, "{spec}");
        assert_eq!(table.sample().lists(column).unwrap().1[4], x(1, 1));
    };
    check(&write(dir.path(), "c.npy", &c), "values");
    check(&write(dir.path(), "f.npy", &f), "values");
    for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
        check(&write(dir.path(), "c.npz", zipped(&c, method)), "proba");
        check(&write(dir.path(), "f.npz", zipped(&f, method)), "proba");
    }
    let spec = write(dir.path(), "c.npz", zipped(&c, zip::CompressionMethod::Deflated));
    let table = open(&spec).unwrap();
    let (rows, _) = rows_of(&table, &requests(&table), 2, None);
    assert_eq!(rows[40_001][0], format!("'{}'", 40_001 % 3));
    let (error, _) = error_of(&spec, Some(ReadAs::Numbers));
    assert!(error.contains("a list, not a number"), "{error}");
    // A wrong byte in a deflated array shows in its checksum or before.
    let mut bytes = std::fs::read(&spec).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    let table = open(&write(dir.path(), "bad.npz", bytes)).unwrap();
    let (_, error) = rows_of(&table, &requests(&table), 2, None);
    assert!(error.unwrap().to_string().contains("damaged"));
}

#[test]
fn numpy_files_that_lie_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (bytes, message) in [
        (npy("<f8", false, "(4,)", &[0; 31]), "ends 1 bytes too early"),
        (npy("<f8", false, "(9000000000000000000, 1)", &[]), "too large"),
        (npy("<f8", false, "(1000000000000,)", &[0; 80]), "too early"),
        (npy("<f8", false, "()", &[0; 8]), "0 dimensions"),
        (b"\x93NUMPY\x01\x00\xff\xff{'descr'".to_vec(), "damaged"),
        (b"".to_vec(), "is empty"),
        (b"PK\x03\x04".to_vec(), "damaged"),
    ] {
        let (error, _) = error_of(&write(dir.path(), "a.npy", &bytes), None);
        assert!(error.contains(message), "{error}");
    }
    let (error, _) = error_of(&write(dir.path(), "a.npz", b"PK\x03\x04"), None);
    assert!(error.contains("damaged"), "{error}");
}

#[test]
fn blanks_are_told_from_nan() {
    let dir = tempfile::tempdir().unwrap();
    let table = open(&write(dir.path(), "t.csv", "x\nNaN\n\"\"\n1\n")).unwrap();
    let requests = all_as(&table, ReadAs::Numbers);
    table
        .scan(
            &requests,
            &ScanOptions::default(),
            |batch| Ok(batch.column(0).numbers().unwrap().to_vec()),
            |x, _| {
                assert!(x[0].is_nan() && !is_blank(x[0]));
                assert!(x[1].is_nan() && is_blank(x[1]));
                Ok::<(), Error>(())
            },
        )
        .unwrap();
}
