//! Why something can't be used as a key, a certificate or a secret, and the command that mends it.

use std::fmt;

use super::Content;

/// What a place asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// A private key that signs tokens.
    SigningKey,
    /// A private key that tokens are decrypted with.
    DecryptionKey,
    /// The private key of a TLS certificate.
    TlsKey,
    /// A public key, or a certificate that holds one.
    PublicKey,
    Certificate,
    Jwk,
    Secret,
}

/// What stands where something else is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unusable {
    pub wanted: Wanted,
    pub found: Content,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told("FILE"))
    }
}

impl std::error::Error for Unusable {}

/// As it is said of a key that should sign.
impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Unusable { wanted: Wanted::SigningKey, found: *self }.fmt(f)
    }
}

impl std::error::Error for Content {}

impl Wanted {
    fn is_private(self) -> bool {
        matches!(self, Self::SigningKey | Self::DecryptionKey | Self::TlsKey)
    }

    /// What is to be given.
    fn name(self) -> &'static str {
        match self {
            Self::SigningKey | Self::DecryptionKey => "the private key in PEM",
            Self::TlsKey => "the private key of the certificate in PEM",
            Self::PublicKey => "the public key in PEM, or a certificate of it",
            Self::Certificate => "the certificate in PEM (BEGIN CERTIFICATE)",
            Self::Jwk => "one public key as a JSON Web Key",
            Self::Secret => "the shared secret itself",
        }
    }
}

impl Unusable {
    pub fn new(wanted: Wanted, bytes: &[u8]) -> Self {
        Self { wanted, found: Content::of(bytes) }
    }

    /// In words, with the command for this file; its name has to be a word of a shell.
    pub fn told(&self, file: &str) -> String {
        let wanted = self.wanted.name();
        let is_key = self.wanted.is_private();
        match self.found {
            Content::Empty if is_key => "the private key is empty: is the file or the variable the right one?".to_owned(),
            Content::Empty => format!("it is empty: give {wanted}"),
            Content::Fingerprint => format!(
                "this is the fingerprint of a key, which tells keys apart and neither signs nor verifies: give {wanted}, which \
                 was made or downloaded with the key"
            ),
            Content::Certificate if is_key => {
                "this is a certificate, which holds a public key: give the private key that belongs to it".to_owned()
            }
            Content::PublicKey | Content::SshPublicKey | Content::PssPublicKey if is_key => {
                "this is the public half of a key, which verifies and does not sign: give the private half (BEGIN PRIVATE KEY \
                 or BEGIN RSA PRIVATE KEY)"
                    .to_owned()
            }
            found if self.wanted == Wanted::Secret => secret(found),
            // These may be either half.
            found @ (Content::ShortRsa(_) | Content::OtherKind(_)) if self.wanted == Wanted::PublicKey => {
                self.convertible(found, file).unwrap_or_default()
            }
            found if found.is_private() && !is_key => self.private(found, file),
            found => self.convertible(found, file).unwrap_or_else(|| self.other(found)),
        }
    }

    /// Where a private key has no business.
    fn private(&self, found: Content, file: &str) -> String {
        let what = if found == Content::Encrypted { "an encrypted private key" } else { "a private key" };
        match self.wanted {
            Wanted::Certificate => format!("this is {what}, and no certificate: give {}", self.wanted.name()),
            _ => format!(
                "this is {what}; give its public half (openssl pkey -in {file} -pubout -out public.pem) and keep it where it signs"
            ),
        }
    }

    /// What a command makes usable.
    fn convertible(&self, found: Content, file: &str) -> Option<String> {
        let wants_key = self.wanted.is_private();
        Some(match found {
            Content::Utf16 => format!("this is text in UTF-16; convert it: iconv -f UTF-16 -t UTF-8 {file} > key.pem"),
            Content::DerPrivateKey => {
                let half = if wants_key { "" } else { " -pubout" };
                format!(
                    "this is a key in DER; convert it to PEM: openssl pkey -inform DER -in {file}{half} -out key.pem"
                )
            }
            Content::DerPublicKey => {
                format!(
                    "this is a public key in DER; convert it to PEM: openssl pkey -pubin -inform DER -in {file} -out public.pem"
                )
            }
            Content::DerCertificate => {
                format!(
                    "this is a certificate in DER; convert it to PEM: openssl x509 -inform DER -in {file} -out cert.pem"
                )
            }
            Content::Pkcs12 => {
                let part = if wants_key { "-nocerts -nodes -out key.pem" } else { "-nokeys -out cert.pem" };
                format!("this is a PKCS #12 archive; take the part out of it: openssl pkcs12 -in {file} {part}")
            }
            Content::Sec1 => {
                format!("an EC key in SEC 1 form; convert it: openssl pkcs8 -topk8 -nocrypt -in {file} -out key.pem")
            }
            Content::Sec1BehindParameters => format!(
                "EC PARAMETERS stand before an EC key in SEC 1 form; convert it: openssl pkcs8 -topk8 -nocrypt -in {file} -out \
                 key.pem"
            ),
            Content::OpenSsh => {
                format!("a key in the form of OpenSSH; convert it: ssh-keygen -p -m PKCS8 -f {file}, on a copy")
            }
            Content::SshPublicKey => {
                format!(
                    "this is a public key in the form of OpenSSH; convert it: ssh-keygen -e -m PKCS8 -f {file} > public.pem"
                )
            }
            Content::Encrypted => format!(
                "the private key is encrypted with a password: decrypt it first, with openssl pkey -in {file} -out key.pem"
            ),
            Content::PssPrivateKey => format!(
                "an RSA key that is for RSA-PSS alone; make a plain RSA key of it: openssl rsa -in {file} -traditional | sed \
                 s/RSA-PSS/RSA/ > rsa.pem"
            ),
            Content::PssPublicKey => format!(
                "an RSA key that is for RSA-PSS alone; make a plain RSA key of it: openssl rsa -pubin -in {file} \
                 -RSAPublicKey_out | sed s/RSA-PSS/RSA/ > public.pem"
            ),
            Content::ShortRsa(bits) => format!(
                "the RSA key has {bits} bits; it needs 2048 to 8192. Make a new one: openssl genpkey -algorithm RSA -pkeyopt \
                 rsa_keygen_bits:2048 -out key.pem"
            ),
            Content::OtherKind(kind) => format!(
                "the key is neither RSA, P-256, P-384 nor Ed25519, but a {kind}. Make one of those: openssl genpkey -algorithm \
                 ED25519 -out key.pem"
            ),
            Content::JwkSet(count) => {
                let keys = if count == 1 { "1 key".to_owned() } else { format!("{count} keys") };
                format!(
                    "this is a JSON Web Key Set with {keys}, and one key is wanted: jq '.keys[0]' {file} takes the first"
                )
            }
            _ => return None,
        })
    }

    fn other(&self, found: Content) -> String {
        let wanted = self.wanted.name();
        match found {
            Content::Jwk | Content::SecretJwk | Content::PrivateJwk => format!("this is a JSON Web Key: give {wanted}"),
            Content::Token => format!("this is a token, and not the key of one: give {wanted}"),
            Content::Path if self.wanted == Wanted::SigningKey => {
                "this is the name of a file, and not the key in it: give the name by --key-file".to_owned()
            }
            Content::Path => "this is the name of a file, and not what is in it: give the file".to_owned(),
            Content::Bare => {
                "the key has lost its first and last line: put -----BEGIN PRIVATE KEY----- and -----END PRIVATE KEY----- around \
                 it, with RSA or PUBLIC instead where it was downloaded so"
                    .to_owned()
            }
            Content::Binary => format!("this is neither PEM nor any other text: give {wanted}"),
            Content::Text if self.wanted == Wanted::SigningKey => {
                "this is no private key in PEM but another text, perhaps a client secret: a private key begins with \
                 -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----; a shared secret signs with HS256 alone"
                    .to_owned()
            }
            Content::Text => format!("this is a text that is not PEM: give {wanted}"),
            Content::Request => {
                "this is a request for a certificate; give the certificate that was made of it".to_owned()
            }
            Content::Crl => format!("this is a list of revoked certificates: give {wanted}"),
            Content::Parameters => format!("these are EC parameters without a key: give {wanted}"),
            Content::Pgp => format!("this is a block of PGP: give {wanted}"),
            Content::Certificate => format!("this is a certificate: give {wanted}"),
            Content::PublicKey => format!("this is a public key: give {wanted}"),
            Content::Truncated => {
                "it is cut off before its end: a value without quotes in a .env file keeps its first line alone, and some \
                 settings keep a limited length"
                    .to_owned()
            }
            Content::Damaged => "it is damaged: copy it again from where it was made".to_owned(),
            _ => format!("this holds something else: give {wanted}"),
        }
    }
}

/// Where a shared secret is wanted. A public key in its place would be known to everybody.
fn secret(found: Content) -> String {
    match found {
        Content::Certificate | Content::Request => "this is a certificate and no shared secret: give it as public_key".to_owned(),
        Content::PublicKey | Content::PssPublicKey | Content::SshPublicKey => {
            "this is a public key, which is no secret: give it as public_key".to_owned()
        }
        Content::Jwk | Content::JwkSet(_) | Content::PrivateJwk | Content::SecretJwk => {
            "this is a JSON Web Key and no shared secret: give a public key as jwk; a secret is a text, and never base64-decoded"
                .to_owned()
        }
        found if found.is_private() => {
            "this is a private key and no shared secret: give its public half as public_key, and keep it where it signs".to_owned()
        }
        Content::Utf16 => "this is text in UTF-16; convert it: iconv -f UTF-16 -t UTF-8".to_owned(),
        _ => "this is no text that could be a shared secret: openssl rand -base64 32 makes one".to_owned(),
    }
}
