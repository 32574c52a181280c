use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::net::BindError;
use crate::registry::StoreError;
use crate::replay::JournalError;

/// Why the gateway does not start.
#[derive(Debug)]
pub enum StartError {
    Proxy(BindError),
    Telemetry(BindError),
    Store(StoreError),
    Replay(JournalError),
    /// Another process has the sockets and does not hand them over, or nobody can be offered them.
    Takeover(PathBuf, io::Error),
    Socket(io::Error),
    /// The system gives no random bytes.
    Randomness,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proxy(error) => write!(f, "proxy.listen: {error}"),
            Self::Telemetry(error) => write!(f, "telemetry.listen: {error}"),
            Self::Store(error) => write!(f, "{error}"),
            Self::Replay(error) => write!(f, "{error}"),
            Self::Takeover(path, error) => write!(f, "proxy.takeover: {}: {error}", path.display()),
            Self::Socket(error) => write!(f, "the system refused a socket or a thread: {error}"),
            Self::Randomness => f.write_str("the system gives no random bytes"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => error.source(),
            Self::Replay(error) => error.source(),
            _ => None,
        }
    }
}
