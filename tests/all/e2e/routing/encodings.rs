//! Percent-encodings in paths: those that mean nothing are undone, those that upstreams read in two ways need a route's word.

use super::{app, get, route, start};
use crate::e2e::harness::{Registry, Setup};

#[track_caller]
fn refused(routes: &str, paths: &[&str], found: &str) {
    let (gateway, upstream) = start(routes);
    for path in paths {
        let reply = gateway.call(&get(path));
        assert_eq!((reply.status, reply.code().as_str()), (400, "request.invalid"), "{path}");
        let logged = gateway.logged(reply.request_id());
        assert!(logged["found"].as_str().unwrap().starts_with(found), "{path}: {logged}");
        assert_eq!(logged["path"], *path, "the log has what came");
    }
    assert!(upstream.all().is_empty());
}

#[track_caller]
fn passed(routes: &str, paths: &[(&str, &str)]) {
    let (gateway, upstream) = start(routes);
    for (path, sent) in paths {
        assert_eq!(gateway.call(&get(path).mark(path)).status, 200, "{path}");
        assert_eq!(upstream.marked(path)[0].target, *sent, "{path}");
    }
}

#[test]
fn encoded_unreserved_characters_are_judged_and_sent_as_what_they_are() {
    let routes =
        [route("users", "/users/{name}", ""), route("moved", "/moved/{*rest}", "strip_prefix = \"/moved\"")].concat();
    passed(
        &routes,
        &[
            ("/users/%7Eann", "/users/~ann"),
            ("/%75sers/%2D%5f%2E%41?x=%7E", "/users/-_.A?x=%7E"),
            ("/users/caf%c3%a9%20%41", "/users/caf%c3%a9%20A"),
            ("/%6Doved/%7Eann", "/~ann"),
            ("http://gateway.test/users/%7Eann", "/users/~ann"),
        ],
    );
    refused("", &["/any/%2e%2E/x", "/any/%2e", "/any/.%2e"], "a dot segment");
}

#[test]
fn what_upstreams_that_decode_twice_would_change_is_refused_at_every_place_unless_the_route_keeps_it() {
    let paths = ["/any/%252e%252e/x", "/any/a%252Fb", "/any/%25%32%65", "/any/%2541", "/any/%25252f", "/any/%25u002e"];
    refused("", &paths, "a percent-encoding of a percent-encoding");
    let one = route("one", "/one/{name}/x", "");
    refused(&one, &["/one/%252e%252e/x", "/one/%255c/x"], "a percent-encoding of a percent-encoding");
    passed("", &[("/any/100%25", "/any/100%25"), ("/any/5%25x", "/any/5%25x")]);
    let kept = route("one", "/one/{name}/x", "double_encoding = \"keep\"");
    passed(&kept, &[("/one/%252e%252e/x", "/one/%252e%252e/x"), ("/one/a%2541/x", "/one/a%2541/x")]);
}

#[test]
fn encoded_slashes_pass_where_the_route_keeps_them() {
    let kept = [
        route("files", "/files/{*path}", "encoded_slashes = \"keep\""),
        route("ref", "/git/{ref}", "encoded_slashes = \"keep\""),
    ]
    .concat();
    passed(
        &kept,
        &[
            ("/files/docs%2Fx.md", "/files/docs%2Fx.md"),
            ("/files/a/b%2fc/", "/files/a/b%2fc/"),
            ("/git/heads%2Fmain?x=%2F", "/git/heads%2Fmain?x=%2F"),
        ],
    );
    refused(&kept, &["/any/a%2Fb"], "an encoded slash");
    refused(&kept, &["/nowhere%2Fx"], "an encoded slash");
    refused(&kept, &["/files/%2e%2e%2Fx", "/files/a%2F..", "/files/a%2F.%2Fb"], "a dot segment");
    refused(&kept, &["/files/%2Fetc", "/files/a%2F%2Fb", "/files/a%2F/b"], "an empty segment");
    refused(&kept, &["/files/a%5Cb"], "an encoded backslash");
    refused(&kept, &["/files/a%252Fb"], "a percent-encoding of a percent-encoding");
}

#[test]
fn no_encoded_slash_leads_past_another_route_or_another_parameter() {
    let guarded = [
        route("files", "/files/{*path}", "encoded_slashes = \"keep\""),
        route("secret", "/files/secret/{*path}", "client_certificate = false"),
    ]
    .concat();
    passed(&guarded, &[("/files/open%2Fx", "/files/open%2Fx")]);
    let elsewhere = "an encoded slash in the path, which with a plain slash leads to another route";
    refused(&guarded, &["/files/secret%2Fx", "/files/secret%2F"], elsewhere);
    let of_app = route("own", "/of/{x}/{app}/{*rest}", "app_param = \"app\"\nencoded_slashes = \"keep\"");
    let before = "an encoded slash in the path, in or before a parameter that decides";
    refused(&of_app, &["/of/a%2Fb/caller/c", "/of/a/caller%2Fb/c"], before);
}

#[test]
fn explain_and_check_know_the_keys() {
    let kept = route("files", "/files/{*path}", "encoded_slashes = \"keep\"");
    let setup = Setup::bearer("http://127.0.0.1:9", &kept);
    setup.apply(&Registry::new().app(&app()));
    let (allowed, story) = setup.explain(&app().token(), "GET", "/files/a%2F%7Eb", &[]);
    assert!(allowed && story.contains("files (/files/{*path}), sent as /files/a%2F~b"), "{story}");
    let (allowed, story) = setup.explain(&app().token(), "GET", "/any/a%2Fb", &[]);
    assert!(!allowed && story.contains("an encoded slash in the path"), "{story}");
    for (lines, wanted) in [
        ("encoded_slashes = \"yes\"", "encoded_slashes"),
        ("encoded_slashes = \"keep\"\nadvice = \"/right\"", "only an upstream gets a path"),
        ("grpc = true", "a gRPC call is a POST"),
    ] {
        let why = Setup::bearer("http://127.0.0.1:9", &route("x", "/x", lines)).refused(&["check"]);
        assert!(why.contains(wanted), "{lines}: {why}");
    }
}
