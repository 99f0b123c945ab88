//! The only module that prints: results to stdout or a file, everything else to stderr.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use xent_io::out::AtomicFile;
use xent_report::plot::{self, Chart};
use xent_report::{
    Report, Style, render_csv, render_json, render_markdown, render_terminal, text::escape_terminal,
};

use crate::Failure;
use crate::args::{ColorArg, FormatArg, OutputArgs, ending};

/// Width of a terminal that does not say.
const WIDTH: usize = 100;
/// Lines of a chart.
const LINES: usize = 16;

/// What `--color` says, once the arguments are known.
static COLOR: OnceLock<ColorArg> = OnceLock::new();

/// Remembers what `--color` says, for errors too.
pub fn remember_color(choice: ColorArg) {
    let _ = COLOR.set(choice);
}

/// Where a report goes, made before the first row is read, so that a bad path fails at once.
pub struct Sink<'a> {
    args: &'a OutputArgs,
    file: Option<AtomicFile>,
}

impl<'a> Sink<'a> {
    /// Starts the file that the results go to, if they go to one.
    pub fn create(args: &'a OutputArgs) -> Result<Self, Failure> {
        let path = args.output.as_deref().filter(|path| *path != Path::new("-"));
        if let Some(path) = path.filter(|_| args.format.is_none()) {
            check_ending(path)?;
        }
        let file = path.map(AtomicFile::create).transpose()?;
        Ok(Self { args, file })
    }

    /// Writes all that can fail of writing the file; it appears with [`finish`](Self::finish).
    pub fn write(&mut self, report: &Report) -> Result<(), Failure> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.put(render(report, self.args).as_bytes())?;
        let path = self.args.output.as_deref().unwrap_or(Path::new("-"));
        file.flush().map_err(|e| xent_io::Error::io(path, "cannot write", &e))?;
        Ok(())
    }

    /// Prints the report, or makes the written file appear.
    pub fn finish(self, report: &Report) -> Result<(), Failure> {
        match self.file {
            Some(file) => Ok(file.commit()?),
            None => put_text(&render(report, self.args)),
        }
    }
}

/// Endings of files that results are not written as.
const OTHERS: [&str; 14] = [
    "tsv", "jsonl", "ndjson", "parquet", "arrow", "arrows", "feather", "npy", "npz", "xlsx",
    "html", "pdf", "gz", "zst",
];

/// Refuses to write a text table under a name that says something else.
fn check_ending(path: &Path) -> Result<(), Failure> {
    let ending = ending(path);
    if !OTHERS.contains(&ending.as_str()) {
        return Ok(());
    }
    Err(Failure::usage(format!("{}: results are not written as .{ending}", path.display()))
        .with_hint("name the file .json, .csv, .md or .txt, or say what to write with --format"))
}

/// Prints a report to stdout.
pub fn print(report: &Report, format: FormatArg, color: ColorArg) -> Result<(), Failure> {
    let args = OutputArgs { format: Some(format), output: None, color, quiet: false };
    put_text(&render(report, &args))
}

/// Prints a chart.
pub fn draw(chart: &impl Chart, color: ColorArg) -> Result<(), Failure> {
    let stdout = std::io::stdout();
    let room = if stdout.is_terminal() { width() } else { WIDTH };
    let color = wants_color(color, &stdout);
    put_text(&format!("\n{}", plot::render_terminal(chart, room.min(WIDTH), LINES, true, color)))
}

/// Refuses to write over a file that is read, or over another one that is written.
pub fn check_paths<'a>(
    inputs: impl Iterator<Item = &'a Path>,
    outputs: &[Option<&Path>],
) -> Result<(), Failure> {
    let real = |path: &Path| -> Option<PathBuf> {
        let path = std::fs::canonicalize(path).ok()?;
        path.is_file().then_some(path)
    };
    let outputs: Vec<&Path> = outputs.iter().flatten().copied().collect();
    let resolved: Vec<Option<PathBuf>> = outputs.iter().map(|path| real(path)).collect();
    let refused = |path: &Path, what: &str| {
        Err(Failure::usage(format!("{}: {what}", path.display()))
            .with_hint("write to another file"))
    };
    for input in inputs.filter_map(real) {
        if let Some(i) = resolved.iter().position(|output| output.as_ref() == Some(&input)) {
            return refused(outputs[i], "is an input, and would be overwritten with the results");
        }
    }
    for (i, (a, x)) in outputs.iter().zip(&resolved).enumerate() {
        let mut others = outputs[..i].iter().zip(&resolved);
        if others.any(|(b, y)| a == b || (x.is_some() && x == y)) {
            return refused(a, "is named for two different results");
        }
    }
    Ok(())
}

fn render(report: &Report, args: &OutputArgs) -> String {
    let to_terminal = args.output.is_none() && std::io::stdout().is_terminal();
    match args.form() {
        FormatArg::Table => {
            let color = args.output.is_none() && wants_color(args.color, &std::io::stdout());
            let width = if to_terminal { width() } else { 0 };
            render_terminal(report, &Style { width, color })
        }
        FormatArg::Json => render_json(&report.data),
        // In a file labels are data and stay as they are; a terminal must not obey them.
        FormatArg::Csv if to_terminal => {
            let csv = render_csv(report);
            let lines: Vec<_> = csv.lines().map(escape_terminal).collect();
            lines.join("\n") + "\n"
        }
        FormatArg::Csv => render_csv(report),
        FormatArg::Md => render_markdown(report),
    }
}

/// Prints text.
pub fn put_text(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::Stdout)
}

fn width() -> usize {
    terminal_size::terminal_size().map_or(WIDTH, |(width, _)| usize::from(width.0))
}

fn wants_color(choice: ColorArg, stream: &impl anstream::stream::RawStream) -> bool {
    match choice {
        ColorArg::Always => true,
        ColorArg::Never => false,
        ColorArg::Auto => anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never,
    }
}

/// `error: …` and `hint: …` on stderr.
#[expect(clippy::print_stderr, reason = "the module for it")]
pub fn error(message: &str, hint: Option<&str>) {
    let color = wants_color(COLOR.get().copied().unwrap_or(ColorArg::Auto), &std::io::stderr());
    let paint = |word: &str, code: &str| {
        if color { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_owned() }
    };
    eprintln!("{} {}", paint("error:", "1;31"), escape_terminal(message));
    if let Some(hint) = hint {
        eprintln!("{} {}", paint("hint:", "36"), escape_terminal(hint));
    }
}

/// A line on stderr that is not an error.
#[expect(clippy::print_stderr, reason = "the module for it")]
pub fn say(message: &str) {
    eprintln!("{}", escape_terminal(message));
}
