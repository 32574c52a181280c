//! Keys of nobody, so that an unknown app costs what a bad signature costs.

use std::sync::LazyLock;

use super::{KeyMaterial, PreparedKey};
use crate::model::Algorithm;
use crate::secret::Secret;

/// The public keys of the examples in RFC 7515 appendices A.2 and A.3 and RFC 8037 appendix A.2; and one on P-384, whose
/// private half was never kept.
const EXAMPLES: [&str; 4] = [
    r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#,
    r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
    r#"{"kty":"EC","crv":"P-384","x":"FILdkcRTL_9aBawcjCpJ2_0ilgVtQwcIBK_HgnPH1x5RQRb9-WxQ5hs_hH865b39","y":"h9XAxFbMPYwDkTPfaGTgqNxHEAM5yGS7r9Kpsqp2lxHItWHUFEXdQKQeduh5vd46"}"#,
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
];

static DECOYS: LazyLock<Vec<PreparedKey>> = LazyLock::new(|| {
    let public = EXAMPLES.iter().filter_map(|jwk| KeyMaterial::from_jwk(jwk).ok());
    let materials: Vec<_> = KeyMaterial::from_secret(Secret::new([0x5c; 32])).into_iter().chain(public).collect();
    let prepare = |algorithm| materials.iter().find_map(|m| m.prepare(algorithm).ok());
    Algorithm::ALL.into_iter().filter_map(prepare).collect()
});

/// Verifies with nobody's key, for the time that it takes.
pub fn spend_a_verification(algorithm: Algorithm, message: &[u8], signature: &[u8]) {
    if let Some(decoy) = DECOYS.iter().find(|k| k.algorithm() == algorithm) {
        std::hint::black_box(decoy.verifies(message, signature));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_decoy_for_each_algorithm() {
        let decoys: Vec<_> = DECOYS.iter().map(PreparedKey::algorithm).collect();
        assert_eq!(decoys, Algorithm::ALL);
    }
}
