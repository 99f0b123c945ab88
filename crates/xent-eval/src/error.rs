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
        Self { hint: error.hint().map(str::to_owned), ..Self::new(error.to_string()) }
    }
}
