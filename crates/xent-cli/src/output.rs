//! The only module that prints: results to stdout or a file, everything else to stderr.

use std::io::{IsTerminal, Write};
use std::path::Path;

use xent_report::{
    Report, Style, render_csv, render_json, render_markdown, render_terminal, text::escape_terminal,
};

use crate::Failure;
use crate::args::{ColorArg, FormatArg, OutputArgs};

/// Width of a terminal that does not say.
const WIDTH: usize = 100;

/// Prints or writes a report.
pub fn put(report: &Report, args: &OutputArgs) -> Result<(), Failure> {
    let to_terminal = args.output.is_none() && std::io::stdout().is_terminal();
    let text = match args.format {
        FormatArg::Table => {
            let color = args.output.is_none() && wants_color(args.color, &std::io::stdout());
            let width = if to_terminal { width() } else { 0 };
            render_terminal(report, &Style { width, color })
        }
        FormatArg::Json => render_json(&report.data),
        FormatArg::Csv => render_csv(report),
        FormatArg::Md => render_markdown(report),
    };
    put_text(&text, args.output.as_deref())
}

/// Prints text, or writes it to a file that is complete or untouched.
pub fn put_text(text: &str, output: Option<&Path>) -> Result<(), Failure> {
    if let Some(path) = output.filter(|path| *path != Path::new("-")) {
        let write = || -> Result<(), xent_io::Error> {
            let mut file = xent_io::out::AtomicFile::create(path)?;
            file.put(text.as_bytes())?;
            file.commit()
        };
        return write().map_err(Failure::from);
    }
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
    let color = wants_color(ColorArg::Auto, &std::io::stderr());
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
