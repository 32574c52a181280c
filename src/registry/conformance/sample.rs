//! A small registry with one of everything.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::jose::{DecryptionMaterial, EncryptionKind, KeyMaterial};
use crate::model::{
    AccountId, Algorithm, AuthenticatorName, BotId, ClientId, InstallationId, KeyId, Level, PermissionName, RoleName,
    ScopeId, ServiceName,
};
use crate::password::PasswordHash;
use crate::registry::{
    Account, Actor, AppSettings, Bot, Change, Difference, GrantTarget, InstallationSettings, InstallationTarget,
    KeyState, Permission, PermissionLevel, PermissionSet, Repositories, Resource, ResourceKind, SelectedRepository,
    ServiceKind, ServiceSettings,
};
use crate::secret::Secret;

pub const SECRET: &str = "correct horse battery staple, and a second one";
/// The public key of RFC 8037 appendix A.2.
const ED25519_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
/// The public key of RFC 7515 appendix A.3.
const ES256_JWK: &str = r#"{"kty":"EC","crv":"P-256","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
/// The public key of RFC 7515 appendix A.2.
const RSA_JWK: &str = concat!(
    r#"{"kty":"RSA","e":"AQAB","n":""#,
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfJQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR",
    "T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB",
    "dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia",
    "GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    r#""}"#
);

/// Of an Ed25519 key, from 2025 to 2098.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n\
    MIHVMIGIAgkAqTUHHhxm5fgwBQYDK2VwMBIxEDAOBgNVBAMMB2VkMjU1MTkwIBcN\n\
    MjUwMTAxMDAwMDAwWhgPMjA5OTAxMDEwMDAwMDBaMBIxEDAOBgNVBAMMB2VkMjU1\n\
    MTkwKjAFBgMrZXADIQD6UkprraBqTtIMmkbtQ4Nbwzp0uHz6mmjtbVPqxt1sNTAF\n\
    BgMrZXADQQD18WZqz9aUnQWuA10lTEAvcK6bVOwB6ZdBwcihD8LJ2VrUFTgyoFDs\n\
    HGauFCf1X1rX2ob470iScKRbyj6kqI8P\n\
    -----END CERTIFICATE-----\n";

pub fn actor() -> Actor {
    Actor { name: "cli:ana@host".into(), why: Some("a test".into()), at: Timestamp::from_secs(1_795_348_800) }
}

pub fn account_id(id: &str) -> AccountId {
    AccountId::new(id).unwrap()
}

pub fn bot_id(id: &str) -> BotId {
    BotId::new(id).unwrap()
}

pub fn client_id(id: &str) -> ClientId {
    ClientId::new(id).unwrap()
}

pub fn put_account(id: &str, hosts: &[&str]) -> Change {
    Change::PutAccount(Account { id: account_id(id), hosts: hosts.iter().map(|h| (*h).to_owned()).collect() })
}

pub fn put_bot(id: &str, account: &str) -> Change {
    Change::PutBot(Bot { id: bot_id(id), account: account_id(account) })
}

pub fn settings(id: &str, account: &str, bots: &[&str]) -> AppSettings {
    AppSettings {
        client_id: client_id(id),
        name: format!("the app {id}"),
        account: account_id(account),
        level: if bots.is_empty() { Level::Account } else { Level::Bot },
        bots: bots.iter().map(|b| bot_id(b)).collect(),
        authenticators: BTreeSet::new(),
        algorithms: BTreeSet::from([Algorithm::Hs256]),
        enforce_jti: false,
        enforce_jwe: false,
        require_exp: false,
        max_lifetime: None,
        networks: BTreeSet::new(),
        enabled: true,
    }
}

/// An app with each of its settings away from its default.
pub fn unusual_settings(id: &str, account: &str, bots: &[&str]) -> AppSettings {
    AppSettings {
        name: "\u{fc}nusual \"name\"; DROP TABLE app".into(),
        authenticators: BTreeSet::from([name("bearer"), name("khoros")]),
        algorithms: Algorithm::ALL.into(),
        enforce_jti: true,
        enforce_jwe: true,
        require_exp: true,
        max_lifetime: Some(Duration::from_millis(86_400_123)),
        networks: ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"].iter().map(|net| net.parse().unwrap()).collect(),
        enabled: false,
        ..settings(id, account, bots)
    }
}

pub fn put_app(settings: AppSettings) -> Change {
    Change::PutApp { settings, is_new: true }
}

pub fn change_app(settings: AppSettings) -> Change {
    Change::PutApp { settings, is_new: false }
}

pub fn secret(text: &str) -> KeyMaterial {
    KeyMaterial::from_secret(Secret::new(format!("{text:-<32}"))).unwrap()
}

pub fn add_key(app: &str, kid: Option<&str>, material: KeyMaterial) -> Change {
    let kid = kid.map(|k| KeyId::new(k).unwrap());
    Change::AddKey { app: client_id(app), kid, material, state: KeyState::Active }
}

/// Three key pairs, of both kinds.
pub static PAIRS: LazyLock<[DecryptionMaterial; 3]> = LazyLock::new(|| {
    let kinds = [EncryptionKind::Rsa, EncryptionKind::P256, EncryptionKind::P256];
    kinds.map(|kind| DecryptionMaterial::generate(kind).unwrap())
});

pub fn add_encryption_key(app: &str, kid: &str, pair: usize) -> Change {
    let (app, kid, material) = (client_id(app), KeyId::new(kid).unwrap(), PAIRS[pair].clone());
    Change::AddEncryptionKey { app, kid, material, state: KeyState::Active }
}

/// A secret of any bytes, and public keys as a PEM, a JWK and a certificate give them.
pub fn materials() -> Vec<KeyMaterial> {
    vec![
        secret(SECRET),
        KeyMaterial::from_secret(Secret::new((0..=255).collect::<Vec<u8>>())).unwrap(),
        KeyMaterial::from_pem(ED25519_PEM).unwrap(),
        KeyMaterial::from_jwk(ES256_JWK).unwrap(),
        KeyMaterial::from_pem(CERTIFICATE).unwrap(),
        KeyMaterial::from_jwk(RSA_JWK).unwrap(),
    ]
}

pub fn scopes(ids: &[&str]) -> BTreeSet<ScopeId> {
    ids.iter().map(|s| ScopeId::new(s).unwrap()).collect()
}

pub fn on_bot(id: &str) -> GrantTarget {
    GrantTarget::Bot(bot_id(id))
}

pub fn put_grant(app: &str, target: GrantTarget, ids: &[&str], publish: bool) -> Change {
    Change::PutGrant { app: client_id(app), target, scopes: scopes(ids), publish }
}

pub fn alter_grant(app: &str, target: GrantTarget, gained: &[&str], lost: &[&str]) -> Change {
    let by = Difference { gained: scopes(gained), lost: scopes(lost) };
    Change::AlterGrant { app: client_id(app), target, by, seen: None }
}

pub fn view(name: &str) -> Resource {
    Resource { kind: ResourceKind::View, name: name.into() }
}

pub fn put_table_grant(app: &str, resource: Resource, permissions: &[Permission]) -> Change {
    Change::PutTableGrant { app: client_id(app), resource, permissions: permissions.iter().copied().collect() }
}

/// A hash of a password that nobody knows; another letter is another one.
pub fn password(letter: char) -> PasswordHash {
    let output = letter.to_string().repeat(42);
    PasswordHash::parse(&format!("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA${output}A")).unwrap()
}

pub fn service(name: &str, account: &str, roles: &[&str]) -> ServiceSettings {
    ServiceSettings {
        name: ServiceName::new(name).unwrap(),
        account: account_id(account),
        kind: ServiceKind::Service,
        roles: roles.iter().map(|role| RoleName::new(role).unwrap()).collect(),
        enabled: true,
    }
}

pub fn put_service(service: ServiceSettings, password: Option<PasswordHash>) -> Change {
    Change::PutService { service, password }
}

pub fn permissions(set: &[(&str, PermissionLevel)]) -> PermissionSet {
    set.iter().map(|(name, level)| (PermissionName::new(name).unwrap(), *level)).collect()
}

pub fn installation_id(number: i64) -> InstallationId {
    InstallationId::new(number).unwrap()
}

pub fn installation(id: Option<i64>, account: &str) -> InstallationSettings {
    InstallationSettings {
        id: id.map(installation_id),
        account: account_id(account),
        target: InstallationTarget::Organization,
        permissions: permissions(&[("contents", PermissionLevel::Read)]),
        repositories: Repositories::All,
        suspended: false,
    }
}

/// With each of its settings away from its default.
pub fn unusual_installation(id: i64, account: &str) -> InstallationSettings {
    let repository = |id, name: &str| SelectedRepository { id, name: name.into() };
    InstallationSettings {
        target: InstallationTarget::User,
        permissions: permissions(&[("issues", PermissionLevel::Write), ("pull_requests", PermissionLevel::Admin)]),
        repositories: Repositories::selected(vec![repository(2, "b"), repository(1, "a")]).unwrap(),
        suspended: true,
        ..installation(Some(id), account)
    }
}

pub fn put_installation(app: &str, installation: InstallationSettings) -> Change {
    Change::PutInstallation { app: client_id(app), installation }
}

/// Account `acme` with two bots, a bot-level and an account-level app, keys and grants, service accounts, installations.
pub fn everything() -> Vec<Change> {
    let mut changes = vec![
        put_account("acme", &["bots.acme.example", "acme.example"]),
        put_bot("b1", "acme"),
        put_bot("b2", "acme"),
        put_app(unusual_settings("bot-app", "acme", &["b1", "b2"])),
        put_app(settings("account-app", "acme", &[])),
    ];
    let kids = [None, Some("bytes"), Some("pem"), Some("jwk"), Some("certificate"), Some("rsa")];
    changes.extend(materials().into_iter().zip(kids).map(|(material, kid)| add_key("bot-app", kid, material)));
    changes.extend([add_encryption_key("bot-app", "k-rsa", 0), add_encryption_key("bot-app", "k-p256", 1)]);
    changes.push(add_key("account-app", Some("pem"), secret("another secret")));
    changes.push(put_grant("bot-app", on_bot("b1"), &["logs:change_logs", "a"], true));
    changes.push(put_grant("bot-app", on_bot("b2"), &["b"], false));
    changes.push(put_grant("account-app", GrantTarget::Account(account_id("acme")), &["c"], true));
    changes.push(put_table_grant("bot-app", view("orders"), &[Permission::Read, Permission::Delete]));
    changes.push(put_table_grant("bot-app", Resource { kind: ResourceKind::Table, ..view("orders") }, &[]));
    let person = ServiceSettings { kind: ServiceKind::Person, enabled: false, ..service("ana", "acme", &[]) };
    changes.push(put_service(service("care backend", "default", &["bot-api", "reports"]), Some(password('a'))));
    changes.push(put_service(person, Some(password('b'))));
    changes.push(put_installation("bot-app", unusual_installation(42, "acme")));
    changes.push(put_installation("bot-app", installation(None, "default")));
    changes
}

fn name(name: &str) -> AuthenticatorName {
    AuthenticatorName::new(name).unwrap()
}
