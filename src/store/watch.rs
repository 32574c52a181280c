use super::sqlite::{Connection, Database, data_version};
use crate::registry::StoreError;

/// Notices commits by anyone: other processes, and other connections of this one.
pub struct Watcher {
    database: Database,
    seen: Option<(Connection, i64)>,
}

impl Watcher {
    pub(super) fn new(database: Database) -> Self {
        Self { database, seen: None }
    }

    /// Whether anything may have been committed since the last call. The first call, and the first after an error, says
    /// yes. Cheap enough to be asked several times a second.
    ///
    /// # Errors
    /// When the store can't be reached, or its files were moved away; the next call connects anew.
    pub async fn changed(&mut self) -> Result<bool, StoreError> {
        if let Err(error) = self.database.look().await {
            self.seen = None;
            return Err(error);
        }
        let (mut connection, before) = match self.seen.take() {
            Some((connection, version)) => (connection, Some(version)),
            None => (self.database.connect().await?, None),
        };
        let now = data_version(&mut connection).await?;
        self.seen = Some((connection, now));
        Ok(before != Some(now))
    }
}
