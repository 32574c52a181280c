//! The addresses to listen on: free, or taken by a gateway that runs.

use std::net::SocketAddr;

use super::super::live;
use super::connect::{Finding, Trial};
use crate::config::Config;
use crate::net::bind_alone;

pub(super) async fn try_all(config: &Config) -> Vec<Trial> {
    let telemetry = config.telemetry.listen;
    let is_ours = live::is_gateway(telemetry).await;
    let proxy = config.proxy.listen;
    vec![
        Trial::of("listener", format!("proxy {proxy}"), async { of_listener(proxy, is_ours) }).await,
        Trial::of("listener", format!("telemetry {telemetry}"), async { of_listener(telemetry, is_ours) }).await,
    ]
}

/// `is_ours`: whether a gateway answers where this configuration has its health.
fn of_listener(address: SocketAddr, is_ours: bool) -> Finding {
    match bind_alone(address) {
        Ok(_) if address.port() == 0 => Finding::warning("another free port at each start"),
        Ok(_) => Finding::good("free"),
        Err(error) if error.is_taken() && is_ours => Finding::good("taken by the gateway that runs"),
        Err(error) => Finding::failed(error.to_string()),
    }
}
