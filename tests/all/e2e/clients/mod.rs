//! The tools and programs on the side of whoever calls: `jwt mint` for ICR apps, `agent`, and the examples.

mod agent;
mod examples;
mod lint;
mod mint;
mod pem;

use std::process::{Command, Output};
use std::sync::OnceLock;

use super::harness::{App, Call, Gateway, Recorder, Registry, Reply, Setup};

const APP_ID: &str = "123456";
const KEY: &str = include_str!("../../support/keys/rsa.pem");
const PUBLIC_KEY: &str = include_str!("../../support/keys/rsa.pub.pem");
const ED25519_KEY: &str = include_str!("../../support/keys/ed25519.pem");

/// By the rules of ICR apps' own tokens (platforms.md section 3.1).
const ROUTES: &str = r#"
[authenticator.app]
kind = "jwt"
algorithms = ["RS256"]
app_claims = ["iss"]
require_exp = true
leeway = "0s"
max_lifetime = "10m"
[[route]]
id = "app"
methods = ["GET"]
path = "/app"
upstream = "apps"
authenticator = "app"
scope = "any"
"#;

/// A gateway, an app of it, and the app's key in `app.key`.
struct World {
    gateway: Gateway,
    url: String,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let upstream = Recorder::start();
        let setup = Setup::new("", &format!("[upstream.apps]\nurls = [{:?}]\n{ROUTES}", upstream.url()));
        setup.write("app.key", KEY);
        setup.write("app.pub", PUBLIC_KEY);
        let app = App::new(APP_ID, "default", &[], &[]).algorithms(&["RS256"]).key("public_key_file = \"app.pub\"");
        let gateway = Gateway::start(setup, &Registry::new().app(&app));
        let url = format!("http://{}", gateway.proxy);
        World { gateway, url }
    })
}

impl World {
    fn call(&self, token: &str) -> Reply {
        self.gateway.call(&Call::get("/app").bearer(token.trim_end()))
    }

    /// Runs a command in the folder of the key.
    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        super::harness::scopegate(self.gateway.setup.path(), arguments, environment)
    }

    /// A token of the fixture's key and app, minted with more arguments: its claims, and what was warned of.
    fn mint(&self, more: &[&str]) -> (String, String) {
        let arguments = ["jwt", "mint", "--profile", "icr", "--app-id", APP_ID, "--key-file", "app.key"];
        super::harness::texts(&self.run(&[&arguments[..], more].concat(), &[]))
    }

    /// A program that is no part of the gateway, with these variables and nothing else of the environment.
    fn program(&self, name: &str, environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(name);
        command.current_dir(self.gateway.setup.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.envs(environment.iter().copied());
        command
    }
}

/// The claims of a token.
fn claims(token: &str) -> serde_json::Value {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let payload = token.split('.').nth(1).unwrap_or_else(|| panic!("no token: {token:?}"));
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
