//! Refreshing with a grace, invalidating with none, and what survives.

use std::time::Duration;

use scopegate::model::Reason;
use scopegate::store::AuditFilter;
use serde_json::json;

use super::{LIFE, SECOND, World, basic, claims, owner, renewal, v3};
use crate::e2e::harness::{Call, within};

const GRACE: Duration = Duration::from_secs(600);

fn delete(app: &str, token: &str) -> Call {
    Call::new("DELETE", renewal(app)).bearer(token)
}

#[test]
fn f043_a_token_lives_ninety_days_to_the_second() {
    let world = World::new();
    let token = world.token("alpha");
    world.advance(LIFE.saturating_sub(SECOND));
    assert!(world.is_good(&token));
    world.advance(2 * SECOND);
    assert!(!world.is_good(&token));
    let reply = world.call(&Call::post("/bots/v3/respond", "{}").bearer(&token));
    assert_eq!(world.node.logged(&reply).reason, Some(Reason::TokenExpired));
}

#[test]
fn f048_a_refresh_gives_a_token_in_the_documented_shape() {
    let world = World::new();
    let token = world.token("alpha");
    let reply = world.refresh("alpha", &token);
    let body = reply.json();
    assert_eq!(reply.status, 200);
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["data", "requestId"]);
    assert_eq!(body["data"].as_object().unwrap().keys().collect::<Vec<_>>(), ["expiresAtMillis", "token"]);
    assert_eq!(body["requestId"], reply.request_id());
}

#[test]
fn f049_only_the_token_itself_refreshes_it() {
    let world = World::new();
    let (alpha, beta) = (world.token("alpha"), world.token("beta"));
    let put = Call::new("PUT", renewal("alpha"));
    for call in
        [basic(&put, "issuer"), put.clone(), put.clone().bearer(&beta), put.header("Authorization", "Bearer x.y.z")]
    {
        let reply = world.call(&call);
        assert_eq!((reply.status, reply.json()), (401, v3("Unauthorized", &reply)));
    }
    assert!(world.is_good(&alpha));
    world.advance(GRACE + SECOND);
    assert!(world.is_good(&alpha), "nothing was rotated");
}

#[test]
fn f050_a_refresh_gives_another_token_with_a_life_of_its_own() {
    let world = World::new();
    let token = world.token("alpha");
    world.advance(super::DAY);
    let new = world.refreshed("alpha", &token);
    assert_ne!(new, token);
    let (old, new) = (claims(&token), claims(&new));
    assert_ne!(old["jti"], new["jti"]);
    assert_eq!(new["exp"].as_i64().unwrap() - old["exp"].as_i64().unwrap(), 86_400);
}

#[test]
fn f051_a_token_is_refreshed_at_any_time_before_its_end() {
    let world = World::new();
    let token = world.token("alpha");
    world.advance(SECOND);
    let token = world.refreshed("alpha", &token);
    world.advance(LIFE.saturating_sub(SECOND));
    assert!(world.is_good(&world.refreshed("alpha", &token)));
}

#[test]
fn f052_an_expired_token_is_not_refreshed() {
    let world = World::new();
    let token = world.token("alpha");
    world.advance(LIFE + SECOND);
    let reply = world.refresh("alpha", &token);
    assert_eq!((reply.status, reply.json()), (401, v3("Unauthorized", &reply)));
    let told = world.call(&basic(&Call::get(owner("alpha")), "issuer")).json();
    assert_eq!(told["data"]["expired"], true, "no other was issued");
}

#[test]
fn f053_the_old_token_stays_good_for_ten_minutes() {
    let world = World::new();
    let token = world.token("alpha");
    world.refreshed("alpha", &token);
    assert!(world.is_good(&token));
    world.advance(GRACE.saturating_sub(SECOND));
    assert!(world.is_good(&token));
    world.advance(2 * SECOND);
    let reply = world.call(&Call::post("/bots/v3/respond", "{}").bearer(&token));
    assert_eq!((reply.status, world.node.logged(&reply).reason), (401, Some(Reason::TokenSuperseded)));
}

#[test]
fn f054_after_the_grace_the_new_token_alone_works() {
    let world = World::new();
    let old = world.token("alpha");
    let new = world.refreshed("alpha", &old);
    world.advance(GRACE + SECOND);
    assert!(world.is_good(&new) && !world.is_good(&old));
    world.advance(LIFE.saturating_sub(super::DAY));
    assert!(world.is_good(&new) && !world.is_good(&old));
}

#[test]
fn f055_a_token_in_grace_has_one_successor() {
    let world = World::new();
    let old = world.token("alpha");
    let new = world.refreshed("alpha", &old);
    let reply = world.refresh("alpha", &old);
    assert_eq!((reply.status, world.node.logged(&reply).reason), (409, Some(Reason::TokenRefreshed)));
    assert!(world.is_good(&old) && world.is_good(&new));
    let third = world.refreshed("alpha", &new);
    assert!([&old, &new, &third].iter().all(|token| world.is_good(token)), "each has its own grace");
}

#[test]
fn f059_a_delete_answers_200_and_the_token_is_gone() {
    let world = World::new();
    let token = world.token("alpha");
    let reply = world.call(&delete("alpha", &token));
    assert_eq!((reply.status, reply.json()), (200, json!({})));
    let reply = world.call(&Call::post("/bots/v3/respond", "{}").bearer(&token));
    assert_eq!((reply.status, world.node.logged(&reply).reason), (401, Some(Reason::TokenRevoked)));
    assert_eq!(world.refresh("alpha", &token).status, 401);
}

#[test]
fn f060_a_delete_ends_all_tokens_of_the_app_and_of_no_other() {
    let world = World::new();
    let (first, other) = (world.token("alpha"), world.token("beta"));
    let second = world.refreshed("alpha", &first);
    assert!(world.is_good(&first));
    world.call(&delete("alpha", &second));
    assert!(!world.is_good(&first) && !world.is_good(&second) && world.is_good(&other));
}

#[test]
fn f060_a_token_in_grace_ends_all_too() {
    let world = World::new();
    let first = world.token("alpha");
    let second = world.refreshed("alpha", &first);
    assert_eq!(world.call(&delete("alpha", &first)).status, 200);
    assert!(!world.is_good(&first) && !world.is_good(&second));
}

#[test]
fn f061_a_delete_has_no_grace() {
    let world = World::new();
    let token = world.token("alpha");
    assert!(world.is_good(&token), "and so it is remembered as verified");
    for _ in 0..20 {
        world.is_good(&token);
    }
    world.call(&delete("alpha", &token));
    assert!(!world.is_good(&token));
}

#[test]
fn f062_every_node_refuses_within_a_second() {
    let world = World::new();
    let other = world.node.another();
    let token = world.token("alpha");
    let call = Call::post("/bots/v3/respond", "{}").bearer(&token);
    let seconds = |seconds| Duration::from_secs(seconds);
    within(seconds(1), "the other node takes the token", || (other.call(&call).status == 200).then_some(()));
    world.call(&delete("alpha", &token));
    within(seconds(1), "the other node refuses the token", || (other.call(&call).status == 401).then_some(()));
    let again = world.token("alpha");
    let call = Call::post("/bots/v3/respond", "{}").bearer(&again);
    within(seconds(1), "the other node takes the new token", || (other.call(&call).status == 200).then_some(()));
}

#[test]
fn f063_the_audit_tells_who_ended_which_tokens_when_and_why() {
    let world = World::new();
    let first = world.token("alpha");
    let second = world.refreshed("alpha", &first);
    world.call(&delete("alpha", &second));
    let rows = world.node.with_store(|store| async move { store.audit(&AuditFilter::latest(1)).await.unwrap() });
    let row = &rows[0];
    assert_eq!((&*row.kind, &*row.action, &*row.actor, &*row.subject), ("token", "invalidate", "app:alpha", "alpha"));
    assert_eq!(row.at.secs(), super::START);
    assert!(row.why.as_ref().unwrap().contains("DELETE"));
    let ended = row.after.as_ref().unwrap();
    for token in [&first, &second] {
        assert!(ended.contains(claims(token)["jti"].as_str().unwrap()) && !ended.contains(token.as_str()), "{ended}");
    }
}

#[test]
fn f064_a_delete_takes_a_token_of_the_app_or_the_reset_of_a_service_account() {
    let world = World::new();
    let (alpha, beta) = (world.token("alpha"), world.token("beta"));
    let bare = Call::new("DELETE", renewal("alpha"));
    for call in [delete("alpha", &beta), bare.clone(), basic(&bare, "issuer")] {
        assert_eq!(world.call(&call).status, 401);
    }
    assert!(world.is_good(&alpha));
    assert_eq!(world.call(&basic(&Call::new("DELETE", owner("alpha")), "issuer")).status, 200);
    assert!(!world.is_good(&alpha));
    let rows = world.node.with_store(|store| async move { store.audit(&AuditFilter::latest(1)).await.unwrap() });
    assert_eq!((&*rows[0].action, &*rows[0].actor), ("invalidate", "service:issuer"));
}

#[test]
fn f065_after_a_delete_a_post_gives_a_first_token_again() {
    let world = World::new();
    let token = world.token("alpha");
    world.call(&delete("alpha", &token));
    let again = world.token("alpha");
    assert!(world.is_good(&again) && !world.is_good(&token));
}

#[test]
fn tokens_and_their_graces_survive_a_restart() {
    let World { node, upstream } = World::new();
    let world = World { node, upstream };
    let first = world.token("alpha");
    let second = world.refreshed("alpha", &first);
    let gone = world.token("beta");
    world.call(&delete("beta", &gone));
    let World { node, upstream } = world;
    let world = World { node: node.restart(), upstream };
    assert!(world.is_good(&first) && world.is_good(&second) && !world.is_good(&gone));
    world.advance(GRACE + SECOND);
    assert!(!world.is_good(&first) && world.is_good(&second));
    assert_eq!(world.call(&basic(&Call::post(owner("alpha"), ""), "issuer")).status, 409);
}

#[test]
fn tokens_outlive_the_keys_that_sign_only_new_ones() {
    let world = World::with("[tokens]\nrotate_every = \"10days\"\npublish_ahead = \"1day\"");
    let token = world.token("alpha");
    for _ in 0..8 {
        world.advance(10 * super::DAY);
        assert!(world.is_good(&token));
    }
    assert!(world.is_good(&world.refreshed("alpha", &token)));
}
