//! The platform's quotas: who has none left is told so in its words, and when to try again.

use super::assert_refused;
use super::world::{ACCOUNT, BOT, SECOND_BOT, admin, bare, changelogs};
use crate::e2e::harness::{Answer, Call, Connection, Gateway, Recorder, Registry, Reply, Setup, eventually};

/// Three calls an hour for each bot.
const THREE: &str = "[quota.design-time]\nwindows = [{ calls = 3, per = \"1h\" }]\n";

fn registry() -> Registry {
    Registry::new().account(ACCOUNT, &[BOT, SECOND_BOT]).apps(&[admin(), bare()])
}

fn start(profile: &str, sections: &str) -> (Gateway, Recorder) {
    let upstream = Recorder::answering(|_| {
        let response = http::Response::builder().header("ratelimit", "\"theirs\";r=1").body("logs").unwrap();
        Answer::new(response)
    });
    (Gateway::start(Setup::kore_with(profile, &upstream.url(), sections), &registry()), upstream)
}

fn logs(gateway: &Gateway, bot: &str) -> Reply {
    gateway.call(&Call::get(changelogs(bot)).auth(admin().token()))
}

#[track_caller]
fn assert_exceeded(reply: &Reply) {
    let text = "Rate limit for this API has been reached. Please try again after some time.";
    assert_refused(reply, 429, text, 429);
}

#[test]
fn a_bot_has_its_calls_of_a_minute_at_once_and_then_waits() {
    let (gateway, upstream) = start("", "");
    let mut connection = Connection::open(gateway.proxy);
    let call = Call::get(changelogs(BOT)).auth(admin().token());
    let mut passed = 0;
    // One comes back each second while this runs.
    let refused = (0..600).find_map(|_| {
        let reply = connection.call(&call);
        passed += usize::from(reply.status == 200);
        (reply.status != 200).then_some(reply)
    });
    let refused = refused.unwrap();
    assert!(passed >= 60, "{passed}");
    assert_eq!(upstream.all().len(), passed);
    assert_exceeded(&refused);
    assert_eq!(refused.header("retry-after"), Some("1"));
    let line = gateway.logged(refused.request_id());
    assert_eq!(line["reason"], "quota.exceeded");
    let expected = format!("at most 60 calls in 1m (quota design-time), by bot {BOT:?}");
    assert_eq!((&line["expected"], &line["found"]), (&expected.into(), &"none left; the next in 1 s".into()));
    assert_eq!(connection.call(&Call::get(changelogs(SECOND_BOT)).auth(admin().token())).status, 200);
    eventually("a call has come back", || (connection.call(&call).status == 200).then_some(()));
}

#[test]
fn what_is_left_stands_in_every_answer_to_a_call_that_was_counted() {
    let (gateway, _upstream) = start("", THREE);
    let call = Call::get(changelogs(BOT));
    for call in [call.clone(), call.clone().auth("x"), call.auth(bare().token())] {
        let refused = gateway.call(&call);
        assert_eq!((refused.status, refused.header("ratelimit")), (401, None), "it is not counted");
    }
    for left in [2, 1, 0] {
        let reply = logs(&gateway, BOT);
        assert_eq!(reply.header("ratelimit-policy"), Some("\"design-time\";q=3;w=3600"));
        let standing = format!("\"design-time\";r={left};t=1200");
        let all: Vec<_> = reply.headers.iter().filter(|(name, _)| name == "ratelimit").collect();
        assert_eq!((reply.status, all), (200, vec![&("ratelimit".to_owned(), standing)]), "in place of the upstream's");
    }
    let refused = logs(&gateway, BOT);
    assert_exceeded(&refused);
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1100..=1200).contains(&seconds), "{seconds}");
    assert_eq!(refused.header("ratelimit"), Some(format!("\"design-time\";r=0;t={seconds}").as_str()));
    assert_eq!(refused.header("ratelimit-policy"), Some("\"design-time\";q=3;w=3600"));

    let metrics = String::from_utf8(Call::get("/metrics").to(gateway.telemetry).body).unwrap();
    assert!(metrics.contains("scopegate_quota_refusals_total{quota=\"design-time\"} 1"), "{metrics}");
    eventually("the reason is counted, too, and the key", || {
        let metrics = String::from_utf8(Call::get("/metrics").to(gateway.telemetry).body).unwrap();
        let has = |text: &str| metrics.contains(text);
        (has("scopegate_refusals_total{reason=\"quota.exceeded\"} 1") && has("scopegate_quota_keys 1")).then_some(())
    });
}

#[test]
fn a_reload_keeps_what_was_counted_unless_it_changes_the_quota() {
    let (gateway, _upstream) = start("", THREE);
    let setup = &gateway.setup;
    assert_eq!([(); 4].map(|()| logs(&gateway, BOT).status), [200, 200, 200, 429]);
    setup.write(
        "scopegate.toml",
        &format!("{}\n[quota.another]\nwindows = [{{ calls = 1, per = \"1s\" }}]\n", setup.read("scopegate.toml")),
    );
    setup.succeed(&["reload"]);
    assert_eq!(logs(&gateway, BOT).status, 429);
    setup.edit("calls = 3", "calls = 4");
    setup.succeed(&["reload"]);
    assert_eq!([(); 5].map(|()| logs(&gateway, BOT).status), [200, 200, 200, 200, 429]);
    setup.edit("[profile.kore]", "[profile.kore]\nquotas = false");
    setup.succeed(&["reload"]);
    let free = logs(&gateway, BOT);
    assert_eq!((free.status, free.header("ratelimit")), (200, Some("\"theirs\";r=1")));
}

#[test]
fn without_its_quotas_the_profile_lets_every_call_through() {
    let (gateway, upstream) = start("quotas = false", THREE);
    let mut connection = Connection::open(gateway.proxy);
    let call = Call::get(changelogs(BOT)).auth(admin().token());
    assert!((0..200).all(|_| connection.call(&call).status == 200));
    assert_eq!(upstream.all().len(), 200);
    let apis = gateway.setup.json(&["catalog", "list", "--json"]);
    assert!(apis.as_array().unwrap().iter().all(|api| api["quota"].is_null()));
}

#[test]
fn the_quota_of_a_route_is_in_the_catalogue_in_check_and_in_explain() {
    let setup = Setup::kore_with("", "http://127.0.0.1:9", "");
    setup.apply(&registry());
    let apis = setup.json(&["catalog", "list", "--json"]);
    let quota = |id: &str| {
        let api = apis.as_array().unwrap().iter().find(|api| api["id"] == id).unwrap();
        api["quota"].as_str().unwrap().to_owned()
    };
    let of = [
        ("get-change-logs", "design-time"),
        ("send-proactive-notification", "runtime"),
        ("get-bots", "design-time-admin"),
        ("query-view", "runtime-table"),
        ("get-test-run-status", "design-time-status"),
    ];
    let table = setup.succeed(&["check"]);
    for (id, name) in of {
        assert_eq!(quota(id), name);
        let line = table.lines().find(|line| line.ends_with(&format!(" {id}"))).unwrap();
        assert!(line.split_whitespace().any(|word| word == name), "{line}");
    }
    let (goes_on, text) = setup.explain(&admin().token(), "GET", &changelogs(BOT), &[]);
    assert!(goes_on, "{text}");
    let told = "design-time: 60 calls in 1m and 1800 calls in 1h, by bot; what is left is not judged here";
    assert!(text.lines().any(|line| line.starts_with("ok      quota") && line.ends_with(told)), "{text}");
}
