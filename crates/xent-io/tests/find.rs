//! From what the user writes to tables: names, directories, patterns, parts, pipes; and back out.

#![allow(clippy::unwrap_used, clippy::format_collect, reason = "tests")]

mod common;

use common::{all_as, open, requests, rows_every_way, rows_of, write};
use std::path::Path;
use xent_io::out::{OutColumn, OutKind, RowWriter};
use xent_io::{Format, OpenOptions, ReadAs, ScanOptions, Table};

#[test]
fn names_and_formats_come_from_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let csv = "a,b\n1,2\n";
    for (file, name, format) in [
        ("m.csv", "m", Format::Csv),
        ("m.v2.CSV", "m.v2", Format::Csv),
        ("m.tsv", "m", Format::Tsv),
        ("m", "m", Format::Csv),
        ("m.txt", "m.txt", Format::Csv),
        (".csv", ".csv", Format::Csv),
    ] {
        let table = open(&write(dir.path(), file, csv)).unwrap();
        assert_eq!((table.name(), table.format()), (name, format), "{file}");
        assert_eq!(table.byte_len(), Some(csv.len() as u64));
    }
    let table = open(&write(dir.path(), "lines", "{\"a\": 1}\n")).unwrap();
    assert_eq!(table.format(), Format::JsonLines);
    let spec = write(dir.path(), "x.dat", csv);
    let options = OpenOptions { format: Some(Format::Tsv) };
    assert_eq!(Table::open(&spec, &options).unwrap().columns()[0].name, "a,b");
}

#[test]
fn binary_files_are_not_read_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = zstd::encode_all(&b"PAR1 and so on"[..], 1).unwrap();
    for name in ["a.parquet", "a.parquet.zst", "a.dat"] {
        let error = open(&write(dir.path(), name, &bytes)).unwrap_err();
        assert!(error.to_string().contains("is a compressed Parquet file"), "{error}");
    }
}

#[test]
fn parts_are_one_table() {
    let dir = tempfile::tempdir().unwrap();
    let parts = dir.path().join("preds");
    std::fs::create_dir(&parts).unwrap();
    let mut text = [String::from("x\n"), String::from("x\n"), String::from("x\n")];
    for i in 0..300_000 {
        text[i / 100_000] += &format!("{i}\n");
    }
    write(&parts, "part-1.csv", &text[1]);
    write(&parts, "part-0.csv", &text[0]);
    write(&parts, "part-2.csv.gz", &text[2]);
    write(&parts, "_SUCCESS", "");
    write(&parts, ".hidden.csv", "y\n1\n");
    write(&parts, "README.md", "not a table");
    let directory = parts.to_str().unwrap();
    let pattern = format!("{directory}/part-*.csv*");
    for (spec, name) in [(directory, "preds"), (pattern.as_str(), "preds")] {
        let table = open(spec).unwrap();
        assert_eq!((table.name(), table.files().len()), (name, 3));
        let (rows, error) = rows_every_way(&table, &all_as(&table, ReadAs::Text));
        assert_eq!((rows.len(), error), (300_000, None));
        assert!(rows.iter().enumerate().all(|(i, row)| row[0] == format!("'{i}'")));
        let error = common::refuse(&table, 150_000.0, 3, None);
        assert_eq!((error.line(), error.row()), (Some(50_002), Some(50_001)));
        assert!(error.file().ends_with("part-1.csv"));
    }
    write(&parts, "part-1.csv", "y\n1\n");
    let error = open(directory).unwrap_err();
    assert!(error.to_string().contains("part-1.csv: column 1 is y, in "), "{error}");
    write(&parts, "part-1.csv", "x,y\n1,2\n");
    let error = open(directory).unwrap_err();
    assert!(error.to_string().contains("part-1.csv: has 2 columns, "), "{error}");
    std::fs::remove_file(parts.join("part-1.csv")).unwrap();
    write(&parts, "part-1.jsonl", "{\"x\": 1}\n");
    let error = open(directory).unwrap_err();
    assert!(
        error.to_string().ends_with("part-1.jsonl: is JSON Lines, the first part is CSV"),
        "{error}"
    );
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "preds.csv", "a\n1\n");
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    let error = open(&path("perds.csv")).unwrap_err();
    assert_eq!(error.to_string(), format!("{}: no such file", path("perds.csv")));
    assert_eq!(error.hint(), Some("did you mean preds.csv?"));
    assert_eq!(open(&path("preds.parquet")).unwrap_err().hint(), Some("did you mean preds.csv?"));
    assert_eq!(open(&path("zzz")).unwrap_err().hint(), None);
    assert!(open(&path("no/where.csv")).unwrap_err().hint().unwrap().contains("no directory"));
    assert!(open(&path("*.tsv")).unwrap_err().to_string().ends_with("*.tsv: no file matches"));
    std::fs::create_dir(path("empty")).unwrap();
    let error = open(&path("empty")).unwrap_err();
    assert!(error.to_string().ends_with("empty: holds no table files"), "{error}");
    assert!(error.hint().unwrap().contains("table files end in"));
    assert!(open("").is_err());
}

#[cfg(unix)]
#[test]
fn links_that_loop_and_files_without_permission_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("loop.csv");
    std::os::unix::fs::symlink(&link, &link).unwrap();
    let error = open(link.to_str().unwrap()).unwrap_err();
    assert!(error.to_string().contains("too many levels"), "{error}");
    let spec = write(dir.path(), "p.csv", "a\n1\n");
    std::fs::set_permissions(&spec, std::fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may read it all the same.
    if std::fs::File::open(&spec).is_err() {
        let error = open(&spec).unwrap_err();
        assert_eq!(error.to_string(), format!("{spec}: cannot open: permission denied"));
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("a.csv", "x\n".to_string() + &(0..300_000).map(|i| format!("{i}\n")).collect::<String>()),
        ("a.jsonl", (0..100_000).map(|i| format!("{{\"x\": {i}}}\n")).collect::<String>()),
    ] {
        let fifo = dir.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let to = fifo.clone();
        let lines = bytes.lines().count() - usize::from(name == "a.csv");
        let writer = std::thread::spawn(move || std::fs::write(to, bytes));
        let table = open(fifo.to_str().unwrap()).unwrap();
        assert_eq!((table.name(), table.byte_len()), ("a", None));
        let (rows, error) = rows_of(&table, &requests(&table), 2, None);
        assert_eq!((rows.len(), error.map(|e| e.to_string())), (lines, None));
        writer.join().unwrap().unwrap();
        let (_, error) = rows_of(&table, &requests(&table), 2, None);
        assert!(error.unwrap().to_string().contains("can be read only once"));
    }
}

fn write_rows(path: &Path, rows: usize, batch: usize) {
    let columns =
        [("id", OutKind::Integer), ("loss, nats", OutKind::Number), ("label", OutKind::Text)];
    let mut writer = RowWriter::create(path, &columns).unwrap();
    for first in (0..rows).step_by(batch) {
        let range = first..(first + batch).min(rows);
        let ids: Vec<u64> = range.clone().map(|i| i as u64).collect();
        let losses: Vec<f64> = range.clone().map(loss).collect();
        let labels: Vec<Option<&str>> =
            range.map(|i| (i % 5 != 0).then_some("a \"quoted\",\nlabel")).collect();
        writer
            .write(&[
                OutColumn::Integers(&ids),
                OutColumn::Numbers(&losses),
                OutColumn::Text(&labels),
            ])
            .unwrap();
    }
    writer.finish().unwrap();
}

fn loss(i: usize) -> f64 {
    match i {
        0 => f64::INFINITY,
        1 => -0.0,
        2 => 5e-324,
        3 => f64::MAX,
        4 => f64::NEG_INFINITY,
        _ => 1.0 / i as f64,
    }
}

#[test]
fn what_is_written_reads_back_with_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["out.csv", "out.tsv", "out.parquet"] {
        let path = dir.path().join(name);
        write_rows(&path, 20_000, 777);
        let table = open(path.to_str().unwrap()).unwrap();
        assert_eq!(table.columns()[1].name, "loss, nats");
        let requests = all_as(&table, ReadAs::Numbers);
        let mut row = 0;
        table
            .scan(
                &requests[1..2],
                &ScanOptions::default(),
                |batch| Ok(batch.column(0).numbers().unwrap().to_vec()),
                |numbers, _| {
                    for x in numbers {
                        assert_eq!(x.to_bits(), loss(row).to_bits(), "{name} row {row}");
                        row += 1;
                    }
                    Ok::<(), xent_io::Error>(())
                },
            )
            .unwrap();
        assert_eq!(row, 20_000);
        let (rows, _) = rows_of(&table, &all_as(&table, ReadAs::Text)[2..], 2, None);
        assert_eq!(
            (rows[0][0].as_str(), rows[1][0].as_str()),
            ("<missing>", "'a \"quoted\",\nlabel'")
        );
    }
    assert!(RowWriter::create(&dir.path().join("x.xlsx"), &[]).is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
}
