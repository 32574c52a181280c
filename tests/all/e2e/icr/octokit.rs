//! The platform's own client, unmodified: it signs, finds its installation, gets a token and uses it.

use std::process::Command;

use scopegate::clock::{Clock, Timestamp};
use serde_json::{Value, json};

use super::{ACME, OCTO, World, registry};
use crate::e2e::interop::{library, root, run};
use crate::support::tokens::RSA;

/// What the client says at the end, with its clock this many seconds ahead.
fn octokit(world: &World, app: &Value, ahead: i64) -> Value {
    for name in ["auth-app", "core"] {
        library(&format!("node_modules/@octokit/{name}"));
    }
    let order = json!({
        "url": world.node.url(), "app": app, "key": RSA, "installation": ACME, "ahead": ahead,
        "path": "/repos/acme/hello/contents/README.md",
    });
    let script = root().join("tests/interop/octokit.mjs");
    serde_json::from_str(&run(Command::new("node").arg(script), &order.to_string())).unwrap()
}

fn world() -> World {
    // It measures by the real time.
    World::at(Timestamp::from_secs(Clock::System.now().secs()), "", &registry())
}

#[test]
fn f157_octokit_gets_a_token_for_an_installation_and_uses_it() {
    let world = world();
    for app in [json!(OCTO), world.app(&world.jwt()).json()["id"].clone()] {
        let said = octokit(&world, &app, 0);
        assert_eq!((&said["status"], &said["warnings"]), (&json!(200), &json!(0)), "{said}");
        assert_eq!((&said["slug"], &said["installations"]), (&json!("octo-s-app"), &json!(3)), "{said}");
        assert_eq!(said["permissions"], json!({ "contents": "read" }));
        assert_eq!(said["revoked"], 204);
    }
}

#[test]
fn f159_octokit_sets_its_clock_by_the_date_of_a_refusal_and_tries_again() {
    for ahead in [120, -1000] {
        let world = world();
        let said = octokit(&world, &json!(OCTO), ahead);
        assert_eq!(said["status"], 200, "{ahead}: {said}");
        assert!(said["warnings"].as_i64().unwrap() > 0, "{ahead}: it had to be told");
    }
    // A clock that is two minutes slow is within the life of what it signs.
    let world = world();
    assert_eq!(octokit(&world, &json!(OCTO), -120)["status"], 200);
}

#[test]
fn octokit_rest_reads_what_has_a_slash_in_its_name() {
    library("node_modules/@octokit/rest");
    let of = |id: &str, path: &str| {
        format!(
            "[[route]]\nid = {id:?}\nmethods = [\"GET\"]\npath = \"/repos/{{owner}}/{{repo}}/{path}\"\n\
             authenticator = \"icr-installation\"\n\
             permission = {{ name = \"contents\", level = \"read\", owner_param = \"owner\", repository_param = \"repo\" }}\n"
        )
    };
    let routes = [of("ref", "git/ref/{ref}"), of("branch", "branches/{branch}")].concat();
    let world = World::at(Timestamp::from_secs(Clock::System.now().secs()), &routes, &registry());
    let order = json!({ "url": world.node.url(), "token": world.token(ACME, "") });
    let script = root().join("tests/interop/octokit_rest.mjs");
    let said: Value = serde_json::from_str(&run(Command::new("node").arg(script), &order.to_string())).unwrap();
    assert_eq!(said, json!({ "content": 200, "ref": 200, "branch": 200, "climbing": 400 }));
    let targets: Vec<_> = world.upstream.all().into_iter().map(|seen| seen.target).collect();
    let wanted = ["contents/docs%2Fx.md", "git/ref/heads%2Ffeature%2Fx", "branches/feature%2Fx"];
    assert_eq!(targets, wanted.map(|path| format!("/repos/acme/hello/{path}")));
}
