//! The journal of used tokens: over a kill, over a regular end, and by whom it may be opened.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::{PATH, ci, registry};
use crate::e2e::harness::{Answer, Call, Child, Connection, Gateway, Recorder, Setup, Token, eventually, texts};

const REPLAY: &str = "error verifying the jwt: possibly a replay";

fn single_use(jti: &str) -> Call {
    let token = Token::of("ci").claim("jti", jti).sign(ci().secret());
    Call::get(PATH).auth(token).mark(jti)
}

/// How often the upstream saw each mark.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<HashMap<String, usize>>>);

impl Seen {
    fn upstream(&self) -> Recorder {
        let seen = self.clone();
        Recorder::answering(move |request| {
            let mark = request.header("x-mark").unwrap_or_default().to_owned();
            *seen.0.lock().unwrap().entry(mark).or_default() += 1;
            Answer::new(http::Response::new("seen"))
        })
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn all(&self) -> HashMap<String, usize> {
        self.0.lock().unwrap().clone()
    }
}

/// Sends fresh tokens until the connection breaks; returns those that were answered with 200.
fn load(proxy: SocketAddr, name: &str) -> Vec<String> {
    let mut connection = Connection::open(proxy);
    let mut passed = Vec::new();
    for n in 0.. {
        let jti = format!("{name}-{n}");
        if connection.try_send(&single_use(&jti).bytes()).is_err() {
            break;
        }
        match connection.read(false) {
            Ok(reply) => {
                assert_eq!(reply.status, 200, "{reply:?}");
                passed.push(jti);
            }
            Err(_) => break,
        }
    }
    passed
}

/// Sends each token once more; all have to be replays.
fn replay<'t>(proxy: SocketAddr, tokens: impl Iterator<Item = &'t String>) -> usize {
    let mut connection = Connection::open(proxy);
    let mut replayed = 0;
    for jti in tokens {
        let reply = connection.call(&single_use(jti));
        assert_eq!(reply.status, 401, "{jti}");
        assert_eq!(reply.json()["errors"][0]["msg"], REPLAY, "{jti}");
        replayed += 1;
    }
    replayed
}

/// Kills the gateway under load again and again. Whatever the upstream saw, or a caller was told to be good, is a replay
/// for the gateway that comes after.
fn kill_under_load(settings: &str, kills: usize) {
    let seen = Seen::default();
    let upstream = seen.upstream();
    let setup = Setup::kore(&upstream.url(), "");
    setup.edit("url = \"sqlite://replay.db\"", &format!("url = \"sqlite://replay.db\"\n{settings}"));
    setup.edit("workers = 1", "workers = 2");
    let mut gateway = Gateway::start(setup, &registry(&[ci()]));
    for round in 0..kills {
        let (proxy, before) = (gateway.proxy, seen.count());
        let passed = std::thread::scope(|scope| {
            let names: Vec<_> = (0..8).map(|connection| format!("{round}-{connection}")).collect();
            let clients: Vec<_> = names.into_iter().map(|name| scope.spawn(move || load(proxy, &name))).collect();
            // At another moment of the load each time.
            let enough = before + 20 + 13 * (round % 7);
            eventually("the upstream is under load", || (seen.count() >= enough).then_some(()));
            gateway.signal("KILL");
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
        });
        gateway = Gateway::serve(gateway.kill(), &[]);
        let known = seen.all();
        let of_round = |jti: &&String| jti.starts_with(&format!("{round}-"));
        assert!(known.keys().filter(of_round).count() >= 20 && !passed.is_empty());
        assert!(passed.iter().all(|jti| known.contains_key(jti)));
        replay(gateway.proxy, known.keys().filter(of_round));
    }
    let known = seen.all();
    assert_eq!(replay(gateway.proxy, known.keys()), known.len());
    let twice: Vec<_> = seen.all().into_iter().filter(|(_, times)| *times > 1).collect();
    assert_eq!(twice, Vec::new(), "no token reached the upstream twice");
}

#[test]
fn a_used_token_is_used_after_any_of_twenty_kills() {
    kill_under_load("durability = \"process\"", 20);
}

#[test]
fn a_used_token_is_used_after_a_kill_where_the_journal_survives_the_power() {
    kill_under_load("durability = \"power\"", 2);
}

#[test]
fn a_regular_end_closes_the_journal() {
    let upstream = Recorder::start();
    let mut gateway = Gateway::start(Setup::kore(&upstream.url(), ""), &registry(&[ci()]));
    assert_eq!(gateway.call(&single_use("a")).status, 200);
    let metrics = Call::get("/metrics").to(gateway.telemetry);
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(metrics.contains("scopegate_replay_commit_duration_seconds_count 1"), "{metrics}");
    assert!(metrics.contains("scopegate_replay_batch_size_bucket{le=\"1\"} 1"), "{metrics}");
    assert!(gateway.setup.path().join("replay.db-wal").exists());
    gateway.signal("TERM");
    let (status, _, err) = gateway.wait();
    assert_eq!(status.code(), Some(0), "{err}");
    assert!(!gateway.setup.path().join("replay.db-wal").exists());
    let mut gateway = Gateway::serve(gateway.kill(), &[]);
    gateway.await_event("\"entries\":1");
    assert_eq!(gateway.call(&single_use("a")).status, 401);
    assert_eq!(gateway.call(&single_use("b")).status, 200);
    assert_eq!(upstream.all().len(), 2);
}

#[test]
fn a_second_gateway_on_the_same_store_has_a_journal_of_its_own() {
    let upstream = Recorder::start();
    let gateway = Gateway::start(Setup::kore(&upstream.url(), ""), &registry(&[ci()]));
    let refused = gateway.setup.run(&["serve"]);
    let (_, err) = texts(&refused);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err.contains("replay.db is in use by another process") && err.contains("set replay.url"), "{err}");
    let environment = [("SCOPEGATE__REPLAY__URL", "sqlite://second.db")];
    let mut second = Child::spawn(gateway.setup.path(), &["serve", "-c", "scopegate.toml"], &environment);
    second.await_err("it takes calls", |line| line.contains("taking calls").then_some(()));
    assert_eq!(gateway.call(&single_use("a")).status, 200);
}

#[test]
fn a_journal_that_can_not_be_used_is_named_at_the_start() {
    let setup = Setup::kore("http://127.0.0.1:9", "");
    setup.apply(&registry(&[ci()]));
    let said = |setup: &Setup| {
        let failed = setup.run(&["serve"]);
        assert_eq!(failed.status.code(), Some(1));
        texts(&failed).1
    };
    setup.write("replay.db", &"no database, and long enough to be looked at by anybody who opens it. ".repeat(9));
    assert!(said(&setup).contains("the replay journal replay.db is damaged"), "{}", said(&setup));
    fs::remove_file(setup.path().join("replay.db")).unwrap();
    fs::copy(setup.path().join("scopegate.db"), setup.path().join("replay.db")).unwrap();
    assert!(said(&setup).contains("replay.db is a database, but no replay journal"), "{}", said(&setup));
    setup.edit("sqlite://replay.db", "sqlite://no/folder/replay.db");
    setup.write("no", "a file where a folder should be");
    assert!(said(&setup).contains("the replay journal no/folder can't be used"), "{}", said(&setup));
}
