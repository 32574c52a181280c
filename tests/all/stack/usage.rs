//! When keys and scopes were last used: noted once a minute, for whoever writes it down.

use std::time::Duration;

use scopegate::clock::Timestamp;
use scopegate::model::{AppNumber, ScopeId};
use scopegate::registry::{GrantTarget, KeyNumber, NOTED_EVERY, Use};

use crate::support::registry::{ACCOUNT, BOT, account, bot};
use crate::support::{Format, Gateway, Script, Token, now};

async fn call(gateway: &Gateway, app: &str, path: &str) -> u16 {
    let request = Format::Problem.request("GET", path, &Token::of(app).make()).body(Script::empty()).unwrap();
    gateway.call(request).await.status
}

fn key(app: i64, at: Timestamp) -> Use {
    Use::Key { app: AppNumber(app), key: KeyNumber(app * 100), at }
}

fn scope(app: i64, target: GrantTarget, id: &str, at: Timestamp) -> Use {
    Use::Scope { app: AppNumber(app), target, scope: ScopeId::new(id).unwrap(), at }
}

#[tokio::test]
async fn the_first_use_of_a_minute_is_noted_and_the_others_cost_nothing() {
    let gateway = Gateway::new();
    let on_bot = || GrantTarget::Bot(bot("st-1"));
    for _ in 0..3 {
        assert_eq!(call(&gateway, BOT, "/bot/st-1/logs").await, 200);
    }
    assert_eq!(gateway.gate.usage.take(), [key(1, now()), scope(1, on_bot(), "logs", now())]);
    gateway.hands.advance(NOTED_EVERY);
    assert_eq!(call(&gateway, BOT, "/bot/st-1/logs").await, 200);
    let later = now().after(NOTED_EVERY);
    assert_eq!(gateway.gate.usage.take(), [key(1, later), scope(1, on_bot(), "logs", later)]);
}

#[tokio::test]
async fn a_scope_of_an_account_is_noted_once_for_all_its_bots() {
    let gateway = Gateway::new();
    assert_eq!(call(&gateway, ACCOUNT, "/bot/st-1/logs").await, 200);
    assert_eq!(call(&gateway, ACCOUNT, "/bot/st-2/logs").await, 200);
    let target = GrantTarget::Account(account("acme"));
    assert_eq!(gateway.gate.usage.take(), [key(2, now()), scope(2, target, "logs", now())]);
}

#[tokio::test]
async fn a_refused_scope_is_no_use_of_it_and_a_bad_token_is_no_use_of_a_key() {
    let gateway = Gateway::new();
    assert_eq!(call(&gateway, BOT, "/users").await, 403);
    assert_eq!(gateway.gate.usage.take(), [key(1, now())], "the key was used all the same");
    gateway.hands.advance(Duration::from_secs(3600));
    assert_eq!(call(&gateway, ACCOUNT, "/bot/st-1/logs").await, 401, "expired");
    assert_eq!(gateway.gate.usage.take(), []);
}
