//! The rows of an app's issued tokens: a step writes those that it changed, however many there are.

use crate::clock::Timestamp;
use crate::model::TokenId;
use crate::registry::StoreError;
use crate::store::error::failed;
use crate::store::sqlite::Connection;
use crate::tokens::{AppTokens, IssuedToken};

/// When a token was refreshed, and until when it is good since.
type Refreshed = Option<(Timestamp, Timestamp)>;

/// What a step changed. Tokens keep their order: new ones come after all that are stored.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes<'a> {
    gone: Vec<&'a TokenId>,
    changed: Vec<(&'a TokenId, Refreshed)>,
    new: Vec<(&'a IssuedToken, Refreshed)>,
}

pub fn changes<'a>(stored: &'a AppTokens, tokens: &'a AppTokens) -> Changes<'a> {
    let (before, after) = (rows(stored), rows(tokens));
    let find = |rows: &[(&'a IssuedToken, Refreshed)], jti: &TokenId| rows.iter().find(|(t, _)| t.jti == *jti).copied();
    let mut changes = Changes::default();
    changes.gone.extend(before.iter().map(|(token, _)| &token.jti).filter(|jti| find(&after, jti).is_none()));
    for (token, refreshed) in after {
        match find(&before, &token.jti) {
            Some((_, was)) if was == refreshed => {}
            Some(_) => changes.changed.push((&token.jti, refreshed)),
            None => changes.new.push((token, refreshed)),
        }
    }
    changes
}

/// Oldest first.
fn rows(tokens: &AppTokens) -> Vec<(&IssuedToken, Refreshed)> {
    let superseded = tokens.superseded.iter().map(|s| (&s.token, Some((s.at, s.good_until))));
    superseded.chain(tokens.current.as_ref().map(|token| (token, None))).collect()
}

/// In a transaction that holds the write lock. An app has one token that was not refreshed, so the old one is changed first.
pub async fn write(connection: &mut Connection, app: i64, changes: &Changes<'_>) -> Result<(), StoreError> {
    for jti in &changes.gone {
        let query = sqlx::query("DELETE FROM issued_token WHERE app = $1 AND jti = $2").bind(app).bind(jti.as_str());
        query.execute(&mut *connection).await.map_err(failed)?;
    }
    for (jti, refreshed) in &changes.changed {
        let query = "UPDATE issued_token SET refreshed_at = $3, good_until = $4 WHERE app = $1 AND jti = $2";
        let query = sqlx::query(query).bind(app).bind(jti.as_str());
        let query = query.bind(refreshed.map(|(at, _)| at.millis())).bind(refreshed.map(|(_, until)| until.millis()));
        query.execute(&mut *connection).await.map_err(failed)?;
    }
    for (token, refreshed) in &changes.new {
        let query = "INSERT INTO issued_token (app, place, jti, issued_at, expires_at, refreshed_at, good_until) \
                     SELECT $1, COALESCE(MAX(place) + 1, 0), $2, $3, $4, $5, $6 FROM issued_token WHERE app = $1";
        let query = sqlx::query(query)
            .bind(app)
            .bind(token.jti.as_str())
            .bind(token.issued_at.millis())
            .bind(token.expires_at.millis())
            .bind(refreshed.map(|(at, _)| at.millis()))
            .bind(refreshed.map(|(_, until)| until.millis()));
        query.execute(&mut *connection).await.map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_795_348_800);
    const DAY: Duration = Duration::from_secs(86_400);

    fn id(n: usize) -> TokenId {
        TokenId::new(&format!("t{n}")).unwrap()
    }

    fn token(n: usize, now: Timestamp) -> IssuedToken {
        IssuedToken { jti: id(n), issued_at: now, expires_at: now.after(90 * DAY) }
    }

    #[test]
    fn a_refresh_changes_a_few_rows_however_many_there_were() {
        let mut tokens = AppTokens::default();
        tokens.issue(token(0, NOON)).unwrap();
        for n in 0..400 {
            let (before, now) = (tokens.clone(), NOON.after(Duration::from_millis(n as u64)));
            tokens.refresh(&id(n), token(n + 1, now), now.after(DAY), now).unwrap();
            let changes = changes(&before, &tokens);
            assert_eq!(changes.new.len(), 1);
            assert!(changes.changed.len() <= 2 && changes.gone.len() <= 1, "{changes:?}");
        }
        let after = tokens.clone();
        assert_eq!(changes(&after, &tokens), Changes::default());
    }
}
