//! One address for two listeners, one file for two purposes: each is told before a start finds out.

use std::net::SocketAddr;
use std::path::Path;

use super::Parts;
use crate::config::source::Source;
use crate::config::stores::same_file;
use crate::config::{AccessLogTarget, ProxySettings, ReplayPlace, ReplaySettings, StoreLocation, TelemetrySettings};
use crate::net::ListenAddress;

/// What is written to files.
pub(super) struct Files<'c> {
    pub store: Option<&'c StoreLocation>,
    pub replay: Option<&'c ReplaySettings>,
    pub telemetry: &'c TelemetrySettings,
}

/// A key, and the file that it names.
type Named<'c> = (&'static [&'static str], &'c Path);

impl Parts {
    pub(super) fn check_clashes(&mut self, main: &Source, proxy: &ProxySettings, files: &Files<'_>) {
        let telemetry = files.telemetry.listen;
        let proxies: Vec<SocketAddr> = proxy.listen.iter().filter_map(internet).collect();
        for (i, address) in proxies.iter().enumerate() {
            if let Some(other) = proxies[..i].iter().find(|other| are_one(**other, *address)) {
                let message = format!("proxy.listen: {address} is a part of {other}: leave one of them out");
                self.report(main, &["proxy", "listen"], message, None);
            }
        }
        if let Some(address) = proxies.iter().find(|address| are_one(**address, telemetry)) {
            let message = format!("telemetry.listen: {telemetry} is the proxy's address already, {address}");
            let help = "give one of them another port: [telemetry] listen = \"127.0.0.1:8082\"";
            let place: &[&str] = if main.line(&["telemetry", "listen"]) > main.line(&["telemetry"]) {
                &["telemetry", "listen"]
            } else {
                &["proxy", "listen"]
            };
            self.report(main, place, message, Some(help.into()));
        }
        let mut named = Vec::new();
        named.extend(files.store.map(|store| (&["store", "url"][..], store.path())));
        named.extend(
            files.store.and_then(|store| store.key_file.as_deref()).map(|path| (&["store", "key_file"][..], path)),
        );
        if let Some(ReplaySettings { place: ReplayPlace::Journal { path, .. }, .. }) = files.replay {
            named.push((&["replay", "url"], path));
        }
        if let AccessLogTarget::File(path) = &files.telemetry.access_log {
            named.push((&["telemetry", "access_log"], path));
        }
        named.extend(proxy.takeover.as_deref().map(|path| (&["proxy", "takeover"][..], path)));
        named.extend(proxy.listen.iter().filter_map(|address| match address {
            ListenAddress::Unix(path) => Some((&["proxy", "listen"][..], path.as_path())),
            ListenAddress::Internet(_) | ListenAddress::Systemd(_) => None,
        }));
        let read: Vec<_> = self.files.clone();
        for (key, path) in &named {
            if let Some(file) = read.iter().find(|file| same_file(file, path)) {
                let message = format!("{}: {} is read as a part of the configuration", key.join("."), file.display());
                self.report(main, key, message, Some("name a file of its own".into()));
            }
        }
        self.check_files(main, &named);
    }

    fn check_files(&mut self, main: &Source, named: &[Named<'_>]) {
        for (i, (key, path)) in named.iter().enumerate() {
            if let Some((other, _)) = named[..i].iter().find(|(_, other)| same_file(other, path)) {
                let message =
                    format!("{}: {} is the file of {} already", key.join("."), path.display(), other.join("."));
                self.report(main, key, message, Some("name a file of its own".into()));
            }
        }
    }
}

fn internet(address: &ListenAddress) -> Option<SocketAddr> {
    match address {
        ListenAddress::Internet(address) => Some(*address),
        ListenAddress::Unix(_) | ListenAddress::Systemd(_) => None,
    }
}

/// Whether the second of them could not be listened on. Port 0 is another one each time.
fn are_one(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |one: SocketAddr, other: SocketAddr| {
        let is_other_family = one.is_ipv4() != other.ip().to_canonical().is_ipv4();
        one.ip().is_unspecified() && (!is_other_family || one.is_ipv6() && is_dual_stack())
    };
    let is_one = one.ip().to_canonical() == other.ip().to_canonical();
    one.port() == other.port() && one.port() != 0 && (is_one || covers(one, other) || covers(other, one))
}

/// Whether `[::]` takes IPv4 too, as it does unless the system says otherwise.
fn is_dual_stack() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv6/bindv6only").map_or(true, |text| text.trim() != "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_which_one_takes_the_others_connections_are_one() {
        let are_one = |one: &str, other: &str| are_one(one.parse().unwrap(), other.parse().unwrap());
        for (one, other) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("10.0.0.1:80", "0.0.0.0:80"),
            ("[::]:80", "[::1]:80"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
        ] {
            assert!(are_one(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("127.0.0.1:80", "127.0.0.1:81"),
            ("127.0.0.1:80", "127.0.0.2:80"),
            ("0.0.0.0:80", "[::1]:80"),
            ("0.0.0.0:0", "127.0.0.1:0"),
        ] {
            assert!(!are_one(one, other), "{one} {other}");
        }
    }
}
