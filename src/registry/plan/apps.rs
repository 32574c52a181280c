//! What holds of every app, whether a file or a command asks for it.

use std::collections::BTreeMap;

use super::{Desired, DesiredApp, GrantRules, PlanOptions, Planner};
use crate::model::{AccountId, Algorithm, AlgorithmSet, AuthenticatorName, ClientId, Level};
use crate::registry::{AppRecord, AppSettings, Change, GrantTarget, Registry};

/// More than any person reads in a table.
const MAX_NAME: usize = 256;
/// Each call of the app is compared with all of them.
const MAX_NETWORKS: usize = 256;

impl GrantRules {
    /// Whether the app's tokens may lack `exp`: where the app and an authenticator that it may be used with both allow it.
    pub fn may_lack_exp(&self, app: &AppSettings) -> bool {
        let app_allows = !app.require_exp && !app.enforce_jti && app.max_lifetime.is_none();
        app_allows && self.usable_with(app).any(|(_, taken)| taken.without_exp)
    }

    fn usable_with(
        &self,
        app: &AppSettings,
    ) -> impl Iterator<Item = (&AuthenticatorName, &crate::registry::TakenTokens)> {
        self.authenticators
            .iter()
            .filter(|(name, _)| app.authenticators.is_empty() || app.authenticators.contains(*name))
    }

    pub(super) fn check_authenticators(&self, app: &AppSettings) -> Result<(), String> {
        if self.authenticators.values().all(|taken| taken.algorithms.is_empty()) {
            return Ok(());
        }
        if let Some(unknown) = app.authenticators.iter().find(|name| !self.authenticators.contains_key(*name)) {
            let known: Vec<_> = self.authenticators.keys().map(AuthenticatorName::as_str).collect();
            return Err(format!("no authenticator {unknown} takes tokens; known are {}", known.join(", ")));
        }
        let taken: AlgorithmSet = self.usable_with(app).flat_map(|(_, taken)| taken.algorithms.iter()).collect();
        if let Some(algorithm) = app.algorithms.iter().find(|a| !taken.contains(**a)) {
            let names: Vec<_> = self.usable_with(app).map(|(name, _)| name.as_str()).collect();
            return Err(format!(
                "{algorithm} is taken by no authenticator that the app may be used with ({}); taken are {taken}",
                names.join(", ")
            ));
        }
        if app.enforce_jwe && !self.usable_with(app).any(|(_, taken)| taken.encrypted) {
            let why = "enforce_jwe = true: no authenticator that the app may be used with takes encrypted tokens; set \
                       encrypted = \"allowed\" for one in the configuration";
            return Err(why.into());
        }
        Ok(())
    }
}

/// The names that apps have after the plan. What is stored and stays as it is comes before what is new.
pub(super) fn names<'a>(
    stored: &'a Registry,
    desired: &'a Desired,
    wanted: &BTreeMap<&'a ClientId, &'a AppSettings>,
    options: PlanOptions,
) -> BTreeMap<(&'a AccountId, &'a str), &'a ClientId> {
    let stays = |settings: &&AppSettings| match wanted.get(&settings.client_id) {
        Some(wanted) => is_named_alike(wanted, settings),
        None => !options.prune,
    };
    let staying = stored.apps.values().map(|record| &record.settings).filter(stays);
    let mut names = BTreeMap::new();
    for app in staying.chain(desired.apps.iter().map(|DesiredApp(app)| app)) {
        names.entry((&app.account, app.name.as_str())).or_insert(&app.client_id);
    }
    names
}

fn is_named_alike(one: &AppSettings, other: &AppSettings) -> bool {
    one.name == other.name && one.account == other.account
}

pub(super) fn check_networks(app: &AppSettings) -> Result<(), String> {
    match app.networks.len() {
        0..=MAX_NETWORKS => Ok(()),
        many => Err(format!("the app has {many} networks; it may have {MAX_NETWORKS}: put neighbours together")),
    }
}

fn check_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        Err("an app needs a name".into())
    } else if name.len() > MAX_NAME {
        Err(format!("the name has {} bytes; it may have {MAX_NAME}", name.len()))
    } else if name.trim() != name || name.contains(char::is_control) {
        Err("a name has no control characters, and no spaces at its ends".into())
    } else {
        Ok(())
    }
}

impl Planner<'_> {
    /// An app that is stored may keep the name that it has.
    pub(super) fn check_name_of(&self, app: &AppSettings) -> Result<(), String> {
        let stored = self.stored.apps.get(&app.client_id);
        if stored.is_some_and(|stored| is_named_alike(&stored.settings, app)) {
            return Ok(());
        }
        check_name(&app.name)?;
        match self.index.names.get(&(&app.account, app.name.as_str())) {
            Some(first) if **first != app.client_id => {
                Err(format!("account {} has an app {:?} already, {first}: take another name", app.account, app.name))
            }
            _ => Ok(()),
        }
    }

    /// What the app was granted before has to be grantable to it as it will be.
    pub(super) fn check_kept_grants(&self, stored: Option<&AppRecord>, app: &AppSettings) -> Result<(), String> {
        let stored = stored.map_or(&[][..], |stored| &stored.grants);
        let is_kept = |target: &GrantTarget| match target {
            _ if self.options.prune || self.index.grants.contains(&(&app.client_id, target)) => false,
            GrantTarget::Bot(bot) => app.level == Level::Bot && app.bots.contains(bot),
            GrantTarget::Account(account) => app.level == Level::Account && *account == app.account,
        };
        let kept = stored.iter().any(|g| is_kept(&g.target) && !(g.draft.is_empty() && g.published.is_empty()));
        if kept { self.rules.check_algorithms(app).map_err(|error| error.to_string()) } else { Ok(()) }
    }

    /// An app that has keys takes another algorithm only with a key that comes for it; letting one go is free.
    pub(super) fn rotations(&mut self) {
        let desired = self.desired;
        let mut coming: BTreeMap<&ClientId, AlgorithmSet> = BTreeMap::new();
        for change in &self.changes {
            if let Change::AddKey { app, material, .. } | Change::ReplaceKey { app, material, .. } = change {
                let usable = Algorithm::ALL.into_iter().filter(|a| material.can(*a));
                let all = coming.entry(app).or_default();
                *all = all.iter().chain(usable).collect();
            }
        }
        let mut errors = Vec::new();
        for (i, DesiredApp(app)) in desired.apps.iter().enumerate() {
            let Some(stored) = self.stored.apps.get(&app.client_id).filter(|stored| !stored.keys.is_empty()) else {
                continue;
            };
            let coming = coming.get(&app.client_id).copied().unwrap_or_default();
            let mut added = app.algorithms.difference(&stored.settings.algorithms);
            if let Some(algorithm) = added.find(|a| !coming.contains(**a)) {
                let id = &app.client_id;
                errors.push((i, format!(
                    "the algorithms of app {id} change only with its keys: give it a new key for {algorithm} as well, \
                     or use `scopegate key rotate {id} --alg {algorithm}`"
                )));
            }
        }
        for (i, message) in errors {
            self.error("app", i, message);
        }
    }
}
