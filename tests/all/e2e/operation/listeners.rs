//! Listening: on several addresses, on Unix sockets, on what systemd opened, and what a supervisor is told.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Command;
use std::time::Duration;

use super::{call, ci, registry};
use crate::e2e::harness::{Call, Gateway, Recorder, Setup, binary, eventually, texts};

fn by_unix(path: &std::path::Path, call: &Call) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&call.clone().header("Connection", "close").bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn calls_come_by_several_addresses_and_by_a_unix_socket() {
    let upstream = Recorder::start();
    let setup = Setup::kore(&upstream.url(), "");
    let listen = "listen = [\"127.0.0.1:0\", \"127.0.0.2:0\", \"unix:proxy.sock\"]\nsocket_mode = \"600\"\n\
                  trusted_proxies = [\"unix\"]\nworkers = 2";
    setup.edit("listen = \"127.0.0.1:0\"\nworkers = 1", listen);
    let path = setup.path().join("proxy.sock");
    // What a process left behind that was killed.
    drop(UnixListener::bind(&path).unwrap());
    let mut gateway = Gateway::start(setup, &registry(&[ci()]));
    let event = gateway.await_event("taking calls");
    let event: serde_json::Value = serde_json::from_str(&event).unwrap();
    let addresses: Vec<_> = event["proxy"].as_str().unwrap().split(", ").collect();
    assert!(addresses[1].starts_with("127.0.0.2:") && addresses[2] == "unix:proxy.sock", "{addresses:?}");
    for address in &addresses[..2] {
        assert_eq!(call(&ci()).to(address.parse().unwrap()).status, 200, "{address}");
    }
    for _ in 0..8 {
        assert!(by_unix(&path, &call(&ci()).mark("unix")).starts_with("HTTP/1.1 200"));
    }
    let behind = call(&ci()).mark("behind").header("X-Forwarded-For", "192.0.2.9");
    assert!(by_unix(&path, &behind).starts_with("HTTP/1.1 200"));
    let seen = upstream.marked("unix");
    assert_eq!((seen.len(), seen[0].header("x-forwarded-for")), (8, None));
    assert_eq!(upstream.marked("behind")[0].header("x-forwarded-for"), Some("192.0.2.9"));
    let id = upstream.marked("behind")[0].header("x-request-id").unwrap().to_owned();
    let line = gateway.logged(&id);
    assert_eq!((&line["peer"], &line["client"]), (&"unix".into(), &"192.0.2.9".into()));

    // Nobody else may listen there meanwhile, and the file goes with the process.
    let other = gateway.setup.run(&["serve"]);
    assert!(texts(&other).1.contains("unix:proxy.sock is taken"), "{}", texts(&other).1);
    gateway.signal("TERM");
    assert!(gateway.wait().0.success());
    assert!(!path.exists());
}

#[test]
fn addresses_that_are_none_are_told() {
    for (listen, why) in [
        ("\"localhost:80\"", "is nothing to listen on"),
        ("[]", "at least one address"),
        ("[\"127.0.0.1:1\", \"127.0.0.1:1\"]", "stands there twice"),
        ("\"unix:/nowhere/at/all.sock\"", ""),
    ] {
        let setup = Setup::kore("http://127.0.0.1:9", "");
        setup.edit("listen = \"127.0.0.1:0\"\nworkers", &format!("listen = {listen}\nworkers"));
        let checked = setup.run(&["check"]);
        assert_eq!(checked.status.success(), why.is_empty(), "{listen}");
        assert!(texts(&checked).1.contains(why), "{}", texts(&checked).1);
    }
    let setup = Setup::kore("http://127.0.0.1:9", "");
    setup.edit("listen = \"127.0.0.1:0\"\nworkers", "listen = \"systemd\"\nworkers");
    let started = setup.run(&["serve"]);
    assert!(texts(&started).1.contains("systemd gave no such socket"), "{}", texts(&started).1);
}

/// As systemd starts a process: with its sockets from number 3 on, and where it wants to be told.
#[test]
fn sockets_that_systemd_opened_are_used_and_it_is_told_of_the_process() {
    let upstream = Recorder::start();
    let setup = Setup::kore(&upstream.url(), "");
    setup.edit(
        "listen = \"127.0.0.1:0\"\nworkers",
        "listen = [\"systemd\", \"systemd:second\", \"systemd:proxy\"]\nworkers",
    );
    setup.apply(&registry(&[ci()]));
    let notify = UnixDatagram::bind(setup.path().join("notify")).unwrap();
    notify.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let sockets = ["activated.sock", "second.sock", "third.sock"];
    let [first, second, third] =
        sockets.map(|name| std::os::fd::OwnedFd::from(UnixListener::bind(setup.path().join(name)).unwrap()));
    let script = "exec 3<&0 4>&1 5>&2 </dev/null >/dev/null 2>&1; \
                  LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=proxy:second:third exec \"$0\" serve -c scopegate.toml";
    let mut child = Command::new("sh");
    child.args(["-c", script, &binary()]).current_dir(setup.path()).env("NOTIFY_SOCKET", setup.path().join("notify"));
    let mut child = child.stdin(first).stdout(second).stderr(third).spawn().unwrap();
    let heard = || {
        let mut buffer = [0; 200];
        let length = notify.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    assert_eq!(heard(), format!("READY=1\nMAINPID={}", child.id()));
    for name in sockets {
        assert!(by_unix(&setup.path().join(name), &call(&ci())).starts_with("HTTP/1.1 200"), "{name}");
    }
    setup.succeed(&["reload"]);
    let reloading = heard();
    let moment = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{reloading}"));
    assert!(moment.parse::<u64>().unwrap() > 0);
    assert_eq!(heard(), "READY=1");
    let kill = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(heard(), "STOPPING=1");
    assert!(eventually("it ends", || child.try_wait().unwrap()).success());
}
