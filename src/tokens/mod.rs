//! The token service: what is issued to apps, checked, refreshed with a grace, invalidated and revoked.
//!
//! A [`TokenRepository`] keeps the lives of tokens and decides every step; the [`TokenBook`] has their states in memory
//! for the requests, and is at most a second behind.

mod book;
#[cfg(test)]
pub(crate) mod conformance;
mod issued;
mod lifecycle;
mod repository;
mod revocation;
mod ring;
mod service;

pub use book::{TokenBook, TokenDelta, TokenStates};
pub use issued::Issued;
pub use lifecycle::{AppTokens, IssuedToken, LifecycleError, Standing, Superseded};
pub use repository::{NewSigningKey, TokenError, TokenRepository, TokenVersion};
pub use revocation::Revocation;
pub use ring::{KeyRing, NoSigningKey, RotationSettings, SigningKeyRecord};
pub use service::{Holder, Lifetimes, NewToken, TokenService};
