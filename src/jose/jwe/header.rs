//! The header of an encrypted token (RFC 7516 section 4): what decides, typed; the rest ignored.

use super::algorithm::names;
use super::{ContentEncryption, KeyManagement};
use crate::jose::compact::decode;
use crate::jose::header::text;
use crate::jose::{Part, TokenError, read_object};
use crate::model::Claims;

const COORDINATE: usize = 32;

/// The parameters that decide. `jwk`, `jku`, `x5u` and `x5c` are never looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedHeader {
    pub algorithm: KeyManagement,
    pub encryption: ContentEncryption,
    pub key_id: Option<Box<str>>,
    pub token_type: Option<Box<str>>,
    pub content_type: Option<Box<str>>,
    /// Of ECDH-ES.
    pub(super) agreement: Option<Agreement>,
}

/// What the caller brings to an agreement of a key (RFC 7518 section 4.6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agreement {
    /// A point on P-256, uncompressed; that it lies on the curve is not checked yet.
    pub point: [u8; 1 + 2 * COORDINATE],
    pub party_u: Vec<u8>,
    pub party_v: Vec<u8>,
}

impl EncryptedHeader {
    /// # Errors
    /// When a parameter has the wrong type, an algorithm is none of those taken, or `crit`, `b64` or `zip` is there at all.
    pub(super) fn read(bytes: Vec<u8>) -> Result<Self, TokenError> {
        let members = read_object(Part::Header, bytes)?;
        for critical in ["crit", "b64", "zip"] {
            if members.get(critical).is_some() {
                return Err(TokenError::Critical(critical));
            }
        }
        let algorithm = closed(&members, "alg", KeyManagement::named, || names(KeyManagement::ALL))?;
        let encryption = closed(&members, "enc", ContentEncryption::named, || names(ContentEncryption::ALL))?;
        let agreement = match algorithm {
            KeyManagement::RsaOaep | KeyManagement::RsaOaep256 => None,
            KeyManagement::EcdhEs | KeyManagement::EcdhEsA256Kw => Some(Agreement::read(&members)?),
        };
        Ok(Self {
            algorithm,
            encryption,
            key_id: text(&members, "kid")?,
            token_type: text(&members, "typ")?,
            content_type: text(&members, "cty")?,
            agreement,
        })
    }
}

/// A parameter whose value is one of a list.
fn closed<T>(
    members: &Claims,
    name: &'static str,
    named: impl Fn(&str) -> Option<T>,
    taken: impl Fn() -> String,
) -> Result<T, TokenError> {
    let text = text(members, name)?.ok_or(TokenError::Parameter(name))?;
    let unsupported = || TokenError::Unsupported { name, found: text.chars().take(40).collect(), taken: taken() };
    named(&text).ok_or_else(unsupported)
}

impl Agreement {
    fn read(members: &Claims) -> Result<Self, TokenError> {
        let epk = members.get("epk").ok_or(TokenError::Parameter("epk"))?;
        let epk = read_object(Part::EphemeralKey, epk.as_bytes().to_vec())?;
        if epk.string("kty").as_deref() != Some("EC") || epk.string("crv").as_deref() != Some("P-256") {
            return Err(TokenError::Parameter("epk"));
        }
        let mut point = [0; 1 + 2 * COORDINATE];
        point[0] = 4; // uncompressed (SEC 1 section 2.3.3)
        for (name, place) in [("x", 1), ("y", 1 + COORDINATE)] {
            let bytes = decode(Part::EphemeralKey, epk.string(name).unwrap_or_default().as_bytes())?;
            // Short coordinates keep their leading zeros (RFC 7518 section 6.2.1.2).
            if bytes.len() != COORDINATE {
                return Err(TokenError::Length(Part::EphemeralKey));
            }
            point[place..place + COORDINATE].copy_from_slice(&bytes);
        }
        Ok(Self { point, party_u: party(members, "apu")?, party_v: party(members, "apv")? })
    }
}

fn party(members: &Claims, name: &'static str) -> Result<Vec<u8>, TokenError> {
    match text(members, name)? {
        None => Ok(Vec::new()),
        Some(text) => decode(Part::Header, text.as_bytes()).map_err(|_| TokenError::Parameter(name)),
    }
}
