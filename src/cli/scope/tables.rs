use std::process::ExitCode;

use clap::Args;

use super::desk::Desk;
use super::words::named;
use super::{ChangeArguments, found};
use crate::cli::Failure;
use crate::registry::{AppRecord, Change, Permission, Permissions, Repository as _, Resource, ResourceKind};

/// A data table or a view, in the place of scopes.
#[derive(Debug, Args)]
pub(super) struct TableArguments {
    /// A data table
    #[arg(long, value_name = "NAME", conflicts_with = "view")]
    table: Option<String>,
    /// A view
    #[arg(long, value_name = "NAME")]
    view: Option<String>,
    /// What the app may do there: read, write, delete, with commas between them
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = permission)]
    permission: Vec<Permission>,
}

fn permission(text: &str) -> Result<Permission, String> {
    let known = [Permission::Read, Permission::Write, Permission::Delete];
    known.into_iter().find(|p| p.as_str() == text).ok_or_else(|| "read, write or delete".to_owned())
}

impl TableArguments {
    pub fn resource(&self) -> Option<Resource> {
        let table = self.table.clone().map(|name| Resource { kind: ResourceKind::Table, name });
        table.or_else(|| self.view.clone().map(|name| Resource { kind: ResourceKind::View, name }))
    }

    /// A view is read, and nothing else can be done with it.
    pub fn to_grant(&self) -> Result<Permissions, Failure> {
        match (&self.permission[..], &self.view) {
            ([], Some(_)) => Ok([Permission::Read].into_iter().collect()),
            ([], None) => Err(Failure::new("say what the app may do with the table: --permission read,write,delete")),
            (given, _) => Ok(given.iter().copied().collect()),
        }
    }

    /// All of them where none is named.
    pub fn to_revoke(&self) -> Permissions {
        if self.permission.is_empty() { Permissions::ALL } else { self.permission.iter().copied().collect() }
    }
}

/// Gives and takes permissions, at once.
pub(super) async fn alter_table(
    desk: &Desk,
    app: &AppRecord,
    resource: Resource,
    gained: Permissions,
    lost: Permissions,
    arguments: &ChangeArguments,
) -> Result<ExitCode, Failure> {
    if let Some(why) = resource.fault().filter(|_| gained != Permissions::NONE) {
        return Err(Failure::new(why));
    }
    let stored = app.table_grants.iter().find(|g| g.resource == resource).map(|g| g.permissions);
    let held = stored.unwrap_or_default();
    let after = held.without(lost).with(gained);
    if after == held {
        println!("nothing to change: {} may {held} on {resource}", named(&app.settings));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} on {resource}: {after} (before: {held})", named(&app.settings));
    if arguments.dry_run {
        println!("nothing was changed (dry run)");
        return Ok(found());
    }
    let change = Change::AlterTableGrant { app: app.settings.client_id.clone(), resource, gained, lost };
    desk.store.commit(&[change], &arguments.actor()).await?;
    println!("in force at once: permissions on tables and views have no draft");
    desk.store.close().await;
    Ok(ExitCode::SUCCESS)
}
