//! `xent`: how good a probabilistic classifier is, which of two is better, and whether that is luck.

mod args;
mod calibration;
mod evaluate;
mod fail_if;
mod info;
mod interrupt;
mod output;
mod per_row;
mod predict;
mod progress;
mod train;
mod train_args;
mod train_check;
mod train_files;
mod worst;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};

use args::{Cli, ColorArg, Command};

/// Exit code of a bug of ours.
const BUG: u8 = 70;

/// How a command that ran to its end ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// Measured, and the answer is no.
    No,
}

/// Why a command did not run to its end.
#[derive(Debug)]
pub enum Failure {
    /// Bad usage or bad input.
    Input {
        /// What is wrong, and where.
        message: String,
        /// What to try.
        hint: Option<String>,
    },
    /// Standard output could not be written.
    Stdout(std::io::Error),
    /// The user asked to stop.
    Interrupted,
}

impl Failure {
    /// Bad usage.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Input { message: message.into(), hint: None }
    }

    /// Adds where it is.
    #[must_use]
    pub fn at(self, place: &str) -> Self {
        match self {
            Self::Input { message, hint } => {
                Self::Input { message: format!("{place}: {message}"), hint }
            }
            other => other,
        }
    }

    /// Adds what to try.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        match self {
            Self::Input { message, .. } => Self::Input { message, hint: Some(hint.into()) },
            other => other,
        }
    }
}

impl From<xent_eval::Error> for Failure {
    fn from(error: xent_eval::Error) -> Self {
        if error.is_stopped() {
            return Self::Interrupted;
        }
        Self::Input { message: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
}

impl From<xent_io::Error> for Failure {
    fn from(error: xent_io::Error) -> Self {
        xent_eval::Error::from(error).into()
    }
}

fn main() -> ExitCode {
    install_panic_hook();
    // Before the first thread.
    interrupt::let_large_writes_fail();
    interrupt::listen();
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => {
            if is_mistake(&error) {
                let (message, hint) = mistake(&error);
                output::error(&message, Some(&hint));
                return ExitCode::from(2);
            }
            // A closed pipe while printing help is no failure.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match std::panic::catch_unwind(|| run(&cli)) {
        Ok(Ok(Outcome::Done)) => ExitCode::SUCCESS,
        Ok(Ok(Outcome::No)) => ExitCode::from(1),
        Ok(Err(Failure::Stdout(error))) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Ok(Err(Failure::Stdout(error))) => {
            let full = error.kind() == std::io::ErrorKind::StorageFull;
            let hint = full.then_some("free some space, or write to another place");
            let what = xent_io::io_text(&error);
            output::error(&format!("cannot write to standard output: {what}"), hint);
            ExitCode::from(2)
        }
        Ok(Err(Failure::Input { message, hint })) => {
            output::error(&message, hint.as_deref());
            ExitCode::from(2)
        }
        Ok(Err(Failure::Interrupted)) => ExitCode::from(interrupt::CODE),
        Err(_) => ExitCode::from(BUG),
    }
}

/// The parsed arguments; `--color` is remembered for what is printed from here on.
fn parse() -> Result<Cli, clap::Error> {
    let mut matches = Cli::command().try_get_matches_from(arguments())?;
    let color = |(_, command): (&str, &ArgMatches)| {
        command.try_get_one::<ColorArg>("color").ok().flatten().copied()
    };
    if let Some(choice) = matches.subcommand().and_then(color) {
        output::remember_color(choice);
    }
    Cli::from_arg_matches_mut(&mut matches).map_err(|e| e.format(&mut Cli::command()))
}

/// The arguments, negative numbers protected: `xent info softmax -1,2` has no option `-1`.
fn arguments() -> impl Iterator<Item = OsString> {
    let mut is_info = false;
    std::env::args_os().enumerate().map(move |(i, arg)| {
        is_info |= i == 1 && arg == "info";
        match arg.to_str() {
            Some(text) if is_info && is_negative(text) => format!(" {text}").into(),
            _ => arg,
        }
    })
}

fn is_negative(text: &str) -> bool {
    let rest = text.strip_prefix('-').unwrap_or_default();
    rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') || rest.starts_with("inf")
}

/// Whether the parser refused an argument, rather than being asked for help.
fn is_mistake(error: &clap::Error) -> bool {
    use clap::error::ErrorKind as K;
    error.use_stderr() && error.kind() != K::DisplayHelpOnMissingArgumentOrSubcommand
}

/// What the parser says of a wrong argument, in one line each: what is wrong, and what to try.
fn mistake(error: &clap::Error) -> (String, String) {
    let text = error.render().to_string();
    let mut message = Vec::new();
    let mut hint = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let choices = line.strip_prefix("[possible values: ").and_then(|l| l.strip_suffix(']'));
        if let Some(choices) = choices {
            hint = Some(format!("the choices are {choices}"));
        } else if let Some(tip) = line.strip_prefix("tip: ") {
            if tip.starts_with("to pass") {
                continue;
            }
            hint.get_or_insert_with(|| tip.to_owned());
        } else if line.starts_with("Usage:") || line.starts_with("For more information") {
            break;
        } else {
            message.push(line.strip_prefix("error: ").unwrap_or(line));
        }
    }
    let command = std::env::args().nth(1).filter(|word| {
        Cli::command().get_subcommands().any(|command| command.get_name() == word.as_str())
    });
    let help = command.map_or("xent --help".to_owned(), |name| format!("xent {name} --help"));
    (message.join(" "), hint.unwrap_or_else(|| format!("see {help}")))
}

fn run(cli: &Cli) -> Result<Outcome, Failure> {
    match &cli.command {
        Command::Score(args) => evaluate::run_score(args),
        Command::Compare(args) => evaluate::run_compare(args),
        Command::Calibration(args) => calibration::run_calibration(args),
        Command::Calibrate(args) => calibration::run_calibrate(args),
        Command::Worst(args) => worst::run(args),
        Command::Train(args) => train::run(args),
        Command::Predict(args) => predict::run_predict(args),
        Command::Show(args) => predict::run_show(args),
        Command::Info(args) => info::run(args),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "xent", &mut text);
            output::put_text(&String::from_utf8_lossy(&text))?;
            Ok(Outcome::Done)
        }
        Command::Man { directory } => {
            std::fs::create_dir_all(directory)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), directory))
                .map_err(|e| xent_io::Error::io(directory, "cannot write man pages", &e))?;
            Ok(Outcome::Done)
        }
    }
}

/// A panic is a bug of ours, said once and without a stack; decoders' panics are caught below and
/// are errors of the file.
fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        if xent_io::is_decoding() {
            return;
        }
        let version = env!("CARGO_PKG_VERSION");
        output::error(
            &format!("this is a bug in xent {version}: {panic}"),
            Some("please report it with the command and, if you can, the file"),
        );
    }));
}
