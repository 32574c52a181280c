//! What a commit has made itself or seen to be there: additions that need not look anything up.

use std::collections::{HashMap, HashSet};

use crate::model::ClientId;
use crate::registry::{Change, GrantTarget};
use crate::store::rows::target_columns;

/// Of the commit so far.
#[derive(Default)]
pub struct Known {
    apps: HashMap<ClientId, Fresh>,
    pub accounts: HashSet<String>,
    pub bots: HashSet<String>,
}

/// An app that was not there before the commit: what it has got since.
#[derive(Default)]
struct Fresh {
    kids: HashSet<String>,
    targets: HashSet<(&'static str, String)>,
}

impl Known {
    pub fn is_fresh(&self, app: &ClientId) -> bool {
        self.apps.contains_key(app)
    }

    /// Takes note of an addition, where it can only succeed. `is_there` tells of apps that were there before.
    pub fn admits(&mut self, change: &Change, is_there: impl FnOnce(&ClientId) -> bool) -> bool {
        match change {
            Change::PutApp { settings, is_new: true } => {
                let id = &settings.client_id;
                let is_possible = self.accounts.contains(settings.account.as_str())
                    && settings.bots.iter().all(|bot| self.bots.contains(bot.as_str()))
                    && !self.is_fresh(id)
                    && !is_there(id);
                if is_possible {
                    self.apps.insert(id.clone(), Fresh::default());
                }
                is_possible
            }
            Change::AddKey { app, kid, .. } => {
                let fresh = self.apps.get_mut(app);
                fresh.is_some_and(|fresh| kid.as_ref().is_none_or(|kid| fresh.kids.insert(kid.to_string())))
            }
            Change::PutGrant { app, target, .. } => {
                let there = match target {
                    GrantTarget::Bot(bot) => self.bots.contains(bot.as_str()),
                    GrantTarget::Account(account) => self.accounts.contains(account.as_str()),
                };
                let (kind, id) = target_columns(target);
                let fresh = self.apps.get_mut(app).filter(|_| there);
                fresh.is_some_and(|fresh| fresh.targets.insert((kind, id.to_owned())))
            }
            _ => false,
        }
    }

    /// A change was carried out by itself: what it touched is looked up again.
    pub fn forget(&mut self, change: &Change) {
        match change.subject() {
            ("account" | "bot", _) => {
                self.accounts.clear();
                self.bots.clear();
            }
            (_, app) => drop(self.apps.remove(app)),
        }
    }
}
