//! What people do wrong: the caller reads the platform's words, and the operator learns the cause. A test begins with
//! the number of its mistake. The log, `jwt explain` and `why` are asked about each.

mod cases;
mod world;

use serde_json::Value;

use self::world::{World, world};
use super::body;
use crate::e2e::harness::{Call, Reply, eventually, texts};

/// A call that goes wrong, and what is told of it to whom.
pub struct Mistake {
    pub call: Call,
    /// How often the call was let through before.
    pub after: usize,
    pub reason: &'static str,
    /// Status, text and code of the platform; none where no route is known that answers in its words.
    pub answer: Option<(u16, &'static str, u16)>,
    /// What the log holds, in part.
    pub expected: Option<String>,
    pub found: Option<String>,
    pub in_log: Option<String>,
    /// What `jwt explain` says besides, and `why`.
    pub hints: Vec<String>,
    pub story: Vec<String>,
}

pub const CREDENTIALS: Option<(u16, &str, u16)> = Some((401, "Invalid SDK credentials", 4002));
pub const NO_TOKEN: Option<(u16, &str, u16)> = Some((401, "Invalid JWT token", 4002));
pub const SCOPE: Option<(u16, &str, u16)> = Some((401, "Permission denied. Scope is incorrect!", 4002));

impl Mistake {
    pub fn new(call: Call, reason: &'static str) -> Self {
        let (hints, story) = (Vec::new(), Vec::new());
        Self { call, after: 0, reason, answer: CREDENTIALS, expected: None, found: None, in_log: None, hints, story }
    }

    pub fn answered(self, answer: Option<(u16, &'static str, u16)>) -> Self {
        Self { answer, ..self }
    }

    pub fn after(self, after: usize) -> Self {
        Self { after, ..self }
    }

    pub fn expected(self, text: impl Into<String>) -> Self {
        Self { expected: Some(text.into()), ..self }
    }

    pub fn found(self, text: impl Into<String>) -> Self {
        Self { found: Some(text.into()), ..self }
    }

    /// What the log holds in part, and nobody else in these words.
    pub fn expected_in_log(self, text: impl Into<String>) -> Self {
        Self { in_log: Some(text.into()), ..self }
    }

    /// Told by `jwt explain` alone, which has the token.
    pub fn explained(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Told by `why` alone, which has the log.
    pub fn recounted(mut self, line: impl Into<String>) -> Self {
        self.story.push(line.into());
        self
    }

    /// Told by both.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        self.explained(hint.clone()).recounted(hint)
    }

    /// Makes it, and asks everybody about it.
    #[track_caller]
    pub fn check(&self) {
        let world = world();
        for _ in 0..self.after {
            assert_eq!(world.call(&self.call).status, 200);
        }
        let (reply, line) = self.make(world);
        self.check_answer(&reply);
        self.check_text("the log", &line.to_string(), &[]);
        if self.reason != "token.replayed" {
            let explained = self.explain(world);
            self.check_text("explain", &explained, &self.hints);
        }
        let told = world.why(reply.request_id());
        let words = self.answer.map(|(_, words, _)| words.to_owned());
        self.check_text("why", &told, &[&self.story[..], words.as_slice()].concat());
        assert!(world.upstream.marked(&self.mark()).len() <= self.after);
    }

    fn mark(&self) -> String {
        self.call.headers.iter().find(|(name, _)| name == "x-mark").map(|(_, mark)| mark.clone()).unwrap_or_default()
    }

    /// The answer, and the line that has what is expected in it. No more than a few cases a second are looked into, so it
    /// may take more calls than one.
    fn make(&self, world: &World) -> (Reply, Value) {
        eventually("the log tells the cause", || {
            let reply = world.call(&self.call);
            let line = world.logged(reply.request_id());
            assert_eq!(line["reason"], self.reason, "{line}");
            let has = |name: &str, text: &Option<String>| {
                text.as_ref().is_none_or(|text| line[name].as_str().unwrap_or_default().contains(text.as_str()))
            };
            let is_told = has("expected", &self.expected) && has("expected", &self.in_log) && has("found", &self.found);
            is_told.then_some((reply, line))
        })
    }

    #[track_caller]
    fn check_answer(&self, reply: &Reply) {
        match self.answer {
            Some((status, message, code)) => assert_eq!((reply.status, reply.json()), (status, body(message, code))),
            None => assert_eq!(reply.code(), self.reason),
        }
        // Nothing but the platform's own words: no hint, no scope, no name.
        assert_eq!(reply.header("www-authenticate"), None);
        assert_eq!(reply.header("x-scopegate-reason"), None);
    }

    #[track_caller]
    fn check_text(&self, whose: &str, text: &str, more: &[String]) {
        // In JSON, quotes are escaped.
        let plain = text.replace("\\\"", "\"");
        for wanted in [&self.reason.to_owned()].into_iter().chain(&self.expected).chain(&self.found).chain(more) {
            assert!(plain.contains(wanted.as_str()), "{whose} does not say {wanted:?}:\n{text}");
        }
        for secret in world().secrets.iter().chain(&self.signature()) {
            assert!(!plain.contains(secret.as_str()), "{whose} shows {secret}:\n{text}");
        }
    }

    /// The last part of the call's token, where it has one.
    fn signature(&self) -> Option<String> {
        let (_, value) = self.credential()?;
        let last = value.rsplit('.').next()?;
        (value.matches('.').count() == 2 && last.len() > 20).then(|| last.to_owned())
    }

    fn credential(&self) -> Option<&(String, String)> {
        self.call.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("auth") || name == "Authorization")
    }

    fn explain(&self, world: &World) -> String {
        let Call { method, target, .. } = &self.call;
        let mut arguments = vec!["jwt", "explain", "--method", method, "--path", target, "--host", "gateway.test"];
        if let Some((name, value)) = self.credential() {
            arguments.extend(["--header", name, "--", value]);
        }
        let output = world.gateway.setup.run_before(&arguments);
        let (out, err) = texts(&output);
        assert_eq!((err.as_str(), output.status.code()), ("", Some(1)), "{out}");
        out
    }
}
