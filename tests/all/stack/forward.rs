//! The upstream as the leaf: what can go wrong on the way to it, over real sockets of this machine.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use scopegate::gateway::forward::{
    Forward, Origin, OriginHost, Upstream, UpstreamSet, UpstreamSettings, UpstreamTimeouts,
};
use scopegate::gateway::{Outcome, stack};
use scopegate::model::{Reason, UpstreamName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use crate::support::log::Line;
use crate::support::registry::BOT;
use crate::support::{Format, Gateway, Script, Token};

/// An upstream for one call: reads until it saw `until`, then answers with these bytes and closes; without an answer
/// it holds the connection open.
async fn upstream(until: &'static str, answer: Option<&'static str>) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(until) && stream.read_buf(&mut seen).await.is_ok_and(|n| n > 0) {
        }
        match answer {
            Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
            None => _ = stream.read_to_end(&mut seen).await,
        }
        String::from_utf8_lossy(&seen).into_owned()
    });
    (address, serving)
}

fn forward(address: SocketAddr) -> Forward<Script> {
    let timeouts = UpstreamTimeouts {
        response: Duration::from_millis(100),
        body_idle: Duration::from_millis(100),
        ..UpstreamTimeouts::default()
    };
    let (host, authority) = (OriginHost::Address(address), Authority::from_static("upstream.example"));
    let origin = Origin { host, authority, tls: None, tls_digest: None };
    let settings = UpstreamSettings { timeouts, ..UpstreamSettings::default() };
    let name = UpstreamName::new("bots").unwrap();
    let upstream = Arc::new(Upstream::new(name.clone(), settings, vec![origin]));
    Forward::new(Arc::new(UpstreamSet::new(HashMap::from([(name, upstream)]))))
}

/// Sends a call; its status, its body if that arrives whole, and the log.
async fn call(format: Format, forward: Forward<Script>, body: Script) -> (u16, Option<String>, Line) {
    let gateway = Gateway::new();
    let request = format.request("POST", "/any", &Token::of(BOT).make()).body(body).unwrap();
    let response: Response<_> = stack(&gateway.gate, forward).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.ok().map(|b| String::from_utf8(b.to_bytes().to_vec()).unwrap());
    (status, body, gateway.log.take_one())
}

#[tokio::test]
async fn a_good_call_goes_to_the_upstream_and_its_answer_comes_back() {
    let answer = "HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX-Scopegate-App: forged\r\nX-Own: 1\r\n\r\nhello";
    let (address, serving) = upstream("ping", Some(answer)).await;
    let gateway = Gateway::new();
    let request = Format::Kore.request("POST", "/any?x=1", &Token::of(BOT).make()).body(Script::of("ping")).unwrap();
    let response = stack(&gateway.gate, forward(address)).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 201);
    assert!(response.headers().contains_key("x-own") && response.headers().contains_key("x-request-id"));
    assert!(!response.headers().contains_key("x-scopegate-app"), "an upstream says nothing in our name");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    let seen = serving.await.unwrap().to_lowercase();
    assert!(seen.starts_with("post /kore/any?x=1 http/1.1\r\n"), "{seen}");
    assert!(seen.contains("host: upstream.example\r\n") && seen.contains("x-scopegate-app: cs-bot\r\n"), "{seen}");
    assert!(!seen.contains("\r\nauth:"), "{seen}");
}

#[tokio::test]
async fn what_goes_wrong_with_an_upstream_is_told_in_the_words_of_the_route() {
    let framed_twice = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let cases = [
        ("no HTTP", Some("hello\r\n\r\n"), 502, Reason::UpstreamInvalid),
        ("framed twice", Some(framed_twice), 502, Reason::UpstreamInvalid),
        ("closed without an answer", Some(""), 502, Reason::UpstreamReset),
        ("no answer", None, 504, Reason::UpstreamTimeout),
    ];
    for (name, answer, status, reason) in cases {
        for format in Format::ALL {
            let (address, _serving) = upstream("\r\n\r\n", answer).await;
            let (found, body, log) = call(format, forward(address), Script::empty()).await;
            assert_eq!((found, log.reason), (status, Some(reason)), "{name} ({}): {log:?}", format.name());
            let public = format!("\"code\":\"{}\"", reason.code());
            let wanted = if format == Format::Kore { format!("\"code\":{status}") } else { public };
            assert!(body.unwrap().contains(&wanted), "{name} ({})", format.name());
            assert!(log.is_verified && log.expected.is_some(), "{name}: {log:?}");
        }
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_unreachable() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (status, _, log) = call(Format::Problem, forward(closed), Script::empty()).await;
    assert_eq!((status, log.reason), (502, Some(Reason::UpstreamUnreachable)));
    let none = Forward::new(Arc::default());
    let (status, _, log) = call(Format::Problem, none, Script::empty()).await;
    assert_eq!((status, log.reason), (502, Some(Reason::UpstreamUnreachable)), "a route to nowhere");
}

#[tokio::test]
async fn a_fault_of_the_callers_body_is_not_blamed_on_the_upstream() {
    let too_long = Script::of("x").data(std::str::from_utf8(&[b'y'; 1000]).unwrap_or_default().to_owned().leak());
    let cases = [
        ("too long", too_long, 413, Reason::RequestBodyTooLarge),
        ("standing still", Script::of("x").waits(), 408, Reason::RequestTimeout),
        ("broken off", Script::of("x").breaks(), 400, Reason::RequestInvalid),
    ];
    for (name, body, status, reason) in cases {
        let (address, _serving) = upstream("never said", None).await;
        let (answered, _, log) = call(Format::Problem, forward(address), body).await;
        assert_eq!((answered, log.reason), (status, Some(reason)), "{name}: {log:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_short_is_no_whole_answer() {
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello";
    let (address, _serving) = upstream("\r\n\r\n", Some(short)).await;
    let (status, body, log) = call(Format::Problem, forward(address), Script::empty()).await;
    assert_eq!((status, body, log.outcome, log.bytes_out), (200, None, Outcome::Cut, 5));
}

#[tokio::test]
async fn a_refused_call_opens_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Gateway::new();
    let request: Request<Script> = Format::Problem.bare("POST", "/any").body(Script::empty()).unwrap();
    let stack = stack(&gateway.gate, forward(listener.local_addr().unwrap()));
    assert_eq!(stack.oneshot(request).await.unwrap().status(), 401);
    let accepted = tokio::time::timeout(Duration::from_millis(1), listener.accept()).await;
    assert!(accepted.is_err(), "somebody connected");
}
