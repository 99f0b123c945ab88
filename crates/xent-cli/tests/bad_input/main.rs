//! Bad input: one clear message with its place and a hint, and nothing else happens.
//!
//! Every case is a few files and a command. The command must end with 2 in good time, print
//! nothing on stdout, say exactly the expected `error:` and `hint:` on stderr, and leave the
//! directory as it was: the files named by `-o` and `--per-row` are there before and keep their bytes.
//! In expected messages `…` stands for anything.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

mod alignment;
mod binary;
mod calibration;
mod files;
mod hostile;
mod labels;
mod mutations;
mod numbers;
mod options;
mod rows;
mod tensors;
mod text;
mod train;

use common::{Dir, is_like, run, run_with, words};

/// What is done to the text of a file.
type Change = fn(String) -> String;

/// A command that must be refused.
pub struct Case {
    name: String,
    files: Vec<(String, Vec<u8>)>,
    setup: Option<fn(&Dir)>,
    change: Option<(&'static str, Change)>,
    args: String,
    per_row: bool,
    output: &'static str,
    stdin: Option<Vec<u8>>,
    error: String,
    hint: String,
}

/// A case without files yet.
pub fn case(name: impl Into<String>, args: impl Into<String>, error: &str, hint: &str) -> Case {
    let args = args.into();
    Case {
        name: name.into(),
        files: Vec::new(),
        setup: None,
        change: None,
        per_row: args.starts_with("score"),
        args,
        output: "out.json",
        stdin: None,
        error: error.to_owned(),
        hint: hint.to_owned(),
    }
}

/// `xent score` of one file.
pub fn score(name: &str, file: &str, bytes: impl AsRef<[u8]>, error: &str, hint: &str) -> Case {
    case(name, format!("score {file}"), error, hint).file(file, bytes)
}

/// `xent score p.csv`, the rows under the header `p_cat,p_dog,label`.
pub fn rows(name: &str, rows: &str, error: &str, hint: &str) -> Case {
    score(name, "p.csv", format!("p_cat,p_dog,label\n{rows}"), error, hint)
}

/// `xent compare a.csv b.csv`.
pub fn compare(name: &str, a: &str, b: &str, error: &str, hint: &str) -> Case {
    case(name, "compare a.csv b.csv", error, hint).file("a.csv", a).file("b.csv", b)
}

impl Case {
    /// Adds a file.
    #[must_use]
    pub fn file(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Case {
        self.files.push((name.to_owned(), bytes.as_ref().to_vec()));
        self
    }

    /// Adds options.
    #[must_use]
    pub fn with(mut self, args: &str) -> Case {
        self.args = format!("{} {args}", self.args);
        self
    }

    /// Prepares what is not a plain file.
    #[must_use]
    pub fn setup(mut self, setup: fn(&Dir)) -> Case {
        self.setup = Some(setup);
        self
    }

    /// Does something to the text of a file that was prepared.
    #[must_use]
    pub fn change(mut self, name: &'static str, change: Change) -> Case {
        self.change = Some((name, change));
        self
    }

    /// Writes the results elsewhere than to `out.json`.
    #[must_use]
    pub fn output(mut self, path: &'static str) -> Case {
        self.output = path;
        self
    }

    /// Gives bytes on standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Case {
        self.stdin = Some(bytes.as_ref().to_vec());
        self
    }

    /// Runs it; what is not as it must be, in words.
    fn problems(&self) -> Vec<String> {
        const OLD: &str = "as it was before\n";
        let dir = Dir::new();
        for (name, bytes) in &self.files {
            dir.write(name, bytes);
        }
        dir.write("out.json", OLD).write("rows.csv", OLD);
        if let Some(setup) = self.setup {
            setup(&dir);
        }
        if let Some((name, change)) = self.change {
            let text = change(dir.read(name));
            dir.write(name, text);
        }
        let mut args = words(&self.args);
        if self.args.starts_with("predict") {
            args.extend(["-o", "rows.csv"].map(str::to_owned));
        } else {
            args.extend(["--format", "json", "-o", self.output].map(str::to_owned));
        }
        if self.per_row {
            args.extend(["--per-row", "rows.csv"].map(str::to_owned));
        }
        let before = dir.listing();
        let mut command = dir.command(&args);
        let ran = match &self.stdin {
            Some(bytes) => run_with(&mut command, bytes),
            None => run(&mut command),
        };
        let mut problems = Vec::new();
        let mut check = |good: bool, problem: String| {
            if !good {
                problems.push(problem);
            }
        };
        check(ran.code == Some(2), format!("exit code {:?}", ran.code));
        check(ran.stdout.is_empty(), format!("stdout: {}", ran.stdout));
        check(dir.listing() == before, "a file was changed, made or removed".to_owned());
        for word in ["panicked", "bug in xent", "os error", "Error(", "Some("] {
            check(!ran.stderr.contains(word), format!("says {word:?}"));
        }
        let raw = |c: char| c != '\n' && (c.is_control() || is_direction(c));
        check(!ran.stderr.contains(raw), format!("raw control character: {:?}", ran.stderr));
        let expected = format!("error: {}\nhint: {}\n", self.error, self.hint);
        if !is_like(&ran.stderr, &expected) {
            let place = |text: &str| text.trim_end().replace('\n', "\n        ");
            problems.push(format!("said    {}\n    not {}", place(&ran.stderr), place(&expected)));
        }
        problems
    }
}

/// Whether a character changes the direction or order of text around it.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Runs the cases and reports all that fail.
fn check(cases: &[Case]) {
    let mut failed = String::new();
    for case in cases {
        let problems = case.problems();
        if !problems.is_empty() {
            failed +=
                &format!("\n{} (xent {}):\n    {}", case.name, case.args, problems.join("\n    "));
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

macro_rules! tables {
    ($($table:ident),*) => {
        mod refused {
            $(#[test]
            fn $table() {
                super::check(&super::$table::cases());
            })*
        }

        /// The promise is at least 120 files.
        #[test]
        fn there_are_enough_cases() {
            let n: usize = [$($table::cases().len()),*].iter().sum();
            assert!(n >= 300, "{n}");
        }
    };
}

tables!(
    text,
    numbers,
    rows,
    labels,
    alignment,
    binary,
    calibration,
    files,
    hostile,
    options,
    tensors,
    train
);
