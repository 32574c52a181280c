//! Every address of every upstream: the name's look-up, the connection, TLS, and the health check where one is configured.

use std::sync::Arc;

use super::connect::{Finding, Trial};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::gateway::forward::{Address, Upstream, check_health};
use crate::jose::Certificate;
use crate::net;

pub(super) async fn try_all(config: &Config, now: Timestamp) -> Vec<Trial> {
    let mut upstreams: Vec<_> = config.upstreams.values().collect();
    upstreams.sort_by(|one, other| one.name.cmp(&other.name));
    let mut trials = Vec::new();
    for upstream in upstreams {
        trials.extend(try_one(upstream, now).await);
    }
    trials
}

async fn try_one(upstream: &Arc<Upstream>, now: Timestamp) -> Vec<Trial> {
    let check = format!("upstream {}", upstream.name);
    let mut trials = Vec::new();
    if upstream.has_names() {
        let names = Trial::of(&check, "names", async {
            match upstream.resolve().await {
                Ok(()) => {
                    let found: Vec<_> = upstream.addresses().iter().map(|a| a.remote.to_string()).collect();
                    Finding::good(found.join(", "))
                }
                Err(error) => Finding::broken(&error),
            }
        });
        trials.push(names.await);
    }
    // All at once: one that hangs holds up none of the others.
    let mut tasks = Vec::new();
    for address in upstream.addresses().iter() {
        let (upstream, address, check) = (Arc::clone(upstream), Arc::clone(address), check.clone());
        tasks.push(tokio::spawn(async move {
            let target = format!("{} ({})", address.remote, address.authority);
            let target = if address.remote.to_string() == address.authority.as_str() {
                address.remote.to_string()
            } else {
                target
            };
            Trial::of(check, target, try_address(&upstream, &address, now)).await
        }));
    }
    for task in tasks {
        trials.extend(task.await.ok());
    }
    trials
}

async fn try_address(upstream: &Upstream, address: &Address, now: Timestamp) -> Finding {
    let connected = net::connect(&address.remote, address.tls.as_ref(), upstream.settings.timeouts.connect).await;
    let connected = match connected {
        Ok(connected) => connected,
        Err(error) => return Finding::broken(&error),
    };
    let version = if connected.chose_http2() { ", and speaks HTTP/2" } else { "" };
    let mut found = Finding::good(format!("it takes connections{version}"));
    if let Some(der) = connected.certificate() {
        let judged = match Certificate::read(der.to_vec()) {
            Ok((certificate, _)) => Finding::of_certificate(&certificate, now),
            Err(error) => Finding::warning(error.to_string()),
        };
        found = found.and(&judged);
    }
    drop(connected);
    let Some(health) = upstream.settings.health.as_ref().filter(|health| health.path.is_some()) else { return found };
    let path = health.path.as_deref().unwrap_or_default();
    let asked = match check_health(address, health, upstream.settings.protocol).await {
        Ok(()) => Finding::good(format!("GET {path} is answered as it should be")),
        Err(why) => Finding::failed(format!("GET {path}: {why}")),
    };
    found.and(&asked)
}
