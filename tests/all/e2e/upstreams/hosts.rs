//! Which host an upstream is asked for.

use super::{app, gateway, good};
use crate::e2e::harness::{Call, Nginx, Recorder, Setup};

#[test]
fn an_upstream_is_asked_for_its_own_host_the_clients_or_a_given_one() {
    for (rule, wanted) in [
        ("", None),
        ("host = \"upstream\"", None),
        ("host = \"client\"", Some("Bots.test:8443")),
        ("host = \"api.internal:8080\"", Some("api.internal:8080")),
    ] {
        let upstream = Recorder::start();
        let own = upstream.url().replace("http://", "");
        let gateway = gateway(&[upstream.url()], rule);
        let call = Call::get("/any/thing").bearer(app().token()).host("Bots.test:8443");
        assert_eq!(gateway.call(&call).status, 200, "{rule}");
        let seen = &upstream.all()[0];
        assert_eq!(seen.header("host"), Some(wanted.unwrap_or(&own)), "{rule}");
        assert_eq!(seen.header("x-forwarded-host"), Some("Bots.test:8443"), "{rule}");
    }
}

#[test]
fn an_upstream_of_http2_is_asked_for_the_given_host() {
    let nginx = Nginx::start();
    let gateway = gateway(&[format!("http://{}", nginx.http2)], "http = \"2\"\nhost = \"api.internal\"");
    assert_eq!(gateway.call(&good("GET")).status, 200);
}

#[test]
fn what_no_host_can_be_is_refused() {
    for name in ["", "a b", "http://a", "a/b", "a:99999", "a:", "user@a", "*.a"] {
        let why = Setup::bearer_to(&["http://127.0.0.1:9".into()], &format!("host = {name:?}")).refused(&["check"]);
        assert!(why.contains("upstream.bots.host: "), "{name}: {why}");
    }
}
