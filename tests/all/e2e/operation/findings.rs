//! `check` does not call good what can't work or is hardly meant, and tells one mistake once.

use crate::e2e::harness::{Setup, texts};

const ROUTE: &str = "[authenticator.a]\nkind = \"anonymous\"\n[[route]]\nid = \"a\"\nmethods = [\"GET\"]\npath = \"/a\"\nauthenticator = \"a\"\n\
                     [upstream.bots]\nurls = [\"http://127.0.0.1:9\"]\n";

fn errors(text: &str) -> String {
    Setup::whole(text).refused(&["check"])
}

/// What `check` warns of in a configuration that it takes.
fn warnings(setup: &Setup, environment: &[(&str, &str)]) -> String {
    let output = setup.run_with(&["check"], environment);
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{err}");
    assert_eq!(out.contains(" is good: "), err.is_empty(), "{out}{err}");
    err
}

#[test]
fn a_configuration_without_routes_is_warned_of() {
    let setup = Setup::whole("[proxy]\nlisten = \"127.0.0.1:0\"\n");
    let told = warnings(&setup, &[]);
    assert!(
        told.contains("warning: scopegate.toml: there are no routes: every request is answered with 404"),
        "{told}"
    );
    assert!(texts(&setup.run(&["check"])).0.contains("is good, with 1 warning: 0 routes"));
}

#[test]
fn a_store_that_this_version_has_not_is_an_error_that_shows_no_password() {
    for (url, wanted) in [
        ("postgres://a:hunter2@db/x", "no store at postgres://"),
        ("postgresql://a:hunter2@db/x", "no store at postgresql://"),
        ("data/scopegate.db", "no scheme"),
        ("sqlite://", "is no file"),
        ("sqlite://:memory:", "is no file"),
        ("sqlite://a.db?mode=ro", "is no file"),
        ("sqlite://.", "is a folder"),
    ] {
        let why = errors(&format!("{ROUTE}[store]\nurl = \"{url}\"\n"));
        assert!(why.contains("scopegate.toml:11: store.url: ") && why.contains(wanted), "{url}: {why}");
        assert!(why.contains("sqlite://data/scopegate.db") && !why.contains("hunter2"), "{url}: {why}");
    }
}

#[test]
fn one_address_for_two_listeners_is_an_error() {
    for (proxy, telemetry) in [
        ("\"127.0.0.1:8085\"", "127.0.0.1:8085"),
        ("\"0.0.0.0:8085\"", "127.0.0.1:8085"),
        ("\"127.0.0.1:8085\"", "0.0.0.0:8085"),
        ("[\"127.0.0.1:8084\", \"127.0.0.1:8085\"]", "127.0.0.1:8085"),
    ] {
        let why = errors(&format!("{ROUTE}[proxy]\nlisten = {proxy}\n[telemetry]\nlisten = \"{telemetry}\"\n"));
        assert!(why.contains("scopegate.toml:13: telemetry.listen: "), "{proxy} {telemetry}: {why}");
    }
    // The default of one and the setting of the other.
    let why = errors(&format!("{ROUTE}[proxy]\nlisten = \"127.0.0.1:8082\"\n"));
    assert!(why.contains("scopegate.toml:11: telemetry.listen: 127.0.0.1:8082 is the proxy's address"), "{why}");
    let why = errors(&format!("{ROUTE}[proxy]\nlisten = [\"0.0.0.0:8085\", \"127.0.0.1:8085\"]\n"));
    assert!(why.contains("proxy.listen: 127.0.0.1:8085 is a part of 0.0.0.0:8085"), "{why}");
}

#[test]
fn one_file_for_two_purposes_is_an_error() {
    for (sections, wanted) in [
        (
            "[store]\nurl = \"sqlite://a.db\"\nkey_file = \"./a.db\"",
            "store.key_file: ./a.db is the file of store.url already",
        ),
        ("[store]\nurl = \"sqlite://a.db\"\n[telemetry]\naccess_log = \"a.db\"", "telemetry.access_log: a.db"),
        ("[replay]\nurl = \"sqlite://r.db\"\n[telemetry]\naccess_log = \"r.db\"", "telemetry.access_log: r.db"),
        ("[telemetry]\naccess_log = \"scopegate.toml\"", "scopegate.toml is read as a part of the configuration"),
        ("[proxy]\nlisten = \"unix:/tmp/s\"\ntakeover = \"/tmp/s\"", "/tmp/s is the file of proxy.takeover already"),
    ] {
        let why = errors(&format!("{ROUTE}{sections}\n"));
        assert!(why.contains(wanted), "{sections}: {why}");
    }
}

/// The lines that are errors, and not help.
fn count(why: &str) -> usize {
    why.lines().filter(|line| line.contains(".toml:") || line.starts_with("profile ")).count()
}

#[test]
fn one_mistake_is_one_error_and_not_one_for_each_route() {
    let kore =
        |profile: &str, sections: &str| format!("profiles = [\"kore\", \"icr\", \"oauth\"]\n{profile}\n{sections}\n");
    let oauth = "[oauth]\nissuer = \"https://id.example.com\"\n";
    let upstream = "[upstream.bots]\nurls = [\"http://127.0.0.1:9\"]\n";
    for (text, wanted) in [
        (kore(oauth, "[upstream.bots]\nurls = [\"htp://x\"]"), "upstream.bots.urls"),
        (kore(oauth, "[upstream.bots]\nurls = []"), "upstream.bots.urls"),
        (kore(oauth, &format!("{upstream}[profile.kore]\nupstream = \"bot\"")), "did you mean \"bots\"?"),
        (kore(oauth, &format!("{upstream}[profile.kore]\nhosts = [\"*\"]")), "profile.kore.hosts: \"*\" is any host"),
        (
            kore(oauth, &format!("{upstream}[profile.kore]\nhosts = {{ kor = [\"a.example\"] }}")),
            "did you mean \"kore\"?",
        ),
        (kore(oauth, &format!("{upstream}[authenticator.kore]\nleeway = \"1h\"")), "authenticator.kore.leeway"),
        (kore(oauth, &format!("{upstream}[quota.runtime]\nwindows = []")), "quota.runtime.windows"),
        (kore("[oauth]\nissuer = \"nowhere\"\n", upstream), "oauth.issuer"),
        (kore("", upstream), "oauth.issuer is missing"),
    ] {
        let why = errors(&text);
        assert!(why.contains(wanted), "{text}: {why}");
        assert_eq!(count(&why), 1, "{text}: {why}");
    }
    // No upstream at all: one error for all routes that need one.
    let why = errors("profiles = [\"kore\", \"icr\"]\n");
    assert!(why.contains("more routes): there is no upstream") && why.contains("[upstream.bots] with urls"), "{why}");
    assert_eq!(count(&why), 1, "{why}");
    // A part that can't be read explains what is missing.
    let setup =
        Setup::whole(&format!("include = [\"part.toml\"]\n{}", ROUTE.replace("[upstream.bots]", "[upstream.other]")));
    setup.write("part.toml", "[upstream.bots\n");
    setup.edit("id = \"a\"", "id = \"a\"\nupstream = \"bots\"");
    let why = setup.refused(&["check"]);
    assert_eq!(count(&why), 1, "{why}");
}

#[test]
fn what_is_hardly_meant_is_warned_of() {
    let setup = Setup::whole(&format!(
        "{ROUTE}[upstream.spare]\nurls = [\"http://127.0.0.1:9\"]\n[proxy]\nlisten = \"0.0.0.0:9\"\n\
         [[route]]\nid = \"slip\"\nmethods = [\"GTE\"]\npath = \"/x/$id\"\nauthenticator = \"a\"\nupstream = \"bots\"\n"
    ));
    setup.edit("authenticator = \"a\"\n[upstream.bots]", "authenticator = \"a\"\nupstream = \"bots\"\n[upstream.bots]");
    let told = warnings(&setup, &[]);
    for wanted in [
        "upstream.spare: no route leads there",
        "upstream.bots.urls: 127.0.0.1:9 is this gateway's own address, proxy.listen",
        "route slip: GTE is a method of its own here\n  did you mean GET?",
        "route slip: \"$id\" is taken literally\n  a parameter would be {id}",
    ] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    // The log has the same, at the start.
    let setup =
        Setup::whole(&format!("{ROUTE}[proxy]\nlisten = \"127.0.0.1:0\"\n[telemetry]\nlisten = \"127.0.0.1:0\"\n"));
    setup.edit("GET", "GTE");
    crate::e2e::harness::Gateway::serve(setup, &[]).await_event("GTE is a method of its own here");
}

#[test]
fn a_variable_that_nearly_sets_something_is_reported() {
    let setup = Setup::whole(ROUTE);
    assert_eq!(warnings(&setup, &[("SCOPEGATE_PROXY_SERVICE_HOST", "10.0.0.1"), ("SCOPEGATE_SECRET", "x")]), "");
    for name in
        ["SCOPEGATE_PROXY__LISTEN", "SCOPEGATE_PROXY_LISTEN", "scopegate_proxy_listen", "SCOPE_GATE__PROXY__LISTEN"]
    {
        let told = warnings(&setup, &[(name, "127.0.0.1:1")]);
        let wanted = format!("environment variable {name}: it sets nothing");
        assert!(told.contains(&wanted) && told.contains("did you mean SCOPEGATE__PROXY__LISTEN?"), "{told}");
    }
    // What has the prefix and one underscore too few behind it is an unknown key.
    let output = setup.run_with(&["check"], &[("SCOPEGATE__PROXY_LISTEN", "127.0.0.1:1")]);
    let err = texts(&output).1;
    assert!(!output.status.success() && err.contains("did you mean SCOPEGATE__PROXY__LISTEN?"), "{err}");
}

#[test]
fn files_with_secrets_that_others_may_read_and_certificates_that_have_ended_are_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let setup = Setup::bearer("http://127.0.0.1:9", "headers = { x-key = { file = \"token\" } }");
    setup.write("token", "a token\n");
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("certs/make");
    let made = std::process::Command::new("bash").arg(script).arg(setup.path().join("certs")).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    setup.edit("workers = 1", "workers = 1\ntls = { cert = \"certs/server.pem\", key = \"certs/server.key\" }");
    let mode = |name: &str, mode: u32| {
        std::fs::set_permissions(setup.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("token", 0o600);
    mode("certs/server.key", 0o640);
    assert_eq!(warnings(&setup, &[]), "");
    mode("token", 0o644);
    mode("certs/server.key", 0o660);
    let told = warnings(&setup, &[]);
    for wanted in [
        "upstream.bots.headers.x-key: token: everybody on this machine may read it (mode 0644)\n  chmod 600 token",
        "proxy.tls.key: certs/server.key: its group may change it (mode 0660)\n  chmod 600 certs/server.key",
    ] {
        assert!(told.contains(wanted) && told.contains("warning: scopegate.toml:"), "{told}");
    }
    // A gateway tells at its start, and again at a reload.
    let registry = crate::e2e::harness::Registry::new().account("acme", &[]);
    let mut gateway = crate::e2e::harness::Gateway::start(setup, &registry);
    gateway.await_event("token: everybody on this machine may read it (mode 0644)");
    std::fs::set_permissions(gateway.setup.path().join("token"), std::fs::Permissions::from_mode(0o606)).unwrap();
    gateway.setup.succeed(&["reload"]);
    gateway.await_event("token: everybody on this machine may change it (mode 0606)");
}
