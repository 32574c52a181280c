//! Encrypted tokens as others make them: jose for Node, and jwcrypto for Python.

use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::harness::{App, Call, Gateway, Recorder, Registry, Reply, Setup, now};
use super::interop::{library, root, run};

const ENCRYPTIONS: [&str; 4] = ["A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"];

/// A gateway with an app for each kind of key; each has to encrypt its tokens.
struct World {
    gateway: Gateway,
    upstream: Recorder,
}

/// The app whose key is of the kind that the algorithm needs.
fn app(algorithm: &str) -> App {
    let kind = if algorithm.starts_with("ECDH") { "p256" } else { "rsa" };
    App::new(&format!("interop-{kind}"), "default", &[], &[]).settings("enforce_jwe = true")
}

fn jwk(app: &App) -> Value {
    world().gateway.setup.json(&["encryption", "show", "--app", &app.client_id, "--jwk"])
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let upstream = Recorder::start();
        let setup = Setup::bearer(&upstream.url(), "");
        setup.edit("kind = \"jwt\"", "kind = \"jwt\"\nencrypted = \"allowed\"");
        let registry = Registry::new().apps(&[app("RSA-OAEP"), app("ECDH-ES")]);
        setup.apply(&registry);
        let rotate = ["encryption", "rotate", "--app", "interop-p256", "--kind", "p256", "--overlap", "0s"];
        setup.succeed(&rotate);
        World { gateway: Gateway::serve(setup, &[]), upstream }
    })
}

#[derive(Clone, Copy, Debug)]
enum Library {
    Jose,
    JwCrypto,
}

impl Library {
    fn encrypt(self, order: &Value) -> String {
        let mut command = match self {
            Self::Jose => {
                library("node_modules/jose");
                let mut command = Command::new("node");
                command.arg(root().join("tests/interop/encrypt_jose.mjs"));
                command
            }
            Self::JwCrypto => {
                let mut command = Command::new(library("venv/bin/python"));
                command.arg(root().join("tests/interop/encrypt_jwcrypto.py"));
                command
            }
        };
        run(&mut command, &order.to_string())
    }

    /// Which of the algorithms that a gateway has to refuse it can make tokens with.
    fn refused(self) -> &'static [(&'static str, &'static str, Option<&'static str>)] {
        match self {
            Self::Jose => {
                &[("dir", "A256GCM", None), ("ECDH-ES+A128KW", "A256GCM", None), ("RSA-OAEP-512", "A256GCM", None)]
            }
            Self::JwCrypto => &[
                ("dir", "A256GCM", None),
                ("RSA1_5", "A128CBC-HS256", None),
                ("RSA-OAEP", "A192GCM", None),
                ("RSA-OAEP", "A256GCM", Some("DEF")),
                ("ECDH-ES", "A128GCM", Some("DEF")),
            ],
        }
    }
}

fn order(algorithm: &str, encryption: &str) -> Value {
    let app = app(algorithm);
    let jwk = jwk(&app);
    json!({
        "header": { "alg": algorithm, "enc": encryption, "kid": jwk["kid"], "cty": "JWT" },
        "jwk": jwk,
        "secret": app.secret(),
        "claims": { "appId": app.client_id, "sub": "interop", "exp": now() + 60 },
    })
}

fn call(token: &str, mark: &str) -> Reply {
    world().gateway.call(&Call::get("/any/thing").bearer(token).mark(mark))
}

fn works_with(library: Library) {
    let (world, refused) = (world(), format!("{library:?} refused"));
    let refuse = |token: &str, reason: &str| {
        let reply = call(token, &refused);
        assert_eq!((reply.status, reply.code().as_str()), (401, "token.invalid"), "{token}");
        assert_eq!(world.gateway.reason(&reply), reason, "{token}");
    };
    for algorithm in ["RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A256KW"] {
        for encryption in ENCRYPTIONS {
            let mark = format!("{library:?} {algorithm} {encryption}");
            let order = order(algorithm, encryption);
            let token = library.encrypt(&order);
            assert_eq!(call(&token, &mark).status, 200, "{mark}");
            let [seen] = &world.upstream.marked(&mark)[..] else { panic!("{mark}: not one call") };
            assert_eq!(seen.header("x-scopegate-app"), order["claims"]["appId"].as_str());
            assert_eq!(seen.header("x-scopegate-subject"), Some("interop"));
        }
        let mut bare = order(algorithm, "A256GCM");
        bare["text"] = bare["claims"].to_string().into();
        refuse(&library.encrypt(&bare), "token.jwe_invalid");
        let mut nobody = order(algorithm, "A256GCM");
        nobody["header"]["kid"] = "k-of-nobody".into();
        refuse(&library.encrypt(&nobody), "token.jwe_invalid");
        let mut forged = order(algorithm, "A256GCM");
        forged["secret"] = "a secret of nobody in this registry, and long enough".into();
        refuse(&library.encrypt(&forged), "token.signature_invalid");
        let mut strange = order(algorithm, "A256GCM");
        strange["claims"]["appId"] =
            app(if algorithm.starts_with("RSA") { "ECDH-ES" } else { "RSA-OAEP" }).client_id.into();
        refuse(&library.encrypt(&strange), "token.jwe_invalid");
    }
    for (algorithm, encryption, zip) in library.refused() {
        let mut order = order(algorithm, encryption);
        if let Some(zip) = zip {
            order["header"]["zip"] = (*zip).into();
        }
        if *algorithm == "dir" {
            order["secret"] = "a content key that has 32 bytes.".into();
        }
        refuse(&library.encrypt(&order), "token.jwe_invalid");
    }
    assert!(world.upstream.marked(&refused).is_empty());
}

#[test]
fn tokens_that_jose_encrypts_are_judged_rightly() {
    works_with(Library::Jose);
}

#[test]
fn tokens_that_jwcrypto_encrypts_are_judged_rightly() {
    works_with(Library::JwCrypto);
}
