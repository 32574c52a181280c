//! Rows about the tools for people: tokens from the command line, calls ready to be made, and what is never shown.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::assert_credentials;
use super::world::{ACCOUNT, BOT, FIXTURE_SECRET, SECOND_BOT, changelogs, ci, fixture, world};
use crate::e2e::harness::{App, Call, Gateway, Recorder, Registry, Setup, Token, binary, now, texts};

/// Runs a shell script with these variables and nothing else of the environment.
fn shell(script: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", script, "script"]).args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.envs(variables.iter().copied()).output().unwrap()
}

/// `jwt mint` for the fixture app, with more arguments.
fn mint(more: &[&str]) -> Output {
    let id = fixture().client_id;
    let arguments = [&["jwt", "mint", "--client-id", &id, "--secret-env", "SECRET"], more].concat();
    crate::e2e::harness::scopegate(world().gateway.setup.path(), &arguments, &[("SECRET", FIXTURE_SECRET)])
}

fn minted(more: &[&str]) -> String {
    let (out, err) = texts(&mint(more));
    assert_eq!(err, "");
    out
}

fn status(token: &str) -> u16 {
    world().call(&Call::get(changelogs(BOT)).auth(token)).status
}

#[test]
fn f003_a_script_with_a_client_id_and_a_secret_calls_the_change_logs() {
    let url = format!("http://{}{}", world().gateway.proxy, changelogs(BOT));
    let script = format!(
        "set -eu\nTOKEN=$({} jwt mint --quiet --secret-env CLIENT_SECRET)\n\
         curl -sS --fail-with-body -H \"auth: $TOKEN\" '{url}'",
        binary()
    );
    let id = fixture().client_id;
    let run = |secret| shell(&script, &[], &[("SCOPEGATE_CLIENT_ID", &id), ("CLIENT_SECRET", secret)]);
    let output = run(FIXTURE_SECRET);
    assert_eq!((output.status.code(), texts(&output).1), (Some(0), String::new()));
    assert_eq!(texts(&output).0, "from the upstream");
    assert_ne!(run("another secret, which is long enough").status.code(), Some(0));
}

#[test]
fn f011_a_token_is_made_and_read_by_tools_of_our_own() {
    let token = minted(&["--alg", "HS256"]);
    assert_eq!(status(token.trim()), 200);
    let decode = |token: &str| {
        let output = world().gateway.setup.run(&["jwt", "decode", token]);
        (output.status.code(), texts(&output).0)
    };
    let (code, text) = decode(token.trim());
    assert_eq!(code, Some(0), "{text}");
    for wanted in ["header {", "\"alg\": \"HS256\"", "claims {", &fixture().client_id, "exp is 20"] {
        assert!(text.contains(wanted), "{wanted:?} is not in {text}");
    }
    let verdict = format!("verdict for kore (header auth): good; app {}", fixture().client_id);
    assert!(text.contains(&verdict) && text.contains("; HS256, key number "), "{text}");

    let (code, text) = decode(&Token::of(&fixture().client_id).sign("another secret, which is long enough"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("verdict for kore (header auth): token.signature_invalid: "), "{text}");
    // Where there is no gateway's configuration, there is no verdict.
    let folder = tempfile::tempdir().unwrap();
    let output = crate::e2e::harness::scopegate(folder.path(), &["jwt", "decode", token.trim()], &[]);
    assert!(output.status.success() && texts(&output).0.contains("the signature was not checked"));
}

#[test]
fn f013_a_wrong_algorithm_is_told_to_the_operator_alone() {
    for (token, algorithm) in [
        (Token::of(&ci().client_id).sign512(&ci().secret()), "HS512"),
        (super::tokens::rsa().sign(&ci().client_id), "RS256"),
    ] {
        let reply = world().call(&Call::get(changelogs(BOT)).auth(&token));
        assert_credentials(&reply);
        assert!(!String::from_utf8_lossy(&reply.body).contains("256") && reply.header("www-authenticate").is_none());
        let line = world().gateway.logged(reply.request_id());
        assert_eq!((&line["expected"], &line["found"]), (&json!("HS256"), &json!(algorithm)));
        let text = world().explain(&token);
        assert!(text.contains(&format!("Expected: HS256. Found: {algorithm}.")), "{text}");
    }
}

#[test]
fn f017_a_token_is_copied_alone_or_in_a_call() {
    // A short secret is worth a warning, and not with --quiet.
    let short = |more: &[&str]| {
        let arguments = [&["jwt", "mint", "--client-id", "x", "--secret-env", "SECRET"], more].concat();
        texts(&crate::e2e::harness::scopegate(world().gateway.setup.path(), &arguments, &[("SECRET", "too short")]))
    };
    assert!(short(&[]).1.contains("no registry takes one of fewer than 32"));
    let (token, err) = short(&["--quiet"]);
    assert_eq!(err, "");
    assert!(
        token.ends_with('\n') && token.trim_end().split('.').count() == 3 && token.lines().count() == 1,
        "{token:?}"
    );

    let base = format!("http://{}", world().gateway.proxy);
    let config = ["-c", "scopegate.toml"];
    let of_api = ["--copy-curl", "--api", "get-change-logs", "--base-url", &base, "--param"];
    let url = format!("{base}{}", changelogs(BOT));
    for arguments in [
        [&of_api[..], &[&format!("botId={BOT}")], &config].concat(),
        [&["--copy-curl", "--url", &url][..], &config].concat(),
        ["--copy-curl", "--url", &url, "--header", "auth"].to_vec(),
    ] {
        let line = minted(&arguments);
        assert!(line.starts_with("curl -sS -i -H 'auth: ey") && line.lines().count() == 1, "{line}");
        let (out, err) = texts(&shell(&line, &[], &[]));
        assert!(out.starts_with("HTTP/1.1 200") && err.is_empty(), "{line}\n{out}{err}");
    }
    for (arguments, wanted) in [
        ([&["--copy-curl"][..], &config].concat(), "say where the command calls"),
        ([&["--copy-curl", "--api", "get-change-logs"][..], &config].concat(), "needs --param botId=…"),
        ([&["--copy-curl", "--api", "get-logs"][..], &config].concat(), "there is no route \"get-logs\""),
        ([&["--copy-curl", "--url", "http://localhost/nowhere"][..], &config].concat(), "no route matches GET"),
        ([&["--copy-curl", "--url", "/path/alone"][..], &config].concat(), "is no address to call"),
        (vec!["--copy-curl", "--url", &url, "-c", "missing.toml"], "name it with --header"),
    ] {
        let output = mint(&arguments);
        assert!(!output.status.success() && texts(&output).1.contains(wanted), "{}", texts(&output).1);
    }
}

#[test]
fn f018_the_exported_curl_script_makes_its_calls() {
    let base = format!("http://{}", world().gateway.proxy);
    let export = |more: &[&str]| {
        let arguments = [&["catalog", "export", "--format", "curl", "--base-url", &base], more].concat();
        world().gateway.setup.succeed(&arguments)
    };
    let token = ci().token();
    let one = export(&["--api", "get-change-logs"]);
    let run = |script: &str, arguments: &[&str], token: &str| {
        shell(script, arguments, &[("TOKEN", token), ("BOT_ID", BOT), ("REQUEST_ID", "1")])
    };
    let output = run(&one, &[], &token);
    assert_eq!((output.status.code(), texts(&output).0), (Some(0), "from the upstream".to_owned()), "{one}");
    assert!(!one.contains(&token));
    let more = run(&one, &["-G", "-d", "limit=10", "-H", "x-mark: f018"], &token);
    assert!(more.status.success(), "{}", texts(&more).1);
    assert_eq!(world().upstream.marked("f018")[0].target, format!("{}?limit=10", changelogs(BOT)));
    let refused = run(&one, &[], &Token::of(&ci().client_id).sign("another secret, which is long enough"));
    assert_eq!(refused.status.code(), Some(22), "an error answered is an error");
    assert!(texts(&refused).0.contains("Invalid SDK credentials"));
    let untold = shell(&one, &[], &[("BOT_ID", BOT)]);
    assert!(!untold.status.success() && texts(&untold).1.contains("TOKEN: the token of the app that calls"));

    let all = export(&[]);
    assert!(run(&all, &["get-change-logs"], &token).status.success());
    let listed = run(&all, &[], &token);
    assert_eq!(listed.status.code(), Some(64));
    let names: Vec<String> =
        texts(&listed).1.lines().skip(1).map(|l| l.split(' ').next().unwrap().to_owned()).collect();
    let calls: usize = world().apis.iter().map(|api| api.methods.len() * api.paths.len()).sum();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), calls, "each call has a name of its own");
    assert!(world().apis.iter().all(|api| names.contains(&api.id)));
}

/// What a value holds in place of `{{name}}` and `:name`.
fn filled(text: &str, variables: &[(&str, &str)]) -> String {
    variables.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
}

#[test]
fn f018_the_exported_postman_collection_makes_its_calls() {
    let base = format!("http://{}", world().gateway.proxy);
    let exported = world().gateway.setup.json(&["catalog", "export", "--format", "postman", "--base-url", &base]);
    assert_eq!(exported["info"]["schema"], "https://schema.getpostman.com/json/collection/v2.1.0/collection.json");
    let variables: Vec<&str> =
        exported["variable"].as_array().unwrap().iter().map(|v| v["key"].as_str().unwrap()).collect();
    assert!(["baseUrl", "token", "botId"].iter().all(|name| variables.contains(name)), "{variables:?}");
    assert_eq!(exported["variable"][0]["value"], base);

    let folders = exported["item"].as_array().unwrap();
    assert!(folders.len() > 5 && folders.iter().all(|f| f["name"].is_string() && f["request"].is_null()));
    let items: Vec<&Value> = folders.iter().flat_map(|folder| folder["item"].as_array().unwrap()).collect();
    let calls: usize = world().apis.iter().map(|api| api.methods.len() * api.paths.len()).sum();
    assert_eq!(items.len(), calls);
    let known = |text: &str| text.split("{{").skip(1).all(|rest| variables.contains(&rest.split("}}").next().unwrap()));
    assert!(items.iter().all(|item| known(&item.to_string())), "every variable is declared");

    let item = items.iter().find(|item| item["id"] == "get-change-logs").unwrap();
    let request = &item["request"];
    let token = ci().token();
    let values = [("baseUrl", base.as_str()), ("token", &token), ("botId", BOT)];
    let mut url = filled(request["url"]["raw"].as_str().unwrap(), &values);
    for variable in request["url"]["variable"].as_array().unwrap() {
        let name = format!(":{}", variable["key"].as_str().unwrap());
        url = url.replace(&name, &filled(variable["value"].as_str().unwrap(), &values));
    }
    let target = url.strip_prefix(&base).unwrap();
    let call = request["header"]
        .as_array()
        .unwrap()
        .iter()
        .fold(Call::new(request["method"].as_str().unwrap(), target), |call, header| {
            call.header(header["key"].as_str().unwrap(), filled(header["value"].as_str().unwrap(), &values))
        });
    assert_eq!(world().call(&call).status, 200, "{call:?}");
}

#[test]
fn f018_the_exported_openapi_document_describes_every_call() {
    let document = world().gateway.setup.json(&[
        "catalog",
        "export",
        "--format",
        "openapi",
        "--base-url",
        "https://bots.example.com/x/",
    ]);
    assert_eq!(
        (&document["openapi"], &document["servers"][0]["url"]),
        (&json!("3.1.0"), &json!("https://bots.example.com/x"))
    );
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(
        (&schemes["kore"]["type"], &schemes["kore"]["in"], &schemes["kore"]["name"]),
        (&json!("apiKey"), &json!("header"), &json!("auth"))
    );
    let tags: BTreeSet<&str> =
        document["tags"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        assert!(path.starts_with('/'), "{path}");
        for (method, operation) in item.as_object().unwrap() {
            check_operation(&document, path, method, operation, &tags);
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{path}: the id is another's too"
            );
        }
    }
    let calls: usize = world().apis.iter().map(|api| api.methods.len() * api.paths.len()).sum();
    assert_eq!(ids.len(), calls);
    assert!(world().apis.iter().all(|api| ids.contains(&api.id)));

    let logs = &document["paths"]["/api/public/bot/{botId}/changelogs"]["get"];
    assert_eq!(logs["operationId"], "get-change-logs");
    assert_eq!(logs["security"], json!([{ "kore": ["logs:change_logs"] }]));
    assert_eq!(logs["x-scopegate-scopes"], json!({ "bot": "logs:change_logs", "account": "logs:change_logs" }));
    let rows = &document["paths"]["/api/public/tables/{table}"]["put"];
    assert_eq!(rows["x-scopegate-permissions"]["permissions"], json!(["read", "write"]), "{rows}");
}

/// What OpenAPI 3.1 asks of an operation.
fn check_operation(document: &Value, path: &str, method: &str, operation: &Value, tags: &BTreeSet<&str>) {
    assert!(["get", "put", "post", "delete", "options", "head", "patch", "trace"].contains(&method), "{path} {method}");
    let in_path: BTreeSet<&str> =
        path.split('/').filter_map(|s| s.strip_prefix('{').and_then(|s| s.strip_suffix('}'))).collect();
    let parameters = operation["parameters"].as_array().unwrap();
    let declared: BTreeSet<&str> = parameters.iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!((in_path.len(), &in_path), (parameters.len(), &declared), "{path}");
    assert!(parameters.iter().all(|p| p["in"] == "path" && p["required"] == true && p["schema"].is_object()));
    assert!(operation["tags"].as_array().is_none_or(|t| t.iter().all(|t| tags.contains(t.as_str().unwrap()))));
    for alternative in operation["security"].as_array().unwrap() {
        let names: Vec<_> = alternative.as_object().unwrap().keys().collect();
        assert!(
            names.iter().all(|name| document["components"]["securitySchemes"][name.as_str()].is_object()),
            "{names:?}"
        );
    }
    let responses = operation["responses"].as_object().unwrap();
    assert!(responses.contains_key("2XX") && responses.contains_key("401") && responses.contains_key("405"), "{path}");
    for (status, response) in responses {
        assert!(response["description"].is_string(), "{path} {status}");
        for media in response["content"].as_object().into_iter().flat_map(serde_json::Map::values) {
            let schema = media["schema"]["$ref"].as_str().unwrap().strip_prefix("#").unwrap();
            assert!(document.pointer(schema).is_some_and(Value::is_object), "{schema}");
        }
    }
}

#[test]
fn f022_an_app_that_was_not_saved_is_no_app() {
    let token = Token::of("cs-00000000-9e8f-5c62-8a57-1d2f3e4a5b6c").sign("a secret that was shown once, and lost");
    let reply = world().call(&Call::get(changelogs(BOT)).auth(&token).mark("f022"));
    assert_credentials(&reply);
    assert!(world().upstream.marked("f022").is_empty());
    assert_eq!(world().gateway.reason(&reply), "app.unknown");
    let text = world().explain(&token);
    assert!(text.contains("No app has this id: was it saved?"), "{text}");
}

#[test]
fn f026_a_token_that_the_secret_did_not_sign_is_refused_and_a_placeholder_is_recognised() {
    for (secret, hint) in [
        ("", "signed with an empty secret"),
        ("your-256-bit-secret", "placeholder secret, \"your-256-bit-secret\""),
        ("quite another secret, which is long enough", "Sign with the app's own secret"),
    ] {
        let token = Token::of(&ci().client_id).sign(secret);
        let reply = world().call(&Call::get(changelogs(BOT)).auth(&token).mark("f026"));
        assert_credentials(&reply);
        assert_eq!(world().gateway.reason(&reply), "token.signature_invalid");
        let text = world().explain(&token);
        assert!(text.contains(hint), "{text}");
    }
    assert!(world().upstream.marked("f026").is_empty());
}

#[test]
fn f135_the_algorithm_is_hs256_unless_another_is_named() {
    let header = |token: &str| token.split('.').next().unwrap().to_owned();
    let hs256 = crate::e2e::harness::part(r#"{"alg":"HS256","typ":"JWT"}"#);
    assert_eq!(header(&minted(&[])), hs256);
    assert_ne!(header(&minted(&["--alg", "HS512"])), hs256);
}

#[test]
fn f136_claims_can_be_set_and_are_read_again() {
    let exp = (now() + 60).to_string();
    let claims = ["sub=1234567890", "admin=true", "name=Zoë", "list=[1,2]", &format!("exp={exp}"), "appId=another"];
    let more: Vec<&str> = claims.iter().flat_map(|claim| ["--claim", claim]).collect();
    let token = minted(&more);
    let (out, _) =
        texts(&crate::e2e::harness::scopegate(std::env::temp_dir().as_path(), &["jwt", "decode", token.trim()], &[]));
    let (_, claims) = out.split_once("claims ").unwrap();
    let claims: Value = serde_json::Deserializer::from_str(claims).into_iter().next().unwrap().unwrap();
    let expected = json!({ "sub": 1_234_567_890, "admin": true, "name": "Zoë", "list": [1, 2], "appId": "another" });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&claims[name], value, "{claims}");
    }
    assert_eq!(claims["exp"].to_string(), exp);
    assert_eq!(status(minted(&["--claim", "sub=me"]).trim()), 200);
}

#[test]
fn f141_a_placeholder_is_no_secret() {
    for secret in ["your-256-bit-secret", "secret", "your-256-bit-secret\n", "a-string-secret-at-least-256-bits-long"] {
        let arguments = ["jwt", "mint", "--quiet", "--client-id", "x", "--secret-env", "SECRET"];
        let output = crate::e2e::harness::scopegate(std::env::temp_dir().as_path(), &arguments, &[("SECRET", secret)]);
        let (out, err) = texts(&output);
        assert!(!output.status.success() && out.is_empty(), "{secret}: {out}");
        assert!(err.contains("the placeholder of a tool") && err.contains("give the app's own secret"), "{err}");
    }
}

#[test]
fn f142_a_token_has_no_white_space_in_it() {
    let long = format!("text={}", "a b\nc\t".repeat(200));
    for more in [&[][..], &["--claim", &long], &["--quiet"]] {
        let token = minted(more);
        let bare = token.strip_suffix('\n').unwrap();
        assert!(bare.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')), "{token:?}");
        assert_eq!(status(bare), 200);
    }
}

/// Every reason that this profile refuses a token or a credential for.
const KINDS: [&str; 21] = [
    "credential.missing",
    "credential.malformed",
    "credential.ambiguous",
    "token.malformed",
    "token.too_large",
    "token.claim_invalid",
    "token.algorithm_not_allowed",
    "token.signature_invalid",
    "token.type_not_allowed",
    "token.expired",
    "token.not_yet_valid",
    "token.issued_in_future",
    "token.lifetime_too_long",
    "token.exp_required",
    "token.jti_required",
    "token.replayed",
    "app.unknown",
    "app.disabled",
    "app.wrong_bot",
    "bot.unknown",
    "scope.insufficient",
];

fn refusals(ci: &App, once: &App, strict: &App, off: &App, admin: &App) -> Vec<(Call, Option<String>)> {
    let (secret, path) = (ci.secret(), changelogs(BOT));
    let claim = |name: &str, value: Value| Token::of(&ci.client_id).claim(name, value).sign(&secret);
    let good = ci.token();
    let replayed = claim("jti", json!("used"));
    let of_typ = Token { header: json!({ "alg": "HS256", "typ": "at+jwt" }), ..Token::of(&ci.client_id) };
    let tokens = [
        claim("exp", json!("soon")),
        Token::of(&ci.client_id).sign512(&secret),
        Token::of(&ci.client_id).sign("your-256-bit-secret"),
        Token::of(&ci.client_id).sign("another secret, which is long enough"),
        of_typ.sign(&secret),
        claim("exp", json!(1)),
        claim("nbf", json!(now() + 600)),
        claim("iat", json!(now() + 600)),
        Token::of(&ci.client_id).claim("jti", "x").claim("exp", now() + 7200).sign(&secret),
        Token::of(&strict.client_id).without("exp").sign(strict.secret()),
        once.token(),
        replayed.clone(),
        replayed,
        Token::of("nobody").sign(&secret),
        Token::of(&secret).sign(&secret),
        off.token(),
    ];
    let mut calls: Vec<_> = tokens.into_iter().map(|t| (Call::get(&path).auth(&t), Some(t))).collect();
    let wide = claim("long", json!("x".repeat(9000)));
    calls.extend([
        (Call::get(&path), None),
        (Call::get(&path).bearer(&good), Some(good.clone())),
        (Call::get(&path).auth(format!("Bearer {good}")), Some(good.clone())),
        (Call::get(&path).auth(&good).auth(&good), Some(good.clone())),
        (Call::get(&path).auth(format!("{good}.x")), Some(good.clone())),
        (Call::get(&path).auth(&wide), Some(wide)),
        (Call::get(changelogs(SECOND_BOT)).auth(&good), Some(good.clone())),
        (Call::get(changelogs("st-nobody")).auth(admin.token()), Some(admin.token())),
        (Call::get(path.replace("changelogs", "getMessages")).auth(&good), Some(good.clone())),
        (Call::get(format!("{path}/")).auth(&good), Some(good)),
    ]);
    calls
}

#[test]
fn f019_no_token_is_left_where_somebody_else_could_read_it() {
    let app = |id: &str, settings: &str| App::new(id, ACCOUNT, &[BOT], &["logs:change_logs"]).settings(settings);
    let (ci, once, strict) = (app("ci", ""), app("once", "enforce_jti = true"), app("strict", "require_exp = true"));
    let (off, admin) = (app("off", "enabled = false"), App::new("admin", ACCOUNT, &[], &["logs:change_logs"]));
    let apps = [ci.clone(), once.clone(), strict.clone(), off.clone(), admin.clone()];
    let upstream = Recorder::start();
    let setup = Setup::kore(&upstream.url(), "");
    setup.edit("[telemetry]", "[telemetry]\naccess_log = \"access.log\"");
    setup.apply(&Registry::new().account(ACCOUNT, &[BOT, SECOND_BOT]).apps(&apps));
    let mut gateway = Gateway::serve(setup, &[("SCOPEGATE_LOG", "trace")]);
    let mut never: Vec<String> = apps.iter().map(App::secret).collect();
    for (call, token) in refusals(&ci, &once, &strict, &off, &admin) {
        gateway.call(&call);
        if let Some(token) = token {
            let signature = token.rsplit('.').next().unwrap().to_owned();
            never.extend([token, signature]);
        }
    }
    let metrics = String::from_utf8(Call::get("/metrics").to(gateway.telemetry).body).unwrap();
    gateway.signal("TERM");
    let (_, out, err) = gateway.wait();
    let log = gateway.setup.read("access.log");
    let reasons: BTreeSet<String> = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["reason"].as_str().map(str::to_owned))
        .collect();
    assert!(KINDS.iter().all(|kind| reasons.contains(*kind)), "{reasons:?}");
    for (name, text) in [("log", &log), ("stdout", &out), ("stderr", &err), ("metrics", &metrics)] {
        for secret in &never {
            assert!(!text.contains(secret.as_str()), "{secret} stands in the {name}");
        }
    }
    // What we write with secrets in it is for its owner alone.
    let mode = |path: std::path::PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(gateway.setup.path().join("master.key")), 0o600);
    assert_eq!(mode(gateway.setup.path().join("access.log")) & !0o640, 0);
}
