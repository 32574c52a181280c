//! X.509 certificates (RFC 5280) as a form in which an app hands over its public key.
//!
//! No chain is built and no signature on a certificate verified: whoever puts one into the registry vouches for it. What
//! counts is the key in it, the time that it is good for, and the name by which a token may refer to it.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::time::Time;

use super::KeyError;
use crate::clock::Timestamp;

/// More than any certificate of a key that is taken here needs.
const MAX_BYTES: usize = 64 << 10;

/// How long before its end a certificate is warned of.
pub const ENDS_SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// A certificate, without the key that it is for.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    digest: [u8; 32],
    thumbprint: Box<str>,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// What a certificate says of its key at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    Good,
    /// Its time begins then.
    NotYet(Timestamp),
    /// Its time ended then.
    Over(Timestamp),
}

impl Certificate {
    /// The certificate and the SubjectPublicKeyInfo in it.
    ///
    /// # Errors
    /// When the bytes are no certificate in DER.
    pub fn read(der: Vec<u8>) -> Result<(Self, Vec<u8>), KeyError> {
        if der.len() > MAX_BYTES {
            return Err(KeyError::Certificate(format!("it has {} bytes, and may have {MAX_BYTES}", der.len())));
        }
        let broken = |error: x509_cert::der::Error| KeyError::Certificate(error.to_string());
        let read = x509_cert::Certificate::from_der(&der).map_err(broken)?;
        let tbs = read.tbs_certificate();
        let (not_before, not_after) = (timestamp(tbs.validity().not_before), timestamp(tbs.validity().not_after));
        if not_after < not_before {
            return Err(KeyError::Certificate(format!("it ends at {not_after}, before it begins at {not_before}")));
        }
        let spki = tbs.subject_public_key_info().to_der().map_err(broken)?;
        let mut digest = [0; 32];
        digest.copy_from_slice(digest::digest(&digest::SHA256, &der).as_ref());
        let thumbprint = URL_SAFE_NO_PAD.encode(digest).into();
        Ok((Self { der, digest, thumbprint, not_before, not_after }, spki))
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// As `x5t#S256` names it (RFC 7515 section 4.1.8).
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Its SHA-256 as `openssl x509 -fingerprint -sha256` prints it.
    pub fn fingerprint(&self) -> String {
        self.digest.map(|byte| format!("{byte:02X}")).join(":")
    }

    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The last second that it is good for.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    pub fn validity(&self, now: Timestamp) -> Validity {
        // RFC 5280 section 4.1.2.5: from one through the other, and both are whole seconds.
        if now < self.not_before {
            Validity::NotYet(self.not_before)
        } else if now >= self.not_after.after(Duration::from_secs(1)) {
            Validity::Over(self.not_after)
        } else {
            Validity::Good
        }
    }
}

fn timestamp(time: Time) -> Timestamp {
    Timestamp::from_secs(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {} to {})", self.thumbprint, self.not_before, self.not_after)
    }
}
