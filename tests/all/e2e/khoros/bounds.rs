//! What a holder, or a service account, can have of the gateway.

use std::time::Duration;

use scopegate::model::Reason;

use super::{DAY, SECOND, World, basic, owner, renewal};
use crate::e2e::harness::{Call, Reply};

const MINUTE: Duration = Duration::from_secs(60);

fn post(world: &World, app: &str, service: &str) -> Reply {
    world.call(&basic(&Call::post(owner(app), ""), service))
}

#[test]
fn refreshes_are_counted_by_app_and_predecessors_stay_bounded() {
    let world = World::new();
    let beta = world.token("beta");
    let mut tokens = vec![world.token("alpha")];
    for _ in 0..60 {
        tokens.push(world.refreshed("alpha", tokens.last().unwrap()));
    }
    let newest = tokens.last().unwrap();
    let reply = world.refresh("alpha", newest);
    assert_eq!((reply.status, world.node.logged(&reply).reason), (429, Some(Reason::QuotaExceeded)));
    assert_eq!(reply.header("retry-after"), Some("1"));
    let reply = world.call(&Call::new("DELETE", renewal("alpha")).bearer(newest));
    assert_eq!(reply.status, 429, "giving up counts as well");
    world.refreshed("beta", &beta);
    let good: Vec<_> = tokens.iter().filter(|token| world.is_good(token)).collect();
    assert_eq!(good.len(), 17, "the current one, and the newest of those before it");
    assert!(good.contains(&newest) && !good.contains(&&tokens[0]));
    world.advance(SECOND);
    world.refreshed("alpha", newest);
}

#[test]
fn the_quotas_of_tokens_are_left_out_with_those_of_the_profile() {
    let world = World::with("[profile.khoros]\nquotas = false\n");
    let mut token = world.token("alpha");
    for _ in 0..70 {
        token = world.refreshed("alpha", &token);
    }
    assert!(world.is_good(&token));
}

#[test]
fn a_service_account_has_so_many_apps_created_and_no_more() {
    let world = World::with("[khoros]\nunknown_owner_limit = 2\n");
    for app in ["one", "two"] {
        assert_eq!(post(&world, app, "acme-issuer").status, 200, "{app}");
    }
    let refused = |app: &str| {
        let reply = post(&world, app, "acme-issuer");
        let line = world.node.logged(&reply);
        assert_eq!((reply.status, line.reason), (404, Some(Reason::OwnerUnknown)));
        let expected = line.expected.unwrap();
        assert!(expected.contains("service:acme-issuer has had 2 created (khoros.unknown_owner_limit)"), "{expected}");
    };
    refused("three");
    assert_eq!(post(&world, "four", "rival-issuer").status, 200, "each has its own");
    assert_eq!(post(&world, "gamma", "acme-issuer").status, 200, "registered apps do not count");
    world.advance(DAY);
    refused("three");
    // One that goes to another account counts no more.
    world.node.apply(&moved("one", "rival"));
    assert_eq!(post(&world, "three", "acme-issuer").status, 200);
    refused("five");
}

fn moved(app: &str, account: &str) -> String {
    format!(
        "version = 1\n[[app]]\nclient_id = {app:?}\nname = {app:?}\naccount = {account:?}\nlevel = \"account\"\nalgorithms = []\n\
         authenticators = [\"khoros\"]\n"
    )
}

#[test]
fn an_app_that_goes_to_another_account_leaves_its_tokens_behind() {
    let world = World::new();
    let squatted = post(&world, "wanted", "acme-issuer").json()["data"]["token"].as_str().unwrap().to_owned();
    assert!(world.is_good(&squatted));
    assert_eq!(post(&world, "wanted", "rival-issuer").status, 401, "it is of acme");
    world.node.apply(&moved("wanted", "rival"));
    let reply = world.call(&Call::post("/bots/v3/respond", "{}").bearer(&squatted));
    assert_eq!((reply.status, world.node.logged(&reply).reason), (401, Some(Reason::TokenRevoked)));
    let reply = post(&world, "wanted", "rival-issuer");
    assert_eq!(reply.status, 200);
    let token = reply.json()["data"]["token"].as_str().unwrap().to_owned();
    assert!(world.is_good(&token));
    assert_eq!(world.upstream.all().pop().unwrap().header("x-scopegate-account"), Some("rival"));
    assert_eq!(post(&world, "wanted", "acme-issuer").status, 401);
    world.advance(MINUTE);
    assert!(world.is_good(&token));
}

#[test]
fn the_bound_has_a_range() {
    for (bound, is_good) in [("0", false), ("1", true), ("1000000", true), ("1000001", false)] {
        let text = format!(
            "profiles = [\"khoros\"]\n[upstream.a]\nurls = [\"http://127.0.0.1:9\"]\n[proxy]\nlisten = \"127.0.0.1:0\"\n\
             [khoros]\nunknown_owner_limit = {bound}\n"
        );
        assert_eq!(scopegate::config::parse("c.toml", &text).is_ok(), is_good, "{bound}");
    }
}
