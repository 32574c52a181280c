//! What a supervisor is told (sd_notify(3)): that calls are taken, that a reload goes on, that the end has come.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

/// Tells that calls are taken, and by whom: after a takeover it is another process than the one that was started.
pub(super) fn ready() {
    tell(&format!("READY=1\nMAINPID={}", std::process::id()));
}

pub(super) fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1000));
}

pub(super) fn reloaded() {
    tell("READY=1");
}

pub(super) fn stopping() {
    tell("STOPPING=1");
}

/// Nobody is told where nobody listens.
fn tell(state: &str) {
    let Some(place) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&place.to_string_lossy(), state) {
        tracing::warn!(%error, "the supervisor can't be told");
    }
}

fn send(place: &str, state: &str) -> io::Result<()> {
    let address = match place.strip_prefix('@') {
        Some(name) => abstract_address(name)?,
        None => SocketAddr::from_pathname(place)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &str) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &str) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervisor_hears_by_path_and_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let heard = |socket: &UnixDatagram| {
            let mut buffer = [0; 100];
            let length = socket.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        let by_path = UnixDatagram::bind(&path).unwrap();
        send(path.to_str().unwrap(), "READY=1").unwrap();
        assert_eq!(heard(&by_path), "READY=1");
        #[cfg(target_os = "linux")]
        {
            let name = format!("scopegate-test-{}", std::process::id());
            let by_name = UnixDatagram::bind_addr(&abstract_address(&name).unwrap()).unwrap();
            send(&format!("@{name}"), "STOPPING=1").unwrap();
            assert_eq!(heard(&by_name), "STOPPING=1");
        }
    }
}
