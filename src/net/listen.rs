//! Listening sockets.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

const BACKLOG: u32 = 4096;

/// An address that can't be listened on.
#[derive(Debug)]
pub struct BindError {
    pub address: SocketAddr,
    pub error: io::Error,
}

impl BindError {
    pub fn is_taken(&self) -> bool {
        self.error.kind() == io::ErrorKind::AddrInUse
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error.kind() {
            io::ErrorKind::AddrInUse => write!(f, "{} is taken: another process listens there", self.address),
            io::ErrorKind::PermissionDenied => write!(f, "{} may not be listened on by this user", self.address),
            io::ErrorKind::AddrNotAvailable => write!(f, "{} is no address of this machine", self.address),
            _ => write!(f, "{} can't be listened on: {}", self.address, self.error),
        }
    }
}

impl std::error::Error for BindError {}

/// Listens alone: fails where anybody listens already.
///
/// # Errors
/// When the address can't be bound.
pub fn bind_alone(address: SocketAddr) -> Result<TcpListener, BindError> {
    open(address, false).map_err(|error| BindError { address, error })
}

/// Listeners that share an address, one per worker; the kernel spreads the connections. Fails where anybody else
/// listens already, though that process may allow sharing too.
///
/// # Errors
/// When the address can't be bound.
pub fn bind(address: SocketAddr, count: usize) -> Result<Vec<TcpListener>, BindError> {
    let fail = |error| BindError { address, error };
    let probe = open(address, false).map_err(fail)?;
    // A port of 0 is chosen once, for all of them.
    let address = probe.local_addr().map_err(fail)?;
    drop(probe);
    (0..count.max(1)).map(|_| open(address, true).map_err(fail)).collect()
}

fn open(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(shared)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn workers_share_an_address_and_strangers_do_not() {
        let listeners = bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let address = listeners[0].local_addr().unwrap();
        assert_eq!(listeners[1].local_addr().unwrap(), address);
        assert!(bind(address, 2).unwrap_err().is_taken());
        assert!(bind_alone(address).unwrap_err().is_taken());
    }
}
