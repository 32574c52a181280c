//! Refusals as gRPC callers read them: a status of its own behind an HTTP 200, in the header where there is no body
//! ("Trailers-Only"), and in trailers where there was one.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use http_body_util::Full;

use crate::model::Reason;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
pub(in super::super) const REASON: HeaderName = HeaderName::from_static("x-scopegate-reason");

/// The dialects, by the content type that the caller sends and reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Dialect {
    Grpc,
    Web,
    WebText,
}

impl Dialect {
    /// None where the call is no gRPC.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        const NAME: &[u8] = b"application/grpc";
        let content_type = headers.get(header::CONTENT_TYPE)?.as_bytes();
        let (name, more) = content_type.split_at_checked(NAME.len())?;
        if !name.eq_ignore_ascii_case(NAME) {
            return None;
        }
        match more {
            [] | [b'+' | b';' | b' ', ..] => Some(Self::Grpc),
            _ if more.starts_with(b"-web-text") => Some(Self::WebText),
            _ if more.starts_with(b"-web") => Some(Self::Web),
            _ => None,
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Grpc => "application/grpc",
            Self::Web => "application/grpc-web",
            Self::WebText => "application/grpc-web-text",
        }
    }

    /// Trailers-Only: the whole answer is its header. What else the refusal has to say comes with it.
    pub fn answer(self, reason: Reason) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::default());
        let headers = response.headers_mut();
        *headers = trailers(reason);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type()));
        response
    }
}

/// Status and message of the public reason, and its code.
pub(in super::super) fn trailers(reason: Reason) -> HeaderMap {
    let public = reason.public();
    let message = HeaderValue::try_from(percent_encoded(public.title()));
    let mut trailers = HeaderMap::with_capacity(8);
    trailers.insert(GRPC_STATUS, (status(public) as u16).into());
    trailers.insert(GRPC_MESSAGE, message.unwrap_or(HeaderValue::from_static("")));
    trailers.insert(REASON, HeaderValue::from_static(public.code()));
    trailers
}

/// Of the codes of google.rpc.Code those that a gateway has a use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Status {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

pub(super) fn status(reason: Reason) -> Status {
    match reason {
        Reason::RouteUnknown | Reason::MethodNotAllowed => Status::Unimplemented,
        Reason::RequestInvalid
        | Reason::PermissionsNotGranted
        | Reason::RepositoriesNotGranted
        | Reason::RepositoriesTooMany
        | Reason::OauthRequestInvalid
        | Reason::OauthGrantUnsupported
        | Reason::OauthScopeInvalid
        | Reason::OauthTokenUnsupported
        | Reason::OauthTokenForeign => Status::InvalidArgument,
        Reason::RequestTimeout | Reason::TunnelIdle | Reason::UpstreamConnectTimeout | Reason::UpstreamTimeout => {
            Status::DeadlineExceeded
        }
        Reason::BotUnknown | Reason::OwnerUnknown | Reason::InstallationUnknown | Reason::TokenAbsent => {
            Status::NotFound
        }
        Reason::TokenExists => Status::AlreadyExists,
        Reason::TokenRefreshed => Status::FailedPrecondition,
        Reason::RoleMissing
        | Reason::CorsNotAllowed
        | Reason::UpgradeNotAllowed
        | Reason::AppMismatch
        | Reason::AppWrongBot
        | Reason::AppWrongAccount
        | Reason::AppWrongNetwork
        | Reason::AppWrongLevel
        | Reason::InstallationSuspended
        | Reason::PermissionsInsufficient
        | Reason::ScopeInsufficient
        | Reason::CertificateRequired
        | Reason::CertificateNotAllowed
        | Reason::TableForbidden => Status::PermissionDenied,
        Reason::RequestHeadersTooLarge
        | Reason::RequestBodyTooLarge
        | Reason::CredentialThrottled
        | Reason::QuotaExceeded => Status::ResourceExhausted,
        Reason::ReplayFull
        | Reason::ReplayUnavailable
        | Reason::StoreUnavailable
        | Reason::KeysUnavailable
        | Reason::UpstreamUnreachable
        | Reason::UpstreamUnresolved
        | Reason::UpstreamTlsFailed
        | Reason::UpstreamReset
        | Reason::UpstreamUnhealthy
        | Reason::UpstreamOverloaded
        | Reason::UpstreamInvalid
        | Reason::GatewayOverloaded
        | Reason::GatewayStopping => Status::Unavailable,
        Reason::GatewayInternal => Status::Internal,
        Reason::CredentialMissing
        | Reason::CredentialMalformed
        | Reason::CredentialAmbiguous
        | Reason::CredentialWrongScheme
        | Reason::CredentialInvalid
        | Reason::TokenInvalid
        | Reason::TokenMalformed
        | Reason::TokenTooLarge
        | Reason::TokenAlgorithmNotAllowed
        | Reason::TokenSignatureInvalid
        | Reason::TokenTypeNotAllowed
        | Reason::TokenExpired
        | Reason::TokenNotYetValid
        | Reason::TokenIssuedInFuture
        | Reason::TokenLifetimeTooLong
        | Reason::TokenExpRequired
        | Reason::TokenIatRequired
        | Reason::TokenClaimInvalid
        | Reason::TokenAudienceMismatch
        | Reason::TokenIssuerMismatch
        | Reason::TokenJtiRequired
        | Reason::TokenReplayed
        | Reason::TokenRevoked
        | Reason::TokenSuperseded
        | Reason::TokenJweRequired
        | Reason::TokenJweInvalid
        | Reason::KeyUnknown
        | Reason::KeyRetired
        | Reason::KeyExpired
        | Reason::KeyNotYetValid
        | Reason::AppUnknown
        | Reason::AppDisabled
        | Reason::AppNoKey
        | Reason::AppWrongAuthenticator
        | Reason::OauthClientUnproved
        | Reason::OauthClientMismatch => Status::Unauthenticated,
    }
}

/// As the gRPC protocol encodes a Status-Message: all but printable ASCII, and the percent sign itself.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => _ = write!(encoded, "%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_tells_the_dialect() {
        for (content_type, dialect) in [
            ("application/grpc", Some(Dialect::Grpc)),
            ("Application/GRPC+proto", Some(Dialect::Grpc)),
            ("application/grpc;charset=utf-8", Some(Dialect::Grpc)),
            ("application/grpc-web+proto", Some(Dialect::Web)),
            ("application/grpc-web-text", Some(Dialect::WebText)),
            ("application/grpcs", None),
            ("application/json", None),
            ("application/gr", None),
        ] {
            let headers = [(header::CONTENT_TYPE, content_type.parse().unwrap())].into_iter().collect();
            assert_eq!(Dialect::of(&headers), dialect, "{content_type}");
        }
        assert_eq!(Dialect::of(&HeaderMap::new()), None);
    }

    #[test]
    fn what_is_not_printable_ascii_is_percent_encoded() {
        assert_eq!(percent_encoded("100% of caf\u{e9}\n"), "100%25 of caf%C3%A9%0A");
    }

    #[test]
    fn every_refusal_says_what_its_status_in_http_says() {
        for reason in Reason::ALL {
            let fits = match reason.status() {
                401 => Status::Unauthenticated,
                403 => Status::PermissionDenied,
                429 => Status::ResourceExhausted,
                502 | 503 => Status::Unavailable,
                504 | 408 => Status::DeadlineExceeded,
                500 => Status::Internal,
                _ => continue,
            };
            assert_eq!(status(*reason), fits, "{reason}");
        }
    }
}
