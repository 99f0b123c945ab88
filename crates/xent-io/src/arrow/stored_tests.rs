//! Rows read by themselves are those of the whole record batch, and columns lie where they are said to.

use std::sync::Arc;

use arrow_array::builder::{
    FixedSizeListBuilder, Int32Builder, StringDictionaryBuilder, StringViewBuilder,
};
use arrow_array::types::{Int8Type, UInt16Type};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int8Array, Int64Array, LargeStringArray,
    NullArray, RecordBatch, StringArray,
};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use proptest::prelude::*;

use super::super::ipc::IpcFile;
use super::*;

/// A file of one record batch with a column of each kind, and that batch.
fn file(rows: &[(Option<f64>, Option<String>)], nulls: bool) -> (RecordBatch, Blob) {
    let keep = |i: usize| !nulls || i % 3 != 1;
    let n = rows.len();
    let numbers: Float64Array =
        rows.iter().enumerate().map(|(i, row)| row.0.filter(|_| keep(i))).collect();
    let text = |i: usize| rows[i].1.as_deref().filter(|_| keep(i));
    let mut codes = StringDictionaryBuilder::<Int8Type>::new();
    let mut wide = StringDictionaryBuilder::<UInt16Type>::new();
    let mut views = StringViewBuilder::new();
    let mut lists = FixedSizeListBuilder::new(Int32Builder::new(), 3);
    for i in 0..n {
        let level = ["low", "high", "top"][i * 7 % 3];
        codes.append_option(keep(i).then_some(level));
        wide.append_value(level);
        views.append_option(text(i).map(|t| format!("{t} of more than twelve bytes")));
        for j in 0..3 {
            lists.values().append_option(keep(i + j).then_some((i * 3 + j) as i32));
        }
        lists.append(keep(i));
    }
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("f64", Arc::new(numbers), true),
        ("i8", Arc::new((0..n).map(|i| i as u8 as i8).collect::<Int8Array>()), false),
        (
            "bool",
            Arc::new((0..n).map(|i| keep(i).then_some(i % 5 < 2)).collect::<BooleanArray>()),
            true,
        ),
        ("text", Arc::new((0..n).map(text).collect::<StringArray>()), true),
        ("large", Arc::new((0..n).map(text).collect::<LargeStringArray>()), true),
        ("null", Arc::new(NullArray::new(n)), true),
        ("codes", Arc::new(codes.finish()), true),
        ("wide", Arc::new(wide.finish()), true),
        ("lists", Arc::new(lists.finish()), true),
        ("views", Arc::new(views.finish()), true),
        ("bytes", Arc::new((0..n).map(|i| Some([i as u8])).collect::<BinaryArray>()), true),
        ("i64", Arc::new((0..n).map(|i| i as i64 * -3).collect::<Int64Array>()), true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    (batch.clone(), written(&batch, IpcWriteOptions::default()))
}

fn written(batch: &RecordBatch, options: IpcWriteOptions) -> Blob {
    let mut bytes = Vec::new();
    let mut writer =
        FileWriter::try_new_with_options(&mut bytes, &batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    Blob::Memory(bytes.into())
}

fn rows(n: usize) -> Vec<(Option<f64>, Option<String>)> {
    let text = |i: usize| (i % 4 != 2).then(|| "é".repeat(i % 6));
    (0..n).map(|i| (Some(i as f64 / 8.0), text(i))).collect()
}

/// Columns that can be cut: all but those of views and of bytes.
const CUTTABLE: [usize; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 11];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn rows_read_by_themselves_are_those_of_the_batch(
        rows in prop::collection::vec((any::<Option<f64>>(), any::<Option<String>>()), 1..300),
        nulls: bool,
        from in 0_u64..6,
        len in 1_u64..300,
        mask in 1_u32..1 << CUTTABLE.len(),
    ) {
        let (batch, blob) = file(&rows, nulls);
        let ipc = IpcFile::open(blob, false).unwrap();
        let stored = ipc.only().unwrap();
        prop_assert_eq!(stored.rows as usize, rows.len());
        let from = (64 * from).min(stored.rows / 64 * 64);
        let end = (from + len).min(stored.rows);
        prop_assume!(from < end);
        let needed: Vec<usize> =
            (0..CUTTABLE.len()).filter(|i| mask >> i & 1 == 1).map(|i| CUTTABLE[i]).collect();
        prop_assert!(stored.can_read(&needed));
        let (block, bytes) = stored.read(&needed, &(from..end)).unwrap();
        let read = ipc.decoder(&needed).unwrap().read_record_batch(&block, &bytes).unwrap().unwrap();
        let expected = batch.project(&needed).unwrap().slice(from as usize, (end - from) as usize);
        prop_assert_eq!(read.num_rows(), expected.num_rows());
        for (read, expected) in read.columns().iter().zip(expected.columns()) {
            read.to_data().validate_full().unwrap();
            prop_assert_eq!(read, expected);
        }
    }
}

#[test]
fn columns_without_nulls_lie_where_they_are_said_to() {
    let (batch, blob) = file(&rows(1000), false);
    let ipc = IpcFile::open(blob.clone(), false).unwrap();
    let stored = ipc.only().unwrap();
    let at = |column: usize| {
        let (start, len, width) = stored.place(column).unwrap();
        (blob.bytes(start, len).unwrap(), width)
    };
    let (bytes, width) = at(0);
    let numbers: Vec<f64> =
        bytes.as_chunks::<8>().0.iter().map(|x| f64::from_le_bytes(*x)).collect();
    assert_eq!((numbers, width), ((0..1000).map(|i| f64::from(i) / 8.0).collect(), None));
    assert_eq!(at(1).0[..], (0..1000).map(|i| i as u8).collect::<Vec<_>>());
    let codes = batch.column(6).to_data().buffers()[0].as_slice()[..1000].to_vec();
    assert_eq!(at(6).0[..], codes);
    let (bytes, width) = at(8);
    let items: Vec<i32> = bytes.as_chunks::<4>().0.iter().map(|x| i32::from_le_bytes(*x)).collect();
    assert_eq!((items, width), ((0..3000).collect(), Some(3)));
    // Bits, texts and nothing do not lie as numbers do.
    for column in [2, 3, 4, 5, 9, 10] {
        assert!(stored.place(column).is_none(), "{column}");
    }
    assert!(!stored.can_read(&[9]) && !stored.can_read(&[0, 10]));
}

#[test]
fn what_is_missing_or_compressed_does_not_lie_there() {
    let (batch, blob) = file(&rows(1000), true);
    let ipc = IpcFile::open(blob, false).unwrap();
    let stored = ipc.only().unwrap();
    for (column, name) in [(0, "f64"), (6, "codes"), (8, "lists")] {
        assert!(stored.place(column).is_none(), "{name}");
    }
    assert!(stored.place(1).is_some() && stored.place(7).is_some());
    let lz4 = IpcWriteOptions::default()
        .try_with_compression(Some(arrow_ipc::CompressionType::LZ4_FRAME))
        .unwrap();
    assert!(IpcFile::open(written(&batch, lz4), false).unwrap().only().is_none());
}

#[test]
fn many_rows_are_read_in_pieces_of_bounded_size() {
    let (_, blob) = file(&rows(10_000), false);
    let ipc = IpcFile::open(blob, false).unwrap();
    let stored = ipc.only().unwrap();
    let step = stored.step();
    assert!(step.is_multiple_of(64) && PIECE_ROWS.contains(&(step - 1)), "{step}");
    assert!(stored.position(0) < stored.position(5000));
    assert!(stored.position(10_000) <= stored.blob.len());
}
