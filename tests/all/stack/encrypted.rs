//! Encrypted tokens: a signed one inside, of the app that the key belongs to, judged as any other.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Empty;
use scopegate::gateway::{Outbound, Refused, stack};
use scopegate::jose::EncryptionKind;
use scopegate::model::{AppNumber, Reason};
use scopegate::registry::{KeyState, Registry, Snapshot, Version};
use scopegate::verify::{TokenRules, TokenSettings, Verifier};
use serde_json::json;
use tower::Service as _;

use crate::support::encryption::{ALGORITHMS, ENCRYPTIONS, generate, header, seal};
use crate::support::registry::{ACCOUNT, BOT, ENCRYPTED, registry};
use crate::support::routes::{in_secs, token_settings};
use crate::support::{Format, Gateway, Reply, Script, Token, now};

/// Encrypts to one of the keys of [`ENCRYPTED`].
fn encrypted(algorithm: &str, encryption: &str, inner: &str) -> String {
    let kid = if algorithm.starts_with("RSA") { "k-rsa" } else { "k-p256" };
    seal(&header(algorithm, encryption, kid), inner)
}

/// Encrypts to this key, the cheap way.
fn to(kid: &str, inner: &str) -> String {
    seal(&header("ECDH-ES", "A128GCM", kid), inner)
}

fn good() -> Token {
    Token::of(ENCRYPTED)
}

async fn call(gateway: &Gateway, format: Format, token: &str) -> Reply {
    gateway.call(format.request("GET", "/any", token).body(Script::empty()).unwrap()).await
}

async fn reason(gateway: &Gateway, token: &str) -> Option<Reason> {
    call(gateway, Format::Kore, token).await.log.reason
}

#[tokio::test]
async fn f080_a_nested_token_passes_with_every_pair_of_algorithms_and_a_plain_one_does_not() {
    let gateway = Gateway::new();
    for format in Format::ALL {
        for algorithm in ALGORITHMS {
            for encryption in ENCRYPTIONS {
                let reply = call(&gateway, format, &encrypted(algorithm, encryption, &good().make())).await;
                assert_eq!(reply.status, 200, "{algorithm} {encryption}: {reply:?}");
                assert_eq!(gateway.leaf.take_one().header("x-scopegate-app"), Some(ENCRYPTED));
            }
        }
        let reply = call(&gateway, format, &good().make()).await;
        assert_eq!((reply.status, reply.log.reason), (401, Some(Reason::TokenJweRequired)));
    }
}

#[tokio::test]
async fn an_app_with_a_key_pair_may_encrypt_or_not() {
    let gateway = Gateway::new();
    let plain = Token::of(ACCOUNT).make();
    assert_eq!(reason(&gateway, &plain).await, None);
    assert_eq!(reason(&gateway, &to("k-account", &plain)).await, None);
}

/// Everything that goes wrong before the signature inside is proved.
fn hidden() -> Vec<(&'static str, String)> {
    let inner = good().make();
    let with = |name: &str, value: serde_json::Value| {
        let mut header = header("ECDH-ES", "A128GCM", "k-p256");
        header.insert(name.into(), value);
        seal(&header, &inner)
    };
    let mut no_kid = header("RSA-OAEP", "A256GCM", "k");
    no_kid.remove("kid");
    let token = encrypted("RSA-OAEP", "A256GCM", &inner);
    let [_, key, iv, text, tag] = <[&str; 5]>::try_from(token.split('.').collect::<Vec<_>>()).unwrap();
    let relabelled = |alg: &str| {
        let header = json!({ "alg": alg, "enc": "A256GCM", "kid": "k-rsa" }).to_string();
        format!("{}.{key}.{iv}.{text}.{tag}", URL_SAFE_NO_PAD.encode(header))
    };
    vec![
        ("an unknown kid", to("k-nobody", &inner)),
        ("an unknown kid of the other kind", seal(&header("RSA-OAEP-256", "A256GCM", "k-nobody"), &inner)),
        ("a key of the other kind", seal(&header("RSA-OAEP", "A256GCM", "k-p256"), &inner)),
        ("a retired key", to("k-retired", &inner)),
        ("no kid", seal(&no_kid, &inner)),
        ("the key of another app", to("k-account", &inner)),
        ("a token of another app", to("k-p256", &Token::of(BOT).make())),
        ("an app that nobody knows inside", to("k-p256", &Token::of("cs-nobody").make())),
        ("an app claim that is a number inside", to("k-p256", &good().claim("appId", 5).make())),
        ("another secret inside", to("k-p256", &good().secret("quite another secret, which is long enough").make())),
        ("an algorithm that the app does not allow inside", to("k-p256", &good().header("alg", "none").make())),
        ("no signature inside", to("k-p256", inner.rsplit_once('.').unwrap().0)),
        ("an empty signature inside", to("k-p256", &format!("{}.", inner.rsplit_once('.').unwrap().0))),
        ("bare claims", to("k-p256", &json!({ "appId": ENCRYPTED, "exp": in_secs(300) }).to_string())),
        ("nothing inside", to("k-p256", "")),
        ("an encrypted token inside", to("k-p256", &to("k-p256", &inner))),
        ("another cty", with("cty", "text/plain".into())),
        ("zip", with("zip", "DEF".into())),
        ("crit", with("crit", json!(["exp"]))),
        ("RSA1_5", relabelled("RSA1_5")),
        ("dir", relabelled("dir")),
        ("PBES2", relabelled("PBES2-HS256+A128KW")),
        ("the other padding", relabelled("RSA-OAEP-256")),
        ("another encrypted key", format!("{}.{tag}{tag}.{iv}.{text}.{tag}", token.split('.').next().unwrap())),
    ]
}

#[tokio::test]
async fn who_can_not_sign_as_the_app_is_told_nothing_of_keys_and_steps() {
    let gateway = Gateway::new();
    let shown = |reply: &Reply| {
        let body = String::from_utf8_lossy(&reply.body).replace(&reply.log.request_id, "ID");
        let mut headers = reply.headers.clone();
        headers.remove("x-request-id");
        (reply.status, headers, body)
    };
    for format in Format::ALL {
        let plain = Token::of(BOT).secret("quite another secret, which is long enough").make();
        let bad_signature = shown(&call(&gateway, format, &plain).await);
        for (name, token) in hidden() {
            let reply = call(&gateway, format, &token).await;
            assert_eq!(reply.log.reason.map(Reason::public), Some(Reason::TokenInvalid), "{name}: {reply:?}");
            assert!(reply.log.reason != Some(Reason::TokenInvalid) && !reply.log.is_verified, "{name}");
            assert_eq!(shown(&reply), bad_signature, "{name}");
        }
    }
    assert!(gateway.leaf.take().is_empty());
}

#[tokio::test]
async fn the_log_has_the_true_reason() {
    let gateway = Gateway::new();
    for (name, wanted) in [
        ("an unknown kid", "kid \"k-nobody\", which no app has"),
        ("a key of the other kind", "kid \"k-p256\" of app cs-encrypted, a key of kind p256, with RSA-OAEP"),
        ("a retired key", "kid \"k-retired\" of app cs-encrypted, which is retired"),
        ("no kid", "no kid"),
        ("a token of another app", "one of app cs-bot"),
        ("bare claims", "bare claims inside, which nobody signed"),
        ("an encrypted token inside", "inside: five parts: an encrypted token where a signed one is taken"),
        ("another cty", "cty \"text/plain\""),
        ("zip", "the header parameter \"zip\" is not supported"),
        ("RSA1_5", "alg is \"RSA1_5\", and taken are RSA-OAEP, RSA-OAEP-256, ECDH-ES, ECDH-ES+A256KW"),
        ("the other padding", "the token can't be decrypted: kid k-rsa of app cs-encrypted"),
    ] {
        let (_, token) = hidden().into_iter().find(|(case, _)| *case == name).unwrap();
        let log = call(&gateway, Format::Problem, &token).await.log;
        assert_eq!((log.reason, log.found.as_deref()), (Some(Reason::TokenJweInvalid), Some(wanted)), "{name}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_token_inside_is_told_to_whoever_signed_it() {
    let gateway = Gateway::new();
    let kinds = [
        (good().claim("exp", in_secs(0)), Reason::TokenExpired),
        (good().claim("nbf", in_secs(31)), Reason::TokenNotYetValid),
        (good().header("typ", "at+jwt"), Reason::TokenTypeNotAllowed),
        (good().claim("exp", "soon"), Reason::TokenClaimInvalid),
    ];
    for (token, wanted) in kinds {
        let reply = call(&gateway, Format::Problem, &to("k-p256", &token.make())).await;
        assert_eq!(reply.log.reason, Some(wanted));
        assert_eq!(reply.json()["code"], wanted.code());
    }
}

#[tokio::test]
async fn cty_says_jwt_in_any_case_or_nothing() {
    let gateway = Gateway::new();
    for cty in [Some("JWT"), Some("jwt"), None] {
        let mut header = header("ECDH-ES", "A128GCM", "k-p256");
        header.remove("cty");
        header.extend(cty.map(|cty| ("cty".to_owned(), cty.into())));
        assert_eq!(reason(&gateway, &seal(&header, &good().make())).await, None, "{cty:?}");
    }
}

#[tokio::test]
async fn the_limit_of_length_is_that_of_the_outer_token() {
    let gateway = Gateway::new();
    let of = |bytes: usize| to("k-p256", &good().claim("pad", "x".repeat(bytes)).make());
    let (fits, exceeds) = (of(1300), of(2500));
    assert!(fits.len() < 4096 && exceeds.len() > 4096);
    assert_eq!(reason(&gateway, &fits).await, None);
    assert_eq!(reason(&gateway, &exceeds).await, Some(Reason::TokenTooLarge));
}

#[test]
fn an_authenticator_that_takes_no_encrypted_tokens_calls_them_malformed() {
    let rules = TokenRules::new(TokenSettings { encrypted: false, ..token_settings("x") });
    let snapshot = Snapshot::new(Version(1), registry());
    let token = to("k-p256", &good().make());
    let refusal = Verifier::new(0).verify(token.as_bytes(), &rules, &snapshot, now()).unwrap_err().refusal;
    assert_eq!(refusal.reason, Reason::TokenMalformed);
    assert_eq!(refusal.found.as_deref(), Some("five parts: an encrypted token where a signed one is taken"));
}

#[tokio::test]
async fn f081_a_nested_token_of_single_use_is_good_for_one_call() {
    let gateway = Gateway::new();
    gateway.change(|r| r.apps.get_mut(ENCRYPTED).unwrap().settings.enforce_jti = true);
    assert_eq!(reason(&gateway, &to("k-p256", &good().make())).await, Some(Reason::TokenJtiRequired));
    let inner = good().claim("jti", "once").make();
    let token = to("k-p256", &inner);
    assert_eq!(reason(&gateway, &token).await, None);
    assert_eq!(reason(&gateway, &token).await, Some(Reason::TokenReplayed));
    // Encrypted anew, it is the same token still.
    assert_eq!(reason(&gateway, &to("k-p256", &inner)).await, Some(Reason::TokenReplayed));
}

/// What a change of the registry does to an encrypted token that is in the cache.
async fn after(kid: &str, change: impl FnOnce(&mut Registry)) -> Option<Reason> {
    let gateway = Gateway::new();
    let token = to(kid, &good().make());
    for _ in 0..2 {
        assert_eq!(reason(&gateway, &token).await, None);
    }
    gateway.change(change);
    reason(&gateway, &token).await
}

#[tokio::test]
async fn a_token_that_is_remembered_stops_with_its_key() {
    let invalid = Some(Reason::TokenJweInvalid);
    assert_eq!(after("k-p256", |_| {}).await, None);
    let retire = |r: &mut Registry| r.apps.get_mut(ENCRYPTED).unwrap().encryption_keys[1].state = KeyState::Retired;
    assert_eq!(after("k-p256", retire).await, invalid);
    assert_eq!(after("k-p256", |r| drop(r.apps.get_mut(ENCRYPTED).unwrap().encryption_keys.remove(1))).await, invalid);
    let replaced = |r: &mut Registry| {
        let app = r.apps.get_mut(ENCRYPTED).unwrap();
        app.encryption_keys[1].material = generate(EncryptionKind::P256);
        app.credential_version = 2;
    };
    assert_eq!(after("k-p256", replaced).await, invalid);
    let disabled = |r: &mut Registry| r.apps.get_mut(ENCRYPTED).unwrap().settings.enabled = false;
    assert_eq!(after("k-p256", disabled).await, Some(Reason::AppDisabled));
}

#[tokio::test]
async fn a_retiring_key_opens_until_its_moment_also_for_remembered_tokens() {
    let gateway = Gateway::new();
    let token = to("k-old", &good().make());
    assert_eq!(reason(&gateway, &token).await, None);
    gateway.hands.advance(Duration::from_millis(59_999));
    assert_eq!(reason(&gateway, &token).await, None);
    gateway.hands.advance(Duration::from_millis(1));
    assert_eq!(reason(&gateway, &token).await, Some(Reason::TokenJweInvalid));
    assert_eq!(reason(&gateway, &to("k-old", &good().make())).await, Some(Reason::TokenJweInvalid));
    assert_eq!(reason(&gateway, &to("k-p256", &good().make())).await, None, "the key that followed it");
}

#[tokio::test]
async fn whether_a_remembered_token_came_encrypted_is_remembered_too() {
    let gateway = Gateway::new();
    let plain = Token::of(ACCOUNT).make();
    let nested = to("k-account", &plain);
    for token in [&plain, &nested] {
        assert_eq!(reason(&gateway, token).await, None);
    }
    gateway.change(|r| r.apps.get_mut(ACCOUNT).unwrap().settings.enforce_jwe = true);
    assert_eq!(reason(&gateway, &plain).await, Some(Reason::TokenJweRequired));
    assert_eq!(reason(&gateway, &nested).await, None);
}

/// A thread of the gateway that is kept busy until this is dropped.
type Hold = (mpsc::Sender<()>, tokio::sync::oneshot::Receiver<()>);

/// Keeps the one thread for decryption busy.
fn hold(gateway: &Gateway) -> Hold {
    let ((release, held), (begun, started)) = (mpsc::channel(), mpsc::channel());
    let job = gateway.gate.blocking.submit(Some(AppNumber(-1)), move || {
        _ = begun.send(());
        _ = held.recv();
    });
    started.recv().unwrap();
    (release, job.unwrap())
}

#[tokio::test]
async fn a_token_that_is_remembered_is_answered_without_a_thread() {
    let gateway = Gateway::new();
    let token = to("k-p256", &good().make());
    assert_eq!(reason(&gateway, &token).await, None);
    let held = hold(&gateway);
    assert_eq!(reason(&gateway, &token).await, None);
    drop(held);
}

#[tokio::test]
async fn a_flood_of_garbage_fills_its_share_and_keeps_nobody_else_out() {
    let gateway = Gateway::new();
    gateway.limit(|limits| limits.concurrent_requests = 1000);
    let leaf = |_: Outbound<Script>| async { Ok::<_, Refused>(Response::new(Empty::<Bytes>::new())) };
    let mut service = stack(&gateway.gate, tower::service_fn(leaf));
    // The call under way, and its answer if there is one at once.
    let mut begin = |token: &str| {
        let request = Format::Kore.request("GET", "/any", token).body(Script::empty()).unwrap();
        let mut future = Box::pin(service.call(request));
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => (future, answer.ok()),
            Poll::Pending => (future, None),
        }
    };
    let held = hold(&gateway);
    let share = gateway.gate.blocking.limit() / 4;
    let inner = good().make();
    let mut waiting = Vec::new();
    for n in 0..share {
        let (future, answer) = begin(&to(&format!("k-{n}"), &inner));
        assert!(answer.is_none(), "there is room in the share of nobody");
        waiting.push(future);
    }
    let refused = begin(&to("k-one-more", &inner)).1.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(gateway.gate.blocking.waiting(), share);
    // Encrypted tokens of others wait their turn, plain ones need none.
    let (future, answer) = begin(&to("k-p256", &inner));
    assert!(answer.is_none(), "another share");
    waiting.push(future);
    for _ in 0..share {
        assert_eq!(begin(&Token::of(BOT).make()).1.unwrap().status(), StatusCode::OK);
    }
    drop(held);
    let mut statuses = Vec::new();
    for future in waiting {
        statuses.push(pin!(future).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses.pop(), Some(200));
    assert!(statuses.iter().all(|status| *status == 401) && statuses.len() == share);
}

#[tokio::test]
async fn a_refused_flood_is_on_record_as_overload() {
    let gateway = Gateway::new();
    let held = hold(&gateway);
    let jobs: Vec<_> =
        (0..gateway.gate.blocking.limit() / 4).map(|_| gateway.gate.blocking.submit(None, || ())).collect();
    let reply = call(&gateway, Format::Problem, &to("k-nobody", &good().make())).await;
    assert_eq!((reply.status, reply.log.reason), (503, Some(Reason::GatewayOverloaded)));
    assert_eq!((reply.header("retry-after"), &reply.json()["code"]), (Some("1"), &json!("gateway.overloaded")));
    assert!(reply.log.expected.unwrap().contains("wait for decryption"));
    drop((held, jobs));
}

#[tokio::test]
async fn a_caller_who_leaves_leaves_no_work_behind() {
    let gateway = Gateway::new();
    let leaf = |_: Outbound<Script>| async { Ok::<_, Refused>(Response::new(Empty::<Bytes>::new())) };
    let mut service = stack(&gateway.gate, tower::service_fn(leaf));
    let held = hold(&gateway);
    let request = Format::Kore.request("GET", "/any", &to("k-p256", &good().make())).body(Script::empty()).unwrap();
    drop(service.call(request));
    drop(held);
    let after = gateway.gate.blocking.submit(None, || ()).unwrap();
    after.await.unwrap();
    // Had the work been done, the same call would be known now and have nothing to wait for.
    let held = hold(&gateway);
    let request = Format::Kore.request("GET", "/any", &to("k-p256", &good().make())).body(Script::empty()).unwrap();
    let call = service.call(request);
    assert_eq!(gateway.gate.blocking.waiting(), 1);
    drop((call, held));
    assert_eq!(gateway.gate.in_hand.load(Ordering::Relaxed), 0);
}
