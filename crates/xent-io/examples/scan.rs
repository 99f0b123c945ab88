//! Opens a table, says what is in it, sums every number column and times the scan.
//!
//! `cargo run --release -p xent-io --example scan -- FILE [THREADS]`

use std::time::Instant;

use xent_io::{Column, Error, Kind, OpenOptions, ReadAs, Request, ScanOptions, Table};

#[expect(clippy::print_stdout, reason = "an example that prints")]
fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let spec = arguments.next().unwrap_or_else(|| "-".into());
    let threads = arguments.next().and_then(|t| t.parse().ok()).unwrap_or(0);
    let start = Instant::now();
    let table = Table::open(&spec, &OpenOptions::default())?;
    let mut requests = Vec::new();
    for (column, info) in table.columns().iter().enumerate().take(20) {
        println!("{}: {:?}", info.name, info.kind);
        let read_as = match info.kind {
            Kind::Number | Kind::Integer => ReadAs::Numbers,
            Kind::List { .. } => ReadAs::List,
            Kind::Text | Kind::Boolean => ReadAs::Text,
            Kind::Unsupported => continue,
        };
        requests.push(Request { column, read_as });
    }
    let mut rows = 0;
    let mut totals = vec![0.0; requests.len()];
    let options = ScanOptions { threads, ..ScanOptions::default() };
    table.scan(
        &requests,
        &options,
        |batch| {
            Ok(batch
                .columns()
                .iter()
                .map(|column| match column {
                    Column::Numbers(values) | Column::Rows { values, .. } => {
                        values.iter().sum::<f64>()
                    }
                    // Nothing is requested as a tensor.
                    Column::Tensor(_) => f64::NAN,
                    Column::Text(texts) => {
                        texts.iter().flatten().map(str::len).sum::<usize>() as f64
                    }
                })
                .collect::<Vec<f64>>())
        },
        |sums, span| {
            rows += span.rows;
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total += sum;
            }
            Ok::<(), Error>(())
        },
    )?;
    println!("{rows} rows, sums {totals:?}, {:.3} s", start.elapsed().as_secs_f64());
    Ok(())
}
