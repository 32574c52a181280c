//! What the tests stand on: the real binary, a recording upstream, clients that can also misbehave, tokens made without
//! any code of the gateway's.

mod browser;
mod certificates;
mod client;
mod gateway;
mod node;
mod process;
mod registry;
mod servers;
mod tls_client;
mod token;
mod upstream;
mod websocket;

pub use browser::{Browser, page};
pub use certificates::Authority;
pub use client::{Call, Connection, Reply};
pub use gateway::{Gateway, Setup, texts};
pub use node::Node;
pub use process::{Child, binary, scopegate, scopegate_reading};
pub use registry::{App, Registry};
pub use servers::{Haproxy, Nginx};
pub use tls_client::TlsClient;
pub use token::{Token, now, part};
pub use upstream::{Answer, Recorder, Scripted, Seen, read_head};
pub use websocket::{Heard, Socket, Sockets};

use std::time::Duration;

/// Asks again and again until there is an answer, for ten seconds at most.
pub fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(Duration::from_secs(10), what, ask)
}

/// Asks again and again until there is an answer, and fails when the time is over.
pub fn within<T>(limit: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let pause = Duration::from_millis(10);
    for _ in 0..=limit.as_millis() / pause.as_millis() {
        if let Some(answer) = ask() {
            return answer;
        }
        rest(pause);
    }
    panic!("not within {limit:?}: {what}");
}

/// For what has to be given time, such as an upload that is slow.
pub fn rest(pause: Duration) {
    #[expect(clippy::disallowed_methods, reason = "no worker stands still here but the test's own thread")]
    std::thread::sleep(pause);
}
