//! How many connections each client address has, so that no client takes all of them.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::{Address, TrustedProxies};

/// Of an IPv6 address the network is counted (/64): one client has all of it.
const NETWORK: u128 = !0 << 64;

/// The limit of connections per client address, and the count of each. Cheap to clone; clones share the counts.
#[derive(Clone)]
pub struct ClientConnections(Arc<Counted>);

struct Counted {
    limit: usize,
    /// Whether clients on this machine are counted as well.
    counts_loopback: bool,
    /// They speak for many clients, so they have no limit.
    trusted: ArcSwap<TrustedProxies>,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl fmt::Debug for ClientConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConnections").field("limit", &self.0.limit).finish_non_exhaustive()
    }
}

impl ClientConnections {
    /// A limit for every client but trusted proxies; 0 is none.
    pub fn new(limit: usize) -> Self {
        Self::counting(limit, true)
    }

    /// A limit for clients that are not on this machine.
    pub fn from_elsewhere(limit: usize) -> Self {
        Self::counting(limit, false)
    }

    fn counting(limit: usize, counts_loopback: bool) -> Self {
        let (trusted, open) = (ArcSwap::default(), Mutex::default());
        Self(Arc::new(Counted { limit, counts_loopback, trusted, open }))
    }

    pub fn trust(&self, trusted: &TrustedProxies) {
        self.0.trusted.store(Arc::new(trusted.clone()));
    }

    /// Counts one more connection, until the guard is dropped.
    ///
    /// # Errors
    /// When the client has as many as it may have.
    pub(super) fn take(&self, address: &Address) -> Result<Option<ClientConnection>, TooMany> {
        let Some(key) = self.key(address) else { return Ok(None) };
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(key).or_default();
        if *count >= self.0.limit {
            return Err(TooMany);
        }
        *count += 1;
        Ok(Some(ClientConnection { clients: self.clone(), key }))
    }

    fn key(&self, address: &Address) -> Option<IpAddr> {
        let ip = address.ip().filter(|_| self.0.limit > 0)?;
        let is_free = (ip.is_loopback() && !self.0.counts_loopback) || self.0.trusted.load().includes(address);
        (!is_free).then(|| match ip {
            IpAddr::V4(_) => ip,
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & NETWORK).into(),
        })
    }
}

/// The client has as many connections as it may have.
#[derive(Debug)]
pub(super) struct TooMany;

/// One connection of a client.
pub(super) struct ClientConnection {
    clients: ClientConnections,
    key: IpAddr,
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        let mut open = self.clients.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn address(ip: &str) -> Address {
        SocketAddr::new(ip.parse().unwrap(), 1).into()
    }

    #[test]
    fn a_client_is_its_address_or_its_network_of_64_bits() {
        for (one, same, other) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"),
        ] {
            let clients = ClientConnections::new(2);
            let first = clients.take(&address(one)).unwrap();
            let _second = clients.take(&address(same)).unwrap();
            assert!(clients.take(&address(same)).is_err() && clients.take(&address(one)).is_err());
            assert!(clients.take(&address(other)).is_ok());
            drop(first);
            assert!(clients.take(&address(same)).is_ok());
        }
        let clients = ClientConnections::new(1);
        drop(clients.take(&address("192.0.2.1")).unwrap());
        assert!(clients.0.open.lock().unwrap().is_empty(), "no address is kept that has no connection");
    }

    #[test]
    fn trusted_proxies_unix_sockets_and_by_default_this_machine_have_no_limit() {
        let clients = ClientConnections::new(1);
        let trusted = TrustedProxies { networks: vec!["192.0.2.0/24".parse().unwrap()], unix: false };
        clients.trust(&trusted);
        for free in [address("192.0.2.7"), Address::Unix] {
            assert!(clients.take(&free).unwrap().is_none());
        }
        assert!(clients.take(&address("127.0.0.1")).unwrap().is_some());
        let clients = ClientConnections::from_elsewhere(1);
        assert!(clients.take(&address("127.0.0.1")).unwrap().is_none());
        assert!(clients.take(&address("::1")).unwrap().is_none());
        assert!(clients.take(&address("198.51.100.1")).unwrap().is_some());
        assert!(ClientConnections::new(0).take(&address("198.51.100.1")).unwrap().is_none());
    }
}
