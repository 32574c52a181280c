//! ICR apps, row by row of the acceptance list: real sockets and a real store, a clock that the test moves.

mod access;
mod installations;
mod jwt;
mod keys;
mod octokit;
mod routes;
mod strangers;
mod words;

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use scopegate::clock::Timestamp;
use scopegate::model::Reason;
use serde_json::{Value, json};

use super::harness::{Call, Node, Recorder, Reply};
use crate::support::tokens::{OTHER_RSA, OTHER_RSA_PUBLIC, RSA, RSA_PUBLIC};

pub const START: i64 = 1_795_348_800;
pub const SECOND: Duration = Duration::from_secs(1);
pub const HOUR: Duration = Duration::from_secs(3600);

/// Signs with [`RSA`]; installed on all accounts.
pub const OCTO: &str = "Iv1.octo";
/// Signs with [`OTHER_RSA`]; installed on `acme`.
pub const RIVAL: &str = "Iv1.rival";
/// Has no key.
pub const KEYLESS: &str = "Iv1.keyless";

/// Of [`OCTO`] on the organization `acme`: may write contents and read issues, in `hello`, `World` and `sub`.
pub const ACME: i64 = 4001;
/// Of [`OCTO`] on the user `ana`: may read contents, everywhere.
pub const ANA: i64 = 4002;
/// Of [`OCTO`] on `frozen`: suspended.
pub const FROZEN: i64 = 4003;
/// Of [`RIVAL`] on `acme`.
pub const RIVALS: i64 = 4004;

pub fn registry() -> String {
    let app = |id: &str, name: &str| {
        format!(
            "[[app]]\nclient_id = {id:?}\nname = {name:?}\naccount = \"default\"\nlevel = \"account\"\nalgorithms = [\"RS256\"]\n\
             authenticators = [\"icr\", \"icr-installation\"]\n"
        )
    };
    let key = |id: &str, pem: &str| format!("[[key]]\napp = {id:?}\npublic_key = '''{pem}'''\n");
    let accounts = ["acme", "ana", "frozen", "stranger"].map(|id| format!("[[account]]\nid = {id:?}\n"));
    let apps = [app(OCTO, "Octo's App"), app(RIVAL, "rival"), app(KEYLESS, "keyless")].concat();
    let keys = [key(OCTO, RSA_PUBLIC), key(RIVAL, OTHER_RSA_PUBLIC)].concat();
    format!("version = 1\n{}{apps}{keys}{}", accounts.concat(), installations(""))
}

/// Those of the registry; `acme` are lines in place of what the first of them may do.
pub fn installations(acme: &str) -> String {
    let may = "permissions = { contents = \"write\", issues = \"read\" }\n\
               repositories = [{ id = 11, name = \"hello\" }, { id = 12, name = \"World\" }, { id = 13, name = \"sub\" }]";
    let acme = if acme.is_empty() { may } else { acme };
    format!(
        "[[installation]]\nid = {ACME}\napp = {OCTO:?}\naccount = \"acme\"\n{acme}\n\
         [[installation]]\nid = {ANA}\napp = {OCTO:?}\naccount = \"ana\"\ntarget = \"user\"\npermissions = {{ contents = \"read\" }}\n\
         [[installation]]\nid = {FROZEN}\napp = {OCTO:?}\naccount = \"frozen\"\nsuspended = true\n\
         [[installation]]\nid = {RIVALS}\napp = {RIVAL:?}\naccount = \"acme\"\npermissions = {{ contents = \"admin\" }}\n"
    )
}

const ROUTES: &str = r#"
[[route]]
id = "get-contents"
methods = ["GET"]
path = "/repos/{owner}/{repo}/contents/{*path}"
authenticator = "icr-installation"
permission = { name = "contents", level = "read", owner_param = "owner", repository_param = "repo" }
[[route]]
id = "put-contents"
methods = ["PUT"]
path = "/repos/{owner}/{repo}/contents/{*path}"
authenticator = "icr-installation"
permission = { name = "contents", level = "write", owner_param = "owner", repository_param = "repo" }
[[route]]
id = "issues"
methods = ["GET", "POST"]
path = "/issues"
authenticator = "icr-installation"
permission = { name = "issues", level = "read" }
[[route]]
id = "any"
methods = ["GET"]
path = "/any"
authenticator = "icr-installation"
scope = "any"
"#;

/// A gateway with the profile and routes of the test's own, and its upstream.
pub struct World {
    pub node: Node,
    pub upstream: Recorder,
}

impl World {
    pub fn new() -> Self {
        Self::with("")
    }

    /// With more sections in the configuration.
    pub fn with(sections: &str) -> Self {
        Self::at(Timestamp::from_secs(START), sections, &registry())
    }

    pub fn at(now: Timestamp, sections: &str, registry: &str) -> Self {
        let upstream = Recorder::start();
        let sections = format!("[upstream.repos]\nurls = [{:?}]\n{sections}\n{ROUTES}", upstream.url());
        Self { node: Node::start("profiles = [\"icr\"]", &sections, registry, now), upstream }
    }

    pub fn now(&self) -> i64 {
        scopegate::clock::Clock::Manual(std::sync::Arc::clone(&self.node.clock)).now().secs()
    }

    pub fn call(&self, call: &Call) -> Reply {
        self.node.call(call)
    }

    pub fn app(&self, token: &str) -> Reply {
        self.call(&Call::get("/app").bearer(token))
    }

    /// A good token of the app's own.
    pub fn jwt(&self) -> String {
        sign(&json!({ "iss": OCTO, "iat": self.now() - 60, "exp": self.now() + 540 }))
    }

    pub fn ask(&self, installation: i64, body: &str) -> Reply {
        let path = format!("/app/installations/{installation}/access_tokens");
        self.call(&Call::post(path, body).bearer(self.jwt()))
    }

    /// A token for an installation, narrowed as the body says.
    #[track_caller]
    pub fn token(&self, installation: i64, body: &str) -> String {
        let reply = self.ask(installation, body);
        assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
        reply.json()["token"].as_str().unwrap().to_owned()
    }

    /// How a call with the token is answered; it reaches the upstream if that is 200.
    #[track_caller]
    pub fn status(&self, method: &str, path: &str, token: &str) -> u16 {
        let before = self.upstream.all().len();
        let reply = self.call(&Call::new(method, path).bearer(token));
        assert_eq!(self.upstream.all().len() - before, usize::from(reply.status == 200));
        reply.status
    }

    /// A refusal as the platform writes it, with the Date that clients measure their clock by, and its reason in the log.
    #[track_caller]
    pub fn check(&self, reply: &Reply, status: u16, message: &str, reason: Reason) {
        let body = reply.json();
        assert_eq!((reply.status, body["message"].as_str()), (status, Some(message)));
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
        assert!(body["documentation_url"].as_str().unwrap().starts_with("docs/reasons.md#"), "{body}");
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(self.now().unsigned_abs()));
        assert_eq!(reply.header("date"), Some(date.as_str()));
        assert_eq!(self.node.logged(reply).reason, Some(reason));
    }
}

/// RS256, with [`RSA`].
pub fn sign(claims: &Value) -> String {
    sign_with(&json!({ "alg": "RS256", "typ": "JWT" }), claims, RSA)
}

/// As the other app signs, or with an app's second key.
pub fn sign_other(claims: &Value) -> String {
    sign_with(&json!({ "alg": "RS256", "typ": "JWT" }), claims, OTHER_RSA)
}

/// With the algorithm that the header names.
pub fn sign_with(header: &Value, claims: &Value, key: &str) -> String {
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let input = format!("{}.{}", encode(header), encode(claims));
    let (algorithm, key) = match header["alg"].as_str().unwrap() {
        "HS256" => (Algorithm::HS256, EncodingKey::from_secret(key.as_bytes())),
        "RS384" => (Algorithm::RS384, EncodingKey::from_rsa_pem(key.as_bytes()).unwrap()),
        "PS256" => (Algorithm::PS256, EncodingKey::from_rsa_pem(key.as_bytes()).unwrap()),
        _ => (Algorithm::RS256, EncodingKey::from_rsa_pem(key.as_bytes()).unwrap()),
    };
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key, algorithm).unwrap();
    format!("{input}.{signature}")
}
