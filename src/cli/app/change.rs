use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::Failure;
use crate::cli::edit::EditArguments;
use crate::config::positive_duration;
use crate::model::{Algorithm, AuthenticatorName, BotId, ClientId, InvalidNetwork, Network};
use crate::registry::{AppSettings, Change, Part};

/// Change an app's settings; what is not named stays
///
/// Level and client id stay for good: make another app for those. `app move` gives it to another account.
#[derive(Debug, Args)]
pub(in crate::cli) struct Set {
    /// The app's client id
    #[arg(value_name = "APP", value_parser = ClientId::new)]
    app: ClientId,
    #[command(flatten)]
    settings: SettingArguments,
    #[command(flatten)]
    edit: EditArguments,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct SettingArguments {
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// A bot that it acts on as well
    #[arg(long = "add-bot", value_name = "ID", value_parser = BotId::new)]
    add_bots: Vec<BotId>,
    /// A bot that it acts on no more; what it was granted there is gone
    #[arg(long = "remove-bot", value_name = "ID", value_parser = BotId::new)]
    remove_bots: Vec<BotId>,
    /// The kinds of route that it may be used with, instead of the former ones; `any` for all
    #[arg(long = "authenticator", value_name = "NAME", value_parser = AuthenticatorName::new)]
    authenticators: Vec<AuthenticatorName>,
    /// The algorithms that it keeps; `key rotate --alg` brings it another one
    #[arg(long = "alg", value_name = "ALGORITHM")]
    algorithms: Vec<Algorithm>,
    /// Whether each token needs a jti, and is good once
    #[arg(long)]
    enforce_jti: Option<OnOff>,
    /// Whether encrypted tokens alone are taken
    #[arg(long)]
    enforce_jwe: Option<OnOff>,
    /// Whether each token needs an exp
    #[arg(long)]
    require_exp: Option<OnOff>,
    /// How long tokens may be good at most, or `none`
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    max_lifetime: Option<Lifetime>,
    /// The networks that its calls may come from, such as 10.0.0.0/8, instead of the former ones; `any` for anywhere
    #[arg(long = "network", value_name = "CIDR", value_parser = origin)]
    networks: Vec<Origin>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnOff {
    On,
    Off,
}

#[derive(Clone, Copy, Debug)]
struct Lifetime(Option<Duration>);

fn lifetime(text: &str) -> Result<Lifetime, String> {
    if text == "none" { Ok(Lifetime(None)) } else { positive_duration(text).map(|span| Lifetime(Some(span))) }
}

/// A network, or all of them.
#[derive(Clone, Copy, Debug)]
struct Origin(Option<Network>);

fn origin(text: &str) -> Result<Origin, InvalidNetwork> {
    if text == "any" { Ok(Origin(None)) } else { text.parse().map(|network| Origin(Some(network))) }
}

impl Set {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let session = self.edit.open().await?;
        let part = Part::app(&self.app).and(self.settings.part());
        let done = session.edit(&part, |editor| editor.change_app(&self.app, |app| self.settings.apply(app))).await?;
        session.store.close().await;
        Ok(done.print())
    }
}

impl SettingArguments {
    /// What is looked at beside the app.
    fn part(&self) -> Part {
        let (bots, app_names) = (self.add_bots.iter().cloned().collect(), self.name.iter().cloned().collect());
        Part { bots, app_names, ..Part::default() }
    }

    fn apply(&self, app: &mut AppSettings) {
        if let Some(name) = &self.name {
            app.name.clone_from(name);
        }
        app.bots.extend(self.add_bots.iter().cloned());
        app.bots.retain(|bot| !self.remove_bots.contains(bot));
        if !self.authenticators.is_empty() {
            let named = self.authenticators.iter().filter(|name| name.as_str() != "any");
            app.authenticators = named.cloned().collect();
        }
        if !self.algorithms.is_empty() {
            app.algorithms = self.algorithms.iter().copied().collect();
        }
        for (switch, value) in [
            (&mut app.enforce_jti, self.enforce_jti),
            (&mut app.enforce_jwe, self.enforce_jwe),
            (&mut app.require_exp, self.require_exp),
        ] {
            *switch = value.map_or(*switch, |value| value == OnOff::On);
        }
        if let Some(Lifetime(lifetime)) = self.max_lifetime {
            app.max_lifetime = lifetime;
        }
        if !self.networks.is_empty() {
            app.networks = self.networks.iter().filter_map(|origin| origin.0).collect();
        }
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Switch {
    /// The app's client id
    #[arg(value_name = "APP", value_parser = ClientId::new)]
    app: ClientId,
    #[command(flatten)]
    edit: EditArguments,
}

impl Switch {
    pub async fn run(self, enabled: bool) -> Result<ExitCode, Failure> {
        let session = self.edit.open().await?;
        let part = Part::app(&self.app);
        let done = session.edit(&part, |editor| editor.change_app(&self.app, |app| app.enabled = enabled)).await?;
        session.store.close().await;
        Ok(done.print())
    }
}

/// Delete an app with its keys and grants; its tokens are refused from then on
#[derive(Debug, Args)]
pub(in crate::cli) struct Delete {
    /// The app's client id
    #[arg(value_name = "APP", value_parser = ClientId::new)]
    app: ClientId,
    #[command(flatten)]
    edit: EditArguments,
}

impl Delete {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let session = self.edit.open().await?;
        let done = session.edit(&Part::app(&self.app), |_| Ok(vec![Change::DeleteApp(self.app.clone())])).await?;
        session.store.close().await;
        Ok(done.print())
    }
}
