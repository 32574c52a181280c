//! How an app finds its installations.

use scopegate::model::Reason;
use serde_json::json;

use super::{ACME, ANA, FROZEN, OCTO, RIVALS, START, World, sign_other};
use crate::e2e::harness::{Call, Reply};

fn get(world: &World, path: &str) -> Reply {
    world.call(&Call::get(path).bearer(world.jwt()))
}

fn ids(reply: &Reply) -> Vec<i64> {
    reply.json().as_array().unwrap().iter().map(|i| i["id"].as_i64().unwrap()).collect()
}

#[test]
fn an_app_lists_its_own_installations() {
    let world = World::new();
    let all = get(&world, "/app/installations");
    assert_eq!((all.status, ids(&all)), (200, vec![ACME, ANA, FROZEN]));
    let rival = sign_other(&json!({ "iss": super::RIVAL, "iat": START, "exp": START + 60 }));
    assert_eq!(ids(&world.call(&Call::get("/app/installations").bearer(rival))), [RIVALS]);
}

#[test]
fn a_list_comes_in_pages_that_are_linked() {
    let world = World::new();
    let first = get(&world, "/app/installations?per_page=2");
    let next =
        r#"</app/installations?per_page=2&page=2>; rel="next", </app/installations?per_page=2&page=2>; rel="last""#;
    assert_eq!((ids(&first), first.header("link")), (vec![ACME, ANA], Some(next)));
    let second = get(&world, "/app/installations?per_page=2&page=2");
    assert_eq!(ids(&second), [FROZEN]);
    assert!(!second.header("link").unwrap().contains("next"));
    let wrong = get(&world, "/app/installations?per_page=many");
    assert_eq!((wrong.status, world.node.logged(&wrong).reason), (400, Some(Reason::RequestInvalid)));
}

#[test]
fn an_installation_says_where_it_is_and_what_it_may_do() {
    let world = World::new();
    let found = get(&world, &format!("/app/installations/{ACME}")).json();
    let app = get(&world, "/app").json();
    let expected = json!({
        "id": ACME,
        "app_id": app["id"],
        "app_slug": "octo-s-app",
        "client_id": OCTO,
        "account": { "login": "acme", "type": "Organization" },
        "target_type": "Organization",
        "repository_selection": "selected",
        "permissions": { "contents": "write", "issues": "read" },
        "events": [],
        "created_at": "2026-11-22T12:00:00Z",
        "updated_at": "2026-11-22T12:00:00Z",
        "suspended_at": null,
    });
    assert_eq!(found, expected);
    let frozen = get(&world, &format!("/app/installations/{FROZEN}")).json();
    assert_eq!(frozen["suspended_at"], "2026-11-22T12:00:00Z");
}

#[test]
fn an_installation_is_found_by_its_account_or_a_repository() {
    let world = World::new();
    for (path, id) in [
        ("/orgs/acme/installation", ACME),
        ("/users/ana/installation", ANA),
        ("/repos/acme/hello/installation", ACME),
        ("/repos/ana/whatever/installation", ANA),
    ] {
        let reply = get(&world, path);
        assert_eq!((reply.status, &reply.json()["id"]), (200, &json!(id)), "{path}");
    }
    for path in [
        "/orgs/ana/installation",
        "/users/acme/installation",
        "/orgs/stranger/installation",
        "/orgs/ACME/installation",
        "/repos/acme/other/installation",
    ] {
        world.check(&get(&world, path), 404, "Not Found", Reason::InstallationUnknown);
    }
}
