//! Paths that upstreams get in another form than the one that was judged.

use serde_json::json;

use super::{app, get, route, start};
use crate::e2e::harness::{Registry, Setup};

fn routes() -> String {
    let paths = "[\"/bots\", \"/bots/{*rest}\"]";
    [
        route("strip", "PATHS", "strip_prefix = \"/bots\"").replace("\"PATHS\"", paths),
        route("rewrite", "/v1/{botId}/do/{*rest}", "rewrite = \"/v2/{*rest}\""),
        route("swap", "/swap/{one}/{two}", "rewrite = \"/{two}/of/{one}\""),
    ]
    .concat()
}

#[test]
fn a_prefix_is_left_out_and_told() {
    let (gateway, upstream) = start(&routes());
    for (n, (path, sent)) in [
        ("/bots", "/"),
        ("/bots?x=%2e%2e", "/?x=%2e%2e"),
        ("/bots/", "/"),
        ("/bots/bots/caf%C3%A9/%20?a=1&b", "/bots/caf%C3%A9/%20?a=1&b"),
        ("http://gateway.test/bots/x", "/x"),
    ]
    .into_iter()
    .enumerate()
    {
        let mark = n.to_string();
        let call = get(path).header("X-Forwarded-Prefix", "/forged").mark(&mark);
        assert_eq!(gateway.call(&call).status, 200, "{path}");
        let seen = &upstream.marked(&mark)[0];
        assert_eq!((seen.target.as_str(), seen.header("x-forwarded-prefix")), (sent, Some("/bots")), "{path}");
    }
    assert_eq!(gateway.call(&get("/botsx")).status, 404, "whole segments");
    assert_eq!(gateway.call(&get("/bots/../any/x")).status, 400);
}

#[test]
fn a_template_is_filled_with_what_came() {
    let (gateway, upstream) = start(&routes());
    for (n, (path, sent)) in [
        ("/v1/st-1/do/a/b%20c?q=/..", "/v2/a/b%20c?q=/.."),
        ("/v1/st-1/do/", "/v2/"),
        ("/swap/a%3Fb/%41%2d%25", "/A-%25/of/a%3Fb"),
        ("/any/as/it%21is/", "/any/as/it%21is/"),
    ]
    .into_iter()
    .enumerate()
    {
        let mark = n.to_string();
        let reply = gateway.call(&get(path).header("X-Forwarded-Prefix", "/forged").mark(&mark));
        assert_eq!(reply.status, 200, "{path}");
        let seen = &upstream.marked(&mark)[0];
        assert_eq!((seen.target.as_str(), seen.header("x-forwarded-prefix")), (sent, None), "{path}");
        let logged = gateway.logged(reply.request_id());
        assert_eq!(logged["path"], path.split('?').next().unwrap(), "the log has what came");
    }
    for climbing in [
        "/swap/../x",
        "/swap/%2e%2e/x",
        "/swap/a%2Fb/x",
        "/swap/a/%252e%252e",
        "/v1/st-1/do/../../../x",
        "/v1/st-1/do//x",
    ] {
        assert_eq!(gateway.call(&get(climbing)).status, 400, "{climbing}");
    }
    assert_eq!(upstream.all().len(), 4);
}

#[test]
fn check_explain_and_the_catalogue_know_both_paths() {
    let setup = Setup::bearer("http://127.0.0.1:9", &routes());
    let table = setup.succeed(&["check"]);
    for wanted in ["bots (without /bots) ", "bots /v2/{*rest} ", "bots /{two}/of/{one} "] {
        assert!(table.contains(wanted), "{wanted}: {table}");
    }
    setup.apply(&Registry::new().app(&app()));
    let (_, story) = setup.explain(&app().token(), "GET", "/swap/a%20b/c", &[]);
    assert!(story.contains("swap (/swap/{one}/{two}), sent as /c/of/a%20b"), "{story}");
    let paths = &setup.json(&["catalog", "export", "--format", "openapi"])["paths"];
    assert!(paths.get("/bots/{rest}").is_some() && paths.get("/swap/{one}/{two}").is_some(), "{paths}");
    assert_eq!(paths.get("/{two}/of/{one}"), None, "{:?}", json!(paths));
}

#[test]
fn what_can_not_be_made_of_every_path_is_refused_with_its_line() {
    for (path, lines, wanted) in [
        ("/bots/{id}", "strip_prefix = \"/bot\"", "strip_prefix: /bots/{id} does not begin with /bot"),
        ("/bots/{id}", "strip_prefix = \"/bots/\"", "strip_prefix: \"/bots/\": write whole segments"),
        ("/bots/{id}", "strip_prefix = \"/bots/{id}\"", "strip_prefix: \"/bots/{id}\": write whole segments"),
        ("/bots/{id}", "rewrite = \"/v2/{bot}\"", "rewrite: /bots/{id} has no parameter {bot}"),
        ("/bots/{id}", "rewrite = \"/v2/{*id}\"", "rewrite: in /bots/{id} id is one segment"),
        ("/bots/{*rest}", "rewrite = \"/v2/{rest}\"", "rewrite: in /bots/{*rest} rest is the rest"),
        ("/bots/{id}", "rewrite = \"/../{id}\"", "rewrite: \"/../{id}\": no request can have this path"),
        ("/bots/{id}", "rewrite = \"/{id}\"\nstrip_prefix = \"/bots\"", "rewrite or strip_prefix, not both"),
        ("/bots/{id}", "rewrite = \"/{id}\"\nadvice = \"/right\"", "only an upstream gets another path"),
    ] {
        let setup = Setup::bearer("http://127.0.0.1:9", &route("x", path, lines));
        let why = setup.refused(&["check"]);
        let key = lines.split(' ').next().unwrap();
        let line = 1 + setup.read("scopegate.toml").lines().position(|line| line.starts_with(key)).unwrap();
        assert!(why.contains(wanted) && why.contains(&format!("scopegate.toml:{line}: ")), "{lines}: {why}");
    }
}
