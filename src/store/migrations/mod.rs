//! The schema, embedded. A file that was released is never edited: the next change is a new file.

use sqlx::migrate::{Migration, MigrationType, Migrator};

const SQLITE: [(i64, &str, &str); 3] = [
    (1, "registry", include_str!("sqlite/0001_registry.sql")),
    (2, "reload", include_str!("sqlite/0002_reload.sql")),
    (3, "encryption keys", include_str!("sqlite/0003_encryption_keys.sql")),
];

/// All that SQLite needs, in order.
pub fn sqlite() -> Migrator {
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, sqlx::SqlSafeStr::into_sql_str(sql), false)
    };
    Migrator::with_migrations(SQLITE.into_iter().map(migration).collect())
}
