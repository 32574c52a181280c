//! The words of Khoros: an envelope of its own for the routes that take Basic, another for those that take a token.

use serde_json::json;

use super::Answer;
use crate::model::Reason;

pub(super) fn answer(reason: Reason, scheme: &str, advice: Option<&str>, request_id: &str) -> Answer {
    let (status, message) = words(reason);
    let message = advice.map_or_else(|| message.to_owned(), |advice| format!("{message} {advice}"));
    let body = if scheme.eq_ignore_ascii_case("Basic") {
        json!({ "status": "fail", "message": message })
    } else {
        json!({ "error": { "message": message, "requestId": request_id } })
    };
    // RFC 7617 section 2: a Basic challenge has a realm.
    let challenge =
        if scheme.eq_ignore_ascii_case("Basic") { "Basic realm=\"bot-api\", charset=\"UTF-8\"" } else { scheme };
    Answer::json(status, &body).challenging(challenge)
}

/// Whatever is wrong with a credential or a token is one word; the rest has words of ours.
pub(super) fn words(reason: Reason) -> (u16, &'static str) {
    match reason {
        Reason::TokenExists => (409, "A token at this path already exists."),
        Reason::RoleMissing => (403, "Forbidden"),
        Reason::CredentialAmbiguous | Reason::AppMismatch | Reason::AppWrongAccount => (401, "Unauthorized"),
        reason if reason.status() == 401 => (401, "Unauthorized"),
        reason => (reason.status(), reason.title()),
    }
}
