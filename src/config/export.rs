//! The registry as a file, such that `apply` of it changes nothing.

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value, value};

use crate::jose::KeyMaterial;
use crate::registry::{
    AppRecord, EncryptionKeyRecord, GrantTarget, Installation, KeyRecord, KeyState, Permission, Registry, Repositories,
    ServiceAccount,
};

/// What becomes of shared secrets and the hashes of passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// Left out; applied again, such a key keeps the stored secret, such an account the stored password.
    Omit,
    /// Written as they are.
    Plain,
}

/// Writes the registry. Public keys are always in it; shared secrets, the private halves of encryption keys and the hashes
/// of passwords only where they are asked for.
pub fn export(registry: &Registry, secrets: Secrets) -> String {
    let mut document = DocumentMut::new();
    document.insert("version", value(1));
    let accounts = registry
        .accounts
        .values()
        .map(|account| table([("id", account.id.as_str().into()), ("hosts", list(account.hosts.iter()))]));
    put(&mut document, "account", accounts);
    let bots = registry
        .bots
        .values()
        .map(|bot| table([("id", bot.id.as_str().into()), ("account", bot.account.as_str().into())]));
    put(&mut document, "bot", bots);
    put(&mut document, "app", registry.apps.values().map(app));
    let keys = registry.apps.values().flat_map(|app| app.keys.iter().map(move |k| key(app, k, secrets)));
    put(&mut document, "key", keys);
    if secrets == Secrets::Plain {
        let keys = registry.apps.values().flat_map(|app| app.encryption_keys.iter().map(move |key| (app, key)));
        put(&mut document, "encryption_key", keys.filter_map(|(app, key)| encryption_key(app, key)));
    }
    put(&mut document, "grant", registry.apps.values().flat_map(grants));
    put(&mut document, "table_grant", registry.apps.values().flat_map(table_grants));
    put(&mut document, "installation", registry.apps.values().flat_map(|app| &app.installations).map(installation));
    put(&mut document, "service_account", registry.service_accounts.values().map(|account| service(account, secrets)));
    document.to_string()
}

fn put(document: &mut DocumentMut, name: &str, tables: impl Iterator<Item = Table>) {
    let tables: ArrayOfTables = tables.collect();
    if !tables.is_empty() {
        document.insert(name, Item::ArrayOfTables(tables));
    }
}

fn table<'k>(entries: impl IntoIterator<Item = (&'k str, Value)>) -> Table {
    entries.into_iter().map(|(key, entry)| (key, Item::Value(entry))).collect()
}

fn list<T: ToString>(entries: impl Iterator<Item = T>) -> Value {
    entries.map(|entry| entry.to_string()).collect::<Array>().into()
}

fn app(record: &AppRecord) -> Table {
    let settings = &record.settings;
    let mut entry = table([
        ("client_id", settings.client_id.as_str().into()),
        ("name", settings.name.as_str().into()),
        ("account", settings.account.as_str().into()),
        ("level", settings.level.as_str().into()),
        ("bots", list(settings.bots.iter())),
        ("authenticators", list(settings.authenticators.iter())),
        ("algorithms", list(settings.algorithms.iter())),
        ("enforce_jti", settings.enforce_jti.into()),
        ("enforce_jwe", settings.enforce_jwe.into()),
        ("require_exp", settings.require_exp.into()),
        ("enabled", settings.enabled.into()),
    ]);
    if !settings.networks.is_empty() {
        entry.insert("networks", Item::Value(list(settings.networks.iter())));
    }
    if let Some(lifetime) = settings.max_lifetime {
        entry.insert("max_lifetime", value(humantime::format_duration(lifetime).to_string()));
    }
    entry
}

fn key(app: &AppRecord, key: &KeyRecord, secrets: Secrets) -> Table {
    let mut entry = table([("app", app.settings.client_id.as_str().into())]);
    if let Some(kid) = &key.kid {
        entry.insert("kid", value(kid.as_str()));
    }
    match &key.material {
        KeyMaterial::Secret(secret) => {
            if secrets == Secrets::Plain
                && let Ok(text) = std::str::from_utf8(secret.expose())
            {
                entry.insert("secret", value(text));
            }
        }
        KeyMaterial::Public { only, .. } => {
            entry.insert("public_key", value(key.material.to_pem().unwrap_or_default()));
            if let Some(algorithm) = only {
                entry.insert("algorithm", value(algorithm.as_str()));
            }
        }
    }
    put_state(&mut entry, key.state);
    entry
}

fn encryption_key(app: &AppRecord, key: &EncryptionKeyRecord) -> Option<Table> {
    let pem = key.material.to_pem();
    let text = std::str::from_utf8(pem.expose()).ok()?;
    let mut entry = table([
        ("app", app.settings.client_id.as_str().into()),
        ("kid", key.kid.as_str().into()),
        ("private_key", text.into()),
    ]);
    put_state(&mut entry, key.state);
    Some(entry)
}

fn put_state(entry: &mut Table, state: KeyState) {
    if state != KeyState::Active {
        entry.insert("state", value(state.as_str()));
    }
    if let KeyState::Retiring(until) = state {
        entry.insert("retire_at", value(until.to_string()));
    }
}

fn grants(app: &AppRecord) -> impl Iterator<Item = Table> {
    app.grants.iter().map(|grant| {
        let (kind, target) = match &grant.target {
            GrantTarget::Bot(bot) => ("bot", bot.as_str()),
            GrantTarget::Account(account) => ("account", account.as_str()),
        };
        let mut entry = table([
            ("app", app.settings.client_id.as_str().into()),
            (kind, target.into()),
            ("scopes", list(grant.published.iter())),
        ]);
        if grant.draft != grant.published {
            entry.insert("draft", Item::Value(list(grant.draft.iter())));
        }
        entry
    })
}

fn table_grants(app: &AppRecord) -> impl Iterator<Item = Table> {
    app.table_grants.iter().map(|grant| {
        table([
            ("app", app.settings.client_id.as_str().into()),
            (grant.resource.kind.as_str(), grant.resource.name.as_str().into()),
            ("permissions", list(grant.permissions.iter().map(Permission::as_str))),
        ])
    })
}

fn installation(installation: &Installation) -> Table {
    let permissions: InlineTable =
        installation.permissions.iter().map(|(name, level)| (name.as_str(), Value::from(level.as_str()))).collect();
    let repositories = match &installation.repositories {
        Repositories::All => "all".into(),
        Repositories::Selected(repositories) => {
            let entry =
                |(id, name): (i64, &str)| InlineTable::from_iter([("id", Value::from(id)), ("name", name.into())]);
            let entries = repositories.iter().map(|repository| entry((repository.id, &repository.name)));
            Value::Array(entries.collect::<Array>())
        }
    };
    table([
        ("id", installation.id.get().into()),
        ("app", installation.app.as_str().into()),
        ("account", installation.account.as_str().into()),
        ("target", installation.target.as_str().into()),
        ("permissions", permissions.into()),
        ("repositories", repositories),
        ("suspended", installation.suspended_at.is_some().into()),
    ])
}

fn service(service: &ServiceAccount, secrets: Secrets) -> Table {
    let mut entry = table([
        ("name", service.name.as_str().into()),
        ("account", service.account.as_str().into()),
        ("kind", service.kind.as_str().into()),
        ("roles", list(service.roles.iter())),
        ("enabled", service.enabled.into()),
    ]);
    let phc = service.hash.to_phc();
    if secrets == Secrets::Plain
        && let Ok(text) = std::str::from_utf8(phc.expose())
    {
        entry.insert("password_hash", value(text));
    }
    entry
}
