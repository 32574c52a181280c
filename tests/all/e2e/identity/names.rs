//! Names of the configuration.

use crate::e2e::harness::{Answer, App, Call, Connection, Gateway, Recorder, Registry, Seen, Setup, Token};

const NAMES: &str = "[identity]\nheaders = { app = \"X-Remote-User\", account = \"x-tenant\", subject = \"\" }\n";
const OPEN: &str = "[authenticator.open]\nkind = \"anonymous\"\n\
    [[route]]\nid = \"open\"\nmethods = [\"GET\"]\npath = \"/open\"\nauthenticator = \"open\"\n";
/// What one server or another reads as one of ours.
const SPELLINGS: [&str; 11] = [
    "x-remote-user",
    "X_Remote_User",
    "x.remote-user",
    "X-TENANT",
    "x_tenant",
    "x-scopegate-app",
    "x_scopegate_subject",
    "X.Scopegate.Identity",
    "x~scopegate~app",
    "x+remote+user",
    "x!tenant",
];

fn app() -> App {
    App::new("caller", "default", &[], &[])
}

fn start(sections: &str) -> (Gateway, Recorder) {
    let upstream = Recorder::answering(|_| {
        let response = http::Response::builder();
        let response = SPELLINGS.iter().fold(response, |response, name| response.header(*name, "forged"));
        let response = response.header("x-tenants", "1").header("trailer", declared()).body("answer").unwrap();
        let trailers =
            SPELLINGS.iter().chain(&["x-checksum"]).map(|name| (name.parse().unwrap(), "t".parse().unwrap()));
        Answer { trailers: Some(trailers.collect()), ..Answer::new(response) }
    });
    let setup = Setup::bearer(&upstream.url(), &format!("{sections}{OPEN}"));
    (Gateway::start(setup, &Registry::new().app(&app())), upstream)
}

/// Trailers that are not declared would not be sent in any case.
fn declared() -> String {
    format!("{}, x-checksum", SPELLINGS.join(", "))
}

fn forged(mut call: Call) -> Call {
    for name in SPELLINGS {
        call = call.header(name, "forged");
    }
    call
}

fn is_forged(seen: &Seen) -> bool {
    seen.headers.values().chain(seen.trailers.values()).any(|value| value == "forged")
}

#[test]
fn configured_names_tell_who_calls_and_nobody_else_sets_them() {
    let (gateway, upstream) = start(NAMES);
    let token = Token::of("caller").sign(app().secret());
    assert_eq!(gateway.call(&forged(Call::get("/any/x").bearer(&token).mark("known"))).status, 200);
    let seen = &upstream.marked("known")[0];
    assert_eq!((seen.header("x-remote-user"), seen.header("x-tenant")), (Some("caller"), Some("default")));
    let family = seen.headers.keys().any(|name| name.as_str().starts_with("x-scopegate"));
    assert!(!is_forged(seen) && !family, "{seen:?}");
    assert!(seen.headers.values().all(|value| value != "1234567890"), "the subject is left out: {seen:?}");

    assert_eq!(gateway.call(&forged(Call::get("/open").mark("open"))).status, 200);
    let seen = &upstream.marked("open")[0];
    assert!(!is_forged(seen) && seen.header("x-remote-user").is_none(), "{seen:?}");
}

#[test]
fn neither_trailers_nor_answers_carry_configured_names() {
    let (gateway, upstream) = start(NAMES);
    let token = Token::of("caller").sign(app().secret());
    let mut connection = Connection::open(gateway.proxy);
    let trailers = SPELLINGS.map(|name| format!("{name}: forged\r\n")).concat();
    let request = format!(
        "POST /any/x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nTE: trailers\r\nx-mark: trailers\r\n\
         Trailer: {}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n{trailers}x-checksum: 1\r\n\r\n",
        declared()
    );
    connection.send(request.as_bytes());
    let reply = connection.read(false).unwrap();
    assert_eq!(reply.status, 200);
    let seen = &upstream.marked("trailers")[0];
    assert!(!is_forged(seen) && seen.trailers["x-checksum"] == "1", "{seen:?}");
    assert_eq!(reply.header("x-tenants"), Some("1"));
    assert!(reply.headers.iter().chain(&reply.trailers).all(|(_, value)| value != "forged"), "{reply:?}");
    let trailers: Vec<_> = reply.trailers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(trailers, ["x-checksum"]);
}

#[test]
fn a_reload_changes_the_names_with_the_routes() {
    let (gateway, upstream) = start("");
    let call = |mark: &str| {
        let token = Token::of("caller").sign(app().secret());
        gateway.call(&forged(Call::get("/any/x").bearer(token).mark(mark)));
        upstream.marked(mark).remove(0)
    };
    let before = call("before");
    assert_eq!((before.header("x-scopegate-app"), before.header("x-remote-user")), (Some("caller"), None));
    assert_eq!(before.header("x-tenant"), Some("forged"), "a name of anybody's yet");
    gateway.setup.edit("[upstream.bots]", &format!("{NAMES}[upstream.bots]"));
    gateway.setup.succeed(&["reload"]);
    let after = call("after");
    assert_eq!((after.header("x-scopegate-app"), after.header("x-remote-user")), (None, Some("caller")));
    assert!(!is_forged(&after));
}

#[test]
fn names_that_mean_something_else_are_refused_with_their_key() {
    let cases = [
        ("headers = { app = \"host\" }", "identity.headers.app: \"host\" has a meaning of its own"),
        ("headers = { bot = \"Authorization\" }", "identity.headers.bot: \"authorization\" has a meaning of its own"),
        ("headers = { scopes = \"content_length\" }", "identity.headers.scopes: \"content_length\" has a meaning"),
        ("headers = { subject = \"connection\" }", "identity.headers.subject: "),
        ("headers = { account = \"x-forwarded-user\" }", "identity.headers.account: "),
        (
            "headers = { app = \"x-key\" }",
            "identity.headers.app: \"x-key\" carries the credential of authenticator keyed",
        ),
        ("headers = { app = \"x-a\", bot = \"x_a\" }", "identity.headers.bot: \"x_a\" is taken already"),
        ("headers = { app = \"a b\" }", "identity.headers.app: \"a b\" is no header name"),
        ("headers = { ap = \"x-a\" }", "did you mean \"app\"?"),
        ("jwt = { audience = \"\" }", "identity.jwt.audience: "),
        ("jwt = { audience = \"a\", header = \"\" }", "identity.jwt.header: the token needs a header"),
        ("jwt = { audience = \"a\", header = \"cookie\" }", "identity.jwt.header: \"cookie\" has a meaning of its own"),
        ("jwt = { audience = \"a\", lifetime = \"1s\" }", "identity.jwt.lifetime: 1s is out of range"),
    ];
    for (lines, wanted) in cases {
        let keyed = "[authenticator.keyed]\nkind = \"jwt\"\nheader = \"X_Key\"\nalgorithms = [\"HS256\"]\n";
        let setup = Setup::bearer("http://127.0.0.1:9", &format!("[identity]\n{lines}\n{keyed}"));
        let why = setup.refused(&["check"]);
        let line = 1 + setup.read("scopegate.toml").lines().position(|line| line == lines).unwrap();
        assert!(why.contains(wanted) && why.contains(&format!("scopegate.toml:{line}: ")), "{lines}: {why}");
    }
}
