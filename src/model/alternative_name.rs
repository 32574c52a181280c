//! Whom a certificate names.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// A name of a kind: an authority may vouch for names of one kind with less care than for those of another, so they are
/// never compared across kinds.
#[derive(Clone, Debug)]
pub enum AlternativeName {
    Dns(String),
    Uri(String),
    Mail(String),
}

/// Of no other kind than it looks like: host names have neither a colon nor an `@`, mail addresses no colon.
impl FromStr for AlternativeName {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let kind = if text.contains(':') {
            Self::Uri
        } else if text.contains('@') {
            Self::Mail
        } else {
            Self::Dns
        };
        Ok(kind(text.to_owned()))
    }
}

/// URIs are compared exactly, host names and mail addresses without case.
impl PartialEq for AlternativeName {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Uri(one), Self::Uri(other)) => one == other,
            (Self::Dns(one), Self::Dns(other)) | (Self::Mail(one), Self::Mail(other)) => {
                one.eq_ignore_ascii_case(other)
            }
            (Self::Dns(_) | Self::Uri(_) | Self::Mail(_), _) => false,
        }
    }
}

impl Eq for AlternativeName {}

/// With its kind, as certificates are shown.
impl fmt::Display for AlternativeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "DNS:{name}"),
            Self::Uri(name) => write!(f, "URI:{name}"),
            Self::Mail(name) => write!(f, "email:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_of_the_kind_that_it_looks_like() {
        for (text, shown) in [
            ("ci.example.com", "DNS:ci.example.com"),
            ("ci@example.com", "email:ci@example.com"),
            ("spiffe://example/ci", "URI:spiffe://example/ci"),
            ("urn:uuid:1", "URI:urn:uuid:1"),
            ("https://user@example.com", "URI:https://user@example.com"),
        ] {
            let Ok(name) = text.parse::<AlternativeName>();
            assert_eq!(name.to_string(), shown);
        }
    }
}
