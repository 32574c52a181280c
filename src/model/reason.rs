//! Why a call is refused: the one list. It only grows; a code never changes its meaning.

use std::fmt;

/// The `error` of a Bearer challenge (RFC 6750 section 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BearerError {
    /// No credential came, so the challenge names no error.
    Absent,
    InvalidRequest,
    InvalidToken,
    InsufficientScope,
}

impl BearerError {
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Absent => None,
            Self::InvalidRequest => Some("invalid_request"),
            Self::InvalidToken => Some("invalid_token"),
            Self::InsufficientScope => Some("insufficient_scope"),
        }
    }
}

macro_rules! reasons {
    ($($variant:ident $code:literal $status:literal $bearer:ident $public:ident
       $title:literal
       $fix:literal)*) => {
        /// Why a call is refused, or what went wrong with it.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum Reason {
            $(#[doc = $title] $variant,)*
        }

        impl Reason {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable code: the metric's label, the log's `reason`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The status in the `problem` format (RFC 9110 section 15); vendor formats have their own.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The challenge that a 401 or 403 carries, if it is one about a Bearer token.
            pub const fn bearer_error(self) -> BearerError {
                match self { $(Self::$variant => BearerError::$bearer,)* }
            }

            /// What the caller is told: this reason, or one that gives nothing away to whoever can't sign as the app.
            #[must_use]
            pub const fn public(self) -> Self {
                match self { $(Self::$variant => Self::$public,)* }
            }

            /// One sentence: what is wrong.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// One sentence for whoever has to mend it.
            pub const fn fix(self) -> &'static str {
                match self { $(Self::$variant => $fix,)* }
            }
        }
    };
}

reasons! {
    // variant, code, status, RFC 6750 error, public reason; title; fix
    RouteUnknown "route.unknown" 404 Absent RouteUnknown
        "No route matches this host and path."
        "Compare host and path with the routes that `scopegate check` prints; paths are compared exactly, with case and without a trailing slash."
    MethodNotAllowed "method.not_allowed" 405 Absent MethodNotAllowed
        "The route exists, but not for this method."
        "Use one of the methods in the Allow header."
    CorsNotAllowed "cors.not_allowed" 403 Absent CorsNotAllowed
        "Pages of this origin may not make such a call."
        "Add the origin or the header that the log names to the route's cors, or call it with one of its methods."
    RequestInvalid "request.invalid" 400 Absent RequestInvalid
        "The request is not well formed."
        "Send one Host, and a path in its plain form: no encoded slashes, dots or control characters, no empty or dot segments. A method is overridden on a POST, once."
    RequestHeadersTooLarge "request.headers_too_large" 431 Absent RequestHeadersTooLarge
        "The request's header is too large."
        "Send fewer or shorter header fields, or raise proxy.limits.header_bytes."
    RequestBodyTooLarge "request.body_too_large" 413 Absent RequestBodyTooLarge
        "The request's body is too large."
        "Send a smaller body, or raise proxy.limits.body_bytes."
    RequestTimeout "request.timeout" 408 Absent RequestTimeout
        "The request did not arrive in time."
        "Send it without long pauses and at a steady pace, or raise proxy.timeouts.header or body_idle, or lower proxy.limits.body_rate."
    CertificateRequired "certificate.required" 403 Absent CertificateRequired
        "The route needs a client certificate, and the connection has none."
        "Connect with a certificate that the listener's client_ca issued; a proxy in between that ends TLS does not pass it on."
    CertificateNotAllowed "certificate.not_allowed" 403 Absent CertificateNotAllowed
        "The client certificate is none of those that the route takes."
        "Use a certificate with one of the names that the route's client_certificate lists as a subject alternative name; the log has those of this one."
    UpgradeNotAllowed "upgrade.not_allowed" 403 Absent UpgradeNotAllowed
        "The route goes on with no such protocol."
        "Name the protocol in the route's upgrade, such as upgrade = [\"websocket\"]; an upgrade has no body, and a WebSocket begins with GET."
    CredentialMissing "credential.missing" 401 Absent CredentialMissing
        "The request carries no credential."
        "Send the token in the header that the route's authenticator names."
    CredentialMalformed "credential.malformed" 401 InvalidRequest CredentialMalformed
        "The credential is not written as the route expects."
        "Send the scheme, one space and the token, or the bare token where the scheme is empty; no quotes, no line breaks."
    CredentialAmbiguous "credential.ambiguous" 400 InvalidRequest CredentialAmbiguous
        "The request carries more than one credential."
        "Send exactly one."
    CredentialWrongScheme "credential.wrong_scheme" 401 Absent CredentialWrongScheme
        "The credential has another scheme than the route expects."
        "Use the scheme that the challenge names."
    CredentialInvalid "credential.invalid" 401 Absent CredentialInvalid
        "Name or password is wrong."
        "Check both; `scopegate service list` shows the names, and `scopegate service passwd` sets a new password."
    CredentialThrottled "credential.throttled" 429 Absent CredentialThrottled
        "Too many names or passwords were tried."
        "Wait as long as Retry-After says; who signed in before with the same password is not kept out."
    RoleMissing "role.missing" 403 Absent RoleMissing
        "The service account does not hold the role that the route needs."
        "Give the role to the service account, or use another account."
    TokenInvalid "token.invalid" 401 InvalidToken TokenInvalid
        "The token is not valid."
        "The log has the true reason under the request id; `scopegate jwt explain` tells what to do."
    TokenMalformed "token.malformed" 401 InvalidToken TokenMalformed
        "The token is no compact JSON Web Token."
        "Send three base64url parts with two dots between them, just as the signer printed them."
    TokenTooLarge "token.too_large" 401 InvalidToken TokenTooLarge
        "The token is too large."
        "Put less into the token."
    TokenAlgorithmNotAllowed "token.algorithm_not_allowed" 401 InvalidToken TokenInvalid
        "The token is signed with an algorithm that the app or the route does not allow."
        "Sign with one of the app's algorithms."
    TokenSignatureInvalid "token.signature_invalid" 401 InvalidToken TokenInvalid
        "The signature is not by one of the app's keys."
        "Sign with the app's own secret, as text and not base64-decoded, or with the private half of a key that the app has."
    TokenTypeNotAllowed "token.type_not_allowed" 401 InvalidToken TokenTypeNotAllowed
        "The token is of another type than the route takes."
        "Leave typ out, or use one of the route's token types."
    TokenExpired "token.expired" 401 InvalidToken TokenExpired
        "The token has expired."
        "Make a new token; check the signer's clock."
    TokenNotYetValid "token.not_yet_valid" 401 InvalidToken TokenNotYetValid
        "The token is not valid yet."
        "Wait, or check the signer's clock."
    TokenIssuedInFuture "token.issued_in_future" 401 InvalidToken TokenIssuedInFuture
        "The token says that it was issued in the future."
        "Check the signer's clock."
    TokenLifetimeTooLong "token.lifetime_too_long" 401 InvalidToken TokenLifetimeTooLong
        "The token is good for longer than is allowed."
        "Set exp nearer to now."
    TokenExpRequired "token.exp_required" 401 InvalidToken TokenExpRequired
        "The token has no exp, and it must have one."
        "Add exp, in seconds since 1970."
    TokenIatRequired "token.iat_required" 401 InvalidToken TokenIatRequired
        "The token has no iat, and it must have one."
        "Add iat, the time of signing in seconds since 1970."
    TokenClaimInvalid "token.claim_invalid" 401 InvalidToken TokenClaimInvalid
        "A claim is missing or has a value of the wrong kind."
        "Times are JSON numbers in seconds; iss, jti and the app claim are strings."
    TokenAudienceMismatch "token.audience_mismatch" 401 InvalidToken TokenAudienceMismatch
        "The token is meant for another audience."
        "Set aud to one of the audiences that the route's authenticator names."
    TokenIssuerMismatch "token.issuer_mismatch" 401 InvalidToken TokenIssuerMismatch
        "The token comes from another issuer."
        "Set iss to one of the issuers that the route's authenticator names."
    TokenJtiRequired "token.jti_required" 401 InvalidToken TokenJtiRequired
        "The app must put a jti into each token, and this token has none."
        "Add a jti that is new for every call."
    TokenReplayed "token.replayed" 401 InvalidToken TokenReplayed
        "The token's jti was used before."
        "Make one token per call, each with its own jti."
    TokenRevoked "token.revoked" 401 InvalidToken TokenRevoked
        "The token was revoked."
        "Get a new token; whoever runs the app knows why this one was ended."
    TokenSuperseded "token.superseded" 401 InvalidToken TokenSuperseded
        "The token was refreshed, and its grace is over."
        "Use the token that the refresh gave; deploy it within the grace."
    TokenJweRequired "token.jwe_required" 401 InvalidToken TokenJweRequired
        "The app must encrypt its tokens, and this one is only signed."
        "Encrypt the signed token to the public key that `scopegate encryption show` prints for the app: five parts instead of three."
    TokenJweInvalid "token.jwe_invalid" 401 InvalidToken TokenInvalid
        "The encrypted token can't be opened, or what is inside is no signed token of the app that the key belongs to."
        "Sign the token first, then encrypt it to the public key that `scopegate encryption show` prints, under that key's kid and without zip."
    TokenExists "token.exists" 409 Absent TokenExists
        "The app has a token already, which may have expired."
        "GET the same path to see when it expires; PUT /bots/v3/tokens/appId/{appId} with the token refreshes it; if it is lost or has expired, DELETE the same path and begin anew."
    TokenAbsent "token.absent" 404 Absent TokenAbsent
        "The app has no token."
        "POST to the same path to get one."
    TokenRefreshed "token.refreshed" 409 Absent TokenRefreshed
        "The token was refreshed already, and is good only for the rest of its grace."
        "Use the token that the refresh gave; a token has one successor."
    KeyUnknown "key.unknown" 401 InvalidToken TokenInvalid
        "The token names a key that the app does not have."
        "Use the kid of one of the app's keys, or none."
    KeyRetired "key.retired" 401 InvalidToken TokenInvalid
        "The token is signed with a key that was retired."
        "Sign with the app's current key."
    KeyExpired "key.expired" 401 InvalidToken TokenInvalid
        "The token is signed with a key whose certificate has ended."
        "Give the app the renewed certificate with `scopegate key add`, or a key without one."
    KeyNotYetValid "key.not_yet_valid" 401 InvalidToken TokenInvalid
        "The token is signed with a key whose certificate is not good yet."
        "Sign with the app's current key until then; if the certificate is new, check the clock of whoever made it."
    AppUnknown "app.unknown" 401 InvalidToken TokenInvalid
        "No app has the client id that the token names."
        "Check the app claim's name and value, and that the app was saved."
    AppDisabled "app.disabled" 401 InvalidToken TokenInvalid
        "The app is disabled."
        "Enable the app."
    AppNoKey "app.no_key" 401 InvalidToken TokenInvalid
        "The app has no usable key."
        "Add a key to the app."
    AppWrongAuthenticator "app.wrong_authenticator" 401 InvalidToken TokenInvalid
        "The app may not be used with this kind of route."
        "Add the route's authenticator to the app, or use another app."
    AppMismatch "app.mismatch" 403 InsufficientScope AppMismatch
        "The path names another app than the one whose token it is."
        "Put the client id of the token's app into the path; it is compared exactly."
    AppWrongBot "app.wrong_bot" 403 InsufficientScope AppWrongBot
        "The app does not belong to the bot in the path."
        "Use an app of that bot, or add the bot to the app."
    AppWrongAccount "app.wrong_account" 403 InsufficientScope AppWrongAccount
        "The bot or host belongs to another account than the app."
        "Use an app of the account that owns the bot."
    AppWrongNetwork "app.wrong_network" 403 InsufficientScope AppWrongNetwork
        "The app's calls may not come from this address."
        "Call from one of the app's networks, which `scopegate app show` lists, or give the app others with `scopegate app set APP --network CIDR`. Behind a proxy, let the gateway trust it: the caller's address is the proxy's else."
    AppWrongLevel "app.wrong_level" 403 InsufficientScope AppWrongLevel
        "The route needs an app of another level."
        "Use an account-level app where the route names no bot or has no scope at bot level."
    OwnerUnknown "owner.unknown" 404 Absent OwnerUnknown
        "No app has the id in the path."
        "Create the app first, or let unknown ones be created: khoros.unknown_owner = \"create\"."
    InstallationUnknown "installation.unknown" 404 Absent InstallationUnknown
        "The app has no such installation."
        "Use the id of one of the app's installations, which GET /app/installations lists; the id of an app is another thing."
    InstallationSuspended "installation.suspended" 403 InsufficientScope InstallationSuspended
        "The installation is suspended."
        "Whoever suspended it has to resume it: `scopegate installation resume`."
    PermissionsNotGranted "permissions.not_granted" 422 Absent PermissionsNotGranted
        "More permissions are asked for than the installation has."
        "Ask for the installation's permissions, or for fewer; names have underscores, and the log lists those that are too many."
    PermissionsInsufficient "permissions.insufficient" 403 InsufficientScope PermissionsInsufficient
        "The token lacks the permission that the route needs, or does not reach the repository."
        "Get a token with the permission and for the repository, or give more to the installation."
    RepositoriesNotGranted "repositories.not_granted" 422 Absent RepositoriesNotGranted
        "A repository is asked for that the installation does not reach."
        "Ask for repositories of the installation, of which GET /installation/repositories lists some."
    RepositoriesTooMany "repositories.too_many" 422 Absent RepositoriesTooMany
        "More than 500 repositories are asked for."
        "Ask for at most 500 repositories, or for none: then the token reaches all that the installation reaches."
    OauthRequestInvalid "oauth.request_invalid" 400 Absent OauthRequestInvalid
        "The endpoint does not take such a form."
        "Send the parameters as application/x-www-form-urlencoded in the body, each once, and none in the query."
    OauthClientUnproved "oauth.client_unproved" 401 Absent OauthClientUnproved
        "The client does not prove who it is."
        "Send client_assertion_type and client_assertion: a token that the app signs, with iss and sub its client id and aud the issuer."
    OauthClientMismatch "oauth.client_mismatch" 401 Absent OauthClientMismatch
        "The client id, the client's assertion and what it hands in are not of one app."
        "Let iss and sub of the client's assertion and client_id, if it is sent, be the client id of the one app."
    OauthGrantUnsupported "oauth.grant_unsupported" 400 Absent OauthGrantUnsupported
        "There is no such grant."
        "Use grant_type=client_credentials or grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer."
    OauthScopeInvalid "oauth.scope_invalid" 400 Absent OauthScopeInvalid
        "A scope is asked for that the app does not hold."
        "Ask for scopes that are granted to the app and published, or leave scope out for all of them."
    OauthTokenUnsupported "oauth.token_unsupported" 400 Absent OauthTokenUnsupported
        "The token is none that this gateway issued, and can't be revoked here."
        "What an app signs ends with its exp; whoever runs the gateway revokes it with `scopegate token revoke`."
    OauthTokenForeign "oauth.token_foreign" 400 Absent OauthTokenForeign
        "The token was issued to another client."
        "Let the client that got the token revoke it."
    BotUnknown "bot.unknown" 404 Absent BotUnknown
        "No bot has the id in the path."
        "Check the bot's id."
    ScopeInsufficient "scope.insufficient" 403 InsufficientScope ScopeInsufficient
        "The app does not hold the scope that the route needs."
        "Grant the scope to the app, and publish the grant."
    TableForbidden "table.forbidden" 403 InsufficientScope TableForbidden
        "The app lacks a permission on the table or view."
        "Grant the missing permission on this table or view to the app."
    QuotaExceeded "quota.exceeded" 429 Absent QuotaExceeded
        "The quota for calls of this kind is used up."
        "Wait as long as Retry-After says and spread the calls, or raise the windows of the quota that the log names."
    ReplayFull "replay.full" 503 Absent ReplayFull
        "The memory of used tokens is full."
        "Raise replay.max_entries, or shorten the tokens' lifetimes."
    ReplayUnavailable "replay.unavailable" 503 Absent ReplayUnavailable
        "The memory of used tokens can't be reached."
        "Try again with a new token; standard error says what is wrong with the journal at replay.url."
    StoreUnavailable "store.unavailable" 503 Absent StoreUnavailable
        "The store can't be reached."
        "Try again; standard error says what is wrong with the store."
    KeysUnavailable "keys.unavailable" 503 Absent KeysUnavailable
        "There is no key yet to sign for the upstream who calls."
        "Try again shortly: the gateway makes a key when it can reach its store; standard error says if it can't."
    UpstreamUnreachable "upstream.unreachable" 502 Absent UpstreamUnreachable
        "The upstream can't be reached."
        "Check that the upstream runs at the configured address."
    UpstreamUnresolved "upstream.unresolved" 502 Absent UpstreamUnresolved
        "The upstream's name has no address."
        "Check the name in the upstream's urls, and the resolver of the gateway's machine."
    UpstreamConnectTimeout "upstream.connect_timeout" 504 Absent UpstreamConnectTimeout
        "No connection to the upstream was made in time."
        "Check that the upstream's machine is up and that nothing on the way drops packets, or raise its connect timeout."
    UpstreamTlsFailed "upstream.tls_failed" 502 Absent UpstreamTlsFailed
        "The upstream and the gateway could not agree on TLS."
        "Check the upstream's certificate, its name and its authority (ca), and the client certificate if it asks for one."
    UpstreamReset "upstream.reset" 502 Absent UpstreamReset
        "The upstream closed the connection before it answered."
        "Check the upstream: it was restarted, it failed on this call, or it closes idle connections sooner than the gateway."
    UpstreamUnhealthy "upstream.unhealthy" 503 Absent UpstreamUnhealthy
        "Every address of the upstream is out of service."
        "Calls or health checks failed there one after the other; the log says why. Mend the upstream: it is tried again by itself."
    UpstreamOverloaded "upstream.overloaded" 503 Absent UpstreamOverloaded
        "The upstream has as many calls in hand as it is given at once."
        "Try again shortly. max_calls, max_queue and timeouts.queue of the upstream bound them."
    UpstreamTimeout "upstream.timeout" 504 Absent UpstreamTimeout
        "The upstream did not answer in time."
        "Check the upstream, or raise its response timeout."
    UpstreamInvalid "upstream.invalid" 502 Absent UpstreamInvalid
        "The upstream's answer is not valid HTTP."
        "Check the upstream; what it sent is no answer, or has a contradictory header."
    GatewayOverloaded "gateway.overloaded" 503 Absent GatewayOverloaded
        "The gateway has no room for this call."
        "Try again shortly. The log says what it has too much or too little of: proxy.limits.concurrent_requests bounds calls, and the limit of open files connections."
    TunnelIdle "tunnel.idle" 408 Absent TunnelIdle
        "Nothing went through the upgraded connection for too long."
        "Send a ping from time to time, or raise proxy.timeouts.tunnel_idle."
    GatewayStopping "gateway.stopping" 503 Absent GatewayStopping
        "The gateway stops, and ends what is still in flight."
        "Connect again."
    GatewayInternal "gateway.internal" 500 Absent GatewayInternal
        "Something went wrong in the gateway."
        "This is a bug; the log has more under the request id."
}

/// As its code.
impl serde::Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
    }

    #[test]
    fn a_public_reason_is_its_own_public_reason() {
        for reason in Reason::ALL {
            assert_eq!(reason.public().public(), reason.public(), "{reason}");
        }
    }

    #[test]
    fn what_is_found_before_the_signature_is_proved_is_one_public_answer() {
        for reason in Reason::ALL {
            let code = reason.code();
            let hidden = code.starts_with("app.") && reason.status() == 401 || code.starts_with("key.");
            assert_eq!(
                reason.public() == Reason::TokenInvalid && *reason != Reason::TokenInvalid,
                hidden
                    || matches!(
                        reason,
                        Reason::TokenAlgorithmNotAllowed | Reason::TokenSignatureInvalid | Reason::TokenJweInvalid
                    ),
                "{reason}"
            );
        }
    }
}
