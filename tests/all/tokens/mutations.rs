//! A token that was changed in one byte never passes.

use http::{HeaderValue, Request};
use jsonwebtoken::Algorithm;

use crate::support::encryption::{ENCRYPTIONS, header, seal};
use crate::support::registry::{ACCOUNT, ENCRYPTED};
use crate::support::{Format, Gateway, Random, Script, Token};

const MUTATIONS: usize = 10_000;
const SIGNED: [Algorithm; 4] = [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// Any byte that can stand in a header field, half of the time one that can stand in a token.
fn byte(random: &mut Random) -> u8 {
    const PLAIN: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    match random.below(2) {
        0 => PLAIN[random.below(PLAIN.len())],
        _ => loop {
            let any = u8::try_from(random.below(256)).unwrap_or_default();
            if any >= 0x20 && any != 0x7f {
                break any;
            }
        },
    }
}

/// Replaces, inserts, deletes or swaps.
fn mutate(token: &[u8], random: &mut Random) -> Vec<u8> {
    let mut token = token.to_vec();
    let (at, other) = (random.below(token.len()), random.below(token.len()));
    match random.below(4) {
        0 => token[at] = byte(random),
        1 => token.insert(random.below(token.len() + 1), byte(random)),
        2 => _ = token.remove(at),
        _ => token.swap(at, other),
    }
    token
}

fn call(format: Format, path: &str, token: &[u8]) -> Request<Script> {
    let mut credential = format.credential("").into_bytes();
    credential.extend(token);
    let credential = HeaderValue::from_bytes(&credential).unwrap();
    format.bare("GET", path).header(format.header(), credential).body(Script::empty()).unwrap()
}

#[tokio::test]
async fn f027_no_single_mutation_of_a_valid_token_passes() {
    let seed = Random::seed();
    let mut random = Random::new(seed);
    let gateway = Gateway::new();
    let tokens = SIGNED.map(|algorithm| Token::of(ACCOUNT).signed(algorithm).make());
    let mut passed = 0;
    for n in 0..MUTATIONS {
        let (format, token) = (Format::ALL[n / 4 % 2], tokens[n % 4].as_bytes());
        let mutated = mutate(token, &mut random);
        let reply = gateway.call(call(format, "/users", &mutated)).await;
        let shown = String::from_utf8_lossy(&mutated);
        // Spaces between scheme and token belong to neither (RFC 9110 section 11.4).
        let same = mutated == token || format == Format::Problem && mutated.trim_ascii_start() == token;
        passed += usize::from(same);
        let right = if same { reply.status == 200 } else { (400..500).contains(&reply.status) };
        assert!(right, "SEED={seed}, mutation {n}: {} for {shown} ({})", reply.status, format.name());
    }
    assert_eq!(gateway.leaf.take().len(), passed, "SEED={seed}");
    assert!(passed < MUTATIONS / 10, "SEED={seed}: the mutations change nothing");
}

#[tokio::test]
async fn no_mutation_of_an_encrypted_token_passes() {
    let seed = Random::seed();
    let mut random = Random::new(seed);
    let gateway = Gateway::new();
    let inner = Token::of(ENCRYPTED).make();
    let tokens = ENCRYPTIONS.map(|encryption| seal(&header("ECDH-ES", encryption, "k-p256"), &inner));
    for n in 0..MUTATIONS / 10 {
        let token = tokens[n % 4].as_bytes();
        let mutated = mutate(token, &mut random);
        let reply = gateway.call(call(Format::Kore, "/any", &mutated)).await;
        let right = if mutated == token { reply.status == 200 } else { (400..500).contains(&reply.status) };
        assert!(right, "SEED={seed}, mutation {n}: {} for {}", reply.status, String::from_utf8_lossy(&mutated));
    }
}
