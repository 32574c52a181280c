//! Files that should hold keys, certificates and secrets and hold something else: each cause is named with what mends it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::e2e::harness::{Setup, texts};

const SECRET: &str = "a secret that is long enough for any algorithm here";

/// Runs a line of a shell in a folder.
fn shell(folder: &Path, line: &str) {
    let done = Command::new("bash").args(["-ec", line]).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{line}: {}", texts(&done).1);
}

/// Everything that can stand where a key should, by the real tools.
fn make(folder: &Path) {
    shell(
        folder,
        "openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem 2>/dev/null || openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem
         openssl pkey -in rsa.pem -pubout -out rsa.pub.pem
         openssl pkey -in rsa.pem -aes256 -passout pass:hunter2 -out encrypted.pem
         openssl rsa -in rsa.pem -traditional -aes256 -passout pass:hunter2 -out encrypted1.pem
         openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out pss.pem
         openssl pkey -in pss.pem -pubout -out pss.pub.pem
         openssl req -x509 -key pss.pem -subj /CN=pss -days 9 -out pss.crt
         openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out short.pem
         openssl pkey -in short.pem -pubout -out short.pub.pem
         openssl ecparam -name prime256v1 -genkey -out parameters.pem
         openssl ecparam -name prime256v1 -out only-parameters.pem
         openssl ecparam -name secp256k1 -genkey -noout -out k1.sec1.pem
         openssl pkcs8 -topk8 -nocrypt -in k1.sec1.pem -out k1.pem
         openssl pkey -in k1.pem -pubout -out k1.pub.pem
         openssl pkey -in rsa.pem -outform DER -out rsa.der
         openssl pkey -in rsa.pem -pubout -outform DER -out rsa.pub.der
         openssl req -x509 -new -key rsa.pem -subj /CN=localhost -days 30 -addext subjectAltName=DNS:localhost -out rsa.crt
         openssl x509 -in rsa.crt -outform DER -out rsa.crt.der
         openssl req -new -key rsa.pem -subj /CN=localhost -out rsa.csr
         openssl genpkey -algorithm ED25519 -out ed.pem
         openssl req -x509 -new -key ed.pem -subj /CN=localhost -days 30 -addext subjectAltName=DNS:localhost -out ed.crt
         openssl pkcs12 -export -in rsa.crt -inkey rsa.pem -passout pass: -out rsa.p12
         { printf '\\xef\\xbb\\xbf'; cat rsa.pem; } > bom.pem
         { printf '\\xef\\xbb\\xbf'; cat rsa.pub.pem; } > bom.pub.pem
         { printf '\\xef\\xbb\\xbf'; cat rsa.crt; } > bom.crt
         sed 's/$/\\r/' rsa.pem > crlf.pem; sed 's/$/\\r/' rsa.pub.pem > crlf.pub.pem; sed 's/$/\\r/' rsa.crt > crlf.crt
         iconv -f UTF-8 -t UTF-16 rsa.pem > utf16.pem
         head -c 600 rsa.pem > cut.pem; head -c 200 rsa.pub.pem > cut.pub.pem; head -c 600 rsa.crt > cut.crt
         : > empty; mkdir folder; echo text > text",
    );
    fs::write(folder.join("set.jwks"), r#"{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"},{"kty":"EC"}]}"#).unwrap();
    fs::write(folder.join("oct.jwk"), r#"{"kty":"oct","k":"aHVudGVyMg"}"#).unwrap();
    fs::write(folder.join("alg.jwk"), r#"{"kty":"RSA","n":"AQ","e":"AQAB","alg":"RS257"}"#).unwrap();
    fs::write(folder.join("crv.jwk"), r#"{"kty":"EC","crv":"P-521","x":"AQ","y":"AQ"}"#).unwrap();
    fs::write(folder.join("no-n.jwk"), r#"{"kty":"RSA","e":"AQAB"}"#).unwrap();
    fs::write(folder.join("plain.secret"), SECRET).unwrap();
}

/// No error shows a secret, or a word that only a programmer of this program knows.
#[track_caller]
fn is_plain(text: &str) {
    for word in [
        "hunter2",
        SECRET,
        "MII",
        "KeyMismatch",
        "CaUsed",
        "UNKNOWN_ALGORITHM",
        "NoItemsFound",
        "no items",
        "Retiring(",
        "Hmac",
        "Rsa ",
        "invalid type",
        "unknown variant",
        "missing field",
        "struct",
    ] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

#[test]
fn the_key_of_a_certificate_that_can_not_be_used_is_told_with_what_mends_it() {
    let setup = Setup::bearer("http://127.0.0.1:9", "");
    make(setup.path());
    setup.edit("workers = 1", "workers = 1\ntls = { cert = \"CERT\", key = \"KEY\" }");
    let text = setup.read("scopegate.toml");
    let check = |cert: &str, key: &str| {
        setup.write("scopegate.toml", &text.replace("CERT", cert).replace("KEY", key));
        setup.run(&["check"])
    };
    for (key, wanted) in [
        (
            "encrypted.pem",
            "encrypted with a password: decrypt it first, with openssl pkey -in encrypted.pem -out key.pem",
        ),
        ("encrypted1.pem", "encrypted with a password"),
        ("pss.pem", "for RSA-PSS alone; make a plain RSA key of it: openssl rsa -in pss.pem -traditional"),
        ("short.pem", "has 1024 bits; it needs 2048"),
        ("k1.pem", "but a EC key on secp256k1"),
        ("only-parameters.pem", "EC parameters without a key"),
        ("rsa.crt", "this is a certificate, which holds a public key"),
        ("rsa.pub.pem", "the public half of a key"),
        ("rsa.der", "openssl pkey -inform DER -in rsa.der -out key.pem"),
        ("rsa.p12", "openssl pkcs12 -in rsa.p12 -nocerts"),
        ("utf16.pem", "iconv -f UTF-16 -t UTF-8 utf16.pem"),
        ("cut.pem", "cut off before its end"),
        ("empty", "the private key is empty"),
        ("folder", "is a directory"),
        ("text", "a text that is not PEM"),
        ("set.jwks", "a JSON Web Key Set with 2 keys"),
        ("none.pem", "none.pem: "),
        ("ed.pem", "the key does not belong to the certificate (ed.pem)"),
    ] {
        let failed = check("rsa.crt", key);
        let why = texts(&failed).1;
        assert!(!failed.status.success() && why.contains("proxy.tls: ") && why.contains(wanted), "{key}: {why}");
        is_plain(&why);
    }
    for (cert, wanted) in [
        ("rsa.pem", "this is a private key, and no certificate"),
        ("encrypted.pem", "this is an encrypted private key, and no certificate"),
        ("rsa.pub.pem", "this is a public key: give the certificate"),
        ("rsa.csr", "a request for a certificate"),
        ("rsa.crt.der", "openssl x509 -inform DER -in rsa.crt.der -out cert.pem"),
        ("rsa.p12", "openssl pkcs12 -in rsa.p12 -nokeys"),
        ("cut.crt", "it is damaged: copy it again"),
        ("empty", "it is empty: give the certificate"),
        ("folder", "is a directory"),
    ] {
        let failed = check(cert, "rsa.pem");
        let why = texts(&failed).1;
        assert!(!failed.status.success() && why.contains("proxy.tls: ") && why.contains(wanted), "{cert}: {why}");
        is_plain(&why);
    }
    for (cert, key) in
        [("rsa.crt", "bom.pem"), ("bom.crt", "rsa.pem"), ("crlf.crt", "crlf.pem"), ("rsa.crt", "rsa.pem")]
    {
        let done = check(cert, key);
        assert!(done.status.success(), "{cert} {key}: {}", texts(&done).1);
    }
}

#[test]
fn the_tls_files_of_an_upstream_are_told_in_the_same_words() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (ca, cert, key, wanted) in [
        ("rsa.pem", "rsa.crt", "rsa.pem", "this is a private key, and no certificate"),
        ("rsa.crt.der", "rsa.crt", "rsa.pem", "openssl x509 -inform DER"),
        ("rsa.crt", "rsa.crt", "encrypted.pem", "encrypted with a password"),
        ("rsa.crt", "rsa.crt", "ed.pem", "the key does not belong to the certificate"),
        ("rsa.crt", "rsa.crt", "pss.pem", "RSA-PSS"),
        ("rsa.crt", "rsa.pub.pem", "rsa.pem", "this is a public key: give the certificate"),
    ] {
        let tls = format!("tls = {{ ca = {:?}, cert = {:?}, key = {:?} }}", at(ca), at(cert), at(key));
        let why = Setup::bearer("https://127.0.0.1:9", &tls).refused(&["check"]);
        assert!(why.contains("upstream.bots.tls: ") && why.contains(wanted), "{tls}: {why}");
        is_plain(&why);
    }
}

#[test]
fn a_public_key_for_an_app_that_can_not_be_used_is_told_with_what_mends_it() {
    let setup = Setup::bearer("http://127.0.0.1:9", "");
    make(setup.path());
    setup.succeed(&[
        "app",
        "create",
        "--name",
        "ci",
        "--client-id",
        "ci",
        "--alg",
        "RS256",
        "--public-key",
        "rsa.pub.pem",
    ]);
    for (file, wanted) in [
        ("rsa.pem", "this is a private key; give its public half"),
        ("encrypted.pem", "this is a private key; give its public half"),
        ("short.pub.pem", "has 1024 bits; it needs 2048"),
        ("k1.pub.pem", "but a EC key on secp256k1"),
        ("pss.pub.pem", "for RSA-PSS alone; make a plain RSA key of it: openssl rsa -pubin -in pss.pub.pem"),
        ("pss.crt", "for RSA-PSS alone"),
        ("only-parameters.pem", "EC parameters without a key"),
        ("rsa.csr", "a request for a certificate"),
        ("rsa.pub.der", "openssl pkey -pubin -inform DER -in rsa.pub.der"),
        ("rsa.crt.der", "openssl x509 -inform DER -in rsa.crt.der"),
        ("utf16.pem", "iconv -f UTF-16"),
        ("cut.pub.pem", "cut off before its end"),
        ("empty", "it is empty: give the public key"),
        ("folder", "it is a directory"),
        ("text", "a text that is not PEM"),
        ("set.jwks", "a JSON Web Key Set with 2 keys, and one key is wanted: jq '.keys[0]' set.jwks"),
        ("oct.jwk", "a JSON Web Key: give the public key in PEM"),
    ] {
        let why = setup.refused(&["key", "add", "ci", "--public-key", file]);
        assert!(why.contains(&format!("{file}: ")) && why.contains(wanted), "{file}: {why}");
        is_plain(&why);
        let entry = format!("version = 1\n[[key]]\napp = \"ci\"\npublic_key_file = {file:?}\n");
        setup.write("registry.toml", &entry);
        let why = setup.refused(&["apply", "-f", "registry.toml"]);
        assert!(
            why.contains("registry.toml:4: key of app ci: ")
                && why.contains(wanted.split(" rsa").next().unwrap().split(" pss").next().unwrap()),
            "{file}: {why}"
        );
    }
    for (file, wanted) in [
        ("set.jwks", "jq '.keys[0]' set.jwks"),
        ("oct.jwk", "a shared secret belongs in `secret`"),
        ("alg.jwk", "\"RS257\" is no signature algorithm"),
        ("crv.jwk", "its crv is \"P-521\""),
        ("no-n.jwk", "it has no n"),
        ("rsa.pub.pem", "this is a public key: give one public key as a JSON Web Key"),
        ("rsa.pem", "this is a private key"),
        ("empty", "it is empty: give one public key as a JSON Web Key"),
    ] {
        let why = setup.refused(&["key", "add", "ci", "--jwk", file]);
        assert!(why.contains(&format!("{file}: ")) && why.contains(wanted), "{file}: {why}");
        is_plain(&why);
    }
    for (kid, file) in [("bom", "bom.pub.pem"), ("crlf", "crlf.pub.pem")] {
        let why = setup.refused(&["key", "add", "ci", "--kid", kid, "--public-key", file]);
        assert!(why.contains("has this key already"), "{file}: {why}");
    }
}

#[test]
fn a_secret_of_which_a_part_can_not_be_seen_is_refused_wherever_it_is_read() {
    let setup = Setup::bearer("http://127.0.0.1:9", "");
    make(setup.path());
    setup.succeed(&["app", "create", "--name", "ci", "--client-id", "ci", "--generate"]);
    for (name, text, wanted) in [
        ("bom", format!("\u{feff}{SECRET}\n"), "begins with a byte order mark (BOM)"),
        ("inner", format!("{SECRET}\n{SECRET}\n"), "a line break stands inside it"),
        ("crlf", format!("{SECRET}\r\n{SECRET}\r\n"), "a line break stands inside it"),
        ("space", format!("{SECRET} \n"), "white space stands at its beginning or end"),
        ("before", format!("\n{SECRET}\n"), "a line break stands inside it"),
        ("short", "hunter2\n".to_owned(), "it needs at least 32: openssl rand -base64 32"),
        ("nothing", "\n".to_owned(), "it is empty"),
        ("public", setup.read("rsa.pub.pem"), "a public key, which is no secret"),
        ("private", setup.read("rsa.pem"), "private key and no shared secret"),
        ("certificate", setup.read("rsa.crt"), "a certificate and no shared secret"),
        ("jwk", setup.read("oct.jwk"), "a JSON Web Key and no shared secret"),
    ] {
        setup.write(name, &text);
        let told = |why: &str| {
            assert!(why.contains(wanted), "{name}: {why}");
            is_plain(why);
        };
        told(&setup.refused(&["key", "add", "ci", "--secret-file", name]));
        told(&texts(&setup.feed(&["key", "add", "ci", "--secret-stdin"], &text)).1);
        told(&texts(&setup.run_with(&["key", "add", "ci", "--secret-env", "CI"], &[("CI", &text)])).1);
        for source in [format!("secret_file = {name:?}"), "secret_env = \"CI\"".to_owned()] {
            setup.write("registry.toml", &format!("version = 1\n[[key]]\napp = \"ci\"\n{source}\n"));
            let failed = setup.run_with(&["apply", "-f", "registry.toml"], &[("CI", &text)]);
            let why = texts(&failed).1;
            assert!(!failed.status.success() && why.contains("registry.toml:4: "), "{name}: {why}");
            told(&why);
        }
    }
    // The last line break is no part of it, and a mark or a break in a text of the file itself is refused.
    for (kid, end) in [("a", "\n"), ("b", "\r\n"), ("c", "")] {
        setup.write("good", &format!("{SECRET} {kid}{end}"));
        setup.succeed(&["key", "add", "ci", "--kid", kid, "--secret-file", "good"]);
        setup.write("good", &format!("{SECRET} {kid}"));
        let again = setup.refused(&["key", "add", "ci", "--kid", "z", "--secret-file", "good"]);
        assert!(again.contains("has this key already"), "{again}");
    }
    setup.write("registry.toml", &format!("version = 1\n[[key]]\napp = \"ci\"\nsecret = \"\"\"{SECRET}\n\"\"\"\n"));
    let why = setup.refused(&["apply", "-f", "registry.toml"]);
    assert!(why.contains("a line break or a byte order mark would become part of it"), "{why}");
}

#[test]
fn passwords_and_credentials_of_upstreams_have_no_part_that_can_not_be_seen_either() {
    let setup = Setup::bearer("http://127.0.0.1:9", "headers = { x-key = { file = \"token\" } }");
    let password = "correct horse battery";
    for (text, wanted) in [
        (format!("\u{feff}{password}\n"), "begins with a byte order mark (BOM)"),
        (format!("{password}\n{password}\n"), "a line break stands inside it"),
        (format!(" {password}\n"), "white space stands at its beginning or end"),
        (String::new(), "it is empty"),
    ] {
        setup.write("token", &text);
        let why = setup.refused(&["check"]);
        assert!(why.contains("upstream.bots.headers: token: ") && why.contains(wanted), "{text:?}: {why}");
        assert!(!why.contains(password), "{why}");
        setup.edit("file = \"token\"", "env = \"TOKEN\"");
        let why = texts(&setup.run_with(&["check"], &[("TOKEN", &text)])).1;
        assert!(why.contains("the environment variable TOKEN: ") && why.contains(wanted), "{text:?}: {why}");
        setup.edit("env = \"TOKEN\"", "file = \"token\"");
        setup.write("good", "a token\n");
        setup.edit("file = \"token\"", "file = \"good\"");
        setup.write("password", &text);
        let why = setup.refused(&["service", "create", "ana", "--password-file", "password"]);
        assert!(why.contains(wanted) && !why.contains(password), "{text:?}: {why}");
        setup
            .write("registry.toml", "version = 1\n[[service_account]]\nname = \"ana\"\npassword_file = \"password\"\n");
        let why = setup.refused(&["apply", "-f", "registry.toml"]);
        assert!(why.contains("registry.toml:4: service account ana: ") && why.contains(wanted), "{text:?}: {why}");
        setup.edit("file = \"good\"", "file = \"token\"");
    }
}

#[test]
fn a_key_that_should_sign_is_told_with_what_mends_it() {
    let setup = Setup::bearer("http://127.0.0.1:9", "");
    make(setup.path());
    let mint = |file: &str, algorithm: &str| {
        let path = setup.path().join(file);
        let arguments = ["jwt", "mint", "--client-id", "ci", "--alg", algorithm, "--key-file", path.to_str().unwrap()];
        crate::e2e::harness::scopegate(setup.path(), &arguments, &[])
    };
    for (file, algorithm, wanted) in [
        ("encrypted.pem", "RS256", "encrypted with a password"),
        ("pss.pem", "RS256", "for RSA-PSS alone"),
        ("short.pem", "RS256", "has 1024 bits"),
        (
            "parameters.pem",
            "ES256",
            "EC PARAMETERS stand before an EC key in SEC 1 form; convert it: openssl pkcs8 -topk8",
        ),
        ("only-parameters.pem", "ES256", "EC parameters without a key"),
        ("k1.pem", "ES256", "secp256k1"),
        ("rsa.der", "RS256", "openssl pkey -inform DER"),
        ("rsa.crt", "RS256", "this is a certificate"),
        ("rsa.pub.pem", "RS256", "the public half"),
        ("utf16.pem", "RS256", "UTF-16"),
        ("ed.pem", "RS256", "another kind than RS256 needs"),
    ] {
        let failed = mint(file, algorithm);
        let why = texts(&failed).1;
        assert!(!failed.status.success() && why.contains(wanted), "{file}: {why}");
        is_plain(&why);
    }
    // What the command makes of it is taken.
    shell(setup.path(), "openssl rsa -in pss.pem -traditional | sed s/RSA-PSS/RSA/ > made.pem");
    for file in ["rsa.pem", "bom.pem", "crlf.pem", "made.pem"] {
        assert!(mint(file, "RS256").status.success(), "{file}");
    }
}
