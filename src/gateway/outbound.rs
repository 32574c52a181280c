//! The request as the upstream gets it: cleaned, then told who calls.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Uri, Version};
use http_body::Body;
use hyper::upgrade::OnUpgrade;

use super::forwarded;
use super::hygiene::{self, Hygiene};
use super::identity::Told;
use super::matched::Place;
use super::watch::Spot;
use super::{Admitted, Call, Caller, Gate, IdentityTokens, Inbound, Limits, Refused, Step, tunnel};
use crate::model::{AccountId, Reason, Refusal, UpstreamName};
use crate::net::Stay;
use crate::policy::{self, AuthenticatorKind, Rewrite, Route, RouteTable, State, Target};

#[derive(Clone)]
pub struct Clean {
    tokens: Arc<IdentityTokens>,
    limits: Arc<ArcSwap<Limits>>,
}

impl Clean {
    pub fn new(gate: &Gate) -> Self {
        Self { tokens: Arc::clone(&gate.identity), limits: Arc::clone(&gate.limits) }
    }
}

/// A request that passed every check, ready to be sent: no credential unless the route keeps it, no field of the
/// caller's that says who calls.
pub struct Outbound<B> {
    request: Request<Inbound<B>>,
    call: Call,
    destination: Destination,
    upgrade: Option<Box<tunnel::Asked>>,
}

/// Where a request goes that passed every check.
pub enum Destination {
    Upstream(UpstreamName),
    /// To an answer of our own.
    Own(Box<Visit>),
}

/// All that an answer of our own may be made of, beside the request.
pub struct Visit {
    pub route: Arc<Route>,
    /// What the request was judged by.
    pub state: Arc<State>,
    pub caller: Caller,
    /// The account that alone owns the host.
    pub host_account: Option<AccountId>,
    /// The path's parameters and what they hold.
    pub params: Vec<(String, String)>,
}

impl<B> Outbound<B> {
    pub fn call(&self) -> &Call {
        &self.call
    }

    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The upgrade that was asked for, if the route lets it pass. The request itself asks for none.
    pub(super) fn take_upgrade(&mut self) -> Option<Box<tunnel::Asked>> {
        self.upgrade.take()
    }

    pub fn into_request(self) -> Request<Inbound<B>> {
        self.request
    }

    pub fn into_parts(self) -> (Request<Inbound<B>>, Call, Destination) {
        (self.request, self.call, self.destination)
    }
}

impl<B> Step<Admitted<B>> for Clean
where
    Inbound<B>: Body,
{
    type Out = Outbound<B>;

    fn take(&self, admitted: Admitted<B>) -> Result<Outbound<B>, Refused> {
        let (authenticated, authorization) = admitted.into_inner().into_parts();
        let (matched, caller) = authenticated.into_parts();
        // Before the request is changed: the path is a part of it.
        let params = matches!(matched.place().route.target, Target::Endpoint(_)).then(|| matched.params());
        let (mut request, call, place) = matched.into_parts();
        keep_in_sight(&call, &place, request.uri(), &caller);
        let route = &place.route;
        let upgrade = self.upgrade(&mut request, route);
        let host = authority(&request);
        let own = route.authenticator.credential().map(|(header, _)| header);
        let rules = Hygiene {
            claimed: place.state.routes.identity().claimed(),
            is_trusted: call.client.is_vouched_for,
            kept: own.filter(|_| route.keep_credential),
        };
        let takes_trailers = hygiene::clean_request(request.headers_mut(), &rules);
        let headers = request.headers_mut();
        drop_credentials(headers, route, &place.state.routes);
        join_cookies(headers);
        set_origin(headers, &call, host);
        if let Some(prefix) = route.rewrite.as_ref().and_then(Rewrite::prefix) {
            headers.insert(hygiene::FORWARDED_PREFIX, prefix.clone());
        }
        if route.client_certificate.is_some()
            && let Some(certificate) = call.peer.as_ref().and_then(|peer| peer.certificate.as_deref())
        {
            headers.insert(hygiene::CLIENT_CERT, certificate.field().clone());
        }
        if takes_trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        if let Some(told) = Told::of(&caller, authorization.as_ref()) {
            self.tell(&told, headers, &call, &place)?;
        }
        *request.version_mut() = Version::HTTP_11;
        if let Some(path) = place.sent(request.uri().path()) {
            *request.uri_mut() = rewritten(&path, request.uri().query()).map_err(|why| place.refused(why))?;
        } else if request.uri().authority().is_some() {
            // The path that was judged is the path that is sent; the authority was judged apart.
            let path = request.uri().path_and_query().cloned();
            *request.uri_mut() = path.map(Uri::from).unwrap_or_default();
        }
        let destination = match &place.route.target {
            Target::Upstream(name) => Destination::Upstream(name.clone()),
            Target::Endpoint(_) | Target::Advice(_) => {
                let params = params.unwrap_or_default();
                let Place { route, state, host_account, .. } = place;
                Destination::Own(Box::new(Visit { route, state, caller, host_account, params }))
            }
        };
        Ok(Outbound { request, call, destination, upgrade })
    }
}

impl Clean {
    /// Says who calls, as the configuration has it said.
    fn tell(&self, told: &Told<'_>, headers: &mut HeaderMap, call: &Call, place: &Place) -> Result<(), Refused> {
        let identity = place.state.routes.identity();
        told.put(headers, identity.headers());
        // What is answered here needs no token to know who calls.
        if let (Some(rules), Target::Upstream(upstream)) = (identity.token(), &place.route.target) {
            let token = self.tokens.sign(told, (rules, upstream), call.now);
            headers.insert(&rules.header, token.map_err(|_| place.refused(Reason::KeysUnavailable))?);
        }
        Ok(())
    }

    /// What is needed to go on with another protocol. A request with a body does not: it has something to say in this one.
    fn upgrade<B: Body>(&self, request: &mut Request<B>, route: &Route) -> Option<Box<tunnel::Asked>> {
        let protocol = policy::upgrade(route, request.method(), request.version(), request.headers())?.into();
        let caller = request.extensions_mut().remove::<OnUpgrade>().filter(|_| request.body().is_end_stream())?;
        let stay = request.extensions_mut().remove::<Stay>();
        Some(Box::new(tunnel::Asked { protocol, caller, stay, idle: self.limits.load().tunnel_idle }))
    }
}

/// What an answer that lasts is judged by again. An answer of our own does not last.
fn keep_in_sight(call: &Call, place: &Place, uri: &Uri, caller: &Caller) {
    let lasts = matches!(place.route.target, Target::Upstream(_)) && place.route.ends_with_token != Some(false);
    if !lasts || matches!(caller, Caller::Anonymous) {
        return;
    }
    let (pattern, params) = (place.pattern, place.params);
    let (decoded, host_account) = (place.decoded.clone(), place.host_account.clone());
    _ = call.ledger.spot.set(Spot { pattern, params, uri: uri.clone(), decoded, host_account, from: call.address() });
}

/// Another path with the query that came.
fn rewritten(path: &str, query: Option<&str>) -> Result<Uri, Refusal> {
    let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let too_long = |_| Refusal::new(Reason::RequestInvalid).found("a path that is too long once it is rewritten");
    Uri::try_from(target).map_err(too_long)
}

/// The host that the caller asked for, with its port.
fn authority<B>(request: &Request<B>) -> Option<HeaderValue> {
    let target = request.uri().authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok());
    target.or_else(|| request.headers().get(header::HOST).cloned())
}

/// Drops every header that carries credentials here, in every spelling, also those of other routes: a token for one
/// upstream is no other's business. A route that keeps its credential keeps its own, an anonymous one keeps whatever comes.
fn drop_credentials(headers: &mut HeaderMap, route: &Route, table: &RouteTable) {
    let own = route.authenticator.credential().map(|(header, _)| header);
    let is_kept = |name: &HeaderName| route.keep_credential && own.is_none_or(|own| own == name);
    let own_protocol = match &route.authenticator.kind {
        AuthenticatorKind::Jwt(jwt) => jwt.websocket_protocol.as_deref(),
        AuthenticatorKind::Anonymous | AuthenticatorKind::Basic => None,
    };
    let kept = own_protocol.filter(|_| route.keep_credential);
    policy::strip_tokens(headers, &table.token_protocols().filter(|name| Some(*name) != kept));
    hygiene::remove(headers, |name| !is_kept(name) && table.reserved().is_credential(name.as_str()));
}

/// HTTP/2 may send one cookie in several fields, HTTP/1.1 may not (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<_> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, cookie);
    }
}

fn set_origin(headers: &mut HeaderMap, call: &Call, host: Option<HeaderValue>) {
    headers.insert(hygiene::REQUEST_ID, call.id.header_value());
    if let Some(host) = &host {
        _ = call.ledger.authority.set(host.clone());
    }
    forwarded::tell(headers, call, host);
}
