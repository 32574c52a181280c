//! What a command signs with: from a file, the environment, standard input or a person, so that no process list shows it.

use std::env;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use super::ask::ask;
use super::exposure::{environment, exposed};
use super::token::read_stdin;
use crate::jose::{PrivatePem, SigningKey, shared_secret};
use crate::model::{Algorithm, Family, shell_word};
use crate::policy::is_placeholder;
use crate::secret::Secret;

#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct SignerArgument {
    /// A file with the shared secret, used as text [env: SCOPEGATE_SECRET_FILE, or SCOPEGATE_SECRET with the secret]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// An environment variable with the shared secret
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
    /// Read the shared secret from standard input
    #[arg(long)]
    secret_stdin: bool,
    /// A file with the private key in PEM [env: SCOPEGATE_PRIVATE_KEY_FILE, or SCOPEGATE_PRIVATE_KEY with the PEM]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// An environment variable with the private key in PEM; line breaks may be written as \n
    #[arg(long, value_name = "NAME")]
    key_env: Option<String>,
}

/// How to deal with whoever runs the command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Nobody wants to read warnings.
    pub is_quiet: bool,
    /// A secret that everybody knows is meant.
    pub allows_placeholder: bool,
    /// There may be somebody to ask.
    pub may_ask: bool,
}

impl Manner {
    pub fn warn(self, text: impl std::fmt::Display) {
        if !self.is_quiet {
            eprintln!("scopegate: {text}");
        }
    }
}

/// The text of a key, and where it came from, for errors.
struct Given {
    text: Secret,
    origin: String,
}

impl SignerArgument {
    /// By flag, else by environment, else by question. Warns of what a browser could read.
    pub fn read(&self, algorithm: Algorithm, manner: Manner) -> Result<SigningKey, Failure> {
        let is_shared = algorithm.family() == Family::Hmac;
        let names = if is_shared { &SHARED } else { &PRIVATE };
        let given = match self.given(is_shared)? {
            Some(given) => given,
            None => names.in_environment()?.map_or_else(|| names.asked(algorithm, manner), Ok)?,
        };
        let at = |error: &dyn std::fmt::Display| {
            let mut error = error.to_string();
            // A variable and a typed answer have no file that a command could mend.
            if Path::new(&given.origin).is_file() {
                error = error.replace("FILE", &shell_word(&given.origin));
            }
            Failure::new(format!("{}: {error}", given.origin))
        };
        let environment = environment();
        let pairs = environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for found in exposed(pairs, Some(&trimmed(&given.text))) {
            manner.warn(found);
        }
        // A private key that is given is read as one, whatever the algorithm is: the algorithm is what does not fit then.
        if is_shared && self.key_file.is_none() && self.key_env.is_none() {
            return shared(&given.text, manner).map_err(|failure| at(&failure));
        }
        let pem = PrivatePem::read(&given.text).map_err(|error| at(&error))?;
        if !pem.mended().is_empty() {
            let mended: Vec<_> = pem.mended().iter().map(ToString::to_string).collect();
            manner.warn(format_args!(
                "{}: the private key has {}; mended for this once",
                given.origin,
                mended.join(", ")
            ));
        }
        SigningKey::from_private(&pem, algorithm).map_err(|error| at(&error))
    }

    /// Whether standard input is the secret, and so nobody can answer there.
    pub fn takes_stdin(&self) -> bool {
        self.secret_stdin
    }

    fn given(&self, is_shared: bool) -> Result<Option<Given>, Failure> {
        let is_secret = self.secret_file.is_some() || self.secret_env.is_some() || self.secret_stdin;
        if is_secret && !is_shared {
            return Err(Failure::new("this algorithm signs with a private key: give --key-file or --key-env"));
        }
        match (self.secret_file.as_ref().or(self.key_file.as_ref()), self.secret_env.as_ref().or(self.key_env.as_ref()))
        {
            (Some(path), _) => Given::file(path.clone()).map(Some),
            (None, Some(name)) => match Given::variable(name)? {
                Some(given) => Ok(Some(given)),
                None => Err(Failure::new(format!("the environment has no {name}"))),
            },
            (None, None) if self.secret_stdin => {
                Ok(Some(Given { text: Secret::new(read_stdin()?), origin: "standard input".to_owned() }))
            }
            (None, None) => Ok(None),
        }
    }
}

/// How a kind of key is named to the command.
struct Names {
    what: &'static str,
    text_variable: &'static str,
    file_variable: &'static str,
    flags: &'static str,
}

const SHARED: Names = Names {
    what: "shared secret",
    text_variable: "SCOPEGATE_SECRET",
    file_variable: "SCOPEGATE_SECRET_FILE",
    flags: "--secret-file, --secret-env or --secret-stdin",
};

const PRIVATE: Names = Names {
    what: "private key",
    text_variable: "SCOPEGATE_PRIVATE_KEY",
    file_variable: "SCOPEGATE_PRIVATE_KEY_FILE",
    flags: "--key-file or --key-env",
};

impl Names {
    fn in_environment(&self) -> Result<Option<Given>, Failure> {
        if let Some(given) = Given::variable(self.text_variable)? {
            return Ok(Some(given));
        }
        env::var_os(self.file_variable).filter(|path| !path.is_empty()).map(|path| Given::file(path.into())).transpose()
    }

    fn asked(&self, algorithm: Algorithm, manner: Manner) -> Result<Given, Failure> {
        let question = format!("Path of the file with the {}", self.what);
        let answer = if manner.may_ask { ask(&question, manner.is_quiet)? } else { None };
        let Some(answer) = answer else {
            return Err(Failure::new(format!(
                "there is no {}, and {algorithm} signs with one: give {}, or set {} to its text or {} to its file's path",
                self.what, self.flags, self.text_variable, self.file_variable
            )));
        };
        let is_path = answer.starts_with(['/', '.', '~']) || answer.contains('.') && !answer.starts_with("eyJ");
        if answer.contains("-----BEGIN") || answer.starts_with("SHA256:") {
            return Err(Failure::new(format!("this is no path: name the file that holds the {}", self.what)));
        }
        // A secret that was pasted here is not repeated.
        Given::file(at_home(&answer)).map_err(|failure| {
            if is_path {
                failure
            } else {
                Failure::new(format!("there is no such file: name the one with the {}", self.what))
            }
        })
    }
}

/// As a shell reads `~`; an answer has not been through one.
fn at_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => path.into(),
    }
}

impl Given {
    fn file(path: PathBuf) -> Result<Self, Failure> {
        let origin = path.display().to_string();
        let text = std::fs::read(path).map_err(|error| Failure::new(format!("{origin}: {error}")))?;
        Ok(Self { text: Secret::new(text), origin })
    }

    fn variable(name: &str) -> Result<Option<Self>, Failure> {
        match env::var(name) {
            Ok(text) => Ok(Some(Self { text: Secret::new(text), origin: name.to_owned() })),
            Err(env::VarError::NotPresent) => Ok(None),
            Err(env::VarError::NotUnicode(_)) => Err(Failure::new(format!("{name} is not UTF-8"))),
        }
    }
}

/// Editors and `echo` end a text with a line break; no secret does.
fn trimmed(text: &Secret) -> Secret {
    let bytes = text.expose();
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    Secret::new(&bytes[..end])
}

fn shared(given: &Secret, manner: Manner) -> Result<SigningKey, Failure> {
    let bare = trimmed(given);
    if bare.is_empty() {
        return Err(Failure::new("the secret is empty"));
    }
    if bare.expose().windows(11).any(|window| window == b"PRIVATE KEY") {
        return Err(Failure::new(
            "this is a private key and no shared secret: name its algorithm, such as --alg RS256",
        ));
    }
    let secret = &Secret::new(shared_secret(given.expose()).map_err(|why| Failure::new(why.to_string()))?);
    if is_placeholder(secret.expose()) && !manner.allows_placeholder {
        return Err(Failure::new(
            "this secret is the placeholder of a tool or an example, which everybody knows: give the app's own secret",
        ));
    }
    if secret.len() < Secret::SHORTEST {
        let (length, least) = (secret.len(), Secret::SHORTEST);
        manner.warn(format_args!("the secret has {length} bytes; no registry takes one of fewer than {least}"));
    }
    Ok(SigningKey::from_secret(secret))
}
