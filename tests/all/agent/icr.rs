//! An installation's token, got with tokens that the app signs.

use std::time::Duration;

use scopegate::cli::agent::{Issuer, Step};
use scopegate::jose::{KeyMaterial, SigningKey};
use scopegate::model::Algorithm;
use scopegate::secret::Secret;

use super::{Bench, SCHEDULE};
use crate::support::tokens::{RSA, RSA_PUBLIC};

fn bench() -> Bench {
    let key = SigningKey::from_pem(&Secret::new(RSA), Algorithm::Rs256).unwrap();
    let issuer = Issuer::Icr { url: "http://gateway.test".into(), app_id: "42".into(), installation: "7".into(), key };
    let bench = Bench::new(issuer, SCHEDULE);
    let public = KeyMaterial::from_pem(RSA_PUBLIC).unwrap().prepare(Algorithm::Rs256);
    bench.gateway.inner().public_key = public.ok();
    bench
}

#[tokio::test]
async fn an_installations_token_is_got_and_kept() {
    let mut bench = bench();
    assert_eq!(bench.waits().await, Duration::from_secs(2400), "a third of an hour is left then");
    assert_eq!(bench.read(), "ghs_token-1");
    bench.hands.advance(Duration::from_secs(2400));
    bench.step().await;
    assert_eq!(bench.read(), "ghs_token-2");
    // Also when it had ended long before: it needs no token to get one.
    bench.hands.advance(Duration::from_secs(86_400));
    bench.step().await;
    assert_eq!(bench.read(), "ghs_token-3");
}

#[tokio::test]
async fn f160_a_clock_that_is_two_minutes_off_costs_one_retry() {
    for ahead in [-120, 120, -3600, 3600] {
        let mut bench = bench();
        bench.gateway.inner().ahead = ahead;
        assert!(matches!(bench.step().await, Step::Wait(_)), "{ahead}");
        assert_eq!((bench.read().as_str(), bench.keeper.numbers().failures), ("ghs_token-1", 0));
        let calls = bench.gateway.inner().calls;
        // Two minutes slow is within what nine minutes of life and a minute back leave room for.
        assert_eq!(calls, if ahead == 120 { 1 } else { 2 }, "{ahead}");
        // What was learnt stays: the next one needs no retry.
        bench.hands.advance(Duration::from_secs(2400));
        bench.step().await;
        assert_eq!((bench.read().as_str(), bench.gateway.inner().calls), ("ghs_token-2", calls + 1));
    }
}

#[tokio::test]
async fn a_key_that_is_refused_is_not_tried_twice_where_the_clock_is_right() {
    let mut bench = bench();
    bench.gateway.inner().public_key = None;
    assert_eq!(bench.step().await, Step::GiveUp);
    assert_eq!(bench.gateway.inner().calls, 1);
    assert!(bench.said().contains("those of this app?"));
}
