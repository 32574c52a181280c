//! How upstreams learn who calls: under which names, and that nobody else sets these.

use std::collections::HashMap;
use std::time::Duration;

use http::HeaderName;

use super::header_name::{begins, reads_as};
use crate::model::UpstreamName;

/// What is ours in any case: no caller and no upstream sets a field of this family.
const FAMILY: &str = "x-scopegate-";

/// How upstreams are told who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    headers: IdentityHeaders,
    token: Option<IdentityToken>,
    /// Names outside of our family that are ours as well.
    claimed: Vec<HeaderName>,
}

/// The header of each thing that an upstream is told; without a name it is not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeaders {
    pub app: Option<HeaderName>,
    pub account: Option<HeaderName>,
    pub bot: Option<HeaderName>,
    pub scopes: Option<HeaderName>,
    pub subject: Option<HeaderName>,
}

/// A token of ours in which an upstream is told all of it at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityToken {
    pub header: HeaderName,
    pub issuer: Box<str>,
    /// What the token is for: the upstream's own, so that no other upstream can use it. Those that are not here have that of
    /// their name.
    pub audiences: HashMap<UpstreamName, Box<str>>,
    pub lifetime: Duration,
    /// Whether the single headers are sent beside it.
    pub plain: bool,
}

impl IdentityToken {
    /// The audience of a token for this upstream.
    pub fn audience<'a>(&'a self, upstream: &'a UpstreamName) -> &'a str {
        self.audiences.get(upstream).map_or(upstream.as_str(), |audience| audience)
    }
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        let name = |name| Some(HeaderName::from_static(name));
        Self {
            app: name("x-scopegate-app"),
            account: name("x-scopegate-account"),
            bot: name("x-scopegate-bot"),
            scopes: name("x-scopegate-scopes"),
            subject: name("x-scopegate-subject"),
        }
    }
}

impl IdentityHeaders {
    const NONE: Self = Self { app: None, account: None, bot: None, scopes: None, subject: None };

    fn names(&self) -> impl Iterator<Item = &HeaderName> {
        [&self.app, &self.account, &self.bot, &self.scopes, &self.subject].into_iter().flatten()
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self::new(IdentityHeaders::default(), None)
    }
}

impl Identity {
    pub fn new(headers: IdentityHeaders, token: Option<IdentityToken>) -> Self {
        let names = headers.names().chain(token.iter().map(|token| &token.header));
        let claimed = names.filter(|name| !begins(name.as_str(), FAMILY)).cloned().collect();
        let is_plain = token.as_ref().is_none_or(|token| token.plain);
        Self { headers: if is_plain { headers } else { IdentityHeaders::NONE }, token, claimed }
    }

    /// The single headers that are sent.
    pub fn headers(&self) -> &IdentityHeaders {
        &self.headers
    }

    /// The token that is sent, if one is.
    pub fn token(&self) -> Option<&IdentityToken> {
        self.token.as_ref()
    }

    /// Names outside of our family that nobody else may set.
    pub fn claimed(&self) -> &[HeaderName] {
        &self.claimed
    }
}

/// Whether the field is one of our family.
pub fn is_of_our_family(name: &str) -> bool {
    begins(name, FAMILY)
}

/// Why no identity can be told in this field, if so: the field has a meaning of its own, by which messages are framed,
/// routed, cached or authenticated.
pub fn has_other_meaning(name: &str) -> bool {
    MEANINGS.iter().any(|known| reads_as(name, known)) || FAMILIES.iter().any(|prefix| begins(name, prefix))
}

const FAMILIES: [&str; 9] =
    ["accept", "access-control-", "content-", "if-", "proxy", "sec-", "transfer-", "x-forwarded-", "ratelimit"];

const MEANINGS: [&str; 41] = [
    "age",
    "allow",
    "alt-svc",
    "auth",
    "authorization",
    "cache-control",
    "connection",
    "cookie",
    "date",
    "etag",
    "expect",
    "expires",
    "forwarded",
    "from",
    "grpc-message",
    "grpc-status",
    "host",
    "http2-settings",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "origin",
    "pragma",
    "range",
    "referer",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
    "x-api-key",
    "x-http-method-override",
    "x-real-ip",
    "x-request-id",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_our_family_in_every_spelling() {
        for name in ["x.scopegate_app", "x~scopegate~app", "x+scopegate+app", "X|Scopegate|", "x-scopegate-"] {
            assert!(is_of_our_family(name), "{name}");
        }
        assert!(!is_of_our_family("x-scopegate") && !is_of_our_family("xscopegate-app"));
    }

    #[test]
    fn names_with_a_meaning_of_their_own_are_known() {
        for name in ["host", "content-length", "content_length", "connection", "authorization", "x-forwarded-for"] {
            assert!(has_other_meaning(name), "{name}");
        }
        for name in ["x-remote-user", "remote-user", "x-app", "x-scopegate-app"] {
            assert!(!has_other_meaning(name), "{name}");
        }
    }

    #[test]
    fn a_token_stands_in_the_place_of_the_headers_or_beside_them() {
        let named = |name| Some(HeaderName::from_static(name));
        let headers = IdentityHeaders { app: named("x-app"), subject: None, ..IdentityHeaders::default() };
        let token = |plain| IdentityToken {
            header: HeaderName::from_static("x-caller"),
            issuer: "a".into(),
            audiences: HashMap::new(),
            lifetime: Duration::from_secs(60),
            plain,
        };
        for plain in [false, true] {
            let identity = Identity::new(headers.clone(), Some(token(plain)));
            assert_eq!(identity.headers().app.is_some(), plain);
            assert_eq!(identity.claimed(), ["x-app", "x-caller"], "nobody sets them, sent or not");
        }
        assert_eq!(Identity::default().claimed(), [""; 0]);
    }
}
