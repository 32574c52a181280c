//! Answers that last, by a clock that stands still until it is moved.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, Version};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use scopegate::ScopegateLayer;
use scopegate::gateway::{Outcome, WatchedError};
use scopegate::model::Reason;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::support::registry::{ACCOUNT, SINGLE};
use crate::support::routes::in_secs;
use crate::support::{Format, Gateway, Line, Script, Token};

/// A stream that says nothing and never ends.
struct Silence;

impl Body for Silence {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

/// Whether the frames of an answer go on for some seconds, or how they end.
type Frames = Pin<Box<dyn Body<Data = Bytes, Error = String>>>;

async fn answer(gateway: &Gateway, token: &Token, content_type: &'static str) -> Frames {
    answer_over(Version::HTTP_2, gateway, token, content_type).await
}

async fn answer_over(version: Version, gateway: &Gateway, token: &Token, content_type: &'static str) -> Frames {
    let leaf = service_fn(move |_| async move {
        Ok::<_, Infallible>(Response::builder().header("content-type", content_type).body(Silence).unwrap())
    });
    let stack = ScopegateLayer::new(gateway.gate.clone()).layer(leaf);
    let request = Format::Problem.request("GET", "/users", &token.make()).version(version);
    let request = request.body(Script::empty()).unwrap();
    let response = stack.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    Box::pin(response.into_body().map_err(|error| match error {
        WatchedError::Ended(reason) => reason.code().to_owned(),
        WatchedError::Body(_) => "broken".to_owned(),
    }))
}

/// Ten seconds of the runtime's clock, which the gate's does not follow.
async fn goes_on(frames: &mut Frames) -> bool {
    tokio::time::timeout(Duration::from_secs(10), frames.frame()).await.is_err()
}

async fn end(frames: &mut Frames) -> Result<Frame<Bytes>, String> {
    let frame = tokio::time::timeout(Duration::from_millis(1100), frames.frame()).await;
    frame.unwrap().unwrap()
}

fn logged(gateway: &Gateway, frames: Frames) -> Line {
    drop(frames);
    gateway.log.take_one()
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_the_gates_clock_says_so() {
    let gateway = Gateway::new();
    let token = Token::of(ACCOUNT).claim("exp", in_secs(60));
    let mut frames = answer(&gateway, &token, "text/event-stream").await;
    gateway.hands.advance(Duration::from_millis(59_999));
    assert!(goes_on(&mut frames).await);
    gateway.hands.advance(Duration::from_millis(1));
    assert_eq!(end(&mut frames).await.unwrap_err(), "token.expired");
    assert!(frames.is_end_stream());
    let line = logged(&gateway, frames);
    assert_eq!((line.reason, line.outcome, line.status), (Some(Reason::TokenExpired), Outcome::Ended, Some(200)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_what_allowed_it_is_taken_back() {
    type Change = fn(&mut scopegate::registry::Registry);
    let changes: [(Change, Reason); 4] = [
        (|r| r.apps.get_mut(ACCOUNT).unwrap().settings.enabled = false, Reason::AppDisabled),
        (|r| r.apps.get_mut(ACCOUNT).unwrap().keys.clear(), Reason::KeyRetired),
        (|r| r.apps.get_mut(ACCOUNT).unwrap().grants.clear(), Reason::ScopeInsufficient),
        (|r| drop(r.apps.remove(ACCOUNT)), Reason::AppUnknown),
    ];
    for (change, reason) in changes {
        let gateway = Gateway::new();
        let mut frames = answer(&gateway, &Token::of(ACCOUNT), "application/x-ndjson").await;
        assert!(goes_on(&mut frames).await);
        gateway.change(change);
        assert_eq!(end(&mut frames).await.unwrap_err(), reason.code());
        assert_eq!(logged(&gateway, frames).reason, Some(reason));
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_beside_the_one_that_signed_changes_nothing() {
    let gateway = Gateway::new();
    let mut frames = answer(&gateway, &Token::of(ACCOUNT), "text/event-stream").await;
    gateway.change(|r| r.apps.get_mut(ACCOUNT).unwrap().credential_version += 1);
    assert!(goes_on(&mut frames).await);
}

#[tokio::test(start_paused = true)]
async fn grpc_learns_it_from_trailers() {
    let gateway = Gateway::new();
    let token = Token::of(ACCOUNT).claim("exp", in_secs(5));
    let mut frames = answer(&gateway, &token, "application/grpc+proto").await;
    gateway.hands.advance(Duration::from_secs(5));
    let trailers = end(&mut frames).await.unwrap().into_trailers().unwrap_or_default();
    let trailer = |name: &str| trailers.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!((trailer("grpc-status"), trailer("grpc-message")), ("16".into(), "The token has expired.".into()));
    assert_eq!(trailer("x-scopegate-reason"), "token.expired");
    assert_eq!(logged(&gateway, frames).outcome, Outcome::Ended);
}

#[tokio::test(start_paused = true)]
async fn grpc_over_http_1_breaks_off_instead_of_looking_complete() {
    let gateway = Gateway::new();
    let token = Token::of(ACCOUNT).claim("exp", in_secs(5));
    let mut frames = answer_over(Version::HTTP_11, &gateway, &token, "application/grpc+proto").await;
    gateway.hands.advance(Duration::from_secs(5));
    assert_eq!(end(&mut frames).await.unwrap_err(), "token.expired");
    assert_eq!(logged(&gateway, frames).outcome, Outcome::Ended);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_stream_goes_on_and_so_does_one_of_a_token_that_was_used_up() {
    let gateway = Gateway::new();
    let token = Token::of(ACCOUNT).claim("exp", in_secs(5));
    let mut frames = answer(&gateway, &token, "application/json").await;
    gateway.hands.advance(Duration::from_secs(500));
    assert!(goes_on(&mut frames).await);

    let gateway = Gateway::new();
    let once = Token::of(SINGLE).claim("jti", "once").claim("exp", in_secs(60));
    let leaf = service_fn(|_| async {
        Ok::<_, Infallible>(Response::builder().header("content-type", "text/event-stream").body(Silence).unwrap())
    });
    let stack = ScopegateLayer::new(gateway.gate.clone()).layer(leaf);
    let request = Format::Problem.request("GET", "/any", &once.make()).body(Script::empty()).unwrap();
    let mut body = Box::pin(stack.oneshot(request).await.unwrap().into_body());
    let waited = tokio::time::timeout(Duration::from_secs(10), body.frame()).await;
    assert!(waited.is_err(), "good for its own stream");
    gateway.hands.advance(Duration::from_secs(60));
    assert!(matches!(body.frame().await, Some(Err(WatchedError::Ended(Reason::TokenExpired)))));
}
