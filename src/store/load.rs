//! Reading the registry: a few big queries, put together in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::{AssertSqlSafe, FromRow};

use super::error::failed;
use super::part;
use super::rows::{
    APP_COLUMNS, AppRow, ENCRYPTION_KEY_COLUMNS, EncryptionKeyRow, GRANT_COLUMNS, GrantRow, INSTALLATION_COLUMNS,
    InstallationRow, KEY_COLUMNS, KeyRow, SERVICE_COLUMNS, ServiceRow, TABLE_GRANT_COLUMNS, TableGrantRow,
    encryption_key, grant, id, installation, service, table_grant,
};
use super::seal::Sealer;
use super::sqlite::{Connection, Db};
use crate::model::{AccountId, AppNumber, BotId, ClientId, ServiceName};
use crate::registry::{Account, AppRecord, Bot, Delta, Part, Registry, ServiceAccount, StoreError, Version};

pub async fn version(connection: &mut Connection) -> Result<Version, StoreError> {
    let query = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM change");
    query.fetch_one(connection).await.map(Version).map_err(failed)
}

/// Everything, in a transaction that the caller has begun.
pub async fn everything(connection: &mut Connection, sealer: &Sealer) -> Result<(Version, Registry), StoreError> {
    let mut reader = Reader { connection, sealer, extent: Extent::All };
    let version = version(reader.connection).await?;
    let registry = reader.registry().await?;
    Ok((version, registry))
}

/// What changed, in a transaction that the caller has begun.
pub async fn changes_since(connection: &mut Connection, sealer: &Sealer, since: Version) -> Result<Delta, StoreError> {
    let version = version(connection).await?;
    if version < since {
        let (now, then) = (version.0, since.0);
        let what = format!("it stands at version {now} and has been at {then}: an older copy was put in its place");
        return Err(StoreError::Unreadable(what));
    }
    if version == since {
        return Ok(Delta { version, ..Delta::default() });
    }
    let mut reader = Reader { connection, sealer, extent: Extent::Since(since.0) };
    let touched = touched(reader.connection, since).await?;
    let Registry { mut accounts, mut bots, mut apps, mut service_accounts } = reader.registry().await?;
    let mut delta = Delta { version, ..Delta::default() };
    for (kind, name) in touched {
        match kind.as_str() {
            "account" => delta.accounts.push(entry(&name, &mut accounts)?),
            "bot" => delta.bots.push(entry(&name, &mut bots)?),
            "app" => delta.apps.push(entry(&name, &mut apps)?),
            "service_account" => delta.service_accounts.push(entry(&name, &mut service_accounts)?),
            _ => return Err(StoreError::Unreadable(format!("a change of the unknown kind {kind:?}"))),
        }
    }
    Ok(delta)
}

fn entry<I, T>(name: &str, loaded: &mut BTreeMap<I, T>) -> Result<(I, Option<T>), StoreError>
where
    I: TryFrom<String, Error = crate::model::InvalidId> + Ord,
{
    let id = id(name)?;
    let now = loaded.remove(&id);
    Ok((id, now))
}

/// A part of the registry, in a transaction that the caller has begun.
pub async fn part(connection: &mut Connection, sealer: &Sealer, part: Part) -> Result<(Version, Registry), StoreError> {
    let version = version(connection).await?;
    let part = part::complete(connection, part).await?;
    let registry = Reader { connection, sealer, extent: Extent::Part(part) }.registry().await?;
    Ok((version, registry))
}

/// Each entity that was changed, once.
async fn touched(connection: &mut Connection, since: Version) -> Result<Vec<(String, String)>, StoreError> {
    let query = sqlx::query_as("SELECT DISTINCT kind, id FROM change WHERE version > $1").bind(since.0);
    query.fetch_all(connection).await.map_err(failed)
}

/// How much is read.
enum Extent {
    All,
    /// What changed since a version.
    Since(i64),
    Part(Part),
}

struct Reader<'a> {
    connection: &'a mut Connection,
    sealer: &'a Sealer,
    extent: Extent,
}

impl Reader<'_> {
    async fn registry(&mut self) -> Result<Registry, StoreError> {
        Ok(Registry {
            accounts: self.accounts().await?,
            bots: self.bots().await?,
            apps: self.apps().await?,
            service_accounts: self.service_accounts().await?,
        })
    }

    async fn accounts(&mut self) -> Result<BTreeMap<AccountId, Account>, StoreError> {
        let rows: Vec<(String,)> = self.rows("SELECT id FROM account", "id", "account").await?;
        let mut accounts = BTreeMap::new();
        for (name,) in rows {
            let id: AccountId = id(&name)?;
            accounts.insert(id.clone(), Account { id, hosts: BTreeSet::new() });
        }
        let hosts: Vec<(String, String)> =
            self.rows("SELECT account, host FROM account_host", "account", "account").await?;
        for (account, host) in hosts {
            if let Some(account) = accounts.get_mut(account.as_str()) {
                account.hosts.insert(host);
            }
        }
        Ok(accounts)
    }

    async fn bots(&mut self) -> Result<BTreeMap<BotId, Bot>, StoreError> {
        let rows: Vec<(String, String)> = self.rows("SELECT id, account FROM bot", "id", "bot").await?;
        let bot = |(name, account): (String, String)| {
            let id: BotId = id(&name)?;
            Ok((id.clone(), Bot { id, account: self::id(&account)? }))
        };
        rows.into_iter().map(bot).collect()
    }

    async fn apps(&mut self) -> Result<BTreeMap<ClientId, AppRecord>, StoreError> {
        let rows: Vec<AppRow> = self.rows(&format!("SELECT {APP_COLUMNS} FROM app"), "client_id", "app").await?;
        let mut apps = HashMap::with_capacity(rows.len());
        for row in rows {
            let (number, credential_version) = (row.number, row.credential_version);
            let settings = row.into_settings()?;
            let record = AppRecord {
                number: AppNumber(number),
                settings,
                keys: Vec::new(),
                encryption_keys: Vec::new(),
                grants: Vec::new(),
                table_grants: Vec::new(),
                installations: Vec::new(),
                credential_version,
            };
            apps.insert(number, record);
        }
        self.add_bots(&mut apps).await?;
        self.add_keys(&mut apps).await?;
        self.add_encryption_keys(&mut apps).await?;
        self.add_grants(&mut apps).await?;
        self.add_installations(&mut apps).await?;
        Ok(apps.into_values().map(|app| (app.settings.client_id.clone(), app)).collect())
    }

    async fn add_bots(&mut self, apps: &mut HashMap<i64, AppRecord>) -> Result<(), StoreError> {
        let rows: Vec<(i64, String)> = self.children("SELECT app, bot FROM app_bot", "").await?;
        for (app, bot) in rows {
            if let Some(app) = apps.get_mut(&app) {
                app.settings.bots.insert(id(&bot)?);
            }
        }
        Ok(())
    }

    async fn add_keys(&mut self, apps: &mut HashMap<i64, AppRecord>) -> Result<(), StoreError> {
        let query = format!("SELECT {KEY_COLUMNS} FROM app_key");
        let rows: Vec<KeyRow> = self.children(&query, " ORDER BY number").await?;
        for row in rows {
            if let Some(app) = apps.get_mut(&row.app) {
                app.keys.push(row.into_record(&app.settings.client_id, self.sealer)?);
            }
        }
        Ok(())
    }

    async fn add_encryption_keys(&mut self, apps: &mut HashMap<i64, AppRecord>) -> Result<(), StoreError> {
        let query = format!("SELECT {ENCRYPTION_KEY_COLUMNS} FROM encryption_key");
        let rows: Vec<EncryptionKeyRow> = self.children(&query, " ORDER BY number").await?;
        for row in rows {
            if let Some(app) = apps.get_mut(&row.0) {
                app.encryption_keys.push(encryption_key(row, &app.settings.client_id, self.sealer)?);
            }
        }
        Ok(())
    }

    async fn add_grants(&mut self, apps: &mut HashMap<i64, AppRecord>) -> Result<(), StoreError> {
        let query = format!("SELECT {GRANT_COLUMNS} FROM app_grant");
        let rows: Vec<GrantRow> = self.children(&query, " ORDER BY app, target_kind, target_id").await?;
        for row in rows {
            let (app, grant) = grant(row)?;
            apps.entry(app).and_modify(|app| app.grants.push(grant));
        }
        let query = format!("SELECT {TABLE_GRANT_COLUMNS} FROM table_grant");
        let rows: Vec<TableGrantRow> = self.children(&query, " ORDER BY app, resource_kind, resource_name").await?;
        for row in rows {
            let (app, grant) = table_grant(row)?;
            apps.entry(app).and_modify(|app| app.table_grants.push(grant));
        }
        Ok(())
    }

    async fn add_installations(&mut self, apps: &mut HashMap<i64, AppRecord>) -> Result<(), StoreError> {
        let query = format!("SELECT {INSTALLATION_COLUMNS} FROM installation");
        let rows: Vec<InstallationRow> = self.children(&query, " ORDER BY id").await?;
        for row in rows {
            if let Some(app) = apps.get_mut(&row.0) {
                app.installations.push(installation(row, &app.settings.client_id)?);
            }
        }
        Ok(())
    }

    async fn service_accounts(&mut self) -> Result<BTreeMap<ServiceName, ServiceAccount>, StoreError> {
        let query = format!("SELECT {SERVICE_COLUMNS} FROM service_account");
        let rows: Vec<ServiceRow> = self.rows(&query, "name", "service_account").await?;
        let service = |row| service(row, self.sealer).map(|service| (service.name.clone(), service));
        rows.into_iter().map(service).collect()
    }

    /// All rows of a table, or those whose column names an entity of the kind that is to be read.
    async fn rows<R>(&mut self, select: &str, column: &str, kind: &str) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, <Db as sqlx::Database>::Row> + Send + Unpin,
    {
        self.fetch(select, kind, |ids| format!(" WHERE {column} IN ({ids})"), "").await
    }

    /// All rows of a table that belongs to apps, or those of apps that are to be read.
    async fn children<R>(&mut self, select: &str, order: &str) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, <Db as sqlx::Database>::Row> + Send + Unpin,
    {
        let filter = |ids: &str| format!(" WHERE app IN (SELECT app.number FROM app WHERE client_id IN ({ids}))");
        self.fetch(select, "app", filter, order).await
    }

    /// The texts are this file's own; what comes from outside is bound.
    async fn fetch<R>(
        &mut self,
        select: &str,
        kind: &str,
        filter: impl Fn(&str) -> String,
        order: &str,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, <Db as sqlx::Database>::Row> + Send + Unpin,
    {
        let rows = match &self.extent {
            Extent::All => {
                let query = sqlx::query_as(AssertSqlSafe(format!("{select}{order}")));
                query.fetch_all(&mut *self.connection).await
            }
            Extent::Since(version) => {
                let ids = format!("SELECT id FROM change WHERE version > $1 AND kind = '{kind}'");
                let query = sqlx::query_as(AssertSqlSafe(format!("{select}{}{order}", filter(&ids)))).bind(*version);
                query.fetch_all(&mut *self.connection).await
            }
            Extent::Part(part) => {
                let names = part::names(part, kind);
                if names.is_empty() {
                    return Ok(Vec::new());
                }
                let places: Vec<_> = (1..=names.len()).map(|place| format!("${place}")).collect();
                let text = format!("{select}{}{order}", filter(&places.join(", ")));
                let query = names.into_iter().fold(sqlx::query_as(AssertSqlSafe(text)), |query, name| query.bind(name));
                query.fetch_all(&mut *self.connection).await
            }
        };
        rows.map_err(failed)
    }
}
