//! Tokens as others make them: PyJWT, jose for Node, Ruby's jwt, golang-jwt, and the openssl command.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::harness::{App, Call, Gateway, Recorder, Registry, Setup, now, part};

const ALGORITHMS: [&str; 4] = ["HS256", "RS256", "ES256", "EdDSA"];

/// Key files, and a gateway with an app for each algorithm.
struct World {
    gateway: Gateway,
    upstream: Recorder,
    keys: PathBuf,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn library(path: &str) -> PathBuf {
    let path = root().join("target/interop").join(path);
    assert!(path.exists(), "run tests/run once, it prepares target/interop");
    path
}

fn openssl(arguments: &[&str], folder: &Path) {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn client_id(algorithm: &str) -> String {
    format!("interop-{algorithm}")
}

/// The one world of these tests.
fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let upstream = Recorder::start();
        let setup = Setup::bearer(&upstream.url(), "");
        let keys = setup.path().to_owned();
        let make = |file: &str, options: &[&str]| {
            openssl(&[&["genpkey", "-quiet", "-out", file], options].concat(), &keys);
            openssl(&["pkey", "-in", file, "-pubout", "-out", &file.replace("key", "pub")], &keys);
        };
        make("RS256.key", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
        make("ES256.key", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        make("EdDSA.key", &["-algorithm", "ED25519"]);
        let mut registry = Registry::new();
        for algorithm in ALGORITHMS {
            let app = App::new(&client_id(algorithm), "default", &[], &[]).algorithms(&[algorithm]);
            registry = registry.app(&if algorithm == "HS256" {
                setup.write("HS256.key", &app.secret());
                app
            } else {
                app.key(format!("public_key_file = \"{algorithm}.pub\""))
            });
        }
        // An app that takes both, for whoever signs with the public key as if it were a secret.
        let both = App::new(BOTH, "default", &[], &[]).algorithms(&["RS256", "HS256"]);
        let keys_of_both =
            format!("public_key_file = \"RS256.pub\"\n[[key]]\napp = {BOTH:?}\nsecret = {:?}", both.secret());
        let gateway = Gateway::start(setup, &registry.app(&both.key(keys_of_both)));
        World { gateway, upstream, keys }
    })
}

const BOTH: &str = "interop-both";

/// Who signs.
#[derive(Clone, Copy, Debug)]
enum Signer {
    PyJwt,
    Jose,
    Ruby,
    Golang,
    Openssl,
}

impl Signer {
    /// Ruby's jwt signs with EdDSA only with another library's help.
    fn algorithms(self) -> &'static [&'static str] {
        match self {
            Self::Ruby => &ALGORITHMS[..3],
            _ => &ALGORITHMS,
        }
    }

    /// Signs with the key in this file; `headers` are members of the header besides `alg` and `typ`.
    fn sign(self, algorithm: &str, key: &Path, claims: &Value, headers: &Value) -> String {
        let order = json!({
            "alg": algorithm, "key": fs::read_to_string(key).unwrap(), "claims": claims, "headers": headers,
        });
        match self {
            Self::PyJwt => {
                let script = root().join("tests/interop/mint_pyjwt.py");
                run(Command::new(library("venv/bin/python")).arg(script), &order.to_string())
            }
            Self::Jose => {
                library("node_modules/jose");
                run(Command::new("node").arg(root().join("tests/interop/mint_jose.mjs")), &order.to_string())
            }
            Self::Ruby => run(Command::new("ruby").arg(root().join("tests/interop/mint_ruby.rb")), &order.to_string()),
            Self::Golang => run(&mut Command::new(library("bin/mint_golang")), &order.to_string()),
            Self::Openssl => {
                let mut command = Command::new("bash");
                command.arg(root().join("tests/interop/mint_openssl.sh")).arg(algorithm).arg(key);
                let mut header = json!({ "alg": algorithm, "typ": "JWT" });
                header.as_object_mut().unwrap().extend(headers.as_object().unwrap().clone());
                run(command.args([claims.to_string(), header.to_string()]), "")
            }
        }
    }
}

pub fn run(command: &mut Command, input: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // A script that reads nothing may be gone before it is written to.
    _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn claims(client_id: &str, exp: i64) -> Value {
    json!({ "appId": client_id, "sub": "interop", "iat": now(), "exp": exp })
}

fn call(token: &str, mark: &str) -> super::harness::Reply {
    world().gateway.call(&Call::get("/any/thing").bearer(token).mark(mark))
}

#[track_caller]
fn refused(token: &str, code: &str, reason: &str, mark: &str) {
    let world = world();
    let reply = call(token, mark);
    assert_eq!((reply.status, reply.code().as_str()), (401, code));
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert!(reply.header("www-authenticate").unwrap().starts_with("Bearer error=\"invalid_token\""));
    assert_eq!(world.gateway.reason(&reply), reason);
    assert!(world.upstream.marked(mark).is_empty());
}

fn works_with(signer: Signer) {
    let world = world();
    for algorithm in signer.algorithms() {
        let mark = format!("{signer:?} {algorithm}");
        let key = world.keys.join(format!("{algorithm}.key"));
        let sign = |claims: &Value| signer.sign(algorithm, &key, claims, &json!({}));
        let good = sign(&claims(&client_id(algorithm), now() + 60));
        assert_eq!(call(&good, &mark).status, 200, "{mark}");
        let [seen] = &world.upstream.marked(&mark)[..] else { panic!("{mark}: not one call") };
        assert_eq!(seen.header("x-scopegate-app"), Some(client_id(algorithm).as_str()));
        assert_eq!(seen.header("x-scopegate-subject"), Some("interop"));

        let bad = format!("{mark} refused");
        let parts: Vec<_> = good.split('.').collect();
        let other = claims(&client_id(algorithm), now() + 3600);
        let tampered = format!("{}.{}.{}", parts[0], part(other.to_string()), parts[2]);
        refused(&tampered, "token.invalid", "token.signature_invalid", &bad);
        refused(&sign(&claims(&client_id(algorithm), now() - 60)), "token.expired", "token.expired", &bad);
        refused(&sign(&claims("interop-nobody", now() + 60)), "token.invalid", "app.unknown", &bad);
        let unsigned = part(r#"{"alg":"none","typ":"JWT"}"#);
        refused(&format!("{unsigned}.{}.", parts[1]), "token.malformed", "token.malformed", &bad);
        let still_signed = format!("{unsigned}.{}.{}", parts[1], parts[2]);
        refused(&still_signed, "token.invalid", "token.algorithm_not_allowed", &bad);
    }
}

#[test]
fn f167_tokens_of_pyjwt_are_judged_rightly() {
    works_with(Signer::PyJwt);
}

#[test]
fn f167_tokens_of_jose_are_judged_rightly() {
    works_with(Signer::Jose);
}

#[test]
fn f167_tokens_of_ruby_are_judged_rightly() {
    works_with(Signer::Ruby);
}

#[test]
fn f167_tokens_of_golang_are_judged_rightly() {
    works_with(Signer::Golang);
}

#[test]
fn f167_tokens_of_the_openssl_command_are_judged_rightly() {
    works_with(Signer::Openssl);
}

#[test]
fn a_public_key_is_never_taken_for_a_secret() {
    let world = world();
    let public = world.keys.join("RS256.pub");
    // PyJWT refuses to sign like this.
    for signer in [Signer::Jose, Signer::Openssl] {
        let sign = |id: &str| signer.sign("HS256", &public, &claims(id, now() + 60), &json!({}));
        refused(&sign("interop-RS256"), "token.invalid", "token.algorithm_not_allowed", "confused");
        // Where the app takes both algorithms, it is the key that does not fit.
        refused(&sign(BOTH), "token.invalid", "token.signature_invalid", "confused");
    }
}

#[test]
fn the_order_and_the_spelling_of_the_type_do_not_matter() {
    let world = world();
    let key = world.keys.join("ES256.key");
    let claims = claims("interop-ES256", now() + 60);
    for headers in [json!({ "typ": "jwt" }), json!({ "typ": "JWT", "x": 1 })] {
        assert_eq!(call(&Signer::Jose.sign("ES256", &key, &claims, &headers), "types").status, 200, "{headers}");
    }
    let access_token = Signer::Jose.sign("ES256", &key, &claims, &json!({ "typ": "at+jwt" }));
    refused(&access_token, "token.type_not_allowed", "token.type_not_allowed", "other-types");
}
