//! Counters and histograms of calls, held as handles so that counting costs no look-up by name.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use metrics::{Counter, Histogram};

use super::{Entry, Outcome};

/// The route label of the histogram that routes share which have none of their own. No route has such an id.
const OTHERS: &str = "*";

/// Handles per route. A histogram is sixteen series, so not every one of many routes has one.
pub(super) struct Meters {
    routes: RwLock<HashMap<String, Arc<RouteMeters>>>,
    /// Routes with a histogram of their own, at most.
    histograms: usize,
}

struct RouteMeters {
    /// By hundreds of the status; the first for calls without an answer.
    requests: [Counter; 6],
    duration: Histogram,
}

const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

impl RouteMeters {
    fn new(route: &str, has_histogram: bool) -> Self {
        let counter =
            |class| metrics::counter!("scopegate_requests_total", "route" => route.to_owned(), "status" => class);
        let measured = if has_histogram { route } else { OTHERS };
        let duration = metrics::histogram!("scopegate_request_duration_seconds", "route" => measured.to_owned());
        Self { requests: CLASSES.map(counter), duration }
    }
}

impl Meters {
    pub fn new(histograms: usize) -> Self {
        Self { routes: RwLock::default(), histograms }
    }

    pub fn count(&self, entry: &Entry<'_>) {
        let route = entry.route.map_or("none", |r| r.id.as_str());
        let meters = self.route(route);
        let class = entry.status.map_or(0, |s| usize::from(s / 100).min(5));
        meters.requests[class].increment(1);
        meters.duration.record(entry.duration.as_secs_f64());
        if let Some(reason) = entry.reason {
            metrics::counter!("scopegate_refusals_total", "reason" => reason.code()).increment(1);
        }
        if entry.outcome != Outcome::Complete {
            metrics::counter!("scopegate_incomplete_total", "how" => entry.outcome.as_str()).increment(1);
        }
    }

    fn route(&self, route: &str) -> Arc<RouteMeters> {
        if let Some(meters) = self.routes.read().unwrap_or_else(PoisonError::into_inner).get(route) {
            return Arc::clone(meters);
        }
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let has_histogram = routes.len() < self.histograms;
        Arc::clone(routes.entry(route.to_owned()).or_insert_with(|| Arc::new(RouteMeters::new(route, has_histogram))))
    }
}
