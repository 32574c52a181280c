//! How many series there are.

use super::{Call, Gateway, Recorder, Setup};
use crate::e2e::harness::{App, Registry, eventually};

#[test]
fn only_so_many_routes_have_a_histogram_of_their_own() {
    let upstream = Recorder::start();
    let route = |n: usize| {
        format!(
            "[[route]]\nid = \"r{n}\"\nmethods = [\"GET\"]\npath = \"/r/{n}\"\nauthenticator = \"bearer\"\n\
             scope = \"any\"\n"
        )
    };
    let routes: String = (0..4).map(route).collect();
    let sections = format!(
        "[authenticator.bearer]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\n[upstream.a]\nurls = [{:?}]\n{routes}",
        upstream.url()
    );
    let setup = Setup::new("", &sections);
    setup.edit("[telemetry]", "[telemetry]\nroute_histograms = 2");
    let app = App::new("meter", "default", &[], &[]);
    let gateway = Gateway::start(setup, &Registry::new().app(&app));
    for n in [0, 1, 2, 3, 2] {
        assert_eq!(gateway.call(&Call::get(format!("/r/{n}")).bearer(app.token())).status, 200);
    }
    let count = |metrics: &str, line: &str| metrics.lines().any(|known| known == line);
    let metrics = eventually("all calls are counted", || {
        let metrics = String::from_utf8(Call::get("/metrics").to(gateway.telemetry).body).unwrap();
        count(&metrics, "scopegate_request_duration_seconds_count{route=\"*\"} 3").then_some(metrics)
    });
    for line in [
        "scopegate_request_duration_seconds_count{route=\"r0\"} 1",
        "scopegate_request_duration_seconds_count{route=\"r1\"} 1",
        "scopegate_requests_total{route=\"r2\",status=\"2xx\"} 2",
        "scopegate_requests_total{route=\"r3\",status=\"2xx\"} 1",
    ] {
        assert!(count(&metrics, line), "{line} is not in {metrics}");
    }
    assert!(!metrics.contains("duration_seconds_count{route=\"r2\"}"), "{metrics}");
}
