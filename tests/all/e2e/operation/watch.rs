//! Following files: certificates that are rewritten or swapped while calls go on, and the configuration itself.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::{call, ci, registry};
use crate::e2e::harness::{Authority, Call, Gateway, Recorder, Setup, TlsClient, eventually, rest};

const FILES: [&str; 2] = ["tls.crt", "tls.key"];

fn start() -> (Gateway, Authority, Recorder) {
    let upstream = Recorder::start();
    let (gateway, authority) = start_before(&upstream.url());
    (gateway, authority, upstream)
}

/// A gateway that follows the files of its certificate, in front of an upstream.
pub(super) fn start_before(upstream: &str) -> (Gateway, Authority) {
    let setup = Setup::kore(upstream, "");
    let tls = "tls = { cert = \"mounted/tls.crt\", key = \"mounted/tls.key\" }";
    setup.edit("workers = 1", &format!("workers = 1\n{tls}"));
    setup.edit("profiles =", "watch = true\nprofiles =");
    let authority = Authority::new(&setup.path().join("made"));
    let mounted = setup.path().join("mounted");
    fs::create_dir(&mounted).unwrap();
    swap(&authority, &mounted, 0);
    for file in FILES {
        symlink(format!("..data/{file}"), mounted.join(file)).unwrap();
    }
    (Gateway::start(setup, &registry(&[ci()])), authority)
}

/// A new certificate as Kubernetes puts it there: a new folder, and the symlink renamed over the old one.
pub(super) fn swap(authority: &Authority, mounted: &Path, version: usize) {
    authority.issue("server", "DNS:localhost");
    let folder = format!("..version-{version}");
    fs::create_dir(mounted.join(&folder)).unwrap();
    for (from, to) in [("server.pem", "tls.crt"), ("server.key", "tls.key")] {
        fs::copy(authority.path(from), mounted.join(&folder).join(to)).unwrap();
    }
    symlink(&folder, mounted.join("..data_tmp")).unwrap();
    fs::rename(mounted.join("..data_tmp"), mounted.join("..data")).unwrap();
    if let Some(old) = version.checked_sub(1) {
        fs::remove_dir_all(mounted.join(format!("..version-{old}"))).unwrap();
    }
}

/// Calls, on new connections and on one that stays, while something is done; how many there were, and that none was lost.
fn under_load(gateway: &Gateway, authority: &Authority, work: impl FnOnce()) -> usize {
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (address, ca) = (gateway.proxy, authority.path("ca.pem"));
    let callers: Vec<_> = [false, true]
        .into_iter()
        .map(|stays| {
            let (stop, count, ca) = (Arc::clone(&stop), Arc::clone(&count), ca.clone());
            std::thread::spawn(move || {
                let mut open = stays.then(|| TlsClient::new(&ca, None).connect(address, "localhost").unwrap());
                while !stop.load(Ordering::Relaxed) {
                    match &mut open {
                        Some(stream) => again(stream, &call(&ci())),
                        None => {
                            let seen = TlsClient::new(&ca, None).call(address, "localhost", &call(&ci())).unwrap();
                            assert_eq!(seen.status, 200);
                        }
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    work();
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.join().unwrap();
    }
    count.load(Ordering::Relaxed)
}

fn again(stream: &mut (impl std::io::Read + std::io::Write), call: &Call) {
    stream.write_all(&call.bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"from the upstream") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

fn is_served(gateway: &Gateway, authority: &Authority) -> bool {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let client = TlsClient::new(&authority.path("ca.pem"), None);
    let shown = client.call(gateway.proxy, "localhost", &call(&ci())).unwrap().certificate;
    shown == CertificateDer::from_pem_file(authority.path("server.pem")).unwrap().to_vec()
}

#[test]
fn a_certificate_behind_a_symlink_that_is_swapped_every_second_costs_no_call() {
    let (gateway, authority, _upstream) = start();
    let mounted = gateway.setup.path().join("mounted");
    let calls = under_load(&gateway, &authority, || {
        for version in 1..=6 {
            swap(&authority, &mounted, version);
            rest(Duration::from_secs(1));
        }
    });
    assert!(calls > 50, "{calls}");
    eventually("the last one is served", || is_served(&gateway, &authority).then_some(()));
}

#[test]
fn a_certificate_that_is_rewritten_in_place_every_second_costs_no_call() {
    let (gateway, authority, _upstream) = start();
    let mounted = gateway.setup.path().join("mounted");
    under_load(&gateway, &authority, || {
        for _ in 0..6 {
            authority.issue("server", "DNS:localhost");
            for (from, to) in [("server.pem", "tls.crt"), ("server.key", "tls.key")] {
                let mut file = fs::File::create(mounted.join("..data").join(to)).unwrap();
                let (half, other) = (fs::read(authority.path(from)).unwrap(), Duration::from_millis(50));
                file.write_all(&half[..half.len() / 2]).unwrap();
                rest(other);
                file.write_all(&half[half.len() / 2..]).unwrap();
            }
            rest(Duration::from_millis(900));
        }
    });
    eventually("the last one is served", || is_served(&gateway, &authority).then_some(()));
}

#[test]
fn a_changed_configuration_is_taken_and_a_bad_one_is_told_once() {
    let upstream = Recorder::start();
    let setup = Setup::kore(&upstream.url(), "");
    setup.edit("profiles =", "watch = true\ninclude = [\"more/*.toml\"]\nprofiles =");
    fs::create_dir(setup.path().join("more")).unwrap();
    let mut gateway = Gateway::start(setup, &registry(&[ci()]));
    let added = |gateway: &Gateway| gateway.call(&Call::get("/added").auth(ci().token())).status;
    assert_eq!(added(&gateway), 404);
    let route = "[[route]]\nid = \"added\"\nmethods = [\"GET\"]\npath = \"/added\"\nauthenticator = \"kore\"\nscope = \"any\"\n";
    gateway.setup.write("more/route.toml", &format!("{route}scop = 1\n"));
    let event = gateway.await_event("configuration not reloaded; the old one stays in force");
    assert!(event.contains("did you mean") && event.contains("\"why\":\"files\""), "{event}");
    gateway.setup.write("more/route.toml", route);
    eventually("the new route is there", || (added(&gateway) == 200).then_some(()));
    fs::remove_file(gateway.setup.path().join("more/route.toml")).unwrap();
    eventually("the route is gone", || (added(&gateway) == 404).then_some(()));
}
