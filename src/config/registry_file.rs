//! The registry file, for `apply`.

mod installation;
mod service;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use zeroize::Zeroizing;

use self::installation::InstallationEntry;
use self::service::ServiceEntry;
use super::source::{Source, unreadable};
use super::time::Span;
use super::{ConfigError, Diagnostic};
use crate::clock::NoTimestamp;
use crate::jose::{DecryptionMaterial, KeyError, KeyMaterial, shared_secret};
use crate::model::{
    AccountId, Algorithm, AuthenticatorName, BotId, ClientId, KeyId, Level, Network, ScopeId, shell_word,
};
use crate::policy::configured_host;
use crate::registry::{
    Account, AppSettings, Bot, DEFAULT_ACCOUNT, Desired, DesiredApp, DesiredEncryptionKey, DesiredGrant, DesiredKey,
    GrantTarget, KeyState, Permission, PlanError, Resource, ResourceKind,
};
use crate::secret::Secret;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    account: Vec<AccountEntry>,
    #[serde(default)]
    bot: Vec<BotEntry>,
    #[serde(default)]
    app: Vec<AppEntry>,
    #[serde(default)]
    key: Vec<KeyEntry>,
    #[serde(default)]
    encryption_key: Vec<EncryptionKeyEntry>,
    #[serde(default)]
    grant: Vec<GrantEntry>,
    #[serde(default)]
    table_grant: Vec<TableGrantEntry>,
    #[serde(default)]
    service_account: Vec<ServiceEntry>,
    #[serde(default)]
    installation: Vec<InstallationEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountEntry {
    id: AccountId,
    #[serde(default)]
    hosts: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BotEntry {
    id: BotId,
    account: Option<AccountId>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AppEntry {
    client_id: ClientId,
    name: String,
    account: Option<AccountId>,
    level: Level,
    #[serde(default)]
    bots: BTreeSet<BotId>,
    #[serde(default)]
    authenticators: BTreeSet<AuthenticatorName>,
    #[serde(default)]
    algorithms: BTreeSet<Algorithm>,
    #[serde(default)]
    enforce_jti: bool,
    #[serde(default)]
    enforce_jwe: bool,
    #[serde(default)]
    require_exp: bool,
    max_lifetime: Option<Span>,
    #[serde(default)]
    networks: BTreeSet<Network>,
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

/// A text that no error shows, be it of the wrong type or the wrong form.
struct SecretText(Secret);

impl SecretText {
    fn expose(&self) -> &str {
        std::str::from_utf8(self.0.expose()).unwrap_or_default()
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText")
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Quoted;

        impl Visitor<'_> for Quoted {
            type Value = SecretText;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text in quotes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SecretText, E> {
                Ok(SecretText(Secret::new(text)))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<SecretText, E> {
                Err(E::custom("a secret is a text in quotes"))
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<SecretText, E> {
                Err(E::custom("a secret is a text in quotes"))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<SecretText, E> {
                Err(E::custom("a secret is a text in quotes"))
            }
        }

        deserializer.deserialize_any(Quoted)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    app: ClientId,
    kid: Option<KeyId>,
    secret: Option<SecretText>,
    secret_file: Option<PathBuf>,
    secret_env: Option<String>,
    public_key: Option<String>,
    public_key_file: Option<PathBuf>,
    jwk: Option<serde_json::Value>,
    /// Of a public key: the only one that it may be used with.
    algorithm: Option<Algorithm>,
    state: Option<StateKey>,
    /// RFC 3339.
    retire_at: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StateKey {
    Active,
    Retiring,
    Retired,
}

impl std::fmt::Debug for KeyEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyEntry({}, {:?})", self.app, self.kid)
    }
}

/// As `export` writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EncryptionKeyEntry {
    app: ClientId,
    kid: KeyId,
    private_key: Option<SecretText>,
    private_key_file: Option<PathBuf>,
    state: Option<StateKey>,
    /// RFC 3339.
    retire_at: Option<String>,
}

impl std::fmt::Debug for EncryptionKeyEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EncryptionKeyEntry({}, {})", self.app, self.kid)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantEntry {
    app: ClientId,
    bot: Option<BotId>,
    account: Option<AccountId>,
    scopes: BTreeSet<ScopeId>,
    draft: Option<BTreeSet<ScopeId>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableGrantEntry {
    app: ClientId,
    table: Option<String>,
    view: Option<String>,
    permissions: Vec<Permission>,
}

/// A registry file, read; its lines are kept for errors that show later.
pub struct RegistryFile {
    source: Source,
    desired: Desired,
}

impl RegistryFile {
    /// Reads a file. Secrets may stand in it, in other files (relative to it) or in environment variables.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let source = Source::file(path).map_err(|d| ConfigError(vec![d]))?;
        Self::read(source, path.parent().unwrap_or(Path::new(".")))
    }

    /// Reads a text instead of a file.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        Self::read(Source::new(name, text), Path::new("."))
    }

    pub fn desired(&self) -> &Desired {
        &self.desired
    }

    /// An error of the plan, at its line.
    pub fn locate(&self, error: &PlanError) -> Diagnostic {
        let index = error.index.to_string();
        let line = self.source.line(&[error.table, &index]);
        Diagnostic { place: self.source.name.clone(), line, message: error.message.clone(), help: None }
    }

    fn read(source: Source, folder: &Path) -> Result<Self, ConfigError> {
        let file: File = source.read(false)?;
        let mut reader = Reader { source: &source, folder, faults: Vec::new() };
        if file.version != 1 {
            reader.fault(&["version"], format!("version {} is not known; this is version 1", file.version));
        }
        let default = AccountId::new(DEFAULT_ACCOUNT).map_err(|_| ConfigError(Vec::new()))?;
        let account = |named: Option<AccountId>| named.unwrap_or_else(|| default.clone());
        let desired = Desired {
            accounts: file.account.into_iter().enumerate().map(|(i, account)| reader.account(i, account)).collect(),
            bots: file.bot.into_iter().map(|b| Bot { id: b.id, account: account(b.account) }).collect(),
            keys: file.key.into_iter().enumerate().map(|(i, key)| reader.key(i, key)).collect(),
            encryption_keys: file
                .encryption_key
                .into_iter()
                .enumerate()
                .filter_map(|(i, key)| reader.encryption_key(i, key))
                .collect(),
            grants: file.grant.into_iter().enumerate().filter_map(|(i, grant)| reader.grant(i, grant)).collect(),
            table_grants: file
                .table_grant
                .into_iter()
                .enumerate()
                .filter_map(|(i, g)| reader.table_grant(i, g))
                .collect(),
            apps: file.app.into_iter().enumerate().map(|(i, app)| reader.app(i, app, &account)).collect(),
            service_accounts: file
                .service_account
                .into_iter()
                .enumerate()
                .map(|(i, service)| reader.service(i, service, &account))
                .collect(),
            installations: file
                .installation
                .into_iter()
                .enumerate()
                .filter_map(|(i, installation)| reader.installation(i, installation, &account))
                .collect(),
        };
        let faults = reader.faults;
        if faults.is_empty() { Ok(Self { source, desired }) } else { Err(ConfigError(faults)) }
    }
}

impl AppEntry {
    fn desired(self, account: &impl Fn(Option<AccountId>) -> AccountId) -> DesiredApp {
        DesiredApp(AppSettings {
            client_id: self.client_id,
            name: self.name,
            account: account(self.account),
            level: self.level,
            bots: self.bots,
            authenticators: self.authenticators,
            algorithms: self.algorithms,
            enforce_jti: self.enforce_jti,
            enforce_jwe: self.enforce_jwe,
            require_exp: self.require_exp,
            max_lifetime: self.max_lifetime.map(|s| s.0),
            networks: self.networks,
            enabled: self.enabled,
        })
    }
}

fn key_state(state: Option<StateKey>, retire_at: Option<&str>) -> Result<Option<KeyState>, (&'static str, String)> {
    let state = match (state, retire_at) {
        (None, None) => return Ok(None),
        (Some(StateKey::Active), None) => Ok(KeyState::Active),
        (Some(StateKey::Retired), None) => Ok(KeyState::Retired),
        (Some(StateKey::Retiring), Some(at)) => {
            at.parse().map(KeyState::Retiring).map_err(|e: NoTimestamp| e.to_string())
        }
        (Some(StateKey::Retiring), None) => Err("a key that is retiring needs retire_at, for example \
                                                 retire_at = \"2026-11-22T12:00:00Z\""
            .to_owned()),
        (_, Some(_)) => Err("retire_at goes with state = \"retiring\"".to_owned()),
    };
    let place = if retire_at.is_some() { "retire_at" } else { "state" };
    state.map(Some).map_err(|why| (place, why))
}

struct Reader<'a> {
    source: &'a Source,
    folder: &'a Path,
    faults: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn app(&mut self, index: usize, entry: AppEntry, account: &impl Fn(Option<AccountId>) -> AccountId) -> DesiredApp {
        if let Some(why) = entry.max_lifetime.and_then(|span| span.positive().err()) {
            let message = format!("app {}: max_lifetime: {why}", entry.client_id);
            self.fault(&["app", &index.to_string(), "max_lifetime"], message);
        }
        entry.desired(account)
    }

    fn fault(&mut self, path: &[&str], message: String) {
        let (place, line) = (self.source.name.clone(), self.source.line(path));
        self.faults.push(Diagnostic { place, line, message, help: None });
    }

    fn account(&mut self, index: usize, entry: AccountEntry) -> Account {
        let (good, bad): (Vec<_>, Vec<_>) = entry.hosts.iter().map(|h| configured_host(h)).partition(Result::is_ok);
        for why in bad.into_iter().filter_map(Result::err) {
            self.fault(&["account", &index.to_string(), "hosts"], format!("account {}: {why}", entry.id));
        }
        Account { id: entry.id, hosts: good.into_iter().filter_map(Result::ok).collect() }
    }

    fn key(&mut self, index: usize, entry: KeyEntry) -> DesiredKey {
        let material = self.material(&entry).and_then(|material| match (material, entry.algorithm) {
            (Some(material), Some(only)) => {
                material.restricted_to(only).map(Some).map_err(|error| ("algorithm", error.to_string()))
            }
            (material, _) => Ok(material),
        });
        let material = material.unwrap_or_else(|(key, why)| {
            self.fault(&["key", &index.to_string(), key], format!("key of app {}: {why}", entry.app));
            None
        });
        let state = key_state(entry.state, entry.retire_at.as_deref()).unwrap_or_else(|(key, why)| {
            self.fault(&["key", &index.to_string(), key], format!("key of app {}: {why}", entry.app));
            None
        });
        DesiredKey { app: entry.app, kid: entry.kid, material, state }
    }

    fn material(&self, entry: &KeyEntry) -> Result<Option<KeyMaterial>, (&'static str, String)> {
        let given = [
            entry.secret.is_some(),
            entry.secret_file.is_some(),
            entry.secret_env.is_some(),
            entry.public_key.is_some(),
            entry.public_key_file.is_some(),
            entry.jwk.is_some(),
        ];
        if given.iter().filter(|g| **g).count() > 1 {
            let all = "secret, secret_file, secret_env, public_key, public_key_file and jwk";
            return Err(("app", format!("one of {all}, not several")));
        }
        let at = |key| move |error: KeyError| (key, error.to_string());
        let secret = |key, text: &str| KeyMaterial::from_secret(Secret::new(text)).map_err(at(key)).map(Some);
        if let Some(text) = &entry.secret {
            let written = text.expose();
            if written.starts_with('\u{feff}') || written.ends_with(['\r', '\n']) {
                return Err((
                    "secret",
                    "a line break or a byte order mark would become part of it: write it in one line".into(),
                ));
            }
            secret("secret", written)
        } else if let Some(path) = &entry.secret_file {
            let bytes = self.bytes("secret_file", path)?;
            let text = shared_secret(&bytes).map_err(|why| ("secret_file", self.told(path, &why)))?;
            secret("secret_file", text)
        } else if let Some(name) = &entry.secret_env {
            let text =
                std::env::var_os(name).ok_or_else(|| ("secret_env", format!("the environment has no {name}")))?;
            let text =
                shared_secret(text.as_encoded_bytes()).map_err(|why| ("secret_env", format!("{name}: {why}")))?;
            secret("secret_env", text)
        } else if let Some(pem) = &entry.public_key {
            KeyMaterial::from_pem(pem).map_err(at("public_key")).map(Some)
        } else if let Some(path) = &entry.public_key_file {
            let wrong = |error| ("public_key_file", self.told(path, &error));
            KeyMaterial::from_pem_bytes(&self.bytes("public_key_file", path)?).map_err(wrong).map(Some)
        } else if let Some(jwk) = &entry.jwk {
            KeyMaterial::from_jwk(&jwk.to_string()).map_err(at("jwk")).map(Some)
        } else {
            Ok(None)
        }
    }

    /// What stands in another file.
    fn bytes(&self, key: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, (&'static str, String)> {
        crate::files::read(&self.folder.join(path)).map_err(|error| (key, self.told(path, &unreadable(&error))))
    }

    /// What is wrong with another file.
    fn told(&self, path: &Path, why: &dyn std::fmt::Display) -> String {
        let path = self.folder.join(path).display().to_string();
        let why = why.to_string().replace("FILE", &shell_word(&path));
        format!("{path}: {why}")
    }

    fn encryption_key(&mut self, index: usize, entry: EncryptionKeyEntry) -> Option<DesiredEncryptionKey> {
        let EncryptionKeyEntry { app, kid, private_key, private_key_file, state, retire_at } = entry;
        let mut file = None;
        let pem = match (private_key, private_key_file) {
            (Some(text), None) => Ok(text.0),
            (None, Some(path)) => {
                file = Some(path.clone());
                self.bytes("private_key_file", &path).map(|bytes| Secret::new(bytes.to_vec()))
            }
            _ => {
                Err(("kid", "give private_key or private_key_file; a key that stays as it is is not named".to_owned()))
            }
        };
        let wrong = |error: KeyError| match &file {
            Some(path) => ("private_key_file", self.told(path, &error)),
            None => ("private_key", error.to_string()),
        };
        let material = pem.and_then(|pem| DecryptionMaterial::from_pem(&pem).map_err(wrong));
        let read = material.and_then(|material| Ok((material, key_state(state, retire_at.as_deref())?)));
        match read {
            Ok((material, state)) => Some(DesiredEncryptionKey { app, kid, material, state }),
            Err((key, why)) => {
                self.fault(&["encryption_key", &index.to_string(), key], format!("encryption key of app {app}: {why}"));
                None
            }
        }
    }

    fn grant(&mut self, index: usize, entry: GrantEntry) -> Option<DesiredGrant> {
        let target = match (entry.bot, entry.account) {
            (Some(bot), None) => GrantTarget::Bot(bot),
            (None, Some(account)) => GrantTarget::Account(account),
            _ => {
                self.fault(
                    &["grant", &index.to_string()],
                    "a grant is on a bot or on an account: bot = \"…\" or account = \"…\"".into(),
                );
                return None;
            }
        };
        Some(DesiredGrant { app: entry.app, target, scopes: entry.scopes, draft: entry.draft })
    }

    fn table_grant(
        &mut self,
        index: usize,
        entry: TableGrantEntry,
    ) -> Option<(ClientId, Resource, crate::registry::Permissions)> {
        let (kind, name) = match (entry.table, entry.view) {
            (Some(table), None) => (ResourceKind::Table, table),
            (None, Some(view)) => (ResourceKind::View, view),
            _ => {
                self.fault(
                    &["table_grant", &index.to_string()],
                    "a table grant is on a table or on a view: table = \"…\" or view = \"…\"".into(),
                );
                return None;
            }
        };
        let resource = Resource { kind, name };
        if let Some(why) = resource.fault() {
            self.fault(&["table_grant", &index.to_string(), kind.as_str()], format!("a table grant: {why}"));
            return None;
        }
        Some((entry.app, resource, entry.permissions.into_iter().collect()))
    }
}
