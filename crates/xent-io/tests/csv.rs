//! CSV and TSV: against the `csv` crate, in all ways of cutting the work, and every refusal.

#![allow(clippy::unwrap_used, clippy::type_complexity, reason = "tests")]

mod common;

use std::fmt::Write as _;
use std::io::Write as _;

use common::{error_of, open, refuse, requests, rows_every_way, rows_of, write};
use proptest::prelude::*;
use xent_io::{Kind, ReadAs, Request};

/// A field of anything that CSV can hold, often with its special characters.
fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9.]{0,6}",
        "[a,;\"\n\r x\u{e9}\u{1f600}]{0,8}",
        Just("\"".to_string()),
        Just("\r\n".to_string()),
    ]
}

fn table() -> impl Strategy<Value = Vec<Vec<String>>> {
    (2usize..6)
        .prop_flat_map(|width| prop::collection::vec(prop::collection::vec(field(), width), 0..40))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn text_is_what_the_csv_crate_wrote(rows in table(), crlf: bool, always: bool, threads in 1usize..4, batch in 1usize..9) {
        let width = rows.first().map_or(2, Vec::len);
        let mut writer = csv::WriterBuilder::new()
            .terminator(if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') })
            .quote_style(if always { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary })
            .from_writer(Vec::new());
        writer.write_record((0..width).map(|i| format!("c{i}"))).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let dir = tempfile::tempdir().unwrap();
        let spec = write(dir.path(), "t.csv", writer.into_inner().unwrap());
        let table = open(&spec).unwrap();
        let (got, error) = rows_of(&table, &common::all_as(&table, ReadAs::Text), threads, Some(batch));
        prop_assert!(error.is_none(), "{error:?}");
        let want: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(|f| if f.is_empty() { "<missing>".into() } else { format!("'{f}'") }).collect())
            .collect();
        prop_assert_eq!(got, want);
    }

    #[test]
    fn anything_at_all_gives_rows_or_an_error(bytes in prop::collection::vec(prop_oneof![
        Just(b','), Just(b'\n'), Just(b'"'), Just(b'\r'), Just(b'a'), Just(b'1'), Just(b'.'), any::<u8>()
    ], 0..120)) {
        let dir = tempfile::tempdir().unwrap();
        let spec = write(dir.path(), "t.csv", &bytes);
        if let Ok(table) = open(&spec) {
            let (one, e1) = rows_of(&table, &requests(&table), 1, Some(1));
            let (many, e2) = rows_of(&table, &requests(&table), 3, None);
            prop_assert_eq!(one, many);
            prop_assert_eq!(e1.map(|e| e.to_string()), e2.map(|e| e.to_string()));
        }
    }

    #[test]
    fn numbers_are_what_rust_reads(x in any::<f64>(), y in -1e3..1e3f64) {
        let dir = tempfile::tempdir().unwrap();
        let spec = write(dir.path(), "t.csv", format!("a,b,c\n{x:?}, {y},{y:e}\r\n{y},\"{x:?}\",-0\n"));
        let table = open(&spec).unwrap();
        let (rows, error) = rows_of(&table, &common::all_as(&table, ReadAs::Numbers), 2, None);
        prop_assert!(error.is_none());
        let x = if x.is_nan() { f64::NAN } else { x };
        let bits = |x: f64| format!("{:016x}", x.to_bits());
        prop_assert_eq!(&rows[0], &vec![bits(x), bits(y), bits(y)]);
        prop_assert_eq!(&rows[1], &vec![bits(y), bits(x), bits(-0.0)]);
    }
}

/// Several chunks of rows with quoted newlines now and then.
fn long(rows: usize, mut spoil: impl FnMut(usize) -> Option<String>) -> (String, Vec<usize>) {
    let mut text = String::from("x,label,p\n");
    let mut lines = Vec::new();
    let mut line = 2;
    for i in 0..rows {
        lines.push(line);
        let row = spoil(i).unwrap_or_else(|| match i % 1000 {
            999 => format!("{i},\"two\nlines \"\"quoted\"\"\",0.25\n"),
            998 => format!("\n{i},,\n"),
            _ => format!("{i},class{},{}\n", i % 3, i as f64 / 7.0),
        });
        if row.starts_with('\n') {
            *lines.last_mut().unwrap() += 1;
        }
        line += row.matches('\n').count();
        text.push_str(&row);
    }
    (text, lines)
}

#[test]
fn rows_do_not_depend_on_threads_or_batches() {
    let (text, _) = long(120_000, |_| None);
    assert!(text.len() > 3 << 20);
    let dir = tempfile::tempdir().unwrap();
    let spec = write(dir.path(), "t.csv", &text);
    let table = open(&spec).unwrap();
    let (rows, error) = rows_every_way(&table, &requests(&table));
    assert_eq!((rows.len(), error), (120_000, None));
    assert_eq!(rows[999][1], "'two\nlines \"quoted\"'");
    assert_eq!(rows[998][1], "<missing>");
}

#[test]
fn the_first_error_in_row_order_is_reported_with_its_line() {
    for bad in [0, 1, 997, 50_000, 119_999] {
        let (text, lines) =
            long(120_000, |i| (i >= bad && i % 7 == bad % 7).then(|| format!("{i},x,50%\n")));
        let dir = tempfile::tempdir().unwrap();
        let spec = write(dir.path(), "t.csv", &text);
        let table = open(&spec).unwrap();
        let requests = [0, 2].map(|column| Request { column, read_as: ReadAs::Numbers });
        let (rows, error) = rows_every_way(&table, &requests);
        assert_eq!(rows.len(), bad);
        let want = format!("{spec}:{}: column p is \"50%\", not a number", lines[bad]);
        assert_eq!(error.unwrap(), want);
    }
}

#[test]
fn what_map_refuses_is_located() {
    let (text, lines) = long(120_000, |_| None);
    let dir = tempfile::tempdir().unwrap();
    let spec = write(dir.path(), "t.csv", &text);
    let table = open(&spec).unwrap();
    for row in [0, 998, 999, 1000, 77_777, 119_999] {
        for (threads, batch) in [(1, Some(1)), (2, Some(7)), (8, None)] {
            let error = refuse(&table, row as f64, threads, batch);
            assert_eq!(error.line(), Some(lines[row] as u64), "row {row}");
            assert_eq!(error.row(), Some(row as u64 + 1));
            assert_eq!(error.column(), Some("x"));
        }
    }
}

#[test]
fn structure_errors_name_line_and_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let cases: &[(&str, &[u8], &str, &str)] = &[
        (
            "ragged short",
            b"a,b,c\n1,2,3\n1,2\n",
            ":3: 2 fields, expected 3 as in the header",
            "every line",
        ),
        ("ragged long", b"a,b\n1,2\n1,2,3\n", ":3: 3 fields, expected 2", "delimiter"),
        ("ragged first", b"a,b\n1\n", ":2: 1 field, expected 2", "every line"),
        ("no header", b"0.1,0.9\n0.2,0.8\n", ":1: no header", "first line"),
        ("duplicate", b"a,b,a\n1,2,3\n", ":1: columns 1 and 3 are both named \"a\"", "own name"),
        (
            "open quote",
            b"a,b\n1,2\n\"1,2\n3,4\n",
            ":3: a quote opens here and is never closed",
            "twice",
        ),
        ("stray quote", b"a,b\nx,5\" tall\n", ":2: a quote stands inside a field", "whole field"),
        ("after quote", b"a,b\n\"x\" ,1\n", ":2: text follows a closing quote", "space"),
        ("lone return", b"a,b\rc,d\re,f\r", ":1: a carriage return stands alone", "tr "),
        ("lone return inside", b"a,b\n1,2\n3\r4,5\n", ":3: a carriage return", "tr "),
        ("utf-16", b"\xff\xfea\0,\0b\0", ": is UTF-16 text", "UTF-8"),
        (
            "two marks",
            b"\xef\xbb\xbf\xef\xbb\xbfa,b\n1,2\n",
            ":1: starts with two byte-order marks",
            "UTF-8",
        ),
        ("nul", b"a,b\n1,2\n1,\x002\n", ":3: has a NUL byte", "UTF-16"),
        ("empty", b"", ": is empty", "name the columns"),
        ("only a mark", b"\xef\xbb\xbf", ": is empty", "name the columns"),
        ("blank lines", b"\n\r\n\n", ": is empty", "name the columns"),
        (
            "header latin-1",
            b"a,caf\xe9\n1,2\n",
            ":1: the name of column 2 is not UTF-8 text (byte 0xE9)",
            "UTF-8",
        ),
        (
            "label latin-1",
            b"a,b\nx,1\ncaf\xe9,2\n",
            ":3: column a is not UTF-8 text (byte 0xE9 at character 4)",
            "UTF-8",
        ),
        ("zip", b"PK\x03\x04junk", ": is not CSV but a zip archive", "spreadsheet"),
        ("parquet", b"PAR1junk", ": is not CSV but Parquet", "rename"),
        ("bzip2", b"BZh91AY", ": is compressed with bzip2", "bunzip2"),
    ];
    for (name, bytes, message, hint) in cases {
        let spec = write(dir.path(), "t.csv", bytes);
        let (error, found) = error_of(&spec, None);
        assert!(error.starts_with(&format!("{spec}{message}")), "{name}: {error}");
        assert!(found.contains(hint), "{name}: {found}");
    }
}

#[test]
fn number_errors_name_the_value() {
    let dir = tempfile::tempdir().unwrap();
    for (value, message) in [
        ("50%", "column p is \"50%\", not a number"),
        ("\"0,5\"", "column p is \"0,5\", not a number"),
        ("0x1", "not a number"),
        (".", "not a number"),
        ("0.1e", "not a number"),
        ("1e999", "too large"),
        ("cat", "\"cat\", not a number"),
    ] {
        let spec = write(dir.path(), "t.csv", format!("p,q\n0.5,1\n{value},2\n"));
        let (error, _) = error_of(&spec, Some(ReadAs::Numbers));
        assert!(error.starts_with(&format!("{spec}:3: ")) && error.contains(message), "{error}");
    }
}

#[test]
fn odd_but_good_files_work() {
    let dir = tempfile::tempdir().unwrap();
    let good: &[(&[u8], &[&str], usize, Option<&str>)] = &[
        (b"\xef\xbb\xbfa,b\r\n1,2\r\n3,4", &["a", "b"], 2, None),
        (b"a;b\n1;2\n", &["a", "b"], 1, Some("separated by semicolons")),
        (
            b"sep=;\r\na;b\r\n1;2\r\n",
            &["a", "b"],
            1,
            Some("separated by semicolons, as its sep= line says"),
        ),
        (b"a\tb\n1\t2\n", &["a", "b"], 1, Some("separated by tabs")),
        (b"a|b|c,\n", &["a|b|c", "column 2"], 0, None),
        (b"\"a;x\",b\n1,2\n", &["a;x", "b"], 1, None),
        (b"a,b\n", &["a", "b"], 0, None),
        (b"a,b", &["a", "b"], 0, None),
        (b"0,1,2\n0.1,0.2,0.7\n", &["0", "1", "2"], 1, None),
        (b",a\n0,1\n", &["column 1", "a"], 1, None),
        (b" a , b\n1,2\n\n\n3,4\n\n", &["a", "b"], 2, None),
        (b"a\n\"\"\n1\n", &["a"], 2, None),
    ];
    for (bytes, names, rows, dialect) in good {
        let spec = write(dir.path(), "t.csv", bytes);
        let table = open(&spec).unwrap();
        let found: Vec<&str> = table.columns().iter().map(|c| c.name.as_str()).collect();
        assert_eq!(found, *names);
        assert_eq!(table.dialect().as_deref(), *dialect);
        let (got, error) = rows_every_way(&table, &requests(&table));
        assert_eq!((got.len(), error), (*rows, None));
    }
}

#[test]
fn tsv_is_tabs_only() {
    let dir = tempfile::tempdir().unwrap();
    let spec = write(dir.path(), "t.tsv", "a,x\tb\n1\t0,5\n");
    let table = open(&spec).unwrap();
    assert_eq!(table.columns()[0].name, "a,x");
    let (error, hint) = error_of(&spec, Some(ReadAs::Numbers));
    assert!(error.contains("column b is \"0,5\", not a number"), "{error}");
    assert!(hint.contains("point"));
}

#[test]
fn compressed_text_is_read_by_its_first_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (text, lines) = long(60_000, |_| None);
    let plain = open(&write(dir.path(), "t.csv", &text)).unwrap();
    let want = rows_of(&plain, &requests(&plain), 2, None).0;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&text.as_bytes()[..1000]).unwrap();
    let mut bytes = gzip.finish().unwrap();
    // A second member, as `cat a.gz b.gz` makes.
    let mut gzip = flate2::write::GzEncoder::new(&mut bytes, flate2::Compression::fast());
    gzip.write_all(&text.as_bytes()[1000..]).unwrap();
    gzip.finish().unwrap();
    let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
    for (name, bytes) in [("a.csv.gz", &bytes), ("b.csv", &bytes), ("c.csv.zst", &zstd)] {
        let table = open(&write(dir.path(), name, bytes)).unwrap();
        assert_eq!(table.name(), &name[..1]);
        assert!(rows_of(&table, &requests(&table), 2, None).0 == want);
        assert_eq!(refuse(&table, 50_000.0, 2, None).line(), Some(lines[50_000] as u64));
    }
    // A file cut short is an error, not a short table.
    let table = open(&write(dir.path(), "d.csv.gz", &bytes[..bytes.len() - 2000])).unwrap();
    let error = rows_of(&table, &requests(&table), 2, None).1.unwrap();
    assert!(error.to_string().contains("ends too early"), "{error}");
}

#[test]
fn kinds_come_from_the_first_rows() {
    let dir = tempfile::tempdir().unwrap();
    let text = "i,x,b,t,l,e\n1,0.5,true,cat,\"[0.25, 0.75]\",\n2,NA,False,1,\"[1,0]\",\n";
    let table = open(&write(dir.path(), "t.csv", text)).unwrap();
    let kinds: Vec<Kind> = table.columns().iter().map(|c| c.kind).collect();
    let list = Kind::List { width: Some(2) };
    assert_eq!(kinds, [Kind::Integer, Kind::Number, Kind::Boolean, Kind::Text, list, Kind::Number]);
    let sample = table.sample();
    assert_eq!(sample.rows(), 2);
    assert_eq!(sample.numbers(0), Some(vec![1.0, 2.0]));
    assert!(sample.numbers(1).unwrap()[1].is_nan());
    assert_eq!(sample.numbers(3), None);
    assert_eq!(sample.text(3), [Some("cat".to_string()), Some("1".to_string())]);
    assert_eq!(sample.lists(4), Some((2, vec![0.25, 0.75, 1.0, 0.0])));
    let lists = [Request { column: 4, read_as: ReadAs::List }];
    assert_eq!(rows_every_way(&table, &lists).0.len(), 2);
    assert!(table.sample().numbers(5).unwrap().iter().all(|x| xent_io::is_blank(*x)));
}

#[test]
fn a_column_may_be_requested_twice_and_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let table = open(&write(dir.path(), "t.csv", "a,b,c\n1,2,3\n4,5,6\n")).unwrap();
    let request = |column, read_as| Request { column, read_as };
    let requests =
        [request(2, ReadAs::Text), request(0, ReadAs::Numbers), request(2, ReadAs::Numbers)];
    let (rows, error) = rows_every_way(&table, &requests);
    assert_eq!(error, None);
    assert_eq!(
        rows[1],
        ["'6'".to_string(), format!("{:016x}", 4f64.to_bits()), format!("{:016x}", 6f64.to_bits())]
    );
    assert_eq!(rows_every_way(&table, &[]).0.len(), 2);
}

#[test]
fn wide_and_long_records_have_limits() {
    let dir = tempfile::tempdir().unwrap();
    let mut wide = String::new();
    for i in 0..1_000_000 {
        let _ = write!(wide, "c{i},");
    }
    let (error, _) = error_of(&write(dir.path(), "w.csv", wide + "end\n"), None);
    assert!(error.ends_with(":1: has more than 250000 columns"), "{error}");
    let field = "x".repeat(100 << 20);
    for (text, line) in
        [(format!("a,b\n1,2\n3,{field}\n"), 3), (format!("a,b\n1,\"{field}\"\n"), 2)]
    {
        let (error, _) = error_of(&write(dir.path(), "l.csv", text), None);
        assert!(error.ends_with(&format!(":{line}: a record is longer than 32 MiB")), "{error}");
    }
    let spec = write(dir.path(), "ok.csv", format!("a,b\n1,\"{}\"\n3,4\n", &field[..3 << 20]));
    let table = open(&spec).unwrap();
    assert_eq!(rows_of(&table, &requests(&table), 2, None).0.len(), 2);
}
