use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::desk::{Desk, did_you_mean};
use super::words::titled;
use crate::cli::Failure;
use crate::cli::open::ConfigArgument;
use crate::cli::table::table;
use crate::model::{AccountId, BotId, ClientId, Level, ScopeId};
use crate::registry::{
    AppRecord, Difference, Mapping, Permission, Permissions, ResourceKind, ScopeCatalogue, Selection, TableGrant,
};

/// List which app holds which scopes, and which permissions on data tables
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    config: ConfigArgument,
    /// Of this app
    #[arg(long, value_name = "CLIENT_ID", value_parser = ClientId::new)]
    app: Option<ClientId>,
    /// On this bot
    #[arg(long, value_parser = BotId::new)]
    bot: Option<BotId>,
    /// Of the apps of this account
    #[arg(long, value_parser = AccountId::new)]
    account: Option<AccountId>,
    /// Scopes of this group alone
    #[arg(long)]
    group: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `scope list --json` prints.
#[derive(Serialize)]
struct Listing<'a> {
    mappings: Vec<Entry<'a>>,
    tables: Vec<TableEntry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    app: &'a str,
    client_id: &'a str,
    account: &'a str,
    level: Level,
    bot: Option<&'a str>,
    scopes: Vec<Titled<'a>>,
    draft_adds: Vec<Titled<'a>>,
    draft_removes: Vec<Titled<'a>>,
    version: i64,
    updated_at: String,
    has_effect: bool,
}

#[derive(Serialize)]
struct TableEntry<'a> {
    app: &'a str,
    client_id: &'a str,
    account: &'a str,
    table: Option<&'a str>,
    view: Option<&'a str>,
    permissions: Vec<Permission>,
}

/// A scope with what the catalogue says of it at its level.
#[derive(Serialize)]
pub(super) struct Titled<'a> {
    id: &'a str,
    title: Option<&'a str>,
    group: Option<&'a str>,
}

impl<'a> Titled<'a> {
    pub fn of(catalogue: &'a ScopeCatalogue, scope: &'a ScopeId, level: Level) -> Self {
        let definition = catalogue.get(scope.as_str(), level);
        let (title, group) = (definition.map(|d| d.title.as_str()), definition.and_then(|d| d.group.as_deref()));
        Self { id: scope.as_str(), title, group }
    }
}

impl List {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let desk =
            Desk::open(&self.config, self.app.as_ref().filter(|_| self.account.is_none()), self.bot.as_ref()).await?;
        let group = known_group(&desk.config.scopes, self.group.as_deref())?;
        let selection = desk.selection(self.app, self.bot, self.account)?;
        let shown: Vec<_> =
            selection.of(&desk.registry).filter_map(|m| Shown::of(m, &desk.config.scopes, group)).collect();
        // Tables belong to no bot and to no group.
        let has_tables = selection.bot.is_none() && group.is_none();
        let tables: Vec<_> = if has_tables { tables(&desk, &selection).collect() } else { Vec::new() };
        if self.json {
            let mappings = shown.iter().map(|shown| shown.entry(&desk.config.scopes)).collect();
            let tables = tables.iter().map(|(app, grant)| table_entry(app, grant)).collect();
            println!("{}", serde_json::to_string_pretty(&Listing { mappings, tables })?);
        } else {
            let rows: Vec<_> = shown.iter().map(|shown| shown.row(&desk.config.scopes)).collect();
            print!("{}", table(["APP", "CLIENT ID", "LEVEL", "ON", "VERSION", "CHANGED", "DRAFT", "SCOPES"], &rows));
            let rows: Vec<_> = tables.iter().map(|(app, grant)| table_row(app, grant)).collect();
            if !rows.is_empty() {
                print!("\n{}", table(["APP", "CLIENT ID", "ON", "PERMISSIONS"], &rows));
            }
        }
        desk.store.close().await;
        Ok(ExitCode::SUCCESS)
    }
}

fn known_group<'g>(catalogue: &ScopeCatalogue, group: Option<&'g str>) -> Result<Option<&'g str>, Failure> {
    let Some(group) = group else { return Ok(None) };
    let known: BTreeSet<_> = catalogue.iter().filter_map(|scope| scope.group.as_deref()).collect();
    if known.contains(group) {
        return Ok(Some(group));
    }
    let help = did_you_mean(&group, known.iter().copied());
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    Err(Failure::new(format!("no scope is of group {group}{help}\nthe groups are {known}")))
}

/// A mapping, or the part of it that is of one group.
struct Shown<'r> {
    mapping: Mapping<'r>,
    published: Vec<&'r ScopeId>,
    waiting: Difference,
}

impl<'r> Shown<'r> {
    /// None where the group has no part in it.
    fn of(mapping: Mapping<'r>, catalogue: &ScopeCatalogue, group: Option<&str>) -> Option<Self> {
        let level = mapping.grant.target.level();
        let is_of_group = |scope: &ScopeId| {
            group.is_none_or(|group| {
                catalogue.get(scope.as_str(), level).and_then(|d| d.group.as_deref()) == Some(group)
            })
        };
        let published: Vec<_> = mapping.grant.published.iter().filter(|scope| is_of_group(scope)).collect();
        let mut waiting = mapping.grant.waiting();
        waiting.gained.retain(is_of_group);
        waiting.lost.retain(is_of_group);
        let is_empty = published.is_empty() && waiting.is_empty();
        (group.is_none() || !is_empty).then_some(Self { mapping, published, waiting })
    }

    fn entry(&'r self, catalogue: &'r ScopeCatalogue) -> Entry<'r> {
        let Mapping { app, grant } = self.mapping;
        let titled = |scope: &'r ScopeId| Titled::of(catalogue, scope, grant.target.level());
        Entry {
            app: &app.settings.name,
            client_id: app.settings.client_id.as_str(),
            account: app.settings.account.as_str(),
            level: grant.target.level(),
            bot: grant.target.bot().map(BotId::as_str),
            scopes: self.published.iter().copied().map(titled).collect(),
            draft_adds: self.waiting.gained.iter().map(titled).collect(),
            draft_removes: self.waiting.lost.iter().map(titled).collect(),
            version: grant.version,
            updated_at: grant.updated_at.to_string(),
            has_effect: self.mapping.has_effect(),
        }
    }

    fn row(&self, catalogue: &ScopeCatalogue) -> [String; 8] {
        let Mapping { app, grant } = self.mapping;
        let level = grant.target.level();
        let titled: Vec<_> = self.published.iter().map(|scope| titled(catalogue, scope, level)).collect();
        let effect = if self.mapping.has_effect() { "" } else { " (no effect: not the app's)" };
        [
            app.settings.name.clone(),
            app.settings.client_id.to_string(),
            level.to_string(),
            format!("{}{effect}", grant.target),
            grant.version.to_string(),
            grant.updated_at.to_string(),
            if self.waiting.is_empty() { "-".to_owned() } else { self.waiting.to_string() },
            if titled.is_empty() { "-".to_owned() } else { titled.join(", ") },
        ]
    }
}

fn tables<'r>(desk: &'r Desk, selection: &Selection) -> impl Iterator<Item = (&'r AppRecord, &'r TableGrant)> {
    let apps = desk.registry.apps.values().filter(|app| selection.takes(app));
    apps.flat_map(|app| app.table_grants.iter().map(move |grant| (app, grant)))
}

fn table_entry<'r>(app: &'r AppRecord, grant: &'r TableGrant) -> TableEntry<'r> {
    let named = |kind| (grant.resource.kind == kind).then_some(grant.resource.name.as_str());
    TableEntry {
        app: &app.settings.name,
        client_id: app.settings.client_id.as_str(),
        account: app.settings.account.as_str(),
        table: named(ResourceKind::Table),
        view: named(ResourceKind::View),
        permissions: Permissions::iter(grant.permissions).collect(),
    }
}

fn table_row(app: &AppRecord, grant: &TableGrant) -> [String; 4] {
    let (name, id) = (app.settings.name.clone(), app.settings.client_id.to_string());
    [name, id, grant.resource.to_string(), grant.permissions.to_string()]
}
