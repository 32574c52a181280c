use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::Failure;
use super::edit::EditArguments;
use super::open::{ConfigArgument, now};
use super::table::table;
use crate::model::{AccountId, ClientId, InstallationId, PermissionName};
use crate::registry::{
    DEFAULT_ACCOUNT, Editor, Installation as Record, InstallationSettings, InstallationTarget, Part, PermissionLevel,
    Repositories, SelectedRepository,
};

/// Installations: apps on accounts, with what they may do there
#[derive(Debug, Subcommand)]
pub(super) enum Installation {
    Create(Box<Create>),
    List(List),
    Show(Show),
    /// Give the installation no tokens and refuse those that it has, until it is resumed
    Suspend(One),
    /// Let a suspended installation work again
    Resume(One),
    /// Take the app off the account
    Delete(One),
}

/// Install an app on an account
#[derive(Debug, Args)]
pub(super) struct Create {
    /// The app's client id
    #[arg(long, value_name = "APP", value_parser = ClientId::new)]
    app: ClientId,
    /// The account that it is installed on
    #[arg(long, value_name = "ID", value_parser = AccountId::new, default_value = DEFAULT_ACCOUNT)]
    account: AccountId,
    /// The number that it is to have; the next free one if absent
    #[arg(long, value_name = "NUMBER")]
    id: Option<InstallationId>,
    /// What the account stands for
    #[arg(long, value_enum, default_value_t = Target::Organization)]
    target: Target,
    /// What it may do: a name and `read`, `write` or `admin`; several times for several
    #[arg(long = "permission", value_name = "NAME=LEVEL", value_parser = permission)]
    permissions: Vec<(PermissionName, PermissionLevel)>,
    /// A repository that it reaches, by number and name; several times for several. All if absent
    #[arg(long = "repository", value_name = "NUMBER=NAME", value_parser = repository)]
    repositories: Vec<SelectedRepository>,
    #[command(flatten)]
    edit: EditArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Target {
    Organization,
    User,
}

fn permission(text: &str) -> Result<(PermissionName, PermissionLevel), String> {
    let (name, level) = text.split_once('=').ok_or("write NAME=LEVEL, such as contents=read")?;
    let level = PermissionLevel::named(level).ok_or("a level is read, write or admin")?;
    PermissionName::new(name).map(|name| (name, level)).map_err(|error| error.to_string())
}

fn repository(text: &str) -> Result<SelectedRepository, String> {
    let (id, name) = text.split_once('=').ok_or("write NUMBER=NAME, such as 1=hello")?;
    let id = id.parse().map_err(|_| format!("{id:?} is no number: write NUMBER=NAME, such as 1=hello"))?;
    Ok(SelectedRepository { id, name: name.to_owned() })
}

/// List the installations
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigArgument,
    /// Those of one app
    #[arg(long, value_name = "APP", value_parser = ClientId::new)]
    app: Option<ClientId>,
    /// Those on one account
    #[arg(long, value_name = "ID", value_parser = AccountId::new)]
    account: Option<AccountId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Show an installation
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Its number
    #[arg(value_name = "NUMBER")]
    id: InstallationId,
    #[command(flatten)]
    config: ConfigArgument,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// Its number
    #[arg(value_name = "NUMBER")]
    id: InstallationId,
    #[command(flatten)]
    edit: EditArguments,
}

impl Installation {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List(list) => list.run().await,
            Self::Show(show) => show.run().await,
            Self::Suspend(one) => one.suspend(true).await,
            Self::Resume(one) => one.suspend(false).await,
            Self::Delete(one) => one.delete().await,
        }
    }
}

impl Create {
    async fn run(self) -> Result<ExitCode, Failure> {
        let repositories = match self.repositories {
            none if none.is_empty() => Repositories::All,
            selected => Repositories::selected(selected).map_err(Failure::new)?,
        };
        let target = match self.target {
            Target::Organization => InstallationTarget::Organization,
            Target::User => InstallationTarget::User,
        };
        let (app, account, id) = (self.app, self.account, self.id);
        let permissions = self.permissions.into_iter().collect();
        let settings = InstallationSettings { id, account, target, permissions, repositories, suspended: false };
        let session = self.edit.open().await?;
        let part =
            id.map(Part::installation).unwrap_or_default().and(Part::app(&app)).and(Part::account(&settings.account));
        let done = session.edit(&part, |editor| editor.install(&app, settings.clone())).await?;
        if !done.is_committed() {
            session.store.close().await;
            match done.rehearsed_json().filter(|_| self.json) {
                Some(json) => println!("{json}"),
                None => _ = done.print(),
            }
            return Ok(done.exit_code());
        }
        let registry = session.part(&part).await?;
        session.store.close().await;
        let editor = session.editor(&registry);
        let Some(installed) = editor.installation_on(&app, &settings.account)? else {
            return Err(Failure::new(format!("app {app} was installed, and taken off again by somebody else")));
        };
        if self.json {
            println!("{:#}", view(installed));
            return Ok(done.exit_code());
        }
        let code = done.print();
        println!("installation {} of app {app} on account {}", installed.id, installed.account);
        println!("next: a token for it, in exchange for one that the app signed:");
        println!(
            "  curl -X POST -H \"Authorization: Bearer $TOKEN\" URL/app/installations/{}/access_tokens",
            installed.id
        );
        Ok(code)
    }
}

impl List {
    async fn run(self) -> Result<ExitCode, Failure> {
        let (config, registry) = self.config.read_registry().await?;
        let editor = Editor { registry: &registry, rules: &config.grants, now: now() };
        self.account.as_ref().map(|account| editor.account(account)).transpose()?;
        self.app.as_ref().map(|app| editor.app(app)).transpose()?;
        let wanted = |installed: &&Record| {
            self.app.as_ref().is_none_or(|app| installed.app == *app)
                && self.account.as_ref().is_none_or(|account| installed.account == *account)
        };
        let mut found: Vec<_> = registry.apps.values().flat_map(|app| &app.installations).filter(wanted).collect();
        found.sort_by_key(|installed| installed.id);
        if self.json {
            println!("{:#}", found.into_iter().map(view).collect::<Value>());
            return Ok(ExitCode::SUCCESS);
        }
        if found.is_empty() {
            println!(
                "no installations; `scopegate installation create --app APP --permission contents=read` makes one"
            );
            return Ok(ExitCode::SUCCESS);
        }
        let rows = found.into_iter().map(|installed| {
            [
                installed.id.to_string(),
                installed.app.to_string(),
                installed.account.to_string(),
                installed.permissions.to_string(),
                reach(installed),
                installed.suspended_at.map_or_else(|| "active".into(), |at| format!("suspended since {at}")),
            ]
        });
        let heading = ["NUMBER", "APP", "ACCOUNT", "PERMISSIONS", "REPOSITORIES", "STATE"];
        print!("{}", table(heading, &rows.collect::<Vec<_>>()));
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    async fn run(self) -> Result<ExitCode, Failure> {
        let (config, registry) = self.config.read_part(&Part::installation(self.id)).await?;
        let editor = Editor { registry: &registry, rules: &config.grants, now: now() };
        let installed = editor.installation(self.id)?;
        if self.json {
            println!("{:#}", view(installed));
            return Ok(ExitCode::SUCCESS);
        }
        println!("number        {}", installed.id);
        println!("app           {}", installed.app);
        println!("account       {} ({})", installed.account, installed.target.as_str());
        println!("permissions   {}", installed.permissions);
        println!("repositories  {}", reach(installed));
        match installed.suspended_at {
            Some(at) => {
                println!("state         suspended since {at}: `scopegate installation resume {}`", installed.id);
            }
            None => println!("state         active"),
        }
        println!("created       {}", installed.created_at);
        println!("changed       {}", installed.updated_at);
        Ok(ExitCode::SUCCESS)
    }
}

impl One {
    async fn suspend(self, suspended: bool) -> Result<ExitCode, Failure> {
        let session = self.edit.open().await?;
        let done = session.edit(&Part::installation(self.id), |editor| editor.suspend(self.id, suspended)).await?;
        session.store.close().await;
        Ok(done.print())
    }

    async fn delete(self) -> Result<ExitCode, Failure> {
        let session = self.edit.open().await?;
        let done = session.edit(&Part::installation(self.id), |editor| editor.uninstall(self.id)).await?;
        session.store.close().await;
        Ok(done.print())
    }
}

/// As the registry file has it.
fn view(installed: &Record) -> Value {
    let repositories = match &installed.repositories {
        Repositories::All => json!("all"),
        Repositories::Selected(list) => json!(list),
    };
    json!({
        "id": installed.id,
        "app": installed.app,
        "account": installed.account,
        "target": installed.target,
        "permissions": installed.permissions,
        "repositories": repositories,
        "suspended_at": installed.suspended_at.map(|at| at.to_string()),
        "created_at": installed.created_at.to_string(),
        "updated_at": installed.updated_at.to_string(),
    })
}

fn reach(installed: &Record) -> String {
    match &installed.repositories {
        Repositories::All => "all".into(),
        Repositories::Selected(list) if list.is_empty() => "none".into(),
        Repositories::Selected(list) => {
            list.iter().map(|repository| repository.name.as_str()).collect::<Vec<_>>().join(", ")
        }
    }
}
