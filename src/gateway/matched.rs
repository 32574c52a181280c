//! Host, method and path to a route and an account.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri, Version, header};
use http_body::Body;

use super::cors::{self, Reading};
use super::ledger::Doubt;
use super::{Bounded, Call, Gate, Inbound, Located, Refused, Step};
use crate::model::{AccountId, Reason, Refusal};
use crate::net::ClientCertificate;
use crate::policy::{
    Found, Live, METHOD_OVERRIDE, Params, Pattern, Preflight, Route, Sought, State, Target, canonical_host,
    check_encodings, judge, wrong_method,
};

/// Finds the route. The state is loaded here, once; the whole call is judged by it.
#[derive(Clone)]
pub struct Match {
    live: Arc<Live>,
}

impl Match {
    pub fn new(gate: &Gate) -> Self {
        Self { live: Arc::clone(&gate.live) }
    }
}

/// A request with its route.
pub struct Matched<B> {
    request: Request<Inbound<B>>,
    call: Call,
    place: Place,
}

/// Where a request goes, and by what it is judged.
pub(super) struct Place {
    pub state: Arc<State>,
    pub route: Arc<Route>,
    pub pattern: usize,
    pub params: Params,
    /// The judged path, where it differs from the raw one.
    pub decoded: Option<String>,
    /// The account that alone owns the host.
    pub host_account: Option<AccountId>,
    /// The methods that would be right, where this one is not.
    pub allow: Option<String>,
}

impl Place {
    pub fn pattern(&self) -> &Pattern {
        &self.route.patterns[self.pattern]
    }

    /// The path that the upstream gets, where that is another than the one that came.
    pub fn sent(&self, path: &str) -> Option<String> {
        self.route.rewrite.as_ref().map(|rewrite| rewrite.apply(path, self.pattern))
    }

    pub fn refused(&self, refusal: impl Into<Refusal>) -> Refused {
        Refused::new(refusal).on(&self.route)
    }

    pub fn wrong_method(&self, method: &Method) -> Result<(), Refused> {
        match &self.allow {
            None => Ok(()),
            Some(allow) => {
                let refused = self.refused(wrong_method(method, allow));
                Err(refused.allowing(allow.clone()))
            }
        }
    }
}

impl<B> Matched<B> {
    pub(super) fn request(&self) -> &Request<Inbound<B>> {
        &self.request
    }

    pub(super) fn call(&self) -> &Call {
        &self.call
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The path that routes and parameters are judged on.
    pub(super) fn path(&self) -> &str {
        self.place.decoded.as_deref().unwrap_or_else(|| self.request.uri().path())
    }

    /// The path's parameters and what they hold.
    pub(super) fn params(&self) -> Vec<(String, String)> {
        let (place, path) = (&self.place, self.path());
        let value = |(i, name): (usize, &str)| Some((name.to_owned(), place.params.get(path, i)?.to_owned()));
        place.pattern().params().enumerate().filter_map(value).collect()
    }

    pub(super) fn into_parts(self) -> (Request<Inbound<B>>, Call, Place) {
        (self.request, self.call, self.place)
    }
}

impl<B: Body<Data = Bytes>> Step<Bounded<B>> for Match {
    type Out = Located<B>;

    fn take(&self, bounded: Bounded<B>) -> Result<Located<B>, Refused> {
        let (mut request, call) = bounded.into_parts();
        let invalid = |why: &'static str| Refused::new(Refusal::new(Reason::RequestInvalid).found(why));
        let host = host_of(&request).map_err(invalid)?;
        if !host.is_empty() {
            _ = call.ledger.host.set(host.as_str().into());
        }
        if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
            return Err(invalid("a method that no gateway takes"));
        }
        let state = self.live.load();
        let doubtful = |refused: Refused| {
            _ = call.ledger.doubt.set(Doubt { state: Arc::clone(&state), credential: None });
            refused
        };
        let judged = judge(request.uri().path()).map_err(|why| doubtful(invalid(why)))?;
        if let Some(preflight) = Preflight::of(request.method(), request.headers())
            && let Some(answer) = cors::answer(&call, &state.routes, &host, &judged.text, &preflight)
        {
            return answer.map(Located::Preflight);
        }
        let sought = state.routes.seek(&host, request.method(), request.headers(), &judged.text);
        let Sought { found, overriding } = sought.map_err(|misled| {
            Reading::note(&call, misled.route, request.headers());
            Refused::new(misled.refusal()).on(misled.route)
        })?;
        let judged_by = overriding.as_ref().unwrap_or(request.method());
        check_encodings(&judged, &found, &state.routes, &host, judged_by).map_err(|why| doubtful(invalid(why)))?;
        let (route, pattern, params, allow) = match found {
            Found::Nothing => {
                let refused = doubtful(Refused::new(Reason::RouteUnknown));
                return Err(match state.routes.elsewhere(&host, &judged.text) {
                    Some(hosts) => refused.advising(format!("This path is served at {hosts}.")),
                    None => refused,
                });
            }
            Found::Route { route, pattern, params } => (Arc::clone(route), pattern, params, None),
            Found::OtherMethods { route, pattern, params, allow } => (Arc::clone(route), pattern, params, Some(allow)),
        };
        _ = call.ledger.route.set(Arc::clone(&route));
        Reading::note(&call, &route, request.headers());
        _ = call.ledger.reserved.set(Arc::clone(state.routes.reserved()));
        if let Some(rule) = &route.client_certificate {
            let certificate = call.peer.as_ref().and_then(|peer| peer.certificate.as_deref());
            rule.check(certificate.map(ClientCertificate::names)).map_err(|r| Refused::new(r).on(&route))?;
        }
        if let Target::Advice(right) = &route.target {
            let refused = Refused::new(Refusal::new(Reason::RouteUnknown).expected(right.clone())).on(&route);
            return Err(refused.advising(format!("The path is {right}.")));
        }
        let (decoded, sent) = (owned(judged.text), owned(judged.sent));
        if let Some(sent) = sent {
            // From here on the request has the path that was judged.
            *request.uri_mut() = with_path(request.uri(), &sent).map_err(invalid)?;
        }
        if let Some(method) = overriding {
            // From here on the request is what it means: this is the method that is judged, and the one that is sent.
            _ = call.ledger.overriding.set(method.clone());
            *request.method_mut() = method;
            request.headers_mut().remove(METHOD_OVERRIDE);
        }
        let host_account = state.registry.account_of_host(&host).cloned();
        let place = Place { state, route, pattern, params, decoded, host_account, allow };
        if place.route.authenticator.method_first {
            place.wrong_method(request.method())?;
        }
        Ok(Located::Call(Matched { request, call, place }))
    }
}

/// The text, where it is another than the one that it was made of.
fn owned(text: Cow<'_, str>) -> Option<String> {
    match text {
        Cow::Borrowed(_) => None,
        Cow::Owned(text) => Some(text),
    }
}

/// The same URI with another path.
fn with_path(uri: &Uri, path: &str) -> Result<Uri, &'static str> {
    let mut parts = uri.clone().into_parts();
    let target = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let malformed = "a path that is not well formed";
    parts.path_and_query = Some(target.parse().map_err(|_| malformed)?);
    Uri::from_parts(parts).map_err(|_| malformed)
}

/// The host that the request is for, in lower case and without a port (RFC 9110 section 7.2).
fn host_of<B>(request: &Request<B>) -> Result<String, &'static str> {
    let named = host_header(request.headers())?;
    let authority = request.uri().authority().map(|a| a.as_str());
    let host = match (authority, named) {
        (Some(authority), Some(named)) if !authority.eq_ignore_ascii_case(named) => {
            return Err("a Host other than the target's authority");
        }
        (Some(authority), _) => authority,
        (None, Some(named)) => named,
        (None, None) if request.version() == Version::HTTP_11 => return Err("no Host"),
        (None, None) => return Ok(String::new()),
    };
    canonical_host(host)
}

fn host_header(headers: &HeaderMap) -> Result<Option<&str>, &'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let first = hosts.next();
    if hosts.next().is_some() {
        return Err("more than one Host");
    }
    first.map(|host| host.to_str().map_err(|_| "a Host that is no host name")).transpose()
}
