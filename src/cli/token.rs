//! Tokens and secrets that reach a command: by file, environment or standard input, so that no process list shows them.

use std::io::{self, Read as _};
use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::jose::SigningKey;
use crate::model::{Algorithm, Family};
use crate::policy::is_placeholder;
use crate::secret::Secret;

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

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct KeyArgument {
    /// A file with the shared secret, used as text
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// An environment variable with the shared secret
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
    /// Read the shared secret from standard input
    #[arg(long)]
    secret_stdin: bool,
    /// A file with the private key in PEM
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// An environment variable with the private key in PEM; line breaks may be written as \n
    #[arg(long, value_name = "NAME")]
    key_env: Option<String>,
}

impl KeyArgument {
    /// `is_quiet`: nobody wants to read of a secret that is short.
    pub fn read(&self, algorithm: Algorithm, is_quiet: bool) -> Result<SigningKey, Failure> {
        let file = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
        };
        let variable =
            |name: &String| std::env::var(name).map_err(|_| Failure::new(format!("the environment has no {name}")));
        let pem = match (&self.key_file, &self.key_env) {
            (Some(path), _) => Some(file(path)?),
            (_, Some(name)) => Some(variable(name)?),
            _ => None,
        };
        if let Some(pem) = pem {
            return Ok(SigningKey::from_pem(&Secret::new(pem), algorithm)?);
        }
        if algorithm.family() != Family::Hmac {
            return Err(Failure::new(format!("{algorithm} signs with a private key: give --key-file or --key-env")));
        }
        let secret = match (&self.secret_file, &self.secret_env) {
            (Some(path), _) => file(path)?,
            (_, Some(name)) => variable(name)?,
            _ => read_stdin()?,
        };
        let secret = Secret::new(secret.trim_end_matches(['\r', '\n']));
        if secret.is_empty() {
            return Err(Failure::new("the secret is empty"));
        }
        if is_placeholder(secret.expose()) {
            return Err(Failure::new(
                "this secret is the placeholder of a tool or an example, which everybody knows: give the app's own secret",
            ));
        }
        if secret.len() < Secret::SHORTEST && !is_quiet {
            let (length, least) = (secret.len(), Secret::SHORTEST);
            eprintln!("scopegate: the secret has {length} bytes; no registry takes one of fewer than {least}");
        }
        Ok(SigningKey::from_secret(&secret))
    }
}

pub(super) fn read_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    io::stdin().lock().take(MAX_INPUT).read_to_string(&mut text)?;
    Ok(text)
}
