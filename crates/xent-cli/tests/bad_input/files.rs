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
    fs::set_permissions(&path, fs::Permissions::from_mode(0)).unwrap();
    fs::read(path).is_err()
}

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("a missing file", "score q.csv", "?", "?"),
        case("a name misspelt", "score perds.csv", "?", "?").file("preds.csv", GOOD),
        case("another extension", "score preds.tsv", "?", "?").file("preds.csv", GOOD),
        case("a missing directory", "score there/preds.csv", "?", "?"),
        case("a missing file under a name", "score m=q.csv", "?", "?"),
        case("an empty name", "score ''", "?", "?"),
        case("a name without a path", "score m=", "?", "?"),
        case("a path without a name", "score =p.csv", "?", "?").file("p.csv", GOOD),
        case("a pattern without files", "score part-*.csv", "?", "?"),
        case("a pattern that is none", "score part-[.csv", "?", "?"),
        case("a directory without tables", "score d", "?", "?").file("d/notes.txt", "x"),
        case("an empty directory", "score d", "?", "?")
            .setup(|d| fs::create_dir(d.path().join("d")).unwrap()),
        case("a file taken for a directory", "score p.csv/q.csv", "?", "?").file("p.csv", GOOD),
        case("parts with other columns", "score d", "?", "?")
            .file("d/part-0.csv", GOOD)
            .file("d/part-1.csv", "p_cat,p_cow,label\n0.5,0.5,cat\n"),
        case("parts with a column more", "score d", "?", "?")
            .file("d/part-0.csv", GOOD)
            .file("d/part-1.csv", "p_cat,p_dog,label,z\n0.5,0.5,cat,1\n"),
        case("parts of other formats", "score d", "?", "?")
            .file("d/part-0.csv", GOOD)
            .file("d/part-1.jsonl", "{\"p_cat\":0.5,\"p_dog\":0.5,\"label\":\"cat\"}\n"),
        case("a bad row in the second part", "score d", "?", "?")
            .file("d/part-0.csv", GOOD)
            .file("d/part-1.csv", format!("{GOOD}0.5,0.6,dog\n")),
        case("an empty second part", "score d", "?", "?")
            .file("d/part-0.csv", GOOD)
            .file("d/part-1.csv", ""),
        case("a spreadsheet", "score p.xlsx", "?", "?").file("p.xlsx", b"PK\x03\x04\x14\0\x06\0"),
        score("a spreadsheet called CSV", "p.csv", b"PK\x03\x04\x14\0\x06\0\x08\0", "?", "?"),
        score("Parquet called CSV", "p.csv", b"PAR1\x15\x04\x15\x90PAR1", "?", "?"),
        score("CSV called Parquet", "p.parquet", GOOD, "?", "?"),
        score("CSV called NumPy", "p.npy", GOOD, "?", "?"),
        score("CSV called Arrow", "p.arrow", GOOD, "?", "?"),
        score("CSV read as Parquet", "p.csv", GOOD, "?", "?").with("--input-format parquet"),
        score("results into a missing directory", "p.csv", GOOD, "?", "?").output("none/out.json"),
        score("results onto a directory", "p.csv", GOOD, "?", "?")
            .setup(|d| fs::create_dir(d.path().join("d")).unwrap())
            .output("d"),
        score("results onto the input", "p.csv", GOOD, "?", "?").output("p.csv"),
        score("results onto the input by another path", "p.csv", GOOD, "?", "?")
            .setup(|d| fs::create_dir(d.path().join("d")).unwrap())
            .output("d/../p.csv"),
        score("results under a file", "p.csv", GOOD, "?", "?").output("p.csv/out.json"),
        case("rows onto the input", "score p.csv --per-row p.csv", "?", "?").file("p.csv", GOOD),
        case("rows into a missing directory", "score p.csv --per-row none/rows.csv", "?", "?")
            .file("p.csv", GOOD),
        case("rows and results into one file", "score p.csv --per-row out.json", "?", "?")
            .file("p.csv", GOOD),
        case("rows into an unknown format", "score p.csv --per-row rows.xlsx", "?", "?")
            .file("p.csv", GOOD),
        case("a comparison onto an input", "compare a.csv b.csv", "?", "?")
            .file("a.csv", GOOD)
            .file("b.csv", GOOD)
            .output("b.csv"),
        case("standard input twice", "compare - -", "?", "?").stdin(GOOD),
    ];
    for case in &mut cases {
        // These name their own rows.
        case.per_row &= !case.args.contains("--per-row");
    }
    #[cfg(unix)]
    {
        cases.push(case("a loop of links", "score a.csv", "?", "?").setup(|d| {
            link(d, "a.csv", "b.csv");
            link(d, "b.csv", "a.csv");
        }));
        cases.push(
            case("a link to nothing", "score a.csv", "?", "?")
                .setup(|d| link(d, "a.csv", "none.csv")),
        );
        cases.push(
            score("results onto the input by a link", "p.csv", GOOD, "?", "?")
                .setup(|d| link(d, "l.csv", "p.csv"))
                .output("l.csv"),
        );
        if std::path::Path::new("/dev/full").exists() {
            cases.push(
                score("results onto a full device", "p.csv", GOOD, "?", "?").output("/dev/full"),
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
                    fs::set_permissions(path, fs::Permissions::from_mode(0)).unwrap();
                }),
            );
        }
    }
    cases
}
