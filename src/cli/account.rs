use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Failure;
use super::edit::EditArguments;
use super::open::{ConfigArgument, now};
use super::table::table;
use super::view::list;
use crate::model::AccountId;
use crate::policy::configured_host;
use crate::registry::{Account as Record, AppSettings, Change, Editor, Part, Registry};

/// Accounts: tenants that own bots and apps, and may have hosts of their own
#[derive(Debug, Subcommand)]
pub(super) enum Account {
    Add(Add),
    List(List),
    Show(Show),
    #[command(subcommand)]
    Host(Host),
    Delete(Delete),
}

/// Add an account
#[derive(Debug, Args)]
pub(super) struct Add {
    /// What it is to be called
    #[arg(value_name = "ID", value_parser = AccountId::new)]
    id: AccountId,
    /// A host name that only this account's apps may call; several times for several
    #[arg(long = "host", value_name = "HOST", value_parser = configured_host)]
    hosts: Vec<String>,
    #[command(flatten)]
    edit: EditArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// List the accounts
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigArgument,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Show an account with its bots and apps
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The account
    #[arg(value_name = "ID", value_parser = AccountId::new)]
    id: AccountId,
    #[command(flatten)]
    config: ConfigArgument,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// An account's host names
#[derive(Debug, Subcommand)]
pub(super) enum Host {
    /// Give an account more hosts
    Add(Hosts),
    /// Take hosts from an account
    Remove(Hosts),
}

#[derive(Debug, Args)]
pub(super) struct Hosts {
    /// The account
    #[arg(value_name = "ID", value_parser = AccountId::new)]
    id: AccountId,
    /// Its host names
    #[arg(value_name = "HOST", required = true, value_parser = configured_host)]
    names: Vec<String>,
    #[command(flatten)]
    edit: EditArguments,
}

/// Delete an account that holds nothing any more
#[derive(Debug, Args)]
pub(super) struct Delete {
    /// The account
    #[arg(value_name = "ID", value_parser = AccountId::new)]
    id: AccountId,
    #[command(flatten)]
    edit: EditArguments,
}

impl Account {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Add(add) => add.run().await,
            Self::List(list) => list.run().await,
            Self::Show(show) => show.run().await,
            Self::Host(Host::Add(hosts)) => hosts.run(true).await,
            Self::Host(Host::Remove(hosts)) => hosts.run(false).await,
            Self::Delete(delete) => delete.run().await,
        }
    }
}

impl Add {
    async fn run(self) -> Result<ExitCode, Failure> {
        let session = self.edit.make().await?;
        let account = Record { id: self.id, hosts: self.hosts.into_iter().collect() };
        let done = session.edit(&Part::account(&account.id), |editor| editor.add_account(account.clone())).await?;
        session.store.close().await;
        if self.json {
            let added = json!({ "id": account.id, "hosts": account.hosts });
            println!("{}", done.rehearsed_json().unwrap_or_else(|| format!("{added:#}")));
            return Ok(done.exit_code());
        }
        let code = done.print();
        if done.is_committed() {
            println!(
                "next: `scopegate bot add ID --account {}`, or an app of the account: `scopegate app create`",
                account.id
            );
        }
        Ok(code)
    }
}

/// The numbers of an account's bots and apps.
fn counts(registry: &Registry, id: &AccountId) -> (usize, usize) {
    let bots = registry.bots.values().filter(|bot| bot.account == *id).count();
    (bots, registry.apps.values().filter(|app| app.settings.account == *id).count())
}

impl List {
    async fn run(self) -> Result<ExitCode, Failure> {
        let (_, registry) = self.config.read_registry().await?;
        if self.json {
            let accounts = registry.accounts.values().map(|account| {
                let (bots, apps) = counts(&registry, &account.id);
                json!({ "id": account.id, "hosts": account.hosts, "bots": bots, "apps": apps })
            });
            println!("{:#}", accounts.collect::<Value>());
            return Ok(ExitCode::SUCCESS);
        }
        let rows: Vec<_> = registry
            .accounts
            .values()
            .map(|account| {
                let (bots, apps) = counts(&registry, &account.id);
                [account.id.to_string(), bots.to_string(), apps.to_string(), list(&account.hosts, "-")]
            })
            .collect();
        print!("{}", table(["ACCOUNT", "BOTS", "APPS", "HOSTS"], &rows));
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    async fn run(self) -> Result<ExitCode, Failure> {
        let (config, registry) = self.config.read_registry().await?;
        let account = Editor { registry: &registry, rules: &config.grants, now: now() }.account(&self.id)?;
        let bots: Vec<_> = registry.bots.values().filter(|bot| bot.account == self.id).map(|bot| &bot.id).collect();
        let apps = registry.apps.values().map(|app| &app.settings).filter(|app| app.account == self.id);
        let apps: Vec<_> = apps.collect();
        if self.json {
            let view = |app: &&AppSettings| json!({ "client_id": app.client_id, "name": app.name });
            let apps: Value = apps.iter().map(view).collect();
            println!("{:#}", json!({ "id": account.id, "hosts": account.hosts, "bots": bots, "apps": apps }));
            return Ok(ExitCode::SUCCESS);
        }
        println!("account  {}", account.id);
        println!("hosts    {}", list(&account.hosts, "any"));
        println!("bots     {}", list(bots, "none"));
        println!("apps     {}", list(apps.iter().map(|app| format!("{} ({})", app.client_id, app.name)), "none"));
        Ok(ExitCode::SUCCESS)
    }
}

impl Hosts {
    async fn run(self, add: bool) -> Result<ExitCode, Failure> {
        let session = self.edit.open().await?;
        let hosts: BTreeSet<String> = self.names.into_iter().collect();
        let done = session
            .edit(&Part::account(&self.id), |editor| {
                if add { editor.add_hosts(&self.id, &hosts) } else { editor.remove_hosts(&self.id, &hosts) }
            })
            .await?;
        session.store.close().await;
        Ok(done.print())
    }
}

impl Delete {
    async fn run(self) -> Result<ExitCode, Failure> {
        let session = self.edit.open().await?;
        let done = session.edit(&Part::account(&self.id), |_| Ok(vec![Change::DeleteAccount(self.id.clone())])).await?;
        session.store.close().await;
        Ok(done.print())
    }
}
