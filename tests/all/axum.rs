//! The layer inside somebody else's service, over a real socket.

use ::axum::Router;
use ::axum::http::HeaderMap;
use ::axum::routing::get;
use scopegate::gateway::ScopegateLayer;
use scopegate::model::Reason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::registry::BOT;
use crate::support::{Gateway, Token};

async fn whoami(headers: HeaderMap) -> String {
    let of = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("-").to_owned();
    let credential = headers.contains_key("authorization");
    format!("{} for {} with {} ({credential})", of("x-scopegate-app"), of("x-scopegate-bot"), of("x-scopegate-scopes"))
}

/// Serves a router behind the layer, sends one request, reads until the server closes.
async fn call(gateway: &Gateway, credential: &str) -> String {
    let app = Router::new().route("/problem/bot/{bot}/logs", get(whoami));
    let app = app.layer(ScopegateLayer::new(gateway.gate.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let serving = tokio::spawn(async move { ::axum::serve(listener, app).await });
    let head =
        format!("GET /problem/bot/st-1/logs HTTP/1.1\r\nHost: bots.example\r\nConnection: close\r\n{credential}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    serving.abort();
    answer
}

#[tokio::test]
async fn a_good_call_reaches_the_handler_of_an_axum_router_with_its_identity() {
    let gateway = Gateway::new();
    let token = Token::of(BOT).make();
    let answer = call(&gateway, &format!("Authorization: Bearer {token}\r\nX-Scopegate-App: forged\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("cs-bot for st-1 with logs (false)"), "{answer}");
    let log = gateway.log.take_one();
    assert_eq!((log.reason, log.app.as_deref()), (None, Some(BOT)));
}

#[tokio::test]
async fn a_bad_call_is_answered_before_the_router() {
    let gateway = Gateway::new();
    let token = Token::of(BOT).secret("quite another secret, which is long enough").make();
    let answer = call(&gateway, &format!("Authorization: Bearer {token}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
    assert!(answer.to_lowercase().contains("\r\nwww-authenticate: bearer error=\"invalid_token\""), "{answer}");
    assert!(answer.contains("\"code\":\"token.invalid\""), "{answer}");
    assert_eq!(gateway.log.take_one().reason, Some(Reason::TokenSignatureInvalid));
}
