//! A minute of changes under load, with real peers on both sides.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::watch::{start_before, swap};
use super::{call, ci};
use crate::e2e::harness::{Authority, Gateway, Nginx, TlsClient, rest, texts};

const SECONDS: usize = 60;

/// A caller that keeps its connections for the whole time and calls without a pause.
fn h2load(gateway: &Gateway, more: &[&str]) -> Child {
    let call = call(&ci());
    let mut command = Command::new("h2load");
    command.args(["-D", &SECONDS.to_string(), "-c", "2", "-m", "1", "--rps", "100"]).args(more);
    for (name, value) in &call.headers {
        command.args(["-H", &format!("{name}: {value}")]);
    }
    let url = format!("https://{}{}", gateway.proxy, call.target);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// How many calls it made, none of which failed.
fn all_good(load: Child) -> usize {
    let (out, err) = texts(&load.wait_with_output().unwrap());
    let line = |start: &str| out.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{out}{err}"));
    let requests = line("requests:");
    assert!(requests.contains(" 0 failed, 0 errored, 0 timeout"), "{out}");
    assert!(line("status codes:").contains(" 0 3xx, 0 4xx, 0 5xx"), "{out}");
    requests.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Calls, each on a connection of its own, until it is told to stop; how many, and how many certificates it was shown.
fn newcomers(gateway: &Gateway, ca: &Path, stop: &AtomicBool) -> (usize, usize) {
    let (mut count, mut shown) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let seen = TlsClient::new(ca, None).call(gateway.proxy, "localhost", &call(&ci())).unwrap();
        assert_eq!(seen.status, 200, "after {count} calls");
        count += 1;
        if !shown.contains(&seen.certificate) {
            shown.push(seen.certificate);
        }
    }
    (count, shown.len())
}

/// Each second another certificate, by the symlink's swap, and another configuration, by SIGHUP.
fn change_all_the_time(gateway: &Gateway, authority: &Authority) {
    let mounted = gateway.setup.path().join("mounted");
    let routes = gateway.setup.read("scopegate.toml");
    for second in 1..SECONDS {
        swap(authority, &mounted, second);
        let route = format!(
            "[[route]]\nid = \"second-{second}\"\nmethods = [\"GET\"]\npath = \"/second/{second}\"\n\
             authenticator = \"kore\"\nscope = \"any\"\n"
        );
        gateway.setup.write("scopegate.toml", &format!("{routes}{route}"));
        gateway.signal("HUP");
        rest(Duration::from_secs(1));
    }
}

#[test]
fn a_reload_and_another_certificate_every_second_for_a_minute_cost_no_call() {
    let nginx = Nginx::start();
    let (gateway, authority) = start_before(&nginx.url());
    let (stop, ca) = (AtomicBool::new(false), authority.path("ca.pem"));
    let (kept, new) = thread::scope(|scope| {
        let kept = [h2load(&gateway, &[]), h2load(&gateway, &["--h1"])];
        let new = scope.spawn(|| newcomers(&gateway, &ca, &stop));
        change_all_the_time(&gateway, &authority);
        let kept = kept.map(all_good);
        stop.store(true, Ordering::Relaxed);
        (kept, new.join().unwrap())
    });
    assert!(kept.iter().all(|count| *count > 1000), "{kept:?}");
    assert!(new.0 > 500 && new.1 > SECONDS / 4, "{new:?}");
    let log = gateway.log();
    let lost: Vec<_> = log.iter().filter(|line| line["status"] != 200 || line["outcome"] != "complete").collect();
    // What h2load had asked for when its time was over, it did not wait for.
    assert!(lost.len() <= 4 && lost.iter().all(|line| line["outcome"] == "abandoned"), "{lost:?}");
}
