//! Host names in their one form: lower case, without a port and a final dot.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The host of an authority (RFC 3986 section 3.2), as routes and accounts name it.
///
/// # Errors
/// When it is no host name and no address.
pub fn canonical_host(authority: &str) -> Result<String, &'static str> {
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => authority,
    };
    let is_ip_literal = name.starts_with('[') && name.ends_with(']');
    let plain = |b: u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_') || is_ip_literal && matches!(b, b'[' | b']' | b':')
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || !name.bytes().all(plain) {
        return Err("a Host that is no host name");
    }
    Ok(name.to_ascii_lowercase())
}

/// A host as somebody configured it.
///
/// # Errors
/// What would be right, where it is not in its one form: no request could ever match it.
pub fn configured_host(text: &str) -> Result<String, String> {
    match canonical_host(text) {
        _ if text == "_" => Err(format!("{text:?} is not any host here: leave the hosts out")),
        Ok(host) if !is_sound(&host) => Err(misread(text)),
        Ok(host) if host.eq_ignore_ascii_case(text) => Ok(host),
        Ok(host) => Err(format!("{text:?} can match no request; write {host:?}, without port and final dot")),
        Err(_) => Err(misread(text)),
    }
}

/// Whether a text is a host name or an address, as a URL has it.
pub fn is_host(text: &str) -> bool {
    !text.rsplit(']').next().is_some_and(|rest| rest.contains(':'))
        && canonical_host(text).is_ok_and(|host| is_sound(&host))
}

/// Whether a request could name it: no label is empty, and an address is one.
fn is_sound(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let is_number = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            host.split('.').all(|label| !label.is_empty()) && (!is_number || host.parse::<Ipv4Addr>().is_ok())
        }
    }
}

/// What is wrong with a host in the syntax of another server, and how it is written here.
fn misread(text: &str) -> String {
    let parent = text.trim_start_matches('*').trim_start_matches('.');
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        let host = canonical_host(host).unwrap_or_else(|_| "bots.example.com".to_owned());
        format!("{text:?} is a URL; write the host alone: {host:?}")
    } else if let Some((host, _)) = text.split_once('/') {
        format!("{text:?} has a path, which belongs in path; write the host alone: {host:?}")
    } else if text.parse::<Ipv6Addr>().is_ok() {
        format!("{text:?} stands in brackets in a URL; write \"[{text}]\"")
    } else if (text.starts_with('.') || text.starts_with('*')) && canonical_host(parent).is_ok_and(|h| is_sound(&h)) {
        format!(
            "{text:?} would be taken literally: write \"*.{parent}\" for all hosts below it, and {parent:?} for itself"
        )
    } else if text.contains(['{', '<', ':', '(', '[', '\\', '^', '$', '|', '~', '*', '?', '+']) {
        format!(
            "{text:?} would be taken literally: hosts are no regular expressions and have no parameters; write a whole name, or \
             \"*.example.com\" for all hosts below one"
        )
    } else if !text.is_ascii() {
        format!("{text:?} is not how clients send it: write it in its ASCII form, which begins with xn--")
    } else {
        format!("{text:?} is not a host name")
    }
}

/// The hosts of a route: one name, or with `*.` before it all names below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPattern {
    text: String,
    is_below: bool,
}

impl HostPattern {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the host has to be, or to end with.
    fn end(&self) -> &str {
        if self.is_below { &self.text[1..] } else { &self.text }
    }

    /// How closely the pattern names the host, if it does: the name itself the closest, then the longest end of it.
    pub fn rank(&self, host: &str) -> Option<usize> {
        let end = self.end();
        if self.is_below {
            (host.len() > end.len() && host.ends_with(end)).then_some(end.len())
        } else {
            (host == end).then_some(usize::MAX)
        }
    }

    /// The name that all of its hosts are below, if it names no single one.
    pub fn parent(&self) -> Option<&str> {
        self.text.strip_prefix("*.").filter(|_| self.is_below)
    }
}

/// As it is configured.
impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(parent) = text.strip_prefix("*.") else {
            if text == "*" {
                return Err("\"*\" is any host: leave the hosts out".to_owned());
            }
            return configured_host(text).map(|text| Self { text, is_below: false });
        };
        match canonical_host(parent) {
            Ok(host) if host.starts_with('[') => Err(format!("{text:?}: nothing is below an address")),
            Ok(host) if !is_sound(&host) => Err(misread(parent)),
            Ok(host) if host.eq_ignore_ascii_case(parent) => Ok(Self { text: format!("*.{host}"), is_below: true }),
            Ok(host) => Err(format!(
                "{text:?} can match no request; write {:?}, without port and final dot",
                format!("*.{host}")
            )),
            Err(_) if parent.contains('*') || parent.is_empty() => Err(format!(
                "{text:?} would be taken literally: a * stands alone before the first dot, as in \"*.example.com\""
            )),
            Err(_) => Err(misread(parent)),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_form() {
        for text in ["Bots.Example.com", "bots.example.com:8080", "bots.example.com.", "bots.example.com.:80"] {
            assert_eq!(canonical_host(text).unwrap(), "bots.example.com");
        }
        assert_eq!(canonical_host("[::1]:80").unwrap(), "[::1]");
        for text in ["", ".", ":80", "a b", "a/b", "a@b", "::1"] {
            assert!(canonical_host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_names_hosts_below_a_name_and_the_closest_name_counts_most() {
        let rank = |pattern: &str, host: &str| pattern.parse::<HostPattern>().unwrap().rank(host);
        assert_eq!(rank("*.Example.com", "a.example.com"), rank("*.example.com", "a.b.example.com"));
        for not_below in ["example.com", ".example.com", "aexample.com", "example.com.a", ""] {
            assert_eq!(rank("*.example.com", not_below), None, "{not_below}");
        }
        assert!(rank("*.b.example.com", "a.b.example.com") > rank("*.example.com", "a.b.example.com"));
        assert!(rank("a.b.example.com", "a.b.example.com") > rank("*.b.example.com", "a.b.example.com"));
        assert_eq!(rank("example.com", "a.example.com"), None);
    }

    #[test]
    fn a_pattern_that_no_host_can_match_is_refused() {
        for text in ["*", "*.", "**.a", "a.*.b", "*a.b", "*.a.b:80", "*.a.b.", "*.*.a", "*.[::1]", "", "a/b"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_in_the_syntax_of_another_server_is_refused_with_ours() {
        for (text, write) in [
            (".example.com", "\"*.example.com\""),
            ("*example.com", "\"*.example.com\""),
            ("**.example.com", "\"*.example.com\""),
            ("example.*", "\"*.example.com\""),
            ("~^(www\\.)?example\\.com$", "\"*.example.com\""),
            ("{sub}.example.com", "\"*.example.com\""),
            (":sub.example.com", "\"*.example.com\""),
            ("<sub>.example.com", "\"*.example.com\""),
            ("_", "leave the hosts out"),
            ("*", "leave the hosts out"),
            ("https://bots.example.com/x", "\"bots.example.com\""),
            ("bots.example.com/x", "\"bots.example.com\""),
            ("bots.example.com:99999", "\"bots.example.com\""),
            ("::1", "\"[::1]\""),
            ("[::x]", "regular expressions"),
            ("127.0.0.256", "not a host name"),
            ("a..b", "not a host name"),
            ("bücher.example", "xn--"),
        ] {
            let error = text.parse::<HostPattern>().unwrap_err();
            assert!(error.contains(write), "{text}: {error}");
        }
        assert!("[::1]".parse::<HostPattern>().is_ok() && "127.0.0.1".parse::<HostPattern>().is_ok());
    }

    #[test]
    fn a_configured_host_that_no_request_can_have_is_refused() {
        assert_eq!(configured_host("Bots.example.com").unwrap(), "bots.example.com");
        for text in ["bots.example.com:443", "bots.example.com.", "https://bots.example.com", "*.example.com"] {
            assert!(configured_host(text).is_err(), "{text}");
        }
    }
}
