//! The schema, embedded. A file that was released is never edited: the next change is a new file.

use sqlx::migrate::{Migration, MigrationType, Migrator};

const SQLITE: &[(i64, &str, &str)] = &[
    (1, "registry", include_str!("sqlite/0001_registry.sql")),
    (2, "reload", include_str!("sqlite/0002_reload.sql")),
    (3, "encryption_keys", include_str!("sqlite/0003_encryption_keys.sql")),
    (4, "audit", include_str!("sqlite/0004_audit.sql")),
    (5, "grant history", include_str!("sqlite/0005_grant_history.sql")),
    (6, "scope_use", include_str!("sqlite/0006_scope_use.sql")),
    (7, "tokens", include_str!("sqlite/0007_tokens.sql")),
    (8, "service accounts", include_str!("sqlite/0008_service_accounts.sql")),
    (9, "installations", include_str!("sqlite/0009_installations.sql")),
    (10, "app networks", include_str!("sqlite/0010_app_networks.sql")),
    (11, "certificates", include_str!("sqlite/0011_certificates.sql")),
    (12, "revocation ends", include_str!("sqlite/0012_revocation_ends.sql")),
    (13, "created by", include_str!("sqlite/0013_created_by.sql")),
];

/// Of the journal of first uses, a database apart.
const REPLAY: &[(i64, &str, &str)] = &[(1, "used", include_str!("replay/0001_used.sql"))];

/// All that SQLite needs, in order.
pub fn sqlite() -> Migrator {
    migrator(SQLITE)
}

/// What a release had whose last file was this one.
#[cfg(test)]
pub fn sqlite_up_to(last: i64) -> Migrator {
    migrator(&SQLITE[..SQLITE.partition_point(|(version, ..)| *version <= last)])
}

/// All that the journal needs, in order.
pub fn replay() -> Migrator {
    migrator(REPLAY)
}

fn migrator(files: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migration = |(version, name, sql): &(i64, &'static str, &'static str)| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, sqlx::SqlSafeStr::into_sql_str(*sql), false)
    };
    Migrator::with_migrations(files.iter().map(migration).collect())
}
