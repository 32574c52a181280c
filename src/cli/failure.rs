use std::fmt;
use std::process::ExitCode;

use crate::model::printable_lines;

/// Why a command did not do what was asked: a text for a person.
#[derive(Debug)]
pub(super) struct Failure(String);

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    pub fn report(&self) -> ExitCode {
        eprintln!("scopegate: {}", printable_lines(&self.0));
        ExitCode::FAILURE
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// With the whole chain of causes.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        Self(message)
    }
}
