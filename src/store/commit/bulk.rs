//! Additions of many at once. A change that stands alone takes a handful of statements, each a message to the database's
//! thread and back; of hundreds in a row, new apps with their keys and grants, each table gets one statement.
//! Whatever might be refused is left to the change by itself, which says why.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::QueryBuilder;

use super::apps::{app_json, lifetime_millis};
use super::grants::grant_json;
use super::keys::{Public, Shown, key_json};
use super::{Trace, Writer};
use crate::jose::KeyMaterial;
use crate::model::{ClientId, KeyId};
use crate::registry::{AppSettings, Change, Grant, GrantTarget, KeyNumber, KeyState, SERVICE_ACTOR, StoreError};
use crate::store::error::failed;
use crate::store::key_place;
use crate::store::rows::{json as column, kind_column, state_columns, target_columns};
use crate::store::sqlite::Db;

/// Changes at a time; an app has 13 parameters, and SQLite takes 32,766 in a statement.
pub const BATCH: usize = 256;
/// Rows of a table of which one change may bring many.
const ROWS: usize = 1000;

struct NewApp<'a> {
    settings: &'a AppSettings,
    credential_version: i64,
}

struct NewKey<'a> {
    app: &'a ClientId,
    owner: i64,
    kid: Option<&'a KeyId>,
    material: &'a KeyMaterial,
    state: KeyState,
}

impl Writer<'_> {
    /// Carries out as many of the first changes as can be added at once; one trace for each, and none where the first
    /// has to be carried out by itself.
    pub(super) async fn add_many(&mut self, changes: &[Change]) -> Result<Vec<Trace>, StoreError> {
        let changes = self.run(changes);
        if changes.len() < 2 {
            return Ok(Vec::new());
        }
        let there = self.look_up(changes).await?;
        let admitted = changes.iter().take_while(|change| self.known.admits(change, |id| there.contains(id.as_str())));
        let count = admitted.count();
        let changes = &changes[..count];
        self.add_apps(changes).await?;
        let numbers = self.add_keys(changes).await?;
        self.add_grants(changes).await?;
        self.version += i64::try_from(changes.len()).unwrap_or(i64::MAX);
        Ok(traces(changes, numbers))
    }

    /// The changes at the start that may be added at once.
    fn run<'c>(&self, changes: &'c [Change]) -> &'c [Change] {
        let begins = match changes.first() {
            Some(Change::PutApp { is_new: true, .. }) => !self.actor.name.starts_with(SERVICE_ACTOR),
            Some(Change::AddKey { app, .. } | Change::PutGrant { app, .. }) => self.known.is_fresh(app),
            _ => false,
        };
        let is_addition = |change: &&Change| {
            matches!(change, Change::PutApp { is_new: true, .. } | Change::AddKey { .. } | Change::PutGrant { .. })
        };
        let count = if begins { changes.iter().take(BATCH).take_while(is_addition).count() } else { 0 };
        &changes[..count]
    }

    /// Which of the apps are there already. Finds out, too, about accounts and bots that are not known yet.
    async fn look_up(&mut self, changes: &[Change]) -> Result<HashSet<String>, StoreError> {
        let (mut apps, mut accounts, mut bots) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for change in changes {
            match change {
                Change::PutApp { settings, .. } => {
                    apps.insert(settings.client_id.as_str());
                    accounts.insert(settings.account.as_str());
                    bots.extend(settings.bots.iter().map(|bot| bot.as_str()));
                }
                Change::PutGrant { target: GrantTarget::Bot(bot), .. } => _ = bots.insert(bot.as_str()),
                Change::PutGrant { target: GrantTarget::Account(id), .. } => _ = accounts.insert(id.as_str()),
                _ => {}
            }
        }
        accounts.retain(|id| !self.known.accounts.contains(*id));
        bots.retain(|id| !self.known.bots.contains(*id));
        let accounts = self.present("SELECT id FROM account WHERE id IN ", &accounts).await?;
        self.known.accounts.extend(accounts);
        let bots = self.present("SELECT id FROM bot WHERE id IN ", &bots).await?;
        self.known.bots.extend(bots);
        self.present("SELECT client_id FROM app WHERE client_id IN ", &apps).await
    }

    async fn present(&mut self, select: &str, ids: &BTreeSet<&str>) -> Result<HashSet<String>, StoreError> {
        let ids: Vec<_> = ids.iter().copied().collect();
        let mut present = HashSet::new();
        for ids in ids.chunks(ROWS) {
            let mut query = QueryBuilder::<Db>::new(select);
            query.push_tuples(ids, |mut row, id| _ = row.push_bind(*id));
            let found: Vec<String> =
                query.build_query_scalar().fetch_all(&mut *self.connection).await.map_err(failed)?;
            present.extend(found);
        }
        Ok(present)
    }

    async fn add_apps(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let renewed = self.renewed(changes);
        let apps: Vec<_> = (self.version + 1..)
            .zip(changes)
            .filter_map(|(version, change)| {
                let Change::PutApp { settings, .. } = change else { return None };
                let credential_version = renewed.get(&settings.client_id).copied().unwrap_or(version);
                Some(NewApp { settings, credential_version })
            })
            .collect();
        self.insert_apps(&apps).await?;
        let bots: Vec<_> = apps
            .iter()
            .flat_map(|app| app.settings.bots.iter().map(|bot| (self.numbers[&app.settings.client_id], bot)))
            .collect();
        for bots in bots.chunks(ROWS) {
            let mut query = QueryBuilder::<Db>::new("INSERT INTO app_bot (app, bot) ");
            query.push_values(bots, |mut row, (app, bot)| _ = row.push_bind(*app).push_bind(bot.as_str()));
            query.build().execute(&mut *self.connection).await.map_err(failed)?;
        }
        let added: HashSet<_> = apps.iter().map(|app| &app.settings.client_id).collect();
        self.renew_many(renewed.into_iter().filter(|(app, _)| !added.contains(app)).collect()).await
    }

    /// The version at which each app got its last key.
    fn renewed<'c>(&self, changes: &'c [Change]) -> HashMap<&'c ClientId, i64> {
        let keys = (self.version + 1..).zip(changes).filter_map(|(version, change)| match change {
            Change::AddKey { app, .. } => Some((app, version)),
            _ => None,
        });
        keys.collect()
    }

    async fn insert_apps(&mut self, apps: &[NewApp<'_>]) -> Result<(), StoreError> {
        if apps.is_empty() {
            return Ok(());
        }
        let mut lists = Vec::with_capacity(apps.len());
        for NewApp { settings, .. } in apps {
            let (authenticators, algorithms) = (column(&settings.authenticators)?, column(&settings.algorithms)?);
            lists.push((authenticators, algorithms, column(&settings.networks)?));
        }
        let mut query = QueryBuilder::<Db>::new(
            "INSERT INTO app (client_id, name, account, level, authenticators, algorithms, enforce_jti, enforce_jwe, \
             require_exp, max_lifetime, networks, enabled, credential_version) ",
        );
        query.push_values(apps.iter().zip(lists), |mut row, (app, (authenticators, algorithms, networks))| {
            let settings = app.settings;
            row.push_bind(settings.client_id.as_str()).push_bind(&settings.name);
            row.push_bind(settings.account.as_str()).push_bind(settings.level.as_str());
            row.push_bind(authenticators).push_bind(algorithms).push_bind(settings.enforce_jti);
            row.push_bind(settings.enforce_jwe).push_bind(settings.require_exp).push_bind(lifetime_millis(settings));
            row.push_bind(networks).push_bind(settings.enabled).push_bind(app.credential_version);
        });
        query.push(" RETURNING client_id, number");
        let rows = query.build_query_as().fetch_all(&mut *self.connection).await.map_err(failed)?;
        let numbers: HashMap<String, i64> = rows.into_iter().collect();
        for NewApp { settings, .. } in apps {
            let number = numbers.get(settings.client_id.as_str()).copied().ok_or_else(incomplete)?;
            self.numbers.insert(settings.client_id.clone(), number);
        }
        Ok(())
    }

    async fn renew_many(&mut self, renewed: Vec<(&ClientId, i64)>) -> Result<(), StoreError> {
        if renewed.is_empty() {
            return Ok(());
        }
        let numbers = &self.numbers;
        let mut query = QueryBuilder::<Db>::new("UPDATE app SET credential_version = new.column2 FROM (");
        query.push_values(renewed, |mut row, (app, version)| _ = row.push_bind(numbers[app]).push_bind(version));
        query.push(") AS new WHERE app.number = new.column1");
        query.build().execute(&mut *self.connection).await.map_err(failed).map(drop)
    }

    /// The numbers of the keys, in their order.
    async fn add_keys(&mut self, changes: &[Change]) -> Result<Vec<i64>, StoreError> {
        let keys: Vec<_> = changes
            .iter()
            .filter_map(|change| {
                let Change::AddKey { app, kid, material, state } = change else { return None };
                let (owner, kid) = (self.numbers[app], kid.as_ref());
                Some(NewKey { app, owner, kid, material, state: *state })
            })
            .collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let text = "INSERT INTO app_key (app, kid, kind, spki, only_algorithm, certificate, state, retire_at) ";
        let mut query = QueryBuilder::<Db>::new(text);
        query.push_values(&keys, |mut row, key| {
            let Public { spki, only, certificate } = Public::of(key.material);
            let (state, retire_at) = state_columns(key.state);
            row.push_bind(key.owner).push_bind(key.kid.map(KeyId::as_str)).push_bind(kind_column(key.material));
            row.push_bind(spki).push_bind(only).push_bind(certificate).push_bind(state).push_bind(retire_at);
        });
        query.push(" RETURNING number");
        let mut numbers: Vec<i64> =
            query.build_query_scalar().fetch_all(&mut *self.connection).await.map_err(failed)?;
        if numbers.len() != keys.len() {
            return Err(incomplete());
        }
        // Rows are returned in any order, and numbered in that of the values.
        numbers.sort_unstable();
        self.seal_keys(&keys, &numbers).await?;
        Ok(numbers)
    }

    /// A number binds a secret to its row, so it has to be known first.
    async fn seal_keys(&mut self, keys: &[NewKey<'_>], numbers: &[i64]) -> Result<(), StoreError> {
        let mut sealed = Vec::with_capacity(keys.len());
        for (key, number) in keys.iter().zip(numbers) {
            if let KeyMaterial::Secret(secret) = key.material {
                sealed.push((*number, self.sealer.seal(secret, key_place(key.app.as_str(), *number))?));
            }
        }
        if sealed.is_empty() {
            return Ok(());
        }
        let mut query = QueryBuilder::<Db>::new("UPDATE app_key SET sealed = new.column2 FROM (");
        query.push_values(sealed, |mut row, (number, blob)| _ = row.push_bind(number).push_bind(blob));
        query.push(") AS new WHERE app_key.number = new.column1");
        query.build().execute(&mut *self.connection).await.map_err(failed).map(drop)
    }

    async fn add_grants(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let mut grants = Vec::new();
        for change in changes {
            if let Change::PutGrant { app, scopes, .. } = change
                && let Some(grant) = grant_of(change)
            {
                grants.push((self.numbers[app], column(scopes)?, column(&grant.published)?, grant));
            }
        }
        let (at, actor) = (self.actor.at.millis(), self.actor);
        let published: Vec<_> = grants.iter().filter(|(.., grant)| grant.version > 0).collect();
        if !published.is_empty() {
            let text = "INSERT INTO grant_history (app, target_kind, target_id, version, at, actor, why, scopes) ";
            let mut query = QueryBuilder::<Db>::new(text);
            query.push_values(published, |mut row, (app, _, published, grant)| {
                let (kind, id) = target_columns(&grant.target);
                row.push_bind(*app).push_bind(kind).push_bind(id).push_bind(grant.version).push_bind(at);
                row.push_bind(&actor.name).push_bind(&actor.why).push_bind(published);
            });
            query.build().execute(&mut *self.connection).await.map_err(failed)?;
        }
        if grants.is_empty() {
            return Ok(());
        }
        let text = "INSERT INTO app_grant (app, target_kind, target_id, draft, published, version, updated_at) ";
        let mut query = QueryBuilder::<Db>::new(text);
        query.push_values(&grants, |mut row, (app, draft, published, grant)| {
            let (kind, id) = target_columns(&grant.target);
            row.push_bind(*app).push_bind(kind).push_bind(id).push_bind(draft).push_bind(published);
            row.push_bind(grant.version).push_bind(at);
        });
        query.build().execute(&mut *self.connection).await.map_err(failed).map(drop)
    }
}

/// The first grant of a new app on a target.
fn grant_of(change: &Change) -> Option<Grant> {
    let Change::PutGrant { target, scopes, publish, .. } = change else { return None };
    let published = if *publish { scopes.clone() } else { BTreeSet::new() };
    let version = i64::from(!published.is_empty());
    Some(Grant { draft: scopes.clone(), published, version, ..Grant::new(target.clone()) })
}

fn traces(changes: &[Change], numbers: Vec<i64>) -> Vec<Trace> {
    let mut numbers = numbers.into_iter();
    let after = |change: &Change| match change {
        Change::PutApp { settings, .. } => Some(app_json(settings)),
        Change::AddKey { kid, material, state, .. } => {
            let (state, retire_at) = state_columns(*state);
            let shown = Shown::of(kid.as_ref(), material, state, retire_at);
            numbers.next().map(|number| key_json(KeyNumber(number), &shown))
        }
        _ => grant_of(change).as_ref().map(grant_json),
    };
    changes.iter().map(after).map(|after| Trace { before: None, after }).collect()
}

fn incomplete() -> StoreError {
    StoreError::Unavailable("a statement returned too few rows".into())
}
