//! Where the method is judged: before authentication only where the authenticator says so.

use scopegate::model::Reason;

use crate::support::registry::BOT;
use crate::support::{Format, Gateway, Script, Token};

#[tokio::test]
async fn a_wrong_method_goes_before_authentication_only_where_the_profile_says_so() {
    let gateway = Gateway::new();
    for (format, status, reason) in
        [(Format::Kore, 405, Reason::MethodNotAllowed), (Format::Problem, 401, Reason::CredentialMissing)]
    {
        let reply = gateway.call(format.bare("DELETE", "/any").body(Script::empty()).unwrap()).await;
        assert_eq!((reply.status, reply.log.reason), (status, Some(reason)), "{}", format.name());
        assert_eq!(reply.header("allow"), (status == 405).then_some("GET, POST"));
    }
}

#[tokio::test]
async fn a_wrong_method_with_a_bad_token_tells_a_stranger_no_method() {
    let gateway = Gateway::new();
    let token = Token::of(BOT).secret("quite another secret, which is long enough").make();
    let reply = gateway.call(Format::Problem.request("DELETE", "/any", &token).body(Script::empty()).unwrap()).await;
    assert_eq!((reply.status, reply.header("allow")), (401, None));
}

#[tokio::test]
async fn a_wrong_method_goes_before_the_scope() {
    let gateway = Gateway::new();
    for format in Format::ALL {
        let request = format.request("PUT", "/bot/st-1/train", &Token::of(BOT).make());
        let reply = gateway.call(request.body(Script::empty()).unwrap()).await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")), "{}", format.name());
    }
    assert!(gateway.leaf.take().is_empty());
}

#[tokio::test]
async fn methods_that_no_gateway_takes_are_refused_on_every_route() {
    let gateway = Gateway::new();
    for method in ["CONNECT", "TRACE"] {
        let request = Format::Problem.request(method, "/any", &Token::of(BOT).make());
        let reply = gateway.call(request.body(Script::empty()).unwrap()).await;
        assert_eq!((reply.status, reply.log.reason), (400, Some(Reason::RequestInvalid)), "{method}");
    }
}
