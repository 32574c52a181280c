//! Media types as `typ` and `cty` name them.

/// Whether two values of `typ` or `cty` name one media type: without case, and with or without the `application/` that may be
/// left out where nothing else in the value has a slash (RFC 7515 sections 4.1.9 and 4.1.10).
pub fn is_same_media_type(one: &str, other: &str) -> bool {
    short(one).eq_ignore_ascii_case(short(other))
}

fn short(text: &str) -> &str {
    const PREFIX: &str = "application/";
    match text.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.is_empty() && !rest.contains('/') => rest,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::is_same_media_type;

    #[test]
    fn the_prefix_of_application_types_may_be_left_out_and_case_does_not_count() {
        for (one, other) in [
            ("at+jwt", "application/at+jwt"),
            ("application/AT+JWT", "at+jwt"),
            ("Application/JWT", "jwt"),
            ("application/jwt", "application/JWT"),
            ("", ""),
        ] {
            assert!(is_same_media_type(one, other) && is_same_media_type(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("at+jwt", "jwt"),
            ("at+jwt", "application/application/at+jwt"),
            ("a/b", "application/a/b"),
            ("at+jwt", "text/at+jwt"),
            ("at+jwt", " application/at+jwt"),
            ("at+jwt", "application/at+jwt; x=y"),
            ("", "application/"),
            ("ä", "application/ö"),
        ] {
            assert!(!is_same_media_type(one, other) && !is_same_media_type(other, one), "{one} {other}");
        }
    }
}
