//! The key pairs that apps encrypt their tokens to.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::Failure;
use super::open::{ConfigArgument, actor, now, open_store};
use super::table::table;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::jose::{EncryptionKey, EncryptionKind};
use crate::model::ClientId;
use crate::registry::{
    AppRecord, Change, EncryptionKeyRecord, KeyState, Registry, Repository as _, lacking_encryption_keys,
    new_encryption_key, rotation,
};
use crate::store::Store;

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
        let (_, app) = open_with(&self.config.load()?, &self.app).await?;
        let keys: Vec<_> = app.encryption_keys.iter().map(Shown::of).collect::<Result<_, _>>()?;
        let Some(current) = keys.iter().rev().find(|k| k.state == "active") else {
            return Err(Failure::new(format!(
                "app {} has no key to encrypt to; `scopegate encryption rotate --app {}` makes one",
                self.app, self.app
            )));
        };
        if self.json {
            let keys: Vec<_> = keys.iter().map(Shown::json).collect();
            println!("{}", serde_json::to_string_pretty(&keys)?);
        } else if self.jwk {
            println!("{}", current.public.to_jwk());
        } else {
            let rows: Vec<_> = keys.iter().map(Shown::row).collect();
            print!("{}", table(["KID", "KIND", "STATE", "UNTIL", "CREATED"], &rows));
            println!("\n{}", serde_json::to_string_pretty(&current.public.to_jwk())?);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Give an app a new key pair; the one before stays good for a while
///
/// The new key is the one to use at once. Tokens that are encrypted to the one before are taken until the overlap is over.
#[derive(Debug, Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    config: ConfigArgument,
    /// The app's client id
    #[arg(long, value_name = "ID", value_parser = ClientId::new)]
    app: ClientId,
    /// How long the key before stays good; 0s retires it at once
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    overlap: Duration,
    /// What the new key is
    #[arg(long, value_enum, default_value_t = Kind::Rsa)]
    kind: Kind,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
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
        let (store, app) = open_with(&self.config.load()?, &self.app).await?;
        let kind = match self.kind {
            Kind::Rsa => EncryptionKind::Rsa,
            Kind::P256 => EncryptionKind::P256,
        };
        let (kid, material) = new_encryption_key(kind)?;
        let public = material.public()?.named(kid.as_str());
        let changes = rotation(&app, (kid, material), self.overlap, now());
        store.commit(&changes, &actor(self.why)).await?;
        for change in &changes {
            println!("{change}");
        }
        println!("{}", public.to_jwk());
        store.close().await;
        Ok(ExitCode::SUCCESS)
    }
}

async fn open_with(config: &Config, app: &ClientId) -> Result<(Store, AppRecord), Failure> {
    let store = open_store(config).await?;
    let (_, mut registry) = store.load().await?;
    let record = registry.apps.remove(app.as_str());
    Ok((store, record.ok_or_else(|| Failure::new(format!("app {app} does not exist")))?))
}

/// A key pair as everybody may see it.
struct Shown {
    public: EncryptionKey,
    state: &'static str,
    until: Option<Timestamp>,
    created_at: Timestamp,
}

impl Shown {
    fn of(record: &EncryptionKeyRecord) -> Result<Self, Failure> {
        let (state, until) = match record.state {
            KeyState::Active => ("active", None),
            KeyState::Retiring(until) if until > now() => ("retiring", Some(until)),
            KeyState::Retiring(until) => ("retired", Some(until)),
            KeyState::Retired => ("retired", None),
        };
        let public = record.material.public()?.named(record.kid.as_str());
        Ok(Self { public, state, until, created_at: record.created_at })
    }

    fn row(&self) -> [String; 5] {
        [
            self.public.key_id().unwrap_or_default().to_owned(),
            self.public.kind().to_string(),
            self.state.to_owned(),
            self.until.map_or_else(String::new, |until| until.to_string()),
            self.created_at.to_string(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "kid": self.public.key_id(),
            "state": self.state,
            "until": self.until.map(|until| until.to_string()),
            "created_at": self.created_at.to_string(),
            "jwk": self.public.to_jwk(),
        })
    }
}

/// A key pair for each app that has to encrypt and, after these changes, would have none to encrypt to.
///
/// # Errors
/// When the system gives no random bytes.
pub(super) fn missing_keys(stored: &Registry, changes: &[Change]) -> Result<Vec<Change>, Failure> {
    let add = |app| {
        let (kid, material) = new_encryption_key(EncryptionKind::Rsa)?;
        Ok(Change::AddEncryptionKey { app, kid, material })
    };
    lacking_encryption_keys(stored, changes).into_iter().map(add).collect()
}
