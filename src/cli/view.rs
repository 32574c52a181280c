//! What commands show of the registry, in the words of the registry file.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::jose::{Certificate, ENDS_SOON, KeyMaterial, Validity};
use crate::model::{Algorithm, AuthenticatorName, BotId, Family, Level, Network, ScopeId};
use crate::registry::{
    AppRecord, AppSettings, Grant, GrantRules, GrantTarget, KeyNumber, KeyRecord, KeyState, Permission, TableGrant,
    safe_to_retire,
};

/// An app as `app list --json` prints it.
#[derive(Serialize)]
pub(super) struct AppView<'a> {
    number: i64,
    client_id: &'a str,
    name: &'a str,
    account: &'a str,
    level: Level,
    bots: &'a BTreeSet<BotId>,
    authenticators: &'a BTreeSet<AuthenticatorName>,
    algorithms: &'a BTreeSet<Algorithm>,
    enforce_jti: bool,
    enforce_jwe: bool,
    require_exp: bool,
    max_lifetime: Option<String>,
    /// Where its calls may come from; none means anywhere.
    networks: &'a BTreeSet<Network>,
    enabled: bool,
    /// Whether tokens without `exp` are taken, since neither the app nor its authenticators want one.
    may_lack_exp: bool,
}

impl<'a> AppView<'a> {
    pub fn of(record: &'a AppRecord, rules: &GrantRules) -> Self {
        let settings = &record.settings;
        Self {
            number: record.number.0,
            client_id: settings.client_id.as_str(),
            name: &settings.name,
            account: settings.account.as_str(),
            level: settings.level,
            bots: &settings.bots,
            authenticators: &settings.authenticators,
            algorithms: &settings.algorithms,
            enforce_jti: settings.enforce_jti,
            enforce_jwe: settings.enforce_jwe,
            require_exp: settings.require_exp,
            max_lifetime: settings.max_lifetime.map(|span| humantime::format_duration(span).to_string()),
            networks: &settings.networks,
            enabled: settings.enabled,
            may_lack_exp: rules.may_lack_exp(settings),
        }
    }
}

/// A key as `key list --json` prints it.
#[derive(Serialize)]
pub(super) struct KeyView {
    number: i64,
    kid: Option<String>,
    kind: &'static str,
    /// Of a public key.
    fingerprint: Option<String>,
    /// In which it came; the key is good for no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<CertificateView>,
    state: &'static str,
    retire_at: Option<String>,
    /// To a minute.
    last_used_at: Option<String>,
    /// Idle for a day while a newer key was in use.
    safe_to_retire: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// A certificate, and how it stands now.
#[derive(Serialize)]
struct CertificateView {
    /// As `openssl x509 -fingerprint -sha256` prints it.
    fingerprint: String,
    /// As `x5t#S256` in a token names it.
    thumbprint: String,
    not_before: String,
    not_after: String,
    /// What there is to say of its end or its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

impl CertificateView {
    fn of(certificate: &Certificate, now: Timestamp) -> Self {
        let end = certificate.not_after();
        let warning = match certificate.validity(now) {
            Validity::Over(_) => Some("its certificate has ended".to_owned()),
            Validity::NotYet(from) => Some(format!("its certificate begins at {from}")),
            Validity::Good if now.until(end) < ENDS_SOON => Some(match now.until(end).as_secs() / 86_400 {
                0 => "its certificate ends within a day".to_owned(),
                1 => "its certificate ends in 1 day".to_owned(),
                days => format!("its certificate ends in {days} days"),
            }),
            Validity::Good => None,
        };
        Self {
            fingerprint: certificate.fingerprint(),
            thumbprint: certificate.thumbprint().to_owned(),
            not_before: certificate.not_before().to_string(),
            not_after: end.to_string(),
            warning,
        }
    }
}

impl KeyView {
    /// All keys of an app. A key whose time has come is retired, whatever is stored.
    pub fn all(keys: &[KeyRecord], uses: &BTreeMap<KeyNumber, Timestamp>, now: Timestamp) -> Vec<Self> {
        let safe = safe_to_retire(keys, uses, now);
        let view = |key: &KeyRecord| {
            let state = if key.state.usable_at(now) { key.state } else { KeyState::Retired };
            let state = match key.material.validity(now) {
                Validity::Over(_) if state != KeyState::Retired => "expired",
                _ => state.as_str(),
            };
            Self {
                number: key.number.0,
                kid: key.kid.as_ref().map(ToString::to_string),
                kind: kind(&key.material),
                fingerprint: key.material.fingerprint(),
                certificate: key.material.certificate().map(|certificate| CertificateView::of(certificate, now)),
                state,
                retire_at: if let KeyState::Retiring(at) = key.state { Some(at.to_string()) } else { None },
                last_used_at: uses.get(&key.number).map(ToString::to_string),
                safe_to_retire: safe.contains(&key.number),
                secret: None,
            }
        };
        keys.iter().map(view).collect()
    }

    /// The same, with the secret of each key that is a text.
    pub fn revealing(self, keys: &[KeyRecord]) -> Self {
        let own = keys.iter().find(|key| key.number.0 == self.number).map(|key| &key.material);
        let secret = match own {
            Some(KeyMaterial::Secret(secret)) => std::str::from_utf8(secret.expose()).ok().map(str::to_owned),
            _ => None,
        };
        Self { secret, ..self }
    }

    /// The key's number and its secret, where it is shown.
    pub fn secret(&self) -> Option<(i64, &str)> {
        self.secret.as_deref().map(|secret| (self.number, secret))
    }

    /// A line of a table.
    pub fn row(&self) -> [String; 7] {
        let warning = self.certificate.as_ref().and_then(|certificate| certificate.warning.as_deref());
        let notes = [warning, self.safe_to_retire.then_some("safe to retire")];
        let note = notes.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let ends = self.certificate.as_ref().map(|certificate| &certificate.not_after);
        [
            self.number.to_string(),
            self.kid.clone().unwrap_or_else(|| "-".into()),
            self.fingerprint.as_ref().map_or_else(|| self.kind.into(), |print| format!("{} {print}", self.kind)),
            self.state.into(),
            self.retire_at.as_ref().into_iter().chain(ends).min().cloned().unwrap_or_else(|| "-".into()),
            self.last_used_at.clone().unwrap_or_else(|| "never".into()),
            note,
        ]
    }

    /// A line on the certificate, for below the table.
    pub fn certificate_line(&self) -> Option<String> {
        let CertificateView { fingerprint, not_before, not_after, .. } = self.certificate.as_ref()?;
        Some(format!("certificate of key number {}: {not_before} to {not_after}, SHA-256 {fingerprint}", self.number))
    }
}

pub(super) const KEY_HEADING: [&str; 7] = ["NUMBER", "KID", "KEY", "STATE", "UNTIL", "LAST USED", "NOTE"];

fn kind(material: &KeyMaterial) -> &'static str {
    match material.family() {
        Family::Hmac => "secret",
        Family::Rsa => "rsa",
        Family::P256 => "p256",
        Family::P384 => "p384",
        Family::Ed25519 => "ed25519",
    }
}

pub(super) fn grant_json(grant: &Grant) -> Value {
    let (kind, target) = match &grant.target {
        GrantTarget::Bot(bot) => ("bot", bot.as_str()),
        GrantTarget::Account(account) => ("account", account.as_str()),
    };
    json!({ kind: target, "scopes": grant.published, "draft": grant.draft })
}

pub(super) fn table_grant_json(grant: &TableGrant) -> Value {
    let permissions: Vec<_> = grant.permissions.iter().map(Permission::as_str).collect();
    json!({ grant.resource.kind.as_str(): grant.resource.name, "permissions": permissions })
}

/// What a grant gives, and what waits for publishing, as lines.
pub(super) fn grant_lines(grant: &Grant) -> Vec<String> {
    let list = |scopes: &BTreeSet<ScopeId>| {
        let ids: Vec<_> = scopes.iter().map(ScopeId::as_str).collect();
        if ids.is_empty() { "none".to_owned() } else { ids.join(" ") }
    };
    let mut lines = vec![format!("on {}: {}", grant.target, list(&grant.published))];
    if grant.draft != grant.published {
        lines.push(format!("  draft, not live yet: {}", list(&grant.draft)));
    }
    lines
}

/// The members of one object after those of another.
pub(super) fn joined(first: &impl Serialize, more: Map<String, Value>) -> Result<String, serde_json::Error> {
    let mut members = match serde_json::to_value(first)? {
        Value::Object(members) => members,
        other => Map::from_iter([("value".to_owned(), other)]),
    };
    members.extend(more);
    serde_json::to_string_pretty(&members)
}

/// What is switched on, in a few words.
pub(super) fn switches(settings: &AppSettings) -> String {
    let flags = [
        (settings.enforce_jti, "jti enforced"),
        (settings.enforce_jwe, "jwe enforced"),
        (settings.require_exp, "exp required"),
    ];
    let mut words: Vec<String> = flags.iter().filter(|(on, _)| *on).map(|(_, word)| (*word).into()).collect();
    if !settings.networks.is_empty() {
        words.push("from some networks".into());
    }
    words.extend(settings.max_lifetime.map(|span| format!("at most {}", humantime::format_duration(span))));
    if words.is_empty() { "-".into() } else { words.join(", ") }
}

/// Names with commas between them, or a word where there are none.
pub(super) fn list<T: ToString>(names: impl IntoIterator<Item = T>, none: &str) -> String {
    let names: Vec<_> = names.into_iter().map(|name| name.to_string()).collect();
    if names.is_empty() { none.into() } else { names.join(", ") }
}
