//! Durations as people write them: `500ms`, `30s`, `5m`, `1h`, `1day`. None is longer than a thousand years: points in time can
//! be reckoned with it, and no setting needs more. Errors show a duration in the unit in which it was written.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

const LONGEST: Duration = Duration::from_secs(365_250 * 24 * 60 * 60);
const NANOSECONDS: u128 = 1_000_000_000;

/// A duration, and the unit that it was written in last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub Duration, Option<&'static str>);

/// Units by all their names, and their nanoseconds.
const UNITS: [(&[&str], u128); 10] = [
    (&["years", "year", "yrs", "yr", "y"], 31_557_600 * NANOSECONDS),
    (&["months", "month", "M"], 2_630_016 * NANOSECONDS),
    (&["weeks", "week", "wks", "wk", "w"], 7 * 86_400 * NANOSECONDS),
    (&["days", "day", "d"], 86_400 * NANOSECONDS),
    (&["hours", "hour", "hrs", "hr", "h"], 3600 * NANOSECONDS),
    (&["minutes", "minute", "mins", "min", "m"], 60 * NANOSECONDS),
    (&["seconds", "second", "secs", "sec", "s"], NANOSECONDS),
    (&["millis", "msec", "ms"], 1_000_000),
    (&["usec", "us", "µs"], 1000),
    (&["nanos", "nsec", "ns"], 1),
];

impl Span {
    /// A default, which has no unit yet.
    pub const fn of(duration: Duration) -> Self {
        Self(duration, None)
    }

    /// # Errors
    /// When it is shorter or longer, in words that name both bounds.
    pub fn within(self, range: &RangeInclusive<Self>) -> Result<Duration, String> {
        if (range.start().0..=range.end().0).contains(&self.0) {
            return Ok(self.0);
        }
        Err(format!("{self} is out of range: {} to {}", range.start(), range.end()))
    }

    /// # Errors
    /// When it is 0.
    pub fn positive(self) -> Result<Duration, String> {
        if self.0.is_zero() { Err(format!("{self} is out of range: it has to be longer than 0s")) } else { Ok(self.0) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let written =
            |name: &&'static str| UNITS.iter().find(|(names, _)| names.contains(name)).map(|(_, size)| (*name, *size));
        let usual = ["day", "h", "m", "s", "ms"];
        let mut units = self.1.iter().chain(&usual).filter_map(written);
        match units.find(|(_, size)| nanos.is_multiple_of(*size)) {
            _ if nanos == 0 => f.write_str("0s"),
            Some((name, size)) if name == "day" && nanos > size => write!(f, "{}days", nanos / size),
            Some((name, size)) => write!(f, "{}{name}", nanos / size),
            None => humantime::format_duration(self.0).fmt(f),
        }
    }
}

/// A duration as a setting or a flag has it.
///
/// # Errors
/// When it has no unit, is no duration or is longer than a thousand years.
pub fn duration(text: &str) -> Result<Duration, String> {
    parse(text).map(|span| span.0)
}

/// The same, and more than nothing.
///
/// # Errors
/// When it is 0, too.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    parse(text)?.positive()
}

fn parse(text: &str) -> Result<Span, String> {
    let duration = humantime::parse_duration(text).map_err(|error| match error {
        humantime::DurationError::NumberOverflow => format!("{text:?} is too long: at most \"1000years\""),
        _ => format!("{text:?} is no duration; write for example \"30s\" or \"5m\""),
    })?;
    if duration > LONGEST {
        return Err(format!("{text:?} is too long: at most \"1000years\""));
    }
    let last = text.trim_end().rsplit(|c: char| c.is_ascii_digit() || c.is_whitespace()).next().unwrap_or_default();
    let unit = UNITS.iter().flat_map(|(names, _)| *names).find(|name| **name == last).copied();
    Ok(Span(duration, unit))
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with its unit, such as \"30s\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                parse(text).map_err(E::custom)
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

    fn span(text: &str) -> Result<Span, String> {
        let text: StrDeserializer<'_, Error> = text.into_deserializer();
        Span::deserialize(text).map_err(|error| error.to_string())
    }

    #[test]
    fn spans_are_as_long_as_a_clock_can_reckon_with() {
        assert_eq!(span("1m 30s").unwrap().0, Duration::from_secs(90));
        assert!(span("1000years").is_ok_and(|span| crate::clock::instant().checked_add(span.0).is_some()));
        for text in ["1000years 2days", "584000000000years", "18446744073709551615s", "99999999999999999999s"] {
            assert!(span(text).unwrap_err().ends_with("is too long: at most \"1000years\""), "{text}");
        }
        for text in ["", "5", "a while", "-1s"] {
            assert!(span(text).unwrap_err().contains("is no duration"), "{text}");
        }
    }

    #[test]
    fn a_span_is_shown_in_the_unit_that_it_was_written_in() {
        for text in ["90days", "1day", "48h", "120s", "1500ms", "36hours", "90min", "2weeks", "400days", "0s", "7us"] {
            assert_eq!(span(text).unwrap().to_string(), text);
        }
        assert_eq!(span("1h 30m").unwrap().to_string(), "90m");
        assert_eq!(span("1day 1ns").unwrap().to_string(), "86400000000001ns");
        assert_eq!(Span::of(Duration::from_secs(7200)).to_string(), "2h");
        assert_eq!(Span::of(Duration::from_secs(86_400)).to_string(), "1day");
    }

    #[test]
    fn a_bound_is_told_with_the_span_that_is_beyond_it() {
        let bounds = Span::of(Duration::from_secs(60))..=Span::of(Duration::from_secs(366 * 86_400));
        assert_eq!(span("400days").unwrap().within(&bounds).unwrap_err(), "400days is out of range: 1m to 366days");
        assert_eq!(span("2h").unwrap().within(&bounds), Ok(Duration::from_secs(7200)));
        assert!(span("0ms").unwrap().positive().unwrap_err().contains("longer than 0s"));
    }
}
