//! Registry files, carried out on a real store: what they say of service accounts and installations.

use scopegate::clock::Timestamp;
use scopegate::config::{RegistryFile, Secrets, export};
use scopegate::registry::{
    Actor, GrantRules, Plan, PlanOptions, Registry, Repositories, Repository as _, Snapshot, Version,
};
use scopegate::store::{Store, StoreSettings};

const FILE: &str = r#"
version = 1
[[account]]
id = "acme"
[[app]]
client_id = "care-bot"
name = "A bot whose tokens are issued here"
account = "acme"
level = "account"
[[app]]
client_id = "merge-bot"
name = "An app that signs for itself"
account = "acme"
level = "account"
algorithms = ["RS256"]
[[service_account]]
name = "care backend"
account = "acme"
roles = ["bot-api", "reports"]
password = "correct horse battery"
[[service_account]]
name = "ana"
kind = "person"
enabled = false
password_hash = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
[[installation]]
id = 42
app = "merge-bot"
account = "acme"
target = "user"
permissions = { contents = "read", pull_requests = "write", administration = "admin" }
repositories = [{ id = 2, name = "world" }, { id = 1, name = "hello" }]
suspended = true
[[installation]]
app = "merge-bot"
"#;

struct Place {
    _folder: tempfile::TempDir,
    store: Store,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("scopegate.db").display());
        let store = Store::open(&StoreSettings { url, key_file: None, create: true }).await.unwrap();
        Self { _folder: folder, store }
    }

    async fn registry(&self) -> Registry {
        self.store.load().await.unwrap().1
    }

    /// What it changed.
    async fn apply(&self, text: &str) -> Vec<String> {
        let file = RegistryFile::parse("registry.toml", text).unwrap_or_else(|error| panic!("{error}"));
        let options = PlanOptions { prune: true, draft: false };
        let plan = Plan::new(&self.registry().await, file.desired(), &GrantRules::default(), options).unwrap();
        let actor = Actor { name: "test".into(), why: None, at: Timestamp::from_secs(1_795_348_800) };
        self.store.commit(&plan.0, &actor).await.unwrap();
        plan.0.iter().map(ToString::to_string).collect()
    }
}

#[tokio::test]
async fn a_file_makes_service_accounts_and_installations_and_makes_nothing_twice() {
    let place = Place::new().await;
    assert_eq!(place.apply(FILE).await.len(), 7);
    assert_eq!(place.apply(FILE).await, [""; 0]);
    let registry = place.registry().await;
    let backend = &registry.service_accounts["care backend"];
    assert_eq!(backend.hash.matches(b"correct horse battery"), Ok(true));
    assert!(backend.has_role("bot-api") && backend.enabled && !registry.service_accounts["ana"].enabled);
    let [first, second] = &registry.apps["merge-bot"].installations[..] else { panic!("{registry:?}") };
    assert_eq!((first.id.get(), second.id.get()), (42, 43));
    assert_eq!(first.permissions.to_string(), "administration:admin contents:read pull_requests:write");
    assert!(matches!(&first.repositories, Repositories::Selected(two) if two[0].name == "hello" && two.len() == 2));
    assert!(first.suspended_at.is_some() && second.repositories == Repositories::All);

    let snapshot = Snapshot::new(Version(1), registry);
    let app = snapshot.app("merge-bot").unwrap();
    assert_eq!(snapshot.app_by_number(app.number).unwrap().client_id, app.client_id);
    assert_eq!(snapshot.installations_of(app.number).len(), 2);
    assert_eq!(snapshot.installation(43).unwrap().account.as_str(), "default");
    assert!(snapshot.installation(44).is_none() && snapshot.installation(-1).is_none());
    assert_eq!(snapshot.service_account("care backend").unwrap().kind.as_str(), "service");
    assert!(snapshot.service_account("care").is_none());
}

#[tokio::test]
async fn an_export_of_service_accounts_and_installations_applied_again_changes_nothing() {
    let place = Place::new().await;
    place.apply(FILE).await;
    for secrets in [Secrets::Omit, Secrets::Plain] {
        let text = export(&place.registry().await, secrets);
        assert_eq!(text.contains("$argon2id$v=19$m=65536,t=3,p=4$"), secrets == Secrets::Plain, "{text}");
        assert!(!text.contains("correct horse"));
        assert_eq!(place.apply(&text).await, [""; 0], "{text}");
    }
    let plain = export(&place.registry().await, Secrets::Plain);
    let other = Place::new().await;
    other.apply(&plain).await;
    assert_eq!(export(&other.registry().await, Secrets::Plain), plain);
    // Without a password, an account that is stored keeps its own, and one that is not can't be made.
    let omitted = RegistryFile::parse("omitted.toml", &export(&place.registry().await, Secrets::Omit)).unwrap();
    let rules = GrantRules::default();
    let errors = Plan::new(&Registry::default(), omitted.desired(), &rules, PlanOptions::default()).unwrap_err();
    assert_eq!(errors.iter().filter(|error| error.message.contains("is new: give password_file")).count(), 2);
}

#[test]
fn what_is_wrong_with_an_entry_is_told_at_its_line_and_without_the_secret() {
    let service = |line: &str| format!("[[service_account]]\nname = \"s\"\n{line}");
    let installation = |line: &str| format!("[[installation]]\napp = \"a\"\n{line}");
    for (entry, line, message) in [
        (service("password = \"hunter2\""), 3, "at least 12 characters"),
        (service("password = 1234567890123"), 3, "a secret is a text in quotes"),
        (service("password = [\"hunter2hunter2\"]"), 3, "a text in quotes"),
        (service("password_hash = \"$2b$12$hunter2\""), 3, "Argon2id in PHC string form"),
        (
            service(
                "password_hash = \"$argon2id$v=19$m=16,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnRlcjI\"",
            ),
            3,
            "too weak",
        ),
        (service("password_file = \"none.txt\""), 3, "none.txt"),
        (service("password_env = \"SCOPEGATE_NOT_SET\""), 3, "the environment has no SCOPEGATE_NOT_SET"),
        (service("password = \"hunter2hunter2\"\npassword_env = \"X\""), 2, "one of password, password_file"),
        (service("kind = \"robot\""), 3, "robot"),
        (service("roles = [\"bot api\"]"), 3, "no space"),
        ("[[service_account]]\nname = \"a:b\"".to_owned(), 2, "no colon may be in it"),
        (installation("id = 0"), 3, "from 1 to 9007199254740991"),
        (installation("permissions = { pull-requests = \"read\" }"), 3, "lower-case words with underscores"),
        (installation("permissions = { contents = \"owner\" }"), 3, "owner"),
        (installation("repositories = \"some\""), 3, "\"all\" or a list"),
        (installation("repositories = [{ id = 1, name = \"acme/hello\" }]"), 3, "no name of a repository"),
        (installation("target = \"team\""), 3, "team"),
    ] {
        let text = format!("version = 1\n{entry}");
        let error =
            RegistryFile::parse("r.toml", &text).err().unwrap_or_else(|| panic!("accepted: {entry}")).to_string();
        assert!(error.contains(&format!("r.toml:{}: ", line + 1)), "{entry}: {error}");
        assert!(error.contains(message), "{entry}: {error}");
        for secret in ["hunter2", "1234567890123", "aHVudGVyMmh1"] {
            assert!(!error.contains(secret), "{entry}: {error}");
        }
    }
}
