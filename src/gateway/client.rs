//! Who called, as far as addresses tell: the other end of the connection, or whoever trusted proxies say stands behind it.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;

use super::forwarded::{self, Hop};
use crate::net::{Peer, TrustedProxies};

/// Where a call came from. To be judged by; the peer may be a proxy that speaks for many.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// None where a Unix socket, or whoever embeds the stack, tells none, and where a trusted proxy speaks for somebody
    /// whose address can't be read: the proxy's own would have the rights of the proxy.
    pub address: Option<IpAddr>,
    /// Whether the client's own connection is encrypted.
    pub is_tls: bool,
    /// Whether the peer is a trusted proxy.
    pub(super) is_vouched_for: bool,
    /// The client, who may be without an address, then the trusted proxies behind it up to the peer, which is not in it.
    /// None where nobody speaks for another.
    hops: Option<Arc<[Option<IpAddr>]>>,
    pub(super) told: Told,
}

/// Whose word about callers counts, and what upstreams are told of them. It can change while the gateway runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarding {
    pub trusted: TrustedProxies,
    pub believed: Believed,
    pub told: Told,
}

/// The fields that trusted proxies write. Others come from whoever called the proxy, so one kind is believed and never both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Believed {
    /// `X-Forwarded-For` and `X-Forwarded-Proto`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Rfc7239,
    /// `CF-Connecting-IP` and `CF-Visitor`.
    Cloudflare,
}

/// The fields that upstreams get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    /// `X-Forwarded-For`, `-Proto` and `-Host`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Rfc7239,
    Both,
}

impl Client {
    /// The other end of the connection itself.
    pub(super) fn of(peer: Option<&Peer>, forwarding: &Forwarding) -> Self {
        let address = peer.and_then(|peer| peer.address.ip());
        let is_tls = peer.is_some_and(|peer| peer.is_tls);
        Self { address, is_tls, is_vouched_for: false, hops: None, told: forwarding.told }
    }

    /// Whoever a trusted proxy speaks for: the first from its side that is none, too.
    pub(super) fn behind(proxy: &Peer, headers: &HeaderMap, forwarding: &Forwarding) -> Self {
        let mut client = Self { is_vouched_for: true, ..Self::of(Some(proxy), forwarding) };
        if let Some(is_tls) = forwarded::scheme_alone(headers, forwarding.believed) {
            client.is_tls = is_tls;
        }
        let mut hops = Vec::new();
        forwarded::from_nearest(headers, forwarding.believed, |Hop { address, is_tls }| {
            if let Some(is_tls) = is_tls {
                client.is_tls = is_tls;
            }
            hops.push(address);
            address.is_some_and(|address| forwarding.trusted.includes_ip(address))
        });
        hops.reverse();
        if let Some(farthest) = hops.first() {
            client.address = *farthest;
            client.hops = Some(hops.into());
        }
        client
    }

    /// The address, where it is not the peer's own.
    pub(super) fn behind_proxies(&self) -> Option<IpAddr> {
        self.hops.as_ref().and(self.address)
    }

    pub(super) fn hops(&self) -> &[Option<IpAddr>] {
        self.hops.as_deref().unwrap_or_default()
    }
}
