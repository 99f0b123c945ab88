//! safetensors; matrices as they are stored; tables side by side.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fmt::Write;

use common::{all_as, open, requests, rows_every_way, rows_of, write};
use half::{bf16, f16};
use proptest::prelude::*;
use xent_io::{Column, Error, Format, Kind, ReadAs, Request, ScanOptions, Table};

fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    while (10 + header.len()) % 64 != 63 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn safetensors(tensors: &[(&str, &str, &[usize], Vec<u8>)], pad: usize) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let start = data.len();
        data.extend_from_slice(bytes);
        let name = serde_json::to_string(name).unwrap();
        entries.push(format!(
            r#"{name}:{{"shape":{shape:?},"dtype":"{dtype}","data_offsets":[{start},{}]}}"#,
            data.len()
        ));
    }
    let header =
        format!(r#"{{"__metadata__":{{"format":"pt"}},{}}}{}"#, entries.join(","), " ".repeat(pad));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(&data);
    bytes
}

#[test]
fn tensors_of_every_type_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let v = [0.5f64, -2.0, 3.0];
    macro_rules! bytes {
        ($t:ty) => {
            v.iter().flat_map(|x| (*x as $t).to_le_bytes()).collect::<Vec<u8>>()
        };
    }
    let f16s: Vec<u8> = v.iter().flat_map(|x| f16::from_f64(*x).to_le_bytes()).collect();
    let bf16s: Vec<u8> = v.iter().flat_map(|x| bf16::from_f64(*x).to_le_bytes()).collect();
    for (dtype, data, kind, want) in [
        ("F64", bytes!(f64), Kind::Number, v),
        ("F32", bytes!(f32), Kind::Number, v),
        ("F16", f16s, Kind::Number, v),
        ("BF16", bf16s, Kind::Number, v),
        ("I64", bytes!(i64), Kind::Integer, [0.0, -2.0, 3.0]),
        ("I32", bytes!(i32), Kind::Integer, [0.0, -2.0, 3.0]),
        ("I16", bytes!(i16), Kind::Integer, [0.0, -2.0, 3.0]),
        ("I8", bytes!(i8), Kind::Integer, [0.0, -2.0, 3.0]),
        // A cast of -2 saturates at 0.
        ("U64", bytes!(u64), Kind::Integer, [0.0, 0.0, 3.0]),
        ("U32", bytes!(u32), Kind::Integer, [0.0, 0.0, 3.0]),
        ("U16", bytes!(u16), Kind::Integer, [0.0, 0.0, 3.0]),
        ("U8", bytes!(u8), Kind::Integer, [0.0, 0.0, 3.0]),
        ("BOOL", vec![0, 1, 1], Kind::Boolean, [0.0, 1.0, 1.0]),
    ] {
        let tensors = [("数 1", dtype, &[3][..], data.clone()), ("m", dtype, &[3, 1][..], data)];
        let table = open(&write(dir.path(), "a.safetensors", safetensors(&tensors, 0))).unwrap();
        assert_eq!((table.format(), table.row_hint()), (Format::Safetensors, Some(3)));
        assert_eq!(table.columns()[0].name, "数 1");
        assert_eq!(table.columns()[0].kind, kind, "{dtype}");
        assert_eq!(table.columns()[1].kind, Kind::List { width: Some(1) }, "{dtype}");
        let want: Vec<Vec<String>> =
            want.iter().map(|x| vec![format!("{:016x}", x.to_bits()); 2]).collect();
        for list in [ReadAs::List, ReadAs::Tensor] {
            let requests = [
                Request { column: 0, read_as: ReadAs::Numbers },
                Request { column: 1, read_as: list },
            ];
            assert_eq!(rows_every_way(&table, &requests), (want.clone(), None), "{dtype}");
        }
        let texts = rows_of(&table, &requests(&table), 1, None).0;
        let last = if dtype == "BOOL" { "'true'" } else { "'3'" };
        assert!(texts[2][0] == last || kind == Kind::Number, "{dtype}: {texts:?}");
    }
}

#[test]
fn bf16_labels_are_whole_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let data = [0.0, 7.0, 200.0].iter().flat_map(|x| bf16::from_f64(*x).to_le_bytes()).collect();
    let bytes = safetensors(&[("y", "BF16", &[3], data)], 0);
    let table = open(&write(dir.path(), "a.safetensors", bytes)).unwrap();
    let rows = rows_every_way(&table, &all_as(&table, ReadAs::Text)).0;
    assert_eq!(rows, [["'0'"], ["'7'"], ["'200'"]]);
}

#[test]
fn first_bytes_tell_tensors() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = safetensors(&[("y", "U8", &[3], vec![1, 2, 3])], 3);
    for name in ["a", "a.bin", "a.safetensors", "A.SAFETENSORS"] {
        let table = open(&write(dir.path(), name, &bytes)).unwrap();
        assert_eq!(table.format(), Format::Safetensors, "{name}");
    }
    assert_eq!(open(&write(dir.path(), "m.safetensors", &bytes)).unwrap().name(), "m");
    // Text that starts with as many brackets is text.
    let table = open(&write(dir.path(), "b", "{\"a\": 1}\n")).unwrap();
    assert_eq!(table.format(), Format::JsonLines);
}

/// What the elements of `values` are as a list in `rows_of`.
fn cells(values: &[f64]) -> String {
    values.iter().map(|x| format!("{:016x}", x.to_bits())).collect::<Vec<_>>().join(" ")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any shape, type, order and alignment: the same numbers as lists.
    #[test]
    fn a_matrix_is_read_in_place_as_it_is_read_by_copies(
        rows in 1usize..400,
        width in 1usize..20,
        kind in 0usize..4,
        fortran in any::<bool>(),
        big in any::<bool>(),
        pad in 0usize..8,
        seed in any::<u32>(),
    ) {
        let value = |i: usize, j: usize| {
            let bits = (i * width + j) as u32;
            f64::from((bits.wrapping_mul(2_654_435_761) ^ seed) >> 25) - 64.0
        };
        let element = |x: f64| {
            let mut bytes = match kind {
                0 => x.to_le_bytes().to_vec(),
                1 => (x as f32).to_le_bytes().to_vec(),
                2 => f16::from_f64(x).to_le_bytes().to_vec(),
                _ => bf16::from_f64(x).to_le_bytes().to_vec(),
            };
            if big && kind < 3 {
                bytes.reverse();
            }
            bytes
        };
        let by_row = || (0..rows * width).flat_map(|i| element(value(i / width, i % width)));
        let by_column = || (0..rows * width).flat_map(|i| element(value(i % rows, i / rows)));
        let dir = tempfile::tempdir().unwrap();
        let spec = if kind == 3 {
            let bytes = safetensors(&[("m", "BF16", &[rows, width], by_row().collect())], pad);
            write(dir.path(), "m.safetensors", bytes)
        } else {
            let end = if big { '>' } else { '<' };
            let descr = format!("{end}f{}", 8 >> kind);
            let data: Vec<u8> = if fortran { by_column().collect() } else { by_row().collect() };
            write(dir.path(), "m.npy", npy(&descr, fortran, &format!("({rows}, {width})"), &data))
        };
        let table = open(&spec).unwrap();
        let wanted: Vec<Vec<String>> = (0..rows)
            .map(|i| vec![cells(&(0..width).map(|j| value(i, j)).collect::<Vec<_>>())])
            .collect();
        for read_as in [ReadAs::List, ReadAs::Tensor] {
            for (threads, batch_rows) in [(1, None), (3, Some(7)), (2, Some(100_000))] {
                let (got, error) = rows_of(&table, &all_as(&table, read_as), threads, batch_rows);
                prop_assert!(error.is_none());
                prop_assert!(got == wanted, "{read_as:?}, {threads} threads, {batch_rows:?}");
            }
        }
    }
}

#[test]
fn a_matrix_in_a_file_is_not_copied() {
    let dir = tempfile::tempdir().unwrap();
    let (rows, width) = (3000, 100);
    let data: Vec<u8> = (0..rows * width).flat_map(|i| (i as f32).to_le_bytes()).collect();
    for (name, fortran) in [("c.npy", false), ("f.npy", true)] {
        let bytes = npy("<f4", fortran, &format!("({rows}, {width})"), &data);
        let table = open(&write(dir.path(), name, bytes)).unwrap();
        let options = ScanOptions { threads: 1, batch_rows: Some(500), backlog: None };
        let mut last: Option<(usize, usize)> = None;
        let mut shared = 0;
        table
            .scan(
                &all_as(&table, ReadAs::Tensor),
                &options,
                |batch| {
                    let Column::Tensor(tensor) = batch.column(0) else { panic!("no tensor") };
                    let xent_io::Elements::F32(x) = tensor.elements() else { panic!("not f32") };
                    let strides = (tensor.row_stride(), tensor.column_stride());
                    assert_eq!(strides, if fortran { (1, rows) } else { (width, 1) });
                    Ok((x.as_ptr() as usize, batch.rows()))
                },
                |(address, n), _| {
                    // Batches of one unit lie one behind the other in one memory.
                    if let Some((before, rows)) = last {
                        let step = if fortran { 4 * rows } else { 4 * rows * width };
                        shared += usize::from(address == before + step);
                    }
                    last = Some((address, n));
                    Ok::<(), Error>(())
                },
            )
            .unwrap();
        assert!(shared > 0, "{name}");
    }
}

#[test]
fn a_file_that_shrinks_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for (name, fortran) in [("c.npy", false), ("f.npy", true)] {
        let bytes = npy("<f4", fortran, "(100000, 10)", &vec![0; 4_000_000]);
        let spec = write(dir.path(), name, &bytes);
        let table = open(&spec).unwrap();
        std::fs::OpenOptions::new().write(true).open(&spec).unwrap().set_len(2_000_000).unwrap();
        let (_, error) = rows_of(&table, &all_as(&table, ReadAs::Tensor), 2, None);
        let error = error.unwrap().to_string();
        assert_eq!(error, format!("{spec}: cannot read: it ends too early"));
    }
}

#[test]
fn unreadable_tensors_do_not_hide_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let tensors = [
        ("fp8", "F8_E4M3", &[2, 2][..], vec![0; 4]),
        ("cube", "U8", &[2, 1, 1][..], vec![0; 2]),
        ("y", "U8", &[2][..], vec![4, 5]),
    ];
    let table = open(&write(dir.path(), "a.safetensors", safetensors(&tensors, 0))).unwrap();
    assert_eq!(table.refusal(0), Some("tensor fp8 has elements of type \"F8_E4M3\""));
    assert_eq!(
        table.refusal(1),
        Some("tensor cube has 3 dimensions; xent reads arrays of one or two")
    );
    assert_eq!(table.refusal(2), None);
    assert_eq!(rows_every_way(&table, &requests(&table)).0, [["'4'"], ["'5'"]]);
    let request = [Request { column: 0, read_as: ReadAs::Tensor }];
    let error = rows_of(&table, &request, 1, None).1.unwrap();
    assert!(error.message().starts_with("tensor fp8 has"), "{error}");
}

/// `a.*` of `n` rows in some format, with columns `x` and `t`.
fn table_of(dir: &std::path::Path, name: &str, n: usize) -> Table {
    let mut text = String::from("x,t\n");
    (0..n).for_each(|i| writeln!(text, "{},\"t{}\"", i * i, i % 5).unwrap());
    open(&write(dir, name, text)).unwrap()
}

#[test]
fn tables_side_by_side_are_one_table() {
    let dir = tempfile::tempdir().unwrap();
    let n = 30_000;
    let matrix: Vec<u8> = (0..2 * n).flat_map(|i| (i as f32).to_le_bytes()).collect();
    write(dir.path(), "m.npy", npy("<f4", false, &format!("({n}, 2)"), &matrix));
    let mut text = String::from("w\n");
    (1..=n).for_each(|i| writeln!(text, "{i}").unwrap());
    write(dir.path(), "c.csv", text);
    for first in ["m.npy", "c.csv"] {
        let mut table = open(dir.path().join(first).to_str().unwrap()).unwrap();
        let other = table_of(dir.path(), "o.csv", n);
        let own = table.sample().rows();
        table.put_beside(other, vec!["x".into(), "t".into()]).unwrap();
        assert_eq!(table.columns().len(), 3);
        assert!(!table.is_beside(0) && table.is_beside(1) && table.is_beside(2));
        assert!(table.sample().rows() <= own);
        assert_eq!(table.sample().text(2)[6].as_deref(), Some("t1"));
        assert_eq!(table.sample().numbers(1).unwrap()[3], 9.0);
        // In any order, and one of them twice.
        let read = |column, read_as| Request { column, read_as };
        let mine = if first == "m.npy" { ReadAs::List } else { ReadAs::Numbers };
        let requests =
            [read(2, ReadAs::Text), read(0, mine), read(1, ReadAs::Numbers), read(2, ReadAs::Text)];
        let (rows, error) = rows_every_way(&table, &requests);
        assert_eq!((rows.len(), error), (n, None));
        for (i, row) in rows.iter().enumerate() {
            let t = format!("'t{}'", i % 5);
            let x = format!("{:016x}", ((i * i) as f64).to_bits());
            let mine = if first == "m.npy" {
                cells(&[2.0 * i as f64, 2.0 * i as f64 + 1.0])
            } else {
                cells(&[i as f64 + 1.0])
            };
            assert_eq!(*row, [t.clone(), mine, x, t]);
        }
        // Nothing of the first table.
        let (rows, error) = rows_every_way(&table, &requests[..1]);
        assert_eq!((rows.len(), error), (n, None));
        let again = table.put_beside(table_of(dir.path(), "p.csv", n), vec![]);
        assert!(again.unwrap_err().to_string().contains("has one already"));
    }
}

#[test]
fn tables_side_by_side_have_the_same_rows() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "c.csv", "w\n1\n2\n3\n4\n5\n");
    let open_c = || open(dir.path().join("c.csv").to_str().unwrap()).unwrap();
    for (n, message) in [(4, "has 4 rows, "), (6, "has 6 rows, "), (0, "has 0 rows, ")] {
        let mut table = open_c();
        table.put_beside(table_of(dir.path(), "o.csv", n), vec!["x".into(), "t".into()]).unwrap();
        let requests = [
            Request { column: 0, read_as: ReadAs::Numbers },
            Request { column: 1, read_as: ReadAs::Numbers },
        ];
        let (rows, error) = rows_every_way(&table, &requests);
        assert_eq!(rows.len(), n.min(5), "what there is comes first");
        assert!(error.unwrap().contains(message));
    }
    let mut table = open_c();
    let error = table.put_beside(table_of(dir.path(), "o.csv", 5), vec!["w".into(), "t".into()]);
    assert!(error.unwrap_err().message().contains("column w is also in "));
}
