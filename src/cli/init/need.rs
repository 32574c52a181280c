//! What a configuration may be for: routes of one's own, or those of a platform, each with an app that uses them.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::Failure;
use super::words::text;
use crate::jose::IssuingMaterial;
use crate::model::{AccountId, Algorithm, ClientId, shell_word};
use crate::secret::{Secret, random};

/// The bot of the first app on that platform.
const BOT: &str = "st-first";
/// Who deals with tokens on that platform.
const SERVICE: &str = "care";

/// What is known of the gateway to be.
pub(super) struct Place {
    pub upstream: String,
    pub listen: SocketAddr,
    pub telemetry: SocketAddr,
    pub account: AccountId,
    pub app: ClientId,
}

impl Place {
    /// How this machine reaches it.
    pub fn url(&self) -> String {
        let (ip, port) = (self.listen.ip(), self.listen.port());
        match ip {
            ip if ip.is_unspecified() && ip.is_ipv4() => format!("http://127.0.0.1:{port}"),
            ip if ip.is_unspecified() => format!("http://[::1]:{port}"),
            _ => format!("http://{}", self.listen),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Bearer,
    Kore,
    Khoros,
    Icr,
    Oauth,
}

/// What one need adds to each file, and the commands that show it at work.
pub(super) struct Part {
    pub configuration: String,
    pub registry: String,
    /// Files beside the registry file.
    pub secrets: Vec<(String, Secret)>,
    pub steps: Vec<Step>,
}

/// A command, and what it gives: a status, or a word.
pub(super) struct Step {
    pub command: String,
    pub gives: Option<&'static str>,
}

fn step(command: String) -> Step {
    Step { command, gives: None }
}

fn call(command: String, gives: &'static str) -> Step {
    Step { command, gives: Some(gives) }
}

const ANSWER: &str = "the upstream's own answer";

/// An app in the making.
struct App<'a> {
    place: &'a Place,
    id: String,
    /// In front of the ending of its file.
    stem: String,
}

impl Need {
    /// The name of the profile, if it is one.
    pub fn profile(self) -> Option<&'static str> {
        match self {
            Self::Bearer => None,
            Self::Kore => Some("kore"),
            Self::Khoros => Some("khoros"),
            Self::Icr => Some("icr"),
            Self::Oauth => Some("oauth"),
        }
    }

    /// `is_first`: the app has the name that was given, and no ending.
    pub fn prepare(self, place: &Place, is_first: bool) -> Result<Part, Failure> {
        let ending = self.profile().filter(|_| !is_first).map(|profile| format!("-{profile}"));
        let id = format!("{}{}", place.app, ending.unwrap_or_default());
        let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
        let stem = id.chars().map(safe).collect::<String>();
        let stem = if stem.starts_with('.') { format!("app{stem}") } else { stem };
        let app = App { place, id, stem };
        match self {
            Self::Bearer => app.bearer(),
            Self::Kore => app.kore(),
            Self::Khoros => app.khoros(),
            Self::Icr => app.icr(),
            Self::Oauth => app.oauth(),
        }
    }
}

/// Two routes, and what they ask for.
fn routes(authenticator: &str) -> String {
    format!(
        r#"
# A scope is what a route asks for and an app is granted.
[[scope]]
id = "api:read"
title = "Read"
levels = ["account"]

[[scope]]
id = "api:write"
title = "Change"
levels = ["account"]

# Whatever no route names is refused. These two let everything through that an app with the scope may do; more specific
# paths, such as "/reports/{{*file}}", win over them.
[[route]]
id = "read"
methods = ["GET", "HEAD"]
path = ["/", "/{{*rest}}"]
upstream = "backend"
authenticator = "{authenticator}"
scope = {{ account = "api:read" }}

[[route]]
id = "write"
methods = ["POST", "PUT", "PATCH", "DELETE"]
path = ["/", "/{{*rest}}"]
upstream = "backend"
authenticator = "{authenticator}"
scope = {{ account = "api:write" }}
"#
    )
}

impl App<'_> {
    fn bearer(&self) -> Result<Part, Failure> {
        let configuration = format!(
            "\n# How callers prove who they are: a token in \"Authorization: Bearer TOKEN\", signed by the app.\n\
             [authenticator.bearer]\nkind = \"jwt\"\nalgorithms = [\"HS256\", \"RS256\", \"ES256\", \"EdDSA\"]\n\
             max_lifetime = \"24h\"               # exp no further ahead of now\n{}",
            routes("bearer")
        );
        let registry = self.entry("account", &["bearer"], &["HS256"], "")
            + &self.secret_key()
            + &self.grant("account", self.place.account.as_str(), "api:read")
            + "# scopes = [\"api:read\", \"api:write\"]    # so that it may change things, too\n";
        let url = self.place.url();
        let steps = vec![
            step(format!(
                "TOKEN=$(scopegate jwt mint --client-id {} --secret-file {})",
                self.word(),
                self.file("secret")
            )),
            call(format!("curl -si -H \"Authorization: Bearer $TOKEN\" {url}/"), ANSWER),
            call(format!("curl -si {url}/"), "401: no token"),
            call(
                format!("curl -si -H \"Authorization: Bearer $TOKEN\" -X DELETE {url}/"),
                "403: the app has no api:write",
            ),
        ];
        Ok(Part { configuration, registry, secrets: self.shared_secret()?, steps })
    }

    fn kore(&self) -> Result<Part, Failure> {
        let registry = format!("\n[[bot]]\nid = \"{BOT}\"\naccount = {}\n", text(self.place.account.as_str()))
            + &self.entry("bot", &["kore"], &["HS256"], &format!("bots = [\"{BOT}\"]\n"))
            + &self.secret_key()
            + &self.grant("bot", BOT, "logs:change_logs");
        let url = format!("{}/api/public/bot/{BOT}/changelogs", self.place.url());
        let steps = vec![
            step(format!(
                "TOKEN=$(scopegate jwt mint --client-id {} --secret-file {})",
                self.word(),
                self.file("secret")
            )),
            call(format!("curl -si -H \"auth: $TOKEN\" {url}"), ANSWER),
            call(format!("curl -si {url}"), "401: no token"),
        ];
        Ok(Part { configuration: String::new(), registry, secrets: self.shared_secret()?, steps })
    }

    fn khoros(&self) -> Result<Part, Failure> {
        if self.id.contains(['/', '\\', ';', '%']) {
            let why = "the khoros profile has the app's id in paths: no slash, semicolon or percent sign may be in it";
            return Err(Failure::new(format!("{:?}: {why}", self.id)));
        }
        let password = Secret::new(format!("{}\n", URL_SAFE_NO_PAD.encode(random::<18>()?)));
        let registry = self.entry("account", &["khoros"], &[], "")
            + &format!(
                "\n# Who deals with the tokens of apps, by name and password.\n[[service_account]]\nname = \"{SERVICE}\"\n\
                 account = {}\nroles = [\"bot-api\"]\npassword_file = \"secrets/{SERVICE}.password\"\n",
                text(self.place.account.as_str())
            );
        let url = self.place.url();
        let tokens = format!("{url}/api/v2/tokens/khorosapi/ownerId/{}", crate::model::path_segment(&self.id, ""));
        let password_file = format!("config/secrets/{SERVICE}.password");
        let steps = vec![
            step(format!(
                "TOKEN=$(curl -s -u \"{SERVICE}:$(cat {password_file})\" -X POST {} | sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/')",
                shell_word(&tokens)
            )),
            call(format!("curl -si -H \"Authorization: Bearer $TOKEN\" -d '{{}}' {url}/bots/v3/respond"), ANSWER),
            call(format!("curl -si -d '{{}}' {url}/bots/v3/respond"), "401: no token"),
        ];
        let secrets = vec![(format!("secrets/{SERVICE}.password"), password)];
        Ok(Part { configuration: String::new(), registry, secrets, steps })
    }

    fn icr(&self) -> Result<Part, Failure> {
        let material = IssuingMaterial::generate(Algorithm::Rs256)?;
        let public = material.prepare()?.public()?.to_pem().unwrap_or_default();
        let id = text(&self.id);
        let registry = self.entry("account", &["icr", "icr-installation"], &["RS256"], "")
            + &format!(
                "\n# The app keeps the private half.\n[[key]]\napp = {id}\npublic_key = '''\n{public}'''\n\n\
                 # Where it is installed, and what its tokens for that may reach.\n[[installation]]\napp = {id}\naccount = {}\n\
                 permissions = {{ contents = \"read\" }}\n",
                text(self.place.account.as_str())
            );
        let url = self.place.url();
        let steps = vec![
            step(format!(
                "TOKEN=$(scopegate jwt mint --profile icr --app-id {} --key-file {})",
                self.word(),
                self.file("pem")
            )),
            call(format!("curl -si -H \"Authorization: Bearer $TOKEN\" {url}/app/installations"), "200"),
            call(format!("curl -si {url}/app"), "401: no token"),
        ];
        Ok(Part { configuration: String::new(), registry, secrets: vec![(self.name("pem"), material.to_pem())], steps })
    }

    fn oauth(&self) -> Result<Part, Failure> {
        let url = self.place.url();
        let issuer = format!(
            "\n[oauth]\nissuer = \"{url}\"    # by which clients know this gateway: https and its public name, once it has one\n"
        );
        let registry = self.entry("account", &["oauth-client", "oauth"], &["HS256"], "")
            + &self.secret_key()
            + &self.grant("account", self.place.account.as_str(), "api:read");
        let assertion = format!(
            "ASSERTION=$(scopegate jwt mint --client-id {id} --app-claim iss --claim sub={id} --claim aud={url} --secret-file {})",
            self.file("secret"),
            id = self.word()
        );
        let token = format!(
            "TOKEN=$(curl -s -d grant_type=client_credentials -d client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \
             -d \"client_assertion=$ASSERTION\" {url}/oauth2/token | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')"
        );
        let steps = vec![
            step(assertion),
            step(token),
            call(format!("curl -si -H \"Authorization: Bearer $TOKEN\" {url}/"), ANSWER),
            call(format!("curl -si {url}/"), "401: no token"),
        ];
        Ok(Part { configuration: issuer + &routes("oauth"), registry, secrets: self.shared_secret()?, steps })
    }

    fn entry(&self, level: &str, authenticators: &[&str], algorithms: &[&str], more: &str) -> String {
        let reach = if level == "bot" { "on the bots below" } else { "on all of its account" };
        format!(
            "\n[[app]]\nclient_id = {id}\nname = {id}\naccount = {account}\nlevel = \"{level}\"    # {reach}\n{more}\
             authenticators = {authenticators:?}\nalgorithms = {algorithms:?}\n\
             # networks = [\"10.0.0.0/8\"]    # where its calls may come from; absent: from anywhere\n",
            id = text(&self.id),
            account = text(self.place.account.as_str()),
        )
    }

    fn secret_key(&self) -> String {
        format!("\n[[key]]\napp = {}\nsecret_file = {}\n", text(&self.id), text(&self.name("secret")))
    }

    fn grant(&self, kind: &str, target: &str, scope: &str) -> String {
        format!("\n[[grant]]\napp = {}\n{kind} = {}\nscopes = [\"{scope}\"]\n", text(&self.id), text(target))
    }

    fn shared_secret(&self) -> Result<Vec<(String, Secret)>, Failure> {
        let mut line = Secret::generate()?.expose().to_vec();
        line.push(b'\n');
        Ok(vec![(self.name("secret"), Secret::new(line))])
    }

    /// Beside the registry file.
    fn name(&self, ending: &str) -> String {
        format!("secrets/{}.{ending}", self.stem)
    }

    /// From the folder that the commands run in.
    fn file(&self, ending: &str) -> String {
        shell_word(&format!("config/{}", self.name(ending)))
    }

    fn word(&self) -> String {
        shell_word(&self.id)
    }
}
