//! A line of the access log, as it is written and as it is read again.

use std::borrow::Cow;
use std::fmt::Display;
use std::net::IpAddr;

use serde::{Deserialize, Serialize, Serializer};

use crate::clock::Timestamp;
use crate::gateway::Entry;
use crate::model::{Reason, printable_json};
use crate::net::Address;

/// A line but for its end; what is not known is left out. Neither query nor headers are in it: they may hold secrets.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    /// When the call came, RFC 3339.
    time: Shown<Timestamp>,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<Shown<Address>>,
    /// Who called, where the peer is a trusted proxy that tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<Shown<IpAddr>>,
    method: &'a str,
    /// The method that was sent, where it was overridden.
    #[serde(skip_serializing_if = "Option::is_none")]
    override_from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    /// The client id that the token names; proved only where `verified` is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a str>,
    /// The service account that signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    verified: bool,
    /// The key that made the signature: its kid, or its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<&'static str>,
    /// That of a token of single use, or of one that was used before.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bot: Option<&'a str>,
    /// The scope that the route asks of an app of this level.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    /// The address of it that was tried last.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_address: Option<&'a str>,
    /// Attempts at it beyond the first.
    #[serde(skip_serializing_if = "is_zero")]
    retries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// complete, abandoned, cut, ended or panicked.
    outcome: &'static str,
    duration_ms: f64,
    bytes_in: u64,
    bytes_out: u64,
    /// The true reason, also where the caller was told less.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl<'a> Line<'a> {
    pub fn of(entry: &Entry<'a>) -> Self {
        let scope = entry.route.zip(entry.app).and_then(|(route, app)| route.requirement.scope_for(app.level));
        Self {
            time: Shown(entry.at),
            request_id: entry.request_id,
            peer: entry.peer.map(|p| Shown(p.address)),
            client: entry.client.map(Shown),
            method: entry.method.as_str(),
            override_from: entry.overridden.map(http::Method::as_str),
            host: entry.host,
            path: entry.uri.path(),
            route: entry.route.map(|r| r.id.as_str()),
            app: entry.app.map(|a| a.client_id.as_str()),
            service: entry.service.map(|s| s.name.as_str()),
            account: entry.app.map(|a| &a.account).or(entry.service.map(|s| &s.account)).map(|a| a.as_str()),
            verified: entry.is_verified,
            key: key_of(entry),
            alg: entry.proof.map(|p| p.algorithm.as_str()),
            jti: entry.single_use,
            bot: entry.bot.map(|b| b.as_str()),
            scope: scope.map(|s| s.as_str()),
            upstream: entry.upstream.map(|u| u.as_str()),
            upstream_address: entry.address,
            retries: entry.retries,
            status: entry.status,
            outcome: entry.outcome.as_str(),
            duration_ms: (entry.duration.as_secs_f64() * 1e6).round() / 1e3,
            bytes_in: entry.bytes_in,
            bytes_out: entry.bytes_out,
            reason: entry.reason.map(Reason::code),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

fn key_of<'a>(entry: &Entry<'a>) -> Option<Cow<'a, str>> {
    let (app, proof) = (entry.app?, entry.proof?);
    Some(proof.signed_by(app))
}

/// As its text, without a copy of it.
struct Shown<T>(T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Leaves no character in a line that is not printable; it stays the same JSON. Mostly there is nothing but ASCII in it.
pub(super) fn escape(line: &mut Vec<u8>) {
    // All of them, since a loop without an early end takes many bytes at a time.
    if line.iter().fold(true, |all, byte| all & matches!(byte, b' '..=b'~')) {
        return;
    }
    if let Cow::Owned(escaped) = printable_json(&String::from_utf8_lossy(line)) {
        *line = escaped.into_bytes();
    }
}

/// Adds what may be known only later, and ends the line.
pub(super) fn finish(line: &mut Vec<u8>, expected: Option<&str>, found: Option<&str>) {
    line.pop();
    for (name, text) in [("expected", expected), ("found", found)] {
        if let Some(text) = text {
            line.extend_from_slice(format!(",\"{name}\":").as_bytes());
            // Writing a text to memory does not fail.
            let quoted = serde_json::to_string(text).unwrap_or_default();
            line.extend_from_slice(printable_json(&quoted).as_bytes());
        }
    }
    line.extend_from_slice(b"}\n");
}

/// A line that was read. Fields that later versions add are passed over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoggedCall {
    pub time: String,
    pub request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    pub method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    pub verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_address: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub outcome: String,
    pub duration_ms: f64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

impl LoggedCall {
    /// # Errors
    /// When the text is not one line of an access log.
    pub fn read(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }

    /// The upstream, the address of it and the further attempts, for a person.
    pub fn of_upstream(&self) -> Option<String> {
        let (name, address) = (self.upstream.as_deref()?, self.upstream_address.as_deref());
        let at = address.map(|address| format!(" at {address}")).unwrap_or_default();
        let after = match self.retries {
            0 => String::new(),
            1 => ", at the second attempt".to_owned(),
            more => format!(", after {more} more attempts"),
        };
        Some(format!("{name}{at}{after}"))
    }
}
