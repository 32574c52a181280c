//! The key pairs that apps encrypt their tokens to.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::Value;

use super::Failure;
use super::edit::EditArguments;
use super::open::{ConfigArgument, now};
use super::table::table;
use crate::clock::Timestamp;
use crate::config::duration;
use crate::jose::{EncryptionKind, KeyError};
use crate::model::ClientId;
use crate::registry::{
    AppRecord, Change, Editor, EncryptionKeyRecord, KeyState, Part, Registry, lacking_encryption_keys,
    new_encryption_key, rotation,
};

/// Show and rotate the key pairs that apps encrypt their tokens to
#[derive(Debug, Subcommand)]
pub(super) enum Encryption {
    Show(Show),
    Rotate(Rotate),
}

impl Encryption {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Show(show) => show.run().await,
            Self::Rotate(rotate) => rotate.run().await,
        }
    }
}

/// Print an app's public keys, and their states
///
/// Give the JWK to whoever signs the app's tokens: a token is signed first, then encrypted to it. The private half is
/// never printed.
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    config: ConfigArgument,
    /// The app's client id
    #[arg(long, value_name = "ID", value_parser = ClientId::new)]
    app: ClientId,
    /// Print JSON: all keys with their states and JWKs
    #[arg(long, conflicts_with = "jwk")]
    json: bool,
    /// Print the JWK to use now, and nothing else
    #[arg(long)]
    jwk: bool,
}

impl Show {
    async fn run(self) -> Result<ExitCode, Failure> {
        let (config, registry) = self.config.read_part(&Part::app(&self.app)).await?;
        let record = Editor { registry: &registry, rules: &config.grants, now: now() }.app(&self.app)?;
        let keys = EncryptionKeyView::all(record, now())?;
        let Some(current) = keys.iter().rev().find(|key| key.state == KeyState::Active.as_str()) else {
            return Err(Failure::new(format!(
                "app {} has no key to encrypt to; `scopegate encryption rotate --app {}` makes one",
                self.app, self.app
            )));
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&keys)?);
        } else if self.jwk {
            println!("{}", current.jwk);
        } else {
            let rows: Vec<_> = keys.iter().map(EncryptionKeyView::row).collect();
            print!("{}", table(ENCRYPTION_KEY_HEADING, &rows));
            println!("\n{:#}", current.jwk);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Give an app a new key pair; the one before stays good for a while
///
/// The new key is the one to use at once. Tokens encrypted to the one before are taken until the overlap is over.
#[derive(Debug, Args)]
pub(super) struct Rotate {
    /// The app's client id
    #[arg(long, value_name = "ID", value_parser = ClientId::new)]
    app: ClientId,
    /// How long the key before stays good; 0s retires it at once
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    overlap: Duration,
    /// What the new key is
    #[arg(long, value_enum, default_value_t = Kind::Rsa)]
    kind: Kind,
    #[command(flatten)]
    edit: EditArguments,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// 2048 bits, for RSA-OAEP-256 and RSA-OAEP
    Rsa,
    /// For ECDH-ES and ECDH-ES+A256KW; a tenth of the work
    P256,
}

impl Rotate {
    async fn run(self) -> Result<ExitCode, Failure> {
        let kind = match self.kind {
            Kind::Rsa => EncryptionKind::Rsa,
            Kind::P256 => EncryptionKind::P256,
        };
        let new = new_encryption_key(kind)?;
        let session = self.edit.open().await?;
        let rotate = |editor: &Editor<'_>| Ok(rotation(editor.app(&self.app)?, new.clone(), self.overlap, editor.now));
        let done = session.edit(&Part::app(&self.app), rotate).await?;
        session.store.close().await;
        let code = done.print();
        if done.is_committed() {
            println!("\nGive this public key to whoever signs the app's tokens:\n");
            println!("{:#}", new.1.public()?.named(new.0.as_str()).to_jwk());
        }
        Ok(code)
    }
}

/// A key pair as everybody may see it.
#[derive(Serialize)]
pub(super) struct EncryptionKeyView {
    kid: String,
    kind: &'static str,
    state: &'static str,
    retire_at: Option<String>,
    created_at: String,
    /// The public half.
    jwk: Value,
}

impl EncryptionKeyView {
    /// All key pairs of an app, oldest first. One whose time has come is retired, whatever is stored.
    pub fn all(record: &AppRecord, now: Timestamp) -> Result<Vec<Self>, KeyError> {
        let view = |key: &EncryptionKeyRecord| {
            let state = if key.state.usable_at(now) { key.state } else { KeyState::Retired };
            Ok(Self {
                kid: key.kid.to_string(),
                kind: key.material.kind().as_str(),
                state: state.as_str(),
                retire_at: if let KeyState::Retiring(at) = key.state { Some(at.to_string()) } else { None },
                created_at: key.created_at.to_string(),
                jwk: key.material.public()?.named(key.kid.as_str()).to_jwk(),
            })
        };
        record.encryption_keys.iter().map(view).collect()
    }

    /// A line of a table.
    pub fn row(&self) -> [String; 5] {
        let until = self.retire_at.clone().unwrap_or_else(|| "-".into());
        [self.kid.clone(), self.kind.into(), self.state.into(), until, self.created_at.clone()]
    }
}

pub(super) const ENCRYPTION_KEY_HEADING: [&str; 5] = ["KID", "KEY", "STATE", "UNTIL", "CREATED"];

/// A key pair for each app that has to encrypt and, after these changes, would have none to encrypt to.
pub(super) fn missing_keys(stored: &Registry, changes: &[Change]) -> Result<Vec<Change>, KeyError> {
    let add = |app| {
        let (kid, material) = new_encryption_key(EncryptionKind::Rsa)?;
        Ok(Change::AddEncryptionKey { app, kid, material, state: KeyState::Active })
    };
    lacking_encryption_keys(stored, changes).into_iter().map(add).collect()
}
