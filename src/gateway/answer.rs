//! A refusal's body and status in each error format.

use http::StatusCode;
use serde_json::json;

use crate::model::{BearerError, Reason};
use crate::policy::{AuthenticatorKind, ErrorFormat, Route};

/// What is sent for a refusal, but for the headers that every answer has.
pub(super) struct Answer {
    pub status: StatusCode,
    pub content_type: &'static str,
    pub body: String,
    /// The challenge of a 401, and of a 403 for a missing scope (RFC 6750 section 3).
    pub challenge: Option<String>,
}

/// `scope` is the one that was missing, if that is the reason.
pub(super) fn answer(reason: Reason, route: Option<&Route>, scope: Option<&str>, request_id: &str) -> Answer {
    let public = reason.public();
    match route.map(|r| r.authenticator.error_format).unwrap_or_default() {
        ErrorFormat::Problem => problem(public, route, scope, request_id),
        ErrorFormat::Kore => kore(public),
    }
}

fn problem(reason: Reason, route: Option<&Route>, scope: Option<&str>, request_id: &str) -> Answer {
    let mut body = json!({
        "type": "about:blank",
        "title": reason.title(),
        "status": reason.status(),
        "code": reason.code(),
        "request_id": request_id,
    });
    if let Some(scope) = scope {
        body["scope"] = scope.into();
    }
    Answer {
        status: status(reason.status()),
        content_type: "application/problem+json",
        body: body.to_string(),
        challenge: challenge(reason, route, scope),
    }
}

fn challenge(reason: Reason, route: Option<&Route>, scope: Option<&str>) -> Option<String> {
    let scheme = match route.map(|r| &r.authenticator.kind) {
        Some(AuthenticatorKind::Jwt(jwt)) if !jwt.scheme.is_empty() => &jwt.scheme,
        _ => "Bearer",
    };
    let error = reason.bearer_error();
    match (reason.status(), error) {
        (401, BearerError::Absent) => Some(scheme.to_owned()),
        (400 | 401 | 403, _) => error.as_str().map(|error| {
            let scope = scope.map(|s| format!(", scope=\"{s}\"")).unwrap_or_default();
            format!("{scheme} error=\"{error}\", error_description=\"{}\"{scope}", reason.title())
        }),
        _ => None,
    }
}

/// What a caller reads of a refusal for this reason, in the words of the format: the status, and the message or code.
pub fn told(reason: Reason, format: ErrorFormat) -> (u16, &'static str) {
    let public = reason.public();
    match format {
        ErrorFormat::Problem => (public.status(), public.code()),
        ErrorFormat::Kore => {
            let (status, message, _) = kore_words(public);
            (status, message)
        }
    }
}

fn kore(reason: Reason) -> Answer {
    let (code, message, inner) = kore_words(reason);
    let body = json!({ "errors": [{ "msg": message, "code": inner }] }).to_string();
    Answer { status: status(code), content_type: "application/json", body, challenge: None }
}

/// The platform's own words, which cover several causes each: the status, the message and the code beside it.
fn kore_words(reason: Reason) -> (u16, &'static str, u16) {
    const CREDENTIALS: (u16, &str, u16) = (401, "Invalid SDK credentials", 4002);
    const NOT_A_TOKEN: (u16, &str, u16) = (401, "Invalid JWT token", 4002);
    const SCOPE: (u16, &str, u16) = (401, "Permission denied. Scope is incorrect!", 4002);
    match reason {
        Reason::MethodNotAllowed => (405, "Method Not Allowed", 405),
        Reason::BotUnknown => (400, "Invalid StreamId", 400),
        Reason::ScopeInsufficient | Reason::AppWrongLevel | Reason::TableForbidden => SCOPE,
        Reason::TokenLifetimeTooLong => {
            (401, r#"error verifying the jwt: if "jti" claim "exp" must be <= 1 hour(s)"#, 401)
        }
        Reason::QuotaExceeded => {
            (429, "Rate limit for this API has been reached. Please try again after some time.", 429)
        }
        Reason::TokenReplayed => (401, "error verifying the jwt: possibly a replay", 401),
        Reason::CredentialMalformed | Reason::CredentialAmbiguous | Reason::TokenMalformed | Reason::TokenTooLarge => {
            NOT_A_TOKEN
        }
        Reason::CredentialMissing
        | Reason::CredentialWrongScheme
        | Reason::TokenInvalid
        | Reason::TokenAlgorithmNotAllowed
        | Reason::TokenSignatureInvalid
        | Reason::TokenTypeNotAllowed
        | Reason::TokenExpired
        | Reason::TokenNotYetValid
        | Reason::TokenIssuedInFuture
        | Reason::TokenExpRequired
        | Reason::TokenClaimInvalid
        | Reason::TokenAudienceMismatch
        | Reason::TokenIssuerMismatch
        | Reason::TokenJtiRequired
        | Reason::TokenRevoked
        | Reason::TokenSuperseded
        | Reason::TokenJweRequired
        | Reason::TokenJweInvalid
        | Reason::KeyUnknown
        | Reason::KeyRetired
        | Reason::AppUnknown
        | Reason::AppDisabled
        | Reason::AppNoKey
        | Reason::AppWrongAuthenticator
        | Reason::AppWrongBot
        | Reason::AppWrongAccount => CREDENTIALS,
        Reason::RouteUnknown
        | Reason::RequestInvalid
        | Reason::RequestHeadersTooLarge
        | Reason::RequestBodyTooLarge
        | Reason::RequestTimeout
        | Reason::ReplayFull
        | Reason::ReplayUnavailable
        | Reason::UpstreamUnreachable
        | Reason::UpstreamTimeout
        | Reason::UpstreamInvalid
        | Reason::GatewayOverloaded
        | Reason::GatewayInternal => (reason.status(), reason.title(), reason.status()),
    }
}

/// The table of reasons holds valid codes alone.
fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
