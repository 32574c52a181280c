//! Durations as people write them: `500ms`, `30s`, `5m`, `1h`, `1day`.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

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
                humantime::parse_duration(text).map(Span).map_err(wrong)
            }
        }

        deserializer.deserialize_str(Text)
    }
}
