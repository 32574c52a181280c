//! HTTP on both sides: versions, TLS, framing, bodies that take their time, and peers that misbehave.

mod big;
mod bodies;
mod credentials;
mod faults;
mod framing;
mod hostile;
mod hosts;
mod http2;
mod pipelined;
mod tls;

use super::harness::{App, Call, Gateway, Registry, Setup};

fn app() -> App {
    App::new("protocol", "default", &[], &[])
}

/// Routes `/any/…` to the upstream for whoever has a token.
fn gateway(upstream: &str, sections: &str) -> Gateway {
    Gateway::start(Setup::bearer(upstream, sections), &registry())
}

fn registry() -> Registry {
    Registry::new().app(&app())
}

/// A call that goes on.
fn good(method: &str) -> Call {
    Call::new(method, "/any/thing").bearer(app().token())
}
