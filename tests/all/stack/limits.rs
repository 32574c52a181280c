//! Bounds on what a caller may send, and on how many calls are in hand.

use std::sync::atomic::Ordering;

use http::{HeaderMap, Request};
use http_body::Body as _;
use scopegate::gateway::{Outbound, Refused, stack};
use scopegate::model::Reason;
use tower::{Service as _, ServiceExt as _};

use crate::support::registry::BOT;
use crate::support::{Format, Gateway, Script, Token};

fn post(body: Script) -> Request<Script> {
    Format::Problem.request("POST", "/any", &Token::of(BOT).make()).body(body).unwrap()
}

const HALF: &str = match std::str::from_utf8(&[b'x'; 500]) {
    Ok(text) => text,
    Err(_) => "",
};

#[tokio::test]
async fn a_body_within_its_bound_arrives_whole_and_is_counted() {
    let gateway = Gateway::new();
    let reply = gateway.call(post(Script::of(HALF).data(HALF))).await;
    assert_eq!((reply.status, reply.log.bytes_in), (200, 1000));
    let (body, _) = gateway.leaf.take_one().body.unwrap();
    assert_eq!(body.len(), 1000);
}

#[tokio::test]
async fn a_body_that_outgrows_its_bound_breaks_off() {
    let gateway = Gateway::new();
    gateway.call(post(Script::of(HALF).data(HALF).data("y"))).await;
    assert_eq!(gateway.leaf.take_one().body, Err("the request's body is too large".to_owned()));
}

#[tokio::test]
async fn a_body_that_stands_still_breaks_off() {
    let gateway = Gateway::new();
    gateway.call(post(Script::of("x").waits())).await;
    assert_eq!(gateway.leaf.take_one().body, Err("the request's body did not arrive in time".to_owned()));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_never_taken_for_a_whole_one() {
    let gateway = Gateway::new();
    gateway.call(post(Script::of("x").breaks())).await;
    let body = gateway.leaf.take_one().body;
    assert_eq!(body, Err("the request's body broke off: broke off as told".to_owned()));
}

#[tokio::test]
async fn trailers_that_say_who_calls_are_dropped() {
    let gateway = Gateway::new();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-scopegate-app", "admin".parse().unwrap());
    trailers.insert("x-checksum", "1".parse().unwrap());
    gateway.call(post(Script::of("x").trailers(trailers))).await;
    let (_, trailers) = gateway.leaf.take_one().body.unwrap();
    let names: Vec<_> = trailers.iter().flat_map(HeaderMap::keys).map(ToString::to_string).collect();
    assert_eq!(names, ["x-checksum"]);
}

#[tokio::test]
async fn a_call_too_many_is_refused_and_the_next_one_after_an_answer_is_not() {
    let gateway = Gateway::new();
    let endless =
        tower::service_fn(|_: Outbound<Script>| std::future::pending::<Result<http::Response<Script>, Refused>>());
    let mut service = stack(&gateway.gate, endless);
    let mut in_hand: Vec<_> = (0..3).map(|_| service.call(post(Script::empty()))).collect();
    let reply = gateway.call(post(Script::empty())).await;
    assert_eq!((reply.status, reply.log.reason), (503, Some(Reason::GatewayOverloaded)));
    assert_eq!((reply.header("retry-after"), reply.log.expected.as_deref()), (Some("1"), Some("3 calls")));
    assert_eq!(reply.json()["code"], "gateway.overloaded");
    assert!(gateway.leaf.take().is_empty());

    drop(in_hand.pop());
    gateway.log.take_one();
    assert_eq!(gateway.call(post(Script::empty())).await.status, 200);
    assert_eq!(gateway.gate.in_hand.load(Ordering::Relaxed), 2);
    drop(in_hand);
    assert_eq!(gateway.gate.in_hand.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_stack_is_ready_even_while_it_is_full() {
    let gateway = Gateway::new();
    gateway.limit(|limits| limits.concurrent_requests = 0);
    let mut service = stack(
        &gateway.gate,
        tower::service_fn(|_: Outbound<Script>| async { Ok::<_, Refused>(http::Response::new(Script::empty())) }),
    );
    let response = service.ready().await.unwrap().call(post(Script::empty())).await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(!response.body().is_end_stream(), "there is a body that says why");
}
