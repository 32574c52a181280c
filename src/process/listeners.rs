//! The listening sockets of a gateway: bound here, opened by systemd, or handed over by the process before, and shared
//! out to the workers.

use std::io;
use std::net::SocketAddr;

use listenfd::ListenFd;

use super::StartError;
use crate::config::ProxySettings;
use crate::net::{self, BindError, ListenAddress, Socket, SocketFile};

/// Sockets, each with what it is for: the listener's name and the address as it is configured.
pub(super) type Named = Vec<(String, Socket)>;

/// Every socket that calls or questions come by.
pub(super) struct Listeners {
    /// With the address as it is configured; several sockets may share one.
    proxy: Vec<(ListenAddress, Vec<Socket>)>,
    telemetry: (SocketAddr, Socket),
    files: Vec<SocketFile>,
}

impl Listeners {
    /// Takes what was handed over for an address, and opens the rest.
    ///
    /// # Errors
    /// When an address can't be listened on.
    pub fn open(proxy: &ProxySettings, telemetry: SocketAddr, mut handed: Named) -> Result<Self, StartError> {
        let (mut opened, mut of_systemd) = (Vec::new(), OfSystemd::new(&proxy.listen));
        for address in &proxy.listen {
            let from_before = take(&mut handed, &name("proxy", address));
            let sockets = if from_before.is_empty() { open(address, proxy, &mut of_systemd)? } else { from_before };
            opened.push((address.clone(), sockets));
        }
        let from_before = take(&mut handed, &name("telemetry", telemetry)).pop();
        let telemetry = match from_before {
            Some(socket) => (telemetry, socket),
            None => {
                let listener = net::bind_alone(telemetry).map_err(StartError::Telemetry)?;
                (telemetry, Socket::Internet(listener.into_std().map_err(StartError::Socket)?))
            }
        };
        let files = proxy.listen.iter().filter_map(|address| match address {
            ListenAddress::Unix(path) => Some(SocketFile::new(path)),
            ListenAddress::Internet(_) | ListenAddress::Systemd(_) => None,
        });
        Ok(Self { proxy: opened, telemetry, files: files.collect() })
    }

    /// Where callers reach it.
    pub fn addresses(&self) -> Vec<ListenAddress> {
        let of = |(wanted, sockets): &(ListenAddress, Vec<Socket>)| -> Vec<ListenAddress> {
            let of_internet = sockets.iter().filter_map(|socket| match socket {
                Socket::Internet(socket) => socket.local_addr().ok().map(ListenAddress::Internet),
                Socket::Unix(_) => None,
            });
            let mut found: Vec<_> = of_internet.collect();
            found.dedup();
            if found.is_empty() { vec![wanted.clone()] } else { found }
        };
        self.proxy.iter().flat_map(of).collect()
    }

    /// A copy of each socket, for the process after this one.
    ///
    /// # Errors
    /// When the system gives no more descriptors.
    pub fn copies(&self) -> io::Result<Named> {
        let proxy = self.proxy.iter().flat_map(|(address, sockets)| {
            sockets.iter().map(move |socket| Ok((name("proxy", address), socket.try_clone()?)))
        });
        let (address, telemetry) = &self.telemetry;
        proxy.chain([telemetry.try_clone().map(|copy| (name("telemetry", address), copy))]).collect()
    }

    /// For each worker its sockets, the one for telemetry, and the files that are to be removed at the end. Each socket
    /// is polled by a worker at least: connections wait at each of them.
    ///
    /// # Errors
    /// When the system gives no more descriptors.
    pub fn share_out(self, workers: usize) -> io::Result<(Vec<Vec<Socket>>, Socket, Vec<SocketFile>)> {
        let mut shares: Vec<Vec<Socket>> = (0..workers).map(|_| Vec::new()).collect();
        for (_, sockets) in self.proxy {
            for worker in sockets.len()..workers {
                shares[worker].push(sockets[worker % sockets.len()].try_clone()?);
            }
            for (number, socket) in sockets.into_iter().enumerate() {
                shares[number % workers].push(socket);
            }
        }
        Ok((shares, self.telemetry.1, self.files))
    }
}

fn name(listener: &str, address: impl std::fmt::Display) -> String {
    format!("{listener} {address}")
}

fn take(handed: &mut Named, name: &str) -> Vec<Socket> {
    let (wanted, rest) = std::mem::take(handed).into_iter().partition(|(known, _)| known == name);
    *handed = rest;
    let wanted: Named = wanted;
    wanted.into_iter().map(|(_, socket)| socket).collect()
}

fn open(address: &ListenAddress, proxy: &ProxySettings, of_systemd: &mut OfSystemd) -> Result<Vec<Socket>, StartError> {
    match address {
        ListenAddress::Internet(address) => net::bind(*address, proxy.workers).map_err(StartError::Proxy),
        ListenAddress::Unix(path) => {
            net::bind_unix(path, proxy.socket_mode).map(|socket| vec![socket]).map_err(StartError::Proxy)
        }
        ListenAddress::Systemd(wanted) => {
            let fail = |error| StartError::Proxy(BindError { address: address.clone(), error });
            let given = of_systemd.take(wanted.as_deref()).map_err(fail)?;
            if given.is_empty() {
                return Err(fail(io::Error::other("systemd gave no such socket to this process")));
            }
            Ok(given)
        }
    }
}

/// What systemd opened and nobody has taken yet. It is given once to a process, so it is asked for once.
struct OfSystemd {
    named: Vec<String>,
    given: Option<Named>,
}

impl OfSystemd {
    fn new(listen: &[ListenAddress]) -> Self {
        let named = listen.iter().filter_map(|address| match address {
            ListenAddress::Systemd(name) => name.clone(),
            ListenAddress::Internet(_) | ListenAddress::Unix(_) => None,
        });
        Self { named: named.collect(), given: None }
    }

    /// Those of this name, or all that no address names.
    fn take(&mut self, wanted: Option<&str>) -> io::Result<Vec<Socket>> {
        let given = match self.given.take() {
            Some(given) => given,
            None => given()?,
        };
        let fits = |name: &String| wanted.map_or_else(|| !self.named.contains(name), |wanted| wanted == name);
        let (taken, left): (Named, Named) = given.into_iter().partition(|(name, _)| fits(name));
        self.given = Some(left);
        Ok(taken.into_iter().map(|(_, socket)| socket).collect())
    }
}

/// With the names (sd_listen_fds_with_names(3)).
fn given() -> io::Result<Named> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut given = ListenFd::from_env();
    (0..given.len())
        .map(|number| {
            let name = names.next().unwrap_or_default().to_owned();
            match given.take_tcp_listener(number) {
                Ok(Some(socket)) => Ok((name, Socket::Internet(socket))),
                _ => match given.take_unix_listener(number)? {
                    Some(socket) => Ok((name, Socket::Unix(socket))),
                    None => Err(io::Error::other("a socket was taken twice")),
                },
            }
        })
        .collect()
}
