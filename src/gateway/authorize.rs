//! May this caller do this here?

use std::sync::Arc;

use http_body::Body;

use super::{Authenticated, Caller, Gate, Inbound, Refused, Step};
use crate::model::BotId;
use crate::policy::{self, Authorization};
use crate::registry::UsageBook;

#[derive(Clone, Debug)]
pub struct Authorize {
    usage: Arc<UsageBook>,
}

impl Authorize {
    pub fn new(gate: &Gate) -> Self {
        Self { usage: Arc::clone(&gate.usage) }
    }
}

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

impl<B> Step<Authenticated<B>> for Authorize
where
    Inbound<B>: Body,
{
    type Out = Authorized<B>;

    fn take(&self, authenticated: Authenticated<B>) -> Result<Authorized<B>, Refused> {
        let matched = authenticated.matched();
        let place = matched.place();
        place.wrong_method(matched.request().method())?;
        let authorization = match authenticated.caller() {
            Caller::Anonymous => None,
            Caller::Service(service) => {
                let judged = policy::authorize_service(service, &place.route, place.host_account.as_ref());
                judged.map_err(|refusal| place.refused(refusal))?;
                None
            }
            Caller::App(verified) => {
                let app = verified.app();
                policy::check_network(app, matched.call().address()).map_err(|refusal| {
                    matched.call().ledger.keep(matched.request().headers());
                    place.refused(refusal)
                })?;
                let account = place.host_account.as_ref();
                let (route, pattern, params) = (&place.route, place.pattern(), &place.params);
                let verdict =
                    policy::authorize(verified, route, pattern, params, matched.path(), account, &place.state.registry);
                let ledger = &matched.call().ledger;
                let authorization = verdict.map_err(|refusal| {
                    ledger.keep(matched.request().headers());
                    let named = route.bot_param.as_deref().and_then(|name| pattern.param(name));
                    let bot = named.and_then(|i| params.get(matched.path(), i)).and_then(|b| BotId::new(b).ok());
                    _ = bot.map(|bot| ledger.bot.set(bot));
                    place.refused(refusal)
                })?;
                _ = authorization.bot.clone().map(|bot| ledger.bot.set(bot));
                if let Some(scope) = route.requirement.scope_for(app.level)
                    && let Some(used) = app.scope_use(authorization.bot.as_ref(), scope, matched.call().now)
                {
                    self.usage.note(used);
                }
                Some(authorization)
            }
        };
        let (request, place) = (authenticated.matched().request(), authenticated.matched().place());
        let has_body = !request.body().is_end_stream();
        policy::check_upgrade(&place.route, request.method(), request.version(), request.headers(), has_body)
            .map_err(|refusal| place.refused(refusal))?;
        Ok(Authorized { authenticated, authorization })
    }
}
