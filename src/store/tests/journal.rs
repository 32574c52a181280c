//! The journal of first uses in a file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use super::Folder;
use crate::clock::{Clock, Timestamp};
use crate::model::AppNumber;
use crate::replay::conformance::{Fixture, NOON, Opened, conformance_tests, minutes, restart_tests};
use crate::replay::{Durability, FirstUse, Journal as _, JournalEntry, UseHash};
use crate::store::{JournalFault, ReplayJournal};

struct Place {
    folder: Folder,
    durability: Durability,
}

impl Place {
    fn new(durability: Durability) -> Self {
        Self { folder: Folder::new(), durability }
    }

    async fn journal(&self) -> Result<ReplayJournal, JournalFault> {
        ReplayJournal::open(&self.folder.path("replay.db"), self.durability).await
    }
}

impl Fixture for Place {
    async fn open(&self, max_entries: usize, clock: Clock) -> Opened {
        Opened::journalled(self.journal().await.unwrap(), max_entries, clock).await
    }
}

mod for_the_process {
    use super::{Durability, Place, conformance_tests, restart_tests};

    conformance_tests!(Place::new(Durability::Process));
    restart_tests!(Place::new(Durability::Process));
}

mod for_the_power {
    use super::{Durability, Place, conformance_tests, restart_tests};

    conformance_tests!(Place::new(Durability::Power));
    restart_tests!(Place::new(Durability::Power));
}

fn entry(n: u32, until: u64) -> JournalEntry {
    let mut hash = [0xab; 16];
    hash[..4].copy_from_slice(&n.to_be_bytes());
    JournalEntry { hash: UseHash(hash), app: AppNumber(n.into()), until: minutes(until), at: NOON }
}

async fn everything(journal: &mut ReplayJournal) -> Vec<JournalEntry> {
    let mut all = Vec::new();
    loop {
        let chunk = journal.read().await.unwrap();
        if chunk.is_empty() {
            return all;
        }
        all.extend(chunk);
    }
}

#[tokio::test]
async fn entries_come_back_as_they_went_in() {
    let place = Place::new(Durability::Process);
    let mut journal = place.journal().await.unwrap();
    assert_eq!((journal.last().await.unwrap(), everything(&mut journal).await), (None, vec![]));
    let mut entries: Vec<_> = (0..25_000).map(|n| entry(n, 5)).collect();
    let extremes = [i64::MIN, i64::MAX].map(|number| JournalEntry {
        hash: UseHash([0; 16]),
        app: AppNumber(number),
        at: minutes(2),
        until: Timestamp::from_millis(number),
    });
    entries.extend(extremes);
    // A jti whose first entry was refused too late is there twice.
    entries.extend(extremes);
    for chunk in entries.chunks(1000) {
        journal.append(chunk).await.unwrap();
    }
    let key = journal.hash_key().clone();
    journal.close().await.unwrap();

    let mut journal = place.journal().await.unwrap();
    assert!(*journal.hash_key() == key && key.len() == 32);
    assert_eq!(journal.last().await.unwrap(), Some(minutes(2)));
    assert!(everything(&mut journal).await == entries);
    assert!(*Place::new(Durability::Process).journal().await.unwrap().hash_key() != key);
}

#[tokio::test]
async fn what_ended_is_forgotten_in_slices() {
    let mut journal = Place::new(Durability::Process).journal().await.unwrap();
    let entries: Vec<_> = (0..12_000).map(|n| entry(n, 1 + u64::from(n % 2))).collect();
    journal.append(&entries).await.unwrap();
    assert!(!journal.forget(minutes(1)).await.unwrap(), "a minute is over when the next one is");
    let mut slices = 1;
    while journal.forget(minutes(2)).await.unwrap() {
        slices += 1;
    }
    assert_eq!(slices, 2);
    let left = everything(&mut journal).await;
    assert!(left.len() == 6000 && left.iter().all(|e| e.until == minutes(2)));
}

#[tokio::test]
async fn the_file_shrinks_when_what_is_in_it_has_ended() {
    let place = Place::new(Durability::Process);
    let path = place.folder.path("replay.db");
    let mut journal = place.journal().await.unwrap();
    // As an earlier release made it.
    for statement in ["PRAGMA auto_vacuum = NONE", "VACUUM"] {
        sqlx::query(statement).execute(&mut journal.connection).await.unwrap();
    }
    journal.close().await.unwrap();
    let mut journal = place.journal().await.unwrap();
    let entries: Vec<_> = (0..60_000).map(|n| entry(n, if n < 100 { 9 } else { 1 })).collect();
    for chunk in entries.chunks(1000) {
        journal.append(chunk).await.unwrap();
    }
    journal.close().await.unwrap();
    let full = fs::metadata(&path).unwrap().len();
    let mut journal = place.journal().await.unwrap();
    while journal.forget(minutes(2)).await.unwrap() {}
    assert_eq!(everything(&mut journal).await, entries[..100]);
    journal.close().await.unwrap();
    let left = fs::metadata(&path).unwrap().len();
    assert!(full > 3 << 20 && left < full / 2, "{full} bytes became {left}");
}

#[tokio::test]
async fn a_journal_belongs_to_its_owner_and_to_one_process() {
    let place = Place::new(Durability::Process);
    let path = place.folder.path("replay.db");
    let mut journal = place.journal().await.unwrap();
    journal.append(&[entry(1, 5)]).await.unwrap();
    for name in ["replay.db", "replay.db-wal"] {
        let mode = fs::metadata(place.folder.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let error = place.journal().await.err().unwrap();
    assert!(matches!(error, JournalFault::InUse(_)), "{error:?}");
    assert!(error.to_string().contains(&path.display().to_string()) && error.to_string().contains("replay.url"));
    drop(journal);
    let mut journal = loop {
        // The connection's thread closes it a moment after the drop.
        match place.journal().await {
            Ok(journal) => break journal,
            Err(JournalFault::InUse(_)) => {}
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(everything(&mut journal).await, [entry(1, 5)]);
}

#[tokio::test]
async fn what_is_no_journal_of_this_release_is_refused() {
    let place = Place::new(Durability::Process);
    let path = place.folder.path("replay.db");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "this is no database, and long enough to be looked at by anybody who opens it as one. ".repeat(9))
        .unwrap();
    let error = place.journal().await.err().unwrap();
    assert!(matches!(error, JournalFault::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("move it away") && error.to_string().contains("once more"), "{error}");

    // The store itself.
    fs::remove_file(&path).unwrap();
    place.folder.try_open().await.unwrap().close().await;
    fs::rename(place.folder.path("scopegate.db"), &path).unwrap();
    let error = place.journal().await.err().unwrap();
    assert!(matches!(error, JournalFault::Foreign(_)), "{error:?}");

    fs::remove_file(&path).unwrap();
    let mut journal = place.journal().await.unwrap();
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'later', TRUE, x'00', 0)";
    sqlx::query(later).execute(&mut journal.connection).await.unwrap();
    journal.close().await.unwrap();
    let error = place.journal().await.err().unwrap();
    assert!(matches!(error, JournalFault::NewerSchema { version: 99, .. }), "{error:?}");

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = place.journal().await.err().unwrap();
    assert!(matches!(error, JournalFault::File { .. }), "{error:?}");
}

#[tokio::test]
async fn a_journal_that_is_damaged_within_is_refused() {
    let place = Place::new(Durability::Process);
    let mut journal = place.journal().await.unwrap();
    let entries: Vec<_> = (0..10_000).map(|n| entry(n, 5)).collect();
    journal.append(&entries).await.unwrap();
    journal.close().await.unwrap();
    let path = place.folder.path("replay.db");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let journal = place.journal().await.unwrap();
    let error = crate::replay::Journalled::open(journal, 100, Clock::System).await.err().unwrap();
    assert!(error.to_string().contains("is damaged"), "{error}");
}

/// A file that may not grow stands for a full disk.
#[tokio::test]
async fn a_full_disk_refuses_and_is_used_again_when_there_is_room() {
    let place = Place::new(Durability::Process);
    let mut journal = place.journal().await.unwrap();
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut journal.connection).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}")))
        .execute(&mut journal.connection)
        .await
        .unwrap();
    let (clock, hands) = Clock::manual(NOON);
    let opened = Opened::journalled(journal, 100_000, clock).await;
    let mut recorded = 0;
    let refused = loop {
        match opened.first_use(&recorded.to_string(), minutes(1), NOON).await {
            FirstUse::Recorded => recorded += 1,
            other => break other,
        }
    };
    assert_eq!(refused, FirstUse::Unavailable);
    assert_eq!((opened.memory.entries(), recorded > 10), (recorded, true));
    // What ended makes room in the file, too.
    hands.advance(Duration::from_secs(180));
    let until = minutes(9);
    loop {
        opened.memory.sweep(minutes(3));
        if opened.first_use("later", until, minutes(3)).await == FirstUse::Recorded {
            break;
        }
    }
    assert_eq!(opened.first_use("later", until, minutes(3)).await, FirstUse::Replayed);
}

#[tokio::test]
async fn a_journal_whose_files_are_moved_away_takes_no_entry_until_they_are_back() {
    for file in ["replay.db", "replay.db-wal"] {
        let place = Place::new(Durability::Process);
        let mut journal = place.journal().await.unwrap();
        journal.append(&[entry(1, 5)]).await.unwrap();
        journal.check(false).await.unwrap();
        let (path, aside) = (place.folder.path(file), place.folder.path("aside"));
        fs::rename(&path, &aside).unwrap();
        let told = journal.check(false).await.unwrap_err().to_string();
        assert!(told.contains(&format!("{file} of the replay journal was deleted")), "{told}");
        fs::write(&path, "").unwrap();
        let told = journal.check(true).await.unwrap_err().to_string();
        assert!(told.contains("replaced by another file"), "{told}");
        assert!(journal.append(&[entry(2, 5)]).await.is_err() && journal.forget(minutes(9)).await.is_err());
        fs::rename(&aside, &path).unwrap();
        journal.check(true).await.unwrap();
        journal.append(&[entry(3, 5)]).await.unwrap();
        journal.close().await.unwrap();
        let mut journal = place.journal().await.unwrap();
        assert_eq!(everything(&mut journal).await, [entry(1, 5), entry(3, 5)], "{file}");
    }
}

#[tokio::test]
async fn a_journal_that_was_full_tells_when_it_has_room_again() {
    let place = Place::new(Durability::Process);
    let mut journal = place.journal().await.unwrap();
    sqlx::query("PRAGMA query_only = ON").execute(&mut journal.connection).await.unwrap();
    assert!(journal.append(&[entry(1, 5)]).await.is_err());
    assert!(journal.check(true).await.is_err(), "still");
    sqlx::query("PRAGMA query_only = OFF").execute(&mut journal.connection).await.unwrap();
    journal.check(true).await.unwrap();
    journal.append(&[entry(1, 5)]).await.unwrap();
}
