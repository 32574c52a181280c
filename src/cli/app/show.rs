use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::Failure;
use crate::cli::encryption::{ENCRYPTION_KEY_HEADING, EncryptionKeyView};
use crate::cli::open::{ConfigArgument, actor, now, open_store};
use crate::cli::table::table;
use crate::cli::view::{
    AppView, KEY_HEADING, KeyView, grant_json, grant_lines, joined, list, switches, table_grant_json,
};
use crate::config::{Config, SecretsShown};
use crate::model::ClientId;
use crate::registry::{AppRecord, Editor, GrantRules, Part};
use crate::store::{Note, Store};

/// Show an app with its keys and grants
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// The app's client id
    #[arg(value_name = "APP", value_parser = ClientId::new)]
    app: ClientId,
    /// Print its shared secrets too, where the configuration says `secrets = "viewable"`; that stands in the audit
    #[arg(long)]
    reveal_secret: bool,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT", requires = "reveal_secret")]
    why: Option<String>,
    #[command(flatten)]
    config: ConfigArgument,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Show {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let config = self.config.load()?;
        let store = open_store(&config).await?;
        let (_, registry) = store.load_part(&Part::app(&self.app)).await?;
        let record = Editor { registry: &registry, rules: &config.grants, now: now() }.app(&self.app)?;
        if self.reveal_secret {
            self.may_reveal(record, &config, &store).await?;
        }
        let uses = store.uses_of_keys(&self.app).await?;
        store.close().await;
        let mut keys = KeyView::all(&record.keys, &uses, now());
        if self.reveal_secret {
            keys = keys.into_iter().map(|key| key.revealing(&record.keys)).collect();
        }
        let encryption_keys = EncryptionKeyView::all(record, now())?;
        if self.json {
            println!("{}", app_json(record, &keys, &encryption_keys, &config.grants)?);
        } else {
            print_app(record, &keys, &encryption_keys, &config.grants);
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Whoever asks stands in the audit, before anything is shown and also if nothing is.
    async fn may_reveal(&self, record: &AppRecord, config: &Config, store: &Store) -> Result<(), Failure> {
        let viewable = config.registry.secrets == SecretsShown::Viewable;
        let (account, subject, after) = (&record.settings.account, self.app.as_str(), json!({ "shown": viewable }));
        let note = Note { kind: "key", subject, account: Some(account), action: "reveal", after: &after };
        store.note(note, &actor(self.why.clone())).await?;
        if viewable {
            return Ok(());
        }
        Err(Failure::new(format!(
            "secrets are shown once, when they are made: `scopegate key rotate {}` makes a new one beside the old. To see \
             stored ones, set secrets = \"viewable\" under [registry] in {}",
            self.app,
            self.config.path.display()
        )))
    }
}

/// The app with all that is its own.
fn app_json(
    record: &AppRecord,
    keys: &[KeyView],
    encryption_keys: &[EncryptionKeyView],
    rules: &GrantRules,
) -> Result<String, serde_json::Error> {
    let grants: Value = record.grants.iter().map(grant_json).collect();
    let table_grants: Value = record.table_grants.iter().map(table_grant_json).collect();
    let parts = [
        ("keys", serde_json::to_value(keys)?),
        ("encryption_keys", serde_json::to_value(encryption_keys)?),
        ("grants", grants),
        ("table_grants", table_grants),
    ];
    let parts = parts.map(|(name, value)| (name.to_owned(), value));
    joined(&AppView::of(record, rules), Map::from_iter(parts))
}

fn print_app(record: &AppRecord, keys: &[KeyView], encryption_keys: &[EncryptionKeyView], rules: &GrantRules) {
    let app = &record.settings;
    let exp = if rules.may_lack_exp(app) { "its tokens may lack one, and then never expire" } else { "needed" };
    let lines = [
        ("number", record.number.0.to_string()),
        ("client id", app.client_id.to_string()),
        ("name", app.name.escape_debug().to_string()),
        ("account", app.account.to_string()),
        ("level", app.level.to_string()),
        ("bots", list(&app.bots, "all of the account")),
        ("authenticators", list(&app.authenticators, "all")),
        ("algorithms", list(&app.algorithms, "none")),
        ("networks", list(&app.networks, "any")),
        ("switches", switches(app)),
        ("exp", exp.into()),
        ("state", if app.enabled { "enabled" } else { "disabled: every token is refused" }.into()),
    ];
    for (name, value) in lines {
        println!("{name:14} {value}");
    }
    println!("\nkeys");
    if keys.is_empty() {
        println!("none, so no token of its own is taken: `scopegate key add {}` gives it one", app.client_id);
    } else {
        print!("{}", table(KEY_HEADING, &keys.iter().map(KeyView::row).collect::<Vec<_>>()));
        keys.iter().filter_map(KeyView::certificate_line).for_each(|line| println!("{line}"));
    }
    for key in keys {
        if let Some((number, secret)) = key.secret() {
            println!("secret of key number {number}: {secret}");
        }
    }
    if !encryption_keys.is_empty() {
        let rows: Vec<_> = encryption_keys.iter().map(EncryptionKeyView::row).collect();
        println!("\nkeys to encrypt to; `scopegate encryption show --app {}` prints the public one", app.client_id);
        print!("{}", table(ENCRYPTION_KEY_HEADING, &rows));
    }
    println!("\ngrants");
    let grants = record.grants.iter().flat_map(grant_lines);
    let tables = record.table_grants.iter().map(|grant| format!("on {}: {}", grant.resource, grant.permissions));
    let lines: Vec<_> = grants.chain(tables).collect();
    println!("{}", if lines.is_empty() { "none".into() } else { lines.join("\n") });
}
