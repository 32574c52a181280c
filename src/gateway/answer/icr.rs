//! The words of ICR apps.

use serde_json::json;

use super::Answer;
use crate::model::{Reason, Refusal};

/// A status and a message for a refusal.
type Words = fn(&Refusal) -> (u16, &'static str);

pub(super) fn answer(refusal: &Refusal, words: Words) -> Answer {
    let (status, message) = words(refusal);
    let documentation = format!("docs/reasons.md#{}", refusal.told_as.unwrap_or(refusal.reason).public());
    Answer::json(status, &json!({ "message": message, "documentation_url": documentation }))
}

const EXP: &str = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the \
                   assertion expires";
const IAT: &str = "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
const ISS: &str = "'Issuer' claim ('iss') must be an Integer";
const UNDECODABLE: &str = "A JSON web token could not be decoded";
const BAD: &str = "Bad credentials";

/// To who comes with a token for an installation: there is one word for all that may be wrong with it.
pub(super) fn of_installation(refusal: &Refusal) -> (u16, &'static str) {
    match refusal.reason {
        Reason::CredentialMissing => of_app(refusal),
        reason if reason.status() == 401 => (401, BAD),
        _ => of_app(refusal),
    }
}

/// To who comes with an app's own token.
///
/// Ids of the apps that name `icr` are no secret: that such an app has no key is told to every client, as clients expect it.
/// Others are as unknown until their key is proved.
pub(super) fn of_app(refusal: &Refusal) -> (u16, &'static str) {
    let claim = refusal.claim.as_deref();
    match refusal.told_as.unwrap_or(refusal.reason) {
        Reason::TokenLifetimeTooLong => (401, "'Expiration time' claim ('exp') is too far in the future"),
        Reason::TokenExpired | Reason::TokenExpRequired => (401, EXP),
        Reason::TokenIssuedInFuture | Reason::TokenIatRequired => (401, IAT),
        Reason::TokenClaimInvalid if claim == Some("exp") => (401, EXP),
        Reason::TokenClaimInvalid if claim == Some("iat") => (401, IAT),
        Reason::TokenClaimInvalid if claim == Some("iss") => (401, ISS),
        Reason::AppUnknown if claim == Some("iss") => (401, "Missing 'issuer' claim ('iss') in assertion"),
        Reason::AppUnknown | Reason::AppWrongAuthenticator => (404, "Integration not found"),
        Reason::AppNoKey => (401, "Integration must generate a public key"),
        Reason::CredentialMissing => (401, "Requires authentication"),
        Reason::TokenRevoked | Reason::TokenSuperseded | Reason::AppDisabled => (401, BAD),
        Reason::InstallationUnknown | Reason::RouteUnknown => (404, "Not Found"),
        Reason::InstallationSuspended => (403, "This installation has been suspended"),
        Reason::PermissionsInsufficient | Reason::AppWrongAccount => (403, "Resource not accessible by integration"),
        Reason::PermissionsNotGranted => (422, "The permissions requested are not granted to this installation."),
        reason if reason.status() == 401 => (401, UNDECODABLE),
        reason => (reason.status(), reason.title()),
    }
}
