//! The whole stack, from a request's first byte to the leaf.

mod cache;
mod cases;
mod certificates;
mod cors;
mod encrypted;
mod flooded;
mod forward;
mod forwarded;
mod grpc;
mod hygiene;
mod identity;
mod lasting;
mod limits;
mod methods;
mod overrides;
mod quota;
mod reasons;
mod rotation;
mod secrecy;
mod single_use;
mod usage;
