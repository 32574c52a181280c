//! May this caller do this here?

use super::{Authenticated, Caller, Refused, Step};
use crate::policy::{self, Authorization};

#[derive(Clone, Copy, Debug)]
pub struct Authorize;

/// A request that may be made.
pub struct Authorized<B> {
    authenticated: Authenticated<B>,
    authorization: Option<Authorization>,
}

impl<B> Authorized<B> {
    pub(super) fn authenticated(&self) -> &Authenticated<B> {
        &self.authenticated
    }

    pub(super) fn authorization(&self) -> Option<&Authorization> {
        self.authorization.as_ref()
    }

    pub(super) fn into_parts(self) -> (Authenticated<B>, Option<Authorization>) {
        (self.authenticated, self.authorization)
    }
}

impl<B> Step<Authenticated<B>> for Authorize {
    type Out = Authorized<B>;

    fn take(&self, authenticated: Authenticated<B>) -> Result<Authorized<B>, Refused> {
        let matched = authenticated.matched();
        let place = matched.place();
        place.wrong_method(matched.request().method())?;
        let authorization = match authenticated.caller() {
            Caller::Anonymous => None,
            Caller::App(verified) => {
                let account = place.host_account.as_ref();
                let (route, pattern, params) = (&place.route, place.pattern(), &place.params);
                let registry = &place.state.registry;
                let verdict =
                    policy::authorize(verified.app(), route, pattern, params, matched.path(), account, registry);
                Some(verdict.map_err(|refusal| {
                    matched.call().ledger.keep(matched.request().headers());
                    place.refused(refusal)
                })?)
            }
        };
        Ok(Authorized { authenticated, authorization })
    }
}
