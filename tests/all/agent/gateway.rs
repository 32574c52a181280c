//! A gateway as far as the agent sees it: Khoros tokens with their grace, and ICR installations.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use scopegate::cli::agent::{CallError, Transport};
use scopegate::clock::{Clock, Timestamp};
use scopegate::jose::{Compact, PreparedKey};
use serde_json::{Value, json};

use super::DAY;

const GRACE: Duration = Duration::from_secs(600);

/// Clones are the same gateway.
#[derive(Clone)]
pub struct Gateway {
    clock: Clock,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
pub struct Inner {
    issued: u64,
    pub current: String,
    /// The one before, and until when it is good.
    graced: Option<(String, Timestamp)>,
    /// How far this gateway's clock is ahead of the keeper's, in seconds.
    pub ahead: i64,
    /// Answers that come instead of its own, the last one first.
    pub instead: Vec<Instead>,
    /// What happens just before an answer.
    pub meanwhile: Option<Box<dyn FnOnce() + Send>>,
    /// The key that ICR apps' tokens are checked with.
    pub public_key: Option<PreparedKey>,
    pub calls: usize,
}

pub enum Instead {
    Answer(u16, Option<&'static str>),
    /// The call is understood, and its answer lost.
    Lost,
    Unreachable,
}

impl Gateway {
    pub fn new(clock: Clock) -> Self {
        Self { clock, inner: Arc::default() }
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn now(&self) -> Timestamp {
        let ahead = self.inner().ahead;
        Timestamp::from_millis(self.clock.now().millis() + ahead * 1000)
    }

    /// Gives the app a first token, or a new one.
    pub fn rotate(&self) -> String {
        let now = self.now();
        let mut inner = self.inner();
        inner.issued += 1;
        let new = format!("token-{}", inner.issued);
        let old = std::mem::replace(&mut inner.current, new.clone());
        inner.graced = Some((old, now.after(GRACE)));
        new
    }

    /// What a call with this token meets.
    pub fn takes(&self, token: &str) -> bool {
        let now = self.now();
        let inner = self.inner();
        token == inner.current || inner.graced.as_ref().is_some_and(|(old, until)| old == token && now < *until)
    }

    fn answer(&self, request: &Request<Bytes>) -> (u16, Value) {
        let bearer = request.headers()["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
        match (request.method().as_str(), request.uri().path()) {
            ("PUT", "/bots/v3/tokens/appId/bot-1") => self.refresh(bearer),
            ("POST", "/app/installations/7/access_tokens") => self.installation(bearer),
            other => panic!("{other:?}"),
        }
    }

    fn refresh(&self, bearer: &str) -> (u16, Value) {
        if self.inner().current == bearer {
            let until = self.now().after(90 * DAY).millis();
            let data = json!({ "token": self.rotate(), "expiresAtMillis": until });
            return (200, json!({ "data": data, "requestId": "r" }));
        }
        let status = if self.takes(bearer) { 409 } else { 400 };
        (status, json!({ "error": { "message": "Unauthorized", "requestId": "r" } }))
    }

    /// By the rules of platforms.md section 3.1.
    fn installation(&self, bearer: &str) -> (u16, Value) {
        let token = Compact::parse(bearer.as_bytes(), 8192).unwrap();
        let number = |name: &str| token.claims.get(name).unwrap().parse::<i64>().unwrap();
        let now = self.now().secs();
        let is_signed =
            self.inner().public_key.as_ref().is_some_and(|key| key.verifies(token.signing_input, &token.signature));
        assert_eq!(token.claims.string("iss").as_deref(), Some("42"));
        if !is_signed || number("iat") > now || number("exp") <= now || number("exp") > now + 600 {
            return (401, json!({ "message": "'Expiration time' claim ('exp') is too far in the future" }));
        }
        let until = self.now().after(Duration::from_secs(3600)).to_string();
        (201, json!({ "token": format!("ghs_{}", self.rotate()), "expires_at": until, "permissions": {} }))
    }
}

impl Transport for Gateway {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, CallError> {
        let (instead, meanwhile) = {
            let mut inner = self.inner();
            inner.calls += 1;
            (inner.instead.pop(), inner.meanwhile.take())
        };
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        let date = std::time::UNIX_EPOCH + Duration::from_secs(self.now().secs().unsigned_abs());
        let response = Response::builder().header("date", httpdate::fmt_http_date(date));
        let (status, body, response) = match instead {
            None => {
                let (status, body) = self.answer(&request);
                (status, body, response)
            }
            Some(Instead::Answer(status, retry_after)) => {
                let response = match retry_after {
                    Some(value) => response.header("retry-after", value),
                    None => response,
                };
                (status, json!({ "message": "not now" }), response)
            }
            Some(Instead::Lost) => {
                self.answer(&request);
                return Err(CallError::NoAnswer("it took longer than 10s".into()));
            }
            Some(Instead::Unreachable) => return Err(CallError::NotMade("no connection".into())),
        };
        Ok(response.status(status).body(body.to_string().into()).unwrap())
    }
}
