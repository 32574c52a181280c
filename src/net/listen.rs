//! Where to listen.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};
use tokio::net::{TcpListener, TcpSocket};

use super::Socket;

const BACKLOG: u32 = 4096;
/// The longest path of a Unix socket: the system has 108 bytes for it, with one that ends it.
pub const LONGEST_SOCKET: usize = 107;

/// An address that a listener has, or is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    Internet(SocketAddr),
    /// A Unix socket, as a file.
    Unix(PathBuf),
    /// What systemd listens on for us: all of it, or what has this name (`FileDescriptorName=`).
    Systemd(Option<String>),
}

impl ListenAddress {
    /// Whether nobody but this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Internet(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
            Self::Systemd(_) => false,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("unix", path)) if path.len() > LONGEST_SOCKET => Err(format!(
                "{text:?} is too long for a socket: its path has {} bytes, and may have {LONGEST_SOCKET}",
                path.len()
            )),
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("systemd", name)) if !name.is_empty() => Ok(Self::Systemd(Some(name.to_owned()))),
            None if text == "systemd" => Ok(Self::Systemd(None)),
            _ => text.parse().map(Self::Internet).map_err(|_| {
                format!(
                    "{text:?} is nothing to listen on: write an address and a port such as \"0.0.0.0:8080\" or \
                     \"[::]:8080\", \"unix:/run/scopegate.sock\", \"systemd\" or \"systemd:NAME\""
                )
            }),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internet(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Systemd(None) => f.write_str("systemd"),
            Self::Systemd(Some(name)) => write!(f, "systemd:{name}"),
        }
    }
}

/// An address that can't be listened on.
#[derive(Debug)]
pub struct BindError {
    pub address: ListenAddress,
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
    open(address, false).map_err(|error| BindError { address: ListenAddress::Internet(address), error })
}

/// Listeners that share an address, one per worker; the kernel spreads the connections. Fails where anybody else
/// listens already, though that process may allow sharing too.
///
/// # Errors
/// When the address can't be bound.
pub fn bind(address: SocketAddr, count: usize) -> Result<Vec<Socket>, BindError> {
    let fail = |error| BindError { address: ListenAddress::Internet(address), error };
    let probe = open(address, false).map_err(fail)?;
    // A port of 0 is chosen once, for all of them.
    let chosen = probe.local_addr().map_err(fail)?;
    drop(probe);
    let one = || open(chosen, true).and_then(TcpListener::into_std).map(Socket::Internet);
    (0..count.max(1)).map(|_| one().map_err(fail)).collect()
}

fn open(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(shared)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Listens on a Unix socket, with these permissions. A file that a dead process left there is replaced.
///
/// # Errors
/// When somebody listens there, something else is there, or the file can't be made.
pub fn bind_unix(path: &Path, mode: u32) -> Result<Socket, BindError> {
    let fail = |error| BindError { address: ListenAddress::Unix(path.into()), error };
    if let Ok(metadata) = fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            return Err(fail(io::Error::other("something else is there, which is no socket")));
        }
        if is_taken(path).map_err(fail)? {
            return Err(fail(io::ErrorKind::AddrInUse.into()));
        }
    }
    // Made beside it, so that it is there with its permissions or not at all.
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}", std::process::id()));
    let aside = Path::new(&aside);
    _ = fs::remove_file(aside);
    let listener = UnixListener::bind(aside).map_err(fail)?;
    let placed = fs::set_permissions(aside, fs::Permissions::from_mode(mode)).and_then(|()| fs::rename(aside, path));
    placed.inspect_err(|_| _ = fs::remove_file(aside)).map_err(fail)?;
    Ok(Socket::Unix(listener))
}

/// Whether a process listens on a Unix socket. Does not wait for it to accept.
///
/// # Errors
/// When that can't be found out: it may be there and refuse this user.
pub fn is_taken(path: &Path) -> io::Result<bool> {
    let probe = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::ioctl_fionbio(&probe, true)?;
    match connect(&probe, &SocketAddrUnix::new(path)?).map_err(io::Error::from) {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            // As many wait already as may.
            io::ErrorKind::WouldBlock => Ok(true),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Ok(false),
            _ => Err(error),
        },
    }
}

/// The file of a Unix socket. Removed when it is no longer of use, unless somebody has put another in its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: Option<(u64, i64, i64)>,
}

impl SocketFile {
    pub fn new(path: &Path) -> Self {
        Self { path: path.into(), identity: identity(path) }
    }

    pub fn remove(self) {
        if self.identity.is_some() && self.identity == identity(&self.path) {
            // Whoever may not remove it leaves it for the next start to replace.
            _ = fs::remove_file(&self.path);
        }
    }
}

/// Numbers of files are used again, at once on some file systems.
fn identity(path: &Path) -> Option<(u64, i64, i64)> {
    fs::symlink_metadata(path).ok().map(|metadata| (metadata.ino(), metadata.ctime(), metadata.ctime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn workers_share_an_address_and_strangers_do_not() {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let address = |socket: &Socket| match socket {
            Socket::Internet(socket) => socket.local_addr().unwrap(),
            Socket::Unix(_) => panic!("none was asked for"),
        };
        let shared = address(&sockets[0]);
        assert_eq!(address(&sockets[1]), shared);
        assert!(bind(shared, 2).unwrap_err().is_taken());
        assert!(bind_alone(shared).unwrap_err().is_taken());
    }

    #[test]
    fn a_socket_file_is_replaced_if_nobody_listens_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy.sock");
        let first = bind_unix(&path, 0o600).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(bind_unix(&path, 0o600).unwrap_err().is_taken());
        drop(first);
        let file = SocketFile::new(&path);
        let second = bind_unix(&path, 0o660).unwrap();
        file.remove();
        assert!(path.exists(), "it is another's by now");
        drop(second);
        SocketFile::new(&path).remove();
        assert!(!path.exists());
        fs::write(&path, "data").unwrap();
        assert!(bind_unix(&path, 0o600).is_err() && path.exists());
    }

    #[test]
    fn a_socket_of_a_process_that_is_alive_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        // It accepts nobody, and as many wait as may.
        let busy = folder.path().join("busy.sock");
        let listening = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&listening, &SocketAddrUnix::new(&busy).unwrap()).unwrap();
        rustix::net::listen(&listening, 0).unwrap();
        let waiting = std::os::unix::net::UnixStream::connect(&busy).unwrap();
        // Of another type, to which no stream can be connected.
        let other = folder.path().join("other.sock");
        let datagram = std::os::unix::net::UnixDatagram::bind(&other).unwrap();
        let before = [identity(&busy), identity(&other)];
        assert!(bind_unix(&busy, 0o600).unwrap_err().is_taken());
        assert!(!bind_unix(&other, 0o600).unwrap_err().is_taken());
        assert_eq!([identity(&busy), identity(&other)], before);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left aside");
        drop((listening, waiting, datagram));
        bind_unix(&busy, 0o600).unwrap();
    }

    #[test]
    fn an_address_reads_as_it_is_written() {
        for text in ["127.0.0.1:8080", "[::]:8080", "unix:/run/a:b.sock", "systemd", "systemd:proxy"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        for text in ["", "8080", "localhost:8080", "unix:", "systemd:", "tcp:127.0.0.1:80"] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
    }
}
