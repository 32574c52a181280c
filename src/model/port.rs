//! The port of a URL. `http` reads one that is out of range as none, and a default would take its place.

use http::uri::Authority;

/// The port that an authority names (RFC 3986 section 3.2.3), if it names one.
///
/// # Errors
/// When what stands behind the colon is not a port from 1 to 65535.
pub fn port_of(authority: &Authority) -> Result<Option<u16>, String> {
    let text = authority.as_str();
    let behind_user = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
    let Some(rest) = behind_user.strip_prefix(authority.host()).filter(|rest| !rest.is_empty()) else {
        return Ok(None);
    };
    let port = rest.strip_prefix(':').unwrap_or(rest);
    match port.parse() {
        Ok(number) if number > 0 && port.bytes().all(|b| b.is_ascii_digit()) => Ok(Some(number)),
        _ if port.is_empty() => Err("names no port behind its colon".to_owned()),
        _ => Err(format!("has the port {port}, and ports are 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_number_in_its_range_or_there_is_none() {
        let port = |text: &str| port_of(&text.parse().unwrap());
        for (text, wanted) in
            [("a", None), ("a:80", Some(80)), ("[::1]", None), ("[::1]:65535", Some(65535)), ("u:1@a:2", Some(2))]
        {
            assert_eq!(port(text), Ok(wanted), "{text}");
        }
        for text in ["a:0", "a:65536", "a:99999", "a:18446744073709551697", "[::1]:70000", "u:1@a:99999"] {
            assert!(port(text).unwrap_err().contains("ports are 1 to 65535"), "{text}");
        }
        assert_eq!(port("a:"), Err("names no port behind its colon".to_owned()));
    }
}
