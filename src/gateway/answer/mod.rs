//! A refusal's body and status in each error format.

pub(super) mod grpc;
mod icr;
mod khoros;
mod kore;
mod oauth;

use http::StatusCode;
use serde_json::{Value, json};

use crate::model::{BearerError, Reason, Refusal};
use crate::policy::{ErrorFormat, Route};

/// What is sent for a refusal, but for the headers that every answer has.
pub(super) struct Answer {
    pub status: StatusCode,
    pub content_type: &'static str,
    pub body: String,
    /// The challenge of a 401, and of a 403 for a missing scope (RFC 6750 section 3).
    pub challenge: Option<String>,
}

impl Answer {
    fn json(status: u16, body: &Value) -> Self {
        let status = self::status(status);
        Self { status, content_type: "application/json", body: body.to_string(), challenge: None }
    }

    fn challenging(self, scheme: &str) -> Self {
        let is_asked = self.status == StatusCode::UNAUTHORIZED;
        Self { challenge: is_asked.then(|| scheme.to_owned()), ..self }
    }
}

/// What the caller is told beside the reason.
pub(super) struct Detail<'a> {
    /// The scope that was missing, if that is the reason.
    pub scope: Option<&'a str>,
    /// Where to go instead.
    pub advice: Option<&'a str>,
}

pub(super) fn answer(refusal: &Refusal, route: Option<&Route>, detail: &Detail<'_>, request_id: &str) -> Answer {
    let public = refusal.reason.public();
    match route.map(|r| r.authenticator.error_format).unwrap_or_default() {
        ErrorFormat::Problem => problem(public, route, detail, request_id),
        ErrorFormat::Kore => kore::answer(public),
        ErrorFormat::Khoros => khoros::answer(public, scheme(route), detail.advice, request_id),
        ErrorFormat::Icr => icr::answer(refusal, icr::of_app).challenging(scheme(route)),
        ErrorFormat::IcrInstallation => icr::answer(refusal, icr::of_installation).challenging(scheme(route)),
        ErrorFormat::Oauth => oauth::answer(refusal),
    }
}

/// The scheme that a challenge names.
fn scheme(route: Option<&Route>) -> &str {
    let credential = route.and_then(|r| r.authenticator.credential());
    credential.map(|(_, scheme)| scheme).filter(|scheme| !scheme.is_empty()).unwrap_or("Bearer")
}

fn problem(reason: Reason, route: Option<&Route>, detail: &Detail<'_>, request_id: &str) -> Answer {
    let mut body = json!({
        "type": "about:blank",
        "title": reason.title(),
        "status": reason.status(),
        "code": reason.code(),
        "request_id": request_id,
    });
    if let Some(scope) = detail.scope {
        body["scope"] = scope.into();
    }
    if let Some(advice) = detail.advice {
        body["detail"] = advice.into();
    }
    Answer {
        status: status(reason.status()),
        content_type: "application/problem+json",
        body: body.to_string(),
        challenge: challenge(reason, route, detail.scope),
    }
}

fn challenge(reason: Reason, route: Option<&Route>, scope: Option<&str>) -> Option<String> {
    let scheme = scheme(route);
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
            let (status, message, _) = kore::words(public);
            (status, message)
        }
        ErrorFormat::Khoros => khoros::words(public),
        ErrorFormat::Icr => icr::of_app(&Refusal::new(reason)),
        ErrorFormat::IcrInstallation => icr::of_installation(&Refusal::new(reason)),
        ErrorFormat::Oauth => {
            let (status, error, _) = oauth::words(reason);
            (status, error)
        }
    }
}

/// The table of reasons holds valid codes alone.
fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
