//! An app's own token: who signs it, how, and when it is good.

use scopegate::model::Reason;
use serde_json::{Value, json};

use super::{OCTO, RIVAL, SECOND, START, World, sign, sign_other, sign_with};
use crate::e2e::harness::{Call, part};
use crate::support::tokens::{RSA, RSA_PUBLIC};

pub const UNDECODABLE: &str = "A JSON web token could not be decoded";
pub const EXP: &str = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires";
pub const IAT: &str =
    "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
pub const FAR: &str = "'Expiration time' claim ('exp') is too far in the future";

/// A good token's claims, with others in place of some, or without those that are null here.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({ "iss": OCTO, "iat": START - 60, "exp": START + 540 });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => _ = claims.as_object_mut().unwrap().remove(name),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

#[test]
fn f143_an_app_signs_with_rs256_alone() {
    let world = World::new();
    assert_eq!(world.app(&world.jwt()).status, 200);
    let claims = claims(&json!({}));
    for (algorithm, key) in [("HS256", RSA_PUBLIC), ("RS384", RSA), ("PS256", RSA)] {
        let reply = world.app(&sign_with(&json!({ "alg": algorithm }), &claims, key));
        world.check(&reply, 401, UNDECODABLE, Reason::TokenAlgorithmNotAllowed);
    }
    let unsigned = format!("{}.{}.", part(r#"{"alg":"none"}"#), part(claims.to_string()));
    world.check(&world.app(&unsigned), 401, UNDECODABLE, Reason::TokenMalformed);
    let signed = world.jwt();
    let still_signed = format!("{}{}", part(r#"{"alg":"none"}"#), &signed[signed.find('.').unwrap()..]);
    world.check(&world.app(&still_signed), 401, UNDECODABLE, Reason::TokenAlgorithmNotAllowed);
    world.check(&world.app("garbage"), 401, UNDECODABLE, Reason::TokenMalformed);
}

#[test]
fn f144_a_token_says_when_it_was_issued_in_a_number() {
    let world = World::new();
    let missing = world.app(&sign(&claims(&json!({ "iat": null }))));
    world.check(&missing, 401, IAT, Reason::TokenIatRequired);
    for bad in [json!((START - 60).to_string()), json!(true), json!([START])] {
        let reply = world.app(&sign(&claims(&json!({ "iat": bad }))));
        world.check(&reply, 401, IAT, Reason::TokenClaimInvalid);
    }
}

#[test]
fn f145_how_long_ago_a_token_was_issued_does_not_matter() {
    let world = World::new();
    for ago in [0, 60, 3600, 86_400] {
        assert_eq!(world.app(&sign(&claims(&json!({ "iat": START - ago })))).status, 200, "{ago}");
    }
}

#[test]
fn f146_a_token_from_the_future_is_refused_and_the_log_measures_the_clock() {
    let world = World::new();
    assert_eq!(world.app(&sign(&claims(&json!({ "iat": START + 10 })))).status, 200);
    for ahead in [11, 61] {
        let reply = world.app(&sign(&claims(&json!({ "iat": START + ahead }))));
        world.check(&reply, 401, IAT, Reason::TokenIssuedInFuture);
        let found = world.node.logged(&world.app(&sign(&claims(&json!({ "iat": START + ahead }))))).found.unwrap();
        assert!(found.ends_with(&format!(", {ahead}s ahead")), "{found}");
    }
}

#[test]
fn f146_where_both_are_too_far_ahead_it_is_the_clock_that_is_told() {
    let world = World::new();
    // As a client signs whose clock is two minutes fast.
    let reply = world.app(&sign(&claims(&json!({ "iat": START + 90, "exp": START + 690 }))));
    world.check(&reply, 401, IAT, Reason::TokenIssuedInFuture);
}

#[test]
fn f147_a_token_ends_within_ten_minutes() {
    let world = World::new();
    assert_eq!(world.app(&sign(&claims(&json!({ "exp": START + 600 })))).status, 200);
    let reply = world.app(&sign(&claims(&json!({ "exp": START + 601 }))));
    world.check(&reply, 401, FAR, Reason::TokenLifetimeTooLong);
    let found = world.node.logged(&world.app(&sign(&claims(&json!({ "exp": START + 601 }))))).found;
    assert_eq!(found.as_deref(), Some("601s ahead"));
}

#[test]
fn f148_a_token_that_has_ended_is_refused_to_the_second() {
    let world = World::new();
    assert_eq!(world.app(&sign(&claims(&json!({ "exp": START + 1 })))).status, 200);
    for past in [0, 1, 3600] {
        let reply = world.app(&sign(&claims(&json!({ "exp": START - past }))));
        world.check(&reply, 401, EXP, Reason::TokenExpired);
    }
    let reply = world.app(&sign(&claims(&json!({ "exp": null }))));
    world.check(&reply, 401, EXP, Reason::TokenExpRequired);
}

#[test]
fn f148_the_same_token_is_good_until_its_second_and_not_in_it() {
    let world = World::new();
    let token = sign(&claims(&json!({ "exp": START + 2 })));
    let statuses = [(); 3].map(|()| {
        let status = world.app(&token).status;
        world.node.clock.advance(SECOND);
        status
    });
    assert_eq!(statuses, [200, 200, 401]);
}

#[test]
fn f150_from_issue_to_end_it_may_be_eleven_minutes() {
    let world = World::new();
    let token = sign(&claims(&json!({ "iat": START - 60, "exp": START + 600 })));
    assert_eq!(world.app(&token).status, 200);
}

#[test]
fn f151_the_issuer_is_the_app_whose_key_has_to_fit() {
    let world = World::new();
    for unknown in ["Iv1.nobody", "99999"] {
        let reply = world.app(&sign(&claims(&json!({ "iss": unknown }))));
        world.check(&reply, 404, "Integration not found", Reason::AppUnknown);
    }
    for (iss, token) in [(OCTO, sign_other as fn(&Value) -> String), (RIVAL, sign)] {
        let reply = world.app(&token(&claims(&json!({ "iss": iss }))));
        world.check(&reply, 401, UNDECODABLE, Reason::TokenSignatureInvalid);
    }
    let rival = world.app(&sign_other(&claims(&json!({ "iss": RIVAL }))));
    assert_eq!((rival.status, &rival.json()["client_id"]), (200, &json!(RIVAL)));
}

#[test]
fn f152_an_app_names_itself_by_its_number_in_digits_or_by_its_client_id() {
    let world = World::new();
    let number = world.app(&world.jwt()).json()["id"].as_i64().unwrap();
    for iss in [json!(number), json!(number.to_string()), json!(OCTO)] {
        for _ in ["proved", "remembered"] {
            let reply = world.app(&sign(&claims(&json!({ "iss": iss }))));
            assert_eq!((reply.status, &reply.json()["id"]), (200, &json!(number)), "{iss}");
        }
    }
    let kind = "'Issuer' claim ('iss') must be an Integer";
    for (iss, shown) in [
        (json!(format!("{number}\n")), format!("\"{number}\\n\"")),
        (json!(format!(" {number}")), format!("\" {number}\"")),
        (json!(format!("{OCTO}\r")), format!("\"{OCTO}\\r\"")),
        (json!(1.5), "a JSON number".into()),
        (json!(-1), "a JSON number".into()),
        (json!(true), "a JSON boolean".into()),
        (json!([OCTO]), "a JSON list".into()),
    ] {
        let reply = world.app(&sign(&claims(&json!({ "iss": iss }))));
        world.check(&reply, 401, kind, Reason::TokenClaimInvalid);
        let reply = world.app(&sign(&claims(&json!({ "iss": iss }))));
        assert_eq!(world.node.logged(&reply).found, Some(shown), "{iss}");
    }
    // Digits with a zero before them are no number of ours, nor is one that is too large for any.
    for unknown in [format!("0{number}"), "9".repeat(30)] {
        let reply = world.app(&sign(&claims(&json!({ "iss": unknown }))));
        world.check(&reply, 404, "Integration not found", Reason::AppUnknown);
    }
}

#[test]
fn f153_an_algorithm_among_the_claims_says_nothing() {
    let world = World::new();
    for alg in [json!("RS256"), json!("none"), json!("HS256"), json!(5)] {
        assert_eq!(world.app(&sign(&claims(&json!({ "alg": alg })))).status, 200, "{alg}");
    }
}

#[test]
fn f155_a_token_of_the_app_s_own_comes_after_bearer() {
    let world = World::new();
    let token = world.jwt();
    let with = |value: String| world.call(&Call::get("/app").header("Authorization", value));
    assert_eq!(with(format!("bearer {token}")).status, 200, "a scheme has no case (RFC 9110 section 11.1)");
    for scheme in ["token", "Token", "JWT"] {
        world.check(&with(format!("{scheme} {token}")), 401, UNDECODABLE, Reason::CredentialWrongScheme);
    }
    assert_eq!(with(token).header("www-authenticate"), Some("Bearer"));
    world.check(&world.call(&Call::get("/app")), 401, "Requires authentication", Reason::CredentialMissing);
}

#[test]
fn f156_an_app_learns_who_it_is() {
    let world = World::new();
    let app = world.app(&world.jwt()).json();
    assert!(app["id"].as_i64().unwrap() > 0);
    assert_eq!(
        (&app["client_id"], &app["name"], &app["slug"]),
        (&json!(OCTO), &json!("Octo's App"), &json!("octo-s-app"))
    );
    assert_eq!((&app["owner"]["login"], &app["installations_count"]), (&json!("default"), &json!(3)));
}

#[test]
fn f168_claims_of_other_kinds_do_not_matter_and_times_are_numbers() {
    let world = World::new();
    let more = json!({ "sub": 5, "custom": { "a": [1] }, "aud": "x", "jti": "a" });
    for _ in 0..2 {
        assert_eq!(world.app(&sign(&claims(&more))).status, 200, "a jti is not used up");
    }
    for bad in [json!((START + 60).to_string()), json!((START + 60) * 1000), json!({})] {
        let reply = world.app(&sign(&claims(&json!({ "exp": bad }))));
        world.check(&reply, 401, EXP, Reason::TokenClaimInvalid);
    }
}
