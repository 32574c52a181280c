//! Errors of files speak of what stands in the file, and of no type of the program.

use crate::e2e::harness::{Setup, scopegate, texts};

const ROUTE: &str = "[[route]]\nid = \"get-a\"\nmethods = [\"GET\"]\npath = \"/a\"\nauthenticator = \"a\"\n";

/// Words that only a programmer knows.
#[track_caller]
fn is_plain(text: &str) {
    for word in [
        "struct",
        "enum",
        "variant",
        "u16",
        "u32",
        "u64",
        "usize",
        "i64",
        "Section",
        "Option",
        "sequence",
        "invalid type",
        "invalid value",
        "untagged",
        "signed int",
        "newtype",
        "did not match",
        "route.0",
        "route.1",
        "key.0",
        "None",
        "Some(",
    ] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

#[test]
fn what_is_of_the_wrong_kind_is_told_in_words() {
    for (text, wanted) in [
        ("[proxy]\ntls = true", "proxy.tls: true where a table such as { … } is wanted"),
        ("[proxy]\ntls = \"cert.pem\"", "proxy.tls: a text where a table such as { … } is wanted"),
        ("[proxy]\nworkers = \"two\"", "proxy.workers: a text where a whole number from 0 on is wanted"),
        ("[proxy]\nworkers = -1", "proxy.workers: -1 is out of range: 0 to 9223372036854775807"),
        ("[proxy]\nworkers = 1.5", "proxy.workers: the number 1.5 where a whole number from 0 on is wanted"),
        ("[proxy]\nproxy_protocol = 1", "proxy.proxy_protocol: the number 1 where true or false is wanted"),
        (
            "[proxy]\ntrusted_proxies = \"10.0.0.0/8\"",
            "proxy.trusted_proxies: a text where a list such as [\"…\"] is wanted",
        ),
        ("[proxy]\nlisten = 8080", "proxy.listen: expected an address, or a list of addresses"),
        ("[proxy]\nforwarded = \"rfc7240\"", "\"rfc7240\" is not one of \"x-forwarded\", \"rfc7239\", \"both\""),
        (
            "[proxy.timeouts]\nheader = 30",
            "proxy.timeouts.header: the number 30 where a duration with its unit, such as \"30s\" is wanted",
        ),
        (
            "[proxy.tls]\ncerts = [{ cert = \"a\" }]\ncert = \"a\"\nkey = \"b\"",
            "proxy.tls.certs (entry 1): the key \"key\" is missing",
        ),
        ("[telemetry]\nlisten = \"nowhere\"", "telemetry.listen"),
        ("watch = \"yes\"", "watch: a text where true or false is wanted"),
        ("profiles = \"kore\"", "profiles: a text where a list such as [\"…\"] is wanted"),
        (
            "[quota.a]\nwindows = [{ calls = -1, per = \"60s\" }]",
            "quota.a.windows (entry 1).calls: -1 is out of range: 0 to 4294967295",
        ),
        ("[quota.a]\nwindows = [{ calls = 4294967296, per = \"60s\" }]", "4294967296 is out of range: 0 to 4294967295"),
        ("[upstream.bots]\nurls = \"http://a\"", "upstream.bots.urls: a text where a list such as [\"…\"] is wanted"),
        (
            "[upstream.bots]\nurls = [\"http://a\"]\nheaders = \"hunter2\"",
            "upstream.bots.headers: a text where a table such as { … } is wanted",
        ),
        ("[authenticator.a]\nkind = \"jwks\"", "did you mean \"jwt\"?"),
    ] {
        let why = Setup::whole(&format!("{text}\n")).refused(&["check"]);
        assert!(why.contains(wanted) && why.contains("scopegate.toml:"), "{text}: {why}");
        assert!(!why.contains("hunter2"), "{why}");
        is_plain(&why);
    }
}

#[test]
fn an_entry_of_a_list_is_named_by_its_id() {
    for (route, wanted) in [
        (
            "id = \"get-b\"\nmethods = \"GET\"\npath = \"/b\"\nauthenticator = \"a\"",
            "route get-b: methods: a text where a list",
        ),
        (
            "id = \"get-b\"\nmethod = [\"GET\"]\npath = \"/b\"\nauthenticator = \"a\"",
            "route get-b: method: unknown key \"method\"",
        ),
        ("id = \"get-b\"\npath = \"/b\"\nauthenticator = \"a\"", "route get-b: the key \"methods\" is missing"),
        ("methods = [\"GET\"]\npath = \"/b\"\nauthenticator = \"a\"", "route number 2: the key \"id\" is missing"),
        (
            "id = \"get-b\"\nmethods = [\"GET\"]\npath = \"/b\"\nauthenticator = \"a\"\nupgrade = true",
            "route get-b: upgrade: true where a list",
        ),
    ] {
        let why = Setup::whole(&format!("{ROUTE}[[route]]\n{route}\n")).refused(&["check"]);
        assert!(why.contains(wanted), "{route}: {why}");
        is_plain(&why);
    }
    for (entry, wanted) in [
        (
            "[[key]]\napp = \"ci\"\nkid = \"k\"\nstate = \"gone\"",
            "key of app ci k: state: \"gone\" is not one of \"active\", \"retiring\", \"retired\"",
        ),
        (
            "[[app]]\nclient_id = \"ci\"\nname = \"x\"\nlevel = \"bot\"\nbots = \"b\"",
            "app ci: bots: a text where a list",
        ),
        ("[[grant]]\napp = \"ci\"\nscopes = \"x:y\"", "grant of app ci: scopes: a text where a list"),
        ("[[service_account]]\nname = \"ana\"\nkind = \"robot\"", "service_account ana: kind: \"robot\" is not one of"),
        ("[[installation]]\napp = \"ci\"\nid = -1", "installation of app ci -1"),
        ("[[key]]\napp = \"ci\"\nsecret_file = [\"hunter2\"]", "key of app ci: secret_file: a list where"),
    ] {
        let setup = Setup::kore("http://127.0.0.1:9", "");
        setup.write("registry.toml", &format!("version = 1\n{entry}\n"));
        let why = setup.refused(&["apply", "-f", "registry.toml"]);
        assert!(why.contains(wanted), "{entry}: {why}");
        assert!(!why.contains("hunter2"), "{why}");
        is_plain(&why);
    }
}

#[test]
fn a_file_that_is_no_text_is_told_with_what_makes_it_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.toml"), [0xff, 0xfe, b'[', 0, b'p', 0]).unwrap();
    for (name, wanted) in
        [("c.toml", "iconv -f UTF-16 -t UTF-8"), (".", "it is a directory"), ("none.toml", "none.toml: ")]
    {
        let output = scopegate(folder.path(), &["check", "-c", name], &[]);
        let why = texts(&output).1;
        assert!(!output.status.success() && why.contains(wanted), "{name}: {why}");
    }
    // A mark at its beginning and line breaks of Windows are no fault.
    std::fs::write(folder.path().join("w.toml"), "\u{feff}[proxy]\r\nlisten = \"127.0.0.1:0\"\r\n").unwrap();
    let output = scopegate(folder.path(), &["check", "-c", "w.toml"], &[]);
    assert!(output.status.success(), "{}", texts(&output).1);
}
