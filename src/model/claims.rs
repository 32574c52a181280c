//! What a token claims (RFC 7519 section 4), as read once and strictly.

use std::ops::Range;

use crate::clock::Timestamp;

/// A JSON object's members as (name, raw value), in their order; no name stands twice.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    text: Box<str>,
    members: Vec<(Name, Range<u32>)>,
}

/// A member's name: a part of the text, or its own where the text holds escapes.
#[derive(Clone, Debug)]
pub enum Name {
    Plain(Range<u32>),
    Escaped(Box<str>),
}

impl Claims {
    /// For `jose`, which reads the object: ranges are of `text`, at character borders.
    pub(crate) fn new(text: Box<str>, members: Vec<(Name, Range<u32>)>) -> Self {
        Self { text, members }
    }

    /// The raw JSON of a member's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().map(|(name, value)| {
            let name = match name {
                Name::Plain(range) => self.slice(range),
                Name::Escaped(text) => text,
            };
            (name, self.slice(value))
        })
    }

    /// A member's text, if its value is a JSON string.
    pub fn string(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?).ok()
    }

    /// The whole object, as it stood in the token.
    pub fn as_json(&self) -> &str {
        &self.text
    }

    /// Bytes of memory that these claims hold, about.
    pub fn weight(&self) -> usize {
        self.text.len() + self.members.len() * size_of::<(Name, Range<u32>)>()
    }

    fn slice(&self, range: &Range<u32>) -> &str {
        &self.text[range.start as usize..range.end as usize]
    }
}

/// Which claims carry what. Of the names in a list the first that is present counts; every one that is present has to
/// be of the right kind, whether it counts or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimNames {
    pub subject: Vec<Box<str>>,
    pub token_id: Vec<Box<str>>,
    /// Claims that the gateway does not judge, and that have to be `true` or `false` where they are present.
    pub booleans: Vec<Box<str>>,
    /// Whether `iss` may be a whole number, too.
    pub numeric_issuer: bool,
    /// Holds the scopes that the token leaves of what its app holds; where it is absent, it leaves none. Where there is no
    /// such claim at all, a token leaves everything.
    pub scope: Option<Box<str>>,
}

/// Those of RFC 7519.
impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            subject: vec!["sub".into()],
            token_id: vec!["jti".into()],
            booleans: Vec::new(),
            numeric_issuer: false,
            scope: None,
        }
    }
}

/// The claims that decide (RFC 7519 section 4.1), each of its one right type.
#[derive(Clone, Debug, Default)]
pub struct RegisteredClaims {
    pub issuer: Option<Box<str>>,
    pub subject: Option<Box<str>>,
    pub audience: Audience,
    /// Whether `aud` is a list, be it of one.
    pub audience_is_list: bool,
    pub expires: Option<Timestamp>,
    pub not_before: Option<Timestamp>,
    pub issued_at: Option<Timestamp>,
    pub token_id: Option<Box<str>>,
    /// Scopes with a space between them (RFC 6749 section 3.3), where they are looked at: the token is good for no others.
    pub scope: Option<Box<str>>,
}

/// `aud`: none, one or several (RFC 7519 section 4.1.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience(pub Vec<Box<str>>);

impl Audience {
    pub fn names_any_of(&self, ours: &[Box<str>]) -> bool {
        self.0.iter().any(|theirs| ours.contains(theirs))
    }
}
