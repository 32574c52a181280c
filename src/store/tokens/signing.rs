use serde_json::json;

use crate::clock::Timestamp;
use crate::jose::IssuingMaterial;
use crate::model::Algorithm;
use crate::registry::{Actor, StoreError};
use crate::store::Note;
use crate::store::commit::returned;
use crate::store::error::failed;
use crate::store::rows::id;
use crate::store::seal::{Place, Sealer};
use crate::store::sqlite::Connection;
use crate::tokens::{NewSigningKey, SigningKeyRecord};

/// A key's row, to which its private half is bound.
fn place(kid: &str, number: i64) -> Place<'_> {
    Place { table: "signing_key", owner: kid, number }
}

type Row = (i64, String, String, Vec<u8>, i64, i64);

pub async fn load(connection: &mut Connection, sealer: &Sealer) -> Result<Vec<SigningKeyRecord>, StoreError> {
    let query = "SELECT number, kid, algorithm, sealed, created_at, signs_from FROM signing_key ORDER BY number";
    let rows: Vec<Row> = sqlx::query_as(query).fetch_all(connection).await.map_err(failed)?;
    let record = |(number, kid, algorithm, sealed, created_at, signs_from): Row| {
        let algorithm: Algorithm = algorithm
            .parse()
            .map_err(|_| StoreError::Unreadable(format!("the algorithm of signing key {kid} is damaged")))?;
        let pkcs8 = sealer.open(&sealed, place(&kid, number))?;
        Ok(SigningKeyRecord {
            number,
            kid: id(&kid)?,
            material: IssuingMaterial::from_pkcs8(algorithm, pkcs8),
            created_at: Timestamp::from_millis(created_at),
            signs_from: Timestamp::from_millis(signs_from),
        })
    };
    rows.into_iter().map(record).collect()
}

/// In a transaction that holds the write lock.
pub async fn rotate(
    connection: &mut Connection,
    sealer: &Sealer,
    newest: Option<i64>,
    next: &NewSigningKey,
    over: &[i64],
    actor: &Actor,
) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar("SELECT MAX(number) FROM signing_key");
    let found: Option<i64> = query.fetch_one(&mut *connection).await.map_err(failed)?;
    if found != newest {
        return Ok(false);
    }
    let query = "INSERT INTO signing_key (kid, algorithm, sealed, created_at, signs_from) \
                 VALUES ($1, $2, $3, $4, $5) RETURNING number";
    let query = sqlx::query_scalar(query)
        .bind(next.kid.as_str())
        .bind(next.material.algorithm().as_str())
        .bind(&[][..])
        .bind(actor.at.millis())
        .bind(next.signs_from.millis());
    let number: i64 = returned(query.fetch_all(&mut *connection).await.map_err(failed)?)?;
    // The number binds the secret to its row, so it has to be known first.
    let sealed = sealer.seal(next.material.pkcs8(), place(next.kid.as_str(), number))?;
    let query = sqlx::query("UPDATE signing_key SET sealed = $1 WHERE number = $2").bind(sealed).bind(number);
    query.execute(&mut *connection).await.map_err(failed)?;
    for number in over {
        let query = sqlx::query("DELETE FROM signing_key WHERE number = $1").bind(number);
        query.execute(&mut *connection).await.map_err(failed)?;
    }
    let query = sqlx::query("INSERT INTO token_change (app) VALUES (NULL)");
    query.execute(&mut *connection).await.map_err(failed)?;
    let after = json!({ "algorithm": next.material.algorithm().as_str(), "signs_from": next.signs_from.to_string() });
    let (kind, subject) = ("signing_key", next.kid.as_str());
    Note { kind, subject, account: None, action: "add", after: &after }.write(connection, actor).await?;
    Ok(true)
}
