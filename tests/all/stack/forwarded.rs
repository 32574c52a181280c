//! Where a call comes from, as trusted proxies tell it, and as the leaf is told.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Request;
use scopegate::gateway::{Believed, Forwarding, Told};
use scopegate::model::Reason;
use scopegate::net::{Address, Peer, TrustedProxies};

use crate::support::registry::BOT;
use crate::support::routes::HOST;
use crate::support::{Format, Gateway, Script, Token};

const PROXY: &str = "10.0.0.1:4711";
const STRANGER: &str = "192.0.2.7:4711";

fn gateway(believed: Believed, told: Told) -> Gateway {
    let gateway = Gateway::new();
    let networks = vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/64".parse().unwrap()];
    let trusted = TrustedProxies { networks, unix: true };
    gateway.gate.forwarding.store(Arc::new(Forwarding { trusted, believed, told }));
    gateway
}

fn call(from: impl Into<Address>, is_tls: bool, headers: &[(&str, &str)]) -> Request<Script> {
    let request = Format::Problem.request("GET", "/any", &Token::of(BOT).make());
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let mut request = request.body(Script::empty()).unwrap();
    request.extensions_mut().insert(Peer::new(from, is_tls));
    request
}

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

#[tokio::test]
async fn the_client_is_the_nearest_that_is_no_trusted_proxy() {
    let gateway = gateway(Believed::XForwarded, Told::XForwarded);
    // What the proxy says; the client in the log; what the leaf is told.
    let cases = [
        ("192.0.2.9", Some("192.0.2.9"), "192.0.2.9, 10.0.0.1"),
        ("203.0.113.1, 192.0.2.9", Some("192.0.2.9"), "192.0.2.9, 10.0.0.1"),
        ("203.0.113.1, 192.0.2.9, 10.9.9.9", Some("192.0.2.9"), "192.0.2.9, 10.9.9.9, 10.0.0.1"),
        ("10.1.1.1, 10.9.9.9", Some("10.1.1.1"), "10.1.1.1, 10.9.9.9, 10.0.0.1"),
        ("192.0.2.9, somewhere, 10.9.9.9", None, "unknown, 10.9.9.9, 10.0.0.1"),
        ("[2001:db8:1::1]:80, 2001:db8::1", Some("2001:db8:1::1"), "2001:db8:1::1, 2001:db8::1, 10.0.0.1"),
        ("unknown", None, "unknown, 10.0.0.1"),
        ("192.0.2.9, ", None, "unknown, 10.0.0.1"),
    ];
    for (said, client, told) in cases {
        let reply = gateway.call(call(at(PROXY), false, &[("x-forwarded-for", said)])).await;
        assert_eq!((reply.log.peer.as_deref(), reply.log.client.as_deref()), (Some(PROXY), client), "{said}");
        assert_eq!(gateway.leaf.take_one().header("x-forwarded-for"), Some(told), "{said}");
    }
}

#[tokio::test]
async fn a_client_that_cannot_be_read_has_no_right_of_the_proxy() {
    let cases = [
        (Believed::XForwarded, "x-forwarded-for", "unknown"),
        (Believed::XForwarded, "x-forwarded-for", "192.0.2.9, 10.9.9.9, "),
        (Believed::XForwarded, "x-forwarded-for", "?, 10.9.9.9"),
        (Believed::Rfc7239, "forwarded", "for=unknown"),
        (Believed::Rfc7239, "forwarded", "for=\", for=192.0.2.9"),
        (Believed::Rfc7239, "forwarded", "for=192.0.2.9;proto, for=10.9.9.9"),
        (Believed::Rfc7239, "forwarded", "for=_hidden, for=10.9.9.9"),
    ];
    for (believed, name, said) in cases {
        let gateway = gateway(believed, Told::Both);
        gateway.change(|r| r.apps.get_mut(BOT).unwrap().settings.networks = ["10.0.0.0/8".parse().unwrap()].into());
        let reply = gateway.call(call(at(PROXY), false, &[(name, said)])).await;
        assert_eq!((reply.log.reason, reply.log.client), (Some(Reason::AppWrongNetwork), None), "{said}");
        let itself = gateway.call(call(at(PROXY), false, &[])).await;
        assert_eq!(itself.log.reason, None, "a proxy that speaks for nobody calls itself");
        gateway.leaf.take_one();
    }
    let gateway = gateway(Believed::Rfc7239, Told::Both);
    gateway.call(call(at(PROXY), false, &[("forwarded", "for=\", for=192.0.2.9")])).await;
    let seen = gateway.leaf.take_one();
    let forwarded = format!("for=unknown;proto=http, for=10.0.0.1;host=\"{HOST}\"");
    assert_eq!(seen.header("forwarded"), Some(forwarded.as_str()));
}

#[tokio::test]
async fn strangers_are_not_believed() {
    let gateway = gateway(Believed::XForwarded, Told::Both);
    let headers = [
        ("x-forwarded-for", "10.0.0.9"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=10.0.0.9;proto=https"),
        ("x-request-id", "made-elsewhere"),
    ];
    let reply = gateway.call(call(at(STRANGER), false, &headers)).await;
    assert_eq!((reply.log.peer.as_deref(), reply.log.client), (Some(STRANGER), None));
    assert_ne!(reply.headers["x-request-id"], "made-elsewhere");
    let seen = gateway.leaf.take_one();
    assert_eq!((seen.header("x-forwarded-for"), seen.header("x-forwarded-proto")), (Some("192.0.2.7"), Some("http")));
    assert_eq!(seen.header("forwarded"), Some(format!("for=192.0.2.7;proto=http;host=\"{HOST}\"").as_str()));
}

#[tokio::test]
async fn scheme_and_request_id_of_a_trusted_proxy_are_kept() {
    let gateway = gateway(Believed::XForwarded, Told::XForwarded);
    let said = [("x-forwarded-for", "192.0.2.9"), ("x-forwarded-proto", "https"), ("x-request-id", "made-elsewhere")];
    let reply = gateway.call(call(at(PROXY), false, &said)).await;
    let seen = gateway.leaf.take_one();
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-request-id"), Some("made-elsewhere"));
    assert_eq!(
        (reply.header("x-request-id"), reply.log.request_id.as_str()),
        (Some("made-elsewhere"), "made-elsewhere")
    );
    // The host is the request's own, whatever a proxy says.
    assert_eq!((seen.header("x-forwarded-host"), reply.log.host.as_deref()), (Some(HOST), Some(HOST)));

    let made = gateway.call(call(at(PROXY), true, &[("x-request-id", "no such id!")])).await;
    assert_eq!(made.log.request_id.len(), 32);
    assert_eq!(
        gateway.leaf.take_one().header("x-forwarded-proto"),
        Some("https"),
        "its own connection is all that is known"
    );
}

#[tokio::test]
async fn one_kind_of_field_is_believed_and_the_other_is_the_strangers() {
    let said = [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.2;proto=https")];
    for (believed, client, scheme) in
        [(Believed::XForwarded, "192.0.2.1", "http"), (Believed::Rfc7239, "192.0.2.2", "https")]
    {
        let gateway = gateway(believed, Told::Both);
        let reply = gateway.call(call(at(PROXY), false, &said)).await;
        assert_eq!(reply.log.client.as_deref(), Some(client));
        let seen = gateway.leaf.take_one();
        assert_eq!(seen.header("x-forwarded-for"), Some(format!("{client}, 10.0.0.1").as_str()));
        let forwarded = format!("for={client};proto={scheme}, for=10.0.0.1;host=\"{HOST}\"");
        assert_eq!(seen.header("forwarded"), Some(forwarded.as_str()));
    }
}

#[tokio::test]
async fn a_proxy_on_a_unix_socket_is_believed_and_has_no_address() {
    let gateway = gateway(Believed::XForwarded, Told::Both);
    let reply = gateway.call(call(Address::Unix, false, &[("x-forwarded-for", "2001:db8:1::9")])).await;
    assert_eq!((reply.log.peer.as_deref(), reply.log.client.as_deref()), (Some("unix"), Some("2001:db8:1::9")));
    let seen = gateway.leaf.take_one();
    assert_eq!(seen.header("x-forwarded-for"), Some("2001:db8:1::9"));
    let forwarded = format!("for=\"[2001:db8:1::9]\";proto=http, for=unknown;host=\"{HOST}\"");
    assert_eq!(seen.header("forwarded"), Some(forwarded.as_str()));

    gateway.call(call(Address::Unix, false, &[])).await;
    let seen = gateway.leaf.take_one();
    assert_eq!((seen.header("x-forwarded-for"), seen.header("x-forwarded-proto")), (None, Some("http")));
}

/// What a proxy writes by its documents, with its usual settings.
struct Dialect {
    proxy: &'static str,
    believed: Believed,
    fields: &'static [(&'static str, &'static str)],
    client: &'static str,
    scheme: &'static str,
}

const X: Believed = Believed::XForwarded;

const DIALECTS: [Dialect; 14] = [
    Dialect {
        proxy: "nginx",
        believed: X,
        fields: &[
            ("x-real-ip", "192.0.2.9"),
            ("x-forwarded-for", "198.51.100.1, 192.0.2.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "bots.example"),
            ("x-forwarded-port", "443"),
        ],
        client: "192.0.2.9",
        scheme: "https",
    },
    Dialect {
        proxy: "ingress-nginx",
        believed: X,
        fields: &[
            ("x-forwarded-for", "192.0.2.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-scheme", "https"),
            ("x-scheme", "https"),
            ("x-original-forwarded-for", "198.51.100.1"),
        ],
        client: "192.0.2.9",
        scheme: "https",
    },
    Dialect {
        proxy: "HAProxy, option forwardfor, which adds a field of its own",
        believed: X,
        fields: &[
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-for", "192.0.2.9"),
            ("x-forwarded-proto", "https"),
        ],
        client: "192.0.2.9",
        scheme: "https",
    },
    Dialect {
        proxy: "HAProxy, option forwarded",
        believed: Believed::Rfc7239,
        fields: &[("forwarded", "proto=https;host=\"bots.example\";by=10.0.0.1;for=\"[2001:db8:1::9]:4711\"")],
        client: "2001:db8:1::9",
        scheme: "https",
    },
    Dialect {
        proxy: "Traefik",
        believed: X,
        fields: &[
            ("x-forwarded-for", "192.0.2.9"),
            ("x-forwarded-host", "bots.example"),
            ("x-forwarded-port", "443"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-server", "front"),
            ("x-real-ip", "192.0.2.9"),
        ],
        client: "192.0.2.9",
        scheme: "https",
    },
    Dialect {
        proxy: "Traefik, for a WebSocket",
        believed: X,
        fields: &[("x-forwarded-for", "192.0.2.9"), ("x-forwarded-port", "443"), ("x-forwarded-proto", "wss")],
        client: "192.0.2.9",
        scheme: "https",
    },
    Dialect {
        proxy: "Traefik, for a WebSocket without TLS",
        believed: X,
        fields: &[("x-forwarded-for", "192.0.2.9"), ("x-forwarded-port", "80"), ("x-forwarded-proto", "ws")],
        client: "192.0.2.9",
        scheme: "http",
    },
    Dialect {
        proxy: "Envoy",
        believed: X,
        fields: &[
            ("x-forwarded-for", "2001:db8:1::9"),
            ("x-forwarded-proto", "https"),
            ("x-envoy-external-address", "2001:db8:1::9"),
            ("x-request-id", "8f1c2e34-aaaa-4bbb-8ccc-000000000001"),
        ],
        client: "2001:db8:1::9",
        scheme: "https",
    },
    Dialect {
        proxy: "Caddy",
        believed: X,
        fields: &[
            ("x-forwarded-for", "192.0.2.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "bots.example"),
            ("via", "2.0 Caddy"),
        ],
        client: "192.0.2.9",
        scheme: "https",
    },
    Dialect {
        proxy: "AWS ALB",
        believed: X,
        fields: &[
            ("x-forwarded-for", "192.0.2.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-port", "443"),
            ("x-amzn-trace-id", "Root=1-67891233-abcdef012345678912345678"),
        ],
        client: "192.0.2.9",
        scheme: "https",
    },
    Dialect {
        proxy: "AWS ALB, keeping the client's port",
        believed: X,
        fields: &[("x-forwarded-for", "[2001:db8:1::9]:4711"), ("x-forwarded-proto", "https")],
        client: "2001:db8:1::9",
        scheme: "https",
    },
    Dialect {
        proxy: "Azure Application Gateway",
        believed: X,
        fields: &[("x-forwarded-for", "192.0.2.9:4711"), ("x-forwarded-proto", "https"), ("x-forwarded-port", "443")],
        client: "192.0.2.9",
        scheme: "https",
    },
    Dialect {
        proxy: "Cloudflare, by the fields that all proxies write",
        believed: X,
        fields: &[
            ("x-forwarded-for", "198.51.100.1,192.0.2.9"),
            ("x-forwarded-proto", "https"),
            ("cf-connecting-ip", "192.0.2.9"),
            ("cf-visitor", "{\"scheme\":\"https\"}"),
        ],
        client: "192.0.2.9",
        scheme: "https",
    },
    Dialect {
        proxy: "Cloudflare, by its own fields, with a proxy behind it that replaced the others",
        believed: Believed::Cloudflare,
        fields: &[
            ("x-forwarded-for", "203.0.113.1"),
            ("x-forwarded-proto", "http"),
            ("cf-connecting-ip", "192.0.2.9"),
            ("cf-visitor", "{\"scheme\":\"https\"}"),
            ("cf-ray", "230b030023ae2822-SJC"),
        ],
        client: "192.0.2.9",
        scheme: "https",
    },
];

#[tokio::test]
async fn what_each_proxy_writes_is_understood() {
    for Dialect { proxy, believed, fields, client, scheme } in DIALECTS {
        let gateway = gateway(believed, Told::XForwarded);
        let reply = gateway.call(call(at(PROXY), false, fields)).await;
        assert_eq!((reply.status, reply.log.client.as_deref()), (200, Some(client)), "{proxy}");
        let seen = gateway.leaf.take_one();
        assert_eq!(seen.header("x-forwarded-for"), Some(format!("{client}, 10.0.0.1").as_str()), "{proxy}");
        assert_eq!(seen.header("x-forwarded-proto"), Some(scheme), "{proxy}");
        assert_eq!(seen.header("x-forwarded-host"), Some(HOST), "{proxy}");
        let stranger = gateway.call(call(at(STRANGER), false, fields)).await;
        assert_eq!(stranger.log.client, None, "{proxy}");
        assert_eq!(gateway.leaf.take_one().header("x-forwarded-proto"), Some("http"), "{proxy}");
    }
}
