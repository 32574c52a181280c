//! Encrypted tokens as the decryptor sees them: the standards' examples, exact lengths, closed lists.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use scopegate::jose::{
    DecryptionKey, DecryptionMaterial, Encrypted, EncryptionKey, EncryptionKind, KeyError, Part, TokenError, encrypt,
};
use scopegate::secret::Secret;
use serde_json::{Value, json};

use crate::support::Random;
use crate::support::encryption::{ALGORITHMS, ENCRYPTIONS, P256, RSA, generate, header, material, pair, seal};
use crate::support::tokens::P384;

const LIMIT: usize = 16_384;
const TEXT: &str = "what is inside";

fn parse(token: &str) -> Result<Encrypted<'_>, TokenError> {
    Encrypted::parse(token.as_bytes(), LIMIT)
}

fn open(token: &str, key: &DecryptionKey) -> Option<Vec<u8>> {
    key.decrypt(&parse(token).ok()?).ok()
}

/// The parts of a token, one of them replaced.
fn with_part(token: &str, index: usize, part: &str) -> String {
    let mut parts: Vec<_> = token.split('.').collect();
    parts[index] = part;
    parts.join(".")
}

#[test]
fn the_examples_of_the_standards_are_opened_or_refused() {
    let examples: Vec<Value> = serde_json::from_str(include_str!("vectors/jwe.json")).unwrap();
    let mut opened = 0;
    for example in &examples {
        let (name, token) = (&example["name"], example["jwe"].as_str().unwrap());
        match example["plaintext"].as_str() {
            Some(plain) => {
                let key = material(&example["jwk"]).unwrap().prepare().unwrap();
                assert_eq!(open(token, &key).as_deref(), Some(plain.as_bytes()), "{name}");
                opened += 1;
            }
            None => {
                let error = parse(token).unwrap_err();
                assert!(
                    matches!(error, TokenError::Unsupported { .. } | TokenError::Critical("zip")),
                    "{name}: {error}"
                );
            }
        }
    }
    assert_eq!((opened, examples.len()), (3, 10));
}

#[test]
fn what_is_encrypted_with_any_pair_of_algorithms_is_opened_by_its_own_key_alone() {
    let others = [EncryptionKind::Rsa, EncryptionKind::P256].map(|kind| generate(kind).prepare().unwrap());
    for algorithm in ALGORITHMS {
        let key = pair(algorithm).prepare().unwrap();
        for encryption in ENCRYPTIONS {
            for text in ["", TEXT, &"x".repeat(4096)] {
                let token = seal(&header(algorithm, encryption, "k"), text);
                assert_eq!(open(&token, &key).as_deref(), Some(text.as_bytes()), "{algorithm} {encryption}");
                assert!(others.iter().all(|other| open(&token, other).is_none()), "{algorithm} {encryption}");
            }
        }
    }
}

#[test]
fn each_part_counts() {
    for algorithm in ALGORITHMS {
        let key = pair(algorithm).prepare().unwrap();
        for encryption in ENCRYPTIONS {
            let token = seal(&header(algorithm, encryption, "k"), TEXT);
            for (index, part) in token.split('.').enumerate() {
                let mut bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
                if bytes.is_empty() {
                    continue;
                }
                let at = bytes.len() / 2;
                bytes[at] ^= 1;
                let changed = with_part(&token, index, &URL_SAFE_NO_PAD.encode(bytes));
                assert_eq!(open(&changed, &key), None, "{algorithm} {encryption}, part {index}");
            }
        }
    }
}

/// Each byte of header, vector, ciphertext and tag, where a byte is cheap to try.
#[test]
fn each_bit_of_a_token_counts() {
    let key = P256.prepare().unwrap();
    for encryption in ENCRYPTIONS {
        let token = seal(&header("ECDH-ES", encryption, "k"), TEXT);
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(open(&changed, &key), None, "{encryption}, byte {at}");
        }
    }
}

#[test]
fn lengths_are_exact() {
    for algorithm in ALGORITHMS {
        for encryption in ENCRYPTIONS {
            let token = seal(&header(algorithm, encryption, "k"), TEXT);
            let parts: Vec<_> = token.split('.').map(|p| URL_SAFE_NO_PAD.decode(p).unwrap()).collect();
            let refuse = |index: usize, bytes: &[u8], part| {
                let changed = with_part(&token, index, &URL_SAFE_NO_PAD.encode(bytes));
                let error = parse(&changed).unwrap_err();
                assert_eq!(error, TokenError::Length(part), "{algorithm} {encryption}, {} bytes", bytes.len());
            };
            for (index, part) in [(2, Part::Iv), (4, Part::Tag)] {
                let longer = [&parts[index][..], &[0]].concat();
                refuse(index, &longer, part);
                (0..parts[index].len()).for_each(|length| refuse(index, &parts[index][..length], part));
            }
            match algorithm {
                "ECDH-ES" => refuse(1, &[0], Part::EncryptedKey),
                "ECDH-ES+A256KW" => refuse(1, &parts[1][1..], Part::EncryptedKey),
                _ => refuse(1, &[], Part::EncryptedKey),
            }
            if encryption.contains("CBC") {
                refuse(3, &parts[3][1..], Part::Ciphertext);
                refuse(3, &[], Part::Ciphertext);
            }
        }
    }
}

#[test]
fn an_encrypted_key_of_another_length_than_the_modulus_opens_nothing() {
    let (token, key) = (seal(&header("RSA-OAEP", "A256GCM", "k"), TEXT), RSA.prepare().unwrap());
    for length in [1, 128, 255, 257, 512] {
        let changed = with_part(&token, 1, &URL_SAFE_NO_PAD.encode(vec![1; length]));
        assert_eq!(open(&changed, &key), None, "{length}");
    }
}

#[test]
fn nothing_but_the_listed_algorithms_is_taken() {
    let good = seal(&header("RSA-OAEP", "A256GCM", "k"), TEXT);
    let refused = |name: &str, value: Value| {
        let mut header = header("RSA-OAEP", "A256GCM", "k");
        header.insert(name.into(), value);
        let header = URL_SAFE_NO_PAD.encode(Value::Object(header).to_string());
        parse(&with_part(&good, 0, &header)).unwrap_err()
    };
    let algorithms = ["RSA1_5", "dir", "A128KW", "A256KW", "A256GCMKW", "PBES2-HS256+A128KW", "ECDH-ES+A128KW", "none"];
    for algorithm in algorithms.into_iter().chain(["rsa-oaep", "RSA-OAEP-512", "HS256", "A256GCM", ""]) {
        assert!(matches!(refused("alg", algorithm.into()), TokenError::Unsupported { name: "alg", .. }), "{algorithm}");
    }
    for encryption in ["A192GCM", "A192CBC-HS384", "a256gcm", "none", "RSA-OAEP", ""] {
        assert!(
            matches!(refused("enc", encryption.into()), TokenError::Unsupported { name: "enc", .. }),
            "{encryption}"
        );
    }
    for (name, value) in [("zip", json!("DEF")), ("zip", json!(null)), ("crit", json!(["exp"])), ("b64", json!(true))] {
        assert!(matches!(refused(name, value), TokenError::Critical(found) if found == name), "{name}");
    }
    for (name, value) in
        [("kid", json!(7)), ("typ", json!(null)), ("cty", json!(["JWT"])), ("alg", json!(["RSA-OAEP"]))]
    {
        assert_eq!(refused(name, value), TokenError::Parameter(name));
    }
    assert_eq!(parse(&with_part(&good, 0, "e30")).unwrap_err(), TokenError::Parameter("alg"));
    let twice = URL_SAFE_NO_PAD.encode(r#"{"alg":"RSA-OAEP","enc":"A256GCM","alg":"dir"}"#);
    assert!(matches!(parse(&with_part(&good, 0, &twice)).unwrap_err(), TokenError::Duplicate { .. }));
}

#[test]
fn only_five_parts_are_an_encrypted_token() {
    let good = seal(&header("ECDH-ES", "A128GCM", "k"), TEXT);
    for (text, parts) in [("", 1), ("a.b.c", 3), ("a.b.c.d", 4), ("a.b.c.d.e.f", 6)] {
        assert_eq!(parse(text).unwrap_err(), TokenError::Parts(parts));
    }
    assert_eq!(parse(&format!("{good}=")).unwrap_err(), TokenError::Character { at: good.len() });
    assert!(matches!(parse(&with_part(&good, 3, "A")).unwrap_err(), TokenError::Base64(Part::Ciphertext)));
    let long = Encrypted::parse(good.as_bytes(), 100).unwrap_err();
    assert_eq!(long, TokenError::TooLarge { length: good.len(), limit: 100 });
}

/// Invalid-curve points would tell the private key bit by bit.
#[test]
fn an_ephemeral_key_is_a_point_on_p_256() {
    let key = P256.prepare().unwrap();
    for algorithm in ["ECDH-ES", "ECDH-ES+A256KW"] {
        let token = seal(&header(algorithm, "A128GCM", "k"), TEXT);
        let old: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
        let parse_with = |epk: Value| {
            let mut header = old.clone();
            header["epk"] = epk;
            with_part(&token, 0, &URL_SAFE_NO_PAD.encode(header.to_string()))
        };
        let (x, y) = (&old["epk"]["x"], &old["epk"]["y"]);
        let point = |x: &Value, y: &Value| json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
        // The point of Project Wycheproof that lies on another curve, and this one mirrored at the diagonal.
        let (ox, oy) = ("gTli65eTQ7z-Bh147ff8K3m7k2UiDiG2LpYkWAaFJCc", "cLAnjKa4bzjD7DJVPwa9EPrRzMG7rONgsiUD-kf30Fs");
        let zero = json!(URL_SAFE_NO_PAD.encode([0; 32]));
        for epk in [point(&json!(ox), &json!(oy)), point(y, x), point(&zero, &zero)] {
            let changed = parse_with(epk);
            assert!(parse(&changed).is_ok() && open(&changed, &key).is_none(), "{changed}");
        }
        let short = json!(URL_SAFE_NO_PAD.encode([7; 31]));
        let long = json!(URL_SAFE_NO_PAD.encode([7; 33]));
        for epk in [point(&short, y), point(x, &long), point(x, &json!("")), point(x, &json!(7)), json!({}), json!("x")]
        {
            assert!(parse(&parse_with(epk.clone())).is_err(), "{epk}");
        }
        for (name, value) in [("crv", json!("P-384")), ("kty", json!("OKP")), ("crv", json!(null))] {
            let mut epk = point(x, y);
            epk[name] = value;
            assert_eq!(parse(&parse_with(epk)).unwrap_err(), TokenError::Parameter("epk"));
        }
    }
}

#[test]
fn what_the_parties_say_of_themselves_is_part_of_the_agreement() {
    let key = P256.prepare().unwrap();
    let mut header = header("ECDH-ES+A256KW", "A256GCM", "k");
    header.insert("apu".into(), URL_SAFE_NO_PAD.encode("Alice").into());
    header.insert("apv".into(), URL_SAFE_NO_PAD.encode("Bob").into());
    let token = seal(&header, TEXT);
    assert_eq!(open(&token, &key).as_deref(), Some(TEXT.as_bytes()));
    let wrong = URL_SAFE_NO_PAD.encode(r#"{"alg":"ECDH-ES","enc":"A256GCM","apu":"!"}"#);
    assert!(parse(&with_part(&token, 0, &wrong)).is_err());
}

/// Any text, and any change of a good token, is read or refused; none of the changed ones opens.
#[test]
fn no_mutation_of_a_token_opens_and_none_panics() {
    let seed = Random::seed();
    let mut random = Random::new(seed);
    let tokens: Vec<_> = ENCRYPTIONS.iter().map(|e| seal(&header("ECDH-ES+A256KW", e, "k"), TEXT)).collect();
    let key = P256.prepare().unwrap();
    for n in 0..4000 {
        let mut token = tokens[n % tokens.len()].clone().into_bytes();
        for _ in 0..=random.below(3) {
            if token.is_empty() {
                break;
            }
            let at = random.below(token.len());
            let byte = b"ABCDXYZabcxyz0129-_.=\"{"[random.below(23)];
            match random.below(4) {
                0 => token[at] = byte,
                1 => token.insert(at, byte),
                2 => _ = token.remove(at),
                _ => token.truncate(at.max(1)),
            }
        }
        let opened = Encrypted::parse(&token, LIMIT).ok().and_then(|t| key.decrypt(&t).ok());
        let same = token == tokens[n % tokens.len()].as_bytes();
        assert_eq!(opened.is_some(), same, "SEED={seed}, mutation {n}: {}", String::from_utf8_lossy(&token));
    }
}

#[test]
fn a_private_key_is_kept_and_shown_to_nobody() {
    for pair in [&*RSA, &*P256] {
        let pem = pair.to_pem();
        assert_eq!(DecryptionMaterial::from_pem(&pem).unwrap(), *pair);
        assert_eq!(DecryptionMaterial::from_pkcs8(pair.pkcs8()).unwrap(), *pair);
        let public = pair.public().unwrap().named("k-1");
        assert_eq!(EncryptionKey::from_jwk(&public.to_jwk().to_string()).unwrap(), public);
        let shown = format!("{pair:?} {:?} {public:?} {}", pair.prepare().unwrap(), public.to_jwk());
        let body = std::str::from_utf8(pem.expose()).unwrap().lines().nth(2).unwrap();
        assert!(!shown.contains(&body[..20]) && !shown.contains("\"d\""), "{shown}");
    }
    let jwk = RSA.public().unwrap().named("k-1").to_jwk();
    let names: Vec<_> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
    assert_eq!((&jwk["use"], &jwk["alg"], &jwk["kid"]), (&json!("enc"), &json!("RSA-OAEP-256"), &json!("k-1")));
}

#[test]
fn keys_of_other_kinds_and_sizes_are_refused() {
    for pem in [P384, "", "hunter2", crate::support::tokens::ED25519] {
        assert_eq!(DecryptionMaterial::from_pem(&Secret::new(pem)).unwrap_err(), KeyError::Pkcs8);
    }
    let public = Secret::new(crate::support::tokens::RSA_PUBLIC);
    assert!(matches!(DecryptionMaterial::from_pem(&public), Err(KeyError::Unusable(_))));
    for (jwk, why) in [
        (r#"{"kty":"OKP","crv":"X25519","x":"AAAA"}"#, "RSA and P-256"),
        (r#"{"kty":"RSA","n":"AQ"}"#, "e is no number"),
        (r#"{"kty":"RSA","n":"AQ","e":"AQAB","use":"sig"}"#, "use is not enc"),
        (r#"{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}"#, "wrong length"),
        ("[]", "not a JSON object"),
    ] {
        let error = EncryptionKey::from_jwk(jwk).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let tiny = EncryptionKey::from_jwk(r#"{"kty":"RSA","n":"qw","e":"AQAB"}"#).unwrap();
    assert!(encrypt(&header("RSA-OAEP", "A128GCM", "k"), b"", &tiny).is_err());
    let key = P256.public().unwrap();
    assert!(encrypt(&header("RSA-OAEP", "A128GCM", "k"), b"", &key).is_err());
    assert!(encrypt(&header("ECDH-ES", "A192GCM", "k"), b"", &key).is_err());
}
