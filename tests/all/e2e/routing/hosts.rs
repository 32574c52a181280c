//! Hosts by name and by pattern.

use serde_json::json;

use super::{get, route, start};
use crate::e2e::harness::Setup;

fn routes() -> String {
    [
        route("exact", "/x", "hosts = [\"a.bots.example.com\"]"),
        route("near", "/x", "hosts = [\"*.bots.example.com\"]"),
        route("far", "/x", "hosts = [\"*.Example.com\", \"example.com\"]"),
        route("any", "/x", "").replace("\"any\"\nmethods", "\"everywhere\"\nmethods"),
        route("only", "/only", "hosts = [\"*.bots.example.com\"]"),
    ]
    .concat()
}

#[test]
fn the_closest_name_of_a_host_decides() {
    let (gateway, _upstream) = start(&routes());
    for (host, route) in [
        ("a.bots.example.com", "exact"),
        ("A.Bots.Example.Com:8080", "exact"),
        ("b.bots.example.com", "near"),
        ("b.a.bots.example.com", "near"),
        ("bots.example.com", "far"),
        ("x.y.example.com.", "far"),
        ("example.com", "far"),
        ("notexample.com", "everywhere"),
        ("other.test", "everywhere"),
        ("127.0.0.1", "everywhere"),
    ] {
        let reply = gateway.call(&get("/x").host(host));
        assert_eq!((reply.status, &gateway.logged(reply.request_id())["route"]), (200, &json!(route)), "{host}");
    }
}

#[test]
fn a_path_of_other_hosts_is_told_with_their_pattern() {
    let (gateway, upstream) = start(&routes());
    let reply = gateway.call(&get("/only").host("example.com"));
    let detail = reply.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert_eq!((reply.status, detail.as_str()), (404, "This path is served at *.bots.example.com."));
    let stranger = gateway.call(&get("/only").host("other.test"));
    assert_eq!((stranger.status, stranger.json().get("detail")), (404, None));
    assert_eq!(gateway.call(&get("/only").host("c.bots.example.com")).status, 200);
    assert_eq!(upstream.all().len(), 1);
}

#[test]
fn two_routes_of_one_pattern_are_an_error_and_of_two_are_none() {
    let setup = Setup::bearer("http://127.0.0.1:9", &routes());
    let table = setup.succeed(&["check"]);
    assert!(table.contains(" *.example.com,example.com/x ") && table.contains(" *.bots.example.com/only "), "{table}");
    let again = route("again", "/x", "hosts = [\"*.EXAMPLE.com\"]");
    let setup = Setup::bearer("http://127.0.0.1:9", &format!("{}{again}", routes()));
    let why = setup.refused(&["check"]);
    assert!(why.contains("route again: GET /x is another route already: far in scopegate.toml:"), "{why}");
}

#[test]
fn a_pattern_that_no_host_can_match_is_refused_with_its_line() {
    for (host, wanted) in [
        ("*.example.com:443", "write \"*.example.com\""),
        ("*", "leave the hosts out"),
        ("a.*.example.com", "\"*.example.com\" for all hosts below one"),
        ("*a.example.com", "\"*.a.example.com\" for all hosts below it"),
        ("*.[::1]", "nothing is below an address"),
    ] {
        let setup = Setup::bearer("http://127.0.0.1:9", &route("x", "/x", &format!("hosts = [{host:?}]")));
        let why = setup.refused(&["check"]);
        let line = 1 + setup.read("scopegate.toml").lines().position(|line| line.contains("hosts = ")).unwrap();
        assert!(why.contains(wanted) && why.contains(&format!("scopegate.toml:{line}: ")), "{host}: {why}");
    }
}

#[test]
fn the_catalogue_shows_hosts_below_a_name_as_a_variable() {
    let setup = Setup::bearer("http://127.0.0.1:9", &routes());
    let document = setup.json(&["catalog", "export", "--format", "openapi"]);
    let servers = &document["paths"]["/only"]["get"]["servers"];
    assert!(servers[0]["url"].as_str().unwrap().ends_with("://{name}.bots.example.com"), "{servers}");
    assert_eq!(servers[0]["variables"]["name"]["default"], "www");
}
