//! A Khoros token that refreshes itself.

use std::time::Duration;

use scopegate::cli::agent::{Issuer, Schedule, Step, render};
use scopegate::clock::Timestamp;

use super::gateway::Instead;
use super::{Bench, DAY, SCHEDULE};
use crate::support::{Token, now};

fn issuer() -> Issuer {
    Issuer::Khoros { url: "http://gateway.test".into(), app_id: "bot-1".into() }
}

/// With a first token in the file that nothing says the life of.
fn bench() -> Bench {
    let bench = Bench::new(issuer(), SCHEDULE);
    bench.write(&bench.gateway.rotate());
    bench
}

/// With a token that has just been refreshed.
async fn fresh() -> Bench {
    let mut bench = bench();
    bench.step().await;
    bench.said();
    bench
}

#[tokio::test]
async fn f056_a_token_is_refreshed_when_it_is_due_and_not_before() {
    let mut bench = fresh().await;
    assert_eq!((bench.read().as_str(), bench.waits().await), ("token-2", 60 * DAY));
    bench.hands.advance(Duration::from_secs(60 * 86_400 - 1));
    assert_eq!((bench.waits().await, bench.read().as_str()), (Duration::from_secs(1), "token-2"));
    bench.hands.advance(Duration::from_secs(1));
    assert_eq!((bench.waits().await, bench.read().as_str()), (60 * DAY, "token-3"));
    assert!(bench.said().contains("refreshed: the token is good until 2027-"));
}

#[tokio::test]
async fn f056_readers_of_the_file_meet_no_refusal_in_a_thousand_rotations() {
    let mut bench = fresh().await;
    let path = bench.folder.path().join("token");
    // Before, during and after each refresh: what is in the file is good, and stays so for ten minutes more.
    let (mut calls, mut held) = (0, bench.read());
    for _ in 0..1000 {
        bench.hands.advance(60 * DAY);
        let (gateway, path) = (bench.gateway.clone(), path.clone());
        let reader = gateway.clone();
        gateway.inner().meanwhile = Some(Box::new(move || {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(reader.takes(text.trim_end()));
        }));
        bench.step().await;
        for token in [held, bench.read()] {
            assert!(bench.gateway.takes(&token), "{token}");
            calls += 1;
        }
        held = bench.read();
    }
    assert_eq!((calls, held.as_str(), bench.keeper.numbers().refreshes), (2000, "token-1002", 1001));
    assert_eq!(std::fs::read_dir(bench.folder.path()).unwrap().count(), 1, "nothing is left beside the file");
}

#[tokio::test]
async fn f057_a_failure_is_tried_again_and_fatal_at_the_end() {
    let mut bench = fresh().await;
    bench.hands.advance(60 * DAY);
    let refuse = || bench.gateway.inner().instead.push(Instead::Unreachable);
    refuse();
    // Half of the bound, which is what this test's chance says: of 5 s, then 10 s, then 20 s.
    let mut waits = Vec::new();
    for _ in 0..4 {
        let wait = bench.waits().await;
        waits.push(wait.as_millis());
        bench.hands.advance(wait);
        bench.gateway.inner().instead.push(Instead::Unreachable);
    }
    assert_eq!(waits, [2500, 5000, 10_000, 20_000]);
    let said = bench.said();
    assert!(said.contains("30days left: no connection") && said.contains("ALERT: the token ends in less than 30 days"));
    assert_eq!(said.matches("ALERT").count(), 1, "{said}");

    bench.hands.advance(17 * DAY);
    assert!(
        matches!(bench.step().await, Step::Wait(_)) && bench.said().contains("ALERT: the token ends in less than 14")
    );
    bench.gateway.inner().instead.push(Instead::Unreachable);
    bench.hands.advance(7 * DAY);
    assert_eq!(bench.step().await, Step::GiveUp);
    let metrics = render("bot-1", &bench.keeper.numbers(), bench.keeper.now());
    assert!(metrics.contains("token_days_left{app=\"bot-1\"} 5.99"), "{metrics}");
}

#[tokio::test]
async fn f057_a_token_of_unknown_life_that_can_not_be_refreshed_is_given_up() {
    let mut bench = bench();
    bench.gateway.inner().instead.push(Instead::Answer(500, None));
    assert_eq!(bench.step().await, Step::GiveUp);
    assert!(bench.said().contains("not refreshed: 500 Internal Server Error \"not now\""));
}

#[tokio::test]
async fn a_gateway_that_asks_for_time_gets_it() {
    let mut bench = fresh().await;
    bench.hands.advance(60 * DAY);
    bench.gateway.inner().instead.push(Instead::Answer(429, Some("1800")));
    assert_eq!(bench.waits().await, Duration::from_secs(1800));
    bench.hands.advance(Duration::from_secs(1799));
    bench.step().await;
    assert_eq!((bench.read().as_str(), bench.gateway.inner().calls), ("token-2", 2));
    bench.hands.advance(Duration::from_secs(1));
    bench.step().await;
    assert_eq!(bench.read(), "token-3");
}

#[tokio::test]
async fn a_token_that_somebody_else_refreshed_is_taken_over() {
    let mut bench = fresh().await;
    bench.hands.advance(60 * DAY);
    // Another agent is just a moment faster: it has the answer, and replaces the file while this one asks.
    let (gateway, path) = (bench.gateway.clone(), bench.folder.path().join("token"));
    let other = gateway.clone();
    gateway.inner().meanwhile = Some(Box::new(move || std::fs::write(path, other.rotate()).unwrap()));
    bench.step().await;
    assert_eq!(
        (bench.read().as_str(), bench.said().as_str()),
        ("token-3", "the file holds another token now, which is used from here on",)
    );
    // Nothing says how long it is good, so it is taken to be good for a day, and not refreshed in turn at once.
    assert_eq!((bench.waits().await, bench.read().as_str()), (2 * DAY / 3, "token-3"));
    assert_eq!(bench.keeper.numbers().failures, 0);
}

#[tokio::test]
async fn a_token_that_was_superseded_waits_for_the_new_one() {
    let mut bench = fresh().await;
    bench.hands.advance(60 * DAY);
    let new = bench.gateway.rotate();
    assert!(matches!(bench.step().await, Step::Wait(_)));
    assert!(bench.said().contains("409 Conflict \"Unauthorized\"; the token was refreshed elsewhere"));
    // By hand.
    bench.write(&new);
    assert_eq!((bench.waits().await, bench.read()), (2 * DAY / 3, new));
    assert_eq!(bench.said(), "the file holds another token now, which is used from here on");
    bench.hands.advance(2 * DAY / 3);
    bench.step().await;
    assert_eq!(bench.read(), "token-4");
}

#[tokio::test]
async fn a_refresh_whose_answer_is_lost_is_told_for_what_it_is() {
    let mut bench = fresh().await;
    bench.hands.advance(60 * DAY);
    bench.gateway.inner().instead.push(Instead::Lost);
    let wait = bench.waits().await;
    assert!(bench.said().contains("no answer: it took longer than 10s"));
    bench.hands.advance(wait);
    bench.step().await;
    assert!(bench.said().contains("refreshed elsewhere"));
}

#[tokio::test]
async fn the_life_of_a_token_is_read_from_its_claims() {
    let mut bench = Bench::new(issuer(), SCHEDULE);
    let secs = now().secs();
    let token = Token::of("bot-1").claim("iat", secs - 10).claim("exp", secs + 86_390).make();
    bench.write(&token);
    assert_eq!(bench.waits().await.as_secs(), 86_390 - 86_400 / 3);
    assert_eq!(bench.gateway.inner().calls, 0);
}

#[tokio::test]
async fn the_answer_that_created_the_token_may_be_put_into_the_file_as_it_came() {
    let mut bench = Bench::new(issuer(), SCHEDULE);
    let token = bench.gateway.rotate();
    let until = now().after(90 * DAY).millis();
    bench
        .write(&format!("{{\"status\":\"success\",\"data\":{{\"token\":\"{token}\",\"expiresAtMillis: \":{until}}}}}"));
    assert_eq!((bench.waits().await, bench.read()), (60 * DAY, token));
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_corrected_by_the_gateways() {
    for ahead in [-120, 120] {
        let mut bench = bench();
        bench.gateway.inner().ahead = ahead;
        bench.step().await;
        let word = if ahead > 0 { "slow" } else { "fast" };
        assert!(bench.said().contains(&format!("this machine's clock is 120 s {word}, within 1 s")));
        // The wait is as long as by a clock that is right, but for the second that a Date does not divide.
        assert!(bench.waits().await.as_secs().abs_diff(60 * 86_400) <= 1, "{ahead}");
    }
}

#[tokio::test]
async fn a_file_that_can_not_be_replaced_stops_a_refresh_before_it_begins() {
    let mut bench = fresh().await;
    bench.hands.advance(60 * DAY);
    let folder = bench.folder.path().to_owned();
    let moved = folder.with_extension("moved");
    // The token can be read and its folder not be written: a link into a folder that is gone would do as well, and a
    // mode would not stop root.
    std::fs::rename(&folder, &moved).unwrap();
    let schedule = Schedule { refresh_below: None, exit_below: None };
    let mut keeper = Bench::keeper(issuer(), schedule, &folder, bench.gateway.clock().clone(), &bench.gateway);
    assert_eq!(keeper.step().await.unwrap(), Step::GiveUp);
    assert!(keeper.take_events()[0].to_string().contains("could not be kept"));
    assert_eq!(bench.gateway.inner().calls, 1);
    assert_eq!(bench.gateway.inner().current, "token-2");
    std::fs::rename(&moved, &folder).unwrap();
    bench.step().await;
    assert_eq!(bench.read(), "token-3");
}

#[tokio::test]
async fn no_event_shows_a_token() {
    let mut bench = bench();
    let mut all = String::new();
    for round in 0..6 {
        if round % 2 == 1 {
            bench.gateway.inner().instead.push(Instead::Answer(400, None));
        }
        bench.step().await;
        bench.hands.advance(60 * DAY);
        all.push_str(&format!("{:?}", bench.keeper.take_events()));
    }
    assert!(all.len() > 100 && !all.contains("token-"), "{all}");
    assert_ne!(bench.keeper.now(), Timestamp::default());
}
