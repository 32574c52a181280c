//! Calls that last: upgrades, and answers that come bit by bit.

mod browser;
mod ending;
mod events;
mod grpc;
mod http10;
mod upgrades;

use super::harness::{App, Call, Gateway, Heard, Registry, Setup, Socket, Token, now};

const READ: &str = "live:read";

fn app() -> App {
    App::new("watcher", "acme", &[], &[READ])
}

fn registry(app: &App) -> Registry {
    Registry::new().account("acme", &[]).app(app)
}

/// Routes with and without an upgrade to one upstream, for apps that hold a scope; a token is good up to its `exp`.
fn setup(upstream: &str, more: &str) -> Setup {
    Setup::new(
        "",
        &format!(
            r#"
[upstream.live]
urls = [{upstream:?}]
[authenticator.bearer]
kind = "jwt"
algorithms = ["HS256"]
leeway = "0s"
websocket_protocol = "bearer"
[authenticator.plain]
kind = "jwt"
algorithms = ["HS256"]
[[scope]]
id = "live:read"
title = "Look on"
levels = ["account"]
[[route]]
id = "live"
methods = ["GET"]
path = "/live/{{*rest}}"
authenticator = "bearer"
scope = "live:read"
upgrade = ["websocket", "x-echo"]
[[route]]
id = "stays"
methods = ["GET"]
path = "/stays/{{*rest}}"
authenticator = "bearer"
scope = "live:read"
upgrade = ["websocket"]
ends_with_token = false
[[route]]
id = "plain"
methods = ["GET", "POST"]
path = "/plain/{{*rest}}"
authenticator = "plain"
scope = "live:read"
upgrade = ["WebSocket"]
[[route]]
id = "any"
methods = ["GET", "POST"]
path = "/any/{{*rest}}"
authenticator = "bearer"
scope = "live:read"
{more}"#
        ),
    )
}

fn start(upstream: &str) -> Gateway {
    Gateway::start(setup(upstream, ""), &registry(&app()))
}

/// A token that ends after so many seconds.
fn ending_in(seconds: i64) -> Token {
    Token::of("watcher").claim("exp", now() + seconds)
}

fn live(token: &str) -> Call {
    Call::get("/live/feed").bearer(token)
}

/// An open WebSocket over which a word has gone and come back.
#[track_caller]
fn open(gateway: &Gateway, call: &Call) -> Socket {
    let mut socket = Socket::open(gateway.proxy, call).unwrap();
    socket.say("hello");
    assert_eq!(socket.hear(), Heard::Text("hello".into()));
    socket
}

/// The last line of the access log, once there is one.
fn last(gateway: &Gateway) -> serde_json::Value {
    super::harness::eventually("the call is logged", || gateway.log().pop())
}
