//! Hosts: those of the two APIs, and those of each account.

use scopegate::model::Reason;

use super::{World, basic, owner, renewal};
use crate::e2e::harness::Call;

const HOSTS: &str = r#"
[profile.khoros.hosts]
khoros-basic = ["acme.response.test", "rival.response.test"]
khoros = ["acme.api.test", "rival.api.test"]
"#;

#[test]
fn f031_each_api_is_served_at_its_own_hosts_and_tells_the_other() {
    let world = World::with(HOSTS);
    let issuing = basic(&Call::post(owner("gamma"), ""), "acme-issuer");
    let wrong = world.call(&issuing.clone().host("acme.api.test"));
    assert_eq!(wrong.status, 404);
    let detail = wrong.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("acme.response.test"), "{detail}");
    let reply = world.call(&issuing.host("acme.response.test"));
    let token = reply.json()["data"]["token"].as_str().unwrap().to_owned();
    let respond = Call::post("/bots/v3/respond", "{}").bearer(&token);
    assert_eq!(world.call(&respond.clone().host("acme.api.test")).status, 200);
    let wrong = world.call(&respond.clone().host("acme.response.test"));
    let detail = wrong.json()["detail"].as_str().unwrap().to_owned();
    assert!(wrong.status == 404 && detail.contains("acme.api.test"), "{detail}");
    let elsewhere = world.call(&respond.host("somewhere.test"));
    assert_eq!(
        (elsewhere.status, elsewhere.json().get("detail")),
        (404, None),
        "a host that is none of ours is told nothing"
    );
}

#[test]
fn f038_each_account_has_base_urls_of_its_own_and_takes_no_other_accounts_tokens() {
    let world = World::new();
    let issuing = |name| basic(&Call::post(owner("gamma"), ""), name);
    for (name, host, status) in [
        ("rival-issuer", "acme.response.test", 401),
        ("rival-issuer", "rival.response.test", 401),
        ("acme-issuer", "rival.response.test", 401),
        ("acme-issuer", "acme.response.test", 200),
    ] {
        let reply = world.call(&issuing(name).host(host));
        assert_eq!(reply.status, status, "{name} at {host}");
        if status == 401 {
            assert_eq!(world.node.logged(&reply).reason, Some(Reason::AppWrongAccount));
            continue;
        }
        let token = reply.json()["data"]["token"].as_str().unwrap().to_owned();
        let respond = Call::post("/bots/v3/respond", "{}").bearer(&token);
        assert_eq!(world.call(&respond.clone().host("acme.api.test")).status, 200);
        assert_eq!(world.call(&respond.host("rival.api.test")).status, 401);
        assert_eq!(world.call(&Call::new("PUT", renewal("gamma")).bearer(&token).host("rival.api.test")).status, 401);
    }
}

#[test]
fn f038_an_owner_that_a_post_creates_is_of_the_account_that_asks() {
    let world = World::new();
    let reply = world.call(&basic(&Call::post(owner("new-one"), ""), "acme-issuer").host("acme.response.test"));
    let token = reply.json()["data"]["token"].as_str().unwrap().to_owned();
    assert_eq!(super::claims(&token)["companyKey"], "acme");
    assert_eq!(
        world.call(&basic(&Call::get(owner("new-one")), "rival-issuer").host("rival.response.test")).status,
        401
    );
}
