//! Paths that upstreams get: made anew, and never to mean something else.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use proptest::prelude::*;
use scopegate::policy::{Found, Pattern, Requirement, Rewrite, RouteTable, judge};

use crate::support::routes::{anonymous, route};

/// Values of the parameters of a path, if the pattern matches it.
fn values(pattern: &str, path: &str) -> Option<BTreeMap<String, String>> {
    let judged = judge(path).ok()?;
    let route = Arc::new(route("r", &[Method::GET], pattern, &anonymous(), Requirement::Nothing));
    let table = RouteTable::new(vec![route]).unwrap();
    let Found::Route { route, params, .. } = table.find("", &Method::GET, &judged) else { return None };
    let value = |(i, name): (usize, &str)| (name.to_owned(), params.get(&judged, i).unwrap().to_owned());
    Some(route.patterns[0].params().enumerate().map(value).collect())
}

/// Patterns over the same parameters: `{a}`, `{b}` and `{*rest}`, in any order and with any literals between them.
fn patterns() -> impl Strategy<Value = String> {
    let literal = prop::sample::select(vec!["v2", "x.y", "a!b", "~", "-"]);
    let named = prop::sample::subsequence(vec!["{a}", "{b}"], 2).prop_shuffle();
    (named, prop::collection::vec((0_usize..3, literal), 0..3)).prop_map(|(mut segments, literals)| {
        for (at, literal) in literals {
            segments.insert(at.min(segments.len()), literal);
        }
        format!("/{}/{{*rest}}", segments.join("/"))
    })
}

/// What a caller may put in the place of a segment, and some that he may not.
fn segments() -> impl Strategy<Value = String> {
    let nice = prop::sample::select(vec![
        "x",
        "..x",
        "%C3%A9",
        "%20",
        "a!b",
        "a%21b",
        "%25",
        "%252e%252e",
        "%3F",
        "%7B",
        "v2",
    ]);
    let bad =
        prop::sample::select(vec!["..", ".", "%2e%2e", "%2F", "..%2f", "a\\b", "%5c", ";", "%zz", "", "%0a", "?", "#"]);
    prop_oneof![6 => nice.prop_map(str::to_owned), 1 => bad.prop_map(str::to_owned), 1 => "[a-z%.]{0,4}"]
}

/// A path for the pattern, with these in place of its parameters.
fn path(pattern: &str, values: &[String], rest: &[String]) -> String {
    let mut values = values.iter();
    let segments = pattern[1..].split('/').map(|segment| match segment {
        "{*rest}" => rest.join("/"),
        "{a}" | "{b}" => values.next().unwrap().clone(),
        literal => literal.to_owned(),
    });
    format!("/{}", segments.collect::<Vec<_>>().join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_template_is_filled_with_the_same_values_and_nothing_climbs_out_of_it(
        pattern in patterns(),
        template in patterns(),
        given in prop::collection::vec(segments(), 2),
        rest in prop::collection::vec(segments(), 0..4),
    ) {
        let path = path(&pattern, &given, &rest);
        let Some(before) = values(&pattern, &path) else { return Ok(()) };
        let rewrite = Rewrite::template(&template, &[pattern.parse::<Pattern>().unwrap()]).unwrap();
        let sent = rewrite.apply(&path, 0);
        prop_assert!(judge(&sent).is_ok(), "{path} is sent as {sent}");
        prop_assert_eq!(values(&template, &sent), Some(before), "{} is sent as {}", path, sent);
        // Every value goes on as it was written.
        for written in &given {
            prop_assert!(sent.split('/').any(|segment| segment == written), "{path} is sent as {sent}");
        }
    }

    #[test]
    fn without_its_prefix_a_path_is_the_rest_of_it_byte_for_byte(
        rest in prop::collection::vec(segments(), 0..5),
        slash: bool,
    ) {
        let rest = if rest.is_empty() && !slash { String::new() } else { format!("/{}", rest.join("/")) };
        let path = format!("/bots/v1{rest}");
        if judge(&path).is_err() {
            return Ok(());
        }
        let patterns = ["/bots/v1".parse().unwrap(), "/bots/v1/{*rest}".parse().unwrap()];
        let rewrite = Rewrite::strip("/bots/v1", &patterns).unwrap();
        let sent = rewrite.apply(&path, usize::from(!rest.is_empty()));
        prop_assert_eq!(&sent, if rest.is_empty() { "/" } else { &rest });
        prop_assert!(judge(&sent).is_ok());
    }
}
