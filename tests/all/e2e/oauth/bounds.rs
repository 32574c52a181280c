//! Revocations last as long as tokens are taken; forms are bounded before they are read.

use std::time::Duration;

use scopegate::clock::Timestamp;
use scopegate::model::Reason;

use super::{FORM, ISSUER, START, World};
use crate::e2e::harness::{Connection, Reply};

#[test]
fn a_revoked_token_does_not_come_back_within_the_allowance_for_clocks() {
    let leeway = "[authenticator.oauth]\nleeway = \"300s\"\n";
    let world = World::with(leeway, "127.0.0.1:0", ISSUER, Timestamp::from_secs(START));
    let [first, second, third] = [(); 3].map(|()| world.token("svc", ""));
    let revoke = |token: &str| assert_eq!(world.post_as("svc", "/oauth2/revoke", &[("token", token)]).status, 200);
    let reason = |token: &str| {
        let reply = world.get("/any", token);
        (reply.status != 200).then(|| world.node.logged(&reply).reason.unwrap())
    };
    revoke(&first);
    world.node.clock.advance(Duration::from_secs(3601));
    assert_eq!((reason(&first), reason(&second)), (Some(Reason::TokenRevoked), None), "both are past their end");
    // Which forgets what is over.
    revoke(&second);
    assert_eq!(reason(&first), Some(Reason::TokenRevoked));
    assert_eq!(reason(&second), Some(Reason::TokenRevoked));
    world.node.clock.advance(Duration::from_secs(298));
    revoke(&third);
    for token in [&first, &second, &third] {
        assert_eq!(reason(token), Some(Reason::TokenRevoked));
    }
    world.node.clock.advance(Duration::from_secs(1));
    assert_eq!(reason(&first), Some(Reason::TokenExpired));
}

/// What is answered to a head alone, of a body that never comes.
fn head_alone(world: &World, target: &str, fields: &str) -> Reply {
    let mut connection = Connection::open(world.node.address);
    connection.send(format!("POST {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes());
    connection.read(false).unwrap()
}

#[test]
fn a_form_that_is_too_long_or_is_none_is_refused_before_it_is_read() {
    let world = World::new();
    for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"] {
        let long = head_alone(&world, path, &format!("Content-Type: {FORM}\r\nContent-Length: 32769\r\n"));
        assert_eq!((long.status, world.node.logged(&long).reason), (413, Some(Reason::RequestBodyTooLarge)), "{path}");
        for fields in ["Content-Type: application/json\r\nContent-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"] {
            let other = head_alone(&world, path, fields);
            let reason = world.node.logged(&other).reason;
            assert_eq!((other.status, reason), (400, Some(Reason::OauthRequestInvalid)), "{path} {fields}");
        }
        let query = head_alone(
            &world,
            &format!("{path}?client_secret=x"),
            &format!("Content-Type: {FORM}\r\nContent-Length: 1000\r\n"),
        );
        assert_eq!((query.status, world.node.logged(&query).reason), (400, Some(Reason::OauthRequestInvalid)));
        let chunk = "x".repeat(33_000);
        let chunked = format!("Content-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n80e8\r\n{chunk}");
        let unending = head_alone(&world, path, &chunked);
        assert_eq!((unending.status, world.node.logged(&unending).reason), (413, Some(Reason::RequestBodyTooLarge)));
    }
}
