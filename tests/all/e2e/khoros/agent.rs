//! The agent in front of the real gateway: a token that is refreshed for years under traffic that never stops.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use scopegate::cli::agent::{CallError, Issuer, Keeper, Parts, Schedule, Step, TokenFile, Transport};
use scopegate::clock::Clock;

use super::{DAY, World, renewal};
use crate::e2e::harness::{Call, Connection, eventually};

/// Sends the agent's requests to the gateway.
struct Wire(SocketAddr);

impl Transport for Wire {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, CallError> {
        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
        let mut call = Call::new(request.method().as_str(), request.uri().path());
        for (name, value) in request.headers().iter().filter(|(name, _)| *name != http::header::HOST) {
            call = call.header(name.as_str(), text(value));
        }
        let address = self.0;
        let reply = tokio::task::spawn_blocking(move || call.to(address)).await.unwrap();
        let mut response = Response::builder().status(reply.status);
        for (name, value) in &reply.headers {
            response = response.header(name, value);
        }
        Ok(response.body(reply.body.into()).unwrap())
    }
}

/// Calls with what is in the file, without a pause; counts the calls, and stops at one that fails.
fn traffic(address: SocketAddr, path: &Path, calls: &AtomicUsize, stop: &AtomicBool) -> Result<(), u16> {
    let mut connection = Connection::open(address);
    while !stop.load(Ordering::Relaxed) {
        let token = std::fs::read_to_string(path).unwrap();
        let reply = connection.call(&Call::post("/bots/v3/respond", "{}").bearer(token.trim_end()));
        if reply.status != 200 {
            return Err(reply.status);
        }
        calls.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

/// Two months between the rotations: the whole takes longer than a hundred and sixty years of the gateway's clock. The keys
/// that sign stay: a timer of real time rotates them, which years that pass within a second would overtake.
#[test]
fn f056_an_agent_refreshes_through_a_thousand_rotations_under_traffic_with_no_failed_call() {
    let world = World::with("[tokens]\nrotate_every = \"100000days\"");
    let (folder, address) = (tempfile::tempdir().unwrap(), world.node.address);
    let path: PathBuf = folder.path().join("token");
    std::fs::write(&path, world.token("alpha")).unwrap();
    let (calls, stop) = ([const { AtomicUsize::new(0) }; 2], AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut keeper = Keeper::new(Parts {
        issuer: Issuer::Khoros { url: world.node.url(), app_id: "alpha".into() },
        file: TokenFile::new(path.clone()),
        schedule: Schedule { refresh_below: None, exit_below: None },
        clock: Clock::Manual(Arc::clone(&world.node.clock)),
        transport: Wire(address),
        draw: Box::new(|| 0.5),
    });
    let outcomes: Vec<Result<(), u16>> = thread::scope(|scope| {
        let traffic: Vec<_> = calls.iter().map(|calls| scope.spawn(|| traffic(address, &path, calls, &stop))).collect();
        for rotation in 0..1000u64 {
            let step = runtime.block_on(keeper.step()).unwrap();
            assert!(matches!(step, Step::Wait(_)), "rotation {rotation}: {:?}", keeper.take_events());
            keeper.take_events();
            // Nobody holds a token for as long as its grace while days pass in an instant: each caller reads anew first.
            let seen = calls.each_ref().map(|calls| calls.load(Ordering::SeqCst));
            let is_over = || traffic.iter().any(|caller| caller.is_finished());
            eventually("each caller makes two calls more", || {
                let moved = calls.iter().zip(seen).all(|(calls, seen)| calls.load(Ordering::SeqCst) >= seen + 2);
                (moved || is_over()).then_some(())
            });
            if is_over() {
                break;
            }
            world.advance(60 * DAY);
        }
        stop.store(true, Ordering::Relaxed);
        traffic.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert_eq!(outcomes, [Ok(()), Ok(())]);
    let numbers = keeper.numbers();
    assert!(numbers.refreshes >= 999, "{}", numbers.refreshes);
    let made: usize = calls.iter().map(|calls| calls.load(Ordering::SeqCst)).sum();
    assert!(made >= 4000, "{made}");
}

#[test]
fn f057_an_agent_whose_token_was_given_up_says_so_and_gives_up() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let token = world.token("alpha");
    std::fs::write(&path, &token).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut keeper = Keeper::new(Parts {
        issuer: Issuer::Khoros { url: world.node.url(), app_id: "alpha".into() },
        file: TokenFile::new(path),
        schedule: Schedule { refresh_below: None, exit_below: None },
        clock: Clock::Manual(Arc::clone(&world.node.clock)),
        transport: Wire(world.node.address),
        draw: Box::new(|| 0.5),
    });
    assert!(matches!(runtime.block_on(keeper.step()).unwrap(), Step::Wait(_)));
    world.call(&Call::new("DELETE", renewal("alpha")).bearer(&token));
    for _ in 0..200 {
        world.advance(Duration::from_secs(43_200));
        if runtime.block_on(keeper.step()).unwrap() == Step::GiveUp {
            return;
        }
    }
    panic!("it never gave up: {:?}", keeper.take_events());
}
