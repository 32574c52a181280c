//! What most commands begin with: the configuration, and the store that it names.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::clock::{Clock, Timestamp};
use crate::config::{self, Config};
use crate::registry::{Actor, Part, Registry, Repository as _};
use crate::store::{Store, StoreSettings};
use crate::tokens::{Issued, TokenService};

#[derive(Debug, Args)]
pub(super) struct ConfigArgument {
    /// The configuration file
    #[arg(id = "config", short = 'c', long, value_name = "FILE", default_value = DEFAULT)]
    pub path: PathBuf,
}

const DEFAULT: &str = "config/scopegate.toml";

impl ConfigArgument {
    pub fn is_default(&self) -> bool {
        self.path.as_os_str() == DEFAULT
    }

    pub fn load(&self) -> Result<Config, Failure> {
        config::load(&self.path).map_err(|error| Failure::new(format!("the configuration can't be used\n{error}")))
    }

    /// The configuration, and a part of the registry that it names as it is now.
    pub async fn read_part(&self, part: &Part) -> Result<(Config, Registry), Failure> {
        let config = self.load()?;
        let store = open_store(&config).await?;
        let (_, registry) = store.load_part(part).await?;
        store.close().await;
        Ok((config, registry))
    }

    /// The configuration, and the registry that it names as it is now: all that a command needs which only looks.
    pub async fn read_registry(&self) -> Result<(Config, Registry), Failure> {
        let config = self.load()?;
        let store = open_store(&config).await?;
        let (_, registry) = store.load().await?;
        store.close().await;
        Ok((config, registry))
    }
}

/// The store that is there; a command that only reads makes none.
pub(super) async fn open_store(config: &Config) -> Result<Store, Failure> {
    open(config, false).await
}

/// The store, made if it is not there.
pub(super) async fn make_store(config: &Config) -> Result<Store, Failure> {
    open(config, true).await
}

async fn open(config: &Config, create: bool) -> Result<Store, Failure> {
    let (url, key_file) = (config.store.url.clone(), config.store.key_file.clone());
    Ok(Store::open(&StoreSettings { url, key_file, create }).await?)
}

/// Our own keys and what was issued and revoked, as the store has it now.
pub(super) async fn issued_tokens(store: &Store, config: &Config) -> Result<Issued, Failure> {
    let tokens = TokenService::new(store.clone(), Issued::default(), config.rotation.clone());
    tokens.follow().await?;
    Ok(tokens.issued().clone())
}

pub(super) fn now() -> Timestamp {
    Clock::System.now()
}

/// Whoever runs the command, for the audit.
pub(super) fn actor(why: Option<String>) -> Actor {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "unknown".into());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Actor { name: format!("cli:{user}@{}", host.trim()), why, at: now() }
}
