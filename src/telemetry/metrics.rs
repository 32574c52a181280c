use std::fmt;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

/// In seconds: from a cached verification to a slow upstream.
const BUCKETS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Metrics can be installed once in a process.
#[derive(Debug)]
pub struct MetricsError(BuildError);

impl fmt::Display for MetricsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "metrics can't be installed: {}", self.0)
    }
}

impl std::error::Error for MetricsError {}

/// Installs the recorder and describes what is recorded. The handle's `run_upkeep` is to be called about every second.
///
/// # Errors
/// When there is a recorder already.
pub fn install_metrics() -> Result<PrometheusHandle, MetricsError> {
    let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).map_err(MetricsError)?;
    let handle = builder.install_recorder().map_err(MetricsError)?;
    let counters = [
        ("scopegate_requests_total", "Calls that are over, by route and class of status."),
        ("scopegate_refusals_total", "Calls that were refused or failed, by true reason."),
        ("scopegate_quota_refusals_total", "Calls that were one too many, by quota."),
        ("scopegate_incomplete_total", "Calls whose answer was not handed over whole, by how they ended."),
        ("scopegate_connections_refused_total", "Connections closed at once, since there were too many."),
        (
            "scopegate_bad_requests_total",
            "Requests that were no HTTP; answered below the gateway, so they are in no access log.",
        ),
        ("scopegate_upstream_connections_total", "Connections opened to upstreams."),
        ("scopegate_access_log_dropped_total", "Lines of the access log that were lost, since its reader is too slow."),
        ("scopegate_reloads_total", "Reloads of the configuration, by whether they succeeded."),
    ];
    for (name, text) in counters {
        metrics::describe_counter!(name, text);
    }
    metrics::describe_histogram!(
        "scopegate_request_duration_seconds",
        metrics::Unit::Seconds,
        "Until the end of the answer's body."
    );
    let gauges = [
        ("scopegate_connections", "Open connections of callers."),
        ("scopegate_requests_in_hand", "Calls that have no answer yet."),
        ("scopegate_registry_version", "The registry's version that requests see."),
        ("scopegate_apps", "Apps in the registry."),
        ("scopegate_verified_tokens", "Tokens in the cache of verified tokens, about."),
        ("scopegate_replay_entries", "Used tokens that are remembered."),
        ("scopegate_quota_keys", "Keys that quotas count by, each once for each window."),
    ];
    for (name, text) in gauges {
        metrics::describe_gauge!(name, text);
    }
    Ok(handle)
}
