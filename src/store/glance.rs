//! A look at a store that changes nothing: no file is made, no schema brought up to date, no master key needed.

use sqlx::AssertSqlSafe;

use super::error::{OpenError, failed};
use super::rows::{SERVICE_COLUMNS, ServiceRow, service_settings};
use super::sqlite;
use crate::registry::ServiceSettings;

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
