//! Every refusal: its status, headers and body in both formats, and what the log says about it.

use std::collections::BTreeSet;

use scopegate::gateway::Outcome;
use scopegate::model::Reason;
use serde_json::json;

use super::cases::{Case, any, cases, fitting, strict};
use crate::support::registry::BOT;
use crate::support::routes::in_secs;
use crate::support::{Format, Gateway, Reply, Script, Token};

#[tokio::test]
async fn every_refusal_has_its_answer_and_its_true_reason_in_the_log() {
    for case in cases() {
        for format in Format::ALL.into_iter().filter(|f| case.only.is_none_or(|only| only == *f)) {
            refuse(&case, format).await;
        }
    }
}

async fn refuse(case: &Case, format: Format) {
    let gateway = Gateway::new();
    for n in 0..=case.earlier {
        let reply = gateway.call((case.call)(format, n).body(Script::empty()).unwrap()).await;
        let at = format!("{} ({}), call {n}: {reply:?}", case.name, format.name());
        if n < case.earlier {
            assert_eq!(reply.status, 200, "{at}");
            gateway.leaf.take_one();
            continue;
        }
        check_log(case, &reply, &at);
        match case.kore.filter(|_| format == Format::Kore) {
            Some(wanted) => check_kore(wanted, &reply, &at),
            None => check_problem(case, &reply, &at),
        }
        assert!(gateway.leaf.take().is_empty(), "{at}");
    }
}

#[track_caller]
fn check_log(case: &Case, reply: &Reply, at: &str) {
    assert_eq!(reply.log.reason, Some(case.reason), "{at}");
    assert_eq!(reply.log.outcome, Outcome::Complete, "{at}");
    assert_eq!(reply.log.is_verified, case.is_verified, "{at}");
    assert_eq!(reply.log.bytes_out, u64::try_from(reply.body.len()).unwrap(), "{at}");
    for (wanted, logged) in [(case.expected, &reply.log.expected), (case.found, &reply.log.found)] {
        assert_eq!(wanted.is_some(), logged.is_some(), "{at}");
        assert!(logged.as_deref().unwrap_or_default().contains(wanted.unwrap_or_default()), "{at}");
    }
}

#[track_caller]
fn check_problem(case: &Case, reply: &Reply, at: &str) {
    let (status, code) = case.problem;
    assert_eq!(reply.status, status, "{at}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{at}");
    let body = reply.json();
    assert_eq!((&body["status"], &body["code"]), (&status.into(), &code.into()), "{at}");
    assert_eq!(body["request_id"], reply.log.request_id, "{at}");
    let challenge = reply.header("www-authenticate");
    match (status, case.reason) {
        (401, Reason::CredentialMissing | Reason::CredentialWrongScheme) => {
            assert_eq!(challenge, Some("Bearer"), "{at}");
        }
        (401, Reason::CredentialMalformed) | (400, Reason::CredentialAmbiguous) => {
            assert!(challenge.unwrap().starts_with("Bearer error=\"invalid_request\""), "{at}");
        }
        (401, _) => assert!(challenge.unwrap().starts_with("Bearer error=\"invalid_token\""), "{at}"),
        (403, Reason::ScopeInsufficient) => {
            assert!(challenge.unwrap().starts_with("Bearer error=\"insufficient_scope\""), "{at}");
            assert!(challenge.unwrap().ends_with("scope=\"train\""), "{at}");
            assert_eq!(body["scope"], "train", "{at}");
        }
        (403, _) => assert!(challenge.unwrap().starts_with("Bearer error=\"insufficient_scope\""), "{at}"),
        _ => assert_eq!(challenge, None, "{at}"),
    }
    check_common(reply, at);
}

#[track_caller]
fn check_kore((status, text, code): (u16, &str, u16), reply: &Reply, at: &str) {
    assert_eq!(reply.status, status, "{at}");
    assert_eq!(reply.header("content-type"), Some("application/json"), "{at}");
    assert_eq!(reply.json(), json!({ "errors": [{ "msg": text, "code": code }] }), "{at}");
    assert_eq!(reply.header("www-authenticate"), None, "{at}");
    assert_eq!(reply.header("x-scopegate-reason"), None, "{at}");
    check_common(reply, at);
}

#[track_caller]
fn check_common(reply: &Reply, at: &str) {
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{at}");
    assert_eq!(reply.header("retry-after"), (reply.status == 503).then_some("1"), "{at}");
    assert_eq!(reply.header("allow"), (reply.status == 405).then_some("GET, POST"), "{at}");
}

/// Those that need more than a request, and the tests that have them.
const ELSEWHERE_TESTED: &[(Reason, &str)] = &[
    (Reason::CertificateRequired, "client_certificates"),
    (Reason::CertificateNotAllowed, "client_certificates"),
    (Reason::KeysUnavailable, "identity"),
    (Reason::CorsNotAllowed, "cors"),
    (Reason::UpgradeNotAllowed, "streams"),
    (Reason::OauthRequestInvalid, "oauth"),
    (Reason::OauthClientUnproved, "oauth"),
    (Reason::OauthClientMismatch, "oauth"),
    (Reason::OauthGrantUnsupported, "oauth"),
    (Reason::OauthScopeInvalid, "oauth"),
    (Reason::OauthTokenUnsupported, "oauth"),
    (Reason::OauthTokenForeign, "oauth"),
    (Reason::StoreUnavailable, "khoros"),
    (Reason::TokenIatRequired, "icr"),
    (Reason::CredentialInvalid, "khoros"),
    (Reason::CredentialThrottled, "khoros"),
    (Reason::RoleMissing, "khoros"),
    (Reason::TokenExists, "khoros"),
    (Reason::TokenAbsent, "khoros"),
    (Reason::TokenRefreshed, "khoros"),
    (Reason::AppMismatch, "khoros"),
    (Reason::OwnerUnknown, "khoros"),
    (Reason::InstallationUnknown, "icr"),
    (Reason::InstallationSuspended, "icr"),
    (Reason::PermissionsNotGranted, "icr"),
    (Reason::PermissionsInsufficient, "icr"),
    (Reason::RepositoriesNotGranted, "icr"),
    (Reason::RepositoriesTooMany, "icr"),
    (Reason::TokenRevoked, "the conformance of token stores"),
    (Reason::TokenSuperseded, "the conformance of token stores"),
    (Reason::ReplayUnavailable, "single_use"),
    (Reason::QuotaExceeded, "quota"),
    (Reason::RequestTimeout, "forward"),
    (Reason::UpstreamUnreachable, "forward"),
    (Reason::UpstreamUnresolved, "upstreams"),
    (Reason::UpstreamConnectTimeout, "upstreams"),
    (Reason::UpstreamTlsFailed, "tls"),
    (Reason::UpstreamReset, "forward"),
    (Reason::UpstreamUnhealthy, "upstreams"),
    (Reason::UpstreamOverloaded, "upstreams"),
    (Reason::UpstreamTimeout, "forward"),
    (Reason::UpstreamInvalid, "forward"),
    (Reason::GatewayOverloaded, "limits"),
    (Reason::GatewayInternal, "record"),
    (Reason::GatewayStopping, "streams"),
    (Reason::TunnelIdle, "streams"),
    (Reason::TokenInvalid, "an answer alone, never a reason"),
];

#[test]
fn every_reason_is_produced_by_a_test() {
    let tested = cases().into_iter().map(|c| c.reason).chain(ELSEWHERE_TESTED.iter().map(|(reason, _)| *reason));
    let tested: BTreeSet<_> = tested.collect();
    let all: BTreeSet<_> = Reason::ALL.iter().copied().collect();
    assert_eq!(all.difference(&tested).collect::<Vec<_>>(), Vec::<&Reason>::new(), "no test has these");
}

#[tokio::test]
async fn the_public_reason_stands_in_a_header_of_vendor_formats_where_it_is_turned_on() {
    let gateway = Gateway::new();
    gateway.limit(|limits| limits.reason_header = true);
    for (format, wanted) in [(Format::Kore, Some("token.invalid")), (Format::Problem, None)] {
        let request = any(format, &Token::of("cs-nobody")).body(Script::empty()).unwrap();
        assert_eq!(gateway.call(request).await.header("x-scopegate-reason"), wanted, "{}", format.name());
    }
}

#[tokio::test]
async fn times_are_exact_to_the_second() {
    let gateway = Gateway::new();
    let bounds = [("exp", 1), ("nbf", 30), ("iat", 60)];
    for (claim, seconds) in bounds {
        let request = any(Format::Problem, &Token::of(BOT).claim(claim, in_secs(seconds)));
        assert_eq!(gateway.call(request.body(Script::empty()).unwrap()).await.status, 200, "{claim} at {seconds} s");
    }
    let request = strict(Format::Problem, &fitting().claim("exp", in_secs(3600)));
    assert_eq!(gateway.call(request.body(Script::empty()).unwrap()).await.status, 200);
}
