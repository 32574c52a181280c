//! Rows as the database has them, and the records that they stand for. What can't be read is named, never shown.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{Database, FromRow, Row};

use super::seal::Sealer;
use super::sqlite::Db;
use super::{encryption_key_place, key_place, service_place};
use crate::clock::Timestamp;
use crate::jose::{Certificate, DecryptionMaterial, KeyMaterial};
use crate::model::{Algorithm, ClientId, Family, InstallationId, InvalidId, KeyId, Level};
use crate::password::PasswordHash;
use crate::registry::{
    AppSettings, EncryptionKeyRecord, Grant, GrantTarget, GrantVersion, Installation, InstallationTarget, KeyNumber,
    KeyRecord, KeyState, Permission, Repositories, Resource, ResourceKind, ServiceAccount, ServiceKind,
    ServiceSettings, StoreError, TableGrant,
};

/// The columns of an [`AppRow`].
pub const APP_COLUMNS: &str = "number, client_id, name, account, level, authenticators, algorithms, enforce_jti, \
                               enforce_jwe, require_exp, max_lifetime, networks, enabled, credential_version";

pub struct AppRow {
    pub number: i64,
    pub credential_version: i64,
    client_id: String,
    name: String,
    account: String,
    level: String,
    authenticators: String,
    algorithms: String,
    enforce_jti: bool,
    enforce_jwe: bool,
    require_exp: bool,
    max_lifetime: Option<i64>,
    networks: String,
    enabled: bool,
}

impl<'r> FromRow<'r, <Db as Database>::Row> for AppRow {
    fn from_row(row: &'r <Db as Database>::Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            number: row.try_get("number")?,
            credential_version: row.try_get("credential_version")?,
            client_id: row.try_get("client_id")?,
            name: row.try_get("name")?,
            account: row.try_get("account")?,
            level: row.try_get("level")?,
            authenticators: row.try_get("authenticators")?,
            algorithms: row.try_get("algorithms")?,
            enforce_jti: row.try_get("enforce_jti")?,
            enforce_jwe: row.try_get("enforce_jwe")?,
            require_exp: row.try_get("require_exp")?,
            max_lifetime: row.try_get("max_lifetime")?,
            networks: row.try_get("networks")?,
            enabled: row.try_get("enabled")?,
        })
    }
}

impl AppRow {
    /// The settings without the bots, which stand in another table.
    pub fn into_settings(self) -> Result<AppSettings, StoreError> {
        let damaged = |what| unreadable(&format!("the {what} of app {}", self.client_id));
        let level = match self.level.as_str() {
            "bot" => Level::Bot,
            "account" => Level::Account,
            _ => return Err(damaged("level")),
        };
        Ok(AppSettings {
            client_id: id(&self.client_id)?,
            account: id(&self.account)?,
            level,
            bots: BTreeSet::new(),
            authenticators: list(&self.authenticators).ok_or_else(|| damaged("authenticators"))?,
            algorithms: list(&self.algorithms).ok_or_else(|| damaged("algorithms"))?,
            enforce_jti: self.enforce_jti,
            enforce_jwe: self.enforce_jwe,
            require_exp: self.require_exp,
            max_lifetime: self.max_lifetime.map(|millis| Duration::from_millis(millis.unsigned_abs())),
            networks: list(&self.networks).ok_or_else(|| damaged("networks"))?,
            enabled: self.enabled,
            name: self.name,
        })
    }
}

/// The columns of a [`KeyRow`].
pub const KEY_COLUMNS: &str =
    "app_key.number, app_key.app, kid, kind, sealed, spki, only_algorithm, certificate, state, retire_at";

pub struct KeyRow {
    pub number: i64,
    pub app: i64,
    kid: Option<String>,
    kind: String,
    sealed: Option<Vec<u8>>,
    spki: Option<Vec<u8>>,
    only: Option<String>,
    certificate: Option<Vec<u8>>,
    state: String,
    retire_at: Option<i64>,
}

impl<'r> FromRow<'r, <Db as Database>::Row> for KeyRow {
    fn from_row(row: &'r <Db as Database>::Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            number: row.try_get("number")?,
            app: row.try_get("app")?,
            kid: row.try_get("kid")?,
            kind: row.try_get("kind")?,
            sealed: row.try_get("sealed")?,
            spki: row.try_get("spki")?,
            only: row.try_get("only_algorithm")?,
            certificate: row.try_get("certificate")?,
            state: row.try_get("state")?,
            retire_at: row.try_get("retire_at")?,
        })
    }
}

impl KeyRow {
    pub fn into_record(self, app: &ClientId, sealer: &Sealer) -> Result<KeyRecord, StoreError> {
        let damaged = |what| unreadable(&format!("the {what} of key {} of app {app}", self.number));
        let state = key_state(&self.state, self.retire_at).ok_or_else(|| damaged("state"))?;
        let only = self.only.as_deref().map(str::parse::<Algorithm>).transpose().map_err(|_| damaged("algorithm"))?;
        let certificate = self.certificate.map(|der| Certificate::read(der).map_err(|_| damaged("certificate")));
        let certificate = certificate.transpose()?.map(|(certificate, _)| Arc::new(certificate));
        let material = match (self.kind.as_str(), self.sealed, self.spki) {
            ("secret", Some(blob), None) => {
                KeyMaterial::Secret(sealer.open(&blob, key_place(app.as_str(), self.number))?)
            }
            // What is no key after all disables its app alone, when it is compiled.
            (kind, None, Some(spki)) => {
                KeyMaterial::Public { family: family(kind).ok_or_else(|| damaged("kind"))?, spki, only, certificate }
            }
            _ => return Err(damaged("material")),
        };
        let kid = self.kid.as_deref().map(id::<KeyId>).transpose()?;
        Ok(KeyRecord { number: KeyNumber(self.number), kid, material, state })
    }
}

/// The columns of an [`EncryptionKeyRow`].
pub const ENCRYPTION_KEY_COLUMNS: &str = "app, number, kid, sealed, state, retire_at, created_at";
pub type EncryptionKeyRow = (i64, i64, String, Option<Vec<u8>>, String, Option<i64>, i64);

pub fn encryption_key(
    (_, number, kid, sealed, state, retire_at, created_at): EncryptionKeyRow,
    app: &ClientId,
    sealer: &Sealer,
) -> Result<EncryptionKeyRecord, StoreError> {
    let damaged = |what| unreadable(&format!("the {what} of encryption key {kid} of app {app}"));
    let blob = sealed.ok_or_else(|| damaged("material"))?;
    let pkcs8 = sealer.open(&blob, encryption_key_place(app.as_str(), number))?;
    Ok(EncryptionKeyRecord {
        number: KeyNumber(number),
        kid: id(&kid)?,
        material: DecryptionMaterial::from_pkcs8(&pkcs8).map_err(|_| damaged("material"))?,
        state: key_state(&state, retire_at).ok_or_else(|| damaged("state"))?,
        created_at: Timestamp::from_millis(created_at),
    })
}

fn key_state(state: &str, retire_at: Option<i64>) -> Option<KeyState> {
    match (state, retire_at) {
        ("active", None) => Some(KeyState::Active),
        ("retiring", Some(until)) => Some(KeyState::Retiring(Timestamp::from_millis(until))),
        ("retired", None) => Some(KeyState::Retired),
        _ => None,
    }
}

/// A state as its two columns.
pub fn state_columns(state: KeyState) -> (&'static str, Option<i64>) {
    match state {
        KeyState::Active => ("active", None),
        KeyState::Retiring(until) => ("retiring", Some(until.millis())),
        KeyState::Retired => ("retired", None),
    }
}

/// A key's kind as its column.
pub fn kind_column(material: &KeyMaterial) -> &'static str {
    match material.family() {
        Family::Hmac => "secret",
        Family::Rsa => "rsa",
        Family::P256 => "p256",
        Family::P384 => "p384",
        Family::Ed25519 => "ed25519",
    }
}

/// A public key's fingerprint, from its columns.
pub fn fingerprint(kind: &str, spki: Vec<u8>) -> Option<String> {
    KeyMaterial::Public { family: family(kind)?, spki, only: None, certificate: None }.fingerprint()
}

fn family(kind: &str) -> Option<Family> {
    match kind {
        "rsa" => Some(Family::Rsa),
        "p256" => Some(Family::P256),
        "p384" => Some(Family::P384),
        "ed25519" => Some(Family::Ed25519),
        _ => None,
    }
}

/// The columns of a [`GrantRow`].
pub const GRANT_COLUMNS: &str = "app, target_kind, target_id, draft, published, version, updated_at";
pub type GrantRow = (i64, String, String, String, String, i64, i64);

pub fn grant((app, kind, id, draft, published, version, updated_at): GrantRow) -> Result<(i64, Grant), StoreError> {
    let damaged = || unreadable(&format!("the grant of app number {app} on {kind} {id}"));
    let target = target(&kind, &id)?;
    let draft = list(&draft).ok_or_else(damaged)?;
    let published = list(&published).ok_or_else(damaged)?;
    Ok((app, Grant { target, draft, published, version, updated_at: Timestamp::from_millis(updated_at) }))
}

/// The columns of a [`VersionRow`].
pub const VERSION_COLUMNS: &str = "client_id, target_kind, target_id, version, at, actor, why, scopes";
pub type VersionRow = (String, String, String, i64, i64, String, Option<String>, String);

pub fn grant_version(
    (app, kind, target_id, version, at, actor, why, scopes): VersionRow,
) -> Result<GrantVersion, StoreError> {
    let damaged = || unreadable(&format!("version {version} of the grant of app {app} on {kind} {target_id}"));
    let (target, at) = (target(&kind, &target_id)?, Timestamp::from_millis(at));
    Ok(GrantVersion { app: id(&app)?, target, version, at, actor, why, scopes: list(&scopes).ok_or_else(damaged)? })
}

/// A grant's target from its two columns.
pub fn target(kind: &str, name: &str) -> Result<GrantTarget, StoreError> {
    match kind {
        "bot" => Ok(GrantTarget::Bot(id(name)?)),
        "account" => Ok(GrantTarget::Account(id(name)?)),
        _ => Err(unreadable(&format!("the target {kind} {name} of a grant"))),
    }
}

/// A grant's target as its two columns.
pub fn target_columns(target: &GrantTarget) -> (&'static str, &str) {
    match target {
        GrantTarget::Bot(bot) => ("bot", bot.as_str()),
        GrantTarget::Account(account) => ("account", account.as_str()),
    }
}

/// The columns of a [`TableGrantRow`].
pub const TABLE_GRANT_COLUMNS: &str = "app, resource_kind, resource_name, permissions";
pub type TableGrantRow = (i64, String, String, String);

pub fn table_grant((app, kind, name, permissions): TableGrantRow) -> Result<(i64, TableGrant), StoreError> {
    let damaged = || unreadable(&format!("the grant of app number {app} on {kind} {name}"));
    let permissions: Vec<Permission> = serde_json::from_str(&permissions).map_err(|_| damaged())?;
    let kind = [ResourceKind::Table, ResourceKind::View].into_iter().find(|k| k.as_str() == kind);
    let resource = Resource { kind: kind.ok_or_else(damaged)?, name };
    Ok((app, TableGrant { resource, permissions: permissions.into_iter().collect() }))
}

/// The columns of an [`InstallationRow`].
pub const INSTALLATION_COLUMNS: &str =
    "app, id, account, target, permissions, repositories, suspended_at, created_at, updated_at";
pub type InstallationRow = (i64, i64, String, String, String, Option<String>, Option<i64>, i64, i64);

pub fn installation(
    (_, number, account, target, permissions, repositories, suspended_at, created_at, updated_at): InstallationRow,
    app: &ClientId,
) -> Result<Installation, StoreError> {
    let damaged = || unreadable(&format!("installation {number} of app {app}"));
    let target = InstallationTarget::ALL.into_iter().find(|known| known.as_str() == target);
    let repositories = match repositories {
        None => Repositories::All,
        Some(list) => Repositories::Selected(serde_json::from_str(&list).map_err(|_| damaged())?),
    };
    Ok(Installation {
        id: InstallationId::new(number).map_err(|_| damaged())?,
        app: app.clone(),
        account: id(&account)?,
        target: target.ok_or_else(damaged)?,
        permissions: serde_json::from_str(&permissions).map_err(|_| damaged())?,
        repositories,
        suspended_at: suspended_at.map(Timestamp::from_millis),
        created_at: Timestamp::from_millis(created_at),
        updated_at: Timestamp::from_millis(updated_at),
    })
}

/// The columns of a [`ServiceRow`].
pub const SERVICE_COLUMNS: &str = "number, name, account, kind, roles, enabled, sealed, credential_version";
pub type ServiceRow = (i64, String, String, String, String, bool, Option<Vec<u8>>, i64);

/// All but the password.
pub fn service_settings(
    (_, name, account, kind, roles, enabled, ..): &ServiceRow,
) -> Result<ServiceSettings, StoreError> {
    let damaged = || unreadable(&format!("service account {name}"));
    let kind = [ServiceKind::Service, ServiceKind::Person].into_iter().find(|known| known.as_str() == kind);
    Ok(ServiceSettings {
        name: id(name)?,
        account: id(account)?,
        kind: kind.ok_or_else(damaged)?,
        roles: list(roles).ok_or_else(damaged)?,
        enabled: *enabled,
    })
}

pub fn service(row: ServiceRow, sealer: &Sealer) -> Result<ServiceAccount, StoreError> {
    let ServiceSettings { name, account, kind, roles, enabled } = service_settings(&row)?;
    let (number, _, _, _, _, _, sealed, credential_version) = row;
    let damaged = || unreadable(&format!("the password of service account {name}"));
    let phc = sealer.open(&sealed.ok_or_else(damaged)?, service_place(name.as_str(), number))?;
    let hash = std::str::from_utf8(phc.expose()).ok().and_then(|text| PasswordHash::parse(text).ok());
    let hash = hash.ok_or_else(damaged)?;
    Ok(ServiceAccount { name, account, kind, roles, enabled, hash, credential_version })
}

/// An identifier of any type.
pub fn id<I: TryFrom<String, Error = InvalidId>>(text: &str) -> Result<I, StoreError> {
    I::try_from(text.to_owned()).map_err(|_| unreadable(&format!("the id {text:?}")))
}

/// Anything as a JSON column.
pub fn encoded<T: Serialize + ?Sized>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Unavailable(e.into()))
}

/// A list as its column.
pub fn json<T: Serialize>(items: impl IntoIterator<Item = T>) -> Result<String, StoreError> {
    encoded(&items.into_iter().collect::<Vec<T>>())
}

fn list<T: DeserializeOwned + Ord>(text: &str) -> Option<BTreeSet<T>> {
    serde_json::from_str::<Vec<T>>(text).ok().map(|items| items.into_iter().collect())
}

fn unreadable(what: &str) -> StoreError {
    StoreError::Unreadable(format!("{what} is damaged"))
}
