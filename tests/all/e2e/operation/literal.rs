//! What other routers give a meaning is refused where it would be taken literally, with our own syntax.

use crate::e2e::harness::Setup;

/// A configuration with one route, and these keys changed in it.
fn refused(path: &str, more: &str) -> String {
    let route = format!(
        "[[route]]\nid = \"guard\"\nmethods = [\"GET\"]\npath = {path:?}\nauthenticator = \"bearer\"\nscope = \"any\"\n{more}\n"
    );
    Setup::bearer("http://127.0.0.1:9", &route).refused(&["check"])
}

#[test]
fn a_path_in_the_syntax_of_another_router_is_refused_with_ours() {
    for (path, write) in [
        ("/items/:id", "/items/{id}"),
        ("/admin/*", "/admin/{*rest}"),
        ("/admin/**", "/admin/{*rest}"),
        ("/x/<id>", "/x/{id}"),
        ("/x/<path:rest>", "/x/{*rest}"),
        ("/x/{id:[0-9]+}", "/x/{id}"),
        ("/x/[id]", "/x/{id}"),
        ("^/x/[0-9]+$", "/x/{name}"),
        ("/x/.*", "/x/{*rest}"),
        ("/x/$1", "/x/{name}"),
        ("/x/:splat", "/x/{*splat}"),
        ("/%61dmin", "/admin"),
    ] {
        let why = refused(path, "");
        assert!(why.contains("route guard: ") && why.contains(&format!("write {write:?}")), "{path}: {why}");
        assert!(why.contains("scopegate.toml:"), "{path}: {why}");
    }
}

#[test]
fn a_rewrite_in_the_syntax_of_another_router_is_refused_with_ours() {
    for (rewrite, wanted) in [
        ("rewrite = \"/v2/$1\"", "/v2/{name}"),
        ("rewrite = \"/v2/:splat\"", "/v2/{*splat}"),
        ("rewrite = \"/v2/:id\"", "/v2/{id}"),
        ("rewrite = \"/v2/*\"", "/v2/{*rest}"),
        ("rewrite = \"/v2/\\\\1\"", "/v2/{name}"),
        ("rewrite = \"$uri\"", "{name}"),
        ("rewrite = \"http://127.0.0.1:9/v2\"", "\"/v2\""),
        ("rewrite = \"/v2?x=1\"", "\"/v2\""),
        ("strip_prefix = \"/x/*\"", "\"/bots\""),
        ("strip_prefix = \"^/x\"", "\"/bots\""),
        ("strip_prefix = \"/x/:id\"", "\"/bots\""),
    ] {
        let why = refused("/x/{*rest}", rewrite);
        assert!(why.contains("route guard: ") && why.contains(wanted), "{rewrite}: {why}");
    }
}

#[test]
fn methods_and_hosts_that_mean_several_elsewhere_are_refused_with_each_named() {
    for (more, wanted) in [
        ("hosts = [\".example.com\"]", "\"*.example.com\""),
        ("hosts = [\"~^bots\"]", "no regular expressions"),
        ("hosts = [\"{sub}.example.com\"]", "\"*.example.com\""),
        ("hosts = [\"https://bots.example.com\"]", "\"bots.example.com\""),
    ] {
        assert!(refused("/x", more).contains(wanted), "{more}");
    }
    for (methods, wanted) in
        [("\"*\"", "name each: methods = [\"GET\""), ("\"ANY\"", "name each"), ("\"GET|POST\"", "[\"GET\", \"POST\"]")]
    {
        let setup = Setup::bearer("http://127.0.0.1:9", "");
        setup.edit("methods = [\"GET\", \"HEAD\", \"POST\", \"PUT\"]", &format!("methods = [{methods}]"));
        assert!(setup.refused(&["check"]).contains(wanted), "{methods}");
    }
}
