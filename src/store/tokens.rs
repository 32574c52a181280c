//! The lives of tokens: each step is decided by `tokens::AppTokens` on what the write lock shows.

mod lives;
mod signing;

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::error::failed;
use super::rows::id;
use super::sqlite::{Connection, Transaction};
use super::{Note, Store};
use crate::clock::Timestamp;
use crate::model::{AccountId, AppNumber, RegisteredClaims, TokenId};
use crate::registry::{Actor, StoreError};
use crate::tokens::{
    AppTokens, IssuedToken, LifecycleError, NewSigningKey, Revocation, SigningKeyRecord, Superseded, TokenDelta,
    TokenError, TokenRepository, TokenStates, TokenVersion,
};

type Writing = Transaction;

impl TokenRepository for Store {
    async fn tokens_of(&self, app: AppNumber) -> Result<AppTokens, StoreError> {
        issued(&mut *self.database.read().await?, app.0).await
    }

    async fn issue(&self, app: AppNumber, token: IssuedToken, actor: &Actor) -> Result<(), TokenError> {
        let mut step = Step::begin(self, app).await?;
        let after = json!({ "jti": token.jti, "expires_at": token.expires_at.to_string() });
        step.tokens.issue(token).map_err(TokenError::Lifecycle)?;
        step.end("issue", after, actor).await
    }

    async fn refresh(
        &self,
        app: AppNumber,
        submitted: &TokenId,
        successor: IssuedToken,
        good_until: Timestamp,
        actor: &Actor,
    ) -> Result<(), TokenError> {
        let mut step = Step::begin(self, app).await?;
        let after = json!({
            "refreshed": submitted,
            "good_until": good_until.to_string(),
            "jti": successor.jti,
            "expires_at": successor.expires_at.to_string(),
        });
        // Under the lock: who refreshes faster than a revocation is followed everywhere does not escape it.
        if let Some(token) = step.tokens.current.as_ref().filter(|token| token.jti == *submitted) {
            let claims = RegisteredClaims {
                token_id: Some(token.jti.as_str().into()),
                issued_at: Some(token.issued_at),
                ..RegisteredClaims::default()
            };
            if revoked(&mut step.writing, step.app).await?.iter().any(|(revocation, _)| revocation.covers(&claims)) {
                return Err(TokenError::Lifecycle(LifecycleError::Unknown));
            }
        }
        let refreshed = step.tokens.refresh(submitted, successor, good_until, actor.at);
        refreshed.map_err(TokenError::Lifecycle)?;
        step.end("refresh", after, actor).await
    }

    async fn invalidate(&self, app: AppNumber, actor: &Actor) -> Result<Vec<TokenId>, TokenError> {
        let mut step = Step::begin(self, app).await?;
        if step.tokens == AppTokens::default() {
            return Ok(Vec::new());
        }
        let ended = step.tokens.invalidate(actor.at);
        step.end("invalidate", json!({ "ended": ended }), actor).await?;
        Ok(ended)
    }

    async fn revoke(
        &self,
        app: AppNumber,
        revocation: &Revocation,
        until: Timestamp,
        actor: &Actor,
    ) -> Result<(), TokenError> {
        let step = Step::begin(self, app).await?;
        let (jti, subject, before) = columns(revocation);
        let after = json!({ "jti": jti, "subject": subject, "issued_before": before.map(|b| b.to_string()) });
        step.revoke(revocation, until, after, actor).await
    }

    async fn signing_keys(&self) -> Result<Vec<SigningKeyRecord>, StoreError> {
        signing::load(&mut *self.database.read().await?, &self.sealer).await
    }

    async fn rotate(
        &self,
        newest: Option<i64>,
        next: &NewSigningKey,
        over: &[i64],
        actor: &Actor,
    ) -> Result<bool, StoreError> {
        let mut writing = self.database.write().await?;
        let is_added = signing::rotate(&mut writing, &self.sealer, newest, next, over, actor).await?;
        writing.commit().await.map_err(failed)?;
        Ok(is_added)
    }

    async fn token_changes_since(&self, version: TokenVersion) -> Result<TokenDelta, StoreError> {
        changes_since(&mut *self.database.read().await?, version).await
    }
}

/// A step of an app's tokens under the write lock; dropped before its end it changes nothing.
struct Step {
    writing: Writing,
    app: i64,
    client_id: String,
    account: AccountId,
    /// As they were read.
    stored: AppTokens,
    tokens: AppTokens,
}

impl Step {
    async fn begin(store: &Store, app: AppNumber) -> Result<Self, TokenError> {
        let mut writing = store.database.write().await?;
        let query = sqlx::query_as("SELECT client_id, account FROM app WHERE number = $1").bind(app.0);
        let found: Option<(String, String)> = query.fetch_optional(&mut *writing).await.map_err(failed)?;
        let (client_id, account) = found.ok_or(TokenError::NoApp)?;
        let (account, tokens) = (id(&account)?, issued(&mut writing, app.0).await?);
        Ok(Self { writing, app: app.0, client_id, account, stored: tokens.clone(), tokens })
    }

    /// Writes what the step changed.
    async fn end(mut self, action: &str, after: Value, actor: &Actor) -> Result<(), TokenError> {
        let changes = lives::changes(&self.stored, &self.tokens);
        lives::write(&mut self.writing, self.app, &changes).await?;
        self.commit(action, after, actor).await
    }

    async fn revoke(
        mut self,
        revocation: &Revocation,
        until: Timestamp,
        after: Value,
        actor: &Actor,
    ) -> Result<(), TokenError> {
        let query = sqlx::query("DELETE FROM revocation WHERE app = $1 AND until < $2");
        let query = query.bind(self.app).bind(actor.at.millis());
        query.execute(&mut *self.writing).await.map_err(failed)?;
        let (jti, subject, before) = columns(revocation);
        let query = "INSERT INTO revocation (app, jti, subject, issued_before, until) VALUES ($1, $2, $3, $4, $5)";
        let query = sqlx::query(query).bind(self.app).bind(jti).bind(subject);
        let query = query.bind(before.map(Timestamp::millis)).bind(until.millis());
        query.execute(&mut *self.writing).await.map_err(failed)?;
        self.commit("revoke", after, actor).await
    }

    async fn commit(mut self, action: &str, after: Value, actor: &Actor) -> Result<(), TokenError> {
        let query = sqlx::query("INSERT INTO token_change (app) VALUES ($1)").bind(self.app);
        query.execute(&mut *self.writing).await.map_err(failed)?;
        let (kind, subject, account) = ("token", self.client_id.as_str(), Some(&self.account));
        Note { kind, subject, account, action, after: &after }.write(&mut self.writing, actor).await?;
        self.writing.commit().await.map_err(|error| TokenError::Store(failed(error)))
    }
}

fn columns(revocation: &Revocation) -> (Option<&str>, Option<&str>, Option<Timestamp>) {
    match revocation {
        Revocation::Token(jti) => (Some(jti.as_str()), None, None),
        Revocation::Subject { subject, issued_before } => (None, Some(subject), Some(*issued_before)),
        Revocation::IssuedBefore(then) => (None, None, Some(*then)),
    }
}

async fn changes_since(connection: &mut Connection, since: TokenVersion) -> Result<TokenDelta, StoreError> {
    let query = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM token_change");
    let version = TokenVersion(query.fetch_one(&mut *connection).await.map_err(failed)?);
    if version < since {
        let what = format!("its tokens stand at version {} and have been at {}", version.0, since.0);
        return Err(StoreError::Unreadable(format!("{what}: an older copy was put in its place")));
    }
    let touched = "SELECT DISTINCT app FROM token_change WHERE version > $1 ORDER BY app";
    let touched: Vec<Option<i64>> =
        sqlx::query_scalar(touched).bind(since.0).fetch_all(&mut *connection).await.map_err(failed)?;
    let has_new_keys = touched.iter().any(Option::is_none);
    let mut apps = Vec::with_capacity(touched.len());
    for app in touched.into_iter().flatten() {
        let states = TokenStates { issued: issued(connection, app).await?, revoked: revoked(connection, app).await? };
        apps.push((AppNumber(app), states));
    }
    Ok(TokenDelta { version, apps, has_new_keys })
}

const TOKEN_COLUMNS: &str = "jti, issued_at, expires_at, refreshed_at, good_until";
type TokenRow = (String, i64, i64, Option<i64>, Option<i64>);

async fn issued(connection: &mut Connection, app: i64) -> Result<AppTokens, StoreError> {
    let query = format!("SELECT {TOKEN_COLUMNS} FROM issued_token WHERE app = $1 ORDER BY place");
    let rows: Vec<TokenRow> =
        sqlx::query_as(AssertSqlSafe(query)).bind(app).fetch_all(connection).await.map_err(failed)?;
    let mut tokens = AppTokens::default();
    for (jti, issued_at, expires_at, refreshed_at, good_until) in rows {
        let token = IssuedToken {
            jti: id(&jti)?,
            issued_at: Timestamp::from_millis(issued_at),
            expires_at: Timestamp::from_millis(expires_at),
        };
        match (refreshed_at, good_until) {
            (Some(at), Some(until)) => {
                let (at, good_until) = (Timestamp::from_millis(at), Timestamp::from_millis(until));
                tokens.superseded.push(Superseded { token, at, good_until });
            }
            _ => tokens.current = Some(token),
        }
    }
    Ok(tokens)
}

type RevocationRow = (Option<String>, Option<String>, Option<i64>, i64);

async fn revoked(connection: &mut Connection, app: i64) -> Result<Vec<(Revocation, Timestamp)>, StoreError> {
    let query = "SELECT jti, subject, issued_before, until FROM revocation WHERE app = $1 ORDER BY id";
    let rows: Vec<RevocationRow> = sqlx::query_as(query).bind(app).fetch_all(connection).await.map_err(failed)?;
    let revocation = |(jti, subject, before, until): RevocationRow| {
        let revocation = match (jti, subject, before.map(Timestamp::from_millis)) {
            (Some(jti), None, None) => Revocation::Token(id::<TokenId>(&jti)?),
            (None, Some(subject), Some(issued_before)) => {
                Revocation::Subject { subject: subject.into(), issued_before }
            }
            (None, None, Some(issued_before)) => Revocation::IssuedBefore(issued_before),
            _ => return Err(StoreError::Unreadable(format!("a revocation of app number {app} is damaged"))),
        };
        Ok((revocation, Timestamp::from_millis(until)))
    };
    rows.into_iter().map(revocation).collect()
}
