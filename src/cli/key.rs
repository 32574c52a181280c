use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Map;

use super::Failure;
use super::edit::{Done, EditArguments, Session};
use super::material::{MaterialArgument, NewSecret, SecretOutArgument};
use super::open::{ConfigArgument, now, open_store};
use super::table::table;
use super::view::{KEY_HEADING, KeyView, joined};
use crate::clock::Timestamp;
use crate::config::{SecretsShown, duration};
use crate::jose::KeyMaterial;
use crate::model::{Algorithm, ClientId, KeyId};
use crate::registry::{Change, EditError, Editor, LastKey, NewKey, Part};

/// An app's keys: shared secrets and public keys, several at a time while they are rotated
#[derive(Debug, Subcommand)]
pub(super) enum Key {
    Add(Box<Add>),
    List(List),
    Rotate(Box<Rotate>),
    Retire(Retire),
    /// End a key at once; it stays listed, so that the log can tell whose tokens were signed with it
    Revoke(End),
    /// Remove a key altogether
    Delete(End),
}

#[derive(Debug, Args)]
struct NewKeyArguments {
    /// The app's client id
    #[arg(value_name = "APP", value_parser = ClientId::new)]
    app: ClientId,
    #[command(flatten)]
    material: MaterialArgument,
    /// The key's name, which tokens may give as kid. Once a key has one, a kid in a token has to name one
    #[arg(long, value_parser = KeyId::new)]
    kid: Option<KeyId>,
    #[command(flatten)]
    out: SecretOutArgument,
    #[command(flatten)]
    edit: EditArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Give an app another key; the others stay as they are
#[derive(Debug, Args)]
pub(super) struct Add {
    #[command(flatten)]
    key: NewKeyArguments,
}

/// Give an app a new key in place of all others
///
/// The others stay good for the overlap; with --overlap 0s they end at once. Nothing has to be published.
#[derive(Debug, Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    key: NewKeyArguments,
    /// How long the former keys are good beside the new one
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    overlap: Duration,
    /// What the app signs with from now on; its former algorithms stay as long as keys overlap
    #[arg(long = "alg", value_name = "ALGORITHM")]
    algorithm: Option<Algorithm>,
}

/// List an app's keys, with their last use and those that may go
#[derive(Debug, Args)]
pub(super) struct List {
    /// The app's client id
    #[arg(value_name = "APP", value_parser = ClientId::new)]
    app: ClientId,
    #[command(flatten)]
    config: ConfigArgument,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct KeyArguments {
    /// The app's client id
    #[arg(value_name = "APP", value_parser = ClientId::new)]
    app: ClientId,
    /// The key, by its kid or its number; `#7` is a number and no kid
    #[arg(value_name = "KEY")]
    key: String,
    /// Even if nothing could sign for the app any more; an app that has public keys alone keeps one all the same
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    edit: EditArguments,
}

/// End a key at a time that is to come
#[derive(Debug, Args)]
pub(super) struct Retire {
    #[command(flatten)]
    key: KeyArguments,
    /// When: RFC 3339, or seconds since 1970
    #[arg(long, value_name = "TIME", conflicts_with = "span")]
    at: Option<Timestamp>,
    /// In how long
    #[arg(long = "in", id = "span", value_name = "TIME", default_value = "24h", value_parser = duration)]
    span: Duration,
}

#[derive(Debug, Args)]
pub(super) struct End {
    #[command(flatten)]
    key: KeyArguments,
    /// If nothing could sign for the app any more, end the key and disable the app
    #[arg(long, conflicts_with = "force")]
    disable_app: bool,
}

impl Key {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Add(add) => add.run().await,
            Self::List(list) => list.run().await,
            Self::Rotate(rotate) => rotate.run().await,
            Self::Retire(retire) => retire.run().await,
            Self::Revoke(end) => end.run(|editor, app, key, last| editor.revoke_key(app, key, last)).await,
            Self::Delete(end) => end.run(|editor, app, key, last| editor.delete_key(app, key, last)).await,
        }
    }
}

impl Add {
    async fn run(self) -> Result<ExitCode, Failure> {
        if !self.key.material.is_given() {
            return Err(Failure::new(
                "give the key: --generate for a new secret, --secret-file, --secret-env or --secret-stdin for one that \
                 is there, --public-key or --jwk",
            ));
        }
        self.key.store(None, |editor, app, key| editor.add_key(app, key)).await
    }
}

impl Rotate {
    async fn run(self) -> Result<ExitCode, Failure> {
        let (algorithm, overlap) = (self.algorithm, self.overlap);
        self.key.store(algorithm, |editor, app, key| editor.rotate(app, key, algorithm, overlap)).await
    }
}

impl NewKeyArguments {
    /// Stores the key that was given, or one that is made here.
    async fn store<E>(self, algorithm: Option<Algorithm>, edit: E) -> Result<ExitCode, Failure>
    where
        E: Fn(&Editor<'_>, &ClientId, NewKey) -> Result<Vec<Change>, EditError>,
    {
        let (material, made) = self.material.read_or_make(&self.out)?;
        let key = NewKey { kid: self.kid.clone(), material };
        let session = self.edit.open().await?;
        let app = &self.app;
        let part = Part::app(app);
        let edited = session.edit(&part, |editor| {
            if made.is_some() && !editor.takes_a_secret(app, algorithm)? {
                let why = format!(
                    "app {app} signs with a private key of its own: give its public half, --public-key or --jwk"
                );
                return Err(EditError(why));
            }
            edit(editor, app, key.clone())
        });
        let done = NewSecret::handed_over(made.as_ref(), session.dry_run, edited).await?;
        report(&session, app, &key.material, made.as_ref(), &done, self.json).await?;
        session.store.close().await;
        Ok(done.exit_code())
    }
}

/// Prints the new key as it is stored now.
async fn report(
    session: &Session,
    app: &ClientId,
    material: &KeyMaterial,
    made: Option<&NewSecret>,
    done: &Done,
    json: bool,
) -> Result<(), Failure> {
    if !done.is_committed() {
        match done.rehearsed_json().filter(|_| json) {
            Some(json) => println!("{json}"),
            None => _ = done.print(),
        }
        return Ok(());
    }
    if !json {
        done.print();
        if let Some(made) = made {
            made.tell(session.config.registry.secrets == SecretsShown::Viewable);
        }
        println!("`scopegate key list {app}` tells when the former keys end, and when they were last used");
        return Ok(());
    }
    let registry = session.part(&Part::app(app)).await?;
    let record = session.editor(&registry).app(app)?;
    let uses = session.store.uses_of_keys(app).await?;
    let place = record.keys.iter().position(|key| key.material == *material);
    let view = place.and_then(|place| KeyView::all(&record.keys, &uses, now()).into_iter().nth(place));
    let secret = made.and_then(NewSecret::text).map(|secret| ("client_secret".to_owned(), secret.into()));
    println!("{}", joined(&view, Map::from_iter(secret))?);
    Ok(())
}

impl List {
    async fn run(self) -> Result<ExitCode, Failure> {
        let config = self.config.load()?;
        let store = open_store(&config).await?;
        let (_, registry) = store.load_part(&Part::app(&self.app)).await?;
        let uses = store.uses_of_keys(&self.app).await?;
        store.close().await;
        let record = Editor { registry: &registry, rules: &config.grants, now: now() }.app(&self.app)?;
        let keys = KeyView::all(&record.keys, &uses, now());
        if self.json {
            println!("{}", serde_json::to_string_pretty(&keys)?);
        } else if keys.is_empty() {
            println!("no keys; `scopegate key add {} --generate` makes one", self.app);
        } else {
            print!("{}", table(KEY_HEADING, &keys.iter().map(KeyView::row).collect::<Vec<_>>()));
            keys.iter().filter_map(KeyView::certificate_line).for_each(|line| println!("{line}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Retire {
    async fn run(self) -> Result<ExitCode, Failure> {
        let (at, span) = (self.at, self.span);
        let when = |editor: &Editor<'_>| at.unwrap_or_else(|| editor.now.after(span));
        let last = self.key.last();
        self.key.run(last, |editor, app, key, last| editor.retire_key(app, key, when(editor), last)).await
    }
}

impl End {
    async fn run<E>(self, edit: E) -> Result<ExitCode, Failure>
    where
        E: Fn(&Editor<'_>, &ClientId, &str, LastKey) -> Result<Vec<Change>, EditError>,
    {
        let last = if self.disable_app { LastKey::EndsWithTheApp } else { self.key.last() };
        self.key.run(last, edit).await
    }
}

impl KeyArguments {
    fn last(&self) -> LastKey {
        if self.force { LastKey::Ends } else { LastKey::Stays }
    }

    async fn run<E>(self, last: LastKey, edit: E) -> Result<ExitCode, Failure>
    where
        E: Fn(&Editor<'_>, &ClientId, &str, LastKey) -> Result<Vec<Change>, EditError>,
    {
        let session = self.edit.open().await?;
        let part = Part::app(&self.app);
        let done = session.edit(&part, |editor| edit(editor, &self.app, &self.key, last)).await?;
        session.store.close().await;
        Ok(done.print())
    }
}
