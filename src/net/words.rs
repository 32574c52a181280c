//! What rustls says, in words: its own texts name its types.

use rustls::{CertificateError, Error, InconsistentKeys};

/// Why TLS did not come about.
pub(super) fn of_tls(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "the key does not belong to the certificate".to_owned()
        }
        Error::InconsistentKeys(_) => "whether the key belongs to the certificate can't be told".to_owned(),
        Error::NoCertificatesPresented => "the other end sent no certificate".to_owned(),
        Error::AlertReceived(alert) => {
            format!("the other end refused the handshake: {}", spaced(&format!("{alert:?}")))
        }
        Error::InvalidMessage(_) => {
            "the other end does not speak TLS, or broke it: is the address or the port another one's?".to_owned()
        }
        Error::PeerIncompatible(why) => {
            format!("the other end has no TLS in common with us: {}", spaced(&format!("{why:?}")))
        }
        Error::PeerMisbehaved(why) => format!("the other end broke the rules of TLS: {}", spaced(&format!("{why:?}"))),
        Error::NoApplicationProtocol => "the other end has no protocol of HTTP in common with us".to_owned(),
        Error::HandshakeNotComplete => "the handshake was not finished".to_owned(),
        Error::DecryptError => "what the other end sent can't be decrypted".to_owned(),
        Error::General(text) => text.clone(),
        other => spaced(&other.to_string()),
    }
}

fn of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet: is a clock wrong?".to_owned()
        }
        CertificateError::Revoked => "the certificate is revoked".to_owned(),
        CertificateError::UnknownIssuer => {
            "the certificate was issued by an authority that is not trusted: name the authority's certificate as ca, and have the \
             server send its intermediate certificates"
                .to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for other names than the one that was called: call it by one of its names, or give that as \
             tls = { name = \"…\" }"
                .to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate is not for this purpose: its extended key usage lacks server or client authentication".to_owned()
        }
        CertificateError::BadSignature => "the certificate has a wrong signature".to_owned(),
        CertificateError::BadEncoding => "the certificate is damaged, or of a form that is not taken".to_owned(),
        CertificateError::Other(other) => match other.to_string().as_str() {
            text if text.contains("CaUsedAsEndEntity") => {
                "the certificate is an authority's own (CA:TRUE), and not a server's; make one that is: openssl req -x509 … -addext \
                 basicConstraints=critical,CA:FALSE"
                    .to_owned()
            }
            text => spaced(text),
        },
        other => spaced(&other.to_string()),
    }
}

/// A name of a type as words: `HandshakeFailure` is "handshake failure". What is in brackets behind it is left out.
fn spaced(name: &str) -> String {
    let mut text = String::new();
    for word in name.split_whitespace() {
        let word = word.split(['(', '{']).next().unwrap_or_default();
        let is_name = word.chars().skip(1).any(char::is_uppercase) && word.chars().any(char::is_lowercase);
        if !text.is_empty() && !word.is_empty() {
            text.push(' ');
        }
        for (i, c) in word.chars().enumerate() {
            if is_name && c.is_uppercase() && i > 0 {
                text.push(' ');
            }
            if is_name { text.extend(c.to_lowercase()) } else { text.push(c) }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{AlertDescription, OtherError};

    use super::*;

    #[test]
    fn no_error_of_tls_shows_a_name_of_a_type() {
        let other = CertificateError::Other(OtherError(Arc::new(std::io::Error::other("CaUsedAsEndEntity"))));
        for (error, words) in [
            (Error::InconsistentKeys(InconsistentKeys::KeyMismatch), "does not belong to the certificate"),
            (Error::InvalidCertificate(CertificateError::UnknownIssuer), "not trusted"),
            (Error::InvalidCertificate(CertificateError::Expired), "has expired"),
            (Error::InvalidCertificate(other), "CA:FALSE"),
            (Error::AlertReceived(AlertDescription::HandshakeFailure), "refused the handshake: handshake failure"),
            (Error::AlertReceived(AlertDescription::UnknownCA), "unknown"),
            (Error::InvalidCertificate(CertificateError::UnhandledCriticalExtension), "unhandled critical extension"),
        ] {
            let text = of_tls(&error);
            assert!(text.contains(words), "{text}");
            assert!(!text.contains("KeyMismatch") && !text.contains("CaUsed") && !text.contains("Other("), "{text}");
        }
    }
}
