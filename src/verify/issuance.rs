//! What the verifier asks of whoever issues tokens and takes them back.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::jose::PreparedKey;
use crate::model::{AppNumber, Refusal, RegisteredClaims};

/// Who signed a token, and what is kept of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The app, with a key of its own. Nothing is kept of it until it is revoked.
    #[default]
    App,
    /// We: a token that the app holds, refreshes and gives up. Good while it is on record.
    Held,
    /// We: an access token (RFC 9068). Good until its end, or until it is revoked.
    Access,
    /// We: a token for one installation of an app. As an access token, and good while the installation is.
    Installation,
}

impl Origin {
    /// The `typ` that tells tokens of ours apart (RFC 8725 section 3.11); apps choose their own.
    pub const fn token_type(self) -> Option<&'static str> {
        match self {
            Self::App => None,
            Self::Held => Some("held+jwt"),
            Self::Access => Some("at+jwt"),
            Self::Installation => Some("installation+jwt"),
        }
    }
}

/// The `typ` of the tokens in which we tell upstreams who calls. No rule takes it: such a token calls nobody.
pub const IDENTITY_TYPE: &str = "identity+jwt";

/// The claim of our tokens that holds the app's number: an app that is deleted and made anew under its old client id is another.
pub const APP_NUMBER: &str = "appNumber";

/// The number of one of our own keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IssuerKeyNumber(pub i64);

/// Our own keys, and the state of tokens. Asked on the way of every request: it may not block.
pub trait Issuance: Send + Sync {
    /// Our key of that name, to verify with, if its time is not over.
    fn verifying(&self, kid: &str, now: Timestamp) -> Option<(IssuerKeyNumber, Arc<PreparedKey>)>;

    /// Whether that key still verifies.
    fn is_good(&self, key: IssuerKeyNumber, now: Timestamp) -> bool;

    /// Whether the token is still in force: not revoked, and on record if its kind is kept on record.
    ///
    /// # Errors
    /// `token.jti_required`, `token.superseded`, `token.revoked`.
    fn check_state(
        &self,
        app: AppNumber,
        origin: Origin,
        claims: &RegisteredClaims,
        now: Timestamp,
    ) -> Result<(), Refusal>;
}

/// Where no tokens are issued, nothing is ever revoked.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingIssued;

impl Issuance for NothingIssued {
    fn verifying(&self, _: &str, _: Timestamp) -> Option<(IssuerKeyNumber, Arc<PreparedKey>)> {
        None
    }

    fn is_good(&self, _: IssuerKeyNumber, _: Timestamp) -> bool {
        false
    }

    fn check_state(&self, _: AppNumber, _: Origin, _: &RegisteredClaims, _: Timestamp) -> Result<(), Refusal> {
        Ok(())
    }
}
