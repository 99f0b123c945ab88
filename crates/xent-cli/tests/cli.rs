//! The command as a program among programs: exit codes, pipes, formats, colour, help.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;
use std::io::Read;
use std::process::Stdio;

use common::tables::{Random, csv, gz};
use common::{Dir, number, read_csv, root, run, words, xent};
use serde_json::Value;

const GOOD: &str = "p_cat,p_dog,label\n0.9,0.1,cat\n0.2,0.8,dog\n0.6,0.4,dog\n";

fn dir() -> Dir {
    let dir = Dir::new();
    dir.write("p.csv", GOOD);
    dir
}

/// Two models over `n` rows, the second plainly worse.
fn models(n: usize) -> [String; 2] {
    let mut random = Random(3);
    let rows: Vec<f64> = (0..n).map(|_| random.uniform()).collect();
    let text = |blur: f64| {
        let each = |(i, p): (usize, &f64)| {
            let p = blur * 0.5 + (1.0 - blur) * p;
            let label =
                if rows[i] > 0.3 + 0.4 * ((i * 7919 % 101) as f64 / 101.0) { "b" } else { "a" };
            vec![(1.0 - p).to_string(), p.to_string(), label.to_owned()]
        };
        csv("p_a,p_b,y", rows.iter().enumerate().map(each))
    };
    [text(0.0), text(0.9)]
}

#[test]
fn exit_codes() {
    let dir = dir();
    assert_eq!(dir.xent("score p.csv").code, Some(0));
    assert_eq!(dir.xent("score q.csv").code, Some(2));
    assert_eq!(dir.xent("score p.csv --no-such-option").code, Some(2));
    assert_eq!(dir.xent("").code, Some(2), "no command");
    assert_eq!(dir.xent("--help").code, Some(0));
    assert_eq!(dir.xent("--version").code, Some(0));
    assert_eq!(dir.xent("help score").code, Some(0));
}

#[test]
fn a_condition_that_holds_is_1_and_says_so() {
    let dir = dir();
    for (condition, code) in [
        ("cross_entropy > 0.01", 1),
        ("cross_entropy > 5", 0),
        ("cross_entropy < 5", 1),
        ("error_rate >= 0.3", 1),
        ("error_rate<=0.3", 0),
        ("mse > 0.1", 1),
        ("brier_half > 0.9", 0),
        ("log_loss > 0.1", 1),
        ("perplexity > 100", 0),
        ("top_1_error > 0.3", 1),
    ] {
        let args = format!("score p.csv --top-k 1 --fail-if '{condition}'");
        let ran = dir.xent(&args);
        assert_eq!(ran.code, Some(code), "{condition}");
        assert!(ran.stdout.starts_with("3 rows"), "the results are printed all the same");
        assert_eq!(ran.stderr.starts_with("failed: "), code == 1, "{}", ran.stderr);
        if code == 1 {
            assert!(ran.stderr.contains(condition), "{}", ran.stderr);
        }
    }
    let both = "score p.csv --fail-if 'mse > 9' --fail-if 'mse < 9'";
    assert_eq!(dir.xent(both).code, Some(1), "one of two is enough");
}

#[test]
fn worse_means_worse_beyond_luck() {
    let [good, bad] = models(500);
    let dir = Dir::new();
    dir.write("good.csv", &good).write("bad.csv", &bad);
    let worse = dir.xent("compare good.csv bad.csv --fail-if worse");
    assert_eq!(worse.code, Some(1), "{}{}", worse.stdout, worse.stderr);
    assert!(worse.stderr.contains("bad is worse than good"), "{}", worse.stderr);
    assert_eq!(dir.xent("compare bad.csv good.csv --fail-if worse").code, Some(0));
    let same = dir.xent("compare good.csv same=good.csv --fail-if worse");
    assert_eq!(same.code, Some(0), "{}", same.stderr);
    // Three rows show nothing, whichever is ahead.
    let few = |text: &str| text.lines().take(4).fold(String::new(), |t, l| t + l + "\n");
    dir.write("good.csv", few(&good)).write("bad.csv", few(&bad));
    for order in ["good.csv bad.csv", "bad.csv good.csv"] {
        assert_eq!(dir.xent(&format!("compare {order} --fail-if worse")).code, Some(0));
    }
    // --baseline turns the question around.
    dir.write("good.csv", &good).write("bad.csv", &bad);
    let turned = dir.xent("compare good.csv bad.csv --baseline bad --fail-if worse");
    assert_eq!(turned.code, Some(0), "{}", turned.stderr);
}

/// As in `xent … | head -1`: the reader goes away after the first bytes.
#[test]
fn a_closed_pipe_is_no_failure() {
    let dir = Dir::new();
    let wide = |f: fn(usize) -> String| (0..3000).map(f).collect::<Vec<_>>().join(",");
    let header = wide(|i| format!("p_{i}"));
    let row = wide(|i| if i == 0 { "1".into() } else { "0".into() });
    dir.write("p.csv", format!("{header},y\n{row},0\n"));
    let man = "--help";
    let big = "score p.csv --confusion --per-class --format json";
    for args in [big, "score p.csv", man, "completions bash", "info entropy 0.5 0.5"] {
        let mut command = dir.command(words(args));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args}: {said}");
        assert!(said.is_empty(), "{args}: {said}");
    }
    // And after one byte of many.
    let mut command = dir.command(words("completions zsh"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0]).unwrap();
    drop(out);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_on_stdout_is_an_error() {
    let dir = dir();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let out = dir.command(["score", "p.csv"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(said.starts_with("error: cannot write to standard output: "), "{said}");
}

#[test]
fn json_reads_back() {
    let dir = dir();
    let found = dir.xent("score p.csv --format json").json();
    assert_eq!(found["schema"], "xent.score/1");
    assert_eq!(found["rows"], 3);
    assert_eq!(found["classes"], serde_json::json!(["cat", "dog"]));
    for score in ["error_rate", "mse", "brier_half", "cross_entropy", "log_loss", "perplexity"] {
        for at in ["models/0/scores", "baseline/scores"] {
            number(&found, &format!("{at}/{score}/value"));
            assert!(found.pointer(&format!("/{at}/{score}/se")).is_some());
            assert!(found.pointer(&format!("/{at}/{score}/ci")).is_some());
        }
    }
    assert_eq!(found["infinite"]["count"], 0);
    let found = dir.xent("compare p.csv q=p.csv --format json").json();
    assert_eq!(found["schema"], "xent.compare/1");
    assert!(found["verdict"]["text"].is_string());
    let keys = ["model", "baseline", "score", "value", "se", "ci", "p", "p_adjusted", "test"];
    for difference in found["differences"].as_array().unwrap() {
        for key in keys {
            assert!(difference.get(key).is_some(), "{key}");
        }
        assert_eq!(difference["value"], 0.0, "a model is not better than itself");
    }
}

#[test]
fn infinite_numbers_are_text_in_json() {
    let dir = Dir::new();
    dir.write("p.csv", "p_cat,p_dog,label\n1,0,dog\n0.5,0.5,cat\n0,1,cat\n");
    let found = dir.xent("score p.csv --format json").json();
    assert_eq!(number(&found, "models/0/scores/cross_entropy/value"), f64::INFINITY);
    assert_eq!(found["infinite"]["count"], 2);
    assert_eq!(found["infinite"]["rows"], serde_json::json!([1, 3]));
}

/// CSV has all digits of the numbers in JSON.
#[test]
fn csv_reads_back() {
    let dir = dir();
    let records = read_csv(&dir.xent("score p.csv --format csv").stdout);
    let json = dir.xent("score p.csv --format json").json();
    let bits = number(&json, "models/0/scores/cross_entropy/value");
    let found = records.iter().flatten().filter_map(|cell| cell.parse::<f64>().ok());
    assert!(found.into_iter().any(|x| x == bits), "{records:?}");
    let widths: Vec<usize> = records.iter().map(Vec::len).collect();
    assert!(widths.iter().all(|w| *w == widths[0]), "{records:?}");
    assert!(records.len() > 5);
}

#[test]
fn markdown_reads_back() {
    let text = dir().xent("score p.csv --format md").stdout;
    let lines: Vec<&str> = text.lines().collect();
    // The scores, and their parts.
    let tables: Vec<_> = lines
        .chunk_by(|a, b| a.starts_with('|') == b.starts_with('|'))
        .filter(|chunk| chunk[0].starts_with('|'))
        .collect();
    assert_eq!(tables.len(), 2, "{text}");
    for table in tables {
        let rows: Vec<Vec<&str>> =
            table.iter().map(|l| l.trim_matches('|').split('|').map(str::trim).collect()).collect();
        assert!(rows.len() > 3, "{text}");
        assert!(rows.iter().all(|r| r.len() == rows[0].len()), "{text}");
        assert!(rows[1].iter().all(|c| c.trim_matches(':').chars().all(|c| c == '-')), "{text}");
        assert!(rows.iter().any(|r| r[0].starts_with("cross entropy")), "{text}");
    }
}

/// Hostile names do not break any format.
#[test]
fn names_are_escaped_in_every_format() {
    let dir = Dir::new();
    let name = "a|b\u{1b}[31m\u{202e}</td>";
    dir.write("p.csv", format!("p_{name},p_b,label\n0.5,0.5,{name}\n0.25,0.75,b\n"));
    for format in ["table", "md", "csv", "json"] {
        let ran = dir.xent(&format!("score p.csv --per-class --confusion --format {format}"));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(!ran.stdout.contains('\u{1b}') || format == "csv", "{format}: {}", ran.stdout);
        if format == "table" {
            assert!(!ran.stdout.contains('\u{202e}'), "{}", ran.stdout);
        }
        if format == "json" {
            assert_eq!(ran.json()["classes"][0], name, "JSON keeps the name");
        }
    }
}

#[test]
fn output_replaces_a_file_whole() {
    let dir = dir();
    dir.write("out.json", "x".repeat(100_000));
    let ran = dir.xent("score p.csv --format json -o out.json");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
    let written: Value = serde_json::from_str(&dir.read("out.json")).unwrap();
    assert_eq!(written, dir.xent("score p.csv --format json").json());
    let names: Vec<_> = dir.listing().into_keys().collect();
    assert_eq!(names.len(), 2, "{names:?}");
    // What is written is what is printed, in every format.
    for format in ["table", "csv", "md", "json"] {
        let printed = dir.xent(&format!("score p.csv --format {format}")).stdout;
        assert_eq!(dir.xent(&format!("score p.csv --format {format} -o out")).code, Some(0));
        assert_eq!(dir.read("out"), printed);
    }
    assert_eq!(dir.xent("score p.csv -o -").stdout, dir.xent("score p.csv").stdout);
}

#[cfg(unix)]
#[test]
fn output_keeps_mode_and_follows_links() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = dir();
    dir.write("real.json", "old");
    let real = dir.path().join("real.json");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.json", dir.path().join("link.json")).unwrap();
    assert_eq!(dir.xent("score p.csv --format json -o link.json").code, Some(0));
    assert!(fs::symlink_metadata(dir.path().join("link.json")).unwrap().is_symlink());
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(dir.read("real.json").starts_with('{'));
}

#[test]
fn a_gate_that_fails_still_writes_its_results() {
    let dir = dir();
    let ran = dir.xent("score p.csv --format json -o out.json --fail-if 'mse > 0'");
    assert_eq!(ran.code, Some(1));
    assert!(dir.read("out.json").starts_with('{'));
}

#[test]
fn colour_only_where_it_is_wanted() {
    let dir = dir();
    let colours = |command: &mut std::process::Command| run(command).stdout.contains('\u{1b}');
    assert!(!colours(&mut dir.command(["score", "p.csv"])), "stdout is no terminal");
    assert!(colours(&mut dir.command(words("score p.csv --color always"))));
    assert!(!colours(&mut dir.command(words("score p.csv --color never"))));
    assert!(!colours(dir.command(["score", "p.csv"]).env("NO_COLOR", "1")));
    assert!(colours(dir.command(["score", "p.csv"]).env("CLICOLOR_FORCE", "1")));
    let asked = &mut dir.command(words("score p.csv --color always"));
    assert!(colours(asked.env("NO_COLOR", "1")), "an option is stronger than the environment");
    // Colour adds nothing but colour.
    let plain = dir.xent("score p.csv").stdout;
    let coloured = dir.xent("score p.csv --color always").stdout;
    let mut bare = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        bare += before;
        rest = after.split_once('m').unwrap().1;
    }
    assert_eq!(bare + rest, plain);
    for format in ["json", "csv", "md"] {
        let ran = dir.xent(&format!("score p.csv --color always --format {format}"));
        assert!(!ran.stdout.contains('\u{1b}'), "{format}");
    }
}

#[test]
fn errors_are_coloured_on_request_only() {
    let dir = dir();
    assert!(!dir.xent("score q.csv").stderr.contains('\u{1b}'));
    let ran = run(dir.command(["score", "q.csv"]).env("CLICOLOR_FORCE", "1"));
    assert!(ran.stderr.contains("\u{1b}["), "{:?}", ran.stderr);
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let ran = run(&mut xent(["completions", shell]));
        assert_eq!(ran.code, Some(0));
        for word in ["score", "compare", "fail-if", "label-smoothing"] {
            assert!(ran.stdout.contains(word), "{shell} lacks {word}");
        }
    }
}

#[test]
fn man_pages() {
    let dir = Dir::new();
    assert_eq!(dir.xent("man .").code, Some(0));
    for page in ["xent.1", "xent-score.1", "xent-compare.1", "xent-info.1"] {
        let text = dir.read(page);
        assert!(text.contains(".TH") && text.contains(".SH NAME"), "{page}");
    }
    assert!(dir.read("xent-score.1").contains("fail\\-if"));
    assert_eq!(dir.xent("man made").code, Some(0));
    assert!(dir.read("made/xent.1").contains(".TH"));
    let ran = dir.xent("man xent.1");
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("\nhint: "), "{}", ran.stderr);
}

const COMMON: &[&str] = &[
    "label",
    "targets",
    "proba",
    "positive",
    "classes",
    "weight",
    "by",
    "id",
    "input",
    "missing",
    "sums",
    "clip",
    "label-smoothing",
    "top-k",
    "level",
    "threads",
    "input-format",
    "models",
    "fail-if",
    "format",
    "output",
    "color",
    "quiet",
    "help",
];

/// Every option is in the help, with words about it.
#[test]
fn help_names_every_option() {
    let cases: [(&str, &[&str]); 3] = [
        ("score", &["confusion", "per-class", "per-row"]),
        ("compare", &["baseline", "model-col"]),
        ("info", &[]),
    ];
    for (command, own) in cases {
        let help = run(&mut xent([command, "--help"])).stdout;
        let common = if command == "info" {
            &["base", "file", "normalize", "format", "output"]
        } else {
            COMMON
        };
        for option in common.iter().chain(own) {
            let lines: Vec<&str> = help.lines().collect();
            let at = lines.iter().position(|l| {
                l.trim_start().starts_with('-')
                    && l.split([' ', ',', '=']).any(|w| w == format!("--{option}"))
            });
            let at = at.unwrap_or_else(|| panic!("{command} --help lacks --{option}"));
            let about = lines[at].split("  ").filter(|s| !s.is_empty()).count() > 1
                || lines.get(at + 1).is_some_and(|l| l.starts_with("        "));
            assert!(about, "{command} --{option} has no words: {}", lines[at]);
        }
    }
    let help = run(&mut xent(["--help"])).stdout;
    for word in ["score", "compare", "info", "completions", "man", "Exit codes"] {
        assert!(help.contains(word), "{word}");
    }
    for quantity in [
        "content",
        "entropy",
        "cross-entropy",
        "kl",
        "js",
        "mutual-information",
        "expectation",
        "softmax",
        "sigmoid",
    ] {
        assert!(run(&mut xent(["info", "--help"])).stdout.contains(quantity));
        assert_eq!(run(&mut xent(["info", quantity, "--help"])).code, Some(0));
    }
}

/// Options may stand before or behind the arguments, negative numbers among them.
#[test]
fn options_of_info_may_stand_anywhere() {
    let of = |args: &str| run(&mut xent(words(args))).json();
    let behind = of("info kl 0.75,0.25 0.5,0.5 --base e --format json");
    assert_eq!(behind, of("info --format json --base e kl 0.75,0.25 0.5,0.5"));
    assert_eq!(behind["unit"], "nats");
    let softmax = of("info softmax -1,2 -0.5 --format json");
    assert_eq!(softmax["results"].as_object().unwrap().len(), 3);
}

/// A long scan shows progress on a terminal only: here stderr is a pipe.
#[test]
fn progress_is_hidden_without_a_terminal() {
    let dir = Dir::new();
    dir.write("p.csv.gz", gz(format!("p_a,p_b,y\n{}", "0.25,0.75,b\n0.5,0.5,a\n".repeat(400_000))));
    let ran = dir.xent("score p.csv.gz");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn the_version_is_the_crates() {
    let ran = run(&mut xent(["--version"]));
    assert_eq!(ran.stdout, format!("xent {}\n", env!("CARGO_PKG_VERSION")));
    assert!(root().join("Cargo.toml").is_file());
}

/// Of weights that are importances the base rates have no errors, and are still the same.
#[test]
fn equal_base_rates_stand_once() {
    let dir = Dir::new();
    let text = "p_x,p_y,label,w\n0.9,0.1,x,0.5\n0.2,0.8,y,1.5\n0.6,0.4,y,1\n0.3,0.7,x,2\n";
    for name in ["a", "b", "c"] {
        dir.write(&format!("{name}.csv"), text);
    }
    let screen = dir.xent("score a.csv b.csv c.csv --weight w").stdout;
    assert_eq!(screen.matches("base rate").count(), 1, "{screen}");
}

/// Tables in files and pipes are broken between columns, and no name is cut.
#[test]
fn many_models_fit_a_page() {
    let dir = dir();
    let names: Vec<String> = (1..8).map(|i| format!("gradient-boosting-run-{i}")).collect();
    for name in &names {
        dir.write(&format!("{name}.csv"), GOOD);
    }
    let files: Vec<String> = names.iter().map(|name| format!("{name}.csv")).collect();
    for command in ["score", "compare"] {
        let screen = dir.xent(&format!("{command} {}", files.join(" "))).stdout;
        let table: Vec<&str> = screen.lines().filter(|l| l.starts_with("error rate")).collect();
        assert!(table.len() > 1, "{screen}");
        let tables = screen
            .lines()
            .filter(|l| !["note:", "warning:", "label:"].iter().any(|start| l.starts_with(start)));
        for line in tables.filter(|l| l.contains("  ")) {
            assert!(line.chars().count() <= 120, "{line}");
        }
        assert!(names.iter().all(|name| screen.contains(name)), "{screen}");
    }
}

/// Names with commas in them do not run into one another.
#[test]
fn prediction_columns_are_a_list() {
    let dir = Dir::new();
    dir.write("p.csv", "\"p_a, b\",p_c,label\n0.5,0.5,c\n");
    let json = dir.xent("score p.csv --format json").json();
    let columns = &json["models"][0]["columns"];
    assert_eq!(columns["prediction_list"], serde_json::json!(["p_a, b", "p_c"]));
    assert_eq!(columns["predictions"], "p_a, b, p_c");
}
