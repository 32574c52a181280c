//! Bytes to a service: sockets, TLS for both sides, the connection loop, drain. No gateway word in it.

mod certificate;
mod connect;
mod descriptors;
mod flood;
mod handover;
mod io;
mod linger;
mod listen;
mod names;
mod peer;
mod proxy_protocol;
mod serve;
mod server_tls;
mod socket;
mod stall;
mod stay;
mod tls;
mod trust;

pub use certificate::ClientCertificate;
pub use connect::{ConnectError, Connected, Endpoint, Remote, TlsTarget, connect, resolve};
pub use descriptors::{DescriptorPlan, Exhausted, connections_are_scarce};
pub use handover::{receive_sockets, send_sockets};
pub use listen::{BindError, LONGEST_SOCKET, ListenAddress, SocketFile, bind, bind_alone, bind_unix, is_taken};
pub use peer::{Address, Peer, TrustedProxies};
pub use serve::{Connections, ServerSettings, Shutdown, serve, told_to_stop};
pub use server_tls::{CertificateFiles, ClientAuthority, ServerTls, TlsFiles};
pub use socket::{Listener, Socket};
pub use stall::Stall;
pub use stay::Stay;
pub use tls::TlsError;
pub use trust::ClientTls;
