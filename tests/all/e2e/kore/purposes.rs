//! What one app can be used for: public APIs, SDK tokens, BotKit, channels; and the claims that tokens of each may have.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::tokens::rsa;
use super::world::{ACCOUNT, BOT, SECOND_BOT, UPLOAD};
use super::{assert_credentials, assert_refused};
use crate::e2e::harness::{App, Call, Gateway, Recorder, Registry, Reply, Setup, Token, now};

/// Routes for the purposes that the profile has none for.
const ROUTES: &str = r#"
[[route]]
id = "sdk-session"
methods = ["POST"]
path = "/sdk/session"
authenticator = "kore-sdk"
scope = "any"
[[route]]
id = "botkit-callbacks"
methods = ["POST"]
path = "/sdkcallback/{*rest}"
authenticator = "kore-botkit"
scope = "any"
"#;

const AUDIENCES: [&str; 2] = ["https://idproxy.kore.com/authorize", "https://idproxy.kore.ai/authorize"];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    Apis,
    Sdk,
    BotKit,
    Channel,
}

impl Purpose {
    const ALL: [Self; 4] = [Self::Apis, Self::Sdk, Self::BotKit, Self::Channel];

    fn authenticator(self) -> &'static str {
        match self {
            Self::Apis => "kore",
            Self::Sdk => "kore-sdk",
            Self::BotKit => "kore-botkit",
            Self::Channel => "kore-channel",
        }
    }

    /// What a token for this purpose claims.
    fn claims(self, client_id: &str) -> Value {
        match self {
            Self::Apis | Self::Channel => json!({ "sub": "1234567890", "appId": client_id }),
            Self::BotKit => json!({ "appId": client_id }),
            Self::Sdk => json!({
                "iss": client_id, "sub": "ana@example.com", "aud": AUDIENCES[0], "iat": now() - 5, "exp": now() + 600,
                "isAnonymous": false,
            }),
        }
    }

    fn call(self, token: &str) -> Call {
        match self {
            Self::Apis => Call::post(UPLOAD, "file").auth(token),
            Self::Sdk => Call::post("/sdk/session", "{}").bearer(token),
            Self::BotKit => Call::post("/sdkcallback/st-1/onMessage", "{}").header("token", token),
            Self::Channel => Call::post(hook(BOT), "{}").header("Authorization", format!("bearer {token}")),
        }
    }
}

fn hook(bot: &str) -> String {
    format!("/chatbot/hooks/{bot}")
}

struct Purposes {
    gateway: Gateway,
    upstream: Recorder,
}

fn purposes() -> &'static Purposes {
    static PURPOSES: OnceLock<Purposes> = OnceLock::new();
    PURPOSES.get_or_init(|| {
        let upstream = Recorder::start();
        let mut registry = Registry::new().account(ACCOUNT, &[BOT, SECOND_BOT]).apps(&[hs256(), enforcing(), admin()]);
        for algorithm in ["HS512", "RS256", "RS512"] {
            registry = registry.app(&signing(algorithm));
        }
        let gateway = Gateway::start(Setup::kore(&upstream.url(), ROUTES), &registry);
        Purposes { gateway, upstream }
    })
}

fn hs256() -> App {
    App::new("cs-0f071071-0000-5000-8000-00000000f071", ACCOUNT, &[BOT], &[])
}

/// Each of its tokens is good for one call.
fn enforcing() -> App {
    App::new("cs-0f071071-0000-5000-8000-00000000f077", ACCOUNT, &[BOT], &[]).settings("enforce_jti = true")
}

fn admin() -> App {
    App::new("cs-0f071071-0000-5000-8000-00000000f009", ACCOUNT, &[], &[])
}

/// An app that signs so, and not with HS256.
fn signing(algorithm: &str) -> App {
    let app = App::new(&format!("cs-{algorithm}"), ACCOUNT, &[BOT], &[]).algorithms(&[algorithm]);
    if algorithm == "HS512" { app } else { app.key(format!("public_key = '''{}'''", rsa().public)) }
}

fn sign(app: &App, claims: &Value) -> String {
    match app.algorithms[0].as_str() {
        "HS256" => Token::with(claims.clone()).sign(app.secret()),
        "HS512" => Token::with(claims.clone()).sign512(&app.secret()),
        algorithm => rsa().sign_as(algorithm, claims),
    }
}

/// A call for this purpose with these claims besides, or instead; `null` takes one away.
fn send(purpose: Purpose, app: &App, changes: &Value) -> Reply {
    purposes().gateway.call(&purpose.call(&sign(app, &changed(purpose, app, changes))))
}

fn changed(purpose: Purpose, app: &App, changes: &Value) -> Value {
    let mut claims = purpose.claims(&app.client_id);
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
    }
    claims
}

/// Refused in the words of the vendor; returns what the log has of it.
#[track_caller]
fn refused(reply: &Reply, reason: &str) -> Value {
    assert_credentials(reply);
    let line = purposes().gateway.logged(reply.request_id());
    assert_eq!(line["reason"], reason, "{line}");
    line
}

#[test]
fn f071_one_app_serves_four_purposes_and_each_can_be_switched_off() {
    let upstream = Recorder::start();
    let registry = |purposes: &[Purpose]| {
        let names: Vec<_> = purposes.iter().map(|purpose| purpose.authenticator()).collect();
        let app = hs256().settings(&format!("authenticators = {names:?}"));
        Registry::new().account(ACCOUNT, &[BOT]).app(&app)
    };
    let gateway = Gateway::start(Setup::kore(&upstream.url(), ROUTES), &registry(&Purpose::ALL));
    let call = |purpose: Purpose| gateway.call(&purpose.call(&sign(&hs256(), &purpose.claims(&hs256().client_id))));
    for purpose in Purpose::ALL {
        assert_eq!(call(purpose).status, 200, "{purpose:?}");
    }
    for off in Purpose::ALL {
        let others: Vec<_> = Purpose::ALL.into_iter().filter(|purpose| *purpose != off).collect();
        gateway.apply_until(&registry(&others), "a purpose is switched off", || call(off).status == 401);
        let passed = upstream.all().len();
        let reply = call(off);
        assert_credentials(&reply);
        let line = gateway.logged(reply.request_id());
        assert_eq!(line["reason"], "app.wrong_authenticator");
        assert_eq!(line["found"], off.authenticator());
        assert_eq!(upstream.all().len(), passed, "{off:?} is off");
        for purpose in others {
            assert_eq!(call(purpose).status, 200, "{purpose:?} while {off:?} is off");
        }
        gateway.apply_until(&registry(&Purpose::ALL), "it is on again", || call(off).status == 200);
    }
}

#[test]
fn a_token_for_one_purpose_is_none_where_another_asks_for_more() {
    // The public API's token has neither aud nor exp, and BotKit's app stands in appId alone.
    let gateway = &purposes().gateway;
    let of_apis = sign(&hs256(), &Purpose::Apis.claims(&hs256().client_id));
    refused(&gateway.call(&Purpose::Sdk.call(&of_apis)), "app.unknown");
    let with_iss = changed(Purpose::Apis, &hs256(), &json!({ "iss": hs256().client_id }));
    refused(&gateway.call(&Purpose::Sdk.call(&sign(&hs256(), &with_iss))), "token.exp_required");
    let of_sdk = sign(&hs256(), &Purpose::Sdk.claims(&hs256().client_id));
    refused(&gateway.call(&Purpose::BotKit.call(&of_sdk)), "app.unknown");
    // Observed: the public APIs take tokens of the platform's own token service, which look like those of an SDK.
    assert_eq!(gateway.call(&Purpose::Apis.call(&of_sdk)).status, 200);
}

#[test]
fn f083_sdk_and_channel_apps_sign_with_each_of_the_four_algorithms() {
    for app in [hs256(), signing("HS512"), signing("RS256"), signing("RS512")] {
        for purpose in [Purpose::Apis, Purpose::Sdk, Purpose::Channel] {
            assert_eq!(send(purpose, &app, &json!({})).status, 200, "{purpose:?} {}", app.client_id);
        }
    }
    // The platform shares a secret with BotKit, and has no private key.
    assert_eq!(send(Purpose::BotKit, &signing("HS512"), &json!({})).status, 200);
    refused(&send(Purpose::BotKit, &signing("RS256"), &json!({})), "token.algorithm_not_allowed");
}

#[test]
fn an_sdk_token_names_one_of_both_audiences_and_has_an_end() {
    let sdk = |changes: Value| send(Purpose::Sdk, &hs256(), &changes);
    for audience in AUDIENCES {
        assert_eq!(sdk(json!({ "aud": audience })).status, 200);
        assert_eq!(sdk(json!({ "aud": ["https://else.example", audience] })).status, 200);
    }
    for audience in [json!("https://idproxy.kore.com/authorize/"), json!("https://idproxy.kore.example"), json!(null)] {
        let line = refused(&sdk(json!({ "aud": audience })), "token.audience_mismatch");
        assert_eq!(line["expected"], AUDIENCES.join(" or "));
    }
    refused(&sdk(json!({ "exp": null })), "token.exp_required");
    assert_eq!(sdk(json!({ "iat": null, "sub": null, "isAnonymous": null })).status, 200, "optional all");
}

#[test]
fn the_sample_of_the_sdk_tutorial_is_told_what_is_wrong_with_it() {
    let sdk = |changes: Value| send(Purpose::Sdk, &hs256(), &changes);
    #[expect(clippy::cast_precision_loss, reason = "seconds of this century")]
    let fractional = now() as f64 + 60.25;
    assert_eq!(sdk(json!({ "exp": fractional })).status, 200);

    let line = refused(&sdk(json!({ "iat": now() * 1000 })), "token.claim_invalid");
    let found = line["found"].as_str().unwrap();
    assert!(line["expected"].as_str().unwrap().starts_with("iat: ") && found.contains("milliseconds: divide by 1000"));

    for wrong in [json!("false"), json!("true"), json!(0)] {
        let line = refused(&sdk(json!({ "isAnonymous": wrong })), "token.claim_invalid");
        assert_eq!(line["expected"], "isAnonymous: true or false, without quotes");
    }
    assert_eq!(sdk(json!({ "isAnonymous": true })).status, 200);
    // Only SDK tokens have this claim.
    assert_eq!(send(Purpose::Apis, &hs256(), &json!({ "isAnonymous": "false" })).status, 200);

    let claims = changed(Purpose::Sdk, &hs256(), &json!({ "iat": now() * 1000, "isAnonymous": "false" }));
    let setup = &purposes().gateway.setup;
    let (goes_on, text) = setup.explain(&sign(&hs256(), &claims), "POST", "/sdk/session", &[]);
    assert!(!goes_on && text.contains("token.claim_invalid"), "{text}");
}

#[test]
fn claims_of_the_platform_go_before_those_that_a_library_fills_in() {
    let app = hs256();
    let filled_in = json!({
        "iss": "https://idp.example", "sub": "internal-7", "kore_iss": app.client_id, "kore_sub": "ana@example.com",
        "appId": null, "aud": AUDIENCES[1], "exp": now() + 600,
    });
    let mark = "aliases";
    for purpose in [Purpose::Apis, Purpose::Sdk, Purpose::Channel] {
        let token = sign(&app, &changed(purpose, &app, &filled_in));
        assert_eq!(purposes().gateway.call(&purpose.call(&token).mark(mark)).status, 200, "{purpose:?}");
        // Whichever counts, each has to be of the right kind.
        for wrong in [json!({ "kore_sub": [] }), json!({ "sub": true }), json!({ "iss": 5 }), json!({ "kore_iss": {} })]
        {
            let mut claims = changed(purpose, &app, &filled_in);
            claims.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
            let reply = purposes().gateway.call(&purpose.call(&sign(&app, &claims)).mark(mark));
            refused(&reply, "token.claim_invalid");
        }
    }
    let seen = purposes().upstream.marked(mark);
    assert_eq!(seen.len(), 3);
    for seen in seen {
        assert_eq!(seen.header("x-scopegate-app"), Some(app.client_id.as_str()));
        assert_eq!(seen.header("x-scopegate-subject"), Some("ana@example.com"));
    }
    assert_eq!(send(Purpose::Apis, &app, &json!({ "sub": null, "kore_sub": "änne" })).status, 200);
    // It is the claim that counts whose app has to have signed.
    refused(&send(Purpose::Sdk, &app, &json!({ "kore_iss": admin().client_id })), "token.signature_invalid");
}

/// E13.
#[track_caller]
fn assert_replayed(reply: &Reply) {
    assert_refused(reply, 401, "error verifying the jwt: possibly a replay", 401);
    assert_eq!(purposes().gateway.reason(reply), "token.replayed");
}

#[test]
fn f077_a_jti_under_its_other_name_is_as_good() {
    let once = |changes: Value| send(Purpose::Apis, &enforcing(), &changes);
    let exp = now() + 600;
    refused(&once(json!({ "exp": exp })), "token.jti_required");
    assert_eq!(once(json!({ "exp": exp, "kore_jti": "f077-a" })).status, 200);
    assert_replayed(&once(json!({ "exp": exp, "kore_jti": "f077-a" })));
    assert_replayed(&once(json!({ "exp": exp, "jti": "f077-a" })));
    assert_eq!(once(json!({ "exp": exp, "jti": "f077-b" })).status, 200);
    for wrong in [json!(""), json!(7), json!("x".repeat(257))] {
        refused(&once(json!({ "exp": exp, "kore_jti": wrong })), "token.claim_invalid");
        refused(&once(json!({ "exp": exp, "jti": "f077-c", "kore_jti": wrong })), "token.claim_invalid");
    }
    assert_eq!(once(json!({ "exp": exp, "jti": "f077-c" })).status, 200, "what is refused burns no jti");
    // Present, it counts also where the app enforces none.
    assert_eq!(send(Purpose::Sdk, &hs256(), &json!({ "kore_jti": "f077-d" })).status, 200);
    assert_replayed(&send(Purpose::Sdk, &hs256(), &json!({ "kore_jti": "f077-d" })));
    let long = send(Purpose::Sdk, &hs256(), &json!({ "kore_jti": "f077-e", "exp": now() + 7200 }));
    assert_refused(&long, 401, r#"error verifying the jwt: if "jti" claim "exp" must be <= 1 hour(s)"#, 401);
}

#[test]
fn f078_a_token_with_two_ids_is_good_for_one_call_wherever_it_is_used() {
    let gateway = &purposes().gateway;
    let app = enforcing();
    let claims = |jti: &str, kore_jti: &str| {
        json!({
            "appId": app.client_id, "iss": app.client_id, "aud": AUDIENCES[0], "exp": now() + 600,
            "jti": jti, "kore_jti": kore_jti,
        })
    };
    for (i, first) in Purpose::ALL.into_iter().enumerate() {
        let token = sign(&app, &claims(&format!("f078-{i}"), &format!("f078-kore-{i}")));
        assert_eq!(gateway.call(&first.call(&token)).status, 200);
        for again in Purpose::ALL {
            assert_replayed(&gateway.call(&again.call(&token)));
        }
    }
    // Of both, jti counts: another one is another token.
    let token = sign(&app, &claims("f078-z", "f078-kore-0"));
    assert_eq!(gateway.call(&Purpose::Apis.call(&token)).status, 200);
}

#[test]
fn botkit_takes_a_token_of_its_app_and_no_bare_secret() {
    let gateway = &purposes().gateway;
    let app = hs256();
    let token = sign(&app, &Purpose::BotKit.claims(&app.client_id));
    let call = || Call::post("/sdkcallback/st-1/onMessage", "{}").mark("botkit");
    assert_eq!(gateway.call(&call().header("token", &token)).status, 200);
    let seen = purposes().upstream.marked("botkit");
    assert_eq!((seen.len(), seen[0].header("token")), (1, None));
    for wrong in [call(), call().header("apikey", app.secret()), call().auth(&token), call().bearer(&token)] {
        refused(&gateway.call(&wrong), "credential.missing");
    }
    let unnamed = Token::with(json!({ "iss": app.client_id })).sign(app.secret());
    refused(&gateway.call(&call().header("token", unnamed)), "app.unknown");
    let other = Token::with(json!({ "appId": admin().client_id })).sign(app.secret());
    refused(&gateway.call(&call().header("token", other)), "token.signature_invalid");
    let over = Token::with(json!({ "appId": app.client_id, "exp": now() - 1 })).sign(app.secret());
    refused(&gateway.call(&call().header("token", over)), "token.expired");
    assert_eq!(purposes().upstream.marked("botkit").len(), 1);
}

#[test]
fn a_webhook_is_called_with_an_app_of_its_bot_or_account() {
    let gateway = &purposes().gateway;
    let call = |app: &App, bot: &str, scheme: &str| {
        let token = sign(app, &Purpose::Channel.claims(&app.client_id));
        gateway.call(&Call::post(hook(bot), "{}").header("Authorization", format!("{scheme} {token}")))
    };
    for scheme in ["bearer", "Bearer", "BEARER"] {
        assert_eq!(call(&hs256(), BOT, scheme).status, 200);
    }
    refused(&call(&hs256(), BOT, "token"), "credential.wrong_scheme");
    refused(&call(&hs256(), SECOND_BOT, "bearer"), "app.wrong_bot");
    assert_eq!(call(&admin(), SECOND_BOT, "bearer").status, 200);
    assert_refused(&call(&admin(), "st-none", "bearer"), 400, "Invalid StreamId", 400);
    let wrong_method = gateway.call(&Call::get(hook(BOT)));
    assert_refused(&wrong_method, 405, "Method Not Allowed", 405);
    assert_eq!(wrong_method.header("allow"), Some("POST"));
    refused(&gateway.call(&Call::post(hook(BOT), "{}")), "credential.missing");
}
