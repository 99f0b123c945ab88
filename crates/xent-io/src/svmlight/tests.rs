use std::fmt::Write as _;
use std::io::Write as _;

use proptest::prelude::*;

use super::*;
use crate::error::RowError;
use crate::table::{OpenOptions, Table};

fn read_bytes(name: &str, bytes: &[u8], threads: usize) -> Result<SparseTable, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read(path.to_str().unwrap(), threads)
}

fn read_text(text: &str) -> SparseTable {
    read_bytes("t.svm", text.as_bytes(), 1).unwrap()
}

fn mapped_text(text: &str) -> MappedTable {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.svm");
    std::fs::write(&path, text).unwrap();
    read_mapped(path.to_str().unwrap(), 3).unwrap()
}

/// Whether both hold the same rows, to the bit.
fn is_same(held: &SparseTable, mapped: &MappedTable) -> bool {
    let first = u32::from(!held.is_zero_based);
    let indices: Vec<u32> =
        mapped.indices.iter().map(|&i| mapped.features[i as usize] - first).collect();
    let values = match (&held.values, &mapped.values) {
        (Values::Ones, MappedValues::Ones) => true,
        (Values::F32(a), MappedValues::F32(b)) => {
            a.iter().map(|x| x.to_bits()).eq(b.iter().map(|x| x.to_bits()))
        }
        (Values::F64(a), MappedValues::F64(b)) => {
            a.iter().map(|x| x.to_bits()).eq(b.iter().map(|x| x.to_bits()))
        }
        _ => false,
    };
    let mut occur = indices.clone();
    occur.sort_unstable();
    occur.dedup();
    values
        && indices == held.indices
        && mapped.offsets == held.offsets
        && mapped.labels == held.labels
        && mapped.queries == held.queries
        && occur.len() == mapped.features.len()
}

/// Labels and features in passing, as `scan` shows them.
type Passed = Vec<(String, Vec<(u32, f64)>)>;

fn scan_bytes(bytes: &[u8], threads: usize) -> Result<Passed, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.svm");
    std::fs::write(&path, bytes).unwrap();
    let mut all = Vec::new();
    let map = |rows: &SparseRows<'_>| {
        let row = |i| (rows.label(i).into_owned(), rows.row(i).collect());
        Ok((0..rows.n_rows()).map(row).collect::<Passed>())
    };
    scan::<_, Error>(path.to_str().unwrap(), threads, map, |more| {
        all.extend(more);
        Ok(())
    })?;
    Ok(all)
}

/// An error without the directory of its file.
fn without_directory(error: &Error) -> String {
    error.to_string().rsplit('/').next().unwrap_or_default().to_owned()
}

/// The message behind the file's name, and the hint.
fn refusal(bytes: &[u8]) -> (String, String) {
    let error = read_bytes("t.svm", bytes, 2).unwrap_err();
    let text = error.to_string();
    let (_, text) = text.split_once("t.svm").unwrap();
    (text.to_owned(), error.hint().unwrap().to_owned())
}

#[test]
fn everything_that_the_format_has() {
    let text = "# a comment\n\n+1 qid:3 1:0.5 7:-2e-3 # more: 1:2\r\n-1\tqid:4\n \t\n1 qid:4 2:1#x";
    let table = read_text(text);
    assert_eq!(table.offsets, [0, 2, 2, 3]);
    assert_eq!(table.indices, [0, 6, 1]);
    assert_eq!(table.values, Values::F64(vec![0.5, -0.002, 1.0]));
    assert_eq!(table.labels, Labels::Numbers(vec![1.0, -1.0, 1.0]));
    assert_eq!(table.queries, Some(vec![3, 4, 4]));
    assert_eq!((table.n_rows(), table.n_features, table.is_zero_based), (3, 7, false));
}

#[test]
fn an_index_of_zero_counts_from_zero() {
    let table = read_text("1 1:2\n0 0:3 4:1\n");
    assert_eq!((table.indices, table.n_features, table.is_zero_based), (vec![1, 0, 4], 5, true));
    let largest = read_text("1 4294967295:1\n");
    assert_eq!((largest.indices, largest.n_features), (vec![u32::MAX - 1], u32::MAX as usize));
    assert_eq!(read_text("1\n2\n").n_features, 0);
}

#[test]
fn values_are_as_narrow_as_they_are() {
    assert_eq!(read_text("1 1:1 2:1.0 3:1e0\n1\n").values, Values::Ones);
    assert_eq!(read_text("1 1:1 2:0.25\n1 3:-0\n").values, Values::F32(vec![1.0, 0.25, -0.0]));
    assert_eq!(read_text("1 1:1 2:0.1\n").values, Values::F64(vec![1.0, 0.1]));
    // Beyond f32, and a number that takes more than one rounding if it is not read with care.
    assert_eq!(read_text("1 1:1e39\n").values, Values::F64(vec![1e39]));
    let hard = "8.5899345922500001e9";
    assert_eq!(
        read_text(&format!("1 1:{hard} 2:5e-324\n")).values,
        Values::F64(vec![8589934592.2500001, 5e-324])
    );
}

#[test]
fn labels_are_numbers_or_words() {
    let table = read_text("cat 1:1\ndog 1:1\ncat\n1\n");
    let names = ["cat", "dog", "1"].map(str::to_owned).to_vec();
    assert_eq!(table.labels, Labels::Text { names, codes: vec![0, 1, 0, 2] });
    assert_eq!(read_text("1\n+1\n1.0\n-0.5\n").labels, Labels::Numbers(vec![1.0, 1.0, 1.0, -0.5]));
    let names = ["民主党", "na"].map(str::to_owned).to_vec();
    assert_eq!(read_text("民主党\nna\n").labels, Labels::Text { names, codes: vec![0, 1] });
}

#[test]
fn what_is_refused_and_what_to_try() {
    let cases: [(&[u8], &str, &str); 23] = [
        (b"1 1:1\n1,2 1:1\n", ":2: label \"1,2\" names several classes", "one label"),
        (b"1:0.5 2:1\n", ":1: the line starts with \"1:0.5\", not with a label", "label first"),
        (b"# x\nnan 1:1\n", ":2: label \"nan\" is not finite", "leave out"),
        (b"1e999\n", ":1: label \"1e999\" is not finite", "leave out"),
        (b"\xff 1:1\n", ":1: label \"\u{fffd}\" is not UTF-8 text", "UTF-8"),
        (b"1 3:1 2:1\n", ":1: index 2 follows index 3", "sort"),
        (b"1\n1 3:1 3:2\n", ":2: index 3 stands twice in a line", "add"),
        (b"1 3:1 word\n", ":1: \"word\" is no index:value", "index:value"),
        (b"1 a:1\n", ":1: index \"a\" is no whole number", "index:value"),
        (b"1 -1:1\n", ":1: index \"-1\" is no whole number", "index:value"),
        (b"1 :1\n", ":1: index \"\" is no whole number", "index:value"),
        (b"1 4294967296:1\n", ":1: index \"4294967296\" is beyond 4,294,967,295", "from 1"),
        (
            b"1 18446744073709551617:1\n",
            ":1: index \"18446744073709551617\" is beyond 4,294,967,295",
            "from 1",
        ),
        (b"1 3: 1\n", ":1: feature 3 has no value", "without a space"),
        (b"1 3:nan\n", ":1: the value of feature 3 is \"nan\", not finite", "left out"),
        (b"1 3:-inf\n", ":1: the value of feature 3 is \"-inf\", not finite", "left out"),
        (
            b"1 3:1e999\n",
            ":1: the value of feature 3 is \"1e999\", too large for a 64-bit number",
            "inf",
        ),
        (b"1 3:0x1\n", ":1: the value of feature 3 is \"0x1\", not a number", "decimal"),
        (b"1 3:1:2\n", ":1: the value of feature 3 is \"1:2\", not a number", "left out"),
        (b"1 1:1 qid:2\n", ":1: \"qid:2\" stands among the features", "behind the label"),
        (b"1 qid:x 1:1\n", ":1: \"qid:x\" is no query number", "whole number"),
        (b"1 qid:1\n# x\n1 1:1\n", ":3: this row has no qid, others have", "every row"),
        (b"1 1:1\r1 1:1\r", ":1: a carriage return stands alone", "line feed"),
    ];
    for (bytes, message, hint) in cases {
        let (got, got_hint) = refusal(bytes);
        assert_eq!(got, message);
        assert!(got_hint.contains(hint), "{message}: {got_hint}");
    }
    for empty in [&b""[..], b"\n\n", b"# only this\n"] {
        assert_eq!(refusal(empty).0, ": has no rows");
    }
    assert_eq!(refusal(b"\xff\xfe1\0").0, ": is UTF-16 text");
    assert!(refusal(b"PAR1....").0.contains("is not svmlight but Parquet"));
    for (bytes, message, _) in &cases[..3] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.svm");
        std::fs::write(&path, bytes).unwrap();
        let error = read_mapped(path.to_str().unwrap(), 2).unwrap_err().to_string();
        assert!(error.ends_with(message), "{error}");
    }
    assert!(read("no-such-file.svm", 1).unwrap_err().to_string().contains("no such file"));
}

/// A file of several chunks, `faults` lines of which are wrong in the way of their number.
fn long_file(rows: usize, faults: &[usize]) -> String {
    let mut text = String::new();
    for row in 0..rows {
        if faults.contains(&row) {
            writeln!(text, "1 {row}:x").unwrap();
        } else {
            writeln!(text, "{} {}:0.25 900000:{}.5 # {row}", row % 3, row + 1, row % 100).unwrap();
        }
    }
    text
}

#[test]
fn the_first_error_whatever_the_threads() {
    let text = long_file(150_000, &[120_000, 149_999, 60_001]);
    assert!(text.len() > 4 << 20);
    for threads in [1, 2, 3, 8] {
        let error = read_bytes("t.svm", text.as_bytes(), threads).unwrap_err();
        assert_eq!((error.line(), error.row()), (Some(60_002), Some(60_002)));
        assert!(error.to_string().contains("the value of feature 60001 is \"x\""), "{error}");
    }
}

#[test]
fn the_same_rows_whatever_the_threads_and_the_compression() {
    let text = long_file(100_000, &[]);
    let plain = read_bytes("t.svm", text.as_bytes(), 1).unwrap();
    assert_eq!(
        (plain.n_rows(), plain.indices.len(), plain.n_features),
        (100_000, 200_000, 900_000)
    );
    assert_eq!(plain.indices[2 * 77_777..][..2], [77_777, 899_999]);
    assert!(is_same(&plain, &mapped_text(&text)));
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    let gz = gz.finish().unwrap();
    let zst = zstd::encode_all(text.as_bytes(), 1).unwrap();
    for threads in [1, 2, 5, 0] {
        assert!(read_bytes("t.svm", text.as_bytes(), threads).unwrap() == plain);
        assert!(read_bytes("t.svm.gz", &gz, threads).unwrap() == plain);
        assert!(read_bytes("t.libsvm.zst", &zst, threads).unwrap() == plain);
    }
}

#[test]
fn files_of_a_directory_follow_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("part-1.svm", "b 0:1\n");
    write("part-0.svm", "\u{feff}a 2:1\n\na 3:0.5");
    let table = read(dir.path().to_str().unwrap(), 2).unwrap();
    assert_eq!((table.offsets, table.indices), (vec![0, 1, 2, 3], vec![2, 3, 0]));
    assert_eq!(table.values, Values::F32(vec![1.0, 0.5, 1.0]));
    let names = ["a", "b"].map(str::to_owned).to_vec();
    assert_eq!(table.labels, Labels::Text { names, codes: vec![0, 0, 1] });
    // Lines are counted in each file.
    write("part-2.svm", "c\n\nc x\n");
    let error = read(dir.path().to_str().unwrap(), 2).unwrap_err();
    assert!(error.to_string().ends_with("part-2.svm:3: \"x\" is no index:value"), "{error}");
}

#[test]
fn it_is_no_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let gz =
        flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()).finish().unwrap();
    for (name, bytes) in [("a.svm", &b"1 1:1\n"[..]), ("a.svmlight", b""), ("a.libsvm.gz", &gz)] {
        std::fs::write(path(name), bytes).unwrap();
        let error = Table::open(&path(name), &OpenOptions::default()).unwrap_err();
        assert!(
            error.to_string().ends_with(": is an svmlight file: labelled features, not a table"),
            "{error}"
        );
        assert_eq!(
            error.hint(),
            Some("xent train reads it; of a directory or a pipe say --input-format svmlight")
        );
    }
    let options = OpenOptions { format: Some(Format::Svmlight) };
    std::fs::write(path("a.txt"), "1 1:1\n").unwrap();
    assert!(Table::open(&path("a.txt"), &options).is_err());
    assert_eq!(read(&path("a.txt"), 1).unwrap().n_rows(), 1);
}

#[test]
fn a_line_without_an_end_is_refused() {
    let mut bytes = b"1 1:1\n2 ".to_vec();
    bytes.resize(40 << 20, b' ');
    assert_eq!(refusal(&bytes).0, ":2: a line is longer than 32 MiB");
}

#[test]
fn rows_in_passing_are_those_that_are_held() {
    let text = long_file(60_000, &[]);
    let held = read_text(&text);
    let passed = scan_bytes(text.as_bytes(), 1).unwrap();
    assert_eq!(passed.len(), held.n_rows());
    assert_eq!(passed, scan_bytes(text.as_bytes(), 3).unwrap());
    // A fault of the text or of whoever looks at a row has its file and line.
    let faulty = long_file(60_000, &[50_000, 20_000]);
    for threads in [1, 3] {
        let error = scan_bytes(faulty.as_bytes(), threads).unwrap_err();
        let held = read_bytes("t.svm", faulty.as_bytes(), threads).unwrap_err();
        assert_eq!(without_directory(&error), without_directory(&held));
    }
    let mixed = "# who\n1 1:1\n\n  \r\n1 qid:3 1:1\n";
    let held = read_bytes("t.svm", mixed.as_bytes(), 1).unwrap_err();
    let error = scan_bytes(mixed.as_bytes(), 1).unwrap_err();
    assert_eq!(without_directory(&error), without_directory(&held));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.svm");
    std::fs::write(&path, "# who\n1 1:1\n\n  \r\n1 1:1 # what\n").unwrap();
    let second = |_: &SparseRows<'_>| -> Result<(), RowError> {
        Err(RowError { row: 1, column: None, message: "no".to_owned(), hint: None })
    };
    let error = scan::<_, Error>(path.to_str().unwrap(), 2, second, |()| Ok(())).unwrap_err();
    assert_eq!(without_directory(&error), "t.svm:5: no");
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(1.0),
        (-1000..1000_i32).prop_map(|i| f64::from(i) / 64.0),
        -1e3..1e3_f64,
        any::<f64>().prop_filter("finite", |x| x.is_finite()),
    ]
}

type Rows = Vec<(String, Option<u64>, Vec<(u32, f64)>)>;

fn any_rows() -> impl Strategy<Value = Rows> {
    // Letters of which neither nan nor inf is made, which are refused.
    let label = prop_oneof!["[+-]?[0-9]{1,3}", "[a-m]{1,3}", Just("猫".to_owned())];
    let features = prop::collection::btree_map(1..50_u32, any_value(), 0..6);
    let row = (label, any::<u64>(), features.prop_map(|map| map.into_iter().collect()));
    let rows = prop::collection::vec(row, 1..30);
    (rows, any::<bool>()).prop_map(|(rows, has_queries)| {
        rows.into_iter()
            .map(|(label, query, row)| (label, has_queries.then_some(query), row))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// What is written is what is read, to the bit.
    #[test]
    fn write_then_read(rows in any_rows(), crlf: bool, base in 0_u32..2) {
        // Some index is 0 where the file counts from 0.
        let base = if base == 0 && rows.iter().all(|row| row.2.first().is_none_or(|f| f.0 != 1)) { 1 } else { base };
        let mut text = String::new();
        for (label, query, features) in &rows {
            text.push_str(label);
            if let Some(query) = query {
                write!(text, " qid:{query}").unwrap();
            }
            for (index, value) in features {
                write!(text, " {}:{value:?}", index - 1 + base).unwrap();
            }
            text.push_str(if crlf { "\r\n" } else { "\n" });
        }
        let table = read_text(&text);
        let flat: Vec<(u32, f64)> = rows.iter().flat_map(|row| row.2.clone()).collect();
        prop_assert_eq!(table.n_rows(), rows.len());
        for (i, row) in rows.iter().enumerate() {
            prop_assert_eq!(table.offsets[i + 1] - table.offsets[i], row.2.len());
        }
        let indices: Vec<u32> = flat.iter().map(|feature| feature.0 - 1).collect();
        prop_assert_eq!(&table.indices, &indices);
        prop_assert_eq!(table.n_features, indices.iter().max().map_or(0, |&last| last as usize + 1));
        prop_assert_eq!(table.is_zero_based, base == 0);
        let values: Vec<f64> = match &table.values {
            Values::Ones => vec![1.0; flat.len()],
            Values::F32(values) => values.iter().map(|&x| f64::from(x)).collect(),
            Values::F64(values) => values.clone(),
        };
        let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let expected: Vec<f64> = flat.iter().map(|feature| feature.1).collect();
        prop_assert_eq!(bits(&values), bits(&expected));
        let is_ones = expected.iter().all(|&x| x == 1.0);
        prop_assert_eq!(matches!(table.values, Values::Ones), is_ones);
        let is_f32 = expected.iter().all(|&x| f64::from(x as f32) == x);
        prop_assert_eq!(matches!(table.values, Values::F64(_)), !is_f32);
        match &table.labels {
            Labels::Numbers(labels) => {
                for (label, row) in labels.iter().zip(&rows) {
                    prop_assert_eq!(Ok(*label), row.0.parse());
                }
            }
            Labels::Text { names, codes } => {
                prop_assert!(rows.iter().any(|row| row.0.parse::<f64>().is_err()));
                for (code, row) in codes.iter().zip(&rows) {
                    prop_assert_eq!(&names[*code as usize], &row.0);
                }
            }
        }
        let queries: Option<Vec<u64>> = rows.iter().map(|row| row.1).collect();
        prop_assert_eq!(&table.queries, &queries);
        prop_assert!(is_same(&table, &mapped_text(&text)));
        let passed = scan_bytes(text.as_bytes(), 2).unwrap();
        let labels: Vec<&str> = passed.iter().map(|(label, _)| label.as_str()).collect();
        prop_assert_eq!(labels, rows.iter().map(|row| row.0.as_str()).collect::<Vec<_>>());
        let features: Vec<(u32, u64)> =
            passed.iter().flat_map(|(_, row)| row).map(|(i, x)| (*i, x.to_bits())).collect();
        let written = indices.iter().map(|i| i + base).zip(bits(&expected));
        prop_assert_eq!(features, written.collect::<Vec<_>>());
    }

    /// Any bytes give rows or an error, never a panic, and rows are in order.
    #[test]
    fn anything_at_all(bytes in prop::collection::vec(prop_oneof![
        Just(b' '), Just(b'\n'), Just(b':'), Just(b'#'), Just(b'1'), Just(b'.'), Just(b'\r'), Just(b'-'), any::<u8>()
    ], 0..60)) {
        let table = read_bytes("t.svm", &bytes, 1);
        match (&table, scan_bytes(&bytes, 1)) {
            (Ok(table), Ok(passed)) => prop_assert_eq!(table.n_rows(), passed.len()),
            (Err(a), Err(b)) => prop_assert_eq!(without_directory(a), without_directory(&b)),
            (table, passed) => prop_assert!(false, "{table:?} {passed:?}"),
        }
        if let Ok(table) = table {
            prop_assert_eq!(table.offsets.last(), Some(&table.indices.len()));
            for ends in table.offsets.windows(2) {
                prop_assert!(table.indices[ends[0]..ends[1]].is_sorted_by(|a, b| a < b));
            }
        }
    }
}
