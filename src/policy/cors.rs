//! Pages of which origins may call a route from a browser, and read what it answers (CORS, of the Fetch standard).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::{METHOD_OVERRIDE, Route, allowed_methods, canonical_host};
use crate::model::{Reason, Refusal};

/// What answers tell that a caller can use, beside what browsers show any page.
const EXPOSED: [HeaderName; 9] = [
    HeaderName::from_static("x-request-id"),
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("x-scopegate-reason"),
    HeaderName::from_static("x-scopegate-hint"),
];

/// What pages of other origins may do with a route, with its answers made ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// None means any.
    origins: Option<Vec<OriginPattern>>,
    /// Request headers that a page may set; none means any.
    headers: Option<Vec<HeaderName>>,
    pub credentials: bool,
    pub allow_methods: HeaderValue,
    pub expose: HeaderValue,
    pub max_age: HeaderValue,
}

/// What a route's section says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorsSettings {
    /// None means any.
    pub origins: Option<Vec<OriginPattern>>,
    /// Beside the credential's and the content's type; none means any.
    pub headers: Option<Vec<HeaderName>>,
    /// Beside those that we set ourselves.
    pub expose: Vec<HeaderName>,
    pub credentials: bool,
    pub max_age: Duration,
}

impl Cors {
    /// `credential` is the header that a page has to be able to set, and `methods` those of the route.
    ///
    /// # Errors
    /// When the names together are too long for a header.
    pub fn new(
        settings: CorsSettings,
        credential: Option<&HeaderName>,
        methods: &[Method],
        is_overridable: bool,
    ) -> Result<Self, &'static str> {
        let CorsSettings { origins, headers, expose, credentials, max_age } = settings;
        let own = credential.cloned().into_iter().chain([header::CONTENT_TYPE]);
        let own = own.chain(is_overridable.then_some(METHOD_OVERRIDE));
        let headers = headers.map(|more| own.chain(more).collect::<Vec<_>>());
        let post = is_overridable.then_some(&Method::POST);
        let value = |text: String| HeaderValue::try_from(text).map_err(|_| "too many names");
        Ok(Self {
            origins,
            headers,
            credentials,
            allow_methods: value(allowed_methods(methods.iter().chain(post)))?,
            expose: value(list(EXPOSED.iter().chain(&expose)))?,
            max_age: max_age.as_secs().into(),
        })
    }

    /// Whether the answer differs from origin to origin.
    pub fn varies(&self) -> bool {
        self.origins.is_some() || self.credentials
    }

    /// To whom an answer to this origin is open: to anybody, to the origin, or to none. A page without one may read what
    /// anybody may read.
    pub fn open_to(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        match &self.origins {
            None => Some(HeaderValue::from_static("*")),
            Some(origins) => {
                let origin = origin?;
                let text = origin.to_str().ok()?;
                origins.iter().any(|pattern| pattern.matches(text)).then(|| origin.clone())
            }
        }
    }

    /// The request headers that are allowed to one who asks for some.
    pub fn allow_headers(&self, preflight: &Preflight<'_>) -> Option<HeaderValue> {
        let text = match &self.headers {
            Some(headers) => list(headers.iter()),
            None => preflight.headers.join(", "),
        };
        HeaderValue::try_from(text).ok().filter(|value| !value.is_empty())
    }

    /// To whom the call that a page asks about is open.
    ///
    /// # Errors
    /// `cors.not_allowed`.
    pub fn judge(&self, preflight: &Preflight<'_>) -> Result<HeaderValue, Refusal> {
        let Some(open_to) = self.open_to(preflight.origin) else {
            let known = self.origins.iter().flatten().map(OriginPattern::as_str).collect::<Vec<_>>().join(" or ");
            let origin = preflight.origin.map_or("several origins".into(), |o| String::from_utf8_lossy(o.as_bytes()));
            return Err(refused(format!("a page of {known}"), &origin));
        };
        let is_allowed = |name: &&str| {
            self.headers
                .as_ref()
                .is_none_or(|known| known.iter().any(|known| name.eq_ignore_ascii_case(known.as_str())))
        };
        match preflight.headers.iter().find(|name| !is_allowed(name)) {
            Some(name) => {
                let known = list(self.headers.iter().flatten());
                Err(refused(format!("request headers of {known}"), &format!("header {name}")))
            }
            None => Ok(open_to),
        }
    }

    /// The origins, as they are configured.
    pub fn origins(&self) -> String {
        match &self.origins {
            None => "any origin".to_owned(),
            Some(origins) => origins.iter().map(OriginPattern::as_str).collect::<Vec<_>>().join(", "),
        }
    }
}

fn list<'n>(names: impl Iterator<Item = &'n HeaderName>) -> String {
    let mut listed: Vec<&str> = Vec::new();
    for name in names.map(HeaderName::as_str) {
        if !listed.contains(&name) {
            listed.push(name);
        }
    }
    listed.join(", ")
}

fn refused(expected: String, found: &str) -> Refusal {
    let found: String = found.chars().take(200).collect();
    Refusal::new(Reason::CorsNotAllowed).expected(expected).found(found)
}

/// What a browser asks before a page of another origin may call.
#[derive(Clone, Debug)]
pub struct Preflight<'a> {
    /// None where several are named.
    origin: Option<&'a HeaderValue>,
    /// None where it is no method at all.
    method: Option<Method>,
    headers: Vec<&'a str>,
}

impl<'a> Preflight<'a> {
    /// The question, if the request is one.
    pub fn of(method: &Method, headers: &'a HeaderMap) -> Option<Self> {
        let asked = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD).filter(|_| *method == Method::OPTIONS)?;
        headers.get(header::ORIGIN)?;
        let names = headers.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS).iter();
        let names = names.flat_map(|value| value.to_str().unwrap_or("?").split(',')).map(str::trim);
        Some(Self {
            origin: one_origin(headers),
            method: Method::from_bytes(asked.as_bytes()).ok(),
            headers: names.filter(|name| !name.is_empty()).collect(),
        })
    }

    /// Whether the route takes the call that is asked about.
    pub(super) fn is_for(&self, route: &Route) -> bool {
        let Some(method) = &self.method else { return false };
        let is_overriding = || self.headers.iter().any(|name| name.eq_ignore_ascii_case(METHOD_OVERRIDE.as_str()));
        route.methods.contains(method)
            || *method == Method::POST && route.authenticator.method_override && is_overriding()
    }

    /// # Errors
    /// `cors.not_allowed`, for a route that pages may call with other methods.
    pub fn wrong_method(&self, cors: &Cors) -> Refusal {
        let method = self.method.as_ref().map_or("no method", Method::as_str);
        let methods = String::from_utf8_lossy(cors.allow_methods.as_bytes()).into_owned();
        refused(methods, method)
    }
}

/// The origin of a request, if it names one.
pub fn one_origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    origins.next().filter(|_| origins.next().is_none())
}

/// `https://app.example.com`, or with `*.` before the host all origins below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern {
    text: String,
    /// Where the `*` stands, if there is one.
    star: Option<usize>,
}

impl OriginPattern {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn matches(&self, origin: &str) -> bool {
        let Some(star) = self.star else { return origin == self.text };
        let (begin, end) = (&self.text[..star], &self.text[star + 1..]);
        let below = origin.strip_prefix(begin).and_then(|rest| rest.strip_suffix(end));
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
        below.is_some_and(|below| !below.is_empty() && !below.starts_with('.') && below.bytes().all(plain))
    }
}

/// As it is configured.
impl FromStr for OriginPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form =
            || format!("{text:?} is no origin: write scheme, host and port alone, such as https://app.example.com");
        let (scheme, authority) = text.split_once("://").ok_or_else(form)?;
        let is_scheme =
            |s: &str| s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
        if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) || !is_scheme(scheme) {
            return Err(form());
        }
        let bare = authority.strip_prefix("*.").unwrap_or(authority);
        let host = canonical_host(bare).map_err(|_| form())?;
        let port = bare.strip_prefix(host.as_str()).ok_or_else(form)?;
        match (scheme, port) {
            ("https", ":443") | ("http", ":80") => {
                Err(format!("{text:?}: browsers leave this port out; so leave it out"))
            }
            (_, "") => Ok(Self::parsed(text)),
            (_, port) if port[1..].parse::<u16>().is_ok_and(|n| format!(":{n}") == port) => Ok(Self::parsed(text)),
            _ => Err(form()),
        }
    }
}

impl OriginPattern {
    fn parsed(text: &str) -> Self {
        Self { text: text.to_owned(), star: text.find('*') }
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cors(origins: &[&str], headers: Option<&[&str]>) -> Cors {
        let settings = CorsSettings {
            origins: Some(origins.iter().map(|o| o.parse().unwrap()).collect()),
            headers: headers.map(|names| names.iter().map(|name| name.parse().unwrap()).collect()),
            ..CorsSettings::default()
        };
        Cors::new(settings, Some(&header::AUTHORIZATION), &[Method::GET], false).unwrap()
    }

    fn open_to(cors: &Cors, origin: &str) -> bool {
        let value = HeaderValue::from_str(origin).unwrap();
        let open = cors.open_to(Some(&value));
        assert!(open.is_none() || open == Some(value), "an origin is told itself");
        open.is_some()
    }

    #[test]
    fn an_origin_is_compared_whole_and_below_a_name_by_whole_labels() {
        let cors = cors(&["https://app.example.com", "https://*.example.org:8443"], None);
        for origin in ["https://app.example.com", "https://a.example.org:8443", "https://a-1.b.example.org:8443"] {
            assert!(open_to(&cors, origin), "{origin}");
        }
        for origin in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.test",
            "https://xapp.example.com",
            "https://example.org:8443",
            "https://.example.org:8443",
            "https://aexample.org:8443",
            "https://evil.test/.example.org:8443",
            "https://evil.test#.example.org:8443",
            "https://evil.test:1.example.org:8443",
            "https://u@a.example.org:8443",
            "https://a.example.org",
            "null",
            "",
        ] {
            assert!(!open_to(&cors, origin), "{origin}");
        }
        assert_eq!(cors.open_to(None), None);
    }

    #[test]
    fn what_no_browser_sends_is_no_origin() {
        for text in [
            "https://app.example.com/",
            "https://app.example.com:443",
            "http://localhost:80",
            "http://localhost:080",
            "http://localhost:99999",
            "http://localhost:",
            "https://App.example.com",
            "HTTPS://app.example.com",
            "app.example.com",
            "null",
            "https://",
            "https://*",
            "https://*.",
            "https://a.*.example.com",
            "https://*.*.com",
            "https://u@a.example.com",
            "://a",
        ] {
            assert!(text.parse::<OriginPattern>().is_err(), "{text}");
        }
        for text in ["http://localhost:3000", "http://[::1]:8080", "https://*.example.com", "app-x://local"] {
            assert!(text.parse::<OriginPattern>().is_ok(), "{text}");
        }
    }

    fn asked(fields: &[(&'static str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        fields.iter().map(field).collect()
    }

    #[test]
    fn a_preflight_is_an_options_that_names_origin_and_method() {
        let (origin, method) = (("origin", "https://a.test"), ("access-control-request-method", "GET"));
        assert!(Preflight::of(&Method::OPTIONS, &asked(&[origin, method])).is_some());
        assert!(Preflight::of(&Method::GET, &asked(&[origin, method])).is_none());
        assert!(Preflight::of(&Method::OPTIONS, &asked(&[origin])).is_none());
        assert!(Preflight::of(&Method::OPTIONS, &asked(&[method])).is_none());
    }

    #[test]
    fn request_headers_are_judged_without_case_and_every_one_of_them() {
        let judge = |cors: &Cors, names: &str| {
            let fields = [
                ("origin", "https://a.test"),
                ("access-control-request-method", "GET"),
                ("access-control-request-headers", names),
            ];
            let headers = asked(&fields);
            let preflight = Preflight::of(&Method::OPTIONS, &headers).unwrap();
            (cors.judge(&preflight).is_ok(), cors.allow_headers(&preflight))
        };
        let some = cors(&["https://a.test"], Some(&["x-trace", "content-type"]));
        let told = Some(HeaderValue::from_static("authorization, content-type, x-trace"));
        assert_eq!(judge(&some, "Authorization,X-Trace , content-type"), (true, told.clone()));
        assert_eq!(judge(&some, ""), (true, told.clone()));
        assert_eq!(judge(&some, "authorization, x-other"), (false, told.clone()));
        assert_eq!(judge(&some, "*"), (false, told));
        let any = cors(&["https://a.test"], None);
        assert_eq!(judge(&any, "x-a,x-b"), (true, Some(HeaderValue::from_static("x-a, x-b"))));
        assert_eq!(judge(&any, ""), (true, None));
    }

    proptest! {
        #[test]
        fn whatever_is_below_a_name_is_a_host_below_it(below in "[a-z0-9./:@#?\\\\_-]{0,12}") {
            let cors = cors(&["https://*.example.com"], None);
            let origin = format!("https://{below}.example.com");
            let is_host = canonical_host(&format!("{below}.example.com")).is_ok_and(|host| origin == format!("https://{host}"));
            prop_assert!(!open_to(&cors, &origin) || is_host && !below.is_empty(), "{}", origin);
        }
    }
}
