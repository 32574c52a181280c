//! The errors of OAuth (RFC 6749 section 5.2, RFC 7009 section 2.2.1).

use serde_json::json;

use super::Answer;
use crate::model::{Reason, Refusal};

pub(super) fn answer(refusal: &Refusal) -> Answer {
    let (status, error, description) = match words(refusal.reason) {
        (401, _, description) if refusal.is_of_grant => (400, "invalid_grant", description),
        words => words,
    };
    let description = describe(refusal, description);
    Answer::json(status, &json!({ "error": error, "error_description": description }))
}

/// The status, the code and its description.
pub(super) fn words(reason: Reason) -> (u16, &'static str, &'static str) {
    let public = reason.public();
    let (status, error) = match (public, public.status()) {
        (Reason::OauthGrantUnsupported, status) => (status, "unsupported_grant_type"),
        (Reason::OauthScopeInvalid, status) => (status, "invalid_scope"),
        (Reason::OauthTokenUnsupported, status) => (status, "unsupported_token_type"),
        (Reason::OauthTokenForeign | Reason::AppWrongNetwork, status) => (status, "unauthorized_client"),
        (_, 401) => (401, "invalid_client"),
        (_, 503) => (503, "temporarily_unavailable"),
        (_, 500) => (500, "server_error"),
        (_, status) => (status, "invalid_request"),
    };
    (status, error, public.title())
}

/// With what was expected and found where that is the caller's own form, and in the characters that may stand there.
fn describe(refusal: &Refusal, title: &str) -> String {
    let is_of_form = matches!(
        refusal.reason,
        Reason::OauthRequestInvalid
            | Reason::OauthGrantUnsupported
            | Reason::OauthScopeInvalid
            | Reason::OauthClientUnproved
            | Reason::OauthClientMismatch
    );
    let mut text = title.to_owned();
    if is_of_form {
        let expected = refusal.expected.iter().map(|expected| format!(" Expected: {expected}."));
        let found = refusal.found.iter().map(|found| format!(" Found: {found}."));
        text.extend(expected.chain(found));
    }
    text.chars().map(|c| if matches!(c, ' '..='~') && c != '"' && c != '\\' { c } else { '\'' }).collect()
}
