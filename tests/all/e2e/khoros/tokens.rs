//! Issuing: once, by a service account with the role, for an app.

use std::thread;

use scopegate::model::Reason;
use scopegate::store::AuditFilter;
use serde_json::json;

use super::{LIFE, SECOND, START, World, basic, claims, owner, renewal, v2};
use crate::e2e::harness::{Call, Reply};

fn post(app: &str) -> Call {
    Call::post(owner(app), "")
}

#[test]
fn f035_the_first_post_gives_a_token_that_verifies_and_says_when_it_ends() {
    let world = World::new();
    let reply = world.call(&basic(&post("alpha"), "issuer"));
    let body = reply.json();
    assert_eq!((reply.status, &body["status"]), (200, &json!("success")));
    assert!(body["data"]["expiresAtMillis"].is_i64());
    assert_eq!(body["data"].as_object().unwrap().len(), 2, "exactly the token and its end: {body}");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(world.is_good(body["data"]["token"].as_str().unwrap()));
}

#[test]
fn f036_a_token_works_for_its_own_app_id_alone() {
    let world = World::new();
    let (alpha, beta) = (world.token("alpha"), world.token("beta"));
    for (app, token, status) in
        [("alpha", &alpha, 200), ("beta", &alpha, 401), ("beta", &beta, 200), ("Alpha", &alpha, 401)]
    {
        let reply = world.call(&Call::get(format!("/bots/v3/health/appId/{app}")).bearer(token));
        assert_eq!(reply.status, status, "{app}");
    }
    let reply = world.call(&Call::get("/bots/v3/health/appId/beta").bearer(&alpha));
    assert_eq!(world.node.logged(&reply).reason, Some(Reason::AppMismatch));
}

#[test]
fn f037_an_unknown_owner_is_created_or_refused_as_the_configuration_says() {
    let world = World::new();
    let token = world.token("made-by-a-post");
    assert!(world.is_good(&token));
    let strict = World::with("[khoros]\nunknown_owner = \"refuse\"");
    let reply = strict.call(&basic(&post("unknown"), "issuer"));
    assert_eq!((reply.status, strict.node.logged(&reply).reason), (404, Some(Reason::OwnerUnknown)));
    assert_eq!(reply.json()["status"], "fail");
    strict.token("alpha");
}

#[test]
fn f037_an_owner_with_an_impossible_id_is_refused() {
    let world = World::new();
    let number = world.call(&basic(&post("17"), "issuer"));
    assert_eq!(number.status, 404, "digits are the number of another app");
    for path in [owner(&"x".repeat(257)), owner("%01"), owner("zw%C3%B6lf"), owner("%20a")] {
        let reply = world.call(&basic(&Call::post(path.clone(), ""), "issuer"));
        assert!(matches!(reply.status, 400 | 404), "{path}: {}", reply.status);
    }
}

#[test]
fn f039_without_the_right_password_there_is_no_token() {
    let world = World::new();
    let wrong = [
        post("alpha"),
        super::basic_with(&post("alpha"), "issuer", "wrong horse battery"),
        super::basic_with(&post("alpha"), "nobody", super::PASSWORD),
        post("alpha").header("Authorization", "Basic !!!"),
        post("alpha").header("Authorization", "Basic aXNzdWVy"),
    ];
    for call in wrong {
        let reply = world.call(&call);
        assert_eq!((reply.status, reply.json()), (401, v2("Unauthorized")));
        assert!(reply.header("www-authenticate").unwrap().starts_with("Basic realm="));
    }
    world.token("alpha");
}

#[test]
fn f040_without_the_role_there_is_no_token() {
    let world = World::new();
    let reply = world.call(&basic(&post("alpha"), "reader"));
    assert_eq!((reply.status, reply.json()), (403, v2("Forbidden")));
    assert_eq!(world.node.logged(&reply).reason, Some(Reason::RoleMissing));
    let audit = world.node.with_store(|store| async move { store.audit(&AuditFilter::latest(10)).await.unwrap() });
    assert!(audit.iter().all(|row| row.kind != "token"));
    world.token("alpha");
    let audit = world.node.with_store(|store| async move { store.audit(&AuditFilter::latest(1)).await.unwrap() });
    let row = &audit[0];
    assert_eq!((&*row.kind, &*row.action, &*row.actor, &*row.subject), ("token", "issue", "service:issuer", "alpha"));
}

#[test]
fn f042_the_stamp_is_the_end_of_the_token() {
    let world = World::new();
    let data = world.call(&basic(&post("alpha"), "issuer")).json()["data"].clone();
    let claims = claims(data["token"].as_str().unwrap());
    let end = START + i64::try_from(LIFE.as_secs()).unwrap();
    assert_eq!((&claims["exp"], &data["expiresAtMillis"]), (&json!(end), &json!(end * 1000)));
    assert_eq!((&claims["appId"], &claims["companyKey"]), (&json!("alpha"), &json!("default")));
    assert!(claims["jti"].is_string());
}

#[test]
fn f044_a_post_neither_changes_nor_gives_the_token_that_is_there() {
    let world = World::new();
    let token = world.token("alpha");
    world.advance(SECOND);
    let reply = world.call(&basic(&post("alpha"), "issuer"));
    assert!(reply.status == 409 && !String::from_utf8_lossy(&reply.body).contains(&token));
    let told = world.call(&basic(&Call::get(owner("alpha")), "issuer")).json();
    assert_eq!(told["data"]["expiresAtMillis"], claims(&token)["exp"].as_i64().unwrap() * 1000);
    assert!(world.is_good(&token));
}

#[test]
fn f045_a_second_post_is_refused_with_409_also_after_the_token_expired() {
    let world = World::new();
    world.token("alpha");
    let exists = v2("A token at this path already exists.");
    let reply = world.call(&basic(&post("alpha"), "issuer"));
    assert_eq!((reply.status, reply.json()), (409, exists.clone()));
    world.advance(LIFE + SECOND);
    let reply = world.call(&basic(&post("alpha"), "issuer"));
    assert_eq!((reply.status, reply.json()), (409, exists));
}

/// Of apps that are there, and of one that the posts themselves create.
#[test]
fn f045_of_fifty_first_posts_at_once_one_gets_a_token() {
    let world = World::new();
    world.call(&basic(&Call::get(owner("alpha")), "issuer"));
    for app in ["alpha", "made-by-posts"] {
        let calls = thread::scope(|scope| {
            let posts: Vec<_> = (0..50).map(|_| scope.spawn(|| world.call(&basic(&post(app), "issuer")))).collect();
            posts.into_iter().map(|post| post.join().unwrap()).collect::<Vec<Reply>>()
        });
        let with = |status| calls.iter().filter(|reply| reply.status == status).count();
        assert_eq!((with(200), with(409)), (1, 49), "{app}");
    }
}

#[test]
fn f046_a_get_tells_whether_there_is_a_token_and_when_it_ends_but_not_the_token() {
    let world = World::new();
    let get = basic(&Call::get(owner("alpha")), "issuer");
    let absent = world.call(&get);
    assert_eq!((absent.status, absent.json()), (404, v2("The app has no token.")));
    let token = world.token("alpha");
    let there = world.call(&get);
    let end = claims(&token)["exp"].as_i64().unwrap() * 1000;
    let data = json!({ "exists": true, "expired": false, "expiresAtMillis": end });
    assert_eq!((there.status, there.json()), (200, json!({ "status": "success", "data": data })));
    world.advance(LIFE);
    assert_eq!(world.call(&get).json()["data"]["expired"], true);
    assert_eq!(world.call(&Call::get(owner("alpha"))).status, 401);
    assert_eq!(world.call(&basic(&Call::get(owner("alpha")), "reader")).status, 403);
}

#[test]
fn f047_whoever_meets_a_409_is_told_the_ways_on() {
    let world = World::new();
    world.token("alpha");
    let reply = world.call(&basic(&post("alpha"), "issuer"));
    let fix = world.node.logged(&reply).reason.unwrap().fix();
    for way in ["GET the same path", "PUT /bots/v3/tokens/appId/{appId}", "DELETE the same path"] {
        assert!(fix.contains(way), "{fix}");
    }
    assert_eq!(reply.header("x-scopegate-reason"), Some("token.exists"));
    assert_eq!(reply.header("x-scopegate-hint"), Some(fix));
}

#[test]
fn f067_the_app_id_is_compared_exactly_in_every_path() {
    let world = World::new();
    let token = world.token("alpha");
    for app in ["Alpha", "ALPHA", "alpha%20"] {
        assert_eq!(world.call(&Call::new("PUT", renewal(app)).bearer(&token)).status, 401, "{app}");
    }
    assert_eq!(world.refresh("alpha", &token).status, 200);
}

#[test]
fn a_reset_ends_what_was_lost_and_clears_the_way() {
    let world = World::new();
    let reset = basic(&Call::new("DELETE", owner("alpha")), "issuer");
    assert_eq!(world.call(&reset).status, 200, "an app without a token has none to end");
    let lost = world.token("alpha");
    world.advance(LIFE + SECOND);
    assert_eq!(world.call(&basic(&Call::new("DELETE", owner("alpha")), "reader")).status, 403);
    let reply = world.call(&reset);
    assert_eq!((reply.status, reply.json()), (200, json!({ "status": "success", "data": {} })));
    assert!(!world.is_good(&lost) && world.is_good(&world.token("alpha")));
    assert_eq!(world.call(&basic(&Call::new("DELETE", owner("unknown")), "issuer")).status, 404);
    // Disable, reset, enable: what was lost stays lost.
    let lost = world.token("beta");
    let disabled = super::REGISTRY.replace("client_id = \"beta\"", "client_id = \"beta\"\nenabled = false");
    world.node.apply(&disabled);
    assert_eq!(world.call(&basic(&post("beta"), "issuer")).status, 401);
    assert_eq!(world.call(&basic(&Call::new("DELETE", owner("beta")), "issuer")).status, 200);
    world.node.apply(super::REGISTRY);
    assert!(!world.is_good(&lost));
}
