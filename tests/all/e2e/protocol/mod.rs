//! HTTP on both sides: versions, TLS, framing, bodies that take their time, and peers that misbehave.

mod big;
mod bodies;
mod certificates;
mod client_certificates;
mod credentials;
mod ending;
mod faults;
mod floods;
mod framing;
mod halves;
mod holding;
mod hostile;
mod hosts;
mod http2;
mod pipelined;
mod proxies;
mod proxy_protocol;
mod refusals;
mod secrets;
mod tls;

pub use tls::make_certificates;
mod waiting;

use std::io::ErrorKind;

use super::harness::{App, Call, Connection, Gateway, Registry, Setup};

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

/// Whether the gateway ends the connection; not where it merely says nothing.
fn ends(connection: &mut Connection) -> bool {
    match connection.read_some(&mut [0; 64]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}
