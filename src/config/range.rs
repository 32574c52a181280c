//! Numbers within their bounds.

use std::fmt::Display;
use std::ops::RangeInclusive;

/// A key, and what is wrong with it.
pub(super) type Fault = (&'static str, String);

/// # Errors
/// When the value is out of range, in words that name both bounds.
pub(super) fn within<T: PartialOrd + Display + Copy>(
    key: &'static str,
    value: T,
    range: &RangeInclusive<T>,
) -> Result<T, Fault> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err((key, format!("{value} is out of range: {} to {}", range.start(), range.end())))
}

/// A place in a file: the section, and the key in it, which may be one of a table in it.
pub(super) fn path<'k>(section: &[&'k str], key: &'k str) -> Vec<&'k str> {
    section.iter().copied().chain(key.split('.').filter(|part| !part.is_empty())).collect()
}
