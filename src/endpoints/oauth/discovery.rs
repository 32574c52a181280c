//! What others have to know: our keys (RFC 7517 section 5), and where everything is (RFC 8414 section 2).

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;

use super::super::{Call, Endpoints, json};
use super::grant::GRANTS;
use crate::model::{Algorithm, Endpoint, Family};
use crate::policy::{Authority, State, TABLES_SCOPE};
use crate::tokens::TokenRepository;

const HOUR: Duration = Duration::from_secs(3600);

impl<R: TokenRepository> Endpoints<R> {
    /// Whoever keeps the set for as long as it says knows every key before it signs.
    pub(super) fn keys(&self, call: &Call) -> Response<Full<Bytes>> {
        let set = self.tokens.issued().ring.jwks(call.now);
        cacheable(json(StatusCode::OK, &set), HOUR.min(self.tokens.lead() / 2))
    }
}

/// The endpoints are those that routes lead to.
pub(super) fn metadata(state: &State, authority: &Authority) -> Response<Full<Bytes>> {
    let url = |endpoint| state.routes.path_to(endpoint).map(|path| format!("{}{path}", authority.issuer));
    let algorithms: Vec<Algorithm> = authority.assertions.algorithms.iter().collect();
    let has = |wanted: bool| algorithms.iter().any(|algorithm| (algorithm.family() == Family::Hmac) == wanted);
    let methods = [("private_key_jwt", has(false)), ("client_secret_jwt", has(true))];
    let methods: Vec<_> = methods.into_iter().filter_map(|(method, is_taken)| is_taken.then_some(method)).collect();
    let algorithms: Vec<_> = algorithms.into_iter().map(Algorithm::as_str).collect();
    let needs_tables = state.routes.routes().iter().any(|route| route.requirement.is_of_resources());
    let scopes = state.scopes.iter().map(|scope| scope.id.as_str());
    let scopes: BTreeSet<_> = scopes.chain(needs_tables.then_some(TABLES_SCOPE)).collect();
    let mut metadata = json!({
        "issuer": authority.issuer,
        "response_types_supported": [],
        "grant_types_supported": GRANTS,
        "scopes_supported": scopes,
    });
    let places = [
        ("token_endpoint", Endpoint::OauthToken),
        ("introspection_endpoint", Endpoint::OauthIntrospection),
        ("revocation_endpoint", Endpoint::OauthRevocation),
    ];
    for (name, endpoint) in places {
        if let Some(url) = url(endpoint) {
            metadata[name] = url.into();
            metadata[format!("{name}_auth_methods_supported")] = json!(methods);
            metadata[format!("{name}_auth_signing_alg_values_supported")] = json!(algorithms);
        }
    }
    if let Some(url) = url(Endpoint::OauthKeys) {
        metadata["jwks_uri"] = url.into();
    }
    cacheable(json(StatusCode::OK, &metadata), HOUR)
}

fn cacheable(mut response: Response<Full<Bytes>>, time: Duration) -> Response<Full<Bytes>> {
    let value = HeaderValue::try_from(format!("public, max-age={}", time.as_secs()));
    response.headers_mut().extend(value.ok().map(|value| (header::CACHE_CONTROL, value)));
    response
}
