//! For whom tokens are: our token service, or an API.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Parts;
use crate::config::Diagnostic;
use crate::config::tokens::OauthSettings;
use crate::model::Endpoint;
use crate::policy::{AuthenticatorKind, RouteTable, Target};
use crate::verify::{Origin, OwnAudience};

impl Parts {
    /// What names our token service, where access tokens are issued.
    pub(super) fn own_audience(&self) -> Option<Arc<OwnAudience>> {
        let paths = self.routes.iter().filter(|placed| placed.entry.endpoint().is_some_and(Endpoint::is_of_oauth));
        let paths = paths.flat_map(|placed| placed.entry.paths()).map(String::as_str);
        Some(Arc::new(OwnAudience::new(&self.oauth.as_ref()?.issuer, paths)))
    }

    /// The URLs of the endpoints at which clients authenticate.
    pub(super) fn client_endpoints(&self, oauth: &OauthSettings) -> Vec<String> {
        let wanted = [Endpoint::OauthToken, Endpoint::OauthIntrospection, Endpoint::OauthRevocation];
        let routes = self.routes.iter().filter(|placed| placed.entry.endpoint().is_some_and(|e| wanted.contains(&e)));
        routes.flat_map(|placed| placed.entry.paths()).map(|path| format!("{}{path}", oauth.issuer)).collect()
    }

    /// Where access tokens are issued, clients sign assertions: one for another service could be used at a route that takes
    /// tokens for any audience. The authenticators of profiles are as their platforms have them.
    pub(super) fn warn_of_audiences(&mut self, table: &RouteTable) {
        if table.authority().is_none() {
            return;
        }
        let mut without = BTreeSet::new();
        for route in table.routes().iter().filter(|route| !matches!(route.target, Target::Advice(_))) {
            if let AuthenticatorKind::Jwt(jwt) = &route.authenticator.kind
                && jwt.rules.origin == Origin::App
                && jwt.rules.audiences.is_empty()
            {
                without.insert(route.authenticator.name.as_str());
            }
        }
        for (name, source) in self.declared.iter().filter(|(name, _)| without.contains(name.as_str())) {
            let message = format!(
                "authenticator {name} has no audiences: it takes tokens whatever their aud is, but for our own token service"
            );
            let help = Some(format!("write whom its tokens are for: [authenticator.{name}] audiences = [\"…\"]"));
            let line = source.line(&["authenticator", name]);
            self.warnings.push(Diagnostic { place: source.name.clone(), line, message, help });
        }
    }
}
