//! safetensors, arrays of logits, and labels in a file of their own.

use super::common::tables::{gz, le_f64, le_i64, npy, safetensors, safetensors_of};
use super::{Case, case, compare, score};

const AGAIN: &str = "write or fetch the file again";
const SAME_ROWS: &str = "both files must hold the same rows in the same order";
const ABSENT: &str = "leave such rows out with --missing drop";
const LOGITS: &str = r#""logits":{"dtype":"F64","shape":[2,2],"data_offsets":[0,32]}"#;

/// A file of this header, 32 bytes of logits and `more` bytes, which is damaged in this way.
fn damaged(name: &str, header: &str, more: usize, how: &str) -> Case {
    let mut data = le_f64(&[0.5; 4]);
    data.resize(32 + more, 0);
    let error = format!("p.safetensors: this file is damaged: {how}");
    score(name, "p.safetensors", safetensors_of(header, &data), &error, AGAIN)
}

fn logits(values: [f64; 4]) -> Vec<u8> {
    npy("<f8", false, "(2, 2)", &le_f64(&values))
}

fn labels(values: &[i64]) -> Vec<u8> {
    npy("<i8", false, &format!("({},)", values.len()), &le_i64(values))
}

/// Logits and labels in one file.
fn both(values: [f64; 4], y: [i64; 2]) -> Vec<u8> {
    safetensors(&[("logits", "F64", &[2, 2], le_f64(&values)), ("labels", "I64", &[2], le_i64(&y))])
}

/// Logits in `p.npy` and labels in another file.
fn beside(name: &str, file: &str, bytes: impl AsRef<[u8]>, error: &str, hint: &str) -> Case {
    case(name, format!("score p.npy --input logits --labels {file}"), error, hint)
        .file("p.npy", logits([0.5; 4]))
        .file(file, bytes)
}

pub fn cases() -> Vec<Case> {
    let good = both([0.5; 4], [0, 1]);
    let mut cases = headers(&good);
    cases.extend(tensors());
    cases.extend(values());
    cases.extend(labels_apart());
    cases
}

fn headers(good: &[u8]) -> Vec<Case> {
    let raw = |name: &str, bytes: &[u8], how: &str| {
        let error = format!("p.safetensors: this file is damaged: {how}");
        score(name, "p.safetensors", bytes, &error, AGAIN)
    };
    let long = |n: u64| [&n.to_le_bytes()[..], b"{}"].concat();
    vec![
        score(
            "an empty tensor file",
            "p.safetensors",
            "",
            "p.safetensors: is empty",
            "write the file again",
        ),
        raw("a tensor file of three bytes", &good[..3], "its header is cut"),
        raw(
            "a tensor file cut in its header",
            &good[..50],
            "its header ends 86 bytes behind the end of the file",
        ),
        raw(
            "a tensor file cut in its data",
            &good[..good.len() - 3],
            "tensor \"labels\" ends 3 bytes behind the end of the file",
        ),
        raw(
            "a header of 16 EiB",
            &long(u64::MAX),
            "its header would have 18446744073709551615 bytes, more than 100 MB",
        ),
        raw(
            "a header of 100 MB",
            &long(100_000_000),
            "its header ends 99999998 bytes behind the end of the file",
        ),
        raw("a header of no byte", &long(0), "its header is no JSON object"),
        raw(
            "text called safetensors",
            b"p_cat,p_dog,label\n.5,.5,cat\n",
            "its header would have 6877045509356478320 bytes, more than 100 MB",
        ),
        damaged("a header that is a list", "[1, 2]", 0, "its header is no JSON object"),
        damaged(
            "a header that is not closed",
            &format!("{{{LOGITS}"),
            0,
            "its header is no valid JSON object",
        ),
        damaged(
            "a header with something behind it",
            &format!("{{{LOGITS}}} x"),
            0,
            "its header is no valid JSON object",
        ),
        damaged(
            "a header of 10,000 brackets",
            &format!("{{\"a\":{}", "[".repeat(10_000)),
            0,
            "its header is no valid JSON object",
        ),
        damaged(
            "a tensor twice",
            &format!("{{{LOGITS},{LOGITS}}}"),
            0,
            "two tensors are named \"logits\"",
        ),
        damaged(
            "a tensor without a type",
            r#"{"x":{"shape":[2,2],"data_offsets":[0,32]}}"#,
            0,
            "tensor \"x\" has no valid dtype, shape and data_offsets",
        ),
        damaged(
            "a tensor of negative shape",
            r#"{"x":{"dtype":"F64","shape":[-2,2],"data_offsets":[0,32]}}"#,
            0,
            "tensor \"x\" has no valid dtype, shape and data_offsets",
        ),
        damaged(
            "a tensor of fractional shape",
            r#"{"x":{"dtype":"F64","shape":[2.5],"data_offsets":[0,32]}}"#,
            0,
            "tensor \"x\" has no valid dtype, shape and data_offsets",
        ),
        damaged(
            "a tensor with three offsets",
            r#"{"x":{"dtype":"F64","shape":[2,2],"data_offsets":[0,32,32]}}"#,
            0,
            "tensor \"x\" has no valid dtype, shape and data_offsets",
        ),
        damaged(
            "a tensor that is a number",
            r#"{"x":1}"#,
            0,
            "tensor \"x\" has no valid dtype, shape and data_offsets",
        ),
        damaged(
            "a tensor whose name is hostile",
            "{\"\\u001b[31m\\u202e\":{}}",
            0,
            "tensor \"\\u{1b}[31m\\u{202e}\" has no valid dtype, shape and data_offsets",
        ),
        score(
            "no tensor at all",
            "p.safetensors",
            safetensors_of("{}", &[]),
            "p.safetensors: holds no tensors",
            "save tensors with safetensors.numpy.save_file",
        ),
        score(
            "only metadata",
            "p.safetensors",
            safetensors_of(r#"{"__metadata__":{"format":"pt"}}"#, &[]),
            "p.safetensors: holds no tensors",
            "save tensors with safetensors.numpy.save_file",
        ),
        score(
            "a compressed tensor file",
            "p.safetensors.gz",
            gz(good),
            "p.safetensors.gz: is a compressed safetensors file; only text is read compressed",
            "decompress it first: gunzip, unzstd",
        ),
        score(
            "tensors called CSV",
            "p.csv",
            good,
            "p.csv: is not CSV but safetensors by its first bytes",
            "rename the file, or name its format; save a spreadsheet as CSV",
        ),
        case(
            "a damaged tensor file in a pipe",
            "score - --input-format safetensors",
            "stdin: this file is damaged: its header is cut",
            AGAIN,
        )
        .stdin(&good[..5]),
    ]
}

fn tensors() -> Vec<Case> {
    let x = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"x":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let two = |a: &str, b: &str| {
        format!(
            r#"{{"a":{{"dtype":"U8","shape":[16],"data_offsets":{a}}},"b":{{"dtype":"U8","shape":[16],"data_offsets":{b}}}}}"#
        )
    };
    let with_y = |dtype: &str, shape: &[usize], bytes: usize| {
        safetensors(&[("x", dtype, shape, vec![0; bytes]), ("y", "I64", &[2], le_i64(&[0, 1]))])
    };
    vec![
        damaged(
            "a tensor that ends before it starts",
            &x("F64", "[2,2]", "[32,0]"),
            0,
            "tensor \"x\" ends before it starts",
        ),
        damaged(
            "a tensor behind the end",
            &x("F64", "[2,2]", "[32,64]"),
            0,
            "tensor \"x\" ends 32 bytes behind the end of the file",
        ),
        damaged(
            "a tensor at the end of the world",
            &x("F64", "[2,2]", "[18446744073709551584,18446744073709551615]"),
            0,
            "tensor \"x\" ends 18446744073709551583 bytes behind the end of the file",
        ),
        damaged(
            "tensors that overlap",
            &two("[0,16]", "[8,24]"),
            0,
            "tensors \"a\" and \"b\" overlap",
        ),
        damaged(
            "tensors with a gap",
            &two("[24,40]", "[0,16]"),
            8,
            "8 bytes before tensor \"a\" belong to none",
        ),
        damaged(
            "tensors that start late",
            &x("F64", "[3]", "[8,32]"),
            0,
            "8 bytes before tensor \"x\" belong to none",
        ),
        damaged(
            "bytes behind the last tensor",
            &x("F64", "[2,2]", "[0,32]"),
            5,
            "its last 5 bytes belong to no tensor",
        ),
        damaged(
            "a shape for fewer bytes",
            &x("F64", "[2,1]", "[0,32]"),
            0,
            "tensor \"x\" has 32 bytes, its shape and type need 16",
        ),
        damaged(
            "a shape for more bytes",
            &x("F32", "[9]", "[0,32]"),
            0,
            "tensor \"x\" has 32 bytes, its shape and type need 36",
        ),
        damaged(
            "a shape of 2^128 numbers",
            &x("F64", "[18446744073709551615,18446744073709551615]", "[0,32]"),
            0,
            "tensor \"x\" has 32 bytes, its shape and type need too many",
        ),
        damaged(
            "a shape without rows",
            &x("F64", "[0,4]", "[0,32]"),
            0,
            "tensor \"x\" has 32 bytes, its shape and type need 0",
        ),
        score(
            "tensors of a type that is not read",
            "p.safetensors",
            with_y("F8_E4M3", &[2, 2], 4),
            "p.safetensors: no prediction columns found",
            "tensor x has elements of type \"F8_E4M3\"",
        ),
        score(
            "a type that is not read, named",
            "p.safetensors",
            with_y("C64", &[2, 2], 32),
            "p.safetensors: tensor x has elements of type \"C64\"",
            "xent reads floats of 16 to 64 bits, integers and booleans",
        )
        .with("--proba x --positive 1"),
        score(
            "only a tensor of an unknown type",
            "p.safetensors",
            safetensors(&[("x", "\\u001b", &[2, 2], vec![0; 4])]),
            "p.safetensors: tensor x has elements of type \"\\u{1b}\"",
            "xent reads floats of 16 to 64 bits, integers and booleans",
        ),
        score(
            "a tensor of three dimensions",
            "p.safetensors",
            with_y("F32", &[2, 2, 2], 32),
            "p.safetensors: no prediction columns found",
            "tensor x has 3 dimensions; xent reads arrays of one or two",
        ),
        score(
            "tensors of two lengths",
            "p.safetensors",
            with_y("F32", &[3, 2], 24),
            "p.safetensors: tensor y has 2 rows, tensor x has 3",
            "all tensors of a table need the same first dimension",
        ),
        score(
            "a tensor of no class",
            "p.safetensors",
            with_y("F32", &[2, 0], 0),
            "p.safetensors: column x holds empty lists",
            "a list needs one number a class",
        ),
        score(
            "tensors without rows",
            "p.safetensors",
            safetensors(&[("x", "F32", &[0, 2], vec![]), ("y", "I64", &[0], vec![])]),
            "p.safetensors: there are no rows",
            "a header alone is not enough",
        )
        .with("--input logits"),
        score(
            "tensors without labels",
            "p.safetensors",
            safetensors(&[("x", "F32", &[2, 2], vec![0; 16])]),
            "p.safetensors: no label column found",
            "no array has one label a row: name the file of the labels with --labels",
        ),
        score(
            "tensors of two matrices",
            "p.safetensors",
            safetensors(&[
                ("a", "F32", &[1, 2], vec![0; 8]),
                ("b", "F32", &[1, 2], vec![0; 8]),
                ("y", "I64", &[1], vec![0; 8]),
            ]),
            "p.safetensors: several columns are lists of numbers",
            "name the predictions with --proba",
        ),
    ]
}

fn values() -> Vec<Case> {
    let nan = f64::NAN;
    let inf = f64::INFINITY;
    let tensors = |name: &str, values: [f64; 4], y: [i64; 2], error: &str, hint: &str| {
        score(name, "p.safetensors", both(values, y), &format!("p.safetensors: {error}"), hint)
            .with("--input logits")
    };
    vec![
        tensors(
            "NaN in a tensor",
            [0.5, 0.5, nan, 0.5],
            [0, 1],
            "row 2: column logits is NaN",
            ABSENT,
        ),
        tensors(
            "no softmax in a tensor",
            [0.5, 0.5, -inf, -inf],
            [0, 1],
            "row 2: the logits have no softmax: 2 of them are -inf",
            "at least one logit must be finite, or exactly one +inf",
        ),
        tensors(
            "two infinite logits",
            [inf, inf, 0.5, 0.5],
            [0, 1],
            "row 1: the logits have no softmax: 2 of them are inf",
            "at least one logit must be finite, or exactly one +inf",
        ),
        tensors(
            "a label that is no class of the tensor",
            [0.5; 4],
            [0, 2],
            "row 2: column labels is \"2\", which is not a class",
            "classes are named by the prediction columns: the classes are 0, 1",
        ),
        tensors(
            "a negative label",
            [0.5; 4],
            [-1, 0],
            "row 1: column labels is \"-1\", which is not a class",
            "classes are named by the prediction columns: the classes are 0, 1",
        ),
        tensors(
            "of several faults the first row's",
            [inf, inf, nan, 0.5],
            [0, 2],
            "row 1: the logits have no softmax: 2 of them are inf",
            "at least one logit must be finite, or exactly one +inf",
        ),
        tensors(
            "of several faults in a row the missing value",
            [0.5, 0.5, nan, 0.5],
            [0, 2],
            "row 2: column logits is NaN",
            ABSENT,
        ),
        tensors(
            "of a label and a missing value the first row's",
            [0.5, 0.5, nan, 0.5],
            [7, 0],
            "row 1: column labels is \"7\", which is not a class",
            "classes are named by the prediction columns: the classes are 0, 1",
        ),
        tensors(
            "all rows dropped",
            [nan; 4],
            [0, 1],
            "every row has weight 0 or is left out",
            "2 rows have missing values",
        )
        .with("--missing drop"),
        // Classes that another file orders: the position is that in the list.
        case(
            "a bad number in a list in another order",
            "compare a.csv b.jsonl --classes cat,dog",
            "b.jsonl:2: column p at position 0 is 1.5, not a probability",
            "for scores before a softmax use --input logits; percentages must be divided by 100",
        )
        .file("a.csv", "p_dog,p_cat,y\n.5,.5,cat\n.5,.5,dog\n")
        .file(
            "b.jsonl",
            "{\"p\": [0.5, 0.5], \"y\": \"cat\"}\n{\"p\": [1.5, 0.5], \"y\": \"dog\"}\n",
        ),
    ]
}

fn labels_apart() -> Vec<Case> {
    let p = "p_cat,p_dog\n.5,.5\n.4,.6\n";
    let text = |name: &str, y: &str, error: &str, hint: &str| {
        case(name, "score p.csv --labels y.csv", error, hint).file("p.csv", p).file("y.csv", y)
    };
    vec![
        case(
            "labels that are not there",
            "score p.npy --labels z.csv",
            "z.csv: no such file",
            "did you mean y.csv?",
        )
        .file("p.npy", logits([0.5; 4]))
        .file("y.csv", "y\n0\n1\n"),
        beside(
            "more labels than rows",
            "y.npy",
            labels(&[0, 1, 1]),
            "y.npy: has 3 rows, p.npy has 2",
            SAME_ROWS,
        ),
        beside(
            "fewer labels than rows",
            "y.npy",
            labels(&[0]),
            "y.npy: has 1 row, p.npy has 2",
            SAME_ROWS,
        ),
        beside(
            "more labels in text than rows",
            "y.csv",
            "y\n0\n1\n1\n",
            "y.csv: has 3 rows, p.npy has 2",
            SAME_ROWS,
        ),
        beside(
            "fewer labels in text than rows",
            "y.csv",
            "y\n0\n",
            "y.csv: has 1 row, p.npy has more",
            SAME_ROWS,
        ),
        beside("no labels in text", "y.csv", "y\n", "y.csv: has 0 rows, p.npy has more", SAME_ROWS),
        beside(
            "a label that is no class, in its own file",
            "y.npy",
            labels(&[0, 2]),
            "y.npy: row 2: column label is \"2\", which is not a class",
            "classes are named by the prediction columns: the classes are 0, 1",
        ),
        beside(
            "an empty label in its own file",
            "y.csv",
            "y,z\n0,a\n,b\n",
            "y.csv: row 2: column y is empty",
            ABSENT,
        ),
        beside(
            "labels that are a matrix",
            "y.npy",
            logits([0.5; 4]),
            "y.npy: column label holds lists of numbers, not labels",
            "a label is one class a row; for one-hot or soft targets add --targets label",
        ),
        beside(
            "damaged labels",
            "y.npy",
            &labels(&[0, 1])[..100],
            "y.npy: this file is damaged, or uses a feature the decoder does not know: …",
            "write the file again, or convert it to CSV",
        ),
        beside(
            "a damaged line of labels",
            "y.csv",
            "y\n0\n\"1\n",
            "y.csv:3: a quote opens here and is never closed",
            "write quotes inside a quoted field twice",
        ),
        beside(
            "labels of two columns, neither of them named",
            "y.csv",
            "a,b\n0,1\n1,0\n",
            "p.npy: no label column found",
            "an array holds no labels: name their file with --labels, or put both into one .npz, as in np.savez('p.npz', proba=p, y=y)",
        ),
        text(
            "fewer labels than rows of text",
            "y\ncat\n",
            "y.csv: has 1 row, p.csv has more",
            SAME_ROWS,
        ),
        text(
            "more labels than rows of text",
            "y\ncat\ndog\ndog\n",
            "y.csv: has 3 rows, p.csv has 2",
            SAME_ROWS,
        ),
        text(
            "a column that both files have",
            "y,p_cat\ncat,1\ndog,1\n",
            "y.csv: column p_cat is also in p.csv",
            "rename it in one of the files",
        ),
        text(
            "a bad weight beside the predictions",
            "y,w\ncat,1\ndog,-1\n",
            "y.csv: row 2: column w is -1, not a weight",
            "weights are numbers from 0 to 1e15",
        )
        .with("--weight w"),
        text(
            "a weight that is no number",
            "y,w\ncat,1\ndog,much\n",
            "y.csv:3: column w is \"much\", not a number",
            "leave a missing value empty, or write NaN",
        )
        .with("--weight w"),
        case(
            "a column that is taken for a file",
            "score p.csv --labels y",
            "y: no such file",
            "--labels names a file, --label the column y",
        )
        .file("p.csv", "p_a,p_b,y\n.5,.5,a\n"),
        case(
            "a file that is taken for a column",
            "score p.npy --label y.npy",
            "p.npy: there is no column y.npy",
            "name a file of labels with --labels y.npy",
        )
        .file("p.npy", logits([0.5; 4]))
        .file("y.npy", labels(&[0, 1])),
        case(
            "everything on standard input",
            "score - --labels -",
            "standard input is named twice, and can be read only once",
            "save it to a file first",
        )
        .stdin(p),
        case(
            "labels on standard input for two models",
            "compare a.npy b.npy --labels -",
            "labels on standard input can be read for one prediction file only",
            "save them to a file first",
        )
        .file("a.npy", logits([0.5; 4]))
        .file("b.npy", logits([0.5; 4]))
        .stdin("y\n0\n1\n"),
        compare(
            "labels of another length for the second model",
            "p_a,p_b\n.5,.5\n",
            "p_a,p_b\n.5,.5\n.5,.5\n",
            "y.csv: has 1 row, b.csv has more",
            SAME_ROWS,
        )
        .file("y.csv", "y\na\n")
        .with("--labels y.csv"),
        case(
            "results that would overwrite the labels",
            "score p.npy --input logits --labels out.json",
            "out.json: is an input, and would be overwritten with the results",
            "write to another file",
        )
        .file("p.npy", logits([0.5; 4]))
        .setup(|dir| {
            dir.write("out.json", "{\"y\": 0}\n{\"y\": 1}\n");
        }),
    ]
}
