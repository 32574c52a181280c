//! What the gateway answers itself: the token service over HTTP, in the words of each platform.
//!
//! A call comes here after every check of the stack, and is answered where the store may be waited for. A refusal goes back
//! to the stack, which writes it in the format of the call's route.

mod actor;
mod icr;
mod khoros;
mod oauth;
mod settings;
mod verifying;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::Value;

pub use settings::{EndpointSettings, IcrSettings, KhorosSettings, UnknownOwner};
pub use verifying::Verifying;

use crate::clock::Timestamp;
use crate::model::{AccountId, ClientId, Endpoint, Reason, Refusal};
use crate::policy::{Live, State};
use crate::registry::{App, Repository, StoreError, UsageBook};
use crate::replay::ReplayMemory;
use crate::tokens::{LifecycleError, TokenError, TokenRepository, TokenService};
use crate::verify::Proof;

/// A call to an endpoint.
pub struct Call {
    pub endpoint: Endpoint,
    pub method: Method,
    /// The parameters of the path and what they hold.
    pub params: Vec<(String, String)>,
    pub query: Option<String>,
    /// The value of Content-Type.
    pub content_type: Option<HeaderValue>,
    pub body: Bytes,
    pub caller: Caller,
    /// The account that alone owns the host.
    pub host_account: Option<AccountId>,
    /// Whence the caller calls; none where nobody knows.
    pub from: Option<IpAddr>,
    /// What the call was judged by.
    pub state: Arc<State>,
    /// When it came.
    pub now: Timestamp,
    pub request_id: String,
}

/// Who calls.
pub enum Caller {
    Anybody,
    /// By a token of its own, or by one of ours.
    App {
        app: Arc<App>,
        proof: Arc<Proof>,
    },
    /// A service account, by name and password.
    Service {
        name: String,
        account: AccountId,
    },
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({} {})", self.method, self.endpoint)
    }
}

/// An answer, or why there is none.
pub type Answer = Result<Response<Full<Bytes>>, Refusal>;

/// All endpoints, over one store.
pub struct Endpoints<R> {
    pub tokens: Arc<TokenService<R>>,
    pub repository: R,
    pub live: Arc<Live>,
    pub verifying: Verifying,
    /// The stack's own: a token that was used up there is used up here.
    pub replay: Arc<dyn ReplayMemory>,
    pub usage: Arc<UsageBook>,
    pub settings: EndpointSettings,
    /// Held while an unregistered app is created: of several at once, each sees those before it.
    pub creating: tokio::sync::Mutex<()>,
}

impl<R: Repository + TokenRepository> Endpoints<R> {
    /// # Errors
    /// The refusal, if the call is refused after all.
    pub async fn answer(&self, call: Call) -> Answer {
        match call.endpoint {
            Endpoint::KhorosToken => self.khoros_token(&call).await,
            Endpoint::KhorosRenewal => self.khoros_renewal(&call).await,
            Endpoint::IcrApp
            | Endpoint::IcrInstallations
            | Endpoint::IcrInstallation
            | Endpoint::IcrAccessTokens
            | Endpoint::IcrRepositories
            | Endpoint::IcrRevocation => self.icr(&call).await,
            Endpoint::OauthToken
            | Endpoint::OauthIntrospection
            | Endpoint::OauthRevocation
            | Endpoint::OauthKeys
            | Endpoint::OauthMetadata => self.oauth(&call).await,
        }
    }
}

impl Call {
    fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The app that calls; routes see to it that there is one.
    fn app(&self) -> Result<(&Arc<App>, &Arc<Proof>), Refusal> {
        match &self.caller {
            Caller::App { app, proof } => Ok((app, proof)),
            Caller::Anybody | Caller::Service { .. } => Err(Reason::CredentialMissing.into()),
        }
    }
}

fn json(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// How many bytes the body of a request to an endpoint may have. A form is bounded by what it may hold: two tokens and some
/// parameters.
///
/// # Errors
/// `oauth.request_invalid`, before a byte of the body is read.
pub fn expect_body(
    endpoint: Endpoint,
    content_type: Option<&HeaderValue>,
    query: Option<&str>,
) -> Result<usize, Refusal> {
    match endpoint {
        Endpoint::OauthToken | Endpoint::OauthIntrospection | Endpoint::OauthRevocation => {
            oauth::check_form_head(content_type, query)?;
            Ok(32 << 10)
        }
        Endpoint::IcrAccessTokens => Ok(64 << 10),
        _ => Ok(4 << 10),
    }
}

/// A client id from a path.
fn client_id(text: &str) -> Result<ClientId, Refusal> {
    let unknown = || Refusal::new(Reason::OwnerUnknown).expected("printable ASCII of at most 256 characters");
    ClientId::new(text).map_err(|_| unknown())
}

fn of_store(error: &StoreError) -> Refusal {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(%error, cause, "a call to an endpoint is refused");
    Refusal::new(Reason::StoreUnavailable).found(error.to_string())
}

fn of_token(error: &TokenError) -> Refusal {
    match error {
        TokenError::Lifecycle(LifecycleError::Exists) => Reason::TokenExists.into(),
        TokenError::Lifecycle(LifecycleError::AlreadyRefreshed) => Reason::TokenRefreshed.into(),
        TokenError::Lifecycle(LifecycleError::Expired) => Reason::TokenExpired.into(),
        TokenError::Lifecycle(LifecycleError::Unknown) => Reason::TokenRevoked.into(),
        TokenError::NoApp => Reason::AppUnknown.into(),
        TokenError::NoKey => {
            tracing::error!("a call to an endpoint is refused: there is no key to sign tokens with");
            Refusal::new(Reason::StoreUnavailable).found("no key to sign tokens with")
        }
        TokenError::Store(error) => of_store(error),
    }
}
