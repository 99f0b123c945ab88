//! The one error of this crate.

use thiserror::Error;

/// What is wrong, where, and what to try.
#[derive(Clone, Debug, Error)]
#[error("{message}")]
pub struct Error {
    message: String,
    hint: Option<String>,
    stopped: bool,
}

impl Error {
    /// An error with a complete message: lower case, no full stop, its place in it.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, stopped: false }
    }

    /// Adds what to try.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The observer asked to stop.
    pub(crate) fn stopped() -> Self {
        Self { stopped: true, ..Self::new("stopped") }
    }

    /// Whether nothing is wrong and the observer asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// What to try.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl From<xent_io::Error> for Error {
    fn from(error: xent_io::Error) -> Self {
        let hint = error.hint().unwrap_or_else(|| general_hint(&error));
        Self { hint: Some(hint.to_owned()), ..Self::new(error.to_string()) }
    }
}

/// What to try where nothing better is known.
fn general_hint(error: &xent_io::Error) -> &'static str {
    use std::io::ErrorKind as K;
    match error.io_kind() {
        Some(K::PermissionDenied) => "change the permissions, or name another file",
        Some(K::StorageFull) => "free some space, or write to another place",
        Some(K::FileTooLarge) => "raise the limit, as with ulimit -f unlimited, or write less",
        Some(K::UnexpectedEof | K::InvalidData | K::InvalidInput) => {
            "the file is cut or damaged: write or fetch it again"
        }
        Some(_) => "look at the path and at what it names",
        None => {
            let known = [
                ("valid JSON", "each line must hold one JSON object"),
                ("not a number", "write numbers as in 0.25 or 2.5e-1"),
                ("no such file", "look at the path"),
                ("cannot write", "make the directory first, or write to another place"),
                ("no file matches", "look at the pattern, and put it in quotes"),
                ("no valid pattern", "write [[] for a bracket in a file's name"),
                ("is empty", "write the file again"),
                ("does not read", "xent reads numbers, text, booleans and lists of numbers"),
                ("holds no arrays", "save arrays with np.savez"),
                (
                    "has elements of type",
                    "xent reads floats of 16 to 64 bits, integers and booleans",
                ),
                ("dimensions; xent reads", "save an array of shape (rows, classes)"),
                ("holds no tensors", "save tensors with safetensors.numpy.save_file"),
            ];
            known.iter().find(|(part, _)| error.message().contains(part)).map_or(
                "xent reads CSV, TSV, JSON Lines, Parquet, Arrow IPC, .npy, .npz and .safetensors",
                |k| k.1,
            )
        }
    }
}
