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
        Some(K::UnexpectedEof | K::InvalidData | K::InvalidInput) => {
            "the file is cut or damaged: write or fetch it again"
        }
        Some(_) => "look at the path and at what it names",
        None if error.message().ends_with("not a number") => "write numbers as in 0.25 or 2.5e-1",
        None if error.message().ends_with("no such file") => "look at the path",
        None => "xent reads CSV, TSV, JSON Lines, Parquet, Arrow IPC, .npy and .npz",
    }
}
