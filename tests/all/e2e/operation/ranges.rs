//! Numbers, durations, ports and URLs are checked for their range where they are read.

use crate::e2e::harness::{Setup, scopegate, texts};

const TAIL: &str = "[authenticator.a]\nkind = \"anonymous\"\n[[route]]\nid = \"a\"\nmethods = [\"GET\"]\npath = \"/a\"\nauthenticator = \"a\"\n\
                    upstream = \"bots\"\n";
const URLS: &str = "[upstream.bots]\nurls = [\"http://127.0.0.1:9\"]\n";

/// The error of these sections, which stand before a route.
fn error(sections: &str) -> String {
    Setup::whole(&format!("{sections}\n{TAIL}")).refused(&["check"])
}

#[test]
fn a_bad_url_of_an_upstream_never_becomes_another_one() {
    for (url, wanted) in [
        ("http://127.0.0.1:99999", "has the port 99999, and ports are 1 to 65535"),
        ("http://127.0.0.1:65536", "has the port 65536"),
        ("https://bots.internal:0", "has the port 0"),
        ("http://127.0.0.1:", "names no port behind its colon"),
        ("http://[::1]:99999", "has the port 99999"),
        ("http://127.0.0.256:80", "no host and no address"),
        ("http://*:80", "no host and no address"),
        ("http://user:hunter2@127.0.0.1:99999", "holds a user name"),
    ] {
        let why = error(&format!("[upstream.bots]\nurls = [{url:?}]"));
        assert!(why.contains("scopegate.toml:2: upstream.bots.urls: ") && why.contains(wanted), "{url}: {why}");
        assert!(!why.contains("hunter2"), "{why}");
    }
    let long = format!("unix:/{}", "a".repeat(107));
    let why = error(&format!("[upstream.bots]\nurls = [{long:?}]"));
    assert!(why.contains("its path has 108 bytes, and may have 107"), "{why}");
    let why = error(&format!("{URLS}[proxy]\nlisten = {long:?}"));
    assert!(why.contains("its path has 108 bytes, and may have 107"), "{why}");
}

#[test]
fn a_number_or_a_duration_out_of_range_is_refused_with_its_key_and_its_unit() {
    for (section, wanted) in [
        ("[proxy]\nworkers = 1025", "proxy.workers: 1025 is out of range: 0 to 1024"),
        ("[proxy]\ncache_bytes = 1099511627777", "proxy.cache_bytes: 1099511627777 is out of range"),
        ("[proxy]\nlimits = { connections = 0 }", "proxy.limits.connections: 0 is out of range: 1 to 10000000"),
        (
            "[proxy]\nlimits = { concurrent_requests = 9223372036854775807 }",
            "proxy.limits.concurrent_requests: 9223372036854775807",
        ),
        (
            "[proxy]\nlimits = { header_bytes = 1023 }",
            "proxy.limits.header_bytes: 1023 is out of range: 1024 to 16777216",
        ),
        ("[proxy]\ntimeouts = { header = \"0s\" }", "proxy.timeouts.header: 0s is out of range"),
        ("[proxy]\ntimeouts = { tls_handshake = \"0ms\" }", "proxy.timeouts.tls_handshake: 0s is out of range"),
        ("[proxy]\nsocket_mode = \"+660\"", "proxy.socket_mode: \"+660\" are no permissions"),
        ("[proxy]\nlisten = \"127.0.0.1:65536\"", "proxy.listen: \"127.0.0.1:65536\" is nothing to listen on"),
        ("[replay]\nmax_entries = 0", "replay.max_entries: 0 is out of range: 1 to 1000000000"),
        ("[replay]\nmax_entries = 9223372036854775807", "replay.max_entries: 9223372036854775807 is out of range"),
        ("[khoros]\ntoken_lifetime = \"400days\"", "khoros.token_lifetime: 400days is out of range: 1m to 366days"),
        (
            "[khoros]\ntoken_lifetime = \"48h\"\ngrace = \"48h\"",
            "khoros.grace: 48h is not less than the lifetime of a token, 48h",
        ),
        ("[icr]\ntoken_lifetime = \"90m\"", "icr.token_lifetime: 90m is out of range: 1m to 1h"),
        ("[oauth]\ntoken_lifetime = \"25h\"", "oauth.token_lifetime: 25h is out of range: 1m to 1day"),
        ("[tokens]\nrotate_every = \"30s\"", "tokens.rotate_every: 30s is out of range: 1m to 365250days"),
        (
            "[tokens]\nrotate_every = \"48h\"\npublish_ahead = \"2days\"",
            "publish_ahead: 2days is not less than the time that a key signs, 48h",
        ),
        (
            "[oauth]\nissuer = \"https://id.example.com:99999\"",
            "oauth.issuer: \"https://id.example.com:99999\": ports are 1 to 65535",
        ),
        (
            "[authenticator.b]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nleeway = \"6m\"",
            "authenticator.b.leeway: 6m is too much",
        ),
        (
            "[authenticator.b]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nmax_lifetime = \"0s\"",
            "authenticator.b.max_lifetime: 0s",
        ),
        (
            "[authenticator.b]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nsingle_use_lifetime = \"500days\"",
            "authenticator.b.single_use_lifetime: 500days is out of range: 1s to 366days",
        ),
    ] {
        let why = error(&format!("{URLS}{section}"));
        assert!(why.contains(wanted), "{section}: {why}");
        assert!(why.contains("scopegate.toml:"), "{section}: {why}");
    }
}

#[test]
fn a_number_of_an_upstream_out_of_range_is_refused_with_its_key() {
    for (key, wanted) in [
        ("max_idle = 10000001", "max_idle: 10000001 is out of range: 0 to 10000000"),
        ("max_calls = 9223372036854775807", "max_calls: 9223372036854775807 is out of range: 1 to 10000000"),
        ("max_queue = 10000001", "max_queue: 10000001 is out of range"),
        ("max_streams = 0", "max_streams: 0 would let no call through"),
        ("resolve_every = \"500ms\"", "resolve_every: 500ms is out of range: 1s to 1day"),
        ("timeouts = { connect = \"0s\" }", "timeouts.connect: 0s is out of range"),
        ("timeouts = { response = \"0s\" }", "timeouts.response: 0s is out of range"),
        ("health = { path = \"/\", every = \"0s\" }", "health.every: 0s is out of range: 10ms to 1day"),
        ("health = { path = \"/\", timeout = \"0s\" }", "health.timeout: 0s is out of range"),
        ("health = { path = \"/\", healthy = 0 }", "health.healthy: 0 is out of range: 1 to 1000"),
        ("health = { path = \"/\", unhealthy = 1001 }", "health.unhealthy: 1001 is out of range: 1 to 1000"),
        ("health = { path = \"/\", status = \"600\" }", "health.status: \"600\" is no status"),
        ("ejection = { failures = 3, least = \"2m\", most = \"1m\" }", "ejection.most: 1m is less than least, 2m"),
        ("ejection = { failures = 3, least = \"0s\" }", "ejection.least: 0s is out of range"),
        ("retries = { attempts = 11 }", "retries.attempts: 11 is out of range: 0 to 10"),
        ("retries = { percent = 101 }", "retries.percent: 101 is out of range: 0 to 100"),
    ] {
        let why = error(&format!("{URLS}{key}"));
        assert!(why.contains(&format!("scopegate.toml:3: upstream.bots.{wanted}")), "{key}: {why}");
    }
}

#[test]
fn numbers_durations_and_urls_of_flags_have_the_same_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = scopegate(folder.path(), arguments, &[]);
        assert!(!output.status.success(), "{arguments:?}");
        texts(&output).1
    };
    for (arguments, wanted) in [
        (&["key", "rotate", "ci", "--overlap", "2000years"][..], "at most \"1000years\""),
        (&["key", "retire", "ci", "1", "--in", "99999999999999999999s"], "at most \"1000years\""),
        (&["encryption", "rotate", "--app", "ci", "--overlap", "5"], "is no duration"),
        (&["app", "create", "--name", "x", "--max-lifetime", "0s"], "longer than 0s"),
        (&["app", "set", "x", "--max-lifetime", "0s"], "longer than 0s"),
        (&["jwt", "mint", "--lifetime", "0s"], "longer than 0s"),
        (&["jwt", "clock", "http://127.0.0.1:1", "--timeout", "0s"], "longer than 0s"),
        (&["audit", "--limit", "0"], "0 is not in 1..=1000000"),
        (&["audit", "--since", "1795348800000"], "is no time"),
        (&["jwt", "clock", "http://127.0.0.1:99999"], "has the port 99999, and ports are 1 to 65535"),
        (
            &["agent", "khoros", "--app-id", "a", "--url", "http://127.0.0.1:99999", "--token-file", "t"],
            "ports are 1 to 65535",
        ),
        (&["catalog", "export", "--base-url", "http://127.0.0.1:99999"], "ports are 1 to 65535"),
    ] {
        let why = run(arguments);
        assert!(why.contains(wanted), "{arguments:?}: {why}");
    }
}
