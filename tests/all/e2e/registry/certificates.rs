//! Keys in certificates, as openssl makes them.

use std::process::Command;

use serde_json::{Value, json};

use super::{create, text};
use crate::e2e::harness::{Call, Gateway, Recorder, Setup, Token, eventually, part, texts};

const ROUTE: &str = r#"
[authenticator.bearer]
kind = "jwt"
algorithms = ["RS256", "ES256", "ES384", "EdDSA"]
[[route]]
id = "any"
methods = ["GET"]
path = "/any"
authenticator = "bearer"
scope = "any"
"#;

fn setup(upstream: &str) -> Setup {
    Setup::new("", &format!("[upstream.bots]\nurls = [{upstream:?}]\n{ROUTE}"))
}

fn offline() -> Setup {
    setup("http://127.0.0.1:9")
}

fn start() -> (Gateway, Recorder) {
    let upstream = Recorder::start();
    (Gateway::serve(setup(&upstream.url()), &[]), upstream)
}

fn any(token: &str) -> Call {
    Call::get("/any").bearer(token)
}

/// Makes `NAME.key` and `NAME.pem`, a certificate of it that signs itself; further arguments go to `openssl req -x509`.
fn certify(setup: &Setup, name: &str, kind: &[&str], more: &[&str]) {
    let (key, certificate, subject) = (format!("{name}.key"), format!("{name}.pem"), format!("/CN={name}"));
    openssl(setup, &[&["genpkey", "-quiet", "-out", &key][..], kind].concat());
    let request = ["req", "-x509", "-key", &key, "-out", &certificate, "-subj", &subject];
    openssl(setup, &[&request[..], more].concat());
}

/// A certificate of the key of another that was good in 2020.
fn outdate(setup: &Setup, name: &str, outdated: &str) {
    setup.write(
        "ca.conf",
        "[ca]\ndefault_ca=d\n[d]\ndatabase=db\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n",
    );
    setup.write("db", "");
    setup.write("serial", "01\n");
    let key = format!("{name}.key");
    openssl(setup, &["req", "-new", "-key", &key, "-subj", "/CN=old", "-out", "request"]);
    let times = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"];
    let out = format!("{outdated}.pem");
    let sign = ["ca", "-batch", "-notext", "-selfsign", "-config", "ca.conf", "-keyfile", &key, "-in", "request"];
    openssl(setup, &[&sign[..], &times, &["-out", &out]].concat());
}

fn openssl(setup: &Setup, arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).current_dir(setup.path()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", texts(&output).1);
    texts(&output).0
}

fn sign(setup: &Setup, id: &str, algorithm: &str, key: &str) -> String {
    let token = setup.succeed(&["jwt", "mint", "--client-id", id, "--alg", algorithm, "--key-file", key]);
    token.trim().to_owned()
}

fn keys(setup: &Setup, id: &str) -> Value {
    setup.json(&["key", "list", id, "--json"])
}

const P256: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

#[test]
fn an_app_signs_with_the_key_of_its_certificate_of_each_kind() {
    let (gateway, _upstream) = start();
    let setup = &gateway.setup;
    let p384 = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
    for (name, algorithm, kind) in [
        ("rsa", "RS256", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..]),
        ("p256", "ES256", &P256),
        ("p384", "ES384", &p384),
        ("ed25519", "EdDSA", &["-algorithm", "ED25519"]),
    ] {
        certify(setup, name, kind, &["-days", "365"]);
        let certificate = format!("{name}.pem");
        let made = ["--alg", algorithm, "--public-key", &certificate];
        let app = create(setup, &[&["--name", name][..], &made].concat());
        let id = text(&app["client_id"]);
        let token = sign(setup, &id, algorithm, &format!("{name}.key"));
        eventually("the app is there", || (gateway.call(&any(&token)).status == 200).then_some(()));
        let shown = &keys(setup, &id)[0]["certificate"];
        let printed = openssl(setup, &["x509", "-in", &certificate, "-noout", "-fingerprint", "-sha256"]);
        assert_eq!(text(&shown["fingerprint"]), printed.trim().split_once('=').unwrap().1);
        assert!(shown["warning"].is_null(), "{shown}");
        assert!(setup.succeed(&["key", "list", &id]).contains(&text(&shown["fingerprint"])));
    }
}

#[test]
fn a_certificate_that_ends_soon_is_warned_of_and_one_that_has_ended_is_refused() {
    let setup = offline();
    certify(&setup, "soon", &P256, &["-days", "12"]);
    let app = create(&setup, &["--name", "soon", "--alg", "ES256", "--public-key", "soon.pem"]);
    let id = text(&app["client_id"]);
    let list = setup.succeed(&["key", "list", &id]);
    assert!(list.contains("its certificate ends in 11 days"), "{list}");
    let token = sign(&setup, &id, "ES256", "soon.key");
    let story = setup.explain(&token, "GET", "/any", &[]).1;
    assert!(story.contains("whose certificate ends at"), "{story}");
    let (_, later) = setup.explain(&token, "GET", "/any", &["--at", "2999-01-01T00:00:00Z"]);
    assert!(later.contains("key.expired"), "{later}");

    outdate(&setup, "soon", "old");
    let refused = setup.refused(&["key", "add", &id, "--public-key", "old.pem"]);
    assert!(refused.contains("the certificate ended at 2020-02-01T00:00:00.000Z: give the renewed one"), "{refused}");
    let refused = setup.refused(&["app", "create", "--name", "x", "--alg", "ES256", "--public-key", "old.pem"]);
    assert!(refused.contains("the certificate ended at"), "{refused}");
    // A file may hold it, as an export does; the list says how it stands, and no token is taken.
    let pem = setup.read("old.pem");
    setup.write("old.toml", &format!("version = 1\n[[key]]\napp = {id:?}\nkid = \"old\"\npublic_key = '''{pem}'''\n"));
    setup.succeed(&["apply", "-f", "old.toml"]);
    let old = &keys(&setup, &id)[1];
    assert_eq!(
        (&old["state"], &old["certificate"]["warning"]),
        (&json!("expired"), &json!("its certificate has ended"))
    );
    setup.succeed(&["key", "delete", &id, "old"]);
    // The renewed one of the same key stands beside the former, and then in its place.
    openssl(&setup, &["req", "-x509", "-key", "soon.key", "-out", "new.pem", "-subj", "/CN=new", "-days", "400"]);
    setup.succeed(&["key", "add", &id, "--public-key", "new.pem"]);
    let first = keys(&setup, &id)[0]["number"].to_string();
    setup.succeed(&["key", "delete", &id, &first]);
    assert!(setup.explain(&token, "GET", "/any", &["--at", "2027-01-05T00:00:00Z"]).1.contains("ok      signature"));
}

#[test]
fn a_file_takes_a_chain_and_an_export_gives_the_certificate_back() {
    let setup = offline();
    certify(&setup, "own", &P256, &["-days", "365"]);
    certify(&setup, "ca", &P256, &["-days", "3650"]);
    setup.write("chain.pem", &format!("{}{}", setup.read("own.pem"), setup.read("ca.pem")));
    let app = "version = 1\n[[app]]\nclient_id = \"x\"\nname = \"x\"\nlevel = \"account\"\nalgorithms = [\"ES256\"]\n";
    setup.write("app.toml", &format!("{app}[[key]]\napp = \"x\"\npublic_key_file = \"chain.pem\"\n"));
    setup.succeed(&["apply", "-f", "app.toml"]);
    assert_eq!(setup.succeed(&["apply", "-f", "app.toml"]), "nothing to change\n");
    let export = setup.succeed(&["export"]);
    assert!(export.contains(setup.read("own.pem").trim()), "{export}");
    setup.write("export.toml", &export);
    assert_eq!(setup.succeed(&["apply", "-f", "export.toml", "--prune"]), "nothing to change\n");
    let audit = setup.succeed(&["audit", "--json"]);
    assert!(audit.contains(&text(&keys(&setup, "x")[0]["certificate"]["fingerprint"])), "{audit}");

    setup.write("both.pem", &format!("{}{}", setup.read("own.pem"), setup.read("own.key")));
    openssl(&setup, &["req", "-new", "-key", "own.key", "-subj", "/CN=own", "-out", "request.pem"]);
    setup.write("cut.pem", &setup.read("own.pem").replacen("MII", "MIJ", 1));
    for (file, why) in [
        ("both.pem", "this is a private key"),
        ("own.key", "this is a private key"),
        ("request.pem", "this is a request for a certificate"),
        ("cut.pem", "certificate"),
    ] {
        let refused = setup.refused(&["key", "add", "x", "--public-key", file]);
        assert!(refused.contains(why) && !refused.contains("MII"), "{file}: {refused}");
        setup.write("bad.toml", &format!("{app}[[key]]\napp = \"x\"\npublic_key_file = {file:?}\n"));
        let refused = setup.refused(&["apply", "-f", "bad.toml"]);
        assert!(refused.contains("bad.toml:9") && refused.contains(why), "{file}: {refused}");
    }
}

#[test]
fn a_token_that_names_a_certificate_is_held_to_it() {
    let (gateway, _upstream) = start();
    let setup = &gateway.setup;
    certify(setup, "rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], &["-days", "365"]);
    let app = create(setup, &["--name", "rsa", "--alg", "RS256", "--public-key", "rsa.pem"]);
    let id = text(&app["client_id"]);
    let thumbprint = text(&keys(setup, &id)[0]["certificate"]["thumbprint"]);
    let token = |thumbprint: &str| {
        let mut token = Token::of(&id);
        (token.header["alg"], token.header["x5t#S256"]) = (json!("RS256"), json!(thumbprint));
        let input = format!("{}.{}", part(token.header.to_string()), part(token.claims.to_string()));
        setup.write("input", &input);
        openssl(setup, &["dgst", "-sha256", "-sign", "rsa.key", "-out", "signature", "input"]);
        format!("{input}.{}", part(std::fs::read(setup.path().join("signature")).unwrap()))
    };
    eventually("the app is there", || (gateway.call(&any(&token(&thumbprint))).status == 200).then_some(()));
    let strange = gateway.call(&any(&token("SB2i544eimxxGVl8suKNKaPifsm9Bo6dxINFazqSH6o")));
    let line = gateway.logged(strange.request_id());
    assert_eq!((strange.status, &line["reason"]), (401, &json!("key.unknown")));
    assert!(text(&line["expected"]).contains(&thumbprint), "{line}");
    assert!(text(&line["found"]).starts_with("x5t#S256 "), "{line}");
    let decoded = setup.run(&["jwt", "decode", &token(&thumbprint)]);
    assert!(texts(&decoded).0.contains(&thumbprint));
}
