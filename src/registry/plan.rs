//! What has to change for the registry to be as a file wants it: pure, so that a dry run and the real one are the same.

mod apps;
mod bounds;
mod installations;
mod keys;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub(super) use self::bounds::{good_until, has_public_keys_alone};
use self::keys::KeyMatches;
use super::{
    Account, AppRecord, AppSettings, Bot, Change, GrantRules, GrantTarget, InstallationSettings, KeyState, Permissions,
    Registry, Resource, ServiceSettings, TableGrant,
};
use crate::jose::{DecryptionMaterial, KeyMaterial};
use crate::model::{AccountId, BotId, ClientId, KeyId, Level, ScopeId};
use crate::password::{NewPassword, PasswordHash};

/// The account that always exists.
pub const DEFAULT_ACCOUNT: &str = "default";

/// What a registry file asks for. Each entry stands under its place in the file, so that an error can name it.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    pub accounts: Vec<Account>,
    pub bots: Vec<Bot>,
    pub apps: Vec<DesiredApp>,
    pub keys: Vec<DesiredKey>,
    pub encryption_keys: Vec<DesiredEncryptionKey>,
    pub grants: Vec<DesiredGrant>,
    pub table_grants: Vec<(ClientId, Resource, Permissions)>,
    pub service_accounts: Vec<DesiredService>,
    pub installations: Vec<(ClientId, InstallationSettings)>,
}

#[derive(Clone, Debug)]
pub struct DesiredApp(pub AppSettings);

/// A key; without material or state it keeps what is stored. A key that gets new material is active unless it says otherwise.
#[derive(Clone, Debug)]
pub struct DesiredKey {
    pub app: ClientId,
    pub kid: Option<KeyId>,
    pub material: Option<KeyMaterial>,
    pub state: Option<KeyState>,
}

/// A key pair that was exported. One that is not named stays as it is, and so does a state that is not: key pairs are made
/// here, not in files.
#[derive(Clone, Debug)]
pub struct DesiredEncryptionKey {
    pub app: ClientId,
    pub kid: KeyId,
    pub material: DecryptionMaterial,
    pub state: Option<KeyState>,
}

#[derive(Clone, Debug)]
pub struct DesiredGrant {
    pub app: ClientId,
    pub target: GrantTarget,
    /// In force.
    pub scopes: BTreeSet<ScopeId>,
    /// What waits for publishing; none where it is what is in force.
    pub draft: Option<BTreeSet<ScopeId>>,
}

/// A service account; without a password it keeps the stored one.
#[derive(Clone, Debug)]
pub struct DesiredService {
    pub settings: ServiceSettings,
    pub password: Option<DesiredPassword>,
}

#[derive(Clone, Debug)]
pub enum DesiredPassword {
    /// Changes nothing where it is the stored one.
    Plain(NewPassword),
    Hash(PasswordHash),
}

#[derive(Clone, Copy, Debug, Default)]
pub struct PlanOptions {
    /// Delete what the file does not name.
    pub prune: bool,
    /// Leave grants to bots as drafts.
    pub draft: bool,
}

/// Changes in an order in which they can be carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan(pub Vec<Change>);

/// Why the file can't be carried out: which table, which of its entries (counted from 0), and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    pub table: &'static str,
    pub index: usize,
    pub message: String,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[[{}]] number {}: {}", self.table, self.index + 1, self.message)
    }
}

impl Plan {
    /// Compares what is stored with what is wanted.
    ///
    /// # Errors
    /// All that is wrong with what is wanted, not the first alone.
    pub fn new(
        stored: &Registry,
        desired: &Desired,
        rules: &GrantRules,
        options: PlanOptions,
    ) -> Result<Self, Vec<PlanError>> {
        Self::then(stored, desired, rules, options, Vec::new())
    }

    /// As `new`, with more changes after what the comparison gives.
    pub(super) fn then(
        stored: &Registry,
        desired: &Desired,
        rules: &GrantRules,
        options: PlanOptions,
        more: Vec<Change>,
    ) -> Result<Self, Vec<PlanError>> {
        let index = Index::of(stored, desired, options);
        let keys = KeyMatches::of(stored, desired);
        let (changes, errors) = (Vec::new(), Vec::new());
        let mut planner = Planner { stored, desired, index, keys, rules, options, changes, errors };
        planner.accounts();
        planner.bots();
        planner.apps();
        planner.keys();
        planner.rotations();
        planner.encryption_keys();
        planner.grants();
        planner.table_grants();
        planner.service_accounts();
        planner.installations();
        if options.prune {
            planner.prune();
        }
        planner.changes.extend(more);
        planner.bounds();
        if planner.errors.is_empty() { Ok(Self(planner.changes)) } else { Err(planner.errors) }
    }
}

struct Planner<'a> {
    stored: &'a Registry,
    desired: &'a Desired,
    index: Index<'a>,
    keys: KeyMatches<'a>,
    rules: &'a GrantRules,
    options: PlanOptions,
    changes: Vec<Change>,
    errors: Vec<PlanError>,
}

/// The wanted entries by name: a file may hold 100,000 apps.
struct Index<'a> {
    accounts: BTreeSet<&'a str>,
    bots: BTreeMap<&'a BotId, &'a str>,
    apps: BTreeMap<&'a ClientId, &'a AppSettings>,
    /// Whose each name is, by account: where two have one, that app's which had it first.
    names: BTreeMap<(&'a AccountId, &'a str), &'a ClientId>,
    grants: BTreeSet<(&'a ClientId, &'a GrantTarget)>,
    table_grants: BTreeSet<(&'a ClientId, &'a Resource)>,
    installations: BTreeSet<(&'a ClientId, &'a AccountId)>,
}

impl<'a> Index<'a> {
    fn of(stored: &'a Registry, desired: &'a Desired, options: PlanOptions) -> Self {
        let apps: BTreeMap<_, _> = desired.apps.iter().map(|DesiredApp(a)| (&a.client_id, a)).collect();
        Self {
            accounts: desired.accounts.iter().map(|a| a.id.as_str()).collect(),
            bots: desired.bots.iter().map(|b| (&b.id, b.account.as_str())).collect(),
            names: apps::names(stored, desired, &apps, options),
            apps,
            grants: desired.grants.iter().map(|g| (&g.app, &g.target)).collect(),
            table_grants: desired.table_grants.iter().map(|(app, resource, _)| (app, resource)).collect(),
            installations: desired.installations.iter().map(|(app, i)| (app, &i.account)).collect(),
        }
    }
}

impl<'a> Planner<'a> {
    fn error(&mut self, table: &'static str, index: usize, message: impl Into<String>) {
        self.errors.push(PlanError { table, index, message: message.into() });
    }

    fn accounts(&mut self) {
        let mut seen = BTreeSet::new();
        for (i, account) in self.desired.accounts.iter().enumerate() {
            if !seen.insert(&account.id) {
                self.error("account", i, format!("account {} stands twice", account.id));
            } else if self.stored.accounts.get(&account.id) != Some(account) {
                self.changes.push(Change::PutAccount(account.clone()));
            }
        }
    }

    fn bots(&mut self) {
        let mut seen = BTreeSet::new();
        for (i, bot) in self.desired.bots.iter().enumerate() {
            if !seen.insert(&bot.id) {
                self.error("bot", i, format!("bot {} stands twice", bot.id));
            } else if !self.has_account(bot.account.as_str()) {
                self.error("bot", i, format!("account {} does not exist", bot.account));
            } else if self.stored.bots.get(&bot.id) != Some(bot) {
                self.changes.push(Change::PutBot(bot.clone()));
            }
        }
    }

    fn apps(&mut self) {
        let mut seen = BTreeSet::new();
        let desired = self.desired;
        for (i, DesiredApp(app)) in desired.apps.iter().enumerate() {
            if !seen.insert(&app.client_id) {
                self.error("app", i, format!("app {} stands twice", app.client_id));
                continue;
            }
            if let Err(message) = self.check_app(app) {
                self.error("app", i, message);
                continue;
            }
            let stored = self.stored.apps.get(&app.client_id);
            if stored.map(|s| &s.settings) != Some(app) {
                if let Err(message) = self.check_kept_grants(stored, app) {
                    self.error("app", i, message);
                }
                self.drop_table_grants(app);
                self.changes.push(Change::PutApp { settings: app.clone(), is_new: stored.is_none() });
            }
        }
    }

    /// An app that is given to another account loses its permissions on tables and views, unless the file gives them
    /// anew. The store sees to that, too; here they are planned, so that whoever looks at the plan sees it.
    fn drop_table_grants(&mut self, app: &AppSettings) {
        let left = self.stored.apps.get(&app.client_id).filter(|stored| stored.settings.account != app.account);
        for grant in left.into_iter().flat_map(|stored| &stored.table_grants) {
            let (app, resource) = (app.client_id.clone(), grant.resource.clone());
            self.changes.push(Change::DeleteTableGrant { app, resource });
        }
    }

    /// What the app holds once it has the settings that the file gives it.
    fn table_grants_of<'r>(&self, record: &'r AppRecord) -> &'r [TableGrant] {
        let wanted = self.index.apps.get(&record.settings.client_id);
        if wanted.is_some_and(|app| app.account != record.settings.account) { &[] } else { &record.table_grants }
    }

    fn check_app(&self, app: &AppSettings) -> Result<(), String> {
        self.check_name_of(app)?;
        if !self.has_account(app.account.as_str()) {
            return Err(format!("account {} does not exist", app.account));
        }
        apps::check_networks(app)?;
        self.rules.check_authenticators(app)?;
        match (app.level, app.bots.is_empty()) {
            (Level::Bot, true) => return Err("an app of level bot needs bots = [\"…\"]".into()),
            (Level::Account, false) => {
                return Err("an app of level account names no bots: it may act on all of its account".into());
            }
            _ => {}
        }
        for bot in &app.bots {
            match self.account_of(bot) {
                None => return Err(format!("bot {bot} does not exist")),
                Some(account) if account != app.account.as_str() => {
                    return Err(format!("bot {bot} belongs to account {account}, the app to {}", app.account));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn grants(&mut self) {
        let desired = self.desired;
        let mut seen = BTreeSet::new();
        for (i, grant) in desired.grants.iter().enumerate() {
            if !seen.insert((&grant.app, &grant.target)) {
                self.error("grant", i, format!("app {} has two grants on {}", grant.app, grant.target));
                continue;
            }
            if let Err(message) = self.check_grant(grant) {
                self.error("grant", i, message);
                continue;
            }
            self.put_grant(grant);
        }
    }

    fn put_grant(&mut self, grant: &DesiredGrant) {
        let stored = self.stored.apps.get(&grant.app).and_then(|a| a.grants.iter().find(|g| g.target == grant.target));
        let (scopes, draft) = (&grant.scopes, grant.draft.as_ref().unwrap_or(&grant.scopes));
        let is_drafted = stored.is_some_and(|g| g.draft == *draft);
        let is_in_force = stored.map_or(scopes.is_empty(), |g| g.published == *scopes);
        let may_publish = !self.options.draft || grant.target.level() == Level::Account;
        let (publish, redraft) = match (may_publish, draft == scopes) {
            (true, true) => (!is_drafted || !is_in_force, false),
            // To publish sets the draft, too.
            (true, false) => (!is_in_force, !is_in_force || !is_drafted),
            (false, _) => (false, !is_drafted),
        };
        let put = |scopes: &BTreeSet<ScopeId>, publish| {
            let (app, target) = (grant.app.clone(), grant.target.clone());
            Change::PutGrant { app, target, scopes: scopes.clone(), publish }
        };
        self.changes.extend(publish.then(|| put(scopes, true)));
        self.changes.extend(redraft.then(|| put(draft, false)));
    }

    fn check_grant(&self, grant: &DesiredGrant) -> Result<(), String> {
        let Some(app) = self.settings_of(&grant.app) else { return Err(format!("app {} does not exist", grant.app)) };
        if let (Some(_), GrantTarget::Account(account)) = (&grant.draft, &grant.target) {
            return Err(format!("a grant on account {account} is in force at once: it has no draft"));
        }
        let wanted: BTreeSet<_> = grant.scopes.iter().chain(grant.draft.iter().flatten()).cloned().collect();
        self.rules.check(app, &grant.target, &wanted).map_err(|error| error.to_string())
    }

    fn table_grants(&mut self) {
        let desired = self.desired;
        let mut seen = BTreeSet::new();
        for (i, (app, resource, permissions)) in desired.table_grants.iter().enumerate() {
            if self.settings_of(app).is_none() {
                self.error("table_grant", i, format!("app {app} does not exist"));
            } else if !seen.insert((app, resource)) {
                self.error("table_grant", i, format!("app {app} has two grants on {resource}"));
            } else {
                let stored = self.stored.apps.get(app).map_or(&[][..], |record| self.table_grants_of(record));
                let stored = stored.iter().find(|g| g.resource == *resource);
                if stored.map(|g| g.permissions) != Some(*permissions) {
                    let (app, resource, permissions) = (app.clone(), resource.clone(), *permissions);
                    self.changes.push(Change::PutTableGrant { app, resource, permissions });
                }
            }
        }
    }

    /// Deletes what is stored and not wanted, what depends on others first.
    fn prune(&mut self) {
        for (id, record) in &self.stored.apps {
            if self.index.apps.contains_key(id) {
                self.prune_app(record);
            } else {
                self.changes.push(Change::DeleteApp(id.clone()));
            }
        }
        self.prune_services();
        let bots = self.stored.bots.keys().filter(|id| !self.index.bots.contains_key(id));
        self.changes.extend(bots.map(|id| Change::DeleteBot(id.clone())));
        let accounts = self.stored.accounts.keys().filter(|id| !self.index.accounts.contains(id.as_str()));
        let accounts = accounts.filter(|id| id.as_str() != DEFAULT_ACCOUNT);
        self.changes.extend(accounts.map(|id| Change::DeleteAccount(id.clone())));
    }

    fn prune_app(&mut self, record: &AppRecord) {
        let app = &record.settings.client_id;
        for key in record.keys.iter().filter(|key| !self.keys.keeps(app, key)) {
            self.changes.push(Change::DeleteKey { app: app.clone(), key: key.number, kid: key.kid.clone() });
        }
        for grant in record.grants.iter().filter(|g| !self.index.grants.contains(&(app, &g.target))) {
            self.changes.push(Change::DeleteGrant { app: app.clone(), target: grant.target.clone() });
        }
        for grant in
            self.table_grants_of(record).iter().filter(|g| !self.index.table_grants.contains(&(app, &g.resource)))
        {
            self.changes.push(Change::DeleteTableGrant { app: app.clone(), resource: grant.resource.clone() });
        }
        self.prune_installations(record);
    }

    fn has_account(&self, id: &str) -> bool {
        id == DEFAULT_ACCOUNT || self.index.accounts.contains(id) || self.stored.accounts.contains_key(id)
    }

    fn account_of(&self, bot: &BotId) -> Option<&str> {
        self.index.bots.get(bot).copied().or_else(|| self.stored.bots.get(bot).map(|b| b.account.as_str()))
    }

    fn settings_of(&self, app: &ClientId) -> Option<&'a AppSettings> {
        self.index.apps.get(app).copied().or_else(|| self.stored.apps.get(app).map(|a| &a.settings))
    }
}
