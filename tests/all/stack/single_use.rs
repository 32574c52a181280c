//! Tokens of single use: the first use is the last check.

use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use http_body_util::BodyExt as _;
use scopegate::clock::Timestamp;
use scopegate::config;
use scopegate::gateway::{Outcome, ScopegateLayer};
use scopegate::model::{AppNumber, Reason};
use scopegate::policy::AuthenticatorKind;
use scopegate::registry::{Snapshot, Version};
use scopegate::replay::{Answer, FirstUse, ReplayMemory};
use scopegate::verify::{TokenRules, Verifier};
use tokio::sync::oneshot;
use tower::{Layer as _, Service as _};

use crate::support::registry::{ACCOUNT, SINGLE, registry};
use crate::support::routes::token_settings;
use crate::support::{Format, Gateway, Script, Token, now};

fn token(jti: &str) -> String {
    Token::of(SINGLE).claim("jti", jti).make()
}

#[tokio::test]
async fn the_second_call_with_a_token_of_single_use_is_refused() {
    let gateway = Gateway::new();
    let call = || gateway.call(Format::Problem.request("GET", "/any", &token("a")).body(Script::empty()).unwrap());
    assert_eq!(call().await.status, 200);
    let again = call().await;
    assert_eq!((again.status, again.log.reason), (401, Some(Reason::TokenReplayed)));
    gateway.leaf.take_one();
}

#[tokio::test]
async fn the_same_jti_in_another_token_is_a_replay_too() {
    let gateway = Gateway::new();
    let tokens = [token("a"), Token::of(SINGLE).claim("jti", "a").claim("sub", "somebody else").make()];
    let mut statuses = Vec::new();
    for token in tokens {
        let request = Format::Kore.request("GET", "/any", &token).body(Script::empty()).unwrap();
        statuses.push(gateway.call(request).await.status);
    }
    assert_eq!(statuses, [200, 401]);
}

#[tokio::test]
async fn a_call_that_is_refused_for_another_reason_burns_no_jti() {
    let gateway = Gateway::new();
    let token = token("a");
    let refused = [
        ("GET", "/users", Reason::ScopeInsufficient),
        ("GET", "/bot/st-9/logs", Reason::AppWrongAccount),
        ("DELETE", "/any", Reason::MethodNotAllowed),
        ("GET", "/tables/orders", Reason::TableForbidden),
    ];
    for (method, path, reason) in refused {
        let request = Format::Problem.request(method, path, &token).body(Script::empty()).unwrap();
        assert_eq!(gateway.call(request).await.log.reason, Some(reason));
        assert!(gateway.gate.replay.entries() == 0);
    }
    let request = Format::Problem.request("GET", "/any", &token).body(Script::empty()).unwrap();
    assert_eq!(gateway.call(request).await.status, 200);
    assert_eq!(gateway.gate.replay.entries(), 1);
}

#[tokio::test]
async fn a_jti_is_no_single_use_where_nobody_asks_for_it() {
    let gateway = Gateway::new();
    let token = Token::of(ACCOUNT).claim("jti", "a").make();
    for _ in 0..2 {
        let request = Format::Problem.request("GET", "/any", &token).body(Script::empty()).unwrap();
        assert_eq!(gateway.call(request).await.status, 200);
    }
}

#[test]
fn a_use_is_remembered_until_the_token_is_good_nowhere() {
    let config = config::parse(
        "scopegate.toml",
        "[upstream.bots]\nurls = [\"http://127.0.0.1:9\"]\n\
         [authenticator.strict]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nleeway = \"0s\"\n\
         [authenticator.lenient]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nleeway = { exp = \"90s\" }\n\
         [[route]]\nid = \"a\"\nmethods = [\"GET\"]\npath = \"/a\"\nauthenticator = \"strict\"\nscope = \"any\"\n\
         [[route]]\nid = \"b\"\nmethods = [\"GET\"]\npath = \"/b\"\nauthenticator = \"lenient\"\nscope = \"any\"\n",
    );
    let config = config.unwrap();
    let (snapshot, token) = (Snapshot::new(Version(1), registry()), token("a"));
    for route in config.routes.routes() {
        let AuthenticatorKind::Jwt(jwt) = &route.authenticator.kind else { panic!("{}", route.id) };
        let verified = Verifier::new(0).verify(token.as_bytes(), &jwt.rules, &snapshot, now()).unwrap();
        assert_eq!(verified.single_use().unwrap().until, now().after(Duration::from_secs(300 + 300)), "{}", route.id);
    }
}

/// The cache counts what it holds only now and then, so there have to be many.
#[test]
fn tokens_of_single_use_are_not_remembered() {
    let (rules, snapshot) = (TokenRules::new(token_settings("x")), Snapshot::new(Version(1), registry()));
    for (app, remembers) in [(SINGLE, false), (ACCOUNT, true)] {
        let verifier = Verifier::new(1 << 20);
        for n in 0..1000 {
            let token = Token::of(app).claim("jti", n.to_string()).make();
            assert!(verifier.verify(token.as_bytes(), &rules, &snapshot, now()).is_ok());
        }
        assert_eq!(verifier.remembered() > 0, remembers, "{app}");
    }
}

/// A memory that answers when the test says so.
#[derive(Default)]
struct Waiting(Mutex<Vec<oneshot::Sender<FirstUse>>>);

impl ReplayMemory for Waiting {
    fn is_used(&self, _: AppNumber, _: &str, _: Timestamp) -> bool {
        false
    }

    fn first_use(&self, _: AppNumber, _: &str, _: Timestamp, _: Timestamp) -> Answer {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap().push(sender);
        Answer::Later(Box::pin(async { receiver.await.unwrap_or(FirstUse::Unavailable) }))
    }

    fn sweep(&self, _: Timestamp) -> usize {
        0
    }

    fn entries(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

fn waiting() -> (Gateway, Arc<Waiting>) {
    let memory = Arc::<Waiting>::default();
    (Gateway::with_memory(|_| Arc::clone(&memory) as _), memory)
}

#[tokio::test]
async fn a_memory_that_can_not_be_reached_is_a_503_and_never_a_pass() {
    for format in Format::ALL {
        let (gateway, memory) = waiting();
        let call = gateway.call(format.request("GET", "/any", &token("a")).body(Script::empty()).unwrap());
        let fail = async {
            while memory.entries() == 0 {
                tokio::task::yield_now().await;
            }
            drop(memory.0.lock().unwrap().pop());
        };
        let (reply, ()) = tokio::join!(call, fail);
        assert_eq!((reply.status, reply.log.reason), (503, Some(Reason::ReplayUnavailable)));
        assert_eq!(reply.header("retry-after"), Some("1"));
        assert!(gateway.leaf.take().is_empty());
    }
}

#[tokio::test]
async fn a_call_that_waits_holds_up_no_other() {
    let (gateway, memory) = waiting();
    let mut service = ScopegateLayer::new(gateway.gate.clone()).layer(gateway.leaf.clone());
    let request = |token: &str| Format::Problem.request("GET", "/any", token).body(Script::empty()).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut first = Box::pin(service.call(request(&token("a"))));
    let second = Box::pin(service.call(request(&token("b"))));
    assert!(first.as_mut().poll(&mut context).is_pending());
    let reusable = service.call(request(&Token::of(ACCOUNT).make())).await.unwrap();
    assert_eq!(reusable.status(), 200);
    gateway.leaf.take_one();
    let mut answers = memory.0.lock().unwrap().drain(..).collect::<Vec<_>>().into_iter();
    let (of_first, of_second) = (answers.next().unwrap(), answers.next().unwrap());
    of_second.send(FirstUse::Replayed).unwrap();
    assert_eq!(second.await.unwrap().status(), 401);
    assert!(gateway.leaf.take().is_empty());
    of_first.send(FirstUse::Recorded).unwrap();
    let response = first.await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body().collect().await.unwrap();
    gateway.leaf.take_one();
}

#[tokio::test]
async fn a_caller_who_leaves_while_the_call_waits_is_on_record() {
    let (gateway, memory) = waiting();
    let mut service = ScopegateLayer::new(gateway.gate.clone()).layer(gateway.leaf.clone());
    let request = Format::Problem.request("GET", "/any", &token("a")).body(Script::empty()).unwrap();
    let mut call = Box::pin(service.call(request));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(gateway.log.take().is_empty());
    drop(call);
    let line = gateway.log.take_one();
    assert_eq!((line.outcome, line.status, line.reason), (Outcome::Abandoned, None, None));
    assert_eq!((line.app.as_deref(), line.is_verified), (Some(SINGLE), true));
    assert_eq!(memory.entries(), 1, "it was asked, so the jti is used");
    assert!(gateway.leaf.take().is_empty());
    assert_eq!(gateway.gate.in_hand.load(std::sync::atomic::Ordering::Relaxed), 0);
}
