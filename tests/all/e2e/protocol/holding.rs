//! What one client may hold: connections without a request, many of them, old ones, and bodies that drip.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{app, ends, good, registry};
use crate::e2e::harness::{Connection, Gateway, Recorder, Setup, eventually, rest};

const IMPATIENT: &str = "workers = 1\ntimeouts = { header = \"300ms\", tls_handshake = \"300ms\" }";
/// How HTTP/2 begins.
const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[test]
fn an_http2_connection_without_a_request_is_closed_after_the_header_timeout() {
    let upstream = Recorder::start();
    let setup = Setup::bearer(&upstream.url(), "");
    setup.edit("workers = 1", &format!("{IMPATIENT}\nlimits = {{ connections = 3 }}"));
    let gateway = Gateway::start(setup, &registry());
    // They do everything but ask: the preface, settings, and an answer to each ping and each setting.
    let silent: Vec<_> = (0..3).map(|_| Silent::open(gateway.proxy)).collect();
    eventually("a place is free again", || {
        let mut connection = Connection::try_open(gateway.proxy).ok()?;
        connection.try_send(&good("GET").bytes()).ok()?;
        connection.read(false).ok().filter(|reply| reply.status == 200)
    });
    drop(silent);
}

/// A client of HTTP/2 that answers pings and sends no request.
struct Silent;

impl Silent {
    fn open(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(PREFACE.as_bytes()).unwrap();
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
        std::thread::spawn(move || {
            let mut header = [0; 9];
            while stream.read_exact(&mut header).is_ok() {
                let length = usize::from(header[1]) << 8 | usize::from(header[2]);
                let mut payload = vec![0; length];
                stream.read_exact(&mut payload).unwrap();
                let (kind, flags) = (header[3], header[4]);
                if matches!(kind, 4 | 6) && flags & 1 == 0 {
                    header[4] |= 1;
                    let echoed = if kind == 6 {
                        &payload[..]
                    } else {
                        header[2] = 0;
                        header[1] = 0;
                        &[]
                    };
                    if stream.write_all(&[&header[..], echoed].concat()).is_err() {
                        return;
                    }
                }
            }
        });
        Self
    }
}

#[test]
fn a_client_has_no_more_connections_than_one_may_have() {
    let upstream = Recorder::start();
    let setup = Setup::bearer(&upstream.url(), "");
    setup.edit("workers = 1", "workers = 2\nlimits = { connections_per_client = 2 }");
    let gateway = Gateway::start(setup, &registry());
    let mut held: Vec<_> = (0..2).map(|_| Connection::open(gateway.proxy)).collect();
    assert!(held.iter_mut().all(|one| one.call(&good("GET")).status == 200));
    assert!(ends(&mut Connection::open(gateway.proxy)), "a third is closed at once");
    held.pop();
    eventually("another is taken once one has gone", || {
        let mut connection = Connection::open(gateway.proxy);
        connection.try_send(&good("GET").bytes()).ok()?;
        connection.read(false).ok().filter(|reply| reply.status == 200)
    });
}

#[test]
fn a_connection_that_is_old_enough_ends_after_one_more_request_at_most() {
    let upstream = Recorder::start();
    let setup = Setup::bearer(&upstream.url(), "");
    setup.edit("workers = 1", "workers = 1\ntimeouts = { connection_age = \"300ms\" }");
    let gateway = Gateway::start(setup, &registry());
    let mut connection = Connection::open(gateway.proxy);
    assert_eq!(connection.call(&good("GET")).header("connection"), None);
    assert!(connection.is_closed());
}

#[test]
fn a_body_that_drips_is_a_408_unless_its_route_streams() {
    let upstream = Recorder::start();
    let setup = Setup::bearer(&upstream.url(), "");
    setup.edit("workers = 1", "workers = 1\nlimits = { body_rate = 1000 }\ntimeouts = { body_grace = \"300ms\" }");
    setup.edit(
        "[[route]]",
        "[[route]]\nid = \"rpc\"\nmethods = [\"POST\"]\npath = \"/rpc\"\nauthenticator = \"bearer\"\nscope = \"any\"\ngrpc = true\n[[route]]",
    );
    let gateway = Gateway::start(setup, &registry());
    let grpc = "Content-Type: application/grpc\r\nTransfer-Encoding: chunked";
    for (fields, chunk) in
        [("Content-Length: 100", "x"), ("Transfer-Encoding: chunked", "1\r\nx\r\n"), (grpc, "1\r\nx\r\n")]
    {
        let mut connection = Connection::open(gateway.proxy);
        let head = format!(
            "POST /any/thing HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n{fields}\r\n\r\n",
            app().token()
        );
        connection.send(head.as_bytes());
        for _ in 0..10 {
            _ = connection.try_send(chunk.as_bytes());
            rest(Duration::from_millis(100));
        }
        let reply = connection.read(false).unwrap();
        assert_eq!((reply.status, reply.code().as_str()), (408, "request.timeout"), "{fields}");
    }
    let mut connection = Connection::open(gateway.proxy);
    let head = format!("POST /rpc HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n{grpc}\r\n\r\n", app().token());
    connection.send(head.as_bytes());
    for _ in 0..6 {
        connection.send(b"1\r\nx\r\n");
        rest(Duration::from_millis(100));
    }
    connection.send(b"0\r\n\r\n");
    assert_eq!(connection.read(false).unwrap().status, 200);
}
