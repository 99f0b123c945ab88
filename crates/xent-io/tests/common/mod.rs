//! What the tests share: files in a temporary directory, and whole tables as rows of cells.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(dead_code, reason = "each test file uses some of it")]

use std::path::Path;

use xent_io::{
    Column, Error, Kind, OpenOptions, ReadAs, Request, RowError, ScanOptions, Span, Table,
};

/// One row: each requested column as text, numbers by their bits.
pub type Row = Vec<String>;

pub fn write(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_string()
}

pub fn open(spec: &str) -> Result<Table, Error> {
    Table::open(spec, &OpenOptions::default())
}

/// How to read each column, by its kind.
pub fn requests(table: &Table) -> Vec<Request> {
    let read_as = |kind| match kind {
        Kind::Number => Some(ReadAs::Numbers),
        Kind::List { .. } => Some(ReadAs::List),
        Kind::Text | Kind::Boolean | Kind::Integer => Some(ReadAs::Text),
        Kind::Unsupported => None,
    };
    let columns = table.columns().iter().enumerate();
    columns.filter_map(|(column, c)| Some(Request { column, read_as: read_as(c.kind)? })).collect()
}

pub fn all_as(table: &Table, read_as: ReadAs) -> Vec<Request> {
    (0..table.columns().len()).map(|column| Request { column, read_as }).collect()
}

fn cell(column: &Column, row: usize) -> String {
    let bits = |x: &f64| format!("{:016x}", x.to_bits());
    match column {
        Column::Numbers(n) => bits(&n[row]),
        Column::Text(t) => t.get(row).map_or("<missing>".into(), |t| format!("'{t}'")),
        Column::Rows { width, values } => {
            let row = &values[row * width..(row + 1) * width];
            row.iter().map(bits).collect::<Vec<_>>().join(" ")
        }
        Column::Tensor(tensor) => {
            let mut values = Vec::new();
            tensor.numbers_in(&mut values);
            let row = &values[row * tensor.width()..(row + 1) * tensor.width()];
            row.iter().map(bits).collect::<Vec<_>>().join(" ")
        }
    }
}

/// All rows of the requested columns, and the error that ended them. Checks the spans.
pub fn rows_of(
    table: &Table,
    requests: &[Request],
    threads: usize,
    batch_rows: Option<usize>,
) -> (Vec<Row>, Option<Error>) {
    let options = ScanOptions { threads, batch_rows, backlog: None };
    let mut rows: Vec<Row> = Vec::new();
    let mut last: Option<Span> = None;
    let result = table.scan(
        requests,
        &options,
        |batch| {
            assert!(batch.rows() > 0);
            assert!(batch_rows.is_none_or(|n| batch.rows() <= n));
            let row = |r| batch.columns().iter().map(|c| cell(c, r)).collect::<Row>();
            Ok((0..batch.rows()).map(row).collect::<Vec<Row>>())
        },
        |part, span| {
            assert_eq!((span.first_row, span.rows), (rows.len() as u64, part.len()));
            if let Some(last) = last {
                assert!(span.bytes_read >= last.bytes_read && span.file >= last.file);
            }
            if let Some(total) = table.byte_len() {
                assert!(span.bytes_read <= total, "{span:?} of {total}");
            }
            last = Some(span);
            rows.extend(part);
            Ok::<(), Error>(())
        },
    );
    (rows, result.err())
}

/// The rows, which must be the same for all threads and batch sizes.
pub fn rows_every_way(table: &Table, requests: &[Request]) -> (Vec<Row>, Option<String>) {
    let text = |e: Option<Error>| e.map(|e| e.to_string());
    let (rows, error) = rows_of(table, requests, 1, None);
    let error = text(error);
    for threads in [1, 2, 3, 8] {
        for batch_rows in [Some(1), Some(7), Some(8192)] {
            let (other, e) = rows_of(table, requests, threads, batch_rows);
            assert_eq!(other.len(), rows.len(), "{threads} threads, batches of {batch_rows:?}");
            assert!(other == rows, "{threads} threads, batches of {batch_rows:?}");
            assert_eq!(text(e), error, "{threads} threads, batches of {batch_rows:?}");
        }
    }
    (rows, error)
}

/// The error of opening and reading all columns in all ways, as `error` and `hint`.
pub fn error_of(spec: &str, read_as: Option<ReadAs>) -> (String, String) {
    let with_hint = |e: &Error| (e.to_string(), e.hint().unwrap_or("").to_string());
    let table = match open(spec) {
        Ok(table) => table,
        Err(e) => return with_hint(&e),
    };
    let requests = read_as.map_or_else(|| requests(&table), |r| all_as(&table, r));
    rows_every_way(&table, &requests);
    let (_, error) = rows_of(&table, &requests, 2, None);
    with_hint(&error.expect("an error"))
}

/// An error of `map` at the first row whose first number is `x`.
pub fn refuse(table: &Table, x: f64, threads: usize, batch_rows: Option<usize>) -> Error {
    let requests = [Request { column: 0, read_as: ReadAs::Numbers }];
    let options = ScanOptions { threads, batch_rows, backlog: None };
    table
        .scan(
            &requests,
            &options,
            |batch| match batch.column(0).numbers().unwrap().iter().position(|v| *v == x) {
                None => Ok(()),
                Some(row) => Err(RowError {
                    row,
                    column: Some("x".into()),
                    message: format!("column x is {x}"),
                    hint: None,
                }),
            },
            |(), _| Ok::<(), Error>(()),
        )
        .unwrap_err()
}
