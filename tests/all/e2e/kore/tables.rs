//! Data tables: permissions of their own, which no scope stands in for.

use std::sync::OnceLock;

use super::assert_scope;
use super::world::{ACCOUNT, BOT, OTHER_ACCOUNT, tabler, world};
use super::{assert_credentials, assert_no_token};
use crate::e2e::harness::{App, Call, Connection, Gateway, Recorder, Registry, Reply, Setup, Token};

/// Everything on one table, reading on another, and reading on a view.
pub fn grants(app: &App) -> String {
    grant(app, "table", "orders", &["read", "write", "delete"])
        + &grant(app, "table", "customers", &["read"])
        + &grant(app, "view", "open-orders", &["read"])
}

fn grant(app: &App, kind: &str, name: &str, permissions: &[&str]) -> String {
    format!("[[table_grant]]\napp = {:?}\n{kind} = {name:?}\npermissions = {permissions:?}\n", app.client_id)
}

/// What can be done with a table, and what it takes.
const OPERATIONS: [(&str, &str, &[&str]); 5] = [
    ("POST", "/api/public/tables/{}", &["write"]),
    ("POST", "/api/public/tables/{}/bulk", &["write"]),
    ("PUT", "/api/public/tables/{}", &["read", "write"]),
    ("DELETE", "/api/public/tables/{}", &["read", "delete"]),
    ("POST", "/api/public/tables/{}/query", &["read"]),
];

fn of_table(table: &str) -> impl Iterator<Item = Call> {
    OPERATIONS.iter().map(move |(method, path, _)| Call::new(method, path.replace("{}", table)))
}

fn query(table: &str) -> Call {
    Call::post(format!("/api/public/tables/{table}/query"), "{}")
}

fn query_view(view: &str) -> Call {
    Call::post(format!("/api/public/views/{view}/query"), "{}")
}

/// The host that Service Nodes call.
const NODES: &str = "tables.internal";

/// A gateway that tells Service Nodes from other callers, and takes definitions in and out.
struct Tables {
    gateway: Gateway,
    upstream: Recorder,
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let upstream = Recorder::start();
        let mut registry = Registry::new().account(ACCOUNT, &[BOT]).account(OTHER_ACCOUNT, &[]);
        for combination in COMBINATIONS {
            let app = app_with(combination);
            registry = registry.app(&app).lines(&grant(&app, "table", LEDGER, combination));
        }
        registry = registry.apps(&[of_one_view(), of_odd_names(), for_nodes(), for_apis(), scoped()]);
        registry = registry.lines(&grant(&of_one_view(), "view", LEDGER, &["read"]));
        for name in ODD_NAMES {
            registry = registry.lines(&grant(&of_odd_names(), "table", name, &["read"]));
        }
        for app in [for_nodes(), for_apis()] {
            registry = registry.lines(&grant(&app, "table", LEDGER, &["read", "write", "delete"]));
        }
        let gateway = Gateway::start(Setup::kore(&upstream.url(), &own_routes()), &registry);
        Tables { gateway, upstream }
    })
}

/// Routes of Service Nodes, the same as the profile's but for host and authenticator; and those of definitions.
fn own_routes() -> String {
    let mut routes = String::new();
    for (i, (method, path, permissions)) in OPERATIONS.iter().enumerate() {
        let path = path.replace("{}", "{table}");
        routes.push_str(&format!(
            "[[route]]\nid = \"node-{i}\"\nhosts = [{NODES:?}]\nmethods = [{method:?}]\npath = {path:?}\n\
             authenticator = \"kore-service-node\"\ntable = {{ param = \"table\", permissions = {permissions:?} }}\n"
        ));
    }
    for (method, path) in DEFINITIONS {
        routes.push_str(&format!(
            "[[route]]\nid = \"definitions-{method}\"\nmethods = [{method:?}]\npath = {path:?}\n\
             authenticator = \"kore\"\ntable = \"any\"\n"
        ));
    }
    routes
}

const DEFINITIONS: [(&str, &str); 2] =
    [("GET", "/api/public/tables/definitions/export"), ("POST", "/api/public/tables/definitions/import")];

const LEDGER: &str = "ledger";

const COMBINATIONS: [&[&str]; 8] = [
    &[],
    &["read"],
    &["write"],
    &["delete"],
    &["read", "write"],
    &["read", "delete"],
    &["write", "delete"],
    &["read", "write", "delete"],
];

/// Holds these permissions on the ledger.
fn app_with(combination: &[&str]) -> App {
    App::new(&format!("may-{}", combination.join("-")), ACCOUNT, &[], &[])
}

fn of_one_view() -> App {
    App::new("holds a view that is called like a table", ACCOUNT, &[], &[])
}

fn of_odd_names() -> App {
    App::new("holds tables with odd names", ACCOUNT, &[], &[])
}

fn for_nodes() -> App {
    App::new("for nodes", ACCOUNT, &[], &[]).settings("authenticators = [\"kore-service-node\"]")
}

fn for_apis() -> App {
    App::new("for public APIs", ACCOUNT, &[], &[]).settings("authenticators = [\"kore\"]")
}

fn scoped() -> App {
    App::new("holds a scope", ACCOUNT, &[], &["logs:change_logs"])
}

impl Tables {
    #[track_caller]
    fn forbidden(&self, reply: &Reply) -> (String, String) {
        assert_scope(reply);
        let line = self.gateway.logged(reply.request_id());
        assert_eq!(line["reason"], "table.forbidden");
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (text("expected"), text("found"))
    }
}

/// Every operation with every combination of permissions, at a host.
fn truth_table(host: &str, mark: &str) {
    let tables = tables();
    let mut connection = Connection::open(tables.gateway.proxy);
    let mut passed = 0;
    for held in COMBINATIONS {
        let token = app_with(held).token();
        for ((_, _, needed), call) in OPERATIONS.iter().zip(of_table(LEDGER)) {
            let reply = connection.call(&call.host(host).auth(&token).mark(mark));
            if needed.iter().all(|permission| held.contains(permission)) {
                assert_eq!(reply.status, 200, "{held:?} is enough for {needed:?}");
                passed += 1;
            } else {
                let found = if held.is_empty() { "none".to_owned() } else { held.join(" ") };
                let expected = format!("{} on table \"ledger\"", needed.join(" "));
                assert_eq!(tables.forbidden(&reply), (expected, found), "{held:?} is not enough for {needed:?}");
            }
        }
    }
    assert_eq!(passed, 4 + 4 + 2 + 2 + 4, "of 40 cells");
    assert_eq!(tables.upstream.marked(mark).len(), passed);
}

#[test]
fn f092_scopes_and_permissions_on_tables_never_stand_in_for_each_other() {
    let world = world();
    let mut connection = Connection::open(world.gateway.proxy);
    // Apps that hold every scope of their level between them reach no table.
    let holders = ["bot", "account"].into_iter().flat_map(|level| {
        [super::world::without(level, "logs:change_logs"), super::world::only(level, "logs:change_logs")]
    });
    for app in holders {
        for call in of_table("orders").chain([query_view("open-orders")]) {
            let reply = connection.call(&call.auth(app.token()).mark("f092"));
            assert_scope(&reply);
            assert_eq!(world.gateway.reason(&reply), "table.forbidden");
        }
    }
    assert!(world.upstream.marked("f092").is_empty());
    // The app that holds every permission reaches the tables, and no API that asks for a scope.
    let token = tabler().token();
    for call in of_table("orders").chain([query_view("open-orders")]) {
        assert_eq!(connection.call(&call.clone().auth(&token)).status, 200, "{call:?}");
    }
    for api in world.apis.iter().filter(|api| api.bot_scope.is_some()) {
        for call in api.calls(BOT) {
            assert_scope(&connection.call(&call.auth(&token).mark("f092")));
        }
    }
    assert!(world.upstream.marked("f092").is_empty());
    // Neither does an app of the whole account.
    let (tables, token) = (tables(), app_with(&["read", "write", "delete"]).token());
    let mut connection = Connection::open(tables.gateway.proxy);
    let mut refused = 0;
    let own_routes = ["get-user-engagement", "broadcast-rcs", "update-faq"];
    let apis = world.apis.iter().filter(|api| api.bot_scope.is_some() || api.account_scope.is_some());
    for api in apis.filter(|api| !own_routes.contains(&api.id.as_str())) {
        for call in api.calls(BOT) {
            assert_scope(&connection.call(&call.auth(&token).mark("f092")));
            refused += 1;
        }
    }
    assert!(refused > 80 && tables.upstream.marked("f092").is_empty(), "{refused} calls");
}

#[test]
fn f093_three_apps_for_data_tables_are_three_in_the_list() {
    let setup = Setup::kore("http://127.0.0.1:9", "");
    let apps = ["one", "two", "three"].map(|name| App::new(name, ACCOUNT, &[], &[]));
    let mut registry = Registry::new().account(ACCOUNT, &[]).apps(&apps);
    for app in &apps {
        registry = registry.lines(&grant(app, "table", "orders", &["read"]));
    }
    let told = setup.apply(&registry);
    let list = setup.json(&["app", "list", "--json"]);
    let ids: Vec<_> = list.as_array().unwrap().iter().map(|app| app["client_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["one", "three", "two"], "{list}");
    let listed = setup.succeed(&["export"]);
    assert_eq!((listed.matches("[[app]]").count(), listed.matches("[[table_grant]]").count()), (3, 3), "{listed}");
    for App { client_id, .. } in &apps {
        assert!(told.contains(&format!("set grant to app {client_id} on table orders: read")), "{told}");
        let app = format!("client_id = {client_id:?}\n");
        assert!(listed.contains(&app) && listed.contains(&format!("name = \"named {client_id}\"")), "{listed}");
        let granted = format!("[[table_grant]]\napp = {client_id:?}\ntable = \"orders\"\npermissions = [\"read\"]");
        assert!(listed.contains(&granted), "{listed}");
    }
}

#[test]
fn f094_an_app_for_tables_calls_their_apis_with_its_token_and_nobody_without() {
    let world = world();
    let token = tabler().token();
    let mut connection = Connection::open(world.gateway.proxy);
    let view = Call::new("POST", "/api/public/views/open-orders/query?sys_limit=5&sys_offset=10");
    let calls: Vec<_> = of_table("orders").chain([view]).enumerate().collect();
    for (i, call) in &calls {
        let body = format!("{{\"query\":{{\"expressions\":[{{\"field\":\"n\",\"operand\":\"=\",\"value\":{i}}}]}}}}");
        let call = Call { body: Some(body.into_bytes()), ..call.clone() }.mark("f094");
        assert_credentials(&connection.call(&call));
        assert_no_token(&connection.call(&call.clone().auth("no-token")));
        let forged = Token::of(&tabler().client_id).sign("another secret, which is long enough");
        assert_credentials(&connection.call(&call.clone().auth(forged)));
        assert_eq!(world.upstream.marked("f094").len(), *i, "nothing got through without a good token");
        assert_eq!(connection.call(&call.clone().auth(&token)).status, 200);
        let seen = world.upstream.marked("f094").pop().unwrap();
        assert_eq!((&seen.method, &seen.target, Some(&seen.body)), (&call.method, &call.target, call.body.as_ref()));
        assert_eq!(seen.header("x-scopegate-app"), Some(tabler().client_id.as_str()));
        assert_eq!(seen.header("auth"), None);
    }
}

#[test]
fn f095_the_same_grants_are_enforced_for_service_nodes() {
    truth_table(NODES, "f095");
    let tables = tables();
    let call =
        |app: &App, host: &str| tables.gateway.call(&query(LEDGER).host(host).auth(app.token()).mark("f095-own"));
    // An app can be for Service Nodes alone, or for everybody else.
    for (app, theirs, other) in [(for_nodes(), NODES, "gateway.test"), (for_apis(), "gateway.test", NODES)] {
        assert_eq!(call(&app, theirs).status, 200);
        let refused = call(&app, other);
        assert_credentials(&refused);
        assert_eq!(tables.gateway.reason(&refused), "app.wrong_authenticator");
    }
    assert_eq!(tables.upstream.marked("f095-own").len(), 2);
}

#[test]
fn f096_definitions_go_in_and_out_with_an_app_for_tables_alone() {
    let tables = tables();
    for (method, path) in DEFINITIONS {
        let call = Call::new(method, path);
        let refused = |call: Call| tables.gateway.call(&call.mark("f096"));
        assert_credentials(&refused(call.clone()));
        for app in [scoped(), app_with(&[])] {
            let told = tables.forbidden(&refused(call.clone().auth(app.token())));
            assert_eq!(told, ("a permission on any table or view".to_owned(), "none".to_owned()), "{}", app.client_id);
        }
        assert!(tables.upstream.marked("f096").is_empty());
        for app in [app_with(&["read"]), app_with(&["delete"]), of_one_view()] {
            assert_eq!(
                tables.gateway.call(&call.clone().auth(app.token()).mark("in")).status,
                200,
                "{}",
                app.client_id
            );
        }
    }
    let check = tables.gateway.setup.succeed(&["check"]);
    let line = check.lines().find(|line| line.ends_with("definitions-GET")).unwrap();
    assert!(line.contains("(any table app)"), "{line}");
    let apis = tables.gateway.setup.json(&["catalog", "list", "--json"]);
    let api = apis.as_array().unwrap().iter().find(|api| api["id"] == "definitions-GET").unwrap();
    assert_eq!(api["levels"], serde_json::json!(["table"]));
    let (goes_on, text) = tables.gateway.setup.explain(&of_one_view().token(), "GET", DEFINITIONS[0].1, &[]);
    assert!(goes_on && text.contains("held: read on view ledger"), "{text}");
}

#[test]
fn f097_each_permission_is_granted_apart_and_each_operation_takes_its_own() {
    truth_table("gateway.test", "f097");
}

#[test]
fn f098_a_permission_on_one_table_is_none_on_another() {
    let tables = tables();
    for permissions in COMBINATIONS {
        let token = app_with(permissions).token();
        for call in of_table("ledger2").chain(of_table("other")).chain([query_view("other")]) {
            let (_, found) = tables.forbidden(&tables.gateway.call(&call.auth(&token).mark("f098")));
            assert_eq!(found, "none");
        }
    }
    assert!(tables.upstream.marked("f098").is_empty());
}

#[test]
fn f099_a_view_is_granted_apart_from_its_tables() {
    let tables = tables();
    let call = |call: Call, app: &App| tables.gateway.call(&call.auth(app.token()).mark("f099"));
    assert_eq!(call(query_view(LEDGER), &of_one_view()).status, 200);
    for of_table in of_table(LEDGER) {
        tables.forbidden(&call(of_table, &of_one_view()));
    }
    let of_the_table = app_with(&["read", "write", "delete"]);
    assert_eq!(call(query(LEDGER), &of_the_table).status, 200);
    let told = tables.forbidden(&call(query_view(LEDGER), &of_the_table));
    assert_eq!(told, ("read on view \"ledger\"".to_owned(), "none".to_owned()));
    assert_eq!(tables.upstream.marked("f099").len(), 2);
}

const ODD_NAMES: [&str; 8] = ["Orders", "sales 2026", "caf\u{e9}", "表", "100%", "a+b=c&d", "what?", "'"];

#[test]
fn the_name_that_is_judged_is_the_name_that_is_sent() {
    let tables = tables();
    let token = of_odd_names().token();
    let paths = [
        "Orders",
        "sales%202026",
        "caf%C3%A9",
        "%E8%A1%A8",
        "100%25",
        "a+b=c&d",
        "a%2Bb%3Dc%26d",
        "what%3F",
        "'",
        "%27",
    ];
    for path in paths {
        assert_eq!(tables.gateway.call(&query(path).auth(&token).mark("names")).status, 200, "{path}");
    }
    let sent: Vec<_> = tables.upstream.marked("names").into_iter().map(|seen| seen.target).collect();
    assert_eq!(sent, paths.map(|path| format!("/api/public/tables/{path}/query")));
    // An encoded letter is the letter.
    assert_eq!(tables.gateway.call(&query("%4Frders").auth(&token).mark("letter")).status, 200);
    assert_eq!(tables.upstream.marked("letter")[0].target, "/api/public/tables/Orders/query");
    // Another case, spaces around, another composition: other names.
    for path in ["orders", "ORDERS", "Orders%20", "%20Orders", "sales+2026", "cafe%CC%81", "CAF%C3%89"] {
        tables.forbidden(&tables.gateway.call(&query(path).auth(&token).mark("others")));
    }
    for path in ["sales%252026", "Orders;x", "Orders%2F", "Orders%00", ".", "caf\u{e9}", "caf%E9", "100%"] {
        let reply = tables.gateway.call(&query(path).auth(&token).mark("others"));
        assert_eq!((reply.status, reply.code().as_str()), (400, "request.invalid"), "{path}");
    }
    assert!(tables.upstream.marked("others").is_empty());
}

#[test]
fn explain_shows_what_is_held_and_what_is_perhaps_meant() {
    let setup = &tables().gateway.setup;
    let explain = |app: &App, method: &str, path: &str| setup.explain(&app.token(), method, path, &[]);
    let (goes_on, text) = explain(&app_with(&["read", "write"]), "PUT", "/api/public/tables/ledger");
    assert!(goes_on && text.contains("held: read write on table \"ledger\""), "{text}");

    let (goes_on, text) = explain(&app_with(&["read", "write"]), "DELETE", "/api/public/tables/ledger");
    assert!(!goes_on && text.contains("table.forbidden"), "{text}");
    assert!(text.contains("Expected: read delete on table \"ledger\". Found: read write."), "{text}");

    let (_, text) = explain(&of_odd_names(), "POST", "/api/public/tables/orders/query");
    assert!(text.contains("holds read on table \"Orders\", not on \"orders\": names are compared exactly."), "{text}");
    let (_, text) = explain(&of_one_view(), "POST", "/api/public/tables/ledger/query");
    assert!(text.contains("holds read on view \"ledger\""), "{text}");
    assert!(text.contains("tables and views are granted apart."), "{text}");
}

#[test]
fn an_app_that_is_given_to_another_account_loses_its_tables() {
    let upstream = Recorder::start();
    let of = |account: &str| App::new("moving", account, &[], &[]);
    let granted = grant(&of(ACCOUNT), "table", "orders", &["read"]);
    let accounts = || Registry::new().account(ACCOUNT, &[]).account(OTHER_ACCOUNT, &[]);
    let before = accounts().app(&of(ACCOUNT)).lines(&granted);
    let gateway = Gateway::start(Setup::kore(&upstream.url(), ""), &before);
    let call = || gateway.call(&query("orders").auth(of(ACCOUNT).token()));
    assert_eq!(call().status, 200);

    let moved = accounts().app(&of(OTHER_ACCOUNT));
    gateway.setup.write("moved.toml", moved.as_str());
    let dry = gateway.setup.run(&["apply", "-f", "moved.toml", "--dry-run"]);
    let (told, _) = crate::e2e::harness::texts(&dry);
    assert!(told.contains("delete grant to app moving on table orders"), "{told}");
    gateway.apply_until(&moved, "the app has moved", || call().status == 401);
    assert_eq!(gateway.reason(&call()), "table.forbidden");
    let back = accounts().app(&of(ACCOUNT));
    gateway.apply_until(&back, "it is back", || gateway.logged(call().request_id())["account"] == ACCOUNT);
    assert_eq!(gateway.reason(&call()), "table.forbidden", "what is gone does not come back with it");

    // What the file says anew is granted anew, also where the app moves in the same file.
    let moved = moved.lines(&granted);
    gateway.apply_until(&moved, "the table is granted again", || call().status == 200);
    assert_eq!(gateway.logged(call().request_id())["account"], OTHER_ACCOUNT);
    assert_eq!(gateway.setup.apply(&moved), "nothing to change\n");
}
