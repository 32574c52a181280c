//! The path that an upstream gets, where it is another than the one that was judged.
//!
//! It is made of the segments of the path as they came, and of literals that need no encoding: no value is decoded and
//! encoded again, none can climb out of its place, and the result has one reading as the path itself had.

use http::HeaderValue;

use super::pattern::Segment;
use super::{Pattern, PatternError};

/// How the path is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrite {
    Strip(Prefix),
    Template(Template),
}

/// Segments that are left out at the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    text: String,
    segments: usize,
    value: HeaderValue,
}

/// A template that is filled with the parameters of the route's patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pattern: Pattern,
    /// For each pattern of the route what stands behind each slash.
    pieces: Vec<Vec<Piece>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    /// This segment of the path.
    Segment(usize),
    /// This segment and all behind it.
    Rest(usize),
}

impl Rewrite {
    /// Leaves out a prefix with which all of the patterns begin.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn strip(text: &str, patterns: &[Pattern]) -> Result<Self, String> {
        let whole =
            || format!("{text:?}: write whole segments as they are, no parameters, and no slash at the end: \"/bots\"");
        let prefix = match text.parse::<Pattern>() {
            Err(PatternError::Foreign(_)) => return Err(whole()),
            _ => plain(text)?,
        };
        let is_literal = |segment: &Segment| matches!(segment, Segment::Literal(text) if !text.is_empty());
        if !prefix.segments.iter().all(is_literal) {
            return Err(whole());
        }
        if let Some(other) = patterns.iter().find(|pattern| !pattern.segments.starts_with(&prefix.segments)) {
            return Err(format!("{} does not begin with {text}", other.as_str()));
        }
        let value = HeaderValue::from_str(text).map_err(|_| format!("{text:?} can't be told in a header"))?;
        Ok(Self::Strip(Prefix { text: text.to_owned(), segments: prefix.segments.len(), value }))
    }

    /// Fills a template with parameters that all of the patterns have.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn template(text: &str, patterns: &[Pattern]) -> Result<Self, String> {
        let pattern = plain(text)?;
        let pieces = patterns.iter().map(|of| pieces(&pattern, of)).collect::<Result<_, _>>()?;
        Ok(Self::Template(Template { pattern, pieces }))
    }

    /// The path to send for one that came, which matched this pattern of the route.
    pub fn apply(&self, path: &str, pattern: usize) -> String {
        match self {
            Self::Strip(prefix) => {
                from(path, prefix.segments).map_or_else(|| "/".to_owned(), |rest| format!("/{rest}"))
            }
            Self::Template(template) => {
                let mut sent = String::with_capacity(path.len() + template.pattern.as_str().len());
                for piece in template.pieces.get(pattern).into_iter().flatten() {
                    sent.push('/');
                    sent.push_str(match piece {
                        Piece::Text(text) => text,
                        Piece::Rest(at) => from(path, *at).unwrap_or_default(),
                        Piece::Segment(at) => {
                            from(path, *at).and_then(|rest| rest.split('/').next()).unwrap_or_default()
                        }
                    });
                }
                sent
            }
        }
    }

    /// The prefix that was left out, as upstreams are told.
    pub fn prefix(&self) -> Option<&HeaderValue> {
        match self {
            Self::Strip(prefix) => Some(&prefix.value),
            Self::Template(_) => None,
        }
    }
}

/// As it stands in listings, behind the upstream's name.
impl std::fmt::Display for Rewrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Strip(prefix) => write!(f, "(without {})", prefix.text),
            Self::Template(template) => f.write_str(template.pattern.as_str()),
        }
    }
}

/// A pattern whose literals stand in a path as they are (RFC 3986 section 3.3).
fn plain(text: &str) -> Result<Pattern, String> {
    let pattern: Pattern = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&b);
    let literals = pattern.segments.iter().filter_map(|segment| match segment {
        Segment::Literal(text) => Some(text),
        Segment::Param | Segment::Rest => None,
    });
    match literals.flat_map(|text| text.bytes()).find(|b| !is_plain(*b)) {
        Some(byte) => Err(format!("{text:?}: {:?} can't stand in a path as it is", char::from(byte))),
        None => Ok(pattern),
    }
}

fn pieces(template: &Pattern, of: &Pattern) -> Result<Vec<Piece>, String> {
    let mut names = template.params();
    let piece = |segment: &Segment| {
        if let Segment::Literal(text) = segment {
            return Ok(Piece::Text(text.clone()));
        }
        let name = names.next().unwrap_or_default();
        let lacks = || format!("{} has no parameter {{{name}}}", of.as_str());
        let at = of.param(name).and_then(|index| of.place(index)).ok_or_else(lacks)?;
        match (segment, &of.segments[at]) {
            (Segment::Rest, Segment::Rest) => Ok(Piece::Rest(at)),
            (Segment::Param, Segment::Param) => Ok(Piece::Segment(at)),
            (Segment::Rest, _) => Err(format!("in {} {name} is one segment: write {{{name}}}", of.as_str())),
            _ => Err(format!("in {} {name} is the rest of the path: write {{*{name}}} at the end", of.as_str())),
        }
    };
    template.segments.iter().map(piece).collect()
}

/// The path from a segment on, counted from 0.
fn from(path: &str, segment: usize) -> Option<&str> {
    let (slash, _) = path.match_indices('/').nth(segment)?;
    path.get(slash + 1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_prefix_is_left_out_by_whole_segments() {
        let rewrite = Rewrite::strip("/a!/b", &patterns(&["/a!/b", "/a!/b/{*rest}"])).unwrap();
        for (path, sent) in [("/a!/b", "/"), ("/a!/b/", "/"), ("/a%21/b/c%20d/", "/c%20d/"), ("/a!/b/a!/b", "/a!/b")] {
            assert_eq!(rewrite.apply(path, 0), sent, "{path}");
        }
        assert_eq!(rewrite.prefix().unwrap(), "/a!/b");
    }

    #[test]
    fn a_template_takes_parameters_by_name_from_the_pattern_that_matched() {
        let patterns = patterns(&["/{x}/b/{y}/{*z}", "/{y}/{x}/{*z}"]);
        let rewrite = Rewrite::template("/v2/{y}/x/{x}/{*z}", &patterns).unwrap();
        assert_eq!(rewrite.apply("/1/b/%C3%A9/3/4/", 0), "/v2/%C3%A9/x/1/3/4/");
        assert_eq!(rewrite.apply("/1/2/", 1), "/v2/1/x/2/");
        let rest = Rewrite::template("/{*z}", &patterns).unwrap();
        assert_eq!((rest.apply("/1/2/", 1), rest.apply("/1/2/3", 1)), ("/".into(), "/3".into()));
        assert_eq!(Rewrite::template("/fixed", &patterns).unwrap().apply("/1/2/3", 1), "/fixed");
    }

    #[test]
    fn what_can_not_be_made_of_every_pattern_is_refused() {
        let patterns = patterns(&["/bots/{id}/{*rest}", "/bots/{id}"]);
        for prefix in ["", "bots", "/", "/bots/", "/bot", "/bots/{id}", "/bots/x", "/bots/..", "/b%6Fts"] {
            assert!(Rewrite::strip(prefix, &patterns).is_err(), "{prefix:?}");
        }
        for template in ["", "v2", "/{other}", "/{*rest}", "/{*id}", "/{rest}", "/a/../b", "/a?b", "/{id}/{id}", "/a b"]
        {
            assert!(Rewrite::template(template, &patterns).is_err(), "{template:?}");
        }
    }
}
