//! The route table against a matcher that is too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use http::Method;
use proptest::prelude::*;
use scopegate::policy::{Found, Pattern, Requirement, Route, RouteTable, allowed_methods};

use crate::support::routes::{anonymous, route};

/// A route as it is generated: segments, hosts, methods.
type Spec = (Vec<&'static str>, Vec<String>, Vec<Method>);

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let segment = prop::sample::select(vec!["a", "b", "{}", "{}"]);
    let last = prop::sample::select(vec!["a", "b", "{}", "{*}", ""]);
    let path = (prop::collection::vec(segment, 0..3), last).prop_map(|(mut path, last)| {
        path.push(last);
        path
    });
    let hosts = prop::sample::subsequence(vec!["a.b.c", "b.c", "*.b.c", "*.c"], 0..=3);
    let hosts = hosts.prop_map(|hosts| hosts.into_iter().map(str::to_owned).collect());
    let methods = prop::sample::subsequence(vec![Method::GET, Method::POST, Method::PUT], 1..=3);
    prop::collection::vec((path, hosts, methods), 1..8)
}

fn requests() -> impl Strategy<Value = Vec<(String, Method, String)>> {
    let host = prop::sample::select(vec!["", "c", "b.c", "a.b.c", "d.a.b.c", "d.c", "xb.c", "d"]);
    let method = prop::sample::select(vec![Method::GET, Method::POST, Method::DELETE]);
    let segment = prop::sample::select(vec!["a", "b", "c"]);
    let path = (prop::collection::vec(segment, 0..4), any::<bool>()).prop_map(|(segments, slash)| {
        let end = if slash { "/" } else { "" };
        let joined = segments.join("/");
        if joined.is_empty() { "/".to_owned() } else { format!("/{joined}{end}") }
    });
    prop::collection::vec((host.prop_map(str::to_owned), method, path), 1..20)
}

/// The pattern with names in it.
fn pattern(segments: &[&str]) -> String {
    let named = segments.iter().enumerate().map(|(i, segment)| match *segment {
        "{}" => format!("/{{p{i}}}"),
        "{*}" => format!("/{{*p{i}}}"),
        literal => format!("/{literal}"),
    });
    named.collect()
}

fn build(specs: &[Spec]) -> Vec<Arc<Route>> {
    let made = specs.iter().enumerate().map(|(i, (segments, hosts, methods))| {
        let made = route(&format!("r{i}"), methods, &pattern(segments), &anonymous(), Requirement::Nothing);
        Arc::new(Route { hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(), ..made })
    });
    made.collect()
}

/// What the parameters match, if the path is one of the pattern's.
fn parameters(pattern: &[&str], path: &str) -> Option<Vec<String>> {
    let segments: Vec<&str> = path[1..].split('/').collect();
    let mut found = Vec::new();
    for (i, wanted) in pattern.iter().enumerate() {
        let segment = segments.get(i)?;
        match *wanted {
            "{*}" => {
                found.push(segments[i..].join("/"));
                return Some(found);
            }
            "{}" if !segment.is_empty() => found.push((*segment).to_owned()),
            literal if literal == *segment => {}
            _ => return None,
        }
    }
    (segments.len() == pattern.len()).then_some(found)
}

/// Literals before parameters before the rest, from the left.
fn rank(pattern: &[&str]) -> Vec<u8> {
    pattern.iter().map(|s| if *s == "{*}" { 2 } else { u8::from(*s == "{}") }).collect()
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Nothing,
    Route(usize, Vec<String>),
    Methods(String),
}

fn naive(specs: &[Spec], host: &str, method: &Method, path: &str) -> Verdict {
    let mut places: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
    for (i, (segments, _, _)) in specs.iter().enumerate() {
        if parameters(segments, path).is_some() {
            places.entry(rank(segments)).or_default().push(i);
        }
    }
    for routes in places.values() {
        // From the host itself over the names that it is below, the longest first, to those that name none.
        let mut steps = vec![Some(host.to_owned())];
        let dots = host.match_indices('.').map(|(dot, _)| Some(format!("*{}", &host[dot..])));
        steps.extend(dots.chain([None]));
        let names = |i: &usize, step: &Option<String>| match step {
            Some(name) => specs[*i].1.contains(name),
            None => specs[*i].1.is_empty(),
        };
        let mut serving = Vec::new();
        for step in &steps {
            if serving.is_empty() {
                serving = routes.iter().filter(|i| names(i, step)).copied().collect();
            }
        }
        if let Some(i) = serving.iter().find(|i| specs[**i].2.contains(method)) {
            return Verdict::Route(*i, parameters(&specs[*i].0, path).unwrap_or_default());
        }
        if !serving.is_empty() {
            return Verdict::Methods(allowed_methods(serving.iter().flat_map(|i| &specs[*i].2)));
        }
    }
    Verdict::Nothing
}

fn verdict(table: &RouteTable, routes: &[Arc<Route>], host: &str, method: &Method, path: &str) -> Verdict {
    match table.find(host, method, path) {
        Found::Nothing => Verdict::Nothing,
        Found::OtherMethods { allow, .. } => Verdict::Methods(allow),
        Found::Route { route, params, .. } => {
            let place = routes.iter().position(|r| Arc::ptr_eq(r, route)).unwrap_or(usize::MAX);
            Verdict::Route(place, (0..).map_while(|i| params.get(path, i)).map(str::to_owned).collect())
        }
    }
}

/// Whether two routes match the same requests, once the names of parameters are forgotten.
fn collide(specs: &[Spec]) -> bool {
    let mut seen = HashSet::new();
    let any = [String::new()];
    let all = specs.iter().flat_map(|(segments, hosts, methods)| {
        let hosts = if hosts.is_empty() { &any[..] } else { hosts };
        hosts.iter().flat_map(move |host| methods.iter().map(move |method| (segments, host, method)))
    });
    all.into_iter().any(|request| !seen.insert(request))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_route_table_finds_what_the_naive_matcher_finds(specs in specs(), requests in requests()) {
        let routes = build(&specs);
        let table = RouteTable::new(routes.clone());
        prop_assert_eq!(table.is_err(), collide(&specs));
        let Ok(table) = table else { return Ok(()) };
        for (host, method, path) in requests {
            let found = verdict(&table, &routes, &host, &method, &path);
            prop_assert_eq!(found, naive(&specs, &host, &method, &path), "{} {} {}", host, method, path);
        }
    }

    #[test]
    fn patterns_that_match_the_same_paths_are_erased_alike(a in "(/(a|\\{x\\}|\\{y\\})){1,3}", b in "(/(a|\\{x\\}|\\{y\\})){1,3}") {
        let (Ok(one), Ok(two)) = (a.parse::<Pattern>(), b.parse::<Pattern>()) else { return Ok(()) };
        let shape = |text: &str| text.replace("{x}", "{}").replace("{y}", "{}");
        prop_assert_eq!(one.erased() == two.erased(), shape(&a) == shape(&b));
    }
}

#[test]
fn the_methods_of_an_allow_header_are_sorted_and_stand_once() {
    let methods = [Method::POST, Method::GET, Method::POST];
    assert_eq!(allowed_methods(methods.iter()), "GET, POST");
    let all: BTreeSet<_> = allowed_methods(methods.iter()).split(", ").map(str::to_owned).collect();
    assert_eq!(all.len(), 2);
}
