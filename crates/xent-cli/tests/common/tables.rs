//! Files in every format, made in memory.

use std::fmt::{Display, Write as _};
use std::io::{Cursor, Write as _};
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, PrimitiveBuilder, StringDictionaryBuilder};
use arrow_array::types::{ArrowPrimitiveType, Int32Type};
use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::Schema;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// A named column.
pub type Named = (&'static str, ArrayRef);

pub fn f64s(name: &'static str, values: impl IntoIterator<Item = f64>) -> Named {
    (name, Arc::new(Float64Array::from_iter_values(values)))
}

pub fn f32s(name: &'static str, values: impl IntoIterator<Item = f32>) -> Named {
    (name, Arc::new(Float32Array::from_iter_values(values)))
}

pub fn i64s(name: &'static str, values: impl IntoIterator<Item = i64>) -> Named {
    (name, Arc::new(Int64Array::from_iter_values(values)))
}

pub fn bools(name: &'static str, values: impl IntoIterator<Item = bool>) -> Named {
    (name, Arc::new(BooleanArray::from(values.into_iter().collect::<Vec<_>>())))
}

pub fn texts<S: AsRef<str>>(name: &'static str, values: impl IntoIterator<Item = S>) -> Named {
    (name, Arc::new(StringArray::from_iter_values(values)))
}

/// Text with a dictionary.
pub fn coded(name: &'static str, values: &[&str]) -> Named {
    let mut builder = StringDictionaryBuilder::<Int32Type>::new();
    for value in values {
        builder.append_value(value);
    }
    (name, Arc::new(builder.finish()))
}

/// Lists of numbers.
pub fn lists<T: ArrowPrimitiveType>(name: &'static str, rows: &[&[T::Native]]) -> Named {
    let mut builder = ListBuilder::new(PrimitiveBuilder::<T>::new());
    for row in rows {
        builder.values().append_slice(row);
        builder.append(true);
    }
    (name, Arc::new(builder.finish()))
}

pub fn batch(columns: Vec<Named>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Three voters under the classes a, b, c: cross entropy as in the lecture's second model.
pub fn voters() -> RecordBatch {
    batch(vec![
        f64s("p_a", [0.1, 0.1, 0.3]),
        f64s("p_b", [0.2, 0.7, 0.4]),
        f64s("p_c", [0.7, 0.2, 0.3]),
        texts("y", ["c", "b", "a"]),
    ])
}

pub fn parquet(batch: &RecordBatch) -> Vec<u8> {
    parquet_with(batch, Compression::SNAPPY)
}

pub fn parquet_with(batch: &RecordBatch, compression: Compression) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(100))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

pub fn zstd_level() -> Compression {
    Compression::ZSTD(ZstdLevel::default())
}

pub fn arrow_file(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

pub fn arrow_stream(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

/// A batch whose columns are declared but whose rows are none.
pub fn without_rows(batch: &RecordBatch) -> RecordBatch {
    RecordBatch::new_empty(Arc::new(Schema::new(batch.schema().fields().clone())))
}

/// A `.npy` file by its header's words and its data.
pub fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let descr = if descr.starts_with('[') { descr.to_owned() } else { format!("'{descr}'") };
    let mut header = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

pub fn le_f64(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

pub fn le_i64(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// A `.npz` file: the arrays by name, stored or deflated.
pub fn npz(arrays: &[(&str, Vec<u8>)], deflated: bool) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let method =
        if deflated { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in arrays {
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A `.safetensors` file by its header's words and its data.
pub fn safetensors_of(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// A `.safetensors` file: name, type, shape and data of each tensor.
pub fn safetensors(tensors: &[(&str, &str, &[usize], Vec<u8>)]) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let start = data.len();
        data.extend(bytes);
        let end = data.len();
        entries.push(format!(
            r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{end}]}}"#
        ));
    }
    let mut header = format!("{{{}}}", entries.join(","));
    while header.len() % 8 != 0 {
        header.push(' ');
    }
    safetensors_of(&header, &data)
}

pub fn gz(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

pub fn zst(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    zstd::encode_all(bytes.as_ref(), 1).unwrap()
}

/// CSV text from a header and rows of cells.
pub fn csv<T: Display>(header: &str, rows: impl IntoIterator<Item = Vec<T>>) -> String {
    let mut text = format!("{header}\n");
    for row in rows {
        let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
        writeln!(text, "{}", cells.join(",")).unwrap();
    }
    text
}

/// Numbers that look random and are the same on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        // splitmix64, Steele, Lea and Flood 2014, doi:10.1145/2714064.2660195
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// From 0 to below 1.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}
