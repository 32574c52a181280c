//! PEM as we write it (RFC 7468).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// A block of what everybody may read.
pub fn block(label: &str, der: &[u8]) -> String {
    let mut pem = String::new();
    write(&mut pem, label, &STANDARD.encode(der));
    pem
}

/// A private key; nothing of it stays behind in memory.
pub fn private_key(pkcs8: &Secret) -> Secret {
    let text = Zeroizing::new(STANDARD.encode(pkcs8.expose()));
    let mut pem = String::with_capacity(text.len() + text.len() / 64 + 64);
    write(&mut pem, "PRIVATE KEY", &text);
    Secret::new(pem)
}

fn write(pem: &mut String, label: &str, text: &str) {
    pem.push_str("-----BEGIN ");
    pem.push_str(label);
    pem.push_str("-----\n");
    for line in text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()) {
        pem.push_str(line);
        pem.push('\n');
    }
    pem.push_str("-----END ");
    pem.push_str(label);
    pem.push_str("-----\n");
}
