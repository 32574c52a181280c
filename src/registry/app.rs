//! An app as a request sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::usage::Mark;
use super::{
    AppRecord, EncryptionKeyRecord, GrantTarget, Installation, KeyNumber, KeyState, Permissions, Resource,
    ResourceKind, Use,
};
use crate::clock::Timestamp;
use crate::jose::{Certificate, DecryptionKey, KeyMaterial, PreparedKey, Validity};
use crate::model::{
    AccountId, Algorithm, AlgorithmSet, AppNumber, AuthenticatorName, BotId, ClientId, KeyId, Level, Network, ScopeId,
};

/// How many keys are tried for a token that names none, and so how many active ones an app may have.
pub const MAX_KEYS: usize = 25;

/// An app, compiled: keys ready to verify, grants as published.
#[derive(Debug)]
pub struct App {
    pub number: AppNumber,
    pub client_id: ClientId,
    pub name: String,
    pub account: AccountId,
    pub level: Level,
    pub bots: BTreeSet<BotId>,
    pub authenticators: BTreeSet<AuthenticatorName>,
    pub algorithms: AlgorithmSet,
    pub enforce_jti: bool,
    pub enforce_jwe: bool,
    pub require_exp: bool,
    pub max_lifetime: Option<Duration>,
    /// Where its calls may come from; none means anywhere.
    pub networks: Box<[Network]>,
    pub enabled: bool,
    /// Why the stored app can't be used, if it can't; such an app is disabled.
    pub fault: Option<String>,
    /// Changes whenever what was proved with its keys may no longer hold.
    pub credential_version: i64,
    keys: Vec<RegisteredKey>,
    encryption_keys: Vec<RegisteredEncryptionKey>,
    bot_scopes: BTreeMap<BotId, ScopeSet>,
    account_scopes: ScopeSet,
    drafts: BTreeMap<GrantTarget, BTreeSet<ScopeId>>,
    tables: BTreeMap<Resource, Permissions>,
    installations: Vec<Arc<Installation>>,
}

/// A key of an app, prepared for each algorithm that both allow.
#[derive(Debug)]
pub struct RegisteredKey {
    pub number: KeyNumber,
    pub kid: Option<KeyId>,
    pub state: KeyState,
    /// What it was made of, to find out what went wrong with a signature.
    pub material: KeyMaterial,
    prepared: Vec<PreparedKey>,
    used: Mark,
}

impl RegisteredKey {
    pub fn prepared_for(&self, algorithm: Algorithm) -> Option<&PreparedKey> {
        self.prepared.iter().find(|k| k.algorithm() == algorithm)
    }

    /// Why the key verifies nothing now; none where it does.
    pub fn fault(&self, now: Timestamp) -> Option<KeyFault> {
        if !self.state.usable_at(now) {
            return Some(KeyFault::Retired);
        }
        match self.material.validity(now) {
            Validity::Good => None,
            Validity::NotYet(from) => Some(KeyFault::NotYetValid(from)),
            Validity::Over(at) => Some(KeyFault::Expired(at)),
        }
    }

    pub fn usable_at(&self, now: Timestamp) -> bool {
        self.fault(now).is_none()
    }

    fn thumbprint(&self) -> Option<&str> {
        self.material.certificate().map(Certificate::thumbprint)
    }
}

/// Why a key that an app has is not good now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    Retired,
    /// Its certificate ended then.
    Expired(Timestamp),
    /// Its certificate begins then.
    NotYetValid(Timestamp),
}

/// What a token's header says of the key that it is signed with.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyHint<'a> {
    pub kid: Option<&'a str>,
    /// `x5t#S256`.
    pub thumbprint: Option<&'a str>,
}

/// A key pair of an app, ready to decrypt.
#[derive(Debug)]
pub struct RegisteredEncryptionKey {
    pub number: KeyNumber,
    pub kid: KeyId,
    pub state: KeyState,
    pub key: DecryptionKey,
}

/// Which keys a token's header leaves to try.
#[derive(Debug)]
pub enum KeyChoice<'a> {
    /// The app has no key at all.
    NoKey,
    /// The token names a key that the app does not have.
    UnknownKid,
    /// The token names a certificate that the app does not have.
    UnknownCertificate,
    /// The named or possible keys, none of which is for this algorithm.
    WrongAlgorithm,
    /// At most 25 keys of the algorithm.
    Keys(Vec<&'a RegisteredKey>),
}

impl App {
    /// Prepares the keys. A key that can't be prepared disables the app and says so in `fault`.
    pub fn compile(record: &AppRecord) -> Self {
        let settings = &record.settings;
        let algorithms: AlgorithmSet = settings.algorithms.iter().copied().collect();
        let (mut keys, mut fault) = (Vec::with_capacity(record.keys.len()), None);
        for key in &record.keys {
            let usable = algorithms.iter().filter(|a| key.material.can(*a));
            match usable.map(|a| key.material.prepare(a)).collect() {
                Ok(prepared) => {
                    let (number, kid, state) = (key.number, key.kid.clone(), key.state);
                    let material = key.material.clone();
                    keys.push(RegisteredKey { number, kid, state, material, prepared, used: Mark::default() });
                }
                Err(error) => fault = Some(format!("key {}: {error}", key.number.0)),
            }
        }
        let mut encryption_keys = Vec::with_capacity(record.encryption_keys.len());
        for EncryptionKeyRecord { number, kid, material, state, .. } in &record.encryption_keys {
            match material.prepare() {
                Ok(key) => {
                    let (number, kid, state) = (*number, kid.clone(), *state);
                    encryption_keys.push(RegisteredEncryptionKey { number, kid, state, key });
                }
                Err(error) => fault = Some(format!("encryption key {kid}: {error}")),
            }
        }
        let (mut bot_scopes, mut account_scopes, mut drafts) = (BTreeMap::new(), ScopeSet::default(), BTreeMap::new());
        for grant in &record.grants {
            let published = ScopeSet::new(&grant.published);
            // A grant that was made before the app moved to another account or lost a bot gives nothing.
            match &grant.target {
                GrantTarget::Bot(bot) if settings.bots.contains(bot) => _ = bot_scopes.insert(bot.clone(), published),
                GrantTarget::Account(account) if *account == settings.account => account_scopes = published,
                GrantTarget::Bot(_) | GrantTarget::Account(_) => continue,
            }
            if grant.draft != grant.published {
                drafts.insert(grant.target.clone(), grant.draft.clone());
            }
        }
        Self {
            number: record.number,
            client_id: settings.client_id.clone(),
            name: settings.name.clone(),
            account: settings.account.clone(),
            level: settings.level,
            bots: settings.bots.clone(),
            authenticators: settings.authenticators.clone(),
            algorithms,
            enforce_jti: settings.enforce_jti,
            enforce_jwe: settings.enforce_jwe,
            require_exp: settings.require_exp,
            max_lifetime: settings.max_lifetime,
            networks: settings.networks.iter().copied().collect(),
            enabled: settings.enabled && fault.is_none(),
            fault,
            credential_version: record.credential_version,
            keys,
            encryption_keys,
            bot_scopes,
            account_scopes,
            drafts,
            tables: record.table_grants.iter().map(|g| (g.resource.clone(), g.permissions)).collect(),
            installations: record.installations.iter().cloned().map(Arc::new).collect(),
        }
    }

    pub fn key(&self, number: KeyNumber) -> Option<&RegisteredKey> {
        self.keys.iter().find(|k| k.number == number)
    }

    pub fn keys(&self) -> &[RegisteredKey] {
        &self.keys
    }

    pub fn encryption_key(&self, number: KeyNumber) -> Option<&RegisteredEncryptionKey> {
        self.encryption_keys.iter().find(|k| k.number == number)
    }

    pub fn encryption_keys(&self) -> &[RegisteredEncryptionKey] {
        &self.encryption_keys
    }

    /// Where it is installed, in order of the ids.
    pub fn installations(&self) -> &[Arc<Installation>] {
        &self.installations
    }

    /// The keys to try, active ones first and those that are not good last. A `kid` binds where one of the app's keys
    /// declares one, a thumbprint where one has a certificate (RFC 7515 sections 4.1.4 and 4.1.8).
    pub fn choose_keys(&self, algorithm: Algorithm, hint: KeyHint<'_>, now: Timestamp) -> KeyChoice<'_> {
        if self.keys.is_empty() {
            return KeyChoice::NoKey;
        }
        let kid = hint.kid.filter(|_| self.keys.iter().any(|k| k.kid.is_some()));
        let named = |k: &&RegisteredKey| kid.is_none_or(|kid| k.kid.as_ref().is_some_and(|k| k.as_str() == kid));
        if !self.keys.iter().any(|k| named(&k)) {
            return KeyChoice::UnknownKid;
        }
        let thumbprint = hint.thumbprint.filter(|_| self.keys.iter().any(|k| k.thumbprint().is_some()));
        let certified = |k: &&RegisteredKey| thumbprint.is_none_or(|wanted| k.thumbprint() == Some(wanted));
        let mut possible = self.keys.iter().filter(named).filter(certified).peekable();
        if possible.peek().is_none() {
            return KeyChoice::UnknownCertificate;
        }
        let mut keys: Vec<_> = possible.filter(|k| k.prepared_for(algorithm).is_some()).collect();
        keys.sort_by_key(|k| (!k.usable_at(now), k.state != KeyState::Active));
        keys.truncate(MAX_KEYS);
        if keys.is_empty() { KeyChoice::WrongAlgorithm } else { KeyChoice::Keys(keys) }
    }

    /// What the app may do on a bot of its account, as published.
    pub fn scopes_on(&self, bot: Option<&str>) -> &ScopeSet {
        match (self.level, bot) {
            (Level::Account, _) => &self.account_scopes,
            (Level::Bot, Some(bot)) => self.bot_scopes.get(bot).unwrap_or(ScopeSet::EMPTY),
            (Level::Bot, None) => ScopeSet::EMPTY,
        }
    }

    /// What the app may do anywhere, as published.
    pub fn scopes(&self) -> BTreeSet<&ScopeId> {
        match self.level {
            Level::Account => self.account_scopes.ids.iter().collect(),
            Level::Bot => self.bot_scopes.values().flat_map(|held| &held.ids).collect(),
        }
    }

    /// The use of a key, if it is one to note.
    pub fn key_use(&self, number: KeyNumber, now: Timestamp) -> Option<Use> {
        let key = self.key(number)?;
        key.used.is_due(now).then_some(Use::Key { app: self.number, key: number, at: now })
    }

    /// The use of a scope that the app holds here, if it is one to note.
    pub fn scope_use(&self, bot: Option<&BotId>, scope: &ScopeId, now: Timestamp) -> Option<Use> {
        let mark = self.scopes_on(bot.map(BotId::as_str)).mark(scope.as_str())?;
        mark.is_due(now).then(|| {
            let account = || GrantTarget::Account(self.account.clone());
            let target = bot.filter(|_| self.level == Level::Bot).cloned().map_or_else(account, GrantTarget::Bot);
            Use::Scope { app: self.number, target, scope: scope.clone(), at: now }
        })
    }

    /// Whether the scope is only in the draft, and waits for publishing.
    pub fn waits_for_publishing(&self, bot: Option<&BotId>, scope: &ScopeId) -> bool {
        let target = match (self.level, bot) {
            (Level::Account, _) => GrantTarget::Account(self.account.clone()),
            (Level::Bot, Some(bot)) => GrantTarget::Bot(bot.clone()),
            (Level::Bot, None) => return false,
        };
        self.drafts.get(&target).is_some_and(|draft| draft.contains(scope))
    }

    pub fn permissions_on(&self, kind: ResourceKind, name: &str) -> Permissions {
        let resource = Resource { kind, name: name.to_owned() };
        self.tables.get(&resource).copied().unwrap_or_default()
    }

    /// Whether the app holds any permission on any table or view.
    pub fn has_a_resource(&self) -> bool {
        self.tables.values().any(|held| *held != Permissions::NONE)
    }

    /// The tables and views that the app was granted permissions on.
    pub fn resources(&self) -> impl Iterator<Item = (&Resource, Permissions)> {
        self.tables.iter().map(|(resource, held)| (resource, *held))
    }

    pub fn may_use(&self, authenticator: &AuthenticatorName) -> bool {
        self.authenticators.is_empty() || self.authenticators.contains(authenticator)
    }
}

/// Published scopes, in order, and as the upstream is told them.
#[derive(Debug, Default)]
pub struct ScopeSet {
    ids: Vec<ScopeId>,
    /// One for each id.
    used: Vec<Mark>,
    header: String,
}

impl ScopeSet {
    const EMPTY: &'static Self = &Self { ids: Vec::new(), used: Vec::new(), header: String::new() };

    fn new(ids: &BTreeSet<ScopeId>) -> Self {
        let ids: Vec<_> = ids.iter().cloned().collect();
        let header = ids.iter().map(ScopeId::as_str).collect::<Vec<_>>().join(" ");
        let used = ids.iter().map(|_| Mark::default()).collect();
        Self { ids, used, header }
    }

    pub fn contains(&self, scope: &str) -> bool {
        self.position(scope).is_some()
    }

    pub fn iter(&self) -> impl Iterator<Item = &ScopeId> {
        self.ids.iter()
    }

    fn mark(&self, scope: &str) -> Option<&Mark> {
        self.used.get(self.position(scope)?)
    }

    fn position(&self, scope: &str) -> Option<usize> {
        self.ids.binary_search_by(|id| id.as_str().cmp(scope)).ok()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The ids with a space between them (RFC 6749 section 3.3).
    pub fn as_str(&self) -> &str {
        &self.header
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.ids.is_empty() { "none" } else { &self.header })
    }
}
