//! Private keys as they reach the command line (rows M25 to M28 of platforms.md section 6).

use super::{APP_ID, ED25519_KEY, KEY, PUBLIC_KEY, world};
use crate::e2e::harness::texts;

/// `jwt mint` with the key in a variable.
fn mint(key: &str) -> (Option<i32>, String, String) {
    let output =
        world().run(&["jwt", "mint", "--profile", "icr", "--app-id", APP_ID], &[("SCOPEGATE_PRIVATE_KEY", key)]);
    let (out, err) = texts(&output);
    (output.status.code(), out, err)
}

#[test]
fn a_key_is_taken_as_pkcs_1_and_as_pkcs_8_and_mended_where_that_is_sure() {
    let pkcs1 = world().program("openssl", &[]).args(["rsa", "-traditional", "-in", "app.key"]).output().unwrap();
    let pkcs1 = String::from_utf8(pkcs1.stdout).unwrap();
    assert!(pkcs1.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    for key in [KEY, &pkcs1] {
        assert_eq!(mint(key).2, "");
        for (form, word) in [
            (key.replace('\n', "\\n"), "written as \\n"),
            (key.replace('\n', "\r\n"), "CR LF"),
            (format!("\"{key}\""), "quotes"),
            (format!("  {key}  "), "white space"),
            (key.replace('\n', " "), "lost"),
        ] {
            let (code, token, err) = mint(&form);
            assert_eq!((code, world().call(&token).status), (Some(0), 200), "{err}");
            assert!(err.contains(word) && err.contains("mended for this once"), "{word:?} is not in {err}");
        }
    }
}

#[test]
fn what_is_no_private_key_is_refused_in_its_own_words() {
    let secret = "Vb1vQ0m7m0l5x3Yw8s0uN2kQ9rT4eZ6hJ1pL5cX7dA8=";
    for (key, wanted) in [
        ("SHA256:Vb1vQ0m7m0l5x3Yw8s0uN2kQ9rT4eZ6hJ1pL5cX7dA8=", "the fingerprint of a key"),
        (PUBLIC_KEY, "the public half"),
        (secret, "perhaps a client secret"),
        (&KEY[..KEY.len() / 2], "cut off"),
        ("-----BEGIN RSA PRIVATE KEY-----", "cut off"),
        ("app.key", "the name of a file"),
        (ED25519_KEY, "of another kind than RS256 needs"),
    ] {
        let (code, out, err) = mint(key);
        assert_eq!((code, out.as_str()), (Some(1), ""));
        assert!(
            err.contains(wanted) && err.starts_with("scopegate: SCOPEGATE_PRIVATE_KEY: "),
            "{wanted:?} is not in {err}"
        );
        assert!(!err.contains("Vb1v") && !err.contains(&KEY[28..60]), "{err}");
    }
}

#[test]
fn a_placeholder_signs_only_where_it_is_meant() {
    let mint = |more: &[&str]| {
        let arguments = [&["jwt", "mint", "--client-id", "x", "--secret-env", "S"][..], more].concat();
        let output = world().run(&arguments, &[("S", "your-256-bit-secret")]);
        (output.status.code(), texts(&output).1)
    };
    assert!(matches!(mint(&[]), (Some(1), err) if err.contains("placeholder")));
    assert_eq!(mint(&["--allow-placeholder"]).0, Some(0));
}
