//! ICR apps: who an app is, its installations, and tokens for them.
//!
//! An app comes with a token of its own and gets one for an installation, which is good for an hour and for what the
//! installation may do. Nothing is kept of such a token until it is revoked.

mod access;
mod installations;
mod shapes;

use super::{Answer, Call, Endpoints};
use crate::model::{Endpoint, Reason};
use crate::registry::Repository;
use crate::tokens::TokenRepository;
use crate::verify::Reach;

impl<R: Repository + TokenRepository> Endpoints<R> {
    pub(super) async fn icr(&self, call: &Call) -> Answer {
        match call.endpoint {
            Endpoint::IcrApp => installations::app(call),
            Endpoint::IcrInstallations => installations::list(call),
            Endpoint::IcrInstallation => installations::one(call),
            Endpoint::IcrAccessTokens => self.icr_access_token(call),
            Endpoint::IcrRepositories => installations::repositories(call),
            Endpoint::IcrRevocation => self.icr_revocation(call).await,
            _ => Err(Reason::RouteUnknown.into()),
        }
    }
}

impl Call {
    /// What the token of the call reaches; routes see to it that it is one for an installation.
    fn reach(&self) -> Result<Reach<'_>, crate::model::Refusal> {
        let (app, proof) = self.app()?;
        let grant = proof.installation.as_ref().ok_or(Reason::PermissionsInsufficient)?;
        Reach::of(grant, app, &self.state.registry)
    }
}
