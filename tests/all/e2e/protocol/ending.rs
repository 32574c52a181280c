//! What must not keep the process from ending.

use std::io::pipe;

use super::{gateway, good, registry};
use crate::e2e::harness::{Call, Connection, Gateway, Recorder, Setup};

#[test]
fn connections_that_are_silent_or_half_begun_do_not_delay_a_drain() {
    let upstream = Recorder::start();
    // The drain time and the header timeout are longer than the test waits for the end.
    let mut gateway = gateway(&upstream.url(), "");
    let mut held = Vec::new();
    for said in ["", "PRI", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET", "GET /any/thing HTTP/1.1\r\nHos"] {
        let mut connection = Connection::open(gateway.proxy);
        connection.send(said.as_bytes());
        held.push(connection);
    }
    // What was sent before this call was read before it.
    assert_eq!(gateway.call(&good("GET")).status, 200);
    gateway.signal("TERM");
    let (status, _, err) = gateway.wait();
    assert_eq!(status.code(), Some(0), "{err}");
    assert!(err.contains("stopped") && !err.contains("still in hand"), "{err}");
}

#[test]
fn a_log_that_nobody_reads_does_not_keep_the_process_from_ending() {
    let upstream = Recorder::start();
    let (unread, log) = pipe().unwrap();
    let mut gateway = Gateway::logging_to(Setup::bearer(&upstream.url(), ""), &registry(), log);
    let mut connection = Connection::open(gateway.proxy);
    let long = Call::get(format!("/nowhere/{}", "x".repeat(8 << 10)));
    // Five times what a pipe holds.
    for _ in 0..40 {
        assert_eq!(connection.call(&long).status, 404);
    }
    assert_eq!(connection.call(&good("GET")).status, 200, "no call waits for the log");
    drop(connection);
    gateway.signal("TERM");
    let (status, _, err) = gateway.wait();
    assert_eq!(status.code(), Some(0), "{err}");
    drop(unread);
}
