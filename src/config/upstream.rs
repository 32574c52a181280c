//! `[upstream.NAME]`: where calls go.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderValue, Uri};
use rustls::pki_types::ServerName;
use serde::Deserialize;

use super::time::Span;
use crate::gateway::forward::{Upstream, UpstreamTimeouts};
use crate::net::{Endpoint, client_config};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpstreamSection {
    urls: Vec<String>,
    ca: Option<PathBuf>,
    #[serde(default)]
    timeouts: TimeoutsSection,
    #[serde(default = "max_idle")]
    max_idle: usize,
}

fn max_idle() -> usize {
    256
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TimeoutsSection {
    connect: Span,
    response: Span,
    body_idle: Span,
    idle: Span,
}

impl Default for TimeoutsSection {
    fn default() -> Self {
        let seconds = |n| Span(Duration::from_secs(n));
        Self { connect: seconds(5), response: seconds(60), body_idle: seconds(60), idle: seconds(30) }
    }
}

impl UpstreamSection {
    /// # Errors
    /// What is wrong, and with which key.
    pub fn resolve(&self) -> Result<Upstream, (&'static str, String)> {
        let [url] = &self.urls[..] else {
            return Err(("urls", format!("{} addresses; this version takes exactly one", self.urls.len())));
        };
        let wrong = |why: &str| ("urls", format!("{url:?} {why}; write for example \"http://127.0.0.1:9000\""));
        let uri: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("is neither http nor https")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("holds a user name"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong("has a path; the path of the call is what is sent"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = if is_tls {
            let name =
                ServerName::try_from(host.clone()).map_err(|_| wrong("has no name that a certificate could have"))?;
            let config = client_config(self.ca.as_deref()).map_err(|error| ("ca", error.to_string()))?;
            Some((config, name))
        } else {
            None
        };
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let host_value = HeaderValue::from_str(authority.as_str()).map_err(|_| wrong("has no valid host"))?;
        let times = &self.timeouts;
        Ok(Upstream {
            endpoint: Endpoint { host, port, tls, timeout: times.connect.0 },
            host: host_value,
            timeouts: UpstreamTimeouts { response: times.response.0, body_idle: times.body_idle.0, idle: times.idle.0 },
            max_idle: self.max_idle,
        })
    }
}
