//! Which route was meant, where none matched.

use std::fmt;
use std::sync::Arc;

use http::Method;

use crate::policy::pattern::Segment;
use crate::policy::{Route, RouteTable};

const MAX_SEGMENTS: usize = 32;
const MAX_SEGMENT: usize = 64;

/// The route that is nearest to a call, and by what the call differs.
#[derive(Clone, Debug)]
pub struct Near {
    pub route: Arc<Route>,
    /// The place among the route's patterns.
    pub pattern: usize,
    pub method: Method,
    pub differs: Vec<&'static str>,
    cost: usize,
}

/// As the log's `expected`.
impl fmt::Display for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.route.patterns[self.pattern].as_str();
        write!(f, "{} {path} ({}), but for {}", self.method, self.route.id, self.differs.join(" and "))
    }
}

/// The nearest route, if there is one that a slip of the pen leads away from: another case, a slash too many, a letter
/// or two, another host. `path` is as it was sent.
pub fn nearest(routes: &RouteTable, host: &str, method: &Method, path: &str) -> Option<Near> {
    let mut segments: Vec<&str> = path.split('/').skip(1).collect();
    let mut differs = Vec::new();
    if segments.last().is_some_and(|last| last.is_empty()) && segments.len() > 1 {
        segments.pop();
        differs.push("a slash at the end");
    }
    if segments.iter().any(|s| s.is_empty()) {
        segments.retain(|s| !s.is_empty());
        differs.push("two slashes in a row");
    }
    if segments.len() > MAX_SEGMENTS || segments.iter().any(|s| s.len() > 4 * MAX_SEGMENT) {
        return None;
    }
    let patterns = routes.routes().iter().flat_map(|r| (0..r.patterns.len()).map(move |pattern| (r, pattern)));
    let nears = patterns.filter_map(|(route, pattern)| {
        let mut near =
            Near { route: Arc::clone(route), pattern, method: method.clone(), differs: differs.clone(), cost: 0 };
        near.compare(&segments)?;
        near.compare_place(host, method)?;
        (!near.differs.is_empty()).then_some(near)
    });
    nears.min_by_key(|near| near.cost)
}

impl Near {
    fn differ(&mut self, by: &'static str, cost: usize) {
        if !self.differs.contains(&by) {
            self.differs.push(by);
        }
        self.cost += cost;
    }

    fn compare(&mut self, segments: &[&str]) -> Option<()> {
        let route = Arc::clone(&self.route);
        let pattern = &route.patterns[self.pattern].segments;
        let mut given = segments.iter();
        for wanted in pattern {
            match (wanted, given.next()) {
                (Segment::Literal(wanted), Some(given)) => self.compare_literal(wanted, given)?,
                // Where a literal fits, it was meant.
                (Segment::Param, Some(_)) => self.cost += 1,
                (Segment::Rest, Some(_)) => {
                    self.cost += 2;
                    return Some(());
                }
                (_, None) => return None,
            }
        }
        given.next().is_none().then_some(())
    }

    fn compare_literal(&mut self, wanted: &str, given: &str) -> Option<()> {
        if wanted == given {
            return Some(());
        }
        if wanted.eq_ignore_ascii_case(given) {
            self.differ("upper and lower case", 2);
            return Some(());
        }
        if given.len() > MAX_SEGMENT {
            return None;
        }
        let distance = strsim::damerau_levenshtein(&wanted.to_ascii_lowercase(), &given.to_ascii_lowercase());
        if distance > (wanted.len() / 4).min(3) {
            return None;
        }
        self.differ("its spelling", 8 * distance);
        Some(())
    }

    fn compare_place(&mut self, host: &str, method: &Method) -> Option<()> {
        if !self.route.methods.contains(method) {
            self.method = self.route.methods.first()?.clone();
            self.differ("the method", 4);
        }
        if self.route.rank(host).is_none() {
            self.differ("the host", 4);
        }
        Some(())
    }
}
