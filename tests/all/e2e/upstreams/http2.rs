//! HTTP/2 to upstreams: by prior knowledge and by ALPN.

use std::collections::BTreeSet;
use std::process::Command;
use std::thread;

use http::{HeaderMap, HeaderValue, Response};

use super::{gateway, good, start, text};
use crate::e2e::harness::{Answer, Call, Recorder, Setup};

#[test]
fn an_upstream_may_speak_http_2_without_tls() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("7"));
    let upstream = Recorder::http2(move |seen| Answer {
        response: Response::builder().header("trailer", "x-checksum").body(seen.body.clone().into()).unwrap(),
        trailers: Some(trailers.clone()),
    });
    let gateway = gateway(&[upstream.url()], "http = \"2\"");
    let reply = gateway.call(&Call { body: Some(b"ping".into()), ..good("POST").header("te", "trailers") });
    assert_eq!((reply.status, text(&reply).as_str()), (200, "ping"));
    assert_eq!(reply.trailers, [("x-checksum".to_owned(), "7".to_owned())]);
    let seen = &upstream.all()[0];
    assert_eq!(seen.target, format!("{}/any/thing", upstream.url()), "scheme, authority and path");
    assert_eq!((seen.header("host"), seen.header("transfer-encoding")), (None, None));
    assert_eq!(seen.header("x-scopegate-app"), Some("upstreams"));
    assert_eq!(gateway.call(&good("GET")).status, 200);
}

#[test]
fn many_calls_share_one_connection() {
    let upstream = Recorder::http2(|_| Answer::new(Response::new("ok")));
    let gateway = gateway(&[upstream.url()], "http = \"2\"");
    let call = good("GET");
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| assert_eq!(gateway.call(&call).status, 200));
        }
    });
    let connections: BTreeSet<_> = upstream.all().iter().map(|seen| seen.connection).collect();
    assert_eq!((upstream.all().len(), connections.len()), (50, 1));
}

#[test]
fn the_upstream_chooses_the_version_where_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let make = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("certs/make");
    assert!(Command::new(make).arg(folder.path()).output().unwrap().status.success());
    let ca = folder.path().join("ca.pem");
    for (offered, is_http2) in [(&["h2", "http/1.1"][..], true), (&["http/1.1"], false), (&[], false)] {
        let upstream = Recorder::with_tls_as(folder.path(), false, offered);
        let url = format!("https://127.0.0.1:{}", upstream.address.port());
        let gateway = start(Setup::bearer(&url, &format!("http = \"auto\"\ntls = {{ ca = {ca:?} }}")));
        for _ in 0..2 {
            assert_eq!(gateway.call(&good("GET")).status, 200);
        }
        let seen = upstream.all();
        assert_eq!(seen[0].target.starts_with("https://"), is_http2, "{offered:?}");
        assert_eq!(seen[0].connection, seen[1].connection, "it is kept");
    }
    let only_old = Recorder::with_tls_as(folder.path(), false, &["http/1.1"]);
    let url = format!("https://127.0.0.1:{}", only_old.address.port());
    let gateway = start(Setup::bearer(&url, &format!("http = \"2\"\ntls = {{ ca = {ca:?} }}")));
    assert_eq!(gateway.call(&good("GET")).code(), "upstream.tls_failed");
}

#[test]
fn an_upstream_that_goes_away_costs_no_later_call() {
    let upstream = Recorder::http2(|_| Answer::new(Response::new("ok")));
    let gateway = gateway(&[upstream.url()], "http = \"2\"");
    assert_eq!(gateway.call(&good("POST")).status, 200);
    let address = upstream.address;
    upstream.stop();
    let reply = gateway.call(&good("POST"));
    assert!(matches!(reply.code().as_str(), "upstream.unreachable" | "upstream.reset"), "{}", reply.code());
    let old = Recorder::at(address, |_| Answer::new(Response::new("ok")));
    let reply = gateway.call(&good("POST"));
    assert!(matches!(reply.code().as_str(), "upstream.reset" | "upstream.invalid"), "it speaks HTTP/1.1 now");
    old.stop();
}

#[test]
fn the_callers_version_says_nothing_about_the_upstreams() {
    let upstream = Recorder::http2(|_| Answer::new(Response::new("ok")));
    let gateway = gateway(&[upstream.url()], "http = \"2\"");
    let token = super::app().token();
    for version in ["--http1.0", "--http1.1", "--http2-prior-knowledge"] {
        let output = Command::new("curl")
            .args(["-s", "-w", " %{http_code}", version, "-H"])
            .arg(format!("Authorization: Bearer {token}"))
            .arg(format!("http://{}/any/thing", gateway.proxy))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "ok 200", "{version}");
    }
}
