//! The JOSE header (RFC 7515 section 4): what decides, typed; the rest ignored. No key is ever taken from it.

use super::{Part, TokenError, read_object};
use crate::model::Claims;

/// RFC 7515 section 4.1.8.
pub(super) const THUMBPRINT: &str = "x5t#S256";

/// The parameters that decide. `jwk`, `jku`, `x5u`, `x5c` and the SHA-1 of `x5t` are never looked at (RFC 8725 section 3.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// As it stands in the token: it may be an algorithm that nobody knows.
    pub algorithm: Box<str>,
    pub key_id: Option<Box<str>>,
    pub token_type: Option<Box<str>>,
    /// `x5t#S256`: the certificate of the key, by its SHA-256.
    pub thumbprint: Option<Box<str>>,
}

impl Header {
    /// # Errors
    /// When a parameter has the wrong type, or `crit`, `b64`, `enc` or `zip` is there at all.
    pub(super) fn read(bytes: Vec<u8>) -> Result<Self, TokenError> {
        let members = read_object(Part::Header, bytes)?;
        for critical in ["crit", "b64", "enc", "zip"] {
            if members.get(critical).is_some() {
                return Err(TokenError::Critical(critical));
            }
        }
        Ok(Self {
            algorithm: text(&members, "alg")?.ok_or(TokenError::Parameter("alg"))?,
            key_id: text(&members, "kid")?,
            token_type: text(&members, "typ")?,
            thumbprint: text(&members, THUMBPRINT)?,
        })
    }
}

pub(super) fn text(members: &Claims, name: &'static str) -> Result<Option<Box<str>>, TokenError> {
    members.get(name).map(|raw| serde_json::from_str(raw).map_err(|_| TokenError::Parameter(name))).transpose()
}
