//! One process after another: no call is lost between them, and no token is used twice.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{call, ci, registry};
use crate::e2e::harness::{
    Call, Child, Connection, Gateway, Recorder, Scripted, Setup, Token, eventually, rest, texts,
};

/// A gateway whose next process takes over, on a port that both know.
fn start(upstream: &str, workers: u32) -> Gateway {
    let setup = Setup::kore(upstream, "");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!(
        "listen = [\"127.0.0.1:{port}\", \"unix:proxy.sock\"]\ntakeover = \"takeover.sock\"\nworkers = {workers}"
    );
    setup.edit("listen = \"127.0.0.1:0\"\nworkers = 1", &listen);
    Gateway::start(setup, &registry(&[ci()]))
}

/// The next process; returns when it took over.
fn next(gateway: &Gateway) -> Child {
    let mut next = Child::spawn(gateway.setup.path(), &["serve", "-c", "scopegate.toml"], &[]);
    next.await_err("it takes calls", |line| line.contains("taking calls").then_some(()));
    next.await_err("it took over", |line| line.contains("took over").then_some(()));
    next
}

/// Callers on new connections and on ones that stay, until told to stop; each call has to be answered, and well.
struct Load {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    lost: Arc<Mutex<Vec<String>>>,
    callers: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn on(address: SocketAddr) -> Self {
        let (stop, calls, lost) = (Arc::default(), Arc::default(), Arc::default());
        let mut load = Self { stop, calls, lost, callers: Vec::new() };
        for stays in [false, false, true, true] {
            let (stop, calls, lost) = (Arc::clone(&load.stop), Arc::clone(&load.calls), Arc::clone(&load.lost));
            load.callers.push(std::thread::spawn(move || {
                let mut open = None;
                while !stop.load(Ordering::Relaxed) {
                    match once(address, open.take()) {
                        Ok(connection) => open = connection.filter(|_| stays),
                        Err(error) => lost.lock().unwrap().push(error.to_string()),
                    }
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        load
    }

    /// How many calls there were.
    fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.join().unwrap();
        }
        assert_eq!(*self.lost.lock().unwrap(), Vec::<String>::new());
        self.calls.load(Ordering::Relaxed)
    }
}

/// One call; the connection, if it stays open.
fn once(address: SocketAddr, open: Option<Connection>) -> std::io::Result<Option<Connection>> {
    let mut connection = match open {
        Some(connection) => connection,
        None => Connection::try_open(address)?,
    };
    connection.try_send(&call(&ci()).bytes())?;
    let reply = connection.read(false)?;
    if reply.status != 200 {
        return Err(std::io::Error::other(format!("{} {:?}", reply.status, String::from_utf8_lossy(&reply.body))));
    }
    let closes = reply.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok((!closes).then_some(connection))
}

#[test]
fn processes_that_take_over_from_each_other_lose_no_call() {
    let upstream = Recorder::start();
    let mut gateway = start(&upstream.url(), 2);
    let load = Load::on(gateway.proxy);
    rest(Duration::from_millis(300));
    let mut second = next(&gateway);
    let (status, _, err) = gateway.wait();
    assert!(status.success() && err.contains("another process takes calls"), "{err}");
    // With fewer workers than there are sockets, and from a process that got them itself.
    gateway.setup.edit("workers = 2", "workers = 1");
    let mut third = next(&gateway);
    assert!(second.wait().success());
    gateway.setup.edit("workers = 1", "workers = 3");
    let fourth = next(&gateway);
    assert!(third.wait().success());
    rest(Duration::from_millis(300));
    let calls = load.end();
    assert!(calls > 100, "{calls}");
    // Three processes later all addresses still answer.
    assert_eq!(gateway.call(&call(&ci())).status, 200);
    assert!(UnixStream::connect(gateway.setup.path().join("proxy.sock")).is_ok());
    assert_eq!(Call::get("/readyz").to(gateway.telemetry).status, 200);
    fourth.signal("TERM");
    eventually("nobody listens any more", || std::net::TcpStream::connect(gateway.proxy).is_err().then_some(()));
    eventually("the files are gone", || {
        let left = ["proxy.sock", "takeover.sock"].iter().any(|file| gateway.setup.path().join(file).exists());
        (!left).then_some(())
    });
}

#[test]
fn a_token_of_single_use_is_good_once_whichever_process_is_asked() {
    let upstream = Recorder::start();
    let mut gateway = start(&upstream.url(), 1);
    let token = |jti: usize| Token::of("ci").claim("jti", format!("once-{jti}")).sign(ci().secret());
    let used = |jti: usize| gateway.call(&Call::get(super::PATH).auth(token(jti))).status;
    assert_eq!(used(0), 200);
    let (stop, address) = (Arc::new(AtomicBool::new(false)), gateway.proxy);
    // Each token is tried by two callers at once, all the time.
    let callers = [0, 1].map(|_| {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut statuses = Vec::new();
            for jti in 1.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let token = Token::of("ci").claim("jti", format!("once-{jti}")).sign(ci().secret());
                statuses.push(Call::get(super::PATH).auth(token).to(address).status);
            }
            statuses
        })
    });
    rest(Duration::from_millis(200));
    let _second = next(&gateway);
    rest(Duration::from_millis(500));
    stop.store(true, Ordering::Relaxed);
    let [one, other] = callers.map(|caller| caller.join().unwrap());
    assert!(one.len() > 20, "{}", one.len());
    for (jti, statuses) in one.iter().zip(&other).enumerate() {
        let mut statuses = [*statuses.0, *statuses.1];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "token {jti}");
    }
    assert_eq!([used(0), used(1), used(5)], [401; 3], "what the process before saw is known");
    assert!(gateway.wait().0.success());
}

#[test]
fn a_process_that_hangs_at_its_start_keeps_no_other_from_taking_over() {
    let upstream = Recorder::start();
    let mut gateway = start(&upstream.url(), 1);
    let hang = || UnixStream::connect(gateway.setup.path().join("takeover.sock")).unwrap();
    let _hanging = [hang(), hang()];
    let _second = next(&gateway);
    assert!(gateway.wait().0.success());
    assert_eq!(call(&ci()).to(gateway.proxy).status, 200);
}

#[test]
fn a_process_that_was_relieved_drains_on_when_it_is_told_to_stop() {
    let (upstream, answer, asked) = Scripted::waiting();
    let mut gateway = start(&upstream.url(), 1);
    let mut in_hand = Connection::open(gateway.proxy);
    in_hand.send(&call(&ci()).bytes());
    asked.recv_timeout(Duration::from_secs(10)).unwrap();
    let _second = next(&gateway);
    gateway.await_event("another process takes calls");
    gateway.signal("TERM");
    gateway.await_event("draining already");
    answer.send(()).unwrap();
    assert_eq!(in_hand.read(false).unwrap().status, 200);
    assert!(gateway.wait().0.success());
}

#[test]
fn a_process_that_does_not_come_up_takes_nothing_over() {
    let upstream = Recorder::start();
    let mut gateway = start(&upstream.url(), 1);
    let good = gateway.setup.read("scopegate.toml");
    // Bad in a way that shows when the sockets are handed over already.
    gateway.setup.edit("listen = [", "listen = [\"192.0.2.1:1\", ");
    let failed = gateway.setup.run(&["serve"]);
    assert!(texts(&failed).1.contains("is no address of this machine"), "{}", texts(&failed).1);
    gateway.await_event("no other process took over");
    assert_eq!(gateway.call(&call(&ci())).status, 200);
    gateway.setup.write("scopegate.toml", &good);
    let _second = next(&gateway);
    assert!(gateway.wait().0.success());
    assert_eq!(call(&ci()).to(gateway.proxy).status, 200);
}
