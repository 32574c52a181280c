//! End to end: the real binary as a process, reached over sockets, in front of upstreams that record what they get.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where something is not as it says")]

mod clients;
mod harness;
mod icr;
mod identity;
mod interop;
mod interop_encryption;
mod khoros;
mod kore;
mod oauth;
mod operation;
mod protocol;
mod registry;
mod routing;
mod scopes;
mod streams;
mod upstreams;
