//! How a command changes the registry: from what it has read, in one commit, and never over what others did meanwhile.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::Failure;
use super::encryption::missing_keys;
use super::open::{ConfigArgument, actor, make_store, now, open_store};
use crate::config::Config;
use crate::registry::{Actor, Change, EditError, Editor, Part, Registry, Repository as _, StoreError, Version};
use crate::store::Store;

/// How often a change is made anew because others were faster.
const ATTEMPTS: usize = 10;

#[derive(Debug, Args)]
pub(super) struct EditArguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Print what would change, and change nothing; exit status 2 if there is anything
    #[arg(long)]
    dry_run: bool,
}

/// The store, and in whose name and how it is changed.
pub(super) struct Session {
    pub config: Config,
    pub store: Store,
    pub dry_run: bool,
    why: Option<String>,
}

impl EditArguments {
    /// With the store that is there.
    pub async fn open(self) -> Result<Session, Failure> {
        let config = self.config.load()?;
        let store = open_store(&config).await?;
        Ok(Session { config, store, dry_run: self.dry_run, why: self.why })
    }

    /// With the store, made if it is not there; a dry run makes none.
    pub async fn make(self) -> Result<Session, Failure> {
        if self.dry_run {
            return self.open().await;
        }
        let config = self.config.load()?;
        let store = make_store(&config).await?;
        Ok(Session { config, store, dry_run: false, why: self.why })
    }
}

/// What came of it.
pub(super) enum Done {
    /// It was so already.
    Nothing,
    Rehearsed(Vec<Change>),
    Committed(Vec<Change>, Version),
}

impl Session {
    /// Carries out what the edit makes of the part of the registry that it touches. Where others commit in between, it is
    /// made anew from what they left.
    pub async fn edit<E>(&self, part: &Part, edit: E) -> Result<Done, Failure>
    where
        E: Fn(&Editor<'_>) -> Result<Vec<Change>, EditError>,
    {
        let actor = self.actor();
        for _ in 0..ATTEMPTS {
            let (read, registry) = self.store.load_part(part).await?;
            let mut changes = edit(&Editor { registry: &registry, rules: &self.config.grants, now: actor.at })?;
            if changes.is_empty() {
                return Ok(Done::Nothing);
            }
            changes.extend(missing_keys(&registry, &changes)?);
            let tried = if self.dry_run {
                self.store.rehearse(read, &changes, &actor).await.map(|()| None)
            } else {
                self.store.commit_at(read, &changes, &actor).await.map(Some)
            };
            match tried {
                Ok(None) => return Ok(Done::Rehearsed(changes)),
                Ok(Some(version)) => return Ok(Done::Committed(changes, version)),
                Err(StoreError::Outdated) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Outdated.into())
    }

    /// Whoever runs the command, for the audit.
    pub fn actor(&self) -> Actor {
        actor(self.why.clone())
    }

    /// A part of the registry as it is now.
    pub async fn part(&self, part: &Part) -> Result<Registry, Failure> {
        Ok(self.store.load_part(part).await?.1)
    }

    /// An editor that only looks things up.
    pub fn editor<'a>(&'a self, registry: &'a Registry) -> Editor<'a> {
        Editor { registry, rules: &self.config.grants, now: now() }
    }
}

impl Done {
    /// One line a change, and what became of them.
    pub fn print(&self) -> ExitCode {
        match self {
            Self::Nothing => println!("nothing to change"),
            Self::Rehearsed(changes) => {
                print_changes(changes);
                println!("{}; nothing was changed (dry run)", counted(changes.len()));
            }
            Self::Committed(changes, version) => {
                print_changes(changes);
                println!("{} applied; the registry is at version {}", counted(changes.len()), version.0);
            }
        }
        self.exit_code()
    }

    /// What a dry run prints where JSON is wanted; none after a real one, which has more to say.
    pub fn rehearsed_json(&self) -> Option<String> {
        let Self::Rehearsed(changes) = self else { return None };
        let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
        Some(format!("{:#}", json!({ "dry_run": true, "changes": changes })))
    }

    pub fn is_committed(&self) -> bool {
        matches!(self, Self::Committed(..))
    }

    pub fn exit_code(&self) -> ExitCode {
        if matches!(self, Self::Rehearsed(_)) { ExitCode::from(2) } else { ExitCode::SUCCESS }
    }
}

fn print_changes(changes: &[Change]) {
    for change in changes {
        println!("{change}");
    }
}

pub(super) fn counted(changes: usize) -> String {
    if changes == 1 { "1 change".into() } else { format!("{changes} changes") }
}
