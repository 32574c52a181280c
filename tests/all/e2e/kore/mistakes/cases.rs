use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::json;

use super::super::tokens::rsa;
use super::super::world::{BOT, SECOND_BOT, changelogs};
use super::world::{SECRET, STRANGE_SECRET, admin, chat, drafted, good, once, sdk, stranger, world};
use super::{CREDENTIALS, Mistake, NO_TOKEN, SCOPE};
use crate::e2e::harness::{App, Call, Token, now, part};

fn token(app: &App) -> Token {
    Token::of(&app.client_id)
}

fn signed(app: &App) -> String {
    token(app).sign(SECRET)
}

/// A call of the change logs with this in the header `auth`.
fn with(credential: impl Into<String>) -> Call {
    Call::get(changelogs(BOT)).auth(credential)
}

#[test]
fn m01_the_token_stands_in_authorization() {
    Mistake::new(Call::get(changelogs(BOT)).bearer(signed(&good())), "credential.missing")
        .expected("auth: TOKEN")
        .found("no auth, but a header authorization")
        .hint("Send the token in the header \"auth\", bare.")
        .check();
}

#[test]
fn m02_a_scheme_stands_before_the_token() {
    for word in ["Bearer", "bearer", "JWT", "Bearer:"] {
        let name = if word == "JWT" { "JWT" } else { "Bearer" };
        Mistake::new(with(format!("{word} {}", signed(&good()))), "credential.malformed")
            .answered(NO_TOKEN)
            .expected("auth: TOKEN")
            .found(format!("the word {name} before the token"))
            .hint("Send the token in the header \"auth\", bare.")
            .check();
    }
}

#[test]
fn m03_something_was_copied_with_the_token() {
    let token = signed(&good());
    let (before, after) = token.split_at(40);
    for (value, found) in [
        (format!("\"{token}\""), "quotes around the token"),
        (format!("'{token}'"), "quotes around the token"),
        (format!("{token}\\n"), "a written-out line break after the token"),
        (format!("{before} {after}"), "a space in the token"),
        (format!("<{token}>"), "angle brackets around the token"),
        ("$TOKEN".to_owned(), "a variable that was not filled in"),
        ("{{token}}".to_owned(), "a variable that was not filled in"),
    ] {
        Mistake::new(with(value), "credential.malformed")
            .answered(NO_TOKEN)
            .found(found)
            .hint("no quotes, no line breaks")
            .check();
    }
    // White space at the ends of a field is no part of its value (RFC 9110 section 5.5).
    assert_eq!(world().call(&with(format!(" {token} "))).status, 200);
}

#[test]
fn m04_the_method_is_another() {
    Mistake::new(Call::post(changelogs(BOT), "{}").auth(signed(&good())), "method.not_allowed")
        .answered(Some((405, "Method Not Allowed", 405)))
        .expected("GET")
        .found("POST")
        .hint("(get-change-logs) is called with GET.")
        .check();
}

#[test]
fn m05_the_app_was_never_saved() {
    let unsaved = "cs-00000000-93a4-5b7f-8c12-6e7f8091a2b3";
    Mistake::new(with(Token::of(unsaved).sign(SECRET)), "app.unknown")
        .expected("appId: the client id of an app")
        .found(format!("{unsaved:?}"))
        .explained("No app has this id: was it saved?")
        .recounted("and that the app was saved")
        .check();
}

#[test]
fn m06_another_scope_was_mapped() {
    Mistake::new(with(signed(&chat())), "scope.insufficient")
        .answered(SCOPE)
        .expected("logs:change_logs at level bot")
        .found("chat_history:read")
        .hint(format!("The route needs logs:change_logs (Logs History) at level bot; app {}", chat().client_id))
        .hint(format!("scopegate scope grant --bot {BOT} --app {} logs:change_logs", chat().client_id))
        .check();
}

#[test]
fn m07_the_app_is_of_another_account() {
    Mistake::new(with(token(&stranger()).sign(STRANGE_SECRET)), "app.wrong_account")
        .expected("an app of account acme, which owns the bot")
        .found("an app of account globex")
        .hint(format!("Bot {BOT} belongs to account acme; app {}", stranger().client_id))
        .hint("to account globex.")
        .check();
}

#[test]
fn m08_the_app_is_of_another_bot() {
    Mistake::new(Call::get(changelogs(SECOND_BOT)).auth(signed(&good())), "app.wrong_bot")
        .expected(BOT)
        .found(format!("{SECOND_BOT:?}"))
        .hint(format!("is for {BOT}; the path names {SECOND_BOT:?}."))
        .check();
}

#[test]
fn m09_an_api_for_accounts_is_called_by_an_app_of_a_bot() {
    Mistake::new(Call::post("/api/public/bot/import", "{}").auth(signed(&good())), "app.wrong_level")
        .answered(SCOPE)
        .expected("an app of level account")
        .found("level bot")
        .hint("use an app of the account (an admin console app), with bot_definition:bot_import")
        .check();
}

#[test]
fn m10_the_token_is_signed_with_a_placeholder() {
    for (secret, found) in [
        ("", "signed with an empty secret"),
        ("your-256-bit-secret", "signed with a tool's placeholder secret, \"your-256-bit-secret\""),
        ("secret", "signed with a tool's placeholder secret, \"secret\""),
        ("a-string-secret-at-least-256-bits-long", "signed with a tool's placeholder secret"),
    ] {
        Mistake::new(with(token(&good()).sign(secret)), "token.signature_invalid")
            .expected("a signature by one of the app's keys")
            .found(found)
            .explained(if secret.is_empty() { "is empty" } else { "Put the app's own secret in the tool" })
            .recounted("Sign with the app's own secret, as text and not base64-decoded")
            .check();
    }
}

#[test]
fn m10_the_token_is_signed_with_the_secret_of_another_app() {
    Mistake::new(with(token(&good()).sign(STRANGE_SECRET)), "token.signature_invalid")
        .explained(format!("The signature is by a key of app {}", stranger().client_id))
        .check();
}

#[test]
fn m11_something_was_done_to_the_secret_before_it_signed() {
    let decoded = STANDARD.decode(SECRET).unwrap();
    let url_safe = SECRET.replace('+', "-").replace('/', "_");
    for (key, found) in [
        (decoded, "base64-decoded"),
        (format!("{SECRET}\n").into_bytes(), "and a line break after it"),
        (format!("{SECRET}\r\n").into_bytes(), "and a carriage return"),
        (SECRET.trim_end_matches('=').as_bytes().to_vec(), "without its padding (=)"),
        (url_safe.into_bytes(), "in the url-safe alphabet"),
        (format!("\"{SECRET}\"").into_bytes(), "in quotes"),
        (STANDARD.encode(SECRET).into_bytes(), "base64-encoded once more"),
    ] {
        Mistake::new(with(token(&good()).sign(key)), "token.signature_invalid")
            .found(format!("signed with the app's secret {found}"))
            .explained("Use the secret as text, just as it was shown")
            .recounted("as text and not base64-decoded")
            .check();
    }
}

#[test]
fn m12_the_name_of_the_claim_is_another() {
    for name in ["appid", "App ID", "app_id"] {
        let token = Token::with(json!({ "sub": "1", name: good().client_id }));
        Mistake::new(with(token.sign(SECRET)), "app.unknown")
            .found(format!("no such claim, but {name:?}: names are compared exactly"))
            .explained("Name the app in the claim \"appId\", written exactly so.")
            .recounted("Check the app claim's name")
            .check();
    }
}

#[test]
fn m13_something_else_stands_in_place_of_the_client_id() {
    let name = format!("named {}", good().client_id);
    let cased = good().client_id.to_uppercase();
    for (value, found, hint) in [
        (BOT, "a bot's id".to_owned(), "holds a bot's id".to_owned()),
        (
            &name,
            format!("the name of app {}", good().client_id),
            "holds the app's name; put its client id there".into(),
        ),
        (&cased, format!("the client id {} but for case", good().client_id), "is compared exactly".into()),
        ("acme", "an account's id".into(), "holds an account's id".into()),
        (STRANGE_SECRET, format!("the secret of app {}", stranger().client_id), "rotate it".into()),
    ] {
        Mistake::new(with(Token::of(value).sign(SECRET)), "app.unknown")
            .expected("appId: the client id of an app")
            .found(found)
            .explained(hint)
            .check();
    }
}

#[test]
fn m13_what_looks_like_a_secret_is_never_shown() {
    let secret = STANDARD.encode("a secret that no app here has so far");
    let shown = format!("{} characters that may be a secret, and are not shown", secret.len());
    let mistake = Mistake::new(with(Token::of(&secret).sign(&secret)), "app.unknown");
    let mistake = mistake.found("the secret that the token is signed with").explained("put the app's client id there");
    mistake.check();
    let (reply, line) = mistake.make(world());
    assert!(!line.to_string().contains(&secret) && !mistake.explain(world()).contains(&secret));
    assert!(!world().why(reply.request_id()).contains(&secret));

    let mistake = Mistake::new(with(Token::of(&secret).sign(SECRET)), "app.unknown").found(shown);
    mistake.check();
    assert!(!mistake.make(world()).1.to_string().contains(&secret) && !mistake.explain(world()).contains(&secret));
}

#[test]
fn m14_the_token_is_signed_with_another_algorithm() {
    for (token, algorithm) in [(token(&good()).sign512(SECRET), "HS512"), (rsa().sign(&good().client_id), "RS256")] {
        Mistake::new(with(token), "token.algorithm_not_allowed")
            .expected("HS256")
            .found(algorithm)
            .hint("Sign with one of the app's algorithms.")
            .check();
    }
}

#[test]
fn m15_the_token_says_that_it_is_not_signed() {
    let header = |alg: &str| json!({ "alg": alg, "typ": "JWT" });
    for alg in ["none", "None", "NONE"] {
        let unsigned = Token { header: header(alg), ..token(&good()) }.sign(SECRET);
        Mistake::new(with(unsigned), "token.algorithm_not_allowed")
            .expected("HS256")
            .found(alg)
            .explained("An unsigned token is never taken")
            .check();
    }
    let bare = format!("{}.{}.", part(header("none").to_string()), part(token(&good()).claims.to_string()));
    Mistake::new(with(bare), "token.malformed").answered(NO_TOKEN).found("the token is not signed").check();
}

#[test]
fn m15_a_public_key_is_passed_off_as_a_shared_secret() {
    let body: String = rsa().public.lines().filter(|line| !line.starts_with('-')).collect();
    let lines: Vec<_> = body.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
    let der = STANDARD.decode(&body).unwrap();
    let unpadded = STANDARD_NO_PAD.encode(&der);
    for secret in [pem.as_bytes(), pem.trim_end().as_bytes(), &der, unpadded.as_bytes()] {
        Mistake::new(with(token(&sdk()).sign(secret)), "token.algorithm_not_allowed")
            .expected("RS256")
            .found("signed with the app's public key as if it were a secret (key confusion)")
            .explained("somebody tries to pass the public key off as a shared secret")
            .check();
    }
}

#[test]
fn m16_times_are_in_milliseconds() {
    for claim in ["exp", "iat", "nbf"] {
        Mistake::new(with(token(&good()).claim(claim, now() * 1000).sign(SECRET)), "token.claim_invalid")
            .expected(format!("{claim}: a number of seconds since 1970"))
            .found("which looks like milliseconds: divide by 1000")
            .check();
    }
}

#[test]
fn m17_exp_is_a_duration() {
    Mistake::new(with(token(&good()).claim("exp", 60).sign(SECRET)), "token.expired")
        .expected("exp ahead of now")
        .found("exp is a point in time, not a duration")
        .explained("exp is an absolute time: the time now in seconds since 1970, plus the lifetime.")
        .check();
}

#[test]
fn m18_times_are_texts() {
    Mistake::new(with(token(&good()).claim("exp", (now() + 60).to_string()).sign(SECRET)), "token.claim_invalid")
        .expected("exp: a number of seconds since 1970")
        .found("a JSON string")
        .hint("Times are JSON numbers in seconds")
        .check();
    // A fraction of a second is a number.
    let fractional = token(&good()).claim("exp", json!(f64::from(i32::try_from(now()).unwrap()) + 60.5));
    assert_eq!(world().call(&with(fractional.sign(SECRET))).status, 200);
}

#[test]
fn m39_a_token_of_single_use_has_no_jti() {
    Mistake::new(with(signed(&once())), "token.jti_required")
        .expected("a jti, new for every call")
        .found("no jti")
        .explained("Make one token for each call, each with a jti of its own.")
        .recounted("Add a jti that is new for every call.")
        .check();
}

#[test]
fn m39_a_jti_is_used_again() {
    let replay = Some((401, "error verifying the jwt: possibly a replay", 401));
    let used = token(&good()).claim("jti", "a token that was kept").sign(SECRET);
    Mistake::new(with(used), "token.replayed")
        .after(1)
        .answered(replay)
        .recounted("jti        a token that was kept")
        .recounted("first use")
        .recounted("Make one token per call, each with its own jti.")
        .check();
}

#[test]
fn m39_a_token_with_a_jti_is_good_for_too_long() {
    let words = r#"error verifying the jwt: if "jti" claim "exp" must be <= 1 hour(s)"#;
    let long = token(&good()).claim("jti", "long").claim("exp", now() + 7200);
    Mistake::new(with(long.sign(SECRET)), "token.lifetime_too_long")
        .answered(Some((401, words, 401)))
        .expected("exp at most 3600s ahead, since the token has a jti")
        .explained("leave the jti out if the app enforces none")
        .check();
    let endless = token(&good()).claim("jti", "endless").without("exp");
    Mistake::new(with(endless.sign(SECRET)), "token.exp_required")
        .expected("exp beside a jti of single use")
        .found("no exp")
        .check();
}

#[test]
fn m41_the_scope_was_not_published() {
    Mistake::new(with(signed(&drafted())), "scope.insufficient")
        .answered(SCOPE)
        .expected("logs:change_logs at level bot")
        .found("none; it is in the draft and waits for publishing")
        .hint(format!("scopegate scope publish --bot {BOT} --app {}", drafted().client_id))
        .check();
}

#[test]
fn m44_the_path_is_written_another_way() {
    let path = changelogs(BOT);
    let right = "GET /api/public/bot/{botId}/changelogs (get-change-logs), but for";
    for (path, reason, differs) in [
        (format!("{path}/"), "route.unknown", "a slash at the end"),
        (path.replace("/api/", "/API/"), "route.unknown", "upper and lower case"),
        (path.replace("changelogs", "changeLogs"), "route.unknown", "upper and lower case"),
        (path.replace("changelogs", "changelog"), "route.unknown", "its spelling"),
        (path.replace("/bot/", "//bot/"), "request.invalid", "two slashes in a row"),
        (path.replace("/api/", "/API/") + "/", "route.unknown", "a slash at the end and upper and lower case"),
    ] {
        Mistake::new(Call::get(path).auth(signed(&good())), reason)
            .answered(None)
            .expected_in_log(format!("{right} {differs}"))
            .hint("Did you mean GET /api/public/bot/{botId}/changelogs?")
            .hint(format!("The call differs by {differs}."))
            .check();
    }
}

#[test]
fn m44_the_path_holds_what_the_documents_write_in_place_of_an_id() {
    for (app, reason, answer) in
        [(good(), "app.wrong_bot", CREDENTIALS), (admin(), "bot.unknown", Some((400, "Invalid StreamId", 400)))]
    {
        Mistake::new(Call::get(changelogs(":{botId}")).auth(signed(&app)), reason)
            .answered(answer)
            .found("\":{botId}\", which the documents have in place of an id")
            .explained("warning: The path holds \":{botId}\" where the documents have {botId}: put its value there.")
            .check();
    }
}

#[test]
fn m45_a_boolean_is_written_as_a_text() {
    let world = world();
    let token = token(&good()).claim("isAnonymous", "false").sign(SECRET);
    assert_eq!(world.call(&with(&token)).status, 200, "nobody refuses it");
    let (goes_on, text) = world.gateway.setup.explain(&token, "GET", &changelogs(BOT), &[]);
    assert!(goes_on, "{text}");
    assert!(
        text.contains("warning: \"isAnonymous\" is the text \"false\": write true or false without quotes"),
        "{text}"
    );
}
