//! What works, and is hardly meant.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Parts, Placed};
use crate::config::route::RouteSection;
use crate::config::source::Source;
use crate::config::{Diagnostic, ProxySettings, environment, methods};
use crate::gateway::forward::Upstream;
use crate::model::UpstreamName;
use crate::net::ListenAddress;
use crate::policy::{Route, RouteTable, Target};

impl Parts {
    pub(super) fn warning(&mut self, source: &Source, path: &[&str], message: String, help: &str) {
        let help = Some(help.to_owned()).filter(|help| !help.is_empty());
        self.warnings.push(Diagnostic { place: source.name.clone(), line: source.line(path), message, help });
    }

    pub(super) fn warn(
        &mut self,
        main: &Source,
        proxy: &ProxySettings,
        routes: &RouteTable,
        upstreams: &HashMap<UpstreamName, Arc<Upstream>>,
        with_environment: bool,
    ) {
        if routes.routes().is_empty() {
            let help = "add a [[route]], or a profile that has some: profiles = [\"kore\"]";
            self.warning(main, &[], "there are no routes: every request is answered with 404".into(), help);
        }
        let mut names: Vec<_> = upstreams.keys().collect();
        names.sort();
        for name in names {
            let place = ["upstream", name.as_str()];
            if !routes.routes().iter().any(|r| matches!(&r.target, Target::Upstream(one) if one == name)) {
                self.warning(main, &place, format!("upstream.{name}: no route leads there"), "");
            }
            if let Some(url) = upstreams.get(name).and_then(|upstream| own_address(upstream, proxy)) {
                let message = format!("upstream.{name}.urls: {url} is this gateway's own address, proxy.listen");
                self.warning(
                    main,
                    &["upstream", name.as_str(), "urls"],
                    message,
                    "requests would go round in a circle",
                );
            }
        }
        self.warn_of_audiences(routes);
        if with_environment {
            for (variable, write) in environment::near_misses() {
                let (place, help) = (format!("environment variable {variable}"), format!("did you mean {write}?"));
                let message = "it sets nothing: two underscores stand after SCOPEGATE and between keys".to_owned();
                self.warnings.push(Diagnostic { place, line: None, message, help: Some(help) });
            }
        }
    }

    /// What is taken literally and looks as if it were not, in routes that a file declares.
    pub(super) fn warn_of_routes(&mut self, routes: &[Arc<Route>], places: &[&Placed<RouteSection>]) {
        for (route, placed) in routes.iter().zip(places).filter(|(_, placed)| !placed.is_profile) {
            let index = placed.index.to_string();
            for method in &route.methods {
                if let Some(meant) = methods::meant(method) {
                    let message = format!("route {}: {method} is a method of its own here", route.id);
                    self.warning(
                        &placed.source,
                        &["route", &index, "methods"],
                        message,
                        &format!("did you mean {meant}?"),
                    );
                }
            }
            for pattern in &route.patterns {
                if let Some(literal) = pattern.as_str().split('/').find(|part| part.len() > 1 && part.starts_with('$'))
                {
                    let message = format!("route {}: {literal:?} is taken literally", route.id);
                    let help = format!("a parameter would be {{{}}}", &literal[1..]);
                    self.warning(&placed.source, &["route", &index, "path"], message, &help);
                }
            }
        }
    }
}

/// An address of an upstream that the gateway itself listens on.
fn own_address(upstream: &Upstream, proxy: &ProxySettings) -> Option<String> {
    let addresses = upstream.addresses();
    let is_own = |remote: &crate::net::Remote| {
        proxy.listen.iter().any(|listen| match (listen, remote) {
            (ListenAddress::Internet(own), crate::net::Remote::Tcp(other)) => {
                let is_any = own.ip().is_unspecified() && other.ip().is_loopback();
                own.port() == other.port() && own.port() != 0 && (is_any || own.ip() == other.ip())
            }
            (ListenAddress::Unix(own), crate::net::Remote::Unix(other)) => own == other,
            _ => false,
        })
    };
    addresses.iter().find(|address| is_own(&address.remote)).map(|address| address.remote.to_string())
}
