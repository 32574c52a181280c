//! Permissions on tables and views are rights like scopes: a narrowed token keeps none that it was not asked for.

use scopegate::config::parse;
use scopegate::model::Reason;

use super::World;

/// A token of `ledger`, which holds a scope, a table and a view, asked for with this scope.
fn token(world: &World, scope: &str) -> String {
    world.token("ledger", scope)
}

const TABLES: [&str; 3] = ["/tables/orders", "/views/open-orders", "/tables"];

#[test]
fn a_token_for_other_scopes_keeps_no_right_to_a_table_or_a_view() {
    let world = World::new();
    for scope in ["users", "logs", "logs users"] {
        let token = token(&world, scope);
        for path in TABLES {
            let reply = world.get(path, &token);
            let line = world.node.logged(&reply);
            assert_eq!((reply.status, line.reason), (403, Some(Reason::TableForbidden)), "{scope} {path}");
            assert!(line.found.unwrap().contains(&format!("a token for {scope}, of an app that holds")));
        }
        assert_eq!(world.get("/any", &token).status, 200);
    }
    assert_eq!(world.upstream.all().len(), 3, "no table was reached");
}

#[test]
fn a_token_for_all_that_the_app_holds_keeps_tables_and_views_and_tells_so() {
    let world = World::new();
    for scope in ["", "scopegate:tables", "scopegate:tables users"] {
        let token = token(&world, scope);
        for path in TABLES {
            assert_eq!(world.get(path, &token).status, 200, "{scope} {path}");
        }
        let seen = world.upstream.all().pop().unwrap();
        assert!(!seen.header("x-scopegate-scopes").unwrap_or_default().contains("tables"), "it is no scope of the app");
        let told = world.introspect("ledger", &token)["scope"].clone();
        assert_eq!(told, if scope.is_empty() { "logs users scopegate:tables" } else { sorted(scope) });
    }
    let only = token(&world, "scopegate:tables");
    assert_eq!(world.get("/users", &only).status, 403);
}

fn sorted(scope: &str) -> &str {
    if scope.contains(' ') { "users scopegate:tables" } else { scope }
}

#[test]
fn what_is_granted_or_taken_later_counts_for_tables_as_for_scopes() {
    let world = World::new();
    let older = world.token("idle", "");
    let grant = "version = 1\n[[table_grant]]\napp = \"idle\"\ntable = \"orders\"\npermissions = [\"read\"]\n";
    world.node.apply(grant);
    assert_eq!(world.get("/tables/orders", &older).status, 403, "it was for less");
    assert_eq!(world.get("/tables/orders", &world.token("idle", "")).status, 200);
    assert_eq!(world.get("/tables/customers", &world.token("idle", "")).status, 403);
    let form = [("grant_type", "client_credentials"), ("scope", "scopegate:tables")];
    let reply = world.post_as("svc", "/oauth2/token", &form);
    assert_eq!((reply.status, &reply.json()["error"]), (400, &"invalid_scope".into()), "it holds no table");
}

#[test]
fn no_scope_of_the_catalogue_has_the_name_that_stands_for_tables() {
    let text = "[upstream.a]\nurls = [\"http://127.0.0.1:9\"]\n[[scope]]\nid = \"scopegate:tables\"\ntitle = \"x\"\n\
                levels = [\"bot\"]\n";
    let error = parse("c.toml", text).unwrap_err().to_string();
    assert!(error.contains("scopegate:tables stands for permissions on tables and views"), "{error}");
}
