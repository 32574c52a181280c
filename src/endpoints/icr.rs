//! ICR apps: who an app is, its installations, and tokens for them.

use super::{Answer, Call, Endpoints};
use crate::model::Reason;
use crate::registry::Repository;
use crate::tokens::TokenRepository;

impl<R: Repository + TokenRepository> Endpoints<R> {
    #[expect(clippy::unused_async, reason = "the endpoints wait for the store")]
    pub(super) async fn icr(&self, _: &Call) -> Answer {
        Err(Reason::RouteUnknown.into())
    }
}
