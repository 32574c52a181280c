//! Encodings in a path that upstreams read in different ways, and that a route has to allow.

use http::Method;

use super::{Found, Judged, Params, Pattern, QuotaKey, Requirement, Route, RouteTable, Target};

/// What the paths of a route may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    /// Encoded slashes: its upstream takes one for a part of its segment, as the route does.
    pub keeps_slashes: bool,
    /// Percent signs that, decoded, begin another encoding: its upstream decodes once.
    pub keeps_double: bool,
}

const SLASH: &str = "an encoded slash in the path";
const DOUBLE: &str = "a percent-encoding of a percent-encoding in the path";

/// Checks a path that needs a permission, where it leads.
///
/// An encoded slash passes only where the same path with a plain slash leads nowhere, or to the same route with the same
/// values of the parameters that are judged: no upstream that takes the one for the other is reached past another route.
///
/// # Errors
/// What is wrong with the path.
pub fn check_encodings(
    judged: &Judged<'_>,
    found: &Found<'_>,
    table: &RouteTable,
    host: &str,
    method: &Method,
) -> Result<(), &'static str> {
    if !judged.needs_permission() {
        return Ok(());
    }
    let (route, pattern, params) = match found {
        Found::Route { route, pattern, params } | Found::OtherMethods { route, pattern, params, .. } => {
            (route, &route.patterns[*pattern], params)
        }
        Found::Nothing => return Err(if judged.slash.is_some() { SLASH } else { DOUBLE }),
    };
    if judged.is_double && !route.path_rules.keeps_double {
        return Err(DOUBLE);
    }
    let Some(segment) = judged.slash else { return Ok(()) };
    if !route.path_rules.keeps_slashes || !matches!(route.target, Target::Upstream(_)) {
        return Err(SLASH);
    }
    let names = judged_params(route);
    let is_before = |name: &str| pattern.param(name).and_then(|i| pattern.place(i)).is_some_and(|at| at >= segment);
    if names.iter().any(|name| is_before(name)) {
        return Err("an encoded slash in the path, in or before a parameter that decides");
    }
    let slashed = judged.slashed()?;
    match table.find(host, method, &slashed) {
        Found::Nothing => Ok(()),
        Found::Route { route: other, pattern: at, params: others } if other.id == route.id => {
            let is_same = |name: &&str| {
                value(pattern, params, &judged.text, name) == value(&other.patterns[at], &others, &slashed, name)
            };
            if names.iter().all(is_same) { Ok(()) } else { Err(SLASH) }
        }
        // Both are refused for their method.
        Found::OtherMethods { .. } if matches!(found, Found::OtherMethods { .. }) => Ok(()),
        Found::Route { .. } | Found::OtherMethods { .. } => {
            Err("an encoded slash in the path, which with a plain slash leads to another route")
        }
    }
}

fn value<'p>(pattern: &Pattern, params: &Params, path: &'p str, name: &str) -> Option<&'p str> {
    pattern.param(name).and_then(|index| params.get(path, index))
}

/// The parameters by whose values a call is judged or counted.
fn judged_params(route: &Route) -> Vec<&str> {
    let mut names: Vec<&str> = route.bot_param.iter().chain(&route.app_param).map(String::as_str).collect();
    match &route.requirement {
        Requirement::Resource { param, .. } => names.push(param),
        Requirement::Permission(needed) => {
            names.extend(needed.owner_param.iter().chain(&needed.repository_param).map(String::as_str));
        }
        Requirement::Nothing
        | Requirement::AnyApp
        | Requirement::Role(_)
        | Requirement::Scope { .. }
        | Requirement::AnyResource => {}
    }
    let keys = route.quota.iter().flat_map(|quota| &quota.key);
    names.extend(keys.filter_map(|key| if let QuotaKey::Param(name) = key { Some(&**name) } else { None }));
    names
}
