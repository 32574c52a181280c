//! What a stranger, who holds no key, learns of apps.

use scopegate::clock::Timestamp;
use scopegate::model::Reason;
use serde_json::json;

use super::{KEYLESS, OCTO, START, World, registry, sign};
use crate::e2e::harness::{Call, Reply};
use crate::support::tokens::{OTHER_RSA_PUBLIC, RSA_PUBLIC};

/// Of another platform.
const OTHER_PROFILE: &str = "[authenticator.kore]\nkind = \"jwt\"\nalgorithms = [\"HS256\", \"RS256\"]\n";
const BOUND: &str = "authenticators = [\"icr\", \"icr-installation\"]\n";

/// Apps that do not name `icr`, of every kind; and disabled ones that do.
const OTHERS: [&str; 6] = ["any-rs", "any-hs", "any-keyless", "any-disabled", "kore-rs", "kore-disabled"];

fn world() -> World {
    let app = |id: &str, alg: &str, more: &str| {
        format!(
            "[[app]]\nclient_id = {id:?}\nname = {id:?}\naccount = \"default\"\nlevel = \"account\"\nalgorithms = [{alg:?}]\n{more}"
        )
    };
    let key = |id: &str, pem: &str| format!("[[key]]\napp = {id:?}\npublic_key = '''{pem}'''\n");
    let (kore, off) = ("authenticators = [\"kore\"]\n", "enabled = false\n");
    let more = [
        app("any-rs", "RS256", ""),
        key("any-rs", OTHER_RSA_PUBLIC),
        app("any-hs", "HS256", ""),
        "[[key]]\napp = \"any-hs\"\nsecret = \"a secret of thirty-two bytes or more\"\n".to_owned(),
        app("any-keyless", "RS256", ""),
        app("any-disabled", "RS256", off),
        key("any-disabled", OTHER_RSA_PUBLIC),
        app("kore-rs", "RS256", kore),
        key("kore-rs", OTHER_RSA_PUBLIC),
        app("kore-disabled", "RS256", &format!("{kore}{off}")),
        app("own-disabled", "RS256", &format!("{BOUND}{off}")),
        key("own-disabled", RSA_PUBLIC),
        app("own-locked", "RS256", &format!("{BOUND}{off}")),
        key("own-locked", OTHER_RSA_PUBLIC),
        app("own-bare", "RS256", &format!("{BOUND}{off}")),
    ];
    World::at(Timestamp::from_secs(START), OTHER_PROFILE, &format!("{}{}", registry(), more.concat()))
}

/// A call of a stranger: the signature is by no key of the app, but where the app's is [`RSA_PUBLIC`].
fn of(world: &World, iss: &serde_json::Value) -> Reply {
    world.call(&Call::get("/app").bearer(sign(&json!({ "iss": iss, "iat": START, "exp": START + 60 }))))
}

/// All that a stranger can compare.
fn seen(reply: &Reply) -> (u16, String, Option<String>) {
    let challenge = reply.header("www-authenticate").map(str::to_owned);
    (reply.status, String::from_utf8_lossy(&reply.body).into_owned(), challenge)
}

#[test]
fn an_app_that_does_not_name_icr_is_as_unknown_to_who_cannot_sign_as_it() {
    let world = world();
    let unknown = seen(&of(&world, &json!("unknown")));
    assert_eq!(unknown.0, 404);
    let mut reasons = Vec::new();
    for app in OTHERS {
        let reply = of(&world, &json!(app));
        assert_eq!(seen(&reply), unknown, "{app}");
        reasons.push(world.node.logged(&reply).reason.unwrap());
    }
    let wanted = [
        Reason::TokenSignatureInvalid,
        Reason::TokenAlgorithmNotAllowed,
        Reason::AppNoKey,
        Reason::AppDisabled,
        Reason::AppWrongAuthenticator,
        Reason::AppDisabled,
    ];
    assert_eq!(reasons, wanted, "the log tells them apart");
    let numbers = (1..20).map(|number| seen(&of(&world, &json!(number)))).filter(|seen| *seen != unknown);
    assert!(numbers.count() <= 6, "numbers tell no more than names: of the apps that name icr alone");
}

#[test]
fn that_an_app_is_disabled_is_told_to_who_holds_its_key_alone() {
    let world = world();
    let reply = of(&world, &json!("own-disabled"));
    assert_eq!((reply.status, &reply.json()["message"]), (401, &json!("Bad credentials")), "it is signed by its key");
    for (disabled, enabled) in [("own-locked", "Iv1.rival"), ("own-bare", KEYLESS)] {
        let (off, on) = (of(&world, &json!(disabled)), of(&world, &json!(enabled)));
        assert_eq!(seen(&off), seen(&on), "{disabled}");
        assert_eq!(world.node.logged(&on).reason.map(|r| r == Reason::AppDisabled), Some(false));
    }
    assert_eq!(world.node.logged(&of(&world, &json!("own-locked"))).reason, Some(Reason::AppDisabled));
    assert_eq!(of(&world, &json!(OCTO)).status, 200);
}

#[test]
fn who_signs_as_an_app_that_does_not_name_icr_is_told_what_is_wrong() {
    let world = world();
    let more = "version = 1\n[[app]]\nclient_id = \"open\"\nname = \"open\"\naccount = \"default\"\nlevel = \"account\"\n\
                algorithms = [\"RS256\"]\n";
    world.node.apply(&format!("{more}[[key]]\napp = \"open\"\npublic_key = '''{RSA_PUBLIC}'''\n"));
    assert_eq!(of(&world, &json!("open")).status, 200);
    let late = sign(&json!({ "iss": "open", "iat": START, "exp": START + 3600 }));
    let reply = world.call(&Call::get("/app").bearer(late));
    assert_eq!(reply.json()["message"], "'Expiration time' claim ('exp') is too far in the future");
}
