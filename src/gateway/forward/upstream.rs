//! Upstreams as they are configured.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;

use crate::model::UpstreamName;
use crate::net::Endpoint;

/// One upstream, resolved.
#[derive(Debug)]
pub struct Upstream {
    pub endpoint: Endpoint,
    /// The Host that it is asked for.
    pub host: HeaderValue,
    pub timeouts: UpstreamTimeouts,
    /// Idle connections that a worker keeps.
    pub max_idle: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// From the last of the request to the head of the answer.
    pub response: Duration,
    /// The longest pause within an answer's body.
    pub body_idle: Duration,
    /// How long an unused connection is kept; less than the upstream keeps it.
    pub idle: Duration,
}

impl Upstream {
    /// Whether connections to one serve the other; never with TLS, whose trust may have changed.
    fn is_same(&self, other: &Self) -> bool {
        let (a, b) = (&self.endpoint, &other.endpoint);
        let is_plain = a.tls.is_none() && b.tls.is_none();
        let where_to = (&a.host, a.port, a.timeout, &self.host, self.timeouts, self.max_idle);
        is_plain && where_to == (&b.host, b.port, b.timeout, &other.host, other.timeouts, other.max_idle)
    }
}

/// All upstreams; replaced as a whole when the configuration changes.
#[derive(Debug, Default)]
pub struct UpstreamSet(ArcSwap<HashMap<UpstreamName, Arc<Upstream>>>);

impl UpstreamSet {
    pub fn new(upstreams: HashMap<UpstreamName, Arc<Upstream>>) -> Self {
        Self(ArcSwap::from_pointee(upstreams))
    }

    /// Adds upstreams and replaces those that changed. One that is the same keeps its connections.
    pub fn extend(&self, upstreams: &HashMap<UpstreamName, Arc<Upstream>>) {
        self.0.rcu(|known| {
            let mut next = HashMap::clone(known);
            for (name, upstream) in upstreams {
                if known.get(name).is_none_or(|known| !known.is_same(upstream)) {
                    next.insert(name.clone(), Arc::clone(upstream));
                }
            }
            next
        });
    }

    pub fn get(&self, name: &UpstreamName) -> Option<Arc<Upstream>> {
        self.0.load().get(name).cloned()
    }
}
