//! Routes, once everything that they name is resolved. One fault is one error, however many routes it is a fault of.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Parts, Placed};
use crate::config::identity::IdentitySection;
use crate::config::route::{Names, RouteSection};
use crate::config::source::Source;
use crate::config::tokens::{AssertionAudiences, OauthSettings};
use crate::model::{RouteId, UpstreamName};
use crate::policy::{Authenticator, AuthenticatorKind, Authority, Identity, Route, RouteTable, Target};
use crate::registry::ScopeCatalogue;
use crate::verify::Origin;

/// Names whose own sections are faulty, and whether some parts could not be read at all: what follows from that is not told again.
#[derive(Default)]
pub(super) struct Broken {
    pub authenticators: BTreeSet<String>,
    pub upstreams: BTreeSet<String>,
    pub quotas: BTreeSet<String>,
    pub oauth: bool,
    pub parts: bool,
}

impl Broken {
    /// Whether a route names what is broken.
    fn has(&self, route: &RouteSection) -> bool {
        let upstream = route.upstream.as_ref().is_some_and(|name| self.upstreams.contains(name));
        let quota = route.quota.as_ref().is_some_and(|quota| self.quotas.contains(quota.name()));
        upstream || quota || self.authenticators.contains(&route.authenticator)
    }

    /// Whether a fault of a route may come from a part that could not be read.
    fn explains(&self, key: &str) -> bool {
        self.parts && ["authenticator", "upstream", "quota", "scope"].contains(&key)
    }
}

/// A fault that one or more routes of a source have.
struct Fault<'p> {
    first: &'p Placed<RouteSection>,
    key: &'static str,
    why: String,
    help: Option<String>,
    routes: Vec<RouteId>,
}

/// The faults so far, those of one kind together.
#[derive(Default)]
struct Faults<'p>(Vec<Fault<'p>>);

impl<'p> Faults<'p> {
    fn add(&mut self, placed: &'p Placed<RouteSection>, key: &'static str, why: String, help: Option<String>) {
        let id = placed.entry.id.clone();
        let is_it = |known: &&mut Fault<'_>| {
            Arc::ptr_eq(&known.first.source, &placed.source)
                && (known.key, &known.why, &known.help) == (key, &why, &help)
        };
        match self.0.iter_mut().find(is_it) {
            Some(known) => known.routes.push(id),
            None => self.0.push(Fault { first: placed, key, why, help, routes: vec![id] }),
        }
    }

    fn report(self, parts: &mut Parts) {
        for Fault { first, key, why, help, routes } in self.0 {
            let more = match &routes[1..] {
                [] => String::new(),
                [other] => format!(" (and route {other})"),
                others => format!(" (and {} more routes)", others.len()),
            };
            let message = format!("route {}{more}: {why}", first.entry.id);
            parts.report(&first.source, &["route", &first.index.to_string(), key], message, help);
        }
    }
}

impl Parts {
    /// `upstreams` are all that are declared, those with faults among them.
    pub(super) fn routes(
        &mut self,
        upstreams: &[UpstreamName],
        scopes: &ScopeCatalogue,
        main: &Source,
        identity: &IdentitySection,
    ) -> Option<RouteTable> {
        let authenticators = self.resolved_authenticators();
        let identity = self.identity(main, identity, &authenticators);
        let only = if let [only] = upstreams { Some(only) } else { None };
        let quotas = self.quotas();
        let names = Names { authenticators: &authenticators, upstreams, upstream: only, scopes, quotas: &quotas };
        let authority = self.oauth.as_ref().and_then(|oauth| authority(oauth, &authenticators));
        let placed = std::mem::take(&mut self.routes);
        self.check_ids(&placed);
        let (mut routes, mut places, mut faults) = (Vec::new(), Vec::new(), Faults::default());
        for placed in placed.iter().filter(|placed| !self.broken.has(&placed.entry)) {
            match placed.entry.resolve(&names) {
                Ok(route) if authority.is_none() && matches!(route.target, Target::Endpoint(e) if e.is_of_oauth()) => {
                    let help = "add the profile: profiles = [\"oauth\"], and [oauth] issuer = \"https://…\"";
                    if !self.broken.oauth {
                        faults.add(placed, "endpoint", "as whom would it issue tokens?".into(), Some(help.into()));
                    }
                }
                Ok(route) => {
                    routes.push(Arc::new(route));
                    places.push(placed);
                }
                Err((key, _, _)) if self.broken.explains(key) => {}
                Err((key, why, help)) => faults.add(placed, key, why, help),
            }
        }
        faults.report(self);
        self.warn_of_routes(&routes, &places);
        let table = self.table(routes, &places)?.telling(identity);
        Some(authority.into_iter().fold(table, |table, authority| table.issuing_as(Arc::new(authority))))
    }

    fn check_ids(&mut self, placed: &[Placed<RouteSection>]) {
        let mut ids = HashMap::new();
        for placed in placed {
            let id = &placed.entry.id;
            if let Some(other) = ids.insert(id.clone(), placed) {
                let message = format!("route {id} is declared twice, first in {}", place(other));
                self.report(&placed.source, &["route", &placed.index.to_string(), "id"], message, None);
            }
        }
    }

    fn identity(
        &mut self,
        main: &Source,
        section: &IdentitySection,
        authenticators: &BTreeMap<String, Arc<Authenticator>>,
    ) -> Identity {
        let issuer = self.oauth.as_ref().map(|oauth| oauth.issuer.as_str());
        section.resolve(issuer, &self.audiences, authenticators.values().map(|one| &**one)).unwrap_or_else(
            |([part, key], why)| {
                self.report(main, &["identity", part, key], format!("identity.{part}.{key}: {why}"), None);
                Identity::default()
            },
        )
    }

    fn table(&mut self, routes: Vec<Arc<Route>>, places: &[&Placed<RouteSection>]) -> Option<RouteTable> {
        RouteTable::new(routes)
            .map_err(|conflicts| {
                for conflict in conflicts {
                    let (first, second) = (places[conflict.first], places[conflict.second]);
                    let message = format!(
                        "route {}: {conflict}: {} in {}, once parameter names are erased",
                        second.entry.id,
                        first.entry.id,
                        place(first)
                    );
                    self.report(&second.source, &["route", &second.index.to_string(), "path"], message, None);
                }
            })
            .ok()
    }
}

/// The authenticators of the profile `oauth`, as its endpoints use them.
fn authority(oauth: &OauthSettings, authenticators: &BTreeMap<String, Arc<Authenticator>>) -> Option<Authority> {
    let rules = |name: &str, origin| match &authenticators.get(name)?.kind {
        AuthenticatorKind::Jwt(jwt) if jwt.rules.origin == origin => Some(jwt.rules.clone()),
        AuthenticatorKind::Jwt(_) | AuthenticatorKind::Basic | AuthenticatorKind::Anonymous => None,
    };
    Some(Authority {
        issuer: oauth.issuer.as_str().into(),
        audience: oauth.audience.as_str().into(),
        life: oauth.life,
        assertions: rules("oauth-client", Origin::App)?,
        one_audience: oauth.assertion_audiences == AssertionAudiences::Issuer,
        access: rules("oauth", Origin::Access)?,
    })
}

fn place(placed: &Placed<RouteSection>) -> String {
    let (name, index) = (&placed.source.name, placed.index.to_string());
    match placed.source.line(&["route", &index, "id"]) {
        Some(line) => format!("{name}:{line}"),
        None => name.clone(),
    }
}
