//! Files that are not there, not readable or not writable.

use std::fs;

use super::common::Dir;
use super::{Case, case, score};

const GOOD: &str = "p_cat,p_dog,label\n0.5,0.5,cat\n";

#[cfg(unix)]
fn link(dir: &Dir, name: &str, to: &str) {
    std::os::unix::fs::symlink(to, dir.path().join(name)).unwrap();
}

/// Takes a file's reading bits away; whether that keeps this user from reading it.
#[cfg(unix)]
fn is_locked_out() -> bool {
    use std::os::unix::fs::PermissionsExt;
    let dir = Dir::new();
    dir.write("x", "x");
    let path = dir.path().join("x");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    fs::read(path).is_err()
}

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("a missing file", "score q.csv", "q.csv: no such file", "look at the path"),
        case("a name misspelt", "score perds.csv", "perds.csv: no such file", "did you mean preds.csv?").file("preds.csv", GOOD),
        case("another extension", "score preds.tsv", "preds.tsv: no such file", "did you mean preds.csv?").file("preds.csv", GOOD),
        case("a missing directory", "score there/preds.csv", "there/preds.csv: no such file", "there is no directory there"),
        case("a missing file under a name", "score m=q.csv", "q.csv: no such file", "look at the path"),
        case("an empty name", "score ''", "the name of a file is empty", "write a path, or - for standard input"),
        case("a name without a path", "score m=", "m= is neither a path nor name=path", "write a path, or name=path to name the model"),
        case("a path without a name", "score =p.csv", "=p.csv is neither a path nor name=path", "write a path, or name=path to name the model").file("p.csv", GOOD),
        case("a pattern without files", "score part-*.csv", "part-*.csv: no file matches", "look at the pattern, and put it in quotes"),
        case("a pattern that is none", "score part-[.csv", "part-[.csv: is no valid pattern: invalid range pattern", "write [[] for a bracket in a file's name"),
        case("a directory without tables", "score d", "d: holds no table files", "table files end in .csv, .tsv, .jsonl, .parquet, .arrow, .npy, .npz or .safetensors").file("d/notes.txt", "x"),
        case("an empty directory", "score d", "d: holds no table files", "table files end in .csv, .tsv, .jsonl, .parquet, .arrow, .npy, .npz or .safetensors")
            .setup(|d| fs::create_dir(d.path().join("d")).unwrap()),
        case("a file taken for a directory", "score p.csv/q.csv", "p.csv/q.csv: cannot open: not a directory", "look at the path and at what it names").file("p.csv", GOOD),
        case("parts with other columns", "score d", "d/part-1.csv: column 2 is p_cow, in d/part-0.csv it is p_dog", "all parts of a table must have the same columns in the same order")
            .file("d/part-0.csv", GOOD)
            .file("d/part-1.csv", "p_cat,p_cow,label\n0.5,0.5,cat\n"),
        case("parts with a column more", "score d", "d/part-1.csv: has 4 columns, d/part-0.csv has 3", "all parts of a table must have the same columns in the same order")
            .file("d/part-0.csv", GOOD)
            .file("d/part-1.csv", "p_cat,p_dog,label,z\n0.5,0.5,cat,1\n"),
        case("parts of other formats", "score d", "d/part-1.jsonl: is JSON Lines, the first part is CSV", "all parts of a table must have the same format")
            .file("d/part-0.csv", GOOD)
            .file("d/part-1.jsonl", "{\"p_cat\":0.5,\"p_dog\":0.5,\"label\":\"cat\"}\n"),
        case("a bad row in the second part", "score d", "d/part-1.csv:3: the probabilities sum to 1.1, not 1", "use --sums normalize to divide each row by its sum, or --sums as-is to score it as given; is each class predicted against the rest?")
            .file("d/part-0.csv", GOOD)
            .file("d/part-1.csv", format!("{GOOD}0.5,0.6,dog\n")),
        case("an empty second part", "score d", "d/part-1.csv: is empty", "the first line must name the columns")
            .file("d/part-0.csv", GOOD)
            .file("d/part-1.csv", ""),
        case("a spreadsheet", "score p.xlsx", "p.xlsx: this file is damaged, or uses a feature the decoder does not know: …", "write the file again, or convert it to CSV").file("p.xlsx", b"PK\x03\x04\x14\0\x06\0"),
        score("a spreadsheet called CSV", "p.csv", b"PK\x03\x04\x14\0\x06\0\x08\0", "p.csv: is not CSV but a zip archive (.npz, or a spreadsheet) by its first bytes", "rename the file, or name its format; save a spreadsheet as CSV"),
        score("Parquet called CSV", "p.csv", b"PAR1\x15\x04\x15\x90PAR1", "p.csv: is not CSV but Parquet by its first bytes", "rename the file, or name its format; save a spreadsheet as CSV"),
        score("CSV called Parquet", "p.parquet", GOOD, "p.parquet: this file is damaged, or uses a feature the decoder does not know: …", "write the file again, or convert it to CSV"),
        score("CSV called NumPy", "p.npy", GOOD, "p.npy: this file is damaged, or uses a feature the decoder does not know: …", "write the file again, or convert it to CSV"),
        score("CSV called Arrow", "p.arrow", GOOD, "p.arrow: this file is damaged, or uses a feature the decoder does not know: …", "write the file again, or convert it to CSV"),
        score("CSV read as Parquet", "p.csv", GOOD, "p.csv: this file is damaged, or uses a feature the decoder does not know: …", "write the file again, or convert it to CSV").with("--input-format parquet"),
        score("results into a missing directory", "p.csv", GOOD, "none/out.json: cannot write: there is no directory none", "make the directory first, or write to another place").output("none/out.json"),
        score("results onto a directory", "p.csv", GOOD, "d: cannot write: is a directory", "look at the path and at what it names")
            .setup(|d| fs::create_dir(d.path().join("d")).unwrap())
            .output("d"),
        score("results onto the input", "p.csv", GOOD, "p.csv: is an input, and would be overwritten with the results", "write to another file").output("p.csv"),
        score("results onto the input by another path", "p.csv", GOOD, "d/../p.csv: is an input, and would be overwritten with the results", "write to another file")
            .setup(|d| fs::create_dir(d.path().join("d")).unwrap())
            .output("d/../p.csv"),
        score("results under a file", "p.csv", GOOD, "p.csv/out.json: cannot write: not a directory", "look at the path and at what it names").output("p.csv/out.json"),
        case("rows onto the input", "score p.csv --per-row p.csv", "p.csv: is an input, and would be overwritten with the results", "write to another file").file("p.csv", GOOD),
        case("rows into a missing directory", "score p.csv --per-row none/rows.csv", "none/rows.csv: cannot write: there is no directory none", "make the directory first, or write to another place")
            .file("p.csv", GOOD),
        case("rows and results into one file", "score p.csv --per-row out.json", "out.json: is named for two different results", "write to another file")
            .file("p.csv", GOOD),
        case("rows into an unknown format", "score p.csv --per-row rows.xlsx", "rows.xlsx: no format by this name", "end the name in .csv, .tsv, .jsonl or .parquet")
            .file("p.csv", GOOD),
        case("a comparison onto an input", "compare a.csv b.csv", "b.csv: is an input, and would be overwritten with the results", "write to another file")
            .file("a.csv", GOOD)
            .file("b.csv", GOOD)
            .output("b.csv"),
        case("standard input twice", "compare - -", "standard input is named twice, and can be read only once", "save it to a file first").stdin(GOOD),
    ];
    for case in &mut cases {
        // These name their own rows.
        case.per_row &= !case.args.contains("--per-row");
    }
    #[cfg(unix)]
    {
        cases.push(
            case(
                "a loop of links",
                "score a.csv",
                "a.csv: cannot open: too many levels of symbolic links",
                "look at the path and at what it names",
            )
            .setup(|d| {
                link(d, "a.csv", "b.csv");
                link(d, "b.csv", "a.csv");
            }),
        );
        cases.push(
            case("a link to nothing", "score a.csv", "a.csv: no such file", "look at the path")
                .setup(|d| link(d, "a.csv", "none.csv")),
        );
        cases.push(
            score(
                "results onto the input by a link",
                "p.csv",
                GOOD,
                "l.csv: is an input, and would be overwritten with the results",
                "write to another file",
            )
            .setup(|d| link(d, "l.csv", "p.csv"))
            .output("l.csv"),
        );
        if std::path::Path::new("/dev/full").exists() {
            cases.push(
                score(
                    "results onto a full device",
                    "p.csv",
                    GOOD,
                    "/dev/full: cannot write: no space left on the device",
                    "free some space, or write to another place",
                )
                .output("/dev/full"),
            );
        }
        if is_locked_out() {
            cases.push(
                score(
                    "a file without permission",
                    "p.csv",
                    GOOD,
                    "p.csv: cannot open: permission denied",
                    "…",
                )
                .setup(|d| {
                    use std::os::unix::fs::PermissionsExt;
                    let path = d.path().join("p.csv");
                    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
                }),
            );
        }
    }
    cases
}
