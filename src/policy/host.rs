//! Host names in their one form: lower case, without a port and a final dot.

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
        Ok(host) if host.eq_ignore_ascii_case(text) => Ok(host),
        Ok(host) => Err(format!("{text:?} can match no request; write {host:?}, without port and final dot")),
        Err(_) => Err(format!("{text:?} is no host name")),
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
    fn a_configured_host_that_no_request_can_have_is_refused() {
        assert_eq!(configured_host("Bots.example.com").unwrap(), "bots.example.com");
        for text in ["bots.example.com:443", "bots.example.com.", "https://bots.example.com", "*.example.com"] {
            assert!(configured_host(text).is_err(), "{text}");
        }
    }
}
