//! Identifiers: a type each, so that no two can be swapped.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is no identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidId {
    Empty,
    TooLong,
    NotPrintable,
    /// A space, a quote or a backslash in what stands in lists and in quotes.
    NotWord,
    /// A colon in what HTTP Basic ends at its first colon.
    Colon,
    /// Anything but lower-case words with underscores between them.
    NotPermission,
    /// A number that is not positive, or that not every reader of JSON takes.
    OutOfRange,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an identifier may not be empty"),
            Self::TooLong => write!(f, "an identifier has at most {MAX_LEN} bytes"),
            Self::NotWord => f.write_str("no space, quote or backslash may be in it"),
            Self::Colon => f.write_str("no colon may be in it: HTTP Basic ends a name at its first colon"),
            Self::NotPermission => {
                f.write_str("a permission is named by lower-case words with underscores between them")
            }
            Self::OutOfRange => write!(f, "the number has to be from 1 to {MAX_NUMBER}"),
            Self::NotPrintable => f.write_str("an identifier is printable ASCII text without spaces at its ends"),
        }
    }
}

impl std::error::Error for InvalidId {}

const MAX_LEN: usize = 256;
/// The greatest integer that every reader of JSON takes exactly (RFC 8259 section 6).
const MAX_NUMBER: i64 = (1 << 53) - 1;

fn check(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        Err(InvalidId::Empty)
    } else if text.len() > MAX_LEN {
        Err(InvalidId::TooLong)
    } else if text.trim() != text || !text.bytes().all(|b| matches!(b, 0x20..=0x7e)) {
        Err(InvalidId::NotPrintable)
    } else {
        Ok(())
    }
}

/// A `jti` is any text that its issuer chose.
fn check_length(text: &str) -> Result<(), InvalidId> {
    match text.len() {
        0 => Err(InvalidId::Empty),
        1..=MAX_LEN => Ok(()),
        _ => Err(InvalidId::TooLong),
    }
}

/// For what stands in a list that is joined by spaces (RFC 6749 section 3.3), or in quotes (RFC 9651 section 3.3.3).
fn check_word(text: &str) -> Result<(), InvalidId> {
    check(text)?;
    if text.contains([' ', '"', '\\']) { Err(InvalidId::NotWord) } else { Ok(()) }
}

/// A user-id of RFC 7617 section 2.
fn check_user(text: &str) -> Result<(), InvalidId> {
    check(text)?;
    if text.contains(':') { Err(InvalidId::Colon) } else { Ok(()) }
}

fn check_permission(text: &str) -> Result<(), InvalidId> {
    check(text)?;
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if text.split('_').all(is_word) { Ok(()) } else { Err(InvalidId::NotPermission) }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $check:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Printable ASCII, 1 to 256 bytes, where the type does not say otherwise.
            ///
            /// # Errors
            /// When the text is anything else.
            pub fn new(text: &str) -> Result<Self, InvalidId> {
                $check(text).map(|()| Self(text.into()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(&text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    )*};
}

ids! {
    /// A tenant: owns bots and apps.
    AccountId check
    /// A bot, as it stands in a path.
    BotId check
    /// An app's public name (RFC 6749 section 2.2), as it stands in a token.
    ClientId check
    /// A key's name (`kid`, RFC 7515 section 4.1.4).
    KeyId check
    /// A scope token (RFC 6749 section 3.3).
    ScopeId check_word
    /// A token's name (`jti`, RFC 7519 section 4.1.7): any text of 1 to 256 bytes.
    TokenId check_length
    /// A service account, as it signs in with HTTP Basic: without colon.
    ServiceName check_user
    /// What a service account may do.
    RoleName check_word
    /// What an installation may do, such as `pull_requests`.
    PermissionName check_permission
    /// A configured route.
    RouteId check
    /// A configured authenticator.
    AuthenticatorName check
    /// A configured upstream.
    UpstreamName check
    /// A configured quota, as it stands in header fields.
    QuotaName check_word
}

impl ClientId {
    /// `cs-` and a UUID of version 4 (RFC 9562 section 5.4), made of random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid("cs", bytes).into())
    }
}

impl KeyId {
    /// `k-` and a UUID of version 4, made of random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid("k", bytes).into())
    }
}

fn uuid(prefix: &str, mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = prefix.to_owned();
    for (i, byte) in bytes.iter().enumerate() {
        let dash = if matches!(i, 0 | 4 | 6 | 8 | 10) { "-" } else { "" };
        text.push_str(&format!("{dash}{byte:02x}"));
    }
    text
}

/// An app's number in the registry, never used again for another app.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppNumber(pub i64);

/// An installation's number: that of one app on one account.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct InstallationId(i64);

impl InstallationId {
    /// # Errors
    /// When the number is not from 1 to 2^53 - 1.
    pub fn new(number: i64) -> Result<Self, InvalidId> {
        if (1..=MAX_NUMBER).contains(&number) { Ok(Self(number)) } else { Err(InvalidId::OutOfRange) }
    }

    pub const fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for InstallationId {
    type Error = InvalidId;
    fn try_from(number: i64) -> Result<Self, InvalidId> {
        Self::new(number)
    }
}

impl From<InstallationId> for i64 {
    fn from(id: InstallationId) -> Self {
        id.0
    }
}

impl std::str::FromStr for InstallationId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::new(text.parse().map_err(|_| InvalidId::OutOfRange)?)
    }
}

impl fmt::Display for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn identifiers_are_printable_ascii_of_bounded_length() {
        assert!(ClientId::new("cs-2f8a3f7a-6c1e-5e0a-9b46-3b1d4f2c7a90").is_ok());
        assert!(ClientId::new("my app").is_ok());
        assert_eq!(ClientId::new(""), Err(InvalidId::Empty));
        assert_eq!(ClientId::new(&"x".repeat(257)), Err(InvalidId::TooLong));
        for bad in ["a\n", " a", "a ", "ä", "a\0b"] {
            assert_eq!(ClientId::new(bad), Err(InvalidId::NotPrintable), "{bad:?}");
        }
    }

    #[test]
    fn a_random_client_id_is_cs_and_a_uuid_of_version_4() {
        let id = |bytes| ClientId::from_random(bytes).to_string();
        assert_eq!(id([0; 16]), "cs-00000000-0000-4000-8000-000000000000");
        assert_eq!(id([0xff; 16]), "cs-ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(id(*b"0123456789abcdef"), "cs-30313233-3435-4637-b839-616263646566");
        assert_eq!(KeyId::from_random([0; 16]).as_str(), "k-00000000-0000-4000-8000-000000000000");
    }

    #[test]
    fn a_scope_can_stand_in_a_list_and_in_quotes() {
        assert!(ScopeId::new("logs:change_logs").is_ok());
        for bad in ["a b", "a\"b", "a\\b"] {
            assert_eq!(ScopeId::new(bad), Err(InvalidId::NotWord), "{bad:?}");
        }
    }

    #[test]
    fn the_name_of_a_service_account_ends_before_a_colon() {
        assert!(ServiceName::new("bot api@acme").is_ok());
        assert_eq!(ServiceName::new("a:b"), Err(InvalidId::Colon));
        assert_eq!(ServiceName::new("a\n"), Err(InvalidId::NotPrintable));
        assert_eq!(RoleName::new("bot api"), Err(InvalidId::NotWord));
    }

    #[test]
    fn permissions_are_lower_case_words_with_underscores() {
        for good in ["contents", "pull_requests", "codespaces_v2"] {
            assert!(PermissionName::new(good).is_ok(), "{good}");
        }
        for bad in ["pull-requests", "Contents", "_a", "a_", "a__b", "a b"] {
            assert_eq!(PermissionName::new(bad), Err(InvalidId::NotPermission), "{bad}");
        }
    }

    #[test]
    fn an_installation_has_a_positive_number_that_json_carries() {
        assert_eq!("42".parse().map(InstallationId::get), Ok(42));
        for bad in ["0", "-1", "9007199254740992", "1e3", "x", ""] {
            assert_eq!(bad.parse::<InstallationId>(), Err(InvalidId::OutOfRange), "{bad}");
        }
    }

    proptest! {
        /// What is taken for a name survives the way through HTTP Basic: up to the first colon it is itself.
        #[test]
        fn a_name_with_a_password_behind_it_is_found_again(name in any::<String>(), password in any::<String>()) {
            if let Ok(name) = ServiceName::new(&name) {
                let credential = format!("{name}:{password}");
                assert_eq!(credential.split_once(':'), Some((name.as_str(), password.as_str())));
            }
        }
    }
}
