//! Path patterns: literal segments, `{name}` for one segment, `{*name}` for the rest.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::dialect::{Foreign, foreign};

const MAX_PARAMS: usize = 8;

/// A route's path, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    pub(super) segments: Vec<Segment>,
    params: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(Box<str>),
    Param,
    Rest,
}

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternError {
    NoSlash,
    /// The syntax of another router.
    Foreign(Foreign),
    Unreachable(&'static str),
    RestNotLast,
    DuplicateParam,
    TooManyParams,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSlash => f.write_str("a path begins with a slash"),
            Self::Unreachable(why) => write!(f, "no request can have this path: {why}"),
            Self::Foreign(foreign) => foreign.fmt(f),
            Self::RestNotLast => f.write_str("{*name} stands at the end"),
            Self::DuplicateParam => f.write_str("two parameters have the same name"),
            Self::TooManyParams => write!(f, "at most {MAX_PARAMS} parameters"),
        }
    }
}

impl std::error::Error for PatternError {}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if let Some(foreign) = foreign(text) {
            return Err(PatternError::Foreign(foreign));
        }
        let Some(rest) = text.strip_prefix('/') else { return Err(PatternError::NoSlash) };
        let (mut segments, mut params) = (Vec::new(), Vec::<String>::new());
        let mut literals = String::new();
        for segment in rest.split('/') {
            if segments.last() == Some(&Segment::Rest) {
                return Err(PatternError::RestNotLast);
            }
            let inner = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
            let name =
                match inner.map(|name| name.strip_prefix('*').map_or((name, Segment::Param), |n| (n, Segment::Rest))) {
                    Some((name, segment)) => {
                        segments.push(segment);
                        literals.push_str("/x");
                        name
                    }
                    None => {
                        segments.push(Segment::Literal(segment.into()));
                        literals.push('/');
                        literals.push_str(segment);
                        continue;
                    }
                };
            if params.iter().any(|p| p == name) {
                return Err(PatternError::DuplicateParam);
            }
            params.push(name.to_owned());
        }
        if params.len() > MAX_PARAMS {
            return Err(PatternError::TooManyParams);
        }
        match super::judge(&literals) {
            Ok(judged) if judged.text == literals && judged.sent == literals => {
                Ok(Self { text: text.to_owned(), segments, params })
            }
            Ok(_) => Err(PatternError::Unreachable("paths are compared after percent-decoding")),
            Err(why) => Err(PatternError::Unreachable(why)),
        }
    }
}

impl Pattern {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parameters' names, in their order.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.params.iter().map(String::as_str)
    }

    /// Where a parameter stands among the parameters.
    pub fn param(&self, name: &str) -> Option<usize> {
        self.params.iter().position(|p| p == name)
    }

    /// The segment that a parameter is, or begins with.
    pub(super) fn place(&self, param: usize) -> Option<usize> {
        let places = self.segments.iter().enumerate().filter(|(_, segment)| !matches!(segment, Segment::Literal(_)));
        places.map(|(at, _)| at).nth(param)
    }

    /// The same for all patterns that match the same paths.
    pub fn erased(&self) -> String {
        let segments = self.segments.iter().map(|s| match s {
            Segment::Literal(text) => format!("/{text}"),
            Segment::Param => "/{}".to_owned(),
            Segment::Rest => "/{*}".to_owned(),
        });
        segments.collect()
    }
}

/// What the parameters of a pattern matched, as places in the judged path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Params {
    ranges: [(u32, u32); MAX_PARAMS],
    count: usize,
}

impl Params {
    /// The text of the parameter at this place of the pattern.
    pub fn get<'p>(&self, path: &'p str, index: usize) -> Option<&'p str> {
        let (start, end) = *self.ranges[..self.count].get(index)?;
        path.get(start as usize..end as usize)
    }

    /// Patterns have no more parameters than there is room for.
    pub(super) fn push(&mut self, range: Range<usize>) {
        let at = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        if let Some(slot) = self.ranges.get_mut(self.count) {
            *slot = (at(range.start), at(range.end));
            self.count += 1;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn truncate(&mut self, count: usize) {
        self.count = count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_erased_to_what_they_match() {
        let pattern: Pattern = "/api/{version}/bot/{botId}/{*rest}".parse().unwrap();
        assert_eq!(pattern.erased(), "/api/{}/bot/{}/{*}");
        assert_eq!(pattern.param("botId"), Some(1));
    }

    #[test]
    fn what_can_never_match_is_no_pattern() {
        let parse = |text: &str| text.parse::<Pattern>().unwrap_err();
        assert_eq!(parse("a"), PatternError::NoSlash);
        assert_eq!(parse("/{*a}/b"), PatternError::RestNotLast);
        assert_eq!(parse("/{a}/{a}"), PatternError::DuplicateParam);
        for never in ["/a//b", "/../a", "/a;b"] {
            assert!(matches!(parse(never), PatternError::Unreachable(_)), "{never}");
        }
    }
}
