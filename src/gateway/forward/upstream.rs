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

/// All upstreams; replaced as a whole when the configuration changes.
#[derive(Debug, Default)]
pub struct UpstreamSet(ArcSwap<HashMap<UpstreamName, Arc<Upstream>>>);

impl UpstreamSet {
    pub fn new(upstreams: HashMap<UpstreamName, Arc<Upstream>>) -> Self {
        Self(ArcSwap::from_pointee(upstreams))
    }

    pub fn replace(&self, upstreams: HashMap<UpstreamName, Arc<Upstream>>) {
        self.0.store(Arc::new(upstreams));
    }

    pub fn get(&self, name: &UpstreamName) -> Option<Arc<Upstream>> {
        self.0.load().get(name).cloned()
    }
}
