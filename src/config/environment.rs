//! Variables of the environment that look like settings and are none.

/// The prefix of those that are: two underscores, so that what an orchestrator sets for a service of our name is none.
pub(super) const PREFIX: &str = "SCOPEGATE__";

/// The sections and keys that a configuration begins with.
const TOP: [&str; 18] = [
    "watch",
    "profiles",
    "include",
    "profile",
    "proxy",
    "telemetry",
    "store",
    "replay",
    "registry",
    "tokens",
    "khoros",
    "icr",
    "oauth",
    "identity",
    "upstream",
    "authenticator",
    "quota",
    "route",
];

/// Variables that set nothing, each with the one that is probably meant.
pub(super) fn near_misses() -> Vec<(String, String)> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut found: Vec<_> =
        names.filter_map(|name| Some((meant(&name)?, name))).map(|(meant, name)| (name, meant)).collect();
    found.sort();
    found
}

/// What a variable is probably meant to be, if it sets nothing and looks as if it should.
fn meant(name: &str) -> Option<String> {
    let upper = name.to_ascii_uppercase();
    if upper.starts_with(PREFIX) && !upper.starts_with("SCOPEGATE___") {
        return None;
    }
    let (prefix, keys) = split(&upper)?;
    let keys = keys.trim_matches('_');
    let (top, rest) = keys.split_once('_').unwrap_or((keys, ""));
    let rest = rest.trim_start_matches('_');
    let has_keys = !rest.is_empty() || ["WATCH", "PROFILES", "INCLUDE"].contains(&top);
    let is_top = TOP.iter().any(|one| one.eq_ignore_ascii_case(top));
    // Two underscores are no accident, whatever they stand between.
    let is_near_top = keys.contains("__") && crate::model::nearest(&top.to_ascii_lowercase(), TOP).is_some();
    if !has_keys || !is_top && !is_near_top || prefix == "SCOPEGATE" && is_of_an_orchestrator(rest) {
        return None;
    }
    let top = crate::model::nearest(&top.to_ascii_lowercase(), TOP)?.to_ascii_uppercase();
    let keys = if rest.is_empty() { top } else { format!("{top}__{rest}") };
    Some(format!("{PREFIX}{keys}"))
}

/// The variable that is meant by one with an unknown key, where only an underscore is lacking.
pub(super) fn corrected(path: &[&str]) -> Option<String> {
    let [key] = path else { return None };
    let (top, rest) = key.split_once('_')?;
    TOP.contains(&top).then(|| format!("{PREFIX}{}__{}", top.to_uppercase(), rest.to_uppercase()))
}

/// Something that is nearly our name, and what stands behind it.
fn split(upper: &str) -> Option<(&str, &str)> {
    if let Some(rest) = upper.strip_prefix("SCOPEGATE_") {
        return Some(("SCOPEGATE", rest));
    }
    if let Some(rest) = upper.strip_prefix("SCOPE_GATE_") {
        return Some(("SCOPE_GATE", rest));
    }
    let (prefix, rest) = upper.split_once("__")?;
    (strsim::damerau_levenshtein(prefix, "SCOPEGATE") <= 2).then_some((prefix, rest))
}

/// What Kubernetes and Docker set for a service that is named `scopegate-proxy`.
fn is_of_an_orchestrator(rest: &str) -> bool {
    let is_port = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    ["SERVICE_HOST", "SERVICE_PORT", "PORT", "NAME"].contains(&rest)
        || rest.starts_with("SERVICE_PORT_")
        || rest.starts_with("ENV_")
        || rest.strip_prefix("PORT_").is_some_and(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_nearly_a_setting_is_told_from_those_of_others() {
        for (name, write) in [
            ("SCOPEGATE_PROXY__LISTEN", "SCOPEGATE__PROXY__LISTEN"),
            ("SCOPEGATE_PROXY_LISTEN", "SCOPEGATE__PROXY__LISTEN"),
            ("scopegate_proxy_listen", "SCOPEGATE__PROXY__LISTEN"),
            ("SCOPEGATE___PROXY__LISTEN", "SCOPEGATE__PROXY__LISTEN"),
            ("SCOPE_GATE__PROXY__LISTEN", "SCOPEGATE__PROXY__LISTEN"),
            ("SCOPEGAT__PROXY__LISTEN", "SCOPEGATE__PROXY__LISTEN"),
            ("SCOPEGATE_PROXI__LISTEN", "SCOPEGATE__PROXY__LISTEN"),
            ("SCOPEGATE_STORE_URL", "SCOPEGATE__STORE__URL"),
            ("SCOPEGATE_WATCH", "SCOPEGATE__WATCH"),
            ("SCOPEGATE_PROXY__LIMITS__HEADER_BYTES", "SCOPEGATE__PROXY__LIMITS__HEADER_BYTES"),
        ] {
            assert_eq!(meant(name).as_deref(), Some(write), "{name}");
        }
        for name in [
            "SCOPEGATE__PROXY__LISTEN",
            "scopegate__proxy__listen",
            "SCOPEGATE_PORT",
            "SCOPEGATE_SERVICE_HOST",
            "SCOPEGATE_PORT_8080_TCP_ADDR",
            "SCOPEGATE_PROXY_SERVICE_HOST",
            "SCOPEGATE_PROXY_SERVICE_PORT_HTTP",
            "SCOPEGATE_PROXY_PORT",
            "SCOPEGATE_PROXY_PORT_8080_TCP",
            "SCOPEGATE_SECRET",
            "SCOPEGATE_SECRET_FILE",
            "SCOPEGATE_PRIVATE_KEY_FILE",
            "SCOPEGATE_APP_ID",
            "SCOPEGATE_CLIENT_ID",
            "SCOPEGATE_BOTS_TOKEN",
            "PATH",
            "LISTEN_FDS",
        ] {
            assert_eq!(meant(name), None, "{name}");
        }
    }
}
