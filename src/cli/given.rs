//! Secrets and keys that reach a command by file, environment or standard input.

use std::fmt::Display;
use std::io::{self, Read as _};
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::Failure;
use crate::model::shell_word;

/// The longest text that is read from standard input.
const MAX_INPUT: u64 = 1 << 20;

/// Where something comes from.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub file: Option<&'a PathBuf>,
    pub variable: Option<&'a str>,
    pub stdin: bool,
}

impl Given<'_> {
    /// None where nothing was said.
    pub fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let bytes = match (self.file, self.variable) {
            (Some(path), _) => std::fs::read(path).map_err(|error| match error.kind() {
                io::ErrorKind::IsADirectory => self.wrong(&"it is a directory: name the file in it"),
                _ => self.wrong(&error),
            })?,
            (None, Some(name)) => {
                let value = std::env::var_os(name);
                let value = value.ok_or_else(|| Failure::new(format!("the environment has no {name}")))?;
                value.into_encoded_bytes()
            }
            (None, None) if self.stdin => {
                let mut bytes = Vec::new();
                io::stdin().lock().take(MAX_INPUT).read_to_end(&mut bytes)?;
                bytes
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Zeroizing::new(bytes)))
    }

    /// What is wrong with it; a command in it names the file.
    pub fn wrong(&self, why: &dyn Display) -> Failure {
        match (self.file, self.variable) {
            (Some(path), _) => {
                let why = why.to_string().replace("FILE", &shell_word(&path.to_string_lossy()));
                Failure::new(format!("{}: {why}", path.display()))
            }
            (None, Some(name)) => Failure::new(format!("{name}: {why}")),
            (None, None) => Failure::new(why.to_string()),
        }
    }
}
