//! Keys of nobody, so that an unknown key id costs what a wrong token costs.

use std::sync::LazyLock;

use super::{DecryptionKey, DecryptionMaterial, Encrypted, EncryptionKind};

/// Made once per process, as those of the registry are made; nobody has their public halves.
static DECOYS: LazyLock<Vec<DecryptionKey>> = LazyLock::new(|| {
    let generate = |kind| DecryptionMaterial::generate(kind).and_then(|m| m.prepare()).ok();
    [EncryptionKind::Rsa, EncryptionKind::P256].into_iter().filter_map(generate).collect()
});

/// Makes the keys, so that the first token with an unknown key id waits for none. Takes a tenth of a second.
pub fn make_decoys() {
    LazyLock::force(&DECOYS);
}

/// Decrypts with nobody's key, for the time that it takes.
pub fn spend_a_decryption(token: &Encrypted<'_>) {
    if let Some(decoy) = DECOYS.iter().find(|k| k.kind() == token.header.algorithm.kind()) {
        std::hint::black_box(decoy.decrypt(token).is_ok());
    }
}
