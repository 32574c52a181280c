//! Keys for the registry that reach a command by file, environment or standard input, and secrets that leave it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::edit::Done;
use super::given::Given;
use crate::jose::{KeyMaterial, shared_secret};
use crate::secret::Secret;

#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct MaterialArgument {
    /// A file with the shared secret: at least 32 bytes, used as text, never base64-decoded
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// An environment variable with the shared secret
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
    /// Read the shared secret from standard input
    #[arg(long)]
    secret_stdin: bool,
    /// Make a shared secret; it is printed this once
    #[arg(long)]
    generate: bool,
    /// A file with the public key in PEM, or with its X.509 certificate, which bounds the time that the key is good for
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// A file with the public key as a JSON Web Key
    #[arg(long, value_name = "FILE")]
    jwk: Option<PathBuf>,
}

impl MaterialArgument {
    pub fn is_given(&self) -> bool {
        self.generate || self.secret_stdin || self.secret_env.is_some() || self.file().is_some()
    }

    fn file(&self) -> Option<&PathBuf> {
        self.secret_file.as_ref().or(self.public_key.as_ref()).or(self.jwk.as_ref())
    }

    /// What was given, or else a secret that is made here.
    pub fn read_or_make(&self, out: &SecretOutArgument) -> Result<(KeyMaterial, Option<NewSecret>), Failure> {
        match self.read()? {
            Some(_) if out.secret_out.is_some() => {
                Err(Failure::new("--secret-out is for a secret that is made here: leave it out, or the other secret"))
            }
            Some(material) => Ok((material, None)),
            None => {
                let made = NewSecret { secret: Secret::generate()?, file: out.secret_out.clone() };
                Ok((KeyMaterial::from_secret(made.secret.clone())?, Some(made)))
            }
        }
    }

    /// Whether `read_or_make` makes one.
    pub fn is_made(&self) -> bool {
        !self.is_given() || self.generate
    }

    /// None where a secret is to be made, or nothing was said.
    fn read(&self) -> Result<Option<KeyMaterial>, Failure> {
        let given = Given { file: self.file(), variable: self.secret_env.as_deref(), stdin: self.secret_stdin };
        let Some(bytes) = given.read()? else { return Ok(None) };
        let material = if self.public_key.is_some() {
            KeyMaterial::from_pem_bytes(&bytes).map_err(|error| given.wrong(&error))
        } else if self.jwk.is_some() {
            KeyMaterial::from_jwk(&String::from_utf8_lossy(&bytes)).map_err(|error| given.wrong(&error))
        } else {
            let text = shared_secret(&bytes).map_err(|why| given.wrong(&why))?;
            KeyMaterial::from_secret(Secret::new(text)).map_err(|error| given.wrong(&error))
        };
        Ok(Some(material?))
    }
}

#[derive(Debug, Args)]
pub(super) struct SecretOutArgument {
    /// Write the secret that is made to a new file, which its owner alone may read, instead of printing it
    #[arg(long, value_name = "FILE")]
    secret_out: Option<PathBuf>,
}

/// A secret that was made, on its way to whoever asked for it.
pub(super) struct NewSecret {
    secret: Secret,
    file: Option<PathBuf>,
}

impl NewSecret {
    /// Writes the file, if one is wanted.
    fn write(&self) -> Result<(), Failure> {
        let Some(path) = &self.file else { return Ok(()) };
        let broken = |error| Failure::new(format!("{}: {error}", path.display()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(broken)?;
        let written = file.write_all(self.secret.expose()).and_then(|()| file.write_all(b"\n"));
        written.and_then(|()| file.sync_all()).map_err(|error| {
            self.discard();
            broken(error)
        })
    }

    /// Takes the file back, after the key was not stored.
    fn discard(&self) {
        if let Some(path) = &self.file {
            _ = std::fs::remove_file(path);
        }
    }

    /// Writes the file, and takes it back unless the edit stored the key: what could not be handed over is nobody's key.
    pub async fn handed_over<E>(made: Option<&Self>, dry_run: bool, edit: E) -> Result<Done, Failure>
    where
        E: Future<Output = Result<Done, Failure>>,
    {
        let Some(made) = made.filter(|_| !dry_run) else { return edit.await };
        made.write()?;
        let done = edit.await;
        if !done.as_ref().is_ok_and(Done::is_committed) {
            made.discard();
        }
        done
    }

    /// The text, where it is to be printed.
    pub fn text(&self) -> Option<&str> {
        if self.file.is_some() { None } else { std::str::from_utf8(self.secret.expose()).ok() }
    }

    /// Where it went, for a person.
    pub fn tell(&self, viewable: bool) {
        match (&self.file, self.text()) {
            (Some(path), _) => println!("client secret  in {}", path.display()),
            (None, Some(text)) => println!("client secret  {text}"),
            (None, None) => {}
        }
        match viewable {
            _ if self.file.is_some() => {}
            true => println!("  use it as text, without decoding; `scopegate app show --reveal-secret` shows it again"),
            false => println!("  use it as text, without decoding; it is shown this once, so keep it now"),
        }
    }
}
