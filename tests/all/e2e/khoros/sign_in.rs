//! Signing in with a name and a password: remembered while it stays right, and hard to guess at.

use scopegate::model::Reason;

use super::{PASSWORD, SECOND, World, basic, basic_with};
use crate::e2e::harness::Call;

fn get() -> Call {
    Call::get("/api/v2/things")
}

#[test]
fn a_changed_password_and_a_disabled_account_act_on_the_next_request() {
    let world = World::new();
    assert_eq!(world.call(&basic(&get(), "reader")).status, 200);
    let changed = |password: &str, enabled: bool| {
        super::REGISTRY.replace(
            &format!("name = \"reader\"\naccount = \"default\"\nroles = []\npassword = {PASSWORD:?}"),
            &format!(
                "name = \"reader\"\naccount = \"default\"\nroles = []\nenabled = {enabled}\npassword = {password:?}"
            ),
        )
    };
    world.node.apply(&changed("another horse battery", true));
    assert_eq!(world.call(&basic(&get(), "reader")).status, 401);
    assert_eq!(world.call(&basic_with(&get(), "reader", "another horse battery")).status, 200);
    world.node.apply(&changed("another horse battery", false));
    let reply = world.call(&basic_with(&get(), "reader", "another horse battery"));
    assert_eq!((reply.status, world.node.logged(&reply).reason), (401, Some(Reason::CredentialInvalid)));
}

#[test]
fn guessing_is_throttled_and_keeps_nobody_out_who_is_in() {
    let world = World::new();
    assert_eq!(world.call(&basic(&get(), "reader")).status, 200);
    let guess = |n: usize| world.call(&basic_with(&get(), "reader", &format!("wrong horse {n}")));
    let statuses: Vec<_> = (0..20).map(|n| guess(n).status).collect();
    let throttled = statuses.iter().position(|status| *status == 429).unwrap();
    assert!((5..=10).contains(&throttled) && statuses[throttled..].iter().all(|s| *s == 429), "{statuses:?}");
    let reply = guess(99);
    assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(world.node.logged(&reply).reason, Some(Reason::CredentialThrottled));
    assert_eq!(world.call(&basic(&get(), "reader")).status, 200, "who is in stays in");
    assert_eq!(world.call(&basic(&get(), "issuer")).status, 200, "another name is not meant");
    world.advance(60 * SECOND);
    assert_eq!(guess(100).status, 401);
}

#[test]
fn a_password_is_never_in_the_log_nor_the_upstreams_business() {
    let world = World::new();
    let reply = world.call(&basic_with(&get(), "reader", "a secret of somebody"));
    assert!(!format!("{:?}", world.node.logged(&reply)).contains("secret of somebody"));
    world.call(&basic(&get(), "reader"));
    assert!(world.upstream.all().iter().all(|seen| seen.header("authorization").is_none()));
}

#[test]
fn a_password_may_hold_colons_and_any_character_of_utf_8() {
    let world = World::new();
    let registry = super::REGISTRY.replace(PASSWORD, "zwölf: boxing wizards");
    world.node.apply(&registry);
    assert_eq!(world.call(&basic_with(&get(), "reader", "zwölf: boxing wizards")).status, 200);
}
