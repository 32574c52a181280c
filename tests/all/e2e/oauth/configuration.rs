//! `[oauth]` as it is configured.

use scopegate::config::{Config, ConfigError, parse};

const UPSTREAM: &str = "[upstream.bots]\nurls = [\"http://127.0.0.1:9\"]\n";

fn read(text: &str) -> Result<Config, ConfigError> {
    parse("c.toml", &format!("profiles = [\"oauth\"]\n{UPSTREAM}{text}"))
}

#[track_caller]
fn refused(text: &str, wanted: &str) {
    let error = read(text).unwrap_err().to_string();
    assert!(error.contains(wanted), "{error}");
}

#[test]
fn the_profile_wants_to_know_its_issuer() {
    refused("", "c.toml:1: oauth.issuer is missing");
    refused("[oauth]\naudience = \"api\"\n", "c.toml:4: oauth.issuer is missing");
    assert!(read("[oauth]\nissuer = \"https://id.example.com\"\n").is_ok());
}

#[test]
fn an_issuer_is_a_scheme_and_a_host_as_clients_write_them() {
    for good in [
        "https://id.example.com",
        "https://id.example.com:8443",
        "http://127.0.0.1:8080",
        "http://localhost",
        "http://[::1]:8080",
        "https://[2001:db8::1]",
    ] {
        assert!(read(&format!("[oauth]\nissuer = {good:?}\n")).is_ok(), "{good}");
    }
    for bad in [
        "https://id.example.com/",
        "https://id.example.com/oauth",
        "https://id.example.com?x=1",
        "https://id.example.com#x",
        "https://ana@id.example.com",
        "https://ID.example.com",
        "https://",
        "http://id.example.com",
        "http://10.0.0.1",
        "http://localhost.example.com",
        "ftp://id.example.com",
        "id.example.com",
        "",
        "/",
    ] {
        refused(&format!("[oauth]\nissuer = {bad:?}\n"), "c.toml:5: oauth.issuer: ");
    }
}

#[test]
fn lifetimes_have_bounds_and_keys_are_kept_for_as_long() {
    let with = |life: &str| format!("[oauth]\nissuer = \"https://id.example.com\"\ntoken_lifetime = {life:?}\n");
    for bad in ["59s", "25h"] {
        refused(&with(bad), "c.toml:6: oauth.token_lifetime: ");
    }
    assert_eq!(read(&with("24h")).unwrap().rotation.longest_life.as_secs(), 90 * 86_400, "Khoros' are longer");
}

#[test]
fn an_endpoint_wants_the_profile() {
    let route = "[[route]]\nid = \"t\"\nmethods = [\"POST\"]\npath = \"/t\"\nauthenticator = \"open\"\n\
                 endpoint = \"oauth.token\"\n[authenticator.open]\nkind = \"anonymous\"\n";
    let error = parse("c.toml", &format!("{UPSTREAM}{route}")).unwrap_err().to_string();
    assert!(error.contains("as whom would it issue tokens?") && error.contains("profiles"), "{error}");
}
