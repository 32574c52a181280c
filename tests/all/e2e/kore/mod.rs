//! The acceptance rows of the kore profile, through the real binary. A test that proves a row begins with its number.

mod access;
mod apps;
mod catalogue;
mod encryption;
mod gates;
mod mistakes;
mod overrides;
mod purposes;
mod quotas;
mod single_use;
mod tables;
mod tokens;
mod tools;
mod world;

pub use self::tokens::rsa;

use serde_json::{Value, json};

use super::harness::Reply;

/// The vendor's body for a refusal.
fn body(message: &str, code: u16) -> Value {
    json!({ "errors": [{ "msg": message, "code": code }] })
}

/// E1, E2 and E5: no credential, or none that is good.
#[track_caller]
fn assert_credentials(reply: &Reply) {
    assert_refused(reply, 401, "Invalid SDK credentials", 4002);
}

/// E3: no token at all.
#[track_caller]
fn assert_no_token(reply: &Reply) {
    assert_refused(reply, 401, "Invalid JWT token", 4002);
}

/// E4: the scope is missing.
#[track_caller]
fn assert_scope(reply: &Reply) {
    assert_refused(reply, 401, "Permission denied. Scope is incorrect!", 4002);
}

#[track_caller]
fn assert_refused(reply: &Reply, status: u16, message: &str, code: u16) {
    assert_eq!((reply.status, reply.json()), (status, body(message, code)));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}
