//! Credentials and names of the caller's address end at the gateway, wherever they stand.

use super::{app, good, registry};
use crate::e2e::harness::{Call, Connection, Gateway, Recorder, Setup};

/// Anonymous routes, one of which keeps credentials, and routes with a bare token in a header `auth`.
const ROUTES: &str = r#"
[authenticator.open]
kind = "anonymous"
[authenticator.bare]
kind = "jwt"
algorithms = ["HS256"]
header = "auth"
scheme = ""
[[route]]
id = "open"
methods = ["GET"]
path = "/open"
authenticator = "open"
[[route]]
id = "open-kept"
methods = ["GET"]
path = "/open/kept"
authenticator = "open"
keep_credential = true
[[route]]
id = "bare"
methods = ["GET"]
path = "/bare"
authenticator = "bare"
scope = "any"
[[route]]
id = "bare-kept"
methods = ["GET"]
path = "/bare/kept"
authenticator = "bare"
scope = "any"
keep_credential = true
"#;

fn start() -> (Gateway, Recorder) {
    let upstream = Recorder::start();
    (Gateway::start(Setup::bearer(&upstream.url(), ROUTES), &registry()), upstream)
}

#[test]
fn a_credential_reaches_the_upstream_of_no_route_that_does_not_keep_it() {
    // `Authorization` ends here whether or not any route takes its credential from there.
    let upstream = Recorder::start();
    let kore = Gateway::start(Setup::kore(&upstream.url(), ROUTES), &registry());
    let (bearer, other) = start();
    let token = app().token();
    for (gateway, upstream) in [(&kore, &upstream), (&bearer, &other)] {
        for (path, authorization, auth) in
            [("/open", false, false), ("/open/kept", true, true), ("/bare", false, false), ("/bare/kept", false, true)]
        {
            let call = Call::get(path).header("Authorization", "Bearer a.b.c").auth(&token).mark(path);
            assert_eq!(gateway.call(&call).status, 200, "{path}");
            let seen = &upstream.marked(path)[0];
            assert_eq!(seen.header("authorization"), authorization.then_some("Bearer a.b.c"), "{path}");
            assert_eq!(seen.header("auth"), auth.then_some(token.as_str()), "{path}");
        }
    }
    assert_eq!(bearer.call(&good("GET").auth("a.b.c").mark("bearer")).status, 200);
    let seen = &other.marked("bearer")[0];
    assert_eq!((seen.header("authorization"), seen.header("auth")), (None, None));
}

#[test]
fn fields_that_a_server_takes_for_its_own_end_here_on_every_route() {
    const NAMES: [&str; 9] = [
        "Proxy",
        "X-Client-IP",
        "True-Client-IP",
        "X-Cluster-Client-IP",
        "X-Remote-User",
        "Remote_User",
        "X_Client.IP",
        "Content_Length",
        "Transfer_Encoding",
    ];
    let (gateway, upstream) = start();
    for call in [good("GET"), Call::get("/open"), Call::get("/open/kept"), Call::get("/bare").auth(app().token())] {
        let target = call.target.clone();
        let call = NAMES.iter().fold(call, |call, name| call.header(name, "1.2.3.4")).header("X-Kept", "kept");
        assert_eq!(gateway.call(&call.mark(&target)).status, 200, "{target}");
        let seen = &upstream.marked(&target)[0];
        let forged: Vec<_> = seen.headers.iter().filter(|(_, value)| *value == "1.2.3.4").collect();
        assert!(forged.is_empty(), "{target}: {forged:?}");
        assert_eq!(seen.header("x-kept"), Some("kept"));
    }
}

#[test]
fn no_credential_arrives_after_a_body() {
    let (gateway, upstream) = start();
    let mut connection = Connection::open(gateway.proxy);
    let head = format!(
        "POST /any/thing HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nTE: trailers\r\n\
         Trailer: cookie, x-api-key, authorization, auth, x-checksum\r\nTransfer-Encoding: chunked\r\n\r\n",
        app().token()
    );
    connection.send(head.as_bytes());
    connection.send(
        b"5\r\nhello\r\n0\r\nCookie: a=b\r\nX-Api-Key: k\r\nAuthorization: Bearer x\r\nAuth: x\r\nx-checksum: 1\r\n\r\n",
    );
    assert_eq!(connection.read(false).unwrap().status, 200);
    let [seen] = &upstream.all()[..] else { panic!("not one call") };
    let names: Vec<_> = seen.trailers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!((names, seen.body.as_slice()), (vec!["x-checksum"], &b"hello"[..]));
}
