//! Damaged binary files give rows or an error, never a panic, in bounded memory.

#![allow(clippy::unwrap_used, clippy::match_wild_err_arm, reason = "tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use common::{open, requests, rows_of, write};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) % n as u64) as usize
    }
}

fn batch() -> RecordBatch {
    let labels: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..200).map(|i| ["a", "b"][i % 2])));
    let p: ArrayRef =
        Arc::new(Float64Array::from_iter_values((0..200).map(|i| f64::from(i) / 200.0)));
    let q: ArrayRef = Arc::new(
        (0..200)
            .map(|i| (i % 9 != 0).then(|| 1.0 - f64::from(i) / 200.0))
            .collect::<Float64Array>(),
    );
    RecordBatch::try_from_iter([("label", labels), ("p", p), ("q", q)]).unwrap()
}

fn mutated(good: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = good.to_vec();
    match random.below(8) {
        0 => bytes.truncate(random.below(good.len())),
        1 => {
            // A splice.
            let (from, to, len) =
                (random.below(good.len()), random.below(good.len()), random.below(64));
            for i in 0..len {
                if from + i < good.len() && to + i < good.len() {
                    bytes[to + i] = good[from + i];
                }
            }
        }
        2 => {
            // The footer.
            let tail = good.len().min(600);
            bytes[good.len() - 1 - random.below(tail)] = random.below(256) as u8;
        }
        _ => {
            for _ in 0..=random.below(4) {
                let at = random.below(good.len());
                bytes[at] = match random.below(3) {
                    0 => 0xff,
                    1 => bytes[at] ^ (1 << random.below(8)),
                    _ => random.below(256) as u8,
                };
            }
        }
    }
    bytes
}

/// Opens and reads `n` mutations; panics that reach us fail the test.
fn survive(name: &str, good: &[u8], n: usize) {
    // A longer run: XENT_MUTATIONS=50 does fifty times as many.
    let factor = std::env::var("XENT_MUTATIONS").ok().and_then(|f| f.parse().ok()).unwrap_or(1);
    let n = n * factor;
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(good.len() as u64);
    let (errors, fine) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for i in 0..n {
        let spec = write(dir.path(), name, mutated(good, &mut random));
        let result = std::panic::catch_unwind(|| {
            let table = open(&spec).map_err(|e| e.to_string())?;
            rows_of(&table, &requests(&table), 1 + i % 2, None)
                .1
                .map_or(Ok(()), |e| Err(e.to_string()))
        });
        match result {
            Ok(Ok(())) => fine.fetch_add(1, Ordering::Relaxed),
            Ok(Err(e)) => {
                assert!(e.starts_with(&spec), "{e}");
                errors.fetch_add(1, Ordering::Relaxed)
            }
            Err(_) => panic!("mutation {i} of {name} panics"),
        };
    }
    assert!(errors.into_inner() > n / 20, "most mutations go unnoticed");
    assert!(!xent_io::is_decoding());
}

fn parquet(compression: Compression) -> Vec<u8> {
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch().schema(), Some(properties)).unwrap();
    writer.write(&batch()).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn damaged_parquet_never_panics() {
    survive("a.parquet", &parquet(Compression::UNCOMPRESSED), 3000);
    survive("b.parquet", &parquet(Compression::SNAPPY), 3000);
}

#[test]
fn damaged_arrow_never_panics() {
    for compression in [None, Some(arrow_ipc::CompressionType::ZSTD)] {
        let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
        let mut writer =
            FileWriter::try_new_with_options(Vec::new(), &batch().schema(), options).unwrap();
        writer.write(&batch()).unwrap();
        survive("a.arrow", &writer.into_inner().unwrap(), 2000);
    }
    let mut writer = StreamWriter::try_new(Vec::new(), &batch().schema()).unwrap();
    writer.write(&batch()).unwrap();
    survive("b.arrows", &writer.into_inner().unwrap(), 2000);
}

#[test]
fn damaged_numpy_never_panics() {
    let mut npy = b"\x93NUMPY\x01\x00\x46\x00{'descr': '<f8', 'fortran_order': False, 'shape': (10, 3), }          ".to_vec();
    npy.truncate(80);
    npy.extend_from_slice(&[7; 240]);
    survive("a.npy", &npy, 3000);
    for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
        use std::io::Write as _;
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        for name in ["a.npy", "b.npy"] {
            zip.start_file(name, options).unwrap();
            zip.write_all(&npy).unwrap();
        }
        survive("a.npz", &zip.finish().unwrap().into_inner(), 2000);
    }
}

#[test]
fn damaged_tensors_never_panic() {
    let header = r#"{"a":{"dtype":"F32","shape":[10,3],"data_offsets":[0,120]},"b":{"dtype":"I16","shape":[10],"data_offsets":[120,140]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(&[7; 140]);
    survive("a.safetensors", &bytes, 4000);
}

#[test]
fn truncation_is_always_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let good = parquet(Compression::SNAPPY);
    for len in (1..good.len()).step_by(97) {
        let spec = write(dir.path(), "a.parquet", &good[..len]);
        let error = open(&spec).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
        assert!(error.hint().is_some());
    }
    let spec = write(dir.path(), "a.parquet", "");
    assert_eq!(open(&spec).unwrap_err().to_string(), format!("{spec}: is empty"));
}
