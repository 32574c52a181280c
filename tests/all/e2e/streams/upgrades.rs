//! Which upgrades pass, what goes through them, and how they end.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::time::Duration;

use scopegate::clock::instant;

use super::{app, last, live, open, registry, setup, start};
use crate::e2e::harness::{
    Call, Connection, Gateway, Heard, Recorder, Scripted, Socket, Sockets, eventually, read_head, rest,
};

fn gauge(gateway: &Gateway, name: &str, value: &str) {
    eventually(&format!("{name} {value}"), || {
        let metrics = Call::get("/metrics").to(gateway.telemetry).body;
        String::from_utf8(metrics).unwrap().lines().any(|line| line == format!("{name} {value}")).then_some(())
    });
}

#[test]
fn messages_go_both_ways_through_an_upgrade_that_the_route_permits() {
    let upstream = Sockets::echo();
    let gateway = start(&upstream.url());
    let mut socket = open(&gateway, &live(&app().token()).header("x-scopegate-app", "posing"));
    let long = "0123456789".repeat(100_000);
    socket.say(&long);
    assert_eq!(socket.hear(), Heard::Text(long));
    gauge(&gateway, "scopegate_tunnels", "1");
    assert!(gateway.log().is_empty(), "the call is not over");
    assert_eq!(socket.close(), Heard::Closed(1005, String::new()));

    let line = last(&gateway);
    assert_eq!((&line["status"], &line["outcome"], &line["route"]), (&101.into(), &"complete".into(), &"live".into()));
    assert!(line.get("reason").is_none(), "{line}");
    let moved = 1_000_000..1_001_000;
    assert!(moved.contains(&line["bytes_in"].as_u64().unwrap()), "{line}");
    assert!(moved.contains(&line["bytes_out"].as_u64().unwrap()), "{line}");
    gauge(&gateway, "scopegate_tunnels", "0");
    gauge(&gateway, "scopegate_connections", "0");

    let [seen] = &upstream.seen()[..] else { panic!("not one") };
    let header = |name: &str| seen.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(header("x-scopegate-app"), ["watcher"]);
    assert_eq!((header("upgrade"), header("connection")), (vec!["websocket"], vec!["upgrade"]));
    assert!(header("authorization").is_empty());
}

fn asking(target: &str, connection: &str, protocol: &str) -> Call {
    let call = Call::get(target).bearer(app().token());
    call.header("Connection", connection).header("Upgrade", protocol).header("HTTP2-Settings", "AAMAAABk")
}

#[test]
fn a_protocol_that_a_client_merely_offers_is_ignored() {
    let upstream = Recorder::start();
    let gateway = start(&upstream.url());
    let both = "Upgrade, HTTP2-Settings";
    for (target, connection, protocol) in [
        ("/any/feed", both, "h2c"),
        ("/live/feed", both, "h2c"),
        ("/live/feed", "keep-alive, upgrade", "TLS/1.0, HTTP/2.0"),
        ("/any/feed", "Upgrade", "tls/1.3"),
        // Without Connection it is no request for an upgrade.
        ("/any/feed", "keep-alive", "websocket"),
    ] {
        let mut opened = Connection::open(gateway.proxy);
        assert_eq!(opened.call(&asking(target, connection, protocol)).status, 200, "{protocol}");
        // The connection goes on as it was.
        assert_eq!(opened.call(&Call::get("/any/thing").bearer(app().token())).status, 200);
    }
    let body = Call { body: Some(b"body".to_vec()), ..asking("/plain/feed", both, "h2c") };
    assert_eq!(gateway.call(&Call { method: "POST".into(), ..body }).status, 200);
    for seen in upstream.all() {
        let [connection, upgrade] = ["connection", "upgrade"].map(|name| seen.header(name));
        assert_eq!((connection, upgrade, seen.header("http2-settings")), (None, None, None), "{}", seen.target);
    }
    let url = format!("http://{}/any/curl", gateway.proxy);
    let authorization = format!("Authorization: Bearer {}", app().token());
    let arguments = ["-sS", "-o", "/dev/null", "-w", "%{http_code} %{http_version}", "--http2", "-H"];
    let output = std::process::Command::new("curl").args(arguments).args([&authorization, &url]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "200 1.1");
}

#[test]
fn a_protocol_that_is_asked_for_and_that_the_route_does_not_name_is_refused_with_what_is_missing() {
    let upstream = Recorder::start();
    let gateway = start(&upstream.url());
    let post = |call: Call| Call { method: "POST".into(), ..call };
    let websocket = "upgrade = [\"websocket\"] at the route";
    for (call, expected) in [
        (asking("/any/feed", "Upgrade", "websocket"), websocket),
        (asking("/any/feed", "keep-alive, Upgrade", "WebSocket"), websocket),
        (asking("/any/feed", "upgrade", "h2c, websocket"), websocket),
        (asking("/any/feed", "upgrade", "x-echo"), "upgrade = [\"x-echo\"] at the route"),
        (asking("/plain/feed", "upgrade", "SPDY/3.1"), "upgrade = [\"spdy/3.1\"] at the route"),
        (post(asking("/plain/feed", "upgrade", "websocket")), "a WebSocket that begins with GET"),
        (
            Call { body: Some(b"body".to_vec()), ..asking("/live/feed", "upgrade", "websocket") },
            "an upgrade without a body",
        ),
    ] {
        let reply = gateway.call(&call);
        assert_eq!((reply.status, reply.code().as_str()), (403, "upgrade.not_allowed"), "{call:?}");
        let line = gateway.logged(reply.request_id());
        assert_eq!((&line["reason"], &line["expected"]), (&"upgrade.not_allowed".into(), &expected.into()), "{line}");
    }
    assert_eq!(gateway.call(&Call { headers: vec![], ..asking("/any/feed", "upgrade", "websocket") }).status, 401);
    let anonymous = Call::get("/any/feed").header("Connection", "upgrade").header("Upgrade", "websocket");
    assert_eq!(gateway.call(&anonymous).code(), "credential.missing", "who calls is asked first");
    assert!(upstream.all().is_empty());
}

#[test]
fn whoever_may_not_call_opens_nothing() {
    let upstream = Sockets::echo();
    let gateway = start(&upstream.url());
    let refused = |call: &Call| Socket::open(gateway.proxy, call).err().unwrap();
    let (status, body) = refused(&Call::get("/live/feed"));
    assert!(status == 401 && body.contains("credential.missing"), "{body}");
    let (status, body) = refused(&live("eyJhbGciOiJIUzI1NiJ9.e30.x"));
    assert!(status == 401 && body.contains("token."), "{body}");
    let (status, body) = refused(&live(&super::ending_in(-5).sign(app().secret())));
    assert!(status == 401 && body.contains("token.expired"), "{body}");
    assert!(upstream.seen().is_empty());
}

#[test]
fn an_answer_other_than_an_upgrade_is_one_like_others() {
    let upstream = Scripted::start(|mut stream, _| {
        while !read_head(&mut stream).is_empty() {
            stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone").unwrap();
        }
    });
    let gateway = start(&upstream.url());
    assert_eq!(Socket::open(gateway.proxy, &live(&app().token())).err(), Some((404, "none".into())));
    assert_eq!(last(&gateway)["outcome"], "complete");
}

#[test]
fn an_upgrade_to_another_protocol_than_the_one_asked_for_is_no_answer() {
    for said in [
        &b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x-echo\r\n\r\n"[..],
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n",
    ] {
        let upstream = Scripted::saying(said);
        let gateway = start(&upstream.url());
        let (status, body) = Socket::open(gateway.proxy, &live(&app().token())).err().unwrap();
        assert!(status == 502 && body.contains("upstream.invalid"), "{status} {body}");
        let reply = gateway.call(&Call::get("/any/thing").bearer(app().token()));
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream.invalid"), "asked for by nobody");
    }
}

#[test]
fn a_token_may_be_offered_as_a_subprotocol_where_the_authenticator_takes_it() {
    let upstream = Sockets::echo();
    let gateway = start(&upstream.url());
    let token = app().token();
    let offering = |target: &str, offers: &str| Call::get(target).header("Sec-WebSocket-Protocol", offers);
    let mut socket = open(&gateway, &offering("/live/feed", &format!("chat, bearer.{token}")));
    socket.say("again");
    assert_eq!(socket.hear(), Heard::Text("again".into()));
    assert_eq!(upstream.seen()[0].get("sec-websocket-protocol").unwrap(), "chat");

    let refused = |call: &Call| Socket::open(gateway.proxy, call).err().unwrap();
    let (status, body) = refused(&offering("/live/feed", &format!("chat, bearer.{token}, bearer.{token}")));
    assert!(status == 400 && body.contains("credential.ambiguous"), "{body}");
    let (status, body) = refused(&offering("/live/feed", "chat, bearer."));
    assert!(status == 401 && body.contains("credential.malformed"), "{body}");
    let (status, body) = refused(&offering("/live/feed", &format!("chat, bearer.{token}x")));
    assert!(status == 401 && body.contains("token."), "{body}");
    let (status, body) = refused(&offering("/plain/feed", &format!("chat, bearer.{token}")));
    assert!(status == 401 && body.contains("credential.missing"), "another authenticator: {body}");
    // A call that is no WebSocket has to use the header.
    let reply = gateway.call(&offering("/live/feed", &format!("chat, bearer.{token}")));
    assert_eq!((reply.status, reply.code().as_str()), (401, "credential.missing"));
    assert_eq!(upstream.seen().len(), 1);

    // What is of no use to this route is no business of its upstream.
    open(&gateway, &offering("/plain/feed", &format!("chat, bearer.{token}")).bearer(&token));
    assert_eq!(upstream.seen()[1].get("sec-websocket-protocol").unwrap(), "chat");
}

#[test]
fn a_tunnel_that_says_nothing_for_too_long_ends_and_pings_count() {
    let upstream = Sockets::echo();
    let setup = setup(&upstream.url(), "");
    setup.edit("workers = 1", "workers = 1\ntimeouts = { tunnel_idle = \"1s\" }");
    let gateway = Gateway::start(setup, &registry(&app()));
    let mut socket = open(&gateway, &live(&app().token()));
    for _ in 0..8 {
        rest(Duration::from_millis(250));
        socket.ping();
    }
    socket.say("still here");
    assert_eq!(socket.hear(), Heard::Text("still here".into()));
    assert_eq!(socket.hear(), Heard::Closed(1001, "tunnel.idle".into()));
    let line = last(&gateway);
    assert_eq!((&line["outcome"], &line["reason"]), (&"ended".into(), &"tunnel.idle".into()));
    eventually("the upstream was told", || (upstream.closed() == [Some(1001)]).then_some(()));
}

#[test]
fn a_gateway_that_stops_tells_both_sides_and_waits_for_them() {
    let upstream = Sockets::echo();
    let mut gateway = start(&upstream.url());
    let mut sockets: Vec<_> = (0..3).map(|_| open(&gateway, &live(&app().token()))).collect();
    gateway.signal("TERM");
    for socket in &mut sockets {
        assert_eq!(socket.hear(), Heard::Closed(1001, "gateway.stopping".into()));
    }
    let (status, out, err) = gateway.wait();
    assert_eq!(status.code(), Some(0), "{err}");
    assert!(!err.contains("still in hand"), "{err}");
    let ended = out.lines().filter(|line| line.contains(r#""outcome":"ended""#) && line.contains("gateway.stopping"));
    assert_eq!(ended.count(), 3, "{out}");
    assert_eq!(upstream.closed(), [Some(1001); 3]);
}

/// A WebSocket server that says a word and then does this with its connection.
fn leaving(how: impl Fn(&std::net::TcpStream) + Send + Sync + 'static) -> Sockets {
    Sockets::start(move |socket| {
        _ = socket.read();
        socket.send(tungstenite::Message::text("hello")).unwrap();
        how(socket.get_ref());
        None
    })
}

#[test]
fn a_connection_ends_when_both_close_frames_are_there() {
    let soon = Duration::from_secs(2);
    // An upstream that goes without a word.
    let gone = leaving(|stream| _ = stream.shutdown(Shutdown::Both));
    // One that closes and keeps its connection.
    let kept = Sockets::start(|socket| {
        _ = socket.read();
        socket.send(tungstenite::Message::text("hello")).unwrap();
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
        rest(Duration::from_secs(4));
        None
    });
    for upstream in [&gone, &kept] {
        let gateway = start(&upstream.url());
        let mut socket = open(&gateway, &live(&app().token()));
        let begun = instant();
        assert!(matches!(socket.hear(), Heard::Closed(1011 | 1005, _)));
        assert!(instant().duration_since(begun) < soon, "{:?}", instant().duration_since(begun));
        drop(last(&gateway));
        assert!(instant().duration_since(begun) < soon, "{:?}", instant().duration_since(begun));
    }
    // One that does not answer when we end it: the client does not wait for that.
    let deaf = leaving(|_| rest(Duration::from_secs(4)));
    let setup = setup(&deaf.url(), "");
    setup.edit("workers = 1", "workers = 1\ntimeouts = { tunnel_idle = \"1s\" }");
    let gateway = Gateway::start(setup, &registry(&app()));
    let mut socket = open(&gateway, &live(&app().token()));
    let begun = instant();
    assert_eq!(socket.hear(), Heard::Closed(1001, "tunnel.idle".into()));
    assert!(instant().duration_since(begun) < Duration::from_secs(3), "{:?}", instant().duration_since(begun));
}

#[test]
fn a_client_whose_upstream_broke_off_while_it_spoke_still_hears_why() {
    // What is unread when it closes makes the upstream's end a reset.
    let upstream = leaving(|stream| {
        rest(Duration::from_millis(300));
        _ = stream.shutdown(Shutdown::Both);
    });
    let gateway = start(&upstream.url());
    let mut socket = open(&gateway, &live(&app().token()));
    let begun = instant();
    for _ in 0..4 {
        socket.say(&"x".repeat(10_000));
        rest(Duration::from_millis(100));
    }
    assert_eq!(socket.hear(), Heard::Closed(1011, "upstream.invalid".into()));
    assert!(instant().duration_since(begun) < Duration::from_secs(3), "{:?}", instant().duration_since(begun));
    assert_eq!(last(&gateway)["outcome"], "cut");
}

#[test]
fn whoever_breaks_off_is_told_of_to_the_other_side() {
    // One that says a word and is gone.
    let upstream = Sockets::start(|socket| {
        _ = socket.read();
        socket.send(tungstenite::Message::text("hello")).unwrap();
        _ = socket.get_ref().shutdown(Shutdown::Both);
        None
    });
    let gateway = start(&upstream.url());
    let mut socket = open(&gateway, &live(&app().token()));
    assert_eq!(socket.hear(), Heard::Closed(1011, "upstream.invalid".into()));
    assert_eq!(last(&gateway)["outcome"], "cut");

    let upstream = Sockets::echo();
    let gateway = start(&upstream.url());
    let mut socket = open(&gateway, &live(&app().token()));
    socket.stream().shutdown(Shutdown::Both).unwrap();
    eventually("the upstream sees the end", || (upstream.closed() == [None]).then_some(()));
    assert_eq!(last(&gateway)["outcome"], "abandoned");
}

#[test]
fn another_protocol_goes_through_byte_by_byte_up_to_the_end_of_each_side() {
    let upstream = Scripted::start(|mut stream, _| {
        let head = read_head(&mut stream);
        assert!(head.to_ascii_lowercase().contains("upgrade: x-echo\r\n"), "{head}");
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: X-Echo\r\n\r\nfirst")
            .unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
    });
    let gateway = start(&upstream.url());
    let mut connection = Connection::open(gateway.proxy);
    let call = live(&app().token()).header("Connection", "Upgrade").header("Upgrade", "x-echo");
    // Not even what comes with the request is lost.
    connection.send(&[call.bytes(), b"early ".to_vec()].concat());
    let (status, headers) = connection.read_head().unwrap();
    assert_eq!(status, 101);
    assert!(headers.contains(&("upgrade".into(), "x-echo".into())), "{headers:?}");
    connection.send(b"and late");
    connection.shut_down();
    let reply = connection.read_to_end();
    assert_eq!(String::from_utf8(reply).unwrap(), "firstearly and late");
    let line = last(&gateway);
    assert_eq!((&line["status"], &line["outcome"]), (&101.into(), &"complete".into()));
    assert_eq!((&line["bytes_in"], &line["bytes_out"]), (&14.into(), &19.into()));
}

#[test]
fn check_prints_the_upgrades_of_a_route_and_refuses_what_can_be_none() {
    let setup = setup("http://127.0.0.1:9", "");
    let printed = setup.succeed(&["check"]);
    assert!(printed.lines().any(|line| line.starts_with("GET (websocket, x-echo)  /live/{*rest}")), "{printed}");
    for (wrong, why) in [
        ("upgrade = [\"h2c\"]", "judged by nobody"),
        ("upgrade = [\"web socket\"]", "is no protocol"),
        ("upgrade = \"websocket\"", "upgrade"),
    ] {
        setup.edit("upgrade = [\"WebSocket\"]", wrong);
        let said = setup.refused(&["check"]);
        assert!(said.contains(why), "{said}");
        setup.edit(wrong, "upgrade = [\"WebSocket\"]");
    }
    setup.edit("websocket_protocol = \"bearer\"", "websocket_protocol = \"be.arer\"");
    assert!(setup.refused(&["check"]).contains("use letters, digits"));
}

#[test]
fn an_upgrade_is_asked_for_in_http_1_1_also_where_the_upstream_would_choose_http_2() {
    let folder = tempfile::tempdir().unwrap();
    crate::e2e::protocol::make_certificates(folder.path());
    let certs = folder.path().join("certs");
    let upstream = Recorder::with_tls_as(&certs, false, &["h2", "http/1.1"]);
    let url = format!("https://127.0.0.1:{}", upstream.address.port());
    let setup = setup(&url, "");
    let urls = format!("urls = [{url:?}]");
    let ca = certs.join("ca.pem");
    setup.edit(&urls, &format!("{urls}\nhttp = \"auto\"\ntls = {{ ca = {ca:?} }}"));
    let gateway = Gateway::start(setup, &registry(&app()));
    let asking = live(&app().token()).header("Connection", "upgrade").header("Upgrade", "websocket");
    assert_eq!(gateway.call(&live(&app().token())).status, 200);
    assert_eq!(gateway.call(&asking).status, 200);
    let [first, second] = &upstream.all()[..] else { panic!("not two calls") };
    assert_ne!(first.connection, second.connection);
    assert_eq!((first.header("upgrade"), second.header("upgrade")), (None, Some("websocket")));
    assert!(first.target.starts_with("https://") && second.target == "/live/feed", "{first:?} {second:?}");
}

#[test]
fn a_websocket_goes_through_tls_on_both_sides() {
    use rustls::pki_types::pem::PemObject as _;
    let folder = tempfile::tempdir().unwrap();
    crate::e2e::protocol::make_certificates(folder.path());
    let certs = folder.path().join("certs");
    let upstream = Sockets::echo();
    // The upstream's TLS is another gateway's, which shows that one may stand behind another.
    let tls = |setup: &crate::e2e::harness::Setup| {
        let [cert, key] = ["server.pem", "server.key"].map(|name| certs.join(name));
        setup.edit("workers = 1", &format!("workers = 1\ntls = {{ cert = {cert:?}, key = {key:?} }}"));
    };
    let inner = setup(&upstream.url(), "");
    tls(&inner);
    inner.edit("id = \"live\"", "id = \"live\"\nkeep_credential = true");
    let inner = Gateway::start(inner, &registry(&app()));
    let url = format!("https://localhost:{}", inner.proxy.port());
    let outer = setup(&url, "");
    tls(&outer);
    outer.edit("id = \"live\"", "id = \"live\"\nkeep_credential = true");
    let (urls, ca) = (format!("urls = [{url:?}]"), certs.join("ca.pem"));
    outer.edit(&urls, &format!("{urls}\ntls = {{ ca = {ca:?} }}"));
    let outer = Gateway::start(outer, &registry(&app()));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_file(&ca).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = std::sync::Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let session = rustls::ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let stream = std::net::TcpStream::connect(outer.proxy).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let token = super::ending_in(4).sign(app().secret());
    let mut socket = Socket::over(rustls::StreamOwned::new(session, stream), &live(&token)).ok().unwrap();
    for text in ["short".to_owned(), "long ".repeat(200_000)] {
        socket.say(&text);
        assert_eq!(socket.hear(), Heard::Text(text));
    }
    assert_eq!(socket.hear(), Heard::Closed(3000, "token.expired".into()));
}
