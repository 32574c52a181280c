//! `[upstream.NAME]`: where calls go.

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::Authority;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Deserialize;

use super::injected::InjectedHeader;
use super::named_file::NamedFile;
use super::range::{self, within};
use super::time::Span;
use crate::gateway::forward::{
    Ejection, HeaderBounds, HealthCheck, Origin, OriginHost, Protocol, Retries, Thresholds, Upstream, UpstreamHost,
    UpstreamSettings, UpstreamTimeouts,
};
use crate::model::{UpstreamName, port_of};
use crate::net::{ClientTls, LONGEST_SOCKET};
use crate::policy::{canonical_host, is_host};

/// A key, and what is wrong with it.
type Fault = range::Fault;

/// More than one machine has room for.
const MANY: usize = 10_000_000;
const PAUSES: RangeInclusive<Span> = Span::of(Duration::from_millis(10))..=Span::of(DAY);
const RESOLVING: RangeInclusive<Span> = Span::of(Duration::from_secs(1))..=Span::of(DAY);
const DAY: Duration = Duration::from_secs(86_400);

/// TLS settings, and what tells them from others.
type TlsSettings = (Arc<ClientConfig>, [u8; 32]);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpstreamSection {
    urls: Vec<String>,
    #[serde(default)]
    http: HttpKey,
    #[serde(default)]
    tls: TlsSection,
    #[serde(default)]
    headers: BTreeMap<String, InjectedHeader>,
    host: Option<String>,
    identity_audience: Option<String>,
    #[serde(default)]
    timeouts: TimeoutsSection,
    max_idle: Option<usize>,
    max_calls: Option<usize>,
    max_queue: Option<usize>,
    max_streams: Option<usize>,
    response_header_bytes: Option<usize>,
    response_header_fields: Option<usize>,
    resolve_every: Option<Span>,
    health: Option<HealthSection>,
    #[serde(default)]
    ejection: EjectionSection,
    #[serde(default)]
    retries: RetriesSection,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
enum HttpKey {
    #[default]
    #[serde(rename = "1.1")]
    One,
    #[serde(rename = "2")]
    Two,
    #[serde(rename = "auto")]
    Auto,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsSection {
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    name: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TimeoutsSection {
    connect: Span,
    response: Span,
    body_idle: Span,
    idle: Span,
    lifetime: Span,
    queue: Span,
}

impl Default for TimeoutsSection {
    fn default() -> Self {
        let UpstreamTimeouts { connect, response, body_idle, idle, lifetime, queue } = UpstreamTimeouts::default();
        Self {
            connect: Span::of(connect),
            response: Span::of(response),
            body_idle: Span::of(body_idle),
            idle: Span::of(idle),
            lifetime: Span::of(lifetime.unwrap_or_default()),
            queue: Span::of(queue),
        }
    }
}

impl TimeoutsSection {
    /// A bound of nothing is none, where none may be.
    fn resolve(&self) -> Result<UpstreamTimeouts, Fault> {
        let bound = |span: Span| (!span.0.is_zero()).then_some(span.0);
        let needed = |key, span: Span| span.positive().map_err(|why| (key, why));
        Ok(UpstreamTimeouts {
            connect: needed("timeouts.connect", self.connect)?,
            response: needed("timeouts.response", self.response)?,
            body_idle: self.body_idle.0,
            idle: self.idle.0,
            lifetime: bound(self.lifetime),
            queue: self.queue.0,
        })
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HealthSection {
    path: Option<String>,
    #[serde(default = "five_seconds")]
    every: Span,
    #[serde(default = "two_seconds")]
    timeout: Span,
    #[serde(default = "good_statuses")]
    status: String,
    #[serde(default = "two")]
    healthy: u32,
    #[serde(default = "three")]
    unhealthy: u32,
}

fn five_seconds() -> Span {
    Span::of(Duration::from_secs(5))
}

fn two_seconds() -> Span {
    Span::of(Duration::from_secs(2))
}

fn good_statuses() -> String {
    "200-399".to_owned()
}

fn two() -> u32 {
    2
}

fn three() -> u32 {
    3
}

impl HealthSection {
    fn resolve(&self) -> Result<HealthCheck, Fault> {
        let (first, last) = self.status.split_once('-').unwrap_or((&self.status, &self.status));
        let status = |text: &str| text.parse().ok().filter(|status| (100..600).contains(status));
        let wrong =
            || ("health.status", format!("{:?} is no status; write for example \"200\" or \"200-399\"", self.status));
        let statuses = status(first).zip(status(last)).filter(|(a, b)| a <= b).ok_or_else(wrong)?;
        if let Some(path) = self.path.as_ref().filter(|p| !p.starts_with('/') || p.parse::<Uri>().is_err()) {
            return Err(("health.path", format!("{path:?} is no path; write for example \"/healthz\"")));
        }
        Ok(HealthCheck {
            path: self.path.clone(),
            every: self.every.within(&PAUSES).map_err(|why| ("health.every", why))?,
            timeout: self.timeout.positive().map_err(|why| ("health.timeout", why))?,
            statuses,
            thresholds: Thresholds {
                healthy: within("health.healthy", self.healthy, &(1..=1000))?,
                unhealthy: within("health.unhealthy", self.unhealthy, &(1..=1000))?,
            },
        })
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct EjectionSection {
    failures: u32,
    least: Span,
    most: Span,
}

impl Default for EjectionSection {
    fn default() -> Self {
        let Ejection { failures, least, most } = UpstreamSettings::default().ejection;
        Self { failures, least: Span::of(least), most: Span::of(most) }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RetriesSection {
    attempts: u32,
    percent: u32,
}

impl Default for RetriesSection {
    fn default() -> Self {
        let Retries { attempts, percent } = UpstreamSettings::default().retries;
        Self { attempts, percent }
    }
}

impl UpstreamSection {
    /// The files that it is made of.
    pub fn files(&self) -> Vec<PathBuf> {
        let tls = self.tls.ca.iter().chain(&self.tls.cert).chain(&self.tls.key);
        tls.chain(self.headers.values().filter_map(InjectedHeader::file)).cloned().collect()
    }

    /// Certificates, keys and credentials.
    pub fn named_files(&self, name: &str) -> Vec<NamedFile> {
        let of = |path: &PathBuf, keys: [&str; 2], is_secret| {
            NamedFile::new(path, &[&["upstream", name], &keys[..]].concat(), is_secret)
        };
        let mut files: Vec<_> = self.tls.ca.iter().map(|ca| of(ca, ["tls", "ca"], false)).collect();
        files.extend(self.tls.cert.iter().map(|cert| of(cert, ["tls", "cert"], false)));
        files.extend(self.tls.key.iter().map(|key| of(key, ["tls", "key"], true)));
        let headers = self.headers.iter().filter_map(|(header, value)| Some((header, value.file()?)));
        files.extend(headers.map(|(header, path)| of(path, ["headers", header], true)));
        files
    }

    /// # Errors
    /// What is wrong, and with which key.
    pub fn resolve(&self, name: UpstreamName) -> Result<Upstream, Fault> {
        if self.urls.is_empty() {
            return Err(("urls", "no address; write for example [\"http://127.0.0.1:9000\"]".to_owned()));
        }
        let files = self.tls.files(self.http)?;
        let tls = LazyCell::new(|| files.read().map_err(|error| ("tls", error.to_string())));
        let origins = self.urls.iter().map(|url| self.origin(url, || tls.clone())).collect::<Result<_, _>>()?;
        Ok(Upstream::new(name, self.settings()?, origins))
    }

    fn settings(&self) -> Result<UpstreamSettings, Fault> {
        let default = UpstreamSettings::default();
        let at_least_one = |key: &'static str, value: Option<usize>| match value {
            Some(0) => Err((key, format!("0 would let no call through: 1 to {MANY}"))),
            value => value.map(|value| within(key, value, &(1..=MANY))).transpose(),
        };
        let at_most = |key: &'static str, value: Option<usize>, default: usize| {
            value.map_or(Ok(default), |value| within(key, value, &(0..=MANY)))
        };
        let health = self.health.as_ref().map(HealthSection::resolve).transpose();
        let EjectionSection { failures, least, most } = self.ejection.clone();
        within("ejection.failures", failures, &(0..=1_000_000))?;
        if failures > 0 {
            least.positive().map_err(|why| ("ejection.least", why))?;
            if most.0 < least.0 {
                return Err(("ejection.most", format!("{most} is less than least, {least}")));
            }
        }
        let RetriesSection { attempts, percent } = self.retries.clone();
        within("retries.attempts", attempts, &(0..=10))?;
        within("retries.percent", percent, &(0..=100))?;
        Ok(UpstreamSettings {
            protocol: match self.http {
                HttpKey::One => Protocol::Http1,
                HttpKey::Two => Protocol::Http2,
                HttpKey::Auto => Protocol::ByAlpn,
            },
            timeouts: self.timeouts.resolve()?,
            max_idle: at_most("max_idle", self.max_idle, default.max_idle)?,
            max_calls: at_least_one("max_calls", self.max_calls)?,
            max_queue: at_most("max_queue", self.max_queue, default.max_queue)?,
            max_streams: at_least_one("max_streams", self.max_streams)?.unwrap_or(default.max_streams),
            host: self.host()?.0,
            headers: self.injected()?,
            header_bounds: self.header_bounds()?,
            resolve_every: match self.resolve_every {
                Some(span) => span.within(&RESOLVING).map_err(|why| ("resolve_every", why))?,
                None => default.resolve_every,
            },
            health: health?,
            ejection: Ejection { failures, least: least.0, most: most.0 },
            retries: Retries { attempts, percent },
        })
    }

    fn header_bounds(&self) -> Result<HeaderBounds, Fault> {
        let default = HeaderBounds::default();
        let (bytes, fields) = (self.response_header_bytes, self.response_header_fields);
        Ok(HeaderBounds {
            bytes: within("response_header_bytes", bytes.unwrap_or(default.bytes), &(1024..=16 << 20))?,
            fields: within("response_header_fields", fields.unwrap_or(default.fields), &(1..=10_000))?,
        })
    }

    /// What the upstream's identity tokens say that they are for, where it has a name of its own for that.
    pub fn identity_audience(&self) -> Option<&str> {
        self.identity_audience.as_deref()
    }

    /// Whose host it is asked for, and the one that is given for it.
    fn host(&self) -> Result<(UpstreamHost, Option<Authority>), Fault> {
        let name = match self.host.as_deref() {
            None | Some("upstream") => return Ok((UpstreamHost::Upstream, None)),
            Some("client") => return Ok((UpstreamHost::Client, None)),
            Some(name) => name,
        };
        let is_good = |authority: &Authority| {
            let port = name.strip_prefix(authority.host()).unwrap_or(name);
            canonical_host(name).is_ok() && (port.is_empty() || authority.port_u16().is_some())
        };
        match name.parse::<Authority>().ok().filter(is_good) {
            Some(authority) => Ok((UpstreamHost::Upstream, Some(authority))),
            None => {
                let help = "write \"upstream\", \"client\", or a host name, with a port where one is needed";
                Err(("host", format!("{name:?} is not a host name; {help}")))
            }
        }
    }

    fn injected(&self) -> Result<Vec<(http::HeaderName, http::HeaderValue)>, Fault> {
        let headers = self.headers.iter().map(|(name, header)| header.resolve(name));
        headers.collect::<Result<_, _>>().map_err(|why| ("headers", why))
    }

    /// `tls` is asked for an https address alone: whoever has none needs no trust roots.
    fn origin(&self, url: &str, tls: impl Fn() -> Result<TlsSettings, Fault>) -> Result<Origin, Fault> {
        let wrong = |why: &str| {
            let help = "write for example \"http://127.0.0.1:9000\", or \"unix:/run/bots.sock\"";
            // Whatever stands before an @ may be a password.
            let shown = if url.contains('@') { "the URL" } else { url };
            ("urls", format!("{shown:?} {why}; {help}"))
        };
        if let Some(path) = url.strip_prefix("unix:") {
            if !path.starts_with('/') {
                return Err(wrong("names no absolute path"));
            }
            if path.len() > LONGEST_SOCKET {
                return Err(wrong(&format!(
                    "is too long for a socket: its path has {} bytes, and may have {LONGEST_SOCKET}",
                    path.len()
                )));
            }
            let authority = self.host()?.1.unwrap_or(Authority::from_static("localhost"));
            let host = OriginHost::Socket(path.into());
            return Ok(Origin { host, authority, tls: None, tls_digest: None });
        }
        let uri: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("is neither http nor https")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?.clone();
        if authority.as_str().contains('@') {
            return Err(wrong("holds a user name"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong("has a path; a route's rewrite or strip_prefix changes what is sent"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = port_of(&authority).map_err(|why| wrong(&why))?.unwrap_or(if is_tls { 443 } else { 80 });
        if !is_host(authority.host()) {
            return Err(wrong("names no host and no address"));
        }
        let (mut server, mut digest) = (None, None);
        if is_tls {
            let name = self.tls.name.clone().unwrap_or_else(|| host.clone());
            let name = ServerName::try_from(name).map_err(|_| wrong("has no name that a certificate could have"))?;
            let (config, of) = tls()?;
            (server, digest) = (Some((config, name)), Some(of));
        }
        let host = match host.parse() {
            Ok(ip) => OriginHost::Address(std::net::SocketAddr::new(ip, port)),
            Err(_) => OriginHost::Name(host, port),
        };
        let authority = self.host()?.1.unwrap_or(authority);
        Ok(Origin { host, authority, tls: server, tls_digest: digest })
    }
}

impl TlsSection {
    fn files(&self, http: HttpKey) -> Result<ClientTls, Fault> {
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
            (None, None) => None,
            _ => return Err(("tls", "cert and key belong together".to_owned())),
        };
        let protocols: Vec<&'static [u8]> = match http {
            HttpKey::One => vec![b"http/1.1"],
            HttpKey::Two => vec![b"h2"],
            HttpKey::Auto => vec![b"h2", b"http/1.1"],
        };
        Ok(ClientTls { ca: self.ca.clone(), identity, protocols })
    }
}
