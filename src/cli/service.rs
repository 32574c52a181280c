use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::Failure;
use super::edit::EditArguments;
use super::given::Given;
use super::open::{ConfigArgument, now};
use super::table::table;
use super::view::list;
use crate::jose::one_line;
use crate::model::{AccountId, RoleName, ServiceName, shell_word};
use crate::password::NewPassword;
use crate::registry::{DEFAULT_ACCOUNT, Editor, Part, ServiceAccount, ServiceKind, ServiceSettings};

/// Service accounts: who signs in with a name and a password (HTTP Basic) where a route asks for that
#[derive(Debug, Subcommand)]
pub(super) enum Service {
    Create(Create),
    List(List),
    Show(Show),
    Passwd(Passwd),
    /// Let the account sign in again
    Enable(Named),
    /// Refuse the account, until it is enabled
    Disable(Named),
    /// Delete the account
    Delete(Named),
}

/// Add a service account
#[derive(Debug, Args)]
pub(super) struct Create {
    /// The name that it signs in with: printable ASCII without colon
    #[arg(value_name = "NAME", value_parser = ServiceName::new)]
    name: ServiceName,
    /// The account that it belongs to
    #[arg(long, value_name = "ID", value_parser = AccountId::new, default_value = DEFAULT_ACCOUNT)]
    account: AccountId,
    /// Whose it is: a program's own, or somebody's
    #[arg(long, value_enum, default_value_t = Kind::Service)]
    kind: Kind,
    /// What it may do, such as bot-api, which tokens of Bot API apps take; several times for several
    #[arg(long = "role", value_name = "ROLE", value_parser = RoleName::new)]
    roles: Vec<RoleName>,
    #[command(flatten)]
    password: PasswordArgument,
    #[command(flatten)]
    edit: EditArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Service,
    Person,
}

/// At least 12 characters; never an argument, which others on the machine could see.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct PasswordArgument {
    /// A file with the password: one line of at least 12 characters
    #[arg(long = "password-file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// An environment variable with the password
    #[arg(long = "password-env", value_name = "NAME")]
    variable: Option<String>,
    /// Read the password from standard input
    #[arg(long = "password-stdin")]
    stdin: bool,
}

/// List the service accounts
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigArgument,
    /// Those of one account
    #[arg(long, value_name = "ID", value_parser = AccountId::new)]
    account: Option<AccountId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Show a service account; nothing shows its password
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Its name
    #[arg(value_name = "NAME", value_parser = ServiceName::new)]
    name: ServiceName,
    #[command(flatten)]
    config: ConfigArgument,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Give a service account another password; the former one is refused at once
#[derive(Debug, Args)]
pub(super) struct Passwd {
    /// Its name
    #[arg(value_name = "NAME", value_parser = ServiceName::new)]
    name: ServiceName,
    #[command(flatten)]
    password: PasswordArgument,
    #[command(flatten)]
    edit: EditArguments,
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// Its name
    #[arg(value_name = "NAME", value_parser = ServiceName::new)]
    name: ServiceName,
    #[command(flatten)]
    edit: EditArguments,
}

impl Service {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List(list) => list.run().await,
            Self::Show(show) => show.run().await,
            Self::Passwd(passwd) => passwd.run().await,
            Self::Enable(named) => named.switch(true).await,
            Self::Disable(named) => named.switch(false).await,
            Self::Delete(named) => named.delete().await,
        }
    }
}

impl PasswordArgument {
    fn read(&self) -> Result<NewPassword, Failure> {
        let given = Given { file: self.file.as_ref(), variable: self.variable.as_deref(), stdin: self.stdin };
        let bytes = given.read()?;
        let bytes = bytes.ok_or_else(|| Failure::new("give --password-file, --password-env or --password-stdin"))?;
        Ok(NewPassword::new(one_line(&bytes).map_err(|why| given.wrong(&why))?)?)
    }
}

impl Create {
    async fn run(self) -> Result<ExitCode, Failure> {
        let password = self.password.read()?;
        let kind = match self.kind {
            Kind::Service => ServiceKind::Service,
            Kind::Person => ServiceKind::Person,
        };
        let roles = self.roles.into_iter().collect();
        let settings = ServiceSettings { name: self.name, account: self.account, kind, roles, enabled: true };
        let session = self.edit.make().await?;
        let part = Part::service_account(&settings.name).and(Part::account(&settings.account));
        let done = session.edit(&part, |editor| editor.create_service(settings.clone(), &password)).await?;
        session.store.close().await;
        warn(&settings);
        if self.json {
            println!("{}", done.rehearsed_json().unwrap_or_else(|| format!("{:#}", view(&settings))));
            return Ok(done.exit_code());
        }
        let code = done.print();
        if done.is_committed() && settings.roles.is_empty() {
            println!("it has no roles, so it may do nothing that asks for one");
        } else if done.is_committed() {
            println!(
                "next: sign in with it, for example `curl --user {} URL`, which asks for the password",
                shell_word(settings.name.as_str())
            );
        }
        Ok(code)
    }
}

impl List {
    async fn run(self) -> Result<ExitCode, Failure> {
        let (config, registry) = self.config.read_registry().await?;
        let editor = Editor { registry: &registry, rules: &config.grants, now: now() };
        self.account.as_ref().map(|account| editor.account(account)).transpose()?;
        let wanted =
            |service: &&ServiceAccount| self.account.as_ref().is_none_or(|account| service.account == *account);
        let services: Vec<_> =
            registry.service_accounts.values().filter(wanted).map(ServiceAccount::settings).collect();
        if self.json {
            println!("{:#}", services.iter().map(view).collect::<Value>());
            return Ok(ExitCode::SUCCESS);
        }
        if services.is_empty() {
            println!("no service accounts; `scopegate service create NAME --role ROLE --password-file FILE` makes one");
            return Ok(ExitCode::SUCCESS);
        }
        let rows = services.iter().map(|service| {
            [
                service.name.to_string(),
                service.account.to_string(),
                service.kind.to_string(),
                list(&service.roles, "-"),
                if service.enabled { "enabled" } else { "disabled" }.into(),
            ]
        });
        print!("{}", table(["NAME", "ACCOUNT", "KIND", "ROLES", "STATE"], &rows.collect::<Vec<_>>()));
        services.iter().for_each(warn);
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    async fn run(self) -> Result<ExitCode, Failure> {
        let (config, registry) = self.config.read_part(&Part::service_account(&self.name)).await?;
        let editor = Editor { registry: &registry, rules: &config.grants, now: now() };
        let service = editor.service(&self.name)?.settings();
        if self.json {
            println!("{:#}", view(&service));
            return Ok(ExitCode::SUCCESS);
        }
        println!("name     {}", service.name);
        println!("account  {}", service.account);
        println!("kind     {}", service.kind);
        println!("roles    {}", list(&service.roles, "none"));
        println!("state    {}", if service.enabled { "enabled" } else { "disabled: it can't sign in" });
        warn(&service);
        Ok(ExitCode::SUCCESS)
    }
}

impl Passwd {
    async fn run(self) -> Result<ExitCode, Failure> {
        let password = self.password.read()?;
        let session = self.edit.open().await?;
        let done = session
            .edit(&Part::service_account(&self.name), |editor| editor.set_password(&self.name, &password))
            .await?;
        session.store.close().await;
        Ok(done.print())
    }
}

impl Named {
    async fn switch(self, enabled: bool) -> Result<ExitCode, Failure> {
        let session = self.edit.open().await?;
        let switch = |editor: &Editor<'_>| editor.change_service(&self.name, |service| service.enabled = enabled);
        let done = session.edit(&Part::service_account(&self.name), switch).await?;
        session.store.close().await;
        Ok(done.print())
    }

    async fn delete(self) -> Result<ExitCode, Failure> {
        let session = self.edit.open().await?;
        let done = session.edit(&Part::service_account(&self.name), |editor| editor.delete_service(&self.name)).await?;
        session.store.close().await;
        Ok(done.print())
    }
}

fn view(service: &ServiceSettings) -> Value {
    json!({
        "name": service.name,
        "account": service.account,
        "kind": service.kind,
        "roles": service.roles,
        "enabled": service.enabled,
        "warning": service.caution(),
    })
}

/// Beside what is printed, so that no pipe takes it for an entry.
pub(super) fn warn(service: &ServiceSettings) {
    if let Some(caution) = service.caution() {
        eprintln!("scopegate: warning: {caution}");
    }
}
