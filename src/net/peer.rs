//! Who is at the other end of a connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::ClientCertificate;
use super::calls::Calls;
use crate::model::Network;

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    Internet(SocketAddr),
    /// This machine, by a Unix socket.
    Unix,
    /// Somebody behind a proxy that can't tell who. Nobody is trusted for it.
    Unknown,
}

impl Address {
    /// An IPv4 address is one, however the system writes it.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Internet(address) => Some(address.ip().to_canonical()),
            Self::Unix | Self::Unknown => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Internet(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internet(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// The other end of a connection, or whoever a trusted proxy's PROXY header says stands behind it; stands in the
/// extensions of its requests.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: Address,
    pub is_tls: bool,
    /// Verified when the connection began.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The requests of the connection.
    pub(super) calls: Option<Arc<Calls>>,
}

impl Peer {
    /// Without a certificate.
    pub fn new(address: impl Into<Address>, is_tls: bool) -> Self {
        Self { address: address.into(), is_tls, certificate: None, calls: None }
    }

    /// Whether the gateway stops and the time to drain is over, so that the connection's requests have to end.
    pub fn is_cut(&self) -> bool {
        self.calls.as_ref().is_some_and(|calls| calls.are_cut())
    }
}

/// Whose word about others counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    pub networks: Vec<Network>,
    /// Whoever reaches us by a Unix socket.
    pub unix: bool,
}

impl TrustedProxies {
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    pub fn includes(&self, address: &Address) -> bool {
        match address {
            Address::Internet(address) => self.includes_ip(address.ip()),
            Address::Unix => self.unix,
            Address::Unknown => false,
        }
    }

    pub fn includes_ip(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}
