//! Rows about the catalogue: what it lists, and that it is whole.

use std::collections::BTreeSet;

use serde_json::Value;

use super::world::{BOT_SCOPES, world};

#[test]
fn f004_the_catalogue_lists_every_route_with_all_that_a_caller_needs() {
    let world = world();
    let table = world.gateway.setup.succeed(&["check"]);
    let count = table.lines().last().and_then(|line| line.split(" is good: ").nth(1)?.split(' ').next()?.parse().ok());
    assert_eq!(count, Some(world.apis.len()), "{table}");
    for api in &world.apis {
        assert!(!api.methods.is_empty() && !api.paths.is_empty(), "{}", api.id);
        let asks_for_a_scope = !["upload-file", "send-webhook-message"].contains(&api.id.as_str());
        assert_eq!(api.bot_scope.is_some(), api.levels.contains("bot") && asks_for_a_scope, "{}", api.id);
        for path in &api.paths {
            assert!(table.lines().any(|l| l.split_whitespace().any(|w| w == path) && l.ends_with(&api.id)), "{path}");
        }
    }
    let shown = world.gateway.setup.succeed(&["catalog", "list"]);
    assert_eq!(shown.lines().count(), 1 + world.apis.len(), "a heading and a line for each API");
}

#[test]
fn f005_the_catalogue_says_of_each_api_who_may_call_it() {
    let known = BTreeSet::from(["bot".to_owned(), "account".to_owned(), "table".to_owned()]);
    for api in &world().apis {
        assert!(!api.levels.is_empty() && api.levels.is_subset(&known), "{}: {:?}", api.id, api.levels);
    }
}

fn methods(path: &str) -> BTreeSet<&'static str> {
    let at_path = world().apis.iter().filter(|api| api.paths.iter().any(|p| p == path));
    at_path.flat_map(|api| api.methods.iter().map(String::as_str)).collect()
}

#[test]
fn f068_every_key_activity_of_a_developer_is_an_api() {
    for (activity, method, path) in [
        ("create", "POST", "/api/public/bot/import"),
        ("import", "POST", "/api/public/bot/{botId}/import"),
        ("export", "POST", "/api/public/bot/{botId}/export"),
        ("train ML", "POST", "/api/public/bot/{botId}/ml/train"),
        ("train FAQ", "POST", "/api/public/bot/{botId}/faqs/train"),
        ("publish", "POST", "/api/public/bot/{botId}/publish"),
    ] {
        assert!(methods(path).contains(method), "{activity}: {method} {path}");
    }
}

#[test]
fn f069_the_management_of_an_account_is_apis_for_accounts_alone() {
    for (method, path) in [
        ("POST", "/api/public/users"),
        ("PUT", "/api/public/users"),
        ("DELETE", "/api/public/users"),
        ("POST", "/api/public/useraccess"),
        ("POST", "/api/public/roles/import"),
        ("GET", "/api/public/roles/export"),
        ("GET", "/api/public/roles"),
        ("POST", "/api/public/btroles/assignments"),
        ("POST", "/api/public/adminroles/assignments"),
    ] {
        let is_it =
            |api: &&super::world::Api| api.paths.iter().any(|p| p == path) && api.methods.iter().any(|m| m == method);
        let [api] = &world().apis.iter().filter(is_it).collect::<Vec<_>>()[..] else { panic!("{method} {path}") };
        assert_eq!(api.levels, BTreeSet::from(["account".to_owned()]), "{method} {path}");
    }
}

#[test]
fn f131_the_catalogue_has_the_23_documented_scopes_of_bots_in_their_order() {
    let scopes = world().gateway.setup.json(&["catalog", "scopes", "--level", "bot", "--json"]);
    let text = |scope: &Value, name: &str| scope[name].as_str().unwrap().to_owned();
    let scopes = scopes.as_array().unwrap();
    assert!(scopes.iter().all(|s| s["level"] == "bot"));
    let (additions, documented): (Vec<_>, Vec<_>) = scopes.iter().partition(|s| s["addition"] == true);
    let documented: Vec<_> = documented.into_iter().map(|s| (text(s, "id"), text(s, "title"))).collect();
    assert_eq!(documented, BOT_SCOPES.map(|(id, title)| (id.to_owned(), title.to_owned())));
    assert!(!additions.is_empty(), "the profile has additions, and flags them");
    // In the list for people they are flagged too.
    let shown = world().gateway.setup.succeed(&["catalog", "scopes", "--level", "bot"]);
    for addition in additions {
        assert!(shown.contains(&format!("{} (addition)", text(addition, "title"))), "{shown}");
    }
}
