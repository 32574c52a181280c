//! What the gateway answers itself.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! endpoints {
    ($($variant:ident $name:literal $what:literal)*) => {
        /// An endpoint of the gateway's own, as a route names it.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        pub enum Endpoint {
            $(#[doc = $what] #[serde(rename = $name)] $variant,)*
        }

        impl Endpoint {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

endpoints! {
    KhorosToken "khoros.token" "Issues an app's token, tells of it, resets it: for service accounts."
    KhorosRenewal "khoros.renewal" "Refreshes an app's token, or gives up all of them: for whoever holds one."
    IcrApp "icr.app" "The app whose token it is."
    IcrInstallations "icr.installations" "The app's installations."
    IcrInstallation "icr.installation" "One installation of the app, by its id or its account."
    IcrAccessTokens "icr.access_tokens" "Issues a token for an installation."
    IcrRepositories "icr.repositories" "What an installation's token reaches."
    IcrRevocation "icr.revocation" "Takes an installation's token back."
    OauthToken "oauth.token" "The token endpoint (RFC 6749 section 3.2)."
    OauthIntrospection "oauth.introspection" "Token introspection (RFC 7662)."
    OauthRevocation "oauth.revocation" "Token revocation (RFC 7009)."
    OauthKeys "oauth.keys" "Our public keys (RFC 7517)."
    OauthMetadata "oauth.metadata" "What there is of this (RFC 8414)."
}

impl Endpoint {
    /// Whether it has to know as whom access tokens are issued.
    pub const fn is_of_oauth(self) -> bool {
        matches!(
            self,
            Self::OauthToken | Self::OauthIntrospection | Self::OauthRevocation | Self::OauthKeys | Self::OauthMetadata
        )
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
