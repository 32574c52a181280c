//! What a store of issued tokens promises.

use std::fmt;
use std::future::Future;

use super::{AppTokens, IssuedToken, LifecycleError, NoSigningKey, Revocation, SigningKeyRecord, TokenDelta};
use crate::clock::Timestamp;
use crate::jose::IssuingMaterial;
use crate::model::{AppNumber, KeyId, TokenId};
use crate::registry::{Actor, StoreError};

/// Goes up with each change of a token's state, apart from the registry's version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TokenVersion(pub i64);

/// A change of a token's life that was not made.
#[derive(Debug)]
pub enum TokenError {
    /// The token's life has no such step.
    Lifecycle(LifecycleError),
    /// There is no such app.
    NoApp,
    /// No token can be signed.
    NoKey,
    Store(StoreError),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lifecycle(error) => write!(f, "{error}"),
            Self::NoApp => f.write_str("there is no such app"),
            Self::NoKey => NoSigningKey.fmt(f),
            Self::Store(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for TokenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => error.source(),
            Self::Lifecycle(_) | Self::NoApp | Self::NoKey => None,
        }
    }
}

impl From<NoSigningKey> for TokenError {
    fn from(_: NoSigningKey) -> Self {
        Self::NoKey
    }
}

impl From<StoreError> for TokenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Keeps the lives of tokens. Each change is atomic: of any number of simultaneous ones, over all nodes, each sees what
/// the one before it left. Each is audited; no token is ever stored.
pub trait TokenRepository: Send + Sync {
    /// What an app has now.
    fn tokens_of(&self, app: AppNumber) -> impl Future<Output = Result<AppTokens, StoreError>> + Send;

    /// As [`AppTokens::issue`].
    fn issue(
        &self,
        app: AppNumber,
        token: IssuedToken,
        actor: &Actor,
    ) -> impl Future<Output = Result<(), TokenError>> + Send;

    /// As [`AppTokens::refresh`], at the actor's time.
    fn refresh(
        &self,
        app: AppNumber,
        submitted: &TokenId,
        successor: IssuedToken,
        good_until: Timestamp,
        actor: &Actor,
    ) -> impl Future<Output = Result<(), TokenError>> + Send;

    /// As [`AppTokens::invalidate`], at the actor's time. An app without tokens has none to end, and that is no error.
    fn invalidate(
        &self,
        app: AppNumber,
        actor: &Actor,
    ) -> impl Future<Output = Result<Vec<TokenId>, TokenError>> + Send;

    /// Revokes tokens of the app that are on no record. After `until`, when none of them could be taken any more, nothing
    /// needs to be kept of it.
    fn revoke(
        &self,
        app: AppNumber,
        revocation: &Revocation,
        until: Timestamp,
        actor: &Actor,
    ) -> impl Future<Output = Result<(), TokenError>> + Send;

    /// What changed since a version that was read earlier; since version 0, everything.
    fn token_changes_since(&self, version: TokenVersion)
    -> impl Future<Output = Result<TokenDelta, StoreError>> + Send;

    /// Our own signing keys, oldest first. Their private halves come back as they went in and are never stored in the clear.
    fn signing_keys(&self) -> impl Future<Output = Result<Vec<SigningKeyRecord>, StoreError>> + Send;

    /// Adds a signing key after the newest, unless another node was faster; whether it was added. Deletes those of
    /// these numbers, whose time is over.
    fn rotate(
        &self,
        newest: Option<i64>,
        next: &NewSigningKey,
        over: &[i64],
        actor: &Actor,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// A signing key that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSigningKey {
    pub kid: KeyId,
    pub material: IssuingMaterial,
    pub signs_from: Timestamp,
}
