//! What stands where a key, a certificate or a secret should. One classification for every place that reads one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Reader as _, SliceReader, Tag, Tagged as _};
use x509_cert::spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Told by its form alone. None of these holds any of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    Empty,
    Fingerprint,
    PublicKey,
    /// In the form of OpenSSH.
    SshPublicKey,
    PssPublicKey,
    Certificate,
    Request,
    /// A certificate revocation list.
    Crl,
    Jwk,
    PrivateJwk,
    SecretJwk,
    /// With so many keys.
    JwkSet(usize),
    Token,
    Path,
    /// The base64 of a key without its first and last line.
    Bare,
    Utf16,
    DerPrivateKey,
    DerPublicKey,
    DerCertificate,
    Pkcs12,
    /// Binary, or in an encoding that is not UTF-8.
    Binary,
    /// A client secret, most likely.
    Text,
    OtherBlock,
    /// PKCS #8, or PKCS #1 of an RSA key.
    PrivateKey,
    Sec1,
    /// A SEC 1 key behind a block `EC PARAMETERS`.
    Sec1BehindParameters,
    /// Without a key.
    Parameters,
    PssPrivateKey,
    /// An RSA key of fewer than 2048 bits.
    ShortRsa(usize),
    /// A key of a kind that is not used here, such as `secp256k1`.
    OtherKind(&'static str),
    OpenSsh,
    Pgp,
    Encrypted,
    /// It has no end.
    Truncated,
    /// It has an end, and is no key all the same.
    Damaged,
}

/// UTF-8 may begin with a mark that editors of Windows write; it is no part of a PEM.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

impl Content {
    pub fn of(bytes: &[u8]) -> Self {
        let bytes = without_mark(bytes);
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || bytes.starts_with(b"-\0-\0") {
            return Self::Utf16;
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::of_text(text),
            Err(_) => Self::of_der(bytes),
        }
    }

    fn of_text(text: &str) -> Self {
        let blocks = Blocks(text).collect::<Vec<_>>();
        let kinds: Vec<_> = blocks.iter().map(|(label, body)| Self::of_block(label, *body)).collect();
        let has_parameters = kinds.contains(&Self::Parameters);
        // A private key is named first, wherever it stands.
        let worst = kinds
            .iter()
            .find(|kind| kind.is_private())
            .or_else(|| kinds.iter().find(|kind| **kind != Self::Parameters));
        match worst.or(kinds.first()) {
            Some(Self::Sec1) if has_parameters => Self::Sec1BehindParameters,
            Some(kind) => *kind,
            None => Self::without_block(text),
        }
    }

    /// By the label of a PEM block (RFC 7468 section 4), and by what is in it.
    pub(super) fn of_block(label: &str, body: Option<&str>) -> Self {
        let kind = Self::of_label(label);
        if matches!(kind, Self::PrivateKey) && body.is_some_and(|body| body.contains("ENCRYPTED")) {
            return Self::Encrypted;
        }
        let Some(body) = body else { return if kind == Self::OtherBlock { kind } else { Self::Truncated } };
        let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
        let Ok(der) = STANDARD.decode(body.as_bytes()).map(Zeroizing::new) else { return kind };
        let is_private = kind == Self::PrivateKey;
        match (kind, label) {
            (Self::PrivateKey, "RSA PRIVATE KEY") => rsa_bits(&der, true).map_or(kind, |bits| long_enough(bits, kind)),
            (Self::PrivateKey | Self::PublicKey, "PRIVATE KEY" | "PUBLIC KEY") => {
                kind_of(&der, is_private).unwrap_or(kind)
            }
            _ => kind,
        }
    }

    pub(super) fn of_label(label: &str) -> Self {
        match label {
            "PRIVATE KEY" | "RSA PRIVATE KEY" => Self::PrivateKey,
            "EC PRIVATE KEY" => Self::Sec1,
            "EC PARAMETERS" => Self::Parameters,
            "RSA-PSS PRIVATE KEY" => Self::PssPrivateKey,
            "RSA-PSS PUBLIC KEY" => Self::PssPublicKey,
            "DSA PRIVATE KEY" => Self::OtherKind("DSA"),
            "ENCRYPTED PRIVATE KEY" => Self::Encrypted,
            "OPENSSH PRIVATE KEY" => Self::OpenSsh,
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Self::PublicKey,
            "SSH2 PUBLIC KEY" => Self::SshPublicKey,
            "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" => Self::Certificate,
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Self::Request,
            "X509 CRL" => Self::Crl,
            label if label.starts_with("PGP ") => Self::Pgp,
            _ => Self::OtherBlock,
        }
    }

    /// Whether some of it signs or decrypts.
    pub fn is_private(self) -> bool {
        matches!(
            self,
            Self::PrivateKey
                | Self::Sec1
                | Self::Sec1BehindParameters
                | Self::PssPrivateKey
                | Self::ShortRsa(_)
                | Self::OtherKind(_)
                | Self::OpenSsh
                | Self::Encrypted
        )
    }

    pub(super) fn without_block(text: &str) -> Self {
        let text = text.trim();
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c) || c.is_whitespace();
        let is_hex_pairs = text.len() > 40 && text.split(':').all(|pair| pair.len() == 2 && !pair.contains(' '));
        if text.is_empty() {
            Self::Empty
        } else if text.starts_with("SHA256:") || text.starts_with("MD5:") || is_hex_pairs {
            Self::Fingerprint
        } else if text.starts_with("ssh-") || text.starts_with("ecdsa-sha2-") {
            Self::SshPublicKey
        } else if text.starts_with(['{', '[']) {
            Self::of_json(text)
        } else if text.starts_with("eyJ") && text.contains('.') {
            Self::Token
        } else if text.contains("-----END ") || text.contains("-----BEGIN ") {
            Self::Truncated
        } else if text.starts_with("MI") && text.len() > 200 && text.chars().all(is_base64) {
            Self::Bare
        } else if text.lines().count() == 1 && [".pem", ".key", ".p8", ".crt"].iter().any(|end| text.ends_with(end)) {
            Self::Path
        } else {
            Self::Text
        }
    }

    fn of_json(text: &str) -> Self {
        let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else { return Self::Jwk };
        match value
            .get("keys")
            .and_then(serde_json::Value::as_array)
            .or(value.as_array().filter(|list| !list.is_empty()))
        {
            Some(keys) => Self::JwkSet(keys.len()),
            None if value.get("d").is_some() => Self::PrivateJwk,
            None if value.get("kty").is_some_and(|kty| kty == "oct") => Self::SecretJwk,
            None => Self::Jwk,
        }
    }

    fn of_der(bytes: &[u8]) -> Self {
        if x509_cert::Certificate::from_der(bytes).is_ok() {
            return Self::DerCertificate;
        }
        let is_pkcs12 = |der: &[u8]| {
            let inner = SliceReader::new(der).ok()?.decode::<AnyRef<'_>>().ok()?;
            inner.value().starts_with(&[2, 1, 3]).then_some(())
        };
        match bytes {
            [0x30, ..] if is_pkcs12(bytes).is_some() => Self::Pkcs12,
            [0x30, ..] if kind_of(bytes, true).is_some() || rsa_bits(bytes, true).is_some() => Self::DerPrivateKey,
            [0x30, ..] if kind_of(bytes, false).is_some() => Self::DerPublicKey,
            [0x30, ..] => Self::DerPrivateKey,
            _ => Self::Binary,
        }
    }
}

/// The blocks of a PEM: label, and body where it has an end.
struct Blocks<'t>(&'t str);

impl<'t> Iterator for Blocks<'t> {
    type Item = (&'t str, Option<&'t str>);

    fn next(&mut self) -> Option<Self::Item> {
        let (_, after) = self.0.split_once("-----BEGIN ")?;
        let (label, after) = after.split_once("-----")?;
        self.0 = after;
        let end = after.find("-----END ");
        Some((label, end.map(|end| &after[..end])))
    }
}

/// The kind of a key in PKCS #8 (RFC 5208 section 5) or SubjectPublicKeyInfo (RFC 5280 section 4.1), in DER: the key itself
/// where it is of a kind that is used here.
pub(super) fn kind_of(der: &[u8], is_private: bool) -> Option<Content> {
    let mut reader = SliceReader::new(der).ok()?;
    let read = reader.sequence(|reader| -> x509_cert::der::Result<_> {
        if is_private {
            reader.decode::<UintRef<'_>>()?;
        }
        let algorithm = AlgorithmIdentifierRef::decode(reader)?;
        let key: AnyRef<'_> = reader.decode()?;
        while !reader.is_finished() {
            reader.decode::<AnyRef<'_>>()?;
        }
        Ok((algorithm, key))
    });
    let (algorithm, key) = read.ok()?;
    let usable = if is_private { Content::PrivateKey } else { Content::PublicKey };
    let curve = algorithm.parameters.and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
    Some(match algorithm.oid.to_string().as_str() {
        "1.2.840.113549.1.1.1" => {
            // The bits of a public key are behind the number of those that are left out.
            let key = if key.tag() == Tag::BitString { key.value().get(1..)? } else { key.value() };
            rsa_bits(key, is_private).map_or(usable, |bits| long_enough(bits, usable))
        }
        "1.2.840.113549.1.1.10" if is_private => Content::PssPrivateKey,
        "1.2.840.113549.1.1.10" => Content::PssPublicKey,
        "1.2.840.10045.2.1" => match curve?.to_string().as_str() {
            "1.2.840.10045.3.1.7" | "1.3.132.0.34" => usable,
            "1.3.132.0.35" => Content::OtherKind("EC key on P-521"),
            "1.3.132.0.10" => Content::OtherKind("EC key on secp256k1"),
            _ => Content::OtherKind("EC key on another curve"),
        },
        "1.3.101.112" => usable,
        "1.3.101.113" => Content::OtherKind("key of Ed448"),
        "1.3.101.110" => Content::OtherKind("key of X25519"),
        "1.3.101.111" => Content::OtherKind("key of X448"),
        "1.2.840.10040.4.1" => Content::OtherKind("DSA key"),
        _ => Content::OtherKind("key of an unknown kind"),
    })
}

fn long_enough(bits: usize, usable: Content) -> Content {
    if bits < 2048 { Content::ShortRsa(bits) } else { usable }
}

/// The bits of the modulus of an RSA key in PKCS #1 (RFC 8017 appendix A.1).
fn rsa_bits(der: &[u8], is_private: bool) -> Option<usize> {
    let mut reader = SliceReader::new(der).ok()?;
    let read = reader.sequence(|reader| -> x509_cert::der::Result<_> {
        if is_private {
            reader.decode::<UintRef<'_>>()?;
        }
        let modulus: UintRef<'_> = reader.decode()?;
        while !reader.is_finished() {
            reader.decode::<AnyRef<'_>>()?;
        }
        Ok(modulus.as_bytes().len() * 8 - modulus.as_bytes().first().map_or(0, |byte| byte.leading_zeros() as usize))
    });
    read.ok()
}

/// What is in a secret that should be something else; it is not shown.
impl From<&Secret> for Content {
    fn from(secret: &Secret) -> Self {
        Self::of(secret.expose())
    }
}
