//! Certificates as a form of public keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, proptest};
use scopegate::clock::Timestamp;
use scopegate::jose::{Certificate, KeyError, KeyMaterial, Validity};
use scopegate::model::Family;

use crate::support::tokens::{
    CERTIFICATES, ED25519, ED25519_CERTIFICATE, ED25519_PUBLIC, P256, P256_CERTIFICATE, P256_PUBLIC, P384_CERTIFICATE,
    P384_PUBLIC, RSA, RSA_CERTIFICATE, RSA_PUBLIC,
};

fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(body).unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn the_key_of_a_certificate_is_the_key_that_it_was_made_of() {
    for (certificate, public, family) in [
        (RSA_CERTIFICATE, RSA_PUBLIC, Family::Rsa),
        (P256_CERTIFICATE, P256_PUBLIC, Family::P256),
        (P384_CERTIFICATE, P384_PUBLIC, Family::P384),
        (ED25519_CERTIFICATE, ED25519_PUBLIC, Family::Ed25519),
    ] {
        let (certified, bare) = (KeyMaterial::from_pem(certificate).unwrap(), KeyMaterial::from_pem(public).unwrap());
        assert_eq!((certified.family(), certified.fingerprint()), (family, bare.fingerprint()));
        assert_eq!(certified.certificate().unwrap().der(), der(certificate));
        assert_ne!(certified, bare, "for one of them ends");
    }
}

#[test]
fn a_certificate_is_good_from_its_first_second_through_its_last() {
    let p256 = KeyMaterial::from_pem(P256_CERTIFICATE).unwrap();
    let (from, until) = (time("2025-01-01T00:00:00Z"), time("2026-11-22T12:00:59Z"));
    let certificate = p256.certificate().unwrap();
    assert_eq!((certificate.not_before(), certificate.not_after()), (from, until));
    for (at, wanted) in [
        (from.millis() - 1, Validity::NotYet(from)),
        (from.millis(), Validity::Good),
        (until.millis() + 999, Validity::Good),
        (until.millis() + 1000, Validity::Over(until)),
    ] {
        assert_eq!(p256.validity(Timestamp::from_millis(at)), wanted);
    }
    assert_eq!(KeyMaterial::from_pem(P256_PUBLIC).unwrap().validity(Timestamp::MAX), Validity::Good);
}

#[test]
fn a_certificate_is_named_as_openssl_and_rfc_7515_name_it() {
    let rsa = KeyMaterial::from_pem(RSA_CERTIFICATE).unwrap();
    let certificate = rsa.certificate().unwrap();
    // openssl x509 -noout -fingerprint -sha256, and openssl dgst -sha256 -binary | basenc --base64url
    assert_eq!(
        certificate.fingerprint(),
        "48:1D:A2:E7:8E:1E:8A:6C:71:19:59:7C:B2:E2:8D:29:A3:E2:7E:C9:BD:06:8E:9D:C4:83:45:6B:3A:92:1F:AA"
    );
    assert_eq!(certificate.thumbprint(), "SB2i544eimxxGVl8suKNKaPifsm9Bo6dxINFazqSH6o");
}

#[test]
fn of_a_chain_the_first_is_the_apps_own() {
    let chain = format!("subject=CN = ed25519\n\n{ED25519_CERTIFICATE}{RSA_CERTIFICATE}");
    assert_eq!(KeyMaterial::from_pem(&chain).unwrap(), KeyMaterial::from_pem(ED25519_CERTIFICATE).unwrap());
}

#[test]
fn whatever_else_stands_in_pem_is_refused_by_its_name() {
    let relabelled = |pem: &str, from: &str, to: &str| pem.replace(from, to);
    let encrypted = relabelled(ED25519, "PRIVATE", "ENCRYPTED PRIVATE");
    let openssh = relabelled(ED25519, "PRIVATE", "OPENSSH PRIVATE");
    let (before, after) = (format!("{RSA}{RSA_CERTIFICATE}"), format!("{P256_CERTIFICATE}{P256}"));
    for private in [RSA, P256, &encrypted, &openssh, &before, &after] {
        assert_eq!(KeyMaterial::from_pem(private).unwrap_err(), KeyError::Private, "{private}");
    }
    let request = relabelled(RSA_CERTIFICATE, "CERTIFICATE", "CERTIFICATE REQUEST");
    assert_eq!(KeyMaterial::from_pem(&request).unwrap_err(), KeyError::Request);
    for strange in ["X509 CRL", "TRUSTED CERTIFICATE", "PKCS7", "EC PARAMETERS"] {
        let strange = relabelled(RSA_CERTIFICATE, "CERTIFICATE", strange);
        assert!(KeyMaterial::from_pem(&strange).is_err(), "{strange}");
    }
    let key_as_certificate = relabelled(RSA_PUBLIC, "PUBLIC KEY", "CERTIFICATE");
    assert!(matches!(KeyMaterial::from_pem(&key_as_certificate), Err(KeyError::Certificate(_))));
    assert!(matches!(KeyMaterial::from_pem(""), Err(KeyError::Unusable(_))));
}

#[test]
fn a_certificate_that_is_cut_off_or_followed_by_more_is_none() {
    let whole = der(ED25519_CERTIFICATE);
    for length in 0..whole.len() {
        assert!(matches!(Certificate::read(whole[..length].to_vec()), Err(KeyError::Certificate(_))), "{length}");
    }
    let longer = [&whole[..], &[0]].concat();
    assert!(matches!(Certificate::read(longer), Err(KeyError::Certificate(_))));
    assert!(matches!(Certificate::read(vec![0x30; 100_000]), Err(KeyError::Certificate(_))));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..600)) {
        _ = KeyMaterial::from_certificate(bytes.clone());
        _ = KeyMaterial::from_pem(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_change_of_a_certificate_panics_and_what_is_taken_is_kept(
        which in 0_usize..4,
        changes in vec((any::<u16>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = der(CERTIFICATES[which]);
        for (at, byte) in changes {
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
        }
        if let Ok(material) = KeyMaterial::from_certificate(bytes.clone()) {
            prop_assert!(material.certificate().is_some_and(|certificate| certificate.der() == bytes));
            _ = material.validity(Timestamp::from_secs(0));
        }
    }
}
