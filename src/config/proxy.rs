//! `[proxy]`: the listener that callers reach.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Deserialize;

use super::forwarding::{self, ForwardedKey, HeadersKey};
use super::named_file::NamedFile;
use super::range::within;
use super::time::Span;
use super::tls::TlsSection;
use crate::gateway::{Forwarding, Limits};
use crate::net::{ClientConnections, ListenAddress, ServerSettings};

const MOST_WORKERS: usize = 1024;
/// One TiB.
const MOST_BYTES: u64 = 1 << 40;
/// More than one machine has room for.
const MANY: RangeInclusive<usize> = 1..=10_000_000;
const HEADER_BYTES: RangeInclusive<usize> = 1024..=16 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProxySection {
    listen: ListenKey,
    socket_mode: String,
    workers: usize,
    tls: Option<TlsSection>,
    proxy_protocol: bool,
    takeover: Option<PathBuf>,
    trusted_proxies: Vec<String>,
    trusted_headers: HeadersKey,
    forwarded: ForwardedKey,
    reason_header: bool,
    cache_bytes: u64,
    limits: LimitsSection,
    timeouts: TimeoutsSection,
}

/// One address, or several. Judged as it is read, so that the error names where it comes from.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "ListenText")]
struct ListenKey(Vec<ListenAddress>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected an address, or a list of addresses")]
enum ListenText {
    One(String),
    Many(Vec<String>),
}

impl TryFrom<ListenText> for ListenKey {
    type Error = String;

    fn try_from(text: ListenText) -> Result<Self, String> {
        let texts = match text {
            ListenText::One(text) => vec![text],
            ListenText::Many(texts) => texts,
        };
        let addresses = texts.iter().map(|text| text.parse()).collect::<Result<Vec<ListenAddress>, _>>()?;
        match addresses.iter().enumerate().find(|(i, address)| addresses[..*i].contains(address)) {
            Some((_, twice)) if !matches!(twice, ListenAddress::Internet(address) if address.port() == 0) => {
                Err(format!("{twice} stands there twice"))
            }
            _ if addresses.is_empty() => Err("name at least one address".to_owned()),
            _ => Ok(Self(addresses)),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsSection {
    connections: usize,
    connections_per_client: Option<usize>,
    concurrent_requests: usize,
    header_bytes: usize,
    body_bytes: Option<u64>,
    body_rate: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TimeoutsSection {
    header: Span,
    tls_handshake: Span,
    body_idle: Span,
    body_grace: Span,
    tunnel_idle: Span,
    connection_age: Span,
    drain: Span,
}

impl Default for ProxySection {
    fn default() -> Self {
        Self {
            listen: ListenKey(vec![ListenAddress::Internet(SocketAddr::from(([0, 0, 0, 0], 8080)))]),
            socket_mode: "660".into(),
            workers: 0,
            tls: None,
            proxy_protocol: false,
            takeover: None,
            trusted_proxies: Vec::new(),
            trusted_headers: HeadersKey::default(),
            forwarded: ForwardedKey::default(),
            reason_header: false,
            cache_bytes: 64 << 20,
            limits: LimitsSection::default(),
            timeouts: TimeoutsSection::default(),
        }
    }
}

impl Default for LimitsSection {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            connections: 10_000,
            connections_per_client: None,
            concurrent_requests: limits.concurrent_requests,
            header_bytes: limits.header_bytes,
            body_bytes: None,
            body_rate: limits.body_rate,
        }
    }
}

impl LimitsSection {
    /// Unless it is set, no client elsewhere takes more than half of the connections.
    fn clients(&self, forwarding: &Forwarding) -> ClientConnections {
        let clients = match self.connections_per_client {
            Some(limit) => ClientConnections::new(limit),
            None => ClientConnections::from_elsewhere(self.connections.div_ceil(2)),
        };
        clients.trust(&forwarding.trusted);
        clients
    }
}

impl Default for TimeoutsSection {
    fn default() -> Self {
        let seconds = |n| Span::of(Duration::from_secs(n));
        Self {
            header: seconds(30),
            tls_handshake: seconds(10),
            body_idle: seconds(60),
            body_grace: seconds(60),
            tunnel_idle: seconds(300),
            connection_age: seconds(3600),
            drain: seconds(30),
        }
    }
}

/// The listener, resolved.
#[derive(Clone, Debug)]
pub struct ProxySettings {
    /// At least one.
    pub listen: Vec<ListenAddress>,
    /// The permissions of Unix sockets.
    pub socket_mode: u32,
    /// Where the process after this one gets the listening sockets.
    pub takeover: Option<PathBuf>,
    /// At least one.
    pub workers: usize,
    pub server: ServerSettings,
    /// How long calls in hand may take after a shutdown.
    pub drain: Duration,
    pub limits: Limits,
    pub forwarding: Forwarding,
    pub cache_bytes: u64,
    /// What takes effect at a start alone, to tell whether a reload changed it.
    pub(super) at_start: AtStart,
}

impl ProxySettings {
    /// Whether nobody between a caller and the gateway can read what they say, as far as that is ours to see to: what
    /// reaches a trusted proxy is between the caller and that.
    pub fn keeps_secrets(&self) -> bool {
        self.server.tls.is_some()
            || !self.forwarding.trusted.is_empty()
            || self.listen.iter().all(ListenAddress::is_local)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AtStart {
    listen: Vec<ListenAddress>,
    socket_mode: u32,
    workers: usize,
    proxy_protocol: bool,
    takeover: Option<PathBuf>,
    /// Whether it is on; certificates are read again.
    tls: bool,
    connections: usize,
    connections_per_client: Option<usize>,
    cache_bytes: u64,
    timeouts: [Duration; 4],
}

impl AtStart {
    /// The keys of `[proxy]` that differ.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let differs = [
            ("proxy.listen", self.listen != other.listen),
            ("proxy.socket_mode", self.socket_mode != other.socket_mode),
            ("proxy.takeover", self.takeover != other.takeover),
            ("proxy.proxy_protocol", self.proxy_protocol != other.proxy_protocol),
            ("proxy.workers", self.workers != other.workers),
            ("proxy.tls", self.tls != other.tls),
            ("proxy.limits.connections", self.connections != other.connections),
            ("proxy.limits.connections_per_client", self.connections_per_client != other.connections_per_client),
            ("proxy.cache_bytes", self.cache_bytes != other.cache_bytes),
            ("proxy.timeouts", self.timeouts != other.timeouts),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}

impl ProxySection {
    /// Certificates and keys.
    pub fn named_files(&self) -> Vec<NamedFile> {
        self.tls.as_ref().map(TlsSection::named_files).unwrap_or_default()
    }

    /// # Errors
    /// What is wrong, and with which key.
    pub fn resolve(&self, files: &mut Vec<PathBuf>) -> Result<ProxySettings, (&'static str, String)> {
        let tls = self.tls.as_ref().map(|tls| tls.resolve(files)).transpose().map_err(|error| ("tls", error))?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = if self.workers == 0 { cores } else { within("workers", self.workers, &(0..=MOST_WORKERS))? };
        within("cache_bytes", self.cache_bytes, &(0..=MOST_BYTES))?;
        let forwarding = forwarding::resolve(&self.trusted_proxies, self.trusted_headers, self.forwarded)?;
        if self.proxy_protocol && forwarding.trusted.is_empty() {
            return Err(("proxy_protocol", "of whom? Name the proxies that begin with it in trusted_proxies".into()));
        }
        let proxy_protocol = self.proxy_protocol.then(|| Arc::new(ArcSwap::from_pointee(forwarding.trusted.clone())));
        let listen = self.listen.0.clone();
        let socket_mode = Some(&self.socket_mode).filter(|mode| mode.bytes().all(|b| b.is_ascii_digit()));
        let socket_mode = socket_mode.and_then(|mode| u32::from_str_radix(mode, 8).ok()).filter(|mode| *mode <= 0o777);
        let socket_mode = socket_mode.ok_or_else(|| {
            ("socket_mode", format!("{:?} are no permissions; write for example \"660\"", self.socket_mode))
        })?;
        let limits = Limits {
            concurrent_requests: within("limits.concurrent_requests", self.limits.concurrent_requests, &MANY)?,
            header_bytes: within("limits.header_bytes", self.limits.header_bytes, &HEADER_BYTES)?,
            body_bytes: self.limits.body_bytes.unwrap_or(u64::MAX),
            body_idle: self.timeouts.body_idle.0,
            body_rate: self.limits.body_rate,
            body_grace: self.timeouts.body_grace.0,
            tunnel_idle: self.timeouts.tunnel_idle.0,
            reason_header: self.reason_header,
        };
        if let Some(limit) = self.limits.connections_per_client {
            within("limits.connections_per_client", limit, &(0..=*MANY.end()))?;
        }
        let server = ServerSettings {
            tls,
            proxy_protocol,
            header_timeout: self.timeouts.header.positive().map_err(|why| ("timeouts.header", why))?,
            handshake_timeout: self.timeouts.tls_handshake.positive().map_err(|why| ("timeouts.tls_handshake", why))?,
            write_timeout: Arc::new(ArcSwap::from_pointee(self.timeouts.body_idle.0)),
            max_connections: within("limits.connections", self.limits.connections, &MANY)?,
            clients: self.limits.clients(&forwarding),
            max_age: self.timeouts.connection_age.0,
            drain: self.timeouts.drain.0,
        };
        let at_start = AtStart {
            listen: listen.clone(),
            socket_mode,
            workers,
            proxy_protocol: self.proxy_protocol,
            takeover: self.takeover.clone(),
            tls: self.tls.is_some(),
            connections: self.limits.connections,
            connections_per_client: self.limits.connections_per_client,
            cache_bytes: self.cache_bytes,
            timeouts: [
                self.timeouts.header.0,
                self.timeouts.tls_handshake.0,
                self.timeouts.connection_age.0,
                self.timeouts.drain.0,
            ],
        };
        let takeover = self.takeover.clone();
        let (drain, cache_bytes) = (self.timeouts.drain.0, self.cache_bytes);
        Ok(ProxySettings {
            listen,
            socket_mode,
            takeover,
            workers,
            server,
            drain,
            limits,
            forwarding,
            cache_bytes,
            at_start,
        })
    }
}
