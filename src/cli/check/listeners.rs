//! The addresses to listen on: free, or taken by a gateway that runs.

use super::super::live;
use super::connect::{Finding, Trial};
use crate::config::Config;
use crate::net::{ListenAddress, bind_alone, is_taken};

pub(super) async fn try_all(config: &Config) -> Vec<Trial> {
    let telemetry = ListenAddress::Internet(config.telemetry.listen);
    let is_ours = live::is_gateway(config.telemetry.listen).await;
    let mut trials = Vec::new();
    let proxy = config.proxy.listen.iter().map(|address| ("proxy", address));
    for (listener, address) in proxy.chain([("telemetry", &telemetry)]) {
        let trial = Trial::of("listener", format!("{listener} {address}"), async { of_listener(address, is_ours) });
        trials.push(trial.await);
    }
    trials
}

/// `is_ours`: whether a gateway answers where this configuration has its health.
fn of_listener(address: &ListenAddress, is_ours: bool) -> Finding {
    match address {
        ListenAddress::Internet(address) => match bind_alone(*address) {
            Ok(_) if address.port() == 0 => Finding::warning("another free port at each start"),
            Ok(_) => Finding::good("free"),
            Err(error) if error.is_taken() && is_ours => Finding::good("taken by the gateway that runs"),
            Err(error) => Finding::failed(error.to_string()),
        },
        ListenAddress::Unix(path) => match (is_taken(path), is_ours) {
            (Err(error), _) => Finding::failed(format!("{address} can't be listened on: {error}")),
            (Ok(true), true) => Finding::good("taken by the gateway that runs"),
            (Ok(true), false) => Finding::failed(format!("{address} is taken: another process listens there")),
            (Ok(false), _) if path.parent().is_some_and(|folder| folder.as_os_str().is_empty() || folder.is_dir()) => {
                Finding::good("free")
            }
            (Ok(false), _) => Finding::failed(format!("{address} has no folder")),
        },
        ListenAddress::Systemd(_) => Finding::good("opened by systemd before a start"),
    }
}
