//! From an encrypted token to the signed one inside. Anybody can encrypt to a public key, so this proves nothing, and until
//! the signature inside is proved no answer may tell how far a token came.

use std::sync::Arc;

use super::TokenRules;
use crate::clock::Timestamp;
use crate::jose::{self, Compact, Encrypted};
use crate::model::{Reason, Refusal, is_same_media_type};
use crate::registry::{App, RegisteredEncryptionKey, Snapshot};

/// What was inside a token, and whose key opened it.
pub struct Opened<'s> {
    pub app: &'s Arc<App>,
    pub key: &'s RegisteredEncryptionKey,
    pub text: Vec<u8>,
}

/// Finds the key and decrypts. Where there is no key to try, nobody's key is tried instead: how long a refusal takes tells
/// nothing about the names of keys.
///
/// # Errors
/// `token.jwe_invalid`.
pub fn open<'s>(token: &Encrypted<'_>, snapshot: &'s Snapshot, now: Timestamp) -> Result<Opened<'s>, Refusal> {
    let refuse = |found: String| Refusal::new(Reason::TokenJweInvalid).found(found);
    let header = &token.header;
    // RFC 7519 section 5.2: what is inside is a token, and says so if it says anything.
    if let Some(cty) = header.content_type.as_deref().filter(|cty| !is_same_media_type(cty, "JWT")) {
        return Err(refuse(format!("cty {:?}", shorten(cty))).expected("cty JWT, or none"));
    }
    let Some(kid) = header.key_id.as_deref() else { return Err(refuse("no kid".into()).expected("a kid")) };
    let (app, key) = match find_key(kid, token, snapshot, now) {
        Ok(found) => found,
        Err(why) => {
            jose::spend_a_decryption(token);
            return Err(refuse(why).expected("the kid of an encryption key in use"));
        }
    };
    let text =
        key.key.decrypt(token).map_err(|error| refuse(format!("{error}: kid {kid} of app {}", app.client_id)))?;
    Ok(Opened { app, key, text })
}

fn find_key<'s>(
    kid: &str,
    token: &Encrypted<'_>,
    snapshot: &'s Snapshot,
    now: Timestamp,
) -> Result<(&'s Arc<App>, &'s RegisteredEncryptionKey), String> {
    let shown = shorten(kid);
    let (app, key) = snapshot.encryption_key(kid).ok_or_else(|| format!("kid {shown:?}, which no app has"))?;
    if !key.state.usable_at(now) {
        return Err(format!("kid {shown:?} of app {}, which is retired", app.client_id));
    }
    let (kind, algorithm) = (key.key.kind(), token.header.algorithm);
    if kind != algorithm.kind() {
        return Err(format!("kid {shown:?} of app {}, a key of kind {kind}, with {algorithm}", app.client_id));
    }
    Ok((app, key))
}

/// Reads what was inside: a signed token, and no encrypted one again.
///
/// # Errors
/// `token.jwe_invalid`.
pub fn inner<'t>(text: &'t [u8], rules: &TokenRules) -> Result<Compact<'t>, Refusal> {
    Compact::parse(text, rules.max_token_bytes).map_err(|error| {
        let found = if text.trim_ascii_start().starts_with(b"{") {
            "bare claims inside, which nobody signed".to_owned()
        } else {
            format!("inside: {error}")
        };
        Refusal::new(Reason::TokenJweInvalid).expected("a signed token inside").found(found)
    })
}

/// The key of one app opens no tokens for another.
///
/// # Errors
/// `token.jwe_invalid`.
pub fn check_owner(opened: &Opened<'_>, app: &App) -> Result<(), Refusal> {
    if opened.app.number == app.number {
        return Ok(());
    }
    let expected = format!("a token of app {}, to which the key belongs", opened.app.client_id);
    Err(Refusal::new(Reason::TokenJweInvalid).expected(expected).found(format!("one of app {}", app.client_id)))
}

/// A refusal from before the proof of a signature that came encrypted: the caller is told what every caller is told who
/// can't sign.
pub fn hidden(refusal: Refusal) -> Refusal {
    if refusal.reason.public() == Reason::TokenInvalid {
        return refusal;
    }
    Refusal { reason: Reason::TokenJweInvalid, ..refusal }
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}
