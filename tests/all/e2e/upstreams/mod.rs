//! Upstreams with several addresses, of every kind, that come and go: the gateway makes the best of them.

mod addresses;
mod credentials;
mod early_answers;
mod failing;
mod frames;
mod framing;
mod header_bounds;
mod health;
mod hosts;
mod http2;
mod kept;
mod limits;
mod refused;
mod response_timeout;
mod retries;
mod servers;

use std::net::{SocketAddr, TcpListener};

use http::Response;

use super::harness::{Answer, App, Call, Gateway, Recorder, Registry, Reply, Seen, Setup};

fn app() -> App {
    App::new("upstreams", "default", &[], &[])
}

/// In front of an upstream with these addresses and settings.
fn gateway(urls: &[String], settings: &str) -> Gateway {
    start(Setup::bearer_to(urls, settings))
}

fn start(setup: Setup) -> Gateway {
    Gateway::start(setup, &Registry::new().app(&app()))
}

fn good(method: &str) -> Call {
    Call::new(method, "/any/thing").bearer(app().token())
}

/// What an upstream of this name says to everything.
fn saying(name: &'static str) -> impl Fn(&Seen) -> Answer + Send + Sync + 'static {
    move |_| Answer::new(Response::new(name))
}

/// An address where nobody listens.
fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.clone()).unwrap()
}

fn named(names: &[&'static str]) -> (Vec<Recorder>, Vec<String>) {
    let upstreams: Vec<_> = names.iter().map(|name| Recorder::answering(saying(name))).collect();
    let urls = upstreams.iter().map(Recorder::url).collect();
    (upstreams, urls)
}
