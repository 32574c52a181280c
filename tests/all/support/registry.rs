//! The accounts, bots and apps of the tests.

use std::collections::BTreeSet;
use std::time::Duration;

use scopegate::jose::{DecryptionMaterial, KeyMaterial};
use scopegate::model::{AccountId, Algorithm, AppNumber, BotId, ClientId, KeyId, Level, ScopeId};
use scopegate::registry::{
    Account, AppRecord, AppSettings, Bot, EncryptionKeyRecord, Grant, GrantTarget, KeyNumber, KeyRecord, KeyState,
    Permission, Registry, Resource, ResourceKind, TableGrant,
};
use scopegate::secret::Secret;

use super::tokens::{CERTIFICATES, ED25519_PUBLIC, P256_PUBLIC, P384_PUBLIC, RSA_PUBLIC, SECRET};
use super::{encryption, now};

/// Of level bot, for `st-1`: holds `logs`, and `train` as a draft. HS256, and ES256 without a key for it.
pub const BOT: &str = "cs-bot";
/// Of level account: holds `logs` and `users`. Every algorithm, with a key of every kind. May encrypt, to `k-account`.
pub const ACCOUNT: &str = "cs-account";
pub const DISABLED: &str = "cs-disabled";
pub const KEYLESS: &str = "cs-keyless";
/// Every token of it is of single use.
pub const SINGLE: &str = "cs-single";
/// Has to encrypt its tokens, to `k-rsa` or `k-p256`, to `k-old` for another minute, no longer to `k-retired`.
pub const ENCRYPTED: &str = "cs-encrypted";
/// Keys `k1`, `k2` that retires in a minute, and `k3` that is retired; the secrets are [`secret_of`] them.
pub const KIDS: &str = "cs-kids";
/// May be used with an authenticator that no route has.
pub const ELSEWHERE: &str = "cs-elsewhere";
/// An account's app like [`ACCOUNT`], but of the account `other`.
pub const OTHER: &str = "cs-other";
/// May read the table `orders`.
pub const TABLES: &str = "cs-tables";
/// May call from `10.0.0.0/8` and `2001:db8::/32`.
pub const CONFINED: &str = "cs-confined";
/// Its keys are those of the certificates.
pub const CERTIFIED: &str = "cs-certified";

pub fn secret_of(kid: &str) -> String {
    format!("{SECRET}, of {kid}")
}

/// The whole registry. Accounts `acme`, which alone owns the host `acme.example`, and `other`; bots `st-1`, `st-2`
/// of `acme` and `st-9` of `other`.
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    for (id, hosts) in [("acme", &["acme.example"][..]), ("other", &[])] {
        let hosts = hosts.iter().map(ToString::to_string).collect();
        registry.accounts.insert(account(id), Account { id: account(id), hosts });
    }
    for (id, owner) in [("st-1", "acme"), ("st-2", "acme"), ("st-9", "other")] {
        registry.bots.insert(bot(id), Bot { id: bot(id), account: account(owner) });
    }
    for app in apps() {
        registry.apps.insert(app.settings.client_id.clone(), app);
    }
    registry
}

fn apps() -> [AppRecord; 12] {
    let mut of_bot = app(1, BOT, "acme", Level::Bot);
    of_bot.settings.bots = BTreeSet::from([bot("st-1")]);
    of_bot.settings.algorithms.insert(Algorithm::Es256);
    of_bot.grants = vec![grant(GrantTarget::Bot(bot("st-1")), &["logs", "train"], &["logs"])];

    let mut of_account = app(2, ACCOUNT, "acme", Level::Account);
    of_account.settings.algorithms = Algorithm::ALL.into();
    let public = [RSA_PUBLIC, P256_PUBLIC, P384_PUBLIC, ED25519_PUBLIC].map(|pem| KeyMaterial::from_pem(pem).unwrap());
    of_account.keys.extend(public.into_iter().zip(21..).map(|(material, number)| key(number, None, material)));
    of_account.encryption_keys = vec![encryption_key(29, "k-account", &encryption::P256)];
    of_account.grants = vec![grant(GrantTarget::Account(account("acme")), &["logs", "users"], &["logs", "users"])];

    let mut disabled = app(3, DISABLED, "acme", Level::Account);
    disabled.settings.enabled = false;
    let mut keyless = app(4, KEYLESS, "acme", Level::Account);
    keyless.keys.clear();
    let mut single = app(5, SINGLE, "acme", Level::Account);
    single.settings.enforce_jti = true;
    let mut encrypted = app(6, ENCRYPTED, "acme", Level::Account);
    encrypted.settings.enforce_jwe = true;
    encrypted.encryption_keys = vec![
        encryption_key(61, "k-rsa", &encryption::RSA),
        encryption_key(62, "k-p256", &encryption::P256),
        encryption_key(63, "k-old", &encryption::P256),
        encryption_key(64, "k-retired", &encryption::P256),
    ];
    encrypted.encryption_keys[2].state = KeyState::Retiring(now().after(Duration::from_secs(60)));
    encrypted.encryption_keys[3].state = KeyState::Retired;

    let mut kids = app(7, KIDS, "acme", Level::Account);
    kids.keys = (71..).zip(["k1", "k2", "k3"]).map(|(n, kid)| key(n, Some(kid), secret(&secret_of(kid)))).collect();
    kids.keys[1].state = KeyState::Retiring(now().after(Duration::from_secs(60)));
    kids.keys[2].state = KeyState::Retired;

    let mut elsewhere = app(8, ELSEWHERE, "acme", Level::Account);
    elsewhere.settings.authenticators = BTreeSet::from(["elsewhere".to_owned().try_into().unwrap()]);
    let mut other = app(9, OTHER, "other", Level::Account);
    other.grants = vec![grant(GrantTarget::Account(account("other")), &["logs"], &["logs"])];
    let mut tables = app(10, TABLES, "acme", Level::Account);
    let orders = Resource { kind: ResourceKind::Table, name: "orders".to_owned() };
    tables.table_grants = vec![TableGrant { resource: orders, permissions: [Permission::Read].into_iter().collect() }];
    let mut certified = app(12, CERTIFIED, "acme", Level::Account);
    certified.settings.algorithms = Algorithm::ALL.into();
    let materials = CERTIFICATES.map(|pem| KeyMaterial::from_pem(pem).unwrap());
    certified.keys = (121..).zip(materials).map(|(number, material)| key(number, None, material)).collect();
    let mut confined = app(11, CONFINED, "acme", Level::Account);
    confined.settings.networks = ["10.0.0.0/8", "2001:db8::/32"].map(|network| network.parse().unwrap()).into();
    [of_bot, of_account, disabled, keyless, single, encrypted, kids, elsewhere, other, tables, confined, certified]
}

/// An app with HS256 and [`SECRET`], and with no scope.
pub fn app(number: i64, client_id: &str, owner: &str, level: Level) -> AppRecord {
    AppRecord {
        number: AppNumber(number),
        settings: AppSettings {
            client_id: ClientId::new(client_id).unwrap(),
            name: client_id.to_owned(),
            account: account(owner),
            level,
            bots: BTreeSet::new(),
            authenticators: BTreeSet::new(),
            algorithms: BTreeSet::from([Algorithm::Hs256]),
            enforce_jti: false,
            enforce_jwe: false,
            require_exp: false,
            max_lifetime: None,
            networks: BTreeSet::new(),
            enabled: true,
        },
        keys: vec![key(number * 100, None, secret(SECRET))],
        encryption_keys: Vec::new(),
        grants: Vec::new(),
        table_grants: Vec::new(),
        installations: Vec::new(),
        credential_version: 1,
    }
}

pub fn grant(target: GrantTarget, draft: &[&str], published: &[&str]) -> Grant {
    let scopes = |ids: &[&str]| ids.iter().map(|id| ScopeId::new(id).unwrap()).collect();
    Grant { draft: scopes(draft), published: scopes(published), ..Grant::new(target) }
}

pub fn key(number: i64, kid: Option<&str>, material: KeyMaterial) -> KeyRecord {
    let kid = kid.map(|kid| KeyId::new(kid).unwrap());
    KeyRecord { number: KeyNumber(number), kid, material, state: KeyState::Active }
}

pub fn encryption_key(number: i64, kid: &str, material: &DecryptionMaterial) -> EncryptionKeyRecord {
    let (number, kid, material) = (KeyNumber(number), KeyId::new(kid).unwrap(), material.clone());
    EncryptionKeyRecord { number, kid, material, state: KeyState::Active, created_at: now() }
}

pub fn secret(text: &str) -> KeyMaterial {
    KeyMaterial::from_secret(Secret::new(text)).unwrap()
}

pub fn account(id: &str) -> AccountId {
    AccountId::new(id).unwrap()
}

pub fn bot(id: &str) -> BotId {
    BotId::new(id).unwrap()
}
