//! What goes on beside the calls: names are looked up again, addresses are asked whether they work.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Empty;
use tokio::task::{AbortHandle, JoinSet};

use super::address::Address;
use super::circuit::Change;
use super::connection::Connection;
use super::fault::Fault;
use super::wire::fit;
use super::{HeaderBounds, HealthCheck, Protocol, Upstream, UpstreamSet};
use crate::clock::instant;
use crate::model::UpstreamName;
use crate::net::connect;

/// Tends all upstreams that the configuration names, for ever.
pub async fn tend(upstreams: Arc<UpstreamSet>) {
    let mut tasks = JoinSet::new();
    let mut tended: HashMap<UpstreamName, (Arc<Upstream>, AbortHandle)> = HashMap::new();
    loop {
        let current = upstreams.current();
        tended.retain(|_, (upstream, task)| {
            let stays = current.iter().any(|now| Arc::ptr_eq(now, upstream));
            if !stays {
                task.abort();
            }
            stays
        });
        for upstream in current {
            if !tended.contains_key(&upstream.name) {
                let task = tasks.spawn(tend_one(Arc::clone(&upstream)));
                tended.insert(upstream.name.clone(), (upstream, task));
            }
        }
        while tasks.try_join_next().is_some() {}
        upstreams.changed.notified().await;
    }
}

async fn tend_one(upstream: Arc<Upstream>) {
    tokio::join!(resolve_again(&upstream), watch_health(&upstream));
}

async fn resolve_again(upstream: &Upstream) {
    if !upstream.has_names() {
        return;
    }
    let mut was_good = true;
    loop {
        match upstream.resolve().await {
            Ok(()) => was_good = true,
            Err(error) if was_good => {
                was_good = false;
                tracing::warn!(upstream = %upstream.name, %error, "a name of an upstream can't be looked up; what it was stays in force");
            }
            Err(_) => {}
        }
        tokio::time::sleep(upstream.settings.resolve_every).await;
    }
}

async fn watch_health(upstream: &Upstream) {
    let Some(check) = &upstream.settings.health else { return };
    loop {
        let mut checks = JoinSet::new();
        for address in upstream.addresses().iter() {
            let (address, check, protocol) = (Arc::clone(address), check.clone(), upstream.settings.protocol);
            let name = upstream.name.clone();
            checks.spawn(async move {
                let found = check_health(&address, &check, protocol).await;
                if found.as_ref().is_err_and(|unhealthy| unhealthy.is_our_own) {
                    return;
                }
                let change = address.circuit.checked(found.is_ok(), check.thresholds, instant());
                match (change, found) {
                    (Some(Change::Returned), _) => {
                        tracing::info!(upstream = %name, address = %address.remote, "an address of an upstream is healthy");
                    }
                    (Some(Change::Ejected(_)), Err(error)) => {
                        tracing::warn!(upstream = %name, address = %address.remote, %error, "an address of an upstream is out of service: health checks fail");
                    }
                    _ => {}
                }
            });
        }
        _ = checks.join_all().await;
        tokio::time::sleep(check.every).await;
    }
}

/// Why an address does not seem to work.
#[derive(Debug)]
pub struct Unhealthy {
    why: String,
    /// Whether the gateway itself could not ask, which says nothing about the address.
    is_our_own: bool,
}

impl Unhealthy {
    fn new(why: String) -> Self {
        Self { why, is_our_own: false }
    }
}

impl From<Fault> for Unhealthy {
    fn from(fault: Fault) -> Self {
        Self { why: fault.to_string(), is_our_own: fault.is_our_own() }
    }
}

impl fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// Asks an address whether it works.
///
/// # Errors
/// Why it does not seem to.
pub async fn check_health(address: &Address, check: &HealthCheck, protocol: Protocol) -> Result<(), Unhealthy> {
    let asked = tokio::time::timeout(check.timeout, ask(address, check, protocol)).await;
    let status = asked.map_err(|_| Unhealthy::new(format!("no answer within {:?}", check.timeout)))??;
    match status {
        Some(status) if !(check.statuses.0..=check.statuses.1).contains(&status.as_u16()) => {
            Err(Unhealthy::new(format!("it answers {status}")))
        }
        _ => Ok(()),
    }
}

/// The status of its answer, if one is asked for.
async fn ask(address: &Address, check: &HealthCheck, protocol: Protocol) -> Result<Option<StatusCode>, Fault> {
    let connected = connect(&address.remote, address.tls.as_ref(), check.timeout).await.map_err(Fault::Connect)?;
    let Some(path) = &check.path else { return Ok(None) };
    let mut connection = Connection::begin(connected, protocol, HeaderBounds::default()).await?;
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = path.parse().map_err(|_| Fault::Invalid("no valid path"))?;
    fit(&mut request, address, &connection)?;
    let answer = connection.send(request).await.map_err(|not_sent| Fault::Broken(not_sent.error))?;
    Ok(Some(answer.status()))
}
