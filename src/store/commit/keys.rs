use serde_json::{Value, json};

use super::{Trace, Writer, returned};
use crate::clock::Timestamp;
use crate::jose::{Certificate, KeyMaterial};
use crate::model::{Algorithm, ClientId, KeyId};
use crate::registry::{KeyNumber, KeyState, StoreError};
use crate::store::error::{failed, or_taken};
use crate::store::key_place;
use crate::store::rows::{fingerprint, kind_column, state_columns};

/// What the audit tells of a key: of a public one its fingerprint, of a secret nothing.
#[derive(Clone)]
pub(super) struct Shown {
    kid: Option<String>,
    kind: String,
    fingerprint: Option<String>,
    /// The SHA-256 of its certificate.
    certificate: Option<String>,
    state: String,
    retire_at: Option<i64>,
}

impl Writer<'_> {
    pub(super) async fn add_key(
        &mut self,
        app: &ClientId,
        kid: Option<&KeyId>,
        material: &KeyMaterial,
        state: KeyState,
    ) -> Result<Trace, StoreError> {
        let owner = self.renew_credentials(app).await?;
        let query = "INSERT INTO app_key (app, kid, kind, spki, only_algorithm, certificate, state, retire_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING number";
        let Public { spki, only, certificate } = Public::of(material);
        let (state, retire_at) = state_columns(state);
        let query = sqlx::query_scalar(query)
            .bind(owner)
            .bind(kid.map(KeyId::as_str))
            .bind(kind_column(material))
            .bind(spki)
            .bind(only)
            .bind(certificate)
            .bind(state)
            .bind(retire_at);
        let rows = query.fetch_all(&mut *self.connection).await.map_err(|e| or_taken(e, || kid_taken(app, kid)))?;
        let number = returned(rows)?;
        if let KeyMaterial::Secret(secret) = material {
            // The number binds the secret to its row, so it has to be known first.
            let blob = self.sealer.seal(secret, key_place(app.as_str(), number))?;
            let query = sqlx::query("UPDATE app_key SET sealed = $1 WHERE number = $2").bind(blob).bind(number);
            query.execute(&mut *self.connection).await.map_err(failed)?;
        }
        let key = Shown::of(kid, material, state, retire_at);
        Ok(Trace { before: None, after: Some(key_json(KeyNumber(number), &key)) })
    }

    pub(super) async fn replace_key(
        &mut self,
        app: &ClientId,
        key: KeyNumber,
        kid: Option<&KeyId>,
        material: &KeyMaterial,
    ) -> Result<Trace, StoreError> {
        let owner = self.renew_credentials(app).await?;
        let before = self.stored_key(owner, app, key).await?;
        let sealed = match material {
            KeyMaterial::Secret(secret) => Some(self.sealer.seal(secret, key_place(app.as_str(), key.0))?),
            KeyMaterial::Public { .. } => None,
        };
        let query = "UPDATE app_key SET kid = $1, kind = $2, sealed = $3, spki = $4, only_algorithm = $5, \
                     certificate = $6, last_used_at = NULL WHERE number = $7";
        let Public { spki, only, certificate } = Public::of(material);
        let query = sqlx::query(query)
            .bind(kid.map(KeyId::as_str))
            .bind(kind_column(material))
            .bind(sealed)
            .bind(spki)
            .bind(only)
            .bind(certificate)
            .bind(key.0);
        query.execute(&mut *self.connection).await.map_err(|e| or_taken(e, || kid_taken(app, kid)))?;
        let after = Shown::of(kid, material, &before.state, before.retire_at);
        Ok(changed(key, &before, &after))
    }

    pub(super) async fn set_key_state(
        &mut self,
        app: &ClientId,
        key: KeyNumber,
        state: KeyState,
    ) -> Result<Trace, StoreError> {
        let owner = self.renew_credentials(app).await?;
        let before = self.stored_key(owner, app, key).await?;
        let (state, retire_at) = state_columns(state);
        let query = sqlx::query("UPDATE app_key SET state = $1, retire_at = $2 WHERE number = $3");
        let query = query.bind(state).bind(retire_at).bind(key.0);
        query.execute(&mut *self.connection).await.map_err(failed)?;
        let after = Shown { state: state.to_owned(), retire_at, ..before.clone() };
        Ok(changed(key, &before, &after))
    }

    pub(super) async fn delete_key(&mut self, app: &ClientId, key: KeyNumber) -> Result<Trace, StoreError> {
        let owner = self.renew_credentials(app).await?;
        let before = self.stored_key(owner, app, key).await?;
        let query = sqlx::query("DELETE FROM app_key WHERE number = $1").bind(key.0);
        query.execute(&mut *self.connection).await.map_err(failed)?;
        Ok(Trace { before: Some(key_json(key, &before)), after: None })
    }

    /// A key of the app, or a conflict where it has no such key.
    async fn stored_key(&mut self, owner: i64, app: &ClientId, key: KeyNumber) -> Result<Shown, StoreError> {
        let query = "SELECT kid, kind, spki, certificate, state, retire_at FROM app_key WHERE number = $1 AND app = $2";
        let query = sqlx::query_as(query).bind(key.0).bind(owner);
        let row = query.fetch_optional(&mut *self.connection).await.map_err(failed)?;
        let missing = || StoreError::Conflict(format!("app {app} has no key number {}", key.0));
        let (kid, kind, spki, certificate, state, retire_at): StoredKey = row.ok_or_else(missing)?;
        let fingerprint = spki.and_then(|spki| fingerprint(&kind, spki));
        let certificate = certificate.and_then(|der| Certificate::read(der).ok());
        let certificate = certificate.map(|(certificate, _)| certificate.fingerprint());
        Ok(Shown { kid, kind, fingerprint, certificate, state, retire_at })
    }
}

type StoredKey = (Option<String>, String, Option<Vec<u8>>, Option<Vec<u8>>, String, Option<i64>);

/// A public key's columns.
pub(super) struct Public<'a> {
    pub spki: Option<&'a [u8]>,
    pub only: Option<&'static str>,
    pub certificate: Option<&'a [u8]>,
}

impl<'a> Public<'a> {
    pub fn of(material: &'a KeyMaterial) -> Self {
        match material {
            KeyMaterial::Secret(_) => Self { spki: None, only: None, certificate: None },
            KeyMaterial::Public { spki, only, certificate, .. } => Self {
                spki: Some(spki),
                only: only.map(Algorithm::as_str),
                certificate: certificate.as_ref().map(|certificate| certificate.der()),
            },
        }
    }
}

impl Shown {
    pub fn of(kid: Option<&KeyId>, material: &KeyMaterial, state: &str, retire_at: Option<i64>) -> Self {
        Self {
            kid: kid.map(KeyId::to_string),
            kind: kind_column(material).to_owned(),
            fingerprint: material.fingerprint(),
            certificate: material.certificate().map(Certificate::fingerprint),
            state: state.to_owned(),
            retire_at,
        }
    }
}

fn kid_taken(app: &ClientId, kid: Option<&KeyId>) -> String {
    match kid {
        Some(kid) => format!("app {app} has a key {kid} already"),
        None => format!("app {app} has this key already"),
    }
}

fn changed(key: KeyNumber, before: &Shown, after: &Shown) -> Trace {
    Trace { before: Some(key_json(key, before)), after: Some(key_json(key, after)) }
}

pub(super) fn key_json(key: KeyNumber, shown: &Shown) -> Value {
    json!({
        "number": key.0,
        "kid": shown.kid,
        "kind": shown.kind,
        "fingerprint": shown.fingerprint,
        "certificate": shown.certificate,
        "state": shown.state,
        "retire_at": shown.retire_at.map(|at| Timestamp::from_millis(at).to_string()),
    })
}
