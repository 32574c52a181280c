//! Rows about who gets in, and what the others are told.

use super::world::{
    ACCOUNT, BOT, SECOND_BOT, STRANGE_BOT, UPLOAD, admin, bare, bare_admin, changelogs, ci, stranger, world,
};
use super::{assert_credentials, assert_refused, assert_scope};
use crate::e2e::harness::{Answer, App, Call, Connection, Gateway, Recorder, Registry, Setup};

#[test]
fn f001_no_route_is_called_without_a_token() {
    let world = world();
    let mut connection = Connection::open(world.gateway.proxy);
    assert!(world.apis.len() >= 80, "{} routes", world.apis.len());
    for api in &world.apis {
        let replies: Vec<_> = api.calls(BOT).map(|call| connection.call(&call.mark("f001"))).collect();
        replies.iter().for_each(assert_credentials);
        assert!(!replies.is_empty(), "{}", api.id);
    }
    assert!(world.upstream.marked("f001").is_empty());
}

#[test]
fn f002_the_token_stands_bare_in_the_header_auth() {
    let world = world();
    let token = ci().token();
    let call = Call::get(changelogs(BOT)).mark("f002");
    assert_eq!(world.call(&call.clone().auth(&token)).status, 200);
    let seen = world.upstream.marked("f002");
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("auth"), None, "the credential ends at the gateway");

    let elsewhere = world.call(&call.clone().bearer(&token));
    assert_credentials(&elsewhere);
    let line = world.gateway.logged(elsewhere.request_id());
    assert_eq!(line["reason"], "credential.missing");
    assert_eq!(line["found"], "no auth, but a header authorization");
    let more = ["--header", "authorization"];
    let (_, text) = world.gateway.setup.explain(&format!("Bearer {token}"), "GET", &changelogs(BOT), &more);
    assert!(text.contains("Send the token in the header \"auth\", bare."), "{text}");

    let in_query = Call::get(format!("{}?auth={token}", changelogs(BOT))).mark("f002");
    for elsewhere in
        [in_query, call.clone().header("cookie", format!("auth={token}")), call.clone().header("token", &token)]
    {
        assert_credentials(&world.call(&elsewhere));
    }
    let with_scheme = world.call(&call.auth(format!("Bearer {token}")));
    super::assert_no_token(&with_scheme);
    assert_eq!(world.gateway.reason(&with_scheme), "credential.malformed");
    assert_eq!(world.upstream.marked("f002").len(), 1);
}

#[test]
fn f006_an_api_for_accounts_refuses_an_app_of_a_bot() {
    let world = world();
    let everything: Vec<_> = world.scopes.iter().filter(|(_, l)| l == "bot").map(|(id, _)| id.as_str()).collect();
    let app = App::new("f006-has-every-scope-of-a-bot", ACCOUNT, &[BOT], &everything);
    let upstream = Recorder::start();
    let registry = Registry::new().account(ACCOUNT, &[BOT]).apps(&[app.clone(), admin()]);
    let gateway = Gateway::start(Setup::kore(&upstream.url(), super::world::OWN_ROUTES), &registry);
    let import = Call::post("/api/public/bot/import", "{}");
    let refused = gateway.call(&import.clone().auth(app.token()));
    assert_scope(&refused);
    assert_eq!(gateway.reason(&refused), "app.wrong_level");
    assert!(upstream.all().is_empty());
    assert_eq!(gateway.call(&import.auth(admin().token())).status, 200);
    assert_eq!(upstream.all().len(), 1);
}

#[test]
fn f007_an_app_without_scopes_calls_no_api_that_asks_for_one() {
    let world = world();
    let mut connection = Connection::open(world.gateway.proxy);
    let scoped = |api: &&super::world::Api| api.bot_scope.is_some() || api.account_scope.is_some();
    for app in [bare(), bare_admin()] {
        let (token, mut count) = (app.token(), 0);
        for api in world.apis.iter().filter(scoped) {
            for call in api.calls(BOT) {
                assert_scope(&connection.call(&call.auth(&token).mark("f007")));
                count += 1;
            }
        }
        assert!(count >= 80, "{count} calls");
        assert_eq!(world.call(&Call::post(UPLOAD, "file").auth(&token)).status, 200, "it is the scopes that it lacks");
    }
    assert!(world.upstream.marked("f007").is_empty());
}

#[test]
fn f014_a_change_log_call_goes_through_unchanged() {
    let logs = "[{\"_id\":\"btl-1\",  \"message\":\"Bot \\u0075pdated – ✓\"}]\n";
    let upstream = Recorder::answering(move |_| {
        let response = http::Response::builder().header("content-type", "application/json").header("x-vendor", "kore");
        Answer::new(response.body(logs).unwrap())
    });
    let registry = Registry::new().account(ACCOUNT, &[BOT]).app(&ci());
    let gateway = Gateway::start(Setup::kore(&upstream.url(), ""), &registry);
    let target = format!("{}?offset=0&limit=50&startDate=2026-01-01T00%3A00%3a00Z&x=%2F;a&&empty=", changelogs(BOT));
    let reply = gateway.call(&Call::get(&target).auth(ci().token()).header("Content-Type", "application/json"));
    assert_eq!((reply.status, reply.body), (200, logs.as_bytes().to_vec()));
    assert_eq!(reply.headers.iter().find(|(n, _)| n == "x-vendor").unwrap().1, "kore");
    let [seen] = &upstream.all()[..] else { panic!("not one call") };
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", target.as_str()));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("x-scopegate-app"), Some(ci().client_id.as_str()));
    assert_eq!(seen.header("x-scopegate-account"), Some(ACCOUNT));
    assert_eq!(seen.header("x-scopegate-bot"), Some(BOT));
    assert_eq!(seen.header("x-scopegate-scopes"), Some("logs:change_logs"));
    assert_eq!(seen.header("x-scopegate-subject"), Some("1234567890"));
    assert_eq!(seen.header("auth"), None);
}

#[test]
fn f014_an_answer_is_relayed_byte_for_byte() {
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let bodies = [
        ("200 application/json", b"[{\"_id\":\"btl-1\",  \"message\":\"Bot \\u0075pdated\"}]\n".to_vec()),
        ("200 application/octet-stream", bytes),
        ("200 text/plain", Vec::new()),
        ("412 application/json", br#"{"errors":[{"msg":"Validation errors/ Invalid arguments","code":412}]}"#.to_vec()),
        ("500 text/html", b"<h1>\xff</h1>".to_vec()),
    ];
    let answers = bodies.clone();
    let upstream = Recorder::answering(move |seen| {
        let (what, body) = &answers[seen.target.rsplit_once("limit=").unwrap().1.parse::<usize>().unwrap()];
        let (status, kind) = what.split_once(' ').unwrap();
        let response = http::Response::builder().status(status.parse::<u16>().unwrap()).header("content-type", kind);
        let response = response.header("x-vendor", "one").header("x-vendor", "two").header("content-encoding", "br");
        Answer::new(response.body(body.clone()).unwrap())
    });
    let registry = Registry::new().account(ACCOUNT, &[BOT]).app(&ci());
    let gateway = Gateway::start(Setup::kore(&upstream.url(), ""), &registry);
    let mut connection = Connection::open(gateway.proxy);
    for (i, (what, body)) in bodies.into_iter().enumerate() {
        let reply = connection.call(&Call::get(format!("{}?limit={i}", changelogs(BOT))).auth(ci().token()));
        let (status, kind) = what.split_once(' ').unwrap();
        assert_eq!(reply.status.to_string(), status);
        assert!(reply.body == body, "{what}: {} bytes of {}", reply.body.len(), body.len());
        let ours = ["date", "x-request-id", "content-length"];
        let theirs: Vec<_> = reply.headers.iter().filter(|(name, _)| !ours.contains(&name.as_str())).collect();
        let sent = [("content-type", kind), ("x-vendor", "one"), ("x-vendor", "two"), ("content-encoding", "br")];
        assert_eq!(theirs, sent.map(|(n, v)| (n.to_owned(), v.to_owned())).iter().collect::<Vec<_>>(), "{what}");
    }
}

#[test]
fn f021_a_wrong_method_is_405_before_the_token_is_looked_at() {
    let world = world();
    let call = Call::post(changelogs(BOT), "{}").mark("f021");
    let altered = ci().token().replace(".ey", ".eY");
    for call in [call.clone(), call.clone().auth("no token"), call.clone().auth(altered), call.auth(ci().token())] {
        let reply = world.call(&call);
        assert_refused(&reply, 405, "Method Not Allowed", 405);
        assert_eq!(reply.header("allow"), Some("GET"));
        assert_eq!(world.gateway.reason(&reply), "method.not_allowed");
    }
    assert!(world.upstream.marked("f021").is_empty());
}

#[test]
fn f023_explain_names_the_missing_scope_and_those_that_the_app_has() {
    let chat = super::world::only("bot", "chat_history:read");
    let text = world().explain(&chat.token());
    assert!(text.contains("scope.insufficient"), "{text}");
    assert!(text.contains("The route needs logs:change_logs (Logs History) at level bot"), "{text}");
    assert!(text.contains("Found: chat_history:read"), "{text}");

    let account = super::world::only("account", "chat_history:read");
    let text = world().explain(&account.token());
    assert!(text.contains("logs:change_logs (Logs > Bot Audit Logs) at level account"), "{text}");
    assert!(text.contains("Found: chat_history:read"), "{text}");
}

#[test]
fn f024_an_app_of_another_account_is_refused_and_explain_names_both() {
    let world = world();
    for (app, bot) in [(stranger(), BOT), (admin(), STRANGE_BOT), (ci(), STRANGE_BOT)] {
        let token = app.token();
        let reply = world.call(&Call::get(changelogs(bot)).auth(&token).mark("f024"));
        assert_credentials(&reply);
        assert_eq!(world.gateway.reason(&reply), "app.wrong_account");
        let text = world.explain_at(&token, "GET", &changelogs(bot));
        assert!(text.contains("app.wrong_account"), "{text}");
        assert!(text.contains("account acme") && text.contains("account globex"), "{text}");
    }
    assert!(world.upstream.marked("f024").is_empty());
}

#[test]
fn f070_an_app_without_scopes_authenticates_and_holds_nothing() {
    let world = world();
    let token = bare().token();
    assert_eq!(world.call(&Call::post(UPLOAD, "file").auth(&token).mark("f070")).status, 200);
    assert_scope(&world.call(&Call::get(changelogs(BOT)).auth(&token).mark("f070")));
    assert_eq!(world.upstream.marked("f070").len(), 1);
}

#[test]
fn f072_a_grant_on_one_bot_says_nothing_about_another() {
    let upstream = Recorder::start();
    let app = App::new("f072-of-two-bots", ACCOUNT, &[BOT, SECOND_BOT], &[]);
    let grant = format!("[[grant]]\napp = {:?}\nbot = {BOT:?}\nscopes = [\"logs:change_logs\"]", app.client_id);
    let registry = Registry::new().account(ACCOUNT, &[BOT, SECOND_BOT]).app(&app).lines(&grant);
    let gateway = Gateway::start(Setup::kore(&upstream.url(), ""), &registry);
    assert_eq!(gateway.call(&Call::get(changelogs(BOT)).auth(app.token())).status, 200);
    let other = gateway.call(&Call::get(changelogs(SECOND_BOT)).auth(app.token()));
    assert_scope(&other);
    assert_eq!(gateway.reason(&other), "scope.insufficient");
    assert_eq!(upstream.all().len(), 1);
}

#[test]
fn f073_a_bot_that_is_added_later_is_covered_by_the_grant_on_its_account() {
    let upstream = Recorder::start();
    let registry = Registry::new().account(ACCOUNT, &[BOT]).app(&admin());
    let gateway = Gateway::start(Setup::kore(&upstream.url(), ""), &registry);
    let call = Call::get(changelogs(SECOND_BOT)).auth(admin().token());
    assert_refused(&gateway.call(&call), 400, "Invalid StreamId", 400);
    let more = Registry::new().account(ACCOUNT, &[SECOND_BOT]);
    gateway.apply_until(&more, "the new bot is known", || gateway.call(&call).status == 200);
}

#[test]
fn f087_a_token_is_part_of_each_call_and_nothing_stands_in_for_it() {
    let upstream = Recorder::answering(|_| {
        Answer::new(http::Response::builder().header("set-cookie", "session=1; Path=/").body("logged in").unwrap())
    });
    let registry = Registry::new().account(ACCOUNT, &[BOT]).app(&ci());
    let gateway = Gateway::start(Setup::kore(&upstream.url(), ""), &registry);
    let mut connection = Connection::open(gateway.proxy);
    let call = Call::get(changelogs(BOT));
    let good = connection.call(&call.clone().auth(ci().token()));
    assert_eq!((good.status, good.header("set-cookie")), (200, Some("session=1; Path=/")));
    // Neither the connection nor what the upstream calls a session is one here.
    for again in [call.clone(), call.clone().header("cookie", "session=1"), call.header("auth", "")] {
        assert_eq!(connection.call(&again).status, 401);
    }
    assert_eq!(upstream.all().len(), 1);
}
