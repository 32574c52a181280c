//! One JSON object, read once and strictly: borrowed raw values, no member twice, bounded depth and count.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Part, TokenError};
use crate::model::{Claims, Name};

const MAX_DEPTH: usize = 32;
const MAX_MEMBERS: usize = 64;

/// Reads a header or a payload (RFC 7515 section 4, RFC 7519 section 4).
///
/// # Errors
/// When the bytes are not one UTF-8 JSON object, have a member twice, more than 64 members or more than 32 levels.
pub fn read_object(part: Part, bytes: Vec<u8>) -> Result<Claims, TokenError> {
    let text = String::from_utf8(bytes).map_err(|_| TokenError::Json(part))?.into_boxed_str();
    // RFC 8259 section 2: such space may stand on both sides of a value.
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        return Err(TokenError::Json(part));
    }
    if depth(text.as_bytes()) > MAX_DEPTH {
        return Err(TokenError::Depth { part, limit: MAX_DEPTH });
    }
    let mut members = Vec::with_capacity(8);
    let mut fault = None;
    let mut json = serde_json::Deserializer::from_str(&text);
    let read = Members { text: &text, part, found: &mut members, fault: &mut fault }.deserialize(&mut json);
    match (fault, read.and_then(|()| json.end())) {
        (Some(fault), _) => Err(fault),
        (None, Err(_)) => Err(TokenError::Json(part)),
        (None, Ok(())) => Ok(Claims::new(text, members)),
    }
}

/// The deepest nesting of brackets outside strings; the text need not be well formed.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => _ = bytes.next(),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

struct Members<'a> {
    text: &'a str,
    part: Part,
    found: &'a mut Vec<(Name, Range<u32>)>,
    fault: &'a mut Option<TokenError>,
}

impl Members<'_> {
    fn range_of(&self, slice: &str) -> Range<u32> {
        let start = slice.as_ptr() as usize - self.text.as_ptr() as usize;
        let at = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        at(start)..at(start + slice.len())
    }

    fn name_of<'b>(&'b self, name: &'b Name) -> &'b str {
        match name {
            Name::Plain(range) => &self.text[range.start as usize..range.end as usize],
            Name::Escaped(text) => text,
        }
    }

    fn check(&self, name: &str) -> Option<TokenError> {
        if self.found.len() == MAX_MEMBERS {
            return Some(TokenError::Members { part: self.part, limit: MAX_MEMBERS });
        }
        let twice = self.found.iter().any(|(known, _)| self.name_of(known) == name);
        twice.then(|| TokenError::Duplicate { part: self.part, name: name.chars().take(64).collect() })
    }
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(MemberName(name)) = map.next_key()? {
            let known = match &name {
                Ok(plain) => self.check(plain),
                Err(escaped) => self.check(escaped),
            };
            if let Some(fault) = known {
                *self.fault = Some(fault);
                return Err(A::Error::custom("refused"));
            }
            let value: &RawValue = map.next_value()?;
            let name = match name {
                Ok(plain) => Name::Plain(self.range_of(plain)),
                Err(escaped) => Name::Escaped(escaped),
            };
            let value = self.range_of(value.get());
            self.found.push((name, value));
        }
        Ok(())
    }
}

/// Borrowed where the text holds it as it is, owned where it was escaped.
struct MemberName<'de>(Result<&'de str, Box<str>>);

impl<'de> Deserialize<'de> for MemberName<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = MemberName<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(MemberName(Ok(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(MemberName(Err(text.into())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Claims, TokenError> {
        read_object(Part::Payload, text.as_bytes().to_vec())
    }

    #[test]
    fn members_are_found_by_their_decoded_names() {
        let claims = read(r#"{"a":1, "b" : "x", "c\u0064":[1,{"a":2}],"e\/f":null}"#).unwrap();
        assert_eq!(claims.get("a"), Some("1"));
        assert_eq!(claims.get("b"), Some(r#""x""#));
        assert_eq!(claims.get("cd"), Some(r#"[1,{"a":2}]"#));
        assert_eq!(claims.get("e/f"), Some("null"));
        assert_eq!(claims.get("f"), None);
        assert_eq!(claims.string("b").as_deref(), Some("x"));
        assert_eq!(claims.string("a"), None);
    }

    #[test]
    fn a_member_that_stands_twice_is_refused_however_it_is_written() {
        for twice in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"{"\u0061":1,"a":2}"#] {
            assert_eq!(read(twice).unwrap_err(), TokenError::Duplicate { part: Part::Payload, name: "a".into() });
        }
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        let bad = [
            "",
            "\u{b}{}",
            "\u{c}{}",
            "\u{a0}{}",
            "{}\u{b}",
            "\n",
            " []",
            "\n\u{feff}{}",
            "[]",
            "{",
            "{}x",
            "{} {}",
            "\u{feff}{}",
            "null",
            r#"{"a"}"#,
            r#"{"a":}"#,
            "{a:1}",
            r#"{"a":01}"#,
            "{\"a\":\"\n\"}",
        ];
        for text in bad {
            assert_eq!(read(text).unwrap_err(), TokenError::Json(Part::Payload), "{text:?}");
        }
        assert_eq!(read_object(Part::Header, vec![b'{', 0xff, b'}']).unwrap_err(), TokenError::Json(Part::Header));
    }

    #[test]
    fn json_whitespace_may_stand_around_the_object() {
        for text in ["\n{\"a\":1}", "{\"a\":1}\n", " \t\r\n{ \"a\" :1 } \t\r\n", "\r\n\r\n{\"a\":1}"] {
            let claims = read(text).unwrap();
            assert_eq!((claims.get("a"), claims.as_json()), (Some("1"), text));
        }
    }

    #[test]
    fn depth_and_members_are_bounded() {
        let nested = |n: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(n - 1), "]".repeat(n - 1));
        assert!(read(&nested(MAX_DEPTH)).is_ok());
        assert!(matches!(read(&nested(MAX_DEPTH + 1)), Err(TokenError::Depth { .. })));
        assert!(matches!(read(&nested(100_000)), Err(TokenError::Depth { .. })));
        let wide = |n: usize| format!("{{{}}}", (0..n).map(|i| format!(r#""k{i}":0"#)).collect::<Vec<_>>().join(","));
        assert!(read(&wide(MAX_MEMBERS)).is_ok());
        assert!(matches!(read(&wide(MAX_MEMBERS + 1)), Err(TokenError::Members { .. })));
        assert!(read(r#"{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}"#).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            _ = read_object(Part::Payload, bytes);
        }

        #[test]
        fn an_object_that_is_read_agrees_with_serde_json(text in r#"\{("[ab\\u0061]{0,3}":[0-9nul"tre\[\]{},:]{0,6},?){0,4}\}"#) {
            if let Ok(claims) = read(&text) {
                let oracle: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(claims.iter().count(), oracle.len());
                for (name, value) in claims.iter() {
                    prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(value).unwrap(), &oracle[name]);
                }
            }
        }
    }
}
