use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;

use super::ChangeArguments;
use super::desk::{Carried, Desk};
use super::tables::{TableArguments, alter_table};
use super::words::named;
use crate::cli::Failure;
use crate::model::{BotId, ClientId, ScopeId};
use crate::registry::{Edit, Permissions, Proposal};

/// Grant scopes to an app, or permissions on a data table
///
/// On a bot, the scopes are added to a draft; `scope publish` puts it in force. On an account, and on tables and views,
/// they are in force at once.
#[derive(Debug, Args)]
pub struct Grant {
    #[command(flatten)]
    change: ChangeArguments,
    /// The app's client id
    #[arg(long, value_name = "CLIENT_ID", value_parser = ClientId::new)]
    app: ClientId,
    /// The bot, of an app that acts on several
    #[arg(long, value_parser = BotId::new, conflicts_with_all = ["table", "view"])]
    bot: Option<BotId>,
    /// The scopes, as `scopegate catalog scopes` lists them
    #[arg(value_name = "SCOPE", value_parser = ScopeId::new, required_unless_present_any = ["table", "view"])]
    #[arg(conflicts_with_all = ["table", "view"])]
    scopes: Vec<ScopeId>,
    /// These and no others: what the app holds beside them is revoked
    #[arg(long)]
    only: bool,
    #[command(flatten)]
    tables: TableArguments,
}

/// Revoke scopes of an app, or permissions on a data table
///
/// On a bot, the scopes are taken from a draft; `scope publish` puts it in force. On an account, and on tables and views,
/// they are gone at once.
#[derive(Debug, Args)]
pub struct Revoke {
    #[command(flatten)]
    change: ChangeArguments,
    /// The app's client id
    #[arg(long, value_name = "CLIENT_ID", value_parser = ClientId::new)]
    app: ClientId,
    /// The bot, of an app that acts on several
    #[arg(long, value_parser = BotId::new, conflicts_with_all = ["table", "view"])]
    bot: Option<BotId>,
    /// The scopes
    #[arg(value_name = "SCOPE", value_parser = ScopeId::new, required_unless_present_any = ["all", "table", "view"])]
    #[arg(conflicts_with_all = ["all", "table", "view"])]
    scopes: Vec<ScopeId>,
    /// All scopes that the app holds there
    #[arg(long, conflicts_with_all = ["table", "view"])]
    all: bool,
    #[command(flatten)]
    tables: TableArguments,
}

impl Grant {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let desk = Desk::open(&self.change.config, Some(&self.app), self.bot.as_ref()).await?;
        let app = desk.app(&self.app)?;
        if let Some(resource) = self.tables.resource() {
            let gained = self.tables.to_grant()?;
            let lost = if self.only { Permissions::ALL.without(gained) } else { Permissions::NONE };
            return alter_table(&desk, app, resource, gained, lost, &self.change).await;
        }
        let scopes: BTreeSet<_> = self.scopes.into_iter().collect();
        let edit = if self.only { Edit::Only(scopes) } else { Edit::Add(scopes) };
        let target = app.settings.target(self.bot.as_ref())?;
        let proposal = edit.of(app, target, &desk.config.grants)?;
        carry_out(&desk, proposal, &self.change, "the app holds them already").await
    }
}

impl Revoke {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let desk = Desk::open(&self.change.config, Some(&self.app), self.bot.as_ref()).await?;
        let app = desk.app(&self.app)?;
        if let Some(resource) = self.tables.resource() {
            return alter_table(&desk, app, resource, Permissions::NONE, self.tables.to_revoke(), &self.change).await;
        }
        let edit = if self.all { Edit::Only(BTreeSet::new()) } else { Edit::Remove(self.scopes.into_iter().collect()) };
        let target = app.target(self.bot.as_ref())?;
        let proposal = edit.of(app, target, &desk.config.grants)?;
        carry_out(&desk, proposal, &self.change, "the app holds none of them").await
    }
}

async fn carry_out(
    desk: &Desk,
    proposal: Option<Proposal>,
    arguments: &ChangeArguments,
    nothing: &str,
) -> Result<ExitCode, Failure> {
    let Some(proposal) = proposal else {
        println!("nothing to change: {nothing}");
        return Ok(ExitCode::SUCCESS);
    };
    let carried = desk.carry_out(std::slice::from_ref(&proposal), arguments).await?;
    if carried == Carried::Done {
        println!("{}", next_step(desk, &proposal)?);
    }
    desk.store.close().await;
    Ok(carried.status())
}

/// When it takes effect.
fn next_step(desk: &Desk, proposal: &Proposal) -> Result<String, Failure> {
    let app = desk.app(&proposal.app)?;
    if proposal.in_force {
        return Ok(format!("in force at once: {} is of level account", named(&app.settings)));
    }
    let grant = app.grants.iter().find(|g| g.target == proposal.target).cloned();
    let waits = grant.is_none_or(|grant| !grant.altered(&proposal.by).waiting().is_empty());
    Ok(if waits {
        format!("not live yet: {}", desk.how_to_publish(&proposal.app, &proposal.target))
    } else {
        "the draft is again what is in force: there is nothing to publish".to_owned()
    })
}
