use std::fmt;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// In seconds: from a cached verification to a slow upstream.
const BUCKETS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// In seconds: from a write that the system only takes to a disk that is about to be given up.
const COMMIT: [f64; 11] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 3.0];
/// In entries.
const BATCH: [f64; 7] = [1.0, 4.0, 16.0, 64.0, 256.0, 512.0, 1024.0];

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
    let of = |name: &str| Matcher::Full(name.to_owned());
    let builder = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)
        .and_then(|builder| builder.set_buckets_for_metric(of("scopegate_replay_commit_duration_seconds"), &COMMIT))
        .and_then(|builder| builder.set_buckets_for_metric(of("scopegate_replay_batch_size"), &BATCH))
        .map_err(MetricsError)?;
    let handle = builder.install_recorder().map_err(MetricsError)?;
    let counters = [
        ("scopegate_requests_total", "Calls that are over, by route and class of status."),
        ("scopegate_refusals_total", "Calls that were refused or failed, by true reason."),
        ("scopegate_quota_refusals_total", "Calls that were one too many, by quota."),
        ("scopegate_incomplete_total", "Calls whose answer was not handed over whole, by how they ended."),
        ("scopegate_connections_refused_total", "Connections closed at once, since there were too many."),
        (
            "scopegate_accept_errors_total",
            "Connections that could not be accepted, since the system had no file descriptor or no memory left.",
        ),
        (
            "scopegate_bad_requests_total",
            "Requests that were no HTTP; answered below the gateway, so they are in no access log.",
        ),
        (
            "scopegate_http2_floods_total",
            "Connections of HTTP/2 that were closed, since their clients sent floods of cheap frames.",
        ),
        ("scopegate_upstream_connections_total", "Connections opened to upstreams."),
        ("scopegate_upstream_retries_total", "Attempts beyond a call's first."),
        (
            "scopegate_upstream_ejections_total",
            "Times that calls' failures took an address of an upstream out of service.",
        ),
        ("scopegate_access_log_dropped_total", "Lines of the access log that were lost, since its reader is too slow."),
        ("scopegate_reloads_total", "Reloads of the configuration, by whether they succeeded."),
        ("scopegate_replay_errors_total", "Times that the replay journal could not be written."),
    ];
    for (name, text) in counters {
        metrics::describe_counter!(name, text);
    }
    metrics::describe_histogram!(
        "scopegate_request_duration_seconds",
        metrics::Unit::Seconds,
        "Until the end of the answer's body."
    );
    metrics::describe_histogram!(
        "scopegate_replay_commit_duration_seconds",
        metrics::Unit::Seconds,
        "Of a write to the replay journal."
    );
    metrics::describe_histogram!(
        "scopegate_replay_batch_size",
        "Used tokens that one write to the replay journal took."
    );
    let gauges = [
        ("scopegate_connections", "Open connections of callers."),
        ("scopegate_tunnels", "Upgraded connections that are open."),
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
