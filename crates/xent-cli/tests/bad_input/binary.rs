//! Parquet, Arrow and NumPy files that are damaged or hold what no table of predictions holds.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray, StructArray, UInt64Array};
use arrow_schema::{DataType, Field};

use super::common::tables::{
    Named, arrow_file, arrow_stream, batch, f64s, i64s, le_f64, le_i64, lists, npy, npz, parquet,
    texts, voters, without_rows, zst,
};
use super::{Case, case, score};

const DAMAGED: &str = "this file is damaged, or uses a feature the decoder does not know: …";
const AGAIN: &str = "write the file again, or convert it to CSV";

/// The first `keep` of a hundred parts of `bytes`.
fn head(bytes: &[u8], keep: usize) -> &[u8] {
    &bytes[..bytes.len() * keep / 100]
}

/// `bytes` with other bytes at a place counted from the end.
fn with_tail(bytes: &[u8], from_end: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = bytes.len() - from_end;
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

fn nested() -> Named {
    let field = Arc::new(Field::new("x", DataType::Float64, false));
    let values: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 0.5]));
    ("p", Arc::new(StructArray::from(vec![(field, values)])))
}

/// Two rows of one prediction column `p` and one label column `y`.
fn parquet_of(p: Named, y: Named) -> Vec<u8> {
    parquet(&batch(vec![p, y]))
}

fn y() -> Named {
    i64s("y", [0, 1])
}

pub fn cases() -> Vec<Case> {
    let pq = parquet(&voters());
    let file = arrow_file(&voters());
    let stream = arrow_stream(&voters());
    let array = npy("<f8", false, "(2, 2)", &le_f64(&[0.5; 4]));
    let labels = npy("<i8", false, "(2,)", &le_i64(&[0, 1]));
    let both = npz(&[("p", array.clone()), ("y", labels.clone())], false);
    let zipped = npz(&[("p", array.clone()), ("y", labels.clone())], true);
    let mut cases = Vec::new();
    for keep in [2, 10, 25, 50, 75, 90, 97, 99] {
        let damaged = |file: &str| format!("{file}: {DAMAGED}");
        let cut = |name: &str, bytes: &[u8]| {
            let kind = format!("{name} cut to {keep}%");
            score(&kind, name, head(bytes, keep), &damaged(name), AGAIN)
        };
        cases.push(cut("p.parquet", &pq));
        cases.push(cut("p.arrow", &file));
        cases.push(cut("p.arrows", &stream));
        cases.push(cut("p.npz", &both));
    }
    for keep in [2, 10, 40, 50, 75, 90, 99] {
        let name = format!("p.npy cut to {keep}%");
        cases.push(score(&name, "p.npy", head(&array, keep), &format!("p.npy: {DAMAGED}"), AGAIN));
    }
    for at in [9, 12, 20, 40, 60, 90, 120, 150, 200, 250, 300] {
        // The footer's description of the columns is at its start; later parts may be harmless.
        if at < pq.len() {
            let name = format!("p.parquet with its footer overwritten at {at}");
            let bytes = with_tail(&pq, at, &[0xff; 8][..at.min(8)]);
            cases.push(score(&name, "p.parquet", bytes, &format!("p.parquet: {DAMAGED}"), AGAIN));
        }
    }
    cases.extend([
        score("an empty Parquet file", "p.parquet", "", "p.parquet: is empty", "write the file again"),
        score("an empty Arrow file", "p.arrow", "", "p.arrow: is empty", "write the file again"),
        score("an empty array file", "p.npy", "", "p.npy: is empty", "write the file again"),
        score("an empty archive file", "p.npz", "", "p.npz: is empty", "write the file again"),
        score("only Parquet's magic", "p.parquet", "PAR1", "p.parquet: this file is damaged, or uses a feature the decoder does not know: …", "write the file again, or convert it to CSV"),
        score("Parquet's magic twice", "p.parquet", "PAR1PAR1", "p.parquet: this file is damaged, or uses a feature the decoder does not know: …", "write the file again, or convert it to CSV"),
        score(
            "a Parquet footer of 2 GiB",
            "p.parquet",
            with_tail(&pq, 8, &[0xff, 0xff, 0xff, 0x7f]),
            "p.parquet: this file is damaged, or uses a feature the decoder does not know: …",
            "write the file again, or convert it to CSV",
        ),
        score("a Parquet footer of nothing", "p.parquet", with_tail(&pq, 8, &[0; 4]), "p.parquet: this file is damaged, or uses a feature the decoder does not know: …", "write the file again, or convert it to CSV"),
        score("an encrypted Parquet file", "p.parquet", with_tail(&pq, 4, b"PARE"), "p.parquet: this file is damaged, or uses a feature the decoder does not know: …", "write the file again, or convert it to CSV"),
        score("zeros called Parquet", "p.parquet", [0; 4096], "p.parquet: this file is damaged, or uses a feature the decoder does not know: …", "write the file again, or convert it to CSV"),
        score(
            "a Parquet file without rows",
            "p.parquet",
            parquet(&without_rows(&voters())),
            "p.parquet: there are no rows",
            "a header alone is not enough",
        ),
        score("a Parquet column of structures", "p.parquet", parquet_of(nested(), y()), "p.parquet: column p is a type that xent does not read", "xent reads numbers, text, booleans and lists of numbers")
            .with("--proba p"),
        score(
            "Parquet with no predictions",
            "p.parquet",
            parquet_of(texts("a", ["x", "z"]), y()),
            "p.parquet: no prediction columns found",
            "name them with --proba, such as --proba 'p_*'; the columns are a, y",
        ),
        score(
            "text predictions in Parquet",
            "p.parquet",
            parquet(&batch(vec![
                texts("p_a", ["half", "0.5"]),
                f64s("p_b", [0.5, 0.5]),
                texts("y", ["a", "b"]),
            ])),
            "p.parquet: row 1: column p_a is \"half\", not a number",
            "leave a missing value empty, or write NaN",
        ),
        score(
            "NaN in Parquet",
            "p.parquet",
            parquet(&batch(vec![
                f64s("p_a", [0.5, f64::NAN]),
                f64s("p_b", [0.5, 0.5]),
                texts("y", ["a", "b"]),
            ])),
            "p.parquet: row 2: column p_a is NaN",
            "leave such rows out with --missing drop",
        ),
        score(
            "a null in Parquet",
            "p.parquet",
            parquet(&batch(vec![
                f64s("p_a", [0.5, 0.5]),
                ("p_b", Arc::new(Float64Array::from(vec![Some(0.5), None]))),
                texts("y", ["a", "b"]),
            ])),
            "p.parquet: row 2: column p_b is empty",
            "leave such rows out with --missing drop",
        ),
        score(
            "a null label in Parquet",
            "p.parquet",
            parquet(&batch(vec![
                f64s("p_a", [0.5, 0.5]),
                f64s("p_b", [0.5, 0.5]),
                ("y", Arc::new(StringArray::from(vec![Some("a"), None]))),
            ])),
            "p.parquet: row 2: column y is empty",
            "leave such rows out with --missing drop",
        ),
        score(
            "a bad sum in Parquet",
            "p.parquet",
            parquet(&batch(vec![
                f64s("p_a", [0.5, 0.5]),
                f64s("p_b", [0.5, 0.6]),
                texts("y", ["a", "b"]),
            ])),
            "p.parquet: row 2: the probabilities sum to 1.1, not 1",
            "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given; is each class predicted against the rest?",
        ),
        score(
            "an unknown label in Parquet",
            "p.parquet",
            parquet(&batch(vec![
                f64s("p_a", [0.5, 0.5]),
                f64s("p_b", [0.5, 0.5]),
                texts("y", ["a", "c"]),
            ])),
            "p.parquet: row 2: column y is \"c\", which is not a class",
            "classes are named by the prediction columns: the classes are a, b",
        ),
        score(
            "Parquet lists of two lengths",
            "p.parquet",
            parquet_of(lists::<arrow_array::types::Float64Type>("p", &[&[0.5, 0.5], &[1.0]]), y()),
            "p.parquet: row 2: column p has 1 number, the first row has 2",
            "every row needs a list of the same length",
        ),
        score(
            "Parquet lists of nothing",
            "p.parquet",
            parquet_of(lists::<arrow_array::types::Float64Type>("p", &[&[], &[]]), y()),
            "p.parquet: column p holds empty lists",
            "a list needs one number a class",
        ),
        score(
            "integers no f64 holds",
            "p.parquet",
            parquet(&batch(vec![
                f64s("p_a", [0.5, 0.5]),
                f64s("p_b", [0.5, 0.5]),
                texts("y", ["a", "b"]),
                ("w", Arc::new(Int64Array::from(vec![1, (1 << 53) + 1]))),
            ])),
            "p.parquet: row 2: column w is 9007199254740993, an integer that a 64-bit number cannot hold exactly",
            "integers up to 2^53 are exact",
        )
        .with("--weight w"),
        score(
            "integers beyond i64",
            "p.parquet",
            parquet(&batch(vec![
                f64s("p_a", [0.5, 0.5]),
                f64s("p_b", [0.5, 0.5]),
                texts("y", ["a", "b"]),
                ("w", Arc::new(UInt64Array::from(vec![1, u64::MAX]))),
            ])),
            "p.parquet: row 2: column w is 18446744073709551615, an integer that a 64-bit number cannot hold exactly",
            "integers up to 2^53 are exact",
        )
        .with("--weight w"),
        score("zeros called Arrow", "p.arrow", [0; 4096], "p.arrow: this file is damaged, or uses a feature the decoder does not know: …", "write the file again, or convert it to CSV"),
        score(
            "an Arrow file without rows",
            "p.arrow",
            arrow_file(&without_rows(&voters())),
            "p.arrow: there are no rows",
            "a header alone is not enough",
        ),
        score(
            "an Arrow message of 2 GiB",
            "p.arrows",
            b"\xff\xff\xff\xff\xff\xff\xff\x7f\0\0\0\0",
            "p.arrows: this file is damaged, or uses a feature the decoder does not know: …",
            "write the file again, or convert it to CSV",
        ),
        score(
            "an Arrow footer of 2 GiB",
            "p.arrow",
            with_tail(&file, 10, &[0xff, 0xff, 0xff, 0x7f]),
            "p.arrow: this file is damaged, or uses a feature the decoder does not know: …",
            "write the file again, or convert it to CSV",
        ),
        score(
            "an Arrow column of structures",
            "p.arrow",
            arrow_file(&batch(vec![nested(), y()])),
            "p.arrow: column p is a type that xent does not read",
            "xent reads numbers, text, booleans and lists of numbers",
        )
        .with("--proba p"),
        score("a compressed Arrow file", "p.arrow.zst", zst(&file), "p.arrow.zst: is a compressed Arrow IPC file; only text is read compressed", "decompress it first: gunzip, unzstd"),
        score("an array alone", "p.npy", &array, "p.npy: no label column found", "an array holds no labels: name their file with --labels, or put both into one .npz, as in np.savez('p.npz', proba=p, y=y)"),
        score(
            "an array of three dimensions",
            "p.npy",
            npy("<f8", false, "(1, 2, 2)", &le_f64(&[0.5; 4])),
            "p.npy: has 3 dimensions; xent reads arrays of one or two",
            "save an array of shape (rows, classes)",
        ),
        score(
            "an array of no dimension",
            "p.npy",
            npy("<f8", false, "()", &le_f64(&[0.5])),
            "p.npy: has 0 dimensions; xent reads arrays of one or two",
            "save an array of shape (rows, classes)",
        ),
        score(
            "an array without rows",
            "p.npz",
            npz(
                &[("p", npy("<f8", false, "(0, 2)", &[])), ("y", npy("<i8", false, "(0,)", &[]))],
                false,
            ),
            "p.npz: there are no rows",
            "a header alone is not enough",
        ),
        score(
            "an array of a huge shape",
            "p.npy",
            npy("<f8", false, "(4611686018427387904, 4)", &le_f64(&[0.5; 4])),
            "p.npy: this file is damaged, or uses a feature the decoder does not know: …",
            "write the file again, or convert it to CSV",
        ),
        score(
            "an array of a long shape",
            "p.npy",
            npy("<f8", false, "(1000000000000, 2)", &le_f64(&[0.5; 4])),
            "p.npy: this file is damaged, or uses a feature the decoder does not know: …",
            "write the file again, or convert it to CSV",
        ),
        score(
            "an array of a negative shape",
            "p.npy",
            npy("<f8", false, "(-1, 2)", &le_f64(&[0.5; 4])),
            "p.npy: this file is damaged, or uses a feature the decoder does not know: …",
            "write the file again, or convert it to CSV",
        ),
        score(
            "an array of Python objects",
            "p.npy",
            npy("|O", false, "(2, 2)", &[0; 32]),
            "p.npy: holds Python objects, which xent does not unpickle",
            "save numbers, for example array.astype(float)",
        ),
        score("an array of records", "p.npy", npy("[('a', '<f8')]", false, "(2,)", &[0; 16]), "p.npy: holds records of several fields; xent reads plain arrays", "save each field as an array of a .npz file"),
        score(
            "an array of complex numbers",
            "p.npy",
            npy("<c16", false, "(2, 2)", &[0; 64]),
            "p.npy: has elements of type \"<c16\"",
            "xent reads floats of 16 to 64 bits, integers, booleans and text",
        ),
        score("an array of dates", "p.npy", npy("<M8[D]", false, "(2, 2)", &[0; 32]), "p.npy: has elements of type \"<M8[D]\"", "xent reads floats of 16 to 64 bits, integers, booleans and text"),
        score(
            "an array of a newer version",
            "p.npy",
            [b"\x93NUMPY\x09\0".as_slice(), &array[8..]].concat(),
            "p.npy: this file is damaged, or uses a feature the decoder does not know: …",
            "write the file again, or convert it to CSV",
        ),
        score(
            "an array with a header of 60 KB",
            "p.npy",
            [&array[..8], b"\xff\xff", &array[10..]].concat(),
            "p.npy: this file is damaged, or uses a feature the decoder does not know: …",
            "write the file again, or convert it to CSV",
        ),
        score("an array that is text", "p.npy", "\u{93}NUMPY", "p.npy: this file is damaged, or uses a feature the decoder does not know: …", "write the file again, or convert it to CSV"),
        score(
            "an archive of arrays of two lengths",
            "p.npz",
            npz(
                &[("p", array.clone()), ("y", npy("<i8", false, "(3,)", &le_i64(&[0, 1, 1])))],
                false,
            ),
            "p.npz: array y has 3 rows, array p has 2",
            "all arrays of a table need the same first dimension",
        ),
        score("an archive without labels", "p.npz", npz(&[("p", array.clone())], false), "p.npz: no label column found", "no array has one label a row: name the file of the labels with --labels"),
        score("an archive without arrays", "p.npz", npz(&[], false), "p.npz: holds no arrays", "save arrays with np.savez"),
        score("an archive of text files", "p.npz", zip_of_text(), "p.npz: holds no arrays", "save arrays with np.savez"),
        score(
            "an archive with an unknown label",
            "p.npz",
            npz(&[("p", array.clone()), ("y", npy("<i8", false, "(2,)", &le_i64(&[0, 2])))], true),
            "p.npz: row 2: column y is \"2\", which is not a class",
            "classes are named by the prediction columns: the classes are 0, 1",
        ),
        score(
            "an archive with a bad sum",
            "p.npz",
            npz(
                &[
                    ("p", npy("<f8", false, "(2, 2)", &le_f64(&[0.5, 0.5, 0.5, 0.6]))),
                    ("y", labels.clone()),
                ],
                true,
            ),
            "p.npz: row 2: the probabilities sum to 1.1, not 1",
            "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given; is each class predicted against the rest?",
        ),
        score("an archive with a bad checksum", "p.npz", with_byte(&zipped, 60), "p.npz: no prediction columns found", "array p has elements of type \"<f8(| \""),
        score(
            "an archive with its directory overwritten",
            "p.npz",
            with_tail(&both, 16, &[0xff; 8]),
            "p.npz: this file is damaged, or uses a feature the decoder does not know: …",
            "write the file again, or convert it to CSV",
        ),
        score(
            "random bytes called Parquet",
            "p.parquet",
            b"\x81\xf3\x00\x17\x99\xd0\xaa\xb1\x02\x03\xc4\x00",
            "p.parquet: this file is damaged, or uses a feature the decoder does not know: …",
            "write the file again, or convert it to CSV",
        ),
        case("a damaged Parquet file in a pipe", "score -", "stdin: this file is damaged, or uses a feature the decoder does not know: …", "write the file again, or convert it to CSV").stdin(head(&pq, 60)),
        case("a damaged Parquet file as a second part", "score d", "d/1.parquet: this file is damaged, or uses a feature the decoder does not know: …", "write the file again, or convert it to CSV")
            .file("d/0.parquet", &pq)
            .file("d/1.parquet", head(&pq, 60)),
        case("a damaged Parquet file as a second model", "compare a.parquet b.parquet", "b.parquet: this file is damaged, or uses a feature the decoder does not know: …", "write the file again, or convert it to CSV")
            .file("a.parquet", &pq)
            .file("b.parquet", head(&pq, 60)),
    ]);
    cases
}

fn zip_of_text() -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("notes.txt", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(b"nothing").unwrap();
    zip.finish().unwrap().into_inner()
}

/// `bytes` with one byte changed in every bit.
fn with_byte(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 0xff;
    bytes
}
