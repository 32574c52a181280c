//! Requests that no good client sends: refused, with the connection sane after it and nothing of it at the upstream.

use std::io;

use super::{app, gateway, good};
use crate::e2e::harness::{Call, Connection, Gateway, Recorder};

/// Sends the bytes and then a good call on the same connection. What comes back is one 4xx (or nothing but the end of
/// the connection), and then the good call's own answer, or the end.
#[track_caller]
fn refused(gateway: &Gateway, upstream: &Recorder, name: &str, bytes: &[u8]) {
    let mut connection = Connection::open(gateway.proxy);
    connection.send(bytes);
    let reply = connection.read(false).unwrap_or_else(|error| panic!("{name}: no answer: {error}"));
    assert!((400..500).contains(&reply.status), "{name}: {}", reply.status);
    assert!(upstream.marked("hostile").is_empty(), "{name} reached the upstream: {:?}", upstream.marked("hostile"));
    let after = connection.try_send(&good("GET").mark("after").bytes()).and_then(|()| connection.read(false));
    match after {
        Ok(reply) => assert_eq!((reply.status, reply.body.as_slice()), (200, &b"from the upstream"[..]), "{name}"),
        Err(error) => assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "{name}: it hangs"),
    }
    assert!(upstream.marked("hostile").is_empty(), "{name} reached the upstream: {:?}", upstream.marked("hostile"));
}

/// A request whose token is good, so that nothing but its form can be the reason.
fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    let token = app().token();
    format!("{line}\r\nAuthorization: Bearer {token}\r\nx-mark: hostile\r\n{headers}\r\n{body}").into_bytes()
}

#[test]
fn a_request_with_two_framings_or_none_that_is_clear_is_refused() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let smuggled = "0\r\n\r\nGET /any/smuggled HTTP/1.1\r\nHost: a\r\nx-mark: hostile\r\n\r\n";
    let post = "POST /any/thing HTTP/1.1\r\nHost: a";
    for (name, headers, body) in [
        ("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n", "helloo"),
        ("a list of lengths", "Content-Length: 5, 6\r\n", "helloo"),
        ("a signed length", "Content-Length: +5\r\n", "hello"),
        ("a negative length", "Content-Length: -5\r\n", "hello"),
        ("a length that overflows", "Content-Length: 18446744073709551621\r\n", "hello"),
        ("an unknown coding", "Transfer-Encoding: xchunked\r\n", smuggled),
        ("chunked not last", "Transfer-Encoding: chunked, identity\r\n", smuggled),
        ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", smuggled),
    ] {
        refused(&gateway, &upstream, name, &request(post, headers, body));
    }
    let old = request("POST /any/thing HTTP/1.0\r\nHost: a", "Transfer-Encoding: chunked\r\n", smuggled);
    refused(&gateway, &upstream, "chunked in HTTP/1.0", &old);
}

#[test]
fn a_length_beside_chunks_is_refused_and_ends_the_connection() {
    // RFC 9112 section 6.3 lets a server refuse it: two servers might read it in two ways.
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let (length, chunked) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
    for headers in [[length, chunked].concat(), [chunked, length].concat(), [chunked, "content-length:0\r\n"].concat()]
    {
        let smuggled = "GET /any/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        let body = format!("3\r\nabc\r\n0\r\n\r\n{smuggled}");
        let mut connection = Connection::open(gateway.proxy);
        connection.send(&request("POST /any/thing HTTP/1.1\r\nHost: a", &headers, &body));
        let reply = connection.read(false).unwrap();
        assert_eq!((reply.status, reply.header("connection")), (400, Some("close")));
        assert_eq!(gateway.reason(&reply), "request.invalid");
        assert!(connection.is_closed());
    }
    assert!(upstream.all().is_empty());
}

#[test]
fn a_line_that_ends_in_a_bare_lf_reaches_the_upstream_as_a_line_of_its_own() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let mut connection = Connection::open(gateway.proxy);
    connection.send(&request("GET /any/thing HTTP/1.1\r\nHost: a", "x-first: a\nx-scopegate-app: posing\n", ""));
    assert_eq!(connection.read(false).unwrap().status, 200);
    let [seen] = &upstream.all()[..] else { panic!("not one call") };
    assert_eq!((seen.header("x-first"), seen.header("x-scopegate-app")), (Some("a"), Some("protocol")));
}

#[test]
fn a_request_whose_lines_can_be_read_in_two_ways_is_refused() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let get = "GET /any/thing HTTP/1.1\r\nHost: a";
    for (name, headers) in [
        ("a folded line", "x-folded: a\r\n b\r\n"),
        ("a NUL in a value", "x-nul: a\0b\r\n"),
        ("a NUL in a name", "x-n\0ul: a\r\n"),
        ("a space before the colon", "x-space : a\r\n"),
        ("a bare CR in a value", "x-cr: a\rb\r\n"),
        ("a line without a colon", "nothing\r\n"),
        ("an empty name", ": a\r\n"),
    ] {
        refused(&gateway, &upstream, name, &request(get, headers, ""));
    }
}

#[test]
fn a_request_for_two_hosts_or_none_is_refused() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    for (name, line) in [
        ("two Hosts", "GET /any/thing HTTP/1.1\r\nHost: a\r\nHost: b"),
        ("two Hosts that are alike", "GET /any/thing HTTP/1.1\r\nHost: a\r\nHost: a"),
        ("no Host", "GET /any/thing HTTP/1.1"),
        ("an empty Host", "GET /any/thing HTTP/1.1\r\nHost: "),
        ("a Host with a path", "GET /any/thing HTTP/1.1\r\nHost: a/b"),
        ("a Host with a user", "GET /any/thing HTTP/1.1\r\nHost: u@a"),
        ("another authority", "GET http://b/any/thing HTTP/1.1\r\nHost: a"),
        ("a user in the authority", "GET http://u@a/any/thing HTTP/1.1\r\nHost: a"),
        ("CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443"),
        ("TRACE", "TRACE /any/thing HTTP/1.1\r\nHost: a"),
    ] {
        refused(&gateway, &upstream, name, &request(line, "", ""));
    }
}

#[test]
fn a_path_that_two_servers_might_read_in_two_ways_is_refused() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    for path in [
        "//any/thing",
        "/any//thing",
        "/any/..",
        "/any/../any/thing",
        "/any/./thing",
        "/any/%2e%2e/thing",
        "/any/a%2fb",
        "/any/a%2Fb",
        "/any/a%5cb",
        "/any/a\\b",
        "/any/a;b=c",
        "/any/..;/thing",
        "/any/%00",
        "/any/%0d%0ax",
        "/any/%",
        "/any/%zz",
        "/any/%252e%252e/thing",
        "/any/%25%32%65",
        "/any/%2E",
        "/any/.%2e/thing",
        "/any/%5C",
        "/any/\u{e9}",
        "*",
        "any/thing",
    ] {
        let line = format!("GET {path} HTTP/1.1\r\nHost: a");
        refused(&gateway, &upstream, path, &request(&line, "", ""));
    }
}

#[test]
fn a_target_that_names_its_own_authority_goes_on_as_a_path() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let reply = gateway.call(&Call::get("http://gateway.test/any/thing?a=b").bearer(app().token()));
    assert_eq!(reply.status, 200);
    let [seen] = &upstream.all()[..] else { panic!("not one call") };
    assert_eq!(seen.target, "/any/thing?a=b");
    assert_eq!(seen.header("host"), Some(upstream.address.to_string().as_str()));
    assert_eq!(seen.header("x-forwarded-host"), Some("gateway.test"));
}

#[test]
fn a_header_that_says_who_calls_never_comes_from_the_caller() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let spoofed = [
        "x-scopegate-app",
        "X-Scopegate-Account",
        "x_scopegate_bot",
        "x.scopegate.scopes",
        "X-SCOPEGATE-SUBJECT",
        "x-scopegate-anything",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "Forwarded",
        "X-Real-IP",
        "X-Request-Id",
        "X-HTTP-Method-Override",
        "X-Original-URL",
        "Keep-Alive",
        "Proxy-Authorization",
    ];
    let call = spoofed.iter().fold(good("GET"), |call, name| call.header(name, "spoofed"));
    let call = call.header("Connection", "x-listed").header("X-Listed", "spoofed").header("X-Kept", "kept");
    assert_eq!(gateway.call(&call).status, 200);
    let [seen] = &upstream.all()[..] else { panic!("not one call") };
    for (name, value) in &seen.headers {
        assert_ne!(value, "spoofed", "{name}");
    }
    assert_eq!(seen.header("x-kept"), Some("kept"));
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("x-scopegate-app"), Some("protocol"));
    assert_eq!(seen.header("authorization"), None);
}

#[test]
fn two_tokens_are_no_token() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    for call in [good("GET").bearer(app().token()), good("GET").bearer("x.y.z")] {
        let reply = gateway.call(&call);
        assert_eq!((reply.status, reply.code().as_str()), (400, "credential.ambiguous"));
    }
    assert!(upstream.all().is_empty());
}

#[test]
fn a_header_that_is_too_large_is_a_431() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let reply = gateway.call(&good("GET").header("x-long", "x".repeat(33 << 10)));
    assert_eq!((reply.status, reply.code().as_str()), (431, "request.headers_too_large"));
    let mut connection = Connection::open(gateway.proxy);
    _ = connection.try_send(&good("GET").header("x-long", "x".repeat(200 << 10)).bytes());
    assert_eq!(connection.read(false).map_or(431, |reply| reply.status), 431);
    let many = (0..200).fold(good("GET"), |call, i| call.header(&format!("x-{i}"), "x"));
    let mut connection = Connection::open(gateway.proxy);
    connection.send(&many.bytes());
    assert_eq!(connection.read(false).unwrap().status, 431);
    assert!(upstream.all().is_empty());
}
