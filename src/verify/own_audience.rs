//! The audiences that mean our token service. What is meant for it, such as the assertion by which a client authenticates, is
//! not meant for an API (RFC 7519 section 4.1.3).

use crate::model::Audience;

/// The issuer and its endpoints, as URLs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnAudience {
    origin: String,
    paths: Vec<Box<str>>,
}

impl OwnAudience {
    /// `issuer` is a URL of scheme, host and port alone, `paths` are those of its endpoints.
    pub fn new(issuer: &str, paths: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        let (origin, _) = parts(issuer).unwrap_or_default();
        Self { origin, paths: paths.into_iter().map(Into::into).collect() }
    }

    /// The first audience that is ours, in whatever spelling of the same URL.
    pub fn named_in<'a>(&self, audience: &'a Audience) -> Option<&'a str> {
        audience.0.iter().map(|one| &**one).find(|one| self.is(one))
    }

    fn is(&self, text: &str) -> bool {
        let Some((origin, path)) = parts(text) else { return false };
        let path = path.trim_end_matches('/');
        origin == self.origin && (path.is_empty() || self.paths.iter().any(|own| own.trim_end_matches('/') == path))
    }
}

/// Origin and path of a URL: the origin in small letters and without the port that the scheme has anyway.
fn parts(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let default = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => ":",
    };
    let host = authority.strip_suffix(default).or_else(|| authority.strip_suffix(':')).unwrap_or(authority);
    Some((format!("{scheme}://{}", host.trim_end_matches('.')), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ours(issuer: &str, text: &str) -> bool {
        let own = OwnAudience::new(issuer, ["/oauth2/token", "/oauth2/revoke"]);
        own.named_in(&Audience(vec!["other".into(), text.into()])).is_some()
    }

    #[test]
    fn the_issuer_and_its_endpoints_are_known_in_every_spelling() {
        for text in [
            "https://id.example.com",
            "https://id.example.com/",
            "HTTPS://ID.Example.COM",
            "https://id.example.com:443",
            "https://id.example.com:443/",
            "https://id.example.com./oauth2/token",
            "https://id.example.com/oauth2/token",
            "https://id.example.com/oauth2/token/",
            "https://id.example.com/oauth2/token?x=1",
            "https://id.example.com/oauth2/revoke#x",
            "https://id.example.com?x",
            " https://id.example.com",
        ] {
            assert!(is_ours("https://id.example.com", text), "{text}");
        }
        assert!(is_ours("http://127.0.0.1:8080", "http://127.0.0.1:8080/oauth2/token"));
        assert!(is_ours("http://127.0.0.1", "http://127.0.0.1:80"));
        assert!(is_ours("https://[2001:db8::1]", "https://[2001:DB8::1]:443/"));
    }

    #[test]
    fn other_audiences_are_not_ours() {
        for text in [
            "id.example.com",
            "https://id.example.com/api",
            "https://id.example.com/oauth2/token/x",
            "https://id.example.com:8443",
            "http://id.example.com",
            "https://id.example.com.evil.test",
            "https://api.example.com",
            "bots",
            "",
            "://",
        ] {
            assert!(!is_ours("https://id.example.com", text), "{text}");
        }
    }
}
