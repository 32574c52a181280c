//! Refusals of gRPC calls.

use http::{Method, Version};
use scopegate::model::Reason;
use scopegate::policy::Requirement;

use super::cases::cases;
use crate::support::routes::{authenticator, route};
use crate::support::{Format, Gateway, Script};

#[tokio::test]
async fn every_refusal_of_a_grpc_call_is_an_answer_of_trailers_only() {
    for (dialect, answered) in [
        ("application/grpc", "application/grpc"),
        ("application/grpc+proto", "application/grpc"),
        ("application/grpc-web+proto", "application/grpc-web"),
        ("application/grpc-web-text", "application/grpc-web-text"),
    ] {
        for case in cases().into_iter().filter(|case| {
            // HTTP/2 has the host in its target.
            case.only.is_none_or(|only| only == Format::Problem) && case.name != "no host"
        }) {
            let gateway = Gateway::new();
            let mut reply = None;
            for n in 0..=case.earlier {
                let call = (case.call)(Format::Problem, n).header("content-type", dialect).version(Version::HTTP_2);
                reply = Some(gateway.call(call.body(Script::empty()).unwrap()).await);
            }
            let (reply, public) = (reply.unwrap(), case.reason.public());
            let at = format!("{} ({dialect}): {reply:?}", case.name);
            assert_eq!((reply.status, reply.body.len()), (200, 0), "{at}");
            assert_eq!(reply.header("content-type"), Some(answered), "{at}");
            assert_eq!(reply.header("x-scopegate-reason"), Some(public.code()), "{at}");
            assert_eq!(reply.header("grpc-message"), Some(public.title()), "{at}");
            let wanted = match public {
                Reason::RouteUnknown | Reason::MethodNotAllowed => "12",
                Reason::RequestInvalid => "3",
                Reason::CredentialAmbiguous => "16",
                public => match public.status() {
                    401 => "16",
                    403 => "7",
                    404 => "5",
                    413 | 429 | 431 => "8",
                    503 => "14",
                    status => panic!("{status} is not thought of: {at}"),
                },
            };
            assert_eq!(reply.header("grpc-status"), Some(wanted), "{at}");
            assert_eq!(reply.header("www-authenticate"), None, "{at}");
            assert_eq!(reply.log.reason, Some(case.reason), "the log has the true reason: {at}");
        }
    }
}

#[tokio::test]
async fn over_http1_only_a_route_of_grpc_answers_in_its_words() {
    let plain = authenticator(Format::Problem, "problem", |_| {});
    let of_route = |id: &str, path: &str, grpc| {
        let mut route = route(id, &[Method::POST], path, &plain, Requirement::AnyApp);
        route.grpc = grpc;
        route
    };
    let gateway = Gateway::new();
    gateway.route(vec![of_route("web", "/demo.Live/{method}", true), of_route("rest", "/rest", false)]);
    for dialect in ["application/grpc", "application/grpc-web+proto", "application/grpc-web-text"] {
        for (path, version, status, grpc_status) in [
            ("/rest", Version::HTTP_11, 401, None),
            ("/rest", Version::HTTP_10, 401, None),
            ("/rest", Version::HTTP_2, 200, Some("16")),
            ("/nowhere", Version::HTTP_11, 404, None),
            ("/demo.Live/Watch", Version::HTTP_11, 200, Some("16")),
        ] {
            let call = http::Request::post(path).version(version).header("host", "bots.example");
            let call = call.header("content-type", dialect).body(Script::empty()).unwrap();
            let reply = gateway.call(call).await;
            assert_eq!((reply.status, reply.header("grpc-status")), (status, grpc_status), "{path} {version:?}");
        }
    }
}
