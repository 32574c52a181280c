//! How many connections the system's limit of open files leaves room for.

use crate::config::ProxySettings;
use crate::net::DescriptorPlan;

/// Divides the file descriptors, and takes fewer clients where there are too few.
pub(super) fn divide(proxy: &mut ProxySettings) -> DescriptorPlan {
    let wanted = proxy.server.max_connections;
    let plan = DescriptorPlan::apply(wanted, proxy.workers);
    if plan.clients < wanted {
        tracing::warn!(
            connections = wanted,
            possible = plan.clients,
            open_files = plan.limit,
            needed = plan.needed(wanted),
            "the system lets this process open too few files for proxy.limits.connections; fewer are taken. Raise the \
             hard limit: LimitNOFILE= in systemd, --ulimit nofile= in Docker, or `ulimit -Hn`"
        );
    }
    proxy.server.max_connections = plan.clients;
    plan
}
