//! The route table: host and path to a route, without a regular expression.
//!
//! A tree of segments of our own, because a route for one path beside a catch-all under the same prefix is what people
//! write, and the common router crates refuse it. A literal segment wins over a parameter, a parameter over the rest.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use http::header::{self, HeaderName};
use http::{HeaderMap, Method};

use super::header_name::reads_as;
use super::method::{METHOD_OVERRIDE, meant};
use super::pattern::Segment;
use super::{AuthenticatorKind, Authority, HostPattern, Identity, Params, Pattern, Preflight, Route, Target};
use crate::model::{Endpoint, Reason, Refusal};

/// All routes, ready to match.
#[derive(Debug, Default)]
pub struct RouteTable {
    root: Node,
    routes: Vec<Arc<Route>>,
    reserved: Arc<ReservedHeaders>,
    token_protocols: Vec<Box<str>>,
    authority: Option<Arc<Authority>>,
    identity: Arc<Identity>,
}

/// Names of fields that are not the caller's to set in what goes on, beside those of our family.
#[derive(Debug, Default)]
pub struct ReservedHeaders {
    claimed: Vec<HeaderName>,
    credentials: Vec<HeaderName>,
}

impl ReservedHeaders {
    /// Names outside of our family by which upstreams are told who calls.
    pub fn claimed(&self) -> &[HeaderName] {
        &self.claimed
    }

    /// Whether some server could read the field as one that carries credentials on some route, or as Authorization.
    pub fn is_credential(&self, name: &str) -> bool {
        self.credentials.iter().any(|known| reads_as(name, known.as_str()))
    }
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, Node>,
    param: Option<Box<Node>>,
    rest: Vec<Leaf>,
    leaves: Vec<Leaf>,
}

/// A route at a path; which of its patterns, so that parameters are found by name.
#[derive(Debug)]
struct Leaf {
    route: Arc<Route>,
    pattern: usize,
}

/// What a host and path lead to; `pattern` is the place among the route's patterns.
#[derive(Clone, Debug)]
pub enum Found<'t> {
    /// The route for the method.
    Route {
        route: &'t Arc<Route>,
        pattern: usize,
        params: Params,
    },
    /// There are routes at this path, but for other methods; the first of them speaks for all.
    OtherMethods {
        route: &'t Arc<Route>,
        pattern: usize,
        params: Params,
        allow: String,
    },
    Nothing,
}

/// What a request leads to.
#[derive(Clone, Debug)]
pub struct Sought<'t> {
    pub found: Found<'t>,
    /// The method that the request is judged by, and sent with, where it overrides its own.
    pub overriding: Option<Method>,
}

/// A request whose method has no one reading, and a route of its path, whose format the answer takes.
#[derive(Clone, Debug)]
pub struct Misled<'t> {
    pub route: &'t Arc<Route>,
    pub why: &'static str,
}

impl Misled<'_> {
    pub fn refusal(&self) -> Refusal {
        let refusal = Refusal::new(Reason::RequestInvalid);
        refusal.expected(format!("a POST with one {METHOD_OVERRIDE} of PUT, PATCH or DELETE")).found(self.why)
    }
}

/// Two routes that match the same requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub first: usize,
    pub second: usize,
    pub method: Method,
    pub path: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} is another route already", self.method, self.path)
    }
}

impl RouteTable {
    /// # Errors
    /// Pairs of routes (by their places in the list) that are the same once parameter names are erased.
    pub fn new(routes: Vec<Arc<Route>>) -> Result<Self, Vec<Conflict>> {
        let conflicts = conflicts(&routes);
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
        let (credentials, token_protocols) = (credential_headers(&routes), token_protocols(&routes));
        let reserved = Arc::new(ReservedHeaders { claimed: Vec::new(), credentials });
        let mut table = Self { routes, reserved, token_protocols, ..Self::default() };
        for route in &table.routes {
            for (i, pattern) in route.patterns.iter().enumerate() {
                table.root.insert(&pattern.segments, Leaf { route: Arc::clone(route), pattern: i });
            }
        }
        Ok(table)
    }

    /// The same, with endpoints that issue access tokens.
    #[must_use]
    pub fn issuing_as(self, authority: Arc<Authority>) -> Self {
        Self { authority: Some(authority), ..self }
    }

    /// The same, telling upstreams who calls in this way.
    #[must_use]
    pub fn telling(self, identity: Identity) -> Self {
        let (claimed, credentials) = (identity.claimed().to_vec(), self.reserved.credentials.clone());
        Self { identity: Arc::new(identity), reserved: Arc::new(ReservedHeaders { claimed, credentials }), ..self }
    }

    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// As whom the endpoints issue access tokens, if they do.
    pub fn authority(&self) -> Option<&Arc<Authority>> {
        self.authority.as_ref()
    }

    /// How upstreams are told who calls.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// The first path that leads to an endpoint.
    pub fn path_to(&self, endpoint: Endpoint) -> Option<&str> {
        let route = self.routes.iter().find(|route| route.target == Target::Endpoint(endpoint))?;
        route.patterns.first().map(Pattern::as_str)
    }

    /// The names of fields that are not the caller's to set in what goes on.
    pub fn reserved(&self) -> &Arc<ReservedHeaders> {
        &self.reserved
    }

    /// The names under which WebSockets of some route offer their token as a subprotocol.
    pub fn token_protocols(&self) -> impl Iterator<Item = &str> + Clone {
        self.token_protocols.iter().map(|name| &**name)
    }

    /// Finds the route for a request with a judged path. Where a route of the path takes overrides, the header is obeyed
    /// or refused; elsewhere it says nothing.
    ///
    /// # Errors
    /// When the header is there and does not say one method that a route takes it for.
    pub fn seek<'t>(
        &'t self,
        host: &'t str,
        method: &Method,
        headers: &HeaderMap,
        path: &str,
    ) -> Result<Sought<'t>, Misled<'t>> {
        if !headers.contains_key(METHOD_OVERRIDE) {
            return Ok(Sought { found: self.find(host, method, path), overriding: None });
        }
        let Some((leaves, params)) = self.leaves(host, path) else {
            return Ok(Sought { found: Found::Nothing, overriding: None });
        };
        let obeys = |leaf: &&Leaf| leaf.route.authenticator.method_override;
        let Some(first) = serving(leaves, host).find(obeys) else {
            return Ok(Sought { found: choose(leaves, host, method, params), overriding: None });
        };
        let meant = meant(method, headers).map_err(|why| Misled { route: &first.route, why })?;
        match choose(leaves, host, &meant, params) {
            Found::Route { route, .. } if !route.authenticator.method_override => {
                Err(Misled { route, why: "an override to a method that has to be sent as it is" })
            }
            found => Ok(Sought { found, overriding: Some(meant) }),
        }
    }

    /// Finds the route for a judged path. Host and path decide first, then the method: a wrong method never falls
    /// through to a route of a less specific path.
    pub fn find<'t>(&'t self, host: &'t str, method: &Method, path: &str) -> Found<'t> {
        match self.leaves(host, path) {
            Some((leaves, params)) => choose(leaves, host, method, params),
            None => Found::Nothing,
        }
    }

    /// The route that a browser asks about for a page, and whether it takes the call; nothing where no route of the path is
    /// open to pages, or where one answers the question itself.
    pub fn asked_by_page<'t>(
        &'t self,
        host: &'t str,
        path: &str,
        preflight: &Preflight<'_>,
    ) -> Option<(&'t Arc<Route>, bool)> {
        let (leaves, _) = self.leaves(host, path)?;
        let routes = || serving(leaves, host).map(|leaf| &leaf.route);
        let first = routes().find(|route| route.cors.is_some())?;
        if routes().any(|route| route.methods.contains(&Method::OPTIONS)) {
            return None;
        }
        let called = routes().find(|route| preflight.is_for(route)).filter(|route| route.cors.is_some());
        Some(called.map_or((first, false), |route| (route, true)))
    }

    /// The hosts at which the path is served, where it is not served at this one, which is another of ours.
    pub fn elsewhere(&self, host: &str, path: &str) -> Option<String> {
        let hosts = || self.routes.iter().flat_map(|route| &route.hosts);
        if !hosts().any(|pattern| pattern.rank(host).is_some()) {
            return None;
        }
        // The text of a pattern is a host that the pattern matches, and that no request can have.
        let serves = |pattern: &&HostPattern| self.leaves(pattern.as_str(), path).is_some();
        let others: BTreeSet<_> = hosts().filter(|pattern| pattern.rank(host).is_none()).filter(serves).collect();
        let is_said = |host: &str| others.iter().any(|other| other.as_str() != host && other.rank(host).is_some());
        let others: Vec<_> = others.iter().map(|other| other.as_str()).filter(|host| !is_said(host)).collect();
        (!others.is_empty()).then(|| others.join(" or "))
    }

    fn leaves<'t>(&'t self, host: &'t str, path: &str) -> Option<(&'t [Leaf], Params)> {
        let mut params = Params::default();
        let leaves = self.root.find(host, path.strip_prefix('/')?, 1, &mut params)?;
        Some((leaves, params))
    }
}

/// The route for the method, of those at one path.
fn choose<'t>(leaves: &'t [Leaf], host: &'t str, method: &Method, params: Params) -> Found<'t> {
    if let Some(leaf) = serving(leaves, host).find(|leaf| leaf.route.methods.contains(method)) {
        return Found::Route { route: &leaf.route, pattern: leaf.pattern, params };
    }
    let Some(first) = serving(leaves, host).next() else { return Found::Nothing };
    let allow = allowed_methods(serving(leaves, host).flat_map(|leaf| &leaf.route.methods));
    Found::OtherMethods { route: &first.route, pattern: first.pattern, params, allow }
}

/// Why a method is refused where only others lead somewhere.
pub fn wrong_method(method: &Method, allow: &str) -> Refusal {
    Refusal::new(Reason::MethodNotAllowed).expected(allow.to_owned()).found(method.to_string())
}

/// The value of an Allow header (RFC 9110 section 10.2.1).
pub fn allowed_methods<'m>(methods: impl Iterator<Item = &'m Method>) -> String {
    let methods: BTreeSet<&str> = methods.map(Method::as_str).collect();
    methods.into_iter().collect::<Vec<_>>().join(", ")
}

/// The routes that serve the host: those that name it most closely.
fn serving<'l>(leaves: &'l [Leaf], host: &'l str) -> impl Iterator<Item = &'l Leaf> {
    let closest = leaves.iter().filter_map(|leaf| leaf.route.rank(host)).max();
    leaves.iter().filter(move |leaf| closest.is_some() && leaf.route.rank(host) == closest)
}

impl Node {
    fn insert(&mut self, segments: &[Segment], leaf: Leaf) {
        match segments {
            [] => self.leaves.push(leaf),
            [Segment::Rest, ..] => self.rest.push(leaf),
            [Segment::Param, tail @ ..] => self.param.get_or_insert_default().insert(tail, leaf),
            [Segment::Literal(text), tail @ ..] => self.literals.entry(text.clone()).or_default().insert(tail, leaf),
        }
    }

    /// `at` is where `rest` begins in the path.
    fn find<'t>(&'t self, host: &'t str, rest: &str, at: usize, params: &mut Params) -> Option<&'t [Leaf]> {
        let mark = params.len();
        let (segment, tail) = match rest.split_once('/') {
            Some((segment, tail)) => (segment, Some(tail)),
            None => (rest, None),
        };
        let candidates = [self.literals.get(segment), self.param.as_deref().filter(|_| !segment.is_empty())];
        for (i, node) in candidates.into_iter().enumerate() {
            let Some(node) = node else { continue };
            if i == 1 {
                params.push(at..at + segment.len());
            }
            let found = match tail {
                Some(tail) => node.find(host, tail, at + segment.len() + 1, params),
                None => Some(&node.leaves[..]).filter(|leaves| serving(leaves, host).next().is_some()),
            };
            if found.is_some() {
                return found;
            }
            params.truncate(mark);
        }
        serving(&self.rest, host).next()?;
        params.push(at..at + rest.len());
        Some(&self.rest)
    }
}

fn credential_headers(routes: &[Arc<Route>]) -> Vec<HeaderName> {
    let named = routes.iter().filter_map(|route| route.authenticator.credential()).map(|(header, _)| header.clone());
    let mut names: Vec<_> = named.chain([header::AUTHORIZATION]).collect();
    names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    names
}

fn token_protocols(routes: &[Arc<Route>]) -> Vec<Box<str>> {
    let named = |route: &Arc<Route>| match &route.authenticator.kind {
        AuthenticatorKind::Jwt(jwt) => jwt.websocket_protocol.clone(),
        AuthenticatorKind::Anonymous | AuthenticatorKind::Basic => None,
    };
    let names: BTreeSet<_> = routes.iter().filter_map(named).collect();
    names.into_iter().collect()
}

fn conflicts(routes: &[Arc<Route>]) -> Vec<Conflict> {
    let mut seen: HashMap<(Option<&str>, String, &Method), usize> = HashMap::new();
    let mut conflicts = Vec::new();
    for (second, route) in routes.iter().enumerate() {
        let hosts = route.hosts.iter().map(|host| Some(host.as_str()));
        let hosts = hosts.chain(route.hosts.is_empty().then_some(None));
        for (host, pattern) in hosts.flat_map(|h| route.patterns.iter().map(move |p| (h, p))) {
            for method in &route.methods {
                let key = (host, pattern.erased(), method);
                match seen.get(&key) {
                    Some(&first) => {
                        let (method, path) = (method.clone(), pattern.as_str().to_owned());
                        conflicts.push(Conflict { first, second, method, path });
                    }
                    None => _ = seen.insert(key, second),
                }
            }
        }
    }
    conflicts
}
