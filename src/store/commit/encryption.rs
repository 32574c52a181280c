use serde_json::{Value, json};

use super::{Trace, Writer, returned};
use crate::clock::Timestamp;
use crate::jose::DecryptionMaterial;
use crate::model::{ClientId, KeyId};
use crate::registry::{KeyState, StoreError};
use crate::store::encryption_key_place;
use crate::store::error::{failed, or_taken};
use crate::store::rows::state_columns;

/// What the audit tells of a key pair: nothing of its private half.
#[derive(Clone)]
struct Shown {
    number: i64,
    kind: String,
    thumbprint: String,
    state: String,
    retire_at: Option<i64>,
}

impl Writer<'_> {
    pub(super) async fn add_encryption_key(
        &mut self,
        app: &ClientId,
        kid: &KeyId,
        material: &DecryptionMaterial,
        state: KeyState,
    ) -> Result<Trace, StoreError> {
        let unreadable = |error| StoreError::Conflict(format!("encryption key {kid} of app {app}: {error}"));
        let thumbprint = material.public().map_err(unreadable)?.thumbprint();
        let owner = self.renew_credentials(app).await?;
        let query = "INSERT INTO encryption_key (app, kid, kind, thumbprint, state, retire_at, created_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING number";
        let (state, retire_at) = state_columns(state);
        let query = sqlx::query_scalar(query)
            .bind(owner)
            .bind(kid.as_str())
            .bind(material.kind().as_str())
            .bind(&thumbprint)
            .bind(state)
            .bind(retire_at)
            .bind(self.actor.at.millis());
        let taken = || format!("there is an encryption key {kid} already, of this app or another");
        let rows = query.fetch_all(&mut *self.connection).await.map_err(|e| or_taken(e, taken))?;
        let number = returned(rows)?;
        let blob = self.sealer.seal(material.pkcs8(), encryption_key_place(app.as_str(), number))?;
        let query = sqlx::query("UPDATE encryption_key SET sealed = $1 WHERE number = $2").bind(blob).bind(number);
        query.execute(&mut *self.connection).await.map_err(failed)?;
        let (kind, state) = (material.kind().as_str().to_owned(), state.to_owned());
        let shown = Shown { number, kind, thumbprint, state, retire_at };
        Ok(Trace { before: None, after: Some(shown.json(kid)) })
    }

    pub(super) async fn set_encryption_key_state(
        &mut self,
        app: &ClientId,
        kid: &KeyId,
        state: KeyState,
    ) -> Result<Trace, StoreError> {
        let owner = self.renew_credentials(app).await?;
        let before = self.stored_encryption_key(owner, app, kid).await?;
        let (state, retire_at) = state_columns(state);
        let query = sqlx::query("UPDATE encryption_key SET state = $1, retire_at = $2 WHERE number = $3");
        let query = query.bind(state).bind(retire_at).bind(before.number);
        query.execute(&mut *self.connection).await.map_err(failed)?;
        let after = Shown { state: state.to_owned(), retire_at, ..before.clone() };
        Ok(Trace { before: Some(before.json(kid)), after: Some(after.json(kid)) })
    }

    pub(super) async fn delete_encryption_key(&mut self, app: &ClientId, kid: &KeyId) -> Result<Trace, StoreError> {
        let owner = self.renew_credentials(app).await?;
        let before = self.stored_encryption_key(owner, app, kid).await?;
        let query = sqlx::query("DELETE FROM encryption_key WHERE number = $1").bind(before.number);
        query.execute(&mut *self.connection).await.map_err(failed)?;
        Ok(Trace { before: Some(before.json(kid)), after: None })
    }

    /// A key pair of the app, or a conflict where it has no such key pair.
    async fn stored_encryption_key(&mut self, owner: i64, app: &ClientId, kid: &KeyId) -> Result<Shown, StoreError> {
        let query = "SELECT number, kind, thumbprint, state, retire_at FROM encryption_key WHERE kid = $1 AND app = $2";
        let query = sqlx::query_as(query).bind(kid.as_str()).bind(owner);
        let row = query.fetch_optional(&mut *self.connection).await.map_err(failed)?;
        let missing = || StoreError::Conflict(format!("app {app} has no encryption key {kid}"));
        let (number, kind, thumbprint, state, retire_at): StoredKey = row.ok_or_else(missing)?;
        Ok(Shown { number, kind, thumbprint, state, retire_at })
    }
}

type StoredKey = (i64, String, String, String, Option<i64>);

impl Shown {
    fn json(&self, kid: &KeyId) -> Value {
        json!({
            "number": self.number,
            "kid": kid,
            "kind": self.kind,
            "thumbprint": self.thumbprint,
            "state": self.state,
            "retire_at": self.retire_at.map(|at| Timestamp::from_millis(at).to_string()),
        })
    }
}
