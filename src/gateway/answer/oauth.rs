//! The errors of OAuth (RFC 6749 section 5.2).

use serde_json::json;

use super::Answer;
use crate::model::{Reason, Refusal};

pub(super) fn answer(refusal: &Refusal) -> Answer {
    let (status, error, description) = words(refusal.reason);
    Answer::json(status, &json!({ "error": error, "error_description": description }))
}

/// The status, the code and its description.
pub(super) fn words(reason: Reason) -> (u16, &'static str, &'static str) {
    let public = reason.public();
    let (status, error) = match public.status() {
        401 => (401, "invalid_client"),
        503 => (503, "temporarily_unavailable"),
        500 => (500, "server_error"),
        status => (status, "invalid_request"),
    };
    (status, error, public.title())
}
