//! Signs an app's own token and calls a gateway with it.
//!
//!     cargo run --example call_app -- http://127.0.0.1:8080
//!
//! `SCOPEGATE_APP_ID` holds the app's id, and `SCOPEGATE_PRIVATE_KEY` its private key in PEM, or
//! `SCOPEGATE_PRIVATE_KEY_FILE` the path of the key.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use scopegate::clock::{Clock, Timestamp};
use scopegate::jose::{SigningKey, sign};
use scopegate::model::Algorithm;
use scopegate::secret::Secret;
use serde_json::json;

fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    std::env::var(name).map_err(|_| format!("{name} is not set").into())
}

/// PKCS #1 or PKCS #8; what variables do to line breaks is mended.
fn private_key() -> Result<SigningKey, Box<dyn Error>> {
    let pem = match std::env::var("SCOPEGATE_PRIVATE_KEY") {
        Ok(pem) => pem,
        Err(_) => std::fs::read_to_string(variable("SCOPEGATE_PRIVATE_KEY_FILE")?)?,
    };
    Ok(SigningKey::from_pem(&Secret::new(pem), Algorithm::Rs256)?)
}

fn app_token(app_id: &str, key: &SigningKey, now: Timestamp) -> Result<String, Box<dyn Error>> {
    // A minute back for a gateway whose clock is behind; a minute less than the ten that are the limit, for this clock.
    let claims = json!({ "iss": app_id, "iat": now.secs() - 60, "exp": now.secs() + 540 });
    Ok(sign(Algorithm::Rs256, None, &claims.to_string(), key)?)
}

/// On this machine, where no TLS is needed; any HTTP library does as well.
fn get(address: &str, path: &str, token: &str) -> Result<String, Box<dyn Error>> {
    let host = address.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The gateway's answer to a call of this app's.
///
/// # Errors
/// When nothing answers, or the key does not sign.
pub fn call(address: &str, app_id: &str, key: &SigningKey) -> Result<String, Box<dyn Error>> {
    get(address, "/app", &app_token(app_id, key, Clock::System.now())?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("give the address of the gateway")?;
    let answer = call(&address, &variable("SCOPEGATE_APP_ID")?, &private_key()?)?;
    println!("{answer}");
    if answer.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err("the gateway refused the call".into()) }
}
