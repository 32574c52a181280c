//! The texts: the two files, and what to do next.

use std::path::Path;

use serde_json::Value;

use super::need::{Need, Part, Place};
use crate::model::shell_word;

/// As a basic string of TOML, which JSON's are.
pub(super) fn text(text: &str) -> String {
    Value::from(text).to_string()
}

pub(super) fn configuration(place: &Place, needs: &[Need], parts: &[Part]) -> String {
    let profiles: Vec<_> = needs.iter().filter_map(|need| need.profile()).collect();
    let profiles = if profiles.is_empty() {
        String::new()
    } else {
        format!(
            "\n# Platforms whose routes, authenticators and scopes come with the program.\nprofiles = {profiles:?}\n"
        )
    };
    let mut file = format!(
        r#"# Scopegate in front of {upstream}
#
# `scopegate check` validates this file and prints its routes. After a change: `scopegate reload`.
# Paths begin in the folder where the gateway is started. Durations have a unit: "500ms", "30s", "1h".
{profiles}
# ---- Where callers reach the gateway

[proxy]
listen = "{listen}"    # "0.0.0.0:{port}" is reachable from other machines; give it a certificate then:
# tls = {{ cert = "certs/server.pem", key = "certs/server.key" }}

# ---- Health and metrics (/healthz, /readyz, /metrics), and the access log on standard output

[telemetry]
listen = "{telemetry}"    # not to be published
# access_log = "data/access.log"

# ---- Accounts, apps, keys and grants: filled by `scopegate apply -f config/registry.toml`

[store]
url = "sqlite://data/scopegate.db"    # made if missing, with the key that seals secrets beside it; back up both

# ---- Tokens of single use: which were used before

[replay]
url = "sqlite://data/replay.db"

# ---- Where good calls go

[upstream.backend]
urls = [{url}]
# tls = {{ ca = "certs/ca.pem" }}    # the authority of an https upstream; absent: those of the system
# health = {{ path = "/healthz" }}    # addresses are asked whether they work; several: calls go to those that do
"#,
        upstream = place.upstream,
        listen = place.listen,
        port = place.listen.port(),
        telemetry = place.telemetry,
        url = text(&place.upstream),
    );
    file.extend(parts.iter().map(|part| part.configuration.as_str()));
    file
}

pub(super) fn registry(place: &Place, parts: &[Part]) -> String {
    let mut file = format!(
        "# Who may call. `scopegate apply -f config/registry.toml` brings the registry in line with this file, `--dry-run`\n\
         # says what that would change; a running gateway follows within a second.\n\n\
         version = 1\n\n[[account]]\nid = {}\n",
        text(place.account.as_str())
    );
    file.extend(parts.iter().map(|part| part.registry.as_str()));
    file
}

/// Lines to paste, as they stand; behind a # what they give.
pub(super) fn next_steps(folder: &Path, place: &Place, parts: &[Part]) -> String {
    let mut lines = Vec::new();
    let folder = folder.display().to_string();
    if folder != "." {
        lines.push(format!("cd {}", shell_word(&folder)));
    }
    lines.extend(
        [
            "scopegate apply -f config/registry.toml",
            "scopegate serve > access.log &",
            "until scopegate check --live > /dev/null 2>&1; do sleep 0.2; done",
        ]
        .map(str::to_owned),
    );
    let steps = parts.iter().flat_map(|part| &part.steps);
    lines.extend(steps.map(|step| match step.gives {
        Some(gives) => format!("{}    # {gives}", step.command),
        None => step.command.clone(),
    }));
    format!(
        "Next, line by line:\n\n{}\n\nCalls go to {}. `kill %1` ends the gateway; access.log tells of each call.\n",
        lines.join("\n"),
        place.upstream
    )
}
