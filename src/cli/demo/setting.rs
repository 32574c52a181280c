//! The example world of the demo: two accounts, their bots, and apps that may do different things.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::Failure;
use crate::clock::Timestamp;
use crate::jose::{IssuingKey, IssuingMaterial, SigningKey, sign};
use crate::model::Algorithm;
use crate::secret::{Secret, random};

pub(super) const BOT: &str = "st-0c6e2d3a-9e8f-5c62-8a57-1d2f3e4a5b6c";
pub(super) const OTHER_BOT: &str = "st-7f1b9c0d-2a3e-5d41-9b68-4c5d6e7f8091";

/// An app that is installed on an account, and one that has a token of ours.
pub(super) const ICR_APP: &str = "Iv1.demo";
pub(super) const INSTALLATION: i64 = 7;
pub(super) const KHOROS_APP: &str = "support-bot";
pub(super) const SERVICE: &str = "care";

/// An app of the demo: client id, name, level, and where it stands.
pub(super) struct DemoApp {
    pub client_id: &'static str,
    name: &'static str,
    account: &'static str,
    bot: Option<&'static str>,
    scopes: &'static [&'static str],
    secret: Secret,
}

/// The world, with secrets of this run.
pub(super) struct Setting {
    now: Timestamp,
    /// May read change logs of its bot.
    pub ci: DemoApp,
    /// May read chat history of its bot, and no change logs.
    pub chat: DemoApp,
    /// May act on every bot of its account.
    pub admin: DemoApp,
    /// Belongs to the other account.
    pub stranger: DemoApp,
    /// Signs tokens of the ICR app with its private key.
    icr_key: IssuingKey,
    /// Of the service account that deals with Khoros' tokens.
    pub password: String,
}

impl Setting {
    pub fn new(now: Timestamp) -> Result<Self, Failure> {
        let app = |client_id, name, account, bot, scopes| -> Result<DemoApp, Failure> {
            Ok(DemoApp { client_id, name, account, bot, scopes, secret: Secret::generate()? })
        };
        Ok(Self {
            now,
            ci: app(
                "cs-2f8a3f7a-6c1e-5e0a-9b46-3b1d4f2c7a90",
                "ci",
                "acme",
                Some(BOT),
                &["logs:change_logs", "bot_definition:bot_export"],
            )?,
            chat: app(
                "cs-51d0c6be-93a4-5b7f-8c12-6e7f8091a2b3",
                "chat-reports",
                "acme",
                Some(BOT),
                &["chat_history:read"],
            )?,
            admin: app(
                "cs-9a8b7c6d-5e4f-5a3b-8c1d-0e9f8a7b6c5d",
                "admin-console",
                "acme",
                None,
                &["logs:change_logs", "user_management:user_management"],
            )?,
            stranger: app(
                "cs-c4d5e6f7-8091-5a2b-9c3d-4e5f60718293",
                "ci",
                "globex",
                Some(OTHER_BOT),
                &["logs:change_logs"],
            )?,
            icr_key: IssuingMaterial::generate(Algorithm::Rs256).and_then(|material| material.prepare())?,
            password: URL_SAFE_NO_PAD.encode(random::<15>()?),
        })
    }

    pub fn configuration(listen: &SocketAddr, telemetry: &SocketAddr, upstream: &str, folder: &Path) -> String {
        let database = |name: &str| Value::from(format!("sqlite://{}", folder.join(name).display()));
        format!(
            r#"
profiles = {profiles}
[proxy]
listen = "{listen}"
reason_header = true
[telemetry]
listen = "{telemetry}"
[store]
url = {url}
[replay]
url = {replay}
[upstream.bots]
urls = [{upstream}]
[authenticator.bearer]
kind = "jwt"
algorithms = ["HS256"]
[[route]]
id = "items"
methods = ["GET", "POST"]
path = "/items/{{*rest}}"
authenticator = "bearer"
scope = "any"
"#,
            // Passwords are taken on loopback alone, where nobody listens in.
            profiles = if listen.ip().is_loopback() { r#"["kore", "icr", "khoros"]"# } else { r#"["kore", "icr"]"# },
            url = database("scopegate.db"),
            replay = database("replay.db"),
            upstream = Value::from(upstream),
        )
    }

    pub fn registry(&self) -> String {
        let mut text = format!(
            "version = 1\n[[account]]\nid = \"acme\"\n[[account]]\nid = \"globex\"\n\
             [[bot]]\nid = \"{BOT}\"\naccount = \"acme\"\n[[bot]]\nid = \"{OTHER_BOT}\"\naccount = \"globex\"\n"
        );
        for app in [&self.ci, &self.chat, &self.admin, &self.stranger] {
            let secret = String::from_utf8_lossy(app.secret.expose());
            let (level, bots, target) = match app.bot {
                Some(bot) => ("bot", format!("{:?}", [bot]), format!("bot = {bot:?}")),
                None => ("account", "[]".into(), format!("account = {:?}", app.account)),
            };
            text.push_str(&format!(
                "[[app]]\nclient_id = {id:?}\nname = {name:?}\naccount = {account:?}\nlevel = {level:?}\nbots = {bots}\n\
                 algorithms = [\"HS256\"]\n[[key]]\napp = {id:?}\nsecret = {secret:?}\n\
                 [[grant]]\napp = {id:?}\n{target}\nscopes = {scopes:?}\n",
                id = app.client_id,
                name = app.name,
                account = app.account,
                scopes = app.scopes,
            ));
        }
        let mut jwk = self.icr_key.jwk("");
        if let Some(members) = jwk.as_object_mut() {
            members.retain(|name, _| matches!(name.as_str(), "kty" | "n" | "e"));
        }
        let (n, e) = (jwk["n"].as_str().unwrap_or_default(), jwk["e"].as_str().unwrap_or_default());
        text.push_str(&format!(
            "[[app]]\nclient_id = {ICR_APP:?}\nname = \"release-notes\"\naccount = \"acme\"\nlevel = \"account\"\n\
             authenticators = [\"icr\", \"icr-installation\"]\nalgorithms = [\"RS256\"]\n\
             [[key]]\napp = {ICR_APP:?}\njwk = {{ kty = \"RSA\", n = {n:?}, e = {e:?} }}\n\
             [[installation]]\nid = {INSTALLATION}\napp = {ICR_APP:?}\naccount = \"globex\"\n\
             permissions = {{ contents = \"read\" }}\nrepositories = [{{ id = 1, name = \"website\" }}]\n\
             [[app]]\nclient_id = {KHOROS_APP:?}\nname = \"support bot\"\naccount = \"acme\"\nlevel = \"account\"\n\
             authenticators = [\"khoros\"]\n\
             [[service_account]]\nname = {SERVICE:?}\naccount = \"acme\"\nroles = [\"bot-api\"]\npassword = {:?}\n",
            self.password
        ));
        text
    }

    /// A token of the ICR app, which ends so long from now.
    pub fn icr_token(&self, life: Duration) -> Result<String, Failure> {
        let (iat, exp) = (self.now.before(Duration::from_secs(60)).secs(), self.now.after(life).secs());
        let claims = json!({ "iss": ICR_APP, "iat": iat, "exp": exp });
        let signed = self.icr_key.sign("JWT", "demo", &claims.to_string());
        signed.map_err(|_| Failure::new("the demo's key does not sign"))
    }

    /// A token that is good for a day.
    pub fn token(&self, app: &DemoApp) -> Result<String, Failure> {
        signed(app, &json!({ "appId": app.client_id, "sub": "demo", "exp": self.now.after(DAY).secs() }))
    }

    /// A token for one call, good for half an hour.
    pub fn single_use(&self, app: &DemoApp) -> Result<String, Failure> {
        let exp = self.now.after(Duration::from_secs(1800)).secs();
        signed(app, &json!({ "appId": app.client_id, "sub": "demo", "jti": "demo-1", "exp": exp }))
    }

    /// A token that was good until a minute ago.
    pub fn expired(&self, app: &DemoApp) -> Result<String, Failure> {
        let exp = self.now.before(Duration::from_secs(60)).secs();
        signed(app, &json!({ "appId": app.client_id, "sub": "demo", "exp": exp }))
    }

    /// A token that says another subject than was signed.
    pub fn tampered(&self, app: &DemoApp) -> Result<String, Failure> {
        let (token, other) = (self.token(app)?, signed(app, &json!({ "appId": app.client_id, "sub": "root" }))?);
        let (signature, payload) = (token.rsplit('.').next(), other.rsplit_once('.').map(|(input, _)| input));
        Ok(format!("{}.{}", payload.unwrap_or_default(), signature.unwrap_or_default()))
    }

    /// A token whose claim has a name that is not quite right.
    pub fn misnamed(&self, app: &DemoApp) -> Result<String, Failure> {
        signed(app, &json!({ "appid": app.client_id, "exp": self.now.after(DAY).secs() }))
    }
}

fn signed(app: &DemoApp, claims: &Value) -> Result<String, Failure> {
    Ok(sign(Algorithm::Hs256, None, &claims.to_string(), &SigningKey::from_secret(&app.secret))?)
}

const DAY: Duration = Duration::from_secs(24 * 3600);
