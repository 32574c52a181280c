//! Carrying out changes: each does its work, and leaves a row in the change log and one in the audit.

mod accounts;
mod apps;
mod bulk;
mod encryption;
mod fresh;
mod grants;
mod installations;
mod keys;
mod services;
mod trail;

use std::collections::HashMap;

use self::fresh::Known;
use self::trail::{Step, Trace, Trail};
use super::error::failed;
use super::load;
use super::seal::Sealer;
use super::sqlite::Connection;
use crate::model::ClientId;
use crate::registry::{Actor, Change, StoreError, Version};

/// Carries out all the changes in a transaction that the caller has begun and commits, or drops after an error.
pub async fn carry_out(
    connection: &mut Connection,
    sealer: &Sealer,
    changes: &[Change],
    actor: &Actor,
) -> Result<Version, StoreError> {
    // The write lock is held, so versions can be counted here. The newest row of the log is never deleted.
    let Version(version) = load::version(connection).await?;
    let mut writer = Writer::new(connection, sealer, actor, version);
    let mut trail = Trail::new(actor);
    let mut left = changes;
    while !left.is_empty() {
        let first = writer.version + 1;
        let traces = writer.apply_some(left).await?;
        let (done, later) = left.split_at(traces.len());
        for ((version, change), trace) in (first..).zip(done).zip(traces) {
            let account = writer.owner_of(change, &trace).await?;
            trail.add(writer.connection, Step { version, change, account, trace }).await?;
        }
        left = later;
    }
    trail.write(writer.connection).await?;
    if changes.iter().any(|change| matches!(change, Change::PutAccount(_))) {
        writer.check_hosts().await?;
    }
    Ok(Version(writer.version))
}

/// In how many steps, of a few statements each, the changes are carried out.
#[cfg(test)]
pub async fn steps(
    connection: &mut Connection,
    sealer: &Sealer,
    changes: &[Change],
    actor: &Actor,
) -> Result<usize, StoreError> {
    let Version(version) = load::version(connection).await?;
    let mut writer = Writer::new(connection, sealer, actor, version);
    let (mut left, mut steps) = (changes, 0);
    while !left.is_empty() {
        left = &left[writer.apply_some(left).await?.len()..];
        steps += 1;
    }
    Ok(steps)
}

struct Writer<'a> {
    connection: &'a mut Connection,
    sealer: &'a Sealer,
    actor: &'a Actor,
    /// Of the change that is being carried out.
    version: i64,
    /// Of the apps that this commit has met.
    numbers: HashMap<ClientId, i64>,
    /// Of the same apps: whose they are.
    accounts: HashMap<String, String>,
    known: Known,
}

impl<'a> Writer<'a> {
    fn new(connection: &'a mut Connection, sealer: &'a Sealer, actor: &'a Actor, version: i64) -> Self {
        let (numbers, accounts) = (HashMap::new(), HashMap::new());
        Self { connection, sealer, actor, version, numbers, accounts, known: Known::default() }
    }
}

impl Writer<'_> {
    /// Whose the change is: that of the app that a key or a grant belongs to.
    async fn owner_of(&mut self, change: &Change, trace: &Trace) -> Result<Option<String>, StoreError> {
        let app = match change.subject() {
            ("account", id) => return Ok(Some(id.to_owned())),
            ("bot" | "service_account", _) => return Ok(trace.account()),
            ("app", id) => {
                let account = trace.account();
                self.accounts.extend(account.clone().map(|account| (id.to_owned(), account)));
                return Ok(account);
            }
            (_, app) => app,
        };
        if let Some(account) = self.accounts.get(app) {
            return Ok(Some(account.clone()));
        }
        let query = sqlx::query_scalar("SELECT account FROM app WHERE client_id = $1").bind(app);
        let account: Option<String> = query.fetch_optional(&mut *self.connection).await.map_err(failed)?;
        self.accounts.extend(account.clone().map(|account| (app.to_owned(), account)));
        Ok(account)
    }

    /// Carries out the first of the changes, one at least; a trace for each.
    async fn apply_some(&mut self, changes: &[Change]) -> Result<Vec<Trace>, StoreError> {
        let traces = self.add_many(changes).await?;
        let Some(change) = changes.first().filter(|_| traces.is_empty()) else { return Ok(traces) };
        self.version += 1;
        let trace = self.apply(change).await?;
        self.known.forget(change);
        Ok(vec![trace])
    }

    async fn apply(&mut self, change: &Change) -> Result<Trace, StoreError> {
        match change {
            Change::PutAccount(account) => self.put_account(account).await,
            Change::DeleteAccount(id) => self.delete_account(id).await,
            Change::PutBot(bot) => self.put_bot(bot).await,
            Change::DeleteBot(id) => self.delete_bot(id).await,
            Change::PutApp { settings, is_new } => self.put_app(settings, *is_new).await,
            Change::DeleteApp(id) => self.delete_app(id).await,
            Change::AddKey { app, kid, material, state } => self.add_key(app, kid.as_ref(), material, *state).await,
            Change::ReplaceKey { app, key, kid, material } => self.replace_key(app, *key, kid.as_ref(), material).await,
            Change::SetKeyState { app, key, state } => self.set_key_state(app, *key, *state).await,
            Change::DeleteKey { app, key, .. } => self.delete_key(app, *key).await,
            Change::AddEncryptionKey { app, kid, material, state } => {
                self.add_encryption_key(app, kid, material, *state).await
            }
            Change::SetEncryptionKeyState { app, kid, state } => self.set_encryption_key_state(app, kid, *state).await,
            Change::DeleteEncryptionKey { app, kid } => self.delete_encryption_key(app, kid).await,
            Change::PutGrant { app, target, scopes, publish } => self.put_grant(app, target, scopes, *publish).await,
            Change::AlterGrant { app, target, by, seen } => self.alter_grant(app, target, by, seen.as_ref()).await,
            Change::PublishGrant { app, target, draft } => self.publish_grant(app, target, draft).await,
            Change::RestoreGrant { app, target, scopes, .. } => self.restore_grant(app, target, scopes).await,
            Change::DeleteGrant { app, target } => self.delete_grant(app, target).await,
            Change::PutTableGrant { app, resource, permissions } => {
                self.put_table_grant(app, resource, *permissions).await
            }
            Change::AlterTableGrant { app, resource, gained, lost } => {
                self.alter_table_grant(app, resource, *gained, *lost).await
            }
            Change::DeleteTableGrant { app, resource } => self.delete_table_grant(app, resource).await,
            Change::PutInstallation { app, installation } => self.put_installation(app, installation).await,
            Change::DeleteInstallation { app, id } => self.delete_installation(app, *id).await,
            Change::PutService { service, password } => self.put_service(service, password.as_ref()).await,
            Change::DeleteService(name) => self.delete_service(name).await,
        }
    }
}

/// What `RETURNING` gave. All rows have to be fetched: sqlx leaves a statement after the first row of `fetch_one`, and
/// then nobody hears of a reference that the end of the statement finds broken.
pub fn returned<T>(rows: Vec<T>) -> Result<T, StoreError> {
    rows.into_iter().next().ok_or_else(|| StoreError::Unavailable("a statement returned no row".into()))
}

/// The first few of what stands in the way.
fn named(what: &str, mut ids: Vec<String>, limit: usize) -> Option<String> {
    if ids.is_empty() {
        return None;
    }
    let more = if ids.len() > limit { " and more" } else { "" };
    ids.truncate(limit);
    Some(format!("{what} {}{more}", ids.join(", ")))
}
