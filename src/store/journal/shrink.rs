//! Gives the room in the journal's file back that what ended has left.

use sqlx::SqliteConnection;

/// Pages that are given back at once: some milliseconds of work.
const SLICE: i64 = 512;
/// So much room is kept for what comes next, in pages.
const KEPT: i64 = 256;

/// Makes a file of an earlier release one that can shrink; for others it does nothing.
pub(super) async fn prepare(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mode: i64 = sqlx::query_scalar("PRAGMA auto_vacuum").fetch_one(&mut *connection).await?;
    if mode == 0 {
        // With the mode that the connection has asked for.
        sqlx::query("VACUUM").execute(connection).await?;
    }
    Ok(())
}

/// Gives a slice back where more than half of the file is unused; whether there is more to give.
pub(super) async fn give_back(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let before = unused(connection).await?;
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *connection).await?;
    if before <= KEPT || before * 2 <= pages {
        return Ok(false);
    }
    let slice = SLICE.min(before - KEPT);
    let vacuum = format!("PRAGMA incremental_vacuum({slice})");
    sqlx::query(sqlx::AssertSqlSafe(vacuum)).fetch_all(&mut *connection).await?;
    let after = unused(connection).await?;
    Ok(after < before && after > KEPT)
}

async fn unused(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("PRAGMA freelist_count").fetch_one(connection).await
}
