//! The certificate of a client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use rustls::pki_types::CertificateDer;

use super::names::alternative_names;
use crate::model::AlternativeName;

/// A client's certificate that its connection's handshake verified.
#[derive(Debug)]
pub struct ClientCertificate {
    names: Vec<AlternativeName>,
    field: HeaderValue,
}

impl ClientCertificate {
    pub(super) fn new(certificate: &CertificateDer<'_>) -> Self {
        let field = format!(":{}:", STANDARD.encode(certificate));
        // Base64 and colons are always a header's value.
        let field = HeaderValue::from_str(&field).unwrap_or(HeaderValue::from_static("::"));
        Self { names: alternative_names(certificate), field }
    }

    /// Its alternative names that are host names, URIs or mail addresses.
    pub fn names(&self) -> &[AlternativeName] {
        &self.names
    }

    /// As a `Client-Cert` field has it (RFC 9440 section 2.2).
    pub fn field(&self) -> &HeaderValue {
        &self.field
    }
}
