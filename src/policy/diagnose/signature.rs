//! What made a signature that none of the app's keys made: trial signatures with what people sign with by mistake.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, STANDARD_NO_PAD};
use base64::engine::{DecodePaddingMode, general_purpose::URL_SAFE_NO_PAD};

use crate::jose::{Compact, KeyMaterial};
use crate::model::{Algorithm, Family};
use crate::registry::App;
use crate::secret::Secret;

/// Secrets that tools, tutorials and empty variables put into tokens.
const PLACEHOLDERS: [&str; 24] = [
    "",
    "your-256-bit-secret",
    "your-384-bit-secret",
    "your-512-bit-secret",
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-384-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    "qwertyuiopasdfghjklzxcvbnm123456",
    "secret",
    "secretkey",
    "secret_key",
    "mysecret",
    "my-secret",
    "your-secret",
    "your_secret",
    "shhhhh",
    "changeme",
    "password",
    "client_secret",
    "clientSecret",
    "key",
    "null",
    "undefined",
    "None",
];

/// Keys of an app that are tried; more would let an app's keys decide how long it takes.
const KEYS: usize = 4;
/// As many trials for every token: those that there is nothing for are made with a key of nobody.
const TRIALS: usize = PLACEHOLDERS.len() + 1 + KEYS * VARIANTS;

/// Whether a secret is one that everybody knows, but for white space around it.
pub fn is_placeholder(secret: &[u8]) -> bool {
    PLACEHOLDERS.iter().any(|known| known.as_bytes() == secret.trim_ascii())
}

/// What made a signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Maker {
    Placeholder(&'static str),
    /// The app's own secret, after this was done to it.
    Own(&'static str),
    ClientId,
    /// The app's public key, as if it were a shared secret (RFC 8725 section 2.1).
    PublicKey,
}

impl Maker {
    pub fn hint(self) -> &'static str {
        match self {
            Self::Placeholder("") => {
                "Sign with the app's own secret: the variable or field that should hold it is empty."
            }
            Self::Placeholder(_) => "Put the app's own secret in the tool, where its example stands now.",
            Self::Own(_) => {
                "Use the secret as text, just as it was shown: never base64-decode it (jwt.io: do not tick \"secret base64 \
                 encoded\"), and add nothing to it."
            }
            Self::ClientId => "The client id names the app; sign with the app's secret.",
            Self::PublicKey => {
                "No caller makes this by mistake: somebody tries to pass the public key off as a shared secret. It is never \
                 taken. Sign with the private key."
            }
        }
    }
}

/// As the log's `found`.
impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Placeholder("") => f.write_str("signed with an empty secret"),
            Self::Placeholder(text) => write!(f, "signed with a tool's placeholder secret, {text:?}"),
            Self::Own(how) => write!(f, "signed with the app's secret {how}"),
            Self::ClientId => f.write_str("signed with the client id"),
            Self::PublicKey => f.write_str("signed with the app's public key as if it were a secret (key confusion)"),
        }
    }
}

/// Finds out what made the signature, if it is an HMAC. `app` is the one that the token names.
pub(super) fn maker(compact: &Compact<'_>, app: Option<&App>) -> Option<Maker> {
    let algorithm: Algorithm = compact.header.algorithm.parse().ok()?;
    if algorithm.family() != Family::Hmac {
        return None;
    }
    let mut candidates = PLACEHOLDERS.map(|text| (Some(Maker::Placeholder(text)), Secret::new(text))).to_vec();
    if let Some(app) = app {
        candidates.push((Some(Maker::ClientId), Secret::new(app.client_id.as_str())));
        candidates.extend(app.keys().iter().take(KEYS).flat_map(|key| variants(&key.material)));
    }
    candidates.resize_with(TRIALS, || (None, Secret::new([0x5c; 32])));
    // All of them, also after one that fits.
    candidates.into_iter().fold(None, |found, (maker, secret)| {
        // Most of these are shorter than what the registry takes, so the bare primitive is asked.
        let key = KeyMaterial::Secret(secret).prepare(algorithm).ok();
        let fits = key.is_some_and(|key| key.verifies(compact.signing_input, &compact.signature));
        found.or(maker.filter(|_| fits))
    })
}

/// At most as many as this for each key.
const VARIANTS: usize = 10;

fn variants(material: &KeyMaterial) -> Vec<(Option<Maker>, Secret)> {
    let mut variants = match material {
        KeyMaterial::Secret(secret) => of_secret(secret),
        KeyMaterial::Public { spki, certificate, .. } => {
            let certificate = certificate.iter().flat_map(|certificate| of_certificate(certificate.der()));
            of_public_key(spki).into_iter().chain(certificate).collect()
        }
    };
    variants.truncate(VARIANTS);
    variants
}

/// A text of base64 is read with and without padding.
const PADDING: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: [GeneralPurpose; 2] =
    [GeneralPurpose::new(&alphabet::STANDARD, PADDING), GeneralPurpose::new(&alphabet::URL_SAFE, PADDING)];

fn of_secret(secret: &Secret) -> Vec<(Option<Maker>, Secret)> {
    let text = secret.expose();
    let mut variants = Vec::new();
    let mut add = |how, bytes: Vec<u8>| {
        if bytes != text {
            variants.push((Some(Maker::Own(how)), Secret::new(bytes)));
        }
    };
    if let Some(decoded) = BASE64.iter().find_map(|engine| engine.decode(text.trim_ascii()).ok()) {
        add("base64-decoded", decoded);
    }
    if let Some(decoded) = from_hex(text) {
        add("decoded from hexadecimal digits", decoded);
    }
    add("and a line break after it", [text, b"\n"].concat());
    add("and a carriage return and line break after it", [text, b"\r\n"].concat());
    add("without the white space around it", text.trim_ascii().to_vec());
    add("without its padding (=)", text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text).to_vec());
    add("in the url-safe alphabet", text.iter().map(|b| url_safe(*b)).collect());
    add("in quotes", [b"\"", text, b"\""].concat());
    add("base64-encoded once more", STANDARD.encode(text).into_bytes());
    add("base64-encoded once more, without padding", URL_SAFE_NO_PAD.encode(text).into_bytes());
    variants
}

fn url_safe(byte: u8) -> u8 {
    match byte {
        b'+' => b'-',
        b'/' => b'_',
        other => other,
    }
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.chunks(2).map(pair).collect()
}

/// The forms in which a public key is handed around.
fn of_public_key(spki: &[u8]) -> Vec<(Option<Maker>, Secret)> {
    let text = STANDARD.encode(spki).into_bytes();
    let forms = [
        pem("PUBLIC KEY", &wrapped(&text), b"\n"),
        pem("PUBLIC KEY", &wrapped(&text), b""),
        pem("PUBLIC KEY", &text, b"\n"),
        pem("PUBLIC KEY", &text, b""),
        STANDARD_NO_PAD.encode(spki).into_bytes(),
        text,
        spki.to_vec(),
    ];
    forms.map(|form| (Some(Maker::PublicKey), Secret::new(form))).to_vec()
}

fn of_certificate(der: &[u8]) -> Vec<(Option<Maker>, Secret)> {
    let text = wrapped(STANDARD.encode(der).as_bytes());
    let forms = [pem("CERTIFICATE", &text, b"\n"), pem("CERTIFICATE", &text, b""), der.to_vec()];
    forms.map(|form| (Some(Maker::PublicKey), Secret::new(form))).to_vec()
}

fn wrapped(text: &[u8]) -> Vec<u8> {
    text.chunks(64).map(<[u8]>::to_vec).collect::<Vec<_>>().join(&b'\n')
}

fn pem(label: &str, body: &[u8], end: &[u8]) -> Vec<u8> {
    [format!("-----BEGIN {label}-----\n").as_bytes(), body, format!("\n-----END {label}-----").as_bytes(), end].concat()
}
