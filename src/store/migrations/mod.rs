//! The schema, embedded. A file that was released is never edited: the next change is a new file.

use sqlx::migrate::{Migration, MigrationType, Migrator};

const SQLITE: &[(i64, &str, &str)] = &[
    (1, "registry", include_str!("sqlite/0001_registry.sql")),
    (2, "reload", include_str!("sqlite/0002_reload.sql")),
    (5, "grant history", include_str!("sqlite/0005_grant_history.sql")),
    (6, "scope_use", include_str!("sqlite/0006_scope_use.sql")),
];

/// All that SQLite needs, in order.
pub fn sqlite() -> Migrator {
    sqlite_up_to(i64::MAX)
}

/// What an earlier release had.
pub fn sqlite_up_to(last: i64) -> Migrator {
    let migration = |&(version, name, sql): &(i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, sqlx::SqlSafeStr::into_sql_str(sql), false)
    };
    Migrator::with_migrations(SQLITE.iter().filter(|(version, ..)| *version <= last).map(migration).collect())
}
