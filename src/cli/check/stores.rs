//! The store, the memory of used tokens, and the clock by what the store has seen.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use super::connect::{Finding, Trial};
use crate::clock::Timestamp;
use crate::config::{Config, ReplayPlace};
use crate::replay::Journal as _;
use crate::store::{Content, JournalFault, ReplayJournal, Sight, StoreSettings, look_at};

pub(super) async fn try_all(config: &Config, now: Timestamp) -> Vec<Trial> {
    let (url, key_file) = (config.store.url.clone(), config.store.key_file.clone());
    let settings = StoreSettings { url, key_file, create: false };
    let mut newest = None;
    let store = Trial::of("store", config.store.url.clone(), async {
        match look_at(&settings).await {
            Ok(Some(sight)) => {
                newest = sight.content.as_ref().map(|content| content.newest);
                of_store(&sight)
            }
            Ok(None) => not_there(Path::new(settings.url.trim_start_matches("sqlite://"))),
            Err(error) => Finding::broken(&error),
        }
    });
    let mut trials = vec![store.await];
    let target = match &config.replay.place {
        ReplayPlace::Memory => "memory://".to_owned(),
        ReplayPlace::Journal { path, .. } => path.display().to_string(),
    };
    trials.push(Trial::of("replay memory", target, of_replay(&config.replay.place)).await);
    trials.push(Trial::of("clock", now.to_string(), async { of_clock(newest, now) }).await);
    trials
}

fn of_store(sight: &Sight) -> Finding {
    match &sight.content {
        Some(Content { version, apps, sealed, .. }) => {
            let key = if *sealed { "the master key opens it" } else { "nothing is sealed in it yet" };
            let apps = if *apps == 1 { "1 app".to_owned() } else { format!("{apps} apps") };
            Finding::good(format!("schema {}, registry version {}, {apps}; {key}", sight.schema, version.0))
        }
        None => Finding::warning(format!(
            "schema {}, which the next start or command brings to {}: make a backup first",
            sight.schema, sight.wanted
        )),
    }
}

async fn of_replay(place: &ReplayPlace) -> Finding {
    let ReplayPlace::Journal { path, durability } = place else {
        return Finding::good("in the process: a restart forgets which tokens were used");
    };
    if !path.exists() {
        return not_there(path);
    }
    match ReplayJournal::open(path, *durability).await {
        Ok(journal) => match journal.close().await {
            Ok(()) => Finding::good("a journal that nobody has open"),
            Err(error) => Finding::broken(&error),
        },
        // Whose it is, the listeners tell.
        Err(JournalFault::InUse(_)) => Finding::good("in use, as by a gateway that runs"),
        Err(fault) => Finding::broken(&fault),
    }
}

/// A file that the first start makes, if it can.
fn not_there(path: &Path) -> Finding {
    let Some(folder) = path.ancestors().skip(1).find(|folder| folder.as_os_str().is_empty() || folder.exists()) else {
        return Finding::failed(format!("{}: no folder", path.display()));
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let probe: PathBuf = folder.join(format!(".scopegate-check.{}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).open(&probe);
    _ = fs::remove_file(&probe);
    match made {
        Ok(_) => Finding::good("not there yet: the first start makes it"),
        Err(error) => Finding::failed(format!("not there, and {} can't be written to: {error}", folder.display())),
    }
}

/// No clock here knows the time better; what the store has seen is a bound.
fn of_clock(newest: Option<Timestamp>, now: Timestamp) -> Finding {
    // When this was written.
    const EARLIEST: Timestamp = Timestamp::from_secs(1_767_225_600);
    if now < EARLIEST {
        return Finding::failed(format!("it is not {now}: tokens would be judged by a clock that was never set"));
    }
    match newest.filter(|newest| now < *newest) {
        Some(newest) => Finding::failed(format!("the registry was changed at {newest}, which is ahead of this clock")),
        None => Finding::good("after all that the registry has seen"),
    }
}
