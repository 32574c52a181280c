//! Commands read what they change and nothing else, so that they cost the same among 100,000 apps: an app whose row can't be
//! read holds up no command on another one.

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::e2e::harness::{App, Registry, Setup};

const BOT: &str = "st-0c6e2d3a-9e8f-5c62-8a57-1d2f3e4a5b6c";

/// Two apps, of which the store can't read the other one.
fn setup() -> Setup {
    let setup = Setup::kore("http://127.0.0.1:9", "");
    let app = |id: &str| App::new(id, "acme", &[BOT], &["logs:change_logs"]);
    setup.apply(&Registry::new().account("acme", &[BOT]).apps(&[app("one"), app("other")]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(setup.path().join("scopegate.db"));
        let mut store = options.connect().await.unwrap();
        let damage = "UPDATE app SET algorithms = 'damaged' WHERE client_id = 'other'";
        sqlx::query(damage).execute(&mut store).await.unwrap();
        sqlx::Connection::close(store).await.unwrap();
    });
    assert!(setup.refused(&["app", "list"]).contains("the store can't be read"), "all of it can't be read");
    setup
}

#[test]
fn a_command_on_one_app_reads_no_other() {
    let setup = setup();
    for command in [
        &["app", "disable", "one"][..],
        &["app", "enable", "one"],
        &["app", "set", "one", "--require-exp", "on"],
        &["app", "set", "one", "--name", "another name"],
        &["app", "show", "one"],
        &["key", "list", "one"],
        &["key", "rotate", "one", "--generate"],
        &["encryption", "rotate", "--app", "one", "--kind", "p256"],
        &["encryption", "show", "--app", "one"],
        &["scope", "grant", "--app", "one", "batchtest:execution"],
        &["scope", "diff", "--app", "one"],
        &["scope", "publish", "--app", "one"],
        &["scope", "list", "--app", "one"],
        &["scope", "history", "--app", "one"],
        &["scope", "rollback", "--app", "one", "--to", "1"],
        &["scope", "revoke", "--app", "one", "logs:change_logs"],
        &["token", "revoke", "--app", "one", "--jti", "x"],
        &["token", "reset", "--app", "one"],
        &["app", "create", "--name", "new", "--client-id", "new", "--account", "acme", "--bot", BOT, "--no-key"],
        &["bot", "add", "bot-2", "--account", "acme"],
        &["bot", "delete", "bot-2"],
        &["account", "add", "rival"],
        &["account", "host", "add", "rival", "rival.example.com"],
        &["account", "delete", "rival"],
        &["app", "delete", "new"],
    ] {
        let output = setup.run(command);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 2)), "{command:?}: {err}");
    }
    // The damaged one can still be deleted.
    let why = setup.refused(&["app", "disable", "other"]);
    assert!(why.contains("the store can't be read"), "{why}");
}

#[test]
fn what_others_have_is_looked_for_where_it_matters() {
    let setup = Setup::kore("http://127.0.0.1:9", "");
    let app = |id: &str| App::new(id, "acme", &[BOT], &[]);
    setup
        .apply(&Registry::new().account("acme", &[BOT]).account("rival", &["bot-2"]).apps(&[app("one"), app("other")]));
    let name = setup.json(&["app", "show", "other", "--json"])["name"].as_str().unwrap().to_owned();
    let why = setup.refused(&["app", "set", "one", "--name", &name]);
    assert!(why.contains("already, other: take another name"), "{why}");
    let why = setup.refused(&["app", "create", "--name", &name, "--account", "acme", "--bot", BOT]);
    assert!(why.contains("already, other: take another name"), "{why}");
    let why = setup.refused(&["app", "set", "one", "--add-bot", "bot-2"]);
    assert!(why.contains("bot bot-2 belongs to account rival"), "{why}");
    let why = setup.refused(&["scope", "grant", "--app", "othr", "faqs:faqs"]);
    assert!(why.contains("did you mean other?"), "{why}");
    let why = setup.refused(&["bot", "add", "bot-2", "--account", "acme"]);
    assert!(why.contains("exists already, in account rival"), "{why}");
}
