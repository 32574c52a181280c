//! One log entry for each call, when it is over and however it ends.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use scopegate::gateway::{Inbound, Outcome, ScopegateLayer};
use scopegate::model::Reason;
use tower::{Layer as _, Service as _, ServiceExt as _};

use crate::support::registry::BOT;
use crate::support::{Format, Gateway, Script, Token, now};

fn request() -> Request<Script> {
    Format::Problem.request("GET", "/bot/st-1/logs", &Token::of(BOT).make()).body(Script::empty()).unwrap()
}

/// The answer of a leaf that answers with this body.
async fn answer(gateway: &Gateway, body: fn() -> Script) -> Response<impl http_body::Body<Data = bytes::Bytes>> {
    let leaf =
        tower::service_fn(move |_: Request<Inbound<Script>>| async move { Ok::<_, Infallible>(Response::new(body())) });
    ScopegateLayer::new(gateway.gate.clone()).layer(leaf).oneshot(request()).await.unwrap()
}

#[tokio::test]
async fn a_call_is_recorded_at_the_end_of_its_body_and_not_before() {
    let gateway = Gateway::new();
    let mut response = answer(&gateway, || Script::of("hello, ").data("world")).await;
    assert_eq!(gateway.log.take().len(), 0, "the head alone");
    let frame = response.body_mut().frame().await;
    assert!(frame.is_some() && gateway.log.take().is_empty(), "half of the body");
    assert!(response.body_mut().frame().await.is_some());
    drop(response);
    let log = gateway.log.take_one();
    assert_eq!((log.outcome, log.status, log.reason, log.bytes_out), (Outcome::Complete, Some(200), None, 12));
    assert_eq!((log.app.as_deref(), log.route.as_deref()), (Some(BOT), Some("problem-logs")));
    assert!(log.is_verified && !log.has_headers);
    assert_eq!((log.method.as_str(), log.uri.as_str(), log.at), ("GET", "/problem/bot/st-1/logs", now()));
}

#[tokio::test]
async fn the_whole_call_is_judged_and_recorded_at_the_moment_when_it_came() {
    let gateway = Gateway::new();
    let response = answer(&gateway, || Script::of("x")).await;
    gateway.hands.advance(Duration::from_secs(7));
    response.into_body().collect().await.ok().unwrap();
    assert_eq!(gateway.log.take_one().at, now());
}

#[tokio::test]
async fn an_answer_without_a_body_is_complete() {
    let gateway = Gateway::new();
    let response = answer(&gateway, Script::empty).await;
    assert!(response.body().is_end_stream());
    drop(response);
    let log = gateway.log.take_one();
    assert_eq!((log.outcome, log.bytes_out), (Outcome::Complete, 0));
}

#[tokio::test]
async fn a_caller_who_leaves_in_the_middle_of_the_answer_is_recorded() {
    let gateway = Gateway::new();
    let mut response = answer(&gateway, || Script::of("hello").waits()).await;
    assert!(response.body_mut().frame().await.is_some());
    drop(response);
    let log = gateway.log.take_one();
    assert_eq!((log.outcome, log.status, log.bytes_out), (Outcome::Abandoned, Some(200), 5));
}

#[tokio::test]
async fn a_caller_who_leaves_before_the_answer_is_recorded() {
    let gateway = Gateway::new();
    let leaf =
        tower::service_fn(|_: Request<Inbound<Script>>| std::future::pending::<Result<Response<Script>, Infallible>>());
    let mut service = ScopegateLayer::new(gateway.gate.clone()).layer(leaf);
    let future = service.call(request());
    assert!(gateway.log.take().is_empty());
    drop(future);
    let log = gateway.log.take_one();
    assert_eq!((log.outcome, log.status, log.reason), (Outcome::Abandoned, None, None));
    assert_eq!(log.app.as_deref(), Some(BOT), "what was known by then");
}

#[tokio::test]
async fn an_answer_that_the_upstream_breaks_off_is_recorded_as_cut() {
    let gateway = Gateway::new();
    let response = answer(&gateway, || Script::of("hello").breaks()).await;
    assert!(response.into_body().collect().await.is_err());
    let log = gateway.log.take_one();
    assert_eq!((log.outcome, log.status, log.bytes_out), (Outcome::Cut, Some(200), 5));
}

/// A leaf that panics at once, or when its future is polled.
async fn panic_of(gateway: &Gateway, at_once: bool) {
    let leaf = tower::service_fn(move |_: Request<Inbound<Script>>| {
        assert!(!at_once, "the leaf panics, as it was told to");
        async {
            if true {
                panic!("the leaf panics, as it was told to")
            } else {
                Ok::<_, Infallible>(Response::new(Script::empty()))
            }
        }
    });
    let response = ScopegateLayer::new(gateway.gate.clone()).layer(leaf).oneshot(request()).await.unwrap();
    assert_eq!(response.status(), 500);
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body = response.into_body().collect().await.ok().unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&body).contains("told to"), "the caller learns nothing of it");
    let log = gateway.log.take_one();
    assert_eq!((log.outcome, log.status, log.reason), (Outcome::Panicked, Some(500), Some(Reason::GatewayInternal)));
    assert_eq!((log.request_id, log.app.as_deref()), (id, Some(BOT)));
}

#[tokio::test]
async fn a_panic_fails_one_call_and_no_other() {
    let gateway = Gateway::new();
    panic_of(&gateway, true).await;
    panic_of(&gateway, false).await;
    assert_eq!(gateway.gate.in_hand.load(std::sync::atomic::Ordering::Relaxed), 0, "its place is free again");
    assert_eq!(gateway.call(request()).await.status, 200);
}

#[tokio::test]
async fn an_anonymous_call_is_recorded_without_an_app() {
    let gateway = Gateway::new();
    let request = Request::get("/open?secret=1").header("host", "bots.example").body(Script::empty()).unwrap();
    let log = gateway.call(request).await.log;
    assert_eq!((log.app, log.is_verified, log.route.as_deref()), (None, false, Some("open")));
}
