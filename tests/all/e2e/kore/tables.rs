//! Data tables: permissions of their own, which no scope stands in for.

use super::assert_scope;
use super::world::{BOT, changelogs, tabler, world};
use crate::e2e::harness::{App, Call, Connection};

/// Everything on one table, reading on another, and reading on a view.
pub fn grants(app: &App) -> String {
    let grant = |what: &str, permissions: &str| {
        format!("[[table_grant]]\napp = {:?}\n{what}\npermissions = [{permissions}]\n", app.client_id)
    };
    grant("table = \"orders\"", "\"read\", \"write\", \"delete\"")
        + &grant("table = \"customers\"", "\"read\"")
        + &grant("view = \"open-orders\"", "\"read\"")
}

const OPERATIONS: [(&str, &str); 6] = [
    ("POST", "/api/public/tables/orders"),
    ("POST", "/api/public/tables/orders/bulk"),
    ("PUT", "/api/public/tables/orders"),
    ("DELETE", "/api/public/tables/orders"),
    ("POST", "/api/public/tables/orders/query"),
    ("POST", "/api/public/views/open-orders/query"),
];

#[test]
fn f092_scopes_and_permissions_on_tables_never_stand_in_for_each_other() {
    let world = world();
    let mut connection = Connection::open(world.gateway.proxy);
    // Apps that hold nearly every scope of their level reach no table.
    for level in ["bot", "account"] {
        let app = super::world::without(level, "logs:change_logs");
        for (method, path) in OPERATIONS {
            let reply = connection.call(&Call::new(method, path).auth(app.token()).mark("f092"));
            assert_scope(&reply);
            assert_eq!(world.gateway.reason(&reply), "table.forbidden");
        }
    }
    assert!(world.upstream.marked("f092").is_empty());
    // The app that holds every permission reaches the tables, and no API that asks for a scope.
    let token = tabler().token();
    for (method, path) in OPERATIONS {
        assert_eq!(connection.call(&Call::new(method, path).auth(&token)).status, 200, "{method} {path}");
    }
    for api in world.apis.iter().filter(|api| api.bot_scope.is_some()) {
        for call in api.calls(BOT) {
            assert_scope(&connection.call(&call.auth(&token).mark("f092")));
        }
    }
    assert_scope(&connection.call(&Call::get(changelogs(BOT)).auth(&token).mark("f092")));
    assert!(world.upstream.marked("f092").is_empty());
}

#[test]
fn a_permission_is_on_one_table_or_view_and_for_one_kind_of_call() {
    let world = world();
    let token = tabler().token();
    let status = |method: &str, path: &str| world.call(&Call::new(method, path).auth(&token)).status;
    assert_eq!(status("POST", "/api/public/tables/customers/query"), 200);
    assert_eq!(status("POST", "/api/public/tables/customers"), 401, "reading is not writing");
    assert_eq!(status("DELETE", "/api/public/tables/customers"), 401, "reading is not deleting");
    assert_eq!(status("POST", "/api/public/tables/open-orders/query"), 401, "a view is no table");
    assert_eq!(status("POST", "/api/public/views/orders/query"), 401, "a table is no view");
}
