//! Upstreams as they are configured, with what is known of their addresses.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use http::uri::Authority;
use http::{HeaderName, HeaderValue};
use tokio::sync::{Mutex, Notify};

use super::address::{Address, Dice, Ticket, choose};
use super::circuit::{Ejection, Thresholds};
use super::fault::Fault;
use super::retry::{Budget, Retries};
use crate::clock::instant;
use crate::model::UpstreamName;
use crate::net::{ConnectError, Remote, TlsTarget, resolve};

/// One upstream. Shared by all workers.
#[derive(Debug)]
pub struct Upstream {
    pub name: UpstreamName,
    pub settings: UpstreamSettings,
    origins: Vec<Origin>,
    addresses: ArcSwap<Vec<Arc<Address>>>,
    resolving: Mutex<Option<Unresolved>>,
    /// Addresses that names had before, with what is known of them: an answer of the DNS may have them again.
    former: std::sync::Mutex<Vec<Arc<Address>>>,
    pub(super) budget: Budget,
    dice: Dice,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    pub protocol: Protocol,
    pub timeouts: UpstreamTimeouts,
    /// Idle connections to one address that a worker keeps.
    pub max_idle: usize,
    /// Calls in hand at one address at once, and with HTTP/1.1 connections to it; none bounds them not at all.
    pub max_calls: Option<usize>,
    /// Calls that wait for one of those places.
    pub max_queue: usize,
    /// Calls at once on one connection of HTTP/2.
    pub max_streams: usize,
    /// Which host it is asked for.
    pub host: UpstreamHost,
    /// Set on each call, in place of the caller's.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub header_bounds: HeaderBounds,
    /// How often names are looked up again.
    pub resolve_every: Duration,
    pub health: Option<HealthCheck>,
    pub ejection: Ejection,
    pub retries: Retries,
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            protocol: Protocol::Http1,
            timeouts: UpstreamTimeouts::default(),
            max_idle: 256,
            max_calls: None,
            max_queue: 100,
            max_streams: 100,
            host: UpstreamHost::default(),
            headers: Vec::new(),
            header_bounds: HeaderBounds::default(),
            resolve_every: Duration::from_secs(10),
            health: None,
            ejection: Ejection { failures: 5, least: Duration::from_secs(1), most: Duration::from_secs(30) },
            retries: Retries { attempts: 2, percent: 20 },
        }
    }
}

/// How large the header of an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderBounds {
    /// With HTTP/1.1 from its first to its last byte; with HTTP/2 names, values and 32 bytes a field (RFC 9113 section
    /// 6.5.2).
    pub bytes: usize,
    pub fields: usize,
}

impl Default for HeaderBounds {
    fn default() -> Self {
        Self { bytes: 64 << 10, fields: 100 }
    }
}

/// The host that an upstream is asked for (`Host`, or `:authority` of HTTP/2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamHost {
    /// The authority of the origin.
    #[default]
    Upstream,
    /// The one that the client asked for; that of the origin where it named none.
    Client,
}

/// What is spoken with an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    /// Without TLS by prior knowledge (RFC 9113 section 3.3).
    Http2,
    /// HTTP/2 where the server chooses it during the TLS handshake, else HTTP/1.1.
    ByAlpn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    pub connect: Duration,
    /// From the last of the request to the head of the answer.
    pub response: Duration,
    /// The longest pause within an answer's body; zero allows any.
    pub body_idle: Duration,
    /// How long an unused connection is kept; less than the upstream keeps it.
    pub idle: Duration,
    /// How old a connection may be when it takes a call; none lets it live on.
    pub lifetime: Option<Duration>,
    /// How long a call waits for a place.
    pub queue: Duration,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(5),
            response: seconds(60),
            body_idle: seconds(60),
            idle: seconds(30),
            lifetime: None,
            queue: seconds(1),
        }
    }
}

/// How an address is asked whether it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Of a GET; without one a connection is enough.
    pub path: Option<String>,
    pub every: Duration,
    pub timeout: Duration,
    /// The statuses that are good, from the first to the last.
    pub statuses: (u16, u16),
    pub thresholds: Thresholds,
}

/// One URL of an upstream.
#[derive(Clone, Debug)]
pub struct Origin {
    pub host: OriginHost,
    /// The host that it is asked for.
    pub authority: Authority,
    pub tls: Option<TlsTarget>,
    /// Tells one TLS setting from another: what they were made of.
    pub tls_digest: Option<[u8; 32]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginHost {
    Name(String, u16),
    Address(SocketAddr),
    Socket(PathBuf),
}

impl Origin {
    fn is_same(&self, other: &Self) -> bool {
        let name = |o: &Self| o.tls.as_ref().map(|(_, name)| name.clone());
        let key = |o: &Self| (o.host.clone(), o.authority.clone(), o.tls_digest, name(o));
        key(self) == key(other)
    }

    /// Where it is, if that needs no look-up.
    fn fixed(&self) -> Option<Remote> {
        match &self.host {
            OriginHost::Name(..) => None,
            OriginHost::Address(address) => Some(Remote::Tcp(*address)),
            OriginHost::Socket(path) => Some(Remote::Unix(path.clone())),
        }
    }
}

/// A look-up that gave no address.
#[derive(Debug)]
struct Unresolved {
    at: Instant,
    error: ConnectError,
}

/// How many former addresses are kept in mind.
const FORMER: usize = 64;

/// How long a failed look-up answers for the next one.
const REMEMBERED: Duration = Duration::from_secs(1);

impl Upstream {
    pub fn new(name: UpstreamName, settings: UpstreamSettings, origins: Vec<Origin>) -> Self {
        let budget = Budget::new(settings.retries);
        let upstream = Self {
            name,
            settings,
            origins,
            addresses: ArcSwap::default(),
            resolving: Mutex::default(),
            former: std::sync::Mutex::default(),
            budget,
            dice: Dice::default(),
        };
        let fixed = upstream.origins.iter().map(|origin| Ok(origin.fixed().into_iter().collect())).collect();
        upstream.put(fixed);
        upstream
    }

    /// The addresses that are known now.
    pub fn addresses(&self) -> Arc<Vec<Arc<Address>>> {
        self.addresses.load_full()
    }

    /// Whether any of its addresses has to be looked up.
    pub fn has_names(&self) -> bool {
        self.origins.iter().any(|origin| origin.fixed().is_none())
    }

    /// Whether connections to one serve the other, and what is known of it.
    fn is_same(&self, other: &Self) -> bool {
        self.settings == other.settings
            && self.origins.len() == other.origins.len()
            && self.origins.iter().zip(&other.origins).all(|(a, b)| a.is_same(b))
    }

    /// A ticket to an address, of those not tried before if there is one.
    pub(super) async fn ticket(&self, tried: &[Arc<Address>]) -> Result<Ticket, Fault> {
        let count = {
            let addresses = self.addresses.load();
            if let Some(ticket) = choose(&addresses, tried, &self.dice) {
                return Ok(ticket);
            }
            addresses.len()
        };
        if count == 0 {
            self.resolve_first().await?;
        }
        let addresses = self.addresses();
        choose(&addresses, tried, &self.dice).ok_or(Fault::OutOfService(addresses.len()))
    }

    /// Whether calls would go on without this address.
    pub(super) fn has_others_in_service(&self, address: &Arc<Address>) -> bool {
        self.addresses.load().iter().any(|other| !Arc::ptr_eq(other, address) && other.is_in_service())
    }

    /// Whether there are addresses beside these.
    pub(super) fn has_others(&self, tried: &[Arc<Address>]) -> bool {
        self.addresses.load().iter().any(|address| !tried.iter().any(|tried| Arc::ptr_eq(tried, address)))
    }

    /// For calls that come before the names were looked up: one of them does it, the others wait for that.
    async fn resolve_first(&self) -> Result<(), Fault> {
        let mut failed = self.resolving.lock().await;
        if !self.addresses.load().is_empty() {
            return Ok(());
        }
        if let Some(Unresolved { at, error }) = &*failed
            && instant().duration_since(*at) < REMEMBERED
        {
            return Err(Fault::Connect(error.clone()));
        }
        let result = self.resolve().await;
        if !self.addresses.load().is_empty() {
            // What other names have is enough to go on with.
            return Ok(());
        }
        *failed = result.as_ref().err().map(|error| Unresolved { at: instant(), error: error.clone() });
        result.map_err(Fault::Connect)
    }

    /// Looks all names up. One that can't be looked up now keeps the addresses that it had.
    ///
    /// # Errors
    /// When one of them has no address now.
    pub async fn resolve(&self) -> Result<(), ConnectError> {
        let (mut found, mut fault) = (Vec::with_capacity(self.origins.len()), None);
        for origin in &self.origins {
            found.push(match (&origin.host, origin.fixed()) {
                (OriginHost::Name(host, port), None) => resolve(host, *port, self.settings.timeouts.connect)
                    .await
                    .map(|addresses| addresses.into_iter().map(Remote::Tcp).collect())
                    .map_err(|error| fault = Some(error)),
                (_, fixed) => Ok(fixed.into_iter().collect()),
            });
        }
        self.put(found);
        fault.map_or(Ok(()), Err)
    }

    /// Puts new addresses in force; those that were there already keep what is known of them.
    fn put(&self, found: Vec<Result<Vec<Remote>, ()>>) {
        let known = self.addresses();
        let mut former = self.former.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next: Vec<Arc<Address>> = Vec::new();
        for (i, (origin, found)) in self.origins.iter().zip(found).enumerate() {
            let Ok(found) = found else {
                next.extend(known.iter().filter(|address| address.origin == i).cloned());
                continue;
            };
            for remote in found {
                let is_it = |address: &&Arc<Address>| address.origin == i && address.remote == remote;
                if next.iter().any(|address| is_it(&address)) {
                    continue;
                }
                let fresh = || {
                    let (authority, tls) = (origin.authority.clone(), origin.tls.clone());
                    Arc::new(Address::new(remote.clone(), authority, tls, i, self.settings.max_calls))
                };
                next.push(known.iter().chain(&*former).find(is_it).cloned().unwrap_or_else(fresh));
            }
        }
        let is_same = next.len() == known.len() && next.iter().zip(&*known).all(|(a, b)| Arc::ptr_eq(a, b));
        if !is_same {
            former.extend(known.iter().cloned());
            former.retain(|old| !next.iter().any(|address| Arc::ptr_eq(address, old)));
            let excess = former.len().saturating_sub(FORMER);
            former.drain(..excess);
            self.addresses.store(Arc::new(next));
        }
    }
}

/// All upstreams; replaced as a whole when the configuration changes.
#[derive(Debug, Default)]
pub struct UpstreamSet {
    known: ArcSwap<HashMap<UpstreamName, Arc<Upstream>>>,
    /// Those that the configuration still names.
    current: ArcSwap<HashSet<UpstreamName>>,
    pub(super) changed: Notify,
}

impl UpstreamSet {
    pub fn new(upstreams: HashMap<UpstreamName, Arc<Upstream>>) -> Self {
        let current = ArcSwap::from_pointee(upstreams.keys().cloned().collect());
        Self { known: ArcSwap::from_pointee(upstreams), current, changed: Notify::new() }
    }

    /// Puts a configuration's upstreams in force. One that is the same keeps its connections and what is known of its
    /// addresses; one that is gone stays reachable for calls that were matched before.
    pub fn replace(&self, upstreams: &HashMap<UpstreamName, Arc<Upstream>>) {
        self.known.rcu(|known| {
            let mut next = HashMap::clone(known);
            for (name, upstream) in upstreams {
                if known.get(name).is_none_or(|known| !known.is_same(upstream)) {
                    next.insert(name.clone(), Arc::clone(upstream));
                }
            }
            next
        });
        self.current.store(Arc::new(upstreams.keys().cloned().collect()));
        self.changed.notify_one();
    }

    pub fn get(&self, name: &UpstreamName) -> Option<Arc<Upstream>> {
        self.known.load().get(name).cloned()
    }

    /// Those that the configuration names.
    pub fn current(&self) -> Vec<Arc<Upstream>> {
        let (known, current) = (self.known.load(), self.current.load());
        known.iter().filter(|(name, _)| current.contains(*name)).map(|(_, upstream)| Arc::clone(upstream)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(host: OriginHost) -> Origin {
        Origin { host, authority: Authority::from_static("bots.internal"), tls: None, tls_digest: None }
    }

    fn upstream(settings: UpstreamSettings, ports: &[u16]) -> Arc<Upstream> {
        let at = |port: &u16| origin(OriginHost::Address(([127, 0, 0, 1], *port).into()));
        Arc::new(Upstream::new(UpstreamName::new("bots").unwrap(), settings, ports.iter().map(at).collect()))
    }

    #[test]
    fn addresses_that_stay_keep_what_is_known_of_them() {
        let names = vec![origin(OriginHost::Name("bots.internal".into(), 80)), origin(OriginHost::Socket("/s".into()))];
        let upstream = Upstream::new(UpstreamName::new("bots").unwrap(), UpstreamSettings::default(), names);
        let tcp = |n: u8| Remote::Tcp(([10, 0, 0, n], 80).into());
        let socket = || Ok(vec![Remote::Unix("/s".into())]);
        upstream.put(vec![Ok(vec![tcp(1), tcp(2), tcp(1)]), socket()]);
        let first = upstream.addresses();
        assert_eq!(format!("{first:?}"), "[10.0.0.1:80, 10.0.0.2:80, unix:/s]");
        upstream.put(vec![Ok(vec![tcp(2), tcp(3)]), socket()]);
        let second = upstream.addresses();
        assert_eq!(format!("{second:?}"), "[10.0.0.2:80, 10.0.0.3:80, unix:/s]");
        assert!(Arc::ptr_eq(&first[1], &second[0]) && Arc::ptr_eq(&first[2], &second[2]));
        upstream.put(vec![Ok(vec![tcp(1), tcp(3)]), socket()]);
        assert!(Arc::ptr_eq(&upstream.addresses()[0], &first[0]), "one that comes back is the one that it was");
        upstream.put(vec![Ok(vec![tcp(2), tcp(3)]), socket()]);
        assert!(Arc::ptr_eq(&second[0], &upstream.addresses()[0]));
        let second = upstream.addresses();
        upstream.put(vec![Err(()), socket()]);
        assert!(Arc::ptr_eq(&second, &upstream.addresses()), "a name that can't be looked up keeps its addresses");
    }

    #[test]
    fn an_upstream_that_did_not_change_stays_the_same_one() {
        let name = UpstreamName::new("bots").unwrap();
        let of = |upstream: &Arc<Upstream>| HashMap::from([(name.clone(), Arc::clone(upstream))]);
        let first = upstream(UpstreamSettings::default(), &[1]);
        let set = UpstreamSet::new(of(&first));
        set.replace(&of(&upstream(UpstreamSettings::default(), &[1])));
        assert!(Arc::ptr_eq(&set.get(&name).unwrap(), &first));
        let other = upstream(UpstreamSettings { max_idle: 1, ..UpstreamSettings::default() }, &[1]);
        set.replace(&of(&other));
        assert!(Arc::ptr_eq(&set.get(&name).unwrap(), &other));
        set.replace(&HashMap::new());
        assert!(set.get(&name).is_some() && set.current().is_empty(), "gone, but not for calls in hand");
    }

    #[tokio::test]
    async fn a_name_is_looked_up_for_the_first_call_that_needs_it() {
        let host = OriginHost::Name("localhost".into(), 9000);
        let name = UpstreamName::new("bots").unwrap();
        let upstream = Upstream::new(name, UpstreamSettings::default(), vec![origin(host)]);
        let ticket = upstream.ticket(&[]).await.unwrap();
        assert!(matches!(ticket.address().remote, Remote::Tcp(address) if address.ip().is_loopback()));
    }
}
