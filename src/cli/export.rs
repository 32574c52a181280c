use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::Failure;
use super::open::{ConfigArgument, actor, open_store};
use crate::config::{self, Secrets};
use crate::registry::Repository as _;
use crate::store::Note;

/// Print the registry as a file for `apply`
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    config: ConfigArgument,
    /// What becomes of shared secrets; one that is left out keeps its stored value when the file is applied. `plain` stands
    /// in the audit
    #[arg(long, value_enum, default_value_t = SecretsArgument::Omit)]
    secrets: SecretsArgument,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SecretsArgument {
    Omit,
    Plain,
}

impl Export {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let config = self.config.load()?;
        let store = open_store(&config).await?;
        let (_, registry) = store.load().await?;
        let secrets = match self.secrets {
            SecretsArgument::Omit => Secrets::Omit,
            SecretsArgument::Plain => Secrets::Plain,
        };
        if secrets == Secrets::Plain {
            let after = json!({ "shown": true });
            let note = Note { kind: "registry", subject: "all", account: None, action: "reveal", after: &after };
            store.note(note, &actor(None)).await?;
        }
        print!("{}", config::export(&registry, secrets));
        store.close().await;
        Ok(ExitCode::SUCCESS)
    }
}
