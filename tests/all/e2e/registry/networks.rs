//! Where an app's calls may come from: by command, by file, and on every call.

use serde_json::json;

use super::{ANY, any, create, offline, setup, start, text};
use crate::e2e::harness::{Call, Gateway, Recorder, Token, eventually, texts};

#[test]
fn calls_of_an_app_are_taken_from_its_networks_alone_from_the_next_call_on() {
    let (gateway, upstream) = start();
    let setup = &gateway.setup;
    let app = create(setup, &["--name", "ci", "--account", "acme", "--network", "127.0.0.0/8", "--network", "::1"]);
    let (id, secret) = (text(&app["client_id"]), text(&app["client_secret"]));
    assert_eq!(app["networks"], json!(["127.0.0.0/8", "::1"]));
    // The same token throughout: what is remembered of it does not say whence it comes.
    let call = any(&Token::of(&id).sign(&secret));
    eventually("the app is there", || (gateway.call(&call).status == 200).then_some(()));
    assert_eq!(gateway.call(&call).status, 200);

    setup.succeed(&["app", "set", &id, "--network", "10.0.0.0/8", "--network", "2001:db8::/32"]);
    let refused = eventually("it may call from elsewhere alone", || {
        let reply = gateway.call(&call);
        (reply.status != 200).then_some(reply)
    });
    let line = gateway.logged(refused.request_id());
    assert_eq!(line["reason"], "app.wrong_network");
    assert_eq!((&line["expected"], &line["found"]), (&json!("10.0.0.0/8, 2001:db8::/32"), &json!("127.0.0.1")));
    assert_eq!((&line["verified"], &line["app"]), (&json!(true), &json!(id)));
    let before = upstream.all().len();
    assert_eq!(gateway.reason(&gateway.call(&call)), "app.wrong_network");
    assert_eq!(upstream.all().len(), before);
    // The story of that call, from its line.
    setup.write("access.log", &format!("{line}\n"));
    let story = setup.succeed(&["why", refused.request_id(), "--log", "access.log"]);
    assert!(story.contains("Refused: app.wrong_network.") && story.contains("It is still so: 127.0.0.1."), "{story}");
    setup.succeed(&["app", "set", &id, "--network", "127.0.0.1"]);
    let story = setup.succeed(&["why", refused.request_id(), "--log", "access.log"]);
    assert!(story.contains("such a call would be let through"), "{story}");

    setup.succeed(&["app", "set", &id, "--network", "any"]);
    eventually("it may call from anywhere", || (gateway.call(&call).status == 200).then_some(()));
}

#[test]
fn behind_a_trusted_proxy_it_is_the_clients_address_that_is_judged_and_nobody_else_can_claim_one() {
    let upstream = Recorder::start();
    for (trusted, claimed, wanted) in [
        ("[\"127.0.0.0/8\"]", Some("10.1.2.3"), None),
        ("[\"127.0.0.0/8\"]", Some("192.0.2.1"), Some("192.0.2.1")),
        ("[\"127.0.0.0/8\"]", Some("10.1.2.3, 192.0.2.1"), Some("192.0.2.1")),
        ("[\"127.0.0.0/8\"]", None, Some("127.0.0.1")),
        ("[]", Some("10.1.2.3"), Some("127.0.0.1")),
    ] {
        let setup = setup(&upstream.url(), "");
        let app = create(&setup, &["--name", "ci", "--account", "acme", "--network", "10.0.0.0/8"]);
        let token = Token::of(&text(&app["client_id"])).sign(text(&app["client_secret"]));
        let gateway = Gateway::serve(setup, &[("SCOPEGATE__PROXY__TRUSTED_PROXIES", trusted)]);
        let call = claimed.iter().fold(any(&token), |call: Call, claimed| call.header("X-Forwarded-For", *claimed));
        let reply = gateway.call(&call);
        let line = gateway.logged(reply.request_id());
        let found = wanted.map_or(json!(null), |found| json!(found));
        assert_eq!((reply.status == 200, &line["found"]), (wanted.is_none(), &found), "{trusted} {claimed:?}: {line}");
    }
}

#[test]
fn a_caller_by_a_unix_socket_has_an_address_where_a_trusted_proxy_tells_one_alone() {
    let upstream = Recorder::start();
    for (trusted, claimed, found) in [
        ("[\"unix\"]", Some("10.1.2.3"), None),
        ("[\"unix\"]", Some("192.0.2.1"), Some("192.0.2.1")),
        ("[\"unix\"]", None, Some("a caller without an address")),
        ("[]", Some("10.1.2.3"), Some("a caller without an address")),
    ] {
        let setup = setup(&upstream.url(), "");
        let app = create(&setup, &["--name", "ci", "--account", "acme", "--network", "10.0.0.0/8"]);
        let token = Token::of(&text(&app["client_id"])).sign(text(&app["client_secret"]));
        let listen = "[\"127.0.0.1:0\", \"unix:proxy.sock\"]";
        let environment = [("SCOPEGATE__PROXY__LISTEN", listen), ("SCOPEGATE__PROXY__TRUSTED_PROXIES", trusted)];
        let gateway = Gateway::serve(setup, &environment);
        let mut arguments = vec!["-s".into(), "--unix-socket".into(), "proxy.sock".into()];
        arguments.extend(["-H".into(), format!("auth: {token}"), "-d".into(), "file".into()]);
        arguments.extend(claimed.iter().flat_map(|claimed| ["-H".into(), format!("X-Forwarded-For: {claimed}")]));
        let url = format!("http://gateway.test{ANY}");
        let done =
            std::process::Command::new("curl").args(&arguments).arg(url).current_dir(gateway.setup.path()).output();
        assert!(done.unwrap().status.success());
        let line = eventually("the call is in the log", || gateway.log().pop());
        assert_eq!((&line["peer"], line["found"].as_str()), (&json!("unix"), found), "{trusted} {claimed:?}: {line}");
        assert_eq!(line["status"], if found.is_none() { 200 } else { 401 });
    }
}

#[test]
fn a_story_judges_the_address_that_it_is_told() {
    let setup = offline();
    let app = create(&setup, &["--name", "ci", "--account", "acme", "--network", "10.0.0.0/8"]);
    let token = Token::of(&text(&app["client_id"])).sign(text(&app["client_secret"]));
    let explain = |more: &[&str]| setup.explain(&token, "POST", ANY, more);
    let (goes_on, story) = explain(&[]);
    assert!(goes_on && story.contains("-       network"), "{story}");
    assert!(story.contains("calls are taken from 10.0.0.0/8; no address was given to judge"), "{story}");
    let (goes_on, story) = explain(&["--from", "10.1.2.3"]);
    assert!(goes_on && story.contains("ok      network"), "{story}");
    assert!(explain(&["--from", "::ffff:10.1.2.3"]).0, "a mapped address is the one that it maps");
    let (goes_on, story) = explain(&["--from", "192.0.2.1"]);
    assert!(!goes_on && story.contains("refused: app.wrong_network"), "{story}");
    assert!(story.contains("Expected: 10.0.0.0/8. Found: 192.0.2.1."), "{story}");
    let output = setup.run(&["jwt", "explain", &token, "--path", ANY, "--method", "POST", "--json"]);
    let story: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let check = story["checks"].as_array().unwrap().iter().find(|check| check["name"] == "network").unwrap();
    assert_eq!(check["outcome"], "not_judged");
}

#[test]
fn a_file_sets_the_networks_and_an_export_gives_them_back() {
    let setup = offline();
    let app = "version = 1\n[[app]]\nclient_id = \"x\"\nname = \"x\"\naccount = \"acme\"\nlevel = \"account\"\nalgorithms = [\"HS256\"]\n";
    let apply = |networks: &str, more: &[&str]| {
        setup.write("app.toml", &format!("{app}{networks}"));
        setup.run(&[&["apply", "-f", "app.toml"][..], more].concat())
    };
    assert!(apply("networks = [\"::ffff:10.0.0.0/104\", \"192.0.2.7/32\"]", &[]).status.success());
    assert_eq!(setup.json(&["app", "show", "x", "--json"])["networks"], json!(["10.0.0.0/8", "192.0.2.7"]));
    assert!(setup.succeed(&["app", "show", "x"]).contains("networks       10.0.0.0/8, 192.0.2.7"));
    assert!(setup.succeed(&["app", "list"]).contains("from some networks"));
    // However they are written, the same networks are no change; others are.
    assert_eq!(apply("networks = [\"192.0.2.7\", \"10.0.0.0/8\"]", &["--dry-run"]).status.code(), Some(0));
    assert_eq!(apply("networks = [\"192.0.2.7\"]", &["--dry-run"]).status.code(), Some(2));
    setup.write("export.toml", &setup.succeed(&["export"]));
    assert!(setup.read("export.toml").contains("networks = [\"10.0.0.0/8\", \"192.0.2.7\"]"));
    assert_eq!(setup.succeed(&["apply", "-f", "export.toml", "--prune"]), "nothing to change\n");
    assert!(apply("", &[]).status.success());
    assert_eq!(setup.json(&["app", "list", "--json"])[0]["networks"], json!([]));

    for (bad, why) in [
        ("networks = [\"10.1.2.3/8\"]", "write 10.0.0.0/8 for the network"),
        ("networks = [\"office\"]", "\"office\" is no network"),
        ("networks = [\"10.0.0.0/40\"]", "is no network"),
    ] {
        let (_, err) = texts(&apply(bad, &[]));
        assert!(err.contains("app.toml:") && err.contains(why), "{bad}: {err}");
    }
    let audit = setup.succeed(&["audit", "--json"]);
    assert!(audit.contains("10.0.0.0/8"), "{audit}");
}
