//! Running the real `xent` in a directory of its own.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "tests")]

pub mod tables;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    /// `None` if a signal ended it, or it hung.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The results as JSON, of a run that must have succeeded.
    pub fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// `xent` with the settings that tests rely on.
pub fn xent<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xent"));
    command.args(args).stdin(Stdio::null());
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "XENT_SIMD", "COLUMNS"] {
        command.env_remove(variable);
    }
    command
}

/// A command that takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(5);

/// Runs to the end.
pub fn run(command: &mut Command) -> Ran {
    wait(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

/// Runs to the end with `input` on standard input.
pub fn run_with(command: &mut Command, input: &[u8]) -> Ran {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It may end without reading everything.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let ran = wait(child);
    writer.join().unwrap();
    ran
}

/// Waits for the end, but not for ever: a command that hangs is ended and shows as such.
fn wait(mut child: Child) -> Ran {
    fn reader(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
        let mut bytes = Vec::new();
        thread::spawn(move || {
            stream.unwrap().read_to_end(&mut bytes).unwrap();
            String::from_utf8(bytes).unwrap()
        })
    }
    let (stdout, stderr) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    };
    Ran { code, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

/// A directory with files; `xent` runs in it, so that messages name files by their bare names.
pub struct Dir(pub TempDir);

impl Dir {
    pub fn new() -> Dir {
        Dir(TempDir::new().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, with the directories above it.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Dir {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// `xent` in this directory, its arguments separated by blanks.
    pub fn xent(&self, args: &str) -> Ran {
        run(self.command(words(args)).stdin(Stdio::null()))
    }

    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = xent(args);
        command.current_dir(self.path());
        command
    }

    /// Every file with its bytes, and every link and directory.
    pub fn listing(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut all = BTreeMap::new();
        let mut open = vec![self.path().to_path_buf()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    open.push(entry.path());
                }
                let bytes = if kind.is_file() { fs::read(entry.path()).ok() } else { None };
                all.insert(entry.path(), bytes);
            }
        }
        all
    }
}

/// Words separated by blanks; single quotes hold a word together.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Whether `text` is `pattern`, in which `…` stands for anything.
pub fn is_like(text: &str, pattern: &str) -> bool {
    let parts: Vec<&str> = pattern.split('…').collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    if parts.len() == 1 {
        return text == pattern;
    }
    let Some(rest) = text.strip_prefix(first) else { return false };
    let Some(mut rest) = rest.strip_suffix(last) else { return false };
    for part in &parts[1..parts.len() - 1] {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

/// A result's number: `at` is a path such as `models/0/scores/cross_entropy/value`.
pub fn number(json: &Value, at: &str) -> f64 {
    let value = json.pointer(&format!("/{at}"));
    match value {
        Some(Value::Number(n)) => n.as_f64().unwrap(),
        Some(Value::String(s)) if s == "inf" => f64::INFINITY,
        other => panic!("{at} is {other:?}"),
    }
}

/// Records of RFC 4180 text.
pub fn read_csv(text: &str) -> Vec<Vec<String>> {
    let mut records = vec![vec![String::new()]];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let record = records.last_mut().unwrap();
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                record.last_mut().unwrap().push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(String::new()),
            '\n' if !quoted => records.push(vec![String::new()]),
            c => record.last_mut().unwrap().push(c),
        }
    }
    assert!(!quoted, "{text}");
    // The end of the last line begins no other.
    assert_eq!(records.pop(), Some(vec![String::new()]), "{text}");
    records
}

/// The lines of CSV results by the names of their columns; every line has all of them, and no name stands twice.
pub fn lines(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut records = read_csv(text).into_iter();
    let header = records.next().unwrap();
    let named = |record: Vec<String>| {
        assert_eq!(record.len(), header.len(), "{record:?}");
        let line: BTreeMap<_, _> = header.iter().cloned().zip(record).collect();
        assert_eq!(line.len(), header.len(), "{header:?}");
        line
    };
    records.map(named).collect()
}
