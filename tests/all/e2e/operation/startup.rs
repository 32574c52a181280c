//! Errors at the start: each names where it is and what would be right, before a port is bound.

use std::net::TcpListener;

use super::{call, ci, registry};
use crate::e2e::harness::{Child, Gateway, Recorder, Setup, scopegate, texts};

/// A configuration, where what is wrong with it stands, and what is said.
struct Fault {
    text: &'static str,
    line: usize,
    said: &'static [&'static str],
}

const FAULTS: [Fault; 27] = [
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\nworker = 1",
        line: 3,
        said: &["\"worker\"", "did you mean \"workers\"?"],
    },
    Fault { text: "[prox]\nlisten = \"TAKEN\"", line: 1, said: &["\"prox\"", "did you mean \"proxy\"?"] },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[proxy.timeouts]\nheader = \"30\"",
        line: 4,
        said: &["\"30\" is no duration", "\"30s\""],
    },
    Fault { text: "[proxy]\nlisten = \"TAKEN\"\n[proxy.timeouts]\nheader = 30", line: 4, said: &["duration"] },
    Fault { text: "[proxy]\nlisten = \"TAKEN\"\nworkers = \"two\"", line: 3, said: &["proxy.workers"] },
    Fault { text: "[proxy]\nlisten = \"nowhere\"", line: 2, said: &["proxy.listen"] },
    Fault {
        text: "profiles = [\"kor\"]\n[proxy]\nlisten = \"TAKEN\"",
        line: 1,
        said: &["no profile \"kor\"", "did you mean \"kore\"?"],
    },
    Fault {
        text: "include = [\"none.toml\"]\n[proxy]\nlisten = \"TAKEN\"",
        line: 1,
        said: &["none.toml does not exist"],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\ntls = { cert = \"none.pem\", key = \"none.key\" }",
        line: 3,
        said: &["proxy.tls", "none.pem"],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[upstream.bots]\nurls = [\"ftp://a\"]",
        line: 4,
        said: &["upstream.bots.urls", "neither http nor https"],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[upstream.bots]\nurls = [\"https://a\"]\ntls = { ca = \"none.pem\" }",
        line: 5,
        said: &["upstream.bots.tls", "none.pem"],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[replay]\nurl = \"redis://a:hunter2@b\"",
        line: 4,
        said: &["replay.url", "at redis://; there are \"sqlite://data/replay.db\", and \"memory://\""],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[replay]\nurl = \"sqlite://./data/scopegate.db\"",
        line: 4,
        said: &["replay.url", "the store's file"],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[replay]\nurl = \"sqlite://data/\"",
        line: 4,
        said: &["replay.url", "\"data/\" is no file"],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[replay]\ndurability = \"disk\"",
        line: 4,
        said: &["replay.durability", "\"disk\" is not one of \"process\", \"power\""],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[replay]\nurl = \"memory://\"\ndurability = \"power\"",
        line: 5,
        said: &["replay.durability", "only sqlite:// has a durability"],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[authenticator.a]\nkind = \"jwt\"\nalgorithms = [\"HS255\"]",
        line: 5,
        said: &["HS255", "HS256"],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[authenticator.a]\nkind = \"jwt\"",
        line: 3,
        said: &["authenticator.a", "algorithms = [\"HS256\"]"],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[authenticator.a]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nleeway = \"1h\"",
        line: 6,
        said: &["leeway", "too much"],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[quota.a]\nkey = [\"app\"]",
        line: 3,
        said: &["quota.a.windows: name at least one", "calls = 600, per = \"60s\""],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[quota.a]\nwindows = [{ calls = 0, per = \"60s\" }]",
        line: 4,
        said: &["quota.a.windows: calls = 0"],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[quota.a]\nwindows = [{ calls = 1, per = \"1500ms\" }]",
        line: 4,
        said: &["quota.a.windows: per is in whole seconds"],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[quota.a]\nwindows = [{ calls = 1, per = \"60s\" }, { calls = 2, per = \"1m\" }]",
        line: 4,
        said: &["quota.a.windows: two windows of 1m"],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[quota.a]\nwindows = [{ calls = 1, per = \"60s\" }]\nkey = [\"ap\"]",
        line: 5,
        said: &["calls can't be counted by \"ap\"", "subject, peer, or param:NAME"],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[quota.a]\nwindow = [{ calls = 1, per = \"60s\" }]",
        line: 4,
        said: &["did you mean \"windows\"?"],
    },
    Fault {
        text: "[proxy]\nlisten = \"TAKEN\"\n[quota.\"a b\"]\nwindows = [{ calls = 1, per = \"60s\" }]",
        line: 3,
        said: &["quota.a b: no space, quote or backslash may be in it"],
    },
    Fault { text: "[proxy\nlisten = \"TAKEN\"", line: 1, said: &[] },
];

/// A configuration that fails at this line, though its port is taken, says so and nothing of the port.
#[track_caller]
fn fails(text: &str, line: usize, said: &[&str]) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let setup = Setup::whole(&text.replace("TAKEN", &address));
    for command in ["serve", "check"] {
        let failed = setup.run(&[command]);
        let (out, err) = texts(&failed);
        assert_eq!((failed.status.code(), out.as_str()), (Some(1), ""), "{text}");
        assert!(err.contains(&format!("scopegate.toml:{line}: ")), "{text}: {err}");
        for said in said {
            assert!(err.contains(said), "{text}: {err}");
        }
        assert!(!err.contains("is taken") && !err.contains("hunter2"), "{text}: {err}");
    }
    assert!(!setup.path().join("data").exists() && !setup.path().join("scopegate.db").exists(), "no store was made");
}

#[test]
fn a_fault_in_the_configuration_is_told_with_its_line_before_a_port_is_bound() {
    for Fault { text, line, said } in FAULTS {
        fails(text, line, said);
    }
}

/// Twelve lines before the route.
const ROUTES: &str = "profiles = [\"kore\"]\n[proxy]\nlisten = \"TAKEN\"\n[upstream.bots]\nurls = [\"http://a\"]\n[[route]]\nid = \"a\"\n\
    methods = [\"GET\"]\npath = \"/a/{id}/b\"\nauthenticator = \"kore\"\nscope = \"any\"\n[[route]]\n";

#[test]
fn a_fault_in_a_route_is_told_with_its_line() {
    for (route, line, said) in [
        (
            "id = \"b\"\nmethods = [\"GET\"]\npath = \"/b\"\nauthenticator = \"kore\"\nscope = { bot = \"logs:change_log\" }",
            17,
            &["route b", "no scope \"logs:change_log\" is declared at level bot", "did you mean \"logs:change_logs\"?"]
                [..],
        ),
        (
            "id = \"b\"\nmethods = [\"GET\"]\npath = \"/a/{other}/b\"\nauthenticator = \"kore\"\nscope = \"any\"",
            15,
            &["route b", "once parameter names are erased", "scopegate.toml:7"],
        ),
        (
            "id = \"a\"\nmethods = [\"GET\"]\npath = \"/b\"\nauthenticator = \"kore\"\nscope = \"any\"",
            13,
            &["route a is declared twice", "scopegate.toml:7"],
        ),
        (
            "id = \"b\"\nmethods = [\"GET\"]\npath = \"/b\"\nauthenticator = \"kor\"\nscope = \"any\"",
            16,
            &["there is no authenticator \"kor\"", "did you mean \"kore\"?"],
        ),
        (
            "id = \"b\"\nmethods = [\"GET\"]\npath = \"/b\"\nauthenticator = \"kore\"",
            12,
            &["the route asks for no scope"],
        ),
        (
            "id = \"b\"\nmethods = [\"get\"]\npath = \"/b\"\nauthenticator = \"kore\"\nscope = \"any\"",
            14,
            &["\"get\" is no method"],
        ),
        (
            "id = \"b\"\nmethods = [\"GET\"]\npath = \"/b/../c\"\nauthenticator = \"kore\"\nscope = \"any\"",
            15,
            &["a dot segment in the path"],
        ),
        (
            "id = \"b\"\nmethods = [\"GET\"]\npath = \"/b\"\nauthenticator = \"kore\"\nscope = \"any\"\nquota = \"run-time\"",
            18,
            &["there is no quota \"run-time\"", "did you mean \"runtime\"?"],
        ),
        (
            "id = \"b\"\nmethods = [\"GET\"]\npath = \"/b\"\nauthenticator = \"kore\"\nscope = \"any\"\nquota = \"runtime\"",
            18,
            &["quota runtime counts by bot, and the route has no bot_param", "name = \"runtime\", key = [\"route\"]"],
        ),
        (
            "id = \"b\"\nmethods = [\"GET\"]\npath = \"/b\"\nauthenticator = \"kore\"\nscope = \"any\"\nquota = \"runtime-table\"",
            18,
            &["counts by param:table, and /b has no such parameter"],
        ),
        (
            "id = \"b\"\nmethods = [\"GET\"]\npath = \"/b\"\nauthenticator = \"open\"\nquota = \"runtime\"\n[authenticator.open]\nkind = \"anonymous\"",
            17,
            &["counts by bot, and a caller without a token has none"],
        ),
        (
            "id = \"b\"\nmethods = [\"GET\"]\npath = \"/b\"\nauthenticator = \"kore\"\nscope = \"any\"\nquota = { name = \"runtime\" }",
            18,
            &["a quota's name, or { name = "],
        ),
        (
            "id = \"b\"\nmethods = [\"GET\"]\npath = \"/b\"\nauthenticator = \"kore\"\nscope = \"any\"\nbot_param = \"botId\"",
            15,
            &["/b has no parameter {botId}"],
        ),
        (
            "id = \"b\"\nmethods = [\"GET\"]\npath = \"/b\"\nauthenticator = \"kore\"\nscope = \"any\"\nupstream = \"bot\"",
            18,
            &["there is no upstream \"bot\"", "did you mean \"bots\"?"],
        ),
        (
            "id = \"b\"\nmethods = [\"GET\"]\npath = \"/b/{*table}\"\nauthenticator = \"kore\"\n\
             table = { param = \"table\", permissions = [\"read\"] }",
            15,
            &["/b/{*table}: whatever is named is one segment; write {table}"],
        ),
        (
            "id = \"b\"\nmethods = [\"GET\"]\npath = \"/b\"\nauthenticator = \"kore\"\ntable = \"some\"",
            17,
            &["expected { param = \"…\", permissions = [\"read\"] }, or \"any\""],
        ),
    ] {
        fails(&format!("{ROUTES}{route}\n"), line, said);
    }
}

#[test]
fn a_token_has_one_id_wherever_it_is_used() {
    let bearer = |claims: &str| {
        format!(
            "profiles = [\"kore\"]\n[authenticator.bearer]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\n\
                 jti_claims = [{claims}]\n[upstream.bots]\nurls = [\"http://a\"]\n"
        )
    };
    for good in ["\"jti\"", "\"jti\", \"kore_jti\"", "\"jti\", \"kore_jti\", \"uti\""] {
        Setup::whole(&bearer(good)).succeed(&["check"]);
    }
    fails(&bearer(""), 5, &["name at least one claim that holds the token's id"]);
    for (bad, theirs) in [("\"kore_jti\", \"jti\"", "jti"), ("\"jti\", \"uti\"", "kore_jti")] {
        let (_, err) = texts(&Setup::whole(&bearer(bad)).run(&["check"]));
        assert!(err.contains("would be good for one use here and one more at authenticator bearer"), "{err}");
        assert!(err.contains(&format!("with both {theirs:?} and")), "{err}");
    }
}

#[test]
fn a_fault_in_an_included_file_names_that_file() {
    let setup = Setup::kore("http://127.0.0.1:9", "");
    setup.write("scopegate.toml", &format!("include = [\"routes-*.toml\"]\n{}", setup.read("scopegate.toml")));
    setup.succeed(&["check"]);
    setup.write(
        "routes-a.toml",
        "[[route]]\nid = \"a\"\nmethods = [\"GET\"]\npath = \"/a\"\nauthenticator = \"kore\"\nscope = \"x:y\"\n",
    );
    let (_, err) = texts(&setup.run(&["check"]));
    assert!(err.contains("routes-a.toml:6: ") && err.contains("no scope \"x:y\" is declared"), "{err}");
}

#[test]
fn every_fault_is_told_at_once() {
    let setup = Setup::whole("profiles = [\"kor\"]\ninclude = [\"none.toml\"]\n[upstream.bots]\nurls = []\n");
    let (_, err) = texts(&setup.run(&["check"]));
    for line in [1, 2, 4] {
        assert!(err.contains(&format!("scopegate.toml:{line}: ")), "{err}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["serve", "check", "export", "reload"] {
        let failed = scopegate(folder.path(), &[command, "-c", "none.toml"], &[]);
        assert_eq!(failed.status.code(), Some(1));
        assert!(texts(&failed).1.contains("none.toml: "), "{}", texts(&failed).1);
    }
    // Without -c it is the usual one.
    assert!(texts(&scopegate(folder.path(), &["check"], &[])).1.contains("config/scopegate.toml: "));
}

#[test]
fn a_port_that_is_taken_is_named_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let setup = Setup::kore("http://127.0.0.1:9", "");
    for (variable, key) in
        [("SCOPEGATE__PROXY__LISTEN", "proxy.listen"), ("SCOPEGATE__TELEMETRY__LISTEN", "telemetry.listen")]
    {
        let failed = setup.run_with(&["serve"], &[(variable, &address)]);
        let (_, err) = texts(&failed);
        assert_eq!(failed.status.code(), Some(1));
        assert!(err.contains(&format!("{key}: {address} is taken")), "{err}");
        assert!(!err.contains("taking calls"), "{err}");
    }
    for flag in ["--listen", "--telemetry-listen"] {
        let other = if flag == "--listen" { "--telemetry-listen" } else { "--listen" };
        let failed = scopegate(setup.path(), &["demo", flag, &address, other, "127.0.0.1:0"], &[]);
        let (out, err) = texts(&failed);
        assert_eq!((failed.status.code(), out.as_str()), (Some(1), ""));
        assert!(err.contains(&format!("{address} is taken")) && err.contains(&format!("with {flag}")), "{err}");
    }
}

#[test]
fn the_environment_lies_over_the_file() {
    let upstream = Recorder::start();
    let setup = Setup::kore(&upstream.url(), "");
    setup.apply(&registry(&[ci()]));
    let gateway =
        Gateway::serve(setup, &[("SCOPEGATE__PROXY__LISTEN", "127.0.0.2:0"), ("SCOPEGATE_PORT", "tcp://x:1")]);
    assert_eq!(gateway.proxy.ip().to_string(), "127.0.0.2");
    assert_eq!(gateway.call(&call(&ci())).status, 200);

    for (name, value, said) in [
        ("SCOPEGATE__PROXY__LISTEN", "nowhere", "proxy.listen"),
        ("SCOPEGATE__PROXY__LISTN", "127.0.0.1:0", "did you mean \"listen\"?"),
    ] {
        let (_, err) = texts(&gateway.setup.run_with(&["check"], &[(name, value)]));
        assert!(err.contains(&format!("environment variable {name}")) && err.contains(said), "{err}");
    }
}

#[test]
fn check_prints_each_route_with_all_that_it_asks_for() {
    let setup = Setup::kore_with("", "http://127.0.0.1:9", "");
    let table = setup.succeed(&["check"]);
    let lines: Vec<Vec<&str>> = table.lines().map(|l| l.split_whitespace().collect()).collect();
    let heading =
        ["METHODS", "PATH", "BOT", "SCOPE", "ACCOUNT", "SCOPE", "AUTHENTICATOR", "UPSTREAM", "QUOTA", "ROUTE"];
    assert_eq!(lines[0], heading);
    let path = "/api/public/bot/{botId}/changelogs";
    let row = ["GET", path, "logs:change_logs", "logs:change_logs", "kore", "bots", "design-time", "get-change-logs"];
    assert!(lines.contains(&row.to_vec()), "{table}");
    let (scope, quota) = ("user_management:user_management", "design-time-admin");
    let row = ["POST", "/api/public/users", "-", scope, "kore", "bots", quota, "create-users"];
    assert!(lines.contains(&row.to_vec()), "{table}");
    assert!(table.trim_end().ends_with("scopes") && table.contains("scopegate.toml is good: "), "{table}");
}

#[test]
fn a_gateway_that_can_not_read_its_store_does_not_start() {
    let setup = Setup::kore("http://127.0.0.1:9", "");
    setup.write("scopegate.db", "this is no database, and long enough to be looked at by anybody who opens it");
    let failed = setup.run(&["serve"]);
    let (_, err) = texts(&failed);
    assert_eq!(failed.status.code(), Some(1));
    assert!(err.contains("scopegate.db"), "{err}");
    let mut child = Child::spawn(setup.path(), &["serve", "-c", "scopegate.toml"], &[]);
    assert_eq!(child.wait().code(), Some(1));
}
