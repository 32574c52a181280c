//! Reading the configuration again while calls are taken.

use super::{ci, registry, start};
use crate::e2e::harness::{Call, Gateway, Setup, eventually, texts};

const ROUTE: &str = r#"
[[route]]
id = "added"
methods = ["GET"]
path = "/added"
authenticator = "kore"
scope = "any"
"#;

fn added(gateway: &Gateway) -> u16 {
    gateway.call(&Call::get("/added").auth(ci().token())).status
}

fn append(setup: &Setup, text: &str) {
    setup.write("scopegate.toml", &format!("{}{text}", setup.read("scopegate.toml")));
}

#[test]
fn a_new_route_is_there_after_sighup() {
    let (mut gateway, _upstream) = start(&registry(&[ci()]));
    assert_eq!(added(&gateway), 404);
    append(&gateway.setup, ROUTE);
    gateway.signal("HUP");
    eventually("the new route is there", || (added(&gateway) == 200).then_some(()));
    gateway.await_event("configuration reloaded");
}

#[test]
fn a_new_route_is_there_after_the_command_reload() {
    let (gateway, _upstream) = start(&registry(&[ci()]));
    append(&gateway.setup, ROUTE);
    let told = gateway.setup.succeed(&["reload"]);
    assert!(told.contains(&format!(":{}: ", gateway.id())) && told.contains("routes in force"), "{told}");
    assert_eq!(added(&gateway), 200, "it is there when the command returns");
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_with_its_line() {
    let (mut gateway, _upstream) = start(&registry(&[ci()]));
    let good = gateway.setup.read("scopegate.toml");
    append(&gateway.setup, &format!("{ROUTE}scop = \"any\"\n"));
    let line = gateway.setup.read("scopegate.toml").lines().count();

    let refused = gateway.setup.run(&["reload"]);
    let (out, err) = texts(&refused);
    assert_eq!((refused.status.code(), out.as_str()), (Some(1), ""));
    assert!(err.contains(&format!("scopegate.toml:{line}: ")) && err.contains("did you mean \"scope\"?"), "{err}");

    gateway.signal("HUP");
    let event = gateway.await_event("configuration not reloaded; the old one stays in force");
    assert!(event.contains(&format!("scopegate.toml:{line}: ")), "{event}");
    assert_eq!(added(&gateway), 404);
    let call = super::call(&ci());
    assert_eq!(gateway.call(&call).status, 200);

    // The next good file is taken.
    gateway.setup.write("scopegate.toml", &format!("{good}{ROUTE}"));
    gateway.setup.succeed(&["reload"]);
    assert_eq!(added(&gateway), 200);
}

#[test]
fn a_file_that_is_bad_for_the_gateway_alone_is_told_by_the_command() {
    // The environment of the command differs from that of the gateway: each reads the file with its own.
    let (gateway, _upstream) = start(&registry(&[ci()]));
    gateway.setup.edit("[profile.kore]\n", "[profile.kore]\nupstream = \"nowhere\"\n");
    let environment = [("SCOPEGATE__PROFILE__KORE__UPSTREAM", "bots")];
    let refused = gateway.setup.run_with(&["reload"], &environment);
    let (out, err) = texts(&refused);
    assert_eq!((refused.status.code(), err.as_str()), (Some(1), ""), "{out}");
    assert!(out.contains("not reloaded: ") && out.contains("nowhere"), "{out}");
    assert_eq!(gateway.call(&super::call(&ci())).status, 200);
}

#[test]
fn keys_that_wait_for_a_restart_are_listed_until_they_are_as_they_were() {
    let (gateway, _upstream) = start(&registry(&[ci()]));
    let setup = &gateway.setup;
    setup.edit("workers = 1", "workers = 2\nlimits = { body_bytes = 3 }");
    setup.edit("listen = \"127.0.0.1:0\"\n[store]", "listen = \"127.0.0.1:1\"\n[store]");
    for _ in 0..2 {
        let told = setup.succeed(&["reload"]);
        assert!(told.contains("waiting for a restart: proxy.workers, telemetry"), "{told}");
    }
    // What can change at once has changed.
    let upload = Call::post("/api/public/uploadfile", "long").auth(ci().token());
    assert_eq!(gateway.call(&upload).status, 413);
    setup.edit("workers = 2\nlimits = { body_bytes = 3 }", "workers = 1");
    setup.edit("listen = \"127.0.0.1:1\"\n[store]", "listen = \"127.0.0.1:0\"\n[store]");
    let told = setup.succeed(&["reload"]);
    assert!(!told.contains("waiting for a restart"), "{told}");
    assert_eq!(gateway.call(&upload).status, 200);
}

#[test]
fn a_reload_that_nobody_hears_fails() {
    let setup = Setup::kore("http://127.0.0.1:9", "");
    let unmade = setup.run(&["reload", "--wait", "300ms"]);
    assert!(texts(&unmade).1.contains("there is no store"), "{}", texts(&unmade).1);
    setup.write("registry.toml", "version = 1\n");
    setup.succeed(&["apply", "-f", "registry.toml"]);
    let unheard = setup.run(&["reload", "--wait", "300ms"]);
    assert_eq!(unheard.status.code(), Some(1));
    assert!(texts(&unheard).1.contains("is one running on this store?"), "{}", texts(&unheard).1);
}
