//! Callers who wait, so that others would have to.

use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::big::peak;
use super::tls::make_certificates;
use super::{app, ends, gateway, good, registry};
use crate::e2e::harness::{Connection, Gateway, Recorder, Scripted, Setup, eventually, read_head};

const LIMIT: Duration = Duration::from_secs(10);
const IMPATIENT: &str = "workers = 1\ntimeouts = { header = \"300ms\", tls_handshake = \"300ms\" }";
/// How HTTP/2 begins.
const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[test]
fn a_slow_upload_whose_upstream_answers_early_does_not_hold_up_other_callers() {
    // It answers by the header alone, keeps the connection, and never reads a body.
    let upstream = Scripted::start(|mut stream, _| {
        while !read_head(&mut stream).is_empty() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        }
    });
    let gateway = gateway(&upstream.url(), "");
    let mut slow = Connection::open(gateway.proxy);
    let head = format!(
        "POST /any/slow HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Length: 100000\r\n\r\nx",
        app().token()
    );
    slow.send(head.as_bytes());
    assert_eq!(slow.read(false).unwrap().status, 200);
    let reply = gateway.call(&good("GET"));
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b"ok"[..]));
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 2, "each on a connection of its own");
}

#[test]
fn a_caller_who_does_not_say_what_it_wants_is_left_after_the_header_timeout() {
    let upstream = Recorder::start();
    let setup = Setup::bearer(&upstream.url(), "");
    setup.edit("workers = 1", IMPATIENT);
    let gateway = Gateway::start(setup, &registry());
    for said in ["", "P", "PRI", &PREFACE[..20]] {
        let mut connection = Connection::open(gateway.proxy);
        connection.send(said.as_bytes());
        assert!(ends(&mut connection), "{said:?}");
    }
    for said in ["GET", "GET /any/thing HTTP/1.1\r\nHost:", "\r\nGET /any/thing HTTP/1.1\r\nHost: a\r\n"] {
        let mut connection = Connection::open(gateway.proxy);
        connection.send(said.as_bytes());
        let reply = connection.read(false).unwrap();
        assert_eq!((reply.status, reply.code().as_str()), (408, "request.timeout"), "{said:?}");
        assert_eq!(gateway.reason(&reply), "request.timeout");
        assert!(connection.is_closed());
    }
    let mut kept = Connection::open(gateway.proxy);
    assert_eq!(kept.call(&good("GET")).status, 200);
    assert!(ends(&mut kept), "a connection between two requests is closed as well, without a word");
    let mut kept = Connection::open(gateway.proxy);
    assert_eq!(kept.call(&good("GET")).status, 200);
    kept.send(b"GET /any");
    assert_eq!(kept.read(false).unwrap().status, 408, "a second request is waited for no longer");
}

/// Trusts the CA and speaks HTTP/2 alone.
fn connector(ca: &std::path::Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn a_caller_who_does_not_say_what_it_wants_over_tls_is_left_after_the_handshake_timeout() {
    let upstream = Recorder::start();
    let setup = Setup::bearer(&upstream.url(), "");
    make_certificates(setup.path());
    let tls = "tls = { cert = \"certs/server.pem\", key = \"certs/server.key\" }";
    setup.edit("workers = 1", &format!("{IMPATIENT}\n{tls}"));
    let gateway = Gateway::start(setup, &registry());
    let connector = connector(&gateway.setup.path().join("certs/ca.pem"));
    let mut silent = Connection::open(gateway.proxy);
    assert!(ends(&mut silent), "no handshake");
    for said in ["", "PRI", &PREFACE[..20]] {
        let stream = TcpStream::connect(gateway.proxy).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector.connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        let read = tokio::time::timeout(LIMIT, stream.read_to_end(&mut all)).await;
        assert!(read.is_ok(), "{said:?}: still open");
        assert!(all.is_empty(), "{said:?}: {all:?}");
    }
}

#[test]
fn a_caller_who_reads_nothing_of_a_large_answer_is_left_and_the_upstream_with_it() {
    const LENGTH: usize = 64 << 20;
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let upstream = Scripted::start(move |mut stream, _| {
        read_head(&mut stream);
        stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").as_bytes()).unwrap();
        tell.lock().unwrap().send(stream.write_all(&vec![b'x'; LENGTH]).is_err()).unwrap();
    });
    let setup = Setup::bearer(&upstream.url(), "");
    let gateway = Gateway::start(setup, &registry());
    gateway.setup.edit("workers = 1", "workers = 1\ntimeouts = { body_idle = \"500ms\" }");
    assert!(!gateway.setup.succeed(&["reload"]).contains("waiting for a restart"));
    let before = peak(&gateway);
    let mut connection = Connection::open(gateway.proxy);
    connection.send(&good("GET").bytes());
    assert!(told.recv_timeout(LIMIT).unwrap(), "the upstream sees its connection close");
    let line = eventually("the call is logged", || gateway.log().pop());
    assert_eq!((&line["status"], &line["outcome"]), (&200.into(), &"abandoned".into()));
    let grown = peak(&gateway) - before;
    assert!(grown < 20 << 20, "{} KiB", grown >> 10);
}
