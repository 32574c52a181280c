use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Map;

use crate::cli::Failure;
use crate::cli::edit::EditArguments;
use crate::cli::material::{MaterialArgument, NewSecret, SecretOutArgument};
use crate::cli::view::{AppView, joined, list};
use crate::config::{SecretsShown, positive_duration};
use crate::model::{AccountId, Algorithm, AuthenticatorName, BotId, ClientId, Family, KeyId, Level, Network};
use crate::registry::{AppRecord, AppSettings, DEFAULT_ACCOUNT, NewKey, Part};
use crate::secret::random;

/// Create an app, with its first key if it has any
///
/// Without a key of its own, an app that signs with HS256, HS384 or HS512 gets a secret that is made and printed here.
#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// What people call it; no other app of the account has this name
    #[arg(long)]
    name: String,
    /// What its tokens call it; `cs-` and a random UUID if absent
    #[arg(long, value_name = "ID", value_parser = ClientId::new)]
    client_id: Option<ClientId>,
    /// The account that it belongs to
    #[arg(long, value_name = "ID", value_parser = AccountId::new, default_value = DEFAULT_ACCOUNT)]
    account: AccountId,
    /// How far it reaches: `bot`, the bots that are named here; `account` (or `admin`), all of its account
    #[arg(long, value_parser = level)]
    level: Option<Level>,
    /// A bot that it acts on; several times for several
    #[arg(long = "bot", value_name = "ID", value_parser = BotId::new)]
    bots: Vec<BotId>,
    /// An algorithm that it signs with; HS256 if absent
    #[arg(long = "alg", value_name = "ALGORITHM")]
    algorithms: Vec<Algorithm>,
    /// A kind of route that it may be used with, such as kore; all if absent
    #[arg(long = "authenticator", value_name = "NAME", value_parser = AuthenticatorName::new)]
    authenticators: Vec<AuthenticatorName>,
    /// Take no token without a jti, and each one once
    #[arg(long)]
    enforce_jti: bool,
    /// Take encrypted tokens alone
    #[arg(long)]
    enforce_jwe: bool,
    /// Take no token without exp, also where the route would
    #[arg(long)]
    require_exp: bool,
    /// Take no token that is good for longer
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    max_lifetime: Option<Duration>,
    /// A network that its calls may come from, such as 10.0.0.0/8, or one address; several times for several, from anywhere
    /// if absent
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<Network>,
    #[command(flatten)]
    material: MaterialArgument,
    /// Make no key: for an app whose tokens are issued here, or that gets its key later. Without --alg it signs nothing
    #[arg(long, conflicts_with_all = ["MaterialArgument", "kid", "secret_out"])]
    no_key: bool,
    /// The name of its key, which tokens may give as kid
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

/// What a new app of these settings touches.
fn part_of(settings: &AppSettings) -> Part {
    let (bots, app_names) = (settings.bots.clone(), [settings.name.clone()].into());
    Part { bots, app_names, ..Part::app(&settings.client_id).and(Part::account(&settings.account)) }
}

fn level(text: &str) -> Result<Level, String> {
    match text {
        "bot" => Ok(Level::Bot),
        "account" | "admin" => Ok(Level::Account),
        _ => Err("write bot or account".into()),
    }
}

impl Create {
    pub async fn run(mut self) -> Result<ExitCode, Failure> {
        let settings = self.settings()?;
        if !self.no_key && self.material.is_made() && settings.algorithms.iter().all(|a| a.family() != Family::Hmac) {
            let algorithms = list(&settings.algorithms, "");
            let why = format!("an app that signs with {algorithms} needs its public key: --public-key or --jwk FILE");
            return Err(Failure::new(why));
        }
        let (key, made) = if self.no_key {
            (None, None)
        } else {
            let (material, made) = self.material.read_or_make(&self.out)?;
            (Some(NewKey { kid: self.kid.take(), material }), made)
        };
        let (session, id) = (self.edit.make().await?, settings.client_id.clone());
        let part = part_of(&settings);
        let edit = session.edit(&part, |editor| editor.create_app(settings.clone(), key.clone()));
        let done = NewSecret::handed_over(made.as_ref(), session.dry_run, edit).await?;
        if !done.is_committed() {
            session.store.close().await;
            match done.rehearsed_json().filter(|_| self.json) {
                Some(json) => println!("{json}"),
                None => _ = done.print(),
            }
            return Ok(done.exit_code());
        }
        let registry = session.part(&Part::app(&id)).await?;
        session.store.close().await;
        let editor = session.editor(&registry);
        let record = editor.app(&id)?;
        if self.json {
            let secret = made.as_ref().and_then(NewSecret::text);
            let secret = secret.map(|secret| ("client_secret".to_owned(), secret.into()));
            println!("{}", joined(&AppView::of(record, editor.rules), Map::from_iter(secret))?);
        } else {
            let viewable = session.config.registry.secrets == SecretsShown::Viewable;
            tell(record, made.as_ref(), viewable);
        }
        Ok(done.exit_code())
    }

    fn settings(&self) -> Result<AppSettings, Failure> {
        let level = self.level.unwrap_or(if self.bots.is_empty() { Level::Account } else { Level::Bot });
        match (level, self.bots.is_empty()) {
            (Level::Bot, true) => {
                return Err(Failure::new("an app of level bot acts on bots: name them with --bot ID"));
            }
            (Level::Account, false) => {
                return Err(Failure::new("an app of level account acts on all bots of its account: leave --bot out"));
            }
            _ => {}
        }
        let client_id = match &self.client_id {
            Some(id) => id.clone(),
            None => ClientId::from_random(random()?),
        };
        let algorithms = match &self.algorithms[..] {
            [] if !self.no_key => &[Algorithm::Hs256],
            given => given,
        };
        Ok(AppSettings {
            client_id,
            name: self.name.clone(),
            account: self.account.clone(),
            level,
            bots: self.bots.iter().cloned().collect(),
            authenticators: self.authenticators.iter().cloned().collect(),
            algorithms: algorithms.iter().copied().collect(),
            enforce_jti: self.enforce_jti,
            enforce_jwe: self.enforce_jwe,
            require_exp: self.require_exp,
            max_lifetime: self.max_lifetime,
            networks: self.networks.iter().copied().collect(),
            enabled: true,
        })
    }
}

/// For a person: what the app's owner needs, and what is still to be done.
fn tell(record: &AppRecord, made: Option<&NewSecret>, viewable: bool) {
    let app = &record.settings;
    println!(
        "created app {:?}, number {}, of level {} in account {}",
        app.name, record.number.0, app.level, app.account
    );
    println!("client id      {}", app.client_id);
    if let Some(made) = made {
        made.tell(viewable);
    }
    if record.keys.is_empty() {
        println!(
            "it has no key: its tokens are issued here, or it gets one with `scopegate key add {}`",
            app.client_id
        );
    }
    if app.enforce_jwe {
        println!("\nIts tokens have to be encrypted; this prints the public key for it:");
        println!("  scopegate encryption show --app {}", app.client_id);
    }
    println!("\nIt has no scopes yet, so it can call next to nothing:");
    let bot = if app.bots.len() > 1 { " --bot BOT" } else { "" };
    println!("  scopegate scope grant --app {}{bot} SCOPE…", app.client_id);
    if app.level == Level::Bot {
        println!("  scopegate scope publish --app {}      (not live before)", app.client_id);
    }
    println!("`scopegate catalog scopes --level {}` lists the scopes.", app.level);
}
