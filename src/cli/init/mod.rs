//! `scopegate init`: a first configuration, a first app, and the commands that use them.

mod files;
mod need;
mod words;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::files::Files;
use self::need::{Need, Place};
use self::words::{configuration, next_steps, registry};
use super::Failure;
use super::ask::ask_person;
use crate::config;
use crate::model::{AccountId, ClientId};

/// Write a first configuration: where calls go, a route, and an app that may use it
///
/// On a terminal, and without --upstream, it asks for what is missing. Nothing that is there is written over.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Where good calls go, such as http://127.0.0.1:9000
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// The folder to write to; it is made if it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Where the gateway takes calls [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where health and metrics are
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8082")]
    telemetry_listen: SocketAddr,
    /// The account that the app belongs to [default: acme]
    #[arg(long, value_name = "NAME", value_parser = AccountId::new)]
    account: Option<AccountId>,
    /// The client id of the first app [default: first-app]
    #[arg(long, value_name = "NAME", value_parser = ClientId::new)]
    app: Option<ClientId>,
    /// A platform whose routes and tokens are wanted, several times for several. Without one: two routes of your own, to
    /// read and to write
    #[arg(long = "profile", value_enum, value_name = "NAME")]
    profiles: Vec<Profile>,
    /// Write over the files that are there, also the app's secret
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Profile {
    Kore,
    Khoros,
    Icr,
    Oauth,
}

impl Init {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let answers = self.answers()?;
        let needs = needs(&self.profiles);
        let place = self.place(answers)?;
        if needs.contains(&Need::Khoros) && !place.listen.ip().is_loopback() {
            return Err(Failure::new(format!(
                "the khoros profile takes passwords, which would travel in the clear to {}: begin with --listen \
                 127.0.0.1:{}, and give the gateway a certificate before it listens elsewhere",
                place.listen,
                place.listen.port()
            )));
        }
        let first = needs.iter().enumerate().map(|(n, need)| need.prepare(&place, n == 0));
        let parts = first.collect::<Result<Vec<_>, _>>()?;
        let configuration = configuration(&place, &needs, &parts);
        // What can't be served is not written.
        config::parse("config/scopegate.toml", &configuration)
            .map_err(|error| Failure::new(format!("this would not be a good configuration\n{error}")))?;
        let mut files = Files::new(&self.dir);
        files.add("config/scopegate.toml", configuration);
        files.add("config/registry.toml", registry(&place, &parts));
        for (name, secret) in parts.iter().flat_map(|part| &part.secrets) {
            files.add_secret(&format!("config/{name}"), secret.clone());
        }
        for written in files.write(self.force)? {
            println!("wrote {written}");
        }
        print!("\n{}", next_steps(&self.dir, &place, &parts));
        Ok(ExitCode::SUCCESS)
    }

    /// What was given, or is answered; only who gave no upstream is asked.
    fn answers(&self) -> Result<Answers, Failure> {
        let (upstream, app) = (self.upstream.clone(), self.app.clone());
        let (account, listen) = (self.account.clone(), self.listen);
        if upstream.is_some() {
            return Ok(Answers { upstream, app, account, listen });
        }
        let upstream = ask_person("Where good calls go (such as http://127.0.0.1:9000)")?;
        if upstream.is_none() {
            return Err(Failure::new("say where good calls go: --upstream http://127.0.0.1:9000"));
        }
        Ok(Answers {
            upstream,
            app: asked(app, "The first app's client id [first-app]", ClientId::new)?,
            account: asked(account, "The account that it belongs to [acme]", AccountId::new)?,
            listen: asked(listen, "Where the gateway takes calls [127.0.0.1:8080]", |text| text.parse())?,
        })
    }

    fn place(&self, answers: Answers) -> Result<Place, Failure> {
        let upstream = answers.upstream.unwrap_or_default();
        check_upstream(&upstream)?;
        let listen = answers.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
        if listen.port() == 0 {
            return Err(Failure::new("--listen with port 0 would be another port at each start: name one"));
        }
        if listen == self.telemetry_listen {
            return Err(Failure::new(format!("calls and metrics can't both be at {listen}: --telemetry-listen")));
        }
        let account = answers.account.map_or_else(|| AccountId::new("acme"), Ok)?;
        let app = answers.app.map_or_else(|| ClientId::new("first-app"), Ok)?;
        Ok(Place { upstream, listen, telemetry: self.telemetry_listen, account, app })
    }
}

#[derive(Debug)]
struct Answers {
    upstream: Option<String>,
    app: Option<ClientId>,
    account: Option<AccountId>,
    listen: Option<SocketAddr>,
}

fn asked<T, E: std::fmt::Display>(
    given: Option<T>,
    question: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, Failure> {
    if given.is_some() {
        return Ok(given);
    }
    let Some(answer) = ask_person(question)? else { return Ok(None) };
    read(&answer).map(Some).map_err(|error| Failure::new(format!("{answer:?}: {error}")))
}

fn needs(profiles: &[Profile]) -> Vec<Need> {
    let mut needs = Vec::new();
    for profile in profiles {
        let need = match profile {
            Profile::Kore => Need::Kore,
            Profile::Khoros => Need::Khoros,
            Profile::Icr => Need::Icr,
            Profile::Oauth => Need::Oauth,
        };
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    if needs.is_empty() { vec![Need::Bearer] } else { needs }
}

/// In the words of the configuration, which has the say.
fn check_upstream(url: &str) -> Result<(), Failure> {
    let section = format!("[upstream.backend]\nurls = [{}]\n", words::text(url));
    let wrong = |error: config::ConfigError| {
        let plain = |message: String| message.replace("upstream.backend.urls: ", "");
        let faults: Vec<_> = error.0.into_iter().map(|fault| plain(fault.message)).collect();
        Failure::new(format!("--upstream: {}", faults.join("; ")))
    };
    config::parse("--upstream", &section).map(drop).map_err(wrong)
}
