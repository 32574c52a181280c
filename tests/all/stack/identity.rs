//! Who calls, in a token, where there is no key to sign it with.

use std::sync::Arc;
use std::time::Duration;

use scopegate::model::Reason;
use scopegate::policy::{Identity, IdentityHeaders, IdentityToken};

use crate::support::registry::SINGLE;
use crate::support::{Format, Gateway, Script, Token, routes};

#[tokio::test]
async fn without_a_key_no_call_goes_on_untold_and_none_burns_its_jti() {
    let gateway = Gateway::new();
    let token = IdentityToken {
        header: "x-scopegate-identity".parse().unwrap(),
        issuer: "scopegate".into(),
        audiences: std::collections::HashMap::new(),
        lifetime: Duration::from_secs(60),
        plain: true,
    };
    let identity = Identity::new(IdentityHeaders::default(), Some(token));
    gateway.route_by(&Arc::new(routes::table().telling(identity)));
    let token = Token::of(SINGLE).claim("jti", "a").make();
    for format in Format::ALL {
        let call = || format.request("GET", "/any", &token).body(Script::empty()).unwrap();
        let reply = gateway.call(call()).await;
        assert_eq!((reply.status, reply.log.reason), (503, Some(Reason::KeysUnavailable)));
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    let open = http::Request::get("/open").header("host", routes::HOST).body(Script::empty()).unwrap();
    assert_eq!(gateway.call(open).await.status, 200, "nobody is told of");
    gateway.leaf.take_one();

    gateway.route_by(&Arc::new(routes::table()));
    let call = Format::Problem.request("GET", "/any", &token).body(Script::empty()).unwrap();
    assert_eq!(gateway.call(call).await.status, 200, "it was not used");
    gateway.leaf.take_one();
}
