//! The words of Kore.

use serde_json::json;

use super::Answer;
use crate::model::Reason;

pub(super) fn answer(reason: Reason) -> Answer {
    let (status, message, inner) = words(reason);
    Answer::json(status, &json!({ "errors": [{ "msg": message, "code": inner }] }))
}

/// The platform's own words, which cover several causes each: the status, the message and the code beside it.
pub(super) fn words(reason: Reason) -> (u16, &'static str, u16) {
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
        | Reason::TokenIatRequired
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
        | Reason::KeyExpired
        | Reason::KeyNotYetValid
        | Reason::AppUnknown
        | Reason::AppDisabled
        | Reason::AppNoKey
        | Reason::AppWrongAuthenticator
        | Reason::CredentialInvalid
        | Reason::AppMismatch
        | Reason::AppWrongBot
        | Reason::AppWrongAccount
        | Reason::AppWrongNetwork => CREDENTIALS,
        Reason::RouteUnknown
        | Reason::CorsNotAllowed
        | Reason::UpgradeNotAllowed
        | Reason::RequestInvalid
        | Reason::RequestHeadersTooLarge
        | Reason::RequestBodyTooLarge
        | Reason::RequestTimeout
        | Reason::CertificateRequired
        | Reason::CertificateNotAllowed
        | Reason::RoleMissing
        | Reason::CredentialThrottled
        | Reason::TokenExists
        | Reason::TokenAbsent
        | Reason::TokenRefreshed
        | Reason::OwnerUnknown
        | Reason::InstallationUnknown
        | Reason::InstallationSuspended
        | Reason::PermissionsNotGranted
        | Reason::PermissionsInsufficient
        | Reason::RepositoriesNotGranted
        | Reason::RepositoriesTooMany
        | Reason::OauthRequestInvalid
        | Reason::OauthClientUnproved
        | Reason::OauthClientMismatch
        | Reason::OauthGrantUnsupported
        | Reason::OauthScopeInvalid
        | Reason::OauthTokenUnsupported
        | Reason::OauthTokenForeign
        | Reason::StoreUnavailable
        | Reason::ReplayFull
        | Reason::ReplayUnavailable
        | Reason::UpstreamUnreachable
        | Reason::UpstreamUnresolved
        | Reason::UpstreamConnectTimeout
        | Reason::UpstreamTlsFailed
        | Reason::UpstreamReset
        | Reason::UpstreamUnhealthy
        | Reason::UpstreamOverloaded
        | Reason::UpstreamTimeout
        | Reason::UpstreamInvalid
        | Reason::GatewayOverloaded
        | Reason::KeysUnavailable
        | Reason::GatewayStopping
        | Reason::TunnelIdle
        | Reason::GatewayInternal => (reason.status(), reason.title(), reason.status()),
    }
}
