//! Who gives new tokens, and how they are asked: the two exchanges, as requests and as readings of their answers.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use serde_json::Value;

use super::super::jwt::icr_claims;
use super::super::skew::http_date;
use crate::clock::Timestamp;
use crate::jose::{Compact, SigningKey, read_time, sign};
use crate::model::{Algorithm, path_segment, printable};
use crate::secret::Secret;

/// The longest token that is taken.
const MAX_TOKEN: usize = 16 << 10;

/// Whom to ask.
pub enum Issuer {
    /// Refreshes a Khoros token with itself.
    Khoros { url: String, app_id: String },
    /// Gets an installation's token with a token that the app signs.
    Icr { url: String, app_id: String, installation: String, key: SigningKey },
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Khoros { url, app_id } => write!(f, "Khoros({url}, {app_id})"),
            Self::Icr { url, installation, .. } => write!(f, "Icr({url}, {installation})"),
        }
    }
}

/// A new token, and when it ends, if that was said.
#[derive(PartialEq, Eq, Debug)]
pub struct Fresh {
    pub token: Secret,
    pub until: Option<Timestamp>,
}

/// Why there is no new token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// 401, where a clock may be to blame.
    pub is_unauthorized: bool,
    pub retry_after: Option<Duration>,
    /// For a person; no token is in it.
    pub text: String,
}

impl Issuer {
    /// The app, as metrics name it.
    pub fn name(&self) -> &str {
        match self {
            Self::Khoros { app_id, .. } => app_id,
            Self::Icr { installation, .. } => installation,
        }
    }

    /// Whether the current token is what asks for the next one.
    pub fn needs_current(&self) -> bool {
        matches!(self, Self::Khoros { .. })
    }

    /// How long a token is good of which nobody says so.
    pub fn assumed_life(&self) -> Duration {
        match self {
            Self::Khoros { .. } => Duration::from_secs(86_400),
            Self::Icr { .. } => Duration::from_secs(3600),
        }
    }

    /// The request for a new token, at this time by the gateway's clock.
    ///
    /// # Errors
    /// What is missing, or does not sign.
    pub fn request(&self, current: Option<&Secret>, now: Timestamp) -> Result<Request<Bytes>, String> {
        let (request, bearer) = match self {
            Self::Khoros { url, app_id } => {
                let current = current.ok_or("there is no token to refresh")?;
                let app_id = path_segment(app_id, "");
                (Request::put(format!("{url}/bots/v3/tokens/appId/{app_id}")), current.clone())
            }
            Self::Icr { url, app_id, installation, key } => {
                let token = sign(Algorithm::Rs256, None, &icr_claims(app_id, now), key);
                let token = token.map_err(|error| error.to_string())?;
                let installation = path_segment(installation, "");
                (Request::post(format!("{url}/app/installations/{installation}/access_tokens")), token.into())
            }
        };
        let bearer = [b"Bearer ", bearer.expose()].concat();
        let mut bearer = header::HeaderValue::from_bytes(&bearer).map_err(|_| "the file holds no token")?;
        bearer.set_sensitive(true);
        let request = request.header(header::AUTHORIZATION, bearer).header(header::ACCEPT, "application/json");
        request.body(Bytes::new()).map_err(|error| error.to_string())
    }

    /// What an answer says.
    ///
    /// # Errors
    /// Where it brings no token.
    pub fn read(&self, answer: &Response<Bytes>, now: Timestamp) -> Result<Fresh, Refused> {
        let is_good = match self {
            Self::Khoros { .. } => answer.status() == StatusCode::OK,
            Self::Icr { .. } => answer.status() == StatusCode::CREATED,
        };
        let refused = |text: String| Refused {
            is_unauthorized: answer.status() == StatusCode::UNAUTHORIZED,
            retry_after: retry_after(answer.headers(), now),
            text,
        };
        if !is_good {
            return Err(refused(self.told(answer)));
        }
        read_token(answer.body()).ok_or_else(|| refused(format!("{} without a token", answer.status())))
    }

    fn told(&self, answer: &Response<Bytes>) -> String {
        let (status, said) = (answer.status(), said(answer.body()));
        let meaning = match (self, status.as_u16()) {
            (_, 300..=399) => "; redirects are not followed: give the address itself",
            (Self::Khoros { .. }, 409) => {
                "; the token was refreshed elsewhere and this one is superseded: put the newest one into the file"
            }
            (Self::Khoros { .. }, 400 | 401) => {
                "; the token has expired, was revoked or was refreshed elsewhere: put the newest one into the file, or \
                 have an operator reset the app's tokens"
            }
            (Self::Icr { .. }, 401) => "; are the app id and the private key those of this app?",
            (Self::Icr { .. }, 404) => "; is this the installation's id, and not the app's?",
            _ => "",
        };
        let said = if said.is_empty() { said } else { format!(" {said:?}") };
        format!("{status}{said}{meaning}")
    }
}

/// A token out of the JSON of either platform; also where the vendor's own examples misspell a key.
pub fn read_token(body: &[u8]) -> Option<Fresh> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let data = body.get("data").unwrap_or(&body).as_object()?;
    let token = data.get("token")?.as_str()?.trim();
    let is_sound = |t: &str| (1..=MAX_TOKEN).contains(&t.len()) && t.bytes().all(|b| matches!(b, 0x21..=0x7e));
    let token = Some(token).filter(|token| is_sound(token))?;
    let named =
        |name: &str| data.iter().find(|(key, _)| key.trim_end_matches([':', ' ']) == name).map(|(_, value)| value);
    let millis = named("expiresAtMillis").and_then(Value::as_i64).map(Timestamp::from_millis);
    let text = named("expires_at").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let token = Secret::new(token);
    let until = millis.or(text).or_else(|| claimed(&token).1);
    Some(Fresh { token, until })
}

/// `iat` and `exp` of a token that is a JWS; its signature is the gateway's to check.
pub fn claimed(token: &Secret) -> (Option<Timestamp>, Option<Timestamp>) {
    let compact = Compact::parse(token.expose(), MAX_TOKEN).ok();
    let time = |name: &str| compact.as_ref()?.claims.get(name).and_then(|raw| read_time(raw).ok());
    (time("iat"), time("exp"))
}

/// The words of a refusal, in any of the shapes that gateways use; nothing that could be a token.
fn said(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let shapes = ["/error/message", "/message", "/detail", "/title", "/error_description", "/error"];
    let text = shapes.iter().find_map(|shape| body.pointer(shape)?.as_str()).unwrap_or_default();
    let shown: String = text.split_whitespace().filter(|word| word.len() <= 40).collect::<Vec<_>>().join(" ");
    printable(shown.chars().take(200).collect::<String>().into()).into_owned()
}

/// RFC 9110 section 10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    text.parse().map(Duration::from_secs).ok().or_else(|| http_date(text).map(|then| now.until(then)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_348_800);

    fn khoros() -> Issuer {
        Issuer::Khoros { url: "http://localhost".into(), app_id: "my bot/1".into() }
    }

    fn answer(status: u16, body: &Value) -> Response<Bytes> {
        Response::builder().status(status).body(body.to_string().into()).unwrap()
    }

    fn until(body: &Value) -> Option<i64> {
        let fresh = khoros().read(&answer(200, body), NOW).unwrap();
        assert_eq!(fresh.token, Secret::new("new"));
        fresh.until.map(Timestamp::millis)
    }

    #[test]
    fn a_refresh_carries_the_token_to_the_app_s_own_path() {
        let request = khoros().request(Some(&Secret::new("old")), NOW).unwrap();
        assert_eq!((request.method().as_str(), request.uri().path()), ("PUT", "/bots/v3/tokens/appId/my%20bot%2F1"));
        assert_eq!(request.headers()["authorization"], "Bearer old");
        assert!(!format!("{request:?}").contains("old"));
        assert!(khoros().request(None, NOW).is_err() && khoros().request(Some(&Secret::new("a\nb")), NOW).is_err());
    }

    #[test]
    fn an_end_is_read_also_under_the_key_that_the_vendor_misspells() {
        assert_eq!(
            until(&json!({ "data": { "token": "new", "expiresAtMillis": 1_557_163_788_687_i64 }, "requestId": "r" })),
            Some(1_557_163_788_687)
        );
        assert_eq!(until(&json!({ "data": { "token": "new", "expiresAtMillis: ": 5 } })), Some(5));
        assert_eq!(until(&json!({ "token": "new", "expires_at": "2026-11-22T13:00:00Z" })), Some(1_795_352_400_000));
        // A token that was given out is kept, whatever is said of it.
        assert_eq!(until(&json!({ "data": { "token": "new", "expiresAtMillis": "soon" } })), None);
    }

    #[test]
    fn a_refusal_says_what_to_do_and_how_long_to_wait() {
        let said = |status, body: &Value| khoros().read(&answer(status, body), NOW).unwrap_err().text;
        assert!(
            said(409, &json!({ "error": { "message": "superseded" } }))
                .contains("\"superseded\"; the token was refreshed elsewhere")
        );
        assert!(said(400, &json!({ "error": { "message": "Unauthorized" } })).contains("expired"));
        assert!(said(302, &json!(null)).contains("not followed"));
        assert!(said(200, &json!({ "data": {} })).contains("without a token"));
        assert!(said(200, &json!({ "data": { "token": "two words" } })).contains("without a token"));
        let long = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2ln";
        assert!(!said(500, &json!({ "message": format!("bad token {long}") })).contains(long));
        let wait = |text: &str| {
            let mut answer = answer(429, &json!({}));
            answer.headers_mut().insert("retry-after", text.parse().unwrap());
            khoros().read(&answer, NOW).unwrap_err().retry_after
        };
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait("Sun, 22 Nov 2026 12:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!((wait("Sun, 22 Nov 2020 12:01:00 GMT"), wait("soon")), (Some(Duration::ZERO), None));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(status in 200_u16..600, body in ".{0,200}", value in "[{}\\[\\]:,\"a-z0-9]{0,40}") {
            for text in [body, format!("{{\"data\":{{\"token\":{value}}}}}")] {
                let answer = Response::builder().status(status).body(Bytes::from(text)).unwrap();
                _ = khoros().read(&answer, NOW);
            }
        }
    }
}
