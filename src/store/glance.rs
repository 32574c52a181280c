//! A look at a store that changes nothing: no file is made, no schema brought up to date, no master key needed.

use sqlx::AssertSqlSafe;

use super::error::{KeyFileError, OpenError, failed};
use super::rows::{SERVICE_COLUMNS, ServiceRow, service_settings};
use super::seal::Sealer;
use super::{StoreSettings, first_sealed, load, master_key, sqlite};
use crate::clock::Timestamp;
use crate::registry::{ServiceSettings, Version};
use crate::secret::Secret;

/// A store as it stands.
#[derive(Debug)]
pub struct Sight {
    /// The last migration that it has been through, and the last that this release has.
    pub schema: i64,
    pub wanted: i64,
    /// What is in it; none where its schema is an earlier one.
    pub content: Option<Content>,
}

#[derive(Debug)]
pub struct Content {
    pub version: Version,
    pub apps: usize,
    /// When it was last changed.
    pub newest: Timestamp,
    /// Whether there is anything that the master key was needed for, and did open.
    pub sealed: bool,
}

/// Reads all of a store, and opens what is sealed in it; none where there is no store yet.
///
/// # Errors
/// When it can't be read, was written by a later release, or the master key is missing, readable by others or another one.
pub async fn look_at(settings: &StoreSettings) -> Result<Option<Sight>, OpenError> {
    let Some(peeked) = sqlite::peek(&settings.url).await? else { return Ok(None) };
    let (mut connection, path, schema, wanted) =
        (peeked.connection, peeked.path, peeked.schema, sqlite::newest_schema());
    if schema > wanted {
        return Err(OpenError::NewerSchema { path, version: schema });
    }
    if schema < wanted {
        return Ok(Some(Sight { schema, wanted, content: None }));
    }
    let key_file = settings.key_file.clone().unwrap_or_else(|| path.with_file_name("master.key"));
    let sealed = first_sealed(&mut connection).await.map_err(OpenError::Store)?;
    let sealer = match (master_key::read(&key_file).map_err(OpenError::Key)?, &sealed) {
        (Some(key), _) => Sealer::new(&key).map_err(OpenError::Key)?,
        (None, Some(_)) => return Err(OpenError::Key(KeyFileError::Missing(key_file))),
        // It opens nothing, and there is nothing to open.
        (None, None) => Sealer::new(&Secret::new([0; 32])).map_err(OpenError::Key)?,
    };
    if let Some(sealed) = &sealed {
        sealed.check(&sealer).map_err(OpenError::Store)?;
    }
    let (version, registry) = load::everything(&mut connection, &sealer).await.map_err(OpenError::Store)?;
    let newest = sqlx::query_scalar("SELECT COALESCE(MAX(at), 0) FROM change").fetch_one(&mut connection).await;
    let newest = Timestamp::from_millis(newest.map_err(failed).map_err(OpenError::Store)?);
    let content = Content { version, apps: registry.apps.len(), newest, sealed: sealed.is_some() };
    Ok(Some(Sight { schema, wanted, content: Some(content) }))
}

/// The service accounts of the store at a URL, by name; none where there is no store yet, or one with another schema.
///
/// # Errors
/// When it can't be read.
pub async fn service_accounts_at(url: &str) -> Result<Vec<ServiceSettings>, OpenError> {
    let Some(mut connection) = sqlite::glance(url).await? else { return Ok(Vec::new()) };
    let query = AssertSqlSafe(format!("SELECT {SERVICE_COLUMNS} FROM service_account ORDER BY name"));
    let rows: Result<Vec<ServiceRow>, _> = sqlx::query_as(query).fetch_all(&mut connection).await;
    let rows = rows.map_err(failed).map_err(OpenError::Store)?;
    rows.iter().map(service_settings).collect::<Result<_, _>>().map_err(OpenError::Store)
}
