//! Tokens that reach a command by argument or standard input.

use std::io::{self, Read as _};

use clap::Args;

use super::Failure;

/// The longest text that is read from standard input.
const MAX_INPUT: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(super) struct TokenArgument {
    /// The token; `-` or nothing reads it from standard input
    #[arg(value_name = "TOKEN", default_value = "-", hide_default_value = true)]
    token: String,
}

impl TokenArgument {
    /// The token as it was given, but for white space around it.
    pub fn read(&self) -> Result<String, Failure> {
        let text = if self.token == "-" { read_stdin()? } else { self.token.clone() };
        match text.trim() {
            "" => Err(Failure::new("there is no token: give it as an argument or on standard input")),
            token => Ok(token.to_owned()),
        }
    }
}

pub(super) fn read_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    io::stdin().lock().take(MAX_INPUT).read_to_string(&mut text)?;
    Ok(text)
}
