//! Durations as people write them: `500ms`, `30s`, `5m`, `1h`, `1day`. None is longer than a thousand years: points in time can
//! be reckoned with it, and nobody means more.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

const LONGEST: Duration = Duration::from_secs(365_250 * 24 * 60 * 60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with its unit, such as \"30s\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                let wrong = |_| E::custom(format!("{text:?} is no duration; write for example \"30s\" or \"5m\""));
                let span = humantime::parse_duration(text).map_err(wrong)?;
                if span > LONGEST {
                    return Err(E::custom(format!("{text:?} is too long: at most \"1000years\"")));
                }
                Ok(Span(span))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer as _;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    fn span(text: &str) -> Result<Duration, String> {
        let text: StrDeserializer<'_, Error> = text.into_deserializer();
        Span::deserialize(text).map(|span| span.0).map_err(|error| error.to_string())
    }

    #[test]
    fn spans_are_as_long_as_a_clock_can_reckon_with() {
        assert_eq!(span("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(span("1000years").is_ok_and(|span| crate::clock::instant().checked_add(span).is_some()));
        for text in ["1000years 2days", "584000000000years", "18446744073709551615s"] {
            assert!(span(text).unwrap_err().ends_with("is too long: at most \"1000years\""), "{text}");
        }
        for text in ["", "5", "a while", "99999999999999999999s"] {
            assert!(span(text).unwrap_err().contains("is no duration"), "{text}");
        }
    }
}
