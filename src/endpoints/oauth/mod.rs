//! OAuth for apps: access tokens for assertions (RFC 6749, RFC 7523), introspection (RFC 7662), revocation (RFC 7009), our
//! keys (RFC 7517) and metadata (RFC 8414).
//!
//! A client has no password: it signs an assertion with one of its app's keys, which are those that its tokens are signed with.

mod client;
mod discovery;
mod form;
mod grant;
mod presented;

pub use form::check_head as check_form_head;

use super::{Answer, Call, Endpoints};
use crate::model::{Endpoint, Reason};
use crate::registry::Repository;
use crate::tokens::TokenRepository;

impl<R: Repository + TokenRepository> Endpoints<R> {
    pub(super) async fn oauth(&self, call: &Call) -> Answer {
        let authority = call.state.routes.authority().ok_or(Reason::RouteUnknown)?;
        match call.endpoint {
            Endpoint::OauthToken => self.grant(call, authority).await,
            Endpoint::OauthIntrospection => self.introspect(call, authority).await,
            Endpoint::OauthRevocation => self.revoke(call, authority).await,
            Endpoint::OauthKeys => Ok(self.keys(call)),
            _ => Ok(discovery::metadata(&call.state, authority)),
        }
    }
}
